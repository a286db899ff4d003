//! Engines with a known defect, each made by putting something dishonest between the sound engine and its world. The
//! checker must catch every one of them, and must have nothing against the sound engine in the same schedule.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use changeover::model::{Failure, FailureKind, SafeText, UnitKey};
use changeover::port::{ExecOutput, JobCancel, JobState, Pipeline, Reach, Sink, SinkError};
use changeover::run::Event;
use changeover::systems::{Catalogue, Step, StepContext, StepDone, catalogue};
use changeover::world::{Fault, Spec, Zone};
use tokio::sync::mpsc;

use crate::journal::{Death, Journal};
use crate::performance::{Engine, perform_schedule};
use crate::schedule::Schedule;
use crate::through::{Between, Through};

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Effects begin before their intent is durable.
    IntentAfterEffect,
    /// The direction record is not looked at.
    NoEpoch,
    /// A restore and its comparison are called done without being seen to be.
    BelievesSuccess,
    /// What nobody knows the outcome of is simply done again.
    RepeatsUnknown,
    /// A job that was told to stop is believed to have stopped.
    BelievesStopped,
}

impl Broken {
    pub fn reach(self, reach: Arc<dyn Reach>) -> Arc<dyn Reach> {
        match self {
            Self::NoEpoch => Arc::new(Through(reach, FirstRecord)),
            Self::BelievesStopped => Arc::new(Through(reach, Soothing)),
            _ => reach,
        }
    }

    pub fn catalogue(self) -> Catalogue {
        match self {
            Self::BelievesSuccess => catalogue().wrapped(|kind, step| match kind {
                "mysql.restore" | "mysql.verify" => Box::new(Believer),
                _ => step,
            }),
            Self::RepeatsUnknown => catalogue().wrapped(|_, step| Box::new(Careless(step))),
            _ => catalogue(),
        }
    }

    pub fn sink(self, journal: Arc<Journal>) -> Arc<dyn Sink> {
        match self {
            Self::IntentAfterEffect => Arc::new(Late::new(journal)),
            _ => journal,
        }
    }
}

/// Says that all is kept, and keeps it a little later.
struct Late(mpsc::UnboundedSender<Vec<Event>>);

impl Late {
    fn new(journal: Arc<Journal>) -> Self {
        let (sender, mut events) = mpsc::unbounded_channel::<Vec<Event>>();
        tokio::spawn(async move {
            while let Some(batch) = events.recv().await {
                tokio::time::sleep(Duration::from_millis(500)).await;
                drop(journal.append(&batch).await);
            }
        });
        Self(sender)
    }
}

#[async_trait]
impl Sink for Late {
    async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        drop(self.0.send(events.to_vec()));
        Ok(())
    }

    async fn output(&self, _: &UnitKey, _: u32, _: jiff::Timestamp, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Does nothing and is content.
#[derive(Debug)]
struct Believer;

#[async_trait]
impl Step for Believer {
    async fn preview(&self, _cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        Ok(Vec::new())
    }

    async fn run(&self, _cx: &StepContext) -> Result<StepDone, Failure> {
        Ok(StepDone::new())
    }
}

/// Calls a lost outcome a passing trouble, so that it is tried again.
#[derive(Debug)]
struct Careless(Box<dyn Step>);

#[async_trait]
impl Step for Careless {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        self.0.preview(cx).await
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        self.0.run(cx).await.map_err(|mut failure| {
            if failure.kind == FailureKind::Unknown {
                failure.kind = FailureKind::Busy;
            }
            failure
        })
    }
}

/// Shows every direction record as it was when it was first read.
struct FirstRecord;

impl Between for FirstRecord {
    fn answer(&self, pipeline: &Pipeline, output: ExecOutput) -> ExecOutput {
        if !pipeline.to_string().contains("direction.json") || pipeline.members[0].program != "cat" {
            return output;
        }
        // Leases are read in the same breath.
        let mut stdout = Vec::new();
        for note in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>() {
            let Ok(mut note) = note else { return output };
            if note.get("active").is_some() && note.get("epoch").is_some() {
                note["active"] = Spec::sites()[0].as_str().into();
                note["epoch"] = 1.into();
            }
            stdout.extend_from_slice(note.to_string().as_bytes());
        }
        ExecOutput { stdout, ..output }
    }
}

/// Stops no job and says that it did.
struct Soothing;

impl Between for Soothing {
    fn stop(&self) -> Option<JobCancel> {
        Some(JobCancel { state: JobState::Vanished, survivors: Vec::new() })
    }
}

/// An undisturbed schedule, to put one fault into.
pub fn quiet(seed: u64) -> Schedule {
    let mut schedule = Schedule::of(seed);
    schedule.faults.clear();
    schedule.deaths.clear();
    schedule.cancels.clear();
    schedule.runbooks = vec!["replicate"];
    schedule.earlier_copy = false;
    schedule.unattended = true;
    schedule
}

/// The sound engine passes all of these schedules, the broken one is caught in one of them, with one of these words.
#[track_caller]
fn is_caught(broken: Broken, words: &[&str], schedules: impl Iterator<Item = Schedule>) {
    let mut tried = 0;
    for schedule in schedules {
        tried += 1;
        if let Err(wrong) = perform_schedule(&schedule, &Engine::Sound) {
            panic!("the sound engine is blamed: {wrong}");
        }
        if let Err(wrong) = perform_schedule(&schedule, &Engine::Broken(broken)) {
            assert!(
                words.iter().any(|words| wrong.contains(words)),
                "{broken:?} was caught for something else: {wrong}"
            );
            return;
        }
    }
    panic!("{broken:?} was not caught in {tried} schedules");
}

#[test]
fn an_effect_before_its_intent_is_caught() {
    is_caught(Broken::IntentAfterEffect, &["before its intent was on record"], (1..4).map(quiet));
}

#[test]
fn a_restore_over_the_new_active_site_is_caught() {
    let turning = (4..40).map(|at| {
        let mut schedule = quiet(at);
        schedule.faults = vec![(Duration::from_secs(at), Fault::DirectionTurns)];
        schedule
    });
    is_caught(Broken::NoEpoch, &["the active site"], turning);
}

#[test]
fn success_that_is_believed_is_caught() {
    is_caught(Broken::BelievesSuccess, &["the run is called done, but sql/"], (1..4).map(quiet));
}

#[test]
fn the_repetition_of_an_unknown_outcome_is_caught() {
    let [source, _] = Spec::sites();
    let cut = (0..12).map(|tenth| {
        let mut schedule = quiet(tenth);
        let zone = Zone::Site(source.clone());
        let slow = Duration::from_millis(500 + 100 * tenth);
        // Slow disks once the dump is under way: it takes longer than anybody waits for a silent host.
        schedule.faults = vec![
            (slow, Fault::DisksSlow { site: source.clone(), times: 5_000 }),
            (slow + Duration::from_secs(1), Fault::Cut { from: zone.clone(), to: Zone::Console }),
            (Duration::from_mins(50), Fault::Mend { a: zone, b: Zone::Console }),
        ];
        schedule
    });
    is_caught(Broken::RepeatsUnknown, &["works in several attempts at once", "still works at"], cut);
}

/// The program dies while the transfer goes on slowly at a site that is out of sight, and its second life is asked, again
/// and again, to do it afresh. The site comes back while the first transfer still works.
fn asked_again(death: usize) -> Schedule {
    let [source, _] = Spec::sites();
    let zone = Zone::Site(source.clone());
    let mut schedule = quiet(7);
    schedule.unattended = false;
    schedule.helpful = true;
    schedule.deaths = vec![Death { at: death, after: true }];
    schedule.faults = vec![
        (Duration::from_millis(4_740), Fault::DisksSlow { site: source.clone(), times: 5_000 }),
        (Duration::from_millis(4_800), Fault::Cut { from: zone.clone(), to: Zone::Console }),
        (Duration::from_mins(10), Fault::Mend { a: zone, b: Zone::Console }),
        (Duration::from_mins(15), Fault::DisksSlow { site: source, times: 1 }),
    ];
    schedule
}

#[test]
fn a_fresh_attempt_beside_the_one_before_is_caught() {
    is_caught(
        Broken::BelievesStopped,
        &["works in several attempts at once", "still works at"],
        (103..107).map(asked_again),
    );
}

#[test]
fn a_fresh_attempt_waits_for_a_silent_host_and_then_ends_the_one_before() {
    let report = perform_schedule(&asked_again(104), &Engine::Sound).unwrap_or_else(|wrong| panic!("{wrong}"));
    let carried: Vec<&str> = report.history.lines().filter(|line| line.contains("\"transfer/carry@prod\"")).collect();
    let refused = |line: &&&str| line.contains("unit_ended") && line.contains("nothing was begun beside it");
    let count = carried.iter().filter(refused).count();
    assert!(count > 3, "refused {count} times:\n{}", carried.join("\n"));
    assert!(carried.last().is_some_and(|line| line.contains("succeeded")), "{}", carried.join("\n"));
    assert_eq!(report.first_ending, "done, warned");
}
