//! The operator who is not there: goes through the entries of an answers file, one after another, as they see what
//! each of them waits for. A value that is told what happens; it knows no clock and acts on nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Act, AnswerEntry, Answers, When};
use crate::run::{Event, EventKind, Prompt, PromptId};

/// What is left of an answers file, and what its operator has seen since they did something last.
#[derive(Debug, Default)]
pub struct Script {
    entries: VecDeque<AnswerEntry>,
    /// When the operator did something last.
    acted: Duration,
    seen: BTreeMap<&'static str, Duration>,
    open: BTreeMap<PromptId, (Duration, Prompt)>,
}

const BEGINS: &str = "begins";
const TOLD: &str = "told";
const FAILED: &str = "failed";
const ENDED: &str = "ended";
const LOST: &str = "lost";
const SAID: &str = "said";

impl Script {
    /// The operator of an answers file.
    #[must_use]
    pub fn new(answers: Answers) -> Self {
        Self { entries: answers.answers.into(), ..Self::default() }
    }

    /// The story begins.
    pub fn begins(&mut self, at: Duration) {
        self.acted = at;
        self.see(BEGINS, at);
    }

    /// Something happened in a run.
    pub fn event(&mut self, at: Duration, event: &Event) {
        match &event.kind {
            EventKind::UnitSaid { text, .. } => {
                if let Some(AnswerEntry { when: When::Says(words), .. }) = self.entries.front()
                    && text.as_str().contains(words)
                {
                    self.see(SAID, at);
                }
            }
            EventKind::UnitEnded { outcome, retry_after, .. } if outcome.failure().is_some() => {
                self.see(TOLD, at);
                if retry_after.is_none() {
                    self.see(FAILED, at);
                }
            }
            EventKind::PromptOpened { prompt } => {
                self.see(TOLD, at);
                self.open.insert(prompt.id, (at, prompt.clone()));
            }
            EventKind::PromptAnswered { prompt, .. } => drop(self.open.remove(prompt)),
            EventKind::RunEnded { .. } => self.open.clear(),
            _ => {}
        }
    }

    /// A run has ended, and nothing of it goes on.
    pub fn run_ended(&mut self, at: Duration, well: bool) {
        self.open.clear();
        self.see(ENDED, at);
        if !well {
            self.see(LOST, at);
            self.see(TOLD, at);
        }
    }

    /// When the next thing is to be done, as far as can be said now.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let next = self.entries.front()?;
        let seen = match &next.when {
            When::Begins => self.seen.get(BEGINS).copied(),
            When::Told => self.seen.get(TOLD).copied(),
            When::Failed => self.seen.get(FAILED).copied(),
            When::RunEnded => self.seen.get(ENDED).copied(),
            When::RunFailed => self.seen.get(LOST).copied(),
            When::Says(_) => self.seen.get(SAID).copied(),
            When::Asked => self.open.values().next().map(|(at, _)| *at),
        };
        Some(seen?.max(self.acted) + next.think.0)
    }

    /// What is to be done now, if anything.
    pub fn take(&mut self, now: Duration) -> Option<Act> {
        self.due().filter(|due| *due <= now)?;
        self.seen.clear();
        self.acted = now;
        self.entries.pop_front().map(|entry| entry.act)
    }

    /// The question that an answer would be to.
    #[must_use]
    pub fn question(&self) -> Option<&Prompt> {
        self.open.values().next().map(|(_, prompt)| prompt)
    }

    /// True when nothing is left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.entries.is_empty()
    }

    fn see(&mut self, what: &'static str, at: Duration) {
        self.seen.entry(what).or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, FailureKind, Outcome, Span, UnitKey};
    use crate::run::PromptKind;
    use crate::runbook::GuardLevel;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn script(entries: &[(When, u64, Act)]) -> Script {
        let entry = |(when, think, act): &(When, u64, Act)| AnswerEntry {
            when: when.clone(),
            think: Span::seconds(*think),
            act: act.clone(),
        };
        Script::new(Answers { answers: entries.iter().map(entry).collect() })
    }

    fn event(kind: EventKind) -> Event {
        Event { seq: 2, at: jiff::Timestamp::UNIX_EPOCH, elapsed_ms: 0, kind }
    }

    fn unit() -> UnitKey {
        UnitKey::try_from("s/a@prod".to_owned()).expect("a unit")
    }

    fn failed(retry: bool) -> Event {
        let failure = Failure::new(FailureKind::Unreachable, "x", "y");
        event(EventKind::UnitEnded {
            unit: unit(),
            attempt: 1,
            outcome: Outcome::Failed { failure },
            captures: serde_json::Map::new(),
            retry_after: retry.then(|| Span::seconds(2)),
        })
    }

    fn asked(id: u32) -> Event {
        event(EventKind::PromptOpened {
            prompt: Prompt {
                id: PromptId(id),
                unit: unit(),
                kind: PromptKind::Failed,
                message: "?".into(),
                level: GuardLevel::Reversible,
                phrase: None,
            },
        })
    }

    #[test]
    fn each_entry_waits_for_what_it_sees_and_thinks() {
        let mut script =
            script(&[(When::Failed, 30, Act::Cancel), (When::RunEnded, 10, Act::Resume), (When::Told, 0, Act::Cancel)]);
        script.begins(second(100));
        assert_eq!(script.due(), None);
        script.event(second(105), &failed(true));
        assert_eq!(script.due(), None, "it is tried again");
        script.event(second(110), &failed(false));
        script.event(second(111), &failed(false));
        assert_eq!(script.due(), Some(second(140)));
        assert_eq!(script.take(second(139)), None);
        assert_eq!(script.take(second(140)), Some(Act::Cancel));
        assert_eq!(script.due(), None);
        script.run_ended(second(150), false);
        assert_eq!(script.take(second(160)), Some(Act::Resume));
        // What was told before the resumption is not news.
        assert_eq!((script.due(), script.is_over()), (None, false));
        script.event(second(161), &failed(true));
        assert_eq!(script.take(second(161)), Some(Act::Cancel));
        assert!(script.is_over());
    }

    #[test]
    fn an_open_question_counts_however_old_it_is() {
        let answer = || Act::Answer("retry".to_owned());
        let mut script = script(&[(When::Asked, 5, answer()), (When::Asked, 5, answer())]);
        script.event(second(1), &asked(3));
        script.event(second(2), &asked(4));
        assert_eq!(script.take(second(6)), Some(answer()));
        let closed = EventKind::PromptAnswered {
            prompt: PromptId(3),
            answer: crate::run::PromptAnswer::Retry,
            by: crate::run::Operator { name: "x".into(), through: "y".into() },
        };
        script.event(second(6), &event(closed));
        assert_eq!(script.question().map(|prompt| prompt.id), Some(PromptId(4)));
        assert_eq!(script.due(), Some(second(11)));
        script.run_ended(second(7), true);
        assert_eq!(script.due(), None, "nobody asks any more");
    }
}
