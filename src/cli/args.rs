//! The command line: global options and the list of commands.

use std::path::PathBuf;

use clap::{ColorChoice, Parser, Subcommand};

use super::{
    attach, cancel, check, completions, console, demo, doctor, init, kinds, plan, resume, run, runs, schema, status,
    theme,
};

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed; nothing is half done beyond what the message says
  2  wrong usage, or a file that cannot be used
  3  refused by a safety rule; nothing was changed
  4  the outcome is unknown; a person is needed
  5  another run holds the lock
  6  not this site's turn (scheduled runs at the standby)";

/// Replication, switchover and failover between two sites.
#[derive(Debug, Parser)]
#[command(name = "changeover", version, about, after_help = AFTER_HELP)]
pub struct Args {
    /// What all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What to do; without it the console opens.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The options that all commands share.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Global {
    /// The estate file. Else `./estate.toml`, then the user's, then `/etc/changeover/estate.toml`
    #[arg(long, global = true, value_name = "FILE", env = "CHANGEOVER_ESTATE")]
    pub estate: Option<PathBuf>,
    /// A folder with runbooks, looked at before all others
    #[arg(long, global = true, value_name = "DIR", env = "CHANGEOVER_RUNBOOKS")]
    pub runbook_dir: Option<PathBuf>,
    /// The folder that keeps runs and their output
    #[arg(long, global = true, value_name = "DIR", env = "CHANGEOVER_STATE")]
    pub state_dir: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", env = "CHANGEOVER_COLOR", default_value = "auto")]
    pub color: ColorChoice,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the console: both sites live, runbooks, runs and their logs
    Console(console::ConsoleArgs),
    /// Show the program at work on a simulated world; needs no configuration and touches nothing
    Demo(demo::DemoArgs),
    /// Find everything that is wrong with the estate and its runbooks, without touching any host
    Check(check::CheckArgs),
    /// Write a first estate file, from options or from a few questions
    Init(init::InitArgs),
    /// Print the JSON Schema of a file, for editors
    Schema(schema::SchemaArgs),
    /// List the kinds of steps and services, or explain one
    Kinds(kinds::KindsArgs),
    /// Show what a runbook would do, read from the live sites; changes nothing
    Plan(plan::PlanArgs),
    /// Carry a runbook out
    Run(run::RunArgs),
    /// Take up a run that was interrupted or ended badly, where it stopped
    Resume(resume::ResumeArgs),
    /// Watch a run that is under way, and answer what it asks; leaving it changes nothing for the run
    Attach(attach::AttachArgs),
    /// Stop a run: after its running steps, or at once
    Cancel(cancel::CancelArgs),
    /// List runs, show one, print what its steps printed
    Runs(runs::RunsArgs),
    /// Show which way the direction goes, what runs, how old the last good copy is, and how well both sites are
    Status(status::StatusArgs),
    /// Find what this machine and every host lack
    Doctor(doctor::DoctorArgs),
    /// List themes of the screen, show one, or find what is wrong with one
    Theme(theme::ThemeArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}
