//! Questions that must not be answered by accident.
//!
//! Nothing is chosen when a dialog opens: enter on an empty field does nothing, a paste does nothing, and an enter that
//! comes with the keys before it, faster than fingers, does nothing. Level 1 wants a `y`, level 2 and more a phrase with
//! a nonce of the plan and of what is known of both sites: when that changes, the field is emptied and the change is said.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::facts::{ParamFacts, PlanShown, RunbookFacts};
use super::line::Line;
use crate::model::{CancelReason, RunId, SafeText, UnitKey};
use crate::run::{Prompt, PromptAnswer, PromptId, read_answer};

/// A run to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// The runbook.
    pub runbook: SafeText,
    /// Its parameters, as typed.
    pub params: BTreeMap<String, String>,
    /// The digest of the plan that was confirmed, so that no other one is begun; nothing before there is one.
    pub plan: Option<String>,
}

/// A question or a text over the panes.
#[derive(Debug, Clone)]
pub enum Dialog {
    /// What can be done here.
    Help {
        /// The first line in sight.
        top: u16,
    },
    /// A text to be read.
    Text {
        /// What it is.
        title: SafeText,
        /// The text.
        text: SafeText,
        /// The first line in sight.
        top: u16,
    },
    /// What goes on, for somebody who comes back.
    Card,
    /// The parameters of a runbook.
    Form(Form),
    /// A plan is being made.
    Planning(StartRequest, Purpose),
    /// The plan, and whether it is to be begun.
    Start(Box<Start>),
    /// A question of the run.
    Answer(Answering),
    /// Whether to do something to a run.
    Confirm(Confirm),
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be read.
    Read,
    /// To be begun.
    Start,
}

/// The parameters of a runbook, being filled in.
#[derive(Debug, Clone)]
pub struct Form {
    /// The runbook.
    pub runbook: RunbookFacts,
    /// One field per parameter.
    pub fields: Vec<Line>,
    /// The field that is typed into.
    pub at: usize,
    /// What is wrong with a field.
    pub trouble: Option<SafeText>,
    /// Why what was asked for could not be planned; in sight while it is mended.
    pub failure: Option<SafeText>,
    /// The first line of that in sight.
    pub top: u16,
    /// What for.
    pub purpose: Purpose,
}

impl Form {
    /// A form with the values that hold when nothing is said.
    #[must_use]
    pub fn of(runbook: RunbookFacts, purpose: Purpose) -> Self {
        let fields = runbook.params.iter().map(|param| Line::of(&param.default().unwrap_or_default())).collect();
        Self { runbook, fields, at: 0, trouble: None, failure: None, top: 0, purpose }
    }

    /// A form with what was typed before.
    #[must_use]
    pub fn again(runbook: RunbookFacts, typed: &BTreeMap<String, String>, purpose: Purpose) -> Self {
        let mut form = Self::of(runbook, purpose);
        for (param, field) in form.runbook.params.iter().zip(&mut form.fields) {
            if let Some(text) = typed.get(&param.name) {
                *field = Line::of(text);
            }
        }
        form
    }

    /// The request that was typed.
    ///
    /// # Errors
    /// The first field that is wrong, what was typed there, and what it may be.
    pub fn request(&self) -> Result<StartRequest, (usize, SafeText)> {
        let mut params = BTreeMap::new();
        for (number, (param, field)) in self.runbook.params.iter().zip(&self.fields).enumerate() {
            let (name, text) = (&param.name, field.text().trim());
            let wrong = |why: String| (number, SafeText::line(&why));
            if text.is_empty() && param.rule.default.is_none() {
                return Err(wrong(format!("{name} must be said: {}", param.rule.help)));
            }
            let value = param.rule.read(text).map_err(|why| wrong(format!("{name}: {why}")))?;
            if param.rule.default.as_ref() != Some(&value) {
                params.insert(name.clone(), text.to_owned());
            }
        }
        Ok(StartRequest { runbook: self.runbook.name.clone(), params, plan: None })
    }

    /// The values of the field that is typed into, where only some are possible.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        self.runbook.params.get(self.at).map(ParamFacts::options).unwrap_or_default()
    }

    /// Puts the next of its values into the field that is typed into, or the one before. False where any can be typed.
    pub fn switch(&mut self, back: bool) -> bool {
        let options = self.options();
        let (Some(param), Some(field)) = (self.runbook.params.get(self.at), self.fields.get_mut(self.at)) else {
            return false;
        };
        let count = options.len();
        if count == 0 {
            return false;
        }
        let read = param.rule.read(field.text().trim()).ok();
        let at = param.rule.options().iter().position(|option| Some(option) == read.as_ref());
        let next = match at {
            Some(at) if back => (at + count - 1) % count,
            Some(at) => (at + 1) % count,
            None if back => count - 1,
            None => 0,
        };
        *field = Line::of(&options[next]);
        true
    }
}

/// A gate: what must be typed, and what has been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// What must be typed.
    pub phrase: SafeText,
    /// What has been typed.
    pub typed: Line,
    /// Why it is not open, or what has changed meanwhile.
    pub note: Option<SafeText>,
}

impl Gate {
    /// A gate for a level: `y`, or a phrase with the nonce.
    #[must_use]
    pub fn of(level: u8, verb: &str, object: &str, nonce: &str) -> Self {
        let phrase = if level < 2 { "y".to_owned() } else { format!("{verb} {object} {nonce}") };
        Self { phrase: SafeText::line(&phrase), typed: Line::default(), note: None }
    }

    /// True when exactly the phrase was typed.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.typed.text().trim() == self.phrase.as_str()
    }
}

/// A plan that is to be begun.
#[derive(Debug, Clone)]
pub struct Start {
    /// What is asked for.
    pub request: StartRequest,
    /// The runbook.
    pub runbook: RunbookFacts,
    /// The plan.
    pub plan: PlanShown,
    /// The gate.
    pub gate: Gate,
    /// What the nonce was made of, to say what has changed.
    pub observed: String,
    /// What has changed since it was opened; stays in sight while the new phrase is typed.
    pub changed: Option<SafeText>,
    /// The first line of the plan in sight.
    pub top: u16,
    /// When it was opened.
    pub opened: Timestamp,
}

/// A question of the run, being answered.
#[derive(Debug, Clone)]
pub struct Answering {
    /// Which, and what it was put before.
    pub standing: Standing,
    /// What has been typed.
    pub typed: Line,
    /// Why that was no answer.
    pub note: Option<SafeText>,
    /// The first line in sight of what is said of it.
    pub top: u16,
}

impl Answering {
    /// The question as it was just opened.
    #[must_use]
    pub fn new(prompt: PromptId, observed: String) -> Self {
        let standing = Standing { prompt, observed, changed: None };
        Self { standing, typed: Line::default(), note: None, top: 0 }
    }
}

/// What a question of the run stands before: both sites as they were known when it came into sight. The run's own phrase
/// stands for its plan and the question; it cannot know what is seen here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which question.
    pub prompt: PromptId,
    /// What is known of both sites.
    pub observed: String,
    /// What of that has changed since. From then on another phrase is wanted.
    pub changed: Option<SafeText>,
}

impl Standing {
    /// Takes what is known now. True when it is not what was known before.
    pub fn look(&mut self, observed: &str) -> bool {
        if self.observed == observed {
            return false;
        }
        self.changed = Some(SafeText::line(&format!("it was {}; now it is {observed}", self.observed)));
        observed.clone_into(&mut self.observed);
        true
    }

    /// The question with the phrase that it wants now.
    #[must_use]
    pub fn asked(&self, prompt: &Prompt) -> Prompt {
        let mut asked = prompt.clone();
        if let (Some(own), Some(_)) = (&prompt.phrase, &self.changed) {
            let words = own.as_str().rsplit_once(' ').map_or("", |(words, _)| words);
            let renewed = format!("{words} {}", nonce(own.as_str(), &self.observed));
            asked.phrase = Some(SafeText::line(&renewed));
        }
        asked
    }

    /// The answer that a typed line is, if it is one; with the phrase that the run itself knows, when it wants one.
    #[must_use]
    pub fn read(&self, prompt: &Prompt, line: &str) -> Option<(PromptAnswer, Option<String>)> {
        let (answer, typed) = read_answer(&self.asked(prompt), line)?;
        Some((answer, typed.and(prompt.phrase.as_ref().map(ToString::to_string))))
    }
}

/// What is to be done to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Stop it.
    Cancel(CancelReason),
    /// Begin nothing new.
    Pause,
    /// Go on after a pause.
    Continue,
    /// Take it up again.
    Resume(RunId),
    /// Do not wait for the end of the pause before the next attempt of this.
    RetryNow(UnitKey),
}

/// Whether to do something to a run.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// What.
    pub deed: Deed,
    /// The question.
    pub question: SafeText,
    /// What follows from it.
    pub consequences: Vec<SafeText>,
    /// The gate.
    pub gate: Gate,
    /// What its phrase stands for, where it wants one.
    pub stands: Option<Stands>,
    /// The first line in sight of what follows.
    pub top: u16,
}

/// What the phrase of a question about a run stands for: the run's plan, and what is known of both sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stands {
    /// The first word of the phrase.
    pub verb: &'static str,
    /// The second, a site.
    pub object: String,
    /// The digest of the plan.
    pub digest: String,
    /// What was known of both sites.
    pub observed: String,
    /// What of that has changed since the question was put.
    pub changed: Option<SafeText>,
}

impl Stands {
    /// The gate that wants its phrase.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate::of(2, self.verb, &self.object, &nonce(&self.digest, &self.observed))
    }
}

impl Confirm {
    /// A question of level 1: what follows is in sight, and a `y` does it.
    #[must_use]
    pub fn easy(deed: Deed, question: &str, consequences: &[&str]) -> Dialog {
        let consequences = consequences.iter().map(|text| SafeText::line(text)).collect();
        Dialog::Confirm(Self {
            deed,
            question: SafeText::line(question),
            consequences,
            gate: Gate::of(1, "", "", ""),
            stands: None,
            top: 0,
        })
    }
}

/// Four letters that stand for a plan and for what is known of both sites.
#[must_use]
pub fn nonce(digest: &str, observed: &str) -> String {
    blake3::hash(format!("{digest}\n{observed}").as_bytes()).to_hex()[..4].to_owned()
}
