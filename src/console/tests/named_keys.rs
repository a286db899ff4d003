//! Texts name the keys that are bound, and take those that they name.

use std::collections::{BTreeMap, BTreeSet};

use super::made::*;
use super::picture::text;
use super::tour::at_stop;
use crate::console::action::{ACTIONS, Action};
use crate::console::dialog::Dialog;
use crate::console::keys::{Keymap, parse_key};
use crate::console::{Effect, Msg, Pane, State, update};
use crate::run::{EventKind, PromptKind, sample};

/// Another chord for every action, of keys that none of them has usually.
fn others() -> Keymap {
    let letters = "abefgknoqrstvwxy";
    let chords = letters.chars().flat_map(|a| letters.chars().map(move |b| format!("ctrl-{a} ctrl-{b}")));
    let keys: BTreeMap<String, Vec<String>> =
        ACTIONS.iter().map(|entry| entry.name.to_owned()).zip(chords.map(|chord| vec![chord])).collect();
    assert_eq!(keys.len(), ACTIONS.len());
    Keymap::with(&keys).expect("keys that can be told apart")
}

/// No key for any action.
fn none() -> Keymap {
    Keymap::with(&ACTIONS.iter().map(|entry| (entry.name.to_owned(), Vec::new())).collect()).expect("no key")
}

fn act(mut state: State, actions: &[Action]) -> State {
    for action in actions {
        update(&mut state, Msg::Act(*action));
    }
    state
}

/// States that name keys, under these.
fn states(keys: &Keymap) -> Vec<State> {
    let with = |mut state: State| {
        state.settings.keys = keys.clone();
        state
    };
    let asking = || asks(restored(), PromptKind::Confirm, None);
    let mut states = vec![
        act(with(with_run(running(), true)), &[Action::Quit]),
        act(with(with_run(running(), true)), &[Action::QuitKeep]),
        act(with(with_run(running(), true)), &[Action::PauseRun]),
        act(with(with_run(running(), true)), &[Action::CancelRun]),
        act(with(with_run(failed(), false)), &[Action::ResumeRun]),
        act(with(with_run(asking(), true)), &[Action::RetryStep]),
        act(with(with_run(asking(), true)), &[Action::SkipStep]),
        act(with(with_run(asking(), true)), &[Action::Answer]),
        act(with(with_run(done(), false)), &[Action::Pane4, Action::SearchNext]),
        act(with(with_run(done(), false)), &[Action::Pane3, Action::Top, Action::Output, Action::SaveLog]),
        act(with(full()), &[Action::Help]),
        act(with(full()), &[Action::Open]),
        act(with(full()), &[Action::Palette]),
        with(start_dialog("restore")),
        with(start_dialog("replicate")),
    ];
    let failure = crate::model::Outcome::Failed { failure: refused() };
    let story = restored().start(ONE).start(TWO).end(500, ONE, failure, serde_json::json!({}));
    let story = story.end(500, TWO, crate::model::Outcome::Succeeded, serde_json::json!({}));
    states.push(act(with(with_run(story, true)), &[Action::Bottom, Action::RetryStep]));
    let mut left = act(with(with_run(asking(), true)), &[Action::Answer]);
    press(&mut left, "esc");
    let mut stopped = with(full());
    update(
        &mut stopped,
        Msg::Key(crate::console::Key { code: crate::console::KeyCode::Char('c'), ctrl: true, shift: false }),
    );
    let mut card = with(full());
    update(&mut card, Msg::Opened { run: sample::run_id(), events: events(asking()), live: true });
    let mut elsewhere = with(full());
    (elsewhere.runs[0].alive, elsewhere.runs[0].mark) = (true, crate::style::Mark::Ask);
    let mut scrolled = act(with(with_run(running(), true)), &[Action::Pane4, Action::Top]);
    scrolled.log.follow = false;
    for event in events(running().then(1, EventKind::Paused { by: sample::operator() })).into_iter().rev().take(1) {
        update(&mut scrolled, Msg::Event(sample::run_id(), event));
    }
    let empty = act(with(with_run(running(), true)), &[Action::Pane3, Action::Bottom, Action::Pane4, Action::Output]);
    states.extend([left, stopped, card, elsewhere, scrolled, empty]);
    for pane in Pane::ALL {
        let mut state = with(with_run(running(), true));
        state.go(pane);
        states.push(state.clone());
        states.push(act(state, &[Action::Down]));
        let mut filtered = with(full());
        filtered.go(pane);
        (filtered.runbook.filter, filtered.past.filter, filtered.point.filter) =
            (Some("re".to_owned()), Some("re".to_owned()), Some("p".to_owned()));
        states.push(filtered);
    }
    states.extend((1..=5).map(|stop| with(at_stop(stop))));
    states
}

/// Keys that are named with what they do, as in `a answers`.
fn named(state: &State, keys: &BTreeSet<String>) -> Vec<String> {
    const DO: [&str; 21] = [
        "again", "answers", "begins", "chooses", "copies", "drops", "ends", "finds", "follows", "goes", "in", "leaves",
        "lists", "opens", "says", "scroll", "saves", "shows", "starts", "stops", "tries",
    ];
    let mut found = Vec::new();
    for size in [(20, 5), (40, 12), (60, 15), (80, 24), (160, 50)] {
        let shown = text(state, size);
        let words: Vec<&str> = shown
            .split(|c: char| c.is_whitespace() || matches!(c, '│' | '[' | ']' | ',' | ';' | '.' | '('))
            .filter(|word| !word.is_empty())
            .collect();
        // The number of a pane is its name, and no key there.
        let named = words.windows(3).filter(|three| three[0] != "pane" && keys.contains(three[1]));
        found.extend(named.filter(|three| DO.contains(&three[2])).map(|three| three[1..].join(" ")));
    }
    found
}

/// The usual keys of one press that have a meaning of their own in no dialog.
fn usual() -> BTreeSet<String> {
    let keys = ACTIONS.iter().flat_map(|entry| entry.keys).filter(|key| !key.contains(' '));
    let in_dialogs = ["enter", "esc", "tab", "shift-tab", "up", "down", "left", "right", "pgup", "pgdn", "home", "end"];
    keys.filter(|key| !in_dialogs.contains(key)).map(|key| (*key).to_owned()).collect()
}

#[test]
fn no_text_names_a_key_that_is_not_bound() {
    let usual = usual();
    for keys in [others(), none()] {
        for state in states(&keys) {
            let found = named(&state, &usual);
            assert!(found.is_empty(), "{found:?} in\n{}", text(&state, (160, 50)));
        }
    }
    // With the usual keys there is much to be found.
    let found: BTreeSet<String> = states(&Keymap::default()).iter().flat_map(|state| named(state, &usual)).collect();
    for words in [
        "a answers",
        "q again",
        "Q again",
        "q leaves",
        "x in",
        "3 shows",
        "c goes",
        "f follows",
        "o shows",
        "/ begins",
        "R tries",
        "T ends",
        "2 shows",
        "a shows",
        "y copies",
    ] {
        assert!(found.contains(words), "{words} is not among {found:?}");
    }
}

#[test]
fn what_has_no_key_is_called_by_its_name_in_the_palette() {
    let mut state = with_run(asks(restored(), PromptKind::Confirm, None), true);
    state.settings.keys = none();
    assert!(text(&state, (120, 40)).contains("WAITS FOR YOU: :answer answers"));
    let mut quit = act(state, &[Action::Quit]);
    assert!(text(&quit, (120, 40)).contains(":quit again leaves"));
    // Where the palette would be out of sight, nothing is promised.
    update(&mut quit, Msg::Tick(now() + jiff::SignedDuration::from_secs(60)));
    assert!(!text(&quit, (40, 10)).contains("leaves"));
}

#[test]
fn the_card_and_the_small_screen_take_the_keys_that_they_name() {
    let press_chord = |state: &mut State, chord: &str| {
        let keys = chord.split(' ').map(|key| parse_key(key).expect("a key"));
        keys.flat_map(|key| update(state, Msg::Key(key))).collect::<Vec<Effect>>()
    };
    let keys = others();
    let mut small = full();
    small.settings.keys = keys.clone();
    update(&mut small, Msg::Resize(50, 10));
    assert!(text(&small, (50, 10)).contains(&format!("{} leaves", keys.hint(Action::Quit))));
    assert_eq!(press_chord(&mut small, "q"), []);
    assert_eq!(press_chord(&mut small, &keys.hint(Action::Help)), [], "nobody would see it");
    assert!(small.dialog.is_none());
    assert_eq!(press_chord(&mut small, &keys.hint(Action::Quit)), [Effect::Quit { keep: false }]);
    for (action, answers) in [(Action::Answer, true), (Action::Pane3, false)] {
        let mut card = full();
        card.settings.keys = keys.clone();
        let events = events(asks(restored(), PromptKind::Confirm, None));
        update(&mut card, Msg::Opened { run: sample::run_id(), events, live: true });
        let shown = text(&card, (80, 24));
        assert!(matches!(card.dialog, Some(Dialog::Card)) && shown.contains(&keys.hint(action)), "{shown}");
        press_chord(&mut card, &keys.hint(action));
        assert_eq!(matches!(card.dialog, Some(Dialog::Answer(_))), answers);
        assert_eq!(card.focus == Pane::Run, !answers);
        // What was no key of these closes it, and does nothing else.
        let mut closed = card.clone();
        closed.dialog = Some(Dialog::Card);
        assert_eq!(press_chord(&mut closed, "a"), []);
        assert!(closed.dialog.is_none());
    }
}
