//! A record that keeps nothing, for runs that are looked at while they happen.

use async_trait::async_trait;
use changeover::model::UnitKey;
use changeover::port::{Sink, SinkError};
use changeover::run::Event;

pub struct NoSink;

#[async_trait]
impl Sink for NoSink {
    async fn append(&self, _events: &[Event]) -> Result<(), SinkError> {
        Ok(())
    }
    async fn output(&self, _unit: &UnitKey, _attempt: u32, _bytes: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}
