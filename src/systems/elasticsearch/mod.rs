//! The room of `elasticsearch`.

use super::KindEntry;

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    Vec::new()
}

/// The service kind of this room.
#[must_use]
pub fn service() -> super::ServiceKind {
    super::service_kind::<serde_json::Map<String, serde_json::Value>>("elasticsearch", "")
}
