//! Deleting one snapshot and seeing that it is gone. Deletions are asked for one by one: older servers do one at a time,
//! and each of them writes the list of the repository anew.

use std::time::Duration;

use super::super::answers::Snapshots;
use super::super::ask::Ask;
use super::Ready;
use crate::model::{Failure, FailureKind};

/// How long a deletion whose answer was lost is looked for. The server goes on with it meanwhile.
const PATIENCE: Duration = Duration::from_mins(10);
/// The longest pause between two looks.
const POLL: Duration = Duration::from_secs(10);
/// What the servers call a snapshot that is not there.
const MISSING: &str = "snapshot_missing_exception";

impl Ready<'_> {
    async fn is_there(&self, name: &str) -> Result<bool, Failure> {
        let tried = format!("look whether snapshot {name} is gone");
        let answer = self.client.read(&Ask::snapshot(&self.repository.name, name), &tried).await?;
        // A repository that is missing says nothing about its snapshots.
        if answer.error().kind == MISSING {
            return Ok(false);
        }
        Ok(answer.decode::<Snapshots>(&tried)?.named(name).is_some())
    }

    /// Deletes it. One that is gone already is as good as deleted.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let tried = self.tried(name);
        let ask = Ask::delete_snapshot(self.identity.dialect, &self.repository.name, name);
        match self.client.change(&ask, &tried).await {
            Ok(answer) if answer.error().kind == MISSING => Ok(()),
            Ok(answer) if answer.is_success() && self.is_there(name).await? => {
                Err(Failure::new(FailureKind::Mismatch, tried, "the server agreed, but it is still there")
                    .hint(format!("look at GET {}/_snapshot/{}/{name}", self.client.url(), self.repository.name)))
            }
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(answer) => Err(answer.refusal(&tried)),
            Err(failure) if failure.is_unknown() => self.wait_until_gone(name, failure).await,
            Err(failure) => Err(failure),
        }
    }

    /// After a lost answer: a large repository takes longer to delete from than any connection lives.
    async fn wait_until_gone(&self, name: &str, lost: Failure) -> Result<(), Failure> {
        self.cx.say(format!("the answer was lost; looking whether snapshot {name} is going"));
        let since = tokio::time::Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            // A deletion that has begun cannot be stopped.
            tokio::select! {
                biased;
                () = self.cx.cancel.cancelled() => return Err(lost),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(POLL);
            let seen = self.is_there(name).await;
            match seen {
                Ok(false) => return Ok(()),
                Ok(true) | Err(_) if since.elapsed() < PATIENCE => {}
                // Seen, so that it is known: asking for the same deletion again is harmless.
                Ok(true) => {
                    let got = format!("{}; it is still there after ten minutes", lost.got.as_str());
                    return Err(Failure::new(FailureKind::Busy, self.tried(name), got)
                        .hint("the server may still be at it; the next run looks again"));
                }
                Err(_) => return Err(lost),
            }
        }
    }
}
