//! Looking for a line: for a text, or for what looks like an error. In pieces, so that it can be given up between two of
//! them. It goes once around: from the line to the end, and from the beginning to the line.

use std::io;

use memchr::memchr_iter;
use regex::bytes::{Match, Regex, RegexBuilder};

use super::file::TextFile;
use crate::console::log::Find;

/// What is looked through at a time, in bytes.
const PIECE: u64 = 1024 * 1024;

/// Words that programs say when something is wrong. Few, because a jump that stops at everything is none: no `warning`,
/// no `not found`, no `retry`. Names of exceptions have their word at the end (`IOException`, `OperationalError`).
const ERRORS: &str = r"(?i-u)(?:errors?|exceptions?)\b|\b(?:fatal|critical|fail|failed|failures?|panic|panicked|traceback|aborted|killed|denied|refused|unreachable|timeout|timed out|no space|no such|segmentation fault|out of memory|read-only file system)\b";

/// The longest match of these, with what stands behind it and says that it did not happen, generously.
const LONGEST_ERROR: u64 = 64;
/// What stands before a match and is looked at: whether a word begins there, and a `no` before it.
const BEFORE: u64 = 4;

/// A search that goes on.
#[derive(Debug)]
pub(super) struct Search {
    find: Find,
    wanted: Option<Regex>,
    /// What is looked through at a time.
    piece: u64,
    /// How many bytes a match may have.
    reach: u64,
    leg: Leg,
    window: Vec<u8>,
    /// The stage of the file's life that `leg` is about.
    age: u64,
}

/// Where a search is.
#[derive(Debug, Clone, Copy)]
enum Leg {
    /// Its first line is not known yet.
    Begin,
    /// On to `until`; `line` lines end before `at`.
    On { at: u64, line: u64, until: u64, first: bool },
    /// Back to `until`; `line` lines end before `at`.
    Back { at: u64, line: u64, until: u64, first: bool },
}

/// How far a search came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    More,
    /// It goes on when more lines are counted.
    Uncounted,
    /// In this line.
    Found(u64),
    /// Nowhere.
    Nowhere,
}

impl Search {
    pub(super) fn new(find: Find) -> Self {
        Self::in_pieces(find, PIECE)
    }

    pub(super) fn in_pieces(find: Find, piece: u64) -> Self {
        let (wanted, reach) = match &find.text {
            None => (Regex::new(ERRORS).ok(), LONGEST_ERROR),
            // Nothing is found by nothing, and what is too long to be compiled was pasted by mistake.
            Some(text) if text.is_empty() => (None, 0),
            Some(text) => {
                let wanted = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build().ok();
                // A letter may take four bytes in the other case.
                (wanted, text.chars().count() as u64 * 4)
            }
        };
        Self { find, wanted, piece, reach, leg: Leg::Begin, window: Vec::new(), age: 0 }
    }

    /// Looks through one piece. `age` changes whenever the file is another one.
    pub(super) fn step(&mut self, file: &mut TextFile, age: u64) -> io::Result<Step> {
        if self.age != age {
            (self.age, self.leg) = (age, Leg::Begin);
        }
        let Some(wanted) = self.wanted.clone() else { return Ok(Step::Nowhere) };
        match self.leg {
            Leg::Begin => self.begin(file),
            Leg::On { at, line, until, first } => {
                let to = (at + self.piece).min(until);
                let begin = self.read(file, at, to)?;
                let hit = hits(&wanted, self.find.text.is_none(), &self.window, begin).next();
                let base = begin;
                if let Some(hit) = hit.map(|hit| hit.start()).filter(|hit| ((hit - base) as u64) < to - at) {
                    return Ok(Step::Found(line + newlines(&self.window[base..hit])));
                }
                let line = line + newlines(&self.window[base..base + offset(to - at)]);
                self.leg = match (to < until, first) {
                    (true, _) => Leg::On { at: to, line, until, first },
                    (false, true) => {
                        let until = file.start(self.find.from.saturating_add(1))?;
                        Leg::On { at: 0, line: 0, until, first: false }
                    }
                    (false, false) => return Ok(Step::Nowhere),
                };
                Ok(Step::More)
            }
            Leg::Back { at, line, until, first } => {
                let from = at.saturating_sub(self.piece).max(until);
                let begin = self.read(file, from, at)?;
                let base = begin;
                let hit = hits(&wanted, self.find.text.is_none(), &self.window, begin)
                    .map(|hit| hit.start())
                    .take_while(|hit| ((hit - base) as u64) < at - from)
                    .last();
                let end = base + offset(at - from);
                if let Some(hit) = hit {
                    return Ok(Step::Found(line - newlines(&self.window[hit..end])));
                }
                let line = line - newlines(&self.window[base..end]);
                self.leg = match (from > until, first) {
                    (true, _) => Leg::Back { at: from, line, until, first },
                    (false, true) if !file.counted() => return Ok(Step::Uncounted),
                    (false, true) => {
                        let until = file.start(self.find.from)?;
                        Leg::Back { at: file.size(), line: file.ended(), until, first: false }
                    }
                    (false, false) => return Ok(Step::Nowhere),
                };
                Ok(Step::More)
            }
        }
    }

    fn begin(&mut self, file: &mut TextFile) -> io::Result<Step> {
        let from = self.find.from;
        // After the last line of all comes the first: that needs no counting.
        if !self.find.back && from == u64::MAX {
            self.leg = Leg::On { at: 0, line: 0, until: file.size(), first: false };
            return Ok(Step::More);
        }
        let line = if self.find.back { from } else { from.saturating_add(1) };
        if line > file.ended() && !file.counted() {
            return Ok(Step::Uncounted);
        }
        let at = file.start(line)?;
        let line = line.min(file.ended());
        self.leg = if self.find.back {
            Leg::Back { at, line, until: 0, first: true }
        } else {
            Leg::On { at, line, until: file.size(), first: true }
        };
        Ok(Step::More)
    }

    /// Fills the window with some bytes, a few before them and as many after them as a match may have. Says where in
    /// the window they begin.
    fn read(&mut self, file: &mut TextFile, from: u64, to: u64) -> io::Result<usize> {
        let before = from.saturating_sub(BEFORE);
        let after = (to + self.reach).min(file.size());
        self.window.resize(offset(after - before), 0);
        file.read(before, &mut self.window)?;
        Ok(offset(from - before))
    }
}

/// The matches in a window that begin at or after a place, and mean something.
fn hits<'w>(wanted: &'w Regex, errors: bool, window: &'w [u8], mut begin: usize) -> impl Iterator<Item = Match<'w>> {
    std::iter::from_fn(move || {
        let hit = wanted.find_at(window, begin)?;
        begin = hit.end();
        Some(hit)
    })
    .filter(move |hit| !errors || !did_not_happen(window, hit))
}

/// True for `0 errors`, `no failures`, `failed=0`, `"errors":false`: told is what did not happen.
fn did_not_happen(window: &[u8], hit: &Match<'_>) -> bool {
    let (before, after) = (&window[..hit.start()], &window[hit.end()..]);
    let none = [&b"0 "[..], b"no ", b"No "].into_iter().any(|word| {
        let rest = before.strip_suffix(word);
        rest.is_some_and(|rest| !rest.last().is_some_and(|c| c.is_ascii_alphanumeric() || b"_.,-".contains(c)))
    });
    none || value(after).is_some_and(|(sign, value)| {
        [&b"0"[..], b"false", b"null"].into_iter().any(|nothing| {
            // `error: 0 of 5` may be a message; `failed: 0,` and `failed=0 ` are counts.
            let ends = |c: &u8| b"\r\n,;})]".contains(c) || (sign == b'=' && *c == b' ');
            value.strip_prefix(nothing).is_some_and(|rest| rest.first().is_none_or(ends))
        })
    })
}

/// What stands after `=` or `:` behind a word, which may be quoted.
fn value(after: &[u8]) -> Option<(u8, &[u8])> {
    let after = after.strip_prefix(b"\"").unwrap_or(after).trim_ascii_start();
    let (sign, value) = after.split_first()?;
    matches!(sign, b'=' | b':').then(|| (*sign, value.trim_ascii_start()))
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

fn offset(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
