//! The six numbered panes.

/// A pane of the screen. Its number is drawn in its border, and jumps to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    /// The two sites side by side.
    Sites,
    /// What can be carried out.
    Runbooks,
    /// The run that is looked at: its stages and steps.
    Run,
    /// What its steps say and print.
    Log,
    /// Runs of the past.
    Runs,
    /// Restore points.
    Points,
}

impl Pane {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Sites, Self::Runbooks, Self::Run, Self::Log, Self::Runs, Self::Points];

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Sites => 1,
            Self::Runbooks => 2,
            Self::Run => 3,
            Self::Log => 4,
            Self::Runs => 5,
            Self::Points => 6,
        }
    }

    /// The pane of a number.
    #[must_use]
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|pane| pane.number() == number)
    }

    /// Its title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Sites => "Sites",
            Self::Runbooks => "Runbooks",
            Self::Run => "Run",
            Self::Log => "Log",
            Self::Runs => "Runs",
            Self::Points => "Points",
        }
    }

    /// The pane so many numbers further on, round and round.
    #[must_use]
    pub fn step(self, by: i8) -> Self {
        let count = isize::try_from(Self::ALL.len()).unwrap_or(1);
        let index = (isize::from(self.number()) - 1 + isize::from(by)).rem_euclid(count);
        usize::try_from(index).ok().and_then(|index| Self::ALL.get(index).copied()).unwrap_or(self)
    }
}
