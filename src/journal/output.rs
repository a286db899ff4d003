//! The files with what remote work printed: byte-exact, best effort, written by a thread of their own.
//!
//! When bytes could not be kept, the file says how many and why as soon as it can be written again; a gap is never
//! silent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::folder::{append_file, trouble};
use crate::model::UnitKey;
use crate::port::SinkError;

/// Chunks that may wait for the disk before a caller has to.
const WAITING: usize = 256;
/// Files kept open.
const OPEN: usize = 64;

/// The folder of the output files within the run's folder.
pub(super) const FOLDER: &str = "output";

/// The file of one attempt's output.
pub(super) fn path(run_folder: &Path, unit: &UnitKey, attempt: u32) -> PathBuf {
    run_folder.join(FOLDER).join(format!("{}.{attempt}.log", unit.file_stem()))
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
    Write(PathBuf, Vec<u8>),
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
        let (orders, mut receiver) = mpsc::channel(WAITING);
        let untold = Arc::new(Mutex::new(HashMap::new()));
        let told = Arc::clone(&untold);
        let thread = std::thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || {
                let mut files = Files::default();
                while let Some(order) = receiver.blocking_recv() {
                    match order {
                        Order::Write(path, bytes) => {
                            if let Err(error) = files.append(&path, &bytes) {
                                let error = trouble("keep output in", &path, &error);
                                told.lock().unwrap_or_else(PoisonError::into_inner).insert(path, error);
                            }
                        }
                        // Whoever asked may be gone.
                        Order::Flush(done) => drop(done.send(())),
                    }
                }
            })
            .map_err(|error| trouble("start a thread for output in", folder, &error))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), trouble: untold })
    }

    /// Hands bytes to the thread. An error is that of an earlier write to the file, told once.
    pub(super) async fn append(&self, path: PathBuf, bytes: &[u8]) -> Result<(), SinkError> {
        let told = self.untold().remove(&path).map_or(Ok(()), Err);
        self.order(Order::Write(path, bytes.to_vec())).await?;
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

/// What the thread owns.
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
    /// Appends to a file. The error is returned for the first bytes lost only.
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mark = self.lost.get(path).map(|lost| {
            format!("\n[changeover: {} bytes of output could not be kept here: {}]\n", lost.bytes, lost.why)
        });
        let mut written = 0;
        let result = self.file(path).and_then(|file| {
            if let Some(mark) = mark {
                file.write_all(mark.as_bytes())?;
            }
            write_counted(file, bytes, &mut written)
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
