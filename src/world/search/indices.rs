//! What is asked of indices: how many documents they hold, how their shards came to be, closing, opening, deleting.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::filter::fits;
use super::health::source_shown;
use super::index::{Life, Recovered, Restoring, Shard};
use super::request::Reply;
use super::scene::Scene;
use super::snapshot::Running;
use super::{VERSION_ID, index};
use crate::world::Store;

/// How long the shards of an index need to come back after it was closed or opened.
const OPENS: Duration = Duration::from_millis(700);

impl Scene<'_> {
    /// The indices that are meant by names, patterns and aliases.
    pub(super) fn named(&self, names: &str, forgiving: bool) -> Result<Vec<String>, Reply> {
        let mut found: Vec<String> = Vec::new();
        for pattern in names.split(',') {
            let is_pattern = pattern == "_all" || pattern.contains('*');
            let meant = self.cluster.indices.iter().filter(|(name, index)| {
                pattern == "_all" || fits(pattern, name) || (!is_pattern && index.aliases.contains(pattern))
            });
            let meant: Vec<String> = meant.map(|(name, _)| name.clone()).collect();
            if meant.is_empty() && !is_pattern && !forgiving {
                return Err(Reply::no_index(pattern));
            }
            found.extend(meant.into_iter().filter(|name| !found.contains(name)).collect::<Vec<_>>());
        }
        Ok(found)
    }

    /// Those of them that are open. A closed one is an error, or left out.
    fn open_ones(&self, names: &str, forgiving: bool) -> Result<Vec<String>, Reply> {
        let found = self.named(names, forgiving)?;
        let closed = |name: &&String| !self.cluster.indices[*name].open;
        let explicit = !names.contains('*') && names != "_all";
        match found.iter().find(closed) {
            Some(name) if explicit && !forgiving => Err(Reply::closed_index(name, &self.cluster.indices[name].uuid)),
            _ => Ok(found.into_iter().filter(|name| self.cluster.indices[name].open).collect()),
        }
    }

    fn works(&self, index: &index::Index, shard: &Shard) -> bool {
        index.opens_at <= self.now && !shard.active(&self.cluster.up).is_empty()
    }

    /// `GET /<names>/_count`
    pub(super) fn count(&self, names: &str, forgiving: bool) -> Reply {
        let found = match self.open_ones(names, forgiving) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let (mut count, mut total, mut successful) = (0, 0, 0);
        for index in found.iter().map(|name| &self.cluster.indices[name]) {
            for shard in &index.shards {
                total += 1;
                if self.works(index, shard) {
                    successful += 1;
                    count += shard.documents.len();
                }
            }
        }
        if total > 0 && successful == 0 {
            let error = json!({"root_cause": [], "type": "search_phase_execution_exception",
                "reason": "all shards failed", "phase": "query", "grouped": true, "failed_shards": []});
            return Reply { status: 503, ..Reply::ok(json!({"error": error, "status": 503})) };
        }
        Reply::ok(json!({"count": count, "_shards": {"total": total, "successful": successful, "skipped": 0,
            "failed": total - successful}}))
    }

    /// `POST /<names>/_refresh`. What is written is countable at once here.
    pub(super) fn refresh(&self, names: &str, forgiving: bool) -> Reply {
        let found = match self.open_ones(names, forgiving) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let (mut total, mut successful) = (0, 0);
        for index in found.iter().map(|name| &self.cluster.indices[name]) {
            for shard in &index.shards {
                let copies = index.replicas as usize + 1;
                total += copies;
                successful +=
                    if self.works(index, shard) { shard.active(&self.cluster.up).len().min(copies) } else { 0 };
            }
        }
        Reply::ok(json!({"_shards": {"total": total, "successful": successful, "failed": 0}}))
            .after(Duration::from_millis(10))
    }

    /// `GET /<names>/_stats`
    pub(super) fn stats(&self, names: &str) -> Reply {
        let found = match self.open_ones(names, false) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let stats = |bytes: u64, writes: u64| {
            json!({"store": {"size_in_bytes": bytes, "reserved_in_bytes": 0},
                "indexing": {"index_total": writes, "delete_total": 0}})
        };
        let (mut all_bytes, mut all_writes) = (0, 0);
        let mut indices = Map::new();
        for name in &found {
            let index = &self.cluster.indices[name];
            let working: Vec<&Shard> = index.shards.iter().filter(|shard| self.works(index, shard)).collect();
            // An index none of whose shards works is not in the answer at all.
            if working.is_empty() {
                continue;
            }
            let bytes = working.iter().map(|shard| shard.bytes()).sum();
            let writes = working.iter().map(|shard| shard.writes).sum();
            all_bytes += bytes;
            all_writes += writes;
            indices.insert(name.clone(), json!({"uuid": index.uuid, "primaries": stats(bytes, writes)}));
        }
        Reply::ok(json!({"_all": {"primaries": stats(all_bytes, all_writes)}, "indices": indices}))
    }

    /// `GET /<names>/_recovery`: of the copies that have begun.
    pub(super) fn recovery(&self, names: &str, active_only: bool) -> Reply {
        let found = match self.named(names, false) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let mut shown = Map::new();
        for name in found {
            let index = &self.cluster.indices[&name];
            let shards = index.shards.iter().enumerate().filter_map(|(number, shard)| match &shard.life {
                Life::Started if !active_only && self.works(index, shard) => Some(done(&name, number, &shard.recovery)),
                Life::Restoring(restoring) if restoring.is_begun => Some(under_way(&name, number, restoring)),
                _ => None,
            });
            let shards: Vec<Value> = shards.collect();
            if !shards.is_empty() {
                shown.insert(name, json!({ "shards": shards }));
            }
        }
        Reply::ok(Value::Object(shown))
    }

    /// `GET /_cluster/state/metadata`
    pub(super) fn metadata(&self) -> Reply {
        let indices: Map<String, Value> = self
            .cluster
            .indices
            .iter()
            .map(|(name, index)| {
                let mut settings = json!({"index": {
                    "number_of_shards": index.shards.len().to_string(),
                    "number_of_replicas": index.replicas.to_string(),
                    "provided_name": name, "uuid": index.uuid,
                    "version": {"created": VERSION_ID.to_string()}}});
                for (setting, value) in &index.settings {
                    let mut at = &mut settings;
                    for part in setting.split('.') {
                        at = &mut at[part];
                    }
                    *at = json!(value);
                }
                let shown = json!({"state": if index.open { "open" } else { "close" }, "settings": settings,
                    "aliases": index.aliases, "system": false});
                (name.clone(), shown)
            })
            .collect();
        Reply::ok(json!({"cluster_name": self.cluster.name, "cluster_uuid": self.cluster.uuid,
            "metadata": {"cluster_uuid": self.cluster.uuid, "indices": indices}}))
    }

    /// `GET /_cluster/state/blocks`
    pub(super) fn blocks(&self) -> Reply {
        let mut blocked = Map::new();
        for (name, index) in &self.cluster.indices {
            let blocks: Map<String, Value> = index.blocks().map(|(id, block)| (id.to_owned(), block)).collect();
            if !blocks.is_empty() {
                blocked.insert(name.clone(), Value::Object(blocks));
            }
        }
        let blocks = if blocked.is_empty() { json!({}) } else { json!({ "indices": blocked }) };
        Reply::ok(json!({"cluster_name": self.cluster.name, "cluster_uuid": self.cluster.uuid, "blocks": blocks}))
    }

    /// `PUT /<names>/_settings`, for blocks: the only settings that anybody changes here.
    pub(super) fn set(&mut self, names: &str, body: &Map<String, Value>) -> Reply {
        let found = match self.named(names, false) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        if let Some(other) = body.keys().find(|name| !name.starts_with("index.blocks.")) {
            let reason = format!("the world does not know how to change {other}");
            return Reply::error(400, "illegal_argument_exception", reason);
        }
        for name in found {
            let Some(index) = self.cluster.indices.get_mut(&name) else { continue };
            for (setting, value) in body {
                match value {
                    Value::Null => drop(index.settings.remove(setting)),
                    Value::String(text) => drop(index.settings.insert(setting.clone(), text.clone())),
                    other => drop(index.settings.insert(setting.clone(), other.to_string())),
                }
            }
            self.note(Store::Search, format!("change the blocks of {name}"));
        }
        Reply::acknowledged()
    }

    /// Why these indices cannot be closed or deleted now.
    fn being_copied(&self, names: &[String], verb: &str) -> Option<Reply> {
        let taken = |running: &Running, name: &String| running.indices.contains(name);
        let busy: Vec<String> = names
            .iter()
            .filter(|name| self.cluster.running.iter().any(|running| taken(running, name)))
            .map(|name| format!("[{name}/{}]", self.cluster.indices[name.as_str()].uuid))
            .collect();
        let reason = format!(
            "Cannot {verb} indices that are being snapshotted: [{}]. Try again after snapshot finishes or cancel the \
             currently running snapshot.",
            busy.join(", ")
        );
        (!busy.is_empty()).then(|| Reply::error(400, "snapshot_in_progress_exception", reason))
    }

    /// `POST /<names>/_close`
    pub(super) fn close(&mut self, names: &str) -> Reply {
        let found = match self.named(names, false) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        if let Some(refused) = self.being_copied(&found, "close") {
            return refused;
        }
        let restoring = |name: &&String| {
            self.cluster.indices[*name].shards.iter().any(|shard| matches!(shard.life, Life::Restoring(_)))
        };
        if let Some(name) = found.iter().find(restoring) {
            let reason = format!("Cannot close indices that are being restored: [[{name}]]");
            return Reply::error(400, "illegal_argument_exception", reason);
        }
        self.turn(&found, false);
        let closed: Map<String, Value> = found.iter().map(|name| (name.clone(), json!({"closed": true}))).collect();
        Reply::ok(json!({"acknowledged": true, "shards_acknowledged": true, "indices": closed}))
            .after(Duration::from_millis(120))
    }

    /// `POST /<names>/_open`
    pub(super) fn open(&mut self, names: &str) -> Reply {
        match self.named(names, false) {
            Ok(found) => {
                self.turn(&found, true);
                Reply::ok(json!({"acknowledged": true, "shards_acknowledged": true})).after(OPENS)
            }
            Err(refused) => refused,
        }
    }

    fn turn(&mut self, names: &[String], open: bool) {
        for name in names {
            let (now, millis) = (self.now, self.millis());
            let Some(index) = self.cluster.indices.get_mut(name).filter(|index| index.open != open) else { continue };
            index.open = open;
            index.opens_at = now + OPENS;
            for shard in &mut index.shards {
                shard.recovery = Recovered { from: None, since: millis, bytes: shard.bytes(), reopened: true };
                shard.writes = 0;
            }
            self.note(Store::Search, format!("{} {name}", if open { "open" } else { "close" }));
        }
    }

    /// `PUT /<name>`: an empty index. One that is to be on a node that is not there is on none.
    pub(super) fn create(&mut self, name: &str, body: &Map<String, Value>) -> Reply {
        if let Some(there) = self.cluster.indices.get(name) {
            let reason = format!("index [{name}/{}] already exists", there.uuid);
            return Reply::error(400, "resource_already_exists_exception", reason);
        }
        let settings = flat(body.get("settings").unwrap_or(&Value::Null));
        let number =
            |setting: &str, otherwise| settings.get(setting).map_or(Some(otherwise), |value| value.parse::<u32>().ok());
        let (Some(shards), Some(replicas)) =
            (number("index.number_of_shards", 1), number("index.number_of_replicas", 1))
        else {
            let reason = "Failed to parse value for setting [index.number_of_shards] or [index.number_of_replicas]";
            return Reply::error(400, "illegal_argument_exception", reason);
        };
        let wanted = settings.get("index.routing.allocation.require._name");
        let up: Vec<bool> = (0..self.cluster.nodes())
            .map(|node| self.cluster.is_up(node) && wanted.is_none_or(|name| *name == self.cluster.node_name(node)))
            .collect();
        let (uuid, since) = (self.uuid(), self.millis());
        let shard = |number: u32| {
            let copies = index::placed(usize::try_from(number).unwrap_or(0), replicas, &up);
            let life = if copies.is_empty() { Life::Unplaced } else { Life::Started };
            Shard { life, ..Shard::new(copies, since) }
        };
        let shards: Vec<Shard> = (0..shards).map(shard).collect();
        let is_placed = shards.iter().all(|shard| shard.life == Life::Started);
        let aliases = body.get("aliases").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect();
        let usual = ["index.number_of_shards", "index.number_of_replicas"];
        let settings = settings.into_iter().filter(|(name, _)| !usual.contains(&name.as_str())).collect();
        let made = index::Index { uuid, open: true, replicas, settings, aliases, shards, opens_at: self.now };
        self.cluster.indices.insert(name.to_owned(), made);
        self.note(Store::Search, format!("create {name}"));
        Reply::ok(json!({"acknowledged": true, "shards_acknowledged": is_placed, "index": name}))
            .after(Duration::from_millis(150))
    }

    /// `DELETE /<names>`
    pub(super) fn delete(&mut self, names: &str) -> Reply {
        let found = match self.named(names, false) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        if let Some(refused) = self.being_copied(&found, "delete") {
            return refused;
        }
        for name in found {
            self.cluster.indices.remove(&name);
            self.note(Store::Search, format!("delete {name}"));
        }
        Reply::acknowledged().after(Duration::from_millis(100))
    }
}

/// Settings by their full name, however they are nested.
fn flat(settings: &Value) -> BTreeMap<String, String> {
    fn descend(prefix: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(inner) => {
                for (name, value) in inner {
                    descend(&if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") }, value, found);
                }
            }
            Value::Null => {}
            Value::String(text) => drop(found.insert(prefix.to_owned(), text.clone())),
            other => drop(found.insert(prefix.to_owned(), other.to_string())),
        }
    }
    let mut found = BTreeMap::new();
    descend("", settings, &mut found);
    let full = |name: String| if name.starts_with("index.") { name } else { format!("index.{name}") };
    found.into_iter().map(|(name, value)| (full(name), value)).collect()
}

fn sizes(total: u64, recovered: u64) -> Value {
    let percent = (recovered * 100).checked_div(total).unwrap_or(0);
    json!({"size": {"total_in_bytes": total, "reused_in_bytes": 0, "recovered_in_bytes": recovered,
        "percent": format!("{percent}.0%")}})
}

fn done(index: &str, number: usize, recovered: &Recovered) -> Value {
    let (kind, source) = match &recovered.from {
        Some(source) => ("SNAPSHOT", without_type(source_shown(source, index))),
        None if recovered.reopened => ("EXISTING_STORE", json!({"bootstrap_new_history_uuid": false})),
        None => ("EMPTY_STORE", json!({})),
    };
    json!({"id": number, "type": kind, "stage": "DONE", "primary": true,
        "start_time_in_millis": recovered.since, "source": source, "index": sizes(recovered.bytes, recovered.bytes)})
}

fn under_way(index: &str, number: usize, restoring: &Restoring) -> Value {
    json!({"id": number, "type": "SNAPSHOT", "stage": "INDEX", "primary": true,
        "start_time_in_millis": restoring.since, "source": without_type(source_shown(&restoring.source, index)),
        "index": sizes(restoring.total, restoring.done)})
}

/// Only the routing table says what sort of source it is.
fn without_type(mut source: Value) -> Value {
    if let Value::Object(source) = &mut source {
        source.shift_remove("type");
    }
    source
}
