//! Lines that are only ever appended: for cron, pipes, screen readers and logs. Words, no glyphs, no colour.

use std::io::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::pen::Pen;
use super::words::{progress_words, tell};
use super::{Advice, Listener, ending};
use crate::model::{SafeText, Span};
use crate::run::{Event, RunState, UnitPhase};
use crate::style::Look;

/// After so much silence it is said what is going on.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(30);
/// How wide the ending may be.
const WIDTH: usize = 80;

/// One line for each thing that happens, with the time in UTC.
pub struct Plain<W> {
    pen: Pen<W>,
    day: Option<Date>,
    /// When something was last said.
    said: Option<Timestamp>,
}

impl<W: Write> Plain<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Self { pen: Pen::new(to), day: None, said: None }
    }

    fn say(&mut self, at: Timestamp, word: &str, text: &str) {
        let time = at.to_zoned(TimeZone::UTC).datetime();
        if self.day != Some(time.date()) {
            self.day = Some(time.date());
            self.pen.line(&format!("{} (times are UTC)", time.date()));
        }
        self.said = Some(at);
        let clock = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
        for (number, line) in text.lines().enumerate() {
            let line =
                if number == 0 { format!("{clock} {word:<7} {line}") } else { format!("{clock} {:<7}   {line}", "") };
            self.pen.line(line.trim_end());
        }
    }
}

impl<W: Write> Listener for Plain<W> {
    fn event(&mut self, event: &Event, state: &RunState) {
        if let Some(told) = tell(event, state) {
            let gap = if told.about.is_empty() || told.text.is_empty() { "" } else { ": " };
            self.say(event.at, told.word, &format!("{}{gap}{}", told.about, told.text));
        }
    }

    fn tick(&mut self, now: Timestamp, state: &RunState) {
        if self.said.is_some_and(|said| now.duration_since(said) < HEARTBEAT) {
            return;
        }
        let silence = self.said.and_then(|said| std::time::Duration::try_from(now.duration_since(said)).ok());
        let silence = silence.map_or_else(String::new, |time| format!(", no news for {}", Span(time)));
        let running = state.units.iter().filter(|(_, unit)| unit.phase == UnitPhase::Running);
        let mut lines: Vec<String> = running
            .map(|(key, unit)| match &unit.progress {
                Some((done, total, what)) => format!("{key}: still running, {}", progress_words(*done, *total, what)),
                None => format!("{key}: still running{silence}"),
            })
            .collect();
        lines.extend(
            state.open_prompts().map(|prompt| format!("{}: waits for an answer: {}", prompt.unit, prompt.message)),
        );
        for line in lines {
            self.say(now, "ALIVE", &line);
        }
    }

    fn remark(&mut self, at: Timestamp, word: &'static str, text: &str) {
        self.say(at, word, SafeText::block(text).as_str());
    }

    fn finish(&mut self, state: &RunState, advice: &Advice) {
        self.pen.line("");
        self.pen.line(ending(state, advice, Look { ascii: true, ..Look::BARE }, WIDTH).trim_end());
    }
}
