//! What the journal promises, proved on real files, with real processes that are really killed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "processes started by a test talk to it")]

mod crash;
mod damage;
mod locks;
mod output;
mod retention;
mod round_trip;
mod store;

use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::Store;
use crate::model::{RunId, SafeText, SiteName};
use crate::run::sample::{self, Story};
use crate::run::{Event, EventKind};

/// Says which part a test executable that was started again plays.
const PART: &str = "CHANGEOVER_TEST_PART";
/// Where it plays it.
const STAGE: &str = "CHANGEOVER_TEST_STAGE";

fn store(state: &Path) -> Store {
    Store::open(state, &SiteName::new("shop").expect("a name")).expect("a store")
}

fn run(id: &str) -> RunId {
    RunId::new(id).expect("a run id")
}

/// The first event of a made-up run of this id, and then so many facts.
fn events(id: &str, facts: u64) -> Vec<Event> {
    let mut story = Story::begun();
    if let EventKind::RunCreated { run: created, .. } = &mut story.events[0].kind {
        *created = run(id);
    }
    (0..facts).fold(story, |story, _| story.then(10, EventKind::Paused { by: sample::operator() })).events
}

/// A fact with this number.
fn fact(seq: u64) -> Event {
    let by = crate::run::Operator { name: SafeText::line(&format!("ops{seq}@app1")), ..sample::operator() };
    Event { seq, at: Timestamp::UNIX_EPOCH, elapsed_ms: seq, kind: EventKind::Continued { by } }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// This test executable again, to play `part` in `stage`.
fn another_process(part: &str, stage: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    command
        .args(["--exact", "journal::tests::plays_a_part", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env(STAGE, stage)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// Not a test of its own: what the started-again executable does. Without a part it has nothing to do.
#[test]
fn plays_a_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let stage = std::path::PathBuf::from(std::env::var(STAGE).expect("a stage"));
    match part.as_str() {
        "append for ever" => crash::append_for_ever(&stage),
        "fill the disk" => crash::fill_the_disk(&stage),
        "hold the estate" => locks::hold_the_estate(&stage),
        "hold a run" => locks::hold_a_run(&stage),
        other => panic!("unknown part {other}"),
    }
}
