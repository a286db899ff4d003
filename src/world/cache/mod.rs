//! A Redis server with a replica: keys, roles, and what they answer.

use std::time::Duration;

use crate::model::SiteName;
use crate::port::{RedisEndpoint, RedisReply};
use crate::world::{Counts, State, Truth};

/// A cache.
#[derive(Debug, Default)]
pub struct Cache {
    down: bool,
}

impl Cache {
    /// Starts or ends the server.
    pub fn set_up(&mut self, up: bool) {
        self.down = !up;
    }

    /// True when it answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down
    }
}

/// Runs commands one after the other; stops after the first error reply.
pub fn commands(
    _state: &mut State,
    _site: &SiteName,
    _endpoint: &RedisEndpoint,
    _commands: &[Vec<String>],
) -> (Vec<RedisReply>, Duration) {
    (Vec::new(), Duration::ZERO)
}

/// Puts into a site what the world begins with.
pub fn fill(_state: &mut State, _site: &SiteName) {}

/// One write that users of the application make, the `number`th of the world; true when it was acknowledged.
pub fn write(_state: &mut State, _site: &SiteName, _number: u64) -> bool {
    false
}

/// Counts what a site holds.
pub fn count(_state: &State, _site: &SiteName, _counts: &mut Counts) {}

/// Tells everything that a site holds, content included.
pub fn truth(_state: &State, _site: &SiteName, _truth: &mut Truth) {}
