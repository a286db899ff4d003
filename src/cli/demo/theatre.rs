//! The thread in which the simulated world of the screen lives: what was before, and then whatever the screen orders, one
//! run at a time. With a story it also tells that.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::DemoArgs;
use super::backstage::{Backstage, Happened};
use super::crew::{Crew, Prepared};
use super::director::until;
use super::pace::Tempo;
use super::screen::{Desk, Says};
use super::sight::Sight;
use super::telling::Telling;
use crate::cli::console::{Order, Rows, RunBooks};
use crate::cli::run::exit_of;
use crate::cli::{App, CliError, Exit, Io};
use crate::console::Msg;
use crate::console::dialog::StartRequest;
use crate::console::story::StoryOrder;
use crate::health::{Observation, Watch};
use crate::model::{RunId, SafeText};
use crate::run::{EventKind, RunState};
use crate::scenario::{Card, Scenario};
use crate::systems::catalogue;
use crate::world::{SimulatedWorld, Spec};

/// How long the application has written when the first copy is made.
const BEFORE: Duration = Duration::from_secs(30);
/// How long ago that was when the screen opens.
const SINCE_COPY: Duration = Duration::from_mins(4);
/// How long the sites are looked at before anybody is told that the world is ready.
const FIRST_LOOKS: Duration = Duration::from_secs(6);
/// How often the screen is told the time, in the machine's time.
const TICK: Duration = Duration::from_millis(200);
/// How often the record and the direction are looked at, in the machine's time.
const LOOK: Duration = Duration::from_secs(2);

/// What the world's thread is given to live on.
pub(super) struct Opening {
    pub(super) app: App,
    pub(super) args: DemoArgs,
    pub(super) spec: Spec,
    pub(super) prepared: Prepared,
    pub(super) scenario: Option<Scenario>,
    /// How many times as fast as the machine's its time goes.
    pub(super) times: f64,
    pub(super) tempo: Tempo,
    pub(super) tell: mpsc::UnboundedSender<Msg>,
    pub(super) ordered: mpsc::UnboundedReceiver<Order>,
}

/// Lives until the screen is left. Returns the card of the story, as far as it went.
pub(super) async fn live(opening: Opening) -> Result<Option<Card>, CliError> {
    let Opening { mut app, args, spec, prepared, scenario, times, tempo, tell, mut ordered } = opening;
    let world = SimulatedWorld::new(&spec);
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let estate = prepared.estate();
    let desk = Desk::new(own, estate, Rows::new(prepared.store()), world.clone(), tell.clone());
    desk.tell(Msg::Runbooks(RunBooks::read(&desk.app, &desk.estate)));
    let (backstage, mut hears) = Backstage::new();
    let backstage = Rc::new(backstage);
    let mut crew = Crew::new(&mut app, &args, world.clone(), prepared, Rc::clone(&backstage)).watched();
    tempo.hurry(true);
    desk.tick();
    let first_looks = before(&mut crew, scenario.as_ref()).await?;
    let sight = Sight::new(crate::health::unseen(&crate::health::plan(&desk.estate, &desk.app.catalogue)));
    let telling = scenario.map(|scenario| Telling::new(scenario, world.clone(), sight, backstage, tell));
    let watched = (Arc::new(world.clone()), world.clock(), Arc::clone(&desk.estate));
    let (watch, mut looks) = Watch::start(watched.0, watched.1, watched.2, &desk.app.catalogue, None);
    let (said, mut says) = mpsc::unbounded_channel();
    let tour = !args.no_tour;
    let mut theatre =
        Theatre { desk, said, crew: Some(crew), carrying: None, taken_up: None, telling, tempo, times, tour };
    let mut ready = Some(Instant::now() + first_looks);
    let mut tick = tokio::time::interval(TICK.mul_f64(times));
    let mut look = tokio::time::interval(LOOK.mul_f64(times));
    loop {
        let due = theatre.telling.as_ref().and_then(Telling::due);
        tokio::select! {
            biased;
            Some(happened) = hears.recv() => theatre.hear(&happened),
            () = until(due) => if let Some(telling) = &mut theatre.telling {
                telling.happen();
            },
            (free, ended) = carried(&mut theatre.carrying) => theatre.carried(free, ended),
            order = ordered.recv() => match order {
                Some(order) => theatre.order(order),
                None => return Ok(theatre.telling.map(Telling::left)),
            },
            () = until(ready) => {
                ready = None;
                theatre.ready();
            }
            Some(says) = says.recv() => if let Some(direction) = theatre.desk.directed(&says) {
                watch.turn(direction);
            },
            Some(look) = looks.recv() => theatre.looked(look),
            _ = tick.tick() => theatre.desk.tick(),
            _ = look.tick() => theatre.look(),
        }
    }
}

/// What was before the screen opens. Returns how long it still is until it does: the sites are looked at meanwhile.
async fn before(crew: &mut Crew<'_>, scenario: Option<&Scenario>) -> Result<Duration, CliError> {
    let pause = match scenario {
        None => {
            tokio::time::sleep(BEFORE).await;
            drop(crew.run("replicate", true).await?);
            SINCE_COPY
        }
        Some(scenario) => {
            for runbook in &scenario.before {
                undisturbed(crew, runbook.as_str()).await?;
            }
            scenario.pause.0
        }
    };
    let first_looks = pause.min(FIRST_LOOKS);
    tokio::time::sleep(pause.saturating_sub(first_looks)).await;
    Ok(first_looks)
}

/// Carries out what a story stands on.
pub(super) async fn undisturbed(crew: &mut Crew<'_>, runbook: &str) -> Result<(), CliError> {
    let state = crew.run(runbook, true).await?;
    if exit_of(&state) == Exit::Done {
        return Ok(());
    }
    let message = format!("the story cannot begin: undisturbed, {runbook} did not end well in this world");
    Err(CliError::new(Exit::Failed, message).hint("`changeover demo --headless --runbook` with its name shows why"))
}

/// A run under way; gives the crew back when it has ended.
type Carrying<'a> = Pin<Box<dyn Future<Output = (Crew<'a>, Result<RunState, CliError>)> + 'a>>;

async fn carried<'a>(carrying: &mut Option<Carrying<'a>>) -> (Crew<'a>, Result<RunState, CliError>) {
    match carrying {
        Some(carrying) => carrying.await,
        None => std::future::pending().await,
    }
}

/// Whoever does in the world what the screen orders.
struct Theatre<'a> {
    desk: Desk,
    /// Where what the sites say of the direction goes.
    said: mpsc::UnboundedSender<Says>,
    /// Nobody while a run is carried out.
    crew: Option<Crew<'a>>,
    carrying: Option<Carrying<'a>>,
    /// The run that is being taken up again.
    taken_up: Option<RunId>,
    telling: Option<Telling>,
    tempo: Tempo,
    times: f64,
    tour: bool,
}

impl<'a> Theatre<'a> {
    /// The world is as it is to be when somebody first looks at it.
    fn ready(&mut self) {
        self.tempo.hurry(false);
        self.look();
        self.desk.tick();
        match &self.telling {
            // No time passes while somebody reads.
            Some(telling) => {
                self.tempo.stand(true);
                telling.brief(self.times);
            }
            None if self.tour => self.desk.tell(Msg::Tour),
            None => {}
        }
    }

    /// A probe has looked.
    fn looked(&mut self, look: Observation) {
        if let Some(telling) = &mut self.telling {
            telling.looks(&look);
        }
        self.desk.tell(Msg::Health(Box::new(look)));
    }

    /// Has the record read, and both sites asked for the direction.
    fn look(&mut self) {
        self.desk.look(&self.said);
    }

    fn hear(&mut self, happened: &Happened) {
        if let Some(telling) = &mut self.telling {
            telling.hear(happened);
        }
        let Happened::Event(event, _) = happened else { return };
        let begun = match &event.kind {
            EventKind::RunCreated { run, .. } if self.carrying.is_some() => Some(run.clone()),
            EventKind::SessionStarted { .. } => self.taken_up.take(),
            _ => None,
        };
        if let Some(run) = begun {
            self.desk.tell(Msg::Started(Ok(run)));
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Refresh => self.look(),
            Order::Plan(request) => {
                if let Some(telling) = &mut self.telling {
                    telling.plans(&request.runbook);
                }
                self.desk.plan(request);
            }
            Order::Start(request) => self.by_operator(&request),
            Order::Resume(run) => self.resume(run),
            Order::Story(StoryOrder::Begin) => {
                if let Some(request) = self.telling.as_mut().and_then(Telling::begin) {
                    self.tempo.stand(false);
                    self.start(&request);
                }
            }
            Order::Story(StoryOrder::Note(text)) => {
                if let Some(telling) = &mut self.telling {
                    telling.note(&text);
                }
            }
            Order::Story(StoryOrder::Key) => {
                if let Some(telling) = &mut self.telling {
                    telling.key();
                }
            }
        }
    }

    /// Why the screen may order nothing now.
    fn refuses(&self) -> Option<&'static str> {
        match (&self.telling, &self.crew) {
            (Some(telling), _) if telling.waits() => Some("the story has not begun"),
            (_, None) => Some("a run is going on; one at a time"),
            _ => None,
        }
    }

    fn by_operator(&mut self, request: &StartRequest) {
        if let Some(why) = self.refuses() {
            self.desk.tell(Msg::Started(Err(SafeText::line(why))));
            return;
        }
        if let Some(telling) = &mut self.telling {
            telling.starts(&request.runbook);
        }
        self.start(request);
    }

    fn start(&mut self, request: &StartRequest) {
        match self.desk.planned(request) {
            Ok(plan) => {
                if let Some(mut free) = self.crew.take() {
                    self.carrying = Some(Box::pin(async move {
                        let ended = free.begin(plan, false).await;
                        (free, ended)
                    }));
                }
            }
            Err(why) => self.not_begun(why),
        }
    }

    fn resume(&mut self, run: RunId) {
        if let Some(why) = self.refuses() {
            self.desk.tell(Msg::Started(Err(SafeText::line(why))));
            return;
        }
        let Some(mut free) = self.crew.take() else { return };
        if let Some(telling) = &mut self.telling {
            telling.resumes();
        }
        self.taken_up = Some(run.clone());
        self.carrying = Some(Box::pin(async move {
            let ended = free.resume(&run).await;
            (free, ended)
        }));
    }

    fn carried(&mut self, free: Crew<'a>, ended: Result<RunState, CliError>) {
        self.crew = Some(free);
        self.carrying = None;
        self.taken_up = None;
        if let Err(error) = ended {
            self.not_begun(error.message);
        }
        self.look();
    }

    fn not_begun(&mut self, why: SafeText) {
        if let Some(telling) = &mut self.telling {
            telling.not_begun(why.as_str());
        }
        self.desk.tell(Msg::Started(Err(why)));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Args, Command};
    use crate::cli::demo::crew::prepare;
    use crate::cli::demo::pace::{self, Speed};
    use crate::cli::load::Places;
    use crate::console::story::StoryNews;
    use crate::health::Subject;
    use crate::model::SourceText;
    use crate::scenario::examine;

    /// Somebody else turns the direction.
    const TURNS: &str = r#"
name = "turns"
title = "Somebody else turns the direction"
before = ["replicate"]
runs = "backup"
ends_after = "30m"

[[happens]]
at = "1m"
strikes = { fault = "direction_turns" }

[counts]
noticed = "told"
decided = "acted"
done = "copied"
"#;

    /// Sits at the screen until it has seen a plan and a look of the new direction.
    async fn sit(mut tells: mpsc::UnboundedReceiver<Msg>, orders: mpsc::UnboundedSender<Order>) {
        let (mut turned, mut planned, mut looked) = (false, false, false);
        while !(planned && looked) {
            match tells.recv().await.expect("the world goes on") {
                Msg::Story(StoryNews::Briefed(_)) => orders.send(Order::Story(StoryOrder::Begin)).expect("it listens"),
                Msg::Direction(facts) if !turned => {
                    turned = facts.direction.is_some_and(|direction| direction.source.as_str() == "bcp");
                    if turned {
                        let (runbook, params) = (SafeText::line("replicate"), std::collections::BTreeMap::new());
                        orders.send(Order::Plan(StartRequest { runbook, params, plan: None })).expect("it listens");
                    }
                }
                Msg::Planned(plan) => {
                    assert!(plan.text.as_str().contains("bcp -> prod"), "{}", plan.text);
                    planned = true;
                }
                Msg::Health(look) if turned && look.key.subject == Subject::Exchange => {
                    looked |= look.transcript.as_str().contains("bcp-to-prod");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn probes_and_plans_turn_with_the_direction() {
        let folder = tempfile::tempdir().expect("a folder");
        let words = ["changeover", "--state-dir", folder.path().to_str().expect("a path"), "demo"];
        let Args { global, command: Some(Command::Demo(args)) } = Args::try_parse_from(words).expect("good words")
        else {
            panic!("another command");
        };
        let mut app = App { global, places: Places::default(), io: Io::silent(), catalogue: catalogue() };
        let source = SourceText { name: "turns.toml".to_owned(), text: TURNS.to_owned() };
        let (scenario, _) = examine(&source, &["replicate", "backup"]).into_result().expect("a good scenario");
        let spec = scenario.spec(args.seed);
        let runbooks = ["replicate", "backup"].map(str::to_owned);
        let prepared = prepare(&mut app, &args, &spec, &runbooks).expect("it can be played");
        let ((tell, tells), (orders, ordered)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let seen = pace::block_on(Speed::Unlimited, |tempo| async move {
            let (scenario, times) = (Some(scenario), 1.0);
            let world = live(Opening { app, args, spec, prepared, scenario, times, tempo, tell, ordered });
            tokio::select! {
                biased;
                ended = world => panic!("the world has ended: {ended:?}"),
                seen = tokio::time::timeout(Duration::from_mins(10), sit(tells, orders)) => Ok(seen.is_ok()),
            }
        });
        assert!(seen.expect("it is played"), "after ten minutes nobody has looked the other way");
    }
}
