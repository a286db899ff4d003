//! What is over the panes: questions, texts, help, the palette.

use ratatui::layout::Rect;

use super::frame::site_scope;
use super::paint::{Canvas, Row, wrapped};
use super::{safe, span};
use crate::console::action::{self, ACTIONS};
use crate::console::dialog::{Answering, Confirm, Dialog, Form, Gate, Start};
use crate::console::line::Line;
use crate::console::palette::Palette;
use crate::console::run_view::since;
use crate::console::state::State;
use crate::model::SafeText;
use crate::run::{UnitPhase, choices};
use crate::style::Scope;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    match &state.dialog {
        None => {}
        Some(Dialog::Help { top }) => boxed(canvas, area, " Help ", Scope::BorderFocus, &help(state), *top, 76),
        Some(Dialog::Text { title, text, top }) => {
            let width = area.width.saturating_sub(4).min(110);
            let rows: Vec<Row> = wrapped(text.as_str(), usize::from(width).saturating_sub(4))
                .into_iter()
                .map(|line| Row::new().plain(line))
                .collect();
            boxed(canvas, area, &format!(" {title} "), Scope::BorderFocus, &rows, *top, width);
        }
        Some(Dialog::Card) => boxed(canvas, area, " Where were we ", Scope::Prompt, &card(state), 0, 76),
        Some(Dialog::Form(form)) => {
            boxed(canvas, area, &format!(" {} ", form.runbook.name), Scope::BorderFocus, &form_rows(form), 0, 76);
        }
        Some(Dialog::Planning(request, _)) => {
            let rows =
                [Row::new().plain("asking both sites what it would do"), Row::new().put(Scope::Hint, "esc gives up")];
            boxed(canvas, area, &format!(" Plan of {} ", request.runbook), Scope::BorderFocus, &rows, 0, 60);
        }
        Some(Dialog::Start(start)) => {
            let scope = if start.runbook.level >= 2 { Scope::Danger } else { Scope::Prompt };
            let title = format!(" {}: start {}? ", state.badge.word(), start.runbook.name);
            let width = area.width.saturating_sub(4).min(100);
            let rows = start_rows(state, start, usize::from(width).saturating_sub(4), area.height);
            boxed(canvas, area, &title, scope, &rows, 0, width);
        }
        Some(Dialog::Answer(answering)) => {
            let width = area.width.saturating_sub(4).min(100);
            let rows = answer_rows(state, answering, usize::from(width).saturating_sub(4));
            boxed(canvas, area, &format!(" {}: the run asks ", state.badge.word()), Scope::Prompt, &rows, 0, width);
        }
        Some(Dialog::Confirm(confirm)) => {
            let rows = confirm_rows(confirm);
            boxed(canvas, area, &format!(" {} ", state.badge.word()), Scope::Prompt, &rows, 0, 76);
        }
    }
    if let Some(palette) = &state.palette {
        draw_palette(canvas, state, palette, area);
    }
}

/// A box in the middle, as high as its text where that fits.
fn boxed(canvas: &mut Canvas<'_>, area: Rect, title: &str, scope: Scope, rows: &[Row], top: u16, width: u16) {
    let width = width.min(area.width.saturating_sub(2));
    let wanted = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(area.height.saturating_sub(2));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    canvas.clear(place);
    let inner = canvas.frame(place, &Row::new().put(Scope::Title, safe(title)), scope);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let last = rows.len().saturating_sub(usize::from(inner.height));
    let first = usize::from(top).min(last);
    canvas.rows(inner, &rows[first..]);
    if last > first {
        let more = Row::new().put(Scope::Hint, safe(format!(" {} more lines below ", last - first)));
        let width = u16::try_from(more.width()).unwrap_or(0).min(inner.width);
        canvas.row(Rect { x: place.x + 2, y: place.bottom() - 1, width, height: 1 }, &more);
    }
}

/// Everything that can be done here, from the one table.
fn help(state: &State) -> Vec<Row> {
    let pane = state.focus;
    let mut rows = Vec::new();
    let section = |title: String, wanted: &dyn Fn(&action::Entry) -> bool, rows: &mut Vec<Row>| {
        rows.push(Row::new().put(Scope::Strong, safe(title)));
        for entry in ACTIONS.iter().filter(|entry| wanted(entry)) {
            let keys: Vec<String> =
                state.settings.keys.of(entry.action).iter().map(|chord| crate::console::keys::shown(chord)).collect();
            let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys.join(", ") };
            let argument = entry.argument.map(|argument| format!(" {argument}")).unwrap_or_default();
            rows.push(
                Row::new()
                    .plain("  ")
                    .put(Scope::Key, safe(keys))
                    .to(16)
                    .put(Scope::Muted, safe(format!("{}{argument}", entry.name)))
                    .to(36)
                    .put(Scope::Plain, entry.help),
            );
        }
        rows.push(Row::new());
    };
    section(
        format!("In pane {} {}", pane.number(), pane.title()),
        &|entry| entry.scope == action::Where::In(pane),
        &mut rows,
    );
    section("Everywhere".to_owned(), &|entry| entry.scope == action::Where::Everywhere, &mut rows);
    rows.push(Row::new().put(Scope::Hint, "j and k scroll, esc closes"));
    rows
}

/// What goes on, for somebody who comes back to it.
fn card(state: &State) -> Vec<Row> {
    let Some(run) = &state.run else { return vec![Row::new().plain("no run is looked at")] };
    let mut rows = vec![
        Row::new().put(Scope::Strong, safe(&run.state.plan.title)),
        Row::new().put(Scope::Muted, safe(format!("{}, for {}", run.id, span(run.took(state.now))))),
        Row::new(),
    ];
    let last =
        run.state.units.iter().filter(|(_, unit)| unit.outcome().is_some()).max_by_key(|(_, unit)| unit.ended_seq);
    if let Some((unit, facts)) = last {
        let word = facts.outcome().map_or("", crate::model::Outcome::word);
        rows.push(Row::new().put(Scope::Muted, "ended last   ").plain(safe(format!("{unit}: {word}"))));
    }
    for (unit, facts) in run.state.units.iter().filter(|(_, unit)| unit.phase == UnitPhase::Running) {
        let said = facts.said.clone().unwrap_or_default();
        rows.push(
            Row::new()
                .put(Scope::Muted, "runs now     ")
                .put(Scope::Active, safe(unit.to_string()))
                .plain("  ")
                .plain(said),
        );
    }
    for prompt in run.state.open_prompts() {
        rows.push(Row::new().put(Scope::Prompt, "waits for you").plain(" ").plain(prompt.message.clone()));
    }
    rows.push(Row::new());
    for event in run
        .seen()
        .iter()
        .rev()
        .filter(|event| {
            !matches!(event.kind, crate::run::EventKind::UnitProgress { .. } | crate::run::EventKind::JobBegun { .. })
        })
        .take(5)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let shown = super::said(event);
        rows.push(
            Row::new()
                .put(Scope::Muted, safe(format!("{} ago", span(since(event.at, state.now)))))
                .to(13)
                .put(Scope::Source, shown.who)
                .plain(" ")
                .put(shown.scope, shown.text),
        );
    }
    rows.push(Row::new());
    rows.push(Row::new().put(Scope::Hint, "any key closes this; 3 shows the run, a answers a question"));
    rows
}

fn field(line: &Line, focus: bool) -> Row {
    let row = Row::new().put(Scope::Muted, "> ");
    let text: Vec<char> = line.shown().as_str().chars().collect();
    if !focus {
        return row.plain(text.iter().collect::<String>());
    }
    let at = line.cursor().min(text.len());
    let under = text.get(at).copied().unwrap_or(' ');
    row.plain(text[..at].iter().collect::<String>())
        .put(Scope::Selected, under.to_string())
        .plain(text.get(at + 1..).unwrap_or_default().iter().collect::<String>())
}

fn form_rows(form: &Form) -> Vec<Row> {
    let mut rows = Vec::new();
    for (number, (param, line)) in form.runbook.params.iter().zip(&form.fields).enumerate() {
        let focus = number == form.at;
        rows.push(
            Row::new()
                .put(if focus { Scope::Strong } else { Scope::Plain }, safe(&param.name))
                .put(Scope::Muted, safe(format!("  {}  ", param.kind)))
                .put(Scope::Hint, param.help.clone()),
        );
        if !param.choices.is_empty() {
            rows.push(Row::new().put(Scope::Muted, safe(format!("  one of {}", param.choices.join(", ")))));
        }
        rows.push(field(line, focus));
    }
    if let Some(trouble) = &form.trouble {
        rows.push(Row::new().put(Scope::Bad, trouble.clone()));
    }
    rows.push(Row::new());
    rows.push(Row::new().put(Scope::Hint, "tab next field, enter makes the plan, esc cancels"));
    rows
}

/// The gate at the foot of a question: what must be typed, what has been, and how to leave.
fn gate_rows(gate: &Gate) -> Vec<Row> {
    let mut rows = vec![
        Row::new().plain("To do it, type ").put(Scope::Strong, gate.phrase.clone()).plain(" and then enter."),
        field(&gate.typed, true),
    ];
    rows.push(match &gate.note {
        Some(note) => Row::new().put(Scope::Warn, note.clone()),
        None => Row::new(),
    });
    rows.push(Row::new().put(Scope::Selected, "[ Cancel: esc ]"));
    rows
}

/// The six answers, each at its place, and then the plan.
fn start_rows(state: &State, start: &Start, width: usize, height: u16) -> Vec<Row> {
    let mut rows = Vec::new();
    let label = |text: &'static str| Row::new().put(Scope::Muted, text);
    let runs = start.request.params.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    rows.push(
        label("what       ").put(Scope::Strong, safe(format!("{} ({}){runs}", start.runbook.name, start.runbook.mode))),
    );
    let mut on = label("where      ");
    if let Some(direction) = &state.direction.direction {
        on = on
            .put(site_scope(state, &direction.source), safe(direction.source.as_str().to_uppercase()))
            .plain(" is read, ")
            .put(site_scope(state, &direction.target), safe(direction.target.as_str().to_uppercase()))
            .plain(" is changed: ");
    }
    let hosts: Vec<&str> = start.plan.hosts.iter().map(SafeText::as_str).collect();
    rows.push(on.plain(safe(hosts.join(", "))));
    rows.push(
        label("writes     ")
            .plain("nobody at the active site loses writes by it; the standby is not written to by users"),
    );
    let usual = crate::console::facts::usual(&state.runs, &start.runbook.name);
    rows.push(label("how long   ").plain(usual.map_or_else(
        || safe("not known: it never ended well here"),
        |usual| safe(format!("usually {}", span(usual))),
    )));
    let age = span(since(start.plan.at, state.now));
    let losses = if start.plan.losses.is_empty() {
        label("is lost    ").plain(safe(format!("nothing, as seen {age} ago")))
    } else {
        label("is lost    ").put(Scope::Danger, safe(format!("{} things, as seen {age} ago:", start.plan.losses.len())))
    };
    rows.push(losses);
    let few = usize::from(height).saturating_sub(20).clamp(2, 8);
    for loss in start.plan.losses.iter().take(few) {
        rows.push(Row::new().to(11).put(Scope::Warn, loss.clone()));
    }
    if start.plan.losses.len() > few {
        rows.push(
            Row::new()
                .to(11)
                .put(Scope::Warn, safe(format!("and {} more: see the plan (p)", start.plan.losses.len() - few))),
        );
    }
    rows.push(label("way back   ").plain("stopping it: x in pane 3; the copy before it is kept as a restore point"));
    for finding in start.plan.findings.iter().take(few) {
        rows.push(label("to know    ").put(Scope::Warn, finding.clone()));
    }
    rows.push(Row::new());
    let lines = wrapped(start.plan.text.as_str(), width);
    let room = usize::from(height).saturating_sub(rows.len() + 10).min(12);
    let first = usize::from(start.top).min(lines.len().saturating_sub(room));
    for line in lines.iter().skip(first).take(room) {
        rows.push(Row::new().put(Scope::Muted, line.clone()));
    }
    if lines.len() > room && room > 0 {
        rows.push(Row::new().put(Scope::Hint, safe(format!("plan: {} lines, arrows scroll", lines.len()))));
    }
    rows.push(Row::new());
    rows.extend(gate_rows(&start.gate));
    rows
}

fn answer_rows(state: &State, answering: &Answering, width: usize) -> Vec<Row> {
    let prompt =
        state.run.as_ref().and_then(|run| run.state.open_prompts().find(|prompt| prompt.id == answering.prompt));
    let (Some(prompt), Some(run)) = (prompt, &state.run) else { return vec![Row::new().plain("it has been answered")] };
    let mut rows = vec![Row::new().put(Scope::Muted, safe(format!("{} at {}", run.id, prompt.unit))), Row::new()];
    for line in wrapped(prompt.message.as_str(), width) {
        rows.push(Row::new().put(Scope::Strong, line));
    }
    let failure =
        run.state.units.get(&prompt.unit).and_then(|unit| unit.outcome()).and_then(|outcome| outcome.failure());
    if let Some(failure) = failure {
        rows.push(Row::new());
        for line in wrapped(&failure.to_string(), width).into_iter().take(8) {
            rows.push(Row::new().put(Scope::Warn, line));
        }
    }
    rows.push(Row::new());
    for line in wrapped(&choices(prompt), width) {
        rows.push(Row::new().put(Scope::Hint, line));
    }
    rows.push(field(&answering.typed, true));
    rows.push(match &answering.note {
        Some(note) => Row::new().put(Scope::Warn, note.clone()),
        None => Row::new(),
    });
    rows.push(
        Row::new()
            .put(Scope::Selected, "[ Not now: esc ]")
            .put(Scope::Hint, "  the question waits as long as it takes"),
    );
    rows
}

fn confirm_rows(confirm: &Confirm) -> Vec<Row> {
    let mut rows = vec![Row::new().put(Scope::Strong, confirm.question.clone()), Row::new()];
    rows.extend(confirm.consequences.iter().map(|text| Row::new().plain(text.clone())));
    rows.push(Row::new());
    rows.extend(gate_rows(&confirm.gate));
    rows
}

fn draw_palette(canvas: &mut Canvas<'_>, state: &State, palette: &Palette, area: Rect) {
    let mut rows = vec![field(&palette.line, true)];
    let matches = palette.matches();
    let height = usize::from(area.height).saturating_sub(8).min(14);
    let first = super::first(palette.selected, u16::try_from(height).unwrap_or(0));
    for (number, entry) in matches.iter().enumerate().skip(first).take(height) {
        let argument = entry.argument.map(|argument| format!(" {argument}")).unwrap_or_default();
        let row = Row::new()
            .put(Scope::Strong, safe(format!("{}{argument}", entry.name)))
            .to(22)
            .put(Scope::Key, safe(state.settings.keys.hint(entry.action)))
            .to(32)
            .put(Scope::Hint, entry.help);
        rows.push(if number == palette.selected { row.filled(Scope::Selected) } else { row });
    }
    if matches.is_empty() {
        rows.push(Row::new().put(Scope::Warn, "no action of this name"));
    }
    boxed(canvas, area, " Palette: tab completes, enter does it, esc closes ", Scope::BorderFocus, &rows, 0, 76);
}
