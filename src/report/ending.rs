//! What came of a run, on one page: verdict, stages with times, failures in full, figures, and the exact commands for
//! what a person may want next. Pure.

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr;

use super::pen::{cut, number, wrap};
use super::words::{failure_parts, mark, not_run_words, run_mark};
use crate::model::{ByteSize, Outcome, RunOutcome, SafeText, Span, StepId, UnitKey};
use crate::run::{RunState, RunSummary};
use crate::style::{Look, Mark, Scope};

/// What the reader needs to go on from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How the program was started, with the options that every command needs: `changeover --estate shop.toml`.
    pub program: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// True when a run that did not end well can be taken up again by a command of its own.
    pub can_be_resumed: bool,
}

/// Captures that are figures, in order of display.
const FIGURES: [&str; 6] = ["documents", "indices", "rows", "tables", "files", "bytes"];

/// The ending of a run as text, no line of ours wider than `width` unless a command or a path is.
#[must_use]
pub fn ending(state: &RunState, advice: &Advice, look: Look, width: usize) -> String {
    let summary = RunSummary::of(state);
    let mut page = Page { text: String::new(), look, width };
    page.verdict(state, &summary);
    page.stages(&summary);
    for (unit, failure) in &summary.failures {
        let mark = state.units.get(unit).and_then(|unit| unit.outcome()).map_or(Mark::Unknown, mark);
        page.line(&format!("\n{} {}", look.mark(mark), look.paint(Scope::Strong, &unit.to_string())));
        for (name, text) in failure_parts(failure) {
            page.item(name, text.as_str());
        }
        page.whole("log", &log_command(state, advice, unit));
    }
    page.lost(state, &summary, advice);
    page.warnings(&summary);
    page.figures(state);
    page.line("");
    page.whole("record", &advice.folder.display().to_string());
    if advice.can_be_resumed && !matches!(summary.outcome, Some(RunOutcome::Done { .. })) {
        page.whole("resume", &format!("{} resume {}", advice.program, state.run));
    }
    page.text
}

fn log_command(state: &RunState, advice: &Advice, unit: &UnitKey) -> String {
    format!("{} runs log {} {unit}", advice.program, state.run)
}

struct Page {
    text: String,
    look: Look,
    width: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A named text, broken to fit, its lines under one another.
    fn item(&mut self, name: &str, text: &str) {
        let safe = SafeText::block(text);
        for (number, line) in wrap(safe.as_str(), self.width.saturating_sub(10).max(20)).iter().enumerate() {
            let name = if number == 0 { format!("{name:<7}") } else { " ".repeat(7) };
            self.line(&format!("  {} {line}", self.look.paint(Scope::Muted, &name)));
        }
    }

    /// A named command or path: never broken, so that it can be copied.
    fn whole(&mut self, name: &str, text: &str) {
        let text = SafeText::line(text);
        self.line(&format!("  {} {text}", self.look.paint(Scope::Muted, &format!("{name:<7}"))));
    }

    fn verdict(&mut self, state: &RunState, summary: &RunSummary) {
        let title = SafeText::line(&state.plan.title);
        let took = Span(summary.took);
        let (mark, words) = match &summary.outcome {
            None => (Mark::Unknown, format!("has not ended, {took} so far")),
            Some(outcome @ RunOutcome::Done { .. }) => (run_mark(outcome), format!("{} in {took}", outcome.word())),
            Some(outcome @ (RunOutcome::Failed { step } | RunOutcome::Refused { step })) => {
                (run_mark(outcome), format!("{} after {took}, at {step}", outcome.word()))
            }
            Some(outcome @ RunOutcome::Cancelled { .. }) => {
                (run_mark(outcome), format!("{} after {took}", outcome.word()))
            }
            Some(outcome @ RunOutcome::Stuck { .. }) => (
                run_mark(outcome),
                format!("{} after {took}: a person must look before anything else is done", outcome.word()),
            ),
        };
        let look = self.look;
        let lines = wrap(&format!("{title}: {words}"), self.width.saturating_sub(13).max(20));
        for (number, line) in lines.iter().enumerate() {
            let lead = if number == 0 { look.mark(mark) } else { " ".repeat(look.mark_width(mark)) };
            self.line(&format!("{lead} {}", look.paint(Scope::Strong, line)));
        }
        self.line("");
    }

    fn stages(&mut self, summary: &RunSummary) {
        let titles: Vec<SafeText> = summary.stages.iter().map(|stage| SafeText::line(&stage.title)).collect();
        let room = self.width.saturating_sub(26).max(20);
        let widest = titles.iter().map(|title| title.as_str().width()).max().unwrap_or(0).min(room);
        for (stage, title) in summary.stages.iter().zip(&titles) {
            let title = cut(title.as_str(), widest, self.look.ascii);
            let gap = " ".repeat(widest - title.width().min(widest));
            let (mark, note) = match &stage.outcome {
                Some(Outcome::NotRun { because }) => (Mark::Skip, format!("not run: {}", not_run_words(because))),
                Some(outcome) => (mark(outcome), stage.took.map_or_else(String::new, |took| Span(took).to_string())),
                None if stage.took.is_some() => (Mark::Unknown, "has not ended".to_owned()),
                None => (Mark::Skip, "not begun".to_owned()),
            };
            let column = self.look.mark_column(mark);
            let note = cut(&note, self.width.saturating_sub(widest + 18).max(12), self.look.ascii);
            self.line(&format!("  {column}  {title}{gap}  {note}"));
        }
    }

    /// Units whose ending nobody saw, and of which there is therefore no failure to print.
    fn lost(&mut self, state: &RunState, summary: &RunSummary, advice: &Advice) {
        let told = |unit: &UnitKey| summary.failures.iter().any(|(failed, _)| failed == unit);
        for unit in summary.unknown.iter().filter(|unit| !told(unit)) {
            let mark = self.look.mark(Mark::Unknown);
            self.line(&format!("\n{mark} {}", self.look.paint(Scope::Strong, &unit.to_string())));
            self.item("got", "the program ended while it ran; what became of it is not known");
            if let Some(said) = state.units.get(unit).and_then(|unit| unit.said.as_ref()) {
                self.item("said", said.as_str());
            }
            self.whole("log", &log_command(state, advice, unit));
        }
    }

    fn warnings(&mut self, summary: &RunSummary) {
        for (number, (unit, text)) in summary.warnings.iter().enumerate() {
            if number == 0 {
                self.line("");
            }
            let mark = self.look.mark(Mark::Warn);
            let lines = wrap(text.as_str(), self.width.saturating_sub(4).max(20));
            self.line(&format!("{mark} {unit}"));
            for line in lines {
                self.line(&format!("    {line}"));
            }
        }
    }

    /// What the steps have counted, in the order of the plan. What a step only estimated is not a figure.
    fn figures(&mut self, state: &RunState) {
        let mut seen: Vec<&StepId> = Vec::new();
        let mut lines = Vec::new();
        for step in state.plan.steps() {
            let id = &step.key.step;
            let Some(captures) = state.captures.get(id).filter(|_| !seen.contains(&id)) else { continue };
            seen.push(id);
            if captures.keys().any(|name| name.starts_with("estimated")) {
                continue;
            }
            let figures: Vec<String> = FIGURES
                .iter()
                .filter_map(|name| Some((*name, captures.get(*name)?.as_u64()?)))
                .map(
                    |(name, n)| if name == "bytes" { ByteSize(n).to_string() } else { format!("{} {name}", number(n)) },
                )
                .collect();
            if !figures.is_empty() {
                lines.push((id.to_string(), figures.join(", ")));
            }
        }
        let widest = lines.iter().map(|(id, _)| id.len()).max().unwrap_or(0);
        if widest > 0 {
            let head = self.look.paint(Scope::Strong, "Counted");
            self.line(&format!("\n{head}"));
        }
        for (id, figures) in lines {
            self.line(&format!("  {id:<widest$}  {figures}"));
        }
    }
}
