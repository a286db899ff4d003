//! A story on the screen: its briefing, its clock, what is noted, and its card.

use jiff::SignedDuration;

use super::made::*;
use super::picture::{drawn, lines, text};
use crate::console::dialog::Dialog;
use crate::console::story::{Briefing, StoryNews, StoryOrder, StoryPhase};
use crate::console::{Badge, Effect, Msg, Pane, State, update};
use crate::model::{SafeText, Span};

const CARD: &str = "\
source-dies: The active site goes dark in the middle of a copy

  broke        02:02:00  site prod goes dark: every host and every server of it
  noticed      02:02:05  after 5s: transfer/carry@prod said: prod:app1 does not answer
  decided      02:02:40  after 40s: the operator stops the run at once
  acted        02:02:40  after 40s: the operator stops the run at once
  done         02:05:00  after 3m: bcp serves a whole copy, by restore
  green        02:05:00  after 3m: bcp is well, with a whole copy
  data lost    152 documents, 14 files, 160 rows: prod had them, bcp has not
               nothing better was possible: the newest whole copy was 5m5s old then
  wrong turns  none
";

fn briefing() -> Msg {
    let source = crate::scenario::shipped("network-splits-one-way").expect("it is shipped");
    let (scenario, _) = crate::scenario::examine(&source, &["replicate"]).into_result().expect("a good scenario");
    Msg::Story(StoryNews::Briefed(Box::new(Briefing {
        name: SafeText::line(scenario.name.as_str()),
        text: SafeText::block(&crate::scenario::briefing(&scenario, 4.0)),
        ends_after: Span::seconds(3600),
    })))
}

/// The demo's screen without a story.
fn demo() -> State {
    let mut state = full();
    state.badge = Badge::Simulated;
    // The title says so from now on.
    update(&mut state, Msg::Tick(now()));
    state
}

/// The screen with the briefing of a story.
pub fn briefed() -> State {
    let mut state = demo();
    assert_eq!(update(&mut state, briefing()), []);
    state
}

/// The same when it has been closed.
pub fn playing() -> State {
    let mut state = briefed();
    press(&mut state, "enter");
    state
}

fn over(state: &mut State) {
    update(state, Msg::Story(StoryNews::Over { card: SafeText::block(CARD), won: true }));
}

fn notes(effects: &[Effect]) -> Vec<&str> {
    let note = |effect| match effect {
        &Effect::Story(StoryOrder::Note(ref text)) => Some(text.as_str()),
        _ => None,
    };
    effects.iter().filter_map(note).collect()
}

#[test]
fn it_begins_when_the_briefing_is_closed_and_not_before() {
    for close in ["enter", "esc", "q"] {
        let mut state = briefed();
        // Reading takes no time of the story, and scrolling is no closing.
        assert_eq!(press(&mut state, "j j k"), [], "{close}");
        later(&mut state, 60_000);
        let effects = press(&mut state, close);
        assert_eq!(effects, [Effect::Story(StoryOrder::Begin)], "{close}");
        let began = state.now;
        let keys = press(&mut state, "2 j esc");
        assert_eq!(keys, [const { Effect::Story(StoryOrder::Key) }; 3], "it begins once");
        assert_eq!(state.story.as_ref().map(|story| story.phase.clone()), Some(StoryPhase::Playing(began)));
        later(&mut state, 191_400);
        assert!(text(&state, (80, 24)).contains("network-splits-one-way  3m12s of 1h"), "{}", text(&state, (80, 24)));
    }
}

#[test]
fn name_and_clock_are_in_every_frame_beside_the_badge() {
    let mut state = playing();
    later(&mut state, 10_000);
    for size in [(60, 15), (80, 24), (120, 40), (200, 60)] {
        for keys in ["1", "2", "3", "4", "5", "6", "?", "esc z", "z"] {
            press(&mut state, keys);
            let header = &lines(&drawn(&state, size))[0];
            for words in ["SIMULATED", "network-splits-one-way", "s of 1h"] {
                assert!(header.contains(words), "{size:?} {keys}: {header}");
            }
        }
    }
}

#[test]
fn looking_closely_at_what_is_not_well_is_noticing_it() {
    let mut state = playing();
    trouble(&mut state);
    state.go(Pane::Sites);
    state.at_site = (1, 0);
    let subjects = state.subjects(1).into_iter().cloned().collect::<Vec<_>>();
    let mut seen = Vec::new();
    for (line, subject) in subjects.iter().enumerate() {
        state.at_site.1 = line;
        let effects = press(&mut state, "enter");
        seen.extend(notes(&effects).into_iter().map(str::to_owned));
        assert_eq!(notes(&press(&mut state, "j esc")), Vec::<&str>::new(), "{subject}: it is said once");
    }
    assert!(seen.len() >= 3 && seen.len() < subjects.len(), "what is well is nothing to notice: {seen:?}");
    assert!(seen.iter().any(|text| text == "looks at app of prod, which is DOWN"), "{seen:?}");
    // Without a story nobody notes anything.
    let mut plain = full();
    trouble(&mut plain);
    plain.at_site = (1, 0);
    assert_eq!(press(&mut plain, "enter"), []);
}

#[test]
fn every_key_and_click_is_told_before_what_comes_of_it_and_leaving_is_none() {
    let told = |effects: &[Effect]| effects.iter().filter(|effect| **effect == Effect::Story(StoryOrder::Key)).count();
    let mut state = briefed();
    assert_eq!(told(&press(&mut state, "j k enter")), 0, "it has not begun");
    assert_eq!(told(&update(&mut state, Msg::Mouse { column: 3, row: 3, wheel: 0 })), 1);
    trouble(&mut state);
    assert_eq!(told(&update(&mut state, Msg::Tick(now()))), 0, "time is no person");
    state.go(Pane::Runbooks);
    let effects = press(&mut state, "p");
    assert!(matches!(effects[..], [Effect::Story(StoryOrder::Key), ..]), "{effects:?}");
    press(&mut state, "esc");
    assert_eq!(told(&press(&mut state, "q")), 0);
    over(&mut state);
    assert_eq!(told(&press(&mut state, "j esc")), 0, "it is over");
    let mut plain = full();
    assert_eq!(told(&press(&mut plain, "1 j")), 0, "no story is told");
}

#[test]
fn what_was_noticed_can_be_said() {
    let mut state = playing();
    press(&mut state, ":");
    typed(&mut state, "note the standby is silent", 200);
    assert_eq!(notes(&press(&mut state, "enter")), ["the standby is silent"]);
    over(&mut state);
    press(&mut state, "esc :");
    typed(&mut state, "note too late", 200);
    assert_eq!(press(&mut state, "enter"), []);
}

#[test]
fn the_card_comes_over_everything_and_can_be_seen_again() {
    let mut state = playing();
    press(&mut state, "2 j s");
    later(&mut state, 200_000);
    over(&mut state);
    let shows_card = |state: &State| matches!(&state.dialog, Some(Dialog::Text { text, .. }) if text.as_str().trim_end() == CARD.trim_end());
    assert!(shows_card(&state));
    press(&mut state, "esc");
    later(&mut state, 50_000);
    assert!(text(&state, (80, 24)).contains("network-splits-one-way  done after 3m20s"), "the clock stands");
    press(&mut state, ":");
    typed(&mut state, "story", 200);
    press(&mut state, "enter");
    assert!(shows_card(&state));
    press(&mut state, "q");
    assert_eq!(press(&mut state, "q"), [Effect::Quit { keep: false }], "what is over can be left at once");
}

#[test]
fn leaving_in_mid_story_is_asked_twice() {
    let mut state = playing();
    // At four times the speed of life, five seconds of a person are twenty of the world.
    state.hurry(4.0);
    assert_eq!(press(&mut state, "q"), []);
    assert!(text(&state, (80, 24)).contains("the story is not over: q again leaves"));
    later(&mut state, 15_000);
    assert_eq!(press(&mut state, "q"), [Effect::Quit { keep: false }]);
    let mut state = playing();
    press(&mut state, "q");
    later(&mut state, 6_000);
    assert_eq!(press(&mut state, "q"), [], "that was no second time");
}

#[test]
fn no_story_is_told_in_the_real_world() {
    for badge in [Badge::Live, Badge::Drill] {
        let mut state = full();
        state.badge = badge;
        update(&mut state, Msg::Tick(now()));
        assert_eq!(update(&mut state, briefing()), []);
        over(&mut state);
        assert!(state.story.is_none() && state.dialog.is_none(), "{badge:?}");
    }
    let mut demo = demo();
    press(&mut demo, ":");
    typed(&mut demo, "note something", 200);
    assert_eq!(press(&mut demo, "enter"), []);
}

#[test]
fn pictures_of_a_story() {
    let mut state = playing();
    trouble(&mut state);
    later(&mut state, SignedDuration::from_secs(95).as_millis().try_into().expect("not so late"));
    for size in [(80, 24), (120, 40)] {
        let (width, height) = size;
        insta::assert_snapshot!(format!("story_briefing_{width}x{height}"), text(&briefed(), size));
        insta::assert_snapshot!(format!("story_playing_{width}x{height}"), text(&state, size));
        let mut ended = state.clone();
        over(&mut ended);
        insta::assert_snapshot!(format!("story_card_{width}x{height}"), text(&ended, size));
    }
}
