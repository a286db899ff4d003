//! Commands on the machine the program runs on: the same scripts as anywhere else, in a process group of their own.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::conversation::{Carrier, Said, converse};
use super::shell::{LOADER, Script};
use crate::port::{ReachError, ReachErrorKind};

/// Runs a script with `shell`, the path of a POSIX shell. Its stdout goes to `outlet`, if there is one.
///
/// # Errors
/// As [`super::conversation::Conversation::verdict`], and `Lost` after `limit`: the work is told to stop then, and
/// killed five seconds later.
pub(super) async fn run(
    shell: &str,
    at: &str,
    script: &Script,
    limit: Duration,
    outlet: Option<mpsc::Sender<Vec<u8>>>,
) -> Result<Said, ReachError> {
    let deadline = Instant::now() + limit;
    let mut child = Command::new(shell)
        .args(["-c", LOADER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C in the terminal is for the program, not for what it has started.
        .process_group(0)
        .spawn()
        .map_err(|error| ReachError::new(ReachErrorKind::Denied, at, format!("could not start {shell}: {error}")))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ReachError::new(ReachErrorKind::Denied, at, format!("{shell} has no pipes")));
    };
    let Ok(conversation) = timeout_at(deadline, converse(stdin, stdout, stderr, script, outlet)).await else {
        return Err(timed_out(at, limit));
    };
    let carrier = if conversation.is_complete() {
        Carrier::Gone
    } else {
        let status = timeout_at(deadline, child.wait()).await;
        status.ok().and_then(Result::ok).and_then(|status| status.code()).map_or(Carrier::Gone, Carrier::Code)
    };
    conversation.verdict(at, carrier)
}

/// The error of a command that did not answer in time. Its stdin has been closed by then, which tells it to stop.
pub(super) fn timed_out(at: &str, limit: Duration) -> ReachError {
    ReachError::new(
        ReachErrorKind::Lost,
        at,
        format!("no answer within {}; it has been told to stop, but may still be running", crate::model::Span(limit)),
    )
}
