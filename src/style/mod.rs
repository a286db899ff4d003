//! Meaning to look: what a piece of text means, and how that looks here. Shared by the screen and the headless reports.
//!
//! Never colour alone: every mark is a shape and a word too. `NO_COLOR` takes colours away and leaves bold, dim and
//! reverse. Nothing here reads the environment or writes anywhere.

mod look;

pub use look::{ColorWish, Look};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Ordinary text.
    Plain,
    /// Of lesser interest, or out of date.
    Muted,
    /// To be read first.
    Strong,
    /// Well.
    Good,
    /// To be known.
    Warn,
    /// Wrong.
    Bad,
    /// Not known. As loud as wrong.
    Unknown,
    /// Going on.
    Active,
    /// The source site.
    Source,
    /// The target site.
    Target,
}

/// One of the sixteen colours that every terminal has, in the user's own shades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Color {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Yellow.
    Yellow,
    /// Blue.
    Blue,
    /// Magenta.
    Magenta,
    /// Cyan.
    Cyan,
}

impl Color {
    /// The number of the colour in an escape sequence for the foreground.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Magenta => 35,
            Self::Cyan => 36,
        }
    }
}

/// How a scope looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ink {
    /// The colour; nothing means the terminal's own.
    pub color: Option<Color>,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Foreground and background exchanged.
    pub reverse: bool,
}

impl Scope {
    /// How it looks when nobody has chosen otherwise.
    #[must_use]
    pub fn ink(self) -> Ink {
        let ink = |color| Ink { color: Some(color), ..Ink::default() };
        match self {
            Self::Plain => Ink::default(),
            Self::Muted => Ink { dim: true, ..Ink::default() },
            Self::Strong => Ink { bold: true, ..Ink::default() },
            Self::Good => ink(Color::Green),
            Self::Warn => ink(Color::Yellow),
            Self::Bad => Ink { bold: true, ..ink(Color::Red) },
            Self::Unknown => Ink { bold: true, reverse: true, ..ink(Color::Magenta) },
            Self::Active => ink(Color::Cyan),
            Self::Source => ink(Color::Blue),
            Self::Target => ink(Color::Magenta),
        }
    }
}

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
