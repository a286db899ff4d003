//! Made-up states: an estate of two sites, what is known of them, runbooks, runs and points.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::console::facts::{
    DirectionFacts, EstateFacts, Extent, ParamFacts, PlaceFacts, PlanShown, PointRow, RunRow, RunbookFacts, SiteFacts,
    ThemeFacts,
};
use crate::console::keys::{Keymap, parse_key};
use crate::console::{Badge, Effect, Msg, Pane, Settings, State, update};
use crate::health::{Condition, Figure, HealthState, Observation, ProbeHealth, ProbeKey, Reading, Subject, Unit};
use crate::model::{Direction, Failure, FailureKind, Outcome, RunId, RunOutcome, SafeText, SiteName, Span, StepKey};
use crate::run::sample::{self, Story};
use crate::run::{Event, EventKind, Prompt, PromptId, PromptKind};
use crate::runbook::{GuardLevel, Mode};
use crate::style::{Mark, Theme};

pub const SNAPSHOT: &str = "backup/snapshot@prod";
pub const INDEX: &str = "restore/index@bcp";
pub const ONE: &str = "restore/restart@bcp:app1";
pub const TWO: &str = "restore/restart@bcp:app2";

/// Five minutes after the made-up run began.
pub fn now() -> Timestamp {
    "2026-03-01T03:20:00Z".parse().expect("a time")
}

pub fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a site")
}

pub fn settings() -> Settings {
    Settings {
        theme: Theme::default(),
        themes: [("dark", "Dark"), ("light", "Light"), ("night-owl", "For the night")]
            .map(|(name, title)| ThemeFacts { name: name.to_owned(), title: SafeText::line(title) })
            .to_vec(),
        ascii: false,
        reduced_motion: true,
        bell: true,
        notify: true,
        zone: jiff::tz::TimeZone::UTC,
        mouse: false,
        privacy: false,
        keys: Keymap::default(),
    }
}

/// The screen before anything was told.
pub fn empty() -> State {
    let facts = |name: &str, title: &str| SiteFacts {
        name: site(name),
        title: SafeText::line(title),
        services: BTreeMap::new(),
    };
    let estate = EstateFacts {
        name: SafeText::line("shop"),
        sites: vec![facts("bcp", "Standby, Frankfurt"), facts("prod", "Production, Hamburg")],
        rpo: Some(Span::seconds(900)),
    };
    State::new(estate, Badge::Live, sample::operator(), settings(), now())
}

/// The probes of both sites.
const PROBES: [(&str, &str, &str); 8] = [
    ("service", "app", "health"),
    ("service", "cache", "server"),
    ("service", "db", "server"),
    ("service", "search", "cluster"),
    ("host", "app1", "host"),
    ("host", "app2", "host"),
    ("host", "db1", "host"),
    ("exchange", "", "tree"),
];

pub fn key(site_name: &str, name: &str) -> ProbeKey {
    let (kind, name, question) =
        PROBES.into_iter().find(|(kind, probe, _)| *probe == name || *kind == name).expect("a probe");
    let subject = match kind {
        "service" => Subject::Service(name.parse().expect("a name")),
        "host" => Subject::Host(name.parse().expect("a name")),
        _ => Subject::Exchange,
    };
    ProbeKey { site: site(site_name), subject, question }
}

pub fn health() -> HealthState {
    let names = PROBES.map(|(kind, name, _)| if name.is_empty() { kind } else { name });
    let keys = ["bcp", "prod"].into_iter().flat_map(|site| names.map(|name| key(site, name)));
    HealthState::new(keys.map(|key| (key, ProbeHealth::new(Duration::from_secs(10), 2, 2))))
}

pub fn reading(condition: Condition, summary: &str, finding: Option<&str>, value: f64) -> Reading {
    Reading {
        condition,
        summary: SafeText::line(summary),
        findings: finding.map(SafeText::line).into_iter().collect(),
        figures: vec![Figure { name: SafeText::line("documents"), value, unit: Unit::Count }],
        source: SafeText::line("10.0.1.11:9200"),
    }
}

/// An answer, so many seconds before now.
pub fn answer(site: &str, name: &str, ago: i64, result: Result<Reading, Failure>) -> Msg {
    let at = now() - SignedDuration::from_secs(ago);
    Msg::Health(Box::new(Observation {
        key: key(site, name),
        at,
        took: Duration::from_millis(40),
        result,
        transcript: SafeText::block(
            "> GET http://10.0.1.11:9200/_cluster/health\nstatus 200\n{\n  \"status\": \"green\"\n}",
        ),
    }))
}

const UP: [(&str, &str); 8] = [
    ("app", "4 of 4 nodes answer, version 7.2.1, leader app1"),
    ("cache", "master, 2 replicas, 1.2 GiB"),
    ("db", "writable, 84 connections, 41.3 GiB"),
    ("search", "green, 3 nodes, 12 indices"),
    ("app1", "load 0.42, disk 61 %"),
    ("app2", "load 0.37, disk 58 %"),
    ("db1", "load 1.10, disk 72 %"),
    ("exchange", "mounted, 412 GiB free"),
];

/// Both sites up, with some minutes of history.
pub fn all_up(state: &mut State) {
    state.health = health();
    for site in ["bcp", "prod"] {
        for round in (0..24_i64).rev() {
            for (number, (name, says)) in UP.iter().enumerate() {
                let number = i32::try_from(number).expect("a few");
                let value = f64::from(1000 + number * 10 + i32::try_from((round * 7) % 5).expect("a few"));
                update(state, answer(site, name, 2 + round * 10, Ok(reading(Condition::Up, says, None, value))));
            }
        }
    }
}

/// The standby degraded, the active site dead but for what is not known of it.
pub fn trouble(state: &mut State) {
    all_up(state);
    let red = reading(Condition::Degraded, "yellow, 2 nodes, 12 indices", Some("5 shards are unassigned"), 900.0);
    update(state, answer("bcp", "search", 1, Ok(red.clone())));
    update(state, answer("bcp", "search", 0, Ok(red)));
    let refused =
        Failure::new(FailureKind::Unreachable, "ask the health of app at 10.0.1.21:8080", "connection refused")
            .hint("see whether the service runs: systemctl status app");
    let lost = Failure::new(FailureKind::Unknown, "run a command on db1", "the connection timed out");
    for ago in [1, 0] {
        update(state, answer("prod", "app", ago, Err(refused.clone())));
        update(state, answer("prod", "db", ago, Err(lost.clone())));
        update(state, answer("prod", "db1", ago, Err(lost.clone())));
    }
}

pub fn runbook(name: &str, title: &str, mode: &str, level: u8) -> RunbookFacts {
    RunbookFacts {
        name: SafeText::line(name),
        title: SafeText::line(title),
        mode: SafeText::line(mode),
        loses: SafeText::default(),
        level,
        origin: SafeText::line("built in"),
        text: SafeText::block(&format!("runbook = \"{name}\"\ntitle = \"{title}\"\nmode = \"{mode}\"")),
        digest: String::new(),
        params: Vec::new(),
        trouble: None,
    }
}

fn runbooks() -> Vec<RunbookFacts> {
    let param = |name: &str, rule: serde_json::Value| ParamFacts {
        name: name.to_owned(),
        rule: serde_json::from_value(rule).expect("a parameter"),
    };
    let mut restore = runbook("restore", "Bring an earlier point back", "restore", 2);
    let stores = json!({ "type": "string", "default": "all", "help": "what of it", "one_of": ["all", "search", "db"] });
    restore.params = vec![
        param("point", json!({ "type": "string", "help": "which point, as pane 6 names it" })),
        param("stores", stores),
        param("deep", json!({ "type": "bool", "default": false, "help": "compare every file by content" })),
        param("within", json!({ "type": "duration", "default": "2h", "help": "how long it may take" })),
    ];
    let mut broken = runbook("night-copy", "Copy at night", "maintenance", 1);
    broken.trouble = Some(SafeText::line("step `warm` uses `cache.warm`: there is no such kind"));
    vec![
        runbook("backup", "Back up the source", "maintenance", 1),
        runbook("failover", "Make the standby active", "failover", 2),
        broken,
        runbook("replicate", "Replicate Production to Standby", "replicate", 1),
        restore,
    ]
}

/// A run of the past, so many minutes before now.
pub fn row(number: u32, runbook: &str, ago: i64, took: u64, mark: Mark, word: &str) -> RunRow {
    let stages = [("backup", took * 2 / 3), ("restore", took / 3)];
    RunRow {
        run: RunId::new(format!("0195500a-0000-7c11-8b0e-{number:012}")).expect("a run id"),
        runbook: SafeText::line(runbook),
        title: SafeText::line("Replicate Production to Standby"),
        mode: SafeText::line("replicate"),
        direction: SafeText::line("prod -> bcp"),
        by: SafeText::line("ops@app1"),
        began: now() - SignedDuration::from_mins(ago),
        took: Duration::from_secs(took),
        word: SafeText::line(word),
        mark,
        alive: false,
        resumable: false,
        stages: stages
            .into_iter()
            .map(|(id, took)| (id.parse().expect("a stage"), Duration::from_secs(took)))
            .collect(),
        point: None,
    }
}

pub fn runs() -> Vec<RunRow> {
    let point = |mut row: RunRow, bytes: Option<u64>, incomplete: Option<&str>| {
        row.direction = SafeText::line(&direction().to_string());
        let id = SafeText::line(&format!("p-{}", row.began.strftime("%Y%m%dt%H%M%Sz")));
        row.point =
            Some(PointRow { id, bytes, incomplete: incomplete.map(SafeText::line), arrived: incomplete.is_none() });
        row
    };
    vec![
        point(row(5, "replicate", 34, 190, Mark::Ok, "done"), Some(44_345_123_840), None),
        point(row(4, "replicate", 94, 205, Mark::Warn, "warned"), Some(44_100_000_000), None),
        point(row(3, "replicate", 154, 61, Mark::Fail, "failed"), None, Some("the search snapshot is partial")),
        row(2, "backup", 400, 100, Mark::Unknown, "UNKNOWN"),
        point(row(1, "replicate", 1600, 180, Mark::Ok, "done"), Some(43_000_000_000), None),
    ]
}

pub fn direction() -> Direction {
    Direction { source: site("prod"), target: site("bcp") }
}

/// Everything is told, and no run is looked at.
pub fn full() -> State {
    let mut state = empty();
    all_up(&mut state);
    let direction = DirectionFacts { direction: Some(direction()), epoch: Some(7), trouble: None };
    update(&mut state, Msg::Direction(Box::new(direction)));
    update(&mut state, Msg::Runbooks(runbooks()));
    update(&mut state, Msg::Runs(runs()));
    update(&mut state, Msg::Tick(now()));
    state
}

// ── histories ───────────────────────────────────────────────────────────────────────────────────────────────────────

pub fn running() -> Story {
    Story::begun()
        .stage("backup")
        .start(SNAPSHOT)
        .say(SNAPSHOT, "the cluster is green, 12 indices, 1234567 documents")
        .end(62_000, SNAPSHOT, Outcome::Succeeded, json!({ "documents": 1_234_567 }))
        .stage_ended("backup", Outcome::Succeeded)
        .stage("restore")
        .start(INDEX)
        .say(INDEX, "restoring 12 indices from p-20260301t031500z")
        .progress(INDEX, 7, Some(36), "shards")
}

/// Asks before the restart, with a phrase when `phrase` is given.
pub fn asks(story: Story, kind: PromptKind, phrase: Option<&str>) -> Story {
    let prompt = Prompt {
        id: PromptId(1),
        unit: sample::unit(ONE),
        kind,
        message: SafeText::line("Restart the application on both hosts of bcp?"),
        level: if phrase.is_some() { GuardLevel::MovesTraffic } else { GuardLevel::Reversible },
        phrase: phrase.map(SafeText::line),
    };
    story.then(1, EventKind::PromptOpened { prompt })
}

pub fn restored() -> Story {
    running().end(40_000, INDEX, Outcome::Succeeded, json!({}))
}

pub fn refused() -> Failure {
    Failure::new(FailureKind::Refused, "restart app on app1", "exit code 1: unit app.service not found")
        .hint("look at the host: systemctl status app")
}

pub fn failed() -> Story {
    let step = StepKey::try_from("restore/restart".to_owned()).expect("a step");
    restored()
        .start(ONE)
        .start(TWO)
        .end(4_000, TWO, Outcome::Succeeded, json!({}))
        .end(500, ONE, Outcome::Failed { failure: refused() }, json!({}))
        .stage_ended("restore", Outcome::Failed { failure: refused() })
        .over(RunOutcome::Failed { step })
}

pub fn unknown() -> Story {
    let failure =
        Failure::new(FailureKind::Unknown, "restart app on app1", "the connection was lost, and the host is silent")
            .hint("look at app1 before anything else: systemctl status app");
    let step = StepKey::try_from("restore/restart".to_owned()).expect("a step");
    restored()
        .start(ONE)
        .start(TWO)
        .end(4_000, TWO, Outcome::Succeeded, json!({}))
        .end(500, ONE, Outcome::Unknown { failure: failure.clone() }, json!({}))
        .stage_ended("restore", Outcome::Unknown { failure })
        .over(RunOutcome::Stuck { unknown: vec![step] })
}

pub fn done() -> Story {
    restored()
        .start(ONE)
        .start(TWO)
        .end(4_000, TWO, Outcome::Succeeded, json!({}))
        .end(500, ONE, Outcome::Succeeded, json!({}))
        .stage_ended("restore", Outcome::Succeeded)
        .over(RunOutcome::Done { warned: false })
}

/// The same as a drill.
pub fn rehearsal(mut story: Story) -> Story {
    for event in &mut story.events {
        if let EventKind::RunCreated { plan, .. } = &mut event.kind {
            plan.mode = Mode::Drill;
            plan.runbook = "drill".parse().expect("a name");
            plan.title = "Rehearse the takeover of Standby".to_owned();
        }
    }
    story
}

pub fn events(story: Story) -> Vec<Arc<Event>> {
    story.events.into_iter().map(Arc::new).collect()
}

/// A full screen with a run opened in pane 3, its card put away.
pub fn with_run(story: Story, live: bool) -> State {
    let mut state = full();
    update(&mut state, Msg::Opened { run: sample::run_id(), events: events(story), live });
    state.dialog = None;
    state.go(Pane::Run);
    state
}

/// The source is added to, the target is replaced, and two marked steps take the way back.
pub fn extent() -> Extent {
    let names = |names: &[&str]| names.iter().map(|name| SafeText::line(name)).collect();
    let step = |key: &str| StepKey::try_from(key.to_owned()).expect("a step");
    Extent {
        places: vec![
            PlaceFacts { site: Some(site("prod")), written: names(&["db", "search"]), ..PlaceFacts::default() },
            PlaceFacts {
                site: Some(site("bcp")),
                written: names(&["app1", "app2"]),
                replaced: names(&["app1", "app2", "db", "search"]),
                ..PlaceFacts::default()
            },
        ],
        no_return: vec![step("search-restore/restore-search"), step("sql-restore/restore-db")],
        unmarked: vec![step("files-restore/restore-assets")],
    }
}

pub fn plan(state: &State, runbook: &str) -> PlanShown {
    let params = match &state.dialog {
        Some(crate::console::dialog::Dialog::Planning(request, _)) => request.params.clone(),
        _ => BTreeMap::new(),
    };
    let lines: Vec<String> =
        (1..=14).map(|n| format!("  step {n}: POST http://10.0.2.11:9200/_snapshot/{n}")).collect();
    PlanShown {
        runbook: SafeText::line(runbook),
        params,
        digest: Some("b3a1".repeat(16)),
        text: SafeText::block(&format!("stage restore\n{}", lines.join("\n"))),
        losses: vec![
            SafeText::line("12 indices at bcp are replaced: 1234567 documents"),
            SafeText::line("database shop at bcp is replaced: 41.3 GiB"),
        ],
        unknown_losses: Vec::new(),
        findings: vec![SafeText::line("search at bcp is yellow: 5 shards are unassigned")],
        extent: extent(),
        at: state.now,
    }
}

// ── keys and time ───────────────────────────────────────────────────────────────────────────────────────────────────

pub fn later(state: &mut State, millis: i64) {
    let now = state.now + SignedDuration::from_millis(millis);
    assert_eq!(update(state, Msg::Tick(now)), [], "time alone does nothing");
}

/// Presses keys as a person does: parted by blanks, 200 ms apart.
pub fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.split(' ') {
        later(state, 200);
        effects.extend(update(state, Msg::Key(parse_key(key).expect("a key"))));
    }
    effects
}

/// Types a text, each character so many milliseconds after the one before.
pub fn typed(state: &mut State, text: &str, gap: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in text.chars() {
        later(state, gap);
        let key = crate::console::Key { code: crate::console::KeyCode::Char(c), ctrl: false, shift: false };
        effects.extend(update(state, Msg::Key(key)));
    }
    effects
}

/// Opens the question that begins a runbook.
pub fn start_dialog(name: &str) -> State {
    let mut state = full();
    state.go(Pane::Runbooks);
    let place = state.runbooks.iter().position(|book| book.name.as_str() == name).expect("a runbook");
    state.runbook.selected = place;
    press(&mut state, "s");
    if name == "restore" {
        typed(&mut state, "p-20260301t024600z", 100);
        press(&mut state, "enter");
    }
    let plan = plan(&state, name);
    update(&mut state, Msg::Planned(Box::new(plan)));
    state
}

/// The phrase that the open question wants.
pub fn phrase(state: &State) -> String {
    use crate::console::dialog::Dialog;
    match &state.dialog {
        Some(Dialog::Start(start)) => start.gate.phrase.to_string(),
        Some(Dialog::Confirm(confirm)) => confirm.gate.phrase.to_string(),
        other => panic!("no question with a gate is open: {other:?}"),
    }
}

/// Every pane, each alone on the screen, beside a run that goes on.
pub fn panes() -> Vec<(String, State)> {
    let pane = |pane: Pane| {
        let mut state = with_run(running(), true);
        state.go(pane);
        state.zoom = true;
        (pane.title().to_lowercase(), state)
    };
    Pane::ALL.into_iter().map(pane).collect()
}
