//! `config.toml`: what a user prefers for the screen and its keys. No part of it changes what a run does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{App, CliError, load, theme};
use crate::console::keys::{KeyProblem, Keymap};
use crate::document::{self, Node, Parsed};
use crate::model::{Diagnostic, SourceText, ThemeName, did_you_mean};

/// What a user prefers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the screen looks and behaves.
    #[serde(default)]
    pub screen: ScreenConfig,
    /// Keys by the action that they are for, for example `quit = ["q", "f10"]`. They replace the action's own keys.
    #[serde(default)]
    pub keys: BTreeMap<String, Vec<String>>,
}

/// How the screen looks and behaves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct ScreenConfig {
    /// The theme. `changeover theme list` lists them.
    pub theme: ThemeName,
    /// True for letters and signs of ASCII only.
    pub ascii: bool,
    /// True when the mouse chooses and scrolls; then the terminal itself selects text only with a key held down.
    pub mouse: bool,
    /// True when nothing moves that need not.
    pub reduced_motion: bool,
    /// True when the terminal rings while a run needs a person.
    pub bell: bool,
    /// True when the desktop is told while a run needs a person.
    pub notify: bool,
    /// The time zone of the clock and of all times: a name such as `Europe/Berlin`.
    pub time_zone: String,
}

impl Default for ScreenConfig {
    fn default() -> Self {
        Self {
            theme: ThemeName::standard(),
            ascii: false,
            mouse: false,
            reduced_motion: false,
            bell: true,
            notify: true,
            time_zone: "UTC".to_owned(),
        }
    }
}

/// The name of the file in the user's folder of configuration.
const FILE: &str = "config.toml";

/// Reads a configuration and finds everything that is wrong with it. `themes` are the names of those that there are.
/// What actions and keys there are is asked of the screen.
#[must_use]
pub fn examine(source: &SourceText, themes: &[&str]) -> Parsed<Config> {
    let rules = |root: &Node, config: Option<&Config>| {
        let Some(config) = config else { return Vec::new() };
        let mut found = check_rules(&source.name, root, &config.screen, themes);
        found.extend(check_keys(&source.name, root, &config.keys));
        found
    };
    document::examine(source, rules)
}

/// Names that lead nowhere.
fn check_rules(file: &str, root: &Node, screen: &ScreenConfig, themes: &[&str]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let place = |key: &str| root.get("screen").and_then(|screen| screen.get(key)).map(|node| node.span.clone());
    let mean = |near: Option<&str>| near.map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
    let theme = screen.theme.as_str();
    if !themes.contains(&theme) {
        let near = mean(did_you_mean(theme, themes.iter().copied()));
        found.push(
            Diagnostic::error(file, "screen.theme", format!("there is no theme `{theme}`"))
                .at(place("theme"))
                .hint(format!("{near}there are {}", themes.join(", "))),
        );
    }
    let zone = screen.time_zone.as_str();
    if jiff::tz::TimeZone::get(zone).is_err() {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let near = mean(did_you_mean(zone, known.iter().map(String::as_str)));
        found.push(
            Diagnostic::error(
                file,
                "screen.time_zone",
                format!("this machine knows no time zone `{}`", zone.escape_debug()),
            )
            .at(place("time_zone"))
            .hint(format!("{near}write \"UTC\", or continent and city: \"Europe/Berlin\"")),
        );
    }
    found
}

/// Keys that cannot be used, and actions that there are not.
fn check_keys(file: &str, root: &Node, keys: &BTreeMap<String, Vec<String>>) -> Vec<Diagnostic> {
    let problems = Keymap::with(keys).err().unwrap_or_default();
    let diagnostic = |problem: KeyProblem| {
        let place = root.get("keys").and_then(|table| table.get(&problem.action)).map(|node| node.span.clone());
        let error = Diagnostic::error(file, format!("keys.{}", problem.action), problem.text).at(place);
        match problem.near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    };
    problems.into_iter().map(diagnostic).collect()
}

/// The name of the file that the screen's settings are in; a change there is taken up while it is shown.
#[must_use]
pub(super) fn file(app: &App) -> Option<PathBuf> {
    app.places.config.as_ref().map(|folder| folder.join(FILE))
}

/// The user's configuration, with the warnings to show; what holds without one when there is no file.
///
/// # Errors
/// With every problem rendered, when there is a file that cannot be used.
pub fn load(app: &App) -> Result<(Config, Vec<Diagnostic>), CliError> {
    let Some(path) = file(app).filter(|path| path.exists()) else {
        return Ok((Config::default(), Vec::new()));
    };
    // It names no commands: who else can write to it does not matter.
    let (source, _) = load::read_text(app, &path)?;
    let themes = theme::themes(app)?;
    load::usable(app, examine(&source, &themes.names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed<Config> {
        examine(&SourceText { name: FILE.to_owned(), text: text.to_owned() }, &["dark", "light"])
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(read("").into_result(), Ok((Config::default(), Vec::new())));
        let (config, _) = read("[screen]\ntheme = \"light\"\nbell = false\n[keys]\nquit = [\"q\", \"f10\"]\n")
            .into_result()
            .expect("valid");
        let ScreenConfig { theme, bell, notify, time_zone, .. } = config.screen;
        assert_eq!((theme.as_str(), bell, notify, time_zone.as_str()), ("light", false, true, "UTC"));
        assert_eq!(config.keys["quit"], ["q", "f10"]);
    }

    #[test]
    fn names_that_lead_nowhere_are_errors() {
        let parsed = read("[screen]\ntheme = \"drak\"\ntime_zone = \"Moon/Crater\"\n");
        let paths: Vec<&str> = parsed.problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["screen.theme", "screen.time_zone"]);
        assert!(parsed.is_broken() && parsed.problems[0].hint.as_ref().is_some_and(|hint| hint.contains("\"dark\"?")));
    }

    #[test]
    fn keys_that_cannot_be_used_are_errors_at_their_place() {
        let text = "[keys]\nhlep = [\"f2\"]\nquit = [\"ctrl-c\"]\nzoom = [\"q q\"]\n";
        let parsed = read(text);
        let at: Vec<(&str, Option<&str>)> =
            parsed.problems.iter().map(|one| (one.path.as_str(), one.span.clone().map(|span| &text[span]))).collect();
        let places = [("keys.hlep", "[\"f2\"]"), ("keys.quit", "[\"ctrl-c\"]"), ("keys.zoom", "[\"q q\"]")];
        assert_eq!(at, places.map(|(path, span)| (path, Some(span))));
        assert_eq!(parsed.problems[0].hint.as_deref(), Some("did you mean `help`?"));
    }
}
