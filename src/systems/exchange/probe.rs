//! The lights of an exchange tree: mounted on every host of the site, writable, room, the last complete restore point with
//! its age, and who changes the site. One host that cannot be asked hides none of it.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;

use super::looks::At;
use super::mount::{Folder, Other, Patience, Sight, sight, stalled};
use crate::model::{
    ByteSize, Counted, DirectionRecord, End, Failure, HostName, Lease, PointId, SafeText, Sighting, SiteName, Span,
};
use crate::points::{Tree, point_time};
use crate::port::Place;
use crate::systems::epoch::read_record;
use crate::systems::held::{PointSeen, newest_complete};
use crate::systems::lease::sighting;
use crate::systems::probe::behind;
use crate::systems::remote::{DF_SECONDS, Disk, Disks, disks, path_arg};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// The figure that says how old the last complete point is.
pub const LAST_POINT: &str = "age of the last complete point";

/// The question about restore points.
pub const POINTS: &str = "points";

/// How long a share may take to answer, and its host.
const PATIENCE: Patience = Patience { share: DF_SECONDS, host: Duration::from_secs(6) };
/// After this time without an answer the other hosts are asked too.
const SOON: Duration = Duration::from_secs(2);

/// The questions every site's exchange tree is asked.
#[must_use]
pub fn probes() -> Vec<ProbeEntry> {
    vec![ProbeEntry::new("mount", Mount).every(30).within(15), ProbeEntry::new(POINTS, Points).every(30).within(15)]
}

/// The hosts of a site, the one through which runs reach the tree first.
fn places(cx: &StepContext, site: &SiteName) -> Result<Vec<Place>, Failure> {
    let first = cx.exchange_place(site)?;
    let all = cx.estate.hosts_with_role(site, None).map(|(host, _)| Place::Host(site.clone(), host.clone()));
    let others: Vec<Place> = all.filter(|place| *place != first).collect();
    Ok([first].into_iter().chain(others).collect())
}

fn host_of(place: &Place) -> Option<HostName> {
    match place {
        Place::Host(_, host) => Some(host.clone()),
        Place::Console => None,
    }
}

/// What a host shows; of a host that does not answer nothing is known.
async fn look_at(cx: &StepContext, place: &Place, tree: &Tree) -> Result<Sight, Failure> {
    match sight(cx, place, tree, PATIENCE).await {
        Ok(sight) => Ok(sight),
        Err(failure) => Err(behind(cx, place, failure).await),
    }
}

fn source(tree: &Tree, place: &Place) -> String {
    format!("{} on {place}", tree.exchange().display())
}

/// Mounted, writable, room.
#[derive(Debug)]
struct Mount;

#[async_trait]
impl Probe for Mount {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let site = cx.site()?;
        let (tree, places) = (cx.tree(site)?, places(cx, site)?);
        let looks = join_all(places.iter().map(async |place| (place, look_at(cx, place, &tree).await))).await;
        let mut reading = Reading::up(source(&tree, &places[0]));
        let (mounted, hosts) = together(&mut reading, looks, cx.clock.now())?;
        let Some((place, _)) = mounted.first() else { return Ok(reading.summed_up("not usable")) };
        reading.source = SafeText::line(&source(&tree, place));
        let mut words = vec![match mounted.len() {
            all if all == hosts => "mounted".to_owned(),
            some => format!("mounted on {some} of {hosts} hosts"),
        }];
        words.push(if reading.condition == Condition::Down { "not writable" } else { "writable" }.to_owned());
        match disks(cx, place, &[path_arg(tree.exchange())?]).await {
            Ok(Disks::Seen(spaces)) => {
                for Disk { space, .. } in spaces {
                    if let Some(problem) = space.problem(cx.estate.policy.min_free_percent.unwrap_or(10)) {
                        reading.find(Condition::Degraded, format!("its disk {problem}"));
                    }
                    let used = Figure::share("used", space.size.saturating_sub(space.free), space.size);
                    words.push(format!("{:.0} % used", used.value));
                    words.push(format!("{} free", ByteSize(space.free)));
                    reading = reading.figure(used).figure(Figure::whole("free", space.free, Unit::Bytes));
                }
            }
            // It has answered a moment ago.
            Ok(Disks::Stalled) => return Err(stalled(place, &tree, PATIENCE)),
            Err(failure) => return Err(behind(cx, place, failure).await),
        }
        Ok(reading.summed_up(words.join(", ")))
    }
}

/// Hosts with the tree as each shows it.
type Mounted<'a> = Vec<(&'a Place, Folder)>;

/// What the hosts of a site show together: finds what is wrong, and returns those that have the tree, in their order, and
/// how many should. A host without the folder is none of them, unless runs go through it: where there is no folder to mount
/// upon, as on a balancer, the share is not meant to be, and nothing can be written in its place.
///
/// # Errors
/// When no host has it, and one cannot be asked: it may have it. When none can tell.
fn together<'a>(
    reading: &mut Reading,
    looks: Vec<(&'a Place, Result<Sight, Failure>)>,
    now: Timestamp,
) -> Result<(Mounted<'a>, usize), Failure> {
    let mut hosts = looks.len();
    let alone = hosts == 1;
    let (mut mounted, mut wrong, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let mut anyone_told = false;
    for (number, (place, look)) in looks.into_iter().enumerate() {
        let named = match number {
            0 if !alone => format!("{place}, through which runs reach it,"),
            _ => place.to_string(),
        };
        match look {
            Ok(Sight::Tree(folder)) => mounted.push((place, folder)),
            Ok(Sight::Other(Other::Missing)) if number > 0 => {
                anyone_told = true;
                hosts -= 1;
            }
            Ok(Sight::Other(other)) => {
                anyone_told = true;
                wrong.push(format!("on {named} {}", other.got()));
            }
            Ok(Sight::Stalled) => {
                anyone_told = true;
                wrong.push(format!("the share does not answer on {named} within {DF_SECONDS}s"));
            }
            Err(failure) => {
                wrong.push(format!("{named} cannot tell whether it is mounted there: {}", failure.got));
                failures.push(failure);
            }
        }
    }
    if mounted.is_empty()
        && let Some(failure) = failures.iter().position(Failure::is_unknown).or((!anyone_told).then_some(0))
    {
        return Err(failures.swap_remove(failure));
    }
    let bad = if mounted.is_empty() { Condition::Down } else { Condition::Degraded };
    for finding in wrong {
        reading.find(bad, finding);
    }
    let locked: Vec<&Place> = mounted.iter().filter(|(_, folder)| !folder.writable).map(|(place, _)| *place).collect();
    if !locked.is_empty() && locked.len() == mounted.len() {
        reading.find(Condition::Down, "it cannot be written to");
    } else {
        for place in locked {
            reading.find(Condition::Degraded, format!("it cannot be written to on {place}"));
        }
    }
    if let Some(((first, has), rest)) = mounted.split_first() {
        for (place, _) in rest.iter().filter(|(_, folder)| folder.differs(has, now)) {
            let finding = format!("{first} and {place} do not show the same tree: is one share mounted on both?");
            reading.find(Condition::Degraded, finding);
        }
    }
    Ok((mounted, hosts))
}

/// The look as one goes through a host that has the tree: through the one that runs take when it answers soon.
///
/// # Errors
/// When no host has it, or none can be asked.
async fn through_a_host(cx: &StepContext, site: &SiteName) -> Result<StepContext, Failure> {
    let (tree, places) = (cx.tree(site)?, places(cx, site)?);
    let (tree, places) = (&tree, &places);
    let open = |number: usize| async move {
        let place = &places[number];
        let opened = match look_at(cx, place, tree).await {
            Ok(Sight::Tree(_)) => Ok(()),
            Ok(Sight::Other(other)) => Err(other.failure(place, tree)),
            Ok(Sight::Stalled) => Err(stalled(place, tree, PATIENCE)),
            Err(failure) => Err(failure),
        };
        (number, opened)
    };
    let mut asked = FuturesUnordered::new();
    asked.push(open(0));
    let mut failures = Vec::new();
    let mut others = (1..places.len()).peekable();
    loop {
        let answer = if others.peek().is_some() && failures.is_empty() {
            tokio::time::timeout(SOON, asked.next()).await
        } else {
            Ok(asked.next().await)
        };
        match answer {
            Ok(Some((number, Ok(())))) => {
                let host = host_of(&places[number]);
                return Ok(StepContext { host, ..cx.clone() });
            }
            Ok(Some((number, Err(failure)))) => failures.push((number, failure)),
            // All were asked, and none has it.
            Ok(None) if others.peek().is_none() => break,
            Ok(None) | Err(_) => {}
        }
        for number in others.by_ref() {
            asked.push(open(number));
        }
    }
    failures.sort_by_key(|(number, failure)| (!failure.is_unknown(), *number));
    Err(failures.swap_remove(0).1)
}

/// The restore points of the direction, what the site believes of the direction, and who holds its lease.
#[derive(Debug)]
struct Points;

#[async_trait]
impl Probe for Points {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let site = cx.site()?;
        let cx = &through_a_host(cx, site).await?;
        let at = At::new(cx, site)?;
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
        Ok(Reading { source: SafeText::line(&source(&at.tree, &at.place)), ..reading })
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
    use super::super::mount::shown;
    use super::*;
    use crate::model::{ConsoleId, FailureKind, RunId};
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

    const BARE: &str = "w 7.5 4096 /mnt/exchange/\0";
    const MARKED: &str = "w 7.5 4096 /mnt/exchange/\0w 9.5 0 /mnt/exchange/.changeover-exchange\0";
    const DF: &str = "1B-blocks Avail Inodes IFree Filesystem Mounted on\n1000 900 0 0 /dev/vda /\n";

    fn silence() -> Answer {
        Answer::error(ReachErrorKind::Unreachable, "no connection within 2s")
    }

    /// Looks at a tree whose hosts fall silent at one question, and asks them once more with `true`.
    async fn silent_at(question: &str, host: Answer) -> Failure {
        let bench = Bench::new("");
        bench.reach.always(question, silence());
        bench.reach.always("$ true", host);
        bench.reach.always("-writable", Answer::stdout(BARE));
        bench.reach.always("mountpoint", Answer::stdout("")).always("df -B1", Answer::stdout(DF));
        Mount.look(&bench.cx).await.expect_err(question)
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_silent_hosts_were_asked_nothing_is_known_of_the_tree() {
        for question in ["-writable", "mountpoint", "df -B1"] {
            let gone = silent_at(question, silence()).await;
            assert!(gone.is_unknown() && gone.got.as_str().contains("does not answer"), "{question}: {gone}");
            let there = silent_at(question, Answer::stdout("")).await;
            assert_eq!(there.kind, FailureKind::Unreachable, "the hosts are there: {there}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_tree_behind_hosts_that_let_nobody_in_nothing_is_known() {
        let changed = || Answer::error(ReachErrorKind::Denied, "its host key is another one than before");
        let bench = Bench::new("");
        bench.reach.always("-writable", changed()).always("$ true", changed());
        let nobody = Mount.look(&bench.cx).await.expect_err("no way in");
        assert!(nobody.is_unknown() && nobody.got.as_str().contains("cannot be asked"), "{nobody}");
        // The hosts are there, and it is the share that is not well.
        let bench = Bench::new("");
        bench.reach.always("-writable", Answer::exec(&[1], "", "find: '/mnt/exchange/': Stale file handle"));
        bench.reach.always("$ true", Answer::stdout(""));
        let stale = Mount.look(&bench.cx).await.expect_err("a stale share");
        assert!(stale.kind == FailureKind::Refused && stale.got.as_str().contains("Stale"), "{stale}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_answer_hides_nothing_that_another_one_shows() {
        for (answer, longest) in [(silence(), 1), (Answer::Hang, 3)] {
            let bench = Bench::new("");
            bench.reach.always("prod:app1 $", answer.clone());
            bench.reach.always("-writable", Answer::stdout(MARKED)).always("df -B1", Answer::stdout(DF));
            bench.reach.always("-name COMPLETE", Answer::stdout("p-20260301-015900-0001/COMPLETE\0"));
            bench.reach.always("/points", Answer::stdout("1.5 p-20260301-015900-0001\0"));
            bench.reach.always("direction.json", Answer::exec(&[1], "", "cat: No such file or directory"));
            bench.reach.always("/leases", Answer::exec(&[1], "", "find: No such file or directory"));
            let began = tokio::time::Instant::now();
            let points = Points.look(&bench.cx).await.expect("a reading");
            assert!(began.elapsed() < Duration::from_secs(longest), "{:?}", began.elapsed());
            assert!(points.summary.as_str().contains("1 of 1 point complete"), "{points:?}");
            assert_eq!(points.source.as_str(), "/mnt/exchange on prod:app2");
            if matches!(answer, Answer::Hang) {
                // The world itself would give it up; the scripted one does not.
                continue;
            }
            let mount = Mount.look(&bench.cx).await.expect("a reading");
            assert_eq!(mount.condition, Condition::Degraded);
            let found = mount.findings[0].as_str();
            assert!(found.starts_with("prod:app1, through which runs reach it, cannot tell whether"), "{found}");
            assert_eq!(mount.summary.as_str(), "mounted on 1 of 2 hosts, writable, 10 % used, 900 B free");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn points_are_not_read_where_the_share_is_not_mounted() {
        let bench = Bench::new("");
        bench.reach.always("prod:app1 $", Answer::exec(&[1], "", "find: '/mnt/exchange/': No such file or directory"));
        bench.reach.always("prod:app2 $", Answer::exec(&[1], "", "find: '/mnt/exchange/': No such file or directory"));
        let failure = Points.look(&bench.cx).await.expect_err("nothing to read");
        assert_eq!((failure.kind, failure.got.as_str()), (FailureKind::Rule, "there is no such folder"));
    }

    #[test]
    fn what_the_hosts_of_a_site_show_is_seen_together() {
        let place =
            |host: &str| Place::Host(crate::systems::fake::site("prod"), HostName::new(host).expect("a host name"));
        let places = [place("app1"), place("app2"), place("app3")];
        let tree = |records: &str| Ok(shown(records, "/x/"));
        let (good, locked) = ("w 7.5 9 /x/\0w 9.5 0 /x/direction.json\0", "- 7.5 9 /x/\0- 9.5 0 /x/direction.json\0");
        let old = "w 7.5 9 /x/\0w 8.5 0 /x/direction.json\0";
        let missing = || Ok(Sight::Other(Other::Missing));
        let fails = |kind| Err(Failure::new(kind, "look", "no way"));
        let runs = ", through which runs reach it,";
        for (looks, mounted, condition, said) in [
            (vec![tree(good), tree(good), tree(good)], 3, Condition::Up, String::new()),
            (vec![tree(good), missing(), tree(good)], 2, Condition::Up, String::new()),
            (vec![missing(), tree(good)], 1, Condition::Degraded, format!("on prod:app1{runs} there is no")),
            (
                vec![tree(good), Ok(Sight::Other(Other::Unmarked))],
                1,
                Condition::Degraded,
                "on prod:app2 it is neither a mount point nor marked".into(),
            ),
            (
                vec![tree(good), Ok(Sight::Stalled)],
                1,
                Condition::Degraded,
                "does not answer on prod:app2 within".into(),
            ),
            (vec![tree(good), fails(FailureKind::Unknown)], 1, Condition::Degraded, "prod:app2 cannot tell".into()),
            (vec![tree(good), fails(FailureKind::Refused)], 1, Condition::Degraded, "prod:app2 cannot tell".into()),
            (vec![tree(good), tree(locked)], 2, Condition::Degraded, "it cannot be written to on prod:app2".into()),
            (vec![tree(locked), tree(locked)], 2, Condition::Down, "it cannot be written to".into()),
            (
                vec![tree(good), tree(good), tree(old)],
                3,
                Condition::Degraded,
                "prod:app1 and prod:app3 do not show the same tree".into(),
            ),
            (vec![missing()], 0, Condition::Down, "on prod:app1 there is no such folder".into()),
            (vec![missing(), Ok(Sight::Stalled)], 0, Condition::Down, format!("on prod:app1{runs} there is no")),
            (vec![missing(), fails(FailureKind::Refused)], 0, Condition::Down, format!("on prod:app1{runs} there is")),
        ] {
            let mut reading = Reading::up("");
            let told = format!("{looks:?}");
            let absent = looks.iter().skip(1).filter(|look| matches!(look, Ok(Sight::Other(Other::Missing)))).count();
            let expected = looks.len() - absent;
            let (seen, hosts) =
                together(&mut reading, places.iter().zip(looks).collect(), Timestamp::MAX).expect(&told);
            assert_eq!(hosts, expected, "{told}");
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert_eq!((seen.len(), reading.condition), (mounted, condition), "{told}: {found}");
            assert!(found.contains(&said) && found.is_empty() == said.is_empty(), "{found} does not say {said}");
        }
        // One that cannot be asked may have it.
        let looks = [missing(), fails(FailureKind::Unknown), fails(FailureKind::Refused)];
        let failure = together(&mut Reading::up(""), places.iter().zip(looks).collect(), Timestamp::MAX);
        assert!(failure.expect_err("not known").is_unknown());
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_cannot_be_read_hide_no_points() {
        let bench = Bench::new("");
        bench.reach.always("-writable", Answer::stdout(MARKED));
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
