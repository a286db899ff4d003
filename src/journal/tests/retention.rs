//! What may be forgotten, and that forgetting removes it and nothing else.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::{events, fact, run, runtime, store};
use crate::journal::{Retention, RunFacts, RunListing};
use crate::model::{CancelReason, RunOutcome, Span, StepKey};
use crate::port::{Sink, SinkError};
use crate::run::{Event, EventKind};

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

fn step() -> StepKey {
    StepKey::try_from("stage/step".to_owned()).expect("a key")
}

/// A run that ended so many days ago, or has not ended.
fn listing(id: &str, days: i64, outcome: Option<RunOutcome>) -> RunListing {
    let at = now() - SignedDuration::from_hours(24 * days);
    let first = Event { at, ..events(id, 0).remove(0) };
    let last = outcome.map_or(first.clone(), |outcome| Event { at, kind: EventKind::RunEnded { outcome }, ..fact(3) });
    RunListing { run: run(id), folder: PathBuf::from(id), alive: false, facts: Ok(RunFacts { events: 3, first, last }) }
}

fn forgotten(rule: Retention, runs: &[RunListing]) -> Vec<String> {
    rule.forgettable(runs, now()).iter().map(ToString::to_string).collect()
}

#[test]
fn only_old_settled_runs_beyond_the_newest_are_forgotten() {
    let done = || Some(RunOutcome::Done { warned: false });
    let failed = || Some(RunOutcome::Failed { step: step() });
    let runs = [
        listing("r9", 40, failed()),
        listing("r8", 40, failed()),
        listing("r7", 40, done()),
        listing("r6", 10, failed()),
        listing("r5", 40, None),
        listing("r4", 40, Some(RunOutcome::Stuck { unknown: vec![step()] })),
        RunListing { alive: true, ..listing("r3", 40, failed()) },
        RunListing {
            facts: Err(SinkError { tried: "read".to_owned(), got: "rubbish".to_owned() }),
            ..listing("r2", 40, done())
        },
        listing("r1", 40, done()),
        listing("r0", 31, Some(RunOutcome::Cancelled { by: CancelReason::Operator })),
    ];
    let rule = Retention { keep_last: 1, keep_for: Span::seconds(30 * 86_400) };
    assert_eq!(forgotten(rule, &runs), ["r8", "r1", "r0"]);
    assert_eq!(forgotten(Retention { keep_last: 9, ..rule }, &runs), ["r0"]);
    assert_eq!(forgotten(Retention { keep_for: Span(std::time::Duration::MAX), ..rule }, &runs), [""; 0]);
    assert_eq!(forgotten(Retention::default(), &runs), [""; 0]);
}

#[test]
fn forgetting_removes_the_folder_and_nothing_else() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    for id in ["r1", "r2", "r3"] {
        let journal = store.create_run(&run(id)).expect("a journal");
        let end = EventKind::RunEnded { outcome: RunOutcome::Failed { step: step() } };
        let mut all = events(id, 0);
        all.push(Event { kind: end, ..fact(3) });
        runtime().block_on(journal.append(&all)).expect("kept");
    }
    // A removal that was cut short.
    std::fs::create_dir(state.path().join("shop/runs/.removed-r0")).expect("made");
    let rule = Retention { keep_last: 1, keep_for: Span::seconds(1) };
    assert_eq!(store.prune(&rule, now()), Ok(vec![run("r2"), run("r1")]));
    assert_eq!(store.run_ids(), Ok(vec![run("r3")]));
    let left: Vec<_> = std::fs::read_dir(state.path().join("shop/runs")).expect("a folder").collect();
    assert_eq!(left.len(), 1);
    store.open_run(&run("r3")).expect("a reader").verify().expect("intact");
}
