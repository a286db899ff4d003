//! Programs that only look: `test`, `stat`, `df`, `mountpoint`, `findmnt`, `which`.

use std::fmt::Write as _;

use super::{Broken, Call, KNOWN, MOMENT, once, options, unknown};
use crate::world::disk::{DiskError, Node};
use crate::world::host::{DiskId, Machine, Process, Slice};

pub(super) fn test(call: Call) -> Box<dyn Process> {
    once(move |on, io| {
        let words = call.words();
        let words = words.strip_suffix(&["]"]).unwrap_or(&words);
        match judged(on, &call, words) {
            Ok(good) => Slice::Ended(i32::from(!good), MOMENT),
            Err(problem) => {
                io.complain(format!("test: {problem}"));
                Slice::Ended(2, MOMENT)
            }
        }
    })
}

/// `-o` binds less than `-a`.
fn judged(on: &Machine<'_>, call: &Call, words: &[&str]) -> Result<bool, String> {
    let mut any = false;
    for side in words.split(|word| *word == "-o") {
        let mut all = true;
        for part in side.split(|word| *word == "-a") {
            all &= one(on, call, part)?;
        }
        any |= all;
    }
    Ok(any)
}

fn one(on: &Machine<'_>, call: &Call, part: &[&str]) -> Result<bool, String> {
    match part {
        ["!", rest @ ..] => one(on, call, rest).map(|good| !good),
        [] => Ok(false),
        [word] => Ok(!word.is_empty()),
        [flag, path] => {
            let found = on.stat(&call.path(path));
            match *flag {
                "-e" => Ok(found.is_ok()),
                "-d" => Ok(found.is_ok_and(|inode| matches!(inode.node, Node::Folder(_)))),
                "-f" => Ok(found.is_ok_and(|inode| matches!(inode.node, Node::File(_)))),
                "-s" => Ok(found.is_ok_and(|inode| inode.size() > 0)),
                "-w" => Ok(found.is_ok() && !on.disk(&call.path(path)).0.read_only),
                other => Err(format!("{other}: unary operator expected")),
            }
        }
        [_, second, ..] => Err(format!("{second}: binary operator expected")),
    }
}

pub(super) fn stat(call: Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &["-c"]);
    let mut format = None;
    for (flag, value) in flags {
        match (flag, value) {
            // Links are not followed by the disk: no step looks at one.
            ("-L", _) => {}
            ("-c", Some(value)) => format = Some(value.to_owned()),
            (other, _) => return unknown(&call, other),
        }
    }
    let Some(format) = format else { return Broken::boxed("stat: missing format", 1) };
    let operands: Vec<String> = operands.into_iter().map(str::to_owned).collect();
    once(move |on, io| {
        let mut code = 0;
        for word in &operands {
            match on.stat(&call.path(word)) {
                Ok(inode) => {
                    let text = format
                        .replace("%s", &shown_size(&inode.node).to_string())
                        .replace("%Y", &inode.modified.as_second().to_string())
                        .replace("%a", &format!("{:o}", inode.mode))
                        .replace("%n", word);
                    io.say(format!("{text}\n"));
                }
                Err(error) => {
                    io.complain(format!("stat: cannot statx '{word}': {error}"));
                    code = 1;
                }
            }
        }
        Slice::Ended(code, MOMENT)
    })
}

/// The size that a look at an entry tells: a folder takes a block, a link the length of its target.
pub(super) fn shown_size(node: &Node) -> u64 {
    match node {
        Node::File(content) => content.len() as u64,
        Node::Folder(_) => 4096,
        Node::Link(target) => target.len() as u64,
    }
}

/// Device and type of a disk.
fn device(on: &Machine<'_>, disk: DiskId) -> (&'static str, &'static str) {
    if disk == on.here().exchange { ("nas:/exchange", "nfs4") } else { ("/dev/vda1", "ext4") }
}

/// What `df` prints of each disk.
#[derive(Clone, Copy)]
enum Columns {
    /// Those of POSIX.
    Posix,
    /// Bytes, inodes, what is mounted and where.
    Room,
}

pub(super) fn df(call: Call) -> Box<dyn Process> {
    let (columns, first, more) = match &call.words()[..] {
        ["-P", "-B1", first, more @ ..] => (Columns::Posix, *first, more.to_vec()),
        ["-B1", "--output=size,avail,itotal,iavail,source,target", first, more @ ..] => {
            (Columns::Room, *first, more.to_vec())
        }
        _ => return unknown(&call, &call.words.join(" ")),
    };
    let words: Vec<String> = [first].into_iter().chain(more).map(str::to_owned).collect();
    if let Some(option) = words.iter().find(|word| word.starts_with('-')) {
        return unknown(&call, option);
    }
    once(move |on, io| {
        let (mut lines, mut code) = (String::new(), 0);
        for word in &words {
            let path = call.path(word);
            if let Err(error) = on.stat(&path) {
                io.complain(format!("df: {word}: {error}"));
                code = 1;
                continue;
            }
            let (id, _, mount) = on.resolve(&path);
            let disk = &on.state.disks[id.0];
            let (size, used, free) = (disk.capacity, disk.used(), disk.free());
            // Writing to a `String` cannot fail.
            let _ = match columns {
                Columns::Posix => {
                    let percent = (used * 100).div_ceil((used + free).max(1));
                    writeln!(lines, "{} {size} {used} {free} {percent}% {mount}", device(on, id).0)
                }
                Columns::Room => {
                    let (inodes, left) = (disk.inode_capacity, disk.free_inodes());
                    let device = device(on, id).0;
                    writeln!(lines, "{size:>11} {free:>11} {inodes:>8} {left:>8} {device:<13} {mount}")
                }
            };
        }
        if !lines.is_empty() {
            io.say(match columns {
                Columns::Posix => "Filesystem         1-blocks        Used   Available Capacity Mounted on\n",
                Columns::Room => "  1B-blocks       Avail   Inodes    IFree Filesystem    Mounted on\n",
            });
            io.say(lines);
        }
        Slice::Ended(code, MOMENT)
    })
}

pub(super) fn mountpoint(call: Call) -> Box<dyn Process> {
    let (quiet, word) = match call.words()[..] {
        ["-q", word] => (true, word.to_owned()),
        [word] if word != "-q" => (false, word.to_owned()),
        _ => return unknown(&call, &call.words.join(" ")),
    };
    once(move |on, io| {
        let path = call.path(&word);
        if on.stat(&path).is_err() {
            if !quiet {
                io.complain(format!("mountpoint: {word}: {}", DiskError::Missing));
            }
            return Slice::Ended(1, MOMENT);
        }
        let (_, rest, _) = on.resolve(&path);
        let is = rest == "/";
        if !quiet {
            io.say(format!("{word} is {}a mountpoint\n", if is { "" } else { "not " }));
        }
        Slice::Ended(if is { 0 } else { 32 }, MOMENT)
    })
}

pub(super) fn findmnt(call: &Call) -> Box<dyn Process> {
    let ["-n", "-o", "TARGET,SOURCE,FSTYPE", "-T", word] = call.words()[..] else {
        return unknown(call, &call.words.join(" "));
    };
    let path = call.path(word);
    once(move |on, io| {
        if on.stat(&path).is_err() {
            return Slice::Ended(1, MOMENT);
        }
        let (id, _, mount) = on.resolve(&path);
        let (source, kind) = device(on, id);
        io.say(format!("{mount}  {source}  {kind}\n"));
        Slice::Ended(0, MOMENT)
    })
}

pub(super) fn which(call: Call) -> Box<dyn Process> {
    once(move |on, io| {
        let mut code = 0;
        for word in &call.words {
            let is_there = KNOWN.contains(&word.as_str()) && !on.this().lacks.contains(word);
            if is_there {
                io.say(format!("/usr/bin/{word}\n"));
            } else {
                code = 1;
            }
        }
        Slice::Ended(code, MOMENT)
    })
}
