//! The state directory: private, and what is in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{events, fact, run, runtime, store};
use crate::journal::{FindError, Store};
use crate::model::{RunOutcome, SiteName};
use crate::port::{Archive, Sink};
use crate::run::{Event, EventKind};

#[test]
fn everything_is_private() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(&state.path().join("deep/er")).create_run(&run("r1")).expect("a journal");
    runtime().block_on(journal.append(&events("r1", 0))).expect("kept");
    let mut seen = 0;
    let mut folders = vec![state.path().join("deep/er")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let found = entry.metadata().expect("facts");
            let mode = found.permissions().mode() & 0o777;
            assert_eq!(mode, if found.is_dir() { 0o700 } else { 0o600 }, "{}", entry.path().display());
            seen += 1;
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(seen >= 8, "{seen} entries: the log and its index should be there too");
}

#[test]
fn links_strangers_and_open_doors_are_refused() {
    let shop = SiteName::new("shop").expect("a name");
    let refused = |path: &std::path::Path| Store::open(path, &shop).expect_err("refused").to_string();
    let place = tempfile::tempdir().expect("a folder");
    let real = place.path().join("real");
    fs::create_dir(&real).expect("made");

    let link = place.path().join("link");
    symlink(&real, &link).expect("linked");
    assert!(refused(&link).contains("symbolic link"));

    fs::create_dir_all(real.join("elsewhere")).expect("made");
    symlink(real.join("elsewhere"), real.join("shop")).expect("linked");
    assert!(refused(&real).contains("symbolic link"));
    fs::remove_file(real.join("shop")).expect("removed");

    fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).expect("opened");
    assert!(refused(&real).contains("others may write"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).expect("half closed");
    Store::open(&real, &shop).expect("closed by us");
    assert_eq!(fs::metadata(&real).expect("facts").permissions().mode() & 0o777, 0o700);

    let file = place.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(refused(&file).contains("not a folder"));

    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&real, Some(12_345), None).expect("given away");
        assert!(refused(&real).contains("belongs to user 12345"));
    }
}

#[test]
fn a_planted_link_is_not_written_through() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    drop(store.create_run(&run("r1")).expect("a journal"));
    let victim = state.path().join("victim");
    fs::write(&victim, "precious").expect("written");
    let folder = store.folder_of(&run("r1"));
    for name in ["lock", "journal.sqlite"] {
        fs::remove_file(folder.join(name)).expect("removed");
        symlink(&victim, folder.join(name)).expect("linked");
        assert!(store.resume_run(&run("r1")).is_err(), "{name}");
        assert_eq!(fs::read_to_string(&victim).expect("there"), "precious");
        fs::remove_file(folder.join(name)).expect("removed");
        fs::write(folder.join(name), "").expect("written");
    }
}

#[test]
fn runs_are_listed_newest_first_and_one_bad_one_spoils_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    assert_eq!(store.list(), Ok(Vec::new()));
    for id in ["0195-a", "0196-b", "0197-c"] {
        let journal = store.create_run(&run(id)).expect("a journal");
        runtime().block_on(journal.append(&events(id, 1))).expect("kept");
    }
    let (journal, _) = store.resume_run(&run("0196-b")).expect("resumed");
    let end = EventKind::RunEnded { outcome: RunOutcome::Done { warned: false } };
    runtime().block_on(journal.append(&[Event { kind: end, ..fact(4) }])).expect("kept");
    fs::write(store.folder_of(&run("0195-a")).join("journal.sqlite"), "rubbish").expect("spoilt");
    fs::create_dir(store.folder_of(&run("0198-d"))).expect("an empty folder");
    fs::create_dir(state.path().join("shop/runs/.removed-x")).expect("not a run");

    let list = store.list().expect("a list");
    let ids: Vec<&str> = list.iter().map(|found| found.run.as_str()).collect();
    assert_eq!(ids, ["0198-d", "0197-c", "0196-b", "0195-a"]);
    let alive: Vec<bool> = list.iter().map(|found| found.alive).collect();
    assert_eq!(alive, [false, false, true, false]);
    assert!(list[0].facts.as_ref().expect_err("no journal").to_string().contains("never begun"));
    assert!(list[3].facts.as_ref().expect_err("rubbish").to_string().contains("0195-a"));
    let facts = list[2].facts.as_ref().expect("readable");
    assert_eq!((facts.events, facts.outcome()), (4, Some(&RunOutcome::Done { warned: false })));
    assert_eq!(list[1].facts.as_ref().expect("readable").outcome(), None);
    let counts: Vec<u64> = Archive::list(&store).expect("a list").iter().map(|record| record.events).collect();
    assert_eq!(counts, [0, 3, 4, 0]);
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    assert_eq!(store.find("latest"), Err(FindError::Empty));
    for id in ["0195a1", "0195a1-2", "0195b"] {
        drop(store.create_run(&run(id)).expect("a journal"));
    }
    assert_eq!(store.find("latest"), Ok(run("0195b")));
    assert_eq!(store.find("0195b"), Ok(run("0195b")));
    assert_eq!(store.find("0195a1"), Ok(run("0195a1")), "a whole id is that run");
    let error = store.find("0195a").expect_err("two");
    assert_eq!(error.to_string(), "`0195a` is the beginning of several runs: 0195a1-2, 0195a1");
    assert_eq!(store.find("0194"), Err(FindError::Missing("0194".to_owned())));
    assert_eq!(store.find(""), Err(FindError::Missing(String::new())));
}
