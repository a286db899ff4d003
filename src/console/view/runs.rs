//! Pane 5: runs of the past, and the one that goes on.

use ratatui::layout::Rect;

use super::paint::{Canvas, Row, cells};
use super::{filtered, list, nothing, safe, span};
use crate::console::pane::Pane;
use crate::console::state::State;
use crate::style::{Mark, Scope};

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let runs = state.shown_runs();
    let area = filtered(canvas, state, &state.past, area, runs.len(), state.runs.len());
    if runs.is_empty() {
        let text = match (state.runs_read, state.runs.is_empty()) {
            (false, _) => "reading",
            (true, true) => "no runs yet on this machine",
            (true, false) => "no run passes the filter",
        };
        nothing(canvas, area, text);
        return;
    }
    let narrow = area.width < 56;
    let (clock, head) = if narrow { ("%m-%d %H:%M", "began      ") } else { ("%Y-%m-%d %H:%M", "began           ") };
    let mark = canvas.mark(Mark::Ok).chars().count() + 2;
    let word = runs.iter().map(|run| cells(run.word.as_str())).max().unwrap_or(0).clamp(6, 11);
    let name = runs.iter().map(|run| cells(run.runbook.as_str())).max().unwrap_or(0).clamp(7, 16);
    let (at, book, took) = (mark + word + 1, mark + word + 2 + head.len(), mark + word + 3 + head.len() + name);
    let mut title = Row::new().to(mark).put(Scope::Header, "result").to(at).put(Scope::Header, head).to(book);
    title = title.put(Scope::Header, "runbook").to(took);
    if !narrow {
        title = title.put(Scope::Header, "   took  direction, by");
    }
    let rows = runs
        .iter()
        .map(|run| {
            let row = Row::new()
                .plain(" ")
                .put(run.mark.scope(), safe(format!("{} {}", canvas.mark(run.mark), run.word)))
                .limited(mark + word)
                .to(at)
                .put(Scope::Muted, safe(super::local(state, run.began).strftime(clock).to_string()))
                .to(book)
                .put(Scope::Plain, run.runbook.clone())
                .limited(book + name)
                .to(took);
            if narrow {
                return row;
            }
            row.put(Scope::Muted, safe(format!("{:>7}  {}  {}", span(run.took), run.direction, run.by)))
        })
        .collect();
    list(canvas, area, Some(&title), rows, state.past.selected, state.focus == Pane::Runs);
}
