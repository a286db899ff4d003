//! The way from one tree to the other: on which host rsync is started, and how it reaches the far side. Pure.

use std::path::Path;

use super::super::looks::At;
use crate::estate::{Host, Transfer as Settings, TransferFrom};
use crate::model::{Failure, FailureKind};
use crate::port::Place;
use crate::systems::StepContext;
use crate::systems::rsync::Copy;

/// The ssh command for rsync's `-e`, which splits it at spaces and knows single quotes.
///
/// # Errors
/// When a path cannot be written in it.
fn shell(config: Option<&Path>, port: Option<u16>) -> Result<String, String> {
    let mut words: Vec<String> = vec!["ssh".into()];
    if let Some(config) = config {
        let text = config.to_str().filter(|text| text.starts_with('/') && !text.contains(['\'', '"', '\n']));
        let text = text.ok_or_else(|| format!("`{}` must be absolute and without quotes", config.display()))?;
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        words.extend(["-F".into(), if plain { text.to_owned() } else { format!("'{text}'") }]);
    }
    let options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ForwardAgent=no",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
    ];
    words.extend(options.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
    words.extend(port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
    Ok(words.join(" "))
}

/// `user@address:` of the other host, as rsync wants it.
///
/// # Errors
/// When it has no address.
fn prefix(host: &Host, user: Option<&str>) -> Result<String, String> {
    let address = host.address.as_deref().ok_or("the host has no address")?;
    let good = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(['/', ' ', '@', '\'']);
    if !good(address) {
        return Err(format!("`{address}` is not an address that rsync takes"));
    }
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    match user.or(host.user.as_deref()) {
        Some(user) if !good(user) || user.contains(':') => Err(format!("`{user}` is not a user that rsync takes")),
        Some(user) => Ok(format!("{user}@{address}:")),
        None => Ok(format!("{address}:")),
    }
}

/// Where the copying host finds both trees.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// Where rsync is started.
    pub(super) place: Place,
    from: String,
    to: String,
    /// Nothing when both trees are on this machine.
    shell: Option<String>,
    bandwidth: Option<String>,
    pub(super) attributes: bool,
    /// Whether content is compared.
    pub(super) checksum: bool,
}

impl Route {
    /// The copy of a folder of the tree, given relative to its root.
    pub(super) fn copy(&self, folder: &str) -> Copy {
        Copy {
            // Harmless where the far user is not root: then rsync keeps what that user may keep.
            owner: true,
            attributes: self.attributes,
            checksum: self.checksum,
            shell: self.shell.clone(),
            bandwidth: self.bandwidth.clone(),
            ..Copy::new(format!("{}/{folder}", self.from), format!("{}/{folder}", self.to))
        }
    }
}

fn host_of<'a>(cx: &'a StepContext, place: &Place) -> Option<&'a Host> {
    match place {
        Place::Console => None,
        Place::Host(site, host) => cx.estate.host(site, host),
    }
}

/// What is said about a way that does not exist.
fn no_way(cx: &StepContext, to: &Place, got: String) -> Failure {
    let tried = format!("find the way for {} to {to}", cx.direction);
    Failure::new(FailureKind::Invalid, tried, got)
        .hint("give that host an `address` under which the other site's host reaches it, and look at `[transfer]`")
}

/// The way from `source` to `target`.
///
/// # Errors
/// When there is none.
pub(super) fn route(cx: &StepContext, source: &At, target: &At, settings: &Settings) -> Result<Route, Failure> {
    let (near, far) = match settings.from {
        TransferFrom::Source => (source, target),
        TransferFrom::Target => (target, source),
    };
    let host = host_of(cx, &far.place).ok_or_else(|| no_way(cx, &far.place, "it is not a host".to_owned()))?;
    let is_here = |place: &Place| host_of(cx, place).is_some_and(|host| host.local);
    if is_here(&near.place) && is_here(&far.place) {
        return both_here(cx, source, target, settings);
    }
    let prefix = prefix(host, settings.user.as_deref()).map_err(|got| no_way(cx, &far.place, got))?;
    let shell = shell(settings.ssh_config.as_deref(), host.port).map_err(|got| no_way(cx, &far.place, got))?;
    let remote = format!("{prefix}{}", far.root);
    let (from, to) = match settings.from {
        TransferFrom::Source => (source.root.clone(), remote),
        TransferFrom::Target => (remote, target.root.clone()),
    };
    let (place, bandwidth) = (near.place.clone(), settings.bandwidth.clone());
    Ok(Route { place, from, to, shell: Some(shell), bandwidth, attributes: false, checksum: false })
}

/// The way when this machine mounts both trees: no SSH is needed.
fn both_here(cx: &StepContext, source: &At, target: &At, settings: &Settings) -> Result<Route, Failure> {
    if source.root == target.root {
        let tried = format!("find the way for {} on this machine", cx.direction);
        return Err(Failure::new(FailureKind::Invalid, tried, format!("both trees are {}", source.root)).hint(
            "give the sites different `exchange` folders; if they really share one, write `by = \"shared\"` in `[transfer]`",
        ));
    }
    let (from, to) = (source.root.clone(), target.root.clone());
    let (place, bandwidth) = (source.place.clone(), settings.bandwidth.clone());
    Ok(Route { place, from, to, shell: None, bandwidth, attributes: false, checksum: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_far_end_is_written_as_rsync_reads_it() {
        let host = |address: &str, user: Option<&str>| -> Host {
            serde_json::from_value(serde_json::json!({ "address": address, "user": user })).expect("a host")
        };
        assert_eq!(prefix(&host("10.0.2.11", None), None), Ok("10.0.2.11:".to_owned()));
        assert_eq!(prefix(&host("10.0.2.11", Some("ops")), None), Ok("ops@10.0.2.11:".to_owned()));
        assert_eq!(prefix(&host("10.0.2.11", Some("ops")), Some("sync")), Ok("sync@10.0.2.11:".to_owned()));
        assert_eq!(prefix(&host("fd00::2", None), None), Ok("[fd00::2]:".to_owned()));
        for bad in ["-oProxyCommand=x", "a b", "a/b", "x@y", ""] {
            assert!(prefix(&host(bad, None), None).is_err(), "{bad:?}");
        }
        assert!(prefix(&host("h", None), Some("-x")).is_err());
        let nowhere: Host = serde_json::from_str("{}").expect("a host");
        assert!(prefix(&nowhere, None).is_err());
    }

    #[test]
    fn the_ssh_command_is_strict_and_quoted() {
        let options = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ForwardAgent=no -o ServerAliveInterval=15 \
                       -o ServerAliveCountMax=4";
        assert_eq!(shell(None, None), Ok(format!("ssh {options}")));
        let with = shell(Some(Path::new("/etc/a b/ssh")), Some(2222));
        assert_eq!(with, Ok(format!("ssh -F '/etc/a b/ssh' {options} -p 2222")));
        for bad in ["relative", "/it's", "/a\nb"] {
            assert!(shell(Some(Path::new(bad)), None).is_err(), "{bad:?}");
        }
    }
}
