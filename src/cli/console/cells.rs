//! Cells as the bytes that show them. Nothing is written here, and nothing is safe by it: the cells hold safe text only.
//!
//! `crossterm` asks for each of the sixteen colours as for a place in the palette of 256, which a terminal that has sixteen
//! need not know.

use std::io::{self, Write as _};

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use crate::style::{self, Depth, Named, Rgb};

/// Appends what shows these cells in a terminal with so many colours. What comes after it has no look at all.
///
/// # Errors
/// None: it is memory that is written to.
pub(super) fn write<'a>(
    cells: impl IntoIterator<Item = (u16, u16, &'a Cell)>,
    depth: Depth,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let plain = (Color::Reset, Color::Reset, Modifier::empty());
    let mut look = plain;
    let mut cursor = None;
    for (x, y, cell) in cells {
        if cursor != Some((x, y)) {
            write!(out, "\u{1b}[{};{}H", y + 1, x + 1)?;
        }
        let its = (cell.fg, cell.bg, cell.modifier);
        if its != look {
            write!(out, "\u{1b}[{}m", codes(its, depth))?;
            look = its;
        }
        out.extend_from_slice(cell.symbol().as_bytes());
        // After one that is wider the cursor is somewhere else, and is put where it has to be.
        cursor = Some((x + 1, y));
    }
    if look != plain {
        out.extend_from_slice(b"\x1b[0m");
    }
    Ok(())
}

/// The codes of a look, whatever the one before it was.
fn codes((letters, behind, modifier): (Color, Color, Modifier), depth: Depth) -> String {
    let attributes = [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ];
    let mut codes = vec!["0".to_owned()];
    codes.extend(attributes.into_iter().filter(|(one, _)| modifier.contains(*one)).map(|(_, code)| code.to_owned()));
    codes.extend(colour(letters, depth).map(|color| color.codes(false)));
    codes.extend(colour(behind, depth).map(|color| color.codes(true)));
    codes.join(";")
}

/// The colour by the name that the terminal has for it.
fn colour(color: Color, depth: Depth) -> Option<style::Color> {
    match color {
        Color::Indexed(index) => {
            let named = Named::ALL.get(usize::from(index)).filter(|_| depth == Depth::Sixteen);
            Some(named.map_or(style::Color::Index(index), |named| style::Color::Named(*named)))
        }
        Color::Rgb(red, green, blue) => Some(style::Color::Rgb(Rgb(red, green, blue))),
        // The views know no other names: see `view::paint`.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    fn written(cells: &[(u16, u16, &'static str, Style)], depth: Depth) -> String {
        let cells: Vec<(u16, u16, Cell)> = cells
            .iter()
            .map(|(x, y, symbol, style)| {
                let mut cell = Cell::new(symbol);
                cell.set_style(*style);
                (*x, *y, cell)
            })
            .collect();
        let mut out = Vec::new();
        write(cells.iter().map(|(x, y, cell)| (*x, *y, cell)), depth, &mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_sixteen_are_asked_for_by_their_own_codes_where_there_are_no_more() {
        for (index, of_16, of_256) in
            [(0, "30", "38;5;0"), (1, "31", "38;5;1"), (7, "37", "38;5;7"), (8, "90", "38;5;8"), (15, "97", "38;5;15")]
        {
            let style = Style::default().fg(Color::Indexed(index));
            for (depth, code) in [(Depth::Sixteen, of_16), (Depth::TwoFiftySix, of_256), (Depth::True, of_256)] {
                assert_eq!(written(&[(0, 0, "x", style)], depth), format!("\u{1b}[1;1H\u{1b}[0;{code}mx\u{1b}[0m"));
            }
        }
        let block = Style::default().fg(Color::Indexed(15)).bg(Color::Indexed(1)).add_modifier(Modifier::BOLD);
        let bright = Style::default().bg(Color::Indexed(9));
        assert_eq!(
            written(&[(0, 0, "a", block), (1, 0, "b", bright)], Depth::Sixteen),
            "\u{1b}[1;1H\u{1b}[0;1;97;41ma\u{1b}[0;101mb\u{1b}[0m"
        );
        let exact = Style::default().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(208));
        assert_eq!(written(&[(0, 0, "x", exact)], Depth::True), "\u{1b}[1;1H\u{1b}[0;38;2;1;2;3;48;5;208mx\u{1b}[0m");
    }

    #[test]
    fn the_cursor_is_moved_only_where_it_is_not_and_looks_are_set_only_where_they_change() {
        let (plain, dim) = (Style::default(), Style::default().add_modifier(Modifier::DIM | Modifier::ITALIC));
        assert_eq!(
            written(
                &[(2, 4, "a", plain), (3, 4, "b", dim), (4, 4, "語", dim), (6, 4, "c", dim), (0, 5, "d", plain)],
                Depth::True
            ),
            "\u{1b}[5;3Ha\u{1b}[0;2;3mb語\u{1b}[5;7Hc\u{1b}[6;1H\u{1b}[0md"
        );
        assert_eq!(written(&[], Depth::True), "");
    }
}
