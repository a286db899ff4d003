//! What a program asked a line of its output to look like, as far as that is let through: weight and the six hues, no
//! background and nothing that hides text or looks like a selection. It carries no text and changes none; what a hue
//! looks like is a matter of the theme.

/// Most changes of look that are kept of one line; from the last one on the line is plain.
const CHANGES: usize = 64;

/// The look of some text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tint {
    /// Stronger than other text.
    pub bold: bool,
    /// Weaker than other text.
    pub dim: bool,
    /// Underlined.
    pub underlined: bool,
    /// In a colour of its own.
    pub hue: Option<Hue>,
}

/// One of the named colours of terminals. Black and white are not among them: on some background each is invisible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the colours")]
pub enum Hue {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl Tint {
    /// The look after a colour sequence with these parameters (ECMA-48, SGR). What is not let through changes nothing.
    fn after(self, params: &str) -> Self {
        let mut tint = self;
        let mut codes = params.split([';', ':']);
        while let Some(code) = codes.next() {
            match code {
                "" | "0" => tint = Self::default(),
                "1" => tint.bold = true,
                "2" => tint.dim = true,
                "4" => tint.underlined = true,
                "22" => (tint.bold, tint.dim) = (false, false),
                "24" => tint.underlined = false,
                "31" | "91" => tint.hue = Some(Hue::Red),
                "32" | "92" => tint.hue = Some(Hue::Green),
                "33" | "93" => tint.hue = Some(Hue::Yellow),
                "34" | "94" => tint.hue = Some(Hue::Blue),
                "35" | "95" => tint.hue = Some(Hue::Magenta),
                "36" | "96" => tint.hue = Some(Hue::Cyan),
                "30" | "37" | "39" | "90" | "97" => tint.hue = None,
                // A colour by number or by its parts: what follows are no codes.
                "38" | "48" | "58" => {
                    if code == "38" {
                        tint.hue = None;
                    }
                    let parts = match codes.next() {
                        Some("5") => 1,
                        Some("2") => 3,
                        _ => 0,
                    };
                    codes.by_ref().take(parts).for_each(drop);
                }
                _ => {}
            }
        }
        tint
    }
}

/// The looks of one line, from which byte of its safe text on each.
#[derive(Debug, Default)]
pub(super) struct Tints(Vec<(usize, Tint)>);

impl Tints {
    /// A colour sequence with these parameters stands at this place of the safe text.
    pub(super) fn change(&mut self, at: usize, params: &str) {
        let before = self.0.last().map_or_else(Tint::default, |(_, tint)| *tint);
        let mut tint = before.after(params);
        if self.0.len() >= CHANGES {
            return;
        }
        if self.0.len() == CHANGES - 1 {
            tint = Tint::default();
        }
        if tint == before {
            return;
        }
        // Two changes with no text between them are one.
        match self.0.last_mut() {
            Some((place, last)) if *place == at => *last = tint,
            _ => self.0.push((at, tint)),
        }
    }

    pub(super) fn into_inner(self) -> Vec<(usize, Tint)> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_weight_and_hue_are_let_through() {
        let plain = Tint::default();
        let red = Tint { hue: Some(Hue::Red), ..plain };
        for (before, params, after) in [
            (plain, "31", red),
            (plain, "1;91", Tint { bold: true, ..red }),
            (red, "", plain),
            (red, "0", plain),
            (red, "39", plain),
            (red, "1;22", red),
            (red, "2;4", Tint { dim: true, underlined: true, ..red }),
            // Black on black, hidden, as if selected, blinking: nothing.
            (plain, "30;40", plain),
            (plain, "8", plain),
            (plain, "7", plain),
            (plain, "5", plain),
            (red, "41", red),
            // Colours by number; their parts are no codes.
            (red, "38;5;1", plain),
            (plain, "38;2;31;4;1", plain),
            (plain, "48;5;31;1", Tint { bold: true, ..plain }),
            (red, "48:2:8:4:1", red),
            (plain, "38", plain),
            (red, "99999999999", red),
        ] {
            assert_eq!(before.after(params), after, "{before:?} {params}");
        }
    }

    #[test]
    fn a_line_has_so_many_looks_and_then_none() {
        let mut tints = Tints::default();
        for place in 0..1000 {
            tints.change(place, if place % 2 == 0 { "31" } else { "0" });
        }
        let tints = tints.into_inner();
        assert_eq!(tints.len(), CHANGES);
        assert_eq!(tints.last().map(|(_, tint)| *tint), Some(Tint::default()));
    }
}
