//! What a restore point must know of a search service beside the counts, and the look-ups around it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::companions::Companions;
use super::dialect::Dialect;
use super::indices::Index;
use super::pattern::Pattern;
use super::settings::Replicas;
use crate::model::{Failure, FailureKind};
use crate::points::Part;

/// The `details` of a part: which snapshot it is, and what the copy must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copied {
    /// The repository.
    pub repository: String,
    /// The snapshot.
    pub snapshot: String,
    /// Its identity: another snapshot of the same name is not this one.
    pub uuid: String,
    /// The cluster that took it.
    pub cluster_uuid: String,
    /// What that cluster is.
    #[serde(flatten)]
    pub dialect: Dialect,
    /// Which indices were meant. What matches and is not in the snapshot was not at the source.
    pub pattern: Pattern,
    /// Which there were.
    pub indices: BTreeMap<String, CopiedIndex>,
    /// Templates and pipelines that belong to them.
    #[serde(default)]
    pub companions: Companions,
    /// Closed indices that match and are not in the snapshot.
    #[serde(default)]
    pub closed: Vec<String>,
    /// The size of the primaries.
    #[serde(default)]
    pub bytes: u64,
}

/// An index in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedIndex {
    /// Primary shards.
    pub shards: u32,
    /// Copies of each at the source.
    pub replicas: u32,
    /// True when the server adapts the replicas by itself.
    #[serde(default)]
    pub auto_expand: bool,
    /// `index.version.created`.
    #[serde(default)]
    pub created: Option<u64>,
    /// Its aliases; nothing when they changed while the snapshot was taken.
    #[serde(default)]
    pub aliases: Option<Vec<String>>,
    /// Settings that bind it to nodes of the source.
    #[serde(default)]
    pub filters: Vec<String>,
}

impl CopiedIndex {
    /// An index as it was before and after the snapshot.
    #[must_use]
    pub fn new(before: &Index, after: Option<&Index>) -> Self {
        let steady = after.is_some_and(|after| after.aliases == before.aliases);
        Self {
            shards: before.shards,
            replicas: before.replicas,
            auto_expand: before.auto_expand,
            created: before.created,
            aliases: steady.then(|| before.aliases.clone()),
            filters: before.filters.clone(),
        }
    }
}

impl Copied {
    /// Reads the details of a part.
    ///
    /// # Errors
    /// When the part is of another kind, or was written by another version of this program.
    pub fn of(part: &Part) -> Result<Self, Failure> {
        serde_json::from_value(part.details.clone()).map_err(|error| {
            Failure::new(
                FailureKind::Invalid,
                format!("read what the point says of service {}", part.service),
                error.to_string(),
            )
            .hint("the point was made by another kind of service or another version of this program")
        })
    }

    /// The settings that bind any of the indices to nodes of the source.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        let mut filters: Vec<String> = self.indices.values().flat_map(|index| index.filters.clone()).collect();
        filters.sort();
        filters.dedup();
        filters
    }

    /// How many indices get fewer replicas on a cluster with `data_nodes` than they had.
    #[must_use]
    pub fn fewer_replicas(&self, setting: Replicas, data_nodes: u32) -> usize {
        let fewer =
            |index: &&CopiedIndex| !index.auto_expand && setting.wanted(index.replicas, data_nodes) < index.replicas;
        self.indices.values().filter(fewer).count()
    }

    /// Why this cannot be restored by a cluster of `dialect`; nothing when it can.
    #[must_use]
    pub fn cannot_go_to(&self, dialect: Dialect) -> Option<String> {
        let oldest = self.indices.values().filter_map(|index| index.created).min();
        // With OpenSearch's mark in it the plain numbers of Elasticsearch are the smaller, older ones too.
        dialect.cannot_restore(self.dialect, oldest)
    }
}

/// The name under which an index is counted.
#[must_use]
pub fn item(index: &str) -> String {
    format!("index {index}")
}

/// What is counted.
pub const DOCUMENTS: &str = "documents";
