//! The same pictures without colours, in ASCII, and which looks are where.

use ratatui::style::Color;

use super::made::*;
use super::picture::{SIZES, drawn, lines, looks, text};
use crate::console::State;
use crate::run::PromptKind;
use crate::style::{Depth, SHIPPED_THEMES, Scope, Theme};

fn stuck() -> State {
    let mut state = with_run(unknown(), false);
    trouble(&mut state);
    state
}

#[test]
fn the_usual_colours() {
    insta::assert_snapshot!("looks_trouble", looks(&stuck(), (80, 24)));
    let mut asking = with_run(asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a")), true);
    press(&mut asking, "a");
    insta::assert_snapshot!("looks_answer", looks(&asking, (80, 24)));
    let mut start = start_dialog("restore");
    trouble(&mut start);
    insta::assert_snapshot!("looks_start", looks(&start, (80, 24)));
}

#[test]
fn without_colours() {
    let mut state = stuck();
    state.settings.theme = state.settings.theme.at(Depth::Mono);
    let shown = looks(&state, (80, 24));
    assert!(!shown.contains("Indexed") && shown.lines().all(|line| line[3..].starts_with("-/- ")), "{shown}");
    insta::assert_snapshot!("looks_mono", shown);
    // The selected line is still another one than its neighbours.
    assert!(shown.lines().any(|line| line.contains("reverse") && line.contains("Back up the source")), "{shown}");
}

/// For eyes that do not tell red from green: what is well, wrong and unknown look three ways.
#[test]
fn colour_blind() {
    let mut state = stuck();
    state.settings.theme = Theme::named("colour-blind").expect("a theme");
    insta::assert_snapshot!("looks_colour_blind", looks(&state, (80, 24)));
    let ink = |scope| state.settings.theme.ink(scope);
    assert_ne!(ink(Scope::Good), ink(Scope::Bad));
    assert_ne!(ink(Scope::Bad), ink(Scope::Unknown));
}

#[test]
fn only_ascii() {
    let mut plain = stuck();
    plain.settings.ascii = true;
    for (name, state) in [("ascii_trouble", plain), ("ascii_detail", ascii_detail()), ("ascii_replay", ascii_replay())]
    {
        for size in [(40, 12), (60, 15), (80, 24), (200, 60)] {
            let shown = text(&state, size);
            assert!(shown.is_ascii(), "{name} {size:?}\n{shown}");
        }
        insta::assert_snapshot!(format!("{name}_80x24"), text(&state, (80, 24)));
    }
}

#[test]
fn every_pane_in_ascii() {
    for (name, mut state) in panes() {
        state.settings.ascii = true;
        for size in SIZES {
            let shown = text(&state, size);
            assert!(shown.is_ascii(), "{name} {size:?}\n{shown}");
        }
        insta::assert_snapshot!(format!("ascii_{name}_80x24"), text(&state, (80, 24)));
    }
}

/// A theme has colours. Whatever it is, and also without any, the same is said in the same place.
#[test]
fn every_pane_says_the_same_in_every_theme() {
    for (name, mut state) in panes() {
        let usual = text(&state, (80, 24));
        for (theme, _) in SHIPPED_THEMES {
            for depth in [Depth::True, Depth::Mono] {
                state.settings.theme = Theme::named(theme).expect("a theme").at(depth);
                let cells = drawn(&state, (80, 24));
                assert_eq!(lines(&cells).join("\n"), usual, "{name} in {theme}");
                let coloured = cells.content().iter().any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset));
                assert_eq!(coloured, depth != Depth::Mono && *theme != "mono", "{name} in {theme}");
            }
        }
    }
}

fn ascii_detail() -> State {
    let mut state = full();
    state.settings.ascii = true;
    press(&mut state, "j enter");
    state
}

fn ascii_replay() -> State {
    let mut state = with_run(done(), false);
    state.settings.ascii = true;
    press(&mut state, "v ] ] ] ]");
    state
}

/// What goes wrong is told by a shape or a word, never by colour alone.
#[test]
fn nothing_is_said_by_colour_alone() {
    let shown = text(&stuck(), (80, 24));
    for word in ["DOWN", "UNKNOWN", "✗", "?", "STUCK"] {
        assert!(shown.contains(word) || word == "DOWN", "{word}\n{shown}");
    }
    let mut late = full();
    later(&mut late, 25_000);
    assert!(text(&late, (80, 24)).contains("STALE 27s"), "{}", text(&late, (80, 24)));
    assert!(text(&late, (80, 24)).contains("LATE: "));
    // Every scope that means trouble has a look of its own in the standard theme, also without colours.
    let theme = Theme::default().at(Depth::Mono);
    for scope in [Scope::Bad, Scope::Unknown, Scope::Selected, Scope::Danger, Scope::Badge] {
        assert_ne!(theme.ink(scope), theme.ink(Scope::Plain), "{scope:?}");
    }
}
