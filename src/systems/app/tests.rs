//! The application room: what managers and health addresses say, and the steps on a scripted world.

use serde_json::{Value, json};

use super::health::unwell;
use super::leader::leader_in;
use super::manager::{Manager, Phase};
use super::refusal::{sudo_refused, sudo_rule};
use super::settings::Verb;
use super::{AppSettings, Health, kinds};
use crate::model::{End, Failure, FailureKind};
use crate::port::fake::Answer;
use crate::port::{Command, ExecOutput, Exit, HttpResponse, ReachErrorKind};
use crate::systems::StepDone;
use crate::systems::fake::{Bench, decode};

mod control;

/// As the lab declares it.
const RUNIT: &str = r#"
[services.app]
kind = "app"
role = "app"
manager = { kind = "runit", service = "/etc/service/shop" }
restart = ["sudo", "-n", "/opt/bin/restart-shop"]
health = { url = "http://{{ host.address }}:8080/health" }
prod = { leader_url = "http://10.0.1.20:8500/leader" }
"#;

fn manager(json: Value) -> Manager {
    serde_json::from_value(json).expect("a manager")
}

fn output(stdout: &str, stderr: &str, code: i32) -> ExecOutput {
    ExecOutput { exits: vec![Exit::Code(code)], stdout: stdout.into(), stderr: stderr.into(), truncated: false }
}

fn well() -> Answer {
    Answer::json(200, json!({ "status": "up", "version": "1.4.2", "stores": { "sql": "up", "redis": "up" } }))
}

fn sick() -> Answer {
    let stores = json!({ "sql": "down: OperationalError: (2003)", "search": "down: no answer in time", "redis": "up" });
    Answer::json(503, json!({ "status": "down", "version": "1.4.2", "stores": stores }))
}

fn refused_connection() -> Answer {
    Answer::error(ReachErrorKind::Unreachable, "connection refused")
}

async fn run(bench: &Bench, kind: &str, params: &Value) -> Result<StepDone, Failure> {
    decode(&kinds(), kind, params).run(&bench.cx).await
}

#[test]
fn sv_status_lines_are_read() {
    use Phase::{Moving, Running, Stopped};
    let runit = manager(json!({ "kind": "runit", "service": "/svc" }));
    for (line, phase, pid) in [
        ("run: /svc: (pid 27795) 2s", Running, Some("27795")),
        ("run: /svc: (pid 7) 12s; run: log: (pid 8) 12s", Running, Some("7")),
        ("run: /svc: (pid 7) 1s, normally down", Running, Some("7")),
        ("run: /svc: (pid 7) 50s, want down, got TERM", Moving, None),
        ("run: /svc: (pid 7) 50s, got TERM", Moving, None),
        ("run: /svc: (pid 7) 50s, paused", Moving, None),
        ("down: /svc: 0s, normally up", Stopped, None),
        ("down: /svc: 0s, normally up; run: log: (pid 8) 3s", Stopped, None),
        ("down: /svc: 1s, normally up, want up", Moving, None),
        ("finish: /svc: (pid 9) 0s", Moving, None),
    ] {
        let seen = runit.read(&output(&format!("{line}\n"), "", 0)).expect("a state");
        assert_eq!((seen.phase, seen.identity.as_deref()), (phase, pid), "{line}");
    }
    for silence in [
        "fail: /svc: unable to change to service directory: file does not exist",
        "warning: /svc: unable to open supervise/ok: access denied",
        "fail: /svc: runsv not running",
    ] {
        assert_eq!(runit.read(&output(silence, "", 1)).err(), Some(format!("{silence}\nsv: exit code 1")));
    }
    assert!(runit.read(&output("", "sv: not found", 127)).is_err_and(|said| said.contains("program not found")));
}

#[test]
fn systemctl_show_is_read() {
    use Phase::{Moving, Running, Stopped};
    let systemd = manager(json!({ "kind": "systemd", "unit": "shop.service" }));
    let show = |active: &str, sub: &str, pid: &str| {
        format!(
            "LoadState=loaded\nActiveState={active}\nSubState={sub}\nResult=success\nMainPID={pid}\n\
             ExecMainStartTimestampMonotonic=88{pid}\nInvocationID=\n"
        )
    };
    for (active, sub, phase) in [
        ("active", "running", Running),
        ("active", "exited", Running),
        ("inactive", "dead", Stopped),
        ("failed", "failed", Stopped),
        ("activating", "auto-restart", Moving),
        ("deactivating", "stop-sigterm", Moving),
    ] {
        let seen = systemd.read(&output(&show(active, sub, "12"), "", 0)).expect("a state");
        assert_eq!(seen.phase, phase, "{active}");
        assert_eq!(seen.identity.is_some(), phase == Running, "{active}");
    }
    let identity = |pid: &str| systemd.read(&output(&show("active", "running", pid), "", 0)).expect("a state").identity;
    assert_eq!(identity("12"), identity("12"));
    assert_ne!(identity("12"), identity("13"));
    let failed = show("failed", "failed", "0").replace("success", "exit-code");
    assert_eq!(systemd.read(&output(&failed, "", 0)).expect("a state").said, "failed (failed), result exit-code");
    let unknown = show("inactive", "dead", "0").replace("loaded", "not-found");
    assert!(systemd.read(&output(&unknown, "", 0)).is_err());
    let dead = "System has not been booted with systemd as init system (PID 1). Can't operate.";
    assert!(systemd.read(&output("", dead, 1)).is_err_and(|said| said.contains("not been booted")));
}

#[test]
fn supervisorctl_lines_are_read() {
    use Phase::{Moving, Running, Stopped};
    let supervisor = manager(json!({ "kind": "supervisor", "program": "shop:*" }));
    for (text, phase, pids) in [
        ("shop                 RUNNING   pid 123, uptime 0:01:02\n", Running, Some("123")),
        ("shop:a RUNNING pid 1, uptime 1 day, 0:01:02\nshop:b RUNNING pid 2, uptime 0:00:01", Running, Some("1 2")),
        ("shop:a RUNNING pid 1, uptime 0:01:02\nshop:b STOPPED Nov 21 07:00 AM", Moving, None),
        ("shop   STOPPED   Nov 21 07:00 AM", Stopped, None),
        ("shop   STOPPED   Not started", Stopped, None),
        ("shop   FATAL     Exited too quickly (process log may have details)", Stopped, None),
        ("shop   STARTING  ", Moving, None),
        ("shop   BACKOFF   Exited too quickly (process log may have details)", Moving, None),
    ] {
        let seen = supervisor.read(&output(text, "", 3)).expect("a state");
        assert_eq!((seen.phase, seen.identity.as_deref()), (phase, pids), "{text}");
    }
    for silence in [
        "shop: ERROR (no such process)",
        "unix:///var/run/supervisor.sock no such file",
        "error: <class 'PermissionError'>, [Errno 13] Permission denied: file: socket.py line: 224",
        "",
    ] {
        assert!(supervisor.read(&output(silence, "", 4)).is_err(), "{silence}");
    }
}

#[test]
fn an_own_status_command_tells_by_its_code() {
    let own = manager(json!({ "kind": "command", "status": ["/opt/status"] }));
    for (code, phase) in [(0, Some(Phase::Running)), (3, Some(Phase::Stopped)), (1, None), (127, None)] {
        assert_eq!(own.read(&output("", "", code)).ok().map(|seen| seen.phase), phase, "{code}");
    }
    assert!(own.command(Verb::Restart).is_none());
}

#[test]
fn commands_come_from_the_operator_or_from_the_manager() {
    for (settings, verb, command) in [
        (json!({ "role": "a", "restart": ["sudo", "-n", "/r"] }), Verb::Restart, Some("sudo -n /r")),
        (json!({ "role": "a", "restart": ["/r"] }), Verb::Stop, None),
        (
            json!({ "role": "a", "manager": { "kind": "systemd", "unit": "s.service" } }),
            Verb::Restart,
            Some("sudo -n systemctl restart -- s.service"),
        ),
        (
            json!({ "role": "a", "manager": { "kind": "runit", "service": "/s" } }),
            Verb::Stop,
            Some("sudo -n sv -w 30 stop /s"),
        ),
        (
            json!({ "role": "a", "manager": { "kind": "supervisor", "program": "s" } }),
            Verb::Start,
            Some("sudo -n supervisorctl start s"),
        ),
        (json!({ "role": "a", "manager": { "kind": "command", "status": ["/s"] } }), Verb::Start, None),
    ] {
        let settings: AppSettings = serde_json::from_value(settings).expect("settings");
        assert_eq!(settings.command(verb).map(|command| command.to_string()).ok().as_deref(), command);
    }
}

#[test]
fn settings_refuse_what_they_do_not_know() {
    for bad in [
        json!({}),
        json!({ "role": "a", "roles": "b" }),
        json!({ "role": "a", "restart": [] }),
        json!({ "role": "a", "manager": { "kind": "upstart", "unit": "s" } }),
        json!({ "role": "a", "manager": { "kind": "systemd", "unit": "s", "service": "t" } }),
        json!({ "role": "a", "health": { "url": "u", "field": "/status" } }),
        json!({ "role": "a", "health": { "url": "u", "value": "up" } }),
        json!({ "role": "a", "health": { "url": "u", "field": "status", "value": "up" } }),
        json!({ "role": "a", "health": { "url": "u", "after": "1s" } }),
    ] {
        assert!(serde_json::from_value::<AppSettings>(bad.clone()).is_err(), "{bad} was accepted");
    }
}

#[test]
fn a_health_answer_is_judged_by_status_and_value() {
    let judge = |health: Value, status: u16, body: &str| {
        let health: Health = serde_json::from_value(health).expect("a health");
        health.judge("http://a/", &HttpResponse { status, body: body.into() })
    };
    let plain = json!({ "url": "u" });
    assert_eq!(judge(plain.clone(), 200, "fine").problem, None);
    let sick = judge(plain.clone(), 503, r#"{"stores":{"sql":"down: x","redis":"up"}}"#);
    assert_eq!(sick.problem.as_deref(), Some("http://a/ answered status 503 in place of 200\n  stores/sql: down: x"));
    let text = judge(plain.clone(), 502, "Bad Gateway").problem.expect("a problem");
    assert!(text.ends_with("\n  Bad Gateway"), "{text}");
    let limping = judge(plain, 200, r#"{"version":"2","stores":{"sql":"up","redis":"down"}}"#);
    assert_eq!((limping.problem, limping.limping), (None, vec!["stores/redis: down".to_owned()]));
    assert_eq!(limping.version.as_deref(), Some("2"));
    let field = json!({ "url": "u", "field": "/status", "value": "up" });
    assert_eq!(judge(field.clone(), 200, r#"{"status":"up"}"#).problem, None);
    for (body, says) in [
        (r#"{"status":"degraded"}"#, r#"says /status is "degraded" in place of "up""#),
        (r"{}", "says nothing at /status"),
        ("<html>", "answered no JSON"),
    ] {
        let problem = judge(field.clone(), 200, body).problem.expect("a problem");
        assert!(problem.contains(says), "{problem}");
    }
}

#[test]
fn parts_that_are_not_up_are_found_in_the_usual_shapes() {
    let spring = json!({ "status": "DOWN", "components": {
        "db": { "status": "DOWN" }, "ping": { "status": "UP" },
        "group": { "status": "UP", "components": { "inner": { "status": "OUT_OF_SERVICE" } } } } });
    assert_eq!(unwell(&spring), ["components/db: DOWN", "components/group/components/inner: OUT_OF_SERVICE"]);
    let flags = json!({ "checks": { "a": true, "b": false, "c": null, "d": 3 } });
    assert_eq!(unwell(&flags), ["checks/b: false", "checks/c: null"]);
    assert!(unwell(&json!({ "title": "Shop", "nested": { "name": "x" } })).is_empty());
    assert!(unwell(&json!("down")).is_empty());
}

#[test]
fn a_leader_is_a_name_in_a_good_answer() {
    let answer = |status, body: Value| HttpResponse { status, body: body.to_string().into_bytes() };
    assert_eq!(leader_in(&answer(200, json!({ "leader": "app1" })), "leader"), Ok("app1".into()));
    assert_eq!(leader_in(&answer(200, json!({ "c": { "l": "app2" } })), "/c/l"), Ok("app2".into()));
    assert!(leader_in(&answer(503, json!({ "leader": null })), "leader").is_err());
    assert!(leader_in(&answer(503, json!({ "leader": "app1" })), "leader").is_err());
    assert!(leader_in(&HttpResponse { status: 200, body: b"app1".to_vec() }, "leader").is_err());
}

#[test]
fn refusals_of_sudo_are_known_and_answered_with_a_rule() {
    for refusal in [
        "sudo: exit code 1\nsudo: a password is required",
        "sudo: a terminal is required to read the password; either use the -S option",
        "ops is not in the sudoers file.",
        "Sorry, user ops is not allowed to execute '/usr/bin/sv' as root on app1.",
    ] {
        assert!(sudo_refused(refusal), "{refusal}");
    }
    assert!(!sudo_refused("sudo: exit code 1\ntimeout: run: /svc: (pid 7) 50s, want down"));
    let script = Command::new("sudo").args(["-n", "/opt/bin/restart-shop"]);
    assert_eq!(sudo_rule(Some("ops"), &script).as_deref(), Some("ops ALL=(root) NOPASSWD: /opt/bin/restart-shop"));
    assert_eq!(sudo_rule(None, &Command::new("/opt/bin/restart-shop")), None);
}

#[tokio::test]
async fn every_host_is_reported_and_one_is_enough_at_the_source() {
    let mut bench = Bench::new(RUNIT).service("app");
    bench.reach.on("10.0.1.11:8080", sick()).on("10.0.1.12:8080", well());
    bench.reach.on("leader", Answer::json(200, json!({ "leader": "app2" })));
    let done = run(&bench, "app.check", &json!({})).await.expect("a good ending");
    assert_eq!(done.captures["healthy"], json!(["app2"]));
    assert_eq!(done.captures["hosts"], json!(["app1", "app2"]));
    assert_eq!((&done.captures["leader"], &done.captures["version"]), (&json!("app2"), &json!("1.4.2")));
    let warning = done.warnings[0].as_str();
    assert!(warning.contains("stores/sql: down: OperationalError: (2003)"), "{warning}");
    assert!(bench.heard().contains("prod:app2 is healthy, version 1.4.2"));
}

#[tokio::test]
async fn a_check_that_fails_quotes_every_store_of_every_host() {
    let bench = Bench::new(RUNIT).service("app");
    bench.reach.always("health", sick());
    bench.reach.on("leader", Answer::json(503, json!({ "leader": null })));
    let failure = run(&bench, "app.check", &json!({})).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Busy);
    let got = failure.got.as_str();
    for quote in ["0 of 2 hosts", "prod:app1", "prod:app2", "stores/sql", "stores/search", "no leader"] {
        assert!(got.contains(quote), "{quote} is missing in {got}");
    }
    assert!(!got.contains("stores/redis"));
}

#[tokio::test]
async fn what_is_required_depends_on_the_end_and_the_parameter() {
    for (end, require, leader, good) in [
        (End::Source, Value::Null, "app1", true),
        (End::Source, json!("all"), "app1", false),
        (End::Source, json!("leader"), "app1", false),
        (End::Source, json!("leader"), "app2", true),
        (End::Source, json!("leader"), "app9", false),
        (End::Target, Value::Null, "app1", false),
    ] {
        let bench = Bench::new(RUNIT).service("app").end(Some(end));
        bench.reach.always("10.0.1.11:8080", refused_connection()).always("10.0.1.12:8080", well());
        bench.reach.always("10.0.2.11:8080", sick());
        bench.reach.always("leader", Answer::json(200, json!({ "leader": leader })));
        let params = if require.is_null() { json!({}) } else { json!({ "require": require }) };
        assert_eq!(run(&bench, "app.check", &params).await.is_ok(), good, "{end} {params} {leader}");
    }
}

#[tokio::test]
async fn an_application_that_limps_or_has_two_versions_warns() {
    let bench = Bench::new(RUNIT).service("app");
    bench.reach.on("10.0.1.11:8080", Answer::json(200, json!({ "version": "1", "stores": { "redis": "down" } })));
    bench.reach.on("10.0.1.12:8080", Answer::json(200, json!({ "version": "2" })));
    bench.reach.on("leader", Answer::error(ReachErrorKind::Unreachable, "connection refused"));
    let done = run(&bench, "app.check", &json!({ "require": "all" })).await.expect("a good ending");
    let said: Vec<&str> = done.warnings.iter().map(crate::model::SafeText::as_str).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("no leader") && said[1].ends_with("stores/redis: down") && said[2].contains("1, 2"));
    assert_eq!(done.captures["leader"], Value::Null);
}

#[tokio::test]
async fn without_a_health_address_the_manager_is_asked() {
    let services = RUNIT.replace("health =", "# health =");
    let bench = Bench::new(&services).service("app").end(Some(End::Target));
    bench.reach.on("bcp:app1 $ sv status /etc/service/shop", Answer::stdout("down: /etc/service/shop: 3s"));
    let failure = run(&bench, "app.check", &json!({})).await.expect_err("a failure");
    assert!(failure.got.as_str().contains("down: /etc/service/shop: 3s"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn healthy_waits_for_every_host_and_gives_up_in_time() {
    let mut bench = Bench::new(RUNIT).service("app");
    bench.reach.on("10.0.1.11:8080", refused_connection()).on("10.0.1.11:8080", sick());
    bench.reach.always("health", well());
    drop(run(&bench, "app.healthy", &json!({})).await.expect("a good ending"));
    assert_eq!(bench.heard(), "1/2 hosts\n1/2 hosts\n2/2 hosts\nall 2 hosts of prod are healthy");
    let never = Bench::new(RUNIT).service("app");
    never.reach.always("10.0.1.11:8080", sick()).always("10.0.1.12:8080", well());
    let began = tokio::time::Instant::now();
    let failure = run(&never, "app.healthy", &json!({ "within": "10s" })).await.expect_err("a failure");
    assert!(failure.got.as_str().contains("1 of 2 hosts are healthy"), "{failure}");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_health_stops_when_asked() {
    let bench = Bench::new(RUNIT).service("app");
    bench.reach.always("health", Answer::Hang);
    let cancel = bench.cx.cancel.clone();
    let step = decode(&kinds(), "app.healthy", &json!({}));
    let (ended, ()) = tokio::join!(step.run(&bench.cx), async { cancel.cancel() });
    assert_eq!(ended.expect_err("a failure").kind, FailureKind::Cancelled);
}

#[tokio::test]
async fn previews_name_every_request() {
    let bench = Bench::new(RUNIT).service("app");
    let lines = decode(&kinds(), "app.check", &json!({})).preview(&bench.cx).await.expect("a preview");
    let lines: Vec<&str> = lines.iter().map(crate::model::SafeText::as_str).collect();
    assert_eq!(
        lines,
        ["GET http://10.0.1.11:8080/health", "GET http://10.0.1.12:8080/health", "GET http://10.0.1.20:8500/leader"]
    );
}
