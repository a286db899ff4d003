//! Text pictures of panes and of the whole screen in conditions of every kind. They are read by a person when they change;
//! those of every screen at every size are in `matrix`.

use super::made::*;
use super::picture::{SIZES, text};
use crate::console::{Badge, Pane, State, update};
use crate::health::{Condition, Reading};
use crate::model::{Failure, FailureKind};
use crate::run::PromptKind;

/// How something is made to look ill.
#[derive(Clone, Copy)]
enum Ill {
    Degraded,
    Down,
    Lost,
}
use Ill::{Degraded, Down, Lost};

impl Ill {
    fn result(self) -> Result<Reading, Failure> {
        match self {
            Self::Degraded => Ok(reading(Condition::Degraded, "slow", Some("it is slow"), 1.0)),
            Self::Down => Ok(reading(Condition::Down, "no answer", Some("it does not answer"), 0.0)),
            Self::Lost => Err(Failure::new(FailureKind::Unknown, "look", "the connection timed out")),
        }
    }
}

/// One snapshot for each size that shows something of its own.
fn at_sizes(name: &str, state: &State, sizes: &[(u16, u16)]) {
    for (width, height) in sizes {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), text(state, (*width, *height)));
    }
}

#[test]
fn whole_screen() {
    let mut first = empty();
    first.health = health();
    at_sizes("first_frame", &first, &SIZES[1..2]);
    let mut state = with_run(unknown(), false);
    trouble(&mut state);
    at_sizes("whole_trouble", &state, &SIZES[1..3]);
}

/// World and permission are two words: a simulated world can be only looked at, too.
#[test]
fn what_is_only_looked_at_says_so_beside_its_world() {
    for badge in [Badge::Live, Badge::Simulated] {
        let mut state = with_run(running(), true);
        (state.badge, state.read_only) = (badge, true);
        for size in [(60, 15), (80, 24), (120, 40)] {
            let shown = text(&state, size);
            let header = shown.lines().next().expect("a header");
            assert!(header.contains(&format!(" {}  READ-ONLY ", badge.word())), "{header}");
            assert!(header.contains("PROD ══▶ BCP"), "{header}");
        }
    }
    let mut state = with_run(running(), true);
    state.read_only = true;
    at_sizes("whole_read_only", &state, &SIZES[1..2]);
}

#[test]
fn every_pane_alone_on_the_least_screen_that_shows_one() {
    for (name, state) in panes() {
        at_sizes(&name, &state, &[(60, 15)]);
    }
}

/// What there is no room for is counted, and what is down is named there, whatever stands above it.
#[test]
fn nothing_that_is_down_is_hidden_below_what_is_well() {
    for (verdicts, said) in [
        (&[("exchange", Down), ("app2", Degraded)][..], "exchange DOWN, 1 more not up"),
        (&[("app2", Down), ("db1", Lost), ("exchange", Lost)], "app2 DOWN, 2 more not up"),
        (&[("db1", Degraded)], "db1 degraded"),
        (&[("app", Down)], "all of them up"),
    ] {
        let mut state = full();
        for ((name, how), ago) in verdicts.iter().flat_map(|bad| [(bad, 1), (bad, 0)]) {
            update(&mut state, answer("prod", name, ago, how.result()));
        }
        let shown = text(&state, (80, 24));
        // The row of what is in sight, or the count, names everything of the worst.
        assert!(shown.contains(said), "{said}\n{shown}");
        if said.ends_with("1 more not up") {
            at_sizes("sites_hidden", &state, &SIZES[1..2]);
        }
    }
}

/// A path is told whole, over the lower lines of the panes.
#[test]
fn what_is_told_and_does_not_fit_takes_more_lines() {
    let mut state = with_run(done(), false);
    let path = "/home/operator/incident/changeover-0195500a-0000-7c11-8b0e-000000000001-restore~db~bcp~db1.1.log";
    state.tell(format!("1234567 bytes, as on disk, in {path}"), false);
    at_sizes("told_long", &state, &SIZES[..2]);
    let shown = text(&state, (80, 24));
    let lower: Vec<&str> = shown.lines().skip(22).collect();
    let told: String = lower.iter().flat_map(|line| line.split_whitespace()).collect();
    assert!(told.contains(path), "{shown}");
}

#[test]
fn every_pane_before_anything_is_known() {
    for pane in Pane::ALL {
        let mut state = empty();
        state.go(pane);
        state.zoom = true;
        at_sizes(&format!("{}_empty", pane.title().to_lowercase()), &state, &[(60, 15)]);
    }
}

/// Whoever comes back to a filtered list sees that it is not the whole one, and how to get that.
#[test]
fn a_filter_is_in_sight_with_what_it_leaves() {
    for (pane, filter, said, empty) in [
        ("2", "re", "filter: re, ", "no runbook passes the filter"),
        ("5", "fail", "filter: fail, 1 of 5", "no run passes the filter"),
        ("6", "prod", "filter: prod, 4 of 4", "no restore point passes the filter"),
    ] {
        let mut state = full();
        press(
            &mut state,
            &format!("{pane} / {}", filter.split("").filter(|c| !c.is_empty()).collect::<Vec<_>>().join(" ")),
        );
        for keys in ["enter", "1"] {
            press(&mut state, keys);
            for size in [(80, 24), (120, 40)] {
                let shown = text(&state, size);
                assert!(shown.contains(said) && shown.contains(", esc drops it"), "{keys}\n{shown}");
            }
        }
        press(&mut state, &format!("{pane} / z z z z enter"));
        let shown = text(&state, (120, 40));
        assert!(shown.contains("filter: zzzz, 0 of ") && shown.contains(empty), "{shown}");
        at_sizes(&format!("filtered_{pane}"), &state, &SIZES[1..2]);
        press(&mut state, "esc");
        assert!(!text(&state, (120, 40)).contains("filter: "));
    }
    // One that was never made is another thing than one that is hidden.
    let mut state = empty();
    state.runs_read = true;
    update(&mut state, crate::console::Msg::Resize(120, 40));
    press(&mut state, "6 / z enter");
    assert!(text(&state, (120, 40)).contains("no restore point was made from this machine"));
    // A click means the line that is under it, below the filter as well.
    let mut state = full();
    state.size = (80, 24);
    press(&mut state, "2 / r enter");
    let shown = text(&state, (80, 24));
    let second = state.shown_runbooks()[1].name.clone();
    let at = shown.lines().position(|line| line.starts_with(&format!("│ {second}"))).expect("a line");
    let row = u16::try_from(at).expect("a row");
    update(&mut state, crate::console::Msg::Mouse { column: 3, row, wheel: 0 });
    assert_eq!(state.runbook.selected, 1);
}

#[test]
fn runs_in_every_condition() {
    let asking = asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a"));
    for (name, story, live) in [
        ("run_asks", asking, true),
        ("run_failed", failed(), false),
        ("run_unknown", unknown(), false),
        ("run_done", done(), false),
        ("run_interrupted", running(), false),
    ] {
        at_sizes(name, &with_run(story, live), &SIZES[1..2]);
    }
    let mut again = with_run(done(), false);
    press(&mut again, "v ] ] ] ]");
    at_sizes("run_replay", &again, &SIZES[1..2]);
}

#[test]
fn sites_in_every_condition() {
    let mut state = full();
    trouble(&mut state);
    at_sizes("sites_trouble", &state, &SIZES[1..3]);
    later(&mut state, 25_000);
    at_sizes("sites_stale", &state, &SIZES[1..2]);
    later(&mut state, 25_000);
    at_sizes("sites_silent", &state, &SIZES[1..2]);
    let mut never = full();
    never.health = health();
    at_sizes("sites_never", &never, &SIZES[1..2]);
    let mut detail = full();
    trouble(&mut detail);
    press(&mut detail, "l enter");
    at_sizes("sites_detail", &detail, &SIZES[1..3]);
}
