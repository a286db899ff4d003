//! Every way something can end, with the reason as a value. No listener ever infers an ending.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SafeText, Span, StepKey};

/// How one attempt, one unit, one step or one stage ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and seen to be done.
    Succeeded,
    /// Done, but a person should know something.
    Warned {
        /// What to know, one finding a line.
        warnings: Vec<SafeText>,
    },
    /// Deliberately not done.
    Skipped {
        /// Why, or by whom.
        why: Skip,
    },
    /// Not done; what is left behind is said in the failure.
    Failed {
        /// What was tried, what came back, and what to do next.
        failure: Failure,
    },
    /// Took longer than allowed. What was started remotely has been stopped, unless the failure text says otherwise.
    TimedOut {
        /// The allowed time.
        after: Span,
        /// What is known about the state left behind.
        failure: Failure,
    },
    /// Stopped on request.
    Cancelled {
        /// By what.
        by: CancelReason,
    },
    /// Never started.
    NotRun {
        /// Because of what.
        because: NotRun,
    },
    /// Started, and nobody knows how it ended. Never treated as failed and never repeated without being asked.
    Unknown {
        /// What is not known and how to find out.
        failure: Failure,
    },
}

impl Outcome {
    /// True when later steps may build on this one.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Warned { .. } | Self::Skipped { .. })
    }

    /// One word, for tables and for people who cannot see colours.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "done",
            Self::Warned { .. } => "warned",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed out",
            Self::Cancelled { .. } => "cancelled",
            Self::NotRun { .. } => "not run",
            Self::Unknown { .. } => "UNKNOWN",
        }
    }

    /// The failure inside, if this ending has one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure } | Self::TimedOut { failure, .. } | Self::Unknown { failure } => Some(failure),
            _ => None,
        }
    }
}

/// What went wrong, in four parts that a tired person can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The family, which decides whether a repetition can help.
    pub kind: FailureKind,
    /// What was tried, with host or address: "take snapshot p-2026… in repository prod-to-bcp at 10.0.1.11:9200".
    pub tried: SafeText,
    /// What came back.
    pub got: SafeText,
    /// What to do next, if we know.
    pub hint: Option<SafeText>,
}

impl Failure {
    /// A failure of `kind`; texts are made safe here.
    #[must_use]
    pub fn new(kind: FailureKind, tried: impl AsRef<str>, got: impl AsRef<str>) -> Self {
        Self { kind, tried: SafeText::block(tried.as_ref()), got: SafeText::block(got.as_ref()), hint: None }
    }

    /// The same failure with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(SafeText::block(hint.as_ref()));
        self
    }

    /// True when the remote effect is in doubt, so that the ending must be [`Outcome::Unknown`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.kind == FailureKind::Unknown
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tried to {}: {}", self.tried, self.got)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nnext: {hint}")?;
        }
        Ok(())
    }
}

/// The family of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Could not reach it; nothing was started. Repeating can help.
    Unreachable,
    /// The other side is busy or temporarily unable. Repeating can help.
    Busy,
    /// The other side answered no, or the work itself failed. Repeating as it is will not help.
    Refused,
    /// A safety rule of ours said no; nothing was changed.
    Rule,
    /// What was counted differs from what was expected.
    Mismatch,
    /// The input (estate, runbook, parameter) is wrong.
    Invalid,
    /// Something was started and its ending cannot be learned.
    Unknown,
    /// The step was asked to stop and did.
    Cancelled,
}

impl FailureKind {
    /// True when the retry policy of a step applies. Unknown outcomes are never repeated.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unreachable | Self::Busy)
    }
}

/// Why a step was deliberately not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its `when` was false; the expression as written.
    When(SafeText),
    /// An operator decided so.
    Operator {
        /// Who.
        by: SafeText,
        /// Their words.
        comment: SafeText,
    },
    /// There was nothing to do.
    NothingToDo(SafeText),
}

/// Why a step was never started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotRun {
    /// This step ended badly before.
    After(StepKey),
    /// The run was cancelled before.
    Cancelled(CancelReason),
    /// A person was asked and said no, or could not be asked.
    Declined(SafeText),
}

/// Why something was stopped, from the least to the most urgent. A more urgent reason replaces a lesser one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Another step of the same stage failed.
    OtherFailed,
    /// An operator asked to stop after the running step.
    Operator,
    /// An operator asked again: stop the running step.
    OperatorNow,
    /// A signal (SIGINT, SIGTERM) asked to stop after the running step.
    Signal,
    /// A second signal: stop the running step.
    SignalNow,
}

impl CancelReason {
    /// True when running steps are to be stopped too, not only later ones.
    #[must_use]
    pub fn stops_running_steps(self) -> bool {
        matches!(self, Self::OperatorNow | Self::SignalNow)
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "run", rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every step ended well.
    Done {
        /// True when at least one step warned.
        warned: bool,
    },
    /// A step failed; nothing is half done beyond what its failure says.
    Failed {
        /// The first step that failed.
        step: StepKey,
    },
    /// A safety rule refused before anything was changed.
    Refused {
        /// The step whose rule said no.
        step: StepKey,
    },
    /// Stopped on request.
    Cancelled {
        /// By what.
        by: CancelReason,
    },
    /// The ending of at least one step is unknown, or an undo failed. A person is needed.
    Stuck {
        /// The steps whose state is not known.
        unknown: Vec<StepKey>,
    },
}

impl RunOutcome {
    /// The documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Done { .. } => 0,
            Self::Failed { .. } | Self::Cancelled { .. } => 1,
            Self::Refused { .. } => 3,
            Self::Stuck { .. } => 4,
        }
    }

    /// One word for tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done { warned: false } => "done",
            Self::Done { warned: true } => "done, warned",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Cancelled { .. } => "cancelled",
            Self::Stuck { .. } => "STUCK",
        }
    }
}
