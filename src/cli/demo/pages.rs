//! What the demo says before and after the runs themselves.

use super::{DemoArgs, Speed, counts};
use crate::cli::output::{Output, program};
use crate::cli::{App, CliError};
use crate::model::Span;
use crate::world::{SimulatedWorld, Spec};

/// Says that nothing of this is real, and what is going to be seen.
pub(super) fn head(app: &mut App, args: &DemoArgs, spec: &Spec, what: &str) -> Result<(), CliError> {
    if args.output == Output::Json {
        return Ok(());
    }
    let [source, target] = Spec::sites();
    let users = spec.write_every.map_or_else(
        || format!("Nobody uses the application at {source}"),
        |every| format!("The users of {source} place an order every {}", Span(every)),
    );
    let speed = match args.speed() {
        Speed::Times(times) => format!("{times} times as fast as real time"),
        Speed::Unlimited => "as fast as this machine can".to_owned(),
    };
    let stop = if what.ends_with('.') { "" } else { "." };
    writeln!(
        app.io.out,
        "SIMULATED: two sites, {source} and {target}, live in this process.\n\
         Nothing outside of it is touched. {users}.\n\
         {what}{stop}\n\
         Engine, runbooks, journal and reports are the real ones.\n\
         Seed {}, {speed}.\n",
        args.seed
    )?;
    app.io.out.flush()?;
    Ok(())
}

/// What both sites hold at the end.
pub(super) fn counts(app: &mut App, args: &DemoArgs, world: &SimulatedWorld, done: bool) -> Result<(), CliError> {
    let [source, target] = Spec::sites();
    let held = world.with(|world| [world.count(&source), world.count(&target)]);
    if args.output == Output::Json {
        let counts = serde_json::json!({ source.as_str(): held[0], target.as_str(): held[1] });
        writeln!(app.io.out, "{}", serde_json::json!({ "counts": counts }))?;
        return Ok(());
    }
    let table = counts::table([(&source, &held[0]), (&target, &held[1])]);
    // What moves at a terminal leaves the last line open.
    let gap = if app.io.is_terminal && args.output != Output::Plain { "\n" } else { "" };
    writeln!(app.io.out, "{gap}\nWhat the two sites hold now, counted by the world itself:\n\n{table}")?;
    if done && held[0] != held[1] && world.with(|world| world.spec.write_every.is_some()) {
        writeln!(
            app.io.out,
            "The users of {source} went on writing during the run:\n\
             what came after the capture is in the next copy.\n"
        )?;
    }
    Ok(())
}

/// How commands have to be started to see the record of this demo.
pub(super) fn follow_up(app: &App) -> String {
    program(app)
}

/// Where to look further.
pub(super) fn last_words(app: &mut App, args: &DemoArgs, follow_up: &str) -> Result<(), CliError> {
    if args.output != Output::Json {
        writeln!(
            app.io.out,
            "The record is kept until the next demo; to look at what every step did:\n\n  \
             {follow_up} runs show\n  {follow_up} runs log\n"
        )?;
        writeln!(app.io.out, "SIMULATED: nothing real was touched.")?;
    }
    app.io.out.flush()?;
    Ok(())
}
