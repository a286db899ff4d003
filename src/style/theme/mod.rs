//! A theme: every scope with its look. Themes are files; see [`Themes`] for how they are found and read.

mod file;
mod judge;
mod library;
mod shipped;
#[cfg(test)]
mod tests;

pub use file::ThemeFile;
pub use library::Themes;
pub use shipped::SHIPPED_THEMES;

use super::{Color, Depth, Ink, Named, Scope};
use crate::model::SafeText;

/// How everything looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    name: String,
    title: SafeText,
    /// True when it promises to be told apart without seeing red or green.
    colour_blind: bool,
    /// How many colours it needs at most.
    depth: Depth,
    /// In the order of [`Scope::ALL`].
    inks: Vec<Ink>,
}

impl Default for Theme {
    /// The theme `dark`, in the sixteen colours of the terminal. Headless reports use no other.
    fn default() -> Self {
        Self {
            name: "dark".to_owned(),
            title: SafeText::line("The terminal's own colours, on a dark background"),
            colour_blind: false,
            depth: Depth::True,
            inks: Scope::ALL.iter().map(|scope| Self::standard(*scope)).collect(),
        }
    }
}

impl Theme {
    /// A shipped theme. Those of the user are files: see [`Themes`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let source = shipped::shipped(name)?;
        Themes::default().examine(name, &source).into_result().ok().map(|(theme, _)| theme)
    }

    /// The name it is chosen by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line for people.
    #[must_use]
    pub fn title(&self) -> &SafeText {
        &self.title
    }

    /// How a scope looks.
    ///
    /// An ink without a background shows what is below it: paint the whole screen in [`Scope::Plain`] first.
    #[must_use]
    pub fn ink(&self, scope: Scope) -> Ink {
        self.inks.get(scope as usize).copied().unwrap_or_default()
    }

    /// How well the letters of a scope are read on what is behind them, 1 to 21, where both colours are known: those of
    /// the sixteen are the user's own.
    #[must_use]
    pub fn contrast(&self, scope: Scope) -> Option<f64> {
        judge::contrast_of(self, scope)
    }

    /// The same theme as it can be shown with `depth`: to be asked for once, at the start.
    ///
    /// Without colours, what stood out by its background is shown in reverse.
    #[must_use]
    pub fn at(&self, depth: Depth) -> Self {
        let screen = self.ink(Scope::Plain).bg;
        let inks = self.inks.iter().map(|ink| {
            let stands_out = depth == Depth::Mono && ink.bg.is_some() && ink.bg != screen;
            Ink { reverse: ink.reverse || stands_out, ..ink.at(depth) }
        });
        Self { inks: inks.collect(), depth: self.depth.min(depth), ..self.clone() }
    }

    /// How many colours a terminal needs for it at most: those that it was asked for with, see [`Theme::at`].
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// How a scope looks in the default theme.
    pub(super) fn standard(scope: Scope) -> Ink {
        let plain = Ink::default();
        let ink = |color| Ink { fg: Some(Color::Named(color)), ..Ink::default() };
        let block = |fg, bg| Ink { bg: Some(Color::Named(bg)), bold: true, ..ink(fg) };
        match scope {
            Scope::Plain => plain,
            Scope::Muted | Scope::Hint | Scope::Border => Ink { dim: true, ..plain },
            Scope::Strong | Scope::Title | Scope::Header => Ink { bold: true, ..plain },
            Scope::Good => ink(Named::Green),
            Scope::Warn => ink(Named::Yellow),
            Scope::Bad => Ink { bold: true, ..ink(Named::Red) },
            Scope::Unknown => Ink { bold: true, reverse: true, ..ink(Named::Magenta) },
            Scope::Active | Scope::Gauge => ink(Named::Cyan),
            Scope::Source => ink(Named::Blue),
            Scope::Target => ink(Named::Magenta),
            Scope::SiteA => Ink { bold: true, ..ink(Named::BrightBlue) },
            Scope::SiteB => Ink { bold: true, ..ink(Named::BrightMagenta) },
            Scope::BorderFocus => Ink { bold: true, ..ink(Named::Cyan) },
            Scope::Selected => Ink { reverse: true, ..plain },
            Scope::Badge => block(Named::BrightWhite, Named::Red),
            Scope::BadgeDrill => block(Named::Black, Named::Yellow),
            Scope::BadgeSimulated => block(Named::Black, Named::Cyan),
            Scope::BadgeReadOnly => block(Named::Black, Named::White),
            Scope::Stale => Ink { dim: true, italic: true, ..plain },
            Scope::Key => Ink { bold: true, ..ink(Named::Cyan) },
            Scope::Match => Ink { underline: true, ..block(Named::Black, Named::Yellow) },
            Scope::Prompt => Ink { bold: true, ..ink(Named::BrightYellow) },
            Scope::Danger => block(Named::BrightWhite, Named::Red),
            Scope::Late => Ink { bold: true, ..ink(Named::Yellow) },
        }
    }
}
