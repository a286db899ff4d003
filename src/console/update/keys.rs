//! What a key, a paste and the mouse mean here and now. Does nothing of what an action does.

use jiff::SignedDuration;

use super::actions::{act, quit};
use super::dialogs::{on_dialog_key, on_dialog_mouse};
use super::log::{find, fit, look_at_output};
use crate::console::action::{self, Action};
use crate::console::dialog::Dialog;
use crate::console::keys::Found;
use crate::console::msg::{Effect, Key, KeyCode};
use crate::console::palette::{Entered, Palette};
use crate::console::pane::Pane;
use crate::console::state::{Choice, State};
use crate::console::view::Target;
use crate::model::SafeText;

/// An enter that comes so soon after the key before was not pressed by a person: it is the end of something that a
/// terminal sent late, or of a paste that was not marked as one.
const TOO_FAST: SignedDuration = SignedDuration::from_millis(30);

pub(super) fn on_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let too_fast = state.wall.duration_since(state.last_key) < TOO_FAST;
    state.last_key = state.wall;
    state.burst = if too_fast { state.burst.saturating_add(1) } else { 0 };
    if key.ctrl && key.code == KeyCode::Char('z') {
        effects.push(Effect::Suspend);
        return;
    }
    if key.ctrl && key.code == KeyCode::Char('c') {
        let (leave, stop) = (state.key_of(Action::Quit), state.key_of(Action::CancelRun));
        state.tell(format!("{leave} leaves the screen; a run is stopped with {stop} in pane 3"), false);
        return;
    }
    if key.ctrl && state.settings.keys.find(&[key], |action| action == Action::Redraw) == Found::Action(Action::Redraw)
    {
        // Whatever is typed into, and also while the picture is held.
        effects.push(Effect::Redraw);
        return;
    }
    if !crate::console::view::shows(state.size.0, state.size.1) {
        // Nobody sees what a key would do: only the way out is open.
        on_hidden_key(state, key, effects);
        return;
    }
    if state.frozen {
        // The picture is not what is: a key brings back what is, and does nothing else.
        let_go(state);
        return;
    }
    if state.search.is_some() {
        on_search_key(state, key, effects);
    } else if state.palette.is_some() {
        on_palette_key(state, key, too_fast, effects);
    } else if state.dialog.is_some() {
        on_dialog_key(state, key, too_fast, effects);
    } else {
        on_plain_key(state, key, effects);
    }
}

/// A key where no pane is in sight: it leaves, or does nothing.
fn on_hidden_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    state.typed.push(key);
    match state.settings.keys.find(&state.typed, |action| action == Action::Quit) {
        Found::Action(_) => {
            state.typed.clear();
            quit(state, false, effects);
        }
        Found::More => {}
        Found::Nothing => {
            let begins = state.typed.len() > 1;
            state.typed.clear();
            if begins {
                on_hidden_key(state, key, effects);
            }
        }
    }
}

pub(super) fn on_plain_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    state.typed.push(key);
    let (pane, badge) = (state.focus, state.badge);
    let found = state.settings.keys.find(&state.typed, |action| action.is_in(pane) && action.is_there(badge));
    match found {
        Found::Action(action) => {
            state.typed.clear();
            act(state, action, "", effects);
        }
        Found::More => {}
        Found::Nothing if state.typed.len() > 1 => {
            // What was no chord with the key before may be one by itself.
            state.typed.clear();
            on_plain_key(state, key, effects);
        }
        Found::Nothing => {
            state.typed.clear();
            if let KeyCode::Char(c) = key.code
                && let Some(elsewhere) = meant_elsewhere(state, key)
            {
                let entry = action::of(elsewhere);
                if let action::Where::In(pane) = entry.scope {
                    state.tell(format!("{c} is `{}` in pane {} {}", entry.name, pane.number(), pane.title()), false);
                }
            }
        }
    }
}

/// The action that a key means in another pane.
fn meant_elsewhere(state: &State, key: Key) -> Option<Action> {
    match state.settings.keys.find(&[key], |action| action.is_there(state.badge)) {
        Found::Action(action) => Some(action),
        _ => None,
    }
}

fn not_pasted() -> SafeText {
    SafeText::line("a paste is not taken here: it must be typed")
}

pub(super) fn on_paste(state: &mut State, text: &str) {
    if let Some(line) = &mut state.search {
        line.insert(text);
    } else if let Some(palette) = &mut state.palette {
        palette.line.insert(text);
    } else {
        match &mut state.dialog {
            Some(Dialog::Form(form)) => {
                if let Some(field) = form.fields.get_mut(form.at) {
                    field.insert(text);
                }
            }
            Some(Dialog::Start(start)) => start.gate.note = Some(not_pasted()),
            Some(Dialog::Confirm(confirm)) => confirm.gate.note = Some(not_pasted()),
            Some(Dialog::Answer(answering)) => answering.note = Some(not_pasted()),
            _ => {}
        }
    }
}

/// A click selects, focuses or closes, the wheel scrolls; neither ever confirms.
pub(super) fn on_mouse(state: &mut State, column: u16, row: u16, wheel: i8, effects: &mut Vec<Effect>) {
    if state.search.is_some() || !crate::console::view::shows(state.size.0, state.size.1) {
        return;
    }
    if state.frozen {
        let_go(state);
        return;
    }
    let target = crate::console::view::hit(state, column, row);
    if state.palette.is_some() {
        on_palette_mouse(state, target, wheel);
    } else if state.dialog.is_some() {
        on_dialog_mouse(state, target, wheel, effects);
    } else if let Some(target) = target {
        on_pane_mouse(state, target, wheel, effects);
    }
}

fn on_palette_mouse(state: &mut State, target: Option<Target>, wheel: i8) {
    let Some(mut palette) = state.palette.take() else { return };
    for _ in 0..wheel.unsigned_abs() {
        palette.select(state, wheel < 0);
    }
    if let (Some(Target::Match(number)), 0) = (target, wheel) {
        palette.selected = Some(number);
    }
    state.palette = Some(palette);
}

fn on_pane_mouse(state: &mut State, target: Target, wheel: i8, effects: &mut Vec<Effect>) {
    let pane = match target {
        Target::Pane(pane) | Target::Line(pane, _) => pane,
        Target::Subject(..) => Pane::Sites,
        Target::Field(_) | Target::Match(_) | Target::Inside | Target::Close => return,
    };
    if pane != state.focus {
        state.go(pane);
        fit(state, effects);
    }
    if wheel != 0 {
        for _ in 0..wheel.unsigned_abs() {
            act(state, if wheel < 0 { Action::Up } else { Action::Down }, "", effects);
        }
        return;
    }
    match target {
        Target::Subject(site, line) => state.at_site = (site, line),
        Target::Line(pane, line) => {
            select(state, pane, line);
            look_at_output(state, effects);
        }
        _ => {}
    }
}

fn let_go(state: &mut State) {
    state.frozen = false;
    state.tell("live again", false);
}

fn select(state: &mut State, pane: Pane, line: usize) {
    match pane {
        Pane::Runbooks => state.runbook.selected = line.min(state.shown_runbooks().len().saturating_sub(1)),
        Pane::Runs => state.past.selected = line.min(state.shown_runs().len().saturating_sub(1)),
        Pane::Points => state.point.selected = line.min(state.shown_points().len().saturating_sub(1)),
        Pane::Run => {
            if let Some(run) = &mut state.run {
                run.selected = line.min(run.rows().len().saturating_sub(1));
                run.keeps_up = false;
            }
        }
        Pane::Sites | Pane::Log => {}
    }
}

fn on_search_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let Some(line) = &mut state.search else { return };
    match key.code {
        KeyCode::Esc => {
            state.search = None;
            drop_filter(state);
        }
        KeyCode::Enter => {
            let text = line.text().to_owned();
            state.search = None;
            if state.focus == Pane::Log {
                state.log.search = (!text.is_empty()).then_some(text);
                find(state, false, effects);
            }
        }
        _ => {
            line.key(key);
            let text = line.text().to_owned();
            if state.focus != Pane::Log {
                set_filter(state, Some(text));
            }
        }
    }
}

fn choice(state: &mut State) -> Option<&mut Choice> {
    match state.focus {
        Pane::Runbooks => Some(&mut state.runbook),
        Pane::Runs => Some(&mut state.past),
        Pane::Points => Some(&mut state.point),
        _ => None,
    }
}

pub(super) fn set_filter(state: &mut State, filter: Option<String>) {
    if let Some(choice) = choice(state) {
        *choice = Choice { selected: 0, filter: filter.filter(|text| !text.is_empty()) };
    }
}

pub(super) fn drop_filter(state: &mut State) {
    if choice(state).is_some_and(|choice| choice.filter.is_some()) {
        set_filter(state, None);
    }
}

fn on_palette_key(state: &mut State, key: Key, too_fast: bool, effects: &mut Vec<Effect>) {
    let Some(mut palette) = state.palette.take() else { return };
    match key.code {
        KeyCode::Esc => return,
        KeyCode::Tab => palette.complete(state),
        KeyCode::Down | KeyCode::Up => palette.select(state, key.code == KeyCode::Up),
        KeyCode::Enter if too_fast => {}
        KeyCode::Enter => match palette.entered(state) {
            Entered::Nothing => {}
            Entered::More(line) => palette = Palette { line, ..Palette::new(palette.badge) },
            Entered::Refused(why) => palette.trouble = Some(why),
            Entered::Do(entry, argument) => {
                if let action::Where::In(pane) = entry.scope {
                    state.go(pane);
                }
                return act(state, entry.action, &argument, effects);
            }
        },
        _ => {
            palette.line.key(key);
            (palette.selected, palette.trouble) = (None, None);
        }
    }
    state.palette = Some(palette);
}
