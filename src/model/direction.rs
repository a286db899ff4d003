//! Which site is active, and the number that says how often that has changed.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunId, SiteName};

/// One of the two ends of a direction. Runbooks speak of ends, never of sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The active site: the truth is here.
    Source,
    /// The standby site: the copy goes here.
    Target,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Which site is the source and which the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Direction {
    /// The active site.
    pub source: SiteName,
    /// The standby site.
    pub target: SiteName,
}

impl Direction {
    /// The site at `end`.
    #[must_use]
    pub fn site(&self, end: End) -> &SiteName {
        match end {
            End::Source => &self.source,
            End::Target => &self.target,
        }
    }

    /// The end that `site` is at, or nothing when the site belongs to neither.
    #[must_use]
    pub fn end_of(&self, site: &SiteName) -> Option<End> {
        if *site == self.source {
            Some(End::Source)
        } else if *site == self.target {
            Some(End::Target)
        } else {
            None
        }
    }

    /// The name of this direction's own tree and repository, for example `prod-to-bcp`. The two directions never
    /// share a tree, so that a run the wrong way round cannot overwrite the good copy.
    #[must_use]
    pub fn tree_name(&self) -> String {
        format!("{}-to-{}", self.source, self.target)
    }

    /// The same pair the other way round.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { source: self.target.clone(), target: self.source.clone() }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} -> {}", self.source, self.target))
    }
}

/// Grows by one with every change of direction. Whoever holds a smaller one is out of date and is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a site believes about the direction: kept in the exchange tree of both sites, and in every restore point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DirectionRecord {
    /// How many changes of direction there have been.
    pub epoch: Epoch,
    /// The site that is active in this epoch.
    pub active: SiteName,
    /// When this epoch began.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// The run that began it.
    pub run: RunId,
}
