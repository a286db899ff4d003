//! `changeover status`: which way the direction goes, what both sites say, what runs, how old the last good copy is, and
//! how well both sites are.

mod follow;
mod health;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::direction::{NoDirection, SiteSays, choose};
use super::live::Live;
use super::runs::word;
use super::{App, CliError, Exit};
use crate::estate::Estate;
use crate::health::{Around, HealthState, Verdict, last_point, plan, round, unseen};
use crate::journal::RunFacts;
use crate::model::{Direction, RunId, RunOutcome, SafeText, SiteName, Span};
use crate::port::Clock as _;
use crate::run::EventKind;
use crate::runbook::Mode;
use crate::style::Look;
pub(super) use follow::changed;
use health::View;

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print JSON; with `--watch`, one object for each change
    #[arg(long)]
    json: bool,
    /// Go on looking, and show what changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// What was asked of both sites.
struct Asked {
    says: Vec<(SiteName, SiteSays)>,
    /// The direction that the health is judged by: the chosen one, else the one that the estate begins with.
    judged_by: Direction,
    state: HealthState,
}

/// Asks both sites for everything, all at once: a site that cannot be reached costs one deadline.
async fn ask(app: &App, live: &Live) -> Result<Asked, CliError> {
    let estate = &live.record.estate;
    let first = estates_own(estate)?;
    let plan = plan(estate, &app.catalogue);
    let around = Around { reach: live.world.clone(), clock: live.clock.clone(), estate: Arc::clone(estate) };
    let says = super::direction::ask_sites(&*live.world, estate);
    let (says, mut looks) = tokio::join!(says, round(&plan, &around, &first));
    let judged_by = choose(estate, &says, None).unwrap_or_else(|_| first.clone());
    if judged_by != first {
        // The direction has been turned since the estate was written: what is right at either end is another thing.
        looks = round(&plan, &around, &judged_by).await;
    }
    let mut state = unseen(&plan);
    for look in &looks {
        state.apply(look);
    }
    Ok(Asked { says, judged_by, state })
}

/// The direction that the estate begins with.
fn estates_own(estate: &Estate) -> Result<Direction, CliError> {
    let first = estate.direction_from(&estate.active);
    first.ok_or_else(|| CliError::invalid("the estate does not have exactly two sites"))
}

/// The newest run that carried a copy over in the direction, and ended well.
struct CopyRun {
    run: String,
    point: String,
    at: Timestamp,
}

/// All that is told beside the health.
struct Summary {
    says: Vec<(SiteName, SiteSays)>,
    chosen: Result<Direction, NoDirection>,
    /// Runs that have not ended: id, state, title.
    unfinished: Vec<(RunId, String, String)>,
    copied: Option<CopyRun>,
}

impl Summary {
    /// Reads the record of this machine beside what the sites say.
    fn read(live: &Live, says: Vec<(SiteName, SiteSays)>) -> Result<Self, CliError> {
        let chosen = choose(&live.record.estate, &says, None);
        let listings = live.record.store.list().map_err(|error| super::live::not_kept(&error))?;
        let (mut unfinished, mut copied) = (Vec::new(), None);
        for listing in &listings {
            // The two ends of a journal say enough of a run that has ended; there may be thousands of them.
            let Ok(facts) = &listing.facts else { continue };
            if facts.outcome().is_none()
                && let Ok(state) = live.record.state(&listing.run)
            {
                unfinished.push((state.run.clone(), word(listing, &state), state.plan.title.clone()));
            }
            if copied.is_none()
                && let Ok(direction) = &chosen
            {
                copied = copy_of(facts, direction);
            }
        }
        Ok(Self { says, chosen, unfinished, copied })
    }

    /// How old the last good copy is: as the standby's tree says, or where that could not be read, as the newest run that
    /// carried one over.
    fn copy_age(&self, view: &View<'_>) -> Option<Span> {
        let age = |at: Timestamp| Span(Duration::try_from(view.now.duration_since(at)).unwrap_or_default());
        match last_point(view.state, &view.direction.target, view.now) {
            Some(seen) => seen.age,
            None => self.copied.as_ref().map(|copied| age(copied.at)),
        }
    }

    /// True when there is no copy, or none as young as was promised.
    fn is_late(&self, view: &View<'_>) -> bool {
        let rpo = view.estate.objectives.rpo;
        self.copy_age(view).is_none_or(|age| rpo.is_some_and(|rpo| age > rpo))
    }

    fn exit(&self, view: &View<'_>) -> Exit {
        let unknown = self.says.iter().any(|(_, says)| matches!(says, SiteSays::Unknown(_)));
        exit(self.chosen.is_err(), unknown, self.is_late(view), view.worst())
    }

    fn lines(&self, view: &View<'_>) -> Vec<String> {
        let name = &view.estate.name;
        let mut lines = vec![match &self.chosen {
            Ok(direction) => format!("{name}: {} ==> {}", direction.source, direction.target),
            Err(problem) => format!("{name}: NO DIRECTION: {}", SafeText::block(&problem.to_string())),
        }];
        lines.extend(self.says.iter().map(|(site, says)| format!("  {site:<10} {}", site_text(says))));
        lines.push(match self.copy_age(view) {
            Some(age) => {
                let late = if self.is_late(view) { ": LATE" } else { "" };
                let rpo = view.estate.objectives.rpo.map(|rpo| format!(", objective {rpo}{late}")).unwrap_or_default();
                format!("last good copy: {age} old{rpo}")
            }
            None => format!("last good copy: none known at {}", view.direction.target),
        });
        lines.extend(self.copied.as_ref().map(|CopyRun { run, point, at }| {
            format!("last copied from this machine: {at:.0}, point {point}, run {run}")
        }));
        lines.extend(self.unfinished.iter().map(|(run, word, title)| format!("run {run}: {word}: {title}")));
        // Whatever a text holds, a line is one: who shows them counts rows.
        lines.iter().flat_map(|line| line.lines()).map(str::to_owned).collect()
    }

    fn json(&self, view: &View<'_>) -> serde_json::Value {
        let sites: serde_json::Map<_, _> =
            self.says.iter().map(|(site, says)| (site.to_string(), site_json(says))).collect();
        let unfinished = self.unfinished.iter();
        let unfinished = unfinished.map(|(run, word, title)| json!({ "run": run, "state": word, "title": title }));
        json!({
            "estate": view.estate.name,
            "direction": self.chosen.as_ref().ok(),
            "refused": self.chosen.as_ref().err().map(NoDirection::to_string),
            "sites": sites,
            "last_good": self.copy_age(view).map(|age| json!({ "age_seconds": age.0.as_secs() })),
            "copied_from_here": self.copied.as_ref().map(|CopyRun { run, point, at }| {
                json!({ "run": run, "point": point, "at": at })
            }),
            "rpo_seconds": view.estate.objectives.rpo.map(|rpo| rpo.0.as_secs()),
            "unfinished": unfinished.collect::<Vec<_>>(),
            "health": view.json(),
        })
    }
}

pub(super) fn run(app: &mut App, args: &StatusArgs) -> Result<Exit, CliError> {
    let live = Live::open(app, "status")?;
    if args.watch {
        return super::block_on(async {
            let exit = follow::follow(app, &live, args).await;
            live.world.close().await;
            exit
        });
    }
    let Asked { says, judged_by, state } = super::block_on(async {
        let asked = ask(app, &live).await;
        live.world.close().await;
        asked
    })?;
    let summary = Summary::read(&live, says)?;
    let view = View { state: &state, estate: &live.record.estate, direction: &judged_by, now: live.clock.now() };
    if args.json {
        writeln!(app.io.out, "{:#}", summary.json(&view))?;
    } else {
        let look = Look { attributes: app.io.colour, color: app.io.colour, ascii: false };
        for line in summary.lines(&view).into_iter().chain(view.lines(look)) {
            writeln!(app.io.out, "{line}")?;
        }
    }
    Ok(summary.exit(&view))
}

/// How the command ends. Sites that disagree are worse than a site that does not say which way the direction goes; then
/// what is down, what is not known, what is degraded or late. Only when all is well it is 0.
fn exit(refused: bool, unknown: bool, late: bool, health: Verdict) -> Exit {
    match health {
        _ if refused => Exit::Refused,
        _ if unknown => Exit::Unknown,
        Verdict::Down | Verdict::Degraded => Exit::Failed,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Up if late => Exit::Failed,
        Verdict::Up => Exit::Done,
    }
}

/// The copy that a run carried over in this direction, if it replicated and ended well.
fn copy_of(facts: &RunFacts, direction: &Direction) -> Option<CopyRun> {
    let EventKind::RunCreated { run, point, plan, .. } = &facts.first.kind else { return None };
    let ended_well = matches!(facts.outcome(), Some(RunOutcome::Done { .. }));
    let good = plan.mode == Mode::Replicate && plan.direction == *direction && ended_well;
    good.then(|| CopyRun { run: run.to_string(), point: point.to_string(), at: facts.began() })
}

fn site_json(says: &SiteSays) -> serde_json::Value {
    match says {
        SiteSays::Record(record) => json!({ "record": record }),
        SiteSays::Nothing => json!({ "record": null }),
        SiteSays::Unknown(why) => json!({ "unknown": SafeText::block(why) }),
    }
}

fn site_text(says: &SiteSays) -> SafeText {
    SafeText::block(&match says {
        SiteSays::Record(record) => {
            format!("says {} is active, epoch {}, since {:.0}", record.active, record.epoch, record.since)
        }
        SiteSays::Nothing => "has no direction record yet".to_owned(),
        SiteSays::Unknown(why) => format!("UNKNOWN: {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_that_is_known_decides_the_exit_code() {
        use Verdict::{Degraded, Down, Up};
        for (refused, unknown, late, health, code) in [
            (false, false, false, Up, 0),
            (false, false, true, Up, 1),
            (false, false, false, Degraded, 1),
            (false, false, true, Down, 1),
            (false, false, false, Verdict::Unknown, 4),
            (false, true, true, Up, 4),
            (false, true, false, Down, 4),
            (true, true, true, Verdict::Unknown, 3),
            (true, false, false, Up, 3),
        ] {
            assert_eq!(exit(refused, unknown, late, health).code(), code, "{refused} {unknown} {late} {health:?}");
        }
    }
}
