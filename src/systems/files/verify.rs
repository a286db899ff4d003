//! `files.verify`: are the folders on the hosts what the restore point says?

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::restore::{Pair, Source, source};
use super::settings::{Settings, ability};
use crate::model::{Failure, FailureKind, PointId, SafeText};
use crate::points::{Counts, compare};
use crate::port::Place;
use crate::systems::remote::path_arg;
use crate::systems::rsync::{self, Copy};
use crate::systems::tree::{self, exactly};
use crate::systems::{Step, StepContext, StepDone};

/// Compares the folders with the restore point.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    /// The point; the run's own when left out.
    #[serde(default)]
    point: Option<PointId>,
}

/// Whether the point knows the content of a folder.
fn is_deep(source: &Source, pair: &Pair) -> bool {
    source.part.counts.get(&pair.item).is_some_and(|counts| counts.contains_key("content"))
}

/// So many differing paths are named.
const NAMED: usize = 10;

/// Names some of the paths that differ. Only an explanation: when it cannot be had, the finding stands without it.
async fn explain(cx: &StepContext, settings: &Settings, place: &Place, source: &Source, label: &str) -> String {
    let mut text = vec![String::new()];
    for (index, pair) in source.pairs.iter().enumerate() {
        let Ok(ability) = ability(cx, place, settings).await else { continue };
        let Ok(copy) = ability.copy(settings, &pair.from, &pair.to) else { continue };
        // Where content was counted, it may be all that differs.
        let checksum = is_deep(source, pair);
        let look = Copy { dry_run: true, itemize: true, delete: Some(0), checksum, ..copy };
        let Ok(found) = rsync::run(cx, place, &tree::fresh(cx, &format!("{label}-explain-{index}")), &look).await
        else {
            continue;
        };
        text.extend(found.said.iter().take(NAMED).cloned());
        if found.said.len() > NAMED {
            text.push(format!("… and {} more in {}", found.said.len() - NAMED, pair.to.display()));
        }
    }
    text.join("\n")
}

#[async_trait]
impl Step for Verify {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings: Settings = cx.settings()?;
        if let Some(why) = settings.left_to_another(cx) {
            return Ok(vec![SafeText::line(why)]);
        }
        let mut lines = Vec::new();
        for path in &settings.paths {
            let path = path_arg(path)?;
            lines.push(SafeText::line(&tree::counting(&path, &settings.exclude).to_string()));
            lines.push(SafeText::line(&tree::digesting(&path, &settings.exclude).to_string()));
        }
        Ok(lines)
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings: Settings = cx.settings()?;
        if let Some(why) = settings.left_to_another(cx) {
            return Ok(StepDone::nothing_to_do(why));
        }
        let point = self.point.as_ref().unwrap_or(&cx.point);
        let source = source(cx, &settings, point).await?;
        let (mut files, mut bytes) = (0, 0);
        for (number, place) in settings.places(cx)?.iter().enumerate() {
            let mut found = Counts::new();
            for (index, pair) in source.pairs.iter().enumerate() {
                let deep = is_deep(&source, pair);
                let label = tree::fresh(cx, &format!("{number}-{index}"));
                let counts = tree::measure(cx, place, &label, &pair.to, &settings.exclude, deep).await?;
                files += exactly(&counts, "files");
                bytes += exactly(&counts, "bytes");
                found.insert(pair.item.clone(), counts);
            }
            let differences = compare(&source.part.counts, &found);
            if !differences.is_empty() {
                let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
                let explained = explain(cx, &settings, place, &source, &number.to_string()).await;
                let tried = format!("compare the folders on {place} with point {point}");
                return Err(Failure::new(FailureKind::Mismatch, tried, format!("{}{explained}", lines.join("\n")))
                    .hint("if the application runs there already, this is its work; else run `files.restore` again"));
            }
            cx.say(format!("{place}: everything is as in point {point}"));
        }
        Ok(StepDone::new().capture("point", point.as_str()).capture("files", files).capture("bytes", bytes))
    }
}
