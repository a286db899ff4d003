//! What people ask of a run that goes on: to stop, to wait, to go on, to try again at once, and their answers. It becomes a
//! fact on record; what begins or ends because of it is decided in `decide`, and nothing is started here.

use tokio::time::Instant;

use super::config::EngineError;
use super::dispatcher::Engine;
use crate::model::{CancelReason, SafeText, UnitKey};
use crate::run::{Answer, EventKind, Operator, PromptAnswer, RunCommand, RunPhase};

impl Engine {
    pub(super) async fn command(&mut self, command: RunCommand) -> Result<(), EngineError> {
        if matches!(self.state.phase, RunPhase::Ended(_)) {
            return Ok(());
        }
        match command {
            RunCommand::Cancel { reason, by } => {
                let reason = escalate(self.state.cancel, reason);
                self.record(vec![EventKind::CancelRequested { reason, by }]).await?;
                if reason.stops_running_steps() {
                    for live in self.live.values() {
                        live.cancel.cancel();
                    }
                }
                Ok(())
            }
            RunCommand::Pause { by } => self.record(vec![EventKind::Paused { by }]).await,
            RunCommand::Continue { by } => self.record(vec![EventKind::Continued { by }]).await,
            RunCommand::RetryNow { unit, by } => self.retry_now(unit, &by).await,
            RunCommand::Answer(answer) => self.answer(answer).await,
        }
    }

    /// Ends the pause before the next attempt of a unit; nothing when it is not in such a pause any more.
    async fn retry_now(&mut self, unit: UnitKey, by: &Operator) -> Result<(), EngineError> {
        let Some(due) = self.retries.get_mut(&unit) else { return Ok(()) };
        *due = Instant::now();
        let attempt = self.state.units.get(&unit).map_or(1, |unit| unit.attempts);
        let text = SafeText::block(&format!("{} does not want to wait for the next attempt", by.name));
        self.record(vec![EventKind::UnitSaid { unit, attempt, text }]).await
    }

    /// Takes an answer, unless the question is gone, answered, or wants a phrase that was not typed.
    async fn answer(&mut self, answer: Answer) -> Result<(), EngineError> {
        let Some(asked) = self.state.prompts.get(&answer.prompt).filter(|asked| asked.answer.is_none()) else {
            return Ok(());
        };
        let says_yes = !matches!(answer.answer, PromptAnswer::Decline);
        if says_yes
            && let Some(phrase) = &asked.prompt.phrase
            && answer.typed.as_deref().map(str::trim) != Some(phrase.as_str())
        {
            let unit = asked.prompt.unit.clone();
            let attempt = asked.attempt;
            let text = SafeText::block("a confirmation was refused: what was typed is not the phrase");
            return self.record(vec![EventKind::UnitSaid { unit, attempt, text }]).await;
        }
        self.record(vec![EventKind::PromptAnswered { prompt: answer.prompt, answer: answer.answer, by: answer.by }])
            .await
    }
}

/// A second request of the same kind is more urgent than the first.
pub(super) fn escalate(before: Option<CancelReason>, asked: CancelReason) -> CancelReason {
    let again = match (before, asked) {
        (Some(CancelReason::Signal), CancelReason::Signal) => CancelReason::SignalNow,
        (Some(CancelReason::Operator), CancelReason::Operator) => CancelReason::OperatorNow,
        _ => asked,
    };
    before.map_or(again, |before| before.max(again))
}
