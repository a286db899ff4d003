//! A message comes in, the state changes, effects come out. Pure: no clock, no terminal, no file.
//!
//! Here is what comes from outside by itself: health, runs, events, time. What a person does is in `keys`, which finds
//! the action that a key means; what actions do is in `actions`, `moves`, `run` and `log`, what dialogs do in `dialogs`,
//! and what there is in the demo only in `story`.

mod actions;
mod dialogs;
mod keys;
mod log;
mod moves;
mod run;
mod settings;
mod step;
mod story;

use std::sync::Arc;

use super::dialog::{Deed, Dialog};
use super::facts::RunRow;
use super::log::Received;
use super::msg::{Effect, Msg};
use super::pane::Pane;
use super::run_view::{RunView, since};
use super::state::{Choice, State};
use crate::model::{RunId, SafeText};
use crate::run::{Event, EventKind};
use dialogs::{on_line, planned, world_may_have_changed};
use keys::{on_key, on_mouse, on_paste};
use log::{fit, look_at_output, source};

/// What is told when a search has gone beyond an end.
const ONCE_AROUND: &str = "found beyond the end: the search went once around";

/// Changes the state by a message. What is to be done outside is returned, in order.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    let seen = story::Seen::by(state, &msg);
    match msg {
        Msg::Key(key) => on_key(state, key, &mut effects),
        Msg::Act(action) => actions::act(state, action, "", &mut effects),
        Msg::Ask(name, params, purpose) => actions::ask_by_name(state, &name, &params, purpose, &mut effects),
        Msg::Line(line) => on_line(state, &line, &mut effects),
        Msg::Paste(text) => on_paste(state, &text),
        Msg::Mouse { column, row, wheel } => on_mouse(state, column, row, wheel, &mut effects),
        Msg::Resize(width, height) => {
            state.size = (width, height);
            fit(state, &mut effects);
            // What a terminal makes of its lines at another size, or on the way there and back, nobody knows.
            effects.push(Effect::Redraw);
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
            state.beginning = false;
            state.tell(format!("{run} has begun"), false);
            state.go(Pane::Run);
            effects.push(Effect::Open(run));
        }
        Msg::Started(Err(why)) => {
            state.beginning = false;
            state.dialog = Some(Dialog::Text { title: SafeText::line("It could not be begun"), text: why, top: 0 });
        }
        Msg::Opened { run, events, live } => opened(state, &run, events, live, &mut effects),
        Msg::NotOpened(run, why) => {
            state.to_answer = None;
            state.tell(format!("{run} cannot be looked at: {why}"), true);
        }
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
        Msg::Configured { settings, before } => settings::take(state, *settings, &before, &mut effects),
        Msg::NotConfigured(why) => settings::refuse(state, why),
        Msg::Tour => story::begin_tour(state, &mut effects),
        Msg::Story(news) => story::on_news(state, news),
        Msg::Told { text, bad } => state.tell(text.as_str(), bad),
    }
    let part = log::part(state);
    state.log.take_in(state.run.as_ref(), part);
    // Another line was selected, another attempt has begun, the run was looked away from.
    if state.log.asked() != source(state).as_ref() {
        look_at_output(state, &mut effects);
    }
    story::after(state, &seen, &mut effects);
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
    let asked = state.waits_elsewhere().map(|row| row.run.clone());
    state.runs = runs;
    state.runs_read = true;
    let (all, points) = (ids(state.shown_runs()), ids(state.shown_points()));
    stay(&mut state.past, run, &all);
    stay(&mut state.point, point, &points);
    state.know_usual();
    let Some(alive) = state.alive().map(|row| row.run.clone()) else { return };
    // A run that somebody else has begun is looked at as soon as it is there, where nothing else is looked at.
    if first || (state.run.is_none() && state.let_go.as_ref() != Some(&alive)) {
        effects.push(Effect::Open(alive));
    } else if let Some(run) = state.waits_elsewhere().map(|row| &row.run).filter(|run| asked.as_ref() != Some(*run)) {
        // It is not in sight, so that its own events do not call.
        effects.push(Effect::Call(SafeText::line(&format!("{run} waits for a person: open it in pane 5"))));
    }
}

/// The terminal's title says what a person must know without looking.
fn retitle(state: &mut State, effects: &mut Vec<Effect>) {
    let asks = state.run.as_ref().is_some_and(|run| run.live && run.state.open_prompts().next().is_some())
        || state.waits_elsewhere().is_some();
    let runs = state.run.as_ref().is_some_and(RunView::goes_on);
    let word = match (asks, runs) {
        (true, _) => " - waits for you",
        (false, true) => " - running",
        _ => "",
    };
    let title = SafeText::line(&format!("{} {}{word}", state.world(), state.estate.name));
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

fn opened(state: &mut State, run: &RunId, events: Vec<Arc<Event>>, live: bool, effects: &mut Vec<Effect>) {
    match RunView::open(run.clone(), events, live) {
        Ok(view) => {
            // Whoever had it in sight, and took it up again, knows where they were.
            let in_sight = state.run.as_ref().is_some_and(|before| before.id == *run);
            let came_back = live && !in_sight && since(view.began(), state.now).as_secs() >= 5;
            if state.run.as_ref().is_none_or(|before| before.id != *run || (before.live && !live)) {
                drop_questions_of_the_run(state);
            }
            state.run = Some(view);
            state.log.follow = true;
            state.log.look_at(None);
            state.know_usual();
            let to_answer = state.to_answer.take().is_some_and(|asked| asked == *run);
            if to_answer && state.dialog.is_none() {
                actions::answer(state, effects);
            } else if came_back && state.dialog.is_none() {
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
            .is_some_and(|view| view.state.open_prompts().any(|prompt| prompt.id == answering.standing.prompt));
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
