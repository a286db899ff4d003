//! How old the last copy is: what the standby's tree says, and what came since.

use std::time::Duration;

use super::made::*;
use super::picture::text;
use crate::console::{Msg, State, update};
use crate::health::{Figure, HealthState, Observation, ProbeHealth, ProbeKey, Subject, Unit};
use crate::model::SafeText;
use crate::systems::exchange::{LAST_POINT, POINTS};
use crate::systems::{Condition, Reading};

/// A console with these runs, whose standby's tree said so many seconds ago how old its last complete point was.
fn header(points: Option<(i64, Option<u64>)>, arrived: bool) -> String {
    let mut state: State = full();
    let mut runs = runs();
    for point in runs.iter_mut().filter_map(|run| run.point.as_mut()) {
        point.arrived &= arrived;
    }
    update(&mut state, Msg::Runs(runs));
    let key = ProbeKey { site: site("bcp"), subject: Subject::Exchange, question: POINTS };
    state.health = HealthState::new([(key.clone(), ProbeHealth::new(Duration::from_secs(30), 2, 2))]);
    if let Some((ago, age)) = points {
        let mut reading = reading(Condition::Up, "points", None, 1.0);
        reading = match age {
            Some(age) => Reading { figures: vec![Figure::whole(LAST_POINT, age, Unit::Seconds)], ..reading },
            None => Reading { figures: Vec::new(), ..reading },
        };
        state.health.apply(&Observation {
            key,
            at: now() - jiff::SignedDuration::from_secs(ago),
            took: Duration::ZERO,
            result: Ok(reading),
            transcript: SafeText::default(),
        });
    }
    text(&state, (120, 40)).lines().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_last_copy_is_what_the_standby_has() {
    for (points, arrived, said) in [
        // Nobody looked yet: the newest run that carried one over.
        (None, true, "LATE: last copy 34m old of 15m"),
        // A run that made a point and carried nothing says nothing of the standby.
        (None, false, "no complete copy known to this machine"),
        // The tree knows of a copy that another machine brought.
        (Some((20, Some(100))), true, " last copy 2m old of 15m"),
        (Some((20, Some(100))), false, " last copy 2m old of 15m"),
        // The tree is empty, whatever once arrived there.
        (Some((20, None)), true, "no complete copy known to this machine"),
        // The run came after the look.
        (Some((3600, Some(60))), true, "LATE: last copy 34m old of 15m"),
        (Some((3600, Some(60))), false, "LATE: last copy 1h01m old of 15m"),
    ] {
        let header = header(points, arrived);
        assert!(header.contains(said), "{points:?} {arrived}: {header}");
    }
}
