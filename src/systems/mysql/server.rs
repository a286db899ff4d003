//! What a SQL server is and in which state: flavour, version, identity, and the settings that decide whether it can be
//! dumped from or loaded into. Reading only.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Access;
use crate::model::{Failure, FailureKind};
use crate::port::{SqlRows, SqlStatement};
use crate::systems::StepContext;

/// Whose server, or client program, it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Oracle's, or Percona's.
    Mysql,
    /// `MariaDB`.
    Mariadb,
}

impl Flavour {
    /// From a version text of a server or a client program.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.to_ascii_lowercase().contains("mariadb") { Self::Mariadb } else { Self::Mysql }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
        })
    }
}

/// Major, minor and patch number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// From the server's own text: `10.11.19-MariaDB-0+deb12u1-log`, `8.0.36`, and `5.5.5-10.6.2-MariaDB`, which old
    /// replication protocols made necessary.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.strip_prefix("5.5.5-").filter(|_| Flavour::of(text) == Flavour::Mariadb).unwrap_or(text);
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self(next(), next(), next())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.0, self.1, self.2))
    }
}

/// What tells one server from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `@@server_uuid`; `MariaDB` has none.
    pub uuid: Option<String>,
    /// Host name, port, data folder and server id, as the server says them.
    pub seat: String,
    /// When the server process began, in seconds of the server's own clock.
    pub started: i64,
}

/// Whether two looks saw one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// It is one.
    Same,
    /// They are two.
    Different,
    /// They look alike, and nothing tells.
    CannotTell,
}

impl Identity {
    fn of(variables: &BTreeMap<String, String>, started: i64) -> Self {
        let part = |name: &str| variables.get(name).map_or("", String::as_str);
        Self {
            uuid: variables.get("server_uuid").filter(|uuid| !uuid.is_empty()).cloned(),
            seat: format!("{}:{} {} id {}", part("hostname"), part("port"), part("datadir"), part("server_id")),
            started,
        }
    }

    /// True when `said`, the answer of a client program to [`WHO`], comes from this very server.
    #[must_use]
    pub fn answers(&self, said: &str) -> bool {
        let pairs = said.lines().filter_map(|line| line.split_once('\t'));
        let variables = pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let other = Self::of(&variables, self.started);
        (&other.uuid, &other.seat) == (&self.uuid, &self.seat)
    }

    /// Compares two looks at about the same time, or of a server that was not restarted in between.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Sameness {
        match (&self.uuid, &other.uuid) {
            (Some(a), Some(b)) if a == b => return Sameness::Same,
            (None, None) if self.seat == other.seat => {}
            _ => return Sameness::Different,
        }
        // Uptime is whole seconds, and so is the clock: one server shows a difference of one at most.
        if self.started.abs_diff(other.started) <= 2 { Sameness::Same } else { Sameness::CannotTell }
    }
}

/// A server as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of the server of its own")]
pub struct Server {
    /// Whose.
    pub flavour: Flavour,
    /// Its version.
    pub version: Version,
    /// Its version in its own words.
    pub version_text: String,
    /// Which one it is.
    pub identity: Identity,
    /// True when it refuses writes (`read_only` or `super_read_only`).
    pub read_only: bool,
    /// True when it runs scheduled events.
    pub events_run: bool,
    /// True when it writes a binary log.
    pub logs: bool,
    /// True when functions may be created without SUPER although it writes a binary log.
    pub trusts_functions: bool,
    /// `lower_case_table_names`.
    pub lower_case: u64,
    /// `max_allowed_packet`.
    pub max_packet: u64,
    /// Its data folder.
    pub data_folder: String,
    /// Its position in its own log: the executed GTID set, or the GTID position.
    pub position: Option<String>,
}

/// Asks a server which one it is.
pub const WHO: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('hostname', 'port', 'datadir', 'server_id', \
     'server_uuid')";

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'version_comment', 'read_only', \
     'super_read_only', 'hostname', 'port', 'datadir', 'server_id', 'server_uuid', 'lower_case_table_names', \
     'max_allowed_packet', 'event_scheduler', 'log_bin', 'log_bin_trust_function_creators', 'gtid_executed', \
     'gtid_binlog_pos')";

impl Server {
    /// The statements that [`Self::read`] wants the answers of.
    #[must_use]
    pub fn statements() -> Vec<SqlStatement> {
        vec![
            SqlStatement::new(VARIABLES),
            SqlStatement::new("SHOW GLOBAL STATUS WHERE Variable_name = 'Uptime'"),
            SqlStatement::new("SELECT UNIX_TIMESTAMP() AS now_is"),
        ]
    }

    /// Asks the server what it is.
    ///
    /// # Errors
    /// When it cannot be asked, or its answer makes no sense.
    pub async fn survey(cx: &StepContext, access: &Access) -> Result<Self, Failure> {
        let what = format!("ask the SQL server at {} what it is", access.endpoint);
        let answers = access.ask(cx, &what, &Self::statements()).await?;
        Self::read(&answers)
            .ok_or_else(|| Failure::new(FailureKind::Refused, what, "its answer has no version, uptime or time"))
    }

    /// Makes a server of its answers.
    #[must_use]
    pub fn read(answers: &[SqlRows]) -> Option<Self> {
        let variables = pairs(answers.first()?);
        let text = |name: &str| variables.get(name).cloned();
        let on = |name: &str| {
            text(name).is_some_and(|value| !["OFF", "0", "DISABLED"].contains(&value.to_ascii_uppercase().as_str()))
        };
        let number = |name: &str| text(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let version_text = text("version")?;
        let uptime: i64 = pairs(answers.get(1)?).get("uptime")?.parse().ok()?;
        let now = i64::try_from(answers.get(2)?.get(0, "now_is")?.number()?).ok()?;
        let flavour = Flavour::of(&format!("{version_text} {}", text("version_comment").unwrap_or_default()));
        let position = text(if flavour == Flavour::Mariadb { "gtid_binlog_pos" } else { "gtid_executed" });
        Some(Self {
            flavour,
            version: Version::of(&version_text),
            identity: Identity::of(&variables, now - uptime),
            read_only: on("read_only") || on("super_read_only"),
            events_run: on("event_scheduler"),
            logs: on("log_bin"),
            trusts_functions: on("log_bin_trust_function_creators"),
            lower_case: number("lower_case_table_names"),
            max_packet: number("max_allowed_packet"),
            data_folder: text("datadir").unwrap_or_default(),
            position: position.map(|text| text.replace('\n', "")).filter(|text| !text.is_empty()),
            version_text,
        })
    }

    /// For people: `MariaDB 10.11.19`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.flavour, self.version)
    }

    /// The statement that shows whether this server is a replica of another: the words changed over the versions.
    #[must_use]
    pub fn replication_statement(&self) -> SqlStatement {
        SqlStatement::new(match self.flavour {
            Flavour::Mariadb => "SHOW ALL SLAVES STATUS",
            Flavour::Mysql if self.version >= Version(8, 0, 22) => "SHOW REPLICA STATUS",
            Flavour::Mysql => "SHOW SLAVE STATUS",
        })
    }
}

/// `Variable_name` and `Value`, names in lower case.
fn pairs(rows: &SqlRows) -> BTreeMap<String, String> {
    (0..rows.rows.len())
        .filter_map(|row| {
            Some((rows.get(row, "Variable_name")?.text()?.to_lowercase(), rows.get(row, "Value")?.text()?))
        })
        .collect()
}

/// Whom this server replicates from, one line per channel; empty when from nobody.
#[must_use]
pub fn replicates_from(status: &SqlRows) -> Vec<String> {
    (0..status.rows.len())
        .map(|row| {
            let get = |names: [&str; 2]| {
                names.iter().find_map(|name| status.get(row, name)).and_then(crate::port::SqlValue::text)
            };
            let said = |names: [&str; 2]| get(names).unwrap_or_else(|| "?".to_owned());
            format!(
                "{}:{} (receiver {}, applier {})",
                said(["Source_Host", "Master_Host"]),
                said(["Source_Port", "Master_Port"]),
                said(["Replica_IO_Running", "Slave_IO_Running"]),
                said(["Replica_SQL_Running", "Slave_SQL_Running"]),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::fake::rows;

    fn answers(variables: &[&[&str]], uptime: &str, now: &str) -> Vec<SqlRows> {
        vec![
            rows(&["Variable_name", "Value"], variables),
            rows(&["Variable_name", "Value"], &[&["Uptime", uptime]]),
            rows(&["now_is"], &[&[now]]),
        ]
    }

    #[test]
    fn versions_are_read_from_what_servers_say() {
        for (text, flavour, version) in [
            ("10.11.19-MariaDB-0+deb12u1-log", Flavour::Mariadb, Version(10, 11, 19)),
            ("5.5.5-10.6.2-MariaDB-1:10.6.2+maria~focal", Flavour::Mariadb, Version(10, 6, 2)),
            ("8.0.15", Flavour::Mysql, Version(8, 0, 15)),
            ("5.7.22-log", Flavour::Mysql, Version(5, 7, 22)),
            ("9.7.4-2", Flavour::Mysql, Version(9, 7, 4)),
        ] {
            assert_eq!((Flavour::of(text), Version::of(text)), (flavour, version), "{text}");
        }
    }

    #[test]
    fn a_server_is_read_in_both_vocabularies() {
        let maria = Server::read(&answers(
            &[
                &["version", "10.11.19-MariaDB"],
                &["read_only", "OFF"],
                &["hostname", "db1"],
                &["port", "3306"],
                &["datadir", "/var/lib/mysql/"],
                &["server_id", "1"],
                &["gtid_binlog_pos", "1-1-22"],
                &["event_scheduler", "DISABLED"],
                &["max_allowed_packet", "16777216"],
            ],
            "254",
            "1000",
        ))
        .expect("a server");
        assert_eq!((maria.flavour, maria.read_only, maria.events_run), (Flavour::Mariadb, false, false));
        assert_eq!(maria.identity.started, 746);
        assert_eq!(maria.position.as_deref(), Some("1-1-22"));
        assert_eq!(maria.replication_statement().text, "SHOW ALL SLAVES STATUS");
        let mysql = Server::read(&answers(
            &[&["version", "8.0.36"], &["super_read_only", "ON"], &["server_uuid", "u1"], &["event_scheduler", "ON"]],
            "1",
            "2",
        ))
        .expect("a server");
        assert!(mysql.read_only && mysql.events_run);
        assert_eq!(mysql.replication_statement().text, "SHOW REPLICA STATUS");
        assert!(Server::read(&[]).is_none());
    }

    #[test]
    fn one_server_is_recognised_and_two_are_told_apart() {
        let maria = |seat: &str, started| Identity { uuid: None, seat: seat.to_owned(), started };
        let mysql = |uuid: &str| Identity { uuid: Some(uuid.to_owned()), seat: "s".to_owned(), started: 0 };
        for (a, b, sameness) in [
            (mysql("u1"), mysql("u1"), Sameness::Same),
            (mysql("u1"), mysql("u2"), Sameness::Different),
            (mysql("u1"), maria("s", 0), Sameness::Different),
            (maria("db1", 100), maria("db1", 101), Sameness::Same),
            (maria("db1", 100), maria("db2", 100), Sameness::Different),
            (maria("db1", 100), maria("db1", 200), Sameness::CannotTell),
        ] {
            assert_eq!(a.compare(&b), sameness, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_client_program_s_answer_is_compared() {
        let own = Identity { uuid: None, seat: "db1:3306 /d/ id 1".to_owned(), started: 5 };
        assert!(own.answers("datadir\t/d/\nhostname\tdb1\nport\t3306\nserver_id\t1\n"));
        assert!(!own.answers("datadir\t/d/\nhostname\tdb2\nport\t3306\nserver_id\t1\n"));
        assert!(!own.answers(""));
    }

    #[test]
    fn replication_is_read_by_name_in_old_and_new_words() {
        let old = rows(
            &["Slave_SQL_Running", "Master_Host", "Master_Port", "Slave_IO_Running"],
            &[&["Yes", "10.0.1.11", "3306", "Connecting"]],
        );
        assert_eq!(replicates_from(&old), ["10.0.1.11:3306 (receiver Connecting, applier Yes)"]);
        let new = rows(
            &["Source_Host", "Source_Port", "Replica_IO_Running", "Replica_SQL_Running"],
            &[&["db1", "3306", "No", "No"]],
        );
        assert_eq!(replicates_from(&new), ["db1:3306 (receiver No, applier No)"]);
        assert!(replicates_from(&rows(&["Master_Host"], &[])).is_empty());
    }
}
