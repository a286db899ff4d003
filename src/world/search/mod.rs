//! A search cluster: indices with documents, aliases and templates, repositories in the exchange tree, snapshots that
//! take time, nodes and their quorum. Answers the HTTP interface of OpenSearch as far as steps ask it.

use std::time::Duration;

use crate::model::SiteName;
use crate::port::{HttpRequest, HttpResponse};
use crate::world::{Counts, State, Truth};

/// A search cluster.
#[derive(Debug)]
pub struct Cluster {
    up: Vec<bool>,
    partial_next: bool,
}

impl Cluster {
    /// An empty cluster of so many nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self { up: vec![true; nodes], partial_next: false }
    }

    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.up.len()
    }

    /// Starts or ends a node.
    pub fn set_node(&mut self, node: usize, up: bool) {
        if let Some(found) = self.up.get_mut(node) {
            *found = up;
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
}

/// Answers a request to a node: the answer, and how long it took.
pub fn answer(_state: &mut State, _site: &SiteName, _node: usize, _request: &HttpRequest) -> (HttpResponse, Duration) {
    (HttpResponse { status: 501, body: b"{}".to_vec() }, Duration::ZERO)
}

/// Goes on with what takes time: snapshots and restores.
pub fn goes_on(_state: &mut State, _site: &SiteName) {}

/// Puts into a site what the world begins with.
pub fn fill(_state: &mut State, _site: &SiteName) {}

/// One write that users of the application make, the `number`th of the world; true when it was acknowledged.
pub fn write(_state: &mut State, _site: &SiteName, _number: u64) -> bool {
    false
}

/// Counts what a site holds.
pub fn count(_state: &State, _site: &SiteName, _counts: &mut Counts) {}

/// Tells everything that a site holds, content included.
pub fn truth(_state: &State, _site: &SiteName, _truth: &mut Truth) {}
