//! "Why is this not running?", answered from the state alone.

use super::state::{RunPhase, RunState};
use super::unit::UnitPhase;
use crate::model::{SafeText, StepKey};

/// One sentence about a step: what it waits for, or what it does, or how it ended.
#[must_use]
pub fn explain(state: &RunState, key: &StepKey) -> SafeText {
    SafeText::block(&explanation(state, key))
}

fn explanation(state: &RunState, key: &StepKey) -> String {
    let (Some(stage), Some(step)) = (state.plan.stage(&key.stage), state.plan.step(key)) else {
        return format!("this run has no step {key}");
    };
    if let Some(prompt) = state.open_prompts().find(|prompt| prompt.unit.step == *key) {
        return format!("it waits for a person: {}", prompt.message);
    }
    if let Some(outcome) = state.step_outcome(step) {
        return match outcome.failure() {
            Some(failure) => format!("{}: {failure}", outcome.word()),
            None => format!("it has ended: {}", outcome.word()),
        };
    }
    for (unit, _) in step.units() {
        match state.units.get(&unit).map(|unit| &unit.phase) {
            Some(UnitPhase::Running) => return format!("{unit} is running"),
            Some(UnitPhase::Interrupted) => {
                return format!("the program died while {unit} ran; what became of it is being found out");
            }
            Some(UnitPhase::Retrying) => return format!("{unit} failed and will be tried again"),
            _ => {}
        }
    }
    match &state.phase {
        RunPhase::Created => return "the run has not begun".to_owned(),
        RunPhase::Paused => return "the run is paused".to_owned(),
        RunPhase::Ended(outcome) => return format!("the run has ended ({}) before it was its turn", outcome.word()),
        RunPhase::Running => {}
    }
    if state.cancel.is_some() {
        return "the run is being stopped".to_owned();
    }
    let waits_for_stage =
        stage.needs.iter().find(|need| !state.stage_outcome(need).is_some_and(|outcome| outcome.is_good()));
    if let Some(need) = waits_for_stage {
        return format!("it waits for stage {need}");
    }
    let waits_for_step =
        step.needs.iter().find(|need| !state.plan.step(need).is_some_and(|need| state.is_satisfied(need)));
    match waits_for_step {
        Some(need) => format!("it waits for step {need}"),
        None => "it is about to start".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample::{Story, operator, plan, unit};
    use super::super::{EventKind, Prompt, PromptId, PromptKind};
    use super::*;
    use crate::model::{CancelReason, Failure, FailureKind, Outcome, RunOutcome};
    use crate::runbook::GuardLevel;

    const SNAPSHOT: &str = "backup/snapshot@prod";

    fn said(story: &Story, key: &str) -> String {
        let state = RunState::replay(&story.events).expect("a legal history");
        explain(&state, &StepKey::try_from(key.to_owned()).expect("a step key")).to_string()
    }

    fn failed() -> Outcome {
        Outcome::Failed { failure: Failure::new(FailureKind::Busy, "copy", "no") }
    }

    #[test]
    fn every_moment_has_its_sentence() {
        let begun = Story::begun;
        let mut created = begun();
        created.events.truncate(1);
        assert_eq!(said(&created, "backup/snapshot"), "the run has not begun");
        assert_eq!(said(&begun(), "backup/nothing"), "this run has no step backup/nothing");
        assert_eq!(said(&begun(), "nowhere/snapshot"), "this run has no step nowhere/snapshot");
        assert_eq!(said(&begun(), "backup/snapshot"), "it is about to start");
        assert_eq!(said(&begun(), "restore/index"), "it waits for stage backup");
        let running = begun().start(SNAPSHOT);
        assert_eq!(said(&running, "backup/snapshot"), "backup/snapshot@prod is running");
        let again = running.clone().then(1, EventKind::SessionStarted { session: 2, pid: 1, by: operator() });
        let lost = "the program died while backup/snapshot@prod ran; what became of it is being found out";
        assert_eq!(said(&again, "backup/snapshot"), lost);
        let retry = EventKind::UnitEnded {
            unit: unit(SNAPSHOT),
            attempt: 1,
            outcome: failed(),
            captures: serde_json::Map::new(),
            retry_after: Some(crate::model::Span::seconds(1)),
        };
        assert_eq!(
            said(&running.clone().then(1, retry), "backup/snapshot"),
            "backup/snapshot@prod failed and will be tried again"
        );
        let bad = running.clone().end(1, SNAPSHOT, failed(), json!({}));
        assert_eq!(said(&bad, "backup/snapshot"), "failed: tried to copy: no");
        assert_eq!(said(&bad, "restore/index"), "it waits for stage backup");
        let good = running.clone().end(1, SNAPSHOT, Outcome::Succeeded, json!({}));
        assert_eq!(said(&good, "backup/snapshot"), "it has ended: done");
        assert_eq!(said(&good, "restore/index"), "it is about to start");
        let paused = begun().then(1, EventKind::Paused { by: operator() });
        assert_eq!(said(&paused, "backup/snapshot"), "the run is paused");
        let stopped = begun().then(1, EventKind::CancelRequested { reason: CancelReason::Operator, by: None });
        assert_eq!(said(&stopped, "backup/snapshot"), "the run is being stopped");
        let over = begun().over(RunOutcome::Cancelled { by: CancelReason::Operator });
        assert_eq!(said(&over, "backup/snapshot"), "the run has ended (cancelled) before it was its turn");
    }

    #[test]
    fn a_question_comes_before_everything_else_and_only_at_its_own_step() {
        let prompt = Prompt {
            id: PromptId(4),
            unit: unit(SNAPSHOT),
            kind: PromptKind::Confirm,
            message: "sure?".into(),
            level: GuardLevel::Reversible,
            phrase: None,
        };
        let asked = Story::begun().start(SNAPSHOT).then(1, EventKind::PromptOpened { prompt });
        assert_eq!(said(&asked, "backup/snapshot"), "it waits for a person: sure?");
        assert_eq!(said(&asked, "restore/index"), "it waits for stage backup");
    }

    #[test]
    fn a_step_waits_for_the_steps_it_needs() {
        let mut plan = plan();
        let index = plan.stages[1].steps[0].key.clone();
        plan.stages[1].needs.clear();
        plan.stages[1].steps[1].needs.push(index);
        let mut story = Story::begun();
        let EventKind::RunCreated { plan: old, .. } = &mut story.events[0].kind else { panic!("it begins otherwise") };
        **old = plan;
        assert_eq!(said(&story, "restore/restart"), "it waits for step restore/index");
        let done = story.start("restore/index@bcp").end(1, "restore/index@bcp", Outcome::Succeeded, json!({}));
        assert_eq!(said(&done, "restore/restart"), "it is about to start");
    }
}
