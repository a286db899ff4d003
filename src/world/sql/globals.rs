//! The global variables of a server: how they are shown, read and set, and the transactions it says that it has executed.

use std::collections::BTreeMap;

use super::answers::VERSION;
use super::server::Server;
use super::session::SqlRefusal;

/// Which program the server is. The client programs of the hosts are those of `MariaDB` and get along with it only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// `MariaDB` 10.11.
    #[default]
    MariaDb,
    /// `MySQL` 8.0, with GTIDs.
    MySql,
}

/// The version of a `MySQL` server.
const MYSQL_VERSION: &str = "8.0.36";

/// A value: flags are shown as words and read as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Global {
    /// On or off.
    Flag(bool),
    /// Everything else.
    Text(String),
}

/// Names as they were written, and the values of them.
pub type NamedValues = (Vec<String>, Vec<String>);

impl Global {
    /// As `SHOW GLOBAL VARIABLES` shows it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Flag(flag) => if *flag { "ON" } else { "OFF" }.to_owned(),
            Self::Text(text) => text.clone(),
        }
    }

    /// As `SELECT @@GLOBAL.…` reads it.
    #[must_use]
    pub fn read(&self) -> String {
        match self {
            Self::Flag(flag) => u8::from(*flag).to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Server {
    /// Its `server_uuid`.
    #[must_use]
    pub fn uuid(&self) -> String {
        format!("{:08x}-1c2d-11f1-9e3a-0242ac120002", self.id)
    }

    /// Where its log is: `0-1-22` in the words of `MariaDB`, `<uuid>:1-22` in those of `MySQL`. Every transaction that
    /// changes something makes it longer; empty when there was none.
    #[must_use]
    pub fn position(&self) -> String {
        match (self.flavour, self.changes) {
            (_, 0) => String::new(),
            (Flavour::MariaDb, changes) => format!("0-{}-{changes}", self.id),
            (Flavour::MySql, 1) => format!("{}:1", self.uuid()),
            (Flavour::MySql, changes) => format!("{}:1-{changes}", self.uuid()),
        }
    }

    /// All global variables that are known here.
    #[must_use]
    pub fn globals(&self) -> BTreeMap<&'static str, Global> {
        let text = |text: &str| Global::Text(text.to_owned());
        let mut all: BTreeMap<&'static str, Global> = [
            ("datadir", text("/var/lib/mysql/")),
            ("event_scheduler", Global::Flag(self.events_run)),
            ("hostname", text(&self.hostname)),
            ("log_bin", Global::Flag(true)),
            ("log_bin_trust_function_creators", Global::Flag(false)),
            ("lower_case_table_names", text("0")),
            ("max_allowed_packet", text("16777216")),
            ("max_connections", text("151")),
            ("port", text("3306")),
            ("read_only", Global::Flag(self.read_only)),
            ("server_id", Global::Text(self.id.to_string())),
        ]
        .into();
        all.extend(match self.flavour {
            Flavour::MariaDb => vec![
                ("gtid_binlog_pos", Global::Text(self.position())),
                ("gtid_current_pos", Global::Text(self.position())),
                ("gtid_slave_pos", text("")),
                ("version", text(VERSION)),
                ("version_comment", text("Debian 12")),
            ],
            Flavour::MySql => vec![
                ("enforce_gtid_consistency", text("ON")),
                ("gtid_executed", Global::Text(self.position())),
                ("gtid_mode", text("ON")),
                ("gtid_purged", text("")),
                ("server_uuid", Global::Text(self.uuid())),
                ("super_read_only", Global::Flag(self.super_read_only)),
                ("version", text(MYSQL_VERSION)),
                ("version_comment", text("MySQL Community Server - GPL")),
            ],
        });
        all
    }

    /// `SELECT @@GLOBAL.read_only, @@gtid_binlog_pos`: the names as they were written, and the values. Nothing when that
    /// is no question about variables only.
    #[must_use]
    pub fn read_globals(&self, text: &str) -> Option<Result<NamedValues, SqlRefusal>> {
        let asked: Vec<&str> = text.strip_prefix("SELECT ")?.split(',').map(str::trim).collect();
        let all = self.globals();
        let mut found = (Vec::new(), Vec::new());
        for asked in asked {
            let (written, shown) = asked.split_once(" AS ").unwrap_or((asked, asked));
            let name = written.strip_prefix("@@")?.to_ascii_lowercase();
            let name = name.strip_prefix("global.").unwrap_or(&name);
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return None;
            }
            let Some(value) = all.get(name) else { return Some(Err(unknown(name))) };
            found.0.push(shown.trim().to_owned());
            found.1.push(value.read());
        }
        Some(Ok(found))
    }

    /// `SET GLOBAL <name> = <value>`. What is set so is forgotten when the server ends.
    ///
    /// # Errors
    /// The refusal.
    pub fn set_global(&mut self, name: &str, value: &str) -> Result<(), SqlRefusal> {
        if !self.globals().contains_key(name) {
            return Err(unknown(name));
        }
        let wrong = || {
            let words = format!("Variable '{name}' can't be set to the value of '{value}'");
            Err(SqlRefusal::new(1231, words))
        };
        let flag = match value.to_ascii_uppercase().as_str() {
            "ON" | "1" | "TRUE" => true,
            "OFF" | "0" | "FALSE" => false,
            _ => return wrong(),
        };
        match name {
            "event_scheduler" => self.events_run = flag,
            "read_only" => {
                self.read_only = flag;
                // The stricter one cannot be without the other, nor the other without it.
                self.super_read_only &= flag;
            }
            "super_read_only" => {
                self.super_read_only = flag;
                self.read_only |= flag;
            }
            _ => return Err(SqlRefusal::new(1238, format!("Variable '{name}' is a read only variable"))),
        }
        Ok(())
    }

    /// Why an account with all privileges may change nothing, if that is so.
    ///
    /// # Errors
    /// The refusal.
    pub fn may_change(&self) -> Result<(), SqlRefusal> {
        if !self.super_read_only {
            return Ok(());
        }
        let words = "The MySQL server is running with the --super-read-only option so it cannot execute this statement";
        Err(SqlRefusal::new(1290, words))
    }
}

fn unknown(name: &str) -> SqlRefusal {
    SqlRefusal::new(1193, format!("Unknown system variable '{name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_of_transactions_grows_in_the_words_of_each_server() {
        let mut server = Server::new("prod-db", 7);
        let positions = |server: &mut Server, flavour| {
            server.flavour = flavour;
            [0, 1, 22].map(|changes| {
                server.changes = changes;
                server.position()
            })
        };
        assert_eq!(positions(&mut server, Flavour::MariaDb), ["", "0-7-1", "0-7-22"]);
        let uuid = server.uuid();
        let wanted = [String::new(), format!("{uuid}:1"), format!("{uuid}:1-22")];
        assert_eq!(positions(&mut server, Flavour::MySql), wanted);
        assert_ne!(uuid, Server::new("bcp-db", 8).uuid());
    }

    #[test]
    fn variables_are_read_by_the_names_that_the_server_has() {
        let mut server = Server::new("prod-db", 1);
        let read = |server: &Server, text: &str| match server.read_globals(text) {
            None => "no question".to_owned(),
            Some(Err(refusal)) => format!("{} {}", refusal.code, refusal.words),
            Some(Ok((names, values))) => format!("{} = {}", names.join(","), values.join(",")),
        };
        server.changes = 3;
        assert_eq!(read(&server, "SELECT @@GLOBAL.read_only"), "@@GLOBAL.read_only = 0");
        assert_eq!(read(&server, "SELECT @@gtid_binlog_pos AS at, @@global.log_bin"), "at,@@global.log_bin = 0-1-3,1");
        assert_eq!(read(&server, "SELECT @@GLOBAL.gtid_executed"), "1193 Unknown system variable 'gtid_executed'");
        assert_eq!(read(&server, "SELECT 1"), "no question");
        server.flavour = Flavour::MySql;
        assert_eq!(read(&server, "SELECT @@gtid_binlog_pos"), "1193 Unknown system variable 'gtid_binlog_pos'");
        assert_eq!(
            read(&server, "SELECT @@GLOBAL.gtid_executed"),
            format!("@@GLOBAL.gtid_executed = {}:1-3", server.uuid())
        );
    }

    #[test]
    fn a_server_that_is_read_only_for_all_is_read_only_for_some() {
        let mut server = Server::new("bcp-db", 2);
        assert_eq!(server.set_global("super_read_only", "ON").map_err(|no| no.code), Err(1193));
        server.flavour = Flavour::MySql;
        server.set_global("super_read_only", "on").expect("set");
        assert!(server.read_only && server.may_change().is_err());
        server.set_global("read_only", "0").expect("set");
        assert!(!server.read_only && server.may_change().is_ok());
        server.set_global("read_only", "1").expect("set");
        assert!(server.read_only && server.may_change().is_ok());
        assert_eq!(server.set_global("read_only", "perhaps").map_err(|no| no.code), Err(1231));
        assert_eq!(server.set_global("version", "1").map_err(|no| no.code), Err(1238));
        server.set_up(false);
        server.set_up(true);
        assert!(!server.read_only, "what was set is forgotten");
    }
}
