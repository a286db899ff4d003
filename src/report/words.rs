//! One event in words. Pure; what every mode says is the same, only the look differs.

use std::time::Duration;

use crate::model::{
    ByteSize, CancelReason, Failure, NotRun, Outcome, RunOutcome, SafeText, Skip, Span, StageId, UnitKey,
};
use crate::run::{Event, EventKind, Operator, PromptAnswer, PromptKind, RunState, choices};
use crate::style::Mark;

/// What is said about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// How it is.
    pub(super) mark: Mark,
    /// The kind of news, one word.
    pub(super) word: &'static str,
    /// Stage or unit, when it is about one.
    pub(super) about: String,
    /// The news; may have several lines.
    pub(super) text: SafeText,
}

/// The words for an event; nothing for progress, which is shown elsewhere.
pub(super) fn tell(event: &Event, state: &RunState) -> Option<Told> {
    let told = |mark, word, about: String, text: String| Some(Told { mark, word, about, text: SafeText::block(&text) });
    let run = String::new;
    match &event.kind {
        EventKind::RunCreated { run: id, by, .. } => {
            let (title, direction) = (&state.plan.title, &state.plan.direction);
            told(Mark::Note, "RUN", id.to_string(), format!("{title} ({direction}), by {}", person(by)))
        }
        EventKind::SessionStarted { session, by, .. } if *session > 1 => {
            told(Mark::Note, "RESUMED", run(), format!("session {session}, by {}", person(by)))
        }
        EventKind::StageStarted { stage } => told(Mark::Note, "STAGE", stage.to_string(), stage_title(state, stage)),
        EventKind::StageEnded { stage, outcome } => {
            let mark = mark(outcome);
            told(
                mark,
                ending_word(outcome),
                stage.to_string(),
                format!("stage {}{}", outcome.word(), stage_time(state, stage)),
            )
        }
        EventKind::UnitStarted { unit, attempt, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            told(Mark::Run, "START", unit.to_string(), format!("{}{again}", step_title(state, unit)))
        }
        EventKind::UnitSaid { unit, text, .. } => told(Mark::Note, "SAYS", unit.to_string(), text.to_string()),
        EventKind::UnitEnded { unit, outcome, retry_after, .. } => {
            let time = match state.units.get(unit).map(|unit| unit.spent_ms) {
                Some(spent) if spent > 0 => format!(" in {}", Span(Duration::from_millis(spent))),
                _ => String::new(),
            };
            let again = retry_after.map_or(String::new(), |pause| format!(", again in {pause}"));
            let text = format!("{}{time}{again}{}", step_title(state, unit), reason(outcome));
            told(
                if retry_after.is_some() { Mark::Warn } else { mark(outcome) },
                ending_word(outcome),
                unit.to_string(),
                text,
            )
        }
        EventKind::PromptOpened { prompt } => {
            let why = match prompt.kind {
                PromptKind::Confirm | PromptKind::Interrupted => "",
                PromptKind::Failed => "it failed: ",
            };
            let text = format!("{why}{}\n{}", prompt.message, choices(prompt));
            told(Mark::Ask, "ASK", prompt.unit.to_string(), text)
        }
        EventKind::PromptAnswered { prompt, answer, by } => {
            let about = state.prompts.get(prompt).map_or_else(run, |asked| asked.prompt.unit.to_string());
            told(Mark::Note, "ANSWER", about, format!("{} (by {})", answer_words(answer), person(by)))
        }
        EventKind::Paused { by } => {
            told(Mark::Warn, "PAUSED", run(), format!("by {}; nothing new is started", person(by)))
        }
        EventKind::Continued { by } => told(Mark::Note, "GOES ON", run(), format!("by {}", person(by))),
        EventKind::CancelRequested { reason, by } => {
            let by = by.as_ref().map_or(String::new(), |by| format!(", by {}", person(by)));
            told(Mark::Warn, "STOP", run(), format!("{}{by}", cancel_words(*reason)))
        }
        EventKind::UndoStarted { because } => {
            told(Mark::Warn, "UNDO", run(), format!("completed steps are undone, because of {because}"))
        }
        EventKind::UnitUndone { unit, outcome } => {
            let text = format!("{}{}", if outcome.is_good() { "undone" } else { "undo did not work" }, reason(outcome));
            told(mark(outcome), "UNDO", unit.to_string(), text)
        }
        EventKind::RunEnded { outcome } => told(run_mark(outcome), "END", run(), outcome.word().to_owned()),
        EventKind::Newer => told(
            Mark::Unknown,
            "NEWER",
            run(),
            "something that only a newer version of the program can show".to_owned(),
        ),
        EventKind::UnitProgress { .. } | EventKind::JobBegun { .. } | EventKind::SessionStarted { .. } => None,
    }
}

/// The mark of an ending.
pub(super) fn mark(outcome: &Outcome) -> Mark {
    match outcome {
        Outcome::Succeeded => Mark::Ok,
        Outcome::Warned { .. } => Mark::Warn,
        Outcome::Skipped { .. } | Outcome::NotRun { .. } => Mark::Skip,
        Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::Cancelled { .. } => Mark::Fail,
        Outcome::Unknown { .. } => Mark::Unknown,
    }
}

/// The mark of a run's ending.
pub(super) fn run_mark(outcome: &RunOutcome) -> Mark {
    match outcome {
        RunOutcome::Done { warned: false } => Mark::Ok,
        RunOutcome::Done { warned: true } => Mark::Warn,
        RunOutcome::Failed { .. } | RunOutcome::Refused { .. } | RunOutcome::Cancelled { .. } => Mark::Fail,
        RunOutcome::Stuck { .. } => Mark::Unknown,
    }
}

/// Endings that share a mark have their own words in the log.
fn ending_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Cancelled { .. } => "STOPPED",
        Outcome::TimedOut { .. } => "TIMEOUT",
        Outcome::NotRun { .. } => "NOT RUN",
        _ => mark(outcome).word(),
    }
}

/// Why it ended like this, as it goes on after the words before: `: …`, or further lines.
fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded => String::new(),
        Outcome::Warned { warnings } => warnings.iter().flat_map(|text| ["\n", text.as_str()]).collect(),
        Outcome::Skipped { why: Skip::When(expression) } => format!(": `{expression}` is not true"),
        Outcome::Skipped { why: Skip::Operator { by, comment } } => format!(": {comment} ({by})"),
        Outcome::Skipped { why: Skip::NothingToDo(text) } => format!(": {text}"),
        Outcome::Failed { failure } | Outcome::Unknown { failure } => format!("\n{}", failure_lines(failure)),
        Outcome::TimedOut { after, failure } => format!("\nlonger than {after}\n{}", failure_lines(failure)),
        Outcome::Cancelled { by } => format!(": {}", cancel_words(*by)),
        Outcome::NotRun { because } => format!(": {}", not_run_words(because)),
    }
}

fn failure_lines(failure: &Failure) -> String {
    failure_parts(failure).map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("\n")
}

/// What a failure says, part by part.
pub(super) fn failure_parts(failure: &Failure) -> impl Iterator<Item = (&'static str, &SafeText)> {
    [("tried", Some(&failure.tried)), ("got", Some(&failure.got)), ("next", failure.hint.as_ref())]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
}

/// Why something was never started.
pub(super) fn not_run_words(because: &NotRun) -> String {
    match because {
        NotRun::After(step) => format!("{step} did not end well"),
        NotRun::Cancelled(reason) => cancel_words(*reason).to_owned(),
        NotRun::Declined(text) => format!("declined: {text}"),
    }
}

pub(super) fn cancel_words(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OtherFailed => "another step of the stage failed",
        CancelReason::Operator => "asked to stop after the running steps",
        CancelReason::OperatorNow => "asked to stop now",
        CancelReason::Signal => "a signal asked to stop after the running steps",
        CancelReason::SignalNow => "a second signal asked to stop now",
    }
}

fn answer_words(answer: &PromptAnswer) -> String {
    match answer {
        PromptAnswer::Proceed => "yes".to_owned(),
        PromptAnswer::Decline => "no".to_owned(),
        PromptAnswer::Retry => "do it again".to_owned(),
        PromptAnswer::Skip { comment } => format!("go on without it: {comment}"),
        PromptAnswer::ItWasDone { comment } => format!("it was done: {comment}"),
    }
}

/// How far a unit is: `34% (3.4 GiB of 10.0 GiB)`, `1,200 rows`.
pub(super) fn progress_words(done: u64, total: Option<u64>, what: &SafeText) -> String {
    let is_bytes = what.as_str() == "bytes";
    let amount = |n: u64| if is_bytes { ByteSize(n).to_string() } else { super::pen::number(n) };
    let unit = if is_bytes { String::new() } else { format!(" {what}") };
    match total {
        Some(total) if total > 0 => {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!("{percent}% ({} of {}{unit})", amount(done), amount(total))
        }
        _ => format!("{}{unit}", amount(done)),
    }
}

fn person(by: &Operator) -> String {
    format!("{} ({})", by.name, by.through)
}

fn step_title(state: &RunState, unit: &UnitKey) -> String {
    state.plan.step(&unit.step).map_or_else(String::new, |step| step.title.clone())
}

fn stage_title(state: &RunState, id: &StageId) -> String {
    state.plan.stage(id).map_or_else(String::new, |stage| stage.title.clone())
}

fn stage_time(state: &RunState, id: &StageId) -> String {
    let times = state.stages.get(id).and_then(|stage| Some((stage.started?, stage.ended.as_ref()?.0)));
    let took = times.and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok());
    took.map_or_else(String::new, |took| format!(" in {}", Span(took)))
}
