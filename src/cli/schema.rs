//! `changeover schema`: the JSON Schema of a file, for editors that complete and check while one writes.

use super::config::Config;
use super::{App, CliError, Exit};
use crate::check::{estate_schema, runbook_schema};
use crate::scenario::{Answers, Scenario};
use crate::style::ThemeFile;

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Which file
    file: SchemaOf,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaOf {
    /// `estate.toml`
    Estate,
    /// `runbooks/*.toml`
    Runbook,
    /// `themes/*.toml`
    Theme,
    /// `config.toml`
    Config,
    /// What breaks in a world of `changeover demo`
    Scenario,
    /// What the operator of a scenario does
    Answers,
}

pub(super) fn run(app: &mut App, args: &SchemaArgs) -> Result<Exit, CliError> {
    let schema = match args.file {
        SchemaOf::Estate => estate_schema(&app.catalogue),
        SchemaOf::Runbook => runbook_schema(&app.catalogue),
        SchemaOf::Theme => schemars::schema_for!(ThemeFile).into(),
        SchemaOf::Config => schemars::schema_for!(Config).into(),
        SchemaOf::Scenario => schemars::schema_for!(Scenario).into(),
        SchemaOf::Answers => schemars::schema_for!(Answers).into(),
    };
    writeln!(app.io.out, "{schema:#}")?;
    app.io.out.flush()?;
    Ok(Exit::Done)
}
