//! The only `select!`: linearises everything that happens to a run, records it, and starts what `decide` allows.
//!
//! Intent before effect: an attempt is started only after its `UnitStarted` is durable. When the record cannot be
//! kept, nothing new starts, what runs is waited for, and the run says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::Ending;
use super::config::{EngineConfig, EngineError, NewRun};
use super::decide::{Decision, Surroundings, decide};
use super::endings::ended;
use super::leases::Leases;
use crate::model::{Failure, Lease, Outcome, UnitKey};
use crate::run::{Event, EventKind, Prompt, PromptId, RunCommand, RunPhase, RunState, UnitPhase};
use crate::systems::{Effect, JobLog, Verified, VoiceMessage};

/// Carries a plan out.
pub struct Engine {
    pub(super) config: EngineConfig,
    pub(super) state: RunState,
    pub(super) began: Duration,
    pub(super) live: BTreeMap<UnitKey, Live>,
    pub(super) retries: BTreeMap<UnitKey, Instant>,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) received: mpsc::UnboundedReceiver<Input>,
    pub(super) tasks: JoinSet<()>,
    pub(super) leases: Arc<Leases>,
    /// Output files that could not be written; said once each.
    pub(super) mute: BTreeSet<UnitKey>,
    /// True when nothing has happened that `decide` could make something of.
    pub(super) settled: bool,
}

/// An attempt that is running.
pub(super) struct Live {
    pub(super) attempt: u32,
    pub(super) what: Doing,
    /// Nothing until the task exists.
    pub(super) task: Option<tokio::task::Id>,
    pub(super) cancel: CancellationToken,
    pub(super) jobs: JobLog,
    pub(super) progress_told: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Running,
    Verifying,
    Undoing,
}

pub(super) enum Input {
    Voice(UnitKey, VoiceMessage),
    Ended(UnitKey, Ending),
    Verified(UnitKey, Result<Verified, Failure>),
    Undone(UnitKey, Outcome),
}

impl Engine {
    /// Creates a run and records that it exists.
    ///
    /// # Errors
    /// When the record cannot be kept, or when a step kind is unknown.
    pub async fn create(config: EngineConfig, new: NewRun) -> Result<Self, EngineError> {
        let kind = EventKind::RunCreated {
            run: new.run,
            point: new.point,
            digest: new.plan.digest().as_str().to_owned(),
            plan: Box::new(new.plan),
            by: config.by.clone(),
        };
        let began = config.clock.monotonic();
        let event = Event { seq: 1, at: config.clock.now(), elapsed_ms: 0, kind };
        let state = RunState::create(&event)?;
        let mut engine = Self::with(config, state, began)?;
        engine.keep(vec![event]).await?;
        Ok(engine)
    }

    /// Takes over a run that was interrupted, from its history.
    ///
    /// # Errors
    /// When the history contradicts itself, or when a step kind is unknown to this version.
    pub fn resume(config: EngineConfig, history: &[Event]) -> Result<Self, EngineError> {
        let state = RunState::replay(history)?;
        let began = config.clock.monotonic();
        Self::with(config, state, began)
    }

    fn with(config: EngineConfig, state: RunState, began: Duration) -> Result<Self, EngineError> {
        if let Some(step) = state.plan.steps().find(|step| config.catalogue.kind(&step.uses).is_none()) {
            let problem = format!("there is no step kind `{}` in this version of the program", step.uses);
            return Err(EngineError::Step { step: step.key.to_string(), problem });
        }
        let (inputs, received) = mpsc::unbounded_channel();
        let lease = Lease {
            run: state.run.clone(),
            session: state.session + 1,
            console: config.console.clone(),
            by: config.by.name.clone(),
            since: config.clock.now(),
        };
        let leases = Arc::new(Leases::new(lease, config.estate.sites.keys()));
        Ok(Self {
            config,
            state,
            began,
            live: BTreeMap::new(),
            retries: BTreeMap::new(),
            inputs,
            received,
            tasks: JoinSet::new(),
            leases,
            mute: BTreeSet::new(),
            settled: false,
        })
    }

    /// What is known of the run now.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Carries the plan out until the run has ended.
    ///
    /// # Errors
    /// [`EngineError`]: the run has no ending on record then; it can be resumed.
    pub async fn run(self, commands: mpsc::Receiver<RunCommand>) -> Result<RunState, EngineError> {
        let leases = Arc::clone(&self.leases);
        let ended = self.carry(commands).await;
        leases.give_back().await;
        ended
    }

    async fn carry(mut self, mut commands: mpsc::Receiver<RunCommand>) -> Result<RunState, EngineError> {
        let session = EventKind::SessionStarted {
            session: self.state.session + 1,
            pid: self.config.pid,
            by: self.config.by.clone(),
        };
        self.record(vec![session]).await?;
        self.forget_of_last_session();
        let mut commands_open = true;
        loop {
            self.settle().await?;
            if matches!(self.state.phase, RunPhase::Ended(_)) && self.live.is_empty() {
                while self.tasks.join_next().await.is_some() {}
                return Ok(self.state);
            }
            let next_retry = self.retries.values().min().copied();
            tokio::select! {
                biased;
                command = commands.recv(), if commands_open => match command {
                    Some(command) => self.command(command).await?,
                    None => commands_open = false,
                },
                Some(input) = self.received.recv() => self.inputs(input).await?,
                () = sleep_until(next_retry), if next_retry.is_some() && self.state.phase == RunPhase::Running => self.start_retries().await?,
                Some(task) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.task_ended(task).await?,
            }
        }
    }

    /// Carries out everything that may happen now.
    async fn settle(&mut self) -> Result<(), EngineError> {
        // Most events are chatter, which may be lost, so that no decision can depend on it.
        while !self.settled {
            let decisions = {
                let config = &self.config;
                let direction = &self.state.plan.direction;
                let titles = (config.estate.title(&direction.source), config.estate.title(&direction.target));
                let live = &self.live;
                let around = Surroundings {
                    titles,
                    unattended: config.unattended,
                    changes: &|kind| config.catalogue.kind(kind).is_some_and(|kind| kind.effect != Effect::Reads),
                    busy: &|unit| live.contains_key(unit),
                };
                decide(&self.state, &around)
            };
            self.settled = true;
            // What begins at once is one group.
            let mut starts = Vec::new();
            for decision in decisions {
                if let Decision::Start { unit, attempt } = decision {
                    starts.push((unit, attempt));
                    continue;
                }
                self.start(&std::mem::take(&mut starts)).await?;
                self.carry_out(decision).await?;
            }
            self.start(&starts).await?;
        }
        Ok(())
    }

    pub(super) async fn carry_out(&mut self, decision: Decision) -> Result<(), EngineError> {
        match decision {
            Decision::BeginStage(stage) => self.record(vec![EventKind::StageStarted { stage }]).await,
            Decision::EndStage(stage, outcome) => self.record(vec![EventKind::StageEnded { stage, outcome }]).await,
            Decision::Start { unit, attempt } => self.start(&[(unit, attempt)]).await,
            Decision::End { unit, outcome } => {
                self.retries.remove(&unit);
                let attempt = match self.state.units.get(&unit).map(|unit| (&unit.phase, unit.attempts)) {
                    Some((UnitPhase::Interrupted, attempts)) => attempts,
                    _ => 0,
                };
                self.record(vec![ended(unit, attempt, outcome, Map::new(), None)]).await
            }
            Decision::Ask { unit, kind, message, level, phrase } => {
                #[expect(clippy::cast_possible_truncation, reason = "a run has fewer than 2^32 events")]
                let id = PromptId(self.state.last_seq as u32 + 1);
                let prompt = Prompt { id, unit, kind, message, level, phrase };
                self.record(vec![EventKind::PromptOpened { prompt }]).await
            }
            Decision::BeginUndo { because } => self.record(vec![EventKind::UndoStarted { because }]).await,
            Decision::EndRun(outcome) => self.record(vec![EventKind::RunEnded { outcome }]).await,
            Decision::Verify { unit } => self.spawn(&unit, Doing::Verifying).await,
            Decision::Undo { unit } => self.spawn(&unit, Doing::Undoing).await,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
