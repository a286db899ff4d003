//! What is known of runs without reading all of them, and finding one by the start of its id.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::{RunId, RunOutcome};
use crate::port::SinkError;
use crate::run::{Event, EventKind};

/// One run of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct RunListing {
    /// Its id.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// True when its process is alive on this machine.
    pub alive: bool,
    /// What its journal says, or why it cannot be read.
    pub facts: Result<RunFacts, SinkError>,
}

/// The two ends of a journal. What is between them has not been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// How many events there are.
    pub events: u64,
    /// The first: the plan, and who asked for it.
    pub first: Event,
    /// The last.
    pub last: Event,
}

impl RunFacts {
    /// When the run began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.first.at
    }

    /// How the run ended; nothing when it has not, or when it has been taken up again since.
    #[must_use]
    pub fn outcome(&self) -> Option<&RunOutcome> {
        match &self.last.kind {
            EventKind::RunEnded { outcome } => Some(outcome),
            _ => None,
        }
    }
}

/// Why no single run was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There are no runs at all.
    #[error("there are no runs yet")]
    Empty,
    /// No id begins like this.
    #[error("no run begins with `{0}`; `changeover runs list` shows them")]
    Missing(String),
    /// Several ids begin like this.
    #[error("`{prefix}` is the beginning of several runs: {}", .runs.iter().map(RunId::as_str).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// The candidates, newest first.
        runs: Vec<RunId>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SinkError),
}

/// Picks the one of `runs` (newest first) that is meant by `wanted`: `latest`, a whole id, or the beginning of one.
pub(super) fn pick(runs: &[RunId], wanted: &str) -> Result<RunId, FindError> {
    if wanted == "latest" {
        return runs.first().cloned().ok_or(FindError::Empty);
    }
    if let Some(exact) = runs.iter().find(|run| run.as_str() == wanted) {
        return Ok(exact.clone());
    }
    let mut found: Vec<RunId> =
        runs.iter().filter(|run| !wanted.is_empty() && run.as_str().starts_with(wanted)).cloned().collect();
    match found.len() {
        0 => Err(FindError::Missing(wanted.escape_debug().to_string())),
        1 => Ok(found.remove(0)),
        _ => Err(FindError::Ambiguous { prefix: wanted.to_owned(), runs: found }),
    }
}
