//! The direction epoch: every step that changes something is refused at a site whose record disagrees with the run.

use crate::model::{Direction, DirectionRecord, Failure, FailureKind, SiteName};

/// Decides whether a changing step may act at `site`, whose direction record is `record`.
///
/// `epoch` is the epoch that the run saw when it began, if it matters. Returns the record, which agrees then.
///
/// # Errors
/// `Rule` when there is no record, when another site is active there, or when the epoch is not the run's.
pub fn judge_direction<'a>(
    site: &SiteName,
    record: Option<&'a DirectionRecord>,
    direction: &Direction,
    epoch: Option<u64>,
) -> Result<&'a DirectionRecord, Failure> {
    let tried = format!("make sure that {site} agrees to {direction}");
    let Some(record) = record else {
        return Err(Failure::new(FailureKind::Rule, tried, "it has no direction record").hint(
            "the step `exchange.prepare` writes it on both sites; a runbook that changes anything begins with it",
        ));
    };
    if record.active != direction.source {
        return Err(Failure::new(
            FailureKind::Rule,
            tried,
            format!(
                "its direction record says that {} is active since {} (epoch {})",
                record.active, record.since, record.epoch
            ),
        )
        .hint(format!(
            "this run goes the wrong way round; if {} really is active, turn the direction first; a site that believes \
             it is active but is not must be fenced before anything else",
            direction.source
        )));
    }
    match epoch {
        Some(epoch) if epoch != record.epoch.0 => Err(Failure::new(
            FailureKind::Rule,
            tried,
            format!("the epoch there is {}, but this run began in epoch {epoch}", record.epoch),
        )
        .hint("the direction was turned while this run was under way; start a new run")),
        _ => Ok(record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, RunId};

    #[test]
    fn only_the_same_direction_and_epoch_may_change_anything() {
        let site = |name: &str| SiteName::new(name).expect("a name");
        let direction = Direction { source: site("prod"), target: site("bcp") };
        let record = |active: &str, epoch| DirectionRecord {
            epoch: Epoch(epoch),
            active: site(active),
            since: jiff::Timestamp::UNIX_EPOCH,
            run: RunId::new("r1").expect("a name"),
        };
        let judge = |record: Option<DirectionRecord>, epoch| {
            judge_direction(&site("bcp"), record.as_ref(), &direction, epoch).map(drop)
        };
        assert!(judge(Some(record("prod", 3)), Some(3)).is_ok());
        assert!(judge(Some(record("prod", 3)), None).is_ok());
        for (record, epoch) in [
            (None, Some(3)),
            (Some(record("bcp", 3)), Some(3)),
            (Some(record("prod", 4)), Some(3)),
            (Some(record("prod", 2)), Some(3)),
        ] {
            let failure = judge(record, epoch).expect_err("must be refused");
            assert_eq!(failure.kind, FailureKind::Rule);
        }
    }
}
