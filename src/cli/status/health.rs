//! The health of both sites as text and JSON. Pure: what is known goes in, lines come out.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::estate::Estate;
use crate::health::{HealthState, ProbeHealth, ProbeKey, Verdict, takeover};
use crate::model::{Counted, Direction, End, SafeText, SiteName, Span};
use crate::style::{Look, Mark};

/// What is known at a moment, and for whom.
pub(super) struct View<'a> {
    pub(super) state: &'a HealthState,
    pub(super) estate: &'a Estate,
    pub(super) direction: &'a Direction,
    pub(super) now: Timestamp,
}

impl View<'_> {
    /// The worst of both sites.
    pub(super) fn worst(&self) -> Verdict {
        let sites = self.estate.sites.keys().map(|site| self.state.site(site, self.now));
        sites.max().unwrap_or(Verdict::Unknown)
    }

    /// One table per site, and what the pair can do.
    pub(super) fn lines(&self, look: Look) -> Vec<String> {
        self.table(look, |_| true)
    }

    /// The same with only what is not well, and the number of the rest.
    pub(super) fn trouble(&self, look: Look) -> Vec<String> {
        self.table(look, |probe| probe.verdict(self.now) != Verdict::Up || !probe.reasons(self.now).is_empty())
    }

    fn table(&self, look: Look, is_shown: impl Fn(&ProbeHealth) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for site in self.estate.sites.keys() {
            lines.push(format!("{}: {}", self.titled(site), painted(look, self.state.site(site, self.now))));
            let all = self.state.probes().iter().filter(|(key, _)| key.site == *site);
            let (probes, others): (Vec<_>, Vec<_>) = all.partition(|(_, probe)| is_shown(probe));
            let name = |key: &ProbeKey| format!("{} {}", key.subject, key.question);
            let width = probes.iter().map(|(key, _)| name(key).chars().count()).max().unwrap_or(0);
            for (key, probe) in probes {
                let verdict = probe.verdict(self.now);
                let mark = painted(look, verdict);
                let pad = " ".repeat("! degraded".len().saturating_sub(bare(verdict).chars().count()));
                let line = format!("  {mark}{pad}  {:<width$}  {}", name(key), self.summary(probe));
                lines.push(line.trim_end().to_owned());
                for reason in probe.reasons(self.now) {
                    lines.extend(reason.as_str().lines().map(|line| format!("      {line}")));
                }
            }
            if !others.is_empty() {
                lines.push(format!("  and {} up", Counted::of(others.len(), "light", "lights")));
            }
        }
        let (verdict, text) = self.takeover();
        lines.push(format!("{} {text}", look.paint(mark_of(verdict).scope(), mark_of(verdict).glyph())));
        lines
    }

    /// What the pair can do, in words.
    pub(super) fn takeover(&self) -> (Verdict, SafeText) {
        takeover(self.state, self.direction, self.now, &self.estate.objectives)
    }

    fn titled(&self, site: &SiteName) -> SafeText {
        let end = match self.direction.end_of(site) {
            Some(End::Source) => "active",
            _ => "standby",
        };
        let title = self.estate.title(site);
        SafeText::line(&if title == site.as_str() {
            format!("{site} ({end})")
        } else {
            format!("{site} ({end}, {title})")
        })
    }

    /// The last reading in a few words; one that is not of the last look says how old it is.
    fn summary(&self, probe: &ProbeHealth) -> String {
        let Some(reading) = &probe.reading else { return "nothing read yet".to_owned() };
        match self.age(probe) {
            Some(age) if probe.failure.is_some() || probe.is_stale(self.now) => {
                format!("{age} ago: {}", reading.summary)
            }
            _ => reading.summary.to_string(),
        }
    }

    fn age(&self, probe: &ProbeHealth) -> Option<Span> {
        let age = Duration::try_from(self.now.duration_since(probe.read_at?)).unwrap_or_default();
        Some(Span(Duration::from_secs(age.as_secs())))
    }

    /// Everything, for machines.
    pub(super) fn json(&self) -> Value {
        let sites: serde_json::Map<String, Value> = self
            .estate
            .sites
            .keys()
            .map(|site| {
                let probes = self.state.probes().iter().filter(|(key, _)| key.site == *site);
                let probes: Vec<Value> = probes.map(|(key, probe)| self.probe_json(key, probe)).collect();
                let verdict = self.state.site(site, self.now);
                (site.to_string(), json!({ "verdict": verdict, "probes": probes }))
            })
            .collect();
        let (verdict, text) = self.takeover();
        json!({ "verdict": self.worst(), "takeover": { "verdict": verdict, "text": text }, "sites": sites })
    }

    /// One probe, for machines.
    pub(super) fn probe_json(&self, key: &ProbeKey, probe: &ProbeHealth) -> Value {
        json!({
            "subject": key.subject,
            "question": key.question,
            "verdict": probe.verdict(self.now),
            "since": probe.since,
            "reasons": probe.reasons(self.now),
            "asked_at": probe.asked_at,
            "read_at": probe.read_at,
            "age_seconds": self.age(probe).map(|age| age.0.as_secs()),
            "reading": probe.reading,
            "failure": probe.failure,
        })
    }
}

/// The shape that goes with a verdict.
fn mark_of(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Up => Mark::Ok,
        Verdict::Degraded => Mark::Warn,
        Verdict::Down => Mark::Fail,
        Verdict::Unknown => Mark::Unknown,
    }
}

fn bare(verdict: Verdict) -> String {
    format!("{} {}", mark_of(verdict).glyph(), verdict.word())
}

fn painted(look: Look, verdict: Verdict) -> String {
    look.mark_as(mark_of(verdict), verdict.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Observation, Subject};
    use crate::model::{Failure, FailureKind, ServiceName};
    use crate::systems::{Condition, Figure, Reading, Unit};

    fn estate() -> Estate {
        let text = "name=\"e\"\nactive=\"prod\"\n[sites.prod]\ntitle=\"Production\"\nexchange=\"/x\"\n[sites.bcp]\nexchange=\"/x\"\n";
        toml::from_str(text).expect("an estate")
    }

    #[test]
    fn what_is_known_is_shown_with_its_age_and_its_reasons() {
        let estate = estate();
        let site = |name: &str| SiteName::new(name).expect("a name");
        let db = Subject::Service(ServiceName::new("db").expect("a name"));
        let key = |name, subject: &Subject, question| ProbeKey { site: site(name), subject: subject.clone(), question };
        let keys = [key("prod", &db, "server"), key("prod", &Subject::Exchange, "points"), key("bcp", &db, "server")];
        let probe = || ProbeHealth::new(Duration::from_secs(30), 1, 1);
        let mut state = HealthState::new(keys.iter().map(|key| (key.clone(), probe())));
        let at = |seconds: i64| Timestamp::from_second(1_772_000_000 + seconds).expect("a time");
        let mut degraded = Reading::up("df").summed_up("98 % used").figure(Figure::whole("used", 98, Unit::Percent));
        degraded.find(Condition::Degraded, "its disk is nearly full");
        let no_answer = Err(Failure::new(FailureKind::Unreachable, "ask", "no answer\x1b[2J within 5s"));
        for (key, second, result) in [
            (&keys[0], 0, Ok(Reading::up("db").summed_up("MariaDB, writable"))),
            (&keys[0], 10, no_answer),
            (&keys[1], 10, Ok(degraded)),
        ] {
            state.apply(&Observation {
                key: key.clone(),
                at: at(second),
                took: Duration::ZERO,
                result,
                transcript: SafeText::default(),
            });
        }
        let direction = Direction { source: site("prod"), target: site("bcp") };
        let view = View { state: &state, estate: &estate, direction: &direction, now: at(12) };
        assert_eq!(view.worst(), Verdict::Down);
        assert_eq!(
            view.lines(Look::BARE),
            [
                "bcp (standby): ? UNKNOWN",
                "  ? UNKNOWN   db server  nothing read yet",
                "      not asked yet",
                "prod (active, Production): ✗ DOWN",
                "  ✗ DOWN      db server        12s ago: MariaDB, writable",
                "      no answer^[[2J within 5s",
                "  ! degraded  exchange points  98 % used",
                "      its disk is nearly full",
                "? it is not known whether bcp can take over: db: not asked yet",
            ]
        );
        assert_eq!(view.trouble(Look::BARE), view.lines(Look::BARE), "nothing is up");
        state.apply(&Observation {
            key: keys[2].clone(),
            at: at(12),
            took: Duration::ZERO,
            result: Ok(Reading::up("db").summed_up("writable")),
            transcript: SafeText::default(),
        });
        let view = View { state: &state, estate: &estate, direction: &direction, now: at(12) };
        assert_eq!(view.trouble(Look::BARE)[..2], ["bcp (standby): ✓ up", "  and 1 light up"]);
        let json = view.json();
        assert_eq!(json["verdict"], "down");
        let probe = &json["sites"]["prod"]["probes"][0];
        assert_eq!((&probe["subject"], &probe["verdict"]), (&json!({ "service": "db" }), &json!("down")));
        assert_eq!(probe["age_seconds"], 12);
        assert_eq!(json["sites"]["prod"]["probes"][1]["reading"]["figures"][0]["value"], 98.0);
    }
}
