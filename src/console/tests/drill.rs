//! A drill is told from the real thing, in words and in shapes, for as long as it is one, and never the other way round.

use super::made::*;
use super::picture::{drawn, lines, text};
use crate::console::dialog::Dialog;
use crate::console::{Badge, Effect, Msg, Pane, State, update};
use crate::run::PromptKind;
use crate::run::sample;

fn drilling(badge: Badge) -> State {
    let mut state = with_run(rehearsal(running()), true);
    state.badge = badge;
    state
}

fn first(state: &State, size: (u16, u16)) -> String {
    lines(&drawn(state, size)).remove(0)
}

#[test]
fn the_header_says_drill_on_every_screen() {
    for (badge, words) in [(Badge::Live, " DRILL "), (Badge::Simulated, " SIMULATED  DRILL ")] {
        for pane in Pane::ALL {
            for read_only in [false, true] {
                let mut state = drilling(badge);
                state.go(pane);
                state.read_only = read_only;
                for size in [(60, 15), (80, 24), (120, 40), (200, 60)] {
                    let header = first(&state, size);
                    assert!(header.starts_with(words) && !header.contains("LIVE"), "{header}");
                    assert!(header.contains("PROD ══▶ BCP") && header.ends_with("UTC"), "{header}");
                    assert_eq!(header.contains("READ-ONLY"), read_only, "{header}");
                }
            }
        }
        let small = first(&drilling(badge), (40, 12));
        assert!(small.starts_with(words.trim().replace("  ", " ").as_str()), "{small}");
    }
    insta::assert_snapshot!("drill_80x24", text(&drilling(Badge::Live), (80, 24)));
    let mut ascii = drilling(Badge::Simulated);
    ascii.settings.ascii = true;
    let shown = text(&ascii, (80, 24));
    assert!(shown.is_ascii() && shown.contains("#=") && !shown.contains("+-"), "{shown}");
}

#[test]
fn so_do_the_title_and_the_questions() {
    let mut state = drilling(Badge::Live);
    let now = state.now;
    let mut opened = full();
    let effects =
        update(&mut opened, Msg::Opened { run: sample::run_id(), events: events(rehearsal(running())), live: true });
    let title =
        effects.iter().find_map(|effect| if let Effect::Title(title) = effect { Some(title.as_str()) } else { None });
    assert_eq!(title, Some("DRILL shop - running"));
    update(&mut state, Msg::Tick(now));
    press(&mut state, "x");
    assert!(text(&state, (80, 24)).contains("┏ DRILL ━"), "{}", text(&state, (80, 24)));
    let mut asked = with_run(rehearsal(asks(restored(), PromptKind::Confirm, None)), true);
    press(&mut asked, "a");
    assert!(text(&asked, (80, 24)).contains("┏ DRILL: the run asks ━"), "{}", text(&asked, (80, 24)));
}

/// Once it has ended the sites are as real as before: only the run is still called what it was.
#[test]
fn a_drill_that_is_over_is_none_any_more() {
    let mut state = with_run(rehearsal(done()), false);
    let shown = lines(&drawn(&state, (80, 24)));
    assert!(shown[0].starts_with(" LIVE ") && !shown[0].contains("DRILL"), "{}", shown[0]);
    assert!(shown[1].contains(" DRILL  drill done"), "{}", shown[1]);
    assert!(shown.iter().any(|line| line.starts_with("│✓ done") && line.contains(" DRILL ")), "{}", shown.join("\n"));
    press(&mut state, "v");
    let replayed = lines(&drawn(&state, (80, 24)));
    assert!(replayed[0].starts_with(" LIVE ") && replayed[1].contains(" DRILL  REPLAY of drill"), "{}", replayed[1]);
    // One that was left in the middle is one until it is taken up again.
    let interrupted = with_run(rehearsal(running()), false);
    assert!(first(&interrupted, (80, 24)).starts_with(" DRILL "));
}

/// A question says what it is about, whatever is in sight.
#[test]
fn a_question_before_a_start_says_what_is_begun() {
    let mut state = full();
    state.runbooks.push(runbook("drill", "Rehearse the takeover", "drill", 1));
    for (name, word) in [("drill", "DRILL"), ("failover", "LIVE")] {
        let mut state = state.clone();
        state.go(Pane::Runbooks);
        state.runbook.selected = state.runbooks.iter().position(|book| book.name.as_str() == name).expect("a runbook");
        press(&mut state, "s");
        assert!(matches!(state.dialog, Some(Dialog::Planning(..))));
        assert!(first(&state, (80, 24)).starts_with(&format!(" {word} ")), "{}", first(&state, (80, 24)));
        let plan = plan(&state, name);
        update(&mut state, Msg::Planned(Box::new(plan)));
        // A drill that somebody else has begun comes into sight meanwhile.
        let events = events(rehearsal(running()));
        let question = state.dialog.clone();
        update(&mut state, Msg::Opened { run: sample::run_id(), events, live: true });
        state.dialog = question;
        let shown = text(&state, (80, 24));
        assert!(shown.contains(&format!(" {word}: start {name}? ")), "{shown}");
        assert!(first(&state, (80, 24)).starts_with(&format!(" {word} ")), "{shown}");
    }
    // So does the one before a run is taken up again.
    let mut again = with_run(rehearsal(failed()), false);
    assert!(first(&again, (80, 24)).starts_with(" LIVE "));
    press(&mut again, "R");
    assert!(first(&again, (80, 24)).starts_with(" DRILL "), "{}", text(&again, (80, 24)));
}
