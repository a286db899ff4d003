//! Programs that turn text into other text: `sort`, `tail`, `sed`, and the few programs of `awk` that steps write.

use super::{Broken, CHUNK, Call, MOMENT, at_rate, gathered, once, unknown};
use crate::world::host::{Io, Machine, Process, Slice};
use crate::world::sql;

pub(super) fn sort(call: &Call) -> Box<dyn Process> {
    let end = match call.words()[..] {
        [] => b'\n',
        ["-z"] => b'\0',
        _ => return unknown(call, &call.words.join(" ")),
    };
    gathered(move |_, io| {
        let input = std::mem::take(io.input);
        let mut records: Vec<&[u8]> = input.split(|byte| *byte == end).collect();
        // What follows the last end is a record only if there is something.
        if records.last().is_some_and(|last| last.is_empty()) {
            records.pop();
        }
        records.sort_unstable();
        for record in records {
            io.out.extend_from_slice(record);
            io.out.push(end);
        }
        Slice::Ended(0, MOMENT + at_rate(input.len()))
    })
}

/// Keeps the end of what it reads.
struct Tail {
    most: usize,
}

pub(super) fn tail(call: &Call) -> Box<dyn Process> {
    match call.words()[..] {
        ["-c", number] => match number.parse() {
            Ok(most) => Box::new(Tail { most }),
            Err(_) => Broken::boxed(format!("tail: invalid number of bytes: '{number}'"), 1),
        },
        _ => unknown(call, &call.words.join(" ")),
    }
}

impl Process for Tail {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let too_much = io.input.len().saturating_sub(self.most);
        io.input.drain(..too_much);
        if !io.input_ended {
            return Slice::Waiting;
        }
        io.out.append(io.input);
        Slice::Ended(0, MOMENT)
    }
}

/// Removes the first line of what it reads, if `999999` is in it.
struct SandboxLine {
    first_is_through: bool,
}

pub(super) fn sed(call: &Call) -> Box<dyn Process> {
    match call.words()[..] {
        ["1{/999999/d;}"] => Box::new(SandboxLine { first_is_through: false }),
        _ => Broken::boxed(format!("sed: the world does not know the script '{}'", call.words.join(" ")), 1),
    }
}

impl Process for SandboxLine {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if !self.first_is_through {
            let end = io.input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            match end.or_else(|| io.input_ended.then_some(io.input.len())) {
                None => return Slice::Waiting,
                Some(end) => {
                    let line: Vec<u8> = io.input.drain(..end).collect();
                    if !line.windows(6).any(|part| part == b"999999") {
                        io.out.extend_from_slice(&line);
                    }
                    self.first_is_through = true;
                }
            }
        }
        let piece: Vec<u8> = io.input.drain(..io.input.len().min(CHUNK)).collect();
        io.out.extend_from_slice(&piece);
        match (io.input.is_empty() && io.input_ended, piece.is_empty()) {
            (true, _) => Slice::Ended(0, MOMENT),
            (false, true) => Slice::Waiting,
            (false, false) => Slice::Busy(at_rate(piece.len())),
        }
    }
}

/// The program that sums what `find` prints as `%y %s`, byte for byte as steps write it.
const COUNTING: &str = "{ n[$1]++; if ($1 == \"f\") b += $2 } END { printf \"counted %.0f %.0f %.0f %.0f %.0f\\n\", \
                        n[\"f\"], b, n[\"d\"], n[\"l\"], NR - n[\"f\"] - n[\"d\"] - n[\"l\"] }";

/// The programs that steps write, known by their text, and the one that is kept in a file: it counts the rows of a dump.
pub(super) fn awk(call: &Call) -> Box<dyn Process> {
    match call.words()[..] {
        ["BEGIN { print \"here\" }"] => once(|_, io| {
            io.say("here\n");
            Slice::Ended(0, MOMENT)
        }),
        [COUNTING] => gathered(|_, io| {
            let input = std::mem::take(io.input);
            io.say(counted(&String::from_utf8_lossy(&input)));
            Slice::Ended(0, MOMENT + at_rate(input.len()))
        }),
        ["-f", file] => {
            let (path, file) = (call.path(file), file.to_owned());
            gathered(move |on, io| rows_counted(on, io, &path, &file))
        }
        _ => Broken::boxed(format!("awk: the world does not know the program: {}", call.words.join(" ")), 2),
    }
}

fn rows_counted(on: &Machine<'_>, io: &mut Io<'_>, path: &str, file: &str) -> Slice {
    let program = match on.read(path) {
        Ok(program) => program,
        Err(error) => {
            io.complain(format!("awk: fatal: cannot open source file `{file}' for reading: {error}"));
            return Slice::Ended(2, MOMENT);
        }
    };
    if !String::from_utf8_lossy(&program).contains(sql::TALLY_MARK) {
        io.complain(format!("awk: the world does not know the program in {file}"));
        return Slice::Ended(2, MOMENT);
    }
    let input = std::mem::take(io.input);
    io.say(sql::tally(&input));
    Slice::Ended(0, MOMENT + at_rate(input.len()))
}

fn counted(text: &str) -> String {
    let (mut files, mut bytes, mut folders, mut links, mut others) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("f") => {
                files += 1;
                bytes += words.next().and_then(|size| size.parse::<u64>().ok()).unwrap_or(0);
            }
            Some("d") => folders += 1,
            Some("l") => links += 1,
            _ => others += 1,
        }
    }
    format!("counted {files} {bytes} {folders} {links} {others}\n")
}
