//! What happened: the events of a run, the commands a person may give, and the one fold that everybody uses.
//!
//! Pure. The engine, the journal, the screen and the reports all learn what happened by [`RunState::apply`], so they
//! cannot disagree.

mod command;
mod event;

mod state;

pub use command::{Answer, RunCommand};
pub use event::{Event, EventKind, Operator, Prompt, PromptAnswer, PromptId, PromptKind, Weight};
