//! Getting to a site's SQL server: which host leads, where statements go, where client programs run and what they are
//! told. Looks things up; changes nothing.

use serde::Deserialize;
use serde_json::Value;

use super::previous;
use super::settings::{Listens, Seat, Settings, Via};
use crate::model::{Failure, FailureKind, HostName, Secret, ServiceName, SiteName};
use crate::port::{HttpRequest, Method, Place, ReachErrorKind, SqlAddress, SqlEndpoint, SqlRows, SqlStatement};
use crate::runbook::{TemplateScope, render};
use crate::systems::StepContext;

/// A site's server, found: statements can be sent and programs started.
#[derive(Debug, Clone)]
pub struct Access {
    /// The site.
    pub site: SiteName,
    /// What the estate says.
    pub settings: Settings,
    /// The host that leads, when the settings name or imply one.
    pub host: Option<HostName>,
    /// Where statements go.
    pub endpoint: SqlEndpoint,
    /// Where dump and restore programs run.
    pub place: Place,
    /// What those programs connect to, as seen from their place.
    pub address: SqlAddress,
}

/// What another room's service says about its leader. Everything else in its settings is that room's own affair.
#[derive(Debug, Deserialize)]
struct LeaderSettings {
    leader_url: Option<String>,
    leader_field: Option<String>,
    health: Option<LeaderHealth>,
}

/// The part of that service's health that the question for its leader needs as well.
#[derive(Debug, Deserialize)]
struct LeaderHealth {
    ca_pem: Option<String>,
}

impl Access {
    /// Finds the server of the step's service at `site`.
    ///
    /// # Errors
    /// When the settings do not fit the estate, the leader cannot be found, or the password cannot be read.
    pub async fn open(cx: &StepContext, site: &SiteName) -> Result<Self, Failure> {
        let settings: Settings = cx.settings_of(cx.service_name()?, site)?;
        let host = match &settings.seat {
            Seat::Leader(service) => Some(match leader(cx, service, site).await? {
                Leads::Host(host) => host,
                Leads::Nobody(failure) => begun_on(cx, site, settings.via).await?.ok_or(failure)?,
            }),
            Seat::Host(host) => Some(known_host(cx, site, host)?),
            Seat::First if settings.via == Via::Port => None,
            Seat::First => Some(first_host(cx, site)?),
        };
        let password = match &settings.password {
            Some(source) => {
                let read = cx.reach.secret(source).await;
                Some(read.map_err(|error| error.while_reading(format!("read the password of the SQL user at {site}")))?)
            }
            None => None,
        };
        let address = address(cx, site, &settings, host.as_ref())?;
        let through = host.clone().filter(|_| settings.via != Via::Port).map(|host| (site.clone(), host));
        let place = match (settings.via, &host) {
            (Via::Ssh, Some(host)) => Place::Host(site.clone(), host.clone()),
            (Via::Tunnel, _) => console(cx, site)?,
            (Via::Ssh, None) | (Via::Port, _) => cx.exchange_place(site)?,
        };
        let programs_address = match settings.tunnel_port {
            Some(port) => SqlAddress::Tcp("127.0.0.1".to_owned(), port),
            None => address.clone(),
        };
        let endpoint = SqlEndpoint {
            address,
            through,
            user: settings.user.clone(),
            password,
            database: None,
            ca_pem: settings.ca_pem.clone(),
        };
        Ok(Self { site: site.clone(), settings, host, endpoint, place, address: programs_address })
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.endpoint.password.as_ref()
    }

    /// The names of the databases.
    #[must_use]
    pub fn databases(&self) -> Vec<&str> {
        self.settings.databases.iter().map(super::settings::DatabaseName::as_str).collect()
    }

    /// For people: which server this is.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} at {}", self.endpoint, self.site)
    }

    /// Sends statements that only read; one answer per statement.
    ///
    /// # Errors
    /// As [`crate::port::ReachError::while_reading`]; also when the server is asked to stop.
    pub async fn ask(
        &self,
        cx: &StepContext,
        what: &str,
        statements: &[SqlStatement],
    ) -> Result<Vec<SqlRows>, Failure> {
        let tried = format!("{what} ({} at {})", self.endpoint.user, self.site);
        let answers = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(StepContext::cancelled_while(&tried)),
            answers = cx.reach.sql(&self.endpoint, statements) => answers,
        };
        let answers = answers.map_err(|error| error.while_reading(&tried))?;
        if answers.len() == statements.len() {
            return Ok(answers);
        }
        let got = format!("{} answers to {} statements", answers.len(), statements.len());
        Err(Failure::new(FailureKind::Refused, tried, got))
    }

    /// Sends one statement that only reads and that this server or this account may refuse; the refusal's words then.
    ///
    /// # Errors
    /// When the server cannot be asked at all.
    pub async fn ask_if_allowed(
        &self,
        cx: &StepContext,
        what: &str,
        statement: SqlStatement,
    ) -> Result<Result<SqlRows, String>, Failure> {
        match cx.reach.sql(&self.endpoint, &[statement]).await {
            Ok(mut answers) if answers.len() == 1 => Ok(Ok(answers.remove(0))),
            Ok(answers) => Ok(Err(format!("{} answers to one statement", answers.len()))),
            Err(error) if error.kind == ReachErrorKind::Refused => Ok(Err(error.got)),
            Err(error) => Err(error.while_reading(format!("{what} ({} at {})", self.endpoint.user, self.site))),
        }
    }
}

/// This machine, if the site says that it belongs to it.
fn console(cx: &StepContext, site: &SiteName) -> Result<Place, Failure> {
    if cx.estate.hosts_with_role(site, None).any(|(_, host)| host.local) {
        return Ok(Place::Console);
    }
    Err(Failure::new(
        FailureKind::Invalid,
        format!("run dump and restore programs for {site} on this machine"),
        "with `via = \"tunnel\"` they write to and read from the exchange tree here, but no host of the site is this machine",
    )
    .hint(format!(
        "if this machine mounts the exchange tree of {site}, declare it as a host with `local = true`; else use `via = \"ssh\"` or `via = \"port\"`"
    )))
}

fn known_host(cx: &StepContext, site: &SiteName, host: &HostName) -> Result<HostName, Failure> {
    if cx.estate.host(site, host).is_some() {
        return Ok(host.clone());
    }
    Err(Failure::new(
        FailureKind::Invalid,
        format!("find the SQL server's host at {site}"),
        format!("{site} has no host {host}"),
    )
    .hint("run `changeover check`"))
}

fn first_host(cx: &StepContext, site: &SiteName) -> Result<HostName, Failure> {
    let first = cx.estate.hosts_with_role(site, None).next();
    first.map(|(name, _)| name.clone()).ok_or_else(|| {
        Failure::new(FailureKind::Invalid, format!("find the SQL server's host at {site}"), "the site has no hosts")
            .hint(format!("add one under [sites.{site}.hosts], or use `via = \"port\"`"))
    })
}

fn address(
    cx: &StepContext,
    site: &SiteName,
    settings: &Settings,
    host: Option<&HostName>,
) -> Result<SqlAddress, Failure> {
    Ok(match &settings.listens {
        Listens::Socket(path) => SqlAddress::Socket(path.clone()),
        Listens::Tcp(Some(address), port) => SqlAddress::Tcp(address.clone(), *port),
        Listens::Tcp(None, port) if settings.via == Via::Port => {
            let known = host.and_then(|host| cx.estate.host(site, host)).and_then(|host| host.address.clone());
            let address = known.ok_or_else(|| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("find the SQL server's address at {site}"),
                    "with `via = \"port\"` the server needs an `address`, or a `leader` or `host` that has one",
                )
                .hint(format!("add `{site}.address` to the service in the estate"))
            })?;
            SqlAddress::Tcp(address, *port)
        }
        Listens::Tcp(None, port) => SqlAddress::Tcp("127.0.0.1".to_owned(), *port),
    })
}

/// What a service says about its leader.
enum Leads {
    /// This host of the site leads.
    Host(HostName),
    /// The service answers, and names nobody; what that is as a failure.
    Nobody(Failure),
}

/// The host on which a restore was begun at the target and has not ended. An application whose databases are being
/// replaced is not well, so that nobody may lead while it lasts: the work goes on where it was begun.
async fn begun_on(cx: &StepContext, site: &SiteName, via: Via) -> Result<Option<HostName>, Failure> {
    // Only so is the place of the work the host that led.
    if *site != cx.direction.target || via != Via::Ssh {
        return Ok(None);
    }
    let Some(place) = previous::unsettled_on(cx, site).await? else { return Ok(None) };
    let hosts = cx.estate.hosts_with_role(site, None);
    let found =
        hosts.map(|(host, _)| host).find(|host| Place::Host(site.clone(), (*host).clone()).to_string() == place);
    if let Some(host) = found {
        cx.say(format!(
            "nobody leads {site} while its databases are replaced; that was begun on {host} and goes on there"
        ));
    }
    Ok(found.cloned())
}

/// Asks the service `service` which host of `site` leads.
async fn leader(cx: &StepContext, service: &ServiceName, site: &SiteName) -> Result<Leads, Failure> {
    let tried = format!("find the leader at {site} through service {service}");
    let said: LeaderSettings = cx.settings_of(service, site)?;
    let template = said.leader_url.ok_or_else(|| {
        Failure::new(FailureKind::Invalid, &tried, format!("service {service} has no `leader_url` at {site}"))
            .hint(format!("add `{site}.leader_url` to service {service}, or name a `host` in place of `leader`"))
    })?;
    let url = render(&template, &TemplateScope::default().with("site", site.as_str()))
        .map_err(|error| Failure::new(FailureKind::Invalid, &tried, error.to_string()).hint("known is `site`"))?;
    let ca_pem = said.health.and_then(|health| health.ca_pem);
    let request = HttpRequest { ca_pem, ..HttpRequest::new(Method::Get, &url) };
    let response = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => return Err(StepContext::cancelled_while(&tried)),
        response = cx.reach.http(&request) => response.map_err(|error| error.while_reading(&tried))?,
    };
    let tried = format!("{tried} with {request}");
    if !response.is_success() {
        let kind = if response.status >= 500 { FailureKind::Busy } else { FailureKind::Refused };
        let failure = Failure::new(kind, tried, format!("status {}: {}", response.status, response.excerpt()))
            .hint("no leader, no database step: look at the cluster service of the site");
        return if kind == FailureKind::Busy { Ok(Leads::Nobody(failure)) } else { Err(failure) };
    }
    let field = said.leader_field.as_deref().unwrap_or("leader");
    let answer: Option<Value> = response.json().ok();
    let Some(named) = answer.as_ref().and_then(|answer| leader_in(answer, field)) else {
        let got = format!("no text in `{field}` of: {}", response.excerpt());
        return Ok(Leads::Nobody(
            Failure::new(FailureKind::Refused, &tried, got)
                .hint("the service has no leader at the moment, or `leader_field` names the wrong field"),
        ));
    };
    let hosts: Vec<(&HostName, Option<&str>)> =
        cx.estate.hosts_with_role(site, None).map(|(name, host)| (name, host.address.as_deref())).collect();
    host_called(&named, &hosts).map(Leads::Host).ok_or_else(|| {
        let known: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
        Failure::new(
            FailureKind::Refused,
            tried,
            format!("the leader is `{named}`, which is none of {}", known.join(", ")),
        )
        .hint(format!("add that host to [sites.{site}.hosts] under the name the service uses"))
    })
}

/// The text at `field` of the answer: a plain name, or a JSON pointer such as `/cluster/leader`.
fn leader_in(answer: &Value, field: &str) -> Option<String> {
    let found = if field.starts_with('/') { answer.pointer(field) } else { answer.get(field) };
    found?.as_str().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The host that a service calls `named`: by its name, by its address, or by the first label of a full name.
fn host_called(named: &str, hosts: &[(&HostName, Option<&str>)]) -> Option<HostName> {
    let by = |fits: &dyn Fn(&str, Option<&str>) -> bool| {
        let mut fitting = hosts.iter().filter(|(name, address)| fits(name.as_str(), *address));
        match (fitting.next(), fitting.next()) {
            (Some((name, _)), None) => Some((*name).clone()),
            _ => None,
        }
    };
    let label = named.split('.').next().unwrap_or(named);
    by(&|name, _| name == named)
        .or_else(|| by(&|_, address| address == Some(named)))
        .or_else(|| by(&|name, _| name == label))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_leader_is_read_from_a_field_or_a_pointer() {
        let answer = json!({ "leader": " app2 ", "cluster": { "head": "app1" }, "none": null });
        assert_eq!(leader_in(&answer, "leader").as_deref(), Some("app2"));
        assert_eq!(leader_in(&answer, "/cluster/head").as_deref(), Some("app1"));
        assert_eq!(leader_in(&answer, "none"), None);
        assert_eq!(leader_in(&answer, "missing"), None);
    }

    #[test]
    fn a_host_is_found_by_name_address_or_label_and_never_guessed() {
        let names: Vec<HostName> = ["app1", "app2"].iter().map(|name| HostName::new(*name).expect("a name")).collect();
        let hosts = [(&names[0], Some("10.0.1.11")), (&names[1], Some("10.0.1.12"))];
        for (named, found) in [
            ("app2", Some("app2")),
            ("10.0.1.11", Some("app1")),
            ("app1.shop.example", Some("app1")),
            ("app3", None),
            ("10.0.1.13", None),
        ] {
            assert_eq!(host_called(named, &hosts).as_ref().map(HostName::as_str), found, "{named}");
        }
        let twins = [(&names[0], Some("10.0.1.1")), (&names[1], Some("10.0.1.1"))];
        assert_eq!(host_called("10.0.1.1", &twins), None);
    }
}
