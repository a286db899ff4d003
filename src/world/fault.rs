//! What can break in the world, and what happens at the moment when it does.
//!
//! A fault is data: scenario files write it, seeds choose it. What a broken thing then answers is the affair of the room
//! it belongs to.

use std::time::Duration;

use jiff::SignedDuration;

use super::balancer::Wanted;
use super::host::{JobLife, Power};
use super::{State, Zone, cache, sql};
use crate::model::{DirectionRecord, Epoch, HostName, SiteName};

/// Something that breaks, or is mended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A host loses its power: jobs gone, unsynced bytes of its own disk lost.
    HostDown {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
    },
    /// A host is there again.
    HostUp {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
    },
    /// A host stops doing anything, without ending.
    HostFreezes {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
    },
    /// A frozen host goes on.
    HostThaws {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
    },
    /// All hosts of a site and all its servers are off.
    SiteDown {
        /// The site.
        site: SiteName,
    },
    /// A site is there again.
    SiteUp {
        /// The site.
        site: SiteName,
    },
    /// A search node ends.
    NodeDown {
        /// The site.
        site: SiteName,
        /// Which, from 0.
        node: usize,
    },
    /// A search node joins again.
    NodeUp {
        /// The site.
        site: SiteName,
        /// Which, from 0.
        node: usize,
    },
    /// The next snapshot misses a shard.
    SnapshotPartial {
        /// The site.
        site: SiteName,
    },
    /// The SQL server ends.
    SqlDown {
        /// The site.
        site: SiteName,
    },
    /// The SQL server is there again.
    SqlUp {
        /// The site.
        site: SiteName,
    },
    /// The application of a host starts from now on, but does not get well.
    AppBreaks {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
    },
    /// The application of a host gets well again.
    AppMends {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
    },
    /// Something is wrong with a SQL server that answers, or is put right again.
    Sql {
        /// The site.
        site: SiteName,
        /// What.
        trouble: sql::Trouble,
    },
    /// Something is wrong with the cache, or is put right again.
    Cache {
        /// The site.
        site: SiteName,
        /// What.
        trouble: cache::Trouble,
    },
    /// The exchange tree has no room left.
    ExchangeFull {
        /// The site.
        site: SiteName,
    },
    /// The exchange tree has room again.
    ExchangeFreed {
        /// The site.
        site: SiteName,
    },
    /// The hosts' own disks have no room left.
    DisksFull {
        /// The site.
        site: SiteName,
    },
    /// The hosts' own disks have room again.
    DisksFreed {
        /// The site.
        site: SiteName,
    },
    /// Every disk of a site is slower.
    DisksSlow {
        /// The site.
        site: SiteName,
        /// How many times.
        times: u32,
    },
    /// The exchange tree does not answer: what touches it waits.
    ShareStalls {
        /// The site.
        site: SiteName,
    },
    /// The exchange tree answers again.
    ShareAnswers {
        /// The site.
        site: SiteName,
    },
    /// A byte of a file on the exchange tree turns: one of those that `like` is a part of the path of.
    Rots {
        /// The site.
        site: SiteName,
        /// A part of the path.
        like: String,
    },
    /// Nothing passes from one zone to another any more; the way back is not affected.
    Cut {
        /// Where it comes from.
        from: Zone,
        /// Where it goes.
        to: Zone,
    },
    /// Both ways between two zones are mended.
    Mend {
        /// One.
        a: Zone,
        /// The other.
        b: Zone,
    },
    /// A host's wall clock jumps.
    ClockJumps {
        /// The site.
        site: SiteName,
        /// The host.
        host: HostName,
        /// By how many seconds.
        seconds: i64,
    },
    /// Somebody else turns the direction: the other site is active from now on, and its users write there.
    DirectionTurns,
    /// The next call at a site meets a mishap.
    Mishap {
        /// The site.
        site: SiteName,
        /// Which calls.
        channel: Channel,
        /// What happens.
        mishap: Mishap,
    },
    /// Everything that is broken is mended. What was lost stays lost.
    Heal,
}

/// A kind of call.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Short commands.
    Exec,
    /// Starting a durable job.
    JobStart,
    /// Looking at a durable job.
    JobPoll,
    /// HTTP.
    Http,
    /// SQL.
    Sql,
    /// Redis.
    Redis,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// It never arrives, and that is seen: nothing was started.
    NotSent,
    /// It arrives and has its effect; the answer is lost.
    ReplyLost,
    /// It arrives twice, and has its effect twice; one answer comes back.
    Twice,
}

impl State {
    /// Lets something break, or mends it, now.
    pub fn strike(&mut self, fault: &Fault) {
        self.note_fault(fault);
        match fault {
            Fault::HostDown { site, host } => self.power(site, Some(host), Power::Down),
            Fault::HostUp { site, host } | Fault::HostThaws { site, host } => self.power(site, Some(host), Power::Up),
            Fault::HostFreezes { site, host } => self.power(site, Some(host), Power::Frozen),
            Fault::SiteDown { site } => {
                self.power(site, None, Power::Down);
                self.servers(site, false);
            }
            Fault::SiteUp { site } => {
                self.power(site, None, Power::Up);
                self.servers(site, true);
            }
            Fault::NodeDown { site, node } => self.with_site(site, |site| site.search.set_node(*node, false)),
            Fault::NodeUp { site, node } => self.with_site(site, |site| site.search.set_node(*node, true)),
            Fault::SnapshotPartial { site } => self.with_site(site, |site| site.search.next_snapshot_is_partial()),
            Fault::SqlDown { site } => self.with_site(site, |site| site.sql.set_up(false)),
            Fault::SqlUp { site } => self.with_site(site, |site| site.sql.set_up(true)),
            Fault::AppBreaks { site, host } => self.with_site(site, |site| site.app.set_broken(host, true)),
            Fault::AppMends { site, host } => self.with_site(site, |site| site.app.set_broken(host, false)),
            Fault::Sql { site, trouble } => self.with_site(site, |site| site.sql.strike(*trouble)),
            Fault::Cache { site, trouble } => {
                let now = self.now;
                self.with_site(site, |site| site.cache.strike(*trouble, now));
            }
            Fault::ExchangeFull { site } => self.fill(site, true, true),
            Fault::ExchangeFreed { site } => self.fill(site, true, false),
            Fault::DisksFull { site } => self.fill(site, false, true),
            Fault::DisksFreed { site } => self.fill(site, false, false),
            Fault::DisksSlow { site, times } => {
                for id in self.disks_of(site) {
                    self.disks[id.0].slowness = (*times).max(1);
                }
            }
            Fault::ShareStalls { site } => self.with_site(site, |site| site.share_stalled = true),
            Fault::ShareAnswers { site } => self.with_site(site, |site| site.share_stalled = false),
            Fault::Rots { site, like } => self.rot(site, like),
            Fault::Cut { from, to } => self.network.cut(from.clone(), to.clone()),
            Fault::Mend { a, b } => self.network.mend(a, b),
            Fault::ClockJumps { site, host, seconds } => self.with_site(site, |site| {
                if let Some(host) = site.hosts.get_mut(host) {
                    host.skew = host.skew.saturating_add(SignedDuration::from_secs(*seconds));
                }
            }),
            Fault::DirectionTurns => self.turn(),
            Fault::Mishap { site, channel, mishap } => {
                self.mishaps.push((site.clone(), *channel, *mishap));
            }
            Fault::Heal => self.heal(),
        }
    }

    fn with_site(&mut self, site: &SiteName, act: impl FnOnce(&mut super::Site)) {
        if let Some(site) = self.sites.get_mut(site) {
            act(site);
        }
    }

    fn power(&mut self, at: &SiteName, host: Option<&HostName>, power: Power) {
        let now = self.now;
        let Some(site) = self.sites.get_mut(at) else { return };
        let mut lost = Vec::new();
        let mut woken = Vec::new();
        for (name, found) in site.hosts.iter_mut().filter(|(name, _)| host.is_none_or(|host| *name == host)) {
            let before = std::mem::replace(&mut found.power, power);
            if power == Power::Down && before != Power::Down {
                for job in found.jobs.values_mut() {
                    if job.state.is_alive() {
                        job.state = JobLife::Vanished;
                    }
                }
                lost.extend(found.mounts.iter().filter(|(mount, _)| mount == "/").map(|(_, disk)| *disk));
            }
            if power == Power::Up && before == Power::Frozen {
                let running = found.jobs.iter().filter(|(_, job)| job.state.is_alive());
                woken.extend(running.map(|(job, _)| (name.clone(), job.clone())));
            }
            if power != Power::Frozen && power != before {
                site.app.host_power(name, power == Power::Up, now);
            }
        }
        for disk in lost {
            self.disks[disk.0].lose_unsynced();
        }
        for (name, job) in woken {
            self.queue.put(self.now, super::Due::Job(at.clone(), name, job));
        }
    }

    fn servers(&mut self, site: &SiteName, up: bool) {
        self.with_site(site, |site| {
            for node in 0..site.search.nodes() {
                site.search.set_node(node, up);
            }
            site.sql.set_up(up);
            site.cache.set_up(up);
        });
    }

    fn fill(&mut self, site: &SiteName, exchange: bool, full: bool) {
        let Some(shared) = self.sites.get(site).map(|site| site.exchange) else { return };
        for id in self.disks_of(site).into_iter().filter(|id| (*id == shared) == exchange) {
            let disk = &mut self.disks[id.0];
            disk.capacity = if full { disk.used() } else { self.spec.disk };
        }
    }

    fn rot(&mut self, site: &SiteName, like: &str) {
        let Some(id) = self.sites.get(site).map(|site| site.exchange) else { return };
        let disk = &mut self.disks[id.0];
        let files: Vec<String> = disk.walk("/").map_or_else(
            |_| Vec::new(),
            |found| {
                let fitting = found.into_iter().filter(|(path, inode)| path.contains(like) && inode.size() > 0);
                fitting.map(|(path, _)| path).collect()
            },
        );
        if files.is_empty() {
            return;
        }
        let path = &files[self.rng.usize(..files.len())];
        let Ok(size) = disk.stat(path).map(|inode| usize::try_from(inode.size()).unwrap_or(usize::MAX)) else { return };
        let at = self.rng.usize(..size);
        // What rots keeps its size and its times: only a checksum finds it.
        let rotten = disk.rot(path, at);
        debug_assert!(rotten.is_ok(), "a byte of {path} could not be turned: {rotten:?}");
    }

    /// Turns the direction as a switchover of another program would, records at both sites first.
    fn turn(&mut self) {
        let Some(next) = self.sites.keys().find(|site| **site != self.active).cloned() else { return };
        let now = self.wall_time();
        for id in self.sites.values().map(|site| site.exchange).collect::<Vec<_>>() {
            let disk = &mut self.disks[id.0];
            let found = disk.read(RECORD).ok().and_then(|text| serde_json::from_slice::<DirectionRecord>(&text).ok());
            // A site that has no record has never been copied from or to; a turn has nothing to say to it.
            let Some(mut record) = found else { continue };
            record.epoch = Epoch(record.epoch.0 + 1);
            record.active = next.clone();
            record.since = now;
            if let Ok(text) = serde_json::to_vec_pretty(&record) {
                let written = disk.write(RECORD, text, 0o664, now);
                debug_assert!(written.is_ok(), "the record could not be written: {written:?}");
            }
        }
        if let Some(balancer) = &mut self.balancer {
            balancer.tell(&self.active, Wanted::Maint, self.now);
            balancer.tell(&next, Wanted::Ready, self.now);
        }
        self.active = next.clone();
        self.turned = Some(self.now);
        if let Some(every) = self.spec.write_every {
            self.queue.put(self.now + every, super::Due::Writes(next));
        }
    }

    /// Mends everything. What was lost stays lost.
    fn heal(&mut self) {
        self.network.mend_all();
        self.mishaps.clear();
        let now = self.now;
        for name in self.sites.keys().cloned().collect::<Vec<_>>() {
            self.power(&name, None, Power::Up);
            self.servers(&name, true);
            self.fill(&name, true, false);
            self.fill(&name, false, false);
            for id in self.disks_of(&name) {
                self.disks[id.0].slowness = 1;
            }
            self.with_site(&name, |site| {
                site.share_stalled = false;
                site.search.mend();
                site.app.mend();
                site.sql.mend();
                site.cache.strike(cache::Trouble::Follows, now);
                for host in site.hosts.values_mut() {
                    host.skew = SignedDuration::ZERO;
                }
            });
        }
    }

    /// The mishap that the next call of this kind at this site meets, if any.
    pub(super) fn mishap(&mut self, site: &SiteName, channel: Channel) -> Option<Mishap> {
        let found = self.mishaps.iter().position(|(at, kind, _)| at == site && *kind == channel)?;
        Some(self.mishaps.remove(found).2)
    }
}

/// Where a site keeps what it believes about the direction, on its exchange tree.
const RECORD: &str = "/direction.json";

/// How long a call that nobody answers takes until it is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
