//! The files that are read: where they are looked for, and which are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::home::{Home, INIT, collect};

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
    home.write("runbooks/replicate.toml", &collect().replace("\"collect\"\ntitle", "\"replicate\"\ntitle"));
    home.write(".config/changeover/runbooks/replicate.toml", "not even TOML");
    let replaced = names(&home, &[]);
    assert!(replaced.contains(&"runbooks/replicate.toml".to_owned()), "{replaced:?}");
    assert_eq!(replaced.len(), shipped.len(), "{replaced:?}");
    home.write("other/replicate.toml", &collect());
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
    home.write("collect.toml", &collect());
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
