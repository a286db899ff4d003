//! The side of the run's process: accepts viewers and tells them what happens, without ever waiting for one.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::viewer::{Live, serve};
use super::wire::{self, ToViewer};
use super::{SessionError, socket};
use crate::journal::RunJournal;
use crate::run::{Event, RunCommand};

/// Events that wait for a viewer. One that is further behind reads the journal instead.
const WAITING: usize = 1024;

/// Everybody who watches the run of this process.
///
/// Dropping it ends all viewers at once; [`Viewers::close`] lets them see the end.
pub struct Viewers {
    live: broadcast::Sender<Live>,
    stop: CancellationToken,
    door: JoinHandle<JoinSet<()>>,
    journal: Arc<RunJournal>,
}

impl Viewers {
    /// Begins to listen in the run's folder. What viewers ask for is sent to `commands`; when that is full, the
    /// viewer waits, not the run.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(journal: Arc<RunJournal>, commands: mpsc::Sender<RunCommand>) -> Result<Self, SessionError> {
        let listener = socket::listen(journal.folder())?;
        let (live, heard) = broadcast::channel(WAITING);
        let stop = CancellationToken::new();
        let door = tokio::spawn(accept(listener, Arc::clone(&journal), heard, commands, stop.clone()));
        Ok(Self { live, stop, door, journal })
    }

    /// Tells all viewers of an event that is in the journal already. Never waits.
    pub fn publish(&self, event: &Event) {
        if self.live.receiver_count() <= 1 {
            return;
        }
        // Whoever cannot get it this way reads it in the journal.
        if let Ok(text) = wire::line(&ToViewer::Event(Box::new(event.clone()))) {
            drop(self.live.send(Live { seq: event.seq, text: text.into() }));
        }
    }

    /// Ends in order: accepts nobody any more, lets everybody see all there is and says that it is over. Viewers that
    /// have not taken it within `patience` are left behind.
    pub async fn close(self, patience: Duration) {
        self.stop.cancel();
        drop(self.live);
        socket::remove(self.journal.folder());
        if let Ok(mut viewers) = self.door.await {
            let all_gone = async { while viewers.join_next().await.is_some() {} };
            // Those that are left are ended by dropping them.
            drop(tokio::time::timeout(patience, all_gone).await);
        }
    }
}

/// Accepts viewers until told to stop; returns those that are still there.
async fn accept(
    listener: UnixListener,
    journal: Arc<RunJournal>,
    heard: broadcast::Receiver<Live>,
    commands: mpsc::Sender<RunCommand>,
    stop: CancellationToken,
) -> JoinSet<()> {
    let mut viewers = JoinSet::new();
    let let_in = |stream: UnixStream, viewers: &mut JoinSet<()>| {
        // A stranger gets no answer.
        if socket::check_peer(&stream).is_ok() {
            viewers.spawn(serve(stream, Arc::clone(&journal), heard.resubscribe(), commands.clone()));
        } else {
            tracing::warn!("somebody of another user tried to attach to the run");
        }
    };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = viewers.join_next() => {}
            stream = listener.accept() => match stream {
                Ok((stream, _)) => let_in(stream, &mut viewers),
                Err(error) => {
                    // Out of file handles, most likely: they come back, and the run does not need this.
                    tracing::warn!(%error, "a viewer could not be let in");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
        }
    }
    // Who knocked before the end sees it too.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        let_in(stream, &mut viewers);
    }
    viewers
}
