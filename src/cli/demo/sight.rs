//! What can be seen of both sites on the screen of a story: the same fold of the same looks as in pane 1. Says whether
//! anything there shows the trouble; what counts of that is the card's affair.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::health::{HealthState, Observation, ProbeKey, Verdict};

/// What can be seen of both sites.
pub(super) struct Sight {
    health: HealthState,
    /// What was not well when the first thing broke: nothing before that.
    usual: Option<BTreeSet<ProbeKey>>,
}

impl Sight {
    /// With these probes, which have seen nothing yet.
    pub(super) fn new(health: HealthState) -> Self {
        Self { health, usual: None }
    }

    /// A probe has looked.
    pub(super) fn look(&mut self, look: &Observation) {
        self.health.apply(look);
    }

    /// Something breaks. What was not well before the first time is no sign of it.
    pub(super) fn breaks(&mut self, now: Timestamp) {
        if self.usual.is_none() {
            self.usual = Some(self.unwell(now).map(|(key, _)| key.clone()).collect());
        }
    }

    /// The worst of what is not well since something broke, in words.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<String> {
        let usual = self.usual.as_ref()?;
        let (key, verdict) =
            self.unwell(now).filter(|(key, _)| !usual.contains(key)).max_by_key(|(_, verdict)| *verdict)?;
        Some(format!("{} of {} is {}", key.subject, key.site, verdict.word()))
    }

    fn unwell(&self, now: Timestamp) -> impl Iterator<Item = (&ProbeKey, Verdict)> {
        let verdicts = self.health.probes().iter().map(move |(key, probe)| (key, probe.verdict(now)));
        verdicts.filter(|(_, verdict)| *verdict != Verdict::Up)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::{ProbeHealth, Subject};
    use crate::model::{Failure, FailureKind, SafeText, SiteName};

    fn key(site: &str) -> ProbeKey {
        ProbeKey { site: SiteName::new(site).expect("a name"), subject: Subject::Exchange, question: "mount" }
    }

    fn look(site: &str, at: Timestamp, well: bool) -> Observation {
        let bad = || Failure::new(FailureKind::Refused, "look", "it is gone");
        let result = if well { Ok(crate::systems::Reading::up("x")) } else { Err(bad()) };
        Observation { key: key(site), at, took: Duration::ZERO, result, transcript: SafeText::default() }
    }

    #[test]
    fn only_what_has_become_worse_since_something_broke_shows_the_trouble() {
        let now = Timestamp::UNIX_EPOCH;
        let probes = ["prod", "bcp"].map(|site| (key(site), ProbeHealth::new(Duration::from_secs(30), 1, 1)));
        let mut sight = Sight::new(HealthState::new(probes));
        sight.look(&look("prod", now, true));
        sight.look(&look("bcp", now, false));
        assert_eq!(sight.trouble(now), None, "nothing has broken");
        sight.breaks(now);
        assert_eq!(sight.trouble(now), None, "it was so before");
        sight.look(&look("prod", now, false));
        sight.breaks(now);
        assert_eq!(sight.trouble(now).as_deref(), Some("exchange of prod is DOWN"));
        sight.look(&look("prod", now, true));
        assert_eq!(sight.trouble(now), None);
    }
}
