//! `exchange.arrived`: the point is at the target, whole, unchanged and not changing any more.
//!
//! Sizes first, because they are cheap; then the checksums of the listing; then the generations of files by their
//! digest. A quiet period or a time stamp proves nothing by itself. Of search repositories only those files are hashed
//! that are not known (see `verified`) to be as they were when they were hashed here before; the point's own folder always
//! is. Where the storage copies the tree below the file system, nothing is known.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::listing::{Files, Gaps, Listing, Seen, is_volatile, repository, state_name};
use super::looks::{At, Choice};
use super::verified::{NAME, Verified};
use crate::estate::TransferBy;
use crate::model::{ByteSize, Direction, Epoch, Failure, FailureKind, PointId, SafeText, Span};
use crate::points::{CompletionMarker, Counts, Manifest, compare};
use crate::port::{Command, Pipeline};
use crate::systems::epoch::require_direction;
use crate::systems::held::{self, newest_complete};
use crate::systems::remote::put_file;
use crate::systems::tree::{self, Excludes, Generation};
use crate::systems::{Step, StepContext, StepDone, run_job_watched};

/// Proves that the restore point has arrived whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arrived {
    /// The point: an id, or `latest` for the newest complete one; the run's own when left out.
    #[serde(default)]
    point: Option<Choice>,
    /// How long to wait for it; the estate's `transfer.wait`, or not at all, when left out.
    #[serde(default)]
    wait: Option<Span>,
    /// Hashes every file, also those that were hashed here before and have not been changed since.
    #[serde(default)]
    deep: bool,
    /// For how long a file of a search repository that was hashed here and has not been changed since is not hashed
    /// again; seven days when left out.
    #[serde(default = "week")]
    trust: Span,
}

fn week() -> Span {
    Span::seconds(7 * 86_400)
}

/// Between two looks while it waits.
const PAUSE: Duration = Duration::from_secs(10);
/// Between the two looks that must see the same.
const STILL: Duration = Duration::from_secs(3);

/// A point whose files are all there in their right size.
struct Found {
    point: PointId,
    marker: CompletionMarker,
    manifest: Manifest,
    listing: Listing,
    gaps: Gaps,
    files: Files,
    /// The completion marker as a file.
    sealed: Option<Seen>,
}

/// Why a point cannot be used yet.
enum Not {
    /// That may pass: it is still on its way.
    Yet(Failure),
    /// It will not pass by waiting.
    Ever(Failure),
}

impl From<Failure> for Not {
    fn from(failure: Failure) -> Self {
        Self::Ever(failure)
    }
}

/// Whether a manifest is of this direction and epoch. A point of an earlier epoch may be used if it was `asked` for by
/// its id; the warning then says so.
///
/// # Errors
/// Why not.
fn belongs(manifest: &Manifest, direction: &Direction, epoch: Epoch, asked: bool) -> Result<Option<String>, String> {
    if manifest.format > Manifest::FORMAT {
        return Err(format!("its format {} is of a newer version of this program", manifest.format));
    }
    if manifest.direction != *direction {
        return Err(format!("it was made for {}, not for {direction}", manifest.direction));
    }
    match manifest.epoch {
        theirs if theirs == epoch => Ok(None),
        theirs if theirs < epoch && asked => Ok(Some(format!("it is of epoch {theirs}, now is epoch {epoch}"))),
        theirs => Err(format!("it is of epoch {theirs}, this site is in epoch {epoch}")),
    }
}

impl Arrived {
    /// Looks once.
    async fn look(&self, cx: &StepContext, at: &At, round: u64) -> Result<Found, Not> {
        let site = &cx.direction.target;
        let points = at.points(cx).await?;
        let point = match &self.point {
            None => Some(&cx.point),
            Some(Choice::Id(point)) => Some(point),
            Some(Choice::Latest) => newest_complete(&points),
        };
        let name = point.map_or("latest", |point| point.as_str());
        let tried = format!("find point {name} at {site}");
        let not_yet = |kind, got: &str, hint: &str| Not::Yet(Failure::new(kind, &tried, got).hint(hint));
        let seen = point.and_then(|point| points.iter().find(|seen| seen.id == *point));
        let Some(seen) = seen else {
            let hint = "has the source made it, and is it being copied? `changeover points list` shows what is where";
            return Err(not_yet(FailureKind::Refused, "it is not there", hint));
        };
        let point = seen.id.clone();
        let hint = "it is still on its way, or its copying was cut short: copy it again";
        let Some(marker) = at.marker(cx, &point).await? else {
            return Err(not_yet(FailureKind::Mismatch, "it is incomplete: its completion marker is not there", hint));
        };
        let names = ["manifest.json", "LISTING"].map(|name| format!("points/{point}/{name}"));
        let (listed, sealed) = at.files_and_marker(cx, &format!("{round}a"), &point).await?;
        if !listed.contains_key(&names[0]) {
            return Err(not_yet(FailureKind::Mismatch, "it is incomplete: its manifest is not there", hint));
        }
        let sums = at.sums(cx, &tree::fresh(cx, &format!("sums-{round}")), &names).await.map_err(Not::Yet)?;
        if sums.get(&names[0]) != Some(&marker.manifest_sha256) || sums.get(&names[1]) != Some(&marker.listing_sha256) {
            let got = "its manifest or its listing is not what the completion marker says";
            return Err(not_yet(FailureKind::Mismatch, got, hint));
        }
        let bad = |name: &str, problem: String| {
            Failure::new(FailureKind::Mismatch, format!("read {name} at {site}"), problem)
                .hint("it is as it was sealed, and cannot be read by this version of the program")
        };
        let label = |name: &str| tree::fresh(cx, &format!("{name}-{round}"));
        let text = at.read(cx, &label("manifest"), &at.tree.manifest(&point)).await?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| bad(&names[0], error.to_string()))?;
        let text = at.read(cx, &label("listing"), &at.tree.listing(&point)).await?;
        let listing = Listing::parse(&text).map_err(|problem| bad(&names[1], problem))?;
        let newer = newer_repositories(cx, at, &listing, &listed, &label("latest")).await?;
        let gaps = Gaps::find(&listing, &listed, &newer);
        if let Some(got) = gaps.describe() {
            return Err(not_yet(FailureKind::Mismatch, &format!("it is incomplete: {got}"), hint));
        }
        Ok(Found { point, marker, manifest, listing, gaps, files: listed, sealed })
    }

    /// Looks until all is there or the time is up.
    async fn find(&self, cx: &StepContext, at: &At) -> Result<Found, Failure> {
        let wait = self.wait.or(cx.estate.transfer.wait).map_or(Duration::ZERO, |wait| wait.0);
        let storage = cx.estate.transfer.by == TransferBy::Storage;
        let until = tokio::time::Instant::now() + wait;
        let mut round = 0;
        loop {
            round += 1;
            let failure = match self.look(cx, at, round).await {
                Ok(found) if !storage => return Ok(found),
                Ok(found) => {
                    cx.sleep(STILL, "look twice whether the point still changes").await?;
                    if at.files(cx, &format!("{round}b"), &found.point).await? == found.files {
                        return Ok(found);
                    }
                    still_changing(cx, &found.point)
                }
                Err(Not::Ever(failure)) => return Err(failure),
                Err(Not::Yet(failure)) => failure,
            };
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Err(failure);
            }
            cx.say(format!("{}; waiting, {} at most", failure.got, Span(Duration::from_secs(left.as_secs()))));
            cx.sleep(PAUSE.min(left), "wait for the point to arrive").await?;
        }
    }
}

fn still_changing(cx: &StepContext, point: &PointId) -> Failure {
    let tried = format!("use point {point} at {}", cx.direction.target);
    Failure::new(FailureKind::Busy, tried, "it is still changing: its files were not the same twice")
        .hint("the storage is still copying; wait longer (`transfer.wait` in the estate), then again")
}

/// The search repositories that have a newer snapshot than the point: what says which is the newest is another file
/// now, whole and readable.
async fn newer_repositories(
    cx: &StepContext,
    at: &At,
    listing: &Listing,
    found: &Files,
    label: &str,
) -> Result<Vec<String>, Failure> {
    let latest = |path: &&String| path.ends_with("/index.latest") && repository(path).is_some();
    let paths: Vec<String> =
        listing.0.keys().filter(latest).filter(|path| found.contains_key(*path)).cloned().collect();
    let sums = at.sums(cx, label, &paths).await?;
    let newer = paths.iter().filter(|path| sums.get(*path) != listing.0.get(*path).map(|listed| &listed.sha256));
    Ok(newer.filter_map(|path| repository(path)).map(str::to_owned).collect())
}

/// What was hashed here before, if that is of any use.
async fn read_verified(cx: &StepContext, at: &At) -> Result<Verified, Failure> {
    if cx.estate.transfer.by == TransferBy::Storage {
        return Ok(Verified::default());
    }
    let names = ["-maxdepth", "1", "-type", "f", "-name", NAME, "-printf", "%f\\0"];
    if held::found(cx, &at.place, &at.root, &names).await?.is_empty() {
        return Ok(Verified::default());
    }
    let text = at.read(cx, &tree::fresh(cx, "verified"), &at.tree.root().join(NAME)).await;
    let known = text.map_err(|failure| failure.got.to_string()).and_then(|text| Verified::parse(&text));
    Ok(known.unwrap_or_else(|problem| {
        cx.say(format!("{NAME} is of no use, everything is hashed: {problem}"));
        Verified::default()
    }))
}

/// Notes what was hashed, for the next time. Returns a warning when that cannot be done: nothing is wrong with the point.
async fn write_verified(cx: &StepContext, at: &At, known: &Verified) -> Option<String> {
    if cx.estate.transfer.by == TransferBy::Storage {
        return None;
    }
    let path = at.tree.root().join(NAME);
    let failure = put_file(cx, &at.place, &path, known.write().as_bytes()).await.err()?;
    Some(format!(
        "the next run hashes everything again, because {} could not be written: {}",
        path.display(),
        failure.got
    ))
}

/// The checksums of `paths`.
async fn check_sums(cx: &StepContext, at: &At, found: &Found, paths: &[String]) -> Result<(), Failure> {
    let lines = found.listing.lines_of(paths);
    let inside = format!("--chdir={}", at.root);
    let check = Command::new("env").args([&inside, "sha256sum", "--check", "--quiet", "--strict", "-"]);
    let check = Pipeline::from(check.env("LC_ALL", "C")).stdin(lines);
    let label = format!("checksums-{}", state_name(&found.files, paths));
    let mut wrong = Vec::new();
    let mut rest = Vec::new();
    let run = run_job_watched(cx, &at.place, &label, &check, |chunk| {
        rest.extend_from_slice(chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest.drain(..=end).collect::<Vec<_>>()).trim_end().to_owned();
            if line.contains(": FAILED") && wrong.len() < 5 {
                wrong.push(line);
            }
        }
    })
    .await?;
    if run.is_success() {
        return Ok(());
    }
    let got = if wrong.is_empty() { run.complaint(&check) } else { wrong.join("\n") };
    let tried = format!("verify the checksums of point {} at {}", found.point, cx.direction.target);
    Err(Failure::new(FailureKind::Mismatch, tried, format!("checksums are wrong:\n{got}")).hint(
        "do not restore this point; run again with `--param deep=true`, which compares by content and so carries \
             what is damaged anew, or take another point",
    ))
}

/// Every generation against its part's counts and digests.
async fn check_generations(cx: &StepContext, at: &At, manifest: &Manifest) -> Result<(u64, u64), Failure> {
    let (mut files, mut bytes) = (0, 0);
    for part in manifest.parts.values() {
        let Ok(generation) = serde_json::from_value::<Generation>(part.details.clone()) else { continue };
        let mut found = Counts::new();
        for folder in generation.folders {
            let root = at.tree.root().join(&generation.generation).join(&folder.name);
            let deep = part.counts.get(&folder.item).is_some_and(|measures| measures.contains_key("content"));
            let label = format!("generation-{}-{}", part.service, folder.name);
            let measures = tree::measure(cx, &at.place, &label, &root, &Excludes::default(), deep).await?;
            files += tree::exactly(&measures, "files");
            bytes += tree::exactly(&measures, "bytes");
            found.insert(folder.item, measures);
        }
        let differences = compare(&part.counts, &found);
        if !differences.is_empty() {
            let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
            let tried =
                format!("compare {} at {} with point {}", generation.generation, cx.direction.target, manifest.point);
            return Err(Failure::new(FailureKind::Mismatch, tried, lines.join("\n"))
                .hint("the generation has not arrived whole, or was changed; copy the point again"));
        }
    }
    Ok((files, bytes))
}

#[async_trait]
impl Step for Arrived {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let tree = cx.tree(&cx.direction.target)?;
        let point = match &self.point {
            None => cx.point.to_string(),
            Some(choice) => String::from(choice.clone()),
        };
        let folder = tree.points().join(&point);
        let storage = cx.estate.transfer.by == TransferBy::Storage;
        let known = if storage || self.deep { String::new() } else { format!(", without what {NAME} knows") };
        let mut lines = vec![
            format!("read {}/COMPLETE, manifest.json and LISTING", folder.display()),
            format!(
                "sha256sum --check --quiet --strict < {}/LISTING, in {}{known}",
                folder.display(),
                tree.root().display()
            ),
            "count and digest the generations of files".to_owned(),
        ];
        if !storage {
            lines.push(format!("write {}", tree.root().join(NAME).display()));
        }
        Ok(lines.iter().map(|line| SafeText::line(line)).collect())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let site = &cx.direction.target;
        let record = require_direction(cx, site).await?;
        let at = At::new(cx, site)?;
        let found = self.find(cx, &at).await?;
        let asked = matches!(self.point, Some(Choice::Id(_)));
        let old = belongs(&found.manifest, &cx.direction, record.epoch, asked).map_err(|got| {
            Failure::new(FailureKind::Rule, format!("use point {} at {site}", found.point), got).hint(
                "a point of another direction or epoch is not the newest truth; give its id if you want just that one",
            )
        })?;
        let now = cx.clock.now().as_second();
        let known = read_verified(cx, &at).await?;
        let hashed: Vec<String> = if self.deep {
            found.gaps.there.clone()
        } else {
            let is_known = |path: &&String| {
                let (seen, listed) = (found.files.get(*path), found.listing.0.get(*path));
                let both = seen.zip(listed);
                both.is_some_and(|(seen, listed)| known.holds(path, seen, &listed.sha256, now, self.trust.0))
            };
            found.gaps.there.iter().filter(|path| !is_known(path)).cloned().collect()
        };
        let spared = found.gaps.there.len() - hashed.len();
        if spared > 0 {
            cx.say(format!("{} files are hashed; {spared} were before, and are unchanged since", hashed.len()));
        }
        check_sums(cx, &at, &found, &hashed).await?;
        let (files, bytes) = check_generations(cx, &at, &found.manifest).await?;
        // Hashing takes a while: what was proved must still be what is there.
        let again = at.files(cx, "end", &found.point).await?;
        let checked = |path: &&String| !is_volatile(path) || found.gaps.moved_on == 0;
        if found.gaps.there.iter().filter(checked).any(|path| again.get(path) != found.files.get(path)) {
            return Err(still_changing(cx, &found.point));
        }
        let note =
            write_verified(cx, &at, &known.then(&hashed, &found.listing, &again, found.sealed.as_ref(), now)).await;
        let age = cx.clock.now().duration_since(found.manifest.sealed).as_secs().max(0).unsigned_abs();
        let (files, bytes) = (files + found.marker.files, bytes + found.marker.bytes);
        cx.say(format!(
            "point {} is whole at {site}: {files} files, {}, sealed {} ago",
            found.point,
            ByteSize(bytes),
            Span::seconds(age)
        ));
        let mut done = StepDone::new();
        if let Some(note) = note {
            done = done.warn(note);
        }
        if let Some(old) = old {
            done = done.warn(format!("point {} is used because it was asked for: {old}", found.point));
        }
        if found.gaps.moved_on > 0 {
            done = done.warn(format!(
                "{} files of search repositories are gone or replaced since point {} was sealed, because there are newer \
                 snapshots; the search service itself checks what its snapshot needs",
                found.gaps.moved_on, found.point
            ));
        }
        Ok(done
            .capture("point", found.point.as_str())
            .capture("sealed", found.manifest.sealed.to_string())
            .capture("age_seconds", age)
            .capture("files", files)
            .capture("hashed", hashed.len())
            .capture("bytes", bytes))
    }

    async fn undo(&self, _cx: &StepContext) -> Result<StepDone, Failure> {
        Ok(StepDone::nothing_to_do("what was verified stays verified"))
    }
}
