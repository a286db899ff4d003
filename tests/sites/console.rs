//! The console in a real terminal over the two sites: a run is begun and watched there, and goes on without it.

use std::path::Path;

use nix::sys::signal::Signal;

use super::screen::Screen;
use super::support::{Lab, Program, RESERVE, alone, assert_same};

/// The console, with both sites in sight.
fn open(lab: &Lab, program: &Program) -> Screen {
    let estate = lab.estate_file();
    let state = program.state.to_str().expect("a path");
    let args = ["--estate", estate.to_str().expect("a path"), "--state-dir", state];
    let screen = Screen::start(Path::new(env!("CARGO_BIN_EXE_changeover")), &args, &lab.dir, 140, 45);
    screen.sees("LIVE");
    screen
}

#[test]
fn a_replicate_run_is_begun_and_watched_there_and_outlives_a_console_that_is_killed() {
    let _alone = alone();
    let lab = Lab::fresh("console", &[]);
    lab.run(&["load", "--documents", "1500", "--rows", "3000", "--files", "150"]);
    lab.edit_estate(|estate| estate + RESERVE);
    let program = Program::new(&lab);
    let mut screen = open(&lab, &program);
    // Real probes of real servers, at both sites.
    screen.wait("the health of both sites", |shown| {
        shown.matches("OpenSearch").count() + shown.matches("green").count() >= 2
    });
    screen.send("2");
    screen.sees("[2 Runbooks]");
    screen.press_until(&["j", "s"], "the form of replicate", |shown| {
        shown.contains("enter makes the plan") && shown.contains("restart  true or false")
    });
    screen.press_until(&["\r"], "the plan", |shown| shown.contains("start replicate?"));
    assert!(screen.shown().contains("PROD is written to"), "{}", screen.shown());
    screen.press_until(&["\u{15}", "y", "\r"], "the run", |shown| shown.contains("[3 Run]"));
    screen.wait("the dump", |shown| shown.contains("dumping shop"));
    screen.signal(Signal::SIGKILL);
    screen.ended();

    let mut screen = open(&lab, &program);
    screen.send("3");
    screen.wait("the run, in sight again", |shown| shown.contains("Where were we") || shown.contains("[3 Run]"));
    screen.wait("its good end", |shown| shown.contains("replicate done"));
    program.run(&["runs", "show", "latest"]).expect(0).says("(console)");
    assert_same(&lab.count("prod"), &lab.count("bcp"));
    screen.press_until(&["\u{1b}"], "a screen without a card", |shown| !shown.contains("Where were we"));
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}
