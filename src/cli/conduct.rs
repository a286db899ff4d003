//! Carrying a run out in this process: the engine, the signals, the terminal's answers, the viewers, and whoever
//! listens. The run does not depend on any of them: a closed terminal, a gone viewer or a failing listener changes
//! nothing for it.

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::engine::{Engine, EngineError};
use crate::model::CancelReason;
use crate::run::{Answer, Event, Operator, RunCommand, RunState, read_answer};

/// Who listens to a run in this process.
pub trait Audience {
    /// Something happened; the state has it already.
    fn event(&mut self, event: &Arc<Event>, state: &RunState);
    /// A second has passed.
    fn tick(&mut self, state: &RunState);
    /// Somebody typed a line that is no answer to the open question.
    fn not_an_answer(&mut self, state: &RunState);
}

/// What a run in this process is carried out with.
pub struct Conduct {
    /// The engine, ready to go.
    pub engine: Engine,
    /// Where the engine tells events.
    pub events: mpsc::UnboundedReceiver<Arc<Event>>,
    /// Where commands for the engine are given.
    pub commands: mpsc::Sender<RunCommand>,
    /// Where the engine receives them.
    pub received: mpsc::Receiver<RunCommand>,
    /// Who answers at this terminal; nothing when this process has none.
    pub at_terminal: Option<Operator>,
}

/// Carries the run out to its end.
///
/// SIGINT and SIGTERM ask it to stop after the running steps, a second one stops these too. SIGHUP and SIGTSTP are
/// ignored: a closed terminal or Ctrl-Z must not stop a run half way.
///
/// # Errors
/// As [`Engine::run`]; also when signals cannot be handled.
pub async fn conduct(conduct: Conduct, audience: &mut dyn Audience) -> Result<RunState, EngineError> {
    let Conduct { engine, mut events, commands, received, at_terminal } = conduct;
    let mut view = engine.state().clone();
    let mut signals = Signals::install();
    let mut lines = at_terminal.as_ref().map(|_| terminal_lines());
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let running = engine.run(received);
    tokio::pin!(running);
    let result = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => tell(&event, &mut view, audience),
            () = signals.stop() => {
                let command = RunCommand::Cancel { reason: CancelReason::Signal, by: None };
                // A full queue means that many requests wait already.
                drop(commands.try_send(command));
            }
            Some(line) = next_line(&mut lines) => {
                if let Some(command) = at_terminal.as_ref().and_then(|by| command_in(&line, by, &view, audience)) {
                    drop(commands.try_send(command));
                }
            }
            _ = second.tick() => audience.tick(&view),
            result = &mut running => break result,
        }
    };
    while let Ok(event) = events.try_recv() {
        tell(&event, &mut view, audience);
    }
    result
}

fn tell(event: &Arc<Event>, view: &mut RunState, audience: &mut dyn Audience) {
    // The first event of a new run is in the view already.
    if event.seq > view.last_seq
        && let Err(error) = view.apply(event)
    {
        tracing::error!(%error, "the view of the run is wrong");
        return;
    }
    audience.event(event, view);
}

/// What a typed line asks of the run: an answer to its first open question, or nothing. Tells the audience when there is
/// a question and the line does not answer it.
pub(super) fn command_in(
    line: &str,
    by: &Operator,
    view: &RunState,
    audience: &mut dyn Audience,
) -> Option<RunCommand> {
    let prompt = view.open_prompts().next()?;
    let Some((answer, typed)) = read_answer(prompt, line) else {
        audience.not_an_answer(view);
        return None;
    };
    Some(RunCommand::Answer(Answer { prompt: prompt.id, answer, typed, by: by.clone() }))
}

/// Lines typed at the terminal. Read by a thread of its own, because a read of a terminal cannot be given up.
pub(super) fn terminal_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

pub(super) async fn next_line(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(receiver) => {
            let line = receiver.recv().await;
            if line.is_none() {
                *lines = None;
            }
            line
        }
        None => std::future::pending().await,
    }
}

/// The signals of a run's process.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    ignored: Vec<Signal>,
}

impl Signals {
    /// Takes the signals over. One that cannot be taken keeps its usual effect.
    pub(super) fn install() -> Self {
        let take = |kind| signal(kind).ok();
        // SIGTSTP has no name of its own there.
        let stop = SignalKind::from_raw(nix::libc::SIGTSTP);
        Self {
            interrupt: take(SignalKind::interrupt()),
            terminate: take(SignalKind::terminate()),
            ignored: [SignalKind::hangup(), stop].into_iter().filter_map(take).collect(),
        }
    }

    /// Returns when asked to stop.
    pub(super) async fn stop(&mut self) {
        debug_assert!(self.ignored.len() <= 2, "held only so that these signals have no effect");
        tokio::select! {
            () = received(&mut self.interrupt) => {}
            () = received(&mut self.terminate) => {}
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
