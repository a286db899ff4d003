//! What is around the panes: header, frames, footer.

use std::time::Duration;

use ratatui::layout::Rect;

use super::paint::{Canvas, Row, Target, fitting, wrapped};
use super::{safe, span};
use crate::console::action::{self, Action};
use crate::console::pane::Pane;
use crate::console::run_view::{RunView, since};
use crate::console::state::{Badge, State};
use crate::health::last_point;
use crate::model::{SafeText, SiteName};
use crate::run::{RunPhase, UnitPhase};
use crate::style::{Mark, Scope};

/// The most of the estate's name that is shown.
const NAME: usize = 20;
/// The most lines of something that is told.
const NOTICE: usize = 3;

/// The scope of a site's own colour.
pub(super) fn site_scope(state: &State, site: &SiteName) -> Scope {
    if state.estate.sites.first().is_some_and(|first| first.name == *site) { Scope::SiteA } else { Scope::SiteB }
}

/// The line with the words for what the screen is about, each with blanks around it in its own look, or without.
pub(super) fn badges(row: Row, state: &State, wide: bool) -> Row {
    state.badges().iter().enumerate().fold(row, |row, (number, badge)| {
        let scope = match badge {
            Badge::Live => Scope::Badge,
            Badge::Drill => Scope::BadgeDrill,
            Badge::Simulated => Scope::BadgeSimulated,
        };
        match (wide, number) {
            (true, _) => row.put(scope, safe(format!(" {} ", badge.word()))),
            (false, 0) => row.put(scope, badge.word()),
            (false, _) => row.plain(" ").put(scope, badge.word()),
        }
    })
}

/// The two lines that every screen has.
pub(super) fn header(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let arrow = if state.settings.ascii { "==>" } else { "══▶" };
    let line = badges(Row::new(), state, true)
        .put(Scope::BadgeReadOnly, if state.read_only { " READ-ONLY " } else { "" })
        .plain(" ");
    let name = line.width();
    let mut line = line.put(Scope::Strong, state.estate.name.clone()).limited(name + NAME).plain("  ");
    line = match &state.direction.direction {
        Some(direction) => line
            .put(site_scope(state, &direction.source), safe(direction.source.as_str().to_uppercase()))
            .plain(" ")
            .put(Scope::Strong, arrow)
            .plain(" ")
            .put(site_scope(state, &direction.target), safe(direction.target.as_str().to_uppercase())),
        None => line.put(Scope::Unknown, "DIRECTION UNKNOWN"),
    };
    if let Some(epoch) = state.direction.epoch {
        line = line.put(Scope::Muted, safe(format!("  epoch {epoch}")));
    }
    let clock = clock(state, area.width);
    let frozen = if state.frozen { " HELD STILL " } else { "" };
    let room = usize::from(area.width).saturating_sub(clock.as_str().len() + frozen.len() + 1);
    line = line.limited(room).to(room).put(Scope::Late, frozen).put(Scope::Header, clock);
    canvas.row(area, &line);
    canvas.row(Rect { y: area.y + 1, height: 1, ..area }, &second_line(state));
}

/// What time it is; in a story its name and its clock, and the time where there is room for both.
fn clock(state: &State, width: u16) -> SafeText {
    let now = super::local(state, state.now);
    let Some(story) = &state.story else {
        // Beside two words for the world the direction needs the room of the date, beside three that of the seconds too.
        let format = match state.badges().len() + usize::from(state.read_only) {
            _ if width >= 80 => "%Y-%m-%d %H:%M:%S %Z",
            1 => "%Y-%m-%d %H:%M:%S %Z",
            2 => "%H:%M:%S %Z",
            _ => "%H:%M %Z",
        };
        return safe(now.strftime(format).to_string());
    };
    let name = fitting(story.briefing.name.as_str(), 24);
    let time = if width < 100 { String::new() } else { now.strftime("  %H:%M:%S %Z").to_string() };
    safe(format!(" {name}  {}{time}", story.clock(state.now)))
}

/// How old the last good copy is, as the standby's tree says, or a run that carried one over since that was looked at.
/// Nothing when neither knows of one.
fn last_copy(state: &State) -> Option<Duration> {
    let direction = state.direction.direction.as_ref();
    let seen = direction.and_then(|direction| last_point(&state.health, &direction.target, state.now));
    let this_way = direction.map(ToString::to_string);
    let carried = state.runs.iter().find(|run| {
        let there = run.point.as_ref().is_some_and(|point| point.arrived);
        there && this_way.as_deref().is_none_or(|this_way| run.direction.as_str() == this_way)
    });
    let carried = carried.filter(|run| seen.is_none_or(|seen| run.began + run.took > seen.seen));
    let carried = carried.map(|run| since(run.began, state.now));
    carried.into_iter().chain(seen.and_then(|seen| seen.age).map(|age| age.0)).min()
}

/// How old the last good copy is, and what the runs do.
fn second_line(state: &State) -> Row {
    let mut line = Row::new().plain(" ");
    line = match last_copy(state) {
        None if !state.runs_read => line.put(Scope::Muted, "reading the runs"),
        None => line.put(Scope::Unknown, "no complete copy known to this machine"),
        Some(age) => {
            let late = state.estate.rpo.is_some_and(|rpo| age > rpo.0);
            let promised = state.estate.rpo.map(|rpo| format!(" of {rpo}")).unwrap_or_default();
            let word = if late { "LATE: " } else { "" };
            line.put(
                if late { Scope::Late } else { Scope::Good },
                safe(format!("{word}last copy {} old{promised}", span(age))),
            )
        }
    };
    let waits = state.waits_elsewhere().filter(|_| !asks(state));
    if let Some(row) = waits {
        line = waiting(line.put(Scope::Muted, "  |  "), state, &row.runbook);
    }
    match &state.run {
        Some(run) => in_sight(line.put(Scope::Muted, "  |  "), state, run),
        None => line,
    }
}

/// True while the run in sight asks something.
fn asks(state: &State) -> bool {
    state.run.as_ref().is_some_and(|run| run.live && run.state.open_prompts().next().is_some())
}

/// That a run which is not in sight waits for a person, and the way to it.
fn waiting(line: Row, state: &State, runbook: &SafeText) -> Row {
    let line = line.put(Scope::Prompt, safe(format!("{runbook} WAITS FOR YOU: ")));
    // A console that only looks does not answer, but it shows the run.
    let (key, hint) = if state.read_only { (Action::Pane5, " lists it") } else { (Action::Answer, " shows it") };
    line.put(Scope::Key, safe(state.settings.keys.hint(key))).put(Scope::Hint, hint)
}

/// What the run in sight does, asks, or how it ended.
fn in_sight(line: Row, state: &State, run: &RunView) -> Row {
    let name = safe(run.state.plan.runbook.as_str());
    if let Some(prompt) = run.state.open_prompts().next().filter(|_| run.live) {
        let key = state.settings.keys.hint(Action::Answer);
        return line
            .put(Scope::Prompt, safe(format!("{name} WAITS FOR YOU: ")))
            .put(Scope::Key, safe(key))
            .put(Scope::Hint, safe(format!(" answers  {}", prompt.message)));
    }
    let running: Vec<String> = run
        .state
        .units
        .iter()
        .filter(|(_, unit)| unit.phase == UnitPhase::Running)
        .map(|(unit, _)| unit.step.step.to_string())
        .collect();
    let took = span(run.took(state.now));
    // One that goes on has its word in the line above.
    let line = if run.is_drill() && run.is_past() { line.put(Scope::BadgeDrill, " DRILL ").plain(" ") } else { line };
    match (&run.state.phase, run.live) {
        _ if run.replay.is_some() => line.put(Scope::Late, safe(format!("REPLAY of {name}"))),
        (RunPhase::Ended(outcome), _) => {
            let scope = match outcome.exit_code() {
                0 => Scope::Good,
                4 => Scope::Unknown,
                _ => Scope::Bad,
            };
            line.put(scope, safe(format!("{name} {} after {took}", outcome.word())))
        }
        (_, false) => line.put(Scope::Unknown, safe(format!("{name} INTERRUPTED after {took}"))),
        (RunPhase::Paused, true) => line.put(Scope::Warn, safe(format!("{name} PAUSED, {took}"))),
        _ => line.put(Scope::Active, safe(format!("{name} runs for {took}: {}", running.join(", ")))),
    }
}

/// The frame of a pane with its number; tabs to the others where only one is shown.
pub(super) fn pane(canvas: &mut Canvas<'_>, state: &State, pane: Pane, area: Rect, single: bool) -> Rect {
    let focus = state.focus == pane;
    let others: &[Pane] = match pane {
        _ if single => &Pane::ALL,
        Pane::Sites | Pane::Log => &[],
        _ => &[Pane::Runbooks, Pane::Run, Pane::Runs, Pane::Points],
    };
    let mut title = Row::new();
    if others.is_empty() {
        title = tab(title, pane, true, focus);
    }
    let mut tabs = Vec::new();
    for other in others {
        let begin = title.width();
        title = tab(title, *other, *other == pane, focus);
        tabs.push((begin..title.width(), *other));
    }
    let inner = canvas.frame(area, &title, if focus { Scope::BorderFocus } else { Scope::Border });
    for (cells, pane) in tabs {
        let x = inner.x.saturating_add(u16::try_from(cells.start).unwrap_or(u16::MAX));
        let width = u16::try_from(cells.len()).unwrap_or(0);
        let place = Rect { x, y: area.y, width, height: 1 }.intersection(area);
        canvas.targets.push((place, Target::Pane(pane)));
    }
    inner
}

fn tab(row: Row, pane: Pane, shown: bool, focus: bool) -> Row {
    let scope = match (shown, focus) {
        (true, true) => Scope::Title,
        (true, false) => Scope::Plain,
        (false, _) => Scope::Muted,
    };
    let (open, close) = if shown { ("[", "]") } else { ("", "") };
    let gap = if row.width() == 0 { "" } else { " " };
    row.put(Scope::Muted, gap)
        .put(scope, open)
        .put(Scope::Key, safe(pane.number().to_string()))
        .plain(" ")
        .put(scope, pane.title())
        .put(scope, close)
}

/// The last line: what is being typed, what is told, or what can be done here.
pub(super) fn footer(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    if let Some(line) = &state.search {
        let row = Row::new()
            .put(Scope::Key, "/")
            .plain(line.shown())
            .put(Scope::Selected, " ")
            .put(Scope::Hint, "  enter keeps it, esc drops it, ! before it inverts");
        canvas.row(area, &row);
        return;
    }
    if let Some(notice) = &state.notice {
        let (scope, mark) = if notice.bad { (Scope::Bad, Mark::Fail) } else { (Scope::Strong, Mark::Note) };
        let head = Row::new().put(scope, canvas.mark(mark)).plain(" ");
        let (indent, width) = (head.width(), usize::from(area.width));
        // What does not fit, a path for one, takes a second and a third line while it is told.
        let pieces = wrapped(notice.text.as_str(), width.saturating_sub(indent).max(1));
        let (first, more) = pieces.split_at(pieces.len().min(NOTICE - 1));
        let last = (!more.is_empty()).then(|| more.concat());
        let rows = first.iter().chain(&last).enumerate().map(|(number, piece)| {
            if number == 0 { head.clone() } else { Row::new().to(indent) }.put(scope, piece.as_str())
        });
        let rows: Vec<Row> = rows.collect();
        let height = u16::try_from(rows.len()).unwrap_or(1).min(area.y + 1);
        let above = Rect { y: area.y + 1 - height, height, ..area };
        canvas.clear(above);
        canvas.rows(above, &rows);
        return;
    }
    let hints: &[Action] = match state.focus {
        Pane::Sites => &[Action::Open, Action::Left, Action::Right, Action::Zoom],
        Pane::Runbooks => &[Action::StartRunbook, Action::PlanRunbook, Action::Open, Action::Search],
        Pane::Run => {
            &[Action::Open, Action::Why, Action::CancelRun, Action::PauseRun, Action::ResumeRun, Action::Replay]
        }
        Pane::Log => {
            &[Action::Follow, Action::Output, Action::Search, Action::NextError, Action::Wrap, Action::AllSteps]
        }
        Pane::Runs => &[Action::Open, Action::Search],
        Pane::Points => &[Action::Open, Action::Search],
    };
    let always = [Action::Help, Action::Palette, Action::NextPane, Action::Quit];
    let mut row = Row::new();
    for action in hints.iter().chain(&always) {
        let key = state.settings.keys.hint(*action);
        // Without a key it is called by its name already.
        let named = state.settings.keys.of(*action).is_empty();
        let name = if named { "" } else { action::of(*action).name };
        if row.width() + key.len() + name.len() + 3 > usize::from(area.width) {
            break;
        }
        row = row.plain(" ").put(Scope::Key, safe(key)).plain(" ").put(Scope::Hint, name).plain(" ");
    }
    canvas.row(area, &row);
}
