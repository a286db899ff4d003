//! The lab of a bad day: what the scenarios do to it, and how they see that nothing was lost.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::super::support::{Lab, Program, RESERVE, Ran, assert_same};

/// How long anything that must happen may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// The lab, what both sites hold when nothing is lost, and the program.
pub(super) struct Day {
    pub(super) lab: Lab,
    pub(super) program: Program,
    pub(super) estate: String,
    number: String,
    pub(super) prod: Value,
    pub(super) bcp: Value,
}

impl Day {
    pub(super) fn begin() -> Self {
        let lab = Lab::fresh("bad-days", &["--disks"]);
        lab.run(&["load", "--documents", "1500", "--rows", "3000", "--files", "150"]);
        lab.edit_estate(|estate| estate + RESERVE);
        let program = Program::new(&lab);
        program.run(&["run", "replicate"]).expect(0);
        let (prod, bcp) = (lab.count("prod"), lab.count("bcp"));
        assert_same(&prod, &bcp);
        let estate = fs::read_to_string(lab.estate_file()).expect("an estate");
        let (_, after) = estate.split_once("address = \"127.").expect("an address of the lab");
        let number = after.split('.').next().expect("its number").to_owned();
        Self { lab, program, estate, number, prod, bcp }
    }

    /// Documents, rows and files of both sites are what they were when the day began.
    #[track_caller]
    pub(super) fn nothing_lost(&self) {
        self.nothing_lost_at("prod");
        self.nothing_lost_at("bcp");
    }

    /// The same of one site.
    #[track_caller]
    pub(super) fn nothing_lost_at(&self, site: &str) {
        let before = if site == "prod" { &self.prod } else { &self.bcp };
        assert_same(before, &self.lab.count(site));
    }

    pub(super) fn write_estate(&self, text: &str) {
        fs::write(self.lab.estate_file(), text).expect("the estate can be written");
    }

    pub(super) fn edit_estate(&self, from: &str, to: &str) {
        assert!(self.estate.contains(from), "the estate has no {from}");
        self.write_estate(&self.estate.replace(from, to));
    }

    pub(super) fn replicate(&self) -> Ran {
        self.program.run(&["run", "replicate"])
    }

    /// An address of the lab: `prod` is 1, `bcp` is 2.
    pub(super) fn address(&self, site: u8, last: u8) -> String {
        format!("127.{}.{site}.{last}", self.number)
    }

    /// A request to a search cluster; returns the answer.
    pub(super) fn search(&self, site: u8, method: &str, path: &str, body: &str) -> String {
        let url = format!("http://{}:9200/{path}", self.address(site, 21));
        output(Command::new("curl").args(["-sS", "--fail-with-body", "-X", method, &url]).args([
            "-H",
            "content-type: application/json",
            "--data-binary",
            body,
        ]))
    }

    /// Statements at the active site's SQL server.
    pub(super) fn sql(&self, statements: &str) {
        let password = fs::read_to_string(self.lab.dir.join("secrets/sql")).expect("the lab's password");
        output(
            Command::new("mariadb")
                .args(["-h", &self.address(1, 31), "-u", "changeover", "shop", "-e", statements])
                .env("MYSQL_PWD", password.trim()),
        );
    }

    /// A runbook of `exchange.prepare` and these steps.
    pub(super) fn runbook(&self, steps: &str) -> String {
        let path = self.lab.dir.join("bad-day.toml");
        let text = format!(
            "name = \"bad-day\"\ntitle = \"A bad day\"\nmode = \"maintenance\"\n\
             [params.accept_deletions]\ntype = \"bool\"\ndefault = false\nhelp = \"Allow more deletions\"\n\
             [[stages]]\nid = \"steps\"\ntitle = \"Steps\"\n\
             [[stages.steps]]\nid = \"prepare\"\nuses = \"exchange.prepare\"\non = \"both\"\n{steps}"
        );
        fs::write(&path, text).expect("the runbook can be written");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// A site's tree of the direction from `prod` to `bcp`.
    pub(super) fn tree(&self, site: &str) -> PathBuf {
        self.lab.exchange(site).join("prod-to-bcp")
    }

    /// What runs on a host: its processes are this machine's, and known by the storage that they see.
    pub(super) fn processes(&self, site: &str, host: &str) -> Vec<Process> {
        let seen_at = self.lab.dir.join("mnt/storage");
        let tree = self.lab.dir.join(site).join(host).join("storage");
        let is_there = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let named = fields.iter().position(|field| *field == "-").and_then(|dash| fields.get(dash + 2));
            fields.get(4).is_some_and(|at| Path::new(at) == seen_at)
                && named.is_some_and(|name| Path::new(name) == tree)
        };
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(id) = process.file_name().to_string_lossy().parse() else { continue };
            let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
            if String::from_utf8_lossy(&read("mountinfo")).lines().any(is_there) {
                let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
                found.push(Process { id, command });
            }
        }
        found
    }

    /// Starts the program in the background, with its events to be waited for.
    pub(super) fn start(&self, args: &[&str]) -> Running {
        Running::start(&self.program, args)
    }
}

/// What a command printed; panics when it fails.
#[track_caller]
pub(super) fn output(command: &mut Command) -> String {
    let output = command.output().expect("the command can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Puts something back at the end of a scenario: when that fails, the scenario has failed, and keeps its own reason if
/// it has one.
pub(super) fn put_back(how: impl FnOnce()) {
    if let Err(cause) = catch_unwind(AssertUnwindSafe(how))
        && !std::thread::panicking()
    {
        resume_unwind(cause);
    }
}

/// Waits until something is so.
#[track_caller]
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Something that runs on a host.
pub(super) struct Process {
    pub(super) id: i32,
    /// Its command line.
    pub(super) command: String,
}

impl Process {
    /// Whether it serves an SSH connection. The server itself goes on listening.
    pub(super) fn is_session(&self) -> bool {
        self.command.starts_with("sshd: ") && !self.command.contains("[listener]")
    }

    /// What started it; nothing when it is gone.
    pub(super) fn parent(&self) -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|id| id.trim().parse().ok())
    }

    /// Kills it; false when it was gone.
    pub(super) fn kill(&self) -> bool {
        kill(Pid::from_raw(self.id), Signal::SIGKILL).is_ok()
    }
}

/// The program in the background.
pub(super) struct Running {
    pub(super) child: Child,
    lines: Receiver<String>,
    pub(super) seen: Vec<String>,
    errors: PathBuf,
}

impl Running {
    /// Starts the program in the background, with its events to be waited for.
    pub(super) fn start(program: &Program, args: &[&str]) -> Self {
        let errors = program.errors();
        let mut child = program
            .command(args)
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("a file"))
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new(), errors }
    }

    /// Waits for an event whose line holds all of these.
    #[track_caller]
    pub(super) fn wait_for(&mut self, parts: &[&str]) {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no event with {parts:?} after\n{}", self.seen.join("\n"));
            };
            let found = parts.iter().all(|part| line.contains(part));
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("it can be signalled");
    }

    /// Waits for its end; returns its events.
    #[track_caller]
    pub(super) fn expect(self, code: i32) -> String {
        let (text, ended) = self.end();
        assert_eq!(ended, Some(code), "{text}");
        text
    }

    /// What it has written to stderr.
    pub(super) fn errors(&self) -> PathBuf {
        self.errors.clone()
    }

    /// Waits for its end; returns its events and its exit code.
    pub(super) fn end(mut self) -> (String, Option<i32>) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        let status = self.child.wait().expect("it ends");
        (self.seen.join("\n"), status.code())
    }
}

/// A service that is stopped, until this is dropped.
pub(super) struct Without<'a>(&'a Day, [&'static str; 2]);

impl<'a> Without<'a> {
    pub(super) fn new(day: &'a Day, how: &str, site: &'static str, name: &'static str) -> Self {
        day.lab.run(&["service", how, site, name]);
        Self(day, [site, name])
    }
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        put_back(|| drop(self.0.lab.run(&["service", "start", self.1[0], self.1[1]])));
    }
}
