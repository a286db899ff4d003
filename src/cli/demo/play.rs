//! The demo without a story: one runbook, and the counts of both sites.

use std::rc::Rc;
use std::time::Duration;

use super::backstage::Backstage;
use super::crew::{Crew, prepare};
use super::pace::Tempo;
use super::{DemoArgs, pages};
use crate::cli::run::exit_of;
use crate::cli::{App, CliError, Exit};
use crate::world::{SimulatedWorld, Spec};

/// How long the application writes before the run begins.
const BEFORE: Duration = Duration::from_secs(30);

/// Plays the demo once.
pub(super) async fn play(app: &mut App, args: &DemoArgs, runbook: &str, tempo: Tempo) -> Result<Exit, CliError> {
    let spec = Spec::small(args.seed);
    let prepared = prepare(app, args, &spec, &[runbook.to_owned()])?;
    let follow_up = pages::follow_up(app);
    pages::head(app, args, &spec, &format!("Runbook `{runbook}` is carried out meanwhile"))?;
    let world = SimulatedWorld::new(&spec);
    tempo.hurry(true);
    tokio::time::sleep(BEFORE).await;
    tempo.hurry(false);
    let (backstage, _) = Backstage::new();
    let mut crew = Crew::new(app, args, world.clone(), prepared, Rc::new(backstage));
    let state = crew.run(runbook, false).await?;
    drop(crew);
    let exit = exit_of(&state);
    pages::counts(app, args, &world, exit == Exit::Done)?;
    pages::last_words(app, args, &follow_up)?;
    Ok(exit)
}
