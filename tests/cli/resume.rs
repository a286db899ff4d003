//! `resume` of a run whose runbook is not what it was.

use std::fs;

use crate::home::{Home, runbook};

/// Only this machine is acted on; nobody listens at the other host.
const LOCAL_ESTATE: &str = include_str!("../support/one_machine.toml");

const FAILS: &str = r#"id = "fails"
uses = "basic.command"
on = "console"
with = { run = ["false"] }
"#;

#[test]
fn a_run_resumes_from_its_own_plan_and_says_what_became_of_its_file() {
    let home = Home::new();
    home.write("estate.toml", LOCAL_ESTATE);
    let fails = runbook("mine", "Fails", "only", FAILS);
    home.write("elsewhere/mine.toml", &fails);
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
    home.write("elsewhere/mine.toml", &fails.replace("[\"false\"]", "[\"true\"]"));
    let changed = resume();
    assert!(changed.contains("elsewhere/mine.toml has changed; the run keeps its own plan"), "{changed}");
    assert!(changed.contains("step only/fails is different in the runbook today"), "{changed}");
    // A new line that does nothing is a change of the text alone.
    home.write("elsewhere/mine.toml", &format!("{fails}\n# why\n"));
    let commented = resume();
    assert!(commented.contains("has changed") && !commented.contains("is different"), "{commented}");
    home.write("elsewhere/mine.toml", "nonsense");
    let broken = resume();
    assert!(broken.contains("has changed") && broken.contains("cannot be planned any more"), "{broken}");
    fs::remove_file(home.path().join("elsewhere/mine.toml")).expect("it was there");
    let gone = resume();
    assert!(gone.contains("elsewhere/mine.toml is gone; the run keeps its own plan"), "{gone}");
}
