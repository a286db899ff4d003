//! The picture of a state. Pure: a state in, cells out; nothing is remembered between two pictures.

mod answers;
mod brief;
mod dialogs;
mod frame;
mod log;
mod paint;
mod points;
mod run;
mod runbooks;
mod runs;
mod sites;
mod small;
mod tour;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::action::Action;
use super::pane::Pane;
use super::state::{Choice, State};
use crate::health::Verdict;
use crate::model::SafeText;
use crate::style::{Mark, Scope};
use paint::{Canvas, Row};

pub use paint::Target;

pub use log::{log_text, said, whole_log};
pub use points::point_text;
pub use sites::detail_text;

/// The least that one pane needs.
const LEAST: (u16, u16) = (60, 15);
/// The least that several panes need.
const SEVERAL: (u16, u16) = (80, 24);
/// The least width at which a list of runs or points has its columns beside the log.
const BESIDE: u16 = 120;

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    header: Rect,
    panes: Vec<(Pane, Rect)>,
    /// The line of the guided tour, when there is one.
    hint: Option<Rect>,
    footer: Rect,
    /// True when only one pane is shown, with tabs to the others.
    single: bool,
}

fn layout(state: &State, area: Rect) -> Layout {
    let header = Rect { height: 2.min(area.height), ..area };
    let footer = Rect { y: area.bottom().saturating_sub(1), height: 1.min(area.height), ..area };
    let hint = state.tour.as_ref().map(|_| Rect { y: footer.y.saturating_sub(1), height: 1, ..area });
    let around = if hint.is_some() { 4 } else { 3 };
    let body = Rect { y: area.y + header.height, height: area.height.saturating_sub(around), ..area };
    if state.zoom || state.detail.is_some() || area.width < SEVERAL.0 || area.height < SEVERAL.1 {
        return Layout { header, hint, footer, panes: vec![(state.focus, body)], single: true };
    }
    let rows = (0..state.estate.sites.len()).map(|site| state.subjects(site).len()).max().unwrap_or(0);
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(4);
    let sites = Rect { height: wanted.clamp(7, (body.height * 9 / 20).max(7)), ..body };
    let below = Rect { y: body.y + sites.height, height: body.height - sites.height, ..body };
    if area.width < BESIDE && state.focus == state.tab && matches!(state.tab, Pane::Runs | Pane::Points) {
        // Their columns need the whole width, and a log beside them would be that of another run.
        return Layout { header, hint, footer, panes: vec![(Pane::Sites, sites), (state.tab, below)], single: false };
    }
    let left = Rect { width: (below.width * 9 / 20).clamp(38, 90), ..below };
    let right = Rect { x: below.x + left.width, width: below.width - left.width, ..below };
    let panes = vec![(Pane::Sites, sites), (state.tab, left), (Pane::Log, right)];
    Layout { header, hint, footer, panes, single: false }
}

/// True when a pane and its questions fit: below that nobody sees what keys do.
#[must_use]
pub fn shows(width: u16, height: u16) -> bool {
    width >= LEAST.0 && height >= LEAST.1
}

fn canvas<'a>(state: &'a State, cells: &'a mut Buffer) -> Canvas<'a> {
    Canvas { cells, settings: &state.settings, heavy: state.is_drill(), end: 0, targets: Vec::new() }
}

/// Draws the whole screen.
pub fn draw(state: &State, area: Rect, cells: &mut Buffer) {
    draw_on(&mut canvas(state, cells), state, area);
}

/// The first line of the text that is scrolled, a dialog or a detail, once its last line is in sight.
#[must_use]
pub fn end(state: &State) -> u16 {
    let area = screen(state);
    let mut cells = Buffer::empty(area);
    let mut canvas = canvas(state, &mut cells);
    if state.dialog.is_some() {
        dialogs::draw(&mut canvas, state, above_tour(area, &layout(state, area)));
    } else {
        draw_on(&mut canvas, state, area);
    }
    u16::try_from(canvas.end).unwrap_or(u16::MAX)
}

/// Where dialogs are: a question must not hide what the tour says of it.
fn above_tour(area: Rect, layout: &Layout) -> Rect {
    layout.hint.map_or(area, |hint| Rect { height: hint.y.saturating_sub(area.y) + 1, ..area })
}

fn draw_on(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    canvas.clear(area);
    if !shows(area.width, area.height) {
        small::draw(canvas, state, area);
        return;
    }
    let layout = layout(state, area);
    frame::header(canvas, state, layout.header);
    for (pane, area) in &layout.panes {
        let inner = frame::pane(canvas, state, *pane, *area, layout.single);
        match pane {
            Pane::Sites => sites::draw(canvas, state, inner),
            Pane::Runbooks => runbooks::draw(canvas, state, inner),
            Pane::Run => run::draw(canvas, state, inner),
            Pane::Log => log::draw(canvas, state, inner),
            Pane::Runs => runs::draw(canvas, state, inner),
            Pane::Points => points::draw(canvas, state, inner),
        }
    }
    frame::footer(canvas, state, layout.footer);
    if let (Some(tour), Some(hint)) = (&state.tour, layout.hint) {
        tour::draw(canvas, state, tour, hint);
    }
    dialogs::draw(canvas, state, above_tour(area, &layout));
}

/// What is on the screen, as an SVG text.
#[must_use]
pub fn picture(state: &State) -> String {
    let area = screen(state);
    let mut cells = Buffer::empty(area);
    draw(state, area, &mut cells);
    let title = format!("{} {}: pane {}", state.badge_words(), state.estate.name, state.focus.title());
    super::picture::svg(&cells, &safe(title))
}

fn screen(state: &State) -> Rect {
    Rect { x: 0, y: 0, width: state.size.0, height: state.size.1 }
}

/// How many lines of the log are in sight.
#[must_use]
pub fn log_height(state: &State) -> u16 {
    let layout = layout(state, screen(state));
    let log = layout.panes.iter().find(|(pane, _)| *pane == Pane::Log).or(layout.panes.last());
    log.map_or(1, |(_, area)| area.height.saturating_sub(2)).max(1)
}

/// What a click on a cell means.
#[must_use]
pub fn hit(state: &State, column: u16, row: u16) -> Option<Target> {
    let area = screen(state);
    let at = ratatui::layout::Position { x: column, y: row };
    let layout = layout(state, area);
    let mut cells = Buffer::empty(area);
    let mut canvas = canvas(state, &mut cells);
    let over = state.dialog.is_some() || state.palette.is_some();
    if over {
        dialogs::draw(&mut canvas, state, above_tour(area, &layout));
    } else {
        draw_on(&mut canvas, state, area);
    }
    let target = canvas.targets.iter().rev().find(|(place, _)| place.contains(at)).map(|(_, target)| *target);
    if over || target.is_some() {
        return target;
    }
    let (pane, area) = layout.panes.iter().find(|(_, area)| area.contains(at))?;
    let line = row.checked_sub(area.y + 1).and_then(|line| line_at(state, *pane, *area, usize::from(line)));
    Some(line.map_or(Target::Pane(*pane), |line| Target::Line(*pane, line)))
}

/// The line of a pane's list that is drawn on this line of the pane.
fn line_at(state: &State, pane: Pane, area: Rect, line: usize) -> Option<usize> {
    let inner = Rect { width: area.width.saturating_sub(2), height: area.height.saturating_sub(2), ..area };
    // Above a list are its head, and its filter when there is one; below it may be what its columns leave out.
    let listed = |choice: &Choice, head: u16, below: u16| {
        let above = head + u16::from(choice.filter.is_some());
        let line = line.checked_sub(usize::from(above))?;
        let height = inner.height.saturating_sub(above + below);
        (line < usize::from(height)).then(|| first(choice.selected, height) + line)
    };
    match pane {
        Pane::Runbooks => listed(&state.runbook, 0, 0),
        Pane::Run => run::line_at(state, line, area.height),
        Pane::Runs => listed(&state.past, 1, runs::below(state, inner)),
        Pane::Points => listed(&state.point, 1, points::below(state, inner)),
        Pane::Sites | Pane::Log => None,
    }
}

/// The first line in sight of a list whose selected line must be.
fn first(selected: usize, height: u16) -> usize {
    (selected + 1).saturating_sub(usize::from(height))
}

/// The mark of a verdict.
fn verdict_mark(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Up => Mark::Ok,
        Verdict::Degraded => Mark::Warn,
        Verdict::Down => Mark::Fail,
        Verdict::Unknown => Mark::Unknown,
    }
}

/// The word of a verdict.
#[must_use]
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Up => "up",
        Verdict::Degraded => "degraded",
        Verdict::Down => "DOWN",
        Verdict::Unknown => "UNKNOWN",
    }
}

/// A moment in the time zone of this screen.
fn local(state: &State, at: jiff::Timestamp) -> jiff::Zoned {
    at.to_zoned(state.settings.zone.clone())
}

/// A moment in the time zone of this screen, in words that name the zone: for what leaves the screen, and where nothing
/// beside it says which one it is.
fn moment(state: &State, at: jiff::Timestamp) -> String {
    local(state, at).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A number of bytes as people read it.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn size(bytes: u64) -> String {
    sites::bytes(bytes as f64)
}

/// A length of time as people say it.
fn span(duration: std::time::Duration) -> String {
    let whole = std::time::Duration::from_secs(duration.as_secs());
    crate::model::Span(whole).to_string()
}

/// A list under a head, one line of it selected.
fn list(canvas: &mut Canvas<'_>, area: Rect, head: Option<&Row>, rows: Vec<Row>, selected: usize, focus: bool) {
    let mut body = area;
    if let Some(head) = head {
        canvas.row(area, head);
        body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    }
    let first = first(selected, body.height);
    let rows =
        rows.into_iter().enumerate().skip(first).map(|(number, row)| {
            if number == selected && focus { row.filled(crate::style::Scope::Selected) } else { row }
        });
    let rows: Vec<Row> = rows.take(usize::from(body.height)).collect();
    canvas.rows(body, &rows);
}

/// Says which filter hides lines of a list, and how many are left. Returns what is below it for the list.
fn filtered(canvas: &mut Canvas<'_>, state: &State, choice: &Choice, area: Rect, shown: usize, all: usize) -> Rect {
    let Some(filter) = &choice.filter else { return area };
    let key = state.settings.keys.hint(Action::Back);
    let rest = format!(", {shown} of {all}, {key} drops it");
    // What is typed may be long; how much it leaves is in sight whatever its length.
    let room = usize::from(area.width).saturating_sub(rest.len());
    let row = Row::new().put(Scope::Late, " filter: ").put(Scope::Strong, safe(filter)).limited(room);
    canvas.row(area, &row.put(Scope::Late, safe(rest)));
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

/// What is shown where nothing is yet.
fn nothing(canvas: &mut Canvas<'_>, area: Rect, text: &str) {
    let rows: Vec<Row> = paint::wrapped(text, usize::from(area.width).saturating_sub(2))
        .into_iter()
        .map(|line| Row::new().plain(" ").put(crate::style::Scope::Muted, line))
        .collect();
    canvas.rows(area, &rows);
}

/// Text that was made here and has no text from outside in it, or only such as is safe already.
fn safe(text: impl AsRef<str>) -> SafeText {
    SafeText::line(text.as_ref())
}
