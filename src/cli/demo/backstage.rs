//! What the crew of the demo and whoever directs it tell each other while a run goes on.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::cli::conduct::Audience;
use crate::cli::output::Screen;
use crate::model::{RunId, SiteName};
use crate::port::Clock;
use crate::run::{Event, EventKind, RunCommand, RunState};
use crate::scenario::{News, RunFact};
use crate::session::Viewers;
use crate::world::{SimulatedWorld, Truth};

/// The kinds of steps that take from the active site what a copy is made of.
const CAPTURES: [&str; 3] = ["elasticsearch.snapshot", "mysql.dump", "files.collect"];
/// The kind of step that proves that a copy is whole at the standby.
const PROVES: &str = "exchange.arrived";

/// Something that the director hears of.
#[derive(Debug)]
pub(super) enum Happened {
    /// An event of the run, and what it says that is no good news.
    Event(Arc<Event>, Option<News>),
    /// The first step of the copy of this point begins: what the active site holds at this moment.
    CopyBegins(String, Duration, Truth),
    /// The copy of this point is whole at the standby.
    CopyArrived(String),
    /// The run has ended, and nothing of it goes on.
    Ended {
        /// What came of it.
        fact: Box<RunFact>,
        /// What the standby holds now.
        held: Truth,
        /// True when it changed anything that lasts.
        changed: bool,
    },
}

/// What the director asks of the crew.
#[derive(Debug)]
pub(super) enum Order {
    /// Carry a runbook out.
    Run(String),
    /// Resume a run.
    Resume(RunId),
    /// There are remarks to show.
    Look,
}

/// What both sides use.
pub(super) struct Backstage {
    remarks: RefCell<Vec<(&'static str, jiff::Timestamp, String)>>,
    commands: RefCell<Option<mpsc::Sender<RunCommand>>>,
    happened: mpsc::UnboundedSender<Happened>,
}

impl Backstage {
    /// And where to hear what happens.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Happened>) {
        let (happened, hears) = mpsc::unbounded_channel();
        (Self { remarks: RefCell::default(), commands: RefCell::default(), happened }, hears)
    }

    /// Leaves a remark to be shown.
    pub(super) fn remark(&self, at: jiff::Timestamp, word: &'static str, text: String) {
        self.remarks.borrow_mut().push((word, at, text));
    }

    /// Gives the run a command; false when there is none, or it hears nothing more.
    pub(super) fn command(&self, command: RunCommand) -> bool {
        self.commands.borrow().as_ref().is_some_and(|commands| commands.try_send(command).is_ok())
    }

    /// From now on this run is commanded; nothing when there is none.
    pub(super) fn commands(&self, commands: Option<mpsc::Sender<RunCommand>>) {
        *self.commands.borrow_mut() = commands;
    }

    /// Tells the director, if there is one.
    pub(super) fn tell(&self, happened: Happened) {
        // Without a story nobody listens.
        drop(self.happened.send(happened));
    }

    /// Shows the remarks that wait.
    pub(super) fn show(&self, screen: &mut Screen<'_>) {
        for (word, at, text) in self.remarks.borrow_mut().drain(..) {
            screen.remark(at, word, &text);
        }
    }
}

/// Everybody who listens to a run of the demo.
pub(super) struct House<'a, 'b> {
    pub(super) screen: &'a mut Screen<'b>,
    pub(super) viewers: Option<&'a Viewers>,
    pub(super) backstage: &'a Backstage,
    pub(super) world: &'a SimulatedWorld,
    pub(super) source: &'a SiteName,
    /// True when nothing of it is shown.
    pub(super) quiet: bool,
    /// True once the first step of a copy has begun.
    pub(super) copying: bool,
}

impl House<'_, '_> {
    fn copy_news(&mut self, event: &Event, state: &RunState) -> Option<Happened> {
        let uses = |unit: &crate::model::UnitKey| state.plan.step(&unit.step).map(|step| step.uses.as_str());
        match &event.kind {
            EventKind::UnitStarted { unit, .. }
                if !self.copying && uses(unit).is_some_and(|uses| CAPTURES.contains(&uses)) =>
            {
                self.copying = true;
                let truth = self.world.with(|world| world.truth(self.source));
                Some(Happened::CopyBegins(state.point.to_string(), self.world.clock().monotonic(), truth))
            }
            EventKind::UnitEnded { unit, outcome, captures, .. } if uses(unit) == Some(PROVES) && outcome.is_good() => {
                let point = captures.get("point").and_then(|point| point.as_str());
                Some(Happened::CopyArrived(point.unwrap_or(state.point.as_str()).to_owned()))
            }
            _ => None,
        }
    }
}

impl Audience for House<'_, '_> {
    fn event(&mut self, event: &Arc<Event>, state: &RunState) {
        if let Some(viewers) = self.viewers {
            viewers.publish(event);
        }
        self.backstage.show(self.screen);
        if !self.quiet {
            self.screen.event(event, state);
        }
        if let Some(news) = self.copy_news(event, state) {
            self.backstage.tell(news);
        }
        let news = News::of(self.world.clock().monotonic(), event, state);
        self.backstage.tell(Happened::Event(Arc::clone(event), news));
    }

    fn tick(&mut self, state: &RunState) {
        self.backstage.show(self.screen);
        if !self.quiet {
            self.screen.tick(state);
        }
    }

    fn not_an_answer(&mut self, state: &RunState) {
        self.screen.not_an_answer(state);
    }
}
