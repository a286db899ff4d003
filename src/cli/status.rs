//! `changeover status`: which way the direction goes, what both sites say, what runs, and how old the last good copy is.

use jiff::Timestamp;
use serde_json::json;

use super::direction::{NoDirection, SiteSays, choose};
use super::live::Live;
use super::runs::word;
use super::{App, CliError, Exit};
use crate::journal::RunFacts;
use crate::model::{RunOutcome, SafeText, Span};
use crate::port::Clock as _;
use crate::run::EventKind;
use crate::runbook::Mode;

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The newest run that copied the source to the target and ended well, in words that scripts can rely on.
struct LastGood {
    run: String,
    point: String,
    at: Timestamp,
}

pub(super) fn run(app: &mut App, args: &StatusArgs) -> Result<Exit, CliError> {
    let live = Live::open(app, "status")?;
    let says = super::block_on(async {
        let says = super::direction::ask_sites(&*live.world, &live.record.estate).await;
        live.world.close().await;
        Ok(says)
    })?;
    let estate = &live.record.estate;
    let chosen = choose(estate, &says, None);
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
    }
    Ok(match chosen {
        Err(_) => Exit::Refused,
        Ok(_) if unknown => Exit::Unknown,
        Ok(_) if late => Exit::Failed,
        Ok(_) => Exit::Done,
    })
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
