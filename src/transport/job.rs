//! Durable jobs: the scripts that start, follow, stop and forget one on a host, and what they answer.
//!
//! Pure: the mechanism itself is shell text in `job.sh`, where its guarantees are written down.

use std::time::Duration;

use super::shell::{Script, compact, files_of, pipeline_text, quote, read_codes};
use crate::model::SiteName;
use crate::port::{JobCancel, JobId, JobPoll, JobStart, JobState, Look, Pipeline};

/// The most that one look brings that keeps all of it in memory.
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

/// The first line of the runners of an estate: several estates may have the same hosts.
fn mark(estate: &SiteName) -> String {
    format!("# changeover: {estate}")
}

/// A script that starts a job of an estate, or finds it.
///
/// # Errors
/// A sentence about what cannot be said to a shell.
pub(super) fn start(
    nonce: &str,
    home: &str,
    (estate, job): (&SiteName, &JobId),
    pipeline: &Pipeline,
) -> Result<Script, String> {
    // A TERM to the group is for the members; the subshell around each must live to write down its code.
    let work = pipeline_text(pipeline, "trap : HUP INT TERM; ")?;
    let runner = format!(
        "{}\numask 077\nco_jobs=$(dirname \"$(dirname \"$0\")\")\nco_job={}\n{}co_work() {{\n{work}}}\nco_run {}\nexit\n",
        mark(estate),
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
pub(super) fn poll(nonce: &str, home: &str, job: &JobId, look: Look) -> Script {
    script(nonce, home, job, &format!("co_poll {} {} {}", look.offset, tenths(look.wait), look.most))
}

/// A script that stops a job.
pub(super) fn cancel(nonce: &str, home: &str, job: &JobId, grace: Duration) -> Script {
    script(nonce, home, job, &format!("co_cancel {}", tenths(grace)))
}

/// A script that removes the folder of an ended job.
pub(super) fn forget(nonce: &str, home: &str, job: &JobId) -> Script {
    script(nonce, home, job, "co_forget")
}

/// A script that lists the jobs of an estate of which anything still works.
pub(super) fn at_work(nonce: &str, home: &str, estate: &SiteName) -> Script {
    let nobody = JobId::new(&["none"]);
    script(nonce, home, &nobody, &format!("co_at_work {}", quote(&mark(estate))))
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
pub(super) fn read_poll(stdout: Vec<u8>, offset: u64) -> Option<JobPoll> {
    let mut answer = PollAnswer::default();
    let output = answer.feed(stdout);
    Some(JobPoll { next_offset: offset + answer.came, state: answer.state()?, output })
}

/// What the poll script says, while it arrives: a line with the size of the output and the state, then the output.
#[derive(Debug, Default)]
pub(super) struct PollAnswer {
    line: Vec<u8>,
    line_is_whole: bool,
    came: u64,
}

impl PollAnswer {
    /// Takes a piece in and returns what is output of it.
    pub fn feed(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        if !self.line_is_whole {
            let end = memchr::memchr(b'\n', &piece);
            self.line.extend(piece.drain(..end.unwrap_or(piece.len())));
            if end.is_none() {
                return piece;
            }
            piece.remove(0);
            self.line_is_whole = true;
        }
        self.came += piece.len() as u64;
        piece
    }

    /// The state of the job; nothing when the answer was not whole or makes no sense.
    pub fn state(&self) -> Option<JobState> {
        let (count, state) = std::str::from_utf8(&self.line).ok()?.split_once(' ')?;
        let whole = self.line_is_whole && count.parse() == Ok(self.came);
        if whole { read_state(state) } else { None }
    }
}

/// What that script said: the names of the jobs, as far as a folder name can hold them.
pub(super) fn read_at_work(stdout: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(stdout).ok()?;
    Some(text.lines().map(|name| name.strip_prefix("job~").unwrap_or(name).to_owned()).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_the_same_however_it_arrives() {
        let answer = b"7 ended 1 0 3\n\nab\ncd\n";
        for size in 1..=answer.len() {
            let mut reading = PollAnswer::default();
            let output: Vec<u8> = answer.chunks(size).flat_map(|piece| reading.feed(piece.to_vec())).collect();
            assert_eq!(output, b"\nab\ncd\n", "in pieces of {size}");
            assert_eq!(reading.state(), Some(JobState::Ended(vec![crate::port::Exit::Code(3)])), "in pieces of {size}");
        }
        for cut in [&answer[..5], &answer[..answer.len() - 1], b"x running\n"] {
            let mut reading = PollAnswer::default();
            reading.feed(cut.to_vec());
            assert_eq!(reading.state(), None, "{cut:?}");
        }
    }
}
