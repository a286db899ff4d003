//! `elasticsearch.prune`: deletes the snapshots of restore points that no site holds any more.
//!
//! What goes is worked out from what is there, each time anew: the snapshots of the repository against the points on the
//! exchange trees. So it may be entered, repeated or left out at any time, and what one run could not delete the next
//! one does. It removes no points (`exchange.prune` does) and no snapshot that this program did not make. The clean-up
//! of a repository is not asked for: since 7.x a deletion does the same by itself, and 6.x has none.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers::{Recoveries, Running, Snapshot, Snapshots};
use super::ask::Ask;
use super::client::{Client, Identity};
use super::repository::{self, Role, Wanted};
use super::rules::{self, Peer};
use crate::model::{Failure, FailureKind, Limit, PointId, SafeText};
use crate::systems::epoch::require_direction;
use crate::systems::held::{self, newest_complete};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

mod choose;
mod delete;

use choose::{Choice, Known, choose};

/// Deletes snapshots whose restore point is gone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneSnapshots {
    /// How many of the repository's snapshots may go in one run; a quarter, but at least one, when left out. The rest
    /// waits for the next run, so that the copy at the other site never loses much of its repository at once.
    #[serde(default)]
    at_most: Option<Limit>,
    /// Does not ask the other site. Then a point that only the other site still holds, pinned or not, loses its snapshot
    /// too.
    #[serde(default)]
    alone: bool,
}

/// Everything that is known before anything is changed.
struct Ready<'a> {
    cx: &'a StepContext,
    client: Client,
    identity: Identity,
    repository: Wanted,
}

#[async_trait]
impl Step for PruneSnapshots {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let ready = Ready::new(cx).await?;
        let choice = self.choice(&ready).await?.unwrap_or_default();
        let shown = |name: &String| {
            let ask = Ask::delete_snapshot(ready.identity.dialect, &ready.repository.name, name);
            SafeText::line(&ready.client.shown(&ask))
        };
        Ok(choice.going.iter().map(shown).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let ready = Ready::new(cx).await?;
        let mut report = CheckReport::live();
        let Some(choice) = self.choice(&ready).await? else {
            return Ok(report.good("the repository is not registered yet"));
        };
        for name in &choice.going {
            report = report.loses(format!("snapshot {name} at {}, whose restore point is gone", ready.client.site));
        }
        Ok(report.good(choice.describe()))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        require_direction(cx, cx.site()?).await?;
        let ready = Ready::new(cx).await?;
        let Some(choice) = self.choice(&ready).await? else {
            return Ok(StepDone::nothing_to_do("the repository is not registered yet"));
        };
        let done = |done: StepDone| {
            done.capture("pruned", choice.going.clone())
                .capture("kept", choice.kept)
                .capture("waiting", choice.waiting)
                .capture("strangers", choice.strangers)
        };
        if choice.going.is_empty() {
            return Ok(done(StepDone::nothing_to_do(choice.describe())));
        }
        ready.ensure_quiet().await?;
        for name in &choice.going {
            cx.check_cancelled(&ready.tried(name))?;
            ready.delete(name).await?;
            cx.say(format!("deleted snapshot {name}"));
        }
        cx.say(choice.describe());
        Ok(done(StepDone::new()))
    }
}

impl PruneSnapshots {
    /// What goes and what stays; nothing when there is no repository yet.
    async fn choice(&self, ready: &Ready<'_>) -> Result<Option<Choice>, Failure> {
        let (cx, site) = (ready.cx, &ready.client.site);
        let registered = repository::registered(&ready.client).await?;
        let tried = format!("use repository {} at {site}", ready.repository.name);
        ready.repository.judge(&registered).map_err(|objection| objection.failure(&tried))?;
        if !registered.contains_key(&ready.repository.name) {
            return Ok(None);
        }
        // The snapshots first: one that is taken meanwhile is not in the list, whatever its point looks like then.
        let snapshots = ready.snapshots().await?;
        let points = held::points(cx, &cx.exchange_place(site)?, &cx.tree(site)?).await?;
        let mut held: BTreeSet<PointId> = points.iter().map(|point| point.id.clone()).collect();
        if !self.alone {
            ready.ensure_unread().await?;
            let other = &cx.direction.target;
            let there = held::points(cx, &cx.exchange_place(other)?, &cx.tree(other)?).await?;
            held.extend(there.into_iter().map(|point| point.id));
        }
        let known = Known { source: site, own: &cx.point, newest: newest_complete(&points), held: &held };
        let at_most = self.at_most.unwrap_or(Limit::Percent(25));
        Ok(Some(choose(&snapshots, &known, at_most)))
    }
}

impl<'a> Ready<'a> {
    async fn new(cx: &'a StepContext) -> Result<Self, Failure> {
        let service = cx.service_name()?;
        let site = cx.site()?;
        if *site != cx.direction.source {
            let tried = format!("delete snapshots of service {service} at {site}");
            return Err(Failure::new(FailureKind::Rule, tried, "only the source writes to the repository")
                .hint("give the step `on = \"source\"`; the other site's copy follows with the next transfer"));
        }
        let client = Client::new(cx, service, site).await?;
        let identity = client.identify().await?;
        let repository = Wanted::new(cx, &client, service, Role::Writer)?;
        Ok(Self { cx, client, identity, repository })
    }

    fn tried(&self, name: &str) -> String {
        format!("delete snapshot {name} in repository {} at {}", self.repository.name, self.client.url())
    }

    /// Every snapshot of the repository that can be read.
    async fn snapshots(&self) -> Result<Vec<Snapshot>, Failure> {
        let tried = format!("list the snapshots in repository {} at {}", self.repository.name, self.client.site);
        Ok(self.client.fetch::<Snapshots>(&Ask::snapshots(&self.repository.name), &tried).await?.all())
    }

    /// Fails while a snapshot is being taken in the repository: a deletion would wait for it, or be refused.
    async fn ensure_quiet(&self) -> Result<(), Failure> {
        let tried = format!("delete snapshots in repository {} at {}", self.repository.name, self.client.site);
        let ask = Ask::running_snapshots(Some(&self.repository.name));
        let running: Running = self.client.fetch(&ask, &tried).await?;
        match running.snapshots.first() {
            None => Ok(()),
            Some(running) => {
                Err(Failure::new(FailureKind::Busy, tried, format!("snapshot {} is being taken", running.snapshot))
                    .hint("nothing was deleted; the next run does it"))
            }
        }
    }

    /// Fails unless the cluster at the other end is another one, does not write to the repository, and is not restoring
    /// from its copy: what is deleted here goes from that copy with the next transfer.
    async fn ensure_unread(&self) -> Result<(), Failure> {
        let (cx, service) = (self.cx, self.cx.service_name()?);
        let tried = format!("see whether {} restores from repository {}", cx.direction.target, self.repository.name);
        let peer = rules::peer(cx, service, &self.client.site, &self.identity).await?;
        let client = match &peer {
            Peer::Known(client) => client,
            Peer::Silent(why) => {
                return Err(Failure::new(FailureKind::Unreachable, tried, why).hint(
                    "nothing was deleted; the next run does it. A site that is alone by design says `alone = true`",
                ));
            }
        };
        rules::one_writer(cx, service, &peer).await?;
        let recoveries: Recoveries = client.fetch(&Ask::active_recoveries(), &tried).await?;
        let mut shards = recoveries.into_values().flat_map(|index| index.shards);
        match shards.find(|shard| shard.kind == "SNAPSHOT" && shard.source.repository == self.repository.name) {
            None => Ok(()),
            Some(shard) => Err(Failure::new(
                FailureKind::Busy,
                tried,
                format!("it is restoring snapshot {}", shard.source.snapshot),
            )
            .hint("nothing was deleted; the next run does it")),
        }
    }
}

#[cfg(test)]
mod tests;
