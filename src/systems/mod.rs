//! The systems Changeover can drive: one room each, and the one catalogue that lists what they offer.
//!
//! A room holds its system's small client, its probes and its steps, and knows nothing of other rooms. To add a system:
//! add a folder, its line in [`catalogue`], an example runbook and a lab server.

mod argv;
mod certificate;
mod context;
mod earlier;
pub mod epoch;
#[cfg(test)]
pub(crate) mod fake;
pub mod held;
mod job;
pub mod lease;
#[cfg(test)]
pub(crate) mod local;
pub(crate) mod probe;
pub mod remote;
pub mod rsync;
#[cfg(test)]
pub(crate) mod shelf;
mod step;
pub mod tree;

#[cfg(test)]
mod tests;

pub mod app;
pub mod basic;
pub mod elasticsearch;
pub mod exchange;
pub mod files;
pub mod host;
pub mod mysql;
pub mod redis;

pub use argv::Argv;
pub use context::{Circumstances, JobLog, StepContext, Voice, VoiceMessage};
pub use earlier::end_earlier;
pub use job::{JobRun, run_job, run_job_watched};
pub use probe::{Condition, Figure, Probe, ProbeEntry, Reading, Unit};
pub use step::{
    CheckReport, Checked, Effect, Finding, KindEntry, ServiceKind, Step, StepDone, Verified, Wrap, service_kind,
    step_kind,
};

use crate::runbook::{KindFacts, Kinds};

/// Every step kind and service kind the program knows, by name.
#[derive(Debug)]
pub struct Catalogue {
    kinds: Vec<KindEntry>,
    services: Vec<ServiceKind>,
}

/// The catalogue of this program: one line per room.
#[must_use]
pub fn catalogue() -> Catalogue {
    let kinds = [
        basic::kinds(),
        exchange::kinds(),
        elasticsearch::kinds(),
        mysql::kinds(),
        redis::kinds(),
        files::kinds(),
        app::kinds(),
    ];
    let services = [elasticsearch::service(), mysql::service(), redis::service(), files::service(), app::service()];
    Catalogue::of(kinds.into_iter().flatten().collect(), services.into())
}

impl Catalogue {
    /// A catalogue of these lines.
    #[must_use]
    pub fn of(kinds: Vec<KindEntry>, services: Vec<ServiceKind>) -> Self {
        Self { kinds, services }
    }

    /// The same catalogue with every step put into another one: to watch steps from outside, or to see what becomes of
    /// a run whose steps are careless.
    #[must_use]
    pub fn wrapped(self, wrap: Wrap) -> Self {
        let kinds = self.kinds.into_iter().map(|kind| kind.wrapped(wrap)).collect();
        Self { kinds, services: self.services }
    }

    /// A step kind by name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&KindEntry> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// All step kinds, in the order of the rooms.
    #[must_use]
    pub fn kinds(&self) -> &[KindEntry] {
        &self.kinds
    }

    /// A service kind by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceKind> {
        self.services.iter().find(|kind| kind.name == name)
    }

    /// All service kinds.
    #[must_use]
    pub fn services(&self) -> &[ServiceKind] {
        &self.services
    }
}

impl Kinds for Catalogue {
    fn names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.name).collect()
    }

    fn facts(&self, name: &str) -> Option<KindFacts> {
        self.kind(name).map(KindEntry::facts)
    }

    fn check_params(&self, name: &str, params: &serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
        self.kind(name).map_or_else(|| Err(format!("no step kind `{name}`")), |kind| kind.decode(params).map(drop))
    }
}
