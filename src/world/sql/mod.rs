//! A SQL server: schemas, tables, rows, accounts and read-only flags. Answers the statements that steps send, writes
//! dumps, and loads them. It is no SQL engine: it knows the statements of the program and the text of its own dumps.

mod answers;
mod contents;
mod dump;
mod execute;
mod globals;
pub(in crate::world) mod programs;
mod schema;
mod script;
mod server;
mod session;
mod tally;
mod value;

pub use contents::{count, fill, truth, write};
pub use globals::Flavour;
pub use server::{Server, Trouble};
pub use session::{SqlRefusal, session};
pub use tally::{TALLY_MARK, tally};

#[cfg(test)]
mod tests;
