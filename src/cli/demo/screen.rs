//! The demo on the screen: the console over a simulated world that lives in a thread of its own, with a time of its own.
//! The screen cannot tell it from the real one, and says SIMULATED in every frame. What goes on in that thread is in
//! `theatre`; here the two are put together, and what the screen asks of the world is read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::crew::prepare;
use super::pace::{self, Speed};
use super::theatre::{Opening, live};
use super::{DemoArgs, crew, story};
use crate::cli::console::{self, Ground, Rows, settings};
use crate::cli::direction::{SiteSays, ask_sites};
use crate::cli::preview::Looker;
use crate::cli::{App, CliError, Exit, Io, load};
use crate::console::dialog::StartRequest;
use crate::console::facts::{Extent, PlanShown};
use crate::console::{Badge, Msg, State};
use crate::estate::Estate;
use crate::model::{Direction, RunId, SafeText, SiteName};
use crate::points::point_id;
use crate::port::Clock;
use crate::runbook::{Plan, PlanRequest};
use crate::scenario::{Answers, Card};
use crate::systems::catalogue;
use crate::world::{SimulatedWorld, Spec};

/// How many times as fast as real time a story goes on the screen, and the world without one.
pub(super) const USUAL: [f64; 2] = [4.0, 1.5];
/// How long the world may take to say how far the story has come when the screen has been left.
const LAST_WORD: Duration = Duration::from_secs(10);
/// The runbook that the tour leads to: it asks.
const TIDY_CACHE: &str = include_str!("../../../runbooks/demo/tidy-cache.toml");

/// Opens the console on a simulated world.
pub(super) fn open(app: &mut App, args: &DemoArgs, in_lines: bool) -> Result<Exit, CliError> {
    let scenario = args.scenario.as_deref().map(|wanted| load::scenario(app, wanted)).transpose()?;
    let times = match args.speed {
        None => USUAL[usize::from(scenario.is_none())],
        Some(Speed::Times(times)) => times,
        Some(Speed::Unlimited) if scenario.is_some() => {
            return Err(CliError::invalid(
                "a story on the screen cannot go as fast as the machine: you are to act in it",
            )
            .hint("name a speed such as `--speed 4`, or play it with `--headless`"));
        }
        Some(Speed::Unlimited) => 10.0,
    };
    let spec = scenario.as_ref().map_or_else(|| Spec::small(args.seed), |scenario| scenario.spec(args.seed));
    let runbooks = match &scenario {
        Some(scenario) => story::runbooks(scenario, &Answers::default()),
        None => vec!["replicate".to_owned(), args.runbook.clone().unwrap_or_else(|| "replicate".to_owned())],
    };
    let prepared = prepare(app, args, &spec, &runbooks)?;
    bring_runbook(&prepared.folder, scenario.is_none())?;
    let settings = settings(app, &args.screen)?;
    let estate = prepared.estate();
    let store = prepared.store();
    let facts = console::facts(&estate, &app.catalogue);
    let mut state = State::new(facts, Badge::Simulated, crew::operator(), settings, spec.epoch);
    state.health = crate::health::unseen(&crate::health::plan(&estate, &app.catalogue));
    state.read_only = args.screen.read_only;
    state.hurry(times);
    let (tell, tells) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let (themes, preferences) = (console::themes(app), console::preferences(app, &args.screen));
    let ground = Ground { tells, orders, store, own_time: true, themes, preferences };
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let speed = args.speed.unwrap_or(Speed::Times(times));
    let args_of_world = args.clone();
    let (last_word, left) = std::sync::mpsc::channel();
    // Not joined: the world ends with the program.
    drop(std::thread::spawn(move || {
        let told = tell.clone();
        let ended = pace::block_on(speed, |tempo| {
            live(Opening { app: own, args: args_of_world, spec, prepared, scenario, times, tempo, tell, ordered })
        });
        if let Err(error) = &ended {
            drop(told.send(Msg::Told { text: error.message.clone(), bad: true }));
        }
        // Without a story there is no card, and nobody waits for it.
        drop(last_word.send(ended));
    }));
    crate::cli::block_on(async {
        let gone = console::show(app, in_lines, state, ground).await?;
        let exit = gone.farewell_of_demo(app)?;
        if args.scenario.is_none() {
            return Ok(exit);
        }
        match left.recv_timeout(LAST_WORD) {
            Ok(Ok(Some(card))) => scored(app, &card).map(|scored| if exit == Exit::Done { scored } else { exit }),
            Ok(Err(error)) => Err(error),
            _ => Err(CliError::new(Exit::Failed, "the simulated world did not say how far the story had come")),
        }
    })
}

/// Prints the card. Done when what the scenario calls done was reached.
fn scored(app: &mut App, card: &Card) -> Result<Exit, CliError> {
    write!(app.io.out, "SIMULATED\n\n{}", card.text())?;
    app.io.out.flush()?;
    Ok(if card.done.is_some() { Exit::Done } else { Exit::Failed })
}

/// Lays the demo's own runbook beside its estate, or takes it away: in a story there are those that are shipped.
fn bring_runbook(folder: &Path, wanted: bool) -> Result<(), CliError> {
    let folder = folder.join("runbooks");
    let path = folder.join("tidy-cache.toml");
    let done = if wanted {
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, TIDY_CACHE))
    } else {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    };
    done.map_err(|error| CliError::new(Exit::Failed, format!("cannot change {}: {error}", path.display())))
}

/// What is read for the screen.
pub(super) struct Desk {
    pub(super) app: App,
    pub(super) estate: Arc<Estate>,
    rows: Rows,
    world: SimulatedWorld,
    tell: mpsc::UnboundedSender<Msg>,
    /// Which way the sites said last that the estate goes; nothing when they contradict each other.
    direction: Option<Direction>,
    /// Both sites are being asked which of them is active.
    asking: Option<JoinHandle<()>>,
}

/// What both sites say of the direction, as it comes in.
pub(super) type Says = Vec<(SiteName, SiteSays)>;

impl Desk {
    /// A desk that has read nothing yet: it takes the direction to be the one that the estate begins with.
    pub(super) fn new(
        app: App,
        estate: Arc<Estate>,
        rows: Rows,
        world: SimulatedWorld,
        tell: mpsc::UnboundedSender<Msg>,
    ) -> Self {
        let direction = estate.direction_from(&estate.active);
        Self { app, estate, rows, world, tell, direction, asking: None }
    }

    pub(super) fn tell(&self, msg: Msg) {
        // The screen has gone: soon this is gone too.
        drop(self.tell.send(msg));
    }

    pub(super) fn tick(&self) {
        self.tell(Msg::Tick(self.world.clock().now()));
    }

    /// Reads the record, and has both sites asked which of them is active, beside everything else: a dead one takes long.
    /// What they say comes in through `said`.
    pub(super) fn look(&mut self, said: &mpsc::UnboundedSender<Says>) {
        match self.rows.read() {
            Ok(runs) => self.tell(Msg::Runs(runs)),
            Err(error) => self.tell(Msg::Told { text: SafeText::line(&error.to_string()), bad: true }),
        }
        if self.asking.as_ref().is_some_and(|asking| !asking.is_finished()) {
            return;
        }
        let (world, estate, said) = (self.world.clone(), Arc::clone(&self.estate), said.clone());
        self.asking = Some(tokio::spawn(async move {
            let says = ask_sites(&world, &estate).await;
            drop(said.send(says));
        }));
    }

    /// Takes in what both sites say of the direction. Returns the direction, unless they contradict each other.
    pub(super) fn directed(&mut self, says: &[(SiteName, SiteSays)]) -> Option<&Direction> {
        let facts = console::direction_facts(&self.estate, says);
        self.direction.clone_from(&facts.direction);
        self.tell(Msg::Direction(Box::new(facts)));
        self.direction.as_ref()
    }

    pub(super) fn planned(&self, request: &StartRequest) -> Result<Plan, SafeText> {
        let direction = self.direction.clone().ok_or_else(|| SafeText::line("the direction is not known"))?;
        let (runbook, ..) =
            load::runbook(&self.app, &self.estate, request.runbook.as_str()).map_err(|error| error.message)?;
        let params: &BTreeMap<String, String> = &request.params;
        let request = PlanRequest {
            runbook: &runbook,
            file: &format!("{}.toml", runbook.name),
            estate: &self.estate,
            direction: &direction,
            params,
            kinds: &self.app.catalogue,
        };
        crate::runbook::plan(request)
            .map(|(plan, _)| plan)
            .map_err(|problems| SafeText::block(&console::cannot_be_planned(&problems)))
    }

    /// Says what a runbook would do, beside everything else.
    pub(super) fn plan(&self, request: StartRequest) {
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
                    unknown_losses: Vec::new(),
                    findings: Vec::new(),
                    extent: Extent::default(),
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
