//! What a restore point keeps about a database beside its counts: what restoring it needs to know of its source.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::census::Census;
use super::clients::Compressor;
use super::server::{Flavour, Identity, Server, Version};
use crate::model::{Failure, FailureKind};
use crate::points::Part;

/// What is known of the source of a copy. Kept as the `details` of a restore point's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Whose server it was.
    pub flavour: Flavour,
    /// Its version.
    pub version: Version,
    /// Which server it was.
    pub identity: Identity,
    /// The databases.
    pub databases: Vec<String>,
    /// The tables, as `database.table`.
    pub tables: BTreeSet<String>,
    /// Bytes of data and indexes.
    pub bytes: u64,
    /// The collations in use.
    pub collations: BTreeSet<String>,
    /// The engines in use.
    pub engines: BTreeSet<String>,
    /// The accounts that objects run as.
    pub definers: BTreeSet<String>,
    /// How many scheduled events.
    pub events: u64,
    /// How many routines.
    pub routines: u64,
    /// `lower_case_table_names`.
    pub lower_case: u64,
    /// `max_allowed_packet`.
    pub max_packet: u64,
    /// The server's position in its own log, read before the dump began: a lower bound of what the dump holds.
    pub position: Option<String>,
}

/// The dump file of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Where it comes from.
    pub source: Source,
    /// What compressed it.
    pub compressor: Compressor,
    /// The program that made it.
    pub program: String,
    /// True when it begins with `MariaDB`'s sandbox line.
    pub sandbox_line: bool,
}

impl Source {
    /// From a look at the source.
    #[must_use]
    pub fn of(server: &Server, census: &Census) -> Self {
        let number = |kind: &str| census.objects.values().filter_map(|objects| objects.get(kind)).sum();
        Self {
            flavour: server.flavour,
            version: server.version,
            identity: server.identity.clone(),
            databases: census.present.iter().cloned().collect(),
            tables: census.tables.iter().map(|table| super::census::shown(&table.key)).collect(),
            bytes: census.bytes(),
            collations: census.collations.clone(),
            engines: census.engines(),
            definers: census.definers.clone(),
            events: number("events"),
            routines: number("routines"),
            lower_case: server.lower_case,
            max_packet: server.max_packet,
            position: server.position.clone(),
        }
    }
}

impl Details {
    /// The details of a part.
    ///
    /// # Errors
    /// When the part is of another kind or of another version of the program.
    pub fn of(part: &Part) -> Result<Self, Failure> {
        serde_json::from_value(part.details.clone()).map_err(|error| {
            Failure::new(
                FailureKind::Refused,
                format!("read what the restore point says of service {}", part.service),
                error.to_string(),
            )
            .hint("the point was made by another version of the program, or the service was of another kind then")
        })
    }
}
