//! Keys: how they are written, and which action each of them means here. Only keys that every terminal sends.

use std::collections::BTreeMap;
use std::fmt;

use super::action::{self, ACTIONS, Action};
use super::msg::{Key, KeyCode};

/// One or two keys in a row: `g g`, `ctrl-d`.
pub type Chord = Vec<Key>;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        if self.shift {
            f.write_str("shift-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "f{n}"),
            code => f.write_str(NAMED.iter().find(|(_, named)| *named == code).map_or("?", |(name, _)| name)),
        }
    }
}

const NAMED: [(&str, KeyCode); 13] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
];

/// Reads one key as it is written.
///
/// # Errors
/// A sentence that says what is wrong, and why a key cannot be used.
pub fn parse_key(text: &str) -> Result<Key, String> {
    let mut key = Key { code: KeyCode::Esc, ctrl: false, shift: false };
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("ctrl-") {
            key.ctrl = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("shift-") {
            key.shift = true;
            rest = after;
        } else {
            break;
        }
    }
    let mut chars = rest.chars();
    key.code = match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_graphic() => KeyCode::Char(c),
        _ if rest == "space" => KeyCode::Char(' '),
        (Some('f'), Some(_)) if rest[1..].parse::<u8>().is_ok_and(|n| (1..=12).contains(&n)) => {
            KeyCode::F(rest[1..].parse().unwrap_or(1))
        }
        _ => NAMED.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code).ok_or_else(|| {
            format!("`{}` is no key: write for example `g`, `ctrl-d`, `f1`, `pgdn`", text.escape_debug())
        })?,
    };
    if key.shift && !matches!(key.code, KeyCode::Tab) {
        return Err(format!(
            "`{text}`: of the keys with shift only `shift-tab` arrives everywhere; write a letter large"
        ));
    }
    if key.ctrl {
        match key.code {
            KeyCode::Char('h') => return Err("`ctrl-h` is backspace in many terminals".to_owned()),
            KeyCode::Char('i') => return Err("`ctrl-i` is tab in every terminal".to_owned()),
            KeyCode::Char('j' | 'm') => return Err(format!("`{text}` is enter in every terminal")),
            KeyCode::Char('c' | 'z') => return Err(format!("`{text}` keeps its usual meaning")),
            KeyCode::Char(c) if c.is_ascii_lowercase() => {}
            _ => return Err(format!("`{text}` does not arrive in many terminals")),
        }
    }
    Ok(key)
}

/// Reads one or two keys, parted by a space.
///
/// # Errors
/// As [`parse_key`]; also for more than two.
pub fn parse_chord(text: &str) -> Result<Chord, String> {
    let keys: Chord = text.split_whitespace().map(parse_key).collect::<Result<_, _>>()?;
    match keys.len() {
        1 | 2 => Ok(keys),
        0 => Err("a key is missing".to_owned()),
        _ => Err(format!("`{text}` has more than two keys")),
    }
}

/// What a chord is shown as.
#[must_use]
pub fn shown(chord: &[Key]) -> String {
    chord.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What is wrong with the keys of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// The action, as the file names it.
    pub action: String,
    /// What is wrong.
    pub text: String,
    /// What was meant, as far as that can be guessed.
    pub near: Option<&'static str>,
}

/// Which chord means what.
#[derive(Debug, Clone)]
pub struct Keymap {
    chords: BTreeMap<Action, Vec<Chord>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let chords = ACTIONS
            .iter()
            .map(|entry| (entry.action, entry.keys.iter().filter_map(|keys| parse_chord(keys).ok()).collect()))
            .collect();
        Self { chords }
    }
}

impl Keymap {
    /// The usual keys, with those of the user's file in their place.
    ///
    /// # Errors
    /// Everything that is wrong: actions that do not exist, keys that cannot be used, one key for two actions that can
    /// be meant in the same place.
    pub fn with(overrides: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<KeyProblem>> {
        let mut map = Self::default();
        let mut problems = Vec::new();
        for (name, keys) in overrides {
            let mut problem = |text: String, near| problems.push(KeyProblem { action: name.clone(), text, near });
            let Some(entry) = ACTIONS.iter().find(|entry| entry.name == name) else {
                let names = ACTIONS.iter().map(|entry| entry.name);
                let near = names.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
                problem(format!("there is no action `{}`", name.escape_debug()), near);
                continue;
            };
            let parsed: Result<Vec<Chord>, String> = keys.iter().map(|text| parse_chord(text)).collect();
            match parsed {
                Ok(chords) => drop(map.chords.insert(entry.action, chords)),
                Err(text) => problem(text, None),
            }
        }
        problems.extend(map.clashes(overrides));
        if problems.is_empty() { Ok(map) } else { Err(problems) }
    }

    /// Chords that would mean two things in one place, or hide a longer one, each at the action that the file has.
    fn clashes(&self, overrides: &BTreeMap<String, Vec<String>>) -> Vec<KeyProblem> {
        let mut problems = Vec::new();
        for (number, first) in ACTIONS.iter().enumerate() {
            for second in &ACTIONS[number + 1..] {
                if !first.scope.meets(second.scope) {
                    continue;
                }
                for a in self.of(first.action) {
                    for b in self.of(second.action) {
                        if a.starts_with(b) || b.starts_with(a) {
                            let (one, other) = (first.name, second.name);
                            let action = if overrides.contains_key(other) { other } else { one }.to_owned();
                            let (a, b) = (shown(a), shown(b));
                            let text = format!("`{a}` of `{one}` and `{b}` of `{other}` cannot be told apart");
                            problems.push(KeyProblem { action, text, near: None });
                        }
                    }
                }
            }
        }
        problems
    }

    /// The chords of an action.
    #[must_use]
    pub fn of(&self, action: Action) -> &[Chord] {
        self.chords.get(&action).map_or(&[], Vec::as_slice)
    }

    /// What a text calls an action by: its first chord, or its name in the palette where it has none.
    #[must_use]
    pub fn hint(&self, action: Action) -> String {
        self.of(action).first().map_or_else(|| format!(":{}", action::of(action).name), |chord| shown(chord))
    }

    /// What the keys typed so far mean, among these actions.
    #[must_use]
    pub fn find(&self, typed: &[Key], among: impl Fn(Action) -> bool) -> Found {
        let mut begins = false;
        for (action, chords) in self.chords.iter().filter(|(action, _)| among(**action)) {
            for chord in chords {
                if chord.as_slice() == typed {
                    return Found::Action(*action);
                }
                begins |= chord.starts_with(typed);
            }
        }
        if begins { Found::More } else { Found::Nothing }
    }
}

/// What typed keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This.
    Action(Action),
    /// The beginning of something.
    More,
    /// Nothing here.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_they_are_read() {
        for text in ["g", "G", "?", "/", "ctrl-d", "space", "f1", "f12", "pgdn", "shift-tab", "esc", "g g"] {
            assert_eq!(parse_chord(text).map(|chord| shown(&chord)), Ok(text.to_owned()));
        }
        for text in ["", "ctrl-h", "ctrl-i", "ctrl-j", "ctrl-c", "ctrl-enter", "shift-a", "f13", "é", "nope", "a b c"]
        {
            assert!(parse_chord(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_usual_keys_are_clear() {
        assert_eq!(Keymap::default().clashes(&BTreeMap::new()), []);
        for entry in ACTIONS {
            for keys in entry.keys {
                assert!(parse_chord(keys).is_ok(), "{}: {keys}", entry.name);
            }
        }
    }

    #[test]
    fn a_file_of_keys_is_checked_whole() {
        let file = |pairs: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), v.iter().map(|t| (*t).to_owned()).collect())).collect()
        };
        assert!(Keymap::with(&file(&[("help", &["f2"])])).is_ok());
        let problems = Keymap::with(&file(&[("hlep", &["x"]), ("quit", &["ctrl-c"]), ("refresh", &["q q"])]))
            .expect_err("problems");
        assert_eq!(problems.len(), 3, "{problems:?}");
        let of: Vec<(&str, Option<&str>)> = problems.iter().map(|one| (one.action.as_str(), one.near)).collect();
        assert_eq!(of, [("hlep", Some("help")), ("quit", None), ("refresh", None)]);
        assert!(problems[2].text.contains("cannot be told apart"), "{problems:?}");
    }
}
