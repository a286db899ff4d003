//! What the screen stands on: somebody who tells it of the world, and who does what it orders. There are two: the real
//! world, and the demo's.

use tokio::sync::mpsc;

use crate::console::dialog::StartRequest;
use crate::console::story::StoryOrder;
use crate::console::{Msg, Settings};
use crate::journal::Store;
use crate::model::{RunId, SafeText};

/// What the screen orders.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Order {
    /// Read everything anew.
    Refresh,
    /// Say what a runbook would do.
    Plan(StartRequest),
    /// Begin a run.
    Start(StartRequest),
    /// Take a run up again.
    Resume(RunId),
    /// Something of a story; only the demo has one.
    Story(StoryOrder),
}

/// The world as the screen knows it.
pub(in crate::cli) struct Ground {
    /// What it tells.
    pub(in crate::cli) tells: mpsc::UnboundedReceiver<Msg>,
    /// Where orders go.
    pub(in crate::cli) orders: mpsc::UnboundedSender<Order>,
    /// The record of runs.
    pub(in crate::cli) store: Store,
    /// True when the world has a time of its own, and tells it; otherwise the machine's is taken.
    pub(in crate::cli) own_time: bool,
    /// The themes.
    pub(in crate::cli) themes: Themes,
    /// The user's configuration.
    pub(in crate::cli) preferences: Preferences,
}

/// Reads what the user prefers, or says why that cannot be used.
pub(in crate::cli) type ReadSettings = Box<dyn Fn() -> Result<Settings, SafeText> + Send>;

/// The user's configuration, read anew when its file has changed.
pub(in crate::cli) struct Preferences {
    /// Reads it.
    pub(in crate::cli) read: ReadSettings,
    /// Its file.
    pub(in crate::cli) file: Option<std::path::PathBuf>,
}

impl Preferences {
    /// When its file was written last, and how long it is; nothing when there is none.
    pub(in crate::cli) fn written(&self) -> Option<(std::time::SystemTime, u64)> {
        let facts = std::fs::metadata(self.file.as_ref()?).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    }
}

/// Reads a theme by name, or says why it cannot be used.
pub(in crate::cli) type ReadTheme = Box<dyn Fn(&str) -> Result<crate::style::Theme, String> + Send>;

/// The themes that there are.
pub(in crate::cli) struct Themes {
    /// Reads one by name.
    pub(in crate::cli) read: ReadTheme,
    /// Where the user's own are; a change there is taken up at once.
    pub(in crate::cli) folder: Option<std::path::PathBuf>,
}

impl Themes {
    /// When the file of a theme was written last; nothing when it is none of the user's own.
    pub(in crate::cli) fn written(&self, name: &str) -> Option<std::time::SystemTime> {
        let path = self.folder.as_ref()?.join(format!("{name}.toml"));
        std::fs::metadata(path).ok()?.modified().ok()
    }
}
