//! `files.check`: are the folders there, is there something in them, how much.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::collect::newest_generation;
use super::settings::{Settings, ability, ensure_mounted};
use crate::model::{ByteSize, Failure, FailureKind, SafeText};
use crate::port::Place;
use crate::systems::remote::path_arg;
use crate::systems::tree::{self, exactly};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Checks the folders and counts their files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {}

/// What the folders hold, all together.
struct Held {
    files: u64,
    bytes: u64,
    lines: Vec<String>,
}

async fn held(cx: &StepContext, settings: &Settings, place: &Place) -> Result<Held, Failure> {
    let mut held = Held { files: 0, bytes: 0, lines: Vec::new() };
    for (index, path) in settings.paths.iter().enumerate() {
        ensure_mounted(cx, place, path, settings, false).await?;
        let counts =
            tree::count(cx, place, &tree::fresh(cx, &format!("count-{index}")), path, &settings.exclude).await?;
        let (files, bytes) = (exactly(&counts, "files"), exactly(&counts, "bytes"));
        held.files += files;
        held.bytes += bytes;
        held.lines.push(format!("{} on {place}: {files} files, {}", path.display(), ByteSize(bytes)));
    }
    if let Some(least) = settings.min_files.filter(|least| held.files < *least) {
        let tried = format!("count the files on {place}");
        return Err(Failure::new(FailureKind::Rule, tried, format!("{} files, fewer than {least}", held.files))
            .hint("is everything mounted? If it is meant to be so few, lower `min_files` of the service"));
    }
    Ok(held)
}

#[async_trait]
impl Step for Check {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings: Settings = cx.settings()?;
        let paths = settings.paths.iter().map(|path| path_arg(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(paths.iter().map(|path| SafeText::line(&tree::counting(path, &settings.exclude).to_string())).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let settings: Settings = cx.settings()?;
        let place = settings.collected_at(cx)?;
        ability(cx, &place, &settings).await?;
        let held = held(cx, &settings, &place).await?;
        Ok(held.lines.iter().fold(CheckReport::live(), CheckReport::good))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings: Settings = cx.settings()?;
        let place = settings.collected_at(cx)?;
        let ability = ability(cx, &place, &settings).await?;
        let held = held(cx, &settings, &place).await?;
        held.lines.iter().for_each(|line| cx.say(line));
        let mut done = StepDone::new();
        if settings.attributes && !ability.attributes {
            done = done.warn(format!("rsync {} on {place} copies no ACLs and extended attributes", ability.version));
        }
        // A generation shares what did not change with the one before; the first one needs room for everything.
        let estimated = match newest_generation(cx, &place).await? {
            Some(last) => last.growth(held.bytes),
            None => held.bytes,
        };
        Ok(done.capture("files", held.files).capture("bytes", held.bytes).capture("estimated_bytes", estimated))
    }
}
