//! `find`, with the part of its language that steps use. Links are not followed.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::glob::Pattern;
use super::looks::shown_size;
use super::{Broken, Call, MOMENT, once};
use crate::world::disk::{DiskError, Inode, Node};
use crate::world::host::{Io, Machine, Process, Slice};

/// What is asked of each entry.
enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Type(char),
    Name(Pattern),
    Path(Pattern),
    Links(u32),
    Writable,
    /// Matches nothing that was found to be invalid; the whole path.
    Regex(Pattern),
    Always,
    Printf(String),
    Print(char),
    Prune,
    Quit,
}

impl Expression {
    fn acts(&self) -> bool {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.acts() || b.acts(),
            Self::Not(a) => a.acts(),
            Self::Printf(_) | Self::Print(_) | Self::Quit => true,
            _ => false,
        }
    }
}

/// The command line, read.
struct Plan {
    roots: Vec<String>,
    least: usize,
    most: usize,
    expression: Expression,
    /// What it says before it begins.
    warnings: Vec<String>,
}

struct Reader<'a> {
    words: VecDeque<&'a str>,
    least: usize,
    most: usize,
    warnings: Vec<String>,
}

impl Plan {
    fn read(words: &[&str]) -> Result<Self, String> {
        let starts = words.iter().take_while(|word| !word.starts_with('-') && **word != "(" && **word != "!").count();
        let mut roots: Vec<String> = words[..starts].iter().map(|&word| word.to_owned()).collect();
        if roots.is_empty() {
            roots.push(".".to_owned());
        }
        let mut reader = Reader {
            words: words[starts..].iter().copied().collect(),
            least: 0,
            most: usize::MAX,
            warnings: Vec::new(),
        };
        let expression = if reader.words.is_empty() { Expression::Print('\n') } else { reader.any()? };
        if !reader.words.is_empty() {
            return Err("find: you have too many ')'".to_owned());
        }
        let expression = if expression.acts() {
            expression
        } else {
            Expression::And(Box::new(expression), Box::new(Expression::Print('\n')))
        };
        Ok(Self { roots, least: reader.least, most: reader.most, expression, warnings: reader.warnings })
    }
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<Expression, String> {
        let mut left = self.all()?;
        while self.words.front() == Some(&"-o") {
            self.words.pop_front();
            left = Expression::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut left = self.one()?;
        while let Some(next) = self.words.front() {
            match *next {
                "-o" | ")" => break,
                "-a" => drop(self.words.pop_front()),
                _ => {}
            }
            left = Expression::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn value(&mut self, of: &str) -> Result<&'a str, String> {
        self.words.pop_front().ok_or_else(|| format!("find: missing argument to `{of}'"))
    }

    fn number<T: std::str::FromStr>(&mut self, of: &str) -> Result<T, String> {
        let value = self.value(of)?;
        value.parse().map_err(|_| format!("find: invalid argument `{value}' to `{of}'"))
    }

    fn one(&mut self) -> Result<Expression, String> {
        let unclosed = "find: invalid expression; I was expecting to find a ')' somewhere but did not see one.";
        let Some(word) = self.words.pop_front() else { return Err(unclosed.to_owned()) };
        Ok(match word {
            "(" => {
                let inner = self.any()?;
                if self.words.pop_front() != Some(")") {
                    return Err(unclosed.to_owned());
                }
                inner
            }
            ")" => return Err("find: you have too many ')'".to_owned()),
            "!" | "-not" => Expression::Not(Box::new(self.one()?)),
            "-mindepth" => {
                self.least = self.number(word)?;
                Expression::Always
            }
            "-maxdepth" => {
                self.most = self.number(word)?;
                Expression::Always
            }
            "-regextype" => match self.value(word)? {
                "posix-extended" => Expression::Always,
                other => return Err(format!("find: Unknown regular expression type '{other}'")),
            },
            "-type" => {
                let value = self.value(word)?;
                match value.chars().next() {
                    Some(kind @ ('f' | 'd' | 'l')) if value.len() == 1 => Expression::Type(kind),
                    _ => return Err(format!("find: Unknown argument to -type: {value}")),
                }
            }
            "-name" => Expression::Name(Pattern::shell(self.value(word)?)),
            "-path" => Expression::Path(Pattern::shell(self.value(word)?)),
            "-writable" => Expression::Writable,
            "-links" => Expression::Links(self.number(word)?),
            "-regex" => {
                let value = self.value(word)?;
                let pattern = Pattern::regex(value);
                Expression::Regex(pattern.ok_or_else(|| format!("find: the world does not know the form '{value}'"))?)
            }
            "-printf" => {
                let format = self.value(word)?;
                self.warnings.extend(unknown_directives(format)?);
                Expression::Printf(format.to_owned())
            }
            "-print" => Expression::Print('\n'),
            "-print0" => Expression::Print('\0'),
            "-prune" => Expression::Prune,
            "-quit" => Expression::Quit,
            other => return Err(format!("find: unknown predicate `{other}'")),
        })
    }
}

pub(super) fn find(call: Call) -> Box<dyn Process> {
    match Plan::read(&call.words()) {
        Err(problem) => Broken::boxed(problem, 1),
        Ok(plan) => once(move |on, io| {
            let mut walk = Walk { plan: &plan, pruned: false, quit: false, seen: 0 };
            let mut code = 0;
            for warning in &plan.warnings {
                io.complain(warning);
            }
            for root in &plan.roots {
                if walk.quit {
                    break;
                }
                if let Err(error) = walk.root(on, &call, root, io) {
                    io.complain(format!("find: '{root}': {error}"));
                    code = 1;
                }
            }
            Slice::Ended(code, MOMENT + Duration::from_micros(200) * walk.seen)
        }),
    }
}

struct Walk<'a> {
    plan: &'a Plan,
    pruned: bool,
    quit: bool,
    seen: u32,
}

/// An entry that is looked at.
struct Entry<'a> {
    root: &'a str,
    /// Relative to the root; empty for the root itself.
    below: &'a str,
    inode: &'a Inode,
    /// Its disk may be changed; the rights of users are not known here.
    writable: bool,
}

impl Entry<'_> {
    fn path(&self) -> String {
        match (self.below, self.root.ends_with('/')) {
            ("", _) => self.root.to_owned(),
            (below, true) => format!("{}{below}", self.root),
            (below, false) => format!("{}/{below}", self.root),
        }
    }

    fn name(&self) -> &str {
        let path = if self.below.is_empty() { self.root } else { self.below };
        path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
    }
}

impl Walk<'_> {
    fn root(&mut self, on: &Machine<'_>, call: &Call, root: &str, io: &mut Io<'_>) -> Result<(), DiskError> {
        let (disk, path) = on.disk(&call.path(root));
        let writable = !disk.read_only;
        let top = disk.stat(&path)?;
        self.seen += 1;
        self.pruned = false;
        if self.plan.least == 0 {
            self.judge(&self.plan.expression, &Entry { root, below: "", inode: top, writable }, io);
        }
        if self.pruned || self.quit || !matches!(top.node, Node::Folder(_)) {
            return Ok(());
        }
        let mut skip: Option<String> = None;
        for (below, inode) in disk.walk(&path)? {
            if skip.as_ref().is_some_and(|skip| below.starts_with(skip.as_str())) {
                continue;
            }
            skip = None;
            let depth = below.matches('/').count() + 1;
            if depth > self.plan.most {
                continue;
            }
            self.seen += 1;
            self.pruned = false;
            if depth >= self.plan.least {
                self.judge(&self.plan.expression, &Entry { root, below: &below, inode, writable }, io);
            }
            if self.quit {
                break;
            }
            if self.pruned {
                skip = Some(format!("{below}/"));
            }
        }
        Ok(())
    }

    fn judge(&mut self, expression: &Expression, entry: &Entry<'_>, io: &mut Io<'_>) -> bool {
        match expression {
            Expression::And(a, b) => self.judge(a, entry, io) && !self.quit && self.judge(b, entry, io),
            Expression::Or(a, b) => self.judge(a, entry, io) || (!self.quit && self.judge(b, entry, io)),
            Expression::Not(a) => !self.judge(a, entry, io),
            Expression::Type(kind) => entry.inode.letter() == *kind,
            Expression::Name(pattern) => pattern.fits(entry.name()),
            Expression::Path(pattern) | Expression::Regex(pattern) => pattern.fits(&entry.path()),
            Expression::Links(number) => entry.inode.links == *number,
            Expression::Writable => entry.writable,
            Expression::Always => true,
            Expression::Printf(format) => {
                io.say(printed(format, entry));
                true
            }
            Expression::Print(end) => {
                io.say(format!("{}{end}", entry.path()));
                true
            }
            Expression::Prune => {
                self.pruned = true;
                true
            }
            Expression::Quit => {
                self.quit = true;
                true
            }
        }
    }
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(what);
}

/// The forms of a time that the real program has and this one does not.
const UNTAUGHT: &str = "IklprTXZaAbBcDhjUwWxyGgVuFRnt+";

/// A piece of a format of `-printf`.
enum Piece<'a> {
    Plain(char),
    Directive(char),
    /// A time of the entry, `T` or `C`, and in which form.
    Time(char, char),
    /// As it is written: what the program does not know either.
    Unknown(&'a str),
    /// A percent sign with nothing behind it.
    Open,
}

fn pieces(format: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = format.chars();
    loop {
        let at = rest.as_str();
        let Some(c) = rest.next() else { return found };
        found.push(match (c, if c == '\\' || c == '%' { rest.next() } else { None }) {
            ('\\', Some('0')) => Piece::Plain('\0'),
            ('\\', Some('n')) => Piece::Plain('\n'),
            ('\\', Some('t')) => Piece::Plain('\t'),
            ('\\', Some(other)) => Piece::Plain(other),
            ('%', Some('%')) => Piece::Plain('%'),
            ('%', Some(known @ ('y' | 'm' | 's' | 'i' | 'n' | 'P' | 'p' | 'f' | 'l'))) => Piece::Directive(known),
            ('%', Some(time @ ('T' | 'C'))) => rest.next().map_or(Piece::Open, |form| Piece::Time(time, form)),
            ('%', Some(_)) => Piece::Unknown(&at[..at.len() - rest.as_str().len()]),
            ('%', None) => Piece::Open,
            (c, _) => Piece::Plain(c),
        });
    }
}

/// What the program warns of before it prints in this format.
///
/// # Errors
/// What it says of a format that it refuses.
fn unknown_directives(format: &str) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for piece in pieces(format) {
        match piece {
            Piece::Unknown(text) => warnings.push(format!("find: warning: unrecognized format directive `{text}'")),
            Piece::Open => return Err("find: error: % at end of format string".to_owned()),
            Piece::Time(time, form) if UNTAUGHT.contains(form) => {
                return Err(format!("find: the world does not know the form '%{time}{form}'"));
            }
            _ => {}
        }
    }
    Ok(warnings)
}

/// What `-printf` prints of an entry.
fn printed(format: &str, entry: &Entry<'_>) -> String {
    let inode = entry.inode;
    let mut out = String::new();
    for piece in pieces(format) {
        match piece {
            Piece::Plain(c) => out.push(c),
            Piece::Unknown(text) => out.push_str(text),
            Piece::Open => out.push('%'),
            Piece::Time(which, form) => time(&mut out, if which == 'C' { inode.changed } else { inode.modified }, form),
            Piece::Directive('y') => out.push(inode.letter()),
            Piece::Directive('m') => put(&mut out, format_args!("{:o}", inode.mode)),
            Piece::Directive('s') => out.push_str(&shown_size(&inode.node).to_string()),
            Piece::Directive('i') => put(&mut out, format_args!("{}", inode.number)),
            Piece::Directive('n') => put(&mut out, format_args!("{}", inode.links)),
            Piece::Directive('P') => out.push_str(entry.below),
            Piece::Directive('p') => out.push_str(&entry.path()),
            Piece::Directive('f') => out.push_str(entry.name()),
            Piece::Directive(_) => {
                if let Node::Link(target) = &inode.node {
                    out.push_str(target);
                }
            }
        }
    }
    out
}

fn time(out: &mut String, at: Timestamp, form: char) {
    let zoned = at.to_zoned(jiff::tz::TimeZone::UTC);
    let nanoseconds = at.subsec_nanosecond();
    match form {
        '@' => put(out, format_args!("{}.{nanoseconds:09}0", at.as_second())),
        'Y' => put(out, format_args!("{:04}", zoned.year())),
        'm' => put(out, format_args!("{:02}", zoned.month())),
        'd' => put(out, format_args!("{:02}", zoned.day())),
        'H' => put(out, format_args!("{:02}", zoned.hour())),
        'M' => put(out, format_args!("{:02}", zoned.minute())),
        'S' => put(out, format_args!("{:02}.{nanoseconds:09}0", zoned.second())),
        // What is no form of a time comes back without the letter of the time.
        other => out.extend(['%', other]),
    }
}
