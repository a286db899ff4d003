//! `changeover check`: everything that is wrong, in one go, without touching a host.

use serde_json::json;

use super::{App, CliError, Excerpts, Exit, load, problems_json};
use crate::model::{Counted, Diagnostic, Severity};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Runbooks to check, by name or path; all that can be found when left out
    #[arg(value_name = "RUNBOOK")]
    runbooks: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(app: &mut App, args: &CheckArgs) -> Result<Exit, CliError> {
    let (path, estate) = load::examine_estate(app)?;
    let files = if args.runbooks.is_empty() {
        load::runbooks(app, Some(&path))?
    } else {
        args.runbooks.iter().map(|name| load::find_runbook(app, Some(&path), name)).collect::<Result<_, _>>()?
    };
    let mut excerpts = Excerpts::default();
    excerpts.add(&estate);
    let mut problems = estate.problems.clone();
    for file in &files {
        let mut parsed = load::examine_runbook(app, estate.value.as_ref(), file);
        if estate.is_broken() {
            // What a runbook needs of an estate can only be said of one that makes sense.
            parsed.problems.retain(|problem| !is_about_the_estate(problem));
        }
        excerpts.add(&parsed);
        problems.append(&mut parsed.problems);
    }
    let errors = count(&problems, Severity::Error);
    let warnings = count(&problems, Severity::Warning);
    if args.json {
        let names: Vec<&str> = files.iter().map(|file| file.source.name.as_str()).collect();
        let report = json!({
            "estate": estate.source.name,
            "runbooks": names,
            "errors": errors,
            "warnings": warnings,
            "problems": problems_json(&problems, &excerpts),
        });
        writeln!(app.io.out, "{report:#}")?;
    } else {
        let text = excerpts.render(&problems, &app.io);
        let (wrong, warned) = (Counted::of(errors, "error", "errors"), Counted::of(warnings, "warning", "warnings"));
        let found = match (errors, warnings) {
            (0, 0) => "no problems".to_owned(),
            (0, _) => warned.to_string(),
            (_, 0) => wrong.to_string(),
            _ => format!("{wrong}, {warned}"),
        };
        let skipped = if estate.is_broken() && !files.is_empty() {
            " (what runbooks need of the estate is checked once the estate is right)"
        } else {
            ""
        };
        let name = crate::model::SafeText::line(&estate.source.name);
        writeln!(app.io.out, "{text}{name} and {}: {found}{skipped}", Counted::of(files.len(), "runbook", "runbooks"))?;
    }
    app.io.out.flush()?;
    Ok(if errors > 0 { Exit::Invalid } else { Exit::Done })
}

/// True for a service, or for hosts with a role, that the estate would have to have.
fn is_about_the_estate(problem: &Diagnostic) -> bool {
    let key = problem.path.rsplit('.').next();
    key == Some("service") || key == Some("on") && problem.message.contains("has the role")
}

fn count(problems: &[Diagnostic], severity: Severity) -> usize {
    problems.iter().filter(|problem| problem.severity == severity).count()
}
