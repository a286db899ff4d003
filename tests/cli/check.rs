//! `check`: every problem of estate and runbooks in one pass, each with its place.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::home::{Home, collect, runbook};

#[test]
fn check_names_file_and_line_and_ends_with_2() {
    let home = Home::with_estate();
    let text = fs::read_to_string(home.path().join("estate.toml")).expect("the estate");
    home.write(
        "estate.toml",
        &text.replace("active = \"prod\"", "active = \"prd\"").replace("kind = \"mysql\"", "kind = \"mysqll\""),
    );
    home.write("runbooks/collect.toml", &collect().replace("files.collect", "files.colect"));
    let ran = home.run(&["check", "collect"]);
    assert_eq!(ran.code, 2);
    for part in [
        "--> estate.toml:6:10",
        "did you mean `prod`?",
        "did you mean `mysql`?",
        "--> runbooks/collect.toml:12:8",
        "did you mean `files.collect`?",
        "estate.toml and 1 runbook: 3 errors",
    ] {
        assert!(ran.out.contains(part), "{part}:\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "colours nobody asked for");
}

/// Everything that a check is for, wrong in one runbook: what follows the beginning of its first step.
const ALL_WRONG: &str = r#"id = "twice"
uses = "basic.command"
on = "prod"
timeout = "0s"
with = { run = ["ping", "10.0.1.11"] }

[[stages.steps]]
id = "twice"
uses = "basic.command"
on = "source"
with = { run = ["echo", "{{ params.nothing }}", "bcp"], shell = true }

[[stages.steps]]
id = "never"
uses = "basic.comand"
on = "source"
when = "false"

[[stages]]
id = "two"
title = "Two"
needs = ["three"]
when = "1 == 2"

[[stages.steps]]
id = "wait"
uses = "basic.wait"
on = "console"
with = { "for" = "5s" }

[[stages]]
id = "three"
title = "Three"

[[stages.steps]]
id = "again"
uses = "basic.wait"
on = "console"
needs = ["later"]
with = { "for" = "5s" }
"#;

#[test]
fn check_finds_every_problem_in_one_pass() {
    let home = Home::with_estate();
    let text = fs::read_to_string(home.path().join("estate.toml")).expect("the estate");
    let even = text.replace("http://10.0.2.11:9200", "http://10.0.2.11:9200\", \"http://10.0.2.12:9200");
    let one_site = "\n[services.lonely]\nkind = \"redis\"\nprod = { address = \"10.0.1.11\" }\n";
    let secret = "\n[services.other]\nkind = \"mysql\"\ndatabases = [\"x\"]\nuser = \"u\"\n\
                  password = { file = \"open-secret\" }\nprod = { via = \"ssh\" }\nbcp = { via = \"ssh\" }\n";
    home.write("estate.toml", &format!("colour = \"red\"\n{even}{one_site}{secret}"));
    home.write("open-secret", "s3cret\n");
    fs::set_permissions(home.path().join("open-secret"), fs::Permissions::from_mode(0o644)).expect("its mode");
    let wrong = runbook("wrong", "Wrong for {{ sorce }}", "one", ALL_WRONG);
    home.write("runbooks/wrong.toml", &wrong);
    let ran = home.run(&["check", "--json", "wrong"]);
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let problems = report["problems"].as_array().expect("problems");
    for (file, excerpt, words) in [
        ("estate.toml", "colour", "unknown key `colour`"),
        ("estate.toml", "10.0.2.12", "2 search nodes tolerate no more failures than 1"),
        ("estate.toml", "lonely", "bcp"),
        ("estate.toml", "open-secret", "others can read the secret"),
        ("runbooks/wrong.toml", "{{ sorce }}", "`sorce` is"),
        ("runbooks/wrong.toml", "on = \"prod\"", "`prod` is not a place"),
        ("runbooks/wrong.toml", "timeout = \"0s\"", "can never succeed"),
        ("runbooks/wrong.toml", "10.0.1.11", "names the host prod:app1 literally"),
        ("runbooks/wrong.toml", "id = \"twice\"", "a step of this id too"),
        ("runbooks/wrong.toml", "{{ params.nothing }}", "declares no parameter `nothing`"),
        ("runbooks/wrong.toml", "\"bcp\"", "names the site `bcp` literally"),
        ("runbooks/wrong.toml", "shell = true", "unknown key `shell`"),
        ("runbooks/wrong.toml", "basic.comand", "there is no step kind `basic.comand`"),
        ("runbooks/wrong.toml", "needs = [\"three\"]", "could never start"),
        ("runbooks/wrong.toml", "when = \"1 == 2\"", "is never true"),
        ("runbooks/wrong.toml", "needs = [\"later\"]", "could never start"),
    ] {
        let text = |problem: &Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        let is_it = |problem: &&Value| {
            text(problem, "file") == file
                && text(problem, "excerpt").contains(excerpt)
                && text(problem, "message").contains(words)
        };
        assert!(problems.iter().any(|problem| is_it(&problem)), "{file}: {excerpt}: {words}\n{report:#}");
    }
    // Each at its own line: the second step of an id is not the first.
    let line = |words: &str| {
        let lines = wrong.lines().enumerate().filter(|(_, line)| line.contains(words)).map(|(line, _)| line + 1);
        lines.collect::<Vec<_>>()
    };
    let at = |words: &str| {
        let found =
            problems.iter().find(|problem| problem["message"].as_str().is_some_and(|text| text.contains(words)));
        found.and_then(|problem| problem["line"].as_u64()).and_then(|line| usize::try_from(line).ok())
    };
    assert_eq!(at("`prod` is not a place"), line("on = \"prod\"").first().copied());
    assert_eq!(at("a step of this id too"), line("id = \"twice\"").last().copied());
}

#[test]
fn warnings_do_not_fail_a_check() {
    let home = Home::with_estate();
    let text = fs::read_to_string(home.path().join("estate.toml")).expect("the estate");
    home.write(
        "estate.toml",
        &text.replace("http://10.0.2.11:9200", "http://10.0.2.11:9200\", \"http://10.0.2.12:9200"),
    );
    let ran = home.run(&["check", "collect"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.contains("2 search nodes tolerate no more failures than 1"), "{}", ran.out);
    assert!(ran.out.ends_with("estate.toml and 1 runbook: 1 warning\n"), "{}", ran.out);
}

#[test]
fn check_speaks_json() {
    let home = Home::with_estate();
    home.write("runbooks/collect.toml", &collect().replace("on = \"source\"", "on = \"prod\""));
    let ran = home.run(&["check", "--json", "collect"]);
    assert_eq!(ran.code, 2);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report["errors"], 1);
    let problem = &report["problems"][0];
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&"runbooks/collect.toml".into(), &13.into(), &6.into())
    );
    assert_eq!(problem["path"], "stages.files.steps.collect.on");
    assert_eq!(problem["excerpt"], "on = \"prod\"");
}

#[test]
fn colours_follow_the_options_and_the_environment() {
    let home = Home::with_estate();
    home.write("runbooks/collect.toml", "x");
    let is_coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        home.run_with(&[arguments, &["check", "collect"]].concat(), environment).out.contains('\u{1b}')
    };
    assert!(!is_coloured(&[], &[]));
    assert!(is_coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(is_coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_coloured(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!is_coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}
