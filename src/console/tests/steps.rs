//! Trying a step again and going on without it.

use serde_json::json;

use super::made::*;
use crate::console::dialog::Dialog;
use crate::console::run_view::Row;
use crate::console::{Effect, State};
use crate::model::{Outcome, SafeText, Span, StepKey};
use crate::run::sample::{self, Story};
use crate::run::{EventKind, PromptAnswer, PromptKind, RunCommand};

/// A live run with the step of this name selected.
fn at(story: Story, live: bool, step: &str) -> State {
    let mut state = with_run(story, live);
    let step = StepKey::try_from(step.to_owned()).expect("a step");
    let run = state.run.as_mut().expect("a run");
    run.opened.insert(step.stage.clone(), true);
    run.selected = run.rows().iter().position(|row| *row == Row::Step(step.clone())).expect("its line");
    state
}

/// What was told last.
fn told(state: &State) -> String {
    state.notice.as_ref().map(|notice| notice.text.to_string()).unwrap_or_default()
}

fn broken() -> Story {
    restored().start(ONE).start(TWO).end(500, ONE, Outcome::Failed { failure: refused() }, json!({}))
}

#[test]
fn retry_and_skip_answer_the_question_of_the_step() {
    let mut state = at(asks(broken(), PromptKind::Failed, None), true, "restore/restart");
    assert_eq!(press(&mut state, "t"), [], "the key only opens the question");
    let effects = press(&mut state, "enter");
    assert!(
        matches!(&effects[..], [Effect::Command(RunCommand::Answer(answer))] if answer.answer == PromptAnswer::Retry),
        "{effects:?}"
    );
    let mut state = at(asks(broken(), PromptKind::Failed, None), true, "restore/restart");
    press(&mut state, "s");
    assert_eq!(press(&mut state, "enter"), [], "a skip without a reason is none");
    assert!(matches!(&state.dialog, Some(Dialog::Answer(_))));
    typed(&mut state, "app1 is being replaced", 120);
    let effects = press(&mut state, "enter");
    let comment = SafeText::line("app1 is being replaced");
    assert!(
        matches!(&effects[..], [Effect::Command(RunCommand::Answer(answer))] if answer.answer == PromptAnswer::Skip { comment }),
        "{effects:?}"
    );
}

#[test]
fn what_nobody_knows_the_ending_of_is_neither_repeated_by_one_key_nor_left_out() {
    let story = || {
        let again = EventKind::SessionStarted { session: 2, pid: 1, by: sample::operator() };
        asks(restored().start(ONE).then(1, again), PromptKind::Interrupted, None)
    };
    let mut state = at(story(), true, "restore/restart");
    press(&mut state, "t");
    assert_eq!(press(&mut state, "enter"), [], "nothing was typed for the person");
    let mut state = at(story(), true, "restore/restart");
    press(&mut state, "s");
    assert!(state.dialog.is_none());
    assert!(told(&state).contains("look at the host"), "{}", told(&state));
}

#[test]
fn a_pause_before_the_next_attempt_can_be_ended() {
    let pause = EventKind::UnitEnded {
        unit: sample::unit(INDEX),
        attempt: 1,
        outcome: Outcome::Failed { failure: refused() },
        captures: serde_json::Map::new(),
        retry_after: Some(Span::seconds(600)),
    };
    let mut state = at(running().then(1, pause), true, "restore/index");
    assert_eq!(press(&mut state, "t"), []);
    assert_eq!(press(&mut state, "enter"), [], "enter alone does nothing");
    let effects = press(&mut state, "y enter");
    let unit = sample::unit(INDEX);
    assert_eq!(effects, [Effect::Command(RunCommand::RetryNow { unit, by: sample::operator() })]);
}

#[test]
fn a_run_that_failed_is_taken_up_again_and_what_cannot_be_is_said() {
    let mut state = at(failed(), false, "restore/restart");
    press(&mut state, "t");
    assert_eq!(press(&mut state, "y enter"), [Effect::Resume(sample::run_id())]);
    for (story, step, key, said) in [
        (running(), "backup/snapshot", "t", "ended well"),
        (running(), "restore/restart", "t", "has not failed"),
        (running(), "restore/restart", "s", "has not failed"),
        (broken().end(1, TWO, Outcome::Succeeded, json!({})), "restore/restart", "s", "on_failure"),
        (broken().end(1, TWO, Outcome::Succeeded, json!({})), "restore/restart", "t", "R tries it again"),
        (asks(restored(), PromptKind::Confirm, None), "restore/restart", "s", "whether it may begin"),
    ] {
        let mut state = at(story, true, step);
        assert_eq!(press(&mut state, key), []);
        assert!(state.dialog.is_none() && told(&state).contains(said), "{step} {key}: {}", told(&state));
    }
}
