//! The room of `redis`: a cache that need not be saved. Looks at it, and empties it at the master.
//!
//! Speaks the protocol itself and never starts `redis-cli`, whose exit code is 0 also when the reply is an error.
//! A single master with any number of replicas; a Redis Cluster is refused, because one master there holds only a part.

mod check;
mod client;
mod flush;
mod info;
mod leader;
mod probe;
mod settings;
#[cfg(test)]
mod tests;

use super::{Effect, KindEntry, step_kind};
use check::RedisCheck;
use flush::RedisFlush;
pub use settings::{RedisSettings, RedisVia};

const KIND: &str = "redis";

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    vec![
        step_kind::<RedisCheck>("redis.check", "Look at Redis: role, replicas, memory, keys").service(KIND),
        step_kind::<RedisFlush>("redis.flush", "Empty the Redis cache at the master and see the replicas follow")
            .service(KIND)
            .effect(Effect::Destroys),
    ]
}

/// The service kind of this room.
#[must_use]
pub fn service() -> super::ServiceKind {
    super::service_kind::<RedisSettings>(KIND, "A Redis cache: one master and its replicas").probed(|_| probe::probes())
}
