//! Keys in dialogs: forms, plans, the gates of confirmations and the answers to questions. Only here a confirmation is
//! passed, and never by a key that came faster than fingers.

use super::actions::may_not_start;
use super::keys::on_plain_key;
use crate::console::action::Action;
use crate::console::dialog::{Answering, Confirm, Deed, Dialog, Form, Gate, Purpose, Start, StartRequest, nonce};
use crate::console::facts::PlanShown;
use crate::console::keys::Found;
use crate::console::line::Line;
use crate::console::msg::{Effect, Key, KeyCode};
use crate::console::state::State;
use crate::console::view::Target;
use crate::model::SafeText;
use crate::run::{Answer, RunCommand};

/// So many keys in a row faster than fingers are no typing.
const BURST: u8 = 3;
/// By so many lines what is said below a form is scrolled: as many are in sight on the smallest screen.
const FORM_PAGE: u16 = 4;
/// A plan that is older, in seconds, says nothing of the sites any more.
const PLAN_HOLDS: i64 = 180;

pub(super) fn on_dialog_key(state: &mut State, key: Key, too_fast: bool, effects: &mut Vec<Effect>) {
    let end = if scrolls(state, key) { crate::console::view::end(state) } else { 0 };
    let Some(dialog) = state.dialog.take() else { return };
    if key.code == KeyCode::Esc {
        match dialog {
            Dialog::Answer(_) => {
                state.tell(format!("the question still waits: {} answers it", state.key_of(Action::Answer)), false);
            }
            Dialog::Planning(request, purpose) => state.dialog = form_again(state, &request, purpose, None),
            _ => {}
        }
        return;
    }
    match dialog {
        Dialog::Help { top } => {
            if !closes(key) {
                state.dialog = Some(Dialog::Help { top: scrolled(top, key, end) });
            }
        }
        Dialog::Text { title, text, top } => {
            if key.code == KeyCode::Char('y') {
                effects.push(Effect::Copy(text.clone()));
            }
            if !closes(key) {
                state.dialog = Some(Dialog::Text { title, text, top: scrolled(top, key, end) });
            }
        }
        // The two keys that the card names do what it says.
        Dialog::Card if begins(state, key, &[Action::Pane3, Action::Answer]) => on_plain_key(state, key, effects),
        Dialog::Card => {}
        Dialog::Form(form) => on_form_key(state, form, key, too_fast, end, effects),
        Dialog::Planning(request, purpose) => state.dialog = Some(Dialog::Planning(request, purpose)),
        Dialog::Start(start) => on_start_key(state, start, key, end, effects),
        Dialog::Answer(answering) => on_answer_key(state, answering, key, end, effects),
        Dialog::Confirm(confirm) => on_confirm_key(state, confirm, key, end, effects),
    }
}

/// The mouse over a dialog: it scrolls, goes to a field, and closes, by its button or outside of what is only read. There is
/// nothing that it could confirm.
pub(super) fn on_dialog_mouse(state: &mut State, target: Option<Target>, wheel: i8, effects: &mut Vec<Effect>) {
    let key = |code| Key { code, ctrl: false, shift: false };
    let is_form = matches!(state.dialog, Some(Dialog::Form(_)));
    let is_read = matches!(state.dialog, Some(Dialog::Help { .. } | Dialog::Text { .. } | Dialog::Card));
    match target {
        _ if wheel != 0 => {
            let (up, down) = if is_form { (KeyCode::PageUp, KeyCode::PageDown) } else { (KeyCode::Up, KeyCode::Down) };
            let code = if wheel < 0 { up } else { down };
            let steps = if is_form { 1 } else { wheel.unsigned_abs() };
            let scrolls = scrolls(state, key(code));
            (0..steps).filter(|_| scrolls).for_each(|_| on_dialog_key(state, key(code), false, effects));
        }
        Some(Target::Field(number)) => {
            if let Some(Dialog::Form(form)) = &mut state.dialog {
                form.at = number;
            }
        }
        Some(Target::Close) => on_dialog_key(state, key(KeyCode::Esc), false, effects),
        None if is_read => on_dialog_key(state, key(KeyCode::Esc), false, effects),
        _ => {}
    }
}

/// Puts a whole line into the field of the open question, and presses enter.
pub(super) fn on_line(state: &mut State, line: &str, effects: &mut Vec<Effect>) {
    let field = match &mut state.dialog {
        Some(Dialog::Start(start)) => &mut start.gate.typed,
        Some(Dialog::Confirm(confirm)) => &mut confirm.gate.typed,
        Some(Dialog::Answer(answering)) => &mut answering.typed,
        _ => return,
    };
    *field = Line::of(line);
    state.burst = 0;
    on_dialog_key(state, Key { code: KeyCode::Enter, ctrl: false, shift: false }, false, effects);
}

/// Puts a key into the field of a gate. What comes faster than fingers, a terminal's late answer or a paste that was not
/// marked as one, empties the field instead.
fn type_into(typed: &mut Line, burst: u8, key: Key) -> Option<SafeText> {
    if burst >= BURST || (burst > 0 && key.code == KeyCode::Enter) {
        typed.clear();
        return Some(SafeText::line("that came faster than fingers: it must be typed"));
    }
    typed.key(key);
    None
}

fn on_confirm_key(state: &mut State, mut confirm: Confirm, key: Key, end: u16, effects: &mut Vec<Effect>) {
    if moves(key) {
        confirm.top = scrolled(confirm.top, key, end);
    } else if state.burst > 0 || key.code != KeyCode::Enter {
        confirm.gate.note = type_into(&mut confirm.gate.typed, state.burst, key);
    } else if confirm.gate.is_met() {
        let by = state.by.clone();
        let command = match confirm.deed {
            Deed::Cancel(reason) => RunCommand::Cancel { reason, by: Some(by) },
            Deed::Pause => RunCommand::Pause { by },
            Deed::Continue => RunCommand::Continue { by },
            Deed::RetryNow(unit) => RunCommand::RetryNow { unit, by },
            Deed::Resume(run) => return effects.push(Effect::Resume(run)),
        };
        state.tell("the run has been told", false);
        return effects.push(Effect::Command(command));
    } else {
        confirm.gate.note = Some(not_met(&confirm.gate));
    }
    state.dialog = Some(Dialog::Confirm(confirm));
}

/// True when one of these actions is on this key, or on keys that begin with it.
fn begins(state: &State, key: Key, actions: &[Action]) -> bool {
    state.settings.keys.find(&[key], |action| actions.contains(&action)) != Found::Nothing
}

fn closes(key: Key) -> bool {
    matches!(key.code, KeyCode::Char('q') | KeyCode::Enter)
}

/// True when a key moves the text of a dialog; where something is typed into, letters do not.
fn scrolls(state: &State, key: Key) -> bool {
    use KeyCode::{Char, End, Home};
    match &state.dialog {
        Some(Dialog::Help { .. } | Dialog::Text { .. }) => {
            moves(key) || matches!(key.code, Home | End | Char('j' | 'k' | ' ' | 'g' | 'G'))
        }
        Some(Dialog::Start(_) | Dialog::Answer(_) | Dialog::Confirm(_)) => moves(key),
        Some(Dialog::Form(_)) => pages(key),
        _ => false,
    }
}

/// True for a key that scrolls what is above a field, and types nothing.
fn moves(key: Key) -> bool {
    matches!(key.code, KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown)
}

/// True for a key that scrolls also where up and down go from field to field.
fn pages(key: Key) -> bool {
    matches!(key.code, KeyCode::PageUp | KeyCode::PageDown)
}

/// The first line in sight after a key. `end` is that of the last page: nothing is beyond it.
fn scrolled(top: u16, key: Key, end: u16) -> u16 {
    let from = top.min(end);
    let wanted = match key.code {
        KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => from.saturating_add(1),
        KeyCode::PageUp => from.saturating_sub(10),
        KeyCode::PageDown | KeyCode::Char(' ') => from.saturating_add(10),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => end,
        _ => return top,
    };
    wanted.min(end)
}

fn not_met(gate: &Gate) -> SafeText {
    if gate.typed.is_empty() {
        SafeText::line(&format!("enter alone does nothing: type {}", gate.phrase))
    } else {
        SafeText::line(&format!("that is not {}", gate.phrase))
    }
}

fn on_form_key(state: &mut State, mut form: Form, key: Key, too_fast: bool, end: u16, effects: &mut Vec<Effect>) {
    let last = form.fields.len().saturating_sub(1);
    match key.code {
        KeyCode::PageUp => form.top = form.top.min(end).saturating_sub(FORM_PAGE),
        KeyCode::PageDown => form.top = form.top.saturating_add(FORM_PAGE).min(end),
        KeyCode::Tab | KeyCode::Down if !key.shift => form.at = if form.at == last { 0 } else { form.at + 1 },
        KeyCode::Up | KeyCode::Tab => form.at = form.at.checked_sub(1).unwrap_or(last),
        KeyCode::Enter if too_fast => {}
        KeyCode::Enter => return ask_form(state, form, effects),
        _ => {
            let switches = matches!(key.code, KeyCode::Left | KeyCode::Right | KeyCode::Char(' '));
            if !(switches && form.switch(key.code == KeyCode::Left))
                && let Some(field) = form.fields.get_mut(form.at)
            {
                field.key(key);
            }
            form.trouble = None;
        }
    }
    state.dialog = Some(Dialog::Form(form));
}

/// Asks for the plan of what was typed; a form with something wrong in it stays, at that field.
pub(super) fn ask_form(state: &mut State, mut form: Form, effects: &mut Vec<Effect>) {
    match form.request() {
        Ok(request) => {
            effects.push(Effect::Plan(request.clone()));
            state.dialog = Some(Dialog::Planning(request, form.purpose));
        }
        Err((at, trouble)) => {
            form.at = at;
            form.trouble = Some(trouble);
            state.dialog = Some(Dialog::Form(form));
        }
    }
}

/// The form that a request came from, with what was typed; nothing for a runbook without parameters.
fn form_again(state: &State, request: &StartRequest, purpose: Purpose, failure: Option<SafeText>) -> Option<Dialog> {
    let book = state.runbooks.iter().find(|book| book.name == request.runbook && !book.params.is_empty())?;
    Some(Dialog::Form(Form { failure, ..Form::again(book.clone(), &request.params, purpose) }))
}

pub(super) fn planned(state: &mut State, plan: PlanShown) {
    let Some(Dialog::Planning(request, purpose)) = &state.dialog else { return };
    if request.runbook != plan.runbook || request.params != plan.params {
        return;
    }
    let (request, purpose) = (request.clone(), *purpose);
    let runbook = state.runbooks.iter().find(|book| book.name == plan.runbook).cloned();
    let title = SafeText::line(&format!("Plan of {}", plan.runbook));
    state.dialog = Some(match (purpose, &plan.digest, runbook) {
        (Purpose::Start, Some(digest), Some(runbook)) => {
            let observed = state.observed();
            let target = state.direction.direction.as_ref().map_or("", |direction| direction.target.as_str());
            let gate = Gate::of(runbook.level, runbook.mode.as_str(), target, &nonce(digest, &observed));
            let opened = state.now;
            let request = StartRequest { plan: Some(digest.clone()), ..request };
            Dialog::Start(Box::new(Start { request, runbook, plan, gate, observed, changed: None, top: 0, opened }))
        }
        (_, None, _) => {
            let form = form_again(state, &request, purpose, Some(plan.text.clone()));
            form.unwrap_or(Dialog::Text { title, text: plan.text, top: 0 })
        }
        _ => Dialog::Text { title, text: plan.text, top: 0 },
    });
}

fn on_start_key(state: &mut State, mut start: Box<Start>, key: Key, end: u16, effects: &mut Vec<Effect>) {
    match key.code {
        _ if moves(key) => start.top = scrolled(start.top, key, end),
        KeyCode::Enter if state.burst > 0 => start.gate.note = type_into(&mut start.gate.typed, state.burst, key),
        KeyCode::Enter if start.gate.is_met() => {
            if let Some(why) = may_not_start(state, &start.runbook) {
                start.gate.note = Some(SafeText::line(&why));
                state.dialog = Some(Dialog::Start(start));
                return;
            }
            if state.now.duration_since(start.plan.at) > state.patience(PLAN_HOLDS) {
                state.tell("the plan was old: it is made anew", false);
                effects.push(Effect::Plan(start.request.clone()));
                state.dialog = Some(Dialog::Planning(start.request, Purpose::Start));
            } else {
                state.tell("beginning", false);
                state.beginning = true;
                effects.push(Effect::Start(start.request));
            }
            return;
        }
        KeyCode::Enter => start.gate.note = Some(not_met(&start.gate)),
        _ => start.gate.note = type_into(&mut start.gate.typed, state.burst, key),
    }
    state.dialog = Some(Dialog::Start(start));
}

fn on_answer_key(state: &mut State, mut answering: Answering, key: Key, end: u16, effects: &mut Vec<Effect>) {
    let prompt = state
        .run
        .as_ref()
        .and_then(|run| run.state.open_prompts().find(|prompt| prompt.id == answering.standing.prompt).cloned());
    let Some(prompt) = prompt else { return };
    match key.code {
        _ if moves(key) => answering.top = scrolled(answering.top, key, end),
        KeyCode::Enter if state.burst > 0 => {
            answering.note = type_into(&mut answering.typed, state.burst, key);
        }
        KeyCode::Enter => match answering.standing.read(&prompt, answering.typed.text()) {
            Some((answer, typed)) => {
                let answer = Answer { prompt: prompt.id, answer, typed, by: state.by.clone() };
                effects.push(Effect::Command(RunCommand::Answer(answer)));
                return;
            }
            None if answering.typed.is_empty() => {
                answering.note = Some(SafeText::line("enter alone is no answer"));
            }
            None => answering.note = Some(SafeText::line("that is no answer to this question")),
        },
        _ => answering.note = type_into(&mut answering.typed, state.burst, key),
    }
    state.dialog = Some(Dialog::Answer(answering));
}

/// A phrase stands for what was known when it was shown.
pub(super) fn world_may_have_changed(state: &mut State) {
    let observed = state.observed();
    let target = state.direction.direction.as_ref().map_or(String::new(), |direction| direction.target.to_string());
    if let Some(Dialog::Start(start)) = &mut state.dialog
        && start.runbook.level >= 2
        && start.observed != observed
    {
        let digest = start.plan.digest.clone().unwrap_or_default();
        start.gate = Gate::of(start.runbook.level, start.runbook.mode.as_str(), &target, &nonce(&digest, &observed));
        start.changed = Some(SafeText::line(&format!("it was {}; now it is {observed}", start.observed)));
        start.observed = observed;
    } else if let Some(Dialog::Confirm(Confirm { gate, stands: Some(stands), .. })) = &mut state.dialog
        && stands.observed != observed
    {
        stands.changed = Some(SafeText::line(&format!("it was {}; now it is {observed}", stands.observed)));
        stands.observed = observed;
        *gate = stands.gate();
    } else if let Some(Dialog::Answer(answering)) = &mut state.dialog
        && answering.standing.look(&observed)
    {
        // Where a `y` or a comment is enough, what was typed still means what it meant.
        let run = state.run.as_ref();
        let asks = run.and_then(|run| run.state.open_prompts().find(|prompt| prompt.id == answering.standing.prompt));
        if asks.is_some_and(|prompt| prompt.phrase.is_some()) {
            answering.typed.clear();
            answering.note = None;
        }
    }
}
