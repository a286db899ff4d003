//! The guided tour of the demo: one line at a time for somebody who has never seen the screen.
//!
//! It is advanced by what the state shows to have happened, never by a key or by time, and acts on nothing. Which keys it
//! names comes from the one table of actions and the user's own keys.

use jiff::Timestamp;

use super::action::Action;
use super::dialog::Dialog;
use super::pane::Pane;
use super::run_view::RunView;
use super::state::State;
use crate::model::RunId;
use crate::run::{EventKind, RunPhase};

/// The runbook that copies.
const COPIES: &str = "replicate";
/// The runbook that asks, which the demo brings along.
const ASKS: &str = "tidy-cache";

/// A tour that is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tour {
    /// What was before this is no part of it.
    since: Timestamp,
    stop: Stop,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// `replicate` is to be begun.
    Copy,
    /// Its log is to be looked at.
    Watch(RunId),
    /// It is to end.
    End(RunId),
    /// A question is to be answered.
    Answer,
    /// Another run than this is to be looked at.
    Past(RunId),
    /// Everything has been seen.
    Over,
}

/// A piece of a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A key, or what is typed into a field.
    Key(String),
    /// Words.
    Text(&'static str),
}

/// How many stops there are before the tour is over.
pub const STOPS: usize = 5;

impl Tour {
    /// A tour that begins now.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        Self { since: now, stop: Stop::Copy }
    }

    /// Where it is.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The number of the stop, from 1; nothing when it is over.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        Some(match self.stop {
            Stop::Copy => 1,
            Stop::Watch(_) => 2,
            Stop::End(_) => 3,
            Stop::Answer => 4,
            Stop::Past(_) => STOPS,
            Stop::Over => return None,
        })
    }

    /// Goes on as far as what has happened allows.
    pub fn advance(&mut self, state: &State) {
        while let Some(next) = self.next(state) {
            self.stop = next;
        }
    }

    fn next(&self, state: &State) -> Option<Stop> {
        let run = state.run.as_ref()?;
        let since = run.began() > self.since && run.replay.is_none();
        match &self.stop {
            Stop::Copy => (since && is_of(run, COPIES) && !ended(run, false)).then(|| Stop::Watch(run.id.clone())),
            Stop::Watch(id) => (run.id == *id && state.focus == Pane::Log && !state.log.said().is_empty())
                .then(|| Stop::End(id.clone())),
            Stop::End(id) if run.id != *id => None,
            Stop::End(_) if ended(run, true) => Some(Stop::Answer),
            Stop::End(_) => ended(run, false).then_some(Stop::Copy),
            Stop::Answer => {
                let answered = run.seen().iter().any(|event| matches!(event.kind, EventKind::PromptAnswered { .. }));
                (since && answered).then(|| Stop::Past(run.id.clone()))
            }
            Stop::Past(id) => (run.id != *id && !run.live).then_some(Stop::Over),
            Stop::Over => None,
        }
    }

    /// What to do now.
    #[must_use]
    pub fn hint(&self, state: &State) -> Vec<Piece> {
        let key = |action| Piece::Key(state.key_of(action));
        let text = Piece::Text;
        if state.palette.is_some() || state.search.is_some() {
            return vec![Piece::Key("esc".to_owned()), text(" closes this")];
        }
        match &self.stop {
            Stop::Copy => start(state, COPIES, "the copy"),
            Stop::Watch(id) if !in_sight(state, id) => to_the_run(state),
            Stop::Watch(_) if over_the_panes(state) => vec![Piece::Key("esc".to_owned()), text(" closes this")],
            Stop::Watch(_) => vec![text("it was begun: "), key(Action::Pane4), text(" shows what its steps say")],
            Stop::End(id) if !in_sight(state, id) => to_the_run(state),
            Stop::End(_) => {
                vec![text("it ends with a count; "), key(Action::Pane3), text(" shows its stages")]
            }
            Stop::Answer => self.answer(state),
            Stop::Past(_) if over_the_panes(state) => vec![Piece::Key("esc".to_owned()), text(" closes this")],
            Stop::Past(_) if state.focus != Pane::Runs => {
                vec![text("answered. "), key(Action::Pane5), text(" lists the runs of the past")]
            }
            Stop::Past(_) => {
                vec![key(Action::Down), text(" chooses an older run, "), key(Action::Open), text(" opens it")]
            }
            Stop::Over => vec![
                text("that was it. "),
                key(Action::Help),
                text(" says what else there is, "),
                key(Action::Palette),
                text(" finds it"),
            ],
        }
    }

    fn answer(&self, state: &State) -> Vec<Piece> {
        let run = state.run.as_ref().filter(|run| run.live && run.began() > self.since);
        let Some(prompt) = run.and_then(|run| run.state.open_prompts().next()) else {
            return start(state, ASKS, "what asks");
        };
        match &state.dialog {
            Some(Dialog::Answer(answering)) => {
                let asked = answering.standing.asked(prompt);
                return vec![
                    Piece::Text("type "),
                    Piece::Key(asked.phrase.as_ref().map_or_else(|| "y".to_owned(), ToString::to_string)),
                    Piece::Text(" and then "),
                    Piece::Key("enter".to_owned()),
                    Piece::Text(": the run goes on"),
                ];
            }
            Some(_) => return vec![Piece::Key("esc".to_owned()), Piece::Text(" closes this")],
            None => {}
        }
        let key = Piece::Key(state.key_of(Action::Answer));
        vec![Piece::Text("it asks, and waits as long as it takes: "), key, Piece::Text(" answers")]
    }
}

/// The way to begin a runbook.
fn start(state: &State, runbook: &'static str, what: &'static str) -> Vec<Piece> {
    let key = |action| Piece::Key(state.key_of(action));
    let fixed = |name: &str| Piece::Key(name.to_owned());
    let text = Piece::Text;
    match &state.dialog {
        Some(Dialog::Form(form)) if form.runbook.name.as_str() == runbook => {
            return vec![text("these can be changed; "), fixed("enter"), text(" makes the plan")];
        }
        Some(Dialog::Planning(..)) => return vec![text("both sites are asked what it would do")],
        Some(Dialog::Start(start)) if start.runbook.name.as_str() == runbook => {
            let phrase = fixed(start.gate.phrase.as_str());
            return vec![text("what it does; to do it, type "), phrase, text(" and then "), fixed("enter")];
        }
        Some(_) => return vec![fixed("esc"), text(" closes this")],
        None if state.beginning => return vec![text("it is about to begin")],
        None => {}
    }
    if state.run.as_ref().is_some_and(RunView::goes_on) {
        return vec![text("one run at a time: let this one end; "), key(Action::Pane3), text(" shows it")];
    }
    if state.focus != Pane::Runbooks {
        return vec![key(Action::Pane2), text(" shows what can be carried out")];
    }
    let place = |name: &str| state.shown_runbooks().iter().position(|book| book.name.as_str() == name);
    match place(runbook) {
        None => vec![key(Action::Back), text(" shows all runbooks again")],
        Some(place) if place > state.runbook.selected => {
            vec![key(Action::Down), text(" goes down to "), text(runbook), text(": "), text(what)]
        }
        Some(place) if place < state.runbook.selected => {
            vec![key(Action::Up), text(" goes up to "), text(runbook), text(": "), text(what)]
        }
        Some(_) => vec![key(Action::StartRunbook), text(" starts it; before anything is done it asks")],
    }
}

fn to_the_run(state: &State) -> Vec<Piece> {
    let key = |action| Piece::Key(state.key_of(action));
    vec![
        key(Action::Pane5),
        Piece::Text(" lists the runs; "),
        key(Action::Open),
        Piece::Text(" on the newest opens it"),
    ]
}

fn over_the_panes(state: &State) -> bool {
    state.dialog.is_some()
}

fn in_sight(state: &State, run: &RunId) -> bool {
    state.run.as_ref().is_some_and(|view| view.id == *run)
}

fn is_of(run: &RunView, runbook: &str) -> bool {
    run.state.plan.runbook.as_str() == runbook
}

/// True when a run has ended, and as is asked: well, or not well.
fn ended(run: &RunView, well: bool) -> bool {
    matches!(&run.state.phase, RunPhase::Ended(outcome) if (outcome.exit_code() == 0) == well)
}
