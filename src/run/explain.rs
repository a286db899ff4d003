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
