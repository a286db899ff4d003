//! `changeover attach`: watches a run that is under way in another process, and answers what it asks.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::conduct::{Audience, command_in, next_line, terminal_lines};
use super::live::{Record, operator};
use super::output::{Output, Screen};
use super::run::exit_of;
use super::{App, CliError, Exit};
use crate::run::{Event, RunPhase, RunState};
use crate::session::{self, Commander, Events, SessionError};
use crate::transport::SystemClock;

/// The arguments of `attach`.
#[derive(Debug, clap::Args)]
pub struct AttachArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// How to show what happens
    #[arg(long, value_name = "HOW", default_value = "auto")]
    output: Output,
}

pub(super) fn run(app: &mut App, args: &AttachArgs) -> Result<Exit, CliError> {
    let record = Record::open(app)?;
    let run = record.find(&args.run)?;
    let folder = record.store.folder_of(&run);
    let by = operator("attached");
    let can_answer = app.io.is_interactive;
    super::block_on(async {
        let (events, commander) = session::attach(&folder, 0).await.map_err(|error| not_attached(&error))?;
        let mut screen = Screen::new(app, args.output, folder, None, Arc::new(SystemClock::new()));
        let by = can_answer.then_some(by);
        watch(events, commander, by.as_ref(), &mut screen).await
    })
}

/// Follows the run until it ends, its process goes, or the person leaves with Ctrl-C.
async fn watch(
    mut events: Events,
    mut commander: Commander,
    by: Option<&crate::run::Operator>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    let mut view: Option<RunState> = None;
    let mut lines = by.map(|_| terminal_lines());
    let mut second = tokio::time::interval(std::time::Duration::from_secs(1));
    // Heard from here on, and before any event: neither is it lost while one is shown, nor does a flood keep it waiting.
    let mut stopped = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            biased;
            _ = stopped.recv() => return Ok(left(view.as_ref(), screen)),
            event = events.next() => match event {
                Ok(Some(event)) => see(&Arc::new(event), &mut view, screen)?,
                Ok(None) => return Ok(left(view.as_ref(), screen)),
                Err(error) => return Err(not_attached(&error)),
            },
            Some(line) = next_line(&mut lines) => {
                if let (Some(by), Some(view)) = (by, &view)
                    && let Some(command) = command_in(&line, by, view, screen)
                {
                    commander.send(command).await.map_err(|error| not_attached(&error))?;
                }
            }
            _ = second.tick() => {
                if let Some(view) = &view {
                    screen.tick(view);
                }
            }
        }
    }
}

fn see(event: &Arc<Event>, view: &mut Option<RunState>, screen: &mut Screen<'_>) -> Result<(), CliError> {
    let wrong = |error: crate::run::IllegalTransition| CliError::new(Exit::Unknown, error.to_string());
    let state = match view {
        Some(state) => {
            state.apply(event).map_err(wrong)?;
            state
        }
        None => view.insert(RunState::create(event).map_err(wrong)?),
    };
    screen.event(event, state);
    Ok(())
}

/// The end of watching: the run's own ending if there is one, else nothing is said of it.
fn left(view: Option<&RunState>, screen: &mut Screen<'_>) -> Exit {
    match view {
        Some(state) if matches!(state.phase, RunPhase::Ended(_)) => {
            screen.finish(state);
            exit_of(state)
        }
        _ => Exit::Done,
    }
}

/// Why a run cannot be watched, as an error of the command.
pub(super) fn not_attached(error: &SessionError) -> CliError {
    let exit = match error {
        SessionError::Absent => Exit::Failed,
        SessionError::Gone | SessionError::Lost | SessionError::Trouble(_) => Exit::Unknown,
        SessionError::Stranger(_) => Exit::Refused,
        SessionError::Failed { .. } => Exit::Failed,
    };
    CliError::new(exit, error.to_string())
}
