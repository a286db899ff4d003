//! Live health of both sites: which probes there are, when each is asked, and what their answers mean over time.
//!
//! One fold, [`HealthState::apply`], serves the screen and `changeover status`. No site can delay, blank or change what
//! is known of the other: every probe has its own deadline, and a reading that grows old becomes unknown by itself.
//! Nothing here changes anything at a site.
//!
//! ```text
//! estate, catalogue ─▶ plan ─▶ Watch (a task per probe, heard along) ─▶ Observation ─▶ HealthState ─▶ verdicts, words
//! ```

mod plan;
mod state;
mod transcript;
mod watch;
mod words;

pub use crate::systems::{Condition, Figure, Reading, Unit};
pub use plan::{Planned, plan, unseen};
pub use state::{HealthState, Observation, ProbeHealth, ProbeKey, Subject, Verdict};
pub use watch::{Around, Watch, round};
pub use words::{LastPoint, last_point, pair, takeover};

#[cfg(test)]
mod tests;
