//! The lights of a host: it can be reached, how busy it is, how far its clock is from this machine's, room on its disks. The
//! disks of what is copied have lights of their own: those of the files, of the search nodes and of the exchange tree.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{ByteSize, Counted, Failure, FailureKind, Span};
use crate::port::{Command, Pipeline, Place};
use crate::systems::probe::behind;
use crate::systems::remote::{self, DF_SECONDS, Disk, Disks, Space, disks_there};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// A clock that is further off is worth a look: copies are compared by their times.
const OFFSET: Duration = Duration::from_secs(5);
/// A load beyond so many times the processors is worth a look.
const BUSY: f64 = 4.0;

/// The questions every host is asked.
#[must_use]
pub fn probes() -> Vec<ProbeEntry> {
    vec![ProbeEntry::new("ssh", Alive), ProbeEntry::new("disk", OwnDisks).every(60).within(12)]
}

fn place(cx: &StepContext) -> Result<Place, Failure> {
    let host = cx.host.as_ref().ok_or_else(|| Failure::new(FailureKind::Invalid, "look at a host", "none is named"))?;
    cx.place_of(host)
}

/// Reachable, load, clock.
#[derive(Debug)]
struct Alive;

#[async_trait]
impl Probe for Alive {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let place = place(cx)?;
        // Two commands side by side on one connection.
        let date = Pipeline::from(Command::new("date").args(["-u", "+%s"]));
        let load = Command::new("cat").args(["/proc/loadavg", "/sys/devices/system/cpu/online"]);
        let load = Pipeline::from(load);
        let before = cx.clock.now();
        let date = async {
            let answer = remote::look(cx, &place, &date).await;
            (answer, cx.clock.now())
        };
        let ((date, after), load) = tokio::join!(date, remote::look(cx, &place, &load));
        let date = date?.text();
        let load = load.map(|output| output.text());
        Ok(judge(&place, (before, after), &date, load.as_deref().ok()))
    }
}

fn judge(place: &Place, around: (Timestamp, Timestamp), date: &str, load: Option<&str>) -> Reading {
    let mut reading = Reading::up(format!("{place} $ date; cat /proc/loadavg"));
    let mut words = Vec::new();
    if let Some((load, processors)) = load.and_then(parse_load) {
        let on = format!("load {load:.2} on {}", Counted(processors.into(), "cpu", "cpus"));
        words.push(on.clone());
        reading = reading.figure(Figure::new("load", load, Unit::Ratio));
        if load > f64::from(processors) * BUSY {
            reading.find(Condition::Degraded, on);
        }
    }
    match offset(around, date) {
        None => reading.find(Condition::Degraded, "its clock cannot be read"),
        Some(seconds) => {
            #[expect(clippy::cast_precision_loss, reason = "a difference of clocks")]
            let value = seconds as f64;
            reading = reading.figure(Figure::new("clock offset", value, Unit::Seconds));
            if seconds.unsigned_abs() > OFFSET.as_secs() {
                let by = Span::seconds(seconds.unsigned_abs());
                let way = if seconds > 0 { "ahead of" } else { "behind" };
                reading.find(Condition::Degraded, format!("its clock is {by} {way} this machine's"));
            }
            words.push(if seconds == 0 { "clock right".to_owned() } else { format!("clock {seconds:+}s") });
        }
    }
    reading.summed_up(words.join(", "))
}

/// How many whole seconds a clock that said `date` somewhere between two moments is off: 0 when it may be right. The
/// command prints whole seconds, cut off.
fn offset((before, after): (Timestamp, Timestamp), date: &str) -> Option<i64> {
    let said: i64 = date.trim().parse().ok()?;
    Some(if said < before.as_second() {
        said - before.as_second()
    } else if said > after.as_second() {
        said - after.as_second()
    } else {
        0
    })
}

/// The load of the last minute, and how many processors there are: `0.42 0.30 0.25 1/234 5678` and `0-3,6`.
fn parse_load(text: &str) -> Option<(f64, u32)> {
    let mut lines = text.lines();
    let load = lines.next()?.split_whitespace().next()?.parse().ok()?;
    let mut processors = 0;
    for part in lines.next()?.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        processors += to.checked_sub(from)? + 1;
    }
    Some((load, processors))
}

/// Paths that may be disks of their own, and without which nothing goes on: servers keep their data and logs below `/var`,
/// and what is sorted or dumped passes through `/tmp`.
const PATHS: [&str; 4] = ["/", "/var", "/var/lib", "/tmp"];
/// The folder in which commands over SSH begin: the login user's home, below which durable jobs keep their output.
const HOME: &str = ".";

/// Room on the host's own disks, in bytes and in inodes.
#[derive(Debug)]
struct OwnDisks;

#[async_trait]
impl Probe for OwnDisks {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let place = place(cx)?;
        let local =
            cx.host.as_ref().and_then(|host| cx.estate.host(cx.site().ok()?, host)).is_some_and(|host| host.local);
        // On this machine commands begin wherever the program was started.
        let paths: Vec<&str> = PATHS.into_iter().chain((!local).then_some(HOME)).collect();
        match disks_there(cx, &place, &paths).await {
            Ok(found) => Ok(judge_disks(&place, found, cx.estate.policy.min_free_percent.unwrap_or(10))),
            Err(failure) => Err(behind(cx, &place, failure).await),
        }
    }
}

fn judge_disks(place: &Place, found: Disks, min_free: u8) -> Reading {
    let mut reading = Reading::up(format!("{place} $ df"));
    let Disks::Seen(seen) = found else {
        reading.find(Condition::Down, format!("one of its disks does not answer within {DF_SECONDS}s"));
        return reading.summed_up("no answer");
    };
    // Several paths on one disk are told once, wherever parts of it are mounted. What cannot be told apart, such as two
    // disks in memory, is told by the one with less room.
    let mut disks: BTreeMap<(String, u64, Option<u64>), (String, Space)> = BTreeMap::new();
    for Disk { source, mount, space } in seen {
        let known = disks.entry((source, space.size, space.inodes.map(|inodes| inodes.all)));
        let kept = known.or_insert_with(|| (mount.clone(), space));
        if space.problem(min_free).is_some() && kept.1.problem(min_free).is_none() {
            *kept = (mount, space);
        }
    }
    for (mount, problem) in disks.values().filter_map(|(mount, space)| Some((mount, space.problem(min_free)?))) {
        reading.find(Condition::Degraded, format!("its disk at {mount} {problem}"));
    }
    let used = |space: &Space| Figure::share("used", space.size.saturating_sub(space.free), space.size);
    let fullest = disks.values().max_by(|(_, one), (_, other)| used(one).value.total_cmp(&used(other).value));
    let Some((mount, space)) = fullest else { return reading.summed_up("no disk") };
    let (used, free) = (used(space), ByteSize(space.free));
    let summary = match disks.len() {
        1 => format!("{:.0} % used, {free} free", used.value),
        several => format!("{:.0} % used of {mount}, the fullest of {several} disks, {free} free", used.value),
    };
    reading.figure(used).figure(Figure::whole("free", space.free, Unit::Bytes)).summed_up(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostName, SafeText, SiteName};
    use crate::port::fake::Answer;
    use crate::systems::fake::Bench;
    use crate::systems::remote::Inodes;

    #[test]
    fn load_is_read_with_the_processors() {
        for (text, read) in [
            ("0.42 0.30 0.25 1/234 5678\n0-3\n", Some((0.42, 4))),
            ("1.00 0 0 1/2 3\n0,2-3,7\n", Some((1.0, 4))),
            ("0.42 0.30\n", None),
            ("nonsense\n0\n", None),
            ("1.0\n3-0\n", None),
        ] {
            assert_eq!(parse_load(text), read, "{text}");
        }
    }

    #[test]
    fn a_clock_is_off_only_when_it_cannot_be_right() {
        let at = |second: i64, millis: i32| Timestamp::new(second, millis * 1_000_000).expect("a time");
        for (before, after, said, off) in [
            (at(100, 900), at(101, 100), "100", Some(0)),
            (at(100, 900), at(101, 100), "101", Some(0)),
            (at(100, 0), at(104, 0), "103", Some(0)),
            (at(100, 900), at(101, 100), "99", Some(-1)),
            (at(100, 900), at(101, 100), "161", Some(60)),
            (at(100, 0), at(101, 0), "", None),
        ] {
            assert_eq!(offset((before, after), said), off, "{said}");
        }
    }

    #[test]
    fn a_host_is_judged_by_its_load_and_its_clock() {
        let place = Place::Host(SiteName::new("prod").expect("a name"), HostName::new("app1").expect("a name"));
        let around = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        for (date, load, condition, said) in [
            ("0", Some("0.5 0 0\n0-1"), Condition::Up, ""),
            ("0", None, Condition::Up, ""),
            ("4", Some("0.5 0 0\n0-1"), Condition::Up, ""),
            ("90", Some("0.5 0 0\n0-1"), Condition::Degraded, "1m30s ahead of"),
            ("-90", Some("0.5 0 0\n0-1"), Condition::Degraded, "1m30s behind"),
            ("0", Some("9.5 0 0\n0-1"), Condition::Degraded, "load 9.50 on 2 cpus"),
            ("x", Some("0.5 0 0\n0-1"), Condition::Degraded, "cannot be read"),
        ] {
            let reading = judge(&place, around, date, load);
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert_eq!(reading.condition, condition, "{date} {load:?}: {found}");
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found} does not say {said}");
        }
    }
    #[test]
    fn the_fullest_disk_is_named_and_each_is_told_once() {
        let place = Place::Host(SiteName::new("prod").expect("a name"), HostName::new("app1").expect("a name"));
        let of = |source: &str, mount: &str, free: u64, left: u64| {
            let inodes = Some(Inodes { all: 1000, free: left });
            let space = Space { size: 1000, free, inodes };
            Disk { source: source.to_owned(), mount: mount.to_owned(), space }
        };
        let disk = |mount: &str, free: u64, left: u64| of(&format!("/dev{mount}"), mount, free, left);
        for (seen, findings, summary) in [
            (vec![disk("/", 600, 900); 4], vec![], "40 % used, 600 B free"),
            // The same disk, a moment later.
            (vec![of("/dev/vda", "/", 600, 900), of("/dev/vda", "/home", 599, 900)], vec![], "40 % used, 600 B free"),
            (
                vec![of("tmpfs", "/tmp", 600, 900), of("tmpfs", "/var", 0, 900)],
                vec!["its disk at /var is full"],
                "100 % used, 0 B free",
            ),
            (
                vec![disk("/", 600, 900), disk("/var", 50, 900), disk("/var", 50, 900)],
                vec!["its disk at /var has 50 B left (5 %, and 10 % should stay free)"],
                "95 % used of /var, the fullest of 2 disks, 50 B free",
            ),
            (
                vec![disk("/", 600, 0), disk("/home", 0, 900)],
                vec!["its disk at / has no inode left: nothing new can be made there", "its disk at /home is full"],
                "100 % used of /home, the fullest of 2 disks, 0 B free",
            ),
        ] {
            let reading = judge_disks(&place, Disks::Seen(seen), 10);
            let found: Vec<&str> = reading.findings.iter().map(SafeText::as_str).collect();
            assert_eq!((found, reading.summary.as_str()), (findings.clone(), summary));
            assert_eq!(reading.condition, if findings.is_empty() { Condition::Up } else { Condition::Degraded });
        }
        assert_eq!(judge_disks(&place, Disks::Stalled, 10).condition, Condition::Down);
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_that_is_not_there_hides_no_disk() {
        let bench = Bench::new("").host("app1");
        let said = "df: /var/lib: No such file or directory\n";
        bench.reach.on(
            "df -B1",
            Answer::exec(&[1], "Size Avail Inodes IFree Filesystem Mounted on\n10 6 0 0 /dev/vda /\n", said),
        );
        let reading = OwnDisks.look(&bench.cx).await.expect("a reading");
        assert_eq!(reading.summary.as_str(), "40 % used, 6 B free");
        bench.reach.on("df -B1", Answer::exec(&[1], "", "df: unrecognized option '--output'"));
        bench.reach.always("$ true", Answer::stdout(""));
        let failure = OwnDisks.look(&bench.cx).await.expect_err("nothing was said");
        assert!(failure.got.as_str().contains("unrecognized option"), "{failure}");
    }
}
