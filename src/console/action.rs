//! The one table of what can be done: from it come keys, help, palette and the hints at the lower edge.

use std::fmt;

use super::pane::Pane;
use super::state::Badge;

/// Where an action can be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// On every screen.
    Everywhere,
    /// In one pane.
    In(Pane),
}

impl Where {
    /// True when both can be meant at the same place.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::In(a), Self::In(b)) => a == b,
            _ => true,
        }
    }
}

/// How hard an action is to do by accident, as in the guard ladder: 0 looks, 1 wants a `y`, 2 and more a typed phrase.
pub type Level = u8;

/// Something that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table below says what each of them is, in the words that the user sees")]
pub enum Action {
    Help,
    Palette,
    Quit,
    QuitKeep,
    Suspend,
    NextPane,
    PreviousPane,
    Pane1,
    Pane2,
    Pane3,
    Pane4,
    Pane5,
    Pane6,
    Zoom,
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Left,
    Right,
    Open,
    Back,
    Refresh,
    Redraw,
    Search,
    SearchNext,
    SearchPrevious,
    Copy,
    Freeze,
    Picture,
    Theme,
    Mouse,
    Privacy,
    Tour,
    TourOff,
    Story,
    Note,
    Answer,
    PlanRunbook,
    StartRunbook,
    Why,
    CancelRun,
    PauseRun,
    ContinueRun,
    ResumeRun,
    RetryStep,
    SkipStep,
    Detach,
    Replay,
    ReplayFaster,
    ReplaySlower,
    ReplayBack,
    ReplayOn,
    Follow,
    Wrap,
    Times,
    NextError,
    Output,
    AllSteps,
    HostFilter,
    SaveLog,
    SaveAll,
    CopyLog,
}

/// What an action takes after its name in the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// A theme.
    Theme,
    /// A host that what the log shows runs on, or `all`.
    Host,
    /// A runbook, and parameters of it as `name=value`.
    Runbook,
    /// A run of the list.
    Run,
    /// A site.
    Site,
    /// How many times as fast as it was.
    Speed,
}

impl Takes {
    /// What it is called.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Theme => "theme",
            Self::Host => "host",
            Self::Runbook => "runbook",
            Self::Run => "run",
            Self::Site => "site",
            Self::Speed => "speed",
        }
    }
}

/// The argument of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// What it is.
    pub takes: Takes,
    /// True when the action is nothing without it.
    pub needed: bool,
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.takes.word().to_uppercase();
        if self.needed { f.write_str(&word) } else { write!(f, "[{word}]") }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What.
    pub action: Action,
    /// Its name in the palette and in the file of keys.
    pub name: &'static str,
    /// Where it can be meant.
    pub scope: Where,
    /// The usual keys.
    pub keys: &'static [&'static str],
    /// What it does, in a few words.
    pub help: &'static str,
    /// What it takes after its name in the palette.
    pub argument: Option<Argument>,
    /// How it is guarded.
    pub level: Level,
    /// True for what is there in the simulated world only.
    pub demo: bool,
}

const fn entry(
    action: Action,
    name: &'static str,
    scope: Where,
    keys: &'static [&'static str],
    help: &'static str,
) -> Entry {
    Entry { action, name, scope, keys, help, argument: None, level: 0, demo: false }
}

const fn guarded(level: Level, entry: Entry) -> Entry {
    Entry { level, ..entry }
}

const fn in_demo(entry: Entry) -> Entry {
    Entry { demo: true, ..entry }
}

const fn with(takes: Takes, entry: Entry) -> Entry {
    Entry { argument: Some(Argument { takes, needed: true }), ..entry }
}

const fn may(takes: Takes, entry: Entry) -> Entry {
    Entry { argument: Some(Argument { takes, needed: false }), ..entry }
}

use Action as A;
use Where::{Everywhere, In};

/// Everything that can be done.
pub const ACTIONS: &[Entry] = &[
    entry(A::Help, "help", Everywhere, &["?", "f1"], "what can be done here"),
    entry(A::Palette, "palette", Everywhere, &[":", "ctrl-p"], "find an action by name"),
    entry(A::Answer, "answer", Everywhere, &["a"], "answer the question that waits"),
    entry(A::Quit, "quit", Everywhere, &["q"], "leave the screen; a run goes on"),
    entry(A::QuitKeep, "quit-keep", Everywhere, &["Q"], "leave, and leave the last screen printed"),
    entry(A::Suspend, "suspend", Everywhere, &[], "back to the shell for a moment (ctrl-z)"),
    entry(A::NextPane, "next-pane", Everywhere, &["tab"], "next pane"),
    entry(A::PreviousPane, "previous-pane", Everywhere, &["shift-tab"], "pane before"),
    may(Takes::Site, entry(A::Pane1, "sites", Everywhere, &["1"], "both sites")),
    entry(A::Pane2, "runbooks", Everywhere, &["2"], "runbooks"),
    entry(A::Pane3, "run", Everywhere, &["3"], "the run"),
    entry(A::Pane4, "log", Everywhere, &["4"], "its log"),
    may(Takes::Run, entry(A::Pane5, "runs", Everywhere, &["5"], "past runs, or one of them")),
    entry(A::Pane6, "points", Everywhere, &["6"], "restore points"),
    entry(A::Zoom, "zoom", Everywhere, &["z", "+"], "this pane alone, and back"),
    entry(A::Up, "up", Everywhere, &["k", "up"], "up"),
    entry(A::Down, "down", Everywhere, &["j", "down"], "down"),
    entry(A::PageUp, "page-up", Everywhere, &["pgup"], "a page up"),
    entry(A::PageDown, "page-down", Everywhere, &["pgdn", "space"], "a page down"),
    entry(A::HalfUp, "half-up", Everywhere, &["ctrl-u"], "half a page up"),
    entry(A::HalfDown, "half-down", Everywhere, &["ctrl-d"], "half a page down"),
    entry(A::Top, "top", Everywhere, &["g g", "home"], "to the beginning"),
    entry(A::Bottom, "bottom", Everywhere, &["G", "end"], "to the end"),
    entry(A::Left, "left", Everywhere, &["h", "left"], "left"),
    entry(A::Right, "right", Everywhere, &["l", "right"], "right"),
    entry(A::Open, "open", Everywhere, &["enter"], "look at what is selected"),
    entry(A::Back, "back", Everywhere, &["esc"], "back one level"),
    entry(A::Refresh, "refresh", Everywhere, &["r"], "read everything anew"),
    entry(A::Redraw, "redraw", Everywhere, &["ctrl-l"], "draw everything anew"),
    may(Takes::Text, entry(A::Search, "search", Everywhere, &["/"], "search or filter this pane")),
    entry(A::SearchNext, "search-next", Everywhere, &["n"], "next match"),
    entry(A::SearchPrevious, "search-previous", Everywhere, &["N"], "match before"),
    entry(A::Copy, "copy", Everywhere, &["y"], "copy what is selected"),
    entry(A::Freeze, "freeze", Everywhere, &["F"], "hold the picture still; data are kept"),
    // Without a key: no stray one leaves files behind.
    entry(A::Picture, "picture", Everywhere, &[], "save the screen as an SVG picture"),
    with(Takes::Theme, entry(A::Theme, "theme", Everywhere, &[], "another theme")),
    entry(A::Mouse, "mouse", Everywhere, &[], "mouse on or off"),
    entry(A::Privacy, "privacy", Everywhere, &[], "hide addresses, for a shared screen"),
    in_demo(entry(A::Tour, "tour", Everywhere, &[], "the guided tour, from its beginning")),
    in_demo(entry(A::TourOff, "tour-off", Everywhere, &["T"], "end the guided tour")),
    in_demo(entry(A::Story, "story", Everywhere, &[], "the briefing, or the card at its end")),
    in_demo(with(Takes::Text, entry(A::Note, "note", Everywhere, &[], "say what you have noticed"))),
    may(
        Takes::Runbook,
        entry(A::PlanRunbook, "plan", In(Pane::Runbooks), &["p"], "what it would do, read from both sites"),
    ),
    guarded(
        1,
        may(Takes::Runbook, entry(A::StartRunbook, "start", In(Pane::Runbooks), &["s"], "start it; asks first")),
    ),
    entry(A::Why, "why", In(Pane::Run), &["w"], "why is this not running?"),
    guarded(1, entry(A::CancelRun, "cancel-run", In(Pane::Run), &["x"], "stop the run; asks first")),
    // Both ask, although a pause can be taken back: the late answer of a terminal to `ESC [ c` ends in the letter c, a run
    // that a stray p has paused stands still until somebody looks, and going on begins steps that somebody held back.
    guarded(1, entry(A::PauseRun, "pause-run", In(Pane::Run), &["p"], "start nothing new; asks first")),
    guarded(1, entry(A::ContinueRun, "continue-run", In(Pane::Run), &["c"], "go on after a pause; asks first")),
    guarded(1, entry(A::ResumeRun, "resume-run", In(Pane::Run), &["R"], "take it up again; asks first")),
    guarded(1, entry(A::RetryStep, "retry", In(Pane::Run), &["t"], "try what is selected again; asks first")),
    guarded(1, entry(A::SkipStep, "skip", In(Pane::Run), &["s"], "leave it out, with a reason; asks first")),
    entry(A::Detach, "detach", In(Pane::Run), &["d"], "look away; the run goes on"),
    may(Takes::Speed, entry(A::Replay, "replay", In(Pane::Run), &["v"], "play a run of the past again")),
    entry(A::ReplayFaster, "replay-faster", In(Pane::Run), &[">"], "replay faster"),
    entry(A::ReplaySlower, "replay-slower", In(Pane::Run), &["<"], "replay slower"),
    entry(A::ReplayBack, "replay-back", In(Pane::Run), &["["], "replay: back"),
    entry(A::ReplayOn, "replay-on", In(Pane::Run), &["]"], "replay: on"),
    entry(A::Follow, "follow", In(Pane::Log), &["f"], "follow the end"),
    entry(A::Wrap, "wrap", In(Pane::Log), &["w"], "wrap long lines"),
    entry(A::Times, "times", In(Pane::Log), &["t"], "times of lines"),
    entry(A::NextError, "next-error", In(Pane::Log), &["e"], "next line that looks like an error"),
    entry(A::Output, "output", In(Pane::Log), &["o"], "what steps print, or what they say"),
    entry(A::AllSteps, "all-steps", In(Pane::Log), &["A"], "all steps, or the selected one"),
    with(Takes::Host, entry(A::HostFilter, "host", In(Pane::Log), &["H"], "only one host")),
    entry(A::SaveLog, "save-log", In(Pane::Log), &["S"], "write what is shown here to a file"),
    entry(A::SaveAll, "save-all", In(Pane::Log), &[], "copy all that was printed to a folder"),
    entry(A::CopyLog, "copy-log", In(Pane::Log), &["C"], "copy the lines in sight"),
];

/// The line of an action.
#[must_use]
pub fn of(action: Action) -> &'static Entry {
    // The test below holds the table to having each of them.
    ACTIONS.iter().find(|entry| entry.action == action).unwrap_or(&ACTIONS[0])
}

impl Action {
    /// The pane that it jumps to.
    #[must_use]
    pub fn pane(self) -> Option<Pane> {
        Some(match self {
            Self::Pane1 => Pane::Sites,
            Self::Pane2 => Pane::Runbooks,
            Self::Pane3 => Pane::Run,
            Self::Pane4 => Pane::Log,
            Self::Pane5 => Pane::Runs,
            Self::Pane6 => Pane::Points,
            _ => return None,
        })
    }

    /// True when it is there in this kind of world.
    #[must_use]
    pub fn is_there(self, badge: Badge) -> bool {
        badge == Badge::Simulated || !of(self).demo
    }

    /// True when it can be meant in a pane.
    #[must_use]
    pub fn is_in(self, pane: Pane) -> bool {
        of(self).scope.meets(In(pane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_action_has_one_line_and_one_name() {
        let actions: BTreeSet<Action> = ACTIONS.iter().map(|entry| entry.action).collect();
        let names: BTreeSet<&str> = ACTIONS.iter().map(|entry| entry.name).collect();
        assert_eq!((actions.len(), names.len()), (ACTIONS.len(), ACTIONS.len()));
        assert_eq!(ACTIONS.len(), A::CopyLog as usize + 1, "an action is missing in the table");
    }

    #[test]
    fn no_single_key_does_more_than_open_a_question() {
        // Of a guarded action the key only opens a dialog, see `update`; there is none above level 1 among the keys.
        for entry in ACTIONS {
            assert!(entry.level <= 1, "{} cannot be on a key", entry.name);
        }
    }
}
