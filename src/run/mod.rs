//! What happened: the events of a run, the commands a person may give, and the one fold that everybody uses.
//!
//! Pure. The engine, the journal, the screen and the reports all learn what happened by [`RunState::apply`], so they
//! cannot disagree.

mod answers;
mod command;
mod event;
mod explain;
#[cfg(test)]
pub(crate) mod sample;
mod state;
mod summary;
#[cfg(test)]
mod tests;
mod unit;

pub use answers::{choices, read_answer};
pub use command::{Answer, RunCommand};
pub use event::{Event, EventKind, JobAt, Operator, Prompt, PromptAnswer, PromptId, PromptKind, Weight};
pub use explain::explain;
pub use state::{IllegalTransition, PromptState, RunPhase, RunState, StageState};
pub use summary::{RunSummary, StageSummary};
pub use unit::{UnitInput, UnitPhase, UnitState};
