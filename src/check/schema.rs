//! The JSON Schemas that editors use: made from the types that are decoded, with what the kinds know put in.

use serde_json::{Map, Value, json};

use crate::estate::Estate;
use crate::runbook::Runbook;
use crate::systems::{Catalogue, ServiceKind};

/// The schema of estate files. A service has the settings of its kind, and tables with the same settings per site.
#[must_use]
pub fn estate_schema(catalogue: &Catalogue) -> Value {
    let mut schema = Value::from(schemars::schema_for!(Estate));
    let mut definitions = Map::new();
    let mut kinds = Vec::new();
    for kind in catalogue.services() {
        let (settings, own) = settings_of(kind);
        definitions.extend(own);
        let at_site = format!("{}_at_site", kind.name);
        let mut properties =
            Map::from_iter([("kind".to_owned(), json!({ "const": kind.name, "description": kind.summary }))]);
        let known = settings.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        properties.extend(known.into_iter().filter(|(name, _)| name != "kind"));
        kinds.push(json!({
            "type": "object",
            "description": kind.summary,
            "properties": properties,
            "required": ["kind"],
            "additionalProperties": { "$ref": format!("#/$defs/{at_site}") },
        }));
        definitions.insert(at_site, settings);
    }
    if let Some(known) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        let description = known.get("Service").and_then(|service| service.get("description")).cloned();
        if !kinds.is_empty() {
            known.insert("Service".to_owned(), json!({ "description": description, "oneOf": kinds }));
        }
        known.extend(definitions);
    }
    schema
}

/// The settings of a kind with nothing required (what is missing in one table may stand in the other), and the
/// definitions they refer to, under names of their own.
fn settings_of(kind: &ServiceKind) -> (Value, Map<String, Value>) {
    let mut settings = Value::from(kind.schema());
    prefix_references(&mut settings, kind.name);
    let mut definitions = Map::new();
    if let Some(keywords) = settings.as_object_mut() {
        for word in ["$schema", "required", "title"] {
            keywords.shift_remove(word);
        }
        if let Some(Value::Object(own)) = keywords.shift_remove("$defs") {
            definitions.extend(own.into_iter().map(|(name, schema)| (format!("{}_{name}", kind.name), schema)));
        }
    }
    (settings, definitions)
}

fn prefix_references(value: &mut Value, prefix: &str) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::String(target) if key == "$ref" => {
                        *target = target.replace("#/$defs/", &format!("#/$defs/{prefix}_"));
                    }
                    _ => prefix_references(inner, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prefix_references(item, prefix)),
        _ => {}
    }
}

/// The schema of runbook files. `uses` is one of the known kinds, and decides what `with` may hold; every parameter may
/// be a template.
#[must_use]
pub fn runbook_schema(catalogue: &Catalogue) -> Value {
    let mut schema = Value::from(schemars::schema_for!(Runbook));
    let kinds: Vec<Value> =
        catalogue.kinds().iter().map(|kind| json!({ "const": kind.name, "description": kind.summary })).collect();
    let rules: Vec<Value> = catalogue
        .kinds()
        .iter()
        .map(|kind| {
            let parameters = Value::from(kind.schema());
            let names = parameters.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let properties: Map<String, Value> = names
                .into_iter()
                .map(|(name, schema)| {
                    let description = schema.get("description").cloned().unwrap_or_default();
                    (name, json!({ "description": description }))
                })
                .collect();
            let closed = parameters.get("additionalProperties") == Some(&Value::Bool(false));
            json!({
                "if": { "properties": { "uses": { "const": kind.name } } },
                "then": { "properties": { "with": { "properties": properties, "additionalProperties": !closed } } },
            })
        })
        .collect();
    let step =
        schema.get_mut("$defs").and_then(|definitions| definitions.get_mut("Step")).and_then(Value::as_object_mut);
    if let Some(step) = step.filter(|_| !kinds.is_empty()) {
        if let Some(uses) = step.get_mut("properties").and_then(|properties| properties.get_mut("uses")) {
            let description = uses.get("description").cloned();
            *uses = json!({ "description": description, "oneOf": kinds });
        }
        step.insert("allOf".to_owned(), Value::Array(rules));
    }
    schema
}
