//! The direction record of a site, as the steps that change something on its exchange tree read it first.

use super::StepContext;
use super::remote::get_json;
use crate::guard::judge_direction;
use crate::model::{DirectionRecord, Failure, SiteName};

/// Reads what `site` believes about the direction; nothing when it has no record yet.
///
/// # Errors
/// When the site cannot be asked, or the record is damaged.
pub async fn read_record(cx: &StepContext, site: &SiteName) -> Result<Option<DirectionRecord>, Failure> {
    get_json(cx, &cx.exchange_place(site)?, &cx.tree(site)?.direction_record()).await
}

/// Reads the record of `site` and fails unless it says that the source of this run's direction is active.
///
/// # Errors
/// `Rule` when there is no record, or when it names another site as active; as [`read_record`] otherwise.
pub async fn require_direction(cx: &StepContext, site: &SiteName) -> Result<DirectionRecord, Failure> {
    let record = read_record(cx, site).await?;
    judge_direction(site, record.as_ref(), &cx.direction, None).cloned()
}

/// A record in words.
#[must_use]
pub fn describe(record: &DirectionRecord) -> String {
    format!("epoch {}, {} active since {}, by run {}", record.epoch, record.active, record.since, record.run)
}
