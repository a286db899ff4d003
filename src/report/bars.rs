//! For a person at a terminal: what runs now in lines that move, what has ended above them in lines that stay.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::pen::{cut, wrap};
use super::words::{Told, progress_words, tell};
use super::{Advice, Listener, ending};
use crate::model::{SafeText, Span, UnitKey};
use crate::run::{Event, EventKind, RunState, UnitState};
use crate::style::{Look, Mark, Scope};

/// The most that a mark and its word take in front of a line.
const LEAD: usize = 13;

/// One moving line for each running unit.
pub struct Bars {
    all: MultiProgress,
    running: BTreeMap<UnitKey, Running>,
    look: Look,
    width: usize,
}

struct Running {
    bar: ProgressBar,
    since: Timestamp,
}

impl Bars {
    /// Draws on `target`, at most `width` cells wide.
    #[must_use]
    pub fn new(target: ProgressDrawTarget, look: Look, width: usize) -> Self {
        Self { all: MultiProgress::with_draw_target(target), running: BTreeMap::new(), look, width: width.max(20) }
    }

    fn begin(&mut self, unit: &UnitKey, since: Timestamp) {
        let bar = self.all.add(ProgressBar::new_spinner().with_style(line_style()));
        self.running.insert(unit.clone(), Running { bar, since });
    }

    fn redraw(&self, unit: &UnitKey, now: Timestamp, state: &RunState) {
        let (Some(running), Some(unit_state)) = (self.running.get(unit), state.units.get(unit)) else { return };
        let elapsed = Duration::try_from(now.duration_since(running.since)).unwrap_or_default();
        let line = moving_line(unit, unit_state, Duration::from_secs(elapsed.as_secs()));
        let room = self.width.saturating_sub(self.look.mark_width(Mark::Run) + 1);
        running.bar.set_message(format!("{} {}", self.look.mark(Mark::Run), cut(&line, room, self.look.ascii)));
    }

    /// A line that stays. A terminal that is gone is the run's least worry.
    fn stay(&self, line: &str) {
        drop(self.all.println(line));
    }

    /// Says news in lines that stay; nothing is cut off here.
    fn say(&self, told: &Told) {
        let mut lines = told.text.as_str().lines();
        let first = [told.about.as_str(), lines.next().unwrap_or_default()];
        let first: Vec<&str> = first.into_iter().filter(|part| !part.is_empty()).collect();
        let room = self.width.saturating_sub(LEAD);
        let mut lead = self.look.mark_as(told.mark, told.word) + " ";
        for line in wrap(&first.join("  "), room) {
            self.stay(&format!("{lead}{line}"));
            "    ".clone_into(&mut lead);
        }
        for line in lines.flat_map(|line| wrap(line, room)) {
            self.stay(&self.look.paint(Scope::Muted, &format!("    {line}")));
        }
    }
}

/// One line that shows its message and nothing else.
fn line_style() -> ProgressStyle {
    // The template is ours and has no mistake; the other style would show the message too.
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// `backup/snapshot@prod  12s  34% (3.4 GiB of 10.0 GiB)  the last thing it said`
fn moving_line(key: &UnitKey, unit: &UnitState, elapsed: Duration) -> String {
    let mut line = format!("{key}  {}", Span(elapsed));
    if let Some((done, total, what)) = &unit.progress {
        line = format!("{line}  {}", progress_words(*done, *total, what));
    }
    let said = unit.said.as_ref().and_then(|said| said.as_str().lines().rfind(|line| !line.trim().is_empty()));
    said.map_or(line.clone(), |said| format!("{line}  {said}"))
}

impl Listener for Bars {
    fn event(&mut self, event: &Event, state: &RunState) {
        match &event.kind {
            EventKind::UnitStarted { unit, .. } => {
                if let Some(before) = self.running.remove(unit) {
                    before.bar.finish_and_clear();
                }
                self.begin(unit, event.at);
                self.redraw(unit, event.at, state);
            }
            EventKind::UnitSaid { unit, .. } | EventKind::UnitProgress { unit, .. } => {
                self.redraw(unit, event.at, state);
            }
            // What the page at the end says.
            EventKind::RunEnded { .. } => {}
            kind => {
                if let EventKind::SessionStarted { .. } = kind {
                    // What the process before left running is not running any more.
                    for (_, running) in std::mem::take(&mut self.running) {
                        running.bar.finish_and_clear();
                    }
                }
                if let EventKind::UnitEnded { unit, .. } = kind
                    && let Some(running) = self.running.remove(unit)
                {
                    running.bar.finish_and_clear();
                    self.all.remove(&running.bar);
                }
                if let Some(told) = tell(event, state) {
                    self.say(&told);
                }
            }
        }
    }

    fn tick(&mut self, now: Timestamp, state: &RunState) {
        for unit in self.running.keys() {
            self.redraw(unit, now, state);
        }
    }

    fn remark(&mut self, _: Timestamp, word: &'static str, text: &str) {
        self.say(&Told { mark: Mark::Note, word, about: String::new(), text: SafeText::block(text) });
    }

    fn finish(&mut self, state: &RunState, advice: &Advice) {
        for (_, running) in std::mem::take(&mut self.running) {
            running.bar.finish_and_clear();
        }
        self.stay("");
        for line in ending(state, advice, self.look, self.width).lines() {
            self.stay(line);
        }
    }
}
