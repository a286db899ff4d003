//! Actions on the run that is looked at: answer, pause, stop, resume, why, replay.

use super::step;
use crate::console::action::Action;
use crate::console::dialog::{Confirm, Deed, Dialog, Stands};
use crate::console::facts::{DirectionFacts, RunbookFacts, level};
use crate::console::msg::Effect;
use crate::console::run_view::{Row, RunView};
use crate::console::state::State;
use crate::model::{CancelReason, SafeText};
use crate::run::{RunPhase, explain};

pub(super) fn on_run(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let observed = state.observed();
    let go_on = state.key_of(Action::ContinueRun);
    let Some(run) = &mut state.run else {
        state.tell("no run is looked at: choose one in pane 5", false);
        return;
    };
    let now = state.now;
    match action {
        Action::Why => {
            let (title, text) = why(run);
            state.dialog = Some(Dialog::Text { title, text, top: 0 });
        }
        Action::Detach => {
            state.let_go = Some(run.id.clone());
            state.run = None;
            effects.push(Effect::Detach);
        }
        Action::Replay if run.live => state.tell("it is going on: a run of the past can be played again", false),
        Action::Replay => run.toggle_replay(now),
        Action::ReplayFaster => run.speed(true),
        Action::ReplaySlower => run.speed(false),
        Action::ReplayBack => run.jump(-1),
        Action::ReplayOn => run.jump(1),
        _ if state.read_only => state.tell("this console only looks", true),
        Action::ResumeRun => {
            let ended_well = matches!(&run.state.phase, RunPhase::Ended(outcome) if outcome.exit_code() == 0);
            if run.live {
                state.tell("it is going on", false);
            } else if ended_well {
                state.tell("it has ended well: nothing is left to do", false);
            } else {
                let question = take_up(run, &changed_since(&state.direction, &state.runbooks, run), observed);
                state.dialog = Some(question);
            }
        }
        Action::RetryStep if !run.live => on_run(state, Action::ResumeRun, effects),
        _ if !run.live => state.tell("it is not going on: there is nothing to steer", false),
        Action::RetryStep => step::retry(state),
        Action::SkipStep => step::skip(state),
        Action::PauseRun | Action::ContinueRun | Action::CancelRun => {
            let again = run.state.cancel.is_some();
            state.dialog = steer(action, again, &go_on).map(|(deed, question, follows)| {
                Confirm::easy(deed, question, &follows.each_ref().map(String::as_str))
            });
        }
        _ => {}
    }
}

/// The question whether to take a run up again: as hard as to begin it.
fn take_up(run: &RunView, changed: &[String], observed: String) -> Dialog {
    let question = format!("Take {} up again?", run.id);
    let follows = [
        "What ended well is not done again.",
        "What nobody knows the ending of is looked at first, and asked about.",
        "The direction and the safety rules are read anew first.",
    ];
    let follows: Vec<&str> = follows.into_iter().chain(changed.iter().map(String::as_str)).collect();
    let mut dialog = Confirm::easy(Deed::Resume(run.id.clone()), &question, &follows);
    if let Dialog::Confirm(confirm) = &mut dialog
        && level(run.state.plan.mode) >= 2
    {
        let object = run.state.plan.direction.target.to_string();
        let digest = run.state.digest.clone();
        let stands = Stands { verb: "resume", object, digest, observed, changed: None };
        confirm.gate = stands.gate();
        confirm.stands = Some(stands);
    }
    dialog
}

/// What differs from when the run began, as far as this console knows; the run itself looks anew.
fn changed_since(direction: &DirectionFacts, books: &[RunbookFacts], run: &RunView) -> Vec<String> {
    let plan = &run.state.plan;
    let mut changed = Vec::new();
    match &direction.direction {
        Some(now) if *now != plan.direction => {
            changed.push(format!("CHANGED since: the run goes {}, but the direction is now {now}.", plan.direction));
        }
        Some(_) => {}
        None => changed.push("Which way the estate goes is not known now.".to_owned()),
    }
    if let (Some(then), Some(now)) = (run.state.epoch(), direction.epoch)
        && then != now
    {
        changed.push(format!("CHANGED since: the epoch was {then}, and is {now}."));
    }
    match (books.iter().find(|book| book.name.as_str() == plan.runbook.as_str()), &plan.origin) {
        (None, _) => changed.push("Its runbook is not among those here; the run keeps its own plan.".to_owned()),
        (Some(book), Some(origin)) if book.digest != origin.digest => {
            changed.push("CHANGED since: its runbook; the run keeps its own plan.".to_owned());
        }
        _ => {}
    }
    if changed.is_empty() {
        changed.push("Direction and runbook are not seen to have changed since.".to_owned());
    }
    changed
}

/// What steers a run that goes on, its question, and what follows from it. `again`: it was asked to stop before; `go_on`:
/// the key that ends a pause.
fn steer(action: Action, again: bool, go_on: &str) -> Option<(Deed, &'static str, [String; 2])> {
    Some(match (action, again) {
        (Action::PauseRun, _) => (
            Deed::Pause,
            "Begin nothing new until somebody says so?",
            [
                "The steps that run now go on to their end.".to_owned(),
                format!("A paused run stays paused, however long nobody looks; {go_on} goes on."),
            ],
        ),
        (Action::ContinueRun, _) => (
            Deed::Continue,
            "Go on with the run?",
            [
                "The next steps begin at once, also those that change something.",
                "Whoever paused it may have had a reason: the log says who.",
            ]
            .map(str::to_owned),
        ),
        (Action::CancelRun, false) => (
            Deed::Cancel(CancelReason::Operator),
            "Stop the run after its running steps?",
            [
                "The steps that run now end in order; nothing new is begun.",
                "Asked a second time, they are stopped too. The run can be resumed.",
            ]
            .map(str::to_owned),
        ),
        (Action::CancelRun, true) => (
            Deed::Cancel(CancelReason::OperatorNow),
            "Stop the running steps as well?",
            [
                "The steps that run now are stopped on their hosts.",
                "What they leave behind is said in the log; the run can be resumed.",
            ]
            .map(str::to_owned),
        ),
        _ => return None,
    })
}

fn why(run: &RunView) -> (SafeText, SafeText) {
    match run.rows().get(run.selected) {
        Some(Row::Stage(stage)) => {
            let steps = run.state.plan.stage(stage).map(|stage| stage.steps.as_slice()).unwrap_or_default();
            let lines: Vec<String> =
                steps.iter().map(|step| format!("{}: {}", step.key.step, explain(&run.state, &step.key))).collect();
            (SafeText::line(stage.as_str()), SafeText::block(&lines.join("\n")))
        }
        Some(Row::Step(step)) => (SafeText::line(&step.to_string()), explain(&run.state, step)),
        Some(Row::Unit(unit)) => (SafeText::line(&unit.to_string()), explain(&run.state, &unit.step)),
        None => (SafeText::line("Why"), SafeText::line("nothing is selected")),
    }
}
