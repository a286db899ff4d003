//! Scenarios: whole runs on scripted steps, an in-memory record and a paused clock.

mod edges;
mod jobs;
mod leases;
mod order;
mod people;
mod resume;
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
    CancelReason, ConsoleId, Failure, FailureKind, Outcome, PointId, RunId, RunOutcome, SafeText, SiteName, Span,
    UnitKey,
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

/// No run of these tests has as many events.
const MOST_EVENTS: usize = 2_000;

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
        assert!(kept.len() < MOST_EVENTS, "the run goes on for ever");
        if self.full_after.is_some_and(|limit| kept.len() + events.len() > limit) {
            return Err(SinkError { tried: "write the journal".into(), got: "No space left on device".into() });
        }
        kept.extend_from_slice(events);
        self.groups.lock().expect("not poisoned").push(events.len());
        Ok(())
    }
    async fn output(&self, _: &UnitKey, _: u32, _: jiff::Timestamp, _: &[u8]) -> Result<(), SinkError> {
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
            console: ConsoleId::new("here").expect("a name"),
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
        // Nothing here takes that long: a run that only waits, for what does not come, is seen at once.
        let for_ever = tokio::time::sleep(Duration::from_hours(30 * 24));
        tokio::pin!(for_ever);
        loop {
            tokio::select! {
                biased;
                () = &mut for_ever => panic!("the run comes to no end"),
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
