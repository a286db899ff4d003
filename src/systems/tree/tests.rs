use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::model::End;
use crate::systems::local::Site2;

fn excludes(patterns: &[&str]) -> Excludes {
    Excludes::try_from(patterns.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).expect("patterns")
}

#[test]
fn patterns_become_expressions_of_whole_paths() {
    for (pattern, expected) in [
        ("*.tmp", r"/a\.b/(.*/)?[^/]*\.tmp"),
        ("/cache/", r"/a\.b/cache"),
        ("x/**/y", r"/a\.b/(.*/)?x/.*/y"),
        ("a?(1)", r"/a\.b/(.*/)?a[^/]\(1\)"),
    ] {
        assert_eq!(regex("/a.b", pattern), expected, "{pattern}");
    }
    for bad in ["", "/", "[a]", r"a\b", "- x", "!", "a/***"] {
        assert!(Excludes::try_from(vec![bad.to_owned()]).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn answers_are_read_strictly() {
    let counts = parse_counts("find: noise\ncounted 3 120 2 1 0\n").expect("counts");
    assert_eq!((exactly(&counts, "files"), exactly(&counts, "bytes"), exactly(&counts, "symlinks")), (3, 120, 1));
    assert_eq!(parse_counts("counted 3 120"), None);
    let digest = "a".repeat(64);
    assert_eq!(parse_digest(&format!("{digest}  -\n")), Some(digest));
    assert_eq!(parse_digest("abc  -"), None);
}

/// A folder with names that break careless tools.
fn strange(root: &Path) {
    std::fs::create_dir_all(root.join("d/empty")).expect("folders");
    for name in ["plain", "with\nnewline", "with\ttab", "-n", "d/$(x) 'y' \"z\" *"] {
        std::fs::write(root.join(name), name).expect("a file");
    }
    std::fs::write(root.join(OsStr::from_bytes(b"not-\xff-utf8")), b"x").expect("a file");
    symlink("plain\nnowhere", root.join("link")).expect("a link");
}

async fn measured(
    bench: &Site2,
    label: &str,
    path: &str,
    patterns: &[&str],
    content: bool,
) -> BTreeMap<String, Measure> {
    let cx = bench.cx(End::Source, "p-1", label);
    let place = cx.exchange_place(&cx.direction.source).expect("a place");
    measure(&cx, &place, label, &bench.path(path), &excludes(patterns), content).await.expect("measures")
}

#[tokio::test]
async fn the_same_tree_has_the_same_digest_and_every_change_another() {
    let bench = Site2::new("");
    let (a, b) = (bench.path("a"), bench.path("b"));
    strange(&a);
    let copied = std::process::Command::new("cp").args(["-a", "--"]).args([&a, &b]).status().expect("cp");
    assert!(copied.success());
    let first = measured(&bench, "first", "a", &[], true).await;
    assert_eq!((exactly(&first, "files"), exactly(&first, "directories"), exactly(&first, "symlinks")), (6, 2, 1));
    assert_eq!(measured(&bench, "second", "b", &[], true).await, first);

    let same_but_content = |text: &str| {
        let time = std::fs::metadata(b.join("plain")).expect("a file").modified().expect("a time");
        std::fs::write(b.join("plain"), text).expect("a file");
        std::fs::File::options().write(true).open(b.join("plain")).expect("a file").set_modified(time).expect("a time");
    };
    same_but_content("PLAIN");
    let changed = measured(&bench, "content", "b", &[], true).await;
    assert_eq!(changed["digest"], first["digest"], "size and time are the same");
    assert_ne!(changed["content"], first["content"]);
    same_but_content("plain");

    std::fs::set_permissions(b.join("plain"), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let mode = measured(&bench, "mode", "b", &[], false).await;
    assert_ne!(mode["digest"], first["digest"]);
    assert_eq!(mode["files"], first["files"]);
    std::fs::remove_file(b.join("link")).expect("a link");
    symlink("plain\nelsewhere", b.join("link")).expect("a link");
    assert_ne!(measured(&bench, "link", "b", &[], false).await["digest"], mode["digest"]);
}

#[tokio::test]
async fn find_leaves_out_exactly_what_rsync_leaves_out() {
    let patterns = ["*.tmp", "/cache/", "x/**/y", "logs/"];
    let bench = Site2::new("");
    for path in [
        "a/keep",
        "a/k.tmp",
        "a/cache/f",
        "a/sub/cache/f",
        "a/x/1/2/y/f",
        "a/x/y",
        "a/sub/logs/f",
        "a/sub/e/logs",
        "a/q.tmp/f",
    ] {
        bench.write(path, path);
    }
    let copy = crate::systems::rsync::Copy {
        filters: excludes(&patterns).filters(),
        ..crate::systems::rsync::Copy::new(bench.path("a").display().to_string(), bench.path("b").display().to_string())
    };
    let cx = bench.cx(End::Source, "p-1", "copy");
    let place = cx.exchange_place(&cx.direction.source).expect("a place");
    let copied = crate::systems::rsync::run(&cx, &place, "copy", &copy).await.expect("a copy");
    assert_eq!(copied.stats.files, 4, "keep, sub/cache/f, x/y, sub/e/logs");
    let with = measured(&bench, "with", "a", &patterns, true).await;
    let copy = measured(&bench, "of-copy", "b", &[], true).await;
    assert_eq!(with["files"], copy["files"]);
    assert_eq!(with["content"], copy["content"]);
    assert_eq!(with["digest"], copy["digest"]);
}

#[tokio::test]
async fn a_missing_folder_is_a_failure_and_not_zero() {
    let bench = Site2::new("");
    let cx = bench.cx(End::Source, "p-1", "any");
    let place = cx.exchange_place(&cx.direction.source).expect("a place");
    let failure = count(&cx, &place, "c", &bench.path("nowhere"), &Excludes::default()).await.expect_err("no folder");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.got.as_str().contains("No such file"), "{failure}");
}
