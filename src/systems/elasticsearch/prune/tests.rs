//! The step against scripted clusters: what is deleted, in which order, and what keeps it from deleting anything.

use serde_json::{Value, json};

use super::super::fake::{
    Files, POINT, REPOSITORY, acknowledged, bench, changes, error, hold, missing_snapshot, repository, root, step,
    usual,
};
use crate::model::{End, Failure, FailureKind};
use crate::port::ReachErrorKind;
use crate::port::fake::Answer;
use crate::systems::StepDone;
use crate::systems::fake::Bench;

const KIND: &str = "elasticsearch.prune";
const OLD: &str = "p-20260101-020000-0001";
const OLDER: &str = "p-20251231-020000-0001";
const PINNED: &str = "p-20251201-020000-0001";

/// A source with four snapshots: the run's own, one pinned, two whose points are gone. (A quarter, rounded up, is one.)
fn ready() -> (Bench, Files) {
    let (bench, files) = bench(End::Source);
    bench.reach.always("GET http://prod:9200/_snapshot/_all", Answer::json(200, repository(false)));
    list(&bench, &[POINT, OLD, PINNED, OLDER]);
    record(&files, "prod");
    for site in ["prod", "bcp"] {
        hold(&files, site, POINT, "COMPLETE");
    }
    hold(&files, "prod", PINNED, "COMPLETE");
    hold(&files, "prod", PINNED, "PINNED");
    (bench, files)
}

/// A source that has a direction and nothing else.
fn empty() -> (Bench, Files) {
    let (bench, files) = bench(End::Source);
    record(&files, "prod");
    (bench, files)
}

fn record(files: &Files, active: &str) {
    let record = json!({"epoch": 1, "active": active, "since": "2026-03-01T00:00:00Z", "run": "r0"});
    files.lock().expect("files").insert("/mnt/exchange/direction.json".into(), record.to_string().into_bytes());
}

fn list(bench: &Bench, names: &[&str]) {
    let entry = |name: &&str| {
        json!({"snapshot": name, "uuid": "U", "version": "2.19.4", "state": "SUCCESS",
            "metadata": {"run": "r0", "point": name, "from": "prod"}})
    };
    let all: Vec<Value> = names.iter().map(entry).collect();
    let path = format!("GET http://prod:9200/_snapshot/{REPOSITORY}/_all");
    bench.reach.always(&path, Answer::json(200, json!({"snapshots": all})));
}

fn deletion(name: &str) -> String {
    format!("DELETE http://prod:9200/_snapshot/{REPOSITORY}/{name}")
}

fn deleted(name: &str) -> String {
    format!("DELETE prod:9200/_snapshot/{REPOSITORY}/{name}")
}

/// A look at one snapshot; its address is longer than that of the list.
fn look(name: &str) -> String {
    format!("GET http://prod:9200/_snapshot/{REPOSITORY}/{name}")
}

fn there(name: &str) -> Answer {
    Answer::json(200, json!({"snapshots": [{"snapshot": name, "uuid": "U", "state": "SUCCESS"}]}))
}

async fn run(bench: &Bench, params: Value) -> Result<StepDone, Failure> {
    usual(&bench.reach);
    bench.reach.always("/_recovery?active_only=true", Answer::json(200, json!({})));
    step(KIND, &params).run(&bench.cx).await
}

#[tokio::test(start_paused = true)]
async fn snapshots_without_a_point_go_the_oldest_first_and_nothing_else() {
    let (mut bench, _) = ready();
    for name in [OLD, OLDER] {
        bench.reach.on(&deletion(name), acknowledged());
    }
    let done = run(&bench, json!({"at_most": "100%"})).await.expect("deleted");
    assert_eq!(changes(&bench.reach), [deleted(OLDER), deleted(OLD)]);
    assert_eq!((&done.captures["pruned"], &done.captures["kept"]), (&json!([OLDER, OLD]), &json!(2)));
    assert!(bench.heard().contains("2 snapshots kept, 2 deleted"));
    let asked = bench.reach.texts();
    let after = |name: &str| asked.iter().position(|text| text.starts_with(&deletion(name))).expect("asked") + 1;
    assert!(asked[after(OLDER)].starts_with(&look(OLDER)), "it is seen to be gone before the next: {asked:#?}");

    let (bench, _) = ready();
    bench.reach.on(&deletion(OLDER), acknowledged());
    let done = run(&bench, json!({})).await.expect("deleted");
    assert_eq!((&done.captures["pruned"], &done.captures["waiting"]), (&json!([OLDER]), &json!(1)), "in portions");
}

#[tokio::test(start_paused = true)]
async fn a_point_that_only_the_other_site_holds_keeps_its_snapshot() {
    let (bench, files) = ready();
    hold(&files, "bcp", OLDER, "PINNED");
    bench.reach.on(&deletion(OLD), acknowledged());
    run(&bench, json!({"at_most": 9})).await.map(drop).expect("deleted");
    assert_eq!(changes(&bench.reach), [deleted(OLD)]);

    // Alone it does not ask, and needs no answer.
    let (bench, files) = ready();
    hold(&files, "bcp", OLDER, "PINNED");
    bench.reach.always("http://bcp:9200", Answer::error(ReachErrorKind::Unreachable, "no route to host"));
    for name in [OLD, OLDER] {
        bench.reach.on(&deletion(name), acknowledged());
    }
    run(&bench, json!({"at_most": 9, "alone": true})).await.map(drop).expect("deleted");
    assert_eq!(changes(&bench.reach), [deleted(OLDER), deleted(OLD)]);
    assert_eq!((bench.reach.count("http://bcp"), bench.reach.count("bcp:app1 $")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_to_delete_is_said_and_nothing_is_changed() {
    let (bench, files) = ready();
    for name in [OLD, OLDER] {
        hold(&files, "prod", name, "anything");
    }
    let done = run(&bench, json!({})).await.expect("nothing to do");
    assert!(done.nothing_to_do.is_some());
    assert_eq!((changes(&bench.reach).len(), &done.captures["kept"]), (0, &json!(4)));

    let (bench, files) = empty();
    bench.reach.always("GET http://prod:9200/_snapshot/_all", Answer::json(200, repository(false)));
    list(&bench, &[POINT, OLD]);
    hold(&files, "prod", POINT, "anything");
    let done = run(&bench, json!({})).await.expect("nothing to do");
    assert!(done.nothing_to_do.is_some());
    assert_eq!(changes(&bench.reach), [""; 0], "without a complete point there is no ground to delete anything");

    let (bench, _) = empty();
    let done = run(&bench, json!({})).await.expect("nothing to do");
    assert!(done.nothing_to_do.expect("a reason").as_str().contains("not registered"));
}

#[tokio::test(start_paused = true)]
async fn what_forbids_a_deletion() {
    type Prepare = fn(&Bench, &Files);
    let cases: [(&str, Prepare, FailureKind, &str); 6] = [
        ("turned", |_, files| record(files, "bcp"), FailureKind::Rule, "bcp"),
        (
            "silent target",
            |bench, _| {
                let silent = Answer::error(ReachErrorKind::Unreachable, "no route to host");
                bench.reach.always("http://bcp:9200", silent);
            },
            FailureKind::Unreachable,
            "no route to host",
        ),
        (
            "two writers",
            |bench, _| {
                bench.reach.always("GET http://bcp:9200/_snapshot/_all", Answer::json(200, repository(false)));
            },
            FailureKind::Rule,
            "for writing too",
        ),
        (
            "a restore",
            |bench, _| {
                let source = json!({"repository": REPOSITORY, "snapshot": OLD});
                let shard = json!({"type": "SNAPSHOT", "stage": "INDEX", "source": source});
                let active = json!({"orders": {"shards": [shard]}});
                bench.reach.always("GET http://bcp:9200/_recovery?active_only=true", Answer::json(200, active));
            },
            FailureKind::Busy,
            "it is restoring snapshot p-20260101",
        ),
        (
            "a snapshot",
            |bench, _| {
                let running = json!({"snapshots": [{"snapshot": "nightly", "repository": REPOSITORY}]});
                let path = format!("GET http://prod:9200/_snapshot/{REPOSITORY}/_status");
                bench.reach.always(&path, Answer::json(200, running));
            },
            FailureKind::Busy,
            "nightly is being taken",
        ),
        ("the reader's end", |_, _| {}, FailureKind::Rule, "only the source writes"),
    ];
    for (name, prepare, kind, said) in cases {
        let (mut bench, files) = ready();
        prepare(&bench, &files);
        if name == "the reader's end" {
            bench = bench.end(Some(End::Target));
        }
        let failure = run(&bench, json!({})).await.expect_err(name);
        assert_eq!(failure.kind, kind, "{name}: {failure}");
        assert!(failure.got.as_str().contains(said), "{name}: {failure}");
        assert_eq!(changes(&bench.reach), [""; 0], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_deletion_keep_their_meaning() {
    let busy = "cannot delete - another snapshot is currently running or deleting";
    // The answer, what later looks see, and how it ends.
    let cases = [
        (missing_snapshot(), vec![], Ok(())),
        (acknowledged(), vec![there(OLDER)], Err((FailureKind::Mismatch, "still there"))),
        (
            error(503, "concurrent_snapshot_execution_exception", busy),
            vec![],
            Err((FailureKind::Busy, "running or deleting")),
        ),
        (error(403, "security_exception", "unauthorized"), vec![], Err((FailureKind::Refused, "unauthorized"))),
        // Lost, or answered by a gateway: it is looked for, and not asked for again.
        (Answer::lost(), vec![there(OLDER), Answer::lost()], Ok(())),
        (Answer::http(504, "<html>gateway timeout</html>"), vec![there(OLDER)], Ok(())),
        (Answer::lost(), vec![there(OLDER); 200], Err((FailureKind::Busy, "after ten minutes"))),
        (Answer::lost(), vec![Answer::lost(); 200], Err((FailureKind::Unknown, "connection reset"))),
        // The repository is gone, which is not the same as the snapshot.
        (
            Answer::lost(),
            vec![error(404, "repository_missing_exception", ""); 200],
            Err((FailureKind::Unknown, "reset")),
        ),
    ];
    for (answer, looks, expected) in cases {
        let (bench, _) = ready();
        bench.reach.on(&deletion(OLDER), answer);
        for look_answer in looks {
            bench.reach.on(&look(OLDER), look_answer);
        }
        let ended = run(&bench, json!({})).await;
        match (ended, expected) {
            (Ok(done), Ok(())) => assert_eq!(done.captures["pruned"], json!([OLDER])),
            (Err(failure), Err((kind, said))) => {
                assert_eq!(failure.kind, kind, "{failure}");
                assert!(failure.got.as_str().contains(said), "{failure}");
            }
            (ended, expected) => panic!("{ended:?}, expected {expected:?}"),
        }
        assert_eq!(bench.reach.count(&deletion(OLDER)), 1, "asked once, whatever came back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_deletes_no_further() {
    let (bench, _) = ready();
    let cancel = bench.cx.cancel.clone();
    bench.reach.compute(&deletion(OLDER), move |_| {
        cancel.cancel();
        acknowledged()
    });
    let failure = run(&bench, json!({"at_most": "100%"})).await.expect_err("cancelled");
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert_eq!(changes(&bench.reach), [deleted(OLDER)]);
}

#[tokio::test(start_paused = true)]
async fn elasticsearch_6_is_judged_by_names() {
    let (bench, files) = bench(End::Source);
    // The first thing that is asked of a cluster is its version.
    for site in ["prod", "bcp"] {
        bench.reach.on(&format!("GET http://{site}:9200/"), root("6.8.23", None));
    }
    bench.reach.always("GET http://prod:9200/_snapshot/_all", Answer::json(200, repository(false)));
    let entry = |name: &str| json!({"snapshot": name, "uuid": "U", "version": "6.8.23", "state": "SUCCESS"});
    let all = json!({"snapshots": [entry(POINT), entry("nightly"), entry(OLD), entry(&format!("{OLD}-2"))]});
    bench.reach.always(&format!("GET http://prod:9200/_snapshot/{REPOSITORY}/_all"), Answer::json(200, all));
    record(&files, "prod");
    hold(&files, "prod", POINT, "COMPLETE");
    for name in [OLD.to_owned(), format!("{OLD}-2")] {
        bench.reach.on(&format!("{}?master_timeout", deletion(&name)), acknowledged());
    }
    let done = run(&bench, json!({"at_most": 9})).await.expect("deleted");
    assert_eq!(done.captures["pruned"], json!([OLD, format!("{OLD}-2")]));
    assert_eq!(done.captures["strangers"], json!(1));
}

#[tokio::test(start_paused = true)]
async fn previews_and_checks_show_what_goes_and_change_nothing() {
    let (bench, _) = ready();
    usual(&bench.reach);
    bench.reach.always("/_recovery?active_only=true", Answer::json(200, json!({})));
    let step = step(KIND, &json!({}));
    let shown = step.preview(&bench.cx).await.expect("a preview");
    assert!(shown[0].as_str().starts_with(&deletion(OLDER)) && shown.len() == 1, "{shown:#?}");
    let report = step.check(&bench.cx).await.expect("a report");
    assert!(report.losses[0].as_str().contains(OLDER) && report.losses.len() == 1, "{report:#?}");
    assert!(report.findings[0].text.as_str().contains("1 more in the next runs"), "{report:#?}");
    assert_eq!(changes(&bench.reach), [""; 0]);
}
