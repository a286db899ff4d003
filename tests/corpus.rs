//! Files as operators write them: the good ones pass, and for the bad ones every problem is said, at its place.
//!
//! The kinds are stand-ins, so that this corpus is about files and not about any one system.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use changeover::check;
use changeover::cli::{Excerpts, Io, config};
use changeover::document::{Parsed, has_errors};
use changeover::estate::Estate;
use changeover::model::{Diagnostic, Failure, HostName, SafeText, SecretSource, SourceText};
use changeover::style::Themes;
use changeover::systems::{Catalogue, Effect, Step, StepContext, StepDone, service_kind, step_kind};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only decoded")]
struct Search {
    /// The addresses of the nodes.
    urls: Vec<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    password: Option<SecretSource>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "DatabaseForm")]
#[schemars(with = "DatabaseForm")]
struct Database;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only decoded")]
struct DatabaseForm {
    /// The databases to copy.
    databases: Vec<String>,
    user: String,
    #[serde(default)]
    password: Option<SecretSource>,
    #[serde(default)]
    via: Via,
    #[serde(default)]
    host: Option<HostName>,
}

impl TryFrom<DatabaseForm> for Database {
    type Error = String;
    fn try_from(form: DatabaseForm) -> Result<Self, String> {
        if form.databases.is_empty() { Err("`databases` is empty: name at least one".to_owned()) } else { Ok(Self) }
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Via {
    #[default]
    Ssh,
    Port,
}

macro_rules! steps {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty),* })*) => {$(
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only decoded")]
        struct $name { $($(#[$meta])* $field: $type),* }

        #[async_trait]
        impl Step for $name {
            async fn preview(&self, _: &StepContext) -> Result<Vec<SafeText>, Failure> {
                Ok(Vec::new())
            }
            async fn run(&self, _: &StepContext) -> Result<StepDone, Failure> {
                Ok(StepDone::new())
            }
        }
    )*};
}

steps! {
    Snapshot { #[serde(default)] indices: Option<String>, #[serde(default)] name: Option<String> }
    Restore { uuid: String }
    Command { #[doc = "The program to start."] program: Program }
    Confirm { #[serde(default)] note: Option<String> }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
struct Program;

impl TryFrom<String> for Program {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() { Err("`program` is empty".to_owned()) } else { Ok(Self) }
    }
}

fn catalogue() -> Catalogue {
    Catalogue::of(
        vec![
            step_kind::<Snapshot>("search.snapshot", "Take a snapshot").effect(Effect::Writes).service("elasticsearch"),
            step_kind::<Restore>("search.restore", "Restore a snapshot")
                .effect(Effect::Destroys)
                .service("elasticsearch"),
            step_kind::<Command>("basic.command", "Run a command"),
            step_kind::<Confirm>("basic.confirm", "Ask a person").only_asks(),
        ],
        vec![
            service_kind::<Search>("elasticsearch", "Search"),
            service_kind::<Database>("mysql", "Database"),
            service_kind::<serde_json::Map<String, serde_json::Value>>("open", "Anything"),
        ],
    )
}

fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn source(path: &Path) -> SourceText {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    SourceText { name, text: std::fs::read_to_string(path).expect("text") }
}

fn good_estate() -> Estate {
    let path = corpus("valid").into_iter().find(|path| path.ends_with("estate.toml")).expect("estate.toml");
    check::estate(&source(&path), &catalogue()).into_result().expect("a good estate").0
}

/// The problems of a file and what a person sees of them.
fn examine(source: &SourceText, estate: &Estate, catalogue: &Catalogue) -> (Vec<Diagnostic>, String) {
    fn shown<T>(parsed: &Parsed<T>) -> String {
        let mut excerpts = Excerpts::default();
        excerpts.add(parsed);
        excerpts.render(&parsed.problems, &Io::silent())
    }
    if source.name.starts_with("runbook-") {
        let parsed = check::runbook(source, Some(estate), catalogue);
        let text = shown(&parsed);
        (parsed.problems, text)
    } else if source.name.starts_with("theme-") {
        let parsed = Themes::default().judge("theme-extends-itself", source);
        let text = shown(&parsed);
        (parsed.problems, text)
    } else if source.name.starts_with("config-") {
        let parsed = config::examine(source, &Themes::default().names());
        let text = shown(&parsed);
        (parsed.problems, text)
    } else {
        let parsed = check::estate(source, catalogue);
        let text = shown(&parsed);
        (parsed.problems, text)
    }
}

#[test]
fn good_files_pass() {
    let (estate, catalogue) = (good_estate(), catalogue());
    for path in corpus("valid") {
        let (problems, shown) = examine(&source(&path), &estate, &catalogue);
        assert!(problems.is_empty(), "{}:\n{shown}", path.display());
    }
}

#[test]
fn every_problem_of_bad_files_is_said_at_its_place() {
    let (estate, catalogue) = (good_estate(), catalogue());
    let files = corpus("invalid");
    assert!(files.len() >= 40, "only {} files", files.len());
    for path in files {
        let source = source(&path);
        let (problems, shown) = examine(&source, &estate, &catalogue);
        let stem = path.file_stem().expect("a stem").to_string_lossy().into_owned();
        let only_warns = [
            "estate-even-urls",
            "runbook-site-name-in-parameter",
            "runbook-service-unknown",
            "runbook-confirm-without-question",
            "theme-hard-to-read",
            "theme-colour-blind-alike",
        ]
        .contains(&stem.as_str());
        assert_eq!(has_errors(&problems), !only_warns, "{stem}:\n{shown}");
        for problem in &problems {
            let span = problem.span.as_ref().unwrap_or_else(|| panic!("{stem}: no place: {problem}"));
            assert!(source.text.get(span.clone()).is_some(), "{stem}: {span:?} is not in the file: {problem}");
        }
        assert!(!shown.contains("hunter2"), "{stem}: a secret is shown:\n{shown}");
        insta::assert_snapshot!(stem, shown);
    }
}

#[test]
fn several_problems_in_one_file_are_all_reported() {
    let (estate, catalogue) = (good_estate(), catalogue());
    for (name, least) in [
        ("estate-several", 7),
        ("runbook-several", 4),
        ("runbook-several-in-steps", 5),
        ("theme-several", 10),
        ("config-several", 8),
    ] {
        let path = corpus("invalid").into_iter().find(|path| path.ends_with(format!("{name}.toml"))).expect(name);
        let (problems, shown) = examine(&source(&path), &estate, &catalogue);
        assert!(problems.len() >= least, "{name}: {}\n{shown}", problems.len());
    }
}

#[test]
fn colours_are_used_only_when_asked_for() {
    let path = corpus("invalid").into_iter().next().expect("a file");
    let parsed = check::estate(&source(&path), &catalogue());
    let mut excerpts = Excerpts::default();
    excerpts.add(&parsed);
    let plain = excerpts.render(&parsed.problems, &Io::silent());
    let coloured = excerpts.render(&parsed.problems, &Io { colour: true, ..Io::silent() });
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
}

/// A change to a text: bytes taken out at a place, others put in.
fn mutate(text: &str, at: prop::sample::Index, take: usize, put: &str) -> String {
    let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let start = at.index(boundaries.len());
    let end = (start + take).min(boundaries.len() - 1);
    format!("{}{put}{}", &text[..boundaries[start]], &text[boundaries[end]..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_checks_panic(
        at in any::<prop::sample::Index>(),
        again in any::<prop::sample::Index>(),
        take in 0_usize..40,
        put in prop_oneof![
            "\\PC{0,12}",
            prop::sample::select(vec!["\"", "[", "]", "{", "}", "=", ".", "\n", "\"\"\"", "{{", "}}", "{%", "'", "\u{0}",
                "\u{202e}", "é", "\u{1f600}", "\t", "\r\n", "x = 1\n", "[[stages]]\n", "[a]\n", "0x7fffffffffffffffff", "nan",
                "1979-05-27T07:32:00Z", "sites = 1\n", "services.db = []\n", "a.a.a.a.a = 1\n"]).prop_map(str::to_owned),
        ],
    ) {
        let (estate, catalogue) = (good_estate(), catalogue());
        let names = ["estate.toml", "runbook-replicate.toml", "theme-full.toml", "config-full.toml"];
        for path in corpus("valid").into_iter().filter(|path| names.iter().any(|name| path.ends_with(name))) {
            let mut source = source(&path);
            source.text = mutate(&mutate(&source.text, at, take, &put), again, 1, &put);
            let (problems, shown) = examine(&source, &estate, &catalogue);
            prop_assert_eq!(problems.is_empty(), shown.is_empty());
            for problem in &problems {
                let inside = problem.span.as_ref().is_none_or(|span| span.end <= source.text.len() && span.start <= span.end);
                prop_assert!(inside, "{problem}");
            }
        }
    }

    #[test]
    fn no_bytes_make_the_checks_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (estate, catalogue) = (good_estate(), catalogue());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for name in ["estate.toml", "runbook-x.toml", "theme-x.toml", "config-x.toml"] {
            examine(&SourceText { name: name.to_owned(), text: text.clone() }, &estate, &catalogue);
        }
    }
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let catalogue = catalogue();
    for text in [
        format!("{}1", "a.".repeat(100_000)),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
    ] {
        let parsed = check::estate(&SourceText { name: "estate.toml".to_owned(), text }, &catalogue);
        assert!(parsed.is_broken());
    }
}
