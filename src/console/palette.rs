//! The palette: an action by its name, with what it takes.

use super::action::{ACTIONS, Entry};
use super::line::Line;
use super::state::Badge;

/// What is being typed, and which line is selected.
#[derive(Debug, Clone)]
pub struct Palette {
    /// The kind of world: only what is there in it is found.
    pub badge: Badge,
    /// The text.
    pub line: Line,
    /// The selected line among the matches.
    pub selected: usize,
}

impl Palette {
    /// Nothing has been typed yet.
    #[must_use]
    pub fn new(badge: Badge) -> Self {
        Self { badge, line: Line::default(), selected: 0 }
    }

    /// The name and the argument that were typed.
    #[must_use]
    pub fn words(&self) -> (&str, &str) {
        let text = self.line.text().trim_start();
        text.split_once(' ').map_or((text, ""), |(name, rest)| (name, rest.trim()))
    }

    /// The actions whose name or description has the typed letters, the closest first.
    #[must_use]
    pub fn matches(&self) -> Vec<&'static Entry> {
        let (name, _) = self.words();
        let mut found: Vec<(u8, &Entry)> = ACTIONS
            .iter()
            .filter(|entry| entry.action.is_there(self.badge))
            .filter_map(|entry| {
                let rank = if entry.name == name {
                    0
                } else if entry.name.starts_with(name) {
                    1
                } else if entry.name.contains(name) {
                    2
                } else if entry.help.contains(name) {
                    3
                } else {
                    return None;
                };
                Some((rank, entry))
            })
            .collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The selected action.
    #[must_use]
    pub fn chosen(&self) -> Option<&'static Entry> {
        let matches = self.matches();
        matches.get(self.selected.min(matches.len().saturating_sub(1))).copied()
    }

    /// Completes the name of the selected action.
    pub fn complete(&mut self) {
        if let Some(entry) = self.chosen() {
            let (_, argument) = self.words();
            let space = if entry.argument.is_some() { " " } else { "" };
            self.line = Line::of(&format!("{}{space}{argument}", entry.name));
            self.selected = 0;
        }
    }
}
