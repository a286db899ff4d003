//! The tree itself: owned, ordered as written, with the bytes of every key and value.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{Diagnostic, SourceText};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its bytes. For a table of the form `[name]` only those of the header.
    pub span: Range<usize>,
    /// What it is.
    pub value: NodeValue,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// Text, unescaped.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; always finite.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date or time, as written.
    Datetime(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order written.
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its bytes, where it was written first.
    pub key_span: Range<usize>,
    /// The value.
    pub node: Node,
}

impl Node {
    /// An empty table, which stands in for a file that could not be read.
    #[must_use]
    pub fn empty() -> Self {
        Self { span: 0..0, value: NodeValue::Table(Vec::new()) }
    }

    /// Copies the parser's tree.
    ///
    /// # Errors
    /// Numbers that have no place in a configuration: infinite ones, and whole ones beyond 64 bits.
    pub(super) fn read(source: &SourceText, table: &Spanned<DeTable<'_>>) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let entries = read_table(source, table.get_ref(), &mut problems);
        if problems.is_empty() { Ok(Self { span: 0..0, value: NodeValue::Table(entries) }) } else { Err(problems) }
    }

    /// The entries of a table; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        if let NodeValue::Table(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        if let NodeValue::List(items) = &self.value { items } else { &[] }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let NodeValue::Text(text) = &self.value { Some(text) } else { None }
    }

    /// True for a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.value, NodeValue::Table(_))
    }

    /// The entry of a table by key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a table by key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// What it is, for messages to people.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self.value {
            NodeValue::Text(_) => "text",
            NodeValue::Integer(_) => "a whole number",
            NodeValue::Float(_) => "a number",
            NodeValue::Bool(_) => "true or false",
            NodeValue::Datetime(_) => "a date or time",
            NodeValue::List(_) => "a list",
            NodeValue::Table(_) => "a table",
        }
    }

    /// The same as JSON, without the entries whose key, and the items which themselves, start at one of the bytes in
    /// `without`. Dates become text.
    #[must_use]
    pub fn to_json(&self, without: &BTreeSet<usize>) -> Value {
        match &self.value {
            NodeValue::Text(text) | NodeValue::Datetime(text) => Value::String(text.clone()),
            NodeValue::Integer(number) => Value::from(*number),
            NodeValue::Float(number) => Value::from(*number),
            NodeValue::Bool(flag) => Value::Bool(*flag),
            NodeValue::List(items) => Value::Array(
                items
                    .iter()
                    .filter(|item| !without.contains(&item.span.start))
                    .map(|item| item.to_json(without))
                    .collect(),
            ),
            NodeValue::Table(entries) => Value::Object(
                entries
                    .iter()
                    .filter(|entry| !without.contains(&entry.key_span.start))
                    .map(|entry| (entry.key.clone(), entry.node.to_json(without)))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

fn read_table(source: &SourceText, table: &DeTable<'_>, problems: &mut Vec<Diagnostic>) -> Vec<Entry> {
    table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().clone().into_owned(),
            key_span: key.span(),
            node: read_value(source, value, problems),
        })
        .collect()
}

fn read_value(source: &SourceText, value: &Spanned<DeValue<'_>>, problems: &mut Vec<Diagnostic>) -> Node {
    let span = value.span();
    let mut refuse = |message: &str| {
        problems.push(Diagnostic::error(&source.name, "", message).at(Some(span.clone())));
        NodeValue::Integer(0)
    };
    let read = match value.get_ref() {
        DeValue::String(text) => NodeValue::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => NodeValue::Integer(number),
            Err(_) => refuse("the number is too large"),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => NodeValue::Float(number),
            _ => refuse("not a number that can be used here"),
        },
        DeValue::Boolean(flag) => NodeValue::Bool(*flag),
        DeValue::Datetime(time) => NodeValue::Datetime(time.to_string()),
        DeValue::Array(items) => NodeValue::List(items.iter().map(|item| read_value(source, item, problems)).collect()),
        DeValue::Table(table) => NodeValue::Table(read_table(source, table, problems)),
    };
    Node { span, value: read }
}
