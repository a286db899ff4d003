//! An index: its settings, its shards, and which nodes hold a copy of them. Knows documents; knows nothing of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scene::Scene;

/// The index that users write to.
pub(super) const WRITTEN: &str = "orders";

/// An index.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) uuid: String,
    pub(super) open: bool,
    pub(super) replicas: u32,
    /// Settings beside the usual ones, by their full name.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) aliases: BTreeSet<String>,
    pub(super) shards: Vec<Shard>,
    /// Until then its shards are being opened: a moment after it was closed or opened.
    pub(super) opens_at: Duration,
}

/// A shard with all its copies.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) life: Life,
    /// What it holds: source by id.
    pub(super) documents: BTreeMap<String, String>,
    /// The files it is made of, oldest first.
    pub(super) segments: Vec<Segment>,
    /// What was written since the last file.
    pub(super) buffer: BTreeMap<String, String>,
    /// The number of the next file.
    pub(super) next_segment: u64,
    /// The nodes with a copy; the first that is up is the primary.
    pub(super) copies: Vec<Held>,
    /// How its primary came to be.
    pub(super) recovery: Recovered,
    /// How often it was written to since then.
    pub(super) writes: u64,
}

/// A file of a shard: immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// Its name in the shard's own folder.
    pub(super) name: String,
    /// The documents in it, one per line.
    pub(super) content: String,
}

/// A copy on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) node: usize,
    /// It missed a write.
    pub(super) stale: bool,
}

/// How a shard is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Life {
    /// It works, where a copy is on a node that is up.
    Started,
    /// It is being filled from a snapshot.
    Restoring(Box<Restoring>),
    /// The server has given up filling it; why, after how many attempts.
    Failed(Box<Restoring>),
    /// Its restore was forgotten when all nodes ended.
    Lost,
    /// It is new, and no node is allowed to have it.
    Unplaced,
}

/// A restore of one shard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Restoring {
    pub(super) source: Source,
    /// How many bytes are to come.
    pub(super) total: u64,
    /// How many came.
    pub(super) done: u64,
    pub(super) attempts: u32,
    /// Why it failed last.
    pub(super) details: String,
    /// True when a node has begun.
    pub(super) is_begun: bool,
    pub(super) since: i64,
    /// True when an index of that name was there before.
    pub(super) over_existing: bool,
    /// The files it needs, and where.
    pub(super) folder: String,
    pub(super) snapshot_uuid: String,
    /// The files that the shard had before: what is the same is not read from the repository.
    pub(super) local: Vec<Segment>,
}

/// A snapshot as the source of a recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) repository: String,
    pub(super) snapshot: String,
    pub(super) restore_uuid: String,
}

/// How a primary came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) from: Option<Source>,
    pub(super) since: i64,
    pub(super) bytes: u64,
    /// It was opened from its own files.
    pub(super) reopened: bool,
}

impl Shard {
    /// An empty one.
    pub(super) fn new(copies: Vec<Held>, since: i64) -> Self {
        Self {
            life: Life::Started,
            documents: BTreeMap::new(),
            segments: Vec::new(),
            buffer: BTreeMap::new(),
            next_segment: 0,
            copies,
            recovery: Recovered { from: None, since, bytes: 0, reopened: false },
            writes: 0,
        }
    }

    /// The nodes with a copy that works, the primary first.
    pub(super) fn active(&self, up: &[bool]) -> Vec<usize> {
        if self.life != Life::Started {
            return Vec::new();
        }
        let works = |held: &&Held| !held.stale && up.get(held.node).copied().unwrap_or(false);
        self.copies.iter().filter(works).map(|held| held.node).collect()
    }

    /// Makes a file of what was written since the last one.
    pub(super) fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let mut content = String::new();
        for (id, source) in std::mem::take(&mut self.buffer) {
            content.extend([id.as_str(), "\t", &source, "\n"]);
        }
        self.segments.push(Segment { name: format!("_{}.cfs", self.next_segment), content });
        self.next_segment += 1;
    }

    /// How many bytes it takes on one node.
    pub(super) fn bytes(&self) -> u64 {
        let buffered: usize = self.buffer.iter().map(|(id, source)| id.len() + source.len() + 2).sum();
        let files: usize = self.segments.iter().map(|segment| segment.content.len()).sum();
        // An empty one has its list of files.
        (208 + buffered + files) as u64
    }

    /// What these files hold; a later one wins.
    pub(super) fn documents_of(segments: &[Segment]) -> BTreeMap<String, String> {
        let lines = segments.iter().flat_map(|segment| segment.content.lines());
        lines.filter_map(|line| line.split_once('\t')).map(|(id, source)| (id.to_owned(), source.to_owned())).collect()
    }
}

/// Nodes for a shard and its replicas: those that are up, beginning with another one for each shard.
pub(super) fn placed(number: usize, replicas: u32, up: &[bool]) -> Vec<Held> {
    let there: Vec<usize> = (0..up.len()).filter(|node| up[*node]).collect();
    let copies = (replicas as usize + 1).min(there.len());
    (0..copies).map(|copy| Held { node: there[(number + copy) % there.len()], stale: false }).collect()
}

impl Index {
    /// The shard that a document belongs to.
    fn shard_of(&self, id: &str) -> usize {
        let hash = id.bytes().fold(5381_usize, |hash, byte| hash.wrapping_mul(33) ^ usize::from(byte));
        hash % self.shards.len()
    }

    /// What it refuses, by the number of each block.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let set = |name: &str| self.settings.get(name).is_some_and(|value| value == "true");
        let read_only = ["write", "metadata_write"].as_slice();
        [
            (!self.open, "4", "index closed", ["read", "write"].as_slice()),
            (set("index.blocks.read_only"), "5", "index read-only (api)", read_only),
            (set("index.blocks.write"), "8", "index write (api)", &["write"]),
            (
                set("index.blocks.read_only_allow_delete"),
                "12",
                "disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
                read_only,
            ),
        ]
        .into_iter()
        .filter(|(set, ..)| *set)
        .map(|(_, id, description, levels)| {
            (id, json!({"description": description, "retryable": false, "levels": levels}))
        })
    }

    /// Writes a document; true when it was acknowledged.
    pub(super) fn write(&mut self, id: &str, source: String, up: &[bool], now: Duration) -> bool {
        let number = self.shard_of(id);
        let refused = self.blocks().any(|(_, block)| block["levels"][0] == json!("write"));
        let ready = self.open && self.opens_at <= now && !refused;
        let shard = &mut self.shards[number];
        if !ready || shard.active(up).is_empty() {
            return false;
        }
        for held in &mut shard.copies {
            held.stale |= !up.get(held.node).copied().unwrap_or(false);
        }
        shard.buffer.insert(id.to_owned(), source.clone());
        shard.documents.insert(id.to_owned(), source);
        shard.writes += 1;
        true
    }

    /// A node joined: what it missed is brought to it, and copies that have no place are put there.
    pub(super) fn joined(&mut self, up: &[bool]) {
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if shard.active(up).is_empty() {
                continue;
            }
            for held in &mut shard.copies {
                held.stale &= !up[held.node];
            }
            for node in (0..up.len()).map(|node| (node + number) % up.len()).filter(|node| up[*node]) {
                let placed = shard.copies.iter().any(|held| held.node == node);
                if !placed && shard.copies.len() <= self.replicas as usize {
                    shard.copies.push(Held { node, stale: false });
                }
            }
        }
    }
}

/// What users write: an order.
pub(super) fn order(number: u64) -> String {
    // Written thousands of times in a schedule, and so not by way of a JSON value.
    format!(r#"{{"order":{number},"customer":{},"cents":{}}}"#, number % 7, 100 + number * 37 % 900)
}

/// Fills a cluster: three indices with an alias, templates, and a pipeline that writes go through.
pub(super) fn fill(scene: &mut Scene<'_>, documents: u32) {
    let up = scene.cluster.up.clone();
    // On one node a replica has no place: the cluster would be yellow from its first day.
    let replicas = u32::from(up.len() > 1);
    let since = scene.millis();
    for (name, shards) in [(WRITTEN, 2), ("customers", 1), ("events", 1)] {
        let mut index = Index {
            uuid: scene.uuid(),
            open: true,
            replicas,
            settings: BTreeMap::new(),
            aliases: BTreeSet::new(),
            shards: (0..shards).map(|number| Shard::new(placed(number, replicas, &up), since)).collect(),
            opens_at: Duration::ZERO,
        };
        if name == WRITTEN {
            index.aliases.insert("shop".to_owned());
            index.settings.insert("index.default_pipeline".to_owned(), "clean".to_owned());
        }
        scene.cluster.indices.insert(name.to_owned(), index);
    }
    for number in 0..documents {
        let (name, source) = match number % 6 {
            0..=2 => (WRITTEN, order(u64::from(number))),
            3 | 4 => ("customers", json!({"customer": number, "name": format!("customer {number}")}).to_string()),
            _ => ("events", json!({"event": number, "kind": "visit"}).to_string()),
        };
        if let Some(index) = scene.cluster.indices.get_mut(name) {
            index.write(&number.to_string(), source, &up, Duration::ZERO);
        }
    }
    let template = json!({"index_patterns": ["orders*"], "template": {"settings": {"index": {"number_of_shards": "2"}}},
        "composed_of": ["shop-mappings"], "priority": 10});
    let definitions: [(&str, &str, Value); 3] = [
        ("_index_template", "shop", template),
        (
            "_component_template",
            "shop-mappings",
            json!({"template": {"mappings": {"properties": {"cents": {"type": "long"}}}}}),
        ),
        ("_ingest/pipeline", "clean", json!({"processors": [{"trim": {"field": "name", "ignore_missing": true}}]})),
    ];
    for (folder, name, body) in definitions {
        scene.cluster.definitions.insert((folder.to_owned(), name.to_owned()), body);
    }
}
