//! Pane 3: the run that is looked at, as a tree.

use std::time::Duration;

use ratatui::layout::Rect;

use super::paint::{Canvas, Row};
use super::{first, nothing, safe, size, span};
use crate::console::pane::Pane;
use crate::console::run_view::{Row as Line, RunView, since};
use crate::console::state::State;
use crate::model::{Outcome, StepKey, UnitKey};
use crate::run::{RunPhase, UnitPhase, UnitState};
use crate::style::{Mark, Scope};

/// Lines above the tree.
const HEAD: u16 = 2;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let Some(run) = &state.run else {
        nothing(canvas, area, "No run is looked at. Start one in pane 2, or choose one of the past in pane 5.");
        return;
    };
    head(canvas, state, run, area);
    let body = Rect { y: area.y + HEAD, height: area.height.saturating_sub(HEAD), ..area };
    let lines = run.rows();
    let top = first(run.selected, body.height);
    let mut rows = Vec::new();
    for (number, line) in lines.iter().enumerate().skip(top).take(usize::from(body.height)) {
        let row = line_row(canvas, state, run, line, usize::from(body.width));
        let chosen = number == run.selected && state.focus == Pane::Run;
        rows.push(if chosen { row.filled(Scope::Selected) } else { row });
    }
    canvas.rows(body, &rows);
}

/// Which line of the tree is at a line of the pane.
pub(super) fn line_at(state: &State, line: usize, height: u16) -> Option<usize> {
    let run = state.run.as_ref()?;
    Some(first(run.selected, height.saturating_sub(2 + HEAD)) + line.checked_sub(usize::from(HEAD))?)
}

fn head(canvas: &mut Canvas<'_>, state: &State, run: &RunView, area: Rect) {
    let (mark, word) = match &run.state.phase {
        RunPhase::Ended(outcome) => {
            let mark = match outcome.exit_code() {
                0 if outcome.word() == "done" => Mark::Ok,
                0 => Mark::Warn,
                4 => Mark::Unknown,
                _ => Mark::Fail,
            };
            (mark, outcome.word())
        }
        _ if run.replay.is_some() => (Mark::Run, "as it was"),
        _ if !run.live => (Mark::Unknown, "INTERRUPTED"),
        _ if run.state.open_prompts().next().is_some() => (Mark::Ask, "waits for you"),
        RunPhase::Paused => (Mark::Warn, "paused"),
        _ if run.state.cancel.is_some() => (Mark::Warn, "stopping"),
        _ => (Mark::Run, "running"),
    };
    let took = run.took(state.now);
    let late =
        run.usual_all.is_some_and(|usual| took > usual * 3 / 2) && !matches!(run.state.phase, RunPhase::Ended(_));
    let mut line = Row::new()
        .put(mark.scope(), safe(format!("{} {word}", canvas.mark(mark))))
        .plain(" ")
        .put(if late { Scope::Late } else { Scope::Plain }, span(took));
    if let Some(usual) = run.usual_all {
        line = line.put(Scope::Muted, safe(format!(" of usually {}", span(usual))));
    }
    line = line.plain("  ");
    if run.is_drill() {
        line = line.put(Scope::BadgeDrill, " DRILL ").plain(" ");
    }
    line = line.put(Scope::Strong, safe(&run.state.plan.title));
    canvas.row(area, &line);
    let second = match &run.replay {
        Some(replay) => {
            let width = usize::from(area.width).saturating_sub(30).max(5);
            let length = run.length().as_millis().max(1);
            let filled = replay.at.as_millis() * (width as u128) / length;
            let filled = usize::try_from(filled).unwrap_or(width).min(width);
            let (on, off) = if state.settings.ascii { ("=", "-") } else { ("━", "─") };
            Row::new()
                .put(Scope::Late, safe(format!("REPLAY x{} ", replay.speed)))
                .put(Scope::Gauge, on.repeat(filled))
                .put(Scope::Muted, off.repeat(width - filled))
                .plain(safe(format!(" {} of {}", span(replay.at), span(run.length()))))
        }
        None => Row::new().put(
            Scope::Muted,
            safe(format!(
                "{}  by {} ({})  {}",
                run.state.plan.direction, run.state.by.name, run.state.by.through, run.id
            )),
        ),
    };
    canvas.row(Rect { y: area.y + 1, height: 1, ..area }, &second);
}

fn line_row(canvas: &Canvas<'_>, state: &State, run: &RunView, line: &Line, width: usize) -> Row {
    let now = run.moment(state.now);
    match line {
        Line::Stage(id) => {
            let facts = run.state.stages.get(id);
            let ended = facts.and_then(|facts| facts.ended.as_ref());
            let mark = match ended {
                Some((_, outcome)) => outcome_mark(outcome),
                None if facts.is_some_and(|facts| facts.started.is_some()) => going(run),
                None => Mark::Note,
            };
            let fold = match (run.is_open(id), state.settings.ascii) {
                (true, false) => "▾",
                (false, false) => "▸",
                (true, true) => "v",
                (false, true) => ">",
            };
            let title = run.state.plan.stage(id).map_or(id.as_str(), |stage| stage.title.as_str());
            let took = facts.and_then(|facts| facts.started).map(|from| since(from, ended.map_or(now, |(at, _)| *at)));
            let usual = run.usual.get(id).copied();
            row(canvas, mark, 0, safe(format!("{fold} {title}")), took, usual, ended.is_some(), "", width)
        }
        Line::Step(key) => {
            let units = units_of(run, key);
            let title = run.state.plan.step(key).map_or_else(|| key.step.to_string(), |step| step.title.clone());
            let mark = step_mark(run, key, &units);
            let ended = units.iter().all(|(_, unit)| unit.outcome().is_some());
            let took = units.iter().filter_map(|(_, unit)| spent(run, unit, now)).max();
            let note = match units.as_slice() {
                [(_, unit)] => note(unit),
                _ => String::new(),
            };
            row(canvas, mark, 2, safe(title), took, None, ended, &note, width)
        }
        Line::Unit(unit) => {
            let Some(facts) = run.state.units.get(unit) else { return Row::new() };
            let place = match (&unit.site, &unit.host) {
                (Some(site), Some(host)) => format!("{site}:{host}"),
                (Some(site), None) => site.to_string(),
                _ => "this machine".to_owned(),
            };
            let mark = unit_mark(run, facts);
            let took = spent(run, facts, now);
            row(canvas, mark, 4, safe(place), took, None, facts.outcome().is_some(), &note(facts), width)
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the columns of a line, each once")]
fn row(
    canvas: &Canvas<'_>,
    mark: Mark,
    indent: usize,
    title: crate::model::SafeText,
    took: Option<Duration>,
    usual: Option<Duration>,
    ended: bool,
    note: &str,
    width: usize,
) -> Row {
    let late = !ended && matches!((took, usual), (Some(took), Some(usual)) if took > usual * 3 / 2);
    let usual = match usual {
        Some(usual) if width >= 60 => format!(" (usual {:>6})", span(usual)),
        Some(usual) => format!(" ({})", span(usual)),
        None => String::new(),
    };
    let time = format!("{}{usual}", took.map(span).unwrap_or_default());
    let scope = match mark {
        Mark::Note | Mark::Skip => Scope::Muted,
        Mark::Ok => Scope::Plain,
        mark => mark.scope(),
    };
    let room = width.saturating_sub(time.chars().count() + 1);
    let mut row =
        Row::new().plain(" ".repeat(indent)).put(mark.scope(), canvas.mark(mark)).plain(" ").put(scope, title);
    if !note.is_empty() {
        row = row.plain("  ").put(Scope::Muted, note.to_owned());
    }
    if row.width() > room {
        // The time is worth more than the end of a long title.
        row = row.limited(room);
    }
    row.to(room).plain(" ").put(if late { Scope::Late } else { Scope::Muted }, time)
}

fn units_of<'r>(run: &'r RunView, key: &StepKey) -> Vec<(UnitKey, &'r UnitState)> {
    let Some(step) = run.state.plan.step(key) else { return Vec::new() };
    step.units().filter_map(|(unit, _)| run.state.units.get(&unit).map(|state| (unit, state))).collect()
}

fn spent(run: &RunView, unit: &UnitState, now: jiff::Timestamp) -> Option<Duration> {
    let mut spent = Duration::from_millis(unit.spent_ms);
    if unit.phase == UnitPhase::Running
        && let Some(started) = unit.started_ms
    {
        let last = run.seen().last();
        let elapsed = last.map_or(0, |last| last.elapsed_ms);
        let after = last.map_or(Duration::ZERO, |last| since(last.at, now));
        spent += Duration::from_millis(elapsed.saturating_sub(started)) + after;
    } else if unit.attempts == 0 {
        return None;
    }
    Some(spent)
}

fn note(unit: &UnitState) -> String {
    let attempts = if unit.attempts > 1 { format!("attempt {}  ", unit.attempts) } else { String::new() };
    let progress = match &unit.progress {
        Some((done, Some(total), what)) if *total > 0 => {
            let percent = u128::from(*done) * 100 / u128::from(*total);
            if what.as_str() == "bytes" {
                format!("{percent} % of {}", size(*total))
            } else {
                format!("{percent} % of {total} {what}")
            }
        }
        Some((done, _, what)) if what.as_str() == "bytes" => size(*done),
        Some((done, _, what)) => format!("{done} {what}"),
        None => String::new(),
    };
    format!("{attempts}{progress}")
}

fn going(run: &RunView) -> Mark {
    if run.live || run.replay.is_some() { Mark::Run } else { Mark::Unknown }
}

fn step_mark(run: &RunView, key: &StepKey, units: &[(UnitKey, &UnitState)]) -> Mark {
    if run.state.open_prompts().any(|prompt| prompt.unit.step == *key) {
        return Mark::Ask;
    }
    if let Some(step) = run.state.plan.step(key)
        && let Some(outcome) = run.state.step_outcome(step)
    {
        return outcome_mark(&outcome);
    }
    let worst = |mark: Mark| match mark {
        Mark::Unknown => 4,
        Mark::Fail => 3,
        Mark::Run => 2,
        Mark::Warn => 1,
        _ => 0,
    };
    let marks = units.iter().map(|(_, unit)| unit_mark(run, unit)).filter(|mark| *mark != Mark::Ok);
    marks.max_by_key(|mark| worst(*mark)).unwrap_or(Mark::Note)
}

fn unit_mark(run: &RunView, unit: &UnitState) -> Mark {
    match &unit.phase {
        UnitPhase::Waiting => Mark::Note,
        UnitPhase::Running => going(run),
        UnitPhase::Interrupted => Mark::Unknown,
        UnitPhase::Retrying => Mark::Warn,
        UnitPhase::Ended(outcome) => outcome_mark(outcome),
        UnitPhase::Undone(outcome) if outcome.is_good() => Mark::Skip,
        UnitPhase::Undone(_) => Mark::Fail,
    }
}

/// The mark of an ending.
pub(super) fn outcome_mark(outcome: &Outcome) -> Mark {
    match outcome {
        Outcome::Succeeded => Mark::Ok,
        Outcome::Warned { .. } => Mark::Warn,
        Outcome::Skipped { .. } | Outcome::NotRun { .. } | Outcome::Cancelled { .. } => Mark::Skip,
        Outcome::Failed { .. } | Outcome::TimedOut { .. } => Mark::Fail,
        Outcome::Unknown { .. } => Mark::Unknown,
    }
}
