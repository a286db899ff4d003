//! What is typed at the console without a screen: commands, and the answers to its questions.

use std::time::{Duration, Instant};

use super::Talker;
use crate::cli::status::changed;
use crate::console::action::Action;
use crate::console::dialog::{Dialog, Gate, Purpose, Standing};
use crate::console::{Effect, Msg};
use crate::model::SafeText;
use crate::run::{Answer, RunCommand, choices, explain};

/// A line that comes so soon after the one before, or after the question, was not typed as an answer to it.
const TOO_FAST: Duration = Duration::from_millis(300);

/// What is said of such a line.
const TOO_FAST_SAID: &str = "that came faster than fingers, and was dropped: it must be typed";

const HELP: &str = "\
help             this list
sites            how both sites are, and what the pair can do
runs             the last runs
runbooks         what can be done
plan NAME [P=V]  what a runbook would do; changes nothing
run NAME [P=V]   begins it, after a question
answer WORDS     answers what the run asks
why STEP         why a step of the run is not running, or how it ended
stop             stops the run, after a question; pause and continue likewise
no               gives a question up
quit             leaves; a run goes on";

impl Talker<'_> {
    /// A typed line.
    pub(super) fn line(&mut self, line: &str) {
        let fast = self.typed_at.elapsed() < TOO_FAST;
        self.typed_at = Instant::now();
        if let Some((phrase, since)) = self.asked.clone() {
            return match line {
                "no" => self.give_up(),
                "" => self.say("ASK", &format!("an empty line does nothing: type {phrase}, or no")),
                _ if fast || since.elapsed() < TOO_FAST => {
                    self.say("ASK", TOO_FAST_SAID);
                }
                _ => self.type_in(line),
            };
        }
        let mut words = line.split_whitespace();
        let (command, argument) = (words.next().unwrap_or_default(), words.next());
        match (command, argument) {
            ("", _) => {}
            ("help", _) => self.say("", HELP),
            ("quit", _) => self.left = true,
            ("no", _) => self.give_up(),
            ("sites", _) => self.sites(),
            ("runs", _) => self.runs(),
            ("runbooks", _) => {
                let lines = self.state.runbooks.iter().map(|book| format!("{}: {}\n", book.name, book.title));
                let text: String = lines.collect();
                self.say("", &text);
            }
            ("why", Some(step)) => self.why(step),
            ("plan", Some(name)) => self.plan(name, words, Purpose::Read),
            ("run" | "answer" | "stop" | "pause" | "continue", _) if !self.may_change => {
                self.say("WARN", "here can only be looked: it was opened so, or nobody can be asked at this input");
            }
            ("run", Some(name)) => self.plan(name, words, Purpose::Start),
            ("answer", _) if fast || self.prompted.as_ref().is_some_and(|(_, since)| since.elapsed() < TOO_FAST) => {
                self.say("ASK", TOO_FAST_SAID);
            }
            ("answer", _) => self.answer(line.strip_prefix("answer").unwrap_or_default()),
            ("stop", None) => self.feed(Msg::Act(Action::CancelRun)),
            ("pause", None) => self.feed(Msg::Act(Action::PauseRun)),
            ("continue", None) => self.feed(Msg::Act(Action::ContinueRun)),
            _ => self.say("", &format!("that is none of the commands: {}; `help` lists them", SafeText::line(line))),
        }
    }

    fn give_up(&mut self) {
        let asked = self.state.dialog.take().is_some();
        self.asked = None;
        self.say("", if asked { "given up: nothing was done" } else { "nothing is asked" });
    }

    /// Types into the field of the open question; its gate decides.
    fn type_in(&mut self, line: &str) {
        self.feed(Msg::Line(line.to_owned()));
        if let Some(note) = self.gate().and_then(|gate| gate.note.take()) {
            self.say("ASK", note.as_str());
        }
    }

    fn gate(&mut self) -> Option<&mut Gate> {
        match &mut self.state.dialog {
            Some(Dialog::Start(start)) => Some(&mut start.gate),
            Some(Dialog::Confirm(confirm)) => Some(&mut confirm.gate),
            _ => None,
        }
    }

    fn plan<'w>(&mut self, name: &str, words: impl Iterator<Item = &'w str>, purpose: Purpose) {
        let mut params = Vec::new();
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                return self.say("WARN", &format!("{} is no parameter, with = and a value", SafeText::line(word)));
            };
            params.push((name.to_owned(), value.to_owned()));
        }
        self.feed(Msg::Ask(name.to_owned(), params, purpose));
        if matches!(self.state.dialog, Some(Dialog::Planning(..))) {
            self.say("", "asking both sites what it would do");
        }
    }

    fn answer(&mut self, words: &str) {
        let prompt = self.state.run.as_ref().filter(|run| run.live).and_then(|run| run.state.open_prompts().next());
        let Some(prompt) = prompt.cloned() else {
            if let Some(run) = self.state.waits_elsewhere().map(|row| row.run.clone()) {
                self.say(
                    "ASK",
                    &format!("{run} waits for you and was not in sight: read what it asks, then answer it"),
                );
            }
            // Brings it into sight, or says that none asks.
            return self.feed(Msg::Act(Action::Answer));
        };
        let standing = self.prompted.as_ref().map(|(standing, _)| standing).filter(|stands| stands.prompt == prompt.id);
        let standing = standing.cloned().unwrap_or_else(|| Standing {
            prompt: prompt.id,
            observed: self.state.observed(),
            changed: None,
        });
        let Some((answer, typed)) = standing.read(&prompt, words) else {
            let choices = choices(&standing.asked(&prompt));
            return self.say("ASK", &format!("that is no answer: {choices}"));
        };
        let by = self.state.by.clone();
        self.act(Effect::Command(RunCommand::Answer(Answer { prompt: prompt.id, answer, typed, by })));
    }

    fn why(&mut self, step: &str) {
        let why = self.state.run.as_ref().and_then(|run| {
            let key = run
                .state
                .plan
                .steps()
                .map(|planned| &planned.key)
                .find(|key| key.to_string() == step || key.step.as_str() == step)?;
            Some(explain(&run.state, key))
        });
        self.say("", why.unwrap_or_else(|| SafeText::line("the run in sight has no such step")).as_str());
    }

    fn runs(&mut self) {
        let rows = self.state.runs.iter().take(10);
        let lines: Vec<String> =
            rows.map(|row| format!("{} {} {}: {}", row.run, row.runbook, row.direction, row.word)).collect();
        self.say("", if lines.is_empty() { "there are no runs yet".to_owned() } else { lines.join("\n") }.as_str());
    }

    fn sites(&mut self) {
        let now = self.state.now;
        let mut lines = Vec::new();
        for site in &self.state.estate.sites {
            lines.push(format!("{}: {}", site.name, self.state.health.site(&site.name, now).word()));
            let probes = self.state.health.probes().iter().filter(|(key, _)| key.site == site.name);
            lines.extend(probes.map(|(key, probe)| changed(key, probe, None, now)));
        }
        if let Some(direction) = &self.state.direction.direction {
            let objectives = crate::estate::Objectives { rpo: self.state.estate.rpo, ..Default::default() };
            lines.push(crate::health::takeover(&self.state.health, direction, now, &objectives).1.to_string());
        }
        self.say("", &lines.join("\n"));
    }
}
