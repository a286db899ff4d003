//! The lights of an exchange tree: mounted, writable, room, the last complete restore point with its age, and who changes
//! the site.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::looks::At;
use super::prepare::Prepare;
use crate::model::{
    ByteSize, Counted, DirectionRecord, End, Failure, FailureKind, Lease, PointId, SafeText, Sighting, Span,
};
use crate::points::point_time;
use crate::port::{Command, Pipeline};
use crate::systems::epoch::read_record;
use crate::systems::held::{PointSeen, newest_complete};
use crate::systems::lease::sighting;
use crate::systems::probe::behind;
use crate::systems::remote::{DF_SECONDS, Disks, Space, disks};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// The figure that says how old the last complete point is.
pub const LAST_POINT: &str = "age of the last complete point";

/// The question about restore points.
pub const POINTS: &str = "points";

/// The questions every site's exchange tree is asked.
#[must_use]
pub fn probes() -> Vec<ProbeEntry> {
    vec![ProbeEntry::new("mount", Mount).every(30).within(12), ProbeEntry::new(POINTS, Points).every(30).within(12)]
}

/// Looks at the disk first, which never hangs; a host that does not answer says nothing of the tree.
async fn space(cx: &StepContext, at: &At) -> Result<Option<Space>, Failure> {
    let exchange = at.tree.exchange().display().to_string();
    match disks(cx, &at.place, &[exchange]).await {
        Ok(Disks::Seen(spaces)) => Ok(spaces.first().copied()),
        Ok(Disks::Stalled) => Ok(None),
        Err(failure) => Err(behind(cx, &at.place, failure).await),
    }
}

fn stalled(at: &At) -> Reading {
    let mut reading = Reading::up(source(at)).summed_up("no answer");
    reading.find(Condition::Down, format!("the share does not answer on {} within {DF_SECONDS}s", at.place));
    reading
}

fn source(at: &At) -> String {
    format!("{} on {}", at.tree.exchange().display(), at.place)
}

/// Mounted, writable, room.
#[derive(Debug)]
struct Mount;

#[async_trait]
impl Probe for Mount {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let at = At::new(cx, cx.site()?)?;
        let Some(space) = space(cx, &at).await? else { return Ok(stalled(&at)) };
        let mut reading = Reading::up(source(&at));
        // A rule that is broken is a finding; a look that failed is none.
        match Prepare::ensure_mount(cx, &at).await {
            Ok(()) => {}
            Err(failure) if failure.kind == FailureKind::Rule => reading.find(Condition::Down, failure.got.as_str()),
            Err(failure) => return Err(behind(cx, &at.place, failure).await),
        }
        // `test -w` asks the kernel, which knows of read-only mounts, and writes nothing.
        let exchange = at.tree.exchange().display().to_string();
        let writable = Pipeline::from(Command::new("test").args(["-w", &exchange]));
        let tried = format!("run {writable}");
        match cx.reach.exec(&at.place, &writable, Duration::from_secs(10)).await {
            Ok(output) if output.is_success() => {}
            Ok(_) => reading.find(Condition::Down, "it cannot be written to"),
            Err(error) => return Err(behind(cx, &at.place, error.while_reading(tried)).await),
        }
        if let Some(problem) = space.problem(cx.estate.policy.min_free_percent.unwrap_or(10)) {
            reading.find(Condition::Degraded, format!("its disk {problem}"));
        }
        let used = Figure::share("used", space.size.saturating_sub(space.free), space.size);
        let free = Figure::whole("free", space.free, Unit::Bytes);
        let state = if reading.condition == Condition::Down { "not usable" } else { "mounted, writable" };
        let summary = format!("{state}, {:.0} % used, {} free", used.value, ByteSize(space.free));
        Ok(reading.figure(used).figure(free).summed_up(summary))
    }
}

/// The restore points of the direction, what the site believes of the direction, and who holds its lease.
#[derive(Debug)]
struct Points;

#[async_trait]
impl Probe for Points {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let at = At::new(cx, cx.site()?)?;
        if space(cx, &at).await?.is_none() {
            return Ok(stalled(&at));
        }
        let site = cx.site()?;
        let looks =
            async { Ok::<_, Failure>((at.points(cx).await?, read_record(cx, site).await?, sighting(cx, site).await)) };
        let (points, record, seen) = match looks.await {
            Ok(looks) => looks,
            Err(failure) => return Err(behind(cx, &at.place, failure).await),
        };
        let rpo = cx.estate.objectives.rpo;
        let holder = seen.as_ref().ok().and_then(Option::as_ref).and_then(Sighting::holder);
        let mut reading = judge(&points, record.as_ref(), holder, cx.end, cx.clock.now(), rpo);
        if let Err(failure) = &seen {
            // No run could change anything here, and it is no reason to hide the points.
            reading.find(Condition::Degraded, format!("its leases cannot be read: {}", failure.got));
        }
        Ok(Reading { source: SafeText::line(&source(&at)), ..reading })
    }
}

fn judge(
    points: &[PointSeen],
    record: Option<&DirectionRecord>,
    holder: Option<&Lease>,
    end: Option<End>,
    now: Timestamp,
    rpo: Option<Span>,
) -> Reading {
    let mut reading = Reading::up("");
    let newest = newest_complete(points);
    let mut words = Vec::new();
    match newest.map(|point| (point, age(point, now))) {
        Some((_, Some(age))) => {
            words.push(format!("last complete point {age} ago"));
            reading = reading.figure(Figure::new(LAST_POINT, age.0.as_secs_f64(), Unit::Seconds));
            if let Some(rpo) = rpo.filter(|rpo| age > *rpo)
                && end == Some(End::Target)
            {
                reading
                    .find(Condition::Degraded, format!("the last complete point is {age} old, and {rpo} is promised"));
            }
        }
        Some((point, None)) => words.push(format!("last complete point {point}, of unknown age")),
        None => {
            words.push("no complete point".to_owned());
            if end == Some(End::Target) {
                reading.find(Condition::Degraded, "there is no complete restore point: this site cannot take over");
            }
        }
    }
    let complete = points.iter().filter(|point| point.complete).count();
    words.push(format!("{complete} of {} complete", Counted::of(points.len(), "point", "points")));
    match record {
        Some(record) => words.push(format!("epoch {}, {} active", record.epoch, record.active)),
        None => words.push("no direction record yet".to_owned()),
    }
    words.extend(holder.map(|lease| format!("leased to run {} of {}", lease.run, lease.by)));
    reading.figure(Figure::whole("complete points", complete as u64, Unit::Count)).summed_up(words.join(", "))
}

/// How long ago the run of a point began: what happened since then is not in it.
fn age(point: &PointId, now: Timestamp) -> Option<Span> {
    let age = now.duration_since(point_time(point)?);
    // Made by a machine whose clock is ahead: as young as can be.
    Some(Span(Duration::from_secs(u64::try_from(age.as_secs()).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConsoleId, RunId};
    use crate::port::ReachErrorKind;
    use crate::port::fake::Answer;
    use crate::systems::fake::Bench;

    fn point(id: &str, complete: bool) -> PointSeen {
        PointSeen { id: PointId::new(id).expect("a name"), complete, pinned: false, changed: 0 }
    }

    #[test]
    fn the_last_complete_point_decides() {
        let now: Timestamp = "2026-03-01T02:30:00Z".parse().expect("a time");
        let rpo = Some(Span::seconds(900));
        let (old, new) = ("p-20260301-020000-0001", "p-20260301-022600-0002");
        for (points, end, condition, summary) in [
            (vec![point(old, true), point(new, true)], End::Target, Condition::Up, "last complete point 4m ago"),
            (
                vec![point(old, true), point(new, false)],
                End::Target,
                Condition::Degraded,
                "last complete point 30m ago",
            ),
            (vec![point(old, true), point(new, false)], End::Source, Condition::Up, "last complete point 30m ago"),
            (vec![point(new, false)], End::Target, Condition::Degraded, "no complete point, 0 of 1"),
            (vec![], End::Source, Condition::Up, "no complete point"),
            (vec![point("p-kept", true)], End::Target, Condition::Up, "p-kept, of unknown age"),
            (vec![point("p-20260301-030000-0001", true)], End::Target, Condition::Up, "point 0s ago"),
        ] {
            let reading = judge(&points, None, None, Some(end), now, rpo);
            assert_eq!(reading.condition, condition, "{points:?} {end}");
            assert!(reading.summary.as_str().contains(summary), "{} does not say {summary}", reading.summary);
            assert_eq!(reading.findings.is_empty(), condition == Condition::Up);
        }
    }

    /// Looks at a tree whose host falls silent at one question, and asks that host once more with `true`.
    async fn silent_at(question: &str, host: Answer) -> Failure {
        let bench = Bench::new("");
        bench.reach.always(question, Answer::error(ReachErrorKind::Unreachable, "no connection within 6s"));
        bench.reach.always("$ true", host);
        bench.reach.always("df -P", Answer::stdout("Filesystem\n/dev/vda 1000 100 900 10% /\n"));
        bench.reach.always("$ test", Answer::stdout("")).always("$ mountpoint", Answer::stdout(""));
        Mount.look(&bench.cx).await.expect_err(question)
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_a_silent_host_was_asked_nothing_is_known_of_its_tree() {
        for question in ["df -P", "$ test -d", "$ mountpoint", "$ test -w"] {
            let gone = silent_at(question, Answer::error(ReachErrorKind::Unreachable, "no connection within 2s")).await;
            assert!(gone.is_unknown() && gone.got.as_str().contains("does not answer"), "{question}: {gone}");
            let there = silent_at(question, Answer::stdout("")).await;
            assert_eq!(there.kind, FailureKind::Unreachable, "the host is there: {there}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_tree_behind_a_host_that_lets_nobody_in_nothing_is_known() {
        let changed = || Answer::error(ReachErrorKind::Denied, "its host key is another one than before");
        let bench = Bench::new("");
        bench.reach.always("df -P", changed()).always("$ true", changed());
        let nobody = Mount.look(&bench.cx).await.expect_err("no way in");
        assert!(nobody.is_unknown() && nobody.got.as_str().contains("cannot be asked"), "{nobody}");
        // The host is there, and it is the folder that is not.
        let bench = Bench::new("");
        bench.reach.always("df -P", Answer::exec(&[1], "", "df: /mnt/exchange: No such file or directory"));
        bench.reach.always("$ true", Answer::stdout(""));
        assert_eq!(Mount.look(&bench.cx).await.expect_err("no folder").kind, FailureKind::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_cannot_be_read_hide_no_points() {
        let bench = Bench::new("");
        bench.reach.always("df -P", Answer::stdout("Filesystem\n/dev/vda 1000 100 900 10% /\n"));
        bench.reach.always("-name COMPLETE", Answer::stdout("p-20260301-015900-0001/COMPLETE\0"));
        bench.reach.always("/points", Answer::stdout("1.5 p-20260301-015900-0001\0"));
        bench.reach.always("direction.json", Answer::exec(&[1], "", "cat: No such file or directory"));
        bench.reach.always("/leases", Answer::exec(&[1], "", "find: '/mnt/exchange/leases/prod': Permission denied"));
        let reading = Points.look(&bench.cx).await.expect("a reading");
        assert_eq!(reading.condition, Condition::Degraded);
        assert!(reading.findings[0].as_str().contains("Permission denied"), "{reading:?}");
        assert!(reading.summary.as_str().contains("1 of 1 point complete"), "{}", reading.summary);
    }

    #[test]
    fn who_changes_the_site_is_said() {
        let lease = Lease {
            run: RunId::new("r2").expect("a name"),
            session: 1,
            console: ConsoleId::new("there").expect("a name"),
            by: "ops@laptop".into(),
            since: Timestamp::UNIX_EPOCH,
        };
        let reading = judge(&[], None, Some(&lease), Some(End::Source), Timestamp::UNIX_EPOCH, None);
        assert_eq!(reading.condition, Condition::Up, "that is no defect");
        assert!(reading.summary.as_str().ends_with(", leased to run r2 of ops@laptop"), "{}", reading.summary);
    }
}
