//! Pane 1: both sites side by side, and one service, host or tree looked at closely.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::frame::site_scope;
use super::paint::{Canvas, Row, Target, cells};
use super::{nothing, safe, span, verdict_mark, verdict_word};
use crate::console::action::Action;
use crate::console::facts::SiteFacts;
use crate::console::pane::Pane;
use crate::console::run_view::since;
use crate::console::state::State;
use crate::estate::Objectives;
use crate::health::{Figure, ProbeHealth, ProbeKey, Subject, Unit, Verdict};
use crate::model::{SafeText, SiteName};
use crate::style::Scope;

/// How far back the figures of a line of the list go at most.
const SPARK: Duration = Duration::from_mins(10);
/// The cells that are kept for the age of an answer.
const AGE: usize = 6;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    if let Some((site, subject)) = &state.detail {
        detail(canvas, state, site, subject, area);
        return;
    }
    if state.estate.sites.is_empty() || area.height < 3 {
        nothing(canvas, area, "no sites");
        return;
    }
    let half = area.width / 2;
    for (number, site) in state.estate.sites.iter().take(2).enumerate() {
        let x = if number == 0 { area.x } else { area.x + half + 1 };
        let width = if number == 0 { half.saturating_sub(1) } else { area.right().saturating_sub(x) };
        one(canvas, state, number, site, Rect { x, width, height: area.height - 1, ..area });
    }
    let line = pair(canvas, state);
    canvas.row(Rect { y: area.bottom() - 1, height: 1, ..area }, &line);
}

fn one(canvas: &mut Canvas<'_>, state: &State, number: usize, site: &SiteFacts, area: Rect) {
    let verdict = state.health.site(&site.name, state.now);
    let role = state
        .direction
        .direction
        .as_ref()
        .map_or("?", |direction| if direction.source == site.name { "active" } else { "standby" });
    let head = Row::new()
        .put(site_scope(state, &site.name), safe(format!("{} ", site.name.as_str().to_uppercase())))
        .put(Scope::Strong, safe(format!("{role} ")))
        .put(
            verdict_mark(verdict).scope(),
            safe(format!("{} {}", canvas.mark(verdict_mark(verdict)), verdict_word(verdict))),
        )
        .plain("  ")
        .put(Scope::Muted, site.title.clone());
    canvas.row(area, &head);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let subjects = state.health.subjects(&site.name, state.now);
    if subjects.is_empty() {
        nothing(canvas, body, "not asked yet");
        return;
    }
    let name_width = subjects.iter().map(|(subject, _)| subject.to_string().len()).max().unwrap_or(0).clamp(4, 14);
    let selected = state.at_site;
    // What does not fit is at least counted, with the worst of it.
    let fits = subjects.len() <= usize::from(body.height);
    let height = if fits { body.height } else { body.height.saturating_sub(1) };
    let first = if selected.0 == number { super::first(selected.1, height) } else { 0 };
    let mut rows = Vec::new();
    for (line, (subject, verdict)) in subjects.iter().enumerate().skip(first).take(usize::from(height)) {
        let row = subject_row(canvas, state, site, subject, *verdict, name_width, usize::from(body.width));
        let chosen = state.focus == Pane::Sites && selected == (number, line);
        let row = row.means(Target::Subject(number, line));
        rows.push(if chosen { row.filled(Scope::Selected) } else { row });
    }
    if !fits {
        let in_sight = first..first + usize::from(height);
        let hidden =
            subjects.iter().enumerate().filter(|(line, _)| !in_sight.contains(line)).map(|(_, hidden)| *hidden);
        rows.push(hidden_row(&hidden.collect::<Vec<_>>()));
    }
    canvas.rows(body, &rows);
}

/// What there is no room for: how many, the worst of them by name, and how many others are not well.
fn hidden_row(hidden: &[(&Subject, Verdict)]) -> Row {
    let row = Row::new().put(Scope::Muted, safe(format!("  {} more, ", hidden.len())));
    let worst = hidden.iter().rev().max_by_key(|(_, verdict)| *verdict);
    let Some((subject, verdict)) = worst.filter(|(_, verdict)| *verdict != Verdict::Up) else {
        return row.put(Scope::Muted, "all of them up");
    };
    let row = row.put(verdict_mark(*verdict).scope(), safe(format!("{subject} {}", verdict_word(*verdict))));
    match hidden.iter().filter(|(_, verdict)| *verdict != Verdict::Up).count() {
        1 => row,
        count => row.put(Scope::Warn, safe(format!(", {} more not up", count - 1))),
    }
}

/// The probes of a subject, the one that says the worst first.
fn probes<'s>(state: &'s State, site: &'s SiteName, subject: &'s Subject) -> Vec<(&'s ProbeKey, &'s ProbeHealth)> {
    let mut probes: Vec<_> = state.health.of(site, subject).collect();
    probes.sort_by_key(|(_, probe)| std::cmp::Reverse(probe.verdict(state.now)));
    probes
}

fn subject_row(
    canvas: &Canvas<'_>,
    state: &State,
    site: &SiteFacts,
    subject: &Subject,
    verdict: Verdict,
    name_width: usize,
    width: usize,
) -> Row {
    let mark = verdict_mark(verdict);
    let mut row = Row::new()
        .put(mark.scope(), canvas.mark(mark))
        .plain(" ")
        .put(Scope::Plain, safe(subject.to_string()))
        .limited(name_width + canvas.mark(mark).chars().count() + 1)
        .to(name_width + canvas.mark(mark).chars().count() + 2);
    let probes = probes(state, &site.name, subject);
    let Some((_, probe)) = probes.first() else { return row };
    let stale = probe.is_stale(state.now);
    let age = match probe.read_at {
        None => "never".to_owned(),
        Some(at) if stale => format!("STALE {}", age(at, state.now)),
        Some(at) => age(at, state.now),
    };
    let says = match (verdict, probe.reasons(state.now).into_iter().next(), &probe.reading) {
        (Verdict::Up, _, Some(reading)) => reading.summary.clone(),
        (_, Some(reason), _) => reason,
        (_, None, Some(reading)) => reading.summary.clone(),
        (_, None, None) => safe("nothing is known"),
    };
    let says = if state.settings.privacy { hidden(&says) } else { says };
    let scope = match verdict {
        _ if stale => Scope::Stale,
        Verdict::Up => Scope::Plain,
        _ => mark.scope(),
    };
    let says = says.as_str().lines().next().unwrap_or_default();
    let column = row.width();
    let room = width.saturating_sub(column + 1 + age.len().max(AGE));
    // Why something is not up is worth more than its figures.
    let kept = if verdict == Verdict::Up { spark_room(width) } else { 0 };
    let text = cells(says).min(room.saturating_sub(kept));
    let spark = spark(probe, state.now, room.saturating_sub(text + 1), state.settings.ascii);
    let spark_column = width.saturating_sub(1 + age.len().max(AGE) + cells(spark.as_str()));
    row = row.put(scope, safe(says)).limited(column + text).to(spark_column).put(Scope::Gauge, spark);
    let column = width.saturating_sub(age.len());
    row.to(column).put(if stale { Scope::Stale } else { Scope::Muted }, safe(age))
}

/// The room that is kept for the figures of what is up, however much it says of itself.
fn spark_room(width: usize) -> usize {
    if width >= 56 { 13 } else { 7 }
}

/// Addresses made unreadable, for a screen that others see.
fn hidden(text: &SafeText) -> SafeText {
    safe(text.as_str().chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect::<String>())
}

fn age(at: Timestamp, now: Timestamp) -> String {
    span(since(at, now))
}

/// The first figure over the last minutes, the newest answer last, one cell for each look: `?` for one that saw nothing,
/// which is no zero. As many as there is room for, and none that is older than [`SPARK`].
fn spark(probe: &ProbeHealth, now: Timestamp, room: usize, ascii: bool) -> SafeText {
    let steps: [char; 8] = if ascii {
        ['_', '.', ':', '-', '=', '+', '*', '#']
    } else {
        ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let looks = probe.history.iter().rev().take_while(|(at, _)| since(*at, now) <= SPARK).take(room);
    let mut values: Vec<Option<f64>> = looks.map(|(_, value)| value.filter(|value| value.is_finite())).collect();
    values.reverse();
    let known = values.iter().flatten().copied();
    let (least, most) = (known.clone().fold(f64::INFINITY, f64::min), known.fold(f64::NEG_INFINITY, f64::max));
    let shown = values.iter().map(|value| match value {
        None => '?',
        Some(value) if most > least => {
            let share = (value - least) / (most - least);
            let (mut floor, mut index) = (1.0, 0);
            while share * 7.0 >= floor && index < 7 {
                floor += 1.0;
                index += 1;
            }
            steps[index]
        }
        Some(_) => steps[3],
    });
    safe(shown.collect::<String>())
}

/// What the pair can do now, in words.
fn pair(canvas: &Canvas<'_>, state: &State) -> Row {
    let row = Row::new().plain(" ");
    let Some(direction) = &state.direction.direction else {
        let why = state.direction.trouble.clone().unwrap_or_else(|| safe("the sites have not been asked yet"));
        return row.put(Scope::Unknown, "NO DIRECTION").plain("  ").put(Scope::Plain, why);
    };
    let mut row = row;
    let source = state.health.site(&direction.source, state.now);
    if source >= Verdict::Unknown {
        let text = format!("{} is {}  ", direction.source.as_str().to_uppercase(), verdict_word(source));
        row = row.put(verdict_mark(source).scope(), safe(text));
    }
    let objectives = Objectives { rpo: state.estate.rpo, ..Objectives::default() };
    let (verdict, words) = crate::health::takeover(&state.health, direction, state.now, &objectives);
    let mark = verdict_mark(verdict);
    row = row.put(mark.scope(), canvas.mark(mark)).plain(" ").put(mark.scope(), words);
    // A site that is silent says nothing of the direction either. Whether the other one can take over matters more then.
    match &state.direction.trouble {
        Some(trouble) => row.plain("  ").put(Scope::Warn, trouble.clone()),
        None => row,
    }
}

/// Everything that is known of a service, host or tree, as text.
#[must_use]
pub fn detail_text(state: &State, site: &SiteName, subject: &Subject) -> SafeText {
    let mut lines = Vec::new();
    for (key, probe) in probes(state, site, subject) {
        let verdict = probe.verdict(state.now);
        let since_when = probe.since.map(|at| format!(" since {}", super::moment(state, at))).unwrap_or_default();
        lines.push(format!("{} {}: {}{since_when}", site, key.question, verdict_word(verdict)));
        if let Some(failure) = &probe.failure {
            lines.extend(failure.to_string().lines().map(|line| format!("  ! {line}")));
        } else {
            lines.extend(probe.reasons(state.now).iter().map(|reason| format!("  ! {reason}")));
        }
        let at = probe.read_at.map_or_else(
            || "never".to_owned(),
            |at| format!("{} ago, at {}", age(at, state.now), super::moment(state, at)),
        );
        let stale = if probe.is_stale(state.now) { " STALE" } else { "" };
        lines.push(format!("  last answer {at}{stale}, asked every {}", span(probe.interval)));
        if let Some(reading) = &probe.reading {
            lines.push(format!("  it said: {}", reading.summary));
            lines.push(format!("  from {}", reading.source));
        }
        if let Some(reading) = &probe.reading {
            lines.extend(reading.figures.iter().map(|figure| format!("  {:<28} {}", figure.name, amount(figure))));
        }
        lines.push(String::new());
    }
    for (key, probe) in probes(state, site, subject) {
        if !probe.transcript.as_str().is_empty() {
            lines.push(format!("{}, asked and answered:", key.question));
            lines.extend(probe.transcript.as_str().lines().map(|line| format!("  {line}")));
            lines.push(String::new());
        }
    }
    SafeText::block(&lines.join("\n"))
}

fn amount(figure: &Figure) -> String {
    let whole = figure.value.round();
    match figure.unit {
        Unit::Count => format!("{whole}"),
        Unit::Bytes => bytes(figure.value),
        Unit::Percent => format!("{:.1} %", figure.value),
        Unit::Seconds => span(Duration::try_from_secs_f64(figure.value).unwrap_or_default()),
        Unit::Ratio => format!("{:.2}", figure.value),
    }
}

/// A number of bytes as people read it.
pub(super) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn detail(canvas: &mut Canvas<'_>, state: &State, site: &SiteName, subject: &Subject, area: Rect) {
    let (back, copy) = (state.key_of(Action::Back), state.key_of(Action::Copy));
    let head = Row::new()
        .put(site_scope(state, site), safe(site.as_str().to_uppercase()))
        .plain(" ")
        .put(Scope::Title, safe(subject.to_string()))
        .put(Scope::Hint, safe(format!("  {back} goes back, {copy} copies")));
    canvas.row(area, &head);
    let graph_height = if area.height > 14 { 6 } else { 0 };
    let graph_area = Rect { y: area.y + 1, height: graph_height, ..area };
    if let Some((key, probe)) = probes(state, site, subject)
        .into_iter()
        .find(|(_, probe)| probe.history.iter().any(|(_, value)| value.is_some()))
    {
        graph(canvas, state, key, probe, graph_area);
    }
    let body = Rect { y: area.y + 1 + graph_height, height: area.height.saturating_sub(1 + graph_height), ..area };
    let text = detail_text(state, site, subject);
    let lines: Vec<String> = super::paint::wrapped(text.as_str(), usize::from(body.width));
    canvas.end = lines.len().saturating_sub(usize::from(body.height));
    let first = usize::from(state.detail_top).min(canvas.end);
    let rows: Vec<Row> = lines
        .into_iter()
        .skip(first)
        .map(|line| {
            let scope = match line.trim_start() {
                text if text.starts_with('!') => Scope::Warn,
                _ if line.contains(": DOWN") => Scope::Bad,
                _ if line.contains(": UNKNOWN") => Scope::Unknown,
                _ => Scope::Plain,
            };
            Row::new().put(scope, line)
        })
        .collect();
    canvas.rows(body, &rows);
}

/// A part of a whole, both small.
fn share(part: usize, whole: usize) -> f64 {
    f64::from(u16::try_from(part).unwrap_or(u16::MAX)) / f64::from(u16::try_from(whole).unwrap_or(u16::MAX))
}

/// The first figure over time, in columns.
fn graph(canvas: &mut Canvas<'_>, state: &State, key: &ProbeKey, probe: &ProbeHealth, area: Rect) {
    if area.height < 3 || area.width < 20 {
        return;
    }
    let name = probe.reading.as_ref().and_then(|reading| reading.figures.first());
    let width = usize::from(area.width) - 14;
    let looks: Vec<_> = probe.history.iter().rev().take(width).collect();
    let from = looks.last().map_or(state.now, |(at, _)| *at);
    let values: Vec<Option<f64>> =
        looks.into_iter().rev().map(|(_, value)| value.filter(|value| value.is_finite())).collect();
    let most = values.iter().flatten().copied().fold(0.0_f64, f64::max).max(f64::MIN_POSITIVE);
    let unit = name.map_or(Unit::Count, |figure| figure.unit);
    let label = |value: f64| amount(&Figure { name: SafeText::default(), value, unit });
    let levels = usize::from(area.height) - 1;
    let (full, hole) = if state.settings.ascii { ("#", "?") } else { ("█", "?") };
    let mut rows = Vec::new();
    for level in (0..levels).rev() {
        let floor = most * share(level, levels);
        let left = if level + 1 == levels {
            label(most)
        } else if level == 0 {
            label(0.0)
        } else {
            String::new()
        };
        let mut row = Row::new().put(Scope::Muted, safe(format!("{left:>12} ")));
        let drawn: String = values
            .iter()
            .map(|value| match value {
                None if level == 0 => hole,
                Some(value) if *value > floor || (level == 0 && *value > 0.0) => full,
                _ => " ",
            })
            .collect();
        row = row.put(Scope::Gauge, drawn);
        rows.push(row);
    }
    let title = name.map_or_else(SafeText::default, |figure| figure.name.clone());
    let spanned = age(from, state.now);
    let lines = span(SPARK);
    rows.push(Row::new().put(
        Scope::Muted,
        safe(format!("{:>12} {title} ({}), the last {spanned}; pane 1 shows {lines} at most", "", key.question)),
    ));
    canvas.rows(area, &rows);
}
