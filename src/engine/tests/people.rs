//! What a person says to a run: yes, no, again, without it, wait, go on.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_confirmation_asks_once_for_all_hosts_and_no_means_no() {
    let confirm = "confirm = { level = 2, message = \"Really?\" }";
    let text = stage("s", "") + &step("a", confirm).replace("console", "target.app");
    let mut yes = Scene::new("confirm-yes", &text);
    let state = yes.play(answer_with(PromptAnswer::Proceed, None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(state.prompts.len(), 1);
    let mut no = Scene::new("confirm-no", &text);
    let state = no.play(answer_with(PromptAnswer::Decline, None)).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 3);
    assert_eq!(deeds(&no.run), Vec::<String>::new());
    let mut nobody = Scene::new("confirm-nobody", &text).unattended();
    let state = nobody.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 3, "no terminal means refuse");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_phrase_is_not_a_yes() {
    let text = stage("s", "") + &step("a", "confirm = { level = 2, message = \"Really?\" }");
    let mut scene = Scene::new("phrase", &text);
    let wrong = answer_with(PromptAnswer::Proceed, Some("y"));
    let react = |event: &Event| match &event.kind {
        // The refusal is said; then the operator gives up.
        EventKind::UnitSaid { .. } => vec![RunCommand::Cancel { reason: CancelReason::Operator, by: Some(operator()) }],
        _ => wrong(event),
    };
    let state = scene.play(react).await.expect("an ending");
    assert_eq!(deeds(&scene.run), Vec::<String>::new());
    assert_eq!(outcome(&state), RunOutcome::Cancelled { by: CancelReason::Operator });
}

#[tokio::test(start_paused = true)]
async fn what_a_safety_rule_refuses_is_nobodys_to_leave_out() {
    let text = stage("s", "") + &step("a", "on_failure = \"ask\"\nwith = { ends = [\"rule\"] }") + &step("b", "");
    let mut scene = Scene::new("ask-rule", &text);
    let state =
        scene.play(answer_with(PromptAnswer::Skip { comment: "let me".into() }, None)).await.expect("an ending");
    assert_eq!((outcome(&state).exit_code(), state.prompts.len()), (3, 0));
    assert_eq!(unit_word(&state, "s/b"), "not run");
}

#[tokio::test(start_paused = true)]
async fn a_failure_may_ask_and_the_answer_decides() {
    let text =
        stage("s", "") + &step("a", "on_failure = \"ask\"\nwith = { ends = [\"fail\", \"ok\"] }") + &step("b", "");
    let mut retry = Scene::new("ask-retry", &text);
    let state = retry.play(answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert_eq!(deeds(&retry.run), ["s/a 1", "s/a 2", "s/b 1"]);
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    let mut skip = Scene::new("ask-skip", &text);
    let state =
        skip.play(answer_with(PromptAnswer::Skip { comment: "not today".into() }, None)).await.expect("an ending");
    assert_eq!(unit_word(&state, "s/a"), "skipped");
    assert_eq!(unit_word(&state, "s/b"), "done");
    let mut stop = Scene::new("ask-stop", &text);
    let state = stop.play(answer_with(PromptAnswer::Decline, None)).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }));
    assert_eq!(unit_word(&state, "s/b"), "not run");
}

/// For every prefix of a recorded history: the program died there. What had ended is not done again, what was running
/// is entered again with the same attempt, and the run comes to the same end.

#[tokio::test(start_paused = true)]
async fn a_paused_run_starts_nothing_until_told_to_go_on() {
    let text = stage("s", "") + &step("a", "with = { takes = \"10s\" }") + &step("b", "");
    let mut scene = Scene::new("pause", &text);
    let react = |event: &Event| match &event.kind {
        EventKind::UnitStarted { unit, .. } if unit.step.step.as_str() == "a" => {
            vec![RunCommand::Pause { by: operator() }]
        }
        EventKind::UnitEnded { unit, .. } if unit.step.step.as_str() == "a" => {
            vec![RunCommand::Continue { by: operator() }]
        }
        _ => Vec::new(),
    };
    let state = scene.play(react).await.expect("an ending");
    let order: Vec<&str> = scene
        .sink
        .events
        .lock()
        .expect("not poisoned")
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Paused { .. } => Some("paused"),
            EventKind::Continued { .. } => Some("continued"),
            EventKind::UnitStarted { unit, .. } if unit.step.step.as_str() == "b" => Some("b"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["paused", "continued", "b"]);
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
}

#[tokio::test(start_paused = true)]
async fn a_person_may_end_the_pause_before_the_next_attempt() {
    let text = stage("s", "")
        + &step("a", "retry = { attempts = 3, backoff = \"10m\" }\nwith = { ends = [\"busy\", \"busy\", \"ok\"] }");
    let mut scene = Scene::new("retry-now", &text);
    let began = tokio::time::Instant::now();
    // Only the first of both pauses is ended.
    let react = |event: &Event| match &event.kind {
        EventKind::UnitEnded { unit, attempt: 1, .. } => vec![
            RunCommand::RetryNow { unit: unit.clone(), by: operator() },
            RunCommand::RetryNow { unit: UnitKey::try_from("s/b".to_owned()).expect("a unit"), by: operator() },
        ],
        _ => Vec::new(),
    };
    let state = scene.play(react).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/a 2", "s/a 3"]);
    assert_eq!(began.elapsed().as_secs(), 300, "the second pause has its whole length, the longest there is");
    let said = |event: &Event| matches!(&event.kind, EventKind::UnitSaid { text, .. } if text.as_str().contains("does not want to wait"));
    assert_eq!(scene.events().iter().filter(|event| said(event)).count(), 1, "who did it is on record, once");
}
