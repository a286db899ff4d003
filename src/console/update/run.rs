//! Actions on the run that is looked at: answer, pause, stop, resume, why, replay.

use super::step;
use crate::console::action::Action;
use crate::console::dialog::{Confirm, Deed, Dialog, Gate};
use crate::console::msg::Effect;
use crate::console::run_view::{Row, RunView};
use crate::console::state::{Badge, State};
use crate::model::{CancelReason, SafeText};
use crate::run::{RunPhase, explain};

pub(super) fn on_run(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
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
            state.run = None;
            effects.push(Effect::Detach);
        }
        Action::Replay if run.live => state.tell("it is going on: a run of the past can be played again", false),
        Action::Replay => run.toggle_replay(now),
        Action::ReplayFaster => run.speed(true),
        Action::ReplaySlower => run.speed(false),
        Action::ReplayBack => run.jump(-1),
        Action::ReplayOn => run.jump(1),
        _ if state.badge == Badge::ReadOnly => state.tell("this console only looks", true),
        Action::ResumeRun => {
            let id = run.id.clone();
            let ended_well = matches!(&run.state.phase, RunPhase::Ended(outcome) if outcome.exit_code() == 0);
            if run.live {
                state.tell("it is going on", false);
            } else if ended_well {
                state.tell("it has ended well: nothing is left to do", false);
            } else {
                state.dialog = Some(Dialog::Confirm(Confirm {
                    question: SafeText::line(&format!("Take {id} up again?")),
                    consequences: vec![
                        SafeText::line("What ended well is not done again."),
                        SafeText::line("What nobody knows the ending of is looked at first, and asked about."),
                        SafeText::line("The direction and the safety rules are read anew first."),
                    ],
                    deed: Deed::Resume(id),
                    gate: Gate::of(1, "resume", "", ""),
                }));
            }
        }
        Action::RetryStep if !run.live => on_run(state, Action::ResumeRun, effects),
        _ if !run.live => state.tell("it is not going on: there is nothing to steer", false),
        Action::RetryStep => step::retry(state),
        Action::SkipStep => step::skip(state),
        Action::PauseRun => {
            state.dialog = Some(Dialog::Confirm(Confirm {
                deed: Deed::Pause,
                question: SafeText::line("Begin nothing new until somebody says so?"),
                consequences: vec![
                    SafeText::line("The steps that run now go on to their end."),
                    SafeText::line("A paused run stays paused, however long nobody looks; c goes on."),
                ],
                gate: Gate::of(1, "pause", "", ""),
            }));
        }
        Action::ContinueRun => {
            state.dialog = Some(Dialog::Confirm(Confirm {
                deed: Deed::Continue,
                question: SafeText::line("Go on with the run?"),
                consequences: vec![
                    SafeText::line("The next steps begin at once, also those that change something."),
                    SafeText::line("Whoever paused it may have had a reason: the log says who."),
                ],
                gate: Gate::of(1, "continue", "", ""),
            }));
        }
        Action::CancelRun => {
            let again = run.state.cancel.is_some();
            let reason = if again { CancelReason::OperatorNow } else { CancelReason::Operator };
            let consequences = if again {
                vec![
                    SafeText::line("The steps that run now are stopped on their hosts."),
                    SafeText::line("What they leave behind is said in the log; the run can be resumed."),
                ]
            } else {
                vec![
                    SafeText::line("The steps that run now end in order; nothing new is begun."),
                    SafeText::line("Asked a second time, they are stopped too. The run can be resumed."),
                ]
            };
            let question =
                if again { "Stop the running steps as well?" } else { "Stop the run after its running steps?" };
            state.dialog = Some(Dialog::Confirm(Confirm {
                deed: Deed::Cancel(reason),
                question: SafeText::line(question),
                consequences,
                gate: Gate::of(1, "stop", "", ""),
            }));
        }
        _ => {}
    }
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
