//! One entry of the list: compared with what is at the destination, made when that needs no sending, linked when an
//! earlier copy has the same.

use std::collections::{BTreeMap, BTreeSet};

use super::super::list::{Item, Kind};
use super::super::there::{There, below, numbered, split};
use super::super::words::{Difference, shown};
use super::{Current, Rsync};
use crate::world::disk::{DiskError, Inode, Node};
use crate::world::host::{Io, Machine};

impl Rsync {
    /// Of the names of one file the first that is at the destination is compared and sent, or the last one when none
    /// is; the names before it are linked right after it.
    pub(super) fn choose_leaders(&mut self, on: &mut Machine<'_>) {
        let to = self.options.to.machine(on);
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, item) in self.items.iter().enumerate() {
            if let Some(first) = &item.leader {
                groups.entry(first.clone()).or_default().push(number);
            }
        }
        let mut moved: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        for (first, others) in groups {
            let Some(first) = self.items.iter().position(|item| item.path == first) else { continue };
            let names: Vec<usize> = std::iter::once(first).chain(others).collect();
            let is_there = |number: &&usize| to.stat(&self.options.to.below(&self.items[**number].path)).is_ok();
            let Some(chosen) = names.iter().find(is_there).or(names.last()).copied() else { continue };
            let leader = self.items[chosen].path.clone();
            for number in names {
                self.items[number].leader = (number != chosen).then(|| leader.clone());
                if number < chosen {
                    gone.insert(number);
                    moved.entry(chosen).or_default().push(self.items[number].clone());
                }
            }
        }
        let mut ordered = Vec::with_capacity(self.items.len());
        for (number, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            if !gone.contains(&number) {
                ordered.push(item);
            }
            ordered.extend(moved.remove(&number).unwrap_or_default());
        }
        self.items = ordered;
    }

    pub(super) fn complain(&mut self, io: &mut Io<'_>, who: &str, item: &Item, error: DiskError) {
        let path = self.options.to.below(&item.path);
        io.complain(format!("rsync: [{who}] \"{path}\" failed: {}", numbered(error)));
        self.problems = true;
    }

    fn there(&self, on: &mut Machine<'_>, path: &str) -> Option<Inode> {
        self.options.to.machine(on).stat(&self.options.to.below(path)).ok().cloned()
    }

    /// The same entry in one of the earlier copies.
    fn earlier(&self, on: &mut Machine<'_>, item: &Item) -> Option<(String, Inode)> {
        let ours = self.options.checksum && matches!(item.kind, Kind::File);
        let ours = ours.then(|| self.options.from.machine(on).read(&self.options.from.below(&item.path)));
        let to = self.options.to.machine(on);
        self.options.link_dest.iter().find_map(|folder| {
            let path = format!("{}/{}", folder.trim_end_matches('/'), item.path);
            let inode = to.stat(&path).ok()?;
            let same = match (&item.kind, &inode.node) {
                (Kind::File, Node::File(content)) => match &ours {
                    Some(ours) => ours.as_ref() == Ok(content),
                    None => item.size == inode.size() && item.modified.as_second() == inode.modified.as_second(),
                },
                (Kind::Link(a), Node::Link(b)) => a == b,
                (Kind::Folder, Node::Folder(_)) => true,
                _ => false,
            };
            same.then(|| (path, inode.clone()))
        })
    }

    /// True when one of the earlier copies has a file of this name at all: then it is not counted as new.
    fn is_known(&self, on: &mut Machine<'_>, item: &Item) -> bool {
        let to = self.options.to.machine(on);
        self.options.link_dest.iter().any(|folder| {
            let there = to.stat(&format!("{}/{}", folder.trim_end_matches('/'), item.path));
            there.is_ok_and(|inode| matches!(inode.node, Node::File(_)))
        })
    }

    /// A message begins on a line of its own, also after progress.
    pub(super) fn break_line(&mut self, io: &mut Io<'_>) {
        if std::mem::take(&mut self.line_is_open) {
            io.say("\n");
        }
    }

    pub(super) fn itemize(&mut self, io: &mut Io<'_>, difference: Difference, update: char, item: &Item, behind: &str) {
        if self.options.itemize && difference.any() {
            self.break_line(io);
            io.say(difference.line(update, item, behind));
        }
    }

    /// Compares one entry, and makes it if that needs no sending.
    pub(super) fn entry(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>, item: &Item) -> Result<(), DiskError> {
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
                        disk.set_modified(&rest, modified, now)
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
                    let now = to.machine.now();
                    let (disk, rest) = to.machine.disk_mut(path);
                    disk.set_mode(&rest, mode, now)?;
                    disk.set_modified(&rest, modified, now)
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
                    let now = to.machine.now();
                    let (disk, rest) = to.machine.disk_mut(path);
                    disk.set_mode(&rest, mode, now)?;
                    disk.set_modified(&rest, modified, now)
                },
                &item.path,
            );
        }
        if difference.new && !self.is_known(on, item) {
            self.stats.created.add(&item.kind);
        }
        let sent = Difference { content: self.options.checksum && !difference.new, ..difference };
        self.itemize(io, sent, if self.options.to.is_far() { '<' } else { '>' }, item, "");
        self.sent.insert(item.path.clone());
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
        let same = number(&own).is_some() && number(&own) == number(&first);
        // One that is only looked at is still the same when it is to be sent anew.
        if !held && same && !self.sent.contains(leader) {
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
    pub(super) fn change(
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
}
