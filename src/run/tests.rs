//! The fold: which histories are legal, and what follows from each event.

use serde_json::{Map, json};

use super::sample::{Story, operator, plan, unit};
use super::{
    EventKind, JobAt, Prompt, PromptAnswer, PromptId, PromptKind, RunPhase, RunState, UnitInput, UnitPhase, UnitState,
    Weight,
};
use crate::model::{
    CancelReason, Failure, FailureKind, NotRun, Outcome, RunOutcome, SafeText, Skip, Span, StageId, StepKey,
};
use crate::runbook::{GuardLevel, OnFailure, Plan};

const SNAPSHOT: &str = "backup/snapshot@prod";
const INDEX: &str = "restore/index@bcp";
const ONE: &str = "restore/restart@bcp:app1";

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "copy", "no")
}

fn failed() -> Outcome {
    Outcome::Failed { failure: failure(FailureKind::Refused) }
}

fn unknown() -> Outcome {
    Outcome::Unknown { failure: failure(FailureKind::Unknown) }
}

fn warned() -> Outcome {
    Outcome::Warned { warnings: vec!["late".into()] }
}

fn skipped() -> Outcome {
    Outcome::Skipped { why: Skip::NothingToDo("empty".into()) }
}

fn not_run() -> Outcome {
    Outcome::NotRun { because: NotRun::Cancelled(CancelReason::Operator) }
}

fn timed_out() -> Outcome {
    Outcome::TimedOut { after: Span::seconds(1), failure: failure(FailureKind::Busy) }
}

fn state_of(story: &Story) -> RunState {
    RunState::replay(&story.events).expect("a legal history")
}

/// The state after a first event with another plan, taken over by its first process.
fn state_with(plan: Plan) -> RunState {
    let mut story = Story::begun();
    let EventKind::RunCreated { plan: old, .. } = &mut story.events[0].kind else { panic!("it begins otherwise") };
    **old = plan;
    state_of(&story)
}

fn step(key: &str) -> StepKey {
    StepKey::try_from(key.to_owned()).expect("a step key")
}

fn stage(id: &str) -> StageId {
    StageId::new(id).expect("a stage id")
}

fn asks(story: Story, id: u32, key: &str, kind: PromptKind) -> Story {
    let prompt = Prompt {
        id: PromptId(id),
        unit: unit(key),
        kind,
        message: "sure?".into(),
        level: GuardLevel::Reversible,
        phrase: None,
    };
    story.then(1, EventKind::PromptOpened { prompt })
}

fn answers(story: Story, id: u32, answer: PromptAnswer) -> Story {
    story.then(1, EventKind::PromptAnswered { prompt: PromptId(id), answer, by: operator() })
}

fn session(story: Story, session: u32) -> Story {
    story.then(1, EventKind::SessionStarted { session, pid: 7, by: operator() })
}

fn refused(story: &Story, why: &str) {
    let error = RunState::replay(&story.events).expect_err("an impossible history");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn the_life_of_a_unit_phase_by_phase() {
    use UnitInput as I;
    use UnitPhase as P;
    let word = || (SafeText::line("ops"), SafeText::line("seen"));
    let skip = || I::SkippedByOperator { by: word().0, comment: word().1 };
    let done = || I::DoneByWord { by: word().0, comment: word().1 };
    let by_word = P::Ended(Outcome::Warned { warnings: vec!["ops says it was done: seen".into()] });
    let by_operator = P::Ended(Outcome::Skipped { why: Skip::Operator { by: word().0, comment: word().1 } });
    let ended = |outcome: fn() -> Outcome| P::Ended(outcome());
    // Where it is (with one attempt behind it), what happens, and where it is then.
    let possible = [
        (P::Waiting, I::Started(2), P::Running),
        (P::Retrying, I::Started(2), P::Running),
        (P::Interrupted, I::Started(1), P::Running),
        (P::Interrupted, I::Started(2), P::Running),
        (P::Running, I::Ended(1, failed(), true), P::Retrying),
        (P::Running, I::Ended(1, failed(), false), ended(failed)),
        (P::Running, I::Ended(1, warned(), false), ended(warned)),
        (P::Interrupted, I::Ended(1, unknown(), false), ended(unknown)),
        (P::Waiting, I::Ended(0, skipped(), false), ended(skipped)),
        (P::Retrying, I::Ended(0, not_run(), false), ended(not_run)),
        (P::Waiting, I::Ended(0, failed(), false), ended(failed)),
        (P::Running, I::NewSession, P::Interrupted),
        (ended(unknown), I::NewSession, P::Interrupted),
        (ended(failed), I::NewSession, P::Waiting),
        (ended(not_run), I::NewSession, P::Waiting),
        (P::Retrying, I::NewSession, P::Waiting),
        (P::Waiting, I::NewSession, P::Waiting),
        (P::Interrupted, I::NewSession, P::Interrupted),
        (ended(warned), I::NewSession, ended(warned)),
        (ended(failed), I::Retry, P::Waiting),
        (P::Interrupted, I::Retry, P::Waiting),
        (ended(failed), skip(), by_operator),
        (ended(unknown), done(), by_word),
        (P::Interrupted, done(), P::Interrupted),
        (ended(warned), I::Undone(failed()), P::Undone(failed())),
    ];
    for (phase, input, then) in possible {
        let state = UnitState { phase, attempts: 1, ..UnitState::default() };
        assert_eq!(state.next(&input), Ok(then), "{:?} {input:?}", state.phase);
    }
    let impossible = [
        (P::Waiting, I::Started(1)),
        (P::Running, I::Started(2)),
        (P::Interrupted, I::Started(3)),
        (P::Running, I::Ended(2, failed(), false)),
        (P::Running, I::Ended(2, failed(), true)),
        (P::Running, I::Ended(1, warned(), true)),
        (P::Waiting, I::Ended(1, failed(), false)),
        (P::Waiting, I::Ended(0, warned(), false)),
        (P::Waiting, I::Ended(0, not_run(), true)),
        (ended(warned), I::Retry),
        (P::Running, I::Retry),
        (ended(warned), skip()),
        (ended(failed), done()),
        (ended(failed), I::Undone(warned())),
        (P::Running, I::Undone(warned())),
    ];
    for (phase, input) in impossible {
        let state = UnitState { phase, attempts: 1, ..UnitState::default() };
        let why = state.next(&input).expect_err("it cannot be");
        assert_eq!(why, format!("a unit that is {} cannot become {input}", state.phase));
    }
}

#[test]
fn phases_and_inputs_have_words() {
    let phases = [
        (UnitPhase::Waiting, "waiting"),
        (UnitPhase::Running, "running"),
        (UnitPhase::Interrupted, "interrupted"),
        (UnitPhase::Retrying, "retrying"),
        (UnitPhase::Ended(unknown()), "UNKNOWN"),
        (UnitPhase::Undone(warned()), "undone"),
        (UnitPhase::Undone(failed()), "undo failed"),
    ];
    for (phase, word) in phases {
        assert_eq!(phase.to_string(), word);
        let open = UnitState { phase: phase.clone(), ..UnitState::new() }.is_open();
        assert_eq!(open, matches!(phase, UnitPhase::Running | UnitPhase::Interrupted), "{word}");
    }
    let (by, comment) = (SafeText::line("ops"), SafeText::line("seen"));
    let inputs = [
        (UnitInput::Started(2), "started (attempt 2)"),
        (UnitInput::Ended(2, failed(), false), "failed (attempt 2)"),
        (UnitInput::NewSession, "part of a new session"),
        (UnitInput::Retry, "retried"),
        (UnitInput::SkippedByOperator { by: by.clone(), comment: comment.clone() }, "skipped by an operator"),
        (UnitInput::DoneByWord { by, comment }, "called done by an operator"),
        (UnitInput::Undone(warned()), "undone (warned)"),
    ];
    for (input, words) in inputs {
        assert_eq!(input.to_string(), words);
    }
}

#[test]
fn only_what_may_be_lost_is_chatter_and_what_is_acted_on_is_intent() {
    use Weight::{Chatter, Fact, Intent};
    let story = Story::begun().stage("backup").start(SNAPSHOT).say(SNAPSHOT, "x").progress(SNAPSHOT, 1, None, "files");
    let job = JobAt { host: None, name: "j".to_owned() };
    let story = story
        .then(0, EventKind::JobBegun { unit: unit(SNAPSHOT), attempt: 1, job })
        .end(1, SNAPSHOT, warned(), json!({}))
        .then(0, EventKind::UndoStarted { because: step("backup/snapshot") });
    let weights: Vec<Weight> = story.events.iter().map(|event| event.kind.weight()).collect();
    assert_eq!(weights, [Intent, Intent, Fact, Intent, Chatter, Chatter, Chatter, Fact, Intent]);
}

#[test]
fn a_history_is_numbered_begins_once_and_is_over_when_it_is_over() {
    let mut nothing = Story::begun();
    nothing.events.clear();
    refused(&nothing, "there are no events");
    let mut headless = Story::begun();
    headless.events.remove(0);
    refused(&headless, "the first event must create the run");
    let mut late = Story::begun();
    late.events[0].seq = 2;
    refused(&late, "the first event must have number 1");
    let mut gap = Story::begun().stage("backup");
    gap.events[2].seq = 4;
    refused(&gap, "after event 2 comes 3, not 4");
    let begun = Story::begun();
    let again = begun.events[0].kind.clone();
    refused(&begun.then(0, again), "the run exists already");
    refused(&Story::begun().stage("nowhere"), "there is no stage nowhere");
    refused(&Story::begun().stage_ended("nowhere", failed()), "there is no stage nowhere");
    refused(&Story::begun().say("backup/nothing", "x"), "there is no unit backup/nothing");
    refused(&Story::begun().start(SNAPSHOT).over(RunOutcome::Done { warned: false }), "is still running");
    let over = || Story::begun().over(RunOutcome::Done { warned: true });
    refused(&over().stage("backup"), "the run has ended");
    assert_eq!(state_of(&over().then(0, EventKind::Newer)).last_seq, 4);
    assert_eq!(state_of(&session(over(), 2)).phase, RunPhase::Running);
    refused(&session(Story::begun(), 3), "after session 1 comes 2, not 3");
    refused(
        &session(Story::begun().then(0, EventKind::UndoStarted { because: step("backup/snapshot") }), 2),
        "that is not resumed",
    );
}

#[test]
fn questions_are_asked_once_answered_once_and_mean_what_they_say() {
    let asked =
        || asks(Story::begun().start(SNAPSHOT).end(1, SNAPSHOT, failed(), json!({})), 9, SNAPSHOT, PromptKind::Failed);
    refused(&asks(asked(), 9, SNAPSHOT, PromptKind::Failed), "question 9 was asked already");
    refused(&answers(asked(), 8, PromptAnswer::Retry), "there is no question 8");
    refused(
        &answers(answers(asked(), 9, PromptAnswer::Decline), 9, PromptAnswer::Retry),
        "question 9 was answered already",
    );
    let phase = |story: &Story| state_of(story).units[&unit(SNAPSHOT)].phase.clone();
    assert_eq!(phase(&answers(asked(), 9, PromptAnswer::Retry)), UnitPhase::Waiting);
    assert_eq!(phase(&answers(asked(), 9, PromptAnswer::Decline)), UnitPhase::Ended(failed()));
    let skipped = phase(&answers(asked(), 9, PromptAnswer::Skip { comment: "never mind".into() }));
    assert!(matches!(skipped, UnitPhase::Ended(Outcome::Skipped { why: Skip::Operator { .. } })), "{skipped}");
    let lost = asks(session(Story::begun().start(SNAPSHOT), 2), 9, SNAPSHOT, PromptKind::Interrupted);
    assert_eq!(phase(&answers(lost.clone(), 9, PromptAnswer::Retry)), UnitPhase::Waiting);
    let done = PromptAnswer::ItWasDone { comment: "I saw it".into() };
    assert_eq!(phase(&answers(lost, 9, done)), UnitPhase::Interrupted, "the engine ends it");
    assert_eq!(state_of(&asked()).open_prompts().count(), 1);
    assert_eq!(state_of(&answers(asked(), 9, PromptAnswer::Decline)).open_prompts().count(), 0);
}

#[test]
fn a_question_is_about_one_unit_one_kind_and_one_attempt() {
    let story =
        asks(Story::begun().start(SNAPSHOT).end(1, SNAPSHOT, failed(), json!({})), 9, SNAPSHOT, PromptKind::Failed);
    let story = asks(story, 10, SNAPSHOT, PromptKind::Confirm);
    let state = state_of(&story);
    let about = |state: &RunState, key, kind| state.prompt_about(&unit(key), kind).map(|asked| asked.prompt.id.0);
    assert_eq!(about(&state, SNAPSHOT, PromptKind::Failed), Some(9));
    assert_eq!(about(&state, SNAPSHOT, PromptKind::Confirm), Some(10));
    assert_eq!(about(&state, SNAPSHOT, PromptKind::Interrupted), None);
    assert_eq!(about(&state, INDEX, PromptKind::Failed), None);
    let attempt = EventKind::UnitStarted { unit: unit(SNAPSHOT), attempt: 2, params: Map::new() };
    let state = state_of(&answers(story, 9, PromptAnswer::Retry).then(1, attempt));
    assert_eq!(about(&state, SNAPSHOT, PromptKind::Failed), None, "the question was about the attempt before");
    assert_eq!(about(&state, SNAPSHOT, PromptKind::Confirm), Some(10), "a confirmation is about all of them");
}

#[test]
fn a_new_session_forgets_what_is_to_be_asked_again_and_keeps_a_yes() {
    let story = asks(Story::begun(), 3, SNAPSHOT, PromptKind::Confirm);
    let story = answers(story, 3, PromptAnswer::Proceed);
    let story = answers(asks(story, 5, INDEX, PromptKind::Confirm), 5, PromptAnswer::Decline);
    let story = asks(story, 7, ONE, PromptKind::Confirm).stage("backup").start(SNAPSHOT);
    let story = asks(story.end(1, SNAPSHOT, failed(), json!({})), 10, SNAPSHOT, PromptKind::Failed);
    let story = answers(story, 10, PromptAnswer::Decline).stage_ended("backup", failed()).stage("restore");
    let story = story.then(0, EventKind::CancelRequested { reason: CancelReason::Signal, by: None });
    assert_eq!(state_of(&story).cancel, Some(CancelReason::Signal));
    let state = state_of(&session(story, 2));
    assert_eq!(state.prompts.keys().map(|id| id.0).collect::<Vec<_>>(), [3]);
    assert_eq!((state.session, state.pid, state.cancel), (2, 7, None));
    assert_eq!(state.stages[&stage("backup")].ended, None, "its step goes again");
    let settled = Story::begun().stage("backup").start(SNAPSHOT).end(1, SNAPSHOT, warned(), json!({}));
    let state = state_of(&session(settled.stage_ended("backup", warned()), 2));
    assert!(state.stages[&stage("backup")].ended.is_some(), "all of it has ended well");
    assert!(!state.units[&unit(SNAPSHOT)].was_interrupted);
    let state = state_of(&session(Story::begun().start(SNAPSHOT), 2));
    assert!(state.units[&unit(SNAPSHOT)].was_interrupted && !state.units[&unit(INDEX)].was_interrupted);
}

#[test]
fn what_a_unit_has_done_is_kept_and_time_is_added_up() {
    let begun = Story::begun().start(SNAPSHOT).progress(SNAPSHOT, 1, Some(2), "files").say(SNAPSHOT, "hello");
    let running = state_of(&begun).units[&unit(SNAPSHOT)].clone();
    assert_eq!((running.progress, running.said), (Some((1, Some(2), "files".into())), Some("hello".into())));
    let captures = json!({ "epoch": 4, "name": "x" });
    let again = EventKind::UnitEnded {
        unit: unit(SNAPSHOT),
        attempt: 1,
        outcome: failed(),
        captures: captures.as_object().cloned().expect("captures"),
        retry_after: Some(Span::seconds(1)),
    };
    let retried = begun.then(300, again);
    let state = state_of(&retried);
    assert_eq!((state.captures.len(), state.epoch()), (0, None), "a failure captures nothing");
    let attempt = EventKind::UnitStarted { unit: unit(SNAPSHOT), attempt: 2, params: Map::new() };
    let outcome = warned();
    let ended = EventKind::UnitEnded {
        unit: unit(SNAPSHOT),
        attempt: 2,
        outcome,
        captures: captures.as_object().cloned().expect("captures"),
        retry_after: None,
    };
    let state = state_of(&retried.then(1_000, attempt).then(40, ended));
    let unit = &state.units[&unit(SNAPSHOT)];
    assert_eq!((unit.attempts, unit.spent_ms, unit.started_ms), (2, 540, None));
    assert_eq!((unit.ended_seq, unit.ended_in, &unit.progress), (Some(8), 1, &None));
    assert_eq!(state.epoch(), Some(4));
    assert_eq!(state.updated.duration_since(state.created).as_millis(), 5 + 2 + 100 + 100 + 300 + 1_000 + 40);
}

#[test]
fn a_doubt_stays_until_the_unit_is_started_again() {
    let story = Story::begun().start(SNAPSHOT).end(1, SNAPSHOT, unknown(), json!({}));
    let doubt = |story: &Story| state_of(story).units[&unit(SNAPSHOT)].doubt.clone();
    assert_eq!(doubt(&story), Some(failure(FailureKind::Unknown)));
    let again = session(story, 2);
    assert_eq!(doubt(&again), Some(failure(FailureKind::Unknown)));
    let looked = Outcome::Unknown { failure: failure(FailureKind::Unknown).hint("later words") };
    let looked = again.clone().end(1, SNAPSHOT, looked, json!({}));
    assert_eq!(doubt(&looked), Some(failure(FailureKind::Unknown)), "only what the attempt itself did not know");
    assert_eq!(doubt(&again.start(SNAPSHOT)), None);
    assert_eq!(doubt(&Story::begun().start(SNAPSHOT).end(1, SNAPSHOT, failed(), json!({}))), None);
}

#[test]
fn a_step_ends_like_the_worst_of_its_units() {
    let order = [skipped, || Outcome::Succeeded, warned, not_run, || Outcome::Cancelled { by: CancelReason::Operator }];
    let order = order.into_iter().chain([timed_out, failed, unknown]);
    let outcomes: Vec<Outcome> = order.map(|outcome| outcome()).collect();
    let restart = step("restore/restart");
    let of = |one: &Outcome, two: Option<&Outcome>| {
        let story = Story::begun().start(ONE).end(1, ONE, one.clone(), json!({})).start("restore/restart@bcp:app2");
        let story = match two {
            Some(two) => story.end(1, "restore/restart@bcp:app2", two.clone(), json!({})),
            None => story,
        };
        let state = state_of(&story);
        let step = state.plan.step(&restart).expect("the step").clone();
        (state.step_outcome(&step), state.is_satisfied(&step))
    };
    for pair in outcomes.windows(2) {
        assert_eq!(of(&pair[0], Some(&pair[1])).0.as_ref(), Some(&pair[1]));
        assert_eq!(of(&pair[1], Some(&pair[0])).0.as_ref(), Some(&pair[1]));
    }
    assert_eq!(of(&outcomes[0], None), (None, false));
    for outcome in &outcomes {
        assert_eq!(of(outcome, Some(outcome)).1, outcome.is_good(), "{outcome:?}");
        let mut plan = plan();
        plan.stages[1].steps[1].on_failure = OnFailure::Continue;
        let mut state = state_with(plan);
        for key in [ONE, "restore/restart@bcp:app2"] {
            state.units.get_mut(&unit(key)).expect("the unit").phase = UnitPhase::Ended(outcome.clone());
        }
        let goes_on = matches!(outcome, Outcome::Failed { .. } | Outcome::TimedOut { .. });
        let step = state.plan.step(&restart).expect("the step").clone();
        assert_eq!(state.is_satisfied(&step), outcome.is_good() || goes_on, "{outcome:?}");
    }
    let state = state_of(&Story::begun().start(SNAPSHOT).end(1, SNAPSHOT, warned(), json!({})));
    assert_eq!(state.stage_outcome(&stage("backup")), Some(warned()));
    assert_eq!((state.stage_outcome(&stage("restore")), state.stage_outcome(&stage("nowhere"))), (None, None));
}
