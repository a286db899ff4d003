//! The light of a file service: its folders are there on every host that has them, and their disks have room.

use async_trait::async_trait;
use futures::future::join_all;

use super::settings::Settings;
use crate::model::{ByteSize, Counted, Failure};
use crate::port::Place;
use crate::systems::probe::behind;
use crate::systems::remote::{DF_SECONDS, Disk, Disks, disks, path_arg};
use crate::systems::{Condition, Figure, Probe, ProbeEntry, Reading, StepContext, Unit};

/// The questions a file service is asked.
pub(super) fn probes() -> Vec<ProbeEntry> {
    vec![ProbeEntry::new("folders", Folders).every(30).within(12)]
}

/// Folders there, disks with room.
#[derive(Debug)]
struct Folders;

#[async_trait]
impl Probe for Folders {
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure> {
        let settings: Settings = cx.settings()?;
        let paths: Vec<String> = settings.paths.iter().map(|path| path_arg(path)).collect::<Result<_, _>>()?;
        let places = settings.places(cx)?;
        let looks = join_all(places.iter().map(async |place| match disks(cx, place, &paths).await {
            Ok(found) => (place, Ok(found)),
            Err(failure) => (place, Err(behind(cx, place, failure).await)),
        }));
        let looks = looks.await;
        judge(cx.estate.policy.min_free_percent.unwrap_or(10), &paths, looks)
    }
}

/// A host that does not answer, or lets nobody in, says nothing of its folders: what the others say counts, and it is named.
fn judge(min_free: u8, paths: &[String], looks: Vec<(&Place, Result<Disks, Failure>)>) -> Result<Reading, Failure> {
    let mut reading = Reading::up(format!("df {}", paths.join(" ")));
    let (mut least, mut silent) = (None::<(u64, u64)>, Vec::new());
    let hosts = looks.len();
    for (place, look) in looks {
        match look {
            Ok(Disks::Seen(spaces)) => {
                for (path, Disk { space, .. }) in paths.iter().zip(spaces) {
                    if let Some(problem) = space.problem(min_free) {
                        reading.find(Condition::Degraded, format!("the disk of {path} on {place} {problem}"));
                    }
                    if least.is_none_or(|(free, _)| space.free < free) {
                        least = Some((space.free, space.size));
                    }
                }
            }
            Ok(Disks::Stalled) => {
                reading
                    .find(Condition::Down, format!("the file system does not answer on {place} within {DF_SECONDS}s"));
            }
            Err(failure) if failure.is_unknown() => silent.push((place, failure)),
            Err(failure) => reading.find(Condition::Down, format!("{place}: {}", failure.got)),
        }
    }
    if silent.len() == hosts
        && let Some((_, failure)) = silent.pop()
    {
        return Err(failure);
    }
    for (place, failure) in silent {
        reading.find(Condition::Degraded, format!("{place} cannot be asked: {}", failure.got));
    }
    let (folders, on) = (Counted::of(paths.len(), "folder", "folders"), Counted::of(hosts, "host", "hosts"));
    let mut summary = format!("{folders} on {on}");
    if let Some((free, size)) = least {
        summary = format!("{summary}, {} free", ByteSize(free));
        let used = Figure::share("used", size.saturating_sub(free), size);
        reading = reading.figure(used).figure(Figure::whole("free", free, Unit::Bytes));
    }
    Ok(reading.summed_up(summary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailureKind, HostName, SafeText, SiteName};
    use crate::systems::remote::Space;

    #[test]
    fn folders_are_there_full_missing_or_behind_silence() {
        let place =
            |host: &str| Place::Host(SiteName::new("prod").expect("a name"), HostName::new(host).expect("a name"));
        let places = [place("app1"), place("app2")];
        let paths = ["/data".to_owned()];
        let seen = |free| {
            let space = Space { size: 1000, free, inodes: None };
            Ok(Disks::Seen(vec![Disk { source: "/dev/vda1".to_owned(), mount: "/".to_owned(), space }]))
        };
        let fails = |kind, got: &str| Err(Failure::new(kind, "run df", got));
        for (first, second, condition, said) in [
            (seen(500), seen(400), Condition::Up, ""),
            (seen(500), seen(0), Condition::Degraded, "on prod:app2 is full"),
            (seen(500), Ok(Disks::Stalled), Condition::Down, "does not answer on prod:app2"),
            (fails(FailureKind::Refused, "df: /data: No such file"), seen(500), Condition::Down, "No such file"),
            (fails(FailureKind::Unknown, "no route"), seen(500), Condition::Degraded, "no route"),
        ] {
            let looks = places.iter().zip([first, second]).collect();
            let reading = judge(10, &paths, looks).expect("a reading");
            let found = reading.findings.first().map_or("", SafeText::as_str);
            assert_eq!(reading.condition, condition, "{found}");
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found} does not say {said}");
        }
        let looks = places.iter().map(|place| (place, fails(FailureKind::Unknown, "no route"))).collect();
        assert!(judge(10, &paths, looks).expect_err("nobody answered").is_unknown());
    }
}
