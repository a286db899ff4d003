//! What a person types at a terminal, as the answer to a question of a run. Pure.

use super::{Prompt, PromptAnswer, PromptKind};
use crate::model::SafeText;

/// What can be typed, shown with the question.
#[must_use]
pub fn choices(prompt: &Prompt) -> String {
    match (prompt.kind, &prompt.phrase) {
        (PromptKind::Confirm, Some(phrase)) => format!("type `{phrase}` to go on, `no` to stop"),
        (PromptKind::Confirm, None) => "type `y` to go on, `no` to stop".to_owned(),
        (PromptKind::Failed, _) => "type `retry`, `skip WHY` to go on without it, or `stop`".to_owned(),
        (PromptKind::Interrupted, _) => {
            "look at the host, then type `done WHAT-YOU-SAW` if it had its effect, `retry` to do it again as a fresh \
             attempt, or `stop`"
                .to_owned()
        }
    }
}

/// The answer that a typed line is, with what was typed when the question wants a phrase. Nothing when the line is no
/// answer: an empty line, most of all, never is.
#[must_use]
pub fn read_answer(prompt: &Prompt, line: &str) -> Option<(PromptAnswer, Option<String>)> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let comment = SafeText::line(rest.trim());
    let answer = match (prompt.kind, word) {
        (PromptKind::Confirm, "n" | "no") | (PromptKind::Failed | PromptKind::Interrupted, "stop" | "no") => {
            PromptAnswer::Decline
        }
        (PromptKind::Confirm, _) => {
            let yes = match &prompt.phrase {
                Some(phrase) => line == phrase.as_str(),
                None => matches!(line, "y" | "yes"),
            };
            return yes.then(|| (PromptAnswer::Proceed, prompt.phrase.as_ref().map(|_| line.to_owned())));
        }
        (PromptKind::Failed | PromptKind::Interrupted, "retry") if rest.is_empty() => PromptAnswer::Retry,
        (PromptKind::Failed, "skip") if !comment.is_empty() => PromptAnswer::Skip { comment },
        (PromptKind::Interrupted, "done") if !comment.is_empty() => PromptAnswer::ItWasDone { comment },
        _ => return None,
    };
    Some((answer, None))
}

#[cfg(test)]
mod tests {
    use super::super::PromptId;
    use super::*;
    use crate::model::UnitKey;
    use crate::runbook::GuardLevel;

    fn prompt(kind: PromptKind, phrase: Option<&str>) -> Prompt {
        Prompt {
            id: PromptId(1),
            unit: UnitKey::try_from("s/a".to_owned()).expect("a unit"),
            kind,
            message: "?".into(),
            level: GuardLevel::Reversible,
            phrase: phrase.map(SafeText::line),
        }
    }

    #[test]
    fn nothing_typed_by_accident_is_an_answer() {
        for kind in [PromptKind::Confirm, PromptKind::Failed, PromptKind::Interrupted] {
            for line in ["", "\r", " ", "Y es", "yy", "ok", "\u{1b}[A", "retry now please"] {
                assert_eq!(read_answer(&prompt(kind, None), line), None, "{kind:?} {line:?}");
            }
        }
        assert_eq!(read_answer(&prompt(PromptKind::Confirm, Some("promote bcp 7f3a")), "y"), None);
        assert_eq!(read_answer(&prompt(PromptKind::Failed, None), "skip"), None, "a skip wants a reason");
        assert_eq!(read_answer(&prompt(PromptKind::Interrupted, None), "done"), None, "what was seen must be said");
    }

    #[test]
    fn answers_are_read_as_meant() {
        let confirm = prompt(PromptKind::Confirm, None);
        assert_eq!(read_answer(&confirm, "y\n"), Some((PromptAnswer::Proceed, None)));
        assert_eq!(read_answer(&confirm, "no"), Some((PromptAnswer::Decline, None)));
        let phrase = prompt(PromptKind::Confirm, Some("promote bcp 7f3a"));
        assert_eq!(
            read_answer(&phrase, " promote bcp 7f3a "),
            Some((PromptAnswer::Proceed, Some("promote bcp 7f3a".to_owned())))
        );
        let failed = prompt(PromptKind::Failed, None);
        assert_eq!(read_answer(&failed, "retry"), Some((PromptAnswer::Retry, None)));
        let skip = PromptAnswer::Skip { comment: "disk is being replaced".into() };
        assert_eq!(read_answer(&failed, "skip disk is being replaced"), Some((skip, None)));
        assert_eq!(read_answer(&failed, "done I saw it"), None, "only what was interrupted can turn out done");
        let lost = prompt(PromptKind::Interrupted, None);
        let done = PromptAnswer::ItWasDone { comment: "I saw it".into() };
        assert_eq!(read_answer(&lost, "done I saw it"), Some((done, None)));
        assert_eq!(read_answer(&lost, "retry"), Some((PromptAnswer::Retry, None)));
        assert_eq!(read_answer(&lost, "skip it"), None);
        for line in ["stop", "no"] {
            assert_eq!(read_answer(&failed, line), Some((PromptAnswer::Decline, None)));
            assert_eq!(read_answer(&lost, line), Some((PromptAnswer::Decline, None)));
        }
        assert_eq!(read_answer(&phrase, "n"), Some((PromptAnswer::Decline, None)));
        assert_eq!(read_answer(&confirm, "yes"), Some((PromptAnswer::Proceed, None)));
    }

    #[test]
    fn everything_that_is_offered_is_taken() {
        let phrase = prompt(PromptKind::Confirm, Some("promote bcp 7f3a"));
        assert!(choices(&phrase).contains("`promote bcp 7f3a`"));
        for kind in [PromptKind::Confirm, PromptKind::Failed, PromptKind::Interrupted] {
            let prompt = prompt(kind, None);
            let offered = choices(&prompt);
            let words: Vec<&str> = offered.split('`').skip(1).step_by(2).collect();
            assert!(words.len() >= 2, "{offered}");
            for word in words {
                assert!(read_answer(&prompt, word).is_some(), "{kind:?}: `{word}` is offered, but not taken");
            }
        }
    }
}
