//! What a piece of text means: the names that themes give colours to.

/// Declares the scopes once: variant, name in files, and what it is for.
macro_rules! scopes {
    ($($variant:ident $name:literal $about:literal,)*) => {
        /// What a piece of text means.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scope {
            $(#[doc = $about] $variant,)*
        }

        impl Scope {
            /// Every scope, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in theme files. It stays what it is: themes of users depend on it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is shown in it, in one line.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

scopes! {
    Plain "plain" "Ordinary text; its background is that of the whole screen.",
    Muted "muted" "Of lesser interest.",
    Strong "strong" "To be read first.",
    Good "good" "Well.",
    Warn "warn" "To be known.",
    Bad "bad" "Wrong.",
    Unknown "unknown" "Not known. As loud as wrong.",
    Active "active" "Going on.",
    Source "source" "The source site.",
    Target "target" "The target site.",
    SiteA "site_a" "The first site of the estate, whichever way the direction goes.",
    SiteB "site_b" "The second site of the estate, whichever way the direction goes.",
    Border "border" "The frame of a pane.",
    BorderFocus "border_focus" "The frame of the pane that takes the keys.",
    Title "title" "The title of a pane or of a page.",
    Header "header" "The line at the top of every screen, and the heads of columns.",
    Selected "selected" "The line or field that is chosen.",
    Badge "badge" "The badge LIVE.",
    BadgeDrill "badge_drill" "The badge DRILL.",
    BadgeSimulated "badge_simulated" "The badge SIMULATED.",
    BadgeReadOnly "badge_read_only" "The word READ-ONLY beside the badge.",
    Stale "stale" "A figure that is out of date.",
    Key "key" "A key that can be pressed.",
    Hint "hint" "What a key does, and advice.",
    Match "match" "What a search or filter found.",
    Prompt "prompt" "A question that waits for a person.",
    Danger "danger" "What cannot be taken back.",
    Gauge "gauge" "The filled part of a bar, and the line of a graph.",
    Late "late" "What takes longer than usual.",
}

impl Scope {
    /// The scope of a name in a theme file.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        assert_eq!(Scope::ALL.len(), 29);
        for (place, scope) in Scope::ALL.iter().enumerate() {
            assert_eq!(*scope as usize, place, "{scope:?}");
            assert_eq!(Scope::by_name(scope.name()), Some(*scope));
            assert!(scope.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", scope.name());
            assert!(scope.about().ends_with('.'), "{scope:?}");
        }
        assert_eq!(Scope::by_name("Good"), None);
    }
}
