//! What the binary tells of itself: kinds, schemas, completions, usage.

use serde_json::Value;

use crate::home::Home;

#[test]
fn kinds_are_listed_and_explained() {
    let home = Home::new();
    let all = home.run(&["kinds"]);
    assert_eq!(all.code, 0);
    let row = all.out.lines().find(|line| line.starts_with("files.collect ")).expect("a row");
    assert_eq!(row.split_whitespace().nth(1), Some("writes"), "{row}");
    let one = home.run(&["kinds", "files.collect"]);
    assert!(one.out.contains("accept_deletions  (true or false, default false)"), "{}", one.out);
    let room = home.run(&["kinds", "files"]);
    assert!(room.out.contains("(a kind of service)") && room.out.contains("files.verify"), "{}", room.out);
    let listed: Value = serde_json::from_str(&home.run(&["kinds", "--json"]).out).expect("JSON");
    let steps = listed["steps"].as_array().expect("a list");
    assert!(
        steps
            .iter()
            .any(|step| step["name"] == "files.collect" && step["effect"] == "writes" && step["schema"].is_object())
    );
    let unknown = home.run(&["kinds", "files.colect"]);
    assert!(unknown.code == 2 && unknown.err.contains("did you mean `files.collect`?"), "{}", unknown.err);
}

/// Every `$ref` of a schema that leads nowhere.
fn dangling(root: &Value, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(target) = map.get("$ref").and_then(Value::as_str)
                && target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)).is_none()
            {
                found.push(target.to_owned());
            }
            map.values().for_each(|inner| dangling(root, inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| dangling(root, inner, found)),
        _ => {}
    }
}

#[test]
fn schemas_know_the_kinds() {
    let home = Home::new();
    for file in ["estate", "runbook"] {
        let ran = home.run(&["schema", file]);
        assert_eq!(ran.code, 0);
        let schema: Value = serde_json::from_str(&ran.out).expect("JSON");
        let mut found = Vec::new();
        dangling(&schema, &schema, &mut found);
        assert!(found.is_empty(), "{file}: {found:?}");
        let known = if file == "estate" { "\"const\": \"files\"" } else { "\"const\": \"files.collect\"" };
        assert!(ran.out.contains(known), "{file}");
    }
}

#[test]
fn schemas_of_what_a_user_prefers_know_scopes_and_switches() {
    let home = Home::new();
    for (file, known) in [("theme", "\"badge_simulated\""), ("config", "\"reduced_motion\"")] {
        let ran = home.run(&["schema", file]);
        let schema: Value = serde_json::from_str(&ran.out).expect("JSON");
        let mut found = Vec::new();
        dangling(&schema, &schema, &mut found);
        assert!(ran.code == 0 && found.is_empty() && ran.out.contains(known), "{file}: {found:?}");
    }
}

#[test]
fn completions_know_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = home.run(&["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains("changeover") && ran.out.contains("schema"), "{shell}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let home = Home::new();
    let help = home.run(&["--help"]);
    assert!(help.code == 0 && help.out.contains("Exit codes:"), "{}", help.out);
    for arguments in [&["chek"][..], &[], &["kinds", "--wat"]] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!ran.err.is_empty());
    }
}
