//! `exchange.transfer`: brings a sealed point to the other site's tree by rsync, from host to host.
//!
//! In an order in which the far tree is never worse than before: first what is only added (blobs of search
//! repositories, the generation of files linked to the one before, dumps), then what search repositories change and
//! remove, last the completion marker. Deleted is only inside search repositories, only so much, and nothing while the
//! far site has a complete point that this one does not have any more: somebody may restore it there.

use std::path::PathBuf;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::{try_join, try_join5};
use schemars::JsonSchema;
use serde::Deserialize;

use super::looks::{At, Choice};
use super::spread;
use crate::estate::TransferBy;
use crate::model::{ByteSize, End, Failure, FailureKind, Limit, PointId, SafeText, SiteName};
use crate::points::Manifest;
use crate::port::{Command, Place};
use crate::systems::epoch::{describe, require_direction};
use crate::systems::held::{PointSeen, newest_complete};
use crate::systems::remote::{get_json, look, make_folders};
use crate::systems::rsync::{self, Copied, Copy, has_attributes, parse_version};
use crate::systems::tree::{Generation, fresh};
use crate::systems::{Step, StepContext, StepDone};

mod route;

use route::{Route, route};

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
    /// Compares by content, not by size and time. Reads everything at both ends.
    #[serde(default)]
    deep: bool,
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
    /// Complete points that only the target has: what their snapshots need must stay there.
    only_there: Vec<PointId>,
}

impl Transfer {
    fn point(&self, cx: &StepContext, points: &[PointSeen]) -> Result<PointId, Failure> {
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
        let attributes = async {
            if !versions {
                return Ok(false);
            }
            let (here, there) = try_join(can_attributes(cx, source), can_attributes(cx, target)).await?;
            Ok(here && there)
        };
        // All of it only looks, and none of it needs what another look found.
        let repositories = try_join(source.repositories(cx), target.repositories(cx));
        let (attributes, here, points_there, there, (repositories_here, repositories_there)) =
            try_join5(attributes, source.points(cx), target.points(cx), target.generations(cx), repositories).await?;
        route.attributes = attributes;
        route.checksum = self.deep;
        let point = self.point(cx, &here)?;
        let only_there = only_there(&here, points_there);
        let manifest: Option<Manifest> = get_json(cx, &source.place, &source.tree.manifest(&point)).await?;
        let manifest = manifest.ok_or_else(|| {
            let tried = format!("read the manifest of {point} at {}", cx.direction.source);
            Failure::new(FailureKind::Mismatch, tried, "it is not there although the point is complete")
        })?;
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
        for repository in repositories_here {
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
        Ok(Job { point, route, adding, changing, marking, folders, only_there })
    }

    /// How much a search repository would lose at the target, against what it may. Returns a warning when that is kept
    /// for the sake of points that are only there.
    async fn limit_deletions(
        &self,
        cx: &StepContext,
        place: &Place,
        task: Task,
        only_there: &[PointId],
    ) -> Result<(Task, Option<String>), Failure> {
        // What would be deleted has no content to compare with.
        let look = Copy { dry_run: true, delete: Some(0), checksum: false, ..task.copy.clone() };
        let stats = rsync::run(cx, place, &fresh(cx, &format!("look-{}", task.label)), &look).await?.stats;
        if let Some(first) = only_there.first() {
            let kept = (stats.deleted > 0).then(|| {
                format!(
                    "{} files that {} has no more are kept at {}, because it has points that {} has not, the first is \
                     {first}; prune them there, or pin them at {} too",
                    stats.deleted, task.copy.from, cx.direction.target, cx.direction.source, cx.direction.source
                )
            });
            return Ok((task, kept));
        }
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
        Ok((Task { copy: Copy { delete: Some(allowed), ..task.copy }, ..task }, None))
    }
}

/// The complete points of `there` that are not in `here`, whole or not.
fn only_there(here: &[PointSeen], there: Vec<PointSeen>) -> Vec<PointId> {
    let complete = there.into_iter().filter(|point| point.complete).map(|point| point.id);
    complete.filter(|id| here.iter().all(|point| point.id != *id)).collect()
}

/// Asks an end for its rsync: whether it can carry attributes.
async fn can_attributes(cx: &StepContext, at: &At) -> Result<bool, Failure> {
    let text = look(cx, &at.place, &Command::new("rsync").arg("--version").env("LC_ALL", "C").into()).await?.text();
    if matches!(parse_version(&text), Some((_, true))) {
        return Ok(has_attributes(&text));
    }
    let first = text.lines().next().unwrap_or("no version");
    let tried = format!("find a usable rsync on {}", at.place);
    Err(Failure::new(FailureKind::Refused, tried, first).hint("install rsync 3.1 or newer there"))
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
    let (ours, theirs) = try_join(require_direction(cx, source), require_direction(cx, target)).await?;
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
        let mut route = route(cx, &source, &target, settings)?;
        route.checksum = self.deep;
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
        let Job { point, route, adding, changing, marking, folders, only_there } =
            self.plan(cx, &source, &target, true).await?;
        let ours = source.marker(cx, &point).await?;
        let folders: Vec<PathBuf> = folders.iter().map(|folder| target.tree.root().join(folder)).collect();
        make_folders(cx, &target.place, &folders).await?;
        let streams = usize::from(cx.estate.transfer.streams.unwrap_or(1));
        let mut copied = spread::ahead(cx, &source, &route.place, &adding, streams).await?;
        copied.extend(run_all(cx, &route.place, adding, streams).await?);
        ensure_whole(&copied, &point)?;
        let (mut limited, mut warnings) = (Vec::new(), Vec::new());
        for task in changing {
            let (task, kept) = self.limit_deletions(cx, &route.place, task, &only_there).await?;
            limited.push(task);
            warnings.extend(kept);
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
        let done = StepDone::new().capture("point", point.as_str()).capture("files", files).capture("bytes", bytes);
        Ok(warnings.into_iter().fold(done, StepDone::warn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_linked_to_the_newest_whole_one_of_its_service() {
        let there = ["files-a/p-1", "files-a/p-2", "files-a/p-2.partial-1a", "files-a/p-3", "files-b/p-9"];
        let there = there.map(|path| (path.to_owned(), 0));
        assert_eq!(link_to(&there, "files-a/p-4"), Some("files-a/p-3"));
        assert_eq!(link_to(&there, "files-a/p-3"), Some("files-a/p-2"));
        assert_eq!(link_to(&there, "files-c/p-3"), None);
    }
}
