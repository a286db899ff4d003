//! `init`: what it writes, what it never replaces, and what it says when it cannot ask.

use std::fs;

use crate::home::{Home, INIT};

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
