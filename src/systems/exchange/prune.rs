//! `exchange.prune`: keeps the newest points and removes what is older, with its generations of files.
//!
//! Snapshots in search repositories are not its job: `elasticsearch.prune` deletes those of points that are gone.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::looks::At;
use crate::model::{Failure, FailureKind, PointId, SafeText};
use crate::port::{Command, Pipeline};
use crate::systems::epoch::require_direction;
use crate::systems::held::{PointSeen, newest_complete};
use crate::systems::remote::{change, path_arg};
use crate::systems::tree::fresh;
use crate::systems::{CheckReport, Step, StepContext, StepDone, run_job};

/// Removes old restore points.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Prune {
    /// How many complete points to keep; the estate's `policy.keep_points`, or 8, when left out.
    #[serde(default)]
    keep: Option<u32>,
}

/// How old something incomplete must be before it counts as left behind: a run may be working on it.
const LEFT_BEHIND: i64 = 86_400;

/// Which points go: complete ones beyond the newest `keep`, and incomplete ones that were left behind. Never the newest
/// complete one, nothing newer than that, nothing pinned, not the run's own.
fn retention(points: &[PointSeen], keep: u32, own: &PointId, now: i64) -> Vec<PointId> {
    let Some(newest) = newest_complete(points) else { return Vec::new() };
    let mut complete: Vec<&PointId> = points.iter().filter(|point| point.complete).map(|point| &point.id).collect();
    complete.sort();
    let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
    let kept: BTreeSet<&PointId> = complete.into_iter().rev().take(keep).collect();
    points
        .iter()
        .filter(|point| !point.pinned && point.id != *own && point.id < *newest && !kept.contains(&point.id))
        .filter(|point| point.complete || now.saturating_sub(point.changed) > LEFT_BEHIND)
        .map(|point| point.id.clone())
        .collect()
}

/// Which generations go: those of points that go, partial ones that were left behind, and whole ones that belong to no
/// point any more. `generations` are `files-<service>/<name>` with their time.
fn generations_to_remove(
    generations: &[(String, i64)],
    points: &[PointSeen],
    going: &[PointId],
    own: &PointId,
    now: i64,
) -> Vec<String> {
    let newest = newest_complete(points);
    let goes = |path: &str, changed: i64| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let (point, partial) = name.split_once(".partial").map_or((name, false), |(point, _)| (point, true));
        if point == own.as_str() || PointId::new(point).is_err() {
            return false;
        }
        let left_behind = now.saturating_sub(changed) > LEFT_BEHIND;
        let old = newest.is_some_and(|newest| point < newest.as_str());
        let known = points.iter().any(|seen| seen.id.as_str() == point);
        going.iter().any(|id| id.as_str() == point) || (left_behind && old && (partial || !known))
    };
    generations.iter().filter(|(path, changed)| goes(path, *changed)).map(|(path, _)| path.clone()).collect()
}

struct Plan {
    at: At,
    points: Vec<PointId>,
    kept: usize,
    generations: Vec<String>,
}

impl Prune {
    async fn plan(&self, cx: &StepContext) -> Result<Plan, Failure> {
        let at = At::new(cx, cx.site()?)?;
        let points = at.points(cx).await?;
        let now = cx.clock.now().as_second();
        let keep = self.keep.or(cx.estate.policy.keep_points).unwrap_or(8);
        let going = retention(&points, keep, &cx.point, now);
        let generations = generations_to_remove(&at.generations(cx).await?, &points, &going, &cx.point, now);
        Ok(Plan { kept: points.len() - going.len(), points: going, generations, at })
    }
}

impl Plan {
    /// The folders to remove. Every one lies in the direction's own tree.
    fn folders(&self) -> Result<Vec<String>, Failure> {
        let points = self.points.iter().map(|point| path_arg(&self.at.tree.point(point)));
        let generations = self.generations.iter().map(|path| path_arg(&self.at.tree.root().join(path)));
        points.chain(generations).collect()
    }
}

#[async_trait]
impl Step for Prune {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let folders = self.plan(cx).await?.folders()?;
        Ok(folders.iter().map(|folder| SafeText::line(&format!("rm -rf --one-file-system -- {folder}"))).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let plan = self.plan(cx).await?;
        let mut report = CheckReport::live().good(format!("{} points are kept", plan.kept));
        for point in &plan.points {
            report = report.loses(format!("restore point {point} at {}", cx.site()?));
        }
        Ok(report)
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let site = cx.site()?;
        require_direction(cx, site).await?;
        let plan = self.plan(cx).await?;
        let folders = plan.folders()?;
        let pruned: Vec<&str> = plan.points.iter().map(PointId::as_str).collect();
        if folders.is_empty() {
            return Ok(StepDone::nothing_to_do(format!("{} points at {site}, none too old", plan.kept))
                .capture("pruned", Vec::<String>::new())
                .capture("kept", plan.kept));
        }
        // First nothing of it may look complete any more: a removal that is cut short leaves no point that lies.
        let markers =
            plan.points.iter().map(|point| path_arg(&plan.at.tree.complete(point))).collect::<Result<Vec<_>, _>>()?;
        if !markers.is_empty() {
            change(cx, &plan.at.place, &Command::new("rm").args(["-f", "--"]).args(markers).into()).await?;
        }
        let rm = Pipeline::from(Command::new("rm").args(["-rf", "--one-file-system", "--"]).args(folders));
        // Entered again after a crash, the list may be another one: a name of its own.
        let removed = run_job(cx, &plan.at.place, &fresh(cx, "remove"), &rm).await?;
        if !removed.is_success() {
            let tried = format!("run on {}: {rm}", plan.at.place);
            return Err(Failure::new(FailureKind::Refused, tried, removed.complaint(&rm)));
        }
        let left = plan.at.points(cx).await?;
        if let Some(point) = plan.points.iter().find(|point| left.iter().any(|seen| seen.id == **point)) {
            let tried = format!("remove point {point} at {site}");
            return Err(Failure::new(FailureKind::Mismatch, tried, "its folder is still there"));
        }
        cx.say(format!(
            "removed at {site}: {}",
            if pruned.is_empty() { "left-overs only".to_owned() } else { pruned.join(", ") }
        ));
        Ok(StepDone::new().capture("pruned", pruned).capture("kept", plan.kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn id(text: &str) -> PointId {
        PointId::new(text).expect("a name")
    }

    /// `c` complete, `i` incomplete, `P` pinned and complete; age in hours.
    fn points(list: &[(&str, char, i64)]) -> Vec<PointSeen> {
        list.iter()
            .map(|(name, state, hours)| PointSeen {
                id: id(name),
                complete: matches!(state, 'c' | 'P'),
                pinned: *state == 'P',
                changed: NOW - hours * 3600,
            })
            .collect()
    }

    fn going(list: &[(&str, char, i64)], keep: u32) -> Vec<String> {
        retention(&points(list), keep, &id("p-9"), NOW).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_table_of_retention() {
        let three = [("p-1", 'c', 90), ("p-2", 'c', 60), ("p-3", 'c', 30)];
        for (keep, expected) in [(8, &[][..]), (3, &[]), (2, &["p-1"]), (1, &["p-1", "p-2"]), (0, &["p-1", "p-2"])] {
            assert_eq!(going(&three, keep), expected, "keep {keep}");
        }
        assert_eq!(going(&[("p-1", 'P', 90), ("p-2", 'c', 60), ("p-3", 'c', 30)], 1), ["p-2"], "pinned");
        assert_eq!(going(&[("p-1", 'i', 90), ("p-2", 'i', 5), ("p-3", 'c', 3)], 8), ["p-1"], "only what is old");
        assert!(going(&[("p-1", 'i', 90), ("p-2", 'i', 60)], 1).is_empty(), "never without a complete one");
        assert!(going(&[("p-1", 'c', 90), ("p-2", 'i', 60)], 1).is_empty(), "nothing newer than the newest complete");
        assert_eq!(going(&[("p-1", 'c', 90), ("p-2", 'i', 60), ("p-3", 'c', 1)], 1), ["p-1", "p-2"]);
        assert!(
            retention(&points(&three), 1, &id("p-1"), NOW).iter().all(|point| *point != id("p-1")),
            "the run's own"
        );
    }

    #[test]
    fn generations_go_with_their_points_and_partials_when_left_behind() {
        let seen = points(&[("p-1", 'c', 90), ("p-3", 'c', 30), ("p-4", 'c', 1)]);
        let hours = |hours: i64| NOW - hours * 3600;
        let there = [
            ("files-a/p-1", 90),
            ("files-a/p-2", 60),
            ("files-a/p-2.partial-1a", 60),
            ("files-a/p-3", 30),
            ("files-a/p-3.partial-1b", 2),
            ("files-a/p-5.partial-1a", 60),
            ("files-a/p-9", 90),
            ("files-a/lost+found ", 90),
        ];
        let there = there.map(|(path, age)| (path.to_owned(), hours(age)));
        let removed = generations_to_remove(&there, &seen, &[id("p-1")], &id("p-9"), NOW);
        assert_eq!(removed, ["files-a/p-1", "files-a/p-2", "files-a/p-2.partial-1a"]);
    }
}
