//! Hosts that cannot be reached, or not any more.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Scenario;
use super::day::{Day, Process, Without, output, wait_until};
use super::runs::Job;
use super::sql::{Ballast, DUMP, SEAL, is_dumping};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("unknown host key", unknown_host_key),
    ("refused key", refused_key),
    ("host down", host_down),
    ("connection cut in a job", connection_cut_in_a_job),
    ("connection cut in the dump and the transfer", connection_cut_in_real_work),
    ("host dies in a job", host_dies_in_a_job),
];

fn unknown_host_key(day: &Day) {
    let known = fs::read_to_string(day.lab.dir.join("ssh/known_hosts")).expect("the lab's host keys");
    let address = day.address(1, 11);
    let others: Vec<&str> = known.lines().filter(|line| !line.contains(&address)).collect();
    assert!(others.len() < known.lines().count(), "{address} is not in\n{known}");
    fs::write(day.lab.dir.join("ssh/without_app1"), others.join("\n") + "\n").expect("a file");
    day.edit_estate("ssh/known_hosts", "ssh/without_app1");
    let ran = day.replicate().expect(1).says("prod:app1").says("its host key is not known");
    let ran = ran.says(&format!("ssh-keyscan -p 22 {address} >> ")).says("ssh/without_app1");
    for weak in ["StrictHostKeyChecking", "accept-new"] {
        assert!(!ran.text().contains(weak), "{}", ran.text());
    }
}

fn refused_key(day: &Day) {
    let key = day.lab.dir.join("ssh/stranger");
    drop(fs::remove_file(&key));
    output(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    // The lab's own ssh configuration offers the good key.
    let config = format!("config = \"{}\"", day.lab.dir.join("ssh/config").display());
    assert!(day.estate.contains(&config));
    day.write_estate(&day.estate.replace(&config, "").replace("ssh/id_ed25519", "ssh/stranger"));
    day.replicate().expect(1).says("prod:app1").says("Permission denied (publickey)").says("authorized_keys");
}

fn host_down(day: &Day) {
    let _down = Without::new(day, "stop", "prod", "sshd@app1");
    let ran = day.program.run(&["run", "replicate", "--output", "json"]).expect(1);
    let ran = ran.says("Connection refused").says("is sshd running").says("prod:app1");
    let attempts = ran
        .stdout()
        .lines()
        .filter(|line| line.contains("\"unit_started\"") && line.contains("test-source/prepare@prod"))
        .count();
    assert_eq!(attempts, 3, "{}", ran.text());
    assert!(!ran.text().contains("search-snapshot/snapshot@prod\",\"attempt\":1"), "{}", ran.text());
}

/// Cuts the connections to a host: its SSH sessions die, what they started lives on.
fn cut(day: &Day, site: &str, host: &str) -> usize {
    let sessions = day.processes(site, host).into_iter().filter(Process::is_session);
    // One that has just ended by itself needs no killing.
    sessions.filter(Process::kill).count()
}

/// Cuts the connection over which a host receives files; false when it receives none.
fn cut_receiving(day: &Day, site: &str, host: &str) -> bool {
    let processes = day.processes(site, host);
    let by_id = |id: i32| processes.iter().find(|process| process.id == id);
    let receiving = processes.iter().find(|process| process.command.starts_with("rsync --server"));
    let chain = std::iter::successors(receiving, |process| by_id(process.parent()?));
    chain.into_iter().find(|process| process.is_session()).is_some_and(Process::kill)
}

fn connection_cut_in_a_job(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    assert!(cut(day, "prod", "app1") > 0, "there was no connection to cut");
    // Noticed while it is followed, or while its start is being answered.
    running.wait_for(&["\"unit_said\"", "steps/job@prod", "lost"]);
    assert!(job.is_alive(), "the job ended with the connection");
    job.let_go();
    let said = running.expect(0);
    assert_eq!(job.begun(), 1, "the job was started again\n{said}");
}

/// The dump of the newest point at a site.
fn newest_dump(day: &Day, site: &str) -> PathBuf {
    let points = fs::read_dir(day.tree(site).join("points")).expect("the points").flatten();
    points.map(|point| point.path()).max().expect("a point").join("db.sql.zst")
}

/// Whether rsync writes a dump at the target: it has another name until it is whole.
pub(super) fn is_arriving(day: &Day) -> bool {
    let points = fs::read_dir(day.tree("bcp").join("points")).expect("the points").flatten();
    let mut files = points.filter_map(|point| fs::read_dir(point.path()).ok()).flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with(".db.sql.zst."))
}

fn connection_cut_in_real_work(day: &Day) {
    let _ballast = Ballast::new(day, 100_000);
    // Slow enough to be cut in the middle.
    day.write_estate(&format!("{}\n[transfer]\nbandwidth = \"1m\"\n", day.estate));
    let carry = "[[stages.steps]]\nid = \"carry\"\nuses = \"exchange.transfer\"\non = \"source\"\n\
                 retry = { attempts = 5, backoff = \"1s\" }\n";
    let runbook = day.runbook(&format!("{DUMP}{SEAL}{carry}"));
    let mut running = day.start(&["run", &runbook]);
    running.wait_for(&["\"unit_started\"", "steps/dump@prod"]);
    wait_until("a dump is written", || is_dumping(day));
    let cuts: usize = ["app1", "app2", "app3"].into_iter().map(|host| cut(day, "prod", host)).sum();
    assert!(cuts > 0, "there was no connection to cut");
    running.wait_for(&["\"unit_started\"", "steps/carry@prod"]);
    wait_until("a part of the dump has arrived", || is_arriving(day));
    assert!(cut_receiving(day, "bcp", "app1"), "there was no connection to cut");
    let said = running.expect(0);
    let started =
        |step: &str| said.lines().filter(|line| line.contains("\"unit_started\"") && line.contains(step)).count();
    assert_eq!(started("steps/dump@prod"), 1, "the dump was begun again\n{said}");
    assert_eq!(started("steps/carry@prod"), 2, "the transfer was not cut\n{said}");
    assert!(said.contains("the stream broke") || said.contains("lost the connection"), "{said}");
    let [sent, arrived] = ["prod", "bcp"].map(|site| fs::read(newest_dump(day, site)).expect("a dump"));
    assert!(sent == arrived, "{} bytes were sent, {} arrived", sent.len(), arrived.len());
}

fn host_dies_in_a_job(day: &Day) {
    let job = Job::new(day);
    let running = job.start();
    drop(Without::new(day, "kill", "prod", "sshd@app1"));
    assert!(!job.is_alive(), "the host still runs the job");
    // Nobody can know how far the command got: not good, not failed, and not begun again.
    let said = running.expect(4);
    assert!(said.contains("prod:app1") && said.contains("it left no ending"), "{said}");
    assert!(said.contains("look at what it left behind"), "{said}");
    assert_eq!(job.begun(), 1, "the job was started again\n{said}");
}
