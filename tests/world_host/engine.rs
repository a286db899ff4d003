//! The real engine runs the real steps of files and the exchange tree against the simulated world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use changeover::model::RunOutcome;
use changeover::run::{RunPhase, RunState};
use changeover::world::{Change, Channel, Fault, Mishap, SimulatedWorld, Spec, Store, Zone, host};

use super::single_run::SingleRun;
use super::support::site;

/// The shipped runbook with only the steps of files and the exchange tree.
const RUNBOOK: &str = r#"
name = "files"
title = "Files from {{ source_title }} to {{ target_title }}"
mode = "replicate"

[[stages]]
id = "test"
title = "Test"
[[stages.steps]]
id = "prepare"
uses = "exchange.prepare"
on = "both"
each = "parallel"
retry = { attempts = 3, backoff = "2s" }
[[stages.steps]]
id = "assets-source"
uses = "files.check"
on = "source"
service = "assets"
needs = ["prepare"]
retry = { attempts = 3, backoff = "2s" }
[[stages.steps]]
id = "config-source"
uses = "files.check"
on = "source"
service = "config"
needs = ["prepare"]
retry = { attempts = 3, backoff = "2s" }
[[stages.steps]]
id = "space"
uses = "exchange.space"
on = "source"
needs = ["assets-source", "config-source"]
with = { bytes = 1000000 }

[[stages]]
id = "collect"
title = "Collect"
[[stages.steps]]
id = "assets"
uses = "files.collect"
on = "source"
service = "assets"
needs = []
retry = { attempts = 3, backoff = "10s" }
[[stages.steps]]
id = "config"
uses = "files.collect"
on = "source"
service = "config"
needs = []
retry = { attempts = 3, backoff = "10s" }

[[stages]]
id = "transfer"
title = "Transfer"
[[stages.steps]]
id = "seal"
uses = "exchange.seal"
on = "source"
[[stages.steps]]
id = "carry"
uses = "exchange.transfer"
on = "source"
retry = { attempts = 5, backoff = "10s" }
[[stages.steps]]
id = "arrived"
uses = "exchange.arrived"
on = "target"
retry = { attempts = 3, backoff = "10s" }

[[stages]]
id = "restore"
title = "Restore"
[[stages.steps]]
id = "restore-assets"
uses = "files.restore"
on = "target.app"
each = "parallel"
service = "assets"
needs = []
retry = { attempts = 3, backoff = "10s" }
[[stages.steps]]
id = "restore-config"
uses = "files.restore"
on = "target.app"
each = "parallel"
service = "config"
needs = []
retry = { attempts = 3, backoff = "10s" }

[[stages]]
id = "verify"
title = "Verify"
[[stages.steps]]
id = "verify-assets"
uses = "files.verify"
on = "target.app"
each = "parallel"
service = "assets"
needs = []
[[stages.steps]]
id = "verify-config"
uses = "files.verify"
on = "target.app"
each = "parallel"
service = "config"
needs = []
[[stages.steps]]
id = "prune"
uses = "exchange.prune"
on = "both"
needs = ["verify-assets", "verify-config"]
with = { keep = 2 }
"#;

/// Runs the runbook to its end.
async fn run(world: &SimulatedWorld, number: u32) -> RunState {
    let estate = Arc::new(world.with(|state| state.spec.estate()).expect("an estate"));
    let (reach, clock) = (Arc::new(world.clone()), world.clock());
    let (run, point) = (format!("run-{number}"), format!("p-20260301T02000{number}Z"));
    SingleRun::new(reach, clock, &estate, RUNBOOK.to_owned(), &run, &point).await.play(|_| {}).await
}

fn outcome(state: &RunState) -> RunOutcome {
    match &state.phase {
        RunPhase::Ended(outcome) => outcome.clone(),
        other => panic!("not ended: {other:?}"),
    }
}

fn told(state: &RunState) -> String {
    let lines: Vec<String> = state.units.iter().map(|(key, unit)| format!("{key}: {}", unit.phase)).collect();
    lines.join("\n")
}

/// What both sites hold, without the other rooms.
fn files(world: &SimulatedWorld) -> [BTreeMap<String, String>; 2] {
    ["prod", "bcp"].map(|name| {
        world.with(|state| {
            let mut truth = changeover::world::Truth::default();
            host::truth(state, &site(name), &mut truth);
            truth.items
        })
    })
}

fn quiet() -> Spec {
    Spec { write_every: None, ..Spec::small(1) }
}

/// No job was started twice, and none was left running.
fn ensure_jobs_are_done(world: &SimulatedWorld) {
    world.with(|state| {
        for site in state.sites.values() {
            for host in site.hosts.values() {
                for (id, job) in &host.jobs {
                    let begun = |change: &&Change| change.store == Store::Jobs && change.what == id.as_str();
                    assert_eq!(state.changes.iter().filter(begun).count(), 1, "{id}");
                    assert!(!job.state.is_alive(), "{id}");
                }
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn files_are_the_same_at_both_sites_afterwards() {
    let world = SimulatedWorld::new(&quiet());
    let [prod, bcp] = files(&world);
    assert!(prod.len() > 24 && prod != bcp, "they differ before");
    let state = run(&world, 1).await;
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false }, "{}", told(&state));
    let took = world.clock().since_start();
    assert!(took > RUN / 2 && took < RUN, "{took:?}: the moments of the faults below are of no use any more");
    let [prod, bcp] = files(&world);
    assert_eq!(prod, bcp);
    ensure_jobs_are_done(&world);

    // Users go on; the second and third generation share what did not change, and the first is pruned.
    for number in 2..=3 {
        world.with(|state| assert!(host::write(state, &site("prod"), number), "an upload"));
        let state = run(&world, u32::try_from(number).expect("small")).await;
        assert_eq!(outcome(&state), RunOutcome::Done { warned: false }, "{}", told(&state));
        let [prod, bcp] = files(&world);
        assert!(prod.keys().any(|path| path.ends_with(&format!("uploads/{number:06}.txt"))));
        assert_eq!(prod, bcp);
    }
    world.with(|state| {
        for site in state.sites.values() {
            let disk = &state.disks[site.exchange.0];
            let points = disk.list("/prod-to-bcp/points").expect("points");
            assert_eq!(points, ["p-20260301T020002Z", "p-20260301T020003Z"]);
            assert_eq!(disk.list("/prod-to-bcp/files-assets").expect("generations"), points);
            let film = disk.stat("/prod-to-bcp/files-assets/p-20260301T020003Z/0/odd/film.bin").expect("a file");
            assert_eq!(film.links, 4, "two names in two generations");
        }
    });
}

/// How long a run takes in the world's time when nothing breaks, at most.
const RUN: Duration = Duration::from_millis(6_600);

/// Breaks something at many moments of a run; once all is mended, a second run succeeds.
///
/// A run that was called done is compared at once, unless the fault `takes` what was not synced: nothing makes the
/// restored files survive a power cut in the seconds after it.
async fn survives(fault: &Fault, mend: &Fault, after: Duration, takes: bool) {
    const MOMENTS: u32 = 12;
    for moment in 0..MOMENTS {
        let world = SimulatedWorld::new(&quiet());
        let at = RUN / MOMENTS * moment;
        world.strike_at(at, fault.clone());
        world.strike_at(at + after, mend.clone());
        let first = run(&world, 1).await;
        let [prod, bcp] = files(&world);
        if matches!(outcome(&first), RunOutcome::Done { .. }) {
            assert!(takes || prod == bcp, "{fault:?} at {at:?}: it was called done\n{}", told(&first));
        }
        // What was to break has broken: the second run is to be undisturbed.
        tokio::time::sleep(RUN + after).await;
        let struck = world.with(|state| state.struck.iter().map(|(_, fault)| fault.clone()).collect::<Vec<_>>());
        assert_eq!(struck, [fault.clone(), mend.clone()]);
        world.strike(&Fault::Heal);
        let second = run(&world, 2).await;
        assert!(
            matches!(outcome(&second), RunOutcome::Done { .. }),
            "{fault:?} at {at:?}: not mended\n{}\n{}",
            told(&first),
            told(&second)
        );
        let [prod, bcp] = files(&world);
        assert_eq!(prod, bcp, "{fault:?} at {at:?}");
        assert!(prod.len() > 24, "the good copy is still there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_between_the_sites_at_any_moment() {
    let (from, to) = (Zone::Site(site("prod")), Zone::Site(site("bcp")));
    let cut = Fault::Cut { from: to.clone(), to: from.clone() };
    survives(&cut, &Fault::Mend { a: from, b: to }, Duration::from_secs(90), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_loses_its_power_at_any_moment() {
    for (name, host) in [("prod", "app1"), ("bcp", "app1")] {
        let (site, host) = (site(name), super::support::host(host));
        let down = Fault::HostDown { site: site.clone(), host: host.clone() };
        survives(&down, &Fault::HostUp { site, host }, Duration::from_secs(30), name == "bcp").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_exchange_disk_at_any_moment() {
    for name in ["prod", "bcp"] {
        let site = site(name);
        let full = Fault::ExchangeFull { site: site.clone() };
        survives(&full, &Fault::ExchangeFreed { site }, Duration::from_secs(20), false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_stalls_at_any_moment() {
    for name in ["prod", "bcp"] {
        let site = site(name);
        let stalls = Fault::ShareStalls { site: site.clone() };
        survives(&stalls, &Fault::ShareAnswers { site }, Duration::from_secs(45), false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn starts_of_jobs_that_arrive_twice_or_are_not_answered() {
    for mishap in [Mishap::Twice, Mishap::ReplyLost, Mishap::NotSent] {
        let world = SimulatedWorld::new(&quiet());
        for name in ["prod", "bcp"] {
            for _ in 0..2 {
                world.strike(&Fault::Mishap { site: site(name), channel: Channel::JobStart, mishap });
            }
        }
        let state = run(&world, 1).await;
        assert!(matches!(outcome(&state), RunOutcome::Done { .. }), "{mishap:?}\n{}", told(&state));
        let [prod, bcp] = files(&world);
        assert_eq!(prod, bcp, "{mishap:?}");
        ensure_jobs_are_done(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotten_byte_of_an_older_point_does_not_touch_a_new_one() {
    let world = SimulatedWorld::new(&quiet());
    assert_eq!(outcome(&run(&world, 1).await), RunOutcome::Done { warned: false });
    let [_, before] = files(&world);
    world.strike(&Fault::Rots { site: site("bcp"), like: "p-20260301T020001Z/manifest.json".into() });
    let state = run(&world, 2).await;
    assert!(matches!(outcome(&state), RunOutcome::Done { .. }), "another point is not affected\n{}", told(&state));
    let [_, after] = files(&world);
    assert_eq!(before, after);
}
