//! Where events go to be kept, and where past runs are read from.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{RunId, UnitKey};
use crate::run::Event;

/// Keeps the events of one run. The engine writes intents through it before it acts.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Keeps events in order. Events that weigh as intent or fact are durable (survive a power cut) when this returns.
    ///
    /// # Errors
    /// [`SinkError`]: nothing may be started because of these events.
    async fn append(&self, events: &[Event]) -> Result<(), SinkError>;

    /// Appends raw output of a unit's attempt to its own file, byte-exact, and remembers that it came at this time. Best
    /// effort: an error is reported once and never stops the run.
    ///
    /// # Errors
    /// [`SinkError`] when the bytes could not be kept.
    async fn output(&self, unit: &UnitKey, attempt: u32, at: Timestamp, bytes: &[u8]) -> Result<(), SinkError>;
}

/// Reads past runs back.
pub trait Archive: Send + Sync {
    /// The runs that are known, newest first.
    ///
    /// # Errors
    /// [`SinkError`] when the store cannot be read.
    fn list(&self) -> Result<Vec<RunRecord>, SinkError>;

    /// All events of a run from `after` (exclusive) on.
    ///
    /// # Errors
    /// [`SinkError`] when the store or the run cannot be read.
    fn events(&self, run: &RunId, after: u64) -> Result<Vec<Event>, SinkError>;
}

/// What is known of a run without reading all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Its id.
    pub run: RunId,
    /// Its folder, with output files and socket.
    pub folder: PathBuf,
    /// How many events it has.
    pub events: u64,
}

/// Why something could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {tried}: {got}")]
pub struct SinkError {
    /// What was tried, with the path.
    pub tried: String,
    /// What came back.
    pub got: String,
}
