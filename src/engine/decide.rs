//! From plan and state to what may happen now. Pure: the same state always gives the same decisions, in the same order.

use super::doubt::{fate_unknown, still_unknown, up_to_a_person};
use crate::guard::{confirmation_phrase, nonce};
use crate::model::{
    CancelReason, Failure, FailureKind, NotRun, Outcome, RunOutcome, SafeText, Skip, StageId, StepKey, UnitKey,
};
use crate::run::{PromptAnswer, PromptKind, RunPhase, RunState, UnitPhase, UnitState};
use crate::runbook::{
    Each, GuardLevel, Interrupted, OnFailure, PlannedStage, PlannedStep, TemplateScope, evaluate_when, render,
};

/// One thing that may happen now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Begin a stage.
    BeginStage(StageId),
    /// Start an attempt of a unit. An interrupted unit is entered again with the same attempt.
    Start { unit: UnitKey, attempt: u32 },
    /// Look whether an interrupted unit had its effect.
    Verify { unit: UnitKey },
    /// End a unit that is not, or no longer, going to be started.
    End { unit: UnitKey, outcome: Outcome },
    /// Ask a person.
    Ask { unit: UnitKey, kind: PromptKind, message: SafeText, level: GuardLevel, phrase: Option<SafeText> },
    /// End a stage.
    EndStage(StageId, Outcome),
    /// Begin to undo.
    BeginUndo { because: StepKey },
    /// Undo a unit.
    Undo { unit: UnitKey },
    /// End the run.
    EndRun(RunOutcome),
}

/// What `decide` must know beside the state.
pub(super) struct Surroundings<'a> {
    /// Titles of source and target, for templates.
    pub(super) titles: (&'a str, &'a str),
    /// True when nobody can be asked: questions are answered with no.
    pub(super) unattended: bool,
    /// True for step kinds that change something, and so may have something to undo.
    pub(super) changes: &'a dyn Fn(&str) -> bool,
    /// Units whose undo or verification is running now.
    pub(super) busy: &'a dyn Fn(&UnitKey) -> bool,
}

/// Everything that may happen now. Empty means: wait for something that is running, or for a person.
pub(super) fn decide(state: &RunState, around: &Surroundings<'_>) -> Vec<Decision> {
    if matches!(state.phase, RunPhase::Created | RunPhase::Ended(_)) {
        return Vec::new();
    }
    if state.undoing.is_some() {
        return decide_undo(state, around);
    }
    let mut decisions = Decider { state, around, decisions: Vec::new() };
    decisions.decide();
    decisions.decisions
}

struct Decider<'a> {
    state: &'a RunState,
    around: &'a Surroundings<'a>,
    decisions: Vec<Decision>,
}

impl Decider<'_> {
    fn decide(&mut self) {
        let halted = halted(self.state, self.around.unattended);
        for stage in &self.state.plan.stages {
            self.stage(stage, halted.as_ref());
        }
        if !self.decisions.is_empty() {
            return;
        }
        let all_ended = self.state.units.values().all(|unit| unit.outcome().is_some());
        let stages_ended = self.state.stages.values().all(|stage| stage.ended.is_some());
        if !all_ended || !stages_ended {
            return;
        }
        match undo_because(self.state) {
            Some(because) => self.decisions.push(Decision::BeginUndo { because }),
            None => self.decisions.push(Decision::EndRun(run_outcome(self.state))),
        }
    }

    fn stage(&mut self, stage: &PlannedStage, halted: Option<&NotRun>) {
        let Some(facts) = self.state.stages.get(&stage.id) else { return };
        if facts.ended.is_some() {
            return;
        }
        let before = self.decisions.len();
        let open = self.stage_is_open(stage);
        if facts.started.is_none() && open && halted.is_none() && self.may_start() {
            self.decisions.push(Decision::BeginStage(stage.id.clone()));
            return;
        }
        let skipped = match (&stage.when, open && halted.is_none()) {
            (Some(when), true) => self.condition(when, stage),
            _ => Ok(None),
        };
        for step in &stage.steps {
            match &skipped {
                Ok(None) => self.step(step, open && facts.started.is_some(), halted),
                Ok(Some(skip)) => self.end_waiting(step, &Outcome::Skipped { why: skip.clone() }),
                Err(failure) => self.end_waiting(step, &Outcome::Failed { failure: failure.clone() }),
            }
        }
        if self.decisions.len() == before
            && !self.is_undecided(stage)
            && let Some(outcome) = self.state.stage_outcome(&stage.id)
            && (facts.started.is_some() || halted.is_some())
        {
            self.decisions.push(Decision::EndStage(stage.id.clone(), outcome));
        }
    }

    /// True when every stage that this one needs has ended well enough.
    fn stage_is_open(&self, stage: &PlannedStage) -> bool {
        stage.needs.iter().all(|need| {
            self.state.stages.get(need).is_some_and(|facts| facts.ended.is_some())
                && self
                    .state
                    .plan
                    .stage(need)
                    .is_some_and(|need| need.steps.iter().all(|step| self.state.is_satisfied(step)))
        })
    }

    /// True while a person is to say how something in this stage goes on.
    fn is_undecided(&self, stage: &PlannedStage) -> bool {
        let mut units = stage.steps.iter().flat_map(|step| step.units().map(move |(unit, _)| (step, unit)));
        units.any(|(step, unit)| up_to_a_person(self.state, self.around.unattended, step, &unit).is_some())
    }

    /// Nothing, or why the stage is skipped.
    fn condition(&self, when: &str, stage: &PlannedStage) -> Result<Option<Skip>, Failure> {
        let unit = stage.steps.first().and_then(|step| step.units().next());
        let scope = match unit {
            Some((unit, _)) => self.state.scope(self.around.titles, &unit),
            None => TemplateScope::default(),
        };
        evaluate(when, &scope)
    }

    fn step(&mut self, step: &PlannedStep, stage_open: bool, halted: Option<&NotRun>) {
        let mut running = 0;
        let mut blocked_by = None;
        for (unit, _) in step.units() {
            match self.state.units.get(&unit).map(|unit| &unit.phase) {
                Some(UnitPhase::Running) => running += 1,
                Some(UnitPhase::Ended(outcome)) if !outcome.is_good() && step.each == Each::Serial => {
                    if up_to_a_person(self.state, self.around.unattended, step, &unit).is_some() {
                        // The next one waits for the word about this one.
                        running += 1;
                    } else {
                        blocked_by = Some(step.key.clone());
                    }
                }
                _ => {}
            }
        }
        for (unit, _) in step.units() {
            let Some(unit_state) = self.state.units.get(&unit) else { continue };
            match &unit_state.phase {
                UnitPhase::Interrupted if !(self.around.busy)(&unit) => {
                    self.interrupted(step, &unit, unit_state);
                }
                UnitPhase::Waiting => {
                    if let Some(halted) = halted {
                        self.end(&unit, Outcome::NotRun { because: halted.clone() });
                    } else if let Some(before) = &blocked_by {
                        self.end(&unit, Outcome::NotRun { because: NotRun::After(before.clone()) });
                    } else if stage_open && self.needs_are_met(step) && self.may_start() && self.has_room(step, running)
                    {
                        running += self.start(step, &unit, unit_state.attempts + 1);
                    }
                }
                // The dispatcher starts the next attempt when the pause is over; only a halt matters here.
                UnitPhase::Retrying => {
                    if let Some(halted) = halted {
                        self.end(&unit, Outcome::NotRun { because: halted.clone() });
                    }
                }
                UnitPhase::Ended(outcome) => self.ended_badly(step, &unit, outcome),
                _ => {}
            }
        }
    }

    fn may_start(&self) -> bool {
        self.state.phase == RunPhase::Running
    }

    fn needs_are_met(&self, step: &PlannedStep) -> bool {
        step.needs.iter().all(|need| self.state.plan.step(need).is_some_and(|need| self.state.is_satisfied(need)))
    }

    fn has_room(&self, step: &PlannedStep, running: usize) -> bool {
        let room = match step.each {
            Each::Serial => 1,
            Each::Parallel => step.limit.map_or(usize::MAX, usize::from),
        };
        let retrying = step
            .units()
            .filter(|(unit, _)| {
                self.state
                    .units
                    .get(unit)
                    .is_some_and(|unit| matches!(unit.phase, UnitPhase::Retrying | UnitPhase::Interrupted))
            })
            .count();
        running + retrying < room
    }

    /// Starts a waiting unit, or asks first, or skips it. Returns how many attempts that adds.
    fn start(&mut self, step: &PlannedStep, unit: &UnitKey, attempt: u32) -> usize {
        let scope = self.state.scope(self.around.titles, unit);
        if let Some(when) = &step.when {
            match evaluate(when, &scope) {
                Ok(None) => {}
                Ok(Some(skip)) => {
                    self.end(unit, Outcome::Skipped { why: skip });
                    return 0;
                }
                Err(failure) => {
                    self.end(unit, Outcome::Failed { failure });
                    return 0;
                }
            }
        }
        if let Some(confirm) = &step.confirm
            && let Some(first) = step.units().next().map(|(unit, _)| unit)
        {
            match self.answer_to(&first, PromptKind::Confirm) {
                Asked::Answered(PromptAnswer::Proceed) => {}
                Asked::Answered(_) => {
                    let because = NotRun::Declined(SafeText::block("a person said no"));
                    self.end(unit, Outcome::NotRun { because });
                    return 0;
                }
                Asked::Waiting => return 0,
                Asked::Not if self.around.unattended => {
                    let why = "it wants a person's yes, and there is no terminal to ask at";
                    self.end(unit, Outcome::NotRun { because: NotRun::Declined(SafeText::block(why)) });
                    return 0;
                }
                // One question for all places of the step, asked on behalf of the first.
                Asked::Not if *unit != first => return 0,
                Asked::Not => {
                    let message = render(&confirm.message, &scope).unwrap_or_else(|problem| problem.to_string());
                    let verb = self.state.plan.runbook.as_str();
                    let target = self.state.plan.direction.target.as_str();
                    let nonce = nonce(&self.state.plan, self.state.run.as_str(), &unit.to_string());
                    let phrase = confirmation_phrase(confirm.level, verb, target, &nonce);
                    self.decisions.push(Decision::Ask {
                        unit: first,
                        kind: PromptKind::Confirm,
                        message: SafeText::block(&message),
                        level: confirm.level,
                        phrase: phrase.map(|phrase| SafeText::line(&phrase)),
                    });
                    return 0;
                }
            }
        }
        self.decisions.push(Decision::Start { unit: unit.clone(), attempt });
        1
    }

    fn interrupted(&mut self, step: &PlannedStep, unit: &UnitKey, facts: &UnitState) {
        let attempt = facts.attempts;
        let unknown =
            |why: &str| Outcome::Unknown { failure: fate_unknown(&self.state.run, unit, facts.doubt.as_ref(), why) };
        let answer = self.answer_to(unit, PromptKind::Interrupted);
        let message = match (step.interrupted, &answer) {
            (_, Asked::Answered(PromptAnswer::ItWasDone { comment })) => {
                let text = format!("a person says it was done: {comment}");
                let outcome = Outcome::Warned { warnings: vec![SafeText::block(&text)] };
                self.end(unit, outcome);
                return;
            }
            (_, Asked::Answered(_)) => {
                self.end(unit, unknown("a person decided not to go on"));
                return;
            }
            (_, Asked::Waiting) if self.state.cancel.is_some() => {
                self.end(unit, unknown("the run was stopped before a person had said what to do"));
                return;
            }
            (_, Asked::Waiting) => return,
            (Interrupted::Repeat, Asked::Not) => {
                self.decisions.push(Decision::Start { unit: unit.clone(), attempt });
                return;
            }
            (Interrupted::Verify, Asked::Not) => {
                self.decisions.push(Decision::Verify { unit: unit.clone() });
                return;
            }
            (Interrupted::Ask, Asked::Not) => match &facts.doubt {
                Some(doubt) => still_unknown(unit, doubt),
                None => format!(
                    "The program died while {unit} ran, and it is not known whether it had its effect. Look, then say what to do."
                ),
            },
        };
        if self.around.unattended {
            self.end(unit, unknown("there is no terminal to ask at"));
        } else {
            self.ask(unit, PromptKind::Interrupted, &message);
        }
    }

    /// Asks about a unit that ended badly, when that is up to a person and nobody has been asked yet.
    fn ended_badly(&mut self, step: &PlannedStep, unit: &UnitKey, outcome: &Outcome) {
        let Some(kind) = up_to_a_person(self.state, self.around.unattended, step, unit) else { return };
        if matches!(self.answer_to(unit, kind), Asked::Not) {
            let message = if let Outcome::Unknown { failure } = outcome {
                still_unknown(unit, failure)
            } else {
                let what = outcome.failure().map_or_else(|| outcome.word().to_owned(), ToString::to_string);
                format!("{unit} failed: {what}")
            };
            self.ask(unit, kind, &message);
        }
    }

    fn ask(&mut self, unit: &UnitKey, kind: PromptKind, message: &str) {
        self.decisions.push(Decision::Ask {
            unit: unit.clone(),
            kind,
            message: SafeText::block(message),
            level: GuardLevel::Reversible,
            phrase: None,
        });
    }

    fn answer_to(&self, unit: &UnitKey, kind: PromptKind) -> Asked {
        match self.state.prompt_about(unit, kind).map(|prompt| &prompt.answer) {
            None => Asked::Not,
            Some(None) => Asked::Waiting,
            Some(Some((answer, _))) => Asked::Answered(answer.clone()),
        }
    }

    fn end(&mut self, unit: &UnitKey, outcome: Outcome) {
        let released = self.state.units.get(unit).filter(|facts| facts.released && facts.phase == UnitPhase::Waiting);
        let outcome = match released {
            // What an earlier attempt began may still be at work: that this one is not begun says nothing of it.
            Some(facts) => {
                let why = format!("it was to be done again, but was not begun any more: {}", outcome.word());
                Outcome::Unknown { failure: fate_unknown(&self.state.run, unit, facts.doubt.as_ref(), &why) }
            }
            None => outcome,
        };
        self.decisions.push(Decision::End { unit: unit.clone(), outcome });
    }

    fn end_waiting(&mut self, step: &PlannedStep, outcome: &Outcome) {
        for (unit, _) in step.units() {
            if self.state.units.get(&unit).is_some_and(|unit| unit.phase == UnitPhase::Waiting) {
                self.end(&unit, outcome.clone());
            }
        }
    }
}

enum Asked {
    Not,
    Waiting,
    Answered(PromptAnswer),
}

fn evaluate(when: &str, scope: &TemplateScope) -> Result<Option<Skip>, Failure> {
    match evaluate_when(when, scope) {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Skip::When(SafeText::line(when)))),
        Err(problem) => {
            Err(Failure::new(FailureKind::Invalid, format!("evaluate `when = {when}`"), problem.to_string()))
        }
    }
}

/// Why nothing new may start, if so.
fn halted(state: &RunState, unattended: bool) -> Option<NotRun> {
    if let Some(reason) = state.cancel {
        return Some(NotRun::Cancelled(reason));
    }
    state.plan.steps().find_map(|step| {
        step.units().find_map(|(unit, _)| {
            let outcome = state.units.get(&unit)?.outcome()?;
            let halts = match outcome {
                Outcome::Cancelled { .. } | Outcome::NotRun { because: NotRun::Declined(_) } => true,
                Outcome::Failed { .. } | Outcome::TimedOut { .. } if step.on_failure == OnFailure::Continue => false,
                // While a person is asked, others go on.
                Outcome::Unknown { .. } | Outcome::Failed { .. } | Outcome::TimedOut { .. } => {
                    up_to_a_person(state, unattended, step, &unit).is_none()
                }
                _ => false,
            };
            halts.then(|| NotRun::After(step.key.clone()))
        })
    })
}

/// The step whose failure asks for undo, if any. Nothing is undone while the fate of a unit is unknown.
fn undo_because(state: &RunState) -> Option<StepKey> {
    let unknown = state.units.values().any(|unit| matches!(unit.outcome(), Some(Outcome::Unknown { .. })));
    let step = state.plan.steps().find(|step| {
        step.on_failure == OnFailure::Undo
            && matches!(state.step_outcome(step), Some(Outcome::Failed { .. } | Outcome::TimedOut { .. }))
    })?;
    (!unknown).then(|| step.key.clone())
}

/// Undo goes back in the reverse order of endings, one unit at a time, and stops at the first undo that fails.
fn decide_undo(state: &RunState, around: &Surroundings<'_>) -> Vec<Decision> {
    let failed =
        state.units.values().any(|unit| matches!(&unit.phase, UnitPhase::Undone(outcome) if !outcome.is_good()));
    let next = state
        .plan
        .steps()
        .filter(|step| (around.changes)(&step.uses))
        .flat_map(PlannedStep::units)
        .filter_map(|(unit, _)| {
            let facts = state.units.get(&unit)?;
            let worked = matches!(facts.phase, UnitPhase::Ended(Outcome::Succeeded | Outcome::Warned { .. }));
            worked.then_some((facts.ended_seq, unit))
        })
        .max();
    match next {
        Some((_, unit)) if !failed => {
            if (around.busy)(&unit) {
                Vec::new()
            } else {
                vec![Decision::Undo { unit }]
            }
        }
        _ => vec![Decision::EndRun(run_outcome(state))],
    }
}

/// The ending of a run whose units have all ended.
fn run_outcome(state: &RunState) -> RunOutcome {
    let outcomes = || state.plan.steps().filter_map(|step| Some((step, state.step_outcome(step)?)));
    let undo_failed = state.plan.steps().filter(|step| {
        step.units().any(|(unit, _)| {
            state
                .units
                .get(&unit)
                .is_some_and(|unit| matches!(&unit.phase, UnitPhase::Undone(undone) if !undone.is_good()))
        })
    });
    let unknown: Vec<StepKey> = outcomes()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Unknown { .. }))
        .map(|(step, _)| step)
        .chain(undo_failed)
        .map(|step| step.key.clone())
        .collect();
    if !unknown.is_empty() {
        return RunOutcome::Stuck { unknown };
    }
    let bad = outcomes().find(|(step, outcome)| {
        matches!(outcome, Outcome::Failed { .. } | Outcome::TimedOut { .. }) && step.on_failure != OnFailure::Continue
    });
    if let Some((step, outcome)) = bad {
        let step = step.key.clone();
        let by_rule = outcome.failure().is_some_and(|failure| failure.kind == FailureKind::Rule);
        return if by_rule { RunOutcome::Refused { step } } else { RunOutcome::Failed { step } };
    }
    if let Some(by) = state.cancel {
        return RunOutcome::Cancelled { by };
    }
    let declined = state.plan.steps().find(|step| {
        step.units().any(|(unit, _)| {
            let outcome = state.units.get(&unit).and_then(UnitState::outcome);
            matches!(outcome, Some(Outcome::NotRun { because: NotRun::Declined(_) }))
        })
    });
    if let Some(step) = declined {
        return RunOutcome::Refused { step: step.key.clone() };
    }
    if outcomes().any(|(_, outcome)| matches!(outcome, Outcome::Cancelled { .. })) {
        return RunOutcome::Cancelled { by: CancelReason::OtherFailed };
    }
    // Nothing is called done that was not: whatever is left must be satisfied, every step of it.
    if let Some(step) = state.plan.steps().find(|step| !state.is_satisfied(step)) {
        return RunOutcome::Failed { step: step.key.clone() };
    }
    let warned = outcomes().any(|(_, outcome)| !matches!(outcome, Outcome::Succeeded | Outcome::Skipped { .. }));
    RunOutcome::Done { warned }
}
