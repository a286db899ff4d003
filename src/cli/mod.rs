//! The commands: one file each. The only layer that prints, reads the environment and wires implementations together.
//!
//! To add a command: a file with its arguments and a `run`, a variant in [`args::Command`], a match arm in [`dispatch`].

pub mod args;
mod attach;
mod cancel;
mod check;
mod completions;
mod conduct;
pub mod config;
mod console;
mod demo;
mod diagnostics;
mod direction;
mod doctor;
mod earlier;
mod error;
mod init;
mod io;
mod kinds;
pub mod lines;
mod live;
pub mod load;
mod output;
mod plan;
mod preview;
mod resume;
mod run;
mod runs;
mod schema;
mod status;
mod theme;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

pub use diagnostics::{Excerpts, problems_json};
pub use error::{CliError, Exit};
pub use io::Io;

use crate::systems::{Catalogue, catalogue};
use args::{Args, Command, Global};
use load::Places;

/// What every command works with.
#[derive(Debug)]
pub struct App {
    /// The options that all commands share.
    pub global: Global,
    /// Where files are looked for.
    pub places: Places,
    /// Where is printed.
    pub io: Io,
    /// The kinds of steps and services.
    pub catalogue: Catalogue,
}

/// The program: reads the arguments and the environment, runs one command, says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    // What this program writes may name hosts and accounts: for its user only, unless a command says otherwise.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let io = Io::from_environment();
    ExitCode::from(run_line(std::env::args_os(), io, Places::from_environment()).code())
}

/// Runs one command line and prints what went wrong, if anything did.
pub fn run_line(arguments: impl IntoIterator<Item = OsString>, mut io: Io, places: Places) -> Exit {
    let Args { global, command } = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(problem) => return usage(&problem, &mut io),
    };
    io.choose_colour(global.color);
    let opens = io.is_interactive && io.is_terminal;
    let Some(command) = command.or_else(|| opens.then(|| Command::Console(console::ConsoleArgs::default()))) else {
        // No command and no terminal to open the console on: what there is to choose from.
        drop(write!(io.err, "{}", Args::command().render_help()));
        return Exit::Invalid;
    };
    let mut app = App { global, places, io, catalogue: catalogue() };
    match dispatch(&mut app, command) {
        Ok(exit) => exit,
        Err(problem) => problem.print(&mut app.io),
    }
}

fn dispatch(app: &mut App, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Console(args) => console::run(app, &args),
        Command::Demo(args) => demo::run(app, &args),
        Command::Check(args) => check::run(app, &args),
        Command::Init(args) => init::run(app, args),
        Command::Schema(args) => schema::run(app, &args),
        Command::Kinds(args) => kinds::run(app, &args),
        Command::Completions(args) => completions::run(app, &args),
        Command::Plan(args) => plan::run(app, &args),
        Command::Run(args) => run::run(app, &args),
        Command::Resume(args) => resume::run(app, &args),
        Command::Attach(args) => attach::run(app, &args),
        Command::Cancel(args) => cancel::run(app, &args),
        Command::Runs(args) => runs::run(app, args),
        Command::Status(args) => status::run(app, &args),
        Command::Theme(args) => theme::run(app, args),
        Command::Doctor(args) => doctor::run(app, &args),
    }
}

/// Help, version, or what is wrong with the arguments.
fn usage(problem: &clap::Error, io: &mut Io) -> Exit {
    let asked = matches!(problem.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = if io.colour { problem.render().ansi().to_string() } else { problem.render().to_string() };
    // Nobody is left to be told when this fails.
    drop(if asked { write!(io.out, "{text}") } else { write!(io.err, "{text}") });
    drop(io.out.flush());
    if asked { Exit::Done } else { Exit::Invalid }
}

/// Prints warnings about files; errors never come here.
fn print_warnings(app: &mut App, warnings: &[crate::model::Diagnostic]) -> Result<(), CliError> {
    let text = Excerpts::default().render(warnings, &app.io);
    app.io.err.write_all(text.as_bytes())?;
    Ok(())
}

/// Runs asynchronous work to its end, on as many threads as two cores are worth.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("cannot start: {error}")))?
        .block_on(work)
}
