//! `changeover plan`: what a runbook would do, read from the live sites. Changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::live::Live;
use super::preview::{Looker, text};
use super::{App, CliError, Excerpts, Exit, load, print_warnings};
use crate::model::{Direction, SiteName};
use crate::runbook::{Origin, Plan, PlanRequest, Runbook};

/// The arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The runbook, by name or path
    runbook: String,
    /// What the runbook is to do
    #[command(flatten)]
    choice: PlanChoice,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What can be chosen when a runbook is planned.
#[derive(Debug, Clone, clap::Args)]
pub struct PlanChoice {
    /// A parameter of the runbook; may be given several times
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) params: Vec<(String, String)>,
    /// The site to copy from, to be safe: refused unless it is the active one
    #[arg(long, value_name = "SITE")]
    pub(super) from: Option<SiteName>,
}

pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| "write NAME=VALUE".to_owned())
}

/// Plans a runbook, or says everything that keeps it from being planned.
pub(super) fn make(
    app: &mut App,
    live: &Live,
    (runbook, origin): (&Runbook, &Origin),
    direction: &Direction,
    choice: &PlanChoice,
) -> Result<Plan, CliError> {
    let params: BTreeMap<String, String> = choice.params.iter().cloned().collect();
    let request = PlanRequest {
        runbook,
        file: &format!("{}.toml", runbook.name),
        estate: &live.record.estate,
        direction,
        params: &params,
        kinds: &app.catalogue,
    };
    match crate::runbook::plan(request) {
        Ok((mut plan, warnings)) => {
            plan.origin = Some(origin.clone());
            // That a shipped runbook serves estates with fewer services is no news at every run.
            let news: Vec<_> = warnings.into_iter().filter(|warning| !warning.path.ends_with(".service")).collect();
            print_warnings(app, &news)?;
            Ok(plan)
        }
        Err(problems) => Err(CliError::invalid(format!("runbook `{}` cannot be planned", runbook.name))
            .excerpts(Excerpts::default().render(&problems, &app.io))),
    }
}

pub(super) fn run(app: &mut App, args: &PlanArgs) -> Result<Exit, CliError> {
    let live = Live::open(app, "plan")?;
    let (runbook, origin, warnings) = load::runbook(app, &live.record.estate, &args.runbook)?;
    print_warnings(app, &warnings)?;
    super::block_on(async {
        let (direction, _) = live.direction(args.choice.from.as_ref()).await?;
        let plan = make(app, &live, (&runbook, &origin), &direction, &args.choice)?;
        let (run, point) = live.new_ids()?;
        let looker = Looker {
            reach: live.world.clone(),
            clock: live.clock.clone(),
            estate: Arc::clone(&live.record.estate),
            catalogue: Arc::new(crate::systems::catalogue()),
            point,
            run,
        };
        let previews = looker.look(&plan).await;
        if args.json {
            let report = json!({ "plan": plan, "digest": plan.digest(), "units": previews });
            writeln!(app.io.out, "{report:#}")?;
        } else {
            write!(app.io.out, "{}", text(&plan, &previews))?;
        }
        live.world.close().await;
        Ok(Exit::Done)
    })
}
