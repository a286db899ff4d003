//! The light of a Redis service: the master found from the configured server, its replicas, what it could load and save,
//! memory and evictions.

use std::time::Duration;

use async_trait::async_trait;

use super::RedisSettings;
use super::check::{loading, master_problems, missing, unsaved};
use super::client::look;
use super::info::{Info, Role};
use super::leader::{Leader, find};
use crate::model::{ByteSize, Counted, Failure, FailureKind, Span};
use crate::port::{Place, RedisEndpoint};
use crate::systems::probe::behind;
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// How long the servers may take; the rest of the deadline is for finding out whether the host before them is there.
const ANSWER: Duration = Duration::from_secs(5);
/// Memory beyond so many percent of the limit is worth a look.
const CROWDED: f64 = 95.0;

/// The questions a Redis service is asked.
pub(super) fn probes() -> Vec<ProbeEntry> {
    vec![ProbeEntry::new("server", Server).within(8)]
}

/// Role, link, memory, evictions, keys.
#[derive(Debug)]
struct Server;

#[async_trait]
impl Probe for Server {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let settings = RedisSettings::of(cx)?;
        let endpoint = settings.endpoint(cx).await?;
        let failure = match tokio::time::timeout(ANSWER, survey(cx, &endpoint)).await {
            Ok(Ok((leader, passed))) => return Ok(judge(&settings, &endpoint, &leader, &passed)),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new(
                FailureKind::Unreachable,
                format!("read the state of Redis at {endpoint}"),
                format!("no answer within {}", Span(ANSWER)),
            ),
        };
        match &endpoint.through {
            Some((site, host)) => Err(behind(cx, &Place::Host(site.clone(), host.clone()), failure).await),
            None => Err(failure),
        }
    }
}

/// The master, and what the replicas on the way to it say.
async fn survey(cx: &StepContext, endpoint: &RedisEndpoint) -> Result<(Leader, Vec<(RedisEndpoint, Info)>), Failure> {
    let leader = find(cx, endpoint).await?;
    let mut passed = Vec::new();
    for replica in &leader.passed {
        passed.push((replica.clone(), look(cx, replica).await?));
    }
    Ok((leader, passed))
}

fn judge(
    settings: &RedisSettings,
    configured: &RedisEndpoint,
    leader: &Leader,
    passed: &[(RedisEndpoint, Info)],
) -> Reading {
    let info = &leader.info;
    let mut reading = Reading::up(configured.to_string());
    if let Some(loading) = loading(info) {
        reading.find(Condition::Down, format!("{}: {loading}", leader.endpoint));
    }
    for problem in unsaved(info) {
        reading.find(Condition::Degraded, format!("{}: {problem}", leader.endpoint));
    }
    for problem in master_problems(info).into_iter().chain(missing(info, settings.replicas)) {
        reading.find(Condition::Degraded, format!("{}: {problem}", leader.endpoint));
    }
    // What the master lists is the last word: a link that only one end believes in brings nothing over.
    if let Some((replica, Info { role: Role::Replica { linked: true, .. }, .. })) = passed.last()
        && info.replicas.is_empty()
    {
        let finding = format!("replica {replica} follows {}, which lists no replica", leader.endpoint);
        reading.find(Condition::Degraded, finding);
    }
    for (replica, info) in passed {
        for problem in loading(info).into_iter().chain(unsaved(info)) {
            reading.find(Condition::Degraded, format!("replica {replica}: {problem}"));
        }
        match &info.role {
            Role::Replica { linked: true, .. } => {}
            Role::Replica { .. } => {
                reading.find(Condition::Degraded, format!("the link of replica {replica} to its master is down"));
            }
            Role::Master => reading.find(Condition::Degraded, format!("{replica} has just become a master")),
        }
    }
    let keys = info.keys_in(settings.database);
    let mut words = vec![
        if leader.passed.is_empty() { "master".to_owned() } else { format!("replica of {}", leader.endpoint) },
        Counted(keys, "key", "keys").to_string(),
    ];
    reading = reading.figure(Figure::whole("keys", keys, Unit::Count));
    if let Some(memory) = info.memory {
        words.push(match info.memory_limit {
            Some(limit) => format!("{} of {}", ByteSize(memory), ByteSize(limit)),
            None => ByteSize(memory).to_string(),
        });
        reading = reading.figure(Figure::whole("memory", memory, Unit::Bytes));
        let share = info.memory_limit.map(|limit| Figure::share("memory used", memory, limit));
        if let Some(share) = share.filter(|share| share.value >= CROWDED) {
            reading.find(Condition::Degraded, format!("{:.0} % of the memory it may use is used", share.value));
        }
    }
    words.push(match info.replicas.len() {
        0 => "no replicas".to_owned(),
        number => Counted::of(number, "replica", "replicas").to_string(),
    });
    reading = reading.figure(Figure::whole("replicas", info.replicas.len() as u64, Unit::Count));
    if let Some(evicted) = info.evicted {
        if evicted > 0 {
            words.push(format!("{evicted} evicted"));
        }
        reading = reading.figure(Figure::whole("evicted", evicted, Unit::Count));
    }
    reading.summed_up(words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SafeText;

    fn info(more: &str) -> Info {
        let text = format!(
            "redis_version:7.0.15\r\nredis_mode:standalone\r\nused_memory:960\r\nmaster_replid:a\r\n\
             master_repl_offset:5\r\n{more}\r\n# Keyspace\r\ndb0:keys=12,expires=0,avg_ttl=0\r\n"
        );
        Info::parse(&text).expect("an answer")
    }

    fn endpoint(address: &str) -> RedisEndpoint {
        RedisEndpoint { address: address.to_owned(), port: 6379, through: None, user: None, password: None }
    }

    #[test]
    fn what_the_servers_say_together() {
        let settings = |replicas: Option<u32>| -> RedisSettings {
            serde_json::from_value(serde_json::json!({"address": "c1", "replicas": replicas})).expect("settings")
        };
        let listed = "role:master\r\nslave0:ip=c2,port=6379,state=online,offset=5,lag=1";
        let replica = |link: &str| {
            info(&format!(
                "role:slave\r\nmaster_host:c1\r\nmaster_port:6379\r\nmaster_link_status:{link}\r\n\
                 master_sync_in_progress:0\r\nslave_repl_offset:5"
            ))
        };
        for (master, passed, condition, said) in [
            ("role:master", None, Condition::Up, ""),
            ("role:master\r\nmaxmemory:1000", None, Condition::Degraded, "96 % of the memory"),
            (
                "role:master\r\nslave0:ip=c2,port=6379,state=wait_bgsave,offset=0,lag=0",
                None,
                Condition::Degraded,
                "is not online",
            ),
            (
                "role:master\r\nslave0:ip=c2,port=6379,state=online,offset=5,lag=34",
                None,
                Condition::Degraded,
                "c1:6379: replica c2:6379 has said nothing for 34s",
            ),
            (
                "role:master\r\nloading:1\r\nloading_eta_seconds:90",
                None,
                Condition::Down,
                "c1:6379: it is loading its data set, about 1m30s more",
            ),
            ("role:master\r\nloading:1", None, Condition::Down, "it is loading its data set"),
            ("role:master\r\nloading:0", None, Condition::Up, ""),
            ("role:master\r\nrdb_last_bgsave_status:err", None, Condition::Degraded, "the last save to disk failed"),
            ("role:master\r\naof_last_write_status:err", None, Condition::Degraded, "append-only file failed"),
            ("role:master\r\nrdb_last_bgsave_status:ok\r\naof_last_write_status:ok", None, Condition::Up, ""),
            (listed, Some(replica("up")), Condition::Up, ""),
            (
                "role:master",
                Some(replica("up")),
                Condition::Degraded,
                "replica c2:6379 follows c1:6379, which lists no",
            ),
            (
                listed,
                Some(replica("up\r\nrdb_last_bgsave_status:err")),
                Condition::Degraded,
                "replica c2:6379: the last save to disk failed",
            ),
            (
                listed,
                Some(replica("up\r\nloading:1")),
                Condition::Degraded,
                "replica c2:6379: it is loading its data set",
            ),
            ("role:master", Some(replica("down")), Condition::Degraded, "link of replica c2:6379"),
        ] {
            let passed: Vec<_> = passed.into_iter().map(|info| (endpoint("c2"), info)).collect();
            let asked = passed.iter().map(|(endpoint, _)| endpoint.clone()).collect();
            let leader = Leader { endpoint: endpoint("c1"), info: info(master), passed: asked };
            let reading = judge(&settings(None), &endpoint("c1"), &leader, &passed);
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert_eq!(reading.condition, condition, "{master}: {found}");
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found} does not say {said}");
            assert_eq!(reading.figures[0], Figure::whole("keys", 12, Unit::Count));
        }
        // How many there must be is known from the estate only.
        for (master, replicas, said) in [
            ("role:master", None, ""),
            ("role:master", Some(0), ""),
            ("role:master", Some(1), "c1:6379: 1 replica must follow, and the master lists none"),
            (listed, Some(1), ""),
            (listed, Some(2), "c1:6379: 2 replicas must follow, and the master lists c2:6379"),
        ] {
            let leader = Leader { endpoint: endpoint("c1"), info: info(master), passed: Vec::new() };
            let reading = judge(&settings(replicas), &endpoint("c1"), &leader, &[]);
            assert_eq!(reading.findings.first().map_or("", SafeText::as_str), said);
            assert_eq!(reading.condition, if said.is_empty() { Condition::Up } else { Condition::Degraded });
        }
    }
}
