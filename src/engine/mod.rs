//! A plan in, events out.
//!
//! [`decide`](decide::decide) is pure: from plan and state to what may happen now. The [`Engine`] is the only place with
//! a `select!`: it records, starts one task per attempt, and folds what comes back. It knows no screen, no ssh, no disk.

mod attempt;
mod config;
mod decide;
mod dispatcher;
mod doubt;
mod endings;
mod launch;
mod leases;
mod orders;
mod record;
mod resume;

#[cfg(test)]
mod tests;

pub use config::{EngineConfig, EngineError, EngineEvents, NewRun};
pub use dispatcher::Engine;
pub use resume::{Change, what_changed};
