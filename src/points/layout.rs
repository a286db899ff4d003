//! Where things lie on an exchange mount. One tree per direction, so that a run the wrong way round cannot overwrite
//! the good copy.
//!
//! ```text
//! <exchange>/direction.json                 what this site believes about the direction (epoch, active)
//! <exchange>/leases/<site>/<n>/              who may change this site: the highest number counts
//!     holder.json                           which run, since when
//!     sign.json                             what it said last: that it lives, or that it is over
//! <exchange>/<source>-to-<target>/
//!     search-<service>/                     the snapshot repository of a search service
//!     files-<service>/<point>/…             one generation of a file service, hard-linked to the one before
//!     points/<point>/<service>.sql.zst      a dump (or .gz)
//!     points/<point>/parts/<service>.json   what one store put into the point
//!     points/<point>/manifest.json          all parts, written when all are there
//!     points/<point>/LISTING                size and SHA-256 of every file that belongs to the point
//!     points/<point>/COMPLETE               the completion marker: digest of the manifest; renamed into place last
//! ```

use std::path::{Path, PathBuf};

use crate::model::{Direction, PointId, ServiceName, SiteName};

/// The tree of one direction on one site's exchange mount. Paths are as that site's hosts see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    exchange: PathBuf,
    root: PathBuf,
}

impl Tree {
    /// The tree of `direction` on the mount at `exchange`.
    #[must_use]
    pub fn new(exchange: &Path, direction: &Direction) -> Self {
        Self { exchange: exchange.to_owned(), root: exchange.join(direction.tree_name()) }
    }

    /// The mount itself.
    #[must_use]
    pub fn exchange(&self) -> &Path {
        &self.exchange
    }

    /// The root of this direction.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the site believes about the direction.
    #[must_use]
    pub fn direction_record(&self) -> PathBuf {
        self.exchange.join("direction.json")
    }

    /// The leases of `site`, each a folder named by its number. A mount that two sites share has those of both.
    #[must_use]
    pub fn leases(&self, site: &SiteName) -> PathBuf {
        self.exchange.join("leases").join(site.as_str())
    }

    /// The lease of a number: who holds it.
    #[must_use]
    pub fn lease_holder(&self, site: &SiteName, number: u64) -> PathBuf {
        self.leases(site).join(number.to_string()).join("holder.json")
    }

    /// The lease of a number: what its holder said last.
    #[must_use]
    pub fn lease_sign(&self, site: &SiteName, number: u64) -> PathBuf {
        self.leases(site).join(number.to_string()).join("sign.json")
    }

    /// The snapshot repository of a search service.
    #[must_use]
    pub fn search_repository(&self, service: &ServiceName) -> PathBuf {
        self.root.join(format!("search-{service}"))
    }

    /// All generations of a file service.
    #[must_use]
    pub fn generations(&self, service: &ServiceName) -> PathBuf {
        self.root.join(format!("files-{service}"))
    }

    /// The generation of a file service that belongs to a point.
    #[must_use]
    pub fn generation(&self, service: &ServiceName, point: &PointId) -> PathBuf {
        self.generations(service).join(point.as_str())
    }

    /// All points.
    #[must_use]
    pub fn points(&self) -> PathBuf {
        self.root.join("points")
    }

    /// The folder of a point.
    #[must_use]
    pub fn point(&self, point: &PointId) -> PathBuf {
        self.points().join(point.as_str())
    }

    /// What one store put into a point.
    #[must_use]
    pub fn part(&self, point: &PointId, service: &ServiceName) -> PathBuf {
        self.point(point).join("parts").join(format!("{service}.json"))
    }

    /// The manifest of a point.
    #[must_use]
    pub fn manifest(&self, point: &PointId) -> PathBuf {
        self.point(point).join("manifest.json")
    }

    /// Size and SHA-256 of every file that belongs to a point, in the form `sha256sum -c` reads, relative to the root.
    #[must_use]
    pub fn listing(&self, point: &PointId) -> PathBuf {
        self.point(point).join("LISTING")
    }

    /// The completion marker of a point.
    #[must_use]
    pub fn complete(&self, point: &PointId) -> PathBuf {
        self.point(point).join("COMPLETE")
    }
}
