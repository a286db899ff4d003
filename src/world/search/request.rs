//! A request as the server reads it, the answer that goes back, and who answers what.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::filter::filter;
use super::scene::Scene;
use crate::port::{HttpRequest, Method};

/// How long most answers take.
const SHORT: Duration = Duration::from_millis(4);
/// How long the server waits for a master when it is not told.
const MASTER_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer, and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) took: Duration,
}

impl Reply {
    /// 200.
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body, took: SHORT }
    }

    /// A change that was made.
    pub(super) fn acknowledged() -> Self {
        Self::ok(json!({"acknowledged": true})).after(Duration::from_millis(60))
    }

    /// The same, later.
    pub(super) fn after(self, took: Duration) -> Self {
        Self { took, ..self }
    }

    /// A refusal.
    pub(super) fn error(status: u16, kind: &str, reason: impl Into<String>) -> Self {
        Self::error_of(status, &json!({"type": kind, "reason": reason.into()}), None)
    }

    /// A refusal with what caused it.
    pub(super) fn caused(status: u16, kind: &str, reason: impl Into<String>, cause: &(&str, String)) -> Self {
        let cause = json!({"type": cause.0, "reason": cause.1});
        Self::error_of(status, &json!({"type": kind, "reason": reason.into()}), Some(cause))
    }

    fn error_of(status: u16, error: &Value, cause: Option<Value>) -> Self {
        let mut outer = error.clone();
        outer["root_cause"] = json!([error]);
        if let Some(cause) = cause {
            outer["caused_by"] = cause;
        }
        Self { status, body: json!({"error": outer, "status": status}), took: SHORT }
    }

    /// No index of that name.
    pub(super) fn no_index(name: &str) -> Self {
        let error = json!({"type": "index_not_found_exception", "reason": format!("no such index [{name}]"),
            "index": name, "resource.id": name, "resource.type": "index_or_alias", "index_uuid": "_na_"});
        Self::error_of(404, &error, None)
    }

    /// A closed index that is asked what only an open one can tell.
    pub(super) fn closed_index(name: &str, uuid: &str) -> Self {
        let error = json!({"type": "index_closed_exception", "reason": "closed", "index": name, "index_uuid": uuid});
        Self::error_of(400, &error, None)
    }

    /// What is asked of a share that does not answer is never answered.
    pub(super) fn never() -> Self {
        Self { status: 504, body: json!({}), took: Duration::MAX }
    }
}

/// A request.
pub(super) struct Request {
    method: Method,
    /// The segments of its path.
    path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Map<String, Value>,
}

impl Request {
    /// Reads what was sent.
    pub(super) fn read(request: &HttpRequest) -> Self {
        let rest = request.url.split_once("://").map_or(request.url.as_str(), |(_, rest)| rest);
        let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let query = query.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        });
        let body = match &request.body {
            Some(Value::Object(body)) => body.clone(),
            _ => Map::new(),
        };
        Self { method: request.method, path, query: query.collect(), body }
    }

    /// True when a parameter says so.
    pub(super) fn says(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value.is_empty() || value == "true")
    }

    /// A field of the body that is true or false, with what it is when left out.
    pub(super) fn flag(&self, name: &str, otherwise: bool) -> bool {
        self.body.get(name).and_then(Value::as_bool).unwrap_or(otherwise)
    }

    /// A duration such as `60s` of the query.
    pub(super) fn span(&self, name: &str) -> Option<Duration> {
        Some(Duration::from_secs(self.query.get(name)?.strip_suffix('s')?.parse().ok()?))
    }

    /// The answer of a node.
    pub(super) fn answer(&self, scene: &mut Scene<'_>, node: usize) -> Reply {
        let reply = self.route(scene, node);
        match self.query.get("filter_path") {
            // Refusals are filtered too on a real server; nobody filters what he would not understand then.
            Some(paths) if reply.status != 500 && reply.body.get("error").is_none() => {
                Reply { body: filter(&reply.body, paths), ..reply }
            }
            _ => reply,
        }
    }

    fn route(&self, scene: &mut Scene<'_>, node: usize) -> Reply {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        // Asked of the node itself, or of the shards that are there.
        match (self.method, path.as_slice()) {
            (Method::Get | Method::Head, []) => return scene.root(node),
            (Method::Get, ["_nodes", "_local"]) => return scene.local_node(node),
            (Method::Get, ["_cluster", "state", "master_node" | "cluster_manager_node"]) if self.says("local") => {
                return scene.master_seen();
            }
            (Method::Get, [names, "_count"]) => return scene.count(names, self.says("ignore_unavailable")),
            (Method::Post | Method::Get, [names, "_refresh"]) => {
                return scene.refresh(names, self.says("ignore_unavailable"));
            }
            (Method::Get, [names, "_stats", ..]) => return scene.stats(names),
            (Method::Get, ["_recovery"]) => return scene.recovery("_all", self.says("active_only")),
            (Method::Get, [names, "_recovery"]) => return scene.recovery(names, self.says("active_only")),
            (_, []) => {
                let error =
                    format!("Incorrect HTTP method for uri [/] and method [{}], allowed: [GET, HEAD]", self.method);
                return Reply { status: 405, body: json!({"error": error, "status": 405}), took: SHORT };
            }
            _ => {}
        }
        // Everything else goes through the master.
        if scene.cluster.master().is_none() {
            let wait = ["cluster_manager_timeout", "master_timeout"].into_iter().find_map(|name| self.span(name));
            let kind = "cluster_manager_not_discovered_exception";
            let none = json!({"type": kind, "reason": null});
            return Reply::error_of(503, &none, None).after(wait.unwrap_or(MASTER_TIMEOUT));
        }
        match (self.method, path.as_slice()) {
            (Method::Get, ["_nodes"]) => scene.all_nodes(),
            (Method::Get, ["_cluster", "state", "master_node" | "cluster_manager_node"]) => scene.master_seen(),
            (Method::Get, ["_cluster", "state", "metadata"]) => scene.metadata(),
            (Method::Get, ["_cluster", "state", "blocks"]) => scene.blocks(),
            (Method::Get, ["_cluster", "state", "routing_table"]) => scene.routing("_all"),
            (Method::Get, ["_cluster", "state", "routing_table", names]) => scene.routing(names),
            (Method::Get, ["_cluster", "health"]) => scene.health(None, self),
            (Method::Get, ["_cluster", "health", names]) => scene.health(Some(names), self),
            (Method::Get, ["_cluster", "settings"]) => scene.settings(),
            (Method::Post | Method::Get, ["_cluster", "allocation", "explain"]) => scene.explain(&self.body),
            (Method::Get, ["_cat", "allocation"]) => scene.allocation(),
            (Method::Get, [folder @ ("_template" | "_index_template" | "_component_template")]) => {
                scene.definitions(folder)
            }
            (Method::Get, ["_ingest", "pipeline"]) => scene.definitions("_ingest/pipeline"),
            (Method::Put, ["_ingest", "pipeline", name]) => scene.define("_ingest/pipeline", name, &self.body),
            (Method::Put, [folder @ ("_template" | "_index_template" | "_component_template"), name]) => {
                scene.define(folder, name, &self.body)
            }
            (_, ["_snapshot", ..]) => self.repository_asked(scene, &path[1..]),
            (Method::Post, [names, "_close"]) => scene.close(names),
            (Method::Post, [names, "_open"]) => scene.open(names),
            (Method::Put, [names, "_settings"]) => scene.set(names, &self.body),
            (Method::Put, [name]) if !name.starts_with('_') => scene.create(name, &self.body),
            (Method::Delete, [names]) if !names.starts_with('_') => scene.delete(names),
            _ => {
                let uri = path.join("/");
                let error = format!("no handler found for uri [/{uri}] and method [{}]", self.method);
                Reply { status: 400, body: json!({ "error": error }), took: SHORT }
            }
        }
    }

    fn repository_asked(&self, scene: &mut Scene<'_>, path: &[&str]) -> Reply {
        // Only what is registered is told without looking at the share.
        let known = self.method == Method::Get && matches!(path, [] | [_] | [_, "_status"]);
        if scene.stalled && !known {
            return Reply::never();
        }
        match (self.method, path) {
            (Method::Get, [] | ["_all"]) => scene.repositories(None),
            (Method::Get, ["_status"]) => scene.status(None),
            (Method::Get, [name]) => scene.repositories(Some(name)),
            (Method::Put | Method::Post, [name]) => scene.register(name, &self.body),
            (Method::Delete, [name]) => scene.unregister(name),
            (Method::Post, [name, "_verify"]) => scene.verify(name),
            (Method::Post, [name, "_cleanup"]) => scene.cleanup(name),
            (Method::Get, [name, "_status"]) => scene.status(Some(name)),
            (Method::Get, [name, snapshots]) => scene.snapshots(name, snapshots, self.says("ignore_unavailable")),
            (Method::Put | Method::Post, [name, snapshot]) => scene.create_snapshot(name, snapshot, self),
            (Method::Delete, [name, snapshot]) => scene.delete_snapshot(name, snapshot),
            (Method::Post, [name, snapshot, "_restore"]) => scene.begin_restore(name, snapshot, self),
            _ => {
                let error =
                    format!("no handler found for uri [/_snapshot/{}] and method [{}]", path.join("/"), self.method);
                Reply { status: 400, body: json!({ "error": error }), took: SHORT }
            }
        }
    }
}

/// Without percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match code {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
