//! The text against the concatenation of what came, and what is left of it when index and files do not fit.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::console::log::{Part as OfRun, Several};
use crate::run::sample;

const UNITS: [&str; 3] = ["restore/index@bcp", "restore/restart@bcp:app1", "restore/restart@bcp:app2"];

/// Longer than anything here takes.
fn late() -> Instant {
    Instant::now() + Duration::from_mins(10)
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millisecond(1_764_000_000_000 + i64::try_from(ms).expect("small")).expect("a time")
}

fn several(host: Option<&str>) -> LogSource {
    let host = host.map(|host| host.parse().expect("a host"));
    LogSource::Several(Several { run: sample::run_id(), part: OfRun::All, host })
}

fn one(unit: usize) -> LogSource {
    LogSource::One(LogFile { run: sample::run_id(), unit: sample::unit(UNITS[unit]), attempt: 1 })
}

/// A run's output on disk.
struct Disk {
    _folder: TempDir,
    place: Printed,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (output, index) = (folder.path().join("output"), folder.path().join("output.index"));
        fs::create_dir(&output).expect("made");
        fs::write(&index, "").expect("written");
        Self { place: Printed { folder: output, index, alive: true }, _folder: folder }
    }

    fn file(&self, unit: usize) -> PathBuf {
        self.place.file(&sample::unit(UNITS[unit]), 1)
    }

    fn print(&self, unit: usize, bytes: &[u8]) {
        append(&self.file(unit), bytes);
    }

    fn index(&self, line: &str) {
        append(&self.place.index, line.as_bytes());
    }

    /// Prints, and says in the index when.
    fn told(&self, unit: usize, bytes: &[u8], ms: u64) {
        let from = fs::metadata(self.file(unit)).map_or(0, |data| data.len());
        self.print(unit, bytes);
        let path = self.file(unit);
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let (to, open) = (from + bytes.len() as u64, !bytes.ends_with(b"\n"));
        self.index(&format!("{}\n", Stretch { name, from, to, open, at: Some(at(ms)) }));
    }

    fn open(&self, source: &LogSource) -> Splice {
        let mut splice = Splice::open(source, &self.place).expect("readable").expect("there");
        splice.complete_until(late()).expect("read");
        splice
    }

    fn text(&self, source: &LogSource) -> String {
        String::from_utf8(all(&mut self.open(source))).expect("UTF-8")
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("an open file");
    file.write_all(bytes).expect("written");
}

fn all(splice: &mut Splice) -> Vec<u8> {
    let mut text = vec![0; usize::try_from(splice.size()).expect("small")];
    splice.read(0, &mut text).expect("read");
    text
}

#[test]
fn what_came_stands_in_the_order_in_which_it_came() {
    let disk = Disk::new();
    disk.told(0, b"zero\n", 1);
    disk.told(1, b"one\n? ", 2);
    disk.told(2, b"two\n", 3);
    disk.told(1, b"yes\n", 4);
    disk.told(0, b"last", 5);
    assert_eq!(disk.text(&several(None)), "zero\none\n? \ntwo\nyes\nlast");
    assert_eq!(disk.text(&several(Some("app1"))), "one\n? yes\n");
    assert_eq!(disk.text(&several(Some("app9"))), "");
    assert_eq!(disk.text(&one(1)), "one\n? yes\n");
    let mut splice = disk.open(&several(None));
    for (offset, unit, ms) in [(0, 0, 1), (4, 0, 1), (5, 1, 2), (10, 1, 2), (11, 2, 3), (16, 1, 4), (20, 0, 5)] {
        let whose = splice.whose(offset).expect("read");
        assert_eq!(whose, Some((sample::unit(UNITS[unit]), 1, Some(at(ms)))), "{offset}");
    }
    assert_eq!(splice.whose(splice.size()).expect("read"), None);
}

#[test]
fn what_is_not_in_the_index_stands_at_the_end_without_a_time_once_nobody_writes() {
    let mut disk = Disk::new();
    disk.told(1, b"one\n", 1);
    disk.print(1, b"more");
    disk.print(0, b"zero\n");
    // A single file is shown to its last byte.
    assert_eq!(disk.text(&one(1)), "one\nmore");
    assert_eq!(disk.text(&one(0)), "zero\n");
    let mut live = disk.open(&several(None));
    assert_eq!(all(&mut live), b"one\n");
    disk.place.alive = false;
    assert!(live.is_still(&disk.place));
    live.complete_until(late()).expect("read");
    assert_eq!(all(&mut live), b"one\nzero\nmore");
    assert_eq!(live.whose(4).expect("read"), Some((sample::unit(UNITS[0]), 1, None)));
    // Taken up again, it is told where these came: the text is another one.
    disk.place.alive = true;
    disk.index("- 4 8+ restore~restart~bcp~app1.1\n");
    let still = live.is_still(&disk.place);
    live.complete_until(late()).expect("read");
    assert!(!still || !live.is_still(&disk.place));
    assert_eq!(disk.text(&several(None)), "one\nmore");
}

#[test]
fn an_index_that_does_not_fit_is_believed_as_far_as_it_does() {
    for (bad, text) in [
        // Torn, and gone on with.
        ("1764000000002 3 5", "a\nb\n|c\n"),
        ("1764000000002 3 5?\n", "a\nb\n|c\n"),
        // Of a file that is not there, and one that is no file of output.
        ("1764000000002 0 5 restore~index~bcp.7\n1764000000002 0 5 x.1\n", "a\nb\n|c\n"),
        // What overlaps, leaves something out, or is not there.
        ("1764000000002 0 2 restore~index~bcp.1\n1764000000003 2 4 restore~index~bcp.1\n", "a\nb\n|c\n"),
        ("1764000000002 3 4 restore~index~bcp.1\n", "a\nb\n|c\n"),
        ("1764000000002 2 5 restore~index~bcp.1\n", "a\nb\n|c\n"),
        ("\n\n\0\n\u{fffd}\n", "a\nb\n|c\n"),
        // What fits.
        ("1764000000002 2 4 restore~index~bcp.1\n", "a\nb\nc\n|"),
    ] {
        let mut disk = Disk::new();
        disk.told(0, b"a\n", 1);
        disk.told(1, b"b\n", 1);
        disk.print(0, b"c\n");
        disk.index(bad);
        disk.place.alive = false;
        let mut splice = disk.open(&several(None));
        let (timed, untimed) = text.split_once('|').expect("two parts");
        assert_eq!(String::from_utf8_lossy(&all(&mut splice)), [timed, untimed].concat(), "{bad:?}");
        assert_eq!(splice.covered(), timed.len() as u64, "{bad:?}");
    }
    // No index at all: one file after the other.
    let mut disk = Disk::new();
    disk.print(2, b"two");
    disk.print(1, b"one");
    disk.place.alive = false;
    fs::remove_file(&disk.place.index).expect("removed");
    assert_eq!(disk.text(&several(None)), "one\ntwo");
    fs::create_dir(&disk.place.index).expect("made");
    assert_eq!(disk.text(&several(None)), "one\ntwo");
}

#[test]
fn a_file_that_is_cut_or_removed_makes_another_text() {
    for cut in [true, false] {
        let disk = Disk::new();
        disk.told(0, b"zero\n", 1);
        disk.told(1, b"one\n", 1);
        let mut splice = disk.open(&several(None));
        assert!(splice.is_still(&disk.place));
        if cut {
            fs::write(disk.file(1), "x").expect("cut");
        } else {
            fs::remove_file(disk.file(1)).expect("removed");
        }
        assert!(!splice.is_still(&disk.place));
        let mut again = disk.open(&several(None));
        assert_eq!(all(&mut again), b"zero\n");
        assert!(again.is_still(&disk.place), "what is not there may stay away");
    }
}

/// However long a run goes on: of a million stretches no more is in memory than of a few.
#[test]
fn a_million_stretches_need_no_more_memory_than_a_thousand() {
    let disk = Disk::new();
    let (mut index, mut files) = (String::new(), [Vec::new(), Vec::new()]);
    let names = [0, 1].map(|unit| disk.file(unit).file_stem().expect("a name").to_string_lossy().into_owned());
    let (mut looked_at, mut offset) = (Vec::new(), 0);
    for number in 0..1_000_000_u64 {
        let (unit, line) = (usize::from(number % 2 == 1), format!("{number}\n"));
        let from = files[unit].len() as u64;
        files[unit].extend(line.as_bytes());
        let stretch =
            Stretch { name: &names[unit], from, to: files[unit].len() as u64, open: false, at: Some(at(number * 100)) };
        writeln!(index, "{stretch}").expect("room");
        if [0, 1, 499_999, 777_777, 999_999].contains(&number) {
            looked_at.push((offset, unit, at(number * 100), line.clone()));
        }
        offset += line.len() as u64;
    }
    for (unit, bytes) in files.iter().enumerate() {
        disk.print(unit, bytes);
    }
    disk.index(&index);
    let mut splice = disk.open(&several(None));
    assert!(splice.marks.len() <= MOST && splice.marks.len() > MOST / 4, "{}", splice.marks.len());
    assert_eq!(splice.size(), offset);
    for (offset, unit, at, line) in looked_at {
        let mut window = vec![0; line.len()];
        splice.read(offset, &mut window).expect("read");
        assert_eq!(String::from_utf8_lossy(&window), line);
        assert_eq!(splice.whose(offset).expect("read"), Some((sample::unit(UNITS[unit]), 1, Some(at))));
        assert!(splice.block.len() < 4 * 1024, "{} stretches", splice.block.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_text_is_what_came_and_only_grows(
        came in prop::collection::vec((0usize..3, "[a-c\n]{1,9}", 0u64..3), 0..60),
        rounds in 1usize..5,
        host in prop::option::of(Just("app1")),
        span in 1u64..200,
        window in 1usize..40,
    ) {
        let disk = Disk::new();
        let source = several(host);
        let mut splice = Splice::with_marks(&source, &disk.place, span, 4).expect("readable").expect("there");
        let (mut wanted, mut whose): (Vec<u8>, Vec<(usize, u64)>) = (Vec::new(), Vec::new());
        let (mut open, mut now) = (None, 0);
        for some in came.chunks(came.len() / rounds + 1) {
            for (unit, text, later) in some {
                now += later;
                disk.told(*unit, text.as_bytes(), now);
                if host.is_some() && *unit != 1 {
                    continue;
                }
                if open.is_some_and(|open| open != *unit) {
                    wanted.push(b'\n');
                    whose.push((*unit, now));
                }
                wanted.extend(text.as_bytes());
                whose.extend(std::iter::repeat_n((*unit, now), text.len()));
                open = (!text.ends_with('\n')).then_some(*unit);
            }
            prop_assert!(splice.is_still(&disk.place));
            splice.complete_until(late()).expect("read");
            prop_assert!(splice.marks.len() <= 4);
            prop_assert_eq!(splice.size(), wanted.len() as u64);
            let mut got = Vec::new();
            for from in (0..wanted.len()).step_by(window) {
                let mut piece = vec![0; window.min(wanted.len() - from)];
                splice.read(from as u64, &mut piece).expect("read");
                got.extend(piece);
            }
            prop_assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&wanted));
            for (offset, (unit, ms)) in whose.iter().enumerate().rev() {
                let found = splice.whose(offset as u64).expect("read");
                prop_assert_eq!(found, Some((sample::unit(UNITS[*unit]), 1, Some(at(*ms)))), "{}", offset);
            }
        }
    }
}
