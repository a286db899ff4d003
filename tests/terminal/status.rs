//! `status --watch` in a real terminal: the table is drawn in its place, whatever becomes of the terminal's size.

use std::path::Path;

use nix::sys::signal::Signal;

use super::PROGRAM;
use super::screen::Screen;

/// Only this machine is looked at; nobody listens at the other host.
const ESTATE: &str = include_str!("../support/one_machine.toml");

#[test]
fn the_table_follows_the_size_of_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("estate.toml"), ESTATE).expect("written");
    let args = ["--state-dir", "state", "status", "--watch"];
    let mut screen = Screen::start(Path::new(PROGRAM), &args, folder.path(), 120, 40);
    let (first, last) = ("shop: prod ==> bcp", "it is not known whether bcp can take over");
    let lines = |shown: &str| shown.lines().filter(|line| !line.trim().is_empty()).count();
    let is_whole = |shown: &str| {
        shown.starts_with(first) && shown.matches("bcp (standby)").count() == 1 && shown.matches(last).count() == 1
    };
    screen.wait("the table", is_whole);
    // Narrower than its lines, and too low for all of them.
    screen.resize(38, 6);
    screen.wait("what there is room for", |shown| {
        shown.starts_with(first) && shown.contains("more lines: make") && lines(shown) == 5
    });
    screen.resize(120, 40);
    screen.wait("the table again", is_whole);
    screen.signal(Signal::SIGINT);
    assert_ne!(screen.ended(), 0, "nobody knows the direction");
}
