//! The runbook: what an operator declares, and the plan that comes of it.
//!
//! Pure: text and an estate in, a plan or diagnostics out. It knows step kinds by name only; what a kind means is asked
//! through [`Kinds`], which the catalogue in `systems` implements.

mod file;
mod param;
mod parse;
mod plan;
mod planner;
mod shipped;
mod template;

pub use crate::model::{Diagnostic, Severity, SourceText, did_you_mean};
pub use file::{
    Confirm, Each, GuardLevel, Interrupted, Mode, OnFailure, Param, ParamType, Retry, Runbook, Stage, Step,
};
pub use param::as_typed;
pub use parse::{examine, parse};
pub use plan::{Origin, Plan, PlanDigest, PlannedStage, PlannedStep, PlannedTarget};
pub use planner::{KindFacts, Kinds, PlanRequest, plan};
pub use shipped::{SHIPPED, shipped};
pub use template::{TemplateError, TemplateScope, check_template, evaluate_when, render, render_value};
