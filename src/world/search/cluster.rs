//! What a cluster tells of itself: version, nodes, master, settings, disks, templates and pipelines.

use serde_json::{Map, Value, json};

use super::VERSION;
use super::request::Reply;
use super::scene::Scene;

impl Scene<'_> {
    /// `GET /`
    pub(super) fn root(&self, node: usize) -> Reply {
        Reply::ok(json!({
            "name": self.cluster.node_name(node), "cluster_name": self.cluster.name, "cluster_uuid": self.cluster.uuid,
            "version": {"distribution": "opensearch", "number": VERSION, "build_type": "tar", "build_snapshot": false,
                "lucene_version": "9.12.3", "minimum_wire_compatibility_version": "7.10.0",
                "minimum_index_compatibility_version": "7.0.0"},
            "tagline": "The OpenSearch Project: https://opensearch.org/"}))
    }

    fn node(&self, node: usize) -> (String, Value) {
        let roles = ["cluster_manager", "data", "ingest", "remote_cluster_client"];
        let shown = json!({"name": self.cluster.node_name(node), "version": VERSION, "roles": roles});
        (self.cluster.node_ids[node].clone(), shown)
    }

    /// `GET /_nodes/_local`
    pub(super) fn local_node(&self, node: usize) -> Reply {
        let nodes: Map<String, Value> = std::iter::once(self.node(node)).collect();
        Reply::ok(json!({"cluster_name": self.cluster.name, "nodes": nodes}))
    }

    /// `GET /_nodes`
    pub(super) fn all_nodes(&self) -> Reply {
        let up = (0..self.cluster.nodes()).filter(|node| self.cluster.is_up(*node));
        let nodes: Map<String, Value> = up.map(|node| self.node(node)).collect();
        Reply::ok(json!({"cluster_name": self.cluster.name, "nodes": nodes}))
    }

    /// `GET /_cluster/state/master_node`
    pub(super) fn master_seen(&self) -> Reply {
        let master = self.cluster.master().map(|node| &self.cluster.node_ids[node]);
        Reply::ok(json!({"cluster_name": self.cluster.name, "cluster_uuid": self.cluster.uuid, "master_node": master}))
    }

    /// `GET /_cluster/settings`, with the defaults that matter.
    #[expect(clippy::unused_self, reason = "every answer is asked of the scene")]
    pub(super) fn settings(&self) -> Reply {
        let disk = json!({"threshold_enabled": "true",
            "watermark": {"flood_stage": "95%", "high": "90%", "low": "85%", "enable_for_single_data_node": "false"},
            "include_relocations": "true", "reroute_interval": "60s"});
        let defaults = json!({"cluster": {"routing": {"allocation": {"disk": disk}}}});
        Reply::ok(json!({"persistent": {}, "transient": {}, "defaults": defaults}))
    }

    /// `GET /_cat/allocation?format=json&bytes=b`
    pub(super) fn allocation(&self) -> Reply {
        let up: Vec<usize> = (0..self.cluster.nodes()).filter(|node| self.cluster.is_up(*node)).collect();
        let mut unassigned = false;
        let mut used = vec![0_u64; self.cluster.nodes()];
        for index in self.cluster.indices.values() {
            for shard in &index.shards {
                let active = shard.active(&self.cluster.up);
                unassigned |= active.len() <= index.replicas as usize;
                for node in active {
                    used[node] += shard.bytes();
                }
            }
        }
        let mut lines: Vec<Value> = up
            .iter()
            .map(|node| {
                let avail = self.node_disk.saturating_sub(used[*node]);
                json!({"node": self.cluster.node_name(*node), "disk.avail": avail.to_string(),
                    "disk.total": self.node_disk.to_string()})
            })
            .collect();
        if unassigned {
            lines.push(json!({"node": "UNASSIGNED", "disk.avail": null, "disk.total": null}));
        }
        Reply::ok(Value::Array(lines))
    }

    /// All templates or pipelines of a folder.
    pub(super) fn definitions(&self, folder: &str) -> Reply {
        let all = self.cluster.definitions.iter().filter(|((of, _), _)| of == folder);
        let listed = |list: &str, inner: &str| {
            let entries: Vec<Value> = all.clone().map(|((_, name), body)| json!({"name": name, inner: body})).collect();
            json!({ list: entries })
        };
        match folder {
            "_index_template" => Reply::ok(listed("index_templates", "index_template")),
            "_component_template" => Reply::ok(listed("component_templates", "component_template")),
            _ => {
                let found: Map<String, Value> = all.map(|((_, name), body)| (name.clone(), body.clone())).collect();
                let status = if folder == "_ingest/pipeline" && found.is_empty() { 404 } else { 200 };
                Reply { status, ..Reply::ok(Value::Object(found)) }
            }
        }
    }

    /// Makes or replaces one.
    pub(super) fn define(&mut self, folder: &str, name: &str, body: &Map<String, Value>) -> Reply {
        for part in body.get("composed_of").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !self.cluster.definitions.contains_key(&("_component_template".to_owned(), part.to_owned())) {
                let why = format!(
                    "index template [{name}] invalid, cause [index template [{name}] specifies component templates [{part}] that do not exist]"
                );
                return Reply::error(400, "invalid_index_template_exception", why);
            }
        }
        self.cluster.definitions.insert((folder.to_owned(), name.to_owned()), Value::Object(body.clone()));
        Reply::acknowledged()
    }
}
