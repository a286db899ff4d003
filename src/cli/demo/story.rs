//! The demo with a story: a scenario, the operator of an answers file, and the card at the end.

use std::rc::Rc;

use tokio::sync::mpsc;

use super::backstage::Backstage;
use super::crew::{Crew, prepare};
use super::director::Director;
use super::pace::Tempo;
use super::theatre::undisturbed;
use super::{DemoArgs, pages};
use crate::cli::output::Output;
use crate::cli::{App, CliError, Exit, load};
use crate::scenario::{Act, Answers, Card, Scenario};
use crate::world::SimulatedWorld;

/// Plays a scenario once. Done when what the scenario calls done was reached.
pub(super) async fn story(app: &mut App, args: &DemoArgs, wanted: &str, tempo: Tempo) -> Result<Exit, CliError> {
    let scenario = load::scenario(app, wanted)?;
    let answers = args.answers.as_ref().map(|path| load::answers(app, path)).transpose()?;
    let unattended = answers.is_none() && !args.asks(app);
    let answers = answers.unwrap_or_default();
    let spec = scenario.spec(args.seed);
    let prepared = prepare(app, args, &spec, &runbooks(&scenario, &answers))?;
    let follow_up = pages::follow_up(app);
    let who = if unattended { " Nobody is there to answer." } else { "" };
    pages::head(app, args, &spec, &format!("Scenario {}: {}.{who}", scenario.name, scenario.title))?;
    let world = SimulatedWorld::new(&spec);
    let (backstage, hears) = Backstage::new();
    let backstage = Rc::new(backstage);
    let mut crew = Crew::new(app, args, world.clone(), prepared, Rc::clone(&backstage));
    tempo.hurry(true);
    for runbook in &scenario.before {
        undisturbed(&mut crew, runbook.as_str()).await?;
    }
    tokio::time::sleep(scenario.pause.0).await;
    tempo.hurry(false);
    let director = Director::new(world.clone(), backstage, hears, answers);
    let (orders, ordered) = mpsc::unbounded_channel();
    let directed = async { Ok(director.direct(&scenario, orders).await) };
    let (facts, ()) = tokio::try_join!(directed, crew.serve(ordered))?;
    drop(crew);
    let card = Card::of(&scenario, &facts);
    if args.output == Output::Json {
        writeln!(app.io.out, "{}", serde_json::json!({ "score": card }))?;
    } else {
        writeln!(app.io.out, "\n{}", card.text())?;
    }
    pages::last_words(app, args, &follow_up)?;
    Ok(if card.done.is_some() { Exit::Done } else { Exit::Failed })
}

/// Every runbook that may be carried out in a story, once.
pub(super) fn runbooks(scenario: &Scenario, answers: &Answers) -> Vec<String> {
    let started = answers.answers.iter().filter_map(|entry| match &entry.act {
        Act::Run(runbook) => Some(runbook),
        _ => None,
    });
    let mut all: Vec<String> =
        scenario.before.iter().chain([&scenario.runs]).chain(started).map(ToString::to_string).collect();
    all.sort();
    all.dedup();
    all
}
