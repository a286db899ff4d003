//! Pane 6: the restore points that runs have made.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::paint::{Canvas, Row};
use super::{filtered, list, nothing, safe, size, span};
use crate::console::facts::RunRow;
use crate::console::pane::Pane;
use crate::console::run_view::since;
use crate::console::state::State;
use crate::model::SafeText;
use crate::style::{Mark, Scope};

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let points = state.shown_points();
    let all = state.runs.iter().filter(|run| run.point.is_some()).count();
    let area = filtered(canvas, state, &state.point, area, points.len(), all);
    if points.is_empty() {
        let text = match (state.runs_read, all) {
            (false, _) => "reading",
            (true, 0) => "no restore point was made from this machine",
            (true, _) => "no restore point passes the filter",
        };
        nothing(canvas, area, text);
        return;
    }
    let mark = canvas.mark(Mark::Ok).chars().count() + 2;
    let head = Row::new()
        .to(mark)
        .put(Scope::Header, safe(format!("{:<17}{:>7} {:>10} {:>7}  {}", "made", "age", "size", "took", "")));
    let rows = points
        .iter()
        .map(|run| {
            let point = run.point.as_ref();
            let bytes = point.and_then(|point| point.bytes);
            let bytes = bytes.map_or_else(|| "-".to_owned(), size);
            let why = point.and_then(|point| point.incomplete.clone());
            let complete = if why.is_none() { Mark::Ok } else { Mark::Fail };
            let row = Row::new()
                .plain(" ")
                .put(complete.scope(), canvas.mark(complete))
                .to(mark)
                .put(Scope::Muted, safe(super::local(state, run.began).strftime("%Y-%m-%d %H:%M").to_string()))
                .plain(safe(format!(" {:>7} {bytes:>10} {:>7}  ", span(since(run.began, state.now)), span(run.took))));
            match why {
                None => {
                    let row = row.put(Scope::Good, "complete").put(Scope::Muted, safe(format!("  {}", run.direction)));
                    if carried(run) { row } else { row.put(Scope::Muted, ", not carried over by this run") }
                }
                Some(why) => row.put(Scope::Bad, "INCOMPLETE: ").plain(why),
            }
        })
        .collect();
    list(canvas, area, Some(&head), rows, state.point.selected, state.focus == Pane::Points);
}

fn carried(run: &RunRow) -> bool {
    run.point.as_ref().is_some_and(|point| point.arrived)
}

/// Everything that is known of a point, as text.
#[must_use]
pub fn point_text(run: &RunRow, now: Timestamp) -> SafeText {
    let Some(point) = &run.point else { return SafeText::default() };
    let size = point.bytes.map_or_else(|| "not counted".to_owned(), size);
    let state = match &point.incomplete {
        None if carried(run) => "complete, and seen to have arrived".to_owned(),
        None => "complete where it was made; this run did not carry it over".to_owned(),
        Some(why) => format!("INCOMPLETE: {why}"),
    };
    SafeText::block(&format!(
        "point      {}\nstate      {state}\nmade       {:.0}, {} ago\ndirection  {}\nsize       {size}\nby run     {} ({}, {})\n           {}",
        point.id,
        run.began,
        span(since(run.began, now)),
        run.direction,
        run.run,
        run.word,
        span(run.took),
        run.title,
    ))
}
