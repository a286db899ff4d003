//! The answers file: what an operator who is not there does, one thing after another, each as the answer to something
//! they see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parse::{check_runbook, decode};
use crate::document::Parsed;
use crate::model::{CancelReason, SourceText, Span, StageId};
use crate::run::{Event, EventKind, PromptAnswer};

/// What an operator does. The entries are gone through in order; each waits until it sees what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// One thing after another.
    #[serde(default)]
    pub answers: Vec<AnswerEntry>,
}

/// One thing an operator does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerEntry {
    /// What they wait for. Only what is seen after they did the thing before counts; an open question always does.
    pub when: When,
    /// How long they think then.
    #[serde(default = "half_a_minute")]
    pub think: Span,
    /// What they do.
    #[serde(rename = "do")]
    pub act: Act,
}

/// What an operator waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The story has begun.
    Begins,
    /// A run says that something did not go well.
    Told,
    /// A step has failed for good.
    Failed,
    /// A run asks.
    Asked,
    /// A run has ended, well or not.
    RunEnded,
    /// A run has ended otherwise than well.
    RunFailed,
    /// A step says a line with these words in it.
    Says(String),
}

/// What an operator does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Answers the first open question with a line, as it would be typed: `retry`, `skip WHY`, `stop`, `y`.
    Answer(String),
    /// Starts a runbook.
    Run(StageId),
    /// Resumes the run that ended last.
    Resume,
    /// Asks the run to stop after its running steps.
    Cancel,
    /// Asks the run to stop its running steps too.
    StopNow,
    /// Asks the run to begin nothing new.
    Pause,
    /// Lets a paused run go on.
    Continue,
    /// Says what they have noticed, and does nothing.
    Note(String),
}

impl Act {
    /// What a person did, as a run has it on record; nothing for what the run did by itself.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        Some(match &event.kind {
            EventKind::PromptAnswered { answer, .. } => Self::Answer(match answer {
                PromptAnswer::Proceed => "yes".to_owned(),
                PromptAnswer::Decline => "no".to_owned(),
                PromptAnswer::Retry => "retry".to_owned(),
                PromptAnswer::Skip { comment } => format!("skip {comment}"),
                PromptAnswer::ItWasDone { comment } => format!("done {comment}"),
            }),
            EventKind::CancelRequested { reason: CancelReason::Operator, by: Some(_) } => Self::Cancel,
            EventKind::CancelRequested { reason: CancelReason::OperatorNow, by: Some(_) } => Self::StopNow,
            EventKind::Paused { .. } => Self::Pause,
            EventKind::Continued { .. } => Self::Continue,
            _ => return None,
        })
    }

    /// True for what only says something.
    #[must_use]
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Note(_))
    }
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}

/// Reads an answers file and finds everything that is wrong with it. `runbooks` are those that can be started.
#[must_use]
pub fn examine_answers(source: &SourceText, runbooks: &[&str]) -> Parsed<Answers> {
    let mut parsed = decode(source, &Value::from(schemars::schema_for!(Answers)));
    for (index, entry) in parsed.root.get("answers").map_or(&[][..], |answers| answers.items()).iter().enumerate() {
        if let Some(run) = entry.get("do").and_then(|act| act.get("run")) {
            parsed.problems.extend(check_runbook(&source.name, &format!("answers[{index}].do.run"), run, runbooks));
        }
    }
    crate::document::tidy(&mut parsed.problems);
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SafeText;
    use crate::run::{Operator, PromptId};

    #[test]
    fn what_a_person_did_is_read_from_the_record_and_what_the_run_did_is_not() {
        let by = || Operator { name: "x".into(), through: "y".into() };
        let of = |kind| Act::of(&Event { seq: 2, at: jiff::Timestamp::UNIX_EPOCH, elapsed_ms: 0, kind });
        let answer = |answer| of(EventKind::PromptAnswered { prompt: PromptId(1), answer, by: by() });
        let cancel = |reason, by| of(EventKind::CancelRequested { reason, by });
        let comment = || SafeText::line("it is there");
        for (answered, line) in [
            (PromptAnswer::Proceed, "yes"),
            (PromptAnswer::Decline, "no"),
            (PromptAnswer::Retry, "retry"),
            (PromptAnswer::Skip { comment: comment() }, "skip it is there"),
            (PromptAnswer::ItWasDone { comment: comment() }, "done it is there"),
        ] {
            assert_eq!(answer(answered), Some(Act::Answer(line.to_owned())));
        }
        assert_eq!(cancel(CancelReason::Operator, Some(by())), Some(Act::Cancel));
        assert_eq!(cancel(CancelReason::OperatorNow, Some(by())), Some(Act::StopNow));
        assert_eq!(cancel(CancelReason::OperatorNow, None), None, "the end of the story is no act of the operator");
        assert_eq!(of(EventKind::Paused { by: by() }), Some(Act::Pause));
        assert_eq!(of(EventKind::Continued { by: by() }), Some(Act::Continue));
        assert_eq!(of(EventKind::SessionStarted { session: 2, pid: 1, by: by() }), None);
    }
}
