//! The hosts of the simulated world, against the real programs of this machine and under the real engine.

mod engine;
mod faults;
mod parity;
mod support;
