//! `VERIFIED`: which files of the search repositories were hashed at this site before, so that a run hashes only what is
//! new or different. Pure.
//!
//! It must never make a damaged copy look whole. A file is taken as it was only when its size, both its times and its
//! inode are those of then and the digest of then is the one that is asked for now. The time of the last status change
//! (ctime) is set by the file system with every write and cannot be set back by a program; a file whose own change is so
//! fresh that another one could bear the same time is not entered. What lies below the file system (a block that rots, a
//! disk that lies) is not seen: so nothing is taken for longer than a span, and `deep` reads everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::listing::{Files, Listing, Seen, is_volatile, line_of, read_line, repository};

/// A file that was hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    seen: Seen,
    sha256: String,
    /// When, in seconds since 1970.
    at: i64,
}

/// All files that were hashed, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verified(BTreeMap<String, Entry>);

/// The name of the file, at the root of the direction's tree.
pub(super) const NAME: &str = "VERIFIED";
const HEAD: &str =
    "# What exchange.arrived hashed here: size, time, change, inode and when, then SHA-256. May be removed.\n";
const SEAL: &str = "# blake3 ";

/// So much older than the completion marker a file's last change must be to be entered. Another change after it was
/// hashed bears another time then, however coarse the clock of the file system is.
const SETTLED: i64 = 2;

impl Verified {
    /// The text of the file. Its last line is a digest of the others.
    pub(super) fn write(&self) -> String {
        let mut text = HEAD.to_owned();
        for (path, entry) in &self.0 {
            let Entry { seen, sha256, at } = entry;
            let comment = format!("# {} {} {} {at}\n", seen.bytes, seen.time, seen.change);
            text.push_str(&comment);
            text.push_str(&line_of(path, sha256));
        }
        let seal = format!("{SEAL}{}\n", blake3::hash(text.as_bytes()).to_hex());
        text + &seal
    }

    /// Reads the text.
    ///
    /// # Errors
    /// Why nothing of it is used.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (body, seal) = text.rfind(SEAL).map(|at| text.split_at(at)).ok_or("its last line is not there")?;
        if seal.trim_end() != format!("{SEAL}{}", blake3::hash(body.as_bytes()).to_hex()) {
            return Err("it is not as it was written".to_owned());
        }
        let lines = body.strip_prefix(HEAD).ok_or("it is of another version of this program")?;
        let (mut entries, mut lines) = (BTreeMap::new(), lines.lines());
        while let Some(comment) = lines.next() {
            let entry = Self::parse_comment(comment).zip(lines.next().and_then(read_line));
            let ((seen, at), (path, sha256)) =
                entry.ok_or_else(|| format!("cannot read `{}`", comment.escape_debug()))?;
            entries.insert(path, Entry { seen, sha256, at });
        }
        Ok(Self(entries))
    }

    fn parse_comment(comment: &str) -> Option<(Seen, i64)> {
        let words: Vec<&str> = comment.strip_prefix("# ")?.split(' ').collect();
        let &[bytes, time, changed, inode, at] = words.as_slice() else { return None };
        let seen = Seen { bytes: bytes.parse().ok()?, time: time.to_owned(), change: format!("{changed} {inode}") };
        Some((seen, at.parse().ok()?))
    }

    /// True when the file is as it was when it was hashed, not longer than `span` before `now`, and had this digest.
    pub(super) fn holds(&self, path: &str, seen: &Seen, sha256: &str, now: i64, span: Duration) -> bool {
        self.0.get(path).is_some_and(|entry| {
            let age = u64::try_from(now - entry.at);
            entry.seen == *seen && entry.sha256 == sha256 && age.is_ok_and(|age| age < span.as_secs())
        })
    }

    /// What is known after the files `hashed` were found to have the digests of the listing. `files` is what a look after
    /// that showed, `marker` the completion marker as it was found before.
    pub(super) fn then(
        mut self,
        hashed: &[String],
        listing: &Listing,
        files: &Files,
        marker: Option<&Seen>,
        now: i64,
    ) -> Self {
        let fresh: BTreeSet<&String> = hashed.iter().collect();
        self.0.retain(|path, entry| !fresh.contains(path) && files.get(path) == Some(&entry.seen));
        let settled = |seen: &Seen| {
            let seconds = |seen: &Seen| seen.change.split('.').next()?.parse::<i64>().ok();
            seconds(seen).zip(marker.and_then(seconds)).is_some_and(|(file, marker)| file + SETTLED <= marker)
        };
        for path in hashed.iter().filter(|path| repository(path).is_some() && !is_volatile(path)) {
            if let (Some(seen), Some(listed)) = (files.get(path), listing.0.get(path))
                && settled(seen)
            {
                self.0.insert(path.clone(), Entry { seen: seen.clone(), sha256: listed.sha256.clone(), at: now });
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::Listed;
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn seen(bytes: u64, time: &str, change: &str) -> Seen {
        Seen { bytes, time: time.into(), change: change.into() }
    }

    fn sum(digit: &str) -> String {
        digit.repeat(64)
    }

    /// One blob and what else a point has, all in one state.
    fn world() -> (Vec<String>, Listing, Files) {
        let paths = [
            "search-s/indices/a/__1",
            "search-s/index-4",
            "search-s/index.latest",
            "points/p/db.sql.zst",
            "search-s/x\ny",
        ];
        let paths: Vec<String> = paths.map(str::to_owned).into();
        let state = seen(5, "1.5", "100.25 7");
        let listed = |path: &String| (path.clone(), Listed { seen: state.clone(), sha256: sum("a") });
        let files = paths.iter().map(|path| (path.clone(), state.clone())).collect();
        let listing = Listing(paths.iter().map(listed).collect());
        (paths, listing, files)
    }

    fn known() -> Verified {
        let (paths, listing, files) = world();
        Verified::default().then(&paths, &listing, &files, Some(&seen(1, "1", "200.5 9")), 1000)
    }

    #[test]
    fn only_what_is_immutable_by_name_is_entered() {
        let entered: Vec<String> = known().0.into_keys().collect();
        assert_eq!(entered, ["search-s/indices/a/__1", "search-s/x\ny"]);
    }

    #[test]
    fn whatever_differs_is_hashed_again() {
        let (known, path) = (known(), "search-s/indices/a/__1");
        let same = seen(5, "1.5", "100.25 7");
        assert!(known.holds(path, &same, &sum("a"), 1000, DAY));
        assert!(known.holds(path, &same, &sum("a"), 1000 + 86_399, DAY));
        for (why, path, seen, digest, now) in [
            ("size", path, seen(6, "1.5", "100.25 7"), "a", 1000),
            ("time", path, seen(5, "1.6", "100.25 7"), "a", 1000),
            ("written to, its time set back", path, seen(5, "1.5", "150.0 7"), "a", 1000),
            ("replaced", path, seen(5, "1.5", "100.25 8"), "a", 1000),
            ("another digest is asked for", path, same.clone(), "b", 1000),
            ("too long ago", path, same.clone(), "a", 1000 + 86_400),
            ("hashed in the future", path, same.clone(), "a", 999),
            ("unknown", "search-s/other", same.clone(), "a", 1000),
        ] {
            assert!(!known.holds(path, &seen, &sum(digest), now, DAY), "{why}");
        }
    }

    #[test]
    fn what_changed_a_moment_ago_is_not_entered() {
        let (paths, listing, files) = world();
        let after = |marker: Option<&Seen>| Verified::default().then(&paths, &listing, &files, marker, 1000);
        for (marker, entered) in
            [("100.9 9", false), ("101.9 9", false), ("102.0 9", true), ("x 9", false), ("", false)]
        {
            assert_eq!(!after(Some(&seen(1, "1", marker))).0.is_empty(), entered, "{marker}");
        }
        assert!(after(None).0.is_empty());
    }

    #[test]
    fn what_is_known_stays_while_its_file_does() {
        let (paths, listing, mut files) = world();
        let marker = seen(1, "1", "200.5 9");
        // Nothing was hashed now: what was known keeps its own time.
        let later = known().then(&[], &listing, &files, Some(&marker), 5000);
        assert_eq!(later, known());
        let again = known().then(&paths, &listing, &files, Some(&marker), 5000);
        assert!(again.0.values().all(|entry| entry.at == 5000));
        // A file that is another one now, and one that is gone, are forgotten.
        files.insert(paths[0].clone(), seen(5, "1.5", "300.0 7"));
        files.remove(&paths[4]);
        assert!(known().then(&[], &listing, &files, Some(&marker), 5000).0.is_empty());
    }

    #[test]
    fn a_damaged_file_is_of_no_use() {
        let text = known().write();
        assert_eq!(Verified::parse(&text), Ok(known()));
        assert_eq!(Verified::parse(&Verified::default().write()), Ok(Verified::default()));
        let cut = &text[..text.len() / 2];
        for bad in
            ["", cut, &text.replace("100.25", "100.26"), &text.replace("aaaa", "aaab"), &text.replace("# blake3", "#")]
        {
            assert!(Verified::parse(bad).is_err(), "{bad}");
        }
        // Sealed, and of another form.
        let sealed = |body: String| format!("{body}{SEAL}{}\n", blake3::hash(body.as_bytes()).to_hex());
        for bad in [
            format!("{HEAD}# 5 1.5 100.25 7 1000\n"),
            format!("{HEAD}# 5 1.5\n{}  a\n", sum("a")),
            "# other\n".to_owned(),
        ] {
            assert!(Verified::parse(&sealed(bad.clone())).is_err(), "{bad}");
        }
    }
}
