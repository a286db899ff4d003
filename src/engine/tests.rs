//! Scenarios: whole runs on scripted steps, an in-memory record and a paused clock.

mod edges;
mod jobs;
mod unknown;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{Engine, EngineConfig, EngineError, NewRun};
use crate::estate::Estate;
use crate::model::{
    CancelReason, Failure, FailureKind, Outcome, PointId, RunId, RunOutcome, SafeText, SiteName, Span, UnitKey,
};
use crate::port::{Clock, Sink, SinkError};
use crate::run::{Answer, Event, EventKind, Operator, PromptAnswer, RunCommand, RunState, UnitPhase};
use crate::runbook::{Interrupted, PlanRequest, Runbook, SourceText, parse, plan};
use crate::systems::{Catalogue, Effect, Step, StepContext, StepDone, Verified, run_job, step_kind};

/// What scripted steps did, by run: `unit attempt` and `undo unit`.
static DEEDS: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

fn deeds(run: &RunId) -> Vec<String> {
    DEEDS.lock().expect("no test panics while holding it").get(run.as_str()).cloned().unwrap_or_default()
}

fn note(cx: &StepContext, deed: String) {
    DEEDS.lock().expect("no test panics while holding it").entry(cx.run.to_string()).or_default().push(deed);
}

/// A step whose attempts end as listed; the last ending repeats.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scripted {
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    takes: Option<Span>,
    #[serde(default)]
    undo: Option<String>,
    #[serde(default)]
    verify: Option<String>,
    #[serde(default)]
    value: Option<serde_json::Value>,
    /// Does a durable job on this machine first.
    #[serde(default)]
    job: bool,
    /// Is refused, for the time being, before it comes to its job when it is entered again.
    #[serde(default)]
    stumbles: bool,
    /// Goes on for so long after it was told to stop.
    #[serde(default)]
    stubborn: Option<Span>,
    /// Looks for so long whether it had its effect, and notes that it looks.
    looks: Option<Span>,
    /// How it ends when it was told to stop.
    stopped: Option<String>,
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "do as scripted", "scripted")
}

fn end(word: &str) -> Result<StepDone, Failure> {
    match word {
        "ok" => Ok(StepDone::new()),
        "warn" => Ok(StepDone::new().warn("careful")),
        "busy" => Err(failure(FailureKind::Busy)),
        "fail" => Err(failure(FailureKind::Refused)),
        "rule" => Err(failure(FailureKind::Rule)),
        "unknown" | "lost" => Err(failure(FailureKind::Unknown)),
        "panic" => panic!("scripted"),
        other => panic!("no such ending: {other}"),
    }
}

#[async_trait]
impl Step for Scripted {
    async fn preview(&self, _cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        Ok(Vec::new())
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        note(cx, format!("{} {}", cx.unit, cx.attempt));
        if let Some(takes) = self.takes
            && let Err(stopped) = cx.sleep(takes.0, "sleep").await
        {
            tokio::time::sleep(self.stubborn.map_or(Duration::ZERO, |span| span.0)).await;
            return self.stopped.as_deref().map_or(Err(stopped), end);
        }
        let entry = format!("{} {}", cx.unit, cx.attempt);
        let is_again = deeds(&cx.run).iter().filter(|deed| **deed == entry).count() > 1;
        if self.stumbles && is_again {
            return Err(failure(FailureKind::Busy));
        }
        if self.job {
            let work = crate::port::Pipeline::from(crate::port::Command::new("work"));
            run_job(cx, &crate::port::Place::Console, "work", &work).await?;
        }
        let index = (cx.attempt as usize - 1).min(self.ends.len().saturating_sub(1));
        let word = self.ends.get(index).map_or("ok", String::as_str);
        // Lost sight of, and found when it is looked at again.
        let found = word == "lost" && is_again;
        let done = end(if found { "ok" } else { word })?;
        Ok(match &self.value {
            Some(value) => done.capture("value", value.clone()),
            None => done,
        })
    }

    async fn verify(&self, cx: &StepContext) -> Result<Verified, Failure> {
        if let Some(looks) = self.looks {
            note(cx, format!("look at {}", cx.unit));
            tokio::time::sleep(looks.0).await;
        }
        match self.verify.as_deref() {
            Some("done") => Ok(Verified::Done(StepDone::new())),
            Some("not-done") => Ok(Verified::NotDone),
            _ => Ok(Verified::CannotTell),
        }
    }

    async fn undo(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        note(cx, format!("undo {}", cx.unit));
        end(self.undo.as_deref().unwrap_or("ok"))
    }
}

fn catalogue() -> Arc<Catalogue> {
    let act = |name, rule| step_kind::<Scripted>(name, "acts as scripted").interrupted(rule);
    // Declared as reading, so that the direction guard does not ask hosts that these tests do not have; the undo tests
    // use `t.write` on the console, where the guard has nothing to ask.
    Arc::new(Catalogue::of(
        vec![
            act("t.do", Interrupted::Repeat),
            act("t.verify", Interrupted::Verify),
            act("t.ask", Interrupted::Ask),
            act("t.write", Interrupted::Repeat).effect(Effect::Writes),
        ],
        Vec::new(),
    ))
}

struct TestClock(tokio::time::Instant);

impl Clock for TestClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    fn entropy(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// Keeps events in memory; refuses everything after so many.
#[derive(Default)]
struct MemorySink {
    events: Mutex<Vec<Event>>,
    /// How many events came at a time.
    groups: Mutex<Vec<usize>>,
    full_after: Option<usize>,
}

#[async_trait]
impl Sink for MemorySink {
    async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        let mut kept = self.events.lock().expect("not poisoned");
        if self.full_after.is_some_and(|limit| kept.len() + events.len() > limit) {
            return Err(SinkError { tried: "write the journal".into(), got: "No space left on device".into() });
        }
        kept.extend_from_slice(events);
        self.groups.lock().expect("not poisoned").push(events.len());
        Ok(())
    }
    async fn output(&self, _unit: &UnitKey, _attempt: u32, _bytes: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

fn operator() -> Operator {
    Operator { name: "ops@console".into(), through: "test".into() }
}

fn estate() -> Estate {
    toml::from_str(
        r#"
        name = "shop"
        active = "prod"
        [sites.prod]
        exchange = "/x"
        hosts.a1 = { address = "10.0.0.1", roles = ["app"] }
        [sites.bcp]
        exchange = "/x"
        hosts.b1 = { address = "10.0.1.1", roles = ["app"] }
        hosts.b2 = { address = "10.0.1.2", roles = ["app"] }
        hosts.b3 = { address = "10.0.1.3", roles = ["app"] }
        "#,
    )
    .expect("a valid estate")
}

fn runbook(stages: &str) -> Runbook {
    let text = format!("name = \"test\"\ntitle = \"Test\"\nmode = \"maintenance\"\n{stages}");
    parse(&SourceText { name: "test.toml".into(), text }).expect("a valid runbook")
}

struct Scene {
    run: RunId,
    config: EngineConfig,
    sink: Arc<MemorySink>,
    new: NewRun,
    listener: mpsc::UnboundedReceiver<Arc<Event>>,
}

impl Scene {
    fn new(name: &str, stages: &str) -> Self {
        Self::with_sink(name, stages, MemorySink::default())
    }

    fn with_sink(name: &str, stages: &str, sink: MemorySink) -> Self {
        let estate = estate();
        let source = SiteName::new("prod").expect("a name");
        let direction = estate.direction_from(&source).expect("two sites");
        let kinds = catalogue();
        let runbook = runbook(stages);
        let params = BTreeMap::new();
        let request = PlanRequest {
            runbook: &runbook,
            file: "test.toml",
            estate: &estate,
            direction: &direction,
            params: &params,
            kinds: &*kinds,
        };
        let (plan, _) = plan(request).expect("a valid plan");
        let run = RunId::new(name).expect("a name");
        let sink = Arc::new(sink);
        let (events, listener) = mpsc::unbounded_channel();
        let config = EngineConfig {
            reach: Arc::new(crate::port::fake::FakeReach::new()),
            clock: Arc::new(TestClock(tokio::time::Instant::now())),
            estate: Arc::new(estate),
            catalogue: kinds,
            sink: Arc::clone(&sink) as Arc<dyn Sink>,
            events,
            unattended: false,
            by: operator(),
            pid: 1,
        };
        let new = NewRun { run: run.clone(), point: PointId::new("p-1").expect("a name"), plan };
        Self { run, config, sink, new, listener }
    }

    fn unattended(mut self) -> Self {
        self.config.unattended = true;
        self
    }

    /// Runs to the end; `react` may answer every event with commands.
    async fn play(&mut self, react: impl Fn(&Event) -> Vec<RunCommand>) -> Result<RunState, EngineError> {
        let engine = Engine::create(self.config.clone(), self.new.clone()).await?;
        self.drive(engine, react).await
    }

    async fn play_on(
        &mut self,
        history: &[Event],
        react: impl Fn(&Event) -> Vec<RunCommand>,
    ) -> Result<RunState, EngineError> {
        *self.sink.events.lock().expect("not poisoned") = history.to_vec();
        // The last words of the session before are not to be reacted to.
        while self.listener.try_recv().is_ok() {}
        let engine = Engine::resume(self.config.clone(), history)?;
        self.drive(engine, react).await
    }

    async fn drive(
        &mut self,
        engine: Engine,
        react: impl Fn(&Event) -> Vec<RunCommand>,
    ) -> Result<RunState, EngineError> {
        let (commands, received) = mpsc::channel(64);
        let running = engine.run(received);
        tokio::pin!(running);
        loop {
            tokio::select! {
                biased;
                Some(event) = self.listener.recv() => {
                    for command in react(&event) {
                        commands.send(command).await.expect("the engine listens");
                    }
                }
                result = &mut running => return result,
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        self.sink.events.lock().expect("not poisoned").clone()
    }
}

fn no_reaction(_: &Event) -> Vec<RunCommand> {
    Vec::new()
}

fn outcome(state: &RunState) -> RunOutcome {
    match &state.phase {
        crate::run::RunPhase::Ended(outcome) => outcome.clone(),
        other => panic!("not ended: {other:?}"),
    }
}

fn unit_word(state: &RunState, unit: &str) -> String {
    let key = UnitKey::try_from(unit.to_owned()).expect("a unit");
    state.units.get(&key).unwrap_or_else(|| panic!("no unit {unit}")).phase.to_string()
}

fn step(id: &str, rest: &str) -> String {
    format!("[[stages.steps]]\nid = \"{id}\"\nuses = \"t.do\"\non = \"console\"\n{rest}\n")
}

fn stage(id: &str, rest: &str) -> String {
    format!("[[stages]]\nid = \"{id}\"\ntitle = \"{id}\"\n{rest}\n")
}

#[tokio::test(start_paused = true)]
async fn steps_run_in_order_and_captures_reach_later_ones() {
    let text =
        stage("s", "") + &step("a", "with = { value = 42 }") + &step("b", "with = { value = \"{{ steps.a.value }}\" }");
    let mut scene = Scene::new("captures", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/b 1"]);
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
    let mut scene = Scene::new("side-by-side", &text);
    let began = tokio::time::Instant::now();
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(deeds(&scene.run), ["one/a 1", "two/b 1", "three/c 1"]);
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
    let mut scene = Scene::new("retry", &text);
    let began = tokio::time::Instant::now();
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run), ["s/a 1", "s/a 2", "s/a 3"]);
    assert_eq!(began.elapsed().as_secs(), 30);
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
        let mut scene = Scene::new(&format!("hosts-{seconds}"), &text);
        let began = tokio::time::Instant::now();
        let state = scene.play(no_reaction).await.expect("an ending");
        assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
        assert_eq!(deeds(&scene.run).len(), 3);
        assert_eq!(began.elapsed().as_secs(), seconds, "{each}");
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
    let mut scene = Scene::new("when", &text);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    assert_eq!(deeds(&scene.run), ["s/a 1", "u/d 1"]);
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

fn answer_with(answer: PromptAnswer, typed: Option<&str>) -> impl Fn(&Event) -> Vec<RunCommand> {
    let typed = typed.map(str::to_owned);
    move |event| match &event.kind {
        EventKind::PromptOpened { prompt } => vec![RunCommand::Answer(Answer {
            prompt: prompt.id,
            answer: answer.clone(),
            typed: typed.clone().or_else(|| prompt.phrase.as_ref().map(ToString::to_string)),
            by: operator(),
        })],
        _ => Vec::new(),
    }
}

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
