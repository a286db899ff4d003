//! Durable jobs over several sessions: found again, never begun twice, forgotten once their unit is done.

use super::*;
use crate::port::fake::{Answer as Fake, Call, FakeReach};
use crate::port::{JobState, ReachErrorKind};

const TEXT: &str = "with = { job = true }";

/// The world as the next session finds it.
fn world(scene: &mut Scene, answers: Vec<Fake>) -> Arc<FakeReach> {
    let reach = Arc::new(FakeReach::new());
    for answer in answers {
        reach.on("work", answer);
    }
    scene.config.reach = Arc::clone(&reach) as Arc<dyn crate::port::Reach>;
    reach
}

fn starts(reach: &FakeReach) -> usize {
    reach.calls().iter().filter(|call| matches!(call, Call::JobStart(..))).count()
}

fn forgotten(reach: &FakeReach) -> Vec<String> {
    let jobs = reach.calls().into_iter().filter_map(|call| match call {
        Call::JobForget(_, job) => Some(job.as_str().to_owned()),
        _ => None,
    });
    jobs.collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_disappeared_is_asked_about_and_a_fresh_attempt_has_a_job_of_its_own() {
    let mut scene = Scene::new("job-gone", &(stage("s", "") + &step("a", TEXT)));
    world(&mut scene, vec![Fake::job_in(JobState::Vanished, "")]);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    // The host was installed anew: nothing of the job is there any more. Starting it would find nothing in its way.
    let history = scene.events();
    scene.config.unattended = true;
    let empty = world(&mut scene, Vec::new());
    let state = scene.play_on(&history, no_reaction).await.expect("an ending");
    assert_eq!((outcome(&state).exit_code(), starts(&empty)), (4, 0));
    let key = UnitKey::try_from("s/a".to_owned()).expect("a unit");
    let failure = state.units[&key].outcome().and_then(Outcome::failure).expect("what is not known").to_string();
    assert!(
        failure.contains("is gone from this machine") && failure.contains("changeover resume job-gone"),
        "{failure}"
    );
    assert!(!failure.contains("what was begun before"), "what is unknown anyhow is not looked for twice: {failure}");
    // A person says: again.
    let history = scene.events();
    scene.config.unattended = false;
    let reach = world(&mut scene, vec![Fake::job(&[0], "")]);
    let state = scene.play_on(&history, answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert_eq!((outcome(&state), starts(&reach)), (RunOutcome::Done { warned: false }, 1));
    let jobs: Vec<&str> = state.units[&key].jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(jobs, ["job-gone.s~a.1.work", "job-gone.s~a.2.work"]);
    assert_eq!(forgotten(&reach), jobs, "what the attempt before left behind goes too");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_reached_the_host_is_made_again() {
    let mut scene = Scene::new("job-never", &(stage("s", "") + &step("a", TEXT)));
    world(&mut scene, vec![Fake::lost(), Fake::error(ReachErrorKind::Denied, "host key")]);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state).exit_code(), 4);
    let history = scene.events();
    scene.config.unattended = true;
    let reach = world(&mut scene, vec![Fake::job(&[0], "")]);
    let state = scene.play_on(&history, no_reaction).await.expect("an ending");
    assert_eq!((outcome(&state), starts(&reach)), (RunOutcome::Done { warned: false }, 1));
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_unit_that_ended_well_are_forgotten_even_when_the_program_died_before_it_could() {
    let mut scene = Scene::new("job-left", &(stage("s", "") + &step("a", TEXT) + &step("b", "")));
    let reach = world(&mut scene, vec![Fake::job(&[0], "")]);
    scene.play(no_reaction).await.expect("an ending");
    assert_eq!(forgotten(&reach), ["job-left.s~a.1.work"]);
    let whole = scene.events();
    let ended = whole.iter().position(|event| matches!(event.kind, EventKind::UnitEnded { .. })).expect("an end");
    let next = world(&mut scene, Vec::new());
    scene.play_on(&whole[..=ended], no_reaction).await.expect("an ending");
    assert_eq!(forgotten(&next), ["job-left.s~a.1.work"]);
    // Once is enough: the session after that does not ask the host again.
    let cut = scene.events();
    let session = cut.iter().rposition(|event| matches!(event.kind, EventKind::SessionStarted { .. })).expect("two");
    let third = world(&mut scene, Vec::new());
    scene.play_on(&cut[..=session], no_reaction).await.expect("an ending");
    assert!(forgotten(&third).is_empty());
}

/// The leader cannot be asked, say: what failed then is not the work, which goes on. A fresh attempt would begin it anew.
#[tokio::test(start_paused = true)]
async fn what_fails_on_the_way_back_to_its_job_has_not_failed() {
    let text = stage("s", "") + &step("a", "retry = { attempts = 5 }\nwith = { job = true, stumbles = true }");
    for (name, left, code) in [
        ("runs", Some(JobState::Running), 4),
        ("vanished", Some(JobState::Vanished), 4),
        ("absent", None, 4),
        ("ended", Some(JobState::Ended(vec![crate::port::Exit::Code(0)])), 0),
    ] {
        let mut scene = Scene::new(&format!("job-back-{name}"), &text);
        world(&mut scene, vec![Fake::job_in(JobState::Vanished, "")]);
        scene.play(no_reaction).await.expect("an ending");
        let history = scene.events();
        let cut = history.iter().position(|event| matches!(event.kind, EventKind::JobBegun { .. })).expect("begun") + 1;
        DEEDS.lock().expect("not poisoned").get_mut(scene.run.as_str()).expect("deeds").truncate(1);
        // The job is there already: attached to, never started, in the next session.
        let job = scene.new.run.as_str().to_owned() + ".s~a.1.work";
        let reach = world(&mut scene, left.into_iter().map(|state| Fake::job_in(state, "")).collect());
        if name != "absent" {
            let (id, work) = (crate::port::JobId::new(&[&job]), crate::port::Command::new("work").into());
            let there = crate::port::Reach::job_start(&*reach, &crate::port::Place::Console, &id, &work).await;
            there.expect("it is there");
        }
        reach.on("work", Fake::job(&[0], ""));
        scene.config.unattended = true;
        let state = scene.play_on(&history[..cut], no_reaction).await.expect("an ending");
        assert_eq!(outcome(&state).exit_code(), code, "{name}");
        let attempts = state.units.values().next().expect("a unit").attempts;
        assert_eq!(attempts, if code == 0 { 2 } else { 1 }, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_before_left_behind_does_not_keep_the_next_from_failing() {
    let text = stage("s", "") + &step("a", "with = { job = true, ends = [\"ok\", \"fail\"] }");
    let mut scene = Scene::new("job-older", &text);
    world(&mut scene, vec![Fake::job_in(JobState::Vanished, "")]);
    scene.play(no_reaction).await.expect("an ending");
    let history = scene.events();
    world(&mut scene, vec![Fake::job(&[0], "")]);
    let state = scene.play_on(&history, answer_with(PromptAnswer::Retry, None)).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }), "{:?}", state.phase);
}

/// A second session in which the job of the first attempt still runs. It is out of sight at first, then stopping it meets
/// these errors and leaves these processes. A person says three times: again.
async fn again_beside(name: &str, errors: &[ReachErrorKind], survivors: &[&str]) -> (Scene, RunState, Arc<FakeReach>) {
    let text = stage("s", "") + &step("a", "with = { job = true, ends = [\"unknown\", \"ok\"] }");
    let mut scene = Scene::new(name, &text);
    world(&mut scene, vec![Fake::job(&[0], "")]);
    scene.play(no_reaction).await.expect("an ending");
    let history = scene.events();
    let reach = world(&mut scene, vec![Fake::job(&[0], "")]);
    let job = crate::port::JobId::new(&[&format!("{name}.s~a.1.work")]);
    let errors = [&[ReachErrorKind::Denied], errors].concat();
    reach.runs(&crate::port::Place::Console, &job, &errors, survivors);
    let left = Mutex::new(3);
    let react = |event: &Event| {
        let EventKind::PromptOpened { prompt } = &event.kind else { return Vec::new() };
        let mut left = left.lock().expect("not poisoned");
        let answer = if *left > 0 { PromptAnswer::Retry } else { PromptAnswer::Decline };
        *left -= 1;
        vec![RunCommand::Answer(Answer { prompt: prompt.id, answer, typed: None, by: operator() })]
    };
    let state = scene.play_on(&history, react).await.expect("an ending");
    assert_eq!(RunState::replay(&scene.events()).expect("a legal history"), state);
    (scene, state, reach)
}

/// The questions that were asked, in order.
fn questions(scene: &Scene) -> Vec<String> {
    let asked = scene.events().into_iter().filter_map(|event| match event.kind {
        EventKind::PromptOpened { prompt } => Some(prompt.message.to_string()),
        _ => None,
    });
    asked.collect()
}

#[tokio::test(start_paused = true)]
async fn a_fresh_attempt_ends_the_job_of_the_one_before_first() {
    let (scene, state, reach) = again_beside("beside-ends", &[], &[]).await;
    assert_eq!((outcome(&state), questions(&scene).len()), (RunOutcome::Done { warned: false }, 1));
    let order: Vec<String> = reach.texts().into_iter().filter(|call| !call.contains("forget")).collect();
    assert_eq!(order, ["this machine cancel beside-ends.s~a.1.work", "this machine $ work"]);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_attempt_does_not_begin_while_the_host_is_silent() {
    let silent = [ReachErrorKind::Unreachable, ReachErrorKind::Lost];
    let (scene, state, reach) = again_beside("beside-silent", &silent, &[]).await;
    assert_eq!((outcome(&state), starts(&reach)), (RunOutcome::Done { warned: false }, 1));
    let asked = questions(&scene);
    assert_eq!(asked.len(), 3, "{asked:?}");
    for message in &asked[1..] {
        assert!(
            message.contains("end job beside-silent.s~a.1.work of an earlier attempt on this machine"),
            "{message}"
        );
        assert!(message.contains("no answer, and it may still be at work there; so nothing was begun"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_attempt_does_not_begin_beside_what_cannot_be_ended() {
    let (scene, state, reach) = again_beside("beside-deaf", &[], &["77 mariadb-dump"]).await;
    assert_eq!((outcome(&state).exit_code(), starts(&reach)), (4, 0), "whatever a person says");
    assert!(questions(&scene)[3].contains("it was told to stop and is still alive: 77 mariadb-dump"));
    // Ended by hand: resumed, it is begun after all, because that is what the person said.
    let history = scene.events();
    let mut scene = scene;
    let reach = world(&mut scene, vec![Fake::job(&[0], "")]);
    let state = scene.play_on(&history, no_reaction).await.expect("an ending");
    assert_eq!((outcome(&state), starts(&reach)), (RunOutcome::Done { warned: false }, 1));
}

/// The program died between the start of a job and the record of it, and the attempt that is entered again fails before
/// it comes to its job: only the attempt after that can know that the job may be there.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_on_record_is_ended_before_its_like_begins() {
    let text = stage("s", "") + &step("a", "retry = { attempts = 2 }\nwith = { job = true, stumbles = true }");
    let mut scene = Scene::new("beside-lost", &text).unattended();
    world(&mut scene, vec![Fake::job(&[0], "")]);
    scene.play(no_reaction).await.expect("an ending");
    let history = scene.events();
    let cut = history.iter().position(|event| matches!(event.kind, EventKind::JobBegun { .. })).expect("begun");
    DEEDS.lock().expect("not poisoned").get_mut(scene.run.as_str()).expect("deeds").truncate(1);
    let reach = world(&mut scene, vec![Fake::job(&[0], "")]);
    reach.runs(&crate::port::Place::Console, &crate::port::JobId::new(&["beside-lost.s~a.1.work"]), &[], &[]);
    let state = scene.play_on(&history[..cut], no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    let order: Vec<String> = reach.texts().into_iter().filter(|call| !call.contains("forget")).collect();
    assert_eq!(order, ["this machine cancel beside-lost.s~a.1.work", "this machine $ work"]);
}
