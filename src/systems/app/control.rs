//! `app.restart`, `app.stop`, `app.start`: the command, and the proof that it had its effect.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::AppSettings;
use super::manager::{Phase, Seen};
use super::refusal::{sudo_refused, sudo_rule};
use super::settings::Verb;
use crate::model::{Failure, FailureKind, HostName, SafeText, Span};
use crate::port::{Command, Pipeline, Place, ReachErrorKind};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// How long the command itself may take: systemd alone waits 90 seconds for a process that will not end.
const COMMAND: Duration = Duration::from_mins(3);
/// The first pause between two looks; doubled up to [`SLOWEST`].
const FASTEST: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(2);
/// How long a process must live when nothing but the service manager can say that it is well.
const SETTLE: Duration = Duration::from_secs(3);

/// Restarts the application on one host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppRestart {
    /// How long it may take until it is well; the `within` of the service's health when left out.
    #[serde(default)]
    within: Option<Span>,
}

/// Stops the application on one host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppStop {
    /// How long it may take until it is gone; one minute when left out.
    #[serde(default)]
    within: Option<Span>,
}

/// Starts the application on one host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppStart {
    /// How long it may take until it is well; the `within` of the service's health when left out.
    #[serde(default)]
    within: Option<Span>,
}

#[async_trait]
impl Step for AppRestart {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        preview(cx, Verb::Restart)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        check(cx, Verb::Restart).await
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        Work::new(cx, Verb::Restart, self.within)?.run().await
    }

    async fn undo(&self, _cx: &StepContext) -> Result<StepDone, Failure> {
        Ok(StepDone::nothing_to_do("a restart leaves nothing to take back"))
    }
}

#[async_trait]
impl Step for AppStop {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        preview(cx, Verb::Stop)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        check(cx, Verb::Stop).await
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        Work::new(cx, Verb::Stop, self.within)?.run().await
    }

    async fn undo(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        Work::new(cx, Verb::Start, None)?.run().await
    }
}

#[async_trait]
impl Step for AppStart {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        preview(cx, Verb::Start)
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        check(cx, Verb::Start).await
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        Work::new(cx, Verb::Start, self.within)?.run().await
    }

    async fn undo(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        Work::new(cx, Verb::Stop, None)?.run().await
    }
}

fn preview(cx: &StepContext, verb: Verb) -> Result<Vec<SafeText>, Failure> {
    let work = Work::new(cx, verb, None)?;
    let mut lines = vec![format!("{} $ {}", work.place, work.command)];
    lines.extend(work.settings.manager.as_ref().map(|manager| format!("{} $ {}", work.place, manager.status())));
    if let (Some(health), Verb::Restart | Verb::Start) = (&work.settings.health, verb) {
        lines.push(health.request(cx, &work.host)?.to_string());
    }
    Ok(lines.into_iter().map(SafeText::from).collect())
}

async fn check(cx: &StepContext, verb: Verb) -> Result<CheckReport, Failure> {
    let work = Work::new(cx, verb, None)?;
    let report = CheckReport::live();
    Ok(match work.look().await? {
        Ok(seen) => report.good(format!("{}: {}", work.place, seen.said)),
        Err(silence) => report.bad(format!("{}: {silence}", work.place)),
    })
}

/// One verb on one host.
struct Work<'a> {
    cx: &'a StepContext,
    verb: Verb,
    settings: AppSettings,
    host: HostName,
    place: Place,
    command: Command,
    within: Span,
    /// Set once the manager did not tell: asking again would only fill the host's log with refusals of sudo.
    mute: bool,
}

impl<'a> Work<'a> {
    fn new(cx: &'a StepContext, verb: Verb, within: Option<Span>) -> Result<Self, Failure> {
        let settings: AppSettings = cx.settings()?;
        let (host, place) = AppSettings::own_place(cx)?;
        let command = settings.command(verb)?;
        if settings.manager.is_none() && settings.health.is_none() {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("{} the application on {place}", verb.word()),
                "the estate gives neither `manager` nor `health`, so that nobody could tell whether it worked",
            )
            .hint("give the service one of them"));
        }
        let usual = settings.health.as_ref().filter(|_| verb != Verb::Stop).map(|health| health.within);
        let within = within.or(usual).unwrap_or(Span::seconds(60));
        Ok(Self { cx, verb, settings, host, place, command, within, mute: false })
    }

    fn tried(&self) -> String {
        format!("{} the application on {}", self.verb.word(), self.place)
    }

    /// What the manager says; the inner error is why it says nothing.
    async fn look(&self) -> Result<Result<Seen, String>, Failure> {
        match &self.settings.manager {
            Some(manager) if self.mute => Ok(Err(format!("{manager} did not tell"))),
            Some(manager) => {
                Ok(manager.look(self.cx, &self.place).await?.map_err(|said| format!("{manager} does not tell: {said}")))
            }
            None => Ok(Err("the estate names no service manager".to_owned())),
        }
    }

    async fn run(mut self) -> Result<StepDone, Failure> {
        let before = self.look().await?;
        self.mute = before.is_err();
        let mut done = StepDone::new();
        if let (Some(_), Err(silence)) = (&self.settings.manager, &before) {
            if self.settings.health.is_none() {
                return Err(Failure::new(FailureKind::Refused, self.tried(), silence).hint(
                    "nothing was changed: without the manager's word and without `health` nobody could tell \
                     whether it worked; let the login user ask the manager, or give the service a health address",
                ));
            }
            done = done.warn(format!("{silence}; only the command's ending and the health address are believed"));
        }
        self.cx.check_cancelled(&self.tried())?;
        let lost = self.send().await?;
        let (proof, weak) = self.wait(before.as_ref().ok(), lost.is_some()).await.map_err(|failure| match &lost {
            // Whether the command was carried out was not seen, and its answer is lost too.
            Some(lost) if failure.kind != FailureKind::Cancelled => {
                Failure { kind: FailureKind::Unknown, got: format!("{lost}\n{}", failure.got).into(), ..failure }
            }
            _ => failure,
        })?;
        if let Some(lost) = lost {
            done = done.warn(format!("the answer to the command was lost ({lost}), but its effect was seen"));
        }
        if weak {
            done = done.warn("no new process could be told from the old one");
        }
        self.cx.say(format!("{}: {proof}", self.place));
        Ok(done)
    }

    /// Sends the command. Returns why its answer was lost, when it was.
    ///
    /// Not raced against a stop: a command that changes a service cannot be taken back half-way, and is short.
    async fn send(&self) -> Result<Option<String>, Failure> {
        let pipeline = Pipeline::from(self.command.clone());
        let tried = format!("{} with {pipeline}", self.tried());
        self.cx.say(format!("{} $ {pipeline}", self.place));
        let output = match self.cx.reach.exec(&self.place, &pipeline, COMMAND).await {
            Ok(output) => output,
            Err(error) if error.kind == ReachErrorKind::Lost => {
                self.cx.say(format!("the answer was lost ({error}); looking whether it had its effect"));
                return Ok(Some(error.to_string()));
            }
            Err(error) => return Err(error.while_changing(&tried)),
        };
        for said in [&output.stdout, &output.stderr].into_iter().filter(|said| !said.is_empty()) {
            self.cx.output(said);
        }
        if output.is_success() {
            return Ok(None);
        }
        if output.exits.iter().any(|exit| matches!(exit, crate::port::Exit::Unknown)) {
            return Ok(Some("its exit code is unknown".to_owned()));
        }
        let complaint = output.complaint(&pipeline);
        if sudo_refused(&complaint) {
            let failure = Failure::new(FailureKind::Refused, tried, complaint);
            let user = self.cx.site().ok().and_then(|site| self.cx.estate.host(site, &self.host)?.user.clone());
            return Err(match sudo_rule(user.as_deref(), &self.command) {
                Some(rule) => failure.hint(format!(
                    "nothing was changed: sudo refused. A rule on {} that allows it, to be added with visudo: {rule}",
                    self.place
                )),
                None => failure,
            });
        }
        let text = output.text();
        let said = [text.as_str(), complaint.as_str()].into_iter().filter(|part| !part.is_empty());
        let got = said.collect::<Vec<_>>().join("\n");
        Err(self.with_log(Failure::new(FailureKind::Refused, tried, got)).await)
    }

    /// Waits for the proof. Returns it in words, and whether it rests on less than a new process.
    async fn wait(&self, before: Option<&Seen>, lost: bool) -> Result<(String, bool), Failure> {
        let tried = self.tried();
        let deadline = tokio::time::Instant::now() + self.within.0;
        let mut pause = FASTEST;
        // A process counts as settled when it is the same as this long ago.
        let mut steady: Option<(Option<String>, tokio::time::Instant)> = None;
        loop {
            let progress = match self.verb {
                Verb::Stop => self.stopped().await?,
                Verb::Restart | Verb::Start => self.well(before, lost, &mut steady).await?,
            };
            let problem = match progress {
                Ok(proof) => return Ok(proof),
                Err(problem) => problem,
            };
            if tokio::time::Instant::now() >= deadline {
                let got = format!("not after {}: {problem}", self.within);
                let failure = Failure::new(FailureKind::Refused, &tried, got)
                    .hint("mend what it says is wrong, then resume the run: it begins with this host again");
                return Err(self.with_log(failure).await);
            }
            self.cx.sleep(pause, &format!("wait after the command to {tried}")).await?;
            pause = (pause * 2).min(SLOWEST);
        }
    }

    /// One look whether it runs, as another process than before, and is well. The inner error is what is missing.
    async fn well(
        &self,
        before: Option<&Seen>,
        lost: bool,
        steady: &mut Option<(Option<String>, tokio::time::Instant)>,
    ) -> Result<Result<(String, bool), String>, Failure> {
        let seen = self.patient_look().await?;
        let told = seen.as_ref().ok();
        if let Some(seen) = told {
            if seen.phase != Phase::Running {
                *steady = None;
                return Ok(Err(seen.said.clone()));
            }
            let old = before.and_then(|before| before.identity.as_ref());
            if self.verb == Verb::Restart && old.is_some() && seen.identity.as_ref() == old {
                return Ok(Err(format!("still the process from before: {}", seen.said)));
            }
        } else if self.settings.health.is_none() {
            return Ok(Err(seen.err().unwrap_or_default()));
        }
        let identity = told.and_then(|seen| seen.identity.clone());
        // A new process is one that differs from what was seen before the command.
        let known = identity.is_some() && (before.is_some() || self.verb != Verb::Restart);
        if self.verb == Verb::Restart && lost && !known {
            return Ok(Err("the answer to the command was lost, and no new process can be seen".to_owned()));
        }
        let said = told.map_or_else(|| "healthy".to_owned(), |seen| seen.said.clone());
        let weak = self.verb == Verb::Restart && !known;
        let Some(health) = &self.settings.health else {
            let now = tokio::time::Instant::now();
            let since = match steady {
                Some((same, since)) if *same == identity => *since,
                _ => {
                    *steady = Some((identity, now));
                    now
                }
            };
            return Ok(if now.duration_since(since) >= SETTLE {
                Ok((said, weak))
            } else {
                Err(format!("{said}, but not yet for {}", Span(SETTLE)))
            });
        };
        if let Some(problem) = health.ask(self.cx, &self.host).await?.problem {
            return Ok(Err(format!("{said}\n{problem}")));
        }
        // The process that answered must be the one that was seen: one that dies and comes back answers in between.
        let again = self.patient_look().await?.ok();
        let same =
            again.as_ref().map(|seen| (seen.phase, &seen.identity)) == told.map(|seen| (seen.phase, &seen.identity));
        let version = if known { format!("{said}, and healthy") } else { said };
        Ok(if same { Ok((version, weak)) } else { Err(format!("it was healthy, but did not stay: {version}")) })
    }

    /// One look whether it is stopped. The inner error is what it still does.
    async fn stopped(&self) -> Result<Result<(String, bool), String>, Failure> {
        let seen = self.patient_look().await?;
        Ok(match (seen, &self.settings.health) {
            (Ok(seen), _) if seen.phase == Phase::Stopped => Ok((seen.said, false)),
            (Ok(seen), _) => Err(seen.said),
            (Err(silence), None) => Err(silence),
            (Err(_), Some(health)) => match health.ask(self.cx, &self.host).await? {
                answer if answer.silent => Ok(("its health address is silent".to_owned(), false)),
                _ => Err("its health address still answers".to_owned()),
            },
        })
    }

    /// [`Self::look`], for which a host that is out of reach for a moment is only silent.
    async fn patient_look(&self) -> Result<Result<Seen, String>, Failure> {
        match self.look().await {
            Err(failure) if failure.kind == FailureKind::Unreachable => Ok(Err(failure.to_string())),
            other => other,
        }
    }

    /// The failure with what the manager says now and the last lines of the log, where they can be had.
    async fn with_log(&self, failure: Failure) -> Failure {
        let mut parts = vec![failure.got.to_string()];
        if let Ok(Ok(seen)) = self.look().await
            && !parts[0].contains(&seen.said)
        {
            parts.push(format!("the service is now: {}", seen.said));
        }
        if let Some(log) = self.settings.manager.as_ref().and_then(super::Manager::log) {
            let log = Pipeline::from(log);
            if let Ok(output) = self.cx.reach.exec(&self.place, &log, Duration::from_secs(20)).await
                && output.is_success()
                && !output.stdout.is_empty()
            {
                parts.push(format!("its log ends:\n{}", output.text()));
            }
        }
        Failure { got: parts.join("\n").into(), ..failure }
    }
}
