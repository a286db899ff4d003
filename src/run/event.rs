//! Events: owned, numbered, serialisable. The journal is a sequence of these and nothing else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{
    CancelReason, HostName, Outcome, PointId, RunId, RunOutcome, SafeText, SiteName, Span, StageId, StepKey, UnitKey,
};
use crate::runbook::{GuardLevel, Plan};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 without gaps within a run.
    pub seq: u64,
    /// Wall time, UTC.
    pub at: Timestamp,
    /// Monotonic time since this process began the run or its resumption, in milliseconds. Wall clocks jump; durations
    /// are taken from this, within one session of the run.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The run exists. Always the first event.
    RunCreated {
        /// Its id.
        run: RunId,
        /// The id of the restore point this run makes, uses or was given.
        point: PointId,
        /// What is going to be done.
        plan: Box<Plan>,
        /// The digest of the plan.
        digest: String,
        /// Who asked for it.
        by: Operator,
    },
    /// A process has taken the run over: at the beginning, and at each resumption.
    SessionStarted {
        /// Counts from 1.
        session: u32,
        /// The process id.
        pid: u32,
        /// Who started the process.
        by: Operator,
    },
    /// A stage has begun.
    StageStarted {
        /// Which.
        stage: StageId,
    },
    /// A stage has ended.
    StageEnded {
        /// Which.
        stage: StageId,
        /// How.
        outcome: Outcome,
    },
    /// The intent to do something, durable before its first byte goes to a host.
    UnitStarted {
        /// What.
        unit: UnitKey,
        /// Counts from 1 for each unit.
        attempt: u32,
        /// The kind's parameters with all templates rendered: what exactly is going to be done.
        params: Map<String, Value>,
    },
    /// A line about what a unit does or found.
    UnitSaid {
        /// Which.
        unit: UnitKey,
        /// The attempt.
        attempt: u32,
        /// What.
        text: SafeText,
    },
    /// How far a unit is. May be dropped by slow listeners.
    UnitProgress {
        /// Which.
        unit: UnitKey,
        /// The attempt.
        attempt: u32,
        /// Done so far.
        done: u64,
        /// Of how much, if that is known.
        total: Option<u64>,
        /// What is counted: `bytes`, `shards`, `files`, `rows`, `documents`.
        what: SafeText,
    },
    /// A durable job of a unit was begun, or found, at a host. Chatter: when it is lost, entering the unit again starts
    /// the job or finds it; when it is there, a job that has disappeared since is known to have been there.
    JobBegun {
        /// Which unit.
        unit: UnitKey,
        /// The attempt.
        attempt: u32,
        /// Where and what.
        job: JobAt,
    },
    /// One attempt has ended, and so has the unit, unless `retry_after` is given.
    UnitEnded {
        /// Which.
        unit: UnitKey,
        /// The attempt; 0 when none was started.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// What later steps can use as `{{ steps.<id>.<key> }}`.
        captures: Map<String, Value>,
        /// The pause before the next attempt, when there will be one.
        retry_after: Option<Span>,
    },
    /// A person is asked.
    PromptOpened {
        /// The question.
        prompt: Prompt,
    },
    /// A person answered.
    PromptAnswered {
        /// Which question.
        prompt: PromptId,
        /// What they chose.
        answer: PromptAnswer,
        /// Who.
        by: Operator,
    },
    /// Nothing new is started until resumed.
    Paused {
        /// By whom.
        by: Operator,
    },
    /// Goes on.
    Continued {
        /// By whom.
        by: Operator,
    },
    /// Somebody or something asked to stop. Later, more urgent requests replace earlier ones.
    CancelRequested {
        /// What asked.
        reason: CancelReason,
        /// Who, when it was a person.
        by: Option<Operator>,
    },
    /// Completed steps are now undone in reverse order.
    UndoStarted {
        /// The step whose failure is the reason.
        because: StepKey,
    },
    /// An undo has ended.
    UnitUndone {
        /// Which.
        unit: UnitKey,
        /// How.
        outcome: Outcome,
    },
    /// The run has ended. Nothing follows but a new session.
    RunEnded {
        /// How.
        outcome: RunOutcome,
    },
    /// An event of a newer version of the program: kept, shown as unknown, never guessed at.
    #[serde(other)]
    Newer,
}

/// How an event must be treated by bounded queues and by the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Must be durable before anything is done because of it.
    Intent,
    /// Must never be lost.
    Fact,
    /// May be dropped when somebody is slow.
    Chatter,
}

impl EventKind {
    /// How this event must be treated.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::UnitProgress { .. } | Self::UnitSaid { .. } | Self::JobBegun { .. } => Weight::Chatter,
            Self::RunCreated { .. }
            | Self::SessionStarted { .. }
            | Self::UnitStarted { .. }
            | Self::UndoStarted { .. } => Weight::Intent,
            _ => Weight::Fact,
        }
    }
}

/// A durable job and the machine it is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobAt {
    /// The site and the host; nothing for the machine the program runs on.
    pub host: Option<(SiteName, HostName)>,
    /// The job's name.
    pub name: String,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The login name, with the machine: `ops@app1`.
    pub name: SafeText,
    /// How: `terminal`, `cron`, `console`, `socket`.
    pub through: SafeText,
}

/// The identity of a question within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PromptId(pub u32);

/// A question that waits for a person, for as long as it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Its identity.
    pub id: PromptId,
    /// What about.
    pub unit: UnitKey,
    /// Why.
    pub kind: PromptKind,
    /// The question.
    pub message: SafeText,
    /// How hard it is to say yes.
    pub level: GuardLevel,
    /// What must be typed to say yes, for levels that want a phrase.
    pub phrase: Option<SafeText>,
}

/// Why a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// Before a step, as the runbook wants it.
    Confirm,
    /// After a failure: retry, skip or stop.
    Failed,
    /// After a crash, when it is not known what became of a step: was it done, repeat it, or stop.
    Interrupted,
}

/// What a person chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum PromptAnswer {
    /// Go on with it.
    Proceed,
    /// Do not; the run stops.
    Decline,
    /// Do it again.
    Retry,
    /// Go on without it.
    Skip {
        /// Why.
        comment: SafeText,
    },
    /// It was done: the person has looked.
    ItWasDone {
        /// What they saw.
        comment: SafeText,
    },
}
