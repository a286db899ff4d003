//! What happened in a story, as far as the card needs it. Times are the age of the world.

use std::time::Duration;

use jiff::Timestamp;

use super::Act;
use crate::model::{RunId, SiteName};
use crate::run::{Event, EventKind, RunState};
use crate::world::{Fault, Truth};

/// Everything that happened in a story.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The wall time when the world was new.
    pub epoch: Timestamp,
    /// The site that has the users at first, and the other.
    pub sites: [SiteName; 2],
    /// What broke and was mended, in order.
    pub struck: Vec<(Duration, Fault)>,
    /// What the operator could have noticed, in order.
    pub news: Vec<News>,
    /// What the operator did, in order.
    pub actions: Vec<Action>,
    /// What whoever sits at the screen did there, in order; nothing where nobody does.
    pub person: Option<Vec<Stir>>,
    /// The runs of the story, in order.
    pub runs: Vec<RunFact>,
    /// When nothing ran any more and the story was over, or when it was left.
    pub over: Duration,
    /// True when the operator left before the end.
    pub left: bool,
    /// What is where.
    pub truth: TruthFacts,
}

/// Something that a run said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// When.
    pub at: Duration,
    /// What.
    pub kind: NewsKind,
    /// In words.
    pub words: String,
}

/// A kind of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsKind {
    /// A step said a line; it need be no bad news.
    Said,
    /// A step failed and is tried again.
    Retried,
    /// A step failed for good, or nobody knows.
    Failed,
    /// A person is asked.
    Asked,
    /// A run ended otherwise than well.
    Ended,
}

impl News {
    /// What an event tells an operator, good news left out; `state` has it already.
    #[must_use]
    pub fn of(at: Duration, event: &Event, state: &RunState) -> Option<Self> {
        let news = |kind, words| Some(Self { at, kind, words });
        match &event.kind {
            EventKind::UnitSaid { unit, text, .. } => news(NewsKind::Said, format!("{unit} said: {text}")),
            EventKind::UnitEnded { unit, outcome, retry_after: Some(_), .. } if outcome.failure().is_some() => {
                news(NewsKind::Retried, format!("{unit} failed and was tried again"))
            }
            EventKind::UnitEnded { unit, outcome, .. } if outcome.failure().is_some() => {
                news(NewsKind::Failed, format!("{unit} {}", outcome.word()))
            }
            EventKind::PromptOpened { prompt } => news(NewsKind::Asked, format!("{} asked", prompt.unit)),
            EventKind::RunEnded { outcome } if outcome.exit_code() != 0 => {
                news(NewsKind::Ended, format!("{} ended: {}", state.plan.runbook, outcome.word()))
            }
            _ => None,
        }
    }
}

/// Something that a person did at the screen, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stir {
    /// When.
    pub at: Duration,
    /// What.
    pub kind: StirKind,
}

/// What a person did at the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StirKind {
    /// A key or a click, and what was in sight of the sites then that is not well.
    Key(Option<String>),
    /// They asked what this runbook would do.
    Plan(String),
}

/// Something that the operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// When.
    pub at: Duration,
    /// What.
    pub act: Act,
    /// What came of it; nothing while that is not known.
    pub got: Option<Got>,
}

/// What came of something that the operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// It had an effect.
    Effect,
    /// It was refused.
    Refused(String),
    /// It changed nothing.
    Nothing(String),
}

/// A run of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFact {
    /// Its id.
    pub run: RunId,
    /// What it carried out.
    pub runbook: String,
    /// When it began, or was resumed.
    pub began: Duration,
    /// When it ended.
    pub ended: Duration,
    /// How, in a word.
    pub outcome: String,
    /// True when it was done.
    pub done: bool,
    /// True when it puts a copy into service at the standby, rather than only making or carrying one.
    pub restores: bool,
    /// True when the standby's application was well at its end.
    pub well: bool,
}

/// What is where, by the world's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthFacts {
    /// When the active site was lost, if it was.
    pub lost_at: Option<Duration>,
    /// What the active site held when it was lost; what it holds at the end when it was not. Its users were told that
    /// all of this is kept.
    pub promised: Truth,
    /// What the standby holds at the end.
    pub held: Truth,
    /// When the newest copy that arrived whole at the standby was begun, and what the active site held then.
    pub newest: Option<(Duration, Truth)>,
    /// True when what the standby holds at the end is one copy, whole.
    pub whole: bool,
}
