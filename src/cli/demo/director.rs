//! Directs a story: lets things break when the scenario says so, plays the operator of the answers file, and writes down
//! what happened. It reaches the runs only as a person could, and never looks into the world to decide anything.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backstage::{Backstage, Happened, Order};
use super::crew::operator;
use crate::cli::conduct::Signals;
use crate::model::{CancelReason, SiteName, StepId};
use crate::port::Clock;
use crate::run::{Answer, Event, EventKind, PromptId, RunCommand, choices, read_answer};
use crate::scenario::{
    Act, Action, Answers, Facts, Got, Happening, RunFact, Scenario, Script, TruthFacts, act_words, fault_words,
};
use crate::world::{Fault, SimulatedWorld, Spec, Truth};

/// The word for a run that a rule refused.
const REFUSED: &str = "refused";

/// Directs one story.
pub(super) struct Director {
    world: SimulatedWorld,
    backstage: Rc<Backstage>,
    hears: mpsc::UnboundedReceiver<Happened>,
    script: Script,
    /// What is going to happen, and when; in order.
    strikes: VecDeque<(Duration, Fault)>,
    /// What waits for the beginning of a step.
    waits: Vec<Happening>,
    sites: [SiteName; 2],
    facts: Facts,
    /// True from the order to carry something out until it has ended.
    busy: bool,
    /// True once nothing more is begun.
    over: bool,
    /// The answers that the run has not taken yet, and what they are among the actions.
    answered: BTreeMap<PromptId, usize>,
    /// The action that the present run came of.
    ordered: Option<usize>,
    /// When the copy of each point was begun, and what the active site held then.
    copies: BTreeMap<String, (Duration, Truth)>,
    /// What the standby held when a run had put a whole copy into it.
    whole: Option<Truth>,
    /// True while the first events are those of before the story.
    before: bool,
}

impl Director {
    /// A director for a story in a world that is as old as it is.
    pub(super) fn new(
        world: SimulatedWorld,
        backstage: Rc<Backstage>,
        hears: mpsc::UnboundedReceiver<Happened>,
        answers: Answers,
    ) -> Self {
        let epoch = world.with(|world| world.spec.epoch);
        let truth = TruthFacts {
            lost_at: None,
            promised: Truth::default(),
            held: Truth::default(),
            newest: None,
            whole: false,
        };
        let sites = Spec::sites();
        let facts = Facts {
            epoch,
            sites: sites.clone(),
            struck: Vec::new(),
            news: Vec::new(),
            actions: Vec::new(),
            runs: Vec::new(),
            over: Duration::ZERO,
            truth,
        };
        Self {
            world,
            backstage,
            hears,
            script: Script::new(answers),
            strikes: VecDeque::new(),
            waits: Vec::new(),
            sites,
            facts,
            busy: false,
            over: false,
            answered: BTreeMap::new(),
            ordered: None,
            copies: BTreeMap::new(),
            whole: None,
            before: true,
        }
    }

    /// Directs the story from its beginning to its end.
    pub(super) async fn direct(mut self, scenario: &Scenario, orders: mpsc::UnboundedSender<Order>) -> Facts {
        // What happened before the story: which copies there are.
        while let Ok(happened) = self.hears.try_recv() {
            self.hear(happened);
        }
        self.before = false;
        let begun = self.now();
        let end = begun + scenario.ends_after.0;
        self.waits.clone_from(&scenario.happens);
        self.put_strikes(begun, None);
        self.script.begins(begun);
        self.busy = true;
        send(&orders, Order::Run(scenario.runs.to_string()));
        let mut signals = Signals::install();
        loop {
            let due = self.script.due().filter(|_| !self.over);
            if !self.busy && (self.over || due.is_none()) {
                break;
            }
            let strikes = self.strikes.front().map(|(at, _)| self.moment(*at));
            let acts = due.map(|at| self.moment(at));
            let ends = self.moment(end);
            tokio::select! {
                biased;
                Some(happened) = self.hears.recv() => self.hear(happened),
                () = until(strikes) => self.strike(&orders),
                // While a run goes on, it hears the signal too.
                () = signals.stop() => self.over = true,
                () = until(acts) => self.act(&orders),
                () = until(Some(ends)), if !self.over => self.close(&orders),
            }
        }
        self.facts.over = self.now();
        self.look_at_the_end();
        self.facts
    }

    fn now(&self) -> Duration {
        self.world.clock().monotonic()
    }

    /// The moment at which the world is so old.
    fn moment(&self, age: Duration) -> Instant {
        Instant::now() + age.saturating_sub(self.now())
    }

    fn remark(&self, orders: &mpsc::UnboundedSender<Order>, word: &'static str, text: String) {
        self.backstage.remark(self.world.clock().now(), word, text);
        send(orders, Order::Look);
    }

    fn hear(&mut self, happened: Happened) {
        match happened {
            Happened::Event(event, news) => {
                if !self.before {
                    self.facts.news.extend(news);
                    self.script.event(self.now(), &event);
                    self.answer_taken(&event);
                    if let EventKind::UnitStarted { unit, .. } = &event.kind {
                        self.put_strikes(self.now(), Some(&unit.step.step));
                    }
                }
            }
            Happened::CopyBegins(point, at, truth) => drop(self.copies.insert(point, (at, truth))),
            Happened::CopyArrived(point) => {
                let newest = self.facts.truth.newest.as_ref().map(|(at, _)| *at);
                if let Some(copy) = self.copies.get(&point).filter(|(at, _)| newest.is_none_or(|newest| *at > newest)) {
                    self.facts.truth.newest = Some(copy.clone());
                }
            }
            Happened::Ended { fact, held, changed } => self.ended(*fact, held, changed),
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

    fn ended(&mut self, fact: RunFact, held: Truth, changed: bool) {
        if fact.done && fact.restores {
            self.whole = Some(held);
        }
        if self.before {
            return;
        }
        self.busy = false;
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
        self.script.run_ended(self.now(), fact.done);
        self.facts.runs.push(fact);
    }

    fn strike(&mut self, orders: &mpsc::UnboundedSender<Order>) {
        let Some((at, fault)) = self.strikes.pop_front() else { return };
        let [source, _] = self.sites.clone();
        match &fault {
            Fault::SiteDown { site } if *site == source => {
                self.facts.truth.promised = self.world.with(|world| world.truth(&source));
                self.facts.truth.lost_at = Some(at);
            }
            Fault::SiteUp { site } if *site == source => self.facts.truth.lost_at = None,
            Fault::Heal => self.facts.truth.lost_at = None,
            _ => {}
        }
        self.world.strike(&fault);
        self.remark(orders, "WORLD", fault_words(&fault));
        self.facts.struck.push((at, fault));
    }

    fn act(&mut self, orders: &mpsc::UnboundedSender<Order>) {
        let question = self.script.question().cloned();
        let now = self.now();
        let Some(act) = self.script.take(now) else { return };
        self.remark(orders, "PERSON", format!("the operator {}", act_words(&act)));
        let action = self.facts.actions.len();
        let refused = |why: &str| Some(Got::Refused(why.to_owned()));
        let got = match &act {
            Act::Answer(line) => match question {
                None => refused("nothing was asked"),
                Some(prompt) => match read_answer(&prompt, line) {
                    None => Some(Got::Refused(format!("that is no answer: {}", choices(&prompt)))),
                    Some((answer, typed)) => {
                        let given = Answer { prompt: prompt.id, answer, typed, by: operator() };
                        if self.backstage.command(RunCommand::Answer(given)) {
                            self.answered.insert(prompt.id, action);
                            None
                        } else {
                            refused("nothing runs")
                        }
                    }
                },
            },
            Act::Run(_) | Act::Resume if self.busy => refused("another run holds the lock"),
            Act::Run(runbook) => {
                self.busy = true;
                self.ordered = Some(action);
                send(orders, Order::Run(runbook.to_string()));
                None
            }
            Act::Resume => match self.facts.runs.last() {
                None => refused("there is no run to resume"),
                Some(last) if last.done => refused("the last run is done; there is nothing to resume"),
                Some(last) => {
                    self.busy = true;
                    self.ordered = Some(action);
                    send(orders, Order::Resume(last.run.clone()));
                    None
                }
            },
            Act::Cancel | Act::StopNow => {
                let reason = if act == Act::StopNow { CancelReason::OperatorNow } else { CancelReason::Operator };
                let cancel = RunCommand::Cancel { reason, by: Some(operator()) };
                if self.backstage.command(cancel) { Some(Got::Effect) } else { refused("nothing runs") }
            }
        };
        if let Some(Got::Refused(why)) = &got {
            self.remark(orders, "REFUSED", why.clone());
        }
        self.facts.actions.push(Action { at: now, act, got });
    }

    /// The time is over: what still runs is stopped at once.
    fn close(&mut self, orders: &mpsc::UnboundedSender<Order>) {
        self.over = true;
        self.strikes.clear();
        self.waits.clear();
        if self.busy {
            self.remark(orders, "OVER", "the story is over; what still runs is stopped".to_owned());
            self.backstage.command(RunCommand::Cancel { reason: CancelReason::OperatorNow, by: None });
        }
    }

    fn look_at_the_end(&mut self) {
        let [source, target] = &self.sites;
        let truth = &mut self.facts.truth;
        truth.held = self.world.with(|world| world.truth(target));
        if truth.lost_at.is_none() {
            truth.promised = self.world.with(|world| world.truth(source));
        }
        truth.whole = self.whole.as_ref() == Some(&truth.held);
    }
}

fn send(orders: &mpsc::UnboundedSender<Order>, order: Order) {
    // When the crew has given up, its error is what the story ends with.
    drop(orders.send(order));
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
