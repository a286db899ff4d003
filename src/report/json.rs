//! One event a line, exactly as it is kept: for programs.

use std::io::Write;

use jiff::Timestamp;

use super::pen::Pen;
use super::{Advice, Listener};
use crate::run::{Event, RunState};

/// Writes events, and remarks where there are any; the last event is the run's ending.
pub struct Json<W> {
    pen: Pen<W>,
}

impl<W: Write> Json<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Self { pen: Pen::new(to) }
    }
}

impl<W: Write> Listener for Json<W> {
    fn event(&mut self, event: &Event, _: &RunState) {
        match serde_json::to_string(event) {
            Ok(line) => self.pen.line(&line),
            // An event that is in the journal has a JSON form.
            Err(error) => tracing::error!(%error, seq = event.seq, "an event has no JSON form"),
        }
    }

    fn tick(&mut self, _: Timestamp, _: &RunState) {}

    fn remark(&mut self, at: Timestamp, word: &'static str, text: &str) {
        self.pen.line(&serde_json::json!({ "remark": word, "at": at, "text": text }).to_string());
    }

    fn finish(&mut self, _: &RunState, _: &Advice) {}
}
