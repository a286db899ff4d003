//! From a path in words (`stages.copy.steps.snapshot.on`) to the bytes it means.

use std::ops::Range;

use super::{Node, NodeValue};
use crate::model::Diagnostic;

/// The bytes that `path` means below `root`, or those of its nearest ancestor that was written.
///
/// Items of lists are named by their `id` (`stages.copy`) or by number (`urls[0]`). Where a path ends at a table, the
/// bytes are those of its key, or of its `id`. Names may hold dots: the longest name that fits is taken.
#[must_use]
pub fn locate(root: &Node, path: &str) -> Option<Range<usize>> {
    let (mut node, mut label, mut rest) = (root, None, path);
    while !rest.is_empty() {
        let Some((next, next_label, after)) = step(node, rest) else { break };
        (node, label, rest) = (next, Some(next_label), after);
    }
    label
}

type Found<'a, 'b> = (&'a Node, Range<usize>, &'b str);

/// One step down: the value, the bytes that stand for it, and the rest of the path.
fn step<'a, 'b>(node: &'a Node, rest: &'b str) -> Option<Found<'a, 'b>> {
    match &node.value {
        NodeValue::Table(entries) => entries
            .iter()
            .filter_map(|entry| {
                let after = after_name(rest, &entry.key)?;
                let structure = entry.node.is_table() || is_list_of_tables(&entry.node);
                let label = if structure { entry.key_span.clone() } else { entry.node.span.clone() };
                Some((entry.key.len(), (&entry.node, label, after)))
            })
            .max_by_key(|(length, _)| *length)
            .map(|(_, found)| found),
        NodeValue::List(items) => by_number(items, rest).or_else(|| by_id(items, rest)),
        _ => None,
    }
}

fn is_list_of_tables(node: &Node) -> bool {
    node.items().first().is_some_and(Node::is_table)
}

fn by_number<'a, 'b>(items: &'a [Node], rest: &'b str) -> Option<Found<'a, 'b>> {
    let (number, after) = rest.strip_prefix('[')?.split_once(']')?;
    let item = items.get(number.parse::<usize>().ok()?)?;
    Some((item, item.span.clone(), after.strip_prefix('.').unwrap_or(after)))
}

fn by_id<'a, 'b>(items: &'a [Node], rest: &'b str) -> Option<Found<'a, 'b>> {
    items
        .iter()
        // The first of those that have the same id: of several equals the last one is taken.
        .rev()
        .filter_map(|item| {
            let id = item.get("id")?;
            let name = id.text()?;
            Some((name.len(), (item, id.span.clone(), after_name(rest, name)?)))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, found)| found)
}

/// What follows `name` at the start of `path`.
fn after_name<'b>(path: &'b str, name: &str) -> Option<&'b str> {
    let after = path.strip_prefix(name)?;
    if after.is_empty() || after.starts_with('[') { Some(after) } else { after.strip_prefix('.') }
}

/// Gives every problem that has no bytes yet those of its path.
pub fn attach_places(root: &Node, problems: &mut [Diagnostic]) {
    for problem in problems.iter_mut().filter(|problem| problem.span.is_none()) {
        problem.span = locate(root, &problem.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse_toml;
    use crate::model::SourceText;

    #[test]
    fn paths_lead_to_what_was_written() {
        let text = r#"
[params.verify]
default = true
[[stages]]
id = "a.b"
[[stages.steps]]
id = "one"
with = { list = ["x", "y"] }
"#;
        let root = parse_toml(&SourceText { name: "t".to_owned(), text: text.to_owned() }).expect("valid");
        for (path, expected) in [
            ("params.verify.default", Some("true")),
            ("params.verify", Some("verify")),
            ("params.other", Some("params")),
            ("stages.a.b", Some("\"a.b\"")),
            ("stages.a.b.steps.one.with.list[1]", Some("\"y\"")),
            ("stages.a.b.steps.one.timeout", Some("\"one\"")),
            ("stages.a.b.steps.two", Some("steps")),
            ("stages", Some("stages")),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(locate(&root, path).map(|span| &text[span]), expected, "{path}");
        }
    }
}
