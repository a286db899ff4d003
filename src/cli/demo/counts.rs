//! What both sites of the demo hold at the end, side by side. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::model::SiteName;
use crate::world::Counts;

/// A table of what two sites hold; what differs is marked.
pub(super) fn table(sites: [(&SiteName, &Counts); 2]) -> String {
    let [(source, have), (target, got)] = sites;
    let mut rows: Vec<(String, u64, u64)> = Vec::new();
    let mut section = |what: &str,
                       a: &std::collections::BTreeMap<String, u64>,
                       b: &std::collections::BTreeMap<String, u64>| {
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let number = |of: &std::collections::BTreeMap<String, u64>, name: &String| of.get(name).copied().unwrap_or(0);
        rows.extend(names.into_iter().map(|name| (format!("{what} {name}"), number(a, name), number(b, name))));
    };
    section("documents in", &have.documents, &got.documents);
    section("rows in", &have.rows, &got.rows);
    section("files below", &have.files, &got.files);
    section("bytes below", &have.bytes, &got.bytes);
    let wide = rows.iter().map(|(name, ..)| name.width()).max().unwrap_or(0);
    let mut text = format!("{:wide$}  {source:>10}  {target:>10}\n", "");
    for (name, a, b) in rows {
        let more = match a.cmp(&b) {
            std::cmp::Ordering::Equal => String::new(),
            std::cmp::Ordering::Greater => format!("  {} more at {source}", a - b),
            std::cmp::Ordering::Less => format!("  {} more at {target}", b - a),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:wide$}  {a:>10}  {b:>10}{more}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_marked() {
        let [source, target] = ["prod", "bcp"].map(|name| SiteName::new(name).expect("a name"));
        let mut have = Counts::default();
        have.documents.insert("orders".into(), 12);
        have.rows.insert("shop.orders".into(), 12);
        let mut got = have.clone();
        got.documents.insert("orders".into(), 10);
        let expected = "                           prod         bcp\n\
                        documents in orders          12          10  2 more at prod\n\
                        rows in shop.orders          12          12\n";
        assert_eq!(table([(&source, &have), (&target, &got)]), expected);
    }
}
