//! The real world: commands and durable jobs over SSH or on this machine, HTTP, SQL, Redis, secrets, and the machine's
//! clock. It implements the traits of `port`.
//!
//! It turns values into text and bytes, and answers into values. It decides nothing about runs, never repeats anything
//! that may have been sent, and reads no environment: what it needs from there comes in [`WorldOptions`].

mod clock;
mod conversation;
mod http;
mod job;
mod known;
mod local;
mod redis;
mod secret;
mod shell;
mod sql;
mod ssh;
mod ssh_config;
mod tunnel;
mod world;

pub use clock::SystemClock;
pub use world::{World, WorldOptions};
