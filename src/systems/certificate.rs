//! The light of certificates: how long those that a service shows by HTTPS still hold. The rooms say which addresses
//! they ask; what a certificate that is near its end means is decided here alone.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};
use crate::model::{Counted, Failure, FailureKind};
use crate::port::{Certificate, CertificateLook, ReachError, ReachErrorKind};

/// A certificate that ends sooner must be seen to. Those that renew themselves do so with 30 days left, so that this is
/// reached only after renewing has failed for more than a week.
const SOON: i64 = 21;
/// How long one server may take.
const ANSWER: Duration = Duration::from_secs(5);

/// An address that is asked by HTTPS, and the service's own authority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsAddress {
    /// The whole URL.
    pub url: String,
    /// PEM certificates of the authority to trust beside the usual ones.
    pub ca_pem: Option<String>,
}

/// The addresses of a service; those that do not begin with `https` are left out by whoever asks.
pub type Addresses = fn(&StepContext) -> Result<Vec<TlsAddress>, Failure>;

/// The question about certificates, for a service that has addresses of which one at least is asked by HTTPS.
pub fn probe<'a>(written: impl IntoIterator<Item = &'a str>, addresses: Addresses) -> Option<ProbeEntry> {
    let mut written = written.into_iter();
    let probe = || ProbeEntry::new("certificate", Certificates { addresses }).every(600).within(20).dear();
    written.any(is_tls).then(probe)
}

fn is_tls(url: &str) -> bool {
    url.starts_with("https://")
}

#[derive(Debug)]
struct Certificates {
    addresses: Addresses,
}

#[async_trait]
impl Probe for Certificates {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let mut addresses = (self.addresses)(cx)?;
        addresses.retain(|address| is_tls(&address.url));
        addresses.sort();
        addresses.dedup();
        let looks = addresses.into_iter().map(|TlsAddress { url, ca_pem }| async move {
            let look = CertificateLook { url, ca_pem, timeout: ANSWER };
            let seen = cx.reach.certificate(&look).await;
            (look.url, seen)
        });
        judge(&futures::future::join_all(looks).await.into_iter().collect(), cx.clock.now())
    }
}

/// What the certificates of several servers say together.
///
/// # Errors
/// When no server answered: that is for the light of the service itself to say.
fn judge(seen: &BTreeMap<String, Result<Certificate, ReachError>>, now: Timestamp) -> Result<Reading, Failure> {
    let mut reading = Reading::up(seen.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
    let (mut first, mut silent) = (None, None);
    for (url, certificate) in seen {
        match certificate {
            Ok(certificate) => {
                let days = (certificate.not_after.as_second() - now.as_second()).div_euclid(86_400);
                let until = certificate.not_after.strftime("%Y-%m-%d %H:%M UTC");
                if days < 0 {
                    reading.find(Condition::Down, format!("the certificate of {url} has ended: {until}"));
                } else if days < SOON {
                    let finding = format!("the certificate of {url} ends in {}: {until}; renew it", in_words(days));
                    reading.find(Condition::Degraded, finding);
                }
                first = Some(first.map_or(days, |first: i64| first.min(days)));
            }
            Err(error) if matches!(error.kind, ReachErrorKind::Denied | ReachErrorKind::Refused) => {
                reading.find(Condition::Down, format!("{url}: {}", error.got));
            }
            Err(error) => silent = Some(error),
        }
    }
    if first.is_none()
        && reading.condition == Condition::Up
        && let Some(error) = silent
    {
        let failure = error.while_reading("look at the certificate");
        return Err(Failure { kind: FailureKind::Unknown, ..failure });
    }
    if let Some(days) = first {
        #[expect(clippy::cast_precision_loss, reason = "drawn and compared, never added up")]
        let days_left = days as f64;
        reading = reading.figure(Figure::new("days left", days_left, Unit::Count));
    }
    let summary = match first {
        Some(days) if days < 0 => "certificate has ended".to_owned(),
        Some(days) => format!("certificates hold for {}", in_words(days)),
        None => "certificate not accepted".to_owned(),
    };
    Ok(reading.summed_up(summary))
}

fn in_words(days: i64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        days => Counted(days.unsigned_abs(), "day", "days").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SafeText;

    const NOW: &str = "2026-03-01T12:00:00Z";

    fn at(url: &str, until: &str) -> (String, Result<Certificate, ReachError>) {
        let not_after = until.parse().expect("a time");
        (url.to_owned(), Ok(Certificate { subject: "CN=search1".to_owned(), not_after }))
    }

    fn fails(url: &str, kind: ReachErrorKind, got: &str) -> (String, Result<Certificate, ReachError>) {
        (url.to_owned(), Err(ReachError::new(kind, url, got)))
    }

    fn judged(seen: impl IntoIterator<Item = (String, Result<Certificate, ReachError>)>) -> Result<Reading, Failure> {
        judge(&seen.into_iter().collect(), NOW.parse().expect("a time"))
    }

    #[test]
    fn what_is_near_its_end_is_said_with_the_days_that_are_left() {
        for (until, condition, days, summary, finding) in [
            ("2026-06-01T12:00:00Z", Condition::Up, 92.0, "certificates hold for 92 days", ""),
            ("2026-03-22T12:00:00Z", Condition::Up, 21.0, "certificates hold for 21 days", ""),
            (
                "2026-03-22T11:59:59Z",
                Condition::Degraded,
                20.0,
                "certificates hold for 20 days",
                "ends in 20 days: 2026-03-22 11:59 UTC",
            ),
            ("2026-03-02T13:00:00Z", Condition::Degraded, 1.0, "certificates hold for 1 day", "ends in 1 day:"),
            (
                "2026-03-01T12:00:00Z",
                Condition::Degraded,
                0.0,
                "certificates hold for less than a day",
                "less than a day",
            ),
            ("2026-03-01T11:59:59Z", Condition::Down, -1.0, "certificate has ended", "has ended: 2026-03-01 11:59 UTC"),
        ] {
            let reading = judged([at("https://a", until), at("https://b", "2027-01-01T00:00:00Z")]).expect("a reading");
            assert_eq!((reading.condition, reading.summary.as_str()), (condition, summary), "{until}");
            assert!((reading.figures[0].value - days).abs() < f64::EPSILON, "{until}: {:?}", reading.figures);
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert!(found.contains(finding) && found.is_empty() == finding.is_empty(), "{until}: {found}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_accepted_is_no_silence_and_silence_is_nothing_known() {
        let denied = fails("https://a", ReachErrorKind::Denied, "invalid peer certificate: Expired");
        let lost = fails("https://b", ReachErrorKind::Lost, "connection reset");
        let reading = judged([denied, lost.clone()]).expect("a reading");
        assert_eq!((reading.condition, reading.summary.as_str()), (Condition::Down, "certificate not accepted"));
        assert!(reading.findings[0].as_str().contains("Expired"));
        let failure = judged([lost.clone()]).expect_err("nobody answered");
        assert_eq!(failure.kind, FailureKind::Unknown);
        let one = judged([lost, at("https://a", "2026-06-01T12:00:00Z")]).expect("one answered");
        assert_eq!(one.condition, Condition::Up, "the other one is the affair of the service's own light");
    }
}
