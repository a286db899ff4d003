//! Locks of this machine: one process acts on an estate, one process writes a run.
//!
//! A lock is the kernel's (`flock`), so it ends with its process however that ends; what is written in the file only
//! tells people who holds it. It does not reach beyond this machine: between machines the lease and the epoch decide.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::folder::{open_file, trouble};
use crate::model::{RunId, SafeText};
use crate::port::SinkError;

/// Somebody who only looks whether a lock is held takes it, shared, for some microseconds; these pauses outlast that.
const PATIENCE: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(50)];

/// Who acts on an estate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Its process.
    pub pid: u32,
    /// The machine.
    pub host: SafeText,
    /// Since when, UTC.
    pub since: Timestamp,
    /// Who started it: `ops@app1`.
    pub by: SafeText,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { run, pid, host, since, by } = self;
        write!(f, "run {run}, started by {by}, process {pid} on {host}, since {since:.0}")
    }
}

/// Why the estate could not be locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Another process acts on the estate.
    #[error("the estate is in use: {}", .0.as_ref().map_or_else(|| "its user has not said who it is".to_owned(), ToString::to_string))]
    Held(
        /// Who, as the lock file says. Nothing when the file does not say it, or says somebody who is gone.
        Option<Box<Holder>>,
    ),
    /// The lock file could not be used.
    #[error(transparent)]
    Failed(#[from] SinkError),
}

/// The right to act on an estate from this machine, until it is dropped or the process ends.
#[derive(Debug)]
pub struct EstateLock {
    file: File,
}

impl EstateLock {
    pub(super) fn acquire(path: &Path, holder: &Holder) -> Result<Self, LockError> {
        let mut file = open_file(path)?;
        if !hold(&file, path)? {
            return Err(LockError::Held(read_holder(&mut file).map(Box::new)));
        }
        let mut write = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(serde_json::to_string(holder)?.as_bytes())
        };
        write().map_err(|error| trouble("write the holder to", path, &error))?;
        Ok(Self { file })
    }
}

impl Drop for EstateLock {
    fn drop(&mut self) {
        // Only for people; the lock itself goes with the file handle.
        drop(self.file.set_len(0));
    }
}

/// Whether an estate is being acted on from this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EstateUse {
    /// Nobody acts on it.
    Free,
    /// This one does.
    By(Box<Holder>),
    /// Somebody does who has not said who it is.
    BySomebody,
}

/// Who holds the lock now.
pub(super) fn holder(path: &Path) -> Result<EstateUse, SinkError> {
    if !path.exists() {
        return Ok(EstateUse::Free);
    }
    let mut file = open_file(path)?;
    if !is_held(&file, path)? {
        return Ok(EstateUse::Free);
    }
    Ok(read_holder(&mut file).map_or(EstateUse::BySomebody, |holder| EstateUse::By(Box::new(holder))))
}

/// Takes the lock of a run for the process that writes it.
pub(super) fn hold_run(folder: &Path) -> Result<File, SinkError> {
    let path = run_lock(folder);
    let file = open_file(&path)?;
    if hold(&file, &path)? {
        Ok(file)
    } else {
        Err(trouble("take over", folder, "the process of this run is alive; attach to it, or cancel it"))
    }
}

/// True when the process of a run is alive.
pub(super) fn run_is_alive(folder: &Path) -> Result<bool, SinkError> {
    let path = run_lock(folder);
    if !path.exists() {
        return Ok(false);
    }
    is_held(&open_file(&path)?, &path)
}

fn run_lock(folder: &Path) -> PathBuf {
    folder.join("lock")
}

fn hold(file: &File, path: &Path) -> Result<bool, SinkError> {
    for pause in PATIENCE {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
            Err(TryLockError::Error(error)) => return Err(trouble("lock", path, &error)),
        }
    }
    Ok(false)
}

fn is_held(file: &File, path: &Path) -> Result<bool, SinkError> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false).map_err(|error| trouble("unlock", path, &error)),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(trouble("look at the lock", path, &error)),
    }
}

/// What the file says, unless it is left over from a process that is gone: the new holder has not written yet then.
fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    let holder: Holder = serde_json::from_str(&text).ok()?;
    let pid = Pid::from_raw(i32::try_from(holder.pid).ok()?);
    (kill(pid, None) != Err(Errno::ESRCH)).then_some(holder)
}
