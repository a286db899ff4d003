//! Commands, requests, pauses and questions on a scripted world.

use serde_json::{Value, json};

use super::kinds;
use crate::model::{End, Failure, FailureKind};
use crate::port::fake::{Answer, Call};
use crate::port::{Exit, HttpAuth, JobState};
use crate::systems::StepDone;
use crate::systems::fake::{Bench, decode};

async fn run(bench: &Bench, kind: &str, params: &Value) -> Result<StepDone, Failure> {
    decode(&kinds(), kind, params).run(&bench.cx).await
}

async fn preview(bench: &Bench, kind: &str, params: &Value) -> String {
    decode(&kinds(), kind, params).preview(&bench.cx).await.expect("a preview")[0].to_string()
}

#[test]
fn parameters_that_contradict_each_other_are_refused() {
    for (kind, params) in [
        ("basic.command", json!({})),
        ("basic.command", json!({ "run": [] })),
        ("basic.command", json!({ "run": "export --all" })),
        ("basic.command", json!({ "run": ["x"], "expect_exit": [] })),
        ("basic.command", json!({ "run": ["x"], "capture": "a-b" })),
        ("basic.command", json!({ "run": ["x"], "capture": "1" })),
        ("basic.command", json!({ "run": ["x"], "capture": "a", "durable": true })),
        ("basic.http", json!({ "method": "GET" })),
        ("basic.http", json!({ "url": "u", "method": "FETCH" })),
        ("basic.wait", json!({})),
        ("basic.wait", json!({ "for": "5" })),
        ("basic.confirm", json!({ "message": "sure?" })),
    ] {
        let all = kinds();
        let kind = all.iter().find(|entry| entry.name == kind).expect("a kind");
        assert!(kind.decode(params.as_object().expect("a map")).is_err(), "{params} was accepted");
    }
}

#[tokio::test]
async fn a_command_runs_at_the_host_the_site_or_here() {
    let params = json!({ "run": ["/opt/export", "a b"], "stdin": "four" });
    for (bench, place) in [
        (Bench::new("").end(Some(End::Source)).host("app2"), "prod:app2"),
        (Bench::new("").end(Some(End::Target)), "bcp:app1"),
        (Bench::new("").end(None), "this machine"),
    ] {
        bench.reach.on("/opt/export", Answer::job(&[0], "exported\n"));
        let shown = preview(&bench, "basic.command", &params).await;
        assert_eq!(shown, format!("{place} $ /opt/export 'a b'  (reads 4 bytes)"));
        assert_eq!(run(&bench, "basic.command", &params).await, Ok(StepDone::new()));
        let Some(Call::JobStart(_, _, pipeline)) = bench.reach.calls().pop() else {
            panic!("no job was started");
        };
        assert_eq!(pipeline.stdin.as_deref(), Some(&b"four"[..]));
        assert_eq!(bench.reach.texts(), [format!("{place} $ /opt/export 'a b'")]);
    }
}

#[tokio::test]
async fn only_the_expected_codes_are_good() {
    for (expected, code, kind) in [
        (json!([0]), Exit::Code(0), None),
        (json!([0, 24]), Exit::Code(24), None),
        (json!([0]), Exit::Code(1), Some(FailureKind::Refused)),
        (json!([3]), Exit::Code(0), Some(FailureKind::Refused)),
        (json!([0]), Exit::Unknown, Some(FailureKind::Unknown)),
    ] {
        let bench = Bench::new("");
        bench.reach.on("export", Answer::job_in(JobState::Ended(vec![code]), "disk is full\n"));
        let ended = run(&bench, "basic.command", &json!({ "run": ["export"], "expect_exit": expected })).await;
        assert_eq!(ended.as_ref().err().map(|failure| failure.kind), kind, "{expected} {code}");
        if code == Exit::Code(1) {
            assert!(ended.is_err_and(|failure| failure.got.as_str().contains("disk is full")));
        }
    }
}

#[tokio::test]
async fn a_capture_is_stdout_alone_trimmed_and_whole() {
    let params = json!({ "run": ["version"], "capture": "version" });
    let bench = Bench::new("");
    bench.reach.on("version", Answer::exec(&[0], " 1.4.2\n", "deprecated\n"));
    let done = run(&bench, "basic.command", &params).await.expect("a good ending");
    assert_eq!(done.captures["version"], "1.4.2");
    let long = Bench::new("");
    long.reach.on("version", Answer::stdout(&"x".repeat(64 * 1024 + 1)));
    let failure = run(&long, "basic.command", &params).await.expect_err("a failure");
    assert!(failure.got.as_str().contains("64 KiB"), "{failure}");
    let lost = Bench::new("");
    lost.reach.on("version", Answer::lost());
    assert_eq!(run(&lost, "basic.command", &params).await.expect_err("a failure").kind, FailureKind::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_asked_to_stop_is_stopped_on_its_host() {
    let bench = Bench::new("");
    let cancel = bench.cx.cancel.clone();
    bench.reach.on("export", Answer::job_in(JobState::Running, "begun\n"));
    let step = decode(&kinds(), "basic.command", &json!({ "run": ["export"] }));
    let (ended, ()) = tokio::join!(step.run(&bench.cx), async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        cancel.cancel();
    });
    assert_eq!(ended.expect_err("a failure").kind, FailureKind::Cancelled);
    assert!(matches!(bench.reach.calls().last(), Some(Call::JobCancel(..))));
}

#[tokio::test]
async fn a_request_is_good_when_status_and_values_are() {
    for (params, status, body, kind) in [
        (json!({}), 204, json!(null), None),
        (json!({}), 404, json!({}), Some(FailureKind::Refused)),
        (json!({}), 503, json!({}), Some(FailureKind::Busy)),
        (json!({ "method": "POST" }), 503, json!({}), Some(FailureKind::Refused)),
        (json!({ "expect_status": [404] }), 404, json!({}), None),
        (json!({ "expect_status": [404] }), 200, json!({}), Some(FailureKind::Refused)),
        (json!({ "expect": { "/a/0": 1 } }), 200, json!({ "a": [1] }), None),
        (json!({ "expect": { "/a/0": 1 } }), 200, json!({ "a": [2] }), Some(FailureKind::Mismatch)),
        (json!({ "expect": { "/a/0": 1, "/b": null } }), 200, json!({ "a": [1] }), Some(FailureKind::Mismatch)),
    ] {
        let bench = Bench::new("").end(None);
        bench.reach.on("http://lb/weight", Answer::json(status, body.clone()));
        let mut params = params;
        params["url"] = "http://lb/weight".into();
        let ended = run(&bench, "basic.http", &params).await;
        assert_eq!(ended.as_ref().err().map(|failure| failure.kind), kind, "{params} {status} {body}");
        if let Ok(done) = ended {
            assert_eq!(done.captures["status"], status);
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_only_when_it_may_have_changed_something() {
    for (method, kind) in [
        ("GET", FailureKind::Unreachable),
        ("HEAD", FailureKind::Unreachable),
        ("POST", FailureKind::Unknown),
        ("PUT", FailureKind::Unknown),
        ("DELETE", FailureKind::Unknown),
    ] {
        let bench = Bench::new("").end(None);
        bench.reach.on("http://lb/", Answer::lost());
        let failure = run(&bench, "basic.http", &json!({ "url": "http://lb/", "method": method })).await;
        assert_eq!(failure.expect_err("a failure").kind, kind, "{method}");
    }
}

#[tokio::test]
async fn the_proof_of_identity_is_sent_and_never_shown() {
    let mut bench = Bench::new("").end(None);
    bench.reach.on("secret", Answer::secret("Bearer s3cret")).on("PUT http://lb/", Answer::http(200, ""));
    let params = json!({ "url": "http://lb/", "method": "PUT", "body": { "weight": 0 }, "auth": { "file": "/k" }, "ca_pem": "OURS" });
    drop(run(&bench, "basic.http", &params).await.expect("a good ending"));
    let Some(Call::Http(request)) = bench.reach.calls().pop() else {
        panic!("no request was sent");
    };
    assert!(matches!(&request.auth, Some(HttpAuth::Header(secret)) if secret.expose() == "Bearer s3cret"));
    assert_eq!(request.ca_pem.as_deref(), Some("OURS"));
    assert_eq!(preview(&bench, "basic.http", &params).await, r#"PUT http://lb/ {"weight":0}"#);
    assert!(!bench.heard().contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn waiting_takes_its_time_and_stops_when_asked() {
    let mut bench = Bench::new("").end(None);
    let began = tokio::time::Instant::now();
    drop(run(&bench, "basic.wait", &json!({ "for": "500ms" })).await.expect("a good ending"));
    drop(run(&bench, "basic.wait", &json!({ "for": "2s" })).await.expect("a good ending"));
    assert_eq!(began.elapsed().as_millis(), 2500);
    assert!(bench.heard().ends_with("0/2 seconds\n1/2 seconds\n2/2 seconds"));
    bench.cx.cancel.cancel();
    let failure = run(&bench, "basic.wait", &json!({ "for": "1d" })).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Cancelled);
}

#[tokio::test]
async fn a_confirmation_touches_nothing() {
    let bench = Bench::new("").end(None);
    assert_eq!(run(&bench, "basic.confirm", &json!({})).await, Ok(StepDone::new()));
    assert!(bench.reach.calls().is_empty());
}
