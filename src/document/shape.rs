//! Does a tree have the shape that a JSON Schema asks for? The schemas are made from the types that are decoded, so
//! there is one truth; this check exists because decoding stops at the first problem and forgets where it was.
//!
//! Knows the part of JSON Schema that `schemars` writes. What it does not know it lets pass: decoding comes after it.

mod alternatives;
mod words;

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};

use super::{Node, NodeValue};
use crate::model::{Diagnostic, LIMIT_PATTERN, NAME_PATTERN, SPAN_PATTERN, SiteName, Span, did_you_mean};
use words::{first_sentence, list, type_words};

/// What is said when a secret stands in the file.
pub const INLINE_SECRET_HINT: &str = "say where it is instead: `{ command = \"pass show shop/db\" }`, \
     `{ file = \"/etc/changeover/db.secret\" }` (mode 0600) or `{ credential = \"db\" }` (systemd)";

/// How strict to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShapeRules {
    /// Texts with `{{` or `{%` stand for a value of any type.
    pub templates: bool,
    /// Missing keys are not reported.
    pub partial: bool,
}

/// What a check of the shape found.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What is wrong.
    pub problems: Vec<Diagnostic>,
    /// What to leave out so that the rest can be decoded; for [`Node::to_json`].
    pub wrong: BTreeSet<usize>,
}

/// Checks `node`, which stands at `path`, against `schema`. `label` is what to point at when something is missing.
#[must_use]
pub fn check_shape(
    file: &str,
    node: &Node,
    path: &str,
    label: &Range<usize>,
    schema: &Value,
    rules: ShapeRules,
) -> Shape {
    let mut checker = Checker { file, root: schema, rules, found: Shape::default(), depth: 0 };
    checker.check(Slot { node, path, label, id: node.span.start }, schema);
    checker.found
}

/// A value at its place.
#[derive(Clone, Copy)]
struct Slot<'a> {
    node: &'a Node,
    path: &'a str,
    label: &'a Range<usize>,
    /// What `Node::to_json` knows it by.
    id: usize,
}

struct Checker<'a> {
    file: &'a str,
    root: &'a Value,
    rules: ShapeRules,
    found: Shape,
    depth: usize,
}

/// Schemas that refer to themselves end here; no file of ours is that deep.
const DEPTH_LIMIT: usize = 64;

impl<'a> Checker<'a> {
    fn error(&mut self, slot: Slot<'_>, span: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        let mut problem = Diagnostic::error(self.file, slot.path, message).at(Some(span));
        problem.hint = hint;
        self.found.problems.push(problem);
        self.found.wrong.insert(slot.id);
    }

    /// A problem of the value itself.
    fn refuse(&mut self, slot: Slot<'_>, message: impl Into<String>, hint: Option<String>) {
        let span = if slot.node.is_table() { slot.label.clone() } else { slot.node.span.clone() };
        self.error(slot, span, message, hint);
    }

    /// The schema that a `$ref` names.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..DEPTH_LIMIT {
            let Some(name) = definition(schema) else { break };
            let Some(target) = self.root.get("$defs").and_then(|definitions| definitions.get(name)) else { break };
            schema = target;
        }
        schema
    }

    fn check(&mut self, slot: Slot<'_>, schema: &'a Value) {
        if self.depth >= DEPTH_LIMIT {
            return;
        }
        self.depth += 1;
        self.check_value(slot, schema);
        self.depth -= 1;
    }

    fn check_value(&mut self, slot: Slot<'_>, schema: &'a Value) {
        if definition(schema) == Some("SecretSource") && !slot.node.is_table() {
            self.refuse(slot, "a secret must not stand in this file", Some(INLINE_SECRET_HINT.to_owned()));
            return;
        }
        let schema = self.resolve(schema);
        let Some(keywords) = schema.as_object() else { return };
        if self.rules.templates && slot.node.text().is_some_and(|text| text.contains("{{") || text.contains("{%")) {
            return;
        }
        if let Some(choices) = self.choices(schema) {
            self.check_choice(slot, &choices);
            return;
        }
        if !self.check_type(slot, keywords) {
            return;
        }
        for part in keywords.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check(slot, part);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(alternatives) = keywords.get(keyword).and_then(Value::as_array) {
                self.check_alternatives(slot, alternatives);
            }
        }
        match &slot.node.value {
            NodeValue::Text(text) => self.check_text(slot, text, keywords),
            NodeValue::Integer(number) => self.check_range(slot, *number, keywords),
            NodeValue::List(items) => self.check_items(slot, items, keywords),
            NodeValue::Table(_) => self.check_table(slot, schema, keywords),
            NodeValue::Float(_) | NodeValue::Bool(_) | NodeValue::Datetime(_) => {}
        }
    }

    /// False, and said so, when the value is of another type.
    fn check_type(&mut self, slot: Slot<'_>, keywords: &Map<String, Value>) -> bool {
        let allowed = types(keywords);
        if allowed.is_empty() || allowed.iter().any(|name| has_type(slot.node, name)) {
            return true;
        }
        let wanted: Vec<&str> = allowed.iter().filter(|name| **name != "null").map(|name| type_words(name)).collect();
        let message = format!("must be {}, not {}", list(&wanted, "or"), slot.node.noun());
        let hint = match &slot.node.value {
            NodeValue::Text(text) if allowed.iter().any(|name| matches!(*name, "integer" | "boolean" | "number")) => {
                plain_value(text).then(|| format!("write it without quotes: {text}"))
            }
            NodeValue::Integer(_) | NodeValue::Float(_) | NodeValue::Bool(_) | NodeValue::Datetime(_)
                if allowed.contains(&"string") =>
            {
                match keywords.get("pattern").and_then(Value::as_str) {
                    Some(SPAN_PATTERN) => {
                        Some("write a duration with its unit, for example \"90s\" or \"15m\"".to_owned())
                    }
                    _ => Some("put it in quotes".to_owned()),
                }
            }
            NodeValue::Text(_) if allowed.contains(&"array") => Some("put it in brackets: [\"…\"]".to_owned()),
            _ => None,
        };
        self.refuse(slot, message, hint);
        false
    }

    fn check_text(&mut self, slot: Slot<'_>, text: &str, keywords: &Map<String, Value>) {
        let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) else { return };
        if let Err((message, hint)) = check_pattern(pattern, text) {
            self.refuse(slot, message, hint);
        }
    }

    fn check_range(&mut self, slot: Slot<'_>, number: i64, keywords: &Map<String, Value>) {
        let bound = |name: &str| keywords.get(name).and_then(Value::as_i64);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) if number < least || number > most => {
                self.refuse(slot, format!("must be between {least} and {most}"), None);
            }
            (Some(least), None) if number < least => self.refuse(slot, format!("must be at least {least}"), None),
            (None, Some(most)) if number > most => self.refuse(slot, format!("must be at most {most}"), None),
            _ => {}
        }
    }

    fn check_items(&mut self, slot: Slot<'_>, items: &[Node], keywords: &'a Map<String, Value>) {
        let Some(schema) = keywords.get("items") else { return };
        for (index, item) in items.iter().enumerate() {
            let id = item.get("id").filter(|id| id.text().is_some());
            let path = match id.and_then(Node::text) {
                Some(id) => format!("{}.{id}", slot.path),
                None => format!("{}[{index}]", slot.path),
            };
            let label = id.map_or(&item.span, |id| &id.span);
            self.check(Slot { node: item, path: &path, label, id: item.span.start }, schema);
        }
    }

    fn check_table(&mut self, slot: Slot<'_>, schema: &'a Value, keywords: &'a Map<String, Value>) {
        let properties = keywords.get("properties").and_then(Value::as_object);
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        let others = keywords.get("additionalProperties");
        let closed =
            others == Some(&Value::Bool(false)) || keywords.get("unevaluatedProperties") == Some(&Value::Bool(false));
        for entry in slot.node.entries() {
            let path = if slot.path.is_empty() { entry.key.clone() } else { format!("{}.{}", slot.path, entry.key) };
            let inner = Slot { node: &entry.node, path: &path, label: &entry.key_span, id: entry.key_span.start };
            if let Some(schema) = properties.and_then(|properties| properties.get(&entry.key)) {
                self.check(inner, schema);
            } else if let Some((pattern, schema)) = patterns.and_then(|patterns| patterns.iter().next()) {
                if let Err((message, hint)) = check_pattern(pattern, &entry.key) {
                    self.error(inner, entry.key_span.clone(), message, hint);
                }
                self.check(inner, schema);
            } else if closed {
                let known = self.known_keys(schema);
                if !known.contains(&entry.key.as_str()) {
                    let hint = unknown_key_hint(&entry.key, &known);
                    self.error(inner, entry.key_span.clone(), format!("unknown key `{}`", entry.key), Some(hint));
                }
            } else if let Some(schema) = others {
                self.check(inner, schema);
            }
        }
        if !self.rules.partial {
            self.check_required(slot, keywords);
        }
    }

    fn check_required(&mut self, slot: Slot<'_>, keywords: &'a Map<String, Value>) {
        let properties = keywords.get("properties").and_then(Value::as_object);
        let closed = keywords.get("additionalProperties") == Some(&Value::Bool(false));
        for name in keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let is_misspelt = || {
                closed
                    && slot.node.entries().iter().any(|entry| {
                        properties.is_some_and(|known| !known.contains_key(&entry.key))
                            && did_you_mean(&entry.key, [name]).is_some()
                    })
            };
            // A misspelt key was reported as such.
            if slot.node.get(name).is_some() || is_misspelt() {
                continue;
            }
            let schema = properties.and_then(|properties| properties.get(name));
            let hint = schema.and_then(|schema| self.description(schema)).map(|text| format!("`{name}`: {text}"));
            let path = if slot.path.is_empty() { name.to_owned() } else { format!("{}.{name}", slot.path) };
            // Nothing stands there that could be left out: decoding fails, and no further check is made.
            let mut problem =
                Diagnostic::error(self.file, path, format!("`{name}` is missing")).at(Some(slot.label.clone()));
            problem.hint = hint;
            self.found.problems.push(problem);
        }
    }

    fn description(&self, schema: &'a Value) -> Option<&'a str> {
        let own = schema.get("description").or_else(|| self.resolve(schema).get("description"));
        own.and_then(Value::as_str).map(first_sentence)
    }
}

/// The name of the definition that a schema refers to.
fn definition(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// The types a schema allows; none means any.
fn types(keywords: &Map<String, Value>) -> Vec<&str> {
    match keywords.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(node: &Node, name: &str) -> bool {
    matches!(
        (&node.value, name),
        (NodeValue::Text(_), "string")
            | (NodeValue::Integer(_), "integer" | "number")
            | (NodeValue::Float(_), "number")
            | (NodeValue::Bool(_), "boolean")
            | (NodeValue::List(_), "array")
            | (NodeValue::Table(_), "object")
    )
}

/// True for text that would be a number or flag without its quotes.
fn plain_value(text: &str) -> bool {
    matches!(text, "true" | "false") || text.parse::<i64>().is_ok()
}

/// "did you mean …" and what is known, in one sentence.
pub(super) fn unknown_key_hint(key: &str, known: &[&str]) -> String {
    let listed = if known.is_empty() {
        "no keys are known here".to_owned()
    } else {
        format!("known here: {}", known.join(", "))
    };
    match did_you_mean(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {listed}"),
        None => listed,
    }
}

/// The patterns of the model, checked by the code that they describe, so that the messages are the same everywhere.
fn check_pattern(pattern: &str, text: &str) -> Result<(), (String, Option<String>)> {
    match pattern {
        NAME_PATTERN => SiteName::new(text).map(drop).map_err(|_| {
            let rule = "use 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `-`, starting with a letter or digit";
            (format!("`{}` is not a valid name", text.escape_debug()), Some(rule.to_owned()))
        }),
        SPAN_PATTERN => Span::parse(text).map(drop).map_err(|message| split_advice(&message)),
        LIMIT_PATTERN => serde_json::from_value::<crate::model::Limit>(Value::String(text.to_owned()))
            .map(drop)
            .map_err(|error| split_advice(&error.to_string())),
        _ => Ok(()),
    }
}

/// The messages of the model have their advice after a colon.
fn split_advice(message: &str) -> (String, Option<String>) {
    match message.rsplit_once(": write ") {
        Some((problem, advice)) => (problem.to_owned(), Some(format!("write {advice}"))),
        None => (message.to_owned(), None),
    }
}

#[cfg(test)]
mod tests;
