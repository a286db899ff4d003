//! The Unix socket in a run's folder: any number of viewers see everything, from any event on, and may give commands.
//!
//! The run's process holds [`Viewers`]; a viewer calls [`attach`]. A viewer gets every event once and in order: first
//! what the journal has, then what happens. One that is too slow is given the journal again from where it was; the
//! run never waits for it. Nothing is decided here: commands are handed to the engine as they come.
//!
//! Both sides speak JSON, one value a line:
//!
//! ```text
//! viewer   {"attach":{"after":0}}                       first, once
//!          {"command":{"command":"pause","by":{…}}}     any number
//! run      {"event":{"seq":1,…}}                        any number
//!          {"trouble":"…"}                              last: why no more events come
//!          {"over":null}                                last: the run's process has ended in order
//! ```

mod client;
mod lines;
mod server;
mod socket;
mod viewer;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{Commander, Events, attach};
pub use server::Viewers;

/// Why a run cannot be watched or steered, or why it cannot be watched any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Nobody listens in this folder.
    #[error("the run has no live process: it has ended, or it has not begun; `changeover runs show` reads its record")]
    Absent,
    /// There is a socket, and its process is gone.
    #[error("the run's process is gone without having ended the run; `changeover resume` takes it up again")]
    Gone,
    /// The connection ended without a word.
    #[error("the run's process went away; the record shows how far it came")]
    Lost,
    /// The run's process said why it sends nothing more.
    #[error("the run's process sends no more: {0}")]
    Trouble(crate::model::SafeText),
    /// The other end belongs to another user.
    #[error("the other end belongs to user {0}")]
    Stranger(u32),
    /// Something else.
    #[error("could not {tried}: {got}")]
    Failed {
        /// What was tried.
        tried: String,
        /// What came back.
        got: String,
    },
}

impl SessionError {
    fn failed(tried: &str, path: &std::path::Path, got: &impl ToString) -> Self {
        Self::Failed { tried: format!("{tried} {}", path.display()), got: got.to_string() }
    }
}
