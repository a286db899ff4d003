//! What a step may touch while it acts: the port, the facts of its run, and a voice. No screen, no journal.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::estate::Estate;
use crate::model::{
    Direction, End, Failure, FailureKind, HostName, PointId, RunId, SafeText, ServiceName, SiteName, UnitKey,
};
use crate::points::Tree;
use crate::port::{Clock, JobId, Place, Reach};
use crate::runbook::PlannedStep;

/// Everything one attempt of one unit has.
#[derive(Clone)]
pub struct StepContext {
    /// The world.
    pub reach: Arc<dyn Reach>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The estate.
    pub estate: Arc<Estate>,
    /// Who is source and who is target.
    pub direction: Direction,
    /// The run.
    pub run: RunId,
    /// The restore point of the run.
    pub point: PointId,
    /// The unit.
    pub unit: UnitKey,
    /// The attempt, from 1. The same again when a step is entered again after a crash.
    pub attempt: u32,
    /// The end it acts at, if not the console.
    pub end: Option<End>,
    /// The host, for steps that run per host.
    pub host: Option<HostName>,
    /// Whether it is the first of the hosts that its step runs at. True for a step that does not run per host.
    pub first: bool,
    /// The service it acts on.
    pub service: Option<ServiceName>,
    /// Where it tells what it does.
    pub voice: Voice,
    /// Set when it is to stop.
    pub cancel: CancellationToken,
    /// The durable jobs that this attempt started or attached to; their folders are removed once it has ended well.
    pub jobs: JobLog,
}

/// The durable jobs of one attempt, and those that earlier processes are known to have begun for its unit.
#[derive(Debug, Clone, Default)]
pub struct JobLog {
    own: Arc<Mutex<Vec<(Place, JobId)>>>,
    earlier: Arc<BTreeSet<(Place, JobId)>>,
    loose: Range<u32>,
}

impl JobLog {
    /// The log of an attempt whose unit has begun these jobs before, and of whose `loose` earlier attempts nobody knows
    /// whether anything they began still works.
    #[must_use]
    pub fn after(earlier: BTreeSet<(Place, JobId)>, loose: Range<u32>) -> Self {
        Self { own: Arc::default(), earlier: Arc::new(earlier), loose }
    }

    /// The attempts before this one of which nobody knows whether anything they began still works.
    #[must_use]
    pub fn loose(&self) -> Range<u32> {
        self.loose.clone()
    }

    /// Notes a job.
    pub fn note(&self, place: &Place, job: &JobId) {
        let mut jobs = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if !jobs.iter().any(|(at, have)| at == place && have == job) {
            jobs.push((place.clone(), job.clone()));
        }
    }

    /// True when an earlier process has begun this job: it must be there, and is never started again.
    #[must_use]
    pub fn was_begun(&self, place: &Place, job: &JobId) -> bool {
        self.earlier.contains(&(place.clone(), job.clone()))
    }

    /// Those that earlier processes have begun.
    pub fn earlier(&self) -> impl Iterator<Item = &(Place, JobId)> {
        self.earlier.iter()
    }

    /// All of them, the earlier ones included.
    #[must_use]
    pub fn all(&self) -> BTreeSet<(Place, JobId)> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.iter().chain(&*self.earlier).cloned().collect()
    }
}

/// What all attempts of one run have in common.
#[derive(Clone)]
pub struct Circumstances {
    /// The world.
    pub reach: Arc<dyn Reach>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The estate.
    pub estate: Arc<Estate>,
    /// Who is source and who is target.
    pub direction: Direction,
    /// The run.
    pub run: RunId,
    /// The restore point of the run.
    pub point: PointId,
}

impl StepContext {
    /// The context of one attempt of `unit`, which is one of `step`'s. Nobody can stop it yet, and it has no jobs.
    #[must_use]
    pub fn of(around: Circumstances, step: &PlannedStep, unit: &UnitKey, attempt: u32, voice: Voice) -> Self {
        let Circumstances { reach, clock, estate, direction, run, point } = around;
        Self {
            reach,
            clock,
            estate,
            direction,
            run,
            point,
            unit: unit.clone(),
            attempt,
            end: step.units().find(|(key, _)| key == unit).and_then(|(_, target)| target.end),
            host: unit.host.clone(),
            first: step.is_first(unit),
            service: step.service.clone(),
            voice,
            cancel: CancellationToken::new(),
            jobs: JobLog::default(),
        }
    }

    /// The context of a look from outside any run: it has no durable jobs, nobody hears it, and it is stopped by being
    /// dropped.
    ///
    /// # Panics
    /// Never: the names are valid.
    #[must_use]
    pub fn of_look(
        (reach, clock, estate): (Arc<dyn Reach>, Arc<dyn Clock>, Arc<Estate>),
        direction: Direction,
        site: &SiteName,
        service: Option<ServiceName>,
        host: Option<HostName>,
    ) -> Self {
        let step = UnitKey::try_from("health/look".to_owned()).expect("a valid name").step;
        Self {
            reach,
            clock,
            estate,
            run: RunId::new("health").expect("a valid name"),
            point: PointId::new("health").expect("a valid name"),
            unit: UnitKey { step, site: Some(site.clone()), host: host.clone() },
            attempt: 1,
            end: direction.end_of(site),
            direction,
            host,
            first: true,
            service,
            voice: Voice::new().0,
            cancel: CancellationToken::new(),
            jobs: JobLog::default(),
        }
    }

    /// The site it acts at.
    ///
    /// # Errors
    /// When the runbook gave the step no end.
    pub fn site(&self) -> Result<&SiteName, Failure> {
        self.end.map(|end| self.direction.site(end)).ok_or_else(|| {
            Failure::new(FailureKind::Invalid, format!("run {}", self.unit), "the step has no site")
                .hint("give it `on = \"source\"` or `on = \"target\"` in the runbook")
        })
    }

    /// The settings of the step's service at the step's site, decoded.
    ///
    /// # Errors
    /// When the step names no service, or the settings do not fit `S`.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S, Failure> {
        let site = self.site()?;
        let service = self.service_name()?;
        self.settings_of(service, site)
    }

    /// The settings of any service at any site, decoded.
    ///
    /// # Errors
    /// When there is no such service, or the settings do not fit `S`.
    pub fn settings_of<S: DeserializeOwned>(&self, service: &ServiceName, site: &SiteName) -> Result<S, Failure> {
        let tried = || format!("read the settings of service {service} at {site} in the estate");
        let settings = self
            .estate
            .settings_at(service, site)
            .ok_or_else(|| Failure::new(FailureKind::Invalid, tried(), "there is no such service"))?;
        serde_json::from_value(serde_json::Value::Object(settings)).map_err(|error| {
            Failure::new(FailureKind::Invalid, tried(), error.to_string()).hint("run `changeover check`")
        })
    }

    /// The step's service.
    ///
    /// # Errors
    /// When the runbook names none.
    pub fn service_name(&self) -> Result<&ServiceName, Failure> {
        self.service.as_ref().ok_or_else(|| {
            Failure::new(FailureKind::Invalid, format!("run {}", self.unit), "the step names no service")
                .hint("give it `service = \"…\"` in the runbook")
        })
    }

    /// The place of a host of the step's site.
    ///
    /// # Errors
    /// When the step has no site.
    pub fn place_of(&self, host: &HostName) -> Result<Place, Failure> {
        Ok(Place::Host(self.site()?.clone(), host.clone()))
    }

    /// The host at `site` through which its exchange tree is reached: this unit's own host if it is there, else the
    /// first host of the site that is the machine itself, else the first by name.
    ///
    /// # Errors
    /// When the site has no host.
    pub fn exchange_place(&self, site: &SiteName) -> Result<Place, Failure> {
        if let Some(host) = &self.host
            && self.site().is_ok_and(|own| own == site)
        {
            return Ok(Place::Host(site.clone(), host.clone()));
        }
        let hosts = || self.estate.hosts_with_role(site, None);
        let (name, _) = hosts().find(|(_, host)| host.local).or_else(|| hosts().next()).ok_or_else(|| {
            Failure::new(FailureKind::Invalid, format!("reach the exchange tree of {site}"), "the site has no hosts")
                .hint(format!("add one under [sites.{site}.hosts] in the estate; `local = true` means this machine"))
        })?;
        Ok(Place::Host(site.clone(), name.clone()))
    }

    /// The tree of this direction on the exchange mount of `site`.
    ///
    /// # Errors
    /// When the estate has no such site.
    pub fn tree(&self, site: &SiteName) -> Result<Tree, Failure> {
        let found = self.estate.sites.get(site).ok_or_else(|| {
            Failure::new(FailureKind::Invalid, format!("find the exchange tree of {site}"), "there is no such site")
        })?;
        Ok(Tree::new(&found.exchange, &self.direction))
    }

    /// The name of a job of this attempt. `label` tells apart several jobs of one step.
    #[must_use]
    pub fn job_id(&self, label: &str) -> JobId {
        self.job_of(self.attempt, label)
    }

    /// The name of a job of any attempt of this unit.
    #[must_use]
    pub fn job_of(&self, attempt: u32, label: &str) -> JobId {
        JobId::new(&[self.run.as_str(), &self.unit.file_stem(), &attempt.to_string(), label])
    }

    /// Says one thing to whoever watches.
    pub fn say(&self, text: impl AsRef<str>) {
        self.voice.send(VoiceMessage::Said(SafeText::block(text.as_ref())));
    }

    /// Says how far it is; `what` is the thing that is counted: `bytes`, `shards`, `files`, `rows`, `documents`.
    pub fn progress(&self, done: u64, total: Option<u64>, what: &'static str) {
        self.voice.send(VoiceMessage::Progress { done, total, what });
    }

    /// Passes raw output on, byte-exact.
    pub fn output(&self, bytes: &[u8]) {
        self.voice.send(VoiceMessage::Output(bytes.to_vec()));
    }

    /// Fails with `Cancelled` once the step is asked to stop.
    ///
    /// # Errors
    /// When the step was asked to stop.
    pub fn check_cancelled(&self, doing: &str) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Self::cancelled_while(doing)) } else { Ok(()) }
    }

    /// The failure of a step that was asked to stop while it was `doing` something.
    #[must_use]
    pub fn cancelled_while(doing: &str) -> Failure {
        Failure::new(FailureKind::Cancelled, doing, "asked to stop")
    }

    /// Waits for `work`, unless asked to stop first; `work` is then dropped. For work that only looks: dropping does not
    /// stop what a host was asked to do.
    ///
    /// # Errors
    /// When the step was asked to stop.
    pub async fn unless_cancelled<T>(&self, doing: &str, work: impl Future<Output = T> + Send) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Self::cancelled_while(doing)),
            found = work => Ok(found),
        }
    }

    /// Waits, unless asked to stop.
    ///
    /// # Errors
    /// When the step was asked to stop.
    pub async fn sleep(&self, time: Duration, doing: &str) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Self::cancelled_while(doing)),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}

/// Where an attempt tells what it does. Never holds the attempt up.
#[derive(Clone)]
pub struct Voice(mpsc::UnboundedSender<VoiceMessage>);

impl Voice {
    /// A voice and its ear.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<VoiceMessage>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Sends a message; when nobody listens any more it is dropped, which is fine: only chatter goes this way.
    pub fn send(&self, message: VoiceMessage) {
        drop(self.0.send(message));
    }
}

/// What an attempt tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoiceMessage {
    /// A line for people.
    Said(SafeText),
    /// How far it is.
    Progress {
        /// Done so far.
        done: u64,
        /// Of how much.
        total: Option<u64>,
        /// What is counted.
        what: &'static str,
    },
    /// Raw output of remote work.
    Output(Vec<u8>),
    /// A durable job is there.
    JobBegun(Place, JobId),
}
