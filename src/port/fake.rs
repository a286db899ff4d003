//! A scripted world for the tests of steps: answers that were prepared, calls that are recorded, a clock that obeys
//! `tokio::time`. It knows no system; a call nobody prepared an answer for fails the test at once.
//!
//! ```ignore
//! let reach = FakeReach::new();
//! reach.on("sv status", Answer::stdout("run: /svc: (pid 7) 1s"));    // the first time only
//! reach.always("sv status", Answer::stdout("run: /svc: (pid 9) 1s")); // from then on
//! reach.on("GET http://app1/health", Answer::json(200, json!({ "ok": true })));
//! ```
//!
//! A rule answers the calls of its kind whose text holds every one of its words, in the order in which the rules were
//! given. The text of a call is what [`Call`] displays: the place or server, then the command, request or statements,
//! for example `prod:app1 $ sv status /svc`, `GET http://… {"a":1}`, `10.0.0.1:6379> INFO replication; DBSIZE`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Certificate, CertificateLook, Clock, ExecOutput, Exit, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll,
    JobStart, JobState, Pipeline, Place, Reach, ReachError, ReachErrorKind, RedisEndpoint, RedisReply, SqlEndpoint,
    SqlRows, SqlStatement,
};
use crate::model::{Secret, SecretSource};

/// One thing that was asked of the world.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Exec(Place, Pipeline, Duration),
    JobStart(Place, JobId, Pipeline),
    JobCancel(Place, JobId),
    JobForget(Place, JobId),
    Http(HttpRequest),
    Certificate(CertificateLook),
    Sql(SqlEndpoint, Vec<SqlStatement>),
    Redis(RedisEndpoint, Vec<Vec<String>>),
    Secret(SecretSource),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(place, pipeline, _) | Self::JobStart(place, _, pipeline) => write!(f, "{place} $ {pipeline}"),
            Self::JobCancel(place, job) => write!(f, "{place} cancel {job}"),
            Self::JobForget(place, job) => write!(f, "{place} forget {job}"),
            Self::Http(request) => request.fmt(f),
            Self::Certificate(look) => write!(f, "certificate of {}", look.url),
            Self::Sql(endpoint, statements) => {
                let texts: Vec<&str> = statements.iter().map(|statement| statement.text.as_str()).collect();
                write!(f, "{endpoint}> {}", texts.join("; "))
            }
            Self::Redis(endpoint, commands) => {
                let texts: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
                write!(f, "{endpoint}> {}", texts.join("; "))
            }
            Self::Secret(source) => write!(f, "secret {source:?}"),
        }
    }
}

/// A job as it will be found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FakeJob {
    /// All it writes; there from the start.
    pub(crate) output: Vec<u8>,
    /// How it is found. A running one runs until it is cancelled.
    pub(crate) state: JobState,
    /// Errors that looks at it, and attempts to stop it, meet first.
    pub(crate) poll_errors: VecDeque<ReachError>,
    /// Who is still alive after it was cancelled.
    pub(crate) survivors: Vec<String>,
}

/// A prepared answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Exec(Result<ExecOutput, ReachError>),
    Job(Result<FakeJob, ReachError>),
    Http(Result<HttpResponse, ReachError>),
    Certificate(Result<Certificate, ReachError>),
    Sql(Result<Vec<SqlRows>, ReachError>),
    Redis(Result<Vec<RedisReply>, ReachError>),
    Secret(Result<Secret, ReachError>),
    /// The call of any kind fails with this.
    Error(ReachError),
    /// The call of any kind never returns.
    Hang,
}

impl Answer {
    /// A command that ended with these codes.
    pub(crate) fn exec(exits: &[i32], stdout: &str, stderr: &str) -> Self {
        Self::Exec(Ok(ExecOutput {
            exits: exits.iter().copied().map(Exit::Code).collect(),
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
        }))
    }

    /// A command that ended well and wrote this.
    pub(crate) fn stdout(stdout: &str) -> Self {
        Self::exec(&[0], stdout, "")
    }

    /// A job that ended with these codes and wrote this.
    pub(crate) fn job(exits: &[i32], output: &str) -> Self {
        Self::job_in(JobState::Ended(exits.iter().copied().map(Exit::Code).collect()), output)
    }

    /// A job in any state that wrote this.
    pub(crate) fn job_in(state: JobState, output: &str) -> Self {
        let job = FakeJob { output: output.into(), state, poll_errors: VecDeque::new(), survivors: Vec::new() };
        Self::Job(Ok(job))
    }

    /// A response with a JSON body.
    #[expect(clippy::needless_pass_by_value, reason = "tests write `json!(…)` in place")]
    pub(crate) fn json(status: u16, body: serde_json::Value) -> Self {
        Self::Http(Ok(HttpResponse { status, body: body.to_string().into_bytes() }))
    }

    /// A response with any body.
    pub(crate) fn http(status: u16, body: &str) -> Self {
        Self::Http(Ok(HttpResponse { status, body: body.into() }))
    }

    /// A certificate that ends then.
    pub(crate) fn certificate(until: &str) -> Self {
        let not_after = until.parse().expect("a time");
        Self::Certificate(Ok(Certificate { subject: "CN=made up".to_owned(), not_after }))
    }

    /// Replies, one per command.
    pub(crate) fn redis(replies: &[RedisReply]) -> Self {
        Self::Redis(Ok(replies.to_vec()))
    }

    /// The rows of each statement.
    pub(crate) fn sql(rows: &[SqlRows]) -> Self {
        Self::Sql(Ok(rows.to_vec()))
    }

    /// A secret.
    pub(crate) fn secret(text: &str) -> Self {
        Self::Secret(Ok(Secret::new(text.to_owned())))
    }

    /// An error of `kind`, at whatever was asked.
    pub(crate) fn error(kind: ReachErrorKind, got: &str) -> Self {
        Self::Error(ReachError::new(kind, "there", got))
    }

    /// The answer is lost on the way.
    pub(crate) fn lost() -> Self {
        Self::error(ReachErrorKind::Lost, "connection reset")
    }

    fn fits(&self, call: &Call) -> bool {
        match self {
            Self::Exec(_) => matches!(call, Call::Exec(..)),
            Self::Job(_) => matches!(call, Call::JobStart(..)),
            Self::Http(_) => matches!(call, Call::Http(_)),
            Self::Certificate(_) => matches!(call, Call::Certificate(_)),
            Self::Sql(_) => matches!(call, Call::Sql(..)),
            Self::Redis(_) => matches!(call, Call::Redis(..)),
            Self::Secret(_) => matches!(call, Call::Secret(_)),
            Self::Error(_) | Self::Hang => true,
        }
    }
}

/// Rows as tests write them: column names, then rows of texts; `NULL` stands for NULL.
pub(crate) fn rows(columns: &[&str], rows: &[&[&str]]) -> SqlRows {
    use super::SqlValue;
    let value = |text: &&str| if *text == "NULL" { SqlValue::Null } else { SqlValue::from(*text) };
    SqlRows {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        rows: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
        affected: 0,
    }
}

type Respond = Box<dyn FnMut(&Call) -> Answer + Send>;

enum Source {
    Once(Option<Answer>),
    Always(Answer),
    /// Asked for every call of any kind that its words match.
    Dynamic(Respond),
}

struct Rule {
    words: Vec<String>,
    source: Source,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    jobs: BTreeMap<(Place, JobId), FakeJob>,
}

/// The scripted world.
#[derive(Default)]
pub(crate) struct FakeReach(Mutex<State>);

impl FakeReach {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Answers one call whose text holds `words` (several are separated by ` & `).
    pub(crate) fn on(&self, words: &str, answer: Answer) -> &Self {
        self.rule(words, Source::Once(Some(answer)))
    }

    /// Answers every call whose text holds `words`.
    pub(crate) fn always(&self, words: &str, answer: Answer) -> &Self {
        self.rule(words, Source::Always(answer))
    }

    /// Computes the answer to every call (of any kind) whose text holds `words`: for worlds with a state.
    pub(crate) fn compute(&self, words: &str, respond: impl FnMut(&Call) -> Answer + Send + 'static) -> &Self {
        self.rule(words, Source::Dynamic(Box::new(respond)))
    }

    /// A job that is there already and runs; looks at it, and attempts to stop it, meet these errors first, and these
    /// processes survive being told to stop.
    pub(crate) fn runs(&self, place: &Place, job: &JobId, errors: &[ReachErrorKind], survivors: &[&str]) {
        let error = |kind: &ReachErrorKind| ReachError::new(*kind, place.to_string(), "no answer");
        let found = FakeJob {
            output: Vec::new(),
            state: JobState::Running,
            poll_errors: errors.iter().map(error).collect(),
            survivors: survivors.iter().map(|&who| who.to_owned()).collect(),
        };
        self.state().jobs.insert((place.clone(), job.clone()), found);
    }

    /// Everything that was asked, in order. Looks at jobs are not recorded.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The texts of everything that was asked, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.state().calls.iter().map(ToString::to_string).collect()
    }

    /// How many calls hold `words`.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.texts().iter().filter(|text| text.contains(words)).count()
    }

    /// The prepared answers for one call that nobody asked for.
    pub(crate) fn unused(&self) -> Vec<String> {
        let state = self.state();
        let unused = state.rules.iter().filter(|rule| matches!(rule.source, Source::Once(Some(_))));
        unused.map(|rule| rule.words.join(" & ")).collect()
    }

    fn rule(&self, words: &str, source: Source) -> &Self {
        let words = words.split(" & ").map(str::to_owned).collect();
        self.state().rules.push(Rule { words, source });
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the call and finds its answer.
    async fn answer(&self, call: Call) -> Answer {
        let text = call.to_string();
        let found = {
            let mut state = self.state();
            state.calls.push(call.clone());
            let matching = state.rules.iter_mut().filter(|rule| rule.words.iter().all(|word| text.contains(word)));
            let mut found = None;
            for rule in matching {
                found = match &mut rule.source {
                    Source::Once(answer) => answer.take_if(|answer| answer.fits(&call)),
                    Source::Always(answer) => answer.fits(&call).then(|| answer.clone()),
                    Source::Dynamic(respond) => Some(respond(&call)),
                };
                if found.is_some() {
                    break;
                }
            }
            found
        };
        match found {
            Some(Answer::Hang) => std::future::pending().await,
            Some(answer) => answer,
            None => panic!("the test prepared no answer for `{text}`; asked before: {:#?}", self.texts()),
        }
    }
}

macro_rules! expect_answer {
    ($self:ident, $call:expr, $kind:ident) => {{
        let call = $call;
        match $self.answer(call.clone()).await {
            Answer::$kind(answer) => answer,
            Answer::Error(error) => Err(error),
            other => panic!("the test prepared {other:?} for `{call}`"),
        }
    }};
}

#[async_trait]
impl Reach for FakeReach {
    async fn exec(&self, place: &Place, pipeline: &Pipeline, timeout: Duration) -> Result<ExecOutput, ReachError> {
        expect_answer!(self, Call::Exec(place.clone(), pipeline.clone(), timeout), Exec)
    }

    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError> {
        let key = (place.clone(), job.clone());
        if self.state().jobs.contains_key(&key) {
            return Ok(JobStart::AlreadyThere);
        }
        let fake = expect_answer!(self, Call::JobStart(place.clone(), job.clone(), pipeline.clone()), Job)?;
        self.state().jobs.insert(key, fake);
        Ok(JobStart::Started)
    }

    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, wait: Duration) -> Result<JobPoll, ReachError> {
        let key = (place.clone(), job.clone());
        let poll = {
            let mut state = self.state();
            let Some(found) = state.jobs.get_mut(&key) else {
                return Ok(JobPoll { state: JobState::Absent, output: Vec::new(), next_offset: offset });
            };
            if let Some(error) = found.poll_errors.pop_front() {
                return Err(error);
            }
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(found.output.len());
            let output = found.output[from..].to_vec();
            JobPoll { state: found.state.clone(), next_offset: found.output.len() as u64, output }
        };
        if poll.state == JobState::Running && poll.output.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(poll)
    }

    async fn job_cancel(&self, place: &Place, job: &JobId, _grace: Duration) -> Result<JobCancel, ReachError> {
        let mut state = self.state();
        state.calls.push(Call::JobCancel(place.clone(), job.clone()));
        let Some(found) = state.jobs.get_mut(&(place.clone(), job.clone())) else {
            return Ok(JobCancel { state: JobState::Absent, survivors: Vec::new() });
        };
        if let Some(error) = found.poll_errors.pop_front() {
            return Err(error);
        }
        if found.state == JobState::Running && found.survivors.is_empty() {
            found.state = JobState::Ended(vec![Exit::Code(143)]);
        }
        Ok(JobCancel { state: found.state.clone(), survivors: found.survivors.clone() })
    }

    async fn job_forget(&self, place: &Place, job: &JobId) -> Result<(), ReachError> {
        let mut state = self.state();
        state.calls.push(Call::JobForget(place.clone(), job.clone()));
        state.jobs.remove(&(place.clone(), job.clone()));
        Ok(())
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        expect_answer!(self, Call::Http(request.clone()), Http)
    }

    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError> {
        expect_answer!(self, Call::Certificate(look.clone()), Certificate)
    }

    async fn sql(&self, endpoint: &SqlEndpoint, statements: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError> {
        expect_answer!(self, Call::Sql(endpoint.clone(), statements.to_vec()), Sql)
    }

    async fn secret(&self, source: &SecretSource) -> Result<Secret, ReachError> {
        expect_answer!(self, Call::Secret(source.clone()), Secret)
    }

    async fn redis(&self, endpoint: &RedisEndpoint, commands: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError> {
        let mut replies = expect_answer!(self, Call::Redis(endpoint.clone(), commands.to_vec()), Redis)?;
        if let Some(refused) = replies.iter().position(|reply| matches!(reply, RedisReply::Error(_))) {
            replies.truncate(refused + 1);
        }
        Ok(replies)
    }
}

/// A clock that starts at `2026-03-01T02:00:00Z` and goes on with `tokio::time`, which tests can pause. Its entropy
/// counts: 1, 2, 3 …
pub(crate) struct FakeClock {
    began: tokio::time::Instant,
    drawn: AtomicU64,
}

impl FakeClock {
    pub(crate) fn new() -> Self {
        Self { began: tokio::time::Instant::now(), drawn: AtomicU64::new(0) }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-03-01T02:00:00Z".parse().expect("a time");
        start + self.began.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    fn entropy(&self) -> [u8; 16] {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed) + 1;
        u128::from(drawn).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Command, Method};

    #[tokio::test]
    async fn answers_come_in_order_and_by_kind() {
        let reach = FakeReach::new();
        reach.on("status", Answer::http(500, "")).on("sv & status", Answer::stdout("one"));
        reach.always("status", Answer::stdout("more"));
        let status = Pipeline::from(Command::new("sv").arg("status"));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(reach.exec(&Place::Console, &status, Duration::ZERO).await.expect("an answer").text());
        }
        assert_eq!(seen, ["one", "more", "more"]);
        assert_eq!(reach.unused(), ["status"]);
        assert_eq!(reach.texts(), ["this machine $ sv status"; 3]);
    }

    #[tokio::test]
    #[should_panic(expected = "prepared no answer for `GET http://a/`")]
    async fn an_unexpected_call_fails_the_test() {
        let reach = FakeReach::new();
        reach.on("POST", Answer::http(200, ""));
        drop(reach.http(&HttpRequest::new(Method::Get, "http://a/")).await);
    }

    #[tokio::test]
    async fn a_job_is_started_once_and_runs_until_cancelled() {
        let reach = FakeReach::new();
        reach.on("work", Answer::job_in(JobState::Running, "begun\n"));
        let (job, work) = (JobId::new(&["j"]), Pipeline::from(Command::new("work")));
        let at = Place::Console;
        assert_eq!(reach.job_start(&at, &job, &work).await, Ok(JobStart::Started));
        assert_eq!(reach.job_start(&at, &job, &work).await, Ok(JobStart::AlreadyThere));
        let first = reach.job_poll(&at, &job, 0, Duration::ZERO).await.expect("a poll");
        assert_eq!((first.output.as_slice(), first.next_offset, first.state), (&b"begun\n"[..], 6, JobState::Running));
        let cancel = reach.job_cancel(&at, &job, Duration::ZERO).await.expect("a cancel");
        assert_eq!(cancel.state, JobState::Ended(vec![Exit::Code(143)]));
    }
}
