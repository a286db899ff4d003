//! A message comes in, the state changes, effects come out. Pure: no clock, no terminal, no file.

use std::sync::Arc;

use jiff::SignedDuration;

use super::action::{self, Action};
use super::dialog::{Answering, Confirm, Deed, Dialog, Form, Gate, Purpose, Start, StartRequest, nonce};
use super::facts::{PlanShown, RunRow, RunbookFacts};
use super::keys::Found;
use super::line::Line;
use super::log::{LogMode, LogSource, Received, file_name};
use super::msg::{Effect, Key, KeyCode, Msg};
use super::palette::Palette;
use super::pane::Pane;
use super::run_view::{Row, RunView, since};
use super::state::{Badge, Choice, State};
use crate::model::{CancelReason, RunId, SafeText};
use crate::run::{Answer, Event, EventKind, RunCommand, RunPhase, explain, read_answer};

/// An enter that comes so soon after the key before was not pressed by a person: it is the end of something that a
/// terminal sent late, or of a paste that was not marked as one.
const TOO_FAST: SignedDuration = SignedDuration::from_millis(30);
/// So many keys in a row faster than fingers are no typing.
const BURST: u8 = 3;
/// A plan that is older says nothing of the sites any more.
const PLAN_HOLDS: SignedDuration = SignedDuration::from_secs(180);
/// What is told when a search has gone beyond an end.
const ONCE_AROUND: &str = "found beyond the end: the search went once around";
/// Whoever presses `q` again within this means it.
const MEANS_IT: SignedDuration = SignedDuration::from_secs(5);

/// Changes the state by a message. What is to be done outside is returned, in order.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Key(key) => on_key(state, key, &mut effects),
        Msg::Paste(text) => on_paste(state, &text),
        Msg::Mouse { column, row, wheel } => on_mouse(state, column, row, wheel, &mut effects),
        Msg::Resize(width, height) => {
            state.size = (width, height);
            fit(state, &mut effects);
        }
        Msg::Tick(now) => {
            state.wall = now;
            on_tick(state, now);
        }
        Msg::Wall(now) => state.wall = now,
        Msg::Health(observation) => {
            state.health.apply(&observation);
            world_may_have_changed(state);
        }
        Msg::Direction(direction) => {
            state.direction = *direction;
            world_may_have_changed(state);
        }
        Msg::Runbooks(runbooks) => {
            let chosen = state.shown_runbooks().get(state.runbook.selected).map(|book| book.name.clone());
            state.runbooks = runbooks;
            let names: Vec<SafeText> = state.shown_runbooks().into_iter().map(|book| book.name.clone()).collect();
            stay(&mut state.runbook, chosen, &names);
        }
        Msg::Runs(runs) => on_runs(state, runs, &mut effects),
        Msg::Planned(plan) => planned(state, *plan),
        Msg::Started(Ok(run)) => {
            state.tell(format!("{run} has begun"), false);
            state.go(Pane::Run);
            effects.push(Effect::Open(run));
        }
        Msg::Started(Err(why)) => {
            state.dialog = Some(Dialog::Text { title: SafeText::line("It could not be begun"), text: why, top: 0 });
        }
        Msg::Opened { run, events, live } => opened(state, &run, events, live, &mut effects),
        Msg::NotOpened(run, why) => state.tell(format!("{run} cannot be looked at: {why}"), true),
        Msg::Event(run, event) => on_event(state, &run, event, &mut effects),
        Msg::Ended(run, why) => {
            if let Some(view) = state.run.as_mut().filter(|view| view.id == run) {
                view.live = false;
                view.lost.clone_from(&why);
                drop_questions_of_the_run(state);
            }
            if let Some(why) = why {
                state.tell(why.as_str(), true);
            }
            effects.push(Effect::Refresh);
        }
        Msg::Lines(lines) => match state.log.receive(*lines) {
            Received::NotFound => state.tell("nothing found", false),
            Received::OnceAround => state.tell(ONCE_AROUND, false),
            Received::AskAgain => look_at_output(state, &mut effects),
            Received::Shown | Received::Late => {}
        },
        Msg::Theme(theme) => state.settings.theme = *theme,
        Msg::Told { text, bad } => state.tell(text.as_str(), bad),
    }
    let selected = state.run.as_ref().and_then(RunView::selected_step);
    state.log.take_in(state.run.as_ref(), selected.as_ref());
    // Another line was selected, another attempt has begun, the run was looked away from.
    if state.log.asked() != source(state).as_ref() {
        look_at_output(state, &mut effects);
    }
    retitle(state, &mut effects);
    effects
}

/// What was selected stays selected, wherever a new list has moved it.
fn stay<T: PartialEq>(choice: &mut Choice, chosen: Option<T>, list: &[T]) {
    let place = chosen.and_then(|chosen| list.iter().position(|one| *one == chosen));
    choice.selected = place.unwrap_or(choice.selected).min(list.len().saturating_sub(1));
}

fn on_runs(state: &mut State, runs: Vec<RunRow>, effects: &mut Vec<Effect>) {
    let ids = |rows: Vec<&RunRow>| -> Vec<RunId> { rows.into_iter().map(|row| row.run.clone()).collect() };
    let run = ids(state.shown_runs()).into_iter().nth(state.past.selected);
    let point = ids(state.shown_points()).into_iter().nth(state.point.selected);
    let first = !state.runs_read;
    state.runs = runs;
    state.runs_read = true;
    let (all, points) = (ids(state.shown_runs()), ids(state.shown_points()));
    stay(&mut state.past, run, &all);
    stay(&mut state.point, point, &points);
    state.know_usual();
    if first && let Some(alive) = state.alive() {
        effects.push(Effect::Open(alive.run.clone()));
    }
}

/// The terminal's title says what a person must know without looking.
fn retitle(state: &mut State, effects: &mut Vec<Effect>) {
    let asks = state.run.as_ref().is_some_and(|run| run.live && run.state.open_prompts().next().is_some());
    let runs = state.run.as_ref().is_some_and(|run| run.live && !matches!(run.state.phase, RunPhase::Ended(_)));
    let word = match (asks, runs) {
        (true, _) => " - waits for you",
        (false, true) => " - running",
        _ => "",
    };
    let title = SafeText::line(&format!("{} {}{word}", state.badge.word(), state.estate.name));
    if title != state.title {
        state.title = title.clone();
        effects.push(Effect::Title(title));
    }
}

fn on_tick(state: &mut State, now: jiff::Timestamp) {
    state.now = now;
    if state.notice.as_ref().is_some_and(|notice| notice.until <= now) {
        state.notice = None;
    }
    if let Some(run) = &mut state.run {
        run.advance(now);
    }
    // What grows old becomes unknown without anything being told.
    world_may_have_changed(state);
}

// ── what a run tells ────────────────────────────────────────────────────────────────────────────────────────────────

fn opened(state: &mut State, run: &RunId, events: Vec<Arc<Event>>, live: bool, effects: &mut Vec<Effect>) {
    match RunView::open(run.clone(), events, live) {
        Ok(view) => {
            let came_back = live && since(view.began(), state.now).as_secs() >= 5;
            if state.run.as_ref().is_none_or(|before| before.id != *run || (before.live && !live)) {
                drop_questions_of_the_run(state);
            }
            state.run = Some(view);
            state.log.follow = true;
            state.log.look_at(None);
            state.know_usual();
            if came_back && state.dialog.is_none() {
                state.dialog = Some(Dialog::Card);
            }
            call(state, effects);
            look_at_output(state, effects);
        }
        Err(why) => state.tell(format!("{run}: {why}"), true),
    }
}

/// A question about a run means that run: with another one in sight it must be asked anew.
fn drop_questions_of_the_run(state: &mut State) {
    let about_the_run = match &state.dialog {
        Some(Dialog::Answer(_)) => true,
        Some(Dialog::Confirm(confirm)) => !matches!(confirm.deed, Deed::Resume(_)),
        _ => false,
    };
    if about_the_run {
        state.dialog = None;
        state.tell("the run in sight has changed: ask again", false);
    }
}

fn on_event(state: &mut State, run: &RunId, event: Arc<Event>, effects: &mut Vec<Effect>) {
    let Some(view) = state.run.as_mut().filter(|view| view.id == *run) else { return };
    let ended = matches!(event.kind, EventKind::RunEnded { .. });
    if let Err(why) = view.apply(event) {
        state.tell(format!("{run} told something impossible: {why}"), true);
        return;
    }
    call(state, effects);
    // A question that somebody else has answered is none any more.
    if let Some(Dialog::Answer(answering)) = &state.dialog {
        let open = state
            .run
            .as_ref()
            .is_some_and(|view| view.state.open_prompts().any(|prompt| prompt.id == answering.prompt));
        if !open {
            state.dialog = None;
            state.tell("the question has been answered", false);
        }
    }
    if ended {
        effects.push(Effect::Refresh);
    }
}

/// Calls a person, once for each question.
fn call(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(view) = &mut state.run else { return };
    if !view.live {
        return;
    }
    let asked = view.state.open_prompts().find(|prompt| !view.called.contains(&prompt.id.0)).cloned();
    if let Some(prompt) = asked {
        view.called.insert(prompt.id.0);
        effects.push(Effect::Call(SafeText::line(&format!("{} asks: {}", view.id, prompt.message))));
    }
}

// ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn on_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let too_fast = state.wall.duration_since(state.last_key) < TOO_FAST;
    state.last_key = state.wall;
    state.burst = if too_fast { state.burst.saturating_add(1) } else { 0 };
    if key.ctrl && key.code == KeyCode::Char('z') {
        effects.push(Effect::Suspend);
        return;
    }
    if key.ctrl && key.code == KeyCode::Char('c') {
        state.tell("q leaves the screen; a run is stopped with x in pane 3", false);
        return;
    }
    if !super::view::shows(state.size.0, state.size.1) {
        // Nobody sees what a key would do: only the way out is open.
        if key.code == KeyCode::Char('q') {
            quit(state, false, effects);
        }
        return;
    }
    if state.frozen {
        // The picture is not what is: a key brings back what is, and does nothing else.
        state.frozen = false;
        state.tell("live again", false);
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

fn on_plain_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    state.typed.push(key);
    let pane = state.focus;
    let found = state.settings.keys.find(&state.typed, |action| action.is_in(pane));
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
    match state.settings.keys.find(&[key], |_| true) {
        Found::Action(action) => Some(action),
        _ => None,
    }
}

fn not_pasted() -> SafeText {
    SafeText::line("a paste is not taken here: it must be typed")
}

fn on_paste(state: &mut State, text: &str) {
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

fn on_mouse(state: &mut State, column: u16, row: u16, wheel: i8, effects: &mut Vec<Effect>) {
    if state.dialog.is_some() || state.palette.is_some() || state.search.is_some() {
        return;
    }
    let Some((pane, line)) = super::view::hit(state, column, row) else { return };
    if pane != state.focus {
        state.go(pane);
    }
    if wheel != 0 {
        for _ in 0..wheel.unsigned_abs() {
            act(state, if wheel < 0 { Action::Up } else { Action::Down }, "", effects);
        }
    } else if let Some(line) = line {
        select(state, pane, line);
        look_at_output(state, effects);
    }
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

fn set_filter(state: &mut State, filter: Option<String>) {
    if let Some(choice) = choice(state) {
        *choice = Choice { selected: 0, filter: filter.filter(|text| !text.is_empty()) };
    }
}

fn drop_filter(state: &mut State) {
    if choice(state).is_some_and(|choice| choice.filter.is_some()) {
        set_filter(state, None);
    }
}

fn on_palette_key(state: &mut State, key: Key, too_fast: bool, effects: &mut Vec<Effect>) {
    let Some(palette) = &mut state.palette else { return };
    match key.code {
        KeyCode::Esc => state.palette = None,
        KeyCode::Tab => palette.complete(),
        KeyCode::Down => palette.selected = (palette.selected + 1).min(palette.matches().len().saturating_sub(1)),
        KeyCode::Up => palette.selected = palette.selected.saturating_sub(1),
        KeyCode::Enter if too_fast => {}
        KeyCode::Enter => {
            let chosen = palette.chosen();
            let argument = palette.words().1.to_owned();
            let Some(entry) = chosen else { return };
            if entry.argument.is_some() && argument.is_empty() && entry.action != Action::Search {
                palette.complete();
                return;
            }
            state.palette = None;
            if let action::Where::In(pane) = entry.scope {
                state.go(pane);
            }
            act(state, entry.action, &argument, effects);
        }
        _ => {
            palette.line.key(key);
            palette.selected = 0;
        }
    }
}

// ── dialogs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn on_dialog_key(state: &mut State, key: Key, too_fast: bool, effects: &mut Vec<Effect>) {
    let Some(dialog) = state.dialog.take() else { return };
    if key.code == KeyCode::Esc {
        if matches!(dialog, Dialog::Answer(_)) {
            state.tell("the question still waits: a answers it", false);
        }
        return;
    }
    match dialog {
        Dialog::Help { top } => {
            if !closes(key) {
                state.dialog = Some(Dialog::Help { top: scrolled(top, key) });
            }
        }
        Dialog::Text { title, text, top } => {
            if key.code == KeyCode::Char('y') {
                effects.push(Effect::Copy(text.clone()));
            }
            if !closes(key) {
                state.dialog = Some(Dialog::Text { title, text, top: scrolled(top, key) });
            }
        }
        // The two keys that the card names do what it says.
        Dialog::Card if key == plain('3') || key == plain('a') => on_plain_key(state, key, effects),
        Dialog::Card => {}
        Dialog::Form(form) => on_form_key(state, form, key, too_fast, effects),
        Dialog::Planning(request, purpose) => state.dialog = Some(Dialog::Planning(request, purpose)),
        Dialog::Start(start) => on_start_key(state, start, key, effects),
        Dialog::Answer(answering) => on_answer_key(state, answering, key, effects),
        Dialog::Confirm(confirm) => on_confirm_key(state, confirm, key, effects),
    }
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

fn on_confirm_key(state: &mut State, mut confirm: Confirm, key: Key, effects: &mut Vec<Effect>) {
    if state.burst > 0 || key.code != KeyCode::Enter {
        confirm.gate.note = type_into(&mut confirm.gate.typed, state.burst, key);
    } else if confirm.gate.is_met() {
        let by = state.by.clone();
        let command = match confirm.deed {
            Deed::Cancel(reason) => RunCommand::Cancel { reason, by: Some(by) },
            Deed::Pause => RunCommand::Pause { by },
            Deed::Continue => RunCommand::Continue { by },
            Deed::Resume(run) => return effects.push(Effect::Resume(run)),
        };
        state.tell("the run has been told", false);
        return effects.push(Effect::Command(command));
    } else {
        confirm.gate.note = Some(not_met(&confirm.gate));
    }
    state.dialog = Some(Dialog::Confirm(confirm));
}

fn plain(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: false, shift: false }
}

fn closes(key: Key) -> bool {
    matches!(key.code, KeyCode::Char('q') | KeyCode::Enter)
}

fn scrolled(top: u16, key: Key) -> u16 {
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => top.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => top.saturating_add(1),
        KeyCode::PageUp => top.saturating_sub(10),
        KeyCode::PageDown | KeyCode::Char(' ') => top.saturating_add(10),
        KeyCode::Home | KeyCode::Char('g') => 0,
        _ => top,
    }
}

fn not_met(gate: &Gate) -> SafeText {
    if gate.typed.is_empty() {
        SafeText::line(&format!("enter alone does nothing: type {}", gate.phrase))
    } else {
        SafeText::line(&format!("that is not {}", gate.phrase))
    }
}

fn on_form_key(state: &mut State, mut form: Form, key: Key, too_fast: bool, effects: &mut Vec<Effect>) {
    let last = form.fields.len().saturating_sub(1);
    match key.code {
        KeyCode::Tab | KeyCode::Down if !key.shift => form.at = if form.at == last { 0 } else { form.at + 1 },
        KeyCode::Up | KeyCode::Tab => form.at = form.at.checked_sub(1).unwrap_or(last),
        KeyCode::Enter if too_fast => {}
        KeyCode::Enter => match form.request() {
            Ok(request) => {
                effects.push(Effect::Plan(request.clone()));
                state.dialog = Some(Dialog::Planning(request, form.purpose));
                return;
            }
            Err((at, trouble)) => {
                form.at = at;
                form.trouble = Some(trouble);
            }
        },
        _ => {
            if let Some(field) = form.fields.get_mut(form.at) {
                field.key(key);
            }
            form.trouble = None;
        }
    }
    state.dialog = Some(Dialog::Form(form));
}

fn planned(state: &mut State, plan: PlanShown) {
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
            Dialog::Start(Box::new(Start { request, runbook, plan, gate, observed, changed: None, top: 0, opened }))
        }
        _ => Dialog::Text { title, text: plan.text, top: 0 },
    });
}

fn on_start_key(state: &mut State, mut start: Box<Start>, key: Key, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Up => start.top = start.top.saturating_sub(1),
        KeyCode::Down => start.top = start.top.saturating_add(1),
        KeyCode::PageUp => start.top = start.top.saturating_sub(10),
        KeyCode::PageDown => start.top = start.top.saturating_add(10),
        KeyCode::Enter if state.burst > 0 => start.gate.note = type_into(&mut start.gate.typed, state.burst, key),
        KeyCode::Enter if start.gate.is_met() => {
            if let Some(why) = may_not_start(state, &start.runbook) {
                start.gate.note = Some(SafeText::line(&why));
                state.dialog = Some(Dialog::Start(start));
                return;
            }
            if state.now.duration_since(start.plan.at) > PLAN_HOLDS {
                state.tell("the plan was old: it is made anew", false);
                effects.push(Effect::Plan(start.request.clone()));
                state.dialog = Some(Dialog::Planning(start.request, Purpose::Start));
            } else {
                state.tell("beginning", false);
                effects.push(Effect::Start(start.request));
            }
            return;
        }
        KeyCode::Enter => start.gate.note = Some(not_met(&start.gate)),
        _ => start.gate.note = type_into(&mut start.gate.typed, state.burst, key),
    }
    state.dialog = Some(Dialog::Start(start));
}

/// A phrase stands for what was known when it was shown.
fn world_may_have_changed(state: &mut State) {
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
    }
}

fn on_answer_key(state: &mut State, mut answering: Answering, key: Key, effects: &mut Vec<Effect>) {
    let prompt = state
        .run
        .as_ref()
        .and_then(|run| run.state.open_prompts().find(|prompt| prompt.id == answering.prompt).cloned());
    let Some(prompt) = prompt else { return };
    match key.code {
        KeyCode::Enter if state.burst > 0 => {
            answering.note = type_into(&mut answering.typed, state.burst, key);
        }
        KeyCode::Enter => match read_answer(&prompt, answering.typed.text()) {
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

// ── actions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn act(state: &mut State, action: Action, argument: &str, effects: &mut Vec<Effect>) {
    if let Some(pane) = action.pane() {
        state.go(pane);
        fit(state, effects);
        return;
    }
    match action {
        Action::Help => state.dialog = Some(Dialog::Help { top: 0 }),
        Action::Palette => state.palette = Some(Palette::default()),
        Action::Quit | Action::QuitKeep => quit(state, action == Action::QuitKeep, effects),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::NextPane | Action::PreviousPane => {
            let pane = state.focus.step(if action == Action::NextPane { 1 } else { -1 });
            state.go(pane);
            fit(state, effects);
        }
        Action::Zoom => {
            state.zoom = !state.zoom;
            fit(state, effects);
        }
        Action::Back => {
            if state.detail.is_some() {
                state.detail = None;
            } else if state.zoom {
                state.zoom = false;
                fit(state, effects);
            } else {
                drop_filter(state);
                state.notice = None;
            }
        }
        Action::Refresh => {
            effects.push(Effect::Refresh);
            state.tell("reading everything anew", false);
        }
        Action::Search => {
            if argument.is_empty() {
                state.search = Some(Line::default());
            } else if state.focus == Pane::Log {
                state.log.search = Some(argument.to_owned());
                find(state, false, effects);
            } else {
                set_filter(state, Some(argument.to_owned()));
            }
        }
        Action::SearchNext => find(state, false, effects),
        Action::SearchPrevious => find(state, true, effects),
        Action::Freeze => {
            state.frozen = true;
            state.tell("held still: any key lets it go", false);
        }
        Action::Theme => effects.push(Effect::Theme(argument.to_owned())),
        Action::Mouse => {
            state.settings.mouse = !state.settings.mouse;
            effects.push(Effect::Mouse(state.settings.mouse));
        }
        Action::Privacy => state.settings.privacy = !state.settings.privacy,
        Action::Answer if state.badge == Badge::ReadOnly => state.tell("this console only looks", true),
        Action::Answer => {
            match state.run.as_ref().filter(|run| run.live).and_then(|run| run.state.open_prompts().next()) {
                Some(prompt) => {
                    state.dialog =
                        Some(Dialog::Answer(Answering { prompt: prompt.id, typed: Line::default(), note: None }));
                }
                None => state.tell("no run asks anything", false),
            }
        }
        Action::Copy => copy(state, effects),
        _ if moves(action).is_some() => travel(state, action, effects),
        Action::Left | Action::Right => sideways(state, action),
        Action::Open => open(state, effects),
        Action::PlanRunbook => ask_for(state, Purpose::Read, effects),
        Action::StartRunbook => ask_for(state, Purpose::Start, effects),
        Action::Follow
        | Action::Wrap
        | Action::Times
        | Action::NextError
        | Action::Output
        | Action::AllSteps
        | Action::HostFilter
        | Action::SaveLog
        | Action::CopyLog => on_log(state, action, argument, effects),
        _ => on_run(state, action, effects),
    }
}

fn quit(state: &mut State, keep: bool, effects: &mut Vec<Effect>) {
    let goes_on = state.run.as_ref().filter(|run| run.live).map(|run| run.id.clone());
    let again = state.leaving.is_some_and(|asked| state.now.duration_since(asked) < MEANS_IT);
    match goes_on {
        Some(run) if !again => {
            state.leaving = Some(state.now);
            state.tell(format!("{run} goes on without the screen; q again leaves"), false);
        }
        _ => effects.push(Effect::Quit { keep }),
    }
}

/// By how many lines an action goes, given the height of the pane; the ends are far away.
fn moves(action: Action) -> Option<fn(i64) -> i64> {
    Some(match action {
        Action::Up => |_| -1,
        Action::Down => |_| 1,
        Action::PageUp => |page| -page,
        Action::PageDown => |page| page,
        Action::HalfUp => |page| -(page / 2).max(1),
        Action::HalfDown => |page| (page / 2).max(1),
        Action::Top => |_| i64::MIN / 2,
        Action::Bottom => |_| i64::MAX / 2,
        _ => return None,
    })
}

fn moved(at: usize, by: i64, count: usize) -> usize {
    let at = i64::try_from(at).unwrap_or(0).saturating_add(by).max(0);
    usize::try_from(at).unwrap_or(0).min(count.saturating_sub(1))
}

fn travel(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let Some(by) = moves(action).map(|by| by(i64::from(state.log.height.max(2)) - 1)) else { return };
    match state.focus {
        Pane::Sites if state.detail.is_some() => {
            let top = i64::from(state.detail_top).saturating_add(by).clamp(0, 10_000);
            state.detail_top = u16::try_from(top).unwrap_or(0);
        }
        Pane::Sites => {
            let count = state.subjects(state.at_site.0).len();
            state.at_site.1 = moved(state.at_site.1, by, count);
        }
        Pane::Runbooks => state.runbook.selected = moved(state.runbook.selected, by, state.shown_runbooks().len()),
        Pane::Runs => state.past.selected = moved(state.past.selected, by, state.shown_runs().len()),
        Pane::Points => state.point.selected = moved(state.point.selected, by, state.shown_points().len()),
        Pane::Run => {
            if let Some(run) = &mut state.run {
                run.keeps_up = false;
                run.selected = moved(run.selected, by, run.rows().len());
            }
            look_at_output(state, effects);
        }
        Pane::Log => {
            if action == Action::Bottom {
                state.log.follow = true;
                state.log.to_end();
            } else {
                state.log.scroll(by);
            }
            look_at_output(state, effects);
        }
    }
}

fn sideways(state: &mut State, action: Action) {
    match state.focus {
        Pane::Sites => {
            let last = state.estate.sites.len().saturating_sub(1);
            let site = state.at_site.0;
            state.at_site.0 = if action == Action::Left { site.saturating_sub(1) } else { (site + 1).min(last) };
            state.at_site.1 = state.at_site.1.min(state.subjects(state.at_site.0).len().saturating_sub(1));
        }
        Pane::Log => {
            let left = state.log.left;
            state.log.left = if action == Action::Left { left.saturating_sub(8) } else { left.saturating_add(8) };
        }
        Pane::Run => {
            let stage = state.run.as_ref().and_then(|run| match run.rows().get(run.selected)? {
                Row::Stage(stage) => Some(stage.clone()),
                Row::Step(step) => Some(step.stage.clone()),
                Row::Unit(unit) => Some(unit.step.stage.clone()),
            });
            if let (Some(run), Some(stage)) = (&mut state.run, stage) {
                run.opened.insert(stage.clone(), action == Action::Right);
                if let Some(index) = run.rows().iter().position(|row| *row == Row::Stage(stage.clone()))
                    && action == Action::Left
                {
                    run.selected = index;
                }
                run.keeps_up = false;
            }
        }
        _ => {}
    }
}

fn open(state: &mut State, effects: &mut Vec<Effect>) {
    match state.focus {
        Pane::Sites => {
            let subject = state.subjects(state.at_site.0).get(state.at_site.1).cloned();
            let site = state.estate.sites.get(state.at_site.0).map(|site| site.name.clone());
            state.detail = site.zip(subject);
            state.detail_top = 0;
        }
        Pane::Runbooks => {
            let Some(book) = state.shown_runbooks().get(state.runbook.selected).copied().cloned() else { return };
            state.dialog = Some(Dialog::Text { title: book.name, text: book.text, top: 0 });
        }
        Pane::Run => {
            let row = state.run.as_ref().and_then(|run| run.rows().get(run.selected).cloned());
            match row {
                Some(Row::Stage(stage)) => {
                    if let Some(run) = &mut state.run {
                        let open = run.is_open(&stage);
                        run.opened.insert(stage, !open);
                        run.keeps_up = false;
                    }
                }
                Some(_) => {
                    state.log.all = false;
                    state.go(Pane::Log);
                    look_at_output(state, effects);
                }
                None => state.tell("no run is looked at: choose one in pane 5", false),
            }
        }
        Pane::Runs => {
            if let Some(run) = state.shown_runs().get(state.past.selected).map(|row| row.run.clone()) {
                state.go(Pane::Run);
                effects.push(Effect::Open(run));
            }
        }
        Pane::Points => {
            if let Some(row) = state.shown_points().get(state.point.selected).copied().cloned() {
                let text = super::view::point_text(&row, state.now);
                let title = row.point.map_or_else(SafeText::default, |point| point.id);
                state.dialog = Some(Dialog::Text { title, text, top: 0 });
            }
        }
        Pane::Log => {}
    }
}

fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let text = match state.focus {
        Pane::Sites => state.detail.clone().map(|(site, subject)| super::view::detail_text(state, &site, &subject)),
        Pane::Runbooks => state.shown_runbooks().get(state.runbook.selected).map(|book| book.name.clone()),
        Pane::Runs => state.shown_runs().get(state.past.selected).map(|row| SafeText::line(row.run.as_str())),
        Pane::Points => state
            .shown_points()
            .get(state.point.selected)
            .and_then(|row| row.point.as_ref().map(|point| point.id.clone())),
        Pane::Run => state.run.as_ref().map(|run| SafeText::line(run.id.as_str())),
        Pane::Log => Some(super::view::log_text(state)),
    };
    match text {
        Some(text) => effects.push(Effect::Copy(text)),
        None => state.tell("nothing is selected", false),
    }
}

/// Begins the way to a plan: a form when the runbook has parameters.
fn ask_for(state: &mut State, purpose: Purpose, effects: &mut Vec<Effect>) {
    let Some(book) = state.shown_runbooks().get(state.runbook.selected).copied().cloned() else { return };
    if let Some(why) = may_not_start(state, &book).filter(|_| purpose == Purpose::Start) {
        state.tell(why, true);
        return;
    }
    if let Some(trouble) = &book.trouble {
        state.tell(format!("{}: {trouble}", book.name), true);
        return;
    }
    if book.params.is_empty() {
        let request = StartRequest { runbook: book.name.clone(), params: std::collections::BTreeMap::new() };
        effects.push(Effect::Plan(request.clone()));
        state.dialog = Some(Dialog::Planning(request, purpose));
    } else {
        state.dialog = Some(Dialog::Form(Form::of(book, purpose)));
    }
}

/// Why nothing can be begun now.
fn may_not_start(state: &State, book: &RunbookFacts) -> Option<String> {
    if state.badge == Badge::ReadOnly {
        return Some("nothing can be begun from here: this console only looks".to_owned());
    }
    if let Some(alive) = state.alive() {
        return Some(format!("{} is going on; one run at a time", alive.run));
    }
    if state.direction.direction.is_none() {
        let why = state.direction.trouble.clone().unwrap_or_else(|| SafeText::line("it has not been read yet"));
        return Some(format!("{} needs a direction: {why}", book.name));
    }
    None
}

fn on_run(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let Some(run) = &mut state.run else {
        state.tell("no run is looked at: choose one in pane 5", false);
        return;
    };
    let now = state.now;
    match action {
        Action::Why => {
            let (title, text) = why(run);
            state.dialog = Some(Dialog::Text { title, text, top: 0 });
        }
        Action::Detach => {
            state.run = None;
            effects.push(Effect::Detach);
        }
        Action::Replay if run.live => state.tell("it is going on: a run of the past can be played again", false),
        Action::Replay => run.toggle_replay(now),
        Action::ReplayFaster => run.speed(true),
        Action::ReplaySlower => run.speed(false),
        Action::ReplayBack => run.jump(-1),
        Action::ReplayOn => run.jump(1),
        _ if state.badge == Badge::ReadOnly => state.tell("this console only looks", true),
        Action::ResumeRun => {
            let id = run.id.clone();
            let ended_well = matches!(&run.state.phase, RunPhase::Ended(outcome) if outcome.exit_code() == 0);
            if run.live {
                state.tell("it is going on", false);
            } else if ended_well {
                state.tell("it has ended well: nothing is left to do", false);
            } else {
                state.dialog = Some(Dialog::Confirm(Confirm {
                    question: SafeText::line(&format!("Take {id} up again?")),
                    consequences: vec![
                        SafeText::line("What ended well is not done again."),
                        SafeText::line("What nobody knows the ending of is looked at first, and asked about."),
                        SafeText::line("The direction and the safety rules are read anew first."),
                    ],
                    deed: Deed::Resume(id),
                    gate: Gate::of(1, "resume", "", ""),
                }));
            }
        }
        _ if !run.live => state.tell("it is not going on: there is nothing to steer", false),
        Action::PauseRun => {
            state.dialog = Some(Dialog::Confirm(Confirm {
                deed: Deed::Pause,
                question: SafeText::line("Begin nothing new until somebody says so?"),
                consequences: vec![
                    SafeText::line("The steps that run now go on to their end."),
                    SafeText::line("A paused run stays paused, however long nobody looks; c goes on."),
                ],
                gate: Gate::of(1, "pause", "", ""),
            }));
        }
        Action::ContinueRun => {
            state.dialog = Some(Dialog::Confirm(Confirm {
                deed: Deed::Continue,
                question: SafeText::line("Go on with the run?"),
                consequences: vec![
                    SafeText::line("The next steps begin at once, also those that change something."),
                    SafeText::line("Whoever paused it may have had a reason: the log says who."),
                ],
                gate: Gate::of(1, "continue", "", ""),
            }));
        }
        Action::CancelRun => {
            let again = run.state.cancel.is_some();
            let reason = if again { CancelReason::OperatorNow } else { CancelReason::Operator };
            let consequences = if again {
                vec![
                    SafeText::line("The steps that run now are stopped on their hosts."),
                    SafeText::line("What they leave behind is said in the log; the run can be resumed."),
                ]
            } else {
                vec![
                    SafeText::line("The steps that run now end in order; nothing new is begun."),
                    SafeText::line("Asked a second time, they are stopped too. The run can be resumed."),
                ]
            };
            let question =
                if again { "Stop the running steps as well?" } else { "Stop the run after its running steps?" };
            state.dialog = Some(Dialog::Confirm(Confirm {
                deed: Deed::Cancel(reason),
                question: SafeText::line(question),
                consequences,
                gate: Gate::of(1, "stop", "", ""),
            }));
        }
        _ => {}
    }
}

fn why(run: &RunView) -> (SafeText, SafeText) {
    match run.rows().get(run.selected) {
        Some(Row::Stage(stage)) => {
            let steps = run.state.plan.stage(stage).map(|stage| stage.steps.as_slice()).unwrap_or_default();
            let lines: Vec<String> =
                steps.iter().map(|step| format!("{}: {}", step.key.step, explain(&run.state, &step.key))).collect();
            (SafeText::line(stage.as_str()), SafeText::block(&lines.join("\n")))
        }
        Some(Row::Step(step)) => (SafeText::line(&step.to_string()), explain(&run.state, step)),
        Some(Row::Unit(unit)) => (SafeText::line(&unit.to_string()), explain(&run.state, &unit.step)),
        None => (SafeText::line("Why"), SafeText::line("nothing is selected")),
    }
}

// ── the log ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn on_log(state: &mut State, action: Action, argument: &str, effects: &mut Vec<Effect>) {
    let log = &mut state.log;
    match action {
        Action::Follow => {
            log.follow = !log.follow;
            if log.follow {
                log.to_end();
            }
        }
        Action::Wrap => log.wrap = !log.wrap,
        Action::Times => log.times = !log.times,
        Action::AllSteps => log.all = !log.all,
        Action::Output => {
            log.mode = if log.mode == LogMode::Said { LogMode::Output } else { LogMode::Said };
            log.follow = true;
            (log.top, log.unseen) = (0, 0);
        }
        Action::HostFilter => choose_host(state, argument),
        Action::NextError => {
            find_in(state, None, false, effects);
            return;
        }
        Action::SaveLog => {
            if let Some(run) = &state.run {
                effects.push(Effect::SaveLog(file_name(&run.id), super::view::whole_log(state)));
            }
        }
        Action::CopyLog => effects.push(Effect::Copy(super::view::log_text(state))),
        _ => {}
    }
    look_at_output(state, effects);
}

/// Chooses one host of the selected step, or of all steps when all are shown: by its name, or the next one.
fn choose_host(state: &mut State, name: &str) {
    let Some(run) = &mut state.run else { return };
    let log = &mut state.log;
    let step = if log.all && log.mode == LogMode::Said { None } else { run.selected_step() };
    let hosts = run.hosts(step.as_ref());
    let chosen = match name {
        "all" => None,
        "" => {
            let at = hosts.iter().position(|host| log.host.as_ref() == Some(host));
            hosts.get(at.map_or(0, |at| at + 1)).cloned()
        }
        name => hosts.iter().find(|host| host.as_str() == name).cloned(),
    };
    if chosen.is_none() && (hosts.is_empty() || !matches!(name, "" | "all")) {
        if matches!(name, "" | "all") {
            log.host = None;
        }
        let hosts: Vec<&str> = hosts.iter().map(crate::model::HostName::as_str).collect();
        let hosts = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
        state.tell(format!("no such host to choose; what is shown runs on: {hosts}"), false);
        return;
    }
    // Where the line of one host is selected, that of the chosen one is from now on.
    if let (Some(host), LogMode::Output, Some(Row::Unit(unit))) = (&chosen, log.mode, run.rows().get(run.selected)) {
        let other =
            |row: &Row| matches!(row, Row::Unit(other) if other.step == unit.step && other.host.as_ref() == Some(host));
        if let Some(index) = run.rows().iter().position(other) {
            run.selected = index;
            run.keeps_up = false;
        }
    }
    log.host = chosen;
}

/// Asks for the lines of the selected unit's output, when that is what is shown.
fn look_at_output(state: &mut State, effects: &mut Vec<Effect>) {
    let source = source(state);
    effects.extend(state.log.look_at(source).map(Effect::Lines));
}

/// The file of output that is shown.
#[must_use]
pub fn source(state: &State) -> Option<LogSource> {
    if state.log.mode != LogMode::Output {
        return None;
    }
    let run = state.run.as_ref()?;
    let unit = run.selected_unit(state.log.host.as_ref())?;
    let attempt = run.state.units.get(&unit)?.attempts.max(1);
    Some(LogSource { run: run.id.clone(), unit, attempt })
}

fn find(state: &mut State, back: bool, effects: &mut Vec<Effect>) {
    match state.log.search.clone() {
        Some(text) => find_in(state, Some(text), back, effects),
        None => state.tell("nothing is searched for: / begins", false),
    }
}

fn find_in(state: &mut State, text: Option<String>, back: bool, effects: &mut Vec<Effect>) {
    if let Some(source) = source(state) {
        effects.extend(state.log.look_for(source, text, back).map(Effect::Lines));
        return;
    }
    let Some(run) = &state.run else { return };
    let wanted = text.map(|text| text.to_lowercase());
    let hit = |number: &u32| {
        let Some(event) = usize::try_from(*number).ok().and_then(|number| run.seen().get(number)) else { return false };
        let shown = super::view::said(event);
        match &wanted {
            Some(wanted) => shown.text.as_str().to_lowercase().contains(wanted),
            None => matches!(shown.scope, crate::style::Scope::Bad | crate::style::Scope::Unknown),
        }
    };
    let said = state.log.said();
    let top = usize::try_from(state.log.top).unwrap_or(usize::MAX).min(said.len());
    let found = if back {
        said[..top].iter().rposition(hit).or_else(|| said.iter().rposition(hit))
    } else {
        let begin = (top + 1).min(said.len());
        said[begin..].iter().position(hit).map(|at| at + begin).or_else(|| said.iter().position(hit))
    };
    match found {
        Some(at) => {
            state.log.follow = false;
            state.log.top = at as u64;
            if if back { at >= top } else { at <= top } {
                state.tell(ONCE_AROUND, false);
            }
        }
        None => state.tell("nothing found", false),
    }
}

/// Tells the log how many of its lines fit, and asks for those that have come into sight.
fn fit(state: &mut State, effects: &mut Vec<Effect>) {
    state.log.height = super::view::log_height(state);
    if state.log.follow {
        state.log.to_end();
    }
    look_at_output(state, effects);
}
