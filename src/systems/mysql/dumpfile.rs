//! Making a dump file and proving it whole: durable work on the programs' place, checked before it gets its name.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use super::access::Access;
use super::advice::advice;
use super::clients::{Compressor, Program, dump_pipeline, tally_pipeline};
use super::tally::{PROGRAM, Tally};
use crate::model::{ByteSize, Failure, FailureKind};
use crate::port::{Command, Pipeline, Place};
use crate::systems::remote::{change, path_arg, put_file};
use crate::systems::{JobRun, StepContext, run_job, run_job_watched};

/// How often the size of a growing file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is to be dumped, with what.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The server and the programs' place.
    pub access: &'a Access,
    /// The dump program.
    pub program: &'a Program,
    /// The compressor.
    pub compressor: Compressor,
    /// The databases; all must exist.
    pub databases: &'a [&'a str],
    /// Tells the jobs of this dump from others of the same step.
    pub label: &'a str,
}

/// A dump file that was written, read back and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFile {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// What it holds.
    pub tally: Tally,
}

/// The name a dump has while this attempt makes it.
#[must_use]
pub fn partial(path: &str, attempt: u32) -> String {
    format!("{path}.partial-{attempt}")
}

impl Order<'_> {
    /// Makes the dump file `path`. It appears under that name only when every program ended well, the file reads back
    /// as it was written, unpacks, and ends with the line that says the dump is complete. Entering again with the same
    /// attempt goes on where it was.
    ///
    /// # Errors
    /// When any of that is not so; nothing is left under `path` that was not there before.
    pub async fn make(&self, cx: &StepContext, path: &Path) -> Result<DumpFile, Failure> {
        let place = &self.access.place;
        let path_text = path_arg(path)?;
        let partial = partial(&path_text, cx.attempt);
        let made = self.make_partial(cx, &path_text, &partial).await;
        match &made {
            // Whether it is still being written is not known: leave it to whoever looks.
            Err(failure) if failure.is_unknown() => {}
            Err(_) => drop(change(cx, place, &remove(&partial)).await),
            Ok(_) => {}
        }
        made
    }

    async fn make_partial(&self, cx: &StepContext, path: &str, partial: &str) -> Result<DumpFile, Failure> {
        let place = &self.access.place;
        let work = dump_pipeline(self.access, self.program, self.compressor, self.databases, partial);
        let label = format!("{}-write", self.label);
        let run = with_progress(cx, place, partial, run_job(cx, place, &label, &work)).await?;
        ended_well(place, &work, &run)?;
        let written = sha256_in(&run.tail).ok_or_else(|| {
            Failure::new(FailureKind::Refused, format!("run {work} on {place}"), "sha256sum printed no sum")
        })?;
        // After a crash of the program the file may have its name already.
        let renamed = size_of(cx, place, partial).await?.is_none();
        let file = if renamed { path } else { partial };
        let bytes = size_of(cx, place, file).await?.ok_or_else(|| {
            Failure::new(FailureKind::Refused, format!("look at the dump {file} on {place}"), "it is gone")
        })?;
        let read_back = sum_of(cx, place, file, &format!("{}-sum", self.label)).await?;
        if read_back != written {
            return Err(Failure::new(
                FailureKind::Mismatch,
                format!("read back the dump {file} on {place}"),
                format!("its SHA-256 is {read_back}, but {written} was written"),
            )
            .hint(
                "the disk or the mount does not keep what is written to it; look at it before trusting any copy there",
            ));
        }
        let tally = self.tally(cx, path, file).await?;
        if !tally.is_complete() {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("find the end of the dump {file} on {place}"),
                format!("its last line is not `-- Dump completed`, but: {}", tally.last),
            )
            .hint("the dump program stopped early; run again"));
        }
        if !renamed {
            change(cx, place, &Command::new("sync").arg(partial).into()).await?;
            change(cx, place, &Command::new("mv").args(["-f", partial, path]).into()).await?;
        }
        cx.say(format!("{}: {}, {} rows in {} tables", path, ByteSize(bytes), tally.total(), tally.rows.len()));
        Ok(DumpFile { bytes, sha256: written, tally })
    }

    /// Unpacks all of the file and counts what is in it.
    async fn tally(&self, cx: &StepContext, path: &str, file: &str) -> Result<Tally, Failure> {
        let place = &self.access.place;
        let counter = format!("{path}.counter.awk");
        put_file(cx, place, Path::new(&counter), PROGRAM.as_bytes()).await?;
        let work = tally_pipeline(self.compressor, file, &counter);
        let mut output = Vec::new();
        let label = format!("{}-count", self.label);
        let run = run_job_watched(cx, place, &label, &work, |bytes| output.extend_from_slice(bytes)).await?;
        ended_well(place, &work, &run)?;
        change(cx, place, &remove(&counter)).await?;
        Tally::read(&String::from_utf8_lossy(&output)).ok_or_else(|| {
            Failure::new(FailureKind::Refused, format!("run {work} on {place}"), "the counter did not come to its end")
        })
    }
}

/// Removes a file that may be there.
#[must_use]
pub fn remove(path: &str) -> Pipeline {
    Command::new("rm").args(["-f", path]).into()
}

/// Fails, with advice, unless every member of the pipeline ended with code 0.
///
/// # Errors
/// `Refused` with what the programs said.
pub fn ended_well(place: &Place, work: &Pipeline, run: &JobRun) -> Result<(), Failure> {
    if run.is_success() {
        return Ok(());
    }
    let complaint = run.complaint(work);
    let failure = Failure::new(FailureKind::Refused, format!("run {work} on {place}"), &complaint);
    Err(match advice(&complaint) {
        Some(advice) => failure.hint(advice),
        None => failure,
    })
}

/// The SHA-256 of a file, read on its host as the durable job `label`.
///
/// # Errors
/// When it cannot be read.
pub async fn sum_of(cx: &StepContext, place: &Place, path: &str, label: &str) -> Result<String, Failure> {
    let work = Pipeline::from(Command::new("sha256sum").arg(path));
    let run = run_job(cx, place, label, &work).await?;
    ended_well(place, &work, &run)?;
    sha256_in(&run.tail)
        .ok_or_else(|| Failure::new(FailureKind::Refused, format!("run {work} on {place}"), "it printed no sum"))
}

/// The last SHA-256 that `sha256sum` printed among other output.
fn sha256_in(output: &str) -> Option<String> {
    let mut sums = output.lines().filter_map(|line| {
        let sum = line.split("  ").next()?.trim_start_matches('\\');
        (sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))).then_some(sum)
    });
    sums.next_back().map(str::to_owned)
}

/// The size of a file; nothing when it is not there.
///
/// # Errors
/// When the host cannot be asked, or says something else.
pub async fn size_of(cx: &StepContext, place: &Place, path: &str) -> Result<Option<u64>, Failure> {
    let stat = Pipeline::from(Command::new("stat").args(["-L", "-c", "%s", path]).env("LC_ALL", "C"));
    let tried = format!("look at {path}");
    let output = cx.reach.exec(place, &stat, Duration::from_secs(30)).await;
    let output = output.map_err(|error| error.while_reading(&tried))?;
    if output.is_success() {
        return output.text().trim().parse().map(Some).map_err(|_| {
            Failure::new(FailureKind::Refused, format!("{tried} on {place}"), format!("no size in: {}", output.text()))
        });
    }
    let complaint = output.complaint(&stat);
    if complaint.contains("No such file or directory") {
        return Ok(None);
    }
    Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), complaint))
}

/// Does the work, and tells the size of the growing file meanwhile.
async fn with_progress<T>(cx: &StepContext, place: &Place, path: &str, work: impl Future<Output = T>) -> T {
    let watch = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Ok(Some(size)) = size_of(cx, place, path).await {
                cx.progress(size, None, "bytes");
            }
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        () = watch => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_found_among_noise() {
        let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_in(&format!("mysqldump: [Warning] x\n{sum}  -\n")).as_deref(), Some(sum));
        assert_eq!(sha256_in(&format!("\\{sum}  /a\\nb\n")).as_deref(), Some(sum));
        assert_eq!(sha256_in("nothing  here\n"), None);
        assert_eq!(sha256_in(&format!("{}  -", "g".repeat(64))), None);
    }
}
