//! A picture as text, and as runs of looks.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use crate::console::view;
use crate::console::{Msg, State, update};

pub const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];

/// Draws at a size, as after a resize.
pub fn drawn(state: &State, (width, height): (u16, u16)) -> Buffer {
    let mut state = state.clone();
    update(&mut state, Msg::Resize(width, height));
    let area = Rect { x: 0, y: 0, width, height };
    let mut cells = Buffer::empty(area);
    view::draw(&state, area, &mut cells);
    cells
}

/// The lines of a picture; the second cell of a wide character is no character.
pub fn lines(cells: &Buffer) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let area = cells.area;
    (0..area.height)
        .map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < area.width {
                let symbol = cells.cell((x, y)).map_or(" ", |cell| cell.symbol());
                line.push_str(symbol);
                x += u16::try_from(symbol.width().max(1)).expect("a narrow symbol");
            }
            line.trim_end().to_owned()
        })
        .collect()
}

pub fn text(state: &State, size: (u16, u16)) -> String {
    lines(&drawn(state, size)).join("\n")
}

fn colour(color: Color) -> String {
    match color {
        Color::Reset => "-".to_owned(),
        Color::Indexed(index) => index.to_string(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        other => format!("{other:?}"),
    }
}

/// What stands out: each stretch of one look, with its text. Plain text is left out.
pub fn looks(state: &State, size: (u16, u16)) -> String {
    let cells = drawn(state, size);
    let mut out = String::new();
    for y in 0..cells.area.height {
        let mut stretch: Option<(String, String)> = None;
        for x in 0..=cells.area.width {
            let here = cells.cell((x, y)).map(|cell| {
                let words: Vec<&str> = [
                    (Modifier::BOLD, "bold"),
                    (Modifier::DIM, "dim"),
                    (Modifier::ITALIC, "italic"),
                    (Modifier::UNDERLINED, "underline"),
                    (Modifier::REVERSED, "reverse"),
                ]
                .into_iter()
                .filter_map(|(modifier, word)| cell.modifier.contains(modifier).then_some(word))
                .collect();
                (format!("{}/{} {}", colour(cell.fg), colour(cell.bg), words.join(" ")), cell.symbol().to_owned())
            });
            match (&mut stretch, here) {
                (Some((look, text)), Some((same, symbol))) if *look == same => text.push_str(&symbol),
                (stretch, here) => {
                    if let Some((look, text)) = stretch.take().filter(|(look, _)| look != "-/- ") {
                        writeln!(out, "{y:>2} {look:<20} {}", text.trim_end()).expect("text takes text");
                    }
                    *stretch = here;
                }
            }
        }
    }
    out
}
