//! One run of a runbook on a world, by the real engine, with nobody there and without a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use changeover::engine::{Engine, EngineConfig, NewRun};
use changeover::estate::Estate;
use changeover::model::{ConsoleId, PointId, RunId, SiteName, SourceText, UnitKey};
use changeover::port::{Clock, Reach, Sink, SinkError};
use changeover::run::{Event, EventKind, Operator, RunCommand, RunState};
use changeover::runbook::{PlanRequest, parse, plan};
use changeover::systems::catalogue;
use tokio::sync::mpsc;

/// A record that keeps nothing: the run is looked at while it happens.
struct NoSink;

#[async_trait]
impl Sink for NoSink {
    async fn append(&self, _events: &[Event]) -> Result<(), SinkError> {
        Ok(())
    }
    async fn output(&self, _: &UnitKey, _: u32, _: jiff::Timestamp, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A run that exists and has not begun.
pub struct SingleRun {
    engine: Engine,
    told: mpsc::UnboundedReceiver<Arc<Event>>,
}

impl SingleRun {
    /// A run of the runbook `text` from prod.
    pub async fn new(
        reach: Arc<dyn Reach>,
        clock: Arc<dyn Clock>,
        estate: &Arc<Estate>,
        text: String,
        run: &str,
        point: &str,
    ) -> Self {
        let runbook = parse(&SourceText { name: "test.toml".into(), text }).expect("a runbook");
        let direction = estate.direction_from(&SiteName::new("prod").expect("a name")).expect("two sites");
        let kinds = Arc::new(catalogue());
        let params = BTreeMap::new();
        let request = PlanRequest {
            runbook: &runbook,
            file: "test.toml",
            estate,
            direction: &direction,
            params: &params,
            kinds: &*kinds,
        };
        let (plan, _) = plan(request).unwrap_or_else(|errors| panic!("{errors:?}"));
        let (events, told) = mpsc::unbounded_channel();
        let config = EngineConfig {
            reach,
            clock,
            estate: Arc::clone(estate),
            catalogue: kinds,
            sink: Arc::new(NoSink),
            events,
            unattended: true,
            by: Operator { name: "ops@console".into(), through: "test".into() },
            pid: 1,
            console: ConsoleId::new("here").expect("a name"),
        };
        let run = RunId::new(run).expect("a name");
        let point = PointId::new(point).expect("a name");
        let engine = Engine::create(config, NewRun { run, point, plan }).await.expect("an engine");
        Self { engine, told }
    }

    /// Carries it to its end; `hear` is told every event as it happens.
    pub async fn play(self, mut hear: impl FnMut(&EventKind)) -> RunState {
        let Self { engine, mut told } = self;
        // Nobody says anything to it.
        let (_commands, received) = mpsc::channel::<RunCommand>(1);
        let running = engine.run(received);
        tokio::pin!(running);
        loop {
            tokio::select! {
                biased;
                Some(event) = told.recv() => hear(&event.kind),
                ended = &mut running => {
                    while let Ok(event) = told.try_recv() {
                        hear(&event.kind);
                    }
                    return ended.expect("an ending");
                }
            }
        }
    }
}
