//! `files.collect`: a new generation of the folders on the exchange tree, sharing what did not change with the one
//! before by hard links.
//!
//! A generation is made under a name of its own for each attempt (`<point>.partial-<attempt>…`) and renamed into place
//! when it is whole. Attempts never write into each other's folders, because a file there may be hard-linked to an older
//! generation, and setting its mode would change that one too; they link to them instead, so that nothing is copied
//! twice. A first copy by `tar` was measured not to be faster than rsync, once it is verified.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::{Ability, LOOK, Settings, ability, ensure_mounted};
use crate::model::{ByteSize, Failure, FailureKind, Limit, PointId, SafeText};
use crate::points::{Counts, Part, Tree};
use crate::port::{Command, Pipeline, Place};
use crate::systems::epoch::require_direction;
use crate::systems::remote::{change, get_file, look, make_folder, path_arg, save_part};
use crate::systems::rsync::{self, Copy, Stats};
use crate::systems::tree::{self, Excludes, Folder, Generation, exactly};
use crate::systems::{CheckReport, Step, StepContext, StepDone, run_job};

/// Collects the folders into a new generation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Collect {
    /// Goes on although more files are gone than `max_delete` allows.
    #[serde(default)]
    accept_deletions: bool,
    /// Compares with the generation before by content, not by size and time, and makes a digest of all content. Reads
    /// everything.
    #[serde(default)]
    deep: bool,
}

/// A whole generation from before.
pub(super) struct Previous {
    point: PointId,
    path: PathBuf,
    part: Part,
}

impl Previous {
    /// How many bytes are new at least, if the folders hold `bytes` now.
    pub(super) fn growth(&self, bytes: u64) -> u64 {
        let before = self.part.counts.values();
        bytes.saturating_sub(before.map(|measures| exactly(measures, "bytes")).sum())
    }

    /// Where the folder of `path` is in it.
    fn folder(&self, path: &Path) -> Option<PathBuf> {
        let generation: Generation = serde_json::from_value(self.part.details.clone()).ok()?;
        let folder = generation.folders.into_iter().find(|folder| Path::new(&folder.path) == path)?;
        Some(self.path.join(folder.name))
    }

    /// How many files the folder of `path` had.
    fn files(&self, path: &Path) -> Option<u64> {
        let measures = self.part.counts.get(&item(path))?;
        measures.contains_key("files").then(|| exactly(measures, "files"))
    }
}

/// The item of a folder in the counts of a part.
pub(super) fn item(path: &Path) -> String {
    format!("path {}", path.display())
}

/// The newest whole generation of the step's service at the step's site that is not the one of this run's point.
pub(super) async fn newest_generation(cx: &StepContext, place: &Place) -> Result<Option<Previous>, Failure> {
    let site = cx.site()?;
    let (tree, service) = (cx.tree(site)?, cx.service_name()?);
    let names = folders(cx, place, &tree.generations(service)).await?;
    let mut damaged = None;
    for point in newest_first(&names, &cx.point) {
        // One without a part was refused after it had been made.
        let file = tree.part(&point, service);
        let Some(content) = get_file(cx, place, &file).await? else { continue };
        match serde_json::from_slice(&content) {
            Ok(part) => return Ok(Some(Previous { path: tree.generation(service, &point), part, point })),
            Err(error) => {
                cx.say(format!("{} on {place} is damaged ({error}); an older copy is compared with", file.display()));
                let tried = format!("read {} on {place}", file.display());
                damaged.get_or_insert(Failure::new(FailureKind::Refused, tried, error.to_string()).hint(
                    "the file is damaged, and no other copy is there to compare with; remove it, and the next copy is \
                     made as if it were the first",
                ));
            }
        }
    }
    // Without anything to compare with, a source that lost its files would look like one that never had them.
    damaged.map_or(Ok(None), Err)
}

/// The names of the folders in a folder; none when it is not there.
async fn folders(cx: &StepContext, place: &Place, path: &Path) -> Result<Vec<String>, Failure> {
    let text = path_arg(path)?;
    let list = Command::new("find").args([&text, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%f\\n"]);
    let list = Pipeline::from(list.env("LC_ALL", "C"));
    let tried = format!("list {text}");
    let output = cx.reach.exec(place, &list, LOOK).await.map_err(|error| error.while_reading(&tried))?;
    let complaint = output.complaint(&list);
    if output.is_success() {
        Ok(output.text().lines().map(str::to_owned).collect())
    } else if complaint.contains("No such file or directory") {
        Ok(Vec::new())
    } else {
        Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), complaint))
    }
}

/// Those of these generations that are whole and not `own`, the newest first.
fn newest_first(names: &[String], own: &PointId) -> Vec<PointId> {
    let whole = names.iter().filter(|name| !name.contains(".partial"));
    let mut points: Vec<PointId> =
        whole.filter_map(|name| PointId::new(name.as_str()).ok()).filter(|point| point != own).collect();
    points.sort();
    points.reverse();
    points
}

/// How many files are gone, and how many may be.
fn too_many_gone(before: u64, gone: u64, limit: Limit) -> bool {
    gone > limit.of(before)
}

fn gone(cx: &StepContext, path: &Path, gone: u64, before: u64, limit: Limit, since: &PointId) -> Failure {
    Failure::new(
        FailureKind::Rule,
        format!("collect {} at {}", path.display(), cx.unit),
        format!("{gone} of {before} files are gone since {since}; allowed are {limit}"),
    )
    .hint(
        "look whether they are meant to be gone and everything is mounted; then run again with \
         `accept_deletions = true` in the step's parameters (`--param accept_deletions=true` where the runbook offers it)",
    )
}

/// One collecting, with what does not change in it.
struct Collecting<'a> {
    cx: &'a StepContext,
    step: &'a Collect,
    settings: &'a Settings,
    place: Place,
    tree: Tree,
    ability: Ability,
    previous: Option<Previous>,
}

impl Collecting<'_> {
    fn generations(&self) -> Result<PathBuf, Failure> {
        Ok(self.tree.generations(self.cx.service_name()?))
    }

    fn generation(&self) -> Result<PathBuf, Failure> {
        Ok(self.tree.generation(self.cx.service_name()?, &self.cx.point))
    }

    /// Looks at a folder before anything is copied: how much there is, and how much is gone.
    async fn survey(&self, index: usize, path: &Path) -> Result<Stats, Failure> {
        let (cx, limit) = (self.cx, self.settings.limit(self.cx));
        let before = self.previous.as_ref().and_then(|previous| Some((previous, previous.folder(path)?)));
        // Without a generation before, everything is compared with a folder that is not there.
        let against =
            before.as_ref().map_or_else(|| Ok(self.generations()?.join(".none")), |(_, folder)| Ok(folder.clone()))?;
        let look = Copy {
            dry_run: true,
            only_deletions: before.is_some(),
            delete: Some(0),
            ..self.ability.copy(self.settings, path, &against)?
        };
        let stats = rsync::run(cx, &self.place, &tree::fresh(self.cx, &format!("survey-{index}")), &look).await?.stats;
        if let Some((previous, _)) = before
            && !self.step.accept_deletions
        {
            // Folders and links count too: more is only safer.
            let had = previous.files(path).unwrap_or(stats.files + stats.deleted);
            if too_many_gone(had, stats.deleted, limit) {
                return Err(gone(cx, path, stats.deleted, had, limit, &previous.point));
            }
        }
        Ok(stats)
    }

    /// Copies all folders into `partial`. Returns which of them files vanished from meanwhile, and how many files were
    /// not taken from an earlier copy.
    async fn copy(&self, round: usize, partial: &Path, earlier: &[PathBuf]) -> Result<(Vec<&Path>, u64), Failure> {
        let (mut vanished, mut copied) = (Vec::new(), 0);
        for (index, path) in self.settings.paths.iter().enumerate() {
            let to = partial.join(index.to_string());
            make_folder(self.cx, &self.place, &to).await?;
            let previous = self.previous.as_ref().and_then(|previous| previous.folder(path));
            let folders = previous.into_iter().chain(earlier.iter().map(|folder| folder.join(index.to_string())));
            let link_dest = folders.map(|folder| path_arg(&folder)).collect::<Result<_, _>>()?;
            let checksum = self.step.deep;
            let copy = Copy { checksum, link_dest, ..self.ability.copy(self.settings, path, &to)? };
            let done = rsync::run(self.cx, &self.place, &format!("copy-{index}-{round}"), &copy).await?;
            copied += done.stats.transferred;
            if done.vanished {
                vanished.push(path.as_path());
            }
        }
        Ok((vanished, copied))
    }

    /// Runs a long chore as a durable job.
    async fn chore(&self, label: &str, command: Command) -> Result<(), Failure> {
        let chore = Pipeline::from(command.env("LC_ALL", "C"));
        let run = run_job(self.cx, &self.place, label, &chore).await?;
        if run.is_success() {
            return Ok(());
        }
        let tried = format!("run on {}: {chore}", self.place);
        Err(Failure::new(FailureKind::Refused, tried, run.complaint(&chore)))
    }

    /// Makes the generation and renames it into place. Returns warnings.
    async fn make(&self) -> Result<Vec<String>, Failure> {
        let (cx, generations, generation) = (self.cx, self.generations()?, self.generation()?);
        make_folder(cx, &self.place, &generations).await?;
        let began = cx.clock.now();
        let mut files = 0;
        for (index, path) in self.settings.paths.iter().enumerate() {
            files += self.survey(index, path).await?.files;
        }
        if let Some(least) = self.settings.min_files.filter(|least| files < *least) {
            let got = format!("{files} files, fewer than {least}");
            return Err(Failure::new(FailureKind::Rule, format!("collect at {}", cx.unit), got)
                .hint("is everything mounted? If it is meant to be so few, lower `min_files` of the service"));
        }
        let own = |round: &str| generations.join(format!("{}.partial-{}{round}", cx.point, cx.attempt));
        let (first, second) = (own("a"), own("b"));
        let ours = format!("{}.partial-", cx.point);
        let names = folders(cx, &self.place, &generations).await?;
        let partials = names.iter().filter(|name| name.starts_with(&ours)).map(|name| generations.join(name));
        // rsync takes 20 folders to link to; two are the previous generation and the first round.
        let mut earlier: Vec<PathBuf> = partials.filter(|path| ![&first, &second].contains(&path)).take(18).collect();
        let mut warnings = Vec::new();
        let (mut vanished, mut copied) = self.copy(0, &first, &earlier).await?;
        let mut made = first;
        if !vanished.is_empty() {
            // A fresh list of names, on what the first round got: most of the time nothing vanishes then.
            cx.say("files vanished while they were read; once more, for what is there now");
            earlier.push(made);
            made = second;
            let again;
            (vanished, again) = self.copy(1, &made, &earlier).await?;
            copied += again;
        }
        for path in vanished {
            warnings.push(format!(
                "{} is written to: files vanished while it was read, twice; what was there is collected",
                path.display()
            ));
        }
        warnings.extend(self.not_shared(&made, copied).await?);
        self.chore("sync", Command::new("sync").args(["-f", &path_arg(&made)?])).await?;
        // The time of the folder says when collecting began, also to whoever takes over after a crash.
        let time = format!("@{}", began.as_second());
        change(cx, &self.place, &Command::new("touch").args(["-d", &time, "--", &path_arg(&made)?]).into()).await?;
        let mv = Command::new("mv").args(["-T", "--", &path_arg(&made)?, &path_arg(&generation)?]);
        change(cx, &self.place, &mv.into()).await?;
        if !earlier.is_empty() {
            let rest = earlier.iter().map(|path| path_arg(path)).collect::<Result<Vec<_>, _>>()?;
            self.chore("remove", Command::new("rm").args(["-rf", "--one-file-system", "--"]).args(rest)).await?;
        }
        Ok(warnings)
    }

    /// rsync copies a file in full, and says nothing, when only its mode or owner differs from the generation before:
    /// a warning when many are like that, because the disk fills.
    async fn not_shared(&self, made: &Path, copied: u64) -> Result<Option<String>, Failure> {
        if self.previous.is_none() {
            return Ok(None);
        }
        let found = tree::count_unshared(self.cx, &self.place, "unshared", made).await?;
        let (files, bytes) = (exactly(&found, "files"), exactly(&found, "bytes"));
        let idle = files.saturating_sub(copied);
        self.cx.say(format!("{files} files ({}) are new or changed, the rest is shared", ByteSize(bytes)));
        Ok((idle > 100 && idle > copied).then(|| {
            format!(
                "{idle} files have the content of the generation before but are not shared with it: \
                     owner or mode changed, or the exchange mount has no hard links"
            )
        }))
    }

    /// When collecting the generation began.
    async fn began(&self) -> Result<Timestamp, Failure> {
        let stat = Command::new("stat").args(["-c", "%Y", "--", &path_arg(&self.generation()?)?]);
        let text = look(self.cx, &self.place, &stat.into()).await?.text();
        text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or_else(|| {
            Failure::new(FailureKind::Refused, format!("read the time of {}", self.tree.root().display()), text)
        })
    }

    /// Counts the generation, which nobody writes to any more.
    async fn count(&self) -> Result<Counts, Failure> {
        let (cx, generation, limit) = (self.cx, self.generation()?, self.settings.limit(self.cx));
        let mut counts = Counts::new();
        for (index, path) in self.settings.paths.iter().enumerate() {
            let folder = generation.join(index.to_string());
            let label = format!("made-{index}");
            let found = tree::measure(cx, &self.place, &label, &folder, &Excludes::default(), self.step.deep).await?;
            let files = exactly(&found, "files");
            let before = self.previous.as_ref().and_then(|previous| Some((previous, previous.files(path)?)));
            if let Some((previous, had)) = before
                && !self.step.accept_deletions
                && too_many_gone(had, had.saturating_sub(files), limit)
            {
                return Err(gone(cx, path, had - files, had, limit, &previous.point));
            }
            if files == 0 && exactly(&found, "symlinks") == 0 {
                return Err(Failure::new(
                    FailureKind::Rule,
                    format!("collect {}", path.display()),
                    "nothing was copied",
                ));
            }
            counts.insert(item(path), found);
        }
        Ok(counts)
    }
}

#[async_trait]
impl Step for Collect {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let settings: Settings = cx.settings()?;
        let place = settings.collected_at(cx)?;
        let ability = ability(cx, &place, &settings).await?;
        let previous = newest_generation(cx, &place).await?;
        let generation = cx.tree(cx.site()?)?.generation(cx.service_name()?, &cx.point);
        let mut lines = Vec::new();
        for (index, path) in settings.paths.iter().enumerate() {
            let partial = format!("{}.partial-{}a/{index}", generation.display(), cx.attempt);
            let folder = previous.as_ref().and_then(|previous| previous.folder(path));
            let link_dest = folder.iter().map(|folder| path_arg(folder)).collect::<Result<_, _>>()?;
            let checksum = self.deep;
            let copy = Copy { checksum, link_dest, ..ability.copy(&settings, path, Path::new(&partial))? };
            lines.push(SafeText::line(&copy.command().to_string()));
        }
        let from = format!("{}.partial-{}a", generation.display(), cx.attempt);
        lines.push(SafeText::line(&format!("mv -T -- {from} {}", generation.display())));
        Ok(lines)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let settings: Settings = cx.settings()?;
        let place = settings.collected_at(cx)?;
        let ability = ability(cx, &place, &settings).await?;
        for path in &settings.paths {
            ensure_mounted(cx, &place, path, &settings, false).await?;
        }
        let previous = newest_generation(cx, &place).await?;
        let found = previous.map_or_else(
            || "this is the first generation: everything is copied".to_owned(),
            |previous| format!("what did not change is shared with generation {}", previous.point),
        );
        Ok(CheckReport::live().good(format!("rsync {} on {place}", ability.version)).good(found))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let settings: Settings = cx.settings()?;
        let site = cx.site()?;
        let place = settings.collected_at(cx)?;
        require_direction(cx, site).await?;
        let ability = ability(cx, &place, &settings).await?;
        for path in &settings.paths {
            ensure_mounted(cx, &place, path, &settings, false).await?;
        }
        let previous = newest_generation(cx, &place).await?;
        let version = format!("rsync {}", ability.version);
        let tree = cx.tree(site)?;
        let this = Collecting { cx, step: self, settings: &settings, place, tree, ability, previous };
        let generation = this.generation()?;
        let there = folders(cx, &this.place, &this.generations()?).await?;
        let warnings = if there.iter().any(|name| name == cx.point.as_str()) {
            cx.say(format!("{} is there already, whole", generation.display()));
            Vec::new()
        } else {
            this.make().await?
        };
        let counts = this.count().await?;
        let sum = |name: &str| counts.values().map(|measures| exactly(measures, name)).sum::<u64>();
        let (files, bytes) = (sum("files"), sum("bytes"));
        let folders = settings.paths.iter().enumerate().map(|(index, path)| Folder {
            name: index.to_string(),
            path: path.display().to_string(),
            item: item(path),
        });
        let service = cx.service_name()?;
        let relative = generation.strip_prefix(this.tree.root()).unwrap_or(&generation).display().to_string();
        let details = Generation { generation: relative, folders: folders.collect() };
        let part = Part {
            service: service.clone(),
            kind: "files".to_owned(),
            version,
            began: this.began().await?,
            ended: cx.clock.now(),
            artifacts: Vec::new(),
            counts,
            details: serde_json::to_value(details).map_err(|error| {
                Failure::new(FailureKind::Invalid, "write the part of a restore point", error.to_string())
            })?,
        };
        save_part(cx, site, &part).await?;
        cx.say(format!("{files} files, {}, in {}", ByteSize(bytes), generation.display()));
        let done = StepDone::new().capture("files", files).capture("bytes", bytes).capture("point", cx.point.as_str());
        Ok(warnings.iter().fold(done, StepDone::warn))
    }
}
