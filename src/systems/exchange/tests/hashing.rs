//! What `exchange.arrived` hashes, and what it takes as known, on real files.

use std::path::Path;

use super::*;

const VERIFIED: &str = "bcp/exchange/prod-to-bcp/VERIFIED";
const BLOB: &str = "search-search/indices/x/__1";

/// A point at the target, whose marker seems to be much younger than everything else: the tests take no seconds.
async fn at_target(estate: &str) -> Site2 {
    let bench = bench(&transfer(estate));
    drop(sealed(&bench, "p-1", 1).await);
    if estate.contains("storage") {
        let trees = ["prod", "bcp"].map(|site| bench.tree(site).root().to_owned());
        std::process::Command::new("cp").args(["-aT", "--"]).args(trees).status().expect("cp");
    } else {
        drop(sent(&bench, "p-1", "send").await);
    }
    let marker = r"s/^([0-9]+ [0-9.]+) [0-9]+(\.[0-9]+ [0-9]+ .*\/COMPLETE)$/\1 9999999999\2/";
    bench.program("find", &format!("#!/bin/sh\n/usr/bin/find \"$@\" | sed -zE '{marker}'\n"));
    bench
}

async fn hashed(bench: &Site2, step: &'static str, params: Value) -> Result<Value, Failure> {
    let done = at(bench, End::Target, "p-1", step, "exchange.arrived", params).await?;
    Ok(done.captures["hashed"].clone())
}

/// Writes a file anew in place, with its size, and its time set back.
fn rewrite(path: &Path, content: &str) {
    let time = std::fs::metadata(path).expect("a file").modified().expect("a time");
    std::fs::write(path, content).expect("a file");
    std::fs::File::options().write(true).open(path).expect("a file").set_modified(time).expect("a time");
}

/// What `find` shows of a file, in the words of the note.
fn shown(path: &Path) -> String {
    let shown = std::process::Command::new("/usr/bin/find").arg(path).args(["-printf", "# %s %T@ %C@ %i "]).output();
    String::from_utf8(shown.expect("find").stdout).expect("UTF-8")
}

#[tokio::test]
async fn what_was_hashed_and_did_not_change_is_not_hashed_again() {
    let bench = at_target("").await;
    assert_eq!(hashed(&bench, "a", json!({})).await, Ok(json!(8)), "all of it");
    assert_eq!(hashed(&bench, "b", json!({})).await, Ok(json!(6)), "two blobs are known");
    assert_eq!(hashed(&bench, "c", json!({ "deep": true })).await, Ok(json!(8)));
    assert_eq!(hashed(&bench, "d", json!({ "trust": "0s" })).await, Ok(json!(8)));
    assert_eq!(hashed(&bench, "e", json!({})).await, Ok(json!(6)));

    // Damaged, and its time set back: size and time are the same.
    let blob = bench.tree("bcp").root().join(BLOB);
    let before = shown(&blob);
    rewrite(&blob, "BLOB");
    let times = |text: &str| text.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(times(&before), times(&shown(&blob)));
    let failure = hashed(&bench, "f", json!({})).await.expect_err("damaged");
    assert!(failure.got.as_str().contains(&format!("{BLOB}: FAILED")), "{failure}");
    rewrite(&blob, "blob");
    assert_eq!(hashed(&bench, "g", json!({})).await, Ok(json!(7)), "mended, and hashed again");
    assert_eq!(hashed(&bench, "h", json!({})).await, Ok(json!(6)));

    // A note that is damaged, or gone, costs time and nothing else.
    let note = bench.read(VERIFIED);
    bench.write(VERIFIED, &note[..note.len() - 9]);
    assert_eq!(hashed(&bench, "i", json!({})).await, Ok(json!(8)));
    std::fs::remove_file(bench.path(VERIFIED)).expect("the note");
    assert_eq!(hashed(&bench, "j", json!({})).await, Ok(json!(8)));
}

#[tokio::test]
async fn what_rots_below_the_file_system_is_found_by_deep_and_when_the_time_is_up() {
    let bench = at_target("").await;
    hashed(&bench, "a", json!({})).await.map(drop).expect("whole");
    // As if the content had changed and the file system knew nothing of it.
    let blob = bench.tree("bcp").root().join(BLOB);
    let before = shown(&blob);
    rewrite(&blob, "BLOB");
    let note = bench.read(VERIFIED).replace(&before, &shown(&blob));
    let (body, _) = note.rsplit_once("# blake3 ").expect("a seal");
    bench.write(VERIFIED, &format!("{body}# blake3 {}\n", blake3::hash(body.as_bytes()).to_hex()));
    assert_eq!(hashed(&bench, "b", json!({})).await, Ok(json!(6)), "this is what is not guaranteed");
    for (step, params) in [("c", json!({ "deep": true })), ("d", json!({ "trust": "0s" }))] {
        let failure = hashed(&bench, step, params).await.expect_err("rotten");
        assert!(failure.got.as_str().contains(&format!("{BLOB}: FAILED")), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_file_is_hashed_again_and_storage_is_never_taken_for_known() {
    let bench = bench(&transfer(""));
    drop(sealed(&bench, "p-1", 1).await);
    drop(sent(&bench, "p-1", "send").await);
    for step in ["a", "b"] {
        // The marker came in the same moment as the rest.
        assert_eq!(hashed(&bench, step, json!({})).await, Ok(json!(8)));
    }

    for (estate, noted) in [("by = \"rsync\"", true), ("by = \"storage\"", false)] {
        let bench = at_target(estate).await;
        hashed(&bench, "a", json!({})).await.map(drop).expect("whole");
        assert_eq!(bench.path(VERIFIED).exists(), noted, "{estate}");
        assert_eq!(hashed(&bench, "b", json!({})).await, Ok(json!(if noted { 6 } else { 8 })), "{estate}");
    }
}

#[tokio::test]
async fn a_note_that_cannot_be_written_is_a_warning() {
    let bench = at_target("").await;
    bench.program("mv", "#!/bin/sh\ncase \"$*\" in *VERIFIED) exit 1;; *) exec /bin/mv \"$@\";; esac\n");
    let done = arrived(&bench, "p-1", "a").await.expect("the point is whole all the same");
    assert!(done.warnings[0].as_str().contains("the next run hashes everything again"), "{:?}", done.warnings);
}

#[tokio::test]
async fn a_change_that_keeps_size_and_time_is_carried_with_deep_and_noticed_without() {
    let bench = bench(&transfer(""));
    drop(sealed(&bench, "p-1", 1).await);
    drop(sent(&bench, "p-1", "send").await);
    rewrite(&bench.path("prod/srv/f0"), "CONTENT 0");
    // In the repository too, where nothing should ever do that.
    rewrite(&bench.tree("prod").root().join(BLOB), "BLOB");
    stores(&bench, "p-2", 2);
    let deep = || json!({ "deep": true });
    at(&bench, End::Source, "p-2", "collect", "files.collect", deep()).await.map(drop).expect("collected");
    at(&bench, End::Source, "p-2", "seal", "exchange.seal", deep()).await.map(drop).expect("sealed");

    let carried = || {
        let root = bench.tree("bcp").root().to_owned();
        ["files-assets/p-2/0/f0", BLOB].map(|path| std::fs::read_to_string(root.join(path)).expect("a file"))
    };
    drop(sent(&bench, "p-2", "send").await);
    assert_eq!(carried(), ["content 0", "blob"], "linked to the generation before, and taken for the same");
    let failure = arrived(&bench, "p-2", "a").await.expect_err("noticed");
    assert!(failure.got.as_str().contains(&format!("{BLOB}: FAILED")), "{failure}");
    rewrite(&bench.tree("bcp").root().join(BLOB), "BLOB");
    let failure = arrived(&bench, "p-2", "b").await.expect_err("noticed");
    assert!(failure.got.as_str().contains(", content: expected"), "{failure}");
    rewrite(&bench.tree("bcp").root().join(BLOB), "blob");

    at(&bench, End::Source, "p-2", "again", "exchange.transfer", deep()).await.map(drop).expect("sent");
    assert_eq!(carried(), ["CONTENT 0", "BLOB"]);
    arrived(&bench, "p-2", "c").await.map(drop).expect("whole");
    let old = bench.tree("bcp").root().join("files-assets/p-1/0/f0");
    assert_eq!(std::fs::read_to_string(old).expect("a file"), "content 0", "the generation before is as it was");
}
