//! Pane 4: what steps say, and what they print.

use ratatui::layout::Rect;

use super::paint::{Canvas, Row, cells, fitting, without, wrapped};
use super::{nothing, safe};
use crate::console::action::Action;
use crate::console::log::{LogLine, LogMode, LogSource, Part, Several, Shown};
use crate::console::state::State;
use crate::model::{Counted, Direction, Hue, SafeText, Tint, UnitKey};
use crate::run::{Event, EventKind, PromptAnswer};
use crate::style::Scope;

/// A pane of fewer cells keeps its room for what is said and printed.
const NARROW: u16 = 50;

/// What one event says, in a line.
#[must_use]
pub fn said(event: &Event) -> Shown {
    let (who, text, scope) = words(&event.kind);
    Shown { at: Some(event.at), who, text, scope }
}

fn place(unit: &UnitKey) -> SafeText {
    let place = match (&unit.site, &unit.host) {
        (Some(site), Some(host)) => format!("{}@{site}:{host}", unit.step.step),
        (Some(site), None) => format!("{}@{site}", unit.step.step),
        _ => unit.step.step.to_string(),
    };
    safe(place)
}

fn words(kind: &EventKind) -> (SafeText, SafeText, Scope) {
    let run = || safe("run");
    match kind {
        EventKind::RunCreated { plan, by, .. } => {
            (run(), safe(format!("{} by {}", plan.title, by.name)), Scope::Strong)
        }
        EventKind::SessionStarted { session, pid, by } => {
            (run(), safe(format!("session {session}, process {pid}, by {} ({})", by.name, by.through)), Scope::Muted)
        }
        EventKind::StageStarted { stage } => (safe(stage.as_str()), safe("stage begins"), Scope::Strong),
        EventKind::StageEnded { stage, outcome } => {
            (safe(stage.as_str()), safe(format!("stage {}", outcome.word())), super::run::outcome_mark(outcome).scope())
        }
        EventKind::UnitStarted { unit, attempt, .. } => {
            let text = if *attempt > 1 { format!("begins, attempt {attempt}") } else { "begins".to_owned() };
            (place(unit), safe(text), Scope::Active)
        }
        EventKind::UnitSaid { unit, text, .. } => (place(unit), text.clone(), Scope::Plain),
        EventKind::UnitProgress { unit, .. } | EventKind::JobBegun { unit, .. } => {
            (place(unit), SafeText::default(), Scope::Muted)
        }
        EventKind::UnitEnded { unit, outcome, retry_after, .. } => {
            let mut text = outcome.word().to_owned();
            if let Some(failure) = outcome.failure() {
                text = format!("{text}: {failure}");
            }
            if let crate::model::Outcome::Warned { warnings } = outcome {
                let warnings: Vec<&str> = warnings.iter().map(SafeText::as_str).collect();
                text = format!("{text}: {}", warnings.join("; "));
            }
            if let Some(after) = retry_after {
                text = format!("{text}\nagain in {after}");
            }
            (place(unit), SafeText::block(&text), super::run::outcome_mark(outcome).scope())
        }
        EventKind::PromptOpened { prompt } => {
            (place(&prompt.unit), SafeText::block(&format!("asks: {}", prompt.message)), Scope::Prompt)
        }
        EventKind::PromptAnswered { answer, by, .. } => {
            let text = match answer {
                PromptAnswer::Proceed => "go on".to_owned(),
                PromptAnswer::Decline => "stop".to_owned(),
                PromptAnswer::Retry => "do it again".to_owned(),
                PromptAnswer::Skip { comment } => format!("go on without it: {comment}"),
                PromptAnswer::ItWasDone { comment } => format!("it was done: {comment}"),
            };
            (by.name.clone(), safe(format!("answers: {text}")), Scope::Prompt)
        }
        EventKind::Paused { by } => (run(), safe(format!("paused by {}", by.name)), Scope::Warn),
        EventKind::Continued { by } => (run(), safe(format!("goes on, by {}", by.name)), Scope::Strong),
        EventKind::CancelRequested { reason, by } => {
            let by = by.as_ref().map_or_else(|| safe("a signal"), |by| by.name.clone());
            let how = if reason.stops_running_steps() { "stop now" } else { "stop after the running steps" };
            (run(), safe(format!("asked to {how} by {by}")), Scope::Warn)
        }
        EventKind::UndoStarted { because } => (run(), safe(format!("undoing, because of {because}")), Scope::Warn),
        EventKind::UnitUndone { unit, outcome } => {
            (place(unit), safe(format!("undone: {}", outcome.word())), super::run::outcome_mark(outcome).scope())
        }
        EventKind::RunEnded { outcome } => {
            let scope = match outcome.exit_code() {
                0 => Scope::Good,
                4 => Scope::Unknown,
                _ => Scope::Bad,
            };
            (run(), safe(format!("ended: {}", outcome.word())), scope)
        }
        EventKind::Newer => (run(), safe("an event of a newer version of this program"), Scope::Muted),
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    if area.height == 0 {
        return;
    }
    status(canvas, state, area);
    let Some(run) = &state.run else {
        nothing(canvas, area, "What the steps of a run say and print is shown here.");
        return;
    };
    match state.log.mode {
        LogMode::Said => {
            let mut rows = Vec::new();
            for number in state.log.in_sight() {
                let Some(event) = usize::try_from(*number).ok().and_then(|number| run.seen().get(number)) else {
                    continue;
                };
                lines(state, &said(event), usize::from(area.width), &mut rows);
            }
            if rows.is_empty() {
                nothing(canvas, area, "nothing yet");
                return;
            }
            // What is longer than a line pushes the oldest out of sight while the end is followed.
            let over = rows.len().saturating_sub(usize::from(area.height));
            let skip = if state.log.follow { over } else { 0 };
            let rows: Vec<Row> = rows.into_iter().skip(skip).collect();
            canvas.rows(area, &rows);
        }
        LogMode::Output => output(canvas, state, area),
    }
}

/// The lines of what was said.
fn lines(state: &State, shown: &Shown, width: usize, rows: &mut Vec<Row>) {
    let log = &state.log;
    let narrow = width < usize::from(NARROW);
    let clock = if narrow { "%H:%M" } else { "%H:%M:%S" };
    for (number, text) in shown.text.as_str().lines().enumerate() {
        let mut head = Row::new();
        if log.times {
            let time = shown.at.map(|at| super::local(state, at).strftime(clock).to_string()).unwrap_or_default();
            head = head.put(Scope::Muted, if number == 0 { time.clone() } else { " ".repeat(time.len()) }).plain(" ");
        }
        if log.all {
            let who = match (number, shown.who.as_str().split_once('@')) {
                (0, Some((step, place))) if narrow => {
                    safe(format!("{step}@{}", place.split_once(':').map_or(place, |(_, host)| host)))
                }
                (0, _) => shown.who.clone(),
                _ => SafeText::default(),
            };
            let column = head.width() + if narrow { 13 } else { 22.min(width / 3) };
            head = head.put(Scope::Source, who).limited(column).to(column + 1);
        }
        let room = width.saturating_sub(head.width());
        let text: String = if log.wrap { text.to_owned() } else { without(text, usize::from(log.left)).to_owned() };
        if !log.wrap || cells(&text) <= room {
            rows.push(found(state, head, shown.scope, &text));
            continue;
        }
        let blank = head.width();
        for (part, piece) in wrapped(&text, room).into_iter().enumerate() {
            let start = if part == 0 { head.clone() } else { Row::new().to(blank) };
            rows.push(found(state, start, shown.scope, &piece));
        }
    }
}

/// A line with what was searched for made visible.
fn found(state: &State, row: Row, scope: Scope, text: &str) -> Row {
    let Some(wanted) = state.log.search.as_deref().filter(|wanted| !wanted.is_empty()) else {
        return row.put(scope, text);
    };
    let (mut row, mut rest) = (row, text);
    let lower = wanted.to_lowercase();
    // Only where lower case keeps the length, so that the pieces are those of the text.
    while let Some(at) = rest.to_lowercase().find(&lower).filter(|_| rest.to_lowercase().len() == rest.len()) {
        let (Some(before), Some(hit), Some(after)) =
            (rest.get(..at), rest.get(at..at + lower.len()), rest.get(at + lower.len()..))
        else {
            break;
        };
        row = row.put(scope, before).put(Scope::Match, hit);
        rest = after;
    }
    row.put(scope, rest)
}

/// What stands before a line that was printed: when it came, and by whom where several are shown.
fn head(state: &State, line: &LogLine, width: usize) -> Row {
    let narrow = width < usize::from(NARROW);
    let mut head = Row::new();
    if state.log.times {
        let clock = if narrow { "%H:%M" } else { "%H:%M:%S" };
        let time = line.at.map(|at| super::local(state, at).strftime(clock).to_string()).unwrap_or_default();
        let room = if narrow { 6 } else { 9 };
        head = head.put(Scope::Muted, time).to(room);
    }
    let Some(LogSource::Several(Several { part, .. })) = &state.log.lines.source else { return head };
    let of_step = matches!(part, Part::Step(_));
    let room = match (of_step, narrow) {
        (true, _) => 13,
        (false, true) => 16,
        (false, false) => 30.min(width / 3),
    };
    let (who, scope) = match &line.by {
        Some((unit, attempt)) => {
            let direction = state.run.as_ref().map(|run| &run.state.plan.direction);
            (printer(unit, *attempt, !of_step, room), side(unit, direction))
        }
        None => (String::new(), Scope::Muted),
    };
    let column = head.width() + room;
    head.put(scope, safe(who)).limited(column).to(column + 1)
}

/// The unit and the attempt that printed a line, in so much room. The place is what differs most, and most at its end: the
/// step is cut first.
fn printer(unit: &UnitKey, attempt: u32, with_step: bool, room: usize) -> String {
    let attempt = if attempt > 1 { format!(" #{attempt}") } else { String::new() };
    let step = unit.step.step.as_str();
    let place = match (&unit.site, &unit.host) {
        (Some(site), Some(host)) => format!("{site}:{host}{attempt}"),
        (Some(site), None) => format!("{site}{attempt}"),
        (None, _) => return format!("{step}{attempt}"),
    };
    let whole = if with_step { format!("{step}@{place}") } else { place.clone() };
    let length = place.chars().count();
    if whole.chars().count() <= room {
        whole
    } else if with_step && length + 4 <= room {
        format!("{}…@{place}", fitting(step, room - length - 2))
    } else if length <= room {
        place
    } else {
        let end: String = place.chars().skip(length + 1 - room).collect();
        format!("…{end}")
    }
}

/// How a unit's site looks in a run of this direction.
fn side(unit: &UnitKey, direction: Option<&Direction>) -> Scope {
    match (direction, &unit.site) {
        (Some(direction), Some(site)) if *site == direction.source => Scope::Source,
        (Some(direction), Some(site)) if *site == direction.target => Scope::Target,
        _ => Scope::Muted,
    }
}

/// Who prints what a source includes, in words.
fn printers(source: &LogSource) -> String {
    match source {
        LogSource::One(file) if file.attempt > 1 => format!("{}, attempt {}", place(&file.unit), file.attempt),
        LogSource::One(file) => place(&file.unit).to_string(),
        LogSource::Several(Several { part, host, .. }) => {
            let host = host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            match part {
                Part::All => format!("all{host}"),
                Part::Stage(stage) => format!("stage {stage}{host}"),
                Part::Step(step) => format!("{}{host}", step.step),
            }
        }
    }
}

/// A piece of a printed line, which begins at this byte of it, in the looks that its program asked for. Where something is
/// searched for, what was found is all that stands out.
fn tinted(state: &State, mut row: Row, line: &LogLine, at: usize, piece: &str) -> Row {
    let searched = state.log.search.as_deref().is_some_and(|wanted| !wanted.is_empty());
    if searched || line.tints.is_empty() {
        return found(state, row, Scope::Plain, piece);
    }
    let before = line.tints.partition_point(|(place, _)| *place <= at);
    let mut scope = before.checked_sub(1).map_or(Scope::Plain, |last| look(line.tints[last].1));
    let mut taken = 0;
    for (place, tint) in &line.tints[before..] {
        let Some(part) = piece.get(taken..*place - at) else { break };
        row = row.put(scope, part);
        (scope, taken) = (look(*tint), *place - at);
    }
    row.put(scope, &piece[taken..])
}

/// What a program's own colours look like: as what they mean nearly everywhere does, in this theme.
fn look(tint: Tint) -> Scope {
    match tint.hue {
        Some(Hue::Red) => Scope::Bad,
        Some(Hue::Green) => Scope::Good,
        Some(Hue::Yellow) => Scope::Warn,
        Some(Hue::Blue | Hue::Cyan) => Scope::Active,
        Some(Hue::Magenta) => Scope::Title,
        None if tint.bold || tint.underlined => Scope::Strong,
        None if tint.dim => Scope::Muted,
        None => Scope::Plain,
    }
}

fn output(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let log = &state.log;
    if let Some(trouble) = &log.lines.trouble {
        nothing(canvas, area, trouble.as_str());
        return;
    }
    if log.lines.lines.is_empty() && log.lines.bytes > 0 {
        nothing(canvas, area, "The last line is so long that its beginning is still being looked for.");
        return;
    }
    if log.lines.lines.is_empty() {
        let by = log.asked().map_or_else(String::new, |source| format!(" by {}", printers(source)));
        let yet = if state.run.as_ref().is_some_and(crate::console::RunView::goes_on) { " yet" } else { "" };
        let [step, host, said] =
            [Action::AllSteps, Action::HostFilter, Action::Output].map(|action| state.key_of(action));
        let text = format!(
            "Printed{by}: nothing{yet}. Pane 3, {step} and {host} choose what is shown; {said} shows what steps say."
        );
        nothing(canvas, area, &text);
        return;
    }
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let of_line = |line: &LogLine| -> Vec<Row> {
        let head = head(state, line, width);
        let (text, blank) = (line.text.as_str(), head.width());
        let room = width.saturating_sub(blank);
        if !log.wrap {
            let in_sight = without(text, usize::from(log.left));
            return vec![tinted(state, head, line, text.len() - in_sight.len(), fitting(in_sight, room + 1))];
        }
        let pieces = wrapped(text, room).into_iter().enumerate();
        let start = |part| if part == 0 { head.clone() } else { Row::new().to(blank) };
        let mut at = 0;
        let of_piece = |(part, piece): (usize, String)| {
            // Blanks at the cuts are dropped, and others stand in front.
            let words = piece.trim_start();
            let row = if part == 0 { start(0) } else { start(part).plain(&piece[..piece.len() - words.len()]) };
            let piece = if part == 0 { piece.as_str() } else { words };
            at += text[at..].find(piece).unwrap_or(0);
            let row = tinted(state, row, line, at, piece);
            at += piece.len();
            row
        };
        pieces.map(of_piece).collect()
    };
    // Only lines that come into sight are worked on: from the end while it is followed, otherwise from the top.
    let mut rows = Vec::new();
    if log.follow {
        for line in log.lines.lines.iter().rev() {
            let mut more = of_line(line);
            more.append(&mut rows);
            rows = more;
            if rows.len() >= height {
                break;
            }
        }
        rows.drain(..rows.len().saturating_sub(height));
    } else {
        for line in &log.lines.lines {
            rows.extend(of_line(line));
            if rows.len() >= height {
                break;
            }
        }
    }
    canvas.rows(area, &rows);
}

/// What the pane shows of what, on its lower edge.
fn status(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let log = &state.log;
    let what = match log.mode {
        LogMode::Said if log.all => "said by all".to_owned(),
        LogMode::Said => match log.said_by() {
            Part::All => "said".to_owned(),
            Part::Stage(stage) => format!("said by stage {stage}"),
            Part::Step(step) => format!("said by {}", step.step),
        },
        LogMode::Output => match log.asked() {
            Some(source) => format!("printed by {}", printers(source)),
            None => "printed".to_owned(),
        },
    };
    // Who prints is told with the host.
    let host = log.host.as_ref().filter(|_| log.mode == LogMode::Said);
    let host = host.map(|host| format!(" on {host}")).unwrap_or_default();
    let more = log.mode == LogMode::Output && !log.lines.counted;
    let total =
        if more { format!("{}+ lines", log.total()) } else { Counted(log.total(), "line", "lines").to_string() };
    let (scope, follow) = match (log.follow, log.unseen) {
        (true, _) => (Scope::Muted, "follows".to_owned()),
        (false, 0) => (Scope::Warn, "stands still".to_owned()),
        (false, unseen) => {
            let key = state.key_of(Action::Follow);
            let new = Counted(unseen, "new line", "new lines");
            let new = if area.width < NARROW { format!("{unseen} new") } else { new.to_string() };
            (Scope::Warn, format!("{new}, {key} follows"))
        }
    };
    let count = format!("{total}, ");
    // However long a name is: whether more has come is in sight.
    let room = usize::from(area.width).saturating_sub(cells(&count) + cells(&follow) + 3);
    let row = match room {
        0..3 => Row::new().plain(" "),
        _ => Row::new().put(Scope::Muted, safe(format!(" {what}{host}"))).limited(room).put(Scope::Muted, ", "),
    };
    let row = row.put(Scope::Muted, safe(count)).put(scope, follow).plain(" ");
    let width = u16::try_from(row.width()).unwrap_or(area.width).min(area.width);
    canvas.row(Rect { x: area.right() - width, y: area.bottom(), width, height: 1 }, &row);
}

/// The lines in sight, to be copied.
#[must_use]
pub fn log_text(state: &State) -> SafeText {
    match state.log.mode {
        LogMode::Said => written(state, state.log.in_sight()),
        LogMode::Output => {
            let several = matches!(state.log.lines.source, Some(LogSource::Several(_)));
            let copied = |line: &LogLine| match &line.by {
                Some((unit, attempt)) if several => {
                    let at = line.at.map_or_else(|| "-".to_owned(), |at| super::moment(state, at));
                    format!("{at}  {}  {}", printer(unit, *attempt, true, usize::MAX), line.text)
                }
                _ => line.text.to_string(),
            };
            let lines: Vec<String> = state.log.lines.lines.iter().map(copied).collect();
            SafeText::block(&lines.join("\n"))
        }
    }
}

/// All that was said and passes the filter, to be written to a file.
#[must_use]
pub fn whole_log(state: &State) -> SafeText {
    written(state, state.log.said())
}

fn written(state: &State, numbers: &[u32]) -> SafeText {
    let Some(run) = &state.run else { return SafeText::default() };
    let events = numbers.iter().filter_map(|number| run.seen().get(usize::try_from(*number).ok()?));
    let lines: Vec<String> = events
        .map(|event| {
            let shown = said(event);
            format!("{}  {}  {}", super::moment(state, event.at), shown.who, shown.text)
        })
        .collect();
    SafeText::block(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample;

    #[test]
    fn the_place_of_a_line_is_told_before_its_step() {
        for (unit, attempt, with_step, room, told) in [
            ("restore/restart@bcp:app1", 1, true, 16, "restart@bcp:app1"),
            ("restore/restart@bcp:app1", 2, true, 16, "res…@bcp:app1 #2"),
            ("restore/restart@bcp:app1", 2, true, 15, "re…@bcp:app1 #2"),
            ("restore/restart@bcp:app1", 1, false, 13, "bcp:app1"),
            ("restore/restart@bcp:search-node-01", 1, true, 20, "bcp:search-node-01"),
            ("restore/restart@bcp:search-node-01", 1, false, 13, "…arch-node-01"),
            ("restore/note", 3, false, 13, "note #3"),
        ] {
            assert_eq!(printer(&sample::unit(unit), attempt, with_step, room), told);
        }
    }
}
