//! Safety: rules that the engine applies whatever a runbook says.
//!
//! Pure decisions on what was read; the engine does the reading.

mod confirm;
mod direction;

pub use confirm::{confirmation_phrase, nonce};
pub use direction::judge_direction;
