//! The room of `basic`: what every runbook needs and no system owns: a command, a request, a pause, a question.

mod command;
mod http;
mod pause;
#[cfg(test)]
mod tests;

use super::{Effect, KindEntry, step_kind};
use crate::model::Span;
use crate::runbook::Interrupted;
use command::BasicCommand;
use http::BasicHttp;
use pause::{BasicConfirm, BasicWait};

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    vec![
        step_kind::<BasicCommand>("basic.command", "Run a command of your own on a host or on this machine")
            .effect(Effect::Writes)
            .interrupted(Interrupted::Ask)
            .timeout(Span::seconds(3600)),
        step_kind::<BasicHttp>("basic.http", "Send an HTTP request and check its answer")
            .effect(Effect::Writes)
            .interrupted(Interrupted::Ask),
        step_kind::<BasicWait>("basic.wait", "Wait for a while").timeout(Span::seconds(86_400)),
        step_kind::<BasicConfirm>("basic.confirm", "Let a person decide before the run goes on").only_asks(),
    ]
}
