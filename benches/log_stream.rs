//! The log of a durable job on a host, streamed into the file of its step, beside `ssh host cat | wc -l`; and whether
//! the program's memory stays flat meanwhile.

#![expect(clippy::print_stdout, reason = "tells the memory")]

#[path = "support/figures.rs"]
mod figures;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/program.rs"]
mod program;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use figures::{Line, Runner, print, take_turns};
use hosts::{Hosts, done, hang_up};
use program::Program;

const MEGABYTE: u64 = 1_000_000;
/// The long log, in bytes, and a short one to compare the memory with.
const LONG: u64 = 500 * MEGABYTE;
const SHORT: u64 = 50 * MEGABYTE;

fn main() {
    let hosts = Hosts::start(1);
    let program = Program::new(hosts.estate(""), hosts.path("state"));
    program.prepare();
    let (long, short) = (Log::write(&hosts, "long", LONG), Log::write(&hosts, "short", SHORT));
    program.run(&short.runbook);
    let small = program.peak_memory(&short.runbook);
    let large = program.peak_memory(&long.runbook);
    let options = format!("-F {} -o ControlPath={}/c-%n", hosts.text("ssh_config"), hosts.text("."));
    done(Command::new("bash").args(["-c", &format!("ssh {options} -o ControlPersist=600 -MNf h1 2>/dev/null >&2")]));
    let pipe = |end: &str| {
        let script = format!("set -o pipefail; ssh {options} h1 cat {} {end}", long.file.display());
        let begun = Instant::now();
        done(Command::new("bash").args(["-c", &script]));
        begun.elapsed()
    };
    let kept = hosts.text("kept");
    let times = take_turns(vec![
        Runner::new("program", 5, || {
            let took = program.run(&long.runbook);
            // What it kept is checked, and then makes room for the next round.
            forget_runs(&hosts, LONG);
            took
        }),
        Runner::new("ssh | wc -l", 5, || pipe("| wc -l")),
        Runner::new("ssh > file", 5, || pipe(&format!("> {kept}"))),
    ]);
    hang_up(&hosts.path("."));
    let of = |name: &str| times.iter().find(|(have, _)| have == name).map(|(_, time)| *time).expect("measured");
    let line = |peer: &str, aim| Line {
        what: format!("log of {} MB", LONG / MEGABYTE),
        program: of("program"),
        peer: (peer.to_owned(), of(peer)),
        aim,
    };
    print("Streaming a log", &[line("ssh | wc -l", Some(0.9)), line("ssh > file", None)]);
    // What may wait for the disk is bounded, and does not depend on how long the log is.
    let flat = large <= small + 32 * 1024;
    println!(
        "peak memory of the program: {small} kB for {} MB, {large} kB for {} MB: {}\n",
        SHORT / MEGABYTE,
        LONG / MEGABYTE,
        if flat { "flat" } else { "**not flat**" }
    );
}

/// A log on the host, and the runbook that streams it.
struct Log {
    file: PathBuf,
    runbook: PathBuf,
}

impl Log {
    fn write(hosts: &Hosts, name: &str, bytes: u64) -> Self {
        let file = hosts.path(&format!("{name}.log"));
        let mut out = BufWriter::new(File::create(&file).expect("created"));
        let (mut written, mut number) = (0, 0_u64);
        while written < bytes {
            number += 1;
            let line = format!(
                "2026-03-01T03:{:02}:{:02}.{:03}Z INFO  shop.orders order={number} state=accepted items={} total={}.{:02} worker={}\n",
                number / 60_000 % 60,
                number / 1000 % 60,
                number % 1000,
                number % 7,
                number * 37 % 900,
                number % 100,
                number % 16,
            );
            out.write_all(line.as_bytes()).expect("written");
            written += line.len() as u64;
        }
        out.flush().expect("written");
        let runbook = hosts.path(&format!("{name}.toml"));
        let text = format!(
            "name = \"{name}\"\ntitle = \"Stream a log\"\nmode = \"maintenance\"\n[[stages]]\nid = \"s\"\n\
             title = \"Stage\"\n[[stages.steps]]\nid = \"c\"\nuses = \"basic.command\"\non = \"source\"\n\
             with = {{ run = [\"cat\", \"{}\"] }}\n",
            file.display()
        );
        fs::write(&runbook, text).expect("written");
        Self { file, runbook }
    }
}

/// Removes the output files of all runs; the largest must hold all of the log.
fn forget_runs(hosts: &Hosts, least: u64) {
    let mut largest = 0;
    for run in fs::read_dir(hosts.path("state/bench/runs")).expect("runs").flatten() {
        for output in fs::read_dir(run.path().join("output")).into_iter().flatten().flatten() {
            largest = largest.max(output.metadata().expect("its size").len());
            fs::remove_file(output.path()).expect("removed");
        }
    }
    assert!(largest >= least, "the step's file holds {largest} bytes only");
}

impl Program {
    /// The most memory it had while it carried a runbook out, in kB.
    fn peak_memory(&self, runbook: &Path) -> u64 {
        let mut child =
            self.command(&["run", runbook.to_str().expect("UTF-8")]).stdout(Stdio::null()).spawn().expect("it starts");
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().expect("it can be waited for").is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let seen = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = seen.unwrap_or(0).max(peak);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(peak > 0, "it ended before anybody looked");
        peak
    }
}
