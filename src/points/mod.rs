//! Restore points: one dated state of all stores together, where it lies, what is in it, and how it is proved complete.
//!
//! Pure: layout, manifest and comparison. The steps that write and read them are the rooms of `systems`.

mod counts;
mod layout;
mod manifest;

pub use counts::{Counts, Difference, Measure, compare};
pub use layout::Tree;
pub use manifest::{Artifact, CompletionMarker, Manifest, Part, point_id, point_time};
