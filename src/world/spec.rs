//! What a simulated world is made from, and the estate that describes it to the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::Disk;
use super::host::{DiskId, Host, Power};
use super::{Due, Network, Queue, Site, State, app, balancer, cache, host, search, sql};
use crate::estate::Estate;
use crate::model::{HostName, SiteName};

/// The size and shape of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The wall time at the beginning.
    pub epoch: Timestamp,
    /// How many hosts the first site and the second site have. At least one each.
    pub hosts: [usize; 2],
    /// How many search nodes they have. At least one each.
    pub nodes: [usize; 2],
    /// Which program the SQL servers are.
    pub sql: sql::Flavour,
    /// How many documents the first site begins with.
    pub documents: u32,
    /// How many rows.
    pub rows: u32,
    /// How many files.
    pub files: u32,
    /// The time between two writes of the application; nothing for an application without users.
    pub write_every: Option<Duration>,
    /// Whether the users come through a load balancer. Without one they know where the active site is.
    pub balancer: bool,
    /// How many bytes each disk holds.
    pub disk: u64,
}

impl Spec {
    /// A small world: two hosts and one search node at the first site, one of each at the second.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        Self {
            seed,
            epoch: "2026-03-01T02:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH),
            hosts: [2, 1],
            nodes: [1, 1],
            sql: sql::Flavour::MariaDb,
            documents: 60,
            rows: 80,
            files: 24,
            write_every: Some(Duration::from_secs(2)),
            balancer: false,
            disk: 64 << 20,
        }
    }

    /// The names of the two sites: the one that has the users at first, and the other.
    #[must_use]
    pub fn sites() -> [SiteName; 2] {
        ["prod", "bcp"].map(|name| SiteName::new(name).unwrap_or_else(|_| unreachable!("a name")))
    }

    /// The estate file of the world.
    #[must_use]
    pub fn estate_text(&self) -> String {
        let mut text = String::from(HEAD);
        for (number, site) in Self::sites().iter().enumerate() {
            let title = ["Production", "Standby"][number];
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n[sites.{site}]\ntitle = \"{title}\"\nexchange = \"{EXCHANGE}\"\n");
            for host in 0..self.hosts[number] {
                let address = address(number, HOSTS + host);
                let _ = writeln!(text, "hosts.{} = {{ address = \"{address}\", roles = [\"app\"] }}", host_name(host));
            }
        }
        let urls = |site: usize| {
            let urls: Vec<String> =
                (0..self.nodes[site]).map(|node| format!("\"http://{}:9200\"", address(site, NODES + node))).collect();
            urls.join(", ")
        };
        let _ = write!(
            text,
            r#"
[services.search]
kind = "elasticsearch"
prod.urls = [{}]
bcp.urls = [{}]

[services.db]
kind = "mysql"
databases = ["shop"]
user = "changeover"
password = {{ file = "/etc/changeover/sql" }}
prod = {{ via = "ssh", leader = "app", address = "{}", port = 3306 }}
bcp = {{ via = "ssh", leader = "app", address = "{}", port = 3306 }}

[services.cache]
kind = "redis"
replicas = 1
prod = {{ address = "{}", port = 6379 }}
bcp = {{ address = "{}", port = 6379 }}

[services.app]
kind = "app"
role = "app"
manager = {{ kind = "runit", service = "/etc/service/shop" }}
restart = ["sudo", "-n", "/usr/local/sbin/restart-shop"]
health = {{ url = "http://{{{{ host.address }}}}:8080/health" }}
prod.leader_url = "http://{}:8500/leader"
bcp.leader_url = "http://{}:8500/leader"
"#,
            urls(0),
            urls(1),
            address(0, SQL),
            address(1, SQL),
            address(0, CACHE),
            address(1, CACHE),
            address(0, LEADER),
            address(1, LEADER),
        );
        text
    }

    /// The estate of the world.
    ///
    /// # Errors
    /// When the text above is no estate: a defect.
    pub fn estate(&self) -> Result<Estate, toml::de::Error> {
        toml::from_str(&self.estate_text())
    }

    /// The world at its beginning, filled.
    #[must_use]
    pub fn build(&self) -> State {
        let mut disks = Vec::new();
        let mut disk = || {
            disks.push(Disk::new(self.disk, self.epoch));
            DiskId(disks.len() - 1)
        };
        let mut sites = BTreeMap::new();
        for (number, name) in Self::sites().into_iter().enumerate() {
            let exchange = disk();
            let mut hosts = BTreeMap::new();
            let mut app = app::App::default();
            for host in 0..self.hosts[number] {
                let name = HostName::new(host_name(host)).unwrap_or_else(|_| unreachable!("a name"));
                app.install(&name);
                let mounts = vec![("/".to_owned(), disk()), (EXCHANGE.to_owned(), exchange)];
                hosts.insert(
                    name,
                    Host {
                        address: address(number, HOSTS + host),
                        power: Power::Up,
                        mounts,
                        skew: jiff::SignedDuration::ZERO,
                        lacks: std::collections::BTreeSet::new(),
                        jobs: BTreeMap::new(),
                    },
                );
            }
            let site = Site {
                hosts,
                exchange,
                share_stalled: false,
                search: search::Cluster::new(self.nodes[number]),
                sql: sql::Server::default(),
                cache: cache::Cache::default(),
                app,
            };
            sites.insert(name, site);
        }
        let [active, _] = Self::sites();
        let mut state = State {
            spec: self.clone(),
            now: Duration::ZERO,
            sites,
            disks,
            network: Network::default(),
            queue: Queue::default(),
            rng: fastrand::Rng::with_seed(self.seed),
            active: active.clone(),
            balancer: None,
            changes: Vec::new(),
            struck: Vec::new(),
            acknowledged: Vec::new(),
            turned: None,
            next_write: 1,
            mishaps: Vec::new(),
        };
        for site in Self::sites() {
            host::fill(&mut state, &site);
            search::fill(&mut state, &site);
            sql::fill(&mut state, &site);
            cache::fill(&mut state, &site);
        }
        if self.balancer {
            let servers = state.sites.iter();
            let servers = servers.flat_map(|(site, found)| found.hosts.keys().map(|host| (site.clone(), host.clone())));
            state.balancer = Some(balancer::Balancer::new(servers, &active));
            state.queue.put(balancer::first_check(), Due::Checks);
        }
        if let Some(every) = self.write_every {
            state.queue.put(every, Due::Writes(active));
        }
        state
    }
}

/// Where the exchange tree is mounted on every host.
pub(super) const EXCHANGE: &str = "/mnt/exchange";
const LEADER: usize = 9;
const HOSTS: usize = 11;
const NODES: usize = 21;
const SQL: usize = 31;
/// The first of the two servers of a cache; the second has the next address.
const CACHE: usize = 41;

const HEAD: &str = r#"name = "shop"
active = "prod"

[services.assets]
kind = "files"
paths = ["/var/lib/shop/storage"]
role = "app"
max_delete = "5%"

[services.config]
kind = "files"
paths = ["/etc/shop"]
role = "app"

[objectives]
rpo = "15m"
rto = "30m"
"#;

fn host_name(host: usize) -> String {
    format!("app{}", host + 1)
}

fn address(site: usize, last: usize) -> String {
    format!("10.0.{}.{last}", site + 1)
}

/// The address of a site's SQL server.
pub(super) fn sql_address(site: &SiteName) -> String {
    address(Spec::sites().iter().position(|known| known == site).unwrap_or(0), SQL)
}

/// The addresses of the two servers of a site's cache.
pub(super) fn cache_addresses(site: &SiteName) -> [String; 2] {
    let number = Spec::sites().iter().position(|known| known == site).unwrap_or(0);
    [CACHE, CACHE + 1].map(|last| address(number, last))
}

/// What listens at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listener {
    /// A search node.
    Search(usize),
    /// The application on a host.
    App(HostName),
    /// The service that names the leader.
    Leader,
    /// The SQL server.
    Sql,
    /// The cache: its two servers.
    Cache,
}

/// What listens at an address and port of the world.
pub(super) fn listener(host: &str, port: u16) -> Option<(SiteName, Listener)> {
    let rest = host.strip_prefix("10.0.")?;
    let (site, last) = rest.split_once('.')?;
    let site = Spec::sites().into_iter().nth(site.parse::<usize>().ok()?.checked_sub(1)?)?;
    let last: usize = last.parse().ok()?;
    let listener = match port {
        9200 => Listener::Search(last.checked_sub(NODES)?),
        8080 => Listener::App(HostName::new(host_name(last.checked_sub(HOSTS)?)).ok()?),
        8500 if last == LEADER => Listener::Leader,
        3306 if last == SQL => Listener::Sql,
        6379 if last == CACHE || last == CACHE + 1 => Listener::Cache,
        _ => return None,
    };
    Some((site, listener))
}
