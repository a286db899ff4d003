//! What servers answer, as far as it matters here. Pure; unknown fields are ignored, and what only some versions say is
//! optional. Recorded from Elasticsearch 6.8, 7.17, 8.19 and OpenSearch 2.19.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// `GET /`
#[derive(Debug, Deserialize)]
pub struct Root {
    /// The version.
    pub version: RootVersion,
}

/// The version in a root answer.
#[derive(Debug, Deserialize)]
pub struct RootVersion {
    /// For example `2.19.4`.
    pub number: String,
    /// `opensearch`; absent on Elasticsearch.
    #[serde(default)]
    pub distribution: Option<String>,
}

/// `GET /_nodes/_local`
#[derive(Debug, Deserialize)]
pub struct LocalNodes {
    /// By node id.
    pub nodes: BTreeMap<String, LocalNode>,
}

/// A node.
#[derive(Debug, Deserialize)]
pub struct LocalNode {
    /// Its version.
    pub version: String,
}

/// `GET /_nodes`
#[derive(Debug, Deserialize)]
pub struct Nodes {
    /// By node id.
    #[serde(default)]
    pub nodes: BTreeMap<String, NodeRoles>,
}

/// What a node is there for.
#[derive(Debug, Deserialize)]
pub struct NodeRoles {
    #[serde(default)]
    roles: Vec<String>,
}

impl NodeRoles {
    /// True when it may become master.
    #[must_use]
    pub fn may_lead(&self) -> bool {
        // OpenSearch has another word for it from version 2 on.
        self.roles.iter().any(|role| role == "master" || role == "cluster_manager")
    }
}

/// `GET /_cluster/state/master_node?local=true`
#[derive(Debug, Clone, Deserialize)]
pub struct LocalMaster {
    /// Which cluster this is.
    #[serde(default)]
    pub cluster_uuid: String,
    /// The node id of the elected master, if the node that answers knows one.
    #[serde(default)]
    pub master_node: Option<String>,
}

/// `GET /_cluster/health`
#[derive(Debug, Deserialize)]
pub struct Health {
    /// `green`, `yellow`, `red`.
    pub status: String,
    /// How many nodes hold data.
    #[serde(default)]
    pub number_of_data_nodes: u32,
    /// Copies of shards that are on no node.
    #[serde(default)]
    pub unassigned_shards: u64,
}

/// The health of some indices.
#[derive(Debug, Default, Deserialize)]
pub struct IndexHealths {
    /// By name.
    #[serde(default)]
    pub indices: BTreeMap<String, IndexHealth>,
}

/// The health of an index.
#[derive(Debug, Deserialize)]
pub struct IndexHealth {
    /// `green`, `yellow`, `red`. Not red means that every primary works.
    pub status: String,
    /// Primaries that work.
    #[serde(default)]
    pub active_primary_shards: u32,
    /// Copies that are being filled.
    #[serde(default)]
    pub initializing_shards: u32,
}

/// `GET /<index>/_count`
#[derive(Debug, Deserialize)]
pub struct Count {
    /// Documents.
    pub count: u64,
    /// How many shards answered.
    #[serde(rename = "_shards")]
    pub shards: CountShards,
}

/// How many shards answered.
#[derive(Debug, Deserialize)]
pub struct CountShards {
    /// Of how many.
    pub total: u32,
    /// That answered.
    pub successful: u32,
}

/// `GET /<index>/_stats/store`
#[derive(Debug, Default, Deserialize)]
pub struct Store {
    #[serde(default, rename = "_all")]
    all: Value,
}

impl Store {
    /// The bytes of all primaries asked for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.all.pointer("/primaries/store/size_in_bytes").and_then(Value::as_u64).unwrap_or(0)
    }
}

/// `GET /<index>/_stats/indexing`
#[derive(Debug, Default, Deserialize)]
pub struct Writes {
    #[serde(default)]
    indices: BTreeMap<String, Value>,
}

impl Writes {
    /// Adds what another answer says of other indices.
    pub fn extend(&mut self, other: Self) {
        self.indices.extend(other.indices);
    }

    /// How often the index was written to since its shards started; nothing when it is not said.
    #[must_use]
    pub fn of(&self, index: &str) -> Option<u64> {
        let indexing = self.indices.get(index)?.pointer("/primaries/indexing")?;
        Some(indexing.get("index_total")?.as_u64()? + indexing.get("delete_total")?.as_u64()?)
    }
}

/// `GET /<index>/_recovery`: by index.
pub type Recoveries = BTreeMap<String, IndexRecovery>;

/// The recoveries of an index.
#[derive(Debug, Default, Deserialize)]
pub struct IndexRecovery {
    /// One per copy that has begun; absent copies have not.
    #[serde(default)]
    pub shards: Vec<ShardRecovery>,
}

/// The recovery of one copy of a shard.
#[derive(Debug, Deserialize)]
pub struct ShardRecovery {
    /// `SNAPSHOT`, `PEER`, `EXISTING_STORE`, `EMPTY_STORE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `INIT`, `INDEX`, `START`, `TRANSLOG`, `FINALIZE`, `DONE`.
    pub stage: String,
    /// Whether it is the primary.
    #[serde(default)]
    pub primary: bool,
    /// When it began, by the clock of its node.
    #[serde(default)]
    pub start_time_in_millis: i64,
    /// Where from.
    #[serde(default)]
    pub source: RecoverySource,
    #[serde(default)]
    index: Value,
}

impl ShardRecovery {
    /// Bytes that are there, and bytes in all.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let number = |name: &str| self.index.pointer(&format!("/size/{name}")).and_then(Value::as_u64).unwrap_or(0);
        (number("recovered_in_bytes") + number("reused_in_bytes"), number("total_in_bytes"))
    }
}

/// Where a recovery comes from.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RecoverySource {
    /// `SNAPSHOT` and others; said by the routing table only.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The repository, for snapshots.
    #[serde(default)]
    pub repository: String,
    /// The snapshot.
    #[serde(default)]
    pub snapshot: String,
}

/// `GET /_cluster/state/routing_table/<index>`
#[derive(Debug, Default, Deserialize)]
pub struct Routing {
    /// The table.
    #[serde(default)]
    pub routing_table: RoutingTable,
}

/// The table.
#[derive(Debug, Default, Deserialize)]
pub struct RoutingTable {
    /// By index.
    #[serde(default)]
    pub indices: BTreeMap<String, RoutedIndex>,
}

/// An index.
#[derive(Debug, Default, Deserialize)]
pub struct RoutedIndex {
    /// The copies of each shard.
    #[serde(default)]
    pub shards: BTreeMap<u32, Vec<RoutedShard>>,
}

/// One copy of a shard.
#[derive(Debug, Deserialize)]
pub struct RoutedShard {
    /// `UNASSIGNED`, `INITIALIZING`, `STARTED`, `RELOCATING`.
    pub state: String,
    /// Whether it is the primary.
    pub primary: bool,
    /// What it is going to be filled from, until it is.
    #[serde(default)]
    pub recovery_source: Option<RecoverySource>,
    /// Why it is on no node.
    #[serde(default)]
    pub unassigned_info: Option<Unassigned>,
}

/// Why a copy is on no node.
#[derive(Debug, Deserialize)]
pub struct Unassigned {
    /// For example `ALLOCATION_FAILED`.
    pub reason: String,
    /// In the server's words.
    #[serde(default)]
    pub details: Option<String>,
}

/// `GET /_snapshot/_status`
#[derive(Debug, Default, Deserialize)]
pub struct Running {
    /// The snapshots that run.
    #[serde(default)]
    pub snapshots: Vec<RunningSnapshot>,
}

/// A running snapshot.
#[derive(Debug, Deserialize)]
pub struct RunningSnapshot {
    /// Its name.
    pub snapshot: String,
    /// Its repository.
    #[serde(default)]
    pub repository: String,
    #[serde(default)]
    shards_stats: Value,
    #[serde(default)]
    stats: Value,
}

impl RunningSnapshot {
    /// How far it is: bytes when they are known, shards until then.
    #[must_use]
    pub fn progress(&self) -> (u64, u64, &'static str) {
        let number = |from: &Value, path: &str| from.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let shard = |name: &str| number(&self.shards_stats, &format!("/{name}"));
        let bytes = number(&self.stats, "/incremental/size_in_bytes");
        // The size of a shard is known when it starts: before that a percentage would go backwards.
        if bytes > 0 && shard("initializing") == 0 {
            // Left out once every byte is there.
            let processed = self.stats.pointer("/processed/size_in_bytes").and_then(Value::as_u64).unwrap_or(bytes);
            (processed.min(bytes), bytes, "bytes")
        } else {
            (shard("done"), shard("total"), "shards")
        }
    }
}

/// `GET /_snapshot/<repository>/<name>`. Pre-releases of 8.0 wrapped it in `responses`.
#[derive(Debug, Default, Deserialize)]
pub struct Snapshots {
    #[serde(default)]
    snapshots: Vec<Snapshot>,
    #[serde(default)]
    responses: Vec<Snapshots>,
}

impl Snapshots {
    /// All of them.
    #[must_use]
    pub fn all(self) -> Vec<Snapshot> {
        let inner = self.responses.into_iter().flat_map(|response| response.snapshots);
        self.snapshots.into_iter().chain(inner).collect()
    }

    /// The snapshot of this name.
    #[must_use]
    pub fn named(self, name: &str) -> Option<Snapshot> {
        self.all().into_iter().find(|snapshot| snapshot.name == name)
    }
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Snapshot {
    /// Its name.
    #[serde(rename = "snapshot")]
    pub name: String,
    /// Its identity: a later snapshot of the same name has another.
    pub uuid: String,
    /// `IN_PROGRESS`, `SUCCESS`, `PARTIAL`, `FAILED`, `INCOMPATIBLE`.
    pub state: String,
    /// The version of the server that took it; empty when it is not said.
    #[serde(default)]
    pub version: String,
    /// What it holds.
    #[serde(default)]
    pub indices: Vec<String>,
    /// What was written to it at the beginning.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// When it ended, by the clock of the master; 0 before.
    #[serde(default)]
    pub end_time_in_millis: i64,
    /// Why the whole of it failed.
    #[serde(default)]
    pub reason: Option<String>,
    /// The shards that failed.
    #[serde(default)]
    pub failures: Vec<ShardFailure>,
    /// How many.
    #[serde(default)]
    pub shards: SnapshotShards,
}

/// A shard that is not in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ShardFailure {
    /// Its index.
    #[serde(default)]
    pub index: String,
    /// Its number.
    #[serde(default)]
    pub shard_id: u32,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// The shards of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct SnapshotShards {
    /// In all.
    #[serde(default)]
    pub total: u64,
    /// Not in it.
    #[serde(default)]
    pub failed: u64,
    /// In it.
    #[serde(default)]
    pub successful: u64,
}

/// `GET /_snapshot/_all`: by name.
pub type Repositories = BTreeMap<String, Repository>;

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Repository {
    /// `fs` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its settings; every value comes back as text.
    #[serde(default)]
    pub settings: Map<String, Value>,
}

impl Repository {
    /// A setting as text.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        match self.settings.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// `GET /_cat/allocation`: the disk of one data node.
#[derive(Debug, Deserialize)]
pub struct Disk {
    /// The node; one line is called `UNASSIGNED` and has no disk.
    pub node: String,
    #[serde(default, rename = "disk.avail")]
    avail: Option<String>,
    #[serde(default, rename = "disk.total")]
    total: Option<String>,
}

impl Disk {
    /// Free bytes and bytes in all.
    #[must_use]
    pub fn bytes(&self) -> Option<(u64, u64)> {
        Some((self.avail.as_deref()?.parse().ok()?, self.total.as_deref()?.parse().ok()?))
    }
}
