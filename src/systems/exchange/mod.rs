//! The room of `exchange`.

use super::KindEntry;

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    Vec::new()
}
