//! The binary as an operator runs it, for the commands that touch no host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

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

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("changeover");
        command.env_clear().env("HOME", self.path()).current_dir(self.path()).args(arguments);
        command.envs(environment.iter().copied());
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: status.code().expect("a code"), out: text(stdout), err: text(stderr) }
    }

    /// An estate as `init` writes it, and a runbook that fits it.
    fn with_estate() -> Self {
        let home = Self::new();
        let ran = home.run(INIT);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        home.write("runbooks/collect.toml", COLLECT);
        home
    }
}

const INIT: &[&str] = &[
    "init",
    "--name",
    "shop",
    "--site",
    "prod",
    "--site",
    "bcp",
    "--exchange",
    "/mnt/exchange",
    "--host",
    "prod/app1=10.0.1.11",
    "--host",
    "prod/app2=10.0.1.12",
    "--host",
    "bcp/app1=local",
    "--search",
    "prod=http://10.0.1.11:9200",
    "--search",
    "bcp=http://10.0.2.11:9200",
    "--database",
    "shop",
    "--files",
    "/var/lib/shop/storage",
];

const COLLECT: &str = r#"
name = "collect"
title = "Collect the files of {{ source }}"
mode = "maintenance"

[[stages]]
id = "files"
title = "Files"

[[stages.steps]]
id = "collect"
uses = "files.collect"
on = "source"
service = "assets"
"#;

#[test]
fn what_init_writes_passes_check() {
    let home = Home::with_estate();
    let ran = home.run(&["check", "collect"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "estate.toml and 1 runbook: no problems\n", ""));
    // And with every runbook that is shipped, whose services this estate does not all have.
    let all = home.run(&["check"]);
    assert_eq!(all.code, 0, "{}", all.out);
    assert!(all.out.ends_with("runbooks: no problems\n"), "{}", all.out);
}

#[test]
fn init_never_replaces_a_file_unless_told_to() {
    let home = Home::new();
    home.write("estate.toml", "precious");
    let refused = home.run(INIT);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("estate.toml exists") && refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(fs::read_to_string(home.path().join("estate.toml")).expect("it is there"), "precious");
    let forced = home.run(&[INIT, &["--force"]].concat());
    assert_eq!(forced.code, 0, "{}", forced.err);
    assert!(fs::read_to_string(home.path().join("estate.toml")).expect("it is there").contains("name = \"shop\""));
    let files: Vec<_> = fs::read_dir(home.path()).expect("the home").collect();
    assert_eq!(files.len(), 1, "something was left behind: {files:?}");
}

#[test]
fn init_says_what_it_needs_when_nobody_can_be_asked() {
    let home = Home::new();
    let ran = home.run(&["init", "--name", "shop", "--site", "prod"]);
    assert_eq!(ran.code, 2);
    for option in ["--site SITE (the standby)", "--exchange PATH", "--host SITE/NAME=ADDRESS"] {
        assert!(ran.err.contains(option), "{option}: {}", ran.err);
    }
    let odd = home.run(&[INIT, &["--host", "dr/x=1"]].concat());
    assert!(odd.code == 2 && odd.err.contains("there is no site `dr`"), "{}", odd.err);
    let hostile = home.run(&[INIT, &["--host", "prod/app9=10.0.1.11"]].concat());
    assert!(hostile.code == 2 && hostile.err.contains("has the same address"), "{}", hostile.err);
    assert!(!home.path().join("estate.toml").exists());
}

#[test]
fn check_names_file_and_line_and_ends_with_2() {
    let home = Home::with_estate();
    let text = fs::read_to_string(home.path().join("estate.toml")).expect("the estate");
    home.write(
        "estate.toml",
        &text.replace("active = \"prod\"", "active = \"prd\"").replace("kind = \"mysql\"", "kind = \"mysqll\""),
    );
    home.write("runbooks/collect.toml", &COLLECT.replace("files.collect", "files.colect"));
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

/// Everything that a check is for, wrong in one estate and one runbook.
const ALL_WRONG: &str = r#"
name = "wrong"
title = "Wrong for {{ sorce }}"
mode = "maintenance"

[[stages]]
id = "one"
title = "One"

[[stages.steps]]
id = "twice"
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
    home.write("runbooks/wrong.toml", ALL_WRONG);
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
        let lines = ALL_WRONG.lines().enumerate().filter(|(_, line)| line.contains(words)).map(|(line, _)| line + 1);
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
    home.write("runbooks/collect.toml", &COLLECT.replace("on = \"source\"", "on = \"prod\""));
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
fn a_runbook_file_replaces_the_shipped_one_of_its_name() {
    let home = Home::with_estate();
    let names = |home: &Home, arguments: &[&str]| -> Vec<String> {
        let ran = home.run(&[&["check", "--json"], arguments].concat());
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        report["runbooks"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("text").to_owned())
            .collect()
    };
    let shipped = names(&home, &[]);
    assert!(shipped.contains(&"replicate.toml (shipped)".to_owned()), "{shipped:?}");
    home.write("runbooks/replicate.toml", &COLLECT.replace("\"collect\"\ntitle", "\"replicate\"\ntitle"));
    home.write(".config/changeover/runbooks/replicate.toml", "not even TOML");
    let replaced = names(&home, &[]);
    assert!(replaced.contains(&"runbooks/replicate.toml".to_owned()), "{replaced:?}");
    assert_eq!(replaced.len(), shipped.len(), "{replaced:?}");
    home.write("other/replicate.toml", COLLECT);
    let other = names(&home, &["--runbook-dir", "other"]);
    assert!(other.contains(&"other/replicate.toml".to_owned()), "{other:?}");
    let unknown = home.run(&["check", "replicat"]);
    assert!(unknown.code == 2 && unknown.err.contains("did you mean `replicate`?"), "{}", unknown.err);
}

#[test]
fn the_estate_is_found_where_the_help_says() {
    let home = Home::new();
    let none = home.run(&["check"]);
    assert_eq!(none.code, 2);
    assert!(
        none.err.contains("changeover init") && none.err.contains(".config/changeover/estate.toml"),
        "{}",
        none.err
    );
    let ran = home.run(&[INIT, &["named.toml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    home.write("collect.toml", COLLECT);
    let by_option = home.run(&["--estate", "named.toml", "check", "./collect.toml"]);
    assert_eq!((by_option.code, by_option.err.as_str()), (0, ""), "{}", by_option.out);
    let by_variable = home.run_with(&["check", "./collect.toml"], &[("CHANGEOVER_ESTATE", "named.toml")]);
    assert_eq!(by_variable.out, "named.toml and 1 runbook: no problems\n");
    fs::rename(home.path().join("named.toml"), home.path().join("x")).expect("moved");
    fs::create_dir_all(home.path().join(".config/changeover")).expect("a folder");
    fs::rename(home.path().join("x"), home.path().join(".config/changeover/estate.toml")).expect("moved");
    let by_place = home.run(&["check", "./collect.toml"]);
    assert_eq!(by_place.out, ".config/changeover/estate.toml and 1 runbook: no problems\n");
}

#[test]
fn files_that_others_could_have_changed_are_refused() {
    let home = Home::with_estate();
    let set = |name: &str, mode| {
        fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    set("estate.toml", 0o620);
    let warned = home.run(&["check", "collect"]);
    assert!(warned.code == 0 && warned.out.contains("its group can write"), "{}", warned.out);
    set("estate.toml", 0o602);
    let refused = home.run(&["check", "collect"]);
    assert!(refused.code == 2 && refused.out.contains("everybody can write"), "{}", refused.out);
    set("estate.toml", 0o600);
    set("runbooks", 0o777);
    let replaceable = home.run(&["check", "collect"]);
    assert!(replaceable.code == 2 && replaceable.out.contains("everybody can replace"), "{}", replaceable.out);
}

#[test]
fn secrets_that_others_can_read_are_refused_and_none_is_ever_shown() {
    let home = Home::with_estate();
    let text = fs::read_to_string(home.path().join("estate.toml")).expect("the estate");
    let with_file = text.replace("{ command = \"pass show shop/db\" }", "{ file = \"db.secret\" }");
    assert_ne!(text, with_file);
    home.write("estate.toml", &with_file);
    let absent = home.run(&["check", "collect"]);
    assert!(absent.code == 0 && absent.out.contains("cannot be read on this machine"), "{}", absent.out);
    home.write("db.secret", "hunter2\n");
    let safe = home.run(&["check", "collect"]);
    assert_eq!((safe.code, safe.out.as_str()), (0, "estate.toml and 1 runbook: no problems\n"));
    fs::set_permissions(home.path().join("db.secret"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let open = home.run(&["check", "collect"]);
    assert!(open.code == 2 && open.out.contains("others can read the secret (mode 0644)"), "{}", open.out);
    home.write("estate.toml", &text.replace("{ command = \"pass show shop/db\" }", "\"hunter2\""));
    for arguments in [&["check", "collect"][..], &["check", "--json", "collect"]] {
        let inline = home.run(arguments);
        assert_eq!(inline.code, 2);
        assert!(inline.out.contains("a secret must not stand in this file"), "{}", inline.out);
        assert!(!inline.out.contains("hunter2") && !inline.err.contains("hunter2"), "{}{}", inline.out, inline.err);
    }
}

#[test]
fn what_is_not_a_small_text_file_is_refused() {
    let home = Home::new();
    home.write("estate.toml", &"#".repeat(1024 * 1024 + 1));
    let large = home.run(&["check"]);
    assert!(large.code == 2 && large.err.contains("larger than 1 MiB"), "{}", large.err);
    fs::write(home.path().join("estate.toml"), b"a = 1\nb = \"\xff\"\n").expect("a file");
    let binary = home.run(&["check"]);
    assert!(binary.code == 2 && binary.err.contains("estate.toml:2: not UTF-8"), "{}", binary.err);
    let folder = home.run(&["--estate", ".", "check"]);
    assert!(folder.code == 2 && folder.err.contains("is not a file"), "{}", folder.err);
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

const MINE: &str = "name = \"mine\"\ntitle = \"My own\"\nextends = \"light\"\n[scopes]\ngood = { fg = 28 }\n";

#[test]
fn themes_are_listed_with_where_they_come_from() {
    let home = Home::new();
    home.write(".config/changeover/themes/mine.toml", MINE);
    home.write(".config/changeover/themes/light.toml", "name = \"light\"\ntitle = 5\n");
    home.write(".config/changeover/config.toml", "[screen]\ntheme = \"mono\"\n");
    let ran = home.run(&["theme", "list"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for line in [
        "  dark           shipped  The terminal's own colours",
        "  light          yours    cannot be used: see `changeover theme check light`",
        "* mono           shipped  No colours at all",
        // It stands on the one that cannot be used.
        "  mine           yours    cannot be used",
    ] {
        assert!(ran.out.contains(line), "{line}:\n{}", ran.out);
    }
    let listed: Value = serde_json::from_str(&home.run(&["theme", "list", "--json"]).out).expect("JSON");
    let of = |name: &str| listed.as_array().expect("a list").iter().find(|theme| theme["name"] == name).expect(name);
    assert_eq!(listed.as_array().map(Vec::len), Some(7));
    assert!(of("mono")["chosen"] == true && of("mono")["shipped"] == true && of("mono")["file"].is_null());
    assert!(of("light")["usable"] == false && of("light")["shipped"] == false && of("light")["title"].is_null());
}

#[test]
fn a_theme_is_shown_in_the_colours_that_are_asked_for() {
    let home = Home::new();
    home.write(".config/changeover/themes/mine.toml", MINE);
    let bare = home.run(&["theme", "show", "mine"]);
    assert_eq!((bare.code, bare.err.as_str()), (0, ""));
    assert!(bare.out.is_ascii() && !bare.out.contains('\u{1b}') && bare.out.contains("[ok] OK"), "{}", bare.out);
    assert_eq!(bare.out.lines().filter(|line| line.ends_with('.') && line.starts_with("  ")).count(), 29);
    let shown = |environment: &[(&str, &str)]| {
        let environment = [environment, &[("LANG", "C.UTF-8")]].concat();
        home.run_with(&["theme", "show", "mine", "--color", "always"], &environment).out
    };
    for (environment, good) in [
        (&[("COLORTERM", "truecolor")][..], "\u{1b}[38;5;28;48;2;255;255;255m good"),
        (&[("TERM", "xterm-256color")], "\u{1b}[38;5;28;48;5;231m good"),
        (&[("TERM", "xterm")], "\u{1b}[32;107m good"),
    ] {
        let text = shown(environment);
        assert!(text.contains(good) && text.contains("✓ OK"), "{environment:?}: {}", text.escape_debug());
    }
    let nobody = home.run(&["theme", "show", "drak"]);
    assert!(nobody.code == 2 && nobody.err.contains("did you mean `dark`?"), "{}", nobody.err);
}

#[test]
fn what_is_wrong_with_a_theme_is_said_with_its_place() {
    let home = Home::new();
    let all = home.run(&["theme", "check"]);
    assert_eq!((all.code, all.out.as_str()), (0, "6 themes: no problems\n"), "{}", all.err);
    home.write("bad.toml", "name = \"bad\"\ntitle = \"Bad\"\n[scopes]\ngood = { fg = \"gren\" }\nhnit = {}\n");
    let bad = home.run(&["theme", "check", "bad.toml"]);
    assert_eq!(bad.code, 2);
    for part in ["bad.toml:4:15", "did you mean \"green\"?", "did you mean `hint`?", "1 theme: 2 errors, 0 warnings"] {
        assert!(bad.out.contains(part), "{part}:\n{}", bad.out);
    }
    home.write("grey.toml", "name = \"gray\"\ntitle = \"x\"\n[scopes]\nkey = { fg = 240, bg = 16 }\n");
    let grey = home.run(&["theme", "check", "grey.toml"]);
    assert_eq!(grey.code, 0, "{}", grey.out);
    for part in ["`key` is hard to read: its contrast is 3.0", "but it is chosen as `grey`", "0 errors, 2 warnings"] {
        assert!(grey.out.contains(part), "{part}:\n{}", grey.out);
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_said_with_its_place() {
    let home = Home::new();
    home.write(".config/changeover/config.toml", "[screen]\ntheme = \"drak\"\n");
    let ran = home.run(&["theme", "show"]);
    assert_eq!(ran.code, 2);
    for part in ["config.toml:2:9", "there is no theme `drak`", "did you mean \"dark\"?"] {
        assert!(ran.err.contains(part), "{part}:\n{}", ran.err);
    }
    // A theme that is named needs no configuration.
    assert_eq!(home.run(&["theme", "show", "dark"]).code, 0);
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

/// Only this machine is acted on; nobody listens at the other host.
const LOCAL_ESTATE: &str = r#"
name = "shop"
active = "prod"

[ssh]
connect_timeout = "1s"

[sites.prod]
exchange = "/nowhere/prod"
hosts.app1 = { local = true, roles = ["app"] }

[sites.bcp]
exchange = "/nowhere/bcp"
hosts.app1 = { address = "127.0.0.1", port = 1, roles = ["app"] }
"#;

const FAILS: &str = r#"
name = "mine"
title = "Fails"
mode = "maintenance"

[[stages]]
id = "only"
title = "Only"

[[stages.steps]]
id = "fails"
uses = "basic.command"
on = "console"
with = { run = ["false"] }
"#;

#[test]
fn a_run_resumes_from_its_own_plan_and_says_what_became_of_its_file() {
    let home = Home::new();
    home.write("estate.toml", LOCAL_ESTATE);
    home.write("elsewhere/mine.toml", FAILS);
    let ran = home.run(&["run", "elsewhere/mine.toml"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let resume = || {
        let ran = home.run(&["resume", "latest"]);
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("only/fails"), "it was not carried out again: {}{}", ran.out, ran.err);
        ran.err
    };
    // Not found by its name, but by its path.
    let same = resume();
    assert!(!same.contains("changed since"), "{same}");
    home.write("elsewhere/mine.toml", &FAILS.replace("[\"false\"]", "[\"true\"]"));
    let changed = resume();
    assert!(changed.contains("elsewhere/mine.toml has changed; the run keeps its own plan"), "{changed}");
    assert!(changed.contains("step only/fails is different in the runbook today"), "{changed}");
    // A new line that does nothing is a change of the text alone.
    home.write("elsewhere/mine.toml", &format!("{FAILS}\n# why\n"));
    let commented = resume();
    assert!(commented.contains("has changed") && !commented.contains("is different"), "{commented}");
    home.write("elsewhere/mine.toml", "nonsense");
    let broken = resume();
    assert!(broken.contains("has changed") && broken.contains("cannot be planned any more"), "{broken}");
    fs::remove_file(home.path().join("elsewhere/mine.toml")).expect("it was there");
    let gone = resume();
    assert!(gone.contains("elsewhere/mine.toml is gone; the run keeps its own plan"), "{gone}");
}
