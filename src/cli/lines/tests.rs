//! The store against a naive reading of the same bytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::console::log::{Find, LogFile, LogLine, Part, Several};
use crate::run::sample;

/// Longer than any answer of these small files takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn source(attempt: u32) -> LogSource {
    LogSource::One(LogFile { run: sample::run_id(), unit: sample::unit("copy/data@bcp"), attempt })
}

/// A store over a folder with a file for each attempt.
struct Desk {
    folder: TempDir,
    store: LineStore,
    answers: UnboundedReceiver<Lines>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = printed(&folder);
        let (store, answers) = LineStore::start(move |_| Some(place.clone()));
        Self { folder, store, answers }
    }

    fn with(bytes: &[u8]) -> Self {
        let desk = Self::new();
        fs::write(desk.path(1), bytes).expect("a written file");
        desk
    }

    fn path(&self, attempt: u32) -> PathBuf {
        printed(&self.folder).file(&sample::unit("copy/data@bcp"), attempt)
    }

    fn append(&self, bytes: &[u8]) {
        append(&self.path(1), bytes);
    }

    /// The next answer that comes.
    fn next(&mut self) -> Lines {
        wait(&mut self.answers).expect("an answer in time")
    }

    fn ask(&mut self, from: Option<u64>, count: u16, find: Option<Find>) -> Lines {
        self.store.ask(LineRequest { source: source(1), from, count, find });
        self.next()
    }
}

/// The same once the file has been counted: on a busy machine the first answers may come before that.
fn ask_counted(desk: &mut Desk, from: Option<u64>, count: u16, find: Option<&Find>) -> Lines {
    loop {
        let got = desk.ask(from, count, find.cloned());
        if got.counted {
            return got;
        }
        while !desk.next().counted {}
    }
}

/// A folder with output and without an index.
fn printed(folder: &TempDir) -> Printed {
    Printed { folder: folder.path().to_owned(), index: folder.path().join("index"), alive: true }
}

/// What lines say.
fn texts(lines: &[LogLine]) -> Vec<SafeText> {
    lines.iter().map(|line| line.text.clone()).collect()
}

fn wait(answers: &mut UnboundedReceiver<Lines>) -> Option<Lines> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, answers.recv()).await.expect("no answer in time") })
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).expect("an open file");
    file.write_all(bytes).expect("written");
}

/// The lines of a file, read all at once.
fn naive(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect()
}

fn shown(lines: &[&[u8]]) -> Vec<SafeText> {
    lines.iter().map(|line| SafeText::bytes(line)).collect()
}

/// The line that a search comes to, once around.
fn naive_find(lines: &[&[u8]], find: &Find, is_hit: impl Fn(&[u8]) -> bool) -> Option<u64> {
    let count = lines.len();
    let from = usize::try_from(find.from).unwrap_or(usize::MAX);
    let order: Vec<usize> = if find.back {
        let from = from.min(count);
        (0..from).rev().chain((from..count).rev()).collect()
    } else {
        let after = from.saturating_add(1).min(count);
        (after..count).chain(0..after).collect()
    };
    order.into_iter().find(|line| is_hit(lines[*line])).map(|line| line as u64)
}

#[expect(clippy::unnecessary_wraps, reason = "as a request has it")]
fn find(text: &str, from: u64, back: bool) -> Option<Find> {
    Some(Find { text: Some(text.to_owned()), from, back })
}

#[test]
fn lines_are_those_of_the_file() {
    for (bytes, lines) in [
        (&b""[..], &[][..]),
        (b"\n", &[""]),
        (b"\n\n", &["", ""]),
        (b"one", &["one"]),
        (b"one\n", &["one"]),
        (b"one\r\ntwo\r\n", &["one", "two"]),
        (b"one\n\r", &["one", ""]),
        (b"one\ntwo", &["one", "two"]),
        (b"caf\xe9\n\x1b[31mred\x1b[0m\n\x1b[2J", &["caf\u{fffd}", "red", "^[[2J"]),
    ] {
        let mut desk = Desk::with(bytes);
        let expected: Vec<SafeText> = lines.iter().map(|line| SafeText::line(line)).collect();
        for from in [None, Some(0)] {
            let got = desk.ask(from, 10, None);
            assert_eq!(texts(&got.lines), expected, "{bytes:?} from {from:?}");
            assert_eq!((got.first, got.total, got.counted), (0, lines.len() as u64, true), "{bytes:?}");
            assert_eq!((got.bytes, got.found, got.trouble), (bytes.len() as u64, None, None));
        }
    }
}

#[test]
fn a_long_line_says_how_much_of_it_is_not_shown() {
    for (ending, beyond) in [("\nnext\n", 73_616), ("\r\nnext\n", 73_616), ("\nnext", 73_616)] {
        let mut desk = Desk::with(format!("before\n{}{ending}", "x".repeat(90_000)).as_bytes());
        let got = desk.ask(Some(1), 1, None);
        assert_eq!(got.lines[0].text.as_str(), format!("{}…[+{beyond} bytes]", "x".repeat(16_384)));
        let got = desk.ask(Some(2), 1, None);
        assert_eq!(texts(&got.lines), [SafeText::line("next")]);
        let got = desk.ask(None, 2, None);
        assert_eq!((got.first, got.lines[1].text.as_str()), (1, "next"));
    }
}

#[test]
fn a_line_beyond_the_end_means_the_last_ones() {
    let mut desk = Desk::with(b"1\n2\n3\n4\n");
    let got = desk.ask(Some(99), 2, None);
    assert_eq!((got.first, texts(&got.lines)), (2, vec![SafeText::line("3"), SafeText::line("4")]));
    let got = desk.ask(Some(3), 2, None);
    assert_eq!((got.first, texts(&got.lines)), (3, vec![SafeText::line("4")]));
}

#[test]
fn a_file_that_grows_is_told_again_and_one_that_does_not_is_not() {
    let mut desk = Desk::with(b"one\ntw");
    assert_eq!(texts(&desk.ask(None, 2, None).lines), shown(&[b"one", b"tw"]));
    desk.append(b"o\nthree\n");
    let got = desk.next();
    assert_eq!((got.first, got.total, texts(&got.lines)), (1, 3, shown(&[b"two", b"three"])));
    // The lines in the middle stay; that there are more is told.
    assert_eq!(texts(&desk.ask(Some(0), 2, None).lines), shown(&[b"one", b"two"]));
    desk.append(b"four\n");
    let got = desk.next();
    assert_eq!((got.first, got.total, texts(&got.lines)), (0, 4, shown(&[b"one", b"two"])));
    // Nothing has changed, so nothing is told before what is asked next: of another file, to be told apart.
    fs::write(desk.path(2), b"other\n").expect("a written file");
    desk.store.ask(LineRequest { source: source(2), from: None, count: 1, find: None });
    assert_eq!(desk.next().source, Some(source(2)));
}

/// What is printed is shown at once; when it came is told as soon as that is known.
#[test]
fn lines_have_times_and_places_once_the_index_says_so() {
    let mut desk = Desk::with(b"one\n");
    let by = (sample::unit("copy/data@bcp"), 1);
    let got = desk.ask(None, 5, None);
    assert_eq!(got.lines, [LogLine { by: Some(by.clone()), ..LogLine::from(SafeText::line("one")) }]);
    let index = printed(&desk.folder).index;
    fs::write(&index, "").expect("written");
    append(&index, b"1764000000000 0 4 copy~data~bcp.1\n");
    let at = jiff::Timestamp::from_millisecond(1_764_000_000_000).ok();
    let mut got = desk.next();
    while got.lines[0].at.is_none() {
        got = desk.next();
    }
    assert_eq!(got.lines, [LogLine { at, by: Some(by), ..LogLine::from(SafeText::line("one")) }]);
    // Of several files only what is in the index is shown while the run goes on.
    fs::write(desk.path(2), b"again\n").expect("written");
    append(&index, b"1764000000000 0 6 copy~data~bcp.2\n");
    desk.append(b"not yet\n");
    let several = Several { run: sample::run_id(), part: Part::Stage("copy".parse().expect("a stage")), host: None };
    let source = LogSource::Several(several);
    desk.store.ask(LineRequest { source: source.clone(), from: None, count: 5, find: find("AGAIN", 0, false) });
    let mut got = desk.next();
    while got.source.as_ref() != Some(&source) {
        got = desk.next();
    }
    assert_eq!((got.first, got.total, got.found), (1, 2, Some(true)));
    assert_eq!(got.lines.iter().map(|line| line.by.as_ref().map(|by| by.1)).collect::<Vec<_>>(), [Some(2)]);
}

#[test]
fn a_file_that_is_cut_or_replaced_is_read_anew() {
    let mut desk = Desk::with(b"one\ntwo\nthree\n");
    assert_eq!(desk.ask(None, 9, None).total, 3);
    fs::write(desk.path(1), b"new\n").expect("cut");
    let mut got = desk.next();
    while got.total != 1 {
        // Between cutting and writing it was empty.
        assert_eq!(got.total, 0);
        got = desk.next();
    }
    assert_eq!(texts(&got.lines), shown(&[b"new"]));
    fs::write(desk.path(2), b"another\nfile\nof the same name\n").expect("written");
    fs::rename(desk.path(2), desk.path(1)).expect("replaced");
    assert_eq!(texts(&desk.next().lines), shown(&[b"another", b"file", b"of the same name"]));
}

#[test]
fn a_file_that_is_not_there_yet_is_empty_and_then_is_there() {
    let mut desk = Desk::new();
    let got = desk.ask(None, 5, None);
    assert_eq!((got.lines.len(), got.total, got.counted, got.trouble), (0, 0, true, None));
    fs::write(desk.path(2), b"here\n").expect("written");
    fs::rename(desk.path(2), desk.path(1)).expect("renamed");
    assert_eq!(texts(&desk.next().lines), shown(&[b"here"]));
}

#[test]
fn what_cannot_be_read_says_why() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path(1)).expect("a folder");
    let got = desk.ask(None, 5, find("x", 0, false));
    let trouble = got.trouble.expect("a reason");
    assert!(trouble.as_str().ends_with("/copy~data~bcp.1.log cannot be read: it is not a file"), "{trouble}");
    assert_eq!(got.found, Some(false));
}

#[test]
fn searching_goes_once_around_both_ways() {
    let bytes = b"alpha\nBeta\ngamma\nBETA and \xc3\x84pfel\nomega";
    for (text, from, back, found) in [
        ("beta", 0, false, Some(1)),
        ("beta", 1, false, Some(3)),
        ("beta", 3, false, Some(1)),
        ("beta", 3, true, Some(1)),
        ("beta", 1, true, Some(3)),
        ("alpha", 0, false, Some(0)),
        ("alpha", u64::MAX, false, Some(0)),
        ("OMEGA", u64::MAX, true, Some(4)),
        ("äpfel", 0, false, Some(3)),
        ("a.pha", 0, false, None),
        ("delta", 2, true, None),
        ("", 0, false, None),
    ] {
        let mut desk = Desk::with(bytes);
        let got = desk.ask(Some(2), 1, find(text, from, back));
        assert_eq!(got.found, Some(found.is_some()), "{text} from {from}, back {back}");
        assert_eq!(got.first, found.unwrap_or(2), "{text} from {from}, back {back}");
    }
}

#[test]
fn what_looks_like_an_error_is_found_and_what_did_not_happen_is_not() {
    for (line, hit) in [
        ("ERROR 1045 (28000): Access denied", true),
        ("java.io.IOException: broken", true),
        ("OperationalError", true),
        ("3 errors", true),
        ("10 failed", true),
        ("error: 0x8000", true),
        ("error: 0 of 5 shards", true),
        ("\"failed\":1,", true),
        ("rsync: write failed on /x: No space left on device (28)", true),
        ("Connection timed out", true),
        ("thread 'main' panicked at x.rs", true),
        ("0 errors", false),
        ("no failures", false),
        ("ok=3 unreachable=0    failed=0 ", false),
        ("{\"errors\":false,\"items\":[]}", false),
        ("\"failed\" : 0\r", false),
        ("terrorist_count error_log fail2ban", false),
        ("warning: old", false),
        ("all is well", false),
    ] {
        let mut desk = Desk::with(format!("fine\n{line}\nfine\n").as_bytes());
        let got = desk.ask(Some(0), 1, Some(Find { text: None, from: 0, back: false }));
        assert_eq!((got.found, got.first), (Some(hit), u64::from(hit)), "{line}");
    }
}

#[test]
fn a_newer_request_takes_the_place_of_an_older_one_of_the_same_file() {
    let desk = Desk::with(b"1\n2\n3\n");
    let mut clerk = Clerk {
        open: Box::new(|_| None),
        requests: channel().1,
        answers: unbounded_channel().0,
        files: Vec::new(),
        born: 0,
        waiting: Vec::new(),
        watched: None,
    };
    let request = |attempt, from| LineRequest { source: source(attempt), from: Some(from), count: 1, find: None };
    for (attempt, from) in [(1, 0), (2, 1), (1, 2)] {
        clerk.take(request(attempt, from));
    }
    let waiting: Vec<LineRequest> = clerk.waiting.into_iter().map(|waiting| waiting.request).collect();
    assert_eq!(waiting, [request(2, 1), request(1, 2)]);
    assert_eq!(clerk.watched.map(|watched| watched.request), Some(request(1, 2)));
    drop(desk);
}

#[test]
fn dropping_the_store_ends_its_thread() {
    let mut desk = Desk::with(b"1\n");
    assert_eq!(desk.ask(None, 1, None).total, 1);
    drop(desk.store);
    assert_eq!(wait(&mut desk.answers), None);
}

#[test]
fn the_last_lines_of_what_is_not_counted_are_those_of_the_end() {
    let bytes: Vec<u8> = (0..200_000).flat_map(|line| format!("line {line}\r\n").into_bytes()).collect();
    let desk = Desk::with(&bytes);
    let mut file = text_file(&desk.folder);
    assert!(!file.counted());
    let lines = texts(&file.tail(3).expect("lines"));
    assert_eq!(lines, ["line 199997", "line 199998", "line 199999"].map(SafeText::line));
    let all = file.tail(u16::MAX).expect("lines");
    assert_eq!((all.len(), all[0].text.as_str()), (65_535, "line 134465"));
}

fn text_file(folder: &TempDir) -> TextFile {
    let mut file = TextFile::open(&source(1), &printed(folder)).expect("readable").expect("there");
    // Where it ends is known; what lines it has is not.
    file.count(Instant::now()).expect("begun");
    file
}

/// Bytes that make lines of many kinds, with words to look for across the pieces that a file is read in.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        3 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"nEEdle".to_vec()),
        1 => (1usize..40_000).prop_map(|length| vec![b'x'; length]),
        1 => (1usize..300).prop_map(|lines| b"short\n".repeat(lines)),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// True when a line is shown as it must be. A broken one is cut by its own bytes, and not by those that stand for them
/// once it is decoded: of a long one only whether it was cut can be compared.
fn same(got: &SafeText, line: &[u8]) -> bool {
    let decoded = String::from_utf8_lossy(line);
    if decoded.len() > SafeText::LONGEST && decoded.len() != line.len() {
        return got.as_str().ends_with(" bytes]") == (line.len() > SafeText::LONGEST);
    }
    *got == SafeText::bytes(line)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_are_those_of_a_naive_reading(
        bytes in contents(),
        requests in prop::collection::vec(
            (prop::option::of(0u64..400), 0u16..50, prop::option::of((0u64..400, any::<bool>()))), 1..8),
        more in contents(),
    ) {
        let mut desk = Desk::with(&bytes);
        let mut all = bytes;
        for round in 0..2 {
            let lines = naive(&all);
            for (from, count, search) in &requests {
                let search = search.and_then(|(from, back)| find("needle", from, back));
                let got = ask_counted(&mut desk, *from, *count, search.as_ref());
                let total = lines.len() as u64;
                let hit = search.as_ref().and_then(|search| naive_find(&lines, search, |line| {
                    line.to_ascii_lowercase().windows(6).any(|word| word == b"needle")
                }));
                let last = total.saturating_sub(u64::from(*count));
                let first = hit.or(*from).filter(|first| *first < total).unwrap_or(last);
                prop_assert_eq!((got.first, got.total, got.counted), (first, total, true));
                prop_assert_eq!(got.found, search.map(|_| hit.is_some()));
                let at = usize::try_from(first).expect("small");
                let expected = &lines[at..(at + usize::from(*count)).min(lines.len())];
                prop_assert_eq!(got.lines.len(), expected.len());
                for (got, line) in got.lines.iter().zip(expected) {
                    prop_assert!(same(&got.text, line), "{:?} is not {:?}", got, SafeText::bytes(line));
                }
            }
            if round == 0 && !more.is_empty() {
                desk.append(&more);
                all.extend(&more);
                // It is told by itself that there is more; the next round asks for it.
                let whole = |told: &Lines| told.counted && told.bytes == all.len() as u64;
                while !whole(&desk.next()) {}
            }
        }
    }

    #[test]
    fn pieces_of_a_search_have_no_seams(
        gaps in prop::collection::vec((0usize..4_000, any::<bool>()), 1..30), from in 0u64..40, back in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        for (gap, ends) in gaps {
            bytes.extend(vec![b'.'; gap]);
            bytes.extend(b"Needle");
            if ends {
                bytes.push(b'\n');
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(printed(&folder).file(&sample::unit("copy/data@bcp"), 1), &bytes).expect("written");
        let mut file = text_file(&folder);
        file.count(Instant::now() + PATIENCE).expect("counted");
        let find = find("needle", from, back).expect("a search");
        let lines = naive(&bytes);
        let expected = naive_find(&lines, &find, |line| line.windows(6).any(|word| word == b"Needle"));
        let mut search = Search::in_pieces(find, 7);
        let found = loop {
            match search.step(&mut file, 1).expect("a step") {
                Step::More => {}
                Step::Found(line) => break Some(line),
                step => { prop_assert_eq!(step, Step::Nowhere); break None }
            }
        };
        prop_assert_eq!(found, expected);
    }
}
