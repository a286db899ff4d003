//! What is wrong with the operator's files, knowing the kinds: settings of services, parameters of steps, and what the
//! planner says for both directions.
//!
//! Pure: no file, no host. `estate` and `runbook` check what can be known without the catalogue; this layer adds the
//! rest and gives everything its place. A file that passes here is one that the program will work with.

mod decode;
mod runbooks;
mod schema;
mod services;

pub use runbooks::runbook;
pub use schema::{estate_schema, runbook_schema};

use crate::document::{Parsed, tidy};
use crate::estate::{self, Estate};
use crate::model::SourceText;
use crate::systems::Catalogue;

/// Reads an estate and finds everything that is wrong with it.
#[must_use]
pub fn estate(source: &SourceText, catalogue: &Catalogue) -> Parsed<Estate> {
    let mut parsed = estate::examine(source);
    let found = services::check_services(&parsed.source.name, &parsed.root, catalogue);
    parsed.problems.extend(found);
    tidy(&mut parsed.problems);
    parsed
}
