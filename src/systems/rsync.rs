//! rsync as a value: building its arguments, reading what it prints, and saying what its ending means.
//!
//! Pure but for [`run`]. Which trees are copied and how many deletions are allowed is decided by the rooms. What is
//! built here never uses `--inplace` (it would write through hard links into other generations) and always
//! `--no-inc-recursive`: with rsync's usual recursion an unreadable folder at the source does not keep it from deleting
//! at the destination, although it says so.

use super::{StepContext, run_job_watched};
use crate::model::{Failure, FailureKind};
use crate::port::{Command, Exit, Pipeline, Place};

/// How long a silent connection to another host is waited for, in seconds.
const SILENCE: u32 = 600;

/// One copy of the content of a folder.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of rsync")]
pub struct Copy {
    /// The folder to copy, absolute, or `user@host:/folder`.
    pub from: String,
    /// Where its content goes, absolute, or `user@host:/folder`.
    pub to: String,
    /// Copies ACLs and extended attributes too.
    pub attributes: bool,
    /// Keeps owner and group, by number. Only root can.
    pub owner: bool,
    /// Changes nothing, only counts.
    pub dry_run: bool,
    /// With `dry_run`: looks only at what would be deleted, compares nothing.
    pub only_deletions: bool,
    /// Prints a line for each thing that is changed.
    pub itemize: bool,
    /// Leaves the times of folders alone: only their owner may set them.
    pub omit_folder_times: bool,
    /// Compares content by checksum, not by size and time.
    pub checksum: bool,
    /// Folders with earlier copies; what is the same there is hard-linked. At most 20.
    pub link_dest: Vec<String>,
    /// Removes at the destination what the source does not have: at most so many.
    pub delete: Option<u64>,
    /// Puts changed files in place only when all of them are there.
    pub delay_updates: bool,
    /// `--include=…` and `--exclude=…`, in order.
    pub filters: Vec<String>,
    /// Copies these folders only, given relative to `from`, with the folders that lead to them.
    pub only: Vec<String>,
    /// The ssh command of a copy to or from another host.
    pub shell: Option<String>,
    /// In the form of `--bwlimit`.
    pub bandwidth: Option<String>,
}

impl Copy {
    /// A copy of the content of `from` into `to`.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), ..Self::default() }
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut args: Vec<String> = ["-aH", "--numeric-ids", "--no-inc-recursive"].map(str::to_owned).into();
        let mut flag = |wanted: bool, text: &str| {
            if wanted {
                args.push(text.to_owned());
            }
        };
        flag(self.attributes, "-AX");
        flag(!self.owner, "--no-owner");
        flag(!self.owner, "--no-group");
        flag(self.omit_folder_times, "--omit-dir-times");
        flag(self.dry_run, "--dry-run");
        flag(self.only_deletions, "--existing");
        flag(self.only_deletions, "--ignore-existing");
        flag(self.itemize, "--itemize-changes");
        flag(self.checksum, "--checksum");
        flag(self.delete.is_some() && self.delay_updates, "--delete-delay");
        flag(self.delete.is_some() && !self.delay_updates, "--delete-after");
        flag(self.delay_updates, "--delay-updates");
        flag(!self.dry_run, "--partial-dir=.rsync-partial");
        // Without a limit in a dry run: it is there to find out how many there are.
        if let Some(limit) = self.delete.filter(|_| !self.dry_run) {
            args.push(format!("--max-delete={limit}"));
        }
        args.extend(self.link_dest.iter().map(|path| format!("--link-dest={path}")));
        args.extend(self.filters.iter().cloned());
        if !self.only.is_empty() {
            // A list of names takes the recursion out of `-a`.
            args.extend(["--files-from=-", "--from0", "--recursive"].map(str::to_owned));
        }
        args.push(format!("--info={}stats2", if self.dry_run { "" } else { "progress2," }));
        args.extend(["--no-human-readable", "--outbuf=L"].map(str::to_owned));
        if let Some(shell) = &self.shell {
            args.extend(["-e".to_owned(), shell.clone(), format!("--timeout={SILENCE}")]);
            // The far side's shell must not read spaces or stars in a path.
            args.push("--protect-args".to_owned());
            args.extend(self.bandwidth.iter().map(|limit| format!("--bwlimit={limit}")));
        }
        args.push("--".to_owned());
        args.push(format!("{}/", self.from.trim_end_matches('/')));
        args.push(format!("{}/", self.to.trim_end_matches('/')));
        Command::new("rsync").args(args).env("LC_ALL", "C")
    }
}

impl Copy {
    /// The command with what it reads.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        let pipeline = Pipeline::from(self.command());
        if self.only.is_empty() { pipeline } else { pipeline.stdin(self.only.join("\0")) }
    }
}

/// What rsync says at its end (`--info=stats2`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Everything in the source: files, folders, links.
    pub entries: u64,
    /// Regular files in the source.
    pub files: u64,
    /// Things that were not at the destination.
    pub created: u64,
    /// Regular files that were not at the destination.
    pub created_files: u64,
    /// Things removed at the destination.
    pub deleted: u64,
    /// Regular files whose content was sent.
    pub transferred: u64,
    /// Size of all files in the source.
    pub bytes: u64,
    /// Size of the files whose content was sent.
    pub transferred_bytes: u64,
}

impl Stats {
    /// Reads them; nothing when they are not (all) there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let line = |name: &str| {
            let rest = text.lines().rev().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(": "))?;
            Some(rest.to_owned())
        };
        let first = |name: &str| number(line(name)?.split_whitespace().next()?);
        let regular = |name: &str| -> Option<u64> {
            let line = line(name)?;
            let Some((_, parts)) = line.split_once("(reg: ") else { return Some(0) };
            number(parts.split(", ").next()?.trim_end_matches(')'))
        };
        Some(Self {
            entries: first("Number of files")?,
            files: regular("Number of files")?,
            created: first("Number of created files")?,
            created_files: regular("Number of created files")?,
            deleted: first("Number of deleted files").unwrap_or(0),
            transferred: first("Number of regular files transferred")?,
            bytes: first("Total file size")?,
            transferred_bytes: first("Total transferred file size")?,
        })
    }

    /// How many things the destination held before, folders and links included.
    #[must_use]
    pub fn present_before(&self) -> u64 {
        (self.entries + self.deleted).saturating_sub(self.created)
    }
}

/// A number that may have thousands separators.
fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

/// Bytes and percent of a progress line, `1000000 100%  953.67MB/s    0:00:00 (xfr#50, to-chk=0/53)`, and what comes
/// after it: rsync ends such a line only with the next one, so that a message stands on the same line.
fn parse_progress(line: &str) -> Option<((u64, u64), &str)> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        rest = after;
        word
    };
    let bytes = number(word())?;
    let percent = word().strip_suffix('%')?.parse().ok()?;
    word().ends_with("B/s").then_some(())?;
    word().contains(':').then_some(())?;
    let rest = rest.trim_start();
    let rest = if rest.starts_with("(xfr#") { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
    Some(((bytes, percent), rest.trim_start()))
}

/// Reads rsync's output piece by piece.
#[derive(Debug, Default)]
struct Reader {
    rest: Vec<u8>,
    /// The lines that are not progress, as far as they matter: complaints, itemized changes, statistics.
    lines: Vec<String>,
    progress: Option<(u64, u64)>,
}

impl Reader {
    /// So many lines are kept; a tree full of errors has more than anybody reads. The last ones hold the statistics.
    const KEPT: usize = 2_000;

    fn feed(&mut self, chunk: &[u8]) {
        self.rest.extend_from_slice(chunk);
        while let Some(end) = self.rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(&String::from_utf8_lossy(&line[..end]));
        }
    }

    fn line(&mut self, line: &str) {
        let line = match parse_progress(line) {
            Some((progress, rest)) => {
                self.progress = Some(progress);
                rest
            }
            None => line,
        };
        if !line.trim().is_empty() {
            if self.lines.len() == Self::KEPT {
                // Keeps the beginning, where the first error is, and drops from the middle.
                self.lines.remove(Self::KEPT / 2);
            }
            self.lines.push(line.to_owned());
        }
    }

    fn end(mut self) -> Vec<String> {
        let rest = std::mem::take(&mut self.rest);
        self.line(&String::from_utf8_lossy(&rest));
        self.lines
    }
}

/// How a copy ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All of it is there.
    Whole,
    /// Files vanished from the source while it was read; the rest is there.
    Vanished,
    /// It is not done.
    Failed {
        /// Whether trying again can help.
        kind: FailureKind,
        /// What it means.
        meaning: &'static str,
        /// What to do.
        hint: Option<&'static str>,
    },
}

/// What an ending means, by exit code and by what was said: rsync's more important code hides the others (23 hides 24,
/// 24 hides 25), so that the messages are looked at too.
#[must_use]
pub fn classify(exit: Exit, lines: &[String]) -> Ended {
    let said = |words: &str| lines.iter().any(|line| line.contains(words));
    let failed = |kind, meaning, hint| Ended::Failed { kind, meaning, hint };
    let stopped_deleting = said("Deletions stopped due to --max-delete limit");
    if stopped_deleting || exit == Exit::Code(25) {
        return failed(
            FailureKind::Rule,
            "more would have been deleted than allowed; rsync stopped deleting at the limit",
            Some("look at what is gone from the source; raise `max_delete` if it is meant to be"),
        );
    }
    if !exit.is_success() && (said("No space left on device") || said("Disk quota exceeded")) {
        return failed(
            FailureKind::Refused,
            "the disk at the destination is full",
            Some("free some space there, then resume the run: what was copied already is used again"),
        );
    }
    if said("IO error encountered") {
        return failed(FailureKind::Refused, "parts of the source could not be read", Some(READ_IT));
    }
    match exit {
        Exit::Code(0) => Ended::Whole,
        Exit::Code(24) => Ended::Vanished,
        Exit::Code(23) => failed(FailureKind::Refused, "only a part could be copied", Some(READ_IT)),
        Exit::Code(10) => failed(FailureKind::Unreachable, "the connection broke (socket)", None),
        Exit::Code(12) => failed(
            FailureKind::Unreachable,
            "the stream broke: the far rsync died, or its shell printed something",
            Some("if it comes again: `ssh HOST true` must print nothing at all, and rsync must be there"),
        ),
        Exit::Code(30 | 35) => failed(FailureKind::Unreachable, "the other side was silent for too long", None),
        Exit::Code(255) => failed(
            FailureKind::Unreachable,
            "ssh could not connect, or lost the connection",
            Some("try the same ssh command by hand on that host: host key, key and address must be right there"),
        ),
        Exit::Code(11) => failed(FailureKind::Refused, "a file could not be read or written", Some(READ_IT)),
        Exit::Code(127) => failed(FailureKind::Refused, "rsync was not found", Some("install rsync 3.1 or newer")),
        Exit::Code(19 | 20 | 129 | 130 | 137 | 143) => failed(
            FailureKind::Refused,
            "rsync was ended by somebody",
            Some("resume the run: what was copied already is used again"),
        ),
        Exit::Code(1..=6 | 13 | 14 | 22) => failed(
            FailureKind::Refused,
            "rsync did not accept its task",
            Some("rsync must be 3.1 or newer at both sides; `rsync --version` shows it"),
        ),
        Exit::Code(_) => failed(FailureKind::Refused, "rsync failed", None),
        Exit::Unknown => failed(
            FailureKind::Unknown,
            "its ending is not known",
            Some("resume the run: doing it again is safe, what is there already is not copied again"),
        ),
    }
}

const READ_IT: &str = "read the messages above: permissions, ACLs the destination cannot keep, or a sick disk";

/// A copy that came to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// What rsync counted.
    pub stats: Stats,
    /// True when files vanished from the source meanwhile.
    pub vanished: bool,
    /// What it said, without progress, statistics and the rest of the chatter: messages and itemized changes.
    pub said: Vec<String>,
}

/// Runs the copy as the durable job `label` and follows it; reports progress in bytes.
///
/// # Errors
/// As [`super::run_job`]; `Rule` for too many deletions, `Unreachable` for what trying again can help.
pub async fn run(cx: &StepContext, place: &Place, label: &str, copy: &Copy) -> Result<Copied, Failure> {
    let pipeline = copy.pipeline();
    let mut reader = Reader::default();
    let mut shown = None;
    let job = run_job_watched(cx, place, label, &pipeline, |chunk| {
        reader.feed(chunk);
        if let Some((bytes, percent)) = reader.progress
            && shown != reader.progress
        {
            shown = reader.progress;
            cx.progress(bytes, bytes.saturating_mul(100).checked_div(percent), "bytes");
        }
    })
    .await?;
    let exit = job.exits.first().copied().unwrap_or(Exit::Unknown);
    let lines = reader.end();
    let tried = || format!("copy on {place}: {pipeline}");
    let vanished = match classify(exit, &lines) {
        Ended::Whole => false,
        Ended::Vanished => true,
        Ended::Failed { kind, meaning, hint } => {
            let complaints: Vec<&str> = lines.iter().map(String::as_str).filter(|line| is_complaint(line)).collect();
            let more = complaints.len().saturating_sub(8);
            let mut got = vec![format!("{exit}: {meaning}")];
            got.extend(complaints.iter().take(8).map(|&line| line.to_owned()));
            if more > 0 {
                got.push(format!("… and {more} more messages, see the output of the step"));
            }
            let failure = Failure::new(kind, tried(), got.join("\n"));
            return Err(match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        }
    };
    let stats = Stats::parse(&lines.join("\n")).ok_or_else(|| {
        Failure::new(FailureKind::Refused, tried(), "rsync ended well but printed no statistics")
            .hint("rsync must be 3.1 or newer; `rsync --version` on that host shows it")
    })?;
    let said = lines.into_iter().filter(|line| is_complaint(line) || is_item(line)).collect();
    Ok(Copied { stats, vanished, said })
}

/// True for an error or warning of rsync or ssh: what is neither an item nor a statistic.
fn is_complaint(line: &str) -> bool {
    const STATISTICS: [&str; 8] =
        ["Number of ", "Total ", "Literal data", "Matched data", "File list ", "sent ", "total size is", "(DRY RUN)"];
    !is_item(line) && !STATISTICS.iter().any(|start| line.starts_with(start))
}

/// True for a line of `--itemize-changes`: `>f.st...... name`, `cd+++++++++ name`, `*deleting   name`.
fn is_item(line: &str) -> bool {
    line.starts_with("*deleting ")
        || (line.as_bytes().first().is_some_and(|byte| b"<>ch.".contains(byte))
            && line.as_bytes().get(1).is_some_and(|byte| b"fdLDS".contains(byte))
            && line.as_bytes().get(11) == Some(&b' '))
}

/// Version `3.1` or newer, from the first line of `rsync --version`; the line's version in any case.
#[must_use]
pub fn parse_version(text: &str) -> Option<(String, bool)> {
    let version = text.lines().next()?.split_whitespace().skip_while(|word| *word != "version").nth(1)?;
    let mut numbers = version.split(['.', '-', 'p']).map(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some((version.to_owned(), (major, minor) >= (3, 1)))
}

/// True when this rsync can copy ACLs and extended attributes, from `rsync --version`.
#[must_use]
pub fn has_attributes(version: &str) -> bool {
    let can = |ability: &str| version.split([',', '\n']).any(|have| have.trim() == ability);
    can("ACLs") && can("xattrs")
}

#[cfg(test)]
mod tests;
