//! The guided tour: what has happened advances it, and nothing else; it is there in the simulated world only.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::made::*;
use super::picture::{drawn, lines, text};
use crate::console::keys::Keymap;
use crate::console::tour::{Piece, Stop, Tour};
use crate::console::{Badge, Msg, Pane, State, update};
use crate::model::RunId;
use crate::run::sample::{self, Story};
use crate::run::{EventKind, PromptAnswer, PromptId, PromptKind};

/// The demo's screen with a tour that began before the made-up runs did.
fn toured() -> State {
    let mut state = full();
    state.badge = Badge::Simulated;
    state.runbooks.push(runbook("tidy-cache", "Empty the cache, once somebody has said so", "maintenance", 1));
    update(&mut state, Msg::Tour);
    let began = state.now - SignedDuration::from_mins(10);
    assert!(state.tour.is_some());
    state.tour = Some(Tour::begin(began));
    state
}

fn number(state: &State) -> Option<usize> {
    state.tour.as_ref().expect("a tour").number()
}

fn hint(state: &State) -> String {
    let pieces = state.tour.as_ref().expect("a tour").hint(state);
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Key(key) => format!("<{key}>"),
            Piece::Text(text) => text.to_owned(),
        })
        .collect()
}

fn open(state: &mut State, run: &RunId, story: Story, live: bool) {
    update(state, Msg::Opened { run: run.clone(), events: events(story), live });
    state.dialog = None;
}

fn other(number: u32) -> RunId {
    row(number, "tidy-cache", 1, 1, crate::style::Mark::Ok, "done").run
}

fn answered(story: Story) -> Story {
    let yes = EventKind::PromptAnswered { prompt: PromptId(1), answer: PromptAnswer::Proceed, by: sample::operator() };
    story.then(1, yes)
}

/// The tour with everything done up to this stop.
pub fn at_stop(stop: usize) -> State {
    let mut state = toured();
    if stop > 1 {
        open(&mut state, &sample::run_id(), running(), true);
        state.go(Pane::Run);
        update(&mut state, Msg::Tick(now()));
    }
    if stop > 2 {
        press(&mut state, "4");
    }
    if stop > 3 {
        open(&mut state, &sample::run_id(), done(), false);
    }
    if stop > 4 {
        open(&mut state, &other(70), answered(asks(restored(), PromptKind::Confirm, None)), true);
    }
    if stop > 5 {
        open(&mut state, &other(71), done(), false);
    }
    state
}

#[test]
fn each_stop_is_reached_by_what_has_happened_and_by_nothing_else() {
    let run = sample::run_id();
    let mut state = toured();
    let idle = |state: &mut State, stop: Option<usize>| {
        later(state, 3_600_000);
        press(state, "1 l l j 2 j k 3 5 6 ? esc");
        assert_eq!(number(state), stop, "keys or time alone went on: {}", hint(state));
    };
    idle(&mut state, Some(1));
    // A run that was there before the tour is none of it.
    let before = state.tour.replace(Tour::begin(now()));
    open(&mut state, &run, running(), true);
    assert_eq!(number(&state), Some(1));
    state.tour = before;
    update(&mut state, Msg::Tick(now()));
    assert_eq!(state.tour.as_ref().map(Tour::stop), Some(&Stop::Watch(run.clone())));
    idle(&mut state, Some(2));
    press(&mut state, "4");
    idle(&mut state, Some(3));
    let (sofar, all) = (events(running()).len(), events(done()));
    for event in &all[sofar..] {
        assert_eq!(number(&state), Some(3));
        update(&mut state, Msg::Event(run.clone(), event.clone()));
    }
    update(&mut state, Msg::Ended(run.clone(), None));
    idle(&mut state, Some(4));
    let asking = other(70);
    open(&mut state, &asking, asks(restored(), PromptKind::Confirm, None), true);
    idle(&mut state, Some(4));
    assert_eq!(hint(&state), "it asks, and waits as long as it takes: <a> answers");
    press(&mut state, "?");
    assert_eq!(hint(&state), "<esc> closes this");
    press(&mut state, "esc a");
    assert_eq!((number(&state), hint(&state).as_str()), (Some(4), "type <y> and then <enter>: the run goes on"));
    let answer = events(answered(asks(restored(), PromptKind::Confirm, None))).pop().expect("the answer");
    update(&mut state, Msg::Event(asking.clone(), answer));
    update(&mut state, Msg::Ended(asking, None));
    idle(&mut state, Some(5));
    open(&mut state, &run, done(), false);
    idle(&mut state, None);
    assert!(hint(&state).starts_with("that was it"));
}

#[test]
fn a_copy_that_does_not_end_well_is_begun_again() {
    let mut state = at_stop(3);
    assert_eq!(number(&state), Some(3));
    open(&mut state, &sample::run_id(), failed(), false);
    assert_eq!(number(&state), Some(1));
}

#[test]
fn the_way_to_a_start_is_shown_step_by_step() {
    let mut state = toured();
    assert_eq!(hint(&state), "<2> shows what can be carried out");
    press(&mut state, "2");
    assert_eq!(hint(&state), "<j> goes down to replicate: the copy");
    press(&mut state, "G");
    assert_eq!(hint(&state), "<k> goes up to replicate: the copy");
    press(&mut state, "g g j j j");
    assert_eq!(hint(&state), "<s> starts it; before anything is done it asks");
    press(&mut state, "?");
    assert_eq!(hint(&state), "<esc> closes this");
    press(&mut state, "esc s");
    assert_eq!(hint(&state), "both sites are asked what it would do");
    let plan = plan(&state, "replicate");
    update(&mut state, Msg::Planned(Box::new(plan)));
    assert_eq!(hint(&state), "what it does; to do it, type <y> and then <enter>");
    assert!(!press(&mut state, "y enter").is_empty(), "it is begun");
    assert_eq!(hint(&state), "it is about to begin");
    update(&mut state, Msg::Started(Err("no".into())));
    assert_eq!(hint(&state), "<esc> closes this");
    press(&mut state, "esc");
    state.runbook.filter = Some("restore".to_owned());
    assert_eq!(hint(&state), "<esc> shows all runbooks again");
}

#[test]
fn it_is_skipped_and_begun_again() {
    let mut state = at_stop(3);
    assert!(text(&state, (80, 24)).contains("Tour 3/5"));
    press(&mut state, "T");
    assert_eq!(state.tour, None);
    assert!(!text(&state, (80, 24)).contains("Tour"));
    press(&mut state, ":");
    typed(&mut state, "tour", 200);
    press(&mut state, "enter");
    assert_eq!(number(&state), Some(1));
}

#[test]
fn the_keys_are_those_of_the_user() {
    let file = |name: &str, keys: &[&str]| (name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect());
    let keys: BTreeMap<String, Vec<String>> = [file("runbooks", &["f2"]), file("start", &[])].into();
    let mut state = toured();
    state.settings.keys = Keymap::with(&keys).expect("good keys");
    assert_eq!(hint(&state), "<f2> shows what can be carried out");
    press(&mut state, "f2 j j j");
    assert_eq!(hint(&state), "<:start> starts it; before anything is done it asks");
}

#[test]
fn it_is_never_in_a_real_console() {
    for badge in [Badge::Live, Badge::Drill] {
        let mut state = full();
        state.badge = badge;
        update(&mut state, Msg::Tour);
        press(&mut state, "T");
        assert_eq!(state.tour, None, "{badge:?}");
        press(&mut state, ":");
        typed(&mut state, "tour", 200);
        assert!(text(&state, (80, 24)).contains("no action of this name"), "{badge:?}");
        press(&mut state, "enter");
        assert_eq!(state.tour, None, "{badge:?}");
        press(&mut state, "esc ?");
        assert!(!text(&state, (120, 100)).contains("tour"), "{badge:?}");
    }
}

#[test]
fn every_hint_is_whole_at_eighty_columns_and_hides_nothing() {
    for stop in 1..=6 {
        let state = at_stop(stop);
        let shown = lines(&drawn(&state, (80, 24)));
        assert!(shown[22].contains("Tour") && !shown[22].contains('…'), "{}", shown[22]);
        assert!(shown[22].ends_with("T ends the tour"), "{}", shown[22]);
        assert!(shown[23].contains("help"), "the last line is hidden: {}", shown[23]);
        let least = lines(&drawn(&state, (60, 15)));
        assert!(!least[13].contains('…'), "{}", least[13]);
        assert!(least[13].contains("Tour") && least[14].contains("open") | least[14].contains("follow"), "{least:?}");
    }
}

#[test]
fn pictures_of_the_tour() {
    for (name, state) in [("tour_first", at_stop(1)), ("tour_log", at_stop(3)), ("tour_over", at_stop(6))] {
        insta::assert_snapshot!(format!("{name}_80x24"), text(&state, (80, 24)));
    }
    insta::assert_snapshot!("tour_answer_120x40", text(&at_stop(4), (120, 40)));
    let mut asking = start_dialog("replicate");
    asking.badge = Badge::Simulated;
    update(&mut asking, Msg::Tour);
    insta::assert_snapshot!("tour_dialog_80x24", text(&asking, (80, 24)));
    insta::assert_snapshot!("tour_dialog_60x15", text(&asking, (60, 15)));
}
