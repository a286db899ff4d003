//! SSH: one master connection per host, dialled when first needed, shared with other processes of the program, and
//! found again by the next run.
//!
//! It carries scripts and forwards sockets; what a script says is the business of `conversation`.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use openssh::{Child, ForwardType, Session, Socket};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::clock::fresh_word;
use super::conversation::{Carrier, Said, converse};
use super::known::{HostFacts, dial_error};
use super::local::timed_out;
use super::shell::{LOADER, Script};
use super::ssh_config::IDLE;
use crate::port::{ReachError, ReachErrorKind};

/// How many channels one process opens to a host at once. Servers allow ten by default for all of us together.
const CHANNELS: usize = 8;
/// How long a refusal (host key, login) is repeated without asking the host again: hosts block addresses that keep
/// failing.
const REFUSAL: Duration = Duration::from_secs(15);
/// What a login may take beyond the time to connect.
const LOGIN: Duration = Duration::from_secs(20);

/// One host and its connection.
#[derive(Debug)]
pub(super) struct SshHost {
    facts: HostFacts,
    arguments: Vec<OsString>,
    config: PathBuf,
    control: PathBuf,
    runtime: PathBuf,
    connect_timeout: Duration,
    dials: Arc<Semaphore>,
    channels: Arc<Semaphore>,
    state: Mutex<State>,
    forwards: Mutex<BTreeMap<Remote, PathBuf>>,
}

#[derive(Debug, Default)]
struct State {
    master: Option<Arc<Session>>,
    failure: Option<(Instant, ReachError)>,
}

/// A socket as seen from a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remote {
    /// Address and port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(String),
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address, port) => write!(f, "{address}:{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// What all hosts have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    /// The configuration file for `ssh -F`.
    pub config: PathBuf,
    /// The folder for sockets.
    pub runtime: PathBuf,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Limits how many connections are being made at once.
    pub dials: Arc<Semaphore>,
}

impl SshHost {
    /// A host that is not connected yet. Hosts with the same configuration and arguments share one connection, also
    /// between processes.
    pub fn new(common: &Common, facts: HostFacts, arguments: Vec<OsString>) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(common.config.as_os_str().as_encoded_bytes());
        for argument in &arguments {
            hash.update(b"\0");
            hash.update(argument.as_encoded_bytes());
        }
        let name = &hash.finalize().to_hex()[..16];
        Self {
            facts,
            arguments,
            config: common.config.clone(),
            control: common.runtime.join(format!("c-{name}")),
            runtime: common.runtime.clone(),
            connect_timeout: common.connect_timeout,
            dials: Arc::clone(&common.dials),
            channels: Arc::new(Semaphore::new(CHANNELS)),
            state: Mutex::default(),
            forwards: Mutex::default(),
        }
    }

    /// The name for people.
    pub fn at(&self) -> &str {
        &self.facts.at
    }

    /// Runs a script. Its stdout goes to `outlet`, if there is one.
    ///
    /// # Errors
    /// `Denied` and `Unreachable` when nothing was started, `Lost` when its ending is not known; after `limit` the work
    /// is told to stop.
    pub async fn run(
        self: &Arc<Self>,
        script: &Script,
        limit: Duration,
        outlet: Option<mpsc::Sender<Vec<u8>>>,
    ) -> Result<Said, ReachError> {
        let deadline = Instant::now() + limit;
        let opened = timeout_at(deadline, self.open()).await.map_err(|_| {
            let got = format!("no connection within {}; nothing was started", crate::model::Span(limit));
            ReachError::new(ReachErrorKind::Unreachable, self.at(), got)
        });
        let (mut child, permit) = opened??;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(ReachError::new(ReachErrorKind::Unreachable, self.at(), "the channel has no pipes"));
        };
        let Ok(conversation) = timeout_at(deadline, converse(stdin, stdout, stderr, script, outlet)).await else {
            return Err(timed_out(self.at(), limit));
        };
        let ending = tokio::spawn(async move {
            let code = timeout(Duration::from_secs(5), child.wait()).await;
            drop(permit);
            match code {
                Ok(Ok(status)) => status.code().map_or(Carrier::Gone, Carrier::Code),
                // The crate has lost the number on the way.
                Ok(Err(openssh::Error::Remote(_))) => Carrier::Code(127),
                _ => Carrier::Gone,
            }
        });
        // The script has said everything; the channel may take its time to close.
        let carrier = if conversation.is_complete() { Carrier::Gone } else { ending.await.unwrap_or(Carrier::Gone) };
        conversation.verdict(self.at(), carrier)
    }

    /// Makes sure that there is a connection.
    ///
    /// # Errors
    /// When there is none.
    pub async fn connect(self: &Arc<Self>) -> Result<(), ReachError> {
        self.master(Instant::now(), None).await.map(drop)
    }

    /// A started shell that waits for its script, and the right to use one channel.
    async fn open(self: &Arc<Self>) -> Result<(Child<Arc<Session>>, OwnedSemaphorePermit), ReachError> {
        let asked = Instant::now();
        let closed = |_| ReachError::new(ReachErrorKind::Unreachable, self.at(), "the program is ending");
        let permit = Arc::clone(&self.channels).acquire_owned().await.map_err(closed)?;
        let mut master = self.master(asked, None).await?;
        let mut dialled_again = false;
        let mut pause = Duration::from_millis(20);
        loop {
            let error = match open_channel(Arc::clone(&master)).await {
                Ok(child) => return Ok((child, permit)),
                Err(error) => error,
            };
            if error.contains("refused by peer") {
                // Another process of ours uses up what the server allows. Nothing was started: wait for our turn.
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            } else if dialled_again {
                let got = format!("the connection broke as soon as it was made: {error}");
                return Err(ReachError::new(ReachErrorKind::Unreachable, self.at(), got));
            } else {
                dialled_again = true;
                master = self.master(Instant::now(), Some(master)).await?;
            }
        }
    }

    /// The master connection, dialled if need be. `broken` is one that no longer works. A caller that gives up does
    /// not stop the dialling: others wait for it.
    async fn master(
        self: &Arc<Self>,
        asked: Instant,
        broken: Option<Arc<Session>>,
    ) -> Result<Arc<Session>, ReachError> {
        let me = Arc::clone(self);
        let dialling = tokio::spawn(async move {
            let mut state = me.state.lock().await;
            if let Some(master) = &state.master
                && !broken.is_some_and(|broken| Arc::ptr_eq(master, &broken))
            {
                return Ok(Arc::clone(master));
            }
            state.master = None;
            if let Some((when, error)) = &state.failure
                && (*when >= asked || (error.kind == ReachErrorKind::Denied && when.elapsed() < REFUSAL))
            {
                return Err(error.clone());
            }
            let dialled = me.dial().await;
            match &dialled {
                Ok(master) => *state = State { master: Some(Arc::clone(master)), failure: None },
                Err(error) => state.failure = Some((Instant::now(), error.clone())),
            }
            dialled
        });
        dialling.await.unwrap_or_else(|error| {
            Err(ReachError::new(ReachErrorKind::Unreachable, self.at(), format!("dialling stopped: {error}")))
        })
    }

    /// Finds the living master of an earlier run, or starts one.
    async fn dial(&self) -> Result<Arc<Session>, ReachError> {
        let failed = |got: String| ReachError::new(ReachErrorKind::Unreachable, self.at(), got);
        let _turn = self.dials.acquire().await.map_err(|_| failed("the program is ending".to_owned()))?;
        let lock = self.control.with_extension("lock");
        let lock = tokio::task::spawn_blocking(move || lock_file(&lock)).await;
        let _lock = lock.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        let master = Session::resume_mux(self.control.clone().into(), None);
        if timeout(Duration::from_secs(2), master.check()).await.is_ok_and(|checked| checked.is_ok()) {
            return Ok(Arc::new(master));
        }
        remove(&self.control);
        self.start_master().await?;
        master
            .check()
            .await
            .map_err(|error| failed(format!("the new connection does not answer: {}", chain(&error))))?;
        Ok(Arc::new(master))
    }

    async fn start_master(&self) -> Result<(), ReachError> {
        let log = self.control.with_extension("log");
        remove(&log);
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.arg("-F").arg(&self.config).arg("-E").arg(&log).arg("-S").arg(&self.control).args(["-M", "-N", "-f", "-o"]);
        ssh.arg(format!("ControlPersist={}", IDLE.as_secs())).args(&self.arguments);
        // It outlives this process, so nothing that reaches our terminal may reach it.
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
        let mut child = ssh.spawn().map_err(|error| {
            ReachError::new(ReachErrorKind::Denied, self.at(), format!("could not start ssh: {error}"))
                .hint("install the OpenSSH client on this machine")
        })?;
        let status = timeout(self.connect_timeout + LOGIN, child.wait()).await;
        let said = tokio::fs::read(&log).await.unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        match status {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_)) => Err(dial_error(&self.facts, &said)),
            Ok(Err(error)) => Err(ReachError::new(ReachErrorKind::Unreachable, self.at(), error.to_string())),
            Err(_) => Err(dial_error(&self.facts, &format!("{said}\nthe login timed out"))),
        }
    }

    /// The path of a Unix socket on this machine that leads to a socket of the host. `fresh` makes a new one in place of
    /// one that no longer works.
    ///
    /// # Errors
    /// `Unreachable` or `Denied` when the host cannot be reached or forbids forwarding.
    pub async fn forward(self: &Arc<Self>, remote: &Remote, fresh: bool) -> Result<PathBuf, ReachError> {
        let mut forwards = self.forwards.lock().await;
        if let Some(path) = forwards.get(remote) {
            if !fresh {
                return Ok(path.clone());
            }
            remove(path);
        }
        forwards.remove(remote);
        let mut master = self.master(Instant::now(), None).await?;
        let path = self.runtime.join(format!("f-{}", &fresh_word()[..12]));
        let mut asked = request_forward(Arc::clone(&master), path.clone(), remote.clone()).await;
        if asked.is_err() {
            master = self.master(Instant::now(), Some(master)).await?;
            asked = request_forward(master, path.clone(), remote.clone()).await;
        }
        asked.map_err(|error| {
            ReachError::new(
                ReachErrorKind::Unreachable,
                self.at(),
                format!("could not open a way to {remote}: {error}"),
            )
            .hint("the SSH server must allow forwarding: AllowTcpForwarding, AllowStreamLocalForwarding")
        })?;
        forwards.insert(remote.clone(), path.clone());
        Ok(path)
    }

    /// Takes back what this process has forwarded, and forgets the connection. The connection itself stays for the next
    /// run, and ends by itself when nobody has used it for five minutes.
    pub async fn close(&self) {
        let master = self.state.lock().await.master.take();
        for (remote, path) in std::mem::take(&mut *self.forwards.lock().await) {
            if let Some(master) = &master {
                let listen = Socket::from(path.as_path());
                let closing = master.close_port_forward(ForwardType::Local, listen, socket(&remote));
                // Best effort: the listener goes away with the connection anyway.
                drop(timeout(Duration::from_secs(1), closing).await);
            }
            remove(&path);
        }
    }
}

/// Opens a channel in a task of its own: a master that is left in the middle of opening one gives up altogether, and
/// takes the other channels with it.
async fn open_channel(master: Arc<Session>) -> Result<Child<Arc<Session>>, String> {
    let opening = tokio::spawn(async move {
        let mut command = master.arc_raw_command(format!("exec /bin/sh -c '{LOADER}'"));
        command.stdin(openssh::Stdio::piped()).stdout(openssh::Stdio::piped()).stderr(openssh::Stdio::piped());
        command.spawn().await.map_err(|error| chain(&error))
    });
    opening.await.unwrap_or_else(|error| Err(error.to_string()))
}

async fn request_forward(master: Arc<Session>, path: PathBuf, remote: Remote) -> Result<(), String> {
    let asking = tokio::spawn(async move {
        let listen = Socket::from(path.as_path());
        let asking = master.request_port_forward(ForwardType::Local, listen, socket(&remote));
        asking.await.map_err(|error| chain(&error))
    });
    let asked = timeout(Duration::from_secs(20), asking).await.map_err(|_| "no answer".to_owned())?;
    asked.unwrap_or_else(|error| Err(error.to_string()))
}

fn socket(remote: &Remote) -> Socket<'_> {
    match remote {
        Remote::Tcp(address, port) => Socket::new(address.as_str(), *port),
        Remote::Unix(path) => Socket::from(Path::new(path)),
    }
}

/// Keeps other processes from dialling the same host at the same moment, for as long as the result lives.
fn lock_file(path: &Path) -> Result<Flock<std::fs::File>, String> {
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| format!("could not open {}: {error}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| format!("could not lock {}: {error}", path.display()))
}

/// Removes a socket or log that may be there. When it cannot be removed, ssh says so at the next dial.
fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

/// An error with its causes in one line.
fn chain(error: &openssh::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
