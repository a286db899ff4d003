//! Any state at any size: nothing panics, and what kind of world this is stays in the picture.

use proptest::prelude::*;

use super::chance::go_on;
use super::made::*;
use super::picture::{drawn, lines};
use crate::console::{Badge, State};
use crate::run::PromptKind;

fn begin(which: u8) -> State {
    match which {
        0 => empty(),
        1 => full(),
        2 => with_run(running(), true),
        3 => with_run(asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a")), true),
        4 => with_run(unknown(), false),
        5 => super::story::playing(),
        6 => super::tour::at_stop(3),
        7 => with_run(rehearsal(asks(restored(), PromptKind::Confirm, None)), true),
        _ => start_dialog("restore"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn never_panics_and_always_says_what_world_this_is(
        seed in any::<u64>(),
        which in 0_u8..9,
        simulated in any::<bool>(),
        read_only in any::<bool>(),
        ascii in any::<bool>(),
        sizes in prop::collection::vec((1_u16..=300, 1_u16..=100), 3),
    ) {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut state = begin(which);
        state.badge = if simulated { Badge::Simulated } else { Badge::Live };
        state.read_only = read_only;
        state.settings.ascii = ascii;
        for (width, height) in sizes.into_iter().chain([(20, 3), (60, 15), (1, 1)]) {
            go_on(&mut chance, &mut state, 12, |_, _| {});
            let shown = lines(&drawn(&state, (width, height)));
            if width >= 20 && height >= 3 {
                for badge in state.badges() {
                    prop_assert!(shown[0].contains(badge.word()), "{width}x{height}\n{}", shown.join("\n"));
                }
                let drill = state.badges().contains(&Badge::Drill);
                prop_assert!(drill || !shown[0].contains("DRILL"), "{width}x{height}\n{}", shown.join("\n"));
            }
        }
    }
}

/// A run that goes on is not hidden by what is said of the size, least of all one that waits.
#[test]
fn too_small_still_says_what_the_run_does() {
    let asking = || with_run(asks(restored(), PromptKind::Confirm, None), true);
    let mut elsewhere = full();
    elsewhere.runs[0].alive = true;
    let mut asks_elsewhere = with_run(done(), false);
    (asks_elsewhere.runs[0].alive, asks_elsewhere.runs[0].mark) = (true, crate::style::Mark::Ask);
    let cases: Vec<(State, u16, &str)> = vec![
        (asking(), 59, "SIMULATED replicate WAITS FOR YOU: needs 60x15; q leaves"),
        (asking(), 40, "SIMULATED WAITS FOR YOU: needs 60x15"),
        (asking(), 24, "SIMULATED WAITS FOR YOU"),
        (asks_elsewhere, 40, "SIMULATED WAITS FOR YOU: needs 60x15"),
        (with_run(running(), true), 59, "SIMULATED replicate runs index: needs 60x15; q leaves"),
        (with_run(running(), true), 40, "SIMULATED replicate runs: needs 60x15"),
        (with_run(running(), true), 20, "SIMULATED RUNS"),
        (elsewhere, 40, "SIMULATED replicate runs: needs 60x15"),
        (with_run(done(), false), 40, "SIMULATED 40x12: needs 60x15; q leaves"),
        (with_run(running(), false), 40, "SIMULATED 40x12: needs 60x15; q leaves"),
    ];
    for (state, width, said) in cases {
        let state = State { badge: Badge::Simulated, ..state };
        assert_eq!(lines(&drawn(&state, (width, 12)))[0], said, "{width}");
    }
}

/// Below what can be shown, one line says so, and it is whole from 40 columns on.
#[test]
fn too_small_is_said_in_one_line() {
    for badge in [Badge::Live, Badge::Simulated] {
        let mut state = start_dialog("restore");
        state.badge = badge;
        for size in [(40, 12), (59, 100), (300, 14)] {
            let shown = lines(&drawn(&state, size));
            assert!(shown[0].contains("needs 60x15; q leaves") && shown[0].starts_with(badge.word()), "{shown:?}");
            assert!(shown[1..].iter().all(String::is_empty), "{shown:?}");
        }
    }
}
