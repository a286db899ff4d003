//! What the pair of sites can do now, in one sentence. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{HealthState, ProbeHealth, Subject, Verdict};
use crate::estate::Objectives;
use crate::model::{Counted, Direction, SafeText, SiteName, Span};
use crate::systems::exchange::{LAST_POINT, POINTS};

/// "bcp can take over: last complete point 4m ago, 2 findings", or why not, or why that is not known.
#[must_use]
pub fn pair(state: &HealthState, direction: &Direction, now: Timestamp, objectives: &Objectives) -> SafeText {
    takeover(state, direction, now, objectives).1
}

/// Whether the standby can take over, and the sentence that says so: up when it can, degraded when something must be
/// seen to, down when it cannot, unknown when that cannot be told.
#[must_use]
pub fn takeover(
    state: &HealthState,
    direction: &Direction,
    now: Timestamp,
    objectives: &Objectives,
) -> (Verdict, SafeText) {
    let site = &direction.target;
    let (verdict, text) = judge(&Look::at(state, site, now), objectives);
    let text = match verdict {
        Verdict::Up | Verdict::Degraded => format!("{site} can take over: {text}"),
        Verdict::Down => format!("{site} cannot take over: {text}"),
        Verdict::Unknown => format!("it is not known whether {site} can take over: {text}"),
    };
    (verdict, SafeText::line(&text))
}

/// What matters of the standby.
struct Look {
    /// Parts that must work and do not, with why.
    down: Vec<String>,
    /// Parts that must work and of which nothing is known, with why.
    unknown: Vec<String>,
    /// Everything else that is not well.
    findings: usize,
    /// The age of the last complete point; nothing when there is none.
    point: Option<Span>,
}

impl Look {
    fn at(state: &HealthState, site: &SiteName, now: Timestamp) -> Self {
        let mut look = Self { down: Vec::new(), unknown: Vec::new(), findings: 0, point: None };
        for (key, probe) in state.probes().iter().filter(|(key, _)| key.site == *site) {
            let why = || {
                let first = probe.reasons(now).into_iter().next().unwrap_or_default();
                let first = first.as_str().lines().next().unwrap_or_default().to_owned();
                if first.is_empty() { key.subject.to_string() } else { format!("{}: {first}", key.subject) }
            };
            // One host of several, or a question about size, keeps nobody from taking over.
            let must = match key.subject {
                Subject::Service(_) => key.question != "size",
                Subject::Exchange => true,
                Subject::Host(_) => false,
            };
            match (probe.verdict(now), must) {
                (Verdict::Up, _) => {}
                (Verdict::Degraded, _) => look.findings += probe.reasons(now).len().max(1),
                (Verdict::Down, true) => look.down.push(why()),
                (Verdict::Unknown, true) => look.unknown.push(why()),
                (Verdict::Down | Verdict::Unknown, false) => look.findings += 1,
            }
            if key.subject == Subject::Exchange {
                look.point = look.point.or_else(|| point_age(probe, now));
            }
        }
        if look.down.is_empty() && look.unknown.is_empty() && state.site(site, now) == Verdict::Unknown {
            // No probe at all, or only hosts that nobody asked yet.
            let any = state.probes().keys().any(|key| key.site == *site && key.subject == Subject::Exchange);
            if !any {
                look.unknown.push("nobody looks at its exchange tree".to_owned());
            }
        }
        look
    }
}

/// What the exchange tree of a site said of its last complete point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPoint {
    /// How old it is now, in whole seconds; nothing when there was no complete point, or one of unknown age.
    pub age: Option<Span>,
    /// When the tree was looked at.
    pub seen: Timestamp,
}

/// The last complete point at `site`, as its exchange tree said when it was read last, however long ago that is. Nothing
/// when it was never read.
#[must_use]
pub fn last_point(state: &HealthState, site: &SiteName, now: Timestamp) -> Option<LastPoint> {
    let points = state.of(site, &Subject::Exchange).find(|(key, _)| key.question == POINTS);
    let (_, probe) = points?;
    Some(LastPoint { age: point_age(probe, now), seen: probe.reading.as_ref().and(probe.read_at)? })
}

/// How old the last complete point is now: it grew older since it was looked at.
fn point_age(probe: &ProbeHealth, now: Timestamp) -> Option<Span> {
    let figures = &probe.reading.as_ref()?.figures;
    let figure = figures.iter().find(|figure| figure.name.as_str() == LAST_POINT)?;
    let then = Duration::try_from_secs_f64(figure.value).ok()?;
    let since = now.duration_since(probe.read_at?);
    Some(Span(Duration::from_secs((then + Duration::try_from(since).unwrap_or_default()).as_secs())))
}

fn judge(look: &Look, objectives: &Objectives) -> (Verdict, String) {
    let list = |parts: &[String]| match parts {
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} (and {} more)", rest.len()),
        [] => String::new(),
    };
    if !look.down.is_empty() {
        return (Verdict::Down, list(&look.down));
    }
    if !look.unknown.is_empty() {
        return (Verdict::Unknown, list(&look.unknown));
    }
    let Some(point) = look.point else {
        return (Verdict::Down, "there is no complete restore point".to_owned());
    };
    let mut words = vec![format!("last complete point {point} ago")];
    let late = objectives.rpo.filter(|rpo| point > *rpo);
    if let Some(rpo) = late {
        words.push(format!("LATE, {rpo} is promised"));
    }
    // A late point is a finding of its own probe too, and said already.
    let findings = look.findings.saturating_sub(usize::from(late.is_some() && look.findings > 0));
    match findings {
        0 => {}
        number => words.push(Counted::of(number, "finding", "findings").to_string()),
    }
    let verdict = if late.is_some() || findings > 0 { Verdict::Degraded } else { Verdict::Up };
    (verdict, words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Observation, ProbeKey};
    use crate::model::{Failure, FailureKind, HostName, ServiceName};
    use crate::systems::{Condition, Figure, Reading, Unit};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_772_000_000 + seconds).expect("a time")
    }

    fn keys() -> [ProbeKey; 4] {
        let key = |subject, question| ProbeKey { site: SiteName::new("bcp").expect("a name"), subject, question };
        let service = |name| Subject::Service(ServiceName::new(name).expect("a name"));
        [
            key(service("db"), "server"),
            key(service("search"), "cluster"),
            key(Subject::Host(HostName::new("app1").expect("a name")), "ssh"),
            key(Subject::Exchange, "points"),
        ]
    }

    /// One letter per probe (db, search, app1, exchange): `u` up, `d` degraded with a finding, `x` down, `?` unknown,
    /// `-` never asked.
    fn said(letters: &str, point: Option<u64>, now: i64) -> (Verdict, String) {
        let keys = keys();
        let probe = || ProbeHealth::new(Duration::from_secs(30), 1, 1);
        let mut state = HealthState::new(keys.iter().map(|key| (key.clone(), probe())));
        for (key, letter) in keys.iter().zip(letters.chars()) {
            let mut reading = Reading::up("there");
            if let (Subject::Exchange, Some(age)) = (&key.subject, point) {
                reading = reading.figure(Figure::whole(LAST_POINT, age, Unit::Seconds));
            }
            match letter {
                'd' => reading.find(Condition::Degraded, "a finding"),
                'x' => reading.find(Condition::Down, "it is broken\nand more"),
                _ => {}
            }
            let result = match letter {
                '-' => continue,
                '?' => Err(Failure::new(FailureKind::Unknown, "ask", "no way")),
                _ => Ok(reading),
            };
            state.apply(&Observation {
                key: key.clone(),
                at: at(0),
                took: Duration::ZERO,
                result,
                transcript: SafeText::default(),
            });
        }
        let [prod, bcp] = ["prod", "bcp"].map(|name| SiteName::new(name).expect("a name"));
        let objectives = Objectives { rpo: Some(Span::seconds(900)), rto: None };
        let (verdict, text) = takeover(&state, &Direction { source: prod, target: bcp }, at(now), &objectives);
        (verdict, text.to_string())
    }

    #[test]
    fn the_sentence_says_whether_the_standby_can_take_over() {
        for (letters, point, now, verdict, text) in [
            ("uuuu", Some(240), 0, Verdict::Up, "bcp can take over: last complete point 4m ago"),
            ("uuuu", Some(240), 60, Verdict::Up, "bcp can take over: last complete point 5m ago"),
            ("uduu", Some(240), 0, Verdict::Degraded, "bcp can take over: last complete point 4m ago, 1 finding"),
            ("udxu", Some(240), 0, Verdict::Degraded, "bcp can take over: last complete point 4m ago, 2 findings"),
            ("ud?u", Some(240), 0, Verdict::Degraded, "bcp can take over: last complete point 4m ago, 2 findings"),
            (
                "uuud",
                Some(1800),
                0,
                Verdict::Degraded,
                "bcp can take over: last complete point 30m ago, LATE, 15m is promised",
            ),
            ("xuuu", Some(240), 0, Verdict::Down, "bcp cannot take over: db: it is broken"),
            ("xxuu", Some(240), 0, Verdict::Down, "bcp cannot take over: db: it is broken (and 1 more)"),
            ("x?uu", Some(240), 0, Verdict::Down, "bcp cannot take over: db: it is broken"),
            ("uuud", None, 0, Verdict::Down, "bcp cannot take over: there is no complete restore point"),
            ("u?uu", Some(240), 0, Verdict::Unknown, "it is not known whether bcp can take over: search: no way"),
            ("uuu-", None, 0, Verdict::Unknown, "it is not known whether bcp can take over: exchange: not asked yet"),
            // Looks that stopped coming are no looks.
            (
                "uuuu",
                Some(240),
                91,
                Verdict::Unknown,
                "it is not known whether bcp can take over: db: no fresh answer (and 2 more)",
            ),
        ] {
            assert_eq!(said(letters, point, now), (verdict, text.to_owned()), "{letters} {point:?} {now}");
        }
    }

    #[test]
    fn the_last_point_grows_older_and_is_not_forgotten() {
        let [bcp] = ["bcp"].map(|name| SiteName::new(name).expect("a name"));
        let key = ProbeKey { site: bcp.clone(), subject: Subject::Exchange, question: POINTS };
        let mut state = HealthState::new([(key.clone(), ProbeHealth::new(Duration::from_secs(30), 1, 1))]);
        assert_eq!(last_point(&state, &bcp, at(0)), None, "never read");
        let mut see = |second, result| {
            let transcript = SafeText::default();
            state.apply(&Observation { key: key.clone(), at: at(second), took: Duration::ZERO, result, transcript });
            last_point(&state, &bcp, at(second + 60))
        };
        let aged = Reading::up("there").figure(Figure::whole(LAST_POINT, 240, Unit::Seconds));
        assert_eq!(see(0, Ok(aged)), Some(LastPoint { age: Some(Span::seconds(300)), seen: at(0) }));
        let silent = Err(Failure::new(FailureKind::Unreachable, "ask", "no answer"));
        assert_eq!(see(30, silent), Some(LastPoint { age: Some(Span::seconds(330)), seen: at(0) }));
        assert_eq!(see(60, Ok(Reading::up("empty"))), Some(LastPoint { age: None, seen: at(60) }));
    }

    #[test]
    fn of_a_site_that_nobody_looks_at_nothing_is_known() {
        let [prod, bcp] = ["prod", "bcp"].map(|name| SiteName::new(name).expect("a name"));
        let direction = Direction { source: prod, target: bcp };
        let said = pair(&HealthState::default(), &direction, at(0), &Objectives::default());
        assert!(said.as_str().ends_with("nobody looks at its exchange tree"), "{said}");
    }
}
