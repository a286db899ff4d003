//! What a probe is: one read-only question to a system, and what came back. A gate in a runbook and a light on the
//! screen ask with the same probe. When to ask, and what follows from several answers, is `health`'s affair.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::StepContext;
use crate::model::{Failure, FailureKind, SafeText};
use crate::port::{Command, Place};

/// How long a host may take to say that it is there at all.
const THERE: Duration = Duration::from_secs(2);

/// What one answer says about the system, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It does what it is there for.
    Up,
    /// It works, and something about it must be seen to.
    Degraded,
    /// It does not do what it is there for.
    Down,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things: documents, nodes, connections.
    Count,
    /// Bytes.
    Bytes,
    /// Parts of a hundred.
    Percent,
    /// Seconds.
    Seconds,
    /// A ratio or a load, with two decimals.
    Ratio,
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is: `documents`, `disk used /mnt/exchange`.
    pub name: SafeText,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
}

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// What it says on its own.
    pub condition: Condition,
    /// The whole in a few words: `green, 3 nodes, 6 indices`.
    pub summary: SafeText,
    /// Why it is not up, the most important first; empty when it is.
    pub findings: Vec<SafeText>,
    /// What was measured. The first is the one that is drawn over time.
    pub figures: Vec<Figure>,
    /// Where it was asked: an address, or a host and a command.
    pub source: SafeText,
}

impl Figure {
    /// A figure.
    #[must_use]
    pub fn new(name: &str, value: f64, unit: Unit) -> Self {
        Self { name: SafeText::line(name), value, unit }
    }

    /// A number of things, or of bytes.
    #[must_use]
    pub fn whole(name: &str, value: u64, unit: Unit) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "drawn and compared, never added up")]
        let value = value as f64;
        Self::new(name, value, unit)
    }

    /// How much of a whole, in percent; nothing of nothing is nothing.
    #[must_use]
    pub fn share(name: &str, part: u64, whole: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let value = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
        Self::new(name, value, Unit::Percent)
    }
}

impl Reading {
    /// A look at `source` at which all was well so far.
    #[must_use]
    pub fn up(source: impl AsRef<str>) -> Self {
        Self {
            condition: Condition::Up,
            summary: SafeText::default(),
            findings: Vec::new(),
            figures: Vec::new(),
            source: SafeText::line(source.as_ref()),
        }
    }

    /// With the whole in a few words.
    #[must_use]
    pub fn summed_up(mut self, summary: impl AsRef<str>) -> Self {
        self.summary = SafeText::line(summary.as_ref());
        self
    }

    /// With one more figure.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    /// Finds something that makes it no better than `condition`. What is worse comes first; else the order is kept.
    pub fn find(&mut self, condition: Condition, finding: impl AsRef<str>) {
        let finding = SafeText::block(finding.as_ref());
        if condition > self.condition {
            self.findings.insert(0, finding);
            self.condition = condition;
        } else {
            self.findings.push(finding);
        }
    }
}

/// A question that can be asked again and again and changes nothing.
#[async_trait]
pub trait Probe: Send + Sync + fmt::Debug {
    /// Asks once. The caller gives a deadline by dropping it.
    ///
    /// # Errors
    /// When no answer came. `Unreachable` and `Refused` say that the system itself did not answer or said no; `Unknown`
    /// says that the way to it is broken, so that nothing is known of the system.
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure>;
}

/// A probe as its room offers it: how often it is worth asking, and how much an answer is believed.
#[derive(Debug, Clone)]
pub struct ProbeEntry {
    /// Which question: `cluster`, `disk`. Unique within its service.
    pub question: &'static str,
    /// Between two looks when the estate says nothing.
    pub interval: Duration,
    /// How long one look may take when the estate says nothing.
    pub deadline: Duration,
    /// True for a question that costs something: it is never asked more often than `interval`.
    pub dear: bool,
    /// The probe.
    pub probe: Arc<dyn Probe>,
}

impl ProbeEntry {
    /// A cheap question, asked every ten seconds with five to answer unless said otherwise.
    #[must_use]
    pub fn new(question: &'static str, probe: impl Probe + 'static) -> Self {
        let (interval, deadline) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { question, interval, deadline, dear: false, probe: Arc::new(probe) }
    }

    /// Asked every so many seconds.
    #[must_use]
    pub fn every(mut self, seconds: u64) -> Self {
        self.interval = Duration::from_secs(seconds);
        self
    }

    /// A look may take so many seconds.
    #[must_use]
    pub fn within(mut self, seconds: u64) -> Self {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    /// It costs something: never asked more often.
    #[must_use]
    pub fn dear(mut self) -> Self {
        self.dear = true;
        self
    }
}

/// The failure of a look at something behind a host, after it met `failure`: when the host itself does not answer, or lets
/// nobody in, nothing is known of what is behind it.
pub async fn behind(cx: &StepContext, place: &Place, failure: Failure) -> Failure {
    let why = match failure.kind {
        FailureKind::Unreachable => "does not answer",
        // By the host (its key, our key, its name) or by what is behind it.
        FailureKind::Refused => "cannot be asked",
        _ => return failure,
    };
    let there = Command::new("true").into();
    if let Ok(Ok(_)) = tokio::time::timeout(THERE, cx.reach.exec(place, &there, THERE)).await {
        return failure;
    }
    let got = format!("{place} {why}, and it is asked through there ({})", failure.got);
    Failure::new(FailureKind::Unknown, failure.tried.as_str(), got)
}

/// The failure of a look that could not find its way: nothing is known of what is at its end.
#[must_use]
pub fn lost_way(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Unreachable | FailureKind::Busy => Failure { kind: FailureKind::Unknown, ..failure },
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_comes_first_and_decides() {
        let mut reading = Reading::up("x").summed_up("a\nb").figure(Figure::share("used", 1, 4));
        reading.find(Condition::Degraded, "one");
        reading.find(Condition::Down, "two");
        reading.find(Condition::Degraded, "three");
        assert_eq!(reading.condition, Condition::Down);
        let said: Vec<&str> = reading.findings.iter().map(SafeText::as_str).collect();
        assert_eq!(said, ["two", "one", "three"]);
        assert_eq!((reading.summary.as_str(), reading.figures[0].value), ("a^Jb", 25.0));
    }
}
