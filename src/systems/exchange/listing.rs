//! `LISTING`: size, time and SHA-256 of every file that belongs to a point. Pure.
//!
//! `sha256sum -c` reads it as it is: before each file's line stands a comment with its size and time.

use std::collections::BTreeMap;

/// A file as a look at the tree found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// In bytes.
    pub(super) bytes: u64,
    /// Seconds since 1970 with all digits the file system keeps, as text: only compared.
    pub(super) time: String,
    /// The time of its last status change, which no program can set, and its inode, as text: only compared. Not known of
    /// what a listing says.
    pub(super) change: String,
}

impl Seen {
    /// Whether size and time are the same: what can be compared between two sites, and with a listing.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.bytes, &self.time) == (other.bytes, &other.time)
    }

    /// As a listing says it.
    pub(super) fn into_listed(self) -> Self {
        Self { change: String::new(), ..self }
    }
}

/// Files by their path, relative to the root of the direction's tree.
pub(super) type Files = BTreeMap<String, Seen>;

/// A name for exactly these files in exactly this state: work on them may be attached to under it, work on others not.
pub(super) fn state_name<'a>(files: &Files, paths: impl IntoIterator<Item = &'a String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for path in paths {
        let seen =
            files.get(path).map(|seen| format!("{} {} {}", seen.bytes, seen.time, seen.change)).unwrap_or_default();
        hasher.update(path.as_bytes()).update(&[0]).update(seen.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Reads `%s %T@ %C@ %i %p\0` records of `find`, for paths below `root`.
///
/// # Errors
/// What cannot be read.
pub(super) fn parse_seen(output: &[u8], root: &str) -> Result<Files, String> {
    let mut files = Files::new();
    for record in output.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
        let wrong = || format!("cannot read `{}`", String::from_utf8_lossy(record).escape_debug());
        let text = std::str::from_utf8(record).map_err(|_| wrong())?;
        let words: Vec<&str> = text.splitn(5, ' ').collect();
        let &[bytes, time, changed, inode, path] = words.as_slice() else { return Err(wrong()) };
        let path = path.strip_prefix(root).and_then(|path| path.strip_prefix('/')).ok_or_else(wrong)?;
        let bytes = bytes.parse().map_err(|_| wrong())?;
        let change = format!("{changed} {inode}");
        files.insert(path.to_owned(), Seen { bytes, time: time.to_owned(), change });
    }
    Ok(files)
}

/// Reads `sha256sum --zero`: `<digest>  <path>\0` records.
///
/// # Errors
/// What cannot be read.
pub(super) fn parse_sums(output: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut sums = BTreeMap::new();
    for record in output.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
        let text = String::from_utf8_lossy(record);
        let (digest, path) = text
            .split_once("  ")
            .filter(|(digest, _)| is_digest(digest))
            .ok_or_else(|| format!("cannot read `{}`", text.escape_debug()))?;
        sums.insert(path.to_owned(), digest.to_owned());
    }
    Ok(sums)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A file that belongs to a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) seen: Seen,
    pub(super) sha256: String,
}

/// All files that belong to a point, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Listing(pub(super) BTreeMap<String, Listed>);

impl Listing {
    /// The text of the file.
    pub(super) fn write(&self) -> String {
        let mut text =
            "# Files of this restore point: size and time, then SHA-256; paths from the tree's root.\n".to_owned();
        for (path, listed) in &self.0 {
            let comment = format!("# {} {}\n", listed.seen.bytes, listed.seen.time);
            text.push_str(&comment);
            text.push_str(&line_of(path, &listed.sha256));
        }
        text
    }

    /// Only the lines that `sha256sum -c` is to check, of these files.
    pub(super) fn lines_of<'a>(&self, paths: impl IntoIterator<Item = &'a String>) -> String {
        let paths = paths.into_iter();
        paths.filter_map(|path| Some(line_of(path, &self.0.get(path)?.sha256))).collect()
    }

    /// Reads the text.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let mut seen = None;
        for (number, line) in text.lines().enumerate().skip(1) {
            let wrong = || format!("line {} cannot be read: `{}`", number + 1, line.escape_debug());
            if let Some(comment) = line.strip_prefix("# ") {
                let (bytes, time) = comment.split_once(' ').ok_or_else(wrong)?;
                seen = Some(Seen {
                    bytes: bytes.parse().map_err(|_| wrong())?,
                    time: time.to_owned(),
                    change: String::new(),
                });
                continue;
            }
            let (path, sha256) = read_line(line).ok_or_else(wrong)?;
            let safe = !path.starts_with('/') && path.split('/').all(|part| part != ".." && !part.is_empty());
            let seen = seen.take().filter(|_| safe).ok_or_else(wrong)?;
            files.insert(path, Listed { seen, sha256 });
        }
        Ok(Self(files))
    }

    /// How many bytes the files have.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|listed| listed.seen.bytes).sum()
    }

    /// The digest of a file that is the same as in this listing: same size and time. It need not be read again.
    pub(super) fn known(&self, path: &str, seen: &Seen) -> Option<&str> {
        self.0.get(path).filter(|listed| listed.seen.is_like(seen)).map(|listed| listed.sha256.as_str())
    }
}

/// One file's line, as `sha256sum` writes it: a backslash in front says that the name has escapes.
pub(super) fn line_of(path: &str, sha256: &str) -> String {
    let escaped = path.replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r");
    let mark = if escaped == path { "" } else { "\\" };
    format!("{mark}{sha256}  {escaped}\n")
}

/// Path and digest of such a line.
pub(super) fn read_line(line: &str) -> Option<(String, String)> {
    let (escaped, rest) = line.strip_prefix('\\').map_or((false, line), |rest| (true, rest));
    let (sha256, path) = rest.split_once("  ").filter(|(digest, _)| is_digest(digest))?;
    Some((if escaped { unescape(path) } else { path.to_owned() }, sha256.to_owned()))
}

fn unescape(path: &str) -> String {
    let mut out = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

/// The search repository that a file belongs to, if any: the first folder of its path.
pub(super) fn repository(path: &str) -> Option<&str> {
    path.split_once('/').map(|(first, _)| first).filter(|first| first.starts_with("search-"))
}

/// True for the files of a search repository that say what the newest snapshot is: they change with every snapshot.
pub(super) fn is_volatile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    repository(path).is_some() && (name.starts_with("index-") || name == "index.latest")
}

/// How the files at a site differ from the listing of a point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Gaps {
    /// Files that are not there.
    pub(super) missing: Vec<String>,
    /// Files of another size: path, expected, found.
    pub(super) resized: Vec<(String, u64, u64)>,
    /// Files whose content is to be checked.
    pub(super) there: Vec<String>,
    /// How many files of search repositories that have newer snapshots are gone or replaced. That is their right:
    /// what the snapshot of this point needs is checked by the search service itself.
    pub(super) moved_on: usize,
}

impl Gaps {
    /// Compares. `newer` are the repositories that have a newer snapshot than this point.
    pub(super) fn find(listing: &Listing, found: &Files, newer: &[String]) -> Self {
        let mut gaps = Self::default();
        for (path, listed) in &listing.0 {
            let newer = repository(path).is_some_and(|repository| newer.iter().any(|name| name == repository));
            match found.get(path) {
                _ if newer && is_volatile(path) => gaps.moved_on += 1,
                None if newer => gaps.moved_on += 1,
                None => gaps.missing.push(path.clone()),
                Some(seen) if seen.bytes != listed.seen.bytes => {
                    gaps.resized.push((path.clone(), listed.seen.bytes, seen.bytes));
                }
                Some(_) => gaps.there.push(path.clone()),
            }
        }
        gaps
    }

    /// What is wrong, in a sentence; nothing when all is there.
    pub(super) fn describe(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(first) = self.missing.first() {
            parts.push(format!("{} files are missing, the first is {first}", self.missing.len()));
        }
        if let Some((path, expected, found)) = self.resized.first() {
            let count = self.resized.len();
            parts.push(format!("{count} files have another size, the first is {path}: {found} bytes, not {expected}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(bytes: u64, time: &str, digit: &str) -> Listed {
        Listed { seen: Seen { bytes, time: time.into(), change: String::new() }, sha256: digit.repeat(64) }
    }

    fn listing(files: &[(&str, u64)]) -> Listing {
        Listing(files.iter().map(|(path, bytes)| ((*path).to_owned(), listed(*bytes, "1.5", "a"))).collect())
    }

    fn found(files: &[(&str, u64)]) -> Files {
        files
            .iter()
            .map(|(path, bytes)| ((*path).to_owned(), Seen { bytes: *bytes, time: "2".into(), change: String::new() }))
            .collect()
    }

    #[test]
    fn a_listing_survives_being_written_and_nothing_else_is_read() {
        let mut listing = listing(&[("points/p-1/db.sql.zst", 5)]);
        listing.0.insert("search-s/a\nb\\c  d".into(), listed(0, "3.25", "b"));
        let text = listing.write();
        assert_eq!(Listing::parse(&text), Ok(listing));
        for bad in [
            text.replace("# 5 1.5\n", ""),
            text.replace("# 5 ", "# five "),
            text.replace("aaaa  ", "  "),
            text.replace("points/p-1", "/etc"),
            text.replace("points/p-1", "points/../.."),
            text.replace(&"a".repeat(64), &"z".repeat(64)),
        ] {
            assert!(Listing::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_same_size_and_time_save_reading_a_file() {
        let listing = listing(&[("x", 5)]);
        let seen = |bytes, time: &str| Seen { bytes, time: time.into(), change: "9 9".into() };
        assert!(listing.known("x", &seen(5, "1.5")).is_some());
        for (path, seen) in [("x", seen(6, "1.5")), ("x", seen(5, "1.6")), ("y", seen(5, "1.5"))] {
            assert_eq!(listing.known(path, &seen), None);
        }
    }

    #[test]
    fn work_is_attached_to_only_for_the_same_files_in_the_same_state() {
        let files = found(&[("a", 1), ("b", 2)]);
        let paths = ["a".to_owned(), "b".to_owned()];
        assert_eq!(state_name(&files, &paths), state_name(&files.clone(), &paths));
        assert_ne!(state_name(&files, &paths), state_name(&files, &paths[..1]));
        assert_ne!(state_name(&files, &paths), state_name(&found(&[("a", 1), ("b", 3)]), &paths));
    }

    #[test]
    fn answers_of_the_host_are_read_strictly() {
        let files =
            parse_seen(b"5 1700000000.5 1700000001.5 77 /t/a b\n c\x000 1.0 2.0 78 /t/d/e\0", "/t").expect("records");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a b\n c", "d/e"]);
        let seen = Seen { bytes: 5, time: "1700000000.5".into(), change: "1700000001.5 77".into() };
        assert_eq!(files["a b\n c"], seen);
        let bad = [
            &b"5 1.0 2.0 7 /other/x\0"[..],
            b"x 1.0 2.0 7 /t/a\0",
            b"5 1.0 /t/a\0",
            b"find: /t: no\0",
            b"5 1.0 2.0 7 /t/\xff\0",
        ];
        for bad in bad {
            assert!(parse_seen(bad, "/t").is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let record = format!("{}  a b\0", "0".repeat(64));
        assert_eq!(parse_sums(record.as_bytes()).expect("a sum")["a b"], "0".repeat(64));
        assert!(parse_sums(b"sha256sum: x: No such file\0").is_err());
    }

    #[test]
    fn gaps_are_strict_until_a_repository_has_a_newer_snapshot() {
        let listing = listing(&[
            ("points/p/db", 5),
            ("search-s/index-1", 5),
            ("search-s/index.latest", 8),
            ("search-s/indices/x/__1", 9),
        ]);
        let whole = found(&[
            ("points/p/db", 5),
            ("search-s/index-1", 5),
            ("search-s/index.latest", 8),
            ("search-s/indices/x/__1", 9),
        ]);
        assert_eq!(Gaps::find(&listing, &whole, &[]).describe(), None);
        let later = found(&[("points/p/db", 4), ("search-s/index-2", 5), ("search-s/index.latest", 8)]);
        let strict = Gaps::find(&listing, &later, &[]);
        assert_eq!((strict.missing.len(), strict.resized.len(), strict.moved_on), (2, 1, 0));
        let lenient = Gaps::find(&listing, &later, &["search-s".into()]);
        assert_eq!(
            (lenient.missing.len(), lenient.resized.len(), lenient.moved_on),
            (0, 1, 3),
            "the dump is never excused"
        );
        assert!(lenient.describe().expect("a gap").contains("points/p/db: 4 bytes, not 5"));
    }
}
