//! The card at the end of a story: what broke, how long it took to notice, decide and be done, what was lost against the
//! best that was possible, and the wrong turns. A function of what happened.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::words::{act_words, after, fault_words};
use super::{Act, Action, DecidedBy, DoneBy, Facts, Got, News, NewsKind, NoticedBy, Scenario, Stir, StirKind};
use crate::model::{SiteName, Span};
use crate::world::Truth;

/// How well a story went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    /// The scenario.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// What broke first.
    pub broke: Option<Moment>,
    /// When that was noticed.
    pub noticed: Option<Moment>,
    /// When somebody decided what to do.
    pub decided: Option<Moment>,
    /// When the operator first did something that had an effect.
    pub acted: Option<Moment>,
    /// When it was done, as the scenario counts it.
    pub done: Option<Moment>,
    /// When the standby held a whole copy and everything there was well.
    pub green: Option<Moment>,
    /// What the standby does not hold.
    pub loss: Loss,
    /// What the operator did in vain.
    pub wrong_turns: Vec<WrongTurn>,
    /// True when the story was left before its end.
    pub left: bool,
}

/// When something was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The wall time.
    pub at: Timestamp,
    /// How long after the first thing broke.
    pub after: Span,
    /// What it was.
    pub what: String,
}

/// What the standby does not hold of what the users of the active site were told is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The active site.
    pub source: SiteName,
    /// The standby.
    pub target: SiteName,
    /// When the active site was lost, if it was: only then is anything lost for good.
    pub lost_at: Option<Timestamp>,
    /// What the standby does not hold, by store.
    pub missing: BTreeMap<String, u64>,
    /// The same, had the newest copy that was whole at the standby been put into service.
    pub best: BTreeMap<String, u64>,
    /// How old that copy was when the active site was lost, or is at the end. Nothing when there is none.
    pub newest_is: Option<Span>,
    /// Whether what the standby holds is one whole copy.
    pub whole: bool,
}

/// Something that the operator did in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongTurn {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
    /// Why it was one.
    pub why: String,
}

impl Card {
    /// The card of a story.
    #[must_use]
    pub fn of(scenario: &Scenario, facts: &Facts) -> Self {
        let broke = facts.struck.first();
        let from = broke.map_or(facts.over, |(at, _)| *at);
        let moment = |at: Duration, what: String| Moment {
            at: wall(facts, at),
            // Milliseconds tell a person nothing here.
            after: Span(Duration::from_secs(at.saturating_sub(from).as_secs())),
            what,
        };
        let counts = &scenario.counts;
        let noticed = noticed(&counts.noticed, facts, from);
        let decided = match (&facts.person, &noticed) {
            (None, _) => decided(&counts.decided, facts, from),
            // A person decides nothing about what they have not noticed.
            (Some(_), seen) => seen.as_ref().and_then(|(at, _)| decided(&counts.decided, facts, *at)),
        };
        Self {
            scenario: scenario.name.to_string(),
            title: scenario.title.clone(),
            broke: broke.map(|(at, fault)| moment(*at, fault_words(fault))),
            noticed: noticed.map(|(at, what)| moment(at, what)),
            decided: decided.map(|(at, what)| moment(at, what)),
            acted: acted(facts, from, |_| true).map(|(at, what)| moment(at, what)),
            done: done(counts.done, facts, from).map(|(at, what)| moment(at, what)),
            green: green(facts, from).map(|(at, what)| moment(at, what)),
            loss: Loss::of(facts),
            wrong_turns: facts.actions.iter().filter_map(|action| wrong_turn(facts, action)).collect(),
            left: facts.left,
        }
    }

    /// The card as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.scenario, self.title);
        let mut line = |name: &str, words: &str| {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "  {name:<12} {words}");
        };
        let clock = |at: Timestamp| at.strftime("%H:%M:%S").to_string();
        let moment = |moment: &Moment| format!("{}  {}: {}", clock(moment.at), after(moment.after), moment.what);
        let never = || if self.left { "not done" } else { "never" }.to_owned();
        let nothing = || if self.left { "nothing yet" } else { "nothing" }.to_owned();
        line(
            "broke",
            &self.broke.as_ref().map_or_else(nothing, |broke| format!("{}  {}", clock(broke.at), broke.what)),
        );
        for (name, when) in [
            ("noticed", &self.noticed),
            ("decided", &self.decided),
            ("acted", &self.acted),
            ("done", &self.done),
            ("green", &self.green),
        ] {
            line(name, &when.as_ref().map_or_else(never, moment));
        }
        for (number, words) in self.loss.lines().iter().enumerate() {
            line(if number == 0 { self.loss.name() } else { "" }, words);
        }
        match self.wrong_turns.len() {
            0 => line("wrong turns", "none"),
            _ => {
                for (number, turn) in self.wrong_turns.iter().enumerate() {
                    let name = if number == 0 { "wrong turns" } else { "" };
                    line(name, &format!("{}  {}: {}", clock(turn.at), turn.what, turn.why));
                }
            }
        }
        if self.left {
            line("left", "before its end: this is how far it went");
        }
        text
    }
}

fn wall(facts: &Facts, at: Duration) -> Timestamp {
    facts.epoch.saturating_add(at).unwrap_or(Timestamp::MAX)
}

/// The first note of the operator, or what the scenario counts, whichever was earlier. Of a person it is what they did
/// that counts, and not what they could have seen.
fn noticed(by: &NoticedBy, facts: &Facts, from: Duration) -> Option<(Duration, String)> {
    let note = facts.actions.iter().find(|action| action.at >= from && action.act.is_note());
    let noted = note.map(|action| (action.at, format!("the operator {}", act_words(&action.act))));
    let counted = match &facts.person {
        Some(stirs) => first_key(by, facts, stirs, from),
        None => noticed_by(by, facts, from),
    };
    [counted, noted].into_iter().flatten().min()
}

/// The first key or click of a person once the trouble could be seen: at one of the sites, or in what a run had said.
fn first_key(by: &NoticedBy, facts: &Facts, stirs: &[Stir], from: Duration) -> Option<(Duration, String)> {
    let told = [noticed_by(by, facts, from), noticed_by(&NoticedBy::Told, facts, from)].into_iter().flatten().min();
    stirs.iter().filter(|stir| stir.at >= from).find_map(|stir| {
        let StirKind::Key(in_sight) = &stir.kind else { return None };
        let said = || told.as_ref().filter(|(at, _)| *at <= stir.at).map(|(_, words)| words.clone());
        let what = in_sight.clone().or_else(said)?;
        Some((stir.at, format!("the operator's first key after this: {what}")))
    })
}

fn noticed_by(by: &NoticedBy, facts: &Facts, from: Duration) -> Option<(Duration, String)> {
    let news = |wanted: fn(NewsKind) -> bool| {
        let first = facts.news.iter().find(|news| news.at >= from && wanted(news.kind))?;
        Some((first.at, first.words.clone()))
    };
    match by {
        NoticedBy::Told => news(|kind| kind != NewsKind::Said),
        NoticedBy::Says(words) => said(facts, from, words),
        NoticedBy::Asked => news(|kind| kind == NewsKind::Asked),
        NoticedBy::Ended => news(|kind| kind == NewsKind::Ended),
        NoticedBy::Acted => {
            let first = facts.actions.iter().find(|action| action.at >= from)?;
            Some((first.at, format!("the operator {}", act_words(&first.act))))
        }
    }
}

/// The first line with these words that a step said.
fn said(facts: &Facts, from: Duration, words: &str) -> Option<(Duration, String)> {
    let fits = |news: &&News| news.at >= from && news.kind == NewsKind::Said && news.words.contains(words);
    facts.news.iter().find(fits).map(|news| (news.at, first_words(&news.words).to_owned()))
}

/// A line up to what only explains it.
fn first_words(text: &str) -> &str {
    let end = text.find([';', '(', '\n']).unwrap_or(text.len());
    text[..end].trim_end()
}

/// The first thing of a kind that the operator did and that had an effect.
fn acted(facts: &Facts, from: Duration, wanted: fn(&Act) -> bool) -> Option<(Duration, String)> {
    let right = |action: &&Action| {
        action.at >= from && action.got == Some(Got::Effect) && !action.act.is_note() && wanted(&action.act)
    };
    let first = facts.actions.iter().find(right)?;
    Some((first.at, format!("the operator {}", act_words(&first.act))))
}

/// The first time that a person asked what a runbook would do.
fn planned(facts: &Facts, from: Duration) -> Option<(Duration, String)> {
    facts.person.iter().flatten().filter(|stir| stir.at >= from).find_map(|stir| match &stir.kind {
        StirKind::Plan(runbook) => Some((stir.at, format!("the operator asks what {runbook} would do"))),
        StirKind::Key(_) => None,
    })
}

/// What the scenario counts as decided. Whoever asks for a plan has begun to decide.
fn decided(by: &DecidedBy, facts: &Facts, from: Duration) -> Option<(Duration, String)> {
    let acted = |wanted| [acted(facts, from, wanted), planned(facts, from)].into_iter().flatten().min();
    let retried = || {
        let first: &News = facts.news.iter().find(|news| news.at >= from && news.kind == NewsKind::Retried)?;
        Some((first.at, first.words.clone()))
    };
    match by {
        DecidedBy::Acted => acted(|_| true),
        DecidedBy::Started => acted(|act| matches!(act, Act::Run(_) | Act::Resume)),
        DecidedBy::Retried => [acted(|_| true), retried()].into_iter().flatten().min(),
        DecidedBy::Says(words) => [acted(|_| true), said(facts, from, words)].into_iter().flatten().min(),
    }
}

fn done(by: DoneBy, facts: &Facts, from: Duration) -> Option<(Duration, String)> {
    let target = &facts.sites[1];
    let copied = |serving: bool| {
        let good = |run: &&super::RunFact| {
            run.ended >= from && run.done && run.restores && (run.well || !serving) && facts.truth.whole
        };
        facts.runs.iter().find(good)
    };
    match by {
        DoneBy::Copied => {
            copied(false).map(|run| (run.ended, format!("{} put a whole copy into {target}", run.runbook)))
        }
        DoneBy::Serves => {
            copied(true).map(|run| (run.ended, format!("{target} serves a whole copy, by {}", run.runbook)))
        }
        DoneBy::Safe => facts.truth.whole.then(|| {
            let last = facts.runs.iter().map(|run| run.ended).max().unwrap_or(facts.over);
            (last.max(from), format!("nothing runs any more, and {target} holds a whole copy"))
        }),
    }
}

/// The end of the first run after which the standby was well, with the copy that it still holds whole.
fn green(facts: &Facts, from: Duration) -> Option<(Duration, String)> {
    let target = &facts.sites[1];
    let good = |run: &&super::RunFact| run.ended >= from && run.done && run.restores && run.well;
    let run = facts.runs.iter().find(good).filter(|_| facts.truth.whole)?;
    Some((run.ended, format!("{target} is well, with a whole copy")))
}

fn wrong_turn(facts: &Facts, action: &Action) -> Option<WrongTurn> {
    let why = match &action.got {
        Some(Got::Effect) => return None,
        Some(Got::Refused(why)) => format!("refused: {why}"),
        Some(Got::Nothing(why)) => format!("changed nothing: {why}"),
        None => "nothing came of it before the end".to_owned(),
    };
    Some(WrongTurn { at: wall(facts, action.at), what: act_words(&action.act), why })
}

impl Loss {
    fn of(facts: &Facts) -> Self {
        let truth = &facts.truth;
        let [source, target] = facts.sites.clone();
        let lacking = |held: &Truth| -> Vec<&str> {
            let lacks = |(name, content): &(&String, &String)| held.items.get(*name) != Some(*content);
            truth.promised.items.iter().filter(lacks).map(|(name, _)| name.as_str()).collect()
        };
        let missing = lacking(&truth.held);
        // A copy may hold a little more than the active site held when it was begun.
        let best: Vec<&str> = match &truth.newest {
            Some((_, newest)) => lacking(newest).into_iter().filter(|name| missing.contains(name)).collect(),
            None => missing.clone(),
        };
        let until = truth.lost_at.unwrap_or(facts.over);
        Self {
            source,
            target,
            lost_at: truth.lost_at.map(|at| wall(facts, at)),
            missing: by_store(&missing),
            best: by_store(&best),
            newest_is: truth
                .newest
                .as_ref()
                .map(|(at, _)| Span(Duration::from_secs(until.saturating_sub(*at).as_secs()))),
            whole: truth.whole,
        }
    }

    fn name(&self) -> &'static str {
        if self.lost_at.is_some() { "data lost" } else { "data behind" }
    }

    fn lines(&self) -> Vec<String> {
        let Self { source, target, .. } = self;
        let mut lines = Vec::new();
        lines.push(match (self.missing.is_empty(), self.lost_at.is_some()) {
            (true, true) => format!("nothing: {target} holds all that {source} had"),
            (true, false) => format!("nothing: {target} holds all that {source} has"),
            (false, true) => format!("{}: {source} had them, {target} has not", amounts(&self.missing)),
            (false, false) => format!("{}: {source} has them, {target} not yet", amounts(&self.missing)),
        });
        lines.push(match (self.newest_is, self.lost_at.is_some()) {
            (None, _) => format!("no copy is whole at {target}, so none could have done better"),
            (Some(age), true) if self.best == self.missing => {
                format!("nothing better was possible: the newest whole copy was {age} old then")
            }
            (Some(age), true) => {
                format!("possible was: {} (the newest whole copy was {age} old then)", amounts(&self.best))
            }
            (Some(age), false) if self.best == self.missing => {
                format!("{target} holds the newest whole copy, {age} old now")
            }
            (Some(age), false) => {
                format!("with the newest whole copy, {age} old now, it were {}", amounts(&self.best))
            }
        });
        if !self.whole {
            lines.push(format!("and what {target} holds is NOT one whole copy"));
        }
        lines
    }
}

fn by_store(names: &[&str]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        let store = match name.split('/').next() {
            Some("search") => "documents",
            Some("sql") => "rows",
            _ => "files",
        };
        *counts.entry(store.to_owned()).or_insert(0) += 1;
    }
    counts
}

fn amounts(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "nothing".to_owned();
    }
    let one = |(store, count): (&String, &u64)| {
        let store = if *count == 1 { store.trim_end_matches('s') } else { store };
        format!("{count} {store}")
    };
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
