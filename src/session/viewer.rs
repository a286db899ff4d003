//! One viewer, as the run's process sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc};

use super::lines::Lines;
use super::wire::{self, FromViewer, ToViewer};
use crate::journal::RunJournal;
use crate::model::SafeText;
use crate::run::RunCommand;

/// Events read from the journal at once.
const PAGE: u32 = 500;
/// How long a viewer may take to say what it wants.
const GREETING: Duration = Duration::from_secs(5);

/// An event on its way to all viewers.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) seq: u64,
    /// The line to send, made once for all.
    pub(super) text: Arc<str>,
}

/// Why a viewer is told nothing more. A viewer that is gone itself needs no reason.
enum End {
    Gone,
    Over,
    Trouble(String),
}

/// Serves one viewer until it goes, or until nothing more happens.
pub(super) async fn serve(
    stream: UnixStream,
    journal: Arc<RunJournal>,
    live: broadcast::Receiver<Live>,
    commands: mpsc::Sender<RunCommand>,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = Lines::new(read, wire::LONGEST_FROM_VIEWER);
    let end = match tokio::time::timeout(GREETING, next(&mut lines)).await {
        Ok(Ok(FromViewer::Attach { after })) => tokio::select! {
            biased;
            end = listen(&mut lines, &commands) => end,
            end = tell(&mut write, &journal, live, after) => end,
        },
        Ok(Ok(FromViewer::Command(_))) => End::Trouble("the first line must be an `attach`".to_owned()),
        Ok(Err(end)) => end,
        Err(_) => End::Trouble("no `attach` came".to_owned()),
    };
    let last = match end {
        End::Gone => return,
        End::Over => ToViewer::Over(()),
        End::Trouble(why) => ToViewer::Trouble(SafeText::block(&why)),
    };
    if let Ok(text) = wire::line(&last) {
        // Whoever does not read it any more does not need it.
        drop(write.write_all(text.as_bytes()).await);
        drop(write.shutdown().await);
    }
}

async fn next(lines: &mut Lines<OwnedReadHalf>) -> Result<FromViewer, End> {
    match lines.next().await {
        Ok(Some(line)) => serde_json::from_slice(&line).map_err(|error| {
            End::Trouble(format!("this is not understood ({error}): {}", String::from_utf8_lossy(&line)))
        }),
        Ok(None) => Err(End::Gone),
        Err(error) => Err(End::Trouble(error.to_string())),
    }
}

/// Passes commands on until the viewer goes.
async fn listen(lines: &mut Lines<OwnedReadHalf>, commands: &mpsc::Sender<RunCommand>) -> End {
    loop {
        match next(lines).await {
            Ok(FromViewer::Command(command)) => {
                if commands.send(command).await.is_err() {
                    return End::Trouble("the run takes no more commands: it is ending".to_owned());
                }
            }
            Ok(FromViewer::Attach { .. }) => return End::Trouble("it is attached already".to_owned()),
            Err(end) => return end,
        }
    }
}

/// Sends every event after `sent`, once and in order: from the journal until that is exhausted, then as they come,
/// then from the journal again whenever one is missing in between.
async fn tell(
    write: &mut OwnedWriteHalf,
    journal: &RunJournal,
    mut live: broadcast::Receiver<Live>,
    mut sent: u64,
) -> End {
    let mut more = true;
    while more {
        if let Err(end) = catch_up(write, journal, &mut sent).await {
            return end;
        }
        more = loop {
            match live.recv().await {
                Ok(event) if event.seq <= sent => {}
                Ok(event) if event.seq == sent + 1 => {
                    if write.write_all(event.text.as_bytes()).await.is_err() {
                        return End::Gone;
                    }
                    sent = event.seq;
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => break true,
                Err(broadcast::error::RecvError::Closed) => break false,
            }
        };
    }
    // The last ones may have been kept without having been told.
    catch_up(write, journal, &mut sent).await.err().unwrap_or(End::Over)
}

async fn catch_up(write: &mut OwnedWriteHalf, journal: &RunJournal, sent: &mut u64) -> Result<(), End> {
    loop {
        let page = journal.history(*sent, PAGE).await.map_err(|error| End::Trouble(error.to_string()))?;
        if page.is_empty() {
            return Ok(());
        }
        for event in page {
            let seq = event.seq;
            let text =
                wire::line(&ToViewer::Event(Box::new(event))).map_err(|error| End::Trouble(error.to_string()))?;
            write.write_all(text.as_bytes()).await.map_err(|_| End::Gone)?;
            *sent = seq;
        }
    }
}
