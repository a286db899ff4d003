//! Pane 5: runs of the past, and the one that goes on.

use ratatui::layout::Rect;

use super::paint::{Canvas, Row};
use super::{list, nothing, safe, span};
use crate::console::pane::Pane;
use crate::console::state::State;
use crate::style::Scope;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let runs = state.shown_runs();
    if runs.is_empty() {
        let text = match (state.runs_read, state.runs.is_empty()) {
            (false, _) => "reading",
            (true, true) => "no runs yet on this machine",
            (true, false) => "no run passes the filter; esc drops it",
        };
        nothing(canvas, area, text);
        return;
    }
    let head =
        Row::new().put(Scope::Header, safe(format!(" {:<17}{:<13}{:>7}  {}", "began", "runbook", "took", "result")));
    let rows = runs
        .iter()
        .map(|run| {
            Row::new()
                .plain(" ")
                .put(Scope::Muted, safe(super::local(state, run.began).strftime("%Y-%m-%d %H:%M").to_string()))
                .plain(" ")
                .put(Scope::Plain, run.runbook.clone())
                .limited(30)
                .to(31)
                .put(Scope::Muted, safe(format!("{:>7}", span(run.took))))
                .plain("  ")
                .put(run.mark.scope(), safe(format!("{} {}", canvas.mark(run.mark), run.word)))
                .put(Scope::Muted, safe(format!("  {}  {}", run.direction, run.by)))
        })
        .collect();
    list(canvas, area, Some(&head), rows, state.past.selected, state.focus == Pane::Runs);
}
