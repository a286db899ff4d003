//! The snapshot step against scripted clusters: adoption, refusals, lost answers, stopping.

use super::super::details::Copied;
use super::super::fake::{
    Files, LOCATION, POINT, REPOSITORY, accepted, acknowledged, bench, changes, count, error, indices,
    missing_snapshot, repository, snapshot, step, usual,
};
use super::*;
use crate::model::End;
use crate::points::{Measure, Part};
use crate::port::fake::{Answer, FakeReach};
use crate::systems::fake::Bench;

const KIND: &str = "elasticsearch.snapshot";
const CREATED: &str = "PUT prod:9200/_snapshot/changeover-prod-to-bcp-search/p-20260301-020000-0001";

fn look() -> String {
    format!("GET http://prod:9200/_snapshot/{REPOSITORY}/{POINT}")
}

fn create() -> String {
    format!("PUT http://prod:9200/_snapshot/{REPOSITORY}/{POINT}")
}

/// A source at which the repository is registered.
fn ready() -> (Bench, Files) {
    let (bench, files) = bench(End::Source);
    bench.reach.always("GET http://prod:9200/_snapshot/_all", Answer::json(200, repository(false)));
    (bench, files)
}

/// A snapshot that can be taken: absent, then accepted, then whole.
fn takes(reach: &FakeReach) {
    reach.on(&look(), missing_snapshot()).on(&create(), accepted());
    reach.always(&look(), Answer::json(200, snapshot("SUCCESS", "r1")));
}

async fn run(bench: &Bench) -> Result<StepDone, Failure> {
    usual(&bench.reach);
    step(KIND, &json!({})).run(&bench.cx).await
}

fn failed(result: Result<StepDone, Failure>) -> Failure {
    result.expect_err("a failure")
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_registered_followed_counted_and_kept() {
    let (mut bench, files) = bench(End::Source);
    let reach = &bench.reach;
    reach.on("GET http://prod:9200/_snapshot/_all", Answer::json(200, json!({})));
    reach.always("GET http://prod:9200/_snapshot/_all", Answer::json(200, repository(false)));
    reach.on(&format!("PUT http://prod:9200/_snapshot/{REPOSITORY}?"), acknowledged());
    reach.on(&look(), missing_snapshot()).on(&create(), accepted());
    let running = json!({"snapshots": [{"snapshot": POINT, "repository": REPOSITORY, "state": "STARTED",
        "shards_stats": {"initializing": 0, "started": 2, "finalizing": 0, "done": 0, "failed": 0, "total": 2},
        "stats": {"incremental": {"size_in_bytes": 7180}, "processed": {"size_in_bytes": 3554}}}]});
    reach.on(&format!("GET http://prod:9200/_snapshot/{REPOSITORY}/_status"), Answer::json(200, running));
    reach.on(&look(), Answer::json(200, snapshot("IN_PROGRESS", "r1")));
    reach.always(&look(), Answer::json(200, snapshot("SUCCESS", "r1")));
    // Written to while the snapshot was taken.
    reach.on("GET http://prod:9200/orders/_count", Answer::json(200, count(5, 2)));
    reach.on("GET http://prod:9200/orders/_count", Answer::json(200, count(7, 2)));
    let done = run(&bench).await.expect("a snapshot");

    assert_eq!(done.captures["uuid"], "SNAP-1");
    assert_eq!(done.captures["documents"], 5);
    assert_eq!(done.warnings, []);
    assert_eq!(changes(&bench.reach), [&format!("PUT prod:9200/_snapshot/{REPOSITORY}"), CREATED]);
    let texts = bench.reach.texts();
    let body = texts.iter().find(|text| text.starts_with(&create())).expect("the request");
    assert!(body.contains(r#""metadata":{"run":"r1","point":"p-20260301-020000-0001","from":"prod"}"#), "{body}");
    assert!(body.contains(r#""partial":false"#) && body.contains(r#""include_global_state":false"#), "{body}");
    let made = format!("prod:app1 $ mkdir -p -m 2775 {LOCATION}");
    assert!(texts.contains(&made), "{texts:#?}");
    assert!(bench.heard().contains("3554/7180 bytes"));

    let files = files.lock().expect("files");
    let part = &files[&format!("/mnt/exchange/prod-to-bcp/points/{POINT}/parts/search.json")];
    let part: Part = serde_json::from_slice(part).expect("a part");
    assert_eq!(part.counts["index orders"]["documents"], Measure::Between { low: 5, high: 7 });
    let copied = Copied::of(&part).expect("details");
    assert_eq!((copied.uuid.as_str(), copied.cluster_uuid.as_str()), ("SNAP-1", "UUID-A"));
    assert_eq!((copied.indices["orders"].shards, copied.indices["orders"].replicas), (2, 1));
    assert_eq!(copied.indices["orders"].aliases, Some(vec!["shop".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_whole_fails_and_nothing_is_deleted() {
    for (state, failures, said) in [
        (
            "PARTIAL",
            json!([{"index": "orders", "shard_id": 1, "reason": "primary shard is not allocated"}]),
            "orders[1]",
        ),
        ("FAILED", json!([]), "FAILED"),
        // Called a success with a shard missing: the shards count, not the word.
        ("SUCCESS", json!([{"index": "orders", "shard_id": 0, "reason": "disk"}]), "orders[0]: disk"),
    ] {
        let (bench, _) = ready();
        bench.reach.on(&look(), missing_snapshot()).on(&create(), accepted());
        let mut bad = snapshot(state, "r1");
        bad["snapshots"][0]["failures"] = failures;
        bad["snapshots"][0]["shards"]["failed"] = json!(1);
        bench.reach.always(&look(), Answer::json(200, bad));
        let failure = failed(run(&bench).await);
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        assert!(failure.got.as_str().contains(said), "{failure}");
        assert_eq!(bench.reach.count("DELETE"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_silently_left_out_is_a_mismatch() {
    let (bench, _) = ready();
    bench.reach.on(&look(), missing_snapshot()).on(&create(), accepted());
    let mut short = snapshot("SUCCESS", "r1");
    short["snapshots"][0]["indices"] = json!(["users"]);
    bench.reach.always(&look(), Answer::json(200, short));
    let failure = failed(run(&bench).await);
    assert_eq!(failure.kind, FailureKind::Mismatch);
    assert!(failure.got.as_str().contains("orders"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_their_meaning() {
    for (answer, kind, said) in [
        (
            error(503, "concurrent_snapshot_execution_exception", "[r:s] a snapshot is already running"),
            FailureKind::Busy,
            "already running",
        ),
        (
            error(500, "snapshot_exception", "[r:s/u] Indices don't have primary shards [orders]"),
            FailureKind::Busy,
            "primary shards [orders]",
        ),
        (error(503, "master_not_discovered_exception", ""), FailureKind::Busy, "master_not_discovered"),
        (error(404, "index_not_found_exception", "no such index [orders]"), FailureKind::Busy, "no such index"),
        (
            error(500, "repository_exception", "[r] cannot create snapshot in a readonly repository"),
            FailureKind::Refused,
            "readonly",
        ),
        (error(403, "security_exception", "action is unauthorized"), FailureKind::Refused, "unauthorized"),
        (Answer::http(504, "<html>gateway timeout</html>"), FailureKind::Unknown, "gateway timeout"),
    ] {
        let (bench, _) = ready();
        bench.reach.always(&look(), missing_snapshot()).on(&create(), answer);
        let failure = failed(run(&bench).await);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.got.as_str().contains(said), "{failure}");
        assert!(failure.hint.is_some() || kind == FailureKind::Refused, "{failure}");
        assert_eq!(bench.reach.count(&create()), 1, "asked once, whatever came back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_for_and_never_asked_again() {
    let (bench, _) = ready();
    bench.reach.on(&look(), missing_snapshot()).on(&create(), Answer::lost());
    bench.reach.on(&look(), missing_snapshot());
    bench.reach.always(&look(), Answer::json(200, snapshot("SUCCESS", "r1")));
    let done = run(&bench).await.expect("found");
    assert_eq!(done.captures["uuid"], "SNAP-1");
    assert_eq!(bench.reach.count(&create()), 1);

    let (bench, _) = ready();
    bench.reach.always(&look(), missing_snapshot()).on(&create(), Answer::lost());
    let failure = failed(run(&bench).await);
    assert!(failure.is_unknown(), "{failure}");
    assert_eq!(bench.reach.count(&create()), 1);
}

#[tokio::test(start_paused = true)]
async fn only_our_own_snapshot_is_adopted() {
    // A request that was delivered twice: the second one finds the first one's.
    let (bench, _) = ready();
    let taken = "Invalid snapshot name [p], snapshot with the same name already exists";
    bench.reach.on(&look(), missing_snapshot()).on(&create(), error(400, "invalid_snapshot_name_exception", taken));
    bench.reach.always(&look(), Answer::json(200, snapshot("SUCCESS", "r1")));
    let done = run(&bench).await.expect("adopted");
    assert_eq!(done.captures["uuid"], "SNAP-1");

    let (bench, _) = ready();
    bench.reach.always(&look(), Answer::json(200, snapshot("SUCCESS", "somebody-else")));
    let failure = failed(run(&bench).await);
    assert_eq!(failure.kind, FailureKind::Rule, "{failure}");
    assert_eq!(changes(&bench.reach), [""; 0]);
}

#[test]
fn whose_a_snapshot_is() {
    type IsRight = fn(&Found) -> bool;
    let (run, point) = (RunId::new("r1").expect("a run"), PointId::new(POINT).expect("a point"));
    let ours: IsRight = |found: &Found| matches!(found, Found::Ours(_));
    let broken: IsRight = |found: &Found| matches!(found, Found::Broken(_));
    let stranger: IsRight = |found: &Found| matches!(found, Found::Stranger(_));
    let verdicts: [(&str, &str, &str, bool, IsRight); 7] = [
        ("SUCCESS", "r1", POINT, true, ours),
        ("IN_PROGRESS", "r1", POINT, true, ours),
        ("PARTIAL", "r1", POINT, true, broken),
        ("SUCCESS", "r2", POINT, true, stranger),
        ("SUCCESS", "r1", "nightly", true, ours),
        // Before 7.3 there is no metadata.
        ("SUCCESS", "r2", POINT, false, ours),
        ("SUCCESS", "r1", "nightly", false, stranger),
    ];
    for (state, by, name, has_metadata, is_right) in verdicts {
        let mut value = snapshot(state, by)["snapshots"][0].clone();
        value["snapshot"] = json!(name);
        let snapshot: Snapshot = serde_json::from_value(value).expect("a snapshot");
        let found = whose(snapshot, has_metadata, &run, &point);
        assert!(is_right(&found), "{state} {by} {name} {has_metadata}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_attempt_leaves_a_broken_snapshot_alone() {
    let second = format!("{}-2", look());
    let (mut bench, _) = ready();
    bench.cx.attempt = 2;
    bench.reach.on(&second, missing_snapshot());
    let mut found = snapshot("SUCCESS", "r1");
    found["snapshots"][0]["snapshot"] = json!(format!("{POINT}-2"));
    bench.reach.always(&second, Answer::json(200, found));
    bench.reach.on(&format!("{}-2", create()), accepted());
    bench.reach.on(&look(), Answer::json(200, snapshot("PARTIAL", "r1")));
    let done = run(&bench).await.expect("a second snapshot");
    assert_eq!(done.captures["snapshot"], format!("{POINT}-2"));
    assert_eq!(changes(&bench.reach), [format!("{CREATED}-2")]);

    // The same attempt again after a crash: what it left is what there is to say.
    let (bench, _) = ready();
    bench.reach.always(&look(), Answer::json(200, snapshot("FAILED", "r1")));
    assert_eq!(failed(run(&bench).await).kind, FailureKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn an_empty_source_and_data_streams_are_refused() {
    for (state, said) in [
        (indices(&[("orders", 1, "close"), (".kibana", 1, "open")]), "no open index matches"),
        (json!({"metadata": {"data_stream": {"data_stream": {"logs-app": {"name": "logs-app"}}}}}), "logs-app"),
    ] {
        let (bench, _) = ready();
        bench.reach.always("GET http://prod:9200/_cluster/state/metadata", Answer::json(200, state));
        let failure = failed(run(&bench).await);
        assert_eq!(failure.kind, FailureKind::Rule);
        assert!(failure.got.as_str().contains(said), "{failure}");
        assert_eq!(changes(&bench.reach), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_direction_that_was_turned_is_refused_and_the_epoch_goes_along() {
    for (active, epoch) in [("bcp", None), ("prod", Some(r#""epoch":"7""#))] {
        let (bench, files) = ready();
        takes(&bench.reach);
        let record = json!({"epoch": 7, "active": active, "since": "2026-03-01T00:00:00Z", "run": "r0"});
        files.lock().expect("files").insert("/mnt/exchange/direction.json".into(), record.to_string().into_bytes());
        let result = run(&bench).await;
        match epoch {
            None => {
                assert_eq!(failed(result).kind, FailureKind::Rule);
                assert_eq!(changes(&bench.reach), [""; 0]);
            }
            Some(epoch) => {
                assert!(result.is_ok(), "{result:?}");
                let texts = bench.reach.texts();
                assert!(texts.iter().any(|text| text.starts_with(&create()) && text.contains(epoch)), "{texts:#?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_writers_are_refused_and_a_silent_target_is_said() {
    let (bench, _) = ready();
    bench.reach.always("GET http://bcp:9200/_snapshot/_all", Answer::json(200, repository(false)));
    let failure = failed(run(&bench).await);
    assert_eq!(failure.kind, FailureKind::Rule);
    assert!(failure.got.as_str().contains("bcp has it registered for writing too"), "{failure}");
    assert_eq!(changes(&bench.reach), [""; 0]);

    let (bench, _) = ready();
    bench.reach.always("http://bcp:9200", Answer::error(crate::port::ReachErrorKind::Unreachable, "no route to host"));
    takes(&bench.reach);
    let done = run(&bench).await.expect("a snapshot");
    assert!(done.warnings[0].as_str().contains("no route to host"), "{:?}", done.warnings);

    let (bench, _) = super::super::fake::bench(End::Source);
    bench.reach.always("GET http://prod:9200/_snapshot/_all", Answer::json(200, repository(true)));
    let failure = failed(run(&bench).await);
    assert!(failure.got.as_str().contains("read-only"), "{failure}");
    assert_eq!(changes(&bench.reach), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn stopping_removes_the_snapshot_and_looks() {
    for (gone, kind) in [(true, FailureKind::Cancelled), (false, FailureKind::Unknown)] {
        let (bench, _) = ready();
        bench.reach.on(&look(), missing_snapshot()).on(&create(), accepted());
        let cancel = bench.cx.cancel.clone();
        bench.reach.compute(&format!("GET http://prod:9200/_snapshot/{REPOSITORY}/_status"), move |_| {
            cancel.cancel();
            Answer::json(200, json!({"snapshots": []}))
        });
        bench.reach.on(&look(), Answer::json(200, snapshot("IN_PROGRESS", "r1")));
        bench.reach.on(&format!("DELETE http://prod:9200/_snapshot/{REPOSITORY}/{POINT}"), acknowledged());
        let after = if gone { missing_snapshot() } else { Answer::json(200, snapshot("IN_PROGRESS", "r1")) };
        bench.reach.always(&look(), after);
        let failure = failed(run(&bench).await);
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(bench.reach.unused(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_it_is_looked_for() {
    let (bench, _) = ready();
    usual(&bench.reach);
    assert_eq!(step(KIND, &json!({})).verify(&bench.cx).await, Ok(Verified::NotDone));

    // It was begun: followed to its end, with the counts of before.
    let (mut bench, files) = ready();
    takes(&bench.reach);
    let done = run(&bench).await.expect("a snapshot");
    assert_eq!(done.warnings, []);
    let part = format!("/mnt/exchange/prod-to-bcp/points/{POINT}/parts/search.json");
    files.lock().expect("files").remove(&part);
    let verified = step(KIND, &json!({})).verify(&bench.cx).await.expect("a look");
    assert!(matches!(verified, Verified::Done(_)), "{verified:?}");
    assert!(files.lock().expect("files").contains_key(&part));
    assert_eq!(bench.reach.count(&create()), 1);
    drop(bench.heard());
}

#[tokio::test(start_paused = true)]
async fn previews_show_the_requests() {
    let (bench, _) = ready();
    usual(&bench.reach);
    let shown = step(KIND, &json!({})).preview(&bench.cx).await.expect("a preview");
    assert!(shown[1].as_str().starts_with(&format!("{}?wait_for_completion=false", create())), "{shown:#?}");
    assert_eq!(changes(&bench.reach), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_gone_may_have_met_a_full_disk() {
    let (bench, _files) = ready();
    bench.reach.on(&look(), missing_snapshot()).on(&create(), accepted());
    bench.reach.always(&look(), missing_snapshot());
    let failure = failed(run(&bench).await);
    assert_eq!(failure.kind, FailureKind::Refused);
    let got = failure.got.as_str();
    assert!(got.contains("the cluster could not write it to its end, or somebody deleted it"), "{got}");
    assert!(failure.hint.expect("advice").as_str().contains(LOCATION));
}
