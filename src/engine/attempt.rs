//! One attempt of one unit: guard, run with a time limit, stop when asked, say how it ended. Talks only to the
//! dispatcher.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::leases::Leases;
use crate::model::{CancelReason, Failure, FailureKind, Outcome, Skip, Span};
use crate::port::{JobPoll, JobState};
use crate::systems::{Effect, Step, StepContext, StepDone, Verified, end_earlier};

/// How long a step may take to stop after it was told to. It stops what it started remotely in that time.
const STOP_GRACE: Duration = Duration::from_mins(1);

/// What the dispatcher hands to an attempt.
pub(super) struct Attempt {
    pub(super) step: Box<dyn Step>,
    pub(super) cx: StepContext,
    pub(super) timeout: Span,
    pub(super) effect: Effect,
    /// The epoch that the run saw when it began.
    pub(super) epoch: Option<u64>,
    /// True for the step kinds that create the direction record and so cannot demand one.
    pub(super) founds_direction: bool,
    pub(super) leases: Arc<Leases>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) captures: Map<String, Value>,
}

impl Ending {
    fn failed(failure: Failure) -> Self {
        let outcome = match failure.kind {
            FailureKind::Unknown => Outcome::Unknown { failure },
            FailureKind::Cancelled => Outcome::Cancelled { by: CancelReason::OperatorNow },
            _ => Outcome::Failed { failure },
        };
        Self { outcome, captures: Map::new() }
    }

    pub(super) fn done(done: StepDone) -> Self {
        let outcome = match done.nothing_to_do {
            Some(why) => Outcome::Skipped { why: Skip::NothingToDo(why) },
            None if done.warnings.is_empty() => Outcome::Succeeded,
            None => Outcome::Warned { warnings: done.warnings },
        };
        Self { outcome, captures: done.captures }
    }
}

impl Attempt {
    /// Runs the step to its ending. Never longer than its time limit and the grace to stop.
    pub(super) async fn run(self) -> Ending {
        // Before anything else, the direction included: what an attempt before this one left at work changes the world too.
        if let Err(failure) = end_earlier(&self.cx).await {
            return Ending::failed(failure);
        }
        let ending = match self.guard().await {
            Ok(()) => {
                let stop = self.cx.cancel.clone();
                let run = self.step.run(&self.cx);
                limited(run, self.timeout, &stop, &self.cx).await.map_or_else(|ending| ending, Ending::done)
            }
            Err(failure) => Ending::failed(failure),
        };
        if ending.outcome.is_good() || matches!(ending.outcome, Outcome::Unknown { .. }) {
            return ending;
        }
        match self.left_open().await {
            Some(open) => Ending::failed(still_open(&self.cx, &ending.outcome, &open)),
            None => ending,
        }
    }

    /// The first job of this very attempt, begun by an earlier process, that is not known to have ended. An attempt that is entered again may fail
    /// before it comes to what it began the first time: were that called a failure, the next attempt would begin the
    /// work anew beside it.
    async fn left_open(&self) -> Option<String> {
        let own = self.cx.job_id("");
        for (place, job) in self.cx.jobs.earlier().filter(|(_, job)| job.as_str().starts_with(own.as_str())) {
            match self.cx.reach.job_poll(place, job, 0, Duration::ZERO).await {
                Ok(JobPoll { state: JobState::Ended(_), .. }) => {}
                Ok(JobPoll { state: JobState::Running, .. }) => {
                    return Some(format!("job {job} still runs on {place}"));
                }
                Ok(_) => return Some(format!("job {job} on {place} has left no ending")),
                Err(error) => return Some(format!("{place} cannot say what became of job {job}: {error}")),
            }
        }
        None
    }

    /// Looks whether an interrupted attempt had its effect.
    pub(super) async fn verify(self) -> Result<Verified, Failure> {
        match tokio::time::timeout(self.timeout.0, self.step.verify(&self.cx)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(
                FailureKind::Unknown,
                format!("find out what became of {}", self.cx.unit),
                format!("no answer within {}", self.timeout),
            )),
        }
    }

    /// Takes the effect back.
    pub(super) async fn undo(self) -> Outcome {
        if let Err(failure) = self.guard().await {
            return Ending::failed(failure).outcome;
        }
        let stop = CancellationToken::new();
        let undo = self.step.undo(&self.cx);
        limited(undo, self.timeout, &stop, &self.cx).await.map_or_else(|ending| ending, Ending::done).outcome
    }

    /// Refuses a changing step at a site whose direction record disagrees with the run, or that another run changes.
    async fn guard(&self) -> Result<(), Failure> {
        if self.effect == Effect::Reads || self.founds_direction {
            return Ok(());
        }
        let Ok(site) = self.cx.site() else { return Ok(()) };
        self.leases.guard(&self.cx, site, self.epoch).await
    }
}

/// Waits for `work` no longer than `limit`, then tells it to stop and waits for that.
async fn limited<T>(
    work: impl Future<Output = Result<T, Failure>>,
    limit: Span,
    stop: &CancellationToken,
    cx: &StepContext,
) -> Result<T, Ending> {
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => return result.map_err(Ending::failed),
        () = tokio::time::sleep(limit.0) => {}
        () = stop.cancelled() => {
            return match tokio::time::timeout(STOP_GRACE, &mut work).await {
                Ok(result) => result.map_err(Ending::failed),
                Err(_) => Err(Ending::failed(did_not_stop(cx))),
            };
        }
    }
    stop.cancel();
    let failure = match tokio::time::timeout(STOP_GRACE, work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(failure)) if failure.is_unknown() => return Err(Ending::failed(failure)),
        Ok(Err(failure)) => failure,
        Err(_) => return Err(Ending::failed(did_not_stop(cx))),
    };
    Err(Ending { outcome: Outcome::TimedOut { after: limit, failure }, captures: Map::new() })
}

fn still_open(cx: &StepContext, outcome: &Outcome, open: &str) -> Failure {
    let (tried, got) = match outcome.failure() {
        Some(failure) => (failure.tried.to_string(), failure.got.to_string()),
        None => (format!("go on with {}", cx.unit), outcome.word().to_owned()),
    };
    Failure::new(FailureKind::Unknown, tried, format!("{got}; and what was begun before is open: {open}"))
        .hint(format!("once that is set right, `changeover resume {}` finds the work that was begun", cx.run))
}

fn did_not_stop(cx: &StepContext) -> Failure {
    Failure::new(
        FailureKind::Unknown,
        format!("stop {}", cx.unit),
        format!("it had not stopped after {}", Span(STOP_GRACE)),
    )
    .hint("something it started may still be running; look at the host before going on")
}

/// The pause before attempt `next`: doubles from `backoff`, five minutes at most.
pub(super) fn pause_before(next: u32, backoff: Span) -> Span {
    let doubled = backoff.0.saturating_mul(1 << next.saturating_sub(2).min(16));
    Span(doubled.min(Duration::from_mins(5)))
}

/// Shares what all attempts of a run have.
pub(super) type SharedCatalogue = Arc<crate::systems::Catalogue>;
