//! Search clusters that are not fit, and repositories that are not ours.

use std::fs;

use serde_json::Value;

use super::Scenario;
use super::day::{Day, Without, put_back, wait_until};
use super::files::files_below;
use super::sql::SEAL;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("search red", search_red),
    ("search snapshot that is partial", partial_snapshot),
    ("search snapshot of a stranger", snapshot_of_a_stranger),
    ("search repositories that are gone", repositories_gone),
    ("search repository where nobody may write", repository_elsewhere),
    ("search index that is not copied", index_that_is_not_copied),
    ("search down", search_down),
    ("second writer", second_writer),
];

fn search_red(day: &Day) {
    let nowhere = r#"{"settings":{"index.routing.allocation.require._name":"nowhere","number_of_replicas":0}}"#;
    let red = Index::new(day, "red", nowhere);
    let ran = day.replicate();
    drop(red);
    ran.expect(1).says("search-source@prod").says("the cluster is red").says("GET /_cat/shards");
}

/// An index at prod that is gone when this is dropped.
struct Index<'a>(&'a Day, &'static str);

impl<'a> Index<'a> {
    fn new(day: &'a Day, name: &'static str, settings: &str) -> Self {
        day.search(1, "PUT", &format!("{name}?wait_for_active_shards=0"), settings);
        Self(day, name)
    }
}

impl Drop for Index<'_> {
    fn drop(&mut self) {
        put_back(|| drop(self.0.search(1, "DELETE", self.1, "")));
    }
}

/// A shard of a real server whose file has rotted on the disk: it still answers, but cannot be copied.
fn partial_snapshot(day: &Day) {
    let torn = Index::new(day, "torn", r#"{"settings":{"number_of_shards":2,"number_of_replicas":0}}"#);
    wait_until("its shards are there", || day.search(1, "GET", "_cat/health?h=status", "").trim() == "green");
    let documents: Vec<String> =
        (0..400).map(|id| format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n{{\"text\":\"document {id}\"}}\n")).collect();
    day.search(1, "POST", "torn/_bulk?refresh=true", &documents.concat());
    day.search(1, "POST", "torn/_forcemerge?max_num_segments=1&flush=true", "");
    let uuid = day.search(1, "GET", "_cat/indices/torn?h=uuid", "");
    let shard = day.lab.dir.join("prod/search/data/nodes/0/indices").join(uuid.trim()).join("1/index");
    let mut files = Vec::new();
    files_below(&shard, &mut files);
    files.retain(|file| file.extension().is_some_and(|kind| kind == "cfs" || kind == "fdt"));
    // All of them: what was merged may be there for a while, may be larger, and is not what is copied.
    let mut damaged = 0;
    for segment in files {
        let Ok(mut bytes) = fs::read(&segment) else { continue };
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&segment, &bytes).expect("it can be damaged");
        damaged += 1;
    }
    assert_ne!(damaged, 0, "there is no segment");

    let snapshot = "[[stages.steps]]\nid = \"snapshot\"\nuses = \"elasticsearch.snapshot\"\non = \"source\"\n\
                    service = \"search\"\nretry = { attempts = 1 }\n";
    let ran = day.program.run(&["run", &day.runbook(&format!("{snapshot}{SEAL}"))]);
    let ran = ran.expect(1).says("steps/snapshot@prod").says("it ended as PARTIAL: 1 of ").says("torn[1]: ");
    let ran = ran.says("CorruptIndexException").says("nothing was deleted").says("then run again");
    let sealed = ran.text().contains("START   steps/seal");
    drop(torn);
    assert!(!sealed, "a point with half a snapshot was sealed: {}", ran.text());
    // The next attempt takes another name, and leaves what is there alone.
    day.program.run(&["resume", "latest"]).expect(0);
}

fn repositories_gone(day: &Day) {
    for site in [1, 2] {
        day.search(site, "DELETE", "_snapshot/changeover-prod-to-bcp-search", "");
    }
    // Somebody has written to the standby meanwhile; its indices are open.
    let name = day.prod["search"].as_object().expect("indices").keys().next().expect("an index").clone();
    day.search(2, "POST", &format!("{name}/_doc?refresh=true"), r#"{"stray":true}"#);
    assert_ne!(day.lab.count("bcp")["search"], day.bcp["search"]);
    let ran = day.replicate().expect(0);
    let ran = ran.says("registered repository changeover-prod-to-bcp-search at ");
    ran.says("registered repository changeover-prod-to-bcp-search read-only at ");
}

fn repository_elsewhere(day: &Day) {
    day.edit_estate("kind = \"elasticsearch\"\n", "kind = \"elasticsearch\"\nrepository_path = \"/srv/elsewhere\"\n");
    let step = "[[stages.steps]]\nid = \"snapshot\"\nuses = \"elasticsearch.snapshot\"\non = \"source\"\n\
                service = \"search\"\n";
    let ran = day.program.run(&["run", &day.runbook(step)]);
    ran.expect(3).says("registered there as fs at ").says("should be fs at `/srv/elsewhere/");
    let path = "_snapshot/changeover-prod-to-bcp-search";
    let registered: Value = serde_json::from_str(&day.search(1, "GET", path, "")).expect("JSON");
    day.search(1, "DELETE", path, "");
    let ran = day.program.run(&["run", &day.runbook(step)]);
    day.search(1, "PUT", path, &registered["changeover-prod-to-bcp-search"].to_string());
    ran.expect(1).says("register repository").says("path.repo").says("every node");
}

fn snapshot_of_a_stranger(day: &Day) {
    let step = "[[stages.steps]]\nid = \"snapshot\"\nuses = \"elasticsearch.snapshot\"\non = \"source\"\n\
                service = \"search\"\nwith = { name = \"monthly\" }\n";
    let runbook = day.runbook(step);
    day.program.run(&["run", &runbook]).expect(0);
    let of = || day.search(1, "GET", "_snapshot/changeover-prod-to-bcp-search/monthly?filter_path=snapshots.uuid", "");
    let before = of();
    let ran = day.program.run(&["run", &runbook]).expect(3).says("steps/snapshot@prod").says("snapshot monthly");
    ran.says("this run did not make it").says("another `name`");
    assert_eq!(of(), before, "the stranger's snapshot was touched");
}

fn index_that_is_not_copied(day: &Day) {
    day.search(2, "POST", "foreign-x/_doc?refresh=true", r#"{"theirs":true}"#);
    let ran = day.program.run(&["plan", "replicate"]);
    let left = day.search(2, "GET", "foreign-x/_count", "");
    day.search(2, "DELETE", "foreign-x", "");
    assert!(left.contains("\"count\":1"), "{left}");
    ran.expect(0).says("index foreign-x at bcp");
}

fn search_down(day: &Day) {
    let _down = Without::new(day, "kill", "prod", "search");
    day.replicate()
        .expect(1)
        .says("search-source@prod")
        .says("Connection refused")
        .says("see whether the cluster runs");
}

fn second_writer(day: &Day) {
    let path = "_snapshot/changeover-prod-to-bcp-search";
    let read_only = day.search(2, "GET", path, "");
    let repositories: Value = serde_json::from_str(&read_only).expect("JSON");
    let mut settings = repositories["changeover-prod-to-bcp-search"].clone();
    assert_eq!(settings["settings"]["readonly"], "true", "{read_only}");
    let good = settings.to_string();
    settings["settings"].as_object_mut().expect("settings").remove("readonly");
    day.search(2, "PUT", path, &settings.to_string());
    let whole = day.program.run(&["run", "replicate", "--output", "json"]);
    let ran = day.program.run(&["run", "restore", "--output", "json"]);
    day.search(2, "PUT", path, &good);
    let whole = whole.expect(3).says("search-standby@bcp").says("registered there for writing");
    assert!(!whole.stdout().contains("\"unit_started\",\"unit\":\"search-snapshot"), "{}", whole.text());
    let ran = ran.expect(3).says("registered there for writing").says("make sure that this is the standby");
    // Found before any store is replaced, not while the others already are.
    for step in ["restore-db", "restore-assets", "restore-search"] {
        let started = ran.stdout().lines().any(|line| line.contains("\"unit_started\"") && line.contains(step));
        assert!(!started, "{step} was started:\n{}", ran.text());
    }
}
