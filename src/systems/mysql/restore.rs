//! `mysql.restore`: replaces the databases at the target's leader by the dump of a restore point.
//!
//! A dump names its databases throughout (views, routines and triggers refer to them), so it cannot be loaded beside
//! them and swapped in: `RENAME TABLE` moves neither views nor routines nor events, and triggers forbid it. Instead,
//! what is there is dumped first, then dropped, then the new copy is loaded. If loading fails, what was there is put
//! back. What is there is never dropped before the new dump has been proved whole on the target.

use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Access;
use super::census::{Census, shown};
use super::clients::{drop_pipeline, load_pipeline, missing, trailer_pipeline};
use super::details::Details;
use super::dumpfile::{ended_well, size_of, sum_of};
use super::findings::Findings;
use super::judge::Scene;
use super::previous::{self, Previous};
use super::tally::is_trailer;
use super::target::{Waived, as_target, distinct};
use crate::model::{ByteSize, End, Failure, FailureKind, PointId, SafeText};
use crate::points::{Artifact, Counts, Part, compare};
use crate::systems::remote::{ensure_space, load_part, path_arg};
use crate::systems::{CheckReport, Step, StepContext, StepDone, run_job};

/// Replaces the databases at the target by the dump of a restore point, at the host that leads there. What was there is
/// kept as a dump first, and put back when loading fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The restore point; that of the run when left out.
    #[serde(default)]
    point: Option<PointId>,
    /// Dump what is there before it is replaced.
    #[serde(default = "yes")]
    keep_previous: bool,
    /// Where that dump is kept; in `previous` on the target's exchange mount when left out. Needed where that mount
    /// cannot be written to.
    #[serde(default)]
    previous_folder: Option<PathBuf>,
    /// Load a dump of the other flavour (MySQL, MariaDB).
    #[serde(default)]
    allow_cross_flavour: bool,
    /// Load although views, routines, triggers or events run as accounts that the target does not have.
    #[serde(default)]
    allow_missing_definers: bool,
}

fn yes() -> bool {
    true
}

/// The dump that will be loaded.
struct Copy {
    part: Part,
    details: Details,
    artifact: Artifact,
    path: String,
}

impl Restore {
    fn folder(&self, cx: &StepContext) -> Result<PathBuf, Failure> {
        match &self.previous_folder {
            Some(folder) => Ok(folder.clone()),
            None => Ok(previous::folder(&cx.tree(cx.site()?)?)),
        }
    }

    /// True when there is no copy because earlier steps of the same run make or bring it.
    fn is_yet_to_come(&self, failure: &Failure) -> bool {
        self.point.is_none() && failure.kind == FailureKind::Refused
    }

    async fn copy(&self, cx: &StepContext) -> Result<Copy, Failure> {
        let site = cx.site()?;
        let point = self.point.as_ref().unwrap_or(&cx.point);
        let part = load_part(cx, site, point, cx.service_name()?).await?;
        let details = Details::of(&part)?;
        let [artifact] = part.artifacts.as_slice() else {
            let got = format!("it has {} files, not one", part.artifacts.len());
            return Err(Failure::new(FailureKind::Refused, format!("find the dump of point {point}"), got));
        };
        let path = path_arg(&cx.tree(site)?.root().join(&artifact.path))?;
        Ok(Copy { artifact: artifact.clone(), path, details, part })
    }

    /// Everything that is in the way or will be lost.
    async fn judge(&self, cx: &StepContext, scene: &Scene, copy: &Copy) -> Result<Findings, Failure> {
        let source = &copy.details.source;
        let mut findings = Findings::default();
        distinct(source, &scene.server, &mut findings);
        let waived = Waived { cross_flavour: self.allow_cross_flavour, missing_definers: self.allow_missing_definers };
        findings.append(as_target(cx, scene, Some(source), waived).await?);
        if !scene.tools.reads(copy.details.compressor) {
            let failure = missing(&scene.access, copy.details.compressor.decompressor());
            findings.fail(failure.to_string(), "without it the dump cannot be read");
        }
        self.space(cx, scene, copy, &mut findings).await?;
        losses(scene, copy, &mut findings);
        if !self.keep_previous {
            findings.warn("what is there now is not kept: if loading fails, nothing can be put back");
        }
        Ok(findings)
    }

    /// Room for the data, where the server is the programs' own neighbour and its disk can be looked at.
    async fn space(
        &self,
        cx: &StepContext,
        scene: &Scene,
        copy: &Copy,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        let needed = copy.details.source.bytes.saturating_sub(scene.census.bytes());
        let needed = if scene.server.logs { needed + copy.details.source.bytes } else { needed };
        if scene.access.endpoint.through.is_none() || scene.server.data_folder.is_empty() {
            findings.warn(format!(
                "the free space of the target's server was not looked at; it needs {}",
                ByteSize(needed)
            ));
            return Ok(());
        }
        match ensure_space(cx, &scene.access.place, &PathBuf::from(&scene.server.data_folder), needed).await {
            Ok(free) => findings.good(format!("{} free for {}", ByteSize(free), ByteSize(needed))),
            Err(failure) if failure.kind == FailureKind::Rule => {
                findings.fail(failure.got.as_str(), "free some space at the target's server, then run again");
            }
            Err(failure) => {
                findings.warn(format!("the free space of the target's server could not be read: {failure}"));
            }
        }
        Ok(())
    }

    /// Proves the dump whole on the target, without touching the server.
    async fn prove(&self, cx: &StepContext, scene: &Scene, copy: &Copy) -> Result<(), Failure> {
        let place = &scene.access.place;
        let tried = format!("verify the dump {} on {place}", copy.path);
        let refuse = |got: String| {
            Failure::new(FailureKind::Mismatch, &tried, got)
                .hint("nothing was touched; wait until the copy has arrived whole, or copy the point again")
        };
        let size = size_of(cx, place, &copy.path).await?;
        if size != Some(copy.artifact.bytes) {
            let has = size.map_or_else(|| "is not there".to_owned(), |size| format!("has {size} bytes"));
            return Err(refuse(format!("it {has}, the restore point says {}", copy.artifact.bytes)));
        }
        let sum = sum_of(cx, place, &copy.path, "verify-sum").await?;
        if sum != copy.artifact.sha256 {
            return Err(refuse(format!("its SHA-256 is {sum}, the restore point says {}", copy.artifact.sha256)));
        }
        let work = trailer_pipeline(copy.details.compressor, &copy.path);
        let run = run_job(cx, place, "verify-end", &work).await?;
        ended_well(place, &work, &run)?;
        match run.tail.lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) if is_trailer(line) => Ok(()),
            other => {
                Err(refuse(format!("it does not end with `-- Dump completed`, but with: {}", other.unwrap_or(""))))
            }
        }
    }

    /// Drops the databases and loads the dump.
    async fn replace(&self, cx: &StepContext, scene: &Scene, copy: &Copy) -> Result<(), Failure> {
        let Scene { access, tools, .. } = scene;
        let client = tools.client(access)?;
        let databases: Vec<&str> = copy.details.source.databases.iter().map(String::as_str).collect();
        let drop = drop_pipeline(access, client, &databases);
        cx.say(format!("replacing {} at {}", databases.join(", "), access.describe()));
        ended_well(&access.place, &drop, &run_job(cx, &access.place, "drop", &drop).await?)?;
        let load = load_pipeline(access, client, copy.details.compressor, copy.details.sandbox_line, &copy.path);
        ended_well(&access.place, &load, &run_job(cx, &access.place, "load", &load).await?)
    }

    /// What a failed replacement leaves, after putting back what was there if that can be done.
    async fn recover(&self, cx: &StepContext, scene: &Scene, kept: Option<&Previous>, failure: Failure) -> Failure {
        let Some(previous) = kept else {
            return also(
                failure,
                "what was there before was not kept, and is gone or half replaced; run the restore again",
            );
        };
        // While the load may still run, or the operator wants to stop, nothing more is started.
        if failure.kind != FailureKind::Refused {
            let next = format!("{}; run the restore again, or undo this step", previous.whereabouts());
            cx.say(format!("the databases at {} are not whole: {next}", scene.access.site));
            return also(failure, &next);
        }
        cx.say("loading failed; putting back what was there before");
        let folder = match self.folder(cx) {
            Ok(folder) => folder,
            Err(worse) => return also(failure, &worse.to_string()),
        };
        match previous.put_back(cx, scene, &folder, "back").await {
            Ok(text) => also(failure, &text),
            Err(worse) => {
                let mut both =
                    also(failure, &format!("{}; load it by hand, or undo this step", previous.whereabouts()));
                both.got = SafeText::block(&format!("{}\nand putting back what was there failed: {worse}", both.got));
                if worse.is_unknown() {
                    both.kind = FailureKind::Unknown;
                }
                both
            }
        }
    }
}

/// The failure with more advice.
fn also(failure: Failure, advice: &str) -> Failure {
    let hint = failure.hint.as_ref().map_or_else(|| advice.to_owned(), |hint| format!("{hint}\n{advice}"));
    failure.hint(hint)
}

/// What can be said of the work before there is a dump.
fn preview_without_copy(cx: &StepContext, scene: &Scene) -> Result<Vec<SafeText>, Failure> {
    let Scene { access, tools, .. } = scene;
    let client = tools.client(access)?;
    let databases = access.databases();
    let lines = [
        format!("on {}:", access.place),
        format!("sha256sum and the last line of the dump of point {}, which is yet to be made", cx.point),
        drop_pipeline(access, client, &databases).to_string(),
        format!("then load the dump with {}", client.describe()),
        format!("on {}: SELECT COUNT(*) FROM each table", access.describe()),
    ];
    Ok(lines.iter().map(|line| SafeText::line(line)).collect())
}

/// What is there now and will not be afterwards.
fn losses(scene: &Scene, copy: &Copy, findings: &mut Findings) {
    replaced(scene, findings);
    let site = &scene.access.site;
    for table in scene.census.tables.iter().filter(|table| !copy.details.source.tables.contains(&shown(&table.key))) {
        findings.lose(format!(
            "table {} at {site} (about {} rows) is not in the dump and vanishes",
            shown(&table.key),
            table.estimate
        ));
    }
}

/// The databases that go, whatever is in the dump.
fn replaced(scene: &Scene, findings: &mut Findings) {
    let site = &scene.access.site;
    for database in &scene.census.present {
        let tables = || scene.census.tables.iter().filter(|table| table.key.0 == *database);
        findings.lose(format!(
            "database {database} at {site} is dropped and loaded anew: {} tables, about {} rows",
            tables().count(),
            tables().map(|table| table.estimate).sum::<u64>()
        ));
    }
}

/// Fails with the differences between what should be there and what is.
///
/// # Errors
/// `Mismatch` with at most twenty differences.
pub fn must_match(access: &Access, expected: &Counts, found: &Counts) -> Result<(), Failure> {
    let differences = compare(expected, found);
    if differences.is_empty() {
        return Ok(());
    }
    let mut list: Vec<String> = differences.iter().take(20).map(ToString::to_string).collect();
    if differences.len() > list.len() {
        list.push(format!("and {} more", differences.len() - list.len()));
    }
    Err(Failure::new(
        FailureKind::Mismatch,
        format!("compare {} with the restore point", access.describe()),
        list.join("\n"),
    )
    .hint("if something writes to the target (an application, a scheduled event), stop it and restore again"))
}

/// Rows and tables of counts.
#[must_use]
pub fn totals(counts: &Counts) -> (u64, u64) {
    let rows = counts.values().filter_map(|measures| match measures.get("rows") {
        Some(crate::points::Measure::Exactly(rows)) => Some(*rows),
        _ => None,
    });
    rows.fold((0, 0), |(sum, tables), rows| (sum + rows, tables + 1))
}

fn only_at_the_target(cx: &StepContext) -> Result<(), Failure> {
    if cx.end == Some(End::Target) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Rule, format!("restore databases with step {}", cx.unit), "it does not act at the target")
        .hint("give the step `on = \"target\"`: the source is never overwritten; to replace it, turn the direction round first"))
}

#[async_trait]
impl Step for Restore {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        only_at_the_target(cx)?;
        let scene = Scene::survey(cx).await?;
        let copy = match self.copy(cx).await {
            Err(failure) if self.is_yet_to_come(&failure) => return preview_without_copy(cx, &scene),
            copy => copy?,
        };
        let Scene { access, tools, .. } = &scene;
        let client = tools.client(access)?;
        let databases: Vec<&str> = copy.details.source.databases.iter().map(String::as_str).collect();
        let mut lines = vec![format!("on {}:", access.place), format!("sha256sum {}", copy.path)];
        lines.push(trailer_pipeline(copy.details.compressor, &copy.path).to_string());
        if self.keep_previous {
            lines.push(format!("dump {} to {}", databases.join(", "), self.folder(cx)?.display()));
        }
        lines.push(drop_pipeline(access, client, &databases).to_string());
        lines.push(
            load_pipeline(access, client, copy.details.compressor, copy.details.sandbox_line, &copy.path).to_string(),
        );
        lines.push(format!("on {}: SELECT COUNT(*) FROM each table", access.describe()));
        Ok(lines.iter().map(|line| SafeText::line(line)).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        only_at_the_target(cx)?;
        let scene = Scene::survey(cx).await?;
        let mut findings = Findings::default();
        scene.introduce(&mut findings);
        match self.copy(cx).await {
            Ok(copy) => findings.append(self.judge(cx, &scene, &copy).await?),
            Err(failure) if self.is_yet_to_come(&failure) => {
                findings.good(format!("point {} is not there yet; the dump is looked at when it is", cx.point));
                findings.append(as_target(cx, &scene, None, Waived::default()).await?);
                replaced(&scene, &mut findings);
            }
            Err(failure) => return Err(failure),
        }
        Ok(findings.report())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        only_at_the_target(cx)?;
        let scene = Scene::survey(cx).await?;
        let copy = self.copy(cx).await?;
        let findings = self.judge(cx, &scene, &copy).await?;
        let access = &scene.access;
        if let Some(failure) = findings.failure(&format!("replace the databases of {}", access.describe())) {
            return Err(failure);
        }
        self.prove(cx, &scene, &copy).await?;
        let folder = self.folder(cx)?;
        let databases: Vec<&str> = copy.details.source.databases.iter().map(String::as_str).collect();
        let kept = if self.keep_previous { Some(previous::keep(cx, &scene, &folder, &databases).await?) } else { None };
        if let Err(failure) = self.replace(cx, &scene, &copy).await {
            return Err(self.recover(cx, &scene, kept.as_ref(), failure).await);
        }
        let found = Census::found(cx, access, &databases).await?;
        must_match(access, &copy.part.counts, &found).map_err(|failure| match &kept {
            Some(previous) => also(failure, &previous.whereabouts()),
            None => failure,
        })?;
        if let Some(previous) = &kept {
            previous::settle(cx, &scene, &folder, previous).await?;
        }
        let (rows, tables) = totals(&found);
        cx.say(format!("{tables} tables with {rows} rows are at {}, as the dump has them", access.site));
        Ok(findings.warned(StepDone::new().capture("rows", rows).capture("tables", tables).capture("file", copy.path)))
    }

    async fn undo(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        only_at_the_target(cx)?;
        let scene = Scene::survey(cx).await?;
        let folder = self.folder(cx)?;
        let tried = format!("put back what was in the databases at {}", scene.access.site);
        let known = previous::read(cx, &scene, &folder).await?;
        let previous = known.filter(|known| known.run == cx.run).ok_or_else(|| {
            Failure::new(FailureKind::Refused, &tried, "this run kept no copy of what was there before")
                .hint("restore an older point instead")
        })?;
        if scene.server.read_only {
            return Err(Failure::new(FailureKind::Rule, tried, format!("{} is read-only", scene.access.describe()))
                .hint("make sure that this is the right leader"));
        }
        cx.say(previous.put_back(cx, &scene, &folder, "undo").await?);
        Ok(StepDone::new())
    }
}
