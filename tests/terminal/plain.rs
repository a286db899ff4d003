//! The console in lines, in a real terminal: what is steered there, and behind which questions.

use std::path::Path;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::PROGRAM;
use super::screen::Screen;

/// The demo in lines, once it is known which site is active.
fn in_lines(names: &[(&str, &str)], options: &[&str]) -> (Screen, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let state = state.to_str().expect("a path");
    let args = [&["--state-dir", state, "demo", "--speed", "4"], options].concat();
    let screen = Screen::start_in(names, Path::new(PROGRAM), &args, folder.path(), 200, 400);
    screen.sees("`help` lists");
    screen.sees("direction: prod -> bcp, epoch 1");
    (screen, folder)
}

/// No signal is lost on it: what ends the screen in order ends the lines in order.
#[test]
fn a_signal_ends_the_lines_in_order_and_so_does_the_loss_of_the_terminal() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let (mut screen, _folder) = in_lines(XTERM, &["--plain"]);
        screen.signal(signal);
        assert_eq!(screen.ended(), 0, "{signal}");
        let last = screen.all();
        let (_, said) = last.split_once("the console was ended by ").expect("why it ended");
        assert!(said.starts_with(signal.as_str()) && said.contains("the simulated world has ended"), "{last}");
    }
    let (mut screen, _folder) = in_lines(XTERM, &["--plain"]);
    screen.hang_up();
    assert_eq!(screen.ended(), 0);
}

const XTERM: &[(&str, &str)] = &[("TERM", "xterm-256color")];

/// What the question that was told last wants.
fn wanted(shown: &str) -> String {
    let (_, rest) = shown.rsplit_once("To do it, type ").expect("a question");
    rest.split_once(" and then enter").expect("its end").0.to_owned()
}

#[test]
fn a_restore_wants_its_phrase() {
    let (mut screen, _folder) = in_lines(XTERM, &["--plain"]);
    screen.send("run restore\r");
    screen.sees("To do it, type restore bcp ");
    let shown = screen.shown();
    // Which databases, indices and files are replaced is found out by the step before; that is said, and not "nothing".
    assert!(shown.contains("is lost: what cannot be known before it begins: restore-db at bcp"), "{shown}");
    assert!(!shown.contains("is lost: nothing"), "{shown}");
    for (wrong, refusal) in [("y", "that is not restore bcp "), ("restore bcp zzzz", "that is not restore bcp ")] {
        let before = screen.shown().matches(refusal).count();
        screen.press_until(&[&format!("{wrong}\r")], "the refusal", |shown| shown.matches(refusal).count() > before);
    }
    // Two lines at once are a paste, or what a terminal sent: the second is dropped although it is the right one.
    let phrase = wanted(&screen.shown());
    screen.send(&format!("no such words\r{phrase}\r"));
    screen.sees("that came faster than fingers, and was dropped");
    assert!(!screen.shown().contains("STAGE"), "{}", screen.shown());
    screen.press_until(&[&format!("{phrase}\r")], "the run", |shown| shown.contains("STAGE   test-target-site"));
    screen.wait("its end", |shown| shown.contains("END     "));
    assert!(screen.shown().contains("END     done"), "{}", screen.shown());
    screen.send("quit\r");
    assert_eq!(screen.ended(), 0);
}

#[test]
fn a_run_is_paused_answered_and_stopped() {
    let (mut screen, _folder) = in_lines(XTERM, &["--plain"]);
    screen.send("run tidy-cache\r");
    screen.sees("To do it, type y and then enter");
    screen.press_until(&["y\r"], "the question of the run", |shown| shown.contains("it is answered with `answer`"));
    // A second run is not even planned.
    screen.press_until(&["run replicate\r"], "the refusal", |shown| shown.contains("one run at a time"));
    let confirmed = |screen: &mut Screen, command: &str, event: &str| {
        let before = screen.shown().matches("To do it, type y").count();
        let asked = |shown: &str| shown.matches("To do it, type y").count() > before;
        screen.press_until(&[&format!("{command}\r")], "its question", asked);
        assert!(!screen.shown().contains(event), "{event} without an answer");
        screen.press_until(&["y\r"], event, |shown| shown.contains(event));
    };
    confirmed(&mut screen, "pause", "PAUSED");
    confirmed(&mut screen, "continue", "GOES ON");
    screen.press_until(&["answer perhaps\r"], "the refusal", |shown| shown.contains("that is no answer: type `y`"));
    // The answer that comes with another line is a paste, whatever it says.
    screen.send("help\ranswer y\r");
    screen.sees("that came faster than fingers");
    assert!(!screen.shown().contains("STAGE   flush-caches"), "{}", screen.shown());
    screen.press_until(&["answer y\r"], "the next stage", |shown| shown.contains("STAGE   flush-caches"));
    screen.wait("its end", |shown| shown.contains("END     done"));
    screen.press_until(&["answer y\r"], "that nothing is asked", |shown| shown.contains("no run asks anything"));
    let before = screen.shown().matches("To do it, type y").count();
    screen
        .press_until(&["run tidy-cache\r"], "the question", |shown| shown.matches("To do it, type y").count() > before);
    let waits = |shown: &str| shown.matches("it is answered with `answer`").count() >= 2;
    screen.press_until(&["y\r"], "the question of the run", waits);
    confirmed(&mut screen, "stop", "END     cancelled");
    screen.send("quit\r");
    assert_eq!(screen.ended(), 0);
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let (mut screen, _folder) = in_lines(&[("TERM", "dumb")], &[]);
    assert!(screen.shown().contains("TERM=dumb: no screen can be drawn here"), "{}", screen.shown());
    screen.press_until(&["sites\r"], "the sites", |shown| shown.contains("bcp can take over"));
    screen.send("quit\r");
    assert_eq!(screen.ended(), 0);
    assert!(!screen.raw().contains(&0x1b), "{:?}", String::from_utf8_lossy(&screen.raw()));
}
