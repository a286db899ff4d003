//! The side of a viewer.

use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::lines::Lines;
use super::wire::{self, FromViewer, ToViewer};
use super::{SessionError, socket};
use crate::run::{Event, RunCommand};

/// Attaches to the live process of the run in `folder`: gives every event after `after`, and takes commands.
///
/// # Errors
/// [`SessionError::Absent`] and [`SessionError::Gone`] when there is no live process.
pub async fn attach(folder: &Path, after: u64) -> Result<(Events, Commander), SessionError> {
    let (read, write) = socket::connect(folder).await?.into_split();
    let mut commander = Commander { write };
    commander.say(&FromViewer::Attach { after }).await?;
    Ok((Events { lines: Lines::new(read, wire::LONGEST_TO_VIEWER), over: false }, commander))
}

/// What happens in the run.
pub struct Events {
    lines: Lines<OwnedReadHalf>,
    over: bool,
}

impl Events {
    /// The next event; nothing when the run's process has ended in order. A call that is given up loses nothing.
    ///
    /// # Errors
    /// When no more events come and that is not in order.
    pub async fn next(&mut self) -> Result<Option<Event>, SessionError> {
        if self.over {
            return Ok(None);
        }
        let line = self.lines.next().await.map_err(|_| SessionError::Lost)?.ok_or(SessionError::Lost)?;
        let said = serde_json::from_slice(&line)
            .map_err(|error| SessionError::Failed { tried: "understand the run".to_owned(), got: error.to_string() })?;
        match said {
            ToViewer::Event(event) => Ok(Some(*event)),
            ToViewer::Trouble(why) => Err(SessionError::Trouble(why)),
            ToViewer::Over(()) => {
                self.over = true;
                Ok(None)
            }
        }
    }
}

/// Where commands are given. Dropping it detaches: the run goes on, and [`Events`] ends.
pub struct Commander {
    write: OwnedWriteHalf,
}

impl Commander {
    /// Gives a command. That it was given does not mean that it was taken: the events show that.
    ///
    /// # Errors
    /// When the run's process is gone.
    pub async fn send(&mut self, command: RunCommand) -> Result<(), SessionError> {
        self.say(&FromViewer::Command(command)).await
    }

    async fn say(&mut self, what: &FromViewer) -> Result<(), SessionError> {
        let failed =
            |error: &dyn ToString| SessionError::Failed { tried: "give a command".to_owned(), got: error.to_string() };
        let text = wire::line(what).map_err(|error| failed(&error))?;
        self.write.write_all(text.as_bytes()).await.map_err(|_| SessionError::Lost)
    }
}
