//! Talking to a started script: everything in, output between the marks out, and an honest word about what is known
//! when the marks are missing.

use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::shell::{NOT_WHOLE, Script};
use crate::port::{ReachError, ReachErrorKind};

/// How much of each stream is kept.
const KEPT: usize = 1024 * 1024;
/// How much of what a login shell says before the script begins is kept, for messages.
const NOISE: usize = 4096;
/// How long stderr may stay open after stdout has broken off.
const STRAGGLER: Duration = Duration::from_millis(500);

/// What a script returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The words given to `co_finish`.
    pub ending: String,
    /// Its stdout between the marks.
    pub stdout: Vec<u8>,
    /// Its stderr between the marks.
    pub stderr: Vec<u8>,
    /// True when one of them was longer than a mebibyte.
    pub truncated: bool,
}

/// How the process that carried the script ended, once its output has ended without the closing mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// With this code. For SSH: the remote process ended and the connection lives.
    Code(i32),
    /// Nobody knows: the connection broke, or a signal ended it.
    Gone,
}

/// One stream of a script while it arrives.
#[derive(Debug)]
struct Capture {
    go: Vec<u8>,
    end: Vec<u8>,
    pending: Vec<u8>,
    noise: Vec<u8>,
    begun: bool,
    kept: Vec<u8>,
    truncated: bool,
    ending: Option<String>,
}

impl Capture {
    fn new(nonce: &str) -> Self {
        Self {
            go: format!("CO-GO-{nonce}\n").into_bytes(),
            end: format!("\nCO-END-{nonce} ").into_bytes(),
            pending: Vec::new(),
            noise: Vec::new(),
            begun: false,
            kept: Vec::new(),
            truncated: false,
            ending: None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        if self.ending.is_some() {
            return;
        }
        self.pending.extend_from_slice(bytes);
        if !self.begun {
            let Some(at) = memmem::find(&self.pending, &self.go) else {
                let settled = self.pending.len().saturating_sub(self.go.len());
                self.noise.extend(self.pending.drain(..settled));
                let excess = self.noise.len().saturating_sub(NOISE);
                self.noise.drain(..excess);
                return;
            };
            self.begun = true;
            self.noise.extend_from_slice(&self.pending[..at]);
            self.pending.drain(..at + self.go.len());
        }
        let found = memmem::find(&self.pending, &self.end);
        let settled = found.unwrap_or_else(|| self.pending.len().saturating_sub(self.end.len()));
        self.keep(settled);
        if found.is_some()
            && let Some(line) = memchr::memchr(b'\n', &self.pending[self.end.len()..])
        {
            let words = &self.pending[self.end.len()..self.end.len() + line];
            self.ending = Some(String::from_utf8_lossy(words).into_owned());
            self.pending.clear();
        }
    }

    fn keep(&mut self, settled: usize) {
        let room = KEPT.saturating_sub(self.kept.len());
        self.truncated |= settled > room;
        self.kept.extend_from_slice(&self.pending[..settled.min(room)]);
        self.pending.drain(..settled);
    }

    /// Everything that was said, for a message.
    fn words(&self) -> String {
        let all = [&self.noise[..], &self.kept[..], &self.pending[..]].concat();
        String::from_utf8_lossy(&all[all.len().saturating_sub(NOISE)..]).trim().to_owned()
    }
}

/// Sends the script and reads until both streams carried their closing mark, or broke off. Stdin stays open until
/// then: closing it tells the script that nobody wants its work any more. What the script writes to stdout goes to
/// `outlet`, if there is one, and is kept otherwise.
///
/// Dropping the future closes all streams.
pub(super) async fn converse(
    mut stdin: impl AsyncWrite + Unpin,
    mut stdout: impl AsyncRead + Unpin,
    mut stderr: impl AsyncRead + Unpin,
    script: &Script,
    outlet: Option<mpsc::Sender<Vec<u8>>>,
) -> Conversation {
    let mut out = Capture::new(&script.nonce);
    let mut err = Capture::new(&script.nonce);
    let send = async {
        let sent = stdin.write_all(&script.wire).await.is_ok() && stdin.flush().await.is_ok();
        (sent, stdin)
    };
    let read = async move {
        let (mut out_open, mut err_open) = (true, true);
        let mut out_buffer = vec![0; 64 * 1024];
        let mut err_buffer = vec![0; 8 * 1024];
        loop {
            let want_out = out_open && out.ending.is_none();
            let want_err = err_open && err.ending.is_none();
            let broken_off = !out_open && out.ending.is_none();
            tokio::select! {
                biased;
                read = stdout.read(&mut out_buffer), if want_out => match read {
                    Ok(count) if count > 0 => {
                        out.feed(&out_buffer[..count]);
                        if let Some(outlet) = outlet.as_ref().filter(|_| !out.kept.is_empty()) {
                            // Whoever asked may have given up; the rest of the conversation goes on.
                            drop(outlet.send(std::mem::take(&mut out.kept)).await);
                        }
                    }
                    _ => out_open = false,
                },
                read = stderr.read(&mut err_buffer), if want_err => match read {
                    Ok(count) if count > 0 => err.feed(&err_buffer[..count]),
                    _ => err_open = false,
                },
                () = tokio::time::sleep(STRAGGLER), if broken_off && want_err => break,
                else => break,
            }
        }
        (out, err)
    };
    tokio::pin!(send);
    tokio::pin!(read);
    // A script that breaks off early never takes all of its input: reading decides when the conversation is over.
    tokio::select! {
        biased;
        (sent_all, open_stdin) = &mut send => {
            let (out, err) = read.await;
            drop(open_stdin);
            Conversation { sent_all, out, err }
        }
        (out, err) = &mut read => Conversation { sent_all: false, out, err },
    }
}

/// A conversation that has come to its end, one way or the other.
#[derive(Debug)]
pub(super) struct Conversation {
    sent_all: bool,
    out: Capture,
    err: Capture,
}

impl Conversation {
    /// True when the script said how it ended.
    pub fn is_complete(&self) -> bool {
        self.out.ending.is_some()
    }

    /// What the script returned, or what is known when it broke off. `carrier` matters only in the second case.
    ///
    /// # Errors
    /// `Denied` when the host ran something else in place of the script, `Unreachable` when it surely did not start,
    /// `Lost` when that is not sure.
    pub fn verdict(self, at: &str, carrier: Carrier) -> Result<Said, ReachError> {
        if let Some(ending) = self.out.ending {
            let truncated = self.out.truncated || self.err.truncated;
            let mut stderr = self.err.kept;
            if self.err.ending.is_none() {
                stderr.extend(self.err.pending);
            }
            return Ok(Said { ending, stdout: self.out.kept, stderr, truncated });
        }
        let words = [self.err.words(), self.out.words()].join("\n").trim().to_owned();
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        let begun = self.out.begun || self.err.begun;
        Err(match carrier {
            Carrier::Code(NOT_WHOLE) if !begun => ReachError::new(
                ReachErrorKind::Unreachable,
                at,
                format!("the connection broke before the command had arrived whole; nothing was started{said}"),
            ),
            Carrier::Code(code) if !begun => ReachError::new(
                ReachErrorKind::Denied,
                at,
                format!("the host did not run our shell (exit code {code}){said}"),
            )
            .hint("log in by hand with `ssh <host> true`; the account needs a login shell that runs commands, /bin/sh and coreutils"),
            _ if !begun && !self.sent_all => ReachError::new(
                ReachErrorKind::Unreachable,
                at,
                format!("the connection broke before the command had been sent; nothing was started{said}"),
            ),
            Carrier::Code(code) => ReachError::new(
                ReachErrorKind::Lost,
                at,
                format!("the shell on the host ended (exit code {code}) without saying how the command ended{said}"),
            ),
            Carrier::Gone => ReachError::new(
                ReachErrorKind::Lost,
                at,
                format!("the connection was lost before the host said how the command ended{said}"),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"motd CO-GO-\nCO-GO-n1\nline\n\nCO-END-n2 9\n\0bytes\n\nCO-END-n1 0 0 1 3\nlater";

    #[test]
    fn output_is_cut_exactly_at_the_marks_however_it_arrives() {
        for size in 1..STREAM.len() {
            let mut capture = Capture::new("n1");
            for piece in STREAM.chunks(size) {
                capture.feed(piece);
            }
            assert_eq!(capture.ending.as_deref(), Some("0 0 1 3"), "in pieces of {size}");
            assert_eq!(capture.kept, b"line\n\nCO-END-n2 9\n\0bytes\n", "in pieces of {size}");
            assert_eq!(capture.noise, b"motd CO-GO-\n", "in pieces of {size}");
        }
    }

    #[test]
    fn long_output_is_cut_and_its_end_still_found() {
        let mut capture = Capture::new("n");
        capture.feed(b"CO-GO-n\n");
        for _ in 0..3 * KEPT / 1000 {
            capture.feed(&[b'x'; 1000]);
        }
        capture.feed(b"\nCO-END-n 0 0\n");
        assert_eq!(capture.kept.len(), KEPT);
        assert!(capture.truncated);
        assert_eq!(capture.ending.as_deref(), Some("0 0"));
    }

    fn broken(sent_all: bool, out: &[u8]) -> Conversation {
        let mut capture = Capture::new("n");
        capture.feed(out);
        Conversation { sent_all, out: capture, err: Capture::new("n") }
    }

    #[test]
    fn only_what_surely_did_not_start_is_called_so() {
        let kind = |sent, out: &[u8], carrier| broken(sent, out).verdict("h", carrier).map_err(|error| error.kind);
        let cases = [
            (true, &b""[..], Carrier::Gone, ReachErrorKind::Lost),
            (false, b"", Carrier::Gone, ReachErrorKind::Unreachable),
            (false, b"CO-GO-n\n", Carrier::Gone, ReachErrorKind::Lost),
            (true, b"CO-GO-n\nhalf", Carrier::Gone, ReachErrorKind::Lost),
            (true, b"CO-GO-n\n", Carrier::Code(137), ReachErrorKind::Lost),
            (true, b"This account is not available.", Carrier::Code(1), ReachErrorKind::Denied),
            (true, b"", Carrier::Code(NOT_WHOLE), ReachErrorKind::Unreachable),
        ];
        for (sent, out, carrier, wanted) in cases {
            assert_eq!(kind(sent, out, carrier), Err(wanted), "{sent} {out:?} {carrier:?}");
        }
    }
}
