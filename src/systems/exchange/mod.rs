//! The room of the exchange tree: prepares it, seals restore points, brings them to the other site, proves that they
//! have arrived, and removes old ones. It knows points and files, not what the stores put into them.

mod arrived;
mod listing;
mod looks;
mod mount;
mod prepare;
mod probe;
mod prune;
mod seal;
mod space;
mod spread;
mod transfer;
mod verified;

use super::{Effect, KindEntry, step_kind};
use crate::model::Span;
pub use probe::{LAST_POINT, POINTS, probes};

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    vec![
        step_kind::<prepare::Prepare>("exchange.prepare", "Check the exchange mount and the direction")
            .effect(Effect::Writes)
            .timeout(Span::seconds(300)),
        step_kind::<space::Space>("exchange.space", "Check that the exchange mount has room")
            .timeout(Span::seconds(60)),
        step_kind::<seal::Seal>("exchange.seal", "Seal the restore point")
            .effect(Effect::Writes)
            .timeout(Span::seconds(4 * 3600)),
        step_kind::<transfer::Transfer>("exchange.transfer", "Copy the restore point to the other site")
            .effect(Effect::Writes)
            .timeout(Span::seconds(12 * 3600)),
        step_kind::<arrived::Arrived>("exchange.arrived", "Prove that the restore point has arrived whole")
            // A note of what was hashed, for the next time.
            .effect(Effect::Writes)
            .timeout(Span::seconds(12 * 3600)),
        step_kind::<prune::Prune>("exchange.prune", "Remove old restore points")
            .effect(Effect::Destroys)
            .timeout(Span::seconds(3600)),
    ]
}

#[cfg(test)]
mod tests;
