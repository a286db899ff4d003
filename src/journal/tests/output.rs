//! Output files are byte-exact, private, and honest about what is missing.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{run, runtime, store};
use crate::port::Sink;
use crate::run::sample::unit;

/// A time of the run, in milliseconds.
fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_764_000_000_000 + ms).expect("a time")
}

#[test]
fn output_is_kept_byte_exact_per_attempt() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    let journal = store.create_run(&run("r1")).expect("a journal");
    let (one, two) = (unit("restore/restart@bcp:app1"), unit("restore/restart@bcp:app2"));
    let wild: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    runtime().block_on(async {
        journal.output(&one, 1, at(0), &wild).await.expect("kept");
        journal.output(&two, 1, at(0), b"two\n").await.expect("kept");
        journal.output(&one, 1, at(0), b"\x1b]0;title\x07").await.expect("kept");
        journal.output(&one, 2, at(0), b"again").await.expect("kept");
        journal.flush().await.expect("on the disk");
    });
    let reader = store.open_run(&run("r1")).err();
    assert!(reader.is_none(), "output needs no events: {reader:?}");
    let reader = store.open_run(&run("r1")).expect("a reader");
    let read = |unit, attempt| fs::read(reader.output_path(unit, attempt)).expect("a file");
    assert_eq!(read(&one, 1), [wild.as_slice(), b"\x1b]0;title\x07"].concat());
    assert_eq!(read(&one, 2), b"again");
    assert_eq!(read(&two, 1), b"two\n");
    assert!(!reader.output_path(&two, 2).exists());
    let there = [reader.output_path(&one, 1), reader.output_path(&one, 2), reader.output_path(&two, 1)];
    assert_eq!(reader.outputs().expect("read"), there);
    store.create_run(&run("r2")).expect("a journal");
    let nothing = store.open_run(&run("r2")).expect("a reader").outputs().expect("read");
    assert!(nothing.is_empty(), "{nothing:?}");
    let mode = fs::metadata(reader.output_path(&one, 1)).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn trouble_is_told_once_and_lost_bytes_are_counted_in_the_file() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    let key = unit("restore/index@bcp");
    let folder = journal.folder().join("output");
    let file = folder.join("restore~index~bcp.1.log");
    // A folder in the place of the file, so that root too fails to write it.
    fs::create_dir(&file).expect("made");
    runtime().block_on(async {
        drop(journal.output(&key, 1, at(0), b"lost").await);
        let mut told = usize::from(journal.flush().await.is_err());
        for _ in 0..3 {
            told += usize::from(journal.output(&key, 1, at(0), b"also lost").await.is_err());
            told += usize::from(journal.flush().await.is_err());
        }
        assert!(told <= 1, "told {told} times");
        fs::remove_dir(&file).expect("removed");
        journal.output(&key, 1, at(0), b"kept\n").await.expect("kept");
        journal.flush().await.expect("on the disk");
    });
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.starts_with("\n[changeover: 31 bytes of output could not be kept here: "), "{text}");
    assert!(text.ends_with("]\nkept\n"), "{text}");
}

/// The lines of the index, without the first digits of their times.
fn index(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("output.index")).expect("an index");
    text.lines().map(|line| line.trim_start_matches("17640000000").to_owned()).collect()
}

#[test]
fn the_index_says_what_came_when() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    let (one, two) = (unit("restore/restart@bcp:app1"), unit("restore/restart@bcp:app2"));
    runtime().block_on(async {
        journal.output(&one, 1, at(10), b"one\ntw").await.expect("kept");
        journal.output(&two, 1, at(10), b"other\n").await.expect("kept");
        journal.output(&one, 1, at(12), b"o\nthree\n").await.expect("kept");
        // By the clock of the run, which nobody has to wait for here.
        journal.output(&two, 1, at(95), b"late\n").await.expect("kept");
        journal.output(&one, 2, at(99), b"Password: ").await.expect("kept");
        journal.flush().await.expect("on the disk");
    });
    let [first, second] = ["restore~restart~bcp~app1", "restore~restart~bcp~app2"];
    let lines = |more: &[&str]| {
        let lines = [format!("10 0 14 {first}.1"), format!("10 0 11 {second}.1"), format!("99 0 10+ {first}.2")];
        lines.into_iter().chain(more.iter().map(|line| (*line).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(index(journal.folder()), lines(&[])[..2]);
    let mode = fs::metadata(journal.folder().join("output.index")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = journal.folder().to_owned();
    drop(journal);
    assert_eq!(index(&folder), lines(&[]));
    // The process was cut off before it wrote to the index, and while it did.
    append(&folder.join(format!("output/{second}.1.log")), b"not in the index\n");
    append(&folder.join("output.index"), b"1764000000099 11 4");
    let (journal, _) = store(state.path()).resume_run(&run("r1")).expect("taken up again");
    runtime().block_on(async {
        journal.output(&one, 2, at(5), b"***\n").await.expect("kept");
        journal.flush().await.expect("on the disk");
    });
    let torn = "99 11 4?".to_owned();
    let untimed = format!("- 11 28 {second}.1");
    let again = format!("05 10 14 {first}.2");
    assert_eq!(index(&folder), lines(&[&torn, &untimed, &again]));
}

#[test]
fn a_line_that_does_not_end_is_in_the_index_after_a_second_and_lines_at_once() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    let key = unit("restore/index@bcp");
    runtime().block_on(journal.output(&key, 1, at(10), b"line\n? ")).expect("kept");
    let patience = Instant::now() + Duration::from_secs(20);
    let wanted = ["10 0 5 restore~index~bcp.1", "10 5 7+ restore~index~bcp.1"];
    loop {
        let there = journal.folder().join("output.index").exists();
        let lines = if there { index(journal.folder()) } else { Vec::new() };
        if lines == wanted {
            break;
        }
        assert!(wanted.starts_with(&lines.iter().map(String::as_str).collect::<Vec<_>>()[..]), "{lines:?}");
        assert!(Instant::now() < patience, "{lines:?}");
        std::thread::yield_now();
    }
}

#[test]
fn output_is_kept_where_the_index_cannot_be() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    let key = unit("restore/index@bcp");
    let index = journal.folder().join("output.index");
    fs::create_dir(&index).expect("made");
    runtime().block_on(async {
        for _ in 0..3 {
            journal.output(&key, 1, at(0), b"kept\n").await.expect("kept");
            journal.flush().await.expect("on the disk");
        }
        fs::remove_dir(&index).expect("removed");
        journal.flush().await.expect("on the disk");
    });
    let text = fs::read_to_string(journal.folder().join("output/restore~index~bcp.1.log")).expect("a file");
    assert_eq!(text, "kept\nkept\nkept\n");
    assert_eq!(self::index(journal.folder()), ["00 0 15 restore~index~bcp.1"]);
}

#[test]
fn the_index_is_small_beside_a_flood() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = store(state.path()).create_run(&run("r1")).expect("a journal");
    let keys = ["restore/index@bcp", "restore/restart@bcp:app1", "restore/restart@bcp:app2"].map(unit);
    let line =
        [b"a line of a usual length, as programs print them by the thousand, and a number".as_slice(), b"\n"].concat();
    // A second of 50,000 lines, each alone, from three places in turn.
    runtime().block_on(async {
        for number in 0..50_000_i64 {
            let key = &keys[usize::try_from(number % 3).expect("small")];
            journal.output(key, 1, at(number / 50), &line).await.expect("kept");
        }
        journal.flush().await.expect("on the disk");
    });
    let folder = journal.folder().join("output");
    let size = |path: &Path| fs::metadata(path).expect("a file").len();
    let printed: u64 = fs::read_dir(folder).expect("a folder").map(|entry| size(&entry.expect("a file").path())).sum();
    let index = size(&journal.folder().join("output.index"));
    assert!(printed == 50_000 * line.len() as u64 && index < printed / 100, "{index} bytes for {printed}");
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).expect("an open file");
    file.write_all(bytes).expect("written");
}
