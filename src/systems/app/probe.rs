//! The light of the application: its health on every host, its version, its leader.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::AppSettings;
use super::check::Look;
use super::leader::{self, Leader};
use crate::model::{Failure, FailureKind};
use crate::port::HttpRequest;
use crate::systems::certificate::{self, TlsAddress};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// How long one host, or the service that names the leader, may take: it must not hide what the others say.
const ANSWER: Duration = Duration::from_secs(4);

/// The questions the application is asked: none when the estate says no way to ask.
pub(super) fn probes(settings: &Map<String, Value>) -> Vec<ProbeEntry> {
    let can_be_asked = ["health", "manager"].iter().any(|way| settings.contains_key(*way));
    let mut probes = if can_be_asked { vec![ProbeEntry::new("nodes", Nodes).within(6)] } else { Vec::new() };
    let health = settings.get("health").and_then(|health| health.get("url"));
    let written = health.into_iter().chain(settings.get("leader_url")).filter_map(Value::as_str);
    probes.extend(certificate::probe(written, tls_addresses));
    probes
}

/// The health address of every host, and the one that names the leader.
fn tls_addresses(cx: &StepContext) -> Result<Vec<TlsAddress>, Failure> {
    let settings: AppSettings = cx.settings()?;
    let site = cx.site()?;
    let mut requests: Vec<HttpRequest> = leader::request(cx, &settings)?.into_iter().collect();
    if let Some(health) = &settings.health {
        for (host, _) in cx.estate.hosts_with_role(site, Some(&settings.role)) {
            requests.push(health.request(cx, host)?);
        }
    }
    Ok(requests.into_iter().map(|HttpRequest { url, ca_pem, .. }| TlsAddress { url, ca_pem }).collect())
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
        let (site, problems) = (cx.site()?.as_str(), look.problems(cx));
        // A manager is asked on its host: without a way to any of them nothing is known of the application.
        if settings.health.is_none() && look.hosts.iter().all(|(_, answer)| answer.silent) {
            let tried = format!("ask what keeps the application running at {site}");
            return Err(Failure::new(FailureKind::Unknown, tried, problems.join("\n")));
        }
        Ok(judge(&look, &problems, leader.as_ref(), site))
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
    reading
        .figure(Figure::whole("healthy", healthy as u64, Unit::Count))
        .figure(Figure::whole("hosts", total as u64, Unit::Count))
        .summed_up(words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::health::Answer;
    use super::*;
    use crate::model::{HostName, SafeText};
    use crate::port::ReachErrorKind;
    use crate::port::fake::Answer as Said;
    use crate::systems::fake::Bench;

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

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_refused_is_ill_itself_and_hides_no_other() {
        let untrusted = Said::error(ReachErrorKind::Denied, "invalid peer certificate: UnknownIssuer");
        let well = Said::json(200, serde_json::json!({"status": "up", "version": "4.2"}));
        for (answers, condition, summary) in [
            ([&untrusted, &well], Condition::Degraded, "1 of 2 healthy, version 4.2"),
            ([&untrusted, &untrusted], Condition::Down, "0 of 2 healthy"),
        ] {
            let bench = Bench::new(
                r#"
[services.app]
kind = "app"
role = "app"
health = { url = "https://{{ host.name }}/health" }
"#,
            )
            .service("app");
            for (host, answer) in ["app1", "app2"].iter().zip(answers) {
                bench.reach.always(&format!("https://{host}/health"), answer.clone());
            }
            let reading = Nodes.look(&bench.cx).await.expect("a reading");
            assert_eq!((reading.condition, reading.summary.as_str()), (condition, summary));
            let refused = answers.iter().filter(|answer| matches!(answer, Said::Error(_))).count();
            assert_eq!(reading.findings.len(), refused, "{:?}", reading.findings);
            let said = reading.findings[0].as_str();
            assert!(said.starts_with("prod:app1: ") && said.contains("UnknownIssuer"), "{said}");
        }
    }

    /// Two hosts with a manager and no health address: what is seen of them.
    async fn managed(answers: [Option<Said>; 2]) -> Result<Reading, Failure> {
        let bench = Bench::new(
            r#"
[services.app]
kind = "app"
role = "app"
manager = { kind = "systemd", unit = "shop.service" }
"#,
        )
        .service("app");
        let site = bench.cx.site().expect("a site");
        let hosts: Vec<_> = bench.cx.estate.hosts_with_role(site, Some("app")).map(|(name, _)| name.clone()).collect();
        assert_eq!(hosts.len(), answers.len(), "{hosts:?}");
        for (host, answer) in hosts.iter().zip(answers) {
            let nobody = Said::error(ReachErrorKind::Unreachable, "no connection within 6s");
            bench.reach.always(&format!("{host} $"), answer.unwrap_or(nobody));
        }
        let settings: Map<String, Value> = bench.cx.settings().expect("settings");
        let entry = probes(&settings).into_iter().find(|entry| entry.question == "nodes").expect("a way to ask");
        entry.probe.look(&bench.cx).await
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_way_to_any_host_nothing_is_known_of_what_its_manager_keeps() {
        let show = |active: &str| {
            let text = format!("LoadState=loaded\nActiveState={active}\nSubState=x\nResult=success\nMainPID=7\n");
            Said::stdout(&text)
        };
        let nothing = managed([None, None]).await.expect_err("nobody answers");
        assert!(nothing.is_unknown() && nothing.got.as_str().contains("no connection within 6s"), "{nothing}");
        let hangs = managed([Some(Said::Hang), Some(Said::Hang)]).await.expect_err("nobody answers");
        assert!(hangs.is_unknown() && hangs.got.as_str().contains("did not answer within 4s"), "{hangs}");
        for (answers, condition) in [
            ([Some(show("active")), Some(show("active"))], Condition::Up),
            ([Some(show("active")), None], Condition::Degraded),
            ([Some(show("failed")), None], Condition::Down),
        ] {
            let reading = managed(answers).await.expect("a host answers");
            assert_eq!(reading.condition, condition, "{:?}", reading.findings);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_certificates_of_every_host_and_of_the_leader_service_are_looked_at() {
        let bench = Bench::new(
            r#"
[services.app]
kind = "app"
prod = { role = "app", leader_url = "https://leader", health = { url = "https://{{ host.name }}/health", ca_pem = "OURS" } }
bcp = { role = "app", health = { url = "http://{{ host.name }}/health" } }
"#,
        )
        .service("app");
        bench.reach.always("certificate of", Said::certificate("2027-01-01T00:00:00Z"));
        let settings: Map<String, Value> = bench.cx.settings().expect("settings");
        let entry = probes(&settings).into_iter().find(|entry| entry.question == "certificate").expect("HTTPS");
        let reading = entry.probe.look(&bench.cx).await.expect("a reading");
        assert_eq!(reading.condition, Condition::Up);
        let asked = bench.reach.texts();
        let hosts = bench.cx.estate.hosts_with_role(bench.cx.site().expect("a site"), Some("app")).count();
        assert!(hosts > 0 && asked.len() == hosts + 1, "{asked:?}");
        assert!(asked.contains(&"certificate of https://leader".to_owned()), "{asked:?}");
    }
}
