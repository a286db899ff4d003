//! How a run is shown on this process's own streams.

use std::sync::Arc;

use clap::ValueEnum;

use super::App;
use super::answers::choices;
use super::conduct::Audience;
use crate::run::{Event, EventKind, RunState};

/// How to show what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Bars on a terminal, plain lines otherwise
    Auto,
    /// Lines that are only added to
    Plain,
    /// One event per line, as JSON
    Json,
    /// Nothing
    #[value(hide = true)]
    None,
}

/// The streams of this process as an audience of a run.
pub(super) struct Screen<'a> {
    app: &'a mut App,
    output: Output,
}

impl<'a> Screen<'a> {
    pub(super) fn new(app: &'a mut App, output: Output) -> Self {
        Self { app, output }
    }

    pub(super) fn finish(&mut self, state: &RunState) {
        if self.output != Output::Json {
            let summary = crate::run::RunSummary::of(state);
            for (unit, failure) in &summary.failures {
                drop(writeln!(self.app.io.err, "{unit}: {failure}"));
            }
            drop(writeln!(self.app.io.err, "{:?}", summary.outcome));
        }
        drop(self.app.io.out.flush());
    }

    fn line(&mut self, text: &str) {
        drop(writeln!(self.app.io.out, "{text}"));
        drop(self.app.io.out.flush());
    }
}

impl Audience for Screen<'_> {
    fn event(&mut self, event: &Arc<Event>, _state: &RunState) {
        match self.output {
            Output::None => {}
            Output::Json => {
                if let Ok(line) = serde_json::to_string(&**event) {
                    self.line(&line);
                }
            }
            Output::Auto | Output::Plain => {
                let text = match &event.kind {
                    EventKind::UnitStarted { unit, .. } => format!("start {unit}"),
                    EventKind::UnitEnded { unit, outcome, .. } => format!("{} {unit}", outcome.word()),
                    EventKind::UnitSaid { unit, text, .. } => format!("      {unit}: {text}"),
                    EventKind::PromptOpened { prompt } => format!("{}\n{}", prompt.message, choices(prompt)),
                    _ => return,
                };
                self.line(&text);
            }
        }
    }

    fn tick(&mut self, _state: &RunState) {}

    fn not_an_answer(&mut self, state: &RunState) {
        if let Some(prompt) = state.open_prompts().next() {
            let text = choices(prompt);
            self.line(&text);
        }
    }
}
