//! The index of output: which stretch of which file came when. Pure: a stretch as a line of text, and the gathering of what
//! comes into stretches. It reads and writes nothing.
//!
//! A line is `<milliseconds since 1970, or -> <first byte> <byte after the last>[+] <unit and attempt>`; the `+` says that
//! the last line of the stretch goes on. Whoever reads it skips what is no such line.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::model::{HostName, SiteName, StageId, StepId, StepKey, UnitKey};

/// The file in the run's folder, beside the folder of output.
pub(super) const FILE: &str = "output.index";
/// What comes to one file within this time is one stretch, so that the index is small however much comes. Between two
/// files, what comes within it may stand in the wrong order.
const TOGETHER: Duration = Duration::from_millis(100);
/// A line that has not ended after this time is a stretch nevertheless: somebody may wait for a question that it asks.
const UNENDED: Duration = Duration::from_secs(1);
/// Puts an end to a line that was torn when the disk was full, and makes it no line.
pub(super) const TORN: &[u8] = b"?\n";

/// A stretch of a file of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// The name of the file without its ending: see [`printed_by`].
    pub name: &'a str,
    /// Its first byte.
    pub from: u64,
    /// The byte after its last one.
    pub to: u64,
    /// True when its last line goes on in the next stretch of the file.
    pub open: bool,
    /// When the first of it came here; not known of what was found on disk.
    pub at: Option<Timestamp>,
}

impl<'a> Stretch<'a> {
    /// Reads a line of the index, without its newline. Nothing for what is none.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (at, from, to, name) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let at = if at == "-" { None } else { Some(Timestamp::from_millisecond(at.parse().ok()?).ok()?) };
        let (to, open) = to.strip_suffix('+').map_or((to, false), |to| (to, true));
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (words.next().is_none() && !name.is_empty() && from < to).then_some(Self { name, from, to, open, at })
    }
}

impl fmt::Display for Stretch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.open { "+" } else { "" };
        match self.at {
            Some(at) => write!(f, "{} {} {}{open} {}", at.as_millisecond(), self.from, self.to, self.name),
            None => write!(f, "- {} {}{open} {}", self.from, self.to, self.name),
        }
    }
}

/// The name of the file of an attempt's output, without its ending.
pub(super) fn name_of(unit: &UnitKey, attempt: u32) -> String {
    format!("{}.{attempt}", unit.file_stem())
}

/// Whose output a file of this name holds. Nothing for another file.
#[must_use]
pub fn printed_by(name: &str) -> Option<(UnitKey, u32)> {
    let (stem, attempt) = name.rsplit_once('.')?;
    let mut parts = stem.split('~');
    let (stage, step) = (parts.next()?, parts.next()?);
    let step = StepKey { stage: StageId::new(stage).ok()?, step: StepId::new(step).ok()? };
    let site = parts.next().map(SiteName::new).transpose().ok()?;
    let host = parts.next().map(HostName::new).transpose().ok()?;
    let unit = UnitKey { step, site, host };
    let attempt = attempt.parse().ok()?;
    // Names that are written in another way are not ours.
    (parts.next().is_none() && name_of(&unit, attempt) == name).then_some((unit, attempt))
}

/// When something came: by the clock of the run, which is shown, and by that of the process, by which is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) at: Timestamp,
    pub(super) on: Instant,
}

impl Came {
    fn is_before(self, now: Self, by: Duration) -> bool {
        now.on.saturating_duration_since(self.on) >= by
            || Duration::try_from(now.at.duration_since(self.at)).is_ok_and(|passed| passed >= by)
    }
}

/// What of that which waits is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// What has waited long enough now.
    Late(Came),
    /// All lines that have ended.
    Lines,
    /// All of it.
    All,
}

/// What has come to a file.
#[derive(Debug, Default)]
struct Gathered {
    /// What is in the index.
    covered: u64,
    /// What lines have ended in.
    lines: u64,
    end: u64,
    /// Since when lines wait that have ended.
    lines_since: Option<Came>,
    /// Since when a line waits that has not.
    rest_since: Option<Came>,
}

impl Gathered {
    /// How much of it is due, and since when it waits.
    fn due(&self, asked: Asked) -> Option<(u64, Came)> {
        let is_due = |since: &Came, by, whole| match asked {
            Asked::Late(now) => since.is_before(now, by),
            Asked::Lines => whole,
            Asked::All => true,
        };
        if let Some(rest) = self.rest_since.filter(|since| is_due(since, UNENDED, false)) {
            return Some((self.end, self.lines_since.unwrap_or(rest)));
        }
        self.lines_since.filter(|since| is_due(since, TOGETHER, true)).map(|since| (self.lines, since))
    }

    /// When it will be due.
    fn then(&self) -> Option<Instant> {
        let lines = self.lines_since.map(|since| since.on + TOGETHER);
        let rest = self.rest_since.map(|since| since.on + UNENDED);
        lines.into_iter().chain(rest).min()
    }
}

/// A stretch that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    name: String,
    range: Range<u64>,
    open: bool,
    since: Came,
}

impl Due {
    pub(super) fn stretch(&self) -> Stretch<'_> {
        let Range { start: from, end: to } = self.range;
        Stretch { name: &self.name, from, to, open: self.open, at: Some(self.since.at) }
    }
}

/// Gathers what comes into stretches.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    files: HashMap<String, Gathered>,
    /// Those of which something waits.
    waiting: Vec<String>,
}

impl Gathering {
    /// How much of a file is in the index.
    pub(super) fn covered(&self, name: &str) -> u64 {
        self.files.get(name).map_or(0, |file| file.covered)
    }

    /// A file is in the index up to a byte.
    pub(super) fn cover(&mut self, name: &str, to: u64) {
        let file = self.files.entry(name.to_owned()).or_default();
        file.covered = to;
        file.lines = file.lines.max(to);
        file.end = file.end.max(to);
        if file.lines == to {
            file.lines_since = None;
        }
        if file.end == to {
            file.rest_since = None;
        }
        if file.then().is_none() {
            self.waiting.retain(|waiting| waiting != name);
        }
    }

    /// Bytes came to a file, up to its `end`; the last newline among them ends before `lines`.
    pub(super) fn take(&mut self, name: &str, lines: Option<u64>, end: u64, now: Came) {
        if !self.waiting.iter().any(|waiting| waiting == name) {
            self.waiting.push(name.to_owned());
        }
        let file = self.files.entry(name.to_owned()).or_default();
        file.end = end;
        if let Some(lines) = lines {
            file.lines = lines;
            file.lines_since.get_or_insert(now);
            file.rest_since = None;
        }
        if end > file.lines {
            file.rest_since.get_or_insert(now);
        }
    }

    /// What is to be written, in the order in which it came.
    pub(super) fn due(&self, asked: Asked) -> Vec<Due> {
        let due = |name: &String| {
            let file = self.files.get(name)?;
            let (to, since) = file.due(asked)?;
            Some(Due { name: name.clone(), range: file.covered..to, open: to > file.lines, since })
        };
        let mut all: Vec<Due> = self.waiting.iter().filter_map(due).collect();
        all.sort_by_key(|due| due.since.on);
        all
    }

    /// When something will be due.
    pub(super) fn then(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|name| self.files.get(name)?.then()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::unit;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_764_000_000_000 + ms).expect("a time")
    }

    #[test]
    fn a_line_is_read_as_it_is_written_and_nothing_else_is_a_line() {
        for (stretch, line) in [
            (Stretch { name: "a~b.1", from: 0, to: 10, open: false, at: Some(at(7)) }, "1764000000007 0 10 a~b.1"),
            (Stretch { name: "a~b~c~d.12", from: 3, to: 4, open: true, at: None }, "- 3 4+ a~b~c~d.12"),
        ] {
            assert_eq!(stretch.to_string(), line);
            assert_eq!(Stretch::parse(line.as_bytes()), Some(stretch));
        }
        for line in [
            "",
            "1764000000007",
            "1764000000007 0 10",
            "1764000000007 0 10 ",
            "1764000000007 0 10 a b",
            "1764000000007 10 10 a",
            "1764000000007 11 10 a",
            "1764000000007 -1 10 a",
            "x 0 10 a",
            "99999999999999999999 0 10 a",
            "- 0 99999999999999999999 a",
        ] {
            assert_eq!(Stretch::parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(Stretch::parse(b"- 0 1 \xff"), None);
    }

    #[test]
    fn a_name_says_whose_output_it_is() {
        for (key, attempt) in [("copy/data", 1), ("copy/data@bcp", 3), ("re.store-1/res_tart@b.cp:app.1", 10)] {
            assert_eq!(printed_by(&name_of(&unit(key), attempt)), Some((unit(key), attempt)));
        }
        for name in ["", "copy.1", "copy~data", "copy~data.x", "copy~data.01", "copy~.1", "a~b~c~d~e.1", "a~b~c~d.1?"] {
            assert_eq!(printed_by(name), None, "{name}");
        }
    }

    /// A clock of both kinds, in milliseconds.
    fn came(begin: Instant, ms: u64) -> Came {
        Came { at: at(i64::try_from(ms).expect("small")), on: begin + Duration::from_millis(ms) }
    }

    fn lines(due: &[Due]) -> Vec<String> {
        due.iter().map(|due| due.stretch().to_string()[8..].to_owned()).collect()
    }

    #[test]
    fn what_comes_together_is_one_stretch_and_a_line_waits_for_its_end() {
        let begin = Instant::now();
        let mut gathering = Gathering::default();
        assert_eq!(gathering.then(), None);
        gathering.take("a~a.1", Some(8), 10, came(begin, 0));
        gathering.take("b~b.1", Some(5), 5, came(begin, 40));
        gathering.take("a~a.1", Some(18), 20, came(begin, 60));
        assert_eq!(gathering.then(), Some(begin + TOGETHER));
        assert_eq!(gathering.due(Asked::Late(came(begin, 99))), []);
        let due = gathering.due(Asked::Late(came(begin, 100)));
        assert_eq!(lines(&due), ["00000 0 18 a~a.1"]);
        // What could not be written is due again, and grows.
        gathering.take("a~a.1", Some(28), 30, came(begin, 150));
        let due = gathering.due(Asked::Late(came(begin, 150)));
        assert_eq!(lines(&due), ["00000 0 28 a~a.1", "00040 0 5 b~b.1"]);
        for due in due {
            gathering.cover(due.stretch().name, due.stretch().to);
        }
        // The line that has not ended came last, and is no line before a second is over.
        assert_eq!(gathering.then(), Some(begin + Duration::from_millis(1150)));
        assert_eq!(gathering.due(Asked::Late(came(begin, 1149))), []);
        let due = gathering.due(Asked::Late(came(begin, 1150)));
        assert_eq!(lines(&due), ["00150 28 30+ a~a.1"]);
        gathering.cover("a~a.1", 30);
        assert_eq!((gathering.then(), gathering.covered("a~a.1")), (None, 30));
        // Its end comes when it comes.
        gathering.take("a~a.1", Some(31), 31, came(begin, 9000));
        assert_eq!(lines(&gathering.due(Asked::All)), ["09000 30 31 a~a.1"]);
    }

    #[test]
    fn at_the_end_everything_is_due() {
        let begin = Instant::now();
        let mut gathering = Gathering::default();
        gathering.take("b~b.1", None, 3, came(begin, 1));
        gathering.take("a~a.1", Some(4), 9, came(begin, 2));
        assert_eq!(gathering.due(Asked::Late(came(begin, 3))), []);
        assert_eq!(lines(&gathering.due(Asked::Lines)), ["00002 0 4 a~a.1"]);
        assert_eq!(lines(&gathering.due(Asked::All)), ["00001 0 3+ b~b.1", "00002 0 9+ a~a.1"]);
    }

    #[test]
    fn a_clock_that_runs_faster_than_the_process_parts_stretches_as_well() {
        let on = Instant::now();
        let mut gathering = Gathering::default();
        gathering.take("a~a.1", Some(4), 4, Came { at: at(0), on });
        assert_eq!(gathering.due(Asked::Late(Came { at: at(99), on })), []);
        assert_eq!(gathering.due(Asked::Late(Came { at: at(100), on })).len(), 1);
        // One that was set back parts nothing, and hurts nothing.
        assert_eq!(gathering.due(Asked::Late(Came { at: at(-5000), on })), []);
    }
}
