//! A real lab for integration tests, and the program as an operator starts it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// What else fills the disk of a shared machine is not what a test is about, unless it says so.
pub const RESERVE: &str = "\n[policy]\nmin_free_percent = 1\n";

static MACHINE: Mutex<()> = Mutex::new(());

/// Waits until no other test has a lab: two cores carry one at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two complete sites, started by `tests/lab/lab`. Ends them when dropped.
pub struct Lab {
    pub dir: PathBuf,
    flags: Vec<String>,
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Lab {
    /// A fresh lab of this name with these flags, empty.
    pub fn fresh(name: &str, flags: &[&str]) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab").join(name);
        let lab = Self { dir, flags: flags.iter().map(|flag| (*flag).to_owned()).collect() };
        // What an earlier test left behind may not even come up.
        lab.run(&[if lab.dir.join("lab.json").exists() { "reset" } else { "up" }]);
        fs::write(lab.estate_file(), lab.run(&["estate"])).expect("the estate file can be written");
        lab
    }

    /// Runs a command of the lab and returns what it printed; panics with everything it said when it fails.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the lab can be started");
        assert!(
            output.status.success(),
            "lab {args:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("the lab prints UTF-8")
    }

    /// Starts a command of the lab in the background.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).spawn().expect("the lab can be started")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(manifest_dir().join("tests/lab/lab"));
        command.arg("--dir").arg(&self.dir).args(&self.flags).args(args).stdin(Stdio::null());
        command
    }

    /// What the servers of a site hold, asked without any code of the program.
    pub fn count(&self, site: &str) -> Value {
        serde_json::from_str(&self.run(&["count", site])).expect("the lab prints JSON")
    }

    /// One part of it: the servers of the others may not answer.
    pub fn count_part(&self, site: &str, part: &str) -> Value {
        serde_json::from_str(&self.run(&["count", site, part])).expect("the lab prints JSON")
    }

    /// The status with which the application of a site's first host answers.
    pub fn ask(&self, site: &str, path: &str) -> u16 {
        let estate = fs::read_to_string(self.estate_file()).expect("the estate file is there");
        let (_, host) = estate.split_once(&format!("[sites.{site}.hosts.app1]")).expect("the site has the host app1");
        let address = host.split('"').nth(1).expect("the host has an address");
        let mut stream = TcpStream::connect((address, 8080)).expect("the application listens");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it takes a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let head = String::from_utf8_lossy(&answer);
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an HTTP answer")
    }

    pub fn estate_file(&self) -> PathBuf {
        self.dir.join("estate.toml")
    }

    /// A file of a site as this machine sees it, for a path as the site's hosts see it below the exchange mount.
    pub fn exchange(&self, site: &str) -> PathBuf {
        self.dir.join(site).join("exchange")
    }

    /// Changes the estate file.
    pub fn edit_estate(&self, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.estate_file()).expect("the estate file is there");
        fs::write(self.estate_file(), edit(text)).expect("the estate file can be written");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A lab that does not go down is ended by the next `up` or by the machine; a panic here would hide the test's own.
        drop(self.command(&["down"]).output());
    }
}

/// The program with a state folder of its own.
pub struct Program {
    pub state: PathBuf,
    estate: PathBuf,
}

impl Program {
    pub fn new(lab: &Lab) -> Self {
        let state = lab.dir.join("program-state");
        drop(fs::remove_dir_all(&state));
        Self::at(lab, state)
    }

    /// The program with this state folder.
    pub fn at(lab: &Lab, state: PathBuf) -> Self {
        Self { state, estate: lab.estate_file() }
    }

    /// Where a test may keep what it writes to stderr: not in its state folder.
    pub fn errors(&self) -> PathBuf {
        self.estate.with_extension("stderr")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_changeover"));
        command.env_clear();
        for name in ["PATH", "HOME", "USER"] {
            if let Ok(value) = std::env::var(name) {
                command.env(name, value);
            }
        }
        command.arg("--estate").arg(&self.estate).arg("--state-dir").arg(&self.state);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().expect("the program can be started");
        Ran { args: args.iter().map(|arg| (*arg).to_owned()).collect(), output }
    }
}

/// What one start of the program did.
pub struct Ran {
    args: Vec<String>,
    pub output: Output,
}

impl Ran {
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// Everything it printed.
    pub fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr))
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Panics with everything it printed unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "changeover {:?}\n{}", self.args, self.text());
        self
    }

    /// Panics with everything it printed unless this is in it.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        let text = self.text();
        assert!(text.contains(part), "changeover {:?} does not say {part:?}:\n{text}", self.args);
        self
    }
}

/// Panics with the first differences unless two counts agree in what is copied: documents, rows, files.
#[track_caller]
pub fn assert_same(source: &Value, target: &Value) {
    for part in ["search", "sql", "files"] {
        let mut differences = Vec::new();
        differences_between(part, &source[part], &target[part], &mut differences);
        assert!(differences.is_empty(), "the sites differ:\n{}", differences.join("\n"));
    }
    assert!(!source["search"].as_object().expect("indices").is_empty(), "nothing was counted: {source}");
}

fn differences_between(path: &str, source: &Value, target: &Value, differences: &mut Vec<String>) {
    match (source, target) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let missing = Value::Null;
                differences_between(
                    &format!("{path}.{key}"),
                    a.get(key).unwrap_or(&missing),
                    b.get(key).unwrap_or(&missing),
                    differences,
                );
            }
        }
        (a, b) if a == b => {}
        (a, b) => differences.push(format!("{path}: source {a}, target {b}")),
    }
}
