//! The console in a real terminal, on the demo's simulated world.

mod attention;
mod demo;
mod files;
mod plain;
mod screen;
mod status;

use std::path::Path;

use nix::sys::signal::Signal;
use screen::Screen;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_changeover");

struct Demo {
    screen: Screen,
    folder: TempDir,
}

/// The demo, once its world is ready.
fn opened(width: u16, height: u16) -> Demo {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let state = state.to_str().expect("a path").to_owned();
    let args = ["--state-dir", &state, "demo", "--speed", "20"];
    let screen = Screen::start(Path::new(PROGRAM), &args, folder.path(), width, height);
    screen.sees("last copy 4m");
    Demo { screen, folder }
}

/// The sequences that give a terminal back: bracketed paste off, the usual screen, the cursor.
fn is_given_back(raw: &[u8]) -> bool {
    ["\u{1b}[?2004l", "\u{1b}[?1049l", "\u{1b}[?25h"].iter().all(|sequence| {
        let off = raw.windows(sequence.len()).rposition(|window| window == sequence.as_bytes());
        let on = sequence.replace('l', "h");
        let on = if on == *sequence { "\u{1b}[?25l".to_owned() } else { on };
        let last_on = raw.windows(on.len()).rposition(|window| window == on.as_bytes());
        matches!((off, last_on), (Some(off), Some(on)) if off > on)
    })
}

#[test]
fn every_pane_is_shown_and_the_terminal_is_given_back() {
    let mut demo = opened(120, 40);
    let screen = &mut demo.screen;
    assert!(screen.is_full());
    assert!(screen.shown().contains("SIMULATED"));
    for (key, title) in [
        ("2", "[2 Runbooks]"),
        ("3", "[3 Run]"),
        ("4", "[4 Log]"),
        ("5", "[5 Runs]"),
        ("6", "[6 Points]"),
        ("1", "[1 Sites]"),
        ("?", " Help "),
    ] {
        screen.send(key);
        screen.sees(title);
    }
    screen.send("\u{1b}");
    screen.wait("the help is closed", |shown| !shown.contains(" Help "));
    screen.send("q");
    assert_eq!(screen.ended(), 0);
    screen.wait("the farewell", |shown| shown.contains("the simulated world has ended"));
    let raw = screen.raw();
    assert!(is_given_back(&raw), "{:?}", String::from_utf8_lossy(&raw[raw.len().saturating_sub(200)..]));
    // It asks the terminal nothing: a late answer would be typed into whatever has the focus then.
    for question in ["\u{1b}[6n", "\u{1b}[c", "\u{1b}[0c", "\u{1b}[>c", "\u{1b}]11;?", "\u{1b}[?u"] {
        assert!(!raw.windows(question.len()).any(|window| window == question.as_bytes()), "{question:?}");
    }
}

/// Opens the question whether to begin `replicate`.
fn ask_to_replicate(screen: &mut Screen) {
    // Nothing can be begun before the sites have said which of them is active.
    screen.sees("epoch 1");
    screen.send("2");
    screen.sees("[2 Runbooks]");
    screen.send("ggj");
    screen.send("s");
    screen.sees("enter makes the plan");
    screen.press_until(&["\r"], "the plan", |shown| shown.contains("start replicate?"));
}

#[test]
fn a_run_is_begun_by_typing_and_by_nothing_else() {
    let mut demo = opened(120, 40);
    let screen = &mut demo.screen;
    ask_to_replicate(screen);
    // Enter alone, a paste of the answer, and what terminals send late.
    screen.press_until(&["\r"], "the refusal of enter", |shown| shown.contains("enter alone does nothing"));
    screen.send("\u{1b}[200~y\r\u{1b}[201~");
    screen.sees("a paste is not taken here");
    for late in ["\u{1b}[?62;22c", "\u{1b}[12;40R", "\u{1b}]11;rgb:1e1e/1e1e/2e2e\u{1b}\\", "\u{1b}P>|tmux 3.4\u{1b}\\"]
    {
        screen.send(late);
    }
    screen.send("\u{1b}[B");
    assert!(!screen.shown().contains("running"), "{}", screen.shown());
    // Whatever of that was taken for typing is taken out again.
    if !screen.shown().contains("start replicate?") {
        screen.press_until(&["\u{1b}"], "the panes", |shown| shown.contains("s start"));
        ask_to_replicate(screen);
    }
    screen.press_until(&["\u{15}", "y", "\r"], "the run", |shown| shown.contains("[3 Run]"));
    screen.wait("its end", |shown| shown.contains("done") && shown.contains("ended: done"));
    screen.send("5");
    screen.wait("the run in the list of runs", |shown| shown.matches("replicate").count() >= 2);
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}

/// The console in lines: no screen is taken, no cursor moved, no colour used, and the guards are those of the screen.
#[test]
fn in_lines_it_tells_and_is_told_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let state = state.to_str().expect("a path").to_owned();
    let args = ["--state-dir", &state, "demo", "--speed", "20", "--plain"];
    let mut screen = Screen::start(Path::new(PROGRAM), &args, folder.path(), 200, 200);
    screen.sees("SIMULATED shop: `help` lists");
    screen.press_until(&["sites\r"], "the sites", |shown| shown.contains("bcp can take over"));
    screen.send("runs\r");
    screen.sees("replicate prod -> bcp: done");
    screen.send("nonsense \u{1b}[2J\r");
    screen.sees("that is none of the commands: nonsense");
    screen.send("run replicate\r");
    screen.sees("To do it, type y and then enter");
    screen.send("\r");
    screen.sees("an empty line does nothing");
    screen.press_until(&["yes\r"], "the refusal of another word", |shown| shown.contains("that is not y"));
    screen.send("no\r");
    screen.sees("given up: nothing was done");
    screen.send("run replicate deep=false\r");
    screen.wait("the question again", |shown| shown.matches("To do it, type y").count() == 2);
    assert!(!screen.shown().contains("STAGE"), "a run has begun by itself: {}", screen.shown());
    screen.press_until(&["y\r"], "the run", |shown| shown.contains("STAGE   test-source"));
    screen.wait("its end", |shown| shown.contains("END     done"));
    screen.send("quit\r");
    assert_eq!(screen.ended(), 0);
    let raw = String::from_utf8_lossy(&screen.raw()).into_owned();
    // What was typed comes back from the terminal itself, its escape as `^[`.
    assert!(!raw.contains('\u{1b}'), "{raw:?}");
}

#[test]
fn a_storm_of_sizes_leaves_a_whole_picture() {
    let mut demo = opened(80, 24);
    let screen = &mut demo.screen;
    for step in 0..60_u16 {
        let (width, height) = (2 + (step * 37) % 250, 2 + (step * 23) % 90);
        screen.resize(width, height);
    }
    screen.resize(40, 12);
    screen.sees("SIMULATED 40x12: needs 60x15; q leaves");
    assert!(screen.shown().contains("SIMULATED"));
    screen.resize(60, 15);
    screen.sees("[1 Sites]");
    screen.resize(100, 30);
    screen.wait("all panes", |shown| shown.contains("[1 Sites]") && shown.contains("[4 Log]"));
    screen.send("q");
    assert_eq!(screen.ended(), 0);
    assert!(is_given_back(&screen.raw()));
}

/// The lines of what is shown, without the clock and what has an age.
fn frame(shown: &str) -> Vec<String> {
    shown.lines().filter(|line| line.starts_with(['┌', '└'])).map(str::to_owned).collect()
}

#[test]
fn a_held_picture_is_drawn_anew_at_every_size() {
    let mut demo = opened(120, 40);
    let screen = &mut demo.screen;
    let whole = frame(&screen.shown());
    assert!(whole.len() >= 4, "{whole:#?}");
    screen.send("F");
    screen.sees("HELD STILL");
    screen.resize(90, 26);
    screen.wait("the held picture at the new size", |shown| {
        shown.contains("HELD STILL") && frame(shown).iter().all(|line| line.chars().count() == 90)
    });
    screen.resize(120, 40);
    screen.wait("the held picture as it was", |shown| shown.contains("HELD STILL") && frame(shown) == whole);
    // Garbage from elsewhere goes with ctrl-l, and the picture is still held.
    screen.scribble("garbage on the screen");
    screen.sees("garbage on the screen");
    screen.send("\u{c}");
    screen.wait("a clean picture", |shown| shown.contains("HELD STILL") && !shown.contains("garbage"));
    screen.send("j");
    screen.wait("what is", |shown| !shown.contains("HELD STILL") && frame(shown) == whole);
    // There and back at once: the terminal has cut its lines, and the program may have seen one size only.
    screen.resize(70, 20);
    screen.resize(120, 40);
    screen.wait("a whole picture", |shown| frame(shown) == whole);
    screen.send("q");
    assert_eq!(screen.ended(), 0);
    assert!(is_given_back(&screen.raw()));
}

/// To the byte: what gives the terminal back, what is said, and nothing else. The terminal is set as it was.
#[test]
fn nothing_is_left_in_the_terminal() {
    const GIVEN_BACK: &str = "\u{1b}[?1006l\u{1b}[?1015l\u{1b}[?1003l\u{1b}[?1002l\u{1b}[?1000l\u{1b}[?2004l\
                              \u{1b}[23;2t\u{1b}[?1049l\u{1b}[?25h";
    for (key, signal, said) in [
        (Some("q"), None, ""),
        (None, Some(Signal::SIGTERM), "the console was ended by SIGTERM\r\n"),
        (None, Some(Signal::SIGHUP), "the console was ended by SIGHUP\r\n"),
    ] {
        let mut demo = opened(100, 30);
        let state = demo.folder.path().join("state/demo");
        let screen = &mut demo.screen;
        assert!(!screen.is_set_as_before());
        if let Some(key) = key {
            screen.send(key);
        }
        if let Some(signal) = signal {
            screen.signal(signal);
        }
        assert_eq!(screen.ended(), 0, "{said}");
        let world = format!(
            "the simulated world has ended; its runs are kept: changeover --estate {0}/estate.toml --state-dir {0} runs list\r\n",
            state.display()
        );
        assert_eq!(screen.last_words(), format!("\u{1b}[?2026l{GIVEN_BACK}{said}{world}"));
        assert!(screen.is_set_as_before(), "{said}");
        let raw = String::from_utf8_lossy(&screen.raw()).into_owned();
        // The title is kept once, before it gets another one.
        let kept: Vec<usize> = raw.match_indices("\u{1b}[22;2t").map(|(at, _)| at).collect();
        let titled = raw.find("\u{1b}]2;SIMULATED").expect("a title");
        assert!(matches!(kept[..], [at] if at < titled), "{kept:?} {titled}");
    }
}

/// Without a terminal of its own the program gets no signal either.
#[test]
fn a_terminal_that_goes_is_an_end_as_good_as_any() {
    for its_own in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let args = ["--state-dir", state.to_str().expect("a path"), "demo", "--speed", "20"];
        let mut command = Screen::command(&[("TERM", "xterm-256color")], Path::new(PROGRAM), &args, folder.path());
        command.set_controlling_tty(its_own);
        let mut screen = Screen::spawn(command, 100, 30);
        screen.sees("last copy 4m");
        screen.hang_up();
        assert_eq!(screen.ended(), 0, "its own: {its_own}");
    }
}

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let mut demo = opened(100, 30);
        let screen = &mut demo.screen;
        screen.signal(signal);
        assert_eq!(screen.ended(), 0, "{signal}");
        screen.wait("why it ended", |shown| shown.contains(&format!("the console was ended by {signal}")));
        assert!(!screen.is_full(), "{signal}");
        assert!(is_given_back(&screen.raw()), "{signal}");
    }
}

/// Option over configuration over what is usual; and the first `:mouse` turns round what is so.
#[test]
fn the_mouse_is_taken_as_it_was_chosen() {
    let (on, off) = ("\u{1b}[?1000h", "\u{1b}[?1000l");
    for (config, options, taken) in [
        ("", &[][..], false),
        ("", &["--mouse"], true),
        ("[screen]\nmouse = true\n", &[], true),
        ("[screen]\nmouse = true\n", &["--mouse=false"], false),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("changeover");
        std::fs::create_dir(&own).expect("a folder");
        std::fs::write(own.join("config.toml"), config).expect("written");
        let state = folder.path().join("state");
        let (config_home, state) = (folder.path().to_str().expect("a path"), state.to_str().expect("a path"));
        let names = [("TERM", "xterm-256color"), ("XDG_CONFIG_HOME", config_home)];
        let args = [&["--state-dir", state, "demo", "--speed", "20"], options].concat();
        let mut screen = Screen::start_in(&names, Path::new(PROGRAM), &args, folder.path(), 100, 30);
        screen.sees("last copy 4m");
        let count = |screen: &Screen, text: &str| String::from_utf8_lossy(&screen.raw()).matches(text).count();
        assert_eq!((count(&screen, on), count(&screen, off)), (usize::from(taken), 0), "{config:?} {options:?}");
        screen.send(":");
        screen.sees(" Palette");
        screen.send("mouse");
        screen.press_until(&["\r"], "the panes", |shown| !shown.contains(" Palette"));
        assert_eq!((count(&screen, on), count(&screen, off)), (1, usize::from(taken)), "{config:?} {options:?}");
        screen.send("q");
        assert_eq!(screen.ended(), 0);
    }
}

/// A terminal that has sixteen colours is asked for no others, and one without any for none; bold and reverse stay.
#[test]
fn colours_are_asked_for_as_the_terminal_has_them() {
    for (term, no_colour, wanted) in
        [("linux", "", Some("16")), ("xterm-256color", "", Some("256")), ("linux", "1", None)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let args = ["--state-dir", state.to_str().expect("a path"), "demo", "--speed", "20"];
        let names = [("TERM", term), ("NO_COLOR", no_colour)];
        let mut screen = Screen::start_in(&names, Path::new(PROGRAM), &args, folder.path(), 100, 30);
        screen.sees("last copy 4m");
        screen.send("q");
        assert_eq!(screen.ended(), 0);
        let all = screen.all();
        let looks: Vec<Vec<&str>> = all
            .split("\u{1b}[")
            .filter_map(|part| part.split_once('m'))
            .filter(|(codes, _)| codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
            .map(|(codes, _)| codes.split(';').collect())
            .collect();
        let has = |code: &str| looks.iter().any(|codes| codes.contains(&code));
        let is_named = |code: &&str| code.parse().is_ok_and(|code: u8| matches!(code, 30..=37 | 40..=47 | 90..=107));
        assert!(has("1"), "{term}: bold");
        assert_eq!(has("38") || has("48"), wanted == Some("256"), "{term}: {looks:?}");
        assert_eq!(looks.iter().flatten().any(is_named), wanted == Some("16"), "{term}: {looks:?}");
    }
}

#[test]
fn ctrl_z_gives_the_shell_back_and_fg_the_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let line = format!(
        "set -m; '{PROGRAM}' --state-dir '{}' demo --speed 20; echo STOPPED; read -r again; fg %1; echo BACK",
        state.display()
    );
    let mut screen = Screen::start(Path::new("/bin/bash"), &["-c", &line], folder.path(), 100, 30);
    screen.sees("last copy 4m");
    screen.send("\u{1a}");
    screen.sees("STOPPED");
    assert!(!screen.is_full(), "the shell has the usual screen");
    screen.send("\n");
    screen.sees("SIMULATED");
    assert!(screen.is_full());
    screen.send("q");
    screen.sees("BACK");
    assert!(is_given_back(&screen.raw()));
}

#[test]
fn without_a_terminal_it_says_what_does_not_need_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = std::process::Command::new(PROGRAM)
        .args(["console"])
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the console needs a terminal"), "{said}");
}
