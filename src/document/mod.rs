//! A TOML file as a tree in which every key and value knows its bytes, so that every problem can name its place.
//!
//! Pure. It knows TOML and JSON Schemas (see [`check_shape`]), but not what an estate or a runbook means.

mod locate;
mod node;
mod redact;
mod shape;

pub use locate::{attach_places, locate};
pub use node::{Entry, Node, NodeValue};
pub use redact::{is_secret_key, redacted};
pub use shape::{INLINE_SECRET_HINT, Shape, ShapeRules, check_shape};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::model::{Diagnostic, Severity, SourceText};

/// The largest file that is read. A person wrote it; what is larger is a mistake.
pub const SIZE_LIMIT: usize = 1024 * 1024;

/// What came of reading a file: what could be made of it, and everything that is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    /// The text, for excerpts.
    pub source: SourceText,
    /// The tree; empty when the syntax is wrong.
    pub root: Node,
    /// The file's meaning as far as it can be read, without the parts that are wrong. Only for further checks: it may
    /// be acted on only when [`Parsed::into_result`] hands it out.
    pub value: Option<T>,
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<Diagnostic>,
}

impl<T> Parsed<T> {
    /// True when the file cannot be used.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.value.is_none() || has_errors(&self.problems)
    }

    /// The value and the warnings.
    ///
    /// # Errors
    /// All problems, errors and warnings, when at least one of them is an error.
    pub fn into_result(self) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
        match self.value {
            Some(value) if !has_errors(&self.problems) => Ok((value, self.problems)),
            _ => Err(self.problems),
        }
    }
}

/// Reads a file of the shape of `T` and finds everything that is wrong with it: syntax, shape, and what `rules` finds,
/// which is given the tree, and the value when there is one.
#[must_use]
pub fn examine<T: DeserializeOwned + JsonSchema>(
    source: &SourceText,
    rules: impl FnOnce(&Node, Option<&T>) -> Vec<Diagnostic>,
) -> Parsed<T> {
    let root = match parse_toml(source) {
        Ok(root) => root,
        Err(problems) => return Parsed { source: source.clone(), root: Node::empty(), value: None, problems },
    };
    let schema = serde_json::Value::from(schemars::schema_for!(T));
    let shape = check_shape(&source.name, &root, "", &(0..0), &schema, ShapeRules::default());
    let mut problems = shape.problems;
    let read = serde_json::from_value::<T>(root.to_json(&shape.wrong));
    problems.extend(rules(&root, read.as_ref().ok()));
    let value = match read {
        Ok(value) => Some(value),
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

/// True when at least one of the problems is an error.
#[must_use]
pub fn has_errors(problems: &[Diagnostic]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// Puts problems into the order of the file, errors and warnings mixed, and drops the ones that were said twice.
pub fn tidy(problems: &mut Vec<Diagnostic>) {
    problems.sort_by_key(|problem| problem.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
    let mut seen = std::collections::BTreeSet::new();
    problems.retain(|problem| {
        let start = problem.span.as_ref().map(|span| span.start);
        seen.insert((start, problem.path.clone(), problem.message.clone()))
    });
}

/// Reads TOML into a tree.
///
/// # Errors
/// Every syntax error that the parser could tell apart.
pub fn parse_toml(source: &SourceText) -> Result<Node, Vec<Diagnostic>> {
    if source.text.len() > SIZE_LIMIT {
        return Err(vec![
            Diagnostic::error(&source.name, "", "the file is larger than 1 MiB").hint("is it the right file?"),
        ]);
    }
    let (table, errors) = toml::de::DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Node::read(source, &table);
    }
    let mut problems: Vec<Diagnostic> = errors
        .iter()
        .map(|error| {
            let message = error.message();
            let mut problem =
                Diagnostic::error(&source.name, "", format!("not valid TOML: {message}")).at(error.span());
            if message == "duplicate key" {
                problem = problem.hint("a key or table may be written only once; remove one of the two");
            } else if message.contains("must be quoted") {
                problem = problem.hint("texts, durations and percentages stand in quotes: \"15m\"");
            }
            problem
        })
        .collect();
    tidy(&mut problems);
    Err(problems)
}
