//! The one fold: events in, state out. An illegal history is an error, never patched over.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::event::{Event, EventKind, Operator, Prompt, PromptAnswer, PromptId, PromptKind};
use super::unit::{UnitInput, UnitPhase, UnitState};
use crate::model::{CancelReason, Outcome, PointId, RunId, RunOutcome, StageId, StepId, StepKey, UnitKey};
use crate::runbook::{OnFailure, Plan, PlannedStep, TemplateScope};

/// An event that cannot follow what happened before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} is impossible here: {why}")]
pub struct IllegalTransition {
    /// The event's number.
    pub seq: u64,
    /// Why it cannot be.
    pub why: String,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunPhase {
    /// Created; no process has taken it over yet.
    Created,
    /// A process works on it.
    Running,
    /// A process works on it, but starts nothing new.
    Paused,
    /// It has ended.
    Ended(RunOutcome),
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageState {
    /// When it began.
    pub started: Option<Timestamp>,
    /// When and how it ended.
    pub ended: Option<(Timestamp, Outcome)>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptState {
    /// The question.
    pub prompt: Prompt,
    /// The answer and who gave it.
    pub answer: Option<(PromptAnswer, Operator)>,
    /// The attempt it was about.
    pub attempt: u32,
}

/// Everything that is known of a run. Built only by [`RunState::create`] and [`RunState::apply`].
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// Its id.
    pub run: RunId,
    /// The restore point it makes or uses.
    pub point: PointId,
    /// What is done. Shared: the same for the whole run, and larger than all the rest.
    pub plan: Arc<Plan>,
    /// The digest of the plan.
    pub digest: String,
    /// Who asked for it.
    pub by: Operator,
    /// Where it is.
    pub phase: RunPhase,
    /// How many processes have worked on it.
    pub session: u32,
    /// The process that works on it, or was the last to.
    pub pid: u32,
    /// The number of the latest event.
    pub last_seq: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When the latest event happened.
    pub updated: Timestamp,
    /// The stages.
    pub stages: BTreeMap<StageId, StageState>,
    /// The units.
    pub units: BTreeMap<UnitKey, UnitState>,
    /// What steps have captured.
    pub captures: BTreeMap<StepId, Map<String, Value>>,
    /// The questions, in order.
    pub prompts: BTreeMap<PromptId, PromptState>,
    /// The most urgent request to stop in this session.
    pub cancel: Option<CancelReason>,
    /// Set while completed steps are undone: because of which step.
    pub undoing: Option<StepKey>,
}

impl RunState {
    /// The state after the first event of a run.
    ///
    /// # Errors
    /// When the first event is not `RunCreated` with number 1.
    pub fn create(event: &Event) -> Result<Self, IllegalTransition> {
        let EventKind::RunCreated { run, point, plan, digest, by } = &event.kind else {
            return Err(IllegalTransition { seq: event.seq, why: "the first event must create the run".to_owned() });
        };
        if event.seq != 1 {
            return Err(IllegalTransition { seq: event.seq, why: "the first event must have number 1".to_owned() });
        }
        Ok(Self {
            run: run.clone(),
            point: point.clone(),
            digest: digest.clone(),
            by: by.clone(),
            phase: RunPhase::Created,
            session: 0,
            pid: 0,
            last_seq: 1,
            created: event.at,
            updated: event.at,
            stages: plan.stages.iter().map(|stage| (stage.id.clone(), StageState::default())).collect(),
            units: plan.steps().flat_map(PlannedStep::units).map(|(unit, _)| (unit, UnitState::new())).collect(),
            captures: BTreeMap::new(),
            prompts: BTreeMap::new(),
            cancel: None,
            undoing: None,
            plan: Arc::new((**plan).clone()),
        })
    }

    /// Folds a whole history.
    ///
    /// # Errors
    /// At the first event that is impossible, and for an empty history.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Self, IllegalTransition> {
        let mut events = events.into_iter();
        let first = events.next().ok_or_else(|| IllegalTransition { seq: 0, why: "there are no events".to_owned() })?;
        let mut state = Self::create(first)?;
        for event in events {
            state.apply(event)?;
        }
        Ok(state)
    }

    /// Folds one more event. After an error the state is of no use.
    ///
    /// # Errors
    /// When the event cannot follow what happened before.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let illegal = |why: String| IllegalTransition { seq: event.seq, why };
        if event.seq != self.last_seq + 1 {
            return Err(illegal(format!(
                "after event {} comes {}, not {}",
                self.last_seq,
                self.last_seq + 1,
                event.seq
            )));
        }
        if matches!(self.phase, RunPhase::Ended(_))
            && !matches!(event.kind, EventKind::SessionStarted { .. } | EventKind::Newer)
        {
            return Err(illegal("the run has ended".to_owned()));
        }
        self.apply_kind(event).map_err(illegal)?;
        self.last_seq = event.seq;
        self.updated = event.at;
        Ok(())
    }

    fn apply_kind(&mut self, event: &Event) -> Result<(), String> {
        match &event.kind {
            EventKind::RunCreated { .. } => return Err("the run exists already".to_owned()),
            EventKind::SessionStarted { session, pid, .. } => self.new_session(*session, *pid)?,
            EventKind::StageStarted { stage } => {
                let stage = self.stages.get_mut(stage).ok_or_else(|| format!("there is no stage {stage}"))?;
                stage.started.get_or_insert(event.at);
                stage.ended = None;
            }
            EventKind::StageEnded { stage, outcome } => {
                let stage = self.stages.get_mut(stage).ok_or_else(|| format!("there is no stage {stage}"))?;
                stage.ended = Some((event.at, outcome.clone()));
            }
            EventKind::UnitStarted { unit, attempt, .. } => {
                let state = self.step_unit(unit, &UnitInput::Started(*attempt))?;
                state.note_start(*attempt);
                state.started_ms = Some(event.elapsed_ms);
                state.progress = None;
                state.doubt = None;
            }
            EventKind::UnitSaid { unit, text, .. } => self.unit_mut(unit)?.said = Some(text.clone()),
            EventKind::UnitProgress { unit, done, total, what, .. } => {
                self.unit_mut(unit)?.progress = Some((*done, *total, what.clone()));
            }
            EventKind::JobBegun { unit, job, .. } => {
                self.unit_mut(unit)?.jobs.insert(job.clone());
            }
            EventKind::UnitEnded { unit, attempt, outcome, captures, retry_after } => {
                let input = UnitInput::Ended(*attempt, outcome.clone(), retry_after.is_some());
                let was_running = self.unit_mut(unit)?.phase == UnitPhase::Running;
                let session = self.session;
                let state = self.step_unit(unit, &input)?;
                state.ended_in = session;
                if was_running {
                    state.note_end(outcome);
                }
                state.ended_seq = Some(event.seq);
                state.progress = None;
                if let Some(started) = state.started_ms.take() {
                    state.spent_ms += event.elapsed_ms.saturating_sub(started);
                }
                if outcome.is_good() {
                    self.captures.entry(unit.step.step.clone()).or_default().extend(captures.clone());
                }
            }
            EventKind::PromptOpened { prompt } => {
                let attempt = self.unit_mut(&prompt.unit)?.attempts;
                let state = PromptState { prompt: prompt.clone(), answer: None, attempt };
                if self.prompts.insert(prompt.id, state).is_some() {
                    return Err(format!("question {} was asked already", prompt.id.0));
                }
            }
            EventKind::PromptAnswered { prompt, answer, by } => self.answered(*prompt, answer, by)?,
            EventKind::Paused { .. } => self.phase = RunPhase::Paused,
            EventKind::Continued { .. } => self.phase = RunPhase::Running,
            EventKind::CancelRequested { reason, .. } => self.cancel = self.cancel.max(Some(*reason)),
            EventKind::UndoStarted { because } => self.undoing = Some(because.clone()),
            EventKind::UnitUndone { unit, outcome } => {
                self.step_unit(unit, &UnitInput::Undone(outcome.clone()))?;
            }
            EventKind::RunEnded { outcome } => {
                if let Some((unit, _)) = self.units.iter().find(|(_, state)| state.phase == UnitPhase::Running) {
                    return Err(format!("{unit} is still running"));
                }
                self.phase = RunPhase::Ended(outcome.clone());
            }
            EventKind::Newer => {}
        }
        Ok(())
    }

    fn new_session(&mut self, session: u32, pid: u32) -> Result<(), String> {
        if session != self.session + 1 {
            return Err(format!("after session {} comes {}, not {session}", self.session, self.session + 1));
        }
        if self.undoing.is_some() {
            return Err("completed steps were being undone; that is not resumed".to_owned());
        }
        let units: Vec<UnitKey> = self.units.keys().cloned().collect();
        for unit in units {
            let state = self.step_unit(&unit, &UnitInput::NewSession)?;
            state.was_interrupted |= state.phase == UnitPhase::Interrupted;
        }
        let again: Vec<StageId> = self
            .plan
            .stages
            .iter()
            .filter(|stage| !stage.steps.iter().flat_map(PlannedStep::units).all(|(unit, _)| self.is_settled(&unit)))
            .map(|stage| stage.id.clone())
            .collect();
        for stage in again {
            if let Some(stage) = self.stages.get_mut(&stage) {
                stage.ended = None;
            }
        }
        // A yes to a confirmation holds for the whole run. Everything else is asked again, because what it was about
        // may have changed.
        self.prompts.retain(|_, asked| {
            asked.prompt.kind == PromptKind::Confirm && matches!(asked.answer, Some((PromptAnswer::Proceed, _)))
        });
        self.session = session;
        self.pid = pid;
        self.cancel = None;
        self.phase = RunPhase::Running;
        Ok(())
    }

    fn is_settled(&self, unit: &UnitKey) -> bool {
        self.units.get(unit).is_some_and(|state| state.outcome().is_some())
    }

    fn answered(&mut self, id: PromptId, answer: &PromptAnswer, by: &Operator) -> Result<(), String> {
        let state = self.prompts.get_mut(&id).ok_or_else(|| format!("there is no question {}", id.0))?;
        if state.answer.is_some() {
            return Err(format!("question {} was answered already", id.0));
        }
        state.answer = Some((answer.clone(), by.clone()));
        let (unit, kind) = (state.prompt.unit.clone(), state.prompt.kind);
        match (kind, answer) {
            (PromptKind::Failed | PromptKind::Interrupted, PromptAnswer::Retry) => {
                let state = self.step_unit(&unit, &UnitInput::Retry)?;
                state.released = kind == PromptKind::Interrupted;
            }
            (PromptKind::Interrupted, PromptAnswer::ItWasDone { comment }) => {
                let input = UnitInput::DoneByWord { by: by.name.clone(), comment: comment.clone() };
                self.step_unit(&unit, &input)?;
            }
            (PromptKind::Failed, PromptAnswer::Skip { comment }) => {
                let input = UnitInput::SkippedByOperator { by: by.name.clone(), comment: comment.clone() };
                self.step_unit(&unit, &input)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn unit_mut(&mut self, unit: &UnitKey) -> Result<&mut UnitState, String> {
        self.units.get_mut(unit).ok_or_else(|| format!("there is no unit {unit}"))
    }

    fn step_unit(&mut self, unit: &UnitKey, input: &UnitInput) -> Result<&mut UnitState, String> {
        let state = self.unit_mut(unit)?;
        state.phase = state.next(input).map_err(|why| format!("{unit}: {why}"))?;
        Ok(state)
    }

    /// The ending of a step once all its units have ended: the worst of them.
    #[must_use]
    pub fn step_outcome(&self, step: &PlannedStep) -> Option<Outcome> {
        worst(step.units().map(|(unit, _)| self.units.get(&unit).and_then(UnitState::outcome)))
    }

    /// True when what needs `step` may start: it ended well, or badly with `on_failure = "continue"`.
    #[must_use]
    pub fn is_satisfied(&self, step: &PlannedStep) -> bool {
        self.step_outcome(step).is_some_and(|outcome| {
            outcome.is_good()
                || (step.on_failure == OnFailure::Continue
                    && matches!(outcome, Outcome::Failed { .. } | Outcome::TimedOut { .. }))
        })
    }

    /// The ending of a stage once all its steps have ended.
    #[must_use]
    pub fn stage_outcome(&self, stage: &StageId) -> Option<Outcome> {
        let stage = self.plan.stage(stage)?;
        let outcomes: Option<Vec<Outcome>> = stage.steps.iter().map(|step| self.step_outcome(step)).collect();
        let outcomes = outcomes?;
        worst(outcomes.iter().map(Some)).or(Some(Outcome::Succeeded))
    }

    /// The epoch that this run saw when it began, captured by the step that prepares the exchange trees.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.captures.values().find_map(|captures| captures.get("epoch")?.as_u64())
    }

    /// The values that templates of `unit` can use now.
    #[must_use]
    pub fn scope(&self, titles: (&str, &str), unit: &UnitKey) -> TemplateScope {
        let plan = &self.plan;
        TemplateScope::of_plan(&plan.direction, titles, &plan.estate, &plan.params)
            .of_run(&self.run, &self.point)
            .at(unit)
            .after(self.captures.iter())
    }

    /// The questions that wait for an answer.
    pub fn open_prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.prompts.values().filter(|state| state.answer.is_none()).map(|state| &state.prompt)
    }

    /// The latest question of a kind about a unit's current attempt; a confirmation is about all attempts.
    #[must_use]
    pub fn prompt_about(&self, unit: &UnitKey, kind: PromptKind) -> Option<&PromptState> {
        let attempt = self.units.get(unit)?.attempts;
        self.prompts.values().rev().find(|asked| {
            asked.prompt.unit == *unit
                && asked.prompt.kind == kind
                && (kind == PromptKind::Confirm || asked.attempt == attempt)
        })
    }
}

/// The worst of several endings, or nothing while one of them is missing. No endings at all count as none.
fn worst<'a>(outcomes: impl Iterator<Item = Option<&'a Outcome>>) -> Option<Outcome> {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Unknown { .. } => 7,
        Outcome::Failed { .. } => 6,
        Outcome::TimedOut { .. } => 5,
        Outcome::Cancelled { .. } => 4,
        Outcome::NotRun { .. } => 3,
        Outcome::Warned { .. } => 2,
        Outcome::Succeeded => 1,
        Outcome::Skipped { .. } => 0,
    };
    let all: Option<Vec<&Outcome>> = outcomes.collect();
    all?.into_iter().max_by_key(|outcome| rank(outcome)).cloned()
}
