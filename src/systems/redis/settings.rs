//! What an estate says about a Redis service at one site, and the endpoint that comes of it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Failure, FailureKind, HostName, SecretSource};
use crate::port::RedisEndpoint;
use crate::systems::StepContext;

/// The settings of a `redis` service at one site.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// The address of a server of the site. It may be a replica: its master is found from there.
    pub address: String,
    /// The port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The ACL user; the default user when left out.
    #[serde(default)]
    pub user: Option<String>,
    /// Where the password is read from.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// The only database that may be flushed and counted; all databases of the server when left out.
    #[serde(default)]
    pub database: Option<u32>,
    /// How many replicas the master must have, so that one that is gone is missed; not looked at when left out.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// How the server is reached.
    #[serde(default)]
    pub via: RedisVia,
    /// With `via = "ssh"`: the host that carries the session; the first host of the site when left out.
    #[serde(default)]
    pub host: Option<HostName>,
}

/// How a Redis server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RedisVia {
    /// From this machine, at its port.
    #[default]
    Port,
    /// Through the SSH connection to a host of the site; the address is as that host sees it.
    Ssh,
}

const fn default_port() -> u16 {
    6379
}

impl RedisSettings {
    /// The settings of the step's service at the step's site.
    ///
    /// # Errors
    /// When the step has no such service or site, or the settings contradict each other.
    pub(super) fn of(cx: &StepContext) -> Result<Self, Failure> {
        let settings: Self = cx.settings()?;
        if settings.via == RedisVia::Port && settings.host.is_some() {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("read the settings of service {}", cx.service_name()?),
                "`host` is given, but the server is reached at its port",
            )
            .hint("add `via = \"ssh\"`, or take `host` out"));
        }
        Ok(settings)
    }

    /// The configured server, with the password read.
    ///
    /// # Errors
    /// When the password cannot be read, or the site has no host to go through.
    pub(super) async fn endpoint(&self, cx: &StepContext) -> Result<RedisEndpoint, Failure> {
        let password = match &self.password {
            Some(source) => {
                let tried = format!("read the password of service {}", cx.service_name()?);
                Some(cx.reach.secret(source).await.map_err(|error| error.while_reading(tried))?)
            }
            None => None,
        };
        let through = match self.via {
            RedisVia::Port => None,
            RedisVia::Ssh => Some((cx.site()?.clone(), self.carrier(cx)?)),
        };
        Ok(RedisEndpoint { address: self.address.clone(), port: self.port, through, user: self.user.clone(), password })
    }

    fn carrier(&self, cx: &StepContext) -> Result<HostName, Failure> {
        let site = cx.site()?;
        let found = match &self.host {
            Some(host) => cx.estate.host(site, host).map(|_| host.clone()),
            None => cx.estate.hosts_with_role(site, None).next().map(|(host, _)| host.clone()),
        };
        found.ok_or_else(|| {
            let got = self
                .host
                .as_ref()
                .map_or_else(|| format!("{site} has no hosts"), |host| format!("{site} has no host `{host}`"));
            Failure::new(FailureKind::Invalid, format!("reach Redis at {}:{}", self.address, self.port), got)
                .hint("correct the service's `host` in the estate, or reach it with `via = \"port\"`")
        })
    }

    /// What is counted and flushed, for people.
    pub(super) fn scope(&self) -> String {
        self.database.map_or_else(|| "all databases".to_owned(), |database| format!("database {database}"))
    }
}
