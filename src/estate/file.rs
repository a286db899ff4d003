//! The types of `estate.toml`, and the look-ups the rest of the program uses.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Direction, HostName, Limit, ServiceName, SiteName, Span};

/// One pair of sites and the application that lives on both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estate {
    /// The name of the estate; state is kept under it.
    pub name: SiteName,
    /// The site that is active before any direction record exists. From then on the record at both sites decides.
    pub active: SiteName,
    /// How hosts are reached.
    #[serde(default)]
    pub ssh: Ssh,
    /// The two sites, by name.
    pub sites: BTreeMap<SiteName, Site>,
    /// The services, by name.
    #[serde(default)]
    pub services: BTreeMap<ServiceName, Service>,
    /// How the exchange tree gets to the other site.
    #[serde(default)]
    pub transfer: Transfer,
    /// What the operator promised: recovery point and recovery time.
    #[serde(default)]
    pub objectives: Objectives,
    /// Safety limits.
    #[serde(default)]
    pub policy: Policy,
    /// How the live health of both sites is watched.
    #[serde(default)]
    pub health: Health,
}

/// One of the two places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The name for people; the site's key when left out.
    #[serde(default)]
    pub title: Option<String>,
    /// The folder of the shared mount as this site's hosts see it. Restore points live below it.
    pub exchange: PathBuf,
    /// The hosts, by name.
    #[serde(default)]
    pub hosts: BTreeMap<HostName, Host>,
}

/// One machine of a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Where it is reached: an address or a name that ssh understands. Not needed for a `local` host.
    #[serde(default)]
    pub address: Option<String>,
    /// The SSH port; ssh's own configuration decides when left out.
    #[serde(default)]
    pub port: Option<u16>,
    /// The login user; ssh's own configuration decides when left out.
    #[serde(default)]
    pub user: Option<String>,
    /// The private key file; ssh's own configuration decides when left out.
    #[serde(default)]
    pub identity: Option<PathBuf>,
    /// True when this host is the very machine the program runs on: commands are started directly, without SSH.
    #[serde(default)]
    pub local: bool,
    /// What the host is for; runbooks select hosts by role.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// How hosts are reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// The ssh configuration file to read in place of the user's own; jump hosts belong there.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// The `known_hosts` file. Host keys are always checked strictly. The user's own file is used when left out.
    #[serde(default)]
    pub known_hosts: Option<PathBuf>,
    /// How long to wait for a connection.
    #[serde(default = "Ssh::default_connect_timeout")]
    pub connect_timeout: Option<Span>,
}

impl Ssh {
    #[expect(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
    fn default_connect_timeout() -> Option<Span> {
        Some(Span::seconds(10))
    }
}

impl Default for Ssh {
    /// The same as an empty `[ssh]` table.
    fn default() -> Self {
        Self { config: None, known_hosts: None, connect_timeout: Self::default_connect_timeout() }
    }
}

/// A named system that exists at both sites: what is common, with what differs per site in a table of the site's name.
///
/// What the settings mean is known by the room of `kind` in `systems`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Which system it is: `elasticsearch`, `mysql`, `redis`, `files`, `app`.
    pub kind: String,
    /// The kind's own settings, and one table per site.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// How the exchange tree gets from the source's mount to the target's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// By whom the copying is done.
    #[serde(default)]
    pub by: TransferBy,
    /// Where rsync is started.
    #[serde(default)]
    pub from: TransferFrom,
    /// The ssh configuration file that the copying host uses to reach the other one.
    #[serde(default)]
    pub ssh_config: Option<PathBuf>,
    /// The login user at the other side; that host's own `user` when left out.
    #[serde(default)]
    pub user: Option<String>,
    /// How many rsyncs run side by side; one when left out. With more, what is new at the other site is also split by its
    /// sub-folders. Worth it where the link limits each connection, not where the cores of a host are the limit.
    #[serde(default)]
    pub streams: Option<u8>,
    /// Bandwidth limit, in the form rsync's `--bwlimit` takes, for example `20m`.
    #[serde(default)]
    pub bandwidth: Option<String>,
    /// With `by = "storage"`: how long to wait for the copy to arrive whole.
    #[serde(default)]
    pub wait: Option<Span>,
}

/// By whom the exchange tree is copied to the other site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransferBy {
    /// By rsync over SSH, from host to host.
    #[default]
    Rsync,
    /// By the storage itself (`SnapMirror` and the like) or another tool: we only wait for the completion marker.
    Storage,
    /// Both sites mount the same storage: nothing to copy.
    Shared,
}

/// At which side rsync is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransferFrom {
    /// The source pushes.
    #[default]
    Source,
    /// The target pulls.
    Target,
}

/// What the operator promised.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Recovery point objective: the most that may be lost.
    #[serde(default)]
    pub rpo: Option<Span>,
    /// Recovery time objective: the longest that a failover may take.
    #[serde(default)]
    pub rto: Option<Span>,
}

/// Safety limits that apply to every run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How many restore points to keep per direction. The last good one is never removed.
    #[serde(default)]
    pub keep_points: Option<u32>,
    /// The default limit of deletions when trees are copied.
    #[serde(default)]
    pub max_delete: Option<Limit>,
    /// Free space that must remain on a disk that is written to, in percent. Ten when left out.
    #[serde(default)]
    pub min_free_percent: Option<u8>,
    /// How long a host or a cluster may stay silent while work goes on there, before the run ends and says that it does
    /// not know how that ended. Ten minutes when left out.
    #[serde(default)]
    pub patience: Option<Span>,
}

impl Policy {
    /// How long something may stay silent. The work goes on meanwhile, and `resume` finds it again: what is given up is
    /// the waiting only. Ten minutes carry an unattended run over an outage of some minutes; where somebody
    /// watches and wants to know sooner that a site is lost, say so.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience.map_or(Duration::from_mins(10), |span| span.0)
    }
}

/// How the live health of both sites is watched. What is left out has a default of its own for each question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Between two looks. A question that costs something, such as the size of a database, is never asked more often
    /// than its own default.
    #[serde(default)]
    pub interval: Option<Span>,
    /// How long one look may take before it is given up.
    #[serde(default)]
    pub deadline: Option<Span>,
    /// How many good looks in a row make something that was not up, up again. Two when left out.
    #[serde(default)]
    pub rise: Option<NonZeroU32>,
    /// How many bad looks in a row make something that was up, degraded, down or unknown. Two when left out.
    #[serde(default)]
    pub fall: Option<NonZeroU32>,
    /// What differs for some services, by name.
    #[serde(default)]
    pub services: BTreeMap<ServiceName, Pace>,
}

/// How one service is watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Between two looks.
    #[serde(default)]
    pub interval: Option<Span>,
    /// How long one look may take.
    #[serde(default)]
    pub deadline: Option<Span>,
    /// Good looks in a row.
    #[serde(default)]
    pub rise: Option<NonZeroU32>,
    /// Bad looks in a row.
    #[serde(default)]
    pub fall: Option<NonZeroU32>,
}

impl Health {
    /// How `service` is watched, or what is not a service.
    #[must_use]
    pub fn pace(&self, service: Option<&ServiceName>) -> Pace {
        let own = service.and_then(|service| self.services.get(service)).cloned().unwrap_or_default();
        Pace {
            interval: own.interval.or(self.interval),
            deadline: own.deadline.or(self.deadline),
            rise: own.rise.or(self.rise),
            fall: own.fall.or(self.fall),
        }
    }
}

impl Estate {
    /// The BLAKE3 digest, in hexadecimal, of all that decides what a step does and where. What only watches or promises
    /// is left out.
    #[must_use]
    pub fn digest(&self) -> String {
        let doing = Self { objectives: Objectives::default(), health: Health::default(), ..self.clone() };
        blake3::hash(&serde_json::to_vec(&doing).unwrap_or_default()).to_hex().to_string()
    }

    /// The direction with `source` as the active site, or nothing when `source` is not one of exactly two sites.
    #[must_use]
    pub fn direction_from(&self, source: &SiteName) -> Option<Direction> {
        if self.sites.len() != 2 || !self.sites.contains_key(source) {
            return None;
        }
        let target = self.sites.keys().find(|name| *name != source)?;
        Some(Direction { source: source.clone(), target: target.clone() })
    }

    /// The settings of `service` as they are at `site`: the common ones, overlaid by the site's own table.
    /// Nothing when there is no such service.
    #[must_use]
    pub fn settings_at(
        &self,
        service: &ServiceName,
        site: &SiteName,
    ) -> Option<serde_json::Map<String, serde_json::Value>> {
        let service = self.services.get(service)?;
        let mut merged: serde_json::Map<_, _> = service
            .settings
            .iter()
            .filter(|(key, _)| !self.sites.contains_key(key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if let Some(serde_json::Value::Object(own)) = service.settings.get(site.as_str()) {
            merged.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Some(merged)
    }

    /// The hosts of `site` that have `role`, in name order; all hosts for no role.
    pub fn hosts_with_role<'a>(
        &'a self,
        site: &SiteName,
        role: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a HostName, &'a Host)> {
        self.sites
            .get(site)
            .into_iter()
            .flat_map(|site| site.hosts.iter())
            .filter(move |(_, host)| role.is_none_or(|role| host.roles.iter().any(|have| have == role)))
    }

    /// A host of a site.
    #[must_use]
    pub fn host(&self, site: &SiteName, host: &HostName) -> Option<&Host> {
        self.sites.get(site)?.hosts.get(host)
    }

    /// The name of a site for people.
    #[must_use]
    pub fn title<'a>(&'a self, site: &'a SiteName) -> &'a str {
        self.sites.get(site).and_then(|s| s.title.as_deref()).unwrap_or(site.as_str())
    }
}
