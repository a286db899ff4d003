//! A pipeline while it runs: slice by slice, each slice of each member in turn.

use std::fmt;
use std::time::Duration;

use super::Machine;
use super::programs;
use crate::port::{Arg, Exit, Pipeline};
use crate::world::disk::DiskError;

/// A program while it runs. Between two slices it can be killed; what it did until then stays.
pub trait Process: Send {
    /// Does the next piece.
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice;
}

/// What a program reads and writes in one slice.
pub struct Io<'a> {
    /// What has arrived on stdin and was not taken yet.
    pub input: &'a mut Vec<u8>,
    /// True when nothing more will arrive.
    pub input_ended: bool,
    /// Where stdout goes.
    pub out: &'a mut Vec<u8>,
    /// Where stderr goes.
    pub err: &'a mut Vec<u8>,
}

impl Io<'_> {
    /// Writes a line to stderr.
    pub fn complain(&mut self, line: impl AsRef<str>) {
        self.err.extend_from_slice(line.as_ref().as_bytes());
        self.err.push(b'\n');
    }

    /// Writes text to stdout.
    pub fn say(&mut self, text: impl AsRef<str>) {
        self.out.extend_from_slice(text.as_ref().as_bytes());
    }
}

/// How a slice went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// It took so long, and there is more to do.
    Busy(Duration),
    /// It waits for input.
    Waiting,
    /// It ended with this code, after so long.
    Ended(i32, Duration),
}

impl Slice {
    /// Ended at once.
    #[must_use]
    pub fn ended(code: i32) -> Self {
        Self::Ended(code, Duration::ZERO)
    }
}

/// A pipeline while it runs.
pub struct Work {
    members: Vec<Member>,
    output_file: Option<String>,
    file_mode: u16,
    on_share: bool,
    text: String,
}

struct Member {
    name: String,
    process: Box<dyn Process>,
    input: Vec<u8>,
    exit: Option<i32>,
}

/// What a shell reports of a member that wrote to one that had ended: killed by signal 13.
const BROKEN_PIPE: i32 = 128 + 13;
/// Killed by signal 9.
const KILLED: i32 = 128 + 9;

/// A member whose input or output a shell could not open, in the words of dash.
fn redirection(what: &str, file: &str, error: DiskError) -> Box<dyn Process> {
    let why = match (what, error) {
        ("create", DiskError::Missing) => "Directory nonexistent".to_owned(),
        ("open", DiskError::Missing) => "No such file".to_owned(),
        (_, error) => error.to_string(),
    };
    Box::new(programs::Broken::redirection(format!("sh: 1: cannot {what} {file}: {why}")))
}

/// True when a word of the pipeline names something on the exchange tree of the host's site.
pub(in crate::world) fn touches_share(on: &Machine<'_>, pipeline: &Pipeline) -> bool {
    let shared = on.here().exchange;
    let mounts: Vec<&str> =
        on.this().mounts.iter().filter(|(_, disk)| *disk == shared).map(|(mount, _)| mount.as_str()).collect();
    let is_on = |word: &str| mounts.iter().any(|mount| word.contains(mount));
    let files = pipeline.input_file.iter().chain(&pipeline.output_file);
    files.into_iter().any(|file| is_on(file))
        || pipeline.members.iter().flat_map(|command| &command.args).any(|arg| match arg {
            // Another host's share is that host's affair.
            Arg::Text(text) => is_on(text) && !text.split('/').next().is_some_and(|head| head.contains(':')),
            Arg::SecretFile { .. } => false,
        })
}

/// How long a pipeline may take before the host itself ends it, when it is written so.
pub(in crate::world) fn time_limit(pipeline: &Pipeline) -> Option<Duration> {
    let [only] = pipeline.members.as_slice() else { return None };
    match only.args.as_slice() {
        [Arg::Text(_), Arg::Text(_), Arg::Text(seconds), ..] if only.program == "timeout" => {
            Some(Duration::from_secs(seconds.parse().ok()?))
        }
        _ => None,
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("text", &self.text).finish_non_exhaustive()
    }
}

/// What one step of a pipeline gave.
#[derive(Debug, Default)]
pub struct Stepped {
    /// What the last member wrote, unless it goes to a file.
    pub out: Vec<u8>,
    /// What all members wrote to stderr.
    pub err: Vec<u8>,
    /// How long it took.
    pub took: Duration,
    /// Set when all members have ended.
    pub exits: Option<Vec<Exit>>,
}

impl Work {
    /// Starts a pipeline on a host.
    #[must_use]
    pub fn start(on: &mut Machine<'_>, pipeline: &Pipeline) -> Self {
        let mut members: Vec<Member> = pipeline
            .members
            .iter()
            .map(|command| Member {
                name: command.program.rsplit('/').next().unwrap_or_default().to_owned(),
                process: programs::start(on, command, pipeline),
                input: Vec::new(),
                exit: None,
            })
            .collect();
        // A shell opens what a member reads and writes before it starts it: only that member fails when it cannot.
        match (&pipeline.input_file, &pipeline.stdin) {
            (Some(file), _) => match on.read(file) {
                Ok(content) => members[0].input = content.to_vec(),
                Err(error) => members[0].process = redirection("open", file, error),
            },
            (None, Some(stdin)) => members[0].input.clone_from(stdin),
            (None, None) => {}
        }
        let file_mode = 0o666 & !pipeline.umask.unwrap_or(0o077);
        if let Some(file) = &pipeline.output_file
            && let Err(error) = on.write(file, Vec::new(), file_mode)
            && let Some(last) = members.last_mut()
        {
            last.process = redirection("create", file, error);
        }
        let on_share = touches_share(on, pipeline);
        Self { members, output_file: pipeline.output_file.clone(), file_mode, on_share, text: pipeline.to_string() }
    }

    /// True when it reads or writes the exchange tree of its site, so that it waits while that does not answer.
    pub(in crate::world) fn is_on_share(&self) -> bool {
        self.on_share
    }

    /// Nothing at all: stands where work was taken out.
    pub(in crate::world) fn nothing() -> Self {
        Self { members: Vec::new(), output_file: None, file_mode: 0, on_share: false, text: String::new() }
    }

    /// Lets every member do a slice.
    pub fn step(&mut self, on: &mut Machine<'_>) -> Stepped {
        let mut stepped = Stepped::default();
        let mut moved = false;
        let last = self.members.len().saturating_sub(1);
        for number in 0..self.members.len() {
            let input_ended = number == 0 || self.members[number - 1].exit.is_some();
            let reader_is_gone = self.members.get(number + 1).is_some_and(|next| next.exit.is_some());
            let name = self.members[number].name.clone();
            let member = &mut self.members[number];
            if member.exit.is_some() {
                continue;
            }
            let mut out = Vec::new();
            let mut io = Io { input: &mut member.input, input_ended, out: &mut out, err: &mut stepped.err };
            match member.process.slice(on, &mut io) {
                Slice::Busy(took) => {
                    stepped.took = stepped.took.max(took);
                    moved = true;
                }
                Slice::Waiting => {}
                Slice::Ended(code, took) => {
                    stepped.took = stepped.took.max(took);
                    member.exit = Some(code);
                    moved = true;
                }
            }
            if reader_is_gone && !out.is_empty() {
                member.exit = Some(BROKEN_PIPE);
                moved = true;
            } else if number < last {
                moved |= !out.is_empty();
                self.members[number + 1].input.extend_from_slice(&out);
            } else {
                self.deliver(on, &name, out, &mut stepped);
            }
        }
        if !moved {
            // Members that all wait for each other would never end: a defect of a program of the world.
            stepped.err.extend_from_slice(format!("nothing moves in {}\n", self.text).as_bytes());
            self.members.iter_mut().for_each(|member| member.exit = member.exit.or(Some(KILLED)));
        }
        if self.members.iter().all(|member| member.exit.is_some()) {
            stepped.exits = Some(self.members.iter().map(|member| Exit::Code(member.exit.unwrap_or(KILLED))).collect());
        }
        stepped
    }

    fn deliver(&mut self, on: &mut Machine<'_>, name: &str, out: Vec<u8>, stepped: &mut Stepped) {
        let Some(file) = self.output_file.clone() else {
            stepped.out.extend(out);
            return;
        };
        if out.is_empty() {
            return;
        }
        let now = on.now();
        let (disk, path) = on.disk_mut(&file);
        if let Err(error) = disk.append(&path, &out, self.file_mode, now) {
            stepped.err.extend_from_slice(format!("{name}: write error: {error}\n").as_bytes());
            if let Some(last) = self.members.last_mut() {
                last.exit = Some(1);
            }
        }
    }

    /// What runs, for people.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
