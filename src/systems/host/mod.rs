//! The room of the hosts themselves: reachable, load, clock, disk. It has no steps; hosts are part of every estate, so
//! it is no service either.

mod probe;

pub use probe::probes;
