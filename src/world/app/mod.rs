//! The application: a process per host under a service manager, its health address, the service that names the leader,
//! and the writing it does at the site that has the users.
//!
//! It serves what the stores of its site hold and keeps nothing itself. Who is active is the world's affair.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{Due, State, Store, balancer, cache, host, search, spec, sql};
use crate::model::{HostName, SiteName};
use crate::port::{HttpRequest, HttpResponse};

/// How long a process takes until it answers.
const WARM_UP: Duration = Duration::from_secs(3);
/// The folder of the service, as runit names it.
const SERVICE: &str = "/etc/service/shop";
/// How long a host takes from power to a started application.
const BOOT: Duration = Duration::from_secs(20);

/// The application of a site.
#[derive(Debug, Default)]
pub struct App {
    processes: BTreeMap<HostName, Process>,
    next_pid: u32,
}

/// The application on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    /// The process, while there is one.
    pid: Option<u32>,
    /// When it was started or stopped last.
    since: Duration,
    /// When it answers.
    ready: Duration,
    /// It starts, but never gets well.
    broken: bool,
}

/// What a service manager is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it when it does not run.
    Start,
    /// End it.
    Stop,
    /// End it, then start it.
    Restart,
}

impl App {
    /// Puts the application on a host and starts it, long ago.
    pub fn install(&mut self, host: &HostName) {
        self.next_pid += 1;
        let process =
            Process { pid: Some(1000 + self.next_pid), since: Duration::ZERO, ready: Duration::ZERO, broken: false };
        self.processes.insert(host.clone(), process);
    }

    /// Tells that a host has power again, or none any more.
    pub fn host_power(&mut self, host: &HostName, up: bool, now: Duration) {
        let Some(process) = self.processes.get_mut(host) else { return };
        if up && process.pid.is_none() {
            self.next_pid += 1;
            process.pid = Some(1000 + self.next_pid);
            process.since = now;
            process.ready = now + BOOT;
        } else if !up {
            process.pid = None;
            process.since = now;
        }
    }

    /// From now on the application of this host starts, but does not get well; or it does again.
    pub fn set_broken(&mut self, host: &HostName, broken: bool) {
        if let Some(process) = self.processes.get_mut(host) {
            process.broken = broken;
        }
    }

    /// Mends what was broken by a fault.
    pub fn mend(&mut self) {
        for process in self.processes.values_mut() {
            process.broken = false;
        }
    }

    /// True when something listens at the health address of this host.
    #[must_use]
    pub fn listens(&self, host: &HostName, now: Duration) -> bool {
        self.processes.get(host).is_some_and(|process| process.pid.is_some() && process.ready <= now)
    }

    /// Does what a service manager is asked to do.
    pub fn manage(&mut self, host: &HostName, verb: Verb, now: Duration) {
        let Some(process) = self.processes.get_mut(host) else { return };
        match verb {
            Verb::Stop => {
                process.pid = None;
                process.since = now;
            }
            Verb::Start if process.pid.is_some() => {}
            Verb::Start | Verb::Restart => {
                self.next_pid += 1;
                process.pid = Some(1000 + self.next_pid);
                process.since = now;
                process.ready = now + WARM_UP;
            }
        }
    }

    /// What `sv status` prints of it.
    #[must_use]
    pub fn status(&self, host: &HostName, service: &str, now: Duration) -> Option<String> {
        let process = self.processes.get(host)?;
        let age = now.saturating_sub(process.since).as_secs();
        Some(match process.pid {
            Some(pid) => format!("run: {service}: (pid {pid}) {age}s"),
            None => format!("down: {service}: {age}s, normally up"),
        })
    }
}

/// What a service manager says, or the script that restarts the application.
#[derive(Debug, Default)]
pub struct Said {
    /// On stdout.
    pub out: String,
    /// On stderr, one line; empty for nothing.
    pub err: String,
    /// The exit code.
    pub code: i32,
    /// How long it took.
    pub took: Duration,
}

/// Does what `sv status`, `start`, `stop` and `restart` do, and what the restart script does, on a host.
pub fn service(state: &mut State, site: &SiteName, host: &HostName, verb: &str) -> Said {
    let now = state.now;
    let Some(found) = state.sites.get_mut(site) else { return Said::default() };
    let verb = match verb {
        "status" => None,
        "start" => Some(Verb::Start),
        "stop" => Some(Verb::Stop),
        _ => Some(Verb::Restart),
    };
    if let Some(verb) = verb {
        found.app.manage(host, verb, now);
    }
    let status = found.app.status(host, SERVICE, now);
    if let Some(verb) = verb {
        state.changed(site, Store::App, format!("{verb:?} on {host}"));
    }
    match status {
        Some(status) if verb.is_none() => Said { out: format!("{status}\n"), ..Said::default() },
        Some(status) => Said { out: format!("ok: {status}\n"), took: Duration::from_secs(1), ..Said::default() },
        None => Said {
            out: format!("fail: {SERVICE}: unable to change to service directory: file does not exist\n"),
            code: 1,
            ..Said::default()
        },
    }
}

/// Answers a request to the application on a host.
pub fn answer(state: &mut State, site: &SiteName, host: &HostName, request: &HttpRequest) -> (HttpResponse, Duration) {
    let took = Duration::from_millis(20);
    if !request.url.ends_with("/health") {
        return (response(404, &json!({ "error": "no such page" })), took);
    }
    let stores = stores(state, site, host);
    let is_up = |name: &str| stores.iter().any(|(store, problem)| *store == name && problem.is_none());
    // Without orders or uploads nothing can be sold; without search or sessions the shop limps.
    let status = match (stores.iter().all(|(_, problem)| problem.is_none()), is_up("sql") && is_up("files")) {
        (true, _) => "up",
        (false, true) => "degraded",
        (false, false) => "down",
    };
    let shown = stores.iter().map(|(store, problem)| {
        let state = problem.as_ref().map_or_else(|| "up".to_owned(), |problem| format!("down: {problem}"));
        ((*store).to_owned(), json!(state))
    });
    let shown: serde_json::Map<String, serde_json::Value> = shown.collect();
    let body =
        json!({"status": status, "version": "4.2.0", "site": site.as_str(), "host": host.as_str(), "stores": shown});
    (response(if status == "down" { 503 } else { 200 }, &body), took)
}

/// The stores as the application of a host finds them: what is wrong with each, if anything, in the words of its own
/// libraries.
fn stores(state: &mut State, site: &SiteName, host: &HostName) -> [(&'static str, Option<String>); 4] {
    let red = search::is_red(state, site);
    let found = &state.sites[site];
    let broken = found.app.processes.get(host).is_some_and(|process| process.broken);
    let nodes = (0..found.search.nodes()).any(|node| found.search.is_up(node));
    let (sql, [cache, _]) = (spec::sql_address(site), spec::cache_addresses(site));
    let search = match (nodes, red) {
        (false, _) => Some("URLError: <urlopen error [Errno 111] Connection refused>".to_owned()),
        (true, true) => Some("RuntimeError: the cluster is red".to_owned()),
        (true, false) => None,
    };
    let sql = (!found.sql.is_up()).then(|| {
        format!(
            "OperationalError: (2003, \"Can't connect to MySQL server on '{sql}' ([Errno 111] Connection refused)\")"
        )
    });
    let redis = (!found.cache.is_up())
        .then(|| format!("ConnectionError: Error 111 connecting to {cache}:6379. Connection refused."));
    let files = broken.then(|| "PermissionError: [Errno 13] Permission denied: '/var/lib/shop/storage'".to_owned());
    [("search", search), ("sql", sql), ("redis", redis), ("files", files)]
}

/// Answers a request to the service that names the leader: the first host whose application answers and can sell.
pub fn leader(state: &mut State, site: &SiteName, _request: &HttpRequest) -> (HttpResponse, Duration) {
    let took = Duration::from_millis(5);
    let found = &state.sites[site];
    let is_fit = |host: &&HostName| {
        let broken = found.app.processes.get(*host).is_some_and(|process| process.broken);
        found.hosts[*host].power == host::Power::Up
            && found.app.listens(host, state.now)
            && found.sql.is_up()
            && !broken
    };
    let leader = found.hosts.keys().find(is_fit);
    let quoted = |host: &HostName| format!("\"{host}\"");
    let members: Vec<String> = found.hosts.keys().map(quoted).collect();
    let named = leader.map_or_else(|| "null".to_owned(), quoted);
    // With the spaces of the real one: people are shown what it said.
    let body = format!("{{\"leader\": {named}, \"members\": [{}]}}", members.join(", "));
    (HttpResponse { status: if leader.is_some() { 200 } else { 503 }, body: body.into_bytes() }, took)
}

fn response(status: u16, body: &serde_json::Value) -> HttpResponse {
    HttpResponse { status, body: body.to_string().into_bytes() }
}

/// One write of the users that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: Duration,
    /// Which.
    pub number: u64,
}

/// Lets the application of a site write what its users gave it since the last time; with a load balancer, that of the
/// site which the balancer gives it to.
pub fn writes(state: &mut State, site: &SiteName) {
    let Some(every) = state.spec.write_every else { return };
    let now = state.now;
    if state.active != *site {
        return;
    }
    state.queue.put(now + every, Due::Writes(site.clone()));
    if state.balancer.is_some() {
        let number = state.next_write;
        state.next_write += 1;
        let changes = state.changes.len();
        let kept = balancer::write(state, |state, site| write(state, site, number));
        state.changes.truncate(changes);
        if kept {
            state.acknowledged.push(Acknowledged { at: now, number });
        }
        return;
    }
    let found = &state.sites[site];
    let served = found.hosts.keys().any(|host| found.app.listens(host, now));
    let stores = found.sql.is_up() && (0..found.search.nodes()).any(|node| found.search.is_up(node));
    if !served || !stores {
        return;
    }
    let number = state.next_write;
    state.next_write += 1;
    let changes = state.changes.len();
    let kept = write(state, site, number);
    // What users write is told by `acknowledged`; the changes are those of everybody else.
    state.changes.truncate(changes);
    if kept {
        state.acknowledged.push(Acknowledged { at: now, number });
    }
}

/// One write of the users into all stores; true when all of it was kept.
fn write(state: &mut State, site: &SiteName, number: u64) -> bool {
    let written = sql::write(state, site, number) && search::write(state, site, number);
    if !written {
        return false;
    }
    // An upload comes with every fourth order; the session is a cache and may be lost.
    if number.is_multiple_of(4) && !host::write(state, site, number) {
        return false;
    }
    cache::write(state, site, number);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_application_is_another_process_and_answers_a_little_later() {
        let host = HostName::new("app1").expect("a name");
        let second = Duration::from_secs;
        let mut app = App::default();
        app.install(&host);
        assert!(app.listens(&host, second(1)));
        let before = app.status(&host, "/s", second(10)).expect("a status");
        app.manage(&host, Verb::Restart, second(10));
        let after = app.status(&host, "/s", second(11)).expect("a status");
        assert_eq!((before.as_str(), after.as_str()), ("run: /s: (pid 1001) 10s", "run: /s: (pid 1002) 1s"));
        assert!(!app.listens(&host, second(12)) && app.listens(&host, second(13)));
        app.host_power(&host, false, second(20));
        assert_eq!(app.status(&host, "/s", second(21)).as_deref(), Some("down: /s: 1s, normally up"));
        app.host_power(&host, true, second(30));
        assert!(!app.listens(&host, second(40)) && app.listens(&host, second(50)));
    }
}
