//! The light of the application: its health on every host, its version, its leader.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::AppSettings;
use super::check::Look;
use super::leader::{self, Leader};
use crate::model::Failure;
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// How long one host, or the service that names the leader, may take: it must not hide what the others say.
const ANSWER: Duration = Duration::from_secs(4);

/// The questions the application is asked: none when the estate says no way to ask.
pub(super) fn probes(settings: &Map<String, Value>) -> Vec<ProbeEntry> {
    let can_be_asked = ["health", "manager"].iter().any(|way| settings.contains_key(*way));
    if can_be_asked { vec![ProbeEntry::new("nodes", Nodes).within(6)] } else { Vec::new() }
}

/// Health per host, version, leader.
#[derive(Debug)]
struct Nodes;

#[async_trait]
impl Probe for Nodes {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let settings: AppSettings = cx.settings()?;
        let leader = tokio::time::timeout(ANSWER, leader::ask(cx, &settings));
        let (look, leader) = tokio::join!(Look::within(cx, &settings, ANSWER), leader);
        let (look, leader) = (look?, leader.unwrap_or_else(|_| Ok(Some(Leader::Nobody("no answer".to_owned()))))?);
        Ok(judge(&look, &look.problems(cx), leader.as_ref(), cx.site()?.as_str()))
    }
}

fn judge(look: &Look, problems: &[String], leader: Option<&Leader>, site: &str) -> Reading {
    let (healthy, total) = (look.healthy().len(), look.hosts.len());
    let mut reading = Reading::up(format!("the application at {site}"));
    for problem in problems {
        reading.find(if healthy == 0 { Condition::Down } else { Condition::Degraded }, problem);
    }
    for (host, answer) in &look.hosts {
        for part in &answer.limping {
            reading.find(Condition::Degraded, format!("{site}:{host} answers, but {part}"));
        }
    }
    let mut words = vec![format!("{healthy} of {total} healthy")];
    match leader {
        Some(Leader::Named(name, Some(_))) => words.push(format!("led by {name}")),
        Some(Leader::Named(name, None)) => {
            reading.find(Condition::Degraded, format!("leader {name} is no application host of {site}"));
            words.push(format!("led by {name}"));
        }
        Some(Leader::Nobody(why)) => {
            reading.find(Condition::Degraded, format!("no leader: {why}"));
            words.push("no leader".to_owned());
        }
        None => {}
    }
    let versions = look.versions();
    if versions.len() > 1 {
        reading.find(Condition::Degraded, format!("the hosts run different versions: {}", versions.join(", ")));
    }
    if !versions.is_empty() {
        words.push(format!("version {}", versions.join(", ")));
    }
    let raw: Vec<String> = look.hosts.iter().map(|(host, answer)| format!("{host}: {answer:?}")).collect();
    reading
        .figure(Figure::whole("healthy", healthy as u64, Unit::Count))
        .figure(Figure::whole("hosts", total as u64, Unit::Count))
        .summed_up(words.join(", "))
        .answered(&raw.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::health::Answer;
    use super::*;
    use crate::model::{HostName, SafeText};

    fn answer(problem: Option<&str>, limping: &[&str], version: &str) -> Answer {
        Answer {
            problem: problem.map(str::to_owned),
            limping: limping.iter().map(|&part| part.to_owned()).collect(),
            version: Some(version.to_owned()),
            silent: false,
        }
    }

    #[test]
    fn what_the_hosts_say_together() {
        let named = |name: &str, known| Leader::Named(name.to_owned(), known);
        let app1 = || HostName::new("app1").expect("a name");
        let well = || answer(None, &[], "4.2");
        let ill = || answer(Some("status 503"), &[], "4.2");
        for (hosts, leader, condition, said) in [
            ([well(), well()], Some(named("app1", Some(app1()))), Condition::Up, ""),
            ([well(), well()], None, Condition::Up, ""),
            ([well(), ill()], None, Condition::Degraded, "status 503"),
            ([ill(), ill()], None, Condition::Down, "status 503"),
            (
                [well(), answer(None, &["stores/sql: down"], "4.2")],
                None,
                Condition::Degraded,
                "app2 answers, but stores/sql",
            ),
            ([well(), answer(None, &[], "4.3")], None, Condition::Degraded, "different versions: 4.2, 4.3"),
            ([well(), well()], Some(named("app9", None)), Condition::Degraded, "app9 is no application host"),
            ([well(), well()], Some(Leader::Nobody("503".to_owned())), Condition::Degraded, "no leader: 503"),
        ] {
            let names = ["app1", "app2"].map(|name| HostName::new(name).expect("a name"));
            let look = Look { hosts: names.into_iter().zip(hosts).collect() };
            let problems: Vec<String> = look.hosts.iter().filter_map(|(_, answer)| answer.problem.clone()).collect();
            let reading = judge(&look, &problems, leader.as_ref(), "prod");
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert_eq!(reading.condition, condition, "{leader:?}: {found}");
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found} does not say {said}");
        }
    }
}
