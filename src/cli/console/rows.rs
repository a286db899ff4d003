//! The lists of the screen: runs and runbooks, from the record and the files.

use std::collections::BTreeMap;

use crate::cli::runs::word;
use crate::cli::{App, load};
use crate::console::facts::{ParamFacts, PointRow, RunRow, RunbookFacts, level, mode_word};
use crate::document::has_errors;
use crate::estate::Estate;
use crate::journal::{RunListing, Store};
use crate::model::{Outcome, RunId, SafeText};
use crate::port::SinkError;
use crate::run::{RunPhase, RunState, RunSummary};
use crate::runbook::{Mode, Origin, PlannedStep, Runbook};
use crate::style::Mark;

/// The runs of an estate as rows. Each journal is read once: the row of a run is made anew when it has more events, or
/// when its process came or went.
#[derive(Debug)]
pub(in crate::cli) struct Rows {
    store: Store,
    known: BTreeMap<RunId, (u64, bool, RunRow)>,
}

/// At most so many runs are shown.
const SHOWN: usize = 500;

impl Rows {
    /// Nothing has been read yet.
    pub(in crate::cli) fn new(store: Store) -> Self {
        Self { store, known: BTreeMap::new() }
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// When the folder of the runs cannot be read.
    pub(in crate::cli) fn read(&mut self) -> Result<Vec<RunRow>, SinkError> {
        let mut rows = Vec::new();
        let mut known = std::mem::take(&mut self.known);
        for run in self.store.run_ids()?.into_iter().take(SHOWN) {
            let listing = self.store.listing(run.clone());
            let events = listing.facts.as_ref().map_or(0, |facts| facts.events);
            let row = match known.remove(&run) {
                Some((had, alive, row)) if had == events && alive == listing.alive && !alive => row,
                _ => self.row(&listing),
            };
            rows.push(row.clone());
            self.known.insert(run, (events, listing.alive, row));
        }
        Ok(rows)
    }

    fn row(&self, listing: &RunListing) -> RunRow {
        let state = self
            .store
            .open_run(&listing.run)
            .and_then(|reader| reader.events())
            .map_err(|error| error.to_string())
            .and_then(|events| RunState::replay(&events).map_err(|error| error.to_string()));
        match state {
            Ok(state) => of(listing, &state),
            Err(error) => unreadable(listing, &error),
        }
    }
}

fn of(listing: &RunListing, state: &RunState) -> RunRow {
    let summary = RunSummary::of(state);
    let mark = match &state.phase {
        RunPhase::Ended(outcome) => match (outcome.exit_code(), outcome.word()) {
            (0, "done") => Mark::Ok,
            (0, _) => Mark::Warn,
            (4, _) => Mark::Unknown,
            _ => Mark::Fail,
        },
        _ if listing.alive && state.open_prompts().next().is_some() => Mark::Ask,
        _ if listing.alive => Mark::Run,
        _ => Mark::Unknown,
    };
    let stages = summary
        .stages
        .iter()
        .filter(|stage| stage.outcome.as_ref().is_some_and(Outcome::is_good))
        .filter_map(|stage| Some((stage.id.clone(), stage.took?)))
        .collect();
    RunRow {
        run: state.run.clone(),
        runbook: SafeText::line(state.plan.runbook.as_str()),
        title: SafeText::line(&state.plan.title),
        mode: mode(state.plan.mode),
        direction: SafeText::line(&state.plan.direction.to_string()),
        by: state.by.name.clone(),
        began: state.created,
        took: summary.took,
        word: SafeText::line(&word(listing, state)),
        mark,
        alive: listing.alive,
        resumable: !listing.alive && !matches!(mark, Mark::Ok | Mark::Warn),
        stages,
        point: point(state),
    }
}

fn unreadable(listing: &RunListing, error: &str) -> RunRow {
    RunRow {
        run: listing.run.clone(),
        runbook: SafeText::line("?"),
        title: SafeText::line(error),
        mode: SafeText::default(),
        direction: SafeText::default(),
        by: SafeText::default(),
        began: listing.facts.as_ref().map_or(jiff::Timestamp::UNIX_EPOCH, crate::journal::RunFacts::began),
        took: std::time::Duration::ZERO,
        word: SafeText::line(&format!("cannot be read: {error}")),
        mark: Mark::Unknown,
        alive: listing.alive,
        resumable: false,
        stages: BTreeMap::new(),
        point: None,
    }
}

/// The point that a run makes: complete once it was sealed and, where the run carries it over, seen whole at the target.
fn point(state: &RunState) -> Option<PointRow> {
    let step = |kind: &str| state.plan.steps().find(|step| step.uses == kind);
    let seal = step("exchange.seal")?;
    let ending = |step: &PlannedStep| state.step_outcome(step);
    let bytes = state.captures.get(&seal.key.step).and_then(|captures| captures.get("bytes")?.as_u64());
    let lacks = |step: &PlannedStep, what: &str| match ending(step) {
        Some(outcome) if outcome.is_good() => None,
        Some(outcome) => Some(SafeText::line(&format!(
            "{what}: {}{}",
            outcome.word(),
            outcome.failure().map(|failure| format!(", {}", failure.got)).unwrap_or_default()
        ))),
        None => Some(SafeText::line(&format!("{what} yet"))),
    };
    let arrived = step("exchange.arrived");
    let incomplete = lacks(seal, "not sealed")
        .or_else(|| arrived.and_then(|arrived| lacks(arrived, "not seen whole at the target")));
    let arrived = arrived.is_some() && incomplete.is_none();
    Some(PointRow { id: SafeText::line(state.point.as_str()), bytes, incomplete, arrived })
}

fn mode(mode: Mode) -> SafeText {
    SafeText::line(mode_word(mode))
}

/// Reads the runbooks.
pub(in crate::cli) struct RunBooks;

impl RunBooks {
    /// Every runbook that can be begun by name.
    pub(in crate::cli) fn read(app: &App, estate: &Estate) -> Vec<RunbookFacts> {
        let path = load::find_estate(app).ok();
        let files = match load::runbooks(app, path.as_deref()) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(error = %error.message, "the runbooks cannot be read");
                return Vec::new();
            }
        };
        files
            .iter()
            .map(|file| {
                let parsed = load::examine_runbook(app, Some(estate), file);
                let trouble = has_errors(&parsed.problems)
                    .then(|| parsed.problems.first().map(|problem| SafeText::line(&problem.message)))
                    .flatten();
                book(file, parsed.value.as_ref(), trouble)
            })
            .collect()
    }
}

fn book(file: &load::RunbookFile, runbook: Option<&Runbook>, trouble: Option<SafeText>) -> RunbookFacts {
    let origin = if file.is_shipped { "comes with the program" } else { file.source.name.as_str() };
    let params = runbook.map(|runbook| &runbook.params).into_iter().flatten();
    RunbookFacts {
        name: SafeText::line(&file.name),
        title: runbook.map_or_else(SafeText::default, |runbook| SafeText::line(&runbook.title)),
        mode: runbook.map_or_else(SafeText::default, |runbook| mode(runbook.mode)),
        loses: runbook.map_or_else(SafeText::default, |runbook| SafeText::line(&runbook.loses)),
        level: runbook.map_or(2, |runbook| level(runbook.mode)),
        origin: SafeText::line(origin),
        text: SafeText::block(&file.source.text),
        digest: Origin::of(&file.source.text, None).digest,
        params: params.map(|(name, param)| ParamFacts { name: name.clone(), rule: param.clone() }).collect(),
        trouble: trouble.or_else(|| runbook.is_none().then(|| SafeText::line("it cannot be used"))),
    }
}
