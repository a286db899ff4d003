//! Runbook text to runbook, or to every problem of its shape with line and column.

use serde_json::Value;

use super::Runbook;
use crate::document::{Node, Parsed, Shape, ShapeRules, check_shape, parse_toml, tidy};
use crate::model::{Diagnostic, SourceText};

/// Parses a runbook. Only its shape is checked here; `plan` checks what it means for an estate.
///
/// # Errors
/// Every problem of its shape.
pub fn parse(source: &SourceText) -> Result<Runbook, Vec<Diagnostic>> {
    examine(source).into_result().map(|(runbook, _)| runbook)
}

/// Parses a runbook and keeps the tree, for checks that come after and want to name places.
///
/// The value is there whenever what is wrong can be left out without a change to the rest.
#[must_use]
pub fn examine(source: &SourceText) -> Parsed<Runbook> {
    let root = match parse_toml(source) {
        Ok(root) => root,
        Err(problems) => return Parsed { source: source.clone(), root: Node::empty(), value: None, problems },
    };
    let schema = Value::from(schemars::schema_for!(Runbook));
    let mut shape = check_shape(&source.name, &root, "", &(0..0), &schema, ShapeRules::default());
    let value = match serde_json::from_value::<Runbook>(root.to_json(&shape.wrong)) {
        Ok(runbook) if has_all_params(&root, &runbook, &shape) => Some(runbook),
        Ok(_) => None,
        Err(error) => {
            if shape.problems.is_empty() {
                shape.problems.push(Diagnostic::error(&source.name, "", error.to_string()));
            }
            None
        }
    };
    tidy(&mut shape.problems);
    Parsed { source: source.clone(), root, value, problems: shape.problems }
}

/// False when a parameter was left out, or may hide in a misspelt table: every use of it would look wrong too.
fn has_all_params(root: &Node, runbook: &Runbook, shape: &Shape) -> bool {
    let written = root.get("params").map_or(0, |params| params.entries().len());
    let hidden =
        root.entries().iter().any(|entry| entry.node.is_table() && shape.wrong.contains(&entry.key_span.start));
    written == runbook.params.len() && !hidden
}
