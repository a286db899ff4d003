//! What the user chose, from options, configuration and environment, and the estate as the screen shows it.

use super::ConsoleArgs;
use crate::cli::{App, CliError};
use crate::console::Settings;
use crate::console::facts::{EstateFacts, SiteFacts};
use crate::console::keys::Keymap;
use crate::estate::Estate;
use crate::model::SafeText;
use crate::style::{ColorWish, Depth, Theme};
use crate::systems::Catalogue;

/// The settings of a screen.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub(in crate::cli) fn settings(app: &App, args: &ConsoleArgs) -> Result<Settings, CliError> {
    let depth = depth(app);
    let theme = theme(args.theme.as_deref().unwrap_or("dark"))?.at(depth);
    let is_utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_none_or(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
    Ok(Settings {
        theme,
        ascii: args.ascii || !is_utf8,
        reduced_motion: args.reduced_motion,
        mouse: args.mouse,
        privacy: false,
        keys: Keymap::default(),
    })
}

/// The colours of this terminal.
pub(in crate::cli) fn depth(app: &App) -> Depth {
    let wish = match app.global.color {
        clap::ColorChoice::Auto => ColorWish::Auto,
        clap::ColorChoice::Always => ColorWish::Always,
        clap::ColorChoice::Never => ColorWish::Never,
    };
    Depth::detect(wish, app.io.is_terminal, |name| std::env::var(name).ok())
}

fn theme(name: &str) -> Result<Theme, CliError> {
    Theme::named(name).ok_or_else(|| {
        CliError::invalid(format!("there is no theme `{name}`")).hint("`changeover theme list` lists them")
    })
}

/// The estate, as far as it is shown.
pub(in crate::cli) fn facts(estate: &Estate, catalogue: &Catalogue) -> EstateFacts {
    let services = || {
        estate.services.iter().map(|(name, service)| {
            let kind = catalogue.service(&service.kind).map_or(service.kind.as_str(), |kind| kind.name);
            (name.clone(), SafeText::line(kind))
        })
    };
    // The site that the estate calls active stands on the left, whichever is so now: nothing changes its place.
    let mut sites: Vec<_> = estate.sites.keys().collect();
    sites.sort_by_key(|name| **name != estate.active);
    EstateFacts {
        name: SafeText::line(estate.name.as_str()),
        sites: sites
            .into_iter()
            .map(|name| SiteFacts {
                name: name.clone(),
                title: SafeText::line(estate.title(name)),
                services: services().collect(),
            })
            .collect(),
        rpo: estate.objectives.rpo,
    }
}

/// Themes by name, with the colours of this terminal.
pub(in crate::cli) fn themes(app: &App) -> Box<dyn Fn(&str) -> Result<Theme, String> + Send> {
    let depth = depth(app);
    Box::new(move |name| {
        Theme::named(name).map(|theme| theme.at(depth)).ok_or_else(|| format!("there is no theme `{name}`"))
    })
}
