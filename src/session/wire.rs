//! What goes over the socket.

use serde::{Deserialize, Serialize};

use crate::model::SafeText;
use crate::run::{Event, RunCommand};

/// A line from a viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromViewer {
    /// Send the events that follow this one.
    Attach {
        /// The number of the last event the viewer has; 0 for none.
        after: u64,
    },
    /// Do this.
    Command(RunCommand),
}

/// A line to a viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToViewer {
    /// Something happened.
    Event(Box<Event>),
    /// Nothing more comes, because of this.
    Trouble(SafeText),
    /// Nothing more comes: the process ends in order.
    Over(()),
}

/// Longest line from a viewer. A comment or a reason fits many times over.
pub(super) const LONGEST_FROM_VIEWER: usize = 64 * 1024;
/// Longest line to a viewer: the first event holds the whole plan.
pub(super) const LONGEST_TO_VIEWER: usize = 64 * 1024 * 1024;

/// A value as a line, newline included.
pub(super) fn line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    Ok(line)
}
