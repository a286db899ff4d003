//! The life of one unit: one match from phase and input to the next phase. Everything it does not list is illegal.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use super::JobAt;
use crate::model::{Failure, Outcome, SafeText, Skip};

/// Where a unit is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitPhase {
    /// Not started yet, or to be tried again after a resumption or a person's word.
    Waiting,
    /// An attempt is running.
    Running,
    /// It was running when the program died, or its ending is unknown: what became of it must be found out.
    Interrupted,
    /// The last attempt failed and another one will follow.
    Retrying,
    /// It has ended.
    Ended(Outcome),
    /// It had ended well and was undone, with this ending of the undo.
    Undone(Outcome),
}

/// What can happen to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitInput {
    /// An attempt of this number was started.
    Started(u32),
    /// The attempt of this number ended (0: none was started); another one follows when the flag is set.
    Ended(u32, Outcome, bool),
    /// A new process took the run over.
    NewSession,
    /// A person said: do it again.
    Retry,
    /// A person said: go on without it.
    SkippedByOperator {
        /// Who.
        by: SafeText,
        /// Why.
        comment: SafeText,
    },
    /// A person has looked and said: it had its effect.
    DoneByWord {
        /// Who.
        by: SafeText,
        /// What they saw.
        comment: SafeText,
    },
    /// Its undo ended.
    Undone(Outcome),
}

/// One unit: its phase and how often it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    /// Where it is in its life.
    pub phase: UnitPhase,
    /// The number of the latest attempt; 0 before the first.
    pub attempts: u32,
    /// Monotonic milliseconds of this session at which the latest attempt began.
    pub started_ms: Option<u64>,
    /// How long the attempts took together, in milliseconds.
    pub spent_ms: u64,
    /// The sequence number of the event that ended it: the order in which undo goes back.
    pub ended_seq: Option<u64>,
    /// How far it is.
    pub progress: Option<(u64, Option<u64>, SafeText)>,
    /// The latest thing it said.
    pub said: Option<SafeText>,
    /// The durable jobs that its attempts have begun, as far as is on record.
    pub jobs: BTreeSet<JobAt>,
    /// The session in which it ended.
    pub ended_in: u32,
    /// True once a later process had to find out what became of it.
    pub was_interrupted: bool,
    /// What its latest attempt itself did not know when it ended unknown; nothing once it has been started again.
    pub doubt: Option<Failure>,
    /// The first of the attempts of which it is not known that nothing they began still works.
    pub loose_since: Option<u32>,
    /// True when the latest attempt was entered again by a later process.
    pub entered_again: bool,
    /// True while a person has said to do it again although nobody knows how its latest attempt ended.
    pub released: bool,
}

impl UnitState {
    /// A unit that has not been touched.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: UnitPhase::Waiting,
            attempts: 0,
            started_ms: None,
            spent_ms: 0,
            ended_seq: None,
            progress: None,
            said: None,
            jobs: BTreeSet::new(),
            ended_in: 0,
            was_interrupted: false,
            doubt: None,
            loose_since: None,
            entered_again: false,
            released: false,
        }
    }

    /// The attempts before the latest one of which it is not known that nothing they began still works: a fresh attempt
    /// makes sure of that before it begins.
    #[must_use]
    pub fn loose_attempts(&self) -> Range<u32> {
        self.loose_since.unwrap_or(self.attempts)..self.attempts
    }

    /// Notes that an attempt was started.
    pub(super) fn note_start(&mut self, attempt: u32) {
        self.entered_again = self.attempts == attempt;
        self.attempts = attempt;
        self.loose_since.get_or_insert(attempt);
        self.released = false;
    }

    /// Notes how an attempt that was running has ended. An attempt says of itself that all it began has ended, by ending
    /// in any way that is known; but one that was entered again may fail before it comes to what it began the first
    /// time, and the record of that may have died with the program.
    pub(super) fn note_end(&mut self, outcome: &Outcome) {
        if let Outcome::Unknown { failure } = outcome {
            self.doubt = Some(failure.clone());
        } else if outcome.is_good() || !self.entered_again {
            self.loose_since = None;
        }
    }

    /// The ending, when it has ended.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            UnitPhase::Ended(outcome) | UnitPhase::Undone(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// True while the fate of something started is open: running now, or lost sight of.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, UnitPhase::Running | UnitPhase::Interrupted)
    }

    /// The phase that follows, or why the input is impossible now.
    ///
    /// # Errors
    /// A sentence that names the phase and the input.
    pub fn next(&self, input: &UnitInput) -> Result<UnitPhase, String> {
        use UnitInput as I;
        use UnitPhase as P;
        let attempts = self.attempts;
        let next = match (&self.phase, input) {
            (P::Waiting | P::Retrying, I::Started(n)) if *n == attempts + 1 => P::Running,
            // Entered again after a crash, or tried afresh because it was seen not to have happened.
            (P::Interrupted, I::Started(n)) if *n == attempts || *n == attempts + 1 => P::Running,
            (P::Running, I::Ended(n, outcome, true)) if *n == attempts && !outcome.is_good() => P::Retrying,
            (P::Running | P::Interrupted, I::Ended(n, outcome, false)) if *n == attempts => P::Ended(outcome.clone()),
            (
                P::Waiting | P::Retrying,
                I::Ended(
                    0,
                    outcome @ (Outcome::Skipped { .. } | Outcome::NotRun { .. } | Outcome::Failed { .. }),
                    false,
                ),
            ) => P::Ended(outcome.clone()),
            // A person said to do it again, but it never came to that: how it ended is still not known.
            (P::Waiting, I::Ended(0, outcome @ Outcome::Unknown { .. }, false)) if self.released => {
                P::Ended(outcome.clone())
            }
            (P::Running | P::Ended(Outcome::Unknown { .. }), I::NewSession) => P::Interrupted,
            (P::Ended(outcome), I::NewSession) if !outcome.is_good() => P::Waiting,
            (P::Retrying, I::NewSession) => P::Waiting,
            (phase, I::NewSession) => phase.clone(),
            (P::Ended(outcome), I::Retry) if !outcome.is_good() => P::Waiting,
            (P::Interrupted, I::Retry) => P::Waiting,
            (P::Ended(outcome), I::SkippedByOperator { by, comment }) if !outcome.is_good() => {
                P::Ended(Outcome::Skipped { why: Skip::Operator { by: by.clone(), comment: comment.clone() } })
            }
            (P::Ended(Outcome::Unknown { .. }), I::DoneByWord { by, comment }) => {
                let text = SafeText::block(&format!("{by} says it was done: {comment}"));
                P::Ended(Outcome::Warned { warnings: vec![text] })
            }
            // It has not ended yet: the word is taken when it is ended.
            (P::Interrupted, I::DoneByWord { .. }) => P::Interrupted,
            (P::Ended(outcome), I::Undone(undone)) if outcome.is_good() => P::Undone(undone.clone()),
            (phase, input) => return Err(format!("a unit that is {phase} cannot become {input}")),
        };
        Ok(next)
    }
}

impl Default for UnitState {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for UnitPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.pad("waiting"),
            Self::Running => f.pad("running"),
            Self::Interrupted => f.pad("interrupted"),
            Self::Retrying => f.pad("retrying"),
            Self::Ended(outcome) => f.pad(outcome.word()),
            Self::Undone(outcome) if outcome.is_good() => f.pad("undone"),
            Self::Undone(_) => f.pad("undo failed"),
        }
    }
}

impl fmt::Display for UnitInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(n) => write!(f, "started (attempt {n})"),
            Self::Ended(n, outcome, _) => write!(f, "{} (attempt {n})", outcome.word()),
            Self::NewSession => f.write_str("part of a new session"),
            Self::Retry => f.write_str("retried"),
            Self::SkippedByOperator { .. } => f.write_str("skipped by an operator"),
            Self::DoneByWord { .. } => f.write_str("called done by an operator"),
            Self::Undone(outcome) => write!(f, "undone ({})", outcome.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FailureKind;

    #[test]
    fn an_attempt_that_ended_in_a_known_way_is_no_reason_to_look_for_its_work_unless_it_was_entered_again() {
        let failure = |kind| Failure::new(kind, "do it", "no");
        let good = Outcome::Succeeded;
        let failed = Outcome::Failed { failure: failure(FailureKind::Refused) };
        let unknown = Outcome::Unknown { failure: failure(FailureKind::Unknown) };
        for (entered_again, outcome, looked_for) in [
            (false, &good, 2..2),
            (false, &failed, 2..2),
            (false, &unknown, 1..2),
            (true, &good, 2..2),
            (true, &failed, 1..2),
            (true, &unknown, 1..2),
        ] {
            let mut unit = UnitState::new();
            unit.note_start(1);
            if entered_again {
                unit.note_start(1);
            }
            unit.note_end(outcome);
            assert_eq!(unit.doubt.is_some(), outcome == &unknown);
            unit.note_start(2);
            assert_eq!(unit.loose_attempts(), looked_for, "entered again {entered_again}, {outcome:?}");
        }
    }

    #[test]
    fn what_was_never_begun_is_unknown_only_after_a_person_asked_for_it_again() {
        let failure = Failure::new(FailureKind::Unknown, "do it", "no answer");
        let unknown = UnitInput::Ended(0, Outcome::Unknown { failure }, false);
        let mut unit = UnitState::new();
        assert!(unit.next(&unknown).is_err());
        unit.released = true;
        assert!(matches!(unit.next(&unknown), Ok(UnitPhase::Ended(Outcome::Unknown { .. }))));
    }
}
