//! A search cluster: indices with documents, aliases and templates, repositories in the exchange tree, snapshots that
//! take time, nodes and their quorum. Answers the HTTP interface of `OpenSearch` 2.19 as far as steps ask it; what it
//! says, and with which status, was recorded from a real server.
//!
//! Nothing here knows what a step is, and nothing reaches into another site: the only way from one cluster to another
//! is the files of a repository. Not modelled: the minute for which a real cluster waits before it makes up for copies
//! on a node that left; they come back with the node.

mod catalog;
mod cluster;
mod filter;
mod health;
mod index;
mod indices;
mod repository;
mod request;
mod restore;
mod scene;
mod snapshot;
mod snapshots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::model::SiteName;
use crate::port::{HttpRequest, HttpResponse};
use crate::world::{Counts, State, Store, Truth};

use index::{Index, Life};
use repository::Repository;
use request::Request;

use snapshot::Running;

/// The version that it says it is.
const VERSION: &str = "2.19.4";
/// The same as the server writes it into indices and snapshots.
const VERSION_ID: u64 = 136_408_227;

/// A search cluster.
#[derive(Debug)]
pub struct Cluster {
    up: Vec<bool>,
    partial_next: bool,
    /// Its name, and the beginning of its nodes' names.
    name: String,
    uuid: String,
    node_ids: Vec<String>,
    indices: BTreeMap<String, Index>,
    /// Templates and pipelines by folder and name.
    definitions: BTreeMap<(String, String), Value>,
    repositories: BTreeMap<String, Repository>,
    running: Vec<Running>,
    /// Snapshots to be deleted, by repository and name, once no other is taken there.
    deleting: Vec<(String, String)>,
    /// True while a slice is due.
    is_due: bool,
}

impl Cluster {
    /// An empty cluster of so many nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self {
            up: vec![true; nodes],
            partial_next: false,
            name: String::new(),
            uuid: String::new(),
            node_ids: vec![String::new(); nodes],
            indices: BTreeMap::new(),
            definitions: BTreeMap::new(),
            repositories: BTreeMap::new(),
            running: Vec::new(),
            deleting: Vec::new(),
            is_due: false,
        }
    }

    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.up.len()
    }

    /// Starts or ends a node.
    pub fn set_node(&mut self, node: usize, up: bool) {
        let Some(found) = self.up.get_mut(node) else { return };
        *found = up;
        if up {
            for index in self.indices.values_mut() {
                index.joined(&self.up);
            }
            return;
        }
        for running in &mut self.running {
            running.node_left(node);
        }
        if !self.up.contains(&true) {
            // Neither is kept on disk: after a start of all nodes nobody knows of them.
            self.running.clear();
            self.deleting.clear();
            for shard in self.indices.values_mut().flat_map(|index| &mut index.shards) {
                if matches!(shard.life, Life::Restoring(_) | Life::Failed(_)) {
                    shard.life = Life::Lost;
                }
            }
        }
    }

    /// True when the node answers.
    #[must_use]
    pub fn is_up(&self, node: usize) -> bool {
        self.up.get(node).copied().unwrap_or(false)
    }

    /// Lets the next snapshot miss a shard.
    pub fn next_snapshot_is_partial(&mut self) {
        self.partial_next = true;
    }

    /// Mends what was broken by a fault.
    pub fn mend(&mut self) {
        self.partial_next = false;
    }

    /// The elected master: the first node, as long as more than half of all see each other.
    fn master(&self) -> Option<usize> {
        let there = self.up.iter().filter(|up| **up).count();
        if there * 2 > self.up.len() { self.up.iter().position(|up| *up) } else { None }
    }

    fn node_name(&self, node: usize) -> String {
        format!("{}-{}", self.name, node + 1)
    }
}

/// Answers a request to a node: the answer, and how long it took.
pub fn answer(state: &mut State, site: &SiteName, node: usize, request: &HttpRequest) -> (HttpResponse, Duration) {
    let reply = scene::at(state, site, |scene| Request::read(request).answer(scene, node));
    let Some(reply) = reply else { return (HttpResponse { status: 404, body: Vec::new() }, Duration::ZERO) };
    let body = serde_json::to_vec(&reply.body).unwrap_or_default();
    (HttpResponse { status: reply.status, body }, reply.took)
}

/// True when a primary of a site's cluster works nowhere, or nobody can tell because there is no master.
pub fn is_red(state: &mut State, site: &SiteName) -> bool {
    scene::at(state, site, |scene| scene.cluster.master().is_none() || scene.is_red()).unwrap_or(true)
}

/// Goes on with what takes time: snapshots and restores.
pub fn goes_on(state: &mut State, site: &SiteName) {
    scene::at(state, site, |scene| {
        scene.slice();
    });
}

/// Puts into a site what the world begins with: the active site has all documents, the other an empty cluster.
pub fn fill(state: &mut State, site: &SiteName) {
    let documents = if *site == state.active { state.spec.documents } else { 0 };
    scene::at(state, site, |scene| {
        scene.cluster.name = format!("search-{}", scene.site);
        scene.cluster.uuid = scene.uuid();
        scene.cluster.node_ids = (0..scene.cluster.nodes()).map(|_| scene.uuid()).collect();
        if documents > 0 {
            index::fill(scene, documents);
        }
    });
}

/// One write that users of the application make, the `number`th of the world; true when it was acknowledged.
pub fn write(state: &mut State, site: &SiteName, number: u64) -> bool {
    scene::at(state, site, |scene| {
        let up = scene.cluster.up.clone();
        let Some(index) = scene.cluster.indices.get_mut(index::WRITTEN) else { return false };
        // Without a master nothing is acknowledged: the copies could not be told to be in step.
        let there = up.iter().filter(|up| **up).count();
        there * 2 > up.len() && index.write(&format!("w{number}"), index::order(number), &up, scene.now)
    })
    .unwrap_or(false)
}

/// Counts what a site holds: what is in open indices whose shards work.
pub fn count(state: &State, site: &SiteName, counts: &mut Counts) {
    let Some(site) = state.sites.get(site) else { return };
    for (name, index) in site.search.indices.iter().filter(|(_, index)| index.open) {
        let documents = index.shards.iter().filter(|shard| matches!(shard.life, Life::Started));
        counts.documents.insert(name.clone(), documents.map(|shard| shard.documents.len() as u64).sum());
    }
}

/// Tells everything that a site holds, content included.
pub fn truth(state: &State, site: &SiteName, truth: &mut Truth) {
    let Some(site) = state.sites.get(site) else { return };
    for (name, index) in site.search.indices.iter().filter(|(_, index)| index.open) {
        for shard in index.shards.iter().filter(|shard| matches!(shard.life, Life::Started)) {
            let items = shard.documents.iter().map(|(id, source)| (format!("search/{name}/{id}"), source.clone()));
            truth.items.extend(items);
        }
    }
}

/// A change that is to be noted: what it belongs to, and in words.
type Noted = (Store, String);
