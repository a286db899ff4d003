//! The room of `mysql`: MySQL 5.7 to 9 and MariaDB, copied by logical dump.
//!
//! `mysql.check` looks for everything that is known to go wrong, `mysql.dump` writes a counted dump into the restore
//! point, `mysql.restore` replaces the databases at the target's leader by it, `mysql.verify` counts what is there.

mod access;
mod advice;
mod census;
mod check;
mod clients;
mod details;
mod dump;
mod dumpfile;
mod findings;
mod grants;
mod judge;
mod previous;
mod probe;
mod replication;
mod restore;
mod server;
mod settings;
mod tally;
mod target;
mod verify;

use super::{Effect, KindEntry, service_kind, step_kind};
use crate::model::Span;
use crate::runbook::Interrupted;

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    vec![
        step_kind::<check::Check>("mysql.check", "Look whether the databases can be copied").service("mysql"),
        step_kind::<dump::Dump>("mysql.dump", "Dump the databases into the restore point")
            .service("mysql")
            .effect(Effect::Writes)
            .interrupted(Interrupted::Repeat)
            .timeout(Span::seconds(4 * 3600)),
        step_kind::<restore::Restore>("mysql.restore", "Replace the databases by those of the restore point")
            .service("mysql")
            .effect(Effect::Destroys)
            .interrupted(Interrupted::Repeat)
            .timeout(Span::seconds(8 * 3600)),
        step_kind::<verify::Verify>("mysql.verify", "Count the databases and compare with the restore point")
            .service("mysql")
            .timeout(Span::seconds(2 * 3600)),
    ]
}

/// The service kind of this room.
#[must_use]
pub fn service() -> super::ServiceKind {
    service_kind::<settings::Settings>("mysql", "A MySQL or MariaDB server").probed(|_| probe::probes())
}

#[cfg(test)]
mod tests;
