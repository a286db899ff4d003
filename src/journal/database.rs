//! The `SQLite` file of one run: how it is opened, its tables, its format version, and its errors in words.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::chain::{Hash, Row};
use super::folder;
use crate::model::RunId;
use crate::port::SinkError;

/// The file in the run's folder.
pub(super) const FILE: &str = "journal.sqlite";
/// Says in the file's header that it is ours: "CHOV".
const APPLICATION: i64 = 0x4348_4f56;
/// A reader refuses another major version; within one, newer versions only add.
const MAJOR: i64 = 1;
const MINOR: i64 = 0;
/// Major and minor in one number, as `PRAGMA user_version` has room for one.
const VERSION_BASE: i64 = 1000;

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        seq        INTEGER PRIMARY KEY,
        at         TEXT NOT NULL,
        elapsed_ms INTEGER NOT NULL,
        kind       TEXT NOT NULL,
        json       TEXT NOT NULL,
        hash       BLOB NOT NULL
    ) STRICT;";

/// Makes the database of a new run, empty and durable.
pub(super) fn create(folder: &Path, run: &RunId) -> Result<Connection, SinkError> {
    let path = folder.join(FILE);
    // Made here and not by SQLite, for its mode; the files that SQLite makes beside it take theirs from it.
    drop(folder::new_file(&path)?);
    let database = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let fill = || -> rusqlite::Result<()> {
        prepare_for_writing(&database)?;
        database.execute_batch("BEGIN IMMEDIATE")?;
        database.execute_batch(TABLES)?;
        database.execute(
            "INSERT INTO meta VALUES ('run', ?1), ('program', ?2)",
            params![run.as_str(), env!("CARGO_PKG_VERSION")],
        )?;
        database.pragma_update(None, "application_id", APPLICATION)?;
        database.pragma_update(None, "user_version", MAJOR * VERSION_BASE + MINOR)?;
        database.execute_batch("COMMIT")?;
        checkpoint(&database)
    };
    fill().map_err(|error| explain("begin the journal", &path, &error, Access::Write))?;
    folder::sync_folder(folder)?;
    Ok(database)
}

/// Opens the database of a run to go on writing.
pub(super) fn open_to_write(folder: &Path, run: &RunId) -> Result<Connection, SinkError> {
    let path = folder.join(FILE);
    let database = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_format(&database, &path, run)?;
    prepare_for_writing(&database).map_err(|error| explain("open the journal", &path, &error, Access::Write))?;
    Ok(database)
}

/// Opens the database of a run to read, while its process writes or after it has gone.
pub(super) fn open_to_read(folder: &Path, run: &RunId) -> Result<Connection, SinkError> {
    let path = folder.join(FILE);
    let database = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check_format(&database, &path, run)?;
    Ok(database)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, SinkError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || -> rusqlite::Result<Connection> {
        let database = Connection::open_with_flags(path, flags)?;
        database.busy_timeout(Duration::from_secs(5))?;
        database.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")?;
        Ok(database)
    };
    if !path.exists() {
        return Err(folder::trouble(
            "open the journal",
            path,
            "there is none: the run was never begun, or it was removed",
        ));
    }
    open().map_err(|error| explain("open the journal", path, &error, Access::Read))
}

fn prepare_for_writing(database: &Connection) -> rusqlite::Result<()> {
    let mode: String = database.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        let got = format!("a write-ahead log cannot be used here, only `{mode}`");
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR), Some(got)));
    }
    // FULL: every commit is synced. Checkpoints are made by the writer, which looks at how they end; SQLite's
    // automatic ones ignore their errors.
    database.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
}

/// Moves what is in the write-ahead log to the database, as far as no reader needs it there.
pub(super) fn checkpoint(database: &Connection) -> rusqlite::Result<()> {
    database.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

fn check_format(database: &Connection, path: &Path, run: &RunId) -> Result<(), SinkError> {
    let number = |pragma: &str| {
        database
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| explain("read the journal", path, &error, Access::Read))
    };
    let refuse = |got: String| Err(folder::trouble("read the journal", path, &got));
    if number("application_id")? != APPLICATION {
        return refuse("it is not a journal, or it was never begun".to_owned());
    }
    let version = number("user_version")?;
    let (major, minor) = (version / VERSION_BASE, version % VERSION_BASE);
    if major > MAJOR {
        return refuse(format!(
            "it has format {major}.{minor}, made by a newer version of the program; this one reads {MAJOR}.x"
        ));
    }
    if major < MAJOR {
        return refuse(format!("it has format {major}.{minor}, which this version no longer reads"));
    }
    let owner: String = database
        .query_row("SELECT value FROM meta WHERE key = 'run'", [], |row| row.get(0))
        .map_err(|error| explain("read the journal", path, &error, Access::Read))?;
    if owner != run.as_str() {
        return refuse(format!("it is the journal of run {}, in the folder of run {run}", owner.escape_debug()));
    }
    Ok(())
}

/// Writes rows in one transaction, durable when this returns.
pub(super) fn insert(database: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let number = |n: u64| i64::try_from(n).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)));
    let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for row in rows {
            insert.execute(params![
                number(row.seq)?,
                row.at,
                number(row.elapsed_ms)?,
                row.kind,
                row.json,
                row.hash.as_slice()
            ])?;
        }
    }
    transaction.commit()
}

/// Reads rows from `after` (exclusive) on, at most `limit`.
pub(super) fn select(database: &Connection, after: u64, limit: u32) -> rusqlite::Result<Vec<Row>> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut select = database.prepare_cached(
        "SELECT seq, at, elapsed_ms, kind, json, hash FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let rows = select.query_map(params![after, limit], |row| {
        let hash: Vec<u8> = row.get(5)?;
        Ok(Row {
            seq: row.get::<_, i64>(0)?.try_into().unwrap_or_default(),
            at: row.get(1)?,
            elapsed_ms: row.get::<_, i64>(2)?.try_into().unwrap_or_default(),
            kind: row.get(3)?,
            json: row.get(4)?,
            // A seal of another length is no seal: all zeros matches nothing.
            hash: Hash::try_from(hash).unwrap_or_default(),
        })
    })?;
    rows.collect()
}

/// The number of the last row; nothing when there is none.
pub(super) fn last(database: &Connection) -> rusqlite::Result<Option<u64>> {
    let last: Option<i64> = database.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    Ok(last.and_then(|seq| u64::try_from(seq).ok()))
}

/// Whether the failed operation wanted to write; then the operating system is asked what it has against it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Says a database error in words, with the operating system's reason when there is one to be had.
pub(super) fn explain(tried: &str, path: &Path, error: &rusqlite::Error, access: Access) -> SinkError {
    let reason = match error.sqlite_error_code() {
        // SQLite reports exactly ENOSPC, and nothing else, this way.
        Some(ErrorCode::DiskFull) => Some(std::io::Error::from(nix::errno::Errno::ENOSPC)),
        Some(_) if access == Access::Write => path.parent().and_then(folder::probe_write),
        _ => None,
    };
    match reason {
        Some(reason) => folder::trouble(tried, path, &format!("{reason}: {error}")),
        None => folder::trouble(tried, path, &error),
    }
}
