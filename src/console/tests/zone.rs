//! Times are those of the time zone that was chosen, and name it where nothing beside them does.

use super::made::*;
use super::picture::text;
use crate::console::dialog::Dialog;
use crate::console::{Effect, Pane, State};

/// One hour ahead, with a name of its own.
fn abroad() -> State {
    let mut state = full();
    trouble(&mut state);
    state.settings.zone = jiff::tz::TimeZone::posix("CET-1").expect("a time zone");
    state
}

#[test]
fn a_service_that_is_looked_at_closely() {
    let mut state = abroad();
    press(&mut state, "j j j enter");
    let shown = text(&state, (120, 40));
    assert!(
        shown.contains("degraded since 2026-03-01 04:19:5") || shown.contains("degraded since 2026-03-01 04:20:00 CET"),
        "{shown}"
    );
    assert!(
        shown.contains("last answer 0s ago, at 2026-03-01 04:20:00 CET") || shown.contains(" CET, asked every 10s"),
        "{shown}"
    );
    assert!(!shown.contains("03:20:0") && !shown.contains("Z:"), "{shown}");
    let copied = press(&mut state, "y");
    assert!(matches!(copied.as_slice(), [Effect::Copy(text)] if text.as_str().contains(" CET")), "{copied:?}");
}

#[test]
fn a_restore_point_and_a_run() {
    let mut state = abroad();
    state.go(Pane::Points);
    assert!(text(&state, (80, 24)).contains("made 2026-03-01 03:46:00 CET"), "{}", text(&state, (80, 24)));
    press(&mut state, "enter");
    let Some(Dialog::Text { text: told, .. }) = &state.dialog else { panic!("no text") };
    assert!(told.as_str().contains("made       2026-03-01 03:46:00 CET, 34m"), "{told}");
    state.dialog = None;
    state.go(Pane::Runs);
    let shown = text(&state, (80, 24));
    assert!(shown.contains("began, CET") && shown.contains("2026-03-01 03:46 "), "{shown}");
    let shown = text(&state, (60, 15));
    assert!(shown.contains("03-01 03:46") && shown.contains("2026-03-01 03:46:00 CET"), "{shown}");
}
