//! The simulated world as a pair of sites.

use std::sync::Arc;

use async_trait::async_trait;
use changeover::estate::Estate;
use changeover::model::{HostName, SiteName};
use changeover::port::{Clock, Reach};
use changeover::world::cache::Trouble;
use changeover::world::disk::{Disk, Node};
use changeover::world::{Fault, SimulatedWorld, Spec, State};

use super::hands::{HOSTS, Hands};

/// The world that every story begins with: as many hosts as the lab has, and nobody who writes.
pub fn spec() -> Spec {
    Spec { hosts: [HOSTS.len(); 2], write_every: None, ..Spec::small(1) }
}

/// What is kept free is not the same part of a small disk and of a large one.
pub const POLICY: &str = "\n[policy]\nmin_free_percent = 1\n";

/// Where a tree is on the hosts of the world.
pub fn folder(tree: &str) -> &str {
    match tree {
        "storage" => "/var/lib/shop/storage",
        "config" => "/etc/shop",
        other => panic!("no tree {other}"),
    }
}

/// The simulated world.
pub struct Simulated {
    world: SimulatedWorld,
}

fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

/// The disks that a tree of a site is on, and where.
fn disks(state: &State, at: &str, tree: &str) -> Vec<(usize, String)> {
    let found = &state.sites[&site(at)];
    if tree == "exchange" {
        return vec![(found.exchange.0, String::new())];
    }
    let roots =
        found.hosts.values().map(|host| host.mounts.iter().find(|(mount, _)| mount == "/").expect("a root").1.0);
    roots.map(|disk| (disk, folder(tree).to_owned())).collect()
}

/// The files of a tree on a disk, without links.
pub fn files(disk: &Disk, root: &str) -> Vec<String> {
    let found = disk.walk(if root.is_empty() { "/" } else { root }).expect("a folder");
    found.into_iter().filter(|(_, inode)| matches!(inode.node, Node::File(_))).map(|(path, _)| path).collect()
}

impl Simulated {
    pub fn new() -> Self {
        Self { world: SimulatedWorld::new(&spec()) }
    }

    fn at<T>(&self, at: &str, path: &str, mut act: impl FnMut(&mut Disk, &str, jiff::Timestamp) -> T) -> T {
        let (tree, below) = path.split_once('/').expect("a tree");
        self.world.with(|state| {
            let now = state.wall_time();
            let all = disks(state, at, tree).into_iter();
            all.map(|(disk, root)| act(&mut state.disks[disk], &format!("{root}/{below}"), now)).last().expect("a disk")
        })
    }
}

#[async_trait]
impl Hands for Simulated {
    fn reach(&self, _estate: &Arc<Estate>) -> Arc<dyn Reach> {
        Arc::new(self.world.clone())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.world.clock()
    }

    fn estate(&self) -> String {
        // The estate of the lab says nothing of replicas.
        spec().estate_text().replace("replicas = 1\n", "") + POLICY
    }

    fn net(&self) -> String {
        "10.0".to_owned()
    }

    fn names(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn list(&self, at: &str, tree: &str) -> Vec<String> {
        self.world.with(|state| {
            let (disk, root) = disks(state, at, tree).swap_remove(0);
            files(&state.disks[disk], &root)
        })
    }

    fn read(&self, at: &str, path: &str) -> Vec<u8> {
        self.at(at, path, |disk, path, _| disk.read(path).expect("a file").to_vec())
    }

    fn write(&self, at: &str, path: &str, content: &[u8]) {
        self.at(at, path, |disk, path, now| {
            let (folder, _) = path.rsplit_once('/').expect("a folder");
            disk.make_folders(folder, 0o2775, now).expect("folders");
            disk.write(path, content.to_vec(), 0o664, now).expect("room");
        });
    }

    fn remove(&self, at: &str, path: &str) {
        self.at(at, path, |disk, path, now| disk.remove(path, now).expect("removed"));
    }

    async fn server(&self, at: &str, name: &str, up: bool) {
        let site = site(at);
        self.world.strike(&match (name, up) {
            ("sql", true) => Fault::SqlUp { site },
            ("sql", false) => Fault::SqlDown { site },
            ("search", true) => Fault::NodeUp { site, node: 0 },
            ("search", false) => Fault::NodeDown { site, node: 0 },
            ("redis", up) => Fault::Cache { site, trouble: if up { Trouble::Up } else { Trouble::Down } },
            // The world's follower ends and begins with its master; on its own it can be out of reach.
            ("redis-replica", up) => {
                Fault::Cache { site, trouble: if up { Trouble::Follows } else { Trouble::Unlinks } }
            }
            (other, _) => {
                let host = HostName::new(other.strip_prefix("app@").expect("an application")).expect("a name");
                let verb = if up { "start" } else { "stop" };
                drop(self.world.with(|state| changeover::world::app::service(state, &site, &host, verb)));
                return tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            }
        });
    }

    async fn shard(&self, is_well: bool) {
        if !is_well {
            self.world.strike(&Fault::SnapshotPartial { site: site("prod") });
        }
    }
}
