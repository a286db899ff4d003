//! What this terminal can show, and text in that look.

use unicode_width::UnicodeWidthStr;

use super::{Depth, Ink, Mark, Scope, Theme};

/// What the user says about colour: `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorWish {
    /// Nothing.
    #[default]
    Auto,
    /// Colours, wherever it goes.
    Always,
    /// No colours.
    Never,
}

/// What can be shown here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// True when bold, dim and reverse can be used.
    pub attributes: bool,
    /// True when colours can be used too.
    pub color: bool,
    /// True when only ASCII can be shown.
    pub ascii: bool,
}

impl Look {
    /// Letters and nothing else: for files and pipes.
    pub const BARE: Self = Self { attributes: false, color: false, ascii: false };

    /// What the environment (asked through `env`) and the user's wish say. The order is `--color`,
    /// `CHANGEOVER_COLOR` (`always`, `never`), `NO_COLOR`, `CLICOLOR_FORCE`, and then whether this is a terminal.
    #[must_use]
    pub fn detect(wish: ColorWish, ascii: bool, is_terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| env(name).filter(|value| !value.is_empty());
        let capable = is_terminal && given("TERM").is_none_or(|term| term != "dumb");
        let wanted = match (wish, given("CHANGEOVER_COLOR").as_deref()) {
            (ColorWish::Always, _) | (ColorWish::Auto, Some("always")) => Some(true),
            (ColorWish::Never, _) | (ColorWish::Auto, Some("never")) => Some(false),
            _ if given("NO_COLOR").is_some() => Some(false),
            _ => given("CLICOLOR_FORCE").filter(|value| value != "0").map(|_| true),
        };
        let color = wanted.unwrap_or(capable);
        Self { attributes: capable || color, color, ascii }
    }

    /// Text as it looks in this scope of the default theme. The text must be safe to show already.
    #[must_use]
    pub fn paint(self, scope: Scope, text: &str) -> String {
        match (self.attributes, self.color) {
            (true, true) => Theme::standard(scope).paint(text),
            (true, false) => Theme::standard(scope).at(Depth::Mono).paint(text),
            (false, true) => {
                let Ink { fg, bg, .. } = Theme::standard(scope);
                Ink { fg, bg, ..Ink::default() }.paint(text)
            }
            (false, false) => text.to_owned(),
        }
    }

    /// A mark with its word, painted: `✓ OK`.
    #[must_use]
    pub fn mark(self, mark: Mark) -> String {
        self.mark_as(mark, mark.word())
    }

    /// A mark with a word that says more than its own: `- NOT RUN`.
    #[must_use]
    pub fn mark_as(self, mark: Mark, word: &str) -> String {
        self.paint(mark.scope(), format!("{} {word}", self.shape(mark)).trim())
    }

    /// A mark with its word, painted, and filled up to the width of the longest: for columns.
    #[must_use]
    pub fn mark_column(self, mark: Mark) -> String {
        let longest = self.mark_width(Mark::Unknown);
        self.mark(mark) + &" ".repeat(longest.saturating_sub(self.mark_width(mark)))
    }

    /// How many cells [`Look::mark`] takes.
    #[must_use]
    pub fn mark_width(self, mark: Mark) -> usize {
        format!("{} {}", self.shape(mark), mark.word()).trim().width()
    }

    fn shape(self, mark: Mark) -> &'static str {
        if self.ascii { mark.ascii() } else { mark.glyph() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(wish: ColorWish, terminal: bool, env: &[(&str, &str)]) -> (bool, bool) {
        let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let look = Look::detect(wish, false, terminal, find);
        (look.attributes, look.color)
    }

    #[test]
    fn the_order_of_wishes_is_kept() {
        use ColorWish::{Always, Auto, Never};
        for (wish, terminal, env, wanted) in [
            (Auto, true, &[("TERM", "xterm")][..], (true, true)),
            (Auto, true, &[], (true, true)),
            (Auto, false, &[("TERM", "xterm")], (false, false)),
            (Auto, true, &[("TERM", "dumb")], (false, false)),
            (Auto, true, &[("NO_COLOR", "1")], (true, false)),
            (Auto, true, &[("NO_COLOR", "")], (true, true)),
            (Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], (true, false)),
            (Auto, false, &[("CLICOLOR_FORCE", "1")], (true, true)),
            (Auto, false, &[("CLICOLOR_FORCE", "0")], (false, false)),
            (Auto, true, &[("NO_COLOR", "1"), ("CHANGEOVER_COLOR", "always")], (true, true)),
            (Auto, true, &[("CHANGEOVER_COLOR", "never")], (true, false)),
            (Never, true, &[("CHANGEOVER_COLOR", "always")], (true, false)),
            (Always, false, &[("NO_COLOR", "1")], (true, true)),
        ] {
            assert_eq!(look(wish, terminal, env), wanted, "{wish:?} {terminal} {env:?}");
        }
    }

    #[test]
    fn marks_say_it_without_colour_and_without_unicode() {
        let bare = Look::BARE;
        assert_eq!(bare.mark(Mark::Ok), "✓ OK");
        assert_eq!(Look { ascii: true, ..bare }.mark(Mark::Unknown), "[??] UNKNOWN");
        let no_color = Look { attributes: true, ..bare };
        assert_eq!(no_color.mark(Mark::Unknown), "\u{1b}[1;7m? UNKNOWN\u{1b}[0m");
        assert_eq!(no_color.mark(Mark::Ok), "✓ OK");
        let full = Look { color: true, ..no_color };
        assert_eq!(full.mark_column(Mark::Fail), "\u{1b}[1;31m✗ FAIL\u{1b}[0m   ");
        assert_eq!(bare.mark_column(Mark::Fail), "✗ FAIL   ");
    }

    #[test]
    fn every_mark_has_its_own_shape_or_word_and_one_width() {
        let all = [Mark::Ok, Mark::Warn, Mark::Fail, Mark::Unknown, Mark::Skip, Mark::Run, Mark::Ask, Mark::Note];
        let words: std::collections::BTreeSet<&str> = all.iter().map(|mark| mark.word()).collect();
        assert_eq!(words.len(), all.len());
        for mark in all {
            assert_eq!(unicode_width::UnicodeWidthStr::width_cjk(mark.glyph()), 1, "{mark:?}");
            assert!(mark.ascii().is_ascii() && mark.ascii().len() == 4, "{mark:?}");
        }
    }
}
