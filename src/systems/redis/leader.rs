//! Finding the master, starting at any server of its group.

use super::client::look;
use super::info::{Info, Role};
use crate::model::{Failure, FailureKind};
use crate::port::RedisEndpoint;
use crate::systems::StepContext;

/// Chains of replicas longer than this are not followed.
const HOPS: usize = 4;

/// The master and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leader {
    /// Where it is.
    pub(super) endpoint: RedisEndpoint,
    /// What it says about itself.
    pub(super) info: Info,
    /// The replicas that were asked on the way, the configured one first. Empty when the configured server is the
    /// master.
    pub(super) passed: Vec<RedisEndpoint>,
}

/// Follows `master_host` and `master_port` from the configured server to the server that takes writes.
///
/// # Errors
/// When a server on the way cannot be asked, when the chain is endless, when what answers at the master's address is
/// not the server the replica follows, and when the server is part of a cluster or a sentinel.
pub(super) async fn find(cx: &StepContext, configured: &RedisEndpoint) -> Result<Leader, Failure> {
    let mut endpoint = configured.clone();
    let mut passed: Vec<RedisEndpoint> = Vec::new();
    let mut info = look(cx, &endpoint).await?;
    loop {
        single(&endpoint, &info)?;
        let Role::Replica { host, port, linked } = &info.role else {
            return Ok(Leader { endpoint, info, passed });
        };
        let next = RedisEndpoint { address: seen_from_here(host, &endpoint.address), port: *port, ..endpoint.clone() };
        let tried = format!("find the master of {configured}");
        if passed.len() == HOPS || next == endpoint || passed.contains(&next) {
            return Err(Failure::new(
                FailureKind::Refused,
                tried,
                format!("{endpoint} says it follows {next}: no end"),
            )
            .hint("the replicas follow each other and none takes writes; put that right first"));
        }
        let above = look(cx, &next).await.map_err(|failure| {
            failure.hint(format!(
                "{endpoint} is a replica and names {next} as its master; if the master has another address here, \
                 name it in the estate"
            ))
        })?;
        if above.history != info.history {
            let got = format!("the server at {next} is not the one that {endpoint} follows: their histories differ");
            return Err(if *linked {
                Failure::new(FailureKind::Refused, tried, got)
                    .hint(format!("{next} means another server here; name the master in the estate"))
            } else {
                Failure::new(FailureKind::Busy, tried, format!("{got}, and the link between them is down"))
                    .hint(format!("see why {endpoint} has no link to its master, or name the master in the estate"))
            });
        }
        passed.push(std::mem::replace(&mut endpoint, next));
        info = above;
    }
}

/// A replica that follows its own loopback has its master beside it, at its own address.
fn seen_from_here(host: &str, replica: &str) -> String {
    if matches!(host, "127.0.0.1" | "::1" | "localhost") { replica.to_owned() } else { host.to_owned() }
}

fn single(endpoint: &RedisEndpoint, info: &Info) -> Result<(), Failure> {
    let hint = match info.mode.as_str() {
        "cluster" => "one master of a Redis Cluster holds only a part of the keys; flush each with its own service",
        "sentinel" => "a sentinel holds no keys; name a server in the estate",
        _ => return Ok(()),
    };
    let got = format!("it runs in {} mode", info.mode);
    Err(Failure::new(FailureKind::Refused, format!("use Redis at {endpoint}"), got).hint(hint))
}
