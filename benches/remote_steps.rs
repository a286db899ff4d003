//! Eleven stages with a trivial command on every host: the program, journal on, beside bash with shared connections,
//! Fabric and Ansible. Everybody begins without a connection. `BENCH_HOSTS` chooses another number of hosts.

#![expect(clippy::print_stdout, reason = "says what is not measured")]

#[path = "support/figures.rs"]
mod figures;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/program.rs"]
mod program;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use figures::{Line, Runner, print, take_turns};
use hosts::{Hosts, done, hang_up};
use program::Program;

const STAGES: usize = 11;

fn main() {
    let wanted: Option<u8> = env::var("BENCH_HOSTS").ok().map(|text| text.parse().expect("a number"));
    for count in wanted.map_or(vec![3, 20], |count| vec![count]) {
        measure(count);
    }
}

fn measure(count: u8) {
    let hosts = Hosts::start(count);
    let estate = hosts.estate("");
    let program = Program::new(estate, hosts.path("state"));
    program.prepare();
    let short = runbook(&hosts, "short", false);
    let durable = runbook(&hosts, "durable", true);
    let cold = |book: &Path| {
        program.hang_up();
        program.run(book)
    };
    let mut runners = vec![
        Runner::new("program", 7, || cold(&short)),
        Runner::new("program, connections kept", 7, || program.run(&short)),
        Runner::new("program, durable jobs", 5, || cold(&durable)),
        Runner::new("bash, hosts in parallel", 7, || bash(&hosts, true)),
        Runner::new("bash, one after another", 5, || bash(&hosts, false)),
    ];
    if let Some(python) = peer("python", "import fabric") {
        let script = fabric(&hosts);
        runners.push(Runner::new("Fabric", 5, move || timed(Command::new(&python).arg(&script))));
    }
    if let Some(ansible) = peer("ansible-playbook", "") {
        for (name, tuned) in [("Ansible, tuned", true), ("Ansible, defaults", false)] {
            let (ansible, hosts) = (ansible.clone(), &hosts);
            runners.push(Runner::new(name, if count > 3 { 1 } else { 2 }, move || play(&ansible, hosts, tuned)));
        }
    }
    let times = take_turns(runners);
    let of = |name: &str| times.iter().find(|(have, _)| have == name).map(|(_, time)| *time);
    let ours = of("program").expect("measured");
    let mut lines = Vec::new();
    for (peer, aim) in [
        ("bash, hosts in parallel", Some(1.25)),
        ("bash, one after another", None),
        ("Fabric", None),
        ("Ansible, tuned", Some(15.0)),
        ("Ansible, defaults", Some(15.0)),
    ] {
        let Some(time) = of(peer) else { continue };
        lines.push(Line { what: "eleven stages".to_owned(), program: ours, peer: (peer.to_owned(), time), aim });
    }
    for variant in ["program, connections kept", "program, durable jobs"] {
        let (what, bash) = (variant.replace("program, ", "eleven stages, "), "bash, hosts in parallel");
        let (program, peer) = (of(variant).expect("measured"), of(bash).expect("measured"));
        lines.push(Line { what, program, peer: (bash.to_owned(), peer), aim: None });
    }
    print(&format!("{count} hosts"), &lines);
}

fn runbook(hosts: &Hosts, name: &str, durable: bool) -> PathBuf {
    let mut text = format!("name = \"{name}\"\ntitle = \"{name}\"\nmode = \"maintenance\"\n");
    for stage in 1..=STAGES {
        write!(
            text,
            "[[stages]]\nid = \"s{stage}\"\ntitle = \"Stage {stage}\"\n[[stages.steps]]\nid = \"c{stage}\"\n\
             uses = \"basic.command\"\non = \"source.app\"\neach = \"parallel\"\n\
             with = {{ run = [\"true\"], durable = {durable} }}\n"
        )
        .expect("text");
    }
    let file = hosts.path(&format!("{name}.toml"));
    fs::write(&file, text).expect("written");
    file
}

fn timed(command: &mut Command) -> Duration {
    let begun = Instant::now();
    done(command);
    begun.elapsed()
}

/// What somebody would write by hand: a shared connection for each host, kept while the script runs.
fn bash(hosts: &Hosts, parallel: bool) -> Duration {
    let folder = hosts.path("bash");
    fs::create_dir_all(&folder).expect("a folder");
    let after = if parallel { "& done; wait" } else { "|| exit 1; done" };
    let script = format!(
        "set -e; for s in $(seq {STAGES}); do for h in {}; do \
         ssh -F {} -o ControlMaster=auto -o ControlPersist=60 -o ControlPath={}/c-%n $h true {after}; done",
        hosts.names().join(" "),
        hosts.text("ssh_config"),
        hosts.text("bash"),
    );
    // The masters keep what they are given open; nobody waits for that.
    let begun = Instant::now();
    let status = Command::new("bash").args(["-c", &script]).status().expect("bash is installed");
    let took = begun.elapsed();
    assert!(status.success(), "{script}");
    hang_up(&folder);
    took
}

/// A peer in the virtual environment below the target directory, or on `PATH`; says so when it is missing.
fn peer(program: &str, import: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-peers/bin").join(program);
    let candidates = [own, PathBuf::from(program)];
    let works = |path: &&PathBuf| {
        let arguments: &[&str] = if import.is_empty() { &["--version"] } else { &["-c", import] };
        Command::new(path).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let found = candidates.iter().find(works).cloned();
    if found.is_none() {
        println!("  not measured, because it is not installed: {}", if import.is_empty() { program } else { import });
    }
    found
}

fn fabric(hosts: &Hosts) -> PathBuf {
    let names: Vec<String> = hosts.names().iter().map(|name| format!("'{name}'")).collect();
    let text = format!(
        "from fabric import Config, ThreadingGroup\n\
         config = Config(runtime_ssh_path='{}')\n\
         group = ThreadingGroup({}, config=config)\n\
         for stage in range({STAGES}):\n    group.run('true', hide=True)\n",
        hosts.text("ssh_config"),
        names.join(", ")
    );
    let file = hosts.path("steps.py");
    fs::write(&file, text).expect("written");
    file
}

fn play(ansible: &Path, hosts: &Hosts, tuned: bool) -> Duration {
    let control = hosts.path("ansible");
    let (inventory, book, config) = (hosts.path("inventory"), hosts.path("book.yml"), hosts.path("ansible.cfg"));
    let python = env::var("PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let lines: Vec<String> = hosts.names();
    fs::write(&inventory, format!("[all]\n{}\n[all:vars]\nansible_python_interpreter={python}\n", lines.join("\n")))
        .expect("written");
    let task = "    - command: 'true'\n";
    fs::write(&book, format!("- hosts: all\n  gather_facts: {}\n  tasks:\n{}", !tuned, task.repeat(STAGES)))
        .expect("written");
    let mut text = String::from("[defaults]\nhost_key_checking = true\n");
    if tuned {
        text.push_str("forks = 20\n");
    }
    write!(
        text,
        "[ssh_connection]\nssh_args = -F {} -o ControlMaster=auto -o ControlPersist=60s\ncontrol_path_dir = {}\n\
         control_path = %(directory)s/c-%%n\npipelining = {}\n",
        hosts.text("ssh_config"),
        control.display(),
        if tuned { "true" } else { "false" }
    )
    .expect("text");
    fs::write(&config, text).expect("written");
    let mut command = Command::new(ansible);
    command.arg("-i").arg(&inventory).arg(&book).env("ANSIBLE_CONFIG", &config).env("HOME", hosts.path("home"));
    let took = timed(&mut command);
    hang_up(&control);
    took
}
