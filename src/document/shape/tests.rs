use schemars::JsonSchema;
use serde_json::Value;

use super::*;
use crate::document::parse_toml;
use crate::model::{HostName, Limit, SecretSource, SourceText};

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Sample {
    name: HostName,
    /// How long. More words.
    wait: Option<Span>,
    most: Option<Limit>,
    word: Option<Word>,
    how: Option<How>,
    act: Option<Act>,
    password: Option<SecretSource>,
    #[schemars(default)]
    list: Vec<u8>,
    flag: Option<bool>,
    nested: Option<std::collections::BTreeMap<HostName, Inner>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Inner {
    depth: u8,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Word {
    /// One.
    Push,
    /// Two.
    Pull,
}

#[derive(JsonSchema)]
#[schemars(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
enum How {
    Ssh { host: String },
    Port { number: u16 },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Act {
    /// One.
    Stop,
    /// Two.
    Resume,
    /// Three.
    Run(String),
}

fn problems(text: &str) -> Vec<String> {
    let source = SourceText { name: "t.toml".to_owned(), text: text.to_owned() };
    let root = parse_toml(&source).expect("valid TOML");
    let schema = Value::from(schemars::schema_for!(Sample));
    let found = check_shape("t.toml", &root, "", &(0..0), &schema, ShapeRules::default());
    found
        .problems
        .iter()
        .map(|problem| {
            let span = problem.span.clone().expect("every problem has a place");
            let hint = problem.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} at {:?}: {}{hint}", problem.path, &text[span], problem.message)
        })
        .collect()
}

#[test]
fn what_fits_passes() {
    let text = r#"
name = "a"
wait = "1h30m"
most = "5%"
word = "push"
how = { by = "ssh", host = "x" }
password = { command = ["pass", "x"] }
list = [1, 2]
flag = true
nested.one = { depth = 3 }
"#;
    assert_eq!(problems(text), Vec::<String>::new());
}

#[test]
fn everything_wrong_is_said_at_once_at_its_place() {
    let text = r#"
nmae = "a"
wait = 90
most = "500%"
word = "psh"
how = { by = "ssh", hots = "x" }
password = "hunter2"
list = ["1", 300]
flag = "true"
nested."-x" = { depth = 3, dept = 1 }
"#;
    insta::assert_snapshot!(problems(text).join("\n"));
}

#[test]
fn the_short_and_the_long_form_are_told_apart() {
    for (text, expected) in [
        (
            "password = { comand = \"x\" }",
            "password.comand at \"comand\": unknown key `comand` (did you mean `command`? known here: command, file, credential)",
        ),
        ("password = { command = 1 }", "password.command at \"1\": must be text or a list, not a whole number"),
        (
            "password = { file = \"a\", command = \"b\" }",
            "password at \"password\": only one of `command`, `file` can be given",
        ),
        (
            "how = { by = \"carrier pigeon\" }",
            "how.by at \"\\\"carrier pigeon\\\"\": `carrier pigeon` is not known here",
        ),
    ] {
        let found = problems(&format!("name = \"a\"\n{text}"));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{text}: {found:?}");
    }
}

#[test]
fn a_table_that_says_wrongly_which_of_several_it_is_is_asked_for_that_word() {
    assert_eq!(
        problems("name = \"a\"\nhow = { by = \"shh\", host = \"x\" }\n"),
        ["how.by at \"\\\"shh\\\"\": `shh` is not known here (did you mean \"ssh\"? one of \"ssh\", \"port\")"]
    );
    assert_eq!(
        problems("name = \"a\"\nhow = { host = \"x\" }\n"),
        ["how.by at \"how\": `by` is missing (one of \"ssh\", \"port\")"]
    );
}

#[test]
fn a_wrong_word_beside_longer_forms_is_told_all_the_right_ones() {
    assert_eq!(problems("name = \"a\"\nact = \"resume\"\n"), Vec::<String>::new());
    assert_eq!(problems("name = \"a\"\nact = { run = \"x\" }\n"), Vec::<String>::new());
    assert_eq!(
        problems("name = \"a\"\nact = \"resum\"\n"),
        ["act at \"\\\"resum\\\"\": `resum` is not known here (did you mean \"resume\"? one of \"stop\", \"resume\")"]
    );
}
