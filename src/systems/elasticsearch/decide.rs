//! What is to be done with each index at the target, from what is there. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::{IndexHealths, Recoveries, RoutedIndex, Routing, ShardRecovery, Writes};
use super::details::{Copied, CopiedIndex};
use super::indices::{Index, Table};
use super::pattern::Pattern;
use super::settings::Replicas;
use crate::model::Counted;

/// What is to be done with one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// It is not there: restore it.
    Create,
    /// It is there: close it and restore over it. Files that are equal are not copied again.
    Replace,
    /// It is there with another number of shards, over which nothing can be restored: delete it and restore.
    Recreate,
    /// It is being restored from this very snapshot.
    Follow,
    /// It holds this very snapshot, and nobody has written to it since.
    Done,
}

/// The snapshot that is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The repository.
    pub repository: String,
    /// The snapshot.
    pub snapshot: String,
    /// When it was complete. What was restored before that came from an older one of the same name.
    pub ended_ms: i64,
}

impl Origin {
    fn is_source_of(&self, recovery: &ShardRecovery) -> bool {
        recovery.kind == "SNAPSHOT"
            && recovery.source.repository == self.repository
            && recovery.source.snapshot == self.snapshot
            && recovery.start_time_in_millis >= self.ended_ms
    }

    /// True for a primary that went elsewhere after the snapshot was complete: a cluster that balances its nodes moves a
    /// primary as soon as it is whole, and a node that restarts opens it again. What its recovery names then is the
    /// other node, or its own disk.
    fn may_have_moved(&self, recovery: &ShardRecovery) -> bool {
        let elsewhere = matches!(recovery.kind.as_str(), "PEER" | "EXISTING_STORE");
        recovery.primary && elsewhere && recovery.stage == "DONE" && recovery.start_time_in_millis >= self.ended_ms
    }
}

/// True when a primary is not where the snapshot filled it: whether it was filled at all must then be asked of the
/// index itself.
#[must_use]
pub fn has_moved(recoveries: &Recoveries, origin: &Origin) -> bool {
    recoveries.values().flat_map(|index| &index.shards).any(|recovery| origin.may_have_moved(recovery))
}

/// What is known of the indices that are there.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Where their shards come from.
    pub recoveries: Recoveries,
    /// Where their shards are.
    pub routing: Routing,
    /// How often they were written to.
    pub writes: Writes,
}

/// What to do with each index of the snapshot.
#[must_use]
pub fn decide<'a>(
    copied: &'a Copied,
    there: &Table,
    evidence: &Evidence,
    origin: &Origin,
) -> BTreeMap<&'a String, Todo> {
    copied
        .indices
        .iter()
        .map(|(name, wanted)| {
            let todo = match there.indices.get(name) {
                None => Todo::Create,
                Some(index) if index.shards != wanted.shards => Todo::Recreate,
                Some(index) if !index.open => Todo::Replace,
                Some(_) => of_open(name, wanted, evidence, origin),
            };
            (name, todo)
        })
        .collect()
}

fn of_open(name: &str, wanted: &CopiedIndex, evidence: &Evidence, origin: &Origin) -> Todo {
    let recoveries = evidence.recoveries.get(name).map(|index| index.shards.as_slice()).unwrap_or_default();
    let primaries = || recoveries.iter().filter(|recovery| recovery.primary);
    let ours = |recovery: &&ShardRecovery| origin.is_source_of(recovery);
    let done = primaries().filter(ours).filter(|recovery| recovery.stage == "DONE").count();
    let all = usize::try_from(wanted.shards).unwrap_or(usize::MAX);
    if done == all && primaries().count() == all && evidence.writes.of(name) == Some(0) {
        return Todo::Done;
    }
    let routed = evidence.routing.routing_table.indices.get(name);
    let waiting = routed.map_or(0, |index| waiting_for(index, origin));
    let begun = primaries().filter(ours).count();
    // Every primary either waits for this snapshot or has begun with it; one of them at least is not done.
    if waiting > 0 && done + waiting >= all && begun + waiting >= all { Todo::Follow } else { Todo::Replace }
}

/// How many primaries wait for, or are being filled from, the snapshot.
fn waiting_for(index: &RoutedIndex, origin: &Origin) -> usize {
    let waits = |shard: &&super::answers::RoutedShard| {
        shard.primary
            && shard.state != "STARTED"
            // What the server has given up on does not come by waiting.
            && !(shard.state == "UNASSIGNED"
                && shard.unassigned_info.as_ref().is_some_and(|info| info.reason == "ALLOCATION_FAILED"))
            && shard.recovery_source.as_ref().is_some_and(|source| {
                source.kind == "SNAPSHOT" && source.repository == origin.repository && source.snapshot == origin.snapshot
            })
    };
    index.shards.values().flatten().filter(waits).count()
}

/// The indices at the target that the source does not have any more: those that were meant by the snapshot and by the
/// target's own settings, and are not in it. What the snapshot could not hold because it was closed there stays.
#[must_use]
pub fn surplus<'a>(copied: &'a Copied, there: &'a Table, own: &'a Pattern) -> Vec<&'a String> {
    there
        .meant(&copied.pattern)
        .filter(|(name, _)| own.matches(name) && !copied.indices.contains_key(*name) && !copied.closed.contains(name))
        .map(|(name, _)| name)
        .collect()
}

/// The indices to restore, by the number of replicas to give them; `None` leaves what the snapshot says.
#[must_use]
pub fn by_replicas<'a>(
    copied: &'a Copied,
    names: &[&'a String],
    setting: Replicas,
    data_nodes: u32,
) -> BTreeMap<Option<u32>, Vec<&'a str>> {
    let mut groups: BTreeMap<Option<u32>, Vec<&str>> = BTreeMap::new();
    for name in names {
        let Some(index) = copied.indices.get(*name) else { continue };
        let wanted = setting.wanted(index.replicas, data_nodes);
        let change = !index.auto_expand && wanted != index.replicas;
        groups.entry(change.then_some(wanted)).or_default().push(name);
    }
    groups
}

/// How far a restore is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes that are there, those that were there before included.
    pub bytes: u64,
    /// In all; nothing until every shard has begun.
    pub total: Option<u64>,
    /// The indices that are not whole yet.
    pub pending: Vec<String>,
    /// True when shards are being filled now.
    pub moving: bool,
}

/// Reads progress for these indices, whose restores were accepted. An index is whole when every primary was filled from
/// the snapshot and works; an answer that names no recovery means that it has not begun.
///
/// `open` names indices that were seen open before `health` was asked. Each was closed or absent before its restore, so
/// that its primaries, if they work, are those of the restore, wherever they have moved since.
#[must_use]
pub fn progress(
    wanted: &BTreeMap<&str, u32>,
    recoveries: &Recoveries,
    health: &IndexHealths,
    open: &BTreeSet<String>,
    origin: &Origin,
) -> Progress {
    let mut progress = Progress::default();
    let mut begun = 0;
    let mut total = 0;
    for (name, &shards) in wanted {
        let found = recoveries.get(*name).map(|index| index.shards.as_slice()).unwrap_or_default();
        let mut done = 0;
        let moved = |recovery: &ShardRecovery| open.contains(*name) && origin.may_have_moved(recovery);
        let ours = |recovery: &&ShardRecovery| origin.is_source_of(recovery) || moved(recovery);
        for recovery in found.iter().filter(|recovery| recovery.primary).filter(ours) {
            let (bytes, all) = recovery.bytes();
            progress.bytes += bytes;
            total += all;
            begun += 1;
            done += u32::from(recovery.stage == "DONE");
        }
        let health = health.indices.get(*name);
        progress.moving |= health.is_some_and(|health| health.initializing_shards > 0);
        let works = health.is_some_and(|health| health.status != "red" && health.active_primary_shards == shards);
        if done < shards || !works {
            progress.pending.push((*name).to_owned());
        }
    }
    progress.total = (begun == wanted.values().sum::<u32>()).then_some(total);
    progress
}

/// For losses: an index of the target and what becomes of it.
#[must_use]
pub fn loss(name: &str, index: &Index, documents: Option<u64>, fate: &str, site: &str) -> String {
    let holds = match documents {
        Some(documents) => Counted(documents, "document", "documents").to_string(),
        None if index.open => "its documents cannot be counted".to_owned(),
        None => "closed, not counted".to_owned(),
    };
    format!("index {name} at {site} is {fate}: {holds}")
}

#[cfg(test)]
mod tests;
