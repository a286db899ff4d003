//! Short ways to say what the columns of a list say, for where there is little room. They only shorten what a run says of
//! itself, and never guess at what it does not say.

use jiff::Zoned;
use ratatui::layout::Rect;

use super::paint::{Canvas, Row, wrapped};
use super::safe;
use crate::console::state::State;
use crate::model::SafeText;
use crate::style::{Mark, Scope};

/// How a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// With its year.
    Whole,
    /// Without its year.
    Day,
    /// The time of a day that is not over for 24 hours, otherwise the day.
    Least,
}

impl Moment {
    /// How many cells it takes.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Whole => 16,
            Self::Day => 11,
            Self::Least => 5,
        }
    }

    /// The moment, as seen at another one.
    pub(super) fn of(self, at: &Zoned, now: &Zoned) -> SafeText {
        let format = match self {
            Self::Whole => "%Y-%m-%d %H:%M",
            Self::Day => "%m-%d %H:%M",
            Self::Least if now.duration_since(at).unsigned_abs().as_secs() < 86_400 => "%H:%M",
            Self::Least => "%m-%d",
        };
        safe(at.strftime(format).to_string())
    }
}

/// How a direction is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `prod -> bcp`
    Whole,
    /// `prod>bcp`
    Tight,
    /// `P>B`, with as many letters as tell the sites apart.
    Letters,
}

impl Way {
    /// The direction of a run, whose sites are parted by an arrow between blanks.
    pub(super) fn of(self, direction: &SafeText) -> SafeText {
        let words: Vec<&str> = direction.as_str().split(' ').collect();
        match (self, words.as_slice()) {
            (Self::Tight, [source, _, target]) => safe(format!("{source}>{target}")),
            (Self::Letters, [source, _, target]) => {
                let alike = source.chars().zip(target.chars()).take_while(|(one, other)| one == other).count();
                let letters = |name: &str| name.chars().take(alike + 1).collect::<String>().to_uppercase();
                safe(format!("{}>{}", letters(source), letters(target)))
            }
            _ => direction.clone(),
        }
    }
}

/// A mode in five letters at most; whole where it is none of ours.
pub(super) fn mode(mode: &SafeText) -> SafeText {
    match mode.as_str() {
        "replicate" => "repl".into(),
        "reverse" => "rev".into(),
        "failover" => "fail".into(),
        "restore" => "rest".into(),
        "maintenance" => "maint".into(),
        _ => mode.clone(),
    }
}

/// How many lines below a list say all of what is selected: none where lines of the list are worth more.
pub(super) fn lines_below(area: Rect) -> u16 {
    match (area.width, area.height) {
        (_, ..8) => 0,
        (..64, _) => 3,
        _ => 2,
    }
}

/// Says below a list what its columns have no room for. Returns what is left for the list.
pub(super) fn below(canvas: &mut Canvas<'_>, area: Rect, height: u16, scope: Scope, text: &str) -> Rect {
    if height == 0 {
        return area;
    }
    let mut lines = wrapped(text, usize::from(area.width).saturating_sub(1)).into_iter();
    // What does not even fit there is cut where it ends, and the cut is shown.
    let mut rows: Vec<Row> =
        lines.by_ref().take(usize::from(height) - 1).map(|line| Row::new().plain(" ").put(scope, line)).collect();
    rows.push(Row::new().plain(" ").put(scope, lines.collect::<Vec<_>>().join(" ")));
    let place = Rect { y: area.bottom() - height, height, ..area };
    canvas.rows(place, &rows);
    Rect { height: area.height - height, ..area }
}

/// How wide a mark is, with the blanks around it.
pub(super) fn mark_width(ascii: bool) -> usize {
    let mark = if ascii { Mark::Ok.ascii() } else { Mark::Ok.glyph() };
    mark.chars().count() + 2
}

/// A moment in the time zone of this screen, and now.
pub(super) fn moments(state: &State, at: jiff::Timestamp) -> (Zoned, Zoned) {
    (super::local(state, at), super::local(state, state.now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_shortened_to_what_tells_the_sites_apart() {
        for (direction, tight, letters) in [
            ("prod -> bcp", "prod>bcp", "P>B"),
            ("site-a -> site-b", "site-a>site-b", "SITE-A>SITE-B"),
            ("ham -> hamburg", "ham>hamburg", "HAM>HAMB"),
            ("", "", ""),
            ("no direction at all", "no direction at all", "no direction at all"),
        ] {
            let direction = SafeText::line(direction);
            assert_eq!(Way::Whole.of(&direction), direction);
            assert_eq!(Way::Tight.of(&direction).as_str(), tight);
            assert_eq!(Way::Letters.of(&direction).as_str(), letters);
        }
    }

    #[test]
    fn a_moment_takes_the_room_that_it_says() {
        let zone = jiff::tz::TimeZone::UTC;
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").to_zoned(zone.clone());
        let (then, soon, late) = (at("2026-03-01T02:46:00Z"), at("2026-03-02T02:45:59Z"), at("2026-03-02T02:46:00Z"));
        for (moment, said) in [
            (Moment::Whole, ["2026-03-01 02:46", "2026-03-01 02:46"]),
            (Moment::Day, ["03-01 02:46", "03-01 02:46"]),
            (Moment::Least, ["02:46", "03-01"]),
        ] {
            for (now, said) in [&soon, &late].into_iter().zip(said) {
                assert_eq!(moment.of(&then, now).as_str(), said);
                assert_eq!(said.len(), moment.width());
            }
        }
    }
}
