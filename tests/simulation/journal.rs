//! The record of a run, kept in memory: what is durable survives the death of the program, which can come before or
//! after any event becomes so.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use changeover::model::UnitKey;
use changeover::port::{Sink, SinkError};
use changeover::run::Event;
use tokio::sync::Notify;

/// The program dies at this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// Counted over all sessions of a run, from 1.
    pub at: usize,
    /// The event becomes durable first.
    pub after: bool,
}

/// Told of every event that has become durable, and as what text; says what is wrong.
pub type Watch = Box<dyn FnMut(&Event, &str) -> Result<(), String> + Send>;

/// The record.
pub struct Journal {
    inner: Mutex<Inner>,
    /// Notified when the program dies, or when a watch finds something wrong.
    pub over: Arc<Notify>,
}

struct Inner {
    events: Vec<Event>,
    /// The same as text, one event a line.
    text: String,
    deaths: Vec<Death>,
    dead: bool,
    watch: Watch,
    wrong: Option<String>,
}

impl Journal {
    pub fn new(deaths: Vec<Death>, watch: Watch) -> Self {
        let inner = Inner { events: Vec::new(), text: String::new(), deaths, dead: false, watch, wrong: None };
        Self { inner: Mutex::new(inner), over: Arc::new(Notify::new()) }
    }

    pub fn events(&self) -> Vec<Event> {
        self.inner.lock().expect("not poisoned").events.clone()
    }

    /// How many events there are, and the text of those that came since this was asked before.
    pub fn told(&self) -> (u64, String) {
        let mut inner = self.inner.lock().expect("not poisoned");
        (inner.events.len() as u64, std::mem::take(&mut inner.text))
    }

    /// What a watch found wrong.
    pub fn wrong(&self) -> Option<String> {
        self.inner.lock().expect("not poisoned").wrong.clone()
    }

    /// True when the program died, which is forgotten then.
    pub fn died(&self) -> bool {
        std::mem::take(&mut self.inner.lock().expect("not poisoned").dead)
    }

    /// Nothing dies from now on.
    pub fn heal(&self) {
        self.inner.lock().expect("not poisoned").deaths.clear();
    }

    /// Takes one event; true when the program is dead now.
    fn take(&self, event: &Event) -> bool {
        let mut inner = self.inner.lock().expect("not poisoned");
        let number = inner.events.len() + 1;
        let death = inner.deaths.iter().position(|death| death.at == number).map(|found| inner.deaths.remove(found));
        if death.is_none_or(|death| death.after) {
            inner.events.push(event.clone());
            let line = serde_json::to_string(event).expect("an event can be written");
            let found = (inner.watch)(event, &line);
            inner.text.extend([line.as_str(), "\n"]);
            if let Err(wrong) = found
                && inner.wrong.is_none()
            {
                inner.wrong = Some(wrong);
                self.over.notify_one();
            }
        }
        if death.is_some() {
            inner.dead = true;
            self.over.notify_one();
        }
        inner.dead
    }
}

#[async_trait]
impl Sink for Journal {
    async fn append(&self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            if self.take(event) {
                // Who is dead waits for ever.
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }

    async fn output(&self, _: &UnitKey, _: u32, _: jiff::Timestamp, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}
