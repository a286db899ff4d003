//! What people read, word for word: one made-up run for each way a run can end, in every mode.

mod screen;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use indicatif::ProgressDrawTarget;
use jiff::SignedDuration;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use screen::Screen;

use super::{Advice, Bars, Json, Listener, Plain, ending};
use crate::model::{CancelReason, Failure, FailureKind, NotRun, Outcome, RunOutcome, SafeText, Span, StepKey};
use crate::run::sample::{Story, operator, unit};
use crate::run::{Event, EventKind, Prompt, PromptAnswer, PromptId, PromptKind, RunState};
use crate::runbook::GuardLevel;
use crate::style::Look;

const SNAPSHOT: &str = "backup/snapshot@prod";
const INDEX: &str = "restore/index@bcp";
const ONE: &str = "restore/restart@bcp:app1";
const TWO: &str = "restore/restart@bcp:app2";

fn advice() -> Advice {
    Advice {
        program: "changeover --estate shop.toml".into(),
        folder: "/var/lib/changeover/shop/runs/0195500a".into(),
        can_be_resumed: true,
    }
}

fn step(key: &str) -> StepKey {
    unit(key).step
}

fn refused() -> Failure {
    Failure::new(
        FailureKind::Refused,
        "restore snapshot p-20260301t031500z of repository prod-to-bcp at 10.0.2.11:9200",
        "HTTP 503: {\"error\":\"all shards failed\"}\n\u{1b}]0;owned\u{7}second line",
    )
    .hint("look at `GET _cluster/allocation/explain` at 10.0.2.11:9200; when the disk has room again, resume")
}

/// The first stage, done in two minutes.
fn backed_up() -> Story {
    Story::begun()
        .stage("backup")
        .start(SNAPSHOT)
        .say(SNAPSHOT, "taking snapshot p-20260301t031500z")
        .progress(SNAPSHOT, 3_650_722_202, Some(10_737_418_240), "bytes")
        .end(
            130_000,
            SNAPSHOT,
            Outcome::Succeeded,
            json!({ "documents": 1_234_567, "indices": 12, "bytes": 10_737_418_240_u64, "uuid": "x" }),
        )
        .stage_ended("backup", Outcome::Succeeded)
        .stage("restore")
        .start(INDEX)
}

fn success() -> Story {
    backed_up()
        .end(62_000, INDEX, Outcome::Succeeded, json!({ "documents": 1_234_567, "indices": 12 }))
        .start(ONE)
        .start(TWO)
        .say(ONE, "restarting shop.service\nwaiting until it answers")
        .end(4_000, TWO, Outcome::Succeeded, json!({}))
        .end(300, ONE, Outcome::Succeeded, json!({}))
        .stage_ended("restore", Outcome::Succeeded)
        .over(RunOutcome::Done { warned: false })
}

fn warned() -> Story {
    let warnings = vec![
        "3 documents arrived while the snapshot was taken".into(),
        SafeText::line(
            "index shop-2019 has a mapping that the target's version no longer writes; it stays readable, and nothing has to be done before the next upgrade",
        ),
    ];
    backed_up()
        .end(
            62_000,
            INDEX,
            Outcome::Warned { warnings: warnings.clone() },
            json!({ "documents": 1_234_564, "estimated_bytes": 5 }),
        )
        .start(ONE)
        .end(4_000, ONE, Outcome::Succeeded, json!({}))
        .start(TWO)
        .end(4_000, TWO, Outcome::Succeeded, json!({}))
        .stage_ended("restore", Outcome::Warned { warnings })
        .over(RunOutcome::Done { warned: true })
}

fn not_run(story: Story, because: &NotRun) -> Story {
    [ONE, TWO].into_iter().fold(story, |story, key| {
        let outcome = Outcome::NotRun { because: because.clone() };
        let captures = serde_json::Map::new();
        story.then(1, EventKind::UnitEnded { unit: unit(key), attempt: 0, outcome, captures, retry_after: None })
    })
}

fn failed() -> Story {
    let again = EventKind::UnitEnded {
        unit: unit(INDEX),
        attempt: 1,
        outcome: Outcome::Failed { failure: Failure::new(FailureKind::Busy, "restore at 10.0.2.11:9200", "HTTP 429") },
        captures: serde_json::Map::new(),
        retry_after: Some(Span::seconds(10)),
    };
    let start = EventKind::UnitStarted { unit: unit(INDEX), attempt: 2, params: serde_json::Map::new() };
    let end = EventKind::UnitEnded {
        unit: unit(INDEX),
        attempt: 2,
        outcome: Outcome::Failed { failure: refused() },
        captures: serde_json::Map::new(),
        retry_after: None,
    };
    let story = backed_up().then(5_000, again).then(10_000, start).then(7_000, end);
    not_run(story, &NotRun::After(step(INDEX)))
        .stage_ended("restore", Outcome::Failed { failure: refused() })
        .over(RunOutcome::Failed { step: step(INDEX) })
}

fn unknown() -> Story {
    let failure = Failure::new(
        FailureKind::Unknown,
        "restart shop.service on bcp:app1",
        "the connection was lost after the request had been sent",
    )
    .hint("ask `systemctl status shop` on app1");
    backed_up()
        .end(62_000, INDEX, Outcome::Succeeded, json!({ "documents": 1_234_567 }))
        .start(ONE)
        .start(TWO)
        .end(4_000, TWO, Outcome::TimedOut { after: Span::seconds(4), failure: refused() }, json!({}))
        .end(300, ONE, Outcome::Unknown { failure: failure.clone() }, json!({}))
        .stage_ended("restore", Outcome::Unknown { failure })
        .over(RunOutcome::Stuck { unknown: vec![step(ONE)] })
}

fn cancelled() -> Story {
    let prompt = Prompt {
        id: PromptId(1),
        unit: unit(INDEX),
        kind: PromptKind::Confirm,
        message: "Restore over what is at the standby?".into(),
        level: GuardLevel::Reversible,
        phrase: None,
    };
    let by = CancelReason::OperatorNow;
    let story = backed_up()
        .then(1_000, EventKind::PromptOpened { prompt })
        .then(9_000, EventKind::PromptAnswered { prompt: PromptId(1), answer: PromptAnswer::Proceed, by: operator() })
        .then(1_000, EventKind::Paused { by: operator() })
        .then(1_000, EventKind::Continued { by: operator() })
        .then(1_000, EventKind::CancelRequested { reason: by, by: Some(operator()) })
        .end(500, INDEX, Outcome::Cancelled { by }, json!({}));
    not_run(story, &NotRun::Cancelled(by))
        .stage_ended("restore", Outcome::Cancelled { by })
        .over(RunOutcome::Cancelled { by })
}

/// The process was killed and the run has not been taken up again.
fn interrupted() -> Story {
    backed_up()
        .say(INDEX, "7 of 12 indices are open")
        .then(5_000, EventKind::SessionStarted { session: 2, pid: 7, by: operator() })
}

/// Tells a story to a listener, and gives the state at the end.
fn tell(listener: &mut dyn Listener, story: &Story) -> RunState {
    let mut state = RunState::create(&story.events[0]).expect("a first event");
    listener.event(&story.events[0], &state);
    for event in &story.events[1..] {
        state.apply(event).expect("a possible history");
        listener.event(event, &state);
    }
    listener.finish(&state, &advice());
    state
}

fn plain(story: &Story) -> String {
    let mut out = Vec::new();
    tell(&mut Plain::new(&mut out), story);
    String::from_utf8(out).expect("text")
}

fn stories() -> [(&'static str, Story); 6] {
    [
        ("success", success()),
        ("warned", warned()),
        ("failed", failed()),
        ("unknown", unknown()),
        ("cancelled", cancelled()),
        ("interrupted", interrupted()),
    ]
}

#[test]
fn plain_lines_say_everything_in_words() {
    for (name, story) in stories() {
        insta::assert_snapshot!(format!("plain_{name}"), plain(&story));
    }
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    for (name, story) in stories() {
        let text = plain(&story);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{name}");
        let colours = Look { attributes: true, color: true, ascii: false };
        let state = RunState::replay(&story.events).expect("a possible history");
        let page = ending(&state, &advice(), colours, 80);
        for escape in page.split('\u{1b}').skip(1) {
            assert!(escape.starts_with('[') && escape.contains('m'), "{name}: {escape:?}");
        }
    }
    assert!(plain(&failed()).contains("^[]0;owned^Gsecond line"));
}

#[test]
fn the_ending_fits_and_says_it_without_colour() {
    let looks = [
        Look::BARE,
        Look { attributes: true, ..Look::BARE },
        Look { ascii: true, ..Look::BARE },
        Look { attributes: true, color: true, ascii: false },
    ];
    for (name, story) in stories() {
        let state = RunState::replay(&story.events).expect("a possible history");
        for width in [40, 80, 200] {
            for line in ending(&state, &advice(), Look::BARE, width).lines() {
                let fits = line.width() <= width;
                // Commands and paths stay whole.
                let whole = ["log ", "record ", "resume "].iter().any(|name| line.trim_start().starts_with(name));
                let long_word = line.split_whitespace().any(|word| word.len() + 12 > width);
                let columns = line.contains("  ") && width < 80;
                assert!(fits || whole || long_word || columns, "{name} at {width}: {line}");
            }
        }
        let strip = |text: &str| {
            text.replace("\u{1b}[0m", "")
                .split('\u{1b}')
                .map(|part| match part.strip_prefix('[') {
                    Some(rest) => rest.split_once('m').map_or("", |(_, text)| text).to_owned(),
                    None => part.to_owned(),
                })
                .collect::<String>()
        };
        let [bare, attributes, ascii, color] = looks.map(|look| ending(&state, &advice(), look, 80));
        assert_eq!(strip(&attributes), bare, "{name}");
        assert_eq!(strip(&color), bare, "{name}");
        let ours = ascii.replace('…', "...");
        assert!(ours.is_ascii(), "{name}: {ascii}");
    }
    let state = RunState::replay(&unknown().events).expect("a possible history");
    insta::assert_snapshot!("ending_80", ending(&state, &advice(), Look::BARE, 80));
    insta::assert_snapshot!("ending_40", ending(&state, &advice(), Look::BARE, 40));
    insta::assert_debug_snapshot!(
        "ending_no_color",
        ending(&state, &advice(), looks[1], 80).lines().collect::<Vec<_>>()
    );
    insta::assert_debug_snapshot!("ending_color", ending(&state, &advice(), looks[3], 80).lines().collect::<Vec<_>>());
}

#[test]
fn json_is_the_record_itself() {
    for (name, story) in stories() {
        let mut out = Vec::new();
        tell(&mut Json::new(&mut out), &story);
        let lines: Vec<Event> = String::from_utf8(out)
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str(line).expect("an event"))
            .collect();
        assert_eq!(lines, story.events, "{name}");
    }
}

#[test]
fn silence_is_broken_every_half_minute() {
    let story = backed_up().progress(INDEX, 3, Some(12), "indices");
    let mut out = Vec::new();
    let mut listener = Plain::new(&mut out);
    let mut state = RunState::create(&story.events[0]).expect("a first event");
    for event in &story.events[1..] {
        state.apply(event).expect("a possible history");
        listener.event(event, &state);
    }
    let last = state.updated;
    for second in 1..=95 {
        listener.tick(last + SignedDuration::from_secs(second), &state);
    }
    let text = String::from_utf8(out).expect("text");
    let alive: Vec<&str> = text.lines().filter(|line| line.contains("ALIVE")).collect();
    assert_eq!(alive.len(), 3, "{alive:?}");
    assert!(alive[0].ends_with("ALIVE   restore/index@bcp: still running, 25% (3 of 12 indices)"), "{}", alive[0]);
}

#[test]
fn a_closed_pipe_silences_the_listener_and_nothing_else() {
    /// Fails after so many writes, and counts those that come later.
    struct Closed(usize, Arc<Mutex<usize>>);
    impl Write for Closed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 > 0 {
                self.0 -= 1;
                return Ok(bytes.len());
            }
            *self.1.lock().expect("unpoisoned") += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let failures = Arc::new(Mutex::new(0));
    tell(&mut Plain::new(Closed(7, Arc::clone(&failures))), &success());
    assert_eq!(*failures.lock().expect("unpoisoned"), 1, "it kept on writing");
}

fn bars(width: u16) -> (Bars, Screen) {
    let screen = Screen::new(width);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
    (Bars::new(target, Look::BARE, width.into()), screen)
}

#[test]
fn bars_leave_what_ended_and_the_page_behind() {
    for (name, story) in stories() {
        let (mut listener, screen) = bars(80);
        tell(&mut listener, &story);
        insta::assert_snapshot!(format!("bars_{name}"), screen.text());
    }
}

#[test]
fn bars_show_what_runs_now() {
    let story = backed_up()
        .end(62_000, INDEX, Outcome::Succeeded, json!({}))
        .start(ONE)
        .start(TWO)
        .say(ONE, "restarting shop.service\nwaiting until it answers")
        .progress(TWO, 5_368_709_120, Some(10_737_418_240), "bytes")
        .say(TWO, &"long ".repeat(40));
    let (mut listener, screen) = bars(60);
    let mut state = RunState::create(&story.events[0]).expect("a first event");
    listener.event(&story.events[0], &state);
    for event in &story.events[1..] {
        state.apply(event).expect("a possible history");
        listener.event(event, &state);
    }
    listener.tick(state.updated + SignedDuration::from_secs(90), &state);
    let text = screen.text();
    let moving: Vec<&str> = text.lines().filter(|line| line.starts_with("⠋ RUN")).collect();
    assert_eq!(
        moving,
        [
            "⠋ RUN restore/restart@bcp:app1  1m30s  waiting until it ans…",
            "⠋ RUN restore/restart@bcp:app2  1m30s  50% (5.0 GiB of 10.0…",
        ],
        "{text}"
    );
    assert!(text.lines().all(|line| line.width() <= 60), "{text}");
}
