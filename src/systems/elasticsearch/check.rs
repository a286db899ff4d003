//! `elasticsearch.check`: whether the cluster of a site is fit for what follows. Looks only.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::answers::{Count, Disk, Health, Running};
use super::ask::{Ask, portions};
use super::client::{Client, Identity};
use super::indices::{self, Table};
use super::masters::{Masters, judge_masters};
use super::repository::{self, Role, Wanted};
use super::rules::{self, Peer};
use crate::model::{ByteSize, End, Failure, FailureKind, SafeText};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Looks whether the cluster is reachable, has one master on which its nodes agree, is healthy, has room, and is not
/// the other site's cluster under another name.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckCluster {}

#[async_trait]
impl Step for CheckCluster {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let service = cx.service_name()?;
        let client = Client::new(cx, service, cx.site()?).await?;
        let asks = [
            Ask::root(),
            Ask::master_seen_locally(),
            Ask::settled_health(),
            Ask::running_snapshots(None),
            Ask::indices(),
            Ask::disks(),
            Ask::watermarks(),
        ];
        Ok(asks.iter().map(|ask| SafeText::line(&client.shown(ask))).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let done = look(cx).await?;
        let good = CheckReport::live().good(format!("the search cluster at {} is fit", cx.site()?));
        Ok(done.warnings.iter().fold(good, |report, warning| report.bad(warning.as_str())))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        look(cx).await
    }
}

async fn look(cx: &StepContext) -> Result<StepDone, Failure> {
    let (service, site) = (cx.service_name()?, cx.site()?);
    let client = Client::new(cx, service, site).await?;
    let identity = client.identify().await?;
    let mut warnings = agreement(&client, &identity).await?;
    let peer = rules::peer(cx, service, site, &identity).await?;
    if let Peer::Silent(why) = &peer {
        warnings.push(format!("it is not known whether the other site's cluster is another one: {why}"));
    }
    let health = rules::health(&client, &Ask::settled_health()).await?;
    let at_source = cx.end == Some(End::Source);
    warnings.extend(judge_health(&health, at_source).map_err(|got| {
        Failure::new(FailureKind::Refused, format!("find the search cluster at {site} healthy"), got)
            .hint(format!("look at GET {}/_cluster/health?level=indices and GET /_cat/shards", client.url()))
    })?);
    warnings.extend(running(&client, &identity).await?);
    if cx.end == Some(End::Target) {
        may_read(cx, &client).await?;
    }

    let table = Table::fetch(&client).await?;
    let pattern = client.settings.indices.clone();
    let open: Vec<&str> =
        table.meant(&pattern).filter(|(_, index)| index.open).map(|(name, _)| name.as_str()).collect();
    if at_source && open.is_empty() {
        warnings.push(format!("no open index matches {pattern}: there is nothing to copy"));
    }
    let mut documents = 0;
    for portion in portions(open.iter().copied()) {
        let counted: Result<Count, Failure> = client.fetch(&Ask::count_of(&portion), "count the documents").await;
        match counted {
            Ok(count) => documents += count.count,
            // A restore that was cut off leaves such indices behind, and only another one mends them.
            Err(failure) if !at_source && health.status == "red" => {
                warnings.push(format!("the documents at {site} cannot be counted: {}", failure.got));
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    let bytes = indices::store_bytes(&client, &open).await?;
    let Disks { free, full, crowded, .. } = disks(&client).await?;
    warnings.extend(full.into_iter().chain(crowded));
    if let (End::Target, Peer::Known(source)) = (cx.end.unwrap_or(End::Source), &peer) {
        warnings.extend(room(source, bytes, free).await?);
    }
    cx.say(format!(
        "{} at {site}: {}, {} indices, {documents} documents, {}",
        identity.dialect,
        health.status,
        open.len(),
        ByteSize(bytes)
    ));
    let done = StepDone::new()
        .capture("version", identity.dialect.version.to_string())
        .capture("flavour", identity.dialect.flavour.to_string().to_lowercase())
        .capture("cluster_uuid", identity.cluster_uuid.as_str())
        .capture("status", health.status.as_str())
        .capture("indices", open.len())
        .capture("documents", documents)
        .capture("estimated_bytes", bytes);
    Ok(warnings.into_iter().fold(done, StepDone::warn))
}

/// Asks every node who the master is. Nodes that do not answer are warned about, nodes that disagree fail the check.
async fn agreement(client: &Client, identity: &Identity) -> Result<Vec<String>, Failure> {
    let tried = format!("see all nodes at {} agree on one master", client.site);
    let masters = Masters::ask(client, Duration::from_mins(1), &tried).await?;
    judge_masters(&identity.cluster_uuid, identity.master.as_deref(), &masters.seen).map_err(|got| {
        Failure::new(FailureKind::Refused, tried, got)
            .hint("a cluster whose nodes disagree is split or has lost its quorum: mend it before anything is copied")
    })?;
    Ok(masters.silent)
}

/// A cluster is yellow as long as every primary works: then only copies of them are missing.
pub(super) fn judge_health(health: &Health, at_source: bool) -> Result<Option<String>, String> {
    match (health.status.as_str(), at_source) {
        ("green", _) => Ok(None),
        ("yellow", _) => Ok(Some(format!(
            "the cluster is yellow: {} copies are on no node, and every primary works ({} data nodes)",
            health.unassigned_shards, health.number_of_data_nodes
        ))),
        // What is broken at the target may be the very copy that is to be replaced.
        ("red", false) => Ok(Some("the cluster is red: some of its primaries do not work".to_owned())),
        (status, _) => {
            Err(format!("the cluster is {status}: {} copies of shards are on no node", health.unassigned_shards))
        }
    }
}

async fn running(client: &Client, identity: &Identity) -> Result<Vec<String>, Failure> {
    let tried = "look for running snapshots";
    let running: Running = client.fetch(&Ask::running_snapshots(None), tried).await?;
    let names: Vec<String> =
        running.snapshots.iter().map(|running| format!("{}/{}", running.repository, running.snapshot)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!("a snapshot runs at {}: {}", client.site, names.join(", "));
    if identity.dialect.concurrent_snapshots() {
        return Ok(vec![text]);
    }
    Err(Failure::new(FailureKind::Busy, tried, text).hint(format!("{} takes one at a time: wait", identity.dialect)))
}

/// The target only reads the repository. Found out here and not by the restore, beside which the other stores are
/// already being replaced.
async fn may_read(cx: &StepContext, client: &Client) -> Result<(), Failure> {
    let repository = Wanted::new(cx, client, cx.service_name()?, Role::Reader)?;
    let tried = format!("see that repository {} can be read-only at {}", repository.name, client.site);
    let registered = repository::registered(client).await?;
    repository.judge(&registered).map(drop).map_err(|objection| objection.failure(&tried))
}

/// The disks of all data nodes.
pub(super) struct Disks {
    /// Free bytes of all of them.
    pub(super) free: u64,
    /// Bytes in all and free bytes of the fullest.
    pub(super) fullest: Option<(u64, u64)>,
    /// Which of them are so full that their indices cannot be written.
    pub(super) full: Vec<String>,
    /// Which of them take no new shards.
    pub(super) crowded: Vec<String>,
}

/// Looks at the disks of all data nodes.
pub(super) async fn disks(client: &Client) -> Result<Disks, Failure> {
    let tried = "look at the disks of the nodes";
    let disks: Vec<Disk> = client.fetch(&Ask::disks(), tried).await?;
    let settings: Value = client.fetch(&Ask::watermarks(), tried).await?;
    let marks = Watermarks::read(&settings);
    let mut seen = Disks { free: 0, fullest: None, full: Vec::new(), crowded: Vec::new() };
    for disk in &disks {
        let Some((avail, total)) = disk.bytes() else { continue };
        seen.free += avail;
        let fuller =
            |(size, free): (u64, u64)| u128::from(avail) * u128::from(size) < u128::from(free) * u128::from(total);
        if seen.fullest.is_none_or(fuller) {
            seen.fullest = Some((total, avail));
        }
        match marks.judge(avail, total) {
            Room::Enough => {}
            Room::Low => seen.crowded.push(format!(
                "node {} has {} left, past the low watermark: it takes no new shards",
                disk.node,
                ByteSize(avail)
            )),
            Room::Flooded => seen.full.push(format!(
                "node {} has {} left, past the flood stage: its indices cannot be written",
                disk.node,
                ByteSize(avail)
            )),
        }
    }
    Ok(seen)
}

/// Whether the source's indices fit the target's disks, beside what is there and will be replaced.
async fn room(source: &Client, present: u64, free: u64) -> Result<Option<String>, Failure> {
    let table = Table::fetch(source).await?;
    let pattern = source.settings.indices.clone();
    let open: Vec<&str> =
        table.meant(&pattern).filter(|(_, index)| index.open).map(|(name, _)| name.as_str()).collect();
    let wanted = indices::store_bytes(source, &open).await?;
    let more = wanted.saturating_sub(present);
    Ok((more > free).then(|| {
        format!("the source's indices need {} more than is there, and {} are free", ByteSize(more), ByteSize(free))
    }))
}

/// What there is left on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Below every watermark.
    Enough,
    /// Past the low watermark.
    Low,
    /// Past the flood stage.
    Flooded,
}

/// Where the servers begin to refuse shards and writes for want of room.
#[derive(Debug, Default, PartialEq, Eq)]
struct Watermarks {
    enabled: bool,
    low: Option<Mark>,
    flood: Option<Mark>,
}

/// How much must stay free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// So many hundredths of a percent may be used, but not more than so many bytes need be free.
    Used(u64, Option<u64>),
    /// So many bytes.
    Free(u64),
}

impl Mark {
    fn passed(self, avail: u64, total: u64) -> bool {
        match self {
            Self::Free(bytes) => avail < bytes,
            Self::Used(hundredths, cap) => {
                let reserve = total / 10_000 * 10_000_u64.saturating_sub(hundredths);
                avail < cap.map_or(reserve, |cap| reserve.min(cap))
            }
        }
    }
}

impl Watermarks {
    /// Reads the settings; transient ones win over persistent ones over defaults.
    fn read(settings: &Value) -> Self {
        let setting = |name: &str| {
            ["transient", "persistent", "defaults"].into_iter().find_map(|level| {
                let disk = settings.pointer(&format!("/{level}/cluster/routing/allocation/disk"))?;
                let (outer, inner) = name.split_once('/').map_or((name, None), |(outer, inner)| (outer, Some(inner)));
                let found = disk.get(outer)?;
                inner.map_or(Some(found), |inner| found.get(inner))?.as_str()
            })
        };
        let mark = |name: &str| {
            let cap = setting(&format!("watermark/{name}.max_headroom")).and_then(bytes);
            let text = setting(&format!("watermark/{name}"))?;
            match hundredths(text) {
                Some(used) => Some(Mark::Used(used, cap)),
                None => bytes(text).map(Mark::Free),
            }
        };
        Self { enabled: setting("threshold_enabled") != Some("false"), low: mark("low"), flood: mark("flood_stage") }
    }

    fn judge(&self, avail: u64, total: u64) -> Room {
        let passed = |mark: Option<Mark>| self.enabled && mark.is_some_and(|mark| mark.passed(avail, total));
        if passed(self.flood) {
            Room::Flooded
        } else if passed(self.low) {
            Room::Low
        } else {
            Room::Enough
        }
    }
}

/// `85%` or `0.85` in hundredths of a percent.
fn hundredths(text: &str) -> Option<u64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent.parse::<f64>().ok()?, 100.0),
        None => (text.parse::<f64>().ok()?, 10_000.0),
    };
    let value = (number * scale).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10,000")]
    (0.0..=10_000.0).contains(&value).then_some(value as u64)
}

/// `200GB`, `500mb`.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let number: u64 = lower[..digits].parse().ok()?;
    let power = ["b", "kb", "mb", "gb", "tb", "pb"].iter().position(|unit| *unit == &lower[digits..])?;
    number.checked_mul(1024_u64.checked_pow(u32::try_from(power).ok()?)?)
}

#[cfg(test)]
mod tests;
