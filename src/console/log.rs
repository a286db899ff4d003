//! The log of a run: what its steps say, kept in the run's events, and what they print, kept in files. Files are never
//! held in memory: the screen asks for the lines in sight.

use std::path::PathBuf;

use super::line::Line;
use super::run_view::RunView;
use crate::model::{HostName, RunId, SafeText, StageId, StepKey, Tint, UnitKey};
use crate::run::EventKind;

/// More lines than any file has: whoever scrolls so far up wants the beginning.
const FAR: u64 = 1 << 60;

/// What the pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMode {
    /// What steps say about themselves.
    Said,
    /// What they print.
    Output,
}

/// A file of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The folder of the run.
    pub run: RunId,
    /// Whose.
    pub unit: UnitKey,
    /// Of which attempt.
    pub attempt: u32,
}

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// The steps of a stage.
    Stage(StageId),
    /// A step, wherever it runs.
    Step(StepKey),
}

impl Part {
    /// True when a step belongs to it.
    #[must_use]
    pub fn has(&self, step: &StepKey) -> bool {
        match self {
            Self::All => true,
            Self::Stage(stage) => step.stage == *stage,
            Self::Step(one) => step == one,
        }
    }
}

/// What of the output of a run is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// One file, to its last byte.
    One(LogFile),
    /// The files of several units, or of several attempts, in the order in which it came.
    Several(Several),
}

/// Several files of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several {
    /// The folder of the run.
    pub run: RunId,
    /// Of which steps.
    pub part: Part,
    /// Only of this host.
    pub host: Option<HostName>,
}

impl LogSource {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        match self {
            Self::One(file) => &file.run,
            Self::Several(several) => &several.run,
        }
    }

    /// True when what this attempt prints is part of it.
    #[must_use]
    pub fn includes(&self, unit: &UnitKey, attempt: u32) -> bool {
        match self {
            Self::One(file) => file.unit == *unit && file.attempt == attempt,
            Self::Several(Several { part, host, .. }) => {
                part.has(&unit.step) && host.as_ref().is_none_or(|host| unit.host.as_ref() == Some(host))
            }
        }
    }
}

/// A line that was printed.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// When it came here, when that is known.
    pub at: Option<jiff::Timestamp>,
    /// The unit and the attempt that printed it.
    pub by: Option<(UnitKey, u32)>,
    /// The line.
    pub text: SafeText,
    /// The looks that were asked for, as in [`TintedLine`](crate::model::TintedLine).
    pub tints: Vec<(usize, Tint)>,
}

impl From<SafeText> for LogLine {
    /// A line of which nothing else is known.
    fn from(text: SafeText) -> Self {
        Self { at: None, by: None, text, tints: Vec::new() }
    }
}

/// Lines that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRequest {
    /// Of which file.
    pub source: LogSource,
    /// From which line on, counted from 0; nothing means the last ones.
    pub from: Option<u64>,
    /// How many.
    pub count: u16,
    /// A line to be looked for first; the answer begins there.
    pub find: Option<Find>,
}

/// What is looked for in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// The text, compared without regard to case; nothing means whatever looks like an error.
    pub text: Option<String>,
    /// The line to begin after (or before, when going back).
    pub from: u64,
    /// True to look towards the beginning.
    pub back: bool,
}

/// Lines of a file, as far as they are in sight.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lines {
    /// Of which file; nothing for none at all.
    pub source: Option<LogSource>,
    /// The number of the first of them. Of the last lines it is not known while `counted` is false: then this counts
    /// from the end.
    pub first: u64,
    /// How many lines the file has, as far as it was read.
    pub total: u64,
    /// True when the whole file was read, so that `total` is all.
    pub counted: bool,
    /// How many bytes the file has.
    pub bytes: u64,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Whether what was looked for is there; nothing when nothing was looked for.
    pub found: Option<bool>,
    /// Why the file cannot be read.
    pub trouble: Option<SafeText>,
}

/// One line in sight.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The time, when it is known.
    pub at: Option<jiff::Timestamp>,
    /// Who says it: a step, with its host.
    pub who: SafeText,
    /// What.
    pub text: SafeText,
    /// What it means.
    pub scope: crate::style::Scope,
}

/// The pane.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is switched on its own")]
pub struct LogView {
    /// What it shows.
    pub mode: LogMode,
    /// All steps, and not only what is selected in the run.
    pub all: bool,
    /// Only this host.
    pub host: Option<HostName>,
    /// True while the end is kept in sight.
    pub follow: bool,
    /// Wrap long lines.
    pub wrap: bool,
    /// Show times.
    pub times: bool,
    /// The first line in sight.
    pub top: u64,
    /// Columns that are out of sight on the left.
    pub left: u16,
    /// Lines that came since the end was let go of.
    pub unseen: u64,
    /// What was searched for.
    pub search: Option<String>,
    /// The search that is being typed.
    pub typing: Option<Line>,
    /// What was read of a file.
    pub lines: Lines,
    /// Which events say something that passes the filter.
    said: Vec<u32>,
    /// The filter and the run that `said` is for, and how many events were looked at.
    said_for: (Part, Option<HostName>, Option<RunId>, usize),
    /// How many lines fit; told by the view's geometry.
    pub height: u16,
    /// The file that was asked for last.
    asked: Option<LogSource>,
    /// How many lines above the end are wanted, while nobody knows yet which number the last line has.
    above: Option<u64>,
    /// Where the search that goes on began, and whether it goes back.
    looking: Option<(u64, bool)>,
}

/// What came of lines that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// They are shown.
    Shown,
    /// It is known now where the lines in sight are: they must be asked for.
    AskAgain,
    /// What was searched for is not there.
    NotFound,
    /// It was found beyond the end, where the search began anew at the other one.
    OnceAround,
    /// They are of a file that is not looked at any more.
    Late,
}

impl Default for LogView {
    fn default() -> Self {
        Self {
            mode: LogMode::Said,
            all: true,
            host: None,
            follow: true,
            wrap: false,
            times: true,
            top: 0,
            left: 0,
            unseen: 0,
            search: None,
            typing: None,
            lines: Lines::default(),
            said: Vec::new(),
            said_for: (Part::All, None, None, 0),
            height: 10,
            asked: None,
            above: None,
            looking: None,
        }
    }
}

impl LogView {
    /// How many lines there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        match self.mode {
            LogMode::Said => self.said.len() as u64,
            LogMode::Output => self.lines.total,
        }
    }

    /// Looks at the events that have come, and keeps those that say something that passes the filter.
    pub fn take_in(&mut self, run: Option<&RunView>, part: Part) {
        let id = run.map(|run| run.id.clone());
        let events = run.map_or(&[][..], |run| run.seen());
        let same = self.said_for.0 == part && self.said_for.1 == self.host && self.said_for.2 == id;
        if !same || self.said_for.3 > events.len() {
            self.said.clear();
            self.said_for = (part, self.host.clone(), id, 0);
            self.unseen = 0;
        }
        let before = self.said.len();
        for (number, event) in events.iter().enumerate().skip(self.said_for.3) {
            if self.passes(&event.kind) {
                self.said.extend(u32::try_from(number));
            }
        }
        self.said_for.3 = events.len();
        if self.mode == LogMode::Said {
            if self.follow {
                self.to_end();
            } else {
                self.unseen += (self.said.len() - before) as u64;
            }
        }
    }

    fn passes(&self, kind: &EventKind) -> bool {
        let unit = match kind {
            EventKind::UnitStarted { unit, .. }
            | EventKind::UnitSaid { unit, .. }
            | EventKind::UnitEnded { unit, .. }
            | EventKind::UnitUndone { unit, .. } => Some(unit),
            EventKind::PromptOpened { prompt } => Some(&prompt.unit),
            EventKind::UnitProgress { .. } | EventKind::JobBegun { .. } | EventKind::Newer => return false,
            _ => None,
        };
        let of_stage = |one: &StageId| match kind {
            EventKind::StageStarted { stage } | EventKind::StageEnded { stage, .. } => stage == one,
            _ => false,
        };
        let step = match &self.said_for.0 {
            Part::All => true,
            Part::Stage(stage) if of_stage(stage) => true,
            part => unit.is_some_and(|unit| part.has(&unit.step)),
        };
        let host = self.host.as_ref().is_none_or(|host| unit.is_some_and(|unit| unit.host.as_ref() == Some(host)));
        step && host
    }

    /// The part of the run whose events are shown.
    #[must_use]
    pub fn said_by(&self) -> &Part {
        &self.said_for.0
    }

    /// The events in sight.
    #[must_use]
    pub fn in_sight(&self) -> &[u32] {
        let from = usize::try_from(self.top).unwrap_or(usize::MAX).min(self.said.len());
        let to = (from + usize::from(self.height)).min(self.said.len());
        &self.said[from..to]
    }

    /// The numbers, among the lines, of all events that pass.
    #[must_use]
    pub fn said(&self) -> &[u32] {
        &self.said
    }

    /// Puts the end in sight.
    pub fn to_end(&mut self) {
        self.top = self.total().saturating_sub(u64::from(self.height));
        self.unseen = 0;
    }

    /// Scrolls; going up lets the end go, coming to the end takes it up again.
    pub fn scroll(&mut self, by: i64) {
        if self.mode == LogMode::Output && !self.lines.counted && (self.follow || self.above.is_some()) {
            return self.scroll_uncounted(by);
        }
        let last = self.total().saturating_sub(u64::from(self.height));
        if by < 0 {
            self.top = self.top.saturating_sub(by.unsigned_abs());
            self.follow = false;
            return;
        }
        // What was found may stand below the last full page: going down never goes up.
        self.top = self.top.saturating_add(by.unsigned_abs()).min(last.max(self.top));
        if self.top >= last && (self.mode == LogMode::Said || self.lines.counted) {
            self.follow = true;
            self.unseen = 0;
        }
    }

    /// Scrolls from the end of a file whose lines are not counted: the way is remembered until they are. To the
    /// beginning no counting is needed.
    fn scroll_uncounted(&mut self, by: i64) {
        let above = self.above.unwrap_or(0);
        let above =
            if by < 0 { above.saturating_add(by.unsigned_abs()) } else { above.saturating_sub(by.unsigned_abs()) };
        self.follow = above == 0;
        self.top = 0;
        self.above = (above > 0 && above < FAR).then_some(above);
    }

    /// The request for the lines in sight of a file.
    #[must_use]
    pub fn request(&self, source: LogSource) -> LineRequest {
        let from = if self.follow || self.above.is_some() { None } else { Some(self.top) };
        LineRequest { source, from, count: self.height.max(1), find: None }
    }

    /// The file that was asked for last.
    #[must_use]
    pub fn asked(&self) -> Option<&LogSource> {
        self.asked.as_ref()
    }

    /// Looks at a file, or at none. Another file than before is looked at from its end.
    pub fn look_at(&mut self, source: Option<LogSource>) -> Option<LineRequest> {
        self.looking = None;
        if self.asked != source {
            self.asked.clone_from(&source);
            self.lines = Lines::default();
            self.above = None;
            if self.mode == LogMode::Output {
                self.follow = true;
                (self.top, self.left, self.unseen) = (0, 0, 0);
            }
        }
        source.map(|source| self.request(source))
    }

    /// The request for the next line with a text, or that looks like an error.
    pub fn look_for(&mut self, source: LogSource, text: Option<String>, back: bool) -> Option<LineRequest> {
        let mut request = self.look_at(Some(source))?;
        // From an end whose number nobody knows yet.
        let unknown = !self.lines.counted && request.from.is_none();
        let from = if unknown { u64::MAX } else { self.top };
        self.looking = Some((from, back));
        request.find = Some(Find { text, from, back });
        Some(request)
    }

    /// Takes lines that were asked for.
    pub fn receive(&mut self, lines: Lines) -> Received {
        if lines.source != self.asked && lines.source.is_some() {
            return Received::Late;
        }
        let before = std::mem::replace(&mut self.lines, lines);
        let lines = &self.lines;
        let last = lines.total.saturating_sub(u64::from(self.height));
        if lines.found == Some(true) {
            let (from, back) = self.looking.take().unwrap_or((u64::MAX, true));
            self.follow = false;
            self.above = None;
            self.top = lines.first;
            let around = from != u64::MAX && if back { self.top >= from } else { self.top <= from };
            return if around { Received::OnceAround } else { Received::Shown };
        }
        if self.follow {
            self.top = if lines.counted { last } else { 0 };
            self.unseen = 0;
        } else if lines.counted {
            if before.counted && before.source == lines.source {
                self.unseen += lines.total.saturating_sub(before.total);
            }
            self.top = self.top.min(lines.total.saturating_sub(1));
            if let Some(above) = self.above.take() {
                self.top = last.saturating_sub(above);
                return Received::AskAgain;
            }
        }
        if lines.found == Some(false) {
            self.looking = None;
            return Received::NotFound;
        }
        Received::Shown
    }
}

/// The usual name of a file that a log is written to.
#[must_use]
pub fn file_name(run: &RunId) -> PathBuf {
    PathBuf::from(format!("changeover-{run}.log"))
}

/// The usual name of a file that what was printed is copied to.
#[must_use]
pub fn output_name(file: &LogFile) -> PathBuf {
    PathBuf::from(format!("changeover-{}-{}.{}.log", file.run, file.unit.file_stem(), file.attempt))
}

/// The usual name of a folder that everything that was printed is copied to.
#[must_use]
pub fn folder_name(run: &RunId) -> PathBuf {
    PathBuf::from(format!("changeover-{run}-printed"))
}

#[cfg(test)]
mod tests;
