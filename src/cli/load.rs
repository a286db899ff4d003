//! Finding and reading the operator's files, and refusing those that somebody else could have changed.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{App, CliError, Excerpts};
use crate::check;
use crate::document::{Node, Parsed, SIZE_LIMIT, has_errors};
use crate::estate::Estate;
use crate::model::{Counted, Diagnostic, SourceText, did_you_mean};
use crate::runbook::{Origin, Runbook, SHIPPED, shipped};
use crate::scenario::{self, Answers, Scenario};

/// Where files are looked for.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folder the program was started in.
    pub current: PathBuf,
    /// The user's folder of configuration, `~/.config/changeover`.
    pub config: Option<PathBuf>,
    /// The user's folder of state, `~/.local/state/changeover`.
    pub state: Option<PathBuf>,
    /// The machine's folder of configuration, `/etc/changeover`.
    pub system: PathBuf,
}

impl Places {
    /// The places of this process.
    #[must_use]
    pub fn from_environment() -> Self {
        let user = directories::ProjectDirs::from("", "", "changeover");
        Self {
            current: std::env::current_dir().unwrap_or_default(),
            config: user.as_ref().map(|user| user.config_dir().to_owned()),
            state: user.as_ref().and_then(|user| user.state_dir().map(Path::to_owned)),
            system: PathBuf::from("/etc/changeover"),
        }
    }
}

/// A file of this name lies in folders that belong to the simulated world of `changeover demo`.
pub(super) const SIMULATED: &str = "SIMULATED";

/// True for a folder whose estate and runs are not of this world.
pub(super) fn is_simulated(folder: &Path) -> bool {
    folder.join(SIMULATED).exists()
}

/// The estate file to use: the one that was named, else the first that exists.
///
/// # Errors
/// When there is none; the hints say where it was looked for.
pub fn find_estate(app: &App) -> Result<PathBuf, CliError> {
    if let Some(named) = &app.global.estate {
        return Ok(named.clone());
    }
    let Places { current, config, system, .. } = &app.places;
    let candidates: Vec<PathBuf> = [Some(current), config.as_ref(), Some(system)]
        .into_iter()
        .flatten()
        .map(|dir| dir.join("estate.toml"))
        .collect();
    if let Some(found) = candidates.iter().find(|candidate| candidate.exists()) {
        // Shorter in messages, and the same file.
        return Ok(found.strip_prefix(current).unwrap_or(found).to_owned());
    }
    let looked: Vec<String> = candidates.iter().map(|candidate| candidate.display().to_string()).collect();
    Err(CliError::invalid("there is no estate file")
        .hint("`changeover init` writes a first one; `--estate FILE` names one")
        .hint(format!("looked for {}", looked.join(", "))))
}

/// A file as text, and what is wrong with the file itself.
///
/// # Errors
/// When it cannot be read, is too large, or is not text.
pub fn read_text(app: &App, path: &Path) -> Result<(SourceText, Vec<Diagnostic>), CliError> {
    let shown = path.display();
    let cannot = |problem: std::io::Error| CliError::invalid(format!("cannot read {shown}: {problem}"));
    let mut file = std::fs::File::open(app.places.current.join(path)).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(CliError::invalid(format!("{shown} is not a file")));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > SIZE_LIMIT {
        return Err(CliError::invalid(format!("{shown} is larger than 1 MiB")).hint("is it the right file?"));
    }
    let name = path.to_string_lossy().into_owned();
    let text = String::from_utf8(bytes).map_err(|problem| {
        let valid = problem.utf8_error().valid_up_to();
        let line = memchr::memchr_iter(b'\n', &problem.as_bytes()[..valid]).count() + 1;
        CliError::invalid(format!("{shown}:{line}: not UTF-8 text")).hint("save the file as UTF-8")
    })?;
    let problems = distrust(&name, &metadata, &app.places.current.join(path));
    Ok((SourceText { name, text }, problems))
}

/// Who else can change the file: it names commands that the program runs.
fn distrust(name: &str, metadata: &std::fs::Metadata, path: &Path) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mode = metadata.mode();
    if mode & 0o002 != 0 {
        problems.push(
            Diagnostic::error(name, "", "everybody can write to this file, which names commands to run")
                .hint(format!("run `chmod o-w {name}`, after you have read it")),
        );
    } else if mode & 0o020 != 0 {
        problems.push(
            Diagnostic::warning(name, "", "its group can write to this file, which names commands to run")
                .hint(format!("run `chmod g-w {name}`, unless everybody in the group may fail over")),
        );
    }
    let own = nix::unistd::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        problems.push(Diagnostic::warning(
            name,
            "",
            format!("the file belongs to somebody else (uid {})", metadata.uid()),
        ));
    }
    let folder = path.parent().and_then(|folder| std::fs::metadata(folder).ok());
    if folder.is_some_and(|folder| folder.mode() & 0o002 != 0 && folder.mode() & 0o1000 == 0) {
        problems.push(
            Diagnostic::error(name, "", "everybody can replace this file: its folder is writable by all")
                .hint("take the right to write away from others, or move the file"),
        );
    }
    problems
}

/// Secret files that others can read, as far as they are on this machine.
#[must_use]
pub fn check_secret_files(file: &str, root: &Node, relative_to: &Path) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for service in root.get("services").map_or(&[][..], Node::entries) {
        secret_files_in(file, &format!("services.{}", service.key), &service.node, relative_to, &mut problems);
    }
    problems
}

fn secret_files_in(file: &str, path: &str, node: &Node, relative_to: &Path, problems: &mut Vec<Diagnostic>) {
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        let secret = entry
            .node
            .entry("file")
            .filter(|_| entry.node.entries().len() == 1 && crate::document::is_secret_key(&entry.key));
        let Some(secret) = secret.map(|secret| &secret.node) else {
            secret_files_in(file, &path, &entry.node, relative_to, problems);
            continue;
        };
        let Some(name) = secret.text() else { continue };
        let path = format!("{path}.file");
        let found = match std::fs::metadata(relative_to.join(name)) {
            Ok(metadata) if metadata.mode() & 0o077 != 0 => Some(
                Diagnostic::error(
                    file,
                    path,
                    format!("others can read the secret (mode {:04o})", metadata.mode() & 0o7777),
                )
                .hint(format!("run `chmod 600 {name}`, then change the secret: it may be known")),
            ),
            Ok(_) => None,
            Err(problem) => Some(
                Diagnostic::warning(file, path, format!("the secret cannot be read on this machine: {problem}"))
                    .hint("a run that is started here will fail when it needs it"),
            ),
        };
        problems.extend(found.map(|problem| problem.at(Some(secret.span.clone()))));
    }
}

/// Reads the estate and finds everything that is wrong with it, the file's own safety included.
///
/// # Errors
/// When there is no file, or it cannot be read as text.
pub fn examine_estate(app: &App) -> Result<(PathBuf, Parsed<Estate>), CliError> {
    let path = find_estate(app)?;
    let (source, mut problems) = read_text(app, &path)?;
    let mut parsed = check::estate(&source, &app.catalogue);
    problems.append(&mut parsed.problems);
    if !app.places.current.join(&path).parent().is_some_and(is_simulated) {
        problems.extend(check_secret_files(&source.name, &parsed.root, &app.places.current));
    }
    parsed.problems = problems;
    Ok((path, parsed))
}

/// The estate, for commands that act on it, with the warnings to show.
///
/// # Errors
/// With every problem rendered, when the file cannot be used.
pub fn estate(app: &App) -> Result<(Estate, Vec<Diagnostic>), CliError> {
    let (_, parsed) = examine_estate(app)?;
    usable(app, parsed)
}

/// A file's value, or an error with every problem rendered.
pub(super) fn usable<T>(app: &App, parsed: Parsed<T>) -> Result<(T, Vec<Diagnostic>), CliError> {
    let mut excerpts = Excerpts::default();
    excerpts.add(&parsed);
    let name = parsed.source.name.clone();
    parsed.into_result().map_err(|problems| {
        let errors = problems.iter().filter(|problem| has_errors(std::slice::from_ref(problem))).count();
        let errors = Counted::of(errors, "error", "errors");
        CliError::invalid(format!("{name} cannot be used: {errors}")).excerpts(excerpts.render(&problems, &app.io))
    })
}

/// A runbook that can be started by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunbookFile {
    /// The name: that of its file.
    pub name: String,
    /// The text and where it comes from.
    pub source: SourceText,
    /// True for one that came with the program.
    pub is_shipped: bool,
    /// What is wrong with the file itself.
    pub problems: Vec<Diagnostic>,
}

/// Every runbook that can be started by name, in name order. The folder that was named goes first, then the one beside
/// the estate, then the user's, then the shipped ones; a file replaces those of the same name further down.
///
/// # Errors
/// When a folder that was named, or a runbook, cannot be read.
pub fn runbooks(app: &App, estate: Option<&Path>) -> Result<Vec<RunbookFile>, CliError> {
    let mut found: BTreeMap<String, RunbookFile> = BTreeMap::new();
    if let Some(named) = &app.global.runbook_dir
        && !app.places.current.join(named).is_dir()
    {
        return Err(CliError::invalid(format!("there is no folder {}", named.display())));
    }
    let beside = estate.map(|estate| estate.parent().unwrap_or(Path::new("")).join("runbooks"));
    let own = app.places.config.as_ref().map(|config| config.join("runbooks"));
    for folder in [app.global.runbook_dir.clone(), beside, own].into_iter().flatten() {
        for (name, path) in toml_files_in(&app.places.current.join(&folder)) {
            if found.contains_key(&name) {
                continue;
            }
            let (source, problems) = read_text(app, &folder.join(path))?;
            found.insert(name.clone(), RunbookFile { name, source, is_shipped: false, problems });
        }
    }
    for (name, _) in SHIPPED {
        if let Some(source) = shipped(name).filter(|_| !found.contains_key(*name)) {
            let file = RunbookFile { name: (*name).to_owned(), source, is_shipped: true, problems: Vec::new() };
            found.insert((*name).to_owned(), file);
        }
    }
    Ok(found.into_values().collect())
}

/// Name and file name of every `*.toml` in a folder; none when there is no such folder.
pub(super) fn toml_files_in(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect()
}

/// One runbook: by name, or by path when it has a slash or ends in `.toml`.
///
/// # Errors
/// When there is none.
pub fn find_runbook(app: &App, estate: Option<&Path>, wanted: &str) -> Result<RunbookFile, CliError> {
    let path = Path::new(wanted);
    if wanted.contains('/') || path.extension().is_some_and(|extension| extension == "toml") {
        let (source, problems) = read_text(app, path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(RunbookFile { name, source, is_shipped: false, problems });
    }
    let all = runbooks(app, estate)?;
    let names: Vec<String> = all.iter().map(|runbook| runbook.name.clone()).collect();
    all.into_iter().find(|runbook| runbook.name == wanted).ok_or_else(|| {
        let near =
            did_you_mean(wanted, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? "));
        CliError::invalid(format!("there is no runbook `{wanted}`")).hint(format!(
            "{}there are {}",
            near.unwrap_or_default(),
            names.join(", ")
        ))
    })
}

/// Finds everything that is wrong with a runbook.
#[must_use]
pub fn examine_runbook(app: &App, estate: Option<&Estate>, file: &RunbookFile) -> Parsed<Runbook> {
    let mut parsed = check::runbook(&file.source, estate, &app.catalogue);
    if let Some(runbook) = &parsed.value
        && runbook.name.as_str() != file.name
    {
        let message = format!("the runbook calls itself `{}`, but it is started as `{}`", runbook.name, file.name);
        let span = crate::document::locate(&parsed.root, "name");
        parsed.problems.push(
            Diagnostic::warning(&file.source.name, "name", message)
                .at(span)
                .hint("give file and runbook the same name"),
        );
    }
    parsed.problems.extend(file.problems.iter().cloned());
    if file.is_shipped {
        // Shipped runbooks serve estates with fewer services: leaving a step out is what they are meant to do.
        parsed.problems.retain(|problem| {
            has_errors(std::slice::from_ref(problem)) || !problem.path.ends_with(".service") || problem.hint.is_some()
        });
    }
    parsed
}

/// One runbook, for commands that plan or run it, with where it came from and the warnings to show.
///
/// # Errors
/// With every problem rendered, when there is none or it cannot be used.
pub fn runbook(app: &App, estate: &Estate, wanted: &str) -> Result<(Runbook, Origin, Vec<Diagnostic>), CliError> {
    let path = find_estate(app)?;
    let file = find_runbook(app, Some(&path), wanted)?;
    let (runbook, warnings) = usable(app, examine_runbook(app, Some(estate), &file))?;
    Ok((runbook, origin(app, &file), warnings))
}

/// Where a runbook came from.
#[must_use]
pub fn origin(app: &App, file: &RunbookFile) -> Origin {
    let path = (!file.is_shipped).then(|| app.places.current.join(&file.source.name));
    // As it will be found from another folder; what cannot be resolved now is kept as it is.
    let path = path.map(|path| path.canonicalize().unwrap_or(path));
    Origin::of(&file.source.text, path.and_then(|path| path.to_str().map(str::to_owned)))
}

/// One runbook for an estate that is no file; its warnings are left out.
///
/// # Errors
/// As [`runbook`].
pub fn runbook_for(app: &App, estate: &Estate, wanted: &str) -> Result<Runbook, CliError> {
    let file = find_runbook(app, None, wanted)?;
    usable(app, examine_runbook(app, Some(estate), &file)).map(|(runbook, _)| runbook)
}

/// A scenario: by name, or by path when it has a slash or ends in `.toml`.
///
/// # Errors
/// With every problem rendered, when there is none or it cannot be used.
pub fn scenario(app: &App, wanted: &str) -> Result<Scenario, CliError> {
    let path = Path::new(wanted);
    let source = if wanted.contains('/') || path.extension().is_some_and(|extension| extension == "toml") {
        read_text(app, path)?.0
    } else {
        scenario::shipped(wanted).ok_or_else(|| {
            let names: Vec<&str> = scenario::SHIPPED.iter().map(|(name, _)| *name).collect();
            let near = did_you_mean(wanted, names.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            CliError::invalid(format!("there is no scenario `{wanted}`")).hint(format!(
                "{}there are {}; one of your own is named by its path",
                near.unwrap_or_default(),
                names.join(", ")
            ))
        })?
    };
    let known = runbook_names(app)?;
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    usable(app, scenario::examine(&source, &known)).map(|(scenario, _)| scenario)
}

/// What the operator of a scenario does.
///
/// # Errors
/// With every problem rendered, when there is no such file or it cannot be used.
pub fn answers(app: &App, path: &Path) -> Result<Answers, CliError> {
    let (source, _) = read_text(app, path)?;
    let known = runbook_names(app)?;
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    usable(app, scenario::examine_answers(&source, &known)).map(|(answers, _)| answers)
}

/// The names of the runbooks that can be started in the demo.
fn runbook_names(app: &App) -> Result<Vec<String>, CliError> {
    Ok(runbooks(app, None)?.into_iter().map(|runbook| runbook.name).collect())
}
