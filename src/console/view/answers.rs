//! The answers that a question gives, each at its place: what, where, who loses, what is lost, the way back, how fresh
//! that is. For a plan that is to begin, and for a run that goes on, as far as its plan and its events tell.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::site_scope;
use super::paint::{Row, wrapped};
use super::{safe, span};
use crate::console::action::Action;
use crate::console::dialog::Deed;
use crate::console::facts::{Extent, PlaceFacts, place_name};
use crate::console::run_view::{RunView, since};
use crate::console::state::State;
use crate::model::{CancelReason, Outcome, SafeText, SiteName, StepKey, UnitKey};
use crate::run::{Prompt, PromptKind, RunState, UnitPhase};
use crate::runbook::{PlannedStep, PlannedTarget};
use crate::style::Scope;

/// Where the answers begin, beside what they answer.
pub(super) const COLUMN: usize = 11;

/// An answer, over as many lines as it needs: nothing of it is cut.
pub(super) fn answer(label: &'static str, scope: Scope, text: &str, width: usize) -> Vec<Row> {
    let lines = wrapped(text, width.saturating_sub(COLUMN)).into_iter().enumerate();
    lines.map(|(number, line)| labelled(label, number).put(scope, safe(line))).collect()
}

fn labelled(label: &'static str, line: usize) -> Row {
    Row::new().put(Scope::Muted, if line == 0 { label } else { "" }).to(COLUMN)
}

/// An answer about a site, which is named in its own colour.
fn at_site(state: &State, label: &'static str, site: &SiteName, text: &str, width: usize) -> Vec<Row> {
    let name = site.as_str().to_uppercase();
    let lines = wrapped(&format!("{name}{text}"), width.saturating_sub(COLUMN)).into_iter().enumerate();
    lines
        .map(|(number, line)| match line.strip_prefix(&name).filter(|_| number == 0) {
            Some(rest) => labelled(label, 0).put(site_scope(state, site), safe(&name)).plain(safe(rest)),
            None => labelled(label, number).plain(safe(line)),
        })
        .collect()
}

/// Where a plan changes something, and where it only looks.
pub(super) fn places(state: &State, extent: &Extent, width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for place in &extent.places {
        let label = if rows.is_empty() { "where" } else { "" };
        let text = does(place);
        rows.extend(match &place.site {
            Some(site) => at_site(state, label, site, &text, width),
            None => answer(label, Scope::Plain, &format!("this machine{text}"), width),
        });
    }
    if rows.is_empty() {
        rows = answer("where", Scope::Plain, "at no site: it only asks or waits, on this machine", width);
    }
    rows
}

/// What is done at a place. What is only read beside something that is changed is left out, and what is replaced is not
/// named again among what is written to.
fn does(place: &PlaceFacts) -> String {
    let written: Vec<SafeText> = place.written.iter().filter(|name| !place.replaced.contains(name)).cloned().collect();
    let (adds, replaced) = (listed(&written, ", "), listed(&place.replaced, ", "));
    match (written.is_empty(), place.replaced.is_empty()) {
        (true, true) => format!(" is only read: {}", listed(&place.read, ", ")),
        (false, true) => format!(" is written to: {adds}"),
        (true, false) => format!(" is changed, with things replaced or removed: {replaced}"),
        (false, false) => format!(" is written to: {adds}; has things replaced or removed: {replaced}"),
    }
}

fn listed(names: &[SafeText], between: &str) -> String {
    names.iter().map(SafeText::as_str).collect::<Vec<_>>().join(between)
}

fn steps(keys: &[StepKey], between: &str) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// Who loses something: as the runbook says, or as far as it follows from what is changed.
pub(super) fn who_loses(says: &SafeText, mode: &str, extent: &Extent) -> String {
    if !says.is_empty() {
        return says.to_string();
    }
    match mode {
        "reverse" => return "everybody, while the direction turns".to_owned(),
        "failover" => return "whoever still writes to the site that is given up".to_owned(),
        _ => {}
    }
    let changed = |place: &PlaceFacts| {
        let names: BTreeSet<&str> = place.written.iter().chain(&place.replaced).map(SafeText::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let at = place.site.as_ref().map_or_else(|| "this machine".to_owned(), |site| site.as_str().to_uppercase());
        (!names.is_empty()).then(|| format!("{} at {at}", names.join(", ")))
    };
    let changed: Vec<String> = extent.places.iter().filter_map(changed).collect();
    if changed.is_empty() {
        "nobody: nothing is changed".to_owned()
    } else {
        format!("the runbook does not say; at most whoever uses {}", changed.join(", and "))
    }
}

/// Up to where there is a way back from a plan.
pub(super) fn way_back(state: &State, extent: &Extent) -> String {
    let stop = format!("{} in pane 3 stops it", state.settings.keys.hint(Action::CancelRun));
    let (marked, others) = (steps(&extent.no_return, " or "), steps(&extent.unmarked, ", "));
    match (extent.no_return.is_empty(), extent.unmarked.is_empty()) {
        (false, true) => {
            format!("until {marked} begins, {stop} and nothing is lost; after that there is no way back")
        }
        (false, false) => format!(
            "until {marked} begins, {stop}, and only what {others} changed by then stays changed; after that there is no \
             way back"
        ),
        (true, false) => {
            format!(
                "{stop} at any time; what {others} changed by then stays changed. No step is marked as the last one"
            )
        }
        (true, true) => format!("{stop} at any time: no step replaces or removes anything that is used"),
    }
}

/// The way back from a run that goes on: whether a step has begun after which there is none.
fn way_back_now(run: &RunState, and_then: &str) -> String {
    let began = |step: &&PlannedStep| {
        step.units().any(|(unit, _)| run.units.get(&unit).is_some_and(|facts| facts.attempts > 0))
    };
    let marked: Vec<&PlannedStep> = run.plan.steps().filter(|step| step.point_of_no_return).collect();
    let gone: Vec<StepKey> = marked.iter().copied().filter(began).map(|step| step.key.clone()).collect();
    let all: Vec<StepKey> = marked.iter().map(|step| step.key.clone()).collect();
    match (all.is_empty(), gone.is_empty()) {
        (true, _) => format!("{and_then}; no step is marked as one after which there is none"),
        (false, true) => format!("{and_then}; there is one until {} begins", steps(&all, " or ")),
        (false, false) => format!("none to what was before {}, which has begun; {and_then}", steps(&gone, ", ")),
    }
}

/// Where steps work, by site.
fn where_now<'a>(
    state: &State,
    units: impl Iterator<Item = (&'a PlannedStep, &'a PlannedTarget)>,
    width: usize,
) -> Vec<Row> {
    let mut sites: BTreeMap<&SiteName, BTreeSet<String>> = BTreeMap::new();
    let mut here = false;
    for (step, target) in units {
        match &target.site {
            Some(site) => drop(sites.entry(site).or_default().insert(place_name(step, target.host.as_ref()))),
            None => here = true,
        }
    }
    let mut rows = Vec::new();
    for (site, names) in sites {
        let label = if rows.is_empty() { "where" } else { "" };
        let names: Vec<String> = names.into_iter().collect();
        rows.extend(at_site(state, label, site, &format!(": {}", names.join(", ")), width));
    }
    if here {
        let label = if rows.is_empty() { "where" } else { "" };
        rows.extend(answer(label, Scope::Plain, "this machine", width));
    }
    rows
}

/// The units that work now.
fn running(run: &RunState) -> impl Iterator<Item = (&PlannedStep, &PlannedTarget)> {
    let is_running = |unit: &UnitKey| run.units.get(unit).is_some_and(|facts| facts.phase == UnitPhase::Running);
    run.plan
        .steps()
        .flat_map(|step| step.units().map(move |(unit, target)| (step, unit, target)))
        .filter(move |(_, unit, _)| is_running(unit))
        .map(|(step, _, target)| (step, target))
}

/// What a question of a run is about: the place of its unit, the whole of a step that is to begin, or what follows a
/// step that only asks.
fn asked_about<'a>(run: &'a RunState, prompt: &Prompt) -> Vec<(&'a PlannedStep, &'a PlannedTarget)> {
    let Some(step) = run.plan.step(&prompt.unit.step) else { return Vec::new() };
    let all = |step: &'a PlannedStep| step.targets.iter().map(move |target| (step, target));
    match prompt.kind {
        PromptKind::Failed | PromptKind::Interrupted => {
            step.units().filter(|(unit, _)| *unit == prompt.unit).map(|(_, target)| (step, target)).collect()
        }
        PromptKind::Confirm if prompt.unit.site.is_some() => all(step).collect(),
        PromptKind::Confirm => {
            let is_open = |other: &&PlannedStep| other.key != step.key && run.step_outcome(other).is_none();
            let same = run.plan.stage(&step.key.stage).into_iter().flat_map(|stage| &stage.steps).filter(is_open);
            let same: Vec<&PlannedStep> = same.collect();
            let next = run.plan.stages.iter().filter(|stage| stage.needs.contains(&step.key.stage));
            let next = next.flat_map(|stage| &stage.steps).filter(|_| same.is_empty());
            let following: Vec<_> = same.iter().copied().chain(next).flat_map(all).collect();
            if following.is_empty() { all(step).collect() } else { following }
        }
    }
}

/// The answers about a question of a run, as far as its plan and its events tell them.
pub(super) fn of_prompt(state: &State, run: &RunView, prompt: &Prompt, width: usize) -> Vec<Row> {
    let about = asked_about(&run.state, prompt);
    let mut rows = where_now(state, about.iter().copied(), width);
    let plan = state.settings.keys.hint(Action::PlanRunbook);
    let marked: BTreeSet<StepKey> =
        about.iter().filter(|(step, _)| step.point_of_no_return).map(|(step, _)| step.key.clone()).collect();
    let marked: Vec<StepKey> = marked.into_iter().collect();
    let (scope, lost, stop) = match prompt.kind {
        PromptKind::Confirm if marked.is_empty() => (
            Scope::Plain,
            format!("not measured by the run; {plan} in pane 2 plans it and tells"),
            "`no` stops it here",
        ),
        PromptKind::Confirm => (
            Scope::Danger,
            format!("what {} replaces; how much, {plan} in pane 2 tells", steps(&marked, ", ")),
            "`no` stops it here",
        ),
        PromptKind::Failed => {
            (Scope::Warn, "not known: what it had changed before it failed".to_owned(), "`stop` ends it here")
        }
        PromptKind::Interrupted => {
            (Scope::Warn, "not known: what it had done by then; the host shows it".to_owned(), "`stop` ends it here")
        }
    };
    let resume = state.settings.keys.hint(Action::ResumeRun);
    let and_then = format!("{stop}, {resume} takes it up again");
    rows.extend(answer("who loses", Scope::Plain, &who_loses_by(state, &run.state), width));
    rows.extend(answer("is lost", scope, &lost, width));
    rows.extend(answer("way back", Scope::Plain, &way_back_now(&run.state, &and_then), width));
    rows.extend(as_of(state, run, width));
    rows
}

/// Who loses by a run: as its runbook says today, if it is among those here.
fn who_loses_by(state: &State, run: &RunState) -> String {
    let book = state.runbooks.iter().find(|book| book.name.as_str() == run.plan.runbook.as_str());
    match book {
        Some(book) if !book.loses.is_empty() => book.loses.to_string(),
        _ => "not known: the runbook does not say".to_owned(),
    }
}

/// The answers about what is to be done to the run in sight; nothing where there is none to say it of.
pub(super) fn of_deed(state: &State, deed: &Deed, width: usize) -> Vec<Row> {
    let Some(run) = &state.run else { return Vec::new() };
    let units = &run.state.units;
    let done = units.values().filter(|unit| unit.outcome().is_some_and(Outcome::is_good)).count();
    let left = format!("nothing that is done is taken back: {done} of {} units", units.len());
    let hint = |action| state.settings.keys.hint(action);
    let (resume, go_on, stop) = (hint(Action::ResumeRun), hint(Action::ContinueRun), hint(Action::CancelRun));
    let half = "; what runs now may be left half done on its hosts";
    let (lost, back) = match deed {
        Deed::Cancel(CancelReason::OperatorNow) => {
            (format!("{left}{half}"), way_back_now(&run.state, &format!("{resume} goes on where it stopped")))
        }
        Deed::Cancel(_) => (left, way_back_now(&run.state, &format!("{resume} goes on where it stopped"))),
        Deed::Pause => (left, format!("{go_on} goes on; {stop} stops it")),
        Deed::Continue => (left, way_back_now(&run.state, &format!("{stop} stops it"))),
        Deed::Resume(id) if *id == run.id => (
            format!("{left}; what the rest replaces, {} in pane 2 tells", hint(Action::PlanRunbook)),
            way_back_now(&run.state, &format!("{stop} stops it")),
        ),
        Deed::Resume(_) | Deed::RetryNow(_) => return Vec::new(),
    };
    let mut rows = match deed {
        Deed::Continue | Deed::Resume(_) => where_now(state, still_open(&run.state), width),
        _ => where_now(state, running(&run.state), width),
    };
    if rows.is_empty() {
        rows = answer("where", Scope::Plain, "no step runs now", width);
    }
    if !matches!(deed, Deed::Pause) {
        rows.extend(answer("who loses", Scope::Plain, &who_loses_by(state, &run.state), width));
    }
    rows.extend(answer("is lost", Scope::Plain, &lost, width));
    rows.extend(answer("way back", Scope::Plain, &back, width));
    rows.extend(as_of(state, run, width));
    rows
}

/// The units that have not ended well.
fn still_open(run: &RunState) -> impl Iterator<Item = (&PlannedStep, &PlannedTarget)> {
    let is_good = |unit: &UnitKey| run.units.get(unit).and_then(|facts| facts.outcome()).is_some_and(Outcome::is_good);
    run.plan
        .steps()
        .flat_map(|step| step.units().map(move |(unit, target)| (step, unit, target)))
        .filter(move |(_, unit, _)| !is_good(unit))
        .map(|(step, _, target)| (step, target))
}

/// How fresh what a question about a run shows is.
fn as_of(state: &State, run: &RunView, width: usize) -> Vec<Row> {
    let told = span(since(run.state.updated, state.now));
    answer("as of", Scope::Muted, &format!("the run's last word, {told} ago; now {}", state.observed()), width)
}
