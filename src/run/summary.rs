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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample::{Story, operator, unit};
    use super::super::{EventKind, RunState};
    use super::*;
    use crate::model::FailureKind;

    #[test]
    fn everything_that_a_person_must_know_is_in_it() {
        let failure = |kind| Failure::new(kind, "copy", "no");
        let (bad, lost) = (failure(FailureKind::Refused), failure(FailureKind::Unknown));
        let story = Story::begun().stage("backup").start("backup/snapshot@prod");
        let warned = Outcome::Warned { warnings: vec!["late".into(), "slow".into()] };
        let story =
            story.end(500, "backup/snapshot@prod", warned.clone(), json!({})).stage_ended("backup", warned.clone());
        let summary = RunSummary::of(&RunState::replay(&story.events).expect("a legal history"));
        assert_eq!((summary.outcome, summary.took), (None, Duration::from_millis(5 + 1 + 2 + 500 + 1)));
        assert_eq!(summary.stages[0].title, "Back up the source");
        assert_eq!(
            (&summary.stages[0].outcome, summary.stages[0].took),
            (&Some(warned), Some(Duration::from_millis(503)))
        );
        assert_eq!((&summary.stages[1].outcome, summary.stages[1].took), (&None, None));
        let late = |text: &str| (unit("backup/snapshot@prod"), text.into());
        assert_eq!(summary.warnings, [late("late"), late("slow")]);
        assert!(summary.failures.is_empty() && summary.unknown.is_empty());

        let story = story.stage("restore").start("restore/index@bcp");
        let story = story.end(1, "restore/index@bcp", Outcome::Failed { failure: bad.clone() }, json!({}));
        let story = story.start("restore/restart@bcp:app1");
        let story = story.end(1, "restore/restart@bcp:app1", Outcome::Unknown { failure: lost.clone() }, json!({}));
        let open = story.clone().start("restore/restart@bcp:app2");
        let summary = RunSummary::of(&RunState::replay(&open.events).expect("a legal history"));
        assert_eq!(summary.stages[1].took, Some(Duration::from_millis(8)), "it goes on");
        let failures = [(unit("restore/index@bcp"), bad), (unit("restore/restart@bcp:app1"), lost)];
        assert_eq!(summary.failures, failures);
        assert_eq!(summary.unknown, [unit("restore/restart@bcp:app1")]);
        let again = open.then(1, EventKind::SessionStarted { session: 2, pid: 1, by: operator() });
        let summary = RunSummary::of(&RunState::replay(&again.events).expect("a legal history"));
        assert_eq!(summary.unknown, [unit("restore/restart@bcp:app1"), unit("restore/restart@bcp:app2")]);
        let stuck = RunOutcome::Stuck { unknown: Vec::new() };
        let over = RunSummary::of(&RunState::replay(&story.over(stuck.clone()).events).expect("a legal history"));
        assert_eq!(over.outcome, Some(stuck));
    }
}
