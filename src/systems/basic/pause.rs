//! `basic.wait` and `basic.confirm`: steps that touch nothing.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Failure, SafeText, Span};
use crate::systems::{CheckReport, Checked, Step, StepContext, StepDone};

/// Waits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicWait {
    /// How long, for example `30s`.
    #[serde(rename = "for")]
    time: Span,
}

#[async_trait]
impl Step for BasicWait {
    async fn preview(&self, _cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        Ok(vec![format!("wait for {}", self.time).into()])
    }

    async fn check(&self, _cx: &StepContext) -> Result<CheckReport, Failure> {
        Ok(nothing_to_check())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let doing = format!("wait for {}", self.time);
        let total = self.time.0;
        let began = tokio::time::Instant::now();
        loop {
            let gone = began.elapsed().min(total);
            cx.progress(gone.as_secs(), Some(total.as_secs()), "seconds");
            if gone == total {
                return Ok(StepDone::new());
            }
            cx.sleep(total.saturating_sub(gone).min(Duration::from_secs(1)), &doing).await?;
        }
    }
}

/// Asks a person and does nothing else: the question is the step's own `confirm` in the runbook, which is asked before
/// any step that has one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicConfirm {}

#[async_trait]
impl Step for BasicConfirm {
    async fn preview(&self, _cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        Ok(vec!["nothing is sent: a person is asked".into()])
    }

    async fn check(&self, _cx: &StepContext) -> Result<CheckReport, Failure> {
        Ok(nothing_to_check())
    }

    async fn run(&self, _cx: &StepContext) -> Result<StepDone, Failure> {
        Ok(StepDone::new())
    }
}

fn nothing_to_check() -> CheckReport {
    CheckReport { checked: Checked::Simulated, ..CheckReport::default() }
}
