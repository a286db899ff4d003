//! `changeover` without a command, and `changeover console`: the screen over the real world.
//!
//! The screen itself is pure and lives in `console`; here are the terminal, the loop, and what its effects do.

mod attention;
mod cells;
mod clipboard;
mod files;
mod ground;
mod input;
mod open;
mod panics;
mod plain;
mod real;
mod rows;
mod screen;
mod settings;
mod signals;
mod terminal;

pub(super) use ground::{Ground, Order};
pub(super) use real::{cannot_be_planned, direction_facts, shown};
pub(super) use rows::{Rows, RunBooks};
pub(super) use settings::{facts, preferences, settings, themes};

use super::live::{Live, operator};
use super::{App, CliError, Exit, output};
use crate::console::{Badge, State};
use crate::port::Clock as _;

/// The arguments of `console`.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct ConsoleArgs {
    /// The theme
    #[arg(long, value_name = "NAME", env = "CHANGEOVER_THEME")]
    pub(super) theme: Option<String>,
    /// Draw with ASCII only
    #[arg(long)]
    pub(super) ascii: bool,
    /// Only look: nothing can be begun, stopped or answered
    #[arg(long)]
    pub(super) read_only: bool,
    /// Take the mouse: select, scroll and focus with it (`--mouse=false` leaves it, whatever config.toml says)
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) mouse: Option<bool>,
    /// Nothing moves by itself but figures
    #[arg(long)]
    pub(super) reduced_motion: bool,
    /// Without a screen, for screen readers and dumb terminals: lines that say what has changed, and typed commands
    #[arg(long)]
    pub(super) plain: bool,
}

pub(super) fn run(app: &mut App, args: &ConsoleArgs) -> Result<Exit, CliError> {
    let in_lines = is_plain(app, args)?;
    if !in_lines {
        refuse_without_terminal(app)?;
    }
    let live = Live::open(app, "console")?;
    let settings = settings(app, args)?;
    let estate = facts(&live.record.estate, &app.catalogue);
    let mut state = State::new(estate, Badge::Live, operator("console"), settings, live.clock.now());
    state.read_only = args.read_only;
    state.health = crate::health::unseen(&crate::health::plan(&live.record.estate, &app.catalogue));
    let program = super::output::program(app);
    super::block_on(async {
        let ground = real::ground(app, args, live);
        let left = show(app, in_lines, state, ground).await?;
        left.farewell(app, &program)
    })
}

/// True when it is to be a console without a screen: by option, or by the environment, which is said.
pub(super) fn is_plain(app: &mut App, args: &ConsoleArgs) -> Result<bool, CliError> {
    let why = if args.plain { None } else { plain_by(app.io.is_terminal, output::env) };
    if let Some(why) = why {
        writeln!(app.io.err, "{why}, so it is told in lines, as with `--plain`")?;
    }
    Ok(args.plain || why.is_some())
}

/// What in the environment asks for lines. A dumb terminal can have nothing else; `ACCESSIBLE` is set by people who use a
/// screen reader, for every program.
fn plain_by(is_terminal: bool, env: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    if is_terminal && env("TERM").is_some_and(|term| term == "dumb") {
        return Some("TERM=dumb: no screen can be drawn here");
    }
    let wished = env("ACCESSIBLE").is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    wished.then_some("ACCESSIBLE is set")
}

/// Shows the state on a screen, or tells it in lines.
pub(super) async fn show(
    app: &mut App,
    in_lines: bool,
    state: State,
    ground: Ground,
) -> Result<screen::Leave, CliError> {
    if in_lines { plain::talk(app, state, ground).await } else { screen::show(state, ground).await }
}

/// The screen needs a terminal; without one it says what does not.
fn refuse_without_terminal(app: &App) -> Result<(), CliError> {
    if app.io.is_interactive && app.io.is_terminal {
        return Ok(());
    }
    Err(CliError::invalid("the console needs a terminal for its input and its output").hint(
        "`changeover status` prints what both sites say, `changeover run` carries a runbook out without a screen, `--plain` tells in lines",
    ))
}

#[cfg(test)]
mod tests {
    use super::plain_by;

    #[test]
    fn the_environment_asks_for_lines() {
        for (env, is_plain) in [
            (&[][..], false),
            (&[("TERM", "xterm")], false),
            (&[("TERM", "dumb")], true),
            (&[("ACCESSIBLE", "1")], true),
            (&[("ACCESSIBLE", "yes"), ("TERM", "xterm")], true),
            (&[("ACCESSIBLE", "")], false),
            (&[("ACCESSIBLE", "0")], false),
        ] {
            let get = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(plain_by(true, get).is_some(), is_plain, "{env:?}");
        }
        assert_eq!(plain_by(false, |name| (name == "TERM").then(|| "dumb".to_owned())), None, "no terminal at all");
    }
}
