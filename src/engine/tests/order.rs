//! What begins when: order, hosts, conditions, failures, retries, limits of time, undo.

use super::*;

/// Plays these stages to the good end that they must come to. Returns the state, what was done, and the seconds it took.
async fn well(run: &str, stages: &str) -> (RunState, Vec<String>, u64) {
    let mut scene = Scene::new(run, stages);
    let began = tokio::time::Instant::now();
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false }, "{run}");
    (state, deeds(&scene.run), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn steps_run_in_order_and_captures_reach_later_ones() {
    let text =
        stage("s", "") + &step("a", "with = { value = 42 }") + &step("b", "with = { value = \"{{ steps.a.value }}\" }");
    let (state, done, _) = well("captures", &text).await;
    assert_eq!(done, ["s/a 1", "s/b 1"]);
    assert_eq!(state.captures["b"]["value"], 42);
}

#[tokio::test(start_paused = true)]
async fn independent_stages_run_side_by_side() {
    let text = stage("one", "")
        + &step("a", "with = { takes = \"10s\" }")
        + &stage("two", "needs = []")
        + &step("b", "with = { takes = \"10s\" }")
        + &stage("three", "needs = [\"one\", \"two\"]")
        + &step("c", "");
    let (_, done, seconds) = well("side-by-side", &text).await;
    assert_eq!(seconds, 10);
    assert_eq!(done, ["one/a 1", "two/b 1", "three/c 1"]);
}

#[tokio::test(start_paused = true)]
async fn every_intent_is_kept_before_its_effect() {
    let text = stage("s", "") + &step("a", "") + &step("b", "");
    // 1 created, 2 session, 3 stage, 4 intent of a, 5 its end; the intent of b does not fit any more.
    let sink = MemorySink { full_after: Some(5), ..MemorySink::default() };
    let mut scene = Scene::with_sink("intent", &text, sink);
    let error = scene.play(no_reaction).await.expect_err("the record is full");
    assert!(matches!(error, EngineError::Record { .. }), "{error}");
    assert_eq!(deeds(&scene.run), ["s/a 1"], "b must not have been started");
}

#[tokio::test(start_paused = true)]
async fn what_begins_or_ends_at_once_is_kept_as_one_group_whole_or_not_at_all() {
    let on_three = "each = \"parallel\"\nwith = { takes = \"10s\" }";
    let text = stage("s", "") + &step("a", on_three).replace("console", "target.app");
    let mut scene = Scene::new("group", &text);
    scene.play(no_reaction).await.expect("an ending");
    // Created, session, stage, three intents, three endings, the end of the stage, the end of the run.
    assert_eq!(*scene.sink.groups.lock().expect("not poisoned"), [1, 1, 1, 3, 3, 1, 1]);
    // Two of three intents would fit.
    let mut scene = Scene::with_sink("no-group", &text, MemorySink { full_after: Some(5), ..MemorySink::default() });
    let error = scene.play(no_reaction).await.expect_err("the record is full");
    assert!(matches!(error, EngineError::Record { .. }), "{error}");
    assert!(deeds(&scene.run).is_empty() && scene.events().len() == 3, "none of them may begin");
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_tried_again_with_growing_pauses() {
    let text = stage("s", "")
        + &step("a", "retry = { attempts = 4, backoff = \"10s\" }\nwith = { ends = [\"busy\", \"busy\", \"ok\"] }");
    let (_, done, seconds) = well("retry", &text).await;
    assert_eq!(done, ["s/a 1", "s/a 2", "s/a 3"]);
    assert_eq!(seconds, 30);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_unknown_outcomes_are_never_tried_again() {
    for (word, expected) in [("fail", 1), ("unknown", 4), ("rule", 3), ("panic", 4)] {
        let text = stage("s", "")
            + &step("a", &format!("retry = {{ attempts = 4 }}\nwith = {{ ends = [\"{word}\"] }}"))
            + &step("b", "");
        let mut scene = Scene::new(&format!("no-retry-{word}"), &text);
        let state = scene.play(no_reaction).await.expect("an ending");
        assert_eq!(outcome(&state).exit_code(), expected, "{word}");
        assert_eq!(deeds(&scene.run), ["s/a 1"], "{word}");
        assert_eq!(unit_word(&state, "s/b"), "not run", "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_lets_running_branches_finish_and_starts_nothing_new() {
    let text = stage("one", "")
        + &step("a", "with = { takes = \"5s\", ends = [\"fail\"] }")
        + &stage("two", "needs = []")
        + &step("b", "with = { takes = \"20s\" }")
        + &step("c", "");
    let mut scene = Scene::new("branches", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }));
    assert_eq!(unit_word(&state, "two/b"), "done");
    assert_eq!(unit_word(&state, "two/c"), "not run");
}

#[tokio::test(start_paused = true)]
async fn continue_goes_on_and_ends_with_a_warning() {
    let text = stage("s", "") + &step("a", "on_failure = \"continue\"\nwith = { ends = [\"fail\"] }") + &step("b", "");
    let mut scene = Scene::new("continue", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: true });
    assert_eq!(unit_word(&state, "s/b"), "done");
}

#[tokio::test(start_paused = true)]
async fn hosts_go_one_after_another_or_side_by_side_within_the_limit() {
    for (each, seconds) in [("", 30), ("each = \"parallel\"", 10), ("each = \"parallel\"\nlimit = 2", 20)] {
        let text = stage("s", "")
            + &step("a", &format!("{each}\nwith = {{ takes = \"10s\" }}")).replace("console", "target.app");
        let (_, done, took) = well(&format!("hosts-{seconds}"), &text).await;
        assert_eq!(done.len(), 3);
        assert_eq!(took, seconds, "{each}");
    }
}

#[tokio::test(start_paused = true)]
async fn serial_hosts_stop_at_the_first_failure() {
    let text = stage("s", "") + &step("a", "with = { ends = [\"fail\"] }").replace("console", "target.app");
    let mut scene = Scene::new("serial-fail", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(deeds(&scene.run), ["s/a@bcp:b1 1"]);
    assert_eq!(unit_word(&state, "s/a@bcp:b3"), "not run");
}

#[tokio::test(start_paused = true)]
async fn conditions_skip_steps_and_stages() {
    let text = stage("s", "")
        + &step("a", "with = { value = 1 }")
        + &step("b", "when = \"steps.a.value > 1\"")
        + &stage("t", "when = \"steps.a.value == 2\"")
        + &step("c", "")
        + &stage("u", "")
        + &step("d", "");
    let (state, done, _) = well("when", &text).await;
    assert_eq!(done, ["s/a 1", "u/d 1"]);
    assert_eq!(unit_word(&state, "t/c"), "skipped");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_takes_too_long_is_stopped_and_says_so() {
    let text = stage("s", "") + &step("a", "timeout = \"5s\"\nwith = { takes = \"1h\" }");
    let mut scene = Scene::new("timeout", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(unit_word(&state, "s/a"), "timed out");
    let text = stage("s", "") + &step("a", "timeout = \"5s\"\nwith = { takes = \"1h\", stubborn = \"1h\" }");
    let mut scene = Scene::new("timeout-stubborn", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4, "what does not stop is unknown, not failed");
    for (word, code, unit) in [("unknown", 4, "UNKNOWN"), ("warn", 0, "warned"), ("fail", 1, "timed out")] {
        let with = format!("timeout = \"5s\"\nwith = {{ takes = \"1h\", stopped = \"{word}\" }}");
        let mut scene = Scene::new(&format!("timeout-{word}"), &(stage("s", "") + &step("a", &with)));
        let state = scene.play(no_reaction).await.expect("an ending");
        assert_eq!((outcome(&state).exit_code(), unit_word(&state, "s/a").as_str()), (code, unit));
    }
}

#[tokio::test(start_paused = true)]
async fn cancel_once_finishes_the_step_and_twice_stops_it() {
    let text = stage("s", "") + &step("a", "with = { takes = \"1m\" }") + &step("b", "");
    let cancel = |times: usize| {
        move |event: &Event| match &event.kind {
            EventKind::UnitStarted { .. } => vec![RunCommand::Cancel { reason: CancelReason::Signal, by: None }; times],
            _ => Vec::new(),
        }
    };
    let mut once = Scene::new("cancel-once", &text);
    let state = once.play(cancel(1)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Cancelled { by: CancelReason::Signal });
    assert_eq!(unit_word(&state, "s/a"), "done");
    assert_eq!(unit_word(&state, "s/b"), "not run");
    let mut twice = Scene::new("cancel-twice", &text);
    let state = twice.play(cancel(2)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Cancelled { by: CancelReason::SignalNow });
    assert_eq!(unit_word(&state, "s/a"), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn undo_goes_back_in_reverse_order() {
    let write = |id: &str, with: &str| step(id, with).replace("t.do", "t.write");
    let text = stage("s", "")
        + &write("a", "")
        + &write("b", "")
        + &step("look", "")
        + &write("c", "on_failure = \"undo\"\nwith = { ends = [\"fail\"] }");
    let mut scene = Scene::new("undo", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }));
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/b 1", "s/look 1", "s/c 1", "undo s/b", "undo s/a"]);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_ends_stuck_and_goes_no_further() {
    let write = |id: &str, with: &str| step(id, with).replace("t.do", "t.write");
    let text = stage("s", "")
        + &write("a", "")
        + &write("b", "with = { undo = \"fail\" }")
        + &write("c", "on_failure = \"undo\"\nwith = { ends = [\"fail\"] }");
    let mut scene = Scene::new("undo-fails", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/b 1", "s/c 1", "undo s/b"]);
    assert_eq!(unit_word(&state, "s/b"), "undo failed");
}
