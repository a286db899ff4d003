//! The manifest of a restore point and its completion marker.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Counts;
use crate::model::{Direction, Epoch, PointId, RunId, ServiceName, SiteName};

/// What one store put into a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// The service.
    pub service: ServiceName,
    /// Its kind.
    pub kind: String,
    /// The server's version, in its own words.
    pub version: String,
    /// When capturing began. The state in the copy is not older.
    #[schemars(with = "String")]
    pub began: Timestamp,
    /// When capturing ended. The state in the copy is not younger.
    #[schemars(with = "String")]
    pub ended: Timestamp,
    /// The files that this store wrote into the point.
    pub artifacts: Vec<Artifact>,
    /// What was counted at the source.
    pub counts: Counts,
    /// What the kind needs for restoring: snapshot name and uuid, schemas, paths.
    pub details: Value,
}

/// A file of a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// Its path, relative to the root of the direction's tree.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal: the checksum that every host can verify with its own tools.
    pub sha256: String,
}

/// Everything that is in a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The point.
    pub point: PointId,
    /// The run that made it.
    pub run: RunId,
    /// The estate.
    pub estate: SiteName,
    /// Who was source and who target.
    pub direction: Direction,
    /// The epoch it was made in.
    pub epoch: Epoch,
    /// When it was sealed.
    #[schemars(with = "String")]
    pub sealed: Timestamp,
    /// The parts, by service.
    pub parts: BTreeMap<ServiceName, Part>,
}

impl Manifest {
    /// The version that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// How far apart in time the stores were captured: from the earliest beginning to the latest end.
    #[must_use]
    pub fn skew(&self) -> Option<jiff::SignedDuration> {
        let began = self.parts.values().map(|part| part.began).min()?;
        let ended = self.parts.values().map(|part| part.ended).max()?;
        Some(ended.duration_since(began))
    }
}

/// The marker that says a point is whole. Written last, by rename, after everything else is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletionMarker {
    /// The point.
    pub point: PointId,
    /// SHA-256 of `manifest.json`.
    pub manifest_sha256: String,
    /// SHA-256 of `LISTING`.
    pub listing_sha256: String,
    /// How many files the listing names.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// The id of a point made at `at`: sorts by time, and is legal as a snapshot name, a folder name and a schema suffix.
/// `nonce` tells apart two points of one second.
///
/// # Panics
/// Never: the text is always a valid name.
#[must_use]
pub fn point_id(at: Timestamp, nonce: [u8; 2]) -> PointId {
    let text = format!("p-{}-{:02x}{:02x}", at.strftime("%Y%m%d-%H%M%S"), nonce[0], nonce[1]);
    PointId::new(text).expect("digits, letters and dashes are a valid name")
}

/// When the run began that a point was made by, to the second; nothing for a name that this program did not give.
#[must_use]
pub fn point_time(point: &PointId) -> Option<Timestamp> {
    let (time, _) = point.as_str().strip_prefix("p-")?.rsplit_once('-')?;
    let time = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", time).ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_ids_sort_by_time_and_are_lower_case() {
        let early = point_id("2026-03-01T02:03:04Z".parse().expect("a time"), [0xab, 0x01]);
        let late = point_id("2026-11-21T02:03:04Z".parse().expect("a time"), [0, 0]);
        assert_eq!(early.as_str(), "p-20260301-020304-ab01");
        assert!(early < late);
        assert_eq!(point_time(&early), "2026-03-01T02:03:04Z".parse().ok());
        assert_eq!(point_time(&PointId::new("p-before-upgrade").expect("a name")), None);
    }
}
