//! The files with what remote work printed: byte-exact, best effort, written by a thread of their own. Beside them it keeps
//! the index of what came when, by as little effort: what is not in it has no time.
//!
//! When bytes could not be kept, the file says how many and why as soon as it can be written again; a gap is never
//! silent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use memchr::memrchr;
use tokio::sync::{mpsc, oneshot};

use super::folder::{append_file, trouble};
use super::stretches::{self, Asked, Came, Gathering, Stretch, TORN};
use crate::model::UnitKey;
use crate::port::SinkError;

/// Chunks that may wait for the disk before a caller has to.
const WAITING: usize = 256;
/// Files kept open.
const OPEN: usize = 64;
/// How long the index is left alone after it could not be written.
const PAUSE: Duration = Duration::from_secs(1);
/// What of the index is read at a time. What has no newline in so much is no index.
const BLOCK: u64 = 64 * 1024;

/// The folder of the output files within the run's folder.
pub(super) const FOLDER: &str = "output";

/// The file of one attempt's output.
pub(super) fn path(run_folder: &Path, unit: &UnitKey, attempt: u32) -> PathBuf {
    run_folder.join(FOLDER).join(format!("{}.log", stretches::name_of(unit, attempt)))
}

/// Where the output of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The folder with a file for each attempt.
    pub folder: PathBuf,
    /// The index of them; there need not be one.
    pub index: PathBuf,
    /// True while more may come: the process of the run is alive.
    pub alive: bool,
}

impl Printed {
    /// The file of one attempt's output.
    #[must_use]
    pub fn file(&self, unit: &UnitKey, attempt: u32) -> PathBuf {
        self.folder.join(format!("{}.log", stretches::name_of(unit, attempt)))
    }
}

/// Every file of output within a run's folder, in the order of their names. A run that has printed nothing has none.
pub(super) fn all(run_folder: &Path) -> Result<Vec<PathBuf>, SinkError> {
    let folder = run_folder.join(FOLDER);
    let failed = |error: io::Error| trouble("read the folder", &folder, &error);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    files.sort();
    Ok(files)
}

enum Order {
    Write(PathBuf, Timestamp, Vec<u8>),
    Flush(oneshot::Sender<()>),
}

/// The handle of the thread.
pub(super) struct Outputs {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    /// The first error of each file, until it has been told.
    trouble: Arc<Mutex<HashMap<PathBuf, SinkError>>>,
}

impl Outputs {
    pub(super) fn start(folder: &Path) -> Result<Self, SinkError> {
        let failed = |error: io::Error| trouble("start a thread for output in", folder, &error);
        let (orders, receiver) = mpsc::channel(WAITING);
        let untold = Arc::new(Mutex::new(HashMap::new()));
        let (told, index, outputs) = (Arc::clone(&untold), folder.join(stretches::FILE), folder.join(FOLDER));
        // Its own, so that it waits by the time of this machine whatever clock the run has.
        let time = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let work = move || {
            let index = Index::take_up(index, &outputs);
            time.block_on(Keeper { files: Files::default(), index, told }.keep(receiver));
        };
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { orders: Some(orders), thread: Some(thread), trouble: untold })
    }

    /// Hands bytes to the thread, and when they came. An error is that of an earlier write to the file, told once.
    pub(super) async fn append(&self, path: PathBuf, at: Timestamp, bytes: &[u8]) -> Result<(), SinkError> {
        let told = self.untold().remove(&path).map_or(Ok(()), Err);
        self.order(Order::Write(path, at, bytes.to_vec())).await?;
        told
    }

    /// Returns when everything handed over so far has been written, or could not be.
    pub(super) async fn flush(&self) -> Result<(), SinkError> {
        let (done, wait) = oneshot::channel();
        self.order(Order::Flush(done)).await?;
        wait.await.map_err(|_| Self::gone())?;
        let told = self.untold().drain().map(|(_, error)| error).next();
        told.map_or(Ok(()), Err)
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<PathBuf, SinkError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn order(&self, order: Order) -> Result<(), SinkError> {
        self.orders.as_ref().ok_or_else(Self::gone)?.send(order).await.map_err(|_| Self::gone())
    }

    fn gone() -> SinkError {
        SinkError { tried: "keep output".to_owned(), got: "its writer has ended".to_owned() }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The thread's own.
struct Keeper {
    files: Files,
    index: Index,
    told: Arc<Mutex<HashMap<PathBuf, SinkError>>>,
}

impl Keeper {
    async fn keep(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let wait = orders.recv();
            let order = match self.index.then() {
                None => Ok(wait.await),
                Some(then) => tokio::time::timeout_at(then.into(), wait).await,
            };
            let Ok(order) = order else {
                // By the clock of the run nothing has happened.
                self.index.write(Asked::Late(Came { at: Timestamp::MIN, on: Instant::now() }));
                continue;
            };
            match order {
                Some(Order::Write(path, at, bytes)) => self.write(path, at, &bytes),
                Some(Order::Flush(done)) => {
                    self.index.write(Asked::Lines);
                    // Whoever asked may be gone.
                    done.send(()).ok();
                }
                None => {
                    self.index.write(Asked::All);
                    return;
                }
            }
        }
    }

    fn write(&mut self, path: PathBuf, at: Timestamp, bytes: &[u8]) {
        let now = Came { at, on: Instant::now() };
        self.index.heed(now);
        let mut kept = Kept::default();
        let result = self.files.append(&path, bytes, &mut kept);
        self.index.take(&path, &kept, now);
        if let Err(error) = result {
            let error = trouble("keep output in", &path, &error);
            self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(path, error);
        }
    }
}

/// The index of what came when.
struct Index {
    path: PathBuf,
    file: Option<File>,
    /// True when its last line is not whole.
    torn: bool,
    gathering: Gathering,
    /// When it was tried last in vain.
    failed: Option<Instant>,
}

impl Index {
    /// Goes on with an index, or begins one. What is on disk and not in it is put there without a time.
    fn take_up(path: PathBuf, outputs: &Path) -> Self {
        let mut index = Self { path, file: None, torn: false, gathering: Gathering::default(), failed: None };
        // What cannot be read is known to nobody who reads it later either: all of that is best effort.
        drop(index.read());
        drop(index.find(outputs));
        index
    }

    /// Reads how much of each file is in the index.
    fn read(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let (mut offset, mut block) = (0, Vec::new());
        loop {
            block.clear();
            file.seek(SeekFrom::Start(offset))?;
            (&file).take(BLOCK).read_to_end(&mut block)?;
            let whole = memrchr(b'\n', &block).map_or(0, |at| at + 1);
            if whole == 0 {
                self.torn = !block.is_empty();
                return Ok(());
            }
            for stretch in block[..whole].split(|byte| *byte == b'\n').filter_map(Stretch::parse) {
                if stretch.from == self.gathering.covered(stretch.name) {
                    self.gathering.cover(stretch.name, stretch.to);
                }
            }
            offset += whole as u64;
        }
    }

    /// Puts what is on disk into the index: of a run that was cut short, or is older than the index.
    fn find(&mut self, outputs: &Path) -> io::Result<()> {
        let mut paths = std::fs::read_dir(outputs)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            let (Some(name), size) = (name(&path), std::fs::metadata(&path)?.len()) else { continue };
            let from = self.gathering.covered(name);
            if from < size && stretches::printed_by(name).is_some() {
                let mut last = [b'\n'];
                let mut file = File::open(&path)?;
                file.seek(SeekFrom::Start(size - 1))?;
                file.read_exact(&mut last)?;
                self.line(&Stretch { name, from, to: size, open: last != *b"\n", at: None })?;
                self.gathering.cover(name, size);
            }
        }
        Ok(())
    }

    /// When it has to be written to.
    fn then(&self) -> Option<Instant> {
        let then = self.gathering.then()?;
        Some(self.failed.map_or(then, |failed| then.max(failed + PAUSE)))
    }

    /// Writes what is due before more comes.
    fn heed(&mut self, now: Came) {
        if self.failed.is_none_or(|failed| now.on >= failed + PAUSE) {
            self.write(Asked::Late(now));
        }
    }

    /// Writes what is asked for.
    fn write(&mut self, asked: Asked) {
        for due in self.gathering.due(asked) {
            let stretch = due.stretch();
            if self.line(&stretch).is_err() {
                // It is not told: the output itself is there. What was not written waits, and is tried again.
                self.failed = Some(Instant::now());
                return;
            }
            self.failed = None;
            self.gathering.cover(stretch.name, stretch.to);
        }
    }

    fn line(&mut self, stretch: &Stretch<'_>) -> io::Result<()> {
        let mut line = if self.torn { TORN.to_vec() } else { Vec::new() };
        line.extend(format!("{stretch}\n").into_bytes());
        let file = match &mut self.file {
            Some(file) => file,
            file => file.insert(append_file(&self.path)?),
        };
        let mut written = 0;
        let result = write_counted(file, &line, &mut written);
        self.torn = if result.is_ok() { false } else { self.torn || written > 0 };
        result
    }

    /// Bytes came to a file of output.
    fn take(&mut self, path: &Path, kept: &Kept, now: Came) {
        let Some(name) = name(path).filter(|_| kept.from < kept.end) else { return };
        if self.gathering.covered(name) <= kept.from {
            self.gathering.take(name, kept.lines, kept.end, now);
        }
    }
}

/// The name of a file of output without its ending.
fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(".log")
}

/// What a file has got.
#[derive(Debug, Default)]
struct Kept {
    /// Where the file ended before.
    from: u64,
    /// Where the last newline of it ends.
    lines: Option<u64>,
    /// Where the file ends now.
    end: u64,
}

/// The files that are open, and what they miss.
#[derive(Default)]
struct Files {
    open: HashMap<PathBuf, File>,
    lost: HashMap<PathBuf, Lost>,
}

/// Bytes that are missing at the end of a file.
struct Lost {
    bytes: usize,
    why: String,
}

impl Files {
    /// Appends to a file, and says what it has got. The error is returned for the first bytes lost only.
    fn append(&mut self, path: &Path, bytes: &[u8], kept: &mut Kept) -> io::Result<()> {
        let mark = self.lost.get(path).map(|lost| {
            format!("\n[changeover: {} bytes of output could not be kept here: {}]\n", lost.bytes, lost.why)
        });
        let mut written = 0;
        let result = self.file(path).and_then(|file| {
            kept.from = file.metadata()?.len();
            kept.end = kept.from;
            if let Some(mark) = mark {
                file.write_all(mark.as_bytes())?;
                kept.end += mark.len() as u64;
                kept.lines = Some(kept.end);
            }
            let result = write_counted(file, bytes, &mut written);
            kept.lines = memrchr(b'\n', &bytes[..written]).map(|at| kept.end + at as u64 + 1).or(kept.lines);
            kept.end += written as u64;
            result
        });
        match result {
            Ok(()) => {
                self.lost.remove(path);
                Ok(())
            }
            Err(error) => {
                let missing = bytes.len() - written;
                match self.lost.get_mut(path) {
                    Some(lost) if written == 0 => {
                        lost.bytes += missing;
                        Ok(())
                    }
                    _ => {
                        self.lost.insert(path.to_owned(), Lost { bytes: missing, why: error.to_string() });
                        Err(error)
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<&mut File> {
        if self.open.len() >= OPEN && !self.open.contains_key(path) {
            self.open.clear();
        }
        match self.open.entry(path.to_owned()) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => Ok(entry.insert(append_file(path)?)),
        }
    }
}

/// Like `write_all`, and says how much was written also when it fails.
fn write_counted(file: &mut File, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < bytes.len() {
        match file.write(&bytes[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
