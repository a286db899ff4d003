//! The fold of observations: verdicts with rise and fall counts and staleness. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{Failure, FailureKind, HostName, SafeText, ServiceName, SiteName};
use crate::systems::{Condition, Reading};

/// Readings that are kept of each probe, for sparkline and history graph.
const HISTORY: usize = 720;

/// What is believed of something, after thresholds and with the age of what is known. From good to bad, so that the worst
/// of several is the greatest: what is known to be down is never hidden behind something that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Up,
    /// It works, and something must be seen to.
    Degraded,
    /// Not known: never seen, too old, or the way to it is broken. As loud as down.
    Unknown,
    /// It does not work.
    Down,
}

impl Verdict {
    /// One word, for tables and for people who cannot see colours.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "DOWN",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// What a probe looks at within a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A service.
    Service(ServiceName),
    /// A host.
    Host(HostName),
    /// The exchange tree.
    Exchange,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => name.fmt(f),
            Self::Host(name) => name.fmt(f),
            Self::Exchange => f.pad("exchange"),
        }
    }
}

/// The identity of a probe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProbeKey {
    /// The site.
    pub site: SiteName,
    /// What of it.
    pub subject: Subject,
    /// Which question: `cluster`, `certificate`, `disk`.
    pub question: &'static str,
}

/// One look that has ended, or was given up at its deadline.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Which probe.
    pub key: ProbeKey,
    /// When it was begun.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What it saw, or why nothing.
    pub result: Result<Reading, Failure>,
    /// What was asked and answered, word for word; shortened to some kilobytes.
    pub transcript: SafeText,
}

impl Observation {
    /// True when it saw that all is well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.result.as_ref().is_ok_and(|reading| reading.condition == Condition::Up)
    }
}

/// What is known through one probe.
#[derive(Debug, Clone)]
pub struct ProbeHealth {
    /// How often it is asked.
    pub interval: Duration,
    /// Consecutive good looks until it is up again.
    pub rise: u32,
    /// Consecutive bad looks until it is called what the last of them says, down, degraded or unknown.
    pub fall: u32,
    /// The latest reading, however old.
    pub reading: Option<Reading>,
    /// When that was.
    pub read_at: Option<Timestamp>,
    /// When it was asked last, with or without an answer.
    pub asked_at: Option<Timestamp>,
    /// Why the latest look saw nothing; nothing when it saw something.
    pub failure: Option<Failure>,
    /// What the latest look asked and was answered, word for word.
    pub transcript: SafeText,
    /// The first figure over time, oldest first; `None` where a look saw nothing.
    pub history: VecDeque<(Timestamp, Option<f64>)>,
    /// What is believed, before age is considered.
    settled: Verdict,
    /// Looks in a row that say something else, and whether they were good. Bad ones of several kinds count together: what
    /// is down at one look and degraded at the next is up at neither.
    leaning: Option<(bool, u32)>,
    /// Since when it is believed.
    pub since: Option<Timestamp>,
}

impl ProbeHealth {
    /// A probe that was never asked.
    #[must_use]
    pub fn new(interval: Duration, rise: u32, fall: u32) -> Self {
        Self {
            interval,
            rise,
            fall,
            reading: None,
            read_at: None,
            asked_at: None,
            failure: None,
            transcript: SafeText::default(),
            history: VecDeque::new(),
            settled: Verdict::Unknown,
            leaning: None,
            since: None,
        }
    }

    /// True when the latest reading is older than two intervals: it says what was, not what is.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.read_at.is_none_or(|at| now.duration_since(at).unsigned_abs() > self.interval * 2)
    }

    /// What is believed now. A verdict whose looks have stopped coming becomes unknown.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        if self.is_asked(now) { self.settled } else { Verdict::Unknown }
    }

    /// False once its looks have stopped coming.
    fn is_asked(&self, now: Timestamp) -> bool {
        self.asked_at.is_some_and(|at| now.duration_since(at).unsigned_abs() <= self.interval * 3)
    }

    /// Why it is not up, in words.
    #[must_use]
    pub fn reasons(&self, now: Timestamp) -> Vec<SafeText> {
        match (&self.failure, &self.reading) {
            _ if self.asked_at.is_none() => vec!["not asked yet".into()],
            _ if !self.is_asked(now) => vec!["no fresh answer".into()],
            (Some(failure), _) => vec![failure.got.clone()],
            (None, Some(reading)) => reading.findings.clone(),
            (None, None) => Vec::new(),
        }
    }

    fn see(&mut self, observation: &Observation) {
        let said = match &observation.result {
            Ok(reading) => match reading.condition {
                Condition::Up => Verdict::Up,
                Condition::Degraded => Verdict::Degraded,
                Condition::Down => Verdict::Down,
            },
            // An estate that is wrong says nothing of the system either.
            Err(failure) if failure.is_unknown() || failure.kind == FailureKind::Invalid => Verdict::Unknown,
            Err(_) => Verdict::Down,
        };
        self.asked_at = Some(observation.at);
        self.transcript = observation.transcript.clone();
        let value = observation.result.as_ref().ok().and_then(|reading| reading.figures.first()).map(|f| f.value);
        self.history.push_back((observation.at, value));
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        match &observation.result {
            Ok(reading) => {
                self.reading = Some(reading.clone());
                self.read_at = Some(observation.at);
                self.failure = None;
            }
            Err(failure) => self.failure = Some(failure.clone()),
        }
        if said == self.settled {
            self.leaning = None;
            return;
        }
        let good = said == Verdict::Up;
        let times = match self.leaning {
            Some((leaning, times)) if leaning == good => times + 1,
            _ => 1,
        };
        let needed = if good { self.rise } else { self.fall };
        // The first look ever is believed at once: nothing else is known.
        if times >= needed || self.since.is_none() {
            self.settled = said;
            self.since = Some(observation.at);
            self.leaning = None;
        } else {
            self.leaning = Some((good, times));
        }
    }
}

/// Everything that is known of both sites. Built only by [`HealthState::new`] and [`HealthState::apply`].
#[derive(Debug, Clone, Default)]
pub struct HealthState {
    probes: BTreeMap<ProbeKey, ProbeHealth>,
}

impl HealthState {
    /// Knows which probes there are, and nothing of what they see.
    #[must_use]
    pub fn new(probes: impl IntoIterator<Item = (ProbeKey, ProbeHealth)>) -> Self {
        Self { probes: probes.into_iter().collect() }
    }

    /// Folds one observation. One of a probe that is not known is ignored: the estate was read anew meanwhile.
    pub fn apply(&mut self, observation: &Observation) {
        if let Some(probe) = self.probes.get_mut(&observation.key) {
            probe.see(observation);
        }
    }

    /// All probes, in order of site, subject and question.
    #[must_use]
    pub fn probes(&self) -> &BTreeMap<ProbeKey, ProbeHealth> {
        &self.probes
    }

    /// The probes of one subject, in order of their questions.
    pub fn of<'s>(
        &'s self,
        site: &'s SiteName,
        subject: &'s Subject,
    ) -> impl Iterator<Item = (&'s ProbeKey, &'s ProbeHealth)> {
        // No question comes before the empty one.
        let first = ProbeKey { site: site.clone(), subject: subject.clone(), question: "" };
        self.probes.range(first..).take_while(move |(key, _)| key.site == *site && key.subject == *subject)
    }

    /// What a site has, each with its worst verdict: services, then hosts, then the exchange tree.
    #[must_use]
    pub fn subjects(&self, site: &SiteName, now: Timestamp) -> Vec<(&Subject, Verdict)> {
        let mut subjects: Vec<(&Subject, Verdict)> = Vec::new();
        for (key, probe) in self.probes.iter().filter(|(key, _)| key.site == *site) {
            let verdict = probe.verdict(now);
            match subjects.last_mut() {
                Some((subject, worst)) if **subject == key.subject => *worst = verdict.max(*worst),
                _ => subjects.push((&key.subject, verdict)),
            }
        }
        subjects
    }

    /// The worst verdict of a site; unknown when it has no probes.
    #[must_use]
    pub fn site(&self, site: &SiteName, now: Timestamp) -> Verdict {
        let probes = self.probes.iter().filter(|(key, _)| key.site == *site);
        probes.map(|(_, probe)| probe.verdict(now)).max().unwrap_or(Verdict::Unknown)
    }
}

#[cfg(test)]
mod tests;
