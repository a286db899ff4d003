//! What makes a cluster's lights change, against scripted clusters.

use serde_json::json;

use super::super::fake::{LOCATION, REPOSITORY, changes, error, health, repository, usual};
use super::*;
use crate::model::SafeText;
use crate::port::ReachErrorKind;
use crate::port::fake::{Answer, Call, FakeReach};
use crate::systems::fake::Bench;

/// Two nodes at prod, so that they can disagree.
const TWO: &str = r#"
[services.search]
kind = "elasticsearch"
prod.urls = ["http://prod:9200", "http://prod2:9200"]
bcp.urls = ["http://bcp:9200"]
"#;

async fn look(probe: &dyn Probe, end: End, prepare: impl FnOnce(&FakeReach)) -> Result<Reading, Failure> {
    let bench = Bench::new(TWO).end(Some(end)).service("search");
    prepare(&bench.reach);
    let second = json!({"cluster_uuid": "UUID-A", "master_node": "m1"});
    bench.reach.always("GET http://prod2:9200/_cluster/state/master_node", Answer::json(200, second));
    bench.reach.always("/*,-.*/_count", Answer::json(200, super::super::fake::count(5, 2)));
    let roles = json!({"nodes": {"n1": {"roles": ["data", "cluster_manager"]}}});
    bench.reach.always("/_nodes?filter_path=nodes.*.roles", Answer::json(200, roles));
    usual(&bench.reach);
    let result = probe.look(&bench.cx).await;
    assert_eq!(changes(&bench.reach), [""; 0], "a look changes nothing");
    result
}

type Prepare = fn(&FakeReach);

#[tokio::test(start_paused = true)]
async fn a_cluster_is_as_well_as_its_nodes_and_shards() {
    let well: Prepare = |_| {};
    let silent: Prepare = |reach| {
        reach.always("GET http://prod2:9200", Answer::error(ReachErrorKind::Unreachable, "connection refused"));
    };
    let split: Prepare = |reach| {
        let other = json!({"cluster_uuid": "UUID-A", "master_node": "m2"});
        reach.always("GET http://prod2:9200/_cluster/state/master_node", Answer::json(200, other));
    };
    let headless: Prepare = |reach| {
        let none = json!({"cluster_uuid": "UUID-A", "master_node": null});
        reach.always("/_cluster/state/master_node", Answer::json(200, none));
    };
    let alone: Prepare = |reach| {
        let none = json!({"cluster_uuid": "UUID-A", "master_node": null});
        reach.always("GET http://prod:9200/_cluster/state/master_node", Answer::json(200, none));
        // Everything else would wait for a master there.
        reach.always("GET http://prod:9200", Answer::Hang);
        reach.always("GET http://prod2:9200/_cluster/health", Answer::json(200, health("green")));
        reach.always("GET http://prod2:9200/_snapshot/_status", Answer::json(200, json!({"snapshots": []})));
        reach.always("GET http://prod2:9200/_cluster/state/blocks", Answer::json(200, json!({})));
    };
    let unjoined: Prepare = |reach| {
        let none = json!({"cluster_uuid": "_na_", "master_node": null});
        reach.always("GET http://prod2:9200/_cluster/state/master_node", Answer::json(200, none));
    };
    let foreign: Prepare = |reach| {
        let other = json!({"cluster_uuid": "UUID-Z", "master_node": "m1"});
        reach.always("GET http://prod2:9200/_cluster/state/master_node", Answer::json(200, other));
    };
    let yellow: Prepare = |reach| {
        reach.always("prod:9200/_cluster/health", Answer::json(200, health("yellow")));
    };
    let red: Prepare = |reach| {
        reach.always("/_cluster/health", Answer::json(200, health("red")));
        reach.always("/_count", error(503, "search_phase_execution_exception", "all shards failed"));
    };
    let blocked: Prepare = |reach| {
        let block = json!({"8": {"description": "index write (api)", "levels": ["write"]}});
        reach.always("/_cluster/state/blocks", Answer::json(200, json!({"blocks": {"indices": {"orders": block}}})));
    };
    let flooded: Prepare = |reach| {
        let block = json!({"12": {"description": "disk usage exceeded flood-stage watermark, index has read-only-allow-delete block", "levels": ["write"]}});
        reach.always("/_cluster/state/blocks", Answer::json(200, json!({"blocks": {"indices": {"orders": block}}})));
        // The light of the disks tells it.
        let disks = json!([{"node": "n1", "disk.avail": "1000", "disk.total": "1000000"}]);
        reach.always("/_cat/allocation", Answer::json(200, disks));
        let marks = json!({"defaults": {"cluster": {"routing": {"allocation": {"disk": {
            "threshold_enabled": "true", "watermark": {"low": "85%", "flood_stage": "95%"}}}}}}});
        reach.always("/_cluster/settings", Answer::json(200, marks));
    };
    let drained: Prepare = |reach| {
        let block = json!({"12": {"description": "disk usage exceeded flood-stage watermark, index has read-only-allow-delete block", "levels": ["write"]}});
        reach.always("/_cluster/state/blocks", Answer::json(200, json!({"blocks": {"indices": {"orders": block}}})));
    };
    let mute: Prepare = |reach| {
        reach.always("/_cluster/state/blocks", Answer::Hang);
    };
    let (up, degraded, down) = (Condition::Up, Condition::Degraded, Condition::Down);
    for (what, end, prepare, condition, said) in [
        ("well", End::Source, well, up, ""),
        ("a node is silent", End::Source, silent, degraded, "connection refused"),
        ("split", End::Source, split, down, "prod2:9200 says that the master is m2"),
        ("a node is alone", End::Source, alone, degraded, "node http://prod:9200 knows no master"),
        ("a node has not joined", End::Source, unjoined, degraded, "node http://prod2:9200 knows no master"),
        ("another cluster", End::Source, foreign, down, "prod2:9200 belongs to another cluster"),
        ("no master", End::Source, headless, down, "the quorum is lost"),
        ("blocked", End::Source, blocked, down, "nobody can write to orders: index write (api)"),
        ("blocked where it will be replaced", End::Target, blocked, up, ""),
        ("flooded", End::Source, flooded, up, ""),
        ("flooded once", End::Source, drained, down, "nobody can write to orders: disk usage exceeded"),
        ("nobody says what is blocked", End::Source, mute, up, ""),
        ("yellow", End::Source, yellow, degraded, "1 copies are on no node"),
        ("red", End::Source, red, down, "the cluster is red"),
        ("red where it will be replaced", End::Target, red, degraded, "the cluster is red"),
    ] {
        let reading = look(&Cluster, end, prepare).await.expect(what);
        let found = reading.findings.first().map_or("", SafeText::as_str);
        assert_eq!(reading.condition, condition, "{what}: {found}");
        assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{what}: {found}");
        let counted = reading.figures.iter().any(|figure| figure.name.as_str() == "documents");
        assert_eq!(
            counted,
            !["split", "another cluster", "no master"].contains(&what) && !what.starts_with("red"),
            "{what}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_master_nobody_waits_for_repository_and_disks() {
    let headless: Prepare = |reach| {
        let none = json!({"cluster_uuid": "UUID-A", "master_node": null});
        reach.always("/_cluster/state/master_node", Answer::json(200, none));
        reach.always("GET http://", Answer::Hang);
    };
    for probe in [&Repository as &dyn Probe, &Disk] {
        let failure = look(probe, End::Source, headless).await.expect_err("no master");
        assert!(failure.kind == FailureKind::Busy && failure.got.as_str() == NO_MASTER, "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn how_many_may_become_master_is_only_shown() {
    let figures = |reading: &Reading| {
        let named = |name| reading.figures.iter().find(|figure| figure.name.as_str() == name).map(|found| found.value);
        (named("master-eligible nodes"), named("masters to spare"))
    };
    let roles = |roles: Value| {
        move |reach: &FakeReach| {
            reach.always("prod:9200/_nodes", Answer::json(200, roles));
        }
    };
    let (old, new) = (json!({"roles": ["data", "master"]}), json!({"roles": ["cluster_manager"]}));
    let three = json!({"nodes": {"a": old, "b": new, "c": old, "d": {"roles": ["data"]}}});
    let reading = look(&Cluster, End::Source, roles(three)).await.expect("a reading");
    assert_eq!((reading.condition, figures(&reading)), (Condition::Up, (Some(3.0), Some(1.0))));
    assert!(
        reading.summary.as_str().ends_with("3 master-eligible nodes of which at most 1 may fail"),
        "{}",
        reading.summary
    );
    let one = look(&Cluster, End::Source, roles(json!({"nodes": {"a": new}}))).await.expect("a reading");
    assert_eq!((one.condition, figures(&one)), (Condition::Up, (Some(1.0), Some(0.0))));
    let hangs: Prepare = |reach| {
        reach.always("prod:9200/_nodes", Answer::Hang);
    };
    let silent = look(&Cluster, End::Source, hangs).await.expect("a reading");
    assert_eq!((silent.condition, figures(&silent)), (Condition::Up, (None, None)));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_which_no_node_answers_is_silent() {
    let hanging: Prepare = |reach| {
        reach.always("GET http://prod", Answer::error(ReachErrorKind::Lost, "no answer within 3s"));
    };
    let failure = look(&Cluster, End::Source, hanging).await.expect_err("silence");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert_eq!(failure.got.as_str().matches("no answer within 3s").count(), 2, "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_first_node_that_hangs_hides_nothing() {
    let hanging: Prepare = |reach| {
        reach.always("http://prod:9200", Answer::Hang);
        let at = "GET http://prod2:9200";
        reach.always(&format!("{at}/_cluster/health"), Answer::json(200, health("green")));
        reach.always(&format!("{at}/_snapshot/_status"), Answer::json(200, json!({"snapshots": []})));
        reach.always(&format!("{at}/_cluster/state/blocks"), Answer::json(200, json!({})));
        reach.always(&format!("{at}/_snapshot/_all"), Answer::json(200, repository(false)));
        let disks = json!([{"node": "n2", "disk.avail": "900000", "disk.total": "1000000"}]);
        reach.always(&format!("{at}/_cat/allocation"), Answer::json(200, disks));
        reach.always(&format!("{at}/_cluster/settings"), Answer::json(200, json!({})));
    };
    for (entry, condition, said) in [
        ("cluster", Condition::Degraded, "green"),
        ("repository", Condition::Up, REPOSITORY),
        ("disk", Condition::Up, "10 % used"),
    ] {
        let entry = probes(&Map::new()).into_iter().find(|probe| probe.question == entry).expect("a probe");
        let looked = tokio::time::timeout(entry.deadline, look(entry.probe.as_ref(), End::Source, hanging)).await;
        let reading = looked.expect("in time").expect("a node answers");
        assert_eq!(reading.condition, condition, "{}: {:?}", entry.question, reading.findings);
        assert!(reading.summary.as_str().contains(said), "{}: {}", entry.question, reading.summary);
        assert_eq!(reading.source.as_str(), "http://prod2:9200");
    }
}

#[tokio::test(start_paused = true)]
async fn documents_that_nobody_counts_in_time_are_left_out() {
    let hanging: Prepare = |reach| {
        reach.always("/_count", Answer::Hang);
    };
    let entry = probes(&Map::new()).into_iter().find(|probe| probe.question == "cluster").expect("a probe");
    let looked = tokio::time::timeout(entry.deadline, look(&Cluster, End::Source, hanging)).await;
    let reading = looked.expect("in time").expect("a reading");
    assert_eq!((reading.condition, reading.figures[0].name.as_str()), (Condition::Up, "data nodes"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_runs_is_told() {
    let running: Prepare = |reach| {
        let running = json!({"snapshots": [{"snapshot": "p-1", "repository": "r", "shards_stats": {"done": 1, "total": 4, "initializing": 1}}]});
        reach.always("/_snapshot/_status", Answer::json(200, running));
    };
    let reading = look(&Cluster, End::Source, running).await.expect("a reading");
    assert_eq!(reading.condition, Condition::Up);
    assert!(reading.summary.as_str().contains(", snapshot p-1 runs (1 of 4 shards)"), "{}", reading.summary);
}

#[tokio::test(start_paused = true)]
async fn only_one_end_may_write_to_the_repository() {
    let registered = |readonly| {
        move |reach: &FakeReach| {
            reach.always("/_snapshot/_all", Answer::json(200, repository(readonly)));
        }
    };
    let under_another_name = |reach: &FakeReach| {
        let other = json!({"old": {"type": "fs", "settings": {"location": LOCATION}}});
        reach.always("/_snapshot/_all", Answer::json(200, other));
    };
    let ask = async |end, prepare: &dyn Fn(&FakeReach)| look(&Repository, end, prepare).await.expect("a reading");
    let good = ask(End::Source, &registered(false)).await;
    assert_eq!((good.condition, good.summary.as_str()), (Condition::Up, format!("writer: {REPOSITORY}").as_str()));
    let good = ask(End::Target, &registered(true)).await;
    assert_eq!((good.condition, good.summary.as_str()), (Condition::Up, format!("read-only: {REPOSITORY}").as_str()));
    let none = ask(End::Target, &|_| {}).await;
    assert!(none.condition == Condition::Up && none.summary.as_str().starts_with("not registered yet"));
    for (end, prepare, said) in [
        (End::Source, &registered(true) as &dyn Fn(&FakeReach), "read-only"),
        (End::Target, &registered(false), "only the source may write"),
        (End::Target, &under_another_name, "another name, `old`"),
    ] {
        let bad = ask(end, prepare).await;
        assert_eq!(bad.condition, Condition::Down);
        assert!(bad.findings[0].as_str().contains(said), "{}", bad.findings[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_fullest_node_is_shown_and_keeps_the_source_from_writing() {
    let disks = |free: u64| {
        move |reach: &FakeReach| {
            let disks = json!([
                {"node": "n1", "disk.avail": "900000", "disk.total": "1000000"},
                {"node": "n2", "disk.avail": free.to_string(), "disk.total": "1000000"},
                {"node": "UNASSIGNED", "disk.avail": null, "disk.total": null}]);
            reach.always("/_cat/allocation", Answer::json(200, disks));
            let marks = json!({"defaults": {"cluster": {"routing": {"allocation": {"disk": {
                "threshold_enabled": "true", "watermark": {"low": "85%", "flood_stage": "95%"}}}}}}});
            reach.always("/_cluster/settings", Answer::json(200, marks));
        }
    };
    for (end, free, condition, used, said) in [
        (End::Source, 200_000, Condition::Up, 80.0, ""),
        (End::Source, 100_000, Condition::Degraded, 90.0, "it takes no new shards"),
        (End::Source, 20_000, Condition::Down, 98.0, "its indices cannot be written"),
        (End::Target, 20_000, Condition::Degraded, 98.0, "cannot be written, and a restore finds no room there"),
    ] {
        let reading = look(&Disk, end, disks(free)).await.expect("a reading");
        assert_eq!((reading.condition, reading.figures[0].value), (condition, used), "{end} {free}");
        let found = reading.findings.first().map_or("", SafeText::as_str);
        assert!(found.ends_with(said) && found.is_empty() == said.is_empty(), "{end} {free}: {found}");
        assert!(found.is_empty() || found.starts_with("node n2 has "), "{found}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_node_that_is_asked_by_https_shows_how_long_its_certificate_holds() {
    let https = TWO.replace(
        r#"prod.urls = ["http://prod:9200", "http://prod2:9200"]"#,
        "prod.urls = [\"https://prod:9200\", \"https://prod2:9200\"]\nprod.ca_pem = \"OURS\"",
    );
    let bench = Bench::new(&https).end(Some(End::Source)).service("search");
    bench.reach.always("certificate of https://prod:9200", Answer::certificate("2027-01-01T00:00:00Z"));
    bench.reach.always("certificate of https://prod2:9200", Answer::certificate("2026-03-06T00:00:00Z"));
    let settings = |urls| json!({ "urls": urls }).as_object().expect("settings").clone();
    let asked = |urls| probes(&settings(urls)).into_iter().find(|entry| entry.question == "certificate");
    assert!(asked(json!(["http://prod:9200"])).is_none(), "plain HTTP has no certificate");
    let entry = asked(json!(["http://prod:9200", "https://prod2:9200"])).expect("one is asked by HTTPS");
    let reading = entry.probe.look(&bench.cx).await.expect("a reading");
    assert_eq!((reading.condition, reading.findings.len()), (Condition::Degraded, 1));
    assert!(reading.findings[0].as_str().starts_with("the certificate of https://prod2:9200 ends in 4 days"));
    let trusted = |call: &Call| matches!(call, Call::Certificate(look) if look.ca_pem.as_deref() == Some("OURS"));
    assert!(bench.reach.calls().iter().all(trusted) && bench.reach.calls().len() == 2);
}
