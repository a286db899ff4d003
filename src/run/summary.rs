//! What every listener prints at the end: verdict, durations, what failed, what was counted.

use std::time::Duration;

use super::state::{RunPhase, RunState};
use super::unit::UnitPhase;
use crate::model::{Failure, Outcome, RunOutcome, SafeText, StageId, UnitKey};

/// A run in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// How it ended, when it has.
    pub outcome: Option<RunOutcome>,
    /// Wall time from creation to the latest event.
    pub took: Duration,
    /// The stages.
    pub stages: Vec<StageSummary>,
    /// Every failure with the unit it happened to.
    pub failures: Vec<(UnitKey, Failure)>,
    /// Every warning with the unit that gave it.
    pub warnings: Vec<(UnitKey, SafeText)>,
    /// Units whose ending is not known.
    pub unknown: Vec<UnitKey>,
}

/// A stage in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSummary {
    /// Its identity.
    pub id: StageId,
    /// Its title.
    pub title: String,
    /// How it ended, when it has.
    pub outcome: Option<Outcome>,
    /// Wall time from its beginning to its end, or to the latest event.
    pub took: Option<Duration>,
}

impl RunSummary {
    /// The summary of a state.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let span = |from: jiff::Timestamp, to: jiff::Timestamp| {
            Duration::try_from(to.duration_since(from)).unwrap_or_default()
        };
        let stages = state
            .plan
            .stages
            .iter()
            .map(|stage| {
                let facts = state.stages.get(&stage.id);
                let ended = facts.and_then(|facts| facts.ended.as_ref());
                let until = ended.map_or(state.updated, |(at, _)| *at);
                StageSummary {
                    id: stage.id.clone(),
                    title: stage.title.clone(),
                    outcome: ended.map(|(_, outcome)| outcome.clone()),
                    took: facts.and_then(|facts| facts.started).map(|started| span(started, until)),
                }
            })
            .collect();
        let mut summary = Self {
            outcome: match &state.phase {
                RunPhase::Ended(outcome) => Some(outcome.clone()),
                _ => None,
            },
            took: span(state.created, state.updated),
            stages,
            failures: Vec::new(),
            warnings: Vec::new(),
            unknown: Vec::new(),
        };
        for (unit, unit_state) in &state.units {
            match &unit_state.phase {
                UnitPhase::Interrupted => summary.unknown.push(unit.clone()),
                UnitPhase::Ended(outcome) | UnitPhase::Undone(outcome) => {
                    if let Outcome::Unknown { .. } = outcome {
                        summary.unknown.push(unit.clone());
                    }
                    if let Some(failure) = outcome.failure() {
                        summary.failures.push((unit.clone(), failure.clone()));
                    }
                    if let Outcome::Warned { warnings } = outcome {
                        summary.warnings.extend(warnings.iter().map(|text| (unit.clone(), text.clone())));
                    }
                }
                _ => {}
            }
        }
        summary
    }
}
