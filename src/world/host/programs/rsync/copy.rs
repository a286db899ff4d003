//! rsync while it runs: the list, the copying, what is put in place late, what is removed, the times of folders.

mod entry;
mod wait;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::args::Options;
use super::end::End;
use super::list::{Item, list};
use super::remove::Removal;
use super::there::{holding, numbered};
use super::words::{self, Difference, Stats};
use crate::world::disk::{DiskError, Node};
use crate::world::host::{Io, Machine, Process, Slice};

/// So many entries are compared in one slice; copying one weighs more.
const ENTRIES: usize = 12;
const WEIGHT: usize = 4;
/// So many bytes of one file are sent in one slice.
const PIECE: usize = 32 * 1024;
/// How long it takes to make a new file.
const MAKING: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begin,
    Copy,
    Place,
    Remove,
    Times,
}

/// The copy.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about how it goes")]
pub(super) struct Rsync {
    options: Options,
    phase: Phase,
    items: Vec<Item>,
    next: usize,
    current: Option<Current>,
    /// What is whole, but not in place yet, by the path it gets.
    held: Vec<String>,
    /// The files whose content was sent.
    sent: BTreeSet<String>,
    /// Other names of what was held.
    late: Vec<usize>,
    removal: Option<Removal>,
    stats: Stats,
    /// Some could not be copied.
    problems: bool,
    vanished: bool,
    connected: bool,
    severed: bool,
    silence: Duration,
    /// Progress was printed last.
    line_is_open: bool,
}

/// A file that is being sent.
struct Current {
    item: usize,
    content: Bytes,
    sent: usize,
    /// Where it is written to, relative to the top.
    temporary: String,
}

/// An ending that is no good one, with what was said already.
struct Fatal(i32);

impl Rsync {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            phase: Phase::Begin,
            items: Vec::new(),
            next: 0,
            current: None,
            held: Vec::new(),
            sent: BTreeSet::new(),
            late: Vec::new(),
            removal: None,
            stats: Stats::default(),
            problems: false,
            vanished: false,
            connected: false,
            severed: false,
            silence: Duration::ZERO,
            line_is_open: false,
        }
    }

    fn who(&self) -> &'static str {
        if self.options.from.is_far() { "receiver" } else { "sender" }
    }

    fn far(&self) -> Option<&End> {
        [&self.options.to, &self.options.from].into_iter().find(|end| end.is_far())
    }

    /// Reads the source and looks at the destination.
    fn begin(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Result<Slice, Fatal> {
        self.items = match list(&self.options.from, on, &self.options.rules) {
            Ok(items) => items,
            Err(error) => {
                let path = &self.options.from.path;
                io.complain(format!("rsync: [sender] change_dir \"{path}\" failed: {}", numbered(error)));
                io.say(self.stats.text(self.options.dry_run));
                io.complain(words::error(23, "sender"));
                return Err(Fatal(23));
            }
        };
        self.choose_leaders(on);
        for item in &self.items {
            self.stats.all.add(&item.kind);
            self.stats.bytes += item.size;
        }
        let path = self.options.to.path.clone();
        let mut to = self.options.to.machine(on);
        let there = to.stat(&path).map(|inode| matches!(inode.node, Node::Folder(_)));
        match there {
            Ok(true) => {}
            Err(DiskError::Missing) if self.options.dry_run => self.tell_top(io),
            Ok(false) | Err(_) => {
                let mode = self.items.first().map_or(0o755, |top| top.mode | 0o700);
                let now = to.now();
                let (disk, rest) = to.disk_mut(&path);
                if let Err(error) = disk.make_folder(&rest, mode, now) {
                    io.complain(format!("rsync: [Receiver] mkdir \"{path}\" failed: {}", numbered(error)));
                    io.complain("rsync error: error in file IO (code 11) at main.c(800) [Receiver=3.5.0]");
                    return Err(Fatal(11));
                }
                self.tell_top(io);
                self.count_top(io);
            }
        }
        self.phase = Phase::Copy;
        let entries = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        Ok(Slice::Busy(Duration::from_millis(150) + Duration::from_micros(200) * entries))
    }

    fn tell_top(&self, io: &mut Io<'_>) {
        if self.options.itemize && !self.options.existing {
            io.say(format!("created directory {}\n", self.options.to.path));
        }
    }

    /// The top was made before anything was compared.
    fn count_top(&mut self, io: &mut Io<'_>) {
        if let Some(top) = self.items.first().cloned() {
            self.stats.created.add(&top.kind);
            self.itemize(io, Difference::of(&top, None), 'c', &top, "");
        }
    }

    /// Compares and copies some entries.
    fn copy(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Result<Slice, Fatal> {
        let (mut took, mut budget) = (Duration::from_millis(2), ENTRIES);
        while budget > 0 {
            if self.current.is_some() {
                took += self.send(on, io)?;
                budget = budget.saturating_sub(WEIGHT);
                if self.current.is_some() {
                    break;
                }
                continue;
            }
            let Some(item) = self.items.get(self.next).cloned() else {
                self.phase = Phase::Place;
                break;
            };
            self.next += 1;
            budget -= 1;
            took += Duration::from_micros(500);
            if let Err(error) = self.entry(on, io, &item) {
                self.complain(io, "generator", &item, error);
            }
        }
        Ok(Slice::Busy(took))
    }

    /// Sends a piece of the current file.
    fn send(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Result<Duration, Fatal> {
        let Some(current) = &mut self.current else { return Ok(Duration::ZERO) };
        let end = current.content.len().min(current.sent + PIECE);
        let piece = current.content.slice(current.sent..end);
        let (temporary, last) = (self.options.to.below(&current.temporary), end == current.content.len());
        current.sent = end;
        let mut to = self.options.to.machine(on);
        let now = to.now();
        let (disk, rest) = to.disk_mut(&temporary);
        let written = disk.append(&rest, &piece, 0o600, now);
        let item = self.items[current.item].clone();
        match written {
            Ok(()) => {}
            Err(error @ DiskError::Full) => {
                let path = self.options.to.below(&item.path);
                io.complain(format!("rsync: [receiver] write failed on \"{path}\": {}", numbered(error)));
                io.complain(words::error(11, "receiver"));
                self.keep_partial(on);
                return Err(Fatal(11));
            }
            Err(error) => {
                io.complain(format!("rsync: [receiver] mkstemp \"{temporary}\" failed: {}", numbered(error)));
                self.problems = true;
                self.current = None;
                return Ok(MAKING);
            }
        }
        if last {
            self.current = None;
            if let Err(error) = self.finish(on, &temporary, &item) {
                self.complain(io, "receiver", &item, error);
            }
            if self.options.progress {
                io.say(self.stats.progress(self.items.len() - self.next, self.items.len()));
                self.line_is_open = true;
            }
        }
        Ok(MAKING + self.sending(on, piece.len()))
    }

    /// How long it takes to send so many bytes.
    fn sending(&self, on: &Machine<'_>, bytes: usize) -> Duration {
        let disk = 200_000_000;
        let wire = if self.far().is_some() { on.state.network.bandwidth } else { disk };
        let rate = self.options.bandwidth.unwrap_or(u64::MAX).min(wire).max(1);
        Duration::from_micros(u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000) / rate)
    }

    /// A file is whole: into its place, or to where it waits for the others.
    fn finish(&mut self, on: &mut Machine<'_>, temporary: &str, item: &Item) -> Result<(), DiskError> {
        let holding = self.options.to.below(&holding(&item.path));
        let delayed = self.options.delay_updates;
        self.change(
            on,
            |to, path| {
                let now = to.machine.now();
                let (disk, rest) = to.machine.disk_mut(temporary);
                disk.set_mode(&rest, item.mode, now)?;
                disk.set_modified(&rest, item.modified, now)?;
                if delayed {
                    return to.hold(temporary, &holding);
                }
                to.put(temporary, path)?;
                to.forget(&holding)
            },
            &item.path,
        )?;
        if delayed {
            self.held.push(item.path.clone());
        }
        Ok(())
    }

    /// What was written of the current file is kept for the next time, if the far side still can.
    fn keep_partial(&mut self, on: &mut Machine<'_>) {
        let Some(current) = self.current.take() else { return };
        if self.severed || !self.options.partial {
            return;
        }
        let temporary = self.options.to.below(&current.temporary);
        let holding = self.options.to.below(&holding(&self.items[current.item].path));
        // When even that cannot be done, the temporary file stays, as it would.
        let _: Result<(), DiskError> = self.change(on, |to, _| to.hold(&temporary, &holding), "");
    }

    /// Everything is there: what was held goes into its place.
    fn place(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        const PLACED: usize = 8;
        let some: Vec<String> = self.held.drain(..self.held.len().min(PLACED)).collect();
        for path in &some {
            let from = self.options.to.below(&holding(path));
            let placed = self.change(
                on,
                |to, path| {
                    to.put(&from, path)?;
                    to.forget(&from)
                },
                path,
            );
            if let Err(error) = placed {
                let (full, error) = (self.options.to.below(path), numbered(error));
                io.complain(format!("rsync: [receiver] rename failed for \"{full}\" (from {from}): {error}"));
                self.problems = true;
            }
        }
        if self.held.is_empty() {
            for number in std::mem::take(&mut self.late) {
                let item = self.items[number].clone();
                let Some(leader) = &item.leader else { continue };
                let first = self.options.to.below(leader);
                let linked = self.change(
                    on,
                    |to, path| {
                        to.clear(path)?;
                        to.link(&first, path)
                    },
                    &item.path,
                );
                if let Err(error) = linked {
                    self.complain(io, "generator", &item, error);
                }
            }
            self.phase = Phase::Remove;
        }
        Slice::Busy(Duration::from_millis(if some.is_empty() { 1 } else { 10 }))
    }

    fn remove(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if self.options.delete.is_none() {
            self.phase = Phase::Times;
            return Slice::Busy(Duration::from_millis(1));
        }
        if self.removal.is_none() {
            self.removal = Some(Removal::plan(&self.options, &self.items, on));
        }
        self.break_line(io);
        let Some(removal) = &mut self.removal else { return Slice::Busy(Duration::ZERO) };
        match removal.slice(&self.options, &mut self.stats.deleted, on, io) {
            Ok(Some(slice)) => return slice,
            Ok(None) => {}
            Err(error) => {
                io.complain(format!("rsync: [generator] delete_file: unlink failed: {}", numbered(error)));
                self.problems = true;
            }
        }
        self.phase = Phase::Times;
        Slice::Busy(Duration::from_millis(1))
    }

    /// Folders get their modes and times last, because all that was made in them changed these.
    fn end(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let touches = !self.options.existing && !self.options.ignore_existing;
        for item in self.items.iter().rev().filter(|item| item.is_folder() && touches) {
            let dated = !self.options.omit_folder_times;
            let set = self.change(
                on,
                |to, path| {
                    let now = to.machine.now();
                    let (disk, rest) = to.machine.disk_mut(path);
                    disk.set_mode(&rest, item.mode, now)?;
                    if dated { disk.set_modified(&rest, item.modified, now) } else { Ok(()) }
                },
                &item.path,
            );
            self.problems |= set.is_err();
        }
        if self.options.progress {
            io.say(self.stats.progress(0, self.items.len()));
            io.say("\n");
        }
        io.say(self.stats.text(self.options.dry_run));
        let mut code = 0;
        if let Some(skipped) = self.removal.as_ref().map(|removal| removal.skipped).filter(|skipped| *skipped > 0) {
            io.complain(format!("Deletions stopped due to --max-delete limit ({skipped} skipped)"));
            code = 25;
        }
        if self.vanished {
            code = 24;
        }
        if self.problems {
            code = 23;
        }
        if code != 0 {
            io.complain(words::error(code, self.who()));
        }
        Slice::Ended(code, Duration::from_millis(20))
    }
}

impl Process for Rsync {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let complaints = io.err.len();
        let slice = self.wait(on, io).unwrap_or_else(|| self.act(on, io));
        if io.err.len() > complaints {
            self.break_line(io);
        }
        slice
    }
}

impl Rsync {
    fn act(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let done = match self.phase {
            Phase::Begin => self.begin(on, io),
            Phase::Copy => self.copy(on, io),
            Phase::Place => Ok(self.place(on, io)),
            Phase::Remove => Ok(self.remove(on, io)),
            Phase::Times => Ok(self.end(on, io)),
        };
        done.unwrap_or_else(|Fatal(code)| Slice::Ended(code, Duration::from_millis(20)))
    }
}
