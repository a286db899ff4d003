//! The room of Elasticsearch (6 to 9) and OpenSearch (1 to 3): snapshots at the source, restored at the target through
//! a repository that each direction has of its own.
//!
//! Requests are built in `ask`, answers are read in `answers`, what differs between versions is known to `dialect` only,
//! and what to do with what was found is decided in `decide` and `repository`: all pure. The steps glue them to the port.

mod answers;
mod ask;
mod blocks;
mod check;
mod client;
mod companions;
mod decide;
mod details;
mod dialect;
#[cfg(test)]
mod fake;
mod indices;
mod masters;
mod pattern;
mod probe;
mod prune;
mod refusal;
mod repository;
mod restore;
mod rules;
mod settings;
mod snapshot;
mod verify;
mod waiting;

use super::{Effect, KindEntry, step_kind};
use crate::model::Span;
use crate::runbook::Interrupted;

const KIND: &str = "elasticsearch";

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    vec![
        step_kind::<check::CheckCluster>(
            "elasticsearch.check",
            "See that the search cluster is healthy and has one master",
        )
        .service(KIND)
        .timeout(Span::seconds(300)),
        step_kind::<snapshot::TakeSnapshot>("elasticsearch.snapshot", "Take a snapshot of the search indices")
            .effect(Effect::Writes)
            .service(KIND)
            .interrupted(Interrupted::Verify)
            .timeout(Span::seconds(4 * 3600)),
        step_kind::<restore::RestoreSnapshot>(
            "elasticsearch.restore",
            "Restore the search indices from their snapshot",
        )
        .effect(Effect::Destroys)
        .service(KIND)
        .interrupted(Interrupted::Repeat)
        .timeout(Span::seconds(4 * 3600)),
        step_kind::<prune::PruneSnapshots>(
            "elasticsearch.prune",
            "Delete the snapshots of restore points that are gone",
        )
        .effect(Effect::Destroys)
        .service(KIND)
        .timeout(Span::seconds(4 * 3600)),
        step_kind::<verify::VerifyIndices>("elasticsearch.verify", "Compare the search indices with the restore point")
            .service(KIND)
            .timeout(Span::seconds(1800)),
    ]
}

/// The service kind of this room.
#[must_use]
pub fn service() -> super::ServiceKind {
    super::service_kind::<settings::Settings>(KIND, "An Elasticsearch (6 to 9) or OpenSearch (1 to 3) cluster")
        .probed(probe::probes)
}
