//! A cache: two Redis servers with the same keys, of which one takes writes and the other follows. What `INFO` says is
//! in `info`.

mod info;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::SiteName;
use crate::port::{RedisEndpoint, RedisReply};
use crate::world::{Counts, State, Store};

/// What can be wrong with a cache, or be put right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CacheTrouble")]
pub enum Trouble {
    /// Both servers end. Nothing is kept: a cache is not on disk.
    Down,
    /// They are there again.
    Up,
    /// The follower takes over, and the other follows it.
    FailsOver,
    /// The follower is connected but gets no further.
    Stalls,
    /// The link between the two is cut.
    Unlinks,
    /// The follower follows again.
    Follows,
}

/// How the follower does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Link {
    #[default]
    Follows,
    /// It stays at this offset.
    Stalls(u64),
    /// It stays at this offset and the master does not see it.
    Cut(u64),
}

/// How long a write takes to the follower.
const LAG: Duration = Duration::from_millis(50);
/// How often the follower tells how far it is.
const TELLS: Duration = Duration::from_secs(1);
/// How long the memory of flushed keys takes to be freed.
const FREES: Duration = Duration::from_millis(300);
/// How many databases there are.
const DATABASES: u32 = 16;

/// The keys of one database.
type Keys = BTreeMap<String, String>;

/// A cache.
#[derive(Debug, Default)]
pub struct Cache {
    down: bool,
    databases: BTreeMap<u32, Keys>,
    /// Which of the two servers takes writes.
    master: usize,
    /// How often that changed: tells histories apart.
    history: u32,
    link: Link,
    /// How far the master's log was when; the last entries are enough to know what the follower has.
    log: VecDeque<(Duration, u64)>,
    /// How many objects were flushed last, and when.
    flushed: (u64, Duration),
}

impl Cache {
    /// Starts or ends the servers. What they held is gone when they end.
    pub fn set_up(&mut self, up: bool) {
        if !up && !self.down {
            self.databases.clear();
            self.log.clear();
            self.history += 1;
            self.link = Link::Follows;
        }
        self.down = !up;
    }

    /// True when it answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down
    }

    /// Lets something be wrong with it, or puts it right.
    pub fn strike(&mut self, trouble: Trouble, now: Duration) {
        match trouble {
            Trouble::Down => self.set_up(false),
            Trouble::Up => self.set_up(true),
            Trouble::FailsOver => {
                self.master = 1 - self.master;
                self.history += 1;
                self.link = Link::Follows;
            }
            Trouble::Stalls => self.link = Link::Stalls(self.applied(now)),
            Trouble::Unlinks => self.link = Link::Cut(self.applied(now)),
            Trouble::Follows => self.link = Link::Follows,
        }
    }

    /// How far the master is.
    fn offset(&self) -> u64 {
        self.log.back().map_or(14, |(_, offset)| *offset)
    }

    /// How far the follower is.
    fn applied(&self, now: Duration) -> u64 {
        match self.link {
            Link::Stalls(offset) | Link::Cut(offset) => offset,
            Link::Follows => {
                let reached = self.log.iter().rev().find(|(at, _)| *at + LAG <= now);
                reached.map_or(14, |(_, offset)| *offset)
            }
        }
    }

    /// How far the master knows the follower to be: it is told once a second.
    fn acknowledged(&self, now: Duration) -> u64 {
        self.applied(Duration::from_secs(now.as_secs() / TELLS.as_secs() * TELLS.as_secs()))
    }

    fn wrote(&mut self, now: Duration, bytes: u64) {
        let offset = self.offset() + bytes;
        self.log.push_back((now, offset));
        while self.log.len() > 64 {
            self.log.pop_front();
        }
    }

    fn flush(&mut self, now: Duration, database: Option<u32>) -> u64 {
        let before = self.keys();
        match database {
            Some(database) => drop(self.databases.remove(&database)),
            None => self.databases.clear(),
        }
        let gone = before - self.keys();
        self.flushed = (gone, now);
        self.wrote(now, 20);
        gone
    }

    /// How many objects are still to be freed.
    fn to_free(&self, now: Duration) -> u64 {
        let (objects, at) = self.flushed;
        if now < at + FREES { objects } else { 0 }
    }

    fn keys(&self) -> u64 {
        self.databases.values().map(|keys| keys.len() as u64).sum()
    }
}

/// Runs commands one after the other; stops after the first error reply.
pub fn commands(
    state: &mut State,
    site: &SiteName,
    endpoint: &RedisEndpoint,
    commands: &[Vec<String>],
) -> (Vec<RedisReply>, Duration) {
    // Of the two servers, the second has the higher address.
    let server = usize::from(endpoint.address.ends_with('2'));
    let mut selected = 0;
    let mut replies = Vec::new();
    for command in commands {
        let reply = one(state, site, server, &mut selected, command);
        let refused = matches!(reply, RedisReply::Error(_));
        replies.push(reply);
        if refused {
            break;
        }
    }
    let each = Duration::from_millis(1) * u32::try_from(replies.len()).unwrap_or(1);
    (replies, each)
}

fn one(state: &mut State, site: &SiteName, server: usize, selected: &mut u32, command: &[String]) -> RedisReply {
    let now = state.now;
    let Some(here) = state.sites.get_mut(site) else { return RedisReply::Nil };
    let cache = &mut here.cache;
    let ok = || RedisReply::Status("OK".to_owned());
    let error = |text: &str| RedisReply::Error(text.to_owned());
    let words: Vec<String> = command.iter().map(|word| word.to_ascii_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let database = match words.as_slice() {
        ["PING"] => return RedisReply::Status("PONG".to_owned()),
        ["INFO"] => return RedisReply::Bytes(info::text(cache, site, server, now).into_bytes()),
        ["DBSIZE"] => {
            let keys = cache.databases.get(selected).map_or(0, BTreeMap::len);
            return RedisReply::Integer(i64::try_from(keys).unwrap_or(i64::MAX));
        }
        ["SELECT", database] => {
            return match database.parse() {
                Ok(database) if database < DATABASES => {
                    *selected = database;
                    ok()
                }
                Ok(_) => error("ERR DB index is out of range"),
                Err(_) => error("ERR invalid DB index"),
            };
        }
        ["FLUSHALL"] | ["FLUSHALL", "ASYNC" | "SYNC"] => None,
        ["FLUSHDB"] | ["FLUSHDB", "ASYNC" | "SYNC"] => Some(*selected),
        _ => {
            let name = command.first().map_or("", String::as_str);
            return error(&format!("ERR unknown command '{name}', with args beginning with: "));
        }
    };
    if server != cache.master {
        return error("READONLY You can't write against a read only replica.");
    }
    let gone = cache.flush(now, database);
    state.changed(site, Store::Cache, format!("flush of {gone} keys"));
    ok()
}

/// Puts into a site what the world begins with: pages and sessions, in two databases.
pub fn fill(state: &mut State, site: &SiteName) {
    let keys = u64::from(state.spec.documents / 2);
    let Some(here) = state.sites.get_mut(site) else { return };
    let cache = &mut here.cache;
    for number in 0..keys {
        let page = format!("page:{number}");
        cache.databases.entry(0).or_default().insert(page, format!("<p>{number}</p>"));
    }
    cache.databases.entry(1).or_default().insert("counters".to_owned(), keys.to_string());
    cache.wrote(Duration::ZERO, 60 * (keys + 1));
}

/// One session that a user of the application begins, the `number`th write of the world; true when it was kept.
pub fn write(state: &mut State, site: &SiteName, number: u64) -> bool {
    let now = state.now;
    let Some(here) = state.sites.get_mut(site) else { return false };
    let cache = &mut here.cache;
    if !cache.is_up() {
        return false;
    }
    cache.databases.entry(0).or_default().insert(format!("session:{number}"), "begun".to_owned());
    cache.wrote(now, 60);
    true
}

/// Counts what a site holds.
pub fn count(state: &State, site: &SiteName, counts: &mut Counts) {
    if let Some(here) = state.sites.get(site) {
        counts.keys = here.cache.keys();
    }
}
