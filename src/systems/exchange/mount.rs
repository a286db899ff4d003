//! Whether the exchange folder of a host is the exchange tree of its site: what one host shows, and whether the hosts of a
//! site show the same. It only looks, and leaves nothing hanging on a host.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Failure, FailureKind};
use crate::points::Tree;
use crate::port::{Command, Exit, Pipeline, Place};
use crate::systems::StepContext;
use crate::systems::remote::path_arg;

/// The file that says that a folder is meant to be the exchange folder, when it is not itself a mount point.
const MARK: &str = ".changeover-exchange";
/// So many seconds a host may go on showing what it remembers of a file that another one changed: a minute on NFS, unless
/// told otherwise.
const REMEMBERED: i64 = 120;

/// How long a share may take to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// In seconds. The host itself ends the look then: a share that does not answer would hold it for ever.
    pub(super) share: &'static str,
    /// A little more: then it is the host that does not answer.
    pub(super) host: Duration,
}

/// What a host shows in place of the exchange tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// The tree.
    Tree(Folder),
    /// Something else.
    Other(Other),
    /// The share does not answer.
    Stalled,
}

/// Why a folder is not the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Missing,
    Unmarked,
}

impl Other {
    /// What is there, in words.
    pub(super) fn got(self) -> &'static str {
        match self {
            Self::Missing => "there is no such folder",
            Self::Unmarked => "it is neither a mount point nor marked",
        }
    }

    /// The failure of whoever needs the tree at `place`.
    pub(super) fn failure(self, place: &Place, tree: &Tree) -> Failure {
        let exchange = tree.exchange().display();
        let failure = Failure::new(FailureKind::Rule, tried(place, tree), self.got());
        match self {
            Self::Missing => failure
                .hint("mount the share there, or correct `exchange` of the site in the estate; it is never created"),
            Self::Unmarked => failure.hint(format!(
                "is the share mounted? If this folder is right although it is not a mount point itself, say so once: \
                 touch {exchange}/{MARK}"
            )),
        }
    }
}

/// The exchange tree as a host shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    /// The kernel would let the login user write there. It knows of read-only mounts.
    pub(super) writable: bool,
    /// Files that are the same on every host that has the same share: when each was written, in seconds since 1970, and its
    /// size.
    signs: BTreeMap<String, (i64, u64)>,
}

impl Folder {
    /// True when another host that shows `other` must have another share there. What was written a moment ago proves nothing.
    pub(super) fn differs(&self, other: &Self, now: Timestamp) -> bool {
        let settled = |(written, _): &(i64, u64)| *written < now.as_second() - REMEMBERED;
        self.signs.keys().chain(other.signs.keys()).any(|name| {
            let pair = [self.signs.get(name), other.signs.get(name)];
            pair[0] != pair[1] && pair.into_iter().flatten().all(settled)
        })
    }
}

fn tried(place: &Place, tree: &Tree) -> String {
    format!("look at the exchange folder {} on {place}", tree.exchange().display())
}

/// The failure of whoever needs a share that does not answer at `place`.
pub(super) fn stalled(place: &Place, tree: &Tree, patience: Patience) -> Failure {
    let got = format!("the share does not answer within {}s", patience.share);
    Failure::new(FailureKind::Unreachable, tried(place, tree), got)
}

/// Looks at the exchange folder of a host.
///
/// # Errors
/// When the host cannot be asked, or cannot tell what is there.
pub(super) async fn sight(cx: &StepContext, place: &Place, tree: &Tree, patience: Patience) -> Result<Sight, Failure> {
    // With a slash at its end a link is followed.
    let folder = format!("{}/", path_arg(tree.exchange())?.trim_end_matches('/'));
    let signs = [path_arg(&tree.exchange().join(MARK))?, path_arg(&tree.direction_record())?];
    let find = Command::new("timeout")
        .args(["-s", "KILL", patience.share, "find", &folder, &signs[0], &signs[1], "-maxdepth", "0"])
        .args(["(", "-writable", "-printf", "w %T@ %s %p\\0", "-o", "-printf", "- %T@ %s %p\\0", ")"]);
    let find = Pipeline::from(find.env("LC_ALL", "C"));
    let tried = || tried(place, tree);
    let output = cx.reach.exec(place, &find, patience.host).await.map_err(|error| error.while_reading(tried()))?;
    if output.exits == [Exit::Code(137)] {
        return Ok(Sight::Stalled);
    }
    let (shown, said) = (output.text(), String::from_utf8_lossy(&output.stderr));
    let seen = read(&shown, &said, &folder).map_err(|got| Failure::new(FailureKind::Refused, tried(), got))?;
    let Some(seen) = seen else { return Ok(Sight::Other(Other::Missing)) };
    if !seen.signs.is_empty() {
        return Ok(Sight::Tree(seen));
    }
    let mounted = Command::new("timeout").args(["-s", "KILL", patience.share, "mountpoint", "-q", &folder]);
    let output = cx.reach.exec(place, &mounted.into(), patience.host).await;
    let output = output.map_err(|error| error.while_reading(tried()))?;
    Ok(match output.exits[..] {
        [Exit::Code(137)] => Sight::Stalled,
        _ if output.is_success() => Sight::Tree(seen),
        _ => Sight::Other(Other::Unmarked),
    })
}

/// What `find` shows of the folder and its signs; nothing when the folder is not there.
///
/// # Errors
/// What `find` complains of, beyond that something is not there.
fn read(shown: &str, said: &str, folder: &str) -> Result<Option<Folder>, String> {
    let absent = |line: &str| line.ends_with("No such file or directory") || line.ends_with("Not a directory");
    if !said.lines().all(absent) {
        return Err(said.trim_end().to_owned());
    }
    let (mut writable, mut signs) = (None, BTreeMap::new());
    for record in shown.split_terminator('\0') {
        let (access, path, sign) = entry(record).ok_or_else(|| format!("`{record}` cannot be understood"))?;
        if path == folder {
            writable = Some(access == "w");
        } else {
            signs.insert(path.to_owned(), sign);
        }
    }
    match writable {
        None if said.is_empty() => Err("nothing was said of the folder".to_owned()),
        writable => Ok(writable.map(|writable| Folder { writable, signs })),
    }
}

/// `w 1772330400.5000000000 120 /mnt/exchange/direction.json`
fn entry(record: &str) -> Option<(&str, &str, (i64, u64))> {
    let mut fields = record.splitn(4, ' ');
    let (access, written, size, path) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some((access, path, (written.split('.').next()?.parse().ok()?, size.parse().ok()?)))
}

/// A host that shows this, for tests.
#[cfg(test)]
pub(super) fn shown(records: &str, folder: &str) -> Sight {
    Sight::Tree(read(records, "", folder).expect("records").expect("a folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(writable: bool, signs: &[(&str, i64, u64)]) -> Folder {
        let signs = signs.iter().map(|(name, written, size)| (format!("/x/{name}"), (*written, *size))).collect();
        Folder { writable, signs }
    }

    #[test]
    fn what_find_shows_is_the_tree_or_not() {
        let missing = "find: '/x/': No such file or directory\n";
        let bare = "find: '/x/.changeover-exchange': No such file or directory\n";
        let record = "w 7.5 4096 /x/\0w 9.25 120 /x/direction.json\0";
        for (shown, said, seen) in [
            ("w 7.5 4096 /x/\0", bare, Ok(Some(folder(true, &[])))),
            ("- 7.5 4096 /x/\0", bare, Ok(Some(folder(false, &[])))),
            (record, bare, Ok(Some(folder(true, &[("direction.json", 9, 120)])))),
            ("", missing, Ok(None)),
            ("", "find: '/x/': Not a directory\n", Ok(None)),
            ("", "find: '/x/': Stale file handle\n", Err("Stale file handle")),
            ("w 7.5 4096 /x/\0", "find: '/x/direction.json': Input/output error\n", Err("Input/output error")),
            ("", "", Err("nothing was said")),
            ("w seven 4096 /x/\0", "", Err("`w seven 4096 /x/` cannot be understood")),
        ] {
            match (read(shown, said, "/x/"), seen) {
                (Ok(read), Ok(seen)) => assert_eq!(read, seen, "{shown:?} {said:?}"),
                (Err(got), Err(why)) => assert!(got.contains(why), "{got} does not say {why}"),
                (read, _) => panic!("{shown:?} {said:?} is read as {read:?}"),
            }
        }
    }

    #[test]
    fn two_hosts_have_one_share_unless_what_is_settled_differs() {
        let now = Timestamp::from_second(10_000).expect("a time");
        let (mark, old, young) = (".changeover-exchange", 100, 9_950);
        for (one, other, differ) in [
            (&[][..], &[][..], false),
            (&[(mark, old, 0)], &[(mark, old, 0)], false),
            (&[(mark, old, 0)], &[(mark, old + 1, 0)], true),
            (&[(mark, old, 0)], &[(mark, old, 7)], true),
            (&[(mark, old, 0)], &[], true),
            // It is being written, and a host may not know that yet.
            (&[("direction.json", young, 9)], &[("direction.json", old, 9)], false),
            (&[("direction.json", young, 9)], &[], false),
            (&[(mark, old, 0), ("direction.json", young, 9)], &[("direction.json", old, 9)], true),
        ] {
            let (one, other) = (folder(true, one), folder(true, other));
            assert_eq!(one.differs(&other, now), differ, "{one:?} {other:?}");
            assert_eq!(other.differs(&one, now), differ, "{other:?} {one:?}");
        }
    }
}
