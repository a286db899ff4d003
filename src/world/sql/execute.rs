//! The statements of a dump, and those around its loading, carried out.

use std::sync::Arc;
use std::time::Duration;

use super::schema::{Code, Schema, Table, View};
use super::server::Server;
use super::session::{Ran, Session, SqlRefusal};
use super::value::Cursor;
use crate::model::SiteName;
use crate::port::SqlRows;
use crate::world::{State, Store};

/// How long a statement takes that only concerns the session.
const TRIFLE: Duration = Duration::from_micros(300);
/// How long it takes to make or remove something.
const DEFINE: Duration = Duration::from_millis(15);
/// How long writing a row takes: worlds are small, so rows are slow.
const ROW: Duration = Duration::from_millis(10);

/// What a statement did: how long it took, and what is to be said of it, if data changed.
struct Did(Duration, Option<String>);

/// Why a statement did nothing.
enum No {
    /// It is not understood from here on.
    Syntax,
    Refused(SqlRefusal),
    /// A session holds what it wants to remove.
    Held,
}

impl From<SqlRefusal> for No {
    fn from(refusal: SqlRefusal) -> Self {
        Self::Refused(refusal)
    }
}

fn refused(code: u16, words: impl Into<String>) -> No {
    No::Refused(SqlRefusal::new(code, words))
}

/// Carries a statement out.
///
/// # Errors
/// The refusal; number 1064 for what this server does not know.
pub fn execute(session: &mut Session, state: &mut State, site: &SiteName, text: &str) -> Result<Ran, SqlRefusal> {
    let plain = if text.starts_with("INSERT") { text.to_owned() } else { uncommented(text) };
    let mut cursor = Cursor::new(&plain);
    let Some(here) = state.sites.get_mut(site) else { return Err(SqlRefusal::new(2006, "Server has gone away")) };
    if ["INSERT", "CREATE", "DROP", "ALTER", "LOCK"].iter().any(|verb| plain.starts_with(verb)) {
        here.sql.may_change()?;
    }
    let done = statement(session, &mut here.sql, &mut cursor);
    match done {
        Ok(Did(took, what)) => {
            if let Some(what) = what {
                state.changed(site, Store::Sql, what);
            }
            Ok(Ran::Done(SqlRows::default(), took))
        }
        Err(No::Refused(refusal)) => Err(refusal),
        Err(No::Syntax) => Err(SqlRefusal::syntax(&plain, cursor.rest())),
        Err(No::Held) => Ok(Ran::Waits),
    }
}

/// The statement without the marks of comments that only servers of some versions read: this one reads them all.
fn uncommented(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quote = None;
    while let Some(c) = rest.chars().next() {
        let mark = rest.strip_prefix("/*!").or_else(|| rest.strip_prefix("/*M!")).filter(|_| quote.is_none());
        if let Some(inside) = mark {
            rest = inside.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        if quote.is_none() && rest.starts_with("*/") {
            rest = &rest[2..];
            continue;
        }
        match quote {
            Some(open) if open == c => quote = None,
            None if "'\"`".contains(c) => quote = Some(c),
            _ => {}
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out.trim().to_owned()
}

fn statement(session: &mut Session, server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let did = if cursor.words("INSERT INTO").is_some() {
        insert(session, server, cursor)?
    } else if cursor.words("SET GLOBAL").is_some() {
        let name = cursor.word().ok_or(No::Syntax)?.to_ascii_lowercase();
        cursor.sign('=').ok_or(No::Syntax)?;
        let value = match cursor.number() {
            Some(number) => number.to_string(),
            None => cursor.word().ok_or(No::Syntax)?.to_owned(),
        };
        server.set_global(&name, &value)?;
        Did(TRIFLE, None)
    } else if cursor.words("SET").is_some() {
        set(session, cursor)?;
        Did(TRIFLE, None)
    } else if cursor.words("USE").is_some() {
        let name = cursor.name().ok_or(No::Syntax)?;
        if server.schema(&name).is_none() {
            return Err(refused(1049, format!("Unknown database '{name}'")));
        }
        session.database = Some(name);
        Did(TRIFLE, None)
    } else if cursor.words("CREATE DATABASE").is_some() {
        create_database(server, cursor)?
    } else if cursor.words("DROP DATABASE").is_some() {
        drop_database(session, server, cursor)?
    } else if cursor.words("LOCK TABLES").is_some() {
        let name = cursor.name().ok_or(No::Syntax)?;
        cursor.words("WRITE").ok_or(No::Syntax)?;
        table(session, server, &name)?;
        Did(TRIFLE, None)
    } else if cursor.words("UNLOCK TABLES").is_some() {
        Did(TRIFLE, None)
    } else if cursor.words("ALTER TABLE").is_some() {
        let name = cursor.name().ok_or(No::Syntax)?;
        cursor.words("DISABLE KEYS").or_else(|| cursor.words("ENABLE KEYS")).ok_or(No::Syntax)?;
        table(session, server, &name)?;
        Did(TRIFLE, None)
    } else if cursor.words("DROP").is_some() {
        drop_object(session, server, cursor)?
    } else if cursor.words("CREATE TABLE").is_some() {
        create_table(session, server, cursor)?
    } else if cursor.words("CREATE").is_some() {
        create_object(session, server, cursor)?
    } else {
        return Err(No::Syntax);
    };
    if cursor.is_done() { Ok(did) } else { Err(No::Syntax) }
}

/// The settings of the server that a dump sets or puts back.
const SETTINGS: [&str; 9] = [
    "character_set_client",
    "character_set_results",
    "collation_connection",
    "foreign_key_checks",
    "lock_wait_timeout",
    "sql_mode",
    "sql_notes",
    "time_zone",
    "unique_checks",
];

fn set(session: &mut Session, cursor: &mut Cursor<'_>) -> Result<(), No> {
    if cursor.words("NAMES").is_some() {
        return cursor.word().map(drop).ok_or(No::Syntax);
    }
    let _ = cursor.words("SESSION");
    loop {
        let own = cursor.sign('@').is_some();
        let name = cursor.word().ok_or(No::Syntax)?.to_ascii_lowercase();
        if !own && !SETTINGS.contains(&name.as_str()) {
            return Err(refused(1193, format!("Unknown system variable '{name}'")));
        }
        cursor.sign('=').ok_or(No::Syntax)?;
        while cursor.sign('@').is_some() {}
        if cursor.rest().starts_with('\'') {
            cursor.text().ok_or(No::Syntax)?;
        } else if let Some(number) = cursor.number() {
            if name == "lock_wait_timeout" {
                session.lock_wait = Duration::from_secs(number.unsigned_abs());
            }
        } else {
            cursor.word().ok_or(No::Syntax)?;
        }
        if cursor.sign(',').is_none() {
            return Ok(());
        }
    }
}

fn create_database(server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let lenient = cursor.words("IF NOT EXISTS").is_some();
    let name = cursor.name().ok_or(No::Syntax)?;
    cursor.words("DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci").ok_or(No::Syntax)?;
    if server.schema(&name).is_some() {
        let there = refused(1007, format!("Can't create database '{name}'; database exists"));
        return if lenient { Ok(Did(TRIFLE, None)) } else { Err(there) };
    }
    server.changes += 1;
    server.schemas.insert(name.clone(), Arc::default());
    Ok(Did(DEFINE, Some(format!("create database {name}"))))
}

fn drop_database(session: &mut Session, server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let lenient = cursor.words("IF EXISTS").is_some();
    let name = cursor.name().ok_or(No::Syntax)?;
    let Some(schema) = server.schema(&name) else {
        let absent = refused(1008, format!("Can't drop database '{name}'; database doesn't exist"));
        return if lenient { Ok(Did(TRIFLE, None)) } else { Err(absent) };
    };
    let tables = u32::try_from(schema.tables.len()).unwrap_or(u32::MAX);
    if server.locked && tables > 0 {
        return Err(No::Held);
    }
    server.changes += 1;
    server.schemas.remove(&name);
    if session.database.as_ref() == Some(&name) {
        session.database = None;
    }
    Ok(Did(DEFINE * (tables + 1), Some(format!("drop database {name}"))))
}

/// The database in use, to change.
fn in_use<'a>(session: &Session, server: &'a mut Server) -> Result<(String, &'a mut Schema), No> {
    let name = session.database.clone().ok_or_else(|| refused(1046, "No database selected"))?;
    match server.schema_mut(&name) {
        Some(schema) => Ok((name, schema)),
        None => Err(refused(1049, format!("Unknown database '{name}'"))),
    }
}

fn table<'a>(session: &Session, server: &'a mut Server, name: &str) -> Result<(String, &'a mut Table), No> {
    let (db, schema) = in_use(session, server)?;
    match schema.tables.get_mut(name) {
        Some(table) => Ok((db, table)),
        None => Err(refused(1146, format!("Table '{db}.{name}' doesn't exist"))),
    }
}

fn insert(session: &Session, server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let name = cursor.name().ok_or(No::Syntax)?;
    cursor.words("VALUES").ok_or(No::Syntax)?;
    let mut rows = vec![cursor.row().ok_or(No::Syntax)?];
    while cursor.sign(',').is_some() {
        rows.push(cursor.row().ok_or(No::Syntax)?);
    }
    if !cursor.is_done() {
        return Err(No::Syntax);
    }
    let number = rows.len();
    let (db, table) = table(session, server, &name)?;
    let mut written = Vec::new();
    for row in rows {
        match table.insert(row) {
            Ok(key) => written.push(key),
            Err((code, words)) => {
                // All rows of a statement, or none.
                for key in written {
                    table.rows.remove(&key);
                }
                return Err(refused(code, words));
            }
        }
    }
    server.changes += 1;
    Ok(Did(ROW * u32::try_from(number).unwrap_or(u32::MAX), Some(format!("load {number} rows into {db}.{name}"))))
}

fn drop_object(session: &Session, server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let kind = cursor.word().ok_or(No::Syntax)?.to_ascii_uppercase();
    cursor.words("IF EXISTS").ok_or(No::Syntax)?;
    let name = cursor.name().ok_or(No::Syntax)?;
    let held = server.locked;
    let (db, schema) = in_use(session, server)?;
    let gone = match kind.as_str() {
        "TABLE" if held && schema.tables.contains_key(&name) => return Err(No::Held),
        "TABLE" => schema.tables.remove(&name).is_some(),
        "VIEW" => schema.views.remove(&name).is_some(),
        "EVENT" => schema.events.remove(&name).is_some(),
        "PROCEDURE" => schema.routines.remove(&name).is_some(),
        _ => return Err(No::Syntax),
    };
    if !gone {
        return Ok(Did(TRIFLE, None));
    }
    server.changes += 1;
    Ok(Did(DEFINE, Some(format!("drop {} {db}.{name}", kind.to_ascii_lowercase()))))
}

fn create_table(session: &Session, server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let name = cursor.name().ok_or(No::Syntax)?;
    let text = cursor.rest().strip_prefix("(\n").ok_or(No::Syntax)?;
    let (body, options) = text.split_once("\n)").ok_or(No::Syntax)?;
    let born = server.changes + 1;
    let made = Table::read(body, born).ok_or(No::Syntax)?;
    *cursor = Cursor::new(options);
    cursor.words("ENGINE").and_then(|()| cursor.sign('=')).ok_or(No::Syntax)?;
    let engine = cursor.word().ok_or(No::Syntax)?;
    if engine != "InnoDB" {
        return Err(refused(1286, format!("Unknown storage engine '{engine}'")));
    }
    cursor.words("DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci").ok_or(No::Syntax)?;
    let (db, schema) = in_use(session, server)?;
    if schema.tables.contains_key(&name) {
        return Err(refused(1050, format!("Table '{name}' already exists")));
    }
    schema.tables.insert(name.clone(), made);
    server.changes += 1;
    Ok(Did(DEFINE, Some(format!("create table {db}.{name}"))))
}

/// A view, trigger, event or procedure.
fn create_object(session: &Session, server: &mut Server, cursor: &mut Cursor<'_>) -> Result<Did, No> {
    let _ = cursor.words("ALGORITHM=UNDEFINED");
    let mut definer = "changeover@%".to_owned();
    if cursor.words("DEFINER").is_some() {
        cursor.sign('=').ok_or(No::Syntax)?;
        definer = cursor.account().ok_or(No::Syntax)?;
    }
    let _ = cursor.words("SQL SECURITY DEFINER");
    let text = cursor.rest().to_owned();
    let kind = cursor.word().ok_or(No::Syntax)?.to_ascii_uppercase();
    let name = cursor.name().ok_or(No::Syntax)?;
    let (db, schema) = in_use(session, server)?;
    if kind == "VIEW" {
        cursor.words("AS").ok_or(No::Syntax)?;
        let select = cursor.rest().to_owned();
        cursor.words("SELECT").ok_or(No::Syntax)?;
        if schema.views.contains_key(&name) {
            return Err(refused(1050, format!("Table '{name}' already exists")));
        }
        schema.views.insert(name.clone(), View { definer, select });
    } else {
        let (place, begins) = match kind.as_str() {
            "TRIGGER" => (&mut schema.triggers, cursor.words("AFTER INSERT ON")),
            "EVENT" => (&mut schema.events, cursor.words("ON SCHEDULE EVERY")),
            "PROCEDURE" => (&mut schema.routines, cursor.sign('(')),
            _ => return Err(No::Syntax),
        };
        begins.ok_or(No::Syntax)?;
        if place.contains_key(&name) {
            return Err(refused(1304, format!("{kind} {name} already exists")));
        }
        place.insert(name.clone(), Code { definer, text });
    }
    *cursor = Cursor::new("");
    server.changes += 1;
    Ok(Did(DEFINE, Some(format!("create {} {db}.{name}", kind.to_ascii_lowercase()))))
}
