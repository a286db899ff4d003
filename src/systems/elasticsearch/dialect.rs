//! The two products and their versions: the one place that knows what differs between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which product it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch, which left Elasticsearch at 7.10.
    OpenSearch,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Elasticsearch => "Elasticsearch",
            Self::OpenSearch => "OpenSearch",
        })
    }
}

/// A version: major, minor, patch. Written as in `2.19.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(pub u32, pub u32, pub u32);

impl TryFrom<String> for Version {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        // A pre-release says `9.1.0-SNAPSHOT`.
        let number = text.split_once('-').map_or(text.as_str(), |(number, _)| number);
        let mut parts = number.split('.').map(str::parse::<u32>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Ok(Self(major, minor, patch)),
            _ => Err(format!("`{}` is not a version", text.escape_debug())),
        }
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.0, self.1, self.2))
    }
}

/// What a product of a version understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// The product.
    pub flavour: Flavour,
    /// Its version.
    pub version: Version,
}

impl Dialect {
    fn elasticsearch_from(self, version: Version) -> bool {
        self.flavour == Flavour::Elasticsearch && self.version >= version
    }

    /// Snapshots carry `metadata`: Elasticsearch from 7.3, OpenSearch always (seen on 2.19).
    #[must_use]
    pub fn snapshot_metadata(self) -> bool {
        self.flavour == Flavour::OpenSearch || self.elasticsearch_from(Version(7, 3, 0))
    }

    /// Snapshots know feature states, which must be declined by name: Elasticsearch from 7.12. An empty list means
    /// opposite things when creating and when restoring.
    #[must_use]
    pub fn feature_states(self) -> bool {
        self.elasticsearch_from(Version(7, 12, 0))
    }

    /// Several snapshots may run at once: Elasticsearch from 7.9, and OpenSearch, which left after that.
    #[must_use]
    pub fn concurrent_snapshots(self) -> bool {
        self.flavour == Flavour::OpenSearch || self.elasticsearch_from(Version(7, 9, 0))
    }

    /// Templates are composed from components: Elasticsearch from 7.8, and OpenSearch.
    #[must_use]
    pub fn composable_templates(self) -> bool {
        self.flavour == Flavour::OpenSearch || self.elasticsearch_from(Version(7, 8, 0))
    }

    /// Closing an index waits for its shards to come back as closed ones, which those of a broken index never do, and can
    /// be told not to: Elasticsearch from 7.2, and OpenSearch.
    #[must_use]
    pub fn closing_waits(self) -> bool {
        self.flavour == Flavour::OpenSearch || self.elasticsearch_from(Version(7, 2, 0))
    }

    /// The name of the parameter that says how long to wait for the elected master. OpenSearch renamed it in 2.0.
    #[must_use]
    pub fn master_timeout(self) -> &'static str {
        if self.flavour == Flavour::OpenSearch && self.version.0 >= 2 {
            "cluster_manager_timeout"
        } else {
            "master_timeout"
        }
    }

    /// Why a snapshot taken by `source` cannot be restored here; nothing when it can. `created` is the oldest
    /// `index.version.created` in the snapshot, as the source gave it.
    ///
    /// A server never reads what a newer one wrote; an index opens in the major version after the one that created it
    /// and not in later ones.
    #[must_use]
    pub fn cannot_restore(self, source: Self, created: Option<u64>) -> Option<String> {
        if source.flavour != self.flavour {
            return Some(format!("the snapshot is from {source}, and this cluster is {self}: another product"));
        }
        if source.version > self.version {
            return Some(format!("the snapshot is from {source}, and this cluster is older: {self}"));
        }
        if source.version.0 + 1 < self.version.0 {
            return Some(format!("the snapshot is from {source}, more than one major version before {self}"));
        }
        let created = created_major(self.flavour, created?);
        (created + 1 < self.version.0).then(|| {
            format!("an index in the snapshot was created by major version {created}, which {self} cannot open")
        })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.flavour, self.version))
    }
}

/// The major version in an `index.version.created` number, in the count of the product that reads it. OpenSearch marks
/// its own with bit 27; to it, what Elasticsearch 7 created is as old as what its own version 1 did.
fn created_major(flavour: Flavour, created: u64) -> u32 {
    const OPENSEARCH: u64 = 0x0800_0000;
    let major = |number: u64| u32::try_from(number / 1_000_000).unwrap_or(u32::MAX);
    match flavour {
        Flavour::OpenSearch if created & OPENSEARCH != 0 => major(created ^ OPENSEARCH),
        Flavour::OpenSearch => major(created).saturating_sub(6),
        Flavour::Elasticsearch => major(created),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(flavour: Flavour, version: &str) -> Dialect {
        Dialect { flavour, version: Version::try_from(version.to_owned()).expect("a version") }
    }

    #[test]
    fn versions_are_read() {
        for (text, version) in [("2.19.4", Version(2, 19, 4)), ("9.1.0-SNAPSHOT", Version(9, 1, 0))] {
            assert_eq!(Version::try_from(text.to_owned()), Ok(version));
        }
        for bad in ["", "2", "2.19", "2.x.1", "1.2.3.4"] {
            assert!(Version::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_version_is_spoken_to_in_its_own_words() {
        use Flavour::{Elasticsearch, OpenSearch};
        for (flavour, version, metadata, states, concurrent, composable, timeout) in [
            (Elasticsearch, "6.8.23", false, false, false, false, "master_timeout"),
            (Elasticsearch, "7.2.0", false, false, false, false, "master_timeout"),
            (Elasticsearch, "7.8.1", true, false, false, true, "master_timeout"),
            (Elasticsearch, "7.17.29", true, true, true, true, "master_timeout"),
            (Elasticsearch, "9.1.0", true, true, true, true, "master_timeout"),
            (OpenSearch, "1.3.0", true, false, true, true, "master_timeout"),
            (OpenSearch, "2.19.4", true, false, true, true, "cluster_manager_timeout"),
        ] {
            let d = dialect(flavour, version);
            assert_eq!(
                (
                    d.snapshot_metadata(),
                    d.feature_states(),
                    d.concurrent_snapshots(),
                    d.composable_templates(),
                    d.master_timeout()
                ),
                (metadata, states, concurrent, composable, timeout),
                "{d}"
            );
        }
    }

    #[test]
    fn nothing_goes_to_an_older_or_a_strange_server() {
        use Flavour::{Elasticsearch, OpenSearch};
        for (source, target, created, said) in [
            ((OpenSearch, "2.19.4"), (OpenSearch, "2.19.4"), Some(136_408_227), None),
            ((OpenSearch, "2.19.4"), (OpenSearch, "3.1.0"), Some(136_408_227), None),
            ((OpenSearch, "2.19.4"), (OpenSearch, "3.1.0"), Some(7_100_299), Some("created by major version 1")),
            ((OpenSearch, "1.3.0"), (OpenSearch, "2.19.4"), Some(7_100_299), None),
            ((OpenSearch, "2.19.4"), (OpenSearch, "2.18.0"), None, Some("older")),
            ((OpenSearch, "2.19.4"), (Elasticsearch, "8.19.16"), None, Some("another product")),
            ((Elasticsearch, "8.19.16"), (Elasticsearch, "8.19.16"), Some(8_537_000), None),
            ((Elasticsearch, "7.17.29"), (Elasticsearch, "8.19.16"), Some(6_082_399), Some("created by")),
            ((Elasticsearch, "6.8.23"), (Elasticsearch, "8.19.16"), None, Some("more than one major")),
        ] {
            let target = dialect(target.0, target.1);
            let got = target.cannot_restore(dialect(source.0, source.1), created);
            match (said, &got) {
                (None, None) => {}
                (Some(said), Some(text)) => assert!(text.contains(said), "{text}"),
                _ => panic!("{target}: {got:?}"),
            }
        }
    }
}
