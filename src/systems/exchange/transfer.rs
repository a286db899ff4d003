//! `exchange.transfer`: brings a sealed point to the other site's tree by rsync, from host to host.
//!
//! In an order in which the far tree is never worse than before: first what is only added (blobs of search
//! repositories, the generation of files linked to the one before, dumps), then what search repositories change and
//! remove, last the completion marker. Deleted is only inside search repositories, and only so much.

use std::path::Path;

use async_trait::async_trait;
use futures::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;

use super::looks::{At, Choice, newest_complete};
use super::spread;
use crate::estate::{Host, Transfer as Settings, TransferBy, TransferFrom};
use crate::model::{ByteSize, End, Failure, FailureKind, Limit, PointId, SafeText, SiteName};
use crate::points::Manifest;
use crate::port::{Command, Place};
use crate::systems::epoch::{describe, require_direction};
use crate::systems::remote::{get_json, look, make_folder, path_arg};
use crate::systems::rsync::{self, Copied, Copy, has_attributes, parse_version};
use crate::systems::tree::{Generation, fresh};
use crate::systems::{Step, StepContext, StepDone};

/// Copies the restore point to the other site.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    /// The point: an id, or `latest` for the newest complete one; the run's own when left out.
    #[serde(default)]
    point: Option<Choice>,
    /// How much of a search repository may be deleted at once at the other site; half of it when left out.
    #[serde(default)]
    max_delete: Option<Limit>,
}

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
struct Route {
    /// Where rsync is started.
    place: Place,
    from: String,
    to: String,
    /// Nothing when both trees are on this machine.
    shell: Option<String>,
    bandwidth: Option<String>,
    attributes: bool,
}

impl Route {
    /// The copy of a folder of the tree, given relative to its root.
    fn copy(&self, folder: &str) -> Copy {
        Copy {
            // Harmless where the far user is not root: then rsync keeps what that user may keep.
            owner: true,
            attributes: self.attributes,
            shell: self.shell.clone(),
            bandwidth: self.bandwidth.clone(),
            ..Copy::new(format!("{}/{folder}", self.from), format!("{}/{folder}", self.to))
        }
    }
}

/// One thing to copy.
pub(super) struct Task {
    pub(super) label: String,
    pub(super) copy: Copy,
    /// The folder within the tree, when nothing of it, and nothing like it, is at the target yet.
    pub(super) new: Option<String>,
}

/// The newest generation that is at the target already, to link to.
fn link_to<'a>(there: &'a [(String, i64)], generation: &str) -> Option<&'a str> {
    let (folder, _) = generation.split_once('/')?;
    let whole = there
        .iter()
        .map(|(path, _)| path.as_str())
        .filter(|path| path.split_once('/').is_some_and(|(other, name)| other == folder && !name.contains(".partial")));
    whole.filter(|path| *path != generation).max()
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

fn route(cx: &StepContext, source: &At, target: &At, settings: &Settings) -> Result<Route, Failure> {
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
    Ok(Route { place, from, to, shell: Some(shell), bandwidth, attributes: false })
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
    Ok(Route { place, from, to, shell: None, bandwidth, attributes: false })
}

/// Runs tasks side by side, to the end of all: one that failed must not leave the others running unseen.
pub(super) async fn run_all(
    cx: &StepContext,
    place: &Place,
    tasks: Vec<Task>,
    streams: usize,
) -> Result<Vec<Copied>, Failure> {
    let running = tasks.into_iter().map(|task| async move { rsync::run(cx, place, &task.label, &task.copy).await });
    let ended: Vec<Result<Copied, Failure>> = futures::stream::iter(running).buffered(streams.max(1)).collect().await;
    // An unknown ending matters more than any other.
    if let Some(Err(failure)) = ended.iter().find(|end| end.as_ref().is_err_and(Failure::is_unknown)) {
        return Err(failure.clone());
    }
    ended.into_iter().collect()
}

/// A sealed point does not change: what vanishes from it meanwhile is a sign that somebody removes it.
fn ensure_whole(copied: &[Copied], point: &PointId) -> Result<(), Failure> {
    if copied.iter().all(|copied| !copied.vanished) {
        return Ok(());
    }
    let tried = format!("copy point {point} to the other site");
    Err(Failure::new(FailureKind::Busy, tried, "files vanished from the source meanwhile")
        .hint("another run or a clean-up works on the source's tree; wait for it, then again"))
}

/// The part of the work that is the same for previewing and running.
struct Job {
    point: PointId,
    route: Route,
    adding: Vec<Task>,
    changing: Vec<Task>,
    marking: Task,
    folders: Vec<String>,
}

impl Transfer {
    fn point(&self, cx: &StepContext, points: &[super::looks::PointSeen]) -> Result<PointId, Failure> {
        let point = match &self.point {
            None => Some(&cx.point),
            Some(Choice::Id(point)) => Some(point),
            Some(Choice::Latest) => newest_complete(points),
        };
        let complete = |id: &&PointId| points.iter().any(|seen| seen.complete && seen.id == **id);
        point.filter(complete).cloned().ok_or_else(|| {
            let name = point.map_or("latest", |point| point.as_str());
            let tried = format!("find point {name} at {}", cx.direction.source);
            Failure::new(FailureKind::Rule, tried, "it is not there, or not sealed")
                .hint("only sealed points are copied; `changeover points list` shows them")
        })
    }

    async fn plan(&self, cx: &StepContext, source: &At, target: &At, versions: bool) -> Result<Job, Failure> {
        let settings = &cx.estate.transfer;
        let mut route = route(cx, source, target, settings)?;
        if versions {
            route.attributes = both_can_attributes(cx, source, target).await?;
        }
        let point = self.point(cx, &source.points(cx).await?)?;
        let manifest: Option<Manifest> = get_json(cx, &source.place, &source.tree.manifest(&point)).await?;
        let manifest = manifest.ok_or_else(|| {
            let tried = format!("read the manifest of {point} at {}", cx.direction.source);
            Failure::new(FailureKind::Mismatch, tried, "it is not there although the point is complete")
        })?;
        let there = target.generations(cx).await?;
        let own = format!("points/{point}");
        let (mut adding, mut changing, mut folders) = (Vec::new(), Vec::new(), vec!["points".to_owned(), own.clone()]);
        for part in manifest.parts.values() {
            let Ok(Generation { generation, .. }) = serde_json::from_value(part.details.clone()) else { continue };
            let mut copy = route.copy(&generation);
            // Only what an earlier attempt left behind can be too much there; a generation is new.
            copy.delete = Some(1000);
            if let Some(before) = link_to(&there, &generation) {
                copy.link_dest.push(format!("{}/{before}", target.root));
            }
            let new = copy.link_dest.is_empty().then(|| generation.clone());
            folders.push(generation.clone());
            adding.push(Task { label: format!("add-{}", part.service), copy, new });
        }
        let repositories_there = target.repositories(cx).await?;
        for repository in source.repositories(cx).await? {
            // The folders may be another user's, if the storage or a person carried the tree before.
            let mut copy = Copy { omit_folder_times: true, ..route.copy(&repository) };
            changing.push(Task { label: format!("change-{repository}"), copy: copy.clone(), new: None });
            // What says which snapshots there are comes after the snapshots.
            copy.filters = vec!["--exclude=/index-*".to_owned(), "--exclude=/index.latest".to_owned()];
            let new = (!repositories_there.contains(&repository)).then(|| repository.clone());
            folders.push(repository.clone());
            adding.push(Task { label: format!("add-{repository}"), copy, new });
        }
        let mut copy = route.copy(&own);
        let marking = Task { label: "mark".to_owned(), copy: copy.clone(), new: None };
        copy.filters = vec!["--exclude=/COMPLETE".to_owned()];
        adding.push(Task { label: "add-point".to_owned(), copy, new: None });
        Ok(Job { point, route, adding, changing, marking, folders })
    }

    /// How much a search repository would lose at the target, against what it may.
    async fn limit_deletions(&self, cx: &StepContext, place: &Place, task: Task) -> Result<Task, Failure> {
        let look = Copy { dry_run: true, delete: Some(0), ..task.copy.clone() };
        let stats = rsync::run(cx, place, &fresh(cx, &format!("look-{}", task.label)), &look).await?.stats;
        let limit = self.max_delete.unwrap_or(Limit::Percent(50));
        let allowed = limit.of(stats.present_before());
        if stats.deleted > allowed {
            let tried = format!("copy {} to {}", task.copy.from, task.copy.to);
            let got = format!(
                "{} of {} files there would be deleted; allowed are {limit}",
                stats.deleted,
                stats.present_before()
            );
            return Err(Failure::new(FailureKind::Rule, tried, got).hint(
                "is the repository at the source the right one, and whole? If snapshots were removed on purpose, raise \
                 `max_delete` of this step",
            ));
        }
        Ok(Task { copy: Copy { delete: Some(allowed), ..task.copy }, ..task })
    }
}

/// Asks both ends for their rsync.
async fn both_can_attributes(cx: &StepContext, source: &At, target: &At) -> Result<bool, Failure> {
    let mut all = true;
    for at in [source, target] {
        let text = look(cx, &at.place, &Command::new("rsync").arg("--version").env("LC_ALL", "C").into()).await?.text();
        if !matches!(parse_version(&text), Some((_, true))) {
            let first = text.lines().next().unwrap_or("no version");
            let tried = format!("find a usable rsync on {}", at.place);
            return Err(Failure::new(FailureKind::Refused, tried, first).hint("install rsync 3.1 or newer there"));
        }
        all &= has_attributes(&text);
    }
    Ok(all)
}

/// Why nothing is to be copied, if so.
fn idle(by: TransferBy) -> Option<&'static str> {
    match by {
        TransferBy::Rsync => None,
        TransferBy::Storage => Some("the storage copies the tree by itself; `exchange.arrived` waits for it"),
        TransferBy::Shared => Some("both sites see the same storage"),
    }
}

async fn ensure_agreed(cx: &StepContext) -> Result<(), Failure> {
    let (source, target): (&SiteName, &SiteName) = (cx.direction.site(End::Source), cx.direction.site(End::Target));
    let ours = require_direction(cx, source).await?;
    let theirs = require_direction(cx, target).await?;
    if ours.epoch == theirs.epoch {
        return Ok(());
    }
    let got = format!("{source} says: {}; {target} says: {}", describe(&ours), describe(&theirs));
    Err(Failure::new(FailureKind::Rule, format!("agree on the direction {}", cx.direction), got)
        .hint("the site with the smaller epoch is out of date; nothing is copied until both agree"))
}

#[async_trait]
impl Step for Transfer {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings = &cx.estate.transfer;
        if let Some(why) = idle(settings.by) {
            return Ok(vec![SafeText::line(why)]);
        }
        let source = At::new(cx, &cx.direction.source)?;
        let target = At::new(cx, &cx.direction.target)?;
        let route = route(cx, &source, &target, settings)?;
        let lines = ["search-<service>", "files-<service>/<point>", "points/<point>"]
            .map(|folder| SafeText::line(&format!("{}: {}", route.place, route.copy(folder).command())));
        Ok(lines.into())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        if let Some(why) = idle(cx.estate.transfer.by) {
            return Ok(StepDone::nothing_to_do(why));
        }
        ensure_agreed(cx).await?;
        let source = At::new(cx, &cx.direction.source)?;
        let target = At::new(cx, &cx.direction.target)?;
        let Job { point, route, adding, changing, marking, folders } = self.plan(cx, &source, &target, true).await?;
        let ours = source.marker(cx, &point).await?;
        for folder in folders {
            make_folder(cx, &target.place, Path::new(&path_arg(&target.tree.root().join(folder))?)).await?;
        }
        let streams = usize::from(cx.estate.transfer.streams.unwrap_or(1));
        let mut copied = spread::ahead(cx, &source, &route.place, &adding, streams).await?;
        copied.extend(run_all(cx, &route.place, adding, streams).await?);
        ensure_whole(&copied, &point)?;
        let mut limited = Vec::new();
        for task in changing {
            limited.push(self.limit_deletions(cx, &route.place, task).await?);
        }
        copied.extend(run_all(cx, &route.place, limited, streams).await?);
        ensure_whole(&copied, &point)?;
        copied.push(rsync::run(cx, &route.place, &marking.label, &marking.copy).await?);
        ensure_whole(&copied, &point)?;
        if target.marker(cx, &point).await? != ours {
            let tried = format!("read the completion marker of {point} at {}", cx.direction.target);
            return Err(Failure::new(FailureKind::Mismatch, tried, "it is not the one that was sent")
                .hint("does rsync write to the folder that the estate names? Compare `exchange` with `[transfer]`"));
        }
        let files: u64 = copied.iter().map(|copied| copied.stats.transferred).sum();
        let bytes: u64 = copied.iter().map(|copied| copied.stats.transferred_bytes).sum();
        cx.say(format!("point {point}: {files} files, {}, sent", ByteSize(bytes)));
        Ok(StepDone::new().capture("point", point.as_str()).capture("files", files).capture("bytes", bytes))
    }
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

    #[test]
    fn a_generation_is_linked_to_the_newest_whole_one_of_its_service() {
        let there = ["files-a/p-1", "files-a/p-2", "files-a/p-2.partial-1a", "files-a/p-3", "files-b/p-9"];
        let there = there.map(|path| (path.to_owned(), 0));
        assert_eq!(link_to(&there, "files-a/p-4"), Some("files-a/p-3"));
        assert_eq!(link_to(&there, "files-a/p-3"), Some("files-a/p-2"));
        assert_eq!(link_to(&there, "files-c/p-3"), None);
    }
}
