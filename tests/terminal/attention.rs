//! Calling a person, in a real terminal: the bytes that ring and notify, when a run asks and at no other time.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::PROGRAM;
use super::screen::Screen;

/// Only this machine is acted on; nobody listens at the other host.
const ESTATE: &str = include_str!("../support/one_machine.toml");

const ASKS: &str = r#"
name = "asks"
title = "Asks"
mode = "maintenance"

[[stages]]
id = "only"
title = "Only"

[[stages.steps]]
id = "sure"
uses = "basic.confirm"
on = "console"
confirm = { level = 1, message = "Go on, \u001b]9;evil\u0007 please?" }
"#;

/// The estate, a run book that asks, and a place for the state.
fn place() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("estate.toml"), ESTATE).expect("written");
    std::fs::write(folder.path().join("asks.toml"), ASKS).expect("written");
    folder
}

/// Begins the run that asks, in a process of its own. Returns its id.
fn begin(folder: &Path) -> String {
    let output = Command::new(PROGRAM)
        .args(["--state-dir", "state", "run", "asks.toml", "--detach"])
        .current_dir(folder)
        .output()
        .expect("the program can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("an id").trim().to_owned()
}

/// Everything that was written, but for the titles, which end with the byte of the bell too.
fn without_titles(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw).into_owned();
    let mut parts = text.split("\u{1b}]2;");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('\u{7}').expect("the end of a title").1);
    }
    out
}

#[test]
fn a_run_that_asks_rings_and_notifies_once_and_nothing_else_does() {
    for (names, begins, ends) in [
        (&[("TERM", "foot")][..], "\u{1b}]777;notify;changeover;", "\u{1b}\\"),
        (&[("TERM", "xterm-kitty")], "\u{1b}]99;;changeover: ", "\u{1b}\\"),
        (&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")], "\u{1b}]9;", "\u{7}"),
        (&[("TERM", "xterm-256color")], "", ""),
    ] {
        let folder = place();
        let mut screen = Screen::start_in(names, Path::new(PROGRAM), &["--state-dir", "state"], folder.path(), 120, 40);
        screen.sees("LIVE");
        screen.send("5");
        screen.sees("[5 Runs]");
        let quiet = without_titles(&screen.raw());
        assert!(!quiet.contains('\u{7}') && !quiet.contains("\u{1b}]"), "nobody is needed yet: {quiet:?}");
        let run = begin(folder.path());
        screen.wait("the question", |shown| shown.contains("answers") && shown.contains("Go on"));
        // It is looked at again and again, and calls only once.
        screen.press_until(&["2"], "pane 2", |shown| shown.contains("[2 Runbooks]"));
        screen.press_until(&["3"], "pane 3", |shown| shown.contains("[3 Run]"));
        let said = format!("{run} asks: Go on, ^[]9;evil^G please?");
        let sequence = if begins.is_empty() { String::new() } else { format!("{begins}{said}{ends}") };
        let raw = without_titles(&screen.raw());
        let call = format!("\u{7}{sequence}");
        assert_eq!(raw.matches(&call).count(), 1, "{names:?}: {raw:?}");
        let rest = raw.replacen(&call, "", 1);
        assert!(!rest.contains('\u{7}') && !rest.contains("\u{1b}]"), "{names:?}: {rest:?}");
        screen.press_until(&["\u{1b}", "a", "\u{15}", "y", "\r"], "the end", |shown| shown.contains("done after"));
        let after = without_titles(&screen.raw());
        assert_eq!(after.matches('\u{7}').count(), raw.matches('\u{7}').count(), "an ending calls nobody");
        screen.send("q");
        assert_eq!(screen.ended(), 0);
    }
}
