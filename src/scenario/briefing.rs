//! What an operator is told before a story begins: what the site is, what to watch, what counts, and how it ends. It does
//! not give away what breaks.

use super::{DecidedBy, DoneBy, Scenario};
use crate::model::Span;
use crate::world::Spec;

/// The briefing of a scenario, as text. `times` is how many times as fast as the operator's the story's clock goes.
#[must_use]
pub fn briefing(scenario: &Scenario, times: f64) -> String {
    let spec = scenario.spec(0);
    let [source, target] = Spec::sites();
    let users = spec.write_every.map_or_else(
        || format!("Nobody uses {source} just now."),
        |every| format!("Its users place an order every {}.", Span(every)),
    );
    let told = scenario.briefing.trim().replace('\n', " ");
    let decided = match &scenario.counts.decided {
        DecidedBy::Acted => "when you then ask for a plan, or do something that has an effect",
        DecidedBy::Started => "when you then ask for a plan, start a runbook or resume a run",
        DecidedBy::Retried | DecidedBy::Says(_) => "when you then plan or act, or see the program go on trying",
    };
    let done = match scenario.counts.done {
        DoneBy::Copied => format!("when a run has put a whole copy into {target}"),
        DoneBy::Serves => format!("when {target} serves a whole copy and is well"),
        DoneBy::Safe => format!("when nothing runs any more and {target} holds one whole copy"),
    };
    let speed = if (times - 1.0).abs() < 0.01 {
        "as fast as yours".to_owned()
    } else {
        format!("{times} times as fast as yours")
    };
    format!(
        "You are on call. {source} serves a shop, {target} is its standby. {users} {told}\n\n\
         `{}` is about to begin. Something will break: find out what, and act.\n\n\
         watch    both sites in pane 1, the run in 3, its log in 4\n\
         noticed  when you press a key once a pane shows it, or say it: `:note`\n\
         decided  {decided}\n\
         done     {done}\n\
         ends     when it is done, or after {}; q leaves before\n\n\
         At the end there is a card: how long each of these took, what was lost\n\
         against the best that was possible, and what was in vain.\n\n\
         Enter starts the clock. It goes {speed}.",
        scenario.runs, scenario.ends_after
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{SHIPPED, examine, shipped};

    #[test]
    fn it_says_what_counts_and_gives_nothing_away() {
        let runbooks: Vec<&str> = crate::runbook::SHIPPED.iter().map(|(name, _)| *name).collect();
        for (name, _) in SHIPPED {
            let source = shipped(name).expect("it is shipped");
            let (scenario, _) = examine(&source, &runbooks).into_result().expect("a good scenario");
            let text = briefing(&scenario, 4.0);
            assert!(!scenario.briefing.is_empty(), "{name} has no briefing of its own");
            for words in ["prod serves a shop", "noticed  when", "decided  when", "done     when", "4 times as fast"] {
                assert!(text.contains(words), "{name} lacks {words:?}:\n{text}");
            }
            assert!(text.contains(&format!("or after {}", scenario.ends_after)), "{text}");
            for given_away in [scenario.title.as_str(), scenario.help.trim(), name] {
                assert!(!text.contains(given_away), "{name} gives away {given_away:?}:\n{text}");
            }
        }
    }
}
