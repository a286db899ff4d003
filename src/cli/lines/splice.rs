//! What several files of output hold, as one text in the order in which it came; or the text of a single one, with what is
//! known of when it came. Nothing is copied: here is where each byte of the text stands. Of the index of the run, which
//! says that, only marks are in memory; it is read again where it is looked at.
//!
//! The index is believed as far as it fits the files. What it does not cover stands at the end, file by file, without
//! times: of a single file at once, of several once the run's process does not write any more, so that the text only grows.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use memchr::{memchr_iter, memrchr};

use crate::console::log::{LogFile, LogSource};
use crate::journal::{Printed, Stretch, printed_by};
use crate::model::UnitKey;

/// What of the index is read at a time. What has no newline in so much is no index.
const BLOCK: usize = 64 * 1024;
/// Bytes of the index between two marks, while it is small. From a mark to what is looked for no more than twice this must
/// be read.
const SPAN: u64 = 4 * 1024;
/// Most marks: 256 KiB of them. An index that needs more gets every second one taken away.
const MOST: usize = 8 * 1024;
/// Files that are kept open.
const OPEN: usize = 16;

/// The device and the number of a file: another one of the same name is another file.
type Identity = (u64, u64);
/// Of a file that is in the index only.
const MISSING: Identity = (0, 0);

/// A file whose bytes are in the text.
#[derive(Debug)]
struct Part {
    unit: UnitKey,
    attempt: u32,
    path: PathBuf,
    identity: Identity,
    size: u64,
    /// So much of it is where the index says.
    covered: u64,
    /// From here on the index does not fit it.
    doubted: u64,
}

/// Bytes of a file that follow each other in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// Where it begins in the text.
    start: u64,
    /// True when a newline stands before it, because a line of another file has not ended.
    lead: bool,
    part: usize,
    from: u64,
    to: u64,
    at: Option<Timestamp>,
}

impl Segment {
    /// Where its own bytes begin in the text.
    fn body(&self) -> u64 {
        self.start + u64::from(self.lead)
    }

    fn end(&self) -> u64 {
        self.body() + (self.to - self.from)
    }
}

/// A place in the index, and in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    start: u64,
    offset: u64,
    /// The file whose line has not ended before.
    open: Option<usize>,
}

/// The index, as far as it was read.
#[derive(Debug)]
struct Index {
    file: File,
    identity: Identity,
    /// What of it was read.
    read: u64,
    /// What was there when it was looked at last.
    size: u64,
}

/// The text.
#[derive(Debug)]
pub(super) struct Splice {
    source: LogSource,
    place: Printed,
    parts: Vec<Part>,
    /// The number of a file among the parts; nothing for one that the source does not include.
    names: HashMap<String, Option<usize>>,
    index: Option<Index>,
    marks: Vec<Mark>,
    span: u64,
    most: usize,
    /// How much of the text the index covers, and whose line has not ended there.
    covered: u64,
    open: Option<usize>,
    /// What is not in the index.
    tails: Vec<Segment>,
    /// True when all of the index was read, and what is not in it found.
    complete: bool,
    /// True when what was told of the text is not so any more.
    changed: bool,
    files: Vec<(usize, File)>,
    /// What the index says from a mark on, as it was read last.
    block: Vec<Segment>,
}

impl Splice {
    /// Opens what a source prints. Nothing while there is nothing.
    pub(super) fn open(source: &LogSource, place: &Printed) -> io::Result<Option<Self>> {
        Self::with_marks(source, place, SPAN, MOST)
    }

    fn with_marks(source: &LogSource, place: &Printed, span: u64, most: usize) -> io::Result<Option<Self>> {
        let mut splice = Self {
            source: source.clone(),
            place: place.clone(),
            parts: Vec::new(),
            names: HashMap::new(),
            index: Index::open(place),
            marks: Vec::new(),
            span,
            most,
            covered: 0,
            open: None,
            tails: Vec::new(),
            complete: false,
            changed: false,
            files: Vec::new(),
            block: Vec::new(),
        };
        match source {
            LogSource::One(LogFile { unit, attempt, .. }) => {
                let path = place.file(unit, *attempt);
                let data = match std::fs::metadata(&path) {
                    Ok(data) => data,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(unreadable(&path, &error)),
                };
                splice.add(unit.clone(), *attempt, path, &data)?;
                let name = splice.parts[0].path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                splice.names.insert(name, Some(0));
            }
            // Whether somebody may read it at all.
            LogSource::Several(_) => match std::fs::read_dir(&place.folder) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(unreadable(&place.folder, &error)),
            },
        }
        Ok(Some(splice))
    }

    /// Looks at all files again. False when the text is not what it was: a file was replaced, or has lost bytes.
    pub(super) fn is_still(&mut self, place: &Printed) -> bool {
        let same_parts = self.parts.iter_mut().all(|part| {
            let Ok(data) = std::fs::metadata(&part.path) else { return part.identity == MISSING };
            let same = part.identity == identity(&data) && data.len() >= part.size;
            self.complete &= data.len() == part.size;
            part.size = data.len();
            same
        });
        let same_index = match &mut self.index {
            Some(index) => std::fs::metadata(&place.index).is_ok_and(|data| {
                let same = index.identity == identity(&data) && data.len() >= index.size;
                self.complete &= data.len() == index.size;
                index.size = data.len();
                same
            }),
            None => Index::open(place).is_none(),
        };
        self.complete &= self.place.alive == place.alive && (self.index.is_some() || !place.alive);
        self.place.clone_from(place);
        same_parts && same_index && !self.changed
    }

    /// How many bytes the text has.
    pub(super) fn size(&self) -> u64 {
        self.tails.last().map_or(self.covered, Segment::end)
    }

    /// How many of them have a known time, as far as the index has times.
    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    /// True when nothing is left to be found out of what was there when it was looked at.
    pub(super) fn complete(&self) -> bool {
        self.complete
    }

    /// Reads the index to its end, or until it is so late.
    pub(super) fn complete_until(&mut self, until: Instant) -> io::Result<()> {
        while !self.complete && !self.changed && self.read_index()? {
            if Instant::now() >= until {
                return Ok(());
            }
        }
        if !self.complete {
            self.find_tails()?;
            self.complete = true;
        }
        Ok(())
    }

    /// Reads some of the index. False at its end.
    fn read_index(&mut self) -> io::Result<bool> {
        let Some(index) = &mut self.index else { return Ok(false) };
        let mut block = vec![0; limited(index.size - index.read, BLOCK)];
        let (at, got) = (index.read, index.file.read_at(&mut block, index.read)?);
        let Some(last) = memrchr(b'\n', &block[..got]) else { return Ok(false) };
        index.read += last as u64 + 1;
        let mut begin = 0;
        for end in memchr_iter(b'\n', &block[..=last]) {
            if let Some(stretch) = Stretch::parse(&block[begin..end]) {
                self.take(&stretch, at + begin as u64)?;
            }
            begin = end + 1;
        }
        Ok(true)
    }

    /// Takes a stretch from a place of the index.
    fn take(&mut self, stretch: &Stretch<'_>, offset: u64) -> io::Result<()> {
        let Some(part) = self.part(stretch.name)? else { return Ok(()) };
        // Of several files it would take the place of what stands there without a time.
        self.changed |= matches!(self.source, LogSource::Several(_)) && !self.tails.is_empty();
        let known = &mut self.parts[part];
        if self.changed || offset >= known.doubted {
            return Ok(());
        }
        if stretch.to > known.size {
            known.size = std::fs::metadata(&known.path).map_or(0, |data| data.len());
        }
        if stretch.from != known.covered || stretch.to > known.size {
            known.doubted = offset;
            return Ok(());
        }
        known.covered = stretch.to;
        let segment = following(self.covered, self.open, part, stretch);
        if self.marks.last().is_none_or(|mark| offset - mark.offset >= self.span) {
            self.marks.push(Mark { start: self.covered, offset, open: self.open });
            while self.marks.len() > self.most {
                self.thin();
            }
        }
        self.covered = segment.end();
        self.open = stretch.open.then_some(part);
        Ok(())
    }

    fn thin(&mut self) {
        self.span *= 2;
        let mut kept: Option<u64> = None;
        let span = self.span;
        self.marks.retain(|mark| {
            let keep = kept.is_none_or(|kept| mark.offset - kept >= span);
            if keep {
                kept = Some(mark.offset);
            }
            keep
        });
    }

    /// The file of a name, when the source includes it.
    fn part(&mut self, name: &str) -> io::Result<Option<usize>> {
        if let Some(part) = self.names.get(name) {
            return Ok(*part);
        }
        let Some((unit, attempt)) = printed_by(name).filter(|(unit, attempt)| self.source.includes(unit, *attempt))
        else {
            self.names.insert(name.to_owned(), None);
            return Ok(None);
        };
        let path = self.place.file(&unit, attempt);
        match std::fs::metadata(&path) {
            Ok(data) => self.add(unit, attempt, path, &data)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.parts.push(Part { unit, attempt, path, identity: MISSING, size: 0, covered: 0, doubted: 0 });
            }
            Err(error) => return Err(unreadable(&path, &error)),
        }
        let part = self.parts.len() - 1;
        self.names.insert(name.to_owned(), Some(part));
        Ok(Some(part))
    }

    fn add(&mut self, unit: UnitKey, attempt: u32, path: PathBuf, data: &Metadata) -> io::Result<()> {
        if !data.is_file() {
            return Err(unreadable(&path, &"it is not a file"));
        }
        let (identity, size) = (identity(data), data.len());
        self.parts.push(Part { unit, attempt, path, identity, size, covered: 0, doubted: u64::MAX });
        Ok(())
    }

    /// Finds what is not in the index: of a single file, and of several when nobody puts it there any more.
    fn find_tails(&mut self) -> io::Result<()> {
        let several = matches!(self.source, LogSource::Several(_));
        if several {
            if self.place.alive && self.index.is_some() {
                return Ok(());
            }
            for name in self.names_on_disk()? {
                self.part(&name)?;
            }
        }
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.sort_by(|one, other| self.parts[*one].path.cmp(&self.parts[*other].path));
        let (mut tails, mut end, mut open) = (Vec::new(), self.covered, self.open);
        for part in order {
            let Part { covered: from, size: to, .. } = self.parts[part];
            if from < to {
                let rest = Stretch { name: "", from, to, open: false, at: None };
                let segment = following(end, open, part, &rest);
                end = segment.end();
                let mut last = [0];
                self.file(part)?.read_exact_at(&mut last, to - 1)?;
                open = (last != *b"\n").then_some(part);
                tails.push(segment);
            }
        }
        if several && !self.tails.is_empty() && self.tails != tails {
            self.changed = true;
        } else {
            self.tails = tails;
        }
        Ok(())
    }

    fn names_on_disk(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.place.folder)?;
        let mut names = entries
            .filter_map(|entry| match entry {
                Ok(entry) => entry.file_name().to_str()?.strip_suffix(".log").map(|name| Ok(name.to_owned())),
                Err(error) => Some(Err(error)),
            })
            .collect::<io::Result<Vec<String>>>()?;
        names.sort();
        Ok(names)
    }

    /// Whose the byte at a place is, and when it came.
    pub(super) fn whose(&mut self, offset: u64) -> io::Result<Option<(UnitKey, u32, Option<Timestamp>)>> {
        let Some(segment) = self.segment(offset)? else { return Ok(None) };
        let part = &self.parts[segment.part];
        Ok(Some((part.unit.clone(), part.attempt, segment.at)))
    }

    /// Fills a window with the bytes from a place on, which must be there.
    pub(super) fn read(&mut self, mut offset: u64, mut window: &mut [u8]) -> io::Result<()> {
        while !window.is_empty() {
            let Some(segment) = self.segment(offset)? else { return Err(cut_short()) };
            if offset < segment.body() {
                window[0] = b'\n';
                window = &mut window[1..];
                offset += 1;
                continue;
            }
            let (now, rest) = window.split_at_mut(limited(segment.end() - offset, window.len()));
            self.file(segment.part)?.read_exact_at(now, segment.from + (offset - segment.body()))?;
            offset += now.len() as u64;
            window = rest;
        }
        Ok(())
    }

    /// The segment with the byte at a place.
    fn segment(&mut self, offset: u64) -> io::Result<Option<Segment>> {
        if offset >= self.covered {
            return Ok(holding(&self.tails, offset));
        }
        if let Some(segment) = holding(&self.block, offset) {
            return Ok(Some(segment));
        }
        self.read_block(offset)?;
        Ok(holding(&self.block, offset))
    }

    /// Reads the index again from the last mark at or before a place of the text up to the next one.
    fn read_block(&mut self, offset: u64) -> io::Result<()> {
        self.block.clear();
        let after = self.marks.partition_point(|mark| mark.start <= offset);
        let end = self.marks.get(after).map_or(self.covered, |mark| mark.start);
        let (Some(index), Some(mark)) = (&self.index, self.marks.get(after.saturating_sub(1))) else { return Ok(()) };
        let (mut start, mut open, mut at) = (mark.start, mark.open, mark.offset);
        let mut piece = Vec::new();
        while start < end {
            piece.resize(limited(index.read.saturating_sub(at), BLOCK), 0);
            index.file.read_exact_at(&mut piece, at)?;
            let Some(last) = memrchr(b'\n', &piece) else { return Err(cut_short()) };
            let mut begin = 0;
            for newline in memchr_iter(b'\n', &piece[..=last]) {
                let line = Stretch::parse(&piece[begin..newline]);
                let place = at + begin as u64;
                begin = newline + 1;
                let Some(stretch) = line.filter(|_| start < end) else { continue };
                let part = self.names.get(stretch.name).copied().flatten();
                let Some(part) = part.filter(|part| place < self.parts[*part].doubted) else { continue };
                let segment = following(start, open, part, &stretch);
                (start, open) = (segment.end(), stretch.open.then_some(part));
                self.block.push(segment);
            }
            at += last as u64 + 1;
        }
        Ok(())
    }

    fn file(&mut self, part: usize) -> io::Result<&File> {
        let at = self.files.iter().position(|(open, _)| *open == part);
        let file = if let Some(at) = at {
            self.files.remove(at)
        } else {
            let file = File::open(&self.parts[part].path)?;
            if identity(&file.metadata()?) != self.parts[part].identity {
                return Err(cut_short());
            }
            (part, file)
        };
        if self.files.len() >= OPEN {
            self.files.remove(0);
        }
        self.files.push(file);
        self.files.last().map(|(_, file)| file).ok_or_else(cut_short)
    }
}

impl Index {
    /// The index that is there. One that cannot be read is as none: what it would say has no times.
    fn open(place: &Printed) -> Option<Self> {
        let file = File::open(&place.index).ok()?;
        let data = file.metadata().ok().filter(Metadata::is_file)?;
        Some(Self { file, identity: identity(&data), read: 0, size: data.len() })
    }
}

/// The segment of a stretch that follows a place in the text, where perhaps a line of a file has not ended.
fn following(start: u64, open: Option<usize>, part: usize, stretch: &Stretch<'_>) -> Segment {
    let lead = open.is_some_and(|open| open != part);
    Segment { start, lead, part, from: stretch.from, to: stretch.to, at: stretch.at }
}

/// The one of segments that follow each other which holds a byte.
fn holding(segments: &[Segment], offset: u64) -> Option<Segment> {
    let after = segments.partition_point(|segment| segment.start <= offset);
    segments.get(after.checked_sub(1)?).filter(|segment| offset < segment.end()).copied()
}

fn identity(data: &Metadata) -> Identity {
    (data.dev(), data.ino())
}

fn limited(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(most)
}

fn unreadable(path: &std::path::Path, error: &impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{} cannot be read: {error}", path.display()))
}

/// What is to be read is not there any more.
pub(super) fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")
}

#[cfg(test)]
mod tests;
