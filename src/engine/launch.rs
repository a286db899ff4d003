//! From a decision to a running attempt: parameters rendered, the intent recorded, and only then a task.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::config::EngineError;
use super::dispatcher::{Doing, Engine, Input, Live};
use super::endings::ended;
use crate::model::{Failure, FailureKind, Outcome, UnitKey};
use crate::port::{JobId, Place};
use crate::run::{EventKind, JobAt, UnitState};
use crate::runbook::render_value;
use crate::systems::{Circumstances, JobLog, StepContext, Voice};

/// The step kind that writes the first direction record, and so cannot demand one.
const FOUNDS_DIRECTION: &str = "exchange.prepare";

impl Engine {
    /// Renders the parameters of units that begin together, makes their intents durable as one group, and only then
    /// starts them: on twenty hosts that is one sync in place of twenty.
    pub(super) async fn start(&mut self, starts: &[(UnitKey, u32)]) -> Result<(), EngineError> {
        let (mut intents, mut sound) = (Vec::new(), Vec::new());
        for (unit, attempt) in starts {
            self.retries.remove(unit);
            let started = |params| EventKind::UnitStarted { unit: unit.clone(), attempt: *attempt, params };
            match self.params(unit) {
                Ok(params) => {
                    intents.push(started(params));
                    sound.push(unit);
                }
                Err(failure) => {
                    // Nothing was started: the unit ends as a failure of its declaration, unless something from before
                    // may still be at work.
                    let is_loose = self.state.units.get(unit).is_some_and(|unit| unit.loose_since.is_some());
                    let outcome = if is_loose { Outcome::Unknown { failure } } else { Outcome::Failed { failure } };
                    intents.push(started(Map::new()));
                    intents.push(ended(unit.clone(), *attempt, outcome, Map::new(), None));
                }
            }
        }
        if intents.is_empty() {
            return Ok(());
        }
        self.record(intents).await?;
        for unit in sound {
            self.spawn(unit, Doing::Running).await?;
        }
        Ok(())
    }

    /// The durable jobs that are known of a unit.
    pub(super) fn jobs_of(&self, unit: &UnitKey) -> BTreeSet<(Place, JobId)> {
        let place = |job: &JobAt| match &job.host {
            Some((site, host)) => Place::Host(site.clone(), host.clone()),
            None => Place::Console,
        };
        let jobs = self.state.units.get(unit).into_iter().flat_map(|unit| &unit.jobs);
        jobs.map(|job| (place(job), JobId::new(&[&job.name]))).collect()
    }

    /// The attempts before the latest that may have left something at work.
    fn loose_attempts(&self, unit: &UnitKey) -> Range<u32> {
        self.state.units.get(unit).map_or(0..0, UnitState::loose_attempts)
    }

    fn params(&self, unit: &UnitKey) -> Result<Map<String, Value>, Failure> {
        let tried = || format!("work out the parameters of {unit}");
        let invalid = |problem: String| Failure::new(FailureKind::Invalid, tried(), problem);
        let step = self.state.plan.step(&unit.step).ok_or_else(|| invalid("there is no such step".to_owned()))?;
        let direction = &self.state.plan.direction;
        let titles = (self.config.estate.title(&direction.source), self.config.estate.title(&direction.target));
        let scope = self.state.scope(titles, unit);
        let mut params = Map::new();
        for (name, value) in &step.params {
            params.insert(name.clone(), render_value(value, &scope).map_err(|problem| invalid(problem.to_string()))?);
        }
        if let Some(kind) = self.config.catalogue.kind(&step.uses) {
            kind.decode(&params).map_err(invalid)?;
        }
        Ok(params)
    }

    pub(super) async fn spawn(&mut self, unit: &UnitKey, what: Doing) -> Result<(), EngineError> {
        let attempt = self.state.units.get(unit).map_or(1, |unit| unit.attempts.max(1));
        let (voice, mut said) = Voice::new();
        let cancel = CancellationToken::new();
        let jobs = JobLog::after(self.jobs_of(unit), self.loose_attempts(unit));
        let prepared = self.prepare(unit, attempt, voice, &cancel, &jobs);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                let kind = match what {
                    Doing::Undoing => {
                        EventKind::UnitUndone { unit: unit.clone(), outcome: Outcome::Failed { failure } }
                    }
                    Doing::Running | Doing::Verifying => {
                        ended(unit.clone(), attempt, Outcome::Unknown { failure }, Map::new(), None)
                    }
                };
                return self.record(vec![kind]).await;
            }
        };
        let mut live = Live { attempt, what, task: None, cancel, jobs, progress_told: None };
        let inputs = self.inputs.clone();
        let key = unit.clone();
        let unit = unit.clone();
        let task = self.tasks.spawn(async move {
            let forward = |inputs: &mpsc::UnboundedSender<Input>, message| {
                // Nobody listens only when the engine itself is gone.
                drop(inputs.send(Input::Voice(unit.clone(), message)));
            };
            let work = async {
                match what {
                    Doing::Running => Input::Ended(unit.clone(), prepared.run().await),
                    Doing::Verifying => Input::Verified(unit.clone(), prepared.verify().await),
                    Doing::Undoing => Input::Undone(unit.clone(), prepared.undo().await),
                }
            };
            tokio::pin!(work);
            let last = loop {
                tokio::select! {
                    biased;
                    Some(message) = said.recv() => forward(&inputs, message),
                    last = &mut work => break last,
                }
            };
            while let Ok(message) = said.try_recv() {
                forward(&inputs, message);
            }
            drop(inputs.send(last));
        });
        live.task = Some(task.id());
        self.live.insert(key, live);
        Ok(())
    }

    fn prepare(
        &self,
        unit: &UnitKey,
        attempt: u32,
        voice: Voice,
        cancel: &CancellationToken,
        jobs: &JobLog,
    ) -> Result<Attempt, Failure> {
        let invalid = |problem: String| Failure::new(FailureKind::Invalid, format!("start {unit}"), problem);
        let step = self.state.plan.step(&unit.step).ok_or_else(|| invalid("there is no such step".to_owned()))?;
        let kind = self
            .config
            .catalogue
            .kind(&step.uses)
            .ok_or_else(|| invalid(format!("there is no step kind {}", step.uses)))?;
        let params = self.params(unit)?;
        let around = Circumstances {
            reach: Arc::clone(&self.config.reach),
            clock: Arc::clone(&self.config.clock),
            estate: Arc::clone(&self.config.estate),
            direction: self.state.plan.direction.clone(),
            run: self.state.run.clone(),
            point: self.state.point.clone(),
        };
        let cx = StepContext::of(around, step, unit, attempt, voice);
        let cx = StepContext { cancel: cancel.clone(), jobs: jobs.clone(), ..cx };
        Ok(Attempt {
            step: kind.decode(&params).map_err(invalid)?,
            cx,
            timeout: step.timeout,
            effect: kind.effect,
            epoch: self.state.epoch(),
            founds_direction: step.uses == FOUNDS_DIRECTION,
            leases: Arc::clone(&self.leases),
        })
    }
}
