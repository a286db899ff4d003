//! `changeover run`: carries a runbook out, in this process or in one of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::conduct::{Conduct, conduct};
use super::direction::SiteSays;
use super::earlier::refuse_beside_others;
use super::live::{Live, locked, not_kept};
use super::output::{Output, Screen};
use super::plan::{PlanChoice, make};
use super::{App, CliError, Exit, load, print_warnings};
use crate::engine::{Engine, EngineConfig, EngineError, EngineEvents, NewRun};
use crate::journal::{EstateLock, RunJournal};
use crate::model::{Direction, RunId};
use crate::port::{Clock, Sink};
use crate::run::{RunPhase, RunState};
use crate::runbook::Plan;
use crate::session::Viewers;

/// The word with which a detached run tells its parent that it is on record.
pub(super) const ON_RECORD: &str = "on record: ";

/// How long viewers may take to see the end.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(5);

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The runbook, by name or path
    runbook: String,
    /// What the runbook is to do
    #[command(flatten)]
    choice: PlanChoice,
    /// The plan that was looked at, by its digest as `changeover plan` prints it: refused when it would be another one by now
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    plan: Option<String>,
    /// Carry it out in a process of its own and return once it is on record
    #[arg(long, conflicts_with = "scheduled")]
    detach: bool,
    /// For cron: ask nobody, and end at once with code 6 where this machine's site is not the active one
    #[arg(long)]
    scheduled: bool,
    /// How to show what happens
    #[arg(long, value_name = "HOW", default_value = "auto")]
    output: Output,
    /// This process was started by `--detach`
    #[arg(long, hide = true)]
    detached: bool,
    /// From where it was asked for
    #[arg(long, hide = true, default_value = "terminal")]
    through: String,
}

pub(super) fn run(app: &mut App, args: &RunArgs) -> Result<Exit, CliError> {
    if args.detach {
        return detach(app);
    }
    let through = if args.scheduled { "cron" } else { args.through.as_str() };
    let live = Live::open(app, through)?;
    let (runbook, origin, warnings) = load::runbook(app, &live.record.estate, &args.runbook)?;
    print_warnings(app, &warnings)?;
    let (run, point) = live.new_ids()?;
    let lock = live.record.store.lock(&live.holder(&run)).map_err(|error| locked(&error))?;
    let exit = super::block_on(async {
        // Not waited for: what needs a host waits for that host only. What cannot be reached is said when it is used.
        let world = Arc::clone(&live.world);
        tokio::spawn(async move { world.preconnect().await });
        let (direction, says) = live.direction(args.choice.from.as_ref()).await?;
        if args.scheduled && !is_our_turn(&live, &direction) {
            tell_turn(app, &direction, says.iter().any(|(_, says)| matches!(says, SiteSays::Record(_))))?;
            return Ok(Exit::NotOurTurn);
        }
        let plan = make(app, &live, (&runbook, &origin), &direction, &args.choice)?;
        if let Some(wanted) = &args.plan {
            is_wanted(wanted, &plan)?;
        }
        refuse_beside_others(app, &live, &run, plan.mode).await?;
        let journal = Arc::new(live.record.store.create_run(&run).map_err(|error| not_kept(&error))?);
        let (events, told) = mpsc::unbounded_channel();
        let config =
            engine_config(&live, &lock, &journal, events, args.scheduled || !app.io.is_interactive && !args.detached)?;
        let engine = Engine::create(config, NewRun { run: run.clone(), point, plan })
            .await
            .map_err(|error| engine_failed(&error, &run))?;
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

/// A digest, or as much of its beginning as `changeover plan` prints.
fn digest(text: &str) -> Result<String, String> {
    let is_digest = (8..=64).contains(&text.len()) && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if is_digest { Ok(text.to_owned()) } else { Err("write the digest that `changeover plan` prints".to_owned()) }
}

/// Between the look and the start a file may have been edited, or the direction turned: what nobody has seen is not begun.
fn is_wanted(wanted: &str, plan: &Plan) -> Result<(), CliError> {
    let digest = plan.digest();
    if digest.as_str().starts_with(wanted) {
        return Ok(());
    }
    let wanted = &wanted[..wanted.len().min(8)];
    Err(CliError::new(
        Exit::Refused,
        format!(
            "nothing was begun: plan {wanted} was confirmed, and now it would be plan {} ({}); the runbook, the estate, a \
             parameter or the direction has changed since: look at it again",
            digest.short(),
            plan.direction
        ),
    ))
}

/// What an engine of this process works with.
pub(super) fn engine_config(
    live: &Live,
    lock: &EstateLock,
    journal: &Arc<RunJournal>,
    events: EngineEvents,
    unattended: bool,
) -> Result<EngineConfig, CliError> {
    let console = live.record.store.console_id(lock, live.clock.entropy()).map_err(|error| not_kept(&error))?;
    Ok(EngineConfig {
        reach: live.world.clone(),
        clock: live.clock.clone(),
        estate: Arc::clone(&live.record.estate),
        catalogue: Arc::new(crate::systems::catalogue()),
        sink: Arc::clone(journal) as Arc<dyn Sink>,
        events,
        unattended,
        by: live.by.clone(),
        pid: std::process::id(),
        console,
    })
}

/// Carries a run out in this process, to its end.
pub(super) async fn carry_out(
    app: &mut App,
    live: &Live,
    engine: Engine,
    journal: Arc<RunJournal>,
    told: mpsc::UnboundedReceiver<Arc<crate::run::Event>>,
    output: Output,
) -> Result<Exit, CliError> {
    let run = engine.state().run.clone();
    let (commands, received) = mpsc::channel(64);
    // Without viewers the run goes on all the same; whoever would attach is told why it cannot be.
    let viewers = match Viewers::listen(Arc::clone(&journal), commands.clone()) {
        Ok(viewers) => Some(viewers),
        Err(problem) => {
            drop(writeln!(app.io.err, "nobody can attach to this run: {problem}"));
            None
        }
    };
    let at_terminal = (app.io.is_interactive && output != Output::None).then(|| live.by.clone());
    let mut screen = Screen::new(app, output, live.record.store.folder_of(&run), viewers.as_ref(), live.clock.clone());
    let conducted = conduct(Conduct { engine, events: told, commands, received, at_terminal }, &mut screen).await;
    let state = match conducted {
        Ok(state) => state,
        Err(error) => {
            drop(screen);
            return Err(engine_failed(&error, &run));
        }
    };
    screen.finish(&state);
    drop(screen);
    if let Some(viewers) = viewers {
        viewers.close(LAST_WORDS).await;
    }
    if let Err(error) = journal.flush().await {
        drop(writeln!(app.io.err, "some output of the run was not kept: {error}"));
    }
    live.world.close().await;
    Ok(exit_of(&state))
}

/// The exit code of a run as it is now.
pub(super) fn exit_of(state: &RunState) -> Exit {
    match &state.phase {
        RunPhase::Ended(outcome) => match outcome.exit_code() {
            0 => Exit::Done,
            3 => Exit::Refused,
            4 => Exit::Unknown,
            _ => Exit::Failed,
        },
        _ => Exit::Unknown,
    }
}

/// An engine that could not carry its run to an end.
pub(super) fn engine_failed(error: &EngineError, run: &RunId) -> CliError {
    let exit = match error {
        EngineError::Record { open, .. } if open.is_empty() => Exit::Failed,
        EngineError::Record { .. } | EngineError::Illegal(_) => Exit::Unknown,
        EngineError::Step { .. } => Exit::Invalid,
    };
    CliError::new(exit, error.to_string()).hint(format!("once that is set right: `changeover resume {run}`"))
}

/// A scheduled run is started at every node; only the machine that belongs to the active site goes on. A machine that
/// belongs to no site always does.
fn is_our_turn(live: &Live, direction: &Direction) -> bool {
    let sites = &live.record.estate.sites;
    let here: Vec<_> =
        sites.iter().filter(|(_, site)| site.hosts.values().any(|host| host.local)).map(|(name, _)| name).collect();
    here.is_empty() || here.contains(&&direction.source)
}

fn tell_turn(app: &mut App, direction: &Direction, on_record: bool) -> Result<(), CliError> {
    let says = if on_record { "the direction record says" } else { "the estate says" };
    writeln!(app.io.err, "not this site's turn: {says} that {} is active", direction.source)?;
    Ok(())
}

/// Starts this very command again in a process of its own, and waits until the run is on record or has failed to be.
pub(super) fn detach(app: &mut App) -> Result<Exit, CliError> {
    let failed = |what: &str, error: &std::io::Error| CliError::new(Exit::Failed, format!("cannot {what}: {error}"));
    let program = std::env::current_exe().map_err(|error| failed("find this program", &error))?;
    let arguments =
        std::env::args_os().skip(1).map(|argument| if argument == "--detach" { "--detached".into() } else { argument });
    let mut child = Process::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Not in this terminal's foreground group: Ctrl-C here does not reach it.
        .process_group(0)
        .spawn()
        .map_err(|error| failed("start a process for the run", &error))?;
    let mut first = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out)
            .read_line(&mut first)
            .map_err(|error| failed("read from the process of the run", &error))?;
    }
    if let Some(run) = first.trim().strip_prefix(ON_RECORD) {
        writeln!(app.io.out, "{run}")?;
        writeln!(app.io.err, "watch it: changeover attach {run}\nstop it:  changeover cancel {run}")?;
        return Ok(Exit::Done);
    }
    let ended = child.wait_with_output().map_err(|error| failed("wait for the process of the run", &error))?;
    app.io.err.write_all(&ended.stderr)?;
    Ok(match ended.status.code() {
        Some(2) => Exit::Invalid,
        Some(3) => Exit::Refused,
        Some(4) => Exit::Unknown,
        Some(5) => Exit::Locked,
        Some(6) => Exit::NotOurTurn,
        _ => Exit::Failed,
    })
}
