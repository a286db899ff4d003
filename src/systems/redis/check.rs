//! `redis.check`: the light of a Redis service.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::RedisSettings;
use super::client::look;
use super::info::{Info, ReplicaLine, Role};
use super::leader::find;
use crate::model::{ByteSize, Counted, Failure, SafeText, Span};
use crate::systems::{Step, StepContext, StepDone};

/// Looks at the configured server, and at its master when it is a replica.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedisCheck {}

#[async_trait]
impl Step for RedisCheck {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings = RedisSettings::of(cx)?;
        Ok(vec![format!("{}:{}> INFO", settings.address, settings.port).into()])
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings = RedisSettings::of(cx)?;
        let endpoint = settings.endpoint(cx).await?;
        let leader = find(cx, &endpoint).await?;
        let mut done = StepDone::new();
        let master = leader.endpoint.to_string();
        let keys = leader.info.keys_in(settings.database);
        cx.say(format!(
            "{master} is the master (version {}): {keys} keys in {}, {}, replicas: {}",
            leader.info.version,
            settings.scope(),
            leader.info.memory.map_or_else(|| "memory unknown".to_owned(), |used| format!("{} used", ByteSize(used))),
            leader.info.replicas.len(),
        ));
        for problem in master_problems(&leader.info).into_iter().chain(missing(&leader.info, settings.replicas)) {
            done = done.warn(format!("{master}: {problem}"));
        }
        for problem in loading(&leader.info).into_iter().chain(unsaved(&leader.info)) {
            done = done.warn(format!("{master}: {problem}"));
        }
        for replica in &leader.passed {
            let info = look(cx, replica).await?;
            match &info.role {
                Role::Replica { linked: true, .. } => cx.say(format!("{replica} is a replica and its link is up")),
                Role::Replica { .. } => {
                    done = done.warn(format!("{replica} is a replica and its link to the master is down"));
                }
                Role::Master => done = done.warn(format!("{replica} has just become a master")),
            }
        }
        Ok(done
            .capture("role", if leader.passed.is_empty() { "master" } else { "replica" })
            .capture("leader", master)
            .capture("replicas", leader.info.replicas.len())
            .capture("keys", keys)
            .capture("memory", leader.info.memory)
            .capture("version", leader.info.version))
    }
}

/// A replica that has said nothing for longer is gone, or will be as soon as its master notices: after a minute, unless told
/// otherwise.
const QUIET: u64 = 10;

/// What a person should know about the replicas, as the master sees them.
pub(super) fn master_problems(info: &Info) -> Vec<String> {
    let problem = |replica: &ReplicaLine| {
        let quiet = replica.lag.filter(|lag| *lag > QUIET);
        let what = match (replica.state.as_str(), quiet) {
            ("online", None) => return None,
            ("online", Some(lag)) => format!("has said nothing for {}", Span::seconds(lag)),
            (state, _) => format!("is not online: {state}"),
        };
        Some(format!("replica {}:{} {what}", replica.address, replica.port))
    };
    info.replicas.iter().filter_map(problem).collect()
}

/// That a master has fewer replicas than the estate says.
pub(super) fn missing(info: &Info, wanted: Option<u32>) -> Option<String> {
    let wanted = wanted.filter(|wanted| info.replicas.len() < *wanted as usize)?;
    let listed: Vec<String> = info.replicas.iter().map(|line| format!("{}:{}", line.address, line.port)).collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    Some(format!("{} must follow, and the master lists {listed}", Counted(wanted.into(), "replica", "replicas")))
}

/// That a server is not there yet, because it reads its data set into memory.
pub(super) fn loading(info: &Info) -> Option<String> {
    let left = info.loading_seconds.map_or_else(String::new, |left| format!(", about {} more", Span::seconds(left)));
    info.loading.then(|| format!("it is loading its data set{left}"))
}

/// What of its data set a server could not write to disk.
pub(super) fn unsaved(info: &Info) -> Vec<String> {
    let snapshot = "the last save to disk failed: it refuses writes unless stop-writes-on-bgsave-error is off";
    let log = "the last write to its append-only file failed: it refuses writes until one works again";
    [(info.snapshot_failed, snapshot), (info.log_failed, log)]
        .into_iter()
        .filter(|(failed, _)| *failed)
        .map(|(_, problem)| problem.to_owned())
        .collect()
}
