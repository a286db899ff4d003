//! A run as it is looked at: its history so far, the state that follows from it, and for a run of the past a moment in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{HostName, RunId, SafeText, StageId, StepKey, UnitKey};
use crate::run::{Event, RunPhase, RunState, UnitPhase};
use crate::runbook::{Mode, PlannedStep};

/// How many times as fast as it was a run of the past can be played.
pub const SPEEDS: [u32; 10] = [1, 2, 5, 10, 20, 40, 80, 160, 320, 640];

/// The moments of a run of the past, played again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// How far into the run it is.
    pub at: Duration,
    /// How many times as fast as it was.
    pub speed: u32,
    /// True while it goes on by itself.
    pub playing: bool,
    /// The screen's time at which `at` was true.
    since: Timestamp,
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A stage.
    Stage(StageId),
    /// A step.
    Step(StepKey),
    /// A step at one of several hosts.
    Unit(UnitKey),
}

/// A run that is looked at.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Which.
    pub id: RunId,
    /// All of its history that is known.
    events: Vec<Arc<Event>>,
    /// How many of them are folded into `state`.
    folded: usize,
    /// What follows from these.
    pub state: RunState,
    /// True while its process lives and tells more.
    pub live: bool,
    /// Why no more comes, when that is not in order.
    pub lost: Option<SafeText>,
    /// How long its stages usually take.
    pub usual: BTreeMap<StageId, Duration>,
    /// How long all of it usually takes.
    pub usual_all: Option<Duration>,
    /// The line that is selected.
    pub selected: usize,
    /// The first line in sight.
    pub top: usize,
    /// Stages whose steps are shown, or not, because a person said so.
    pub opened: BTreeMap<StageId, bool>,
    /// The moment, for a run of the past that is played again.
    pub replay: Option<Replay>,
    /// True until a person moves: the line of what goes on is kept selected.
    pub keeps_up: bool,
    /// Questions that a person was called for.
    pub called: BTreeSet<u32>,
}

impl RunView {
    /// A run and its history.
    ///
    /// # Errors
    /// When the history is empty or contradicts itself.
    pub fn open(id: RunId, events: Vec<Arc<Event>>, live: bool) -> Result<Self, SafeText> {
        let state = RunState::replay(events.iter().map(AsRef::as_ref))
            .map_err(|error| SafeText::line(&format!("its journal contradicts itself: {error}")))?;
        let mut view = Self {
            id,
            folded: events.len(),
            events,
            state,
            live,
            lost: None,
            usual: BTreeMap::new(),
            usual_all: None,
            selected: 0,
            top: 0,
            opened: BTreeMap::new(),
            replay: None,
            keeps_up: true,
            called: BTreeSet::new(),
        };
        view.keep_up();
        Ok(view)
    }

    /// The events that have happened at the moment that is looked at.
    #[must_use]
    pub fn seen(&self) -> &[Arc<Event>] {
        &self.events[..self.folded]
    }

    /// True while it has not ended, as far as it has told.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.live && !matches!(self.state.phase, RunPhase::Ended(_))
    }

    /// True when it rehearses, and production is left alone.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        self.state.plan.mode == Mode::Drill
    }

    /// True when it is looked back at: it has ended, or is played again.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.replay.is_some() || matches!(self.state.phase, RunPhase::Ended(_))
    }

    /// One more event of a live run.
    ///
    /// # Errors
    /// When it cannot follow what happened before.
    pub fn apply(&mut self, event: Arc<Event>) -> Result<(), SafeText> {
        if event.seq <= self.events.last().map_or(0, |last| last.seq) {
            return Ok(());
        }
        let chosen = self.rows().into_iter().nth(self.selected);
        if self.replay.is_none() {
            self.state.apply(&event).map_err(|error| SafeText::line(&error.to_string()))?;
            self.folded += 1;
        }
        self.events.push(event);
        self.stay_at(chosen);
        self.keep_up();
        Ok(())
    }

    /// Keeps the same line selected when stages have opened or closed by themselves; the stage of a line that is gone.
    fn stay_at(&mut self, chosen: Option<Row>) {
        let Some(chosen) = chosen else { return };
        let rows = self.rows();
        let stage = match &chosen {
            Row::Stage(stage) => stage,
            Row::Step(step) => &step.stage,
            Row::Unit(unit) => &unit.step.stage,
        };
        let place = rows.iter().position(|row| *row == chosen);
        let place = place.or_else(|| rows.iter().position(|row| matches!(row, Row::Stage(one) if one == stage)));
        self.selected = place.unwrap_or(self.selected).min(rows.len().saturating_sub(1));
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.state.created
    }

    /// How long it took, or has taken until `now`.
    #[must_use]
    pub fn took(&self, now: Timestamp) -> Duration {
        let until = match (&self.replay, &self.state.phase) {
            (Some(replay), _) => return replay.at,
            (None, RunPhase::Ended(_)) => self.state.updated,
            (None, _) if self.live => now,
            _ => self.state.updated,
        };
        since(self.state.created, until)
    }

    /// The moment that is looked at.
    #[must_use]
    pub fn moment(&self, now: Timestamp) -> Timestamp {
        match &self.replay {
            Some(replay) => self.state.created.checked_add(replay.at).unwrap_or(now),
            None if self.live => now,
            None => self.state.updated,
        }
    }

    /// How long the whole history is.
    #[must_use]
    pub fn length(&self) -> Duration {
        match (self.events.first(), self.events.last()) {
            (Some(first), Some(last)) => since(first.at, last.at),
            _ => Duration::ZERO,
        }
    }

    /// The lines of the tree: stages, the steps of those that are open, and the hosts of a step that has several.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for stage in &self.state.plan.stages {
            rows.push(Row::Stage(stage.id.clone()));
            if !self.is_open(&stage.id) {
                continue;
            }
            for step in &stage.steps {
                rows.push(Row::Step(step.key.clone()));
                if step.targets.len() > 1 {
                    rows.extend(step.units().map(|(unit, _)| Row::Unit(unit)));
                }
            }
        }
        rows
    }

    /// Whether the steps of a stage are shown: as a person said, otherwise while it goes on and when it ended badly.
    #[must_use]
    pub fn is_open(&self, stage: &StageId) -> bool {
        if let Some(open) = self.opened.get(stage) {
            return *open;
        }
        let Some(facts) = self.state.stages.get(stage) else { return false };
        match &facts.ended {
            Some((_, outcome)) => !outcome.is_good(),
            None => facts.started.is_some(),
        }
    }

    /// The step of the selected line.
    #[must_use]
    pub fn selected_step(&self) -> Option<StepKey> {
        match self.rows().get(self.selected)? {
            Row::Stage(_) => None,
            Row::Step(step) => Some(step.clone()),
            Row::Unit(unit) => Some(unit.step.clone()),
        }
    }

    /// The hosts of a step, or of all steps.
    #[must_use]
    pub fn hosts(&self, step: Option<&StepKey>) -> Vec<HostName> {
        let steps = self.state.plan.stages.iter().flat_map(|stage| &stage.steps);
        let units = steps.filter(|planned| step.is_none_or(|step| planned.key == *step)).flat_map(PlannedStep::units);
        let hosts: BTreeSet<HostName> = units.filter_map(|(unit, _)| unit.host).collect();
        hosts.into_iter().collect()
    }

    /// Selects the line of what goes on, until a person chooses another.
    fn keep_up(&mut self) {
        if !self.keeps_up {
            return;
        }
        let rows = self.rows();
        let goes_on = |row: &Row| match row {
            Row::Step(step) => self.state.plan.step(step).is_some_and(|step| {
                step.units().any(|(unit, _)| {
                    self.state.units.get(&unit).is_some_and(|unit| {
                        matches!(unit.phase, UnitPhase::Running | UnitPhase::Interrupted | UnitPhase::Retrying)
                    })
                })
            }),
            _ => false,
        };
        if let Some(prompt) = self.state.open_prompts().next()
            && let Some(index) = rows.iter().position(|row| *row == Row::Step(prompt.unit.step.clone()))
        {
            self.selected = index;
        } else if let Some(index) = rows.iter().position(goes_on) {
            self.selected = index;
        } else {
            self.selected = self.selected.min(rows.len().saturating_sub(1));
        }
    }

    /// Begins to play it again from its beginning, or ends that.
    pub fn toggle_replay(&mut self, now: Timestamp) {
        if self.replay.take().is_some() {
            self.fold_until(self.events.len());
        } else {
            self.replay = Some(Replay { at: Duration::ZERO, speed: 10, playing: true, since: now });
            self.opened.clear();
            self.keeps_up = true;
            self.advance(now);
        }
    }

    /// Plays on until the screen's time.
    pub fn advance(&mut self, now: Timestamp) {
        let length = self.length();
        let Some(replay) = &mut self.replay else { return };
        if replay.playing {
            replay.at = (replay.at + since(replay.since, now) * replay.speed).min(length);
            replay.playing = replay.at < length;
        }
        replay.since = now;
        self.fold_to_moment();
    }

    /// Jumps by so much of the whole, backwards when negative.
    pub fn jump(&mut self, twentieths: i32) {
        let length = self.length();
        let Some(replay) = &mut self.replay else { return };
        let step = length / 20;
        let by = step * twentieths.unsigned_abs();
        replay.at = if twentieths < 0 { replay.at.saturating_sub(by) } else { (replay.at + by).min(length) };
        self.fold_to_moment();
    }

    /// Plays faster or slower.
    pub fn speed(&mut self, faster: bool) {
        if let Some(replay) = &mut self.replay {
            replay.speed = if faster { (replay.speed * 2).min(640) } else { (replay.speed / 2).max(1) };
        }
    }

    fn fold_to_moment(&mut self) {
        let Some(replay) = &self.replay else { return };
        let began = self.events.first().map(|event| event.at);
        let count = self
            .events
            .iter()
            .take_while(|event| began.is_some_and(|began| since(began, event.at) <= replay.at))
            .count();
        self.fold_until(count.max(1));
        self.keep_up();
    }

    fn fold_until(&mut self, count: usize) {
        if count < self.folded {
            // A moment before: folded anew, which takes a millisecond for a run of the usual length.
            if let Ok(state) = RunState::replay(self.events[..count].iter().map(AsRef::as_ref)) {
                self.state = state;
                self.folded = count;
            }
            return;
        }
        for event in &self.events[self.folded..count] {
            if self.state.apply(event).is_err() {
                break;
            }
            self.folded += 1;
        }
    }
}

/// How long after `from` it is; nothing when it is before.
#[must_use]
pub fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
