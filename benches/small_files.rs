//! A tree of very many small files from one site to the other: `exchange.transfer` with one and with four streams beside
//! one rsync and beside `tar | ssh tar`, on the loopback, on a link with 20 ms, and on one that limits each connection.
//!
//! `BENCH_FILES` changes how many files there are, `BENCH_LINK` chooses a link by a part of its name.

#![expect(clippy::print_stdout, reason = "says what is measured")]

#[path = "support/figures.rs"]
mod figures;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/program.rs"]
mod program;
#[path = "support/proxy.rs"]
mod proxy;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use figures::{Line, Runner, print, take_turns};
use hosts::{Hosts, done};
use program::Program;
use proxy::{Link, Proxy};

const FOLDERS: usize = 100;
const SIZE: usize = 4096;
const STREAMS: u8 = 4;
/// Bytes a second for each connection of the limited link.
const RATE: u32 = 10_000_000;
const LATENCY: Duration = Duration::from_millis(10);

fn main() {
    let files: usize = env::var("BENCH_FILES").map_or(100_000, |text| text.parse().expect("a number"));
    let hosts = Hosts::start(2);
    println!("{files} files of {SIZE} bytes in {FOLDERS} folders");
    write_tree(&hosts.path("tree"), files);
    let bench = Bench::new(&hosts);
    bench.collect();
    let far = "127.9.8.102";
    let links = [
        ("loopback", None),
        ("20 ms", Some(Link { delay: LATENCY, rate: 0 })),
        ("10 MB/s a connection", Some(Link { delay: Duration::ZERO, rate: RATE })),
    ];
    let wanted = env::var("BENCH_LINK").unwrap_or_default();
    for (name, link) in links.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let listen = (far, hosts.port).to_socket();
        let _proxy = link.map(|link| Proxy::start(listen, ("127.9.8.2", hosts.port).to_socket(), link));
        bench.lead_to(if link.is_some() { far } else { "127.9.8.2" });
        let limited = link.is_some_and(|link| link.rate > 0);
        bench.measure(name, if limited { 2 } else { 3 }, link.is_some());
    }
}

trait ToSocket {
    fn to_socket(self) -> std::net::SocketAddr;
}

impl ToSocket for (&str, u16) {
    fn to_socket(self) -> std::net::SocketAddr {
        format!("{}:{}", self.0, self.1).parse().expect("an address")
    }
}

/// Text that compresses about as well as other text, the same in every run.
fn write_tree(tree: &Path, files: usize) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for folder in 0..FOLDERS {
        let folder_path = tree.join(format!("d{folder:02}"));
        fs::create_dir_all(&folder_path).expect("a folder");
        for file in 0..files / FOLDERS {
            let mut text = String::with_capacity(SIZE + 16);
            while text.len() < SIZE {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                write!(text, "{:x} ", state >> 40).expect("text");
            }
            fs::write(folder_path.join(format!("f{file:04}")), &text[..SIZE]).expect("a file");
        }
    }
}

struct Bench<'a> {
    hosts: &'a Hosts,
    /// With one stream, and with several.
    one: Program,
    several: Program,
}

impl<'a> Bench<'a> {
    fn new(hosts: &'a Hosts) -> Self {
        let services =
            format!("[services.assets]\nkind = \"files\"\na.paths = ['{0}']\nb.paths = ['{0}']\n", hosts.text("tree"));
        let transfer = format!("{services}[transfer]\nssh_config = '{}'\n", hosts.text("far_config"));
        let program = |name: &str, streams: u8| {
            let text = fs::read_to_string(hosts.estate(&transfer)).expect("an estate");
            // The second host is the other site's.
            let line = text.lines().find(|line| line.starts_with("hosts.h2")).expect("two hosts").to_owned();
            let text = text
                .replace(&format!("{line}\n"), "")
                .replace("hosts.here = { local = true, roles = [\"app\"] }", &line)
                .replace("[transfer]", &format!("[transfer]\nstreams = {streams}"));
            let file = hosts.path(&format!("{name}.toml"));
            fs::write(&file, text).expect("written");
            Program::new(file, hosts.path(&format!("state-{name}")))
        };
        let bench = Self { hosts, one: program("one", 1), several: program("several", STREAMS) };
        bench.one.prepare();
        bench
    }

    /// Lets the copying host reach the other one at this address.
    fn lead_to(&self, address: &str) {
        let text = fs::read_to_string(self.hosts.path("ssh_config")).expect("written");
        let more = format!("Host 127.9.8.2 h2\n  HostName {address}\n  HostKeyAlias [127.9.8.2]:{}\n", self.hosts.port);
        let text = text.replace("Host h2\n  HostName 127.9.8.2\n", "");
        fs::write(self.hosts.path("far_config"), format!("{more}{text}")).expect("written");
    }

    /// Makes a new restore point of the tree, sealed at the source.
    fn collect(&self) {
        self.run_steps(&self.one, "collect", &[("files.collect", "service = \"assets\""), ("exchange.seal", "")]);
    }

    fn send(&self, program: &Program) -> Duration {
        self.run_steps(program, "send", &[("exchange.transfer", "with = { point = \"latest\" }")])
    }

    fn run_steps(&self, program: &Program, name: &str, steps: &[(&str, &str)]) -> Duration {
        let mut text = format!(
            "name = \"{name}\"\ntitle = \"{name}\"\nmode = \"maintenance\"\n[[stages]]\nid = \"s\"\ntitle = \"Stage\"\n"
        );
        for (number, (kind, more)) in steps.iter().enumerate() {
            write!(text, "[[stages.steps]]\nid = \"c{number}\"\nuses = \"{kind}\"\non = \"source\"\n{more}\n")
                .expect("text");
        }
        let runbook = self.hosts.path(&format!("{name}-book.toml"));
        fs::write(&runbook, text).expect("written");
        program.run(&runbook)
    }

    fn far_tree(&self) -> PathBuf {
        self.hosts.path("exchange-b/a-to-b")
    }

    /// The generations at the source, oldest first.
    fn generations(&self) -> Vec<String> {
        let folder = self.hosts.path("exchange-a/a-to-b/files-assets");
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("generations")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn measure(&self, link: &str, rounds: usize, slow: bool) {
        let peer = self.hosts.path("peer");
        let source = self.hosts.path("exchange-a/a-to-b/files-assets").join(&self.generations()[0]);
        let ssh = format!("ssh -F {}", self.hosts.text("far_config"));
        let (from, to) = (source.display(), peer.display());
        let shell = |script: String| {
            let begun = Instant::now();
            done(Command::new("bash").args(["-o", "pipefail", "-c", &script]));
            begun.elapsed()
        };
        let first = |program: &Program| {
            clean(&self.far_tree());
            self.send(program)
        };
        let runners = vec![
            Runner::new("one stream", rounds, || first(&self.one)),
            Runner::new("four streams", rounds, || first(&self.several)),
            Runner::new("one rsync", rounds, || {
                clean(&peer);
                shell(format!("rsync -aH -e '{ssh}' {from}/ h2:{to}/"))
            }),
            Runner::new("tar | ssh tar", rounds, || {
                clean(&peer);
                shell(format!("tar -C {from} -cf - . | {ssh} h2 tar -C {to} -xpf -"))
            }),
        ];
        let times = take_turns(runners);
        let of = |name: &str| times.iter().find(|(have, _)| have == name).map(|(_, time)| *time).expect("measured");
        let line = |program: &str, peer: &str, aim| Line {
            what: format!("first copy, {program}"),
            program: of(program),
            peer: (peer.to_owned(), of(peer)),
            aim,
        };
        let mut lines = Vec::new();
        for program in ["one stream", "four streams"] {
            lines.push(line(program, "one rsync", (slow && program == "four streams").then_some(2.5)));
            lines.push(line(program, "tar | ssh tar", (!slow).then_some(1.0)));
        }
        if !slow {
            lines.push(self.unchanged(rounds, &ssh));
        }
        print(&format!("Small files, {link}"), &lines);
        clean(&peer);
    }

    /// A new point of a tree that did not change, linked to the one before, beside one rsync that does the same.
    fn unchanged(&self, rounds: usize, ssh: &str) -> Line {
        clean(&self.far_tree());
        self.send(&self.one);
        self.collect();
        let generations = self.generations();
        let (before, newest) = (&generations[0], generations.last().expect("two"));
        let far = self.far_tree();
        let far_generations = far.join("files-assets");
        let source = self.hosts.path("exchange-a/a-to-b/files-assets").join(newest);
        let twin = far_generations.join("twin");
        let times = take_turns(vec![
            Runner::new("unchanged", rounds, || {
                done(
                    Command::new("rm")
                        .arg("-rf")
                        .arg(far_generations.join(newest))
                        .arg(far.join("points").join(newest)),
                );
                self.send(&self.one)
            }),
            Runner::new("one rsync", rounds, || {
                done(Command::new("rm").arg("-rf").arg(&twin));
                let (link, from, to) = (far_generations.join(before), source.display(), twin.display());
                let script = format!("rsync -aH --link-dest={} -e '{ssh}' {from}/ h2:{to}/", link.display());
                let begun = Instant::now();
                done(Command::new("bash").args(["-c", &script]));
                begun.elapsed()
            }),
        ]);
        done(Command::new("rm").arg("-rf").arg(&twin));
        let peer = ("one rsync --link-dest".to_owned(), times[1].1);
        Line { what: "unchanged tree".to_owned(), program: times[0].1, peer, aim: Some(1.0) }
    }
}

fn clean(folder: &Path) {
    done(Command::new("rm").arg("-rf").arg(folder));
    fs::create_dir_all(folder).expect("a folder");
}
