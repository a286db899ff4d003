//! Reaching hosts and servers.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{
    Certificate, CertificateLook, ExecOutput, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll, JobStart, JobState,
    Look, Pipeline, RedisEndpoint, RedisReply, SqlEndpoint, SqlRows, SqlStatement,
};
use crate::model::{Failure, FailureKind, HostName, Secret, SecretSource, SiteName};

/// A machine on which commands can be started.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The machine the program runs on.
    Console,
    /// A host of a site.
    Host(SiteName, HostName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console => f.pad("this machine"),
            Self::Host(site, host) => f.pad(&format!("{site}:{host}")),
        }
    }
}

/// Everything the core may do to the world. All methods may be called from many tasks at once.
///
/// Contract for implementations: dropping a future stops waiting, and may leave remote work running; only jobs can be
/// stopped remotely. No method retries by itself, except dialling a connection before anything was sent.
#[async_trait]
pub trait Reach: Send + Sync {
    /// Runs a short pipeline and returns its output. For work of more than about a minute use a job.
    ///
    /// # Errors
    /// [`ReachError`] when the pipeline could not be started, or when its ending cannot be known. A pipeline that ran
    /// and failed is `Ok`.
    async fn exec(&self, place: &Place, pipeline: &Pipeline, timeout: Duration) -> Result<ExecOutput, ReachError>;

    /// Starts a durable job, or finds the one of the same name.
    ///
    /// # Errors
    /// `Lost` when the connection broke and it is not known whether the job started: call again, it is idempotent.
    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError>;

    /// Looks at a job, waiting up to `wait` for output beyond `offset` or for its end.
    ///
    /// # Errors
    /// When the host cannot be asked; says nothing about the job.
    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, wait: Duration) -> Result<JobPoll, ReachError>;

    /// Like [`Reach::job_poll`], and hands the output over while it arrives, so that little of it is in memory at a time.
    /// Returns the state, read before the output: `Ended` by a look that brought nothing means that all was read.
    ///
    /// # Errors
    /// As [`Reach::job_poll`]. The pieces handed over before it failed are good.
    async fn job_follow(
        &self,
        place: &Place,
        job: &JobId,
        look: Look,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Result<JobState, ReachError> {
        let poll = self.job_poll(place, job, look.offset, look.wait).await?;
        if !poll.output.is_empty() {
            // Whoever asked may have given up.
            drop(pieces.send(poll.output).await);
        }
        Ok(poll.state)
    }

    /// Stops a job: TERM to its process group, KILL after `grace`, then looks who is still alive.
    ///
    /// # Errors
    /// When the host cannot be asked; the job may still run.
    async fn job_cancel(&self, place: &Place, job: &JobId, grace: Duration) -> Result<JobCancel, ReachError>;

    /// Removes the folder of an ended job. Does nothing to a running one.
    ///
    /// # Errors
    /// When the host cannot be asked.
    async fn job_forget(&self, place: &Place, job: &JobId) -> Result<(), ReachError>;

    /// Sends one request. Every status is `Ok`.
    ///
    /// # Errors
    /// `Unreachable` when nothing was sent, `Lost` when the request may have taken effect.
    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError>;

    /// Opens a TLS connection of its own to the origin of an `https` URL and returns the certificate that the server
    /// shows. Nothing is asked there beyond its headers, without any proof of identity.
    ///
    /// # Errors
    /// `Denied` when the certificate is not accepted, an expired one among others; `Unreachable` and `Lost` when there
    /// was no connection or no answer.
    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError>;

    /// Runs statements one after the other in one session, stopping at the first error.
    ///
    /// # Errors
    /// `Refused` with the server's code and message when a statement fails.
    async fn sql(&self, endpoint: &SqlEndpoint, statements: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError>;

    /// Reads a secret from where the estate says it is. Never cached longer than the process.
    ///
    /// # Errors
    /// `Denied` when the source is missing, empty, or readable by others than its owner.
    async fn secret(&self, source: &SecretSource) -> Result<Secret, ReachError>;

    /// Sends commands one after the other on one connection, stopping after the first error reply. Error replies are
    /// `Ok`; the commands behind one were not sent, so that a flush never follows a refused `SELECT`.
    ///
    /// # Errors
    /// When the server cannot be reached or the connection breaks.
    async fn redis(&self, endpoint: &RedisEndpoint, commands: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError>;
}

/// Why the world could not be asked, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachError {
    /// What this says about the effect.
    pub kind: ReachErrorKind,
    /// The place, address or URL.
    pub at: String,
    /// What came back, in the words of the system that said it.
    pub got: String,
    /// What a person can do, if we know.
    pub hint: Option<String>,
}

/// What an error says about the effect of what was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReachErrorKind {
    /// Nothing was started, and trying again may help.
    Unreachable,
    /// Nothing was started, and trying again will not help (host key, login, unknown host, bad configuration).
    Denied,
    /// The server understood and said no.
    Refused,
    /// It may have been started; its ending is not known.
    Lost,
}

impl ReachError {
    /// An error of `kind` at a place.
    #[must_use]
    pub fn new(kind: ReachErrorKind, at: impl Into<String>, got: impl Into<String>) -> Self {
        Self { kind, at: at.into(), got: got.into(), hint: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure of a step that tried `tried`, which would have changed something: a lost answer is unknown.
    #[must_use]
    pub fn while_changing(&self, tried: impl AsRef<str>) -> Failure {
        self.failure(tried.as_ref(), FailureKind::Unknown)
    }

    /// The failure of a step that only tried to read: a lost answer changed nothing and may be asked again.
    #[must_use]
    pub fn while_reading(&self, tried: impl AsRef<str>) -> Failure {
        self.failure(tried.as_ref(), FailureKind::Unreachable)
    }

    fn failure(&self, tried: &str, lost: FailureKind) -> Failure {
        let kind = match self.kind {
            ReachErrorKind::Unreachable => FailureKind::Unreachable,
            ReachErrorKind::Denied | ReachErrorKind::Refused => FailureKind::Refused,
            ReachErrorKind::Lost => lost,
        };
        let failure = Failure::new(kind, format!("{tried} at {}", self.at), &self.got);
        match &self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl fmt::Display for ReachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.got)
    }
}

impl std::error::Error for ReachError {}
