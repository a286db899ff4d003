//! The room of file trees: counting them, collecting them into generations on the exchange tree, bringing a generation
//! back, and comparing. Copying itself is `systems::rsync`, counting `systems::tree`.

mod check;
mod collect;
mod probe;
mod restore;
mod settings;
mod verify;

use super::KindEntry;
use crate::model::Span;
use crate::systems::{Effect, service_kind, step_kind};

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    vec![
        step_kind::<check::Check>("files.check", "Check the folders and count their files").service("files"),
        step_kind::<collect::Collect>("files.collect", "Collect the folders into a new generation")
            .service("files")
            .effect(Effect::Writes)
            .timeout(Span::seconds(6 * 3600)),
        step_kind::<restore::Restore>("files.restore", "Bring the folders of a restore point back")
            .service("files")
            .effect(Effect::Destroys)
            .timeout(Span::seconds(6 * 3600)),
        step_kind::<verify::Verify>("files.verify", "Compare the folders with the restore point")
            .service("files")
            .timeout(Span::seconds(3600)),
    ]
}

/// The service kind of this room.
#[must_use]
pub fn service() -> super::ServiceKind {
    service_kind::<settings::Settings>("files", "Folders of files, on the hosts of a role or on shared storage")
        .probed(|_| probe::probes())
}

#[cfg(test)]
mod tests;
