//! `changeover completions`: a script that completes our commands in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Args;
use super::{App, CliError, Exit};

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(app: &mut App, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "changeover", &mut script);
    app.io.out.write_all(&script)?;
    app.io.out.flush()?;
    Ok(Exit::Done)
}
