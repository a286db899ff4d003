//! What a person may ask of a running run.

use serde::{Deserialize, Serialize};

use super::{Operator, PromptAnswer, PromptId};
use crate::model::{CancelReason, UnitKey};

/// One request. Requests are facts once the engine has recorded them as events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum RunCommand {
    /// Stop; the reason says how urgently.
    Cancel {
        /// How urgently.
        reason: CancelReason,
        /// Who, when it was a person.
        by: Option<Operator>,
    },
    /// Start nothing new until told to go on.
    Pause {
        /// Who.
        by: Operator,
    },
    /// Go on.
    Continue {
        /// Who.
        by: Operator,
    },
    /// Do not wait for the end of the pause after a failed attempt.
    RetryNow {
        /// What failed.
        unit: UnitKey,
        /// Who.
        by: Operator,
    },
    /// Answer a question.
    Answer(Answer),
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which question.
    pub prompt: PromptId,
    /// What was chosen.
    pub answer: PromptAnswer,
    /// What was typed, when the question wants a phrase.
    #[serde(default)]
    pub typed: Option<String>,
    /// Who.
    pub by: Operator,
}
