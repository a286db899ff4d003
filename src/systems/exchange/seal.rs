//! `exchange.seal`: everything the stores put into the point is written down with its checksum, and only then is the
//! point called complete.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::listing::{Files, Listed, Listing, state_name};
use super::looks::At;
use crate::model::{ByteSize, Epoch, Failure, FailureKind, SafeText, ServiceName};
use crate::points::{CompletionMarker, Manifest, Part};
use crate::port::{Command, Pipeline};
use crate::systems::epoch::require_direction;
use crate::systems::held::newest_complete;
use crate::systems::remote::{get_json, look, path_arg, put_file};
use crate::systems::tree::{Generation, fresh};
use crate::systems::{Step, StepContext, StepDone, run_job};

/// Seals the restore point.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    /// The services that must be in the point; any, but at least one, when left out.
    #[serde(default)]
    expect: Vec<ServiceName>,
    /// Hashes every file that no store gave a checksum of, also those that are as the point before listed them.
    #[serde(default)]
    deep: bool,
}

/// The parts, checked against what is expected and against the files that are there.
///
/// # Errors
/// What is missing, or differs.
fn check_parts(parts: &BTreeMap<ServiceName, Part>, expect: &[ServiceName], files: &Files) -> Result<(), String> {
    if parts.is_empty() {
        return Err("no store has put anything into the point".to_owned());
    }
    let missing: Vec<&str> = expect.iter().filter(|name| !parts.contains_key(*name)).map(ServiceName::as_str).collect();
    if !missing.is_empty() {
        return Err(format!("nothing is in the point of {}", missing.join(", ")));
    }
    for part in parts.values() {
        for artifact in &part.artifacts {
            match files.get(&artifact.path) {
                None => return Err(format!("{} of {} is not there", artifact.path, part.service)),
                Some(seen) if seen.bytes != artifact.bytes => {
                    let (path, found, expected) = (&artifact.path, seen.bytes, artifact.bytes);
                    return Err(format!("{path} of {} has {found} bytes, not {expected}", part.service));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// What is known of the checksums without reading: from the parts, and from the listing before. Returns them and the
/// files that have to be read.
fn known_sums(
    files: &Files,
    parts: &BTreeMap<ServiceName, Part>,
    before: &Listing,
) -> (BTreeMap<String, String>, Vec<String>) {
    let of_parts: BTreeMap<&str, &str> = parts
        .values()
        .flat_map(|part| &part.artifacts)
        .map(|artifact| (artifact.path.as_str(), artifact.sha256.as_str()))
        .collect();
    let (mut sums, mut unknown) = (BTreeMap::new(), Vec::new());
    for (path, seen) in files {
        match of_parts.get(path.as_str()).copied().or_else(|| before.known(path, seen)) {
            Some(sha256) => drop(sums.insert(path.clone(), sha256.to_owned())),
            None => unknown.push(path.clone()),
        }
    }
    (sums, unknown)
}

/// The first file that is not the same in both looks.
fn first_change<'a>(before: &'a Files, after: &'a Files) -> Option<&'a String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths.into_iter().find(|path| before.get(*path) != after.get(*path))
}

impl Seal {
    async fn parts(cx: &StepContext, at: &At, files: &Files) -> Result<BTreeMap<ServiceName, Part>, Failure> {
        let folder = format!("points/{}/parts/", cx.point);
        let mut parts = BTreeMap::new();
        for path in files.keys().filter(|path| path.starts_with(&folder) && path.strip_suffix(".json").is_some()) {
            let absolute = at.tree.root().join(path);
            let part: Option<Part> = get_json(cx, &at.place, &absolute).await?;
            let part = part.ok_or_else(|| {
                Failure::new(FailureKind::Refused, format!("read {} on {}", absolute.display(), at.place), "it is gone")
            })?;
            parts.insert(part.service.clone(), part);
        }
        Ok(parts)
    }

    /// The listing of the newest complete point, to save reading what did not change; empty when there is none that
    /// can be read.
    async fn listing_before(cx: &StepContext, at: &At) -> Result<Listing, Failure> {
        let mut points = at.points(cx).await?;
        points.retain(|point| point.id != cx.point);
        let Some(point) = newest_complete(&points) else { return Ok(Listing::default()) };
        let text = at.read(cx, "listing-before", &at.tree.listing(point)).await?;
        Ok(Listing::parse(&text).unwrap_or_else(|problem| {
            cx.say(format!("the listing of {point} is of no use, all files are read: {problem}"));
            Listing::default()
        }))
    }

    fn manifest(cx: &StepContext, epoch: Epoch, parts: BTreeMap<ServiceName, Part>) -> Manifest {
        Manifest {
            format: Manifest::FORMAT,
            point: cx.point.clone(),
            run: cx.run.clone(),
            estate: cx.estate.name.clone(),
            direction: cx.direction.clone(),
            epoch,
            sealed: cx.clock.now(),
            parts,
        }
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new(FailureKind::Invalid, "write the restore point", error.to_string()))
}

fn done(cx: &StepContext, marker: &CompletionMarker, epoch: Epoch) -> StepDone {
    cx.say(format!("point {} is complete: {} files, {}", marker.point, marker.files, ByteSize(marker.bytes)));
    StepDone::new()
        .capture("point", marker.point.as_str())
        .capture("files", marker.files)
        .capture("bytes", marker.bytes)
        .capture("epoch", epoch.0)
}

#[async_trait]
impl Step for Seal {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let tree = cx.tree(cx.site()?)?;
        let lines = [
            format!(
                "sha256sum the new files of {} and {}/search-*",
                tree.point(&cx.point).display(),
                tree.root().display()
            ),
            format!("write {}", tree.manifest(&cx.point).display()),
            format!("write {}", tree.listing(&cx.point).display()),
            format!("sync -f {}", tree.root().display()),
            format!("write {} (last, by rename)", tree.complete(&cx.point).display()),
        ];
        Ok(lines.iter().map(|line| SafeText::line(line)).collect())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let site = cx.site()?;
        let record = require_direction(cx, site).await?;
        let at = At::new(cx, site)?;
        let tried = || format!("seal point {} at {site}", cx.point);
        if let Some(marker) = at.marker(cx, &cx.point).await? {
            // Entered again after a crash. What is sealed is never sealed again: it may be on its way already.
            return Ok(done(cx, &marker, record.epoch));
        }
        let first = at.files(cx, "parts", &cx.point).await?;
        let parts = Self::parts(cx, &at, &first).await?;
        check_parts(&parts, &self.expect, &first).map_err(|got| {
            Failure::new(FailureKind::Mismatch, tried(), got)
                .hint("look at the step that copies this store; a point without it is not sealed")
        })?;
        for part in parts.values() {
            if let Ok(generation) = serde_json::from_value::<Generation>(part.details.clone()) {
                let folder = path_arg(&at.tree.root().join(&generation.generation))?;
                look(cx, &at.place, &Command::new("test").args(["-d", &folder]).into()).await?;
            }
        }
        let manifest = json(&Self::manifest(cx, record.epoch, parts.clone()))?;
        put_file(cx, &at.place, &at.tree.manifest(&cx.point), &manifest).await?;

        let files = at.files(cx, "before", &cx.point).await?;
        let own = format!("points/{}/manifest.json", cx.point);
        let written = files.get(&own).map_or(0, |seen| seen.bytes);
        if usize::try_from(written).ok() != Some(manifest.len()) {
            let got = format!("{own} has {written} bytes, {} were written", manifest.len());
            return Err(Failure::new(FailureKind::Mismatch, tried(), got).hint("the mount is sick: look at its server"));
        }
        let before = if self.deep { Listing::default() } else { Self::listing_before(cx, &at).await? };
        let (mut sums, mut unknown) = known_sums(&files, &parts, &before);
        cx.say(format!("{} files, checksums of {} are to be computed", files.len(), unknown.len()));
        // The manifest is written anew by each entry; the rest may be hashed already, by the one before a crash.
        unknown.retain(|path| *path != own);
        sums.extend(at.sums(cx, &format!("sums-{}", state_name(&files, &unknown)), &unknown).await?);
        sums.extend(at.sums(cx, &fresh(cx, "sum-manifest"), std::slice::from_ref(&own)).await?);
        let after = at.files(cx, "after", &cx.point).await?;
        if let Some(path) = first_change(&files, &after) {
            let got = format!("{path} changed while the checksums were computed");
            return Err(Failure::new(FailureKind::Busy, tried(), got).hint(
                "something still writes there: another snapshot, a clean-up, another run? Wait for it, then again",
            ));
        }
        let listing = files.into_iter().filter_map(|(path, seen)| {
            let sha256 = sums.remove(&path)?;
            Some((path, Listed { seen: seen.into_listed(), sha256 }))
        });
        let listing = Listing(listing.collect());
        put_file(cx, &at.place, &at.tree.listing(&cx.point), listing.write().as_bytes()).await?;

        let sync = Pipeline::from(Command::new("sync").args(["-f", &at.root]));
        let synced = run_job(cx, &at.place, "sync", &sync).await?;
        if !synced.is_success() {
            return Err(Failure::new(FailureKind::Refused, tried(), synced.complaint(&sync)));
        }
        let listed = format!("points/{}/LISTING", cx.point);
        // Of what is there now, not of what was to be written.
        let mut sums = at.sums(cx, &fresh(cx, "marker"), &[own.clone(), listed.clone()]).await?;
        let read_back = at.read(cx, &fresh(cx, "listing"), &at.tree.listing(&cx.point)).await?;
        if Listing::parse(&read_back).as_ref() != Ok(&listing) {
            let got = "LISTING does not read back as it was written";
            return Err(Failure::new(FailureKind::Mismatch, tried(), got).hint("the mount is sick: look at its server"));
        }
        let marker = CompletionMarker {
            point: cx.point.clone(),
            manifest_sha256: sums.remove(&own).unwrap_or_default(),
            listing_sha256: sums.remove(&listed).unwrap_or_default(),
            files: u64::try_from(listing.0.len()).unwrap_or(u64::MAX),
            bytes: listing.bytes(),
        };
        put_file(cx, &at.place, &at.tree.complete(&cx.point), &json(&marker)?).await?;
        Ok(done(cx, &marker, record.epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::Seen;
    use super::*;
    use crate::points::{Artifact, Counts};

    fn part(service: &str, artifacts: &[(&str, u64)]) -> (ServiceName, Part) {
        let service = ServiceName::new(service).expect("a name");
        let at = "2026-03-01T02:03:04Z".parse().expect("a time");
        let artifacts = artifacts.iter().map(|(path, bytes)| Artifact {
            path: (*path).to_owned(),
            bytes: *bytes,
            sha256: "d".repeat(64),
        });
        let part = Part {
            service: service.clone(),
            kind: "mysql".into(),
            version: "1".into(),
            began: at,
            ended: at,
            artifacts: artifacts.collect(),
            counts: Counts::new(),
            details: serde_json::Value::Null,
        };
        (service, part)
    }

    fn seen(bytes: u64, time: &str) -> Seen {
        Seen { bytes, time: time.into(), change: String::new() }
    }

    #[test]
    fn a_part_that_is_missing_or_cut_short_is_not_sealed() {
        let files = Files::from([("points/p/db.sql.zst".to_owned(), seen(10, "1"))]);
        let db = BTreeMap::from([part("db", &[("points/p/db.sql.zst", 10)])]);
        let name = |text: &str| ServiceName::new(text).expect("a name");
        assert_eq!(check_parts(&db, &[], &files), Ok(()));
        assert_eq!(check_parts(&db, &[name("db")], &files), Ok(()));
        assert!(check_parts(&db, &[name("db"), name("search")], &files).expect_err("search").contains("search"));
        assert!(check_parts(&BTreeMap::new(), &[], &files).is_err());
        let cut = BTreeMap::from([part("db", &[("points/p/db.sql.zst", 11)])]);
        assert!(check_parts(&cut, &[], &files).expect_err("cut").contains("10 bytes, not 11"));
        let gone = BTreeMap::from([part("db", &[("points/p/other", 10)])]);
        assert!(check_parts(&gone, &[], &files).is_err());
    }

    #[test]
    fn only_what_is_new_or_changed_is_read() {
        let files: Files =
            [("dump", 10, "1"), ("search-s/old", 5, "1.5"), ("search-s/touched", 5, "2"), ("search-s/new", 5, "1")]
                .into_iter()
                .map(|(path, bytes, time)| (path.to_owned(), seen(bytes, time)))
                .collect();
        let before = ["search-s/old", "search-s/touched", "dump"];
        let before = Listing(
            before
                .map(|path| (path.to_owned(), Listed { seen: seen(5, "1.5"), sha256: "a".repeat(64) }))
                .into_iter()
                .collect(),
        );
        let parts = BTreeMap::from([part("db", &[("dump", 10)])]);
        let (sums, unknown) = known_sums(&files, &parts, &before);
        assert_eq!(unknown, ["search-s/new", "search-s/touched"]);
        assert_eq!((sums["dump"].as_str(), sums["search-s/old"].as_str()), (&*"d".repeat(64), &*"a".repeat(64)));
    }

    #[test]
    fn a_change_between_two_looks_is_found() {
        let one = Files::from([("a".to_owned(), seen(1, "1")), ("b".to_owned(), seen(1, "1"))]);
        let mut two = one.clone();
        assert_eq!(first_change(&one, &two), None);
        two.insert("c".into(), seen(1, "1"));
        assert_eq!(first_change(&one, &two).map(String::as_str), Some("c"));
        assert_eq!(first_change(&two, &one).map(String::as_str), Some("c"));
        two = one.clone();
        two.insert("b".into(), seen(1, "2"));
        assert_eq!(first_change(&one, &two).map(String::as_str), Some("b"));
    }
}
