//! The line of figures beside a service: as long as there is room, of the last minutes, and no zero where nothing is known.

use super::made::*;
use super::picture::{drawn, lines};
use crate::console::{Msg, State, update};
use crate::health::Condition;
use crate::model::{Failure, FailureKind};

/// What stands between what the left site's first service says and how old that is.
fn spark(state: &State, size: (u16, u16), name: &str) -> String {
    let shown = lines(&drawn(state, size));
    let line = shown.iter().find(|line| line.contains(&format!(" {name} "))).expect("a line");
    let half: String = line.chars().skip(1).take(usize::from(size.0) / 2 - 2).collect();
    let (_, half) = half.split_once(&format!(" {name} ")).expect("its name");
    half.chars().filter(|c| ('▁'..='█').contains(c) || *c == '?').collect()
}

#[test]
fn it_is_there_at_eighty_columns_and_as_long_as_there_is_room() {
    let state = full();
    let length = |size, name| spark(&state, size, name).chars().count();
    for name in ["app", "cache", "db", "search", "app1", "exchange"] {
        assert!(length((80, 40), name) >= 6, "{name}");
        assert!(length((120, 40), name) >= 12, "{name}");
        assert!(length((200, 60), name) > 20, "{name}");
    }
    assert!(length((120, 40), "exchange") > length((120, 40), "app"), "what is not said leaves room");
}

#[test]
fn what_a_look_did_not_see_is_no_zero() {
    let mut state = full();
    let lost = || Err(Failure::new(FailureKind::Unknown, "look", "the connection timed out"));
    let saw = |value| Ok(reading(Condition::Up, "well", None, value));
    for result in [saw(0.0), lost(), saw(f64::NAN), saw(f64::INFINITY), saw(2000.0), saw(1000.0)] {
        update(&mut state, answer("bcp", "search", 0, result));
    }
    let shown = spark(&state, (200, 60), "search");
    assert!(shown.ends_with("▁???█▄"), "{shown}");
    state.settings.ascii = true;
    let line = lines(&drawn(&state, (200, 60))).into_iter().find(|line| line.contains(" search ")).expect("a line");
    assert!(line.contains("_???#-"), "{line}");
}

/// What is older says nothing of the last minutes.
#[test]
fn it_ends_ten_minutes_ago() {
    let mut state = full();
    let many = |state: &State| spark(state, (200, 60), "exchange").chars().count();
    let all = many(&state);
    // The oldest of the 24 looks was 232 seconds ago.
    later(&mut state, 400_000);
    assert!(many(&state) < all);
    later(&mut state, 200_000);
    assert_eq!(many(&state), 0);
    press(&mut state, "j enter");
    let detail = lines(&drawn(&state, (120, 40))).join("\n");
    assert!(detail.contains("pane 1 shows 10m at most"), "{detail}");
    update(&mut state, Msg::Resize(80, 24));
}

/// Why something is not up is worth more than the figures that it had.
#[test]
fn a_reason_is_not_cut_for_figures() {
    let mut state = full();
    let red = || Ok(reading(Condition::Degraded, "yellow", Some("shards unassigned"), 900.0));
    update(&mut state, answer("bcp", "search", 1, red()));
    update(&mut state, answer("bcp", "search", 0, red()));
    let line = lines(&drawn(&state, (80, 24))).into_iter().find(|line| line.contains(" search ")).expect("a line");
    assert!(line.contains("shards unassigned"), "{line}");
}
