//! Runbooks against an estate and the catalogue, for both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use crate::document::{Node, Parsed, ShapeRules, attach_places, check_shape, locate, tidy};
use crate::estate::Estate;
use crate::model::{Diagnostic, Direction, SourceText, did_you_mean};
use crate::runbook::{self, Param, ParamType, PlanRequest, Runbook, plan};
use crate::systems::Catalogue;

/// Reads a runbook and finds everything that is wrong with it. Without an estate, only what can be said of any.
#[must_use]
pub fn runbook(source: &SourceText, estate: Option<&Estate>, catalogue: &Catalogue) -> Parsed<Runbook> {
    let mut parsed = runbook::examine(source);
    let steps = steps_of(&parsed.root);
    for step in &steps {
        parsed.problems.extend(check_kind(&source.name, step, catalogue));
    }
    if let (Some(runbook), Some(estate)) = (&parsed.value, estate) {
        let planned = check_plans(source, runbook, estate, catalogue);
        let mut known: Vec<String> = parsed.problems.iter().map(|problem| problem.path.clone()).collect();
        // The planner checks texts one by one, then `with` as a whole: that it fails then is an echo too.
        known.extend(planned.iter().map(|problem| &problem.path).filter(|path| path.contains(".with.")).cloned());
        let (inner, mut planned): (Vec<Diagnostic>, Vec<Diagnostic>) =
            planned.into_iter().partition(|problem| problem.path.contains(".with."));
        planned.retain(|problem| !is_echo(&problem.path, &known));
        let before = &parsed.problems;
        planned.extend(inner.into_iter().filter(|problem| before.iter().all(|known| known.path != problem.path)));
        for problem in &mut planned {
            name_key(problem, &parsed.root);
        }
        attach_places(&parsed.root, &mut planned);
        parsed.problems.extend(planned);
    }
    attach_places(&parsed.root, &mut parsed.problems);
    tidy(&mut parsed.problems);
    parsed
}

/// A step as written, with its path.
struct WrittenStep<'a> {
    path: String,
    label: &'a Range<usize>,
    node: &'a Node,
}

fn steps_of(root: &Node) -> Vec<WrittenStep<'_>> {
    let mut steps = Vec::new();
    for stage in root.get("stages").map_or(&[][..], Node::items) {
        let stage_id = stage.get("id").and_then(Node::text).unwrap_or("?");
        for (index, node) in stage.get("steps").map_or(&[][..], Node::items).iter().enumerate() {
            let id = node.get("id");
            let name = id.and_then(Node::text).unwrap_or("?");
            let mut path = format!("stages.{stage_id}.steps.{name}");
            if steps.iter().any(|step: &WrittenStep<'_>| step.path == path) {
                path = format!("stages.{stage_id}.steps[{index}]");
            }
            steps.push(WrittenStep { path, label: id.map_or(&node.span, |id| &id.span), node });
        }
    }
    steps
}

/// The step's kind and the shape of its parameters; texts with templates may stand for anything.
fn check_kind(file: &str, step: &WrittenStep<'_>, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let Some(uses) = step.node.get("uses") else { return Vec::new() };
    let Some(name) = uses.text() else { return Vec::new() };
    let Some(kind) = catalogue.kind(name) else {
        let hint = did_you_mean(name, catalogue.kinds().iter().map(|kind| kind.name))
            .map_or_else(|| "`changeover kinds` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
        let message = format!("there is no step kind `{name}`");
        let problem = Diagnostic::error(file, format!("{}.uses", step.path), message).at(Some(uses.span.clone()));
        return vec![problem.hint(hint)];
    };
    let mut problems = Vec::new();
    if kind.only_asks && step.node.get("confirm").is_none() {
        let message = format!("`{name}` asks nobody: the step has no `confirm`");
        let hint = "add `confirm = { message = \"…\" }`, or remove the step: the run goes past it without a question";
        let problem = Diagnostic::warning(file, format!("{}.uses", step.path), message).at(Some(uses.span.clone()));
        problems.push(problem.hint(hint));
    }
    let empty = Node::empty();
    let with = step.node.entry("with");
    let (node, label) = with.map_or((&empty, step.label), |entry| (&entry.node, &entry.key_span));
    if node.is_table() {
        let rules = ShapeRules { templates: true, ..ShapeRules::default() };
        let path = format!("{}.with", step.path);
        problems.extend(check_shape(file, node, &path, label, &Value::from(kind.schema()), rules).problems);
    }
    problems
}

/// What the planner says, in both directions; what it says for one only tells which.
fn check_plans(source: &SourceText, runbook: &Runbook, estate: &Estate, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let directions: Vec<Direction> = estate.sites.keys().filter_map(|site| estate.direction_from(site)).collect();
    let params: BTreeMap<String, String> = runbook
        .params
        .iter()
        .filter(|(_, param)| param.default.is_none())
        .map(|(name, param)| (name.clone(), stand_in(param)))
        .collect();
    let mut found: Vec<(Diagnostic, BTreeSet<usize>)> = Vec::new();
    for (index, direction) in directions.iter().enumerate() {
        let request = PlanRequest { runbook, file: &source.name, estate, direction, params: &params, kinds: catalogue };
        let problems = plan(request).map_or_else(|problems| problems, |(_, warnings)| warnings);
        for problem in problems {
            match found.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, seen)) => drop(seen.insert(index)),
                None => found.push((problem, BTreeSet::from([index]))),
            }
        }
    }
    found
        .into_iter()
        .filter(|(problem, _)| !depends_on_stand_in(runbook, problem, &params))
        .map(|(mut problem, seen)| {
            if seen.len() < directions.len()
                && let Some(direction) = seen.first().and_then(|index| directions.get(*index))
            {
                problem.message = format!("{} (with {} as the source)", problem.message, direction.source);
            }
            problem
        })
        .collect()
}

/// A value for a parameter that has no default, so that the rest can be planned.
fn stand_in(param: &Param) -> String {
    match (param.one_of.first(), param.kind) {
        (Some(Value::String(text)), _) => text.clone(),
        (Some(value), _) => value.to_string(),
        (None, ParamType::Bool) => "true".to_owned(),
        (None, ParamType::Integer) => "1".to_owned(),
        (None, ParamType::String) => "x".to_owned(),
        (None, ParamType::Duration) => "1m".to_owned(),
    }
}

/// True when step parameters were refused that may hold a stand-in: nobody gave that value.
fn depends_on_stand_in(runbook: &Runbook, problem: &Diagnostic, params: &BTreeMap<String, String>) -> bool {
    let Some(step_path) = problem.path.strip_suffix(".with") else { return false };
    let step = runbook.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (stage, step)));
    let text = step
        .filter(|(stage, step)| format!("stages.{}.steps.{}", stage.id, step.id) == step_path)
        .map(|(_, step)| Value::Object(step.params.clone()).to_string())
        .collect::<String>();
    params.keys().any(|name| text.contains(&format!("params.{name}")))
}

/// True for the path of all parameters of a step.
fn is_with(path: &str) -> bool {
    path.strip_suffix(".with").is_some()
}

/// True when something at this place, or around it, was reported already.
fn is_echo(path: &str, known: &[String]) -> bool {
    known.iter().any(|known| {
        let (outer, inner) = if path.len() >= known.len() { (known.as_str(), path) } else { (path, known.as_str()) };
        let nested = inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        // A problem inside `with` makes the decoder refuse the whole of it.
        nested && (path.len() >= known.len() || is_with(path))
    })
}

/// Paths that could say more: the decoder names the key of `with` that it refuses, and what is wrong with a parameter
/// that nobody gave is wrong with its default.
fn name_key(problem: &mut Diagnostic, root: &Node) {
    let key = if is_with(&problem.path) {
        problem.message.split('`').nth(1)
    } else if problem.path.starts_with("params.") {
        Some("default")
    } else {
        None
    };
    let Some(key) = key else { return };
    let path = format!("{}.{key}", problem.path);
    if locate(root, &path) != locate(root, &problem.path) {
        problem.path = path;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_the_same_place_or_inside_it() {
        let known = vec!["stages.a.steps.b.service".to_owned(), "stages.a.steps.c.with.name".to_owned()];
        for (path, expected) in [
            ("stages.a.steps.b.service", true),
            ("stages.a.steps.b.service.x", true),
            ("stages.a.steps.b", false),
            ("stages.a.steps.b.services", false),
            ("stages.a.steps.c.with", true),
            ("stages.a.steps.c.with.other", false),
        ] {
            assert_eq!(is_echo(path, &known), expected, "{path}");
        }
    }
}
