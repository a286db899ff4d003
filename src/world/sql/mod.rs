//! A SQL server: schemas, tables, rows, accounts and read-only flags. Answers the statements that steps send, writes
//! dumps, and loads them. It is no SQL engine: it knows the statements of the program and the text of its own dumps.

use std::time::Duration;

use crate::model::SiteName;
use crate::port::{Command, Pipeline, SqlEndpoint, SqlRows, SqlStatement};
use crate::world::host::{Machine, Process};
use crate::world::{Counts, State, Truth};

/// A SQL server.
#[derive(Debug, Default)]
pub struct Server {
    down: bool,
}

/// What a server says when it says no: its code, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRefusal {
    /// The number, for example 1049.
    pub code: u16,
    /// The words, for example `Unknown database 'shop'`.
    pub words: String,
}

impl Server {
    /// Starts or ends the server.
    pub fn set_up(&mut self, up: bool) {
        self.down = !up;
    }

    /// True when it answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down
    }
}

/// Runs statements one after the other in one session at a site; stops at the first that is refused. Also says how long
/// it took.
///
/// # Errors
/// The refusal.
pub fn session(
    _state: &mut State,
    _site: &SiteName,
    _endpoint: &SqlEndpoint,
    _statements: &[SqlStatement],
) -> (Result<Vec<SqlRows>, SqlRefusal>, Duration) {
    (Err(SqlRefusal { code: 1064, words: "not known".to_owned() }), Duration::ZERO)
}

/// Puts into a site what the world begins with.
pub fn fill(_state: &mut State, _site: &SiteName) {}

/// One write that users of the application make, the `number`th of the world; true when it was acknowledged.
pub fn write(_state: &mut State, _site: &SiteName, _number: u64) -> bool {
    false
}

/// Counts what a site holds.
pub fn count(_state: &State, _site: &SiteName, _counts: &mut Counts) {}

/// Tells everything that a site holds, content included.
pub fn truth(_state: &State, _site: &SiteName, _truth: &mut Truth) {}

/// Starts a program of this room on a host: the dump and client programs, and `awk -f` with the counter of rows; nothing
/// when it is none of them.
#[must_use]
pub fn program(_on: &Machine<'_>, _command: &Command, _pipeline: &Pipeline) -> Option<Box<dyn Process>> {
    None
}
