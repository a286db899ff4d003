//! Commands as values: programs, arguments, redirections and pipelines with an exit code per member.
//!
//! No step glues shell text together. The transport quotes in one place; previews print the same value; the
//! simulated world interprets it by program.

use std::fmt;

use crate::model::Secret;

/// One argument of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// Plain text, quoted by the transport. May be any text without NUL.
    Text(String),
    /// `before` + the path of the secret file of this index in the pipeline + nothing else, for example
    /// `--defaults-extra-file=` + path.
    SecretFile {
        /// What stands before the path in the same argument.
        before: String,
        /// Which of the pipeline's secret files.
        index: usize,
    },
}

impl<T: Into<String>> From<T> for Arg {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The program: a name found on the host's `PATH`, or an absolute path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// Environment variables set for this program only. Never secrets: they would be readable on the host.
    pub env: Vec<(String, String)>,
}

impl Command {
    /// A command without arguments yet.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new() }
    }

    /// The command with one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The command with more arguments.
    #[must_use]
    pub fn args<A: Into<Arg>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The command with an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// A file with a secret in it that exists on the host, mode 0600, only while the pipeline runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretFile {
    /// What the file holds. Travels on the channel's stdin, never in an argument or the environment.
    pub content: Secret,
}

/// One or more commands joined by pipes, as one piece of work on one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// The members, left to right. Never empty.
    pub members: Vec<Command>,
    /// The file that the first member reads, if any. `stdin` is ignored then.
    pub input_file: Option<String>,
    /// What the first member reads. Nothing means an empty stdin (`/dev/null`).
    pub stdin: Option<Vec<u8>>,
    /// The file that the last member's stdout goes to (truncated first). Without one, stdout is returned.
    pub output_file: Option<String>,
    /// Files with secrets that arguments refer to by index.
    pub secret_files: Vec<SecretFile>,
    /// The umask; 077 when nothing is said.
    pub umask: Option<u16>,
}

impl Pipeline {
    /// Appends a member.
    #[must_use]
    pub fn pipe(mut self, next: Command) -> Self {
        self.members.push(next);
        self
    }

    /// Sends the last member's stdout to a file of the host.
    #[must_use]
    pub fn to_file(mut self, path: impl Into<String>) -> Self {
        self.output_file = Some(path.into());
        self
    }

    /// Lets the first member read a file of the host.
    #[must_use]
    pub fn from_file(mut self, path: impl Into<String>) -> Self {
        self.input_file = Some(path.into());
        self
    }

    /// Gives the first member these bytes on stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Adds a secret file; refer to it with [`Arg::SecretFile`] and the returned order (first added is 0).
    #[must_use]
    pub fn secret_file(mut self, content: Secret) -> Self {
        self.secret_files.push(SecretFile { content });
        self
    }

    /// Sets the umask for the work.
    #[must_use]
    pub fn umask(mut self, mask: u16) -> Self {
        self.umask = Some(mask);
        self
    }
}

impl From<Command> for Pipeline {
    fn from(command: Command) -> Self {
        Self {
            members: vec![command],
            input_file: None,
            stdin: None,
            output_file: None,
            secret_files: Vec::new(),
            umask: None,
        }
    }
}

/// Quotes one word for display, the way a POSIX shell would need it.
fn shown_word(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&b));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", shown_word(value))?;
        }
        f.write_str(&shown_word(&self.program))?;
        for arg in &self.args {
            match arg {
                Arg::Text(text) => write!(f, " {}", shown_word(text))?,
                Arg::SecretFile { before, .. } => write!(f, " {before}<secret file>")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pipeline {
    /// The exact commands for a preview or an error, secrets hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, member) in self.members.iter().enumerate() {
            if number > 0 {
                f.write_str(" | ")?;
            }
            member.fmt(f)?;
            if number == 0
                && let Some(path) = &self.input_file
            {
                write!(f, " < {}", shown_word(path))?;
            }
        }
        if let Some(path) = &self.output_file {
            write!(f, " > {}", shown_word(path))?;
        }
        Ok(())
    }
}

/// How one member of a pipeline ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It ended by itself with this code. 127 is "not found", 126 "not executable", 128+n "killed by signal n".
    Code(i32),
    /// Its code is not known.
    Unknown,
}

impl Exit {
    /// True for code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(127) => f.write_str("exit code 127 (program not found)"),
            Self::Code(code @ 129..=192) => write!(f, "killed by signal {}", code - 128),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Unknown => f.write_str("exit code unknown"),
        }
    }
}

/// What a short command returned. Output beyond the limit (1 MiB each) is cut and said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// One entry per member of the pipeline.
    pub exits: Vec<Exit>,
    /// The last member's stdout.
    pub stdout: Vec<u8>,
    /// What all members wrote to stderr.
    pub stderr: Vec<u8>,
    /// True when stdout or stderr was longer than what is kept.
    pub truncated: bool,
}

impl ExecOutput {
    /// True when every member ended with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.exits.iter().all(|exit| exit.is_success())
    }

    /// Stdout as text, trimmed at the end; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// For error messages: which member ended how, and the end of stderr.
    #[must_use]
    pub fn complaint(&self, pipeline: &Pipeline) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        complaint(pipeline, &self.exits, &stderr)
    }
}

/// For error messages about a pipeline: which member ended how, and the last lines of what it said.
#[must_use]
pub(crate) fn complaint(pipeline: &Pipeline, exits: &[Exit], said: &str) -> String {
    let bad: Vec<String> = pipeline
        .members
        .iter()
        .zip(exits)
        .filter(|(_, exit)| !exit.is_success())
        .map(|(member, exit)| format!("{}: {exit}", member.program))
        .collect();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail: Vec<String> = lines[lines.len().saturating_sub(8)..].iter().map(|line| shortened(line)).collect();
    let tail = tail.join("\n");
    match (bad.is_empty(), tail.is_empty()) {
        (true, _) => tail,
        (false, true) => bad.join(", "),
        (false, false) => format!("{}\n{tail}", bad.join(", ")),
    }
}

/// A line that a person can read: a program that repeats its input in a complaint may print megabytes.
fn shortened(line: &str) -> String {
    const LONGEST: usize = 600;
    match line.char_indices().nth(LONGEST) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], line.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_quote_and_hide() {
        let dump = Pipeline::from(
            Command::new("mariadb-dump")
                .arg(Arg::SecretFile { before: "--defaults-extra-file=".into(), index: 0 })
                .arg("--databases")
                .arg("it's"),
        )
        .pipe(Command::new("zstd").arg("-T0"))
        .secret_file(Secret::new("[client]\npassword=x\n".into()))
        .to_file("/mnt/a b/dump.zst");
        assert_eq!(
            dump.to_string(),
            r"mariadb-dump --defaults-extra-file=<secret file> --databases 'it'\''s' | zstd -T0 > '/mnt/a b/dump.zst'"
        );
        assert!(!format!("{dump:?}").contains("password=x"));
    }

    #[test]
    fn complaints_name_the_member_that_failed() {
        let pipeline = Pipeline::from(Command::new("a")).pipe(Command::new("b"));
        let said = complaint(&pipeline, &[Exit::Code(2), Exit::Code(0)], "noise\n\nbad thing\n");
        assert_eq!(said, "a: exit code 2\nnoise\nbad thing");
        let said = complaint(&pipeline, &[Exit::Code(2), Exit::Code(0)], &"ä".repeat(700));
        assert_eq!(said, format!("a: exit code 2\n{}… (1400 bytes)", "ä".repeat(600)));
    }
}
