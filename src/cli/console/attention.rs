//! How a person is called: the bell everywhere, and a notification of the desktop where the terminal is known to have one.
//!
//! The terminal is never asked what it is; its name is in the environment. One that is not known gets the bell alone: what
//! a terminal does not know it may print.

use crate::model::SafeText;

/// How a terminal is told to notify. Read in the terminals' own documents: `iterm2.com/documentation-escape-codes`,
/// `codeberg.org/dnkl/foot` (OSC 777), `sw.kovidgoyal.net/kitty/desktop-notifications`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// OSC 9 and the text: iTerm2, `WezTerm`.
    Nine,
    /// OSC 777 with a title and the text: foot, Ghostty, rxvt-unicode, those of VTE.
    Titled,
    /// OSC 99: kitty.
    Kitty,
}

/// The bytes that call a person: `notify` as a notification too, where this terminal has them.
pub(super) fn call(bell: bool, notify: bool, text: &SafeText, env: impl Fn(&str) -> Option<String>) -> String {
    let bell = if bell { "\u{7}" } else { "" };
    // `SafeText` has no control character, so that nothing in it ends the sequence.
    match way(env).filter(|_| notify) {
        Some(Way::Nine) => format!("{bell}\u{1b}]9;{text}\u{7}"),
        Some(Way::Titled) => format!("{bell}\u{1b}]777;notify;changeover;{text}\u{1b}\\"),
        Some(Way::Kitty) => format!("{bell}\u{1b}]99;;changeover: {text}\u{1b}\\"),
        None => bell.to_owned(),
    }
}

fn way(env: impl Fn(&str) -> Option<String>) -> Option<Way> {
    let is = |name: &str, value: &str| env(name).is_some_and(|found| found == value);
    let there = |name: &str| env(name).is_some_and(|found| !found.is_empty());
    let term = env("TERM").unwrap_or_default();
    // A multiplexer stands between: it takes such sequences for itself, and which terminal is behind it is not known.
    if there("TMUX") || there("STY") || term.starts_with("tmux") || term.starts_with("screen") {
        return None;
    }
    if term == "xterm-kitty" || there("KITTY_WINDOW_ID") {
        return Some(Way::Kitty);
    }
    let named = ["foot", "xterm-ghostty", "rxvt-unicode"].iter().any(|name| term.starts_with(name));
    if named || is("TERM_PROGRAM", "ghostty") || (there("VTE_VERSION") && term.starts_with("xterm")) {
        return Some(Way::Titled);
    }
    // `LC_TERMINAL` comes along through ssh, `TERM_PROGRAM` does not.
    let nine = is("TERM_PROGRAM", "iTerm.app") || is("LC_TERMINAL", "iTerm2") || is("TERM_PROGRAM", "WezTerm");
    (nine || term == "wezterm").then_some(Way::Nine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(bell: bool, notify: bool, env: &[(&str, &str)]) -> String {
        let text = SafeText::line("r-1 asks: go on?\u{1b}\\\u{7}");
        call(bell, notify, &text, |name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_terminal_gets_its_own_sequence_and_others_the_bell_alone() {
        let text = SafeText::line("r-1 asks: go on?\u{1b}\\\u{7}");
        assert!(!text.as_str().contains(['\u{1b}', '\u{7}']), "{text:?}");
        let nine = format!("\u{1b}]9;{text}\u{7}");
        let titled = format!("\u{1b}]777;notify;changeover;{text}\u{1b}\\");
        let kitty = format!("\u{1b}]99;;changeover: {text}\u{1b}\\");
        for (env, sequence) in [
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")][..], nine.as_str()),
            (&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")], &nine),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")], &nine),
            (&[("TERM", "foot-extra")], &titled),
            (&[("TERM", "xterm-ghostty")], &titled),
            (&[("TERM", "rxvt-unicode-256color")], &titled),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")], &titled),
            (&[("TERM", "xterm-kitty")], &kitty),
            (&[("TERM", "xterm-256color")], ""),
            (&[("TERM", "linux")], ""),
            (&[("TERM", "dumb")], ""),
            (&[], ""),
            (&[("TERM", "tmux-256color"), ("TMUX", "/tmp/tmux,1,0"), ("LC_TERMINAL", "iTerm2")], ""),
            (&[("TERM", "screen-256color"), ("KITTY_WINDOW_ID", "1")], ""),
        ] {
            assert_eq!(called(false, true, env), sequence, "{env:?}");
            assert_eq!(called(true, true, env), format!("\u{7}{sequence}"), "{env:?}");
            assert_eq!(called(true, false, env), "\u{7}", "{env:?}");
            assert_eq!(called(false, false, env), "", "{env:?}");
        }
    }
}
