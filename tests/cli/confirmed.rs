//! `run --plan`: only what was looked at is begun.

use crate::home::{Home, runbook};

/// Only this machine is acted on; nobody listens at the other host.
const LOCAL_ESTATE: &str = include_str!("../support/one_machine.toml");

const SAYS: &str = r#"id = "says"
uses = "basic.command"
on = "console"
with = { run = ["echo", "harmless"] }
"#;

#[test]
fn what_was_changed_since_it_was_confirmed_is_not_begun() {
    let home = Home::new();
    home.write("estate.toml", LOCAL_ESTATE);
    let harmless = runbook("mine", "Says", "only", SAYS);
    home.write("mine.toml", &harmless);
    let planned = home.run(&["plan", "mine.toml", "--json"]);
    let planned: serde_json::Value = serde_json::from_str(&planned.out).expect("JSON");
    let digest = planned["digest"].as_str().expect("a digest");
    let runs = || home.run(&["runs", "list"]).out.lines().count();

    home.write("mine.toml", &harmless.replace("harmless", "something else"));
    for detach in [&[][..], &["--detach"]] {
        let ran = home.run(&[&["run", "mine.toml", "--plan", digest][..], detach].concat());
        assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("nothing was begun: plan") && ran.err.contains("look at it again"), "{}", ran.err);
        assert_eq!(runs(), 0);
    }
    home.write("mine.toml", &harmless);
    let elsewhere = LOCAL_ESTATE.replace("app1", "app9");
    assert_ne!(elsewhere, LOCAL_ESTATE);
    home.write("estate.toml", &elsewhere);
    let ran = home.run(&["run", "mine.toml", "--plan", digest]);
    assert_eq!(ran.code, 3, "the same steps at another place: {}{}", ran.out, ran.err);
    home.write("estate.toml", LOCAL_ESTATE);
    for confirmed in [digest, &digest[..8]] {
        let ran = home.run(&["run", "mine.toml", "--plan", confirmed]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
    assert_eq!(runs(), 2);
    let ran = home.run(&["run", "mine.toml", "--plan", "b3a1"]);
    assert_eq!(ran.code, 2, "too little to tell two plans apart: {}{}", ran.out, ran.err);
}
