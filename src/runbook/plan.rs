//! The plan: a runbook resolved against an estate, a direction and parameters. Pure data with a digest.
//!
//! A plan names step kinds, it does not hold code, so that it can be kept in the journal and carried out by another
//! process after a crash. Texts that depend on what happens (`{{ steps.snapshot.uuid }}`) are still templates in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Confirm, Each, Interrupted, Mode, OnFailure, Retry};
use crate::model::{Direction, End, HostName, ServiceName, SiteName, Span, StageId, StepKey, UnitKey};

/// What is going to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The runbook's name.
    pub runbook: StageId,
    /// Its title, rendered.
    pub title: String,
    /// Its mode.
    pub mode: Mode,
    /// The estate's name.
    pub estate: SiteName,
    /// The digest of the estate that it was made with: the same steps at another address are another plan. Nothing in
    /// the plans of runs that began before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estate_digest: Option<String>,
    /// Who is source and who is target.
    pub direction: Direction,
    /// The parameters, all given a value.
    pub params: serde_json::Map<String, Value>,
    /// The stages in order of display.
    pub stages: Vec<PlannedStage>,
    /// Where the runbook's text came from. Not part of the digest: it changes nothing of what is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where the text of a runbook came from, to be compared with what is there when a run is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The absolute path of its file; nothing for one that came with the program.
    pub file: Option<String>,
    /// The BLAKE3 digest of the text, in hexadecimal.
    pub digest: String,
}

impl Origin {
    /// The origin of a text.
    #[must_use]
    pub fn of(text: &str, file: Option<String>) -> Self {
        Self { file, digest: blake3::hash(text.as_bytes()).to_hex().to_string() }
    }
}

/// A stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStage {
    /// Its identity.
    pub id: StageId,
    /// Its title, rendered.
    pub title: String,
    /// The stages that must have ended well before.
    pub needs: Vec<StageId>,
    /// The condition, as written.
    pub when: Option<String>,
    /// The steps in order of display.
    pub steps: Vec<PlannedStep>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Its identity.
    pub key: StepKey,
    /// Its title.
    pub title: String,
    /// The step kind.
    pub uses: String,
    /// The service it acts on.
    pub service: Option<ServiceName>,
    /// Where it runs: one unit each. Never empty.
    pub targets: Vec<PlannedTarget>,
    /// One after another or side by side.
    pub each: Each,
    /// With parallel targets: at most so many at once.
    pub limit: Option<u16>,
    /// The steps of the same stage that must have ended well before.
    pub needs: Vec<StepKey>,
    /// The condition, as written.
    pub when: Option<String>,
    /// The question before it.
    pub confirm: Option<Confirm>,
    /// The longest that one attempt may take.
    pub timeout: Span,
    /// Retries.
    pub retry: Retry,
    /// What a failure does.
    pub on_failure: OnFailure,
    /// What to do after a crash.
    pub interrupted: Interrupted,
    /// True when there is no way back after it.
    pub point_of_no_return: bool,
    /// The kind's parameters; texts may still be templates.
    pub params: serde_json::Map<String, Value>,
}

/// One place that a step runs at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTarget {
    /// The end, or nothing for the console.
    pub end: Option<End>,
    /// The site at that end.
    pub site: Option<SiteName>,
    /// The host, for steps that run per host.
    pub host: Option<HostName>,
}

impl PlannedStep {
    /// The units of this step, in order.
    pub fn units(&self) -> impl Iterator<Item = (UnitKey, &PlannedTarget)> {
        self.targets.iter().map(|target| (self.unit_at(target), target))
    }

    /// Whether a unit is the first of this step's units at its site: what only one of them may do is done there.
    #[must_use]
    pub fn is_first(&self, unit: &UnitKey) -> bool {
        self.units().find(|(other, _)| other.site == unit.site).is_none_or(|(first, _)| first == *unit)
    }

    /// The unit at one of its targets.
    #[must_use]
    pub fn unit_at(&self, target: &PlannedTarget) -> UnitKey {
        UnitKey { step: self.key.clone(), site: target.site.clone(), host: target.host.clone() }
    }
}

impl Plan {
    /// All steps, in order of display.
    pub fn steps(&self) -> impl Iterator<Item = &PlannedStep> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// A step by key.
    #[must_use]
    pub fn step(&self, key: &StepKey) -> Option<&PlannedStep> {
        self.stage(&key.stage)?.steps.iter().find(|step| step.key == *key)
    }

    /// A stage by id.
    #[must_use]
    pub fn stage(&self, id: &StageId) -> Option<&PlannedStage> {
        self.stages.iter().find(|stage| stage.id == *id)
    }

    /// The digest of everything in the plan: two plans with the same digest do the same.
    #[must_use]
    pub fn digest(&self) -> PlanDigest {
        let json = match &self.origin {
            None => serde_json::to_vec(self),
            Some(_) => serde_json::to_vec(&Self { origin: None, ..self.clone() }),
        };
        let json = json.unwrap_or_default();
        PlanDigest(blake3::hash(&json).to_hex().to_string())
    }
}

/// The digest of a plan, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight characters, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}
