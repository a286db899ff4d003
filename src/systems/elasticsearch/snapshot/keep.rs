//! What of a snapshot goes into the restore point: what was counted before and after, and what a restore must know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::answers::Snapshot;
use super::super::companions::Companions;
use super::super::details::{Copied, CopiedIndex, DOCUMENTS, item};
use super::super::indices::{self, Table};
use super::{Ready, closed};
use crate::model::{ByteSize, Counted, Failure, FailureKind};
use crate::points::{Counts, Measure, Part};
use crate::systems::{StepDone, remote};

/// What was there before the snapshot began. Kept beside the point, because a run that crashed while the snapshot was
/// taken could not count it any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) run: String,
    #[serde(with = "stamp")]
    pub(super) began: jiff::Timestamp,
    pub(super) indices: BTreeMap<String, CopiedIndex>,
    pub(super) documents: BTreeMap<String, u64>,
}

mod stamp {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(at: &jiff::Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<jiff::Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Ready<'_> {
    pub(super) fn before_path(&self) -> Result<std::path::PathBuf, Failure> {
        let folder = self.cx.tree(&self.client.site)?.point(&self.cx.point);
        Ok(folder.join(format!("{}.before.json", self.service)))
    }

    /// Counts, and writes the part.
    pub(super) async fn keep(&self, snapshot: &Snapshot, mut warnings: Vec<String>) -> Result<StepDone, Failure> {
        let cx = self.cx;
        let place = cx.exchange_place(&self.client.site)?;
        let before: Option<Before> = remote::get_json(cx, &place, &self.before_path()?).await?;
        let before = before.filter(|before| before.run == cx.run.as_str()).ok_or_else(|| {
            Failure::new(
                FailureKind::Refused,
                format!("keep snapshot {} in the restore point", snapshot.name),
                "what was counted before it began is not on the exchange tree any more",
            )
            .hint("the snapshot is whole, but nobody could prove it after a restore; run again")
        })?;
        let missing: Vec<&str> =
            before.indices.keys().filter(|name| !snapshot.indices.contains(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(Failure::new(
                FailureKind::Mismatch,
                self.tried(&snapshot.name),
                format!("the server calls it complete, but these indices are not in it: {}", missing.join(", ")),
            ));
        }
        let table = Table::fetch(&self.client).await?;
        let open = |name: &&str| table.indices.get(*name).is_some_and(|index| index.open);
        let names: Vec<&str> = before.indices.keys().map(String::as_str).filter(open).collect();
        let after = indices::count(&self.client, &names).await?;
        let mut counts = Counts::new();
        for (name, &documents) in &before.documents {
            let measure = if let Some(&after) = after.get(name) {
                Measure::before_and_after(documents, after)
            } else {
                warnings.push(format!("index {name} was deleted or closed while the snapshot was taken"));
                Measure::Between { low: 0, high: documents }
            };
            counts.entry(item(name)).or_default().insert(DOCUMENTS.to_owned(), measure);
        }
        let total: u64 = before.documents.values().sum();
        let closed: Vec<String> = closed(&table, &self.pattern).cloned().collect();
        warnings.extend(closed.iter().map(|name| format!("index {name} is closed and not in the snapshot")));
        let present: BTreeMap<_, _> =
            table.indices.iter().filter(|(name, _)| before.indices.contains_key(*name)).collect();
        let companions = Companions::all(&self.client, self.identity.dialect).await?.of(&present);
        let bytes = indices::store_bytes(&self.client, &names).await?;
        let copied_indices = before.indices.iter().map(|(name, was)| {
            let now = table.indices.get(name).map(|index| &index.aliases);
            let steady = now.is_some_and(|now| was.aliases.as_ref() == Some(now));
            let aliases = if steady { was.aliases.clone() } else { None };
            (name.clone(), CopiedIndex { aliases, ..was.clone() })
        });
        let copied = Copied {
            repository: self.repository.name.clone(),
            snapshot: snapshot.name.clone(),
            uuid: snapshot.uuid.clone(),
            cluster_uuid: self.identity.cluster_uuid.clone(),
            dialect: self.identity.dialect,
            pattern: self.pattern.clone(),
            indices: copied_indices.collect(),
            companions,
            closed,
            bytes,
        };
        let details = serde_json::to_value(&copied)
            .map_err(|error| Failure::new(FailureKind::Invalid, "write the part", error.to_string()))?;
        let part = Part {
            service: self.service.clone(),
            kind: "elasticsearch".into(),
            version: self.identity.dialect.to_string(),
            began: before.began,
            ended: cx.clock.now(),
            artifacts: Vec::new(),
            counts,
            details,
        };
        remote::save_part(cx, &self.client.site, &part).await?;
        cx.say(format!(
            "snapshot {} holds {}, {}, {}",
            snapshot.name,
            Counted::of(before.indices.len(), "index", "indices"),
            Counted(total, "document", "documents"),
            ByteSize(bytes)
        ));
        let done = StepDone::new()
            .capture("repository", self.repository.name.as_str())
            .capture("snapshot", snapshot.name.as_str())
            .capture("uuid", snapshot.uuid.as_str())
            .capture("indices", before.indices.len())
            .capture("documents", total)
            .capture("bytes", bytes);
        Ok(warnings.into_iter().fold(done, StepDone::warn))
    }
}
