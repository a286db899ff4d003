//! The fold, in tables: rise, fall, staleness, the first look, and what stopped being asked.

use super::*;
use crate::systems::{Figure, Unit};

const TEN: Duration = Duration::from_secs(10);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_772_000_000 + seconds).expect("a time")
}

fn key(subject: Subject) -> ProbeKey {
    ProbeKey { site: SiteName::new("prod").expect("a name"), subject, question: "q" }
}

fn service() -> ProbeKey {
    key(Subject::Service(ServiceName::new("db").expect("a name")))
}

/// `u` up, `d` degraded, `x` down, `r` refused, `?` unknown, `!` an estate that is wrong.
fn seen(letter: char) -> Result<Reading, Failure> {
    let reading = |condition| {
        let mut reading = Reading::up("there").figure(Figure::whole("n", 7, Unit::Count));
        if condition > Condition::Up {
            reading.find(condition, "a finding");
        }
        Ok(reading)
    };
    match letter {
        'u' => reading(Condition::Up),
        'd' => reading(Condition::Degraded),
        'x' => reading(Condition::Down),
        'r' => Err(Failure::new(FailureKind::Refused, "ask", "it said no")),
        '?' => Err(Failure::new(FailureKind::Unknown, "ask", "no way")),
        '!' => Err(Failure::new(FailureKind::Invalid, "ask", "no such host")),
        other => panic!("{other}"),
    }
}

/// The state after these looks, ten seconds apart, with rise 2 and fall 3.
fn after(looks: &str) -> HealthState {
    let mut state = HealthState::new([(service(), ProbeHealth::new(TEN, 2, 3))]);
    for (number, letter) in (0..).zip(looks.chars()) {
        state.apply(&Observation {
            key: service(),
            at: at(number * 10),
            took: TEN / 100,
            result: seen(letter),
            transcript: SafeText::default(),
        });
    }
    state
}

fn verdict(looks: &str) -> Verdict {
    let last = i64::try_from(looks.len()).expect("a few") * 10 - 10;
    after(looks).probes()[&service()].verdict(at(last))
}

#[test]
fn verdicts_rise_and_fall_by_counts() {
    for (looks, expected) in [
        // The first look is believed.
        ("u", Verdict::Up),
        ("d", Verdict::Degraded),
        ("x", Verdict::Down),
        ("r", Verdict::Down),
        ("?", Verdict::Unknown),
        ("!", Verdict::Unknown),
        // It falls at the third in a row.
        ("uxx", Verdict::Up),
        ("uxxx", Verdict::Down),
        ("uxxuxx", Verdict::Up),
        ("urrr", Verdict::Down),
        ("u???", Verdict::Unknown),
        // Troubles of several kinds count together, and the newest is believed: it is up at none of these looks.
        ("uxd", Verdict::Up),
        ("uxdx", Verdict::Down),
        ("uxxd", Verdict::Degraded),
        ("u?x?", Verdict::Unknown),
        ("uxduxd", Verdict::Up),
        ("xd?", Verdict::Down),
        ("xd?d", Verdict::Degraded),
        // It rises at the second in a row.
        ("xu", Verdict::Down),
        ("xuu", Verdict::Up),
        ("xuxu", Verdict::Down),
        ("xuxuu", Verdict::Up),
        // From bad to less bad takes as long as falling.
        ("xdd", Verdict::Down),
        ("xddd", Verdict::Degraded),
    ] {
        assert_eq!(verdict(looks), expected, "{looks}");
    }
}

#[test]
fn what_is_not_asked_any_more_is_unknown() {
    let state = after("uu");
    let probe = &state.probes()[&service()];
    for (now, expected, stale) in [
        (10, Verdict::Up, false),
        (30, Verdict::Up, false),
        (31, Verdict::Up, true),
        (40, Verdict::Up, true),
        (41, Verdict::Unknown, true),
    ] {
        assert_eq!((probe.verdict(at(now)), probe.is_stale(at(now))), (expected, stale), "{now}");
    }
    assert_eq!(probe.reasons(at(10)), []);
    assert_eq!(probe.reasons(at(41)), ["no fresh answer".into()]);
    let never = ProbeHealth::new(TEN, 1, 1);
    assert_eq!((never.verdict(at(0)), never.is_stale(at(0))), (Verdict::Unknown, true));
    assert_eq!(never.reasons(at(0)), ["not asked yet".into()]);
}

#[test]
fn a_reading_outlives_the_looks_that_saw_nothing_and_says_its_age() {
    let state = after("urr");
    let probe = &state.probes()[&service()];
    assert_eq!((probe.read_at, probe.asked_at), (Some(at(0)), Some(at(20))));
    assert_eq!(probe.verdict(at(20)), Verdict::Up, "two bad looks are not three");
    assert_eq!(probe.reasons(at(20)), ["it said no".into()]);
    assert!(probe.reading.is_some() && !probe.is_stale(at(20)) && probe.is_stale(at(21)));
    let values: Vec<Option<f64>> = probe.history.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [Some(7.0), None, None], "nothing seen is not zero");
}

#[test]
fn history_is_bounded() {
    let state = after(&"u".repeat(HISTORY + 10));
    let history = &state.probes()[&service()].history;
    assert_eq!((history.len(), history[0].0), (HISTORY, at(100)));
}

#[test]
fn since_says_when_the_verdict_was_reached() {
    for (looks, since) in [("u", 0), ("uuu", 0), ("uxxx", 30), ("uxxxuu", 50)] {
        assert_eq!(after(looks).probes()[&service()].since, Some(at(since)), "{looks}");
    }
}

#[test]
fn a_site_is_as_well_as_its_worst_part() {
    let [host, exchange] = [key(Subject::Host(HostName::new("app1").expect("a name"))), key(Subject::Exchange)];
    let keys = [service(), host.clone(), exchange.clone()];
    let mut state = HealthState::new(keys.iter().map(|key| (key.clone(), ProbeHealth::new(TEN, 1, 1))));
    let site = service().site;
    assert_eq!(state.site(&site, at(0)), Verdict::Unknown, "nothing is known yet");
    let mut see = |key: &ProbeKey, letter| {
        state.apply(&Observation {
            key: key.clone(),
            at: at(0),
            took: TEN,
            result: seen(letter),
            transcript: SafeText::default(),
        });
        state.site(&site, at(0))
    };
    assert_eq!(see(&service(), 'u'), Verdict::Unknown, "two parts were never asked");
    assert_eq!(see(&host, 'x'), Verdict::Down, "what is known to be down is not hidden by what was never asked");
    assert_eq!(see(&exchange, 'd'), Verdict::Down);
    assert_eq!(see(&host, 'u'), Verdict::Degraded);
    assert_eq!(see(&exchange, 'u'), Verdict::Up);
    let order: Vec<String> = state.subjects(&site, at(0)).iter().map(|(subject, _)| subject.to_string()).collect();
    assert_eq!(order, ["db", "app1", "exchange"]);
    assert_eq!(state.site(&SiteName::new("mars").expect("a name"), at(0)), Verdict::Unknown);
}

#[test]
fn what_is_not_known_is_not_taken_in() {
    let mut state = after("u");
    let other = key(Subject::Exchange);
    state.apply(&Observation {
        key: other.clone(),
        at: at(0),
        took: TEN,
        result: seen('x'),
        transcript: SafeText::default(),
    });
    assert!(!state.probes().contains_key(&other) && state.probes().len() == 1);
}

#[test]
fn a_subject_has_the_probes_of_its_own_site_and_the_worst_of_their_verdicts() {
    let [prod, bcp] = ["prod", "bcp"].map(|name| SiteName::new(name).expect("a name"));
    let [db, dbx] = ["db", "dbx"].map(|name| Subject::Service(name.parse().expect("a name")));
    let asked = |site: &SiteName, subject: &Subject, question| {
        let key = ProbeKey { site: site.clone(), subject: subject.clone(), question };
        (key, ProbeHealth::new(TEN, 1, 1))
    };
    let mut state = HealthState::new([
        asked(&bcp, &db, "server"),
        asked(&prod, &db, "size"),
        asked(&prod, &db, "certificate"),
        asked(&prod, &dbx, "server"),
        asked(&prod, &Subject::Exchange, "mount"),
    ]);
    let questions = |subject| state.of(&prod, subject).map(|(key, _)| key.question).collect::<Vec<_>>();
    assert_eq!(questions(&db), ["certificate", "size"]);
    assert_eq!(questions(&dbx), ["server"]);
    assert_eq!(questions(&Subject::Exchange), ["mount"]);
    assert_eq!(questions(&Subject::Service("d".parse().expect("a name"))), Vec::<&str>::new());
    for (question, letter) in [("certificate", 'x'), ("size", 'u')] {
        let key = ProbeKey { site: prod.clone(), subject: db.clone(), question };
        let transcript = SafeText::default();
        state.apply(&Observation { key, at: at(0), took: TEN, result: seen(letter), transcript });
    }
    let unknown = Verdict::Unknown;
    let worst = [(&db, Verdict::Down), (&dbx, unknown), (&Subject::Exchange, unknown)];
    assert_eq!(state.subjects(&prod, at(0)), worst);
}
