//! The clusters of a small world, asked as steps ask them.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::disk::Disk;
use super::answer;
use crate::model::SiteName;
use crate::port::{HttpRequest, Method};
use crate::world::{Fault, Spec, State};

const AT: &str = "/mnt/exchange/repository";

struct World(State);

impl World {
    fn new(nodes: [usize; 2]) -> Self {
        Self(Spec { nodes, write_every: None, ..Spec::small(1) }.build())
    }

    fn site(number: usize) -> SiteName {
        let [first, second] = Spec::sites();
        if number == 0 { first } else { second }
    }

    fn ask(&mut self, site: usize, ask: &str, body: Value) -> (u16, Value, Duration) {
        let (method, path) = ask.split_once(' ').expect("method and path");
        let method = match method {
            "GET" => Method::Get,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            _ => Method::Delete,
        };
        let request = HttpRequest::new(method, format!("http://10.0.1.21:9200{path}"));
        let request = if body.is_null() { request } else { request.json(body) };
        let node = self.0.sites[&Self::site(site)].search.up.iter().position(|up| *up).unwrap_or(0);
        let (response, took) = answer(&mut self.0, &Self::site(site), node, &request);
        (response.status, response.json().expect("JSON"), took)
    }

    /// Expects 200.
    fn good(&mut self, site: usize, ask: &str, body: Value) -> Value {
        let (status, answer, _) = self.ask(site, ask, body);
        assert_eq!(status, 200, "{ask}: {answer}");
        answer
    }

    /// Status, type and reason of a refusal.
    fn refused(&mut self, site: usize, ask: &str, body: Value) -> (u16, String, String) {
        let (status, answer, _) = self.ask(site, ask, body);
        let said = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
        (status, said("type"), said("reason"))
    }

    fn pass(&mut self, seconds: u64) {
        self.0.advance(self.0.now + Duration::from_secs(seconds));
    }

    fn disk(&mut self, site: usize) -> &mut Disk {
        let id = self.0.sites[&Self::site(site)].exchange;
        &mut self.0.disks[id.0]
    }

    fn names(&mut self) -> Vec<String> {
        let found = self.disk(0).walk("/repository").expect("a repository").into_iter();
        found.filter(|(_, inode)| inode.letter() == 'f').map(|(path, _)| path).collect()
    }

    fn register(&mut self, site: usize, readonly: bool) -> (u16, String, String) {
        let settings = if readonly { json!({"location": AT, "readonly": true}) } else { json!({"location": AT}) };
        self.refused(site, "PUT /_snapshot/r", json!({"type": "fs", "settings": settings}))
    }

    fn snapshot(&mut self, name: &str) {
        self.good(0, &format!("PUT /_snapshot/r/{name}"), json!({"indices": "_all", "include_global_state": false}));
        self.pass(10);
        let found = self.good(0, &format!("GET /_snapshot/r/{name}"), Value::Null);
        assert_eq!(found["snapshots"][0]["state"], "SUCCESS");
    }
}

#[test]
fn every_node_that_is_there_says_what_it_is_there_for() {
    let mut world = World::new([3, 1]);
    world.0.sites.get_mut(&World::site(0)).expect("a site").search.set_node(2, false);
    let answer = world.good(0, "GET /_nodes?filter_path=nodes.*.roles", Value::Null);
    let nodes: Vec<&Value> = answer["nodes"].as_object().expect("nodes").values().collect();
    let is_eligible = |node: &&Value| node["roles"].as_array().is_some_and(|r| r.contains(&json!("cluster_manager")));
    assert_eq!((nodes.len(), nodes.iter().filter(|node| is_eligible(node)).count()), (2, 2), "{answer}");
}

#[test]
fn answers_have_the_shape_of_the_real_ones() {
    let mut world = World::new([1, 1]);
    // Recorded from a server; only what is asked for by name anywhere, and what differs from site to site left out.
    let health = r#"{"cluster_name":"","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1,
        "discovered_master":true,"discovered_cluster_manager":true,"active_primary_shards":4,"active_shards":4,
        "relocating_shards":0,"initializing_shards":0,"unassigned_shards":0,"delayed_unassigned_shards":0,
        "number_of_pending_tasks":0,"number_of_in_flight_fetch":0,"task_max_waiting_in_queue_millis":0,
        "active_shards_percent_as_number":100.0}"#;
    let mut real: Value = serde_json::from_str(health).expect("JSON");
    real["cluster_name"] = json!("search-prod");
    assert_eq!(world.good(0, "GET /_cluster/health", Value::Null), real);
    let missing = r#"{"error":{"root_cause":[{"type":"index_not_found_exception","reason":"no such index [nope]",
        "index":"nope","resource.id":"nope","resource.type":"index_or_alias","index_uuid":"_na_"}],
        "type":"index_not_found_exception","reason":"no such index [nope]","index":"nope","resource.id":"nope",
        "resource.type":"index_or_alias","index_uuid":"_na_"},"status":404}"#;
    let real: Value = serde_json::from_str(missing).expect("JSON");
    assert_eq!(world.ask(0, "GET /nope/_count", Value::Null).1, real);
    let (status, answer, took) = world.ask(0, "GET /_cluster/health/nope?timeout=3s", Value::Null);
    assert_eq!((status, &answer["status"], took), (408, &json!("red"), Duration::from_secs(3)));

    assert_eq!(world.register(0, false).0, 200);
    world.snapshot("s1");
    let found = world.good(0, "GET /_snapshot/r/s1", Value::Null);
    let names: Vec<&String> = found["snapshots"][0].as_object().expect("an object").keys().collect();
    let real = "snapshot uuid version_id version remote_store_index_shallow_copy indices data_streams \
                include_global_state state start_time start_time_in_millis end_time end_time_in_millis \
                duration_in_millis failures shards";
    assert_eq!(names, real.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn deleting_a_snapshot_leaves_what_others_need_and_nothing_else() {
    let mut world = World::new([1, 1]);
    world.register(0, false);
    world.snapshot("s1");
    let first = world.names();
    assert!(super::write(&mut world.0, &World::site(0), 1));
    world.snapshot("s2");
    let grown = world.names();
    let data = |names: &[String]| names.iter().filter(|name| name.contains("/__")).count();
    // One new file holds the one new document; the others are shared.
    assert_eq!((data(&first), data(&grown)), (4, 5));
    world.good(0, "DELETE /_snapshot/r/s1", Value::Null);
    assert_eq!(data(&world.names()), 5, "the second needs them all");
    assert_eq!(world.refused(0, "GET /_snapshot/r/s1", Value::Null).0, 404);
    world.good(0, "POST /orders,customers,events/_close", Value::Null);
    world.good(0, "POST /_snapshot/r/s2/_restore", json!({"indices": "_all"}));
    world.pass(10);
    assert_eq!(world.good(0, "GET /orders,customers,events/_count", Value::Null)["count"], 61);
    world.good(0, "DELETE /_snapshot/r/s2", Value::Null);
    assert_eq!(world.names(), ["index-3", "index.latest"]);
    let strays = world.good(0, "POST /_snapshot/r/_cleanup", Value::Null);
    assert_eq!(strays["results"]["deleted_blobs"], 0);
}

#[test]
fn a_deletion_waits_for_the_snapshot_that_is_taken_and_one_that_runs_is_stopped() {
    let mut world = World::new([1, 1]);
    world.register(0, false);
    world.snapshot("s1");
    world.good(0, "PUT /_snapshot/r/s2", json!({"indices": "_all"}));
    let again = world.refused(0, "PUT /_snapshot/r/s2", Value::Null);
    assert!(again.0 == 400 && again.2.ends_with("snapshot with the same name is already in-progress"), "{again:?}");
    let busy = world.refused(0, "DELETE /orders", Value::Null);
    assert_eq!((busy.0, busy.1.as_str()), (400, "snapshot_in_progress_exception"));
    let (status, _, took) = world.ask(0, "DELETE /_snapshot/r/s1", Value::Null);
    assert!(status == 200 && took > Duration::from_secs(1), "{took:?}");
    world.pass(10);
    let left = world.good(0, "GET /_snapshot/r/_all?filter_path=snapshots.snapshot,snapshots.state", Value::Null);
    assert_eq!(left, json!({"snapshots": [{"snapshot": "s2", "state": "SUCCESS"}]}));
    // The files that both need are still there.
    world.good(0, "POST /orders,customers,events/_close", Value::Null);
    world.good(0, "POST /_snapshot/r/s2/_restore", Value::Null);
    world.pass(10);
    assert_eq!(world.good(0, "GET /_all/_count", Value::Null)["count"], 60);

    world.good(0, "PUT /_snapshot/r/s3", json!({"indices": "_all"}));
    world.pass(1);
    world.good(0, "DELETE /_snapshot/r/s3", Value::Null);
    assert_eq!(world.refused(0, "GET /_snapshot/r/s3", Value::Null).0, 404);
    world.pass(10);
    assert_eq!(world.good(0, "GET /_snapshot/r/_all", Value::Null)["snapshots"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_reader_never_writes_and_a_second_writer_is_found_out() {
    let mut world = World::new([1, 1]);
    // The folder of a reader is not made.
    let nowhere = world.register(1, true);
    assert_eq!((nowhere.0, nowhere.1.as_str()), (500, "repository_verification_exception"));
    world.register(0, false);
    world.snapshot("s1");
    // Both clusters on one tree, as it must never be.
    let shared = world.0.sites[&World::site(0)].exchange;
    world.0.sites.get_mut(&World::site(1)).expect("a site").exchange = shared;
    assert_eq!(world.register(1, true).0, 200);
    let found = world.good(1, "GET /_snapshot/r/s1", Value::Null);
    assert_eq!(found["snapshots"][0]["state"], "SUCCESS");
    for (ask, said) in [
        ("PUT /_snapshot/r/s2", "cannot create snapshot in a readonly repository"),
        ("DELETE /_snapshot/r/s1", "cannot delete snapshot from a readonly repository"),
        ("POST /_snapshot/r/_cleanup", "cannot run cleanup on readonly repository"),
    ] {
        let (status, kind, reason) = world.refused(1, ask, Value::Null);
        assert!(status == 500 && kind == "repository_exception" && reason.ends_with(said), "{reason}");
    }
    let before = world.names();
    assert_eq!(world.register(1, false).0, 200);
    world.good(1, "DELETE /_snapshot/r/s1", Value::Null);
    assert_ne!(world.names(), before, "a second writer writes");
    let (status, _, reason) = world.refused(0, "DELETE /_snapshot/r/s1", Value::Null);
    assert!(status == 500 && reason.contains("concurrent modification of the index-N file"), "{reason}");
}

#[test]
fn a_share_that_stalls_holds_up_what_touches_it_only() {
    let mut world = World::new([1, 1]);
    world.register(0, false);
    world.good(0, "PUT /_snapshot/r/s1", json!({"indices": "_all"}));
    world.0.strike(&Fault::ShareStalls { site: World::site(0) });
    world.pass(60);
    assert_eq!(world.good(0, "GET /_snapshot/_status", Value::Null)["snapshots"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.ask(0, "GET /_snapshot/r/s1", Value::Null).2, Duration::MAX);
    assert_eq!(world.good(0, "GET /_all/_count", Value::Null)["count"], 60);
    world.0.strike(&Fault::ShareAnswers { site: World::site(0) });
    world.pass(10);
    assert_eq!(world.good(0, "GET /_snapshot/r/s1", Value::Null)["snapshots"][0]["state"], "SUCCESS");
}

#[test]
fn copies_on_a_lost_node_are_missing_and_without_a_majority_there_is_no_master() {
    let mut world = World::new([3, 1]);
    let status = |world: &mut World| world.good(0, "GET /_cluster/health", Value::Null)["status"].clone();
    assert_eq!(status(&mut world), "green");
    world.0.strike(&Fault::NodeDown { site: World::site(0), node: 0 });
    assert_eq!(status(&mut world), "yellow");
    // Into both shards: the first has a copy on the node that is down.
    for number in 1..=6 {
        assert!(super::write(&mut world.0, &World::site(0), number));
    }
    world.0.strike(&Fault::NodeDown { site: World::site(0), node: 1 });
    let (status_code, answer, took) = world.ask(0, "GET /_cluster/health", Value::Null);
    assert_eq!((status_code, took), (503, Duration::from_secs(30)));
    assert_eq!(answer["error"]["type"], "cluster_manager_not_discovered_exception");
    assert!(!super::write(&mut world.0, &World::site(0), 7));
    // What comes back without the node that has them has missed writes: it is not served.
    world.0.strike(&Fault::NodeUp { site: World::site(0), node: 0 });
    assert_eq!(status(&mut world), "red");
    let count = world.good(0, "GET /orders/_count", Value::Null);
    assert_eq!((&count["_shards"]["total"], &count["_shards"]["successful"]), (&json!(2), &json!(1)));
    world.0.strike(&Fault::NodeUp { site: World::site(0), node: 1 });
    assert_eq!(status(&mut world), "green");
    assert_eq!(world.good(0, "GET /orders/_count", Value::Null)["count"], 36);
}
