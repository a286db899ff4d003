//! The demo on the screen: the console over a simulated world that lives in a thread of its own, with a time of its own.
//! The screen cannot tell it from the real one, and says SIMULATED in every frame.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::backstage::{Backstage, Happened};
use super::crew::{Crew, Prepared, prepare};
use super::pace::{self, Speed, Tempo};
use super::{DemoArgs, crew};
use crate::cli::console::{self, Ground, Order, Rows, RunBooks, settings};
use crate::cli::preview::Looker;
use crate::cli::{App, CliError, Exit, Io};
use crate::console::dialog::StartRequest;
use crate::console::facts::PlanShown;
use crate::console::{Badge, Msg, State};
use crate::estate::Estate;
use crate::health::Watch;
use crate::model::{Direction, RunId, SafeText};
use crate::points::point_id;
use crate::port::Clock;
use crate::run::{EventKind, RunState};
use crate::runbook::{Plan, PlanRequest};
use crate::systems::catalogue;
use crate::world::{SimulatedWorld, Spec};

/// How long the application has written when the screen opens.
const BEFORE: Duration = Duration::from_secs(30);
/// How long ago the first copy was made when the screen opens.
const SINCE_COPY: Duration = Duration::from_mins(4);
/// How often the screen is told the time, in the machine's time.
const TICK: Duration = Duration::from_millis(200);
/// How often the record and the direction are looked at, in the world's time.
const LOOK: Duration = Duration::from_secs(2);

/// Opens the console on a simulated world.
pub(super) fn open(app: &mut App, args: &DemoArgs) -> Result<Exit, CliError> {
    let spec = Spec::small(args.seed);
    let runbook = args.runbook.as_deref().unwrap_or("replicate").to_owned();
    let prepared = prepare(app, args, &spec, &["replicate".to_owned(), runbook])?;
    let settings = settings(app, &args.screen)?;
    let estate = prepared.estate();
    let store = prepared.store();
    let facts = console::facts(&estate, &app.catalogue);
    let mut state = State::new(facts, Badge::Simulated, crew::operator(), settings, spec.epoch);
    state.health = crate::health::unseen(&crate::health::plan(&estate, &app.catalogue));
    let (tell, tells) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let ground = Ground { tells, orders, store, own_time: true, themes: console::themes(app) };
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let (speed, args_of_world) = (args.speed(), args.clone());
    // Not joined: the world ends with the program.
    drop(std::thread::spawn(move || {
        let told = tell.clone();
        let ended =
            pace::block_on(speed, |tempo| live(own, args_of_world, spec, prepared, speed, tempo, tell, ordered));
        if let Err(error) = ended {
            drop(told.send(Msg::Told { text: SafeText::line(error.message.as_str()), bad: true }));
        }
    }));
    crate::cli::block_on(async {
        let left = console::show(app, &args.screen, state, ground).await?;
        left.farewell_of_demo(app)
    })
}

/// A run under way; gives the crew back when it has ended.
type Carrying<'a> = Pin<Box<dyn Future<Output = (Crew<'a>, Result<RunState, CliError>)> + 'a>>;

/// The world, and whoever does there what the screen orders.
#[expect(clippy::too_many_arguments, reason = "what a thread is given to live on, each once")]
pub(super) async fn live(
    mut app: App,
    args: DemoArgs,
    spec: Spec,
    prepared: Prepared,
    speed: Speed,
    tempo: Tempo,
    tell: mpsc::UnboundedSender<Msg>,
    mut ordered: mpsc::UnboundedReceiver<Order>,
) -> Result<(), CliError> {
    let world = SimulatedWorld::new(&spec);
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let estate = prepared.estate();
    let mut desk = Desk { app: own, estate, rows: Rows::new(prepared.store()), world: world.clone(), tell };
    desk.tell(Msg::Runbooks(RunBooks::read(&desk.app, &desk.estate)));
    let (backstage, mut hears) = Backstage::new();
    let mut crew = Some(Crew::new(&mut app, &args, world.clone(), prepared, Rc::new(backstage)).watched());
    let mut carrying: Option<Carrying<'_>> = None;
    tempo.hurry(true);
    desk.tick();
    tokio::time::sleep(BEFORE).await;
    if let Some(mut free) = crew.take() {
        drop(free.run("replicate", true).await?);
        crew = Some(free);
    }
    tokio::time::sleep(SINCE_COPY).await;
    tempo.hurry(false);
    let times = match speed {
        Speed::Times(times) => times,
        Speed::Unlimited => 10.0,
    };
    let (_watch, mut looks) = Watch::start(
        Arc::new(world.clone()),
        world.clock(),
        Arc::clone(&desk.estate),
        &desk.app.catalogue,
        desk.direction().ok(),
    );
    let mut tick = tokio::time::interval(TICK.mul_f64(times));
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            biased;
            Some(happened) = hears.recv() => {
                if let Happened::Event(event, _) = happened
                    && let EventKind::RunCreated { run, .. } = &event.kind
                    && carrying.is_some()
                {
                    desk.tell(Msg::Started(Ok(run.clone())));
                }
            }
            (free, ended) = carried(&mut carrying) => {
                crew = Some(free);
                carrying = None;
                if let Err(error) = ended {
                    desk.tell(Msg::Started(Err(error.message)));
                }
                desk.look().await;
            }
            order = ordered.recv() => match order {
                None => return Ok(()),
                Some(Order::Refresh) => desk.look().await,
                Some(Order::Plan(request)) => desk.plan(request),
                Some(Order::Start(request)) => match (desk.planned(&request), crew.take()) {
                    (Ok(plan), Some(mut free)) => carrying = Some(Box::pin(async move {
                        let ended = free.begin(plan, false).await;
                        (free, ended)
                    })),
                    (Err(why), free) => {
                        crew = free;
                        desk.tell(Msg::Started(Err(why)));
                    }
                    (_, None) => desk.tell(Msg::Started(Err(SafeText::line("a run is going on; one at a time")))),
                },
                Some(Order::Resume(run)) => match crew.take() {
                    Some(mut free) => {
                        desk.tell(Msg::Told { text: SafeText::line(&format!("taking {run} up again")), bad: false });
                        carrying = Some(Box::pin(async move {
                            let ended = free.resume(&run).await;
                            (free, ended)
                        }));
                    }
                    None => desk.tell(Msg::Started(Err(SafeText::line("a run is going on; one at a time")))),
                },
            },
            Some(look) = looks.recv() => desk.tell(Msg::Health(Box::new(look))),
            _ = tick.tick() => desk.tick(),
            _ = look.tick() => desk.look().await,
        }
    }
}

async fn carried<'a>(carrying: &mut Option<Carrying<'a>>) -> (Crew<'a>, Result<RunState, CliError>) {
    match carrying {
        Some(carrying) => carrying.await,
        None => std::future::pending().await,
    }
}

/// What is read for the screen.
struct Desk {
    app: App,
    estate: Arc<Estate>,
    rows: Rows,
    world: SimulatedWorld,
    tell: mpsc::UnboundedSender<Msg>,
}

impl Desk {
    fn tell(&self, msg: Msg) {
        // The screen has gone: soon this is gone too.
        drop(self.tell.send(msg));
    }

    fn tick(&self) {
        self.tell(Msg::Tick(self.world.clock().now()));
    }

    async fn look(&mut self) {
        match self.rows.read() {
            Ok(runs) => self.tell(Msg::Runs(runs)),
            Err(error) => self.tell(Msg::Told { text: SafeText::line(&error.to_string()), bad: true }),
        }
        let says = crate::cli::direction::ask_sites(&self.world, &self.estate).await;
        self.tell(Msg::Direction(Box::new(console::direction_facts(&self.estate, &says))));
    }

    fn planned(&self, request: &StartRequest) -> Result<Plan, SafeText> {
        let direction = self.direction()?;
        let runbook = crate::cli::load::runbook_for(&self.app, &self.estate, request.runbook.as_str())
            .map_err(|error| error.message)?;
        let params: &BTreeMap<String, String> = &request.params;
        let request = PlanRequest {
            runbook: &runbook,
            file: &format!("{}.toml", runbook.name),
            estate: &self.estate,
            direction: &direction,
            params,
            kinds: &self.app.catalogue,
        };
        crate::runbook::plan(request).map(|(plan, _)| plan).map_err(|problems| {
            let said: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
            SafeText::line(&format!("it cannot be planned: {}", said.join("; ")))
        })
    }

    fn direction(&self) -> Result<Direction, SafeText> {
        let [source, _] = Spec::sites();
        self.estate.direction_from(&source).ok_or_else(|| SafeText::line("the demo's estate has no direction"))
    }

    /// Says what a runbook would do, beside everything else.
    fn plan(&self, request: StartRequest) {
        let clock = self.world.clock();
        let plan = match self.planned(&request) {
            Ok(plan) => plan,
            Err(why) => {
                let at = clock.now();
                let refused = PlanShown {
                    runbook: request.runbook,
                    params: request.params,
                    digest: None,
                    text: why,
                    losses: Vec::new(),
                    findings: Vec::new(),
                    hosts: Vec::new(),
                    at,
                };
                self.tell(Msg::Planned(Box::new(refused)));
                return;
            }
        };
        let noise = clock.entropy();
        let point = point_id(clock.now(), [noise[0], noise[1]]);
        let Ok(run) = RunId::new(point.as_str().replacen("p-", "r-", 1)) else { return };
        let looker = Looker {
            reach: Arc::new(self.world.clone()),
            clock: clock.clone(),
            estate: Arc::clone(&self.estate),
            catalogue: Arc::new(catalogue()),
            point,
            run,
        };
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let previews = looker.look(&plan).await;
            let shown = console::shown(&request, &plan, &previews, clock.now());
            drop(tell.send(Msg::Planned(Box::new(shown))));
        });
    }
}
