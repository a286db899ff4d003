//! `sha256sum`: of what it reads, of files, and checking.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Broken, Call, MOMENT, at_rate, options, unknown};
use crate::world::host::{Io, Machine, Process, Slice};

fn hex(sum: &[u8]) -> String {
    sum.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn sha256sum(call: Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &[]);
    let (mut check, mut zero) = (false, false);
    for (flag, _) in &flags {
        match *flag {
            "--check" => check = true,
            "--zero" => zero = true,
            // Known, and always so here.
            "--quiet" | "--strict" if words.contains(&"--check") => {}
            other => return unknown(&call, other),
        }
    }
    if check {
        let strict = ["--quiet", "--strict"].iter().all(|flag| words.contains(flag));
        if operands != ["-"] || zero || !strict {
            return Broken::boxed("sha256sum: the world checks only with --quiet --strict, and what it reads", 1);
        }
        return Box::new(Check { call, lines: None, tally: Tally::default() });
    }
    if operands.is_empty() || operands == ["-"] {
        return Box::new(OfInput { hasher: Sha256::new(), zero });
    }
    let files = operands.into_iter().map(str::to_owned).collect();
    Box::new(OfFiles { files, call, zero, code: 0 })
}

/// The sum of what is read.
struct OfInput {
    hasher: Sha256,
    zero: bool,
}

impl Process for OfInput {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let piece = std::mem::take(io.input);
        self.hasher.update(&piece);
        if io.input_ended {
            let end = if self.zero { '\0' } else { '\n' };
            io.say(format!("{}  -{end}", hex(&self.hasher.finalize_reset())));
            return Slice::Ended(0, MOMENT + at_rate(piece.len()));
        }
        if piece.is_empty() { Slice::Waiting } else { Slice::Busy(at_rate(piece.len())) }
    }
}

/// The sums of files, some in each slice.
struct OfFiles {
    files: VecDeque<String>,
    call: Call,
    zero: bool,
    code: i32,
}

/// So many files are read in one slice.
const FILES: usize = 4;
/// How long it takes to open one.
const OPENING: Duration = Duration::from_millis(2);

impl Process for OfFiles {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let mut took = Duration::ZERO;
        for _ in 0..FILES {
            let Some(word) = self.files.pop_front() else { break };
            match on.read(&self.call.path(&word)) {
                Ok(content) => {
                    took += OPENING + at_rate(content.len());
                    let sum = hex(&Sha256::digest(&content));
                    io.say(line(&sum, &word, self.zero));
                }
                Err(error) => {
                    io.complain(format!("sha256sum: {word}: {error}"));
                    self.code = 1;
                }
            }
        }
        if self.files.is_empty() { Slice::Ended(self.code, took) } else { Slice::Busy(took) }
    }
}

/// A line of output. Without `--zero` a name that would break the line is escaped, which a backslash in front tells.
fn line(sum: &str, name: &str, zero: bool) -> String {
    if zero {
        return format!("{sum}  {name}\0");
    }
    let escaped = name.replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r");
    let mark = if escaped == name { "" } else { "\\" };
    format!("{mark}{sum}  {escaped}\n")
}

/// What was wrong.
#[derive(Default)]
struct Tally {
    good: usize,
    unreadable: usize,
    wrong: usize,
    malformed: usize,
}

/// Compares files with a listing, some in each slice.
struct Check {
    call: Call,
    lines: Option<VecDeque<String>>,
    tally: Tally,
}

impl Process for Check {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if !io.input_ended {
            return Slice::Waiting;
        }
        let input: &[u8] = io.input;
        let lines = self
            .lines
            .get_or_insert_with(|| String::from_utf8_lossy(input).lines().map(str::to_owned).collect::<VecDeque<_>>());
        let mut took = Duration::ZERO;
        for _ in 0..FILES {
            let Some(text) = lines.pop_front() else { break };
            if text.starts_with('#') {
                continue;
            }
            let Some((sum, name, shown)) = parsed(&text) else {
                self.tally.malformed += 1;
                continue;
            };
            match on.read(&self.call.path(&name)) {
                Err(error) => {
                    io.err.extend_from_slice(format!("sha256sum: {shown}: {error}\n").as_bytes());
                    io.out.extend_from_slice(format!("{shown}: FAILED open or read\n").as_bytes());
                    self.tally.unreadable += 1;
                }
                Ok(content) => {
                    took += OPENING + at_rate(content.len());
                    if hex(&Sha256::digest(&content)) == sum.to_lowercase() {
                        self.tally.good += 1;
                    } else {
                        io.out.extend_from_slice(format!("{shown}: FAILED\n").as_bytes());
                        self.tally.wrong += 1;
                    }
                }
            }
        }
        if lines.is_empty() { self.tally.end(io.err, took) } else { Slice::Busy(took) }
    }
}

impl Tally {
    fn end(&self, err: &mut Vec<u8>, took: Duration) -> Slice {
        let mut complain = |text: String| {
            err.extend_from_slice(format!("sha256sum: {text}\n").as_bytes());
        };
        if self.good + self.unreadable + self.wrong == 0 {
            complain("'standard input': no properly formatted checksum lines found".to_owned());
            return Slice::Ended(1, took);
        }
        let many = |number: usize, one: &str, more: &str| {
            format!("WARNING: {number} {}", if number == 1 { one } else { more })
        };
        let warnings = [
            (self.malformed, "line is improperly formatted", "lines are improperly formatted"),
            (self.unreadable, "listed file could not be read", "listed files could not be read"),
            (self.wrong, "computed checksum did NOT match", "computed checksums did NOT match"),
        ];
        let mut code = 0;
        for (number, one, more) in warnings.into_iter().filter(|(number, ..)| *number > 0) {
            complain(many(number, one, more));
            code = 1;
        }
        Slice::Ended(code, took)
    }
}

/// Sum, name, and the name as it is shown, of a line.
fn parsed(text: &str) -> Option<(&str, String, String)> {
    let (escaped, rest) = text.strip_prefix('\\').map_or((false, text), |rest| (true, rest));
    let (sum, name) = rest.split_once("  ")?;
    if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) || name.is_empty() {
        return None;
    }
    let shown = format!("{}{name}", if escaped { "\\" } else { "" });
    Some((sum, if escaped { unescaped(name) } else { name.to_owned() }, shown))
}

fn unescaped(name: &str) -> String {
    let mut out = String::new();
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}
