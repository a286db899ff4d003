//! Safety: rules that the engine applies whatever a runbook says.
//!
//! Pure decisions on what was read; the engine does the reading.

mod confirm;
mod direction;
mod lease;

pub use confirm::{confirmation_phrase, nonce};
pub use direction::judge_direction;
pub use lease::{Claim, LEASE_BEAT, LEASE_SILENCE, claim, judge_lease, leased_to_other};
