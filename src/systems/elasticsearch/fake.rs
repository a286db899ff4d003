//! What the tests of this room share: two scripted clusters, `http://prod:9200` and `http://bcp:9200`, with answers in
//! the shape that real servers gave, and an exchange tree in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::super::fake::{Bench, decode};
use crate::model::End;
use crate::port::fake::{Answer, Call, FakeReach};
use crate::systems::Step;

pub(super) const SERVICE: &str = r#"
[services.search]
kind = "elasticsearch"
prod.urls = ["http://prod:9200"]
bcp.urls = ["http://bcp:9200"]
"#;
pub(super) const REPOSITORY: &str = "changeover-prod-to-bcp-search";
pub(super) const LOCATION: &str = "/mnt/exchange/prod-to-bcp/search-search";
pub(super) const POINT: &str = "p-20260301-020000-0001";

pub(super) type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A bench at one end, with an exchange tree in memory. Prepare what is special, then call [`usual`].
pub(super) fn bench(end: End) -> (Bench, Files) {
    let bench = Bench::new(SERVICE).end(Some(end)).service("search");
    let files = Files::default();
    let seen = Arc::clone(&files);
    bench.reach.compute(" $ ", move |call| exec(call, &seen));
    (bench, files)
}

fn exec(call: &Call, files: &Files) -> Answer {
    let Call::Exec(place, pipeline, _) = call else { return Answer::Hang };
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    let command = pipeline.to_string();
    let words: Vec<&str> = command.split_whitespace().collect();
    match (words.as_slice(), &pipeline.output_file, &pipeline.stdin) {
        ([.., "cat", ">", _], Some(path), Some(content)) => {
            files.insert(path.clone(), content.clone());
        }
        (["mv", "-f", from, to], _, _) => {
            let content = files.remove(*from).unwrap_or_default();
            files.insert((*to).to_owned(), content);
        }
        ([.., "cat", path], None, _) => {
            return match files.get(*path) {
                Some(content) => Answer::stdout(&String::from_utf8_lossy(content)),
                None => Answer::exec(&[1], "", &format!("cat: {path}: No such file or directory")),
            };
        }
        (["LC_ALL=C", "find", "/mnt/exchange/prod-to-bcp/points", ..], ..) => {
            let site = place.to_string();
            let site = site.split(':').next().unwrap_or_default();
            return Answer::stdout(&points_found(&files, site, command.contains("PINNED")));
        }
        _ => {}
    }
    Answer::stdout("")
}

/// Puts the folder of a point on the tree of a site, with this mark in it (`COMPLETE`, `PINNED`, or anything).
pub(super) fn hold(files: &Files, site: &str, point: &str, mark: &str) {
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    files.insert(format!("{site} {point}/{mark}"), Vec::new());
}

/// What `find` prints of the points that were put there by [`hold`]: their folders, or the marks in them.
fn points_found(files: &BTreeMap<String, Vec<u8>>, site: &str, marks: bool) -> String {
    let here = files.keys().filter_map(|path| path.strip_prefix(site)?.strip_prefix(' '));
    if marks {
        return here
            .filter(|path| path.ends_with("/COMPLETE") || path.ends_with("/PINNED"))
            .fold(String::new(), |all, path| all + path + "\0");
    }
    let folders: BTreeSet<&str> = here.filter_map(|path| path.split('/').next()).collect();
    folders.into_iter().fold(String::new(), |all, point| all + "1.5 " + point + "\0")
}

/// Both clusters as they usually are: OpenSearch 2.19.4, healthy, with the index `orders` (2 shards, 5 documents, alias
/// `shop`), nothing registered, nothing running. Rules that were given before win.
pub(super) fn usual(reach: &FakeReach) {
    for (site, uuid) in [("prod", "UUID-A"), ("bcp", "UUID-B")] {
        let at = format!("http://{site}:9200");
        let always = |path: &str, body: Value| {
            reach.always(&format!("GET {at}{path}"), Answer::json(200, body));
        };
        always("/_cluster/state/master_node", json!({"cluster_name": site, "cluster_uuid": uuid, "master_node": "m1"}));
        always("/_cluster/state/metadata", indices(&[("orders", 2, "open")]));
        always("/_cluster/state/blocks", json!({}));
        always("/_cluster/health", health("green"));
        always("/_snapshot/_all", json!({}));
        always("/_snapshot/_status", json!({"snapshots": []}));
        always(&format!("/_snapshot/{REPOSITORY}/_status"), json!({"snapshots": []}));
        always("/orders/_count", count(5, 2));
        always("/orders/_stats/store", json!({"_all": {"primaries": {"store": {"size_in_bytes": 7180}}}}));
        for folder in ["_component_template", "_index_template"] {
            always(&format!("/{folder}"), json!({"component_templates": [], "index_templates": []}));
        }
        reach.always(&format!("GET {at}/_ingest/pipeline"), Answer::json(404, json!({})));
        always("/_template", json!({}));
        always("/_cat/allocation", json!([{"node": "n1", "disk.avail": "72353808384", "disk.total": "270553174016"}]));
        always("/_cluster/settings", json!({}));
        reach.always(&format!("POST {at}/orders/_refresh"), Answer::json(200, json!({"_shards": {"failed": 0}})));
        reach.always(&format!("GET {at}/_snapshot/{REPOSITORY}/"), missing_snapshot());
    }
    // The root last: its address is the beginning of every other.
    for site in ["prod", "bcp"] {
        reach.always(&format!("GET http://{site}:9200/"), root("2.19.4", Some("opensearch")));
    }
}

pub(super) fn root(number: &str, distribution: Option<&str>) -> Answer {
    Answer::json(200, json!({"version": {"number": number, "distribution": distribution}}))
}

pub(super) fn health(status: &str) -> Value {
    json!({"status": status, "number_of_data_nodes": 1, "unassigned_shards": u8::from(status != "green")})
}

pub(super) fn count(documents: u64, shards: u32) -> Value {
    json!({"count": documents, "_shards": {"total": shards, "successful": shards, "skipped": 0, "failed": 0}})
}

/// The metadata of these indices: name, shards, state.
pub(super) fn indices(indices: &[(&str, u32, &str)]) -> Value {
    let entries = indices.iter().map(|(name, shards, state)| {
        let aliases = if *name == "orders" { json!(["shop"]) } else { json!([]) };
        let settings = json!({"index": {
            "number_of_shards": shards.to_string(), "number_of_replicas": "1", "version": {"created": "136408227"}}});
        ((*name).to_owned(), json!({"state": state, "system": false, "aliases": aliases, "settings": settings}))
    });
    json!({"metadata": {"indices": entries.collect::<serde_json::Map<_, _>>()}})
}

/// A snapshot of `orders` as `GET` shows it.
pub(super) fn snapshot(state: &str, run: &str) -> Value {
    json!({"snapshots": [{
        "snapshot": POINT, "uuid": "SNAP-1", "version": "2.19.4", "indices": ["orders"], "data_streams": [],
        "include_global_state": false, "metadata": {"run": run, "point": POINT, "from": "prod"}, "state": state,
        "end_time_in_millis": 1000, "failures": [], "shards": {"total": 2, "failed": 0, "successful": 2}}]})
}

pub(super) fn error(status: u16, kind: &str, reason: &str) -> Answer {
    let cause = json!({"type": kind, "reason": reason});
    Answer::json(status, json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status}))
}

pub(super) fn missing_snapshot() -> Answer {
    error(404, "snapshot_missing_exception", &format!("[{REPOSITORY}:{POINT}] is missing"))
}

pub(super) fn accepted() -> Answer {
    Answer::json(200, json!({"accepted": true}))
}

pub(super) fn acknowledged() -> Answer {
    Answer::json(200, json!({"acknowledged": true}))
}

/// The repository as it is registered.
pub(super) fn repository(readonly: bool) -> Value {
    let mut settings = json!({"location": LOCATION});
    if readonly {
        settings["readonly"] = json!("true");
    }
    json!({REPOSITORY: {"type": "fs", "settings": settings}})
}

/// A step of this room.
pub(super) fn step(name: &str, params: &Value) -> Box<dyn Step> {
    decode(&super::kinds(), name, params)
}

/// The requests that could change something, as method and path without its query, in order.
pub(super) fn changes(reach: &FakeReach) -> Vec<String> {
    let texts = reach.texts().into_iter();
    let texts = texts.filter(|text| ["PUT ", "POST ", "DELETE "].iter().any(|method| text.starts_with(method)));
    let texts = texts.filter(|text| !text.contains("/_refresh") && !text.contains("/_verify"));
    texts
        .map(|text| {
            let end = text.find('?').or(text.find(" {")).unwrap_or(text.len());
            text[..end].replace("http://", "")
        })
        .collect()
}
