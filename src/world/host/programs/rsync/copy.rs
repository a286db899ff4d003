//! rsync while it runs: the list, the copying, what is put in place late, what is removed, the times of folders.

use std::time::Duration;

use bytes::Bytes;

use super::args::{Options, PARTIAL};
use super::end::{ALIVE, CONNECTING, End, Way};
use super::list::{Item, Kind, list};
use super::remove::Removal;
use super::words::{self, Difference, Stats, shown};
use crate::world::disk::{DiskError, Inode, Node};
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
pub(super) struct Rsync {
    options: Options,
    phase: Phase,
    items: Vec<Item>,
    next: usize,
    current: Option<Current>,
    /// What is whole, but not in place yet, by the path it gets.
    held: Vec<String>,
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
            late: Vec::new(),
            removal: None,
            stats: Stats::default(),
            problems: false,
            vanished: false,
            connected: false,
            severed: false,
            silence: Duration::ZERO,
        }
    }

    fn who(&self) -> &'static str {
        if self.options.from.is_far() { "receiver" } else { "sender" }
    }

    fn far(&self) -> Option<&End> {
        [&self.options.to, &self.options.from].into_iter().find(|end| end.is_far())
    }

    /// Waits while nothing comes back from the other host; says how it ends when that was too long.
    fn wait(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Option<Slice> {
        const STEP: Duration = Duration::from_secs(5);
        let far = self.far()?;
        let (way, address) = (far.way(on), far.address().to_owned());
        let lost = |this: &mut Self, on: &mut Machine<'_>, io: &mut Io<'_>, said: String| {
            this.keep_partial(on);
            io.complain(said);
            io.complain(format!("rsync: connection unexpectedly closed (0 bytes received so far) [{}]", this.who()));
            io.complain(words::error(255, this.who()));
            Some(Slice::Ended(255, Duration::from_secs(3)))
        };
        match way {
            Way::Open if self.severed => {
                return lost(self, on, io, "client_loop: send disconnect: Broken pipe".to_owned());
            }
            Way::Open => {
                (self.connected, self.silence) = (true, Duration::ZERO);
                return None;
            }
            Way::Off if !self.connected => {
                return lost(self, on, io, format!("ssh: connect to host {address} port 22: No route to host"));
            }
            Way::Off => self.severed = true,
            Way::Stalled => self.connected = true,
            Way::Silent => {}
        }
        self.silence += STEP;
        let patience = self.options.timeout.map_or(Duration::MAX, Duration::from_secs);
        if way == Way::Stalled {
            if self.silence < patience {
                return Some(Slice::Busy(STEP));
            }
            io.complain(format!("[{}] io timeout after {} seconds -- exiting", self.who(), patience.as_secs()));
            io.complain(words::error(30, self.who()));
            return Some(Slice::Ended(30, STEP));
        }
        let limit = if self.connected { ALIVE } else { CONNECTING };
        if self.silence < limit {
            return Some(Slice::Busy(STEP));
        }
        let said = if self.connected {
            format!("Timeout, server {address} not responding.")
        } else {
            format!("ssh: connect to host {address} port 22: Connection timed out")
        };
        lost(self, on, io, said)
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
        for item in &self.items {
            self.stats.all.add(&item.kind);
            self.stats.bytes += item.size;
        }
        let path = self.options.to.path.clone();
        let mut to = self.options.to.machine(on);
        let there = to.stat(&path).map(|inode| matches!(inode.node, Node::Folder(_)));
        match there {
            Ok(true) => {}
            Err(DiskError::Missing) if self.options.dry_run => {}
            Ok(false) | Err(_) => {
                let mode = self.items.first().map_or(0o755, |top| top.mode | 0o700);
                let now = to.now();
                let (disk, rest) = to.disk_mut(&path);
                if let Err(error) = disk.make_folder(&rest, mode, now) {
                    io.complain(format!("rsync: [Receiver] mkdir \"{path}\" failed: {}", numbered(error)));
                    io.complain("rsync error: error in file IO (code 11) at main.c(800) [Receiver=3.5.0]");
                    return Err(Fatal(11));
                }
                self.count_top();
            }
        }
        self.phase = Phase::Copy;
        let entries = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        Ok(Slice::Busy(Duration::from_millis(150) + Duration::from_micros(200) * entries))
    }

    /// The top was made before anything was compared.
    fn count_top(&mut self) {
        if let Some(top) = self.items.first() {
            self.stats.created.add(&top.kind);
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

    fn complain(&mut self, io: &mut Io<'_>, who: &str, item: &Item, error: DiskError) {
        let path = self.options.to.below(&item.path);
        io.complain(format!("rsync: [{who}] \"{path}\" failed: {}", numbered(error)));
        self.problems = true;
    }

    fn there(&self, on: &mut Machine<'_>, path: &str) -> Option<Inode> {
        self.options.to.machine(on).stat(&self.options.to.below(path)).ok().cloned()
    }

    /// The same entry in one of the earlier copies.
    fn earlier(&self, on: &mut Machine<'_>, item: &Item) -> Option<(String, Inode)> {
        let to = self.options.to.machine(on);
        self.options.link_dest.iter().find_map(|folder| {
            let path = format!("{}/{}", folder.trim_end_matches('/'), item.path);
            let inode = to.stat(&path).ok()?;
            let same = match (&item.kind, &inode.node) {
                (Kind::File, Node::File(_)) => {
                    item.size == inode.size() && item.modified.as_second() == inode.modified.as_second()
                }
                (Kind::Link(a), Node::Link(b)) => a == b,
                (Kind::Folder, Node::Folder(_)) => true,
                _ => false,
            };
            same.then(|| (path, inode.clone()))
        })
    }

    fn itemize(&self, io: &mut Io<'_>, difference: Difference, update: char, item: &Item, behind: &str) {
        if self.options.itemize && difference.any() {
            io.say(difference.line(update, item, behind));
        }
    }

    /// Compares one entry, and makes it if that needs no sending.
    fn entry(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>, item: &Item) -> Result<(), DiskError> {
        let there = self.there(on, &item.path);
        let mut difference = Difference::of(item, there.as_ref());
        if there.is_none() && self.options.existing {
            return Ok(());
        }
        if there.is_some() && self.options.ignore_existing && !item.is_folder() {
            return Ok(());
        }
        match &item.kind {
            Kind::Folder => {
                difference.time &= !self.options.omit_folder_times;
                let is_folder = matches!(there, Some(Inode { node: Node::Folder(_), .. }));
                if is_folder {
                    if !self.options.ignore_existing {
                        self.itemize(io, difference, '.', item, "");
                    }
                    return Ok(());
                }
                if self.earlier(on, item).is_none() {
                    self.stats.created.add(&item.kind);
                }
                self.itemize(io, difference, 'c', item, "");
                self.change(
                    on,
                    |to, path| {
                        to.clear(path)?;
                        let (now, mode) = (to.machine.now(), item.mode | 0o700);
                        let (disk, rest) = to.machine.disk_mut(path);
                        disk.make_folder(&rest, mode, now)
                    },
                    &item.path,
                )
            }
            Kind::Link(target) => {
                if !difference.new && !difference.content && matches!(there, Some(Inode { node: Node::Link(_), .. })) {
                    self.itemize(io, difference, '.', item, "");
                    return Ok(());
                }
                let earlier = if difference.new { self.earlier(on, item) } else { None };
                if earlier.is_none() {
                    if difference.new {
                        self.stats.created.add(&item.kind);
                    }
                    self.itemize(io, difference, 'c', item, &format!(" -> {}", shown(target)));
                }
                let modified = item.modified;
                self.change(
                    on,
                    |to, path| {
                        to.clear(path)?;
                        if let Some((from, _)) = &earlier {
                            return to.link(from, path);
                        }
                        let now = to.machine.now();
                        let (disk, rest) = to.machine.disk_mut(path);
                        disk.make_link(&rest, target, now)?;
                        disk.set_modified(&rest, modified)
                    },
                    &item.path,
                )
            }
            Kind::File => self.file(on, io, item, there.as_ref(), difference),
        }
    }

    fn file(
        &mut self,
        on: &mut Machine<'_>,
        io: &mut Io<'_>,
        item: &Item,
        there: Option<&Inode>,
        difference: Difference,
    ) -> Result<(), DiskError> {
        if let Some(leader) = &item.leader {
            return self.other_name(on, io, item, leader, difference);
        }
        let is_file = matches!(there, Some(Inode { node: Node::File(_), .. }));
        let same_content = is_file
            && if self.options.checksum {
                let ours = self.options.from.machine(on).read(&self.options.from.below(&item.path));
                ours == self.options.to.machine(on).read(&self.options.to.below(&item.path))
            } else {
                !difference.size && !difference.time
            };
        if same_content {
            self.itemize(io, difference, '.', item, "");
            if !difference.any() {
                return Ok(());
            }
            let (mode, modified) = (item.mode, item.modified);
            return self.change(
                on,
                |to, path| {
                    let (disk, rest) = to.machine.disk_mut(path);
                    disk.set_mode(&rest, mode)?;
                    disk.set_modified(&rest, modified)
                },
                &item.path,
            );
        }
        if there.is_none()
            && let Some((from, inode)) = self.earlier(on, item)
        {
            let (mode, modified) = (item.mode, item.modified);
            return self.change(
                on,
                |to, path| {
                    if inode.mode == mode {
                        return to.link(&from, path);
                    }
                    // All must match for a link; else it is copied from there, and nothing is said.
                    let content = to.machine.read(&from)?;
                    to.machine.write(path, content, mode)?;
                    let (disk, rest) = to.machine.disk_mut(path);
                    disk.set_mode(&rest, mode)?;
                    disk.set_modified(&rest, modified)
                },
                &item.path,
            );
        }
        if difference.new {
            self.stats.created.add(&item.kind);
        }
        let sent = Difference { content: self.options.checksum && !difference.new, ..difference };
        self.itemize(io, sent, if self.options.to.is_far() { '<' } else { '>' }, item, "");
        self.stats.transferred += 1;
        self.stats.transferred_bytes += item.size;
        if self.options.dry_run {
            return Ok(());
        }
        let full = self.options.from.below(&item.path);
        let Ok(content) = self.options.from.machine(on).read(&full) else {
            io.complain(format!("file has vanished: \"{full}\""));
            self.vanished = true;
            return Ok(());
        };
        let (folder, name) = split(&item.path);
        let temporary = below(folder, &format!(".{name}.{:06x}", self.next));
        self.current = Some(Current { item: self.next - 1, content, sent: 0, temporary });
        Ok(())
    }

    /// Another name of a file that came before.
    fn other_name(
        &mut self,
        on: &mut Machine<'_>,
        io: &mut Io<'_>,
        item: &Item,
        leader: &str,
        difference: Difference,
    ) -> Result<(), DiskError> {
        let (first, own) = (self.options.to.below(leader), self.options.to.below(&item.path));
        let to = self.options.to.machine(on);
        let number = |path: &str| {
            let (disk, rest) = to.disk(path);
            disk.number(&rest).ok()
        };
        let held = self.held.iter().any(|path| path == leader);
        if !held && number(&own).is_some() && number(&own) == number(&first) {
            return Ok(());
        }
        // Names of one file that an earlier copy has too are not counted there either.
        let linked_before = difference.new && self.earlier(on, item).is_some();
        if difference.new && !linked_before {
            self.stats.created.add(&item.kind);
        }
        let behind = if difference.new { format!(" => {}", shown(leader)) } else { String::new() };
        if !linked_before {
            self.itemize(io, difference, 'h', item, &behind);
        }
        if held {
            self.late.push(self.next - 1);
            return Ok(());
        }
        self.change(
            on,
            |to, path| {
                to.clear(path)?;
                to.link(&first, path)
            },
            &item.path,
        )
    }

    /// Changes something at the destination, unless it is only a look.
    fn change(
        &self,
        on: &mut Machine<'_>,
        act: impl FnOnce(&mut There<'_>, &str) -> Result<(), DiskError>,
        path: &str,
    ) -> Result<(), DiskError> {
        if self.options.dry_run {
            return Ok(());
        }
        let mut there = There { machine: self.options.to.machine(on), may_clear: self.options.delete.is_some() };
        act(&mut there, &self.options.to.below(path))
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
                let (disk, rest) = to.machine.disk_mut(temporary);
                disk.set_mode(&rest, item.mode)?;
                disk.set_modified(&rest, item.modified)?;
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
                    let (disk, rest) = to.machine.disk_mut(path);
                    disk.set_mode(&rest, item.mode)?;
                    if dated { disk.set_modified(&rest, item.modified) } else { Ok(()) }
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
        if let Some(slice) = self.wait(on, io) {
            return slice;
        }
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

/// The destination's host, to change it. Paths are whole.
struct There<'a> {
    machine: Machine<'a>,
    may_clear: bool,
}

impl There<'_> {
    /// Makes way for something of another kind.
    fn clear(&mut self, path: &str) -> Result<(), DiskError> {
        let (now, all) = (self.machine.now(), self.may_clear);
        let (disk, rest) = self.machine.disk_mut(path);
        let removed = if all { disk.remove_all(&rest, now) } else { disk.remove(&rest, now) };
        match removed {
            Ok(()) | Err(DiskError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a file of the same disk another name.
    fn link(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let now = self.machine.now();
        let (_, first, _) = self.machine.resolve(from);
        let (disk, rest) = self.machine.disk_mut(to);
        disk.hard_link(&first, &rest, now)
    }

    /// Renames into place, over what is there.
    fn put(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let is_folder = matches!(self.machine.stat(to), Ok(Inode { node: Node::Folder(_), .. }));
        if is_folder {
            self.clear(to)?;
        }
        let now = self.machine.now();
        let (_, first, _) = self.machine.resolve(from);
        let (disk, rest) = self.machine.disk_mut(to);
        disk.rename(&first, &rest, now)
    }

    /// Puts a file where it waits.
    fn hold(&mut self, from: &str, holding: &str) -> Result<(), DiskError> {
        let now = self.machine.now();
        let (folder, _) = split(holding);
        let (disk, rest) = self.machine.disk_mut(folder);
        match disk.make_folder(&rest, 0o700, now) {
            Ok(()) | Err(DiskError::Exists) => self.put(from, holding),
            Err(error) => Err(error),
        }
    }

    /// Removes what may wait there from an earlier time, and the folder when it is empty.
    fn forget(&mut self, holding: &str) -> Result<(), DiskError> {
        let now = self.machine.now();
        for path in [holding, split(holding).0] {
            let (disk, rest) = self.machine.disk_mut(path);
            match disk.remove(&rest, now) {
                Ok(()) | Err(DiskError::Missing | DiskError::NotEmpty) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Where a file waits, relative to the top.
fn holding(path: &str) -> String {
    let (folder, name) = split(path);
    below(folder, &format!("{PARTIAL}/{name}"))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// An error with its number, as rsync shows it.
fn numbered(error: DiskError) -> String {
    let number = match error {
        DiskError::Missing => 2,
        DiskError::Exists => 17,
        DiskError::NotFolder => 20,
        DiskError::IsFolder => 21,
        DiskError::NotEmpty => 39,
        DiskError::Full => 28,
        DiskError::ReadOnly => 30,
        DiskError::Broken => 5,
    };
    format!("{error} ({number})")
}
