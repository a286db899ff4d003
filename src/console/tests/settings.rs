//! A configuration that changes while the screen is shown.

use super::made::*;
use super::picture::text;
use crate::console::action::Action;
use crate::console::dialog::Dialog;
use crate::console::keys::Keymap;
use crate::console::{Effect, Msg, Settings, State, update};
use crate::model::SafeText;

fn themed(name: &str) -> crate::style::Theme {
    let themes = crate::style::Themes::default();
    let source = themes.source(name).expect("a theme");
    themes.examine(name, &source).into_result().expect("it can be used").0
}

fn configured(state: &mut State, before: &Settings, after: &Settings) -> Vec<Effect> {
    update(state, Msg::Configured { settings: Box::new(after.clone()), before: Box::new(before.clone()) })
}

#[test]
fn what_is_new_is_taken_up_and_what_was_chosen_here_stays() {
    let mut state = full();
    let before = state.settings.clone();
    let other = crate::style::SHIPPED_THEMES.iter().map(|(name, _)| *name).find(|name| *name != before.theme.name());
    let chosen = themed(other.expect("another theme"));
    (state.settings.theme, state.settings.privacy, state.settings.mouse) = (chosen.clone(), true, true);
    let keys = Keymap::with(&[("help".to_owned(), vec!["f2".to_owned()])].into()).expect("good keys");
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
    let mut after = Settings { zone, keys, ..before.clone() };
    assert_eq!(configured(&mut state, &before, &after), []);
    let now = &state.settings;
    assert_eq!((now.theme.name(), now.privacy, now.mouse), (chosen.name(), true, true));
    let shown = text(&state, (80, 24));
    assert!(shown.contains("04:20:00 CET") && shown.contains("config.toml has changed"), "{shown}");
    press(&mut state, "?");
    assert!(state.dialog.is_none());
    press(&mut state, "f2");
    assert!(matches!(state.dialog, Some(Dialog::Help { .. })));
    assert_eq!(state.key_of(Action::Help), "f2");
    // What the file says anew of theme and mouse is taken up as well.
    let before = after.clone();
    after.mouse = true;
    state.settings.mouse = false;
    assert_eq!(configured(&mut state, &before, &after), [Effect::Mouse(true)]);
    let before = Settings { theme: chosen, ..after.clone() };
    configured(&mut state, &before, &after);
    assert_eq!(state.settings.theme.name(), after.theme.name());
}

#[test]
fn what_cannot_be_used_is_told_and_changes_nothing() {
    let why = || {
        let text = "config.toml cannot be used: 1 error\n\nerror: there is no theme `drak`\n --> config.toml:2:9\n  |\n\
                    2 | theme = \"drak\"\n  |         ^^^^^^ screen.theme";
        Msg::NotConfigured(SafeText::block(text))
    };
    let mut state = full();
    let before = format!("{:?}", state.settings);
    assert_eq!(update(&mut state, why()), []);
    assert_eq!(format!("{:?}", state.settings), before);
    let shown = text(&state, (60, 15));
    for words in ["what held before still does", "config.toml:2:9", "theme = \"drak\""] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    // A question that is being answered stays.
    let mut asked = start_dialog("restore");
    update(&mut asked, why());
    assert!(matches!(asked.dialog, Some(Dialog::Start(_))));
    let told = asked.notice.expect("it is told").text;
    assert!(told.as_str().starts_with("config.toml cannot be used: 1 error --> config.toml:2:9"), "{told}");
}
