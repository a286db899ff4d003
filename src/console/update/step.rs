//! Actions on the selected step: try it again, go on without it. Both only open a dialog; what may not be done is said
//! with the way that leads on.

use crate::console::action::Action;
use crate::console::dialog::{Answering, Confirm, Deed, Dialog};
use crate::console::line::Line;
use crate::console::run_view::{Row, RunView};
use crate::console::state::State;
use crate::model::{Outcome, SafeText, StepKey, UnitKey};
use crate::run::{Prompt, PromptKind, UnitPhase};

/// Tries the selected step again: by the answer to its question, or by not waiting for the end of its pause.
pub(super) fn retry(state: &mut State) {
    let afterwards = state.key_of(Action::ResumeRun);
    let Some((run, step)) = selected(state) else { return };
    if let Some(prompt) = question(run, &step) {
        // After a crash a fresh attempt may repeat what had its effect: nothing is typed for the person then.
        let (typed, note) = match prompt.kind {
            PromptKind::Failed => (Line::of("retry"), "enter tries it again, esc leaves the question open"),
            PromptKind::Interrupted => {
                (Line::default(), "look at the host first; `retry` does it again as a fresh attempt")
            }
            PromptKind::Confirm => (Line::default(), "it has not been tried yet"),
        };
        return answer(state, &prompt, typed, note);
    }
    let waits = units(run, &step).find(|unit| phase(run, unit).is_some_and(|phase| *phase == UnitPhase::Retrying));
    if let Some(unit) = waits {
        let question = format!("Try {unit} again now?");
        state.dialog = Some(Confirm::easy(
            Deed::RetryNow(unit),
            &question,
            &[
                "The pause before the next attempt is over at once; it counts as one of the attempts.",
                "What it waits for may want its time: the log says why the last attempt failed.",
            ],
        ));
        return;
    }
    let text = match ending(run, &step) {
        Some(outcome) if outcome.is_good() => format!("{step} has ended well: it is not done again in this run"),
        Some(_) => {
            format!("{step} stays as it ended as long as this run goes on; {afterwards} tries it again afterwards")
        }
        None => format!("{step} has not failed: there is nothing to try again"),
    };
    state.tell(text, false);
}

/// Goes on without the selected step, when its question offers that. A reason has to be given.
pub(super) fn skip(state: &mut State) {
    let answers = state.key_of(Action::Answer);
    let Some((run, step)) = selected(state) else { return };
    let text = match question(run, &step) {
        Some(prompt) if prompt.kind == PromptKind::Failed => {
            return answer(state, &prompt, Line::of("skip "), "say why: it goes into the record");
        }
        Some(prompt) if prompt.kind == PromptKind::Interrupted => {
            format!("nobody knows how {step} ended, so it cannot be left out: look at the host, then {answers} answers")
        }
        Some(_) => format!("{step} asks whether it may begin: {answers} answers"),
        None => match ending(run, &step) {
            Some(outcome) if !outcome.is_good() => {
                format!("{step} cannot be left out: the runbook stops when it fails (on_failure = \"ask\" offers it)")
            }
            _ => format!("{step} has not failed: there is nothing to leave out"),
        },
    };
    state.tell(text, false);
}

/// The step of the selected line; tells that there is none.
fn selected(state: &mut State) -> Option<(&RunView, StepKey)> {
    let step = state.run.as_ref().and_then(|run| match run.rows().get(run.selected)? {
        Row::Stage(stage) => question_of(run, |key| key.stage == *stage).map(|prompt| prompt.unit.step.clone()),
        Row::Step(step) => Some(step.clone()),
        Row::Unit(unit) => Some(unit.step.clone()),
    });
    if step.is_none() {
        state.tell("choose a step first", false);
    }
    state.run.as_ref().zip(step)
}

fn question(run: &RunView, step: &StepKey) -> Option<Prompt> {
    question_of(run, |key| key == step).cloned()
}

fn question_of(run: &RunView, is_meant: impl Fn(&StepKey) -> bool) -> Option<&Prompt> {
    run.state.open_prompts().find(|prompt| is_meant(&prompt.unit.step))
}

fn units<'a>(run: &'a RunView, step: &StepKey) -> impl Iterator<Item = UnitKey> + use<'a> {
    run.state.plan.step(step).into_iter().flat_map(|step| step.units().map(|(unit, _)| unit))
}

fn phase<'a>(run: &'a RunView, unit: &UnitKey) -> Option<&'a UnitPhase> {
    run.state.units.get(unit).map(|unit| &unit.phase)
}

fn ending(run: &RunView, step: &StepKey) -> Option<Outcome> {
    run.state.plan.step(step).and_then(|step| run.state.step_outcome(step))
}

fn answer(state: &mut State, prompt: &Prompt, typed: Line, note: &str) {
    let asked = Answering::new(prompt.id, state.observed());
    state.dialog = Some(Dialog::Answer(Answering { typed, note: Some(SafeText::line(note)), ..asked }));
}
