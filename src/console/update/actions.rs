//! What the actions of every pane do; what moves is in `moves`, what is about a run in `run`, about its log in `log`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::dialogs::ask_form;
use super::keys::{drop_filter, set_filter};
use super::log::{find, fit, look_at_output, on_log};
use super::moves::{moves, sideways, travel};
use super::run::on_run;
use super::story::in_demo;
use crate::console::action::Action;
use crate::console::dialog::{Answering, Dialog, Form, Purpose, StartRequest};
use crate::console::facts::RunbookFacts;
use crate::console::line::Line;
use crate::console::msg::Effect;
use crate::console::palette::Palette;
use crate::console::pane::Pane;
use crate::console::run_view::Row;
use crate::console::state::{Badge, State};
use crate::model::SafeText;

/// Whoever presses `q` again within so many seconds means it.
const MEANS_IT: i64 = 5;

pub(super) fn act(state: &mut State, action: Action, argument: &str, effects: &mut Vec<Effect>) {
    if let Some(pane) = action.pane() {
        state.go(pane);
        bring(state, argument, effects);
        fit(state, effects);
        return;
    }
    match action {
        Action::Help => state.dialog = Some(Dialog::Help { top: 0 }),
        Action::Palette => state.palette = Some(Palette::new(state.badge)),
        Action::Quit | Action::QuitKeep => quit(state, action == Action::QuitKeep, effects),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Redraw => effects.push(Effect::Redraw),
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
        Action::Picture => effects.push(Effect::Picture(picture_name(state), crate::console::view::picture(state))),
        Action::Theme => effects.push(Effect::Theme(argument.to_owned())),
        Action::Mouse => {
            state.settings.mouse = !state.settings.mouse;
            effects.push(Effect::Mouse(state.settings.mouse));
        }
        Action::Privacy => state.settings.privacy = !state.settings.privacy,
        Action::Tour | Action::TourOff | Action::Story | Action::Note => in_demo(state, action, argument, effects),
        Action::Answer if state.read_only => state.tell("this console only looks", true),
        Action::Answer => answer(state, effects),
        Action::Copy => copy(state, effects),
        _ if moves(action).is_some() => travel(state, action, effects),
        Action::Left | Action::Right => sideways(state, action),
        Action::Open => open(state, effects),
        Action::PlanRunbook => ask_for(state, argument, Purpose::Read, effects),
        Action::StartRunbook => ask_for(state, argument, Purpose::Start, effects),
        Action::Follow
        | Action::Wrap
        | Action::Times
        | Action::NextError
        | Action::Output
        | Action::AllSteps
        | Action::HostFilter
        | Action::SaveLog
        | Action::SaveAll
        | Action::CopyLog => on_log(state, action, argument, effects),
        Action::Replay => replay(state, argument, effects),
        _ => on_run(state, action, effects),
    }
}

/// Puts the question of the run in sight; one that waits elsewhere is brought into sight first.
pub(super) fn answer(state: &mut State, effects: &mut Vec<Effect>) {
    let in_sight = state.run.as_ref().filter(|run| run.live).and_then(|run| run.state.open_prompts().next());
    let elsewhere = state.waits_elsewhere().map(|row| row.run.clone());
    match (in_sight.map(|prompt| prompt.id), elsewhere) {
        (Some(prompt), _) => {
            state.dialog = Some(Dialog::Answer(Answering::new(prompt, state.observed())));
        }
        (None, Some(run)) => {
            state.go(Pane::Run);
            state.to_answer = Some(run.clone());
            effects.push(Effect::Open(run));
        }
        (None, None) => state.tell("no run asks anything", false),
    }
}

pub(super) fn quit(state: &mut State, keep: bool, effects: &mut Vec<Effect>) {
    let key = state.key_of(if keep { Action::QuitKeep } else { Action::Quit });
    let why = match (state.left_behind(), &state.story) {
        (_, Some(story)) if story.goes_on() => {
            Some(format!("the story is not over: {key} again leaves, and prints how far it went"))
        }
        (Some(run), _) if state.badge == Badge::Simulated => {
            Some(format!("{run} ends with the screen, as this whole world does; {key} again leaves"))
        }
        (Some(run), _) => Some(format!("{run} goes on without the screen; {key} again leaves")),
        (None, _) => None,
    };
    let again = state.leaving.is_some_and(|asked| state.now.duration_since(asked) < state.patience(MEANS_IT));
    match why {
        Some(why) if !again => {
            state.leaving = Some(state.now);
            state.tell(why, false);
        }
        _ => effects.push(Effect::Quit { keep }),
    }
}

fn open(state: &mut State, effects: &mut Vec<Effect>) {
    match state.focus {
        Pane::Sites => {
            let subject = state.subjects(state.at_site.0).get(state.at_site.1).copied().cloned();
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
                let text = crate::console::view::point_text(state, &row);
                let title = row.point.map_or_else(SafeText::default, |point| point.id);
                state.dialog = Some(Dialog::Text { title, text, top: 0 });
            }
        }
        Pane::Log => {}
    }
}

/// The usual name of a file that a picture is written to.
fn picture_name(state: &State) -> PathBuf {
    PathBuf::from(format!("changeover-{}.svg", state.now.strftime("%Y%m%d-%H%M%S")))
}

fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let text = match state.focus {
        Pane::Sites => {
            state.detail.clone().map(|(site, subject)| crate::console::view::detail_text(state, &site, &subject))
        }
        Pane::Runbooks => state.shown_runbooks().get(state.runbook.selected).map(|book| book.name.clone()),
        Pane::Runs => state.shown_runs().get(state.past.selected).map(|row| SafeText::line(row.run.as_str())),
        Pane::Points => state
            .shown_points()
            .get(state.point.selected)
            .and_then(|row| row.point.as_ref().map(|point| point.id.clone())),
        Pane::Run => state.run.as_ref().map(|run| SafeText::line(run.id.as_str())),
        Pane::Log => Some(crate::console::view::log_text(state)),
    };
    match text {
        Some(text) => effects.push(Effect::Copy(text)),
        None => state.tell("nothing is selected", false),
    }
}

/// Brings what was named beside its pane into sight there: a site, or a run.
fn bring(state: &mut State, named: &str, effects: &mut Vec<Effect>) {
    match state.focus {
        _ if named.is_empty() => {}
        Pane::Sites => {
            if let Some(site) = state.estate.sites.iter().position(|site| site.name.as_str() == named) {
                state.at_site = (site, 0);
            }
        }
        Pane::Runs => {
            if let Some(run) = state.runs.iter().map(|row| row.run.clone()).find(|run| run.as_str() == named) {
                state.go(Pane::Run);
                effects.push(Effect::Open(run));
            }
        }
        _ => {}
    }
}

/// Plays a run of the past again, or ends that; at a speed that was named it goes on playing.
fn replay(state: &mut State, speed: &str, effects: &mut Vec<Effect>) {
    let named: Option<u32> = speed.parse().ok();
    if named.is_none() || state.run.as_ref().is_none_or(|run| run.replay.is_none()) {
        on_run(state, Action::Replay, effects);
    }
    if let (Some(speed), Some(replay)) = (named, state.run.as_mut().and_then(|run| run.replay.as_mut())) {
        replay.speed = speed;
    }
}

/// Begins the way to a plan of the selected runbook, or of one that was named, with parameters or without: a form when
/// there are any that were not said.
fn ask_for(state: &mut State, named: &str, purpose: Purpose, effects: &mut Vec<Effect>) {
    let mut words = named.split_whitespace();
    let name = words.next();
    let typed: BTreeMap<String, String> = words
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let book = match name {
        Some(name) => state.runbooks.iter().find(|book| book.name.as_str() == name),
        None => state.shown_runbooks().get(state.runbook.selected).copied(),
    };
    let Some(book) = book.cloned() else { return };
    if let Some(place) = state.shown_runbooks().iter().position(|shown| shown.name == book.name) {
        state.runbook.selected = place;
    }
    if let Some(why) = may_not_ask(state, &book, purpose) {
        state.tell(why, true);
    } else if book.params.is_empty() {
        let request = StartRequest { runbook: book.name, params: BTreeMap::new(), plan: None };
        plan(state, request, purpose, effects);
    } else if typed.is_empty() {
        state.dialog = Some(Dialog::Form(Form::of(book, purpose)));
    } else {
        ask_form(state, Form::again(book, &typed, purpose), effects);
    }
}

/// The same where nobody sees a form: the parameters come with the name.
pub(super) fn ask_by_name(
    state: &mut State,
    name: &str,
    params: &[(String, String)],
    purpose: Purpose,
    effects: &mut Vec<Effect>,
) {
    let Some(book) = state.runbooks.iter().find(|book| book.name.as_str() == name).cloned() else {
        state.tell(format!("there is no runbook {name}: `runbooks` lists them"), true);
        return;
    };
    if let Some(why) = may_not_ask(state, &book, purpose) {
        state.tell(why, true);
        return;
    }
    let mut form = Form::of(book, purpose);
    for (param, value) in params {
        let Some(place) = form.runbook.params.iter().position(|known| known.name == *param) else {
            let known: Vec<&str> = form.runbook.params.iter().map(|known| known.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            state.tell(format!("{param} is no parameter of {name}; there are: {known}"), true);
            return;
        };
        form.fields[place] = Line::of(value);
    }
    match form.request() {
        Ok(request) => plan(state, request, purpose, effects),
        Err((_, trouble)) => state.tell(trouble.as_str(), true),
    }
}

fn plan(state: &mut State, request: StartRequest, purpose: Purpose, effects: &mut Vec<Effect>) {
    effects.push(Effect::Plan(request.clone()));
    state.dialog = Some(Dialog::Planning(request, purpose));
}

/// Why a runbook is not planned.
fn may_not_ask(state: &State, book: &RunbookFacts, purpose: Purpose) -> Option<String> {
    may_not_start(state, book)
        .filter(|_| purpose == Purpose::Start)
        .or_else(|| book.trouble.as_ref().map(|trouble| format!("{}: {trouble}", book.name)))
}

/// Why nothing can be begun now.
pub(super) fn may_not_start(state: &State, book: &RunbookFacts) -> Option<String> {
    if state.read_only {
        return Some("nothing can be begun from here: this console only looks".to_owned());
    }
    if let Some(run) = state.goes_on() {
        return Some(format!("{run} is going on; one run at a time"));
    }
    if state.direction.direction.is_none() {
        let why = state.direction.trouble.clone().unwrap_or_else(|| SafeText::line("it has not been read yet"));
        return Some(format!("{} needs a direction: {why}", book.name));
    }
    None
}
