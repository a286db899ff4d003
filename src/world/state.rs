//! The whole world as data, and time passing in it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::Disk;
use super::host::{DiskId, Host, JobLife, Machine, Power};
use super::{
    Channel, Counts, Due, Fault, Mishap, Network, Queue, Spec, Truth, app, balancer, cache, host, search, sql,
};
use crate::model::{HostName, SiteName};
use crate::port::JobId;

/// The world.
#[derive(Debug)]
pub struct State {
    /// What it was made from.
    pub spec: Spec,
    /// How long it has been.
    pub now: Duration,
    /// The sites.
    pub sites: BTreeMap<SiteName, Site>,
    /// All disks of all sites.
    pub disks: Vec<Disk>,
    /// The ways between console and sites.
    pub network: Network,
    /// What is going to happen by itself.
    pub queue: Queue,
    /// Chance.
    pub rng: fastrand::Rng,
    /// Which site has the users: its application writes.
    pub active: SiteName,
    /// The load balancer before both sites, if there is one: then it says who is given what users write.
    pub balancer: Option<balancer::Balancer>,
    /// What was changed by anybody but the users, oldest first.
    pub changes: Vec<Change>,
    /// What broke and what was mended, oldest first.
    pub struck: Vec<(Duration, Fault)>,
    /// The writes of the users that were acknowledged, oldest first.
    pub acknowledged: Vec<app::Acknowledged>,
    /// When somebody else turned the direction, if ever.
    pub turned: Option<Duration>,
    pub(super) next_write: u64,
    pub(super) mishaps: Vec<(SiteName, Channel, Mishap)>,
}

/// A site.
#[derive(Debug)]
pub struct Site {
    /// Its hosts.
    pub hosts: BTreeMap<HostName, Host>,
    /// The disk behind its exchange tree.
    pub exchange: DiskId,
    /// True while what touches the exchange tree waits.
    pub share_stalled: bool,
    /// Its search cluster.
    pub search: search::Cluster,
    /// Its SQL server.
    pub sql: sql::Server,
    /// Its cache.
    pub cache: cache::Cache,
    /// Its application.
    pub app: app::App,
}

/// Something that was changed in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Duration,
    /// Where.
    pub site: SiteName,
    /// What it belongs to.
    pub store: Store,
    /// In words, for people and messages of tests: `drop database shop`, `restore orders`.
    pub what: String,
}

/// What a change belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// Search indices that an application reads.
    Search,
    /// The snapshots of a repository.
    Repository,
    /// SQL data.
    Sql,
    /// Cached keys.
    Cache,
    /// Files of an application.
    Files,
    /// A durable job that was started.
    Jobs,
    /// The application's processes.
    App,
}

impl State {
    /// The wall time, as a clock that is right shows it.
    #[must_use]
    pub fn wall_time(&self) -> Timestamp {
        self.spec.epoch.saturating_add(self.now).unwrap_or(Timestamp::MAX)
    }

    /// Lets time pass; everything that is due until then happens in its order.
    pub fn advance(&mut self, to: Duration) {
        while let Some((at, due)) = self.queue.take(to) {
            self.now = self.now.max(at);
            match due {
                Due::Job(site, host, job) => self.job_slice(&site, &host, &job),
                Due::Search(site) => search::goes_on(self, &site),
                Due::Writes(site) => app::writes(self, &site),
                Due::Checks => balancer::checks(self),
                Due::Strikes(fault) => self.strike(&fault),
            }
        }
        self.now = self.now.max(to);
    }

    /// Notes a change.
    pub fn changed(&mut self, site: &SiteName, store: Store, what: impl Into<String>) {
        self.changes.push(Change { at: self.now, site: site.clone(), store, what: what.into() });
    }

    pub(super) fn note_fault(&mut self, fault: &Fault) {
        self.struck.push((self.now, fault.clone()));
    }

    /// The disks of a site: its exchange tree's and its hosts' own.
    #[must_use]
    pub fn disks_of(&self, site: &SiteName) -> Vec<DiskId> {
        let Some(site) = self.sites.get(site) else { return Vec::new() };
        let mut disks: Vec<DiskId> =
            site.hosts.values().flat_map(|host| host.mounts.iter().map(|(_, disk)| *disk)).collect();
        disks.push(site.exchange);
        disks.sort();
        disks.dedup();
        disks
    }

    /// A host as its programs see it; nothing when there is no such host.
    pub fn machine(&mut self, site: &SiteName, host: &HostName) -> Option<Machine<'_>> {
        self.sites.get(site)?.hosts.get(host)?;
        Some(Machine { state: self, site: site.clone(), host: host.clone() })
    }

    /// One slice of a running job.
    fn job_slice(&mut self, site: &SiteName, host: &HostName, id: &JobId) {
        let stalled = self.sites.get(site).is_some_and(|site| site.share_stalled);
        let slowness = self.slowness(site);
        let Some(found) = self.sites.get_mut(site).and_then(|site| site.hosts.get_mut(host)) else { return };
        if found.power != Power::Up {
            // A frozen host's jobs are put back into the queue when it is thawed.
            return;
        }
        let Some(job) = found.jobs.get_mut(id) else { return };
        if let JobLife::Ending(exits) = &job.state {
            job.state = JobLife::Ended(exits.clone());
            return;
        }
        let JobLife::Running(work) = &mut job.state else { return };
        if stalled && work.is_on_share() {
            self.queue.put(self.now + Duration::from_secs(1), Due::Job(site.clone(), host.clone(), id.clone()));
            return;
        }
        // Out of the host while it runs, because it may look at the host.
        let mut work = std::mem::replace(work, super::host::Work::nothing());
        let Some(mut machine) = self.machine(site, host) else { return };
        let stepped = work.step(&mut machine);
        let took = stepped.took * slowness;
        let Some(job) =
            self.sites.get_mut(site).and_then(|site| site.hosts.get_mut(host)).and_then(|host| host.jobs.get_mut(id))
        else {
            return;
        };
        job.output.extend(stepped.out);
        job.output.extend(stepped.err);
        job.state = match stepped.exits {
            Some(exits) => JobLife::Ending(exits),
            None => JobLife::Running(work),
        };
        self.queue.put(self.now + took, Due::Job(site.clone(), host.clone(), id.clone()));
    }

    /// How many times slower than usual a site's disks are.
    pub(super) fn slowness(&self, site: &SiteName) -> u32 {
        self.disks_of(site).iter().map(|id| self.disks[id.0].slowness).max().unwrap_or(1)
    }
}

impl State {
    /// Counts what a site holds.
    #[must_use]
    pub fn count(&self, site: &SiteName) -> Counts {
        let mut counts = Counts::default();
        host::count(self, site, &mut counts);
        search::count(self, site, &mut counts);
        sql::count(self, site, &mut counts);
        cache::count(self, site, &mut counts);
        counts
    }

    /// Everything that a site holds, content included.
    #[must_use]
    pub fn truth(&self, site: &SiteName) -> Truth {
        let mut truth = Truth::default();
        host::truth(self, site, &mut truth);
        search::truth(self, site, &mut truth);
        sql::truth(self, site, &mut truth);
        truth
    }
}
