//! A simulated world: two sites that live in memory and answer the same port as the real ones, so that the unchanged
//! engine runs the unchanged runbooks against them.
//!
//! It keeps state truthfully: what is restored is what was in the snapshot, what was not copied is lost. It takes time
//! (`tokio::time`, which tests pause and the demo drives), breaks on command, and does the same for the same seed. A
//! room per system holds what that system knows and answers (`host`, `search`, `sql`, `cache`, `app`, `balancer`); this file and its
//! neighbours hold what they share. It must not know step kinds: it answers commands, requests and statements.

pub mod app;
pub mod balancer;
pub mod cache;
mod clock;
mod count;
pub mod disk;
mod fault;
pub mod host;
mod network;
mod queue;
mod reach;
pub mod search;
mod spec;
pub mod sql;
mod state;

pub use clock::WorldClock;
pub use count::{Counts, Truth};
pub use fault::{Channel, Fault, Mishap};
pub use network::{Network, Zone};
pub use queue::{Due, Queue};
pub use reach::{SECRET, SimulatedWorld};
pub use spec::Spec;
pub use state::{Change, Site, State, Store};
