mod hashing;

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::*;
use crate::model::{DirectionRecord, End, Failure, FailureKind};
use crate::points::CompletionMarker;
use crate::systems::fake::decode;
use crate::systems::local::Site2;
use crate::systems::{StepContext, StepDone, files};

const SERVICE: &str = r#"
    [services.assets]
    kind = "files"
    prod.paths = ["{tmp}/prod/srv"]
    bcp.paths = ["{tmp}/bcp/srv"]
"#;

fn transfer(more: &str) -> String {
    format!("{SERVICE}\n[transfer]\n{more}")
}

async fn at(bench: &Site2, end: End, point: &str, step: &str, kind: &str, params: Value) -> Result<StepDone, Failure> {
    let all: Vec<_> = kinds().into_iter().chain(files::kinds()).collect();
    decode(&all, kind, &params).run(&bench.cx(end, point, step)).await
}

/// Two sites with their exchange folders marked, and some assets.
fn bench(estate: &str) -> Site2 {
    let bench = Site2::new(estate);
    for site in ["prod", "bcp"] {
        bench.write(&format!("{site}/exchange/.changeover-exchange"), "");
    }
    for number in 0..5 {
        bench.write(&format!("prod/srv/f{number}"), &format!("content {number}"));
    }
    bench.fake_ssh();
    bench
}

/// What the search and database rooms would leave in the tree; `number` is the snapshot's.
fn stores(bench: &Site2, point: &str, number: u32) {
    let root = "prod/exchange/prod-to-bcp";
    let latest = format!("{root}/search-search/index.latest");
    bench.write(&latest, &format!("{number:08}"));
    // Snapshots of a real repository are seconds apart, and rsync takes files of one size and second for the same.
    let ended = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_772_323_200 + u64::from(number));
    let file = std::fs::File::options().write(true).open(bench.path(&latest)).expect("the file");
    file.set_modified(ended).expect("its time");
    bench.write(&format!("{root}/search-search/index-{number}"), &format!("snapshots up to {number}"));
    bench.write(&format!("{root}/search-search/snap-{number}.dat"), "snapshot");
    bench.write(&format!("{root}/search-search/indices/x/__{number}"), "blob");
    bench.write(&format!("{root}/points/{point}/db.sql.zst"), "dump");
    let part = json!({
        "service": "db", "kind": "mysql", "version": "8", "began": "2026-03-01T00:00:00Z",
        "ended": "2026-03-01T00:00:01Z", "counts": {}, "details": null,
        "artifacts": [{ "path": format!("points/{point}/db.sql.zst"), "bytes": 4,
            "sha256": "2bf1a3c20ee1de00ab0ccf1798d61d8cba9e4c0a4fbf2ba6cd62d1e21c6b46b1" }],
    });
    let sum = std::process::Command::new("sha256sum")
        .arg(bench.path(&format!("{root}/points/{point}/db.sql.zst")))
        .output()
        .expect("sha256sum");
    let mut part = part;
    part["artifacts"][0]["sha256"] = json!(String::from_utf8_lossy(&sum.stdout)[..64].to_owned());
    bench.write(&format!("{root}/points/{point}/parts/db.json"), &part.to_string());
}

/// Makes and seals a point at the source.
async fn sealed(bench: &Site2, point: &str, number: u32) -> StepDone {
    for end in [End::Source, End::Target] {
        at(bench, end, point, "prepare", "exchange.prepare", json!({})).await.map(drop).expect("prepared");
    }
    stores(bench, point, number);
    at(bench, End::Source, point, "collect", "files.collect", json!({})).await.map(drop).expect("collected");
    at(bench, End::Source, point, "seal", "exchange.seal", json!({ "expect": ["db", "assets"] })).await.expect("sealed")
}

async fn sent(bench: &Site2, point: &str, step: &str) -> StepDone {
    at(bench, End::Source, point, step, "exchange.transfer", json!({})).await.expect("sent")
}

async fn arrived(bench: &Site2, point: &str, step: &str) -> Result<StepDone, Failure> {
    at(bench, End::Target, point, step, "exchange.arrived", json!({})).await
}

fn marker(bench: &Site2, site: &str, point: &str) -> Option<CompletionMarker> {
    let text = std::fs::read(bench.tree(site).root().join(format!("points/{point}/COMPLETE"))).ok()?;
    Some(serde_json::from_slice(&text).expect("a marker"))
}

#[tokio::test]
async fn the_first_run_writes_the_record_at_both_sites_and_later_ones_compare() {
    let bench = bench(SERVICE);
    let record = |site: &str| -> DirectionRecord {
        serde_json::from_str(&bench.read(format!("{site}/exchange/direction.json"))).expect("a record")
    };
    let prepare = |end, step: &'static str| at(&bench, end, "p-1", step, "exchange.prepare", json!({}));
    let done = prepare(End::Source, "a").await.expect("the first");
    assert_eq!((&done.captures["epoch"], &done.captures["active"]), (&json!(1), &json!("prod")));
    assert_eq!(prepare(End::Target, "b").await.expect("the other").warnings, []);
    assert_eq!(record("prod"), record("bcp"));
    assert!(bench.tree("bcp").points().is_dir());
    let mode = std::fs::metadata(bench.tree("bcp").points()).expect("a folder").mode() & 0o7777;
    assert_eq!(mode, 0o2775);
    assert_eq!(prepare(End::Source, "c").await.expect("again").warnings, []);

    bench.record_at("bcp", 2, "bcp");
    let failure = prepare(End::Source, "d").await.expect_err("prod is out of date");
    assert_eq!(failure.kind, FailureKind::Rule);
    assert!(
        failure.got.as_str().contains("epoch 1, prod active") && failure.got.as_str().contains("epoch 2, bcp active"),
        "{failure}"
    );
    assert_eq!(record("prod").epoch.0, 1, "nothing was changed");
    let left: Vec<_> = std::fs::read_dir(bench.path("prod/exchange"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("probe")), "{left:?}");
}

#[tokio::test]
async fn silence_of_the_other_site_is_not_a_yes() {
    let bench = bench(SERVICE);
    bench.reach.dead.lock().expect("a lock").insert("bcp".parse().expect("a name"));
    let prepare = |step: &'static str, params| at(&bench, End::Source, "p-1", step, "exchange.prepare", params);
    assert_eq!(prepare("a", json!({})).await.expect_err("who is active?").kind, FailureKind::Rule);
    assert!(!bench.path("prod/exchange/direction.json").exists());
    prepare("b", json!({ "alone": true })).await.map(drop).expect("by design");
    let done = prepare("c", json!({})).await.expect("known here");
    assert!(done.warnings[0].as_str().contains("could not be asked"), "{:?}", done.warnings);
}

#[tokio::test]
async fn a_folder_that_may_be_an_unmounted_share_is_refused() {
    let bench = bench(SERVICE);
    let prepare = |step: &'static str| at(&bench, End::Source, "p-1", step, "exchange.prepare", json!({}));
    std::fs::remove_file(bench.path("prod/exchange/.changeover-exchange")).expect("the mark");
    let failure = prepare("a").await.expect_err("not marked");
    assert!(failure.kind == FailureKind::Rule && failure.hint.expect("a hint").as_str().contains("touch "));
    std::fs::remove_dir(bench.path("prod/exchange")).expect("the folder");
    assert!(prepare("b").await.expect_err("no folder").got.as_str().contains("no such folder"));
    assert!(!bench.path("prod/exchange").exists(), "it is never created");
}

#[tokio::test]
async fn space_is_refused_before_it_is_missing() {
    let bench = bench(SERVICE);
    let space = |step: &'static str, params| at(&bench, End::Source, "p-1", step, "exchange.space", params);
    assert_eq!(
        space("a", json!({ "bytes": 1000, "factor": 1.5 })).await.expect("room").captures["needed"],
        json!(1500)
    );
    assert_eq!(space("b", json!({ "bytes": 1_u64 << 60 })).await.expect_err("an exabyte").kind, FailureKind::Rule);
}

#[tokio::test]
async fn a_point_goes_all_the_way_and_the_next_one_costs_only_what_changed() {
    for from in ["source", "target"] {
        let bench = bench(&transfer(&format!("from = \"{from}\"\nstreams = 3\nssh_config = \"/etc/a b/ssh\"")));
        let done = sealed(&bench, "p-1", 1).await;
        assert_eq!(done.captures["files"], json!(8), "4 of search, dump, 2 parts, manifest");
        assert_eq!(arrived(&bench, "p-1", "early").await.expect_err("not yet sent").got.as_str(), "it is not there");
        let first = sent(&bench, "p-1", "send").await;
        assert_eq!(first.captures["files"], json!(5 + 8 + 1 + 1), "assets, listed, LISTING, COMPLETE");
        assert_eq!(marker(&bench, "bcp", "p-1"), marker(&bench, "prod", "p-1"));
        let done = arrived(&bench, "p-1", "arrive").await.expect("whole");
        assert_eq!((&done.captures["point"], &done.captures["files"]), (&json!("p-1"), &json!(13)));
        assert_eq!(done.warnings, []);

        bench.write("prod/srv/f0", "changed");
        drop(sealed(&bench, "p-2", 2).await);
        let second = sent(&bench, "p-2", "send").await;
        // One asset; of search: index.latest, index-2, snap-2, __2; dump, two parts, manifest, LISTING, COMPLETE.
        assert_eq!(second.captures["files"], json!(11), "{from}");
        let inode = |point: &str| {
            let path = bench.tree("bcp").root().join(format!("files-assets/{point}/0/f1"));
            std::fs::metadata(path).expect("a file").ino()
        };
        assert_eq!(inode("p-1"), inode("p-2"), "linked to the generation before");
        arrived(&bench, "p-2", "arrive2").await.map(drop).expect("whole");

        // The older point is still good, although the repository has a newer snapshot.
        let old =
            at(&bench, End::Target, "p-2", "old", "exchange.arrived", json!({ "point": "p-1" })).await.expect("good");
        assert!(old.warnings[0].as_str().contains("newer snapshots"), "{:?}", old.warnings);
        let sums = bench.times_run(&["prod:app1", "xargs", "sha256sum --zero"]);
        assert!(sums >= 4, "sums and markers of two points: {sums}");
    }
}

#[tokio::test]
async fn what_is_new_goes_in_several_streams_and_arrives_as_in_one() {
    for from in ["source", "target"] {
        let bench = bench(&transfer(&format!("from = \"{from}\"\nstreams = 2")));
        for folder in ["a", "b c", "-d", "#e", "f*", "g/deep", "h", "i"] {
            bench.write(&format!("prod/srv/{folder}/file"), folder);
        }
        std::fs::hard_link(bench.path("prod/srv/a/file"), bench.path("prod/srv/b c/same")).expect("a link");
        drop(sealed(&bench, "p-1", 1).await);
        let done = sent(&bench, "p-1", "send").await;
        assert_eq!(done.captures["files"], json!(5 + 9 + 8 + 1 + 1), "a file that two streams share is sent by both");
        assert_eq!(bench.times_run(&["--files-from=-"]), 2, "two streams");
        assert_eq!(bench.times_run(&["--files-from=-", "--delete"]), 0);
        arrived(&bench, "p-1", "arrive").await.map(drop).expect("whole");
        let file = |path: &str| {
            let path = bench.tree("bcp").root().join("files-assets/p-1/0").join(path);
            std::fs::metadata(path).expect("a file")
        };
        assert_eq!(file("a/file").ino(), file("b c/same").ino(), "hard links between streams are joined");
        assert_eq!(file("#e/file").len(), 2);

        drop(sealed(&bench, "p-2", 2).await);
        drop(sent(&bench, "p-2", "send").await);
        assert_eq!(bench.times_run(&["--files-from=-"]), 2, "what is like something there goes in one");
        arrived(&bench, "p-2", "arrive2").await.map(drop).expect("whole");
    }
}

#[tokio::test]
async fn a_stream_that_fails_leaves_the_work_to_the_copy_of_the_whole() {
    let bench = bench(&transfer("streams = 2"));
    for folder in ["a", "b", "c", "d"] {
        bench.write(&format!("prod/srv/{folder}/file"), folder);
    }
    drop(sealed(&bench, "p-1", 1).await);
    bench
        .program("rsync", "#!/bin/sh\ncase \"$*\" in *--files-from*) exit 23;; *) exec /usr/bin/rsync \"$@\";; esac\n");
    drop(sent(&bench, "p-1", "send").await);
    assert_eq!(bench.times_run(&["--files-from=-"]), 2);
    arrived(&bench, "p-1", "arrive").await.map(drop).expect("whole");
}

#[tokio::test]
async fn the_marker_is_sent_last_and_not_at_all_when_something_before_it_failed() {
    let bench = bench(&transfer("streams = 1"));
    drop(sealed(&bench, "p-1", 1).await);
    // The far side dies in the middle of the assets.
    bench.program(
        "rsync",
        "#!/bin/sh\ncase \"$*\" in *bcp/*files-assets*) exit 12;; *) exec /usr/bin/rsync \"$@\";; esac\n",
    );
    let failure =
        at(&bench, End::Source, "p-1", "send", "exchange.transfer", json!({})).await.expect_err("a broken stream");
    assert_eq!(failure.kind, FailureKind::Unreachable, "rsync may be repeated: {failure}");
    assert_eq!(marker(&bench, "bcp", "p-1"), None);
    let failure = arrived(&bench, "p-1", "arrive").await.expect_err("incomplete");
    assert!(failure.got.as_str().contains("incomplete"), "{failure}");
    std::fs::remove_file(bench.path("bin/rsync")).expect("the script");
    let again = StepContext { attempt: 2, ..bench.cx(End::Source, "p-1", "send") };
    decode(&kinds(), "exchange.transfer", &json!({})).run(&again).await.map(drop).expect("sent");
    arrived(&bench, "p-1", "arrive2").await.map(drop).expect("whole");
}

#[tokio::test]
async fn nothing_is_sent_the_wrong_way_or_unsealed_or_where_storage_does_it() {
    let wrong = bench(&transfer("by = \"rsync\""));
    wrong.record(1, "prod");
    let failure = at(&wrong, End::Source, "p-1", "a", "exchange.transfer", json!({})).await.expect_err("not sealed");
    assert!(failure.kind == FailureKind::Rule && failure.got.as_str().contains("not sealed"), "{failure}");
    for (prod, bcp) in [((1, "prod"), (2, "prod")), ((1, "prod"), (2, "bcp")), ((2, "bcp"), (2, "bcp"))] {
        wrong.record_at("prod", prod.0, prod.1);
        wrong.record_at("bcp", bcp.0, bcp.1);
        let failure =
            at(&wrong, End::Source, "p-1", "b", "exchange.transfer", json!({})).await.expect_err("no agreement");
        assert_eq!(failure.kind, FailureKind::Rule);
    }
    assert_eq!(wrong.times_run(&["rsync -a"]), 0);
    for by in ["storage", "shared"] {
        let bench = bench(&transfer(&format!("by = \"{by}\"")));
        let done = at(&bench, End::Source, "p-1", "a", "exchange.transfer", json!({})).await.expect("nothing to do");
        assert!(done.nothing_to_do.is_some());
    }
}

#[tokio::test]
async fn a_repository_that_would_be_emptied_is_not_sent() {
    let bench = bench(&transfer(""));
    drop(sealed(&bench, "p-1", 1).await);
    drop(sent(&bench, "p-1", "send").await);
    let repository = bench.path("prod/exchange/prod-to-bcp/search-search");
    std::fs::remove_dir_all(&repository).expect("the repository");
    std::fs::create_dir(&repository).expect("an empty one");
    let failure =
        at(&bench, End::Source, "p-1", "again", "exchange.transfer", json!({})).await.expect_err("all would go");
    assert_eq!(failure.kind, FailureKind::Rule);
    assert!(failure.got.as_str().contains("would be deleted; allowed are 50%"), "{failure}");
    assert!(bench.path("bcp/exchange/prod-to-bcp/search-search/index-1").exists());
}

#[tokio::test]
async fn what_a_deleted_snapshot_left_goes_from_the_copy_unless_a_point_is_only_there() {
    let bench = bench(&transfer(""));
    for (number, point) in [(1, "p-1"), (2, "p-2")] {
        drop(sealed(&bench, point, number).await);
        drop(sent(&bench, point, "send").await);
    }
    // The source removes its first point, and the search service the snapshot of it.
    let prune = |end, step: &'static str| at(&bench, end, "p-2", step, "exchange.prune", json!({ "keep": 1 }));
    prune(End::Source, "prune").await.map(drop).expect("pruned");
    for gone in ["snap-1.dat", "indices/x/__1", "index-1"] {
        std::fs::remove_file(bench.path("prod/exchange/prod-to-bcp/search-search").join(gone)).expect("a file");
    }
    drop(sealed(&bench, "p-3", 3).await);
    let there = |path: &str| bench.path("bcp/exchange/prod-to-bcp/search-search").join(path).exists();
    // p-1 is still whole at the target, where somebody may be restoring it.
    let done = sent(&bench, "p-3", "send").await;
    assert!(done.warnings[0].as_str().contains("3 files") && done.warnings[0].as_str().contains("p-1"), "{done:?}");
    assert!(there("snap-1.dat") && there("indices/x/__1") && there("snap-3.dat"));
    arrived(&bench, "p-3", "arrive").await.map(drop).expect("more than is listed does no harm");

    prune(End::Target, "prune").await.map(drop).expect("pruned");
    drop(sealed(&bench, "p-4", 4).await);
    assert_eq!(sent(&bench, "p-4", "send").await.warnings, []);
    assert!(!there("snap-1.dat") && !there("indices/x/__1") && !there("index-1") && there("snap-2.dat"));
}

#[tokio::test]
async fn every_kind_of_damage_at_the_target_is_told_by_its_name() {
    let bench = bench(&transfer(""));
    drop(sealed(&bench, "p-1", 1).await);
    drop(sent(&bench, "p-1", "send").await);
    let root = bench.tree("bcp").root().to_owned();
    let damages: [(&str, &str, Option<&str>, &str); 7] = [
        ("size", "points/p-1/db.sql.zst", Some("dum"), "points/p-1/db.sql.zst: 3 bytes, not 4"),
        ("content", "points/p-1/db.sql.zst", Some("DUMP"), "points/p-1/db.sql.zst: FAILED"),
        ("blob", "search-search/indices/x/__1", None, "1 files are missing, the first is search-search/indices/x/__1"),
        ("repository", "search-search/snap-1.dat", Some("SNAPSHOT"), "search-search/snap-1.dat: FAILED"),
        ("asset", "files-assets/p-1/0/f1", None, "files: expected 5, found 4"),
        ("manifest", "points/p-1/manifest.json", Some("{}"), "not what the completion marker says"),
        ("marker", "points/p-1/COMPLETE", None, "completion marker is not there"),
    ];
    for (name, path, damage, said) in damages {
        let path = root.join(path);
        let (content, time) = (
            std::fs::read(&path).expect("a file"),
            std::fs::metadata(&path).expect("a file").modified().expect("a time"),
        );
        match damage {
            Some(damage) => std::fs::write(&path, damage).expect("a file"),
            None => std::fs::remove_file(&path).expect("a file"),
        }
        let failure = arrived(&bench, "p-1", name).await.expect_err(name);
        assert_eq!(failure.kind, FailureKind::Mismatch, "{name}: {failure}");
        assert!(failure.got.as_str().contains(said), "{name}: {failure}");
        std::fs::write(&path, content).expect("a file");
        std::fs::File::options().write(true).open(&path).expect("a file").set_modified(time).expect("a time");
        arrived(&bench, "p-1", &format!("{name}-mended")).await.map(drop).expect(name);
    }
}

#[tokio::test(start_paused = true)]
async fn storage_is_waited_for_until_it_stands_still() {
    let bench = bench(&transfer("by = \"storage\"\nwait = \"5m\""));
    drop(sealed(&bench, "p-1", 1).await);
    let copy = || {
        let (from, to) = (bench.tree("prod").root().to_owned(), bench.tree("bcp").root().to_owned());
        std::process::Command::new("cp").args(["-aT", "--"]).args([from, to]).status().expect("cp");
    };
    let began = tokio::time::Instant::now();
    let (arrival, ()) = tokio::join!(arrived(&bench, "p-1", "arrive"), async {
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        copy();
    });
    assert_eq!(arrival.expect("it came").captures["point"], json!("p-1"));
    assert!(began.elapsed().as_secs() >= 61);
    let began = tokio::time::Instant::now();
    let failure = arrived(&bench, "p-2", "never").await.expect_err("it never comes");
    assert_eq!((failure.got.as_str(), began.elapsed().as_secs()), ("it is not there", 300));
}

#[tokio::test]
async fn points_of_another_epoch_are_used_only_when_named() {
    let bench = bench(&transfer(""));
    drop(sealed(&bench, "p-1", 1).await);
    drop(sent(&bench, "p-1", "send").await);
    bench.record(3, "prod");
    let arrive = |step: &'static str, point: &'static str| {
        at(&bench, End::Target, "p-9", step, "exchange.arrived", json!({ "point": point }))
    };
    let failure = arrive("a", "latest").await.expect_err("of epoch 1");
    assert!(failure.kind == FailureKind::Rule && failure.got.as_str().contains("epoch 1"), "{failure}");
    assert!(arrive("b", "p-1").await.expect("asked for").warnings[0].as_str().contains("epoch 1, now is epoch 3"));
}

#[tokio::test]
async fn a_point_without_what_is_expected_or_still_written_to_is_not_sealed() {
    let bench = bench(SERVICE);
    bench.record(1, "prod");
    let seal = |step: &'static str, params| at(&bench, End::Source, "p-1", step, "exchange.seal", params);
    stores(&bench, "p-1", 1);
    let failure = seal("a", json!({ "expect": ["db", "assets"] })).await.expect_err("no assets");
    assert!(failure.kind == FailureKind::Mismatch && failure.got.as_str().contains("assets"), "{failure}");
    // Another snapshot writes while the checksums are computed.
    let blob = bench.path("prod/exchange/prod-to-bcp/search-search/late");
    bench.program("xargs", &format!("#!/bin/sh\ndate +%N >> {}\nexec /usr/bin/xargs \"$@\"\n", blob.display()));
    let failure = seal("b", json!({})).await.expect_err("still written to");
    assert!(failure.kind == FailureKind::Busy && failure.got.as_str().contains("search-search/late"), "{failure}");
    assert_eq!(marker(&bench, "prod", "p-1"), None);
    std::fs::remove_file(bench.path("bin/xargs")).expect("the script");
    seal("c", json!({})).await.map(drop).expect("sealed");
    let first = marker(&bench, "prod", "p-1");
    seal("d", json!({})).await.map(drop).expect("sealed already");
    assert_eq!(marker(&bench, "prod", "p-1"), first, "sealed once only");
    let root = bench.tree("prod").root().to_owned();
    let check = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "points/p-1/LISTING"])
        .current_dir(root)
        .status();
    assert!(check.expect("sha256sum").success(), "a person can check it by hand");
}

#[tokio::test]
async fn pruning_removes_points_with_their_generations_and_nothing_else() {
    let bench = bench(SERVICE);
    for (number, point) in ["p-1", "p-2", "p-3"].into_iter().enumerate() {
        let number = u32::try_from(number).expect("small");
        drop(sealed(&bench, point, number).await);
    }
    bench.write("prod/exchange/prod-to-bcp/points/p-2/PINNED", "for the auditors");
    let prune =
        |step: &'static str, keep: u32| at(&bench, End::Source, "p-3", step, "exchange.prune", json!({ "keep": keep }));
    assert!(prune("a", 3).await.expect("nothing").nothing_to_do.is_some());
    assert_eq!(prune("b", 1).await.expect("pruned").captures["pruned"], json!(["p-1"]));
    let root = bench.tree("prod").root().to_owned();
    let there = |path: &str| root.join(path).exists();
    assert!(!there("points/p-1") && !there("files-assets/p-1"));
    assert!(there("points/p-2/COMPLETE") && there("files-assets/p-2/0/f1") && there("points/p-3/COMPLETE"));
    assert!(there("search-search/snap-0.dat"), "snapshots are not its job");
    bench.record(2, "bcp");
    assert_eq!(prune("c", 1).await.expect_err("the wrong way round").kind, FailureKind::Rule);
}

#[tokio::test]
async fn a_seal_that_is_entered_again_after_a_crash_is_as_good_as_the_first() {
    let bench = bench(&transfer(""));
    bench.record(1, "prod");
    stores(&bench, "p-1", 1);
    bench.write("prod/exchange/prod-to-bcp/search-search/index.latest", "00000001");
    // The program dies before the marker is written: here, the disk refuses it.
    bench.program("mv", "#!/bin/sh\ncase \"$*\" in *COMPLETE) exit 1;; *) exec /bin/mv \"$@\";; esac\n");
    let failure = at(&bench, End::Source, "p-1", "seal", "exchange.seal", json!({})).await.expect_err("no marker");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(marker(&bench, "prod", "p-1"), None);
    std::fs::remove_file(bench.path("bin/mv")).expect("the script");
    // Meanwhile a file got other content of the same length; the jobs of the first entry are still known.
    let again = bench.path("prod/exchange/prod-to-bcp/search-search/snap-1.dat");
    let file = std::fs::File::options().write(true).open(&again).expect("the file of the snapshot");
    let before = file.metadata().and_then(|about| about.modified()).expect("its time");
    std::fs::write(&again, "SNAPSHOT").expect("a file");
    file.set_modified(before + std::time::Duration::from_millis(1)).expect("another time");
    drop(at(&bench, End::Source, "p-1", "seal", "exchange.seal", json!({})).await.expect("sealed"));
    drop(sent(&bench, "p-1", "send").await);
    drop(arrived(&bench, "p-1", "arrive").await.expect("every checksum is of what is there"));
}
