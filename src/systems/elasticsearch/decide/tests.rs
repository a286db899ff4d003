//! What is done with each index, in tables.

use super::*;
use serde_json::{Value, json};

fn origin() -> Origin {
    Origin { repository: "r1".into(), snapshot: "s1".into(), ended_ms: 1_000 }
}

fn copied(pattern: &str, closed: &[&str]) -> Copied {
    serde_json::from_value(json!({
        "repository": "r1", "snapshot": "s1", "uuid": "u", "cluster_uuid": "c", "flavour": "opensearch",
        "version": "2.19.4", "pattern": pattern, "closed": closed,
        "indices": {"orders": {"shards": 2, "replicas": 1}, "wide": {"shards": 1, "replicas": 2, "auto_expand": true},
                    "solo": {"shards": 1, "replicas": 0}}
    }))
    .expect("details")
}

fn index(shards: u32, open: bool) -> Index {
    Index {
        open,
        own: false,
        shards,
        replicas: 1,
        auto_expand: false,
        created: None,
        aliases: Vec::new(),
        pipelines: Vec::new(),
        filters: Vec::new(),
    }
}

/// As a server tells it: OpenSearch 2.19.4.
fn recovery(kind: &str, stage: &str, snapshot: &str, start: i64) -> Value {
    json!({"type": kind, "stage": stage, "primary": true, "start_time_in_millis": start,
        "source": {"repository": "r1", "snapshot": snapshot, "version": "2.19.4", "index": "orders", "restoreUUID": "x"},
        "index": {"size": {"total_in_bytes": 3554, "reused_in_bytes": 3240, "recovered_in_bytes": 314}}})
}

fn waiting(state: &str, snapshot: &str, reason: &str) -> Value {
    json!([{"state": state, "primary": true,
        "recovery_source": {"type": "SNAPSHOT", "repository": "r1", "snapshot": snapshot},
        "unassigned_info": {"reason": reason}}])
}

fn evidence(recoveries: &[Value], routed: &Value, writes: Option<u64>) -> Evidence {
    let writes = writes.map(|n| json!({"primaries": {"indexing": {"index_total": n, "delete_total": 0}}}));
    Evidence {
        recoveries: serde_json::from_value(json!({"orders": {"shards": recoveries}})).expect("recoveries"),
        routing: serde_json::from_value(json!({"routing_table": {"indices": {"orders": {"shards": routed}}}}))
            .expect("routing"),
        writes: serde_json::from_value(json!({"indices": writes.map(|w| json!({"orders": w})).unwrap_or(json!({}))}))
            .expect("writes"),
    }
}

#[test]
fn an_index_is_left_alone_only_when_it_is_this_very_snapshot() {
    let done = || recovery("SNAPSHOT", "DONE", "s1", 2_000);
    let started = json!({"0": [{"state": "STARTED", "primary": true}], "1": [{"state": "STARTED", "primary": true}]});
    let new = "NEW_INDEX_RESTORED";
    for (what, recoveries, routed, writes, todo) in [
        ("untouched", vec![done(), done()], started.clone(), Some(0), Todo::Done),
        ("written to since", vec![done(), done()], started.clone(), Some(1), Todo::Replace),
        ("not known whether written to", vec![done(), done()], started.clone(), None, Todo::Replace),
        (
            "one shard came otherwise",
            vec![done(), recovery("PEER", "DONE", "", 2_000)],
            started.clone(),
            Some(0),
            Todo::Replace,
        ),
        (
            "another snapshot",
            vec![done(), recovery("SNAPSHOT", "DONE", "s0", 2_000)],
            started.clone(),
            Some(0),
            Todo::Replace,
        ),
        (
            "an older snapshot of the same name",
            vec![recovery("SNAPSHOT", "DONE", "s1", 500), done()],
            started.clone(),
            Some(0),
            Todo::Replace,
        ),
        ("restarted since", vec![recovery("EXISTING_STORE", "DONE", "", 3_000)], started, Some(0), Todo::Replace),
        (
            "not begun",
            vec![],
            json!({"0": waiting("UNASSIGNED", "s1", new), "1": waiting("UNASSIGNED", "s1", new)}),
            Some(0),
            Todo::Follow,
        ),
        (
            "half done",
            vec![done(), recovery("SNAPSHOT", "INDEX", "s1", 2_000)],
            json!({"0": [{"state": "STARTED", "primary": true}], "1": waiting("INITIALIZING", "s1", new)}),
            None,
            Todo::Follow,
        ),
        (
            "being restored from another snapshot",
            vec![],
            json!({"0": waiting("UNASSIGNED", "s0", new), "1": waiting("UNASSIGNED", "s0", new)}),
            Some(0),
            Todo::Replace,
        ),
        (
            "given up by the server",
            vec![done()],
            json!({"0": [{"state": "STARTED", "primary": true}], "1": waiting("UNASSIGNED", "s1", "ALLOCATION_FAILED")}),
            Some(0),
            Todo::Replace,
        ),
    ] {
        let table = Table { indices: BTreeMap::from([("orders".into(), index(2, true))]), data_streams: Vec::new() };
        let copied = copied("*", &[]);
        let plan = decide(&copied, &table, &evidence(&recoveries, &routed, writes), &origin());
        assert_eq!(plan[&"orders".to_owned()], todo, "{what}");
        assert_eq!(plan[&"solo".to_owned()], Todo::Create, "{what}");
    }
}

#[test]
fn what_is_there_otherwise_is_replaced() {
    for (there, todo) in
        [(index(2, false), Todo::Replace), (index(3, false), Todo::Recreate), (index(5, true), Todo::Recreate)]
    {
        let table = Table { indices: BTreeMap::from([("orders".into(), there)]), data_streams: Vec::new() };
        let copied = copied("*", &[]);
        assert_eq!(decide(&copied, &table, &Evidence::default(), &origin())[&"orders".to_owned()], todo);
    }
}

#[test]
fn only_what_was_meant_is_surplus() {
    let names = ["orders", "orders-old", "users", ".kibana", "shut", "mine"];
    let mut indices: BTreeMap<String, Index> = names.iter().map(|name| ((*name).to_owned(), index(1, true))).collect();
    indices.insert("hidden-by-server".into(), Index { own: true, ..index(1, true) });
    let table = Table { indices, data_streams: Vec::new() };
    let pattern = |text: &str| Pattern::try_from(text.to_owned()).expect("a pattern");
    for (meant, own, surplus) in [
        ("*", "*", vec!["mine", "orders-old", "users"]),
        ("orders*", "*", vec!["orders-old"]),
        ("*", "-mine", vec!["orders-old", "users"]),
        ("orders", "*", vec![]),
    ] {
        let (copied, own) = (copied(meant, &["shut"]), pattern(own));
        assert_eq!(super::surplus(&copied, &table, &own), surplus, "{meant}");
    }
}

#[test]
fn replicas_are_changed_only_where_they_must_be() {
    let copied = copied("*", &[]);
    let names: Vec<&String> = copied.indices.keys().collect();
    let groups = |setting, nodes| by_replicas(&copied, &names, setting, nodes);
    assert_eq!(
        groups(Replicas::Auto, 1),
        BTreeMap::from([(None, vec!["solo", "wide"]), (Some(0), vec!["orders"])]),
        "`wide` adapts by itself, `solo` has none"
    );
    assert_eq!(groups(Replicas::Auto, 3), BTreeMap::from([(None, vec!["orders", "solo", "wide"])]));
    assert_eq!(
        groups(Replicas::Number(1), 1),
        BTreeMap::from([(None, vec!["orders", "wide"]), (Some(1), vec!["solo"])])
    );
}

#[test]
fn an_empty_answer_is_neither_done_nor_failed() {
    let wanted = BTreeMap::from([("orders", 2)]);
    let health = |status: &str, active: u32, initializing: u32| -> IndexHealths {
        let index = json!({"status": status, "active_primary_shards": active, "initializing_shards": initializing});
        serde_json::from_value(json!({"indices": {"orders": index}})).expect("health")
    };
    let recoveries = |stages: &[&str]| -> Recoveries {
        let shards: Vec<Value> = stages.iter().map(|stage| recovery("SNAPSHOT", stage, "s1", 2_000)).collect();
        serde_json::from_value(json!({"orders": {"shards": shards}})).expect("recoveries")
    };
    for (stages, health, pending, total) in [
        (&[][..], health("red", 0, 0), true, None),
        // The old index still looks fine in the first moment.
        (&[], health("green", 2, 0), true, None),
        (&["DONE"], health("red", 1, 1), true, None),
        (&["DONE", "FINALIZE"], health("red", 1, 1), true, Some(7108)),
        (&["DONE", "DONE"], health("red", 1, 1), true, Some(7108)),
        (&["DONE", "DONE"], health("yellow", 2, 0), false, Some(7108)),
        (&["DONE", "DONE"], IndexHealths::default(), true, Some(7108)),
    ] {
        let now = progress(&wanted, &recoveries(stages), &health, &BTreeSet::new(), &origin());
        assert_eq!((!now.pending.is_empty(), now.total), (pending, total), "{stages:?} {health:?}");
    }
}

#[test]
fn a_primary_that_was_moved_once_it_was_whole_is_whole() {
    let wanted = BTreeMap::from([("orders", 2)]);
    let health: IndexHealths = serde_json::from_value(json!({"indices": {"orders":
        {"status": "yellow", "active_primary_shards": 2, "initializing_shards": 0}}}))
    .expect("health");
    for (kind, stage, start, is_open, whole) in [
        ("PEER", "DONE", 2_000, true, true),
        ("EXISTING_STORE", "DONE", 2_000, true, true),
        ("PEER", "INDEX", 2_000, true, false),
        // It came there before the snapshot was complete, so not with it.
        ("PEER", "DONE", 500, true, false),
        ("EMPTY_STORE", "DONE", 2_000, true, false),
        // That is the index that was closed to be replaced.
        ("EXISTING_STORE", "DONE", 2_000, false, false),
    ] {
        let shards = [recovery("SNAPSHOT", "DONE", "s1", 2_000), recovery(kind, stage, "", start)];
        let recoveries: Recoveries = serde_json::from_value(json!({"orders": {"shards": shards}})).expect("recoveries");
        assert_eq!(
            has_moved(&recoveries, &origin()),
            matches!(kind, "PEER" | "EXISTING_STORE") && stage == "DONE" && start > 1_000
        );
        let open = if is_open { BTreeSet::from(["orders".to_owned()]) } else { BTreeSet::new() };
        let now = progress(&wanted, &recoveries, &health, &open, &origin());
        assert_eq!(now.pending.is_empty(), whole, "{kind} {stage} {start} {is_open}");
    }
}
