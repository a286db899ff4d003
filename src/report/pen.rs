//! Writes lines until that fails, and nothing after that. Breaks long text at words.

use std::io::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A writer that cannot fail.
pub(super) struct Pen<W> {
    to: W,
    broken: bool,
}

impl<W: Write> Pen<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, broken: false }
    }

    /// Writes a line at once. After the first error (a closed pipe, a full disk) nothing is written any more.
    pub(super) fn line(&mut self, text: &str) {
        if !self.broken {
            self.broken = writeln!(self.to, "{text}").and_then(|()| self.to.flush()).is_err();
        }
    }
}

/// Breaks every line of a text at spaces, so that none is wider than `width`. A single word that is wider stays whole:
/// paths and commands are there to be copied.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split(' ') {
            if !current.is_empty() && current.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut current));
            } else if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines
}

/// A text cut to `width` cells, with a mark where it was cut.
pub(super) fn cut(text: &str, width: usize, ascii: bool) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mark = if ascii { "..." } else { "…" };
    let mut room = width.saturating_sub(mark.width());
    let kept: String = text
        .chars()
        .take_while(|c| {
            let needed = c.width().unwrap_or(0);
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            fits
        })
        .collect();
    kept + mark
}

/// A number with its thousands set apart: `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a\n\nb", 7), ["a", "", "b"]);
        assert_eq!(wrap("see /a/very/long/path now", 5), ["see", "/a/very/long/path", "now"]);
    }

    #[test]
    fn text_is_cut_by_cells() {
        assert_eq!(cut("abcdef", 6, false), "abcdef");
        assert_eq!(cut("abcdefg", 6, false), "abcde…");
        assert_eq!(cut("abcdefg", 6, true), "abc...");
        assert_eq!(cut("日本語日本語", 6, false), "日本…");
        assert_eq!(cut("abc", 0, false), "…");
    }

    #[test]
    fn numbers_have_groups() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
