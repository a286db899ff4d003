//! What the user chose, from options, configuration and environment, and the estate as the screen shows it.

use super::ConsoleArgs;
use super::ground::{Preferences, Themes};
use crate::cli::{App, CliError, Io, config, theme};
use crate::console::Settings;
use crate::console::facts::{EstateFacts, SiteFacts};
use crate::console::keys::Keymap;
use crate::estate::Estate;
use crate::model::SafeText;
use crate::style::{ColorWish, Depth};
use crate::systems::{Catalogue, catalogue};

/// The settings of a screen.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub(in crate::cli) fn settings(app: &mut App, args: &ConsoleArgs) -> Result<Settings, CliError> {
    let (config, warnings) = config::load(app)?;
    super::super::print_warnings(app, &warnings)?;
    let config::Config { screen, keys } = config;
    let theme = theme::theme(app, args.theme.as_deref().unwrap_or(screen.theme.as_str()))?.at(depth(app));
    // What is wrong with them was found when the file was read.
    let keys = Keymap::with(&keys).unwrap_or_default();
    let zone = jiff::tz::TimeZone::get(&screen.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let is_utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_none_or(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
    Ok(Settings {
        theme,
        themes: theme::chosen_from(app)?,
        ascii: args.ascii || screen.ascii || !is_utf8,
        reduced_motion: args.reduced_motion || screen.reduced_motion,
        mouse: args.mouse.unwrap_or(screen.mouse),
        bell: screen.bell,
        notify: screen.notify,
        privacy: false,
        zone,
        keys,
    })
}

/// The user's configuration, read anew each time with the same options.
pub(in crate::cli) fn preferences(app: &App, args: &ConsoleArgs) -> Preferences {
    let (global, places, args) = (app.global.clone(), app.places.clone(), args.clone());
    let is_terminal = app.io.is_terminal;
    Preferences {
        file: config::file(app),
        read: Box::new(move || {
            // What is read while there is a screen must not print into it; its terminal is the same.
            let io = Io { is_terminal, ..Io::silent() };
            let mut own = App { global: global.clone(), places: places.clone(), io, catalogue: catalogue() };
            settings(&mut own, &args).map_err(|error| {
                let hints: Vec<&str> = error.hints.iter().map(SafeText::as_str).collect();
                SafeText::block(&format!("{}\n\n{}{}", error.message, error.excerpts, hints.join("\n")))
            })
        }),
    }
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

/// Themes by name, with the colours of this terminal, read anew each time.
pub(in crate::cli) fn themes(app: &App) -> Themes {
    let depth = depth(app);
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let folder = app.places.config.as_ref().map(|config| config.join("themes"));
    Themes {
        read: Box::new(move |name| {
            let read = theme::theme(&own, name).map(|theme| theme.at(depth));
            read.map_err(|error| {
                let hints: Vec<&str> = error.hints.iter().map(crate::model::SafeText::as_str).collect();
                format!("{} {}", error.message, hints.join(" "))
            })
        }),
        folder,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Args, Command};
    use crate::cli::load::Places;
    use crate::console::action::Action;

    /// What is preferred where this is the folder of the configuration, with these options.
    fn preferred(folder: &Path, options: &[&str]) -> Preferences {
        let words = ["changeover", "console"].iter().chain(options);
        let Args { global, command: Some(Command::Console(args)) } = Args::try_parse_from(words).expect("good words")
        else {
            panic!("another command");
        };
        let places = Places { config: Some(folder.to_owned()), ..Places::default() };
        preferences(&App { global, places, io: Io::silent(), catalogue: catalogue() }, &args)
    }

    #[test]
    fn a_changed_file_is_read_anew_and_options_go_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        let (plain, with_options) =
            (preferred(folder.path(), &[]), preferred(folder.path(), &["--mouse=false", "--theme", "light"]));
        let none = plain.written();
        assert_eq!(none, None);
        std::fs::write(&file, "[screen]\nmouse = true\ntheme = \"high-contrast\"\n[keys]\nhelp = [\"f2\"]\n")
            .expect("written");
        assert_ne!(plain.written(), none, "it is there now");
        let settings = (plain.read)().expect("it can be used");
        assert_eq!((settings.mouse, settings.theme.name()), (true, "high-contrast"));
        assert_eq!(settings.keys.hint(Action::Help), "f2");
        let settings = (with_options.read)().expect("it can be used");
        assert_eq!((settings.mouse, settings.theme.name()), (false, "light"));
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_and_excerpt() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        let plain = preferred(folder.path(), &[]);
        for (text, line, excerpt, why) in [
            ("[screen]\ntheme = \"drak\"\n", 2, "theme = \"drak\"", "there is no theme `drak`"),
            ("\n[keys]\nquit = [\"ctrl-c\"]\n", 3, "quit = [\"ctrl-c\"]", "`ctrl-c` keeps its usual meaning"),
            ("[keys]\nqiut = [\"q\"]\n", 2, "qiut = [\"q\"]", "did you mean `quit`?"),
            ("[screen\n", 1, "[screen", ""),
        ] {
            std::fs::write(&file, text).expect("written");
            let said = (plain.read)().expect_err("it cannot be used");
            for words in [&format!("config.toml:{line}"), excerpt, why] {
                assert!(said.as_str().contains(words), "{words}\n{said}");
            }
        }
        std::fs::remove_file(&file).expect("removed");
        assert_eq!((plain.read)().map(|settings| settings.mouse).ok(), Some(false), "without a file the usual holds");
    }
}
