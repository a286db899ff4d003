//! Following a restore to its end, explaining one that is stuck, and stopping one that is not wanted any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::answers::{IndexHealths, Recoveries, RoutedShard, Routing};
use super::ask::{Ask, portions};
use super::client::Client;
use super::decide::{Origin, Progress, has_moved, progress};
use super::dialect::Dialect;
use super::indices::Table;
use crate::model::{Failure, FailureKind};
use crate::systems::StepContext;

/// How long nothing may move before the restore is called stuck.
const STUCK: Duration = Duration::from_mins(1);
/// How long nothing may move before we look for primaries that the server has given up on.
const STILL: Duration = Duration::from_secs(5);
/// The longest pause between two looks.
const POLL: Duration = Duration::from_secs(3);

/// A restore that has begun.
pub struct Restoring<'a> {
    /// The attempt.
    pub cx: &'a StepContext,
    /// The cluster.
    pub client: &'a Client,
    /// What it is.
    pub dialect: Dialect,
    /// The snapshot.
    pub origin: &'a Origin,
    /// The indices and their primaries.
    pub wanted: BTreeMap<&'a str, u32>,
}

/// Waits until every index is whole. Returns how many bytes they have.
///
/// # Errors
/// `Refused` with the server's explanation when a primary cannot be filled; `Unknown` when the cluster stays silent;
/// `Cancelled` after the indices that were not whole yet were removed.
pub async fn wait(restoring: &Restoring<'_>) -> Result<u64, Failure> {
    let cx = restoring.cx;
    let tried = format!("restore snapshot {} at {}", restoring.origin.snapshot, restoring.client.url());
    let mut silent_since: Option<tokio::time::Instant> = None;
    let mut moved = tokio::time::Instant::now();
    let mut last = Progress::default();
    let mut pause = Duration::from_millis(200);
    loop {
        match look(restoring).await {
            Ok(now) if now.pending.is_empty() => {
                cx.progress(now.bytes, Some(now.bytes), "bytes");
                return Ok(now.bytes);
            }
            Ok(now) => {
                silent_since = None;
                cx.progress(now.bytes, now.total, "bytes");
                if now.moving || now != last {
                    moved = tokio::time::Instant::now();
                }
                // The servers try a failed primary again at once: only one that stays failed is given up.
                let failed = if moved.elapsed() > STILL { failed(restoring, &now.pending).await } else { None };
                if moved.elapsed() > STUCK || failed.is_some() {
                    return Err(stuck(restoring, &tried, &now.pending, failed).await);
                }
                last = now;
            }
            Err(failure) => {
                let since = *silent_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() > cx.estate.policy.patience() {
                    return Err(Failure::new(FailureKind::Unknown, tried, failure.got.as_str())
                        .hint("the restore goes on there; when the cluster answers again, resume the run"));
                }
                cx.say(format!("{} does not answer ({}); asking again", restoring.client.site, failure.got.as_str()));
                moved = tokio::time::Instant::now();
            }
        }
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(stop(restoring, &tried).await),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 3 / 2).min(POLL);
    }
}

async fn look(restoring: &Restoring<'_>) -> Result<Progress, Failure> {
    let tried = "follow the restore";
    let (mut recoveries, mut health) = (Recoveries::new(), IndexHealths::default());
    for portion in portions(restoring.wanted.keys().copied()) {
        recoveries.extend(restoring.client.fetch::<Recoveries>(&Ask::recovery(&portion), tried).await?);
    }
    let mut open = BTreeSet::new();
    if has_moved(&recoveries, restoring.origin) {
        let table = Table::fetch(restoring.client).await?;
        open.extend(table.indices.into_iter().filter(|(_, index)| index.open).map(|(name, _)| name));
    }
    for portion in portions(restoring.wanted.keys().copied()) {
        let answer = restoring.client.read(&Ask::health_of(&portion), tried).await?;
        let found: IndexHealths =
            if answer.status == 408 { answer.decode_any(tried)? } else { answer.decode(tried)? };
        health.indices.extend(found.indices);
    }
    Ok(progress(&restoring.wanted, &recoveries, &health, &open, restoring.origin))
}

/// A primary that the server has given up on: its index and what the server says.
async fn failed(restoring: &Restoring<'_>, pending: &[String]) -> Option<(String, u32, String)> {
    for portion in portions(pending.iter().map(String::as_str)) {
        let routing: Routing = restoring.client.fetch(&Ask::routing(&portion), "follow the restore").await.ok()?;
        for (index, routed) in routing.routing_table.indices {
            for (shard, copies) in routed.shards {
                if let Some(said) = copies.iter().find_map(given_up) {
                    return Some((index, shard, said));
                }
            }
        }
    }
    None
}

/// What the server says of a primary that could not be restored and will not be tried again.
fn given_up(copy: &RoutedShard) -> Option<String> {
    let info = copy.unassigned_info.as_ref()?;
    let details = info.details.clone().unwrap_or_default();
    // The servers try again up to five times, and say in the details when they will not.
    let given_up = copy.primary
        && copy.state == "UNASSIGNED"
        && info.reason == "ALLOCATION_FAILED"
        && (details.contains("restore") || details.contains("snapshot"));
    given_up.then_some(details)
}

async fn stuck(
    restoring: &Restoring<'_>,
    tried: &str,
    pending: &[String],
    failed: Option<(String, u32, String)>,
) -> Failure {
    let mut got = format!("{} of {} indices do not become whole: ", pending.len(), restoring.wanted.len());
    got.push_str(&shortened(pending));
    let (index, shard, said) =
        failed.unwrap_or_else(|| (pending.first().cloned().unwrap_or_default(), 0, String::new()));
    let mut lines = vec![said];
    if let Ok(answer) = restoring.client.read(&Ask::explain(&index, shard), "ask why").await
        && answer.is_success()
    {
        lines.extend(explanation(&answer.value()));
    }
    for line in distinct(lines) {
        got = format!("{got}\n{index}[{shard}]: {line}");
    }
    Failure::new(FailureKind::Refused, tried, got).hint(
        "the other indices are whole; mend what the server names, then run the restore again: it goes on from there",
    )
}

/// The readable parts of an allocation explanation.
fn explanation(explained: &Value) -> Vec<String> {
    let text = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let mut lines: Vec<String> = [
        text(explained, "/allocate_explanation"),
        text(explained, "/unassigned_info/details"),
        text(explained, "/explanation"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let nodes = explained.get("node_allocation_decisions").and_then(Value::as_array).into_iter().flatten();
    for node in nodes.take(5) {
        let name = text(node, "/node_name").unwrap_or_default();
        let deciders = node.get("deciders").and_then(Value::as_array).into_iter().flatten();
        lines.extend(deciders.filter_map(|decider| Some(format!("{name}: {}", text(decider, "/explanation")?))));
    }
    lines
}

/// Without stack traces, and without what is said in another line already: the servers repeat a long reason in every
/// sentence.
fn distinct(lines: Vec<String>) -> Vec<String> {
    let is_frame = |line: &&str| line.starts_with("at ") || (line.starts_with("... ") && line.ends_with(" more"));
    let mut kept: Vec<String> = Vec::new();
    for text in lines {
        let text: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_frame(line)).collect();
        let text = text.join("\n");
        if !text.is_empty() && !kept.iter().any(|have| text.contains(have.as_str())) {
            kept.push(text);
        }
    }
    kept
}

fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown} and {} more", names.len() - 10) } else { shown }
}

/// Stops the restore: the servers know no other way than to delete what is not whole yet. Says what is left.
async fn stop(restoring: &Restoring<'_>, tried: &str) -> Failure {
    let unknown = |why: &str| {
        Failure::new(FailureKind::Unknown, tried, format!("asked to stop, but {why}"))
            .hint("the restore may go on there; look at GET /_cat/recovery, or run the restore again")
    };
    let pending = match look(restoring).await {
        Ok(now) => now.pending,
        Err(failure) => return unknown(failure.got.as_str()),
    };
    restoring.cx.say(format!("stopping the restore of {}", shortened(&pending)));
    for portion in portions(pending.iter().map(String::as_str)) {
        let deleted = restoring.client.change(&Ask::delete(restoring.dialect, &portion), tried).await;
        if let Err(failure) = deleted
            && !failure.is_unknown()
        {
            return unknown(failure.got.as_str());
        }
    }
    match Table::fetch(restoring.client).await {
        Ok(table) => {
            let left: Vec<String> = pending.iter().filter(|name| table.indices.contains_key(*name)).cloned().collect();
            if !left.is_empty() {
                return unknown(&format!("these are still there: {}", shortened(&left)));
            }
        }
        Err(failure) => return unknown(failure.got.as_str()),
    }
    let whole = restoring.wanted.len() - pending.len();
    let got = if pending.is_empty() {
        format!("asked to stop; all {whole} indices were whole already")
    } else {
        format!(
            "asked to stop; {whole} indices are restored whole; {} were not and are gone, as is the copy that was there before: {}",
            pending.len(),
            shortened(&pending)
        )
    };
    Failure::new(FailureKind::Cancelled, tried, got).hint("run the restore again to have the missing ones back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_explanation_is_put_in_words() {
        let explained = json!({
            "index": "orders", "shard": 0, "primary": true, "current_state": "unassigned",
            "unassigned_info": {"reason": "EXISTING_INDEX_RESTORED", "details": "restore_source[r1/s1]"},
            "can_allocate": "no",
            "allocate_explanation": "cannot allocate because allocation is not permitted to any of the nodes",
            "node_allocation_decisions": [{"node_name": "n1", "deciders": [
                {"decider": "filter", "decision": "NO", "explanation": "node does not match"}]}]
        });
        let said = explanation(&explained);
        assert_eq!(
            said,
            [
                "cannot allocate because allocation is not permitted to any of the nodes",
                "restore_source[r1/s1]",
                "n1: node does not match"
            ]
        );
        let repeated = vec![String::new(), "bad disk ".into(), "n1: failed because of bad disk, and so on".into()];
        assert_eq!(distinct(repeated), ["bad disk"]);
        let trace = "Exception: no file\n\tat a.b.C.d(C.java:1)\nCaused by: x\n\t... 3 more\n".to_owned();
        assert_eq!(distinct(vec![trace]), ["Exception: no file\nCaused by: x"]);
    }

    #[test]
    fn only_a_primary_that_is_given_up_ends_the_wait() {
        let copy = |value| serde_json::from_value::<RoutedShard>(value).expect("a shard");
        let details =
            "failed shard on node [n]: failed recovery, failure SnapshotMissingException, failed to restore snapshot";
        for (value, is_given_up) in [
            (
                json!({"state": "UNASSIGNED", "primary": true, "unassigned_info": {"reason": "ALLOCATION_FAILED", "details": details}}),
                true,
            ),
            (
                json!({"state": "UNASSIGNED", "primary": false, "unassigned_info": {"reason": "ALLOCATION_FAILED", "details": details}}),
                false,
            ),
            (
                json!({"state": "INITIALIZING", "primary": true, "unassigned_info": {"reason": "ALLOCATION_FAILED", "details": details}}),
                false,
            ),
            (
                json!({"state": "UNASSIGNED", "primary": true, "unassigned_info": {"reason": "EXISTING_INDEX_RESTORED"}}),
                false,
            ),
            (json!({"state": "STARTED", "primary": true}), false),
        ] {
            assert_eq!(given_up(&copy(value.clone())).is_some(), is_given_up, "{value}");
        }
    }
}
