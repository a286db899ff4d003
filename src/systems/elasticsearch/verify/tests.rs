//! Every difference at the target is found.

use super::super::fake::{POINT, bench, count, indices, step, usual};
use super::*;
use crate::model::End;
use crate::points::Part;
use crate::port::fake::Answer;
use serde_json::{Value, json};

const KIND: &str = "elasticsearch.verify";

pub(in super::super) fn part() -> Part {
    serde_json::from_value(json!({
        "service": "search", "kind": "elasticsearch", "version": "OpenSearch 2.19.4",
        "began": "2026-03-01T02:00:00Z", "ended": "2026-03-01T02:00:01Z", "artifacts": [],
        "counts": {"index orders": {"documents": 5}},
        "details": {
            "repository": "changeover-prod-to-bcp-search", "snapshot": POINT, "uuid": "SNAP-1", "cluster_uuid": "UUID-A",
            "flavour": "opensearch", "version": "2.19.4", "pattern": "*", "bytes": 7180,
            "indices": {"orders": {"shards": 2, "replicas": 1, "created": 136_408_227, "aliases": ["shop"],
                "filters": ["index.routing.allocation.require._name"]}}}
    }))
    .expect("a part")
}

async fn run(table: Value, documents: Option<Answer>, params: Value) -> Result<StepDone, Failure> {
    let (bench, files) = bench(End::Target);
    let path = format!("/mnt/exchange/prod-to-bcp/points/{POINT}/parts/search.json");
    files.lock().expect("files").insert(path, serde_json::to_vec(&part()).expect("json"));
    bench.reach.always("GET http://bcp:9200/_cluster/state/metadata", Answer::json(200, table));
    bench.reach.always("_refresh", Answer::json(200, json!({})));
    bench.reach.always("/extra/_count", Answer::json(200, count(1, 1)));
    if let Some(documents) = documents {
        bench.reach.always("/orders/_count", documents);
    }
    usual(&bench.reach);
    step(KIND, &params).run(&bench.cx).await
}

#[tokio::test]
async fn equal_is_good() {
    let done = run(indices(&[("orders", 2, "open")]), None, json!({})).await.expect("equal");
    assert_eq!((&done.captures["documents"], &done.captures["indices"]), (&json!(5), &json!(1)));
}

#[tokio::test]
async fn every_difference_is_listed() {
    let mut other_alias = indices(&[("orders", 2, "open")]);
    other_alias["metadata"]["indices"]["orders"]["aliases"] = json!([]);
    for (table, documents, said) in [
        (indices(&[("orders", 2, "open")]), Some(Answer::json(200, count(4, 2))), "expected 5, found 4"),
        (indices(&[("orders", 2, "close")]), None, "expected 5, found closed"),
        (indices(&[]), None, "expected 5, found nothing"),
        (
            indices(&[("orders", 2, "open"), ("extra", 1, "open")]),
            None,
            "index extra, documents: expected nothing, found 1",
        ),
        (other_alias, None, "aliases: expected shop, found none"),
    ] {
        let failure = run(table, documents, json!({})).await.expect_err("a difference");
        assert_eq!(failure.kind, FailureKind::Mismatch);
        assert!(failure.got.as_str().contains(said), "{failure}");
    }
}

#[tokio::test]
async fn surplus_can_be_allowed() {
    let table = indices(&[("orders", 2, "open"), ("extra", 1, "open")]);
    let done = run(table, None, json!({"allow_surplus": true})).await.expect("allowed");
    assert_eq!(done.captures["indices"], 1);
}

#[tokio::test]
async fn a_count_of_some_shards_is_no_count() {
    let partial = json!({"count": 5, "_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 1}});
    let failure = run(indices(&[("orders", 2, "open")]), Some(Answer::json(200, partial)), json!({}))
        .await
        .expect_err("half a count");
    assert_eq!(failure.kind, FailureKind::Busy);
    assert!(failure.got.as_str().contains("1 of 2 shards"), "{failure}");
}

#[tokio::test]
async fn a_point_that_is_not_there_is_said() {
    let (bench, _) = bench(End::Target);
    usual(&bench.reach);
    let failure = step(KIND, &json!({})).run(&bench.cx).await.expect_err("no part");
    assert!(failure.got.as_str().contains("has no part of service search"), "{failure}");
}
