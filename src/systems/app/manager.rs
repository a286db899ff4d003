//! The service managers: what they are asked, and what their answers mean. Pure but for [`Manager::look`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::refusal::sudo_refused;
use super::settings::Verb;
use crate::model::Failure;
use crate::port::{Command, ExecOutput, Pipeline, Place};
use crate::systems::{Argv, StepContext};

/// How long a manager may take to tell a state.
const LOOK: Duration = Duration::from_secs(20);

/// What keeps the application running on a host.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Manager {
    /// systemd.
    Systemd {
        /// The unit, for example `shop.service`.
        unit: String,
    },
    /// runit.
    Runit {
        /// The service's folder, for example `/etc/service/shop`.
        service: String,
    },
    /// supervisord.
    Supervisor {
        /// The program, or `group:*`.
        program: String,
    },
    /// Anything else: a command that ends with code 0 when the application runs, and 3 when it is stopped.
    Command {
        /// The command, for example `["/opt/shop/bin/status"]`.
        status: Argv,
    },
}

/// What a manager says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether it runs.
    pub(super) phase: Phase,
    /// What tells this process from the one before and after it, when the manager says it.
    pub(super) identity: Option<String>,
    /// What the manager said, for people.
    pub(super) said: String,
}

/// Whether a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It runs and is meant to.
    Running,
    /// It does not run and is not about to.
    Stopped,
    /// On its way to something else, or between two attempts.
    Moving,
}

impl Manager {
    /// The command that does `verb`, if this manager has one.
    pub(super) fn command(&self, verb: Verb) -> Option<Command> {
        let sudo = Command::new("sudo").arg("-n");
        match self {
            Self::Systemd { unit } => Some(sudo.args(["systemctl", verb.word(), "--", unit.as_str()])),
            Self::Runit { service } => Some(sudo.args(["sv", "-w", "30", verb.word(), service.as_str()])),
            Self::Supervisor { program } => Some(sudo.args(["supervisorctl", verb.word(), program.as_str()])),
            Self::Command { .. } => None,
        }
    }

    /// The command that tells the state.
    pub(super) fn status(&self) -> Command {
        match self {
            Self::Systemd { unit } => Command::new("systemctl").args([
                "show",
                "-p",
                "LoadState,ActiveState,SubState,Result,MainPID,ExecMainStartTimestampMonotonic,InvocationID",
                "--",
                unit.as_str(),
            ]),
            Self::Runit { service } => Command::new("sv").args(["status", service.as_str()]),
            Self::Supervisor { program } => Command::new("supervisorctl").args(["status", program.as_str()]),
            Self::Command { status } => status.command(),
        }
    }

    /// What the answer to [`Self::status`] means.
    ///
    /// # Errors
    /// What the manager said when that is no state: it may not be asked, or does not know the service.
    pub(super) fn read(&self, output: &ExecOutput) -> Result<Seen, String> {
        let text = output.text();
        let read = match self {
            Self::Systemd { .. } => read_systemctl(&text),
            Self::Runit { .. } => read_sv(&text),
            Self::Supervisor { .. } => read_supervisorctl(&text),
            Self::Command { .. } => {
                let phase = match output.exits.first() {
                    Some(crate::port::Exit::Code(0)) => Some(Phase::Running),
                    Some(crate::port::Exit::Code(3)) => Some(Phase::Stopped),
                    _ => None,
                };
                phase.map(|phase| Seen { phase, identity: None, said: text.clone() })
            }
        };
        read.ok_or_else(|| {
            let complaint = output.complaint(&Pipeline::from(self.status()));
            [text, complaint].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
        })
    }

    /// Asks for the state, with `sudo -n` when the login user may not ask.
    ///
    /// # Errors
    /// The outer one when the host cannot be asked or the step is to stop, the inner one when the manager does not tell
    /// the state.
    pub(super) async fn look(&self, cx: &StepContext, place: &Place) -> Result<Result<Seen, String>, Failure> {
        let tried = format!("ask for the state of {self}");
        let plain = Pipeline::from(self.status());
        let output = cx.unless_cancelled(&tried, cx.reach.exec(place, &plain, LOOK)).await?;
        let output = output.map_err(|error| error.while_reading(&tried))?;
        let first = self.read(&output);
        if first.is_ok() || matches!(self, Self::Command { .. }) {
            return Ok(first);
        }
        let command = self.status();
        let raised = Pipeline::from(Command::new("sudo").arg("-n").arg(command.program).args(command.args));
        let output = cx.unless_cancelled(&tried, cx.reach.exec(place, &raised, LOOK)).await?;
        let output = output.map_err(|error| error.while_reading(&tried))?;
        let complaint = output.complaint(&raised);
        Ok(self.read(&output).or_else(|second| if sudo_refused(&complaint) { first } else { Err(second) }))
    }

    /// The command that shows the last lines of the application's log, where the manager keeps one.
    pub(super) fn log(&self) -> Option<Command> {
        match self {
            Self::Systemd { unit } => Some(Command::new("journalctl").args([
                "-n",
                "15",
                "--no-pager",
                "-o",
                "short-iso",
                "-u",
                unit.as_str(),
            ])),
            Self::Supervisor { program } => {
                Some(Command::new("supervisorctl").args(["tail", "-2000", program.as_str(), "stderr"]))
            }
            Self::Runit { .. } | Self::Command { .. } => None,
        }
    }
}

impl std::fmt::Display for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Systemd { unit } => write!(f, "systemd unit {unit}"),
            Self::Runit { service } => write!(f, "runit service {service}"),
            Self::Supervisor { program } => write!(f, "supervisor program {program}"),
            Self::Command { .. } => f.write_str("the application"),
        }
    }
}

/// `systemctl show -p …`: one `Name=value` a line. An unknown unit is shown too, with `LoadState=not-found`.
fn read_systemctl(text: &str) -> Option<Seen> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let active = value("ActiveState")?;
    if value("LoadState") == Some("not-found") {
        return None;
    }
    let sub = value("SubState").unwrap_or_default();
    let phase = match active {
        "active" => Phase::Running,
        "inactive" | "failed" => Phase::Stopped,
        _ => Phase::Moving,
    };
    let parts = ["MainPID", "ExecMainStartTimestampMonotonic", "InvocationID"].map(|name| value(name).unwrap_or("0"));
    let result = value("Result").filter(|result| !matches!(*result, "" | "success"));
    let result = result.map_or_else(String::new, |result| format!(", result {result}"));
    let pid = if parts[0] == "0" { String::new() } else { format!(", pid {}", parts[0]) };
    let said = format!("{active} ({sub}){result}{pid}");
    let identity = (phase == Phase::Running).then(|| parts.join(" "));
    Some(Seen { phase, identity, said })
}

/// `sv status`: `run: /svc: (pid 7) 12s`, with `, want down`, `, paused`, `, got TERM`, and `; run: log: …` behind it.
fn read_sv(text: &str) -> Option<Seen> {
    let line = text.lines().find(|line| ["run: ", "down: ", "finish: "].iter().any(|state| line.starts_with(state)))?;
    let own = line.split("; ").next().unwrap_or(line);
    let (state, rest) = own.split_once(": ")?;
    let marks: Vec<&str> = rest.split(", ").skip(1).collect();
    let has = |mark: &str| marks.contains(&mark);
    let phase = match state {
        "run" if has("want down") || has("paused") || has("got TERM") => Phase::Moving,
        "run" => Phase::Running,
        "down" if has("want up") => Phase::Moving,
        "down" => Phase::Stopped,
        _ => Phase::Moving,
    };
    let identity = rest.split_once("(pid ").and_then(|(_, rest)| rest.split_once(')')).map(|(pid, _)| pid.to_owned());
    Some(Seen { phase, identity: identity.filter(|_| phase == Phase::Running), said: own.to_owned() })
}

/// `supervisorctl status`: `shop:shop_00   RUNNING   pid 123, uptime 0:01:02`, one line a process.
fn read_supervisorctl(text: &str) -> Option<Seen> {
    let mut phases = Vec::new();
    let mut pids = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace().skip(1);
        phases.push(match words.next()? {
            "RUNNING" => Phase::Running,
            "STOPPED" | "EXITED" | "FATAL" => Phase::Stopped,
            "STARTING" | "BACKOFF" | "STOPPING" | "UNKNOWN" => Phase::Moving,
            _ => return None,
        });
        if let (Some("pid"), Some(pid)) = (words.next(), words.next()) {
            pids.push(pid.trim_end_matches(',').to_owned());
        }
    }
    let first = *phases.first()?;
    let phase = if phases.iter().all(|phase| *phase == first) { first } else { Phase::Moving };
    let identity = (phase == Phase::Running && pids.len() == phases.len()).then(|| pids.join(" "));
    let said: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    Some(Seen { phase, identity, said: said.join("\n") })
}
