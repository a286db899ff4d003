//! Damage and tampering: read up to it or not at all, and always said.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{events, fact, run, runtime, store};
use crate::port::Sink;
use crate::run::Event;

const PAGE: u64 = 4096;

/// A finished journal of `count` events; returns its file and its events.
fn journal_of(state: &Path, count: u64) -> (PathBuf, Vec<Event>) {
    let journal = store(state).create_run(&run("r1")).expect("a journal");
    let mut all = events("r1", 0);
    all.extend((3..=count).map(fact));
    runtime().block_on(journal.append(&all)).expect("kept");
    (journal.folder().join("journal.sqlite"), all)
}

/// What reading gives: the intact events, and whether something was said to be wrong.
fn read(state: &Path) -> (Vec<Event>, Option<String>) {
    match store(state).open_run(&run("r1")) {
        Err(error) => (Vec::new(), Some(error.to_string())),
        Ok(reader) => {
            let reading = reader.read();
            assert_eq!(reading.damage.is_some(), reader.verify().is_err(), "reading and verifying disagree");
            (reading.events, reading.damage.map(|damage| damage.to_string()))
        }
    }
}

#[test]
fn a_database_cut_off_anywhere_is_read_in_part_or_refused() {
    let state = tempfile::tempdir().expect("a folder");
    let (file, all) = journal_of(state.path(), 400);
    let whole = fs::read(&file).expect("the file");
    let pages = whole.len() as u64 / PAGE;
    assert!(pages > 20, "only {pages} pages: too few to prove anything");
    for page in 0..pages {
        for beyond in [0, 1, 511] {
            let cut = usize::try_from(page * PAGE + beyond).expect("small");
            fs::write(&file, &whole[..cut]).expect("written");
            let (got, damage) = read(state.path());
            assert!(all.starts_with(&got), "cut at {cut}: what was read is not what was written");
            assert!(damage.is_some(), "cut at {cut}: {} of {} events were taken for all", got.len(), all.len());
        }
    }
    fs::write(&file, &whole).expect("written");
    assert_eq!(read(state.path()), (all, None));
}

#[test]
fn a_log_cut_off_anywhere_gives_a_prefix() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    let mut all = events("r1", 0);
    all.extend((3..=120).map(fact));
    runtime().block_on(async {
        for event in &all {
            journal.append(std::slice::from_ref(event)).await.expect("kept");
        }
    });
    // A copy of the folder as a crash would leave it: most of it is in the log still.
    let folder = journal.folder().to_owned();
    let (file, log) = (folder.join("journal.sqlite"), folder.join("journal.sqlite-wal"));
    let (whole_file, whole_log) = (fs::read(&file).expect("the file"), fs::read(&log).expect("the log"));
    drop(journal);
    assert!(whole_log.len() as u64 > 100 * PAGE, "the log is too short to prove anything");
    let mut longest = 0;
    for cut in (0..whole_log.len()).step_by(4120 / 2) {
        fs::write(&file, &whole_file).expect("written");
        fs::write(&log, &whole_log[..cut]).expect("written");
        drop(fs::remove_file(folder.join("journal.sqlite-shm")));
        let (got, damage) = read(state.path());
        assert!(all.starts_with(&got), "cut at {cut}: what was read is not what was written");
        assert_eq!(damage, None, "cut at {cut}");
        assert!(got.len() >= longest, "a longer log gave less");
        longest = got.len();
    }
    assert!(longest >= all.len() - 2, "{longest}");
}

#[test]
fn flipped_bytes_never_pass_for_events() {
    let state = tempfile::tempdir().expect("a folder");
    let (file, all) = journal_of(state.path(), 60);
    let whole = fs::read(&file).expect("the file");
    let mut noticed = 0;
    for place in (0..whole.len()).step_by(37) {
        let mut bad = whole.clone();
        bad[place] ^= 0x41;
        fs::write(&file, &bad).expect("written");
        let (got, damage) = read(state.path());
        assert!(all.starts_with(&got), "byte {place}: what was read is not what was written");
        // Bytes that carry nothing (free space, counters) may change unnoticed, as long as nothing is missing.
        assert!(damage.is_some() || got == all, "byte {place}: {} events were taken for all", got.len());
        noticed += usize::from(damage.is_some());
    }
    assert!(noticed > 100, "only {noticed} changes were noticed");
}

#[test]
fn edits_are_found_and_the_first_bad_record_is_named() {
    for (edit, intact, says) in [
        ("UPDATE events SET json = replace(json, 'ops5@', 'eve5@') WHERE seq = 5", 4, "record 5 does not match"),
        ("UPDATE events SET at = '2001-01-01T00:00:00Z' WHERE seq = 7", 6, "record 7 does not match"),
        ("UPDATE events SET elapsed_ms = 1 WHERE seq = 7", 6, "record 7 does not match"),
        ("UPDATE events SET kind = 'paused' WHERE seq = 7", 6, "record 7 does not match"),
        ("UPDATE events SET hash = x'00' WHERE seq = 6", 5, "record 6 does not match"),
        ("DELETE FROM events WHERE seq = 8", 7, "record 8 is missing"),
        ("DELETE FROM events WHERE seq = 1", 0, "record 1 is missing"),
        (
            "DELETE FROM events WHERE seq = 8; UPDATE events SET seq = seq - 1 WHERE seq > 8",
            7,
            "record 8 does not match",
        ),
        ("INSERT INTO events SELECT 21, at, elapsed_ms, kind, json, hash FROM events WHERE seq = 20", 20, "record 21"),
        ("UPDATE events SET seq = -3 WHERE seq = 20", 19, "numbered below 1"),
    ] {
        let state = tempfile::tempdir().expect("a folder");
        let (file, all) = journal_of(state.path(), 20);
        Connection::open(&file).expect("opened").execute_batch(edit).expect("edited");
        let (got, damage) = read(state.path());
        assert_eq!(got, all[..intact], "{edit}");
        let damage = damage.expect("noticed");
        assert!(damage.contains(says), "{edit}: {damage}");
        let refused = store(state.path()).resume_run(&run("r1")).err().expect("not resumed");
        assert!(refused.to_string().contains(says), "{edit}: {refused}");
    }
}

#[test]
fn the_head_shows_what_the_chain_cannot() {
    let state = tempfile::tempdir().expect("a folder");
    let (file, _) = journal_of(state.path(), 20);
    let reader = store(state.path()).open_run(&run("r1")).expect("a reader");
    let before = reader.verify().expect("intact");
    drop(reader);
    Connection::open(&file).expect("opened").execute_batch("DELETE FROM events WHERE seq > 18").expect("edited");
    let after =
        store(state.path()).open_run(&run("r1")).expect("a reader").verify().expect("a shorter chain is a chain");
    assert_eq!((before.seq, after.seq), (20, 18));
    assert_ne!(before.seal(), after.seal());
}

#[test]
fn another_format_another_run_and_no_journal_are_refused_in_words() {
    let edit = |sql: &str| {
        let state = tempfile::tempdir().expect("a folder");
        let (file, _) = journal_of(state.path(), 3);
        Connection::open(&file).expect("opened").execute_batch(sql).expect("edited");
        read(state.path())
    };
    let newer = edit("PRAGMA user_version = 2000").1.expect("refused");
    assert!(newer.contains("format 2.0, made by a newer version"), "{newer}");
    assert_eq!(edit("PRAGMA user_version = 1003"), (events("r1", 0).into_iter().chain([fact(3)]).collect(), None));
    let older = edit("PRAGMA user_version = 3").1.expect("refused");
    assert!(older.contains("no longer reads"), "{older}");
    let moved = edit("UPDATE meta SET value = 'r2' WHERE key = 'run'").1.expect("refused");
    assert!(moved.contains("journal of run r2"), "{moved}");
    let foreign = edit("PRAGMA application_id = 7").1.expect("refused");
    assert!(foreign.contains("not a journal"), "{foreign}");
    let state = tempfile::tempdir().expect("a folder");
    let missing = read(state.path()).1.expect("refused");
    assert!(missing.contains("r1"), "{missing}");
}
