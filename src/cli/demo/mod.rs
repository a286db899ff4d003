//! `changeover demo`: the real program on a simulated world. Needs no configuration, no server and no network: two
//! sites live in this process while the real engine carries the real runbooks out on them.

mod backstage;
mod chronicle;
mod counts;
mod crew;
mod director;
mod pace;
mod pages;
mod pictures;
mod play;
mod screen;
mod sight;
mod story;
mod telling;
mod theatre;

use std::path::PathBuf;

use super::output::Output;
use super::{App, CliError, Exit, load};
use pace::Speed;

/// The arguments of `demo`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct DemoArgs {
    /// Without the console: carry the runbook out, print what happens, count at the end. So it is too without a terminal,
    /// and with an operator who is not there
    #[arg(long)]
    headless: bool,
    /// The runbook [default: replicate]
    #[arg(long, conflicts_with = "scenario")]
    runbook: Option<String>,
    /// A parameter of the runbook; may be given several times
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = super::plan::name_and_value, conflicts_with = "scenario")]
    params: Vec<(String, String)>,
    /// Play a story in which things break: its name, or the path of a file of your own
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,
    /// What the operator of the scenario does; without it you are the operator, if there is a terminal
    #[arg(long, value_name = "FILE", requires = "scenario")]
    answers: Option<PathBuf>,
    /// List the scenarios that come with the program
    #[arg(long, conflicts_with_all = ["headless", "scenario", "runbook"])]
    list: bool,
    /// Decides everything that is left to chance in the world
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many times as fast as real time the world goes, or `max` [default: 1.5; of a scenario 4, without the console 10]
    #[arg(long, value_name = "TIMES")]
    speed: Option<Speed>,
    /// How to show what happens
    #[arg(long, value_name = "HOW", default_value = "auto")]
    output: Output,
    /// How the screen looks
    #[command(flatten)]
    screen: crate::cli::console::ConsoleArgs,
    /// Without the guided tour of the console
    #[arg(long)]
    no_tour: bool,
    /// Print the estate file of the simulated world and end
    #[arg(long)]
    print_estate: bool,
    /// Play the replication of two sites and write its screens into this folder as SVG pictures
    #[arg(long, value_name = "FOLDER", hide_short_help = true, conflicts_with_all = ["headless", "scenario", "runbook"])]
    pictures: Option<PathBuf>,
}

pub(super) fn run(app: &mut App, args: &DemoArgs) -> Result<Exit, CliError> {
    if args.print_estate {
        write!(app.io.out, "{}", crate::world::Spec::small(args.seed).estate_text())?;
        return Ok(Exit::Done);
    }
    if args.list {
        return list(app);
    }
    if let Some(folder) = &args.pictures {
        return pictures::pictures(app, args, folder);
    }
    // With an answers file nobody is to look at a screen.
    if !args.headless && args.answers.is_none() {
        // Without a terminal there is nobody who could, and in lines a story is told as it is without a screen.
        let has_screen = app.io.is_interactive && app.io.is_terminal;
        let in_lines = crate::cli::console::is_plain(app, &args.screen)?;
        if if args.scenario.is_some() { has_screen && !in_lines } else { has_screen || in_lines } {
            return screen::open(app, args, in_lines);
        }
    }
    if let Some(scenario) = &args.scenario {
        return pace::block_on(args.speed(), |tempo| story::story(app, args, scenario, tempo));
    }
    let runbook = args.runbook.as_deref().unwrap_or("replicate");
    pace::block_on(args.speed(), |tempo| play::play(app, args, runbook, tempo))
}

impl DemoArgs {
    /// A copy takes some seconds, and is worth looking at; a story is mostly waiting.
    fn speed(&self) -> Speed {
        self.speed.unwrap_or(Speed::Times(if self.scenario.is_some() { 10.0 } else { 1.5 }))
    }

    /// True when whoever is at the terminal is asked. A world that goes as fast as it can waits for nobody.
    fn asks(&self, app: &App) -> bool {
        app.io.is_interactive && self.answers.is_none() && self.speed() != Speed::Unlimited
    }
}

fn list(app: &mut App) -> Result<Exit, CliError> {
    let widest = crate::scenario::SHIPPED.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, _) in crate::scenario::SHIPPED {
        let scenario = load::scenario(app, name)?;
        writeln!(app.io.out, "{name:widest$}  {}", scenario.title)?;
    }
    app.io.out.flush()?;
    Ok(Exit::Done)
}
