//! The lights of a search cluster: its state as every node sees it, what cannot be written, its snapshot repository, the
//! disks of its nodes.
//! They judge with what the checks judge with, so that no light is well where a gate refuses; a node that knows no master
//! keeps a gate shut, and leaves the light of a cluster that has one degraded.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::answers::{Count, Health, Running};
use super::ask::Ask;
use super::blocks::Unwritable;
use super::check::{self, judge_health};
use super::client::Client;
use super::masters::{Accord, Eligible, Masters};
use super::repository::{self, Role, Wanted};
use super::rules;
use super::settings::Settings;
use crate::model::{ByteSize, Counted, End, Failure, FailureKind};
use crate::systems::certificate::{self, TlsAddress};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// What is wrong with a cluster in which nobody is elected.
const NO_MASTER: &str = "each node that answers knows no elected master: the quorum is lost";
/// How long one node may take to say who its master is: one that hangs must not use up the time of the whole look.
const NODE: Duration = Duration::from_secs(3);

/// The questions a search service is asked.
pub(super) fn probes(settings: &Map<String, Value>) -> Vec<ProbeEntry> {
    let written = settings.get("urls").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut probes = vec![
        ProbeEntry::new("cluster", Cluster).within(8),
        ProbeEntry::new("repository", Repository).every(30).within(8),
        ProbeEntry::new("disk", Disk).every(30).within(8),
    ];
    probes.extend(certificate::probe(written, tls_addresses));
    probes
}

/// The nodes, each of which shows a certificate of its own.
fn tls_addresses(cx: &StepContext) -> Result<Vec<TlsAddress>, Failure> {
    let settings: Settings = cx.settings()?;
    Ok(settings.urls.iter().map(|url| TlsAddress { url: url.clone(), ca_pem: settings.ca_pem.clone() }).collect())
}

/// The cluster, to be asked at those of its nodes that are awake and, if there are any, know a master; and what all of
/// them say of it.
///
/// # Errors
/// `Unreachable` when no node is awake.
async fn awake(cx: &StepContext, tried: &str) -> Result<(Client, Masters), Failure> {
    let client = Client::new(cx, cx.service_name()?, cx.site()?).await?;
    let masters = Masters::ask(&client, NODE, tried).await?;
    if masters.seen.is_empty() {
        return Err(Failure::new(FailureKind::Unreachable, tried, masters.silent.join("\n")));
    }
    let client = client.only(masters.awake());
    Ok((client, masters))
}

/// The same, for what only a node that knows a master can tell.
///
/// # Errors
/// `Unreachable` when no node is awake, `Busy` when none of them knows a master.
async fn led(cx: &StepContext, tried: &str) -> Result<Client, Failure> {
    let (client, masters) = awake(cx, tried).await?;
    match masters.accord() {
        Accord::Headless => Err(Failure::new(FailureKind::Busy, tried, NO_MASTER)),
        Accord::Led { .. } | Accord::Split(_) => Ok(client),
    }
}

/// Status, master as every node sees it, nodes, shards, documents, what cannot be written, running snapshots.
#[derive(Debug)]
struct Cluster;

#[async_trait]
impl Probe for Cluster {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let tried = format!("ask the search cluster at {} how it is", cx.site()?);
        let (client, masters) = awake(cx, &tried).await?;
        let nodes = masters.seen.len() + masters.silent.len();
        let mut reading = Reading::up(client.url());
        for silent in &masters.silent {
            reading.find(Condition::Degraded, silent);
        }
        let answering = format!("{} of {nodes} nodes answer", masters.seen.len());
        match masters.accord() {
            Accord::Led { alone } => {
                for url in alone {
                    reading.find(Condition::Degraded, format!("node {url} knows no master"));
                }
            }
            Accord::Headless => {
                reading.find(Condition::Down, NO_MASTER);
                return Ok(reading.summed_up(format!("no master, {answering}")));
            }
            Accord::Split(why) => {
                reading.find(Condition::Down, format!("{why}: the cluster is split"));
                return Ok(reading.summed_up(format!("split, {answering}")));
            }
        }
        let health = rules::health(&client, &Ask::health()).await?;
        match judge_health(&health, cx.end == Some(End::Source)) {
            Ok(None) => {}
            Ok(Some(warning)) => reading.find(Condition::Degraded, warning),
            Err(problem) => reading.find(Condition::Down, problem),
        }
        let running: Running = client.fetch(&Ask::running_snapshots(None), &tried).await?;
        let mut words = vec![health.status.clone(), nodes_in_words(&health)];
        // A count is a search: a cluster that is not well may refuse it.
        let (documents, eligible, unwritable) =
            tokio::join!(documents(&client), Eligible::ask(&client, NODE), unwritable(cx, &client));
        if let Some(unwritable) = unwritable {
            unwritable.tell(&mut reading);
        }
        if let Some(documents) = documents {
            words.push(Counted(documents, "document", "documents").to_string());
            reading = reading.figure(Figure::whole("documents", documents, Unit::Count));
        }
        for snapshot in &running.snapshots {
            let (done, all, what) = snapshot.progress();
            words.push(format!("snapshot {} runs ({done} of {all} {what})", snapshot.snapshot));
        }
        reading = reading
            .figure(Figure::whole("data nodes", u64::from(health.number_of_data_nodes), Unit::Count))
            .figure(Figure::whole("unassigned shards", health.unassigned_shards, Unit::Count))
            .figure(Figure::whole("running snapshots", running.snapshots.len() as u64, Unit::Count));
        if let Some(eligible) = eligible {
            words.push(eligible.in_words());
            reading = reading
                .figure(Figure::whole("master-eligible nodes", eligible.0, Unit::Count))
                .figure(Figure::whole("masters to spare", eligible.to_spare(), Unit::Count));
        }
        Ok(reading.summed_up(words.join(", ")))
    }
}

fn nodes_in_words(health: &Health) -> String {
    Counted(health.number_of_data_nodes.into(), "data node", "data nodes").to_string()
}

/// The documents of all indices that are copied; nothing when not all of their shards answer in time: one on a node that
/// hangs must not make the cluster look silent.
async fn documents(client: &Client) -> Option<u64> {
    // Those that begin with a dot belong to the server itself.
    let names = format!("{},-.*", client.settings.indices);
    let names = super::ask::encode(&names).replace("%2C", ",").replace("%2A", "*");
    let ask = Ask { timeout: NODE, ..Ask::count_of(&names) };
    let asked = client.fetch::<Count>(&ask, "count the documents");
    let count = tokio::time::timeout(NODE, asked).await.ok()?.ok()?;
    (count.shards.successful == count.shards.total).then_some(count.count)
}

/// What users cannot write to at the source; nothing at the standby, where a restore takes blocks away, and when the cluster
/// does not say so in time.
async fn unwritable(cx: &StepContext, client: &Client) -> Option<Unwritable> {
    if cx.end != Some(End::Source) {
        return None;
    }
    tokio::time::timeout(NODE, Unwritable::ask(client)).await.ok()?.ok()
}

/// Whether the repository of the direction is registered as this end must have it: one writer, and it is the source.
#[derive(Debug)]
struct Repository;

#[async_trait]
impl Probe for Repository {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let tried = format!("ask the search cluster at {} for its repository", cx.site()?);
        let client = led(cx, &tried).await?;
        let (role, word) = match cx.end {
            Some(End::Source) => (Role::Writer, "writer"),
            _ => (Role::Reader, "read-only"),
        };
        let wanted = Wanted::new(cx, &client, cx.service_name()?, role)?;
        let registered = repository::registered(&client).await?;
        let mut reading = Reading::up(client.url());
        let summary = match wanted.judge(&registered) {
            Ok(_) if registered.contains_key(&wanted.name) => format!("{word}: {}", wanted.name),
            Ok(_) => format!("not registered yet: {}", wanted.name),
            Err(objection) => {
                // Two clusters that write to one repository destroy it.
                reading.find(Condition::Down, format!("{}; {}", objection.why, objection.what_to_do));
                format!("not {word}: {}", wanted.name)
            }
        };
        Ok(reading.summed_up(summary))
    }
}

/// The disks of the nodes against the watermarks of the cluster.
#[derive(Debug)]
struct Disk;

#[async_trait]
impl Probe for Disk {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let tried = format!("ask the search cluster at {} for its disks", cx.site()?);
        let client = led(cx, &tried).await?;
        let disks = check::disks(&client).await?;
        let mut reading = Reading::up(client.url());
        for full in &disks.full {
            // What cannot be written at the source keeps users from their work; the standby only waits for a restore.
            match cx.end {
                Some(End::Source) => reading.find(Condition::Down, full),
                _ => reading.find(Condition::Degraded, format!("{full}, and a restore finds no room there")),
            }
        }
        for crowded in &disks.crowded {
            reading.find(Condition::Degraded, crowded);
        }
        let Some((size, free)) = disks.fullest else {
            return Ok(reading.summed_up("no node says anything of its disk"));
        };
        let used = Figure::share("used of the fullest node", size.saturating_sub(free), size);
        let summary = format!("{:.0} % used at the fullest node, {} free in all", used.value, ByteSize(disks.free));
        Ok(reading.figure(used).figure(Figure::whole("free", disks.free, Unit::Bytes)).summed_up(summary))
    }
}

#[cfg(test)]
mod tests;
