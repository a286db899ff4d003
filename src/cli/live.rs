//! The real world and the record, wired together for the commands that need them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::direction::{NoDirection, SiteSays, ask_sites, choose};
use super::{App, CliError, Exit, load};
use crate::estate::Estate;
use crate::journal::{Holder, RunReader, Store};
use crate::model::{Direction, PointId, RunId, SafeText, SiteName};
use crate::points::point_id;
use crate::port::{Clock, Reach, SinkError};
use crate::run::{Operator, RunState};
use crate::transport::{SystemClock, World, WorldOptions};

/// The estate and the record of its runs; no host is touched.
pub(super) struct Record {
    /// The estate.
    pub(super) estate: Arc<Estate>,
    /// The runs.
    pub(super) store: Store,
    /// The folder that keeps them.
    pub(super) state_dir: PathBuf,
}

impl Record {
    /// Reads the estate and opens the store.
    pub(super) fn open(app: &mut App) -> Result<Self, CliError> {
        let (estate, warnings) = load::estate(app)?;
        super::print_warnings(app, &warnings)?;
        let state_dir = usual_state_dir(app)?;
        let store = Store::open(&state_dir, &estate.name).map_err(|error| not_kept(&error))?;
        Ok(Self { estate: Arc::new(estate), store, state_dir })
    }

    /// The run that is meant: `latest`, an id, or the beginning of exactly one.
    pub(super) fn find(&self, wanted: &str) -> Result<RunId, CliError> {
        self.store
            .find(wanted)
            .map_err(|error| CliError::invalid(error.to_string()).hint("`changeover runs list` lists them"))
    }

    /// Opens a run to read.
    pub(super) fn reader(&self, run: &RunId) -> Result<RunReader, CliError> {
        self.store.open_run(run).map_err(|error| not_kept(&error))
    }

    /// The state of a run as its journal tells it.
    pub(super) fn state(&self, run: &RunId) -> Result<RunState, CliError> {
        let events = self.reader(run)?.events().map_err(|error| not_kept(&error))?;
        RunState::replay(&events).map_err(|error| {
            CliError::new(Exit::Unknown, format!("the journal of run {run} contradicts itself: {error}"))
                .hint("keep its folder: it is evidence")
        })
    }
}

/// The folder that keeps runs.
pub(super) fn usual_state_dir(app: &App) -> Result<PathBuf, CliError> {
    match (&app.global.state_dir, &app.places.state) {
        (Some(named), _) => Ok(app.places.current.join(named)),
        (None, Some(usual)) => Ok(usual.clone()),
        (None, None) => {
            Err(CliError::invalid("there is no home folder to keep runs in").hint("name one with `--state-dir`"))
        }
    }
}

/// The record and the world.
pub(super) struct Live {
    pub(super) record: Record,
    pub(super) world: Arc<World>,
    pub(super) clock: Arc<SystemClock>,
    pub(super) by: Operator,
}

impl Live {
    /// Wires the real world; nothing is dialled yet.
    pub(super) fn open(app: &mut App, through: &str) -> Result<Self, CliError> {
        let record = Record::open(app)?;
        refuse_simulated(app, &record.state_dir)?;
        let options = WorldOptions {
            runtime_dir: runtime_dir(&record.state_dir),
            state_dir: record.state_dir.clone(),
            credentials_dir: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            secret_env: std::env::vars().collect(),
        };
        let world = World::new(Arc::clone(&record.estate), options)
            .map_err(|error| CliError::new(Exit::Failed, format!("cannot prepare connections: {error}")))?;
        Ok(Self { record, world: Arc::new(world), clock: Arc::new(SystemClock::new()), by: operator(through) })
    }

    /// The direction to go, from what both sites say. `wanted` is the source that the user asked for.
    pub(super) async fn direction(
        &self,
        wanted: Option<&SiteName>,
    ) -> Result<(Direction, Vec<(SiteName, SiteSays)>), CliError> {
        let says = ask_sites(&*self.world as &dyn Reach, &self.record.estate).await;
        match choose(&self.record.estate, &says, wanted) {
            Ok(direction) => Ok((direction, says)),
            Err(NoDirection::Refused(why)) => Err(CliError::new(Exit::Refused, why)),
            Err(NoDirection::Invalid(why)) => Err(CliError::invalid(why)),
        }
    }

    /// Fresh ids for a run and its restore point. They sort behind those of every run on record that began in the same
    /// second, so that `latest` is the run that began last.
    pub(super) fn new_ids(&self) -> Result<(RunId, PointId), CliError> {
        let newest = self.record.store.run_ids().ok().and_then(|runs| runs.into_iter().next());
        loop {
            let noise = self.clock.entropy();
            let point = point_id(self.clock.now(), [noise[0], noise[1]]);
            // The run's id sorts by time too, and shows at a glance which point it made.
            let run = RunId::new(point.as_str().replacen("p-", "r-", 1));
            let run = run.map_err(|error| CliError::new(Exit::Failed, error.to_string()))?;
            if newest.as_ref().is_none_or(|newest| sorts_behind(&run, newest)) {
                return Ok((run, point));
            }
        }
    }

    /// Who acts, for the lock file.
    pub(super) fn holder(&self, run: &RunId) -> Holder {
        Holder {
            run: run.clone(),
            pid: std::process::id(),
            host: SafeText::line(&host_name()),
            since: self.clock.now(),
            by: self.by.name.clone(),
        }
    }
}

/// True for a run that began later, or in the same second with a greater nonce. A clock that was set back may give any id:
/// what was drawn in another second is not compared.
fn sorts_behind(run: &RunId, newest: &RunId) -> bool {
    let second = |run: &RunId| run.as_str().rsplit_once('-').map(|(second, _)| second.to_owned());
    second(run) != second(newest) || run > newest
}

/// Who acts in this process, and how.
pub(super) fn operator(through: &str) -> Operator {
    Operator { name: SafeText::line(&login_name()), through: SafeText::line(through) }
}

/// An error of the record.
pub(super) fn not_kept(error: &SinkError) -> CliError {
    CliError::new(Exit::Failed, error.to_string()).hint("see that the state folder is there, yours, and not full")
}

/// The error of an estate that another run holds.
pub(super) fn locked(error: &crate::journal::LockError) -> CliError {
    match error {
        crate::journal::LockError::Held(_) => CliError::new(Exit::Locked, error.to_string())
            .hint("`changeover status` shows it, `changeover attach` watches it, `changeover cancel` stops it"),
        crate::journal::LockError::Failed(error) => not_kept(error),
    }
}

/// The demo's estate has addresses that may be somebody's: nothing is ever dialled for it.
fn refuse_simulated(app: &App, state_dir: &Path) -> Result<(), CliError> {
    let estate = app.places.current.join(load::find_estate(app)?);
    let folders = [Some(state_dir), estate.parent()];
    if folders.into_iter().flatten().any(load::is_simulated) {
        return Err(CliError::invalid("this is the estate of the demo's simulated world: nothing real is there")
            .hint("`changeover runs` shows what was played; `changeover demo --headless` plays it again"));
    }
    Ok(())
}

/// A short path for control sockets, which have about a hundred characters at most.
fn runtime_dir(state_dir: &Path) -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map_or_else(|| state_dir.join("run"), |dir| PathBuf::from(dir).join("changeover"))
}

fn login_name() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name);
    format!("{user}@{}", host_name())
}

fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_second_sort_in_the_order_in_which_they_began() {
        let run = |text: &str| RunId::new(text).expect("a run");
        let newest = run("r-20260301-020304-8000");
        for (drawn, fits) in [
            ("r-20260301-020304-8001", true),
            ("r-20260301-020304-7fff", false),
            ("r-20260301-020304-8000", false),
            ("r-20260301-020305-0000", true),
            // The clock was set back.
            ("r-20260301-010304-0000", true),
        ] {
            assert_eq!(sorts_behind(&run(drawn), &newest), fits, "{drawn}");
        }
    }
}
