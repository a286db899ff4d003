//! What an estate says about the application at one site, and the commands and addresses that come of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Health, Manager};
use crate::model::{Failure, FailureKind, HostName, SiteName};
use crate::port::{Command, Place};
use crate::runbook::TemplateScope;
use crate::systems::{Argv, StepContext};

/// The settings of an `app` service at one site.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppSettings {
    /// The role of the hosts that the application runs on.
    pub role: String,
    /// What keeps it running. Without one, only its health tells whether it runs.
    #[serde(default)]
    pub manager: Option<Manager>,
    /// The exact command that restarts it on a host; made from `manager`, with `sudo -n`, when left out.
    #[serde(default)]
    pub restart: Option<Argv>,
    /// The exact command that stops it on a host; made from `manager`, with `sudo -n`, when left out.
    #[serde(default)]
    pub stop: Option<Argv>,
    /// The exact command that starts it on a host; made from `manager`, with `sudo -n`, when left out.
    #[serde(default)]
    pub start: Option<Argv>,
    /// How the application says that it is well.
    #[serde(default)]
    pub health: Option<Health>,
    /// The address, as JSON, that names the leading host; may use `{{ site }}`.
    #[serde(default)]
    pub leader_url: Option<String>,
    /// Where the leader's name is in that JSON: a field, or a JSON pointer such as `/cluster/leader`.
    #[serde(default = "default_leader_field")]
    pub leader_field: String,
}

fn default_leader_field() -> String {
    "leader".to_owned()
}

/// What is to be done to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// End it if it runs, then start it.
    Restart,
    /// End it.
    Stop,
    /// Start it.
    Start,
}

impl Verb {
    /// The word that people, settings and service managers use.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }
}

impl AppSettings {
    /// The command for `verb`: the operator's own, or the manager's.
    ///
    /// # Errors
    /// When the settings give neither.
    pub(super) fn command(&self, verb: Verb) -> Result<Command, Failure> {
        let own = match verb {
            Verb::Restart => &self.restart,
            Verb::Stop => &self.stop,
            Verb::Start => &self.start,
        };
        let derived = || self.manager.as_ref().and_then(|manager| manager.command(verb));
        own.as_ref().map(Argv::command).or_else(derived).ok_or_else(|| {
            let word = verb.word();
            Failure::new(FailureKind::Invalid, format!("{word} the application"), "the estate does not say how")
                .hint(format!("give the service a `{word}` command, or a `manager` that has one"))
        })
    }

    /// The hosts at the step's site: the unit's own host, or all that have the role.
    ///
    /// # Errors
    /// When the step has no site, or no host has the role.
    pub(super) fn hosts(&self, cx: &StepContext) -> Result<Vec<HostName>, Failure> {
        let site = cx.site()?;
        if let Some(host) = &cx.host {
            return Ok(vec![host.clone()]);
        }
        let hosts: Vec<_> = cx.estate.hosts_with_role(site, Some(&self.role)).map(|(name, _)| name.clone()).collect();
        if hosts.is_empty() {
            let got = format!("no host of {site} has the role `{}`", self.role);
            return Err(Failure::new(FailureKind::Invalid, format!("find the application at {site}"), got)
                .hint("give the hosts that role in the estate, or correct the service's `role`"));
        }
        Ok(hosts)
    }

    /// The one host that a step which changes something acts on.
    ///
    /// # Errors
    /// When the runbook gave the step no host.
    pub(super) fn own_place(cx: &StepContext) -> Result<(HostName, Place), Failure> {
        let Some(host) = &cx.host else {
            return Err(Failure::new(FailureKind::Invalid, format!("run {}", cx.unit), "the step has no host")
                .hint("give it `on = \"target.ROLE\"` in the runbook, so that it runs on every host of the role"));
        };
        Ok((host.clone(), cx.place_of(host)?))
    }
}

/// What the address templates of the settings can use: `site`, and for a host `host.name` and `host.address`.
pub(super) fn scope(cx: &StepContext, site: &SiteName, host: Option<&HostName>) -> TemplateScope {
    let scope = TemplateScope::default().with("site", site.as_str());
    let Some(name) = host else {
        return scope;
    };
    let mut values = serde_json::Map::new();
    values.insert("name".to_owned(), name.as_str().into());
    let found = cx.estate.host(site, name);
    let own = found.filter(|host| host.local).map(|_| "127.0.0.1");
    if let Some(address) = found.and_then(|host| host.address.as_deref()).or(own) {
        values.insert("address".to_owned(), address.into());
    }
    scope.with("host", values)
}
