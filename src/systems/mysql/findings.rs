//! What looking at a server found: fine, worth knowing, or in the way; with advice for each thing that is in the way.

use crate::model::{Failure, FailureKind};
use crate::systems::{CheckReport, StepDone};

/// Findings in the order they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings(Vec<Finding>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Good(String),
    Warning(String),
    Fatal(String, String),
    Loss(String),
}

impl Findings {
    /// Something that is as it should be.
    pub fn good(&mut self, text: impl Into<String>) {
        self.0.push(Finding::Good(text.into()));
    }

    /// Something a person should know.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.0.push(Finding::Warning(text.into()));
    }

    /// Something that is in the way, and what to do about it.
    pub fn fail(&mut self, text: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding::Fatal(text.into(), hint.into()));
    }

    /// Something that will be destroyed.
    pub fn lose(&mut self, text: impl Into<String>) {
        self.0.push(Finding::Loss(text.into()));
    }

    /// Adds all of the others.
    pub fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// As the answer of a check.
    #[must_use]
    pub fn report(&self) -> CheckReport {
        self.0.iter().fold(CheckReport::live(), |report, finding| match finding {
            Finding::Good(text) => report.good(text),
            Finding::Warning(text) => report.bad(text),
            Finding::Fatal(text, hint) => report.bad(format!("{text}; {hint}")),
            Finding::Loss(text) => report.loses(text),
        })
    }

    /// The failure, if anything is in the way.
    #[must_use]
    pub fn failure(&self, tried: &str) -> Option<Failure> {
        let fatal: Vec<(&str, &str)> = self
            .0
            .iter()
            .filter_map(|finding| match finding {
                Finding::Fatal(text, hint) => Some((text.as_str(), hint.as_str())),
                _ => None,
            })
            .collect();
        let texts: Vec<&str> = fatal.iter().map(|(text, _)| *text).collect();
        let hints: Vec<&str> = fatal.iter().map(|(_, hint)| *hint).collect();
        (!fatal.is_empty()).then(|| Failure::new(FailureKind::Rule, tried, texts.join("\n")).hint(hints.join("\n")))
    }

    /// The ending with all warnings.
    pub fn warned(&self, done: StepDone) -> StepDone {
        self.0.iter().fold(done, |done, finding| match finding {
            Finding::Warning(text) => done.warn(text),
            _ => done,
        })
    }

    /// The things that are fine, for people who watch.
    pub fn fine(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|finding| match finding {
            Finding::Good(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// All texts, for tests.
    #[cfg(test)]
    pub fn texts(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|finding| match finding {
                Finding::Good(text) => format!("good: {text}"),
                Finding::Warning(text) => format!("warning: {text}"),
                Finding::Fatal(text, _) => format!("fatal: {text}"),
                Finding::Loss(text) => format!("loss: {text}"),
            })
            .collect()
    }
}
