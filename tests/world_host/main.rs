//! The hosts of the simulated world, against the real programs of this machine and under the real engine.

mod engine;
mod faults;
#[path = "../support/no_sink.rs"]
mod no_sink;
mod parity;
mod support;
