//! Templates and conditions: minijinja with strict undefined, one language for both, checked when a plan is made.

use std::collections::BTreeSet;

use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value, json};

use crate::model::{Direction, PointId, RunId, SiteName, StepId, UnitKey};

/// The values that templates can use, put together in this order: [`TemplateScope::of_plan`], [`TemplateScope::of_run`],
/// [`TemplateScope::at`] and [`TemplateScope::after`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateScope(pub Map<String, Value>);

impl TemplateScope {
    /// What is known when a plan is made: `source`, `target`, `source_title`, `target_title`, `estate`, `params`.
    #[must_use]
    pub fn of_plan(
        direction: &Direction,
        titles: (&str, &str),
        estate: &SiteName,
        params: &Map<String, Value>,
    ) -> Self {
        Self::default()
            .with("source", direction.source.as_str())
            .with("target", direction.target.as_str())
            .with("source_title", titles.0)
            .with("target_title", titles.1)
            .with("estate", estate.as_str())
            .with("params", params.clone())
    }

    /// And when a run exists: `run.id`, `point.id`.
    #[must_use]
    pub fn of_run(self, run: &RunId, point: &PointId) -> Self {
        self.with("run", json!({ "id": run })).with("point", json!({ "id": point }))
    }

    /// And where a unit acts: `site`, `host`; null where it has none.
    #[must_use]
    pub fn at(self, unit: &UnitKey) -> Self {
        self.with("site", unit.site.as_ref().map(ToString::to_string))
            .with("host", unit.host.as_ref().map(ToString::to_string))
    }

    /// And what earlier steps found: `steps.<id>.<capture>` of every step that has ended well, and `estimated_bytes`,
    /// the sum of what they say the copy will take.
    #[must_use]
    pub fn after<'a>(self, captures: impl Iterator<Item = (&'a StepId, &'a Map<String, Value>)>) -> Self {
        let (mut steps, mut estimated) = (Map::new(), 0_u64);
        for (id, values) in captures {
            estimated += values.get("estimated_bytes").and_then(Value::as_u64).unwrap_or(0);
            steps.insert(id.to_string(), Value::Object(values.clone()));
        }
        self.with("steps", steps).with("estimated_bytes", estimated)
    }

    /// The scope with one more value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

/// Why a template or condition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in `{template}`: {problem}")]
pub struct TemplateError {
    /// The template as written.
    pub template: String,
    /// What is wrong.
    pub problem: String,
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

fn error(template: &str, error: &minijinja::Error) -> TemplateError {
    let detail =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    TemplateError { template: template.to_owned(), problem: detail }
}

/// Renders a template to text.
///
/// # Errors
/// [`TemplateError`] for bad syntax and for every value that is not defined.
pub fn render(template: &str, scope: &TemplateScope) -> Result<String, TemplateError> {
    if !template.contains("{{") && !template.contains("{%") {
        return Ok(template.to_owned());
    }
    environment().render_str(template, minijinja::value::Serde(&scope.0)).map_err(|problem| error(template, &problem))
}

/// Renders every text inside a value. A text that is nothing but one `{{ expression }}` becomes the value of that
/// expression, with its type, so that numbers and flags can be passed on.
///
/// # Errors
/// [`TemplateError`] of the first text that cannot be rendered.
pub fn render_value(value: &Value, scope: &TemplateScope) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => match sole_expression(text) {
            Some(expression) => {
                let environment = environment();
                let compiled = environment.compile_expression(expression).map_err(|problem| error(text, &problem))?;
                let result =
                    compiled.eval(minijinja::value::Serde(&scope.0)).map_err(|problem| error(text, &problem))?;
                if result.is_undefined() {
                    return Err(TemplateError { template: text.clone(), problem: "undefined value".to_owned() });
                }
                serde_json::to_value(&result)
                    .map_err(|problem| TemplateError { template: text.clone(), problem: problem.to_string() })?
            }
            None => Value::String(render(text, scope)?),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| render_value(item, scope)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, item)| Ok((key.clone(), render_value(item, scope)?)))
                .collect::<Result<_, TemplateError>>()?,
        ),
        other => other.clone(),
    })
}

fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

/// Evaluates a condition.
///
/// # Errors
/// [`TemplateError`] for bad syntax and for every value that is not defined.
pub fn evaluate_when(expression: &str, scope: &TemplateScope) -> Result<bool, TemplateError> {
    let environment = environment();
    let compiled = environment.compile_expression(expression).map_err(|problem| error(expression, &problem))?;
    let value = compiled.eval(minijinja::value::Serde(&scope.0)).map_err(|problem| error(expression, &problem))?;
    if value.is_undefined() {
        return Err(TemplateError { template: expression.to_owned(), problem: "undefined value".to_owned() });
    }
    Ok(value.is_true())
}

/// The variables that a template (or, with `condition`, an expression) uses, dotted: `params.verify`, `steps.dump.path`.
///
/// # Errors
/// [`TemplateError`] for bad syntax.
pub fn check_template(template: &str, condition: bool) -> Result<BTreeSet<String>, TemplateError> {
    let environment = environment();
    let variables = if condition {
        environment
            .compile_expression(template)
            .map_err(|problem| error(template, &problem))?
            .undeclared_variables(true)
    } else {
        environment.template_from_str(template).map_err(|problem| error(template, &problem))?.undeclared_variables(true)
    };
    Ok(variables.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> TemplateScope {
        TemplateScope::default()
            .with("source", "prod")
            .with("params", json!({ "verify": false, "count": 3 }))
            .with("steps", json!({ "snapshot": { "uuid": "u1" } }))
    }

    #[test]
    fn the_values_of_a_plan_a_run_and_a_unit() {
        let site = |name: &str| SiteName::new(name).expect("a name");
        let direction = Direction { source: site("prod"), target: site("bcp") };
        let params = Map::from_iter([("deep".to_owned(), json!(true))]);
        let unit = UnitKey::try_from("stage/step@bcp".to_owned()).expect("a unit");
        let captures =
            [("a", json!({ "estimated_bytes": 2 })), ("b", json!({ "estimated_bytes": 3, "x": 1 })), ("c", json!({}))];
        let captures = captures
            .map(|(id, values)| (StepId::new(id).expect("a name"), values.as_object().cloned().expect("values")));
        let scope = TemplateScope::of_plan(&direction, ("Here", "There"), &site("shop"), &params)
            .of_run(&RunId::new("r1").expect("a name"), &PointId::new("p-1").expect("a name"))
            .at(&unit)
            .after(captures.iter().map(|(id, values)| (id, values)));
        let text = "{{ source }} {{ target }} {{ source_title }} {{ target_title }} {{ estate }} {{ params.deep }} \
                    {{ run.id }} {{ point.id }} {{ site }} {{ host }} {{ steps.b.x }} {{ estimated_bytes }}";
        assert_eq!(render(text, &scope).as_deref(), Ok("prod bcp Here There shop True r1 p-1 bcp None 1 5"));
    }

    #[test]
    fn undefined_is_an_error_and_never_empty() {
        assert_eq!(render("from {{ source }}", &scope()), Ok("from prod".to_owned()));
        assert!(render("{{ sauce }}", &scope()).is_err());
        assert!(render("{{ steps.snapshot.name }}", &scope()).is_err());
        assert!(evaluate_when("params.verfy", &scope()).is_err());
        assert_eq!(evaluate_when("not params.verify and params.count == 3", &scope()), Ok(true));
    }

    #[test]
    fn a_sole_expression_keeps_its_type() {
        let value =
            json!({ "flag": "{{ params.verify }}", "text": "n={{ params.count }}", "list": ["{{ params.count }}"] });
        assert_eq!(render_value(&value, &scope()), Ok(json!({ "flag": false, "text": "n=3", "list": [3] })));
    }

    #[test]
    fn used_variables_are_listed_with_their_path() {
        let used = check_template("{{ steps.snapshot.uuid }} {{ source }}", false).expect("valid");
        assert!(used.contains("steps.snapshot.uuid") && used.contains("source"), "{used:?}");
        assert!(check_template("{{ a", false).is_err());
    }
}
