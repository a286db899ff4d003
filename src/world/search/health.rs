//! How well a cluster and its indices are, and where their shards are.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::VERSION;
use super::index::{Index, Life, Restoring, Shard, Source};
use super::request::{Reply, Request};
use super::scene::Scene;

/// How good it is; a later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Colour {
    Green,
    Yellow,
    Red,
}

impl Colour {
    fn word(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// What is counted for a health.
#[derive(Debug, Clone, Copy)]
struct Tally {
    colour: Colour,
    primaries: usize,
    active: usize,
    initializing: usize,
    unassigned: usize,
}

/// The copies of a shard, at a time.
fn tally(shard: &Shard, index: &Index, up: &[bool], now: Duration) -> Tally {
    let copies = index.replicas as usize + 1;
    let none = |colour, initializing: usize| Tally {
        colour,
        primaries: 0,
        active: 0,
        initializing,
        unassigned: copies - initializing,
    };
    match &shard.life {
        // A primary that waits for a snapshot and never failed is no cause for alarm.
        Life::Restoring(restoring) if restoring.attempts == 0 => none(Colour::Yellow, usize::from(restoring.is_begun)),
        Life::Restoring(restoring) => none(Colour::Red, usize::from(restoring.is_begun)),
        Life::Failed(_) | Life::Lost | Life::Unplaced => none(Colour::Red, 0),
        Life::Started if now < index.opens_at => none(Colour::Red, 1),
        Life::Started => match shard.active(up).len() {
            0 => none(Colour::Red, 0),
            active => {
                let active = active.min(copies);
                let colour = if active < copies { Colour::Yellow } else { Colour::Green };
                Tally { colour, primaries: 1, active, initializing: 0, unassigned: copies - active }
            }
        },
    }
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    let zero = Tally { colour: Colour::Green, primaries: 0, active: 0, initializing: 0, unassigned: 0 };
    tallies.fold(zero, |all, one| Tally {
        colour: all.colour.max(one.colour),
        primaries: all.primaries + one.primaries,
        active: all.active + one.active,
        initializing: all.initializing + one.initializing,
        unassigned: all.unassigned + one.unassigned,
    })
}

fn share(tally: Tally) -> f64 {
    let all = tally.active + tally.initializing + tally.unassigned;
    #[expect(clippy::cast_precision_loss, reason = "a percentage of a few shards")]
    let share = if all == 0 { 100.0 } else { tally.active as f64 / all as f64 * 100.0 };
    share
}

impl Scene<'_> {
    /// `GET /_cluster/health`
    pub(super) fn health(&self, names: Option<&str>, request: &Request) -> Reply {
        let wait = match request.query.get("wait_for_status").map(String::as_str) {
            Some("green") => Some(Colour::Green),
            Some("yellow") => Some(Colour::Yellow),
            _ => None,
        };
        let timeout = request.span("timeout").unwrap_or(Duration::from_secs(30));
        let chosen =
            names.map_or_else(|| Ok(self.cluster.indices.keys().cloned().collect()), |names| self.named(names, false));
        let Ok(chosen) = chosen else {
            // It waits for them to be made.
            return Reply { status: 408, ..Reply::ok(self.health_body(&[], Colour::Red, self.now, true, false)) }
                .after(timeout);
        };
        let levels = request.query.get("level").is_some_and(|level| level == "indices");
        let opened = self.cluster.indices.values().map(|index| index.opens_at).max().unwrap_or_default();
        let short = Duration::from_millis(4);
        // What is being opened settles by itself; nothing else does while nobody else acts.
        let moments = [(self.now, short), (opened, opened.saturating_sub(self.now) + short)];
        for (at, took) in moments {
            let colour = self.colour(&chosen, at);
            if wait.is_none_or(|wanted| colour <= wanted) && took <= timeout + short {
                return Reply::ok(self.health_body(&chosen, Colour::Green, at, false, levels)).after(took);
            }
        }
        let body = self.health_body(&chosen, Colour::Green, self.now + timeout, true, levels);
        Reply { status: 408, ..Reply::ok(body) }.after(timeout)
    }

    fn tally_of(&self, name: &str, at: Duration) -> Tally {
        let index = self.cluster.indices.get(name);
        sum(index
            .into_iter()
            .flat_map(|index| index.shards.iter().map(move |shard| tally(shard, index, &self.cluster.up, at))))
    }

    fn colour(&self, names: &[String], at: Duration) -> Colour {
        names.iter().map(|name| self.tally_of(name, at).colour).max().unwrap_or(Colour::Green)
    }

    /// True when a primary works nowhere.
    pub(super) fn is_red(&self) -> bool {
        self.cluster.indices.keys().any(|name| self.tally_of(name, self.now).colour == Colour::Red)
    }

    fn health_body(&self, names: &[String], least: Colour, at: Duration, late: bool, levels: bool) -> Value {
        let all = sum(names.iter().map(|name| self.tally_of(name, at)));
        let nodes = self.cluster.up.iter().filter(|up| **up).count();
        let mut body = json!({"cluster_name": self.cluster.name, "status": all.colour.max(least).word(),
            "timed_out": late, "number_of_nodes": nodes, "number_of_data_nodes": nodes, "discovered_master": true,
            "discovered_cluster_manager": true, "active_primary_shards": all.primaries, "active_shards": all.active,
            "relocating_shards": 0, "initializing_shards": all.initializing, "unassigned_shards": all.unassigned,
            "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": share(all)});
        if levels {
            let indices = names.iter().filter_map(|name| {
                let (index, tally) = (self.cluster.indices.get(name)?, self.tally_of(name, at));
                let shown = json!({"status": tally.colour.word(), "number_of_shards": index.shards.len(),
                    "number_of_replicas": index.replicas, "active_primary_shards": tally.primaries,
                    "active_shards": tally.active, "relocating_shards": 0,
                    "initializing_shards": tally.initializing, "unassigned_shards": tally.unassigned});
                Some((name.clone(), shown))
            });
            body["indices"] = Value::Object(indices.collect());
        }
        body
    }

    /// `GET /_cluster/state/routing_table/<names>`
    pub(super) fn routing(&self, names: &str) -> Reply {
        let names = self.named(names, true).unwrap_or_default();
        let indices: Map<String, Value> = names
            .iter()
            .filter_map(|name| {
                let index = self.cluster.indices.get(name)?;
                let shards =
                    index.shards.iter().enumerate().map(|(number, shard)| {
                        (number.to_string(), Value::Array(self.copies(name, index, number, shard)))
                    });
                Some((name.clone(), json!({"shards": shards.collect::<Map<String, Value>>()})))
            })
            .collect();
        Reply::ok(json!({"cluster_name": self.cluster.name, "cluster_uuid": self.cluster.uuid,
            "routing_table": {"indices": indices}}))
    }

    fn copies(&self, name: &str, index: &Index, number: usize, shard: &Shard) -> Vec<Value> {
        let copies = index.replicas as usize + 1;
        let at = self.wall.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let on = |node: Option<usize>, state: &str, primary: bool| {
            json!({"state": state, "primary": primary, "node": node.map(|node| &self.cluster.node_ids[node]),
                "relocating_node": null, "shard": number, "index": name})
        };
        let nowhere = |primary: bool, source: Value, info: Value| {
            let mut copy = on(None, "UNASSIGNED", primary);
            copy["recovery_source"] = source;
            copy["unassigned_info"] = info;
            copy
        };
        let info = |reason: &str, status: &str| json!({"reason": reason, "at": at, "delayed": false, "allocation_status": status});
        let mut shown = match &shard.life {
            Life::Started => {
                let opening = self.now < index.opens_at;
                let active = if opening { Vec::new() } else { shard.active(&self.cluster.up) };
                let mut shown: Vec<Value> = active
                    .iter()
                    .enumerate()
                    .take(copies)
                    .map(|(copy, node)| on(Some(*node), "STARTED", copy == 0))
                    .collect();
                if shown.is_empty() {
                    let reason = if opening { "INDEX_CLOSED" } else { "NODE_LEFT" };
                    let source = json!({"type": "EXISTING_STORE", "bootstrap_new_history_uuid": false});
                    shown.push(nowhere(true, source, info(reason, "no_valid_shard_copy")));
                }
                shown
            }
            Life::Restoring(restoring) if restoring.is_begun => {
                let mut copy = on(self.cluster.up.iter().position(|up| *up), "INITIALIZING", true);
                copy["recovery_source"] = source_shown(&restoring.source, name);
                copy["unassigned_info"] = waiting(restoring, &at, "fetching_shard_data");
                vec![copy]
            }
            Life::Restoring(restoring) => {
                let source = source_shown(&restoring.source, name);
                vec![nowhere(true, source, waiting(restoring, &at, "fetching_shard_data"))]
            }
            Life::Failed(restoring) => {
                let source = source_shown(&restoring.source, name);
                vec![nowhere(true, source, waiting(restoring, &at, "deciders_no"))]
            }
            Life::Lost => {
                let source = json!({"type": "EXISTING_STORE", "bootstrap_new_history_uuid": false});
                vec![nowhere(true, source, info("CLUSTER_RECOVERED", "no_valid_shard_copy"))]
            }
            Life::Unplaced => {
                vec![nowhere(true, json!({"type": "EMPTY_STORE"}), info("INDEX_CREATED", "deciders_no"))]
            }
        };
        while shown.len() < copies {
            shown.push(nowhere(false, json!({"type": "PEER"}), info("REPLICA_ADDED", "no_attempt")));
        }
        shown
    }

    /// `POST /_cluster/allocation/explain`
    pub(super) fn explain(&self, body: &Map<String, Value>) -> Reply {
        let name = body.get("index").and_then(Value::as_str).unwrap_or_default();
        let number = body.get("shard").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let Some(index) = self.cluster.indices.get(name) else { return Reply::no_index(name) };
        let Some(shard) = index.shards.get(number) else {
            return Reply::error(400, "illegal_argument_exception", format!("No shard [{number}] in index [{name}]"));
        };
        let head = json!({"index": name, "shard": number, "primary": true});
        let copies = self.copies(name, index, number, shard);
        let mut shown = head;
        if copies[0]["state"] == "STARTED" {
            shown["current_state"] = json!("started");
            shown["can_remain_on_current_node"] = json!("yes");
            return Reply::ok(shown);
        }
        let mut info = copies[0]["unassigned_info"].clone();
        info["last_allocation_status"] = json!("no");
        shown["current_state"] = json!("unassigned");
        shown["unassigned_info"] = info;
        shown["can_allocate"] = json!("no");
        let (words, decider) = match &shard.life {
            Life::Failed(restoring) => (
                "cannot allocate because allocation is not permitted to any of the nodes",
                Some(format!(
                    "shard has failed to be restored from the snapshot [{}:{}/{}] because of [{}] - manually close or \
                     delete the index [{name}] in order to retry to restore the snapshot again or use the reroute API \
                     to force the allocation of an empty primary shard",
                    restoring.source.repository, restoring.source.snapshot, restoring.snapshot_uuid, restoring.details
                )),
            ),
            _ => (
                "cannot allocate because a previous copy of the primary shard existed but can no longer be found on \
                   the nodes in the cluster",
                None,
            ),
        };
        shown["allocate_explanation"] = json!(words);
        if let Some(words) = decider {
            let deciders = json!([{"decider": "restore_in_progress", "decision": "NO", "explanation": words}]);
            let nodes = (0..self.cluster.nodes()).filter(|node| self.cluster.is_up(*node)).map(|node| {
                json!({"node_id": self.cluster.node_ids[node], "node_name": self.cluster.node_name(node),
                    "node_decision": "no", "deciders": deciders})
            });
            shown["node_allocation_decisions"] = nodes.collect();
        }
        Reply::ok(shown)
    }
}

/// A snapshot as a source, as the routing table and recoveries show it.
pub(super) fn source_shown(source: &Source, index: &str) -> Value {
    json!({"type": "SNAPSHOT", "repository": source.repository, "snapshot": source.snapshot, "version": VERSION,
        "index": index, "restoreUUID": source.restore_uuid})
}

fn waiting(restoring: &Restoring, at: &str, status: &str) -> Value {
    if restoring.attempts > 0 {
        return json!({"reason": "ALLOCATION_FAILED", "at": at, "failed_attempts": restoring.attempts, "delayed": false,
            "details": restoring.details, "allocation_status": status});
    }
    let reason = if restoring.over_existing { "EXISTING_INDEX_RESTORED" } else { "NEW_INDEX_RESTORED" };
    let details = format!("restore_source[{}/{}]", restoring.source.repository, restoring.source.snapshot);
    json!({"reason": reason, "at": at, "delayed": false, "details": details, "allocation_status": status})
}
