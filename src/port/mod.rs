//! What the core needs from the world, as traits and plain data: reaching hosts and servers, time, and a place to
//! keep what happened.
//!
//! The real world is `transport` (and `journal`); the simulated one is a second implementation of the same traits.
//! Everything that touches the world goes through here, time and randomness included, so that one seed replays a run.
//! Commands, requests and statements are values here; only an implementation turns them into text.

mod clock;
mod command;
#[cfg(test)]
pub(crate) mod fake;
mod http;
mod job;
mod reach;
mod redis;
mod sink;
mod sql;

pub use clock::Clock;
pub(crate) use command::complaint;
pub use command::{Arg, Command, ExecOutput, Exit, Pipeline, SecretFile};
pub use http::{Certificate, CertificateLook, HttpAuth, HttpRequest, HttpResponse, Method};
pub use job::{JobCancel, JobId, JobPoll, JobStart, JobState, Look};
pub use reach::{Place, Reach, ReachError, ReachErrorKind};
pub use redis::{RedisEndpoint, RedisReply};
pub use sink::{Archive, RunRecord, Sink, SinkError};
pub use sql::{SqlAddress, SqlEndpoint, SqlRow, SqlRows, SqlStatement, SqlValue};
