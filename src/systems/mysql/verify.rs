//! `mysql.verify`: counts what is in the databases and compares it with a restore point.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Access;
use super::census::Census;
use super::details::Details;
use super::restore::{must_match, totals};
use crate::model::{Failure, PointId, SafeText};
use crate::systems::remote::load_part;
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Counts every table and every view, routine, trigger and event at the site, and compares with the restore point.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The restore point; that of the run when left out.
    #[serde(default)]
    point: Option<PointId>,
}

#[async_trait]
impl Step for Verify {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let access = Access::open(cx, cx.site()?).await?;
        let point = self.point.as_ref().unwrap_or(&cx.point);
        let part = cx.tree(cx.site()?)?.part(point, cx.service_name()?);
        Ok(vec![
            SafeText::line(&format!("read {}", part.display())),
            SafeText::line(&format!("on {}:", access.describe())),
            SafeText::line("SELECT COUNT(*) FROM each table"),
            SafeText::line("count views, sequences, routines, triggers and events in information_schema"),
        ])
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let access = Access::open(cx, cx.site()?).await?;
        let census = Census::take(cx, &access, &access.databases()).await?;
        Ok(CheckReport::live().good(format!("about {} rows to count at {}", census.estimate(), access.describe())))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let site = cx.site()?;
        let access = Access::open(cx, site).await?;
        let point = self.point.as_ref().unwrap_or(&cx.point);
        let part = load_part(cx, site, point, cx.service_name()?).await?;
        let details = Details::of(&part)?;
        let databases: Vec<&str> = details.source.databases.iter().map(String::as_str).collect();
        let found = Census::found(cx, &access, &databases).await?;
        must_match(&access, &part.counts, &found)?;
        let (rows, tables) = totals(&found);
        cx.say(format!("{tables} tables with {rows} rows, as in point {point}"));
        Ok(StepDone::new().capture("rows", rows).capture("tables", tables))
    }
}
