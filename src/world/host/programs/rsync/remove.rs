//! What rsync removes at the destination: in its order, and not more than it may.

use std::collections::BTreeSet;

use super::args::{Options, PARTIAL};
use super::list::{Item, excluded};
use super::words::{Tally, shown};
use crate::world::disk::{Disk, DiskError, Node};
use crate::world::host::{Io, Machine, Slice};

/// So many are removed in one slice.
const REMOVALS: usize = 16;

/// What is to be removed, and what was.
#[derive(Debug)]
pub(super) struct Removal {
    /// What goes next is last.
    doomed: Vec<(String, Node)>,
    removed: u64,
    /// How many stay because of the limit.
    pub(super) skipped: u64,
}

impl Removal {
    /// Finds what the source does not have.
    pub(super) fn plan(options: &Options, items: &[Item], on: &mut Machine<'_>) -> Self {
        let machine = options.to.machine(on);
        let (disk, top) = machine.disk(&options.to.path);
        let kept: BTreeSet<&str> = items.iter().map(|item| item.path.as_str()).collect();
        let mut finder = Finder { options, disk, top: &top, kept: &kept, doomed: Vec::new() };
        for folder in items.iter().filter(|item| item.is_folder()) {
            finder.folder(&folder.path, false);
        }
        let mut doomed = finder.doomed;
        doomed.reverse();
        Self { doomed, removed: 0, skipped: 0 }
    }

    /// Removes some; nothing when there is no more to do.
    pub(super) fn slice(
        &mut self,
        options: &Options,
        deleted: &mut Tally,
        on: &mut Machine<'_>,
        io: &mut Io<'_>,
    ) -> Result<Option<Slice>, DiskError> {
        if self.doomed.is_empty() {
            return Ok(None);
        }
        let mut machine = options.to.machine(on);
        let now = machine.now();
        for _ in 0..REMOVALS {
            let Some((path, node)) = self.doomed.pop() else { break };
            let is_folder = matches!(node, Node::Folder(_));
            let full = options.to.below(&path);
            let (disk, rest) = machine.disk_mut(&full);
            let holds = is_folder && disk.list(&rest).is_ok_and(|names| !names.is_empty());
            if holds && !options.dry_run {
                io.say(format!("cannot delete non-empty directory: {}\n", shown(&path)));
                continue;
            }
            if options.max_delete.is_some_and(|most| self.removed >= most) {
                self.skipped += 1;
                continue;
            }
            if !options.dry_run {
                match disk.remove(&rest, now) {
                    Ok(()) | Err(DiskError::Missing) => {}
                    Err(error) => return Err(error),
                }
            }
            self.removed += 1;
            deleted.add_node(&node);
            if options.itemize {
                io.say(format!("*deleting   {}{}\n", shown(&path), if is_folder { "/" } else { "" }));
            }
        }
        Ok(Some(Slice::Busy(std::time::Duration::from_millis(20))))
    }
}

struct Finder<'a> {
    options: &'a Options,
    disk: &'a Disk,
    top: &'a str,
    kept: &'a BTreeSet<&'a str>,
    doomed: Vec<(String, Node)>,
}

impl Finder<'_> {
    /// What is too much in a folder, the last first; all of it when the folder itself goes.
    fn folder(&mut self, path: &str, going: bool) {
        let there = if path.is_empty() { self.top.to_owned() } else { format!("{}/{path}", self.top) };
        let Ok(names) = self.disk.list(&there) else { return };
        let mut found = Vec::new();
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let Ok(inode) = self.disk.stat(&format!("{there}/{name}")) else { continue };
            let is_folder = matches!(inode.node, Node::Folder(_));
            // The own folder for what is not whole protects itself only where its folder stays.
            let own = going && is_folder && name == PARTIAL;
            let protected = !own && excluded(&self.options.rules, &below, is_folder);
            if !protected && (going || !self.kept.contains(below.as_str())) {
                found.push((is_folder, below, inode.node.clone()));
            }
        }
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (is_folder, below, node) in found.into_iter().rev() {
            if is_folder {
                self.folder(&below, true);
            }
            self.doomed.push((below, node));
        }
    }
}
