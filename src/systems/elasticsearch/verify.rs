//! `elasticsearch.verify`: counts what is at the target and compares it with what was counted at the source.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ask::Ask;
use super::client::Client;
use super::details::{Copied, DOCUMENTS, item};
use super::indices::{self, Index, Table};
use super::pattern::Pattern;
use crate::model::{Counted, Failure, FailureKind, PointId, SafeText};
use crate::points::{Counts, Measure, compare};
use crate::systems::{CheckReport, Step, StepContext, StepDone, remote};

/// How many differences a failure lists.
const SHOWN: usize = 20;

/// Compares documents and aliases of every index with the restore point.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyIndices {
    /// The restore point; the run's own when left out.
    #[serde(default)]
    point: Option<PointId>,
    /// Lets indices be there that the point does not have, as after a restore with `prune = false`.
    #[serde(default)]
    allow_surplus: bool,
}

#[async_trait]
impl Step for VerifyIndices {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let client = Client::new(cx, cx.service_name()?, cx.site()?).await?;
        let mut shown = vec![SafeText::line(&client.shown(&Ask::indices()))];
        for ask in [Ask::refresh("<indices>"), Ask::count("<index>")] {
            let text = client.shown(&ask).replace("%3C", "<").replace("%3E", ">");
            shown.push(SafeText::line(&format!("for the indices of the point: {text}")));
        }
        Ok(shown)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let client = Client::new(cx, cx.service_name()?, cx.site()?).await?;
        client.identify().await?;
        Ok(CheckReport::live().good(format!("the search cluster at {} answers", client.site)))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let (service, site) = (cx.service_name()?, cx.site()?);
        let client = Client::new(cx, service, site).await?;
        let point = self.point.as_ref().unwrap_or(&cx.point);
        let part = remote::load_part(cx, site, point, service).await?;
        let copied = Copied::of(&part)?;
        let table = Table::fetch(&client).await?;
        let own = if self.allow_surplus { None } else { Some(&client.settings.indices) };
        let relevant = relevant(&copied, &table, own);
        let names: Vec<&str> = relevant.iter().filter(|(_, index)| index.open).map(|(name, _)| name.as_str()).collect();
        let documents = indices::count(&client, &names).await?;
        let total: u64 = documents.values().sum();
        let differences = compare(&expected(&part.counts, &copied), &found(&copied, &relevant, &documents));
        if !differences.is_empty() {
            let mut lines: Vec<String> = differences.iter().take(SHOWN).map(ToString::to_string).collect();
            if differences.len() > SHOWN {
                lines.push(format!("and {} more", differences.len() - SHOWN));
            }
            return Err(Failure::new(
                FailureKind::Mismatch,
                format!("find point {point} whole in service {service} at {site}"),
                lines.join("\n"),
            )
            .hint("is something writing to the indices there? If not, restore again"));
        }
        let indices = Counted::of(names.len(), "index", "indices");
        let documents = Counted(total, "document", "documents");
        cx.say(format!("what is at {site} is as the point says: {indices} with {documents}"));
        Ok(StepDone::new().capture("documents", total).capture("indices", names.len()))
    }
}

/// The indices at the target that are compared: those of the point, and those that should not be there.
fn relevant<'a>(copied: &'a Copied, table: &'a Table, own: Option<&'a Pattern>) -> BTreeMap<&'a String, &'a Index> {
    let surplus = own.map(|own| super::decide::surplus(copied, table, own)).unwrap_or_default();
    table.indices.iter().filter(|(name, _)| copied.indices.contains_key(*name) || surplus.contains(name)).collect()
}

/// The counts of the point, and the aliases.
fn expected(counts: &Counts, copied: &Copied) -> Counts {
    let mut counts = counts.clone();
    for (name, index) in &copied.indices {
        if let Some(aliases) = &index.aliases {
            counts.entry(item(name)).or_default().insert("aliases".to_owned(), listed(aliases));
        }
    }
    counts
}

/// What is there, in the same words. A closed index holds nothing that could be counted.
fn found(copied: &Copied, relevant: &BTreeMap<&String, &Index>, documents: &BTreeMap<String, u64>) -> Counts {
    let mut counts = Counts::new();
    for (name, index) in relevant {
        let measures = counts.entry(item(name)).or_default();
        let measure =
            documents.get(*name).map_or_else(|| Measure::Digest("closed".to_owned()), |&n| Measure::Exactly(n));
        measures.insert(DOCUMENTS.to_owned(), measure);
        if copied.indices.get(*name).is_some_and(|copied| copied.aliases.is_some()) {
            measures.insert("aliases".to_owned(), listed(&index.aliases));
        }
    }
    counts
}

fn listed(aliases: &[String]) -> Measure {
    Measure::Digest(if aliases.is_empty() { "none".to_owned() } else { aliases.join(", ") })
}

#[cfg(test)]
mod tests;
