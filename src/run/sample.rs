//! Made-up runs for the tests of everything that listens to events.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Event, EventKind, Operator};
use crate::model::{Outcome, PointId, RunId, RunOutcome, SafeText, StageId, UnitKey};
use crate::runbook::Plan;

/// A history in the making: events a given time apart, numbered as they come.
#[derive(Debug, Clone)]
pub struct Story {
    /// What has happened so far.
    pub events: Vec<Event>,
    elapsed_ms: u64,
}

impl Story {
    /// A run that has been created and taken over by its first process.
    pub fn begun() -> Self {
        let plan = plan();
        let digest = plan.digest().as_str().to_owned();
        Self { events: Vec::new(), elapsed_ms: 0 }
            .then(
                0,
                EventKind::RunCreated {
                    run: run_id(),
                    point: PointId::new("p-20260301t031500z").expect("a point id"),
                    plan: Box::new(plan),
                    digest,
                    by: operator(),
                },
            )
            .then(5, EventKind::SessionStarted { session: 1, pid: 4242, by: operator() })
    }

    /// The story with one more event, so many milliseconds later.
    pub fn then(mut self, later_ms: u64, kind: EventKind) -> Self {
        self.elapsed_ms += later_ms;
        let begun: Timestamp = "2026-03-01T03:15:00Z".parse().expect("a time");
        let at = begun + SignedDuration::from_millis(self.elapsed_ms.try_into().expect("a small number"));
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event { seq, at, elapsed_ms: self.elapsed_ms, kind });
        self
    }

    /// A stage begins.
    pub fn stage(self, id: &str) -> Self {
        self.then(1, EventKind::StageStarted { stage: StageId::new(id).expect("a stage id") })
    }

    /// A stage ends.
    pub fn stage_ended(self, id: &str, outcome: Outcome) -> Self {
        self.then(1, EventKind::StageEnded { stage: StageId::new(id).expect("a stage id"), outcome })
    }

    /// The first attempt of a unit begins.
    pub fn start(self, key: &str) -> Self {
        let params = json!({ "name": "p-20260301t031500z" }).as_object().cloned().unwrap_or_default();
        self.then(2, EventKind::UnitStarted { unit: unit(key), attempt: 1, params })
    }

    /// A unit says something.
    pub fn say(self, key: &str, text: &str) -> Self {
        self.then(100, EventKind::UnitSaid { unit: unit(key), attempt: 1, text: SafeText::block(text) })
    }

    /// A unit is so far.
    pub fn progress(self, key: &str, done: u64, total: Option<u64>, what: &str) -> Self {
        let what = SafeText::line(what);
        self.then(100, EventKind::UnitProgress { unit: unit(key), attempt: 1, done, total, what })
    }

    /// The first attempt of a unit ends, so many milliseconds later.
    pub fn end(self, later_ms: u64, key: &str, outcome: Outcome, captures: Value) -> Self {
        let captures: Map<String, Value> = serde_json::from_value(captures).expect("captures");
        self.then(later_ms, EventKind::UnitEnded { unit: unit(key), attempt: 1, outcome, captures, retry_after: None })
    }

    /// The run ends.
    pub fn over(self, outcome: RunOutcome) -> Self {
        self.then(1, EventKind::RunEnded { outcome })
    }
}

/// The id of the made-up run.
pub fn run_id() -> RunId {
    RunId::new("0195500a-9d3c-7c11-8b0e-5a1d6f2e7c90").expect("a run id")
}

/// Whoever started it.
pub fn operator() -> Operator {
    Operator { name: SafeText::line("ops@app1"), through: SafeText::line("terminal") }
}

/// A unit by its written form.
pub fn unit(key: &str) -> UnitKey {
    UnitKey::try_from(key.to_owned()).expect("a unit key")
}

/// Two stages: a snapshot at the source, and at the target a restore and a restart on two hosts.
pub fn plan() -> Plan {
    let step = |key: &str, title: &str, uses: &str, service: &str, targets: Value| {
        json!({
            "key": key, "title": title, "uses": uses, "service": service, "targets": targets, "each": "parallel",
            "limit": null, "needs": [], "when": null, "confirm": null, "timeout": "2h",
            "retry": { "attempts": 2, "backoff": "10s" }, "on_failure": "stop", "interrupted": "repeat",
            "point_of_no_return": false, "params": {},
        })
    };
    let source = json!([{ "end": "source", "site": "prod", "host": null }]);
    let target = json!([{ "end": "target", "site": "bcp", "host": null }]);
    let hosts = json!([
        { "end": "target", "site": "bcp", "host": "app1" },
        { "end": "target", "site": "bcp", "host": "app2" },
    ]);
    serde_json::from_value(json!({
        "runbook": "replicate", "title": "Replicate Production to Standby", "mode": "replicate", "estate": "shop",
        "direction": { "source": "prod", "target": "bcp" }, "params": { "verify": true },
        "stages": [
            { "id": "backup", "title": "Back up the source", "needs": [], "when": null, "steps": [
                step("backup/snapshot", "Elasticsearch snapshot", "elasticsearch.snapshot", "search", source),
            ] },
            { "id": "restore", "title": "Restore at the target", "needs": ["backup"], "when": null, "steps": [
                step("restore/index", "Elasticsearch restore", "elasticsearch.restore", "search", target),
                step("restore/restart", "Restart the application", "app.restart", "app", hosts),
            ] },
        ],
    }))
    .expect("a plan")
}
