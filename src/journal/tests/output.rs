//! Output files are byte-exact, private, and honest about what is missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{run, runtime, store};
use crate::port::Sink;
use crate::run::sample::unit;

#[test]
fn output_is_kept_byte_exact_per_attempt() {
    let state = tempfile::tempdir().expect("a folder");
    let store = store(state.path());
    let journal = store.create_run(&run("r1")).expect("a journal");
    let (one, two) = (unit("restore/restart@bcp:app1"), unit("restore/restart@bcp:app2"));
    let wild: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    runtime().block_on(async {
        journal.output(&one, 1, &wild).await.expect("kept");
        journal.output(&two, 1, b"two\n").await.expect("kept");
        journal.output(&one, 1, b"\x1b]0;title\x07").await.expect("kept");
        journal.output(&one, 2, b"again").await.expect("kept");
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
        drop(journal.output(&key, 1, b"lost").await);
        let mut told = usize::from(journal.flush().await.is_err());
        for _ in 0..3 {
            told += usize::from(journal.output(&key, 1, b"also lost").await.is_err());
            told += usize::from(journal.flush().await.is_err());
        }
        assert!(told <= 1, "told {told} times");
        fs::remove_dir(&file).expect("removed");
        journal.output(&key, 1, b"kept\n").await.expect("kept");
        journal.flush().await.expect("on the disk");
    });
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.starts_with("\n[changeover: 31 bytes of output could not be kept here: "), "{text}");
    assert!(text.ends_with("]\nkept\n"), "{text}");
}
