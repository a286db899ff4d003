//! Estate text to estate, or to every problem of shape and rules with line and column.

use serde_json::Value;

use super::Estate;
use super::rules::check_rules;
use crate::document::{Node, Parsed, ShapeRules, check_shape, has_errors, parse_toml, tidy};
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
    let root = match parse_toml(source) {
        Ok(root) => root,
        Err(problems) => return Parsed { source: source.clone(), root: Node::empty(), value: None, problems },
    };
    let schema = Value::from(schemars::schema_for!(Estate));
    let shape = check_shape(&source.name, &root, "", &(0..0), &schema, ShapeRules::default());
    let mut problems = shape.problems;
    problems.extend(check_rules(&source.name, &root));
    let value = match serde_json::from_value::<Estate>(root.to_json(&shape.wrong)) {
        Ok(estate) => Some(estate),
        Err(error) => {
            if !has_errors(&problems) {
                problems.push(Diagnostic::error(&source.name, "", error.to_string()));
            }
            None
        }
    };
    tidy(&mut problems);
    Parsed { source: source.clone(), root, value, problems }
}
