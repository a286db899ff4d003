//! What is asked of snapshots: creating, showing and deleting them, and cleaning up after them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::catalog::{Catalog, ShardIndex, SnapshotInfo, Trouble};
use super::filter::fits;
use super::index::Life;
use super::repository::{Used, io_error, missing};
use super::request::{Reply, Request};
use super::scene::Scene;
use super::snapshot::{Running, RunningShard, Stage};
use crate::world::Store;

/// What a failed look at `snap-<uuid>.dat` answers.
pub(super) fn unreadable(repository: &str, name: &str, uuid: &str, location: &str, trouble: &Trouble) -> Reply {
    let cause = trouble.cause(location);
    let snapshot = format!("[{repository}:{name}/{uuid}]");
    match trouble {
        Trouble::Missing(_) => {
            Reply::caused(404, "snapshot_missing_exception", format!("{snapshot} is missing"), &cause)
        }
        _ => Reply::caused(500, "snapshot_exception", format!("{snapshot} failed to get snapshots"), &cause),
    }
}

impl Scene<'_> {
    /// `GET /_snapshot/_status`
    pub(super) fn status(&self, repository: Option<&str>) -> Reply {
        let wanted = |running: &&Running| repository.is_none_or(|name| name == "_all" || running.repository == name);
        let now = self.millis();
        let shown = self.cluster.running.iter().filter(wanted);
        let shown: Vec<Value> = shown.map(|running| running.status(now, &self.cluster.node_ids)).collect();
        Reply::ok(json!({ "snapshots": shown }))
    }

    /// `GET /_snapshot/<repository>/<names>`
    pub(super) fn snapshots(&mut self, repository: &str, names: &str, forgiving: bool) -> Reply {
        let used = match self.used(repository) {
            Ok(used) => used,
            Err(refused) => return refused,
        };
        let mut shown = Vec::new();
        for pattern in names.split(',') {
            let all = pattern == "_all" || pattern.contains('*');
            let wanted = |name: &str| pattern == "_all" || fits(pattern, name);
            let before = shown.len();
            let mut broken = None;
            for listed in used.catalog.snapshots.iter().filter(|listed| wanted(&listed.name)) {
                match self.info(&used, &listed.uuid) {
                    Ok(info) => shown.push(info),
                    Err(trouble) => {
                        broken.get_or_insert_with(|| {
                            unreadable(repository, &listed.name, &listed.uuid, &used.location, &trouble)
                        });
                    }
                }
            }
            let mine = |running: &&Running| running.repository == repository && wanted(&running.name);
            shown.extend(self.cluster.running.iter().filter(mine).map(Running::shown));
            match broken {
                Some(refused) if !forgiving => return refused,
                None if !all && !forgiving && shown.len() == before => return no_snapshot(repository, pattern),
                _ => {}
            }
        }
        // One file is opened for each.
        let took = Duration::from_millis(8 + 4 * shown.len() as u64);
        Reply::ok(json!({ "snapshots": shown })).after(took)
    }

    fn info(&mut self, used: &Used, uuid: &str) -> Result<Value, Trouble> {
        let info: SnapshotInfo = self.files(&used.location).get(&format!("/snap-{uuid}.dat"))?;
        Ok(info.shown)
    }

    /// `PUT /_snapshot/<repository>/<name>`
    pub(super) fn create_snapshot(&mut self, repository: &str, name: &str, request: &Request) -> Reply {
        let used = match self.used(repository) {
            Ok(used) => used,
            Err(refused) => return refused,
        };
        let invalid = |why: &str| {
            let reason = format!("[{repository}:{name}] Invalid snapshot name [{name}], {why}");
            Reply::error(400, "invalid_snapshot_name_exception", reason)
        };
        if used.readonly {
            let reason = format!("[{repository}] cannot create snapshot in a readonly repository");
            return Reply::error(500, "repository_exception", reason);
        }
        if name.chars().any(char::is_uppercase) {
            return invalid("must be lowercase");
        }
        if used.catalog.snapshots.iter().any(|listed| listed.name == name) {
            return invalid("snapshot with the same name already exists");
        }
        if self.cluster.running.iter().any(|running| running.repository == repository && running.name == name) {
            return invalid("snapshot with the same name is already in-progress");
        }
        let wanted = request.body.get("indices").and_then(Value::as_str).unwrap_or("_all");
        let indices = match self.named(wanted, request.flag("ignore_unavailable", false)) {
            Ok(indices) => indices,
            Err(refused) => return refused,
        };
        let up = self.cluster.up.clone();
        let (mut shards, mut red) = (Vec::new(), Vec::new());
        for name in &indices {
            let Some(index) = self.cluster.indices.get(name) else { continue };
            for (number, shard) in index.shards.iter().enumerate() {
                let primary = if index.opens_at <= self.now { shard.active(&up).first().copied() } else { None };
                let stage = match primary {
                    Some(_) => Stage::Init,
                    None => Stage::Failed("primary shard is not allocated".to_owned()),
                };
                if primary.is_none() && !red.contains(name) {
                    red.push(name.clone());
                }
                let (index, index_uuid) = (name.clone(), index.uuid.clone());
                shards.push(RunningShard { index, index_uuid, number, node: primary.unwrap_or(0), stage });
            }
        }
        let uuid = self.uuid();
        if !red.is_empty() && !request.flag("partial", false) {
            let reason = format!("[{repository}:{name}/{uuid}] Indices don't have primary shards [{}]", red.join(", "));
            return Reply::error(500, "snapshot_exception", reason);
        }
        let mut ids = BTreeMap::new();
        for index in &indices {
            let known = used.catalog.indices.get(index).map(|listed| listed.id.clone());
            ids.insert(index.clone(), known.unwrap_or_else(|| self.uuid()));
        }
        self.cluster.running.push(Running {
            name: name.to_owned(),
            uuid,
            repository: repository.to_owned(),
            indices,
            metadata: request.body.get("metadata").cloned(),
            global_state: request.flag("include_global_state", true),
            since: self.millis(),
            shards,
            ids,
        });
        self.wake();
        Reply::ok(json!({"accepted": true})).after(Duration::from_millis(120))
    }

    /// `DELETE /_snapshot/<repository>/<name>`: one that runs is stopped.
    pub(super) fn delete_snapshot(&mut self, repository: &str, name: &str) -> Reply {
        let used = match self.used(repository) {
            Ok(used) => used,
            Err(refused) => return refused,
        };
        if used.readonly {
            let reason = format!("[{repository}] cannot delete snapshot from a readonly repository");
            return Reply::error(500, "repository_exception", reason);
        }
        let before = self.cluster.running.len();
        self.cluster.running.retain(|running| running.repository != repository || running.name != name);
        if self.cluster.running.len() < before {
            return Reply::acknowledged().after(Duration::from_millis(400));
        }
        let Some(listed) = used.catalog.snapshots.iter().find(|listed| listed.name == name) else {
            return no_snapshot(repository, name);
        };
        if self.is_being_restored(repository, name) {
            let reason = format!("[{repository}:{name}/{}] cannot delete snapshot during a restore", listed.uuid);
            return Reply::error(503, "concurrent_snapshot_execution_exception", reason);
        }
        let slices = self.cluster.running.iter().filter(|running| running.repository == repository);
        let slices = slices.map(Running::slices_left).max();
        if let Some(slices) = slices {
            // It waits until the repository is nobody else's, and answers then.
            self.cluster.deleting.push((repository.to_owned(), name.to_owned()));
            return Reply::acknowledged().after(self.slices(slices + 1));
        }
        match self.remove_snapshot(repository, &used, name) {
            Ok(()) => Reply::acknowledged().after(Duration::from_millis(500)),
            Err(refused) => refused,
        }
    }

    /// The deletions that waited for a snapshot, as far as none runs any more.
    pub(super) fn delete_what_waits(&mut self) {
        for (repository, name) in std::mem::take(&mut self.cluster.deleting) {
            if self.cluster.running.iter().any(|running| running.repository == repository) {
                self.cluster.deleting.push((repository, name));
            } else if let Ok(used) = self.used(&repository) {
                // Nobody listens any more; what could not be deleted is still there when somebody looks.
                drop(self.remove_snapshot(&repository, &used, &name));
            }
        }
    }

    fn is_being_restored(&self, repository: &str, name: &str) -> bool {
        let shards = self.cluster.indices.values().flat_map(|index| &index.shards);
        shards
            .filter_map(|shard| if let Life::Restoring(restoring) = &shard.life { Some(restoring) } else { None })
            .any(|restoring| restoring.source.repository == repository && restoring.source.snapshot == name)
    }

    /// New lists without the snapshot first, then its files go. A list that cannot be read leaves its files behind.
    fn remove_snapshot(&mut self, repository: &str, used: &Used, name: &str) -> Result<(), Reply> {
        let mut catalog = used.catalog.clone();
        let Some(listed) = catalog.snapshots.iter().find(|listed| listed.name == name) else { return Ok(()) };
        let (uuid, lookup) = (&listed.uuid.clone(), listed.index_metadata_lookup.clone());
        catalog.snapshots.retain(|listed| listed.uuid != *uuid);
        let mut going = vec![format!("/snap-{uuid}.dat"), format!("/meta-{uuid}.dat")];
        for listed in catalog.indices.values_mut().filter(|listed| listed.snapshots.iter().any(|have| have == uuid)) {
            listed.snapshots.retain(|have| have != uuid);
            if listed.snapshots.is_empty() {
                going.push(format!("/indices/{}", listed.id));
                continue;
            }
            for number in 0..listed.shard_generations.len() {
                let Some(generation) = listed.shard_generations[number].clone() else { continue };
                let folder = format!("/indices/{}/{number}", listed.id);
                let fresh = self.uuid();
                let mut files = self.files(&used.location);
                let Ok(mut list) = files.get::<ShardIndex>(&format!("{folder}/index-{generation}")) else { continue };
                list.snapshots.remove(uuid);
                let needed = |name: &String| list.snapshots.values().flatten().any(|have| have == name);
                let (keep, gone): (Vec<_>, Vec<_>) = list.files.iter().cloned().partition(|file| needed(&file.name));
                let list = ShardIndex { files: keep, snapshots: list.snapshots.clone() };
                files
                    .put(&format!("{folder}/index-{fresh}"), &list)
                    .map_err(|trouble| io_error(&trouble, &used.location))?;
                going.extend(gone.into_iter().map(|file| format!("{folder}/{}", file.name)));
                going.push(format!("{folder}/snap-{uuid}.dat"));
                going.push(format!("{folder}/index-{generation}"));
                listed.shard_generations[number] = Some(fresh);
            }
        }
        catalog.indices.retain(|_, listed| !listed.snapshots.is_empty());
        let used_identifiers: Vec<String> =
            catalog.snapshots.iter().flat_map(|listed| listed.index_metadata_lookup.values().cloned()).collect();
        for (id, identifier) in lookup {
            if !used_identifiers.contains(&identifier)
                && let Some(blob) = catalog.index_metadata_identifiers.remove(&identifier)
            {
                going.push(format!("/indices/{id}/meta-{blob}.dat"));
            }
        }
        self.publish(repository, used, &catalog)?;
        let mut files = self.files(&used.location);
        for path in going {
            files.remove(&path);
        }
        self.sweep(&used.location, &catalog);
        self.note(Store::Repository, format!("delete snapshot {name} in {repository}"));
        Ok(())
    }

    /// Removes what belongs to no snapshot; nothing while one is taken. Returns how many files and bytes went.
    fn sweep(&mut self, location: &str, catalog: &Catalog) -> (u64, u64) {
        if !self.cluster.running.is_empty() {
            return (0, 0);
        }
        let mut files = self.files(location);
        let stale = files.stale(catalog);
        stale.iter().map(|path| files.remove(path)).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// `POST /_snapshot/<repository>/_cleanup`
    pub(super) fn cleanup(&mut self, repository: &str) -> Reply {
        if !self.cluster.repositories.contains_key(repository) {
            return missing(repository);
        }
        let used = match self.used(repository) {
            Ok(used) => used,
            Err(refused) => return refused,
        };
        if used.readonly {
            let reason = format!("[{repository}] cannot run cleanup on readonly repository");
            return Reply::error(500, "repository_exception", reason);
        }
        if !self.cluster.running.is_empty() {
            let reason = format!("[{repository}] cannot cleanup while a snapshot is running");
            return Reply::error(500, "illegal_state_exception", reason);
        }
        let (blobs, bytes) = self.sweep(&used.location, &used.catalog);
        Reply::ok(json!({"results": {"deleted_bytes": bytes, "deleted_blobs": blobs}}))
            .after(Duration::from_millis(200))
    }
}

fn no_snapshot(repository: &str, name: &str) -> Reply {
    Reply::error(404, "snapshot_missing_exception", format!("[{repository}:{name}] is missing"))
}
