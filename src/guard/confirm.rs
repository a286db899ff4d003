//! Confirmations that cannot be passed by accident: what must be typed is different each time.

use crate::runbook::{GuardLevel, Plan};

/// Four characters that depend on the plan, the run and what is asked: they cannot be typed from memory, and a phrase
/// for one question is wrong for every other.
#[must_use]
pub fn nonce(plan: &Plan, run: &str, question: &str) -> String {
    let text = format!("{}\n{run}\n{question}", plan.digest().as_str());
    blake3::hash(text.as_bytes()).to_hex()[..4].to_owned()
}

/// What must be typed to say yes, or nothing for levels where `y` is enough.
#[must_use]
pub fn confirmation_phrase(level: GuardLevel, verb: &str, target: &str, nonce: &str) -> Option<String> {
    (level >= GuardLevel::MovesTraffic).then(|| format!("{verb} {target} {nonce}"))
}
