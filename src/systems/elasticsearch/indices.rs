//! The indices of a cluster: which there are, which are meant, and how many documents they hold.

use std::collections::BTreeMap;

use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::answers::Count;
use super::ask::{Ask, portions};
use super::client::Client;
use super::pattern::Pattern;
use crate::model::{Failure, FailureKind};

/// How many counts are asked for side by side.
const COUNTS_AT_ONCE: usize = 6;

/// Every index of a cluster, from its metadata.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// By name.
    pub indices: BTreeMap<String, Index>,
    /// Data streams, which this program does not copy.
    pub data_streams: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// False for a closed one.
    pub open: bool,
    /// Hidden ones and those of the server itself are not touched.
    pub own: bool,
    /// Primary shards.
    pub shards: u32,
    /// Copies of each.
    pub replicas: u32,
    /// True when the server adapts the replicas to the nodes by itself.
    pub auto_expand: bool,
    /// `index.version.created`.
    pub created: Option<u64>,
    /// Its aliases, sorted.
    pub aliases: Vec<String>,
    /// The ingest pipelines that writes go through.
    pub pipelines: Vec<String>,
    /// Settings that bind it to certain nodes, by full name.
    pub filters: Vec<String>,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    indices: BTreeMap<String, RawIndex>,
    #[serde(default)]
    data_stream: Value,
}

#[derive(Deserialize)]
struct RawIndex {
    state: String,
    #[serde(default)]
    system: bool,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    settings: Value,
}

impl Table {
    fn from_state(state: State) -> Result<Self, String> {
        let streams = state.metadata.data_stream.pointer("/data_stream").and_then(Value::as_object);
        let data_streams = streams.map(|streams| streams.keys().cloned().collect()).unwrap_or_default();
        let indices = state.metadata.indices.into_iter();
        let indices = indices.map(|(name, raw)| {
            let index = raw.read().ok_or_else(|| format!("index {name} does not say how many shards it has"))?;
            Ok((name, index))
        });
        Ok(Self { indices: indices.collect::<Result<_, String>>()?, data_streams })
    }

    /// The indices that `pattern` means, of those that are not the server's own.
    pub fn meant<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = (&'a String, &'a Index)> {
        self.indices.iter().filter(|(name, index)| !index.own && pattern.matches(name))
    }

    /// Asks a cluster for its indices.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn fetch(client: &Client) -> Result<Self, Failure> {
        let tried = "list the indices";
        let state: State = client.fetch(&Ask::indices(), tried).await?;
        Self::from_state(state)
            .map_err(|error| Failure::new(FailureKind::Refused, format!("{tried} at {}", client.url()), error))
    }
}

impl RawIndex {
    fn read(self) -> Option<Index> {
        let setting = |path: &str| self.settings.pointer(path).and_then(Value::as_str);
        let mut pipelines: Vec<String> = ["/index/default_pipeline", "/index/final_pipeline"]
            .into_iter()
            .filter_map(setting)
            .filter(|name| *name != "_none")
            .map(str::to_owned)
            .collect();
        pipelines.dedup();
        let mut filters = Vec::new();
        for group in ["require", "include", "exclude"] {
            let found = self.settings.pointer(&format!("/index/routing/allocation/{group}"));
            // The data tier is not a matter of hosts: a standby has tiers too.
            let names = found.and_then(Value::as_object).into_iter().flat_map(|found| found.keys());
            filters.extend(
                names
                    .filter(|name| *name != "_tier_preference" && *name != "_tier")
                    .map(|name| format!("index.routing.allocation.{group}.{name}")),
            );
        }
        let mut aliases = self.aliases;
        aliases.sort();
        Some(Index {
            open: self.state == "open",
            own: self.system || self.settings.pointer("/index/hidden").and_then(Value::as_str) == Some("true"),
            shards: self.settings.pointer("/index/number_of_shards")?.as_str()?.parse().ok()?,
            replicas: setting_number(&self.settings, "/index/number_of_replicas").unwrap_or(0),
            auto_expand: self
                .settings
                .pointer("/index/auto_expand_replicas")
                .and_then(Value::as_str)
                .is_some_and(|value| value != "false"),
            created: setting_number(&self.settings, "/index/version/created"),
            aliases,
            pipelines,
            filters,
        })
    }
}

fn setting_number<T: std::str::FromStr>(settings: &Value, path: &str) -> Option<T> {
    settings.pointer(path)?.as_str()?.parse().ok()
}

/// The documents of each of these open indices, nested ones not counted; an index that is gone is left out.
///
/// # Errors
/// When one of them cannot be counted completely: a number of some shards is no number.
pub async fn count(client: &Client, names: &[&str]) -> Result<BTreeMap<String, u64>, Failure> {
    for portion in portions(names.iter().copied()) {
        let tried = "make all documents countable";
        client.read(&Ask::refresh(&portion), tried).await?.accepted(tried)?;
    }
    let mut counting = Vec::with_capacity(names.len());
    for name in names {
        counting.push(count_one(client, name));
    }
    let mut counts = futures::stream::iter(counting).buffered(COUNTS_AT_ONCE);
    let mut found = BTreeMap::new();
    while let Some(count) = counts.next().await {
        if let Some((name, documents)) = count? {
            found.insert(name, documents);
        }
    }
    Ok(found)
}

async fn count_one(client: &Client, name: &str) -> Result<Option<(String, u64)>, Failure> {
    let tried = format!("count the documents of index {name}");
    let answer = client.read(&Ask::count(name), &tried).await?;
    if answer.error().is_missing() && answer.error().kind == "index_not_found_exception" {
        return Ok(None);
    }
    let count: Count = answer.decode(&tried)?;
    if count.shards.successful < count.shards.total {
        let got = format!("only {} of {} shards answered", count.shards.successful, count.shards.total);
        return Err(Failure::new(FailureKind::Busy, format!("{tried} at {}", client.url()), got)
            .hint(format!("the index is not healthy: look at GET {}/_cluster/health/{name}", client.url())));
    }
    Ok(Some((name.to_owned(), count.count)))
}

/// The bytes of the primaries of these open indices.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn store_bytes(client: &Client, names: &[&str]) -> Result<u64, Failure> {
    let mut bytes = 0;
    for portion in portions(names.iter().copied()) {
        let store: super::answers::Store = client.fetch(&Ask::store(&portion), "measure the indices").await?;
        bytes += store.bytes();
    }
    Ok(bytes)
}
