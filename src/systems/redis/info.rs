//! Reading what `INFO` says. Pure.
//!
//! Lines are `name:value` below `# Section` headings; names are matched, never positions, because servers differ.

use std::collections::BTreeMap;

/// What one server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Info {
    /// The version, as the server writes it.
    pub(super) version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub(super) mode: String,
    /// Its part in replication.
    pub(super) role: Role,
    /// The id of the data set's history. A replica carries that of its master.
    pub(super) history: String,
    /// How far it is in that history: written by a master, applied by a replica.
    pub(super) offset: u64,
    /// The replicas that are connected to it.
    pub(super) replicas: Vec<ReplicaLine>,
    /// Bytes of memory in use.
    pub(super) memory: Option<u64>,
    /// The most it may use; nothing when there is no limit.
    pub(super) memory_limit: Option<u64>,
    /// Keys that it threw out for want of memory since it started.
    pub(super) evicted: Option<u64>,
    /// Objects that an asynchronous flush has still to free.
    pub(super) pending_free: Option<u64>,
    /// True while it reads its data set into memory and answers nothing else.
    pub(super) loading: bool,
    /// How many seconds that may take yet, as it reckons.
    pub(super) loading_seconds: Option<u64>,
    /// True when the last snapshot of its data set could not be written to disk.
    pub(super) snapshot_failed: bool,
    /// True when the last write to its log of changes failed.
    pub(super) log_failed: bool,
    /// Keys by database. A database that is not listed has none.
    pub(super) keys: BTreeMap<u32, u64>,
}

/// A server's part in replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// Takes writes.
    Master,
    /// Follows another server, which may be a replica itself.
    Replica {
        /// The server it follows, as it names it.
        host: String,
        /// Its port.
        port: u16,
        /// True when the link is up and no full copy is under way.
        linked: bool,
    },
}

/// A replica, as its master sees it. The master learns the offset about once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplicaLine {
    /// Its address, as the master sees it.
    pub(super) address: String,
    /// The port it announces.
    pub(super) port: u16,
    /// `online` once it follows; `wait_bgsave`, `send_bulk` while it gets a full copy.
    pub(super) state: String,
    /// How far it has acknowledged.
    pub(super) offset: u64,
    /// So many seconds ago it said so. A server says it every second.
    pub(super) lag: Option<u64>,
}

impl Info {
    /// Reads the whole text that `INFO` returns.
    ///
    /// # Errors
    /// Which part is missing or cannot be read: unknown is never taken for zero.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: BTreeMap<&str, &str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.trim_end().split_once(':'))
            .collect();
        let field = |name: &str| fields.get(name).copied().ok_or_else(|| format!("INFO does not say `{name}`"));
        let number = |name: &str| number(name, field(name)?);
        let (role, offset) = match field("role")? {
            "master" => (Role::Master, number("master_repl_offset")?),
            "slave" | "replica" => {
                let linked = field("master_link_status")? == "up" && field("master_sync_in_progress")? == "0";
                let port = field("master_port")?;
                let port = port.parse().map_err(|_| format!("`master_port:{port}` is not a port"))?;
                (Role::Replica { host: field("master_host")?.to_owned(), port, linked }, number("slave_repl_offset")?)
            }
            other => return Err(format!("`role:{other}` is neither master nor replica")),
        };
        if !text.lines().any(|line| line.trim_end().eq_ignore_ascii_case("# keyspace")) {
            return Err("INFO has no section on keys".to_owned());
        }
        Ok(Self {
            version: field("redis_version")?.to_owned(),
            mode: fields.get("redis_mode").copied().unwrap_or("standalone").to_owned(),
            role,
            history: field("master_replid")?.to_owned(),
            offset,
            replicas: fields.iter().filter_map(|(name, value)| replica_line(name, value)).collect::<Result<_, _>>()?,
            memory: number("used_memory").ok(),
            memory_limit: number("maxmemory").ok().filter(|limit| *limit > 0),
            evicted: number("evicted_keys").ok(),
            pending_free: number("lazyfree_pending_objects").ok(),
            loading: fields.get("loading") == Some(&"1"),
            loading_seconds: number("loading_eta_seconds").ok(),
            snapshot_failed: fields.get("rdb_last_bgsave_status") == Some(&"err"),
            log_failed: fields.get("aof_last_write_status") == Some(&"err"),
            keys: fields.iter().filter_map(|(name, value)| database_line(name, value)).collect::<Result<_, _>>()?,
        })
    }

    /// How many keys there are in one database, or in all.
    pub(super) fn keys_in(&self, database: Option<u32>) -> u64 {
        match database {
            Some(database) => self.keys.get(&database).copied().unwrap_or(0),
            None => self.keys.values().sum(),
        }
    }

    /// True when `FLUSHALL` takes `ASYNC`: from version 4 on.
    pub(super) fn frees_in_background(&self) -> bool {
        self.version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major >= 4)
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("`{name}:{value}` is not a number"))
}

/// `slave0:ip=10.0.0.2,port=6379,state=online,offset=232,lag=1`
fn replica_line(name: &str, value: &str) -> Option<Result<ReplicaLine, String>> {
    let index = name.strip_prefix("slave").or_else(|| name.strip_prefix("replica"))?;
    if index.is_empty() || !index.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parts: BTreeMap<&str, &str> = value.split(',').filter_map(|part| part.split_once('=')).collect();
    let read = || {
        Some(ReplicaLine {
            address: (*parts.get("ip")?).to_owned(),
            port: parts.get("port")?.parse().ok()?,
            state: (*parts.get("state")?).to_owned(),
            offset: parts.get("offset")?.parse().ok()?,
            lag: parts.get("lag").and_then(|lag| lag.parse().ok()),
        })
    };
    Some(read().ok_or_else(|| format!("`{name}:{value}` cannot be read")))
}

/// `db0:keys=12,expires=3,avg_ttl=0`
fn database_line(name: &str, value: &str) -> Option<Result<(u32, u64), String>> {
    let database = name.strip_prefix("db")?.parse().ok()?;
    let keys = value.split(',').find_map(|part| part.strip_prefix("keys="))?;
    Some(number(name, keys).map(|keys| (database, keys)))
}
