//! What attempts tell, and what becomes of it: said and printed while they run, and how they ended. Nothing that they tell
//! is believed beyond what its event says, and nothing is taken from one that was given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinError;
use tokio::time::Instant;

use super::attempt::{Ending, pause_before};
use super::config::EngineError;
use super::decide::Decision;
use super::dispatcher::{Doing, Engine, Input};
use super::doubt::look_and_say;
use crate::model::{CancelReason, Failure, FailureKind, Outcome, SafeText, Span, UnitKey};
use crate::port::{JobId, Place};
use crate::run::{EventKind, JobAt, PromptKind, UnitState};
use crate::systems::{Verified, VoiceMessage};

/// The least time between two progress events of one unit.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// The most that is taken in before commands are heard again.
const TAKEN_AT_ONCE: usize = 64;

impl Engine {
    /// A task that panicked is a defect of ours; what it had started is unknown, and the run says so.
    pub(super) async fn task_ended(
        &mut self,
        ended_task: Result<(tokio::task::Id, ()), JoinError>,
    ) -> Result<(), EngineError> {
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
    pub(super) async fn inputs(&mut self, first: Input) -> Result<(), EngineError> {
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
                if let Err(error) = self.config.sink.output(&unit, attempt, self.config.clock.now(), &bytes).await
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

    pub(super) async fn start_retries(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        let due: Vec<UnitKey> =
            self.retries.iter().filter(|(_, at)| **at <= now).map(|(unit, _)| unit.clone()).collect();
        let attempt = |unit: &UnitKey| self.state.units.get(unit).map_or(1, |unit| unit.attempts + 1);
        let starts: Vec<(UnitKey, u32)> = due.into_iter().map(|unit| (unit.clone(), attempt(&unit))).collect();
        self.start(&starts).await
    }

    /// Forgets what the session before may not have come to forget: it died after it had recorded a good ending.
    pub(super) fn forget_of_last_session(&mut self) {
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
