//! A scene of these tests: a world, and the real engine over it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use changeover::model::{FailureKind, RunOutcome, SiteName};
use changeover::run::{EventKind, RunPhase};
use changeover::world::disk::Disk;
use changeover::world::{SimulatedWorld, Spec, State, Store};

use super::single_run::SingleRun;

pub fn prod() -> SiteName {
    let [prod, _] = Spec::sites();
    prod
}

pub fn bcp() -> SiteName {
    let [_, bcp] = Spec::sites();
    bcp
}

/// How a run ended.
pub struct Ended {
    pub outcome: RunOutcome,
    /// What failed, in order: kind and words.
    pub failures: Vec<(FailureKind, String)>,
}

impl Ended {
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, RunOutcome::Done { .. })
    }
}

/// A world, and what is needed to run something in it.
pub struct Scene {
    pub world: SimulatedWorld,
    spec: Spec,
    point: Cell<u32>,
}

fn exchange<'a>(state: &'a mut State, site: &SiteName) -> &'a mut Disk {
    let id = state.sites[site].exchange;
    &mut state.disks[id.0]
}

impl Scene {
    pub fn new(spec: &Spec) -> Self {
        let world = SimulatedWorld::new(spec);
        let record = br#"{"epoch": 1, "active": "prod", "since": "2026-03-01T00:00:00Z", "run": "r0"}"#;
        for site in Spec::sites() {
            world.with(|state| {
                let now = state.wall_time();
                exchange(state, &site).write("/direction.json", &record[..], 0o644, now).expect("room for a record");
            });
        }
        Self { world, spec: spec.clone(), point: Cell::new(1) }
    }

    /// From here on runs are about another restore point.
    pub fn next_point(&self) {
        self.point.set(self.point.get() + 1);
    }

    pub fn age(&self) -> Duration {
        self.world.with(|state| state.now)
    }

    /// Every document of a site.
    pub fn search(&self, site: &SiteName) -> BTreeMap<String, String> {
        let truth = self.world.with(|state| state.truth(site));
        truth.items.into_iter().filter(|(name, _)| name.starts_with("search/")).collect()
    }

    pub fn write(&self, number: u64) -> bool {
        self.world.with(|state| changeover::world::search::write(state, &prod(), number))
    }

    pub fn changes(&self, site: &SiteName, store: Store) -> usize {
        self.world
            .with(|state| state.changes.iter().filter(|change| change.site == *site && change.store == store).count())
    }

    /// Makes the standby's exchange tree what the active site's is.
    pub fn carry(&self) {
        self.world.with(|state| {
            let now = state.wall_time();
            let from = exchange(state, &prod());
            let found: Vec<(String, Option<bytes::Bytes>)> = from
                .walk("/prod-to-bcp")
                // Nothing may be there yet.
                .unwrap_or_default()
                .into_iter()
                .map(|(path, inode)| {
                    let content = (inode.letter() == 'f').then(|| from.read(&format!("/prod-to-bcp/{path}")));
                    (format!("/prod-to-bcp/{path}"), content.transpose().expect("a file"))
                })
                .collect();
            let to = exchange(state, &bcp());
            if to.exists("/prod-to-bcp") {
                to.remove_all("/prod-to-bcp", now).expect("removed");
            }
            to.make_folders("/prod-to-bcp", 0o2775, now).expect("a folder");
            for (path, content) in found {
                match content {
                    None => to.make_folder(&path, 0o2775, now).expect("a folder"),
                    Some(content) => to.write(&path, content, 0o664, now).expect("room"),
                }
            }
        });
    }

    /// Removes the files of a site's repository whose paths hold both parts.
    pub fn remove(&self, site: &SiteName, first: &str, like: &str) {
        self.world.with(|state| {
            let now = state.wall_time();
            let disk = exchange(state, site);
            let found = disk.walk("/").expect("a root").into_iter();
            let files =
                found.filter(|(path, inode)| inode.letter() == 'f' && path.contains(first) && path.contains(like));
            let files: Vec<String> = files.map(|(path, _)| path).collect();
            assert!(!files.is_empty(), "nothing is like {like}");
            for path in files {
                disk.remove(&format!("/{path}"), now).expect("removed");
            }
        });
    }

    /// Runs steps such as `check source`, one after the other; each has one attempt.
    pub async fn run(&self, name: &str, steps: &[&str]) -> Ended {
        self.run_with(name, steps, "").await
    }

    /// The same, with the attempts of the shipped runbooks.
    pub async fn run_patiently(&self, name: &str, steps: &[&str]) -> Ended {
        self.run_with(name, steps, "retry = { attempts = 3, backoff = \"10s\" }\n").await
    }

    async fn run_with(&self, name: &str, steps: &[&str], retry: &str) -> Ended {
        let mut text =
            "name = \"t\"\ntitle = \"T\"\nmode = \"replicate\"\n[[stages]]\nid = \"s\"\ntitle = \"S\"\n".to_owned();
        for step in steps {
            let (kind, end) = step.split_once(' ').expect("a step and an end");
            let step = ["id", "uses", "on", "service"];
            let values = [kind, &format!("elasticsearch.{kind}"), end, "search"];
            text += "[[stages.steps]]\n";
            text.extend(step.iter().zip(values).map(|(name, value)| format!("{name} = \"{value}\"\n")));
            text += retry;
        }
        let estate = Arc::new(self.spec.estate().expect("an estate"));
        let (reach, clock) = (Arc::new(self.world.clone()), self.world.clock());
        let point = format!("p-{}", self.point.get());
        let run = SingleRun::new(reach, clock, &estate, text, name, &point).await;
        let mut failures = Vec::new();
        let state = run
            .play(|event| {
                if let EventKind::UnitEnded { outcome, .. } = event
                    && let Some(failure) = outcome.failure()
                {
                    failures.push((failure.kind, failure.got.to_string()));
                }
            })
            .await;
        let RunPhase::Ended(outcome) = state.phase else { panic!("not ended: {:?}", state.phase) };
        Ended { outcome, failures }
    }
}
