//! A fresh attempt never works beside what an earlier one may have left behind: jobs of attempts whose end nobody knows
//! are ended first, and a host that cannot be asked is a reason not to begin.
//!
//! It must not judge what those jobs have done: only that they do nothing more.

use super::StepContext;
use super::job::GRACE;
use crate::model::{Failure, FailureKind};
use crate::port::{JobId, JobState, Place};

/// Ends what is on record of attempts whose end nobody knows.
///
/// # Errors
/// `Unknown` when something of it still works, or when its host does not say: then nothing was begun.
pub async fn end_earlier(cx: &StepContext) -> Result<(), Failure> {
    let starts: Vec<JobId> = cx.jobs.loose().map(|attempt| cx.job_of(attempt, "")).collect();
    let is_loose = |job: &JobId| starts.iter().any(|start| job.as_str().starts_with(start.as_str()));
    for (place, job) in cx.jobs.earlier().filter(|(_, job)| is_loose(job)) {
        end(cx, place, job).await?;
    }
    Ok(())
}

/// Ends the jobs of the same label that such attempts may have begun at `place` without leaving a record of it: the
/// answer to their start was lost, or the program died before it could write it down.
///
/// # Errors
/// As [`end_earlier`].
pub(super) async fn end_namesakes(cx: &StepContext, place: &Place, label: &str) -> Result<(), Failure> {
    for job in cx.jobs.loose().map(|attempt| cx.job_of(attempt, label)) {
        if !cx.jobs.was_begun(place, &job) {
            end(cx, place, &job).await?;
            cx.jobs.note(place, &job);
        }
    }
    Ok(())
}

async fn end(cx: &StepContext, place: &Place, job: &JobId) -> Result<(), Failure> {
    cx.say(format!("making sure that job {job} of an earlier attempt does not work on {place} any more"));
    let refused = |got: String| {
        Failure::new(
            FailureKind::Unknown,
            format!("end job {job} of an earlier attempt on {place}, before it is done afresh"),
            format!("{got}; so nothing was begun beside it"),
        )
    };
    match cx.reach.job_cancel(place, job, GRACE).await {
        Ok(found) if found.survivors.is_empty() && found.state != JobState::Running => Ok(()),
        Ok(found) => {
            let who = if found.survivors.is_empty() { "its runner".to_owned() } else { found.survivors.join(", ") };
            Err(refused(format!("it was told to stop and is still alive: {who}"))
                .hint(format!("end it on {place}, then `changeover resume {}`", cx.run)))
        }
        Err(error) => Err(refused(format!("{error}, and it may still be at work there")).hint(format!(
            "when {place} answers again, `changeover resume {}`: the job is stopped first; if it is gone for good, take it \
             out of the estate and start a new run",
            cx.run
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::port::fake::{Answer, Call};
    use crate::port::{Command, Pipeline, ReachErrorKind};
    use crate::systems::fake::Bench;
    use crate::systems::{JobLog, run_job};

    /// The third attempt of a unit whose first two ended nobody knows how; of these jobs there is a record.
    fn third(recorded: &[(Place, JobId)]) -> Bench {
        let mut bench = Bench::new("");
        bench.cx.attempt = 3;
        bench.cx.jobs = JobLog::after(recorded.iter().cloned().collect::<BTreeSet<_>>(), 1..3);
        bench
    }

    fn host() -> Place {
        Bench::new("").host("app1").cx.exchange_place(&crate::systems::fake::site("prod")).expect("a host")
    }

    fn cancelled(bench: &Bench) -> Vec<JobId> {
        let calls = bench.reach.calls().into_iter();
        calls.filter_map(|call| if let Call::JobCancel(_, job) = call { Some(job) } else { None }).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_jobs_of_attempts_in_doubt_are_ended() {
        let name = |attempt, label| Bench::new("").cx.job_of(attempt, label);
        let at = host();
        // Its own job is there because it was entered again.
        let jobs = [name(1, "work"), name(2, "other"), name(3, "work"), name(12, "work")];
        let recorded: Vec<_> = jobs.iter().map(|job| (at.clone(), job.clone())).collect();
        let bench = third(&recorded);
        for job in &jobs {
            bench.reach.runs(&at, job, &[], &[]);
        }
        end_earlier(&bench.cx).await.expect("they can be ended");
        assert_eq!(cancelled(&bench), jobs[..2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_or_cannot_be_asked_keeps_it_from_beginning() {
        let at = host();
        let job = Bench::new("").cx.job_of(2, "work");
        for (errors, survivors, words) in [
            (&[][..], &["77 mariadb-dump"][..], "is still alive: 77 mariadb-dump; so nothing was begun beside it"),
            (&[ReachErrorKind::Unreachable][..], &[][..], "no answer, and it may still be at work there"),
        ] {
            let bench = third(&[(at.clone(), job.clone())]);
            bench.reach.runs(&at, &job, errors, survivors);
            let failure = end_earlier(&bench.cx).await.expect_err("it may still work");
            assert_eq!(failure.kind, FailureKind::Unknown);
            assert!(failure.to_string().contains(words) && failure.to_string().contains("prod:app1"), "{failure}");
            assert!(failure.hint.expect("advice").as_str().contains("changeover resume r1"));
        }
    }

    /// The program died between a start and the record of it.
    #[tokio::test(start_paused = true)]
    async fn a_job_without_a_record_is_ended_where_its_like_is_about_to_begin() {
        let (at, work) = (host(), Pipeline::from(Command::new("work")));
        let bench = third(&[]);
        let lost = bench.cx.job_of(2, "work");
        bench.reach.runs(&at, &lost, &[], &[]);
        bench.reach.on("work", Answer::job(&[0], ""));
        let run = run_job(&bench.cx, &at, "work", &work).await.expect("it is done");
        assert!(run.is_success());
        assert_eq!(cancelled(&bench), [bench.cx.job_of(1, "work"), lost]);
        let order: Vec<bool> = bench.reach.calls().iter().map(|call| matches!(call, Call::JobStart(..))).collect();
        assert_eq!(order, [false, false, true], "both are ended before it begins");
        assert_eq!(bench.cx.jobs.all().len(), 3, "what they left is removed with its own");

        let bench = third(&[]);
        bench.reach.runs(&at, &bench.cx.job_of(1, "work"), &[ReachErrorKind::Lost], &[]);
        let failure = run_job(&bench.cx, &at, "work", &work).await.expect_err("nobody knows");
        assert_eq!(failure.kind, FailureKind::Unknown);
        assert_eq!(bench.reach.count("$ work"), 0);
    }
}
