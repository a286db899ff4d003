//! What the screen is told of things that it does not look into itself.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Direction, HostName, RunId, SafeText, SiteName, Span, StageId, StepKey};
use crate::runbook::{Mode, Param, PlannedStep, as_typed};

/// The word of the mode that rehearses.
pub const DRILL: &str = "drill";

/// The estate, as far as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct EstateFacts {
    /// Its name.
    pub name: SafeText,
    /// The two sites, in the order of their names: left and right.
    pub sites: Vec<SiteFacts>,
    /// What may be lost at most.
    pub rpo: Option<Span>,
}

/// One site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteFacts {
    /// Its name.
    pub name: crate::model::SiteName,
    /// For people.
    pub title: SafeText,
    /// Kinds of its services, by name.
    pub services: BTreeMap<crate::model::ServiceName, SafeText>,
}

/// Which way the estate goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DirectionFacts {
    /// The direction; nothing when it is not known or refused.
    pub direction: Option<Direction>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// Why there is none, or what one site could not say.
    pub trouble: Option<SafeText>,
}

/// A theme that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemeFacts {
    /// Its name.
    pub name: String,
    /// Its title, or that it cannot be used.
    pub title: SafeText,
}

/// A runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct RunbookFacts {
    /// Its name.
    pub name: SafeText,
    /// Its title, as written.
    pub title: SafeText,
    /// Its mode.
    pub mode: SafeText,
    /// Who loses what by it, in its own words; empty when it does not say.
    pub loses: SafeText,
    /// How hard it is to start: 1 wants `y`, 2 a phrase.
    pub level: u8,
    /// Where it came from.
    pub origin: SafeText,
    /// Its text.
    pub text: SafeText,
    /// The digest of its text as it stands in the file, as plans name their origin by.
    pub digest: String,
    /// Its parameters.
    pub params: Vec<ParamFacts>,
    /// What is wrong with it; it cannot be started then.
    pub trouble: Option<SafeText>,
}

/// A parameter of a runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamFacts {
    /// Its name.
    pub name: String,
    /// What it may be: by this, what is typed for it is read here as in a plan.
    pub rule: Param,
}

impl ParamFacts {
    /// What it means.
    #[must_use]
    pub fn help(&self) -> SafeText {
        SafeText::line(&self.rule.help)
    }

    /// What it is when nothing is said, as it is typed; nothing when it must be said.
    #[must_use]
    pub fn default(&self) -> Option<String> {
        self.rule.default.as_ref().map(as_typed)
    }

    /// The only values there are, as they are typed, where they can be listed.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        self.rule.options().iter().map(as_typed).collect()
    }
}

/// What a runbook would do.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanShown {
    /// The runbook.
    pub runbook: SafeText,
    /// The parameters that it was planned with.
    pub params: BTreeMap<String, String>,
    /// The digest of the plan; nothing when it could not be planned.
    pub digest: Option<String>,
    /// Stages, steps, hosts, requests.
    pub text: SafeText,
    /// What will be lost by it, as far as that can be known.
    pub losses: Vec<SafeText>,
    /// What replaces or removes something, and cannot say beforehand what.
    pub unknown_losses: Vec<SafeText>,
    /// Findings that are no good news.
    pub findings: Vec<SafeText>,
    /// Where it changes what, and up to where there is a way back.
    pub extent: Extent,
    /// When the sites were asked.
    pub at: Timestamp,
}

/// Where a plan changes what, and up to where there is a way back, by what its step kinds declare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extent {
    /// The places that it works at: source, target, and this machine if something is done there but asking and waiting.
    pub places: Vec<PlaceFacts>,
    /// The steps that the runbook marks: after them there is no way back.
    pub no_return: Vec<StepKey>,
    /// Steps that replace, remove, or do nobody knows what, without such a mark and without waiting for one that has it.
    pub unmarked: Vec<StepKey>,
}

/// What a plan does at one place, in names of hosts, services and the exchange tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceFacts {
    /// The site; nothing for this machine.
    pub site: Option<SiteName>,
    /// Where something is added or done again.
    pub written: Vec<SafeText>,
    /// Where something is replaced or removed.
    pub replaced: Vec<SafeText>,
    /// What is only read.
    pub read: Vec<SafeText>,
}

/// What a step works on at one of its places: the host, else the service, else the exchange tree.
#[must_use]
pub fn place_name(step: &PlannedStep, host: Option<&HostName>) -> String {
    match (host, &step.service) {
        (Some(host), _) => host.to_string(),
        (None, Some(service)) => service.to_string(),
        (None, None) if step.uses.starts_with("exchange.") => "exchange tree".to_owned(),
        (None, None) => "exchange host".to_owned(),
    }
}

/// A run of the past, or one that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub run: RunId,
    /// The runbook.
    pub runbook: SafeText,
    /// Its title.
    pub title: SafeText,
    /// Its mode.
    pub mode: SafeText,
    /// Its direction.
    pub direction: SafeText,
    /// Who asked for it.
    pub by: SafeText,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, or has taken.
    pub took: Duration,
    /// How it is or ended, in a word.
    pub word: SafeText,
    /// What that means.
    pub mark: crate::style::Mark,
    /// True when its process lives.
    pub alive: bool,
    /// True when it can be taken up again.
    pub resumable: bool,
    /// How long its stages took, for those that ended well.
    pub stages: BTreeMap<StageId, Duration>,
    /// The restore point that it made.
    pub point: Option<PointRow>,
}

/// A restore point that a run made.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRow {
    /// Its id.
    pub id: SafeText,
    /// Bytes that it has, when that was counted.
    pub bytes: Option<u64>,
    /// Nothing when it is complete, otherwise why not.
    pub incomplete: Option<SafeText>,
    /// True when the run saw it whole at the target: a copy. A run that only makes a point, for another one to carry over,
    /// never says so.
    pub arrived: bool,
}

/// The word of a mode, as it is written in runbooks.
#[must_use]
pub fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Replicate => "replicate",
        Mode::Reverse => "reverse",
        Mode::Failover => "failover",
        Mode::Drill => DRILL,
        Mode::Restore => "restore",
        Mode::Maintenance => "maintenance",
    }
}

/// How hard a runbook is to begin, and its runs to take up again: what makes another site serve, or brings an older
/// state back, wants a phrase.
#[must_use]
pub fn level(mode: Mode) -> u8 {
    match mode {
        Mode::Replicate | Mode::Maintenance | Mode::Drill => 1,
        Mode::Reverse | Mode::Failover | Mode::Restore => 2,
    }
}

/// The usual duration of a runbook: the middle one of its latest good runs.
#[must_use]
pub fn usual(runs: &[RunRow], runbook: &SafeText) -> Option<Duration> {
    middle(good(runs, runbook).map(|run| run.took).collect())
}

/// The usual duration of each stage of a runbook.
#[must_use]
pub fn usual_stages(runs: &[RunRow], runbook: &SafeText) -> BTreeMap<StageId, Duration> {
    let mut all: BTreeMap<StageId, Vec<Duration>> = BTreeMap::new();
    for run in good(runs, runbook) {
        for (stage, took) in &run.stages {
            all.entry(stage.clone()).or_default().push(*took);
        }
    }
    all.into_iter().filter_map(|(stage, took)| Some((stage, middle(took)?))).collect()
}

/// The latest good runs of a runbook, as many as say what is usual.
fn good<'a>(runs: &'a [RunRow], runbook: &'a SafeText) -> impl Iterator<Item = &'a RunRow> {
    use crate::style::Mark;
    runs.iter().filter(move |run| run.runbook == *runbook && matches!(run.mark, Mark::Ok | Mark::Warn)).take(10)
}

fn middle(mut durations: Vec<Duration>) -> Option<Duration> {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}
