//! The questions that steps ask a server, known by their text, and the answers of `MariaDB` 10.11. A question that is
//! not known here is no statement of this server: a step that begins to ask it must teach it here first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::globals::Flavour;
use super::schema::{Code, Kind};
use super::server::{ACCOUNTS, Server};
use super::session::SqlRefusal;
use super::value::Cursor;
use crate::model::SiteName;
use crate::port::{SqlRows, SqlValue};
use crate::world::State;

/// What it calls itself.
pub const VERSION: &str = "10.11.19-MariaDB-0+deb12u1-log";
/// The collation of everything.
pub const COLLATION: &str = "utf8mb4_general_ci";
/// How long it had been running when the world began.
const UPTIME: Duration = Duration::from_hours(24 * 9);
/// The bytes of a small table.
const PAGE: usize = 16384;
/// How long a question takes.
const LOOK: Duration = Duration::from_millis(2);
/// How long counting one row takes: worlds are small, so rows are slow.
const COUNT: Duration = Duration::from_micros(200);

type Answer = Result<(SqlRows, Duration), SqlRefusal>;

/// The answer to a question; nothing when the statement is no question.
pub fn answer(state: &mut State, site: &SiteName, text: &str, values: &[SqlValue]) -> Option<Answer> {
    let (now, wall) = (state.now, state.wall_time().as_second());
    let server = &mut state.sites.get_mut(site)?.sql;
    let started = *server.started.get_or_insert(now);
    let names: Vec<String> = values.iter().filter_map(SqlValue::text).collect();
    let text = normal(text);
    if let Some(table) = text.strip_prefix("SELECT COUNT(*) AS number_of FROM `") {
        return Some(count(server, &format!("`{table}")));
    }
    if let Some(wanted) = text.strip_prefix("SHOW GLOBAL VARIABLES WHERE Variable_name IN (") {
        let rows = server.globals().into_iter().filter(|(name, _)| wanted.contains(&format!("'{name}'")));
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value.shown()]);
        return Some(Ok(done(table(&["Variable_name", "Value"], rows))));
    }
    if let Some(read) = server.read_globals(&text) {
        let one = |(names, values): (Vec<String>, Vec<String>)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            done(table(&names, std::iter::once(values)))
        };
        return Some(read.map(one));
    }
    let defined = |kind: fn(&super::schema::Schema) -> Vec<&str>| {
        let mut rows = Vec::new();
        for (name, schema) in server.schemas.iter().filter(|(name, _)| names.contains(name)) {
            let mut by: BTreeMap<&str, u64> = BTreeMap::new();
            for definer in kind(schema) {
                *by.entry(definer).or_default() += 1;
            }
            rows.extend(by.into_iter().map(|(who, number)| vec![name.clone(), who.to_owned(), number.to_string()]));
        }
        table(&["db", "defined_by", "number_of"], rows.into_iter())
    };
    let shown = || server.schemas.iter().filter(|(name, _)| names.contains(name));
    let rows = match text.as_str() {
        "SHOW GLOBAL STATUS WHERE Variable_name = 'Uptime'" => {
            let before = if started.is_zero() { UPTIME } else { Duration::ZERO };
            let uptime = (now.saturating_sub(started) + before).as_secs();
            table(&["Variable_name", "Value"], std::iter::once(vec!["Uptime".to_owned(), uptime.to_string()]))
        }
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Threads_running')" => {
            // The application keeps a few; whoever asks is one more.
            let rows = [("Threads_connected", 6 + u64::from(server.locked)), ("Threads_running", 1)];
            table(
                &["Variable_name", "Value"],
                rows.into_iter().map(|(name, value)| vec![name.to_owned(), value.to_string()]),
            )
        }
        SIZES => {
            let rows = shown().filter(|(_, schema)| !schema.tables.is_empty()).map(|(name, schema)| {
                let lines: usize = schema.tables.values().map(|table| table.rows.len()).sum();
                vec![name.clone(), (PAGE * schema.tables.len()).to_string(), lines.to_string()]
            });
            table(&["db", "bytes_of", "rows_of"], rows)
        }
        "SELECT UNIX_TIMESTAMP() AS now_is" => one("now_is", wall.to_string()),
        "SHOW GRANTS" => one(
            "Grants for changeover@%",
            "GRANT ALL PRIVILEGES ON *.* TO `changeover`@`%` IDENTIFIED BY PASSWORD '*0000'".to_owned(),
        ),
        // Nothing here is a replica.
        "SHOW ALL SLAVES STATUS" | "SHOW ALL REPLICAS STATUS" if server.flavour == Flavour::MariaDb => {
            SqlRows::default()
        }
        "SHOW REPLICA STATUS" | "SHOW SLAVE STATUS" => SqlRows::default(),
        SCHEMATA => table(&["db", "collation_used"], shown().map(|(name, _)| vec![name.clone(), COLLATION.to_owned()])),
        TABLES => tables(server, &names),
        COLLATIONS_USED => {
            let texts = |schema: &super::schema::Schema| {
                schema.tables.values().flat_map(|table| &table.columns).any(|column| column.kind == Kind::Text)
            };
            let any = shown().any(|(_, schema)| texts(schema));
            table(&["collation_used"], any.then(|| vec![COLLATION.to_owned()]).into_iter())
        }
        VIEWS => defined(|schema| schema.views.values().map(|view| view.definer.as_str()).collect()),
        ROUTINES => defined(|schema| definers(&schema.routines)),
        TRIGGERS => defined(|schema| definers(&schema.triggers)),
        EVENTS => defined(|schema| definers(&schema.events)),
        GENERATED => {
            let columns = shown().flat_map(|(_, schema)| schema.tables.values()).flat_map(|table| &table.columns);
            one("number_of", columns.filter(|column| column.generated.is_some()).count().to_string())
        }
        "SELECT collation_name AS name_of FROM information_schema.collations"
        | "SELECT full_collation_name AS name_of FROM information_schema.collation_character_set_applicability" => {
            column("name_of", &["latin1_swedish_ci", "utf8mb3_general_ci", COLLATION, "utf8mb4_bin", "binary"])
        }
        "SELECT engine AS name_of FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')" => {
            column("name_of", &["CSV", "MRG_MyISAM", "MEMORY", "Aria", "MyISAM", "SEQUENCE", "InnoDB"])
        }
        "SELECT user AS account_user, host AS account_host FROM mysql.user" => {
            let rows = ACCOUNTS.iter().map(|(user, host)| vec![(*user).to_owned(), (*host).to_owned()]);
            table(&["account_user", "account_host"], rows)
        }
        PROCESSES => {
            let holds = server.locked && shown().next().is_some();
            let rows = holds.then(|| vec!["shop".to_owned(), "1".to_owned()]);
            table(&["who", "number_of"], rows.into_iter())
        }
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ" | "START TRANSACTION WITH CONSISTENT SNAPSHOT" => {
            SqlRows::default()
        }
        _ => return None,
    };
    Some(Ok(done(rows)))
}

const SCHEMATA: &str = "SELECT schema_name AS db, default_collation_name AS collation_used FROM \
     information_schema.schemata WHERE schema_name IN (?)";
const TABLES: &str = "SELECT table_schema AS db, table_name AS item, table_type AS kind, engine AS engine_used, \
     table_rows AS estimate, data_length AS data_bytes, index_length AS index_bytes, table_collation AS \
     collation_used FROM information_schema.tables WHERE table_schema IN (?)";
const SIZES: &str = "SELECT table_schema AS db, SUM(data_length + index_length) AS bytes_of, SUM(table_rows) AS rows_of \
     FROM information_schema.tables WHERE table_schema IN (?) GROUP BY table_schema";
const COLLATIONS_USED: &str = "SELECT DISTINCT collation_name AS collation_used FROM information_schema.columns \
     WHERE table_schema IN (?) AND collation_name IS NOT NULL";
const VIEWS: &str = "SELECT table_schema AS db, definer AS defined_by, COUNT(*) AS number_of FROM \
     information_schema.views WHERE table_schema IN (?) GROUP BY table_schema, definer";
const ROUTINES: &str = "SELECT routine_schema AS db, definer AS defined_by, COUNT(*) AS number_of FROM \
     information_schema.routines WHERE routine_schema IN (?) GROUP BY routine_schema, definer";
const TRIGGERS: &str = "SELECT trigger_schema AS db, definer AS defined_by, COUNT(*) AS number_of FROM \
     information_schema.triggers WHERE trigger_schema IN (?) GROUP BY trigger_schema, definer";
const EVENTS: &str = "SELECT event_schema AS db, definer AS defined_by, COUNT(*) AS number_of FROM \
     information_schema.events WHERE event_schema IN (?) GROUP BY event_schema, definer";
const GENERATED: &str = "SELECT COUNT(*) AS number_of FROM information_schema.columns WHERE table_schema IN (?) \
     AND (extra LIKE '%STORED GENERATED%' OR extra LIKE '%VIRTUAL GENERATED%')";
const PROCESSES: &str = "SELECT user AS who, COUNT(*) AS number_of FROM information_schema.processlist WHERE db IN (?) \
     AND id <> CONNECTION_ID() GROUP BY user";

/// The text with one space for each gap, and one mark for each list of marks.
fn normal(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while text.contains("?, ?") {
        text = text.replace("?, ?", "?");
    }
    text
}

fn done(rows: SqlRows) -> (SqlRows, Duration) {
    (rows, LOOK)
}

/// Rows of text; `NULL` stands for itself.
fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> SqlRows {
    let value = |text: String| if text == "NULL" { SqlValue::Null } else { SqlValue::Bytes(text.into_bytes()) };
    SqlRows {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rows: rows.map(|row| row.into_iter().map(value).collect()).collect(),
        affected: 0,
    }
}

fn one(name: &str, value: String) -> SqlRows {
    table(&[name], std::iter::once(vec![value]))
}

fn column(name: &str, values: &[&str]) -> SqlRows {
    table(&[name], values.iter().map(|value| vec![(*value).to_owned()]))
}

fn definers(code: &BTreeMap<String, Code>) -> Vec<&str> {
    code.values().map(|code| code.definer.as_str()).collect()
}

fn tables(server: &Server, names: &[String]) -> SqlRows {
    let page = PAGE.to_string();
    let mut rows = Vec::new();
    for (db, schema) in server.schemas.iter().filter(|(name, _)| names.contains(name)) {
        let text = |parts: [&str; 8]| parts.map(str::to_owned).to_vec();
        for (name, table) in &schema.tables {
            let estimate = table.rows.len().to_string();
            rows.push(text([db, name, "BASE TABLE", "InnoDB", &estimate, &page, "0", COLLATION]));
        }
        let views: BTreeSet<&String> = schema.views.keys().collect();
        for name in views {
            rows.push(text([db, name, "VIEW", "NULL", "NULL", "NULL", "NULL", "NULL"]));
        }
    }
    let columns = ["db", "item", "kind", "engine_used", "estimate", "data_bytes", "index_bytes", "collation_used"];
    table(&columns, rows.into_iter())
}

fn count(server: &Server, named: &str) -> Answer {
    let mut cursor = Cursor::new(named);
    let read = || -> Option<(String, String)> {
        let db = cursor.name()?;
        cursor.sign('.')?;
        Some((db, cursor.name()?))
    };
    let mut read = read;
    let Some((db, name)) = read() else { return Err(SqlRefusal::syntax(named, named)) };
    let table = server.schema(&db).and_then(|schema| schema.tables.get(&name));
    let Some(table) = table else {
        return Err(SqlRefusal::new(1146, format!("Table '{db}.{name}' doesn't exist")));
    };
    let rows = table.rows.len();
    let took = LOOK + COUNT * u32::try_from(rows).unwrap_or(u32::MAX);
    Ok((one("number_of", rows.to_string()), took))
}
