//! A story in the simulated world, as far as the screen shows it: its briefing, its clock, and its card at the end. What
//! breaks and what counts is decided outside; nothing here can give it away.

use std::time::Duration;

use jiff::Timestamp;

use super::run_view::since;
use crate::model::{SafeText, Span};

/// What the operator is told before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Briefing {
    /// The name of the story.
    pub name: SafeText,
    /// What they are to know.
    pub text: SafeText,
    /// How long it may take.
    pub ends_after: Span,
}

/// News of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoryNews {
    /// It can begin.
    Briefed(Box<Briefing>),
    /// It is over.
    Over {
        /// How it went.
        card: SafeText,
        /// True when it came to a good end.
        won: bool,
    },
}

/// What the screen wants of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoryOrder {
    /// The briefing has been closed: let it begin.
    Begin,
    /// The operator has noticed this.
    Note(SafeText),
    /// The operator has pressed a key or clicked, whatever came of it.
    Key,
}

/// A story on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// What the operator was told.
    pub briefing: Briefing,
    /// How far it is.
    pub phase: StoryPhase,
}

/// How far a story is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoryPhase {
    /// The briefing is being read.
    Briefing,
    /// It goes on since then.
    Playing(Timestamp),
    /// It is over.
    Over {
        /// How long it took.
        took: Duration,
        /// How it went.
        card: SafeText,
        /// True when it came to a good end.
        won: bool,
    },
}

impl Story {
    /// True while it goes on, or is about to.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !matches!(self.phase, StoryPhase::Over { .. })
    }

    /// The story's clock.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> SafeText {
        let whole = |took: Duration| Span(Duration::from_secs(took.as_secs()));
        let end = self.briefing.ends_after;
        SafeText::line(&match &self.phase {
            StoryPhase::Briefing => format!("0s of {end}"),
            StoryPhase::Playing(from) => format!("{} of {end}", whole(since(*from, now))),
            StoryPhase::Over { took, won: true, .. } => format!("done after {}", whole(*took)),
            StoryPhase::Over { took, won: false, .. } => format!("over after {}", whole(*took)),
        })
    }
}
