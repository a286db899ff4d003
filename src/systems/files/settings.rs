//! What an estate says of a file service at one site, and where and how its folders are reached.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Failure, FailureKind, HostName, Limit};
use crate::port::{Command, Pipeline, Place};
use crate::systems::remote::{look, path_arg};
use crate::systems::rsync::{has_attributes, parse_version};
use crate::systems::tree::Excludes;
use crate::systems::{StepContext, rsync};

/// The settings of a file service at one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Which system it is: always `files`.
    #[serde(default)]
    pub(super) kind: Option<String>,
    /// The folders, absolute, in the same order at both sites.
    #[serde(deserialize_with = "some_absolute_paths")]
    pub(super) paths: Vec<PathBuf>,
    /// The hosts that have these folders each for themselves. Left out when the folders are on storage that is shared
    /// by the site's hosts: then they are reached through one host only.
    #[serde(default)]
    pub(super) role: Option<String>,
    /// With `role`: the host whose folders are collected when the site is the source; the first one when left out.
    #[serde(default)]
    pub(super) collect_from: Option<HostName>,
    /// What is neither copied nor counted nor deleted, as patterns of rsync.
    #[serde(default)]
    pub(super) exclude: Excludes,
    /// How many files may be deleted at once before a person is asked; the estate's `policy.max_delete`, or 10%, when
    /// left out.
    #[serde(default)]
    pub(super) max_delete: Option<Limit>,
    /// The fewest files that are plausible in all folders together.
    #[serde(default)]
    pub(super) min_files: Option<u64>,
    /// A file that every folder must hold: proof that the storage is mounted. Relative to the folder.
    #[serde(default)]
    pub(super) marker: Option<String>,
    /// Whether owner and group are kept. Kept if the login user is root when left out.
    #[serde(default)]
    pub(super) owner: Option<Owner>,
    /// Whether ACLs and extended attributes are copied, where rsync can.
    #[serde(default = "yes")]
    pub(super) attributes: bool,
}

/// What becomes of owner and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Owner {
    /// Kept, by number. Needs root.
    Keep,
    /// The user who copies owns the copy.
    Copy,
}

fn yes() -> bool {
    true
}

fn some_absolute_paths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    use serde::de::Error;
    let paths = Vec::<PathBuf>::deserialize(deserializer)?;
    if paths.is_empty() {
        return Err(D::Error::custom("`paths` names no folder"));
    }
    for path in &paths {
        let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
        if !path.is_absolute() || path.parent().is_none() || !plain {
            return Err(D::Error::custom(format!("`{}` must be absolute, without `..`, and not `/`", path.display())));
        }
    }
    for (index, path) in paths.iter().enumerate() {
        if paths.iter().enumerate().any(|(other, outer)| other != index && path.starts_with(outer)) {
            return Err(D::Error::custom(format!("`{}` lies within another of the paths", path.display())));
        }
    }
    Ok(paths)
}

impl Settings {
    /// How many deletions are allowed at once.
    pub(super) fn limit(&self, cx: &StepContext) -> Limit {
        self.max_delete.or(cx.estate.policy.max_delete).unwrap_or(Limit::Percent(10))
    }

    /// The hosts on which the folders are brought back and compared: the unit's own; else all hosts of the role; else
    /// the one that reaches the site's shared storage.
    ///
    /// # Errors
    /// When no host has the role.
    pub(super) fn places(&self, cx: &StepContext) -> Result<Vec<Place>, Failure> {
        let site = cx.site()?;
        let (None, Some(role)) = (&cx.host, &self.role) else {
            return Ok(vec![cx.exchange_place(site)?]);
        };
        let hosts = cx.estate.hosts_with_role(site, Some(role));
        let places: Vec<Place> = hosts.map(|(host, _)| Place::Host(site.clone(), host.clone())).collect();
        if places.is_empty() {
            return Err(no_host(cx, role));
        }
        Ok(places)
    }

    /// Why there is nothing to do here: the folders are on storage that the site's hosts share, and another host of
    /// the same step works on them.
    pub(super) fn left_to_another(&self, cx: &StepContext) -> Option<&'static str> {
        (self.role.is_none() && !cx.first).then_some(
            "the folders are on storage that the hosts of the site share; the first host of this step does it",
        )
    }

    /// The host whose folders are collected.
    ///
    /// # Errors
    /// When no host has the role, or `collect_from` is not there.
    pub(super) fn collected_at(&self, cx: &StepContext) -> Result<Place, Failure> {
        let site = cx.site()?;
        if let Some(host) = &self.collect_from {
            if cx.estate.host(site, host).is_none() {
                let tried = format!("find the host `collect_from = \"{host}\"` of {site}");
                return Err(Failure::new(FailureKind::Invalid, tried, "the site has no such host"));
            }
            return Ok(Place::Host(site.clone(), host.clone()));
        }
        self.places(cx)?.into_iter().next().ok_or_else(|| no_host(cx, self.role.as_deref().unwrap_or_default()))
    }
}

fn no_host(cx: &StepContext, role: &str) -> Failure {
    let tried = format!("find the hosts with the folders of {}", cx.unit);
    Failure::new(FailureKind::Invalid, tried, format!("no host of the site has the role `{role}`"))
        .hint("give a host that role in the estate, or correct `role` of the service")
}

/// What the rsync and the login user of a host can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ability {
    /// The version.
    pub(super) version: String,
    /// ACLs and extended attributes are copied.
    pub(super) attributes: bool,
    /// Owner and group are kept.
    pub(super) owner: bool,
}

/// Asks a host what it can do, within what the settings want.
///
/// # Errors
/// When rsync is missing or too old, and when ownership is to be kept by a user who is not root.
pub(super) async fn ability(cx: &StepContext, place: &Place, settings: &Settings) -> Result<Ability, Failure> {
    let asked = Pipeline::from(Command::new("rsync").arg("--version").env("LC_ALL", "C"));
    let text = look(cx, place, &asked)
        .await
        .map_err(|failure| match failure.kind {
            FailureKind::Refused => failure.hint("install rsync 3.1 or newer on that host"),
            _ => failure,
        })?
        .text();
    let tried = || format!("find a usable rsync on {place}");
    let Some((version, true)) = parse_version(&text) else {
        let got = text.lines().next().unwrap_or("no version").to_owned();
        return Err(Failure::new(FailureKind::Refused, tried(), got).hint("install rsync 3.1 or newer on that host"));
    };
    let root = look(cx, place, &Command::new("id").arg("-u").into()).await?.text() == "0";
    if settings.owner == Some(Owner::Keep) && !root {
        let got = "`owner = \"keep\"`, but the login user is not root";
        return Err(Failure::new(FailureKind::Invalid, format!("keep owners on {place}"), got)
            .hint("log in as root on that host, or write `owner = \"copy\"`"));
    }
    let owner = root && settings.owner != Some(Owner::Copy);
    Ok(Ability { version, attributes: settings.attributes && has_attributes(&text), owner })
}

impl Ability {
    /// A copy that does what the host can.
    pub(super) fn copy(&self, settings: &Settings, from: &Path, to: &Path) -> Result<rsync::Copy, Failure> {
        Ok(rsync::Copy {
            attributes: self.attributes,
            owner: self.owner,
            filters: settings.exclude.filters(),
            ..rsync::Copy::new(path_arg(from)?, path_arg(to)?)
        })
    }
}

/// Fails unless the folder is there, holds something and, when the settings name one, the marker.
///
/// # Errors
/// `Rule` when it is missing, empty or unmarked: an unmounted share looks just like that.
pub(super) async fn ensure_mounted(
    cx: &StepContext,
    place: &Place,
    path: &Path,
    settings: &Settings,
    may_be_empty: bool,
) -> Result<(), Failure> {
    let text = path_arg(path)?;
    let tried = format!("look into {text} on {place}");
    let first = Command::new("find").args([&text, "-mindepth", "1", "-maxdepth", "1", "-print", "-quit"]);
    let first = Pipeline::from(first.env("LC_ALL", "C"));
    let output = cx.reach.exec(place, &first, LOOK).await;
    let output = output.map_err(|error| error.while_reading(&tried))?;
    if !output.is_success() {
        let failure = Failure::new(FailureKind::Rule, tried, output.complaint(&first));
        return Err(failure.hint("mount the storage, create the folder, or correct `paths` in the estate"));
    }
    if output.stdout.is_empty() && !may_be_empty {
        let on = mounted_on(cx, place, &text).await;
        return Err(Failure::new(FailureKind::Rule, tried, format!("it is empty{on}"))
            .hint("a share that is not mounted looks like this: mount it (`findmnt` shows what is mounted)"));
    }
    let Some(marker) = &settings.marker else { return Ok(()) };
    let marker = path_arg(&path.join(marker))?;
    let exists = Pipeline::from(Command::new("test").args(["-e", &marker]));
    let output = cx.reach.exec(place, &exists, LOOK).await.map_err(|error| error.while_reading(&tried))?;
    if output.is_success() {
        return Ok(());
    }
    let on = mounted_on(cx, place, &text).await;
    Err(Failure::new(FailureKind::Rule, tried, format!("the marker {marker} is not there{on}"))
        .hint("mount the storage; if this is the right folder, create the marker by hand, once"))
}

/// For messages: on which file system a path lies. Nothing when that cannot be told.
async fn mounted_on(cx: &StepContext, place: &Place, path: &str) -> String {
    let command = Command::new("findmnt").args(["-n", "-o", "TARGET,SOURCE,FSTYPE", "-T", path]);
    match cx.reach.exec(place, &command.into(), LOOK).await {
        Ok(output) if output.is_success() && !output.stdout.is_empty() => {
            let words: Vec<String> = output.text().split_whitespace().map(str::to_owned).collect();
            format!("; it lies on {}", words.join(" "))
        }
        _ => String::new(),
    }
}

/// How long a short look may take.
pub(super) const LOOK: std::time::Duration = std::time::Duration::from_mins(1);
