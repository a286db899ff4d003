//! What can be said against a theme that is valid: letters that are hard to read, colours that are taken for each other.
//!
//! Only of colours whose shade is known: the sixteen named ones are the user's own.

use super::Theme;
use crate::model::Diagnostic;
use crate::style::{Rgb, Scope, Vision, contrast};

/// What letters need (WCAG 2.2, 1.4.3, level AA).
const LETTERS: f64 = 4.5;
/// What lines and bars need (1.4.11).
const LINES: f64 = 3.0;
/// How far apart colours must be that say different things, to eyes of every kind; see [`Vision::distance`]. Seven times
/// what can just be told apart side by side: on a screen they are not side by side.
pub(super) const APART: f64 = 0.15;

/// What must be told apart, as pairs.
const TOLD_APART: [(Scope, Scope); 8] = [
    (Scope::Good, Scope::Warn),
    (Scope::Good, Scope::Bad),
    (Scope::Good, Scope::Unknown),
    (Scope::Warn, Scope::Bad),
    (Scope::Warn, Scope::Unknown),
    (Scope::Bad, Scope::Unknown),
    (Scope::SiteA, Scope::SiteB),
    (Scope::Source, Scope::Target),
];

/// Everything that can be said against a theme; warnings only.
pub(super) fn judge(file: &str, theme: &Theme) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Scope::ALL.iter().filter_map(|scope| hard_to_read(file, theme, *scope)).collect();
    if theme.colour_blind {
        found.extend(TOLD_APART.iter().filter_map(|(one, other)| taken_for(file, theme, *one, *other)));
    }
    found
}

/// The contrast of a scope's letters with what is behind them, where both are known.
pub(super) fn contrast_of(theme: &Theme, scope: Scope) -> Option<f64> {
    let (ink, plain) = (theme.ink(scope), theme.ink(Scope::Plain));
    let fg = ink.fg.or(plain.fg)?.known_rgb()?;
    let bg = ink.bg.or(plain.bg)?.known_rgb()?;
    Some(contrast(fg, bg))
}

fn hard_to_read(file: &str, theme: &Theme, scope: Scope) -> Option<Diagnostic> {
    let found = contrast_of(theme, scope)?;
    let wanted = if matches!(scope, Scope::Border | Scope::BorderFocus | Scope::Gauge) { LINES } else { LETTERS };
    (found < wanted).then(|| {
        let message = format!("`{}` is hard to read: its contrast is {found:.1}, below {wanted:.1}", scope.name());
        Diagnostic::warning(file, format!("scopes.{}", scope.name()), message)
            .hint("move one of the two colours towards black or white")
    })
}

fn taken_for(file: &str, theme: &Theme, one: Scope, other: Scope) -> Option<Diagnostic> {
    let path = format!("scopes.{}", other.name());
    let [first, second] = match [one, other].map(|scope| stands_for(theme, scope).ok_or(scope)) {
        [Ok(first), Ok(second)] => [first, second],
        [Err(scope), _] | [_, Err(scope)] => {
            let message = format!("nobody knows what colour `{}` has: the promise cannot be checked", scope.name());
            return Some(
                Diagnostic::warning(file, format!("scopes.{}", scope.name()), message)
                    .hint("the shades of the sixteen named colours are the user's own; write #rrggbb"),
            );
        }
    };
    let distance = |vision: &Vision| vision.distance(first, second);
    let vision = Vision::ALL.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let nearest = distance(&vision);
    (nearest < APART).then(|| {
        let names = format!("`{}` and `{}`", one.name(), other.name());
        let message = format!("{names} are too alike with {}: {nearest:.2} apart, below {APART:.2}", vision.name());
        Diagnostic::warning(file, path, message)
            .hint("make one of them lighter, darker, or move it towards blue or orange")
    })
}

/// The colour that people know a scope by.
fn stands_for(theme: &Theme, scope: Scope) -> Option<Rgb> {
    theme.ink(scope).fg.or(theme.ink(Scope::Plain).fg)?.known_rgb()
}
