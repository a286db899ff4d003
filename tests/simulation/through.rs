//! A world seen through somebody: what is asked of it, and what it answers, may be held up, watched or falsified.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use changeover::model::{Secret, SecretSource};
use changeover::port::{
    Certificate, CertificateLook, ExecOutput, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll, JobStart, Pipeline,
    Place, Reach, ReachError, RedisEndpoint, RedisReply, SqlEndpoint, SqlRows, SqlStatement,
};

/// Who stands between an engine and its world. By itself it does nothing.
#[async_trait]
pub trait Between: Send + Sync {
    /// Before anything is asked, and before the answer is heard.
    async fn pass(&self) {}

    /// A command is to be run. What is returned is its answer, and the command is not run.
    fn command(&self, _pipeline: &Pipeline) -> Option<ExecOutput> {
        None
    }

    /// A command was run.
    fn answer(&self, _pipeline: &Pipeline, output: ExecOutput) -> ExecOutput {
        output
    }

    /// A job is to be started.
    fn job(&self, _place: &Place, _job: &JobId) {}

    /// A job is to be stopped. What is returned is the answer, and the job is not stopped.
    fn stop(&self) -> Option<JobCancel> {
        None
    }
}

/// The world through somebody.
pub struct Through<B>(pub Arc<dyn Reach>, pub B);

#[async_trait]
impl<B: Between> Reach for Through<B> {
    async fn exec(&self, place: &Place, pipeline: &Pipeline, timeout: Duration) -> Result<ExecOutput, ReachError> {
        self.1.pass().await;
        if let Some(output) = self.1.command(pipeline) {
            return Ok(output);
        }
        let output = self.0.exec(place, pipeline, timeout).await;
        self.1.pass().await;
        Ok(self.1.answer(pipeline, output?))
    }

    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError> {
        self.1.pass().await;
        self.1.job(place, job);
        let started = self.0.job_start(place, job, pipeline).await;
        self.1.pass().await;
        started
    }

    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, wait: Duration) -> Result<JobPoll, ReachError> {
        self.1.pass().await;
        let poll = self.0.job_poll(place, job, offset, wait).await;
        self.1.pass().await;
        poll
    }

    async fn job_cancel(&self, place: &Place, job: &JobId, grace: Duration) -> Result<JobCancel, ReachError> {
        self.1.pass().await;
        match self.1.stop() {
            Some(answer) => Ok(answer),
            None => self.0.job_cancel(place, job, grace).await,
        }
    }

    async fn job_forget(&self, place: &Place, job: &JobId) -> Result<(), ReachError> {
        self.1.pass().await;
        self.0.job_forget(place, job).await
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        self.1.pass().await;
        let response = self.0.http(request).await;
        self.1.pass().await;
        response
    }

    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError> {
        self.0.certificate(look).await
    }

    async fn sql(&self, endpoint: &SqlEndpoint, statements: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError> {
        self.1.pass().await;
        let rows = self.0.sql(endpoint, statements).await;
        self.1.pass().await;
        rows
    }

    async fn secret(&self, source: &SecretSource) -> Result<Secret, ReachError> {
        self.0.secret(source).await
    }

    async fn redis(&self, endpoint: &RedisEndpoint, commands: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError> {
        self.1.pass().await;
        let replies = self.0.redis(endpoint, commands).await;
        self.1.pass().await;
        replies
    }
}
