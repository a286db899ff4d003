//! Plays a schedule: the real engine on the real runbooks in the simulated world, with deaths and resumptions, until it
//! has ended; then mends everything and sees whether it can be brought to a good end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use changeover::engine::{Engine as RunEngine, EngineConfig, EngineError, NewRun};
use changeover::estate::Estate;
use changeover::model::{CancelReason, ConsoleId, PointId, RunId, RunOutcome};
use changeover::points::point_id;
use changeover::port::{Clock, Reach, Sink};
use changeover::run::{Answer, Event, EventKind, Operator, PromptAnswer, PromptKind, RunCommand, RunPhase, RunState};
use changeover::runbook::{PlanRequest, Runbook, parse, plan, shipped};
use changeover::systems::{Catalogue, Wrap, catalogue};
use changeover::world::{Fault, SimulatedWorld, Spec, Truth};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::broken::Broken;
use crate::invariants::Inspector;
use crate::journal::{Death, Journal};
use crate::kinds::own_runbook;
use crate::schedule::Schedule;

/// Longer than this no run takes, whatever breaks.
const FOR_EVER: Duration = Duration::from_hours(72);

/// Which engine plays.
pub enum Engine {
    /// The real one.
    Sound,
    /// One with a known defect, to see that it is caught.
    Broken(Broken),
    /// The real one, with every step in another one.
    Wrapped(Wrap),
}

/// What a schedule gave.
#[derive(Debug)]
pub struct Report {
    /// Every event of every run, one a line.
    pub history: String,
    pub events: u64,
    pub checks: u64,
    /// How the first run ended, before anything was mended.
    pub first_ending: &'static str,
    /// How every run ended, each time.
    pub endings: Vec<&'static str>,
    /// What broke, by name.
    pub faults: Vec<String>,
}

/// Plays the schedule of a seed.
pub fn perform(seed: u64, engine: &Engine) -> Result<Report, String> {
    perform_schedule(&Schedule::of(seed), engine)
}

/// Plays a schedule.
pub fn perform_schedule(schedule: &Schedule, engine: &Engine) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async { Performance::new(schedule, engine)?.play().await })
}

pub struct Performance<'a> {
    schedule: &'a Schedule,
    engine: &'a Engine,
    world: SimulatedWorld,
    reach: Arc<dyn Reach>,
    console: ConsoleId,
    /// Nobody else acts in this world: then every change is one of the run's.
    pub is_alone: bool,
    estate: Arc<Estate>,
    catalogue: Arc<Catalogue>,
    rng: fastrand::Rng,
    /// When the last of what the schedule breaks breaks.
    last_fault: Instant,
    /// Everything is mended, and a new run is to put all right.
    mending: bool,
    history: String,
    endings: Vec<&'static str>,
    events: u64,
    checks: u64,
}

/// One run and its record.
pub struct Play {
    pub new: NewRun,
    pub journal: Arc<Journal>,
    sink: Arc<dyn Sink>,
    inspector: Arc<Mutex<Inspector>>,
    /// What the source held when it began.
    before: Truth,
    unattended: bool,
}

impl<'a> Performance<'a> {
    fn new(schedule: &'a Schedule, engine: &'a Engine) -> Result<Self, String> {
        let world = SimulatedWorld::new(&schedule.spec);
        let plain: Arc<dyn Reach> = Arc::new(world.clone());
        Self::in_world(world, plain, "here", schedule, engine)
    }

    /// What a console of its own does in a world, which it sees through `reach`.
    pub fn in_world(
        world: SimulatedWorld,
        plain: Arc<dyn Reach>,
        console: &str,
        schedule: &'a Schedule,
        engine: &'a Engine,
    ) -> Result<Self, String> {
        let estate = schedule.spec.estate().map_err(|error| error.to_string())?;
        let console = ConsoleId::new(console).map_err(|error| error.to_string())?;
        let (reach, catalogue) = match engine {
            Engine::Sound => (plain, catalogue()),
            Engine::Broken(broken) => (broken.reach(plain), broken.catalogue()),
            Engine::Wrapped(wrap) => (plain, catalogue().wrapped(*wrap)),
        };
        Ok(Self {
            schedule,
            engine,
            world,
            reach,
            console,
            is_alone: true,
            estate: Arc::new(estate),
            catalogue: Arc::new(catalogue),
            rng: fastrand::Rng::with_seed(schedule.answers),
            last_fault: Instant::now(),
            mending: false,
            history: String::new(),
            endings: Vec::new(),
            events: 0,
            checks: 0,
        })
    }

    async fn play(mut self) -> Result<Report, String> {
        if self.schedule.earlier_copy {
            let play = self.begin("replicate", Vec::new(), true)?;
            let state = self.carry_to_end(&play, false, &[]).await?;
            if !is_done(&state) {
                return Err(format!("undisturbed, the run ended {}", ending(&state)));
            }
            self.judge(&play, &state)?;
            tokio::time::sleep(Duration::from_mins(2)).await;
        }
        let now = self.world.clock().since_start();
        for (at, fault) in &self.schedule.faults {
            self.world.strike_at(now + *at, fault.clone());
            self.last_fault = self.last_fault.max(Instant::now() + *at);
        }
        let mut first_ending = None;
        for runbook in self.schedule.runbooks.clone() {
            let deaths = if first_ending.is_none() { self.schedule.deaths.clone() } else { Vec::new() };
            let play = self.begin(runbook, deaths, self.schedule.unattended)?;
            let cancels = self.schedule.cancels.clone();
            let state = self.carry_to_end(&play, self.schedule.helpful, &cancels).await?;
            first_ending.get_or_insert(ending(&state));
            if is_done(&state) {
                self.judge(&play, &state)?;
                continue;
            }
            if self.schedule.recovers {
                self.recover(runbook, play, state).await?;
            }
        }
        let faults = self.world.with(|world| {
            let name = |fault: &Fault| serde_json::to_value(fault).ok()?["fault"].as_str().map(str::to_owned);
            world.struck.iter().filter_map(|(_, fault)| name(fault)).collect()
        });
        Ok(Report {
            history: self.history,
            endings: self.endings,
            events: self.events,
            checks: self.checks,
            first_ending: first_ending.unwrap_or("nothing was run"),
            faults,
        })
    }

    /// Liveness: once everything is mended, resuming the run, or at worst a new one, comes to the good end.
    async fn recover(&mut self, runbook: &'static str, play: Play, mut state: RunState) -> Result<(), String> {
        // Nothing breaks any more after this.
        tokio::time::sleep_until(self.last_fault).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        self.world.strike(&Fault::Heal);
        play.journal.heal();
        if self.world.with(|world| world.turned.is_some()) {
            // This direction is over. Nothing may come of the run any more, and that is for the invariants to see.
            self.carry_to_end(&play, true, &[]).await?;
            return Ok(());
        }
        for _ in 0..3 {
            // Applications that were off come back by themselves.
            tokio::time::sleep(Duration::from_mins(2)).await;
            state = self.carry_to_end(&play, true, &[]).await?;
            if is_done(&state) {
                return self.judge(&play, &state);
            }
        }
        let resumed = ending(&state);
        drop(play);
        self.mending = true;
        let chain: &[&'static str] = match runbook {
            "replicate" => &["replicate"],
            "others" => &["others"],
            _ => &["backup", "transfer", "restore"],
        };
        for again in chain {
            let play = self.begin(again, Vec::new(), false)?;
            let state = self.carry_to_end(&play, true, &[]).await?;
            if !is_done(&state) {
                if self.can_not_be_mended() {
                    return Ok(());
                }
                let why = failures(&state);
                return Err(format!(
                    "everything is mended; resumed, the run ended {resumed}, and a new one {}: {why}",
                    ending(&state)
                ));
            }
            self.judge(&play, &state)?;
        }
        Ok(())
    }

    /// A damaged blob in the source's snapshot repository is used by every later snapshot too, and a damaged part of the
    /// only earlier point leaves nothing to compare with: runs go on failing, and say so, until a person acts.
    fn can_not_be_mended(&self) -> bool {
        let [source, _] = Spec::sites();
        self.world.with(|world| {
            let rots = |fault: &Fault| matches!(fault, Fault::Rots { site, .. } if *site == source);
            world.struck.iter().any(|(_, fault)| rots(fault))
        })
    }

    fn params(&self, runbook: &Runbook) -> BTreeMap<String, String> {
        // What is damaged is carried anew only when content is compared, and that is what a failed run advises.
        let deep = (self.schedule.deep || self.mending) && runbook.params.contains_key("deep");
        deep.then(|| ("deep".to_owned(), "true".to_owned())).into_iter().collect()
    }

    /// A new run of a shipped runbook.
    pub fn begin(&self, runbook: &'static str, deaths: Vec<Death>, unattended: bool) -> Result<Play, String> {
        let parsed = parsed(runbook)?;
        let [source, _] = Spec::sites();
        let direction = self.estate.direction_from(&source).ok_or("no direction")?;
        let request = PlanRequest {
            runbook: &parsed,
            file: "shipped",
            estate: &self.estate,
            direction: &direction,
            params: &self.params(&parsed),
            kinds: &*self.catalogue,
        };
        let (plan, _) = plan(request).map_err(|problems| format!("{problems:?}"))?;
        let clock = self.world.clock();
        let noise = clock.entropy();
        let point: PointId = point_id(clock.now(), [noise[0], noise[1]]);
        let run = RunId::new(point.as_str().replacen("p-", "r-", 1)).map_err(|error| error.to_string())?;
        let inspector = Arc::new(Mutex::new(Inspector::new(self.world.clone())));
        let (watch, is_alone) = (Arc::clone(&inspector), self.is_alone);
        let watch = Box::new(
            move |event: &Event, text: &str| {
                if is_alone { watch.lock().expect("not poisoned").look(event, text) } else { Ok(()) }
            },
        );
        let journal = Arc::new(Journal::new(deaths, watch));
        let sink: Arc<dyn Sink> = match self.engine {
            Engine::Broken(broken) => broken.sink(Arc::clone(&journal)),
            Engine::Sound | Engine::Wrapped(_) => Arc::clone(&journal) as Arc<dyn Sink>,
        };
        let before = self.world.with(|world| world.truth(&source));
        Ok(Play { new: NewRun { run, point, plan }, journal, sink, inspector, before, unattended })
    }

    /// Carries a run on until it has ended, through all deaths of the program. `helpful` is an operator who says yes to
    /// everything that leads on.
    pub async fn carry_to_end(&mut self, play: &Play, helpful: bool, cancels: &[Duration]) -> Result<RunState, String> {
        let mut cancels: Vec<Instant> = cancels.iter().map(|at| Instant::now() + *at).collect();
        let began = Instant::now();
        loop {
            let (told_before, _) = play.journal.told();
            let ended = self.session(play, helpful, &mut cancels).await;
            // What was aborted is gone only after the runtime has seen to it.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let (told, text) = play.journal.told();
            self.history.push_str(&text);
            self.events += told - told_before;
            if let Some(wrong) = play.journal.wrong() {
                return Err(format!("{wrong}\n{}", self.tail()));
            }
            match ended {
                Some(Ok(state)) => {
                    let mut inspector = play.inspector.lock().expect("not poisoned");
                    if self.is_alone {
                        inspector.look_at_the_end().map_err(|wrong| format!("{wrong}\n{}", self.tail()))?;
                    }
                    self.checks += std::mem::take(&mut inspector.checks);
                    self.endings.push(ending(&state));
                    return Ok(state);
                }
                Some(Err(error)) => return Err(format!("the engine gave up: {error}\n{}", self.tail())),
                None if play.journal.died() => tokio::time::sleep(Duration::from_secs(5)).await,
                None => return Err(format!("after {FOR_EVER:?} the run has not ended\n{}", self.tail())),
            }
            if began.elapsed() > FOR_EVER {
                return Err(format!("after {FOR_EVER:?} the run has not ended\n{}", self.tail()));
            }
        }
    }

    /// One life of the program. Nothing when it died or never came to an end.
    async fn session(
        &mut self,
        play: &Play,
        helpful: bool,
        cancels: &mut Vec<Instant>,
    ) -> Option<Result<RunState, EngineError>> {
        let (events, mut told) = mpsc::unbounded_channel();
        let config = EngineConfig {
            reach: Arc::clone(&self.reach),
            clock: self.world.clock(),
            estate: Arc::clone(&self.estate),
            catalogue: Arc::clone(&self.catalogue),
            sink: Arc::clone(&play.sink),
            events,
            unattended: play.unattended && !helpful,
            by: operator(),
            pid: 1,
            console: self.console.clone(),
        };
        let history = play.journal.events();
        let (commands, received) = mpsc::channel(64);
        let over = Arc::clone(&play.journal.over);
        let engine = async {
            let engine = if history.is_empty() {
                RunEngine::create(config, play.new.clone()).await?
            } else {
                RunEngine::resume(config, &history)?
            };
            engine.run(received).await
        };
        tokio::pin!(engine);
        let mut answers: Vec<(Instant, RunCommand)> = Vec::new();
        let end = Instant::now() + FOR_EVER;
        loop {
            let next_answer = answers.iter().map(|(at, _)| *at).min();
            let next_cancel = cancels.iter().min().copied();
            tokio::select! {
                biased;
                () = over.notified() => return None,
                Some(event) = told.recv() => self.react(&event, helpful, &mut answers),
                () = until(next_answer), if next_answer.is_some() => {
                    let found = answers.iter().position(|(at, _)| Some(*at) == next_answer);
                    if let Some((_, command)) = found.map(|found| answers.remove(found)) {
                        drop(commands.try_send(command));
                    }
                }
                () = until(next_cancel), if next_cancel.is_some() => {
                    cancels.retain(|at| Some(*at) != next_cancel);
                    let command = RunCommand::Cancel { reason: CancelReason::Operator, by: Some(operator()) };
                    drop(commands.try_send(command));
                }
                ended = &mut engine => return Some(ended),
                () = tokio::time::sleep_until(end) => return None,
            }
        }
    }

    /// What the operator does about an event.
    fn react(&mut self, event: &Event, helpful: bool, answers: &mut Vec<(Instant, RunCommand)>) {
        let EventKind::PromptOpened { prompt } = &event.kind else { return };
        let yes = helpful || self.rng.u8(..4) > 0;
        let answer = match (prompt.kind, yes) {
            (_, false) => PromptAnswer::Decline,
            (PromptKind::Confirm, true) => PromptAnswer::Proceed,
            (PromptKind::Failed | PromptKind::Interrupted, true) => PromptAnswer::Retry,
        };
        let typed = prompt.phrase.as_ref().map(ToString::to_string);
        let command = RunCommand::Answer(Answer { prompt: prompt.id, answer, typed, by: operator() });
        let thinks = Duration::from_millis(self.rng.u64(500..60_000));
        answers.push((Instant::now() + thinks, command));
    }

    /// Done means done: everything that the source held when the run began is at the target, and nothing else that the
    /// source never held.
    pub fn judge(&self, play: &Play, state: &RunState) -> Result<(), String> {
        // The other site has users of its own then.
        if self.world.with(|world| world.turned.is_some()) {
            return Ok(());
        }
        // The last of the three parts and the whole are what restore.
        if !matches!(state.plan.runbook.as_str(), "replicate" | "restore") {
            return Ok(());
        }
        let [source, target] = Spec::sites();
        let (now, copy) = self.world.with(|world| (world.truth(&source), world.truth(&target)));
        // A restore brings back what the backup before it held, which is older than the restore itself.
        let wanted = if state.plan.runbook.as_str() == "replicate" { &play.before } else { &Truth::default() };
        // A file that changed while its size and its time stayed the same is noticed only by comparing content.
        // What rots at the source after it was collected and before it was sealed is what is sealed.
        let unseen = |name: &str| name.starts_with("files/") && self.has_rotted(self.schedule.deep);
        let missing =
            wanted.items.iter().find(|(name, content)| copy.items.get(*name) != Some(content) && !unseen(name));
        if let Some((name, _)) = missing {
            let what = if copy.items.contains_key(name) { "is another at" } else { "is missing at" };
            return Err(format!("the run is called done, but {name} {what} {target}\n{}", self.tail()));
        }
        let other = copy.items.iter().find(|(name, content)| now.items.get(*name) != Some(content) && !unseen(name));
        if let Some((name, _)) = other {
            return Err(format!(
                "the run is called done, but {name} at {target} is not what {source} has\n{}",
                self.tail()
            ));
        }
        if copy.items.is_empty() {
            return Err("the run is called done, but there is nothing at the target".to_owned());
        }
        Ok(())
    }

    /// True when something rotted on an exchange tree, or only on the source's.
    fn has_rotted(&self, only_at_source: bool) -> bool {
        let [source, _] = Spec::sites();
        self.world.with(|world| {
            let rots = |fault: &Fault| matches!(fault, Fault::Rots { site, .. } if !only_at_source || *site == source);
            world.struck.iter().any(|(_, fault)| rots(fault))
        })
    }

    /// The last events, for messages.
    fn tail(&self) -> String {
        let lines: Vec<&str> = self.history.lines().collect();
        let last = crate::number("EVENTS").and_then(|events| usize::try_from(events).ok()).unwrap_or(25);
        let shown = lines[lines.len().saturating_sub(last)..].iter().map(|line| {
            let cut = line.char_indices().nth(600).map_or(line.len(), |(at, _)| at);
            format!("    {}", &line[..cut])
        });
        let struck = self.world.with(|world| format!("{:?}", world.struck));
        format!("  struck: {struck}\n  last events:\n{}", shown.collect::<Vec<_>>().join("\n"))
    }
}

thread_local! {
    /// Runbooks that were parsed before: ten thousand schedules use a handful.
    static PARSED: RefCell<BTreeMap<&'static str, Runbook>> = const { RefCell::new(BTreeMap::new()) };
}

fn parsed(name: &'static str) -> Result<Runbook, String> {
    if let Some(runbook) = PARSED.with_borrow(|parsed| parsed.get(name).cloned()) {
        return Ok(runbook);
    }
    let text = shipped(name).or_else(|| own_runbook(name)).ok_or_else(|| format!("no runbook {name}"))?;
    let runbook = parse(&text).map_err(|problems| format!("{problems:?}"))?;
    PARSED.with_borrow_mut(|parsed| parsed.insert(name, runbook.clone()));
    Ok(runbook)
}

pub fn is_done(state: &RunState) -> bool {
    matches!(state.phase, RunPhase::Ended(RunOutcome::Done { .. }))
}

pub fn ending(state: &RunState) -> &'static str {
    match &state.phase {
        RunPhase::Ended(outcome) => outcome.word(),
        _ => "without an ending",
    }
}

pub fn failures(state: &RunState) -> String {
    let failed = state.units.iter().filter_map(|(unit, facts)| match &facts.phase {
        changeover::run::UnitPhase::Ended(outcome) => outcome.failure().map(|failure| format!("{unit}: {failure}")),
        _ => None,
    });
    failed.collect::<Vec<_>>().join("; ")
}

fn operator() -> Operator {
    Operator { name: "ops@simulation".into(), through: "test".into() }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
