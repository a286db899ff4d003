//! What is over the panes: questions, texts, help, the palette.

use ratatui::layout::Rect;

use super::answers;
use super::paint::{Canvas, Row, Target, cells, fitting, without, wrapped};
use super::{safe, span};
use crate::console::action::{self, ACTIONS, Action, Argument, Takes};
use crate::console::dialog::{Answering, Confirm, Dialog, Form, Gate, Start};
use crate::console::keys::shown;
use crate::console::line::Line;
use crate::console::palette::{Match, Palette};
use crate::console::run_view::since;
use crate::console::state::State;
use crate::model::SafeText;
use crate::run::{UnitPhase, choices};
use crate::runbook::ParamType;
use crate::style::Scope;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    match &state.dialog {
        None => {}
        Some(Dialog::Help { top }) => {
            boxed(canvas, area, " Help ", Scope::BorderFocus, &help(state, area.width), *top, 76);
        }
        Some(Dialog::Text { title, text, top }) => {
            let width = area.width.saturating_sub(4).min(110);
            let rows: Vec<Row> = wrapped(text.as_str(), usize::from(width).saturating_sub(4))
                .into_iter()
                .map(|line| Row::new().plain(line))
                .collect();
            boxed(canvas, area, &format!(" {title} "), Scope::BorderFocus, &rows, *top, width);
        }
        Some(Dialog::Card) => boxed(canvas, area, " Where were we ", Scope::Prompt, &card(state), 0, 76),
        Some(Dialog::Form(form)) => draw_form(canvas, form, area),
        Some(Dialog::Planning(request, _)) => {
            let form = state.runbooks.iter().any(|book| book.name == request.runbook && !book.params.is_empty());
            let leave = if form { "esc goes back to its parameters" } else { "esc gives up" };
            let rows = [Row::new().plain("asking both sites what it would do"), Row::new().put(Scope::Hint, leave)];
            boxed(canvas, area, &format!(" Plan of {} ", request.runbook), Scope::BorderFocus, &rows, 0, 60);
        }
        Some(Dialog::Start(start)) => {
            let scope = if start.runbook.level >= 2 { Scope::Danger } else { Scope::Prompt };
            let title = format!(" {}: start {}? ", state.badge_words(), start.runbook.name);
            let width = area.width.saturating_sub(4).min(100);
            let rows = start_rows(state, start, usize::from(width).saturating_sub(4));
            let foot = gate_rows(&start.gate, start.changed.as_ref(), usize::from(width).saturating_sub(4));
            footed(canvas, area, &title, scope, &rows, &foot, start.top, width);
        }
        Some(Dialog::Answer(answering)) => {
            let width = area.width.saturating_sub(4).min(100);
            let (rows, foot) = answer_rows(state, answering, usize::from(width).saturating_sub(4));
            let title = format!(" {}: the run asks ", state.badge_words());
            footed(canvas, area, &title, Scope::Prompt, &rows, &foot, answering.top, width);
        }
        Some(Dialog::Confirm(confirm)) => {
            let stands = confirm.stands.as_ref();
            let foot = gate_rows(&confirm.gate, stands.and_then(|stands| stands.changed.as_ref()), 72);
            footed(
                canvas,
                area,
                &format!(" {} ", state.badge_words()),
                if stands.is_some() { Scope::Danger } else { Scope::Prompt },
                &confirm_rows(state, confirm, 72),
                &foot,
                confirm.top,
                76,
            );
        }
    }
    if let Some(palette) = &state.palette {
        draw_palette(canvas, state, palette, area);
    }
}

/// A box in the middle, as high as its text where that fits.
fn boxed(canvas: &mut Canvas<'_>, area: Rect, title: &str, scope: Scope, rows: &[Row], top: u16, width: u16) {
    footed(canvas, area, title, scope, rows, &[], top, width);
}

/// A box whose last lines are always in sight, whatever is above them: what is typed must be seen.
#[expect(clippy::too_many_arguments, reason = "the parts of a box, each once")]
fn footed(
    canvas: &mut Canvas<'_>,
    area: Rect,
    title: &str,
    scope: Scope,
    rows: &[Row],
    foot: &[Row],
    top: u16,
    width: u16,
) {
    let width = width.min(area.width.saturating_sub(2));
    let wanted = u16::try_from(rows.len() + foot.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(area.height.saturating_sub(2));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    canvas.clear(place);
    canvas.targets.push((place, Target::Inside));
    let inner = canvas.frame(place, &Row::new().put(Scope::Title, safe(title)), scope);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let below = u16::try_from(foot.len()).unwrap_or(u16::MAX).min(inner.height);
    canvas.rows(Rect { y: inner.bottom() - below, height: below, ..inner }, foot);
    let inner = Rect { height: inner.height - below, ..inner };
    let last = rows.len().saturating_sub(usize::from(inner.height));
    let first = usize::from(top).min(last);
    canvas.end = last;
    canvas.rows(inner, &rows[first..]);
    if last > first {
        let more = Row::new().put(Scope::Hint, safe(format!(" {} more lines ", last - first)));
        let width = u16::try_from(more.width()).unwrap_or(0).min(inner.width);
        canvas.row(Rect { x: place.x + 2, y: place.bottom() - 1, width, height: 1 }, &more);
    }
}

/// Everything that can be done here, from the one table.
fn help(state: &State, width: u16) -> Vec<Row> {
    let pane = state.focus;
    let mut rows = Vec::new();
    let section = |title: String, wanted: &dyn Fn(&action::Entry) -> bool, rows: &mut Vec<Row>| {
        rows.push(Row::new().put(Scope::Strong, safe(title)));
        for entry in ACTIONS.iter().filter(|entry| wanted(entry) && entry.action.is_there(state.badge)) {
            let keys: Vec<String> =
                state.settings.keys.of(entry.action).iter().map(|chord| crate::console::keys::shown(chord)).collect();
            let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys.join(", ") };
            let argument = entry.argument.map(|argument| format!(" {argument}")).unwrap_or_default();
            let mut row = Row::new().plain("  ").put(Scope::Key, safe(keys)).to(14);
            // Where there is no room for both, what it does is worth more than what it is called.
            if width >= 78 {
                row = row.put(Scope::Muted, safe(format!("{}{argument}", entry.name))).to(31);
            }
            rows.push(row.plain(" ").put(Scope::Plain, entry.help));
        }
        rows.push(Row::new());
    };
    section(
        format!("In pane {} {}", pane.number(), pane.title()),
        &|entry| entry.scope == action::Where::In(pane),
        &mut rows,
    );
    section("Everywhere".to_owned(), &|entry| entry.scope == action::Where::Everywhere, &mut rows);
    rows.push(Row::new().put(Scope::Hint, "up and down scroll, esc closes"));
    rows
}

/// What goes on, for somebody who comes back to it.
fn card(state: &State) -> Vec<Row> {
    let Some(run) = &state.run else { return vec![Row::new().plain("no run is looked at")] };
    let mut rows = vec![
        Row::new().put(Scope::Strong, safe(&run.state.plan.title)),
        Row::new().put(
            Scope::Muted,
            safe(format!("{}, begun {} ago by {}", run.id, span(since(run.began(), state.now)), run.state.by.name)),
        ),
        Row::new(),
    ];
    let last =
        run.state.units.iter().filter(|(_, unit)| unit.outcome().is_some()).max_by_key(|(_, unit)| unit.ended_seq);
    if let Some((unit, facts)) = last {
        let word = facts.outcome().map_or("", crate::model::Outcome::word);
        rows.push(Row::new().put(Scope::Muted, "ended last    ").plain(safe(format!("{unit}: {word}"))));
    }
    for (unit, facts) in run.state.units.iter().filter(|(_, unit)| unit.phase == UnitPhase::Running) {
        let said = facts.said.clone().unwrap_or_default();
        rows.push(
            Row::new()
                .put(Scope::Muted, "runs now      ")
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
        let told = super::said(event);
        rows.push(
            Row::new()
                .put(Scope::Muted, safe(format!("{} ago", span(since(event.at, state.now)))))
                .to(14)
                .put(Scope::Source, told.who)
                .plain(" ")
                .put(told.scope, told.text),
        );
    }
    rows.push(Row::new());
    let (run, answer) = (state.key_of(Action::Pane3), state.key_of(Action::Answer));
    let ways = format!("any key closes this; {run} shows the run, {answer} answers a question");
    rows.push(Row::new().put(Scope::Hint, safe(ways)));
    rows
}

/// A field, its cursor in sight however long the text is.
fn field(line: &Line, focus: bool, width: usize) -> Row {
    let row = Row::new().put(Scope::Muted, "> ");
    let shown = line.shown();
    if !focus {
        return row.plain(shown);
    }
    let room = width.saturating_sub(3).max(8);
    let before = line.text().chars().take(line.cursor()).collect::<String>();
    let after = line.text().chars().skip(line.cursor()).collect::<String>();
    let (before, after) = (SafeText::line(&before), SafeText::line(&after));
    let hidden = cells(before.as_str()).saturating_sub(room);
    let under = fitting(after.as_str(), 2).chars().next().map_or_else(|| " ".to_owned(), |c| c.to_string());
    let rest = after.as_str().strip_prefix(under.as_str()).unwrap_or_default();
    row.plain(without(before.as_str(), hidden)).put(Scope::Selected, under).plain(rest)
}

/// The form: its fields, of which the one that is typed into stays in sight, and below them what is wrong.
fn draw_form(canvas: &mut Canvas<'_>, form: &Form, area: Rect) {
    let width = area.width.saturating_sub(2).min(76);
    let text = usize::from(width).saturating_sub(4);
    let (rows, at) = form_rows(form, text);
    let inside = usize::from(area.height).saturating_sub(4);
    let mut foot = vec![Row::new()];
    let why = form.trouble.as_ref().or(form.failure.as_ref());
    let lines = why.map(|why| wrapped(why.as_str(), text)).unwrap_or_default();
    // The field that is typed into is beside it, with its name and what it may be, and two lines of what keys do.
    let room = inside.saturating_sub(6).clamp(1, 10).min(lines.len());
    let end = lines.len() - room;
    let top = usize::from(form.top).min(end);
    foot.extend(lines[top..top + room].iter().map(|line| Row::new().put(Scope::Bad, line.as_str())));
    let switch = if form.options().is_empty() { "" } else { "left and right switch, " };
    let scroll = match end - top {
        _ if end == 0 => String::new(),
        0 => "pgup scrolls, ".to_owned(),
        more => format!("pgdn scrolls ({more} more lines), "),
    };
    let hint = format!("{scroll}{switch}tab next field, enter makes the plan, esc cancels");
    foot.extend(wrapped(&hint, text).into_iter().map(|line| Row::new().put(Scope::Hint, line)));
    let top = (at + 1).saturating_sub(inside.saturating_sub(foot.len()));
    let title = format!(" {} ", form.runbook.name);
    let top = u16::try_from(top).unwrap_or(0);
    footed(canvas, area, &title, Scope::BorderFocus, &rows, &foot, top, width);
    canvas.end = end;
}

/// The fields, and the line of the one that is typed into.
fn form_rows(form: &Form, width: usize) -> (Vec<Row>, usize) {
    let mut rows = Vec::new();
    let mut at = 0;
    for (number, (param, line)) in form.runbook.params.iter().zip(&form.fields).enumerate() {
        let (focus, begin) = (number == form.at, rows.len());
        let listed = !param.rule.one_of.is_empty();
        let kind = if param.rule.kind == ParamType::Bool { "true or false" } else { param.rule.kind.word() };
        rows.push(
            Row::new()
                .put(if focus { Scope::Strong } else { Scope::Plain }, safe(&param.name))
                .put(Scope::Muted, safe(format!("  {kind}  ")))
                .put(Scope::Hint, param.help()),
        );
        if listed {
            rows.push(Row::new().put(Scope::Muted, safe(format!("  one of {}", param.options().join(", ")))));
        }
        if focus {
            at = rows.len();
        }
        rows.push(field(line, focus, width));
        for row in &mut rows[begin..] {
            *row = std::mem::take(row).means(Target::Field(number));
        }
    }
    (rows, at)
}

/// What has changed under a phrase.
fn anew(changed: &SafeText, width: usize) -> impl Iterator<Item = Row> + use<> {
    let lines = wrapped(&format!("CHANGED, type anew: {changed}"), width);
    lines.into_iter().take(3).map(|line| Row::new().put(Scope::Danger, line))
}

/// The gate at the foot of a question: what must be typed, what has been, and how to leave.
fn gate_rows(gate: &Gate, changed: Option<&SafeText>, width: usize) -> Vec<Row> {
    let mut rows = vec![Row::new()];
    if let Some(changed) = changed {
        rows.extend(anew(changed, width));
    }
    rows.push(Row::new().plain("To do it, type ").put(Scope::Strong, gate.phrase.clone()).plain(" and then enter."));
    rows.push(field(&gate.typed, true, width));
    rows.push(match &gate.note {
        Some(note) => Row::new().put(Scope::Warn, note.clone()),
        None => Row::new(),
    });
    rows.push(Row::new().put(Scope::Selected, "[ Cancel: esc ]").means(Target::Close));
    rows
}

/// The six answers, each at its place, and then the plan.
fn start_rows(state: &State, start: &Start, width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let label = |text: &'static str| Row::new().put(Scope::Muted, text);
    let runs: Vec<String> = start.request.params.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let runs = runs.concat();
    let what = format!("{} ({}){runs}", start.runbook.name, start.runbook.mode);
    rows.extend(answers::answer("what", Scope::Strong, &what, width));
    rows.extend(answers::places(state, &start.plan.extent, width));
    let loses = answers::who_loses(&start.runbook.loses, start.runbook.mode.as_str(), &start.plan.extent);
    rows.extend(answers::answer("who loses", Scope::Plain, &loses, width));
    let usual = crate::console::facts::usual(&state.runs, &start.runbook.name);
    rows.push(label("how long   ").plain(usual.map_or_else(
        || safe("not known: it never ended well here"),
        |usual| safe(format!("usually {}", span(usual))),
    )));
    let age = span(since(start.plan.at, state.now));
    let (known, unknown) = (&start.plan.losses, &start.plan.unknown_losses);
    // What cannot be known is never told as nothing.
    let (scope, losses) = match (known.len(), unknown.is_empty()) {
        (0, true) => (Scope::Plain, format!("nothing, as seen {age} ago")),
        (0, false) => (Scope::Danger, "what nobody knows before these begin:".to_owned()),
        (1, true) => (Scope::Danger, format!("this, as seen {age} ago:")),
        (count, true) => (Scope::Danger, format!("{count} things, as seen {age} ago:")),
        (_, false) => (Scope::Danger, format!("this, as seen {age} ago, and (?) what nobody knows yet:")),
    };
    rows.push(label("is lost    ").put(scope, safe(losses)));
    let marked = |mark: &'static str, texts: &[SafeText], rows: &mut Vec<Row>| {
        for text in texts {
            for (number, line) in wrapped(text.as_str(), width.saturating_sub(13)).into_iter().enumerate() {
                let mark = if number == 0 { mark } else { " " };
                rows.push(Row::new().to(11).put(Scope::Warn, safe(format!("{mark} {line}"))));
            }
        }
    };
    marked("-", known, &mut rows);
    marked("?", unknown, &mut rows);
    let back = answers::way_back(state, &start.plan.extent);
    rows.extend(answers::answer("way back", Scope::Plain, &back, width));
    for finding in &start.plan.findings {
        rows.extend(answers::answer("to know", Scope::Warn, finding.as_str(), width));
    }
    rows.push(Row::new());
    rows.push(Row::new().put(Scope::Hint, "the plan, arrows scroll:"));
    rows.extend(wrapped(start.plan.text.as_str(), width).into_iter().map(|line| Row::new().put(Scope::Muted, line)));
    rows
}

fn answer_rows(state: &State, answering: &Answering, width: usize) -> (Vec<Row>, Vec<Row>) {
    let prompt = state
        .run
        .as_ref()
        .and_then(|run| run.state.open_prompts().find(|prompt| prompt.id == answering.standing.prompt));
    let (Some(prompt), Some(run)) = (prompt, &state.run) else {
        return (vec![Row::new().plain("it has been answered")], Vec::new());
    };
    let about = format!("{} at {}", run.state.plan.runbook, prompt.unit);
    let mut rows = vec![Row::new().put(Scope::Muted, safe(about))];
    rows.extend(answers::answer("what", Scope::Strong, prompt.message.as_str(), width));
    let failure =
        run.state.units.get(&prompt.unit).and_then(|unit| unit.outcome()).and_then(|outcome| outcome.failure());
    if let Some(failure) = failure {
        rows.extend(answers::answer("failed", Scope::Warn, &failure.to_string(), width).into_iter().take(8));
    }
    rows.extend(answers::of_prompt(state, run, prompt, width));
    let asked = answering.standing.asked(prompt);
    let mut foot = vec![Row::new()];
    if let Some(changed) = answering.standing.changed.as_ref().filter(|_| asked.phrase.is_some()) {
        foot.extend(anew(changed, width));
    }
    for line in wrapped(&choices(&asked), width) {
        foot.push(Row::new().put(Scope::Hint, line));
    }
    foot.push(field(&answering.typed, true, width));
    foot.push(match &answering.note {
        Some(note) => Row::new().put(Scope::Warn, note.clone()),
        None => Row::new(),
    });
    foot.push(
        Row::new()
            .put(Scope::Selected, "[ Not now: esc ]")
            .put(Scope::Hint, "  the question waits as long as it takes")
            .means(Target::Close),
    );
    (rows, foot)
}

fn confirm_rows(state: &State, confirm: &Confirm, width: usize) -> Vec<Row> {
    let mut rows = vec![Row::new().put(Scope::Strong, confirm.question.clone()), Row::new()];
    for (number, text) in confirm.consequences.iter().enumerate() {
        rows.extend(answers::answer(if number == 0 { "what" } else { "" }, Scope::Plain, text.as_str(), width));
    }
    rows.extend(answers::of_deed(state, &confirm.deed, width));
    rows
}

fn draw_palette(canvas: &mut Canvas<'_>, state: &State, palette: &Palette, area: Rect) {
    let mut rows = vec![field(&palette.line, true, 70)];
    if let Some((entry, argument)) = palette.named() {
        rows.push(Row::new().put(Scope::Hint, safe(format!("{} {argument}: {}", entry.name, entry.help))));
    }
    let text = usize::from(area.width.saturating_sub(2).min(76)).saturating_sub(4);
    let trouble = palette.trouble.as_ref().map(|why| wrapped(why.as_str(), text)).unwrap_or_default();
    let foot: Vec<Row> = trouble.iter().take(4).map(|line| Row::new().put(Scope::Warn, line.as_str())).collect();
    let matches = palette.matches(state);
    let selected = palette.selected(&matches);
    let height = usize::from(area.height).saturating_sub(7 + rows.len() + foot.len()).clamp(1, 14);
    let first = super::first(selected.unwrap_or(0), u16::try_from(height).unwrap_or(0));
    let named = |found: &Match| if let Match::Value(value) = found { cells(&value.text) + 2 } else { 0 };
    let wide = matches.iter().map(named).max().unwrap_or(0).clamp(22, 40);
    for (number, found) in matches.iter().enumerate().skip(first).take(height) {
        let row = match found {
            Match::Action(entry) => {
                let argument = entry.argument.map(|argument| format!(" {argument}")).unwrap_or_default();
                let keys = state.settings.keys.of(entry.action).first();
                let row = Row::new().put(Scope::Strong, safe(format!("{}{argument}", entry.name))).to(22);
                let row = row.put(Scope::Key, safe(keys.map(|keys| shown(keys)).unwrap_or_default()));
                row.to(32).put(Scope::Hint, entry.help)
            }
            Match::Value(value) => {
                Row::new().put(Scope::Strong, safe(&value.text)).to(wide).put(Scope::Hint, value.help.clone())
            }
        };
        let row = row.means(Target::Match(number));
        rows.push(if Some(number) == selected { row.filled(Scope::Selected) } else { row });
    }
    match palette.named() {
        _ if !matches.is_empty() => {}
        None => rows.push(Row::new().put(Scope::Warn, "no action of this name")),
        Some((_, Argument { takes: Takes::Text, .. })) => {}
        Some((_, argument)) => {
            rows.push(Row::new().put(Scope::Warn, safe(format!("no {} begins so", argument.takes.word()))));
        }
    }
    let title = " Palette: tab completes, enter does it, esc closes ";
    footed(canvas, area, title, Scope::BorderFocus, &rows, &foot, 0, 76);
}
