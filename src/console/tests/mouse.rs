//! A click selects, focuses, scrolls or closes what is under it, and confirms nothing.

use super::made::*;
use super::monkey::level;
use super::picture::text;
use crate::console::dialog::Dialog;
use crate::console::{Effect, Msg, Pane, State, update};
use crate::run::PromptKind;

fn sized(mut state: State, size: (u16, u16)) -> State {
    update(&mut state, Msg::Resize(size.0, size.1));
    state
}

fn mouse(state: &mut State, column: usize, row: usize, wheel: i8) -> Vec<Effect> {
    let cell = |at: usize| u16::try_from(at).expect("a cell");
    update(state, Msg::Mouse { column: cell(column), row: cell(row), wheel })
}

/// Where a text is on the screen, its first cell.
fn place(state: &State, wanted: &str) -> (usize, usize) {
    let shown = text(state, state.size);
    let found =
        shown.lines().enumerate().find_map(|(row, line)| Some((line[..line.find(wanted)?].chars().count(), row)));
    found.unwrap_or_else(|| panic!("{wanted} is not in sight\n{shown}"))
}

fn click(state: &mut State, wanted: &str) -> Vec<Effect> {
    let (column, row) = place(state, wanted);
    mouse(state, column, row, 0)
}

#[test]
fn a_service_or_host_of_either_site_is_selected() {
    for size in [(60, 15), (80, 24), (120, 40)] {
        let mut state = sized(full(), size);
        state.go(Pane::Sites);
        for site in [1, 0] {
            let lines: Vec<(usize, usize)> = text(&state, size)
                .lines()
                .enumerate()
                .filter_map(|(row, line)| Some((line.match_indices("search ").nth(site)?.0, row)))
                .collect();
            let (byte, row) = lines[0];
            let column = text(&state, size).lines().nth(row).expect("a line")[..byte].chars().count();
            mouse(&mut state, column, row, 0);
            assert_eq!((state.focus, state.at_site), (Pane::Sites, (site, 3)), "{size:?}");
        }
    }
    // Where not all fit, the line that is in sight is meant.
    let mut state = sized(full(), (80, 24));
    press(&mut state, "G");
    let selected = state.at_site.1;
    click(&mut state, "db1 ");
    assert_eq!((state.at_site.0, state.at_site.1 < selected), (0, true));
    assert_eq!(state.subjects(0)[state.at_site.1].to_string(), "db1");
}

#[test]
fn tabs_lead_to_their_panes() {
    for size in [(60, 15), (80, 24)] {
        let mut state = sized(full(), size);
        for (tab, pane) in [("6 Points", Pane::Points), ("2 Runbooks", Pane::Runbooks), ("5 Runs", Pane::Runs)] {
            // The frame and its number belong to the tab, whatever is beside it.
            click(&mut state, tab);
            assert_eq!(state.focus, pane, "{size:?}");
        }
        let (column, row) = place(&state, "3 Run");
        mouse(&mut state, column + "3 Run".len() - 1, row, 0);
        assert_eq!(state.focus, Pane::Run, "{size:?}");
    }
    let mut state = sized(full(), (60, 15));
    click(&mut state, "4 Log");
    assert_eq!(state.focus, Pane::Log);
    click(&mut state, "1 Sites");
    assert_eq!(state.focus, Pane::Sites);
}

#[test]
fn what_is_over_the_panes_is_scrolled_focused_selected_and_closed() {
    // The wheel scrolls a text, a click outside of it closes it, one inside does not.
    let mut help = sized(full(), (60, 15));
    press(&mut help, "?");
    let top = text(&help, (60, 15));
    mouse(&mut help, 30, 7, 3);
    assert_ne!(text(&help, (60, 15)), top);
    mouse(&mut help, 30, 7, -3);
    assert_eq!(text(&help, (60, 15)), top);
    mouse(&mut help, 30, 7, 0);
    assert!(help.dialog.is_some());
    mouse(&mut help, 0, 14, 0);
    assert!(help.dialog.is_none());
    // A field of a form.
    let mut form = sized(full(), (80, 24));
    form.go(Pane::Runbooks);
    press(&mut form, "G s");
    click(&mut form, "compare every file");
    assert!(matches!(&form.dialog, Some(Dialog::Form(form)) if form.at == 2));
    mouse(&mut form, 0, 23, 0);
    assert!(form.dialog.is_some(), "what was typed is not lost by a click beside it");
    // A line of the palette: it is selected, and not done.
    let mut palette = sized(full(), (80, 24));
    press(&mut palette, ":");
    typed(&mut palette, "theme ", 100);
    assert_eq!(click(&mut palette, "night-owl"), []);
    assert_eq!(press(&mut palette, "enter"), [Effect::Theme("night-owl".to_owned())]);
    let mut palette = sized(full(), (80, 24));
    press(&mut palette, ":");
    mouse(&mut palette, 20, 12, 1);
    assert_eq!(palette.palette.as_ref().and_then(|palette| palette.selected), Some(1));
    // What is held still goes on, as with a key.
    let mut frozen = sized(full(), (80, 24));
    press(&mut frozen, "F");
    click(&mut frozen, "5 Runs");
    assert_eq!((frozen.frozen, frozen.focus), (false, Pane::Sites));
}

/// Wherever a question is clicked, however the phrase stands there already: nothing is begun, answered or stopped.
#[test]
fn no_click_confirms() {
    let asking = || asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a"));
    let mut answering = with_run(asking(), true);
    press(&mut answering, "a");
    typed(&mut answering, "restart bcp 7f3a", 100);
    let mut stopping = with_run(running(), true);
    press(&mut stopping, "x y");
    let mut starting = start_dialog("restore");
    let wanted = phrase(&starting);
    typed(&mut starting, &wanted, 100);
    for question in [answering, stopping, starting] {
        let question = sized(question, (80, 24));
        let mut closed = 0;
        for (column, row) in (0..80).step_by(5).flat_map(|column| (0..24).map(move |row| (column, row))) {
            for wheel in [0, 3] {
                let mut state = question.clone();
                let effects = mouse(&mut state, column, row, wheel);
                assert!(effects.iter().all(|effect| level(&question, effect) == 0), "{column} {row}: {effects:?}");
                closed += u32::from(state.dialog.is_none());
            }
        }
        assert!(closed > 0, "its button closes it");
        let mut state = question;
        click(&mut state, "esc ]");
        assert!(state.dialog.is_none());
    }
}
