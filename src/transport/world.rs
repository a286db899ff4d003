//! The world itself: which way leads to which place, and what all ways share.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::{Semaphore, mpsc};

use super::clock::fresh_word;
use super::conversation::Said;
use super::http::Http;
use super::job::PollAnswer;
use super::known::HostFacts;
use super::secret::Secrets;
use super::shell::{Script, read_codes};
use super::ssh::{Common, Remote, SshHost};
use super::ssh_config::{config_text, connect_timeout, host_arguments};
use super::tunnel::{self, Door};
use super::{job, local, redis, sql};
use crate::estate::Estate;
use crate::model::{HostName, Secret, SecretSource, SiteName};
use crate::port::{
    Certificate, CertificateLook, ExecOutput, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll, JobStart, JobState,
    Look, Pipeline, Place, Reach, ReachError, ReachErrorKind, RedisEndpoint, RedisReply, SqlAddress, SqlEndpoint,
    SqlRows, SqlStatement,
};

/// How many connections are made at once. Servers drop logins at random beyond ten, and with a jump host all of them
/// begin at the same server.
const DIALS: usize = 8;
/// The longest path of a control socket that ssh can still extend by its own suffix.
const LONGEST_SOCKET: usize = 90;
/// What a host may take to answer beyond the time that a request itself asks for.
const ANSWER: Duration = Duration::from_secs(30);

/// What the world needs to know beside the estate.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// The folder for sockets and the generated ssh configuration. Made with mode 0700 when it is not there; refused
    /// when others can write to it. Its path must be short, see [`World::new`].
    pub runtime_dir: PathBuf,
    /// The folder for what must survive a reboot: the durable jobs of this machine are in `jobs` below it.
    pub state_dir: PathBuf,
    /// The folder of the systemd credentials (`$CREDENTIALS_DIRECTORY`), if there is one.
    pub credentials_dir: Option<PathBuf>,
    /// The environment of commands that print secrets; nothing else of ours is passed on to them. Usually `PATH`,
    /// `HOME` and what the operator's password store needs.
    pub secret_env: Vec<(String, String)>,
}

impl WorldOptions {
    /// Options with the two folders that are always needed.
    #[must_use]
    pub fn new(runtime_dir: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            runtime_dir: runtime_dir.into(),
            state_dir: state_dir.into(),
            credentials_dir: None,
            secret_env: Vec::new(),
        }
    }
}

/// The hosts and servers of one estate, as they really are.
#[derive(Debug)]
pub struct World {
    estate: Arc<Estate>,
    hosts: BTreeMap<(SiteName, HostName), Way>,
    local_jobs: String,
    runtime: PathBuf,
    http: Http,
    secrets: Secrets,
}

/// How a host is reached.
#[derive(Debug)]
enum Way {
    Local,
    Ssh(Arc<SshHost>),
    /// The estate describes it in a way that cannot work.
    Wrong(String),
}

/// Where a script is to run.
enum Target<'a> {
    Local,
    Ssh(&'a Arc<SshHost>),
}

impl World {
    /// A world in which nothing is connected yet. Writes the ssh configuration to the runtime folder.
    ///
    /// # Errors
    /// `Denied` when the runtime folder cannot be used: not ours, open to others, or a path of more than 71 bytes.
    pub fn new(estate: Arc<Estate>, options: WorldOptions) -> Result<Self, ReachError> {
        let runtime = &options.runtime_dir;
        private_folder(runtime)?;
        sweep(runtime);
        if runtime.as_os_str().len() + "/c-0123456789abcdef".len() > LONGEST_SOCKET {
            return Err(denied(runtime, "the path is too long for the sockets that go there".to_owned())
                .hint("choose a folder with a shorter path, for example below /run/user"));
        }
        let text = config_text(&estate.ssh);
        let config = runtime.join(format!("ssh-{}.conf", &blake3::hash(text.as_bytes()).to_hex()[..12]));
        write_whole(&config, &text)?;
        let common = Common {
            config,
            runtime: runtime.clone(),
            connect_timeout: connect_timeout(&estate.ssh),
            dials: Arc::new(Semaphore::new(DIALS)),
        };
        let known_hosts =
            estate.ssh.known_hosts.as_ref().map_or("~/.ssh/known_hosts".to_owned(), |path| path.display().to_string());
        let mut hosts = BTreeMap::new();
        for (site_name, site) in &estate.sites {
            for (host_name, host) in &site.hosts {
                let way = match host_arguments(host) {
                    _ if host.local => Way::Local,
                    Err(wrong) => Way::Wrong(wrong),
                    Ok(arguments) => {
                        let address = host.address.clone().unwrap_or_default();
                        let facts = HostFacts {
                            at: format!("{site_name}:{host_name} ({address})"),
                            address,
                            port: host.port,
                            user: host.user.clone(),
                            known_hosts: known_hosts.clone(),
                        };
                        Way::Ssh(Arc::new(SshHost::new(&common, facts, arguments)))
                    }
                };
                hosts.insert((site_name.clone(), host_name.clone()), way);
            }
        }
        let jobs = options.state_dir.join("jobs");
        let jobs = jobs.to_str().filter(|text| text.starts_with('/') && !text.contains('\0'));
        let jobs = jobs.ok_or_else(|| denied(&options.state_dir, "it must be an absolute path in UTF-8".to_owned()))?;
        Ok(Self {
            local_jobs: super::shell::quote(jobs),
            runtime: options.runtime_dir,
            http: Http::default(),
            secrets: Secrets::new(options.credentials_dir, options.secret_env),
            estate,
            hosts,
        })
    }

    /// Connects to all hosts, a few at a time, so that the first step does not wait. What cannot be reached now is
    /// reported when it is used.
    pub async fn preconnect(&self) {
        let ways = self.hosts.values().filter_map(|way| match way {
            Way::Ssh(host) => Some(host),
            Way::Local | Way::Wrong(_) => None,
        });
        join_all(ways.map(SshHost::connect)).await;
    }

    /// Takes back what this process has opened. Connections stay for the next run for five minutes; jobs go on.
    pub async fn close(&self) {
        join_all(self.hosts.values().filter_map(|way| match way {
            Way::Ssh(host) => Some(host.close()),
            Way::Local | Way::Wrong(_) => None,
        }))
        .await;
    }

    /// Asks this machine and every host at once which durable jobs of this estate anything still works at. A host that is
    /// silent for `limit` has not answered. A job that was launched and has not begun yet is not among them.
    pub async fn jobs_at_work(&self, limit: Duration) -> BTreeMap<Place, Result<Vec<String>, ReachError>> {
        let hosts = self.hosts.keys().map(|(site, host)| Place::Host(site.clone(), host.clone()));
        let ask = |place: Place| async move {
            let silent = || ReachError::new(ReachErrorKind::Unreachable, place.to_string(), "no answer");
            let said = tokio::time::timeout(limit, self.jobs_at_work_on(&place, limit)).await;
            (place.clone(), said.unwrap_or_else(|_| Err(silent())))
        };
        join_all(std::iter::once(Place::Console).chain(hosts).map(ask)).await.into_iter().collect()
    }

    async fn jobs_at_work_on(&self, place: &Place, limit: Duration) -> Result<Vec<String>, ReachError> {
        let script = job::at_work(&fresh_word(), self.jobs(place)?, &self.estate.name);
        let said = self.ask(place, &script, limit).await?;
        understood(place, &said, job::read_at_work)
    }

    fn target(&self, place: &Place) -> Result<Target<'_>, ReachError> {
        let Place::Host(site, host) = place else {
            return Ok(Target::Local);
        };
        let refused = |got: String| {
            ReachError::new(ReachErrorKind::Denied, place.to_string(), got).hint("correct the host in the estate")
        };
        match self.hosts.get(&(site.clone(), host.clone())) {
            Some(Way::Local) => Ok(Target::Local),
            Some(Way::Ssh(host)) => Ok(Target::Ssh(host)),
            Some(Way::Wrong(wrong)) => Err(refused(wrong.clone())),
            None => Err(refused(format!("estate {} has no such host", self.estate.name))),
        }
    }

    /// The host whose SSH connection carries a session; nothing for a direct one, which is also the way from a host that
    /// is this machine.
    fn carrier(&self, through: Option<&(SiteName, HostName)>) -> Result<Option<&Arc<SshHost>>, ReachError> {
        let Some((site, host)) = through else {
            return Ok(None);
        };
        Ok(match self.target(&Place::Host(site.clone(), host.clone()))? {
            Target::Local => None,
            Target::Ssh(host) => Some(host),
        })
    }

    async fn run(&self, place: &Place, script: &Script, limit: Duration) -> Result<Said, ReachError> {
        self.run_into(place, script, limit, None).await
    }

    /// Runs a script whose stdout goes to `outlet`, if there is one.
    async fn run_into(
        &self,
        place: &Place,
        script: &Script,
        limit: Duration,
        outlet: Option<mpsc::Sender<Vec<u8>>>,
    ) -> Result<Said, ReachError> {
        match self.target(place)? {
            Target::Local => local::run("/bin/sh", &place.to_string(), script, limit, outlet).await,
            Target::Ssh(host) => host.run(script, limit, outlet).await,
        }
    }

    /// The folder of the jobs at a place, as shell text.
    fn jobs(&self, place: &Place) -> Result<&str, ReachError> {
        Ok(match self.target(place)? {
            Target::Local => &self.local_jobs,
            Target::Ssh(_) => job::HOME,
        })
    }

    /// Runs a script that changes nothing by being asked twice, so that a lost answer is only a host out of reach.
    async fn ask(&self, place: &Place, script: &Script, limit: Duration) -> Result<Said, ReachError> {
        self.run(place, script, limit).await.map_err(changed_nothing)
    }
}

/// The error of something that changes nothing by being asked twice: a lost answer is only a host out of reach.
fn changed_nothing(mut error: ReachError) -> ReachError {
    if error.kind == ReachErrorKind::Lost {
        error.kind = ReachErrorKind::Unreachable;
    }
    error
}

/// Fails when a job script did not end well or did not make sense.
fn understood<T>(place: &Place, said: &Said, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, ReachError> {
    let answer = if said.ending == "0" { read(&said.stdout) } else { None };
    answer.ok_or_else(|| {
        let words = [&said.stderr[..], &said.stdout[..]].concat();
        let words = String::from_utf8_lossy(&words[..words.len().min(2000)]).trim().to_owned();
        ReachError::new(ReachErrorKind::Refused, place.to_string(), format!("the job folder cannot be used: {words}"))
            .hint("jobs are kept in ${XDG_STATE_HOME:-~/.local/state}/changeover/jobs of the login user; look at owner, mode and free space there")
    })
}

fn denied(path: &Path, got: String) -> ReachError {
    ReachError::new(ReachErrorKind::Denied, path.display().to_string(), got)
}

/// Makes sure that a folder is there, is ours, and is closed to others.
fn private_folder(path: &Path) -> Result<(), ReachError> {
    let cannot = |error: std::io::Error| denied(path, error.to_string());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
    let found = fs::symlink_metadata(path).map_err(cannot)?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(denied(path, "it is not a folder that only we can enter".to_owned())
            .hint(format!("remove it, or `chmod 700 {}` if it is yours", path.display())));
    }
    Ok(())
}

/// Removes the sockets that killed processes have left behind: those that nobody holds. They are looked up rather than
/// tried, because trying one that lives would knock at somebody's database. Control sockets are left to whoever dials
/// that host next.
fn sweep(runtime: &Path) {
    let ours =
        |name: &std::ffi::OsStr| [&b"f-"[..], b"p-"].iter().any(|start| name.as_encoded_bytes().starts_with(start));
    let entries = fs::read_dir(runtime).into_iter().flatten().flatten();
    let sockets: Vec<PathBuf> = entries.filter(|entry| ours(&entry.file_name())).map(|entry| entry.path()).collect();
    // Read after the folder: one that another process makes meanwhile must not look abandoned.
    let Ok(held) = fs::read_to_string("/proc/net/unix") else {
        return;
    };
    for path in sockets {
        if path.to_str().is_some_and(|path| !held.lines().any(|line| line.ends_with(path))) {
            drop(fs::remove_file(path));
        }
    }
}

/// Writes a file so that it is there whole or not at all: other processes may read it at the same moment.
fn write_whole(path: &Path, text: &str) -> Result<(), ReachError> {
    let partial = path.with_extension(format!("{}.partial", fresh_word()));
    fs::write(&partial, text)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|error| denied(path, format!("could not write it: {error}")))
}

fn cannot_say(place: &Place) -> impl Fn(String) -> ReachError {
    let at = place.to_string();
    move |got| ReachError::new(ReachErrorKind::Denied, &at, format!("the command cannot be run: {got}"))
}

#[async_trait]
impl Reach for World {
    async fn exec(&self, place: &Place, pipeline: &Pipeline, timeout: Duration) -> Result<ExecOutput, ReachError> {
        let script = Script::pipeline(&fresh_word(), pipeline).map_err(cannot_say(place))?;
        let said = self.run(place, &script, timeout).await?;
        let exits = read_codes(&said.ending, pipeline.members.len());
        Ok(ExecOutput { exits, stdout: said.stdout, stderr: said.stderr, truncated: said.truncated })
    }

    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError> {
        let script = job::start(&fresh_word(), self.jobs(place)?, (&self.estate.name, job), pipeline)
            .map_err(cannot_say(place))?;
        let said = self.run(place, &script, ANSWER * 2).await?;
        understood(place, &said, job::read_start)
    }

    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, wait: Duration) -> Result<JobPoll, ReachError> {
        let look = Look { offset, wait, most: job::LOOK };
        let script = job::poll(&fresh_word(), self.jobs(place)?, job, look);
        let said = self.ask(place, &script, wait + ANSWER).await?;
        understood(place, &said, |stdout| job::read_poll(stdout.to_vec(), offset))
    }

    async fn job_follow(
        &self,
        place: &Place,
        job: &JobId,
        look: Look,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Result<JobState, ReachError> {
        let script = job::poll(&fresh_word(), self.jobs(place)?, job, look);
        let (outlet, mut arriving) = mpsc::channel(4);
        // Owns its end: when whoever asked gives up, the rest of the conversation must not wait for us.
        let passing = async move {
            let mut answer = PollAnswer::default();
            while let Some(piece) = arriving.recv().await {
                let output = answer.feed(piece);
                if !output.is_empty() && pieces.send(output).await.is_err() {
                    break;
                }
            }
            answer
        };
        let (said, answer) = tokio::join!(self.run_into(place, &script, look.wait + ANSWER, Some(outlet)), passing);
        understood(place, &said.map_err(changed_nothing)?, |_| answer.state())
    }

    async fn job_cancel(&self, place: &Place, job: &JobId, grace: Duration) -> Result<JobCancel, ReachError> {
        let script = job::cancel(&fresh_word(), self.jobs(place)?, job, grace);
        let said = self.run(place, &script, grace + ANSWER).await?;
        understood(place, &said, job::read_cancel)
    }

    async fn job_forget(&self, place: &Place, job: &JobId) -> Result<(), ReachError> {
        let script = job::forget(&fresh_word(), self.jobs(place)?, job);
        let said = self.ask(place, &script, ANSWER).await?;
        understood(place, &said, |_| Some(()))
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        self.http.send(request).await
    }

    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError> {
        super::http::certificate(look).await
    }

    async fn sql(&self, endpoint: &SqlEndpoint, statements: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError> {
        let Some(host) = self.carrier(endpoint.through.as_ref())? else {
            return sql::run(&endpoint.address, endpoint, statements).await;
        };
        let remote = match &endpoint.address {
            SqlAddress::Tcp(address, port) => Remote::Tcp(address.clone(), *port),
            SqlAddress::Socket(path) => Remote::Unix(path.clone()),
        };
        let stream = tunnel::connect(Some(host), &remote).await?;
        let door = match tunnel::door(stream, &remote, &self.runtime).await? {
            Door::Port(port) => SqlAddress::Tcp("127.0.0.1".to_owned(), port),
            Door::Socket(path) => SqlAddress::Socket(path),
        };
        sql::run(&door, endpoint, statements).await
    }

    async fn secret(&self, source: &SecretSource) -> Result<Secret, ReachError> {
        self.secrets.get(source).await
    }

    async fn redis(&self, endpoint: &RedisEndpoint, commands: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError> {
        let host = self.carrier(endpoint.through.as_ref())?;
        let stream = tunnel::connect(host, &Remote::Tcp(endpoint.address.clone(), endpoint.port)).await?;
        redis::send(stream, endpoint, commands).await
    }
}

#[cfg(test)]
mod tests;
