//! The screen under test: what it shows, what it may never do, and what it does in spite of anything.

mod all;
mod chance;
mod dialogs;
mod drill;
mod guards;
mod header;
mod hostile;
mod late;
mod lists;
mod looks;
pub mod made;
mod matrix;
mod monkey;
mod mouse;
mod named_keys;
mod palette;
pub mod picture;
mod random;
mod screens;
mod settings;
mod sparks;
mod steps;
mod story;
mod tour;
mod zone;
