//! What is really in the world, counted by the world itself: never through the port that steps use.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a site holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Documents per index.
    pub documents: BTreeMap<String, u64>,
    /// Rows per table.
    pub rows: BTreeMap<String, u64>,
    /// Files per tree.
    pub files: BTreeMap<String, u64>,
    /// Bytes per tree.
    pub bytes: BTreeMap<String, u64>,
    /// Keys in the cache.
    pub keys: u64,
}

/// Everything that a site holds, content included: two sites with the same truth serve the same data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Truth {
    /// Content by name: `search/orders/17`, `sql/shop.orders/17`, `files/var/lib/shop/storage/a`.
    pub items: BTreeMap<String, String>,
}
