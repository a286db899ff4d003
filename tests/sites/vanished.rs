//! A durable job whose process was killed, and whose folder was removed after that: nobody can know what it did, so the
//! run says so, does nothing of it again by itself, and asks whoever resumes it at a terminal.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Lab, Program, RESERVE, alone, assert_same};
use super::watch::processes_of_jobs;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
/// In a job it dumps nothing, forever; otherwise it is the program whose name it has.
const STUCK: &str = "#!/bin/sh\n[ -n \"$CO_JOB\" ] || { PATH=${PATH#*:}; exec \"${0##*/}\" \"$@\"; }\n\
                     echo begun >>\"$HOME/dumps\"\nexec sleep 1000\n";

#[test]
fn a_job_that_vanished_is_asked_about_and_never_begun_again_unasked() {
    let _alone = alone();
    let lab = Lab::fresh("vanished", &[]);
    lab.run(&["load", "--documents", "1500", "--rows", "3000", "--files", "150"]);
    lab.edit_estate(|text| text + RESERVE);
    let program = Program::new(&lab);
    let home = lab.dir.join("prod/app1/home");
    let (stuck, dumps) = (home.join("stuck"), home.join("dumps"));
    fs::create_dir_all(&stuck).expect("a folder");
    drop(fs::remove_file(&dumps));
    for name in ["mariadb-dump", "mysqldump"] {
        fs::write(stuck.join(name), STUCK).expect("a program");
        fs::set_permissions(stuck.join(name), fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    fs::set_permissions(&stuck, fs::Permissions::from_mode(0o755)).expect("its mode");
    let start = home.join(".bashrc");
    let text = fs::read_to_string(&start).expect("the lab wrote it");
    fs::write(&start, format!("{text}PATH=$HOME/stuck:$PATH\n")).expect("it can be written");
    let begun = || fs::read_to_string(&dumps).unwrap_or_default().lines().count();

    // Killed like a host that goes down: the runner first, which would write an ending otherwise.
    let first = program.command(&["run", "replicate"]).stdout(Stdio::piped()).spawn().expect("the program starts");
    let deadline = Instant::now() + PATIENCE;
    while begun() == 0 {
        assert!(Instant::now() < deadline, "the dump never began");
        std::thread::yield_now();
    }
    let listed: Value =
        serde_json::from_str(&program.run(&["runs", "list", "--json"]).expect(0).stdout()).expect("JSON");
    let run = listed[0]["run"].as_str().expect("a run").to_owned();
    let dump = format!("{run}.sql-dump~dump");
    let (runners, members): (Vec<_>, Vec<_>) =
        processes_of_jobs(&dump).into_iter().partition(|(_, command)| command.contains("/runner"));
    assert!(!runners.is_empty() && !members.is_empty(), "{runners:?} {members:?}");
    for (process, _) in runners.into_iter().chain(members) {
        // Some end with the one before.
        let _ = kill(process, Signal::SIGKILL);
    }
    let first = first.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&first.stdout);
    assert_eq!(first.status.code(), Some(4), "{said}");
    for part in ["it left no ending", &format!("changeover resume {run}")] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Nobody to ask: unknown it stays, whether the folder is there or not.
    let resumed = program.run(&["resume", &run]).expect(4).says("it left no ending").says("sql-dump/dump@prod");
    resumed.says(&format!("changeover resume {run}"));
    let jobs = home.join(".local/state/changeover/jobs");
    let folders = fs::read_dir(&jobs).expect("the jobs").flatten().map(|job| job.path());
    let vanished: Vec<_> = folders.filter(|job| job.to_string_lossy().contains("sql-dump~dump")).collect();
    assert!(!vanished.is_empty(), "no folder was left behind");
    for folder in vanished {
        fs::remove_dir_all(folder).expect("it can be removed");
    }
    program.run(&["resume", &run]).expect(4).says("is gone from prod:app1").says(&format!("changeover resume {run}"));
    assert_eq!(begun(), 1, "the dump was begun again");

    // A person at a terminal says: again. The host is well by now.
    fs::remove_dir_all(&stuck).expect("it can be removed");
    let said = at_terminal(&program, &["resume", &run, "--output", "plain"], "or `stop`", "retry\n");
    assert!(said.contains("do it again (by"), "{said}");
    assert_same(&lab.count("prod"), &lab.count("bcp"));
    let record = program.run(&["runs", "show", &run, "--json"]).expect(0).stdout();
    let attempts: Vec<&str> = record
        .lines()
        .filter(|line| line.contains("\"unit_started\"") && line.contains("sql-dump/dump@prod"))
        .map(|line| if line.contains("\"attempt\":2") { "fresh" } else { "same" })
        .collect();
    assert_eq!(attempts, ["same", "same", "same", "same", "fresh"]);
    assert_eq!(begun(), 1, "that dump was another program");
}

/// Runs the program at a terminal to its good end, and types a line once it shows `question`. Returns what it showed.
fn at_terminal(program: &Program, args: &[&str], question: &str, line: &str) -> String {
    let inner = program.command(args);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().expect("UTF-8")).collect();
    let command = shlex::try_join(words).expect("words");
    let mut child = Command::new("script")
        .args(["-qefc", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a terminal");
    let (mut input, mut output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let (mut shown, mut piece, mut typed) = (String::new(), [0; 4096], false);
    loop {
        let size = output.read(&mut piece).expect("it can be read");
        if size == 0 {
            break;
        }
        shown.push_str(&String::from_utf8_lossy(&piece[..size]));
        if !typed && shown.contains(question) {
            input.write_all(line.as_bytes()).expect("it takes a line");
            input.flush().expect("it takes a line");
            typed = true;
        }
    }
    assert!(typed, "it never asked: {shown}");
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status}: {shown}");
    shown
}
