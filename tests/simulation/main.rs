//! Thousands of disasters: a seed chooses world, runbook, operator and faults; the unchanged engine runs the unchanged
//! runbooks in the simulated world on a paused clock; after every event the invariants are checked, and at the end that
//! it came to an honest end from which it could go on.
//!
//! ```text
//! cargo test --test simulation                                  as many schedules as fit into every test run
//! SCHEDULES=10000 cargo test --profile simulation --test simulation    as many as you like
//! SEED=4711 EVENTS=500 cargo test --test simulation one_seed -- --nocapture    one of them, told event by event
//! ```
//!
//! `seeds.txt` holds the seeds that once failed; they run first.

#![expect(clippy::print_stdout, reason = "the figures of a test run are for whoever reads its output")]

mod broken;
mod invariants;
mod journal;
mod kinds;
mod performance;
mod rivals;
mod schedule;
mod through;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use performance::{Engine, Report, perform};

/// Much of what the simulated world does is many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many schedules a plain `cargo test` plays.
const SCHEDULES: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

/// Plays these seeds on all cores; panics with everything about the first that fails.
fn play(seeds: impl Iterator<Item = u64> + Send) -> Vec<Report> {
    let seeds = Mutex::new(seeds);
    let reports = Mutex::new(Vec::new());
    let failures: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().expect("not poisoned").next() else { return };
                    if failures.lock().expect("not poisoned").len() >= 5 {
                        return;
                    }
                    match perform(seed, &Engine::Sound) {
                        Ok(report) => reports.lock().expect("not poisoned").push(report),
                        Err(wrong) => {
                            failures.lock().expect("not poisoned").insert(seed, wrong);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("not poisoned");
    let told: Vec<String> = failures
        .iter()
        .map(|(seed, wrong)| {
            format!("seed {seed}: {wrong}\n  replay: SEED={seed} cargo test --test simulation one_seed -- --nocapture")
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n\n"));
    reports.into_inner().expect("not poisoned")
}

/// Seeds that failed once.
fn old_seeds() -> Vec<u64> {
    let lines = include_str!("seeds.txt").lines().map(str::trim).filter(|line| !line.is_empty());
    let seeds = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next());
    seeds.map(|seed| seed.parse().expect("a line of seeds.txt begins with a seed")).collect()
}

#[test]
fn ten_thousand_disasters() {
    let began = std::time::Instant::now();
    let count = number("SCHEDULES").unwrap_or(SCHEDULES);
    let first = number("FIRST_SEED").unwrap_or(1);
    let seeds = old_seeds().into_iter().chain(first..first + count);
    let reports = play(seeds);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let mut endings: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (events, checks) = (AtomicU64::new(0), AtomicU64::new(0));
    for report in &reports {
        events.fetch_add(report.events, Ordering::Relaxed);
        checks.fetch_add(report.checks, Ordering::Relaxed);
        for fault in &report.faults {
            *faults.entry(fault.clone()).or_default() += 1;
        }
        *endings.entry(report.first_ending).or_default() += 1;
    }
    println!(
        "{} schedules, {events:?} events, {checks:?} checks of invariants, {:.1?}",
        reports.len(),
        began.elapsed()
    );
    println!("first endings: {endings:?}");
    println!("faults struck: {faults:?}");
    assert!(reports.len() as u64 >= count, "not every schedule was played");
    assert!(endings.len() >= 4, "the schedules are too tame: {endings:?}");
}

#[test]
fn the_same_seed_gives_the_same_events_to_the_byte() {
    for seed in [3, 17, 40, 71] {
        let one = perform(seed, &Engine::Sound).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let two = perform(seed, &Engine::Sound).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        assert_eq!(one.history, two.history, "seed {seed}");
        assert!(one.events > 50, "seed {seed} did too little to show anything: {} events", one.events);
    }
}

/// Plays the seed in the environment and tells everything.
#[test]
fn one_seed() {
    let Some(seed) = number("SEED") else { return };
    let told = perform(seed, &Engine::Sound);
    match told {
        Ok(report) => println!("{}\nseed {seed} is fine: {}", report.history, report.first_ending),
        Err(wrong) => panic!("seed {seed}: {wrong}"),
    }
}
