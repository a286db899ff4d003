//! Two programs, started from two consoles, want to change the same sites (I7): while the lease of a site is one's, the
//! other begins no change there. Sometimes the first one is stopped for a while, and the second one follows when it has
//! heard nothing for long enough; when the first one goes on, it finds out before its next change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use changeover::port::{Arg, ExecOutput, Exit, JobId, Pipeline, Place, Reach};
use changeover::run::{RunState, UnitPhase};
use changeover::systems::{Catalogue, Effect, catalogue};
use changeover::world::{SimulatedWorld, State};
use tokio::time::Instant;

use crate::broken::quiet;
use crate::journal::Journal;
use crate::performance::{Engine, Performance, ending, failures, is_done};
use crate::through::{Between, Through};

/// How many rivalries every test run plays.
const RIVALRIES: u64 = 60;

/// What a seed decides.
#[derive(Debug, Clone)]
struct Rivalry {
    seed: u64,
    /// When the second one begins.
    offset: Duration,
    /// When the first one is stopped, and for how long.
    stopped: Option<(Duration, Duration)>,
}

impl Rivalry {
    fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x001E_A5E0);
        let offset = Duration::from_millis(rng.u64(..25_000));
        let stopped = rng.bool().then(|| {
            let at = Duration::from_millis(rng.u64(1_000..20_000));
            (at, Duration::from_secs(rng.u64(5..240)))
        });
        Self { seed, offset, stopped }
    }
}

/// What is known of one of the two, from outside.
#[derive(Default)]
struct Known {
    journal: Mutex<Option<Arc<Journal>>>,
    /// How the names of the jobs begin that belong to what it had begun when it was stopped.
    under_way: Mutex<BTreeSet<String>>,
    /// What it must not have done.
    wrong: Mutex<Vec<String>>,
    /// How many changes it began.
    begun: Mutex<u64>,
}

impl Known {
    fn state(&self) -> Option<RunState> {
        let journal = self.journal.lock().expect("not poisoned").clone()?;
        RunState::replay(&journal.events()).ok()
    }
}

/// How the names of the jobs of each unit's latest attempt begin, with the kind of its step.
fn jobs_of(state: &RunState) -> impl Iterator<Item = (String, &str, &UnitPhase)> {
    state.units.iter().filter_map(|(unit, facts)| {
        let step = state.plan.step(&unit.step)?;
        Some((format!("{}.{}.{}.", state.run, unit.file_stem(), facts.attempts), step.uses.as_str(), &facts.phase))
    })
}

/// Watches one of the two at every job that it starts, and stops it for its time.
struct Watcher {
    world: SimulatedWorld,
    console: &'static str,
    stopped: Option<(Instant, Instant)>,
    kinds: Catalogue,
    known: Arc<Known>,
}

#[async_trait]
impl Between for Watcher {
    async fn pass(&self) {
        if let Some((from, to)) = self.stopped
            && (from..to).contains(&Instant::now())
        {
            tokio::time::sleep_until(to).await;
        }
    }

    fn job(&self, place: &Place, job: &JobId) {
        if let Err(wrong) = self.may_begin(place, job) {
            self.known.wrong.lock().expect("not poisoned").push(wrong);
        }
    }
}

impl Watcher {
    /// A change begins only while the last lease of its site is one's own, except what was under way before a stop.
    fn may_begin(&self, place: &Place, job: &JobId) -> Result<(), String> {
        let Place::Host(site, _) = place else { return Ok(()) };
        let state = self.known.state().ok_or("a job before there is a run")?;
        let of = |(name, _, _): &(String, &str, &UnitPhase)| job.as_str().starts_with(name.as_str());
        let (name, uses, _) = jobs_of(&state).find(of).ok_or_else(|| format!("job {job} belongs to no unit"))?;
        if self.kinds.kind(uses).is_none_or(|kind| kind.effect == Effect::Reads) {
            return Ok(());
        }
        *self.known.begun.lock().expect("not poisoned") += 1;
        let holder = self.world.with(|world| holder(world, site.as_str()));
        let was_under_way = self.known.under_way.lock().expect("not poisoned").contains(&name);
        if holder.as_deref() == Some(self.console) || was_under_way {
            return Ok(());
        }
        Err(format!("{} began {job} at {site} while the lease is held by {holder:?}", self.console))
    }
}

/// Whose the last lease of a site is.
fn holder(world: &State, site: &str) -> Option<String> {
    let (_, found) = world.sites.iter().find(|(name, _)| name.as_str() == site)?;
    let disk = &world.disks[found.exchange.0];
    let lease =
        |number: u64| disk.read(&format!("/leases/{site}/{number}/holder.json")).ok().map(|content| content.to_vec());
    let last: serde_json::Value = serde_json::from_slice(&(1..20).rev().find_map(lease)?).ok()?;
    Some(last["console"].as_str()?.to_owned())
}

/// A program that looks after no lease: it sees none of another, and always its own.
#[derive(Default)]
struct Blind(Mutex<BTreeMap<String, Vec<u8>>>);

impl Between for Blind {
    fn command(&self, pipeline: &Pipeline) -> Option<ExecOutput> {
        let text = pipeline.to_string();
        if !text.contains("/leases/") {
            return None;
        }
        let said = |stdout| ExecOutput { exits: vec![Exit::Code(0)], stdout, stderr: Vec::new(), truncated: false };
        let mut own = self.0.lock().expect("not poisoned");
        if let Some(path) = pipeline.output_file.as_ref().filter(|path| path.ends_with("holder.json")) {
            own.insert(path.clone(), pipeline.stdin.clone().unwrap_or_default());
        }
        let mine = pipeline.members[0].args.iter().filter_map(|arg| match arg {
            Arg::Text(path) => own.get(path),
            Arg::SecretFile { .. } => None,
        });
        match (pipeline.members[0].program.as_str(), &pipeline.output_file) {
            ("find", _) => Some(said(Vec::new())),
            ("cat", None) => {
                let direction = br#"{"epoch":1,"active":"prod","since":"2026-03-01T00:00:00Z","run":"r"}"#.to_vec();
                Some(said(mine.fold(direction, |notes, note| [notes, note.clone()].concat())))
            }
            _ => None,
        }
    }

    fn answer(&self, pipeline: &Pipeline, output: ExecOutput) -> ExecOutput {
        if pipeline.to_string().contains("/leases/") {
            return ExecOutput { exits: vec![Exit::Code(0)], ..output };
        }
        output
    }
}

/// How the two runs of a rivalry ended, and how many changes they began.
#[derive(Debug)]
struct Report {
    endings: [&'static str; 2],
    begun: u64,
}

/// Plays a rivalry; both programs look after their leases, or neither does.
fn play(rivalry: &Rivalry, sound: bool) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(carry_out(rivalry, sound))
}

async fn carry_out(rivalry: &Rivalry, sound: bool) -> Result<Report, String> {
    let schedule = quiet(rivalry.seed);
    let world = SimulatedWorld::new(&schedule.spec);
    let known = [Arc::new(Known::default()), Arc::new(Known::default())];
    let start = Instant::now();
    let reach = |console: &'static str, known: &Arc<Known>, stopped: Option<(Duration, Duration)>| {
        let plain: Arc<dyn Reach> = Arc::new(world.clone());
        let seen: Arc<dyn Reach> = if sound { plain } else { Arc::new(Through(plain, Blind::default())) };
        let stopped = stopped.map(|(at, lasts)| (start + at, start + at + lasts));
        let kinds = catalogue();
        let watcher = Watcher { world: world.clone(), console, stopped, kinds, known: Arc::clone(known) };
        Arc::new(Through(seen, watcher)) as Arc<dyn Reach>
    };
    let mut performances = Vec::new();
    for (console, known, stopped) in [("one", &known[0], rivalry.stopped), ("two", &known[1], None)] {
        let reach = reach(console, known, stopped);
        let mut performance = Performance::in_world(world.clone(), reach, console, &schedule, &Engine::Sound)?;
        performance.is_alone = false;
        performances.push(performance);
    }
    let [mut one, mut two] = <[_; 2]>::try_from(performances).map_err(|_| "there are two")?;
    let first = async {
        let play = one.begin("replicate", Vec::new(), true)?;
        *known[0].journal.lock().expect("not poisoned") = Some(Arc::clone(&play.journal));
        let state = one.carry_to_end(&play, false, &[]).await?;
        judged(&one, &play, &state)?;
        Ok::<_, String>(state)
    };
    let second = async {
        tokio::time::sleep(rivalry.offset).await;
        if rivalry.stopped.is_some() {
            // Nobody begins beside work that the hosts say is being done: `run` asks them first.
            while world.with(|world| works(world)) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let play = two.begin("replicate", Vec::new(), true)?;
        *known[1].journal.lock().expect("not poisoned") = Some(Arc::clone(&play.journal));
        let state = two.carry_to_end(&play, false, &[]).await?;
        judged(&two, &play, &state)?;
        Ok::<_, String>(state)
    };
    let stop = async {
        let Some((at, _)) = rivalry.stopped else { return };
        tokio::time::sleep_until(start + at).await;
        let Some(state) = known[0].state() else { return };
        let running = jobs_of(&state).filter(|(_, _, phase)| matches!(phase, UnitPhase::Running));
        known[0].under_way.lock().expect("not poisoned").extend(running.map(|(name, _, _)| name));
    };
    let (first, second, ()) = tokio::join!(first, second, stop);
    let (first, second) = (first?, second?);
    let wrong: Vec<String> = known.iter().flat_map(|known| known.wrong.lock().expect("not poisoned").clone()).collect();
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    if ![&first, &second].into_iter().any(is_done) {
        return Err(format!("neither came to a good end: {}; {}", failures(&first), failures(&second)));
    }
    let begun = known.iter().map(|known| *known.begun.lock().expect("not poisoned")).sum();
    Ok(Report { endings: [ending(&first), ending(&second)], begun })
}

/// A run that is done while the other one changed nothing afterwards has copied everything.
fn judged(performance: &Performance<'_>, play: &crate::performance::Play, state: &RunState) -> Result<(), String> {
    if is_done(state) { performance.judge(play, state) } else { Ok(()) }
}

/// True while a job works on any host.
fn works(world: &State) -> bool {
    let hosts = world.sites.values().flat_map(|site| site.hosts.values());
    hosts.flat_map(|host| host.jobs.values()).any(|job| job.state.is_alive())
}

#[test]
fn of_two_consoles_one_changes_a_site_at_a_time() {
    let count = crate::number("RIVALRIES").unwrap_or(RIVALRIES);
    let mut endings: BTreeMap<[&'static str; 2], u64> = BTreeMap::new();
    let mut begun = 0;
    for seed in 1..=count {
        let rivalry = Rivalry::of(seed);
        let report = play(&rivalry, true).unwrap_or_else(|wrong| panic!("{rivalry:?}: {wrong}"));
        *endings.entry(report.endings).or_default() += 1;
        begun += report.begun;
    }
    println!("{count} rivalries, {begun} changes begun, endings of the first and the second: {endings:?}");
    // Each of the two was refused in some, and both came to their end one after the other in some.
    for kind in [["done", "refused"], ["refused", "done"], ["done", "done"]] {
        let of_kind =
            |endings: &[&'static str; 2]| endings.iter().zip(kind).all(|(ending, kind)| ending.starts_with(kind));
        assert!(endings.keys().any(of_kind), "{kind:?}: {endings:?}");
    }
}

#[test]
fn programs_that_look_after_no_lease_are_caught() {
    let caught = (1..=20).map(Rivalry::of).find_map(|rivalry| play(&rivalry, false).err());
    let wrong = caught.expect("two programs that change a site at once are caught");
    assert!(wrong.contains("while the lease is held by"), "caught for something else: {wrong}");
}
