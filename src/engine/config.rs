//! What an engine is given, and why it may come to no ending of its own.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::attempt::SharedCatalogue;
use crate::estate::Estate;
use crate::model::{ConsoleId, PointId, RunId, UnitKey};
use crate::port::{Clock, Reach, Sink, SinkError};
use crate::run::{Event, IllegalTransition, Operator};
use crate::runbook::Plan;

/// What an engine works with.
#[derive(Clone)]
pub struct EngineConfig {
    /// The world.
    pub reach: Arc<dyn Reach>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The estate.
    pub estate: Arc<Estate>,
    /// The step kinds.
    pub catalogue: SharedCatalogue,
    /// Where events are kept.
    pub sink: Arc<dyn Sink>,
    /// Where events are told, after they are kept.
    pub events: EngineEvents,
    /// True when nobody can be asked: questions are answered with no.
    pub unattended: bool,
    /// Who started this process.
    pub by: Operator,
    /// This process, for the record.
    pub pid: u32,
    /// Where it runs: what holds the estate's lock here, so that no other process of the same id acts on the estate.
    pub console: ConsoleId,
}

/// Where events are told. Never holds the run up.
pub type EngineEvents = mpsc::UnboundedSender<Arc<Event>>;

/// A run that does not exist yet.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub run: RunId,
    /// The restore point it makes or uses.
    pub point: PointId,
    /// What is going to be done.
    pub plan: Plan,
}

/// Why a run could not be carried to an ending of its own.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The record could not be kept. Nothing was started after that.
    #[error("the record of the run cannot be kept: {source}; nothing new was started{}", open_units(open))]
    Record {
        /// What went wrong.
        source: SinkError,
        /// What was running then, whose endings are not on record.
        open: Vec<UnitKey>,
    },
    /// The history contradicts itself: a defect of the program, or a damaged journal.
    #[error("the history of the run contradicts itself: {0}")]
    Illegal(#[from] IllegalTransition),
    /// A step kind of the plan is not known to this version of the program, or its parameters do not fit.
    #[error("step {step}: {problem}")]
    Step {
        /// The step.
        step: String,
        /// What is wrong.
        problem: String,
    },
}

fn open_units(open: &[UnitKey]) -> String {
    if open.is_empty() {
        return String::new();
    }
    let names: Vec<String> = open.iter().map(ToString::to_string).collect();
    format!("; not on record is the ending of {}", names.join(", "))
}
