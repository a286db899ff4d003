//! Programs that read and change files: `cat`, `tee`, `mv`, `mkdir`, `rm`, `touch`, `sync`.

use std::time::Duration;

use jiff::Timestamp;

use super::{Broken, CHUNK, Call, MOMENT, at_rate, once, options, unknown};
use crate::world::disk::{DiskError, Node};
use crate::world::host::{Io, Machine, Process, Slice};

/// Passes on what it reads, a piece in each slice.
struct Cat {
    /// What files gave.
    held: Vec<u8>,
    from_stdin: bool,
    code: i32,
}

pub(super) fn cat(on: &Machine<'_>, call: &Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &[]);
    if let Some((flag, _)) = flags.first() {
        return unknown(call, flag);
    }
    if operands.is_empty() || operands == ["-"] {
        return Box::new(Cat { held: Vec::new(), from_stdin: true, code: 0 });
    }
    let (mut held, mut complaints) = (Vec::new(), Vec::new());
    for word in operands {
        if let Some(content) = kernel(on, word) {
            held.extend_from_slice(content.as_bytes());
            continue;
        }
        match on.read(&call.path(word)) {
            Ok(content) => held.extend_from_slice(&content),
            Err(error) => complaints.push(format!("cat: {word}: {error}")),
        }
    }
    let cat = Cat { held, from_stdin: false, code: i32::from(!complaints.is_empty()) };
    Box::new(Said { complaints, then: cat })
}

/// What the kernel of a host says of itself, as far as anybody asks: four processors, never very busy.
fn kernel(on: &Machine<'_>, path: &str) -> Option<String> {
    match path {
        "/proc/loadavg" => {
            // Another figure every few seconds, and the same for the same second.
            let busy = 25 + on.now().as_second().rem_euclid(97) / 3;
            Some(format!("0.{busy} 0.31 0.28 1/132 4242\n"))
        }
        "/sys/devices/system/cpu/online" => Some("0-3\n".to_owned()),
        _ => None,
    }
}

/// Complains first.
struct Said<P> {
    complaints: Vec<String>,
    then: P,
}

impl<P: Process> Process for Said<P> {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        for line in self.complaints.drain(..) {
            io.complain(line);
        }
        self.then.slice(on, io)
    }
}

impl Process for Cat {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let source = if self.from_stdin { &mut *io.input } else { &mut self.held };
        let piece: Vec<u8> = source.drain(..source.len().min(CHUNK)).collect();
        let more = !source.is_empty() || (self.from_stdin && !io.input_ended);
        io.out.extend_from_slice(&piece);
        match (more, piece.is_empty()) {
            (true, true) => Slice::Waiting,
            (true, false) => Slice::Busy(at_rate(piece.len())),
            (false, _) => Slice::Ended(self.code, MOMENT + at_rate(piece.len())),
        }
    }
}

/// Copies what it reads to a file and to stdout.
struct Tee {
    word: String,
    path: String,
    mode: u16,
    opened: bool,
    broken: bool,
}

pub(super) fn tee(call: &Call) -> Box<dyn Process> {
    match call.words()[..] {
        [word] if !word.starts_with('-') => Box::new(Tee {
            path: call.path(word),
            word: word.to_owned(),
            mode: 0o666 & !call.umask,
            opened: false,
            broken: false,
        }),
        _ => unknown(call, &call.words.join(" ")),
    }
}

impl Tee {
    fn failed(&mut self, error: DiskError, io: &mut Io<'_>) {
        if !self.broken {
            io.complain(format!("tee: {}: {error}", self.word));
        }
        self.broken = true;
    }
}

impl Process for Tee {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if !self.opened {
            self.opened = true;
            if let Err(error) = on.write(&self.path, Vec::new(), self.mode) {
                self.failed(error, io);
            }
        }
        let piece: Vec<u8> = io.input.drain(..io.input.len().min(CHUNK)).collect();
        if !self.broken && !piece.is_empty() {
            let (now, mode) = (on.now(), self.mode);
            let (disk, path) = on.disk_mut(&self.path);
            if let Err(error) = disk.append(&path, &piece, mode, now) {
                self.failed(error, io);
            }
        }
        io.out.extend_from_slice(&piece);
        match (io.input.is_empty() && io.input_ended, piece.is_empty()) {
            (true, _) => Slice::Ended(i32::from(self.broken), MOMENT + at_rate(piece.len())),
            (false, true) => Slice::Waiting,
            (false, false) => Slice::Busy(at_rate(piece.len())),
        }
    }
}

pub(super) fn mv(call: Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &[]);
    let mut no_target = false;
    for (flag, _) in &flags {
        match *flag {
            "-f" => {}
            "-T" => no_target = true,
            other => return unknown(&call, other),
        }
    }
    let [from, to] = operands[..] else { return Broken::boxed("mv: missing file operand", 1) };
    let (from, to) = (from.to_owned(), to.to_owned());
    once(move |on, io| match moved(on, &call, &from, &to, no_target) {
        Ok(()) => Slice::Ended(0, MOMENT),
        Err(words) => {
            io.complain(words);
            Slice::Ended(1, MOMENT)
        }
    })
}

fn is_folder(on: &Machine<'_>, path: &str) -> bool {
    on.stat(path).is_ok_and(|inode| matches!(inode.node, Node::Folder(_)))
}

fn moved(on: &mut Machine<'_>, call: &Call, from: &str, to: &str, no_target: bool) -> Result<(), String> {
    let source = call.path(from);
    on.stat(&source).map_err(|error| format!("mv: cannot stat '{from}': {error}"))?;
    let (mut target, mut shown) = (call.path(to), to.to_owned());
    if !no_target && is_folder(on, &target) {
        let name = source.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
        target = format!("{target}/{name}");
        shown = format!("{to}/{name}");
    }
    let failed = |error: DiskError| match error {
        DiskError::NotFolder => format!("mv: cannot overwrite non-directory '{shown}' with directory '{from}'"),
        DiskError::IsFolder => format!("mv: cannot overwrite directory '{shown}' with non-directory"),
        other => format!("mv: cannot move '{from}' to '{shown}': {other}"),
    };
    let now = on.now();
    let ((disk, path), (other, there, _)) = (
        {
            let (id, path, _) = on.resolve(&source);
            (id, path)
        },
        on.resolve(&target),
    );
    if disk == other {
        return on.disk_mut(&source).0.rename(&path, &there, now).map_err(failed);
    }
    // To another file system a file is copied. No step moves a folder like that.
    let inode = on.stat(&source).map_err(failed)?.clone();
    let Node::File(content) = inode.node else { return Err(failed(DiskError::Broken)) };
    on.write(&target, content, inode.mode).map_err(failed)?;
    let (disk, there) = on.disk_mut(&target);
    disk.set_modified(&there, inode.modified, now).map_err(failed)?;
    on.disk_mut(&source).0.remove(&path, now).map_err(failed)
}

pub(super) fn mkdir(call: Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &["-m"]);
    let (mut parents, mut mode) = (false, None);
    for (flag, value) in &flags {
        match (*flag, value.and_then(|value| u16::from_str_radix(value, 8).ok())) {
            ("-p", _) => parents = true,
            ("-m", Some(octal)) => mode = Some(octal),
            (other, _) => return unknown(&call, other),
        }
    }
    let operands: Vec<String> = operands.into_iter().map(str::to_owned).collect();
    once(move |on, io| {
        let mut code = 0;
        for word in &operands {
            if let Err((shown, error)) = made(on, &call, word, parents, mode) {
                io.complain(format!("mkdir: cannot create directory '{shown}': {error}"));
                code = 1;
            }
        }
        Slice::Ended(code, MOMENT)
    })
}

/// Makes a folder; `-m` is only for the last one, and not for one that is there.
fn made(
    on: &mut Machine<'_>,
    call: &Call,
    word: &str,
    parents: bool,
    mode: Option<u16>,
) -> Result<(), (String, DiskError)> {
    let now = on.now();
    let usual = 0o777 & !call.umask;
    if !parents {
        let (disk, path) = on.disk_mut(&call.path(word));
        return disk.make_folder(&path, mode.unwrap_or(usual), now).map_err(|error| (word.to_owned(), error));
    }
    let ends = word.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
    let steps: Vec<usize> = ends.chain([word.len()]).collect();
    for (number, end) in steps.iter().enumerate() {
        let shown = &word[..*end];
        let is_last = number + 1 == steps.len();
        if is_folder(on, &call.path(shown)) {
            continue;
        }
        if on.stat(&call.path(shown)).is_ok() {
            let error = if is_last { DiskError::Exists } else { DiskError::NotFolder };
            return Err((shown.to_owned(), error));
        }
        // The owner must be able to go on below a parent.
        let mode = if is_last { mode.unwrap_or(usual) } else { usual | 0o300 };
        let (disk, path) = on.disk_mut(&call.path(shown));
        disk.make_folder(&path, mode, now).map_err(|error| (shown.to_owned(), error))?;
    }
    Ok(())
}

/// Removes, some entries in each slice.
struct Rm {
    /// What is to be removed, last first: content stands behind its folder.
    left: Vec<String>,
    code: i32,
}

/// So many entries are removed in one slice.
const REMOVALS: usize = 16;

pub(super) fn rm(call: &Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &[]);
    let (mut all, mut force) = (false, false);
    for (flag, _) in &flags {
        match *flag {
            "-f" => force = true,
            "-rf" => (all, force) = (true, true),
            // There are no mounts below anything that is removed here.
            "--one-file-system" => {}
            other => return unknown(call, other),
        }
    }
    let paths: Vec<String> = operands.iter().map(|word| call.path(word)).collect();
    let mut begun = None;
    Box::new(Steps(move |on: &mut Machine<'_>, io: &mut Io<'_>| {
        let rm = begun.get_or_insert_with(|| Rm::begin(on, io, &paths, all, force));
        rm.slice(on, io)
    }))
}

/// A closure as a process.
struct Steps<F>(F);

impl<F: FnMut(&mut Machine<'_>, &mut Io<'_>) -> Slice + Send> Process for Steps<F> {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        (self.0)(on, io)
    }
}

impl Rm {
    fn begin(on: &Machine<'_>, io: &mut Io<'_>, paths: &[String], all: bool, force: bool) -> Self {
        let mut rm = Self { left: Vec::new(), code: 0 };
        for path in paths {
            let problem = match on.stat(path) {
                Err(DiskError::Missing) if force => continue,
                Err(error) => Some(error),
                Ok(_) if is_folder(on, path) && !all => Some(DiskError::IsFolder),
                Ok(_) => None,
            };
            if let Some(error) = problem {
                io.complain(format!("rm: cannot remove '{path}': {error}"));
                rm.code = 1;
                continue;
            }
            rm.left.push(path.clone());
            let (disk, rest) = on.disk(path);
            let below = disk.walk(&rest).unwrap_or_default();
            rm.left.extend(below.into_iter().map(|(name, _)| format!("{path}/{name}")));
        }
        rm
    }

    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let now = on.now();
        for _ in 0..REMOVALS {
            let Some(path) = self.left.pop() else { break };
            let (disk, rest) = on.disk_mut(&path);
            // What is gone already is as it should be.
            if let Err(error) = disk.remove(&rest, now)
                && error != DiskError::Missing
            {
                io.complain(format!("rm: cannot remove '{path}': {error}"));
                self.code = 1;
            }
        }
        if self.left.is_empty() { Slice::Ended(self.code, MOMENT) } else { Slice::Busy(Duration::from_millis(40)) }
    }
}

pub(super) fn touch(call: Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &["-d"]);
    let mut time = None;
    for (flag, value) in flags {
        let seconds = value.and_then(|value| value.strip_prefix('@')?.parse().ok());
        match (flag, seconds.and_then(|seconds| Timestamp::from_second(seconds).ok())) {
            ("-d", Some(read)) => time = Some(read),
            ("-d", None) => {
                return Broken::boxed(format!("touch: invalid date format '{}'", value.unwrap_or_default()), 1);
            }
            (other, _) => return unknown(&call, other),
        }
    }
    let operands: Vec<String> = operands.into_iter().map(str::to_owned).collect();
    once(move |on, io| {
        let mut code = 0;
        for word in &operands {
            let path = call.path(word);
            let made = if on.stat(&path).is_ok() { Ok(()) } else { on.write(&path, Vec::new(), 0o666 & !call.umask) };
            let now = on.now();
            let time = time.unwrap_or(now);
            let (disk, rest) = on.disk_mut(&path);
            if let Err(error) = made.and_then(|()| disk.set_modified(&rest, time, now)) {
                io.complain(format!("touch: cannot touch '{word}': {error}"));
                code = 1;
            }
        }
        Slice::Ended(code, MOMENT)
    })
}

pub(super) fn sync(call: Call) -> Box<dyn Process> {
    let words = call.words();
    let (flags, operands) = options(&words, &[]);
    let mut whole = false;
    for (flag, _) in &flags {
        match *flag {
            "-f" => whole = true,
            other => return unknown(&call, other),
        }
    }
    let operands: Vec<String> = operands.into_iter().map(str::to_owned).collect();
    once(move |on, io| {
        let mut code = 0;
        for word in &operands {
            let (disk, rest) = on.disk_mut(&call.path(word));
            match disk.stat(&rest) {
                Err(error) => {
                    io.complain(format!("sync: error opening '{word}': {error}"));
                    code = 1;
                }
                Ok(_) if whole => disk.sync_all(),
                Ok(_) => drop(disk.sync(&rest)),
            }
        }
        Slice::Ended(code, Duration::from_millis(if whole { 200 } else { 20 }))
    })
}
