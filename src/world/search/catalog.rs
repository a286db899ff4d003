//! The files of a repository: what they are called, what is in them, and what is wrong with them. The layout is the
//! real one: `index.latest`, `index-N`, `snap-<uuid>.dat`, `meta-<uuid>.dat`, and below `indices/<id>/<shard>/` data
//! files that are written once, `snap-<uuid>.dat` and the list of all of them, `index-<generation>`. Their content is
//! this program's own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::index::Segment;
use crate::world::disk::{Disk, DiskError};

/// What is wrong with a file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is not there.
    Missing(String),
    /// Its checksum is another.
    Rotten { blob: String, expected: String, actual: String },
    /// It cannot be understood.
    Unreadable(String),
    /// The disk says no.
    Io(DiskError),
}

impl Trouble {
    /// The server's name for it, and its words. `base` is where the repository is.
    pub(super) fn cause(&self, base: &str) -> (&'static str, String) {
        match self {
            Self::Missing(path) => ("no_such_file_exception", format!("{base}{path}")),
            Self::Rotten { blob, expected, actual } => ("corrupt_index_exception", corrupt(blob, expected, actual)),
            Self::Unreadable(why) => ("json_parse_exception", why.clone()),
            Self::Io(error) => ("i_o_exception", error.to_string()),
        }
    }

    /// The same as it stands in a list of nested exceptions.
    pub(super) fn nested(&self, base: &str) -> String {
        let (kind, words) = self.cause(base);
        let class: String = kind.split('_').map(capital).collect();
        format!("{class}[{words}]")
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_ascii_uppercase() + rest
}

fn corrupt(blob: &str, expected: &str, actual: &str) -> String {
    format!(
        "checksum failed (hardware problem?) : expected={expected} actual={actual} (resource=BufferedChecksumIndexInput(\
         (clone of) ChecksumBlobStoreFormat.readBlob(blob=\"{blob}\")))"
    )
}

/// `index-N`: everything that is in a repository.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Catalog {
    pub(super) snapshots: Vec<Listed>,
    pub(super) indices: BTreeMap<String, ListedIndex>,
    #[serde(default)]
    pub(super) index_metadata_identifiers: BTreeMap<String, String>,
}

/// A snapshot in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) state: u8,
    #[serde(default)]
    pub(super) index_metadata_lookup: BTreeMap<String, String>,
    pub(super) version: String,
}

/// An index in the list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct ListedIndex {
    pub(super) id: String,
    pub(super) shard_path_type: u8,
    pub(super) snapshots: Vec<String>,
    pub(super) shard_generations: Vec<Option<String>>,
}

/// A data file of a shard, as the lists name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    /// The name in the repository.
    pub(super) name: String,
    /// The name in the shard's own folder.
    pub(super) physical_name: String,
    pub(super) length: u64,
    pub(super) checksum: String,
}

/// `snap-<uuid>.dat` of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardSnapshot {
    pub(super) name: String,
    pub(super) files: Vec<DataFile>,
}

/// `index-<generation>` of a shard: which snapshot needs which files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ShardIndex {
    pub(super) files: Vec<DataFile>,
    /// By the identity of the snapshot.
    pub(super) snapshots: BTreeMap<String, Vec<String>>,
}

/// A repository on a disk.
pub(super) struct Files<'a> {
    pub(super) disk: &'a mut Disk,
    /// Where it is on the disk.
    pub(super) root: String,
    pub(super) wall: Timestamp,
}

impl Files<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }

    /// The number of the newest list; nothing in an empty repository.
    pub(super) fn newest(&self) -> Result<Option<u64>, Trouble> {
        let names = self.disk.list(&self.root).map_err(|error| match error {
            DiskError::Missing => Trouble::Missing(String::new()),
            other => Trouble::Io(other),
        })?;
        Ok(names.iter().filter_map(|name| name.strip_prefix("index-")?.parse().ok()).max())
    }

    /// The list of this number. It has no checksum, so that only what breaks its form is noticed.
    pub(super) fn catalog(&self, number: u64) -> Result<Catalog, Trouble> {
        let content = self.raw(&format!("/index-{number}"))?;
        serde_json::from_slice(&content).map_err(|error| Trouble::Unreadable(error.to_string()))
    }

    /// Writes the next list and points at it; the one before the last goes.
    pub(super) fn put_catalog(&mut self, number: u64, catalog: &Catalog) -> Result<(), Trouble> {
        let content = serde_json::to_vec(catalog).map_err(|error| Trouble::Unreadable(error.to_string()))?;
        self.put_raw(&format!("/index-{number}"), content)?;
        self.put_raw("/index.latest", number.to_be_bytes().to_vec())?;
        for old in 0..number {
            self.remove(&format!("/index-{old}"));
        }
        Ok(())
    }

    /// The bytes of a file.
    pub(super) fn raw(&self, name: &str) -> Result<bytes::Bytes, Trouble> {
        self.disk.read(&self.path(name)).map_err(|error| match error {
            DiskError::Missing => Trouble::Missing(name.to_owned()),
            other => Trouble::Io(other),
        })
    }

    /// Writes a file, its folders too. On a full disk an empty one is left, as the real server leaves it.
    pub(super) fn put_raw(&mut self, name: &str, content: Vec<u8>) -> Result<(), Trouble> {
        let path = self.path(name);
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.disk.make_folders(folder, 0o2775, self.wall).map_err(Trouble::Io)?;
        }
        self.disk.write(&path, content, 0o664, self.wall).map_err(Trouble::Io)?;
        self.disk.sync(&path).map_err(Trouble::Io)
    }

    /// A file with a checksum at its end.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, Trouble> {
        let content = self.raw(name)?;
        let blob = name.rsplit('/').next().unwrap_or_default();
        let rotten = |expected: &[u8], actual: String| Trouble::Rotten {
            blob: blob.to_owned(),
            expected: String::from_utf8_lossy(expected).into_owned(),
            actual,
        };
        let Some((body, sum)) = content.split_last_chunk::<8>() else {
            return Err(rotten(&content, "none".to_owned()));
        };
        let actual = checksum(body);
        if actual.as_bytes() != sum {
            return Err(rotten(sum, actual));
        }
        serde_json::from_slice(body).map_err(|error| Trouble::Unreadable(error.to_string()))
    }

    /// Writes such a file.
    pub(super) fn put<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Trouble> {
        let mut content = serde_json::to_vec(value).map_err(|error| Trouble::Unreadable(error.to_string()))?;
        let sum = checksum(&content);
        content.extend_from_slice(sum.as_bytes());
        self.put_raw(name, content)
    }

    /// Removes a file or a folder with all that is in it; fine when it is not there. Returns what went.
    pub(super) fn remove(&mut self, name: &str) -> (u64, u64) {
        let path = self.path(name);
        let below = self.disk.walk(&path).unwrap_or_default();
        let files = below.iter().filter(|(_, inode)| inode.letter() == 'f');
        let mut gone = files.fold((0, 0), |(count, bytes), (_, inode)| (count + 1, bytes + inode.size()));
        if let Ok(inode) = self.disk.stat(&path)
            && inode.letter() == 'f'
        {
            gone = (1, inode.size());
        }
        if self.disk.remove_all(&path, self.wall).is_ok() { gone } else { (0, 0) }
    }

    /// The data of a snapshot's shard, checked.
    pub(super) fn shard(
        &self,
        folder: &str,
        snapshot: &str,
        local: &[Segment],
    ) -> Result<Vec<(DataFile, String)>, ShardTrouble> {
        let listed: ShardSnapshot = self.get(&format!("{folder}/snap-{snapshot}.dat")).map_err(ShardTrouble::List)?;
        let mut found = Vec::new();
        for file in listed.files {
            let same =
                |had: &&Segment| had.name == file.physical_name && checksum(had.content.as_bytes()) == file.checksum;
            if let Some(had) = local.iter().find(same) {
                found.push((file, had.content.clone()));
                continue;
            }
            let content = self.raw(&format!("{folder}/{}", file.name)).map_err(ShardTrouble::Data)?;
            let actual = checksum(&content);
            if content.len() as u64 != file.length {
                return Err(ShardTrouble::Short { written: content.len() as u64, file });
            }
            match String::from_utf8(content.to_vec()) {
                Ok(text) if actual == file.checksum => found.push((file, text)),
                _ => return Err(ShardTrouble::Bad { actual, file }),
            }
        }
        Ok(found)
    }

    /// What is below `indices/` and belongs to no snapshot of the catalog.
    pub(super) fn stale(&self, catalog: &Catalog) -> BTreeSet<String> {
        let known: BTreeSet<&str> = catalog.indices.values().map(|index| index.id.as_str()).collect();
        let snapshots: BTreeSet<&str> = catalog.snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
        let folders = self.disk.list(&self.path("/indices")).unwrap_or_default();
        let folders = folders.into_iter().filter(|id| !known.contains(id.as_str())).map(|id| format!("/indices/{id}"));
        let roots = self.disk.list(&self.root).unwrap_or_default();
        let roots = roots.into_iter().filter(|name| {
            let uuid = name.strip_prefix("snap-").or(name.strip_prefix("meta-")).and_then(|n| n.strip_suffix(".dat"));
            uuid.is_some_and(|uuid| !snapshots.contains(uuid))
        });
        folders.chain(roots.map(|name| format!("/{name}"))).collect()
    }
}

/// What is wrong with a shard of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShardTrouble {
    /// With its list.
    List(Trouble),
    /// With a data file.
    Data(Trouble),
    /// A data file is shorter or longer than the list says.
    Short { written: u64, file: DataFile },
    /// A data file has another checksum.
    Bad { actual: String, file: DataFile },
}

/// A checksum as the files keep it.
pub(super) fn checksum(content: &[u8]) -> String {
    blake3::hash(content).to_hex()[..8].to_owned()
}

/// Settings and aliases of an index, as `meta-<id>.dat` keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct IndexMetadata {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) shards: usize,
    pub(super) replicas: u32,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) aliases: BTreeSet<String>,
}

/// `snap-<uuid>.dat` at the root: what `GET` shows of a snapshot, and the shards that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SnapshotInfo {
    pub(super) shown: Value,
}
