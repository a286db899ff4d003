//! The one thread that writes a run's events, in groups, and stops trusting itself after the first error.
//!
//! A thread of its own, because a sync can take seconds and nothing of the run's own work may wait for it but the
//! caller. What waits while a group is being written becomes the next group. Chatter is acknowledged at once and
//! written with the next fact, or after a tenth of a second.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::chain::{self, Head, Row};
use super::database::{self, Access};
use crate::port::SinkError;
use crate::run::{Event, Weight};

/// How long chatter may stay unwritten.
const CHATTER_DELAY: Duration = Duration::from_millis(100);
/// Most calls in one group.
const GROUP: usize = 256;
/// Rows between two checkpoints: keeps the write-ahead log at a few megabytes.
const CHECKPOINT_EVERY: usize = 1000;

type Ack = oneshot::Sender<Result<(), SinkError>>;

enum Order {
    Append(Vec<Event>, Ack),
    /// Write what is pending.
    Flush(Ack),
}

/// The handle of the thread.
pub(super) struct Writer {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a journal whose last event is `head`.
    pub(super) fn start(database: Connection, path: &Path, head: Head) -> Result<Self, SinkError> {
        let (orders, receiver) = mpsc::channel();
        let book = Book {
            database,
            path: path.to_owned(),
            head,
            pending: Vec::new(),
            since: None,
            unchecked: 0,
            poison: None,
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || book.serve(&receiver))
            .map_err(|error| super::folder::trouble("start a thread for the journal", path, &error))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Appends events; returns when they are durable, chatter excepted.
    pub(super) async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        self.order(|ack| Order::Append(events.to_vec(), ack)).await
    }

    /// Returns when everything appended so far is durable.
    pub(super) async fn flush(&self) -> Result<(), SinkError> {
        self.order(Order::Flush).await
    }

    async fn order(&self, order: impl FnOnce(Ack) -> Order) -> Result<(), SinkError> {
        let gone = || SinkError { tried: "write the journal".to_owned(), got: "its writer has ended".to_owned() };
        let (ack, answer) = oneshot::channel();
        self.orders.as_ref().ok_or_else(gone)?.send(order(ack)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without orders the thread writes what is pending and ends.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What the thread owns.
struct Book {
    database: Connection,
    path: PathBuf,
    /// The last accepted event, written or pending.
    head: Head,
    pending: Vec<Row>,
    /// Since when something is pending.
    since: Option<Instant>,
    /// Rows written since the last checkpoint.
    unchecked: usize,
    /// The first error. After a failed sync the kernel may have thrown pages away and still say that all is well
    /// next time, so nothing after it can be believed.
    poison: Option<SinkError>,
}

impl Book {
    fn serve(mut self, orders: &Receiver<Order>) {
        loop {
            let wait = self.since.map(|since| CHATTER_DELAY.saturating_sub(since.elapsed()));
            let first = match wait {
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => orders.recv_timeout(wait),
            };
            match first {
                Ok(first) => {
                    let mut waiting = Vec::new();
                    for order in std::iter::once(first).chain(orders.try_iter().take(GROUP - 1)) {
                        self.accept(order, &mut waiting);
                    }
                    if !waiting.is_empty() {
                        let written = self.write();
                        for ack in waiting {
                            // A caller that no longer waits does not need the answer.
                            drop(ack.send(written.clone()));
                        }
                    }
                }
                // An error stays behind as poison, and the next caller hears it.
                Err(RecvTimeoutError::Timeout) => drop(self.write()),
                Err(RecvTimeoutError::Disconnected) => {
                    drop(self.write());
                    return;
                }
            }
        }
    }

    /// Takes an order in; those that must wait for the disk are left in `waiting`.
    fn accept(&mut self, order: Order, waiting: &mut Vec<Ack>) {
        match order {
            Order::Flush(ack) => waiting.push(ack),
            Order::Append(events, ack) => match self.take(&events) {
                Ok(()) if events.iter().all(|event| event.kind.weight() == Weight::Chatter) => drop(ack.send(Ok(()))),
                Ok(()) => waiting.push(ack),
                Err(error) => drop(ack.send(Err(error))),
            },
        }
    }

    /// Seals events and leaves them pending; all of them or none.
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        if let Some(poison) = &self.poison {
            return Err(poison.clone());
        }
        let mut head = self.head;
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            let row = chain::seal(event, head).map_err(|got| super::folder::trouble("append to", &self.path, &got))?;
            head = Head { seq: row.seq, hash: row.hash };
            rows.push(row);
        }
        self.head = head;
        self.pending.append(&mut rows);
        self.since = self.since.or_else(|| Some(Instant::now()));
        Ok(())
    }

    /// Makes what is pending durable.
    fn write(&mut self) -> Result<(), SinkError> {
        if let Some(poison) = &self.poison {
            self.since = None;
            return Err(poison.clone());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.since = None;
        let rows = std::mem::take(&mut self.pending);
        let written = database::insert(&mut self.database, &rows).and_then(|()| {
            self.unchecked += rows.len();
            if self.unchecked < CHECKPOINT_EVERY {
                return Ok(());
            }
            self.unchecked = 0;
            database::checkpoint(&self.database)
        });
        written.map_err(|error| {
            let error = database::explain("write the journal", &self.path, &error, Access::Write);
            self.poison = Some(SinkError {
                tried: error.tried.clone(),
                got: format!("it is not written to any more after this error: {}", error.got),
            });
            error
        })
    }
}
