//! Files and arguments that are wrong.

use std::fs;

use super::Scenario;
use super::day::Day;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("malformed estate", malformed_estate),
    ("malformed runbook", malformed_runbook),
    ("unknown names", unknown_names),
];

fn malformed_estate(day: &Day) {
    day.edit_estate("[ssh]", "[ssh");
    let at = format!("estate.toml:{}:", 1 + day.estate.lines().position(|line| line == "[ssh]").expect("[ssh]"));
    day.replicate().expect(2).says(&at).says("expected `]`");
    day.edit_estate("active = \"prod\"", "active = \"prd\"");
    day.replicate().expect(2).says("estate.toml:2:").says("prd");
}

fn malformed_runbook(day: &Day) {
    let path = day.runbook("[[stages.steps]]\nid = \"dump\nuses = \"mysql.dump\"\n");
    let text = fs::read_to_string(&path).expect("the runbook");
    let line = 1 + text.lines().position(|line| line == "id = \"dump").expect("the line");
    day.program.run(&["run", &path]).expect(2).says(&format!("bad-day.toml:{line}:")).says("invalid basic string");
    let path = day.runbook("[[stages.steps]]\nid = \"dump\"\nuses = \"mysql.dmp\"\non = \"source\"\n");
    day.program.run(&["run", &path]).expect(2).says("bad-day.toml:").says("mysql.dump");
}

fn unknown_names(day: &Day) {
    day.program.run(&["run", "replicat"]).expect(2).says("did you mean `replicate`?");
    day.program.run(&["run", "replicate", "--param", "nope=1"]).expect(2).says("no parameter `nope`");
    let runbook = day.runbook(
        "[[stages.steps]]\nid = \"wait\"\nuses = \"basic.wait\"\non = \"console\"\nwith = { \"for\" = \"{{ params.long }}\" }\n",
    );
    day.program.run(&["run", &runbook]).expect(2).says("bad-day.toml:").says("long");
}
