//! `changeover status`: which way the direction goes, what both sites say, what runs, how old the last good copy is, and
//! how well both sites are.

mod follow;
mod health;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::direction::{NoDirection, SiteSays, choose};
use super::live::Live;
use super::runs::word;
use super::{App, CliError, Exit};
use crate::health::{Around, HealthState, Verdict, plan, round, unseen};
use crate::journal::RunFacts;
use crate::model::{Direction, RunOutcome, SafeText, SiteName, Span};
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
    chosen: Result<Direction, NoDirection>,
    /// The direction that the health is judged by: the chosen one, else the one that the estate begins with.
    judged_by: Direction,
    state: HealthState,
}

/// Asks both sites for everything, all at once: a site that cannot be reached costs one deadline.
async fn ask(app: &App, live: &Live) -> Result<Asked, CliError> {
    let estate = &live.record.estate;
    let first = estate.direction_from(&estate.active);
    let first = first.ok_or_else(|| CliError::invalid("the estate does not have exactly two sites"))?;
    let plan = plan(estate, &app.catalogue);
    let around = Around { reach: live.world.clone(), clock: live.clock.clone(), estate: Arc::clone(estate) };
    let says = super::direction::ask_sites(&*live.world, estate);
    let (says, mut looks) = tokio::join!(says, round(&plan, &around, &first));
    let chosen = choose(estate, &says, None);
    let judged_by = chosen.as_ref().cloned().unwrap_or_else(|_| first.clone());
    if judged_by != first {
        // The direction has been turned since the estate was written: what is right at either end is another thing.
        looks = round(&plan, &around, &judged_by).await;
    }
    let mut state = unseen(&plan);
    for look in &looks {
        state.apply(look);
    }
    Ok(Asked { says, chosen, judged_by, state })
}

/// The newest run that copied the source to the target and ended well, in words that scripts can rely on.
struct LastGood {
    run: String,
    point: String,
    at: Timestamp,
}

pub(super) fn run(app: &mut App, args: &StatusArgs) -> Result<Exit, CliError> {
    let live = Live::open(app, "status")?;
    if args.watch {
        return super::block_on(async {
            let says = super::direction::ask_sites(&*live.world, &live.record.estate).await;
            let estate = &live.record.estate;
            let chosen = choose(estate, &says, None);
            let direction = chosen.map_err(|problem| CliError::new(Exit::Refused, problem.to_string()))?;
            let exit = follow::follow(app, &live, args, direction).await;
            live.world.close().await;
            exit
        });
    }
    let Asked { says, chosen, judged_by, state } = super::block_on(async {
        let asked = ask(app, &live).await;
        live.world.close().await;
        asked
    })?;
    let estate = &live.record.estate;
    let listings = live.record.store.list().map_err(|error| super::live::not_kept(&error))?;
    let mut active = Vec::new();
    let mut last_good = None;
    for listing in &listings {
        // The two ends of a journal say enough of a run that has ended; there may be thousands of them.
        let Ok(facts) = &listing.facts else { continue };
        if facts.outcome().is_none()
            && let Ok(state) = live.record.state(&listing.run)
        {
            active.push((state.run.clone(), word(listing, &state), state.plan.title.clone()));
        }
        if last_good.is_none() {
            last_good = good_copy(facts);
        }
    }
    let now = live.clock.now();
    let age = |at: Timestamp| Span(std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default());
    let late = last_good.as_ref().is_none_or(|good| estate.objectives.rpo.is_some_and(|rpo| age(good.at) > rpo));
    let view = View { state: &state, estate, direction: &judged_by, now };
    let unknown = says.iter().any(|(_, says)| matches!(says, SiteSays::Unknown(_)));
    if args.json {
        let sites: serde_json::Map<_, _> =
            says.iter().map(|(site, says)| (site.to_string(), site_json(says))).collect();
        let report = json!({
            "estate": estate.name,
            "direction": chosen.as_ref().ok(),
            "refused": chosen.as_ref().err().map(NoDirection::to_string),
            "sites": sites,
            "last_good": last_good.as_ref().map(|good| json!({
                "run": good.run, "point": good.point, "at": good.at, "age_seconds": age(good.at).0.as_secs(),
            })),
            "rpo_seconds": estate.objectives.rpo.map(|rpo| rpo.0.as_secs()),
            "unfinished": active.iter().map(|(run, word, title)| json!({ "run": run, "state": word, "title": title })).collect::<Vec<_>>(),
            "health": view.json(),
        });
        writeln!(app.io.out, "{report:#}")?;
    } else {
        let out = &mut app.io.out;
        match &chosen {
            Ok(direction) => writeln!(out, "{}: {} ==> {}", estate.name, direction.source, direction.target)?,
            Err(problem) => writeln!(out, "{}: NO DIRECTION: {}", estate.name, SafeText::block(&problem.to_string()))?,
        }
        for (site, says) in &says {
            writeln!(out, "  {:<10} {}", site, site_text(says))?;
        }
        match &last_good {
            Some(good) => {
                let rpo =
                    estate.objectives.rpo.map(|rpo| format!(", objective {rpo}{}", if late { ": LATE" } else { "" }));
                writeln!(
                    out,
                    "last good copy: {} old, point {}, run {}{}",
                    age(good.at),
                    good.point,
                    good.run,
                    rpo.unwrap_or_default()
                )?;
            }
            None => writeln!(out, "last good copy: none known to this machine")?,
        }
        for (run, word, title) in &active {
            writeln!(out, "run {run}: {word}: {title}")?;
        }
        let look = Look { attributes: app.io.colour, color: app.io.colour, ascii: false };
        for line in view.lines(look) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(exit(chosen.is_err(), unknown, late, view.worst()))
}

/// How the command ends. Sites that disagree are worse than what is not known, which is worse than what is known to be
/// bad; only when all is well it is 0.
fn exit(refused: bool, unknown: bool, late: bool, health: Verdict) -> Exit {
    match health_exit(health) {
        _ if refused => Exit::Refused,
        _ if unknown => Exit::Unknown,
        Exit::Done if late => Exit::Failed,
        exit => exit,
    }
}

/// The exit code of a health alone.
fn health_exit(health: Verdict) -> Exit {
    match health {
        Verdict::Up => Exit::Done,
        Verdict::Degraded | Verdict::Down => Exit::Failed,
        Verdict::Unknown => Exit::Unknown,
    }
}

/// The copy that a run made, if it replicated and ended well.
fn good_copy(facts: &RunFacts) -> Option<LastGood> {
    let EventKind::RunCreated { run, point, plan, .. } = &facts.first.kind else { return None };
    let good = plan.mode == Mode::Replicate && matches!(facts.outcome(), Some(RunOutcome::Done { .. }));
    good.then(|| LastGood { run: run.to_string(), point: point.to_string(), at: facts.began() })
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
