//! `mysql.check`: can this site's server be dumped from, or loaded into?

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Access;
use super::census::Census;
use super::details::Source;
use super::findings::Findings;
use super::judge::{Scene, as_source};
use super::server::Server;
use super::target::{Waived, as_target, distinct};
use crate::model::{End, Failure, SafeText};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Looks at everything that is known to go wrong when databases are copied. At the source: reachable leader, databases
/// there, engines, privileges, programs. At the target also: writable, not the same server, collations, engines and
/// definers known. Changes nothing.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Accept a target of the other flavour (MySQL, MariaDB).
    #[serde(default)]
    allow_cross_flavour: bool,
    /// Accept views, routines, triggers and events whose definer has no account at the target.
    #[serde(default)]
    allow_missing_definers: bool,
}

impl Check {
    async fn look(&self, cx: &StepContext) -> Result<(Scene, Findings), Failure> {
        let scene = Scene::survey(cx).await?;
        let mut findings = Findings::default();
        scene.introduce(&mut findings);
        if cx.end == Some(End::Target) {
            let other = match other_end(cx).await {
                Ok(source) => Some(source),
                Err(failure) => {
                    findings.warn(format!("the source could not be asked, so the two were not compared: {failure}"));
                    None
                }
            };
            if let Some(source) = &other {
                distinct(source, &scene.server, &mut findings);
            }
            let waived =
                Waived { cross_flavour: self.allow_cross_flavour, missing_definers: self.allow_missing_definers };
            findings.append(as_target(cx, &scene, other.as_ref(), waived).await?);
        } else {
            findings.append(as_source(cx, &scene).await?);
        }
        Ok((scene, findings))
    }
}

/// What the source is like, seen from a step at the target.
async fn other_end(cx: &StepContext) -> Result<Source, Failure> {
    let access = Access::open(cx, cx.direction.site(End::Source)).await?;
    let server = Server::survey(cx, &access).await?;
    let census = Census::take(cx, &access, &access.databases()).await?;
    Ok(Source::of(&server, &census))
}

#[async_trait]
impl Step for Check {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let access = Access::open(cx, cx.site()?).await?;
        let mut lines = vec![SafeText::line(&format!("on {}:", access.describe()))];
        lines.extend(Server::statements().iter().map(|statement| SafeText::line(&statement.text)));
        lines.push(SafeText::line("SHOW GRANTS"));
        let databases = access.databases().join(", ");
        lines.push(SafeText::line(&format!("SELECT … FROM information_schema … WHERE table_schema IN ({databases})")));
        Ok(lines)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        Ok(self.look(cx).await?.1.report())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let (scene, findings) = self.look(cx).await?;
        for text in findings.fine() {
            cx.say(text);
        }
        if let Some(failure) = findings.failure(&format!("check {}", scene.access.describe())) {
            return Err(failure);
        }
        let data = scene.census.data();
        let done = StepDone::new()
            .capture("version", scene.server.version_text.as_str())
            .capture("flavour", scene.server.flavour.to_string())
            .capture("rows", scene.census.estimate())
            .capture("tables", scene.census.tables.len() as u64)
            .capture("estimated_bytes", data)
            .capture("estimated_dump_bytes", data / 2);
        Ok(findings.warned(done))
    }
}
