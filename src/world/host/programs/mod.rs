//! The programs that a host knows, by name. One that is not known ends with code 127, as on a real host: a command
//! that a step begins to use must be taught here first.
//!
//! Programs answer with the words and the codes of the real ones (GNU coreutils 9, findutils 4.9, rsync 3.5, in the C
//! locale), as far as a step reads them. An option that is not known is refused, never passed over.

mod files;
mod find;
mod glob;
mod looks;
mod pack;
mod rsync;
mod service;
mod small;
mod sums;
mod text;
mod wrap;

use std::time::Duration;

use super::{Io, Machine, Process, Slice};
use crate::port::{Arg, Command, Pipeline};
use crate::world::sql;

/// How a program is called.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The program, as it was written.
    program: String,
    /// Its arguments.
    words: Vec<String>,
    /// The folder that relative paths begin at.
    folder: String,
    /// The umask.
    umask: u16,
}

impl Call {
    /// The program's own name, without its folder.
    fn name(&self) -> &str {
        self.program.rsplit('/').next().unwrap_or_default()
    }

    /// A path of an argument, from the root on.
    fn path(&self, word: &str) -> String {
        absolute(&self.folder, word)
    }

    /// The same surroundings with another program; nothing when there is none.
    fn inner(&self, words: &[String]) -> Option<Self> {
        let (program, words) = words.split_first()?;
        Some(Self { program: program.clone(), words: words.to_vec(), ..self.clone() })
    }

    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

fn absolute(folder: &str, word: &str) -> String {
    if word.starts_with('/') { word.to_owned() } else { format!("{}/{word}", folder.trim_end_matches('/')) }
}

/// Starts a member of a pipeline.
pub(super) fn start(on: &Machine<'_>, command: &Command, pipeline: &Pipeline) -> Box<dyn Process> {
    let name = command.program.rsplit('/').next().unwrap_or_default();
    let not_found = || Box::new(Broken::not_found(&command.program));
    if on.this().lacks.contains(name) {
        return not_found();
    }
    if let Some(process) = sql::programs::start(name, on, command, pipeline) {
        return process;
    }
    let words = command.args.iter().map(|arg| match arg {
        Arg::Text(text) => text.clone(),
        Arg::SecretFile { before, index } => format!("{before}/run/changeover/{index}"),
    });
    let call = Call {
        program: command.program.clone(),
        words: words.collect(),
        folder: "/".to_owned(),
        umask: pipeline.umask.unwrap_or(0o077),
    };
    look_up(on, call).unwrap_or_else(|| not_found())
}

/// Finds a program and starts it; nothing when the host has none of that name.
fn look_up(on: &Machine<'_>, call: Call) -> Option<Box<dyn Process>> {
    if on.this().lacks.contains(call.name()) {
        return None;
    }
    Some(match call.name() {
        "cat" => files::cat(on, &call),
        "tee" => files::tee(&call),
        "mv" => files::mv(call),
        "mkdir" => files::mkdir(call),
        "rm" => files::rm(&call),
        "touch" => files::touch(call),
        "sync" => files::sync(call),
        "test" | "[" => looks::test(call),
        "stat" => looks::stat(call),
        "df" => looks::df(call),
        "mountpoint" => looks::mountpoint(call),
        "findmnt" => looks::findmnt(&call),
        "which" => looks::which(call),
        "find" => find::find(call),
        "sort" => text::sort(&call),
        "tail" => text::tail(&call),
        "sed" => text::sed(&call),
        "awk" => text::awk(&call),
        "sha256sum" => sums::sha256sum(call),
        "env" => wrap::env(on, &call),
        "sudo" => wrap::sudo(on, &call),
        "timeout" => wrap::timeout(on, &call),
        "xargs" => wrap::xargs(call),
        "zstd" | "gzip" | "pigz" => pack::pack(&call),
        "rsync" => rsync::rsync(on, &call),
        "sv" => service::sv(&call),
        "restart-shop" => service::restart(),
        "true" => once(|_, _| Slice::ended(0)),
        "false" => once(|_, _| Slice::ended(1)),
        "echo" => small::echo(call),
        "sleep" => small::sleep(&call),
        "socat" => small::socat(&call),
        "id" => small::id(&call),
        "date" => small::date(&call),
        _ => return None,
    })
}

/// The names of everything that [`look_up`] knows.
const KNOWN: [&str; 34] = [
    "[",
    "awk",
    "cat",
    "date",
    "df",
    "echo",
    "env",
    "false",
    "find",
    "findmnt",
    "gzip",
    "id",
    "mkdir",
    "mountpoint",
    "mv",
    "pigz",
    "rm",
    "rsync",
    "sed",
    "sha256sum",
    "sleep",
    "socat",
    "sort",
    "stat",
    "sudo",
    "sync",
    "tail",
    "tee",
    "test",
    "timeout",
    "touch",
    "true",
    "xargs",
    "zstd",
];

/// How long a small thing takes.
const MOMENT: Duration = Duration::from_millis(2);
/// How many bytes are read or written in one slice of a stream.
const CHUNK: usize = 64 * 1024;

/// How long it takes to read, hash or write so many bytes.
fn at_rate(bytes: usize) -> Duration {
    // 200 MB a second.
    Duration::from_nanos(5 * u64::try_from(bytes).unwrap_or(u64::MAX / 5))
}

/// A program that does all it does in one slice and reads nothing.
fn once(act: impl FnOnce(&mut Machine<'_>, &mut Io<'_>) -> Slice + Send + 'static) -> Box<dyn Process> {
    Box::new(Once { act: Some(act), gathers: false })
}

/// A program that reads all of its input before it does anything.
fn gathered(act: impl FnOnce(&mut Machine<'_>, &mut Io<'_>) -> Slice + Send + 'static) -> Box<dyn Process> {
    Box::new(Once { act: Some(act), gathers: true })
}

struct Once<F> {
    act: Option<F>,
    gathers: bool,
}

impl<F: FnOnce(&mut Machine<'_>, &mut Io<'_>) -> Slice + Send> Process for Once<F> {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if self.gathers && !io.input_ended {
            return Slice::Waiting;
        }
        self.act.take().map_or(Slice::ended(0), |act| act(on, io))
    }
}

/// A program that could not be started.
pub(super) struct Broken {
    words: String,
    code: i32,
}

impl Broken {
    /// As a shell says that there is no such program.
    pub(super) fn not_found(program: &str) -> Self {
        Self { words: format!("sh: 1: {program}: not found"), code: 127 }
    }

    /// As a shell says that it cannot open what a program is to read or write.
    pub(super) fn redirection(words: String) -> Self {
        Self { words, code: 2 }
    }

    fn boxed(words: impl Into<String>, code: i32) -> Box<dyn Process> {
        Box::new(Self { words: words.into(), code })
    }
}

impl Process for Broken {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        io.complain(&self.words);
        Slice::ended(self.code)
    }
}

/// The refusal of a form of a program that is not known here: never silently something else.
fn unknown(call: &Call, word: &str) -> Box<dyn Process> {
    Broken::boxed(format!("{}: unrecognized option '{word}'", call.name()), if call.name() == "test" { 2 } else { 1 })
}

/// Splits the words into options and operands: `--` ends the options, and `takes` names those that have a value as
/// their next word.
fn options<'a>(words: &[&'a str], takes: &[&str]) -> (Vec<(&'a str, Option<&'a str>)>, Vec<&'a str>) {
    let (mut found, mut operands) = (Vec::new(), Vec::new());
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        if word == "--" {
            operands.extend(rest);
            break;
        }
        if takes.contains(&word) {
            found.push((word, rest.next()));
        } else if word.starts_with('-') && word.len() > 1 {
            found.push((word, None));
        } else {
            operands.push(word);
        }
    }
    (found, operands)
}
