//! Requests as values: what is asked of a cluster, before anybody knows which of its nodes will be asked. Pure.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::port::Method;

/// How long the server itself may take for a change of the cluster's state, and how long we wait for the answer: always
/// longer, so that a slow master answers us and not our own impatience.
const SERVER_TIMEOUT: &str = "60s";
const CHANGE_TIMEOUT: Duration = Duration::from_secs(90);
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Addresses longer than 4 KiB are refused by the servers; names are asked for in portions that stay well below.
const NAMES_PER_ASK: usize = 2_000;

/// One request to a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// Path and query, encoded, beginning with a slash.
    pub path: String,
    /// A JSON body.
    pub body: Option<Value>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

impl Ask {
    fn read(path: impl Into<String>) -> Self {
        Self { method: Method::Get, path: path.into(), body: None, timeout: READ_TIMEOUT }
    }

    fn change(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, timeout: CHANGE_TIMEOUT }
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Version and flavour.
    #[must_use]
    pub fn root() -> Self {
        Self::read("/")
    }

    /// Version of the node that answers, for servers that refuse to show their root.
    #[must_use]
    pub fn local_node() -> Self {
        Self::read("/_nodes/_local?filter_path=nodes.*.version")
    }

    /// The identity of the cluster and its elected master, as one node sees it.
    #[must_use]
    pub fn master_seen_locally() -> Self {
        Self::read("/_cluster/state/master_node?local=true")
    }

    /// What every node is there for.
    #[must_use]
    pub fn roles() -> Self {
        Self::read("/_nodes?filter_path=nodes.*.roles")
    }

    /// The health of the cluster.
    #[must_use]
    pub fn health() -> Self {
        Self::read("/_cluster/health")
    }

    /// The health of the cluster, after it had a moment to settle: an index that was just made or closed is red for a
    /// second. Answers 408 with the full body when the moment was too short.
    #[must_use]
    pub fn settled_health() -> Self {
        Self::read("/_cluster/health?wait_for_status=yellow&timeout=15s")
    }

    /// The health of some indices, one by one.
    #[must_use]
    pub fn health_of(names: &str) -> Self {
        Self::read(format!(
            "/_cluster/health/{names}?level=indices&filter_path=indices.*.status,indices.*.active_primary_shards,indices.*.initializing_shards"
        ))
    }

    /// State, shards, aliases and the settings that matter of every index.
    #[must_use]
    pub fn indices() -> Self {
        const SETTINGS: &str = "metadata.indices.*.settings.index.";
        let wanted = [
            "metadata.data_stream.data_stream.*.name",
            "metadata.indices.*.state",
            "metadata.indices.*.system",
            "metadata.indices.*.aliases",
        ];
        let settings = [
            "number_of_shards",
            "number_of_replicas",
            "auto_expand_replicas",
            "hidden",
            "version.created",
            "default_pipeline",
            "final_pipeline",
            "routing.allocation.require",
            "routing.allocation.include",
            "routing.allocation.exclude",
        ];
        let settings = settings.map(|name| format!("{SETTINGS}{name}"));
        Self::read(format!("/_cluster/state/metadata?filter_path={},{}", wanted.join(","), settings.join(",")))
    }

    /// What is blocked: indices by name, and the whole cluster.
    #[must_use]
    pub fn blocks() -> Self {
        Self::read("/_cluster/state/blocks?filter_path=blocks")
    }

    /// Which indices are open, and which are under a lifecycle policy.
    #[must_use]
    pub fn in_use() -> Self {
        const INDEX: &str = "metadata.indices.*.";
        Self::read(format!("/_cluster/state/metadata?filter_path={INDEX}state,{INDEX}settings.index.lifecycle.name"))
    }

    /// Where the shards of some indices are, and what they recover from.
    #[must_use]
    pub fn routing(names: &str) -> Self {
        const SHARD: &str = "routing_table.indices.*.shards.*.";
        let wanted = ["state", "primary", "recovery_source", "unassigned_info.reason", "unassigned_info.details"];
        let wanted = wanted.map(|name| format!("{SHARD}{name}")).join(",");
        Self::read(format!("/_cluster/state/routing_table/{names}?filter_path={wanted}"))
    }

    /// The recoveries of some indices.
    #[must_use]
    pub fn recovery(names: &str) -> Self {
        let wanted = ["type", "stage", "primary", "start_time_in_millis", "source", "index.size"];
        let wanted = wanted.map(|name| format!("*.shards.{name}")).join(",");
        Self::read(format!("/{names}/_recovery?filter_path={wanted}"))
    }

    /// How often some indices were written to since their shards started.
    #[must_use]
    pub fn writes(names: &str) -> Self {
        Self::read(format!(
            "/{names}/_stats/indexing?filter_path=indices.*.primaries.indexing.index_total,indices.*.primaries.indexing.delete_total"
        ))
    }

    /// The size of the primaries of some indices.
    #[must_use]
    pub fn store(names: &str) -> Self {
        Self::read(format!("/{names}/_stats/store?filter_path=_all.primaries.store.size_in_bytes"))
    }

    /// The number of documents of one index, nested ones not counted.
    #[must_use]
    pub fn count(name: &str) -> Self {
        Self::read(format!("/{}/_count", encode(name)))
    }

    /// The number of documents of some indices together.
    #[must_use]
    pub fn count_of(names: &str) -> Self {
        Self::read(format!("/{names}/_count?ignore_unavailable=true"))
    }

    /// Makes everything that was written countable. May be asked twice.
    #[must_use]
    pub fn refresh(names: &str) -> Self {
        Self::change(Method::Post, format!("/{names}/_refresh?ignore_unavailable=true"))
    }

    /// The disks of the data nodes.
    #[must_use]
    pub fn disks() -> Self {
        Self::read("/_cat/allocation?format=json&bytes=b&h=node,disk.avail,disk.total")
    }

    /// The disk watermarks.
    #[must_use]
    pub fn watermarks() -> Self {
        Self::read("/_cluster/settings?include_defaults=true&filter_path=*.cluster.routing.allocation.disk")
    }

    /// Every registered snapshot repository.
    #[must_use]
    pub fn repositories() -> Self {
        Self::read("/_snapshot/_all")
    }

    /// Registers a repository on a shared file system.
    #[must_use]
    pub fn register(dialect: Dialect, repository: &str, settings: &Value) -> Self {
        let path = format!(
            "/_snapshot/{}?timeout={SERVER_TIMEOUT}&{}={SERVER_TIMEOUT}",
            encode(repository),
            dialect.master_timeout()
        );
        Self::change(Method::Put, path).body(json!({"type": "fs", "settings": settings}))
    }

    /// Lets every node look at the repository. May be asked twice.
    #[must_use]
    pub fn verify_repository(repository: &str) -> Self {
        Self::change(Method::Post, format!("/_snapshot/{}/_verify?timeout={SERVER_TIMEOUT}", encode(repository)))
    }

    /// The snapshots that run now, in one repository or in all.
    #[must_use]
    pub fn running_snapshots(repository: Option<&str>) -> Self {
        const WANTED: &str =
            "snapshots.snapshot,snapshots.repository,snapshots.state,snapshots.shards_stats,snapshots.stats";
        let folder = repository.map(|name| format!("/{}", encode(name))).unwrap_or_default();
        Self::read(format!("/_snapshot{folder}/_status?filter_path={WANTED}"))
    }

    /// One snapshot.
    #[must_use]
    pub fn snapshot(repository: &str, name: &str) -> Self {
        Self::read(format!("/_snapshot/{}/{}", encode(repository), encode(name)))
    }

    /// Every snapshot of a repository, as far as they can be read: what they are, not what is in them.
    #[must_use]
    pub fn snapshots(repository: &str) -> Self {
        let wanted = ["snapshot", "uuid", "version", "state", "metadata"];
        let wanted = wanted.map(|name| format!("snapshots.{name},responses.snapshots.{name}")).join(",");
        let path = format!("/_snapshot/{}/_all?ignore_unavailable=true&filter_path={wanted}", encode(repository));
        // The server opens a file for each of them.
        Self { timeout: Duration::from_mins(5), ..Self::read(path) }
    }

    /// The recoveries that run now, of all indices.
    #[must_use]
    pub fn active_recoveries() -> Self {
        let wanted = ["type", "stage", "source.repository", "source.snapshot"];
        let wanted = wanted.map(|name| format!("*.shards.{name}")).join(",");
        Self::read(format!("/_recovery?active_only=true&filter_path={wanted}"))
    }

    /// Takes a snapshot; the answer says only that it began.
    #[must_use]
    pub fn create_snapshot(
        dialect: Dialect,
        repository: &str,
        name: &str,
        indices: &[&str],
        metadata: &Map<String, Value>,
    ) -> Self {
        let path = format!(
            "/_snapshot/{}/{}?wait_for_completion=false&{}={SERVER_TIMEOUT}",
            encode(repository),
            encode(name),
            dialect.master_timeout()
        );
        let mut body = json!({
            "indices": indices.join(","),
            "ignore_unavailable": false,
            "include_global_state": false,
            "partial": false,
        });
        if dialect.feature_states() {
            body["feature_states"] = json!(["none"]);
        }
        if dialect.snapshot_metadata() {
            body["metadata"] = Value::Object(metadata.clone());
        }
        // A large repository is read before the answer comes, which takes minutes.
        Self { timeout: Duration::from_mins(10), ..Self::change(Method::Put, path).body(body) }
    }

    /// Stops and removes a snapshot.
    #[must_use]
    pub fn delete_snapshot(dialect: Dialect, repository: &str, name: &str) -> Self {
        let path =
            format!("/_snapshot/{}/{}?{}={SERVER_TIMEOUT}", encode(repository), encode(name), dialect.master_timeout());
        Self { timeout: Duration::from_mins(5), ..Self::change(Method::Delete, path) }
    }

    /// Restores some indices of a snapshot; the answer says only that it began. Blocks and host filters of the source
    /// stay behind: they would keep the copy unwritable, or unassigned for ever.
    #[must_use]
    pub fn restore(
        dialect: Dialect,
        repository: &str,
        name: &str,
        indices: &[&str],
        replicas: Option<u32>,
        filters: &[String],
    ) -> Self {
        let path = format!(
            "/_snapshot/{}/{}/_restore?wait_for_completion=false&{}={SERVER_TIMEOUT}",
            encode(repository),
            encode(name),
            dialect.master_timeout()
        );
        let left_behind: Vec<&str> =
            std::iter::once("index.blocks.*").chain(filters.iter().map(String::as_str)).collect();
        let mut body = json!({
            "indices": indices.join(","),
            "ignore_unavailable": false,
            "include_global_state": false,
            "include_aliases": true,
            "partial": false,
            "ignore_index_settings": left_behind,
        });
        if let Some(replicas) = replicas {
            body["index_settings"] = json!({"index.number_of_replicas": replicas});
        }
        if dialect.feature_states() {
            body["feature_states"] = json!(["none"]);
        }
        Self { timeout: Duration::from_mins(10), ..Self::change(Method::Post, path).body(body) }
    }

    /// Closes some indices.
    #[must_use]
    pub fn close(dialect: Dialect, names: &str) -> Self {
        let master = dialect.master_timeout();
        let no_wait = if dialect.closing_waits() { "&wait_for_active_shards=0" } else { "" };
        let path = format!("/{names}/_close?timeout={SERVER_TIMEOUT}&{master}={SERVER_TIMEOUT}{no_wait}");
        Self::change(Method::Post, path)
    }

    /// Deletes some indices.
    #[must_use]
    pub fn delete(dialect: Dialect, names: &str) -> Self {
        let master = dialect.master_timeout();
        Self::change(Method::Delete, format!("/{names}?timeout={SERVER_TIMEOUT}&{master}={SERVER_TIMEOUT}"))
    }

    /// Why a primary is not where it should be.
    #[must_use]
    pub fn explain(index: &str, shard: u32) -> Self {
        let body = json!({"index": index, "shard": shard, "primary": true});
        Self { method: Method::Post, ..Self::read("/_cluster/allocation/explain").body(body) }
    }

    /// All templates or pipelines of one sort.
    #[must_use]
    pub fn definitions(folder: &str) -> Self {
        Self::read(format!("/{folder}"))
    }

    /// Creates or replaces a template or pipeline.
    #[must_use]
    pub fn define(dialect: Dialect, folder: &str, name: &str, body: Value) -> Self {
        let path = format!("/{folder}/{}?{}={SERVER_TIMEOUT}", encode(name), dialect.master_timeout());
        Self::change(Method::Put, path).body(body)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if let Some(body) = &self.body {
            write!(f, " {body}")?;
        }
        Ok(())
    }
}

/// Names joined for a path, in portions that no server finds too long.
#[must_use]
pub fn portions<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut portions: Vec<String> = Vec::new();
    for name in names {
        let name = encode(name);
        match portions.last_mut() {
            Some(portion) if portion.len() + name.len() < NAMES_PER_ASK => {
                portion.push(',');
                portion.push_str(&name);
            }
            _ => portions.push(name),
        }
    }
    portions
}

/// One segment of a path, percent-encoded. A name from a server can hold anything.
#[must_use]
pub fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase();
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
