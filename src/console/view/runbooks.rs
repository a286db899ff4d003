//! Pane 2: what can be carried out.

use ratatui::layout::Rect;

use super::paint::{Canvas, Row, cells};
use super::{filtered, list, nothing, safe, span};
use crate::console::facts;
use crate::console::pane::Pane;
use crate::console::run_view::since;
use crate::console::state::State;
use crate::style::Scope;

/// The longest word of a mode.
const MODE: usize = 11;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let books = state.shown_runbooks();
    let area = filtered(canvas, state, &state.runbook, area, books.len(), state.runbooks.len());
    if books.is_empty() {
        let text = if state.runbooks.is_empty() { "no runbooks" } else { "no runbook passes the filter" };
        nothing(canvas, area, text);
        return;
    }
    let name_width = books.iter().map(|book| cells(book.name.as_str())).max().unwrap_or(0).min(16);
    let title_width = books.iter().map(|book| cells(book.title.as_str())).max().unwrap_or(0).min(36);
    let (with_mode, with_title) = (area.width >= 50, area.width >= 100);
    let rows = books
        .iter()
        .map(|book| {
            let last = state.runs.iter().find(|run| run.runbook == book.name);
            let mut row =
                Row::new().plain(" ").put(Scope::Strong, book.name.clone()).limited(name_width + 1).to(name_width + 2);
            if with_mode {
                let column = row.width();
                row = row.put(Scope::Muted, book.mode.clone()).limited(column + MODE).to(column + MODE + 1);
            }
            if with_title {
                let column = row.width();
                row = row.plain(book.title.clone()).limited(column + title_width).to(column + title_width + 2);
            }
            row = match (&book.trouble, last) {
                (Some(trouble), _) => row.put(Scope::Bad, trouble.clone()),
                (None, None) => row.put(Scope::Muted, "never run here"),
                (None, Some(run)) => row
                    .put(run.mark.scope(), run.word.clone())
                    .put(Scope::Muted, safe(format!(" {} ago", span(since(run.began, state.now))))),
            };
            if let Some(usual) = facts::usual(&state.runs, &book.name) {
                row = row.put(Scope::Muted, safe(format!(", usually {}", span(usual))));
            }
            row
        })
        .collect();
    list(canvas, area, None, rows, state.runbook.selected, state.focus == Pane::Runbooks);
}
