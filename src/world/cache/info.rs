//! What `INFO` says, as Redis 7.0 does.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Cache, Link};
use crate::model::SiteName;
use crate::world::spec::cache_addresses;

/// The whole text that one of the two servers gives.
pub(super) fn text(cache: &Cache, site: &SiteName, server: usize, now: Duration) -> String {
    let addresses = cache_addresses(site);
    let memory = 1_050_000 + 180 * cache.keys();
    let history = format!("{:08x}{:032x}", cache.history + 1, cache.master + 1);
    let (offset, applied) = (cache.offset(), cache.applied(now));
    let mut text = format!(
        "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nuptime_in_seconds:{}\r\n\r\n\
         # Memory\r\nused_memory:{memory}\r\nmaxmemory:0\r\nlazyfree_pending_objects:{}\r\n\r\n# Stats\r\nevicted_keys:0\r\n\r\n# Replication\r\n",
        now.as_secs() + 777_600,
        cache.to_free(now),
    );
    // Writing to a `String` cannot fail.
    if server == cache.master {
        let seen = !matches!(cache.link, Link::Cut(_));
        let _ = write!(text, "role:master\r\nconnected_slaves:{}\r\n", u8::from(seen));
        if seen {
            let (replica, told) = (&addresses[1 - server], cache.acknowledged(now));
            let _ = write!(text, "slave0:ip={replica},port=6379,state=online,offset={told},lag=0\r\n");
        }
        let _ = write!(
            text,
            "master_failover_state:no-failover\r\nmaster_replid:{history}\r\nmaster_repl_offset:{offset}\r\n"
        );
    } else {
        let link = if matches!(cache.link, Link::Cut(_)) { "down" } else { "up" };
        let _ = write!(
            text,
            "role:slave\r\nmaster_host:{}\r\nmaster_port:6379\r\nmaster_link_status:{link}\r\n\
             master_sync_in_progress:0\r\nslave_repl_offset:{applied}\r\nslave_read_only:1\r\nconnected_slaves:0\r\n\
             master_replid:{history}\r\nmaster_repl_offset:{applied}\r\n",
            addresses[cache.master],
        );
    }
    text.push_str("\r\n# Keyspace\r\n");
    for (database, keys) in cache.databases.iter().filter(|(_, keys)| !keys.is_empty()) {
        let _ = write!(text, "db{database}:keys={},expires=0,avg_ttl=0\r\n", keys.len());
    }
    text
}
