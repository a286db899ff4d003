//! The lease of a site on its exchange tree: seen, taken, kept, looked after before every change, and given back.
//!
//! What is free and what counts is decided in `guard`. Leases are folders named by their number: to make one that is there
//! already fails on every file system, so that of two programs one gets it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::StepContext;
use super::remote::{look, make_folder, path_arg};
use crate::guard::{Claim, LEASE_BEAT, LEASE_SILENCE, claim, leased_to_other};
use crate::model::{DirectionRecord, Failure, FailureKind, Lease, LeaseSign, Sighting, SiteName};
use crate::port::{Command, ExecOutput, Pipeline, Place, Reach};

/// How often a holder that may be dead is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How long a short command on the exchange tree may take.
const CHORE: Duration = Duration::from_mins(1);

/// How long giving a lease back may hold up the end of a run.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How many programs may come first, one after the other, before it is given up.
const RACES: u32 = 5;

/// What a site says to a run that holds its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its direction record.
    pub direction: Option<DirectionRecord>,
    /// The lease of the number that the run took.
    pub at_own: Option<Lease>,
    /// The one behind it.
    pub at_next: Option<Lease>,
}

/// Reads the direction record of `site` and the lease of `number`, with the one behind it, in one command: this is asked
/// before every change.
///
/// # Errors
/// When the site cannot be asked, or the direction record is damaged. A lease that is damaged counts as none.
pub async fn read_standing(cx: &StepContext, site: &SiteName, number: u64) -> Result<Standing, Failure> {
    let tree = cx.tree(site)?;
    let paths = [tree.direction_record(), tree.lease_holder(site, number), tree.lease_holder(site, number + 1)];
    let place = cx.exchange_place(site)?;
    let [direction, at_own, at_next] = read_notes(cx, &place, &paths).await?;
    let direction = direction.map(|note| {
        note.and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string())).map_err(|error| {
            let tried = format!("read {} on {place}", tree.direction_record().display());
            Failure::new(FailureKind::Refused, tried, error)
                .hint("the file is damaged or from another version of the program")
        })
    });
    Ok(Standing { direction: direction.transpose()?, at_own: decoded(at_own), at_next: decoded(at_next) })
}

/// The lease that counts at `site` now; nothing when there has never been one.
///
/// # Errors
/// When the site cannot be asked.
pub async fn sighting(cx: &StepContext, site: &SiteName) -> Result<Option<Sighting>, Failure> {
    let Some(number) = numbers(cx, site).await?.into_iter().max() else { return Ok(None) };
    let tree = cx.tree(site)?;
    let paths = [tree.lease_holder(site, number), tree.lease_sign(site, number)];
    let [lease, sign] = read_notes(cx, &cx.exchange_place(site)?, &paths).await?;
    // What is being written right now may be there in part.
    Ok(Some(Sighting { number, lease: decoded(lease), sign: decoded(sign) }))
}

/// Waits until the lease of `site` is free for `own`: at once, or when its holder has said nothing for [`LEASE_SILENCE`].
/// Returns the number to take.
///
/// # Errors
/// `Rule` when its holder lives; `Cancelled`; when the site cannot be asked.
pub async fn wait_until_free(cx: &StepContext, site: &SiteName, own: &Lease) -> Result<u64, Failure> {
    let mut watched: Option<(Sighting, Instant)> = None;
    loop {
        let seen = sighting(cx, site).await?;
        let seen = match claim(seen.as_ref(), own) {
            Claim::Take(number) => return Ok(number),
            Claim::Watch(seen) => seen.clone(),
        };
        let since = match &watched {
            Some((before, since)) if *before == seen => *since,
            // Also a holder that has only now come, or written down who it is, has said something.
            Some(_) => return Err(leased_to_other(site, &seen)),
            None => {
                let who =
                    seen.lease.as_ref().map_or_else(|| "somebody who has not said it".to_owned(), ToString::to_string);
                let silence = LEASE_SILENCE.as_secs();
                cx.say(format!("{site} is leased to {who}; seeing for {silence} seconds whether that is still so"));
                Instant::now()
            }
        };
        if since.elapsed() >= LEASE_SILENCE {
            cx.say(format!(
                "nothing was heard of it for {} seconds: the lease is taken over",
                since.elapsed().as_secs()
            ));
            return Ok(seen.number + 1);
        }
        watched = Some((seen, since));
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => cx.check_cancelled("waiting for the lease")?,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Takes the lease of `site` for `own`, once it is free. Returns its number. Older ones are removed.
///
/// # Errors
/// As [`wait_until_free`]. When the answer to the taking was lost the lease may be there without a holder; it is taken
/// over like any other that says nothing.
pub async fn take(cx: &StepContext, site: &SiteName, own: &Lease) -> Result<u64, Failure> {
    let (place, tree) = (cx.exchange_place(site)?, cx.tree(site)?);
    for _ in 0..RACES {
        let number = wait_until_free(cx, site, own).await?;
        if number == 1 {
            make_folder(cx, &place, &tree.leases(site)).await.map_err(as_a_look)?;
        }
        let folder = path_arg(&tree.leases(site).join(number.to_string()))?;
        let make = Pipeline::from(Command::new("mkdir").args(["-m", "2775", &folder]).env("LC_ALL", "C")).umask(0o002);
        match look(cx, &place, &make).await {
            Ok(_) => {}
            Err(failure) if failure.got.as_str().contains("File exists") => continue,
            Err(failure) => return Err(failure),
        }
        write(cx, &place, &tree.lease_holder(site, number), own).await?;
        write(cx, &place, &tree.lease_sign(site, number), &LeaseSign::Beat(1)).await?;
        remove_older(cx, &place, site, number).await;
        return Ok(number);
    }
    let got = format!("{RACES} times another program was faster");
    Err(Failure::new(FailureKind::Busy, format!("take the lease of {site}"), got))
}

/// A lease that is held, to be kept alive without a step.
#[derive(Clone)]
pub struct HeldLease {
    /// The world.
    pub reach: Arc<dyn Reach>,
    /// Where the exchange tree is reached.
    pub place: Place,
    /// The file with what its holder says.
    pub sign: String,
}

impl HeldLease {
    /// Says again and again that the holder lives; never ends. What cannot be said is said the next time: whoever is not
    /// heard for too long finds out before its next change.
    pub async fn keep(self) {
        let mut beats = 1;
        loop {
            tokio::time::sleep(LEASE_BEAT).await;
            beats += 1;
            self.say(&LeaseSign::Beat(beats), LEASE_BEAT).await;
        }
    }

    /// Says that it is over. When that cannot be said, the next run waits for a minute instead.
    pub async fn give_back(self) {
        self.say(&LeaseSign::Over, LAST_WORDS).await;
    }

    async fn say(&self, sign: &LeaseSign, patience: Duration) {
        let Ok(text) = serde_json::to_vec(sign) else { return };
        let write = Pipeline::from(Command::new("cat")).stdin(text).to_file(&self.sign).umask(0o002);
        let said = self.reach.exec(&self.place, &write, patience).await;
        if !said.as_ref().is_ok_and(ExecOutput::is_success) {
            tracing::warn!(place = %self.place, file = self.sign, ?said, "the holder of a lease was not heard");
        }
    }
}

/// The numbers of all leases of a site.
async fn numbers(cx: &StepContext, site: &SiteName) -> Result<Vec<u64>, Failure> {
    let folder = path_arg(&cx.tree(site)?.leases(site))?;
    let find = Command::new("find")
        .args([&folder, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%f\\n"])
        .env("LC_ALL", "C");
    match look(cx, &cx.exchange_place(site)?, &find.into()).await {
        Ok(output) => Ok(output.text().lines().filter_map(|name| name.parse().ok()).collect()),
        Err(failure) if failure.got.as_str().contains("No such file or directory") => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// Losing this leaves folders behind that no longer count.
async fn remove_older(cx: &StepContext, place: &Place, site: &SiteName, own: u64) {
    let (Ok(tree), Ok(numbers)) = (cx.tree(site), numbers(cx, site).await) else { return };
    let older = numbers.into_iter().filter(|number| *number < own);
    let paths: Vec<String> =
        older.filter_map(|number| path_arg(&tree.leases(site).join(number.to_string())).ok()).collect();
    if !paths.is_empty() {
        drop(look(cx, place, &Command::new("rm").args(["-rf", "--"]).args(paths).into()).await);
    }
}

async fn write<T: Serialize>(cx: &StepContext, place: &Place, path: &Path, what: &T) -> Result<(), Failure> {
    let text = serde_json::to_vec(what)
        .map_err(|error| Failure::new(FailureKind::Invalid, format!("write {}", path.display()), error.to_string()))?;
    let write = Pipeline::from(Command::new("cat")).stdin(text).to_file(path_arg(path)?).umask(0o002);
    look(cx, place, &write).await.map(drop)
}

/// Nothing that is done for a lease changes what a step would change: an answer that was lost leaves nothing unknown.
fn as_a_look(mut failure: Failure) -> Failure {
    if failure.is_unknown() {
        failure.kind = FailureKind::Unreachable;
    }
    failure
}

/// What a file says: nothing when it is not there, and an error when it is empty or no JSON.
type Note = Option<Result<Value, String>>;

/// Reads small JSON files of one host in one command.
async fn read_notes<const N: usize>(
    cx: &StepContext,
    place: &Place,
    paths: &[PathBuf; N],
) -> Result<[Note; N], Failure> {
    let args = paths.iter().map(|path| path_arg(path)).collect::<Result<Vec<_>, _>>()?;
    let pipeline = Pipeline::from(Command::new("cat").args(args.clone()).env("LC_ALL", "C"));
    let tried = format!("read {}", args.join(", "));
    let output = cx.reach.exec(place, &pipeline, CHORE).await.map_err(|error| error.while_reading(&tried))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let missing = missing(&complaints, &args);
    if !output.is_success() && missing.is_none_or(|missing| !missing.contains(&true)) {
        return Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), output.complaint(&pipeline)));
    }
    let missing = missing.unwrap_or([false; N]);
    let mut notes = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    Ok(missing.map(|missing| (!missing).then(|| next_note(&mut notes))))
}

/// Which of these files `cat` says are not there; nothing when it complains of anything else.
fn missing<const N: usize>(complaints: &str, paths: &[String]) -> Option<[bool; N]> {
    let mut missing = [false; N];
    for line in complaints.lines().filter(|line| line.starts_with("cat:")) {
        let named = paths.iter().position(|path| line.contains(path.as_str()));
        match named.filter(|_| line.ends_with("No such file or directory")).and_then(|at| missing.get_mut(at)) {
            Some(found) => *found = true,
            None => return None,
        }
    }
    Some(missing)
}

fn next_note(notes: &mut impl Iterator<Item = serde_json::Result<Value>>) -> Result<Value, String> {
    match notes.next() {
        Some(note) => note.map_err(|error| error.to_string()),
        None => Err("it is empty".to_owned()),
    }
}

/// A note that fits, if it does.
fn decoded<T: DeserializeOwned>(note: Note) -> Option<T> {
    serde_json::from_value(note?.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConsoleId, RunId};
    use crate::port::fake::{Answer, FakeReach};
    use crate::systems::fake::{Bench, site};
    use crate::systems::shelf::Shelf;

    const LEASES: &str = "/mnt/exchange/leases/prod";

    fn lease(run: &str, console: &str) -> Lease {
        Lease {
            run: RunId::new(run).expect("a name"),
            session: 1,
            console: ConsoleId::new(console).expect("a name"),
            by: "ops@console".into(),
            since: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn text(what: &impl Serialize) -> String {
        serde_json::to_string(what).expect("text")
    }

    fn bench() -> (Bench, Shelf) {
        let (bench, shelf) = (Bench::new(""), Shelf::agreed("/mnt/exchange"));
        shelf.serve(&bench.reach);
        (bench, shelf)
    }

    /// A shelf on which `other` holds lease 4 and has beaten once.
    fn taken(other: &Lease) -> (Bench, Shelf) {
        let (bench, shelf) = bench();
        shelf.put(&format!("{LEASES}/4/holder.json"), &text(other));
        shelf.put(&format!("{LEASES}/4/sign.json"), &text(&LeaseSign::Beat(1)));
        (bench, shelf)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_lease_is_number_one_and_says_who_holds_it() {
        let (bench, shelf) = bench();
        let own = lease("r2", "here");
        assert_eq!(take(&bench.cx, &site("prod"), &own).await, Ok(1));
        assert_eq!(shelf.get(&format!("{LEASES}/1/holder.json")), Some(text(&own)));
        assert_eq!(shelf.get(&format!("{LEASES}/1/sign.json")).as_deref(), Some(r#"{"beat":1}"#));
        let seen = sighting(&bench.cx, &site("prod")).await.expect("an answer").expect("a lease");
        assert_eq!(seen, Sighting { number: 1, lease: Some(own), sign: Some(LeaseSign::Beat(1)) });
        assert_eq!(sighting(&bench.cx, &site("bcp")).await, Ok(None), "each site has its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_lives_is_left_alone() {
        let (mut bench, shelf) = taken(&lease("r1", "there"));
        let before = shelf.paths();
        let beating = shelf.clone();
        let beats = tokio::spawn(async move {
            for beat in 2.. {
                tokio::time::sleep(LEASE_BEAT).await;
                beating.put(&format!("{LEASES}/4/sign.json"), &text(&LeaseSign::Beat(beat)));
            }
        });
        let began = Instant::now();
        let failure = take(&bench.cx, &site("prod"), &lease("r2", "here")).await.expect_err("it is held");
        beats.abort();
        assert_eq!(failure.kind, FailureKind::Rule);
        assert!(failure.to_string().contains("run r1, started by ops@console"), "{failure}");
        assert!(began.elapsed() <= LEASE_BEAT + LOOK, "{:?}", began.elapsed());
        assert_eq!(shelf.paths(), before, "nothing was written");
        assert!(bench.heard().contains("prod is leased to run r1"), "it says why it waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_says_nothing_for_long_enough_is_followed_and_no_sooner() {
        for other in [Some(lease("r1", "there")), None] {
            let (mut bench, shelf) = taken(&lease("r1", "there"));
            if other.is_none() {
                // It died before it could say who it is.
                shelf.put(&format!("{LEASES}/4/holder.json"), "");
            }
            let began = Instant::now();
            assert_eq!(take(&bench.cx, &site("prod"), &lease("r2", "here")).await, Ok(5));
            assert!((LEASE_SILENCE..LEASE_SILENCE + LOOK).contains(&began.elapsed()), "{:?}", began.elapsed());
            assert!(shelf.paths().iter().all(|path| !path.contains("/4/")), "older ones go: {:?}", shelf.paths());
            assert!(bench.heard().contains("nothing was heard of it for 70 seconds: the lease is taken over"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_or_of_the_same_console_is_followed_at_once() {
        let (own_console, other) = (lease("r1", "here"), lease("r1", "there"));
        for (holder, sign) in [(own_console, LeaseSign::Beat(8)), (other, LeaseSign::Over)] {
            let (bench, shelf) = taken(&holder);
            shelf.put(&format!("{LEASES}/4/sign.json"), &text(&sign));
            let began = Instant::now();
            assert_eq!(take(&bench.cx, &site("prod"), &lease("r2", "here")).await, Ok(5));
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_want_a_free_lease_one_gets_it() {
        let (bench, shelf) = taken(&lease("r1", "there"));
        shelf.put(&format!("{LEASES}/4/sign.json"), &text(&LeaseSign::Over));
        let site = site("prod");
        let (one, two) = (lease("r2", "here"), lease("r3", "elsewhere"));
        let (one, two) = tokio::join!(take(&bench.cx, &site, &one), take(&bench.cx, &site, &two));
        let (winner, loser) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(winner, Ok(5));
        // The winner of this test never says anything again.
        assert_eq!(loser, Ok(6), "and the other one waited until it was sure");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_to_stop_does_not_wait_on() {
        let (bench, shelf) = taken(&lease("r1", "there"));
        let stop = bench.cx.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.cancel();
        });
        let began = Instant::now();
        let failure = take(&bench.cx, &site("prod"), &lease("r2", "here")).await.expect_err("it was stopped");
        assert_eq!((failure.kind, began.elapsed().as_secs()), (FailureKind::Cancelled, 5));
        assert!(shelf.get(&format!("{LEASES}/5/holder.json")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_leaves_nothing_unknown() {
        let bench = Bench::new("");
        let shelf = Shelf::default();
        bench.reach.on("mkdir", Answer::lost());
        shelf.serve(&bench.reach);
        let failure = take(&bench.cx, &site("prod"), &lease("r2", "here")).await.expect_err("nothing came back");
        assert_eq!(failure.kind, FailureKind::Unreachable, "it may be tried again");
    }

    #[tokio::test(start_paused = true)]
    async fn direction_and_lease_are_read_at_once() {
        let (bench, shelf) = taken(&lease("r1", "there"));
        let before = bench.reach.calls().len();
        let standing = read_standing(&bench.cx, &site("prod"), 4).await.expect("an answer");
        assert_eq!(bench.reach.calls().len(), before + 1);
        assert_eq!(standing.direction.map(|record| record.epoch.0), Some(3));
        assert_eq!((standing.at_own, standing.at_next), (Some(lease("r1", "there")), None));
        shelf.put(&format!("{LEASES}/5/holder.json"), &text(&lease("r2", "here")));
        let standing = read_standing(&bench.cx, &site("prod"), 4).await.expect("an answer");
        assert_eq!(standing.at_next, Some(lease("r2", "here")));
        let standing = read_standing(&bench.cx, &site("prod"), 3).await.expect("an answer");
        assert_eq!((standing.at_own, standing.at_next), (None, Some(lease("r1", "there"))));
        for damaged in ["{", "", "{}"] {
            shelf.put("/mnt/exchange/direction.json", damaged);
            let failure = read_standing(&bench.cx, &site("prod"), 4).await.expect_err("damaged");
            assert!(failure.to_string().contains("direction.json"), "{failure}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_file_that_is_not_there_may_be_missing() {
        let bench = Bench::new("");
        let stale = "cat: /mnt/exchange/direction.json: Stale file handle";
        bench.reach.on("direction.json", Answer::exec(&[1], "", stale));
        bench.reach.on("direction.json", Answer::exec(&[127], "", ""));
        for words in ["Stale file handle", "program not found"] {
            let failure = read_standing(&bench.cx, &site("prod"), 4).await.expect_err("nothing was read");
            assert!(failure.to_string().contains(words), "{failure}");
        }
        let paths = ["/x/leases/prod/1/holder.json".to_owned(), "/x/leases/prod/11/holder.json".to_owned()];
        let said = |path: &str| format!("cat: {path}: No such file or directory\n");
        for (complaints, expected) in [
            (String::new(), Some([false, false])),
            ("setlocale: no such locale\n".to_owned(), Some([false, false])),
            (said(&paths[0]), Some([true, false])),
            (said(&paths[0]) + &said(&paths[1]), Some([true, true])),
            (said("/y"), None),
            (said(&paths[0]) + &format!("cat: {}: Input/output error\n", paths[1]), None),
        ] {
            assert_eq!(missing::<2>(&complaints, &paths), expected, "{complaints}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_kept_alive_until_it_is_given_back() {
        let (reach, shelf) = (Arc::new(FakeReach::new()), Shelf::default());
        // One beat that is lost is made up for by the next.
        reach.on("leases/", Answer::lost());
        shelf.serve(&reach);
        let sign = format!("{LEASES}/4/sign.json");
        let place = Place::Host(site("prod"), crate::model::HostName::new("app1").expect("a name"));
        let lease = HeldLease { reach, place, sign: sign.clone() };
        let keeper = tokio::spawn(lease.clone().keep());
        for beat in [None, Some(r#"{"beat":3}"#), Some(r#"{"beat":4}"#)] {
            tokio::time::sleep(LEASE_BEAT + Duration::from_millis(1)).await;
            assert_eq!(shelf.get(&sign).as_deref(), beat);
        }
        keeper.abort();
        lease.give_back().await;
        assert_eq!(shelf.get(&sign).as_deref(), Some(r#""over""#));
    }
}
