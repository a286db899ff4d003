//! The hosts of the simulated world, against the real programs of this machine and under the real engine.

mod engine;
mod faults;
mod parity;
#[path = "../support/single_run.rs"]
mod single_run;
mod support;
