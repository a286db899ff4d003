//! The palette: an action by its name, with what it takes. What can stand after a name follows from what its line of the
//! table declares; here it is found among what the screen knows, completed and checked, and nothing is done.

use super::action::{ACTIONS, Argument, Entry, Takes};
use super::facts::RunbookFacts;
use super::line::Line;
use super::run_view::SPEEDS;
use super::state::{Badge, State};
use crate::model::{SafeText, SiteName};
use crate::runbook::{TemplateScope, render};

/// So many of what there is are named where something is not among it.
const NAMED: usize = 8;

/// What is being typed, and which line is selected.
#[derive(Debug, Clone)]
pub struct Palette {
    /// The kind of world: only what is there in it is found.
    pub badge: Badge,
    /// The text.
    pub line: Line,
    /// The line that was selected among the matches, once one was.
    pub selected: Option<usize>,
    /// Why what was entered cannot be done.
    pub trouble: Option<SafeText>,
}

/// What can stand after the name of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// As it is typed.
    pub text: String,
    /// What it is.
    pub help: SafeText,
    /// True when something must follow it: `point=`.
    pub is_begun: bool,
}

/// A line below what is typed.
#[derive(Debug, Clone)]
pub enum Match {
    /// An action.
    Action(&'static Entry),
    /// Something that the named action takes.
    Value(Value),
}

/// What enter means.
#[derive(Debug, Clone)]
pub enum Entered {
    /// Nothing is found, nothing happens.
    Nothing,
    /// More must be typed: this is there already.
    More(Line),
    /// It cannot be done, and why.
    Refused(SafeText),
    /// It is to be done, with this.
    Do(&'static Entry, String),
}

impl Palette {
    /// Nothing has been typed yet.
    #[must_use]
    pub fn new(badge: Badge) -> Self {
        Self { badge, line: Line::default(), selected: None, trouble: None }
    }

    /// The name that was typed, and all that is after the blank behind it.
    fn words(&self) -> (&str, Option<&str>) {
        let text = self.line.text().trim_start();
        text.split_once(' ').map_or((text, None), |(name, rest)| (name, Some(rest.trim_start())))
    }

    /// The action whose argument is being typed.
    #[must_use]
    pub fn named(&self) -> Option<(&'static Entry, Argument)> {
        let (name, rest) = self.words();
        rest?;
        let entry = ACTIONS.iter().find(|entry| entry.name == name && entry.action.is_there(self.badge))?;
        Some((entry, entry.argument?))
    }

    /// The lines below what is typed, the closest first.
    #[must_use]
    pub fn matches(&self, state: &State) -> Vec<Match> {
        let (name, rest) = self.words();
        if let (Some((_, argument)), Some(rest)) = (self.named(), rest) {
            let (before, last) = parted(argument.takes, rest);
            let values = values(state, argument.takes, before);
            let found = closest(values, last, |value| (&value.text, value.help.as_str()));
            return found.into_iter().map(Match::Value).collect();
        }
        let there = ACTIONS.iter().filter(|entry| entry.action.is_there(self.badge)).collect();
        closest(there, name, |entry| (entry.name, entry.help)).into_iter().map(Match::Action).collect()
    }

    /// The number of the selected line. An action is always selected, a value only by whoever has chosen it.
    #[must_use]
    pub fn selected(&self, matches: &[Match]) -> Option<usize> {
        let last = matches.len().checked_sub(1)?;
        let first = matches!(matches[0], Match::Action(_)).then_some(0);
        self.selected.map(|selected| selected.min(last)).or(first)
    }

    /// Selects the next line, or the one before.
    pub fn select(&mut self, state: &State, back: bool) {
        let matches = self.matches(state);
        let Some(last) = matches.len().checked_sub(1) else { return };
        self.selected = Some(match self.selected(&matches) {
            None => 0,
            Some(at) if back => at.saturating_sub(1),
            Some(at) => (at + 1).min(last),
        });
    }

    /// Completes what is typed to the selected line, or to the first one.
    pub fn complete(&mut self, state: &State) {
        let matches = self.matches(state);
        if let Some(chosen) = matches.get(self.selected(&matches).unwrap_or(0)) {
            self.line = self.completed(chosen);
            self.selected = None;
            self.trouble = None;
        }
    }

    fn completed(&self, chosen: &Match) -> Line {
        let rest = self.words().1.unwrap_or_default();
        match (chosen, self.named()) {
            (Match::Action(entry), _) => {
                let blank = if entry.argument.is_some() { " " } else { "" };
                Line::of(&format!("{}{blank}{rest}", entry.name))
            }
            (Match::Value(value), Some((entry, argument))) => {
                let (before, _) = parted(argument.takes, rest);
                let blank = if argument.takes == Takes::Runbook && !value.is_begun { " " } else { "" };
                Line::of(&format!("{} {before}{}{blank}", entry.name, value.text))
            }
            (Match::Value(_), None) => self.line.clone(),
        }
    }

    /// What enter means now.
    #[must_use]
    pub fn entered(&self, state: &State) -> Entered {
        let matches = self.matches(state);
        let chosen = self.selected(&matches).and_then(|at| matches.get(at));
        let typed = self.words().1.unwrap_or_default().trim_end();
        match (chosen, self.named()) {
            (Some(Match::Value(value)), Some(_)) if value.is_begun => {
                Entered::More(self.completed(&Match::Value(value.clone())))
            }
            (Some(Match::Value(value)), Some((entry, argument))) => {
                let (before, _) = parted(argument.takes, self.words().1.unwrap_or_default());
                checked(state, entry, argument, &format!("{before}{}", value.text))
            }
            (_, Some((entry, argument))) => checked(state, entry, argument, typed),
            (Some(Match::Action(entry)), None) => match entry.argument {
                Some(argument) if argument.needed && typed.is_empty() => {
                    Entered::More(self.completed(&Match::Action(entry)))
                }
                Some(argument) => checked(state, entry, argument, typed),
                None => Entered::Do(entry, String::new()),
            },
            (_, None) => Entered::Nothing,
        }
    }
}

/// What is complete of an argument, and the word that is being typed. Only a runbook has words behind it.
fn parted(takes: Takes, rest: &str) -> (&str, &str) {
    let begin = if takes == Takes::Runbook { rest.rfind(' ').map_or(0, |at| at + 1) } else { 0 };
    rest.split_at(begin)
}

/// Those whose name or description has the typed letters, the closest first.
fn closest<T>(all: Vec<T>, typed: &str, of: impl Fn(&T) -> (&str, &str)) -> Vec<T> {
    let mut found: Vec<(u8, T)> = all
        .into_iter()
        .filter_map(|one| {
            let (name, help) = of(&one);
            let rank = if name == typed {
                0
            } else if name.starts_with(typed) {
                1
            } else if name.contains(typed) {
                2
            } else if help.contains(typed) {
                3
            } else {
                return None;
            };
            Some((rank, one))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, one)| one).collect()
}

/// Everything that can stand there, after what stands before it.
fn values(state: &State, takes: Takes, before: &str) -> Vec<Value> {
    let value = |text: &str, help: &str| Value { text: text.to_owned(), help: SafeText::line(help), is_begun: false };
    match takes {
        Takes::Text => Vec::new(),
        Takes::Theme => state.settings.themes.iter().map(|theme| value(&theme.name, theme.title.as_str())).collect(),
        Takes::Host => {
            let hosts = state.hosts_of_log();
            let all = (!hosts.is_empty()).then(|| value("all", "every host"));
            let hosts = hosts.iter().map(|host| value(host.as_str(), "what is shown runs there"));
            hosts.chain(all).collect()
        }
        Takes::Site => state.estate.sites.iter().map(|site| value(site.name.as_str(), site.title.as_str())).collect(),
        Takes::Run => {
            let help = |row: &super::facts::RunRow| {
                let began = row.began.to_zoned(state.settings.zone.clone()).strftime("%m-%d %H:%M");
                format!("{} {} of {began}", row.runbook, row.word)
            };
            state.runs.iter().map(|row| value(row.run.as_str(), &help(row))).collect()
        }
        Takes::Speed => SPEEDS.iter().map(|speed| value(&speed.to_string(), "times as fast as it was")).collect(),
        Takes::Runbook => match before.split_whitespace().next() {
            None => state.runbooks.iter().map(|book| value(book.name.as_str(), &title(state, book))).collect(),
            Some(name) => book(state, name).map(|book| params(book, before)).unwrap_or_default(),
        },
    }
}

/// The parameters of a runbook that do not stand there yet: those with few values with each of them.
fn params(book: &RunbookFacts, before: &str) -> Vec<Value> {
    let given: Vec<&str> = before.split_whitespace().filter_map(|word| Some(word.split_once('=')?.0)).collect();
    let open = book.params.iter().filter(|param| !given.contains(&param.name.as_str()));
    open.flat_map(|param| {
        let begun = Value { text: format!("{}=", param.name), help: param.help(), is_begun: true };
        let whole = param.options().into_iter().map(|option| Value {
            text: format!("{}={option}", param.name),
            help: param.help(),
            is_begun: false,
        });
        let whole: Vec<Value> = whole.collect();
        if whole.is_empty() { vec![begun] } else { whole }
    })
    .collect()
}

/// The title of a runbook with what it would say now; as it is written where that is not known.
fn title(state: &State, book: &RunbookFacts) -> String {
    let called = |site: &SiteName| {
        let facts = state.estate.sites.iter().find(|facts| facts.name == *site);
        facts.map_or_else(|| site.to_string(), |facts| facts.title.to_string())
    };
    let rendered = state.direction.direction.as_ref().and_then(|direction| {
        let scope = TemplateScope::default()
            .with("source", direction.source.as_str())
            .with("target", direction.target.as_str())
            .with("source_title", called(&direction.source))
            .with("target_title", called(&direction.target))
            .with("estate", state.estate.name.as_str());
        render(book.title.as_str(), &scope).ok()
    });
    rendered.unwrap_or_else(|| book.title.to_string())
}

fn book<'a>(state: &'a State, name: &str) -> Option<&'a RunbookFacts> {
    state.runbooks.iter().find(|book| book.name.as_str() == name)
}

/// The action with its argument, or what there is instead of it.
fn checked(state: &State, entry: &'static Entry, argument: Argument, typed: &str) -> Entered {
    let mut words = typed.split_whitespace();
    let wanted = if argument.takes == Takes::Runbook { words.next().unwrap_or_default() } else { typed };
    if wanted.is_empty() && !argument.needed {
        return Entered::Do(entry, String::new());
    }
    if argument.takes == Takes::Text && !wanted.is_empty() {
        return Entered::Do(entry, typed.to_owned());
    }
    let there = values(state, argument.takes, "");
    if !there.iter().any(|value| value.text == wanted) {
        return Entered::Refused(there_is(
            argument.takes.word(),
            wanted,
            there.iter().map(|value| value.text.as_str()),
        ));
    }
    if let Some(book) = book(state, wanted).filter(|_| argument.takes == Takes::Runbook) {
        let names = || book.params.iter().map(|param| param.name.as_str());
        for word in words {
            let name = word.split_once('=').map(|(name, _)| name);
            if !name.is_some_and(|name| names().any(|known| known == name)) {
                let what = format!("parameter of {wanted}");
                return Entered::Refused(there_is(&what, word, names().map(|name| format!("{name}="))));
            }
        }
    }
    Entered::Do(entry, typed.to_owned())
}

/// That something is not there, and what is.
fn there_is<T: AsRef<str>>(what: &str, wanted: &str, there: impl Iterator<Item = T>) -> SafeText {
    let there: Vec<T> = there.collect();
    let named: Vec<&str> = there.iter().take(NAMED).map(T::as_ref).collect();
    let more = there.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let is = if there.is_empty() {
        "there is none here".to_owned()
    } else {
        format!("there are {}{more}", named.join(", "))
    };
    let lacks =
        if wanted.is_empty() { format!("a {what} must be named") } else { format!("there is no {what} `{wanted}`") };
    SafeText::line(&format!("{lacks}: {is}"))
}
