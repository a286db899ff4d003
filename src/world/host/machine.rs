//! A host as its programs see it: paths through mounts, the clock, and the servers next door.

use bytes::Bytes;
use jiff::Timestamp;

use crate::model::{HostName, SiteName};
use crate::world::disk::{Disk, DiskError, Inode};
use crate::world::{Site, State};

use super::Host;

/// Which disk of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskId(pub usize);

/// A host with the world around it.
pub struct Machine<'a> {
    /// The world.
    pub state: &'a mut State,
    /// The site of the host.
    pub site: SiteName,
    /// The host.
    pub host: HostName,
}

impl Machine<'_> {
    /// The host itself. A machine is only ever made for a host that is there.
    #[must_use]
    pub fn this(&self) -> &Host {
        &self.state.sites[&self.site].hosts[&self.host]
    }

    /// The site.
    #[must_use]
    pub fn here(&self) -> &Site {
        &self.state.sites[&self.site]
    }

    /// The site, to change it.
    ///
    /// # Panics
    /// Never: a machine is only made for a site that is there.
    pub fn here_mut(&mut self) -> &mut Site {
        self.state.sites.get_mut(&self.site).expect("a machine is made for a site that is there")
    }

    /// The wall clock of the host.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.state.wall_time();
        now.saturating_add(self.this().skew).unwrap_or(now)
    }

    /// The disk behind a path, the path on it, and where it is mounted.
    #[must_use]
    pub fn resolve(&self, path: &str) -> (DiskId, String, String) {
        let path = normal(path);
        let below = |mount: &str| {
            mount == "/" || path == mount || path.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'))
        };
        let fitting = self.this().mounts.iter().filter(|(mount, _)| below(mount));
        let (mount, disk) = fitting.max_by_key(|(mount, _)| mount.len()).map_or(("/", DiskId(0)), |(m, d)| (m, *d));
        let rest = if mount == "/" { path.as_str() } else { &path[mount.len()..] };
        (disk, if rest.is_empty() { "/".to_owned() } else { rest.to_owned() }, mount.to_owned())
    }

    /// The disk behind a path and the path on it, to read.
    #[must_use]
    pub fn disk(&self, path: &str) -> (&Disk, String) {
        let (id, rest, _) = self.resolve(path);
        (&self.state.disks[id.0], rest)
    }

    /// The disk behind a path and the path on it, to change.
    pub fn disk_mut(&mut self, path: &str) -> (&mut Disk, String) {
        let (id, rest, _) = self.resolve(path);
        (&mut self.state.disks[id.0], rest)
    }

    /// What is at a path.
    ///
    /// # Errors
    /// As [`Disk::stat`].
    pub fn stat(&self, path: &str) -> Result<&Inode, DiskError> {
        let (disk, rest) = self.disk(path);
        disk.stat(&rest)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// As [`Disk::read`].
    pub fn read(&self, path: &str) -> Result<Bytes, DiskError> {
        let (disk, rest) = self.disk(path);
        disk.read(&rest)
    }

    /// Writes a file whole.
    ///
    /// # Errors
    /// As [`Disk::write`].
    pub fn write(&mut self, path: &str, content: impl Into<Bytes>, mode: u16) -> Result<(), DiskError> {
        let now = self.now();
        let (disk, rest) = self.disk_mut(path);
        disk.write(&rest, content, mode, now)
    }
}

/// A path without doubled slashes, `.` and a slash at the end. `..` is not known: no command of the program uses it.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}
