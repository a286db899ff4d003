//! Pane 6: the restore points that runs have made.
//!
//! That a point is complete is said of every one, and so are its time, its direction and its size; why one is not, as far as
//! there is room, and whole below of the one that is selected.

use ratatui::layout::Rect;

use super::brief::{self, Moment, Way};
use super::paint::{Canvas, Row, cells};
use super::{filtered, list, nothing, safe, size, span};
use crate::console::facts::RunRow;
use crate::console::pane::Pane;
use crate::console::run_view::since;
use crate::console::state::State;
use crate::model::SafeText;
use crate::style::{Mark, Scope};

/// A length of time takes so many cells at most, a size so many.
const TOOK: usize = 6;
const SIZE: usize = 10;

/// What is said of every point, and how.
struct Form {
    made: Moment,
    age: bool,
    way: Way,
    took: bool,
    /// The room that is left for the state, at least.
    state: usize,
}

/// From the one that leaves nothing out to the one that fits beside another pane of a small screen.
const FORMS: [Form; 4] = [
    Form { made: Moment::Whole, age: true, way: Way::Whole, took: true, state: 44 },
    Form { made: Moment::Day, age: false, way: Way::Tight, took: true, state: 24 },
    Form { made: Moment::Day, age: false, way: Way::Letters, took: true, state: 10 },
    Form { made: Moment::Least, age: false, way: Way::Letters, took: false, state: 10 },
];

impl Form {
    fn way_width(&self, points: &[&RunRow]) -> usize {
        let width = |run: &&RunRow| cells(self.way.of(&run.direction).as_str()).min(24);
        points.iter().map(width).max().unwrap_or(0).max("way".len())
    }

    /// The columns before the state.
    fn width(&self, mark: usize, way: usize) -> usize {
        let optional = [(self.age, TOOK), (self.took, TOOK)];
        let optional = optional.into_iter().filter(|(there, _)| *there).map(|(_, width)| width + 1).sum::<usize>();
        mark + self.made.width() + 1 + way + 1 + SIZE + optional + 1
    }
}

/// The richest form that fits, and how wide its directions are.
fn form(state: &State, points: &[&RunRow], width: u16) -> (usize, usize) {
    let mark = brief::mark_width(state.settings.ascii);
    let fits = |form: &Form| form.width(mark, form.way_width(points)) + form.state <= usize::from(width);
    let number = FORMS.iter().position(fits).unwrap_or(FORMS.len() - 1);
    (number, FORMS[number].way_width(points))
}

/// How many lines below the list say what the columns leave out of the selected point.
pub(super) fn below(state: &State, area: Rect) -> u16 {
    let points = state.shown_points();
    if state.focus != Pane::Points || points.is_empty() {
        return 0;
    }
    let (number, way) = form(state, &points, area.width);
    let room =
        usize::from(area.width).saturating_sub(FORMS[number].width(brief::mark_width(state.settings.ascii), way));
    // What one of the points needs is kept free for all: nothing moves while the selection does.
    let is_cut = |run: &&RunRow| cells(&condition(run).1) > room;
    if number > 0 || points.iter().any(is_cut) { brief::lines_below(area) } else { 0 }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let points = state.shown_points();
    let height = below(state, area);
    let all = state.runs.iter().filter(|run| run.point.is_some()).count();
    let area = filtered(canvas, state, &state.point, area, points.len(), all);
    if points.is_empty() {
        let text = match (state.runs_read, all) {
            (false, _) => "reading",
            (true, 0) => "no restore point was made from this machine",
            (true, _) => "no restore point passes the filter",
        };
        nothing(canvas, area, text);
        return;
    }
    let (number, way) = form(state, &points, area.width);
    let form = &FORMS[number];
    let selected = points.get(state.point.selected);
    let scope = selected.map_or(Scope::Muted, |run| if is_complete(run) { Scope::Muted } else { Scope::Bad });
    let text = selected.map(|run| whole(state, run)).unwrap_or_default();
    let area = brief::below(canvas, area, height, scope, &text);
    let rows = points.iter().map(|run| row(canvas, state, form, way, run)).collect();
    list(canvas, area, Some(&head(state, form, way)), rows, state.point.selected, state.focus == Pane::Points);
}

fn head(state: &State, form: &Form, way: usize) -> Row {
    let zone = super::local(state, state.now).strftime("%Z").to_string();
    let made = if form.made == Moment::Whole { format!("made, {zone}") } else { "made".to_owned() };
    let mut column = brief::mark_width(state.settings.ascii);
    let mut row = Row::new().to(column).put(Scope::Header, safe(made)).limited(column + form.made.width());
    column += form.made.width() + 1;
    row = row.to(column);
    if form.age {
        row = row.put(Scope::Header, safe(format!("{:>TOOK$} ", "age")));
    }
    row = row.put(Scope::Header, safe(format!("{:<way$} {:>SIZE$} ", "way", "size")));
    if form.took { row.put(Scope::Header, safe(format!("{:>TOOK$} ", "took"))) } else { row }
}

fn row(canvas: &Canvas<'_>, state: &State, form: &Form, way: usize, run: &RunRow) -> Row {
    let complete = if is_complete(run) { Mark::Ok } else { Mark::Fail };
    let (made, now) = brief::moments(state, run.began);
    let mut column = brief::mark_width(state.settings.ascii);
    let mut row = Row::new()
        .plain(" ")
        .put(complete.scope(), canvas.mark(complete))
        .to(column)
        .put(Scope::Muted, form.made.of(&made, &now));
    column += form.made.width() + 1;
    row = row.to(column);
    if form.age {
        row = row.plain(safe(format!("{:>TOOK$} ", span(since(run.began, state.now)))));
    }
    let column = row.width() + way;
    row = row.put(Scope::Muted, form.way.of(&run.direction)).limited(column).to(column);
    let bytes = run.point.as_ref().and_then(|point| point.bytes).map_or_else(|| "-".to_owned(), size);
    row = row.plain(safe(format!(" {bytes:>SIZE$} ")));
    if form.took {
        row = row.plain(safe(format!("{:>TOOK$} ", span(run.took))));
    }
    let (scope, text) = condition(run);
    row.put(scope, safe(text))
}

fn carried(run: &RunRow) -> bool {
    run.point.as_ref().is_some_and(|point| point.arrived)
}

fn is_complete(run: &RunRow) -> bool {
    run.point.as_ref().is_some_and(|point| point.incomplete.is_none())
}

/// Whether a point is complete, or why not, in words.
fn condition(run: &RunRow) -> (Scope, String) {
    match run.point.as_ref().and_then(|point| point.incomplete.as_ref()) {
        Some(why) => (Scope::Bad, format!("INCOMPLETE: {why}")),
        None if carried(run) => (Scope::Good, "complete".to_owned()),
        None => (Scope::Good, "complete, not carried over by this run".to_owned()),
    }
}

/// All that the list knows of a point, in words: first why it is not complete.
fn whole(state: &State, run: &RunRow) -> String {
    let bytes = run.point.as_ref().and_then(|point| point.bytes).map_or_else(|| "size not counted".to_owned(), size);
    let made = super::moment(state, run.began);
    let age = span(since(run.began, state.now));
    format!("{}; {}, made {made}, {age} ago, {bytes}, took {}", condition(run).1, run.direction, span(run.took))
}

/// Everything that is known of a point, as text.
#[must_use]
pub fn point_text(state: &State, run: &RunRow) -> SafeText {
    let Some(point) = &run.point else { return SafeText::default() };
    let size = point.bytes.map_or_else(|| "not counted".to_owned(), size);
    let condition = match &point.incomplete {
        None if carried(run) => "complete, and seen to have arrived".to_owned(),
        None => "complete where it was made; this run did not carry it over".to_owned(),
        Some(why) => format!("INCOMPLETE: {why}"),
    };
    SafeText::block(&format!(
        "point      {}\nstate      {condition}\nmade       {}, {} ago\ndirection  {}\nsize       {size}\nby run     {} ({}, {})\n           {}",
        point.id,
        super::moment(state, run.began),
        span(since(run.began, state.now)),
        run.direction,
        run.run,
        run.word,
        span(run.took),
        run.title,
    ))
}
