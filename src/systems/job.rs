//! Following a durable job to its end: attach after a lost connection, stream its output, stop it when asked.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;

use super::earlier::end_namesakes;
use super::{StepContext, VoiceMessage};
use crate::model::{Failure, FailureKind};
use crate::port::{Exit, JobId, JobState, Look, Pipeline, Place, ReachErrorKind, complaint};

/// How long one look may wait for news.
const POLL: Duration = Duration::from_secs(10);
/// Between TERM and KILL.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How much of the output's end is kept for messages.
const TAIL: usize = 16 * 1024;
/// The most output that a first look brings, and any look. How much the next one brings follows from how fast the host
/// is: each look costs a round trip and a shell on the host, but one that is cut off by a slow link has to end in time.
const FIRST_LOOK: u64 = 256 * 1024;
const LARGEST_LOOK: u64 = 256 * 1024 * 1024;

/// An ended job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// One per member of the pipeline.
    pub exits: Vec<Exit>,
    /// The end of what it wrote, at most 16 KiB.
    pub tail: String,
}

impl JobRun {
    /// True when every member ended with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.exits.iter().all(|exit| exit.is_success())
    }

    /// For error messages: which member ended how, and the last lines of what it said.
    #[must_use]
    pub fn complaint(&self, pipeline: &Pipeline) -> String {
        complaint(pipeline, &self.exits, &self.tail)
    }
}

/// Runs `pipeline` as the durable job `label` of this attempt and follows it to its end.
///
/// Entering again with the same attempt attaches to the job that is there. A lost connection is dialled again for as
/// long as the estate's `policy.patience` says, while the work goes on. The job's folder stays until the attempt has ended well and that is on record.
///
/// # Errors
/// `Cancelled` after the job was stopped and seen to be gone; `Unknown` when the host could not be asked any more, when
/// the job vanished without an ending, or when processes survived the stop; `Unreachable` when nothing was started.
pub async fn run_job(cx: &StepContext, place: &Place, label: &str, pipeline: &Pipeline) -> Result<JobRun, Failure> {
    run_job_watched(cx, place, label, pipeline, |_| {}).await
}

/// Like [`run_job`], and shows each piece of output to `watch`, for progress.
///
/// # Errors
/// As [`run_job`].
pub async fn run_job_watched(
    cx: &StepContext,
    place: &Place,
    label: &str,
    pipeline: &Pipeline,
    mut watch: impl FnMut(&[u8]) + Send,
) -> Result<JobRun, Failure> {
    let job = cx.job_id(label);
    let tried = format!("run on {place}: {pipeline}");
    cx.check_cancelled(&tried)?;
    cx.jobs.note(place, &job);
    // What an earlier process began is looked for, not started: were it gone, starting would do its work again.
    if !cx.jobs.was_begun(place, &job) {
        end_namesakes(cx, place, label).await?;
        start(cx, place, &job, pipeline, &tried).await?;
        cx.voice.send(VoiceMessage::JobBegun(place.clone(), job.clone()));
    }
    let (mut offset, mut most) = (0, FIRST_LOOK);
    let mut tail = VecDeque::new();
    let mut silent_since: Option<tokio::time::Instant> = None;
    let mut pause = Duration::from_secs(1);
    loop {
        let asked = tokio::time::Instant::now();
        let (sender, mut pieces) = mpsc::channel(4);
        let looking = cx.reach.job_follow(place, &job, Look { offset, wait: POLL, most }, sender);
        tokio::pin!(looking);
        let (mut came, mut found) = (0, None);
        loop {
            let piece = tokio::select! {
                biased;
                () = cx.cancel.cancelled() => return Err(stop(cx, place, &job, &tried).await),
                piece = pieces.recv() => piece,
                state = &mut looking, if found.is_none() => {
                    found = Some(state);
                    continue;
                }
            };
            let Some(piece) = piece else { break };
            came += piece.len() as u64;
            watch(&piece);
            tail.extend(&piece[piece.len().saturating_sub(TAIL)..]);
            let excess = tail.len().saturating_sub(TAIL);
            tail.drain(..excess);
            cx.stream(piece).await;
        }
        offset += came;
        let found = match found {
            Some(found) => found,
            None => looking.await,
        };
        let state = match found {
            Ok(state) => state,
            Err(error) => {
                most = FIRST_LOOK;
                let since = *silent_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() > cx.estate.policy.patience() || error.kind == ReachErrorKind::Denied {
                    return Err(Failure::new(FailureKind::Unknown, &tried, error.to_string()).hint(format!(
                        "the work may still be running on {place} as job {job}; when the host is back, resume the run: it attaches to the job"
                    )));
                }
                cx.say(format!(
                    "{place} does not answer ({error}); the work goes on there, asking again in {}s",
                    pause.as_secs()
                ));
                tokio::select! {
                    biased;
                    () = cx.cancel.cancelled() => return Err(stop(cx, place, &job, &tried).await),
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(Duration::from_secs(30));
                continue;
            }
        };
        silent_since = None;
        pause = Duration::from_secs(1);
        if came > 0 {
            most = next_look(most, came, asked.elapsed());
            continue;
        }
        let text = |tail: VecDeque<u8>| String::from_utf8_lossy(&tail.into_iter().collect::<Vec<_>>()).into_owned();
        match state {
            JobState::Running => {}
            JobState::Ended(exits) => return Ok(JobRun { exits, tail: text(tail) }),
            JobState::Vanished => {
                return Err(Failure::new(
                    FailureKind::Unknown,
                    &tried,
                    "its process is gone and it left no ending: it was killed, or the host was restarted",
                )
                .hint(format!("look at what it left behind; {}", then_say(cx))));
            }
            JobState::Absent => {
                return Err(Failure::new(
                    FailureKind::Unknown,
                    &tried,
                    format!("the folder of job {job} is gone from {place}"),
                )
                .hint(format!("somebody removed it; look at what the work left behind; {}", then_say(cx))));
            }
        }
    }
}

/// How much the next look may bring after one of at most `most` brought `came` within `took`: about as much as comes
/// within a second or two.
fn next_look(most: u64, came: u64, took: Duration) -> u64 {
    if took > Duration::from_secs(4) {
        (most / 4).max(FIRST_LOOK)
    } else if came >= most && took < Duration::from_millis(500) {
        (most * 4).min(LARGEST_LOOK)
    } else {
        most
    }
}

/// How to go on with a job that can no longer be asked: only a person can say what became of it.
fn then_say(cx: &StepContext) -> String {
    format!(
        "then, at a terminal, `changeover resume {}` asks whether it is done, or is to be done again as a fresh attempt",
        cx.run
    )
}

/// Starts the job, or finds that it is there. Once an answer was lost the work may be under way: from then on a host
/// that cannot be reached no longer means that nothing was started.
async fn start(cx: &StepContext, place: &Place, job: &JobId, pipeline: &Pipeline, tried: &str) -> Result<(), Failure> {
    let mut lost_since: Option<tokio::time::Instant> = None;
    let mut pause = Duration::from_secs(1);
    loop {
        let Err(error) = cx.reach.job_start(place, job, pipeline).await else { return Ok(()) };
        if error.kind == ReachErrorKind::Lost {
            lost_since.get_or_insert_with(tokio::time::Instant::now);
        }
        let Some(since) = lost_since else { return Err(error.while_changing(tried)) };
        if since.elapsed() > cx.estate.policy.patience() || error.kind == ReachErrorKind::Denied {
            let got = format!("the answer was lost while it was being started, and then: {error}");
            return Err(Failure::new(FailureKind::Unknown, tried, got).hint(format!(
                "the work may be running on {place} as job {job}; when the host is back, resume the run: it attaches to the job"
            )));
        }
        cx.say(format!(
            "lost {place} while starting ({error}); starting is idempotent, trying again in {}s",
            pause.as_secs()
        ));
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(stop(cx, place, job, tried).await),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// Stops the job and says what is known of it then.
async fn stop(cx: &StepContext, place: &Place, job: &JobId, tried: &str) -> Failure {
    cx.say(format!("stopping job {job} on {place}"));
    match cx.reach.job_cancel(place, job, GRACE).await {
        Ok(cancel) if cancel.survivors.is_empty() && cancel.state != JobState::Running => {
            Failure::new(FailureKind::Cancelled, tried, "asked to stop; its processes are gone")
        }
        Ok(cancel) => Failure::new(
            FailureKind::Unknown,
            tried,
            format!("asked to stop, but still alive on {place}: {}", cancel.survivors.join(", ")),
        )
        .hint(format!("end them on {place}, then resume or start again")),
        Err(error) => Failure::new(FailureKind::Unknown, tried, format!("asked to stop, but {error}"))
            .hint(format!("the work may still be running on {place} as job {job}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Command;
    use crate::port::fake::Answer;
    use crate::systems::fake::Bench;

    #[test]
    fn looks_grow_with_a_fast_host_and_shrink_with_a_slow_one() {
        let (fast, slow) = (Duration::from_millis(100), Duration::from_secs(9));
        assert_eq!(next_look(FIRST_LOOK, FIRST_LOOK, fast), FIRST_LOOK * 4);
        assert_eq!(next_look(FIRST_LOOK, 10, fast), FIRST_LOOK, "the host has no more yet");
        assert_eq!(next_look(LARGEST_LOOK, LARGEST_LOOK, fast), LARGEST_LOOK);
        assert_eq!(next_look(FIRST_LOOK * 16, FIRST_LOOK * 16, slow), FIRST_LOOK * 4);
        assert_eq!(next_look(FIRST_LOOK, 1, slow), FIRST_LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn output_that_nobody_takes_holds_the_job_up_and_not_the_memory() {
        let bench = Bench::new("");
        let streaming = async {
            for _ in 0..1000 {
                bench.cx.stream(vec![0; 10]).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(1), streaming).await.is_err(), "a thousand pieces waited");
        let mut bench = bench;
        assert_eq!(bench.heard().lines().count(), 64);
        let one_more = bench.cx.stream(vec![0; 10]);
        tokio::time::timeout(Duration::from_secs(1), one_more).await.expect("there is room again");
    }

    async fn begin(answers: [Answer; 2]) -> Result<JobRun, Failure> {
        let bench = Bench::new("");
        for answer in answers {
            bench.reach.on("work", answer);
        }
        run_job(&bench.cx, &Place::Console, "label", &Pipeline::from(Command::new("work"))).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_whose_answer_was_lost_is_not_called_nothing_started() {
        let out_of_reach = || Answer::error(ReachErrorKind::Unreachable, "connection refused");
        let failure = begin([out_of_reach(), Answer::job(&[0], "")]).await.expect_err("it is out of reach");
        assert_eq!(failure.kind, FailureKind::Unreachable);
        let denied = Answer::error(ReachErrorKind::Denied, "host key");
        let failure = begin([Answer::lost(), denied]).await.expect_err("it is denied");
        assert_eq!(failure.kind, FailureKind::Unknown);
        assert!(failure.hint.expect("advice").as_str().contains("it attaches to the job"));
        let bench = Bench::new("");
        for answer in [Answer::lost(), out_of_reach(), out_of_reach(), Answer::job(&[0], "")] {
            bench.reach.on("work", answer);
        }
        let work = Pipeline::from(Command::new("work"));
        let run = run_job(&bench.cx, &Place::Console, "label", &work).await.expect("it is found again");
        assert!(run.is_success());
    }
}
