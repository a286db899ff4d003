//! `changeover runs`: past and present runs, one of them in detail, and what its steps printed.

use std::collections::BTreeSet;
use std::io::Read;

use jiff::Timestamp;
use serde_json::json;

use super::live::{Record, not_kept};
use super::{App, CliError, Exit};
use crate::journal::RunListing;
use crate::model::{SafeText, Span, UnitKey};
use crate::run::{RunPhase, RunState, RunSummary, explain};

/// The arguments of `runs`.
#[derive(Debug, clap::Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

/// What to do with runs.
#[derive(Debug, clap::Subcommand)]
enum RunsCommand {
    /// List them, newest first
    List {
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one in detail: stages, steps, endings, why something has not run
    Show {
        /// The run: its id, the beginning of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Print JSON: one event per line, exactly as on record
        #[arg(long)]
        json: bool,
    },
    /// Print what the steps of a run printed
    Log {
        /// The run: its id, the beginning of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Only this step or unit: `dump`, `sql-dump/dump` or `sql-dump/dump@prod`
        step: Option<String>,
        /// Print the bytes as they came; refused when they would go to a terminal
        #[arg(long)]
        raw: bool,
    },
}

pub(super) fn run(app: &mut App, args: RunsArgs) -> Result<Exit, CliError> {
    let record = Record::open(app)?;
    match args.command {
        RunsCommand::List { limit, json } => list(app, &record, limit, json),
        RunsCommand::Show { run, json } => show(app, &record, &run, json),
        RunsCommand::Log { run, step, raw } => log(app, &record, &run, step.as_deref(), raw),
    }
}

fn list(app: &mut App, record: &Record, limit: usize, as_json: bool) -> Result<Exit, CliError> {
    let mut runs = record.store.list().map_err(|error| not_kept(&error))?;
    runs.truncate(limit);
    if as_json {
        let rows: Vec<_> = runs.iter().map(|listing| row_json(record, listing)).collect();
        writeln!(app.io.out, "{:#}", json!(rows))?;
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        writeln!(app.io.err, "no runs of estate {} yet", record.estate.name)?;
    }
    for listing in &runs {
        let line = match record.state(&listing.run) {
            Ok(state) => {
                let summary = RunSummary::of(&state);
                format!(
                    "{}  {:<14} {:<16} {:>8}  {}  {}",
                    listing.run,
                    state.plan.runbook,
                    word(listing, &state),
                    Span(summary.took),
                    state.plan.direction,
                    state.by.name
                )
            }
            Err(error) => format!("{}  cannot be read: {}", listing.run, error.message),
        };
        writeln!(app.io.out, "{}", line.trim_end())?;
    }
    Ok(Exit::Done)
}

/// How a run ended, or what it is doing.
pub(super) fn word(listing: &RunListing, state: &RunState) -> String {
    match &state.phase {
        RunPhase::Ended(outcome) => outcome.word().to_owned(),
        _ if listing.alive && state.open_prompts().next().is_some() => "waits for you".to_owned(),
        RunPhase::Paused if listing.alive => "paused".to_owned(),
        _ if listing.alive => "running".to_owned(),
        _ => "INTERRUPTED".to_owned(),
    }
}

fn row_json(record: &Record, listing: &RunListing) -> serde_json::Value {
    match record.state(&listing.run) {
        Ok(state) => json!({
            "run": listing.run,
            "runbook": state.plan.runbook,
            "mode": state.plan.mode,
            "direction": state.plan.direction,
            "point": state.point,
            "state": word(listing, &state),
            "alive": listing.alive,
            "created": state.created,
            "updated": state.updated,
            "by": state.by,
            "folder": listing.folder,
        }),
        Err(error) => json!({ "run": listing.run, "error": error.message, "folder": listing.folder }),
    }
}

fn show(app: &mut App, record: &Record, wanted: &str, as_json: bool) -> Result<Exit, CliError> {
    let run = record.find(wanted)?;
    if as_json {
        for event in record.reader(&run)?.events().map_err(|error| not_kept(&error))? {
            let line = serde_json::to_string(&event).map_err(|error| CliError::new(Exit::Failed, error.to_string()))?;
            writeln!(app.io.out, "{line}")?;
        }
        return Ok(Exit::Done);
    }
    let state = record.state(&run)?;
    let listing = record.store.listing(run);
    write!(app.io.out, "{}", detail(&listing, &state))?;
    Ok(Exit::Done)
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A run in detail, as text. Everything in it is safe to show.
fn detail(listing: &RunListing, state: &RunState) -> String {
    let summary = RunSummary::of(state);
    let mut out = String::new();
    let mut line = |text: String| out.extend([text.trim_end(), "\n"]);
    line(format!("run        {}", state.run));
    line(format!("           {}", state.plan.title));
    line(format!("runbook    {} (plan {})", state.plan.runbook, &state.digest[..state.digest.len().min(8)]));
    line(format!("direction  {}", state.plan.direction));
    line(format!("point      {}", state.point));
    line(format!("started    {} by {} ({})", time(state.created), state.by.name, state.by.through));
    line(format!("state      {}, {} after {}", word(listing, state), time(state.updated), Span(summary.took)));
    line(format!("folder     {}", listing.folder.display()));
    for stage in &summary.stages {
        let ended = stage.outcome.as_ref().map_or("-", |outcome| outcome.word());
        let took = stage.took.map_or_else(String::new, |took| Span(took).to_string());
        line(String::new());
        line(format!("{:<10} {:>8}  {} ({})", ended, took, stage.title, stage.id));
        let Some(planned) = state.plan.stage(&stage.id) else { continue };
        for step in &planned.steps {
            for (unit, _) in step.units() {
                let Some(facts) = state.units.get(&unit) else { continue };
                let attempts =
                    if facts.attempts > 1 { format!(", {} attempts", facts.attempts) } else { String::new() };
                let spent = if facts.attempts > 0 {
                    Span(std::time::Duration::from_millis(facts.spent_ms)).to_string()
                } else {
                    String::new()
                };
                line(format!("  {:<10} {spent:>8}  {unit}{attempts}", facts.phase.to_string()));
                if facts.outcome().is_none() && !matches!(state.phase, RunPhase::Ended(_)) {
                    line(format!("             {}", explain(state, &unit.step)));
                }
            }
        }
    }
    for (unit, warning) in &summary.warnings {
        line(String::new());
        line(format!("! {unit}: {warning}"));
    }
    for (unit, failure) in &summary.failures {
        line(String::new());
        line(format!("✗ {unit}"));
        for text in failure.to_string().lines() {
            line(format!("  {text}"));
        }
    }
    out
}

fn log(app: &mut App, record: &Record, wanted: &str, step: Option<&str>, raw: bool) -> Result<Exit, CliError> {
    if raw && app.io.is_terminal {
        return Err(CliError::invalid("raw output could contain anything, so it does not go to a terminal")
            .hint("send it to a file or a pager"));
    }
    let run = record.find(wanted)?;
    let state = record.state(&run)?;
    let reader = record.reader(&run)?;
    let matches =
        |unit: &UnitKey| step.is_none_or(|step| unit.step.step.as_str() == step || unit.step.to_string() == step);
    let units: Vec<_> = state.units.iter().filter(|(unit, _)| matches(unit)).collect();
    if units.is_empty() {
        let names: BTreeSet<String> = state.units.keys().map(|unit| unit.step.to_string()).collect();
        let names: Vec<String> = names.into_iter().collect();
        return Err(CliError::invalid(format!("run {run} has no step `{}`", step.unwrap_or_default()))
            .hint(format!("it has {}", names.join(", "))));
    }
    for (unit, facts) in units {
        for attempt in 1..=facts.attempts {
            let path = reader.output_path(unit, attempt);
            let Ok(mut file) = std::fs::File::open(&path) else { continue };
            writeln!(app.io.out, "== {unit}, attempt {attempt}")?;
            copy_log(app, &mut file, raw)?;
        }
    }
    Ok(Exit::Done)
}

/// Prints a log in pieces: it may be larger than memory.
fn copy_log(app: &mut App, file: &mut std::fs::File, raw: bool) -> Result<(), CliError> {
    let mut buffer = vec![0; 256 * 1024];
    let mut rest = Vec::new();
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|error| CliError::new(Exit::Failed, format!("cannot read the log: {error}")))?;
        if raw {
            app.io.out.write_all(&buffer[..read])?;
        } else {
            rest.extend_from_slice(&buffer[..read]);
            // Whole lines only, so that no character is cut; a line without end is shown when it is long or the last.
            let cut = match rest.iter().rposition(|byte| *byte == b'\n') {
                Some(newline) => newline + 1,
                None if read == 0 || rest.len() > 1024 * 1024 => rest.len(),
                None => 0,
            };
            let whole: Vec<u8> = rest.drain(..if read == 0 { rest.len() } else { cut }).collect();
            if !whole.is_empty() {
                writeln!(app.io.out, "{}", SafeText::bytes(&whole))?;
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}
