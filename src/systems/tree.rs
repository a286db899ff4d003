//! Counting what is in a folder, and a digest by which two folders can be compared on different hosts.
//!
//! The host does the work with `find`, `sort`, `sha256sum` and `awk`; records end with NUL, so that names may hold
//! anything. The commands and the reading of their answers are pure; [`measure`] runs them.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::path_arg;
use super::{StepContext, run_job_watched};
use crate::model::{Failure, FailureKind};
use crate::points::Measure;
use crate::port::{Command, Pipeline, Place};

/// The generation of folders that a store put into a point: the `details` of its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Generation {
    /// The generation's folder, relative to the root of the direction's tree.
    pub generation: String,
    /// The folders in it.
    pub folders: Vec<Folder>,
}

/// One folder of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Folder {
    /// Its name in the generation.
    pub name: String,
    /// The path it was copied from, as the source's hosts see it.
    pub path: String,
    /// Its item in the counts of the part.
    pub item: String,
}

/// What is left out, in a part of rsync's language that can also be counted exactly: `*` and `?` stop at slashes, `**`
/// does not; a pattern with a leading slash is anchored at the top of the folder, one with a trailing slash is for
/// folders only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct Excludes(Vec<String>);

impl TryFrom<Vec<String>> for Excludes {
    type Error = String;
    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        for pattern in &patterns {
            if pattern.trim_matches('/').is_empty() {
                return Err(format!("`{pattern}` would leave everything out, or nothing"));
            }
            if pattern.contains(['[', ']', '\\', '\n', '\0']) || pattern.contains("***") {
                return Err(format!("`{}`: only `*`, `**`, `?` and slashes are special", pattern.escape_debug()));
            }
            if pattern.starts_with("+ ") || pattern.starts_with("- ") || pattern == "!" {
                return Err(format!("`{pattern}`: write the pattern alone, without a rule before it"));
            }
        }
        Ok(Self(patterns))
    }
}

impl From<Excludes> for Vec<String> {
    fn from(excludes: Excludes) -> Self {
        excludes.0
    }
}

impl Excludes {
    /// As arguments of rsync. What is excluded is also kept from deletion.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        self.0.iter().map(|pattern| format!("--exclude={pattern}")).collect()
    }

    /// As an expression of `find` below `root` that skips them: `( … ) -prune -o`.
    fn prune(&self, root: &str) -> Vec<String> {
        let mut args = Vec::new();
        for pattern in &self.0 {
            let more: &[&str] = if args.is_empty() { &["("] } else { &["-o"] };
            args.extend(more.iter().map(|&text| text.to_owned()));
            if pattern.ends_with('/') {
                args.extend(["-type", "d"].map(str::to_owned));
            }
            args.extend(["-regex".to_owned(), regex(root, pattern)]);
        }
        if !args.is_empty() {
            args.extend([")", "-prune", "-o"].map(str::to_owned));
        }
        args
    }
}

/// The regular expression (POSIX extended, of the whole path) of a pattern below `root`.
fn regex(root: &str, pattern: &str) -> String {
    let escape = |out: &mut String, c: char| {
        if r"\.[]{}()*+?|^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    };
    let mut out = String::new();
    root.chars().for_each(|c| escape(&mut out, c));
    out.push('/');
    let anchored = pattern.starts_with('/');
    if !anchored {
        out.push_str("(.*/)?");
    }
    let mut chars = pattern.trim_matches('/').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => out.push_str(".*"),
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            c => escape(&mut out, c),
        }
    }
    out
}

fn find(root: &str, excludes: &Excludes) -> Command {
    Command::new("find")
        .args([root, "-mindepth", "1", "-regextype", "posix-extended"])
        .args(excludes.prune(root))
        .env("LC_ALL", "C")
        .env("TZ", "UTC0")
}

/// Counts files, folders, links, others and bytes of files.
#[must_use]
pub fn counting(root: &str, excludes: &Excludes) -> Pipeline {
    summing(find(root, excludes))
}

fn summing(find: Command) -> Pipeline {
    // Names are not printed, so that lines are safe here.
    let program = "{ n[$1]++; if ($1 == \"f\") b += $2 } END { printf \"counted %.0f %.0f %.0f %.0f %.0f\\n\", \
                   n[\"f\"], b, n[\"d\"], n[\"l\"], NR - n[\"f\"] - n[\"d\"] - n[\"l\"] }";
    Pipeline::from(find.args(["-printf", "%y %s\\n"])).pipe(Command::new("awk").arg(program).env("LC_ALL", "C"))
}

/// A digest over type, path, mode, and for files size and time (to the minute, because `find` cannot print whole
/// seconds and fractions do not survive every file system), for links their target.
#[must_use]
pub fn digesting(root: &str, excludes: &Excludes) -> Pipeline {
    // `//` is in no relative path, so that a path and a link's target cannot be confused.
    let by_type = [("d", "d %m %P\\0", "-o"), ("f", "f %m %s %TY%Tm%Td%TH%TM %P\\0", "-o"), ("l", "l %P//%l\\0", "-o")];
    let mut command = find(root, excludes);
    for (kind, format, or) in by_type {
        command = command.args(["-type", kind, "-printf", format, or]);
    }
    command = command.args(["-printf", "%y %m %P\\0"]);
    Pipeline::from(command)
        .pipe(Command::new("sort").arg("-z").env("LC_ALL", "C"))
        .pipe(Command::new("sha256sum").env("LC_ALL", "C"))
}

/// A digest over path and content of all files: reads everything.
#[must_use]
pub fn digesting_content(root: &str, excludes: &Excludes) -> Pipeline {
    // Relative names, because they are part of what is digested.
    let Command { program, args, env } = find(".", excludes).args(["-type", "f", "-print0"]);
    let mut inside = Command { env, ..Command::new("env").args([format!("--chdir={root}"), program]) };
    inside.args.extend(args);
    Pipeline::from(inside)
        .pipe(Command::new("sort").arg("-z").env("LC_ALL", "C"))
        .pipe(
            Command::new("env")
                .arg(format!("--chdir={root}"))
                .args(["xargs", "-0", "-r", "sha256sum", "--zero", "--"])
                .env("LC_ALL", "C"),
        )
        .pipe(Command::new("sha256sum").env("LC_ALL", "C"))
}

/// Reads the answer of [`counting`].
fn parse_counts(text: &str) -> Option<BTreeMap<String, Measure>> {
    let mut words = text.lines().rev().find_map(|line| line.strip_prefix("counted "))?.split(' ');
    let mut counts = BTreeMap::new();
    for name in ["files", "bytes", "directories", "symlinks", "others"] {
        counts.insert(name.to_owned(), Measure::Exactly(words.next()?.parse().ok()?));
    }
    Some(counts)
}

/// Reads the answer of `sha256sum` on its stdin.
fn parse_digest(text: &str) -> Option<String> {
    let digest = text.lines().rev().find_map(|line| line.strip_suffix("  -"))?;
    (digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digest.to_owned())
}

/// Counts and digests a folder on a host, as durable jobs whose labels begin with `label`.
///
/// Exact only while nobody changes the folder. `content` reads every file as well.
///
/// # Errors
/// `Refused` when the folder is missing or a part of it cannot be read; as [`super::run_job`] otherwise.
pub async fn measure(
    cx: &StepContext,
    place: &Place,
    label: &str,
    root: &Path,
    excludes: &Excludes,
    content: bool,
) -> Result<BTreeMap<String, Measure>, Failure> {
    let root = path_arg(root)?;
    let mut measures = ask(cx, place, &format!("{label}-count"), &counting(&root, excludes), parse_counts).await?;
    let digest = ask(cx, place, &format!("{label}-digest"), &digesting(&root, excludes), parse_digest).await?;
    measures.insert("digest".to_owned(), Measure::Digest(digest));
    if content {
        let pipeline = digesting_content(&root, excludes);
        let digest = ask(cx, place, &format!("{label}-content"), &pipeline, parse_digest).await?;
        measures.insert("content".to_owned(), Measure::Digest(digest));
    }
    Ok(measures)
}

/// Only counts.
///
/// # Errors
/// As [`measure`].
pub async fn count(
    cx: &StepContext,
    place: &Place,
    label: &str,
    root: &Path,
    excludes: &Excludes,
) -> Result<BTreeMap<String, Measure>, Failure> {
    ask(cx, place, label, &counting(&path_arg(root)?, excludes), parse_counts).await
}

/// Counts the files that no other generation shares.
///
/// # Errors
/// As [`measure`].
pub async fn count_unshared(
    cx: &StepContext,
    place: &Place,
    label: &str,
    root: &Path,
) -> Result<BTreeMap<String, Measure>, Failure> {
    let find = find(&path_arg(root)?, &Excludes::default()).args(["-type", "f", "-links", "1"]);
    ask(cx, place, label, &summing(find), parse_counts).await
}

async fn ask<T>(
    cx: &StepContext,
    place: &Place,
    label: &str,
    pipeline: &Pipeline,
    parse: fn(&str) -> Option<T>,
) -> Result<T, Failure> {
    let output = output_of(cx, place, label, pipeline).await?;
    parse(&String::from_utf8_lossy(&output)).ok_or_else(|| {
        let got = String::from_utf8_lossy(&output[output.len().saturating_sub(500)..]).into_owned();
        Failure::new(FailureKind::Refused, format!("run on {place}: {pipeline}"), format!("unexpected answer: {got}"))
    })
}

/// A job label that no later entry of the same attempt finds again: for looks at what may have changed since, whose old
/// answer would show the past. Work that is worth attaching to has a plain label.
#[must_use]
pub fn fresh(cx: &StepContext, label: &str) -> String {
    format!("{label}-{}", cx.clock.now().as_millisecond())
}

/// Runs a pipeline that only reads as a durable job and returns all it wrote, however much that is.
///
/// # Errors
/// `Refused` unless every member ended with code 0; as [`super::run_job`] otherwise.
pub async fn output_of(cx: &StepContext, place: &Place, label: &str, pipeline: &Pipeline) -> Result<Vec<u8>, Failure> {
    let mut output = Vec::new();
    let job = run_job_watched(cx, place, label, pipeline, |chunk| output.extend_from_slice(chunk)).await?;
    if job.is_success() {
        return Ok(output);
    }
    Err(Failure::new(FailureKind::Refused, format!("run on {place}: {pipeline}"), job.complaint(pipeline)))
}

/// One of the numbers that [`measure`] and [`count`] return; 0 when it is not there.
#[must_use]
pub fn exactly(measures: &BTreeMap<String, Measure>, name: &str) -> u64 {
    match measures.get(name) {
        Some(Measure::Exactly(number)) => *number,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
