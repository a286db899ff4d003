//! One run of the demo, with the real engine, journal and reporters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{DemoArgs, counts};
use crate::cli::conduct::{Conduct, conduct};
use crate::cli::live::{locked, not_kept, operator, usual_state_dir};
use crate::cli::output::{Output, Screen};
use crate::cli::run::{engine_failed, exit_of};
use crate::cli::{App, CliError, Excerpts, Exit, load};
use crate::engine::{Engine, EngineConfig, NewRun};
use crate::journal::{Holder, Store};
use crate::model::{RunId, SafeText};
use crate::points::point_id;
use crate::port::{Clock, Sink};
use crate::runbook::{Plan, PlanRequest};
use crate::session::Viewers;
use crate::world::{SimulatedWorld, Spec};

/// How long the application writes before the run begins.
const BEFORE: Duration = Duration::from_secs(30);
/// How long viewers may take to see the end, in the demo's time.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Plays the demo once.
pub(super) async fn play(app: &mut App, args: &DemoArgs) -> Result<Exit, CliError> {
    let spec = Spec::small(args.seed);
    let world = SimulatedWorld::new(&spec);
    let estate = spec.estate().map_err(|error| CliError::new(Exit::Failed, format!("the demo's estate: {error}")))?;
    let estate = Arc::new(estate);
    let [source, target] = Spec::sites();
    tell_what_this_is(app, args, &spec)?;
    tokio::time::sleep(BEFORE).await;

    let plan = plan(app, args, &estate)?;
    let clock = world.clock();
    let noise = clock.entropy();
    let point = point_id(clock.now(), [noise[0], noise[1]]);
    let run = RunId::new(point.as_str().replacen("p-", "r-", 1))
        .map_err(|error| CliError::new(Exit::Failed, error.to_string()))?;
    let state_dir = usual_state_dir(app)?.join("demo");
    let store = Store::open(&state_dir, &estate.name).map_err(|error| not_kept(&error))?;
    let by = operator("demo");
    let holder = Holder {
        run: run.clone(),
        pid: std::process::id(),
        host: SafeText::line("demo"),
        since: clock.now(),
        by: by.name.clone(),
    };
    let lock = store.lock(&holder).map_err(|error| locked(&error))?;
    let journal = Arc::new(store.create_run(&run).map_err(|error| not_kept(&error))?);
    let (events, told) = mpsc::unbounded_channel();
    let config = EngineConfig {
        reach: Arc::new(world.clone()),
        clock: clock.clone(),
        estate,
        catalogue: Arc::new(crate::systems::catalogue()),
        sink: Arc::clone(&journal) as Arc<dyn Sink>,
        events,
        unattended: !app.io.is_interactive,
        by: by.clone(),
        pid: std::process::id(),
    };
    let engine = Engine::create(config, NewRun { run: run.clone(), point, plan })
        .await
        .map_err(|error| engine_failed(&error, &run))?;
    let (commands, received) = mpsc::channel(64);
    let viewers = Viewers::listen(Arc::clone(&journal), commands.clone()).ok();
    let at_terminal = app.io.is_interactive.then_some(by);
    let mut screen = Screen::new(app, args.output, store.folder_of(&run), viewers.as_ref(), clock);
    let conducted = conduct(Conduct { engine, events: told, commands, received, at_terminal }, &mut screen).await;
    let state = match conducted {
        Ok(state) => state,
        Err(error) => {
            drop(screen);
            return Err(engine_failed(&error, &run));
        }
    };
    screen.finish(&state);
    drop(screen);
    if let Some(viewers) = viewers {
        viewers.close(LAST_WORDS).await;
    }
    journal.flush().await.map_err(|error| not_kept(&error))?;
    drop(lock);
    if args.output != Output::Json {
        let held = world.with(|world| [world.count(&source), world.count(&target)]);
        let table = counts::table([(&source, &held[0]), (&target, &held[1])]);
        writeln!(app.io.out, "\nWhat the two sites hold now, counted by the world itself:\n\n{table}")?;
        writeln!(
            app.io.out,
            "The users of {source} went on writing during the run: what came after the capture is in the next copy."
        )?;
    }
    Ok(exit_of(&state))
}

fn tell_what_this_is(app: &mut App, args: &DemoArgs, spec: &Spec) -> Result<(), CliError> {
    if args.output == Output::Json {
        return Ok(());
    }
    let [source, target] = Spec::sites();
    let every = spec.write_every.map_or_else(|| "never".to_owned(), |every| format!("every {}s", every.as_secs()));
    writeln!(
        app.io.out,
        "SIMULATED: two sites, {source} and {target}, live in this process; nothing outside of it is touched.\n\
         An application at {source} takes orders from its users ({every}) while runbook `{}` is carried out.\n",
        args.runbook
    )?;
    app.io.out.flush()?;
    Ok(())
}

fn plan(app: &mut App, args: &DemoArgs, estate: &crate::estate::Estate) -> Result<Plan, CliError> {
    let [source, _] = Spec::sites();
    let direction = estate
        .direction_from(&source)
        .ok_or_else(|| CliError::new(Exit::Failed, "the demo's estate has no direction"))?;
    let runbook = load::runbook_for(app, estate, &args.runbook)?;
    let params: BTreeMap<String, String> = args.params.iter().cloned().collect();
    let request = PlanRequest {
        runbook: &runbook,
        file: &format!("{}.toml", runbook.name),
        estate,
        direction: &direction,
        params: &params,
        kinds: &app.catalogue,
    };
    let planned = crate::runbook::plan(request);
    planned.map(|(plan, _)| plan).map_err(|problems| {
        CliError::invalid(format!("runbook `{}` cannot be planned", args.runbook))
            .excerpts(Excerpts::default().render(&problems, &app.io))
    })
}
