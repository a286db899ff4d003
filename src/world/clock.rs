//! The world's time: wall time and durations as `tokio::time` tells them, which a test pauses and the demo drives.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::port::Clock;

/// The clock of the machine that the program runs on, in a simulated world. Obeys `tokio::time`.
#[derive(Debug)]
pub struct WorldClock {
    began: Instant,
    epoch: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    skew: SignedDuration,
}

impl WorldClock {
    /// A clock that shows `epoch` now.
    #[must_use]
    pub fn new(epoch: Timestamp, seed: u64) -> Self {
        let inner = Inner { rng: fastrand::Rng::with_seed(seed), skew: SignedDuration::ZERO };
        Self { began: Instant::now(), epoch, inner: Mutex::new(inner) }
    }

    /// How long the world has been.
    #[must_use]
    pub fn since_start(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets this machine's wall time jump. Durations are not affected.
    pub fn jump(&self, by: SignedDuration) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.skew = inner.skew.saturating_add(by);
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let skew = self.inner.lock().unwrap_or_else(PoisonError::into_inner).skew;
        let true_time = self.epoch.saturating_add(self.since_start()).unwrap_or(Timestamp::MAX);
        true_time.saturating_add(skew).unwrap_or(true_time)
    }

    fn monotonic(&self) -> Duration {
        self.since_start()
    }

    fn entropy(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).rng.fill(&mut bytes);
        bytes
    }
}
