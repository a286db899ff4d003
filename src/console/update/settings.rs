//! A configuration that has changed while the screen is shown.

use crate::console::dialog::Dialog;
use crate::console::msg::Effect;
use crate::console::state::{Settings, State};
use crate::model::SafeText;

/// Takes up what is new in it. What was changed from the screen meanwhile, such as the theme, stays so unless the file
/// says something else of it than before.
pub(super) fn take(state: &mut State, settings: Settings, before: &Settings, effects: &mut Vec<Effect>) {
    let now = &mut state.settings;
    let theme = if settings.theme.name() == before.theme.name() { now.theme.clone() } else { settings.theme };
    let mouse = if settings.mouse == before.mouse { now.mouse } else { settings.mouse };
    if mouse != now.mouse {
        effects.push(Effect::Mouse(mouse));
    }
    *now = Settings { theme, mouse, privacy: now.privacy, ..settings };
    // Half a chord of other keys is none.
    state.typed.clear();
    state.tell("config.toml has changed: it is taken up", false);
}

/// Says what is wrong with it: at length where that hides nothing that a person is at.
pub(super) fn refuse(state: &mut State, why: SafeText) {
    if state.dialog.is_some() || state.palette.is_some() || state.search.is_some() {
        let line = |begins: &str| why.as_str().lines().map(str::trim).find(|line| line.starts_with(begins));
        let (what, place) = (line("").unwrap_or_default(), line("--> ").unwrap_or_default());
        state.tell(format!("{what} {place}; what held before still does"), true);
    } else {
        let title = SafeText::line("config.toml has changed: what held before still does");
        state.dialog = Some(Dialog::Text { title, text: why, top: 0 });
    }
}
