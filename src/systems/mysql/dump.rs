//! `mysql.dump`: one consistent, compressed, checksummed and counted dump of the databases into the restore point.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Access;
use super::census::{Census, Rows, TableKey, exactly, shown};
use super::clients::{Compressor, Toolbox, dump_pipeline, tally_pipeline};
use super::details::{Details, Source};
use super::dumpfile::{DumpFile, Order, partial, remove};
use super::findings::Findings;
use super::judge::{Scene, as_source};
use super::server::Server;
use super::tally::Tally;
use crate::model::{ByteSize, Failure, FailureKind, PointId, SafeText, ServiceName};
use crate::points::{Artifact, Counts, Measure, Part, Tree};
use crate::port::Command;
use crate::systems::remote::{change, ensure_space, get_json, path_arg, put_file, save_part};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Dumps the databases of the service into the restore point of the run, compressed, and counts what the dump holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// The compressor; the best that the host has when left out (zstd, pigz, gzip).
    #[serde(default)]
    compressor: Option<Compressor>,
    /// Count the source before and after the dump, as a cross-check of the dump's own count. Turn it off where counting
    /// takes too long.
    #[serde(default = "yes")]
    count_source: bool,
}

fn yes() -> bool {
    true
}

/// Where the dump of a point goes.
#[must_use]
pub fn dump_path(tree: &Tree, point: &PointId, service: &ServiceName, compressor: Compressor) -> PathBuf {
    tree.point(point).join(format!("{service}.sql.{}", compressor.extension()))
}

#[async_trait]
impl Step for Dump {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let access = Access::open(cx, cx.site()?).await?;
        let server = Server::survey(cx, &access).await?;
        let tools = Toolbox::look(cx, &access, server.flavour).await?;
        let compressor = tools.compressor(&access, self.compressor)?;
        let path = path_arg(&dump_path(&cx.tree(cx.site()?)?, &cx.point, cx.service_name()?, compressor))?;
        let partial = partial(&path, cx.attempt);
        let dump = dump_pipeline(&access, tools.dump(&access)?, compressor, &access.databases(), &partial);
        let mut lines = vec![format!("on {}:", access.place), dump.to_string()];
        lines.push(format!("sha256sum {partial}"));
        lines.push(tally_pipeline(compressor, &partial, &format!("{path}.counter.awk")).to_string());
        lines.push(format!("mv -f {partial} {path}"));
        if self.count_source {
            lines.push(format!("before and after, on {}: SELECT COUNT(*) FROM each table", access.describe()));
        }
        Ok(lines.iter().map(|line| SafeText::line(line)).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let scene = Scene::survey(cx).await?;
        let mut findings = Findings::default();
        scene.introduce(&mut findings);
        findings.append(as_source(cx, &scene).await?);
        if let Err(failure) = scene.tools.compressor(&scene.access, self.compressor) {
            findings.fail(failure.to_string(), "choose another `compressor`");
        }
        findings.good(format!("about {} to dump, before compression", ByteSize(scene.census.data())));
        Ok(findings.report())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let site = cx.site()?.clone();
        let scene = Scene::survey(cx).await?;
        let Scene { access, server, census, tools } = &scene;
        let findings = as_source(cx, &scene).await?;
        if let Some(failure) = findings.failure(&format!("dump {}", access.describe())) {
            return Err(failure);
        }
        let compressor = tools.compressor(access, self.compressor)?;
        let program = tools.dump(access)?;
        let tree = cx.tree(&site)?;
        let folder = tree.point(&cx.point);
        let path = dump_path(&tree, &cx.point, cx.service_name()?, compressor);
        let make_folder = Command::new("mkdir").args(["-p", "-m", "2775", &path_arg(&folder)?]);
        change(cx, &access.place, &make_folder.into()).await?;
        ensure_space(cx, &access.place, &folder, census.data() / 2).await?;
        let began_path = PathBuf::from(format!("{}.began-{}", path_arg(&path)?, cx.attempt));
        let began = began(cx, access, &began_path).await?;
        let before = self.count(cx, access, census).await?;
        cx.say(format!(
            "dumping {} from {} with {}",
            access.databases().join(", "),
            access.describe(),
            program.describe()
        ));
        let databases = access.databases();
        let order = Order { access, program, compressor, databases: &databases, label: "dump" };
        let dump = order.make(cx, &path).await?;
        let ended = cx.clock.now();
        let census_after = Census::take(cx, access, &databases).await?;
        let after = self.count(cx, access, &census_after).await?;
        let bounds = before.zip(after);
        let (rows, doubts) =
            rows_of(&dump.tally, &census_after, bounds.as_ref()).ok_or_else(|| uncountable(&path, &dump))?;
        let part = Part {
            service: cx.service_name()?.clone(),
            kind: "mysql".to_owned(),
            version: server.version_text.clone(),
            began,
            ended,
            artifacts: vec![Artifact { path: relative(&tree, &path)?, bytes: dump.bytes, sha256: dump.sha256.clone() }],
            counts: moving(&census.counts(&rows), census_after.counts(&rows)),
            details: serde_json::to_value(Details {
                source: Source::of(server, &census_after),
                compressor,
                program: program.describe(),
                sandbox_line: dump.tally.has_sandbox_line(),
            })
            .map_err(|error| Failure::new(FailureKind::Invalid, "write the details of the dump", error.to_string()))?,
        };
        save_part(cx, &site, &part).await?;
        change(cx, &access.place, &remove(&path_arg(&began_path)?)).await?;
        let done = StepDone::new()
            .capture("file", path_arg(&path)?)
            .capture("bytes", dump.bytes)
            .capture("rows", dump.tally.total())
            .capture("tables", dump.tally.rows.len() as u64);
        Ok(doubts.iter().fold(findings.warned(done), StepDone::warn))
    }
}

impl Dump {
    async fn count(&self, cx: &StepContext, access: &Access, census: &Census) -> Result<Option<Rows>, Failure> {
        if self.count_source { census.count(cx, access).await.map(Some) } else { Ok(None) }
    }
}

/// When this attempt began, also when it is entered again after a crash: the state in the dump is not older than that.
async fn began(cx: &StepContext, access: &Access, path: &Path) -> Result<jiff::Timestamp, Failure> {
    if let Some(began) = get_json(cx, &access.place, path).await? {
        return Ok(began);
    }
    let now = cx.clock.now();
    put_file(cx, &access.place, path, format!("\"{now}\"").as_bytes()).await?;
    Ok(now)
}

/// The path of a file below the tree.
pub fn relative(tree: &Tree, path: &Path) -> Result<String, Failure> {
    let inside = path.strip_prefix(tree.root()).ok().and_then(Path::to_str);
    inside.map(str::to_owned).ok_or_else(|| {
        Failure::new(
            FailureKind::Invalid,
            format!("keep {} in the restore point", path.display()),
            "it lies outside the tree",
        )
    })
}

fn uncountable(path: &Path, dump: &DumpFile) -> Failure {
    Failure::new(
        FailureKind::Refused,
        format!("count the rows of the dump {}", path.display()),
        format!("{} lines are of a form the counter does not know, and the source was not counted", dump.tally.odd),
    )
    .hint("set `count_source = true`, and report which version of the dump program this is")
}

/// The rows of each dumped table, and what does not fit together. The dump's own count is exact; where the counter did
/// not understand the dump, what was counted at the source before and after is used. Nothing when there is neither.
fn rows_of(
    tally: &Tally,
    census: &Census,
    bounds: Option<&(Rows, Rows)>,
) -> Option<(BTreeMap<TableKey, Measure>, Vec<String>)> {
    let elsewhere: Vec<&TableKey> =
        census.tables.iter().filter(|table| !table.is_dumped()).map(|table| &table.key).collect();
    let mut tallied = tally.rows.clone();
    tallied.retain(|key, _| !elsewhere.contains(&key));
    let Some((before, after)) = bounds else {
        return (tally.odd == 0).then(|| (exactly(&tallied), Vec::new()));
    };
    if tally.odd > 0 {
        let rows = before.iter().filter_map(|(key, before)| {
            after.get(key).map(|after| (key.clone(), Measure::before_and_after(*before, *after)))
        });
        let doubt = format!(
            "the counter did not understand {} lines of the dump: rows are those counted at the source before and after",
            tally.odd
        );
        return Some((rows.collect(), vec![doubt]));
    }
    let mut doubts = Vec::new();
    for (key, rows) in &tallied {
        if let (Some(before), Some(after)) = (before.get(key), after.get(key))
            && !(before.min(after)..=before.max(after)).contains(&rows)
        {
            doubts.push(format!(
                "table {}: the dump holds {rows} rows, but {before} were counted before it and {after} after it",
                shown(key)
            ));
        }
    }
    for key in before.keys().filter(|key| after.contains_key(*key) && !tallied.contains_key(*key)) {
        doubts.push(format!("table {} is not in the dump", shown(key)));
    }
    Some((exactly(&tallied), doubts))
}

/// Counts of objects before and after, as ranges where they moved; rows are the same in both.
fn moving(before: &Counts, mut after: Counts) -> Counts {
    for (item, measures) in &mut after {
        for (name, measure) in measures {
            let earlier = before.get(item).and_then(|measures| measures.get(name));
            if let (Some(Measure::Exactly(before)), Measure::Exactly(after)) = (earlier, &*measure) {
                *measure = Measure::before_and_after(*before, *after);
            }
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> TableKey {
        ("shop".to_owned(), name.to_owned())
    }

    fn rows(list: &[(&str, u64)]) -> Rows {
        list.iter().map(|(name, rows)| (key(name), *rows)).collect()
    }

    #[test]
    fn the_dump_s_own_count_is_exact_and_doubted_only_outside_what_was_counted() {
        let tally = Tally { rows: rows(&[("a", 5), ("b", 9)]), ..Tally::default() };
        let bounds = (rows(&[("a", 4), ("b", 7), ("c", 1)]), rows(&[("a", 6), ("b", 8), ("c", 1)]));
        let (counts, doubts) = rows_of(&tally, &Census::default(), Some(&bounds)).expect("counts");
        assert_eq!(counts, exactly(&tally.rows));
        assert_eq!(doubts.len(), 2);
        assert!(doubts[0].contains("shop.b") && doubts[0].contains("9 rows"));
        assert_eq!(doubts[1], "table shop.c is not in the dump");
    }

    #[test]
    fn a_dump_that_cannot_be_counted_falls_back_to_the_source_or_fails() {
        let tally = Tally { rows: rows(&[("a", 5)]), odd: 1, ..Tally::default() };
        assert_eq!(rows_of(&tally, &Census::default(), None), None);
        let bounds = (rows(&[("a", 4)]), rows(&[("a", 6)]));
        let (counts, doubts) = rows_of(&tally, &Census::default(), Some(&bounds)).expect("counts");
        assert_eq!(counts[&key("a")], Measure::Between { low: 4, high: 6 });
        assert_eq!(doubts.len(), 1);
    }

    #[test]
    fn objects_that_come_or_go_meanwhile_are_a_range() {
        let counts =
            |n| -> Counts { [("schema shop".to_owned(), [("views".to_owned(), Measure::Exactly(n))].into())].into() };
        assert_eq!(moving(&counts(2), counts(2)), counts(2));
        assert_eq!(moving(&counts(2), counts(3))["schema shop"]["views"], Measure::Between { low: 2, high: 3 });
    }
}
