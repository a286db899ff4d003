//! Restart, stop and start on a scripted world.

use serde_json::json;

use super::{RUNIT, refused_connection, run, sick, well};
use crate::model::{End, FailureKind};
use crate::port::fake::Answer;
use crate::systems::fake::{Bench, decode};

const STATUS: &str = "sv status /etc/service/shop";
const RESTART: &str = "sudo -n /opt/bin/restart-shop";

fn bench(services: &str) -> Bench {
    Bench::new(services).service("app").end(Some(End::Target)).host("app1")
}

fn running(pid: u32) -> Answer {
    Answer::stdout(&format!("run: /etc/service/shop: (pid {pid}) 3s"))
}

fn down() -> Answer {
    Answer::stdout("down: /etc/service/shop: 3s, normally up")
}

fn systemd(active: &str, pid: u32) -> Answer {
    Answer::stdout(&format!(
        "LoadState=loaded\nActiveState={active}\nSubState=x\nResult=success\nMainPID={pid}\n\
         ExecMainStartTimestampMonotonic={pid}\nInvocationID="
    ))
}

const SYSTEMD: &str = r#"
[services.app]
kind = "app"
role = "app"
manager = { kind = "systemd", unit = "shop.service" }
"#;

#[tokio::test(start_paused = true)]
async fn a_restart_is_a_new_process_that_is_well() {
    let mut bench = bench(RUNIT);
    bench.reach.on(STATUS, running(7)).on(RESTART, Answer::stdout("ok: run: /etc/service/shop: (pid 9) 0s"));
    // Still the old one, then none, then the new one, which needs a while.
    bench.reach.on(STATUS, running(7)).on(STATUS, down()).always(STATUS, running(9));
    bench.reach.on("health", refused_connection()).on("health", sick()).always("health", well());
    let done = run(&bench, "app.restart", &json!({})).await.expect("a good ending");
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    assert_eq!(bench.reach.count(RESTART), 1);
    assert_eq!(bench.reach.count("http://10.0.2.11:8080/health"), 3);
    assert!(bench.heard().ends_with("bcp:app1: run: /etc/service/shop: (pid 9) 3s, and healthy"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_never_gets_well_says_what_the_last_answer_was() {
    let bench = bench(RUNIT);
    bench.reach.on(STATUS, running(7)).on(RESTART, Answer::stdout("")).always(STATUS, running(9));
    bench.reach.always("health", sick());
    let began = tokio::time::Instant::now();
    let failure = run(&bench, "app.restart", &json!({ "within": "20s" })).await.expect_err("a failure");
    assert_eq!((failure.kind, began.elapsed().as_secs()), (FailureKind::Refused, 21));
    let got = failure.got.as_str();
    for quote in ["not after 20s", "(pid 9)", "status 503", "stores/sql: down: OperationalError"] {
        assert!(got.contains(quote), "{quote} is missing in {got}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_process_is_no_restart_however_well_it_is() {
    let bench = bench(RUNIT);
    bench.reach.always(STATUS, running(7)).on(RESTART, Answer::stdout("")).always("health", well());
    let failure = run(&bench, "app.restart", &json!({})).await.expect_err("a failure");
    assert!(failure.got.as_str().contains("still the process from before"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_right_after_its_answer_is_not_believed() {
    let bench = bench(RUNIT);
    bench.reach.on(STATUS, running(7)).on(RESTART, Answer::stdout("")).always("health", well());
    for pid in [8, 9, 10, 11] {
        bench.reach.on(STATUS, running(pid));
    }
    bench.reach.always(STATUS, running(12));
    drop(run(&bench, "app.restart", &json!({})).await.expect("a good ending"));
    assert_eq!(bench.reach.count("health"), 3);
}

#[tokio::test(start_paused = true)]
async fn refused_by_sudo_means_nothing_changed_and_a_rule_to_add() {
    let bench = bench(RUNIT);
    bench.reach.on(STATUS, running(7)).on(RESTART, Answer::exec(&[1], "", "sudo: a password is required\n"));
    let failure = run(&bench, "app.restart", &json!({})).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Refused);
    let hint = failure.hint.expect("a hint");
    assert!(hint.as_str().contains("LOGIN-USER ALL=(root) NOPASSWD: /opt/bin/restart-shop"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_after_and_not_sent_again() {
    for (after, health, seen) in [(9, well(), true), (7, well(), false)] {
        let bench = bench(RUNIT);
        bench.reach.on(STATUS, running(7)).on(RESTART, Answer::lost()).always(STATUS, running(after));
        bench.reach.always("health", health);
        let ended = run(&bench, "app.restart", &json!({ "within": "5s" })).await;
        assert_eq!(bench.reach.count(RESTART), 1);
        if seen {
            let warning = &ended.expect("a good ending").warnings[0];
            assert!(warning.as_str().contains("its effect was seen"), "{warning}");
        } else {
            assert_eq!(ended.expect_err("a failure").kind, FailureKind::Unknown);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_may_not_be_asked_is_asked_with_sudo_and_then_left_alone() {
    let denied = "warning: /etc/service/shop: unable to open supervise/ok: access denied";
    let bench = bench(RUNIT);
    bench.reach.on("bcp:app1 $ sv status", Answer::exec(&[1], denied, ""));
    bench.reach.on("sudo -n sv status", Answer::exec(&[1], "", "sudo: a password is required"));
    bench.reach.on(RESTART, Answer::stdout("")).on("health", sick()).always("health", well());
    let done = run(&bench, "app.restart", &json!({})).await.expect("a good ending");
    assert!(done.warnings[0].as_str().contains("access denied"), "{:?}", done.warnings);
    assert!(done.warnings[1].as_str().contains("no new process"), "{:?}", done.warnings);
    assert_eq!(bench.reach.count("sv status"), 2);

    let blind = self::bench(&RUNIT.replace("health =", "# health ="));
    blind.reach.on("bcp:app1 $ sv status", Answer::exec(&[1], denied, ""));
    blind.reach.on("sudo -n sv status", Answer::exec(&[1], "", "sudo: a password is required"));
    let failure = run(&blind, "app.restart", &json!({})).await.expect_err("a failure");
    assert_eq!((failure.kind, blind.reach.count(RESTART)), (FailureKind::Refused, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_health_address_a_process_must_settle() {
    let bench = bench(SYSTEMD);
    bench.reach.on("show", systemd("active", 7)).on("sudo -n systemctl restart -- shop.service", Answer::stdout(""));
    bench.reach.on("show", systemd("activating", 0)).on("show", systemd("active", 8));
    bench.reach.always("show", systemd("active", 9));
    let began = tokio::time::Instant::now();
    drop(run(&bench, "app.restart", &json!({})).await.expect("a good ending"));
    assert!(began.elapsed().as_secs() >= 4, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_command_brings_state_and_log() {
    let bench = bench(SYSTEMD);
    bench.reach.on("show", systemd("active", 7)).always("show", systemd("failed", 0));
    let said = "Job for shop.service failed because the control process exited with error code.";
    bench.reach.on("systemctl restart", Answer::exec(&[1], "", said));
    bench.reach.on("journalctl -n 15", Answer::stdout("2026 app1 shop[9]: cannot bind to port 8080\n"));
    let failure = run(&bench, "app.restart", &json!({})).await.expect_err("a failure");
    let got = failure.got.as_str();
    for quote in [said, "the service is now: failed", "cannot bind to port 8080"] {
        assert!(got.contains(quote), "{quote} is missing in {got}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopped_is_what_the_manager_calls_stopped() {
    let bench = bench(RUNIT);
    bench.reach.on(STATUS, running(7)).on("sudo -n sv -w 30 stop", Answer::stdout("ok: down"));
    bench.reach.on(STATUS, Answer::stdout("run: /etc/service/shop: (pid 7) 9s, want down, got TERM"));
    bench.reach.on(STATUS, down());
    drop(run(&bench, "app.stop", &json!({})).await.expect("a good ending"));
    assert!(bench.reach.unused().is_empty());

    let stubborn = self::bench(RUNIT);
    stubborn.reach.always(STATUS, running(7)).on("sv -w 30 stop", Answer::exec(&[1], "timeout: run: (pid 7)", ""));
    let failure = run(&stubborn, "app.stop", &json!({})).await.expect_err("a failure");
    assert!(failure.got.as_str().contains("timeout: run: (pid 7)"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_taken_back_by_a_start() {
    let bench = bench(RUNIT);
    bench.reach.on(STATUS, down()).on("sudo -n sv -w 30 start", Answer::stdout("ok: run")).always(STATUS, running(9));
    bench.reach.always("health", well());
    let step = decode(&super::kinds(), "app.stop", &json!({}));
    drop(step.undo(&bench.cx).await.expect("a good ending"));
    assert_eq!(bench.reach.count("sv -w 30 start"), 1);
}

#[tokio::test]
async fn a_step_that_changes_an_application_needs_a_host_and_a_proof() {
    let site = Bench::new(RUNIT).service("app").end(Some(End::Target));
    let failure = run(&site, "app.restart", &json!({})).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Invalid);
    let blind = bench("[services.app]\nkind = \"app\"\nrole = \"app\"\nrestart = [\"/r\"]\n");
    let failure = run(&blind, "app.restart", &json!({})).await.expect_err("a failure");
    assert!(failure.got.as_str().contains("neither `manager` nor `health`"), "{failure}");
    assert!(blind.reach.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_stops_when_asked_but_the_command_is_never_cut_off() {
    let bench = bench(RUNIT);
    let cancel = bench.cx.cancel.clone();
    bench.reach.on(STATUS, running(7));
    bench.reach.compute(RESTART, move |_| {
        cancel.cancel();
        Answer::stdout("")
    });
    let failure = run(&bench, "app.restart", &json!({})).await.expect_err("a failure");
    assert_eq!((failure.kind, bench.reach.count(RESTART)), (FailureKind::Cancelled, 1));
}
