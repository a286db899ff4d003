//! The time and fresh identifiers of the machine the program runs on.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use crate::port::Clock;

/// The machine's own clocks and random numbers.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn entropy(&self) -> [u8; 16] {
        // A random UUID has 122 random bits and six fixed ones: two of them hashed leave no fixed bit.
        let mut hash = blake3::Hasher::new();
        hash.update(Uuid::new_v4().as_bytes());
        hash.update(Uuid::new_v4().as_bytes());
        let mut bytes = [0; 16];
        hash.finalize_xof().fill(&mut bytes);
        bytes
    }
}

/// A fresh word for names of files and marks: 32 characters of `0-9a-f`.
pub(super) fn fresh_word() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_bytes_differ_and_time_goes_on() {
        let clock = SystemClock::new();
        assert_ne!(clock.entropy(), clock.entropy());
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
        assert_ne!(fresh_word(), fresh_word());
    }
}
