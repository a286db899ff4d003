//! Asking: every probe in its own task, at its own pace, with its own deadline. Nothing one of them meets can hold up
//! another, and no probe is asked twice at the same time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::transcript::Transcript;
use super::{Observation, Planned, ProbeKey, plan};
use crate::estate::Estate;
use crate::model::{Direction, Failure, FailureKind, Span};
use crate::port::{Clock, Reach};
use crate::systems::{Catalogue, StepContext};

/// The first looks begin within this time: not all at the same moment, and soon enough for somebody who waits.
const OPENING: Duration = Duration::from_millis(500);
/// After a bad look the next comes at least so soon, until enough of them say that it is bad: a probe that is asked once a
/// minute must not show for another minute what it no longer believes.
const AGAIN: Duration = Duration::from_secs(5);
/// Observations that wait to be taken; then the probes wait too.
const WAITING: usize = 1024;

/// What all looks have in common.
#[derive(Clone)]
pub struct Around {
    /// The world.
    pub reach: Arc<dyn Reach>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The estate.
    pub estate: Arc<Estate>,
}

impl Around {
    /// Looks once and gives up at the deadline.
    async fn look(&self, planned: &Planned, direction: Direction) -> Observation {
        let (at, began) = (self.clock.now(), self.clock.monotonic());
        let transcript = Transcript::of(Arc::clone(&self.reach));
        let world = (Arc::clone(&transcript) as Arc<dyn Reach>, Arc::clone(&self.clock), Arc::clone(&self.estate));
        let (service, host) = (planned.service().cloned(), planned.host().cloned());
        let cx = StepContext::of_look(world, direction, &planned.key.site, service, host);
        let result = timeout(planned.deadline, planned.probe.look(&cx)).await.unwrap_or_else(|_| {
            let ProbeKey { site, subject, question } = &planned.key;
            Err(Failure::new(
                FailureKind::Unreachable,
                format!("ask {subject} at {site} ({question})"),
                format!("no answer within {}", Span(planned.deadline)),
            ))
        });
        let took = self.clock.monotonic().saturating_sub(began);
        Observation { key: planned.key.clone(), at, took, result, transcript: transcript.text() }
    }
}

/// Probes that are being asked. Dropping it stops all of them.
#[derive(Debug)]
pub struct Watch {
    direction: watch::Sender<Direction>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Begins to ask everything that `estate` has. Without a `direction` the one that the estate begins with is taken,
    /// until [`Watch::turn`] says otherwise. Needs a tokio runtime.
    #[must_use]
    pub fn start(
        reach: Arc<dyn Reach>,
        clock: Arc<dyn Clock>,
        estate: Arc<Estate>,
        catalogue: &Catalogue,
        direction: Option<Direction>,
    ) -> (Self, mpsc::Receiver<Observation>) {
        let plan = plan(&estate, catalogue);
        let direction = direction.or_else(|| estate.direction_from(&estate.active));
        // An estate that has no direction was refused by its check long before.
        let (plan, direction) = match direction {
            Some(direction) => (plan, direction),
            None => (Vec::new(), Direction { source: estate.active.clone(), target: estate.active.clone() }),
        };
        Self::over(plan, &Around { reach, clock, estate }, direction)
    }

    /// Begins to ask these probes.
    #[must_use]
    pub fn over(plan: Vec<Planned>, around: &Around, direction: Direction) -> (Self, mpsc::Receiver<Observation>) {
        let (observations, receiver) = mpsc::channel(WAITING);
        let (sender, direction) = watch::channel(direction);
        let mut tasks = JoinSet::new();
        for planned in plan {
            tasks.spawn(ask(planned, around.clone(), direction.clone(), observations.clone()));
        }
        (Self { direction: sender, _tasks: tasks }, receiver)
    }

    /// From the next look on, which site is active and which stands by.
    pub fn turn(&self, direction: &Direction) {
        self.direction.send_if_modified(|have| std::mem::replace(have, direction.clone()) != *direction);
    }
}

/// Asks one probe for ever, or until nobody listens any more.
async fn ask(
    planned: Planned,
    around: Around,
    direction: watch::Receiver<Direction>,
    observations: mpsc::Sender<Observation>,
) {
    let (first, second) = jitter(&planned.key, planned.interval);
    let mut due = Instant::now() + first;
    sleep_until(due).await;
    due += second;
    // Never good is bad for long enough: the first look is believed.
    let mut bad = planned.fall;
    loop {
        let now = direction.borrow().clone();
        let observation = around.look(&planned, now).await;
        bad = if observation.is_good() { 0 } else { bad.saturating_add(1) };
        if observations.send(observation).await.is_err() {
            return;
        }
        // What took too long is not made up for: the next look comes at the next turn.
        let late = Instant::now();
        while due <= late {
            due += planned.interval;
        }
        if (1..planned.fall).contains(&bad) && late + AGAIN < due {
            // Beside its turns, which stay where they are.
            sleep_until(late + AGAIN).await;
        } else {
            sleep_until(due).await;
            due += planned.interval;
        }
    }
}

/// When a probe is first asked, and how long after that the second time: from the hash of its key, so that probes are
/// spread over their interval, and the same one always has the same turn.
fn jitter(key: &ProbeKey, interval: Duration) -> (Duration, Duration) {
    let name = format!("{}/{}/{}", key.site, key.subject, key.question);
    let hash = blake3::hash(name.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let share = |two: [u8; 2]| f64::from(u16::from_be_bytes(two)) / f64::from(u16::MAX);
    (OPENING.min(interval).mul_f64(share([a, b])), (interval / 2) + (interval / 2).mul_f64(share([c, d])))
}

/// Asks everything once, all at the same time: it takes as long as the slowest deadline, not as their sum.
pub async fn round(plan: &[Planned], around: &Around, direction: &Direction) -> Vec<Observation> {
    join_all(plan.iter().map(|planned| around.look(planned, direction.clone()))).await
}

#[cfg(test)]
mod tests;
