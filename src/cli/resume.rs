//! `changeover resume`: takes over a run whose process has gone, or that ended badly, where it stopped.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::earlier::refuse_beside_others;
use super::live::{Live, locked, not_kept};
use super::output::Output;
use super::run::{ON_RECORD, carry_out, detach, engine_config, engine_failed};
use super::{App, CliError, Exit, load};
use crate::engine::{Change, Engine, what_changed};
use crate::model::{Direction, Outcome, RunOutcome};
use crate::run::{RunPhase, RunState, UnitPhase};
use crate::runbook::{Plan, PlanRequest};

/// The arguments of `resume`.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// Take it up in a process of its own and return once that has it
    #[arg(long, conflicts_with = "scheduled")]
    detach: bool,
    /// Ask nobody: what would be asked is answered with no
    #[arg(long)]
    scheduled: bool,
    /// This process was started by `--detach`
    #[arg(long, hide = true)]
    detached: bool,
    /// From where it was asked for
    #[arg(long, hide = true, default_value = "terminal")]
    through: String,
    /// How to show what happens
    #[arg(long, value_name = "HOW", default_value = "auto")]
    output: Output,
}

pub(super) fn run(app: &mut App, args: &ResumeArgs) -> Result<Exit, CliError> {
    if args.detach {
        return detach(app);
    }
    let live = Live::open(app, if args.scheduled { "cron" } else { args.through.as_str() })?;
    let run = live.record.find(&args.run)?;
    let lock = live.record.store.lock(&live.holder(&run)).map_err(|error| locked(&error))?;
    let (journal, history) = live.record.store.resume_run(&run).map_err(|error| not_kept(&error))?;
    let journal = Arc::new(journal);
    let before = RunState::replay(&history).map_err(|error| {
        CliError::new(Exit::Unknown, format!("the journal of run {run} contradicts itself: {error}"))
            .hint("it cannot be resumed; keep its folder, look at both sites, and start a new run")
    })?;
    if let RunPhase::Ended(RunOutcome::Done { .. }) = before.phase {
        return Err(CliError::invalid(format!("run {run} is done; there is nothing to resume")));
    }
    let unattended = args.scheduled || !app.io.is_interactive && !args.detached;
    let exit = super::block_on(async {
        live.world.preconnect().await;
        let (direction, _) = live.direction(Some(&before.plan.direction.source)).await?;
        refuse_beside_others(app, &live, &run, before.plan.mode).await?;
        show_where_we_were(app, &live, &before, &direction, unattended)?;
        let (events, told) = mpsc::unbounded_channel();
        let config = engine_config(&live, &lock, &journal, events, unattended)?;
        let engine = Engine::resume(config, &history).map_err(|error| engine_failed(&error, &run))?;
        if args.detached {
            writeln!(app.io.out, "{ON_RECORD}{run}")?;
            app.io.out.flush()?;
        }
        let output = if args.detached { Output::None } else { args.output };
        carry_out(app, &live, engine, journal, told, output).await
    });
    drop(lock);
    exit
}

/// The card that tells somebody who comes back what is done, what is not known, and what has changed since.
fn show_where_we_were(
    app: &mut App,
    live: &Live,
    state: &RunState,
    direction: &Direction,
    unattended: bool,
) -> Result<(), CliError> {
    let err = &mut app.io.err;
    let count = |wanted: fn(&UnitPhase) -> bool| state.units.values().filter(|unit| wanted(&unit.phase)).count();
    let done = count(|phase| matches!(phase, UnitPhase::Ended(outcome) if outcome.is_good()));
    writeln!(err, "resuming run {}: {}", state.run, state.plan.title)?;
    writeln!(err, "  {done} of {} units are done and will not be done again", state.units.len())?;
    for (unit, facts) in &state.units {
        match &facts.phase {
            UnitPhase::Running | UnitPhase::Interrupted => {
                writeln!(err, "  {unit} was running when the program stopped; what became of it is found out first")?;
            }
            UnitPhase::Ended(Outcome::Unknown { .. }) => {
                let asked = if unattended {
                    "it stays unknown if that cannot be found out"
                } else {
                    "you are asked before anything of it is done again"
                };
                writeln!(err, "  {unit} ended unknown; what became of it is looked at first, and {asked}")?;
            }
            UnitPhase::Ended(outcome) if outcome.failure().is_some() => {
                writeln!(err, "  {unit} {}; it is tried again", outcome.word())?;
            }
            _ => {}
        }
    }
    for change in changes(app, live, state, direction) {
        writeln!(app.io.err, "  changed since: {change}")?;
    }
    Ok(())
}

/// What differs between the plan that the run carries out and the same runbook today. The run needs neither its file nor
/// its name any more: its plan is in the journal.
fn changes(app: &App, live: &Live, state: &RunState, direction: &Direction) -> Vec<Change> {
    let origin = state.plan.origin.as_ref();
    let path = origin.and_then(|origin| origin.file.as_deref());
    let shown = path.map_or_else(|| format!("runbook `{}`", state.plan.runbook), |path| format!("runbook {path}"));
    let keeps = |what: &str| Change::from(format!("its {shown} {what}; the run keeps its own plan").as_str());
    if path.is_some_and(|path| !Path::new(path).exists()) {
        return vec![keeps("is gone")];
    }
    let wanted = path.unwrap_or(state.plan.runbook.as_str());
    let Ok(file) = load::find_estate(app).and_then(|estate| load::find_runbook(app, Some(&estate), wanted)) else {
        return vec![keeps("cannot be read any more")];
    };
    let is_same = origin.is_none_or(|origin| origin.digest == load::origin(app, &file).digest);
    let mut changes: Vec<Change> = (!is_same).then(|| keeps("has changed")).into_iter().collect();
    match plan_today(app, live, state, direction, &file) {
        Some(today) => changes.extend(what_changed(&state.plan, &today)),
        None => changes.push(keeps("cannot be planned any more")),
    }
    changes
}

fn plan_today(
    app: &App,
    live: &Live,
    state: &RunState,
    direction: &Direction,
    file: &load::RunbookFile,
) -> Option<Plan> {
    let estate = &live.record.estate;
    let as_typed = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let params: BTreeMap<String, String> =
        state.plan.params.iter().map(|(name, value)| (name.clone(), as_typed(value))).collect();
    let (runbook, _) = load::examine_runbook(app, Some(estate), file).into_result().ok()?;
    let kinds = &app.catalogue;
    let request = PlanRequest { runbook: &runbook, file: "", estate, direction, params: &params, kinds };
    crate::runbook::plan(request).ok().map(|(plan, _)| plan)
}
