//! `exchange.space`: is there room for what is going to be written?

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{ByteSize, Failure, SafeText};
use crate::systems::remote::{ensure_space, path_arg};
use crate::systems::{CheckReport, Step, StepContext, StepDone};

/// Checks that the exchange mount has room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Space {
    /// How many bytes are going to be written.
    bytes: u64,
    /// The estimate is multiplied with this.
    #[serde(default = "one")]
    factor: f64,
}

fn one() -> f64 {
    1.0
}

impl Space {
    fn needed(&self) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let needed = self.bytes as f64 * self.factor.max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        let needed = needed.ceil() as u64;
        needed
    }
}

#[async_trait]
impl Step for Space {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        let path = path_arg(cx.tree(cx.site()?)?.exchange())?;
        Ok(vec![SafeText::line(&format!("df -P -B1 {path}"))])
    }

    async fn check(&self, cx: &StepContext) -> Result<CheckReport, Failure> {
        let site = cx.site()?;
        let free = ensure_space(cx, &cx.exchange_place(site)?, cx.tree(site)?.exchange(), self.needed()).await?;
        Ok(CheckReport::live().good(format!("{} are free at {site}", ByteSize(free))))
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let site = cx.site()?;
        let needed = self.needed();
        let free = ensure_space(cx, &cx.exchange_place(site)?, cx.tree(site)?.exchange(), needed).await?;
        cx.say(format!("{} are free at {site}, {} are needed", ByteSize(free), ByteSize(needed)));
        Ok(StepDone::new().capture("free", free).capture("needed", needed))
    }
}
