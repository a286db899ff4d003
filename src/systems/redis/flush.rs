//! `redis.flush`: empties the cache at the master, counts what is left, and sees the replicas follow.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::RedisSettings;
use super::client::{command, info_of, look, refused};
use super::info::{Info, Role};
use super::leader::{Leader, find};
use crate::model::{Failure, FailureKind, SafeText, Span};
use crate::port::{ReachErrorKind, RedisEndpoint, RedisReply};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// How long the server may take to free the memory before that is only reported.
const FREEING: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(500);
/// How often a flush is sent: flushing twice is harmless, and roles may change once while we look.
const TRIES: usize = 3;
/// With fewer keys than this, a live application can have written as many again before we count.
const FEW: u64 = 100;

/// Empties the cache. Keys that a running application writes meanwhile are counted and reported.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedisFlush {
    /// How long the connected replicas may take to follow.
    #[serde(default = "RedisFlush::default_replicas_within")]
    replicas_within: Span,
}

impl RedisFlush {
    const fn default_replicas_within() -> Span {
        Span::seconds(10)
    }
}

#[async_trait]
impl Step for RedisFlush {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings = RedisSettings::of(cx)?;
        let leader = find(cx, &settings.endpoint(cx).await?).await?;
        let commands = flush_commands(&leader.info, settings.database);
        let line = |words: &Vec<String>| format!("{}> {}", leader.endpoint, words.join(" ")).into();
        Ok(commands.iter().map(line).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let settings = RedisSettings::of(cx)?;
        let leader = find(cx, &settings.endpoint(cx).await?).await?;
        let mut report = CheckReport::live().good(found(&leader));
        for problem in super::check::master_problems(&leader.info) {
            report = report.bad(problem);
        }
        let keys = leader.info.keys_in(settings.database);
        Ok(match keys {
            0 => report.good("there are no keys"),
            _ => report.loses(format!(
                "cache {} at {}: {keys} keys in {} of {}",
                cx.service_name()?,
                cx.site()?,
                settings.scope(),
                leader.endpoint
            )),
        })
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings = RedisSettings::of(cx)?;
        let configured = settings.endpoint(cx).await?;
        let (leader, flushed) = flush_at_master(cx, &configured, settings.database).await?;
        let master = &leader.endpoint;
        let (before, after) = (flushed.before.keys_in(settings.database), flushed.after.keys_in(settings.database));
        if before >= FEW && after >= before {
            return Err(Failure::new(
                FailureKind::Mismatch,
                format!("flush {} at {master}", settings.scope()),
                format!("the server said OK, but there were {before} keys before and are {after} now"),
            ));
        }
        cx.say(format!("flushed {} at {master}: {before} keys removed", settings.scope()));
        let mut done = StepDone::new();
        self.see_replicas_follow(cx, &leader, &flushed.after, before).await?;
        if let Some(left) = wait_until_freed(cx, master, flushed.after.pending_free).await? {
            done = done.warn(format!("{master} is still freeing memory: {left} objects to go; the keys are gone"));
        }
        let now = look(cx, master).await?.keys_in(settings.database);
        if now > 0 {
            cx.say(format!("{now} keys were written since: the application is live"));
        }
        Ok(done.capture("keys_removed", before).capture("keys_now", now).capture("leader", master.to_string()))
    }

    async fn undo(&self, _cx: &StepContext) -> Result<StepDone, Failure> {
        Ok(StepDone::nothing_to_do("a cache fills again by itself"))
    }
}

/// What the server said right before and right after the flush.
struct Flushed {
    before: Info,
    after: Info,
}

/// Finds the master and flushes it; looks again when the roles change meanwhile.
async fn flush_at_master(
    cx: &StepContext,
    configured: &RedisEndpoint,
    database: Option<u32>,
) -> Result<(Leader, Flushed), Failure> {
    let mut round = 1;
    loop {
        let leader = find(cx, configured).await?;
        cx.say(found(&leader));
        let tried = format!("flush {}", leader.endpoint);
        cx.check_cancelled(&tried)?;
        if let Some(database) = database {
            has_database(cx, &leader.endpoint, database).await?;
        }
        let commands = flush_commands(&leader.info, database);
        // Not raced against a stop: it is one short exchange, and dropping it would leave its effect unknown.
        let replies = match cx.reach.redis(&leader.endpoint, &commands).await {
            Ok(replies) => replies,
            Err(error) if error.kind == ReachErrorKind::Lost && round < TRIES => {
                cx.say(format!("the answer of {} was lost; flushing twice is harmless, again", leader.endpoint));
                round += 1;
                continue;
            }
            Err(error) => return Err(error.while_changing("flush Redis")),
        };
        let readonly = |reply: &RedisReply| matches!(reply, RedisReply::Error(text) if text.starts_with("READONLY"));
        if replies.iter().any(readonly) && round < TRIES {
            cx.say(format!("{} has become a replica; looking for its master", leader.endpoint));
            round += 1;
            continue;
        }
        return read_replies(&replies, &commands, &tried).map(|flushed| (leader, flushed));
    }
}

/// Makes sure that the server has the database. A flush behind a refused `SELECT` would empty database 0: the port promises
/// not to send it, and this is the second lock on the same door.
async fn has_database(cx: &StepContext, master: &RedisEndpoint, database: u32) -> Result<(), Failure> {
    let select = command(&["SELECT", &database.to_string()]);
    let tried = format!("select database {database}");
    let replies = cx.reach.redis(master, &[select]).await.map_err(|error| error.while_reading(&tried))?;
    match replies.as_slice() {
        [RedisReply::Status(word)] if word == "OK" => Ok(()),
        [RedisReply::Error(message)] => Err(refused(&format!("{tried} at {master}"), message)),
        other => Err(Failure::new(FailureKind::Refused, format!("{tried} at {master}"), format!("answer {other:?}"))),
    }
}

/// `INFO`, the flush, and `INFO` again, on one connection. A `SELECT` stands first: the port sends nothing behind a
/// refused command.
pub(super) fn flush_commands(info: &Info, database: Option<u32>) -> Vec<Vec<String>> {
    let mut flush = command(&[if database.is_some() { "FLUSHDB" } else { "FLUSHALL" }]);
    if info.frees_in_background() {
        flush.push("ASYNC".to_owned());
    }
    let select = database.map(|database| command(&["SELECT", &database.to_string()]));
    select.into_iter().chain([command(&["INFO"]), flush, command(&["INFO"])]).collect()
}

fn read_replies(replies: &[RedisReply], commands: &[Vec<String>], tried: &str) -> Result<Flushed, Failure> {
    for (reply, command) in replies.iter().zip(commands) {
        if let RedisReply::Error(message) = reply {
            return Err(refused(&format!("{tried} with {}", command.join(" ")), message));
        }
    }
    let [.., before, answer, after] = replies else {
        return Err(Failure::new(FailureKind::Unknown, tried, format!("{} answers are missing", commands.len())));
    };
    if replies.len() != commands.len() || *answer != RedisReply::Status("OK".to_owned()) {
        return Err(Failure::new(FailureKind::Unknown, tried, format!("an answer that is not OK: {answer:?}")));
    }
    // The flush is done; if the count behind it cannot be read, nobody knows what is left.
    let unknown = |failure: Failure| Failure { kind: FailureKind::Unknown, ..failure };
    Ok(Flushed {
        before: info_of(Some(before), tried).map_err(unknown)?,
        after: info_of(Some(after), tried).map_err(unknown)?,
    })
}

fn found(leader: &Leader) -> String {
    match leader.passed.first() {
        Some(configured) => format!("{configured} is a replica; its master is {}", leader.endpoint),
        None => format!("{} is the master", leader.endpoint),
    }
}

impl RedisFlush {
    /// Waits until every replica that was connected at the flush, and every replica that was asked on the way to the
    /// master, has applied it.
    async fn see_replicas_follow(
        &self,
        cx: &StepContext,
        leader: &Leader,
        at_flush: &Info,
        removed: u64,
    ) -> Result<(), Failure> {
        let doing = "wait for the replicas to follow the flush";
        let deadline = tokio::time::Instant::now() + self.replicas_within.0;
        loop {
            let master = look(cx, &leader.endpoint).await?;
            if master.history != at_flush.history || master.role != Role::Master {
                return Err(Failure::new(
                    FailureKind::Mismatch,
                    doing,
                    format!("{} is no longer the master it was at the flush", leader.endpoint),
                )
                .hint("roles changed meanwhile; run the flush again"));
            }
            let mut late = late_replicas(at_flush, &master);
            for replica in &leader.passed {
                let own = look(cx, replica).await?;
                if !has_followed(&own, at_flush) {
                    late.push(format!("{replica} (at offset {} of {})", own.offset, at_flush.offset));
                }
            }
            let total = (at_flush.replicas.len() + leader.passed.len()) as u64;
            cx.progress(total.saturating_sub(late.len() as u64), Some(total), "replicas");
            if late.is_empty() {
                cx.say(match master.replicas.len() {
                    0 => "no replica is connected".to_owned(),
                    1 => "the one connected replica has followed".to_owned(),
                    count => format!("{count} connected replicas have followed"),
                });
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                let (at, within) = (&leader.endpoint, self.replicas_within);
                return Err(Failure::new(
                    FailureKind::Mismatch,
                    doing,
                    format!("{removed} keys are gone at {at}, but after {within} not at {}", late.join(", ")),
                )
                .hint("look at that replica's link to its master; flushing again is harmless"));
            }
            cx.sleep(POLL, doing).await?;
        }
    }
}

/// The replicas that have not applied the flush, by what they have acknowledged to the master (about once a second).
///
/// They are not asked themselves: the addresses that a master knows may mean nothing, or another server, from here. An
/// acknowledged offset has been applied, so that this is late by a second at most, and never early.
pub(super) fn late_replicas(at_flush: &Info, master: &Info) -> Vec<String> {
    let missing = at_flush.replicas.len().saturating_sub(master.replicas.len());
    let mut late: Vec<String> = master
        .replicas
        .iter()
        .filter(|line| line.state != "online" || line.offset < at_flush.offset)
        .map(|line| {
            format!("{}:{} ({}, at offset {} of {})", line.address, line.port, line.state, line.offset, at_flush.offset)
        })
        .collect();
    if missing > 0 {
        late.push(format!("{missing} replicas that have lost their connection"));
    }
    late
}

/// True when a replica, by its own word, has applied everything up to the flush.
pub(super) fn has_followed(own: &Info, at_flush: &Info) -> bool {
    matches!(own.role, Role::Replica { linked: true, .. })
        && own.history == at_flush.history
        && own.offset >= at_flush.offset
}

/// Waits until the server has freed what it flushed. Returns how many objects are left when it takes too long.
async fn wait_until_freed(
    cx: &StepContext,
    master: &RedisEndpoint,
    at_flush: Option<u64>,
) -> Result<Option<u64>, Failure> {
    let total = at_flush.unwrap_or(0);
    let mut left = total;
    let deadline = tokio::time::Instant::now() + FREEING;
    while left > 0 {
        if tokio::time::Instant::now() >= deadline {
            return Ok(Some(left));
        }
        cx.progress(total.saturating_sub(left), Some(total), "objects");
        cx.sleep(POLL, "wait until the memory is freed").await?;
        left = look(cx, master).await?.pending_free.unwrap_or(0);
    }
    Ok(None)
}
