//! Looking at a run: attached to its process while that lives, from its journal otherwise.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::console::Msg;
use crate::journal::Store;
use crate::model::{RunId, SafeText};
use crate::run::{Event, RunCommand};
use crate::session::{self, SessionError};

/// A run that is looked at. Dropping it ends the look.
pub(super) struct Looking {
    task: JoinHandle<()>,
    commands: mpsc::UnboundedSender<RunCommand>,
}

impl Looking {
    /// Begins to look at a run; everything comes as messages.
    pub(super) fn at(store: Store, run: RunId, tell: mpsc::UnboundedSender<Msg>) -> Self {
        let (commands, wanted) = mpsc::unbounded_channel();
        Self { task: tokio::spawn(look(store, run, tell, wanted)), commands }
    }

    /// Gives the run a command.
    pub(super) fn command(&self, command: RunCommand) {
        // When nobody takes it any more, the end of the look has been told already.
        drop(self.commands.send(command));
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(
    store: Store,
    run: RunId,
    tell: mpsc::UnboundedSender<Msg>,
    mut wanted: mpsc::UnboundedReceiver<RunCommand>,
) {
    let send = |msg| drop(tell.send(msg));
    let folder = store.folder_of(&run);
    let journal = {
        let run = run.clone();
        tokio::task::spawn_blocking(move || store.open_run(&run).and_then(|reader| reader.events())).await
    };
    let events: Vec<Arc<Event>> = match journal {
        Ok(Ok(events)) => events.into_iter().map(Arc::new).collect(),
        Ok(Err(error)) => return send(Msg::NotOpened(run, SafeText::line(&error.to_string()))),
        Err(error) => return send(Msg::NotOpened(run, SafeText::line(&error.to_string()))),
    };
    let last = events.last().map_or(0, |event| event.seq);
    let attached = session::attach(&folder, last).await;
    send(Msg::Opened { run: run.clone(), events, live: attached.is_ok() });
    let (mut told, mut commander) = match attached {
        Ok(both) => both,
        Err(SessionError::Absent | SessionError::Gone) => return,
        Err(error) => return send(Msg::Told { text: SafeText::line(&error.to_string()), bad: true }),
    };
    loop {
        tokio::select! {
            biased;
            event = told.next() => match event {
                Ok(Some(event)) => send(Msg::Event(run.clone(), Arc::new(event))),
                Ok(None) => return send(Msg::Ended(run, None)),
                Err(error) => return send(Msg::Ended(run, Some(SafeText::line(&error.to_string())))),
            },
            Some(command) = wanted.recv() => {
                if let Err(error) = commander.send(command).await {
                    send(Msg::Told { text: SafeText::line(&error.to_string()), bad: true });
                }
            }
        }
    }
}
