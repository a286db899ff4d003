//! Which snapshots go: decided from the list of the repository and the points that are held. Pure.

use std::collections::BTreeSet;

use super::super::answers::Snapshot;
use super::super::dialect::Dialect;
use crate::model::{Counted, Limit, PointId, SiteName};

/// What is known of the points.
pub(super) struct Known<'a> {
    /// The site that takes the snapshots.
    pub(super) source: &'a SiteName,
    /// The run's own point.
    pub(super) own: &'a PointId,
    /// The newest complete point at the source.
    pub(super) newest: Option<&'a PointId>,
    /// Every point that has a folder anywhere, complete, pinned or not.
    pub(super) held: &'a BTreeSet<PointId>,
}

/// What goes and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Choice {
    /// The names of those that go now, the oldest point's first.
    pub(super) going: Vec<String>,
    /// How many more may go, in later runs.
    pub(super) waiting: usize,
    /// How many of this program stay.
    pub(super) kept: usize,
    /// How many others made.
    pub(super) strangers: usize,
}

impl Choice {
    /// In a sentence.
    pub(super) fn describe(&self) -> String {
        let mut said =
            vec![format!("{} kept, {} deleted", Counted::of(self.kept, "snapshot", "snapshots"), self.going.len())];
        if self.waiting > 0 {
            said.push(format!("{} more in the next runs", self.waiting));
        }
        if self.strangers > 0 {
            said.push(format!("{} not made by this program", self.strangers));
        }
        said.join(", ")
    }
}

/// Chooses. Without a complete point at the source nothing goes: what the list of points says is then no ground to
/// delete anything.
pub(super) fn choose(snapshots: &[Snapshot], known: &Known<'_>, at_most: Limit) -> Choice {
    let mut choice = Choice::default();
    let mut going = Vec::new();
    for snapshot in snapshots {
        match point_of(snapshot, known.source) {
            None => choice.strangers += 1,
            Some(point) if goes(snapshot, &point, known) => going.push((point, snapshot.name.clone())),
            Some(_) => choice.kept += 1,
        }
    }
    going.sort();
    let total = u64::try_from(snapshots.len()).unwrap_or(u64::MAX);
    let now = usize::try_from(at_most.of(total)).unwrap_or(usize::MAX).min(going.len());
    choice.waiting = going.len() - now;
    choice.going = going.into_iter().take(now).map(|(_, name)| name).collect();
    choice
}

fn goes(snapshot: &Snapshot, point: &PointId, known: &Known<'_>) -> bool {
    let older = known.newest.is_some_and(|newest| point < newest);
    // Deleting one that runs would stop it.
    older && *point != *known.own && !known.held.contains(point) && snapshot.state != "IN_PROGRESS"
}

/// The point for which this program took a snapshot at `source`; nothing for anybody else's.
///
/// Its metadata say so. Only a server that knew no metadata when it took the snapshot leaves the name to judge by.
fn point_of(snapshot: &Snapshot, source: &SiteName) -> Option<PointId> {
    if let Some(metadata) = &snapshot.metadata {
        let said = |key: &str| metadata.get(key).and_then(|value| value.as_str());
        said("run")?;
        return PointId::new(said("point")?).ok().filter(|_| said("from") == Some(source.as_str()));
    }
    let taken_by = Dialect::named(&snapshot.version, None)?;
    if taken_by.snapshot_metadata() { None } else { point_in(&snapshot.name) }
}

/// The point in a name such as `p-20260301-020304-ab01`, or with the attempt behind it, `…-2`.
fn point_in(name: &str) -> Option<PointId> {
    let mut parts = name.split('-');
    let all = |text: &str, length: usize, is: fn(&u8) -> bool| text.len() == length && text.as_bytes().iter().all(is);
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let (p, day, time, nonce) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if p != "p" || !all(day, 8, u8::is_ascii_digit) || !all(time, 6, u8::is_ascii_digit) || !all(nonce, 4, is_hex) {
        return None;
    }
    let attempt_fits = parts.next().is_none_or(|attempt| attempt.parse::<u32>().is_ok_and(|attempt| attempt > 1));
    let ends = attempt_fits && parts.next().is_none();
    PointId::new(format!("{p}-{day}-{time}-{nonce}")).ok().filter(|_| ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(text: &str) -> PointId {
        PointId::new(text).expect("a name")
    }

    fn point(number: u32) -> String {
        format!("p-202603{number:02}-020000-00ff")
    }

    /// As a server with metadata shows it.
    fn taken(number: u32) -> Snapshot {
        let metadata = json!({"run": "r", "point": point(number), "from": "prod"});
        serde_json::from_value(json!({"snapshot": point(number), "uuid": "U", "version": "2.19.4", "state": "SUCCESS",
            "metadata": metadata}))
        .expect("a snapshot")
    }

    fn chosen(snapshots: &[Snapshot], held: &[u32], newest: Option<u32>, at_most: Limit) -> Choice {
        let source = SiteName::new("prod").expect("a name");
        let held = held.iter().map(|number| id(&point(*number))).collect();
        let newest = newest.map(|number| id(&point(number)));
        let own = id(&point(9));
        choose(snapshots, &Known { source: &source, own: &own, newest: newest.as_ref(), held: &held }, at_most)
    }

    const ALL: Limit = Limit::Percent(100);

    #[test]
    fn only_what_no_site_holds_and_is_older_than_the_newest_good_goes() {
        let five: Vec<Snapshot> = [4, 1, 2, 3, 5].map(taken).into();
        for (held, newest, going) in [
            (&[1, 2, 3, 4, 5][..], Some(5), &[][..]),
            (&[3, 4, 5], Some(5), &[1, 2]),
            // Number 4 is newer than the newest good one: a run may be at it.
            (&[3], Some(3), &[1, 2]),
            // Number 1 is held, because it is pinned.
            (&[1, 5], Some(5), &[2, 3, 4]),
            // Nothing is known of the points: an unmounted tree, a new one.
            (&[], None, &[]),
            (&[1, 2], None, &[]),
            // The newest good one is never asked for, even if its folder vanished between two looks.
            (&[], Some(5), &[1, 2, 3, 4]),
        ] {
            let choice = chosen(&five, held, newest, ALL);
            let names: Vec<String> = going.iter().map(|number| point(*number)).collect();
            assert_eq!(choice.going, names, "{held:?} {newest:?}");
            assert_eq!((choice.kept, choice.waiting, choice.strangers), (5 - names.len(), 0, 0));
        }
    }

    #[test]
    fn what_the_run_itself_or_somebody_else_made_stays() {
        let mut running = taken(1);
        running.state = "IN_PROGRESS".into();
        let mut elsewhere = taken(1);
        elsewhere.metadata.as_mut().expect("metadata").insert("from".into(), json!("bcp"));
        let mut nightly = taken(1);
        nightly.metadata = Some(json!({"policy": "nightly"}).as_object().expect("an object").clone());
        // The name is ours, but a server that knows metadata would show them.
        let mut alike = taken(1);
        alike.metadata = None;
        let all = [running, elsewhere, nightly, alike, taken(9)];
        let choice = chosen(&all, &[10], Some(10), ALL);
        assert_eq!((choice.going.len(), choice.kept, choice.strangers), (0, 2, 3));
        // The same with a snapshot that goes, so that the table above cannot pass by refusing everything.
        assert_eq!(chosen(&[taken(1)], &[10], Some(10), ALL).going.len(), 1);
        // Of a point called otherwise by the runbook, known by its metadata.
        let mut named = taken(1);
        named.name = "nightly-1".into();
        assert_eq!(chosen(&[named], &[10], Some(10), ALL).going, ["nightly-1"]);
    }

    #[test]
    fn before_there_were_metadata_the_strict_name_tells() {
        let old = |name: &str, version: &str| -> Snapshot {
            let value = json!({"snapshot": name, "uuid": "U", "version": version, "state": "SUCCESS"});
            serde_json::from_value(value).expect("a snapshot")
        };
        let own = point(1);
        for (name, version, is_ours) in [
            (own.as_str(), "6.8.23", true),
            (&format!("{own}-2"), "7.2.1", true),
            (&format!("{own}-1"), "6.8.23", false),
            (&format!("{own}-2-3"), "6.8.23", false),
            (&format!("{own}-x"), "6.8.23", false),
            (&format!("my-{own}"), "6.8.23", false),
            ("p-20260301-020304-abcx", "6.8.23", false),
            ("p-20260301-020304", "6.8.23", false),
            ("p-2026031-020304-abcd", "6.8.23", false),
            ("nightly", "6.8.23", false),
            (&own, "7.3.0", false),
            (&own, "2.19.4", false),
            (&own, "", false),
        ] {
            let choice = chosen(&[old(name, version)], &[10], Some(10), ALL);
            assert_eq!(
                (choice.going.len(), choice.strangers),
                if is_ours { (1, 0) } else { (0, 1) },
                "{name} {version}"
            );
        }
    }

    #[test]
    fn a_backlog_goes_in_portions_the_oldest_first() {
        let ten: Vec<Snapshot> = (1..=8).rev().chain([10, 11]).map(taken).collect();
        let quarter = chosen(&ten, &[10, 11], Some(11), Limit::Percent(25));
        assert_eq!((quarter.going.as_slice(), quarter.waiting), (&[point(1), point(2), point(3)][..], 5));
        assert!(quarter.describe().contains("5 more in the next runs"), "{}", quarter.describe());
        assert_eq!(chosen(&ten[7..], &[10, 11], Some(11), Limit::Percent(25)).going, [point(1)], "at least one");
        assert_eq!(chosen(&ten, &[10, 11], Some(11), Limit::Count(0)).waiting, 8);
    }
}
