//! One cluster with what is around it: its exchange disk, chance, time, and what is due.

use std::time::Duration;

use jiff::Timestamp;

use super::{Cluster, Noted};
use crate::model::SiteName;
use crate::world::disk::Disk;
use crate::world::{Due, Queue, State, Store};

/// How long a slice of a snapshot or restore takes on a disk of usual speed.
const SLICE: Duration = Duration::from_millis(250);
/// How long until a cluster that cannot go on tries again.
const LATER: Duration = Duration::from_secs(1);

/// A cluster, and what it reaches.
pub(super) struct Scene<'a> {
    pub(super) site: &'a SiteName,
    pub(super) cluster: &'a mut Cluster,
    /// The disk behind the exchange tree.
    pub(super) disk: &'a mut Disk,
    pub(super) now: Duration,
    pub(super) wall: Timestamp,
    /// True while the exchange tree does not answer.
    pub(super) stalled: bool,
    /// How many bytes each node's own disk holds.
    pub(super) node_disk: u64,
    rng: &'a mut fastrand::Rng,
    queue: &'a mut Queue,
    noted: Vec<Noted>,
}

/// Acts on the cluster of a site; nothing when there is no such site.
pub(super) fn at<T>(state: &mut State, site: &SiteName, act: impl FnOnce(&mut Scene<'_>) -> T) -> Option<T> {
    let wall = state.wall_time();
    let State { sites, disks, rng, queue, now, spec, .. } = state;
    let found = sites.get_mut(site)?;
    let mut scene = Scene {
        site,
        stalled: found.share_stalled,
        disk: &mut disks[found.exchange.0],
        cluster: &mut found.search,
        now: *now,
        wall,
        node_disk: spec.disk,
        rng,
        queue,
        noted: Vec::new(),
    };
    let result = act(&mut scene);
    let noted = scene.noted;
    for (store, what) in noted {
        state.changed(site, store, what);
    }
    Some(result)
}

impl Scene<'_> {
    /// A new identity, as the server makes them.
    pub(super) fn uuid(&mut self) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..22).map(|_| char::from(LETTERS[self.rng.usize(..64)])).collect()
    }

    /// The wall time in milliseconds.
    pub(super) fn millis(&self) -> i64 {
        self.wall.as_millisecond()
    }

    /// Notes a change.
    pub(super) fn note(&mut self, store: Store, what: String) {
        self.noted.push((store, what));
    }

    /// How long so many slices take.
    pub(super) fn slices(&self, number: u32) -> Duration {
        SLICE * self.disk.slowness.max(1) * number
    }

    /// Lets the next slice come, unless it is due already.
    pub(super) fn wake(&mut self) {
        if !std::mem::replace(&mut self.cluster.is_due, true) {
            let stuck = self.stalled || self.cluster.master().is_none();
            let pause = if stuck { LATER } else { self.slices(1) };
            self.queue.put(self.now + pause, Due::Search(self.site.clone()));
        }
    }

    /// A slice of everything that takes time.
    pub(super) fn slice(&mut self) {
        self.cluster.is_due = false;
        let can = !self.stalled && self.cluster.master().is_some();
        let snapshots = if can { self.slice_of_snapshots() } else { !self.cluster.running.is_empty() };
        let restores = if can { self.slice_of_restores() } else { self.restores_are_left() };
        if snapshots || restores {
            self.wake();
        }
    }
}
