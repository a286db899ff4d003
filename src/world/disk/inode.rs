//! What is on a disk, and why something could not be done to it.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

/// Why something could not be done to a disk. Displays as the system's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskError {
    /// Nothing has this name.
    Missing,
    /// The name is taken.
    Exists,
    /// A part of the path is a file.
    NotFolder,
    /// It is a folder.
    IsFolder,
    /// The folder holds something.
    NotEmpty,
    /// No room.
    Full,
    /// Nothing may be changed.
    ReadOnly,
    /// The disk does not answer as it should.
    Broken,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missing => "No such file or directory",
            Self::Exists => "File exists",
            Self::NotFolder => "Not a directory",
            Self::IsFolder => "Is a directory",
            Self::NotEmpty => "Directory not empty",
            Self::Full => "No space left on device",
            Self::ReadOnly => "Read-only file system",
            Self::Broken => "Input/output error",
        })
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File(Bytes),
    /// A folder.
    Folder(BTreeMap<String, u64>),
    /// A symbolic link and its target. It is never followed.
    Link(String),
}

/// What is known of a file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub node: Node,
    /// Its permissions.
    pub mode: u16,
    /// Its number, which all its names share and no other file of the disk ever has.
    pub number: u64,
    /// When its content was changed last, or when somebody said that it was.
    pub modified: Timestamp,
    /// When anything of it was changed last. Nobody can set this time.
    pub changed: Timestamp,
    /// How many names it has.
    pub links: u32,
    /// How many bytes of a file survive a power cut.
    pub(super) synced: usize,
}

impl Inode {
    /// The bytes of a file; 0 for everything else.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.node {
            Node::File(content) => content.len() as u64,
            Node::Folder(_) | Node::Link(_) => 0,
        }
    }

    /// The letter `find` prints for its type.
    #[must_use]
    pub fn letter(&self) -> char {
        match self.node {
            Node::File(_) => 'f',
            Node::Folder(_) => 'd',
            Node::Link(_) => 'l',
        }
    }
}
