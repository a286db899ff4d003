//! How text looks: colours and attributes, and what is left of them on lesser terminals.

use super::{Color, ColorWish, Look, Rgb, light};

/// How many colours can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Depth {
    /// None. Bold, dim, underline, reverse and italic can still be.
    Mono,
    /// The sixteen named ones.
    #[default]
    Sixteen,
    /// The palette of 256.
    TwoFiftySix,
    /// All.
    True,
}

impl Depth {
    /// What the environment (asked through `env`) and the user's wish say. Whether there are colours at all is decided
    /// as [`Look::detect`] does; how many, by `COLORTERM` and `TERM`. Nothing is ever asked of the terminal.
    #[must_use]
    pub fn detect(wish: ColorWish, is_terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        if !Look::detect(wish, false, is_terminal, &env).color {
            return Self::Mono;
        }
        let given = |name: &str| env(name).filter(|value| !value.is_empty());
        let term = given("TERM").unwrap_or_default();
        let said = match given("COLORTERM").map(|value| value.to_ascii_lowercase()).as_deref() {
            Some("truecolor" | "24bit") => Self::True,
            _ if term.ends_with("-direct") => Self::True,
            _ if term.contains("256color") => Self::TwoFiftySix,
            _ => Self::Sixteen,
        };
        // GNU screen hands `COLORTERM` through but cannot show what it promises; tmux, which uses the same name, can.
        if term.starts_with("screen") && given("TMUX").is_none() { said.min(Self::TwoFiftySix) } else { said }
    }
}

/// How a scope looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own, as terminals have them")]
pub struct Ink {
    /// The colour of the letters; nothing means that of what is below, in the end the terminal's own.
    pub fg: Option<Color>,
    /// The colour behind them; nothing means that of what is below.
    pub bg: Option<Color>,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Underlined.
    pub underline: bool,
    /// Both colours exchanged.
    pub reverse: bool,
    /// Italic.
    pub italic: bool,
}

impl Ink {
    /// The same with the nearest colours that `depth` has; attributes stay. Letters never vanish: where both colours
    /// would become the same one, the letters become black or white. And terminals with sixteen colours, such as the
    /// console of Linux, show bold as the brighter of two, so that dark letters on a block would be grey: they are not bold.
    #[must_use]
    pub fn at(self, depth: Depth) -> Self {
        let lesser = |color: Color| match (depth, color) {
            (Depth::Mono, _) => None,
            (Depth::True, _) | (_, Color::Named(_)) | (Depth::TwoFiftySix, Color::Index(_)) => Some(color),
            (Depth::TwoFiftySix, Color::Rgb(rgb)) => Some(light::nearest_of_256(rgb)),
            (Depth::Sixteen, _) => Some(light::nearest_of_16(color.rgb())),
        };
        let (fg, bg) = (self.fg.and_then(lesser), self.bg.and_then(lesser));
        let fg = match (fg, bg) {
            (Some(letters), Some(behind)) if letters == behind && self.fg != self.bg => {
                let (black, white) = (Rgb(0, 0, 0), Rgb(255, 255, 255));
                let is_light = light::contrast(behind.rgb(), black) > light::contrast(behind.rgb(), white);
                Some(light::nearest_of_16(if is_light { black } else { white }))
            }
            _ => fg,
        };
        let is_dark = matches!(fg, Some(Color::Named(named)) if named.index() < 8);
        let greys = depth == Depth::Sixteen && is_dark && bg.is_some();
        Self { fg, bg, bold: self.bold && !greys, ..self }
    }

    /// The text between the escape sequences that make it look so; as it is when nothing has to be done. The text must
    /// be safe to show already.
    #[must_use]
    pub fn paint(self, text: &str) -> String {
        let attributes =
            [(self.bold, "1"), (self.dim, "2"), (self.italic, "3"), (self.underline, "4"), (self.reverse, "7")];
        let attributes = attributes.iter().filter(|(on, _)| *on).map(|(_, code)| (*code).to_owned());
        let fg = self.fg.map(|color| color.codes(false));
        let bg = self.bg.map(|color| color.codes(true));
        let codes: Vec<String> = attributes.chain(fg).chain(bg).collect();
        if codes.is_empty() || text.is_empty() {
            text.to_owned()
        } else {
            format!("\u{1b}[{}m{text}\u{1b}[0m", codes.join(";"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Named;

    fn color(text: &str) -> Color {
        text.parse::<u8>().map_or_else(|_| Color::parse(text).expect(text), Color::Index)
    }

    #[test]
    fn each_depth_gets_the_nearest_colour_it_has() {
        for (wanted, of_256, of_16) in [
            ("red", "red", "red"),
            ("208", "208", "bright_red"),
            ("9", "9", "bright_red"),
            ("#ff0000", "196", "bright_red"),
            ("#cd0000", "160", "red"),
            ("#00cd00", "40", "green"),
            ("#ffffff", "231", "bright_white"),
            ("#000000", "16", "black"),
            ("#808080", "244", "bright_black"),
            ("#0072b2", "25", "blue"),
            ("#e69f00", "178", "yellow"),
            // Of Solarized: dull, but not grey.
            ("#719e07", "70", "green"),
            ("#b58900", "136", "yellow"),
            ("#dc322f", "160", "bright_red"),
            // Dark, but yellow.
            ("#7a6400", "94", "yellow"),
            // With a tinge that sixteen colours cannot show.
            ("#002b36", "235", "black"),
        ] {
            let ink = Ink { fg: Some(color(wanted)), bold: true, ..Ink::default() };
            let at = |depth| ink.at(depth).fg.map(|color| color.to_string()).unwrap_or_default();
            let found = (at(Depth::TwoFiftySix), at(Depth::Sixteen));
            assert_eq!((found.0.as_str(), found.1.as_str()), (of_256, of_16), "{wanted}");
            assert_eq!(ink.at(Depth::True), ink, "{wanted}");
            assert_eq!(ink.at(Depth::Mono), Ink { bold: true, ..Ink::default() }, "{wanted}");
        }
    }

    #[test]
    fn no_colour_takes_colours_and_nothing_else() {
        let all = Ink {
            fg: Some(color("red")),
            bg: Some(color("#102030")),
            bold: true,
            dim: true,
            underline: true,
            reverse: true,
            italic: true,
        };
        assert_eq!(all.at(Depth::Mono), Ink { fg: None, bg: None, ..all });
        assert_eq!(all.paint("x"), "\u{1b}[1;2;3;4;7;31;48;2;16;32;48mx\u{1b}[0m");
        assert_eq!((all.paint("").as_str(), Ink::default().paint("x").as_str()), ("", "x"));
    }

    #[test]
    fn letters_do_not_vanish_into_what_is_behind_them() {
        for (fg, bg, depth, letters) in [
            ("#300000", "#500000", Depth::Sixteen, Named::BrightWhite),
            ("#ffff40", "#ffff00", Depth::Sixteen, Named::Black),
            ("#000000", "#010101", Depth::TwoFiftySix, Named::BrightWhite),
        ] {
            let ink = Ink { fg: Some(color(fg)), bg: Some(color(bg)), ..Ink::default() }.at(depth);
            assert_eq!(ink.fg, Some(Color::Named(letters)), "{fg} on {bg}: {ink:?}");
            assert_ne!(ink.fg, ink.bg);
        }
        let block = |fg| Ink { fg: Some(color(fg)), bg: Some(color("yellow")), bold: true, ..Ink::default() };
        for (fg, depth, bold) in [
            ("black", Depth::Sixteen, false),
            ("black", Depth::TwoFiftySix, true),
            ("bright_white", Depth::Sixteen, true),
        ] {
            assert_eq!(block(fg).at(depth), Ink { bold, ..block(fg) }, "{fg} {depth:?}");
        }
        // Who asks for it gets it.
        let hidden = Ink { fg: Some(color("red")), bg: Some(color("red")), ..Ink::default() };
        assert_eq!(hidden.at(Depth::Sixteen), hidden);
    }

    #[test]
    fn the_depth_is_what_the_environment_says() {
        use ColorWish::{Always, Auto, Never};
        for (wish, terminal, env, expected) in [
            (Auto, true, &[("TERM", "xterm")][..], Depth::Sixteen),
            (Auto, true, &[], Depth::Sixteen),
            (Auto, true, &[("TERM", "xterm-256color")], Depth::TwoFiftySix),
            (Auto, true, &[("TERM", "xterm-direct")], Depth::True),
            (Auto, true, &[("TERM", "xterm"), ("COLORTERM", "truecolor")], Depth::True),
            (Auto, true, &[("TERM", "xterm"), ("COLORTERM", "24bit")], Depth::True),
            (Auto, true, &[("TERM", "xterm-256color"), ("COLORTERM", "yes")], Depth::TwoFiftySix),
            (Auto, true, &[("TERM", "screen"), ("COLORTERM", "truecolor")], Depth::TwoFiftySix),
            (Auto, true, &[("TERM", "screen-256color"), ("COLORTERM", "truecolor"), ("TMUX", "x")], Depth::True),
            (Auto, true, &[("TERM", "dumb"), ("COLORTERM", "truecolor")], Depth::Mono),
            (Auto, true, &[("TERM", "linux")], Depth::Sixteen),
            (Auto, true, &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Depth::Mono),
            (Auto, true, &[("NO_COLOR", ""), ("COLORTERM", "truecolor")], Depth::True),
            (Auto, false, &[("COLORTERM", "truecolor")], Depth::Mono),
            (Always, false, &[("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Depth::True),
            (Never, true, &[("COLORTERM", "truecolor")], Depth::Mono),
        ] {
            let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Depth::detect(wish, terminal, find), expected, "{wish:?} {terminal} {env:?}");
        }
    }
}
