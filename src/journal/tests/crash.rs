//! A killed process, and a full disk: what was acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{another_process, events, fact, run, runtime, store};
use crate::port::Sink;

/// The part of the process that is killed: appends facts and tells each one that was acknowledged.
pub(super) fn append_for_ever(state: &Path) {
    let journal = store(state).create_run(&run("r1")).expect("a journal");
    let mut tell = std::io::stdout();
    runtime().block_on(async {
        journal.append(&events("r1", 0)).await.expect("kept");
        for seq in 3.. {
            journal.append(&[fact(seq)]).await.expect("kept");
            writeln!(tell, "acked {seq}").expect("told");
        }
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    for round in 0..24_u64 {
        let state = tempfile::tempdir().expect("a folder");
        let mut process = another_process("append for ever", state.path()).spawn().expect("a process");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        // Let it get going, then kill it at no particular moment of its work.
        let told = |line: &str| line.strip_prefix("acked ").and_then(|seq| seq.parse::<u64>().ok());
        let mut acked = lines.by_ref().find_map(|line| told(&line.expect("text"))).expect("a first one");
        std::thread::sleep(Duration::from_micros(round * 1_777 % 23_000));
        process.kill().expect("killed");
        process.wait().expect("gone");
        for line in lines {
            // The last line may be cut off.
            acked = told(&line.expect("text")).map_or(acked, |seq| seq.max(acked));
        }
        let store = store(state.path());
        let (journal, kept) = store.resume_run(&run("r1")).expect("resumed");
        let last = kept.last().map_or(0, |event| event.seq);
        assert!(last == acked || last == acked + 1, "round {round}: {acked} were acknowledged, {last} are there");
        assert!(kept[2..].iter().all(|event| *event == fact(event.seq)), "round {round}");
        runtime().block_on(journal.append(&[fact(last + 1)])).expect("it goes on");
    }
}

/// The part of the process whose disk fills up: appends until it is refused, then shows that it stays refused.
pub(super) fn fill_the_disk(state: &Path) {
    let journal = store(state).create_run(&run("r1")).expect("a journal");
    runtime().block_on(async {
        journal.append(&events("r1", 0)).await.expect("kept");
        for seq in 3..100_000 {
            let Err(error) = journal.append(&[fact(seq)]).await else {
                println!("acked {seq}");
                continue;
            };
            println!("refused {error}");
            let again = journal.append(&[fact(seq)]).await.expect_err("still refused");
            assert!(again.got.contains("not written to any more"), "{again}");
            let chatter = journal.history(0, 1).await.expect_err("still refused");
            assert!(chatter.got.contains("not written to any more"), "{chatter}");
            return;
        }
        panic!("never refused");
    });
}

/// Starts the filling process by a shell that sets the limit up, and checks what it leaves behind.
fn filled(limit: &str, state: &Path) -> String {
    let inner = another_process("fill the disk", state);
    let mut shell = Command::new(limit.split_whitespace().next().expect("a program"));
    shell.args(limit.split_whitespace().skip(1).take_while(|word| *word != "--script"));
    let script = limit.split_once("--script ").map_or("", |(_, script)| script);
    shell.args(["sh", "-c", &format!("{script}; exec \"$@\""), "sh"]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let output = shell.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn last_acked(said: &str) -> u64 {
    said.lines().filter_map(|line| line.strip_prefix("acked ")).filter_map(|seq| seq.parse().ok()).max().unwrap_or(0)
}

#[test]
fn after_a_failed_write_nothing_more_is_accepted() {
    let state = tempfile::tempdir().expect("a folder");
    // No file may grow beyond 512 KiB; the signal that would end the process is ignored.
    let said = filled("env --script trap '' XFSZ; ulimit -f 1024", state.path());
    assert!(said.contains("refused could not write the journal") && said.contains("journal.sqlite"), "{said}");
    let acked = last_acked(&said);
    assert!(acked > 10, "{said}");
    let kept = store(state.path()).open_run(&run("r1")).expect("readable").events().expect("intact");
    assert!(kept.len() as u64 >= acked, "{acked} were acknowledged, {} are there", kept.len());
}

#[test]
fn a_full_disk_is_named_with_its_error_number() {
    let may_mount = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        eprintln!("skipped: a small file system can only be mounted by root");
        return;
    }
    let state = tempfile::tempdir().expect("a folder");
    // What is on the small file system goes with it; the journal is copied out to be looked at.
    let kept = tempfile::tempdir().expect("a folder");
    let script = format!(
        "mount -t tmpfs -o size=400k,mode=700 tmpfs {0}; trap 'cp -r {0}/shop {1}/' EXIT; \"$@\"; exit $?",
        state.path().display(),
        kept.path().display()
    );
    let said = filled(&format!("unshare -m --script {script}"), state.path());
    assert!(said.contains("journal.sqlite: No space left on device (os error 28)"), "{said}");
    let acked = last_acked(&said);
    assert!(acked > 10, "{said}");
    let there = store(kept.path()).open_run(&run("r1")).expect("readable").events().expect("intact");
    assert!(there.len() as u64 >= acked, "{acked} were acknowledged, {} are there", there.len());
}
