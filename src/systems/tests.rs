//! The whole catalogue: every kind keeps the promises that runbooks, estates, schemas and listings rely on.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::catalogue;

/// Lower case letters, digits and dashes, starting with a letter.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn summary_is_fit(name: &str, summary: &str) {
    assert!(!summary.trim().is_empty(), "{name} has no summary");
    assert!(summary.chars().count() <= 80, "{name}: the summary is longer than 80 characters");
    assert!(
        !summary.ends_with('.') && !summary.contains('\n'),
        "{name}: the summary is one phrase without a full stop"
    );
}

/// Every table of a schema that holds properties: the root, and what it refers to.
fn tables<'a>(name: &str, schema: &'a Value, found: &mut Vec<(String, &'a Map<String, Value>)>) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) || map.get("type") == Some(&"object".into()) {
                found.push((name.to_owned(), map));
            }
            for (key, inner) in map.iter().filter(|(key, _)| !matches!(key.as_str(), "default" | "const" | "enum")) {
                tables(&format!("{name}/{key}"), inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| tables(name, item, found)),
        _ => {}
    }
}

/// Checks that a schema describes every property and leaves no room for unknown ones.
fn schema_is_strict(name: &str, schema: &schemars::Schema) {
    let json = schema.as_value();
    let mut found = Vec::new();
    tables(name, json, &mut found);
    assert!(!found.is_empty(), "{name}: the schema describes no table: {json}");
    for (path, table) in found {
        // A table inside without any property of its own is a map, whose keys are free.
        if path == name || table.contains_key("properties") {
            assert_eq!(table.get("additionalProperties"), Some(&Value::Bool(false)), "{path} takes unknown keys");
        }
        // The tag of a choice is described by the choice itself.
        let named = table.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (property, schema) in named.filter(|(_, schema)| schema.get("const").is_none()) {
            let choice = path.contains("/oneOf") || path.contains("/anyOf");
            let described =
                schema.get("description").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
            assert!(described || choice, "{path}: `{property}` has no description");
        }
    }
}

/// The names that a schema's root requires.
fn required(schema: &schemars::Schema) -> Vec<String> {
    let names = schema.as_value().get("required").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Checks what decoding says of an empty map and of an unknown key.
fn decoding_is_exact(
    name: &str,
    schema: &schemars::Schema,
    decode: impl Fn(&Map<String, Value>) -> Result<(), String>,
) {
    match (decode(&Map::new()), required(schema)) {
        (Ok(()), required) => {
            assert!(required.is_empty(), "{name} works without {required:?}, which its schema requires");
        }
        (Err(said), required) => assert!(
            required.iter().any(|field| said.contains(&format!("`{field}`"))),
            "{name} does not say which of {required:?} is missing: {said}"
        ),
    }
    let unknown = Map::from_iter([("no_such_key".to_owned(), Value::Bool(true))]);
    let said = decode(&unknown).expect_err("an unknown key was taken");
    assert!(said.contains("no_such_key"), "{name} does not name the unknown key: {said}");
}

#[test]
fn every_step_kind_keeps_its_promises() {
    let catalogue = catalogue();
    let mut names = BTreeSet::new();
    assert!(catalogue.kinds().len() > 10);
    for kind in catalogue.kinds() {
        let name = kind.name;
        assert!(names.insert(name), "{name} is there twice");
        let (room, verb) = name.split_once('.').expect("a name of the form room.verb");
        assert!(is_word(room) && is_word(verb), "{name} is not of the form room.verb");
        summary_is_fit(name, kind.summary);
        assert!(!kind.timeout.0.is_zero(), "{name} may take no time");
        if let Some(service) = kind.service {
            assert!(catalogue.service(service).is_some(), "{name} needs a service of the unknown kind {service}");
        }
        let schema = kind.schema();
        schema_is_strict(name, &schema);
        decoding_is_exact(name, &schema, |params| kind.decode(params).map(drop));
    }
}

#[test]
fn every_service_kind_keeps_its_promises() {
    let catalogue = catalogue();
    let mut names = BTreeSet::new();
    // A room without steps is not furnished yet: nothing can be done with its services.
    let furnished = |name: &str| catalogue.kinds().iter().any(|kind| kind.service == Some(name));
    for service in catalogue.services().iter().filter(|service| furnished(service.name)) {
        let name = service.name;
        assert!(names.insert(name) && is_word(name), "{name}");
        summary_is_fit(name, service.summary);
        let schema = service.schema();
        schema_is_strict(name, &schema);
        decoding_is_exact(name, &schema, |settings| service.check(settings));
    }
    assert!(names.len() >= 3, "only {names:?} were looked at");
}
