//! `elasticsearch.snapshot`: takes a snapshot of the source's indices, follows it to its end, counts, and keeps what a
//! restore must know in the restore point.
//!
//! A snapshot is recognised as this run's own by its metadata (or, before 7.3, by its name, which is the point's), so
//! that a lost answer or a crash never takes a second one and never adopts a stranger's.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answers::{Snapshot, Snapshots};
use super::ask::Ask;
use super::client::{Client, Identity};
use super::details::CopiedIndex;
use super::indices::{self, Index, Table};
use super::pattern::Pattern;
use super::repository::{self, Role, Wanted};
use super::rules;
use crate::model::{Epoch, Failure, FailureKind, PointId, RunId, SafeText, ServiceName};
use crate::systems::{CheckReport, Step, StepContext, StepDone, Verified, remote};

mod follow;
mod keep;

use keep::Before;

/// How many shards a failure lists.
const SHOWN: usize = 20;

/// Takes a snapshot of the service's indices into the direction's repository.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeSnapshot {
    /// The indices, in place of those the estate names: names and `*` patterns separated by commas, `-name` leaves out.
    #[serde(default)]
    indices: Option<Pattern>,
    /// The name of the snapshot; the id of the restore point when left out.
    #[serde(default)]
    name: Option<String>,
}

/// Everything that is known before anything is changed.
struct Ready<'a> {
    cx: &'a StepContext,
    service: ServiceName,
    client: Client,
    identity: Identity,
    repository: Wanted,
    pattern: Pattern,
}

/// What a snapshot of a name is to this run.
#[derive(Debug, PartialEq)]
enum Found {
    Absent,
    /// This run's own, running or whole.
    Ours(Box<Snapshot>),
    /// This run's own, and not whole.
    Broken(Box<Snapshot>),
    Stranger(Box<Snapshot>),
}

#[async_trait]
impl Step for TakeSnapshot {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let ready = self.ready(cx).await?;
        let table = Table::fetch(&ready.client).await?;
        let meant = ready.meant(&table)?;
        let names: Vec<&str> = meant.keys().map(|name| name.as_str()).collect();
        let dialect = ready.identity.dialect;
        let name = self.name(cx, 1)?;
        let asks = [
            ready.repository.ask(dialect),
            Ask::create_snapshot(dialect, &ready.repository.name, &name, &names, &metadata(cx, None)),
            Ask::running_snapshots(Some(&ready.repository.name)),
            Ask::snapshot(&ready.repository.name, &name),
        ];
        Ok(asks.iter().map(|ask| SafeText::line(&ready.client.shown(ask))).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let ready = self.ready(cx).await?;
        let mut report = CheckReport::live();
        let registered = repository::registered(&ready.client).await?;
        let tried = format!("use repository {} at {}", ready.repository.name, ready.client.site);
        ready.repository.judge(&registered).map_err(|objection| objection.failure(&tried))?;
        if let Some(warning) = ready.other_end().await? {
            report = report.bad(warning);
        }
        let table = Table::fetch(&ready.client).await?;
        let meant = ready.meant(&table)?;
        for name in closed(&table, &ready.pattern) {
            report = report.bad(format!("index {name} is closed and will not be in the snapshot"));
        }
        let at = &ready.repository.location;
        Ok(report.good(format!("{} indices at {} go into a snapshot at {at}", meant.len(), ready.client.site)))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let ready = self.ready(cx).await?;
        for attempt in 1..=cx.attempt {
            let name = self.name(cx, attempt)?;
            match ready.look(&name).await? {
                Found::Absent => return ready.take(&name).await,
                Found::Ours(snapshot) => {
                    cx.say(format!("snapshot {name} of this run is there already ({}), following it", snapshot.state));
                    return ready.follow_and_keep(&name, Vec::new()).await;
                }
                Found::Broken(snapshot) if attempt == cx.attempt => return Err(ready.broken(&snapshot)),
                Found::Broken(snapshot) => {
                    cx.say(format!("snapshot {name} of an earlier attempt is {}, leaving it alone", snapshot.state));
                }
                Found::Stranger(snapshot) => return Err(ready.stranger(&snapshot)),
            }
        }
        Err(Failure::new(FailureKind::Invalid, "take a snapshot", "the attempt has no number"))
    }

    async fn verify(&self, cx: &StepContext) -> Result<Verified, Failure> {
        let ready = self.ready(cx).await?;
        for attempt in (1..=cx.attempt).rev() {
            if let Found::Ours(_) = ready.look(&self.name(cx, attempt)?).await? {
                return self.run(cx).await.map(Verified::Done);
            }
        }
        Ok(Verified::NotDone)
    }
}

impl TakeSnapshot {
    async fn ready<'a>(&self, cx: &'a StepContext) -> Result<Ready<'a>, Failure> {
        let service = cx.service_name()?.clone();
        let client = Client::new(cx, &service, cx.site()?).await?;
        let identity = client.identify().await?;
        let repository = Wanted::new(cx, &client, &service, Role::Writer)?;
        let pattern = self.indices.clone().unwrap_or_else(|| client.settings.indices.clone());
        Ok(Ready { cx, service, client, identity, repository, pattern })
    }

    /// The name that an attempt uses. A later one takes another, so that what a failed one left is not touched.
    fn name(&self, cx: &StepContext, attempt: u32) -> Result<String, Failure> {
        let base = self.name.clone().unwrap_or_else(|| cx.point.as_str().to_lowercase());
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if base.is_empty() || base.starts_with(['_', '-', '.']) || !base.chars().all(legal) {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("name a snapshot `{base}`"),
                "it is not a legal name",
            )
            .hint("use lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit"));
        }
        Ok(if attempt <= 1 { base } else { format!("{base}-{attempt}") })
    }
}

fn metadata(cx: &StepContext, epoch: Option<Epoch>) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("run".into(), json!(cx.run));
    metadata.insert("point".into(), json!(cx.point));
    metadata.insert("from".into(), json!(cx.direction.source));
    if let Some(epoch) = epoch {
        metadata.insert("epoch".into(), json!(epoch.0.to_string()));
    }
    metadata
}

fn closed<'a>(table: &'a Table, pattern: &'a Pattern) -> impl Iterator<Item = &'a String> {
    table.meant(pattern).filter(|(_, index)| !index.open).map(|(name, _)| name)
}

impl Ready<'_> {
    /// The open indices that are meant.
    fn meant<'a>(&'a self, table: &'a Table) -> Result<BTreeMap<&'a String, &'a Index>, Failure> {
        let tried = format!("choose the indices of {} at {}", self.pattern, self.client.site);
        let streams: Vec<&str> =
            table.data_streams.iter().map(String::as_str).filter(|name| self.pattern.matches(name)).collect();
        if !streams.is_empty() {
            return Err(Failure::new(
                FailureKind::Rule,
                tried,
                format!("these are data streams, which are not copied: {}", streams.join(", ")),
            )
            .hint(format!("leave them out on purpose, for example `indices = \"{},-{}\"`", self.pattern, streams[0])));
        }
        let meant: BTreeMap<_, _> = table.meant(&self.pattern).filter(|(_, index)| index.open).collect();
        if meant.is_empty() {
            return Err(Failure::new(FailureKind::Rule, tried, "no open index matches: an empty copy is no copy")
                .hint("look whether this is the right cluster, and at `indices` in the estate and in the runbook"));
        }
        Ok(meant)
    }

    /// Looks at the cluster at the other end. Returns what a person should know about it.
    async fn other_end(&self) -> Result<Option<String>, Failure> {
        let peer = rules::peer(self.cx, &self.service, &self.client.site, &self.identity).await?;
        rules::one_writer(self.cx, &self.service, &peer).await
    }

    async fn fetch(&self, name: &str) -> Result<Option<Snapshot>, Failure> {
        let tried = format!("look at snapshot {name}");
        let answer = self.client.read(&Ask::snapshot(&self.repository.name, name), &tried).await?;
        if answer.error().is_missing() {
            return Ok(None);
        }
        Ok(answer.decode::<Snapshots>(&tried)?.named(name))
    }

    async fn look(&self, name: &str) -> Result<Found, Failure> {
        let has_metadata = self.identity.dialect.snapshot_metadata();
        let found = self.fetch(name).await?;
        Ok(found.map_or(Found::Absent, |snapshot| whose(snapshot, has_metadata, &self.cx.run, &self.cx.point)))
    }

    fn tried(&self, name: &str) -> String {
        format!("take snapshot {name} in repository {} at {}", self.repository.name, self.client.url())
    }

    fn stranger(&self, snapshot: &Snapshot) -> Failure {
        let got = format!(
            "a snapshot of that name is there ({}, uuid {}), and this run did not make it",
            snapshot.state, snapshot.uuid
        );
        Failure::new(FailureKind::Rule, self.tried(&snapshot.name), got)
            .hint("give the step another `name`, or none: the restore point's id is used then")
    }

    fn broken(&self, snapshot: &Snapshot) -> Failure {
        let mut got = format!(
            "it ended as {}: {} of {} shards are not in it",
            snapshot.state, snapshot.shards.failed, snapshot.shards.total
        );
        let failures = snapshot.failures.iter().take(SHOWN);
        let mut lines: Vec<String> = snapshot.reason.iter().cloned().collect();
        lines.extend(failures.map(|failed| format!("{}[{}]: {}", failed.index, failed.shard_id, failed.reason)));
        if snapshot.failures.len() > SHOWN {
            lines.push(format!("and {} more", snapshot.failures.len() - SHOWN));
        }
        for line in lines {
            got = format!("{got}\n{line}");
        }
        Failure::new(FailureKind::Refused, self.tried(&snapshot.name), got)
            .hint("nothing was deleted; see to those shards (GET /_cluster/health?level=shards), then run again")
    }

    /// Begins the snapshot and follows it.
    async fn take(&self, name: &str) -> Result<StepDone, Failure> {
        let (cx, dialect) = (self.cx, self.identity.dialect);
        let record = rules::direction(cx, &self.client.site).await?;
        let warnings = self.other_end().await?.into_iter().collect();
        let table = Table::fetch(&self.client).await?;
        let meant = self.meant(&table)?;
        let names: Vec<&str> = meant.keys().map(|name| name.as_str()).collect();
        let documents = indices::count(&self.client, &names).await?;
        let before = Before {
            run: cx.run.to_string(),
            began: cx.clock.now(),
            indices: meant
                .iter()
                .map(|(name, index)| ((*name).clone(), CopiedIndex::new(index, Some(index))))
                .collect(),
            documents,
        };
        repository::make_folder(cx, &self.client.site, &self.service).await?;
        if self.repository.ensure(&self.client, dialect).await? {
            cx.say(format!("registered repository {} at {}", self.repository.name, self.repository.location));
        }
        let json = serde_json::to_vec_pretty(&before)
            .map_err(|error| Failure::new(FailureKind::Invalid, "write the counts", error.to_string()))?;
        let place = cx.exchange_place(&self.client.site)?;
        remote::put_file(cx, &place, &self.before_path()?, &json).await?;

        let tried = self.tried(name);
        cx.check_cancelled(&tried)?;
        let metadata = metadata(cx, record.map(|record| record.epoch));
        let ask = Ask::create_snapshot(dialect, &self.repository.name, name, &names, &metadata);
        match self.client.change(&ask, &tried).await {
            Ok(answer) if answer.is_success() => {}
            Ok(answer) => {
                // A request that was sent twice on the way, or a stranger: look whose it is.
                // The one while the first request still runs is `snapshot with the same name is already in-progress`.
                let reason = answer.error().reason;
                let taken = answer.status == 400
                    && ["same name already exists", "same name is already in"].iter().any(|word| reason.contains(word));
                match if taken { self.look(name).await? } else { Found::Absent } {
                    Found::Ours(_) => {}
                    Found::Stranger(snapshot) | Found::Broken(snapshot) => return Err(self.stranger(&snapshot)),
                    Found::Absent if answer.error().kind == "index_not_found_exception" => {
                        let gone = answer.refusal(&tried);
                        return Err(Failure { kind: FailureKind::Busy, ..gone }
                            .hint("an index was deleted between listing and snapshot; the next attempt lists anew"));
                    }
                    Found::Absent => return Err(answer.refusal(&tried)),
                }
            }
            Err(failure) if failure.is_unknown() => self.find_lost(name, failure).await?,
            Err(failure) => return Err(failure),
        }
        cx.say(format!("snapshot {name} of {} indices has begun", names.len()));
        self.follow_and_keep(name, warnings).await
    }

    async fn follow_and_keep(&self, name: &str, warnings: Vec<String>) -> Result<StepDone, Failure> {
        let snapshot = self.follow(name).await?;
        self.keep(&snapshot, warnings).await
    }
}

/// What a snapshot is to the run that looks at it. Without metadata only the name can tell, and only the point's is
/// nobody else's.
fn whose(snapshot: Snapshot, has_metadata: bool, run: &RunId, point: &PointId) -> Found {
    let said = |key: &str| snapshot.metadata.as_ref()?.get(key)?.as_str();
    let ours = if has_metadata {
        said("run") == Some(run.as_str()) && said("point") == Some(point.as_str())
    } else {
        snapshot.name.starts_with(&point.as_str().to_lowercase())
    };
    let snapshot = Box::new(snapshot);
    match (ours, snapshot.state.as_str()) {
        (false, _) => Found::Stranger(snapshot),
        (true, "IN_PROGRESS" | "SUCCESS") => Found::Ours(snapshot),
        (true, _) => Found::Broken(snapshot),
    }
}

#[cfg(test)]
mod tests;
