//! The answers file: what an operator who is not there does, one thing after another, each as the answer to something
//! they see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parse::{check_runbook, decode};
use crate::document::Parsed;
use crate::model::{SourceText, Span, StageId};

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
