//! `basic.command`: a command that the operator wrote, without a shell.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Failure, FailureKind, SafeText};
use crate::port::{Exit, Pipeline, Place};
use crate::systems::{Argv, Step, StepContext, StepDone, run_job};

/// How long a command may take that is not a durable job.
const SHORT: Duration = Duration::from_mins(1);
/// The most that a capture may hold.
const CAPTURE: usize = 64 * 1024;

/// Runs a command on the step's host, at a site without a host on the host of its exchange tree, and with
/// `on = "console"` on this machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "CommandForm")]
#[schemars(with = "CommandForm")]
pub(super) struct BasicCommand {
    run: Argv,
    stdin: Option<String>,
    expect_exit: Vec<i32>,
    capture: Option<String>,
    durable: bool,
}

/// How the parameters are written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CommandForm {
    /// The program and its arguments, for example `["/opt/bin/export", "--all"]`. No shell runs.
    run: Argv,
    /// What the program reads. Never a secret: it is kept in the journal.
    #[serde(default)]
    stdin: Option<String>,
    /// The exit codes that count as good.
    #[serde(default = "CommandForm::default_exit")]
    expect_exit: Vec<i32>,
    /// Keeps what the program writes to stdout, trimmed, as `{{ steps.<id>.<capture> }}`; at most 64 KiB. Such a
    /// command is not durable and may take a minute.
    #[serde(default)]
    capture: Option<String>,
    /// Whether the command runs as a job that outlives a lost connection. True, unless its output is captured: a job
    /// keeps what it writes and what it complains of in one place.
    #[serde(default)]
    durable: Option<bool>,
}

impl CommandForm {
    fn default_exit() -> Vec<i32> {
        vec![0]
    }
}

impl TryFrom<CommandForm> for BasicCommand {
    type Error = String;

    fn try_from(form: CommandForm) -> Result<Self, String> {
        if form.expect_exit.is_empty() {
            return Err("`expect_exit` is empty: no ending would ever be good".to_owned());
        }
        if let Some(name) = &form.capture {
            let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`capture` is the name of a value, such as `version`; `{name}` is none"));
            }
            if form.durable == Some(true) {
                return Err("`capture` and `durable = true` exclude each other: leave `durable` out".to_owned());
            }
        }
        let durable = form.durable.unwrap_or(form.capture.is_none());
        Ok(Self { run: form.run, stdin: form.stdin, expect_exit: form.expect_exit, capture: form.capture, durable })
    }
}

impl BasicCommand {
    fn pipeline(&self) -> Pipeline {
        let pipeline = Pipeline::from(self.run.command());
        match &self.stdin {
            Some(text) => pipeline.stdin(text.as_bytes()),
            None => pipeline,
        }
    }

    /// How it ended, judged; `complaint` is what it said.
    fn judge(&self, tried: &str, exits: &[Exit], complaint: String) -> Result<(), Failure> {
        match exits {
            [Exit::Code(code)] if self.expect_exit.contains(code) => Ok(()),
            [Exit::Code(0)] => {
                let wanted: Vec<String> = self.expect_exit.iter().map(ToString::to_string).collect();
                let got = format!("exit code 0 in place of {}", wanted.join(" or "));
                Err(Failure::new(FailureKind::Refused, tried, got))
            }
            [Exit::Code(_)] => Err(Failure::new(FailureKind::Refused, tried, complaint)),
            _ => Err(Failure::new(FailureKind::Unknown, tried, "its exit code is unknown")
                .hint("look at what it was to do, then resume the run")),
        }
    }
}

fn place(cx: &StepContext) -> Result<Place, Failure> {
    match (&cx.host, cx.end) {
        (Some(host), Some(_)) => cx.place_of(host),
        (_, Some(_)) => cx.exchange_place(cx.site()?),
        (_, None) => Ok(Place::Console),
    }
}

#[async_trait]
impl Step for BasicCommand {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let read = self.stdin.as_ref().map_or_else(String::new, |text| format!("  (reads {} bytes)", text.len()));
        Ok(vec![format!("{} $ {}{read}", place(cx)?, self.pipeline()).into()])
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let place = place(cx)?;
        let pipeline = self.pipeline();
        let tried = format!("run on {place}: {pipeline}");
        cx.say(format!("{place} $ {pipeline}"));
        if self.durable {
            let ended = run_job(cx, &place, "command", &pipeline).await?;
            self.judge(&tried, &ended.exits, ended.complaint(&pipeline))?;
            return Ok(StepDone::new());
        }
        cx.check_cancelled(&tried)?;
        // Not raced against a stop: only a job can be stopped on its host, and this is short.
        let output = cx
            .reach
            .exec(&place, &pipeline, SHORT)
            .await
            .map_err(|error| error.while_changing(format!("run {pipeline}")))?;
        for said in [&output.stdout, &output.stderr].into_iter().filter(|said| !said.is_empty()) {
            cx.output(said);
        }
        self.judge(&tried, &output.exits, output.complaint(&pipeline))?;
        let Some(name) = &self.capture else {
            return Ok(StepDone::new());
        };
        let too_much = output.truncated || output.stdout.len() > CAPTURE;
        let text = std::str::from_utf8(&output.stdout).ok().filter(|_| !too_much).ok_or_else(|| {
            let got = if too_much { "it wrote more than 64 KiB" } else { "what it wrote is not UTF-8" };
            Failure::new(FailureKind::Refused, format!("keep what it wrote as `{name}`: {tried}"), got)
                .hint("the command itself ended well; let it write the one value that later steps need")
        })?;
        Ok(StepDone::new().capture(name, text.trim()))
    }
}
