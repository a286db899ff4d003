//! What is appended is what is read.

use serde_json::json;

use super::{events, fact, run, runtime, store};
use crate::model::{CancelReason, Failure, FailureKind, NotRun, Outcome, RunOutcome, SafeText, Skip, Span, StepKey};
use crate::port::{Archive, Sink};
use crate::run::sample::{Story, operator, unit};
use crate::run::{Event, EventKind, Prompt, PromptAnswer, PromptId, PromptKind};
use crate::runbook::GuardLevel;

fn step() -> StepKey {
    unit("restore/index@bcp").step
}

fn failure() -> Failure {
    Failure::new(FailureKind::Refused, "take the snapshot at 10.0.1.11:9200", "503\nno master").hint("look at the log")
}

/// Every variant, with every variant of what is in them. Not a possible history.
fn everything() -> Vec<Event> {
    let key = "restore/index@bcp";
    let host = "restore/restart@bcp:app1";
    let text = SafeText::line("caf\u{e9} \u{202e}x");
    let outcomes = [
        Outcome::Succeeded,
        Outcome::Warned { warnings: vec![text.clone(), text.clone()] },
        Outcome::Skipped { why: Skip::When(text.clone()) },
        Outcome::Skipped { why: Skip::Operator { by: text.clone(), comment: text.clone() } },
        Outcome::Skipped { why: Skip::NothingToDo(text.clone()) },
        Outcome::Failed { failure: failure() },
        Outcome::TimedOut { after: Span::seconds(90), failure: failure() },
        Outcome::Cancelled { by: CancelReason::SignalNow },
        Outcome::NotRun { because: NotRun::After(step()) },
        Outcome::NotRun { because: NotRun::Cancelled(CancelReason::Operator) },
        Outcome::NotRun { because: NotRun::Declined(text.clone()) },
        Outcome::Unknown { failure: failure() },
    ];
    let answers = [
        PromptAnswer::Proceed,
        PromptAnswer::Decline,
        PromptAnswer::Retry,
        PromptAnswer::Skip { comment: text.clone() },
        PromptAnswer::ItWasDone { comment: text.clone() },
    ];
    let runs = [
        RunOutcome::Done { warned: true },
        RunOutcome::Failed { step: step() },
        RunOutcome::Refused { step: step() },
        RunOutcome::Cancelled { by: CancelReason::OtherFailed },
        RunOutcome::Stuck { unknown: vec![step(), step()] },
    ];
    let mut story =
        Story::begun().stage("backup").start(key).say(host, "two\nlines").progress(key, u64::MAX, None, "rows");
    story = story.progress(key, 1, Some(2), "bytes");
    for outcome in outcomes {
        let captures = json!({ "uuid": "x", "counts": { "a": 1, "b": [1.5, null, "\u{0}"] } });
        story = story.end(7, key, outcome.clone(), captures).stage_ended("backup", outcome.clone());
        story = story.then(1, EventKind::UnitUndone { unit: unit(host), outcome });
    }
    let retry = EventKind::UnitEnded {
        unit: unit(key),
        attempt: 3,
        outcome: Outcome::Failed { failure: failure() },
        captures: serde_json::Map::new(),
        retry_after: Some(Span::seconds(20)),
    };
    story = story.then(1, retry);
    for kind in [PromptKind::Confirm, PromptKind::Failed, PromptKind::Interrupted] {
        let phrase = Some(text.clone());
        let prompt = Prompt {
            id: PromptId(9),
            unit: unit(key),
            kind,
            message: text.clone(),
            level: GuardLevel::MayLoseData,
            phrase,
        };
        story = story.then(1, EventKind::PromptOpened { prompt });
    }
    for answer in answers {
        story = story.then(1, EventKind::PromptAnswered { prompt: PromptId(9), answer, by: operator() });
    }
    story = story.then(1, EventKind::Paused { by: operator() }).then(1, EventKind::Continued { by: operator() });
    story = story.then(1, EventKind::CancelRequested { reason: CancelReason::OperatorNow, by: Some(operator()) });
    story = story.then(1, EventKind::CancelRequested { reason: CancelReason::Signal, by: None });
    story = story.then(1, EventKind::UndoStarted { because: step() });
    runs.into_iter().fold(story, Story::over).events
}

#[test]
fn every_event_survives() {
    let state = tempfile::tempdir().expect("a folder");
    let (store, id) = (store(state.path()), run("r1"));
    let all = everything();
    let journal = store.create_run(&id).expect("a journal");
    runtime().block_on(async {
        for part in all.chunks(3) {
            journal.append(part).await.expect("kept");
        }
        assert_eq!(journal.history(0, 10_000).await.expect("read"), all);
        assert_eq!(journal.history(5, 2).await.expect("read"), all[5..7]);
    });
    drop(journal);
    let reader = store.open_run(&id).expect("a reader");
    assert_eq!(reader.events().expect("intact"), all);
    assert_eq!(reader.verify().expect("intact").seq, all.len() as u64);
    assert_eq!(Archive::events(&store, &id, 3).expect("intact"), all[3..]);
    let facts = reader.facts().expect("facts");
    assert_eq!((facts.events, &facts.first, &facts.last), (all.len() as u64, &all[0], &all[all.len() - 1]));
}

#[test]
fn events_of_newer_versions_are_read_as_such_and_never_written() {
    let line = r#"{"seq":3,"at":"2026-03-01T03:15:00Z","elapsed_ms":9,"event":"site_fenced","site":"prod","how":{"by":"power"}}"#;
    let event: Event = serde_json::from_str(line).expect("readable");
    assert_eq!(event.kind, EventKind::Newer);
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    runtime().block_on(async {
        journal.append(&events("r1", 0)).await.expect("kept");
        let error = journal.append(&[event]).await.expect_err("refused");
        assert!(error.got.contains("newer version"), "{error}");
    });
}

#[test]
fn gaps_repetitions_and_strangers_are_refused_and_leave_no_trace() {
    let state = tempfile::tempdir().expect("a folder");
    let (store, id) = (store(state.path()), run("r1"));
    let journal = store.create_run(&id).expect("a journal");
    let mut wanted = events("r1", 2);
    runtime().block_on(async {
        journal.append(&wanted).await.expect("kept");
        let next = wanted.len() as u64 + 1;
        for wrong in [vec![fact(next - 1)], vec![fact(next + 1)], vec![fact(next), fact(next + 2)], vec![fact(0)]] {
            let error = journal.append(&wrong).await.expect_err("refused");
            assert!(error.got.contains("cannot follow"), "{error}");
            assert!(error.tried.contains("journal.sqlite"), "{error}");
        }
        // A refusal is the caller's mistake, not the disk's: what is right is still taken.
        journal.append(&[fact(next)]).await.expect("kept");
        wanted.push(fact(next));
    });
    drop(journal);
    assert_eq!(store.open_run(&id).expect("a reader").events().expect("intact"), wanted);
}

#[test]
fn chatter_is_not_waited_for_and_not_lost() {
    let state = tempfile::tempdir().expect("a folder");
    let (store, id) = (store(state.path()), run("r1"));
    let journal = store.create_run(&id).expect("a journal");
    let key = "restore/index@bcp";
    let all = (0..500).fold(Story::begun().start(key), |story, n| story.progress(key, n, None, "rows")).events;
    runtime().block_on(async {
        for event in &all {
            journal.append(std::slice::from_ref(event)).await.expect("kept");
        }
        assert_eq!(journal.history(0, 10_000).await.expect("read"), all);
    });
    drop(journal);
    assert_eq!(store.open_run(&id).expect("a reader").events().expect("intact"), all);
}

#[test]
fn a_run_is_taken_up_where_it_was_left() {
    let state = tempfile::tempdir().expect("a folder");
    let (store, id) = (store(state.path()), run("r1"));
    let mut wanted = events("r1", 3);
    let journal = store.create_run(&id).expect("a journal");
    runtime().block_on(journal.append(&wanted)).expect("kept");
    let busy = store.resume_run(&id).err().expect("its writer is alive");
    assert!(busy.got.contains("alive"), "{busy}");
    drop(journal);
    let (journal, events) = store.resume_run(&id).expect("resumed");
    assert_eq!(events, wanted);
    let next = fact(wanted.len() as u64 + 1);
    runtime().block_on(journal.append(std::slice::from_ref(&next))).expect("kept");
    drop(journal);
    wanted.push(next);
    assert_eq!(store.open_run(&id).expect("a reader").events().expect("intact"), wanted);
    assert!(store.create_run(&id).is_err(), "a second journal of the same run");
}

#[test]
fn long_runs_are_checkpointed_and_read_in_pages() {
    let state = tempfile::tempdir().expect("a folder");
    let (store, id) = (store(state.path()), run("r1"));
    let journal = store.create_run(&id).expect("a journal");
    let mut wanted = events("r1", 0);
    wanted.extend((3..=4000).map(fact));
    runtime().block_on(async {
        for part in wanted.chunks(100) {
            journal.append(part).await.expect("kept");
        }
    });
    let log = journal.folder().join("journal.sqlite-wal").metadata().expect("a log").len();
    assert!(log < 4_000_000, "the write-ahead log has grown to {log} bytes");
    assert_eq!(store.open_run(&id).expect("a reader").events().expect("intact"), wanted);
}
