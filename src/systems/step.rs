//! What a step kind is: a decoded value that can be previewed, checked, run, looked at after a crash, and undone.

use std::fmt;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{ProbeEntry, StepContext};
use crate::model::{Failure, FailureKind, SafeText, Span};
use crate::runbook::{Interrupted, KindFacts};

/// One kind of step with its parameters, ready to act.
///
/// What an implementor owes:
/// - `preview` and `check` never change anything anywhere.
/// - `run` may be entered again with the same attempt after a crash of the program (for kinds declared `Repeat`): long
///   work is a durable job, whose start is idempotent, so that entering again attaches instead of starting twice.
/// - `run` returns good only for what was seen: counted, read back, compared. A lost answer to something that changes
///   the world is `FailureKind::Unknown`.
/// - `run` watches `cx.cancelled()` wherever it waits, and stops what it started before it returns `Cancelled`.
#[async_trait]
pub trait Step: fmt::Debug + Send + Sync {
    /// The exact commands and requests this would send, one a line, secrets hidden.
    ///
    /// # Errors
    /// When something that must be looked up first (a leader, a version) cannot be.
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure>;

    /// Read only: can it work now, and what will it destroy?
    ///
    /// # Errors
    /// When it is already clear that `run` would fail.
    async fn check(&self, _cx: &StepContext) -> Result<CheckReport, Failure> {
        Ok(CheckReport::default())
    }

    /// Does it.
    ///
    /// # Errors
    /// What was tried, what came back, what to do next; see the contract above.
    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure>;

    /// After a crash: looks whether `run` had its effect. Only asked of kinds declared `Verify`.
    ///
    /// # Errors
    /// When it cannot be looked at; the outcome stays unknown.
    async fn verify(&self, _cx: &StepContext) -> Result<Verified, Failure> {
        Ok(Verified::CannotTell)
    }

    /// Takes the effect back.
    ///
    /// # Errors
    /// When there is no way back, or when it failed; the run is then stuck and says so.
    async fn undo(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        Err(Failure::new(FailureKind::Refused, format!("undo {}", cx.unit), "this step kind has no way back"))
    }
}

/// A good ending.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct StepDone {
    /// What a person should know although it worked.
    pub warnings: Vec<SafeText>,
    /// What later steps can use as `{{ steps.<id>.<key> }}`.
    pub captures: Map<String, Value>,
    /// Set when there was nothing to do: the unit counts as skipped, with this reason.
    pub nothing_to_do: Option<SafeText>,
}

impl StepDone {
    /// Done, with nothing to add.
    pub fn new() -> Self {
        Self::default()
    }

    /// There was nothing to do.
    pub fn nothing_to_do(why: impl AsRef<str>) -> Self {
        Self { nothing_to_do: Some(SafeText::block(why.as_ref())), ..Self::default() }
    }

    /// With a value for later steps.
    pub fn capture(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.captures.insert(name.to_owned(), value.into());
        self
    }

    /// With a warning.
    pub fn warn(mut self, text: impl AsRef<str>) -> Self {
        self.warnings.push(SafeText::block(text.as_ref()));
        self
    }
}

/// What looking after a crash found.
#[derive(Debug, Clone, PartialEq)]
pub enum Verified {
    /// It happened, completely.
    Done(StepDone),
    /// It did not happen, or nothing of it is left; running it is safe.
    NotDone,
    /// It cannot be told; a person is asked.
    CannotTell,
}

/// What a read-only check found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckReport {
    /// How much the check is worth.
    pub checked: Checked,
    /// What it found.
    pub findings: Vec<Finding>,
    /// What the step will destroy: "index orders at bcp is closed and replaced: 48,211 documents".
    pub losses: Vec<SafeText>,
}

impl CheckReport {
    /// A report of a look at the live systems.
    #[must_use]
    pub fn live() -> Self {
        Self { checked: Checked::Live, ..Self::default() }
    }

    /// With a finding that is fine.
    #[must_use]
    pub fn good(mut self, text: impl AsRef<str>) -> Self {
        self.findings.push(Finding { bad: false, text: SafeText::block(text.as_ref()) });
        self
    }

    /// With a finding that a person should know.
    #[must_use]
    pub fn bad(mut self, text: impl AsRef<str>) -> Self {
        self.findings.push(Finding { bad: true, text: SafeText::block(text.as_ref()) });
        self
    }

    /// With something that will be destroyed.
    #[must_use]
    pub fn loses(mut self, text: impl AsRef<str>) -> Self {
        self.losses.push(SafeText::block(text.as_ref()));
        self
    }
}

/// How much a check is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checked {
    /// The live systems were asked.
    Live,
    /// Worked out without asking.
    Simulated,
    /// It depends on what earlier steps will do.
    #[default]
    CannotKnow,
}

/// One finding of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// True when it will keep the step from working, or deserves a thought.
    pub bad: bool,
    /// What.
    pub text: SafeText,
}

/// What a step kind does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: it looks.
    Reads,
    /// Adds something that can be taken away again, or repeats something harmless.
    Writes,
    /// Replaces or removes something that was there.
    Destroys,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Destroys => "destroys",
        })
    }
}

type Decode = fn(&Map<String, Value>) -> Result<Box<dyn Step>, String>;

/// Puts a step of the named kind into another one.
pub type Wrap = fn(&'static str, Box<dyn Step>) -> Box<dyn Step>;

/// A line of the catalogue.
#[derive(Debug)]
pub struct KindEntry {
    /// The name runbooks use, for example `elasticsearch.snapshot`.
    pub name: &'static str,
    /// One line for people; the default title of a step.
    pub summary: &'static str,
    /// What it does to the world.
    pub effect: Effect,
    /// The kind of service it needs, if any.
    pub service: Option<&'static str>,
    /// What to do with it after a crash of the program.
    pub interrupted: Interrupted,
    /// The longest that one attempt may take when the runbook says nothing.
    pub timeout: Span,
    /// True for a kind that is there for its step's `confirm` only: without one it does nothing.
    pub only_asks: bool,
    decode: Decode,
    wrap: Option<Wrap>,
    schema: fn() -> Schema,
}

/// A catalogue line for the step type `S`, whose fields are its parameters. It reads, needs no service, may be
/// repeated after a crash and takes ten minutes at most, unless said otherwise.
#[must_use]
pub fn step_kind<S>(name: &'static str, summary: &'static str) -> KindEntry
where
    S: Step + DeserializeOwned + JsonSchema + 'static,
{
    fn decode<S: Step + DeserializeOwned + 'static>(params: &Map<String, Value>) -> Result<Box<dyn Step>, String> {
        serde_json::from_value::<S>(Value::Object(params.clone()))
            .map(|step| Box::new(step) as Box<dyn Step>)
            .map_err(|error| error.to_string())
    }
    KindEntry {
        name,
        summary,
        effect: Effect::Reads,
        service: None,
        interrupted: Interrupted::Repeat,
        timeout: Span::seconds(600),
        only_asks: false,
        decode: decode::<S>,
        wrap: None,
        schema: || schemars::schema_for!(S),
    }
}

impl KindEntry {
    /// Says what it does to the world.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Says which kind of service it needs.
    #[must_use]
    pub fn service(mut self, kind: &'static str) -> Self {
        self.service = Some(kind);
        self
    }

    /// Says what to do with it after a crash.
    #[must_use]
    pub fn interrupted(mut self, rule: Interrupted) -> Self {
        self.interrupted = rule;
        self
    }

    /// Says how long one attempt may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Span) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says that it is there for its step's `confirm` only.
    #[must_use]
    pub fn only_asks(mut self) -> Self {
        self.only_asks = true;
        self
    }

    /// Turns parameters into a step.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub fn decode(&self, params: &Map<String, Value>) -> Result<Box<dyn Step>, String> {
        let step = (self.decode)(params)?;
        Ok(match self.wrap {
            Some(wrap) => wrap(self.name, step),
            None => step,
        })
    }

    /// Puts every step of this kind into another one.
    #[must_use]
    pub fn wrapped(mut self, wrap: Wrap) -> Self {
        self.wrap = Some(wrap);
        self
    }

    /// The JSON Schema of the parameters.
    #[must_use]
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// What the planner needs to know.
    #[must_use]
    pub fn facts(&self) -> KindFacts {
        KindFacts { summary: self.summary, service: self.service, interrupted: self.interrupted, timeout: self.timeout }
    }
}

/// A kind of service that an estate can declare.
#[derive(Debug)]
pub struct ServiceKind {
    /// The name estates use, for example `elasticsearch`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    check: fn(&Map<String, Value>) -> Result<(), String>,
    probes: fn(&Map<String, Value>) -> Vec<ProbeEntry>,
    schema: fn() -> Schema,
}

/// A catalogue line for a service whose settings at one site are of type `S`.
#[must_use]
pub fn service_kind<S: DeserializeOwned + JsonSchema>(name: &'static str, summary: &'static str) -> ServiceKind {
    ServiceKind {
        name,
        summary,
        check: |settings| {
            serde_json::from_value::<S>(Value::Object(settings.clone())).map(drop).map_err(|error| error.to_string())
        },
        probes: |_| Vec::new(),
        schema: || schemars::schema_for!(S),
    }
}

impl ServiceKind {
    /// Checks the settings as they are at one site.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, settings: &Map<String, Value>) -> Result<(), String> {
        (self.check)(settings)
    }

    /// Says which questions a service of this kind is asked, given its settings at a site.
    #[must_use]
    pub fn probed(mut self, probes: fn(&Map<String, Value>) -> Vec<ProbeEntry>) -> Self {
        self.probes = probes;
        self
    }

    /// The questions that a service with these settings is asked.
    #[must_use]
    pub fn probes(&self, settings: &Map<String, Value>) -> Vec<ProbeEntry> {
        (self.probes)(settings)
    }

    /// The JSON Schema of the settings.
    #[must_use]
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }
}
