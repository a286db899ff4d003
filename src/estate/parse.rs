//! Estate text to estate, or to every problem of shape and rules with line and column.

use super::Estate;
use super::rules::check_rules;
use crate::document::{self, Parsed};
use crate::model::{Diagnostic, SourceText};

/// Parses an estate. What the settings of its services mean is checked by the `check` layer, which knows the kinds.
///
/// # Errors
/// Every problem found.
pub fn parse(source: &SourceText) -> Result<Estate, Vec<Diagnostic>> {
    examine(source).into_result().map(|(estate, _)| estate)
}

/// Parses an estate and keeps the tree, for checks that come after and want to name places.
///
/// The value is there whenever what is wrong can be left out; it may break rules.
#[must_use]
pub fn examine(source: &SourceText) -> Parsed<Estate> {
    document::examine(source, |root, _| check_rules(&source.name, root))
}
