//! What is up to a person: bad endings that are asked about, and the words for what is not known. Pure.

use crate::model::{Failure, FailureKind, Outcome, RunId, UnitKey};
use crate::run::{PromptKind, RunState, UnitPhase};
use crate::runbook::{OnFailure, PlannedStep};

/// What a person is to be asked, or is being asked, about a unit that ended badly; nothing when its ending stands.
///
/// A failure is up to a person when the runbook says so, and no safety rule was the reason. An unknown ending is once the unit has been looked at again by
/// a later process: what that could not find out either, only a person can.
pub(super) fn up_to_a_person(
    state: &RunState,
    unattended: bool,
    step: &PlannedStep,
    unit: &UnitKey,
) -> Option<PromptKind> {
    let facts = state.units.get(unit)?;
    let UnitPhase::Ended(outcome) = &facts.phase else { return None };
    let kind = match outcome {
        // What a safety rule refuses is nobody's to leave out, and asking it again changes nothing.
        Outcome::Failed { failure } if failure.kind == FailureKind::Rule => return None,
        Outcome::Failed { .. } | Outcome::TimedOut { .. } if step.on_failure == OnFailure::Ask => PromptKind::Failed,
        Outcome::Unknown { .. } if facts.was_interrupted => PromptKind::Interrupted,
        _ => return None,
    };
    let has_answer = state.prompt_about(unit, kind).is_some_and(|asked| asked.answer.is_some());
    (!unattended && state.cancel.is_none() && !has_answer).then_some(kind)
}

/// The question about a unit of which `doubt` is still not known after another look.
pub(super) fn still_unknown(unit: &UnitKey, doubt: &Failure) -> String {
    format!("How {unit} ended is not known, and nothing of it is done again without your word. {doubt}")
}

/// The failure of a unit whose fate nobody has cleared up, with what was in doubt before, if it ended at all.
pub(super) fn fate_unknown(run: &RunId, unit: &UnitKey, doubt: Option<&Failure>, why: &str) -> Failure {
    let got = match doubt {
        Some(doubt) => format!("{} ({}), and {why}", doubt.got, doubt.tried),
        None => format!("the program died while it ran, and {why}"),
    };
    Failure::new(FailureKind::Unknown, format!("find out what became of {unit}"), got).hint(look_and_say(run))
}

/// How a unit of unknown fate goes on.
pub(super) fn look_and_say(run: &RunId) -> String {
    format!("look at the host, then resume the run at a terminal (`changeover resume {run}`) and say what you saw")
}
