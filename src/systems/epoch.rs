//! The direction record of a site, as the steps that change something on its exchange tree read it first.

use super::StepContext;
use super::remote::get_json;
use crate::model::{Direction, DirectionRecord, Failure, FailureKind, SiteName};

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
    let path = cx.tree(site)?.direction_record();
    let tried = format!("check the direction {} in {} at {site}", cx.direction, path.display());
    let Some(record) = record else {
        return Err(Failure::new(FailureKind::Rule, tried, "the site has no direction record yet")
            .hint("run `exchange.prepare` at this site first; it writes the record at the very first run"));
    };
    agrees(&record, &cx.direction).map_err(|got| Failure::new(FailureKind::Rule, tried, got).hint(WRONG_DIRECTION))?;
    Ok(record)
}

/// What to do when a record says that another site is active.
pub const WRONG_DIRECTION: &str = "start the run in the direction that the record names, or turn the direction first; \
     a site that believes it is active but is not must be fenced before anything else";

/// Whether a record goes with a direction.
///
/// # Errors
/// A sentence that names both.
pub fn agrees(record: &DirectionRecord, direction: &Direction) -> Result<(), String> {
    if record.active == direction.source {
        return Ok(());
    }
    Err(format!("{} is active there ({}), not {}", record.active, describe(record), direction.source))
}

/// A record in words.
#[must_use]
pub fn describe(record: &DirectionRecord) -> String {
    format!("epoch {}, {} active since {}, by run {}", record.epoch, record.active, record.since, record.run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, RunId};

    #[test]
    fn only_the_source_may_be_active() {
        let name = |text: &str| SiteName::new(text).expect("a name");
        let record = DirectionRecord {
            epoch: Epoch(4),
            active: name("bcp"),
            since: "2026-03-01T02:03:04Z".parse().expect("a time"),
            run: RunId::new("r9").expect("a name"),
        };
        let direction = Direction { source: name("bcp"), target: name("prod") };
        assert_eq!(agrees(&record, &direction), Ok(()));
        let said = agrees(&record, &direction.reversed()).expect_err("the wrong way round");
        assert!(said.contains("epoch 4, bcp active") && said.contains("not prod"), "{said}");
    }
}
