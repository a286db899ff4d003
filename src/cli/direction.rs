//! Which way a run goes: what both sites say, what the estate says, and what the user says, in that order of trust.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::estate::Estate;
use crate::model::{Direction, DirectionRecord, SiteName};
use crate::points::Tree;
use crate::port::{Command, Pipeline, Place, Reach};

/// What one site says about the direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteSays {
    /// It has this record.
    Record(DirectionRecord),
    /// It was asked and has none.
    Nothing,
    /// It could not be asked; why.
    Unknown(String),
}

/// Why no direction can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDirection {
    /// The sites disagree, or contradict what was asked for.
    Refused(String),
    /// The estate or the request makes no sense.
    Invalid(String),
}

impl std::fmt::Display for NoDirection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) | Self::Invalid(why) => f.write_str(why),
        }
    }
}

/// Asks both sites side by side for their direction records.
pub async fn ask_sites(reach: &dyn Reach, estate: &Estate) -> Vec<(SiteName, SiteSays)> {
    let asked = estate.sites.keys().map(|site| async move { (site.clone(), ask_site(reach, estate, site).await) });
    futures::future::join_all(asked).await
}

/// Asks both sites side by side and waits for a direction record of one of them, for the words of both, or for
/// `patience`: what has not come by then is unknown. A site that hangs does not hold up what the other knows.
pub async fn ask_for_one(reach: &dyn Reach, estate: &Estate, patience: Duration) -> Vec<(SiteName, SiteSays)> {
    let mut says: BTreeMap<SiteName, SiteSays> =
        estate.sites.keys().map(|site| (site.clone(), SiteSays::Unknown("no answer yet".to_owned()))).collect();
    let asked = estate.sites.keys().map(|site| async move { (site.clone(), ask_site(reach, estate, site).await) });
    let mut asked: FuturesUnordered<_> = asked.collect();
    let listening = async {
        while let Some((site, word)) = asked.next().await {
            let is_enough = matches!(word, SiteSays::Record(_));
            says.insert(site, word);
            if is_enough {
                return;
            }
        }
    };
    // What was heard until then is in `says`.
    drop(tokio::time::timeout(patience, listening).await);
    says.into_iter().collect()
}

async fn ask_site(reach: &dyn Reach, estate: &Estate, site: &SiteName) -> SiteSays {
    let hosts = || estate.hosts_with_role(site, None);
    let Some((host, _)) = hosts().find(|(_, host)| host.local).or_else(|| hosts().next()) else {
        return SiteSays::Unknown("it has no hosts in the estate".to_owned());
    };
    let Some(direction) = estate.direction_from(site) else {
        return SiteSays::Unknown("the estate does not have exactly two sites".to_owned());
    };
    let exchange = &estate.sites[site].exchange;
    let path = Tree::new(exchange, &direction).direction_record();
    let Some(path) = path.to_str() else {
        return SiteSays::Unknown("the path of its exchange tree is not UTF-8".to_owned());
    };
    let read = Pipeline::from(Command::new("cat").arg(path).env("LC_ALL", "C"));
    match reach.exec(&Place::Host(site.clone(), host.clone()), &read, Duration::from_secs(15)).await {
        Ok(output) if output.is_success() => serde_json::from_slice(&output.stdout)
            .map_or_else(|error| SiteSays::Unknown(format!("{path} is damaged: {error}")), SiteSays::Record),
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("No such file or directory") => {
            SiteSays::Nothing
        }
        Ok(output) => SiteSays::Unknown(output.complaint(&read)),
        Err(error) => SiteSays::Unknown(error.to_string()),
    }
}

/// Chooses the direction. `wanted` is the source that the user asked for.
///
/// A record wins over the estate's `active`; two records must agree; the user may only confirm what they say.
///
/// # Errors
/// [`NoDirection`] with a sentence for people.
pub fn choose(
    estate: &Estate,
    says: &[(SiteName, SiteSays)],
    wanted: Option<&SiteName>,
) -> Result<Direction, NoDirection> {
    let records: Vec<(&SiteName, &DirectionRecord)> = says
        .iter()
        .filter_map(|(site, says)| match says {
            SiteSays::Record(record) => Some((site, record)),
            _ => None,
        })
        .collect();
    if let [(a, first), (b, second)] = records[..]
        && (first.epoch != second.epoch || first.active != second.active)
    {
        let next = if first.epoch == second.epoch {
            "neither epoch is newer: find out which site the users write to, and fence the other one"
        } else {
            "the smaller epoch is stale: fence that site"
        };
        return Err(NoDirection::Refused(format!(
            "the sites disagree about the direction: {a} says that {} is active (epoch {}), {b} says {} (epoch {}); {next}",
            first.active, first.epoch, second.active, second.epoch
        )));
    }
    let active = records.first().map_or(&estate.active, |(_, record)| &record.active);
    if let Some(wanted) = wanted
        && wanted != active
    {
        if !estate.sites.contains_key(wanted) {
            return Err(NoDirection::Invalid(format!("the estate has no site `{wanted}`")));
        }
        return Err(NoDirection::Refused(format!(
            "{wanted} was asked for as the source, but {active} is active; turn the direction first"
        )));
    }
    estate
        .direction_from(active)
        .ok_or_else(|| NoDirection::Invalid(format!("`{active}` is not one of exactly two sites of the estate")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, RunId};

    fn estate() -> Estate {
        toml::from_str("name=\"e\"\nactive=\"prod\"\n[sites.prod]\nexchange=\"/x\"\n[sites.bcp]\nexchange=\"/x\"\n")
            .expect("an estate")
    }

    fn site(name: &str) -> SiteName {
        SiteName::new(name).expect("a name")
    }

    fn record(active: &str, epoch: u64) -> SiteSays {
        SiteSays::Record(DirectionRecord {
            epoch: Epoch(epoch),
            active: site(active),
            since: jiff::Timestamp::UNIX_EPOCH,
            run: RunId::new("r").expect("a name"),
        })
    }

    fn source(prod: SiteSays, bcp: SiteSays, wanted: Option<&str>) -> Result<String, NoDirection> {
        let wanted = wanted.map(site);
        choose(&estate(), &[(site("prod"), prod), (site("bcp"), bcp)], wanted.as_ref())
            .map(|direction| direction.source.to_string())
    }

    #[test]
    fn records_win_over_the_estate_and_must_agree() {
        let unknown = || SiteSays::Unknown("no route".into());
        assert_eq!(source(SiteSays::Nothing, SiteSays::Nothing, None), Ok("prod".into()));
        assert_eq!(source(record("bcp", 2), record("bcp", 2), None), Ok("bcp".into()));
        assert_eq!(source(unknown(), record("bcp", 2), None), Ok("bcp".into()));
        assert!(matches!(source(record("prod", 1), record("bcp", 2), None), Err(NoDirection::Refused(_))));
        assert!(matches!(source(record("prod", 1), record("prod", 2), None), Err(NoDirection::Refused(_))));
    }

    #[test]
    fn no_site_is_called_stale_unless_its_epoch_is() {
        for (epoch, says) in [(1, "neither epoch is newer"), (2, "the smaller epoch is stale")] {
            let Err(NoDirection::Refused(why)) = source(record("prod", 1), record("bcp", epoch), None) else {
                panic!("epoch {epoch} is not refused")
            };
            assert!(why.contains(says), "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_hangs_does_not_hold_up_what_the_other_knows() {
        use crate::port::fake::{Answer, FakeReach};
        let estate: Estate = toml::from_str(
            "name=\"e\"\nactive=\"prod\"\n[sites.prod]\nexchange=\"/x\"\nhosts.a={address=\"a\"}\n\
             [sites.bcp]\nexchange=\"/x\"\nhosts.a={address=\"b\"}\n",
        )
        .expect("an estate");
        let record = "{\"epoch\":2,\"active\":\"bcp\",\"since\":\"2026-03-01T00:00:00Z\",\"run\":\"r\"}";
        for (bcp, seconds, source) in [
            (Answer::stdout(record), 0, "bcp"),
            (Answer::exec(&[1], "", "cat: x: No such file or directory"), 3, "prod"),
            (Answer::Hang, 3, "prod"),
        ] {
            let reach = FakeReach::new();
            reach.always("prod:", Answer::Hang).always("bcp:", bcp);
            let began = tokio::time::Instant::now();
            let says = ask_for_one(&reach, &estate, Duration::from_secs(3)).await;
            assert_eq!(began.elapsed().as_secs(), seconds);
            assert_eq!(says.len(), 2, "both are there, heard or not: {says:?}");
            assert_eq!(choose(&estate, &says, None).expect("a direction").source, site(source));
        }
    }

    #[test]
    fn the_user_cannot_turn_the_direction_by_asking() {
        assert_eq!(source(record("prod", 1), record("prod", 1), Some("prod")), Ok("prod".into()));
        assert!(matches!(source(record("prod", 1), record("prod", 1), Some("bcp")), Err(NoDirection::Refused(_))));
        assert!(matches!(source(SiteSays::Nothing, SiteSays::Nothing, Some("mars")), Err(NoDirection::Invalid(_))));
    }
}
