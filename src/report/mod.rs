//! Listeners without a screen: they turn the events of a run into lines, and say at the end what came of it.
//!
//! They only listen. A listener that cannot write any more falls silent; the run does not notice. Every text from
//! outside is a [`SafeText`](crate::model::SafeText) by the time it gets here, or is made one here.

mod bars;
mod ending;
mod json;
mod pen;
mod plain;
mod words;

#[cfg(test)]
mod tests;

pub use bars::Bars;
pub use ending::{Advice, ending};
pub use json::Json;
pub use plain::Plain;

use jiff::Timestamp;

use crate::run::{Event, RunState};

/// Somebody who is told what happens in a run.
pub trait Listener {
    /// This happened; `state` has it already.
    fn event(&mut self, event: &Event, state: &RunState);

    /// It is `now`. To be called about every second, for what changes while nothing happens.
    fn tick(&mut self, now: Timestamp, state: &RunState);

    /// Something that is no event of the run, but belongs beside what happens in it: one line, with one word for its
    /// kind.
    fn remark(&mut self, at: Timestamp, word: &'static str, text: &str);

    /// Nothing more happens in this process: say what came of it.
    fn finish(&mut self, state: &RunState, advice: &Advice);
}
