//! Programs that start another program: `env`, `sudo`, `xargs`.

use super::{Broken, Call, look_up, options, unknown};
use crate::world::disk::{DiskError, Node};
use crate::world::host::{Io, Machine, Process, Slice};

pub(super) fn env(on: &Machine<'_>, call: &Call) -> Box<dyn Process> {
    let mut words = call.words.as_slice();
    let mut inside = call.clone();
    if let Some((first, rest)) = words.split_first()
        && let Some(folder) = first.strip_prefix("--chdir=")
    {
        let path = call.path(folder);
        let problem = match on.stat(&path).map(|inode| &inode.node) {
            Ok(Node::Folder(_)) => None,
            Ok(_) => Some(DiskError::NotFolder),
            Err(error) => Some(error),
        };
        if let Some(error) = problem {
            return Broken::boxed(format!("env: cannot change directory to '{folder}': {error}"), 125);
        }
        inside.folder = path;
        words = rest;
    }
    if let Some(word) = words.first().filter(|word| word.starts_with('-') || word.contains('=')) {
        return Broken::boxed(format!("env: unrecognized option '{word}'"), 125);
    }
    let Some(inner) = inside.inner(words) else { return Broken::boxed("env: missing program", 125) };
    let program = inner.program.clone();
    look_up(on, inner).unwrap_or_else(|| Broken::boxed(format!("env: '{program}': {}", DiskError::Missing), 127))
}

/// Runs the rest, which takes no time that matters here: only a share that does not answer holds it up, and that is
/// known where the pipeline is started.
pub(super) fn timeout(on: &Machine<'_>, call: &Call) -> Box<dyn Process> {
    let [signal, kill, seconds, rest @ ..] = call.words.as_slice() else {
        return Broken::boxed("timeout: missing operand", 125);
    };
    if signal != "-s" || kill != "KILL" || seconds.parse::<u64>().is_err() {
        return Broken::boxed(format!("timeout: unrecognized option '{signal}'"), 125);
    }
    let Some(inner) = call.inner(rest) else { return Broken::boxed("timeout: missing operand", 125) };
    let program = inner.program.clone();
    let missing = || Broken::boxed(format!("timeout: failed to run command '{program}': {}", DiskError::Missing), 127);
    look_up(on, inner).unwrap_or_else(missing)
}

/// Raises the rights, which nothing asks for here, and runs the rest.
pub(super) fn sudo(on: &Machine<'_>, call: &Call) -> Box<dyn Process> {
    match call.words.split_first() {
        Some((flag, rest)) if flag == "-n" => match call.inner(rest) {
            Some(inner) => {
                let program = inner.program.clone();
                look_up(on, inner).unwrap_or_else(|| Broken::boxed(format!("sudo: {program}: command not found"), 1))
            }
            None => Broken::boxed("usage: sudo -n command [arg ...]", 1),
        },
        // Without `-n` it would ask for a password, and nobody is there.
        _ => Broken::boxed("sudo: a terminal is required to read the password", 1),
    }
}

/// Reads words that end with NUL and starts the program with them once all are there.
struct Xargs {
    call: Call,
    fixed: Vec<String>,
    inner: Option<Box<dyn Process>>,
}

pub(super) fn xargs(call: Call) -> Box<dyn Process> {
    let words = call.words();
    // Only its own options are read; those of the program behind it are not.
    let own = words.iter().take_while(|word| word.starts_with('-')).count();
    let (flags, _) = options(&words[..own], &[]);
    if flags != [("-0", None), ("-r", None)] {
        return unknown(&call, &words[..own].join(" "));
    }
    let fixed = call.words[own..].to_vec();
    Box::new(Xargs { call, fixed, inner: None })
}

impl Process for Xargs {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if !io.input_ended {
            return Slice::Waiting;
        }
        if self.inner.is_none() {
            let input = std::mem::take(io.input);
            let text = String::from_utf8_lossy(&input);
            let mut words = self.fixed.clone();
            words.extend(text.split_terminator('\0').map(str::to_owned));
            if words.len() == self.fixed.len() {
                return Slice::ended(0);
            }
            let Some(inner) = self.call.inner(&words) else { return Slice::ended(1) };
            let program = inner.program.clone();
            self.inner = look_up(on, inner);
            if self.inner.is_none() {
                io.complain(format!("xargs: {program}: {}", DiskError::Missing));
                return Slice::ended(127);
            }
        }
        let Some(inner) = &mut self.inner else { return Slice::ended(0) };
        match inner.slice(on, io) {
            Slice::Ended(0, took) => Slice::Ended(0, took),
            Slice::Ended(1..=125, took) => Slice::Ended(123, took),
            other => other,
        }
    }
}
