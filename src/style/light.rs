//! What eyes see: how far two colours are apart, how well one is read on the other, and what a person who does not see
//! red or green makes of them. Pure arithmetic from the literature.

use super::{Color, Named, Rgb};

/// A colour without the curve of sRGB: amounts of light, 0 to 1.
type Linear = [f64; 3];

fn linear(Rgb(red, green, blue): Rgb) -> Linear {
    // IEC 61966-2-1.
    [red, green, blue].map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    })
}

fn times(matrix: &[[f64; 3]; 3], light: Linear) -> Linear {
    matrix.map(|row| row.iter().zip(&light).map(|(weight, part)| weight * part).sum())
}

/// Oklab (B. Ottosson, "A perceptual color space for image processing", 2020): lightness, green to red, blue to yellow.
fn oklab(light: Linear) -> Linear {
    const TO_CONES: [[f64; 3]; 3] = [
        [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
        [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
        [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
    ];
    const TO_LAB: [[f64; 3]; 3] = [
        [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
        [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
        [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
    ];
    times(&TO_LAB, times(&TO_CONES, light).map(f64::cbrt))
}

fn apart(one: Linear, other: Linear) -> f64 {
    (one[0] - other[0]).hypot(one[1] - other[1]).hypot(one[2] - other[2])
}

/// How colourful: 0 for greys.
fn chroma([_, a, b]: Linear) -> f64 {
    a.hypot(b)
}

/// The angle of the hue, in radians. Greys have none.
fn hue([_, a, b]: Linear) -> f64 {
    b.atan2(a)
}

/// Below this a colour counts as grey. The least colourful of the sixteen has 0.13.
const GREY: f64 = 0.06;

/// The nearest of the 240 colours that look the same in every terminal with 256.
pub(super) fn nearest_of_256(wanted: Rgb) -> Color {
    let lab = oklab(linear(wanted));
    nearest((16..=255).map(Color::Index), |candidate| apart(lab, candidate)).unwrap_or(Color::Rgb(wanted))
}

/// The nearest of the sixteen, as xterm draws them: of the greys by lightness, of the others by hue before lightness,
/// for with so few the hue is what carries the meaning.
pub(super) fn nearest_of_16(wanted: Rgb) -> Color {
    let lab = oklab(linear(wanted));
    let is_grey = chroma(lab) < GREY;
    let all = Named::ALL.into_iter().map(Color::Named);
    nearest(all.filter(|candidate| (chroma(oklab(linear(candidate.rgb()))) < GREY) == is_grey), |candidate| {
        let turn = if is_grey { 0.0 } else { (hue(lab) - hue(candidate)).abs() };
        (lab[0] - candidate[0]).hypot(turn.min(std::f64::consts::TAU - turn))
    })
    .unwrap_or(Color::Named(Named::White))
}

/// The candidate for which `distance` is least.
fn nearest(candidates: impl Iterator<Item = Color>, distance: impl Fn(Linear) -> f64) -> Option<Color> {
    let distance = |color: &Color| distance(oklab(linear(color.rgb())));
    candidates.min_by(|one, other| distance(one).total_cmp(&distance(other)))
}

/// How well one colour is read on the other, 1 to 21 (WCAG 2.2, "contrast ratio").
#[must_use]
pub fn contrast(one: Rgb, other: Rgb) -> f64 {
    let luminance = |rgb| {
        let [red, green, blue] = linear(rgb);
        blue.mul_add(0.0722, red.mul_add(0.2126, green * 0.7152))
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// How somebody sees colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vision {
    /// As most people do.
    Usual,
    /// Without the cones for long waves: red is dark.
    Protanopia,
    /// Without the cones for middle waves: the commonest.
    Deuteranopia,
}

impl Vision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Usual, Self::Protanopia, Self::Deuteranopia];

    /// The word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual sight",
            Self::Protanopia => "protanopia",
            Self::Deuteranopia => "deuteranopia",
        }
    }

    /// What becomes of light. G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A Physiologically-based Model for
    /// Simulation of Color Vision Deficiency", IEEE TVCG 15 (6), 2009: the matrices for severity 1.0.
    fn matrix(self) -> [[f64; 3]; 3] {
        match self {
            Self::Usual => [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            Self::Protanopia => [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
            Self::Deuteranopia => [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
        }
    }

    /// How far apart two colours are for these eyes, as a distance in Oklab: 0.02 can just be told apart side by side,
    /// black and white are 1 apart.
    #[must_use]
    pub fn distance(self, one: Rgb, other: Rgb) -> f64 {
        let seen = |rgb| oklab(times(&self.matrix(), linear(rgb)).map(|part| part.clamp(0.0, 1.0)));
        apart(seen(one), seen(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        let (white, black) = (Rgb(255, 255, 255), Rgb(0, 0, 0));
        for (one, other, expected) in [
            (white, black, 21.0),
            (black, white, 21.0),
            (white, white, 1.0),
            // The example that everybody knows: the lightest grey that is read on white.
            (Rgb(0x76, 0x76, 0x76), white, 4.54),
            (Rgb(255, 0, 0), white, 4.0),
        ] {
            let found = contrast(one, other);
            assert!((found - expected).abs() < 0.005, "{one:?} {other:?}: {found}");
        }
    }

    #[test]
    fn greys_are_the_same_to_all_eyes_and_red_and_green_are_not() {
        let (black, white) = (Rgb(0, 0, 0), Rgb(255, 255, 255));
        for vision in Vision::ALL {
            assert!((vision.distance(black, white) - 1.0).abs() < 0.001, "{vision:?}");
        }
        // Two shades of equal lightness that only red and green tell apart.
        let (red, green) = (Rgb(0xc0, 0x60, 0x40), Rgb(0x80, 0x80, 0x30));
        let [usual, _, deuteranopia] = Vision::ALL.map(|vision| vision.distance(red, green));
        assert!(usual > 0.12 && deuteranopia < 0.06, "{usual} {deuteranopia}");
        // Blue and orange stay what they are.
        let (blue, orange) = (Rgb(0x56, 0xb4, 0xe9), Rgb(0xe6, 0x9f, 0x00));
        assert!(Vision::ALL.iter().all(|vision| vision.distance(blue, orange) > 0.15));
    }
}
