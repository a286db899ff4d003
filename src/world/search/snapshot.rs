//! A snapshot while it is taken: shard after shard, then the list of the repository.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::VERSION;
use super::catalog::{
    Catalog, DataFile, IndexMetadata, Listed, ShardIndex, ShardSnapshot, SnapshotInfo, Trouble, checksum,
};
use super::index::{Index, Segment};
use super::repository::Used;
use super::scene::Scene;
use crate::world::Store;

/// A snapshot that is being taken.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) repository: String,
    pub(super) indices: Vec<String>,
    pub(super) metadata: Option<Value>,
    pub(super) global_state: bool,
    pub(super) since: i64,
    pub(super) shards: Vec<RunningShard>,
    /// Where each index lives in the repository.
    pub(super) ids: BTreeMap<String, String>,
}

/// A shard of it.
#[derive(Debug)]
pub(super) struct RunningShard {
    pub(super) index: String,
    pub(super) index_uuid: String,
    pub(super) number: usize,
    pub(super) node: usize,
    pub(super) stage: Stage,
}

/// How far a shard is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Not begun: what is written now is still in it.
    Init,
    /// Its content is fixed, and being written.
    Started(Vec<Segment>),
    /// It is in the repository.
    Done { files: u64, bytes: u64, generation: String },
    /// It is not, and will not be.
    Failed(String),
}

/// What the server says of a shard whose file has rotted on its own disk.
fn rotten(index: &str, number: usize) -> String {
    let what = format!(
        "verification failed : calculated=pur776 stored=1jjg6qk (resource=VerifyingIndexInput(ByteBufferIndexInput(\
         path=\"/var/lib/search/nodes/0/indices/{index}/{number}/index/_0.cfs\")))"
    );
    format!(
        "UncategorizedExecutionException[Failed execution]; nested: ExecutionException[\
         org.apache.lucene.index.CorruptIndexException: {what}]; nested: CorruptIndexException[{what}]"
    )
}

impl Stage {
    fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed(_))
    }

    /// The server's word for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Started(_) => "STARTED",
            Self::Done { .. } => "DONE",
            Self::Failed(_) => "FAILURE",
        }
    }
}

impl Running {
    /// A node left, and the shards that it was copying fail.
    pub(super) fn node_left(&mut self, node: usize) {
        for shard in self.shards.iter_mut().filter(|shard| shard.node == node && !shard.stage.is_over()) {
            shard.stage = Stage::Failed("node shutdown".to_owned());
        }
    }

    /// How many slices it still takes.
    pub(super) fn slices_left(&self) -> u32 {
        let left = self.shards.iter().map(|shard| match shard.stage {
            Stage::Init => 2,
            Stage::Started(_) => 1,
            Stage::Done { .. } | Stage::Failed(_) => 0,
        });
        left.sum::<u32>() + 1
    }

    /// What `GET` shows of it while it runs.
    pub(super) fn shown(&self) -> Value {
        self.info("IN_PROGRESS", 0, &[], (0, 0))
    }

    fn info(&self, state: &str, end: i64, failures: &[Value], shards: (usize, usize)) -> Value {
        let (total, failed) = shards;
        let took = if end > 0 { end - self.since } else { 0 };
        let mut shown = json!({"snapshot": self.name, "uuid": self.uuid, "version_id": super::VERSION_ID,
            "version": VERSION, "remote_store_index_shallow_copy": false, "indices": self.indices, "data_streams": [],
            "include_global_state": self.global_state});
        if let Some(metadata) = &self.metadata {
            shown["metadata"] = metadata.clone();
        }
        let rest = json!({"state": state, "start_time": stamp(self.since), "start_time_in_millis": self.since,
            "end_time": stamp(end), "end_time_in_millis": end, "duration_in_millis": took, "failures": failures,
            "shards": {"total": total, "failed": failed, "successful": total - failed}});
        if let (Value::Object(shown), Value::Object(rest)) = (&mut shown, rest) {
            shown.extend(rest);
        }
        shown
    }

    /// What `_status` shows of it.
    pub(super) fn status(&self, now: i64, node_ids: &[String]) -> Value {
        let stage_stats = |shards: &[&RunningShard]| {
            let count = |word: &str| shards.iter().filter(|shard| shard.stage.word() == word).count();
            json!({"initializing": count("INIT"), "started": count("STARTED"), "finalizing": 0, "done": count("DONE"),
                "failed": count("FAILURE"), "total": shards.len()})
        };
        let byte_stats = |shards: &[&RunningShard]| {
            let sizes = shards.iter().map(|shard| match &shard.stage {
                Stage::Started(segments) => {
                    (segments.len() as u64, segments.iter().map(|segment| segment.content.len() as u64).sum(), 0)
                }
                Stage::Done { files, bytes, .. } => (*files, *bytes, *bytes),
                Stage::Init | Stage::Failed(_) => (0, 0, 0),
            });
            let (files, bytes, done) =
                sizes.fold((0, 0, 0), |all, one: (u64, u64, u64)| (all.0 + one.0, all.1 + one.1, all.2 + one.2));
            let mut stats = json!({"incremental": {"file_count": files, "size_in_bytes": bytes},
                "total": {"file_count": files, "size_in_bytes": bytes}});
            if done < bytes {
                stats["processed"] = json!({"file_count": 0, "size_in_bytes": done});
            }
            stats["start_time_in_millis"] = json!(self.since);
            stats["time_in_millis"] = json!(now - self.since);
            stats
        };
        let mut indices = Map::new();
        for name in &self.indices {
            let shards: Vec<&RunningShard> = self.shards.iter().filter(|shard| shard.index == *name).collect();
            let each: Map<String, Value> = shards
                .iter()
                .map(|shard| {
                    let shown = json!({"stage": shard.stage.word(), "stats": byte_stats(&[shard]),
                        "node": node_ids[shard.node]});
                    (shard.number.to_string(), shown)
                })
                .collect();
            let shown = json!({"shards_stats": stage_stats(&shards), "stats": byte_stats(&shards), "shards": each});
            indices.insert(name.clone(), shown);
        }
        let all: Vec<&RunningShard> = self.shards.iter().collect();
        json!({"snapshot": self.name, "repository": self.repository, "uuid": self.uuid, "state": "STARTED",
            "include_global_state": self.global_state, "shards_stats": stage_stats(&all), "stats": byte_stats(&all),
            "indices": indices})
    }
}

/// A time as the server writes it.
fn stamp(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

impl Scene<'_> {
    /// The next piece of every snapshot that runs; true when there is more to do.
    pub(super) fn slice_of_snapshots(&mut self) -> bool {
        let mut kept = Vec::new();
        for mut running in std::mem::take(&mut self.cluster.running) {
            if let Some(next) = running.shards.iter().position(|shard| !shard.stage.is_over()) {
                self.slice_of_shard(&mut running, next);
                kept.push(running);
            } else {
                self.finish(&running);
            }
        }
        self.cluster.running = kept;
        self.delete_what_waits();
        !self.cluster.running.is_empty()
    }

    fn slice_of_shard(&mut self, running: &mut Running, number: usize) {
        let is_last = number + 1 == running.shards.len();
        let uuid = running.uuid.clone();
        let shard = &mut running.shards[number];
        let stage = std::mem::replace(&mut shard.stage, Stage::Init);
        shard.stage = match stage {
            Stage::Init => {
                let found = self.cluster.indices.get_mut(&shard.index);
                let found = found.and_then(|index| index.shards.get_mut(shard.number));
                match found {
                    Some(found) => {
                        found.flush();
                        Stage::Started(found.segments.clone())
                    }
                    None => Stage::Failed("IndexNotFoundException[no such index]".to_owned()),
                }
            }
            Stage::Started(_) if is_last && std::mem::take(&mut self.cluster.partial_next) => {
                Stage::Failed(rotten(&shard.index_uuid, shard.number))
            }
            Stage::Started(segments) => {
                let id = running.ids.get(&shard.index).cloned().unwrap_or_default();
                let place = (running.repository.as_str(), id.as_str(), shard.number);
                match self.copy(place, &running.name, &uuid, &shard.index, &segments) {
                    Ok(done) => done,
                    Err(why) => Stage::Failed(why),
                }
            }
            over => over,
        };
    }

    /// Writes a shard's files into the repository, those that are not there yet.
    fn copy(
        &mut self,
        place: (&str, &str, usize),
        name: &str,
        uuid: &str,
        index: &str,
        segments: &[Segment],
    ) -> Result<Stage, String> {
        let (repository, id, number) = place;
        let used = self.used(repository).map_err(|_| format!("RepositoryException[[{repository}] is not there]"))?;
        let folder = format!("/indices/{id}/{number}");
        let generation = used.catalog.indices.get(index).and_then(|listed| listed.shard_generations.get(number));
        let fresh = self.uuid();
        let names: Vec<String> = segments.iter().map(|_| format!("__{}", self.uuid())).collect();
        let mut files = self.files(&used.location);
        let failed = |trouble: Trouble| {
            let words = trouble.nested(&used.location);
            format!("IndexShardSnapshotFailedException[Failed to snapshot shard]; nested: {words}")
        };
        let mut listed: ShardIndex = match generation.cloned().flatten() {
            Some(generation) => files.get(&format!("{folder}/index-{generation}")).map_err(failed)?,
            None => ShardIndex::default(),
        };
        let mut all = Vec::new();
        let (mut fresh_files, mut fresh_bytes) = (Vec::new(), 0);
        for (segment, blob) in segments.iter().zip(names) {
            let (length, sum) = (segment.content.len() as u64, checksum(segment.content.as_bytes()));
            let same =
                |file: &&DataFile| file.physical_name == segment.name && file.length == length && file.checksum == sum;
            if let Some(file) = listed.files.iter().find(same) {
                all.push(file.clone());
                continue;
            }
            let file = DataFile { name: blob, physical_name: segment.name.clone(), length, checksum: sum };
            fresh_files.push((file.clone(), segment.content.clone().into_bytes()));
            fresh_bytes += length;
            all.push(file);
        }
        listed.files.extend(fresh_files.iter().map(|(file, _)| file.clone()));
        listed.snapshots.insert(uuid.to_owned(), all.iter().map(|file| file.name.clone()).collect());
        let count = fresh_files.len() as u64;
        // The list first, as the real server does: on a full disk it is the empty file that is left.
        files.put(&format!("{folder}/index-{fresh}"), &listed).map_err(failed)?;
        for (file, content) in fresh_files {
            files.put_raw(&format!("{folder}/{}", file.name), content).map_err(failed)?;
        }
        let snapshot = ShardSnapshot { name: name.to_owned(), files: all };
        files.put(&format!("{folder}/snap-{uuid}.dat"), &snapshot).map_err(failed)?;
        Ok(Stage::Done { files: count, bytes: fresh_bytes, generation: fresh })
    }

    /// Writes what makes it a snapshot. When that fails there is none, and only what was written is left.
    fn finish(&mut self, running: &Running) {
        let Ok(used) = self.used(&running.repository) else { return };
        let failures: Vec<Value> = running
            .shards
            .iter()
            .filter_map(|shard| match &shard.stage {
                Stage::Failed(reason) => Some(json!({"index": shard.index, "index_uuid": shard.index_uuid,
                    "shard_id": shard.number, "reason": reason, "node_id": self.cluster.node_ids[shard.node],
                    "status": "INTERNAL_SERVER_ERROR"})),
                _ => None,
            })
            .collect();
        let (state, code) = if failures.is_empty() { ("SUCCESS", 1) } else { ("PARTIAL", 3) };
        let shown = running.info(state, self.millis(), &failures, (running.shards.len(), failures.len()));
        let mut catalog = used.catalog.clone();
        let mut lookup = BTreeMap::new();
        let mut metadata = Vec::new();
        for name in &running.indices {
            let Some(index) = self.cluster.indices.get(name) else { continue };
            let id = running.ids.get(name).cloned().unwrap_or_default();
            let kept = metadata_of(name, index);
            let identifier =
                format!("{}-_na_-1-{}", index.uuid, checksum(&serde_json::to_vec(&kept).unwrap_or_default()));
            lookup.insert(id.clone(), identifier.clone());
            let blob = self.uuid();
            if let Entry::Vacant(entry) = catalog.index_metadata_identifiers.entry(identifier) {
                metadata.push((format!("/indices/{id}/meta-{blob}.dat"), kept));
                entry.insert(blob);
            }
            let listed = catalog.indices.entry(name.clone()).or_default();
            listed.id = id;
            listed.snapshots.push(running.uuid.clone());
            for shard in running.shards.iter().filter(|shard| shard.index == *name) {
                listed.shard_generations.resize(listed.shard_generations.len().max(shard.number + 1), None);
                if let Stage::Done { generation, .. } = &shard.stage {
                    listed.shard_generations[shard.number] = Some(generation.clone());
                }
            }
        }
        catalog.snapshots.push(Listed {
            name: running.name.clone(),
            uuid: running.uuid.clone(),
            state: code,
            index_metadata_lookup: lookup,
            version: VERSION.to_owned(),
        });
        if self.keep(running, &used, &catalog, shown, &metadata).is_ok() {
            self.drop_old_lists(&used, &catalog);
            self.note(Store::Repository, format!("snapshot {} in {} ({state})", running.name, running.repository));
        }
    }

    fn keep(
        &mut self,
        running: &Running,
        used: &Used,
        catalog: &Catalog,
        shown: Value,
        metadata: &[(String, IndexMetadata)],
    ) -> Result<(), super::request::Reply> {
        let failed = |trouble: Trouble| super::repository::io_error(&trouble, &used.location);
        let mut files = self.files(&used.location);
        let snap = files.put(&format!("/snap-{}.dat", running.uuid), &SnapshotInfo { shown });
        let meta = files.put(&format!("/meta-{}.dat", running.uuid), &json!({"version": VERSION}));
        let indices = metadata.iter().map(|(path, kept)| files.put(path, kept)).collect::<Result<Vec<()>, Trouble>>();
        snap.and(meta).and(indices.map(drop)).map_err(failed)?;
        self.publish(&running.repository, used, catalog)
    }

    /// Removes the lists of shards that newer ones replaced.
    fn drop_old_lists(&mut self, used: &Used, catalog: &Catalog) {
        let mut files = self.files(&used.location);
        for (name, old) in &used.catalog.indices {
            let now = catalog.indices.get(name).map(|listed| listed.shard_generations.as_slice()).unwrap_or_default();
            for (number, generation) in old.shard_generations.iter().enumerate() {
                if let Some(generation) = generation
                    && now.get(number).is_some_and(|now| now.as_ref() != Some(generation))
                {
                    files.remove(&format!("/indices/{}/{number}/index-{generation}", old.id));
                }
            }
        }
    }
}

fn metadata_of(name: &str, index: &Index) -> IndexMetadata {
    IndexMetadata {
        name: name.to_owned(),
        uuid: index.uuid.clone(),
        shards: index.shards.len(),
        replicas: index.replicas,
        settings: index.settings.clone(),
        aliases: index.aliases.clone(),
    }
}
