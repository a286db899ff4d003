//! The screen: one state, one `update` that turns messages into a new state and effects, and pure views of it.
//!
//! It is a listener of the same events as the headless reports. Nothing here touches a terminal, a file or a host:
//! effects are values that `cli` carries out, and what they bring comes back as messages. A run does not know that it is
//! being looked at; closing, suspending or crashing the screen changes nothing for it.

pub mod action;
pub mod dialog;
pub mod facts;
pub mod keys;
pub mod line;
pub mod log;
mod msg;
mod palette;
mod pane;
pub mod picture;
mod run_view;
mod state;
#[cfg(test)]
mod tests;
mod update;
pub mod view;

pub use msg::{Effect, Key, KeyCode, Msg};
pub use pane::Pane;
pub use run_view::{Replay, RunView};
pub use state::{Badge, Notice, Settings, State};
pub use update::update;
