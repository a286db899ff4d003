//! Counting: what was at the source when it was copied, compared with what is at the target.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was counted: for each item (`index orders`, `table shop.users`, `path /srv/shop`) its measures (`documents`,
/// `rows`, `files`, `bytes`, `digest`).
pub type Counts = BTreeMap<String, BTreeMap<String, Measure>>;

/// One measured value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Measure {
    /// Exactly this.
    Exactly(u64),
    /// The source was written to while it was copied: the copy holds at least and at most this, both included.
    Between {
        /// At least.
        low: u64,
        /// At most.
        high: u64,
    },
    /// A digest of the content.
    Digest(String),
}

impl Measure {
    /// A number counted before and after: exact when both agree.
    #[must_use]
    pub fn before_and_after(before: u64, after: u64) -> Self {
        if before == after {
            Self::Exactly(before)
        } else {
            Self::Between { low: before.min(after), high: before.max(after) }
        }
    }

    fn admits(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Exactly(a), Self::Exactly(b)) => a == b,
            (Self::Between { low, high }, Self::Exactly(n)) => (low..=high).contains(&n),
            (Self::Digest(a), Self::Digest(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "{n}"),
            Self::Between { low, high } => write!(f, "{low} to {high}"),
            Self::Digest(digest) => f.write_str(digest),
        }
    }
}

/// Something that is not at the target as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The item.
    pub item: String,
    /// The measure.
    pub measure: String,
    /// What the manifest says; nothing for an item that should not be there.
    pub expected: Option<Measure>,
    /// What was found; nothing when it is missing.
    pub found: Option<Measure>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: ", self.item, self.measure)?;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, "expected {expected}, found {found}"),
            (Some(expected), None) => write!(f, "expected {expected}, found nothing"),
            (None, Some(found)) => write!(f, "expected nothing, found {found}"),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// Every difference between what the manifest says and what was found; empty means that everything arrived, and
/// nothing else is there.
#[must_use]
pub fn compare(expected: &Counts, found: &Counts) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (item, measures) in expected {
        for (measure, want) in measures {
            let have = found.get(item).and_then(|measures| measures.get(measure));
            if !have.is_some_and(|have| want.admits(have)) {
                differences.push(Difference {
                    item: item.clone(),
                    measure: measure.clone(),
                    expected: Some(want.clone()),
                    found: have.cloned(),
                });
            }
        }
    }
    for (item, measures) in found.iter().filter(|(item, _)| !expected.contains_key(*item)) {
        for (measure, have) in measures {
            differences.push(Difference {
                item: item.clone(),
                measure: measure.clone(),
                expected: None,
                found: Some(have.clone()),
            });
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(items: &[(&str, &str, Measure)]) -> Counts {
        let mut counts = Counts::new();
        for (item, measure, value) in items {
            counts.entry((*item).to_owned()).or_default().insert((*measure).to_owned(), value.clone());
        }
        counts
    }

    #[test]
    fn a_moving_source_admits_a_range_and_nothing_else() {
        let expected = counts(&[("index a", "documents", Measure::before_and_after(10, 13))]);
        for (n, differences) in [(9, 1), (10, 0), (13, 0), (14, 1)] {
            let found = counts(&[("index a", "documents", Measure::Exactly(n))]);
            assert_eq!(compare(&expected, &found).len(), differences, "{n}");
        }
    }

    #[test]
    fn missing_and_surplus_items_are_differences() {
        let expected = counts(&[("table a", "rows", Measure::Exactly(0))]);
        let found = counts(&[("table b", "rows", Measure::Exactly(0))]);
        let said: Vec<String> = compare(&expected, &found).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["table a, rows: expected 0, found nothing", "table b, rows: expected nothing, found 0"]);
    }

    #[test]
    fn a_digest_never_equals_a_number() {
        let expected = counts(&[("table a", "digest", Measure::Digest("5".into()))]);
        let found = counts(&[("table a", "digest", Measure::Exactly(5))]);
        assert_eq!(compare(&expected, &found).len(), 1);
    }
}
