//! The pace of looks on paused time: regular, never twice at once, and none held up by another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::health::{HealthState, Subject, Verdict, unseen};
use crate::model::{ServiceName, SiteName};
use crate::port::fake::{Answer, FakeClock, FakeReach};
use crate::systems::{Probe, Reading, catalogue};

const ESTATE: &str = r#"
name = "shop"
active = "prod"
[sites.prod]
exchange = "/x"
hosts.app1 = { address = "10.0.1.11" }
[sites.bcp]
exchange = "/x"
hosts.app1 = { address = "10.0.2.11" }
[services.cache]
kind = "redis"
prod.address = "10.0.1.41"
bcp.address = "10.0.2.41"
"#;

fn around(reach: Arc<FakeReach>) -> Around {
    let estate: Estate = toml::from_str(ESTATE).expect("an estate");
    Around { reach, clock: Arc::new(FakeClock::new()), estate: Arc::new(estate) }
}

fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

fn direction() -> Direction {
    Direction { source: site("prod"), target: site("bcp") }
}

/// Counts its looks, and how many of them were under way at once.
#[derive(Debug, Default)]
struct Counting {
    looks: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    takes: Duration,
}

#[async_trait]
impl Probe for Counting {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Reading::up("there").summed_up(cx.direction.to_string()))
    }
}

fn planned(name: &str, seconds: u64, probe: &Arc<Counting>) -> Planned {
    Planned {
        key: ProbeKey {
            site: site("prod"),
            subject: Subject::Service(ServiceName::new(name).expect("a name")),
            question: "q",
        },
        interval: Duration::from_secs(seconds),
        deadline: Duration::from_mins(1),
        rise: 1,
        fall: 1,
        probe: probe.clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn each_probe_is_asked_at_its_own_pace_and_never_twice_at_once() {
    let quick = Arc::new(Counting::default());
    let slow = Arc::new(Counting { takes: Duration::from_secs(12), ..Counting::default() });
    let plan = vec![planned("quick", 5, &quick), planned("slow", 5, &slow)];
    let (watch, mut looks) = Watch::over(plan, &around(Arc::default()), direction());
    let end = Instant::now() + Duration::from_mins(1);
    let mut seen: BTreeMap<String, Vec<jiff::Timestamp>> = BTreeMap::new();
    while let Ok(Some(look)) = tokio::time::timeout_at(end, looks.recv()).await {
        seen.entry(look.key.subject.to_string()).or_default().push(look.at);
    }
    let quick_at = &seen["quick"];
    assert!((12..=14).contains(&quick_at.len()), "{quick_at:?}");
    for pair in quick_at[1..].windows(2) {
        let apart = pair[1].duration_since(pair[0]).as_millis();
        assert!((4_998..=5_002).contains(&apart), "regular after the second: {apart}");
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 1, "never two looks of one probe");
    assert!((3..=5).contains(&seen["slow"].len()), "a slow one loses its turns, and is not asked after: {seen:?}");
    // Dropping the watch ends everything.
    drop(watch);
    while looks.recv().await.is_some() {}
    let before = quick.looks.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(quick.looks.load(Ordering::SeqCst), before);
}

/// Says yes, or no, by its turn: one letter a look, the last for ever.
#[derive(Debug)]
struct Saying(&'static str, AtomicUsize);

#[async_trait]
impl Probe for Saying {
    async fn look(&self, _: &StepContext) -> Result<Reading, Failure> {
        let turn = self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1);
        match self.0.as_bytes()[turn] {
            b'u' => Ok(Reading::up("there")),
            _ => Err(Failure::new(FailureKind::Refused, "ask", "no")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_turns_bad_is_asked_again_soon_until_it_is_believed() {
    for (letters, fall, apart) in [
        // Bad, and soon bad again: from then on at its turns.
        ("uubbbb", 2, &[5, 55, 60, 60][..]),
        ("uubbbbb", 3, &[5, 5, 50, 60]),
        // It was nothing.
        ("uubu", 2, &[5, 55, 60]),
        // The first look is believed, whatever it says.
        ("bbb", 2, &[60, 60]),
        ("uub", 1, &[60, 60]),
    ] {
        let probe = Arc::new(Saying(letters, AtomicUsize::new(0)));
        let key = planned("q", 60, &Arc::default()).key;
        let minute = Duration::from_mins(1);
        let plan = vec![Planned { key, interval: minute, deadline: minute, rise: 1, fall, probe }];
        let (_watch, mut looks) = Watch::over(plan, &around(Arc::default()), direction());
        let mut times = Vec::new();
        // The first pause is a share of the interval that the name decides.
        let skipped = if letters.starts_with('b') { 1 } else { 2 };
        while times.len() < skipped + apart.len() + 1 {
            times.push(looks.recv().await.expect("a look").at);
        }
        let seen: Vec<i64> = times[skipped..].windows(2).map(|two| two[1].duration_since(two[0]).as_secs()).collect();
        assert_eq!(seen, apart, "{letters}, falls at {fall}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turned_direction_is_seen_by_the_next_look() {
    let probe = Arc::new(Counting::default());
    let (watch, mut looks) = Watch::over(vec![planned("q", 5, &probe)], &around(Arc::default()), direction());
    let said = |look: Option<Observation>| look.expect("a look").result.expect("a reading").summary.to_string();
    assert_eq!(said(looks.recv().await), "prod -> bcp");
    watch.turn(&direction().reversed());
    assert_eq!(said(looks.recv().await), "bcp -> prod");
}

#[tokio::test(start_paused = true)]
async fn a_site_that_hangs_delays_nothing_of_the_other() {
    let reach = Arc::new(FakeReach::new());
    // Everything that is asked of prod never returns, its cache included.
    reach.always("prod:", Answer::Hang).always("10.0.1.", Answer::Hang);
    answers(&reach);
    let around = around(reach);
    let plan = plan(&around.estate, &catalogue());
    let mut state = unseen(&plan);
    let clock = Arc::clone(&around.clock);
    let (_watch, mut looks) = Watch::over(plan.clone(), &around, direction());
    let began = Instant::now();
    let mut first: BTreeMap<ProbeKey, Duration> = BTreeMap::new();
    while first.len() < plan.len() {
        let look = looks.recv().await.expect("a look");
        assert!(began.elapsed() < Duration::from_mins(1), "some are never asked: {first:?}");
        first.entry(look.key.clone()).or_insert(began.elapsed());
        state.apply(&look);
    }
    for (key, after) in &first {
        if key.site == site("bcp") {
            assert!(*after <= OPENING, "{key:?} came only after {after:?}");
        }
    }
    let now = clock.now();
    assert_eq!(verdicts(&state, "bcp", now), [Verdict::Up; 5], "{:?}", reasons(&state, "bcp", now));
    let bad = verdicts(&state, "prod", now);
    assert!(bad.iter().all(|verdict| *verdict >= Verdict::Unknown) && bad.len() == 5, "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn a_round_takes_one_deadline_and_not_their_sum() {
    let reach = Arc::new(FakeReach::new());
    reach.always("", Answer::Hang);
    let around = around(reach);
    let plan = plan(&around.estate, &catalogue());
    let longest = plan.iter().map(|planned| planned.deadline).max().expect("some");
    let began = Instant::now();
    let looks = round(&plan, &around, &direction()).await;
    assert_eq!(looks.len(), plan.len());
    assert!(began.elapsed() <= longest, "{:?}", began.elapsed());
    assert!(looks.iter().all(|look| look.result.is_err()));
}

/// What a healthy standby answers.
fn answers(reach: &FakeReach) {
    use crate::port::RedisReply;
    let info = "redis_version:7.0.15\r\nrole:master\r\nmaster_replid:a\r\nmaster_repl_offset:5\r\n# Keyspace\r\n";
    reach.always("> INFO", Answer::redis(&[RedisReply::Bytes(info.into())]));
    reach.compute("$ date", {
        let began = Instant::now();
        move |_| {
            let start: jiff::Timestamp = "2026-03-01T02:00:00Z".parse().expect("a time");
            Answer::stdout(&(start + began.elapsed()).as_second().to_string())
        }
    });
    reach.always("$ cat /proc/loadavg", Answer::stdout("0.1 0.1 0.1 1/2 3\n0-1\n"));
    reach.always("df -B1", Answer::stdout("Size Avail Inodes IFree Filesystem Mounted on\n1000 900 0 0 /dev/vda /\n"));
    reach.always("-writable", Answer::stdout("w 1.5 4096 /x/\0")).always("mountpoint", Answer::stdout(""));
    reach.always("-name COMPLETE", Answer::stdout("p-20260301-015900-0001/COMPLETE\0"));
    reach.always("find /x/prod-to-bcp/points", Answer::stdout("1.5 p-20260301-015900-0001\0"));
    reach.always("find /x/leases", Answer::exec(&[1], "", "find: No such file or directory"));
    reach.always("direction.json", Answer::exec(&[1], "", "cat: No such file or directory"));
}

fn verdicts(state: &HealthState, name: &str, now: jiff::Timestamp) -> Vec<Verdict> {
    let probes = state.probes().iter().filter(|(key, _)| key.site == site(name));
    probes.map(|(_, probe)| probe.verdict(now)).collect()
}

fn reasons(state: &HealthState, name: &str, now: jiff::Timestamp) -> Vec<String> {
    let probes = state.probes().iter().filter(|(key, _)| key.site == site(name));
    probes.map(|(key, probe)| format!("{key:?}: {:?}", probe.reasons(now))).collect()
}

#[test]
fn turns_are_spread_over_the_interval_and_always_the_same() {
    let probe = Arc::new(Counting::default());
    let interval = Duration::from_secs(10);
    let turns: Vec<_> = (0..200).map(|n| jitter(&planned(&format!("s{n}"), 10, &probe).key, interval)).collect();
    let again: Vec<_> = (0..200).map(|n| jitter(&planned(&format!("s{n}"), 10, &probe).key, interval)).collect();
    assert_eq!(turns, again);
    assert!(turns.iter().all(|(first, second)| *first <= OPENING && (interval / 2..=interval).contains(second)));
    for tenth in 0..10_u32 {
        let (from, to) = (interval / 2 + interval / 20 * tenth, interval / 2 + interval / 20 * (tenth + 1));
        let here = turns.iter().filter(|(_, second)| (from..to).contains(second)).count();
        assert!((5..=40).contains(&here), "{here} of 200 in tenth {tenth}");
    }
}
