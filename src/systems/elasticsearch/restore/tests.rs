//! The restore step against scripted clusters: order, refusals before anything is touched, waiting, stopping.

use super::super::fake::{
    Files, LOCATION, POINT, REPOSITORY, accepted, acknowledged, bench, changes, count, error, indices,
    missing_snapshot, repository, snapshot, step, usual,
};
use super::*;
use crate::model::End;
use crate::port::fake::{Answer, FakeReach};
use crate::systems::fake::Bench;
use serde_json::{Value, json};

const KIND: &str = "elasticsearch.restore";
const RESTORE: &str = "POST bcp:9200/_snapshot/changeover-prod-to-bcp-search/p-20260301-020000-0001/_restore";

fn part() -> Value {
    json!({
        "service": "search", "kind": "elasticsearch", "version": "OpenSearch 2.19.4",
        "began": "2026-03-01T02:00:00Z", "ended": "2026-03-01T02:00:01Z", "artifacts": [],
        "counts": {"index orders": {"documents": 5}},
        "details": {
            "repository": REPOSITORY, "snapshot": POINT, "uuid": "SNAP-1", "cluster_uuid": "UUID-A",
            "flavour": "opensearch", "version": "2.19.4", "pattern": "*", "bytes": 7180,
            "companions": {"legacy_templates": {"t": {"order": 0, "index_patterns": ["orders*"]}}},
            "indices": {"orders": {"shards": 2, "replicas": 1, "created": 136_408_227, "aliases": ["shop"],
                "filters": ["index.routing.allocation.require._name"]}}}
    })
}

/// A target with the part, the repository read-only, and the snapshot in it.
fn ready(change: impl FnOnce(&mut Value)) -> (Bench, Files) {
    let (bench, files) = bench(End::Target);
    let mut part = part();
    change(&mut part);
    let path = format!("/mnt/exchange/prod-to-bcp/points/{POINT}/parts/search.json");
    files.lock().expect("files").insert(path, part.to_string().into_bytes());
    (bench, files)
}

fn registered(reach: &FakeReach) {
    reach.always("GET http://bcp:9200/_snapshot/_all", Answer::json(200, repository(true)));
    arrived(reach);
}

fn arrived(reach: &FakeReach) {
    reach.always("_verify", Answer::json(200, json!({"nodes": {"n1": {"name": "n1"}}})));
    let found = Answer::json(200, snapshot("SUCCESS", "r1"));
    reach.always(&format!("GET http://bcp:9200/_snapshot/{REPOSITORY}/{POINT}"), found);
    reach.always("PUT http://bcp:9200/_template/t?", acknowledged());
}

fn recovered(stage: &str) -> Answer {
    let shard = json!({"type": "SNAPSHOT", "stage": stage, "primary": true, "start_time_in_millis": 5000,
        "source": {"repository": REPOSITORY, "snapshot": POINT},
        "index": {"size": {"total_in_bytes": 3554, "reused_in_bytes": 0, "recovered_in_bytes": 3554}}});
    Answer::json(200, json!({"orders": {"shards": [shard, shard]}}))
}

fn healthy(status: &str, active: u32) -> Answer {
    let health = json!({"status": status, "active_primary_shards": active, "initializing_shards": 0});
    Answer::json(200, json!({"indices": {"orders": health}}))
}

/// The index as it is before: open, from elsewhere.
fn other_copy(reach: &FakeReach) {
    reach.on("GET http://bcp:9200/orders/_recovery", Answer::json(200, json!({})));
    reach.on("GET http://bcp:9200/_cluster/state/routing_table/orders", Answer::json(200, json!({})));
    reach.on("GET http://bcp:9200/orders/_stats/indexing", Answer::json(200, json!({})));
}

/// The restore comes to its end.
fn becomes_whole(reach: &FakeReach) {
    reach.on("GET http://bcp:9200/orders/_recovery", Answer::json(200, json!({})));
    reach.on("GET http://bcp:9200/orders/_recovery", recovered("INDEX"));
    reach.always("GET http://bcp:9200/orders/_recovery", recovered("DONE"));
    reach.on("GET http://bcp:9200/_cluster/health/orders", healthy("red", 0));
    reach.on("GET http://bcp:9200/_cluster/health/orders", healthy("red", 1));
    reach.always("GET http://bcp:9200/_cluster/health/orders", healthy("yellow", 2));
}

/// Lists of indices, one per look.
fn tables(reach: &FakeReach, looks: &[Value]) {
    for look in looks {
        reach.on("GET http://bcp:9200/_cluster/state/metadata", Answer::json(200, look.clone()));
    }
}

async fn run(bench: &Bench, params: Value) -> Result<StepDone, Failure> {
    usual(&bench.reach);
    step(KIND, &params).run(&bench.cx).await
}

#[tokio::test(start_paused = true)]
async fn the_copy_is_replaced_in_the_right_order_and_awaited() {
    let (bench, _) = ready(|_| {});
    let reach = &bench.reach;
    reach.on("GET http://bcp:9200/_snapshot/_all", Answer::json(200, json!({})));
    registered(reach);
    reach.on(&format!("PUT http://bcp:9200/_snapshot/{REPOSITORY}?"), acknowledged());
    let open = indices(&[("orders", 2, "open"), ("stale", 1, "open"), (".kibana", 1, "open")]);
    let after = indices(&[("orders", 2, "open"), (".kibana", 1, "open")]);
    let closed = indices(&[("orders", 2, "close"), ("stale", 1, "open"), (".kibana", 1, "open")]);
    tables(reach, &[open.clone(), closed, open, after]);
    other_copy(reach);
    reach.on("POST http://bcp:9200/orders/_close", acknowledged());
    reach.on(&format!("_snapshot/{REPOSITORY}/{POINT}/_restore"), accepted());
    becomes_whole(reach);
    reach.on("DELETE http://bcp:9200/stale", acknowledged());
    let done = run(&bench, json!({})).await.expect("restored");

    assert_eq!(
        changes(&bench.reach),
        [
            &format!("PUT bcp:9200/_snapshot/{REPOSITORY}"),
            "PUT bcp:9200/_template/t",
            "POST bcp:9200/orders/_close",
            RESTORE,
            "DELETE bcp:9200/stale"
        ]
    );
    let texts = bench.reach.texts();
    let restore = texts.iter().find(|text| text.contains("/_restore")).expect("the request");
    for part in [
        r#""indices":"orders""#,
        r#""index_settings":{"index.number_of_replicas":0}"#,
        r#""ignore_index_settings":["index.blocks.*","index.routing.allocation.require._name"]"#,
        r#""include_aliases":true"#,
    ] {
        assert!(restore.contains(part), "{part}: {restore}");
    }
    let register = texts.iter().find(|text| text.contains(LOCATION)).expect("the registration");
    assert!(register.contains(r#""readonly":true"#), "{register}");
    assert_eq!((&done.captures["bytes"], &done.captures["removed"]), (&json!(7108), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_touched_unless_the_snapshot_is_the_right_one() {
    type Prepare = fn(&FakeReach);
    type Change = fn(&mut Value);
    let right: Prepare = registered;
    let absent: Prepare = |reach| {
        reach.always(&format!("GET http://bcp:9200/_snapshot/{REPOSITORY}/{POINT}"), missing_snapshot());
        registered(reach);
    };
    let partial: Prepare = |reach| {
        let found = Answer::json(200, snapshot("PARTIAL", "r1"));
        reach.always(&format!("GET http://bcp:9200/_snapshot/{REPOSITORY}/{POINT}"), found);
        registered(reach);
    };
    let writer: Prepare = |reach| {
        reach.always("GET http://bcp:9200/_snapshot/_all", Answer::json(200, repository(false)));
        arrived(reach);
    };
    let unseen: Prepare = |reach| {
        let reason = "[[n2, 'no such file']]";
        reach.always("_verify", error(500, "repository_verification_exception", reason));
        registered(reach);
    };
    let same: Change = |_| {};
    for (what, change, prepare, kind, said) in [
        (
            "another uuid",
            (|part| part["details"]["uuid"] = json!("SNAP-2")) as Change,
            right,
            FailureKind::Refused,
            "SNAP-2",
        ),
        ("not arrived", same, absent, FailureKind::Refused, "not there"),
        ("partial", same, partial, FailureKind::Refused, "PARTIAL"),
        (
            "an index is not in it",
            |part| part["details"]["indices"]["x"] = json!({"shards": 1, "replicas": 0}),
            right,
            FailureKind::Refused,
            "index x",
        ),
        (
            "the source itself",
            |part| part["details"]["cluster_uuid"] = json!("UUID-B"),
            right,
            FailureKind::Rule,
            "one cluster",
        ),
        ("from a newer server", |part| part["details"]["version"] = json!("2.20.0"), right, FailureKind::Rule, "older"),
        (
            "from another product",
            |part| part["details"]["flavour"] = json!("elasticsearch"),
            right,
            FailureKind::Rule,
            "another product",
        ),
        (
            "from the other direction",
            |part| part["details"]["repository"] = json!("changeover-bcp-to-prod-search"),
            right,
            FailureKind::Rule,
            "changeover-bcp-to-prod",
        ),
        ("a writer", same, writer, FailureKind::Rule, "only the source may write"),
        ("a node does not see it", same, unseen, FailureKind::Refused, "no such file"),
    ] {
        let (bench, _) = ready(change);
        prepare(&bench.reach);
        let failure = run(&bench, json!({})).await.expect_err(what);
        assert_eq!(failure.kind, kind, "{what}: {failure}");
        assert!(failure.got.as_str().contains(said), "{what}: {failure}");
        assert_eq!(changes(&bench.reach), [""; 0], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_restore_says_what_is_left() {
    let (bench, _) = ready(|_| {});
    registered(&bench.reach);
    tables(&bench.reach, &[indices(&[("orders", 2, "open")]), indices(&[("orders", 2, "close")])]);
    other_copy(&bench.reach);
    bench.reach.on("POST http://bcp:9200/orders/_close", acknowledged());
    // Somebody opened it in between.
    let reason = "cannot restore index [orders] because an open index with same name already exists in the cluster";
    bench.reach.on("_restore", error(500, "snapshot_restore_exception", reason));
    let failure = run(&bench, json!({})).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.got.as_str().contains("open index with same name"), "{failure}");
    assert!(failure.hint.expect("a hint").as_str().contains("closed now: orders"));
}

#[tokio::test(start_paused = true)]
async fn an_index_that_does_not_close_stops_the_restore() {
    let (bench, _) = ready(|_| {});
    registered(&bench.reach);
    tables(&bench.reach, &[indices(&[("orders", 2, "open")]), indices(&[("orders", 2, "open")])]);
    other_copy(&bench.reach);
    bench.reach.on("POST http://bcp:9200/orders/_close", acknowledged());
    let failure = run(&bench, json!({})).await.expect_err("still open");
    assert!(failure.got.as_str().contains("still open: orders"), "{failure}");
    assert_eq!(bench.reach.count("_restore"), 0);
}

/// The process before was killed with its request on the way: between our look and our own request it takes effect.
#[tokio::test(start_paused = true)]
async fn a_restore_that_begins_under_our_hands_is_followed() {
    let (bench, _) = ready(|_| {});
    registered(&bench.reach);
    let reach = &bench.reach;
    other_copy(reach);
    let reason = "Cannot close indices that are being restored: [[orders/x]]";
    reach.on("POST http://bcp:9200/orders/_close", error(400, "illegal_argument_exception", reason));
    reach.on("GET http://bcp:9200/orders/_recovery", recovered("INDEX"));
    let shard = json!([{"state": "INITIALIZING", "primary": true,
        "recovery_source": {"type": "SNAPSHOT", "repository": REPOSITORY, "snapshot": POINT}}]);
    let table = json!({"routing_table": {"indices": {"orders": {"shards": {"0": shard, "1": shard}}}}});
    reach.always("routing_table/orders", Answer::json(200, table));
    let writes = json!({"indices": {"orders": {"primaries": {"indexing": {"index_total": 0, "delete_total": 0}}}}});
    reach.always("orders/_stats/indexing", Answer::json(200, writes));
    becomes_whole(reach);
    run(&bench, json!({})).await.map(drop).expect("whole");
    assert_eq!((bench.reach.count("_close"), bench.reach.count("_restore")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_there_already_is_not_begun_again() {
    for (done, asked) in [("DONE", 0), ("INDEX", 0)] {
        let (bench, _) = ready(|_| {});
        registered(&bench.reach);
        let reach = &bench.reach;
        reach.on("GET http://bcp:9200/orders/_recovery", recovered(done));
        let shard = |state: &str| {
            json!([{"state": state, "primary": true,
                "recovery_source": {"type": "SNAPSHOT", "repository": REPOSITORY, "snapshot": POINT}}])
        };
        let state = if done == "DONE" { "STARTED" } else { "INITIALIZING" };
        let table =
            json!({"routing_table": {"indices": {"orders": {"shards": {"0": shard(state), "1": shard(state)}}}}});
        reach.always("routing_table/orders", Answer::json(200, table));
        let writes = json!({"indices": {"orders": {"primaries": {"indexing": {"index_total": 0, "delete_total": 0}}}}});
        reach.always("orders/_stats/indexing", Answer::json(200, writes));
        becomes_whole(reach);
        run(&bench, json!({})).await.map(drop).expect("whole");
        assert_eq!(bench.reach.count("_close") + bench.reach.count("_restore"), asked, "{done}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_for() {
    for (begins, kind) in [(true, None), (false, Some(FailureKind::Unknown))] {
        let (bench, _) = ready(|part| part["details"]["companions"] = json!({}));
        registered(&bench.reach);
        let reach = &bench.reach;
        tables(reach, &[indices(&[]), indices(&[])]);
        reach.on("_restore", Answer::lost());
        if begins {
            let shard = json!([{"state": "UNASSIGNED", "primary": true,
                "recovery_source": {"type": "SNAPSHOT", "repository": REPOSITORY, "snapshot": POINT}}]);
            let table = json!({"routing_table": {"indices": {"orders": {"shards": {"0": shard, "1": shard}}}}});
            reach.always("routing_table/orders", Answer::json(200, table));
            reach.always("orders/_stats/indexing", Answer::json(200, json!({})));
            reach.on("GET http://bcp:9200/orders/_recovery", Answer::json(200, json!({})));
            becomes_whole(reach);
        } else {
            reach.always("GET http://bcp:9200/_cluster/state/metadata", Answer::json(200, indices(&[])));
        }
        let result = run(&bench, json!({})).await;
        assert_eq!(result.err().map(|failure| failure.kind), kind);
        assert_eq!(bench.reach.count("/_restore"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_stuck_is_explained() {
    let (bench, _) = ready(|_| {});
    registered(&bench.reach);
    let reach = &bench.reach;
    tables(reach, &[indices(&[]), indices(&[])]);
    reach.on("_restore", accepted());
    reach.always("orders/_recovery", Answer::json(200, json!({})));
    reach.always("_cluster/health/orders", healthy("red", 0));
    reach.always("routing_table/orders", Answer::json(200, json!({})));
    let explained = json!({"allocate_explanation": "cannot allocate", "node_allocation_decisions": [
        {"node_name": "n1", "deciders": [{"explanation": "the node is above the low watermark"}]}]});
    reach.always("_cluster/allocation/explain", Answer::json(200, explained));
    let failure = run(&bench, json!({})).await.expect_err("stuck");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.got.as_str().contains("n1: the node is above the low watermark"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn stopping_removes_what_is_not_whole_and_says_so() {
    let (bench, _) = ready(|_| {});
    registered(&bench.reach);
    let reach = &bench.reach;
    tables(reach, &[indices(&[]), indices(&[]), indices(&[])]);
    reach.on("_restore", accepted());
    let cancel = bench.cx.cancel.clone();
    reach.compute("orders/_recovery", move |_| {
        cancel.cancel();
        recovered("INDEX")
    });
    reach.always("_cluster/health/orders", healthy("red", 0));
    reach.on("DELETE http://bcp:9200/orders", acknowledged());
    let failure = run(&bench, json!({})).await.expect_err("cancelled");
    assert_eq!(failure.kind, FailureKind::Cancelled, "{failure}");
    assert!(failure.got.as_str().contains("are gone"), "{failure}");
    assert_eq!(bench.reach.unused(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_will_be_lost_is_said_beforehand() {
    let (bench, _) = ready(|_| {});
    registered(&bench.reach);
    let there = indices(&[("orders", 2, "open"), ("stale", 1, "open"), (".kibana", 1, "open")]);
    bench.reach.always("GET http://bcp:9200/_cluster/state/metadata", Answer::json(200, there));
    other_copy(&bench.reach);
    bench.reach.always("stale/_count", Answer::json(200, count(9, 1)));
    bench.reach.always("stale/_refresh", Answer::json(200, json!({})));
    usual(&bench.reach);
    let report = step(KIND, &json!({})).check(&bench.cx).await.expect("a report");
    let losses: Vec<&str> = report.losses.iter().map(SafeText::as_str).collect();
    assert_eq!(
        losses,
        [
            "index orders at bcp is replaced: 5 documents",
            "index stale at bcp is removed, as the source does not have it: 9 documents"
        ]
    );
    assert_eq!(changes(&bench.reach), [""; 0]);

    // Before the snapshot is taken, everything that matches counts as lost.
    let (bench, _) = bench_without_part();
    usual(&bench.reach);
    let report = step(KIND, &json!({})).check(&bench.cx).await.expect("a report");
    assert_eq!(report.losses.len(), 1);
}

fn bench_without_part() -> (Bench, Files) {
    bench(End::Target)
}
