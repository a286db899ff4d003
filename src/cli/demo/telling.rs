//! A story on the screen: the operator is whoever sits there. Notes what they do and what becomes of it, lets things break
//! at their times, and says when the story is over. What counts is the scenario's affair, and how it is counted the card's.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backstage::{Backstage, Happened};
use super::chronicle::Chronicle;
use super::sight::Sight;
use crate::console::Msg;
use crate::console::dialog::StartRequest;
use crate::console::story::{Briefing, StoryNews};
use crate::health::Observation;
use crate::model::{CancelReason, SafeText, StageId};
use crate::port::Clock as _;
use crate::run::RunCommand;
use crate::scenario::{Act, Card, Got, Scenario, StirKind, briefing};
use crate::world::SimulatedWorld;

/// A story that is being told.
pub(super) struct Telling {
    scenario: Scenario,
    chronicle: Chronicle,
    sight: Sight,
    world: SimulatedWorld,
    backstage: Rc<Backstage>,
    tell: mpsc::UnboundedSender<Msg>,
    phase: Phase,
    /// True from the order to carry something out until it has ended.
    busy: bool,
}

/// How far it is.
enum Phase {
    /// The operator has not closed the briefing.
    Waits,
    /// It goes on, until the world is so old at most.
    Plays(Duration),
    /// The time is up, and what still runs is being stopped.
    Closes,
    /// It is over, and this is its card.
    Over(Box<Card>),
}

impl Telling {
    /// A story that has not begun, in a world that is as old as it is, and of which so much can be seen.
    pub(super) fn new(
        scenario: Scenario,
        world: SimulatedWorld,
        sight: Sight,
        backstage: Rc<Backstage>,
        tell: mpsc::UnboundedSender<Msg>,
    ) -> Self {
        let chronicle = Chronicle::new(world.clone()).played();
        Self { scenario, chronicle, sight, world, backstage, tell, phase: Phase::Waits, busy: false }
    }

    /// Tells the operator what they have to know.
    pub(super) fn brief(&self, times: f64) {
        let text = SafeText::block(&briefing(&self.scenario, times));
        let name = SafeText::line(self.scenario.name.as_str());
        let ends_after = self.scenario.ends_after;
        self.send(StoryNews::Briefed(Box::new(Briefing { name, text, ends_after })));
    }

    /// The operator has read it. Returns what is to be carried out now; nothing when it had begun before.
    pub(super) fn begin(&mut self) -> Option<StartRequest> {
        let Phase::Waits = self.phase else { return None };
        let begun = self.chronicle.begins(&self.scenario.happens);
        self.phase = Phase::Plays(begun + self.scenario.ends_after.0);
        self.busy = true;
        let runbook = SafeText::line(self.scenario.runs.as_str());
        Some(StartRequest { runbook, params: std::collections::BTreeMap::new(), plan: None })
    }

    /// True before the operator has begun it.
    pub(super) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Waits)
    }

    /// When something is to happen next.
    pub(super) fn due(&self) -> Option<Instant> {
        let end = match self.phase {
            Phase::Plays(end) => Some(end),
            _ => None,
        };
        let next = [self.chronicle.next(), end].into_iter().flatten().min()?;
        Some(Instant::now() + next.saturating_sub(self.chronicle.now()))
    }

    /// What was due happens: in the world also when the story is over, for whoever goes on working in it.
    pub(super) fn happen(&mut self) {
        match self.phase {
            Phase::Plays(end) if self.chronicle.now() >= end => {
                self.phase = Phase::Closes;
                self.backstage.command(RunCommand::Cancel { reason: CancelReason::OperatorNow, by: None });
            }
            _ => {
                self.sight.breaks(self.world.clock().now());
                self.chronicle.strike();
            }
        }
        self.see_whether_over();
    }

    /// Something happened in a run.
    pub(super) fn hear(&mut self, happened: &Happened) {
        self.chronicle.hear(happened);
        match happened {
            Happened::Event(event, _) => {
                if let Some(act) = Act::of(event).filter(|_| self.plays()) {
                    self.chronicle.did(act, Some(Got::Effect));
                }
            }
            Happened::Ended { .. } => self.run_is_over(),
            Happened::CopyBegins(..) | Happened::CopyArrived(_) => {}
        }
    }

    /// The operator begins a runbook.
    pub(super) fn starts(&mut self, runbook: &SafeText) {
        match StageId::new(runbook.as_str()) {
            Ok(name) => self.orders(Act::Run(name)),
            // What has no name that a scenario could write is no act of a story; it runs all the same.
            Err(_) => self.busy = true,
        }
    }

    /// The operator takes a run up again.
    pub(super) fn resumes(&mut self) {
        self.orders(Act::Resume);
    }

    fn orders(&mut self, act: Act) {
        if self.plays() {
            self.chronicle.ordered(act);
        }
        self.busy = true;
    }

    /// What the operator ordered last could not be begun.
    pub(super) fn not_begun(&mut self, why: &str) {
        self.chronicle.not_begun(why);
        self.run_is_over();
    }

    /// The operator says that they have noticed something.
    pub(super) fn note(&mut self, text: &SafeText) {
        if self.plays() {
            self.chronicle.did(Act::Note(text.to_string()), Some(Got::Effect));
        }
    }

    /// A probe looked, and the screen shows what it saw.
    pub(super) fn looks(&mut self, look: &Observation) {
        self.sight.look(look);
    }

    /// The operator has pressed a key or clicked.
    pub(super) fn key(&mut self) {
        if self.plays() {
            self.chronicle.stirred(StirKind::Key(self.sight.trouble(self.world.clock().now())));
        }
    }

    /// The operator asks what a runbook would do.
    pub(super) fn plans(&mut self, runbook: &SafeText) {
        if self.plays() {
            self.chronicle.stirred(StirKind::Plan(runbook.to_string()));
        }
    }

    /// The card, as far as the story went; the operator has left.
    pub(super) fn left(self) -> Card {
        if let Phase::Over(card) = self.phase {
            return *card;
        }
        let mut facts = self.chronicle.facts();
        facts.left = true;
        Card::of(&self.scenario, &facts)
    }

    fn plays(&self) -> bool {
        matches!(self.phase, Phase::Plays(_))
    }

    fn run_is_over(&mut self) {
        self.busy = false;
        self.see_whether_over();
    }

    /// It is over once nothing runs, and either it is done or its time is up.
    fn see_whether_over(&mut self) {
        if self.busy || !matches!(self.phase, Phase::Plays(_) | Phase::Closes) {
            return;
        }
        let card = Card::of(&self.scenario, &self.chronicle.facts());
        if card.done.is_none() && self.plays() {
            return;
        }
        let help = self.scenario.help.trim().replace('\n', " ");
        let text = format!("{}\nHow it can be won\n\n{}", card.text(), help);
        self.send(StoryNews::Over { card: SafeText::block(&text), won: card.done.is_some() });
        self.phase = Phase::Over(Box::new(card));
    }

    fn send(&self, news: StoryNews) {
        // The screen has gone: soon this is gone too.
        drop(self.tell.send(Msg::Story(news)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::HealthState;
    use crate::model::{RunId, SourceText};
    use crate::scenario::{RunFact, examine};
    use crate::world::{Spec, Zone};

    /// The way to the active site is gone for two minutes.
    const CUT: &str = r#"
name = "cut"
title = "The way to the active site is cut"
runs = "replicate"
ends_after = "10m"

[[happens]]
at = "1s"
strikes = { fault = "cut", from = "console", to = { site = "prod" } }

[[happens]]
at = "2m"
strikes = { fault = "mend", a = "console", b = { site = "prod" } }

[counts]
noticed = { says = "does not answer" }
decided = { says = "asking again" }
done = "copied"
"#;

    /// The story in its world, begun.
    fn begun() -> (Telling, SimulatedWorld, mpsc::UnboundedReceiver<Msg>) {
        let source = SourceText { name: "cut.toml".to_owned(), text: CUT.to_owned() };
        let (scenario, _) = examine(&source, &["replicate"]).into_result().expect("a good scenario");
        let world = SimulatedWorld::new(&scenario.spec(7));
        let (tell, tells) = mpsc::unbounded_channel();
        let (backstage, _) = Backstage::new();
        let sight = Sight::new(HealthState::default());
        let mut telling = Telling::new(scenario, world.clone(), sight, Rc::new(backstage), tell);
        telling.begin().expect("it begins");
        (telling, world, tells)
    }

    /// What is due within a time happens.
    async fn pass(telling: &mut Telling, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while let Some(due) = telling.due().filter(|due| *due <= end) {
            tokio::time::sleep_until(due).await;
            telling.happen();
        }
        tokio::time::sleep_until(end).await;
    }

    /// The run has ended, and put a whole copy into the standby when it is done.
    fn ends(telling: &mut Telling, world: &SimulatedWorld, done: bool) {
        let [_, target] = Spec::sites();
        let fact = RunFact {
            run: RunId::new("r-1").expect("an id"),
            runbook: "replicate".to_owned(),
            began: Duration::ZERO,
            ended: world.clock().monotonic(),
            outcome: if done { "done" } else { "failed" }.to_owned(),
            done,
            restores: true,
            well: true,
        };
        let held = world.with(|world| world.truth(&target));
        telling.hear(&Happened::Ended { fact: Box::new(fact), held, changed: done });
    }

    fn passes(world: &SimulatedWorld) -> bool {
        let [source, _] = Spec::sites();
        world.with(|world| world.network.passes(&Zone::Console, &Zone::Site(source)))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_to_be_mended_is_mended_after_the_card_too() {
        let (mut telling, world, _tells) = begun();
        pass(&mut telling, 60).await;
        ends(&mut telling, &world, true);
        assert!(matches!(telling.phase, Phase::Over(_)) && !passes(&world));
        pass(&mut telling, 61).await;
        assert!(passes(&world), "the operator goes on in a world that stays broken");
        assert_eq!(telling.due(), None);
        let card = telling.left();
        assert!(card.done.is_some() && !card.left, "{}", card.text());
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_time_is_up_the_story_is_over_once_nothing_runs() {
        let (mut telling, world, mut tells) = begun();
        pass(&mut telling, 601).await;
        assert!(matches!(telling.phase, Phase::Closes), "it still runs");
        ends(&mut telling, &world, false);
        let over = tells.try_recv().expect("the card");
        assert!(matches!(over, Msg::Story(StoryNews::Over { won: false, .. })), "{over:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_presses_nothing_has_noticed_and_decided_nothing() {
        let (mut telling, world, _tells) = begun();
        telling.key();
        pass(&mut telling, 60).await;
        ends(&mut telling, &world, true);
        telling.key();
        let card = telling.left();
        assert!(card.broke.is_some() && card.noticed.is_none() && card.decided.is_none(), "{}", card.text());
    }
}
