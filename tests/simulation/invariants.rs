//! What must hold at every moment of every run, looked at from outside: the durable record beside the world itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use changeover::model::{Outcome, SiteName, UnitKey};
use changeover::points::Tree;
use changeover::run::{Event, EventKind, PromptAnswer, PromptId, RunState, UnitPhase};
use changeover::runbook::{Interrupted, Mode};
use changeover::world::{Change, SimulatedWorld, State, Store};

/// An attempt that is on record as begun.
struct Begun {
    /// How old the world was then.
    at: Duration,
    /// How the names of its jobs begin.
    jobs: String,
}

/// Looks at one run. Fed with every event that has become durable.
pub struct Inspector {
    world: SimulatedWorld,
    state: Option<RunState>,
    /// How many changes of the world were looked at.
    seen: usize,
    /// The highest epoch that each site's record has shown, and the record.
    epochs: BTreeMap<SiteName, (u64, Vec<u8>)>,
    /// Attempts that are on record as begun.
    intents: BTreeMap<(UnitKey, u32), Begun>,
    /// Units whose latest attempt ended unknown, with that attempt, and that nobody has answered for.
    unknown: BTreeMap<UnitKey, u32>,
    /// The unit that the latest event ended.
    just_ended: Option<UnitKey>,
    /// Units that a person called done although nobody knew what became of them.
    released: BTreeSet<UnitKey>,
    prompts: BTreeMap<PromptId, UnitKey>,
    last_elapsed: u64,
    /// A complete point was at the target's exchange tree.
    had_point: bool,
    /// How many single checks were made.
    pub checks: u64,
}

impl Inspector {
    pub fn new(world: SimulatedWorld) -> Self {
        let seen = world.with(|state| state.changes.len());
        Self {
            world,
            state: None,
            seen,
            epochs: BTreeMap::new(),
            intents: BTreeMap::new(),
            unknown: BTreeMap::new(),
            just_ended: None,
            released: BTreeSet::new(),
            prompts: BTreeMap::new(),
            last_elapsed: 0,
            had_point: false,
            checks: 0,
        }
    }

    /// Takes an event that has become durable, and looks at everything.
    pub fn look(&mut self, event: &Event, text: &str) -> Result<(), String> {
        self.history_is_legal(event)?;
        self.time_does_not_run_backwards(event)?;
        self.unknown_is_not_repeated(event)?;
        no_secret_is_told(event, text)?;
        self.checks += 4;
        self.look_at_the_world()
    }

    fn state(&self) -> Result<&RunState, String> {
        self.state.as_ref().ok_or_else(|| "there is no run yet".to_owned())
    }

    fn history_is_legal(&mut self, event: &Event) -> Result<(), String> {
        match &mut self.state {
            None => self.state = Some(RunState::create(event).map_err(|error| error.to_string())?),
            Some(state) => state.apply(event).map_err(|error| error.to_string())?,
        }
        self.just_ended = match &event.kind {
            EventKind::UnitEnded { unit, .. } => Some(unit.clone()),
            _ => None,
        };
        if let EventKind::UnitStarted { unit, attempt, .. } = &event.kind {
            let now = self.world.clock().since_start();
            let run = self.state.as_ref().map_or("", |state| state.run.as_str());
            let jobs = format!("{run}.{}.{attempt}.", unit.file_stem());
            self.intents.entry((unit.clone(), *attempt)).or_insert(Begun { at: now, jobs });
        }
        Ok(())
    }

    fn time_does_not_run_backwards(&mut self, event: &Event) -> Result<(), String> {
        if matches!(event.kind, EventKind::SessionStarted { .. }) {
            self.last_elapsed = 0;
        }
        if event.elapsed_ms < self.last_elapsed {
            return Err(format!("event {} took place before the one before it", event.seq));
        }
        self.last_elapsed = event.elapsed_ms;
        Ok(())
    }

    /// I4: what nobody knows the outcome of is not done again without a person's word.
    fn unknown_is_not_repeated(&mut self, event: &Event) -> Result<(), String> {
        match &event.kind {
            EventKind::SessionStarted { .. } => {
                // Kinds that can look whether they had their effect do so first, and so know.
                let state = self.state.as_ref();
                self.unknown.retain(|unit, _| {
                    let step = state.and_then(|state| state.plan.step(&unit.step));
                    step.is_none_or(|step| step.interrupted != Interrupted::Verify)
                });
            }
            // Without an attempt nothing was begun, and what was not known before has been answered for or is kept here.
            EventKind::UnitEnded { attempt: 0, outcome: Outcome::Unknown { .. }, .. } => {}
            EventKind::UnitEnded { unit, attempt, outcome: Outcome::Unknown { .. }, .. } => {
                self.unknown.insert(unit.clone(), *attempt);
            }
            EventKind::UnitEnded { unit, .. } => {
                self.unknown.remove(unit);
            }
            EventKind::PromptOpened { prompt } => {
                self.prompts.insert(prompt.id, prompt.unit.clone());
            }
            EventKind::PromptAnswered { prompt, answer, .. } => {
                if matches!(answer, PromptAnswer::Retry | PromptAnswer::ItWasDone { .. })
                    && let Some(unit) = self.prompts.get(prompt)
                {
                    self.unknown.remove(unit);
                    if matches!(answer, PromptAnswer::ItWasDone { .. }) {
                        self.released.insert(unit.clone());
                    }
                }
            }
            // The same attempt again only looks what became of it.
            EventKind::UnitStarted { unit, attempt, .. }
                if self.unknown.get(unit).is_some_and(|then| attempt > then) =>
            {
                return Err(format!("{unit} is done again although nobody knows how it ended"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything that can be seen in the world itself.
    pub fn look_at_the_world(&mut self) -> Result<(), String> {
        let world = self.world.clone();
        world.with(|world| {
            self.changes_are_allowed(world)?;
            self.epochs_only_grow(world)?;
            self.a_good_copy_stays(world)?;
            self.one_attempt_at_a_time(world)
        })?;
        self.checks += 4;
        Ok(())
    }

    /// I2, I4 and "nothing lost at the source": who changed what, since the last look.
    fn changes_are_allowed(&mut self, world: &State) -> Result<(), String> {
        let state = self.state()?;
        let direction = &state.plan.direction;
        let tree = exchange_tree(state);
        let marker = tree.complete(&state.point);
        let complete = if state.plan.mode == Mode::Restore {
            any_complete(world, &direction.target, &tree)
        } else {
            has(world, &direction.target, &marker.to_string_lossy())
        };
        let changes: Vec<&Change> = world.changes[self.seen..].iter().collect();
        for change in changes {
            let at_source = change.site == direction.source;
            match change.store {
                Store::Search | Store::Sql | Store::Files if at_source => {
                    return Err(format!("data of the source was changed: {}", change.what));
                }
                Store::Search | Store::Sql | Store::Files if self.is_too_late(world, change) => {
                    return Err(format!(
                        "{} is the active site now, and its data was changed: {}",
                        change.site, change.what
                    ));
                }
                Store::Search | Store::Sql | Store::Files if !complete => {
                    return Err(format!(
                        "the copy at the target was changed ({}) before a complete point was there",
                        change.what
                    ));
                }
                Store::Repository if !at_source => {
                    return Err(format!("the standby wrote to the repository: {}", change.what));
                }
                Store::Jobs if !self.intents.values().any(|begun| change.what.starts_with(&begun.jobs)) => {
                    return Err(format!("job {} was started before its intent was on record", change.what));
                }
                _ => {}
            }
        }
        self.seen = world.changes.len();
        Ok(())
    }

    /// I2: the direction was turned before any step that still runs began; so this change belongs to one that began
    /// when the target was the active site already.
    fn is_too_late(&self, world: &State, change: &Change) -> bool {
        let Some(turned) = world.turned.filter(|turned| change.at > *turned) else { return false };
        let running = |unit: &UnitKey| {
            // What changed since the last event may be the last work of the unit that this event ends.
            if self.just_ended.as_ref() == Some(unit) {
                return true;
            }
            let state = self.state.as_ref().and_then(|state| state.units.get(unit));
            state.is_some_and(|unit| matches!(unit.phase, UnitPhase::Running))
        };
        !self.intents.iter().any(|((unit, _), begun)| begun.at <= turned && running(unit))
    }

    /// I5.
    fn epochs_only_grow(&mut self, world: &State) -> Result<(), String> {
        for site in world.sites.keys() {
            let Some(text) = read(world, site, "/direction.json") else { continue };
            if self.epochs.get(site).is_some_and(|(_, seen)| *seen == text) {
                continue;
            }
            let Ok(record) = serde_json::from_slice::<serde_json::Value>(&text) else {
                return Err(format!("the direction record of {site} is damaged"));
            };
            let epoch = record["epoch"].as_u64().unwrap_or(0);
            let before = self.epochs.insert(site.clone(), (epoch, text)).map_or(0, |(before, _)| before);
            if epoch < before {
                return Err(format!("the epoch of {site} went from {before} to {epoch}"));
            }
        }
        Ok(())
    }

    /// The last complete point at the target is never removed.
    fn a_good_copy_stays(&mut self, world: &State) -> Result<(), String> {
        let state = self.state()?;
        let complete = any_complete(world, &state.plan.direction.target, &exchange_tree(state));
        if self.had_point && !complete {
            return Err("the last complete point at the target is gone".to_owned());
        }
        self.had_point |= complete;
        Ok(())
    }

    /// I4: no unit works in two attempts at once; what an attempt started has ended before another begins.
    fn one_attempt_at_a_time(&self, world: &State) -> Result<(), String> {
        let hosts = world.sites.values().flat_map(|site| site.hosts.values());
        let jobs = hosts.flat_map(|host| &host.jobs).filter(|(_, job)| job.state.is_alive());
        let names: Vec<&str> = jobs.map(|(id, _)| id.as_str()).collect();
        if names.len() < 2 {
            return Ok(());
        }
        let mut alive: BTreeMap<&UnitKey, BTreeSet<u32>> = BTreeMap::new();
        for ((unit, attempt), begun) in &self.intents {
            if names.iter().any(|name| name.starts_with(&begun.jobs)) {
                alive.entry(unit).or_default().insert(*attempt);
            }
        }
        match alive.into_iter().find(|(_, attempts)| attempts.len() > 1) {
            Some((unit, attempts)) => Err(format!("{unit} works in several attempts at once: {attempts:?}")),
            None => Ok(()),
        }
    }

    /// When a run has ended: nothing that was begun is without an ending, nothing works on that is not named.
    pub fn look_at_the_end(&mut self) -> Result<(), String> {
        self.look_at_the_world()?;
        let state = self.state()?;
        for (unit, facts) in &state.units {
            let has_ending = matches!(facts.phase, UnitPhase::Ended(_) | UnitPhase::Undone(_));
            if facts.attempts > 0 && !has_ending {
                return Err(format!("the run has ended, but {unit} is {:?}", facts.phase));
            }
        }
        let unknown = |unit: &UnitKey| matches!(&state.units[unit].phase, UnitPhase::Ended(Outcome::Unknown { .. }));
        let named: Vec<String> = self
            .intents
            .keys()
            .filter(|(unit, _)| unknown(unit) || self.released.contains(unit))
            .map(|(unit, _)| format!("{}.{}.", state.run, unit.file_stem()))
            .collect();
        self.world.with(|world| {
            for (site, found) in &world.sites {
                for (host, found) in &found.hosts {
                    let left = found.jobs.iter().find(|(id, job)| {
                        id.as_str().starts_with(state.run.as_str())
                            && job.state.is_alive()
                            && !named.iter().any(|name| id.as_str().starts_with(name))
                    });
                    if let Some((id, _)) = left {
                        return Err(format!(
                            "job {id} still works at {site}:{host}, and the run has ended without a word of it"
                        ));
                    }
                }
            }
            Ok(())
        })?;
        self.checks += 2;
        Ok(())
    }
}

fn exchange_tree(state: &RunState) -> Tree {
    Tree::new(std::path::Path::new("/mnt/exchange"), &state.plan.direction)
}

/// A path below the exchange mount, as the disk behind it names it.
fn on_disk(path: &str) -> String {
    path.trim_start_matches("/mnt/exchange").to_owned()
}

fn read(world: &State, site: &SiteName, path: &str) -> Option<Vec<u8>> {
    let disk = &world.disks[world.sites[site].exchange.0];
    disk.read(path).ok().map(|content| content.to_vec())
}

fn has(world: &State, site: &SiteName, path: &str) -> bool {
    world.disks[world.sites[site].exchange.0].exists(&on_disk(path))
}

/// True when a complete point of the tree is at the site.
fn any_complete(world: &State, site: &SiteName, tree: &Tree) -> bool {
    let disk = &world.disks[world.sites[site].exchange.0];
    let points = on_disk(&tree.points().to_string_lossy());
    disk.list(&points).unwrap_or_default().iter().any(|point| disk.exists(&format!("{points}/{point}/COMPLETE")))
}

fn no_secret_is_told(event: &Event, text: &str) -> Result<(), String> {
    if text.contains(changeover::world::SECRET) {
        return Err(format!("event {} tells the password", event.seq));
    }
    Ok(())
}
