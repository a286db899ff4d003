//! Colours as themes write them, and what is known of the light they make.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::did_you_mean;

/// One of the sixteen colours that every terminal has, in the user's own shades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Named {
    Black,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    White,
    BrightBlack,
    BrightRed,
    BrightGreen,
    BrightYellow,
    BrightBlue,
    BrightMagenta,
    BrightCyan,
    BrightWhite,
}

impl Named {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Black,
        Self::Red,
        Self::Green,
        Self::Yellow,
        Self::Blue,
        Self::Magenta,
        Self::Cyan,
        Self::White,
        Self::BrightBlack,
        Self::BrightRed,
        Self::BrightGreen,
        Self::BrightYellow,
        Self::BrightBlue,
        Self::BrightMagenta,
        Self::BrightCyan,
        Self::BrightWhite,
    ];

    /// Its name in theme files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::Red => "red",
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Blue => "blue",
            Self::Magenta => "magenta",
            Self::Cyan => "cyan",
            Self::White => "white",
            Self::BrightBlack => "bright_black",
            Self::BrightRed => "bright_red",
            Self::BrightGreen => "bright_green",
            Self::BrightYellow => "bright_yellow",
            Self::BrightBlue => "bright_blue",
            Self::BrightMagenta => "bright_magenta",
            Self::BrightCyan => "bright_cyan",
            Self::BrightWhite => "bright_white",
        }
    }

    /// Its number, 0 to 15.
    #[must_use]
    pub fn index(self) -> u8 {
        self as u8
    }
}

/// Red, green and blue, 0 to 255 each, in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// Sixteen colours, each written as `0xrrggbb`.
    pub(crate) const fn sixteen(written: [u32; 16]) -> [Self; 16] {
        let mut colours = [Self(0, 0, 0); 16];
        let mut place = 0;
        while place < 16 {
            let [_, red, green, blue] = written[place].to_be_bytes();
            colours[place] = Self(red, green, blue);
            place += 1;
        }
        colours
    }
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "ColorForm")]
pub enum Color {
    /// One of the sixteen, in the user's own shade.
    Named(Named),
    /// A place in the palette of 256. The first sixteen are the named ones.
    Index(u8),
    /// Exactly this one.
    Rgb(Rgb),
}

/// How a colour stands in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum ColorForm {
    Index(u8),
    Text(String),
}

impl TryFrom<ColorForm> for Color {
    type Error = String;
    fn try_from(form: ColorForm) -> Result<Self, String> {
        match form {
            ColorForm::Index(index) => Ok(Self::Index(index)),
            ColorForm::Text(text) => Self::parse(&text).map_err(|(message, _)| message),
        }
    }
}

impl JsonSchema for Color {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Color".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One of the sixteen names, a number of the palette of 256, or #rrggbb.",
            "anyOf": [
                { "type": "string", "enum": Named::ALL.map(Named::name) },
                { "type": "string", "pattern": "^#[0-9a-fA-F]{6}$" },
                { "type": "integer", "minimum": 0, "maximum": 255 },
            ],
        })
    }
}

impl Color {
    /// A colour written as text: a name or `#rrggbb`.
    ///
    /// # Errors
    /// What is wrong with it, and advice.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        if let Some(digits) = text.strip_prefix('#') {
            let number = u32::from_str_radix(digits, 16)
                .ok()
                .filter(|_| digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let [_, red, green, blue] = number
                .ok_or_else(|| {
                    let message = format!("`{}` is not a colour", text.escape_debug());
                    (message, "write six hexadecimal digits after `#`, for example \"#ff8800\"".to_owned())
                })?
                .to_be_bytes();
            return Ok(Self::Rgb(Rgb(red, green, blue)));
        }
        if let Some(named) = Named::ALL.into_iter().find(|named| named.name() == text) {
            return Ok(Self::Named(named));
        }
        let advice = if text.parse::<u8>().is_ok() {
            format!("a number of the palette of 256 stands without quotes: {text}")
        } else {
            let near = did_you_mean(text, Named::ALL.into_iter().map(Named::name));
            let near = near.map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
            let names = Named::ALL[..8].iter().map(|named| named.name()).collect::<Vec<_>>().join(", ");
            format!(
                "{near}a colour is one of {names}, the same with `bright_` before it, a number from 0 to 255, or \"#rrggbb\""
            )
        };
        Err((format!("`{}` is not a colour", text.escape_debug()), advice))
    }

    /// Its red, green and blue, where they are the same in every terminal: not for the sixteen, whose shades the user
    /// chooses.
    #[must_use]
    pub fn known_rgb(self) -> Option<Rgb> {
        match self {
            Self::Rgb(rgb) => Some(rgb),
            Self::Index(index @ 16..) => Some(palette(index)),
            Self::Named(_) | Self::Index(_) => None,
        }
    }

    /// Its red, green and blue; those of xterm where the user chooses the shade.
    #[must_use]
    pub fn rgb(self) -> Rgb {
        match self {
            Self::Named(named) => palette(named.index()),
            Self::Index(index) => palette(index),
            Self::Rgb(rgb) => rgb,
        }
    }

    /// The codes of an escape sequence that turns it on.
    #[must_use]
    pub fn codes(self, is_background: bool) -> String {
        let shift = if is_background { 10 } else { 0 };
        match self {
            Self::Named(named) if named.index() < 8 => (30 + shift + named.index()).to_string(),
            Self::Named(named) => (90 + shift + named.index() - 8).to_string(),
            Self::Index(index) => format!("{};5;{index}", 38 + shift),
            Self::Rgb(Rgb(red, green, blue)) => format!("{};2;{red};{green};{blue}", 38 + shift),
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(named) => f.write_str(named.name()),
            Self::Index(index) => write!(f, "{index}"),
            Self::Rgb(Rgb(red, green, blue)) => write!(f, "#{red:02x}{green:02x}{blue:02x}"),
        }
    }
}

/// The sixteen as xterm draws them when nobody has chosen otherwise (`XTerm-col.ad`).
#[expect(clippy::unreadable_literal, reason = "six digits, as colours are written everywhere")]
const XTERM: [Rgb; 16] = Rgb::sixteen([
    0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00,
    0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
]);

/// The palette of 256: the sixteen, a cube of six levels, and 24 greys.
fn palette(index: u8) -> Rgb {
    let level = |level: u8| if level == 0 { 0 } else { 55 + 40 * level };
    match index {
        0..=15 => XTERM[usize::from(index)],
        16..=231 => {
            let place = index - 16;
            Rgb(level(place / 36), level(place / 6 % 6), level(place % 6))
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            Rgb(grey, grey, grey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_they_are_written() {
        for (text, expected) in [
            ("red", Color::Named(Named::Red)),
            ("bright_black", Color::Named(Named::BrightBlack)),
            ("#ff8800", Color::Rgb(Rgb(255, 136, 0))),
            ("#Ff8800", Color::Rgb(Rgb(255, 136, 0))),
        ] {
            assert_eq!(Color::parse(text), Ok(expected), "{text}");
        }
        for (text, advice) in [
            ("gren", "did you mean \"green\"?"),
            ("#ff880", "six hexadecimal digits"),
            ("#+f8800", "six hexadecimal digits"),
            ("#ünd", "six hexadecimal digits"),
            ("208", "without quotes: 208"),
            ("orange", "from 0 to 255"),
            ("", "from 0 to 255"),
        ] {
            let (message, found) = Color::parse(text).expect_err(text);
            assert!(message.contains(text) && found.contains(advice), "{text}: {message}: {found}");
        }
    }

    #[test]
    fn the_palette_is_that_of_xterm() {
        for (index, rgb) in [
            (16, Rgb(0, 0, 0)),
            (21, Rgb(0, 0, 255)),
            (208, Rgb(255, 135, 0)),
            (231, Rgb(255, 255, 255)),
            (232, Rgb(8, 8, 8)),
            (255, Rgb(238, 238, 238)),
        ] {
            assert_eq!(Color::Index(index).known_rgb(), Some(rgb), "{index}");
        }
        assert_eq!(Color::Index(9).known_rgb(), None);
        assert_eq!(Color::Named(Named::BrightRed).rgb(), Color::Index(9).rgb());
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (color, text, background) in [
            (Color::Named(Named::Red), "31", "41"),
            (Color::Named(Named::BrightWhite), "97", "107"),
            (Color::Index(208), "38;5;208", "48;5;208"),
            (Color::Rgb(Rgb(1, 2, 3)), "38;2;1;2;3", "48;2;1;2;3"),
        ] {
            assert_eq!((color.codes(false).as_str(), color.codes(true).as_str()), (text, background));
        }
    }
}
