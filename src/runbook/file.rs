//! The types of a runbook file, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{ServiceName, Span, StageId, StepId};

/// A runbook: stages, each with steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runbook {
    /// The name it is started by.
    pub name: StageId,
    /// One line for people; may use `{{ source }}` and `{{ target }}`.
    pub title: String,
    /// What kind of operation this is; decides safety rules and wording.
    pub mode: Mode,
    /// What it does, for whom, and what it leaves behind.
    #[serde(default)]
    pub help: String,
    /// Who loses what by it, and for how long, in one line: shown in the question before a start.
    #[serde(default)]
    pub loses: String,
    /// What may be given at the start.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The stages, in order of display.
    pub stages: Vec<Stage>,
}

/// What kind of operation a runbook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Copies the active site to the standby. Never touches the data of the source.
    Replicate,
    /// Turns the direction on purpose, both sites alive.
    Reverse,
    /// Makes the standby active because the active site is lost.
    Failover,
    /// Rehearses on the standby and leaves production alone.
    Drill,
    /// Brings an earlier restore point back.
    Restore,
    /// Anything else.
    Maintenance,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// The value when none is given. Without one the parameter must be given.
    #[serde(default)]
    pub default: Option<Value>,
    /// One line for people.
    #[serde(default)]
    pub help: String,
    /// The only values allowed, if they can be listed.
    #[serde(default)]
    pub one_of: Vec<Value>,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// Any text.
    String,
    /// A duration such as `15m`.
    Duration,
}

/// A named part of a runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its identity.
    pub id: StageId,
    /// One line for people.
    pub title: String,
    /// The stages that must have ended well before this one starts. The stage before it when left out; an empty list
    /// lets it start with the run.
    #[serde(default)]
    pub needs: Option<Vec<StageId>>,
    /// The stage is skipped unless this expression is true, for example `params.verify`.
    #[serde(default)]
    pub when: Option<String>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its identity, unique in the runbook.
    pub id: StepId,
    /// One line for people; the kind's own summary when left out.
    #[serde(default)]
    pub title: Option<String>,
    /// The step kind, for example `elasticsearch.snapshot`. `changeover kinds` lists them.
    pub uses: String,
    /// Where: `source`, `target`, `both`, `console`, or the hosts of a role as `source.app`, `target.app`.
    pub on: String,
    /// The service it acts on.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// With several places: one after another, or side by side.
    #[serde(default)]
    pub each: Each,
    /// With `each = "parallel"`: at most so many at once.
    #[serde(default)]
    pub limit: Option<u16>,
    /// The steps of this stage that must have ended well first. The step before it when left out; an empty list lets it
    /// start with the stage.
    #[serde(default)]
    pub needs: Option<Vec<StepId>>,
    /// The step is skipped unless this expression is true.
    #[serde(default)]
    pub when: Option<String>,
    /// Asks a person first.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// The longest that one attempt may take. The kind's own default when left out.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Whether and how often a failure that may pass by itself is tried again. Unknown outcomes never are.
    #[serde(default)]
    pub retry: Retry,
    /// What a failure does to the rest of the run.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What to do when the program died while the step ran. The kind's own rule when left out.
    #[serde(default)]
    pub interrupted: Option<Interrupted>,
    /// True when there is no way back after this step.
    #[serde(default)]
    pub point_of_no_return: bool,
    /// The parameters of the kind. Texts may be templates.
    #[serde(default, rename = "with")]
    pub params: serde_json::Map<String, Value>,
}

/// How a step with several places goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Each {
    /// One after another; the first failure keeps the rest from starting.
    #[default]
    Serial,
    /// Side by side.
    Parallel,
}

/// A question before a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// How hard it is to say yes.
    #[serde(default)]
    pub level: GuardLevel,
    /// The question; a template.
    pub message: String,
}

/// How hard it is to say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8", extend("maximum" = 4))]
pub enum GuardLevel {
    /// Only looks.
    Look,
    /// Reversible, no traffic: `y`.
    #[default]
    Reversible,
    /// Moves traffic: a typed phrase with a nonce.
    MovesTraffic,
    /// May lose data: also the measured loss and a reason.
    MayLoseData,
    /// Overrides a rule: also the rule's id, and a second person or a delay.
    OverridesRule,
}

impl TryFrom<u8> for GuardLevel {
    type Error = String;
    fn try_from(level: u8) -> Result<Self, String> {
        [Self::Look, Self::Reversible, Self::MovesTraffic, Self::MayLoseData, Self::OverridesRule]
            .get(usize::from(level))
            .copied()
            .ok_or_else(|| format!("guard levels go from 0 to 4, not {level}"))
    }
}

impl From<GuardLevel> for u8 {
    fn from(level: GuardLevel) -> Self {
        level as Self
    }
}

/// Whether a failure that may pass by itself is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How many attempts in all.
    #[serde(default = "Retry::one")]
    pub attempts: u16,
    /// The pause before the second attempt; it doubles with each further one, up to five minutes.
    #[serde(default = "Retry::default_backoff")]
    pub backoff: Span,
}

impl Retry {
    fn one() -> u16 {
        1
    }

    fn default_backoff() -> Span {
        Span::seconds(5)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: Self::one(), backoff: Self::default_backoff() }
    }
}

/// What a failure does to the rest of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// What runs already is finished; nothing new starts.
    #[default]
    Stop,
    /// The run goes on and ends with a warning.
    Continue,
    /// A person is asked: retry, skip or stop. Without a terminal: stop.
    Ask,
    /// Completed steps are undone in reverse order.
    Undo,
}

/// What to do with a step that was running when the program died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interrupted {
    /// Do it again: it is written so that doing it twice is doing it once.
    Repeat,
    /// Look first whether it happened, then decide.
    Verify,
    /// Ask a person.
    Ask,
}
