//! The only `select!`: linearises everything that happens to a run, records it, and starts what `decide` allows.
//!
//! Intent before effect: an attempt is started only after its `UnitStarted` is durable. When the record cannot be
//! kept, nothing new starts, what runs is waited for, and the run says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{Ending, SharedCatalogue, pause_before};
use super::decide::{Decision, Surroundings, decide};
use super::doubt::look_and_say;
use super::leases::Leases;
use crate::estate::Estate;
use crate::model::{
    CancelReason, ConsoleId, Failure, FailureKind, Lease, Outcome, PointId, RunId, SafeText, Span, UnitKey,
};
use crate::port::{Clock, JobId, Place, Reach, Sink, SinkError};
use crate::run::{
    Answer, Event, EventKind, IllegalTransition, JobAt, Operator, Prompt, PromptAnswer, PromptId, PromptKind,
    RunCommand, RunPhase, RunState, UnitPhase, UnitState, Weight,
};
use crate::runbook::Plan;
use crate::systems::{Effect, JobLog, Verified, VoiceMessage};

/// The least time between two progress events of one unit.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// The most that is taken in before commands are heard again.
const TAKEN_AT_ONCE: usize = 64;

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

    async fn carry_out(&mut self, decision: Decision) -> Result<(), EngineError> {
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

    /// A task that panicked is a defect of ours; what it had started is unknown, and the run says so.
    async fn task_ended(&mut self, ended_task: Result<(tokio::task::Id, ()), JoinError>) -> Result<(), EngineError> {
        let Err(error) = ended_task else { return Ok(()) };
        let found = self.live.iter().find(|(_, live)| live.task == Some(error.id())).map(|(unit, _)| unit.clone());
        let Some(unit) = found else { return Ok(()) };
        let Some(live) = self.live.remove(&unit) else { return Ok(()) };
        let failure =
            Failure::new(FailureKind::Unknown, format!("run {unit}"), format!("the program itself failed: {error}"))
                .hint("this is a defect of the program; look at what the step left behind, and report it");
        let outcome = Outcome::Unknown { failure };
        let kind = match live.what {
            Doing::Undoing => EventKind::UnitUndone { unit, outcome },
            Doing::Running | Doing::Verifying => ended(unit, live.attempt, outcome, Map::new(), None),
        };
        self.record(vec![kind]).await
    }

    /// Takes what has come in, in its order. Endings that came one after the other are recorded as one group.
    async fn inputs(&mut self, first: Input) -> Result<(), EngineError> {
        let mut came = vec![first];
        while came.len() < TAKEN_AT_ONCE
            && let Ok(next) = self.received.try_recv()
        {
            came.push(next);
        }
        let mut endings = Vec::new();
        for input in came {
            if let Input::Ended(unit, ending) = input {
                endings.push((unit, ending));
                continue;
            }
            self.attempts_ended(&mut endings).await?;
            self.input(input).await?;
        }
        self.attempts_ended(&mut endings).await
    }

    async fn input(&mut self, input: Input) -> Result<(), EngineError> {
        match input {
            Input::Voice(unit, message) => self.voice(unit, message).await,
            Input::Ended(unit, ending) => self.attempts_ended(&mut vec![(unit, ending)]).await,
            Input::Verified(unit, found) => self.verified(unit, found).await,
            Input::Undone(unit, outcome) => {
                self.live.remove(&unit);
                self.record(vec![EventKind::UnitUndone { unit, outcome }]).await
            }
        }
    }

    async fn voice(&mut self, unit: UnitKey, message: VoiceMessage) -> Result<(), EngineError> {
        let Some(live) = self.live.get_mut(&unit) else { return Ok(()) };
        let attempt = live.attempt;
        match message {
            VoiceMessage::Said(text) => self.record(vec![EventKind::UnitSaid { unit, attempt, text }]).await,
            VoiceMessage::Progress { done, total, what } => {
                let now = Instant::now();
                let complete = total == Some(done);
                if !complete && live.progress_told.is_some_and(|told| now - told < PROGRESS_INTERVAL) {
                    return Ok(());
                }
                live.progress_told = Some(now);
                let what = SafeText::line(what);
                self.record(vec![EventKind::UnitProgress { unit, attempt, done, total, what }]).await
            }
            VoiceMessage::JobBegun(place, job) => {
                let host = match place {
                    Place::Console => None,
                    Place::Host(site, host) => Some((site, host)),
                };
                let job = JobAt { host, name: job.as_str().to_owned() };
                self.record(vec![EventKind::JobBegun { unit, attempt, job }]).await
            }
            VoiceMessage::Output { bytes, room: _room } => {
                if let Err(error) = self.config.sink.output(&unit, attempt, &bytes).await
                    && self.mute.insert(unit.clone())
                {
                    let text = SafeText::block(&format!("its output is not kept: {error}"));
                    return self.record(vec![EventKind::UnitSaid { unit, attempt, text }]).await;
                }
                Ok(())
            }
        }
    }

    /// Records the endings that were gathered, if any were, and forgets the jobs of those that ended well.
    async fn attempts_ended(&mut self, endings: &mut Vec<(UnitKey, Ending)>) -> Result<(), EngineError> {
        let (mut facts, mut forgotten) = (Vec::new(), Vec::new());
        for (unit, ending) in endings.drain(..) {
            let Some(live) = self.live.remove(&unit) else { continue };
            let outcome = match ending.outcome {
                Outcome::Cancelled { .. } => {
                    Outcome::Cancelled { by: self.state.cancel.unwrap_or(CancelReason::OtherFailed) }
                }
                other => other,
            };
            let retry = self.retry_after(&unit, live.attempt, &outcome);
            if outcome.is_good() {
                forgotten.push(live.jobs);
            }
            if let Some(pause) = retry {
                self.retries.insert(unit.clone(), Instant::now() + pause.0);
            }
            facts.push(ended(unit, live.attempt, outcome, ending.captures, retry));
        }
        if !facts.is_empty() {
            self.record(facts).await?;
        }
        for jobs in forgotten {
            self.forget(jobs.all());
        }
        Ok(())
    }

    fn retry_after(&self, unit: &UnitKey, attempt: u32, outcome: &Outcome) -> Option<Span> {
        let step = self.state.plan.step(&unit.step)?;
        let failure = outcome.failure()?;
        let again = matches!(outcome, Outcome::Failed { .. })
            && failure.kind.is_retryable()
            && attempt < u32::from(step.retry.attempts)
            && self.state.cancel.is_none();
        again.then(|| pause_before(attempt + 1, step.retry.backoff))
    }

    async fn verified(&mut self, unit: UnitKey, found: Result<Verified, Failure>) -> Result<(), EngineError> {
        let Some(live) = self.live.remove(&unit) else { return Ok(()) };
        match found {
            Ok(Verified::Done(done)) => {
                let ending = Ending::done(done);
                self.record(vec![ended(unit, live.attempt, ending.outcome, ending.captures, None)]).await
            }
            Ok(Verified::NotDone) => self.start(&[(unit, live.attempt + 1)]).await,
            Ok(Verified::CannotTell) => {
                let failure = Failure::new(
                    FailureKind::Unknown,
                    format!("find out what became of {unit}"),
                    "the program died while it ran, and it cannot be told whether it had its effect",
                )
                .hint(look_and_say(&self.state.run));
                self.unknown(unit, live.attempt, failure).await
            }
            Err(mut failure) => {
                failure.kind = FailureKind::Unknown;
                self.unknown(unit, live.attempt, failure).await
            }
        }
    }

    /// Asks a person about a unit of unknown fate, or ends it as unknown when nobody can be asked.
    async fn unknown(&mut self, unit: UnitKey, attempt: u32, failure: Failure) -> Result<(), EngineError> {
        if self.config.unattended {
            return self.record(vec![ended(unit, attempt, Outcome::Unknown { failure }, Map::new(), None)]).await;
        }
        let decision = Decision::Ask {
            unit,
            kind: PromptKind::Interrupted,
            message: SafeText::block(&failure.to_string()),
            level: crate::runbook::GuardLevel::Reversible,
            phrase: None,
        };
        self.carry_out(decision).await
    }

    async fn start_retries(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        let due: Vec<UnitKey> =
            self.retries.iter().filter(|(_, at)| **at <= now).map(|(unit, _)| unit.clone()).collect();
        let attempt = |unit: &UnitKey| self.state.units.get(unit).map_or(1, |unit| unit.attempts + 1);
        let starts: Vec<(UnitKey, u32)> = due.into_iter().map(|unit| (unit.clone(), attempt(&unit))).collect();
        self.start(&starts).await
    }

    async fn command(&mut self, command: RunCommand) -> Result<(), EngineError> {
        if matches!(self.state.phase, RunPhase::Ended(_)) {
            return Ok(());
        }
        match command {
            RunCommand::Cancel { reason, by } => {
                let reason = escalate(self.state.cancel, reason);
                self.record(vec![EventKind::CancelRequested { reason, by }]).await?;
                if reason.stops_running_steps() {
                    for live in self.live.values() {
                        live.cancel.cancel();
                    }
                }
                Ok(())
            }
            RunCommand::Pause { by } => self.record(vec![EventKind::Paused { by }]).await,
            RunCommand::Continue { by } => self.record(vec![EventKind::Continued { by }]).await,
            RunCommand::RetryNow { unit, by } => self.retry_now(unit, &by).await,
            RunCommand::Answer(answer) => self.answer(answer).await,
        }
    }

    /// Ends the pause before the next attempt of a unit; nothing when it is not in such a pause any more.
    async fn retry_now(&mut self, unit: UnitKey, by: &Operator) -> Result<(), EngineError> {
        let Some(due) = self.retries.get_mut(&unit) else { return Ok(()) };
        *due = Instant::now();
        let attempt = self.state.units.get(&unit).map_or(1, |unit| unit.attempts);
        let text = SafeText::block(&format!("{} does not want to wait for the next attempt", by.name));
        self.record(vec![EventKind::UnitSaid { unit, attempt, text }]).await
    }

    /// Takes an answer, unless the question is gone, answered, or wants a phrase that was not typed.
    async fn answer(&mut self, answer: Answer) -> Result<(), EngineError> {
        let Some(asked) = self.state.prompts.get(&answer.prompt).filter(|asked| asked.answer.is_none()) else {
            return Ok(());
        };
        let says_yes = !matches!(answer.answer, PromptAnswer::Decline);
        if says_yes
            && let Some(phrase) = &asked.prompt.phrase
            && answer.typed.as_deref().map(str::trim) != Some(phrase.as_str())
        {
            let unit = asked.prompt.unit.clone();
            let attempt = asked.attempt;
            let text = SafeText::block("a confirmation was refused: what was typed is not the phrase");
            return self.record(vec![EventKind::UnitSaid { unit, attempt, text }]).await;
        }
        self.record(vec![EventKind::PromptAnswered { prompt: answer.prompt, answer: answer.answer, by: answer.by }])
            .await
    }

    /// Forgets what the session before may not have come to forget: it died after it had recorded a good ending.
    fn forget_of_last_session(&mut self) {
        let last = self.state.session.saturating_sub(1);
        let ended = |unit: &UnitState| unit.ended_in == last && unit.outcome().is_some_and(Outcome::is_good);
        let units = self.state.units.iter().filter(|(_, unit)| last > 0 && ended(unit));
        let jobs: Vec<BTreeSet<(Place, JobId)>> = units.map(|(unit, _)| self.jobs_of(unit)).collect();
        for jobs in jobs {
            self.forget(jobs);
        }
    }

    /// Removes the folders of ended jobs, in the background: losing one only leaves a folder behind.
    fn forget(&mut self, jobs: BTreeSet<(Place, JobId)>) {
        for (place, job) in jobs {
            let reach = Arc::clone(&self.config.reach);
            self.tasks.spawn(async move {
                if let Err(error) = reach.job_forget(&place, &job).await {
                    tracing::warn!(%place, %job, %error, "the folder of an ended job was left behind");
                }
            });
        }
    }

    pub(super) async fn record(&mut self, kinds: Vec<EventKind>) -> Result<(), EngineError> {
        let elapsed = self.config.clock.monotonic().saturating_sub(self.began);
        let at = self.config.clock.now();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let first = self.state.last_seq + 1;
        let events: Vec<Event> = (first..).zip(kinds).map(|(seq, kind)| Event { seq, at, elapsed_ms, kind }).collect();
        // Folded before it is kept, so that nothing impossible is ever kept. The state is then ahead of the record only
        // until this returns, or for good when it fails: then nothing looks at the state again.
        for event in &events {
            self.state.apply(event)?;
            self.settled &= event.kind.weight() == Weight::Chatter;
        }
        self.keep(events).await
    }

    async fn keep(&mut self, events: Vec<Event>) -> Result<(), EngineError> {
        if let Err(source) = self.config.sink.append(&events).await {
            let open: Vec<UnitKey> = self.live.keys().cloned().collect();
            // What runs is not stopped: killing it would only make its outcome worse. It is waited for.
            self.retries.clear();
            // What it still tells is not kept either; an attempt that streams output must not wait for us.
            self.received.close();
            while self.received.try_recv().is_ok() {}
            while self.tasks.join_next().await.is_some() {}
            return Err(EngineError::Record { source, open });
        }
        for event in events {
            // Nobody listening is fine: the record is what counts.
            drop(self.config.events.send(Arc::new(event)));
        }
        Ok(())
    }
}

/// A second request of the same kind is more urgent than the first.
pub(super) fn escalate(before: Option<CancelReason>, asked: CancelReason) -> CancelReason {
    let again = match (before, asked) {
        (Some(CancelReason::Signal), CancelReason::Signal) => CancelReason::SignalNow,
        (Some(CancelReason::Operator), CancelReason::Operator) => CancelReason::OperatorNow,
        _ => asked,
    };
    before.map_or(again, |before| before.max(again))
}

pub(super) fn ended(
    unit: UnitKey,
    attempt: u32,
    outcome: Outcome,
    captures: Map<String, Value>,
    retry_after: Option<Span>,
) -> EventKind {
    EventKind::UnitEnded { unit, attempt, outcome, captures, retry_after }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
