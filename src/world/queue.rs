//! What is going to happen in the world by itself, in order of time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Fault;
use crate::model::{HostName, SiteName};
use crate::port::JobId;

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Due {
    /// A job does its next slice.
    Job(SiteName, HostName, JobId),
    /// The search cluster of a site goes on with what it does.
    Search(SiteName),
    /// The application of a site writes, if it is the one that has the users.
    Writes(SiteName),
    /// The load balancer looks at the health of its servers.
    Checks,
    /// Something breaks, or is mended.
    Strikes(Fault),
}

/// What is going to happen.
#[derive(Debug, Default)]
pub struct Queue {
    due: BTreeMap<(Duration, u64), Due>,
    next: u64,
}

impl Queue {
    /// Lets something happen at `at`, after everything that was put there for the same moment before.
    pub fn put(&mut self, at: Duration, due: Due) {
        self.due.insert((at, self.next), due);
        self.next += 1;
    }

    /// Takes what happens first, if that is not after `until`.
    pub fn take(&mut self, until: Duration) -> Option<(Duration, Due)> {
        let first = self.due.first_entry()?;
        if first.key().0 > until {
            return None;
        }
        let ((at, _), due) = first.remove_entry();
        Some((at, due))
    }
}
