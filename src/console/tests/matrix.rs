//! Every screen at every size, with ordinary names and with such as mean to deceive, in every way to look. The snapshots are
//! read by a person when they change: one for each screen, with all its sizes or themes.

use super::all::{every, infest};
use super::hostile::{HOSTILE, is_sane, long};
use super::picture::{SIZES, drawn, looks, text};
use crate::console::State;
use crate::style::Theme;

/// Of everything something: an escape, wide letters, an override of their direction, marks, what has no width, a symbol.
const DECEIT: &str = "\u{1b}[31m生产\u{202e}db\u{200b} e\u{301}\u{302}\u{9b}2K🔥 │ done";

fn at_every_size(state: &State) -> String {
    SIZES.map(|size| format!("── {}x{} ──\n{}\n", size.0, size.1, text(state, size))).concat()
}

#[test]
fn every_screen_at_every_size() {
    for (name, state) in every() {
        insta::assert_snapshot!(format!("sizes_{name}"), at_every_size(&state));
    }
}

#[test]
fn every_screen_at_every_size_with_hostile_names() {
    for (name, mut state) in every() {
        infest(&mut state, DECEIT);
        for size in SIZES {
            is_sane(&state, size);
        }
        insta::assert_snapshot!(format!("hostile_sizes_{name}"), at_every_size(&state));
    }
}

/// No name of any kind gets out of its place on any screen.
#[test]
fn every_hostile_name_on_every_screen() {
    for word in HOSTILE.into_iter().map(str::to_owned).chain([long()]) {
        for (_, mut state) in every() {
            infest(&mut state, &word);
            for size in [(61, 15), (80, 24), (121, 40)] {
                is_sane(&state, size);
            }
        }
    }
}

/// What stands out, and how: where a thing gets another meaning, its look changes here.
#[test]
fn every_screen_in_themes_without_red_and_green() {
    for (name, mut state) in every() {
        let in_themes = ["mono", "colour-blind"].map(|theme| {
            state.settings.theme = Theme::named(theme).expect("a theme");
            format!("── {theme} ──\n{}\n", looks(&state, (80, 24)))
        });
        insta::assert_snapshot!(format!("themes_{name}"), in_themes.concat());
    }
}

#[test]
fn every_screen_at_every_size_in_ascii() {
    for (name, state) in every() {
        let mut hostile = state.clone();
        infest(&mut hostile, DECEIT);
        for mut state in [state, hostile] {
            state.settings.ascii = true;
            for size in SIZES {
                let cells = drawn(&state, size);
                let foreign = cells.content().iter().find(|cell| !cell.symbol().is_ascii());
                assert_eq!(foreign, None, "{name} {size:?}\n{}", text(&state, size));
            }
        }
    }
}
