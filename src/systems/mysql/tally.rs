//! Counting the rows that a dump holds, from the dump itself: what arrives at the target is compared with what was
//! really sent, not with a count of the source taken a moment earlier or later.
//!
//! The counter is an awk program, because awk is on every host and a dump is text: about 90 MB/s of `MySQL`'s form (many
//! rows on a line) and 300 to 600 MB/s of `MariaDB`'s (one row on a line) on one core, with gawk and mawk alike.
//! It may take for granted what the dump programs guarantee: they set an empty `sql_mode`, so that quotes and line ends
//! within values are always escaped with a backslash, and code of routines, triggers and events stands between
//! `DELIMITER` lines.

use std::collections::BTreeMap;

use super::census::Rows;

/// The awk program. Prints `rows TAB number TAB database TAB table` per table, then `odd`, `first`, `last`.
pub const PROGRAM: &str = include_str!("tally.awk");

/// What the counter found in a dump.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Rows per table; tables without rows too.
    pub rows: Rows,
    /// How many lines of rows were of a form the counter does not know: its counts are not to be trusted then.
    pub odd: u64,
    /// The beginning of the first line.
    pub first: String,
    /// The beginning of the last line that is not blank.
    pub last: String,
}

impl Tally {
    /// Reads the counter's output; other lines among it are ignored. Nothing when it has no end.
    #[must_use]
    pub fn read(output: &str) -> Option<Self> {
        let mut tally = Self::default();
        let mut fields = BTreeMap::new();
        for line in output.lines() {
            let Some((what, rest)) = line.split_once('\t') else {
                continue;
            };
            match what {
                "rows" => {
                    let mut parts = rest.splitn(3, '\t');
                    let (number, db, table) = (parts.next()?, parts.next()?, parts.next()?);
                    tally.rows.insert((db.to_owned(), table.to_owned()), number.parse().ok()?);
                }
                "odd" | "first" | "last" => {
                    fields.insert(what, rest);
                }
                _ => {}
            }
        }
        tally.odd = fields.get("odd")?.parse().ok()?;
        (*fields.get("first")?).clone_into(&mut tally.first);
        (*fields.get("last")?).clone_into(&mut tally.last);
        Some(tally)
    }

    /// True when the dump ends with the line that the dump programs write when all went well.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        is_trailer(&self.last)
    }

    /// True when the dump begins with `MariaDB`'s sandbox line, which other clients refuse.
    #[must_use]
    pub fn has_sandbox_line(&self) -> bool {
        self.first.starts_with("/*M!999999")
    }

    /// All rows.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// True for the last line of a whole dump.
#[must_use]
pub fn is_trailer(line: &str) -> bool {
    line.starts_with("-- Dump completed")
}

#[cfg(test)]
mod tests;
