//! Durable jobs: work on a host that outlives the connection and the program that started it.
//!
//! A job is a named folder on the host: its output, its process id with start time, and an exit file written last.
//! Starting the same name again attaches to the job that is there. A lost connection is therefore never a reason to
//! start the work again: the folder is asked.

use std::fmt;
use std::time::Duration;

use super::Exit;

/// The name of a job: unique per run, unit and attempt, and legal as a folder name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct JobId(String);

impl JobId {
    /// Joins the parts with `.`; characters outside `A-Z a-z 0-9 _ - ~ .` become `~`.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        let joined = parts.join(".");
        let safe = |c: char| if c.is_ascii_alphanumeric() || "_-~.".contains(c) { c } else { '~' };
        Self(joined.chars().map(safe).collect())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What starting a job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStart {
    /// The work has begun now.
    Started,
    /// A job of this name was there already, running or ended; nothing was started.
    AlreadyThere,
}

/// What a host says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Its process lives.
    Running,
    /// It has ended; one exit per member of its pipeline.
    Ended(Vec<Exit>),
    /// Its folder is there, its process is not, and no ending was written: killed, or the host went down.
    Vanished,
    /// There is no such folder: it was never started here, or it has been forgotten.
    Absent,
}

/// What a look at a job is to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Output is wanted from here on.
    pub offset: u64,
    /// How long to wait for output, or for the end of the job. A little of it may pass after the first output, so that
    /// more comes with one look.
    pub wait: Duration,
    /// The most output that is wanted, in bytes.
    pub most: u64,
}

/// One look at a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPoll {
    /// Its state. Read *before* the output, so that `Ended` with an empty `output` means all was read.
    pub state: JobState,
    /// Its output (stdout of the last member when not redirected, and stderr of all) from the asked offset on, at
    /// most 256 KiB.
    pub output: Vec<u8>,
    /// The offset to ask for next.
    pub next_offset: u64,
}

/// What cancelling a job found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCancel {
    /// The state after the signals.
    pub state: JobState,
    /// Processes of the job's group that are still alive: `pid command`, one each.
    pub survivors: Vec<String>,
}
