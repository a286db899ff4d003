//! The load balancer before both sites: it deals the users' requests out to the servers that are fit for them, by weight,
//! and asks each for its health every few seconds. Modelled on `HAProxy` 2.6, whose words and states it uses.
//!
//! Each site is a backend, each host a server of it. Users and balancer have ways of their own to the sites: what is cut
//! between console and sites does not touch them. It keeps the truth of who was given what; what a server makes of a
//! request is the application's affair. Not modelled: sessions that stay where they are, so a drained server has none.

mod runtime;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Due, State, app};
use crate::model::{HostName, SiteName};
use crate::port::{HttpRequest, Method};

/// Between two looks at the health of a server.
const EVERY: Duration = Duration::from_secs(2);
/// How many good answers make a server fit again, and how many bad ones unfit.
const RISE: u32 = 2;
const FALL: u32 = 3;
/// The weight that a server begins with.
const WEIGHT: u32 = 100;

/// What an operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// It serves while it is well.
    #[default]
    Ready,
    /// It is looked at, and gets nothing new.
    Drain,
    /// It gets nothing, and is not even looked at.
    Maint,
}

/// The last answer of a server to a look at its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It answered with this status.
    Status(u16),
    /// Nothing listened.
    Refused,
    /// Nothing came back.
    Silent,
}

/// A server of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    wanted: Wanted,
    weight: u32,
    /// From 0 to `RISE + FALL - 1`; it is up from `RISE` on.
    health: u32,
    seen: Option<Seen>,
    /// When it went up or down, or was told something else.
    since: Duration,
    served: u64,
    failed: u64,
    /// What it has saved up: the one with most is next.
    credit: i64,
}

impl Server {
    fn new(wanted: Wanted) -> Self {
        let health = RISE + FALL - 1;
        Self { wanted, weight: WEIGHT, health, seen: None, since: Duration::ZERO, served: 0, failed: 0, credit: 0 }
    }

    fn is_up(&self) -> bool {
        self.health >= RISE
    }

    fn is_usable(&self) -> bool {
        self.wanted == Wanted::Ready && self.is_up() && self.weight > 0
    }

    /// Takes an answer into account, as the real one does: one good answer makes a failing server whole again, while one
    /// that is down must be good several times.
    fn saw(&mut self, seen: Seen, now: Duration) {
        let was_up = self.is_up();
        let good = matches!(seen, Seen::Status(200..=399));
        self.seen = Some(seen);
        self.health = match (good, was_up) {
            (true, true) => RISE + FALL - 1,
            (true, false) if self.health + 1 >= RISE => RISE + FALL - 1,
            (true, false) => self.health + 1,
            (false, true) if self.health > RISE => self.health - 1,
            (false, _) => 0,
        };
        if was_up != self.is_up() {
            self.since = now;
        }
    }

    fn tell(&mut self, wanted: Wanted, now: Duration) {
        if self.wanted == wanted {
            return;
        }
        if self.wanted == Wanted::Maint {
            // It counts as up until it was looked at, but only just.
            self.health = RISE;
            self.seen = None;
        }
        if wanted == Wanted::Maint {
            self.seen = None;
        }
        self.wanted = wanted;
        self.since = now;
    }
}

/// The load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancer {
    servers: BTreeMap<(SiteName, HostName), Server>,
    refused: u64,
    /// The sites that were given requests since both were last usable at once.
    given: BTreeSet<SiteName>,
    both: Vec<Duration>,
}

impl Balancer {
    /// A balancer whose servers are all in maintenance but those of one site.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = (SiteName, HostName)>, active: &SiteName) -> Self {
        let wanted = |site: &SiteName| if site == active { Wanted::Ready } else { Wanted::Maint };
        let servers = servers.into_iter().map(|(site, host)| {
            let server = Server::new(wanted(&site));
            ((site, host), server)
        });
        Self { servers: servers.collect(), refused: 0, given: BTreeSet::new(), both: Vec::new() }
    }

    /// How many requests a site was given and answered well.
    #[must_use]
    pub fn served(&self, site: &SiteName) -> u64 {
        self.servers.iter().filter(|((at, _), _)| at == site).map(|(_, server)| server.served).sum()
    }

    /// How many requests a site was given and did not answer well.
    #[must_use]
    pub fn failed(&self, site: &SiteName) -> u64 {
        self.servers.iter().filter(|((at, _), _)| at == site).map(|(_, server)| server.failed).sum()
    }

    /// How many requests no server was there for.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// When a site was given a write although the other one had been given writes too and could still be: each of these
    /// moments is a split brain, if the sites took them.
    #[must_use]
    pub fn both(&self) -> &[Duration] {
        &self.both
    }

    /// The sites that requests can go to now.
    #[must_use]
    pub fn usable(&self) -> BTreeSet<SiteName> {
        let usable = self.servers.iter().filter(|(_, server)| server.is_usable());
        usable.map(|((site, _), _)| site.clone()).collect()
    }

    /// Says what is wanted of all servers of a site.
    pub fn tell(&mut self, site: &SiteName, wanted: Wanted, now: Duration) {
        for ((at, _), server) in &mut self.servers {
            if at == site {
                server.tell(wanted, now);
            }
        }
        self.settle();
    }

    /// While only one site can be given anything, what the other one had before is history.
    fn settle(&mut self) {
        let usable = self.usable();
        if usable.len() < 2 {
            self.given.retain(|site| usable.contains(site));
        }
    }

    /// The server that is next, by weight: each saves up what it weighs, and the one that is dealt to pays for all.
    fn deal(&mut self) -> Option<(SiteName, HostName)> {
        let mut total = 0;
        let mut next: Option<(i64, &(SiteName, HostName))> = None;
        for (name, server) in self.servers.iter_mut().filter(|(_, server)| server.is_usable()) {
            server.credit += i64::from(server.weight);
            total += i64::from(server.weight);
            if next.is_none_or(|(most, _)| server.credit > most) {
                next = Some((server.credit, name));
            }
        }
        let next = next.map(|(_, name)| name.clone())?;
        self.servers.get_mut(&next)?.credit -= total;
        Some(next)
    }

    fn ended(&mut self, to: &(SiteName, HostName), good: bool, now: Duration) {
        let Some(server) = self.servers.get_mut(to) else { return };
        if !good {
            server.failed += 1;
            return;
        }
        server.served += 1;
        self.given.insert(to.0.clone());
        if self.given.len() > 1 {
            self.both.push(now);
        }
    }
}

/// One write of the users that the balancer takes; `write` lets a site take it. True when it was acknowledged.
pub fn write(state: &mut State, write: impl FnOnce(&mut State, &SiteName) -> bool) -> bool {
    let now = state.now;
    let Some(balancer) = &mut state.balancer else { return false };
    let Some(to) = balancer.deal() else {
        balancer.refused += 1;
        return false;
    };
    let good = state.sites.get(&to.0).is_some_and(|site| site.app.listens(&to.1, now)) && write(state, &to.0);
    if let Some(balancer) = &mut state.balancer {
        balancer.ended(&to, good, now);
    }
    good
}

/// Looks at the health of all servers that are not in maintenance.
pub fn checks(state: &mut State) {
    let now = state.now;
    state.queue.put(now + EVERY, Due::Checks);
    let Some(balancer) = &state.balancer else { return };
    let looked_at = balancer.servers.iter().filter(|(_, server)| server.wanted != Wanted::Maint);
    let looked_at: Vec<(SiteName, HostName)> = looked_at.map(|(name, _)| name.clone()).collect();
    for (site, host) in looked_at {
        let seen = look(state, &site, &host);
        if let Some(server) = state.balancer.as_mut().and_then(|balancer| balancer.servers.get_mut(&(site, host))) {
            server.saw(seen, now);
        }
    }
    if let Some(balancer) = &mut state.balancer {
        balancer.settle();
    }
}

fn look(state: &mut State, site: &SiteName, host: &HostName) -> Seen {
    let Some(found) = state.sites.get(site) else { return Seen::Silent };
    if found.hosts.get(host).is_none_or(|host| host.power != super::host::Power::Up) {
        return Seen::Silent;
    }
    if !found.app.listens(host, state.now) {
        return Seen::Refused;
    }
    let (answer, _) = app::answer(state, site, host, &HttpRequest::new(Method::Get, "/health"));
    Seen::Status(answer.status)
}

/// Carries out a line for the runtime socket; returns what comes back.
pub fn command(state: &mut State, line: &str) -> String {
    let now = state.now;
    state.balancer.as_mut().map(|balancer| balancer.line(line, now)).unwrap_or_default()
}

/// When the first look is due.
#[must_use]
pub fn first_check() -> Duration {
    EVERY
}
