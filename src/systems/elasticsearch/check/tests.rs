//! What makes a cluster fit, in tables and against scripted clusters.

use super::super::fake::{bench, changes, error, health, step, usual};
use super::*;
use crate::port::ReachErrorKind;
use crate::port::fake::Answer;
use serde_json::json;

const KIND: &str = "elasticsearch.check";

async fn run(end: End, prepare: impl FnOnce(&crate::port::fake::FakeReach)) -> Result<StepDone, Failure> {
    let (bench, _) = bench(end);
    prepare(&bench.reach);
    usual(&bench.reach);
    let result = step(KIND, &json!({})).run(&bench.cx).await;
    assert_eq!(changes(&bench.reach), [""; 0], "a check changes nothing");
    result
}

#[tokio::test]
async fn a_fit_cluster_says_what_it_is() {
    let done = run(End::Source, |_| {}).await.expect("fit");
    assert_eq!(done.warnings, []);
    let captured = json!({"version": "2.19.4", "flavour": "opensearch", "cluster_uuid": "UUID-A", "status": "green",
        "indices": 1, "documents": 5, "estimated_bytes": 7180});
    assert_eq!(json!(done.captures), captured);
}

#[tokio::test]
async fn what_keeps_a_cluster_from_being_fit() {
    type Prepare = fn(&crate::port::fake::FakeReach);
    let same: Prepare = |reach| {
        let body = json!({"cluster_uuid": "UUID-A", "master_node": "m1"});
        reach.always("GET http://bcp:9200/_cluster/state/master_node", Answer::json(200, body));
    };
    let red: Prepare = |reach| {
        // Not reached in time: 408, with the full body.
        reach.always("GET http://prod:9200/_cluster/health", Answer::json(408, health("red")));
    };
    let no_master: Prepare = |reach| {
        reach.always("prod:9200/_cluster/health", error(503, "master_not_discovered_exception", ""));
    };
    let unformed: Prepare = |reach| {
        reach.always("prod:9200/_cluster/state/master_node", Answer::json(200, json!({"cluster_uuid": "_na_"})));
    };
    let headless: Prepare = |reach| {
        let body = json!({"cluster_uuid": "UUID-A", "master_node": null});
        reach.always("prod:9200/_cluster/state/master_node", Answer::json(200, body));
    };
    let old_and_busy: Prepare = |reach| {
        let running = json!({"snapshots": [{"snapshot": "nightly", "repository": "backup", "state": "STARTED"}]});
        reach.always("prod:9200/_snapshot/_status", Answer::json(200, running));
        reach.compute("GET http://prod:9200/_nodes/_local", |_| {
            Answer::json(200, json!({"nodes": {"n": {"version": "6.8.23"}}}))
        });
    };
    let strange: Prepare = |reach| {
        reach.always("prod:9200/_nodes/_local", Answer::json(200, json!({"nodes": {"n": {"version": "5.6.10"}}})));
    };
    for (what, prepare, kind, said) in [
        ("the other site's cluster", same, FailureKind::Rule, "one cluster"),
        ("red", red, FailureKind::Refused, "the cluster is red"),
        ("no master", no_master, FailureKind::Busy, "master_not_discovered"),
        ("not formed", unformed, FailureKind::Busy, "cluster_uuid"),
        ("a node without a master", headless, FailureKind::Refused, "knows no elected master"),
        ("another snapshot on 6.8", old_and_busy, FailureKind::Busy, "backup/nightly"),
        ("too old", strange, FailureKind::Refused, "5.6.10"),
    ] {
        let hide_root = what == "another snapshot on 6.8" || what == "too old";
        let result = run(End::Source, |reach| {
            prepare(reach);
            if hide_root {
                hidden_root(reach);
            }
        });
        let failure = result.await.expect_err(what);
        assert_eq!(failure.kind, kind, "{what}: {failure}");
        assert!(failure.got.as_str().contains(said), "{what}: {failure}");
        assert!(failure.hint.is_some(), "{what}: {failure}");
    }
}

/// A root that answers 405, as a server without that module does.
fn hidden_root(reach: &crate::port::fake::FakeReach) {
    // The very first request is the one to the root.
    reach.on(
        "GET http://prod:9200/",
        Answer::http(405, r#"{"error":"Incorrect HTTP method for uri [/]","status":405}"#),
    );
}

#[tokio::test]
async fn what_a_person_should_know_is_a_warning() {
    let done = run(End::Source, |reach| {
        reach.always("prod:9200/_cluster/health", Answer::json(200, health("yellow")));
        reach.always("http://bcp:9200", Answer::error(ReachErrorKind::Unreachable, "no route to host"));
        let running = json!({"snapshots": [{"snapshot": "nightly", "repository": "backup", "state": "STARTED"}]});
        reach.always("prod:9200/_snapshot/_status", Answer::json(200, running));
        let full = json!([{"node": "n1", "disk.avail": "1000", "disk.total": "270553174016"},
                          {"node": "UNASSIGNED", "disk.avail": null, "disk.total": null}]);
        reach.always("prod:9200/_cat/allocation", Answer::json(200, full));
        let marks = json!({"low": "85%", "flood_stage": "95%"});
        let marks = json!({"defaults": {"cluster": {"routing": {"allocation": {"disk": {"watermark": marks}}}}}});
        reach.always("prod:9200/_cluster/settings", Answer::json(200, marks));
    });
    let done = done.await.expect("fit enough");
    let said = done.warnings.iter().map(crate::model::SafeText::as_str).collect::<Vec<_>>().join("\n");
    for part in ["no route to host", "yellow", "backup/nightly", "node n1 has 1000 B left, past the flood stage"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // What is broken at the target may be what is about to be replaced.
    let done = run(End::Target, |reach| {
        reach.always("bcp:9200/_cluster/health", Answer::json(408, health("red")));
    });
    assert!(done.await.expect("fit enough").warnings[0].as_str().contains("red"));
}

#[test]
fn watermarks_are_read_as_servers_tell_them() {
    // OpenSearch 2.19.4 and Elasticsearch 8.19.16.
    let disk = |watermark: Value| {
        json!({"defaults": {"cluster": {"routing": {"allocation": {"disk": {
            "threshold_enabled": "true", "watermark": watermark}}}}}})
    };
    let plain = Watermarks::read(&disk(json!({"flood_stage": "95%", "high": "90%", "low": "85%"})));
    assert_eq!((plain.low, plain.flood), (Some(Mark::Used(8500, None)), Some(Mark::Used(9500, None))));
    let capped = Watermarks::read(&disk(json!({"flood_stage": "95%", "flood_stage.max_headroom": "100GB",
        "low": "0.85", "low.max_headroom": "200GB"})));
    assert_eq!(capped.low, Some(Mark::Used(8500, Some(200 << 30))));
    let mut set = disk(json!({"low": "85%", "flood_stage": "95%"}));
    set["persistent"] = disk(json!({"low": "500mb"}))["defaults"].clone();
    assert_eq!(Watermarks::read(&set).low, Some(Mark::Free(500 << 20)));

    let total = 1_000_000_000_000;
    for (marks, avail, room) in [
        (&plain, 200_000_000_000, Room::Enough),
        (&plain, 100_000_000_000, Room::Low),
        (&plain, 40_000_000_000, Room::Flooded),
        (&capped, 140_000_000_000, Room::Low),
    ] {
        assert_eq!(marks.judge(avail, total), room, "{avail}");
    }
    // A large disk with a cap on what must stay free.
    assert_eq!(capped.judge(300 << 30, total * 10), Room::Enough);
    let off = Watermarks { enabled: false, ..plain };
    assert_eq!(off.judge(0, total), Room::Enough);
}
