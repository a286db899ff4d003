//! The main job on real servers: the shipped runbooks copy a live site to its standby, counted by somebody else.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use super::support::{Lab, Program, RESERVE, alone, assert_same};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const SMALL: &[&str] = &["load", "--documents", "3000", "--rows", "8000", "--files", "300"];

fn events(json_lines: &str) -> Vec<Value> {
    json_lines.lines().map(|line| serde_json::from_str(line).expect("one event per line")).collect()
}

#[test]
fn replicate_copies_everything_and_again_what_changed() {
    let _alone = alone();
    let lab = Lab::fresh("replicate", &[]);
    lab.run(SMALL);
    lab.edit_estate(|text| text + RESERVE);
    let program = Program::new(&lab);
    program.run(&["check"]).expect(0);

    // The plan is read from the live sites and changes nothing.
    let before = lab.count("bcp");
    program.run(&["plan", "replicate"]).expect(0).says("exchange.prepare").says("_snapshot");
    assert_eq!(lab.count("bcp"), before);
    program.run(&["doctor"]).expect(0).says("prod:app1            fine").says("bcp:app3             fine");

    let ran = program.run(&["run", "replicate", "--output", "json"]).expect(0);
    let events = events(&ran.stdout());
    assert_eq!(events[0]["event"], "run_created");
    assert_eq!(events.last().expect("events")["event"], "run_ended");
    assert_same(&lab.count("prod"), &lab.count("bcp"));

    // What the next one would destroy is said of every store, from what is there now.
    let plan = program.run(&["plan", "replicate"]).expect(0);
    let plan = plan.says("[reads, checked live]").says("[destroys, checked live]").says("cannot know");
    for (store, loss) in [
        ("search", "LOSES index people at bcp is replaced: "),
        ("sql", "LOSES database shop at bcp is dropped and loaded anew: 8 tables"),
        ("files", "those that differ in the copy are replaced"),
    ] {
        assert!(plan.text().contains(loss), "{store}: {}", plan.text());
    }
    assert!(!plan.text().contains("has no part of service"), "{}", plan.text());
    let secret = fs::read_to_string(lab.dir.join("secrets/sql")).expect("the lab's password");
    assert!(!plan.text().contains(secret.trim()), "a secret is shown");
    assert_same(&lab.count("prod"), &lab.count("bcp"));

    // The standby holds the repository read-only.
    program.run(&["runs", "list"]).expect(0).says("replicate").says("done");
    program.run(&["runs", "show", "latest"]).expect(0).says("search-snapshot");

    // Writes go on while the next one copies: everything acknowledged before it began must be there after it.
    let ledger = lab.dir.join("ledger.jsonl");
    // Of an earlier start of this test, about data that is gone.
    drop(fs::remove_file(&ledger));
    let mut churn = lab.start(&["churn", "--seconds", "600", "--ledger", ledger.to_str().expect("UTF-8")]);
    wait_for_lines(&ledger, 30);
    let acknowledged = fs::read_to_string(&ledger).expect("a ledger");
    let ran = program.run(&["run", "replicate"]);
    kill(Pid::from_raw(i32::try_from(churn.id()).expect("a pid")), Signal::SIGTERM).expect("churn can be stopped");
    churn.wait().expect("churn ends");
    ran.expect(0);
    for line in acknowledged.lines() {
        let entry: Value = serde_json::from_str(line).expect("a ledger line");
        let order = entry["order"].to_string();
        let order = order.trim_matches('"');
        let file = entry["file"].as_str().expect("a file name");
        assert_eq!(lab.ask("bcp", &format!("/orders/{order}")), 200, "order {order} is not at the standby");
        assert_eq!(lab.ask("bcp", &format!("/files/{file}")), 200, "file {file} is not at the standby");
    }

    // At rest, a third one makes both sites the same again.
    program.run(&["run", "replicate"]).expect(0);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
}

fn wait_for_lines(path: &std::path::Path, lines: usize) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while fs::read_to_string(path).map_or(0, |text| text.lines().count()) < lines {
        assert!(std::time::Instant::now() < deadline, "churn does not write");
        std::thread::yield_now();
    }
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_result() {
    let _alone = alone();
    let lab = Lab::fresh("kill", &[]);
    lab.run(SMALL);
    let program = Program::new(&lab);
    // Killed when this step has just been started, each time a new run.
    for step in ["snapshot", "dump", "carry", "restore-db", "restore-search", "restore-assets"] {
        let mut child = program
            .command(&["run", "replicate", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let needle = format!("/{step}@");
        let started =
            out.lines().map_while(Result::ok).any(|line| line.contains("unit_started") && line.contains(&needle));
        assert!(started, "step {step} was never started");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        program.run(&["resume", "latest"]).expect(0);
        assert_same(&lab.count("prod"), &lab.count("bcp"));
    }
}
