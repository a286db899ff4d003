//! How a command ends: the documented exit codes, and an error that says what to do next.

use std::io;

use super::Io;
use crate::model::SafeText;

/// The exit codes. They are an interface: cron jobs and monitors depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed; nothing is half done beyond what the message says.
    Failed,
    /// Wrong usage, or a file that cannot be used.
    Invalid,
    /// Refused by a safety rule; nothing was changed.
    Refused,
    /// The outcome is unknown; a person is needed.
    Unknown,
    /// Another run holds the lock.
    Locked,
    /// Not this site's turn.
    NotOurTurn,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Invalid => 2,
            Self::Refused => 3,
            Self::Unknown => 4,
            Self::Locked => 5,
            Self::NotOurTurn => 6,
        }
    }
}

/// Why a command could not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// How the program ends.
    pub exit: Exit,
    /// What is wrong.
    pub message: SafeText,
    /// What to do next.
    pub hints: Vec<SafeText>,
    /// Problems of files, already rendered with their excerpts; printed first.
    pub excerpts: String,
    /// Whoever reads our output has gone: there is nobody to tell.
    quiet: bool,
}

impl CliError {
    /// An error; the text is made safe here.
    #[must_use]
    pub fn new(exit: Exit, message: impl AsRef<str>) -> Self {
        let message = SafeText::block(message.as_ref());
        Self { exit, message, hints: Vec::new(), excerpts: String::new(), quiet: false }
    }

    /// Wrong usage, or a file that cannot be used.
    #[must_use]
    pub fn invalid(message: impl AsRef<str>) -> Self {
        Self::new(Exit::Invalid, message)
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hints.push(SafeText::block(hint.as_ref()));
        self
    }

    /// The same with rendered problems of files.
    #[must_use]
    pub fn excerpts(mut self, excerpts: String) -> Self {
        self.excerpts = excerpts;
        self
    }

    /// Prints the error, in this one place, and hands out the exit code.
    pub(super) fn print(&self, io: &mut Io) -> Exit {
        if !self.quiet {
            let (bold, plain) = if io.colour { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
            let hints: Vec<String> = self.hints.iter().map(|hint| format!("  next: {hint}\n")).collect();
            let hints = hints.concat();
            let text = format!("{}{bold}error{plain}: {}\n{hints}", self.excerpts, self.message);
            // Nobody is left to be told when this fails.
            drop(io.err.write_all(text.as_bytes()));
        }
        drop(io.out.flush());
        drop(io.err.flush());
        self.exit
    }
}

impl From<io::Error> for CliError {
    /// For errors of our own output only; whoever opens a file says which one.
    fn from(problem: io::Error) -> Self {
        let quiet = problem.kind() == io::ErrorKind::BrokenPipe;
        let exit = if quiet { Exit::Done } else { Exit::Failed };
        Self { quiet, ..Self::new(exit, format!("cannot write the output: {problem}")) }
    }
}
