//! Meaning to look: what a piece of text means, and how that looks here. Shared by the screen and the headless reports.
//!
//! Never colour alone: every mark is a shape and a word too. `NO_COLOR` takes colours away and leaves bold, dim and
//! reverse. Themes are files: see [`Themes`]. Nothing here reads the environment or writes anywhere.

mod color;
mod ink;
mod light;
mod look;
mod scope;
mod theme;

pub use color::{Color, Named, Rgb};
pub use ink::{Depth, Ink};
pub use light::{Vision, contrast};
pub use look::{ColorWish, Look};
pub use scope::Scope;
pub use theme::{SHIPPED_THEMES, Theme, ThemeFile, Themes};

/// How something is or ended: a shape, a word and a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Done.
    Ok,
    /// Done, with something to know.
    Warn,
    /// Not done.
    Fail,
    /// Nobody knows.
    Unknown,
    /// Deliberately not done, or never started.
    Skip,
    /// Going on.
    Run,
    /// A person is asked.
    Ask,
    /// Only news.
    Note,
}

impl Mark {
    /// The word that always goes with the shape; at most seven letters.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
            Self::Skip => "SKIP",
            Self::Run => "RUN",
            Self::Ask => "ASK",
            Self::Note => "",
        }
    }

    /// The shape: one cell wide in every terminal.
    #[must_use]
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Warn => "!",
            Self::Fail => "✗",
            Self::Unknown | Self::Ask => "?",
            Self::Skip => "-",
            Self::Run => "⠋",
            Self::Note => " ",
        }
    }

    /// The shape where only ASCII can be shown: four cells.
    #[must_use]
    pub fn ascii(self) -> &'static str {
        match self {
            Self::Ok => "[ok]",
            Self::Warn => "[!!]",
            Self::Fail => "[XX]",
            Self::Unknown | Self::Ask => "[??]",
            Self::Skip => "[--]",
            Self::Run => "[..]",
            Self::Note => "    ",
        }
    }

    /// What it means.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Ok => Scope::Good,
            Self::Warn | Self::Ask => Scope::Warn,
            Self::Fail => Scope::Bad,
            Self::Unknown => Scope::Unknown,
            Self::Skip => Scope::Muted,
            Self::Run => Scope::Active,
            Self::Note => Scope::Plain,
        }
    }
}
