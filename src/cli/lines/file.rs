//! The lines of a text of output: what is read of it, and how. Only pieces are ever in memory. It knows nothing of requests,
//! nor of how the text is made of files.

use std::io;
use std::time::Instant;

use memchr::{memchr, memchr_iter, memrchr_iter};

use super::index::Index;
use super::splice::{Splice, cut_short};
use crate::console::log::{LogLine, LogSource};
use crate::journal::Printed;
use crate::model::{SafeText, TintedLine};

/// What is read at a time to count lines.
const PIECE: usize = 256 * 1024;
/// What is read at a time to show lines.
const BLOCK: usize = 64 * 1024;
/// How far back the last lines are looked for while the lines are not counted yet.
const TAIL: u64 = 8 * 1024 * 1024;

/// An open text. It grows; when it is not what it was any more, it is opened anew.
#[derive(Debug)]
pub(super) struct TextFile {
    text: Splice,
    size: u64,
    index: Index,
    piece: Vec<u8>,
    block: Vec<u8>,
    block_at: u64,
}

/// The first and the one after the last byte of a line, without its newline.
type Extent = (u64, u64);

impl TextFile {
    /// Opens what a source prints. Nothing while there is nothing.
    pub(super) fn open(source: &LogSource, place: &Printed) -> io::Result<Option<Self>> {
        let text = Splice::open(source, place)?;
        let index = Index::new();
        Ok(text.map(|text| Self { text, size: 0, index, piece: Vec::new(), block: Vec::new(), block_at: 0 }))
    }

    /// Takes what is known of the files now. False when they are not the same any more, or have lost bytes.
    pub(super) fn is_still(&mut self, place: &Printed) -> bool {
        self.text.is_still(place)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn total(&self) -> u64 {
        self.index.total()
    }

    /// Reads into a window of a search: bytes from an offset on.
    pub(super) fn read(&mut self, offset: u64, window: &mut [u8]) -> io::Result<()> {
        self.text.read(offset, window)
    }

    /// True when it is known where the text ends.
    pub(super) fn complete(&self) -> bool {
        self.text.complete()
    }

    /// So much of it has times.
    pub(super) fn timed(&self) -> u64 {
        self.text.covered()
    }

    /// True when all lines are counted.
    pub(super) fn counted(&self) -> bool {
        self.complete() && self.index.scanned() == self.size
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
        self.text.complete_until(until)?;
        self.size = self.text.size();
        while self.index.scanned() < self.size {
            self.piece.resize(limited(self.size - self.index.scanned(), PIECE), 0);
            self.text.read(self.index.scanned(), &mut self.piece)?;
            self.index.take(&self.piece);
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
    pub(super) fn lines(&mut self, first: u64, count: u16) -> io::Result<Vec<LogLine>> {
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
    pub(super) fn tail(&mut self, count: u16) -> io::Result<Vec<LogLine>> {
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
    fn shown(&mut self, (start, end): Extent) -> io::Result<LogLine> {
        let mut length = end - start;
        if length > 0 && self.byte(end - 1)? == b'\r' {
            length -= 1;
        }
        let head = self.bytes(start, limited(length, SafeText::LONGEST + 1))?;
        let TintedLine { text, tints } = TintedLine::start(head, length);
        // An empty last line has no byte of its own: its newline says whose it is.
        let whose = self.text.whose(start)?;
        let (by, at) = whose.map_or((None, None), |(unit, attempt, at)| (Some((unit, attempt)), at));
        Ok(LogLine { at, by, text, tints })
    }

    fn byte(&mut self, at: u64) -> io::Result<u8> {
        let inside = at.checked_sub(self.block_at).and_then(|at| self.block.get(usize::try_from(at).ok()?));
        if let Some(byte) = inside {
            return Ok(*byte);
        }
        let mut byte = [0];
        self.text.read(at, &mut byte)?;
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
            if let Err(error) = self.text.read(offset, &mut self.block) {
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
