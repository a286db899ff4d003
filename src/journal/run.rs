//! The journal of the run that this process carries out.

use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;

use super::chain::Head;
use super::output::{self, Outputs};
use super::reader::RunReader;
use super::writer::Writer;
use super::{database, folder, lock};
use crate::model::{RunId, UnitKey};
use crate::port::{Sink, SinkError};
use crate::run::Event;

/// Keeps the events and the output of one run. There is at most one in the world for each run: it holds the run's
/// lock until it is dropped.
///
/// Dropping it writes what is pending, which can take as long as a sync of the disk.
pub struct RunJournal {
    run: RunId,
    folder: PathBuf,
    writer: Writer,
    outputs: Outputs,
    // Dropped last: nobody else may write before the writer has ended.
    _lock: File,
}

impl RunJournal {
    /// Begins the journal of a new run.
    pub(super) fn create(folder: PathBuf, run: RunId) -> Result<Self, SinkError> {
        folder::new_folder(&folder)?;
        let lock = lock::hold_run(&folder)?;
        folder::new_folder(&folder.join(output::FOLDER))?;
        let database = database::create(&folder, &run)?;
        let head = Head::of_nothing(&run);
        Self::start(folder, run, database, head, lock)
    }

    /// Goes on with the journal of a run whose process has gone; returns what is in it.
    pub(super) fn resume(folder: PathBuf, run: RunId) -> Result<(Self, Vec<Event>), SinkError> {
        folder::check_folder(&folder)?;
        let lock = lock::hold_run(&folder)?;
        let reader = RunReader::open(folder.clone(), run.clone())?;
        let events = reader.events()?;
        let head = reader.head_at(events.last().map_or(0, |event| event.seq))?;
        let database = database::open_to_write(&folder, &run)?;
        Ok((Self::start(folder, run, database, head, lock)?, events))
    }

    fn start(
        folder: PathBuf,
        run: RunId,
        database: rusqlite::Connection,
        head: Head,
        lock: File,
    ) -> Result<Self, SinkError> {
        let writer = Writer::start(database, &folder.join(database::FILE), head)?;
        let outputs = Outputs::start(&folder)?;
        Ok(Self { run, folder, writer, outputs, _lock: lock })
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// At most `limit` of the events appended so far, chatter included, from `after` (exclusive) on.
    ///
    /// # Errors
    /// When they cannot be written or read.
    pub async fn history(&self, after: u64, limit: u32) -> Result<Vec<Event>, SinkError> {
        self.writer.flush().await?;
        let (folder, run) = (self.folder.clone(), self.run.clone());
        let read = move || RunReader::open(folder, run)?.page(after, limit);
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
            Err(SinkError { tried: format!("read the journal of run {}", self.run), got: error.to_string() })
        })
    }

    /// Returns when everything appended so far is on the disk, output included.
    ///
    /// # Errors
    /// When something could not be written; it is not told again.
    pub async fn flush(&self) -> Result<(), SinkError> {
        self.writer.flush().await?;
        self.outputs.flush().await
    }
}

#[async_trait]
impl Sink for RunJournal {
    async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        if events.is_empty() {
            return Ok(());
        }
        self.writer.append(events).await
    }

    async fn output(&self, unit: &UnitKey, attempt: u32, at: Timestamp, bytes: &[u8]) -> Result<(), SinkError> {
        self.outputs.append(output::path(&self.folder, unit, attempt), at, bytes).await
    }
}
