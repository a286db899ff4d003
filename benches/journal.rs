//! The journal: how long it takes until an intent is durable, beside a plain append with fdatasync; and the fold of a
//! million events.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use changeover::journal::{RunJournal, Store};
use changeover::model::{RunId, SiteName};
use changeover::port::Sink;
use changeover::run::{Event, RunState};
use criterion::{Criterion, SamplingMode};
use serde_json::{Value, json};

const RUN: &str = "r-20260301-031500-0001";
const UNIT: &str = "backup/snapshot@prod";
/// Intents that are written by each, in turns.
const INTENTS: u64 = 2000;
const FOLDED: u64 = 1_000_000;

fn main() {
    intents();
    let mut criterion = Criterion::default().configure_from_args();
    fold(&mut criterion);
    criterion.final_summary();
}

fn event(seq: u64, kind: Value) -> Event {
    let mut event = kind;
    event["seq"] = seq.into();
    event["at"] = "2026-03-01T03:15:00Z".into();
    event["elapsed_ms"] = seq.into();
    serde_json::from_value(event).expect("an event")
}

fn operator() -> Value {
    json!({ "name": "ops@app1", "through": "terminal" })
}

/// The first events of a run with one step that has begun.
fn beginning() -> Vec<Event> {
    let plan = json!({
        "runbook": "replicate", "title": "Replicate", "mode": "replicate", "estate": "shop",
        "direction": { "source": "prod", "target": "bcp" }, "params": {},
        "stages": [{ "id": "backup", "title": "Back up", "needs": [], "when": null, "steps": [{
            "key": "backup/snapshot", "title": "Snapshot", "uses": "elasticsearch.snapshot", "service": "search",
            "targets": [{ "end": "source", "site": "prod", "host": null }], "each": "parallel", "limit": null,
            "needs": [], "when": null, "confirm": null, "timeout": "2h",
            "retry": { "attempts": 2, "backoff": "10s" }, "on_failure": "stop", "interrupted": "repeat",
            "point_of_no_return": false, "params": {},
        }] }],
    });
    let created = json!({
        "event": "run_created", "run": RUN, "point": "p-20260301-031500-0001", "plan": plan, "digest": "", "by": operator(),
    });
    vec![
        event(1, created),
        event(2, json!({ "event": "session_started", "session": 1, "pid": 4242, "by": operator() })),
        event(3, json!({ "event": "stage_started", "stage": "backup" })),
        intent(4),
    ]
}

fn intent(seq: u64) -> Event {
    event(
        seq,
        json!({ "event": "unit_started", "unit": UNIT, "attempt": 1, "params": { "name": "p-1", "wait": true } }),
    )
}

fn journal(folder: &Path) -> RunJournal {
    let store = Store::open(&folder.join("state"), &SiteName::new("shop").expect("a name")).expect("a store");
    store.create_run(&RunId::new(RUN).expect("an id")).expect("a journal")
}

/// One intent at a time: the program's journal and a plain file take turns.
fn intents() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let journal = journal(folder.path());
    let mut plain = OpenOptions::new().create(true).append(true).open(folder.path().join("plain")).expect("a file");
    for event in beginning() {
        runtime.block_on(journal.append(&[event])).expect("kept");
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for seq in 5..5 + INTENTS {
        let event = intent(seq);
        let begun = Instant::now();
        runtime.block_on(journal.append(std::slice::from_ref(&event))).expect("kept");
        ours.push(begun.elapsed());
        let begun = Instant::now();
        let line = serde_json::to_string(&event).expect("text");
        writeln!(plain, "{line}").and_then(|()| plain.sync_data()).expect("kept");
        theirs.push(begun.elapsed());
    }
    let ((p50, p99), (plain50, plain99)) = (quantiles(ours), quantiles(theirs));
    let met = if p50 < Duration::from_millis(1) { "yes" } else { "**no**" };
    println!("\n| what | median | p99 | plain append + fdatasync, median | p99 | ratio | aim | met |");
    println!("|---|---|---|---|---|---|---|---|");
    println!(
        "| intent durable | {p50:.2?} | {p99:.2?} | {plain50:.2?} | {plain99:.2?} | {:.2} | < 1 ms | {met} |\n",
        p50.as_secs_f64() / plain50.as_secs_f64()
    );
}

fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// The fold of a run that told a lot: progress and lines, half each.
fn fold(criterion: &mut Criterion) {
    let mut events = beginning();
    for seq in 5..=FOLDED {
        let kind = if seq % 2 == 0 {
            json!({ "event": "unit_progress", "unit": UNIT, "attempt": 1, "done": seq, "total": FOLDED, "what": "bytes" })
        } else {
            json!({ "event": "unit_said", "unit": UNIT, "attempt": 1, "text": "another shard is done" })
        };
        events.push(event(seq, kind));
    }
    let mut group = criterion.benchmark_group("fold");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("1,000,000 events", |bencher| {
        bencher.iter(|| RunState::replay(black_box(&events)).expect("a history").last_seq);
    });
    group.finish();
}
