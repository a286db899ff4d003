//! What rsync does at the destination, in the order in which nothing that is there is written into.

use super::args::PARTIAL;
use crate::world::disk::{DiskError, Inode, Node};
use crate::world::host::Machine;

/// The destination's host, to change it. Paths are whole.
pub(super) struct There<'a> {
    pub(super) machine: Machine<'a>,
    /// A folder with something in it may be removed to make way.
    pub(super) may_clear: bool,
}

impl There<'_> {
    /// Makes way for something of another kind.
    pub(super) fn clear(&mut self, path: &str) -> Result<(), DiskError> {
        let (now, all) = (self.machine.now(), self.may_clear);
        let (disk, rest) = self.machine.disk_mut(path);
        let removed = if all { disk.remove_all(&rest, now) } else { disk.remove(&rest, now) };
        match removed {
            Ok(()) | Err(DiskError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a file of the same disk another name.
    pub(super) fn link(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let now = self.machine.now();
        let (_, first, _) = self.machine.resolve(from);
        let (disk, rest) = self.machine.disk_mut(to);
        disk.hard_link(&first, &rest, now)
    }

    /// Renames into place, over what is there.
    pub(super) fn put(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
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
    pub(super) fn hold(&mut self, from: &str, holding: &str) -> Result<(), DiskError> {
        let now = self.machine.now();
        let (folder, _) = split(holding);
        let (disk, rest) = self.machine.disk_mut(folder);
        match disk.make_folder(&rest, 0o700, now) {
            Ok(()) | Err(DiskError::Exists) => self.put(from, holding),
            Err(error) => Err(error),
        }
    }

    /// Removes what may wait there from an earlier time, and the folder when it is empty.
    pub(super) fn forget(&mut self, holding: &str) -> Result<(), DiskError> {
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
pub(super) fn holding(path: &str) -> String {
    let (folder, name) = split(path);
    below(folder, &format!("{PARTIAL}/{name}"))
}

/// Folder and name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A name in a folder, which may be the top.
pub(super) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// An error with its number, as rsync shows it.
pub(super) fn numbered(error: DiskError) -> String {
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
