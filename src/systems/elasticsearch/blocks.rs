//! What a cluster lets nobody write to: indices that somebody, or the cluster itself past the flood stage, has blocked, and
//! the whole of it. It only looks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::ask::Ask;
use super::check;
use super::client::Client;
use super::pattern::Pattern;
use crate::model::Failure;
use crate::systems::{Condition, Reading};

/// The block of a closed index, which is no matter of writing.
const CLOSED: &str = "4";
/// The block of `index.blocks.write`.
const WRITE: &str = "8";
/// The block of `index.blocks.read_only_allow_delete`, which the cluster sets and takes away by itself.
const FLOODED: &str = "12";
/// So many indices are named.
const NAMED: usize = 3;

/// `GET /_cluster/state/blocks`: what is blocked, by the number of the block.
#[derive(Debug, Default, Deserialize)]
struct State {
    #[serde(default)]
    blocks: Blocks,
}

#[derive(Debug, Default, Deserialize)]
struct Blocks {
    #[serde(default)]
    global: BTreeMap<String, Block>,
    #[serde(default)]
    indices: BTreeMap<String, BTreeMap<String, Block>>,
}

#[derive(Debug, Deserialize)]
struct Block {
    /// In the server's words: `index read-only (api)`.
    description: String,
    /// What it refuses: `read`, `write`, `metadata_read`, `metadata_write`.
    levels: Vec<String>,
}

impl Block {
    fn refuses_writes(&self) -> bool {
        self.levels.iter().any(|level| level == "write")
    }
}

/// `GET /_cluster/state/metadata`, as far as it says which indices are in use, and who looks after them.
#[derive(Debug, Default, Deserialize)]
struct Known {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    indices: BTreeMap<String, Index>,
}

#[derive(Debug, Deserialize)]
struct Index {
    state: String,
    #[serde(default)]
    settings: Value,
}

impl Index {
    /// A lifecycle policy blocks an index that has rolled over, and means to.
    fn has_policy(&self) -> bool {
        self.settings.pointer("/index/lifecycle/name").is_some()
    }
}

/// What nobody can write to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unwritable {
    /// How much of what is meant it is, and what to say of it.
    found: Vec<(Condition, String)>,
}

impl Unwritable {
    /// Asks the cluster.
    ///
    /// # Errors
    /// When it does not say so.
    pub(super) async fn ask(client: &Client) -> Result<Self, Failure> {
        let tried = "look which indices cannot be written";
        let State { blocks } = client.fetch(&Ask::blocks(), tried).await?;
        if !blocks.concern(&client.settings.indices) {
            return Ok(Self::default());
        }
        let known: Known = client.fetch(&Ask::in_use(), tried).await?;
        // Nodes past the flood stage are told by the light of the disks.
        let told = blocks.any_flooded() && check::disks(client).await.is_ok_and(|disks| !disks.full.is_empty());
        Ok(judge(&blocks, &known.metadata.indices, &client.settings.indices, told))
    }

    /// Tells it.
    pub(super) fn tell(self, reading: &mut Reading) {
        for (condition, finding) in self.found {
            reading.find(condition, finding);
        }
    }
}

impl Blocks {
    fn concern(&self, pattern: &Pattern) -> bool {
        let blocked = |blocks: &BTreeMap<String, Block>| blocks.iter().any(|(id, block)| counts(id, block));
        blocked(&self.global) || self.indices.iter().any(|(name, blocks)| pattern.matches(name) && blocked(blocks))
    }

    fn any_flooded(&self) -> bool {
        self.indices.values().any(|blocks| blocks.contains_key(FLOODED))
    }
}

fn counts(id: &str, block: &Block) -> bool {
    id != CLOSED && block.refuses_writes()
}

fn judge(blocks: &Blocks, known: &BTreeMap<String, Index>, pattern: &Pattern, flood_told: bool) -> Unwritable {
    let global = blocks.global.iter().filter(|(id, block)| counts(id, block));
    let global = global.map(|(_, block)| (Condition::Down, format!("nothing can be written: {}", block.description)));
    let mut found: Vec<(Condition, String)> = global.collect();
    let open = |name: &str| pattern.matches(name) && known.get(name).is_some_and(|index| index.state == "open");
    // By block, in the server's words, which indices have it.
    let mut names: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (name, blocks) in blocks.indices.iter().filter(|(name, _)| open(name)) {
        let meant = |id: &str| id == WRITE && known[name].has_policy();
        for (id, block) in blocks.iter().filter(|(id, block)| counts(id, block) && !meant(id)) {
            names.entry((id, &block.description)).or_default().push(name);
        }
    }
    let all = known.keys().filter(|name| open(name)).count();
    for ((id, description), names) in names {
        if id == FLOODED && flood_told {
            continue;
        }
        let condition = if id == FLOODED || names.len() == all { Condition::Down } else { Condition::Degraded };
        let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        found.push((condition, format!("nobody can write to {shown}{more}: {description}")));
    }
    Unwritable { found }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_written_is_told_once_and_by_how_much_it_is() {
        let block = |id: &str| {
            let (description, levels) = match id {
                "4" => ("index closed", json!(["read", "write"])),
                "5" => ("index read-only (api)", json!(["write", "metadata_write"])),
                "7" => ("index read (api)", json!(["read"])),
                "8" => ("index write (api)", json!(["write"])),
                _ => (
                    "disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
                    json!(["write", "metadata_write"]),
                ),
            };
            json!({ id: {"description": description, "retryable": false, "levels": levels} })
        };
        let (one, all) = (["a"], ["a", "b", "c", "d"]);
        let (degraded, down) = (Condition::Degraded, Condition::Down);
        for (id, names, told, found) in [
            ("4", &one[..], false, None),
            ("7", &one, false, None),
            ("8", &one, false, Some((degraded, "nobody can write to a: index write (api)"))),
            ("8", &["rolled"], false, None),
            ("8", &["closed"], false, None),
            ("8", &["other", ".own"], false, None),
            ("5", &["rolled"], false, Some((degraded, "nobody can write to rolled: index read-only (api)"))),
            ("8", &all, false, Some((degraded, "nobody can write to a, b, c and 1 more: index write (api)"))),
            (
                "5",
                &["a", "b", "c", "d", "rolled"],
                false,
                Some((down, "nobody can write to a, b, c and 2 more: index read-only (api)")),
            ),
            (
                "12",
                &one,
                false,
                Some((
                    down,
                    "nobody can write to a: disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
                )),
            ),
            ("12", &one, true, None),
        ] {
            let indices: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), block(id))).collect();
            let state: State = serde_json::from_value(json!({"blocks": {"indices": indices}})).expect("an answer");
            let known = json!({"metadata": {"indices": {
                "a": {"state": "open"}, "b": {"state": "open"}, "c": {"state": "open"}, "d": {"state": "open"},
                "rolled": {"state": "open", "settings": {"index": {"lifecycle": {"name": "logs"}}}},
                "closed": {"state": "close"}, "other": {"state": "open"}, ".own": {"state": "open"}}}});
            let known: Known = serde_json::from_value(known).expect("an answer");
            let pattern: Pattern = serde_json::from_value(json!("*,-other")).expect("a pattern");
            let seen = judge(&state.blocks, &known.metadata.indices, &pattern, told);
            let found: Vec<(Condition, String)> = found.map(|(how, said)| (how, said.to_owned())).into_iter().collect();
            assert_eq!(seen, Unwritable { found }, "{id} {names:?}");
            let asks_on = !matches!(id, "4" | "7") && !names.contains(&"other");
            assert_eq!(state.blocks.concern(&pattern), asks_on, "{id} {names:?}");
        }
    }

    #[test]
    fn a_cluster_that_is_blocked_takes_no_writes_at_all() {
        let global = json!({"6": {"description": "cluster read-only (api)", "levels": ["write", "metadata_write"]}});
        let state: State = serde_json::from_value(json!({"blocks": {"global": global}})).expect("an answer");
        let pattern: Pattern = serde_json::from_value(json!("*")).expect("a pattern");
        assert!(state.blocks.concern(&pattern));
        let seen = judge(&state.blocks, &BTreeMap::new(), &pattern, false);
        assert_eq!(seen.found, [(Condition::Down, "nothing can be written: cluster read-only (api)".to_owned())]);
        let none: State = serde_json::from_value(json!({})).expect("nothing is blocked");
        assert!(!none.blocks.concern(&pattern));
    }
}
