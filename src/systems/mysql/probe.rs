//! The lights of a SQL server: up, writable, replication, connections, size. Asked with the client that the steps use.

use std::time::Duration;

use async_trait::async_trait;

use super::access::Access;
use super::replication::{Channel, shortened};
use super::server::Server;
use crate::model::{ByteSize, Counted, End, Failure, FailureKind, SafeText, Span};
use crate::port::{Place, SqlRows, SqlStatement, SqlValue};
use crate::systems::probe::{behind, lost_way};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// How long it may take to learn which host leads, and then how long the server may take; the rest of the deadline is for
/// finding out whether the host before it is there.
const ANSWER: Duration = Duration::from_secs(4);
/// A replica that is further behind is worth a look.
const BEHIND: u64 = 300;
/// More connections than so many percent of what the server takes are worth a look.
const CROWDED: u64 = 90;

const LOAD: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Threads_running')";
const LIMITS: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections')";

/// The questions a SQL service is asked.
pub(super) fn probes() -> Vec<ProbeEntry> {
    vec![ProbeEntry::new("server", Up).within(11), ProbeEntry::new("size", Size).every(300).within(15).dear()]
}

/// Finds the server.
async fn open(cx: &StepContext) -> Result<Access, Failure> {
    // Who leads is another service's word: without it nothing is known of this one.
    let opened = tokio::time::timeout(ANSWER, Access::open(cx, cx.site()?)).await;
    opened.unwrap_or_else(|_| Err(silence("find the SQL server"))).map_err(lost_way)
}

/// Nothing came in time.
fn silence(tried: &str) -> Failure {
    Failure::new(FailureKind::Unreachable, tried, format!("no answer within {}", Span(ANSWER)))
}

/// Waits for an answer; silence behind a host that is silent itself says nothing of the server.
async fn within<T>(
    cx: &StepContext,
    access: &Access,
    what: &str,
    asked: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let failure = match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(answers)) => return Ok(answers),
        Ok(Err(failure)) => failure,
        Err(_) => silence(&format!("{what} ({})", access.describe())),
    };
    match &access.endpoint.through {
        Some((site, host)) => Err(behind(cx, &Place::Host(site.clone(), host.clone()), failure).await),
        None => Err(failure),
    }
}

/// Up, writable, replication, connections.
#[derive(Debug)]
struct Up;

#[async_trait]
impl Probe for Up {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let what = "ask the SQL server how it is";
        let mut statements = Server::statements();
        let own = statements.len();
        statements.extend([SqlStatement::new(LOAD), SqlStatement::new(LIMITS)]);
        let access = open(cx).await?;
        let answers = within(cx, &access, what, access.ask(cx, what, &statements)).await?;
        let server = Server::read(&answers)
            .ok_or_else(|| Failure::new(FailureKind::Refused, what, "its answer has no version, uptime or time"))?;
        let said = access.ask_if_allowed(cx, "ask whom it replicates from", server.replication_statement());
        let channels = within(cx, &access, what, said).await?;
        let (load, limits) = (answers.get(own), answers.get(own + 1));
        Ok(judge(
            cx.end,
            &access.describe(),
            &server,
            number(load, "Threads_connected"),
            number(limits, "max_connections"),
            &channels,
        ))
    }
}

fn number(rows: Option<&SqlRows>, name: &str) -> Option<u64> {
    let rows = rows?;
    let is = |row: &usize| {
        let text = rows.get(*row, "Variable_name").and_then(SqlValue::text);
        text.is_some_and(|text| text.eq_ignore_ascii_case(name))
    };
    rows.get((0..rows.rows.len()).find(is)?, "Value")?.number()
}

/// What the answers say together. `channels` is the refusal when the account may not see replication.
fn judge(
    end: Option<End>,
    source: &str,
    server: &Server,
    connected: Option<u64>,
    most: Option<u64>,
    channels: &Result<SqlRows, String>,
) -> Reading {
    let mut reading = Reading::up(source);
    let mut words = vec![server.name(), if server.read_only { "read-only" } else { "writable" }.to_owned()];
    if server.read_only && end == Some(End::Source) {
        reading.find(Condition::Down, "the server of the active site is read-only: the application cannot write");
    }
    if let Some(connected) = connected {
        words.push(Counted(connected, "connection", "connections").to_string());
        reading = reading.figure(Figure::whole("connections", connected, Unit::Count));
        if let Some(most) = most
            && connected * 100 >= most * CROWDED
        {
            reading.find(Condition::Degraded, format!("{connected} of at most {most} connections are in use"));
        }
    }
    match channels {
        Ok(status) => {
            let channels = Channel::all(status);
            if !server.read_only && channels.iter().any(Channel::runs) {
                let what = "this replica is writable: what is written here is lost, or breaks replication";
                reading.find(Condition::Degraded, what);
            }
            words.extend(position(server, &channels));
            for channel in channels {
                words.push(replica(&channel, &mut reading));
                if let Some(behind) = channel.behind {
                    reading = reading.figure(Figure::whole("behind", behind, Unit::Seconds));
                }
            }
        }
        Err(refusal) => {
            words.extend(position(server, &[]));
            words.push(format!("replication is not shown to this account ({})", SafeText::line(refusal)));
        }
    }
    reading.summed_up(words.join(", "))
}

/// How far the server is, in GTIDs. What a replica applies counts: some write it into no log of their own.
fn position(server: &Server, channels: &[Channel]) -> Option<String> {
    let applied = channels.iter().find_map(|channel| channel.applied.as_deref());
    applied.or(server.position.as_deref()).map(|gtids| format!("GTIDs {}", shortened(gtids)))
}

/// A channel in words; what is wrong with it is found.
fn replica(channel: &Channel, reading: &mut Reading) -> String {
    let source = &channel.source;
    if !channel.runs() {
        let why = channel.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
        reading.find(
            Condition::Degraded,
            format!(
                "replication from {source} stands (receiver {}, applier {}){why}",
                channel.receiver, channel.applier
            ),
        );
        return format!("replica of {source}, stopped");
    }
    match channel.behind {
        None => {
            reading.find(Condition::Degraded, format!("how far behind {source} it is, the server does not know"));
            format!("replica of {source}")
        }
        Some(seconds) => {
            let behind = Span::seconds(seconds);
            if seconds > BEHIND {
                reading.find(Condition::Degraded, format!("{behind} behind {source}"));
            }
            format!("replica of {source}, {behind} behind")
        }
    }
}

/// Bytes and rows of the databases that are copied, as the server estimates them.
#[derive(Debug)]
struct Size;

#[async_trait]
impl Probe for Size {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let access = open(cx).await?;
        let databases = access.databases();
        let marks = vec!["?"; databases.len()].join(", ");
        let text = format!(
            "SELECT table_schema AS db, SUM(data_length + index_length) AS bytes_of, SUM(table_rows) AS rows_of FROM \
             information_schema.tables WHERE table_schema IN ({marks}) GROUP BY table_schema"
        );
        let statement = databases.iter().fold(SqlStatement::new(text), |statement, name| statement.bind(*name));
        let what = "ask the SQL server how large the databases are";
        let answers = within(cx, &access, what, access.ask(cx, what, &[statement])).await?;
        let rows = answers.first().cloned().unwrap_or_default();
        let sum = |name: &str| (0..rows.rows.len()).filter_map(|row| whole(rows.get(row, name)?)).sum::<u64>();
        let (bytes, lines) = (sum("bytes_of"), sum("rows_of"));
        let mut reading = Reading::up(access.describe());
        for database in access.databases() {
            let there = (0..rows.rows.len())
                .any(|row| rows.get(row, "db").and_then(SqlValue::text).as_deref() == Some(database));
            // An empty standby is what the first restore finds.
            if !there && cx.end == Some(End::Source) {
                reading.find(Condition::Degraded, format!("database {database} is not there, or has no table"));
            }
        }
        Ok(reading
            .figure(Figure::whole("bytes", bytes, Unit::Bytes))
            .figure(Figure::whole("rows", lines, Unit::Count))
            .summed_up(format!("{}, about {}", ByteSize(bytes), Counted(lines, "row", "rows"))))
    }
}

/// A sum is a decimal, which some servers send with a fraction.
fn whole(value: &SqlValue) -> Option<u64> {
    value.number().or_else(|| value.text()?.split('.').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::fake::rows;

    fn server(read_only: &str) -> Server {
        let pairs = |pairs: &[&[&str]]| rows(&["Variable_name", "Value"], pairs);
        let variables = pairs(&[&["version", "10.11.19-MariaDB"], &["read_only", read_only], &["hostname", "db1"]]);
        Server::read(&[variables, pairs(&[&["Uptime", "10"]]), rows(&["now_is"], &[&["100"]])]).expect("a server")
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer may be a refusal")]
    fn replica(receiver: &str, behind: &str) -> Result<SqlRows, String> {
        Ok(rows(
            &["Master_Host", "Master_Port", "Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master"],
            &[&["db0", "3306", receiver, "Yes", behind]],
        ))
    }

    #[test]
    fn what_the_answers_of_a_server_mean() {
        let none = || Ok(rows(&["Master_Host"], &[]));
        let (source, target) = (Some(End::Source), Some(End::Target));
        for (end, read_only, connected, channels, condition, said) in [
            (source, "OFF", 5, none(), Condition::Up, ""),
            (target, "ON", 5, none(), Condition::Up, ""),
            (source, "ON", 5, none(), Condition::Down, "cannot write"),
            (source, "OFF", 95, none(), Condition::Degraded, "95 of at most 100 connections"),
            (target, "ON", 5, replica("Yes", "3"), Condition::Up, ""),
            (target, "ON", 5, replica("Yes", "900"), Condition::Degraded, "15m behind db0:3306"),
            (target, "ON", 5, replica("Yes", "NULL"), Condition::Degraded, "does not know"),
            (target, "ON", 5, replica("Connecting", "NULL"), Condition::Degraded, "receiver Connecting"),
            (target, "OFF", 5, replica("Yes", "3"), Condition::Degraded, "this replica is writable"),
            (source, "OFF", 5, replica("Yes", "3"), Condition::Degraded, "this replica is writable"),
            (target, "OFF", 5, none(), Condition::Up, ""),
            (target, "OFF", 5, Err("access denied".to_owned()), Condition::Up, ""),
        ] {
            let reading = judge(end, "db", &server(read_only), Some(connected), Some(100), &channels);
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert_eq!(reading.condition, condition, "{end:?} {read_only} {connected} {channels:?}: {found}");
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found} does not say {said}");
        }
    }

    #[test]
    fn one_connection_is_one() {
        for (connected, said) in [(1, ", 1 connection"), (0, ", 0 connections"), (2, ", 2 connections")] {
            let channels = Ok(rows(&["Master_Host"], &[]));
            let summary = judge(Some(End::Source), "db", &server("OFF"), Some(connected), Some(100), &channels).summary;
            assert!(summary.as_str().ends_with(said), "{summary}");
        }
    }

    #[test]
    fn how_far_a_server_is_shows_in_the_summary() {
        let at = |position: &str| Server { position: Some(position.to_owned()), ..server("ON") };
        let alone = || Ok(rows(&["Master_Host"], &[]));
        let follows = Ok(rows(&["Master_Host", "Gtid_Slave_Pos"], &[&["db0", "0-1-9"]]));
        for (server, channels, said) in [
            (at("0-1-22"), alone(), ", GTIDs 0-1-22"),
            (at("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"), alone(), ", GTIDs 3e11fa47…:1-5"),
            (at("0-1-22"), Err("no".to_owned()), ", GTIDs 0-1-22, replication"),
            (at("0-1-22"), follows, ", GTIDs 0-1-9, replica of db0:?"),
        ] {
            let summary = judge(Some(End::Target), "db", &server, None, None, &channels).summary;
            assert!(summary.as_str().contains(said), "{summary} does not say {said}");
        }
    }

    #[test]
    fn unknown_is_not_zero() {
        let reading = judge(Some(End::Source), "db", &server("OFF"), None, None, &Err("no".to_owned()));
        assert!(reading.figures.is_empty(), "{:?}", reading.figures);
        assert_eq!(
            number(Some(&rows(&["Variable_name", "Value"], &[&["threads_connected", "4"]])), "Threads_connected"),
            Some(4)
        );
        assert_eq!(whole(&SqlValue::from("12.0000")), Some(12));
        assert_eq!(whole(&SqlValue::Null), None);
    }
}
