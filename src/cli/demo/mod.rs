//! `changeover demo`: the real program on a simulated world. Needs no configuration, no server and no network: two
//! sites live in this process while the real engine carries the real runbooks out on them.

mod counts;
mod pace;
mod play;

use super::output::Output;
use super::{App, CliError, Exit};
use pace::Speed;

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Without the console: carry the runbook out, print what happens, count at the end
    #[arg(long)]
    headless: bool,
    /// The runbook
    #[arg(long, default_value = "replicate")]
    runbook: String,
    /// A parameter of the runbook; may be given several times
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = super::plan::name_and_value)]
    params: Vec<(String, String)>,
    /// Decides everything that is left to chance in the world
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many times as fast as real time the world goes, or `max`
    #[arg(long, value_name = "TIMES", default_value = "10")]
    speed: Speed,
    /// How to show what happens
    #[arg(long, value_name = "HOW", default_value = "auto")]
    output: Output,
    /// Print the estate file of the simulated world and end
    #[arg(long)]
    print_estate: bool,
}

pub(super) fn run(app: &mut App, args: &DemoArgs) -> Result<Exit, CliError> {
    if args.print_estate {
        write!(app.io.out, "{}", crate::world::Spec::small(args.seed).estate_text())?;
        return Ok(Exit::Done);
    }
    if !args.headless {
        return Err(CliError::invalid("the demo has no screen yet").hint("add `--headless`"));
    }
    pace::block_on(args.speed, play::play(app, args))
}
