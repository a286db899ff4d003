//! Pieces of text with a meaning, and how they get into the picture. The only place that knows the widgets' own types of
//! text: it takes nothing but [`SafeText`].

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::console::pane::Pane;
use crate::console::state::Settings;
use crate::model::SafeText;
use crate::style::{Mark, Rgb, Scope};

/// What a click means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A pane.
    Pane(Pane),
    /// A line of its list.
    Line(Pane, usize),
    /// A site, and a line of it.
    Subject(usize, usize),
    /// A field of a form.
    Field(usize),
    /// A line of the palette.
    Match(usize),
    /// What is over the panes, anywhere.
    Inside,
    /// What closes that.
    Close,
}

/// One line in the making.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pieces: Vec<(Scope, SafeText)>,
    fill: Option<Scope>,
    target: Option<Target>,
}

impl Row {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line with one more piece.
    pub fn put(mut self, scope: Scope, text: impl Into<SafeText>) -> Self {
        self.pieces.push((scope, text.into()));
        self
    }

    /// The line with plain text.
    pub fn plain(self, text: impl Into<SafeText>) -> Self {
        self.put(Scope::Plain, text)
    }

    /// The line with blanks up to a column.
    pub fn to(self, column: usize) -> Self {
        let width = self.width();
        if column > width { self.plain(" ".repeat(column - width)) } else { self }
    }

    /// The line in one look from edge to edge, for what is selected.
    pub fn filled(mut self, scope: Scope) -> Self {
        self.fill = Some(scope);
        self
    }

    /// The line as something that a click means.
    pub fn means(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The line with nothing beyond a column, and a mark where it was cut.
    pub fn limited(mut self, room: usize) -> Self {
        if self.width() <= room {
            return self;
        }
        let mut left = room.saturating_sub(1);
        let mut kept = Vec::new();
        for (scope, text) in std::mem::take(&mut self.pieces) {
            let width = cells(text.as_str());
            if width <= left {
                left -= width;
                kept.push((scope, text));
                continue;
            }
            kept.push((scope, SafeText::line(fitting(text.as_str(), left))));
            kept.push((Scope::Muted, SafeText::line("…")));
            break;
        }
        self.pieces = kept;
        self
    }

    /// How many cells it takes.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| cells(text.as_str())).sum()
    }
}

/// The picture in the making.
pub struct Canvas<'a> {
    /// The cells.
    pub cells: &'a mut Buffer,
    /// What the user chose.
    pub settings: &'a Settings,
    /// Frames are thick: what is framed is a rehearsal.
    pub heavy: bool,
    /// The first line of what can be scrolled once its last line is in sight.
    pub end: usize,
    /// Where what can be clicked is, the uppermost last.
    pub targets: Vec<(Rect, Target)>,
}

impl Canvas<'_> {
    /// How a scope looks here.
    pub fn style(&self, scope: Scope) -> Style {
        let ink = self.settings.theme.ink(scope);
        let mut style = Style::default();
        if let Some(color) = ink.fg {
            style = style.fg(colour(color));
        }
        if let Some(color) = ink.bg {
            style = style.bg(colour(color));
        }
        for (on, modifier) in [
            (ink.bold, Modifier::BOLD),
            (ink.dim, Modifier::DIM),
            (ink.italic, Modifier::ITALIC),
            (ink.underline, Modifier::UNDERLINED),
            (ink.reverse, Modifier::REVERSED),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        style
    }

    /// Puts a line at the top of `area`; what does not fit is cut, and the cut is shown.
    pub fn row(&mut self, area: Rect, row: &Row) {
        if area.height == 0 || area.width == 0 {
            return;
        }
        if let Some(target) = row.target {
            self.targets.push((Rect { height: 1, ..area }, target));
        }
        if let Some(scope) = row.fill {
            let style = self.style(scope);
            self.cells.set_style(Rect { height: 1, ..area }, style);
        }
        let mut x = area.x;
        let end = area.x + area.width;
        let whole = row.width();
        let fits = whole <= usize::from(area.width);
        for (scope, text) in &row.pieces {
            let style = match row.fill {
                // What is selected keeps its weight, and takes the colours of the selection.
                Some(fill) => self.style(*scope).patch(self.style(fill)),
                None => self.style(*scope),
            };
            let limit = if fits { end } else { end - 1 };
            for cluster in clusters(text.as_str()) {
                let width = u16::try_from(cluster.width()).unwrap_or(0);
                if x + width > limit {
                    if x < end {
                        let style = self.style(row.fill.unwrap_or(Scope::Muted));
                        self.put(x, area.y, "…", style);
                    }
                    return;
                }
                self.put(x, area.y, cluster, style);
                x += width;
            }
        }
    }

    /// Puts one character, with its marks, into its cells; what ASCII does not have is shown as such.
    #[expect(clippy::disallowed_methods, reason = "this is the place: what a row holds is `SafeText`")]
    fn put(&mut self, x: u16, y: u16, cluster: &str, style: Style) {
        match cluster {
            "\n" => self.cells.set_string(x, y, " ", style),
            "…" if self.settings.ascii => self.cells.set_string(x, y, ">", style),
            _ if self.settings.ascii && !cluster.is_ascii() => {
                self.cells.set_string(x, y, "?".repeat(cluster.width()), style);
            }
            _ => self.cells.set_string(x, y, cluster, style),
        }
    }

    /// Puts lines one below the other; what does not fit is left out.
    pub fn rows<'r>(&mut self, area: Rect, rows: impl IntoIterator<Item = &'r Row>) {
        for (number, row) in (0..area.height).zip(rows) {
            self.row(Rect { y: area.y + number, height: 1, ..area }, row);
        }
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.cells.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
        self.cells.set_style(area, self.style(Scope::Plain));
    }

    /// Draws a frame with a title, and returns what is inside.
    #[expect(clippy::disallowed_methods, reason = "this is the place: the parts of a frame are our own")]
    pub fn frame(&mut self, area: Rect, title: &Row, scope: Scope) -> Rect {
        if area.width < 2 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        let (corners, across, down) = match (self.settings.ascii, self.heavy) {
            (true, false) => (["+", "+", "+", "+"], "-", "|"),
            (true, true) => (["#", "#", "#", "#"], "=", "#"),
            (false, false) => (["┌", "┐", "└", "┘"], "─", "│"),
            (false, true) => (["┏", "┓", "┗", "┛"], "━", "┃"),
        };
        let style = self.style(scope);
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        for x in area.x + 1..right {
            self.cells.set_string(x, area.y, across, style);
            self.cells.set_string(x, bottom, across, style);
        }
        for y in area.y + 1..bottom {
            self.cells.set_string(area.x, y, down, style);
            self.cells.set_string(right, y, down, style);
        }
        for (x, y, corner) in [(area.x, area.y, 0), (right, area.y, 1), (area.x, bottom, 2), (right, bottom, 3)] {
            self.cells.set_string(x, y, corners[corner], style);
        }
        if area.width > 4 {
            self.row(Rect { x: area.x + 1, y: area.y, width: area.width - 2, height: 1 }, title);
        }
        Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
    }

    /// A mark in one or four cells.
    pub fn mark(&self, mark: Mark) -> &'static str {
        if self.settings.ascii { mark.ascii() } else { mark.glyph() }
    }
}

/// Characters, each with the marks that stand on it.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let marks = rest[first.len_utf8()..].chars().take_while(|c| c.width() == Some(0));
        let (cluster, tail) = rest.split_at(first.len_utf8() + marks.map(char::len_utf8).sum::<usize>());
        rest = tail;
        Some(cluster)
    })
}

/// How many cells a text takes.
pub fn cells(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { clusters(text).map(UnicodeWidthStr::width).sum() }
}

/// As much of the beginning of a text as fits into so many cells.
pub fn fitting(text: &str, room: usize) -> &str {
    let mut cells = 0;
    let mut taken = 0;
    for cluster in clusters(text) {
        cells += cluster.width();
        if cells > room {
            break;
        }
        taken += cluster.len();
    }
    &text[..taken]
}

/// A text without its first cells, for what is scrolled sideways.
pub fn without(text: &str, cells: usize) -> &str {
    &text[fitting(text, cells).len()..]
}

/// A text over several lines no wider than `width`, cut between words where that is possible.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let mut rest = line;
        let mut first = true;
        loop {
            let lead = if first { 0 } else { indent.min(width / 2) };
            let room = width - lead;
            let mut taken = 0;
            let mut used = 0;
            let mut blank = None;
            // Only as much is looked at as fits: the time grows with the length of the line and not with its square.
            for (at, c) in rest.char_indices() {
                used += c.width().unwrap_or(0);
                if used > room {
                    break;
                }
                taken = at + c.len_utf8();
                if c == ' ' && at > indent {
                    blank = Some(at);
                }
            }
            if used <= room {
                lines.push(format!("{}{rest}", " ".repeat(lead)));
                break;
            }
            let cut = blank.unwrap_or(taken).max(1);
            let (head, tail) = rest.split_at(cut);
            lines.push(format!("{}{head}", " ".repeat(lead)));
            rest = tail.trim_start();
            first = false;
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn colour(color: crate::style::Color) -> Color {
    match color {
        crate::style::Color::Named(named) => Color::Indexed(named.index()),
        crate::style::Color::Index(index) => Color::Indexed(index),
        crate::style::Color::Rgb(Rgb(red, green, blue)) => Color::Rgb(red, green, blue),
    }
}
