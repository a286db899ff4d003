//! `changeover theme`: the themes there are, one of them at work, and everything that is wrong with one.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{env, is_ascii, wish};
use super::{App, CliError, Excerpts, Exit, config, load};
use crate::console::facts::ThemeFacts;
use crate::document::{Node, Parsed, has_errors, locate};
use crate::model::{Counted, Diagnostic, SafeText, Severity, SourceText, did_you_mean};
use crate::style::{Depth, Ink, Mark, Scope, Theme, Themes};

/// The arguments of `theme`.
#[derive(Debug, clap::Args)]
pub struct ThemeArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the themes that can be chosen
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Paint every scope of a theme
    Show {
        /// A theme by name, or a file; the chosen one when left out
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Find everything that is wrong with themes, and what is hard to read in them
    Check {
        /// Files, or themes by name; all that can be chosen when left out
        #[arg(value_name = "FILE")]
        files: Vec<String>,
    },
}

pub(super) fn run(app: &mut App, args: ThemeArgs) -> Result<Exit, CliError> {
    let (text, exit) = match args.action {
        Action::List { json } => (list(app, json)?, Exit::Done),
        Action::Show { name } => (show(app, name.as_deref())?, Exit::Done),
        Action::Check { files } => check(app, files)?,
    };
    app.io.out.write_all(text.as_bytes())?;
    app.io.out.flush()?;
    Ok(exit)
}

/// The themes that can be chosen: the shipped ones, and those in the folder `themes` of the user's configuration. A file
/// replaces the shipped one of its name.
///
/// # Errors
/// When one of the files cannot be read.
pub(super) fn themes(app: &App) -> Result<Themes, CliError> {
    let mut themes = Themes::default();
    let Some(folder) = app.places.config.as_ref().map(|config| config.join("themes")) else { return Ok(themes) };
    for (name, path) in load::toml_files_in(&folder) {
        // A theme names no commands: who else can write to it does not matter.
        let (source, _) = load::read_text(app, &folder.join(path))?;
        themes.add(name, source);
    }
    Ok(themes)
}

/// The text of a theme: by name, or by path when it has a slash or ends in `.toml`; with the name of its file.
///
/// # Errors
/// When there is none.
pub(super) fn find_theme(app: &App, themes: &Themes, wanted: &str) -> Result<(String, SourceText), CliError> {
    let path = Path::new(wanted);
    if wanted.contains('/') || path.extension().is_some_and(|extension| extension == "toml") {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok((stem, load::read_text(app, path)?.0));
    }
    let source = themes.source(wanted).ok_or_else(|| {
        let near = did_you_mean(wanted, themes.names()).map(|near| format!("did you mean `{near}`? "));
        CliError::invalid(format!("there is no theme `{wanted}`")).hint(format!(
            "{}there are {}",
            near.unwrap_or_default(),
            themes.names().join(", ")
        ))
    })?;
    Ok((wanted.to_owned(), source))
}

/// A theme, by name or path.
///
/// # Errors
/// With every problem rendered, when there is none or it cannot be used.
pub(super) fn theme(app: &App, wanted: &str) -> Result<Theme, CliError> {
    let themes = themes(app)?;
    let (name, source) = find_theme(app, &themes, wanted)?;
    load::usable(app, themes.examine(&name, &source)).map(|(theme, _)| theme)
}

/// The themes that can be chosen, for the screen.
///
/// # Errors
/// As [`themes`].
pub(super) fn chosen_from(app: &App) -> Result<Vec<ThemeFacts>, CliError> {
    let themes = themes(app)?;
    let facts = |name: &str| {
        let read = themes.source(name).and_then(|source| themes.examine(name, &source).into_result().ok());
        let title = read.map_or_else(|| SafeText::line("cannot be used"), |(theme, _)| theme.title().clone());
        ThemeFacts { name: name.to_owned(), title }
    };
    Ok(themes.names().into_iter().map(facts).collect())
}

/// A theme of the list.
struct Listed {
    name: String,
    title: Option<SafeText>,
    file: Option<String>,
    is_chosen: bool,
}

fn list(app: &App, as_json: bool) -> Result<String, CliError> {
    let themes = themes(app)?;
    // A configuration that cannot be used has chosen nothing; who asks for a list is perhaps about to mend it.
    let chosen = config::load(app).ok().map(|(config, _)| config.screen.theme);
    let listed: Vec<Listed> = themes
        .names()
        .into_iter()
        .filter_map(|name| {
            let source = themes.source(name)?;
            Some(Listed {
                name: name.to_owned(),
                title: themes.examine(name, &source).into_result().ok().map(|(theme, _)| theme.title().clone()),
                file: (!themes.is_shipped(name)).then_some(source.name),
                is_chosen: chosen.as_ref().is_some_and(|chosen| chosen.as_str() == name),
            })
        })
        .collect();
    if as_json {
        let report: Value = listed
            .iter()
            .map(|theme| {
                json!({
                    "name": theme.name,
                    "title": theme.title,
                    "shipped": theme.file.is_none(),
                    "file": theme.file,
                    "usable": theme.title.is_some(),
                    "chosen": theme.is_chosen,
                })
            })
            .collect();
        return Ok(format!("{report:#}\n"));
    }
    let width = listed.iter().map(|theme| SafeText::line(&theme.name).as_str().len()).max().unwrap_or_default();
    let mut lines = vec![format!("  {:width$}  {:7}  TITLE", "NAME", "FROM")];
    for theme in &listed {
        let name = SafeText::line(&theme.name);
        let title = theme.title.as_ref().map_or_else(
            || format!("cannot be used: see `changeover theme check {name}`"),
            |title| title.as_str().to_owned(),
        );
        let from = if theme.file.is_some() { "yours" } else { "shipped" };
        let sign = if theme.is_chosen { '*' } else { ' ' };
        lines.push(format!("{sign} {:width$}  {from:7}  {title}", name.as_str()));
    }
    lines.push(String::new());
    lines.push(
        "* is the one that is used; `theme = \"NAME\"` below `[screen]` in config.toml chooses another.\n".to_owned(),
    );
    Ok(lines.join("\n"))
}

fn show(app: &App, name: Option<&str>) -> Result<String, CliError> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => config::load(app)?.0.screen.theme.to_string(),
    };
    let whole = theme(app, &name)?;
    let depth = Depth::detect(wish(app), app.io.is_terminal, env);
    // Without a terminal and without colours these are letters for a file or a pipe: nothing but letters.
    let paints = app.io.is_terminal && env("TERM").is_none_or(|term| term != "dumb") || depth > Depth::Mono;
    let theme = whole.at(depth);
    let paint = |scope, text: &str| if paints { on_screen(&theme, scope).paint(text) } else { text.to_owned() };
    let width = Scope::ALL.iter().map(|scope| scope.name().len()).max().unwrap_or_default();
    let looks: Vec<String> = Scope::ALL.iter().map(|scope| words(whole.ink(*scope))).collect();
    let looks_width = looks.iter().map(String::len).max().unwrap_or_default();
    let mut lines = vec![format!("{}: {}\n", whole.name(), whole.title())];
    for (scope, look) in Scope::ALL.iter().zip(&looks) {
        let painted = paint(*scope, &format!(" {:width$} ", scope.name()));
        let contrast = whole.contrast(*scope).map_or_else(|| "-".to_owned(), |contrast| format!("{contrast:.1}"));
        lines.push(format!(" {painted} {look:looks_width$}  {contrast:>4}  {}", scope.about()));
    }
    let ascii = is_ascii();
    let all = [Mark::Ok, Mark::Warn, Mark::Fail, Mark::Unknown, Mark::Skip, Mark::Run, Mark::Ask];
    let marks = all.map(|mark| {
        let shape = if ascii { mark.ascii() } else { mark.glyph() };
        paint(mark.scope(), &format!("{shape} {}", mark.word()))
    });
    lines.push(format!("\n  {}\n", marks.join("  ")));
    lines.push(
        "The figure is the contrast with what is behind, 1 to 21; `-` where the shades are your terminal's.\n"
            .to_owned(),
    );
    Ok(lines.join("\n"))
}

/// An ink as it looks upon the screen that `plain` paints.
fn on_screen(theme: &Theme, scope: Scope) -> Ink {
    let (ink, plain) = (theme.ink(scope), theme.ink(Scope::Plain));
    Ink { fg: ink.fg.or(plain.fg), bg: ink.bg.or(plain.bg), ..ink }
}

/// An ink in words: `red on black, bold`.
fn words(ink: Ink) -> String {
    let colours = match (ink.fg, ink.bg) {
        (Some(fg), Some(bg)) => Some(format!("{fg} on {bg}")),
        (Some(fg), None) => Some(fg.to_string()),
        (None, Some(bg)) => Some(format!("on {bg}")),
        (None, None) => None,
    };
    let attributes = [
        (ink.bold, "bold"),
        (ink.dim, "dim"),
        (ink.underline, "underline"),
        (ink.reverse, "reverse"),
        (ink.italic, "italic"),
    ];
    let attributes = attributes.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned());
    colours.into_iter().chain(attributes).collect::<Vec<_>>().join(", ")
}

fn check(app: &App, files: Vec<String>) -> Result<(String, Exit), CliError> {
    let themes = themes(app)?;
    let files = if files.is_empty() { themes.names().into_iter().map(str::to_owned).collect() } else { files };
    let mut excerpts = Excerpts::default();
    let mut problems = Vec::new();
    for wanted in &files {
        let (name, source) = find_theme(app, &themes, wanted)?;
        let mut parsed = themes.judge(&name, &source);
        parsed.problems.extend(named_otherwise(&parsed, &name));
        excerpts.add(&parsed);
        problems.append(&mut parsed.problems);
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let shown = excerpts.render(&problems, &app.io);
    let found = if problems.is_empty() {
        "no problems".to_owned()
    } else {
        let warnings = Counted::of(problems.len() - errors, "warning", "warnings");
        format!("{}, {warnings}", Counted::of(errors, "error", "errors"))
    };
    let text = format!("{shown}{}: {found}\n", Counted::of(files.len(), "theme", "themes"));
    Ok((text, if has_errors(&problems) { Exit::Invalid } else { Exit::Done }))
}

/// A theme that is chosen by another name than it gives itself.
fn named_otherwise(parsed: &Parsed<Theme>, name: &str) -> Option<Diagnostic> {
    let own = parsed.root.get("name").and_then(Node::text).filter(|own| *own != name)?;
    let message = format!("the theme calls itself `{}`, but it is chosen as `{name}`", own.escape_debug());
    let problem = Diagnostic::warning(&parsed.source.name, "name", message).at(locate(&parsed.root, "name"));
    parsed.value.is_some().then(|| problem.hint("give file and theme the same name"))
}
