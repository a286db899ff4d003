//! The one honest line of a terminal that is too small for a pane: what world this is, what the run does, and what is
//! needed to see more.

use ratatui::layout::Rect;

use super::frame::badges;
use super::paint::{Canvas, Row, cells};
use super::{LEAST, safe};
use crate::console::action::Action;
use crate::console::run_view::RunView;
use crate::console::state::State;
use crate::run::{RunPhase, UnitPhase};
use crate::style::{Mark, Scope};

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let badge = badges(Row::new(), state, false).plain(" ");
    let room = usize::from(area.width).saturating_sub(badge.width());
    let row = match run(state) {
        Some((scope, words)) => beside(badge, scope, &words, room, &way_out(state)),
        None => sizes(badge, area, &way_out(state)),
    };
    canvas.row(area, &row);
}

/// The size that there is, what is wanting of it in the look of what is bad, and the one that is needed.
fn sizes(row: Row, area: Rect, way_out: &str) -> Row {
    let scope = |enough: bool| if enough { Scope::Plain } else { Scope::Bad };
    row.put(scope(area.width >= LEAST.0), safe(area.width.to_string()))
        .plain("x")
        .put(scope(area.height >= LEAST.1), safe(area.height.to_string()))
        .plain(safe(format!(": needs {}x{}{way_out}", LEAST.0, LEAST.1)))
}

/// The key that leaves, where there is one: nobody would see what is typed into the palette.
fn way_out(state: &State) -> String {
    if state.settings.keys.of(Action::Quit).is_empty() {
        return String::new();
    }
    format!("; {} leaves", state.key_of(Action::Quit))
}

/// The words of the run, and those of the size as far as they fit beside them: of the first the longest that leave room for
/// the least of the others, and at least the shortest.
fn beside(row: Row, scope: Scope, words: &[String], room: usize, way_out: &str) -> Row {
    let needs = format!("needs {}x{}", LEAST.0, LEAST.1);
    let fits = |text: &str, more: &str| cells(text) + 2 + cells(more) <= room;
    let Some(text) = words.iter().find(|text| fits(text, &needs)).or(words.last()) else { return row };
    let row = row.put(scope, safe(text));
    let leaves = format!("{needs}{way_out}");
    match [leaves, needs].into_iter().find(|more| fits(text, more)) {
        Some(more) => row.plain(safe(format!(": {more}"))),
        None => row,
    }
}

/// What the run does that goes on, in words that grow shorter: the one in sight, or the one that the list of runs has.
fn run(state: &State) -> Option<(Scope, Vec<String>)> {
    let live = state.run.as_ref().filter(|run| run.goes_on());
    let alive = state.alive().filter(|row| live.is_none_or(|run| run.id != row.run));
    let asks = alive.filter(|row| row.mark == Mark::Ask).map(|row| waits(row.runbook.as_str()));
    match (live, asks, alive) {
        (Some(run), asks, _) => {
            let (scope, words) = does(run);
            Some(if scope == Scope::Prompt { (scope, words) } else { asks.unwrap_or((scope, words)) })
        }
        (None, Some(asks), _) => Some(asks),
        (None, None, Some(row)) => Some((Scope::Active, vec![format!("{} runs", row.runbook), "RUNS".to_owned()])),
        (None, None, None) => None,
    }
}

fn waits(name: &str) -> (Scope, Vec<String>) {
    (Scope::Prompt, vec![format!("{name} WAITS FOR YOU"), "WAITS FOR YOU".to_owned()])
}

/// What a run in sight does.
fn does(run: &RunView) -> (Scope, Vec<String>) {
    let name = run.state.plan.runbook.as_str();
    if run.state.open_prompts().next().is_some() {
        return waits(name);
    }
    if run.state.phase == RunPhase::Paused {
        return (Scope::Warn, vec![format!("{name} PAUSED"), "PAUSED".to_owned()]);
    }
    let running = run.state.units.iter().filter(|(_, unit)| unit.phase == UnitPhase::Running);
    let steps: std::collections::BTreeSet<String> = running.map(|(unit, _)| unit.step.step.to_string()).collect();
    let steps: Vec<String> = steps.into_iter().collect();
    let with_steps = (!steps.is_empty()).then(|| format!("{name} runs {}", steps.join(", ")));
    let with_one = (steps.len() > 1).then(|| format!("{name} runs {} and {} more", steps[0], steps.len() - 1));
    let words = with_steps.into_iter().chain(with_one).chain([format!("{name} runs"), "RUNS".to_owned()]);
    (Scope::Active, words.collect())
}
