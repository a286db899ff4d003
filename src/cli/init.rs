//! `changeover init`: a first estate file, from options or from a few questions. What it writes passes `check`.

mod answers;
mod template;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{App, CliError, Excerpts, Exit};
use crate::check;
use crate::model::SourceText;

pub(super) use answers::InitArgs;

pub(super) fn run(app: &mut App, args: InitArgs) -> Result<Exit, CliError> {
    let (path, force) = (args.file.clone(), args.force);
    let to_output = path == Path::new("-");
    if !to_output && !force && app.places.current.join(&path).exists() {
        return Err(CliError::invalid(format!("{} exists", path.display()))
            .hint("`--force` replaces it; another name can be given: `changeover init FILE`"));
    }
    let answers = answers::collect(&mut app.io, args)?;
    let source = SourceText { name: path.display().to_string(), text: template::render(&answers) };
    let parsed = check::estate(&source, &app.catalogue);
    let mut excerpts = Excerpts::default();
    excerpts.add(&parsed);
    let shown = excerpts.render(&parsed.problems, &app.io);
    if parsed.is_broken() {
        return Err(CliError::invalid("these answers do not make an estate; nothing was written").excerpts(shown));
    }
    if to_output {
        app.io.out.write_all(source.text.as_bytes())?;
    } else {
        write(&app.places.current.join(&path), &source.text, force)
            .map_err(|problem| CliError::invalid(format!("cannot write {}: {problem}", path.display())))?;
        app.io.err.write_all(shown.as_bytes())?;
        let edited = if answers.has_database { "look at the password of the database in it, then " } else { "" };
        writeln!(app.io.out, "{} is written; {edited}run `changeover check`", path.display())?;
    }
    app.io.out.flush()?;
    Ok(Exit::Done)
}

/// Writes the whole file or nothing; without `force` only where there was none.
fn write(path: &Path, text: &str, force: bool) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if force {
            std::fs::rename(&temporary, path)
        } else {
            // Unlike a rename, a link never replaces a file that appeared meanwhile.
            std::fs::hard_link(&temporary, path)
        }
    })();
    if !(force && written.is_ok()) {
        drop(std::fs::remove_file(&temporary));
    }
    written
}
