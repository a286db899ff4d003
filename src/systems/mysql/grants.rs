//! Whether an account may do what a step needs, read from `SHOW GRANTS`. Best effort: roles cannot be looked into.

use std::collections::BTreeSet;

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    global: BTreeSet<String>,
    /// Database pattern and privileges.
    databases: Vec<(String, BTreeSet<String>)>,
    /// True when the account has roles, whose privileges are not listed here.
    pub has_roles: bool,
}

/// What dumping a database needs.
pub const TO_DUMP: [&str; 4] = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];
/// What replacing a database needs.
pub const TO_LOAD: [&str; 12] = [
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "INSERT",
    "SELECT",
    "LOCK TABLES",
    "CREATE VIEW",
    "TRIGGER",
    "EVENT",
    "CREATE ROUTINE",
];
/// Any of these lets an account create objects that run as somebody else.
pub const TO_DEFINE_FOR_OTHERS: [&str; 4] = ["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"];

impl Grants {
    /// Reads the lines of `SHOW GRANTS`.
    #[must_use]
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grants = Self::default();
        for line in lines {
            let Some(rest) = line.trim().strip_prefix("GRANT ") else {
                continue;
            };
            let Some((privileges, object)) = split_on(rest) else {
                // `GRANT role TO user`, unless it is something unheard of: either way there is more than is listed.
                grants.has_roles |= rest.contains(" TO ");
                continue;
            };
            let Some(pattern) = database_of(object) else {
                continue;
            };
            let held = privileges_of(privileges);
            match pattern {
                Scope::All => grants.global.extend(held),
                Scope::Database(pattern) => grants.databases.push((pattern, held)),
            }
        }
        grants
    }

    /// True when the privilege is held everywhere.
    #[must_use]
    pub fn holds_globally(&self, privilege: &str) -> bool {
        has(&self.global, privilege)
    }

    /// Those of `needed` that are not held on the whole database.
    #[must_use]
    pub fn lacks<'a>(&self, needed: &[&'a str], database: &str) -> Vec<&'a str> {
        let local = |privilege: &str| {
            self.databases.iter().any(|(pattern, held)| like(pattern, database) && has(held, privilege))
        };
        needed.iter().copied().filter(|privilege| !self.holds_globally(privilege) && !local(privilege)).collect()
    }
}

fn has(held: &BTreeSet<String>, privilege: &str) -> bool {
    // Dynamic privileges are not part of ALL on one database, but nobody asks for those there.
    held.contains("ALL PRIVILEGES") || held.contains("ALL") || held.contains(privilege)
}

enum Scope {
    All,
    Database(String),
}

/// Splits `SELECT, INSERT (a) ON x TO …` at the ` ON ` outside quotes and brackets.
fn split_on(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '`' | '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ' ') if depth == 0 && text[at..].starts_with(" ON ") => return Some((&text[..at], &text[at + 4..])),
            (Some(_) | None, _) => {}
        }
    }
    None
}

/// The privileges of a list; those on single columns count for nothing here.
fn privileges_of(text: &str) -> BTreeSet<String> {
    let mut depth = 0_u32;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.contains('(')).map(str::to_ascii_uppercase).collect()
}

/// The database of `*.*` or `` `db`.* ``; nothing for single tables, routines and proxies.
fn database_of(object: &str) -> Option<Scope> {
    if object.starts_with("*.*") {
        return Some(Scope::All);
    }
    let quote = object.chars().next().filter(|c| "`'\"".contains(*c))?;
    let end = object[1..].find(quote)? + 1;
    object[end + 1..].starts_with(".*").then(|| Scope::Database(object[1..end].to_owned()))
}

/// The server's pattern for database names: `_` and `%` unless escaped.
fn like(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['\\', escaped, rest @ ..] => name.first() == Some(escaped) && matches(rest, &name[1..]),
            ['%', rest @ ..] => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
            ['_', rest @ ..] => !name.is_empty() && matches(rest, &name[1..]),
            [plain, rest @ ..] => name.first() == Some(plain) && matches(rest, &name[1..]),
        }
    }
    matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_everything() {
        for line in
            ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION", "GRANT ALL ON *.* TO 'r'@'%'"]
        {
            let grants = Grants::read([line]);
            assert!(grants.lacks(&TO_LOAD, "shop").is_empty(), "{line}");
            assert!(grants.holds_globally("SUPER"));
        }
    }

    #[test]
    fn privileges_add_up_over_lines_and_patterns() {
        let grants = Grants::read([
            "GRANT USAGE ON *.* TO `co`@`%` IDENTIFIED BY PASSWORD '*00'",
            r"GRANT SELECT, SHOW VIEW ON `sh\_op`.* TO `co`@`%`",
            "GRANT TRIGGER ON `sh%`.* TO `co`@`%`",
            "GRANT EVENT ON `sh_op`.`users` TO `co`@`%`",
            "GRANT SELECT (`a`, `b`), INSERT ON `other`.* TO `co`@`%`",
            "GRANT PROXY ON ''@'' TO 'co'@'%'",
        ]);
        assert_eq!(grants.lacks(&TO_DUMP, "sh_op"), ["EVENT"]);
        assert_eq!(grants.lacks(&TO_DUMP, "shXop"), ["SELECT", "SHOW VIEW", "EVENT"]);
        assert_eq!(grants.lacks(&["SELECT", "INSERT"], "other"), ["SELECT"]);
        assert!(!grants.has_roles);
    }

    #[test]
    fn roles_are_noticed() {
        let grants = Grants::read(["GRANT `backup` TO `co`@`%`", "GRANT USAGE ON *.* TO `co`@`%`"]);
        assert!(grants.has_roles);
    }
}
