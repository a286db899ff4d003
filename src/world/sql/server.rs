//! A SQL server as data: who may log in, what it holds, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::globals::Flavour;
use super::schema::Schema;
use crate::world::SECRET;

/// What can be wrong with a SQL server that answers, or be put right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SqlTrouble")]
pub enum Trouble {
    /// `read_only` is set: accounts without `READ ONLY ADMIN`, as the application's, cannot write.
    ReadOnly,
    /// `read_only` is off again.
    Writable,
    /// A session of the application holds the tables: they can be read and written, but not dropped.
    Locks,
    /// That session has ended.
    Unlocks,
    /// Every session that is open ends. The server goes on.
    EndsSessions,
    /// The password of the account that copies was changed.
    LocksOut,
    /// The password is the known one again.
    LetsIn,
}

/// A SQL server.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own, and all can be at once")]
pub struct Server {
    down: bool,
    /// What it calls its machine.
    pub(super) hostname: String,
    /// Its `server_id`.
    pub(super) id: u32,
    /// When it was started; nothing until somebody asks after a start.
    pub(super) started: Option<Duration>,
    /// How often sessions were ended: one that began before the last time is gone.
    pub(super) ended_sessions: u32,
    /// Which program it is.
    pub(super) flavour: Flavour,
    /// True while it refuses writes to accounts without privilege.
    pub(super) read_only: bool,
    /// True while it refuses them to every account.
    pub(super) super_read_only: bool,
    /// It is read-only whenever it starts.
    starts_read_only: bool,
    /// True while it runs events.
    pub(super) events_run: bool,
    /// True while a session of the application holds the tables.
    pub(super) locked: bool,
    locks_out: bool,
    /// How many changes it has written to its log.
    pub(super) changes: u64,
    /// What it holds. Shared with the snapshots that dumps read from.
    pub(super) schemas: BTreeMap<String, Arc<Schema>>,
}

/// The accounts of every server: `user`, `host`.
pub const ACCOUNTS: [(&str, &str); 4] =
    [("changeover", "%"), ("mariadb.sys", "localhost"), ("root", "localhost"), ("shop", "%")];

impl Server {
    /// A server without databases.
    #[must_use]
    pub fn new(hostname: &str, id: u32) -> Self {
        Self { hostname: hostname.to_owned(), id, started: Some(Duration::ZERO), ..Self::default() }
    }

    /// The same server as another program.
    #[must_use]
    pub fn of(self, flavour: Flavour) -> Self {
        Self { flavour, ..self }
    }

    /// Starts or ends the server.
    pub fn set_up(&mut self, up: bool) {
        if !up && !self.down {
            self.ended_sessions += 1;
            self.started = None;
            self.locked = false;
            self.read_only = self.starts_read_only;
            self.super_read_only = false;
            self.events_run = false;
        }
        self.down = !up;
    }

    /// True when it answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down
    }

    /// Lets something be wrong with it, or puts it right.
    pub fn strike(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::ReadOnly => (self.read_only, self.starts_read_only) = (true, true),
            Trouble::Writable => self.writable(),
            Trouble::Locks => self.locked = true,
            Trouble::Unlocks => self.locked = false,
            Trouble::EndsSessions => {
                self.ended_sessions += 1;
                self.locked = false;
            }
            Trouble::LocksOut => self.locks_out = true,
            Trouble::LetsIn => self.locks_out = false,
        }
    }

    /// Puts everything right. What was lost stays lost.
    pub fn mend(&mut self) {
        self.writable();
        self.locked = false;
        self.locks_out = false;
    }

    fn writable(&mut self) {
        self.read_only = false;
        self.super_read_only = false;
        self.starts_read_only = false;
    }

    /// True when this user with this password may come in.
    #[must_use]
    pub fn lets_in(&self, user: &str, password: Option<&str>) -> bool {
        user == ACCOUNTS[0].0 && password == Some(SECRET) && !self.locks_out
    }

    /// A database, to read.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.get(name).map(Arc::as_ref)
    }

    /// A database, to change. Snapshots keep what they have.
    pub fn schema_mut(&mut self, name: &str) -> Option<&mut Schema> {
        self.schemas.get_mut(name).map(Arc::make_mut)
    }
}
