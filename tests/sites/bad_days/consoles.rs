//! Two machines that act on the same sites: here, two state folders.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::super::support::Program;
use super::Scenario;
use super::day::{Day, Running};

pub(super) const SCENARIOS: &[Scenario] =
    &[("two consoles", two_consoles), ("dead console", a_console_that_died_is_followed)];

/// A change, and then a while in which nothing of the run works anywhere.
fn change_and_wait(day: &Day) -> String {
    let change =
        "[[stages.steps]]\nid = \"change\"\nuses = \"basic.command\"\non = \"target\"\nwith = { run = [\"true\"] }\n";
    let wait = "[[stages.steps]]\nid = \"wait\"\nuses = \"basic.wait\"\non = \"console\"\nwith = { for = \"4m\" }\n";
    day.runbook(&format!("{change}{wait}"))
}

fn begun(day: &Day, runbook: &str) -> Running {
    let mut running = Running::start(&day.program, &["run", runbook]);
    running.wait_for(&["\"unit_started\"", "steps/wait"]);
    running
}

fn another_machine(day: &Day) -> Program {
    Program::at(&day.lab, day.lab.dir.join("another-state"))
}

fn two_consoles(day: &Day) {
    let runbook = change_and_wait(day);
    let mut first = begun(day, &runbook);
    let refused = another_machine(day).run(&["run", &runbook, "--output", "json"]).expect(3);
    refused.says("take the lease of bcp").says("another run changes it, and lives: run ").says("stop the machine");
    // It is also said before anything is begun.
    another_machine(day).run(&["plan", "replicate"]).expect(0).says("bcp is leased to run ");
    // Two signals at once would be one, and the running step would go on to its end.
    first.signal(Signal::SIGINT);
    first.wait_for(&["\"cancel_requested\""]);
    first.signal(Signal::SIGINT);
    first.expect(1);
    // It has said that it is over, so that nobody waits for it.
    let began = Instant::now();
    another_machine(day).run(&["run", "replicate"]).expect(0);
    day.replicate();
    assert!(began.elapsed().as_secs() < 60, "somebody waited for a lease: {:?}", began.elapsed());
}

fn a_console_that_died_is_followed(day: &Day) {
    let runbook = change_and_wait(day);
    let mut first = begun(day, &runbook);
    first.child.kill().expect("it can be killed");
    first.child.wait().expect("it ends");
    let began = Instant::now();
    let followed = another_machine(day).run(&["run", "replicate"]).expect(0);
    let waited = began.elapsed().as_secs();
    assert!(waited >= 70, "it was followed after {waited} s already");
    followed.says("is leased to run ").says("the lease is taken over");
}
