//! What changed between the plan of an interrupted run and the same runbook planned today.

use crate::model::SafeText;
use crate::runbook::Plan;

/// One difference, in words.
pub type Change = SafeText;

/// The differences between the plan that a run was started with and today's. A resumed run carries out the old plan;
/// the person who resumes it must see how it differs from what they might expect.
#[must_use]
pub fn what_changed(then: &Plan, now: &Plan) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut say = |text: String| changes.push(SafeText::block(&text));
    if then.direction != now.direction {
        say(format!("the run goes {}, but the direction is now {}", then.direction, now.direction));
    }
    for step in then.steps() {
        match now.step(&step.key) {
            None => say(format!("step {} is no longer in the runbook; the run still has it", step.key)),
            Some(today) if today != step => {
                say(format!("step {} is different in the runbook today; the run keeps its own", step.key));
            }
            Some(_) => {}
        }
    }
    for step in now.steps().filter(|step| then.step(&step.key).is_none()) {
        say(format!("step {} is new in the runbook; the run does not have it", step.key));
    }
    changes
}
