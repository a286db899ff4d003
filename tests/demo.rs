//! `changeover demo` as a person on a fresh machine meets it: no configuration, no server, no network.

use std::fs;
use std::path::Path;
use std::process::Output;

use changeover::model::SourceText;
use changeover::scenario::{SHIPPED, examine, examine_answers};
use serde_json::Value;
use tempfile::TempDir;

/// An empty home, and the binary in it with an empty environment.
struct Home(TempDir);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn demo(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["demo"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("changeover");
        command.env_clear().env("HOME", self.0.path()).current_dir(self.0.path()).args(arguments);
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: status.code().expect("a code"), out: text(stdout), err: text(stderr) }
    }

    /// A text with this home's folder left out.
    fn anywhere(&self, text: &str) -> String {
        text.replace(&self.0.path().canonicalize().expect("it is there").display().to_string(), "~")
            .replace(&self.0.path().display().to_string(), "~")
    }
}

fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).display().to_string()
}

/// A scenario played to its end, with the lines of its card.
fn played(name: &str, answered: bool) -> (i32, String) {
    let answers = file(&format!("scenarios/answers/{name}.toml"));
    let mut arguments = vec!["--headless", "--speed", "max", "--scenario", name];
    if answered {
        arguments.extend(["--answers", &answers]);
    }
    let ran = Home::new().demo(&arguments);
    assert_eq!(ran.err, "", "{name}");
    let card = ran.out.split_once(&format!("\n{name}: ")).unwrap_or_else(|| panic!("no card:\n{}", ran.out)).1;
    let card = card.split_once("\nThe record is kept").expect("what follows the card").0;
    (ran.code, format!("{name}: {}\n", card.trim_end()))
}

#[test]
fn each_shipped_scenario_ends_as_its_card_says() {
    for (name, _) in SHIPPED {
        let (alone, unattended) = played(name, false);
        let (code, answered) = played(name, true);
        assert_eq!(code, 0, "with its answers {name} is won:\n{answered}");
        let shown = format!("unattended, exit code {alone}\n{unattended}\nanswered, exit code {code}\n{answered}");
        // What is said, and in which order, is looked at here; how long a simulated step takes is not.
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"[0-9]{2}:[0-9]{2}:[0-9]{2}", "[time]");
        settings.add_filter(r"[0-9]+m[0-9]{2}s|\b[0-9]+[ms]\b", "[span]");
        settings.add_filter(r"[0-9]+ (document|file|row)s?", "[count] ${1}s");
        settings.bind(|| insta::assert_snapshot!(*name, shown));
    }
}

#[test]
fn the_same_seed_gives_the_same_events_to_the_byte() {
    let dies = file("scenarios/answers/source-dies.toml");
    for arguments in [
        vec!["--headless", "--speed", "max", "--output", "json", "--seed", "3"],
        vec!["--headless", "--speed", "max", "--output", "json", "--scenario", "source-dies", "--answers", &dies],
    ] {
        let first = Home::new().demo(&arguments);
        assert_eq!((first.code, first.err.as_str()), (0, ""));
        let events = first.out.lines().filter(|line| line.contains("\"seq\"")).count();
        assert!(events > 100, "only {events} events:\n{}", first.out);
        for line in first.out.lines() {
            serde_json::from_str::<Value>(line).expect("one JSON value a line");
        }
        let second = Home::new().demo(&arguments);
        assert!(first.out == second.out, "{arguments:?} went another way the second time");
    }
    let seven = Home::new().demo(&["--headless", "--speed", "max", "--output", "json"]);
    let eight = Home::new().demo(&["--headless", "--speed", "max", "--output", "json", "--seed", "8"]);
    assert_ne!(seven.out, eight.out, "the seed decides nothing");
}

#[test]
fn the_counts_at_the_end_are_the_worlds_own() {
    let ran = Home::new().demo(&["--headless", "--speed", "max", "--output", "json"]);
    let last: Value = serde_json::from_str(ran.out.lines().last().expect("lines")).expect("JSON");
    for (store, of) in [("documents", "customers"), ("rows", "shop.customers"), ("files", "/etc/shop")] {
        let count =
            |site: &str| last["counts"][site][store][of].as_u64().unwrap_or_else(|| panic!("{store} {of}: {last}"));
        assert!(count("prod") > 0);
        assert_eq!(count("prod"), count("bcp"), "{store} {of}");
    }
    let growing = |site: &str| last["counts"][site]["rows"]["shop.orders"].as_u64().expect("a number");
    assert!(growing("prod") > growing("bcp") && growing("bcp") > 0, "the users went on writing: {last}");
}

#[test]
fn the_record_of_a_demo_can_be_looked_at_and_is_never_taken_for_a_real_one() {
    let home = Home::new();
    for _ in 0..2 {
        let ran = home.demo(&["--headless", "--speed", "max"]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.starts_with("SIMULATED: ") && ran.out.ends_with("SIMULATED: nothing real was touched.\n"));
        let command = ran.out.lines().find(|line| line.ends_with(" runs show")).expect("the command").trim();
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let shown = home.run(&words);
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{command}");
        assert!(shown.out.contains("runbook    replicate") && shown.out.contains("state      done"), "{}", shown.out);
        let global = &words[..words.len() - 2];
        let runs = home.run(&[global, &["runs", "list", "--json"]].concat());
        let runs: Vec<Value> = serde_json::from_str(&runs.out).expect("JSON");
        assert_eq!(runs.len(), 1, "the record is that of the last demo only: {runs:?}");
        for command in [&["run", "replicate"][..], &["plan", "replicate"], &["resume"], &["doctor"], &["status"]] {
            let refused = home.run(&[global, command].concat());
            assert_eq!(refused.code, 2, "{command:?}: {}{}", refused.out, refused.err);
            assert!(refused.err.contains("the demo's simulated world"), "{command:?}: {}", refused.err);
        }
    }
    let elsewhere = home.run(&["--state-dir", "here", "demo", "--headless", "--speed", "max", "--runbook", "backup"]);
    assert_eq!(elsewhere.code, 0, "{}", elsewhere.err);
    assert!(home.0.path().join("here/demo/SIMULATED").is_file());
}

#[test]
fn without_flags_it_says_what_can_be_done() {
    // Without a terminal there is no screen: it prints.
    let ran = Home::new().demo(&["--speed", "max"]);
    assert!(ran.code == 0 && ran.out.starts_with("SIMULATED"), "{}{}", ran.out, ran.err);
    let home = Home::new();
    let list = home.demo(&["--list"]);
    assert_eq!((list.code, list.out.lines().count()), (0, SHIPPED.len()));
    for (name, _) in SHIPPED {
        assert!(list.out.lines().any(|line| line.starts_with(name)), "{}", list.out);
    }
    let near = home.demo(&["--headless", "--scenario", "source-dyes"]);
    assert!(near.code == 2 && near.err.contains("did you mean `source-dies`?"), "{}", near.err);
    let alone = home.demo(&["--headless", "--answers", "x.toml"]);
    assert!(alone.code == 2 && alone.err.contains("--scenario"), "{}", alone.err);
    assert_eq!(fs::read_dir(home.0.path()).expect("the home").count(), 0, "something was left behind");
}

#[test]
fn a_scenario_of_ones_own_is_read_from_its_file() {
    let home = Home::new();
    let text = SHIPPED[0].1.replace("\"source-dies\"", "\"mine\"").replace("\"carry\"", "\"seal\"");
    fs::write(home.0.path().join("mine.toml"), &text).expect("a file");
    let ran = home.demo(&["--headless", "--speed", "max", "--scenario", "mine.toml"]);
    assert!(ran.code == 1 && ran.out.contains("\nmine: The active site"), "{}{}", ran.out, ran.err);
    fs::write(home.0.path().join("mine.toml"), text.replace("site_down", "site_dwon")).expect("a file");
    let bad = home.demo(&["--headless", "--scenario", "mine.toml"]);
    assert_eq!(bad.code, 2);
    assert!(bad.err.contains("mine.toml:") && bad.err.contains("did you mean \"site_down\"?"), "{}", bad.err);
}

#[test]
fn schemas_are_printed_for_editors() {
    for (which, key) in [("scenario", "happens"), ("answers", "answers")] {
        let ran = Home::new().run(&["schema", which]);
        let schema: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert!(schema["properties"][key].is_object(), "{schema}");
    }
}

#[test]
fn every_problem_of_a_bad_scenario_or_answers_file_is_said_at_its_place() {
    let runbooks: Vec<&str> = changeover::runbook::SHIPPED.iter().map(|(name, _)| *name).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/scenarios");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 8, "only {} files", files.len());
    for path in files {
        let stem = path.file_stem().expect("a stem").to_string_lossy().into_owned();
        let source = SourceText { name: format!("{stem}.toml"), text: fs::read_to_string(&path).expect("text") };
        let problems = if stem.starts_with("answers-") {
            examine_answers(&source, &runbooks).problems
        } else {
            examine(&source, &runbooks).problems
        };
        assert!(!problems.is_empty(), "{stem} passes");
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| {
                let span = problem.span.as_ref().unwrap_or_else(|| panic!("{stem}: no place: {problem}"));
                let (line, column) = source.line_column(span.start);
                format!("{line}:{column} {problem}\n")
            })
            .collect();
        insta::assert_snapshot!(stem, lines.concat());
    }
}

/// The walk in the README is what the program prints, without the lines of single steps. `UPDATE_README=1` writes it.
#[test]
fn the_readme_shows_what_the_program_prints() {
    let home = Home::new();
    let ran = home.demo(&["--headless", "--speed", "max"]);
    let of_a_step = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|time| time.contains(':')) && words.nth(1).is_some_and(|about| about.contains('@'))
    };
    let printed: String =
        home.anywhere(&ran.out).lines().filter(|line| !of_a_step(line)).flat_map(|line| [line, "\n"]).collect();
    assert!(printed.lines().count() > 60 && ran.out.lines().count() > 150, "{printed}");
    let readme = fs::read_to_string(file("README.md")).expect("the README");
    let (before, rest) = readme.split_once("```text\nSIMULATED").expect("a walk in the README");
    let (_, after) = rest.split_once("\n```\n").expect("its end");
    let fresh = format!("{before}```text\n{printed}```\n{after}");
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(file("README.md"), &fresh).expect("the README can be written");
    }
    assert!(
        readme == fresh,
        "the README shows another walk; `UPDATE_README=1 cargo test --test demo` writes this one:\n{printed}"
    );
}

/// The pictures in the documents are what the program draws. `UPDATE_PICTURES=1` writes them.
#[test]
fn the_documents_show_the_screens_as_the_program_draws_them() {
    let home = Home::new();
    let ran = home.demo(&["--pictures", "drawn"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("pictures")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    };
    let drawn = home.0.path().join("drawn");
    assert!(names(&drawn).len() >= 10, "{:?}", names(&drawn));
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        fs::create_dir_all(&kept).expect("a folder");
        for name in names(&drawn) {
            fs::copy(drawn.join(&name), kept.join(&name)).expect("a copy");
        }
    }
    assert_eq!(names(&kept), names(&drawn));
    let documents = ["README.md", "docs/console.md", "docs/scenarios.md", "docs/themes.md"]
        .map(|name| fs::read_to_string(file(name)).expect("a document"));
    for name in names(&drawn) {
        let svg = fs::read_to_string(drawn.join(&name)).expect("an SVG");
        assert!(svg.len() < 60_000, "{name} has {} bytes", svg.len());
        assert!(svg.contains(">SIMULATED<") || svg.contains("> SIMULATED "), "{name} does not say SIMULATED");
        assert!(documents.iter().any(|text| text.contains(&format!("pictures/{name})"))), "{name} is shown nowhere");
        let same = fs::read_to_string(kept.join(&name)).expect("a picture") == svg;
        assert!(same, "{name} shows another screen; `UPDATE_PICTURES=1 cargo test --test demo` writes this one");
    }
}

/// What `docs/scenarios.md` shows can be played, and it names everything that can break.
#[test]
fn the_page_on_scenarios_is_true() {
    let page = fs::read_to_string(file("docs/scenarios.md")).expect("the page");
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").expect("its end").0).collect();
    let [scenario, answers] = blocks[..] else { panic!("{} blocks", blocks.len()) };
    let home = Home::new();
    fs::write(home.0.path().join("night-shift.toml"), scenario).expect("a file");
    fs::write(home.0.path().join("answers.toml"), answers).expect("a file");
    let played = ["--headless", "--speed", "max", "--scenario", "night-shift.toml", "--answers", "answers.toml"];
    let ran = home.demo(&played);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "it is not won as the page says:\n{}", ran.out);
    assert!(ran.out.contains("the SQL server of prod ends") && ran.out.contains("wrong turns  none"), "{}", ran.out);
    for which in ["scenario", "answers"] {
        let schema: Value = serde_json::from_str(&Home::new().run(&["schema", which]).out).expect("JSON");
        let mut words = Vec::new();
        constants(&schema, &mut words);
        assert!(words.len() > 8, "{which}: {words:?}");
        let missing: Vec<&String> = words
            .iter()
            .filter(|word| !page.contains(&format!("`{word}")) && !page.contains(&format!("{{ {word} = ")))
            .collect();
        assert!(missing.is_empty(), "{which}: the page does not name {missing:?}");
    }
}

/// Every word that a schema allows at some place, where it lists them.
fn constants(schema: &Value, words: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("const", Value::String(word)) => words.push(word.clone()),
                    ("enum", Value::Array(all)) => {
                        words.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => constants(value, words),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| constants(one, words)),
        _ => {}
    }
}
