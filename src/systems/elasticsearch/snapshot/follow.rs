//! Following a snapshot to its end, finding one whose beginning was not answered, and stopping one.

use std::time::Duration;

use super::super::answers::{Running, Snapshot};
use super::super::ask::Ask;
use super::{Found, Ready};
use crate::model::{ByteSize, Failure, FailureKind};
use crate::systems::remote::ensure_space;

/// The longest pause between two looks.
const POLL: Duration = Duration::from_secs(3);

impl Ready<'_> {
    /// After a lost answer: whether the snapshot began all the same.
    pub(super) async fn find_lost(&self, name: &str, lost: Failure) -> Result<(), Failure> {
        self.cx.say("the answer was lost; looking whether the snapshot began");
        for pause in [1, 2, 4, 8, 15] {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            match self.look(name).await {
                Ok(Found::Ours(_)) => return Ok(()),
                Ok(Found::Stranger(snapshot) | Found::Broken(snapshot)) => return Err(self.stranger(&snapshot)),
                Ok(Found::Absent) | Err(_) => {}
            }
        }
        Err(lost.hint(format!(
            "it may still begin: look at GET {}/_snapshot/{}/{name}, then resume the run",
            self.client.url(),
            self.repository.name
        )))
    }

    /// Waits for the end of a snapshot that has begun.
    pub(super) async fn follow(&self, name: &str) -> Result<Snapshot, Failure> {
        let cx = self.cx;
        let tried = self.tried(name);
        let mut silent_since: Option<tokio::time::Instant> = None;
        let mut pause = Duration::from_millis(200);
        loop {
            if cx.cancel.is_cancelled() {
                return Err(self.stop(name).await);
            }
            match self.poll(name).await {
                Ok(Some(snapshot)) if snapshot.state == "IN_PROGRESS" => silent_since = None,
                Ok(Some(snapshot)) if snapshot.state == "SUCCESS" && snapshot.shards.failed == 0 => {
                    return Ok(snapshot);
                }
                Ok(Some(snapshot)) => return Err(self.broken(&snapshot)),
                Ok(None) => return Err(self.vanished(name).await),
                Err(failure) => {
                    let since = *silent_since.get_or_insert_with(tokio::time::Instant::now);
                    if since.elapsed() > cx.estate.policy.patience() {
                        return Err(Failure::new(FailureKind::Unknown, tried, failure.got.as_str()).hint(
                            "the snapshot may still be running there; when the cluster answers again, resume the run",
                        ));
                    }
                    cx.say(format!("{} does not answer ({}); asking again", self.client.site, failure.got.as_str()));
                }
            }
            tokio::select! {
                biased;
                () = cx.cancel.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 3 / 2).min(POLL);
        }
    }

    /// A snapshot that began and is gone: the servers keep no reason when they cannot write one to its end.
    async fn vanished(&self, name: &str) -> Failure {
        let (cx, site) = (self.cx, &self.client.site);
        let room = async {
            let (place, tree) = (cx.exchange_place(site)?, cx.tree(site)?);
            ensure_space(cx, &place, tree.exchange(), 0).await
        };
        let room = match room.await {
            Ok(free) => format!("; {} are free on the exchange tree now", ByteSize(free)),
            Err(failure) if failure.kind == FailureKind::Rule => format!("; on the exchange tree, {}", failure.got),
            Err(_) => String::new(),
        };
        let got =
            format!("it began, and is gone: the cluster could not write it to its end, or somebody deleted it{room}");
        Failure::new(FailureKind::Refused, self.tried(name), got).hint(format!(
            "if the disk at {} was full, free some space, then resume the run; else the log of the cluster's master says \
             why it `failed to finalize snapshot`; if it does not, find out who deletes snapshots of this repository",
            self.repository.location
        ))
    }

    /// One look: progress while it runs, else the snapshot.
    async fn poll(&self, name: &str) -> Result<Option<Snapshot>, Failure> {
        let ask = Ask::running_snapshots(Some(&self.repository.name));
        let running: Running = self.client.fetch(&ask, "follow the snapshot").await?;
        if let Some(running) = running.snapshots.iter().find(|running| running.snapshot == name) {
            let (done, total, what) = running.progress();
            self.cx.progress(done, Some(total), what);
        }
        self.fetch(name).await
    }

    /// Stops the snapshot and sees that it is gone.
    async fn stop(&self, name: &str) -> Failure {
        self.cx.say(format!("stopping snapshot {name}"));
        let tried = self.tried(name);
        // A deletion waits until the nodes have stopped; whatever it answers, only looking tells.
        let ask = Ask::delete_snapshot(self.identity.dialect, &self.repository.name, name);
        let deletion = self.client.change(&ask, &tried).await;
        for pause in [0, 1, 2, 5, 10, 20] {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if let Ok(None) = self.fetch(name).await {
                return Failure::new(FailureKind::Cancelled, tried, "asked to stop; the snapshot is gone");
            }
        }
        let said = match deletion {
            Ok(answer) if answer.is_success() => "the deletion was accepted".to_owned(),
            Ok(answer) => answer.error().to_string(),
            Err(failure) => failure.got.to_string(),
        };
        Failure::new(FailureKind::Unknown, tried, format!("asked to stop, but the snapshot is still there: {said}"))
            .hint(format!("DELETE {}/_snapshot/{}/{name}", self.client.url(), self.repository.name))
    }
}
