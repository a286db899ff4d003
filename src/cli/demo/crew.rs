//! The crew of the demo: carries runs out in the simulated world, one after another, with the real engine, journal and
//! reporters. What they are carried out for is the affair of `play` and `story`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::DemoArgs;
use super::backstage::{Backstage, Happened, House, Order};
use crate::cli::conduct::{Conduct, conduct};
use crate::cli::live::{not_kept, usual_state_dir};
use crate::cli::load::SIMULATED;
use crate::cli::output::Screen;
use crate::cli::run::engine_failed;
use crate::cli::{App, CliError, Excerpts, Exit, load};
use crate::engine::{Engine, EngineConfig, NewRun};
use crate::estate::Estate;
use crate::journal::{EstateLock, Holder, LockError, RunJournal, Store};
use crate::model::{ConsoleId, RunId, SafeText, UnitKey};
use crate::points::point_id;
use crate::port::{Clock, Sink, SinkError};
use crate::run::{Event, Operator, RunPhase, RunState};
use crate::runbook::{Plan, PlanRequest};
use crate::scenario::RunFact;
use crate::session::Viewers;
use crate::world::{SimulatedWorld, Spec, State, Store as StoreOfWorld};

/// How long viewers may take to see the end, in the demo's time.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The program's process in the simulated world: the same each time, as everything there is.
const PID: u32 = 1;

/// Who carries runs out.
pub(super) struct Crew<'a> {
    pub(super) world: SimulatedWorld,
    estate: Arc<Estate>,
    store: Store,
    _lock: EstateLock,
    plans: BTreeMap<String, Plan>,
    screen: Screen<'a>,
    backstage: Rc<Backstage>,
    attended: bool,
    at_terminal: bool,
}

/// What is made ready before anything is shown.
pub(super) struct Prepared {
    estate: Arc<Estate>,
    plans: BTreeMap<String, Plan>,
    store: Store,
    lock: EstateLock,
    /// The folder that keeps the record.
    pub(super) folder: PathBuf,
}

impl Prepared {
    /// The estate of the simulated world.
    pub(super) fn estate(&self) -> Arc<Estate> {
        Arc::clone(&self.estate)
    }

    /// The record of this demo.
    pub(super) fn store(&self) -> Store {
        self.store.clone()
    }
}

/// Plans the runbooks, and makes room for the record of this demo: it replaces that of the one before.
pub(super) fn prepare(app: &mut App, args: &DemoArgs, spec: &Spec, runbooks: &[String]) -> Result<Prepared, CliError> {
    let estate = spec.estate().map_err(|error| CliError::new(Exit::Failed, format!("the demo's estate: {error}")))?;
    let mut plans = BTreeMap::new();
    for runbook in runbooks {
        plans.insert(runbook.clone(), plan(app, args, &estate, runbook)?);
    }
    let folder = usual_state_dir(app)?.join("demo");
    let store = Store::open(&folder, &estate.name).map_err(|error| not_kept(&error))?;
    let holder = Holder {
        run: RunId::new("demo").map_err(|error| CliError::new(Exit::Failed, error.to_string()))?,
        pid: std::process::id(),
        host: SafeText::line("this machine"),
        since: jiff::Timestamp::now(),
        by: SafeText::line("changeover demo"),
    };
    let lock = store.lock(&holder).map_err(|error| match error {
        LockError::Held(_) => CliError::new(Exit::Locked, format!("another demo is going on in {}", folder.display()))
            .hint("wait for its end, or give this one a folder of its own with `--state-dir`"),
        LockError::Failed(error) => not_kept(&error),
    })?;
    store.forget_all().map_err(|error| not_kept(&error))?;
    keep(
        &folder.join(SIMULATED),
        "The estate and the runs in this folder are of the simulated world of `changeover demo`.\n",
    )?;
    keep(&folder.join("estate.toml"), &spec.estate_text())?;
    app.global.estate = Some(folder.join("estate.toml"));
    app.global.state_dir = Some(folder.clone());
    Ok(Prepared { estate: Arc::new(estate), plans, store, lock, folder })
}

fn keep(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::new(Exit::Failed, format!("cannot write {}: {error}", path.display())))
}

fn plan(app: &App, args: &DemoArgs, estate: &Estate, wanted: &str) -> Result<Plan, CliError> {
    let [source, _] = Spec::sites();
    let direction = estate
        .direction_from(&source)
        .ok_or_else(|| CliError::new(Exit::Failed, "the demo's estate has no direction"))?;
    let runbook = load::runbook_for(app, estate, wanted)?;
    let params: BTreeMap<String, String> = args.params.iter().cloned().collect();
    let request = PlanRequest {
        runbook: &runbook,
        file: &format!("{}.toml", runbook.name),
        estate,
        direction: &direction,
        params: &params,
        kinds: &app.catalogue,
    };
    crate::runbook::plan(request).map(|(plan, _)| plan).map_err(|problems| {
        CliError::invalid(format!("runbook `{wanted}` cannot be planned"))
            .excerpts(Excerpts::default().render(&problems, &app.io))
    })
}

impl<'a> Crew<'a> {
    /// A crew for a world.
    pub(super) fn new(
        app: &'a mut App,
        args: &DemoArgs,
        world: SimulatedWorld,
        prepared: Prepared,
        backstage: Rc<Backstage>,
    ) -> Self {
        let at_terminal = args.asks(app);
        let screen = Screen::new(app, args.output, prepared.folder, None, world.clock()).never_resumed();
        Self {
            world,
            estate: prepared.estate,
            store: prepared.store,
            _lock: prepared.lock,
            plans: prepared.plans,
            screen,
            backstage,
            attended: args.answers.is_some() || at_terminal,
            at_terminal,
        }
    }

    /// The same for a screen: somebody is there to answer, and does so through the run's socket.
    pub(super) fn watched(mut self) -> Self {
        self.attended = true;
        self.at_terminal = false;
        self
    }

    /// Does what it is told until nobody tells it anything more.
    pub(super) async fn serve(&mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Result<(), CliError> {
        while let Some(order) = orders.recv().await {
            self.backstage.show(&mut self.screen);
            match order {
                Order::Run(runbook) => drop(self.run(&runbook, false).await?),
                Order::Resume(run) => drop(self.resume(&run).await?),
                Order::Look => {}
            }
        }
        self.backstage.show(&mut self.screen);
        Ok(())
    }

    /// Carries a runbook out, to its end.
    pub(super) async fn run(&mut self, runbook: &str, quiet: bool) -> Result<RunState, CliError> {
        let plan = self.plans.get(runbook).cloned().ok_or_else(|| {
            CliError::new(Exit::Failed, format!("runbook {runbook} was not planned before the demo began"))
        })?;
        self.begin(plan, quiet).await
    }

    /// Carries a plan out, to its end.
    pub(super) async fn begin(&mut self, plan: Plan, quiet: bool) -> Result<RunState, CliError> {
        let clock = self.world.clock();
        let noise = clock.entropy();
        let point = point_id(clock.now(), [noise[0], noise[1]]);
        let run = RunId::new(point.as_str().replacen("p-", "r-", 1))
            .map_err(|error| CliError::new(Exit::Failed, error.to_string()))?;
        let journal = Arc::new(self.store.create_run(&run).map_err(|error| not_kept(&error))?);
        let (events, told) = mpsc::unbounded_channel();
        let config = self.config(&journal, events, quiet);
        let began = Began::now(&self.world);
        let engine = Engine::create(config, NewRun { run: run.clone(), point, plan })
            .await
            .map_err(|error| engine_failed(&error, &run))?;
        self.carry_out(engine, journal, told, began, quiet).await
    }

    /// Takes a run up again.
    pub(super) async fn resume(&mut self, run: &RunId) -> Result<RunState, CliError> {
        let (journal, history) = self.store.resume_run(run).map_err(|error| not_kept(&error))?;
        let journal = Arc::new(journal);
        let (events, told) = mpsc::unbounded_channel();
        let config = self.config(&journal, events, false);
        let began = Began::now(&self.world);
        let engine = Engine::resume(config, &history).map_err(|error| engine_failed(&error, run))?;
        self.carry_out(engine, journal, told, began, false).await
    }

    fn config(&self, journal: &Arc<RunJournal>, events: crate::engine::EngineEvents, quiet: bool) -> EngineConfig {
        EngineConfig {
            reach: Arc::new(self.world.clone()),
            clock: self.world.clock(),
            estate: Arc::clone(&self.estate),
            catalogue: Arc::new(crate::systems::catalogue()),
            sink: Arc::new(Steady(Arc::clone(journal))),
            events,
            unattended: quiet || !self.attended,
            by: operator(),
            pid: PID,
            console: ConsoleId::new("demo").expect("a valid name"),
        }
    }

    async fn carry_out(
        &mut self,
        engine: Engine,
        journal: Arc<RunJournal>,
        told: mpsc::UnboundedReceiver<Arc<Event>>,
        began: Began,
        quiet: bool,
    ) -> Result<RunState, CliError> {
        let run = engine.state().run.clone();
        let (commands, received) = mpsc::channel(64);
        self.backstage.commands(Some(commands.clone()));
        let viewers = Viewers::listen(Arc::clone(&journal), commands.clone()).ok();
        let at_terminal = (self.at_terminal && !quiet).then(operator);
        self.screen.now_about(self.store.folder_of(&run));
        let [source, _] = Spec::sites();
        let mut house = House {
            screen: &mut self.screen,
            viewers: viewers.as_ref(),
            backstage: &self.backstage,
            world: &self.world,
            source: &source,
            quiet,
            copying: false,
        };
        let conducted = conduct(Conduct { engine, events: told, commands, received, at_terminal }, &mut house).await;
        self.backstage.commands(None);
        let state = conducted.map_err(|error| engine_failed(&error, &run))?;
        self.backstage.show(&mut self.screen);
        if !quiet {
            self.screen.finish(&state);
        }
        if let Some(viewers) = viewers {
            viewers.close(LAST_WORDS).await;
        }
        at_once(journal.flush()).map_err(|error| not_kept(&error))?;
        let happened = self.world.with(|world| began.ended(world, &state));
        self.backstage.tell(happened);
        Ok(state)
    }
}

/// How the world was when a run began.
struct Began {
    at: Duration,
    changes: usize,
}

impl Began {
    fn now(world: &SimulatedWorld) -> Self {
        let at = world.clock().monotonic();
        Self { at, changes: world.with(|world| world.changes.len()) }
    }

    fn ended(&self, world: &State, state: &RunState) -> Happened {
        let [_, target] = Spec::sites();
        let lasts = |change: &crate::world::Change| match change.store {
            StoreOfWorld::Jobs => false,
            StoreOfWorld::Repository => true,
            _ => change.site == target,
        };
        let done = matches!(&state.phase, RunPhase::Ended(outcome) if outcome.exit_code() == 0);
        let word = match &state.phase {
            RunPhase::Ended(outcome) => outcome.word(),
            _ => "not ended",
        };
        let fact = RunFact {
            run: state.run.clone(),
            runbook: state.plan.runbook.to_string(),
            began: self.at,
            ended: world.now,
            outcome: word.to_owned(),
            done,
            restores: state.plan.steps().any(|step| step.uses.ends_with(".restore")),
            well: is_well(world),
        };
        Happened::Ended {
            fact: Box::new(fact),
            held: world.truth(&target),
            changed: world.changes[self.changes..].iter().any(lasts),
        }
    }
}

/// True when the standby's application answers on every host and has its stores.
fn is_well(world: &State) -> bool {
    let [_, target] = Spec::sites();
    world.sites.get(&target).is_some_and(|site| {
        site.hosts.keys().all(|host| site.app.listens(host, world.now))
            && site.sql.is_up()
            && site.cache.is_up()
            && (0..site.search.nodes()).all(|node| site.search.is_up(node))
    })
}

/// Who acts in the demo: the same wherever it is shown.
pub(super) fn operator() -> Operator {
    Operator { name: SafeText::line("you"), through: SafeText::line("demo") }
}

/// The journal, in which everything can be read the moment it was told: chatter would be written some time later, by the
/// real clock. While it writes nothing else happens in the demo, so that nothing depends on how fast the disk is; and a
/// paused clock would take the waiting for idleness.
struct Steady(Arc<RunJournal>);

#[async_trait]
impl Sink for Steady {
    async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        at_once(async {
            self.0.append(events).await?;
            self.0.flush().await
        })
    }

    async fn output(&self, unit: &UnitKey, attempt: u32, at: Timestamp, bytes: &[u8]) -> Result<(), SinkError> {
        at_once(self.0.output(unit, attempt, at, bytes))
    }
}

/// Waits for the journal's threads without letting anything else happen. They are no tasks of the runtime; and whoever waits
/// for them must not be sent to the end of its queue, from where it would never come back.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    futures::executor::block_on(tokio::task::unconstrained(work))
}
