//! The screen in a real terminal over a made-up world that breaks when it is told to: what becomes of the terminal, and
//! what is said in it afterwards.

use std::path::PathBuf;

use clap::Parser as _;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::cli::args::{Args, Command};
use crate::cli::console::ground::Preferences;
use crate::cli::console::settings;
use crate::cli::load::Places;
use crate::cli::{Io, block_on};
use crate::console::Badge;
use crate::console::facts::{EstateFacts, RunRow};
use crate::model::SiteName;
use crate::run::sample;
use crate::style::Mark;
use crate::systems::catalogue;
use pty::Screen;

#[expect(dead_code, reason = "the tests of the terminal use the rest")]
#[path = "../../../../tests/terminal/screen.rs"]
mod pty;

/// What gives a terminal back that the screen has had, and nothing else.
const GIVEN_BACK: &str = "\u{1b}[?2026l\u{1b}[?1006l\u{1b}[?1015l\u{1b}[?1003l\u{1b}[?1002l\u{1b}[?1000l\
                          \u{1b}[?2004l\u{1b}[23;2t\u{1b}[?1049l\u{1b}[?25h";
/// Text from outside, in the words of a panic.
const SAID: &str = "no such host: \u{1b}[2J\u{1b}]0;owned\u{7}";
const SAID_SAFELY: &str = "changeover has a defect: no such host: ^[[2J^[]0;owned^G\r\n  at ";
/// What the tests call the thread that they run the program in.
const THIS: &str = "cli::console::screen::tests::program";

fn run_row() -> RunRow {
    RunRow {
        run: "r-20260301t031500z".parse().expect("an id"),
        runbook: SafeText::line("replicate"),
        title: SafeText::line("Copy"),
        mode: SafeText::line("replicate"),
        direction: SafeText::line("prod -> bcp"),
        by: SafeText::line("somebody"),
        began: jiff::Timestamp::UNIX_EPOCH,
        took: Duration::from_secs(1),
        word: SafeText::line("running"),
        mark: Mark::Run,
        alive: true,
        resumable: false,
        stages: std::collections::BTreeMap::new(),
        point: None,
    }
}

/// No test: the program that the tests run in a terminal. Its one argument, what is to break, is in its environment.
#[test]
#[ignore = "the tests beside it run it in a terminal"]
fn program() {
    let breaks = std::env::var("BREAKS").expect("what is to break");
    let here = PathBuf::from(".");
    let Args { global, command: Some(Command::Console(args)) } =
        Args::try_parse_from(["changeover", "console"]).expect("good words")
    else {
        panic!("another command");
    };
    let mut app = App { global, places: Places::default(), io: Io::from_environment(), catalogue: catalogue() };
    let settings = settings::settings(&mut app, &args).expect("settings");
    let estate = EstateFacts { name: SafeText::line("shop"), sites: Vec::new(), rpo: None };
    let state = State::new(estate, Badge::Live, sample::operator(), settings, jiff::Timestamp::now());
    let (tell, tells) = mpsc::unbounded_channel();
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let known = if breaks.ends_with("no run is known") {
        Msg::Told { text: SafeText::line("nothing can be looked at"), bad: false }
    } else {
        Msg::Runs(vec![run_row()])
    };
    tell.send(known).expect("it is heard");
    let store = Store::open(&here.join("state"), &SiteName::new("shop").expect("a name")).expect("a record");
    // The screen reads the file of its theme by itself once it has been written.
    let themes = Themes { read: Box::new(|_| panic!("{SAID}")), folder: Some(here) };
    let preferences = Preferences { read: Box::new(|| Err(SafeText::line("never read"))), file: None };
    let exit = block_on(async {
        match breaks.as_str() {
            "a thread" => drop(std::thread::Builder::new().name("helper".to_owned()).spawn(move || {
                assert!(ordered.blocking_recv().is_none(), "{SAID}");
            })),
            _ => drop(tokio::spawn(async move {
                assert!(ordered.recv().await.is_none(), "{SAID}");
            })),
        }
        let left = show(state, Ground { tells, orders, store, own_time: false, themes, preferences }).await?;
        if breaks == "the demo" { left.farewell_of_demo(&mut app) } else { left.farewell(&mut app, "changeover") }
    });
    std::process::exit(i32::from(exit.unwrap_or_else(|error| error.print(&mut app.io)).code()));
}

struct Played {
    screen: Screen,
    folder: TempDir,
}

/// The program in a terminal, once it has heard of the run that it cannot look at, or that there is nothing.
fn played(breaks: &str) -> Played {
    let folder = tempfile::tempdir().expect("a folder");
    let program = std::env::current_exe().expect("this program");
    let names = [("TERM", "xterm-256color"), ("BREAKS", breaks)];
    let args = ["--exact", "cli::console::screen::tests::program", "--ignored", "--nocapture"];
    let screen = Screen::start_in(&names, &program, &args, folder.path(), 80, 24);
    screen.sees("be looked at");
    Played { screen, folder }
}

/// What becomes of the terminal, what is said, and how the program ends.
#[track_caller]
fn ends(breaks: &str, told: impl FnOnce(&mut Played), thread: &str, became: &str) {
    let mut played = played(breaks);
    told(&mut played);
    assert_eq!(played.screen.ended(), 1, "{breaks}");
    let last = played.screen.last_words();
    let said = last.strip_prefix(GIVEN_BACK).unwrap_or_else(|| panic!("{breaks}: {last:?}"));
    assert!(said.starts_with(SAID_SAFELY), "{breaks}: {said:?}");
    let (place, rest) = said[SAID_SAFELY.len()..].split_once(", in the thread ").expect("a thread");
    assert!(place.starts_with(file!()), "{breaks}: {place:?}");
    let how = "; with RUST_BACKTRACE=1 it is said how it came there\r\n";
    assert_eq!(
        rest,
        format!("{thread}{how}the console was ended by this defect\r\n{}", became.replace('\n', "\r\n")),
        "{breaks}"
    );
    assert!(played.screen.is_set_as_before(), "{breaks}");
    // Until then the picture was the screen's alone.
    let all = String::from_utf8_lossy(&played.screen.raw()).into_owned();
    assert_eq!(all.matches("has a defect").count(), 1, "{breaks}: {all:?}");
}

const GOES_ON: &str =
    "r-20260301t031500z goes on; watch it: changeover attach r-20260301t031500z, or open the console again\n";

fn refreshes(played: &mut Played) {
    played.screen.send("r");
}

#[test]
fn a_panic_of_the_screen_gives_the_terminal_back_and_says_where_to_go_on() {
    // It reads the file of its theme by itself.
    ends(
        "the screen",
        |played| std::fs::write(played.folder.path().join("dark.toml"), "").expect("written"),
        THIS,
        GOES_ON,
    );
}

#[test]
fn a_panic_beside_the_screen_ends_it_in_order() {
    ends("a task", refreshes, "tokio-rt-worker", GOES_ON);
    ends("a thread", refreshes, "helper", GOES_ON);
    let list = "a run may go on without it: changeover runs list\n";
    ends("a task, and no run is known", refreshes, "tokio-rt-worker", list);
}

#[test]
fn a_panic_in_the_demo_says_what_became_of_its_run() {
    let became = "the simulated world has ended; its runs are kept: changeover runs list\n\
                  r-20260301t031500z was cut off with it, unfinished\n";
    ends("the demo", refreshes, "tokio-rt-worker", became);
}
