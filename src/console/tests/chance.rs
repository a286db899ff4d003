//! Messages by chance: what keyboards, terminals, sites and runs can send, in any order.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::made::*;
use crate::console::dialog::Dialog;
use crate::console::facts::{DirectionFacts, PlanShown};
use crate::console::log::{Lines, LogFile, LogSource};
use crate::console::{Effect, Key, KeyCode, Msg, State, update};
use crate::health::Condition;
use crate::model::{Failure, FailureKind, SafeText};
use crate::run::PromptKind;
use crate::run::sample;

/// What terminals answer when they are asked, seconds too late and as if it had been typed.
const REPLIES: [&str; 7] = [
    "\u{1b}[?62;1;6;22c",
    "\u{1b}[24;80R",
    "\u{1b}]11;rgb:1e1e/1e1e/1e1e\u{1b}\\",
    "\u{1b}P1$r0m\u{1b}\\",
    "\u{1b}[I\u{1b}[O",
    "\u{1b}[?1;2cy\r",
    "\u{1b}_Gi=1;y\r\u{1b}\\",
];

const WORDS: [&str; 8] = ["y\n", "yes\n", "retry\n", "stop\n", "\u{1b}[2Jx", "生产🔥\u{202e}", "", "a\nb\tc"];

pub fn any_key(chance: &mut Rng) -> Key {
    let plain = |code| Key { code, ctrl: false, shift: false };
    match chance.u8(0..20) {
        0..=8 => plain(KeyCode::Char(char::from(chance.u8(b' '..=b'~')))),
        9 | 10 => plain(KeyCode::Enter),
        11 => plain(KeyCode::Esc),
        12 => plain(*chance.choice(&[KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right]).expect("a key")),
        13 => plain(*chance.choice(&[KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown]).expect("a key")),
        14 => {
            plain(*chance.choice(&[KeyCode::Tab, KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1)]).expect("a key"))
        }
        15 => Key { ctrl: true, ..plain(KeyCode::Char(char::from(chance.u8(b'a'..=b'z')))) },
        16 => Key { shift: true, ..plain(KeyCode::Tab) },
        17 => plain(KeyCode::Char(chance.char(..))),
        // The keys that lead somewhere, more often than by chance.
        _ => plain(KeyCode::Char(
            *chance.choice(&['y', 's', 'p', 'a', 'x', 'R', 'c', '2', '3', ':', 'j', 'k']).expect("a key"),
        )),
    }
}

/// The keys that a text becomes when a terminal sends it unasked.
fn as_keys(text: &str) -> Vec<Msg> {
    let key = |c: char| match c {
        '\u{1b}' => Key { code: KeyCode::Esc, ctrl: false, shift: false },
        '\r' | '\n' => Key { code: KeyCode::Enter, ctrl: false, shift: false },
        c => Key { code: KeyCode::Char(c), ctrl: false, shift: false },
    };
    text.chars().map(|c| Msg::Key(key(c))).collect()
}

fn any_health(chance: &mut Rng, now: Timestamp) -> Msg {
    let site = if chance.bool() { "bcp" } else { "prod" };
    let name = *chance.choice(&["app", "cache", "db", "search", "app1", "exchange"]).expect("a name");
    let result = match chance.u8(0..4) {
        0 => Err(Failure::new(FailureKind::Unknown, "look", "the way is broken")),
        1 => Err(Failure::new(FailureKind::Unreachable, "look", "refused")),
        2 => Ok(reading(Condition::Degraded, "so so", Some("not well"), f64::NAN)),
        _ => Ok(reading(Condition::Up, "well", None, chance.f64() * 1e15)),
    };
    let Msg::Health(mut seen) = answer(site, name, 0, result) else { unreachable!("an answer is about health") };
    seen.at = now;
    Msg::Health(seen)
}

/// The phrase that would do something, wherever one is asked for.
pub fn wanted(state: &State) -> String {
    match &state.dialog {
        Some(Dialog::Start(start)) => start.gate.phrase.to_string(),
        Some(Dialog::Confirm(confirm)) => confirm.gate.phrase.to_string(),
        Some(Dialog::Answer(answering)) => {
            let prompts = state.run.as_ref().map(|run| run.state.open_prompts().cloned().collect::<Vec<_>>());
            let prompt = prompts.into_iter().flatten().find(|prompt| prompt.id == answering.standing.prompt);
            prompt.and_then(|prompt| prompt.phrase).map_or_else(|| "y".to_owned(), |phrase| phrase.to_string())
        }
        _ => "y".to_owned(),
    }
}

fn any_lines(chance: &mut Rng) -> Msg {
    let source = LogSource::One(LogFile { run: sample::run_id(), unit: sample::unit(INDEX), attempt: 1 });
    let lines = (0..chance.usize(0..80)).map(|n| SafeText::line(&"x".repeat(n * 7 % 300)).into()).collect();
    Msg::Lines(Box::new(Lines {
        source: chance.bool().then_some(source),
        first: chance.u64(0..1_000_000),
        total: chance.u64(..),
        counted: chance.bool(),
        bytes: chance.u64(..),
        lines,
        found: chance.bool().then(|| chance.bool()),
        trouble: (chance.u8(0..8) == 0).then(|| SafeText::line("no such file")),
    }))
}

/// Some messages, in a row without a tick between them.
pub fn any_messages(chance: &mut Rng, state: &State) -> Vec<Msg> {
    match chance.u8(0..32) {
        0..=19 => vec![Msg::Key(any_key(chance))],
        20 => as_keys(chance.choice(&REPLIES).expect("a reply")),
        21 => as_keys(&format!("{}\r", wanted(state))),
        22 => vec![Msg::Paste(format!("{}\n", wanted(state)))],
        23 => vec![Msg::Paste((*chance.choice(&WORDS).expect("a word")).to_owned())],
        24 => vec![Msg::Resize(chance.u16(1..=300), chance.u16(1..=100))],
        25 => vec![any_health(chance, state.now)],
        26 => {
            let rows = runs().into_iter().skip(chance.usize(0..4)).collect();
            vec![Msg::Runs(rows)]
        }
        27 => {
            let direction = chance.bool().then(direction);
            let trouble = chance.bool().then(|| SafeText::line("prod does not answer"));
            vec![Msg::Direction(Box::new(DirectionFacts { direction, epoch: chance.bool().then_some(7), trouble }))]
        }
        28 => vec![any_lines(chance)],
        29 => {
            let (column, row) = (chance.u16(0..300), chance.u16(0..100));
            vec![Msg::Mouse { column, row, wheel: chance.i8(-3..=3) }]
        }
        30 => any_story(chance),
        _ => vec![
            Msg::Started(Err(SafeText::line("the lock is held"))),
            Msg::Ended(sample::run_id(), chance.bool().then(|| SafeText::line("the socket is gone"))),
        ],
    }
}

fn any_story(chance: &mut Rng) -> Vec<Msg> {
    let phrase = Some("restart bcp 7f3a");
    let story = match chance.u8(0..6) {
        0 => running(),
        1 => asks(restored(), PromptKind::Confirm, phrase),
        2 => asks(restored(), PromptKind::Failed, None),
        3 => failed(),
        4 => unknown(),
        _ => done(),
    };
    let mut events = events(story);
    let rest = events.split_off(chance.usize(1..=events.len()));
    let mut messages = vec![Msg::Opened { run: sample::run_id(), events, live: chance.bool() }];
    messages.extend(rest.into_iter().map(|event| Msg::Event(sample::run_id(), event)));
    messages
}

/// What comes back for an effect, or came back for one before it.
pub fn answers(effect: &Effect, state: &State) -> Option<Msg> {
    let Effect::Plan(request) = effect else { return None };
    let params = request.params.clone();
    Some(Msg::Planned(Box::new(PlanShown { params, ..plan(state, request.runbook.as_str()) })))
}

/// Goes on for some messages, with time between them, and hands every effect over.
pub fn go_on(chance: &mut Rng, state: &mut State, count: usize, mut look: impl FnMut(&State, &Effect)) {
    let mut done = 0;
    while done < count {
        let gap = *chance.choice(&[0, 0, 1, 20, 40, 120, 700, 20_000]).expect("a gap");
        let now = state.now.checked_add(SignedDuration::from_millis(gap)).expect("not so late");
        update(state, Msg::Tick(now));
        let messages = any_messages(chance, state);
        for message in messages {
            let before = state.clone();
            done += 1;
            for effect in update(state, message) {
                look(&before, &effect);
                if let Some(answer) = answers(&effect, state) {
                    update(state, answer);
                }
            }
        }
    }
}
