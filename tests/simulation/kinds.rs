//! Every step kind: failing at each of its places in a run, acting twice, being undone twice. A kind that no runbook
//! here uses fails a test by its name.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use changeover::model::{Failure, FailureKind, SafeText};
use changeover::runbook::{SourceText, parse, shipped};
use changeover::systems::{CheckReport, Effect, Step, StepContext, StepDone, Verified, catalogue};

use crate::performance::{Engine, perform_schedule};
use crate::schedule::Schedule;

/// Uses the kinds that no shipped runbook uses.
const OTHERS: &str = r#"
name = "others"
title = "Every kind that no shipped runbook uses"
mode = "maintenance"

[[stages]]
id = "stage"
title = "Stage"

[[stages.steps]]
id = "prepare"
uses = "exchange.prepare"
on = "both"
each = "parallel"

[[stages.steps]]
id = "ask"
uses = "basic.confirm"
on = "console"
confirm = { level = 1, message = "Go on?" }

[[stages.steps]]
id = "wait"
uses = "basic.wait"
on = "console"
with = { for = "2s" }

[[stages.steps]]
id = "command"
uses = "basic.command"
on = "target.app"
with = { run = ["true"] }

[[stages.steps]]
id = "http"
uses = "basic.http"
on = "console"
with = { url = "http://10.0.2.11:8080/health" }

[[stages.steps]]
id = "cache"
uses = "redis.check"
on = "target"
service = "cache"

[[stages.steps]]
id = "stop"
uses = "app.stop"
on = "target.app"
service = "app"

[[stages.steps]]
id = "start"
uses = "app.start"
on = "target.app"
service = "app"
"#;

/// Changes what can be undone, and then fails, so that it is.
const UNDONE: &str = r#"
name = "undone"
title = "What is done is taken back"
mode = "restore"

[[stages]]
id = "stage"
title = "Stage"

[[stages.steps]]
id = "arrived"
uses = "exchange.arrived"
on = "target"
with = { point = "latest" }

[[stages.steps]]
id = "restore-db"
uses = "mysql.restore"
on = "target"
service = "db"
with = { point = "{{ steps.arrived.point }}" }

[[stages.steps]]
id = "flush"
uses = "redis.flush"
on = "target"
service = "cache"

[[stages.steps]]
id = "restart"
uses = "app.restart"
on = "target.app"
service = "app"

[[stages.steps]]
id = "stop"
uses = "app.stop"
on = "target.app"
service = "app"

[[stages.steps]]
id = "fail"
uses = "basic.command"
on = "target"
on_failure = "undo"
with = { run = ["false"] }
"#;

/// A runbook of these tests.
pub fn own_runbook(name: &str) -> Option<SourceText> {
    let text = match name {
        "others" => OTHERS,
        "undone" => UNDONE,
        _ => return None,
    };
    Some(SourceText { name: format!("{name}.toml"), text: text.to_owned() })
}

fn quiet(runbooks: &[&'static str]) -> Schedule {
    let mut schedule = Schedule::of(11);
    schedule.faults.clear();
    schedule.deaths.clear();
    schedule.cancels.clear();
    schedule.runbooks = runbooks.to_vec();
    schedule.earlier_copy = false;
    schedule.unattended = false;
    schedule.helpful = true;
    schedule
}

/// The kinds that a runbook uses.
fn uses(name: &str) -> BTreeSet<String> {
    let text = shipped(name).or_else(|| own_runbook(name)).expect("a runbook");
    let runbook = parse(&text).expect("a valid runbook");
    runbook.stages.iter().flat_map(|stage| &stage.steps).map(|step| step.uses.clone()).collect()
}

#[test]
fn every_kind_is_played() {
    let played: BTreeSet<String> =
        ["replicate", "backup", "transfer", "restore", "others", "undone"].into_iter().flat_map(uses).collect();
    let missing: Vec<_> =
        catalogue().kinds().iter().map(|kind| kind.name).filter(|kind| !played.contains(*kind)).collect();
    assert!(missing.is_empty(), "no runbook of this test uses {missing:?}: add a step with it to OTHERS");
}

#[test]
fn every_kind_that_can_be_undone_is_undone_in_a_test() {
    let undone = uses("undone");
    // What only adds to an exchange tree or a repository is taken away by pruning, and says so when it is undone.
    let kept = ["elasticsearch.restore", "files.restore", "app.start"];
    let destroys = catalogue()
        .kinds()
        .iter()
        .filter(|kind| kind.effect == Effect::Destroys)
        .map(|kind| kind.name)
        .collect::<Vec<_>>();
    for kind in destroys {
        assert!(
            undone.contains(kind) || kept.contains(&kind) || kind.contains("prune") || kind.starts_with("basic."),
            "{kind} destroys: add it to UNDONE or say why not"
        );
    }
}

thread_local! {
    /// The unit that is to fail, and whether after its work.
    static FAILS: RefCell<Option<(String, bool)>> = const { RefCell::new(None) };
    /// How many times steps did their work twice.
    static TWICE: Cell<usize> = const { Cell::new(0) };
    static UNITS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// A step with something before or behind it.
#[derive(Debug)]
struct Around {
    step: Box<dyn Step>,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// Does its work twice, as after a crash that came before its ending was on record.
    Twice,
    /// Fails the first time, if it is the unit that is to.
    Fails,
    /// Is undone twice.
    UndoneTwice,
}

#[async_trait]
impl Step for Around {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        self.step.preview(cx).await
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        self.step.check(cx).await
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        UNITS.with_borrow_mut(|units| units.insert(cx.unit.to_string()));
        match self.how {
            How::Twice => {
                drop(self.step.run(cx).await?);
                // Somebody has to start the program again.
                tokio::time::sleep(Duration::from_secs(5)).await;
                TWICE.set(TWICE.get() + 1);
                self.step.run(cx).await
            }
            How::Fails => {
                let fails = FAILS.with_borrow_mut(|fails| fails.take_if(|(unit, _)| *unit == cx.unit.to_string()));
                let refusal =
                    || Failure::new(FailureKind::Refused, format!("run {}", cx.unit), "the test wants it to fail");
                match fails {
                    None => self.step.run(cx).await,
                    Some((_, false)) => Err(refusal()),
                    Some((_, true)) => {
                        drop(self.step.run(cx).await?);
                        Err(refusal())
                    }
                }
            }
            How::UndoneTwice => self.step.run(cx).await,
        }
    }

    async fn verify(&self, cx: &StepContext) -> Result<Verified, Failure> {
        self.step.verify(cx).await
    }

    async fn undo(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        drop(self.step.undo(cx).await?);
        TWICE.set(TWICE.get() + 1);
        self.step.undo(cx).await
    }
}

#[test]
fn every_action_may_be_done_twice() {
    let engine = Engine::Wrapped(|_, step| Box::new(Around { step, how: How::Twice }));
    for runbooks in [&["replicate"][..], &["backup", "transfer", "restore"], &["others"]] {
        TWICE.set(0);
        let report =
            perform_schedule(&quiet(runbooks), &engine).unwrap_or_else(|wrong| panic!("{runbooks:?}: {wrong}"));
        assert!(
            report.first_ending.starts_with("done"),
            "{runbooks:?} ended {}: {}",
            report.first_ending,
            report.history
        );
        assert!(TWICE.get() > 8, "{runbooks:?} did only {} things twice", TWICE.get());
    }
}

#[test]
fn a_run_that_fails_at_any_unit_says_so_and_can_be_resumed_to_its_good_end() {
    let engine = Engine::Wrapped(|_, step| Box::new(Around { step, how: How::Fails }));
    for runbooks in [&["replicate"][..], &["backup", "transfer", "restore"], &["others"]] {
        // Nobody is asked: what a person has tried again with success has not failed in the end.
        let schedule = Schedule { unattended: true, helpful: false, ..quiet(runbooks) };
        UNITS.with_borrow_mut(BTreeSet::clear);
        perform_schedule(&schedule, &engine).unwrap_or_else(|wrong| panic!("{runbooks:?}: {wrong}"));
        let units = UNITS.with_borrow(Clone::clone);
        assert!(units.len() > 7, "only {units:?}");
        for unit in units {
            for after in [false, true] {
                FAILS.set(Some((unit.clone(), after)));
                let report = perform_schedule(&schedule, &engine).unwrap_or_else(|wrong| {
                    panic!("{runbooks:?} failing {} {unit}: {wrong}", if after { "after" } else { "before" })
                });
                assert!(FAILS.take().is_none(), "{unit} was never run");
                assert!(
                    report.endings.iter().any(|ending| *ending != "done"),
                    "{unit} failed, and the run is called {:?}",
                    report.endings
                );
            }
        }
    }
}

#[test]
fn every_undo_may_be_done_twice() {
    let engine = Engine::Wrapped(|_, step| Box::new(Around { step, how: How::UndoneTwice }));
    let mut schedule = quiet(&["undone"]);
    schedule.earlier_copy = true;
    schedule.recovers = false;
    TWICE.set(0);
    let report = perform_schedule(&schedule, &engine).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(report.endings.last().copied(), Some("failed"), "{}", report.history);
    assert!(TWICE.get() >= 4, "only {} undos were done twice: {}", TWICE.get(), report.history);
    assert!(!report.history.contains("no way back"), "{}", report.history);
}
