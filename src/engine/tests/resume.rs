//! Runs that were cut off, and what a later process makes of them.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_cut_off_after_any_event_resumes_to_the_same_end() {
    let text = stage("one", "")
        + &step("a", "with = { value = 5 }")
        + &step("b", "retry = { attempts = 3 }\nwith = { ends = [\"busy\", \"ok\"] }")
        + &stage("two", "needs = [\"one\"]")
        + &step("c", "with = { value = \"{{ steps.a.value }}\" }").replace("console", "target.app");
    let mut whole = Scene::new("whole", &text);
    whole.play(no_reaction).await.expect("an ending");
    let history = whole.events();
    assert!(history.len() > 15, "{}", history.len());
    for cut in 1..history.len() {
        let mut scene = Scene::new(&format!("cut-{cut}"), &text);
        let prefix = &history[..cut];
        let before = RunState::replay(prefix).expect("a valid prefix");
        scene.run = before.run.clone();
        DEEDS.lock().expect("not poisoned").remove(scene.run.as_str());
        let state = scene.play_on(prefix, no_reaction).await.expect("an ending");
        assert_eq!(outcome(&state), RunOutcome::Done { warned: false }, "cut after {cut}");
        assert_eq!(state.captures["c"]["value"], 5);
        let again = deeds(&scene.run);
        for (unit, facts) in &before.units {
            let expected = match facts.phase {
                UnitPhase::Ended(_) => None,
                UnitPhase::Running => Some(facts.attempts),
                _ => Some(facts.attempts + 1),
            };
            let first = again.iter().find_map(|deed| deed.strip_prefix(&format!("{unit} ")));
            assert_eq!(first.map(str::to_owned), expected.map(|n| n.to_string()), "{unit}, cut after {cut}: {again:?}");
        }
        RunState::replay(&scene.events()).expect("the whole history, both sessions, is legal");
    }
}

#[tokio::test(start_paused = true)]
async fn the_fate_of_an_interrupted_step_is_looked_up_or_asked_never_guessed() {
    for (kind, verify, unattended, expected) in [
        ("t.verify", "done", true, (0, Vec::new())),
        ("t.verify", "not-done", true, (0, vec!["s/a 2"])),
        ("t.verify", "cannot-tell", true, (4, Vec::new())),
        ("t.ask", "", true, (4, Vec::new())),
        ("t.ask", "", false, (0, Vec::new())),
    ] {
        let text = stage("s", "") + &step("a", &format!("with = {{ verify = \"{verify}\" }}")).replace("t.do", kind);
        let name = format!("fate-{kind}-{verify}-{unattended}");
        let mut whole = Scene::new(&name, &text);
        whole.play(no_reaction).await.expect("an ending");
        let history = whole.events();
        let cut =
            history.iter().position(|event| matches!(event.kind, EventKind::UnitStarted { .. })).expect("started") + 1;
        DEEDS.lock().expect("not poisoned").remove(&name);
        let mut scene = Scene::new(&name, &text);
        scene.config.unattended = unattended;
        let answer = answer_with(PromptAnswer::ItWasDone { comment: "seen".into() }, None);
        let state = scene.play_on(&history[..cut], answer).await.expect("an ending");
        assert_eq!(
            (outcome(&state).exit_code(), deeds(&scene.run)),
            (expected.0, expected.1.iter().map(|s: &&str| (*s).to_owned()).collect()),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_resumes_where_it_failed() {
    let text = stage("s", "") + &step("a", "") + &step("b", "with = { ends = [\"fail\", \"ok\"] }") + &step("c", "");
    let mut scene = Scene::new("resume-failed", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }));
    let history = scene.events();
    let state = scene.play_on(&history, no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/b 1", "s/b 2", "s/c 1"]);
}

#[test]
fn impossible_histories_are_refused() {
    use crate::run::{UnitInput, UnitState};
    let fresh = UnitState::new();
    assert!(fresh.next(&UnitInput::Started(2)).is_err());
    assert!(fresh.next(&UnitInput::Ended(1, Outcome::Succeeded, false)).is_err());
    assert!(
        fresh.next(&UnitInput::Ended(0, Outcome::Succeeded, false)).is_err(),
        "nothing succeeds without an attempt"
    );
    assert!(fresh.next(&UnitInput::Retry).is_err());
    assert!(fresh.next(&UnitInput::Undone(Outcome::Succeeded)).is_err());
    let done = UnitState { phase: UnitPhase::Ended(Outcome::Succeeded), attempts: 1, ..UnitState::new() };
    assert!(done.next(&UnitInput::Started(2)).is_err(), "what is done is not done again");
    assert!(done.next(&UnitInput::Ended(1, Outcome::Succeeded, false)).is_err());
}
