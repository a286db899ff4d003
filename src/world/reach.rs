//! The port, answered by the world: what is sent takes its way, meets its mishap, has its effect, and its answer takes
//! its way back. Which of these happened decides what the caller is told, as it would be with real wires.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::fault::SILENCE;
use super::host::{Job, JobLife, Power, Work, time_limit, touches_share};
use super::spec::{Listener, listener};
use super::{Channel, Due, Fault, Mishap, Spec, State, Store, WorldClock, Zone, app, cache, search, sql};
use crate::model::{HostName, Secret, SecretSource, SiteName};
use crate::port::{
    Certificate, CertificateLook, ExecOutput, Exit, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll, JobStart,
    JobState, Pipeline, Place, Reach, ReachError, ReachErrorKind, RedisEndpoint, RedisReply, SqlAddress, SqlEndpoint,
    SqlRows, SqlStatement,
};

/// How much output one look at a job returns.
const LOOK: usize = 256 * 1024;
/// Between the first two looks at a job while somebody waits for news of it; doubled from look to look.
const NEWS: Duration = Duration::from_millis(50);
/// The longest time between two looks.
const LATE_NEWS: Duration = Duration::from_secs(2);

/// A simulated world, to be reached by many at once.
#[derive(Clone)]
pub struct SimulatedWorld {
    state: Arc<Mutex<State>>,
    clock: Arc<WorldClock>,
}

impl SimulatedWorld {
    /// A world as `spec` says, beginning now. Needs a tokio runtime, whose clock is the world's.
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        let clock = Arc::new(WorldClock::new(spec.epoch, spec.seed));
        Self { state: Arc::new(Mutex::new(spec.build())), clock }
    }

    /// The clock of the machine that the program runs on.
    #[must_use]
    pub fn clock(&self) -> Arc<WorldClock> {
        Arc::clone(&self.clock)
    }

    /// Looks at the world as it is now, or changes it from outside.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.now())
    }

    /// Lets something break or mend now.
    pub fn strike(&self, fault: &Fault) {
        self.now().strike(fault);
    }

    /// Lets something break or mend when the world is `at` old.
    pub fn strike_at(&self, at: Duration, fault: Fault) {
        self.now().queue.put(at, Due::Strikes(fault));
    }

    /// The state, with everything that was due.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(self.clock.since_start());
        state
    }

    /// Takes a call to a site, lets it act there, and takes the answer back.
    async fn call<T>(
        &self,
        to: &Target<'_>,
        act: impl Fn(&mut State) -> (T, Duration) + Send,
    ) -> Result<T, ReachError> {
        let zone = Zone::Site(to.site.clone());
        let (latency, passes, mishap) = {
            let mut state = self.now();
            let passes = state.network.passes(&Zone::Console, &zone);
            let mishap = if passes { state.mishap(to.site, to.channel) } else { None };
            (state.network.latency, passes, mishap)
        };
        if !passes {
            tokio::time::sleep(SILENCE.min(to.patience)).await;
            return Err(to.error(ReachErrorKind::Unreachable, "connection timed out"));
        }
        tokio::time::sleep(latency).await;
        if mishap == Some(Mishap::NotSent) {
            return Err(to.error(ReachErrorKind::Unreachable, "connection reset before anything was sent"));
        }
        let done = {
            let mut state = self.now();
            match to.listens(&state) {
                Listens::Yes => {
                    if mishap == Some(Mishap::Twice) {
                        drop(act(&mut state));
                    }
                    let (answer, took) = act(&mut state);
                    Ok((answer, took))
                }
                other => Err(other),
            }
        };
        let (answer, took) = match done {
            Ok(done) => done,
            Err(Listens::Refuses) => return Err(to.refused()),
            Err(_) => {
                tokio::time::sleep(SILENCE.min(to.patience)).await;
                return Err(to.error(ReachErrorKind::Unreachable, "no route to host"));
            }
        };
        let lost = |why: &str| to.error(ReachErrorKind::Lost, why);
        if took > to.patience {
            tokio::time::sleep(to.patience).await;
            return Err(lost(&format!("no answer within {}s", to.patience.as_secs())));
        }
        tokio::time::sleep(took + latency).await;
        let back = self.now().network.passes(&zone, &Zone::Console);
        if mishap == Some(Mishap::ReplyLost) || !back {
            tokio::time::sleep(SILENCE.min(to.patience)).await;
            return Err(lost("the connection broke before the answer came"));
        }
        Ok(answer)
    }

    /// A host to be called, and its name.
    fn host_target(place: &Place, channel: Channel, patience: Duration) -> Result<(Target<'_>, &HostName), ReachError> {
        match place {
            Place::Host(site, host) => {
                Ok((Target { site, who: Who::Host(host), channel, patience, at: place.to_string() }, host))
            }
            Place::Console => Err(ReachError::new(
                ReachErrorKind::Denied,
                place.to_string(),
                "the simulated world has no programs on the machine the console runs on",
            )),
        }
    }
}

/// What a call is for.
struct Target<'a> {
    site: &'a SiteName,
    who: Who<'a>,
    channel: Channel,
    patience: Duration,
    at: String,
}

enum Who<'a> {
    Host(&'a HostName),
    Listener(Listener),
    /// What listens is reached through a host, which must be there for it.
    Behind(&'a HostName, Listener),
}

/// Whether anything listens.
enum Listens {
    Yes,
    Refuses,
    Silent,
}

impl Target<'_> {
    fn error(&self, kind: ReachErrorKind, got: &str) -> ReachError {
        ReachError::new(kind, self.at.clone(), got)
    }

    /// What is told when nothing listens, in the words of what carries the call.
    fn refused(&self) -> ReachError {
        let got = match (self.channel, &self.who) {
            (Channel::Http, _) => "client error (Connect): tcp connect error: Connection refused (os error 111)",
            // The host takes the connection, and ends it because nobody takes what comes through.
            (Channel::Sql, Who::Behind(..)) => "Input/output error: Input/output error: connection closed",
            (Channel::Sql | Channel::Redis, _) => "Connection refused (os error 111)",
            _ => "connection refused",
        };
        let error = self.error(ReachErrorKind::Unreachable, got);
        match (self.channel, &self.who, self.at.split_once('@')) {
            (Channel::Sql, Who::Behind(host, _), Some((_, address))) => {
                let address = address.split(' ').next().unwrap_or(address);
                error.hint(format!("does the server listen at {address}, as seen from {}:{host}?", self.site))
            }
            _ => error,
        }
    }

    fn listens(&self, state: &State) -> Listens {
        let Some(site) = state.sites.get(self.site) else { return Listens::Silent };
        let host = |name: &HostName| match site.hosts.get(name).map(|host| host.power) {
            Some(Power::Up) => Listens::Yes,
            Some(Power::Down | Power::Frozen) | None => Listens::Silent,
        };
        let server = |up: bool| if up { Listens::Yes } else { Listens::Refuses };
        let listens = |listener: &Listener| match listener {
            Listener::App(name) => match host(name) {
                Listens::Yes => server(site.app.listens(name, state.now)),
                silent => silent,
            },
            Listener::Search(node) => server(site.search.is_up(*node)),
            Listener::Sql => server(site.sql.is_up()),
            Listener::Cache => server(site.cache.is_up()),
            Listener::Leader => server(site.hosts.values().any(|host| host.power == Power::Up)),
        };
        match &self.who {
            Who::Host(name) => host(name),
            Who::Listener(listener) => listens(listener),
            Who::Behind(name, listener) => match host(name) {
                Listens::Yes => listens(listener),
                silent => silent,
            },
        }
    }
}

/// The part of an address that says who is asked.
fn origin(url: &str) -> &str {
    let begins = url.find("://").map_or(0, |at| at + 3);
    url[begins..].find(['/', '?']).map_or(url, |ends| &url[..begins + ends])
}

/// Host and port of an address such as `http://10.0.1.21:9200/_cat`.
fn authority(url: &str) -> Option<(&str, u16)> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    let (host, port) = authority.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

#[async_trait]
impl Reach for SimulatedWorld {
    async fn exec(&self, place: &Place, pipeline: &Pipeline, timeout: Duration) -> Result<ExecOutput, ReachError> {
        let (target, host) = Self::host_target(place, Channel::Exec, timeout)?;
        self.call(&target, |state| {
            let stalled = state.sites.get(target.site).is_some_and(|site| site.share_stalled);
            if stalled && state.machine(target.site, host).is_some_and(|on| touches_share(&on, pipeline)) {
                // What touches a share that does not answer hangs; the effect of this command never happens.
                let mut nothing =
                    ExecOutput { exits: Vec::new(), stdout: Vec::new(), stderr: Vec::new(), truncated: false };
                let limit = time_limit(pipeline);
                nothing.exits.extend(limit.map(|_| Exit::Code(137)));
                return (nothing, limit.unwrap_or(Duration::MAX));
            }
            let slowness = state.slowness(target.site);
            let Some(mut machine) = state.machine(target.site, host) else { unreachable!("it listens") };
            let mut work = Work::start(&mut machine, pipeline);
            let mut output = ExecOutput { exits: Vec::new(), stdout: Vec::new(), stderr: Vec::new(), truncated: false };
            let mut took = Duration::ZERO;
            loop {
                let stepped = work.step(&mut machine);
                output.stdout.extend(stepped.out);
                output.stderr.extend(stepped.err);
                took += stepped.took * slowness;
                if let Some(exits) = stepped.exits {
                    output.exits = exits;
                    return (output, took);
                }
            }
        })
        .await
    }

    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError> {
        let (target, host) = Self::host_target(place, Channel::JobStart, Duration::from_secs(30))?;
        self.call(&target, |state| {
            let now = state.now;
            let there = state.sites[target.site].hosts[host].jobs.contains_key(job);
            if there {
                return (JobStart::AlreadyThere, Duration::ZERO);
            }
            state.changed(target.site, Store::Jobs, job.as_str());
            let Some(mut machine) = state.machine(target.site, host) else { unreachable!("it listens") };
            let work = Work::start(&mut machine, pipeline);
            let started = Job { output: Vec::new(), state: JobLife::Running(work) };
            if let Some(host) = state.sites.get_mut(target.site).and_then(|site| site.hosts.get_mut(host)) {
                host.jobs.insert(job.clone(), started);
            }
            state.queue.put(now, Due::Job(target.site.clone(), host.clone(), job.clone()));
            (JobStart::Started, Duration::ZERO)
        })
        .await
    }

    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, wait: Duration) -> Result<JobPoll, ReachError> {
        let (target, host) = Self::host_target(place, Channel::JobPoll, wait + Duration::from_secs(30))?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let deadline = tokio::time::Instant::now() + wait;
        let mut pause = NEWS;
        loop {
            let poll = self
                .call(&target, |state| {
                    let found = state.sites[target.site].hosts[host].jobs.get(job);
                    let Some(found) = found else {
                        let poll = JobPoll { state: JobState::Absent, output: Vec::new(), next_offset: offset };
                        return (poll, Duration::ZERO);
                    };
                    let life = match &found.state {
                        JobLife::Running(_) | JobLife::Ending(_) => JobState::Running,
                        JobLife::Ended(exits) => JobState::Ended(exits.clone()),
                        JobLife::Vanished => JobState::Vanished,
                    };
                    let output: Vec<u8> = found.output.iter().skip(from).take(LOOK).copied().collect();
                    let next_offset = offset + output.len() as u64;
                    (JobPoll { state: life, output, next_offset }, Duration::ZERO)
                })
                .await?;
            let news = !poll.output.is_empty() || poll.state != JobState::Running;
            if news || tokio::time::Instant::now() >= deadline {
                return Ok(poll);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATE_NEWS);
        }
    }

    async fn job_cancel(&self, place: &Place, job: &JobId, _grace: Duration) -> Result<JobCancel, ReachError> {
        let (target, host) = Self::host_target(place, Channel::Exec, Duration::from_mins(1))?;
        self.call(&target, |state| {
            let found = state.sites.get_mut(target.site).and_then(|site| site.hosts.get_mut(host));
            let found = found.and_then(|host| host.jobs.get_mut(job));
            let life = match found {
                None => JobState::Absent,
                Some(job) => {
                    if job.state.is_alive() {
                        job.state = JobLife::Vanished;
                    }
                    match &job.state {
                        JobLife::Ended(exits) => JobState::Ended(exits.clone()),
                        _ => JobState::Vanished,
                    }
                }
            };
            (JobCancel { state: life, survivors: Vec::new() }, Duration::from_millis(100))
        })
        .await
    }

    async fn job_forget(&self, place: &Place, job: &JobId) -> Result<(), ReachError> {
        let (target, host) = Self::host_target(place, Channel::Exec, Duration::from_secs(30))?;
        self.call(&target, |state| {
            if let Some(host) = state.sites.get_mut(target.site).and_then(|site| site.hosts.get_mut(host))
                && host.jobs.get(job).is_some_and(|job| !job.state.is_alive())
            {
                host.jobs.remove(job);
            }
            ((), Duration::ZERO)
        })
        .await
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        let found = authority(&request.url).and_then(|(host, port)| listener(host, port));
        let Some((site, listener)) = found else {
            return Err(ReachError::new(ReachErrorKind::Unreachable, &request.url, "nothing is at this address"));
        };
        let who = Who::Listener(listener.clone());
        let at = origin(&request.url).to_owned();
        let target = Target { site: &site, who, channel: Channel::Http, patience: request.timeout, at };
        self.call(&target, |state| match &listener {
            Listener::Search(node) => search::answer(state, &site, *node, request),
            Listener::App(host) => app::answer(state, &site, host, request),
            Listener::Leader => app::leader(state, &site, request),
            Listener::Sql | Listener::Cache => {
                (HttpResponse { status: 400, body: b"this is no HTTP server".to_vec() }, Duration::ZERO)
            }
        })
        .await
    }

    /// The simulated servers speak plain HTTP, and so do the addresses of the simulated estate.
    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError> {
        Err(ReachError::new(ReachErrorKind::Denied, origin(&look.url), "this server speaks no TLS"))
    }

    async fn sql(&self, endpoint: &SqlEndpoint, statements: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError> {
        let found = match (&endpoint.address, &endpoint.through) {
            (SqlAddress::Tcp(host, port), _) => listener(host, *port),
            (SqlAddress::Socket(_), Some((site, _))) => Some((site.clone(), Listener::Sql)),
            (SqlAddress::Socket(_), None) => None,
        };
        let Some((site, Listener::Sql)) = found else {
            let got = "no SQL server is at this address";
            return Err(ReachError::new(ReachErrorKind::Unreachable, endpoint.to_string(), got));
        };
        if endpoint.ca_pem.is_some() {
            let got = "the server takes no encrypted sessions";
            return Err(ReachError::new(ReachErrorKind::Denied, endpoint.to_string(), got));
        }
        let patience = statements.iter().map(|statement| statement.timeout).sum();
        let who = match &endpoint.through {
            Some((_, host)) => Who::Behind(host, Listener::Sql),
            None => Who::Listener(Listener::Sql),
        };
        let target = Target { site: &site, who, channel: Channel::Sql, patience, at: endpoint.to_string() };
        let answer = self.call(&target, |state| sql::session(state, &site, endpoint, statements)).await?;
        answer.map_err(|no| {
            let kind = if no.at_login { ReachErrorKind::Denied } else { ReachErrorKind::Refused };
            target.error(kind, &format!("ERROR {} ({}): {}", no.code, no.state(), no.words))
        })
    }

    async fn secret(&self, _source: &SecretSource) -> Result<Secret, ReachError> {
        // One for all: that it is nowhere to be seen is what tests look for.
        Ok(Secret::new(SECRET.to_owned()))
    }

    async fn redis(&self, endpoint: &RedisEndpoint, commands: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError> {
        let Some((site, Listener::Cache)) = listener(&endpoint.address, endpoint.port) else {
            let got = "no Redis is at this address";
            return Err(ReachError::new(ReachErrorKind::Unreachable, endpoint.to_string(), got));
        };
        let who = Who::Listener(Listener::Cache);
        let patience = Duration::from_secs(30);
        let target = Target { site: &site, who, channel: Channel::Redis, patience, at: endpoint.to_string() };
        self.call(&target, |state| cache::commands(state, &site, endpoint, commands)).await
    }
}

/// The one password of the simulated world.
pub const SECRET: &str = "simulated-canary-7f3a";
