//! Repositories: registering them, looking whether they can be written, and what a cluster believes is in them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::catalog::{Catalog, Files, Trouble};
use super::request::Reply;
use super::scene::Scene;
use crate::world::spec::EXCHANGE;

/// A registered repository.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    kind: String,
    settings: BTreeMap<String, String>,
    /// What a cluster that may write remembers: the number of the newest list, and the list. It never looks again.
    known: Option<(Option<u64>, Catalog)>,
}

impl Repository {
    fn is_readonly(&self) -> bool {
        self.settings.get("readonly").is_some_and(|value| value == "true")
    }

    /// Where it is, as the nodes see it.
    pub(super) fn location(&self) -> &str {
        self.settings.get("location").map_or("", String::as_str)
    }

    fn shown(&self) -> Value {
        json!({"type": self.kind, "settings": self.settings})
    }
}

/// A repository that is used: whether it may be written, where it is, and what is in it.
pub(super) struct Used {
    pub(super) readonly: bool,
    pub(super) location: String,
    /// The number of the newest list.
    pub(super) number: Option<u64>,
    pub(super) catalog: Catalog,
}

impl Scene<'_> {
    /// The files at a location.
    pub(super) fn files(&mut self, location: &str) -> Files<'_> {
        let root = location.strip_prefix(EXCHANGE).unwrap_or("/nowhere").trim_end_matches('/').to_owned();
        Files { disk: self.disk, root, wall: self.wall }
    }

    /// `GET /_snapshot`
    pub(super) fn repositories(&self, name: Option<&str>) -> Reply {
        let all = &self.cluster.repositories;
        match name {
            None => Reply::ok(all.iter().map(|(name, found)| (name.clone(), found.shown())).collect()),
            Some(name) => match all.get(name) {
                Some(found) => Reply::ok(json!({name: found.shown()})),
                None => missing(name),
            },
        }
    }

    /// `PUT /_snapshot/<name>`. A repository that cannot be verified stays registered.
    pub(super) fn register(&mut self, name: &str, body: &Map<String, Value>) -> Reply {
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let settings: BTreeMap<String, String> = body
            .get("settings")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        if kind != "fs" {
            let reason = format!("[{name}] repository type [{kind}] does not exist");
            return Reply::error(500, "repository_exception", reason);
        }
        let repository = Repository { kind, settings, known: None };
        let location = repository.location();
        if location != EXCHANGE && !location.starts_with(&format!("{EXCHANGE}/")) {
            let inner =
                format!("[{name}] location [{location}] doesn't match any of the locations specified by path.repo");
            let outer = format!("[{name}] failed to create repository");
            return Reply::caused(500, "repository_exception", outer, &("repository_exception", inner));
        }
        let in_use = self.cluster.running.iter().any(|running| running.repository == name);
        if in_use {
            let reason = format!("[{name}] trying to modify or unregister repository that is currently used");
            return Reply::error(409, "repository_exception", reason);
        }
        self.cluster.repositories.insert(name.to_owned(), repository);
        match self.verify(name) {
            verified if verified.status == 200 => Reply::acknowledged().after(Duration::from_millis(150)),
            refused => refused,
        }
    }

    /// `DELETE /_snapshot/<name>`
    pub(super) fn unregister(&mut self, name: &str) -> Reply {
        match self.cluster.repositories.remove(name) {
            Some(_) => Reply::acknowledged(),
            None => missing(name),
        }
    }

    /// `POST /_snapshot/<name>/_verify`: one that may be written is written to, another is only looked at.
    pub(super) fn verify(&mut self, name: &str) -> Reply {
        let Some(repository) = self.cluster.repositories.get(name) else { return missing(name) };
        let (readonly, location) = (repository.is_readonly(), repository.location().to_owned());
        let mut files = self.files(&location);
        let tried = if readonly {
            files.newest().map(drop)
        } else {
            let probe = files.put_raw("/tests-probe/master.dat", vec![0; 22]);
            files.remove("/tests-probe");
            probe
        };
        if let Err(trouble) = tried {
            let cause = trouble.cause(&location);
            let reason = format!("[{name}] path  is not accessible on cluster-manager node");
            return Reply::caused(500, "repository_verification_exception", reason, &cause);
        }
        let up = (0..self.cluster.nodes()).filter(|node| self.cluster.is_up(*node));
        let nodes: Map<String, Value> = up
            .map(|node| (self.cluster.node_ids[node].clone(), json!({"name": self.cluster.node_name(node)})))
            .collect();
        Reply::ok(json!({ "nodes": nodes })).after(Duration::from_millis(40))
    }

    /// A repository and what the cluster believes is in it.
    pub(super) fn used(&mut self, name: &str) -> Result<Used, Reply> {
        let Some(repository) = self.cluster.repositories.get(name) else { return Err(missing(name)) };
        let (readonly, location) = (repository.is_readonly(), repository.location().to_owned());
        if let Some((number, catalog)) = repository.known.clone() {
            return Ok(Used { readonly, location, number, catalog });
        }
        let files = self.files(&location);
        let number = match files.newest() {
            Ok(number) => number,
            // The folder of one that may be written is made when it is first used.
            Err(Trouble::Missing(_)) if !readonly => None,
            Err(trouble) => {
                let cause = trouble.cause(&location);
                let reason = format!("[{name}] Could not determine repository generation from root blobs");
                return Err(Reply::caused(500, "repository_exception", reason, &cause));
            }
        };
        let catalog = match number.map(|number| files.catalog(number)).transpose() {
            Ok(catalog) => catalog.unwrap_or_default(),
            Err(trouble) => {
                let cause = trouble.cause(&location);
                let reason = format!("[{name}] could not read repository data from index blob");
                return Err(Reply::caused(500, "repository_exception", reason, &cause));
            }
        };
        if !readonly {
            self.remember(name, number, &catalog);
        }
        Ok(Used { readonly, location, number, catalog })
    }

    fn remember(&mut self, name: &str, number: Option<u64>, catalog: &Catalog) {
        if let Some(repository) = self.cluster.repositories.get_mut(name) {
            repository.known = Some((number, catalog.clone()));
        }
    }

    /// Writes the next list of a repository, unless somebody else wrote one.
    pub(super) fn publish(&mut self, name: &str, used: &Used, catalog: &Catalog) -> Result<(), Reply> {
        let mut files = self.files(&used.location);
        let there = match files.newest() {
            Ok(there) => there,
            Err(Trouble::Missing(_)) => None,
            Err(trouble) => return Err(io_error(&trouble, &used.location)),
        };
        let shown = |number: Option<u64>| number.map_or_else(|| "-1".to_owned(), |number| number.to_string());
        if there != used.number {
            let reason = format!(
                "[{name}] concurrent modification of the index-N file, expected current generation [{}], actual current \
                 generation [{}]",
                shown(used.number),
                shown(there)
            );
            return Err(Reply::error(500, "repository_exception", reason));
        }
        let next = used.number.map_or(0, |number| number + 1);
        files.put_catalog(next, catalog).map_err(|trouble| {
            // Half a list is worse than none.
            files.remove(&format!("/index-{next}"));
            io_error(&trouble, &used.location)
        })?;
        self.remember(name, Some(next), catalog);
        Ok(())
    }
}

/// No repository of that name.
pub(super) fn missing(name: &str) -> Reply {
    Reply::error(404, "repository_missing_exception", format!("[{name}] missing"))
}

/// What a disk says when it says no.
pub(super) fn io_error(trouble: &Trouble, location: &str) -> Reply {
    let (kind, words) = trouble.cause(location);
    Reply::error(500, kind, words)
}
