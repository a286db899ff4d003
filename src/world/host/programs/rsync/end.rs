//! An end of a copy: a folder of this host or of one of the other site, and the way there.

use std::time::Duration;

use super::super::Call;
use crate::model::{HostName, SiteName};
use crate::world::Zone;
use crate::world::host::{Machine, Power};

/// Where content is taken from or put to.
#[derive(Debug, Clone)]
pub(super) struct End {
    site: SiteName,
    host: HostName,
    /// The address that it was reached by; nothing for this host.
    address: Option<String>,
    /// The folder.
    pub(super) path: String,
}

/// How the way to the other end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// What is sent arrives and is answered.
    Open,
    /// Nothing comes back.
    Silent,
    /// The other host is off.
    Off,
    /// The other host answers, but its disk does not.
    Stalled,
}

impl End {
    /// A folder of this host.
    pub(super) fn here(on: &Machine<'_>, path: &str) -> Self {
        Self { site: on.site.clone(), host: on.host.clone(), address: None, path: trimmed(path) }
    }

    /// `/folder/` or `user@address:/folder/`.
    pub(super) fn read(on: &Machine<'_>, call: &Call, word: &str) -> Result<Self, String> {
        let Some((who, path)) = word.split_once(':').filter(|(who, _)| !who.contains('/')) else {
            return Ok(Self::here(on, &call.path(word)));
        };
        let address = who.rsplit('@').next().unwrap_or(who);
        let hosts = on.state.sites.iter().flat_map(|(site, found)| found.hosts.iter().map(move |host| (site, host)));
        let found = hosts.into_iter().find(|(_, (_, host))| host.address == address);
        let (site, (name, _)) = found.ok_or_else(|| format!("nobody is at {address}"))?;
        let address = Some(address.to_owned());
        Ok(Self { site: site.clone(), host: name.clone(), address, path: trimmed(path) })
    }

    /// True for another host.
    pub(super) fn is_far(&self) -> bool {
        self.address.is_some()
    }

    /// The address of another host.
    pub(super) fn address(&self) -> &str {
        self.address.as_deref().unwrap_or("localhost")
    }

    /// The host, with the world around it.
    pub(super) fn machine<'a>(&self, on: &'a mut Machine<'_>) -> Machine<'a> {
        Machine { state: &mut *on.state, site: self.site.clone(), host: self.host.clone() }
    }

    /// A path below the folder.
    pub(super) fn below(&self, name: &str) -> String {
        if name.is_empty() { self.path.clone() } else { format!("{}/{name}", self.path.trim_end_matches('/')) }
    }

    /// How the way from `on` to here is.
    pub(super) fn way(&self, on: &Machine<'_>) -> Way {
        if !self.is_far() {
            return Way::Open;
        }
        let (near, far) = (Zone::Site(on.site.clone()), Zone::Site(self.site.clone()));
        let network = &on.state.network;
        if !network.passes(&near, &far) || !network.passes(&far, &near) {
            return Way::Silent;
        }
        let Some(site) = on.state.sites.get(&self.site) else { return Way::Silent };
        let Some(host) = site.hosts.get(&self.host) else { return Way::Silent };
        match host.power {
            Power::Down => Way::Off,
            Power::Frozen => Way::Silent,
            Power::Up => {
                let mounts = host.mounts.iter().filter(|(_, disk)| *disk == site.exchange);
                let touches = mounts.into_iter().any(|(mount, _)| self.path.starts_with(mount.as_str()));
                if site.share_stalled && touches { Way::Stalled } else { Way::Open }
            }
        }
    }
}

fn trimmed(path: &str) -> String {
    let short = path.trim_end_matches('/');
    if short.is_empty() { "/".to_owned() } else { short.to_owned() }
}

/// How long ssh tries to connect.
pub(super) const CONNECTING: Duration = Duration::from_secs(127);
/// How long ssh waits for a sign of life: four times fifteen seconds, as it is told to.
pub(super) const ALIVE: Duration = Duration::from_mins(1);
