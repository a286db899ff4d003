//! The program is killed with SIGKILL in the middle of a run, resumed, killed again, until the run is done: then both
//! sites hold what an undisturbed run leaves there, no durable job ran twice, and nothing is left running on any host.
//!
//! Kills come in chains, each on one run: a run that is resumed forty times is killed at forty places. A place is an
//! event: the program prints it after it is durable, and dies at that moment. Other chains kill while the record is
//! being written, before anybody is told.
//!
//! All events of a run, and writes of its record: `cargo test --test sites every_event -- --ignored --nocapture`; an
//! eighth of them, and whatever of these a run did not come to the first time: the same with `ROUNDS=3`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use super::support::{Lab, Program, RESERVE, alone, assert_same};
use super::watch::{commands_on_hosts, is_always_another, jobs_of, processes_of_jobs, watch};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;

/// How long what ends by itself may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Events that are not facts: how many there are depends on timing.
const CHATTER: [&str; 3] = ["unit_said", "unit_progress", "job_begun"];

/// Where a run can be killed: at an event, told apart from the others of its run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    event: String,
    about: String,
    /// Which of the events of this kind about this, counted over all sessions of the run.
    number: usize,
}

/// Numbers the events of a run as they come.
#[derive(Default)]
struct Spotter(BTreeMap<(String, String), usize>);

impl Spotter {
    fn spot(&mut self, event: &Value) -> Spot {
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let (event, about) = (word("event"), format!("{}{}", word("unit"), word("stage")));
        let number = self.0.entry((event.clone(), about.clone())).or_default();
        *number += 1;
        Spot { event, about, number: *number }
    }
}

/// What an undisturbed run does.
struct Undisturbed {
    /// Every event, in order.
    spots: Vec<Spot>,
    /// How each unit ended.
    endings: BTreeMap<String, String>,
    /// The jobs that were begun, without the run's name, and the programs that each of them started.
    jobs: BTreeMap<String, Vec<String>>,
}

struct Range {
    lab: Lab,
    program: Program,
    prod: Value,
    usual: Undisturbed,
    /// What runs on the hosts when no run does.
    at_rest: BTreeSet<String>,
}

impl Range {
    fn new(name: &str) -> Self {
        let lab = Lab::fresh(name, &[]);
        lab.run(&["load", "--documents", "1500", "--rows", "3000", "--files", "150"]);
        lab.edit_estate(|text| text + RESERVE);
        watch(&lab);
        let at_rest = commands_on_hosts(&lab);
        assert!(!at_rest.is_empty(), "not even the application runs");
        let program = Program::new(&lab);
        program.run(&["run", "replicate"]).expect(0);
        let prod = lab.count("prod");
        assert_same(&prod, &lab.count("bcp"));
        // The first copy of everything is another kind of work than all later ones.
        for _ in 0..3 {
            program.run(&["run", "replicate"]).expect(0);
        }
        let run = program.run(&["runs", "show", "latest", "--json"]).expect(0).stdout();
        let events = events(&run);
        let mut spotter = Spotter::default();
        let usual = Undisturbed {
            spots: events.iter().map(|event| spotter.spot(event)).collect(),
            endings: endings(&events),
            jobs: jobs_of(&lab, run_of(&events)),
        };
        assert!(usual.jobs.len() > 10, "nothing was seen of the jobs: {:?}", usual.jobs);
        assert!(usual.jobs.values().flatten().any(|name| name == "rsync"), "no worker was seen: {:?}", usual.jobs);
        Self { lab, program, prod, usual, at_rest }
    }

    fn start(&self, args: &[&str]) -> (Child, BufReader<ChildStdout>) {
        let mut child = self
            .program
            .command(args)
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        (child, out)
    }

    /// One run, killed at each of these spots that it comes to, and resumed until it is done. Returns those it was
    /// killed at.
    fn chain(&self, mut spots: BTreeSet<Spot>) -> Vec<Spot> {
        let mut spotter = Spotter::default();
        let mut killed = Vec::new();
        let mut args = ["run", "replicate"];
        loop {
            let (mut child, out) = self.start(&args);
            let mut spots_seen = out.lines().map_while(Result::ok).map(|line| {
                spotter.spot(&serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
            });
            let found = spots_seen.find(|spot| spots.contains(spot));
            if let Some(spot) = found {
                child.kill().expect("it can be killed");
                child.wait().expect("it ends");
                spots.remove(&spot);
                let was_last = spot.event == "run_ended";
                killed.push(spot);
                args = ["resume", "latest"];
                if !was_last {
                    continue;
                }
                self.program.run(&args).expect(2).says("nothing to resume");
            } else {
                let code = child.wait().expect("it ends").code();
                // The end may have come on record in the moment of the last kill, before anybody was told.
                if code == Some(2) && !killed.is_empty() {
                    self.program.run(&args).expect(2).says("nothing to resume");
                } else {
                    assert_eq!(code, Some(0), "after kills at {killed:?}");
                }
            }
            self.is_as_usual(&format!("{} kills, the last at {:?}", killed.len(), killed.last()));
            return killed;
        }
    }

    /// One run, killed when its record has been written to so many times since the session began, and resumed, and
    /// killed again after the next number, until it is done. Returns how often it was killed.
    fn writes_chain(&self, writes: &[usize]) -> usize {
        let mut killed = 0;
        let mut args = ["run", "replicate"];
        let mut writes = writes.iter();
        loop {
            let (mut child, out) = self.start(&args);
            if let Some(count) = writes.next() {
                // The log is there when the first event is told; a later session finds it.
                let mut lines = out.lines().map_while(Result::ok);
                if lines.next().is_none() {
                    // The last kill came when the end was on record, and nobody had been told.
                    assert!(killed > 0, "it says nothing");
                    assert_eq!(child.wait().expect("it ends").code(), Some(2), "it says nothing after {killed} kills");
                    self.program.run(&args).expect(2).says("nothing to resume");
                    self.is_as_usual(&format!("{killed} kills while the record was written"));
                    return killed;
                }
                let log = self.newest_run().join("journal.sqlite-wal");
                let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("inotify");
                inotify.add_watch(&log, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE).expect("the log is there");
                let mut seen = 0;
                let mut closed = false;
                while seen < *count && !closed {
                    for event in inotify.read_events().expect("events") {
                        seen += usize::from(event.mask.contains(AddWatchFlags::IN_MODIFY));
                        closed |= event.mask.intersects(AddWatchFlags::IN_CLOSE_WRITE);
                    }
                }
                if !closed {
                    child.kill().expect("it can be killed");
                    child.wait().expect("it ends");
                    killed += 1;
                    args = ["resume", "latest"];
                    continue;
                }
                lines.for_each(drop);
            } else {
                out.lines().for_each(drop);
            }
            let status = child.wait().expect("it ends");
            assert_eq!(status.code(), Some(0), "after {killed} kills");
            self.is_as_usual(&format!("{killed} kills while the record was written"));
            return killed;
        }
    }

    fn newest_run(&self) -> PathBuf {
        let runs = fs::read_dir(self.program.state.join("lab/runs")).expect("runs").flatten().map(|run| run.path());
        runs.max().expect("a run")
    }

    /// The latest run left what an undisturbed one leaves.
    #[track_caller]
    fn is_as_usual(&self, after: &str) {
        let record = self.program.run(&["runs", "show", "latest", "--json"]).expect(0).stdout();
        let events = events(&record);
        let run = run_of(&events);
        assert_eq!(endings(&events), self.usual.endings, "after {after}: {record}");
        assert_same(&self.prod, &self.lab.count("prod"));
        assert_same(&self.prod, &self.lab.count("bcp"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let jobs = processes_of_jobs(&format!("{run}."));
            let on_hosts = commands_on_hosts(&self.lab);
            let others: Vec<_> = on_hosts.difference(&self.at_rest).collect();
            if jobs.is_empty() && others.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "after {after} there still runs: {jobs:?} {others:?}");
            std::thread::yield_now();
        }
        let jobs = jobs_of(&self.lab, run);
        for (job, workers) in &self.usual.jobs {
            let again = jobs.get(job);
            assert!(
                is_always_another(job) || again == Some(workers),
                "after {after}, job {job} started {again:?}, not {workers:?}"
            );
        }
    }
}

fn events(json_lines: &str) -> Vec<Value> {
    json_lines.lines().map(|line| serde_json::from_str(line).expect("one event per line")).collect()
}

fn run_of(events: &[Value]) -> &str {
    events[0]["run"].as_str().expect("the first event names the run")
}

/// How each unit ended. Panics when one that had ended well was begun again.
fn endings(events: &[Value]) -> BTreeMap<String, String> {
    let mut endings = BTreeMap::new();
    for event in events {
        let unit = || event["unit"].as_str().expect("a unit").to_owned();
        match event["event"].as_str() {
            Some("unit_started") => assert!(!endings.contains_key(&unit()), "{} was begun after its end", unit()),
            Some("unit_ended") => {
                let ended = event["outcome"]["ended"].as_str().expect("an ending");
                // Whether there is a point too old depends on how many runs there were before.
                let depends = unit().contains("/prune@") || unit().contains("/prune-search@");
                let ended = if depends && ended == "skipped" { "succeeded" } else { ended };
                endings.insert(unit(), ended.to_owned());
            }
            _ => {}
        }
    }
    let end = events.last().map(|event| event["outcome"].to_string()).unwrap_or_default();
    endings.insert("the run".to_owned(), end);
    endings
}

/// Which rounds are asked for; all unless `ROUNDS` says otherwise.
fn rounds() -> impl Fn(usize) -> bool {
    let wanted: Option<BTreeSet<usize>> = std::env::var("ROUNDS").ok().map(|rounds| {
        rounds.split(',').map(|round| round.parse().expect("ROUNDS names rounds from 0 to 7: 3,5")).collect()
    });
    move |round| wanted.as_ref().is_none_or(|rounds| rounds.contains(&round))
}

/// Every `step`th event that is not chatter, from the `first` on.
fn facts(usual: &Undisturbed, first: usize, step: usize) -> BTreeSet<Spot> {
    let facts = usual.spots.iter().filter(|spot| !CHATTER.contains(&spot.event.as_str()));
    facts.skip(first).step_by(step).cloned().collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "how many kills there were is what this test is about")]
fn a_run_killed_again_and_again_ends_like_an_undisturbed_one() {
    let _alone = alone();
    let range = Range::new("kills");
    let mut kills = 0;
    for first in [0, 2] {
        let began = Instant::now();
        let killed = range.chain(facts(&range.usual, first, 4));
        kills += killed.len();
        eprintln!("{} kills at events in {:.0} s: {killed:?}", killed.len(), began.elapsed().as_secs_f64());
    }
    assert!(kills >= 40, "only {kills} kills");
    let began = Instant::now();
    let killed = range.writes_chain(&[1, 2, 3, 5, 8, 13, 21, 34, 55, 89]);
    eprintln!("{killed} kills at writes in {:.0} s", began.elapsed().as_secs_f64());
    assert!(killed >= 5, "only {killed} kills at writes");
}

#[test]
#[ignore = "takes about twenty minutes"]
#[expect(clippy::print_stderr, reason = "how far it got is what somebody who waits wants to know")]
fn every_event_of_a_run_can_be_the_last_before_a_kill() {
    let _alone = alone();
    let wanted = rounds();
    let range = Range::new("kills");
    let all = &range.usual.spots;
    let spots = all.iter().enumerate().filter(|(number, _)| wanted(number % 8));
    let mut left: BTreeSet<Spot> = spots.map(|(_, spot)| spot.clone()).collect();
    assert!(!left.is_empty(), "there is nothing to be killed at");
    let count = left.len();
    for round in (0..16).filter(|round| *round >= 8 || wanted(*round)) {
        let began = Instant::now();
        let some = all.iter().skip(round % 8).step_by(8);
        // An event that became durable in the moment of a kill is never printed: it gets another chance, in other
        // company.
        let again = all.iter().filter(|spot| left.contains(spot)).skip(round % 2).step_by(2);
        let spots: Vec<&Spot> = if round < 8 { some.collect() } else { again.collect() };
        for spot in range.chain(spots.into_iter().cloned().collect()) {
            left.remove(&spot);
        }
        let (done, seconds) = (count - left.len(), began.elapsed().as_secs_f64());
        eprintln!("round {round}: killed at {done} of {count} events so far, in {seconds:.0} s");
        if left.is_empty() {
            break;
        }
    }
    // Not every run says as much as the one before.
    let facts: Vec<&Spot> = left.iter().filter(|spot| !CHATTER.contains(&spot.event.as_str())).collect();
    assert!(facts.is_empty(), "never killed at {facts:?}");
    eprintln!("never came again: {left:?}");
}

#[test]
#[ignore = "takes about ten minutes"]
#[expect(clippy::print_stderr, reason = "how far it got is what somebody who waits wants to know")]
fn every_event_of_a_run_can_be_killed_while_it_is_written() {
    let _alone = alone();
    let wanted = rounds();
    let range = Range::new("kills");
    let mut kills = 0;
    for round in (0..10).filter(|round| wanted(*round)) {
        let writes: Vec<usize> = (0..20).map(|kill| 1 + round * 3 + kill * 7).collect();
        let killed = range.writes_chain(&writes);
        kills += killed;
        eprintln!("round {round}: {killed} kills at writes");
    }
    assert!(kills > 0, "nothing was killed");
}
