//! The lease of a site: of two runs, wherever they were started, one at a time changes anything there.
//!
//! No clock is compared with another one. Whoever wants a lease that somebody else holds watches whether the holder says
//! anything for [`LEASE_SILENCE`] of its own time; and every changing step looks whether its lease still counts, because a
//! holder that was stopped for a while does not know how long it slept.

use std::time::Duration;

use crate::model::{Failure, FailureKind, Lease, LeaseSign, Sighting, SiteName};

/// How often a holder says that it lives.
pub const LEASE_BEAT: Duration = Duration::from_secs(20);

/// How long a holder must have said nothing before its lease is taken over: three beats, and the time they may take.
pub const LEASE_SILENCE: Duration = Duration::from_secs(70);

/// What whoever wants the lease of a site does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// Take the lease of this number.
    Take(u64),
    /// See whether the holder of this one lives.
    Watch(&'a Sighting),
}

/// Decides how `own` comes to the lease of a site, of which this was `seen`.
///
/// A lease that is over is free. So is one of the same console: its lock lets one process act at a time, so that the
/// holder is gone.
#[must_use]
pub fn claim<'a>(seen: Option<&'a Sighting>, own: &Lease) -> Claim<'a> {
    let Some(seen) = seen else { return Claim::Take(1) };
    let is_own_console = seen.lease.as_ref().is_some_and(|lease| lease.console == own.console);
    if is_own_console || seen.sign == Some(LeaseSign::Over) { Claim::Take(seen.number + 1) } else { Claim::Watch(seen) }
}

/// Decides whether `own`, which took the lease of a number at `site`, may still change something there: `at_own` is the
/// lease of that number as the site has it now, `at_next` the one behind it.
///
/// # Errors
/// `Rule` when somebody else has taken the lease over, or has removed it.
pub fn judge_lease(
    site: &SiteName,
    own: &Lease,
    at_own: Option<&Lease>,
    at_next: Option<&Lease>,
) -> Result<(), Failure> {
    let tried = format!("make sure that this run alone changes {site}");
    let lost = |got: String, hint: &str| Err(Failure::new(FailureKind::Rule, tried, got).hint(hint));
    match (at_own, at_next) {
        (Some(lease), None) if lease == own => Ok(()),
        (_, Some(other)) => lost(
            format!("{other}, has taken the lease of the site over"),
            "this program was stopped or cut off for longer than a minute; see what the other run has done before this \
             one is resumed",
        ),
        (Some(other), None) => lost(
            format!("the lease of the site belongs to another run now: {other}"),
            "somebody has removed the lease of this run; see what the other run has done before this one is resumed",
        ),
        (None, None) => lost(
            "the lease that this run took there is gone".to_owned(),
            "somebody has removed it, or another run has taken it over and is over by now; see what has happened at the \
             site before this run is resumed",
        ),
    }
}

/// Why nothing is changed at a site while another run does.
#[must_use]
pub fn leased_to_other(site: &SiteName, seen: &Sighting) -> Failure {
    let who = match &seen.lease {
        Some(lease) => format!("another run changes it, and lives: {lease}"),
        None => "another program is just taking its lease".to_owned(),
    };
    Failure::new(FailureKind::Rule, format!("take the lease of {site}"), who).hint(
        "wait for that run, or cancel it on the machine that it was started from; if that machine cannot be reached and its \
         run must not go on, stop the machine: its lease is taken over when it has been silent for a minute",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConsoleId, RunId};

    fn lease(run: &str, session: u32, console: &str) -> Lease {
        Lease {
            run: RunId::new(run).expect("a name"),
            session,
            console: ConsoleId::new(console).expect("a name"),
            by: "ops@console".into(),
            since: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_over_or_of_the_same_console() {
        let own = lease("r2", 1, "here");
        let seen = |lease: Option<Lease>, sign| Sighting { number: 7, lease, sign };
        let beat = Some(LeaseSign::Beat(3));
        for (seen, then) in [
            (None, Some(1)),
            (Some(seen(Some(lease("r1", 1, "there")), beat)), None),
            (Some(seen(Some(lease("r1", 1, "there")), None)), None),
            (Some(seen(None, None)), None),
            (Some(seen(Some(lease("r1", 1, "there")), Some(LeaseSign::Over))), Some(8)),
            (Some(seen(None, Some(LeaseSign::Over))), Some(8)),
            (Some(seen(Some(lease("r1", 1, "here")), beat)), Some(8)),
            (Some(seen(Some(own.clone()), None)), Some(8)),
        ] {
            let take = match claim(seen.as_ref(), &own) {
                Claim::Take(number) => Some(number),
                Claim::Watch(watched) => {
                    assert_eq!(Some(watched), seen.as_ref());
                    None
                }
            };
            assert_eq!(take, then, "{seen:?}");
        }
    }

    #[test]
    fn only_the_lease_that_was_taken_and_is_the_last_one_counts() {
        let site = SiteName::new("bcp").expect("a name");
        let own = lease("r2", 2, "here");
        let judge = |at_own: Option<&Lease>, at_next: Option<&Lease>| {
            judge_lease(&site, &own, at_own, at_next).map_err(|failure| (failure.kind, failure.got.to_string()))
        };
        assert_eq!(judge(Some(&own), None), Ok(()));
        let other = lease("r3", 1, "there");
        let sleeper = lease("r2", 1, "here");
        for (at_own, at_next, words) in [
            (Some(&own), Some(&other), "run r3, started by ops@console"),
            (None, Some(&other), "has taken the lease of the site over"),
            (Some(&other), None, "belongs to another run now: run r3"),
            (Some(&sleeper), None, "belongs to another run now: run r2"),
            (None, None, "is gone"),
        ] {
            let (kind, got) = judge(at_own, at_next).expect_err("must be refused");
            assert_eq!(kind, FailureKind::Rule);
            assert!(got.contains(words), "{got}");
        }
    }

    #[test]
    fn a_refusal_says_who_works_there() {
        let site = SiteName::new("bcp").expect("a name");
        let seen = |lease| Sighting { number: 1, lease, sign: None };
        let failure = leased_to_other(&site, &seen(Some(lease("r3", 1, "there"))));
        assert_eq!(failure.kind, FailureKind::Rule);
        assert!(failure.to_string().contains("run r3, started by ops@console"), "{failure}");
        assert!(leased_to_other(&site, &seen(None)).to_string().contains("is just taking its lease"));
    }
}
