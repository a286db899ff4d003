//! The lists of runs and of restore points: what is said of every line at every width, and how one is clicked.

use super::made::*;
use super::picture::{drawn, lines, text};
use crate::console::facts::RunRow;
use crate::console::{Msg, Pane, State, update};
use crate::model::SafeText;
use crate::style::Mark;

fn at(pane: Pane, size: (u16, u16)) -> State {
    let mut state = full();
    state.go(pane);
    update(&mut state, Msg::Resize(size.0, size.1));
    state
}

/// The lines of a list on the screen, each with what says which run it is.
fn line_of(state: &State, began: &str) -> String {
    let shown = lines(&drawn(state, state.size));
    shown
        .into_iter()
        .find(|line| line.contains(began))
        .unwrap_or_else(|| panic!("{began}\n{}", text(state, state.size)))
}

/// The words of the left pane, whichever lines they are on.
fn told(state: &State, size: (u16, u16)) -> String {
    let shown = lines(&drawn(state, size));
    let left = shown.iter().map(|line| line.split("││").next().unwrap_or_default().trim_matches('│'));
    left.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// When the made-up runs began, newest first, and the same in little room.
const BEGAN: [&str; 5] = ["03-01 02:46", "03-01 01:46", "03-01 00:46", "02-28 20:40", "02-28 00:40"];
const BRIEFLY: [&str; 5] = [" 02:46 ", " 01:46 ", " 00:46 ", " 20:40 ", " 02-28 "];

#[test]
fn every_run_says_how_what_which_way_how_long_and_who() {
    for (size, began, mode, way) in [
        ((60, 15), BEGAN, "repl ", "prod>bcp"),
        ((80, 24), BEGAN, "replicate ", "prod -> bcp"),
        ((120, 40), BRIEFLY, "repl ", "P>B"),
        ((200, 60), BEGAN, "replicate ", "prod -> bcp"),
    ] {
        let mut state = at(Pane::Runs, size);
        state.runs[1].word = SafeText::line("waits for you");
        state.runs[2].word = SafeText::line("INTERRUPTED");
        for (run, began) in state.runs.iter().zip(began).take(if size.1 < 20 { 3 } else { 5 }) {
            let line = line_of(&state, began);
            let took = crate::model::Span(run.took).to_string();
            for said in [run.word.as_str(), mode, way, took.as_str(), "ops@app1"] {
                assert!(line.contains(said), "{size:?} {said}: {line}");
            }
        }
    }
}

/// Beside the log of a small screen there is room for the most important only, and the result is always whole.
#[test]
fn the_result_is_never_cut() {
    for size in [(60, 15), (80, 24), (99, 30), (120, 40), (200, 60)] {
        for zoom in [false, true] {
            let mut state = at(Pane::Runs, size);
            let words = ["done", "waits for you", "INTERRUPTED", "cancelled", "cannot be read: it is damaged"];
            for (run, word) in state.runs.iter_mut().zip(words) {
                run.word = SafeText::line(word);
            }
            state.zoom = zoom;
            for focus in [Pane::Runs, Pane::Sites] {
                state.focus = focus;
                if focus == Pane::Sites && (zoom || size.0 < 80) {
                    continue;
                }
                let shown = text(&state, size);
                for word in words {
                    assert!(shown.contains(word) || size.1 < 20, "{size:?} {focus:?} {word}\n{shown}");
                }
            }
        }
    }
}

/// Of a long name there is at least the beginning.
#[test]
fn who_has_a_long_name_is_told_too() {
    for size in [(60, 15), (80, 24), (120, 40), (200, 60)] {
        let mut state = at(Pane::Runs, size);
        state.runs[0].by = SafeText::line("operator@console-7.example.org");
        assert!(told(&state, size).contains("m10s operator@"), "{size:?}\n{}", text(&state, size));
    }
}

/// What the columns leave out of the selected run is below the list, with the year and the zone of its time.
#[test]
fn the_selected_run_is_told_whole() {
    for size in [(60, 15), (120, 40)] {
        let mut state = at(Pane::Runs, size);
        state.runs[1].mode = SafeText::line("maintenance");
        press(&mut state, "j");
        let shown = told(&state, size);
        for said in ["replicate (maintenance), prod -> bcp, warned, began 2026-03-01 01:46:00 UTC, took", "by ops@app1"]
        {
            assert!(shown.contains(said), "{said}\n{shown}");
        }
    }
}

#[test]
fn every_point_says_when_which_way_how_much_and_whether_it_is_whole() {
    for (size, way) in [((60, 15), "P>B"), ((80, 24), "prod>bcp"), ((120, 40), "P>B"), ((200, 60), "prod>bcp")] {
        let state = at(Pane::Points, size);
        for (began, (took, bytes, said)) in
            ["03-01 02:46", "03-01 01:46", "03-01 00:46", "02-28 00:40"].into_iter().zip([
                ("3m10s", "41.3 GiB", "complete"),
                ("3m25s", "41.1 GiB", "complete"),
                ("1m01s", " - ", "INCOMPLETE: "),
                ("3m", "40.0 GiB", "complete"),
            ])
        {
            let line = line_of(&state, began);
            for said in [way, took, bytes, said] {
                assert!(line.contains(said), "{size:?} {said}: {line}");
            }
        }
    }
}

#[test]
fn the_newest_is_first() {
    let mut state = full();
    update(&mut state, Msg::Runs(runs()));
    for shown in [state.shown_runs(), state.shown_points()] {
        assert!(shown.is_sorted_by(|one: &&RunRow, next: &&RunRow| one.began >= next.began));
    }
}

/// Why a point is not complete is said whole of the one that is selected.
#[test]
fn why_a_point_is_not_complete_is_told_whole() {
    let why =
        "not seen whole at the target: failed, the digest of dump/shop.sql.zst is another one than the manifest says";
    for size in [(60, 15), (80, 24), (120, 40), (200, 60)] {
        let mut state = at(Pane::Points, size);
        let point = state.runs[2].point.as_mut().expect("a point");
        point.incomplete = Some(SafeText::line(why));
        press(&mut state, "j j");
        let shown = told(&state, size);
        assert!(shown.contains(&format!("INCOMPLETE: {why}")), "{size:?}\n{shown}");
    }
}

/// A filter finds what is done as well as what it is called.
#[test]
fn a_filter_finds_modes_and_runbooks() {
    let mut state = full();
    state.runs[3].mode = SafeText::line("drill");
    state.past.filter = Some("drill".to_owned());
    assert_eq!(state.shown_runs().len(), 1);
    state.past.filter = Some("backup".to_owned());
    assert_eq!(state.shown_runs().len(), 1);
}

/// A click means the line under it, and what is said below a list is no line of it.
#[test]
fn a_click_means_the_line_under_it() {
    for pane in [Pane::Runs, Pane::Points] {
        let mut state = at(pane, (80, 24));
        let rows = (0..30).map(|n| {
            let mut row = row(100 - n, "replicate", i64::from(n) * 60, 100, Mark::Ok, "done");
            row.point.clone_from(&runs()[0].point);
            row
        });
        update(&mut state, Msg::Runs(rows.collect()));
        press(&mut state, "G k");
        let selected = |state: &State| if pane == Pane::Runs { state.past.selected } else { state.point.selected };
        assert_eq!(selected(&state), 28);
        let shown = lines(&drawn(&state, (80, 24)));
        let last =
            shown.iter().rposition(|line| line.contains("02-2") && line.contains("prod")).expect("a line of the list");
        let click = |state: &mut State, row: usize| {
            let row = u16::try_from(row).expect("a row");
            update(state, Msg::Mouse { column: 5, row, wheel: 0 });
        };
        let of_list =
            shown.iter().position(|line| line.contains("made ") || line.contains("result ")).expect("a head") + 1;
        let mut clicked = state.clone();
        click(&mut clicked, of_list);
        let first = selected(&clicked);
        assert!(first < 28 && first > 15, "{first}\n{}", shown.join("\n"));
        for below in last..23 {
            let mut clicked = state.clone();
            click(&mut clicked, below);
            assert!(selected(&clicked) <= 28, "{below}\n{}", shown.join("\n"));
        }
    }
}
