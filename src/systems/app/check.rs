//! `app.check` and `app.healthy`: the health of the application on every host of a site.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;

use super::AppSettings;
use super::health::Answer;
use super::leader::{self, Leader};
use super::manager::Phase;
use crate::model::{End, Failure, FailureKind, HostName, SafeText, Span};
use crate::systems::{Step, StepContext, StepDone};

/// Between two looks at all hosts.
const POLL: Duration = Duration::from_secs(2);

/// Looks once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppCheck {
    /// Which hosts must be healthy: `all`, `one` (any), or `leader` (the one that leads). When left out: one at the
    /// source, all at the target. Every host is reported in any case.
    #[serde(default)]
    require: Option<Require>,
}

/// Which hosts must be healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Require {
    /// Every one.
    All,
    /// Any one.
    One,
    /// The leader.
    Leader,
}

/// Looks until all are healthy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppHealthy {
    /// How long it may take; the `within` of the service's health when left out.
    #[serde(default)]
    within: Option<Span>,
}

/// One look at all hosts.
pub(super) struct Look {
    pub(super) hosts: Vec<(HostName, Answer)>,
}

impl Look {
    async fn at(cx: &StepContext, settings: &AppSettings) -> Result<Self, Failure> {
        let hosts = settings.hosts(cx)?;
        let asked = join_all(hosts.into_iter().map(async |host| {
            let answer = ask(cx, settings, &host).await?;
            Ok::<_, Failure>((host, answer))
        }));
        Ok(Self { hosts: asked.await.into_iter().collect::<Result<_, _>>()? })
    }

    /// The same, but a host that does not answer within `patience`, or cannot be asked because it is refused, counts as
    /// ill itself and hides nothing that the others say.
    pub(super) async fn within(cx: &StepContext, settings: &AppSettings, patience: Duration) -> Result<Self, Failure> {
        let hosts = settings.hosts(cx)?;
        let asked = join_all(hosts.into_iter().map(async |host| {
            let answer = match tokio::time::timeout(patience, ask(cx, settings, &host)).await {
                Ok(Err(failure)) if failure.kind == FailureKind::Refused => Answer::refused(&failure),
                Ok(answer) => answer?,
                Err(_) => Answer::silent(format!("it did not answer within {}", Span(patience))),
            };
            Ok::<_, Failure>((host, answer))
        }));
        Ok(Self { hosts: asked.await.into_iter().collect::<Result<_, _>>()? })
    }

    /// The versions that the hosts run.
    pub(super) fn versions(&self) -> Vec<&str> {
        let versions: BTreeSet<&str> = self.hosts.iter().filter_map(|(_, answer)| answer.version.as_deref()).collect();
        versions.into_iter().collect()
    }

    pub(super) fn healthy(&self) -> Vec<&str> {
        self.hosts.iter().filter(|(_, answer)| answer.problem.is_none()).map(|(host, _)| host.as_str()).collect()
    }

    fn is_healthy(&self, host: &HostName) -> bool {
        self.healthy().contains(&host.as_str())
    }

    pub(super) fn problems(&self, cx: &StepContext) -> Vec<String> {
        let name = |host: &HostName| cx.site().map_or_else(|_| host.to_string(), |site| format!("{site}:{host}"));
        let problem = |(host, answer): &(HostName, Answer)| {
            answer.problem.as_ref().map(|problem| format!("{}: {problem}", name(host)))
        };
        self.hosts.iter().filter_map(problem).collect()
    }
}

/// Whether the application is well on a host: by its health address, or where it has none, by the service manager.
async fn ask(cx: &StepContext, settings: &AppSettings, host: &HostName) -> Result<Answer, Failure> {
    if let Some(health) = &settings.health {
        return health.ask(cx, host).await;
    }
    let Some(manager) = &settings.manager else {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("look at the application on {host}"),
            "the estate gives it neither `health` nor `manager`",
        )
        .hint("give the service a health address: `health = { url = \"http://{{ host.address }}:8080/health\" }`"));
    };
    let (said, runs) = match manager.look(cx, &cx.place_of(host)?).await {
        Ok(Ok(seen)) => (format!("{manager} is {}", seen.said), seen.phase == Phase::Running),
        Ok(Err(said)) => (format!("{manager} does not tell its state: {said}"), false),
        Err(failure) if failure.kind == FailureKind::Unreachable => return Ok(Answer::silent(failure.got.to_string())),
        Err(failure) => return Err(failure),
    };
    let problem = (!runs).then_some(said);
    Ok(Answer { problem, limping: Vec::new(), version: None, silent: false })
}

#[async_trait]
impl Step for AppCheck {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let mut lines = preview(cx)?;
        lines.extend(cx.settings::<AppSettings>()?.leader_url.map(|url| format!("GET {url}").into()));
        Ok(lines)
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings: AppSettings = cx.settings()?;
        let site = cx.site()?;
        let look = Look::at(cx, &settings).await?;
        let leader = leader::ask(cx, &settings).await?;
        let healthy = look.healthy();
        for (host, answer) in &look.hosts {
            match &answer.problem {
                None => {
                    let version = answer.version.as_ref().map_or_else(String::new, |v| format!(", version {v}"));
                    cx.say(format!("{site}:{host} is healthy{version}"));
                }
                Some(problem) => cx.say(format!("{site}:{host} is NOT healthy: {problem}")),
            }
        }
        match &leader {
            Some(Leader::Named(name, _)) => cx.say(format!("{site} is led by {name}")),
            Some(Leader::Nobody(why)) => cx.say(format!("{site} has no leader: {why}")),
            None => {}
        }
        let require = self.require.unwrap_or(if cx.end == Some(End::Source) { Require::One } else { Require::All });
        let enough = match (require, &leader) {
            (Require::All, _) => healthy.len() == look.hosts.len(),
            (Require::One, _) => !healthy.is_empty(),
            (Require::Leader, Some(Leader::Named(_, Some(host)))) => look.is_healthy(host),
            (Require::Leader, _) => false,
        };
        let mut problems = look.problems(cx);
        match &leader {
            Some(Leader::Named(name, None)) => problems.push(format!("leader {name} is no application host of {site}")),
            Some(Leader::Nobody(why)) => problems.push(format!("no leader: {why}")),
            None if require == Require::Leader => problems.push("the estate gives no `leader_url`".to_owned()),
            _ => {}
        }
        if !enough {
            return Err(unwell(&look, site.as_str(), &problems));
        }
        let versions = look.versions();
        let mut done = problems.iter().fold(StepDone::new(), StepDone::warn);
        for (host, answer) in &look.hosts {
            for part in &answer.limping {
                done = done.warn(format!("{site}:{host} answers, but {part}"));
            }
        }
        if versions.len() > 1 {
            done = done.warn(format!("the hosts of {site} run different versions: {}", versions.join(", ")));
        }
        let hosts: Vec<&str> = look.hosts.iter().map(|(host, _)| host.as_str()).collect();
        let leader = match leader {
            Some(Leader::Named(name, host)) => Some(host.map_or(name, |host| host.to_string())),
            _ => None,
        };
        Ok(done
            .capture("healthy", healthy)
            .capture("hosts", hosts)
            .capture("leader", leader)
            .capture("version", versions.join(", ")))
    }
}

#[async_trait]
impl Step for AppHealthy {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        preview(cx)
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings: AppSettings = cx.settings()?;
        let site = cx.site()?;
        let within = self.within.or(settings.health.as_ref().map(|health| health.within)).unwrap_or(Span::seconds(60));
        let doing = format!("wait until the application is healthy at {site}");
        let deadline = tokio::time::Instant::now() + within.0;
        loop {
            let look = Look::at(cx, &settings).await?;
            let (healthy, total) = (look.healthy().len(), look.hosts.len());
            cx.progress(healthy as u64, Some(total as u64), "hosts");
            if healthy == total {
                cx.say(format!("all {total} hosts of {site} are healthy"));
                return Ok(StepDone::new().capture("healthy", look.healthy()));
            }
            if tokio::time::Instant::now() >= deadline {
                let failure = unwell(&look, site.as_str(), &look.problems(cx));
                return Err(Failure { tried: format!("{doing}, for {within}").into(), ..failure });
            }
            cx.sleep(POLL, &doing).await?;
        }
    }
}

fn preview(cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
    let settings: AppSettings = cx.settings()?;
    let mut lines = Vec::new();
    for host in settings.hosts(cx)? {
        if let Some(health) = &settings.health {
            lines.push(health.request(cx, &host)?.to_string().into());
        } else if let Some(manager) = &settings.manager {
            lines.push(format!("{} $ {}", cx.place_of(&host)?, manager.status()).into());
        }
    }
    Ok(lines)
}

/// The failure of too few healthy hosts. Trying again can help; when nothing answered at all it counts as unreachable.
fn unwell(look: &Look, site: &str, problems: &[String]) -> Failure {
    let silent = look.hosts.iter().all(|(_, answer)| answer.silent);
    let kind = if silent { FailureKind::Unreachable } else { FailureKind::Busy };
    let counted = format!("{} of {} hosts are healthy", look.healthy().len(), look.hosts.len());
    let got = [counted].into_iter().chain(problems.iter().cloned()).collect::<Vec<_>>().join("\n");
    Failure::new(kind, format!("find the application healthy at {site}"), got)
        .hint(format!("put the named parts at {site} right first; nothing was changed"))
}
