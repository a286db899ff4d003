//! Caches and the application.

use std::process::Command;

use super::Scenario;
use super::day::{Day, Without, output};

pub(super) const SCENARIOS: &[Scenario] =
    &[("redis replica", redis_replica), ("application not coming back", application_not_coming_back)];

fn redis_replica(day: &Day) {
    let (master, replica) = (day.address(2, 41), day.address(2, 42));
    output(Command::new("redis-cli").args(["-h", &master, "set", "bad-day", "1"]));
    day.edit_estate(&master, &replica);
    let runbook =
        day.runbook("[[stages.steps]]\nid = \"flush\"\nuses = \"redis.flush\"\non = \"target\"\nservice = \"cache\"\n");
    let ran = day.program.run(&["run", &runbook]).expect(0);
    ran.says(&format!("{replica}:6379 is a replica; its master is {master}:6379"));
    assert_eq!(day.lab.count("bcp")["redis"]["keys"], 0);
}

fn application_not_coming_back(day: &Day) {
    let runbook = day.runbook(
        "[[stages.steps]]\nid = \"restart\"\nuses = \"app.restart\"\non = \"target.app\"\nservice = \"app\"\n\
         with = { within = \"5s\" }\n",
    );
    let down = Without::new(day, "stop", "bcp", "sql");
    let ran = day.program.run(&["run", &runbook]);
    drop(down);
    let ran = ran.expect(1).says("restart the application on bcp:app1").says("status 503").says("stores/sql: down");
    let ran = ran.says("then resume the run");
    // One host at a time: the others keep working.
    assert!(!ran.text().contains("restart the application on bcp:app2"), "{}", ran.text());
    day.program.run(&["run", &runbook]).expect(0);
}
