//! The vocabulary every other layer speaks: names, directions, epochs, endings, secrets, safe text.
//!
//! Pure data. Nothing here reads a file, a clock, the environment or the network, and nothing here imports
//! another layer of the program.

mod amount;
mod diagnostic;
mod direction;
mod ids;
mod lease;
mod outcome;
mod secret;
mod text;

pub use amount::{ByteSize, Counted, LIMIT_PATTERN, Limit, SPAN_PATTERN, Span};
pub use diagnostic::{Diagnostic, Severity, SourceText, did_you_mean};
pub use direction::{Direction, DirectionRecord, End, Epoch};
pub use ids::{
    ConsoleId, HostName, InvalidName, NAME_PATTERN, PointId, RunId, ServiceName, SiteName, StageId, StepId, StepKey,
    ThemeName, UnitKey,
};
pub use lease::{Lease, LeaseSign, Sighting};
pub use outcome::{CancelReason, Failure, FailureKind, NotRun, Outcome, RunOutcome, Skip};
pub use secret::{CommandForm, Secret, SecretSource};
pub use text::{Hue, SafeText, Tint, TintedLine};
