//! The line of the guided tour, above the last one.

use ratatui::layout::Rect;

use super::paint::{Canvas, Row};
use super::safe;
use crate::console::action::Action;
use crate::console::state::State;
use crate::console::tour::{Piece, STOPS, Tour};
use crate::style::Scope;

/// Draws where the tour is and what to do now; at the right how to end it.
pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, tour: &Tour, area: Rect) {
    let place = tour.number().map_or_else(|| " Tour ".to_owned(), |number| format!(" Tour {number}/{STOPS} "));
    let mut row = Row::new().put(Scope::BadgeSimulated, safe(place)).plain(" ");
    for piece in tour.hint(state) {
        row = match piece {
            Piece::Key(key) => row.put(Scope::Key, safe(key)),
            Piece::Text(text) => row.put(Scope::Strong, text),
        };
    }
    let key = state.key_of(Action::TourOff);
    let end = Row::new().put(Scope::Key, safe(key)).put(Scope::Hint, " ends the tour");
    let width = usize::from(area.width);
    let both = row.width() + 1 + end.width() <= width;
    canvas.row(area, &row.limited(width));
    // What to do is worth more than how to end it, which the help says too.
    if both {
        let width = u16::try_from(end.width()).unwrap_or(0);
        canvas.row(Rect { x: area.right() - width, width, ..area }, &end);
    }
}
