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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::plan;

    #[test]
    fn a_nonce_is_short_and_belongs_to_one_question_of_one_run_of_one_plan() {
        let mut other = plan();
        other.params.insert("deep".to_owned(), true.into());
        let first = nonce(&plan(), "r1", "restore/index@bcp");
        assert!(first.len() == 4 && first.chars().all(|c| c.is_ascii_hexdigit()), "{first}");
        assert_eq!(first, nonce(&plan(), "r1", "restore/index@bcp"), "it can be asked again");
        assert_ne!(first, nonce(&other, "r1", "restore/index@bcp"));
        assert_ne!(first, nonce(&plan(), "r2", "restore/index@bcp"));
        assert_ne!(first, nonce(&plan(), "r1", "restore/restart@bcp"));
    }

    #[test]
    fn from_moving_traffic_on_a_phrase_is_wanted() {
        let phrase = |level| confirmation_phrase(level, "promote", "bcp", "7f3a");
        for level in [GuardLevel::Look, GuardLevel::Reversible] {
            assert_eq!(phrase(level), None, "{level:?}");
        }
        for level in [GuardLevel::MovesTraffic, GuardLevel::MayLoseData, GuardLevel::OverridesRule] {
            assert_eq!(phrase(level).as_deref(), Some("promote bcp 7f3a"), "{level:?}");
        }
    }
}
