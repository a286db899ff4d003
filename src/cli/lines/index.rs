//! Where the lines of a file begin, as far as that must be known: a mark every so many bytes. It sees the bytes once, in
//! order; it never reads by itself.

use memchr::{memchr, memchr_iter, memrchr};

/// Bytes between two marks of a small file. From a mark to any line after it no more than twice this must be read.
const SPAN: u64 = 64 * 1024;
/// Most marks: 256 KiB of them. A file that needs more gets every second one taken away.
const MOST: usize = 16 * 1024;

/// The beginning of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: u64,
    pub(super) offset: u64,
}

/// The sparse index of a file.
#[derive(Debug)]
pub(super) struct Index {
    marks: Vec<Mark>,
    span: u64,
    most: usize,
    scanned: u64,
    ended: u64,
    open: u64,
}

impl Index {
    /// The index of a file of which nothing was seen.
    pub(super) fn new() -> Self {
        Self::of(SPAN, MOST)
    }

    fn of(span: u64, most: usize) -> Self {
        Self { marks: vec![Mark { line: 0, offset: 0 }], span, most, scanned: 0, ended: 0, open: 0 }
    }

    /// How many bytes were seen.
    pub(super) fn scanned(&self) -> u64 {
        self.scanned
    }

    /// How many lines have ended in these.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// How many lines there are, with one that has not ended.
    pub(super) fn total(&self) -> u64 {
        self.ended + u64::from(self.scanned > self.open)
    }

    /// Takes the bytes that follow those seen so far.
    pub(super) fn take(&mut self, block: &[u8]) {
        let mut rest = block;
        while !rest.is_empty() {
            // A newline before this gives no line that is far enough from the last mark: counting is enough.
            let due = self.last().offset + self.span - 1;
            let near = usize::try_from(due.saturating_sub(self.scanned)).unwrap_or(usize::MAX).min(rest.len());
            let (counted, beyond) = rest.split_at(near);
            self.ended += memchr_iter(b'\n', counted).count() as u64;
            if let Some(at) = memrchr(b'\n', counted) {
                self.open = self.scanned + at as u64 + 1;
            }
            self.scanned += counted.len() as u64;
            let Some(at) = memchr(b'\n', beyond) else {
                self.scanned += beyond.len() as u64;
                return;
            };
            self.ended += 1;
            self.scanned += at as u64 + 1;
            self.open = self.scanned;
            self.marks.push(Mark { line: self.ended, offset: self.open });
            while self.marks.len() > self.most {
                self.thin();
            }
            rest = &beyond[at + 1..];
        }
    }

    fn last(&self) -> Mark {
        self.marks.last().copied().unwrap_or(Mark { line: 0, offset: 0 })
    }

    fn thin(&mut self) {
        self.span *= 2;
        let mut kept = 0;
        self.marks.retain(|mark| {
            let keep = mark.offset == 0 || mark.offset - kept >= self.span;
            if keep {
                kept = mark.offset;
            }
            keep
        });
    }

    /// The last mark at or before a line.
    pub(super) fn before(&self, line: u64) -> Mark {
        let after = self.marks.partition_point(|mark| mark.line <= line);
        self.marks.get(after.saturating_sub(1)).copied().unwrap_or(Mark { line: 0, offset: 0 })
    }

    /// Where the line after this one begins, when there is a mark: always after a line that is longer than a span.
    pub(super) fn next(&self, line: u64) -> Option<u64> {
        let after = self.marks.partition_point(|mark| mark.line <= line);
        self.marks.get(after).filter(|mark| mark.line == line + 1).map(|mark| mark.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_lines_and_never_far_apart(
            lengths in prop::collection::vec(prop_oneof![4 => 0usize..20, 1 => 50usize..400], 0..300),
            ends in any::<bool>(),
            piece in 1usize..700,
        ) {
            let mut bytes: Vec<u8> = Vec::new();
            let mut starts = Vec::new();
            for length in &lengths {
                starts.push(bytes.len() as u64);
                bytes.extend(vec![b'x'; *length]);
                bytes.push(b'\n');
            }
            if !ends {
                bytes.pop();
            }
            let mut index = Index::of(64, 8);
            for block in bytes.chunks(piece) {
                index.take(block);
                prop_assert!(index.marks.len() <= 8);
            }
            // A last line that is empty and has no newline is no line.
            let lines = bytes.split_inclusive(|byte| *byte == b'\n').count();
            prop_assert_eq!(index.total(), lines as u64);
            prop_assert_eq!(index.scanned(), bytes.len() as u64);
            for (line, start) in starts.iter().enumerate().take(lines) {
                let mark = index.before(line as u64);
                prop_assert_eq!(starts.get(usize::try_from(mark.line).expect("small")), Some(&mark.offset));
                prop_assert!(mark.line <= line as u64);
                prop_assert!(start - mark.offset <= 2 * index.span, "{} of {mark:?}", start);
                if let Some(next) = index.next(line as u64) {
                    prop_assert_eq!(starts.get(line + 1).copied().unwrap_or(bytes.len() as u64), next);
                } else if line + 1 < lines {
                    prop_assert!(starts[line + 1] - start <= 2 * index.span);
                }
            }
        }
    }

    #[test]
    fn a_thousand_million_lines_need_no_more_memory_than_a_thousand() {
        let mut index = Index::of(4, 16);
        for _ in 0..1000 {
            index.take(&[b'\n'; 1000]);
            assert!(index.marks.len() <= 16 && index.marks.len() > 4, "{}", index.marks.len());
        }
        assert_eq!(index.total(), 1_000_000);
        assert_eq!(index.before(500_000).line, index.before(500_000).offset);
        assert!(500_000 - index.before(500_000).line <= 2 * index.span);
    }
}
