//! The durable record of runs, and the only writer of the state directory.
//!
//! ```text
//! <state>/<estate>/lock                                  who may act on the estate now
//! <state>/<estate>/runs/<run>/journal.sqlite             the events
//!                             output/<unit>.<attempt>.log  what remote work printed, byte-exact
//!                             output.index               when which stretch of these came
//!                             lock                       held by the run's process
//!                             run.sock                   where viewers attach (made by `session`)
//! ```
//!
//! A database per run: a damaged one hurts no other, readers never wait for another run's writer, and a run's folder
//! can be copied away as evidence. Every folder is 0700 and every file 0600; a symbolic link or another owner on the
//! way is refused. It never decides anything about a run, and it never repairs what it finds damaged.

mod chain;
mod database;
mod folder;
mod listing;
mod lock;
mod output;
mod reader;
mod retention;
mod run;
mod store;
mod stretches;
mod writer;

#[cfg(test)]
mod tests;

pub use chain::Head;
pub use listing::{FindError, RunFacts, RunListing};
pub use lock::{EstateLock, EstateUse, Holder, LockError};
pub use output::Printed;
pub use reader::{Reading, RunReader};
pub use retention::Retention;
pub use run::RunJournal;
pub use store::Store;
pub use stretches::{Stretch, printed_by};
