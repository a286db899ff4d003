//! `changeover cancel`: asks a run in another process to stop, and says when the run has taken it.

use std::time::Duration;

use super::attach::not_attached;
use super::live::{Record, operator};
use super::{App, CliError, Exit};
use crate::model::CancelReason;
use crate::run::{EventKind, RunCommand};
use crate::session;

/// How long the run may take to say that it has been asked. It has not more to do than to write it down.
const PATIENCE: Duration = Duration::from_secs(30);

/// The arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// Stop the running steps too, with what they have started on hosts
    #[arg(long)]
    now: bool,
}

pub(super) fn run(app: &mut App, args: &CancelArgs) -> Result<Exit, CliError> {
    let record = Record::open(app)?;
    let run = record.find(&args.run)?;
    let folder = record.store.folder_of(&run);
    let seen = record.state(&run)?.last_seq;
    let reason = if args.now { CancelReason::OperatorNow } else { CancelReason::Operator };
    super::block_on(async {
        let (mut events, mut commander) = session::attach(&folder, seen).await.map_err(|error| not_attached(&error))?;
        let command = RunCommand::Cancel { reason, by: Some(operator("cancel")) };
        commander.send(command).await.map_err(|error| not_attached(&error))?;
        let taken = async {
            while let Some(event) = events.next().await? {
                if matches!(event.kind, EventKind::CancelRequested { .. } | EventKind::RunEnded { .. }) {
                    return Ok(Some(event));
                }
            }
            Ok(None)
        };
        match tokio::time::timeout(PATIENCE, taken).await {
            Ok(Ok(Some(event))) if matches!(event.kind, EventKind::CancelRequested { .. }) => {
                let how = if args.now { "it stops its running steps" } else { "it stops after its running steps" };
                writeln!(app.io.out, "run {run} has been asked to stop: {how}")?;
                Ok(Exit::Done)
            }
            Ok(Ok(_)) => {
                writeln!(app.io.out, "run {run} had ended already")?;
                Ok(Exit::Done)
            }
            Ok(Err(error)) => Err(not_attached(&error)),
            Err(_) => Err(CliError::new(Exit::Unknown, format!("run {run} has not said that it was asked to stop"))
                .hint(format!("look at it with `changeover attach {run}`"))),
        }
    })
}
