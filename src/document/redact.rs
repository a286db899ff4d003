//! Excerpts of a file must not show a secret that somebody wrote into it: it would end up in a log.

use super::{Node, NodeValue};
use crate::model::SourceText;

const SECRET_WORDS: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key", "credentials"];

/// True when a key of this name holds a secret.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| key == *word || key.ends_with(&format!("_{word}")))
}

/// The text with every inline secret replaced by stars of the same number of bytes, so that places stay true.
///
/// Works on files that are not valid TOML too: there, everything after the `=` of a key with a telling name is hidden.
#[must_use]
pub fn redacted(source: &SourceText, root: &Node) -> SourceText {
    let mut bytes = source.text.clone().into_bytes();
    hide_secrets(root, &mut bytes);
    hide_lines(&source.text, &mut bytes);
    let text = String::from_utf8(bytes).unwrap_or_default();
    SourceText { name: source.name.clone(), text }
}

fn hide_secrets(node: &Node, bytes: &mut [u8]) {
    for item in node.items() {
        hide_secrets(item, bytes);
    }
    for entry in node.entries() {
        if is_secret_key(&entry.key) && !entry.node.is_table() {
            hide(entry.node.span.clone(), bytes);
        } else if !matches!(entry.node.value, NodeValue::Text(_)) {
            hide_secrets(&entry.node, bytes);
        }
    }
}

/// Line by line: `…password = "…"`, wherever in the line, unless the value is a table, which only says where it is.
fn hide_lines(text: &str, bytes: &mut [u8]) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut from = 0;
        while let Some(equals) = line[from..].find('=').map(|found| from + found) {
            let before = line[..equals].trim_end().trim_end_matches(['"', '\'']);
            let key_start = before
                .rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
                .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
            let value = line[equals + 1..].trim_start();
            if is_secret_key(&before[key_start..]) && !value.starts_with('{') {
                let value_start = line.len() - value.len();
                hide(start + value_start..start + end_of_value(line, value_start), bytes);
            }
            from = equals + 1;
        }
        start += line.len();
    }
}

/// Where a quoted value ends; the end of the line when it is not closed.
fn end_of_value(line: &str, start: usize) -> usize {
    let rest = &line[start..];
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let closed = quote.and_then(|quote| rest[1..].find(quote));
    closed.map_or(line.len(), |at| start + 1 + at + 1)
}

fn hide(span: std::ops::Range<usize>, bytes: &mut [u8]) {
    for byte in bytes.get_mut(span).into_iter().flatten() {
        if !matches!(*byte, b'\n' | b'\r' | b'"' | b'\'') {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse_toml;

    fn shown(text: &str) -> String {
        let source = SourceText { name: "t".to_owned(), text: text.to_owned() };
        let root = parse_toml(&source).unwrap_or_else(|_| Node::empty());
        redacted(&source, &root).text
    }

    #[test]
    fn secrets_are_hidden_and_places_stay() {
        for (text, expected) in [
            ("password = \"hünter\"\nuser = \"x\"", "password = \"*******\"\nuser = \"x\""),
            ("a = { token = 'abc', b = 1 }", "a = { token = '***', b = 1 }"),
            ("prod.root_password = \"abc\"", "prod.root_password = \"***\""),
            ("password = \"\"\"\nabc\n\"\"\"", "password = \"\"\"\n***\n\"\"\""),
            ("\"password\" = \"abc", "\"password\" = \"***"),
            ("password = { command = \"pass show x\" }", "password = { command = \"pass show x\" }"),
            ("keys = [1", "keys = [1"),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(shown(text).len(), text.len());
        }
    }
}
