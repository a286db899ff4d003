//! Restores: beginning one, and filling its shards, slice by slice. A shard whose files are missing is tried five times,
//! one whose files are rotten is given up at once, as the real server does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::catalog::{DataFile, IndexMetadata, Listed, ShardTrouble, SnapshotInfo, Trouble};
use super::filter::fits;
use super::index::{Index, Life, Recovered, Restoring, Segment, Shard, Source, placed};
use super::repository::Used;
use super::request::{Reply, Request};
use super::scene::Scene;
use super::snapshots::unreadable;
use crate::world::Store;

/// How often a shard whose files cannot be opened is tried.
const ATTEMPTS: u32 = 5;

impl Scene<'_> {
    /// `POST /_snapshot/<repository>/<name>/_restore`
    pub(super) fn begin_restore(&mut self, repository: &str, name: &str, request: &Request) -> Reply {
        match self.restored(repository, name, request) {
            Ok(()) => {
                self.wake();
                Reply::ok(json!({"accepted": true})).after(Duration::from_millis(150))
            }
            Err(refused) => refused,
        }
    }

    fn restored(&mut self, repository: &str, name: &str, request: &Request) -> Result<(), Reply> {
        let used = self.used(repository)?;
        let Some(listed) = used.catalog.snapshots.iter().find(|listed| listed.name == name).cloned() else {
            let reason = format!("[{repository}:{name}] snapshot does not exist");
            return Err(Reply::error(500, "snapshot_restore_exception", reason));
        };
        let snapshot = format!("[{repository}:{name}/{}]", listed.uuid);
        let files = self.files(&used.location);
        let info: SnapshotInfo = files
            .get(&format!("/snap-{}.dat", listed.uuid))
            .map_err(|trouble| unreadable(repository, name, &listed.uuid, &used.location, &trouble))?;
        let has: Vec<&str> = strings(&info.shown, "indices");
        let wanted = request.body.get("indices").and_then(Value::as_str).unwrap_or("_all");
        let names = wanted_of(wanted, &has)?;
        let failed: Vec<&str> = info.shown["failures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|failure| failure.get("index").and_then(Value::as_str))
            .collect();
        let mut found = BTreeMap::new();
        for name in &names {
            let metadata = self.metadata_in(&used, &listed, name, &snapshot)?;
            let refused =
                |why: String| Err(Reply::error(500, "snapshot_restore_exception", format!("{snapshot} {why}")));
            if failed.contains(name) && !request.flag("partial", false) {
                return refused(format!("index [{name}] wasn't fully snapshotted - cannot restore"));
            }
            match self.cluster.indices.get(*name) {
                Some(there) if there.open => {
                    return refused(format!(
                        "cannot restore index [{name}] because an open index with same name already exists in the \
                         cluster. Either close or delete the existing index or restore the index under a different name \
                         by providing a rename pattern and replacement name"
                    ));
                }
                Some(there) if there.shards.len() != metadata.shards => {
                    return refused(format!(
                        "cannot restore index [{name}] with [{}] shards from a snapshot of index [{name}] with [{}] \
                         shards",
                        there.shards.len(),
                        metadata.shards
                    ));
                }
                _ => {}
            }
            found.insert((*name).to_owned(), metadata);
        }
        let source = Source { repository: repository.to_owned(), snapshot: name.to_owned(), restore_uuid: self.uuid() };
        for (name, metadata) in found {
            let id = used.catalog.indices.get(&name).map(|index| index.id.clone()).unwrap_or_default();
            self.put_in_place(&name, &metadata, request, &source, (&id, &listed.uuid));
            self.note(Store::Search, format!("restore {name} from {}", source.snapshot));
        }
        Ok(())
    }

    fn metadata_in(
        &mut self,
        used: &Used,
        listed: &Listed,
        name: &str,
        snapshot: &str,
    ) -> Result<IndexMetadata, Reply> {
        let index = used.catalog.indices.get(name);
        let blob = index.and_then(|index| {
            let identifier = listed.index_metadata_lookup.get(&index.id)?;
            Some((index.id.clone(), used.catalog.index_metadata_identifiers.get(identifier)?.clone()))
        });
        let Some((id, blob)) = blob else { return Err(no_such(name)) };
        let path = format!("/indices/{id}/meta-{blob}.dat");
        self.files(&used.location).get(&path).map_err(|trouble| {
            let cause = trouble.cause(&used.location);
            if matches!(trouble, Trouble::Missing(_)) {
                return Reply::caused(404, "snapshot_missing_exception", format!("{snapshot} is missing"), &cause);
            }
            let reason = format!("org.apache.lucene.index.CorruptIndexException: {}", cause.1);
            Reply::caused(500, "corrupt_state_exception", reason, &cause)
        })
    }

    /// Makes the index, or opens the closed one, with shards that wait for the snapshot.
    fn put_in_place(
        &mut self,
        name: &str,
        metadata: &IndexMetadata,
        request: &Request,
        source: &Source,
        (id, snapshot_uuid): (&str, &str),
    ) {
        let before = self.cluster.indices.remove(name);
        let mut settings = metadata.settings.clone();
        let ignored = request.body.get("ignore_index_settings").and_then(Value::as_array);
        for pattern in ignored.into_iter().flatten().filter_map(Value::as_str) {
            settings.retain(|setting, _| !fits(pattern, setting));
        }
        let mut replicas = metadata.replicas;
        for (setting, value) in request.body.get("index_settings").and_then(Value::as_object).into_iter().flatten() {
            let setting = setting.trim_start_matches("index.");
            if let ("number_of_replicas", Some(number)) = (setting, value.as_u64()) {
                replicas = u32::try_from(number).unwrap_or(u32::MAX);
            } else {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                settings.insert(format!("index.{setting}"), text);
            }
        }
        let aliases = if request.flag("include_aliases", true) {
            metadata.aliases.clone()
        } else {
            before.as_ref().map(|before| before.aliases.clone()).unwrap_or_default()
        };
        let (since, fresh) = (self.millis(), self.uuid());
        let local = |number: usize| {
            let shard = before.as_ref().and_then(|before| before.shards.get(number));
            shard.map(|shard| shard.segments.clone()).unwrap_or_default()
        };
        let shards = (0..metadata.shards).map(|number| {
            let mut shard = Shard::new(Vec::new(), since);
            shard.life = Life::Restoring(Box::new(Restoring {
                source: source.clone(),
                total: 0,
                done: 0,
                attempts: 0,
                details: String::new(),
                is_begun: false,
                since,
                over_existing: before.is_some(),
                folder: format!("/indices/{id}/{number}"),
                snapshot_uuid: snapshot_uuid.to_owned(),
                local: local(number),
            }));
            shard
        });
        let index = Index {
            uuid: before.as_ref().map_or(fresh, |before| before.uuid.clone()),
            open: true,
            replicas,
            settings,
            aliases,
            shards: shards.collect(),
            opens_at: Duration::ZERO,
        };
        self.cluster.indices.insert(name.to_owned(), index);
    }

    /// True when shards wait for a snapshot.
    pub(super) fn restores_are_left(&self) -> bool {
        let mut shards = self.cluster.indices.values().flat_map(|index| &index.shards);
        shards.any(|shard| matches!(shard.life, Life::Restoring(_)))
    }

    /// The next piece of the restores: of one shard of every index. True when there is more to do.
    pub(super) fn slice_of_restores(&mut self) -> bool {
        let waiting: Vec<(String, usize)> = self
            .cluster
            .indices
            .iter()
            .filter_map(|(name, index)| {
                let next = index.shards.iter().position(|shard| matches!(shard.life, Life::Restoring(_)))?;
                Some((name.clone(), next))
            })
            .collect();
        for (name, number) in waiting {
            self.slice_of_restore(&name, number);
        }
        self.restores_are_left()
    }

    fn slice_of_restore(&mut self, name: &str, number: usize) {
        let Some(index) = self.cluster.indices.get_mut(name) else { return };
        let replicas = index.replicas;
        let shard = &mut index.shards[number];
        let Life::Restoring(mut restoring) = std::mem::replace(&mut shard.life, Life::Lost) else { return };
        let up = self.cluster.up.clone();
        let since = self.millis();
        let nodes = placed(number, replicas, &up);
        let first = nodes.first().map_or(0, |held| held.node);
        let read = self.read_shard(&restoring);
        let life = match read {
            Ok(found) if !restoring.is_begun => {
                restoring.is_begun = true;
                restoring.since = since;
                restoring.total = found.iter().map(|(file, _)| file.length).sum();
                Life::Restoring(restoring)
            }
            Ok(found) if restoring.done == 0 && restoring.total > 0 => {
                // Half of it first, so that faults find it half-way; what is read is read again.
                restoring.done = restoring.total.div_ceil(2).min(found.iter().map(|(file, _)| file.length).sum());
                Life::Restoring(restoring)
            }
            Ok(found) => {
                self.filled(name, number, nodes, &restoring, found);
                return;
            }
            Err((why, is_final)) => {
                restoring.attempts += 1;
                restoring.is_begun = false;
                restoring.done = 0;
                restoring.details = self.failure(name, number, first, &restoring, &why);
                if is_final || restoring.attempts >= ATTEMPTS {
                    Life::Failed(restoring)
                } else {
                    Life::Restoring(restoring)
                }
            }
        };
        if let Some(shard) = self.cluster.indices.get_mut(name).and_then(|index| index.shards.get_mut(number)) {
            shard.life = life;
        }
    }

    fn filled(
        &mut self,
        name: &str,
        number: usize,
        copies: Vec<super::index::Held>,
        restoring: &Restoring,
        found: Vec<(DataFile, String)>,
    ) {
        let Some(shard) = self.cluster.indices.get_mut(name).and_then(|index| index.shards.get_mut(number)) else {
            return;
        };
        let segments: Vec<Segment> =
            found.into_iter().map(|(file, content)| Segment { name: file.physical_name, content }).collect();
        let numbers = segments.iter().filter_map(|segment| segment.name[1..].split('.').next()?.parse::<u64>().ok());
        *shard = Shard {
            documents: Shard::documents_of(&segments),
            next_segment: numbers.max().map_or(0, |number| number + 1),
            segments,
            recovery: Recovered {
                from: Some(restoring.source.clone()),
                since: restoring.since,
                bytes: restoring.total,
                reopened: false,
            },
            ..Shard::new(copies, restoring.since)
        };
    }

    /// Reads a shard of a snapshot: what is in it, or why not and whether another attempt makes no sense.
    fn read_shard(&mut self, restoring: &Restoring) -> Result<Vec<(DataFile, String)>, (String, bool)> {
        let source = &restoring.source;
        let Ok(used) = self.used(&source.repository) else {
            return Err((format!("RepositoryMissingException[[{}] missing]", source.repository), false));
        };
        let snapshot = format!("[{}:{}/{}]", source.repository, source.snapshot, restoring.snapshot_uuid);
        let files = self.files(&used.location);
        files.shard(&restoring.folder, &restoring.snapshot_uuid, &restoring.local).map_err(|trouble| match trouble {
            ShardTrouble::List(Trouble::Missing(_)) => {
                (format!("SnapshotMissingException[[{}:{}] is missing]", source.repository, source.snapshot), false)
            }
            ShardTrouble::List(trouble) => {
                let place = restoring.folder.trim_start_matches('/').replace('/', "][");
                let nested = trouble.nested(&used.location);
                let why = format!("SnapshotException[{snapshot} failed to read shard snapshot file for [[{place}]]]");
                (format!("{why}; nested: CorruptStateException[{nested}]; nested: {nested}"), true)
            }
            ShardTrouble::Data(trouble) => (trouble.nested(&used.location), false),
            ShardTrouble::Short { written, file } => {
                let DataFile { physical_name, length, checksum, .. } = file;
                let why = format!(
                    "CorruptIndexException[verification failed (hardware problem?) : expected={checksum} actual=null \
                     footer=null writtenLength={written} expectedLength={length} (resource=name [{physical_name}], \
                     length [{length}], checksum [{checksum}], writtenBy [9.12.3]) \
                     (resource=VerifyingIndexOutput({physical_name}))]"
                );
                (why, true)
            }
            ShardTrouble::Bad { actual, file } => {
                let DataFile { physical_name, length, checksum, .. } = file;
                let why = format!(
                    "CorruptIndexException[checksum failed (hardware problem?) : expected={checksum} actual={actual} \
                     (resource=name [{physical_name}], length [{length}], checksum [{checksum}], writtenBy [9.12.3]) \
                     (resource=VerifyingIndexOutput({physical_name}))]"
                );
                (why, true)
            }
        })
    }

    fn failure(&self, name: &str, number: usize, node: usize, restoring: &Restoring, why: &str) -> String {
        let (id, node) = (&self.cluster.node_ids[node], self.cluster.node_name(node));
        format!(
            "failed shard on node [{id}]: failed recovery, failure RecoveryFailedException[[{name}][{number}]: Recovery \
             failed on {{{node}}}{{{id}}}]; nested: IndexShardRecoveryException[failed recovery]; nested: \
             IndexShardRestoreFailedException[restore failed]; nested: IndexShardRestoreFailedException[failed to \
             restore snapshot [{}/{}]]; nested: {why}; ",
            restoring.source.snapshot, restoring.snapshot_uuid
        )
    }
}

fn strings<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    value[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The indices of a snapshot that are meant.
fn wanted_of<'a>(wanted: &str, has: &[&'a str]) -> Result<Vec<&'a str>, Reply> {
    let mut names = Vec::new();
    for pattern in wanted.split(',') {
        let all = pattern == "_all";
        let found: Vec<&str> = has.iter().copied().filter(|name| all || fits(pattern, name)).collect();
        if found.is_empty() && !all && !pattern.contains('*') {
            return Err(no_such(pattern));
        }
        names.extend(found);
    }
    Ok(names)
}

fn no_such(name: &str) -> Reply {
    Reply::error(404, "index_not_found_exception", format!("no such index [{name}]"))
}
