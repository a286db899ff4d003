//! Which probes an estate has, and how each is asked. Pure.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{HealthState, ProbeHealth, ProbeKey, Subject};
use crate::estate::{Estate, Pace};
use crate::model::{HostName, ServiceName, SiteName};
use crate::systems::{Catalogue, Probe, ProbeEntry, exchange, host};

/// Looks in a row until a verdict changes, when the estate says nothing: one that went astray changes none.
const IN_A_ROW: u32 = 2;
/// Nothing is asked more often.
const SHORTEST: Duration = Duration::from_secs(1);

/// One probe of the estate, and how it is asked.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Which.
    pub key: ProbeKey,
    /// Between two looks.
    pub interval: Duration,
    /// How long one look may take.
    pub deadline: Duration,
    /// Good looks in a row until it is up again.
    pub rise: u32,
    /// Bad looks in a row until it is not.
    pub fall: u32,
    /// The probe.
    pub probe: Arc<dyn Probe>,
}

impl Planned {
    fn new(site: &SiteName, subject: Subject, entry: ProbeEntry, pace: &Pace) -> Self {
        let wanted = pace.interval.map_or(entry.interval, |span| span.0).max(SHORTEST);
        let in_a_row = |number: Option<NonZeroU32>| number.map_or(IN_A_ROW, NonZeroU32::get);
        Self {
            key: ProbeKey { site: site.clone(), subject, question: entry.question },
            interval: if entry.dear { wanted.max(entry.interval) } else { wanted },
            deadline: pace.deadline.map_or(entry.deadline, |span| span.0).max(SHORTEST),
            rise: in_a_row(pace.rise),
            fall: in_a_row(pace.fall),
            probe: entry.probe,
        }
    }

    /// The service it is about.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match &self.key.subject {
            Subject::Service(name) => Some(name),
            _ => None,
        }
    }

    /// The host it is about.
    #[must_use]
    pub fn host(&self) -> Option<&HostName> {
        match &self.key.subject {
            Subject::Host(name) => Some(name),
            _ => None,
        }
    }
}

/// All probes of an estate, in the order of their keys: every service, every host and the exchange tree of both sites.
#[must_use]
pub fn plan(estate: &Estate, catalogue: &Catalogue) -> Vec<Planned> {
    let mut planned = Vec::new();
    let common = estate.health.pace(None);
    for (site, facts) in &estate.sites {
        for (name, service) in &estate.services {
            let settings = estate.settings_at(name, site).unwrap_or_default();
            let pace = estate.health.pace(Some(name));
            let entries = catalogue.service(&service.kind).map(|kind| kind.probes(&settings)).unwrap_or_default();
            let subject = || Subject::Service(name.clone());
            planned.extend(entries.into_iter().map(|entry| Planned::new(site, subject(), entry, &pace)));
        }
        for name in facts.hosts.keys() {
            let subject = || Subject::Host(name.clone());
            planned.extend(host::probes().into_iter().map(|entry| Planned::new(site, subject(), entry, &common)));
        }
        // Without a host there is nobody who could look at it.
        if !facts.hosts.is_empty() {
            let entries = exchange::probes().into_iter();
            planned.extend(entries.map(|entry| Planned::new(site, Subject::Exchange, entry, &common)));
        }
    }
    planned.sort_by(|a, b| a.key.cmp(&b.key));
    planned
}

/// The state before the first look.
#[must_use]
pub fn unseen(plan: &[Planned]) -> HealthState {
    // A look that takes its whole deadline is no sign that nobody asks any more.
    let health =
        |planned: &Planned| ProbeHealth::new(planned.interval.max(planned.deadline), planned.rise, planned.fall);
    HealthState::new(plan.iter().map(|planned| (planned.key.clone(), health(planned))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::catalogue;

    fn estate(more: &str) -> Estate {
        let text = format!(
            r#"
            name = "shop"
            active = "prod"
            [sites.prod]
            exchange = "/x"
            hosts.app1 = {{ address = "10.0.1.11", roles = ["app"] }}
            [sites.bcp]
            exchange = "/x"
            [services.search]
            kind = "elasticsearch"
            prod.urls = ["http://a:9200"]
            bcp.urls = ["http://b:9200"]
            [services.db]
            kind = "mysql"
            databases = ["shop"]
            user = "u"
            [services.app]
            kind = "app"
            role = "app"
            {more}
            "#
        );
        toml::from_str(&text).expect("an estate")
    }

    #[test]
    fn every_part_of_both_sites_is_asked() {
        let plan = plan(&estate(""), &catalogue());
        let keys: Vec<String> = plan
            .iter()
            .map(|planned| format!("{} {} {}", planned.key.site, planned.key.subject, planned.key.question))
            .collect();
        assert_eq!(
            keys,
            [
                // A site without hosts has nobody who looks at its tree; an application that cannot be asked is not.
                "bcp db server",
                "bcp db size",
                "bcp search cluster",
                "bcp search disk",
                "bcp search repository",
                "prod db server",
                "prod db size",
                "prod search cluster",
                "prod search disk",
                "prod search repository",
                "prod app1 disk",
                "prod app1 ssh",
                "prod exchange mount",
                "prod exchange points",
            ]
        );
        assert_eq!(unseen(&plan).probes().len(), plan.len(), "every key is there once");
    }

    #[test]
    fn the_estate_changes_the_pace_of_all_or_of_one_service() {
        let more = "[health]\ninterval = \"2s\"\nfall = 5\n[health.services.db]\ninterval = \"20s\"\nrise = 1\n";
        let plan = plan(&estate(more), &catalogue());
        let paces: Vec<(&str, u64, u32, u32)> = plan
            .iter()
            .filter(|planned| planned.key.site.as_str() == "prod")
            .map(|planned| (planned.key.question, planned.interval.as_secs(), planned.rise, planned.fall))
            .collect();
        for pace in [("server", 20, 1, 5), ("cluster", 2, 2, 5), ("ssh", 2, 2, 5), ("mount", 2, 2, 5)] {
            assert!(paces.contains(&pace), "{pace:?} is not in {paces:?}");
        }
        assert!(paces.contains(&("size", 300, 1, 5)), "what is dear keeps its own interval: {paces:?}");
    }
}
