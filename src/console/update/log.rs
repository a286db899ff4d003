//! Actions on the log that is looked at: what of it is shown, and where in it.

use super::ONCE_AROUND;
use crate::console::action::Action;
use crate::console::log::{LogFile, LogMode, LogSource, Part, Several, file_name, folder_name, output_name};
use crate::console::msg::Effect;
use crate::console::run_view::Row;
use crate::console::state::State;
use crate::model::UnitKey;
use crate::runbook::PlannedStep;

pub(super) fn on_log(state: &mut State, action: Action, argument: &str, effects: &mut Vec<Effect>) {
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
        Action::SaveLog | Action::SaveAll => {
            save(state, action == Action::SaveAll, effects);
            return;
        }
        Action::CopyLog => effects.push(Effect::Copy(crate::console::view::log_text(state))),
        _ => {}
    }
    look_at_output(state, effects);
}

/// Saves what is shown: what was said as text, what was printed as it is on disk. Or everything that was printed.
fn save(state: &mut State, all: bool, effects: &mut Vec<Effect>) {
    let Some(run) = &state.run else {
        state.tell("no run is looked at: choose one in pane 5", false);
        return;
    };
    if all {
        effects.push(Effect::SaveOutputs(folder_name(&run.id), run.id.clone()));
    } else if state.log.mode == LogMode::Said {
        effects.push(Effect::SaveLog(file_name(&run.id), crate::console::view::whole_log(state)));
    } else if let Some(LogSource::One(file)) = source(state) {
        effects.push(Effect::SaveOutput(output_name(&file), file));
    } else {
        let [all, step, host] =
            [Action::SaveAll, Action::AllSteps, Action::HostFilter].map(|action| state.key_of(action));
        let why = format!(
            "what is shown is in several files: {all} copies all there are, or look at one host of one step (pane 3 \
             selects, {step} and {host} choose)"
        );
        state.tell(why, false);
    }
}

/// Chooses one host of the selected step, or of all steps when all are shown: by its name, or the next one.
fn choose_host(state: &mut State, name: &str) {
    let hosts = state.hosts_of_log();
    let Some(run) = &mut state.run else { return };
    let log = &mut state.log;
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
    if let (Some(host), LogMode::Output, false, Some(Row::Unit(unit))) =
        (&chosen, log.mode, log.all, run.rows().get(run.selected))
    {
        let other =
            |row: &Row| matches!(row, Row::Unit(other) if other.step == unit.step && other.host.as_ref() == Some(host));
        if let Some(index) = run.rows().iter().position(other) {
            run.selected = index;
            run.keeps_up = false;
        }
    }
    log.host = chosen;
}

/// Asks for the lines of what was printed, when that is what is shown.
pub(super) fn look_at_output(state: &mut State, effects: &mut Vec<Effect>) {
    let source = source(state);
    effects.extend(state.log.look_at(source).map(Effect::Lines));
}

/// The part of the run that the log is about.
pub(super) fn part(state: &State) -> Part {
    let rows = state.run.as_ref().filter(|_| !state.log.all).map(|run| (run.rows(), run.selected));
    match rows.as_ref().and_then(|(rows, selected)| rows.get(*selected)) {
        None => Part::All,
        Some(Row::Stage(stage)) => Part::Stage(stage.clone()),
        Some(Row::Step(step)) => Part::Step(step.clone()),
        Some(Row::Unit(unit)) => Part::Step(unit.step.clone()),
    }
}

/// What is shown of what was printed: one file where only one can be meant, the last attempt of a selected unit.
pub(super) fn source(state: &State) -> Option<LogSource> {
    if state.log.mode != LogMode::Output {
        return None;
    }
    let run = state.run.as_ref()?;
    let attempts = |unit: &UnitKey| run.state.units.get(unit).map_or(1, |facts| facts.attempts.max(1));
    let one = |unit: UnitKey| {
        let attempt = attempts(&unit);
        Some(LogSource::One(LogFile { run: run.id.clone(), unit, attempt }))
    };
    if let (false, Some(Row::Unit(unit))) = (state.log.all, run.rows().get(run.selected)) {
        return one(unit.clone());
    }
    let (part, host) = (part(state), state.log.host.clone());
    let steps = run.state.plan.stages.iter().flat_map(|stage| &stage.steps).filter(|step| part.has(&step.key));
    let units = steps.flat_map(PlannedStep::units).map(|(unit, _)| unit);
    let mut meant = units.filter(|unit| host.is_none() || unit.host == host);
    match (meant.next(), meant.next()) {
        (Some(unit), None) if attempts(&unit) == 1 => one(unit),
        _ => Some(LogSource::Several(Several { run: run.id.clone(), part, host })),
    }
}

pub(super) fn find(state: &mut State, back: bool, effects: &mut Vec<Effect>) {
    match state.log.search.clone() {
        Some(text) => find_in(state, Some(text), back, effects),
        None => state.tell(format!("nothing is searched for: {} begins", state.key_of(Action::Search)), false),
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
        let shown = crate::console::view::said(event);
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
pub(super) fn fit(state: &mut State, effects: &mut Vec<Effect>) {
    state.log.height = crate::console::view::log_height(state);
    if state.log.follow {
        state.log.to_end();
    }
    look_at_output(state, effects);
}
