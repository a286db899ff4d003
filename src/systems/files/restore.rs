//! `files.restore`: makes the folders on the hosts what they are in a generation.
//!
//! Everything is looked at before anything is changed: the generation whole and not empty, the folders there and
//! mounted, and by a dry run how much would be deleted.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::{Settings, ability, ensure_mounted};
use crate::model::{ByteSize, Failure, FailureKind, Limit, PointId, SafeText};
use crate::points::{CompletionMarker, Part};
use crate::port::{Command, Pipeline, Place};
use crate::systems::epoch::require_direction;
use crate::systems::remote::{ensure_space, get_json, load_part, path_arg};
use crate::systems::rsync::{self, Copy, Stats};
use crate::systems::tree::{Generation, count, exactly, fresh};
use crate::systems::{CheckReport, Step, StepContext, StepDone, run_job};

/// Brings the folders of a restore point back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// The point; the run's own when left out.
    #[serde(default)]
    point: Option<PointId>,
    /// Goes on although more is to be deleted than `max_delete` allows.
    #[serde(default)]
    accept_deletions: bool,
    /// Compares by content, not by size and time: a file that was changed and whose time was set back is replaced too.
    /// Reads everything at both ends.
    #[serde(default)]
    deep: bool,
}

/// One folder and where it comes from.
pub(super) struct Pair {
    /// The folder in the generation, as this site's hosts see it.
    pub(super) from: PathBuf,
    /// The folder on the host.
    pub(super) to: PathBuf,
    /// Its item in the counts.
    pub(super) item: String,
}

/// A part of a point and the folders that go with it at this site.
pub(super) struct Source {
    pub(super) part: Part,
    pub(super) pairs: Vec<Pair>,
}

/// Finds what the point holds of the step's service.
///
/// # Errors
/// `Rule` when the point is not complete at this site; `Invalid` when the folders do not go with the estate's.
pub(super) async fn source(cx: &StepContext, settings: &Settings, point: &PointId) -> Result<Source, Failure> {
    let (site, service) = (cx.site()?, cx.service_name()?);
    let tree = cx.tree(site)?;
    let marker: Option<CompletionMarker> = get_json(cx, &cx.exchange_place(site)?, &tree.complete(point)).await?;
    if marker.is_none() {
        let tried = format!("find point {point} at {site}");
        return Err(Failure::new(FailureKind::Rule, tried, format!("{} is not there", tree.complete(point).display()))
            .hint("the point was not sealed, or has not arrived whole; `changeover points list` shows which have"));
    }
    let part = load_part(cx, site, point, service).await?;
    let tried = format!("find the folders of {service} in point {point}");
    let generation: Generation = serde_json::from_value(part.details.clone())
        .map_err(|error| Failure::new(FailureKind::Refused, &tried, error.to_string()))?;
    if generation.folders.len() != settings.paths.len() {
        let (theirs, ours) = (generation.folders.len(), settings.paths.len());
        let got = format!("the point has {theirs} folders, the estate names {ours} at {site}");
        return Err(Failure::new(FailureKind::Invalid, tried, got)
            .hint("`paths` must name the same folders in the same order at both sites"));
    }
    let root = tree.root().join(&generation.generation);
    let folders = generation.folders.into_iter().zip(&settings.paths);
    let pairs = folders.map(|(folder, to)| Pair { from: root.join(folder.name), to: to.clone(), item: folder.item });
    Ok(Source { pairs: pairs.collect(), part })
}

/// What a dry run found for one folder.
struct Planned {
    stats: Stats,
    allowed: u64,
    limit: Limit,
}

impl Planned {
    fn is_too_much(&self) -> bool {
        self.stats.deleted > self.allowed
    }

    fn describe(&self, pair: &Pair, place: &Place) -> String {
        format!(
            "{} on {place}: {} deleted of {}, {} created, {} written ({})",
            pair.to.display(),
            self.stats.deleted,
            self.stats.present_before(),
            self.stats.created,
            self.stats.transferred,
            ByteSize(self.stats.transferred_bytes)
        )
    }
}

impl Restore {
    fn point<'a>(&'a self, cx: &'a StepContext) -> &'a PointId {
        self.point.as_ref().unwrap_or(&cx.point)
    }

    /// The copy of one folder; `delete` is how many deletions are allowed.
    async fn copy(
        &self,
        cx: &StepContext,
        settings: &Settings,
        place: &Place,
        pair: &Pair,
        delete: u64,
    ) -> Result<Copy, Failure> {
        let ability = ability(cx, place, settings).await?;
        let copy = ability.copy(settings, &pair.from, &pair.to)?;
        Ok(Copy { delete: Some(delete), delay_updates: true, checksum: self.deep, ..copy })
    }

    /// Looks at a folder and its source without changing anything.
    async fn plan(
        &self,
        cx: &StepContext,
        settings: &Settings,
        place: &Place,
        pair: &Pair,
        label: &str,
    ) -> Result<Planned, Failure> {
        let bare = Settings { marker: None, ..settings.clone() };
        ensure_mounted(cx, place, &pair.from, &bare, false).await?;
        // The very first copy goes into an empty folder, which only the marker can tell from an unmounted one.
        ensure_mounted(cx, place, &pair.to, settings, true).await?;
        let copy = Copy { dry_run: true, ..self.copy(cx, settings, place, pair, 0).await? };
        let stats = rsync::run(cx, place, &fresh(cx, label), &copy).await?.stats;
        let limit = settings.limit(cx);
        Ok(Planned { allowed: limit.of(stats.present_before()), stats, limit })
    }

    async fn restore(
        &self,
        cx: &StepContext,
        settings: &Settings,
        place: &Place,
        pair: &Pair,
        planned: &Planned,
        label: &str,
    ) -> Result<Stats, Failure> {
        // Nobody writes there meanwhile; if somebody does, at most what was counted goes.
        let delete = if self.accept_deletions { planned.stats.deleted.max(planned.allowed) } else { planned.allowed };
        let copy = self.copy(cx, settings, place, pair, delete).await?;
        let copied = rsync::run(cx, place, label, &copy).await?;
        if copied.vanished {
            let tried = format!("copy {} on {place}", pair.from.display());
            return Err(Failure::new(FailureKind::Refused, tried, "files vanished from the generation meanwhile")
                .hint("somebody removes or replaces this restore point; find out who, then run again"));
        }
        Ok(copied.stats)
    }
}

impl Restore {
    /// What can be said before there is a copy: what is there now, and how much of it may go at most.
    async fn check_before_copy(&self, cx: &StepContext, settings: &Settings) -> Result<CheckReport, Failure> {
        let limit = settings.limit(cx);
        let most = if self.accept_deletions { "however many".to_owned() } else { format!("{limit} of them at most") };
        let mut report = CheckReport::default();
        for place in settings.places(cx)? {
            for (index, path) in settings.paths.iter().enumerate() {
                let label = fresh(cx, &format!("look-{}-{index}", host_label(&place)));
                let counts = count(cx, &place, &label, path, &settings.exclude).await?;
                report = report.loses(format!(
                    "{} on {place}: of {} files, {}, those that differ in the copy are replaced, and those that it does not \
                     have are deleted, {most}",
                    path.display(),
                    exactly(&counts, "files"),
                    ByteSize(exactly(&counts, "bytes"))
                ));
            }
        }
        Ok(report)
    }
}

fn host_label(place: &Place) -> String {
    match place {
        Place::Console => "console".to_owned(),
        Place::Host(_, host) => host.to_string(),
    }
}

/// The folder in the generation holds as many files as its part says. (`exchange.arrived` compares the digest.)
fn ensure_whole(part: &Part, pair: &Pair, stats: Stats) -> Result<(), Failure> {
    let expected = part.counts.get(&pair.item).map(|measures| exactly(measures, "files"));
    if expected == Some(stats.files) {
        return Ok(());
    }
    let tried = format!("look whether {} is whole", pair.from.display());
    let expected = expected.map_or_else(|| "nothing of this folder".to_owned(), |files| format!("{files} files"));
    let got = format!("{} files; the restore point says {expected}", stats.files);
    Err(Failure::new(FailureKind::Mismatch, tried, got)
        .hint("the generation has not arrived whole, or was changed; run `exchange.arrived`, or take another point"))
}

#[async_trait]
impl Step for Restore {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings: Settings = cx.settings()?;
        if let Some(why) = settings.left_to_another(cx) {
            return Ok(vec![SafeText::line(why)]);
        }
        let tree = cx.tree(cx.site()?)?;
        let generation = tree.generation(cx.service_name()?, self.point(cx));
        let mut lines = Vec::new();
        for place in settings.places(cx)? {
            for (index, to) in settings.paths.iter().enumerate() {
                let pair = Pair { from: generation.join(index.to_string()), to: to.clone(), item: String::new() };
                let copy = self.copy(cx, &settings, &place, &pair, 0).await?.command().to_string();
                let copy =
                    copy.replace("--max-delete=0", &format!("--max-delete=<{} of what is there>", settings.limit(cx)));
                lines.push(SafeText::line(&format!("{place}: {copy}")));
            }
        }
        Ok(lines)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let settings: Settings = cx.settings()?;
        if settings.left_to_another(cx).is_some() {
            return Ok(CheckReport::default());
        }
        let point = self.point(cx);
        let tree = cx.tree(cx.site()?)?;
        let marker = get_json::<CompletionMarker>(cx, &cx.exchange_place(cx.site()?)?, &tree.complete(point)).await?;
        if marker.is_none() && *point == cx.point {
            // Earlier steps of this run will make or bring it.
            return self.check_before_copy(cx, &settings).await;
        }
        let source = source(cx, &settings, point).await?;
        let mut report = CheckReport::live();
        for place in settings.places(cx)? {
            for (index, pair) in source.pairs.iter().enumerate() {
                let label = format!("check-{}-{index}", host_label(&place));
                let planned = self.plan(cx, &settings, &place, pair, &label).await?;
                ensure_whole(&source.part, pair, planned.stats)?;
                if planned.stats.deleted > 0 || planned.stats.transferred > 0 {
                    report = report.loses(planned.describe(pair, &place));
                }
                if planned.is_too_much() && !self.accept_deletions {
                    report = report.bad(format!("more is deleted than the {} that are allowed", planned.limit));
                }
            }
        }
        Ok(report)
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings: Settings = cx.settings()?;
        if let Some(why) = settings.left_to_another(cx) {
            return Ok(StepDone::nothing_to_do(why));
        }
        let site = cx.site()?;
        require_direction(cx, site).await?;
        let point = self.point(cx);
        let source = source(cx, &settings, point).await?;
        let places = settings.places(cx)?;
        let mut tasks = Vec::new();
        // All looks before the first change: a host that is not ready keeps all of them as they are.
        for place in &places {
            for (index, pair) in source.pairs.iter().enumerate() {
                let label = format!("{}-{index}", host_label(place));
                let planned = self.plan(cx, &settings, place, pair, &format!("look-{label}")).await?;
                ensure_whole(&source.part, pair, planned.stats)?;
                if planned.is_too_much() && !self.accept_deletions {
                    let tried = format!("bring {} back on {place}", pair.to.display());
                    let (deleted, there) = (planned.stats.deleted, planned.stats.present_before());
                    let got = format!("{deleted} of {there} would be deleted; allowed are {}", planned.limit);
                    return Err(Failure::new(FailureKind::Rule, tried, got).hint(
                        "look at what is only there (`files.restore` is checked by `changeover plan`); if it may go, \
                         run again with `accept_deletions = true` in the step's parameters",
                    ));
                }
                // The other stores are being replaced at the same time: a disk that is short of its reserve is no reason
                // to leave these folders behind when nothing has to be written.
                if planned.stats.transferred_bytes > 0 {
                    ensure_space(cx, place, Path::new(&pair.to), planned.stats.transferred_bytes).await?;
                }
                cx.say(planned.describe(pair, place));
                tasks.push((place, pair, planned, label));
            }
        }
        let mut total = Stats::default();
        for (place, pair, planned, label) in tasks {
            let stats = self.restore(cx, &settings, place, pair, &planned, &format!("copy-{label}")).await?;
            keep(cx, place, pair, &format!("sync-{label}")).await?;
            total.files += stats.files;
            total.deleted += stats.deleted;
            total.transferred += stats.transferred;
            total.transferred_bytes += stats.transferred_bytes;
        }
        Ok(StepDone::new()
            .capture("point", point.as_str())
            .capture("files", total.files)
            .capture("written", total.transferred)
            .capture("bytes", total.transferred_bytes)
            .capture("deleted", total.deleted))
    }
}

/// Writes a restored folder through to its disk: rsync does not, and what is called done must survive a power cut.
async fn keep(cx: &StepContext, place: &Place, pair: &Pair, label: &str) -> Result<(), Failure> {
    let sync = Pipeline::from(Command::new("sync").args(["-f", &path_arg(&pair.to)?]));
    let done = run_job(cx, place, label, &sync).await?;
    if done.is_success() {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Refused, format!("run on {place}: {sync}"), done.complaint(&sync))
        .hint("the files are there, but a power cut may take them; look at the disk of that host"))
}
