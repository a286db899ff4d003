//! For tests: a world of one machine. Every host is just a name for this machine, commands really run, jobs run
//! to their end when they are started and are remembered by name.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::{StepContext, Voice};
use crate::estate::Estate;
use crate::model::{Direction, End, HostName, PointId, RunId, Secret, SecretSource, ServiceName, SiteName, UnitKey};
use crate::points::Tree;
use crate::port::fake::FakeClock;
use crate::port::{
    Arg, Certificate, CertificateLook, ExecOutput, Exit, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll,
    JobStart, JobState, Pipeline, Place, Reach, ReachError, ReachErrorKind, RedisEndpoint, RedisReply, SqlEndpoint,
    SqlRows, SqlStatement,
};

/// What an ended job wrote, and how it ended.
type EndedJob = (Vec<u8>, Vec<Exit>);

/// This machine as every host.
pub(crate) struct LocalReach {
    /// A folder that stands before everything else in `PATH`, for programs that a test replaces.
    bin: PathBuf,
    jobs: Mutex<BTreeMap<(Place, JobId), EndedJob>>,
    /// What was run, as previews show it.
    pub(crate) ran: Mutex<Vec<String>>,
    /// Sites that cannot be reached.
    pub(crate) dead: Mutex<BTreeSet<SiteName>>,
}

impl LocalReach {
    fn reach(&self, place: &Place, pipeline: &Pipeline) -> Result<(), ReachError> {
        if let Place::Host(site, _) = place
            && self.dead.lock().expect("a lock").contains(site)
        {
            return Err(ReachError::new(ReachErrorKind::Unreachable, place.to_string(), "no route to host"));
        }
        self.ran.lock().expect("a lock").push(format!("{place} $ {pipeline}"));
        Ok(())
    }

    /// Runs a pipeline; returns exits, stdout of the last member, stderr of all.
    async fn really(&self, pipeline: &Pipeline) -> (Vec<Exit>, Vec<u8>, Vec<u8>) {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").expect("a PATH"));
        let mut input = match (&pipeline.input_file, &pipeline.stdin) {
            (Some(file), _) => std::fs::read(file).expect("an input file"),
            (None, stdin) => stdin.clone().unwrap_or_default(),
        };
        let (mut exits, mut errors) = (Vec::new(), Vec::new());
        for member in &pipeline.members {
            let args = member.args.iter().map(|arg| match arg {
                Arg::Text(text) => text.clone(),
                Arg::SecretFile { .. } => panic!("no secrets in these tests"),
            });
            let umask = format!("umask {:03o}; exec \"$@\"", pipeline.umask.unwrap_or(0o077));
            let mut child = tokio::process::Command::new("sh")
                .args(["-c", &umask, "sh", &member.program])
                .args(args)
                .env("PATH", &path)
                .envs(member.env.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a shell");
            let mut stdin = child.stdin.take().expect("piped");
            let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let feed = async {
                // A program may end without reading all of it.
                drop(stdin.write_all(&input).await);
                drop(stdin);
            };
            let ((), a, b) = tokio::join!(feed, stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
            a.and(b).expect("its output");
            let status = child.wait().await.expect("its ending");
            exits.push(Exit::Code(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))));
            errors.extend(err);
            input = out;
        }
        if let Some(file) = &pipeline.output_file {
            std::fs::write(file, std::mem::take(&mut input)).expect("an output file");
        }
        (exits, input, errors)
    }
}

#[async_trait]
impl Reach for LocalReach {
    async fn exec(&self, place: &Place, pipeline: &Pipeline, _: Duration) -> Result<ExecOutput, ReachError> {
        self.reach(place, pipeline)?;
        let (exits, stdout, stderr) = self.really(pipeline).await;
        Ok(ExecOutput { exits, stdout, stderr, truncated: false })
    }

    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError> {
        let key = (place.clone(), job.clone());
        if self.jobs.lock().expect("a lock").contains_key(&key) {
            return Ok(JobStart::AlreadyThere);
        }
        self.reach(place, pipeline)?;
        let (exits, mut output, errors) = self.really(pipeline).await;
        output.extend(errors);
        self.jobs.lock().expect("a lock").insert(key, (output, exits));
        Ok(JobStart::Started)
    }

    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, _: Duration) -> Result<JobPoll, ReachError> {
        let jobs = self.jobs.lock().expect("a lock");
        let (output, exits) = jobs.get(&(place.clone(), job.clone())).expect("a job that was started");
        let from = usize::try_from(offset).expect("a small offset");
        let to = output.len().min(from + 1000);
        Ok(JobPoll {
            state: JobState::Ended(exits.clone()),
            output: output[from..to].to_vec(),
            next_offset: u64::try_from(to).expect("a small offset"),
        })
    }

    async fn job_cancel(&self, _: &Place, _: &JobId, _: Duration) -> Result<JobCancel, ReachError> {
        Ok(JobCancel { state: JobState::Absent, survivors: Vec::new() })
    }

    async fn job_forget(&self, _: &Place, _: &JobId) -> Result<(), ReachError> {
        Ok(())
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        panic!("no HTTP in these tests: {request}")
    }

    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError> {
        panic!("no TLS in these tests: {look:?}")
    }

    async fn sql(&self, endpoint: &SqlEndpoint, _: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError> {
        panic!("no SQL in these tests: {endpoint}")
    }

    async fn secret(&self, _: &SecretSource) -> Result<Secret, ReachError> {
        panic!("no secrets in these tests")
    }

    async fn redis(&self, endpoint: &RedisEndpoint, _: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError> {
        panic!("no Redis in these tests: {endpoint}")
    }
}

/// Two sites on this machine, each with a folder of its own: `<tmp>/prod` and `<tmp>/bcp`, with the exchange mount at
/// `exchange` in it.
pub(crate) struct Site2 {
    pub(crate) tmp: TempDir,
    pub(crate) reach: Arc<LocalReach>,
    estate: Arc<Estate>,
    /// One for all contexts: time goes on from step to step.
    clock: Arc<FakeClock>,
}

impl Site2 {
    /// `more` is the rest of the estate in TOML; `{tmp}` in it is the folder.
    pub(crate) fn new(more: &str) -> Self {
        let tmp = tempfile::tempdir().expect("a folder");
        let here = tmp.path().to_str().expect("UTF-8").to_owned();
        for path in ["bin", "prod/exchange", "bcp/exchange"] {
            std::fs::create_dir_all(tmp.path().join(path)).expect("a folder");
        }
        let estate = format!(
            r#"
            name = "shop"
            active = "prod"
            # How full the machine of the tests is, is none of their business.
            policy.min_free_percent = 0
            {}
            [sites.prod]
            exchange = "{here}/prod/exchange"
            hosts.app1 = {{ address = "127.9.1.1", port = 2222, user = "ops", roles = ["app"] }}
            [sites.bcp]
            exchange = "{here}/bcp/exchange"
            hosts.app1 = {{ address = "127.9.1.2", roles = ["app"] }}
            hosts.app2 = {{ address = "127.9.1.3", roles = ["app"] }}
            "#,
            more.replace("{tmp}", &here)
        );
        let reach = LocalReach {
            bin: tmp.path().join("bin"),
            jobs: Mutex::default(),
            ran: Mutex::default(),
            dead: Mutex::default(),
        };
        let estate = Arc::new(toml::from_str(&estate).expect("an estate"));
        Self { tmp, reach: Arc::new(reach), estate, clock: Arc::new(FakeClock::new()) }
    }

    /// A context of the run of `point` (which is also the run's id), prod to bcp.
    pub(crate) fn cx(&self, end: End, point: &str, step: &str) -> StepContext {
        let direction =
            Direction { source: SiteName::new("prod").expect("a name"), target: SiteName::new("bcp").expect("a name") };
        StepContext {
            reach: self.reach.clone(),
            clock: self.clock.clone(),
            estate: self.estate.clone(),
            unit: UnitKey::try_from(format!("stage/{step}@{}", direction.site(end))).expect("a unit"),
            direction,
            run: RunId::new(format!("run-{point}")).expect("a run"),
            point: PointId::new(point).expect("a point"),
            attempt: 1,
            end: Some(end),
            host: None,
            first: true,
            service: Some(ServiceName::new("assets").expect("a service")),
            voice: Voice::new().0,
            cancel: CancellationToken::new(),
            jobs: crate::systems::JobLog::default(),
        }
    }

    /// A path below the folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.tmp.path().join(path)
    }

    /// The tree prod-to-bcp at a site.
    pub(crate) fn tree(&self, site: &str) -> Tree {
        let cx = self.cx(End::Source, "p-0", "any");
        cx.tree(&SiteName::new(site).expect("a name")).expect("a tree")
    }

    /// Writes a file, with its folders.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// Reads a file.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.tmp.path().join(path)).expect("a file")
    }

    /// Writes the same direction record at both sites.
    pub(crate) fn record(&self, epoch: u64, active: &str) {
        for site in ["prod", "bcp"] {
            self.record_at(site, epoch, active);
        }
    }

    /// Writes the direction record of a site.
    pub(crate) fn record_at(&self, site: &str, epoch: u64, active: &str) {
        let text = format!(r#"{{"epoch":{epoch},"active":"{active}","since":"2026-03-01T00:00:00Z","run":"r0"}}"#);
        self.write(&format!("{site}/exchange/direction.json"), &text);
    }

    /// A program that stands in for `ssh` and runs the far side's command here.
    pub(crate) fn fake_ssh(&self) {
        let script = "#!/bin/sh\n# Skips options and the host, like ssh would read them.\nwhile :; do case \"$1\" in \
                      -F|-o|-p|-l) shift 2;; -*) shift;; *) break;; esac; done\nshift\nexec sh -c \"$*\"\n";
        self.program("ssh", script);
    }

    /// Puts a program before all others of its name.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("bin").join(name);
        std::fs::write(&path, script).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// How often a command that holds all these words was run.
    pub(crate) fn times_run(&self, words: &[&str]) -> usize {
        let ran = self.reach.ran.lock().expect("a lock");
        ran.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// The same context on a host.
    pub(crate) fn on(mut cx: StepContext, host: &str) -> StepContext {
        cx.host = Some(HostName::new(host).expect("a host"));
        cx
    }
}
