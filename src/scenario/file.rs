//! The types of a scenario file, as written, and the world that it asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Span, StageId, StepId};
use crate::world::{Fault, Spec};

/// A scenario: a world, what breaks in it and when, and what counts as noticed, decided and done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name it is started by.
    pub name: StageId,
    /// One line for people.
    pub title: String,
    /// What the operator is told before it begins. It does not give away what breaks.
    #[serde(default)]
    pub briefing: String,
    /// What it is about, and how it can be won: shown at the end.
    #[serde(default)]
    pub help: String,
    /// The world, where it differs from the usual one.
    #[serde(default)]
    pub world: WorldShape,
    /// Runbooks that are carried out undisturbed before the story begins, one after another.
    #[serde(default)]
    pub before: Vec<StageId>,
    /// For so long nothing happens after these but users writing.
    #[serde(default = "half_a_minute")]
    pub pause: Span,
    /// The runbook that cron starts when the story begins.
    pub runs: StageId,
    /// The story is over so long after its beginning, whatever the operator still does.
    pub ends_after: Span,
    /// What breaks and what is mended.
    pub happens: Vec<Happening>,
    /// What counts as noticed, decided and done.
    pub counts: Counting,
}

/// The size and shape of a scenario's world.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorldShape {
    /// How many hosts the two sites have: `[2, 1]`.
    #[serde(default)]
    pub hosts: Option<[u8; 2]>,
    /// How many search nodes they have: `[1, 1]`.
    #[serde(default)]
    pub nodes: Option<[u8; 2]>,
    /// How many documents the active site begins with.
    #[serde(default)]
    pub documents: Option<u16>,
    /// How many rows.
    #[serde(default)]
    pub rows: Option<u16>,
    /// How many files.
    #[serde(default)]
    pub files: Option<u16>,
    /// The time between two writes of the users: `2s`. Nobody writes with `0s`.
    #[serde(default)]
    pub write_every: Option<Span>,
}

/// Something that breaks, or is mended, at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Happening {
    /// So long after the story began, or after the beginning of the step that is named.
    pub at: Span,
    /// The step of the run at whose first beginning in the story `at` begins to count: `carry`.
    #[serde(default)]
    pub during: Option<StepId>,
    /// What.
    pub strikes: Fault,
}

/// What counts as noticed, decided and done. All three are looked for from the first thing that breaks on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counting {
    /// What counts as noticed.
    pub noticed: NoticedBy,
    /// What counts as decided. On the screen, asking for a plan counts too, once it was noticed.
    pub decided: DecidedBy,
    /// What counts as done.
    pub done: DoneBy,
}

/// What counts as noticed in a story that is played without a screen. What the operator notes before that counts too,
/// wherever they saw it. On the screen it is the first key that is pressed once a pane shows
/// the trouble, or a run has told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticedBy {
    /// A run said that something did not go well: a failure, a retry, a question or a bad end.
    Told,
    /// A run asked a person.
    Asked,
    /// A run ended otherwise than well.
    Ended,
    /// The operator did something.
    Acted,
    /// A step said a line with these words in it.
    Says(String),
}

/// What counts as decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecidedBy {
    /// The operator did something that was no wrong turn; a note does nothing.
    Acted,
    /// The operator started a runbook, or resumed a run.
    Started,
    /// The program tried something again by itself, or the operator did something that was no wrong turn.
    Retried,
    /// A step said a line with these words in it, or the operator did something that was no wrong turn.
    Says(String),
}

/// What counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DoneBy {
    /// A run that restores the standby ended well.
    Copied,
    /// The same, and the standby's application is well.
    Serves,
    /// Nothing runs any more, and the standby holds one whole copy, old or new.
    Safe,
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}

impl Scenario {
    /// The world of this scenario, with chance from `seed`.
    #[must_use]
    pub fn spec(&self, seed: u64) -> Spec {
        let mut spec = Spec::small(seed);
        let shape = &self.world;
        if let Some(hosts) = shape.hosts {
            spec.hosts = hosts.map(usize::from);
        }
        if let Some(nodes) = shape.nodes {
            spec.nodes = nodes.map(usize::from);
        }
        spec.documents = shape.documents.map_or(spec.documents, u32::from);
        spec.rows = shape.rows.map_or(spec.rows, u32::from);
        spec.files = shape.files.map_or(spec.files, u32::from);
        if let Some(every) = shape.write_every {
            spec.write_every = Some(every.0).filter(|every| !every.is_zero());
        }
        spec
    }
}
