//! A drawn screen as an SVG text: what was on the screen, for tickets, reports and documents. Pure, and the same to the
//! byte for the same cells.
//!
//! It loads nothing from anywhere. Frames and bars are drawn and not written, so that they join in every font; the
//! letters come from whatever monospaced font there is, each stretch of them held to the width of its cells.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use crate::model::SafeText;
use crate::style::{self, Rgb};

/// The width and the height of a cell.
const CELL: (u32, u32) = (9, 18);
/// Where in its cell a letter stands.
const BASELINE: u32 = 13;
/// What is left free around the cells.
const MARGIN: u32 = 8;
/// The terminal's own colours, where the theme leaves them: letters and what is behind them.
const OWN: (Rgb, Rgb) = (Rgb(0xd0, 0xd7, 0xde), Rgb(0x0e, 0x11, 0x16));
/// The sixteen colours whose shades belong to each terminal, such as can be read before [`OWN`].
#[expect(clippy::unreadable_literal, reason = "six digits, as colours are written everywhere")]
const SHADES: [Rgb; 16] = Rgb::sixteen([
    0x10141a, 0xe0403a, 0x3fb950, 0xd29922, 0x58a6ff, 0xbc8cff, 0x39c5cf, 0xb1bac4, 0x767e89, 0xff7b72, 0x56d364,
    0xe3b341, 0x79c0ff, 0xd2a8ff, 0x56d4dd, 0xffffff,
]);

/// How a stretch of cells looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    letters: Rgb,
    behind: Rgb,
    bold: bool,
    italic: bool,
    underline: bool,
}

/// Lines in the making, in half units, so that a line lies on the middle of its cell.
#[derive(Debug, Default)]
struct Lines {
    across: BTreeSet<(u32, u32, u32)>,
    down: BTreeSet<(u32, u32, u32)>,
}

/// The picture of drawn cells. `title` is what a screen reader says of it.
#[must_use]
pub fn svg(cells: &Buffer, title: &SafeText) -> String {
    let area = cells.area;
    let (width, height) = (u32::from(area.width) * CELL.0 + 2 * MARGIN, u32::from(area.height) * CELL.1 + 2 * MARGIN);
    let ground = commonest(cells, |look| look.behind).unwrap_or(OWN.1);
    let ink = commonest(cells, |look| look.letters).unwrap_or(OWN.0);
    let title = escaped(title.as_str());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\" font-size=\"15\" font-family=\"ui-monospace, \
         'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace\" fill=\"{}\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n<g transform=\"translate({MARGIN} {MARGIN})\">\n",
        hex(ink),
        hex(ground)
    );
    let mut text = String::new();
    let mut lines: BTreeMap<(String, u32), Lines> = BTreeMap::new();
    for y in 0..area.height {
        let mut from = 0;
        while from < area.width {
            let look = look(cells, from, y);
            let mut to = from;
            let mut symbols = Vec::new();
            while to < area.width && self::look(cells, to, y) == look {
                let symbol = cells.cell((area.x + to, area.y + y)).map_or(" ", |cell| cell.symbol());
                let wide = u16::try_from(symbol.width()).unwrap_or(1).max(1);
                symbols.push((to, wide, symbol));
                to += wide;
            }
            let to_here = to.min(area.width);
            if look.behind != ground {
                let (x, y) = at(from, y);
                let wide = u32::from(to_here - from) * CELL.0;
                // Writing to a `String` cannot fail, here and below.
                let _ = writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{}\" fill=\"{}\"/>",
                    CELL.1,
                    hex(look.behind)
                );
            }
            if look.underline {
                let ((x, top), (end, _)) = (at(from, y), at(to_here, y));
                let under = lines.entry((hex(look.letters), 1)).or_default();
                under.across.insert((2 * (top + BASELINE + 2) + 1, 2 * x, 2 * end));
            }
            stretch(&symbols, y, look, ink, &mut text, &mut lines);
            from = to;
        }
    }
    out.push_str(&text);
    for ((colour, weight), lines) in &lines {
        let across =
            joined(&lines.across).into_iter().map(|(y, x, end)| format!("M{} {}H{}", half(x), half(y), half(end)));
        let down = joined(&lines.down).into_iter().map(|(x, y, end)| format!("M{} {}V{}", half(x), half(y), half(end)));
        let path: String = across.chain(down).collect();
        let _ = writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{weight}\"/>");
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Where a cell begins.
fn at(x: u16, y: u16) -> (u32, u32) {
    (u32::from(x) * CELL.0, u32::from(y) * CELL.1)
}

/// Cells of one look: letters side by side as one text, everything else in its own place.
fn stretch(
    symbols: &[(u16, u16, &str)],
    y: u16,
    look: Look,
    ink: Rgb,
    text: &mut String,
    lines: &mut BTreeMap<(String, u32), Lines>,
) {
    let colour = hex(look.letters);
    let mut run: Option<(u16, u16, String)> = None;
    for (x, wide, symbol) in symbols {
        if symbol.trim().is_empty() {
            // One blank belongs to the text, a second one ends it: blanks in a row would be drawn as one.
            match &mut run {
                Some((_, _, letters)) if !letters.ends_with(' ') => letters.push(' '),
                _ => flush(&mut run, y, look, ink, text),
            }
            continue;
        }
        if let Some(bar) = bar(symbol) {
            flush(&mut run, y, look, ink, text);
            let ((left, top), high) = (at(*x, y), CELL.1 * bar / 8);
            let _ = writeln!(
                text,
                "<rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{high}\" fill=\"{colour}\"/>",
                top + CELL.1 - high,
                CELL.0
            );
        } else if let Some(arms) = arms(symbol) {
            flush(&mut run, y, look, ink, text);
            let weight = if symbol.starts_with(['━', '┃', '┏', '┓', '┗', '┛']) {
                3
            } else {
                1 + u32::from(look.bold)
            };
            arms.draw(at(*x, y), lines.entry((colour.clone(), weight)).or_default());
        } else if *wide == 1 && symbol.chars().next().is_some_and(|c| c.is_ascii() || c.is_alphanumeric()) {
            match &mut run {
                Some((_, to, letters)) => {
                    letters.push_str(symbol);
                    *to = x + 1;
                }
                None => run = Some((*x, x + 1, (*symbol).to_owned())),
            }
        } else {
            // Of a symbol nobody knows how wide a font draws it: what follows must not move.
            flush(&mut run, y, look, ink, text);
            flush(&mut Some((*x, x + wide, (*symbol).to_owned())), y, look, ink, text);
        }
    }
    flush(&mut run, y, look, ink, text);
}

/// Writes the text that was gathered.
fn flush(run: &mut Option<(u16, u16, String)>, y: u16, look: Look, ink: Rgb, text: &mut String) {
    let Some((from, to, letters)) = run.take() else { return };
    let (x, top) = at(from, y);
    let _ = write!(text, "<text x=\"{x}\" y=\"{}\"", top + BASELINE);
    if to - from > 1 && letters.chars().count() > 1 {
        let _ = write!(text, " textLength=\"{}\"", u32::from(to - from) * CELL.0);
    }
    if look.letters != ink {
        let _ = write!(text, " fill=\"{}\"", hex(look.letters));
    }
    text.push_str(if look.bold { " font-weight=\"bold\"" } else { "" });
    text.push_str(if look.italic { " font-style=\"italic\"" } else { "" });
    let _ = writeln!(text, ">{}</text>", escaped(letters.trim_end()));
}

/// Which arms of a frame's cell there are, from its middle.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a cell has four sides")]
struct Arms {
    left: bool,
    right: bool,
    up: bool,
    down: bool,
    double: bool,
}

impl Arms {
    fn draw(self, (x, y): (u32, u32), lines: &mut Lines) {
        let (left, top) = (2 * x, 2 * y);
        let (right, bottom) = (left + 2 * CELL.0, top + 2 * CELL.1);
        let (middle, level) = (left + CELL.0, top + CELL.1 + 1);
        // A line reaches half its own width beyond the middle, so that corners close.
        let across = (if self.left { left } else { middle - 1 }, if self.right { right } else { middle + 1 });
        let down = (if self.up { top } else { level - 1 }, if self.down { bottom } else { level + 1 });
        if self.double {
            lines.across.extend([(level - 4, across.0, across.1), (level + 4, across.0, across.1)]);
        } else if self.left || self.right {
            lines.across.insert((level, across.0, across.1));
        }
        if self.up || self.down {
            lines.down.insert((middle, down.0, down.1));
        }
    }
}

fn arms(symbol: &str) -> Option<Arms> {
    let arms = |left, right, up, down| Some(Arms { left, right, up, down, double: false });
    match symbol {
        "─" | "━" => arms(true, true, false, false),
        "│" | "┃" => arms(false, false, true, true),
        "┌" | "┏" => arms(false, true, false, true),
        "┐" | "┓" => arms(true, false, false, true),
        "└" | "┗" => arms(false, true, true, false),
        "┘" | "┛" => arms(true, false, true, false),
        "═" => Some(Arms { left: true, right: true, double: true, ..Arms::default() }),
        _ => None,
    }
}

/// How many eighths of its cell a bar fills.
fn bar(symbol: &str) -> Option<u32> {
    let c = symbol.chars().next().filter(|c| ('▁'..='█').contains(c))?;
    Some(u32::from(c) - u32::from('▁') + 1)
}

/// Lines that touch, as one.
fn joined(lines: &BTreeSet<(u32, u32, u32)>) -> Vec<(u32, u32, u32)> {
    let mut out: Vec<(u32, u32, u32)> = Vec::new();
    for line in lines {
        match out.last_mut() {
            Some(last) if last.0 == line.0 && line.1 <= last.2 => last.2 = last.2.max(line.2),
            _ => out.push(*line),
        }
    }
    out
}

/// A number of half units.
fn half(units: u32) -> String {
    if units.is_multiple_of(2) { (units / 2).to_string() } else { format!("{}.5", units / 2) }
}

fn look(cells: &Buffer, x: u16, y: u16) -> Look {
    let Some(cell) = cells.cell((cells.area.x + x, cells.area.y + y)) else {
        return Look { letters: OWN.0, behind: OWN.1, bold: false, italic: false, underline: false };
    };
    let has = |modifier| cell.modifier.contains(modifier);
    let (mut letters, mut behind) = (shade(cell.fg, OWN.0), shade(cell.bg, OWN.1));
    if has(Modifier::REVERSED) {
        std::mem::swap(&mut letters, &mut behind);
    }
    if has(Modifier::DIM) {
        letters = dimmed(letters, behind);
    }
    Look {
        letters,
        behind,
        bold: has(Modifier::BOLD),
        italic: has(Modifier::ITALIC),
        underline: has(Modifier::UNDERLINED),
    }
}

/// Three fifths of the letters, two fifths of what is behind them.
fn dimmed(Rgb(r, g, b): Rgb, Rgb(r0, g0, b0): Rgb) -> Rgb {
    let mixed = |a: u8, b: u8| u8::try_from((3 * u16::from(a) + 2 * u16::from(b)) / 5).unwrap_or(u8::MAX);
    Rgb(mixed(r, r0), mixed(g, g0), mixed(b, b0))
}

fn shade(colour: Color, own: Rgb) -> Rgb {
    match colour {
        Color::Rgb(r, g, b) => Rgb(r, g, b),
        Color::Indexed(index) => {
            SHADES.get(usize::from(index)).copied().unwrap_or_else(|| style::Color::Index(index).rgb())
        }
        // The views know no other names: see `view::paint`.
        _ => own,
    }
}

/// The colour that most cells have; of equals the one that comes first.
fn commonest(cells: &Buffer, of: impl Fn(Look) -> Rgb) -> Option<Rgb> {
    let mut counted: BTreeMap<String, (usize, Rgb)> = BTreeMap::new();
    for y in 0..cells.area.height {
        for x in 0..cells.area.width {
            let colour = of(look(cells, x, y));
            counted.entry(hex(colour)).or_insert((0, colour)).0 += 1;
        }
    }
    counted.into_values().rev().max_by_key(|(count, _)| *count).map(|(_, colour)| colour)
}

fn hex(Rgb(r, g, b): Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A text as XML takes it. What XML cannot hold at all is shown as U+FFFD; safe text has none of it but U+FFFE and U+FFFF.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::made;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[expect(clippy::disallowed_methods, reason = "a picture is made of cells, whoever has filled them")]
    fn cells(width: u16, rows: &[(&str, Style)]) -> Buffer {
        let height = u16::try_from(rows.len()).expect("few rows");
        let mut cells = Buffer::empty(Rect { x: 0, y: 0, width, height });
        for (y, (text, style)) in (0..).zip(rows) {
            cells.set_string(0, y, text, *style);
        }
        cells
    }

    fn picture(width: u16, rows: &[(&str, Style)]) -> String {
        svg(&cells(width, rows), &SafeText::line("a <test>"))
    }

    #[test]
    fn letters_of_one_look_are_one_text_and_what_means_something_in_xml_is_escaped() {
        let red = Style::default().fg(Color::Indexed(1)).add_modifier(Modifier::BOLD);
        let drawn = picture(20, &[("a<b & \"c\"  far", Style::default()), ("bad", red)]);
        assert!(drawn.contains("textLength=\"81\">a&lt;b &amp; &quot;c&quot;</text>"), "{drawn}");
        assert!(drawn.contains("<text x=\"99\" y=\"13\" textLength=\"27\">far</text>"), "{drawn}");
        assert!(drawn.contains("textLength=\"27\" fill=\"#e0403a\" font-weight=\"bold\">bad</text>"), "{drawn}");
        assert!(drawn.contains("aria-label=\"a &lt;test&gt;\"") && drawn.contains("<title>a &lt;test&gt;</title>"));
        assert_eq!(drawn.matches("<text").count(), 3, "{drawn}");
    }

    #[test]
    fn frames_are_lines_that_join() {
        let drawn = picture(4, &[("┌──┐", Style::default()), ("│  │", Style::default()), ("└──┘", Style::default())]);
        assert!(drawn.contains("d=\"M4 9.5H32M4 45.5H32M4.5 9V46M31.5 9V46\""), "{drawn}");
        assert_eq!((drawn.matches("<path").count(), drawn.matches("<text").count()), (1, 0), "{drawn}");
    }

    #[test]
    fn wide_letters_and_symbols_move_nothing() {
        let drawn = picture(12, &[("日本 ✓ ok é!", Style::default())]);
        for there in ["x=\"0\" y=\"13\">日<", "x=\"18\" y=\"13\">本<", "x=\"45\" y=\"13\">✓<"] {
            assert!(drawn.contains(there), "{there}: {drawn}");
        }
        assert!(drawn.contains("x=\"63\" y=\"13\" textLength=\"45\">ok é!<"), "{drawn}");
    }

    #[test]
    fn every_attribute_is_drawn() {
        let style = |modifier| Style::default().fg(Color::Rgb(1, 2, 3)).bg(Color::Rgb(4, 5, 6)).add_modifier(modifier);
        let reversed = picture(9, &[("one", style(Modifier::REVERSED)), ("", Style::default())]);
        assert!(reversed.contains("<rect x=\"0\" y=\"0\" width=\"27\" height=\"18\" fill=\"#010203\"/>"), "{reversed}");
        assert!(reversed.contains("fill=\"#040506\">one<"), "{reversed}");
        let dim = picture(9, &[("two", Style::default().add_modifier(Modifier::DIM))]);
        assert!(dim.contains(&hex(dimmed(OWN.0, OWN.1))), "{dim}");
        let under = picture(9, &[("a b", Style::default().add_modifier(Modifier::UNDERLINED))]);
        assert!(under.contains("M0 15.5H27"), "{under}");
        let italic = picture(9, &[("x", Style::default().add_modifier(Modifier::ITALIC))]);
        assert!(italic.contains("font-style=\"italic\">x<"), "{italic}");
        let bars = picture(9, &[("▁█", Style::default())]);
        assert!(
            bars.contains("y=\"16\" width=\"9\" height=\"2\"") && bars.contains("y=\"0\" width=\"9\" height=\"18\"")
        );
    }

    #[test]
    fn a_screen_is_the_same_to_the_byte_and_loads_nothing() {
        let state = made::with_run(made::running(), true);
        let drawn = || crate::console::view::picture(&state);
        let once = drawn();
        assert_eq!(once, drawn());
        assert!(once.len() > 5_000 && once.len() < 60_000, "{} bytes", once.len());
        for foreign in ["href", "url(", "<script", "<image", "@import", "<foreignObject"] {
            assert!(!once.contains(foreign), "{foreign}");
        }
        assert_eq!(once.matches("http").count(), 1, "only the name of the format");
        assert!(once.contains("LIVE") && once.ends_with("</svg>\n"));
    }

    #[test]
    fn the_action_asks_for_a_file_and_needs_no_run() {
        let mut state = made::full();
        made::press(&mut state, ":");
        made::typed(&mut state, "picture", 100);
        let effects = made::press(&mut state, "enter");
        let [crate::console::Effect::Picture(name, svg)] = effects.as_slice() else { panic!("{effects:?}") };
        assert!(name.to_str().is_some_and(|name| name.starts_with("changeover-20260301-")), "{name:?}");
        assert!(svg.starts_with("<svg ") && !svg.contains(">picture"), "the palette is in the picture");
    }

    #[test]
    fn the_sixteen_can_be_read() {
        for (index, shade) in SHADES.iter().enumerate().skip(1) {
            assert!(style::contrast(*shade, OWN.1) >= 4.0, "{index}");
        }
        assert!(style::contrast(SHADES[15], SHADES[1]) >= 4.0, "the badge");
    }
}
