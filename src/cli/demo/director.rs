//! Directs a story that nobody looks at: lets things break when the scenario says so, and plays the operator of the
//! answers file. It reaches the runs only as a person could, and never looks into the world to decide anything.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backstage::{Backstage, Happened, Order};
use super::chronicle::Chronicle;
use super::crew::operator;
use crate::cli::conduct::Signals;
use crate::model::CancelReason;
use crate::port::Clock;
use crate::run::{Answer, Prompt, RunCommand, choices, read_answer};
use crate::scenario::{Act, Answers, Facts, Got, Scenario, Script, act_words};
use crate::world::SimulatedWorld;

/// Directs one story.
pub(super) struct Director {
    world: SimulatedWorld,
    backstage: Rc<Backstage>,
    hears: mpsc::UnboundedReceiver<Happened>,
    script: Script,
    chronicle: Chronicle,
    /// True from the order to carry something out until it has ended.
    busy: bool,
    /// True once nothing more is begun.
    over: bool,
}

impl Director {
    /// A director for a story in a world that is as old as it is.
    pub(super) fn new(
        world: SimulatedWorld,
        backstage: Rc<Backstage>,
        hears: mpsc::UnboundedReceiver<Happened>,
        answers: Answers,
    ) -> Self {
        let (chronicle, script) = (Chronicle::new(world.clone()), Script::new(answers));
        Self { world, backstage, hears, script, chronicle, busy: false, over: false }
    }

    /// Directs the story from its beginning to its end.
    pub(super) async fn direct(mut self, scenario: &Scenario, orders: mpsc::UnboundedSender<Order>) -> Facts {
        // What happened before the story: which copies there are.
        while let Ok(happened) = self.hears.try_recv() {
            self.chronicle.hear(&happened);
        }
        let begun = self.chronicle.begins(&scenario.happens);
        let end = begun + scenario.ends_after.0;
        self.script.begins(begun);
        self.busy = true;
        send(&orders, Order::Run(scenario.runs.to_string()));
        let mut signals = Signals::install();
        loop {
            let due = self.script.due().filter(|_| !self.over);
            if !self.busy && (self.over || due.is_none()) {
                break;
            }
            let strikes = self.chronicle.next().map(|at| self.moment(at));
            let acts = due.map(|at| self.moment(at));
            let ends = self.moment(end);
            tokio::select! {
                biased;
                Some(happened) = self.hears.recv() => self.hear(&happened),
                () = until(strikes) => if let Some(words) = self.chronicle.strike() {
                    self.remark(&orders, "WORLD", words);
                },
                // While a run goes on, it hears the signal too.
                () = signals.stop() => self.over = true,
                () = until(acts) => self.act(&orders),
                () = until(Some(ends)), if !self.over => self.close(&orders),
            }
        }
        self.chronicle.facts()
    }

    /// The moment at which the world is so old.
    fn moment(&self, age: Duration) -> Instant {
        Instant::now() + age.saturating_sub(self.chronicle.now())
    }

    fn remark(&self, orders: &mpsc::UnboundedSender<Order>, word: &'static str, text: String) {
        self.backstage.remark(self.world.clock().now(), word, text);
        send(orders, Order::Look);
    }

    fn hear(&mut self, happened: &Happened) {
        match happened {
            Happened::Event(event, _) => self.script.event(self.chronicle.now(), event),
            Happened::Ended { fact, .. } => {
                self.busy = false;
                self.script.run_ended(self.chronicle.now(), fact.done);
            }
            Happened::CopyBegins(..) | Happened::CopyArrived(_) => {}
        }
        self.chronicle.hear(happened);
    }

    fn act(&mut self, orders: &mpsc::UnboundedSender<Order>) {
        let question = self.script.question().cloned();
        let Some(act) = self.script.take(self.chronicle.now()) else { return };
        self.remark(orders, "PERSON", format!("the operator {}", act_words(&act)));
        if let Err(why) = self.carry_out(&act, question, orders) {
            self.remark(orders, "REFUSED", why.clone());
            self.chronicle.did(act, Some(Got::Refused(why)));
        }
    }

    /// Does something, and has it written down.
    fn carry_out(
        &mut self,
        act: &Act,
        question: Option<Prompt>,
        orders: &mpsc::UnboundedSender<Order>,
    ) -> Result<(), String> {
        let refused = |why: &str| Err(why.to_owned());
        match act {
            Act::Answer(line) => {
                let Some(prompt) = question else { return refused("nothing was asked") };
                let Some((answer, typed)) = read_answer(&prompt, line) else {
                    return Err(format!("that is no answer: {}", choices(&prompt)));
                };
                let given = Answer { prompt: prompt.id, answer, typed, by: operator() };
                if !self.backstage.command(RunCommand::Answer(given)) {
                    return refused("nothing runs");
                }
                self.chronicle.gave(prompt.id, act.clone());
            }
            Act::Run(_) | Act::Resume if self.busy => return refused("another run holds the lock"),
            Act::Run(runbook) => self.order(act, Order::Run(runbook.to_string()), orders),
            Act::Resume => match self.chronicle.last_run() {
                None => return refused("there is no run to resume"),
                Some(last) if last.done => return refused("the last run is done; there is nothing to resume"),
                Some(last) => {
                    let run = last.run.clone();
                    self.order(act, Order::Resume(run), orders);
                }
            },
            Act::Cancel => {
                self.command(act, RunCommand::Cancel { reason: CancelReason::Operator, by: Some(operator()) })?;
            }
            Act::StopNow => {
                self.command(act, RunCommand::Cancel { reason: CancelReason::OperatorNow, by: Some(operator()) })?;
            }
            Act::Pause => self.command(act, RunCommand::Pause { by: operator() })?,
            Act::Continue => self.command(act, RunCommand::Continue { by: operator() })?,
            Act::Note(_) => self.chronicle.did(act.clone(), Some(Got::Effect)),
        }
        Ok(())
    }

    fn order(&mut self, act: &Act, order: Order, orders: &mpsc::UnboundedSender<Order>) {
        self.busy = true;
        self.chronicle.ordered(act.clone());
        send(orders, order);
    }

    fn command(&mut self, act: &Act, command: RunCommand) -> Result<(), String> {
        if !self.backstage.command(command) {
            return Err("nothing runs".to_owned());
        }
        self.chronicle.did(act.clone(), Some(Got::Effect));
        Ok(())
    }

    /// The time is over: what still runs is stopped at once.
    fn close(&mut self, orders: &mpsc::UnboundedSender<Order>) {
        self.over = true;
        self.chronicle.closes();
        if self.busy {
            self.remark(orders, "OVER", "the story is over; what still runs is stopped".to_owned());
            self.backstage.command(RunCommand::Cancel { reason: CancelReason::OperatorNow, by: None });
        }
    }
}

fn send(orders: &mpsc::UnboundedSender<Order>, order: Order) {
    // When the crew has given up, its error is what the story ends with.
    drop(orders.send(order));
}

/// Waits until a moment; for ever when there is none.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
