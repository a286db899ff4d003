//! What rsync finds in a folder, in its order, and what its filters leave out.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::glob::Pattern;
use super::args::PARTIAL;
use super::end::End;
use crate::world::disk::{Disk, DiskError, Node};
use crate::world::host::Machine;

/// `--include` or `--exclude`.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of a pattern")]
pub(super) struct Rule {
    include: bool,
    pattern: Pattern,
    /// Only at the top.
    anchored: bool,
    /// Fits the whole path, not only the last name.
    whole: bool,
    folders_only: bool,
}

impl Rule {
    pub(super) fn new(include: bool, text: &str) -> Self {
        let anchored = text.starts_with('/');
        let bare = text.trim_matches('/');
        let whole = anchored || bare.contains('/') || bare.contains("**");
        Self { include, pattern: Pattern::rsync(bare), anchored, whole, folders_only: text.ends_with('/') }
    }

    fn fits(&self, path: &str, is_folder: bool) -> bool {
        if self.folders_only && !is_folder {
            return false;
        }
        let starts = std::iter::once(0).chain(path.match_indices('/').map(|(at, _)| at + 1));
        if self.anchored {
            self.pattern.fits(path)
        } else if self.whole {
            starts.into_iter().any(|at| self.pattern.fits(&path[at..]))
        } else {
            self.pattern.fits(path.rsplit('/').next().unwrap_or(path))
        }
    }
}

/// True when the filters leave a path out. The first rule that fits decides.
pub(super) fn excluded(rules: &[Rule], path: &str, is_folder: bool) -> bool {
    let own = is_folder && path.rsplit('/').next() == Some(PARTIAL);
    rules.iter().find(|rule| rule.fits(path, is_folder)).map_or(own, |rule| !rule.include)
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link(String),
}

/// An entry of the list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Relative to the top; empty for the top itself.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) modified: Timestamp,
    /// Of a file, or the length of a link's target.
    pub(super) size: u64,
    /// The path of the first name of the same file, if this is another one.
    pub(super) leader: Option<String>,
}

impl Item {
    pub(super) fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

/// Everything in a folder that is not left out, the top first; in each folder what is no folder comes first.
pub(super) fn list(at: &End, on: &mut Machine<'_>, rules: &[Rule]) -> Result<Vec<Item>, DiskError> {
    let machine = at.machine(on);
    let (disk, path) = machine.disk(&at.path);
    let mut listing = Listing { disk, rules, names: BTreeMap::new(), items: Vec::new() };
    listing.enter(&path, "")?;
    Ok(listing.items)
}

struct Listing<'a> {
    disk: &'a Disk,
    rules: &'a [Rule],
    /// The first name of each file, by its number.
    names: BTreeMap<u64, String>,
    items: Vec<Item>,
}

impl Listing<'_> {
    fn enter(&mut self, on_disk: &str, path: &str) -> Result<(), DiskError> {
        self.add(on_disk, path)?;
        let names = self.disk.list(on_disk)?;
        let mut folders = Vec::new();
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let there = format!("{}/{name}", on_disk.trim_end_matches('/'));
            let is_folder = matches!(self.disk.stat(&there)?.node, Node::Folder(_));
            if excluded(self.rules, &below, is_folder) {
                continue;
            }
            if is_folder {
                folders.push((there, below));
            } else {
                self.add(&there, &below)?;
            }
        }
        for (there, below) in folders {
            self.enter(&there, &below)?;
        }
        Ok(())
    }

    fn add(&mut self, on_disk: &str, path: &str) -> Result<(), DiskError> {
        let inode = self.disk.stat(on_disk)?;
        let (kind, size) = match &inode.node {
            Node::File(content) => (Kind::File, content.len() as u64),
            Node::Folder(_) => (Kind::Folder, 0),
            Node::Link(target) => (Kind::Link(target.clone()), target.len() as u64),
        };
        let mut leader = None;
        if kind == Kind::File && inode.links > 1 {
            let number = self.disk.number(on_disk)?;
            leader = self.names.get(&number).cloned();
            self.names.entry(number).or_insert_with(|| path.to_owned());
        }
        let (mode, modified) = (inode.mode, inode.modified);
        self.items.push(Item { path: path.to_owned(), kind, mode, modified, size, leader });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_fit_as_rsync_reads_them() {
        let out = |pattern: &str, path: &str, is_folder| excluded(&[Rule::new(false, pattern)], path, is_folder);
        assert!(out("/index-*", "index-7", false) && !out("/index-*", "a/index-7", false));
        assert!(out("*.tmp", "a/b.tmp", false) && !out("*.tmp", "a.tmp/b", false));
        assert!(out("cache/", "a/cache", true) && !out("cache/", "a/cache", false));
        assert!(out("a/b", "x/a/b", false) && !out("a/b", "xa/b", false));
        assert!(out("/a/**", "a/b/c", false) && !out("/a/*", "a/b/c", false));
        assert!(out("x", ".rsync-partial", true) && !out("x", ".rsync-partial", false));
        let both = [Rule::new(true, "keep.tmp"), Rule::new(false, "*.tmp")];
        assert!(!excluded(&both, "keep.tmp", false) && excluded(&both, "other.tmp", false));
    }
}
