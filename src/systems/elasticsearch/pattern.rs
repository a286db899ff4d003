//! Which indices are meant: names and `*` patterns, with exclusions.
//!
//! Resolved here and not by the server, because the two products and their versions disagree on what a wildcard
//! includes (closed, hidden, system), and because a snapshot must name what it was asked to hold.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A list of names and patterns, for example `orders*,users,-orders-tmp*`. The last item that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    include: bool,
    glob: String,
}

impl Default for Pattern {
    fn default() -> Self {
        Self(vec![Item { include: true, glob: "*".into() }])
    }
}

impl Pattern {
    /// True when the index of this name is meant. A name that begins with a dot never is.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let last = self.0.iter().rev().find(|item| glob(&item.glob, name));
        !name.starts_with('.') && last.is_some_and(|item| item.include)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut items = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (include, glob) = part.strip_prefix('-').map_or((true, part), |rest| (false, rest));
            let legal = |c: char| !c.is_whitespace() && !c.is_uppercase() && !r#"\/?"<>|#%:"#.contains(c);
            if glob.is_empty() || !glob.chars().all(legal) {
                return Err(format!("`{}` is not an index name or pattern", part.escape_debug()));
            }
            if include && glob.starts_with('.') {
                return Err(format!("`{glob}`: indices that begin with a dot belong to the server and are not copied"));
            }
            items.push(Item { include, glob: glob.to_owned() });
        }
        if items.first().is_some_and(|item| !item.include) {
            items.insert(0, Item { include: true, glob: "*".into() });
        }
        Ok(Self(items))
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let minus = if item.include { "" } else { "-" };
            write!(f, "{comma}{minus}{}", item.glob)?;
        }
        Ok(())
    }
}

/// True when `glob`, in which `*` stands for any text, covers all of `name`.
#[must_use]
pub fn glob(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_item_that_matches_decides() {
        for (pattern, name, meant) in [
            ("*", "orders", true),
            ("*", ".kibana_1", false),
            ("orders", "orders", true),
            ("orders", "orders-1", false),
            ("orders*,-orders-tmp*", "orders-2026", true),
            ("orders*,-orders-tmp*", "orders-tmp-1", false),
            ("orders*,-orders-tmp*,orders-tmp-keep", "orders-tmp-keep", true),
            ("-logs*", "orders", true),
            ("-logs*", "logs-1", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*c*e", "aec", false),
            ("a*a", "a", false),
            ("*-x", "y-x", true),
        ] {
            let parsed = Pattern::try_from(pattern.to_owned()).expect("a pattern");
            assert_eq!(parsed.matches(name), meant, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_survive_being_written_and_nonsense_is_refused() {
        for text in ["*", "a,b*,-c"] {
            assert_eq!(Pattern::try_from(text.to_owned()).map(String::from), Ok(text.to_owned()));
        }
        for bad in ["", "a,,b", "a b", "Orders", "../x", ".kibana", "-"] {
            assert!(Pattern::try_from(bad.to_owned()).is_err(), "{bad:?} was accepted");
        }
    }
}
