//! Two runs at once, signals, and a program that is killed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::super::support::Program;
use super::Scenario;
use super::day::{Day, Running, wait_until};
use super::sql::{Ballast, DUMP, is_dumping};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("two runs", two_runs_and_a_hangup),
    ("signal once", signal_once),
    ("signal twice", signal_twice),
    ("killed", killed),
    ("killed and another begun", killed_and_another_begun),
    ("killed in the dump", killed_in_the_dump),
];

/// A job on a host of prod that says in the exchange folder that it began, and ends when the test lets it go.
pub(super) struct Job<'a> {
    day: &'a Day,
    pub(super) runbook: String,
    began: PathBuf,
    go: PathBuf,
}

impl<'a> Job<'a> {
    pub(super) fn new(day: &'a Day) -> Self {
        Self::between(day, "", &format!("{}with = {{ run = [\"true\"] }}\n", Self::command("after")))
    }

    /// The first lines of a step that runs a command.
    fn command(id: &str) -> String {
        format!("[[stages.steps]]\nid = \"{id}\"\nuses = \"basic.command\"\non = \"source\"\n")
    }

    /// The job between other steps.
    pub(super) fn between(day: &'a Day, before: &str, after: &str) -> Self {
        let (began, go) = (day.lab.exchange("prod").join("bad-day-began"), day.lab.exchange("prod").join("bad-day-go"));
        drop(fs::remove_file(&began));
        drop(fs::remove_file(&go));
        let mount = day.lab.dir.join("mnt/exchange");
        let script = format!(
            "echo began >> {0}/bad-day-began; until test -e {0}/bad-day-go; do sleep 0.1; done",
            mount.display()
        );
        let job = format!("{}with = {{ run = [\"sh\", \"-c\", \"{script}\"] }}\n", Self::command("job"));
        let steps = format!("{before}{job}{after}");
        Self { day, runbook: day.runbook(&steps), began, go }
    }

    /// Starts a run and waits until the job does its work.
    pub(super) fn start(&self) -> Running {
        self.start_with(&self.day.program)
    }

    /// The same, by a program with another state folder.
    pub(super) fn start_with(&self, program: &Program) -> Running {
        let mut running = Running::start(program, &["run", &self.runbook]);
        running.wait_for(&["\"unit_started\"", "steps/job@prod"]);
        wait_until("the job begins", || self.begun() == 1);
        running
    }

    /// How often the job began its work.
    pub(super) fn begun(&self) -> usize {
        fs::read_to_string(&self.began).map_or(0, |text| text.lines().count())
    }

    pub(super) fn let_go(&self) {
        File::create(&self.go).expect("a file");
        fs::set_permissions(&self.go, fs::Permissions::from_mode(0o644)).expect("its mode");
    }

    /// Whether anything of the job runs on any host: the hosts' processes are this machine's.
    pub(super) fn is_alive(&self) -> bool {
        let marker = format!("until test -e {}/mnt/exchange/bad-day-go", self.day.lab.dir.display());
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(&marker))
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        // Whatever the test came to: nothing may wait forever.
        drop(File::create(&self.go));
    }
}

fn two_runs_and_a_hangup(day: &Day) {
    let job = Job::new(day);
    let mut first = job.start();
    let second = day.program.run(&["run", &job.runbook]).expect(5);
    let holder = first.seen.iter().find_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        event["run"].as_str().map(str::to_owned)
    });
    second.says(&holder.expect("the run's id in its events")).says("changeover attach");
    first.signal(Signal::SIGHUP);
    assert!(first.child.try_wait().expect("it can be asked").is_none(), "SIGHUP ended it");
    job.let_go();
    let said = first.expect(0);
    assert!(!said.contains("cancel_requested"), "{said}");
}

fn signal_once(day: &Day) {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let job = Job::new(day);
        let mut running = job.start();
        running.signal(signal);
        running.wait_for(&["cancel_requested"]);
        assert!(job.is_alive(), "{signal} stopped the running step");
        job.let_go();
        let said = running.expect(1);
        assert!(!said.contains("\"unit_started\",\"unit\":\"steps/after"), "{said}");
        let resumed = day.program.run(&["resume", "latest", "--output", "json"]).expect(0);
        let started =
            |step: &str| resumed.stdout().lines().any(|line| line.contains("\"unit_started\"") && line.contains(step));
        assert!(started("steps/after@prod") && !started("steps/job@prod"), "{}", resumed.text());
        assert_eq!(job.begun(), 1);
    }
}

fn signal_twice(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    running.signal(Signal::SIGINT);
    running.wait_for(&["cancel_requested"]);
    assert!(job.is_alive());
    running.signal(Signal::SIGINT);
    running.expect(1);
    assert!(!job.is_alive(), "the job still runs");
}

fn killed(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    running.child.kill().expect("it can be killed");
    running.child.wait().expect("it ends");
    assert!(job.is_alive(), "the job ended with the program");
    job.let_go();
    // What a command of the operator's own has done cannot be looked at: it is asked about, and nobody is there to ask.
    let resumed = day.program.run(&["resume", "latest"]).expect(4).says("steps/job@prod");
    resumed.says("the program died while it ran").says("say what you saw");
    assert_eq!(job.begun(), 1, "the job was started again");
}

/// The program is gone and its lock with it, but what it began is not.
fn killed_and_another_begun(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    running.child.kill().expect("it can be killed");
    running.child.wait().expect("it ends");
    let listed = day.program.run(&["runs", "list", "--json"]).expect(0).stdout();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let run = listed[0]["run"].as_str().expect("a run");
    let other_machine = Program::at(&day.lab, day.lab.dir.join("another-state"));
    let nothing_new = |program: &Program, runbook: &str| {
        let ran = program.run(&["run", runbook, "--output", "json"]).expect(3);
        assert!(ran.stdout().is_empty(), "something was begun: {}", ran.text());
        ran.says("nothing is begun beside it")
    };
    for runbook in [job.runbook.as_str(), "replicate"] {
        let ran = nothing_new(&day.program, runbook).says(&format!("job {run}.steps~job~prod.1."));
        ran.says("is still at work on prod:app1").says(&format!("changeover resume {run}"));
    }
    nothing_new(&other_machine, &job.runbook).says(&format!("no record of run {run}"));
    // Its host cannot be asked: the record says what may be there.
    day.edit_estate(&day.address(1, 11), &day.address(201, 11));
    let ran = nothing_new(&day.program, &job.runbook);
    day.write_estate(&day.estate);
    ran.says("may still be at work on prod:app1, which does not answer").says("Connection refused");
    assert!(job.is_alive(), "it was ended");
    job.let_go();
    wait_until("the job ends", || !job.is_alive());
    // Nothing works any more; how the old run is judged is another question.
    wait_until("another run may begin", || day.program.run(&["run", &day.runbook("")]).code() == 0);
    day.program.run(&["resume", run]).expect(4).says("say what you saw");
    assert_eq!(job.begun(), 1, "the job was started again");
}

fn killed_in_the_dump(day: &Day) {
    let _ballast = Ballast::new(day, 60_000);
    let runbook = day.runbook(DUMP);
    let mut running = day.start(&["run", &runbook]);
    wait_until("a dump is written", || is_dumping(day));
    running.child.kill().expect("it can be killed");
    running.child.wait().expect("it ends");
    let resumed = day.program.run(&["resume", "latest", "--output", "json"]).expect(0);
    assert!(resumed.stdout().contains("ballast") || resumed.stdout().contains("rows"), "{}", resumed.text());
    assert!(!is_dumping(day), "a part of a dump was left behind");
}
