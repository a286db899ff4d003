//! Who can reach whom: the console, and the two sites. One-way cuts are kept as what they are.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::SiteName;

/// One end of a way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// The machine the program runs on.
    Console,
    /// A site, with all its hosts and servers.
    Site(SiteName),
}

/// The ways between the zones.
#[derive(Debug, Clone)]
pub struct Network {
    cut: BTreeSet<(Zone, Zone)>,
    /// How long one way takes.
    pub latency: Duration,
    /// How many bytes a second go from site to site.
    pub bandwidth: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { cut: BTreeSet::new(), latency: Duration::from_millis(2), bandwidth: 20_000_000 }
    }
}

impl Network {
    /// Cuts one way; what goes back is not affected.
    pub fn cut(&mut self, from: Zone, to: Zone) {
        self.cut.insert((from, to));
    }

    /// Mends both ways between two zones.
    pub fn mend(&mut self, a: &Zone, b: &Zone) {
        self.cut.remove(&(a.clone(), b.clone()));
        self.cut.remove(&(b.clone(), a.clone()));
    }

    /// Mends everything.
    pub fn mend_all(&mut self) {
        self.cut.clear();
    }

    /// True when what is sent from one to the other arrives.
    #[must_use]
    pub fn passes(&self, from: &Zone, to: &Zone) -> bool {
        from == to || !self.cut.contains(&(from.clone(), to.clone()))
    }
}
