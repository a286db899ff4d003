//! Looks at an exchange tree that several steps of this room share: which points there are, which files they have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::{Files, Seen, parse_seen, parse_sums};
use crate::model::{Failure, FailureKind, PointId, SiteName};
use crate::points::{CompletionMarker, Tree};
use crate::port::{Command, Pipeline, Place};
use crate::systems::StepContext;
use crate::systems::held::{self, PointSeen};
use crate::systems::remote::{get_json, path_arg};
use crate::systems::tree::{fresh, output_of};

/// Which point a step is about: an id, or `latest` for the newest complete one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(super) enum Choice {
    Latest,
    Id(PointId),
}

impl TryFrom<String> for Choice {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        PointId::new(text).map(Self::Id).map_err(|error| error.to_string())
    }
}

impl From<Choice> for String {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Latest => "latest".to_owned(),
            Choice::Id(point) => point.into(),
        }
    }
}

/// A tree at a site, and the host through which it is reached.
pub(super) struct At {
    pub(super) place: Place,
    pub(super) tree: Tree,
    /// The tree's root as text.
    pub(super) root: String,
}

impl At {
    /// The direction's tree at `site`.
    pub(super) fn new(cx: &StepContext, site: &SiteName) -> Result<Self, Failure> {
        let tree = cx.tree(site)?;
        Ok(Self { place: cx.exchange_place(site)?, root: path_arg(tree.root())?, tree })
    }

    /// The folders below a folder of the tree, so many levels down, relative to it. Those whose names are not UTF-8 are
    /// left out.
    pub(super) async fn folders(&self, cx: &StepContext, folder: &str, level: usize) -> Result<Vec<String>, Failure> {
        let (folder, level) = (format!("{}/{folder}", self.root), level.to_string());
        let expression = ["-mindepth", &level, "-maxdepth", &level, "-type", "d", "-printf", "%P\\0"];
        let mut names = held::found(cx, &self.place, &folder, &expression).await?;
        names.retain(|name| !name.contains(char::REPLACEMENT_CHARACTER));
        names.sort();
        Ok(names)
    }

    /// The points that are here, oldest first.
    pub(super) async fn points(&self, cx: &StepContext) -> Result<Vec<PointSeen>, Failure> {
        held::points(cx, &self.place, &self.tree).await
    }

    /// The search repositories that are here, by folder name.
    pub(super) async fn repositories(&self, cx: &StepContext) -> Result<Vec<String>, Failure> {
        let expression = ["-mindepth", "1", "-maxdepth", "1", "-type", "d", "-name", "search-*", "-printf", "%f\\0"];
        let mut names = held::found(cx, &self.place, &self.root, &expression).await?;
        names.sort();
        Ok(names)
    }

    /// The folders `files-<service>/<generation>`, whole and partial, with the time each was begun or last changed.
    pub(super) async fn generations(&self, cx: &StepContext) -> Result<Vec<(String, i64)>, Failure> {
        let expression =
            ["-mindepth", "2", "-maxdepth", "2", "-type", "d", "-path", "*/files-*/*", "-printf", "%T@ %P\\0"];
        let records = held::found(cx, &self.place, &self.root, &expression).await?;
        let parsed = records.iter().filter_map(|record| {
            let (time, path) = record.split_once(' ')?;
            let seconds = time.split('.').next()?.parse().ok()?;
            path.starts_with("files-").then(|| (path.to_owned(), seconds))
        });
        Ok(parsed.collect())
    }

    /// Every file that belongs to a point: its own folder and the search repositories. Not its listing and marker, and
    /// not what is being written.
    pub(super) async fn files(&self, cx: &StepContext, label: &str, point: &PointId) -> Result<Files, Failure> {
        Ok(self.files_and_marker(cx, label, point).await?.0)
    }

    /// The same, and the completion marker as a file, if it is there.
    pub(super) async fn files_and_marker(
        &self,
        cx: &StepContext,
        label: &str,
        point: &PointId,
    ) -> Result<(Files, Option<Seen>), Failure> {
        let mut folders = vec![path_arg(&self.tree.point(point))?];
        folders.extend(self.repositories(cx).await?.iter().map(|name| format!("{}/{name}", self.root)));
        let find = Command::new("find").args(folders).args(["-type", "f", "-printf", "%s %T@ %C@ %i %p\\0"]);
        let find = Pipeline::from(find.env("LC_ALL", "C"));
        let output = output_of(cx, &self.place, &fresh(cx, &format!("look-{label}")), &find).await?;
        let mut files = parse_seen(&output, &self.root)
            .map_err(|got| Failure::new(FailureKind::Refused, format!("run on {}: {find}", self.place), got))?;
        let own = format!("points/{point}/");
        let marker = files.remove(&format!("{own}COMPLETE"));
        files.retain(|path, _| match path.strip_prefix(&own) {
            Some(rest) => rest != "LISTING" && rest != "PINNED" && !rest.contains(".partial-"),
            None => true,
        });
        Ok((files, marker))
    }

    /// SHA-256 of files, as the durable job `label`; paths relative to the root.
    pub(super) async fn sums(
        &self,
        cx: &StepContext,
        label: &str,
        paths: &[String],
    ) -> Result<BTreeMap<String, String>, Failure> {
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut names = paths.join("\0");
        names.push('\0');
        let inside = format!("--chdir={}", self.root);
        let sum = Command::new("env").args([&inside, "xargs", "-0", "-r", "sha256sum", "--zero", "--"]);
        let sum = Pipeline::from(sum.env("LC_ALL", "C")).stdin(names);
        let output = output_of(cx, &self.place, label, &sum).await?;
        let tried = || format!("run on {}: {sum}", self.place);
        let sums = parse_sums(&output).map_err(|got| Failure::new(FailureKind::Refused, tried(), got))?;
        match paths.iter().find(|path| !sums.contains_key(*path)) {
            None => Ok(sums),
            Some(path) => Err(Failure::new(FailureKind::Refused, tried(), format!("no checksum of {path}"))),
        }
    }

    /// The completion marker of a point, if it is here.
    pub(super) async fn marker(&self, cx: &StepContext, point: &PointId) -> Result<Option<CompletionMarker>, Failure> {
        let marker: Option<CompletionMarker> = get_json(cx, &self.place, &self.tree.complete(point)).await?;
        match marker {
            Some(marker) if marker.point != *point => Err(Failure::new(
                FailureKind::Mismatch,
                format!("read {} on {}", self.tree.complete(point).display(), self.place),
                format!("it is the marker of point {}", marker.point),
            )
            .hint("somebody copied or renamed a point's folder by hand; take another point")),
            marker => Ok(marker),
        }
    }

    /// The whole content of a file of any size, as a durable job.
    pub(super) async fn read(&self, cx: &StepContext, label: &str, path: &std::path::Path) -> Result<String, Failure> {
        let cat = Pipeline::from(Command::new("cat").arg(path_arg(path)?).env("LC_ALL", "C"));
        let output = output_of(cx, &self.place, label, &cat).await?;
        String::from_utf8(output).map_err(|_| {
            Failure::new(FailureKind::Refused, format!("read {} on {}", path.display(), self.place), "it is not UTF-8")
        })
    }
}
