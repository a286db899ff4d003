//! Before a run begins or goes on: nothing of another run of this estate may still be at work on any host. The lock is
//! held by now, so that such a run has no process on this machine any more; but what it began on hosts outlives it.
//!
//! It must not end anything: whose work it is, and whether it is still wanted, a person decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::live::Live;
use super::preview::LOOKING;
use super::{App, CliError, Exit};
use crate::model::{HostName, RunId, RunOutcome, SiteName, UnitKey};
use crate::port::{Place, ReachError};
use crate::run::{JobAt, RunState};
use crate::runbook::Mode;
use crate::systems::{Catalogue, Effect};

/// How long a host may take to answer. One that is switched off says nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// Work of another run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    run: String,
    /// A job, or what a step may have begun.
    what: String,
    place: Place,
    /// Why its host could not be asked; nothing when the host says that it works.
    silence: Option<String>,
}

/// What our own record knows to have been begun at one of these places, and does not know to have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Loose {
    run: RunId,
    what: String,
    site: Option<SiteName>,
    /// Nothing when it is not known which of the site's hosts was chosen.
    host: Option<HostName>,
}

impl Loose {
    fn may_be_at(&self, place: &Place) -> bool {
        match place {
            Place::Console => self.site.is_none(),
            Place::Host(site, host) => {
                self.site.as_ref() == Some(site) && self.host.as_ref().is_none_or(|wanted| wanted == host)
            }
        }
    }
}

/// Refuses to begin `run`, or to go on with it, beside the work of another run.
///
/// Every host says which jobs of this estate work on it, whoever began them. A host that does not answer is taken at the
/// word of our own record: what that does not know to have ended may still work there. Where the active site is lost its
/// hosts are silent: then, with `Mode::Failover`, that is a warning.
///
/// # Errors
/// `Refused`, with the jobs, their hosts and the ways on.
pub(super) async fn refuse_beside_others(app: &mut App, live: &Live, run: &RunId, mode: Mode) -> Result<(), CliError> {
    let said = live.world.jobs_at_work(PATIENCE).await;
    let silent: BTreeMap<&Place, &ReachError> =
        said.iter().filter_map(|(place, said)| Some((place, said.as_ref().err()?))).collect();
    let loose = if silent.is_empty() { Vec::new() } else { loose_ends(app, live, run) };
    let known = live.record.store.run_ids().unwrap_or_default();
    let (working, doubtful) = (working(&said, run), doubtful(&silent, &loose));
    if !doubtful.is_empty() && mode == Mode::Failover {
        for found in &doubtful {
            writeln!(app.io.err, "warning: {}", sentence(found))?;
        }
    }
    let doubtful = if mode == Mode::Failover { Vec::new() } else { doubtful };
    refusal(&[working, doubtful].concat(), &known).map_or(Ok(()), Err)
}

/// The jobs of other runs that hosts say are at work.
fn working(said: &BTreeMap<Place, Result<Vec<String>, ReachError>>, run: &RunId) -> Vec<Found> {
    let jobs = said.iter().flat_map(|(place, said)| said.iter().flatten().map(move |job| (place, job)));
    // The name of a job begins with that of its run.
    let named = jobs.map(|(place, job)| Found {
        run: job.split('.').next().unwrap_or_default().to_owned(),
        what: format!("job {job}"),
        place: place.clone(),
        silence: None,
    });
    named.filter(|found| found.run != run.as_str() && !found.run.starts_with(LOOKING)).collect()
}

/// What may be at work on hosts that do not answer. A host that is not in the estate any more was taken out by somebody
/// who knew.
fn doubtful(silent: &BTreeMap<&Place, &ReachError>, loose: &[Loose]) -> Vec<Found> {
    let at = |loose: &Loose| {
        let places = silent.iter().filter(|(place, _)| loose.may_be_at(place));
        let found = places.map(|(place, error)| Found {
            run: loose.run.to_string(),
            what: loose.what.clone(),
            place: (*place).clone(),
            silence: Some(error.got.clone()),
        });
        found.collect::<Vec<_>>()
    };
    loose.iter().flat_map(at).collect()
}

fn loose_ends(app: &App, live: &Live, run: &RunId) -> Vec<Loose> {
    let store = &live.record.store;
    let others = store.run_ids().unwrap_or_default().into_iter().filter(|other| other != run);
    let unfinished = others.filter(|other| {
        let facts = store.listing(other.clone()).facts;
        facts.is_ok_and(|facts| !matches!(facts.outcome(), Some(RunOutcome::Done { .. })))
    });
    // A record that contradicts itself is told where its run is looked at.
    let states = unfinished.filter_map(|other| RunState::replay(&store.open_run(&other).ok()?.events().ok()?).ok());
    states.flat_map(|state| loose_ends_of(&state, &app.catalogue)).collect()
}

fn loose_ends_of(state: &RunState, kinds: &Catalogue) -> Vec<Loose> {
    let changes = |unit: &UnitKey| {
        let kind = state.plan.step(&unit.step).and_then(|step| kinds.kind(&step.uses));
        kind.is_none_or(|kind| kind.effect != Effect::Reads)
    };
    let of = |unit: &UnitKey, jobs: &BTreeSet<JobAt>| {
        let begun = |what: String, site, host| Loose { run: state.run.clone(), what, site, host };
        // The program may have died before it could write down what it had begun.
        if jobs.is_empty() {
            return vec![begun(format!("what {unit} began"), unit.site.clone(), unit.host.clone())];
        }
        let jobs = jobs.iter().map(|job| {
            let (site, host) = job.host.clone().unzip();
            begun(format!("job {}", job.name), site, host)
        });
        jobs.collect()
    };
    let units = state.units.iter().filter(|(key, unit)| unit.loose_since.is_some() && changes(key));
    units.flat_map(|(key, unit)| of(key, &unit.jobs)).collect()
}

fn sentence(found: &Found) -> String {
    let Found { what, place, silence, .. } = found;
    match silence {
        None => format!("{what} is still at work on {place}"),
        Some(why) => format!("{what} may still be at work on {place}, which does not answer ({why})"),
    }
}

fn refusal(found: &[Found], known: &[RunId]) -> Option<CliError> {
    let first = found.first()?;
    let mut message =
        "another run of this estate has left work on its hosts, and nothing is begun beside it".to_owned();
    for one in found {
        write!(message, "\n  {}", sentence(one)).expect("text can be written");
    }
    let run = &first.run;
    let mut error = CliError::new(Exit::Refused, message);
    error = if known.iter().any(|one| one.as_str() == run.as_str()) {
        error.hint(format!(
            "`changeover resume {run}` takes that run up where it is; `changeover cancel --now {run}`, once it does, stops it \
             with its work"
        ))
    } else {
        error.hint(format!(
            "this machine has no record of run {run}: see on the machine that began it whether it is wanted (`changeover \
             runs list`), and wait for it or cancel it there"
        ))
    };
    Some(if found.iter().any(|one| one.silence.is_some()) {
        error.hint("when a host is gone for good, take it out of the estate")
    } else {
        error
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostName, SiteName};
    use crate::port::ReachErrorKind;

    const OLD: &str = "r-20260101-000000-aaaa.sql-dump~dump@prod.1.dump";

    fn run(text: &str) -> RunId {
        RunId::new(text).expect("a run")
    }

    fn host(name: &str) -> (SiteName, HostName) {
        (SiteName::new("prod").expect("a site"), HostName::new(name).expect("a host"))
    }

    fn at(name: &str) -> Place {
        let (site, host) = host(name);
        Place::Host(site, host)
    }

    #[test]
    fn own_work_is_no_reason_and_the_work_of_others_is() {
        let own = "r-20260202-000000-bbbb.sql-dump~dump@prod.1.dump";
        let said = BTreeMap::from([
            (at("app1"), Ok(vec![own.to_owned(), OLD.to_owned()])),
            (at("app2"), Ok(vec!["look-20260303-000000-cccc.files~look@prod.1.count".to_owned()])),
            (Place::Console, Ok(vec![own.to_owned()])),
        ]);
        let found = working(&said, &run("r-20260202-000000-bbbb"));
        let (what, old) = (format!("job {OLD}"), "r-20260101-000000-aaaa".to_owned());
        assert_eq!(found, [Found { run: old, what, place: at("app1"), silence: None }]);
        let error = refusal(&found, &[run("r-20260101-000000-aaaa")]).expect("a refusal");
        assert_eq!(error.exit, Exit::Refused);
        assert!(error.message.as_str().contains("is still at work on prod:app1"), "{}", error.message);
        assert!(error.hints[0].as_str().contains("changeover resume r-20260101-000000-aaaa"), "{:?}", error.hints);
        let error = refusal(&found, &[]).expect("a refusal");
        assert!(error.hints[0].as_str().contains("this machine has no record of run r-20260101"), "{:?}", error.hints);
        assert_eq!(
            refusal(&working(&said, &run("r-20260101-000000-aaaa")), &[]).map(|error| error.exit),
            Some(Exit::Refused)
        );
        assert_eq!(refusal(&[], &[]), None);
    }

    #[test]
    fn a_host_that_is_silent_is_in_doubt_only_for_what_is_on_record() {
        let error = ReachError::new(ReachErrorKind::Unreachable, "prod:app1", "no answer");
        let silent_host = at("app1");
        let silent = BTreeMap::from([(&silent_host, &error)]);
        let on = |site: Option<&str>, name: Option<&str>| Loose {
            run: run("r-20260101-000000-aaaa"),
            what: "job x".to_owned(),
            site: site.map(|site| SiteName::new(site).expect("a site")),
            host: name.map(|name| HostName::new(name).expect("a host")),
        };
        // Nothing on record; on hosts that answered, or that the estate does not have any more; on this machine.
        for loose in [&[][..], &[on(Some("prod"), Some("app2"))], &[on(Some("bcp"), None)], &[on(None, None)]] {
            assert_eq!(doubtful(&silent, loose), [], "{loose:?}");
        }
        for loose in [on(Some("prod"), Some("app1")), on(Some("prod"), None)] {
            let error = refusal(&doubtful(&silent, &[loose]), &[]).expect("a refusal");
            let message = error.message.as_str();
            assert!(message.contains("job x may still be at work on prod:app1, which does not answer"), "{message}");
            let hint = |words: &str| error.hints.iter().any(|hint| hint.as_str().contains(words));
            assert!(hint("take it out of the estate"), "{:?}", error.hints);
        }
    }
}
