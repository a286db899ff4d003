//! Locks hold between processes and end with them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::{another_process, run, store};
use crate::journal::{EstateUse, Holder, LockError};
use crate::model::SafeText;

fn holder(id: &str) -> Holder {
    Holder {
        run: run(id),
        pid: std::process::id(),
        host: SafeText::line("app1"),
        since: "2026-03-01T03:15:00Z".parse().expect("a time"),
        by: SafeText::line("ops@app1"),
    }
}

pub(super) fn hold_the_estate(state: &Path) {
    let _lock = store(state).lock(&holder("r7")).expect("locked");
    // The test harness has begun a line of its own.
    println!("\nheld");
    wait_for_the_end();
}

pub(super) fn hold_a_run(state: &Path) {
    let _journal = store(state).create_run(&run("r1")).expect("a journal");
    // The test harness has begun a line of its own.
    println!("\nheld");
    wait_for_the_end();
}

/// Waits to be killed, or for the test to go away.
fn wait_for_the_end() {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("readable");
}

/// Another process that holds what `part` says.
fn held_elsewhere(part: &str, state: &Path) -> Child {
    let mut process = another_process(part, state).stdin(Stdio::piped()).spawn().expect("a process");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("text") == "held"), "{part}");
    process
}

fn end(mut process: Child) {
    process.kill().expect("killed");
    process.wait().expect("gone");
}

#[test]
fn one_process_acts_on_an_estate() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    assert_eq!(store.lock_holder(), Ok(EstateUse::Free));
    let process = held_elsewhere("hold the estate", state.path());
    let Err(LockError::Held(Some(who))) = store.lock(&holder("r8")) else { panic!("not refused") };
    assert_eq!((who.run.as_str(), who.pid), ("r7", process.id()));
    let said = LockError::Held(Some(who.clone())).to_string();
    assert!(said.contains("run r7, started by ops@app1, process "), "{said}");
    assert!(said.contains("on app1, since 2026-03-01T03:15:00Z"), "{said}");
    assert_eq!(store.lock_holder(), Ok(EstateUse::By(who)));
    end(process);
    // What the killed process left in the file is not believed.
    assert_eq!(store.lock_holder(), Ok(EstateUse::Free));
    let lock = store.lock(&holder("r8")).expect("free again");
    assert_eq!(store.lock_holder(), Ok(EstateUse::By(Box::new(holder("r8")))));
    drop(lock);
    assert_eq!(store.lock_holder(), Ok(EstateUse::Free));
}

#[test]
fn what_is_written_in_the_file_locks_nothing_and_is_not_trusted() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    let path = state.path().join("shop/lock");
    let mut gone = holder("r3");
    // The highest process id there can be, and one more.
    gone.pid = 4_194_305;
    std::fs::write(&path, serde_json::to_string(&gone).expect("JSON")).expect("written");
    let lock = store.lock(&holder("r4")).expect("nobody holds it");
    for left_over in [serde_json::to_string(&gone).expect("JSON"), "not JSON".to_owned(), String::new()] {
        std::fs::write(&path, left_over).expect("written");
        assert_eq!(store.lock_holder(), Ok(EstateUse::BySomebody));
        let Err(refused) = store.lock(&holder("r5")) else { panic!("not refused") };
        assert_eq!(refused, LockError::Held(None));
        assert!(refused.to_string().contains("has not said who"), "{refused}");
    }
    drop(lock);
}

#[test]
fn one_process_writes_a_run() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    let process = held_elsewhere("hold a run", state.path());
    assert_eq!(store.is_alive(&run("r1")), Ok(true));
    assert!(store.listing(run("r1")).alive);
    let refused = store.resume_run(&run("r1")).err().expect("refused");
    assert!(refused.got.contains("is alive"), "{refused}");
    end(process);
    assert_eq!(store.is_alive(&run("r1")), Ok(false));
    store.resume_run(&run("r1")).expect("free again");
}
