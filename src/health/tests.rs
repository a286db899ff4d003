//! All probes of the demo's estate against the simulated world: everything up when nothing is broken, and with faults
//! the verdicts that a person would give.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::estate::Estate;
use crate::model::{Direction, HostName, SiteName};
use crate::port::{Clock as _, Command, HttpRequest, Method, Pipeline, Place, Reach as _};
use crate::systems::catalogue;
use crate::world::disk::Disk;
use crate::world::{Fault, SimulatedWorld, Spec, Zone, cache, sql};

fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

fn host(name: &str) -> HostName {
    HostName::new(name).expect("a name")
}

/// What is not up, and how much.
type Expected = Vec<(String, Verdict)>;

struct Play {
    world: SimulatedWorld,
    estate: Arc<Estate>,
    plan: Vec<Planned>,
    direction: Direction,
}

impl Play {
    /// A world that has replicated five minutes ago.
    async fn new(spec: &Spec) -> Self {
        let estate = Arc::new(spec.estate().expect("an estate"));
        let plan = plan(&estate, &catalogue());
        let direction = Direction { source: site("prod"), target: site("bcp") };
        let play = Self { world: SimulatedWorld::new(spec), estate, plan, direction };
        for end in ["prod", "bcp"] {
            let point = "/mnt/exchange/prod-to-bcp/points/p-20260301-015500-0001";
            play.run(end, Command::new("mkdir").args(["-p", "-m", "2775", point])).await;
            play.run(end, Command::new("touch").arg(format!("{point}/COMPLETE"))).await;
        }
        play
    }

    async fn run(&self, at: &str, command: Command) {
        let place = Place::Host(site(at), host("app1"));
        let done = self.world.exec(&place, &Pipeline::from(command), Duration::from_secs(10)).await;
        assert!(done.expect("an answer").is_success());
    }

    /// Looks once at everything.
    async fn look(&self) -> (HealthState, jiff::Timestamp) {
        let around =
            Around { reach: Arc::new(self.world.clone()), clock: self.world.clock(), estate: self.estate.clone() };
        let mut state = unseen(&self.plan);
        let began = tokio::time::Instant::now();
        for look in round(&self.plan, &around, &self.direction).await {
            state.apply(&look);
        }
        let longest = self.plan.iter().map(|planned| planned.deadline).max().expect("some");
        assert!(began.elapsed() <= longest, "a round takes as long as the slowest: {:?}", began.elapsed());
        (state, self.world.clock().now())
    }

    /// What is not up, as `site subject question`.
    async fn troubles(&self) -> BTreeMap<String, Verdict> {
        let (state, now) = self.look().await;
        let named = |key: &ProbeKey| format!("{} {} {}", key.site, key.subject, key.question);
        let probes = state.probes().iter().map(|(key, probe)| (named(key), probe.verdict(now)));
        probes.filter(|(_, verdict)| *verdict != Verdict::Up).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn all_is_up_in_a_world_where_nothing_is_broken() {
    let play = Play::new(&Spec::small(1)).await;
    let (state, now) = play.look().await;
    for (key, probe) in state.probes() {
        assert_eq!(probe.verdict(now), Verdict::Up, "{key:?}: {:?}", probe.reasons(now));
        let reading = probe.reading.as_ref().expect("a reading");
        assert!(!reading.summary.is_empty() && !reading.source.is_empty(), "{key:?}: {reading:?}");
        assert!(!reading.figures.is_empty() || key.question == "repository", "{key:?} measures nothing");
        let heard = probe.transcript.as_str();
        assert!(heard.starts_with("> ") && heard.lines().count() > 1, "{key:?} was not heard along: {heard}");
    }
    assert!(state.probes().len() >= 25, "{}", state.probes().len());
    let said = pair(&state, &play.direction, now, &play.estate.objectives);
    assert_eq!(said.as_str(), "bcp can take over: last complete point 5m ago");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_is_seen_where_it_is_and_nowhere_else() {
    use Verdict::{Degraded, Down, Unknown};
    let all = |name: &str, except: &[(&str, Verdict)], parts: &[&str]| -> Vec<(String, Verdict)> {
        let mut found: Vec<_> = parts.iter().map(|part| (format!("{name} {part}"), Down)).collect();
        found.extend(except.iter().map(|(part, verdict)| (format!("{name} {part}"), *verdict)));
        found
    };
    // What is asked over the network itself is down when nothing answers; what is behind a host is not known then.
    let dead = || {
        all(
            "bcp",
            &[
                ("app1 disk", Unknown),
                ("assets folders", Unknown),
                ("config folders", Unknown),
                ("db server", Unknown),
                ("db size", Unknown),
                ("exchange mount", Unknown),
                ("exchange points", Unknown),
            ],
            &["app nodes", "app1 ssh", "cache server", "search cluster", "search disk", "search repository"],
        )
    };
    let (prod, bcp) = (|| site("prod"), || site("bcp"));
    let only = |parts: &[(&str, Verdict)]| -> Expected {
        parts.iter().map(|(part, verdict)| ((*part).to_owned(), *verdict)).collect()
    };
    let cases: Vec<(Vec<Fault>, Expected)> = vec![
        (
            vec![Fault::HostDown { site: prod(), host: host("app2") }],
            only(&[
                ("prod app nodes", Degraded),
                ("prod app2 disk", Unknown),
                ("prod app2 ssh", Down),
                ("prod assets folders", Degraded),
                ("prod config folders", Degraded),
                ("prod exchange mount", Degraded),
            ]),
        ),
        (
            // The points are read through another host.
            vec![Fault::HostDown { site: prod(), host: host("app1") }],
            only(&[
                ("prod app nodes", Degraded),
                ("prod app1 disk", Unknown),
                ("prod app1 ssh", Down),
                ("prod assets folders", Degraded),
                ("prod config folders", Degraded),
                ("prod exchange mount", Degraded),
            ]),
        ),
        (vec![Fault::SiteDown { site: bcp() }], dead()),
        (vec![Fault::Cut { from: Zone::Console, to: Zone::Site(bcp()) }], dead()),
        (
            vec![Fault::HostFreezes { site: bcp(), host: host("app1") }],
            dead().into_iter().filter(|(part, _)| !part.contains("search") && !part.contains("cache")).collect(),
        ),
        (vec![Fault::ExchangeFull { site: bcp() }], only(&[("bcp exchange mount", Degraded)])),
        (
            vec![Fault::ShareStalls { site: bcp() }],
            only(&[("bcp exchange mount", Down), ("bcp exchange points", Down)]),
        ),
        (
            vec![Fault::DisksFull { site: bcp() }],
            only(&[("bcp app1 disk", Degraded), ("bcp assets folders", Degraded), ("bcp config folders", Degraded)]),
        ),
        (
            // No application is fit to lead without it, and the leader is the way to it.
            vec![Fault::SqlDown { site: prod() }],
            only(&[("prod app nodes", Down), ("prod db server", Unknown), ("prod db size", Unknown)]),
        ),
        (vec![Fault::Sql { site: prod(), trouble: sql::Trouble::ReadOnly }], only(&[("prod db server", Down)])),
        (
            // At the standby it is as it should be.
            vec![Fault::Sql { site: bcp(), trouble: sql::Trouble::ReadOnly }],
            only(&[]),
        ),
        (
            vec![Fault::Cache { site: prod(), trouble: cache::Trouble::Unlinks }],
            only(&[("prod cache server", Degraded)]),
        ),
        (vec![Fault::AppBreaks { site: prod(), host: host("app1") }], only(&[("prod app nodes", Degraded)])),
        (
            vec![Fault::ClockJumps { site: prod(), host: host("app1"), seconds: -120 }],
            only(&[("prod app1 ssh", Degraded)]),
        ),
    ];
    for (faults, expected) in cases {
        let play = Play::new(&Spec::small(1)).await;
        for fault in &faults {
            play.world.strike(fault);
        }
        let expected: BTreeMap<String, Verdict> = expected.into_iter().collect();
        assert_eq!(play.troubles().await, expected, "{faults:?}");
        play.world.strike(&Fault::Heal);
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(play.troubles().await, BTreeMap::new(), "mended after {faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_a_host_has_not_or_has_another_of_is_seen_there() {
    let play = Play::new(&Spec::small(1)).await;
    let mark = "/mnt/exchange/.changeover-exchange";
    play.run("prod", Command::new("touch").arg(mark)).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    let exchange = async |found: Verdict, said: &str| {
        let (state, now) = play.look().await;
        let prod = site("prod");
        let mut lights = state.of(&prod, &Subject::Exchange);
        let (_, mount) = lights.find(|(key, _)| key.question == "mount").expect("its light");
        let reasons: Vec<String> = mount.reasons(now).iter().map(ToString::to_string).collect();
        assert_eq!(mount.verdict(now), found, "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains(said)) || said.is_empty(), "{reasons:?} do not say {said}");
        let (_, points) = lights.find(|(key, _)| key.question == "points").expect("its light");
        assert!(
            points.reading.as_ref().is_some_and(|reading| reading.summary.as_str().contains("1 of 1 point complete"))
        );
    };
    exchange(Verdict::Up, "").await;
    let remount = |name: &str, mounted: bool| {
        play.world.with(|state| {
            let here = state.sites.get_mut(&site("prod")).expect("a site");
            let shared = here.exchange;
            let mounts = &mut here.hosts.get_mut(&host(name)).expect("a host").mounts;
            mounts.retain(|(mount, _)| mount != "/mnt/exchange");
            mounts.extend(mounted.then(|| ("/mnt/exchange".to_owned(), shared)));
        });
    };
    remount("app2", false);
    exchange(Verdict::Degraded, "on prod:app2 it is neither a mount point nor marked").await;
    let on = async |name: &str, command: Command| {
        let place = Place::Host(site("prod"), host(name));
        let done = play.world.exec(&place, &Pipeline::from(command), Duration::from_secs(10)).await;
        assert!(done.expect("an answer").is_success());
    };
    // Somebody wrote to it as if it were the tree.
    on("app2", Command::new("touch").arg(mark)).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    exchange(Verdict::Degraded, "prod:app1 and prod:app2 do not show the same tree").await;
    remount("app2", true);
    exchange(Verdict::Up, "").await;
    remount("app1", false);
    exchange(Verdict::Degraded, "on prod:app1, through which runs reach it, it is neither").await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_without_inodes_is_seen_and_so_is_one_without_bytes() {
    let play = Play::new(&Spec::small(1)).await;
    let standby = |act: fn(&mut Disk)| {
        play.world.with(|state| {
            let shared = state.sites[&site("bcp")].exchange;
            let own = state.disks_of(&site("bcp")).into_iter().find(|disk| *disk != shared).expect("a disk of a host");
            act(&mut state.disks[own.0]);
        });
    };
    let troubles = ["bcp app1 disk", "bcp assets folders", "bcp config folders"];
    let troubles: BTreeMap<String, Verdict> = troubles.map(|light| (light.to_owned(), Verdict::Degraded)).into();
    standby(|disk| disk.inode_capacity -= disk.free_inodes());
    assert_eq!(play.troubles().await, troubles);
    let (state, now) = play.look().await;
    let (bcp, app1) = (site("bcp"), Subject::Host(host("app1")));
    let (_, light) = state.of(&bcp, &app1).find(|(key, _)| key.question == "disk").expect("it");
    assert_eq!(light.reasons(now)[0].as_str(), "its disk at / has no inode left: nothing new can be made there");
    standby(|disk| disk.inode_capacity += 1000);
    standby(|disk| disk.capacity -= disk.free());
    assert_eq!(play.troubles().await, troubles);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_lost_a_node_limps_and_one_that_lost_its_quorum_is_down() {
    let play = Play::new(&Spec { nodes: [3, 1], ..Spec::small(1) }).await;
    assert_eq!(play.troubles().await, BTreeMap::new());
    play.world.strike(&Fault::NodeDown { site: site("prod"), node: 0 });
    let one = play.troubles().await;
    assert!(one.get("prod search cluster").is_some_and(|verdict| *verdict != Verdict::Unknown), "{one:?}");
    play.world.strike(&Fault::NodeDown { site: site("prod"), node: 1 });
    let two = play.troubles().await;
    assert_eq!(two.get("prod search cluster"), Some(&Verdict::Down), "{two:?}");
    let (state, now) = play.look().await;
    let (_, probe) =
        state.probes().iter().find(|(key, _)| key.question == "cluster" && key.site == site("prod")).expect("it");
    assert!(probe.reasons(now)[0].as_str().contains("knows no elected master"), "{:?}", probe.reasons(now));
}

#[tokio::test(start_paused = true)]
async fn an_index_that_nobody_can_write_to_is_seen_where_its_users_are() {
    let play = Play::new(&Spec::small(1)).await;
    let set = async |number: u8, body: serde_json::Value| {
        let url = format!("http://10.0.{number}.21:9200/orders/_settings");
        let answer = play.world.http(&HttpRequest::new(Method::Put, url).json(body)).await.expect("an answer");
        assert_eq!(answer.status, 200);
    };
    for (block, verdict, said) in [
        ("write", Verdict::Degraded, "nobody can write to orders: index write (api)"),
        ("read_only", Verdict::Degraded, "nobody can write to orders: index read-only (api)"),
        (
            "read_only_allow_delete",
            Verdict::Down,
            "nobody can write to orders: disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
        ),
    ] {
        let setting = format!("index.blocks.{block}");
        set(1, json!({ &setting: true })).await;
        let (state, now) = play.look().await;
        let (_, light) =
            state.probes().iter().find(|(key, _)| key.question == "cluster" && key.site == site("prod")).expect("it");
        assert_eq!((light.verdict(now), light.reasons(now)[0].as_str()), (verdict, said));
        set(1, json!({ &setting: null })).await;
        assert_eq!(play.troubles().await, BTreeMap::new());
    }
}

#[tokio::test(start_paused = true)]
async fn points_grow_old_and_the_pair_says_so() {
    let play = Play::new(&Spec::small(1)).await;
    tokio::time::sleep(Duration::from_mins(20)).await;
    let (state, now) = play.look().await;
    let (verdict, said) = takeover(&state, &play.direction, now, &play.estate.objectives);
    assert_eq!(verdict, Verdict::Degraded);
    assert!(said.as_str().contains("LATE, 15m is promised"), "{said}");
    // Seen the other way round there is no point, and the database that was active may not be read-only.
    let turned = Play { direction: play.direction.reversed(), ..play };
    let (state, now) = turned.look().await;
    let said = pair(&state, &turned.direction, now, &turned.estate.objectives);
    assert_eq!(said.as_str(), "prod cannot take over: there is no complete restore point");
}
