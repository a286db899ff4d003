//! `changeover kinds`: what steps and services there are, and what each can be told.

use serde_json::{Map, Value, json};

use super::{App, CliError, Exit};
use crate::model::did_you_mean;
use crate::systems::{KindEntry, ServiceKind};

/// The arguments of `kinds`.
#[derive(Debug, clap::Args)]
pub struct KindsArgs {
    /// A step kind such as `mysql.dump`, a service kind such as `mysql`, or the first part of several names
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(app: &mut App, args: &KindsArgs) -> Result<Exit, CliError> {
    let wanted = args.name.as_deref();
    let steps: Vec<&KindEntry> =
        app.catalogue.kinds().iter().filter(|kind| wanted.is_none_or(|wanted| is_wanted(kind.name, wanted))).collect();
    let services: Vec<&ServiceKind> =
        app.catalogue.services().iter().filter(|kind| wanted.is_none_or(|wanted| kind.name == wanted)).collect();
    if let Some(wanted) = wanted
        && steps.is_empty()
        && services.is_empty()
    {
        let names = app.catalogue.kinds().iter().map(|kind| kind.name);
        let names = names.chain(app.catalogue.services().iter().map(|kind| kind.name));
        let hint = did_you_mean(wanted, names)
            .map_or_else(|| "`changeover kinds` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
        return Err(CliError::invalid(format!("there is no kind `{wanted}`")).hint(hint));
    }
    let text = if args.json {
        let report = json!({
            "steps": steps.iter().map(|kind| step_json(kind)).collect::<Value>(),
            "services": services.iter().map(|kind| json!({
                "name": kind.name, "summary": kind.summary, "schema": kind.schema(),
            })).collect::<Value>(),
        });
        format!("{report:#}\n")
    } else if wanted.is_some() {
        let mut text = String::new();
        for kind in services {
            let settings = parameters("settings", &Value::from(kind.schema()), app.io.width);
            text.push_str(&[kind.name, ": ", kind.summary, "\n(a kind of service)\n", &settings, "\n"].concat());
        }
        match steps[..] {
            [] => {}
            [kind] => text.push_str(&explain(kind, app.io.width)),
            _ => text.push_str(&table(&steps)),
        }
        text
    } else {
        let mut text = table(&steps);
        text.push_str("\nServices\n");
        let width = services.iter().map(|kind| kind.name.len()).max().unwrap_or_default();
        for kind in services {
            text.push_str(format!("  {:width$}  {}", kind.name, kind.summary).trim_end());
            text.push('\n');
        }
        text.push_str("\n`changeover kinds NAME` explains one.\n");
        text
    };
    app.io.out.write_all(text.as_bytes())?;
    app.io.out.flush()?;
    Ok(Exit::Done)
}

fn is_wanted(name: &str, wanted: &str) -> bool {
    name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}

fn step_json(kind: &KindEntry) -> Value {
    json!({
        "name": kind.name,
        "summary": kind.summary,
        "effect": kind.effect.to_string(),
        "service": kind.service,
        "interrupted": kind.interrupted,
        "timeout": kind.timeout,
        "schema": kind.schema(),
    })
}

fn table(steps: &[&KindEntry]) -> String {
    let width = steps.iter().map(|kind| kind.name.len()).max().unwrap_or_default().max(4);
    let mut text = format!("{:width$}  {:8}  WHAT IT DOES\n", "STEP", "EFFECT");
    for kind in steps {
        text.push_str(format!("{:width$}  {:8}  {}", kind.name, kind.effect, kind.summary).trim_end());
        text.push('\n');
    }
    text
}

fn explain(kind: &KindEntry, width: usize) -> String {
    let service = kind.service.map_or_else(|| "none".to_owned(), |service| format!("one of kind {service}"));
    let after_crash = match kind.interrupted {
        crate::runbook::Interrupted::Repeat => "is done again",
        crate::runbook::Interrupted::Verify => "looks first whether it happened",
        crate::runbook::Interrupted::Ask => "a person is asked",
    };
    format!(
        "{}: {}\n\n  effect       {}\n  service      {service}\n  time limit   {}\n  after crash  {after_crash}\n\n{}",
        kind.name,
        kind.summary,
        kind.effect,
        kind.timeout,
        parameters("parameters (with = { … })", &Value::from(kind.schema()), width)
    )
}

/// The properties of a schema, one block each.
fn parameters(title: &str, schema: &Value, width: usize) -> String {
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if properties.is_empty() {
        return format!("no {title}\n");
    }
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut lines = vec![title.to_owned()];
    for (name, property) in &properties {
        let need = if required.contains(&name.as_str()) {
            "required".to_owned()
        } else {
            match property.get("default") {
                None | Some(Value::Null) => "optional".to_owned(),
                Some(default) => format!("default {default}"),
            }
        };
        lines.push(format!("  {name}  ({}, {need})", type_of(schema, property, 0)));
        let own = property.get("description").and_then(Value::as_str);
        let described = own.or_else(|| resolve(schema, property).get("description").and_then(Value::as_str));
        let described = wrap(described.unwrap_or_default(), width.saturating_sub(6));
        lines.extend(described.into_iter().map(|line| format!("      {line}")));
    }
    lines.join("\n") + "\n"
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
    name.and_then(|name| root.get("$defs")?.get(name)).unwrap_or(schema)
}

/// The type in a few words.
fn type_of(root: &Value, schema: &Value, depth: usize) -> String {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
    match target {
        Some("Span") => return "duration".to_owned(),
        Some("Limit") => return "number or percentage".to_owned(),
        Some("SecretSource") => return "secret".to_owned(),
        _ => {}
    }
    let schema = resolve(root, schema);
    let empty = Map::new();
    let keywords = schema.as_object().unwrap_or(&empty);
    if let Some(word) = keywords.get("const") {
        return word.to_string();
    }
    let alternatives =
        ["enum", "oneOf", "anyOf"].into_iter().find_map(|word| keywords.get(word)).and_then(Value::as_array);
    if let Some(alternatives) = alternatives.filter(|_| depth < 4) {
        let mut words: Vec<String> = Vec::new();
        for alternative in alternatives {
            let word =
                if alternative.is_object() { type_of(root, alternative, depth + 1) } else { alternative.to_string() };
            if word != "null" && !words.contains(&word) {
                words.push(word);
            }
        }
        return words.join(" or ");
    }
    let names: Vec<&str> = match keywords.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    };
    match names[..] {
        ["array"] if depth < 4 => match keywords.get("items") {
            Some(items) => format!("list of {}", type_of(root, items, depth + 1)),
            None => "list".to_owned(),
        },
        ["string"] => "text".to_owned(),
        ["integer"] => "whole number".to_owned(),
        ["boolean"] => "true or false".to_owned(),
        ["object"] => "table".to_owned(),
        [] => "anything".to_owned(),
        _ => names.join(" or "),
    }
}

/// Breaks text at blanks; lines of the text itself are joined, paragraphs are kept apart.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Limit, SecretSource, Span};
    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Sample {
        /// The name of the thing, which is long enough to be broken into two lines when the screen is narrow.
        name: String,
        #[schemars(default)]
        wait: Option<Span>,
        #[schemars(default = "five")]
        most: u8,
        limit: Option<Limit>,
        password: Option<SecretSource>,
        how: Option<How>,
        list: Vec<String>,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is used")]
    enum How {
        Push,
        Pull,
    }

    fn five() -> u8 {
        5
    }

    #[test]
    fn parameters_are_explained_from_their_schema() {
        insta::assert_snapshot!(parameters("parameters", &Value::from(schemars::schema_for!(Sample)), 60));
    }

    #[test]
    fn a_first_part_selects_all_of_a_room() {
        assert!(is_wanted("mysql.dump", "mysql") && is_wanted("mysql.dump", "mysql.dump"));
        assert!(!is_wanted("mysqlx.dump", "mysql") && !is_wanted("mysql.dump", "mysql.du"));
    }
}
