//! The copy of what was in the target before a restore: one generation, kept until a later restore ended well, so that
//! a load that fails never leaves half a copy as the only one.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::census::{Census, exactly};
use super::clients::{Compressor, drop_pipeline, load_pipeline};
use super::dumpfile::{Order, ended_well, remove, sum_of};
use super::judge::Scene;
use crate::model::{Failure, FailureKind, RunId, SiteName};
use crate::points::{Counts, Tree, compare};
use crate::port::Command;
use crate::systems::remote::{change, ensure_space, get_json, path_arg, put_file};
use crate::systems::{StepContext, run_job};

/// What was in the databases before they were replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Previous {
    /// The run that replaced them.
    pub run: RunId,
    /// On which host programs ran.
    pub place: String,
    /// When it was kept.
    pub kept: Timestamp,
    /// The databases that were there; empty when there were none.
    pub databases: Vec<String>,
    /// The databases that are replaced.
    pub replaced: Vec<String>,
    /// The dump of those that were there.
    pub file: Option<PreviousFile>,
    /// What was counted in it.
    pub counts: Counts,
    /// True once the databases are known to be whole again: the restore ended well, or this copy was put back. While
    /// it is false, this copy may be the only whole one and is not replaced.
    pub settled: bool,
}

/// The dump file of what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousFile {
    /// Where, on the target.
    pub path: String,
    /// Its SHA-256.
    pub sha256: String,
    /// What compressed it.
    pub compressor: Compressor,
    /// True when it begins with `MariaDB`'s sandbox line.
    pub sandbox_line: bool,
}

/// The folder of previous copies on the target's exchange mount: outside the trees of the directions, which are
/// copied between the sites.
#[must_use]
pub fn folder(tree: &Tree) -> PathBuf {
    tree.exchange().join("previous")
}

fn record_path(cx: &StepContext, folder: &Path) -> Result<PathBuf, Failure> {
    Ok(folder.join(format!("{}-{}.json", cx.site()?, cx.service_name()?)))
}

/// The place on which the databases of the step's service at `site` are being replaced, or were when it broke off; read
/// from the usual folder, without asking the server.
///
/// # Errors
/// When the record cannot be read.
pub async fn unsettled_on(cx: &StepContext, site: &SiteName) -> Result<Option<String>, Failure> {
    let path = folder(&cx.tree(site)?).join(format!("{site}-{}.json", cx.service_name()?));
    let record: Option<Previous> = get_json(cx, &cx.exchange_place(site)?, &path).await?;
    Ok(record.filter(|record| !record.settled).map(|record| record.place))
}

/// Reads what is known of the previous copy.
///
/// # Errors
/// When it cannot be read.
pub async fn read(cx: &StepContext, scene: &Scene, folder: &Path) -> Result<Option<Previous>, Failure> {
    get_json(cx, &scene.access.place, &record_path(cx, folder)?).await
}

/// Makes sure that what is in the databases now can come back: dumps it, unless an earlier restore did not end well, in
/// which case the copy from before that one is kept. The record says "not settled" when this returns.
///
/// # Errors
/// When the copy cannot be made; nothing was replaced then.
pub async fn keep(cx: &StepContext, scene: &Scene, folder: &Path, replaced: &[&str]) -> Result<Previous, Failure> {
    let access = &scene.access;
    let known = read(cx, scene, folder).await?;
    if let Some(mut unsettled) = known.clone().filter(|known| !known.settled) {
        if unsettled.run == cx.run && unsettled.place != access.place.to_string() {
            return Err(Failure::new(
                FailureKind::Unknown,
                format!("go on with replacing the databases at {}", access.site),
                format!("it was begun on {}, but the leader is {} now", unsettled.place, access.place),
            )
            .hint(format!("the work may still be going on on {}; look there, then start a new run", unsettled.place)));
        }
        if unsettled.run != cx.run {
            cx.say(format!(
                "the restore of run {} did not end well: the copy from before it ({}) is kept",
                unsettled.run, unsettled.kept
            ));
        }
        unsettled.run = cx.run.clone();
        unsettled.place = access.place.to_string();
        write(cx, scene, folder, &unsettled).await?;
        return Ok(unsettled);
    }
    let present: Vec<&str> = replaced.iter().copied().filter(|name| scene.census.present.contains(*name)).collect();
    let (file, counts) = if present.is_empty() {
        (None, Counts::new())
    } else {
        let (file, counts) = dump(cx, scene, folder, &present).await?;
        (Some(file), counts)
    };
    let previous = Previous {
        run: cx.run.clone(),
        place: access.place.to_string(),
        kept: cx.clock.now(),
        databases: present.iter().map(|name| (*name).to_owned()).collect(),
        replaced: replaced.iter().map(|name| (*name).to_owned()).collect(),
        file,
        counts,
        settled: false,
    };
    write(cx, scene, folder, &previous).await?;
    let old = known.and_then(|known| known.file).map(|file| file.path);
    if let Some(old) = old.filter(|old| previous.file.as_ref().is_none_or(|new| new.path != *old)) {
        change(cx, &access.place, &remove(&old)).await?;
    }
    Ok(previous)
}

async fn dump(
    cx: &StepContext,
    scene: &Scene,
    folder: &Path,
    present: &[&str],
) -> Result<(PreviousFile, Counts), Failure> {
    let access = &scene.access;
    let compressor = scene.tools.compressor(access, None)?;
    let program = scene.tools.dump(access)?;
    change(cx, &access.place, &Command::new("mkdir").args(["-p", "-m", "2775", &path_arg(folder)?]).into()).await?;
    ensure_space(cx, &access.place, folder, scene.census.data() / 2).await?;
    let name = format!("{}-{}-{}.sql.{}", cx.site()?, cx.service_name()?, cx.run, compressor.extension());
    let path = folder.join(name);
    cx.say(format!("keeping what is in {} now, until the new copy is in", present.join(", ")));
    let made = Order { access, program, compressor, databases: present, label: "previous" }.make(cx, &path).await?;
    let mut rows = made.tally.rows.clone();
    let dumped: Vec<_> = scene.census.dumped().into_iter().map(|table| &table.key).collect();
    rows.retain(|key, _| dumped.contains(&key));
    let file = PreviousFile {
        path: path_arg(&path)?,
        sha256: made.sha256,
        compressor,
        sandbox_line: made.tally.has_sandbox_line(),
    };
    Ok((file, scene.census.counts(&exactly(&rows))))
}

async fn write(cx: &StepContext, scene: &Scene, folder: &Path, previous: &Previous) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(previous).map_err(|error| {
        Failure::new(FailureKind::Invalid, "write the record of the previous copy", error.to_string())
    })?;
    put_file(cx, &scene.access.place, &record_path(cx, folder)?, &json).await
}

/// Records that the databases are whole again.
///
/// # Errors
/// When it cannot be written.
pub async fn settle(cx: &StepContext, scene: &Scene, folder: &Path, previous: &Previous) -> Result<(), Failure> {
    write(cx, scene, folder, &Previous { settled: true, ..previous.clone() }).await
}

impl Previous {
    /// For people: where the copy lies.
    #[must_use]
    pub fn whereabouts(&self) -> String {
        match &self.file {
            Some(file) => format!("what was there before lies in {} on {}", file.path, self.place),
            None => format!("there was nothing in {} before", self.replaced.join(", ")),
        }
    }

    /// Puts back what was there, and counts it. `label` tells the jobs apart.
    ///
    /// # Errors
    /// When it could not be put back, or is not all there.
    pub async fn put_back(
        &self,
        cx: &StepContext,
        scene: &Scene,
        folder: &Path,
        label: &str,
    ) -> Result<String, Failure> {
        let access = &scene.access;
        let client = scene.tools.client(access)?;
        if let Some(file) = &self.file {
            let sum = sum_of(cx, &access.place, &file.path, &format!("{label}-sum")).await?;
            if sum != file.sha256 {
                return Err(Failure::new(
                    FailureKind::Mismatch,
                    format!("put back what was in {} at {}", self.databases.join(", "), access.site),
                    format!("the SHA-256 of {} is {sum}, not {}", file.path, file.sha256),
                )
                .hint("restore an older point instead"));
            }
        }
        let replaced: Vec<&str> = self.replaced.iter().map(String::as_str).collect();
        let drop = drop_pipeline(access, client, &replaced);
        ended_well(&access.place, &drop, &run_job(cx, &access.place, &format!("{label}-drop"), &drop).await?)?;
        if let Some(file) = &self.file {
            let load = load_pipeline(access, client, file.compressor, file.sandbox_line, &file.path);
            ended_well(&access.place, &load, &run_job(cx, &access.place, &format!("{label}-load"), &load).await?)?;
        }
        let found = Census::found(cx, access, &replaced).await?;
        let differences = compare(&self.counts, &found);
        if !differences.is_empty() {
            let list: Vec<String> = differences.iter().take(20).map(ToString::to_string).collect();
            return Err(Failure::new(
                FailureKind::Mismatch,
                format!("put back what was in {} at {}", self.databases.join(", "), access.site),
                list.join("\n"),
            )
            .hint(self.whereabouts()));
        }
        settle(cx, scene, folder, self).await?;
        Ok(match self.file {
            Some(_) => format!("what was in {} before was put back and counted", self.databases.join(", ")),
            None => "as before, there is nothing".to_owned(),
        })
    }
}
