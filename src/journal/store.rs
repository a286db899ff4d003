//! The runs of one estate on this machine.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::folder::{self, trouble};
use super::listing::{self, FindError, RunListing};
use super::lock::{self, EstateLock, EstateUse, Holder, LockError};
use super::reader::RunReader;
use super::retention::Retention;
use super::run::RunJournal;
use crate::model::{ConsoleId, RunId, SiteName};
use crate::port::{Archive, RunRecord, SinkError};
use crate::run::Event;

/// How the folder of a run begins that is being removed: no run id begins like this, so a removal that is cut short
/// leaves no half run in the list.
const DOOMED: &str = ".removed-";

/// Where the runs of one estate are kept.
#[derive(Debug, Clone)]
pub struct Store {
    estate: PathBuf,
}

impl Store {
    /// Opens the part of the state directory that belongs to `estate`, and makes it when it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or must not be used: a symbolic link, another owner, others may write to it.
    pub fn open(state: &Path, estate: &SiteName) -> Result<Self, SinkError> {
        folder::private_folder(state)?;
        // Links above the state directory are the administrator's affair; below it there are none.
        let state = state.canonicalize().map_err(|error| trouble("find", state, &error))?;
        let estate = state.join(estate.as_str());
        folder::private_folder(&estate)?;
        folder::private_folder(&estate.join("runs"))?;
        Ok(Self { estate })
    }

    /// True when the state is on a network file system, where locks and journal cannot be relied on.
    #[must_use]
    pub fn is_on_network(&self) -> bool {
        folder::on_network(&self.estate)
    }

    /// The folder of the estate, below which everything is kept; only its owner can write to it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.estate
    }

    /// The folder of a run, whether it exists or not.
    #[must_use]
    pub fn folder_of(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }

    fn runs(&self) -> PathBuf {
        self.estate.join("runs")
    }

    /// Takes the right to act on the estate from this machine.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn lock(&self, holder: &Holder) -> Result<EstateLock, LockError> {
        EstateLock::acquire(&self.estate.join("lock"), holder)
    }

    /// What tells this place from every other one that runs of the estate are started from; the same for as long as the
    /// folder lives. `noise` makes it up the first time.
    ///
    /// # Errors
    /// When it cannot be kept, or was damaged.
    pub fn console_id(&self, _lock: &EstateLock, noise: [u8; 16]) -> Result<ConsoleId, SinkError> {
        let path = self.estate.join("console");
        let made = || format!("c-{:032x}", u128::from_be_bytes(noise));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = made();
                let mut file = folder::new_file(&path)?;
                let written = file.write_all(made.as_bytes()).and_then(|()| file.sync_all());
                written.map_err(|error| trouble("write", &path, &error))?;
                folder::sync_folder(&self.estate)?;
                made
            }
            Err(error) => return Err(trouble("read", &path, &error)),
        };
        ConsoleId::new(text).map_err(|error| {
            let got = format!("{error}; the file is damaged: remove it, and another id is made up");
            trouble("use", &path, &got)
        })
    }

    /// Who acts on the estate from this machine now.
    ///
    /// # Errors
    /// When the lock file cannot be read.
    pub fn lock_holder(&self) -> Result<EstateUse, SinkError> {
        lock::holder(&self.estate.join("lock"))
    }

    /// Begins the journal of a new run.
    ///
    /// # Errors
    /// When there is a run of this id, or its folder cannot be made.
    pub fn create_run(&self, run: &RunId) -> Result<RunJournal, SinkError> {
        RunJournal::create(self.folder_of(run), run.clone())
    }

    /// Goes on with a run whose process has gone. Returns its journal and all that is in it.
    ///
    /// # Errors
    /// When its process is alive, or any record is bad: nothing is started on a history that cannot be trusted.
    pub fn resume_run(&self, run: &RunId) -> Result<(RunJournal, Vec<Event>), SinkError> {
        RunJournal::resume(self.folder_of(run), run.clone())
    }

    /// Opens a run to read.
    ///
    /// # Errors
    /// When there is no such run, or its journal cannot be opened.
    pub fn open_run(&self, run: &RunId) -> Result<RunReader, SinkError> {
        RunReader::open(self.folder_of(run), run.clone())
    }

    /// True when the process of a run is alive on this machine.
    ///
    /// # Errors
    /// When its lock cannot be looked at.
    pub fn is_alive(&self, run: &RunId) -> Result<bool, SinkError> {
        lock::run_is_alive(&self.folder_of(run))
    }

    /// The ids of all runs, newest first: ids begin with the time.
    ///
    /// # Errors
    /// When the folder of the runs cannot be read.
    pub fn run_ids(&self) -> Result<Vec<RunId>, SinkError> {
        let folder = self.runs();
        let unreadable = |error| trouble("list the runs in", &folder, &error);
        let mut runs = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            runs.extend(name.to_str().and_then(|name| RunId::new(name).ok()));
        }
        runs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    /// All runs, newest first, with what is cheap to know. One that cannot be read is listed with the reason.
    ///
    /// # Errors
    /// When the folder of the runs cannot be read.
    pub fn list(&self) -> Result<Vec<RunListing>, SinkError> {
        Ok(self.run_ids()?.into_iter().map(|run| self.listing(run)).collect())
    }

    /// One run with what is cheap to know.
    #[must_use]
    pub fn listing(&self, run: RunId) -> RunListing {
        let facts = self.open_run(&run).and_then(|reader| reader.facts());
        let alive = self.is_alive(&run).unwrap_or(false);
        RunListing { folder: self.folder_of(&run), run, alive, facts }
    }

    /// The one run that is meant: `latest`, a whole id, or the beginning of exactly one.
    ///
    /// # Errors
    /// [`FindError`] says why there is not exactly one.
    pub fn find(&self, wanted: &str) -> Result<RunId, FindError> {
        listing::pick(&self.run_ids()?, wanted)
    }

    /// Removes the runs that `rule` lets go, and returns which. A run that cannot be removed stops it.
    ///
    /// # Errors
    /// When the runs cannot be listed, or one cannot be removed.
    pub fn prune(&self, rule: &Retention, now: Timestamp) -> Result<Vec<RunId>, SinkError> {
        let runs = rule.forgettable(&self.list()?, now);
        for run in &runs {
            self.doom(run)?;
        }
        self.sweep()?;
        Ok(runs)
    }

    /// Removes all runs, for a record that starts afresh each time. A run that is alive stops it.
    ///
    /// # Errors
    /// When the runs cannot be listed, or one cannot be removed.
    pub fn forget_all(&self) -> Result<(), SinkError> {
        for run in self.run_ids()? {
            self.doom(&run)?;
        }
        self.sweep()
    }

    /// Takes a run out of the list, for [`Store::sweep`] to remove.
    fn doom(&self, run: &RunId) -> Result<(), SinkError> {
        let folder = self.folder_of(run);
        // Nobody takes it up again while it is being renamed.
        let _lock = lock::hold_run(&folder)?;
        let doomed = self.runs().join(format!("{DOOMED}{run}"));
        fs::rename(&folder, &doomed).map_err(|error| trouble("remove", &folder, &error))
    }

    /// Removes what was doomed, now or by a process that did not get to it.
    fn sweep(&self) -> Result<(), SinkError> {
        let folder = self.runs();
        let unreadable = |error| trouble("list the runs in", &folder, &error);
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.file_name().to_string_lossy().starts_with(DOOMED) {
                fs::remove_dir_all(entry.path()).map_err(|error| trouble("remove", &entry.path(), &error))?;
            }
        }
        Ok(())
    }
}

impl Archive for Store {
    /// Runs that cannot be read count no events; [`Store::list`] has the reason.
    fn list(&self) -> Result<Vec<RunRecord>, SinkError> {
        let record = |found: RunListing| RunRecord {
            run: found.run,
            folder: found.folder,
            events: found.facts.map_or(0, |facts| facts.events),
        };
        Ok(Store::list(self)?.into_iter().map(record).collect())
    }

    /// The whole journal is checked, also what is not asked for.
    fn events(&self, run: &RunId, after: u64) -> Result<Vec<Event>, SinkError> {
        let mut events = self.open_run(run)?.events()?;
        events.retain(|event| event.seq > after);
        Ok(events)
    }
}
