//! What becomes of units whose ending is not known: looked at again, then asked about, never simply repeated.

use super::*;

fn answered(history: &[Event], answer: &PromptAnswer) -> usize {
    let is_it = |event: &&Event| matches!(&event.kind, EventKind::PromptAnswered { answer: a, .. } if a == answer);
    history.iter().filter(is_it).count()
}

/// A first session in which `a` ends unknown, and `b` after it.
async fn stuck(name: &str, rest: &str) -> Scene {
    let text =
        stage("s", "") + &step("a", &format!("{rest}\nwith = {{ ends = [\"unknown\", \"ok\"] }}")) + &step("b", "");
    let mut scene = Scene::new(name, &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    assert!(state.prompts.is_empty(), "the session that started it does not ask");
    scene
}

#[tokio::test(start_paused = true)]
async fn an_unknown_ending_is_looked_at_again_and_then_a_person_decides() {
    let done = || PromptAnswer::ItWasDone { comment: "the file is there".into() };
    for (name, answer, code, did) in [
        ("retry", PromptAnswer::Retry, 0, vec!["s/a 1", "s/a 1", "s/a 2", "s/b 1"]),
        ("done", done(), 0, vec!["s/a 1", "s/a 1", "s/b 1"]),
        ("stop", PromptAnswer::Decline, 4, vec!["s/a 1", "s/a 1"]),
    ] {
        let mut scene = stuck(&format!("unknown-{name}"), "").await;
        let history = scene.events();
        let state = scene.play_on(&history, answer_with(answer.clone(), None)).await.expect("an ending");
        assert_eq!(
            (outcome(&state).exit_code(), deeds(&scene.run)),
            (code, did.iter().map(ToString::to_string).collect()),
            "{name}"
        );
        assert_eq!(answered(&scene.events(), &answer), 1, "{name}");
        assert_eq!(RunState::replay(&scene.events()).expect("a legal history"), state, "{name}");
    }
    let mut scene = stuck("unknown-done-warns", "").await;
    let history = scene.events();
    let state = scene.play_on(&history, answer_with(done(), None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: true });
    let summary = crate::run::RunSummary::of(&state);
    assert_eq!(summary.warnings[0].1.as_str(), "ops@console says it was done: the file is there");
}

#[tokio::test(start_paused = true)]
async fn nobody_to_ask_leaves_it_unknown_however_often_it_is_resumed() {
    let mut scene = stuck("unknown-nobody", "retry = { attempts = 5 }").await.unattended();
    for times in 2..4 {
        let history = scene.events();
        let state = scene.play_on(&history, no_reaction).await.expect("an ending");
        assert_eq!(outcome(&state).exit_code(), 4);
        assert_eq!(deeds(&scene.run), vec!["s/a 1"; times], "the same attempt, never a fresh one");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_found_again_is_not_asked_about() {
    let text = stage("s", "") + &step("a", "with = { ends = [\"lost\"] }") + &step("b", "");
    let mut scene = Scene::new("unknown-found", &text).unattended();
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    let history = scene.events();
    let state = scene.play_on(&history, no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/a 1", "s/b 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_died_with_the_program_and_cannot_be_found_is_asked_about_too() {
    let whole = stuck("unknown-died", "").await.events();
    let started = whole.iter().position(|event| matches!(event.kind, EventKind::UnitStarted { .. })).expect("started");
    let mut scene = stuck("unknown-died", "").await;
    let state = scene.play_on(&whole[..=started], answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(answered(&scene.events(), &PromptAnswer::Retry), 1);
}

/// Whatever event the second session is cut off after, the third asks again unless it was answered, and a fresh attempt
/// never follows an unknown one without a person's word in between.
#[tokio::test(start_paused = true)]
async fn the_question_survives_every_cut() {
    let mut scene = stuck("unknown-cuts", "").await;
    let first = scene.events();
    scene.play_on(&first, answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    let whole = scene.events();
    for cut in first.len()..whole.len() {
        let state = scene.play_on(&whole[..cut], answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
        assert_eq!(outcome(&state), RunOutcome::Done { warned: false }, "cut after {cut}");
        let mut allowed = 1;
        for event in scene.events() {
            match event.kind {
                EventKind::PromptAnswered { answer: PromptAnswer::Retry, .. } => allowed += 1,
                EventKind::UnitStarted { unit, attempt, .. } if unit.step.step.as_str() == "a" => {
                    assert!(attempt <= allowed, "attempt {attempt} without a word, cut after {cut}");
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_person_thinks_others_go_on_and_dependents_wait() {
    let text = stage("one", "")
        + &step("a", "with = { ends = [\"unknown\", \"ok\"] }")
        + &stage("two", "needs = []")
        + &step("b", "with = { takes = \"1m\" }")
        + &step("c", "")
        + &stage("three", "needs = [\"one\", \"two\"]")
        + &step("d", "");
    let mut scene = Scene::new("unknown-branches", &text);
    scene.play(no_reaction).await.expect("an ending");
    let whole = scene.events();
    let cut = after_the_start_of_b(&whole);
    let state = scene.play_on(&whole[..cut], again_once_two_has_ended()).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run).last().map(String::as_str), Some("three/d 1"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_a_word_can_be_stopped() {
    let cancel = |event: &Event| match &event.kind {
        EventKind::PromptOpened { .. } => vec![RunCommand::Cancel { reason: CancelReason::Signal, by: None }],
        _ => Vec::new(),
    };
    let mut scene = stuck("unknown-cancelled", "").await;
    let history = scene.events();
    let state = scene.play_on(&history, cancel).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    // The same for a kind that is asked about before it is looked at.
    let text = stage("s", "") + &step("a", "").replace("t.do", "t.ask");
    let mut scene = Scene::new("ask-cancelled", &text);
    scene.play(no_reaction).await.expect("an ending");
    let whole = scene.events();
    let started = whole.iter().position(|event| matches!(event.kind, EventKind::UnitStarted { .. })).expect("started");
    let state = scene.play_on(&whole[..=started], cancel).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    assert_eq!(deeds(&scene.run), ["s/a 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_asked_about_keeps_the_run_open_until_it_is_answered() {
    // The last step: nothing else would keep the run from ending.
    let text = stage("s", "") + &step("a", "on_failure = \"ask\"\nwith = { ends = [\"fail\", \"ok\"] }");
    let mut last = Scene::new("ask-last", &text);
    let state = last.play(answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    // One host after another: those behind wait for the word.
    let mut serial = Scene::new("ask-serial", &text.replace("console", "target.app"));
    let state = serial.play(answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    let hosts = ["b1", "b2", "b3"].map(|host| [format!("s/a@bcp:{host} 1"), format!("s/a@bcp:{host} 2")]);
    assert_eq!(deeds(&serial.run), hosts.concat());
    // And nobody to ask means that it has failed.
    let mut nobody = Scene::new("ask-last-nobody", &text).unattended();
    let state = nobody.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }));
}

/// Something else fails while the person thinks: what they wanted done again is not begun any more, and what its earlier
/// attempt began is as unknown as before. "Not run" would hide it.
#[tokio::test(start_paused = true)]
async fn what_was_to_be_done_again_and_was_not_begun_stays_unknown() {
    let text = stage("one", "")
        + &step("a", "with = { ends = [\"unknown\", \"ok\"] }")
        + &stage("two", "needs = []")
        + &step("b", "with = { takes = \"1m\", ends = [\"fail\", \"ok\"] }");
    let mut scene = Scene::new("unknown-halted", &text);
    scene.play(no_reaction).await.expect("an ending");
    let whole = scene.events();
    let cut = after_the_start_of_b(&whole);
    let state = scene.play_on(&whole[..cut], again_once_two_has_ended()).await.expect("an ending");
    assert_eq!((unit_word(&state, "one/a").as_str(), outcome(&state).exit_code()), ("UNKNOWN", 4));
    assert!(!deeds(&scene.run).contains(&"one/a 2".to_owned()));
    let history = scene.events();
    let state = scene.play_on(&history, answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run).last().map(String::as_str), Some("one/a 2"));
}

/// How many events there are until `b` has begun.
fn after_the_start_of_b(events: &[Event]) -> usize {
    let began =
        |event: &Event| matches!(&event.kind, EventKind::UnitStarted { unit, .. } if unit.step.step.as_str() == "b");
    events.iter().position(began).expect("b was started") + 1
}

/// A person who answers "again" only after the stage `two` has gone all its way.
fn again_once_two_has_ended() -> impl Fn(&Event) -> Vec<RunCommand> {
    let asked = Mutex::new(None);
    move |event| match &event.kind {
        EventKind::PromptOpened { prompt } => {
            *asked.lock().expect("not poisoned") = Some(prompt.id);
            Vec::new()
        }
        EventKind::StageEnded { stage, .. } if stage.as_str() == "two" => {
            let prompt = asked.lock().expect("not poisoned").expect("a question was asked");
            vec![RunCommand::Answer(Answer { prompt, answer: PromptAnswer::Retry, typed: None, by: operator() })]
        }
        _ => Vec::new(),
    }
}
