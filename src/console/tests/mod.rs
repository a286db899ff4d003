//! The screen under test: what it shows, what it may never do, and what it does in spite of anything.

mod dialogs;
mod hostile;
mod looks;
mod made;
mod picture;
mod screens;
