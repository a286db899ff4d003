//! The looks that must be taken before anything is changed: the direction, the other cluster, the health.

use super::answers::Health;
use super::ask::Ask;
use super::client::{Client, Identity};
use super::repository::{self, Role, Wanted};
use crate::model::{DirectionRecord, End, Failure, FailureKind, ServiceName, SiteName};
use crate::systems::{StepContext, remote};

/// Fails when the direction record at `site` says that another site is active than this run believes. Returns the
/// record; nothing when there is none yet.
///
/// # Errors
/// `Rule` on disagreement; when the exchange tree cannot be read.
pub async fn direction(cx: &StepContext, site: &SiteName) -> Result<Option<DirectionRecord>, Failure> {
    let place = cx.exchange_place(site)?;
    let record: Option<DirectionRecord> = remote::get_json(cx, &place, &cx.tree(site)?.direction_record()).await?;
    match record {
        Some(record) if record.active != cx.direction.source => Err(Failure::new(
            FailureKind::Rule,
            format!("make sure at {site} that {} is the active site", cx.direction.source),
            format!("the direction record there says that {} is active, since epoch {}", record.active, record.epoch),
        )
        .hint("the direction was turned meanwhile; make a new plan")),
        other => Ok(other),
    }
}

/// What is known of the cluster at the other end.
pub enum Peer {
    /// It was asked.
    Known(Box<Client>),
    /// It could not be asked; why.
    Silent(String),
}

/// Asks the cluster at the other end than `site` who it is, and refuses two addresses of one cluster.
///
/// # Errors
/// `Rule` when both ends are the same cluster.
pub async fn peer(cx: &StepContext, service: &ServiceName, site: &SiteName, own: &Identity) -> Result<Peer, Failure> {
    let other = match cx.direction.end_of(site) {
        Some(End::Source) => &cx.direction.target,
        _ => &cx.direction.source,
    };
    let asked = async {
        let client = Client::new(cx, service, other).await?;
        let identity = client.identify().await?;
        Ok::<_, Failure>((client, identity))
    };
    match asked.await {
        Ok((client, identity)) if identity.cluster_uuid == own.cluster_uuid => Err(same_cluster(service, client.url())),
        Ok((client, _)) => Ok(Peer::Known(Box::new(client))),
        Err(failure) => Ok(Peer::Silent(format!("{other} could not be asked: {}", failure.got.as_str()))),
    }
}

/// The failure when the addresses of both sites lead to one cluster.
#[must_use]
pub fn same_cluster(service: &ServiceName, url: &str) -> Failure {
    Failure::new(
        FailureKind::Rule,
        format!("tell the clusters of service {service} at both sites apart"),
        format!("both are one cluster (same cluster_uuid, seen at {url}): restoring would overwrite the original"),
    )
    .hint(format!("correct `urls` of [services.{service}] in the estate, or look where a virtual address points"))
}

/// Refuses when the target's cluster may write to the repository that the source writes to. Returns a warning when the
/// target cannot be asked.
///
/// # Errors
/// `Rule` when there would be two writers.
pub async fn one_writer(cx: &StepContext, service: &ServiceName, peer: &Peer) -> Result<Option<String>, Failure> {
    let tried = format!("make sure that only {} writes to the repository of service {service}", cx.direction.source);
    let client = match peer {
        Peer::Known(client) => client,
        Peer::Silent(why) => {
            return Ok(Some(format!("it is not known whether another cluster writes to the repository: {why}")));
        }
    };
    let registered = match repository::registered(client).await {
        Ok(registered) => registered,
        Err(failure) => {
            let why = failure.got.as_str();
            return Ok(Some(format!("it is not known whether another cluster writes to the repository: {why}")));
        }
    };
    let there = Wanted::new(cx, client, service, Role::Reader)?;
    match repository::second_writer(&registered, &there.name, &there.location) {
        None => Ok(None),
        Some(name) => Err(Failure::new(
            FailureKind::Rule,
            tried,
            format!("{} has it registered for writing too, as `{name}` at {}", client.site, there.location),
        )
        .hint(format!("at {}: DELETE /_snapshot/{name} (the snapshots stay), then start again", client.url()))),
    }
}

/// The health of the cluster.
///
/// # Errors
/// `Busy` without a master; when it cannot be asked.
pub async fn health(client: &Client, ask: &Ask) -> Result<Health, Failure> {
    let tried = format!("read the health of the search cluster at {}", client.site);
    let answer = client.read(ask, &tried).await?;
    // A wait that was not fulfilled in time answers 408 with the full body.
    if answer.status == 408 { answer.decode_any(&tried) } else { answer.decode(&tried) }
}
