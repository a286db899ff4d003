//! `elasticsearch.restore`: makes the indices of the target what a snapshot says.
//!
//! Entering it again is harmless: an index that already holds the snapshot untouched is left alone, one that is being
//! restored from it is followed.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers::{Snapshot, Snapshots};
use super::ask::{Ask, portions};
use super::client::{Client, Identity};
use super::companions::Companions;
use super::decide::{self, Evidence, Origin, Todo};
use super::details::Copied;
use super::indices::{self, Table};
use super::repository::{self, Role, Wanted};
use super::rules;
use super::waiting::{self, Restoring};
use crate::model::{Failure, FailureKind, PointId, SafeText, ServiceName};
use crate::points::Part;
use crate::systems::{CheckReport, Step, StepContext, StepDone, remote};

/// The pause before another look after a refusal.
const AGAIN: Duration = Duration::from_secs(1);

/// Restores the service's indices from the snapshot of a restore point.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreSnapshot {
    /// The restore point; the run's own when left out.
    #[serde(default)]
    point: Option<PointId>,
    /// Removes indices that the source does not have any more.
    #[serde(default = "yes")]
    prune: bool,
    /// Lets every node look at the repository first.
    #[serde(default = "yes")]
    verify_repository: bool,
}

fn yes() -> bool {
    true
}

/// Everything that is known before anything is changed.
struct Ready<'a> {
    cx: &'a StepContext,
    service: ServiceName,
    client: Client,
    identity: Identity,
    repository: Wanted,
}

#[async_trait]
impl Step for RestoreSnapshot {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let ready = Ready::new(cx).await?;
        let dialect = ready.identity.dialect;
        let mut asks = vec![ready.repository.ask(dialect)];
        if self.verify_repository {
            asks.push(Ask::verify_repository(&ready.repository.name));
        }
        let Some(part) = ready.part(self.point.as_ref()).await? else {
            let mut shown: Vec<SafeText> = asks.iter().map(|ask| SafeText::line(&ready.client.shown(ask))).collect();
            shown.push(SafeText::line("then, for the indices of the snapshot that is yet to be taken: templates, POST /…/_close, POST /_snapshot/…/_restore"));
            return Ok(shown);
        };
        let copied = Copied::of(&part)?;
        let table = Table::fetch(&ready.client).await?;
        let health = rules::health(&ready.client, &Ask::health()).await?;
        asks.push(Ask::snapshot(&ready.repository.name, &copied.snapshot));
        let there = Companions::all(&ready.client, dialect).await?;
        asks.extend(copied.companions.missing_at(&there, dialect));
        let plan = ready.plan(&copied, &table, 0).await?;
        asks.extend(ready.removals(&plan));
        asks.extend(ready.restores(&copied, &plan, health.number_of_data_nodes).into_iter().map(|(ask, _)| ask));
        if self.prune {
            let surplus = decide::surplus(&copied, &table, &ready.client.settings.indices);
            asks.extend(
                portions(surplus.into_iter().map(String::as_str)).iter().map(|names| Ask::delete(dialect, names)),
            );
        }
        Ok(asks.iter().map(|ask| SafeText::line(&ready.client.shown(ask))).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let ready = Ready::new(cx).await?;
        let site = ready.client.site.as_str();
        let registered = repository::registered(&ready.client).await?;
        let tried = format!("use repository {} at {site}", ready.repository.name);
        ready.repository.judge(&registered).map_err(|objection| objection.failure(&tried))?;
        let table = Table::fetch(&ready.client).await?;
        let mut report = CheckReport::live();
        let part = ready.part(self.point.as_ref()).await?;
        // Before the snapshot exists, everything that matches has to be counted as lost.
        let (mut replaced, mut removed) = (Vec::new(), Vec::new());
        if let Some(part) = &part {
            let copied = Copied::of(part)?;
            ready.compatible(&copied)?;
            for (name, todo) in ready.plan(&copied, &table, 0).await? {
                if matches!(todo, Todo::Replace | Todo::Recreate) {
                    replaced.push(name.clone());
                }
            }
            if self.prune {
                let surplus = decide::surplus(&copied, &table, &ready.client.settings.indices);
                removed.extend(surplus.into_iter().cloned());
            }
            report =
                report.good(format!("{} indices of snapshot {} go to {site}", copied.indices.len(), copied.snapshot));
        } else {
            replaced.extend(table.meant(&ready.client.settings.indices).map(|(name, _)| name.clone()));
            report =
                report.good(format!("the snapshot is yet to be taken; what is at {site} now will be replaced by it"));
        }
        let fates = [("replaced", replaced), ("removed, as the source does not have it", removed)];
        for (fate, names) in fates {
            let open: Vec<&str> = names.iter().map(String::as_str).filter(|name| table.indices[*name].open).collect();
            // A copy that cannot be counted is lost all the same, and must be listed.
            let counted = indices::count(&ready.client, &open).await.unwrap_or_default();
            for name in &names {
                report = report.loses(decide::loss(name, &table.indices[name], counted.get(name).copied(), fate, site));
            }
        }
        Ok(report)
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let ready = Ready::new(cx).await?;
        let (client, dialect) = (&ready.client, ready.identity.dialect);
        let point = self.point.as_ref().unwrap_or(&cx.point);
        let part = remote::load_part(cx, &client.site, point, &ready.service).await?;
        let copied = Copied::of(&part)?;
        ready.compatible(&copied)?;
        if ready.repository.ensure(client, dialect).await? {
            cx.say(format!(
                "registered repository {} read-only at {}",
                ready.repository.name, ready.repository.location
            ));
        }
        if self.verify_repository {
            let tried = format!("see repository {} from every node of {}", ready.repository.name, client.site);
            client.read(&Ask::verify_repository(&ready.repository.name), &tried).await?.accepted(&tried)?;
        }
        let snapshot = ready.snapshot(&copied).await?;
        let health = rules::health(client, &Ask::health()).await?;

        let there = Companions::all(client, dialect).await?;
        let missing = copied.companions.missing_at(&there, dialect);
        for ask in &missing {
            cx.check_cancelled("bring templates and pipelines along")?;
            client.done(ask, "bring templates and pipelines along").await?;
        }
        let origin = ready.origin(&copied, snapshot.end_time_in_millis);
        ready.set_going(&copied, &origin, health.number_of_data_nodes).await?;
        let restoring = Restoring {
            cx,
            client,
            dialect,
            origin: &origin,
            wanted: copied.indices.iter().map(|(name, index)| (name.as_str(), index.shards)).collect(),
        };
        let bytes = waiting::wait(&restoring).await?;
        let pruned = if self.prune { ready.prune(&copied).await? } else { Vec::new() };
        let mut done = StepDone::new()
            .capture("snapshot", copied.snapshot.as_str())
            .capture("uuid", copied.uuid.as_str())
            .capture("indices", copied.indices.len())
            .capture("bytes", bytes)
            .capture("removed", pruned.len())
            .capture("definitions", missing.len());
        let fewer = copied.fewer_replicas(client.settings.replicas, health.number_of_data_nodes);
        if fewer > 0 {
            let nodes = health.number_of_data_nodes;
            done = done.warn(format!(
                "indices with fewer replicas than at the source: {fewer}, because {} has {nodes} data nodes",
                client.site
            ));
        }
        Ok(done)
    }
}

fn summary(plan: &BTreeMap<&String, Todo>) -> String {
    let count = |todo| plan.values().filter(|have| **have == todo).count();
    format!(
        "{} indices: {} new, {} to be replaced, {} to be deleted and made anew, {} being restored already, {} as they should be",
        plan.len(),
        count(Todo::Create),
        count(Todo::Replace),
        count(Todo::Recreate),
        count(Todo::Follow),
        count(Todo::Done)
    )
}

/// The names that are to be treated so.
fn those<'a>(plan: &BTreeMap<&'a String, Todo>, todos: &[Todo]) -> Vec<&'a String> {
    plan.iter().filter(|(_, todo)| todos.contains(todo)).map(|(name, _)| *name).collect()
}

impl<'a> Ready<'a> {
    async fn new(cx: &'a StepContext) -> Result<Self, Failure> {
        let service = cx.service_name()?.clone();
        let client = Client::new(cx, &service, cx.site()?).await?;
        let identity = client.identify().await?;
        let repository = Wanted::new(cx, &client, &service, Role::Reader)?;
        Ok(Self { cx, service, client, identity, repository })
    }

    /// What the point says of the service, when it is there.
    async fn part(&self, point: Option<&PointId>) -> Result<Option<Part>, Failure> {
        let place = self.cx.exchange_place(&self.client.site)?;
        let path = self.cx.tree(&self.client.site)?.part(point.unwrap_or(&self.cx.point), &self.service);
        remote::get_json(self.cx, &place, &path).await
    }

    fn compatible(&self, copied: &Copied) -> Result<(), Failure> {
        if copied.cluster_uuid == self.identity.cluster_uuid {
            return Err(rules::same_cluster(&self.service, self.client.url()));
        }
        let tried = format!("restore snapshot {} at {}", copied.snapshot, self.client.site);
        if copied.repository != self.repository.name {
            let got =
                format!("the point's snapshot is in repository {}, not {}", copied.repository, self.repository.name);
            return Err(Failure::new(FailureKind::Rule, tried, got).hint("it was made in the other direction"));
        }
        match copied.cannot_go_to(self.identity.dialect) {
            None => Ok(()),
            Some(why) => Err(Failure::new(FailureKind::Rule, tried, why)
                .hint("bring the cluster of the standby to the version of the source, or to the next one after it")),
        }
    }

    /// The snapshot as this cluster sees it, when it is the one that the point means, and whole.
    async fn snapshot(&self, copied: &Copied) -> Result<Snapshot, Failure> {
        let tried =
            format!("find snapshot {} in repository {} at {}", copied.snapshot, self.repository.name, self.client.site);
        let arrived = "wait until the copy of the exchange tree has arrived, or run the transfer again";
        let answer = self.client.read(&Ask::snapshot(&self.repository.name, &copied.snapshot), &tried).await?;
        let found = if answer.error().is_missing() {
            None
        } else {
            answer.decode::<Snapshots>(&tried)?.named(&copied.snapshot)
        };
        let refuse = |got: String, hint: &str| Err(Failure::new(FailureKind::Refused, &tried, got).hint(hint));
        match found {
            None => refuse(format!("it is not there, at {}", self.repository.location), arrived),
            Some(found) if found.uuid != copied.uuid => {
                let got =
                    format!("there is another of that name: uuid {}, and the point says {}", found.uuid, copied.uuid);
                refuse(got, arrived)
            }
            Some(found) if found.state != "SUCCESS" || found.shards.failed > 0 => refuse(
                format!("it is {}, with {} shards missing", found.state, found.shards.failed),
                "choose another restore point",
            ),
            Some(found) => match copied.indices.keys().find(|name| !found.indices.contains(name)) {
                Some(name) => refuse(format!("index {name} is not in it"), "choose another restore point"),
                None => Ok(found),
            },
        }
    }

    fn origin(&self, copied: &Copied, ended_ms: i64) -> Origin {
        Origin { repository: self.repository.name.clone(), snapshot: copied.snapshot.clone(), ended_ms }
    }

    /// What is to be done with each index.
    async fn plan<'c>(
        &self,
        copied: &'c Copied,
        table: &Table,
        ended_ms: i64,
    ) -> Result<BTreeMap<&'c String, Todo>, Failure> {
        let open = |name: &&str| table.indices.get(*name).is_some_and(|index| index.open);
        let names = copied.indices.keys().map(String::as_str).filter(open);
        let tried = "see what the indices at the target hold";
        let mut evidence = Evidence::default();
        for portion in portions(names) {
            let recoveries: super::answers::Recoveries = self.client.fetch(&Ask::recovery(&portion), tried).await?;
            evidence.recoveries.extend(recoveries);
            let routing: super::answers::Routing = self.client.fetch(&Ask::routing(&portion), tried).await?;
            evidence.routing.routing_table.indices.extend(routing.routing_table.indices);
            evidence.writes.extend(self.client.fetch(&Ask::writes(&portion), tried).await?);
        }
        Ok(decide::decide(copied, table, &evidence, &self.origin(copied, ended_ms)))
    }

    /// Makes room, and begins the restore of what is neither there nor on its way.
    ///
    /// A request of a process that died may take effect between our look and our own: what we ask for is refused then,
    /// and another look shows that more of it is on its way. Each such look finds more, so that there is a last one.
    async fn set_going(&self, copied: &Copied, origin: &Origin, data_nodes: u32) -> Result<(), Failure> {
        let mut refused: Option<(Failure, usize)> = None;
        loop {
            let table = Table::fetch(&self.client).await?;
            let plan = self.plan(copied, &table, origin.ended_ms).await?;
            let on_its_way = those(&plan, &[Todo::Follow, Todo::Done]).len();
            if let Some((failure, before)) = refused
                && on_its_way <= before
            {
                return Err(failure);
            }
            self.cx.say(summary(&plan));
            self.cx.check_cancelled("restore the indices")?;
            let failure = match self.replace(copied, &plan, origin, data_nodes).await {
                Err(failure) if failure.kind == FailureKind::Refused => failure,
                other => return other,
            };
            refused = Some((failure, on_its_way));
            self.cx.sleep(AGAIN, "restore the indices").await?;
        }
    }

    async fn replace(
        &self,
        copied: &Copied,
        plan: &BTreeMap<&String, Todo>,
        origin: &Origin,
        data_nodes: u32,
    ) -> Result<(), Failure> {
        self.clear(plan).await?;
        for (ask, names) in &self.restores(copied, plan, data_nodes) {
            self.begin(copied, ask, names, origin).await?;
        }
        Ok(())
    }

    /// The requests that make room.
    fn removals(&self, plan: &BTreeMap<&String, Todo>) -> Vec<Ask> {
        let dialect = self.identity.dialect;
        let closing = portions(those(plan, &[Todo::Replace]).into_iter().map(String::as_str));
        let deleting = portions(those(plan, &[Todo::Recreate]).into_iter().map(String::as_str));
        let close = closing.iter().map(|names| Ask::close(dialect, names));
        let delete = deleting.iter().map(|names| Ask::delete(dialect, names));
        close.chain(delete).collect()
    }

    /// The requests that restore, and which indices each of them is for.
    fn restores<'c>(
        &self,
        copied: &'c Copied,
        plan: &BTreeMap<&'c String, Todo>,
        data_nodes: u32,
    ) -> Vec<(Ask, Vec<&'c str>)> {
        let names = those(plan, &[Todo::Create, Todo::Replace, Todo::Recreate]);
        let filters = copied.filters();
        decide::by_replicas(copied, &names, self.client.settings.replicas, data_nodes)
            .into_iter()
            .map(|(replicas, names)| {
                let dialect = self.identity.dialect;
                let ask = Ask::restore(dialect, &self.repository.name, &copied.snapshot, &names, replicas, &filters);
                (ask, names)
            })
            .collect()
    }

    /// Closes or deletes what is replaced, and reads back that it is so. From here on there is no way back to the copy
    /// that was there.
    async fn clear(&self, plan: &BTreeMap<&String, Todo>) -> Result<(), Failure> {
        let tried = format!("close the indices that are replaced at {}", self.client.site);
        let mut lost = None;
        for ask in self.removals(plan) {
            match self.client.change(&ask, &tried).await {
                Ok(answer) if answer.is_success() => {}
                Ok(answer) if answer.error().kind == "index_not_found_exception" => {}
                Ok(answer) => return Err(answer.refusal(&tried)),
                Err(failure) if failure.is_unknown() => lost = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        let table = Table::fetch(&self.client).await.map_err(|failure| lost.clone().unwrap_or(failure))?;
        let still_open: Vec<&str> = those(plan, &[Todo::Replace, Todo::Recreate])
            .into_iter()
            .filter(|name| table.indices.get(*name).is_some_and(|index| index.open))
            .map(String::as_str)
            .collect();
        if still_open.is_empty() {
            return Ok(());
        }
        Err(lost.unwrap_or_else(|| {
            let got = format!("the server agreed, but these are still open: {}", still_open.join(", "));
            Failure::new(FailureKind::Refused, tried, got)
                .hint("something opens or creates them: is an application running there?")
        }))
    }

    /// Begins the restore of some indices; after a lost answer, looks whether it began.
    async fn begin(&self, copied: &Copied, ask: &Ask, names: &[&str], origin: &Origin) -> Result<(), Failure> {
        let tried =
            format!("restore {} indices from snapshot {} at {}", names.len(), copied.snapshot, self.client.site);
        let left = format!("the indices that are replaced are closed now: {}", names.join(", "));
        let lost = match self.client.change(ask, &tried).await {
            Ok(answer) if answer.is_success() => return Ok(()),
            Ok(answer) => {
                let failure = answer.refusal(&tried);
                let hint = failure.hint.as_ref().map(|hint| format!("{hint}; ")).unwrap_or_default();
                return Err(failure.hint(format!("{hint}{left}; run the restore again")));
            }
            Err(failure) if failure.is_unknown() => failure,
            Err(failure) => return Err(failure.hint(format!("{left}; run the restore again"))),
        };
        self.cx.say("the answer was lost; looking whether the restore began");
        for pause in [1, 2, 4, 8, 15] {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            let Ok(table) = Table::fetch(&self.client).await else { continue };
            let Ok(plan) = self.plan(copied, &table, origin.ended_ms).await else { continue };
            let began = |name: &&str| {
                plan.iter().any(|(have, todo)| have.as_str() == *name && matches!(todo, Todo::Follow | Todo::Done))
            };
            if names.iter().all(began) {
                return Ok(());
            }
        }
        Err(lost.hint(format!("{left}; it may still begin: look at them, then resume the run")))
    }

    /// Removes what the source does not have any more, and reads back that it is gone.
    async fn prune(&self, copied: &Copied) -> Result<Vec<String>, Failure> {
        let tried = format!("remove indices at {} that the source does not have any more", self.client.site);
        let table = Table::fetch(&self.client).await?;
        let surplus: Vec<String> =
            decide::surplus(copied, &table, &self.client.settings.indices).into_iter().cloned().collect();
        for portion in portions(surplus.iter().map(String::as_str)) {
            self.cx.check_cancelled(&tried)?;
            self.client.done(&Ask::delete(self.identity.dialect, &portion), &tried).await?;
        }
        if !surplus.is_empty() {
            let table = Table::fetch(&self.client).await?;
            let left: Vec<&str> =
                surplus.iter().filter(|name| table.indices.contains_key(*name)).map(String::as_str).collect();
            if !left.is_empty() {
                return Err(Failure::new(FailureKind::Refused, tried, format!("still there: {}", left.join(", "))));
            }
            self.cx.say(format!("removed {}", surplus.join(", ")));
        }
        Ok(surplus)
    }
}

#[cfg(test)]
mod tests;
