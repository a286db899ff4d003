//! What the counter of the program, an awk program, prints for a dump. The same state machine, line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What stands in the counter's text and in no other program's: tells it apart from other files for `awk -f`.
pub const TALLY_MARK: &str = "# Counts the rows of each table in a dump of mysqldump or mariadb-dump.";

#[derive(Default)]
struct Counter {
    database: String,
    /// Where each table stands in `rows`.
    known: BTreeMap<String, usize>,
    rows: Vec<(String, u64)>,
    table: usize,
    rows_follow: bool,
    code: bool,
    odd: u64,
    first: String,
    last: String,
}

/// Counts a dump.
#[must_use]
pub fn tally(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut counter = Counter::default();
    for (number, line) in text.split_terminator('\n').enumerate() {
        let beginning = || line.chars().take(200).collect::<String>();
        if number == 0 {
            counter.first = beginning();
        }
        if !line.trim().is_empty() {
            counter.last = beginning();
        }
        counter.line(line);
    }
    if counter.rows_follow || counter.code {
        counter.odd += 1;
    }
    let mut out = String::new();
    for (table, rows) in &counter.rows {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "rows\t{rows}\t{table}");
    }
    let _ = writeln!(out, "odd\t{}\nfirst\t{}\nlast\t{}", counter.odd, counter.first, counter.last);
    out
}

impl Counter {
    fn line(&mut self, line: &str) {
        if self.rows_follow {
            if line.starts_with('(') {
                self.rows[self.table].1 += 1;
                match line.chars().next_back() {
                    Some(';') => self.rows_follow = false,
                    Some(',') => {}
                    _ => self.odd += 1,
                }
                return;
            }
            self.odd += 1;
            self.rows_follow = false;
        }
        if self.code || line.starts_with("DELIMITER ") {
            self.code = line != "DELIMITER ;";
        } else if let Some(rest) = line.strip_prefix("USE `") {
            self.database = name(rest).0;
        } else if let Some(rest) = line.strip_prefix("CREATE TABLE `") {
            let table = format!("{}\t{}", self.database, name(rest).0);
            self.table = *self.known.entry(table.clone()).or_insert_with(|| {
                self.rows.push((table, 0));
                self.rows.len() - 1
            });
        } else if let Some(rest) = line.strip_prefix("INSERT INTO `") {
            self.insert(rest);
        }
    }

    fn insert(&mut self, rest: &str) {
        let (name, mut rest) = name(rest);
        let Some(table) = self.known.get(&format!("{}\t{name}", self.database)) else {
            self.odd += 1;
            return;
        };
        self.table = *table;
        while let Some(column) = rest.trim_start_matches([' ', '(', ',']).strip_prefix('`') {
            let Some((_, after)) = column.split_once('`') else { break };
            rest = after;
        }
        let rest = rest.strip_prefix(')').unwrap_or(rest);
        let Some(values) = rest.strip_prefix(" VALUES") else {
            self.odd += 1;
            return;
        };
        if values.is_empty() {
            self.rows_follow = true;
        } else {
            self.rows[self.table].1 += self.tuples(values);
        }
    }

    /// Strings go, then a row ends where the next one begins.
    fn tuples(&mut self, text: &str) -> u64 {
        let text = text.replace("\\\\", "").replace("\\'", "");
        let parts: Vec<&str> = text.split('\'').collect();
        let mut text: String = parts.iter().step_by(2).copied().collect();
        if let [.., unclosed] = parts.as_slice()
            && parts.len().is_multiple_of(2)
        {
            text.push('\'');
            text.push_str(unclosed);
        }
        if !text.ends_with(");") || text.contains('\'') {
            self.odd += 1;
        }
        text.matches("),(").count() as u64 + 1
    }
}

/// The identifier that begins `text`, up to its closing backtick, and what stands behind it.
fn name(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        out.push_str(before);
        match after.strip_prefix('`') {
            Some(after) => {
                out.push('`');
                rest = after;
            }
            None => return (out, after),
        }
    }
    (String::new(), text)
}
