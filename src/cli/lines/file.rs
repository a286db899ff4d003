//! One file of output: what is read of it, and how. Only pieces are ever in memory. It knows nothing of requests.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Instant;

use memchr::{memchr, memchr_iter, memrchr_iter};

use super::index::Index;
use crate::model::SafeText;

/// What is read at a time to count lines.
const PIECE: usize = 256 * 1024;
/// What is read at a time to show lines.
const BLOCK: usize = 64 * 1024;
/// How far back the last lines are looked for while the lines are not counted yet.
const TAIL: u64 = 8 * 1024 * 1024;

/// An open file. It grows; when it shrinks or another takes its name, it is opened anew.
#[derive(Debug)]
pub(super) struct TextFile {
    file: File,
    identity: (u64, u64),
    size: u64,
    index: Index,
    piece: Vec<u8>,
    block: Vec<u8>,
    block_at: u64,
}

/// The first and the one after the last byte of a line, without its newline.
type Extent = (u64, u64);

impl TextFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let data = file.metadata()?;
        Ok(Self {
            file,
            identity: (data.dev(), data.ino()),
            size: data.len(),
            index: Index::new(),
            piece: Vec::new(),
            block: Vec::new(),
            block_at: 0,
        })
    }

    /// Takes what is known of the file now. False when it is not the same file any more, or has lost bytes.
    pub(super) fn is_still(&mut self, data: &Metadata) -> bool {
        let same = self.identity == (data.dev(), data.ino()) && data.len() >= self.size;
        if same {
            self.size = data.len();
        }
        same
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn total(&self) -> u64 {
        self.index.total()
    }

    /// Reads into a window of a search: bytes from an offset on.
    pub(super) fn read(&self, offset: u64, window: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(window, offset)
    }

    /// True when all lines are counted.
    pub(super) fn counted(&self) -> bool {
        self.index.scanned() == self.size
    }

    /// How many lines have ended in what was counted.
    pub(super) fn ended(&self) -> u64 {
        self.index.ended()
    }

    /// How many lines have a known end: all when the file is counted.
    pub(super) fn known(&self) -> u64 {
        if self.counted() { self.index.total() } else { self.index.ended() }
    }

    /// Counts lines until all are counted or it is so late.
    pub(super) fn count(&mut self, until: Instant) -> io::Result<()> {
        while !self.counted() {
            self.piece.resize(PIECE, 0);
            let want = limited(self.size - self.index.scanned(), PIECE);
            let got = self.file.read_at(&mut self.piece[..want], self.index.scanned())?;
            if got == 0 {
                return Err(cut_short());
            }
            self.index.take(&self.piece[..got]);
            if Instant::now() >= until {
                break;
            }
        }
        if self.counted() {
            self.piece = Vec::new();
        }
        Ok(())
    }

    /// Where a known line begins; the end of what is known for others.
    pub(super) fn start(&mut self, line: u64) -> io::Result<u64> {
        if line >= self.index.total() {
            return Ok(self.index.scanned());
        }
        let mark = self.index.before(line);
        let (mut offset, mut left) = (mark.offset, line - mark.line);
        while left > 0 {
            let block = self.more(offset)?;
            let step = usize::try_from(left - 1).ok().and_then(|nth| memchr_iter(b'\n', block).nth(nth));
            if let Some(at) = step {
                return Ok(offset + at as u64 + 1);
            }
            left -= memchr_iter(b'\n', block).count() as u64;
            offset += block.len() as u64;
        }
        Ok(offset)
    }

    fn end(&mut self, line: u64, start: u64) -> io::Result<u64> {
        if line >= self.index.ended() {
            return Ok(self.size);
        }
        if let Some(next) = self.index.next(line) {
            return Ok(next - 1);
        }
        let mut offset = start;
        loop {
            let block = self.more(offset)?;
            if let Some(at) = memchr(b'\n', block) {
                return Ok(offset + at as u64);
            }
            offset += block.len() as u64;
        }
    }

    /// Known lines from one on.
    pub(super) fn lines(&mut self, first: u64, count: u16) -> io::Result<Vec<SafeText>> {
        let last = self.known().min(first.saturating_add(u64::from(count)));
        let mut start = self.start(first)?;
        let mut lines = Vec::new();
        for line in first..last {
            let end = self.end(line, start)?;
            lines.push(self.shown((start, end))?);
            start = end + 1;
        }
        Ok(lines)
    }

    /// The last lines, read backwards from the end; fewer when they are so long that this would take a while.
    pub(super) fn tail(&mut self, count: u16) -> io::Result<Vec<SafeText>> {
        let extents = self.tail_extents(usize::from(count))?;
        extents.into_iter().map(|extent| self.shown(extent)).collect()
    }

    fn tail_extents(&mut self, count: usize) -> io::Result<Vec<Extent>> {
        let mut extents = Vec::new();
        if self.size == 0 || count == 0 {
            return Ok(extents);
        }
        let mut end = self.size;
        if self.byte(end - 1)? == b'\n' {
            end -= 1;
        }
        let floor = end.saturating_sub(TAIL);
        let mut at = end;
        while at > floor {
            let from = at.saturating_sub(BLOCK as u64).max(floor);
            let block = self.bytes(from, limited(at - from, BLOCK))?;
            for newline in memrchr_iter(b'\n', block) {
                let newline = from + newline as u64;
                extents.push((newline + 1, end));
                end = newline;
                if extents.len() == count {
                    extents.reverse();
                    return Ok(extents);
                }
            }
            at = from;
        }
        if at == 0 {
            extents.push((0, end));
        }
        extents.reverse();
        Ok(extents)
    }

    /// A line as it is shown, of which no more is read than is kept.
    fn shown(&mut self, (start, end): Extent) -> io::Result<SafeText> {
        let mut length = end - start;
        if length > 0 && self.byte(end - 1)? == b'\r' {
            length -= 1;
        }
        let head = self.bytes(start, limited(length, SafeText::LONGEST + 1))?;
        Ok(SafeText::line_start(head, length))
    }

    fn byte(&mut self, at: u64) -> io::Result<u8> {
        let inside = at.checked_sub(self.block_at).and_then(|at| self.block.get(usize::try_from(at).ok()?));
        if let Some(byte) = inside {
            return Ok(*byte);
        }
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at)?;
        Ok(byte[0])
    }

    /// Some bytes from an offset on, where there must be some.
    fn more(&mut self, offset: u64) -> io::Result<&[u8]> {
        let bytes = self.bytes(offset, BLOCK)?;
        if bytes.is_empty() { Err(cut_short()) } else { Ok(bytes) }
    }

    /// So many bytes from an offset on; fewer only at the end of the file.
    fn bytes(&mut self, offset: u64, want: usize) -> io::Result<&[u8]> {
        let want = limited(self.size.saturating_sub(offset), want);
        let inside = |at: u64, length: usize| offset >= at && offset - at + want as u64 <= length as u64;
        if !inside(self.block_at, self.block.len()) {
            self.block.resize(limited(self.size.saturating_sub(offset), want.max(BLOCK)), 0);
            self.block_at = offset;
            if let Err(error) = self.file.read_exact_at(&mut self.block, offset) {
                self.block.clear();
                return Err(error);
            }
        }
        let from = limited(offset - self.block_at, self.block.len());
        self.block.get(from..from + want).ok_or_else(cut_short)
    }
}

fn limited(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(most)
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")
}
