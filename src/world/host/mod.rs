//! A host: its disks, its durable jobs, and the programs that can be started on it.
//!
//! A pipeline is interpreted by program (`programs`), slice by slice (`work`), so that whatever ends it on the way
//! leaves behind exactly what had been done by then. Nothing here knows how a host is reached.

mod content;
mod machine;
mod programs;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

pub use content::{count, fill, truth, write};
pub use machine::{DiskId, Machine};
pub use work::{Io, Process, Slice, Work};
pub(in crate::world) use work::{time_limit, touches_share};

use crate::port::{Exit, JobId};

/// Whether a host does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Up,
    /// It runs, but answers nothing and does nothing until it is thawed.
    Frozen,
    /// It is off. Its jobs are gone; what they had not synced too.
    Down,
}

/// A host of a site.
#[derive(Debug)]
pub struct Host {
    /// Its address.
    pub address: String,
    /// Whether it runs.
    pub power: Power,
    /// Where which disk is mounted; the longest path that fits wins. `/` is always there.
    pub mounts: Vec<(String, DiskId)>,
    /// How far its wall clock is off.
    pub skew: SignedDuration,
    /// Programs that it does not have.
    pub lacks: BTreeSet<String>,
    /// Its durable jobs.
    pub jobs: BTreeMap<JobId, Job>,
}

/// A durable job.
#[derive(Debug)]
pub struct Job {
    /// What it wrote so far.
    pub output: Vec<u8>,
    /// How it is.
    pub state: JobLife,
}

impl JobLife {
    /// True while its process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Ending(_))
    }
}

/// How a job is.
#[derive(Debug)]
pub enum JobLife {
    /// It runs.
    Running(Work),
    /// All of it is done, and it is about to end with these codes.
    Ending(Vec<Exit>),
    /// It ended with these codes.
    Ended(Vec<Exit>),
    /// It was killed, or the host went down.
    Vanished,
}
