//! At the edges of an attempt: the direction record before it, what it tells on its way, and the small rules.

use super::*;
use crate::engine::attempt::pause_before;
use crate::engine::doubt::{look_and_say, still_unknown};
use crate::engine::orders::escalate;
use crate::engine::what_changed;
use crate::port::fake::FakeReach;
use crate::systems::shelf::Shelf;

/// Tells as it goes: half a second between two tellings is enough, and the end is always told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Telling {}

#[async_trait]
impl Step for Telling {
    async fn preview(&self, _cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        Ok(Vec::new())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        cx.say("begins");
        cx.progress(1, Some(5), "files");
        tokio::time::sleep(Duration::from_millis(499)).await;
        cx.progress(2, Some(5), "files");
        tokio::time::sleep(Duration::from_millis(1)).await;
        cx.progress(3, Some(5), "files");
        cx.progress(4, None, "files");
        cx.progress(5, Some(5), "files");
        cx.output(b"one");
        cx.output(b"two");
        Ok(StepDone::new())
    }
}

/// Keeps events, but no output.
struct Mute(Arc<MemorySink>);

#[async_trait]
impl Sink for Mute {
    async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        self.0.append(events).await
    }
    async fn output(&self, _: &UnitKey, _: u32, _: jiff::Timestamp, _: &[u8]) -> Result<(), SinkError> {
        Err(SinkError { tried: "write the output".into(), got: "No space left on device".into() })
    }
}

#[tokio::test(start_paused = true)]
async fn progress_is_thinned_out_and_lost_output_is_said_once() {
    let mut scene = Scene::new("telling", &(stage("s", "") + &step("a", "")));
    let kind = step_kind::<Telling>("t.do", "tells");
    scene.config.catalogue = Arc::new(Catalogue::of(vec![kind], Vec::new()));
    scene.config.sink = Arc::new(Mute(Arc::clone(&scene.sink)));
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false }, "losing output is no failure");
    let told: Vec<String> = scene
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::UnitSaid { text, .. } => Some(text.to_string()),
            EventKind::UnitProgress { done, .. } => Some(done.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(told[..4], ["begins", "1", "3", "5"]);
    assert!(told.len() == 5 && told[4].starts_with("its output is not kept: "), "{told:?}");
}

/// A run that changes something at the target, whose direction record says this.
async fn guarded(name: &str, kind: &str, record: &str) -> (RunState, Vec<String>) {
    let change = step("a", "on_failure = \"undo\"").replace("t.do", kind).replace("console", "target");
    let mut scene = Scene::new(name, &(stage("s", "") + &change));
    let reach = Arc::new(FakeReach::new());
    let shelf = Shelf::default();
    shelf.put("/x/direction.json", record);
    shelf.serve(&reach);
    scene.config.reach = reach;
    let state = scene.play(no_reaction).await.expect("an ending");
    (state, deeds(&scene.run))
}

#[tokio::test(start_paused = true)]
async fn what_changes_a_site_asks_its_direction_record_first() {
    let record = |active: &str| {
        format!(r#"{{ "epoch": 3, "active": "{active}", "since": "2026-03-01T00:00:00Z", "run": "r0" }}"#)
    };
    let (state, did) = guarded("guard-agrees", "t.write", &record("prod")).await;
    assert_eq!((outcome(&state), did), (RunOutcome::Done { warned: false }, vec!["s/a@bcp 1".to_owned()]));
    let (state, did) = guarded("guard-refuses", "t.write", &record("bcp")).await;
    assert!(matches!(outcome(&state), RunOutcome::Refused { .. }), "{:?}", state.phase);
    assert_eq!(did, Vec::<String>::new(), "nothing was done");
    let (state, did) = guarded("guard-reads", "t.do", &record("bcp")).await;
    assert_eq!((outcome(&state), did.len()), (RunOutcome::Done { warned: false }, 1), "who only reads is not asked");
}

#[test]
fn pauses_double_up_to_five_minutes() {
    let pause = |next| pause_before(next, Span::seconds(10)).0.as_secs();
    assert_eq!([1, 2, 3, 4, 6, 7, 200].map(pause), [10, 10, 20, 40, 160, 300, 300]);
}

#[test]
fn a_second_request_of_the_same_kind_is_more_urgent_and_none_is_taken_back() {
    use CancelReason::{Operator, OperatorNow, OtherFailed, Signal, SignalNow};
    for (before, asked, then) in [
        (None, Operator, Operator),
        (None, Signal, Signal),
        (Some(Operator), Operator, OperatorNow),
        (Some(Signal), Signal, SignalNow),
        (Some(Operator), Signal, Signal),
        (Some(Signal), Operator, Signal),
        (Some(SignalNow), Operator, SignalNow),
        (Some(OtherFailed), Operator, Operator),
    ] {
        assert_eq!(escalate(before, asked), then, "{before:?} {asked:?}");
    }
}

#[test]
fn who_resumes_is_told_what_is_otherwise_today() {
    let plan = |text: &str| Scene::new("changes", text).new.plan;
    let then = plan(&(stage("s", "") + &step("a", "") + &step("b", "") + &step("c", "")));
    let told = |now| what_changed(&then, &now).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told(then.clone()), Vec::<String>::new());
    let now = plan(&(stage("s", "") + &step("a", "") + &step("b", "timeout = \"3s\"") + &step("d", "")));
    let changes = [
        "step s/b is different in the runbook today; the run keeps its own",
        "step s/c is no longer in the runbook; the run still has it",
        "step s/d is new in the runbook; the run does not have it",
    ];
    assert_eq!(told(now), changes);
    let mut turned = then.clone();
    std::mem::swap(&mut turned.direction.source, &mut turned.direction.target);
    assert_eq!(told(turned), ["the run goes prod -> bcp, but the direction is now bcp -> prod"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_kept_names_what_was_running() {
    let text = stage("s", "") + &step("a", "with = { takes = \"1m\" }") + &step("b", "needs = []");
    // Both begin as one group: of a group that cannot be kept whole, nothing is begun.
    for (full_after, named) in [(3, ""), (4, ""), (5, "; not on record is the ending of s/a")] {
        let sink = MemorySink { full_after: Some(full_after), ..MemorySink::default() };
        let mut scene = Scene::with_sink(&format!("full-{full_after}"), &text, sink);
        let error = scene.play(no_reaction).await.expect_err("no room").to_string();
        assert!(error.contains("nothing new was started") && error.ends_with(&format!("started{named}")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_seen_in_the_ending_of_the_run() {
    let mut scene = Scene::new("warns", &(stage("s", "") + &step("a", "with = { ends = [\"warn\"] }")));
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!((outcome(&state), unit_word(&state, "s/a").as_str()), (RunOutcome::Done { warned: true }, "warned"));
}

/// Where in a history something begins or ends for the last time.
fn last(history: &[Event], key: &str, ends: bool) -> usize {
    let is_it = |event: &Event| match &event.kind {
        EventKind::UnitStarted { unit, .. } => !ends && unit.to_string() == key,
        EventKind::UnitEnded { unit, .. } => ends && unit.to_string() == key,
        _ => false,
    };
    history.iter().rposition(is_it).expect("it is in the history")
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_had_begun_waits_when_the_one_before_it_goes_again() {
    let again = "with = { takes = \"10s\", ends = [\"fail\", \"ok\"] }";
    let text = stage("s", "")
        + &step("a", &format!("on_failure = \"continue\"\n{again}"))
        + &stage("t", "needs = [\"s\"]")
        + &step("b", "")
        + &step("c", again);
    let mut scene = Scene::new("goes-again", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }));
    let history = scene.events();
    let state = scene.play_on(&history, no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    let history = scene.events();
    assert!(last(&history, "t/c", false) > last(&history, "s/a", true));
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_the_next_attempt_ends_with_the_run() {
    let text = stage("s", "") + &step("a", "retry = { attempts = 3, backoff = \"1m\" }\nwith = { ends = [\"busy\"] }");
    let mut scene = Scene::new("halted-pause", &text);
    let react = |event: &Event| match &event.kind {
        EventKind::UnitEnded { retry_after: Some(_), .. } => {
            vec![RunCommand::Cancel { reason: CancelReason::Operator, by: None }]
        }
        _ => Vec::new(),
    };
    let state = scene.play(react).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Cancelled { by: CancelReason::Operator });
    assert_eq!((deeds(&scene.run), unit_word(&state, "s/a").as_str()), (vec!["s/a 1".to_owned()], "not run"));
}

#[tokio::test(start_paused = true)]
async fn what_is_being_looked_at_is_not_looked_at_twice_whatever_else_happens() {
    let text = stage("s", "")
        + &step("a", "with = { takes = \"1m\", looks = \"1m\", verify = \"done\" }").replace("t.do", "t.verify")
        + &step("b", "needs = []\nwith = { takes = \"10s\" }");
    let mut scene = Scene::new("look-once", &text);
    scene.play(no_reaction).await.expect("an ending");
    let whole = scene.events();
    let both = last(&whole, "s/a", false).max(last(&whole, "s/b", false));
    let state = scene.play_on(&whole[..=both], no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run).iter().filter(|deed| *deed == "look at s/a").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_has_the_number_of_its_event_and_nothing_ends_before_its_answer() {
    let text = stage("s", "") + &step("a", "").replace("t.do", "t.ask");
    let mut scene = Scene::new("one-ending", &text);
    scene.play(no_reaction).await.expect("an ending");
    let whole = scene.events();
    let done = PromptAnswer::ItWasDone { comment: "seen".into() };
    let cut = &whole[..=last(&whole, "s/a", false)];
    let state = scene.play_on(cut, answer_with(done, None)).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: true });
    let history = scene.events();
    let asked: Vec<&Event> =
        history.iter().filter(|event| matches!(event.kind, EventKind::PromptOpened { .. })).collect();
    let [event] = asked[..] else { panic!("one question, not {asked:?}") };
    let EventKind::PromptOpened { prompt } = &event.kind else { panic!("a question") };
    assert_eq!(u64::from(prompt.id.0), event.seq);
    let endings = history.iter().filter_map(|event| match &event.kind {
        EventKind::UnitEnded { outcome, .. } => Some(outcome.is_good()),
        _ => None,
    });
    assert_eq!(endings.collect::<Vec<_>>(), [true], "it is not given up while a person thinks");
}

#[tokio::test(start_paused = true)]
async fn after_a_no_nothing_else_begins() {
    let confirm = "confirm = { level = 1, message = \"Really?\" }";
    let text = stage("s", "") + &step("a", confirm) + &step("b", "") + &stage("t", "needs = [\"s\"]") + &step("c", "");
    let mut scene = Scene::new("after-no", &text);
    let state = scene.play(answer_with(PromptAnswer::Decline, None)).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Refused { .. }), "{:?}", state.phase);
    assert_eq!(["s/a", "s/b", "t/c"].map(|unit| unit_word(&state, unit)), ["not run", "not run", "not run"]);
    assert_eq!(deeds(&scene.run), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn no_attempt_more_than_the_runbook_allows() {
    let text = stage("s", "") + &step("a", "retry = { attempts = 2 }\nwith = { ends = [\"busy\"] }");
    let mut scene = Scene::new("two-attempts", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Failed { .. }), "{:?}", state.phase);
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/a 2"]);
}

#[test]
fn a_doubt_is_told_with_what_it_is_about_and_what_to_do() {
    let unit = UnitKey::try_from("s/a".to_owned()).expect("a unit");
    let asked = still_unknown(&unit, &failure(FailureKind::Unknown));
    assert!(asked.starts_with("How s/a ended is not known") && asked.contains("do as scripted"), "{asked}");
    let run = RunId::new("r1").expect("a name");
    assert!(look_and_say(&run).contains("`changeover resume r1`"), "{}", look_and_say(&run));
}
