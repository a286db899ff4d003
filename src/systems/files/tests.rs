use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::model::{End, Failure, FailureKind};
use crate::points::{Measure, Part};
use crate::systems::fake::decode;
use crate::systems::local::Site2;
use crate::systems::{StepContext, StepDone};

const SERVICE: &str = r#"
    [services.assets]
    kind = "files"
    max_delete = "20%"
    exclude = ["*.tmp"]
    marker = ".here"
    owner = "copy"
    prod.paths = ["{tmp}/prod/srv", "{tmp}/prod/conf"]
    bcp.paths = ["{tmp}/bcp/srv", "{tmp}/bcp/conf"]
"#;

/// Ten files and the marker in `srv`, one and the marker in `conf`, at the source; only the markers at the target.
fn bench() -> Site2 {
    let bench = Site2::new(SERVICE);
    bench.record(1, "prod");
    for number in 0..10 {
        bench.write(&format!("prod/srv/d{}/f{number}", number % 3), &format!("content {number}"));
    }
    bench.write("prod/srv/skipped.tmp", "x");
    bench.write("prod/conf/app.ini", "mode=1");
    for path in ["prod/srv", "prod/conf", "bcp/srv", "bcp/conf"] {
        bench.write(&format!("{path}/.here"), "");
    }
    bench
}

async fn run(cx: &StepContext, kind: &str, params: Value) -> Result<StepDone, Failure> {
    decode(&kinds(), kind, &params).run(cx).await
}

async fn collect(bench: &Site2, point: &str) -> Result<StepDone, Failure> {
    run(&bench.cx(End::Source, point, "collect"), "files.collect", json!({})).await
}

fn part(bench: &Site2, site: &str, point: &str) -> Part {
    let path = bench.tree(site).root().join(format!("points/{point}/parts/assets.json"));
    serde_json::from_str(&bench.read(path)).expect("a part")
}

fn generation(bench: &Site2, site: &str, point: &str) -> PathBuf {
    bench.tree(site).root().join("files-assets").join(point)
}

/// Brings a point to the target and marks it complete there, as the exchange room would.
fn arrive(bench: &Site2, point: &str) {
    let status = std::process::Command::new("cp")
        .args(["-aT", "--"])
        .args([bench.tree("prod").root(), bench.tree("bcp").root()])
        .status();
    assert!(status.expect("cp").success());
    let marker = json!({ "point": point, "manifest_sha256": "", "listing_sha256": "", "files": 0, "bytes": 0 });
    let path = bench.tree("bcp").root().join(format!("points/{point}/COMPLETE"));
    std::fs::write(path, marker.to_string()).expect("a marker");
}

#[test]
fn settings_are_strict() {
    let check = |text: &str| {
        let value: Value = toml::from_str(text).expect("TOML");
        service().check(value.as_object().expect("a table"))
    };
    assert_eq!(check("kind = 'files'\npaths = ['/srv/a']\nexclude = ['*.tmp']\nmax_delete = '5%'"), Ok(()));
    for (bad, word) in [
        ("paths = []", "names no folder"),
        ("paths = ['srv']", "absolute"),
        ("paths = ['/']", "absolute"),
        ("paths = ['/srv/../etc']", "absolute"),
        ("paths = ['/srv', '/srv/a']", "within"),
        ("paths = ['/srv', '/srv']", "within"),
        ("paths = ['/srv']\nexclude = ['[a]']", "special"),
        ("paths = ['/srv']\nmax_deletes = 5", "unknown field"),
    ] {
        assert!(check(bad).expect_err(bad).contains(word), "{bad}: {:?}", check(bad));
    }
}

#[tokio::test]
async fn a_check_counts_and_refuses_what_looks_unmounted() {
    let bench = bench();
    let cx = bench.cx(End::Source, "p-1", "check");
    let done = run(&cx, "files.check", json!({})).await.expect("a count");
    assert_eq!((&done.captures["files"], &done.captures["estimated_bytes"]), (&json!(13), &done.captures["bytes"]));

    std::fs::remove_file(bench.path("prod/conf/.here")).expect("the marker");
    let failure = run(&bench.cx(End::Source, "p-1", "check2"), "files.check", json!({})).await.expect_err("no marker");
    assert!(failure.kind == FailureKind::Rule && failure.got.as_str().contains("marker"), "{failure}");
    std::fs::remove_dir_all(bench.path("prod/conf")).expect("the folder");
    std::fs::create_dir(bench.path("prod/conf")).expect("an empty folder");
    let failure = run(&bench.cx(End::Source, "p-1", "check3"), "files.check", json!({})).await.expect_err("empty");
    assert!(failure.got.as_str().contains("it is empty; it lies on "), "{failure}");
    assert!(failure.hint.expect("a hint").as_str().contains("not mounted"));
}

/// Changes a file and sets its time back: size and time are as before.
fn change_unseen(path: &std::path::Path, content: &str) {
    let before = std::fs::metadata(path).expect("a file");
    std::fs::write(path, content).expect("a file");
    let file = std::fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(before.modified().expect("a time")).expect("a time");
    let after = std::fs::metadata(path).expect("a file");
    assert_eq!((before.len(), before.mtime(), before.mtime_nsec()), (after.len(), after.mtime(), after.mtime_nsec()));
}

#[tokio::test]
async fn a_change_that_keeps_size_and_time_is_carried_and_noticed_with_deep_only() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("collected");
    change_unseen(&bench.path("prod/srv/d0/f0"), "CONTENT 0");
    let collected = |point: &str| std::fs::read_to_string(generation(&bench, "prod", point).join("0/d0/f0"));
    collect(&bench, "p-2").await.map(drop).expect("collected");
    assert_eq!(collected("p-2").expect("a file"), "content 0", "this is what is not guaranteed");
    let deep = run(&bench.cx(End::Source, "p-3", "collect"), "files.collect", json!({ "deep": true })).await;
    deep.map(drop).expect("collected");
    assert_eq!(collected("p-3").expect("a file"), "CONTENT 0");
    assert_eq!(collected("p-2").expect("a file"), "content 0", "generations never change");

    // The same at the other end: the host has what was there before.
    for point in ["p-1", "p-3"] {
        arrive(&bench, point);
    }
    let at_target = |step: &'static str, kind: &'static str, params: Value| {
        let cx = Site2::on(bench.cx(End::Target, "p-3", step), "app1");
        async move { run(&cx, kind, params).await }
    };
    at_target("a", "files.restore", json!({ "point": "p-1" })).await.map(drop).expect("restored");
    at_target("b", "files.restore", json!({})).await.map(drop).expect("restored");
    assert_eq!(bench.read("bcp/srv/d0/f0"), "content 0");
    let failure = at_target("c", "files.verify", json!({})).await.expect_err("the content differs");
    assert_eq!(failure.kind, FailureKind::Mismatch);
    let got = failure.got.as_str();
    assert!(got.contains(", content: expected") && got.contains("d0/f0") && !got.contains("d1/f1"), "{failure}");
    let done = at_target("d", "files.restore", json!({ "deep": true })).await.expect("restored");
    assert_eq!((done.captures["written"].clone(), bench.read("bcp/srv/d0/f0")), (json!(1), "CONTENT 0".to_owned()));
    at_target("e", "files.verify", json!({})).await.map(drop).expect("the same");
}

#[tokio::test]
async fn generations_share_what_did_not_change_and_keep_what_did() {
    let bench = bench();
    let done = collect(&bench, "p-1").await.expect("the first generation");
    assert_eq!(done.captures["files"], json!(13));
    let first = generation(&bench, "prod", "p-1");
    assert!(!first.join("0/skipped.tmp").exists());
    let counted = part(&bench, "prod", "p-1");
    let item = format!("path {}", bench.path("prod/srv").display());
    assert_eq!(counted.counts[&item]["files"], Measure::Exactly(11));
    assert_eq!(counted.details["generation"], json!("files-assets/p-1"));
    assert!(counted.began <= counted.ended);

    bench.write("prod/srv/d0/f0", "changed");
    collect(&bench, "p-2").await.map(drop).expect("the second generation");
    let second = generation(&bench, "prod", "p-2");
    let inode = |path: PathBuf| std::fs::metadata(path).expect("a file").ino();
    assert_eq!(inode(first.join("0/d1/f1")), inode(second.join("0/d1/f1")));
    assert_eq!(bench.read(first.join("0/d0/f0")), "content 0");
    assert_eq!(bench.read(second.join("0/d0/f0")), "changed");
    assert_ne!(part(&bench, "prod", "p-2").counts[&item]["digest"], counted.counts[&item]["digest"]);
    let left = std::fs::read_dir(second.parent().expect("a parent")).expect("a folder").count();
    assert_eq!(left, 2, "no partial is left");
}

#[tokio::test]
async fn an_emptied_source_never_becomes_a_generation() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("the first generation");
    for number in 0..3 {
        std::fs::remove_dir_all(bench.path(&format!("prod/srv/d{number}"))).expect("a folder");
    }
    let failure = collect(&bench, "p-2").await.expect_err("ten of eleven files are gone");
    assert_eq!(failure.kind, FailureKind::Rule);
    assert!(failure.got.as_str().contains("of 11 files are gone since p-1; allowed are 20%"), "{failure}");
    assert!(!generation(&bench, "prod", "p-2").exists());
    assert_eq!(bench.times_run(&["rsync", "progress2", "p-2.partial"]), 0, "nothing was copied");

    let cx = bench.cx(End::Source, "p-2", "again");
    run(&cx, "files.collect", json!({ "accept_deletions": true })).await.map(drop).expect("a person said yes");
    assert!(generation(&bench, "prod", "p-2").exists());
}

#[tokio::test]
async fn a_new_attempt_links_to_the_leftovers_and_does_not_write_into_them() {
    let bench = bench();
    bench.program("mv", "#!/bin/sh\necho no >&2\nexit 1\n");
    collect(&bench, "p-1").await.expect_err("it cannot be renamed");
    let leftover = generation(&bench, "prod", "p-1.partial-1a").join("0/d1/f1");
    let inode = std::fs::metadata(&leftover).expect("a leftover").ino();
    std::fs::remove_file(bench.path("bin/mv")).expect("the script");
    let cx = StepContext { attempt: 2, ..bench.cx(End::Source, "p-1", "collect") };
    run(&cx, "files.collect", json!({})).await.map(drop).expect("the second attempt");
    let made = generation(&bench, "prod", "p-1");
    assert_eq!(std::fs::metadata(made.join("0/d1/f1")).expect("a file").ino(), inode);
    assert!(!leftover.exists());
}

#[tokio::test]
async fn files_that_vanish_once_are_looked_for_again_and_twice_is_a_warning() {
    let bench = bench();
    let rsync = |times: &str| {
        format!(
            "#!/bin/sh\ncase \"$*\" in *progress2*{times}*/srv/*) /usr/bin/rsync \"$@\"; \
             echo 'file has vanished: \"/x\"' >&2; exit 24;; *) exec /usr/bin/rsync \"$@\";; esac\n"
        )
    };
    bench.program("rsync", &rsync(""));
    let done = collect(&bench, "p-1").await.expect("a live tree");
    assert!(done.warnings[0].as_str().contains("twice"), "{:?}", done.warnings);
    assert_eq!(bench.times_run(&["partial-1b", "--link-dest=", "partial-1a"]), 2, "one for each folder");
    let once = "#!/bin/sh\ncase \"$*\" in *progress2*partial-1a/0/) /usr/bin/rsync \"$@\"; exit 24;; \
                *) exec /usr/bin/rsync \"$@\";; esac\n";
    bench.program("rsync", once);
    let done = collect(&bench, "p-2").await.expect("a live tree");
    assert_eq!(done.warnings, []);
    assert_eq!(bench.read(generation(&bench, "prod", "p-2").join("1/app.ini")), "mode=1");
}

#[tokio::test]
async fn a_site_that_is_not_active_is_not_collected() {
    let bench = bench();
    bench.record(2, "bcp");
    let failure = collect(&bench, "p-1").await.expect_err("the wrong way round");
    assert_eq!(failure.kind, FailureKind::Rule);
    assert!(failure.got.as_str().contains("bcp is active"), "{failure}");
    std::fs::remove_file(bench.path("prod/exchange/direction.json")).expect("the record");
    assert_eq!(collect(&bench, "p-1").await.expect_err("no record").kind, FailureKind::Rule);
}

#[tokio::test]
async fn entering_again_counts_what_is_there_and_copies_nothing() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("a generation");
    let before = part(&bench, "prod", "p-1");
    let copies = bench.times_run(&["rsync", "progress2"]);
    bench.write("prod/srv/later", "x");
    collect(&bench, "p-1").await.map(drop).expect("the same generation");
    let after = part(&bench, "prod", "p-1");
    assert_eq!((&after.counts, after.began), (&before.counts, before.began));
    assert_eq!(bench.times_run(&["rsync", "progress2"]), copies);
}

#[tokio::test]
async fn a_generation_comes_back_and_is_proved_equal() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("a generation");
    arrive(&bench, "p-1");
    bench.write("bcp/srv/kept.tmp", "excluded files stay");
    let before = bench.cx(End::Target, "p-2", "before");
    let report = decode(&kinds(), "files.restore", &json!({})).check(&before).await.expect("a look without a copy");
    let loss = report.losses.iter().map(crate::model::SafeText::as_str).collect::<Vec<_>>().join("\n");
    assert!(loss.contains("of 1 files") && loss.contains("deleted, 20% of them at most"), "{loss}");
    let cx = bench.cx(End::Target, "p-1", "restore");
    let report = decode(&kinds(), "files.restore", &json!({})).check(&cx).await.expect("a look");
    assert!(report.losses[0].as_str().contains("0 deleted of"), "{:?}", report.losses);
    let done = run(&cx, "files.restore", json!({})).await.expect("a restore");
    assert_eq!((&done.captures["written"], &done.captures["deleted"]), (&json!(11), &json!(0)), "{:?}", done.captures);
    assert_eq!(bench.read("bcp/srv/d1/f1"), "content 1");
    assert_eq!(bench.read("bcp/srv/kept.tmp"), "excluded files stay");
    let done = run(&bench.cx(End::Target, "p-1", "verify"), "files.verify", json!({})).await.expect("equal");
    assert_eq!(done.captures["files"], json!(13));

    bench.write("bcp/srv/d1/f1", "other content");
    bench.write("bcp/srv/surplus", "x");
    let failure = run(&bench.cx(End::Target, "p-1", "verify2"), "files.verify", json!({})).await.expect_err("changed");
    assert_eq!(failure.kind, FailureKind::Mismatch);
    let got = failure.got.as_str();
    assert!(
        got.contains("files: expected 11, found 12") && got.contains("d1/f1") && got.contains("*deleting   surplus"),
        "{got}"
    );
}

#[tokio::test]
async fn a_restore_that_would_delete_too_much_changes_nothing_anywhere() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("a generation");
    arrive(&bench, "p-1");
    // The second folder is the one that has too much: the first must not be touched either.
    for number in 0..5 {
        bench.write(&format!("bcp/conf/own{number}"), "x");
    }
    let cx = bench.cx(End::Target, "p-1", "restore");
    let failure = run(&cx, "files.restore", json!({})).await.expect_err("five of seven");
    assert_eq!(failure.kind, FailureKind::Rule);
    assert!(failure.got.as_str().contains("5 of 7 would be deleted; allowed are 20%"), "{failure}");
    assert!(!bench.path("bcp/srv/d1").exists());
    let done = run(&bench.cx(End::Target, "p-1", "again"), "files.restore", json!({ "accept_deletions": true })).await;
    assert_eq!(done.expect("a person said yes").captures["deleted"], json!(5));
}

#[tokio::test]
async fn a_restore_needs_a_complete_point_a_whole_generation_and_a_mounted_target() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("a generation");
    let restore = |step: &'static str| {
        let cx = bench.cx(End::Target, "p-1", step);
        async move { run(&cx, "files.restore", json!({})).await.expect_err("a refusal") }
    };
    assert!(restore("a").await.got.as_str().contains("COMPLETE is not there"));
    arrive(&bench, "p-1");
    let file = generation(&bench, "bcp", "p-1").join("0/d1/f1");
    let content = std::fs::read(&file).expect("a file");
    std::fs::remove_file(&file).expect("a file");
    let failure = restore("b").await;
    assert!(
        failure.kind == FailureKind::Mismatch && failure.got.as_str().contains("10 files; the restore point says 11"),
        "{failure}"
    );
    std::fs::write(&file, content).expect("a file");
    std::fs::remove_file(bench.path("bcp/conf/.here")).expect("the marker");
    assert_eq!(restore("c").await.kind, FailureKind::Rule);
    assert!(!bench.path("bcp/srv/d1").exists(), "nothing was changed by any of these");
}

#[tokio::test]
async fn hosts_of_a_role_each_get_their_copy() {
    let bench = Site2::new(&SERVICE.replace("owner = \"copy\"", "role = \"app\""));
    bench.record(1, "prod");
    bench.write("prod/srv/.here", "");
    bench.write("prod/conf/.here", "");
    bench.write("bcp/srv/.here", "");
    bench.write("bcp/conf/.here", "");
    collect(&bench, "p-1").await.map(drop).expect("a generation");
    arrive(&bench, "p-1");
    let runs = |host: &str| bench.times_run(&[&format!("bcp:{host} $ "), "rsync", "progress2"]);
    run(&bench.cx(End::Target, "p-1", "all"), "files.restore", json!({})).await.map(drop).expect("a restore");
    assert_eq!((runs("app1"), runs("app2")), (2, 2));
    let one = Site2::on(bench.cx(End::Target, "p-1", "one"), "app2");
    run(&one, "files.restore", json!({})).await.map(drop).expect("a restore");
    assert_eq!((runs("app1"), runs("app2")), (2, 4));
}

#[tokio::test]
async fn a_shared_tree_is_brought_back_through_the_first_host_only() {
    let bench = bench();
    collect(&bench, "p-1").await.map(drop).expect("a generation");
    arrive(&bench, "p-1");
    let at = |step: &str, host: &str, first: bool| StepContext {
        first,
        ..Site2::on(bench.cx(End::Target, "p-1", step), host)
    };
    let second = run(&at("restore", "app2", false), "files.restore", json!({})).await.expect("nothing to do");
    assert!(second.nothing_to_do.is_some() && !bench.path("bcp/srv/d1").exists());
    let first = run(&at("restore", "app1", true), "files.restore", json!({})).await.expect("a restore");
    assert!(first.nothing_to_do.is_none() && bench.path("bcp/srv/d1/f1").exists());
    let verified = run(&at("verify", "app2", false), "files.verify", json!({})).await.expect("nothing to do");
    assert!(verified.nothing_to_do.is_some());
    let verified = run(&at("verify", "app1", true), "files.verify", json!({})).await.expect("equal");
    assert_eq!(verified.captures["files"], json!(13));
}
