//! What the tests of steps share: a [`StepContext`] on the scripted world of `port::fake`.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::{KindEntry, Step, StepContext, Voice, VoiceMessage};
use crate::estate::Estate;
use crate::model::{Direction, End, HostName, PointId, RunId, ServiceName, SiteName, UnitKey};
use crate::port::fake::{FakeClock, FakeReach};

/// Two sites, `prod` (active; hosts `app1`, `app2`) and `bcp` (host `app1`), all with the role `app`, no services.
pub(crate) const SITES: &str = r#"
name = "shop"
active = "prod"
[sites.prod]
exchange = "/mnt/exchange"
hosts.app1 = { address = "10.0.1.11", roles = ["app"] }
hosts.app2 = { address = "10.0.1.12", roles = ["app"] }
[sites.bcp]
exchange = "/mnt/exchange"
hosts.app1 = { address = "10.0.2.11", roles = ["app"] }
"#;

/// A context with the world behind it and an ear for what is said.
pub(crate) struct Bench {
    /// What the step gets.
    pub(crate) cx: StepContext,
    /// The world, to prepare answers and to look at calls.
    pub(crate) reach: Arc<FakeReach>,
    ear: UnboundedReceiver<VoiceMessage>,
}

impl Bench {
    /// A bench on the two sites of [`SITES`] and these services (TOML), prod to bcp, acting at the source; the unit is
    /// `stage/step`, the run `r1`, the point `p-20260301-020000-0001`.
    pub(crate) fn new(services: &str) -> Self {
        let estate: Estate = toml::from_str(&format!("{SITES}\n{services}")).expect("an estate");
        let direction = Direction { source: site("prod"), target: site("bcp") };
        let reach = Arc::new(FakeReach::new());
        let (voice, ear) = Voice::new();
        let cx = StepContext {
            reach: reach.clone(),
            clock: Arc::new(FakeClock::new()),
            estate: Arc::new(estate),
            unit: UnitKey::try_from(format!("stage/step@{}", direction.source)).expect("a unit"),
            direction,
            run: RunId::new("r1").expect("a run"),
            point: PointId::new("p-20260301-020000-0001").expect("a point"),
            attempt: 1,
            end: Some(End::Source),
            host: None,
            first: true,
            service: None,
            voice,
            cancel: CancellationToken::new(),
            jobs: crate::systems::JobLog::default(),
        };
        Self { cx, reach, ear }
    }

    /// Acts at the other end, or at the console for `None`.
    pub(crate) fn end(mut self, end: Option<End>) -> Self {
        self.cx.end = end;
        self.cx.unit.site = end.map(|end| self.cx.direction.site(end).clone());
        self
    }

    /// Acts at a host.
    pub(crate) fn host(mut self, host: &str) -> Self {
        self.cx.host = Some(HostName::new(host).expect("a host"));
        self.cx.unit.host.clone_from(&self.cx.host);
        self
    }

    /// Acts on a service.
    pub(crate) fn service(mut self, service: &str) -> Self {
        self.cx.service = Some(ServiceName::new(service).expect("a service"));
        self
    }

    /// Everything that was said since the last look, one thing a line. Progress reads `done/total what`, output
    /// `output: …`.
    pub(crate) fn heard(&mut self) -> String {
        let mut lines = Vec::new();
        while let Ok(message) = self.ear.try_recv() {
            lines.push(match message {
                VoiceMessage::Said(text) => text.to_string(),
                VoiceMessage::Progress { done, total: Some(total), what } => format!("{done}/{total} {what}"),
                VoiceMessage::Progress { done, total: None, what } => format!("{done} {what}"),
                VoiceMessage::Output { bytes, .. } => format!("output: {}", String::from_utf8_lossy(&bytes)),
                // Nothing that is said to anybody.
                VoiceMessage::JobBegun(..) => continue,
            });
        }
        lines.join("\n")
    }
}

/// A site name.
pub(crate) fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a site name")
}

/// The step `name` of these kinds with parameters written in JSON, decoded as a runbook's would be.
pub(crate) fn decode(kinds: &[KindEntry], name: &str, params: &Value) -> Box<dyn Step> {
    let kind = kinds.iter().find(|kind| kind.name == name).expect("a kind of that name");
    let empty = Map::new();
    kind.decode(params.as_object().unwrap_or(&empty)).expect("parameters that fit")
}
