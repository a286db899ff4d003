//! What can happen to the screen, and what it wants done.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::action::Action;
use super::dialog::{Purpose, StartRequest};
use super::facts::{DirectionFacts, PlanShown, RunRow, RunbookFacts};
use super::log::{LineRequest, Lines, LogFile};
use super::state::Settings;
use super::story::{StoryNews, StoryOrder};
use crate::health::Observation;
use crate::model::{RunId, SafeText};
use crate::run::{Event, RunCommand};

/// One key press that every terminal can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which.
    pub code: KeyCode,
    /// With the control key.
    pub ctrl: bool,
    /// With shift, where that makes a key of its own.
    pub shift: bool,
}

/// A key of the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names of the keys")]
pub enum KeyCode {
    Char(char),
    F(u8),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

/// Something happened.
#[derive(Debug, Clone)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted. It never acts: it is put into a field that has the focus, or it is dropped.
    Paste(String),
    /// An action was named, where it is not chosen by a key: by a typed command.
    Act(Action),
    /// A plan was asked for by a typed command: the runbook, its parameters by name, and what for.
    Ask(String, Vec<(String, String)>, Purpose),
    /// A whole line was typed for the open question. Whoever tells this has made sure that it was typed, and not pasted.
    Line(String),
    /// A click, or the wheel (`wheel` lines down; 0 for a click).
    Mouse {
        /// The column.
        column: u16,
        /// The row.
        row: u16,
        /// Lines down, or up when negative.
        wheel: i8,
    },
    /// The terminal has this size now.
    Resize(u16, u16),
    /// It is so late.
    Tick(Timestamp),
    /// It is so late for the person at the keyboard, where the world has a time of its own.
    Wall(Timestamp),
    /// A probe looked.
    Health(Box<Observation>),
    /// Which way the estate goes.
    Direction(Box<DirectionFacts>),
    /// The runbooks there are.
    Runbooks(Vec<RunbookFacts>),
    /// The runs there are, newest first.
    Runs(Vec<RunRow>),
    /// What a runbook would do, or why that cannot be said.
    Planned(Box<PlanShown>),
    /// A run was begun or taken up and is attached to from now on, or why not.
    Started(Result<RunId, SafeText>),
    /// A run was opened: everything so far, and whether its process lives.
    Opened {
        /// Which.
        run: RunId,
        /// Its history.
        events: Vec<Arc<Event>>,
        /// True when more will come.
        live: bool,
    },
    /// A run could not be opened.
    NotOpened(RunId, SafeText),
    /// The live run that is attached told this.
    Event(RunId, Arc<Event>),
    /// No more events come from the live run, and why when that is not in order.
    Ended(RunId, Option<SafeText>),
    /// Lines of a log that were asked for.
    Lines(Box<Lines>),
    /// The theme was read anew.
    Theme(Box<crate::style::Theme>),
    /// The user's configuration was read anew.
    Configured {
        /// What it says now.
        settings: Box<Settings>,
        /// What it said before.
        before: Box<Settings>,
    },
    /// The user's configuration has changed and cannot be used: what is wrong, with its place.
    NotConfigured(SafeText),
    /// The simulated world is ready for somebody who has never seen it.
    Tour,
    /// Something of a story in the simulated world.
    Story(StoryNews),
    /// Something to be told, good or bad.
    Told {
        /// What.
        text: SafeText,
        /// True when it is bad.
        bad: bool,
    },
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Leave; print the last screen when asked to.
    Quit {
        /// Print the last screen.
        keep: bool,
    },
    /// Give the terminal back for a moment.
    Suspend,
    /// Draw everything anew, whatever the terminal is thought to show.
    Redraw,
    /// Read everything anew.
    Refresh,
    /// Say what a runbook would do.
    Plan(StartRequest),
    /// Begin a run, in a process of its own.
    Start(StartRequest),
    /// Take a run up again, in a process of its own.
    Resume(RunId),
    /// Something of a story in the simulated world.
    Story(StoryOrder),
    /// Look at a run: attach to a live one, read one of the past.
    Open(RunId),
    /// Do not look at a run any more.
    Detach,
    /// Give the attached run a command.
    Command(RunCommand),
    /// Bring these lines.
    Lines(LineRequest),
    /// Put this on the clipboard, and into a file.
    Copy(SafeText),
    /// Write what was said to a file.
    SaveLog(PathBuf, SafeText),
    /// Copy what was printed, as it is on disk, to a file.
    SaveOutput(PathBuf, LogFile),
    /// Copy everything that a run has printed, as it is on disk, to a new folder.
    SaveOutputs(PathBuf, RunId),
    /// Write a picture of the screen, an SVG text, to a file.
    Picture(PathBuf, String),
    /// Use this theme.
    Theme(String),
    /// Switch the mouse on or off.
    Mouse(bool),
    /// The terminal's title.
    Title(SafeText),
    /// A person is needed: bell and notification.
    Call(SafeText),
}
