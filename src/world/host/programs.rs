//! The programs that a host knows, by name. One that is not known ends with code 127, as on a real host: a command
//! that a step begins to use must be taught here first.

use super::{Io, Machine, Process, Slice};
use crate::port::{Command, Pipeline};
use crate::world::sql;

/// Starts a program.
pub(super) fn start(on: &Machine<'_>, command: &Command, pipeline: &Pipeline) -> Box<dyn Process> {
    let name = command.program.rsplit('/').next().unwrap_or_default();
    if on.this().lacks.contains(name) {
        return Box::new(Broken(format!("sh: 1: {name}: not found")));
    }
    if let Some(process) = sql::programs::start(name, on, command, pipeline) {
        return process;
    }
    Box::new(Broken(format!("sh: 1: {}: not found", command.program)))
}

/// A program that could not be started.
pub(super) struct Broken(pub(super) String);

impl Process for Broken {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        io.complain(&self.0);
        Slice::ended(if self.0.ends_with("not found") { 127 } else { 2 })
    }
}
