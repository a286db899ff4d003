//! The room of `app`: the application itself, on every host of a role. Looks at its health, restarts, stops and starts
//! it, and believes that only when the service manager names a new process and the health address answers well.
//!
//! Knows nothing of what the application stores: that is the business of the other rooms.

mod check;
mod control;
mod health;
mod leader;
mod manager;
mod probe;
mod refusal;
mod settings;
#[cfg(test)]
mod tests;

use super::{Effect, KindEntry, step_kind};
use crate::model::Span;
use check::{AppCheck, AppHealthy};
use control::{AppRestart, AppStart, AppStop};
pub use health::Health;
pub use manager::Manager;
pub use settings::AppSettings;

const KIND: &str = "app";

/// The step kinds of this room.
#[must_use]
pub fn kinds() -> Vec<KindEntry> {
    // Longer than the command and the waiting for health may take together.
    let patience = Span::seconds(900);
    vec![
        step_kind::<AppCheck>("app.check", "Look at the health of the application on every host of a site")
            .service(KIND),
        step_kind::<AppHealthy>("app.healthy", "Wait until the application is healthy on every host of a site")
            .service(KIND)
            .timeout(patience),
        step_kind::<AppRestart>("app.restart", "Restart the application on a host and see it healthy again")
            .service(KIND)
            .effect(Effect::Writes)
            .timeout(patience),
        step_kind::<AppStop>("app.stop", "Stop the application on a host and see it stopped")
            .service(KIND)
            .effect(Effect::Writes)
            .timeout(patience),
        step_kind::<AppStart>("app.start", "Start the application on a host and see it healthy")
            .service(KIND)
            .effect(Effect::Writes)
            .timeout(patience),
    ]
}

/// The service kind of this room.
#[must_use]
pub fn service() -> super::ServiceKind {
    super::service_kind::<AppSettings>(KIND, "The application on the hosts of a role").probed(probe::probes)
}
