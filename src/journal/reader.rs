//! Reads one run's journal: in pages while it grows, or whole, each record checked against the one before.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::chain::{self, Head, Row};
use super::database::{self, Access};
use super::folder::{self, trouble};
use super::listing::RunFacts;
use super::output::{self, Printed};
use super::{lock, stretches};
use crate::model::{RunId, UnitKey};
use crate::port::SinkError;
use crate::run::Event;

/// Records read at once.
const PAGE: u32 = 500;

/// An open journal of one run. Reading does not disturb the process that writes it.
#[derive(Debug)]
pub struct RunReader {
    run: RunId,
    folder: PathBuf,
    database: Connection,
}

/// What could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The intact events, in order, up to the end or to the first bad record.
    pub events: Vec<Event>,
    /// What is wrong with the first bad record. What follows it is not looked at.
    pub damage: Option<SinkError>,
}

impl RunReader {
    pub(super) fn open(folder: PathBuf, run: RunId) -> Result<Self, SinkError> {
        folder::check_folder(&folder)?;
        let database = database::open_to_read(&folder, &run)?;
        Ok(Self { run, folder, database })
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

    /// At most `limit` events from `after` (exclusive) on. They are checked against each other and against the seal
    /// of event `after`, not against what is before that.
    ///
    /// # Errors
    /// When the journal cannot be read, or a record is bad.
    pub fn page(&self, after: u64, limit: u32) -> Result<Vec<Event>, SinkError> {
        let mut head = self.head_at(after)?;
        self.rows(after, limit)?.iter().map(|row| self.follow(row, &mut head)).collect()
    }

    /// All events, checked from the first on.
    ///
    /// # Errors
    /// When the journal cannot be read, or a record is bad; the error names it.
    pub fn events(&self) -> Result<Vec<Event>, SinkError> {
        let reading = self.read();
        reading.damage.map_or(Ok(reading.events), Err)
    }

    /// All events up to the first bad record, and what is wrong with that: for looking at a damaged run.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut events = Vec::new();
        let damage = self.walk(|event| events.push(event)).err();
        Reading { events, damage }
    }

    /// Checks every record.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self) -> Result<Head, SinkError> {
        self.walk(drop)
    }

    /// The first and the last event, without reading what is between.
    ///
    /// # Errors
    /// When the journal cannot be read, or has no event.
    pub fn facts(&self) -> Result<RunFacts, SinkError> {
        let empty = || self.damage("it has no events: its process ended before it could keep the first");
        let last_seq = self.last_seq()?.ok_or_else(empty)?;
        let first = self.page(0, 1)?.pop().ok_or_else(empty)?;
        let last = self.page(last_seq - 1, 1)?.pop().ok_or_else(empty)?;
        Ok(RunFacts { events: last_seq, first, last })
    }

    /// The file with the output of one attempt. It need not exist: work that printed nothing leaves none.
    #[must_use]
    pub fn output_path(&self, unit: &UnitKey, attempt: u32) -> PathBuf {
        output::path(&self.folder, unit, attempt)
    }

    /// Where all of its output is.
    #[must_use]
    pub fn printed(&self) -> Printed {
        // A lock that cannot be looked at is held by nobody who writes here.
        let alive = lock::run_is_alive(&self.folder).unwrap_or(false);
        Printed { folder: self.folder.join(output::FOLDER), index: self.folder.join(stretches::FILE), alive }
    }

    /// The files with output that there are, in the order of their names.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn outputs(&self) -> Result<Vec<PathBuf>, SinkError> {
        output::all(&self.folder)
    }

    fn walk(&self, mut each: impl FnMut(Event)) -> Result<Head, SinkError> {
        let mut head = Head::of_nothing(&self.run);
        loop {
            let rows = self.rows(head.seq, PAGE)?;
            if rows.is_empty() {
                return self.check_end(head);
            }
            for row in &rows {
                each(self.follow(row, &mut head)?);
            }
        }
    }

    /// A row whose number is not above 0 would never be reached by walking.
    fn check_end(&self, head: Head) -> Result<Head, SinkError> {
        let below = "SELECT count(*) FROM events WHERE seq < 1";
        let strays: i64 =
            self.database.query_row(below, [], |row| row.get(0)).map_err(|error| self.unreadable(&error))?;
        if strays == 0 { Ok(head) } else { Err(self.damage("it has records numbered below 1")) }
    }

    fn follow(&self, row: &Row, head: &mut Head) -> Result<Event, SinkError> {
        let event = chain::unseal(row, *head).map_err(|what| match head.seq {
            0 => self.damage(&what),
            intact => self.damage(&format!("{what}; records 1 to {intact} were read and are intact")),
        })?;
        *head = Head { seq: row.seq, hash: row.hash };
        Ok(event)
    }

    fn rows(&self, after: u64, limit: u32) -> Result<Vec<Row>, SinkError> {
        database::select(&self.database, after, limit).map_err(|error| self.unreadable(&error))
    }

    fn last_seq(&self) -> Result<Option<u64>, SinkError> {
        database::last(&self.database).map_err(|error| self.unreadable(&error))
    }

    /// The head after event `seq`, as its record says.
    pub(super) fn head_at(&self, seq: u64) -> Result<Head, SinkError> {
        if seq == 0 {
            return Ok(Head::of_nothing(&self.run));
        }
        let row = self.rows(seq - 1, 1)?.pop().filter(|row| row.seq == seq);
        row.map(|row| Head { seq, hash: row.hash }).ok_or_else(|| self.damage(&format!("there is no record {seq}")))
    }

    fn unreadable(&self, error: &rusqlite::Error) -> SinkError {
        database::explain("read the journal", &self.folder.join(database::FILE), error, Access::Read)
    }

    fn damage(&self, what: &str) -> SinkError {
        trouble("read the journal", &self.folder.join(database::FILE), &what)
    }
}
