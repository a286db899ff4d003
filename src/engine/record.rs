//! Events become durable here, one group at a time, and are told only then.

use std::sync::Arc;

use super::config::EngineError;
use super::dispatcher::Engine;
use crate::model::UnitKey;
use crate::run::{Event, EventKind, Weight};

impl Engine {
    /// Makes facts durable in one group, and tells them.
    ///
    /// # Errors
    /// When they cannot be kept: what runs has been waited for then. When they contradict the history.
    pub(super) async fn record(&mut self, kinds: Vec<EventKind>) -> Result<(), EngineError> {
        let elapsed = self.config.clock.monotonic().saturating_sub(self.began);
        let at = self.config.clock.now();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let first = self.state.last_seq + 1;
        let events: Vec<Event> = (first..).zip(kinds).map(|(seq, kind)| Event { seq, at, elapsed_ms, kind }).collect();
        // Folded before it is kept, so that nothing impossible is ever kept. The state is then ahead of the record only
        // until this returns, or for good when it fails: then nothing looks at the state again.
        for event in &events {
            self.state.apply(event)?;
            self.settled &= event.kind.weight() == Weight::Chatter;
        }
        self.keep(events).await
    }

    pub(super) async fn keep(&mut self, events: Vec<Event>) -> Result<(), EngineError> {
        if let Err(source) = self.config.sink.append(&events).await {
            let open: Vec<UnitKey> = self.live.keys().cloned().collect();
            // What runs is not stopped: killing it would only make its outcome worse. It is waited for.
            self.retries.clear();
            // What it still tells is not kept either; an attempt that streams output must not wait for us.
            self.received.close();
            while self.received.try_recv().is_ok() {}
            while self.tasks.join_next().await.is_some() {}
            return Err(EngineError::Record { source, open });
        }
        for event in events {
            // Nobody listening is fine: the record is what counts.
            drop(self.config.events.send(Arc::new(event)));
        }
        Ok(())
    }
}
