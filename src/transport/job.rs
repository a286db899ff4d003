//! Durable jobs: the scripts that start, follow, stop and forget one on a host, and what they answer.
//!
//! Pure: the mechanism itself is shell text in `job.sh`, where its guarantees are written down.

use std::time::Duration;

use super::shell::{Script, compact, files_of, pipeline_text, quote, read_codes};
use crate::port::{JobCancel, JobId, JobPoll, JobStart, JobState, Pipeline};

/// The most that one look brings.
pub(super) const LOOK: u64 = 256 * 1024;

const MECHANISM: &str = include_str!("job.sh");

/// Where the jobs of a host are kept, as shell text, when nothing else is said.
pub(super) const HOME: &str = "\"${XDG_STATE_HOME:-${HOME:-.}/.local/state}/changeover/jobs\"";

/// The folder name of a job: its own name, or a shorter one when a file system would not take it.
fn folder(job: &JobId) -> String {
    let name = job.as_str();
    if name.len() <= 200 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return name.to_owned();
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let start: String = name.trim_start_matches(['.', '-', '~', '_']).chars().take(160).collect();
    format!("job~{start}~{}", &hash[..16])
}

/// The beginning of every job script. `home` is shell text.
fn head(home: &str, job: &JobId) -> String {
    format!("co_jobs={home}\nco_job={}\n{}", quote(&folder(job)), compact(MECHANISM))
}

fn script(nonce: &str, home: &str, job: &JobId, call: &str) -> Script {
    Script::new(nonce, &format!("{}co_begin\n{call}\nco_finish $?\n", head(home, job)), &[])
}

/// A script that starts a job, or finds it.
///
/// # Errors
/// A sentence about what cannot be said to a shell.
pub(super) fn start(nonce: &str, home: &str, job: &JobId, pipeline: &Pipeline) -> Result<Script, String> {
    // A TERM to the group is for the members; the subshell around each must live to write down its code.
    let work = pipeline_text(pipeline, "trap : HUP INT TERM; ")?;
    let runner = format!(
        "umask 077\nco_jobs=$(dirname \"$(dirname \"$0\")\")\nco_job={}\n{}co_work() {{\n{work}}}\nco_run {}\nexit\n",
        quote(&folder(job)),
        compact(MECHANISM),
        pipeline.members.len()
    );
    let mut files: Vec<&[u8]> = vec![runner.as_bytes()];
    files.extend(files_of(pipeline));
    let sizes: Vec<String> = files.iter().map(|file| file.len().to_string()).collect();
    let body = format!("{}co_prepare {}\nco_begin\nco_start\nco_finish $?\n", head(home, job), sizes.join(" "));
    Ok(Script::new(nonce, &body, &files))
}

/// A script that looks at a job.
pub(super) fn poll(nonce: &str, home: &str, job: &JobId, offset: u64, wait: Duration) -> Script {
    script(nonce, home, job, &format!("co_poll {offset} {} {LOOK}", tenths(wait)))
}

/// A script that stops a job.
pub(super) fn cancel(nonce: &str, home: &str, job: &JobId, grace: Duration) -> Script {
    script(nonce, home, job, &format!("co_cancel {}", tenths(grace)))
}

/// A script that removes the folder of an ended job.
pub(super) fn forget(nonce: &str, home: &str, job: &JobId) -> Script {
    script(nonce, home, job, "co_forget")
}

fn tenths(time: Duration) -> u128 {
    time.as_millis().div_ceil(100)
}

/// What the start script said.
pub(super) fn read_start(stdout: &[u8]) -> Option<JobStart> {
    match stdout.trim_ascii() {
        b"started" => Some(JobStart::Started),
        b"there" => Some(JobStart::AlreadyThere),
        _ => None,
    }
}

/// What the poll script said about a look from `offset` on; nothing when it makes no sense.
pub(super) fn read_poll(stdout: &[u8], offset: u64) -> Option<JobPoll> {
    let line = memchr::memchr(b'\n', stdout)?;
    let (header, output) = (std::str::from_utf8(&stdout[..line]).ok()?, &stdout[line + 1..]);
    let (count, state) = header.split_once(' ')?;
    let count: usize = count.parse().ok()?;
    if count != output.len() {
        return None;
    }
    Some(JobPoll {
        state: read_state(state)?,
        output: output.to_vec(),
        next_offset: offset + u64::try_from(count).ok()?,
    })
}

/// What the cancel script said.
pub(super) fn read_cancel(stdout: &[u8]) -> Option<JobCancel> {
    let text = String::from_utf8_lossy(stdout);
    let mut lines = text.lines();
    let state = read_state(lines.next()?)?;
    Some(JobCancel { state, survivors: lines.map(|line| line.trim().to_owned()).collect() })
}

fn read_state(text: &str) -> Option<JobState> {
    match text {
        // Not begun yet means that it is about to: whoever started it waits for that.
        "running" | "waiting" => Some(JobState::Running),
        "vanished" => Some(JobState::Vanished),
        "absent" => Some(JobState::Absent),
        _ => {
            let (members, codes) =
                text.strip_prefix("ended ")?.split_once(' ').unwrap_or((&text["ended ".len()..], ""));
            Some(JobState::Ended(read_codes(codes, members.parse().ok()?)))
        }
    }
}
