//! Simulated hosts to run commands on, and the same commands for real.

use std::path::{Path, PathBuf};

use changeover::model::{HostName, SiteName};
use changeover::port::{Command, Exit, Pipeline};
use changeover::world::disk::Node;
use changeover::world::host::{Machine, Work};
use changeover::world::{Spec, State};
use jiff::Timestamp;

/// What a pipeline gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gave {
    pub out: String,
    pub err: String,
    /// Of the last member.
    pub code: i32,
    pub exits: Vec<Exit>,
}

pub fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

pub fn host(name: &str) -> HostName {
    HostName::new(name).expect("a name")
}

pub fn world() -> State {
    Spec::small(1).build()
}

/// A line as a shell would read it, for the few shell words that tests use.
pub fn pipeline(line: &str) -> Pipeline {
    let words = shlex::split(line).expect("a line");
    let mut members: Vec<Vec<String>> = vec![Vec::new()];
    let (mut input, mut output) = (None, None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "|" => members.push(Vec::new()),
            "<" => input = words.next(),
            ">" => output = words.next(),
            _ => members.last_mut().expect("a member").push(word),
        }
    }
    let mut members = members.into_iter().map(|words| Command::new(&words[0]).args(words[1..].to_vec()));
    let mut pipeline = Pipeline::from(members.next().expect("a member")).umask(0o022);
    for member in members {
        pipeline = pipeline.pipe(member);
    }
    Pipeline { input_file: input, output_file: output, ..pipeline }
}

/// Runs a pipeline to its end; `between` is called between two slices.
pub fn simulate_with(
    state: &mut State,
    at: (&str, &str),
    work: &Pipeline,
    mut between: impl FnMut(&mut State, usize),
) -> Gave {
    let (site, host) = (site(at.0), host(at.1));
    let mut running = Work::start(&mut state.machine(&site, &host).expect("a host"), work);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for slice in 0..100_000 {
        let stepped = running.step(&mut state.machine(&site, &host).expect("a host"));
        out.extend(stepped.out);
        err.extend(stepped.err);
        if let Some(exits) = stepped.exits {
            let code = match exits.last() {
                Some(Exit::Code(code)) => *code,
                other => panic!("{other:?}"),
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Gave { out: text(&out), err: text(&err), code, exits };
        }
        between(state, slice);
    }
    panic!("{work} does not end");
}

pub fn simulate(state: &mut State, at: (&str, &str), line: &str) -> Gave {
    simulate_with(state, at, &pipeline(line), |_, _| {})
}

/// The same line for real.
pub fn really(line: &str) -> Gave {
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("umask 0022; {line}")])
        .env("LC_ALL", "C")
        .env("TZ", "UTC0")
        .stdin(std::process::Stdio::null())
        .current_dir("/")
        .output()
        .expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("a code");
    Gave { out: text(&output.stdout), err: text(&output.stderr), code, exits: vec![Exit::Code(code)] }
}

/// The same files for real and simulated, at the same path.
pub struct Twins {
    pub state: State,
    pub root: PathBuf,
    _kept: tempfile::TempDir,
}

pub const AT: (&str, &str) = ("prod", "app1");

impl Twins {
    pub fn new() -> Self {
        let kept = tempfile::tempdir().expect("a folder");
        let root = kept.path().canonicalize().expect("a path");
        let mut state = world();
        on(&mut state, AT, |machine| {
            let now = machine.now();
            let (disk, path) = machine.disk_mut(root.to_str().expect("text"));
            disk.make_folders(&path, 0o755, now).expect("folders");
        });
        Self { state, root, _kept: kept }
    }

    pub fn folder(&mut self, path: &str) {
        let full = self.root.join(path);
        std::fs::create_dir_all(&full).expect("a folder");
        on(&mut self.state, AT, |machine| {
            let now = machine.now();
            let (disk, path) = machine.disk_mut(full.to_str().expect("text"));
            disk.make_folders(&path, 0o755, now).expect("folders");
            disk.set_mode(&path, 0o755, now).expect("a mode");
        });
        set_mode(&full, 0o755);
    }

    /// A file with content, mode, and a time in seconds.
    pub fn file(&mut self, path: &str, content: &[u8], mode: u16, seconds: i64) {
        let full = self.root.join(path);
        std::fs::write(&full, content).expect("a file");
        set_mode(&full, mode);
        set_time(&full, seconds);
        on(&mut self.state, AT, |machine| {
            machine.write(full.to_str().expect("text"), content.to_vec(), mode).expect("a file");
            let now = machine.now();
            let (disk, path) = machine.disk_mut(full.to_str().expect("text"));
            disk.set_mode(&path, mode, now).expect("a mode");
            disk.set_modified(&path, Timestamp::from_second(seconds).expect("a time"), now).expect("a time");
        });
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let full = self.root.join(path);
        std::os::unix::fs::symlink(target, &full).expect("a link");
        on(&mut self.state, AT, |machine| {
            let now = machine.now();
            let (disk, path) = machine.disk_mut(full.to_str().expect("text"));
            disk.make_link(&path, target, now).expect("a link");
        });
    }

    pub fn hard_link(&mut self, from: &str, to: &str) {
        let (from, to) = (self.root.join(from), self.root.join(to));
        std::fs::hard_link(&from, &to).expect("a link");
        on(&mut self.state, AT, |machine| {
            let now = machine.now();
            let (disk, first) = machine.disk_mut(from.to_str().expect("text"));
            disk.hard_link(&first, to.to_str().expect("text"), now).expect("a link");
        });
    }

    /// Files of all kinds, under `a`.
    pub fn filled() -> Self {
        let mut twins = Self::new();
        twins.folder("a/d/e");
        twins.folder("a/nothing");
        twins.file("a/f", b"hello\n", 0o640, 1_700_000_000);
        twins.file("a/empty", b"", 0o644, 1_700_000_060);
        twins.file("a/d/na me", b"x", 0o600, 1_700_000_120);
        twins.file("a/d/back\\slash", b"y", 0o644, 1_700_000_180);
        twins.file("a/d/line\nbreak", b"z", 0o644, 1_700_000_180);
        twins.file("a/d/e/big", &big(), 0o644, 1_700_000_240);
        twins.hard_link("a/f", "a/d/hard");
        twins.link("a/link", "d/e/big");
        twins
    }

    /// Puts the root in place of `@/`.
    pub fn line(&self, line: &str) -> String {
        let root = self.root.to_str().expect("text");
        line.replace("@/", &format!("{root}/"))
    }

    /// What is there, real and simulated, in the same words.
    pub fn trees(&self) -> (Vec<String>, Vec<String>) {
        let mut real = Vec::new();
        collect(&self.root, "", &mut real);
        real.sort();
        let state = &self.state;
        let found = &state.sites[&site(AT.0)].hosts[&host(AT.1)];
        let (_, id) = found.mounts.iter().find(|(mount, _)| mount == "/").expect("a disk");
        let entries = state.disks[id.0].walk(self.root.to_str().expect("text")).expect("the root");
        let mut simulated: Vec<String> = entries
            .into_iter()
            .map(|(path, inode)| match &inode.node {
                Node::File(content) => {
                    let (mode, at) = (inode.mode, dated(inode.modified.as_second()));
                    format!("{path} f {mode:o} {at} {} {}", inode.links, blake3::hash(content).to_hex())
                }
                Node::Folder(_) => format!("{path} d {:o}", inode.mode),
                Node::Link(target) => format!("{path} l {target}"),
            })
            .collect();
        simulated.sort();
        (real, simulated)
    }
}

pub fn big() -> Vec<u8> {
    (0..100_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

/// Does something on a simulated host.
pub fn on<T>(state: &mut State, at: (&str, &str), act: impl FnOnce(&mut Machine<'_>) -> T) -> T {
    act(&mut state.machine(&site(at.0), &host(at.1)).expect("a host"))
}

fn set_mode(path: &Path, mode: u16) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(u32::from(mode))).expect("a mode");
}

fn set_time(path: &Path, seconds: i64) {
    let file = std::fs::File::options().append(true).open(path).expect("the file");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.unsigned_abs());
    file.set_modified(time).expect("a time");
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("text");
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let facts = entry.metadata().expect("facts");
        let mode = facts.mode() & 0o7777;
        if facts.is_dir() {
            found.push(format!("{path} d {mode:o}"));
            collect(&entry.path(), &path, found);
        } else if facts.is_symlink() {
            found.push(format!("{path} l {}", std::fs::read_link(entry.path()).expect("a link").display()));
        } else {
            let digest = blake3::hash(&std::fs::read(entry.path()).expect("a file")).to_hex();
            found.push(format!("{path} f {mode:o} {} {} {digest}", dated(facts.mtime()), facts.nlink()));
        }
    }
}

/// A time that a test gave to a file; `now` for one that was just made, which is another here and there.
fn dated(seconds: i64) -> String {
    if seconds > 1_750_000_000 { "now".to_owned() } else { seconds.to_string() }
}
