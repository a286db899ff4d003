//! The answers that a question gives, each at its place: what, where, who loses, what is lost, the way back. Nothing of
//! them is cut, and what is not known is said to be so.

use std::collections::BTreeSet;

use super::frame::site_scope;
use super::paint::{Row, wrapped};
use super::safe;
use crate::console::action::Action;
use crate::console::facts::{Extent, PlaceFacts};
use crate::console::state::State;
use crate::model::{SafeText, SiteName, StepKey};
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
