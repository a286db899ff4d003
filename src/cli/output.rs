//! How a run is shown on this process's own streams, and to its viewers.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ColorChoice, ValueEnum};
use indicatif::ProgressDrawTarget;
use jiff::Timestamp;

use super::App;
use super::conduct::Audience;
use crate::port::Clock;
use crate::report::{Advice, Bars, Json, Listener, Plain};
use crate::run::{Event, RunState, choices};
use crate::session::Viewers;
use crate::style::{ColorWish, Look};

/// How to show what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Bars on a terminal, plain lines otherwise
    Auto,
    /// What runs now in moving lines, what has ended above them
    Bars,
    /// Lines that are only added to
    Plain,
    /// One event per line, as JSON
    Json,
    /// Nothing
    #[value(hide = true)]
    None,
}

/// A variable of the environment.
pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the user says about colour.
pub(super) fn wish(app: &App) -> ColorWish {
    match app.global.color {
        ColorChoice::Auto => ColorWish::Auto,
        ColorChoice::Always => ColorWish::Always,
        ColorChoice::Never => ColorWish::Never,
    }
}

/// True when the locale promises nothing beyond ASCII.
pub(super) fn is_ascii() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
    !locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

/// The streams of this process, and its viewers, as an audience of a run.
pub(super) struct Screen<'a> {
    listener: Option<Box<dyn Listener + 'a>>,
    viewers: Option<&'a Viewers>,
    advice: Advice,
    clock: Arc<dyn Clock>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(
        app: &'a mut App,
        output: Output,
        folder: PathBuf,
        viewers: Option<&'a Viewers>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let advice = Advice { program: program(app), folder, can_be_resumed: true };
        let bars = match output {
            Output::Auto => app.io.is_terminal,
            Output::Bars => true,
            _ => false,
        };
        let listener: Option<Box<dyn Listener + 'a>> = match output {
            Output::None => None,
            Output::Json => Some(Box::new(Json::new(Flushed(&mut app.io.out)))),
            _ if bars => {
                let look = Look::detect(wish(app), is_ascii(), app.io.is_terminal, env);
                Some(Box::new(Bars::new(ProgressDrawTarget::stdout(), look, app.io.width)))
            }
            _ => Some(Box::new(Plain::new(Flushed(&mut app.io.out)))),
        };
        Self { listener, viewers, advice, clock }
    }

    /// The same for runs that no other command can take up.
    pub(super) fn never_resumed(mut self) -> Self {
        self.advice.can_be_resumed = false;
        self
    }

    /// From now on it is about the run of this folder.
    pub(super) fn now_about(&mut self, folder: PathBuf) {
        self.advice.folder = folder;
    }

    /// Shows something that is no event of the run.
    pub(super) fn remark(&mut self, at: Timestamp, word: &'static str, text: &str) {
        if let Some(listener) = &mut self.listener {
            listener.remark(at, word, text);
        }
    }

    /// Says what came of the run.
    pub(super) fn finish(&mut self, state: &RunState) {
        if let Some(listener) = &mut self.listener {
            listener.finish(state, &self.advice);
        }
    }
}

impl Audience for Screen<'_> {
    fn event(&mut self, event: &Arc<Event>, state: &RunState) {
        if let Some(viewers) = self.viewers {
            viewers.publish(event);
        }
        if let Some(listener) = &mut self.listener {
            listener.event(event, state);
        }
    }

    fn tick(&mut self, state: &RunState) {
        if let Some(listener) = &mut self.listener {
            listener.tick(self.clock.now(), state);
        }
    }

    fn not_an_answer(&mut self, state: &RunState) {
        if let Some(prompt) = state.open_prompts().next() {
            // Beside the question, on the stream that is a terminal whenever somebody can type.
            drop(writeln!(std::io::stderr(), "that is no answer: {}", choices(prompt)));
        }
    }
}

/// How the program was started, as far as other commands need it too.
pub(super) fn program(app: &App) -> String {
    let mut words = vec!["changeover".to_owned()];
    for (option, value) in [("--estate", &app.global.estate), ("--state-dir", &app.global.state_dir)] {
        if let Some(value) = value {
            words.push(option.to_owned());
            words.push(value.display().to_string());
        }
    }
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// Lines that whoever reads them must have at once.
pub(super) struct Flushed<W>(pub(super) W);

impl<W: Write> Write for Flushed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
