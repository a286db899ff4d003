//! Events as rows, each sealed with a hash over itself and the row before: a changed, missing or swapped row is seen.
//!
//! The chain shows damage and edits inside a journal. It cannot show that whole rows were cut off its end, nor that
//! its owner wrote all of it anew; who needs that keeps the [`Head`] somewhere else.

use crate::model::RunId;
use crate::run::{Event, EventKind};

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub seq: u64,
    pub at: String,
    pub elapsed_ms: u64,
    pub kind: String,
    pub json: String,
    pub hash: Hash,
}

/// The seal of a row.
pub(super) type Hash = [u8; 32];

/// The last event of a journal and its seal. Two journals with the same head are the same, to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 when there is none.
    pub seq: u64,
    pub(super) hash: Hash,
}

impl Head {
    /// What the first row of a run's journal is sealed against: a journal cannot pass for that of another run.
    pub(super) fn of_nothing(run: &RunId) -> Self {
        Self { seq: 0, hash: *blake3::hash(format!("changeover journal of {run}").as_bytes()).as_bytes() }
    }

    /// The seal in hexadecimal, to be kept elsewhere as proof.
    #[must_use]
    pub fn seal(&self) -> String {
        blake3::Hash::from_bytes(self.hash).to_hex().to_string()
    }
}

/// Turns an event into the row that follows `head`.
///
/// # Errors
/// Why the event cannot follow it, as a sentence.
pub(super) fn seal(event: &Event, head: Head) -> Result<Row, String> {
    if event.seq != head.seq + 1 {
        return Err(format!("event {} cannot follow event {}: the next is {}", event.seq, head.seq, head.seq + 1));
    }
    if event.kind == EventKind::Newer {
        return Err(format!("event {} is of a newer version of the program and would lose its content", event.seq));
    }
    let value =
        serde_json::to_value(event).map_err(|error| format!("event {} has no JSON form: {error}", event.seq))?;
    let kind = value.get("event").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    let mut row = Row {
        seq: event.seq,
        at: event.at.to_string(),
        elapsed_ms: event.elapsed_ms,
        kind,
        json: value.to_string(),
        hash: [0; 32],
    };
    row.hash = digest(&row, &head.hash);
    Ok(row)
}

/// Turns the row that should follow `head` back into its event.
///
/// # Errors
/// What is wrong with the row, as a sentence.
pub(super) fn unseal(row: &Row, head: Head) -> Result<Event, String> {
    let wanted = head.seq + 1;
    if row.seq != wanted {
        return Err(format!("record {wanted} is missing: record {} follows {}", row.seq, head.seq));
    }
    if digest(row, &head.hash) != row.hash {
        return Err(format!("record {wanted} does not match its checksum: it, or the one before, has been changed"));
    }
    let event: Event =
        serde_json::from_str(&row.json).map_err(|error| format!("record {wanted} is not an event: {error}"))?;
    if event.seq != row.seq {
        return Err(format!("record {wanted} holds event {}", event.seq));
    }
    Ok(event)
}

fn digest(row: &Row, previous: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous).update(&row.seq.to_le_bytes()).update(&row.elapsed_ms.to_le_bytes());
    for text in [&row.at, &row.kind, &row.json] {
        // With its length, so that no byte can move from one column to the next unseen.
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
