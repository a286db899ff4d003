//! The steps of databases and caches, run by the real engine against the simulated world: what arrives is what was
//! dumped, and what is said when something breaks on the way.

#[path = "support/single_run.rs"]
mod single_run;

use std::sync::Arc;
use std::time::Duration;

use changeover::estate::Estate;
use changeover::model::{HostName, RunOutcome, SiteName};
use changeover::port::Clock;
use changeover::run::{EventKind, RunPhase};
use changeover::world::cache::Trouble as Cache;
use changeover::world::disk::Node;
use changeover::world::sql::Trouble as Sql;
use changeover::world::{Channel, Fault, Mishap, SimulatedWorld, Spec};

use single_run::SingleRun;

/// A run that has ended: how, and everything that was said.
struct Played {
    outcome: RunOutcome,
    said: String,
}

impl Played {
    #[track_caller]
    fn is_done(&self) {
        assert!(matches!(self.outcome, RunOutcome::Done { .. }), "{:?}\n{}", self.outcome, self.said);
    }

    #[track_caller]
    fn failed_with(&self, words: &str) {
        assert!(!matches!(self.outcome, RunOutcome::Done { .. }), "it should have failed:\n{}", self.said);
        assert!(self.said.contains(words), "`{words}` is not in:\n{}", self.said);
    }
}

struct Scene {
    world: SimulatedWorld,
    estate: Arc<Estate>,
    runs: u32,
}

fn step(uses: &str, on: &str) -> String {
    let id = format!("{}-{on}", uses.replace('.', "-"));
    let service = match uses.split('.').next() {
        Some("mysql") => "service = \"db\"",
        Some("redis") => "service = \"cache\"",
        _ => "",
    };
    format!("[[stages.steps]]\nid = \"{id}\"\nuses = \"{uses}\"\non = \"{on}\"\n{service}\n")
}

impl Scene {
    fn new(spec: &Spec) -> Self {
        // Which host leads is another room's affair: here it is written down.
        let text = spec.estate_text().replace("leader = \"app\", ", "host = \"app1\", ");
        let estate = toml::from_str(&text).expect("an estate");
        Self { world: SimulatedWorld::new(spec), estate: Arc::new(estate), runs: 0 }
    }

    /// Carries steps out; whenever `when` is said, the faults strike after the pause.
    async fn play(&mut self, steps: &[(&str, &str)], when: &str, faults: &[(u64, Fault)]) -> Played {
        self.runs += 1;
        let steps: String = steps.iter().map(|(uses, on)| step(uses, on)).collect();
        let text = format!(
            "name = \"test\"\ntitle = \"Test\"\nmode = \"maintenance\"\n[[stages]]\nid = \"s\"\ntitle = \"S\"\n{steps}"
        );
        let (reach, clock) = (Arc::new(self.world.clone()), self.world.clock());
        let run = SingleRun::new(reach, clock, &self.estate, text, &format!("r-{}", self.runs), "p-1").await;
        let mut said = String::new();
        let state = run
            .play(|event| {
                let line = match event {
                    EventKind::UnitSaid { unit, text, .. } => format!("{unit}: {text}\n"),
                    EventKind::UnitEnded { unit, outcome, .. } => format!("{unit} ended: {outcome:?}\n"),
                    _ => String::new(),
                };
                if !when.is_empty() && line.contains(when) {
                    for (pause, fault) in faults {
                        let at = self.world.clock().monotonic() + Duration::from_millis(*pause);
                        self.world.strike_at(at, fault.clone());
                    }
                }
                said.push_str(&line);
            })
            .await;
        let RunPhase::Ended(outcome) = state.phase else { panic!("not ended: {:?}", state.phase) };
        Played { outcome, said }
    }

    /// Checks both ends and makes a point at the source.
    async fn dump(&mut self) -> Played {
        let steps = [
            ("exchange.prepare", "both"),
            ("mysql.check", "source"),
            ("mysql.check", "target"),
            ("redis.check", "target"),
            ("mysql.dump", "source"),
        ];
        self.play(&steps, "", &[]).await
    }

    /// Carries the source's exchange tree to the target: another room's affair, done by hand here.
    fn carry(&self) {
        let [first, second] = Spec::sites();
        self.world.with(|state| {
            let (from, to) = (state.sites[&first].exchange, state.sites[&second].exchange);
            let now = state.wall_time();
            let copies: Vec<(String, Node)> = {
                let found = state.disks[from.0].walk("/").expect("a tree");
                found.into_iter().map(|(path, inode)| (format!("/{path}"), inode.node.clone())).collect()
            };
            let disk = &mut state.disks[to.0];
            for (path, node) in copies {
                match node {
                    Node::Folder(_) => disk.make_folders(&path, 0o2775, now).expect("a folder"),
                    Node::File(content) => disk.write(&path, content, 0o660, now).expect("a file"),
                    Node::Link(_) => panic!("a link in the exchange tree: {path}"),
                }
            }
        });
    }

    async fn restore(&mut self, when: &str, faults: &[(u64, Fault)]) -> Played {
        let steps = [("mysql.restore", "target"), ("mysql.verify", "target"), ("redis.flush", "target")];
        self.play(&steps, when, faults).await
    }

    /// What a site holds of SQL, content included.
    fn truth(&self, site: &SiteName) -> Vec<(String, String)> {
        let truth = self.world.with(|state| state.truth(site));
        truth.items.into_iter().filter(|(name, _)| name.starts_with("sql/")).collect()
    }
}

/// A world without users, so that nothing moves but what the steps move.
fn quiet() -> Spec {
    Spec { write_every: None, ..Spec::small(1) }
}

/// A scene whose point has arrived at the target.
async fn arrived() -> Scene {
    let mut scene = Scene::new(&quiet());
    scene.dump().await.is_done();
    scene.carry();
    scene
}

fn sql(site: &SiteName, trouble: Sql) -> Fault {
    Fault::Sql { site: site.clone(), trouble }
}

fn cache(site: &SiteName, trouble: Cache) -> Fault {
    Fault::Cache { site: site.clone(), trouble }
}

#[tokio::test(start_paused = true)]
async fn the_target_gets_what_the_source_had() {
    let [first, second] = Spec::sites();
    let mut scene = arrived().await;
    let before = scene.truth(&first);
    assert!(scene.world.with(|state| changeover::world::sql::write(state, &first, 1)), "a late order");
    assert!(scene.truth(&second).is_empty() && scene.world.with(|state| state.count(&second).keys) > 0);
    let restored = scene.restore("", &[]).await;
    restored.is_done();
    assert!(restored.said.contains("3 tables with 80 rows"), "{}", restored.said);
    assert_eq!(scene.truth(&second), before, "the late order is not in the dump");
    assert_eq!(scene.world.with(|state| state.count(&second).keys), 0, "the cache was flushed");
    // Once more: what is there now is kept, dropped, and loaded anew.
    assert!(scene.world.with(|state| changeover::world::sql::write(state, &second, 2)), "an order at the wrong site");
    let again = scene.restore("", &[]).await;
    again.is_done();
    assert!(again.said.contains("keeping what is in shop now"), "{}", again.said);
    assert_eq!(scene.truth(&second), before);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_server_is_found_before_anything_is_done() {
    let [first, second] = Spec::sites();
    let lost = |channel| Fault::Mishap { site: first.clone(), channel, mishap: Mishap::ReplyLost };
    let cases = [
        (Fault::SqlDown { site: first.clone() }, "does the server listen at 10.0.1.31:3306, as seen from prod:app1?"),
        (sql(&first, Sql::LocksOut), "Access denied for user 'changeover'@'10.0.1.11' (using password: YES)"),
        (sql(&second, Sql::ReadOnly), "is read-only: nothing can be loaded"),
        (cache(&second, Cache::Down), "Connection refused (os error 111)"),
        (Fault::HostDown { site: second.clone(), host: HostName::new("app1").expect("a name") }, "no route to host"),
        (lost(Channel::Sql), "the connection broke before the answer came"),
    ];
    for (fault, words) in cases {
        let mut scene = Scene::new(&quiet());
        scene.play(&[("exchange.prepare", "both")], "", &[]).await.is_done();
        scene.world.strike(&fault);
        let steps = [("mysql.check", "source"), ("mysql.check", "target"), ("redis.check", "target")];
        scene.play(&steps, "", &[]).await.failed_with(words);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dump_that_is_cut_is_no_dump() {
    let [first, _] = Spec::sites();
    for (trouble, words) in [
        (sql(&first, Sql::EndsSessions), "Lost connection to server during query when dumping table"),
        (Fault::SqlDown { site: first.clone() }, "Lost connection to server during query when dumping table"),
        (Fault::ExchangeFull { site: first.clone() }, "No space left on device"),
    ] {
        let mut scene = Scene::new(&quiet());
        let steps = [("exchange.prepare", "both"), ("mysql.dump", "source")];
        scene.play(&steps, "dumping shop", &[(600, trouble)]).await.failed_with(words);
        let left = scene.world.with(|state| {
            let exchange = state.sites[&first].exchange;
            let found = state.disks[exchange.0].walk("/").expect("a tree");
            found.into_iter().map(|(path, _)| path).filter(|path| path.ends_with(".sql.zst")).collect::<Vec<_>>()
        });
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_breaks_puts_back_what_was_there() {
    let [_, second] = Spec::sites();
    let mut scene = arrived().await;
    scene.restore("", &[]).await.is_done();
    assert!(scene.world.with(|state| changeover::world::sql::write(state, &second, 9)));
    let before = scene.truth(&second);
    let broken = scene.restore("replacing shop", &[(900, sql(&second, Sql::EndsSessions))]).await;
    broken.failed_with("Server has gone away");
    assert!(broken.said.contains("was put back and counted"), "{}", broken.said);
    assert_eq!(scene.truth(&second), before, "with the order that only the target had");
    // A session that holds the tables: nothing is dropped, so nothing is lost.
    scene.world.strike(&sql(&second, Sql::Locks));
    scene.restore("", &[]).await.failed_with("Lock wait timeout exceeded");
    assert_eq!(scene.truth(&second), before);
    scene.world.strike(&Fault::Heal);
    scene.restore("", &[]).await.is_done();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_in_the_middle_of_a_load_is_not_called_done() {
    let [first, second] = Spec::sites();
    let mut scene = arrived().await;
    let broken = scene.restore("replacing shop", &[(900, Fault::SqlDown { site: second.clone() })]).await;
    broken.failed_with("Server has gone away");
    let half = scene.truth(&second).len();
    assert!(half > 0 && half < scene.truth(&first).len(), "{half}");
    scene.world.strike(&Fault::Heal);
    scene.restore("", &[]).await.is_done();
    assert_eq!(scene.truth(&second), scene.truth(&first));
}

#[tokio::test(start_paused = true)]
async fn a_flush_finds_the_master_and_waits_for_its_follower() {
    let [_, second] = Spec::sites();
    let flush = [("redis.flush", "target")];
    for (trouble, words) in [
        (Cache::FailsOver, "its master is 10.0.2.42:6379"),
        (Cache::Unlinks, "no replica is connected"),
        (Cache::Stalls, "but after 10s not at"),
        (Cache::Down, "Connection refused (os error 111)"),
    ] {
        let mut scene = Scene::new(&quiet());
        scene.play(&[("exchange.prepare", "both")], "", &[]).await.is_done();
        scene.world.strike(&cache(&second, trouble));
        let played = scene.play(&flush, "", &[]).await;
        if matches!(trouble, Cache::Stalls | Cache::Down) {
            played.failed_with(words);
        } else {
            played.is_done();
            assert!(played.said.contains(words), "{}", played.said);
            assert_eq!(scene.world.with(|state| state.count(&second).keys), 0);
        }
    }
}
