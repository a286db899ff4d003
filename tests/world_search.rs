//! The steps of the search room, unchanged, against the simulated clusters: what they do, and what they say when
//! something breaks. What carries the exchange tree from site to site is played by the test itself.

#[path = "world_search/scene.rs"]
mod scene;
#[path = "support/single_run.rs"]
mod single_run;

use std::time::Duration;

use changeover::model::{FailureKind, RunOutcome};
use changeover::world::{Channel, Fault, Mishap, Spec, Store};

use scene::{Scene, bcp, prod};

const OUT: &[&str] = &["check source", "snapshot source"];
const IN: &[&str] = &["check target", "restore target", "verify target"];

fn quiet(seed: u64) -> Spec {
    Spec { write_every: None, ..Spec::small(seed) }
}

#[tokio::test(start_paused = true)]
async fn the_standby_has_exactly_the_documents_of_the_snapshot() {
    for nodes in [[1, 1], [3, 1], [1, 3], [3, 3]] {
        let scene = Scene::new(&Spec { nodes, ..quiet(1) });
        let before = scene.search(&prod());
        assert_eq!(before.len(), 60, "the world begins with documents");
        assert_eq!(scene.search(&bcp()).len(), 0);
        assert_eq!(scene.run("out", OUT).await.outcome, RunOutcome::Done { warned: false }, "{nodes:?}");
        // What is written now is not in the snapshot.
        assert!(scene.write(900));
        scene.carry();
        let warned = nodes[0] > nodes[1];
        let run = scene.run("in", IN).await;
        assert_eq!(run.outcome, RunOutcome::Done { warned }, "{nodes:?}: {:?}", run.failures);
        assert_eq!(scene.search(&bcp()), before, "{nodes:?}");
        assert_eq!(scene.search(&prod()).len(), 61);
        assert_eq!(scene.changes(&prod(), Store::Search), 0);
        assert_eq!((scene.changes(&prod(), Store::Repository), scene.changes(&bcp(), Store::Search)), (1, 3));
        // And once more, over what is there now: incrementally, closed and replaced.
        scene.next_point();
        assert_eq!(scene.run("out2", OUT).await.outcome, RunOutcome::Done { warned: false });
        scene.carry();
        assert_eq!(scene.run("in2", IN).await.outcome, RunOutcome::Done { warned });
        assert_eq!(scene.search(&bcp()), scene.search(&prod()), "{nodes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_written_index_is_a_moment_of_it() {
    let scene = Scene::new(&quiet(2));
    let writing = async {
        for number in 0..40 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(scene.write(number));
        }
    };
    let (run, ()) = tokio::join!(scene.run("out", OUT), writing);
    assert_eq!(run.failures, Vec::<(FailureKind, String)>::new());
    scene.carry();
    let run = scene.run("in", IN).await;
    assert_eq!(run.outcome, RunOutcome::Done { warned: false }, "{:?}", run.failures);
    let (there, here) = (scene.search(&bcp()), scene.search(&prod()));
    assert!(there.len() > 60 && there.len() < here.len(), "{} of {}", there.len(), here.len());
    assert!(there.iter().all(|(id, source)| here.get(id) == Some(source)));
}

/// What a run says when this breaks before it, and with what kind.
async fn said(scene: &Scene, run: &str, steps: &[&str]) -> (FailureKind, String) {
    let run = scene.run(run, steps).await;
    let first = run.failures.first().cloned();
    first.unwrap_or_else(|| panic!("nothing failed: {:?}", run.outcome))
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_cannot_be_whole_is_none() {
    let fault = |fault: Fault| {
        let scene = Scene::new(&Spec { nodes: [3, 1], ..quiet(3) });
        scene.world.strike(&fault);
        scene
    };
    let partial = fault(Fault::SnapshotPartial { site: prod() });
    let (kind, got) = said(&partial, "out", OUT).await;
    assert_eq!(kind, FailureKind::Refused);
    assert!(got.contains("it ended as PARTIAL: 1 of 4 shards"), "{got}");
    // Another attempt takes another name and is whole.
    let again = partial.run("out2", &["snapshot source"]).await;
    assert!(again.failures.iter().any(|(_, got)| got.contains("did not make it")), "{:?}", again.failures);

    let full = fault(Fault::ExchangeFull { site: prod() });
    let (kind, got) = said(&full, "out", OUT).await;
    assert!(got.contains("No space left on device"), "{kind:?} {got}");

    // Full while it runs: the shards fail, and then the list cannot be written.
    let scene = Scene::new(&quiet(3));
    scene.world.strike_at(Duration::from_millis(900), Fault::ExchangeFull { site: prod() });
    let (kind, got) = said(&scene, "out", OUT).await;
    assert!(got.contains("it began, and is gone"), "{kind:?} {got}");
    scene.world.strike(&Fault::ExchangeFreed { site: prod() });
    scene.next_point();
    assert_eq!(scene.run("out2", OUT).await.failures, []);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_leave_are_noticed() {
    let three = || Scene::new(&Spec { nodes: [3, 1], ..quiet(4) });
    let down = |node| Fault::NodeDown { site: prod(), node };
    // Copies are missing, and every primary works.
    let scene = three();
    scene.world.strike(&down(1));
    let run = scene.run("out", OUT).await;
    assert_eq!(run.outcome, RunOutcome::Done { warned: true }, "{:?}", run.failures);

    // No quorum.
    let scene = three();
    scene.world.strike(&down(0));
    scene.world.strike(&down(1));
    let (kind, got) = said(&scene, "out", OUT).await;
    assert!(kind == FailureKind::Refused && got.contains("knows no elected master"), "{kind:?} {got}");
    assert!(!scene.write(1), "nothing is acknowledged without a master");
    let (kind, got) = said(&scene, "out2", &["snapshot source"]).await;
    assert!(kind == FailureKind::Busy && got.contains("cluster_manager_not_discovered"), "{kind:?} {got}");

    // All down while it is taken, and back.
    let scene = Scene::new(&quiet(4));
    scene.world.strike_at(Duration::from_millis(900), down(0));
    scene.world.strike_at(Duration::from_secs(5), Fault::NodeUp { site: prod(), node: 0 });
    let (_, got) = said(&scene, "out", OUT).await;
    assert!(got.contains("it began, and is gone"), "{got}");

    // For good.
    let scene = Scene::new(&quiet(4));
    scene.world.strike(&down(0));
    let (kind, got) = said(&scene, "out", OUT).await;
    assert!(kind == FailureKind::Unreachable && got.contains("Connection refused"), "{kind:?} {got}");
}

#[tokio::test(start_paused = true)]
async fn what_rots_on_the_way_is_noticed_by_the_restore() {
    // Part of the path, whether the byte turns or the file goes, and what is said.
    for (like, rots, wanted) in [
        ("/0/__", true, "checksum failed"),
        ("/0/__", false, "NoSuchFileException"),
        ("/0/snap-", true, "failed to read shard snapshot file"),
        ("/0/snap-", false, "SnapshotMissingException"),
        ("/meta-", false, "is missing"),
        ("search-search/snap-", true, "failed to get snapshots"),
        ("search-search/snap-", false, "it is not there"),
        ("search-search/index-", false, "it is not there"),
    ] {
        let scene = Scene::new(&quiet(5));
        assert_eq!(scene.run("out", OUT).await.failures, []);
        scene.carry();
        if rots {
            scene.world.strike(&Fault::Rots { site: bcp(), like: like.to_owned() });
        } else {
            scene.remove(&bcp(), if like == "/meta-" { "indices/" } else { "" }, like);
        }
        let (kind, got) = said(&scene, "in", IN).await;
        assert!(kind == FailureKind::Refused && got.contains(wanted), "{like} {rots}: {kind:?} {got}");
        assert_eq!(scene.changes(&prod(), Store::Search), 0);
        // With a whole copy the same point goes in after all.
        scene.carry();
        let run = scene.run("in2", IN).await;
        assert_eq!((run.failures, scene.search(&bcp())), (vec![], scene.search(&prod())), "{like} {rots}");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_doubled_requests_make_one_snapshot_and_one_restore() {
    for mishap in [Mishap::NotSent, Mishap::ReplyLost, Mishap::Twice] {
        let mut whole = 0;
        // A call of the snapshot and one of the restore, each at another time.
        for number in 0..20_u32 {
            let scene = Scene::new(&quiet(6));
            let at = Duration::from_millis(67) * number;
            let fault = |site| Fault::Mishap { site, channel: Channel::Http, mishap };
            scene.world.strike_at(at, fault(prod()));
            let out = scene.run_patiently("out", OUT).await;
            scene.carry();
            scene.world.strike_at(scene.age() + at, fault(bcp()));
            let back = scene.run_patiently("in", IN).await;
            assert!(scene.changes(&prod(), Store::Repository) <= 1, "{mishap:?} at {at:?}");
            if !out.is_good() || !back.is_good() {
                // A lost answer may leave a question; a request that was made twice is refused the second time.
                let mut failures = out.failures.iter().chain(&back.failures);
                let expected = failures.any(|(kind, got)| match mishap {
                    Mishap::NotSent => false,
                    Mishap::ReplyLost => *kind == FailureKind::Unknown,
                    Mishap::Twice => {
                        ["already in-progress", "an open index with same name"].iter().any(|s| got.contains(s))
                    }
                });
                assert!(expected, "{mishap:?} at {at:?}: {:?} {:?}", out.failures, back.failures);
                continue;
            }
            whole += 1;
            assert_eq!(scene.changes(&prod(), Store::Repository), 1, "{mishap:?} at {at:?}");
            assert_eq!(scene.changes(&bcp(), Store::Search), 3, "{mishap:?} at {at:?}");
            assert_eq!(scene.search(&bcp()), scene.search(&prod()), "{mishap:?} at {at:?}");
        }
        assert!(whole >= 12, "{mishap:?}: {whole} of 20");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_forgotten_half_way_begins_anew() {
    let scene = Scene::new(&quiet(8));
    assert_eq!(scene.run("out", OUT).await.failures, []);
    scene.carry();
    let now = scene.age();
    scene.world.strike_at(now + Duration::from_millis(1100), Fault::NodeDown { site: bcp(), node: 0 });
    scene.world.strike_at(now + Duration::from_secs(20), Fault::NodeUp { site: bcp(), node: 0 });
    let (kind, got) = said(&scene, "in", IN).await;
    assert!(kind == FailureKind::Refused && got.contains("do not become whole"), "{kind:?} {got}");
    // None of the documents can be counted now, so that a look at the health would say no.
    let run = scene.run("in2", &IN[1..]).await;
    assert_eq!((run.failures, scene.search(&bcp())), (vec![], scene.search(&prod())));
}
