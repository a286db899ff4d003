//! A disk: a tree of files, folders and links with room for so many bytes. Knows nothing of hosts and mounts.
//!
//! What a power cut takes is modelled at the content: bytes that were not synced are lost, names are not.

mod inode;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

pub use inode::{DiskError, Inode, Node};

const ROOT: u64 = 0;
/// How many files, folders and links a disk can hold when nothing else is said: more than any story makes.
const INODES: u64 = 1 << 20;

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// How many bytes it can hold.
    pub capacity: u64,
    /// How many files, folders and links it can hold.
    pub inode_capacity: u64,
    /// Nothing may be changed.
    pub read_only: bool,
    /// How many times slower than usual it is.
    pub slowness: u32,
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    used: u64,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(capacity: u64, now: Timestamp) -> Self {
        let root = Inode {
            node: Node::Folder(BTreeMap::new()),
            mode: 0o755,
            number: ROOT,
            modified: now,
            changed: now,
            links: 1,
            synced: 0,
        };
        Self {
            capacity,
            inode_capacity: INODES,
            read_only: false,
            slowness: 1,
            inodes: [(ROOT, root)].into(),
            next: 1,
            used: 0,
        }
    }

    /// How many bytes its files take; what has several names counts once.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How many bytes are free.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// How many more files, folders and links it can hold.
    #[must_use]
    pub fn free_inodes(&self) -> u64 {
        self.inode_capacity.saturating_sub(self.inodes.len() as u64)
    }

    /// What `path` stands for.
    ///
    /// # Errors
    /// `Missing`, `NotFolder`.
    pub fn stat(&self, path: &str) -> Result<&Inode, DiskError> {
        self.find(path).map(|number| &self.inodes[&number])
    }

    /// A number that two names of the same file share.
    ///
    /// # Errors
    /// As [`Self::stat`].
    pub fn number(&self, path: &str) -> Result<u64, DiskError> {
        self.find(path)
    }

    /// True when there is something at `path`.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.find(path).is_ok()
    }

    /// The content of a file.
    ///
    /// # Errors
    /// As [`Self::stat`]; `IsFolder`.
    pub fn read(&self, path: &str) -> Result<Bytes, DiskError> {
        match &self.stat(path)?.node {
            Node::File(content) => Ok(content.clone()),
            Node::Folder(_) => Err(DiskError::IsFolder),
            Node::Link(_) => Err(DiskError::Missing),
        }
    }

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// As [`Self::stat`].
    pub fn list(&self, path: &str) -> Result<Vec<String>, DiskError> {
        match &self.stat(path)?.node {
            Node::Folder(names) => Ok(names.keys().cloned().collect()),
            Node::File(_) | Node::Link(_) => Err(DiskError::NotFolder),
        }
    }

    /// Everything below a folder, parents first, in the order of names; paths relative to it.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn walk(&self, path: &str) -> Result<Vec<(String, &Inode)>, DiskError> {
        let top = self.find(path)?;
        let mut found = Vec::new();
        self.descend(top, "", &mut found);
        Ok(found)
    }

    fn descend<'a>(&'a self, number: u64, prefix: &str, found: &mut Vec<(String, &'a Inode)>) {
        let Node::Folder(names) = &self.inodes[&number].node else { return };
        for (name, child) in names {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            found.push((path.clone(), &self.inodes[child]));
            self.descend(*child, &path, found);
        }
    }

    /// Writes a file whole, as a new file or over the one that is there (whose mode and other names stay).
    ///
    /// # Errors
    /// As [`Self::stat`]; `Full` with nothing written, `ReadOnly`.
    pub fn write(&mut self, path: &str, content: impl Into<Bytes>, mode: u16, now: Timestamp) -> Result<(), DiskError> {
        let content = content.into();
        self.may_change()?;
        let number = match self.find(path) {
            Ok(number) => number,
            Err(DiskError::Missing) => {
                let node = Node::File(Bytes::new());
                self.create(path, node, mode, now)?
            }
            Err(error) => return Err(error),
        };
        let Node::File(old) = &self.inodes[&number].node else { return Err(DiskError::IsFolder) };
        let (old, new) = (old.len() as u64, content.len() as u64);
        if new > old && new - old > self.free() {
            return Err(DiskError::Full);
        }
        self.used = self.used - old + new;
        let inode = self.inode(number)?;
        inode.node = Node::File(content);
        inode.modified = now;
        inode.changed = now;
        inode.synced = 0;
        Ok(())
    }

    /// Adds to the end of a file; makes it when it is not there. A disk that fills up on the way keeps what fitted.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn append(&mut self, path: &str, more: &[u8], mode: u16, now: Timestamp) -> Result<(), DiskError> {
        if matches!(self.find(path), Err(DiskError::Missing)) {
            self.write(path, Bytes::new(), mode, now)?;
        }
        self.read(path)?;
        self.may_change()?;
        let fits = usize::try_from(self.free()).unwrap_or(usize::MAX).min(more.len());
        let number = self.find(path)?;
        let inode = self.inode(number)?;
        let Node::File(content) = &mut inode.node else { return Err(DiskError::IsFolder) };
        // What nobody else reads grows where it is: a dump is appended to hundreds of times.
        let old = std::mem::take(content).try_into_mut();
        let mut grown = old.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        grown.extend_from_slice(&more[..fits]);
        *content = grown.freeze();
        inode.modified = now;
        self.used += fits as u64;
        if fits < more.len() { Err(DiskError::Full) } else { Ok(()) }
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// As [`Self::stat`] of its parent; `Exists`, `Full`, `ReadOnly`.
    pub fn make_folder(&mut self, path: &str, mode: u16, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        if self.exists(path) {
            return Err(DiskError::Exists);
        }
        self.create(path, Node::Folder(BTreeMap::new()), mode, now).map(drop)
    }

    /// Makes a folder and its missing parents; fine when it is there.
    ///
    /// # Errors
    /// As [`Self::make_folder`], but for `Exists` of a folder.
    pub fn make_folders(&mut self, path: &str, mode: u16, now: Timestamp) -> Result<(), DiskError> {
        if !self.read_only && self.stat(path).is_ok_and(|inode| matches!(inode.node, Node::Folder(_))) {
            return Ok(());
        }
        let mut so_far = String::new();
        for part in parts(path) {
            so_far.push('/');
            so_far.push_str(part);
            match self.make_folder(&so_far, mode, now) {
                Err(DiskError::Exists) => match self.stat(&so_far)?.node {
                    Node::Folder(_) => {}
                    Node::File(_) | Node::Link(_) => return Err(DiskError::NotFolder),
                },
                other => other?,
            }
        }
        Ok(())
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// As [`Self::make_folder`].
    pub fn make_link(&mut self, path: &str, target: &str, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        if self.exists(path) {
            return Err(DiskError::Exists);
        }
        self.create(path, Node::Link(target.to_owned()), 0o777, now).map(drop)
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// As [`Self::stat`]; `IsFolder`, `Exists`, `ReadOnly`.
    pub fn hard_link(&mut self, from: &str, to: &str, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        let number = self.find(from)?;
        if matches!(self.inodes[&number].node, Node::Folder(_)) {
            return Err(DiskError::IsFolder);
        }
        if self.exists(to) {
            return Err(DiskError::Exists);
        }
        self.enter(to, number, now)?;
        let inode = self.inode(number)?;
        inode.links += 1;
        inode.changed = now;
        Ok(())
    }

    /// Renames; a file at `to` is replaced in the same moment, an empty folder too.
    ///
    /// # Errors
    /// As [`Self::stat`]; `IsFolder`, `NotFolder`, `NotEmpty`, `ReadOnly`.
    pub fn rename(&mut self, from: &str, to: &str, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        let number = self.find(from)?;
        if let Ok(there) = self.find(to) {
            if there == number {
                return Ok(());
            }
            let moves_folder = matches!(self.inodes[&number].node, Node::Folder(_));
            match (&self.inodes[&there].node, moves_folder) {
                (Node::Folder(names), true) if !names.is_empty() => return Err(DiskError::NotEmpty),
                (Node::Folder(_), false) => return Err(DiskError::IsFolder),
                (Node::File(_) | Node::Link(_), true) => return Err(DiskError::NotFolder),
                _ => self.remove(to, now)?,
            }
        }
        self.enter(to, number, now)?;
        self.leave(from, now)?;
        self.inode(number)?.changed = now;
        Ok(())
    }

    /// Removes a file, a link or an empty folder.
    ///
    /// # Errors
    /// As [`Self::stat`]; `NotEmpty`, `ReadOnly`.
    pub fn remove(&mut self, path: &str, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        let number = self.find(path)?;
        if matches!(&self.inodes[&number].node, Node::Folder(names) if !names.is_empty()) {
            return Err(DiskError::NotEmpty);
        }
        self.leave(path, now)?;
        let inode = self.inode(number)?;
        inode.links -= 1;
        inode.changed = now;
        if inode.links == 0 {
            let size = inode.size();
            self.inodes.remove(&number);
            self.used -= size;
        }
        Ok(())
    }

    /// Removes a folder and all that is in it.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub fn remove_all(&mut self, path: &str, now: Timestamp) -> Result<(), DiskError> {
        if let Node::Folder(names) = &self.stat(path)?.node {
            for name in names.keys().cloned().collect::<Vec<_>>() {
                self.remove_all(&format!("{path}/{name}"), now)?;
            }
        }
        self.remove(path, now)
    }

    /// Sets the time of the content.
    ///
    /// # Errors
    /// As [`Self::stat`]; `ReadOnly`.
    pub fn set_modified(&mut self, path: &str, modified: Timestamp, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        let number = self.find(path)?;
        let inode = self.inode(number)?;
        inode.modified = modified;
        inode.changed = now;
        Ok(())
    }

    /// Sets the permissions.
    ///
    /// # Errors
    /// As [`Self::stat`]; `ReadOnly`.
    pub fn set_mode(&mut self, path: &str, mode: u16, now: Timestamp) -> Result<(), DiskError> {
        self.may_change()?;
        let number = self.find(path)?;
        let inode = self.inode(number)?;
        inode.mode = mode;
        inode.changed = now;
        Ok(())
    }

    /// Turns a bit of a file's byte `at` below the file system, which notices nothing: no time changes.
    ///
    /// # Errors
    /// As [`Self::read`]; `Broken` when the file ends before that byte.
    pub fn rot(&mut self, path: &str, at: usize) -> Result<(), DiskError> {
        let mut content = self.read(path)?.to_vec();
        *content.get_mut(at).ok_or(DiskError::Broken)? ^= 1;
        let number = self.find(path)?;
        self.inode(number)?.node = Node::File(content.into());
        Ok(())
    }

    /// Makes a file survive a power cut.
    ///
    /// # Errors
    /// As [`Self::stat`].
    pub fn sync(&mut self, path: &str) -> Result<(), DiskError> {
        let number = self.find(path)?;
        let inode = self.inode(number)?;
        inode.synced = usize::try_from(inode.size()).unwrap_or(usize::MAX);
        Ok(())
    }

    /// Makes everything survive a power cut.
    pub fn sync_all(&mut self) {
        for inode in self.inodes.values_mut() {
            inode.synced = usize::try_from(inode.size()).unwrap_or(usize::MAX);
        }
    }

    /// The power goes: files keep only what was synced. Returns how many lost something.
    pub fn lose_unsynced(&mut self) -> usize {
        let mut torn = 0;
        for inode in self.inodes.values_mut() {
            if let Node::File(content) = &mut inode.node
                && inode.synced < content.len()
            {
                self.used -= (content.len() - inode.synced) as u64;
                *content = content.slice(..inode.synced);
                torn += 1;
            }
        }
        torn
    }

    fn may_change(&self) -> Result<(), DiskError> {
        if self.read_only { Err(DiskError::ReadOnly) } else { Ok(()) }
    }

    fn inode(&mut self, number: u64) -> Result<&mut Inode, DiskError> {
        self.inodes.get_mut(&number).ok_or(DiskError::Broken)
    }

    fn find(&self, path: &str) -> Result<u64, DiskError> {
        let mut at = ROOT;
        for part in parts(path) {
            match &self.inodes[&at].node {
                Node::Folder(names) => at = *names.get(part).ok_or(DiskError::Missing)?,
                Node::File(_) | Node::Link(_) => return Err(DiskError::NotFolder),
            }
        }
        Ok(at)
    }

    fn create(&mut self, path: &str, node: Node, mode: u16, now: Timestamp) -> Result<u64, DiskError> {
        if self.free_inodes() == 0 {
            return Err(DiskError::Full);
        }
        let number = self.next;
        self.enter(path, number, now)?;
        self.next += 1;
        self.inodes.insert(number, Inode { node, mode, number, modified: now, changed: now, links: 1, synced: 0 });
        Ok(number)
    }

    /// Puts a name into its folder.
    fn enter(&mut self, path: &str, number: u64, now: Timestamp) -> Result<(), DiskError> {
        let (folder, name) = split(path).ok_or(DiskError::Exists)?;
        let folder = self.find(folder)?;
        let inode = self.inode(folder)?;
        let Node::Folder(names) = &mut inode.node else { return Err(DiskError::NotFolder) };
        names.insert(name.to_owned(), number);
        inode.modified = now;
        inode.changed = now;
        Ok(())
    }

    /// Takes a name out of its folder.
    fn leave(&mut self, path: &str, now: Timestamp) -> Result<(), DiskError> {
        let (folder, name) = split(path).ok_or(DiskError::Broken)?;
        let folder = self.find(folder)?;
        let inode = self.inode(folder)?;
        let Node::Folder(names) = &mut inode.node else { return Err(DiskError::NotFolder) };
        names.remove(name);
        inode.modified = now;
        inode.changed = now;
        Ok(())
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// The folder and the last name; nothing for the root.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let cut = path.rfind('/').map_or(0, |slash| slash + 1);
    let name = &path[cut..];
    (!name.is_empty()).then(|| (&path[..cut], name))
}

#[cfg(test)]
mod tests;
