//! The chronicle of a story: when what breaks, and what happened, as far as the card needs it. It lets things break in the
//! world when it is told to, and otherwise only listens; whoever acts in the story tells it what they did.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::backstage::Happened;
use crate::model::StepId;
use crate::port::Clock;
use crate::run::{Event, EventKind, PromptId};
use crate::scenario::{Act, Action, Facts, Got, Happening, RunFact, Stir, StirKind, TruthFacts, fault_words};
use crate::world::{Fault, SimulatedWorld, Spec, Truth};

/// The word for a run that a rule refused.
const REFUSED: &str = "refused";

/// What is going to break, and what happened.
pub(super) struct Chronicle {
    world: SimulatedWorld,
    /// What is going to happen, and when; in order.
    strikes: VecDeque<(Duration, Fault)>,
    /// What waits for the beginning of a step.
    waits: Vec<Happening>,
    facts: Facts,
    /// The answers that the run has not taken yet, and what they are among the actions.
    answered: BTreeMap<PromptId, usize>,
    /// The action that the present run came of.
    ordered: Option<usize>,
    /// When the copy of each point was begun, and what the active site held then.
    copies: BTreeMap<String, (Duration, Truth)>,
    /// What the standby held when a run had put a whole copy into it.
    whole: Option<Truth>,
    /// True while what happens is from before the story.
    before: bool,
}

impl Chronicle {
    /// The chronicle of a story that has not begun, in a world that is as old as it is.
    pub(super) fn new(world: SimulatedWorld) -> Self {
        let epoch = world.with(|world| world.spec.epoch);
        let truth = TruthFacts {
            lost_at: None,
            promised: Truth::default(),
            held: Truth::default(),
            newest: None,
            whole: false,
        };
        let facts = Facts {
            epoch,
            sites: Spec::sites(),
            struck: Vec::new(),
            news: Vec::new(),
            actions: Vec::new(),
            person: None,
            runs: Vec::new(),
            over: Duration::ZERO,
            left: false,
            truth,
        };
        Self {
            world,
            strikes: VecDeque::new(),
            waits: Vec::new(),
            facts,
            answered: BTreeMap::new(),
            ordered: None,
            copies: BTreeMap::new(),
            whole: None,
            before: true,
        }
    }

    /// The same for a story with a person at the screen: what they do there counts.
    pub(super) fn played(mut self) -> Self {
        self.facts.person = Some(Vec::new());
        self
    }

    /// The story begins now: from now on what happens is part of it. Returns the age of the world.
    pub(super) fn begins(&mut self, happens: &[Happening]) -> Duration {
        self.before = false;
        let begun = self.now();
        self.waits = happens.to_vec();
        self.put_strikes(begun, None);
        begun
    }

    /// Nothing breaks any more.
    pub(super) fn closes(&mut self) {
        self.strikes.clear();
        self.waits.clear();
    }

    /// The age of the world.
    pub(super) fn now(&self) -> Duration {
        self.world.clock().monotonic()
    }

    /// The age of the world at which something breaks next, as far as that is known.
    pub(super) fn next(&self) -> Option<Duration> {
        self.strikes.front().map(|(at, _)| *at)
    }

    /// Lets the next thing break; says what.
    pub(super) fn strike(&mut self) -> Option<String> {
        let (at, fault) = self.strikes.pop_front()?;
        let [source, _] = self.facts.sites.clone();
        match &fault {
            // What is lost is counted from the first time; a site that is down already cannot be lost again.
            Fault::SiteDown { site } if *site == source && self.facts.truth.lost_at.is_none() => {
                self.facts.truth.promised = self.world.with(|world| world.truth(&source));
                self.facts.truth.lost_at = Some(at);
            }
            Fault::SiteUp { site } if *site == source => self.facts.truth.lost_at = None,
            Fault::Heal => self.facts.truth.lost_at = None,
            _ => {}
        }
        self.world.strike(&fault);
        let words = fault_words(&fault);
        self.facts.struck.push((at, fault));
        Some(words)
    }

    /// Something happened.
    pub(super) fn hear(&mut self, happened: &Happened) {
        match happened {
            Happened::Event(event, news) if !self.before => {
                self.facts.news.extend(news.clone());
                self.answer_taken(event);
                if let EventKind::UnitStarted { unit, .. } = &event.kind {
                    self.put_strikes(self.now(), Some(&unit.step.step));
                }
            }
            Happened::Event(..) => {}
            Happened::CopyBegins(point, at, truth) => drop(self.copies.insert(point.clone(), (*at, truth.clone()))),
            Happened::CopyArrived(point) => {
                let newest = self.facts.truth.newest.as_ref().map(|(at, _)| *at);
                if let Some(copy) = self.copies.get(point).filter(|(at, _)| newest.is_none_or(|newest| *at > newest)) {
                    self.facts.truth.newest = Some(copy.clone());
                }
            }
            Happened::Ended { fact, held, changed } => self.ended(fact, held, *changed),
        }
    }

    /// From now on count the times of what waited for this step, or for the beginning of the story.
    fn put_strikes(&mut self, from: Duration, step: Option<&StepId>) {
        let (due, waits) = std::mem::take(&mut self.waits).into_iter().partition(|wait| wait.during.as_ref() == step);
        self.waits = waits;
        let due: Vec<Happening> = due;
        self.strikes.extend(due.into_iter().map(|happening| (from + happening.at.0, happening.strikes)));
        self.strikes.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    fn answer_taken(&mut self, event: &Event) {
        let EventKind::PromptAnswered { prompt, .. } = &event.kind else { return };
        if let Some(action) = self.answered.remove(prompt) {
            self.facts.actions[action].got = Some(Got::Effect);
        }
    }

    fn ended(&mut self, fact: &RunFact, held: &Truth, changed: bool) {
        if fact.done && fact.restores {
            self.whole = Some(held.clone());
        }
        if self.before {
            return;
        }
        for (_, action) in std::mem::take(&mut self.answered) {
            self.facts.actions[action].got = Some(Got::Refused("the run had ended".to_owned()));
        }
        if let Some(action) = self.ordered.take() {
            self.facts.actions[action].got = Some(match (fact.done || changed, fact.outcome == REFUSED) {
                (true, _) => Got::Effect,
                (false, true) => Got::Refused("a rule said no".to_owned()),
                (false, false) => Got::Nothing(format!("{} ended: {}", fact.runbook, fact.outcome)),
            });
        }
        self.facts.runs.push(fact.clone());
    }

    /// The operator did this, and this came of it, if that is known already.
    pub(super) fn did(&mut self, act: Act, got: Option<Got>) {
        self.facts.actions.push(Action { at: self.now(), act, got });
    }

    /// The person at the screen did this there.
    pub(super) fn stirred(&mut self, kind: StirKind) {
        let at = self.now();
        self.facts.person.get_or_insert_default().push(Stir { at, kind });
    }

    /// The operator began or took up a run: what comes of that is known at its end.
    pub(super) fn ordered(&mut self, act: Act) {
        self.ordered = Some(self.facts.actions.len());
        self.did(act, None);
    }

    /// The operator gave an answer: what comes of that is known once the run takes it.
    pub(super) fn gave(&mut self, prompt: PromptId, act: Act) {
        self.answered.insert(prompt, self.facts.actions.len());
        self.did(act, None);
    }

    /// What the run that was ordered could not be begun for.
    pub(super) fn not_begun(&mut self, why: &str) {
        if let Some(action) = self.ordered.take() {
            self.facts.actions[action].got = Some(Got::Refused(why.to_owned()));
        }
    }

    /// The run of the story that ended last.
    pub(super) fn last_run(&self) -> Option<&RunFact> {
        self.facts.runs.last()
    }

    /// What happened until now, and what is where.
    pub(super) fn facts(&self) -> Facts {
        let mut facts = self.facts.clone();
        let [source, target] = &facts.sites;
        facts.over = self.now();
        facts.truth.held = self.world.with(|world| world.truth(target));
        if facts.truth.lost_at.is_none() {
            facts.truth.promised = self.world.with(|world| world.truth(source));
        }
        facts.truth.whole = self.whole.as_ref() == Some(&facts.truth.held);
        facts
    }
}
