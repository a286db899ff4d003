//! Which old runs may be forgotten. Pure; the store does the removing.

use jiff::{SignedDuration, Timestamp};

use super::listing::RunListing;
use crate::model::{RunId, RunOutcome, Span};

/// How long runs are kept. A run must be beyond both limits to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many are kept.
    pub keep_last: usize,
    /// Younger ones are kept.
    pub keep_for: Span,
}

impl Default for Retention {
    /// Two hundred runs, and ninety days.
    fn default() -> Self {
        Self { keep_last: 200, keep_for: Span::seconds(90 * 86_400) }
    }
}

impl Retention {
    /// The runs that may be forgotten, oldest last as given (`runs` newest first).
    ///
    /// Never one that is alive, unfinished or stuck, because somebody still has to look after what it started; never
    /// one that cannot be read, because it may be evidence; never the last one that was done.
    #[must_use]
    pub fn forgettable(&self, runs: &[RunListing], now: Timestamp) -> Vec<RunId> {
        let done = |run: &RunListing| matches!(outcome(run), Some(RunOutcome::Done { .. }));
        let last_done = runs.iter().position(done);
        // An age that cannot be reckoned counts as young.
        let kept_for = SignedDuration::try_from(self.keep_for.0).unwrap_or(SignedDuration::MAX);
        let old = |run: &RunListing| run.facts.as_ref().is_ok_and(|facts| now.duration_since(facts.last.at) > kept_for);
        let settled = |run: &RunListing| outcome(run).is_some_and(|end| !matches!(end, RunOutcome::Stuck { .. }));
        runs.iter()
            .enumerate()
            .filter(|(place, run)| {
                *place >= self.keep_last && Some(*place) != last_done && !run.alive && settled(run) && old(run)
            })
            .map(|(_, run)| run.run.clone())
            .collect()
    }
}

fn outcome(run: &RunListing) -> Option<&RunOutcome> {
    run.facts.as_ref().ok()?.outcome()
}
