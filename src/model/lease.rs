//! Who may change a site: one run of one console at a time, until it says that it is over or falls silent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ConsoleId, RunId, SafeText};

/// The right of one process to change what a site has. Leases of a site are numbered; the highest one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// Which process of the run: it is one more each time the run is taken up again.
    pub session: u32,
    /// Where it was started from.
    pub console: ConsoleId,
    /// Who started it: `ops@app1`.
    pub by: SafeText,
    /// Since when, by the clock of the console.
    pub since: Timestamp,
}

impl std::fmt::Display for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {}, started by {}, since {:.0}", self.run, self.by, self.since)
    }
}

/// What a holder says from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseSign {
    /// It lives; a number that grows.
    Beat(u64),
    /// It has ended, and will change nothing any more.
    Over,
}

/// The lease that counts at a site, as it was seen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its number.
    pub number: u64,
    /// Whose it is; nothing while its holder has not written that down yet, or died before it could.
    pub lease: Option<Lease>,
    /// What the holder said last.
    pub sign: Option<LeaseSign>,
}

impl Sighting {
    /// Whose lease it is, unless that has said that it is over. It may have died since without a word: one look cannot
    /// tell.
    #[must_use]
    pub fn holder(&self) -> Option<&Lease> {
        self.lease.as_ref().filter(|_| self.sign != Some(LeaseSign::Over))
    }
}
