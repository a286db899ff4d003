//! What bad input and bad days get, on real servers: the documented exit code, a message that says where, what was tried
//! and what to do, and nothing lost.
//!
//! One lab carries all scenarios, in order, because a fresh one for each would take longer than all of them together.
//! (A search cluster without its quorum needs three nodes, and has a lab of its own: `quorum.rs`.)
//! To run some of them only: `BAD_DAYS=dump,signal cargo test --test sites bad_days` (parts of their names).

mod app;
mod consoles;
mod copy;
mod day;
mod direction;
mod disk;
mod files;
mod network;
mod quorum;
mod runs;
mod search;
mod sql;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use self::day::Day;
use super::support::alone;

/// A name, and what is done on that day. Afterwards both sites must hold what they held before.
type Scenario = (&'static str, fn(&Day));

/// In this order: what leaves the lab least disturbed comes first.
const SUBJECTS: &[&[Scenario]] = &[
    network::SCENARIOS,
    words::SCENARIOS,
    direction::SCENARIOS,
    search::SCENARIOS,
    sql::SCENARIOS,
    files::SCENARIOS,
    copy::SCENARIOS,
    disk::SCENARIOS,
    runs::SCENARIOS,
    consoles::SCENARIOS,
    app::SCENARIOS,
];

#[test]
#[expect(clippy::print_stderr, reason = "which scenario is slow or fails is what a reader of a failed run needs")]
fn bad_days_lose_nothing() {
    let wanted = std::env::var("BAD_DAYS").unwrap_or_default();
    let scenarios: Vec<_> = SUBJECTS
        .iter()
        .copied()
        .flatten()
        .filter(|(name, _)| wanted.split(',').any(|part| name.contains(part)))
        .collect();
    assert!(!scenarios.is_empty(), "no scenario is called {wanted}");
    let _alone = alone();
    let day = Day::begin();
    let mut failed = Vec::new();
    for (name, scenario) in scenarios {
        let began = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            scenario(&day);
            day.nothing_lost();
        }));
        eprintln!(
            "{name}: {} in {:.1} s",
            if ended.is_ok() { "good" } else { "FAILED" },
            began.elapsed().as_secs_f64()
        );
        if ended.is_err() {
            failed.push(name);
            // What the scenario took away would fail all others too; what is still missing then, they say themselves.
            drop(catch_unwind(AssertUnwindSafe(|| day.lab.run(&["up"]))));
        }
        day.write_estate(&day.estate);
    }
    assert!(failed.is_empty(), "these scenarios failed, see above: {failed:?}");
}
