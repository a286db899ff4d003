//! What a probe is: one read-only question to a system, and what came back. A gate in a runbook and a light on the
//! screen ask with the same probe. When to ask, and what follows from several answers, is `health`'s affair.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::StepContext;
use crate::model::{Failure, SafeText};

/// What one answer says about the system, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It does what it is there for.
    Up,
    /// It works, and something about it must be seen to.
    Degraded,
    /// It does not do what it is there for.
    Down,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things: documents, nodes, connections.
    Count,
    /// Bytes.
    Bytes,
    /// Parts of a hundred.
    Percent,
    /// Seconds.
    Seconds,
    /// A ratio or a load, with two decimals.
    Ratio,
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is: `documents`, `disk used /mnt/exchange`.
    pub name: SafeText,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
}

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// What it says on its own.
    pub condition: Condition,
    /// The whole in a few words: `green, 3 nodes, 6 indices`.
    pub summary: SafeText,
    /// Why it is not up, the most important first; empty when it is.
    pub findings: Vec<SafeText>,
    /// What was measured. The first is the one that is drawn over time.
    pub figures: Vec<Figure>,
    /// Where it was asked: an address, or a host and a command.
    pub source: SafeText,
    /// The answer as it came, for the detail view; shortened to some kilobytes.
    pub raw: SafeText,
}

/// A question that can be asked again and again and changes nothing.
#[async_trait]
pub trait Probe: Send + Sync + fmt::Debug {
    /// Asks once. The caller gives a deadline by dropping it.
    ///
    /// # Errors
    /// When no answer came. `Unreachable` and `Refused` say that the system itself did not answer or said no; `Unknown`
    /// says that the way to it is broken, so that nothing is known of the system.
    async fn look(&self, cx: &StepContext) -> Result<Reading, Failure>;
}
