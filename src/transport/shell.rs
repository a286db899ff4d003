//! The one place where commands become shell text: quoting, pipelines with an exit code per member, and the form in
//! which a script and its files travel on stdin.
//!
//! Pure. Nothing here starts anything.
//!
//! A script travels like this, all of it on stdin, so that neither the login shell of the host (which may be csh or
//! fish) nor its process list ever sees it: the length of the script in decimal and a newline, the script, its files
//! one after the other, the nonce and a newline. The script does nothing before it has seen that last line.

use std::fmt::Write as _;

use crate::port::{Arg, Command, Exit, Pipeline};

/// What is started on a host, by the login shell or directly. It fits every login shell: no newline, no backslash, no
/// exclamation mark, single quotes only.
pub(super) const LOADER: &str =
    "IFS= read -r n; s=$(head -c \"$n\"); case $s in *CO-READ) eval \"$s\";; *) exit 97;; esac";

/// Exit code of a script that did not arrive whole: nothing was started.
pub(super) const NOT_WHOLE: i32 = 97;

const ENVELOPE: &str = include_str!("envelope.sh");

/// Words that a shell would not look up on `PATH` but obey itself, with effects on our own script.
const SHELL_WORDS: [&str; 15] = [
    "break", ":", "continue", ".", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times",
    "trap", "unset",
];

/// A script for a POSIX shell with the files it needs, ready to travel.
#[derive(Debug)]
pub(super) struct Script {
    /// The word that marks its own output. Fresh for every script.
    pub nonce: String,
    /// The bytes for stdin. They may hold secrets.
    pub wire: Vec<u8>,
}

impl Script {
    /// A script that runs `pipeline`.
    ///
    /// # Errors
    /// A sentence about what cannot be said to a shell.
    pub fn pipeline(nonce: &str, pipeline: &Pipeline) -> Result<Self, String> {
        let files = files_of(pipeline);
        let mut body = String::new();
        if !files.is_empty() {
            body.push_str("co_receive");
            for file in &files {
                write!(body, " {}", file.len()).map_err(|error| error.to_string())?;
            }
            body.push('\n');
        }
        body.push_str("co_begin\n");
        body.push_str(&pipeline_text(pipeline, "")?);
        body.push_str("co_finish $co_codes\n");
        Ok(Self::new(nonce, &body, &files))
    }

    /// A script from its text, which must call `co_begin` and `co_finish` (see `envelope.sh`).
    pub fn new(nonce: &str, body: &str, files: &[&[u8]]) -> Self {
        let text = format!("co_n={}\n{}{body}\n#CO-READ", quote(nonce), compact(ENVELOPE));
        let mut wire = format!("{}\n{text}", text.len()).into_bytes();
        for file in files {
            wire.extend_from_slice(file);
        }
        wire.extend_from_slice(nonce.as_bytes());
        wire.push(b'\n');
        Self { nonce: nonce.to_owned(), wire }
    }
}

/// A shell text without comments and indentation: hosts need neither.
pub(super) fn compact(text: &str) -> String {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(String::with_capacity(text.len()), |mut all, line| {
        all.push_str(line);
        all.push('\n');
        all
    })
}

/// One word that a POSIX shell takes as it is. `text` must not hold NUL.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The files that a pipeline needs beside its script: its secret files in order, then its stdin, if any.
pub(super) fn files_of(pipeline: &Pipeline) -> Vec<&[u8]> {
    let mut files: Vec<&[u8]> = pipeline.secret_files.iter().map(|secret| secret.content.expose().as_bytes()).collect();
    if let (Some(stdin), None) = (&pipeline.stdin, &pipeline.input_file) {
        files.push(stdin);
    }
    files
}

/// Shell text that runs a pipeline whose files are in `$co_d`, and leaves `number code number code …` in `$co_codes`.
/// `guard` is put in front of each member, within its own subshell.
pub(super) fn pipeline_text(pipeline: &Pipeline, guard: &str) -> Result<String, String> {
    if pipeline.members.is_empty() {
        return Err("the pipeline has no member".to_owned());
    }
    let mut members = Vec::new();
    let last = pipeline.members.len() - 1;
    for (number, command) in pipeline.members.iter().enumerate() {
        let mut member = command_text(command, pipeline.secret_files.len())?;
        if number == 0 {
            if let Some(path) = &pipeline.input_file {
                member.push_str(" <");
                member.push_str(&checked(path)?);
            } else if pipeline.stdin.is_some() {
                write!(member, " <\"$co_d/{}\"", pipeline.secret_files.len()).map_err(|error| error.to_string())?;
            }
        }
        if number == last {
            match &pipeline.output_file {
                Some(path) => {
                    member.push_str(" >");
                    member.push_str(&checked(path)?);
                }
                None => member.push_str(" >&5"),
            }
        }
        // The members must not hold our own descriptors: a daemon that one of them leaves behind would keep us waiting.
        members.push(format!("{{ {guard}{member} 4>&- 5>&-; printf '{number} %s\\n' \"$?\" >&4; }}"));
    }
    Ok(format!(
        "umask {:04o}\nexec 5>&1\nco_codes=$({{ {}\n}} 4>&1)\nexec 5>&-\numask 077\n",
        pipeline.umask.unwrap_or(0o077) & 0o777,
        members.join(" |\n")
    ))
}

fn command_text(command: &Command, secrets: usize) -> Result<String, String> {
    if command.program.is_empty() || SHELL_WORDS.contains(&command.program.as_str()) {
        return Err(format!("`{}` is not a program", command.program));
    }
    let mut text = String::new();
    for (name, value) in &command.env {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`{}` is not the name of an environment variable", name.escape_debug()));
        }
        write!(text, "{name}={} ", checked(value)?).map_err(|error| error.to_string())?;
    }
    text.push_str(&checked(&command.program)?);
    for arg in &command.args {
        text.push(' ');
        match arg {
            Arg::Text(word) => text.push_str(&checked(word)?),
            Arg::SecretFile { before, index } if *index < secrets => {
                write!(text, "{}\"$co_d/{index}\"", checked(before)?).map_err(|error| error.to_string())?;
            }
            Arg::SecretFile { index, .. } => return Err(format!("the pipeline has no secret file {index}")),
        }
    }
    Ok(text)
}

fn checked(text: &str) -> Result<String, String> {
    if text.contains('\0') { Err("a word holds a NUL character".to_owned()) } else { Ok(quote(text)) }
}

/// The exit codes of `members` members from `number code number code …`. What is missing is unknown.
pub(super) fn read_codes(text: &str, members: usize) -> Vec<Exit> {
    let mut exits = vec![Exit::Unknown; members];
    let mut words = text.split_ascii_whitespace();
    while let (Some(number), Some(code)) = (words.next(), words.next()) {
        if let (Ok(number), Ok(code)) = (number.parse::<usize>(), code.parse())
            && let Some(exit) = exits.get_mut(number)
        {
            *exit = Exit::Code(code);
        }
    }
    exits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    #[test]
    fn words_are_quoted_once_and_for_every_shell() {
        assert_eq!(quote("plain"), "'plain'");
        assert_eq!(quote("it's; rm -rf $HOME `x` \"y\" \\ \n*"), "'it'\\''s; rm -rf $HOME `x` \"y\" \\ \n*'");
        for hostile in ["\n", "\\", "!", "'"] {
            assert!(!LOADER.contains(hostile), "a login shell would trip over {hostile:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let bad = [
            Pipeline::from(Command::new("")),
            Pipeline::from(Command::new("exit")),
            Pipeline::from(Command::new("a\0b")),
            Pipeline::from(Command::new("a").arg("x\0y")),
            Pipeline::from(Command::new("a").env("A B", "x")),
            Pipeline::from(Command::new("a").env("1A", "x")),
            Pipeline::from(Command::new("a").arg(Arg::SecretFile { before: String::new(), index: 0 })),
            Pipeline::from(Command::new("a")).to_file("x\0"),
            Pipeline { members: Vec::new(), ..Pipeline::from(Command::new("a")) },
        ];
        for pipeline in bad {
            assert!(Script::pipeline("n", &pipeline).is_err(), "{pipeline} was accepted");
        }
    }

    #[test]
    fn a_secret_is_in_the_files_and_not_in_the_script() {
        let pipeline = Pipeline::from(
            Command::new("mysql").arg(Arg::SecretFile { before: "--defaults-extra-file=".into(), index: 0 }),
        )
        .secret_file(Secret::new("hunter2".into()))
        .stdin("select 1");
        let script = Script::pipeline("nonce", &pipeline).expect("a script");
        let wire = String::from_utf8(script.wire).expect("text");
        let (length, rest) = wire.split_once('\n').expect("a length");
        let (text, files) = rest.split_at(length.parse().expect("a number"));
        assert!(!text.contains("hunter2"));
        assert!(text.ends_with("\n#CO-READ"));
        assert!(text.contains("co_receive 7 8\n"));
        assert!(text.contains("'mysql' '--defaults-extra-file='\"$co_d/0\" <\"$co_d/1\" >&5 4>&- 5>&-"));
        assert_eq!(files, "hunter2select 1nonce\n");
    }

    #[test]
    fn codes_come_in_any_order_and_may_be_missing() {
        assert_eq!(read_codes("1 3 0 0", 2), [Exit::Code(0), Exit::Code(3)]);
        assert_eq!(read_codes("1 3", 2), [Exit::Unknown, Exit::Code(3)]);
        assert_eq!(read_codes("7 1 x y 0", 1), [Exit::Unknown]);
    }
}
