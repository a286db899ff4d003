//! Time and fresh identifiers. Nothing below `cli` asks the operating system for either.

use std::time::Duration;

use jiff::Timestamp;

/// Where the time comes from.
///
/// Waiting is done with `tokio::time`, whose clock can be paused in tests; this trait gives wall time and ids.
pub trait Clock: Send + Sync {
    /// The wall time now, in UTC.
    fn now(&self) -> Timestamp;
    /// Monotonic time since some fixed moment of this process: for durations, which wall time cannot give.
    fn monotonic(&self) -> Duration;
    /// Sixteen fresh bytes for ids and nonces.
    fn entropy(&self) -> [u8; 16];
}
