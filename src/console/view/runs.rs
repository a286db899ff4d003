//! Pane 5: runs of the past, and the one that goes on.
//!
//! How a run ended is never cut. What else there is room for is said of every run, the rest of it below of the one that is
//! selected.

use ratatui::layout::Rect;

use super::brief::{self, Moment, Way};
use super::paint::{Canvas, Row, cells};
use super::{filtered, list, nothing, safe, span};
use crate::console::facts::RunRow;
use crate::console::pane::Pane;
use crate::console::state::State;
use crate::model::SafeText;
use crate::style::Scope;

/// The longest word of an ending that has a column; what is longer, why a run cannot be read, takes the whole line.
const WORD: usize = 13;
/// A length of time takes so many cells at most.
const TOOK: usize = 6;

/// What is said of every run, and how.
struct Form {
    began: Moment,
    runbook: bool,
    whole_mode: bool,
    way: Way,
    by: bool,
}

/// From the one that leaves nothing out to the one that fits beside another pane of a small screen.
const FORMS: [Form; 6] = [
    Form { began: Moment::Whole, runbook: true, whole_mode: true, way: Way::Whole, by: true },
    Form { began: Moment::Day, runbook: true, whole_mode: true, way: Way::Whole, by: true },
    Form { began: Moment::Day, runbook: true, whole_mode: false, way: Way::Tight, by: true },
    Form { began: Moment::Day, runbook: false, whole_mode: false, way: Way::Tight, by: true },
    Form { began: Moment::Least, runbook: false, whole_mode: false, way: Way::Letters, by: true },
    Form { began: Moment::Least, runbook: false, whole_mode: false, way: Way::Letters, by: false },
];

/// How wide the columns of a form are; one that it has not is none.
struct Widths {
    word: usize,
    began: usize,
    runbook: usize,
    mode: usize,
    way: usize,
    by: usize,
}

impl Form {
    fn mode(&self, run: &RunRow) -> SafeText {
        if self.whole_mode { run.mode.clone() } else { brief::mode(&run.mode) }
    }

    fn widths(&self, runs: &[&RunRow]) -> Widths {
        let widest = |head: &str, most: usize, text: &dyn Fn(&RunRow) -> SafeText| {
            let widths = runs.iter().map(|run| cells(text(run).as_str()).min(most));
            widths.max().unwrap_or(0).max(head.len())
        };
        let word = runs.iter().map(|run| cells(run.word.as_str())).filter(|width| *width <= WORD);
        Widths {
            word: word.max().unwrap_or(0).max("result".len()),
            began: self.began.width(),
            runbook: if self.runbook { widest("runbook", 16, &|run| run.runbook.clone()) } else { 0 },
            mode: widest("mode", 11, &|run| self.mode(run)),
            way: widest("way", 24, &|run| self.way.of(&run.direction)),
            by: if self.by { widest("by", 16, &|run| run.by.clone()) } else { 0 },
        }
    }
}

impl Widths {
    /// All of a line whose mark takes so many cells.
    fn all(&self, mark: usize) -> usize {
        let columns = [self.began, self.runbook, self.mode, self.way, TOOK, self.by];
        mark + self.word + columns.into_iter().filter(|width| *width > 0).map(|width| width + 1).sum::<usize>()
    }
}

/// The richest form that fits, and its columns.
fn form(state: &State, runs: &[&RunRow], width: u16) -> (usize, Widths) {
    let mark = brief::mark_width(state.settings.ascii);
    let fits = |form: &Form| form.widths(runs).all(mark) <= usize::from(width);
    let number = FORMS.iter().position(fits).unwrap_or(FORMS.len() - 1);
    (number, FORMS[number].widths(runs))
}

/// How many lines below the list say what the columns leave out of the selected run.
pub(super) fn below(state: &State, area: Rect) -> u16 {
    let runs = state.shown_runs();
    let wanted = state.focus == Pane::Runs && !runs.is_empty();
    if wanted && form(state, &runs, area.width).0 > 0 { brief::lines_below(area) } else { 0 }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let runs = state.shown_runs();
    let height = below(state, area);
    let area = filtered(canvas, state, &state.past, area, runs.len(), state.runs.len());
    if runs.is_empty() {
        let text = match (state.runs_read, state.runs.is_empty()) {
            (false, _) => "reading",
            (true, true) => "no runs yet on this machine",
            (true, false) => "no run passes the filter",
        };
        nothing(canvas, area, text);
        return;
    }
    let (number, widths) = form(state, &runs, area.width);
    let form = &FORMS[number];
    let selected = runs.get(state.past.selected).map(|run| whole(state, run)).unwrap_or_default();
    let area = brief::below(canvas, area, height, Scope::Muted, &selected);
    let rows = runs.iter().map(|run| row(canvas, state, form, &widths, run)).collect();
    list(canvas, area, Some(&head(state, form, &widths)), rows, state.past.selected, state.focus == Pane::Runs);
}

fn head(state: &State, form: &Form, widths: &Widths) -> Row {
    let zone = super::local(state, state.now).strftime("%Z").to_string();
    let began = if form.began == Moment::Whole { format!("began, {zone}") } else { "began".to_owned() };
    let mark = brief::mark_width(state.settings.ascii);
    let mut row = Row::new().to(mark).put(Scope::Header, "result").to(mark + widths.word);
    for (text, width) in [
        (began.as_str(), widths.began),
        ("runbook", widths.runbook),
        ("mode", widths.mode),
        ("way", widths.way),
        ("  took", TOOK),
        ("by", widths.by),
    ] {
        if width > 0 {
            let column = row.width() + 1;
            row = row.to(column).put(Scope::Header, safe(text)).limited(column + width).to(column + width);
        }
    }
    row
}

fn row(canvas: &Canvas<'_>, state: &State, form: &Form, widths: &Widths, run: &RunRow) -> Row {
    let row = Row::new().plain(" ").put(run.mark.scope(), safe(format!("{} {}", canvas.mark(run.mark), run.word)));
    let mut column = brief::mark_width(state.settings.ascii) + widths.word;
    if row.width() > column {
        return row;
    }
    let (began, now) = brief::moments(state, run.began);
    let mut row = row.to(column);
    for (scope, text, width) in [
        (Scope::Muted, form.began.of(&began, &now), widths.began),
        (Scope::Plain, run.runbook.clone(), widths.runbook),
        (Scope::Muted, form.mode(run), widths.mode),
        (Scope::Muted, form.way.of(&run.direction), widths.way),
        (Scope::Plain, safe(format!("{:>TOOK$}", span(run.took))), TOOK),
        (Scope::Muted, run.by.clone(), widths.by),
    ] {
        if width > 0 {
            row = row.to(column + 1).put(scope, text).limited(column + 1 + width);
            column += 1 + width;
            row = row.to(column);
        }
    }
    row
}

/// All that the list knows of a run, in words.
fn whole(state: &State, run: &RunRow) -> String {
    if run.direction.as_str().is_empty() {
        return run.word.to_string();
    }
    let began = super::moment(state, run.began);
    format!(
        "{} ({}), {}, {}, began {began}, took {}, by {}",
        run.runbook,
        run.mode,
        run.direction,
        run.word,
        span(run.took),
        run.by
    )
}
