//! Fidelity: the same scenes are played by the real engine and the real steps on the simulated world and on a real lab, and
//! both must give the answers that are on record in `snapshots`: how each step ended, what it captured, what it warned of,
//! what it said to do. Where they differ, the world is wrong.
//!
//! Both play one story from its beginning to its end, chapter by chapter, because what a step finds is what the steps before
//! it left behind. The lab is filled with what the world holds. Its half takes some minutes, and is played by
//!
//! ```text
//! cargo test --test fidelity lab -- --ignored
//! ```
//!
//! With `INSTA_UPDATE=always` before it, what the lab answers becomes the record: a new scene is never recorded from the
//! world.

mod hands;
mod lab;
mod play;
mod scenes;
mod simulated;
#[path = "../support/single_run.rs"]
mod single_run;
mod story;
#[path = "../sites/support.rs"]
#[expect(dead_code, reason = "shared with the tests of the sites, which also start the program")]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is another at every run, and what stands for it.
const VARIES: &[(&str, &str)] = &[
    (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z", "(time)"),
    (r"uuid [\w-]{20,22}", "uuid (uuid)"),
    (r"[\w-]{22}\]", "(uuid)]"),
    (r"\b[0-9a-f]{64}\b", "(sha256)"),
    (r"\d+(\.\d+)? [KMG]iB", "(size)"),
    (r"\d+ % used", "(share) used"),
    (r"\(pid \d+\) \d+s", "(pid) (age)"),
    (r"\bon node \[[^\]]+\]", "on node (node)"),
    (r"Recovery failed on (\{[^{}]*\})+", "Recovery failed on (node)"),
    (r"expected=\w+ actual=\w+", "expected=(sum) actual=(sum)"),
    (r"\b_\w+\.(cf[se]|fdt)\b", "(file)"),
    (r"(ByteBuffer|NIOFS)IndexInput", "IndexInput"),
    (r"length \[\d+\], checksum \[\w+\]", "length (length), checksum (sum)"),
    (r"calculated=\w+ stored=\w+", "calculated=(sum) stored=(sum)"),
    (r#"path="[^"]+/index/"#, "path=\"(shard)/"),
    (r"\w+\[\d\]: Uncategorized", "(shard): Uncategorized"),
    (r"(?m)^ +\S+: \d+: (eval: )?no-such-program:", "      (shell): no-such-program:"),
    (r"it has \d+ bytes, the restore point says \d+", "it has (half) bytes, the restore point says (all)"),
];

/// Compares what was played with what is on record.
fn compare(played: Vec<(&'static str, String)>) {
    assert_eq!(played.len(), story::CHAPTERS.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    for (varies, shown) in VARIES {
        settings.add_filter(varies, *shown);
    }
    let _bound = settings.bind_to_scope();
    let differ: Vec<&str> = played
        .into_iter()
        .filter(|(name, text)| catch_unwind(AssertUnwindSafe(|| insta::assert_snapshot!(*name, text))).is_err())
        .map(|(name, _)| name)
        .collect();
    assert!(differ.is_empty(), "not the answers that are on record, see above: {differ:?}");
}

#[tokio::test(start_paused = true)]
async fn the_world_gives_the_answers_on_record() {
    let world = simulated::Simulated::new();
    compare(play::story(&world).await);
}

#[test]
#[ignore = "takes a lab of its own, and some minutes"]
fn the_lab_gives_the_answers_on_record() {
    let _alone = support::alone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let played = runtime.block_on(async {
        let lab = lab::RealLab::filled().await;
        play::story(&lab).await
    });
    compare(played);
}
