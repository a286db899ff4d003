//! `exchange.prepare`: the mount is there and writable, and both sites agree who is active.
//!
//! The very first run writes the direction record; from then on this step only compares. It never turns a direction.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::looks::At;
use super::mount::{Patience, Sight, sight, stalled};
use crate::guard::LEASE_SILENCE;
use crate::model::{Direction, DirectionRecord, End, Epoch, Failure, FailureKind, SafeText, Sighting, SiteName};
use crate::port::Command;
use crate::systems::epoch::{describe, read_record};
use crate::systems::lease::sighting;
use crate::systems::remote::{change, get_file, make_folder, path_arg, put_file};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Checks the exchange mount and the direction.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepare {
    /// The other site cannot be reached from here by design (storage replicates, no SSH between): it is not asked.
    #[serde(default)]
    alone: bool,
}

/// How long the exchange folder may take to answer.
const PATIENCE: Patience = Patience { share: "25", host: Duration::from_secs(30) };

/// What the other site says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Other {
    Says(Option<DirectionRecord>),
    /// It cannot be asked; why.
    Silent(String),
    /// It is not to be asked.
    NotAsked,
}

/// What follows from the records.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// The records are good.
    Agreed(DirectionRecord),
    /// They are good as far as can be told; what cannot.
    AgreedHere(DirectionRecord, String),
    /// There is no record anywhere: this is the first run.
    First,
    /// The other site has the record, this one not yet.
    CopyIt(DirectionRecord),
}

/// Decides.
///
/// # Errors
/// Why not, and what to do.
fn decide(
    own: Option<DirectionRecord>,
    other: Other,
    direction: &Direction,
    first_active: &SiteName,
    (here, there): (&SiteName, &SiteName),
) -> Result<Verdict, (String, &'static str)> {
    let both = |own: &DirectionRecord, other: &DirectionRecord| {
        format!("{here} says: {}; {there} says: {}", describe(own), describe(other))
    };
    let fits = |record: &DirectionRecord, said: String| {
        if record.active == direction.source {
            Ok(())
        } else {
            let hint = "start the run in the direction that the record names, or turn the direction first; a site that \
                        believes it is active but is not must be fenced before anything else";
            Err((format!("this run is from {}; {said}", direction.source), hint))
        }
    };
    match (own, other) {
        (Some(own), Other::Says(Some(other))) => {
            if own.epoch != other.epoch || own.active != other.active {
                let hint = "the site with the smaller epoch is out of date: fence it (its applications, its database, \
                            its snapshots), then bring its record up to date by the runbook that turns the direction";
                return Err((format!("the sites do not agree: {}", both(&own, &other)), hint));
            }
            fits(&own, both(&own, &other))?;
            Ok(Verdict::Agreed(own))
        }
        (Some(own), Other::Says(None)) => {
            fits(&own, format!("{here} says: {}; {there} has no record", describe(&own)))?;
            Ok(Verdict::AgreedHere(own, format!("{there} has no direction record yet")))
        }
        (Some(own), Other::Silent(why)) => {
            fits(&own, format!("{here} says: {}; {there} cannot be asked", describe(&own)))?;
            Ok(Verdict::AgreedHere(own, format!("{there} could not be asked what it believes: {why}")))
        }
        (Some(own), Other::NotAsked) => {
            fits(&own, format!("{here} says: {}", describe(&own)))?;
            Ok(Verdict::Agreed(own))
        }
        (None, Other::Says(Some(other))) => {
            fits(&other, format!("{here} has no record; {there} says: {}", describe(&other)))?;
            Ok(Verdict::CopyIt(other))
        }
        (None, Other::Silent(why)) => Err((
            format!("{here} has no direction record, and {there} cannot be asked: {why}"),
            "without either nobody knows who is active: make the other site reachable; only if this console can never \
             reach it, by design, write `alone = true` in this step's parameters",
        )),
        (None, Other::Says(None) | Other::NotAsked) => {
            if direction.source != *first_active {
                let said =
                    format!("there is no direction record yet, and the estate says that {first_active} is active");
                return Err((said, "the first run must start from the site that the estate calls active"));
            }
            Ok(Verdict::First)
        }
    }
}

impl Prepare {
    fn refused(tried: String, got: impl AsRef<str>, hint: &str) -> Failure {
        Failure::new(FailureKind::Rule, tried, got).hint(hint)
    }

    /// The exchange folder is there, and it is really the mount.
    async fn ensure_mount(cx: &StepContext, at: &At) -> Result<(), Failure> {
        match sight(cx, &at.place, &at.tree, PATIENCE).await? {
            Sight::Tree(_) => Ok(()),
            Sight::Other(other) => Err(other.failure(&at.place, &at.tree)),
            Sight::Stalled => Err(stalled(&at.place, &at.tree, PATIENCE)),
        }
    }

    /// Writes, syncs, reads back and removes a file.
    async fn probe(cx: &StepContext, at: &At) -> Result<(), Failure> {
        let path = at.tree.exchange().join(format!(".changeover-probe-{}", cx.run));
        let content = format!("{} {}\n", cx.run, cx.unit);
        put_file(cx, &at.place, &path, content.as_bytes()).await?;
        let back = get_file(cx, &at.place, &path).await?;
        change(cx, &at.place, &Command::new("rm").args(["-f", "--", &path_arg(&path)?]).into()).await?;
        if back.as_deref() == Some(content.as_bytes()) {
            return Ok(());
        }
        let tried = format!("write {} on {} and read it back", path.display(), at.place);
        Err(Failure::new(FailureKind::Mismatch, tried, "what came back is not what was written")
            .hint("the mount is sick: look at its server and at the kernel log of that host"))
    }

    async fn look(&self, cx: &StepContext) -> Result<(At, Verdict), Failure> {
        let here = cx.site()?;
        let there = cx.direction.site(match cx.direction.end_of(here) {
            Some(End::Source) => End::Target,
            _ => End::Source,
        });
        let at = At::new(cx, here)?;
        Self::ensure_mount(cx, &at).await?;
        let own = read_record(cx, here).await?;
        let other = if self.alone {
            Other::NotAsked
        } else {
            match read_record(cx, there).await {
                Ok(record) => Other::Says(record),
                // A damaged record is not silence.
                Err(failure) if failure.kind == FailureKind::Unreachable => Other::Silent(failure.got.to_string()),
                Err(failure) => return Err(failure),
            }
        };
        let verdict = decide(own, other, &cx.direction, &cx.estate.active, (here, there)).map_err(|(got, hint)| {
            Self::refused(format!("agree on the direction {} at {here}", cx.direction), got, hint)
        })?;
        Ok((at, verdict))
    }
}

#[async_trait]
impl Step for Prepare {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let tree = cx.tree(cx.site()?)?;
        let lines = [
            format!("read {} at both sites and compare", tree.direction_record().display()),
            format!("write, read back and remove a file in {}", tree.exchange().display()),
            format!("mkdir -p -m 2775 {}", tree.points().display()),
        ];
        Ok(lines.iter().map(|line| SafeText::line(line)).collect())
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let report = CheckReport::live();
        let report = match self.look(cx).await?.1 {
            Verdict::Agreed(record) | Verdict::CopyIt(record) => report.good(describe(&record)),
            Verdict::AgreedHere(record, but) => report.good(describe(&record)).bad(but),
            Verdict::First => report.good(format!("first run: epoch 1 begins, {} is active", cx.direction.source)),
        };
        let site = cx.site()?;
        let seen = sighting(cx, site).await?;
        Ok(match seen.as_ref().and_then(Sighting::holder) {
            Some(lease) => report.bad(format!(
                "{site} is leased to {lease}: a new run waits for {} seconds at most before its first change there, then \
                 goes on if that one is dead, and is refused if it lives",
                LEASE_SILENCE.as_secs()
            )),
            None => report,
        })
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let (at, verdict) = self.look(cx).await?;
        let mut done = StepDone::new();
        let (record, write) = match verdict {
            Verdict::Agreed(record) => (record, false),
            Verdict::AgreedHere(record, but) => {
                done = done.warn(but);
                (record, false)
            }
            Verdict::CopyIt(record) => (record, true),
            Verdict::First => {
                let active = cx.direction.source.clone();
                (DirectionRecord { epoch: Epoch(1), active, since: cx.clock.now(), run: cx.run.clone() }, true)
            }
        };
        Self::probe(cx, &at).await?;
        if write {
            let json = serde_json::to_vec_pretty(&record)
                .map_err(|error| Failure::new(FailureKind::Invalid, "write the direction record", error.to_string()))?;
            put_file(cx, &at.place, &at.tree.direction_record(), &json).await?;
            let site = cx.site()?;
            if read_record(cx, site).await?.as_ref() != Some(&record) {
                let tried = format!("write {} at {site}", at.tree.direction_record().display());
                return Err(Failure::new(FailureKind::Mismatch, tried, "what came back is not what was written"));
            }
            cx.say(format!("direction record written at {site}: {}", describe(&record)));
        }
        make_folder(cx, &at.place, at.tree.root()).await?;
        make_folder(cx, &at.place, &at.tree.points()).await?;
        cx.say(describe(&record));
        Ok(done.capture("epoch", record.epoch.0).capture("active", record.active.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConsoleId, Lease, LeaseSign, RunId};
    use crate::port::fake::Answer;
    use crate::systems::fake::Bench;
    use crate::systems::shelf::Shelf;

    fn name(text: &str) -> SiteName {
        SiteName::new(text).expect("a name")
    }

    fn record(epoch: u64, active: &str) -> DirectionRecord {
        let since = "2026-03-01T02:03:04Z".parse().expect("a time");
        DirectionRecord { epoch: Epoch(epoch), active: name(active), since, run: RunId::new("r").expect("a name") }
    }

    #[test]
    fn the_table_of_records() {
        let silent = || Other::Silent("no route".into());
        let says = |epoch, active| Other::Says(Some(record(epoch, active)));
        let verdict = |own: Option<(u64, &str)>, other: Other, source: &str| {
            let direction =
                Direction { source: name(source), target: name(if source == "prod" { "bcp" } else { "prod" }) };
            let own = own.map(|(epoch, active)| record(epoch, active));
            match decide(own, other, &direction, &name("prod"), (&name("prod"), &name("bcp"))) {
                Ok(Verdict::Agreed(_)) => "agreed",
                Ok(Verdict::AgreedHere(..)) => "agreed here",
                Ok(Verdict::First) => "first",
                Ok(Verdict::CopyIt(_)) => "copy it",
                Err(_) => "refused",
            }
        };
        for (own, other, source, expected) in [
            (None, Other::Says(None), "prod", "first"),
            (None, Other::Says(None), "bcp", "refused"),
            (None, Other::NotAsked, "prod", "first"),
            (None, Other::NotAsked, "bcp", "refused"),
            (None, silent(), "prod", "refused"),
            (None, says(1, "prod"), "prod", "copy it"),
            (None, says(2, "bcp"), "prod", "refused"),
            (Some((1, "prod")), says(1, "prod"), "prod", "agreed"),
            (Some((1, "prod")), says(1, "prod"), "bcp", "refused"),
            (Some((1, "prod")), says(2, "bcp"), "prod", "refused"),
            (Some((1, "prod")), says(2, "bcp"), "bcp", "refused"),
            (Some((2, "bcp")), says(1, "prod"), "bcp", "refused"),
            (Some((1, "prod")), says(1, "bcp"), "prod", "refused"),
            (Some((1, "prod")), Other::Says(None), "prod", "agreed here"),
            (Some((1, "prod")), Other::Says(None), "bcp", "refused"),
            (Some((1, "prod")), silent(), "prod", "agreed here"),
            (Some((1, "prod")), silent(), "bcp", "refused"),
            (Some((1, "prod")), Other::NotAsked, "prod", "agreed"),
            (Some((1, "prod")), Other::NotAsked, "bcp", "refused"),
        ] {
            assert_eq!(verdict(own, other.clone(), source), expected, "{own:?} {other:?} from {source}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_the_lease_is_said_before_anything_is_begun() {
        let (bench, shelf) = (Bench::new(""), Shelf::agreed("/mnt/exchange"));
        bench
            .reach
            .always("-writable", Answer::stdout("w 7.5 4096 /mnt/exchange/\0w 9.5 120 /mnt/exchange/direction.json\0"));
        shelf.serve(&bench.reach);
        let lease = Lease {
            run: RunId::new("r2").expect("a name"),
            session: 1,
            console: ConsoleId::new("there").expect("a name"),
            by: "ops@laptop".into(),
            since: "2026-03-01T02:03:04Z".parse().expect("a time"),
        };
        shelf.put("/mnt/exchange/leases/prod/7/holder.json", &serde_json::to_string(&lease).expect("text"));
        for (sign, said) in [
            (LeaseSign::Beat(3), Some("prod is leased to run r2, started by ops@laptop, since 2026-03-01T02:03:04Z:")),
            (LeaseSign::Over, None),
        ] {
            shelf.put("/mnt/exchange/leases/prod/7/sign.json", &serde_json::to_string(&sign).expect("text"));
            let report = Prepare { alone: false }.check(&bench.cx).await.expect("a report");
            let bad = report.findings.iter().find(|finding| finding.bad).map(|finding| finding.text.as_str());
            assert_eq!(bad.is_some(), said.is_some(), "{report:?}");
            assert!(bad.unwrap_or_default().starts_with(said.unwrap_or_default()), "{report:?}");
        }
    }

    #[test]
    fn a_refusal_shows_both_records() {
        let direction = Direction { source: name("prod"), target: name("bcp") };
        let both = decide(
            Some(record(3, "prod")),
            Other::Says(Some(record(4, "bcp"))),
            &direction,
            &name("prod"),
            (&name("prod"), &name("bcp")),
        );
        let (got, hint) = both.expect_err("they do not agree");
        assert!(
            got.contains("prod says: epoch 3, prod active") && got.contains("bcp says: epoch 4, bcp active"),
            "{got}"
        );
        assert!(hint.contains("fence it"));
    }
}
