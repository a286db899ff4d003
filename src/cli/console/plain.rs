//! The console without a screen, for screen readers and dumb terminals: lines that say what has changed, and commands
//! that are typed. No cursor is moved, nothing is coloured, nothing is written twice.
//!
//! State, messages and gates are those of the screen: a question wants here what it wants there, in front of the same
//! plan. Events of a run go through the reporter of `run --output plain`, verdicts are told as by `status --watch`.

mod typed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::ground::{Ground, Order};
use super::open::Looking;
use super::screen::Leave;
use super::signals::Ends;
use crate::cli::conduct::{next_line, terminal_lines};
use crate::cli::output::{Flushed, program};
use crate::cli::status::changed;
use crate::cli::{App, CliError, Exit};
use crate::console::dialog::{Dialog, Standing};
use crate::console::{Effect, Msg, State, update};
use crate::health::{ProbeKey, Verdict};
use crate::journal::Store;
use crate::model::{RunId, SafeText};
use crate::report::{Advice, Listener, Plain};
use crate::run::{Event, Prompt, RunState, choices};

/// Tells and listens until it is left.
///
/// # Errors
/// When nothing can be printed.
pub(in crate::cli) async fn talk(app: &mut App, state: State, ground: Ground) -> Result<Leave, CliError> {
    let Ground { mut tells, orders, store, own_time, .. } = ground;
    let cannot_hear = |error| CliError::new(Exit::Failed, format!("signals cannot be heard: {error}"));
    let mut ends = Ends::hear().map_err(cannot_hear)?;
    let (told, mut news) = mpsc::unbounded_channel();
    let mut lines = Some(terminal_lines());
    let (program, may_change) = (program(app), app.io.is_interactive && !state.read_only);
    let head = format!("{} {}: `help` lists what can be typed", state.world(), state.estate.name);
    let mut talker = Talker {
        state,
        orders,
        store,
        told,
        program,
        may_change,
        looking: None,
        paper: Box::new(Plain::new(Flushed(&mut app.io.out))),
        verdicts: BTreeMap::new(),
        asked: None,
        prompted: None,
        direction: String::new(),
        typed_at: Instant::now(),
        left: false,
    };
    talker.say("", &head);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !talker.left {
        tokio::select! {
            biased;
            signal = ends.next() => return Ok(Leave::ended(&talker.state, signal)),
            Some(msg) = news.recv() => talker.feed(msg),
            Some(msg) = tells.recv() => talker.feed(msg),
            line = next_line(&mut lines), if lines.is_some() => match line {
                Some(line) => talker.line(line.trim()),
                None => break,
            },
            _ = second.tick() => talker.second(own_time),
        }
    }
    Ok(Leave::quietly(&talker.state))
}

struct Talker<'a> {
    state: State,
    orders: mpsc::UnboundedSender<Order>,
    store: Store,
    told: mpsc::UnboundedSender<Msg>,
    program: String,
    /// False where nobody can be asked, and where it was opened only to look.
    may_change: bool,
    looking: Option<Looking>,
    paper: Box<dyn Listener + 'a>,
    /// The verdicts that were told.
    verdicts: BTreeMap<ProbeKey, Verdict>,
    /// What the open question wants, and since when it is in sight.
    asked: Option<(SafeText, Instant)>,
    /// The question of the run that `answer` means, and since when it is that one.
    prompted: Option<(Standing, Instant)>,
    direction: String,
    typed_at: Instant,
    left: bool,
}

impl Talker<'_> {
    fn say(&mut self, word: &'static str, text: &str) {
        self.paper.remark(self.state.now, word, text);
    }

    fn second(&mut self, own_time: bool) {
        if !own_time {
            self.feed(Msg::Tick(Timestamp::now()));
        }
        // What nobody has looked at for long is not known any more, without anything being told.
        let known: Vec<ProbeKey> = self.verdicts.keys().cloned().collect();
        for key in &known {
            self.verdict(key);
        }
        if let Some(run) = self.state.run.as_ref().filter(|run| run.live) {
            self.paper.tick(self.state.now, &run.state);
        }
    }

    /// Changes the state, and tells what has changed for whoever listens.
    fn feed(&mut self, msg: Msg) {
        let about = msg.clone();
        for effect in update(&mut self.state, msg) {
            self.act(effect);
        }
        match about {
            Msg::Health(look) => self.verdict(&look.key),
            Msg::Direction(_) => self.directed(),
            Msg::Runs(_) => self.watch_what_goes_on(),
            Msg::Opened { run, events, live: true } => self.opened(&run, &events),
            Msg::Event(run, event) => {
                if let Some(view) = self.state.run.as_ref().filter(|view| view.id == run) {
                    self.paper.event(&event, &view.state);
                }
            }
            Msg::Ended(run, None) => {
                if let Some(view) = self.state.run.as_ref().filter(|view| view.id == run) {
                    let folder = self.store.folder_of(&run);
                    let advice = Advice { program: self.program.clone(), folder, can_be_resumed: true };
                    self.paper.finish(&view.state, &advice);
                }
            }
            _ => {}
        }
        // It is taken away once it is told: the same told again is news again.
        if let Some(notice) = self.state.notice.take() {
            self.say(if notice.bad { "WARN" } else { "" }, notice.text.as_str());
        }
        let prompt = self.state.run.as_ref().filter(|run| run.live).and_then(|run| run.state.open_prompts().next());
        self.stand_before(prompt.cloned());
        self.ask();
    }

    /// Notes what is known of both sites when a question comes; says so when that changes before it is answered, and
    /// what must be typed from then on.
    fn stand_before(&mut self, prompt: Option<Prompt>) {
        let observed = self.state.observed();
        let Some(prompt) = prompt else {
            self.prompted = None;
            return;
        };
        let before = self.prompted.take().filter(|(standing, _)| standing.prompt == prompt.id);
        let (mut standing, mut since) = before.unwrap_or_else(|| {
            (Standing { prompt: prompt.id, observed: observed.clone(), changed: None }, Instant::now())
        });
        if prompt.phrase.is_some() && standing.look(&observed) {
            since = Instant::now();
            let changed = standing.changed.clone().unwrap_or_default();
            let choices = choices(&standing.asked(&prompt));
            self.say("ASK", &format!("something has changed since the question came: {changed}\n{choices}"));
        }
        self.prompted = Some((standing, since));
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Quit { .. } => self.left = true,
            Effect::Refresh => drop(self.orders.send(Order::Refresh)),
            Effect::Plan(request) => drop(self.orders.send(Order::Plan(request))),
            Effect::Start(request) => drop(self.orders.send(Order::Start(request))),
            Effect::Resume(run) => drop(self.orders.send(Order::Resume(run))),
            Effect::Open(run) => self.looking = Some(Looking::at(self.store.clone(), run, self.told.clone())),
            Effect::Detach => self.looking = None,
            Effect::Command(command) => match &self.looking {
                Some(looking) => looking.command(command),
                None => self.say("WARN", "no run is attached"),
            },
            Effect::Call(_) => self.say("ASK", "it is answered with `answer` and the words of the answer"),
            // Of a screen: there is none.
            Effect::Suspend
            | Effect::Redraw
            | Effect::Lines(_)
            | Effect::Copy(_)
            | Effect::SaveLog(..)
            | Effect::SaveOutput(..)
            | Effect::SaveOutputs(..)
            | Effect::Picture(..)
            | Effect::Theme(_)
            | Effect::Mouse(_)
            | Effect::Title(_)
            | Effect::Story(_) => {}
        }
    }

    /// A verdict that is another one than was told. That something is well is no news at the first look.
    fn verdict(&mut self, key: &ProbeKey) {
        let now = self.state.now;
        let Some(probe) = self.state.health.probes().get(key) else { return };
        let verdict = probe.verdict(now);
        let before = self.verdicts.insert(key.clone(), verdict);
        if before == Some(verdict) || (before.is_none() && verdict == Verdict::Up) {
            return;
        }
        let text = changed(key, probe, before, now);
        self.say(if verdict == Verdict::Up { "OK" } else { "HEALTH" }, &text);
    }

    fn directed(&mut self) {
        let facts = &self.state.direction;
        let epoch = facts.epoch.map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
        let goes = facts.direction.as_ref().map(|direction| format!("{direction}{epoch}"));
        let said: Vec<String> = goes.into_iter().chain(facts.trouble.as_ref().map(ToString::to_string)).collect();
        let said = said.join("; ");
        if self.direction != said {
            self.direction.clone_from(&said);
            self.say("", &format!("direction: {said}"));
        }
    }

    /// A run that somebody else has begun is told of too, also while one that is over is still in sight. (Where none is,
    /// `update` opens it.)
    fn watch_what_goes_on(&mut self) {
        let over = self.state.run.as_ref().filter(|view| !view.live);
        if let Some(run) = self.state.alive().map(|row| row.run.clone())
            && over.is_some_and(|view| view.id != run)
        {
            self.act(Effect::Open(run));
        }
    }

    /// What a run has told before it was looked at.
    fn opened(&mut self, run: &RunId, events: &[Arc<Event>]) {
        let Some((first, rest)) = events.split_first() else { return };
        self.say("", &format!("{run} goes on; so far:"));
        let Ok(mut state) = RunState::create(first) else { return };
        self.paper.event(first, &state);
        for event in rest {
            if state.apply(event).is_err() {
                return;
            }
            self.paper.event(event, &state);
        }
    }

    /// Tells a question once, and again when what it wants has changed.
    fn ask(&mut self) {
        let (phrase, text) = match &self.state.dialog {
            Some(Dialog::Start(start)) => {
                // Hundreds of commands before a question are no help to who listens; `plan` tells them.
                let mut lines: Vec<String> = start.plan.text.as_str().lines().take(2).map(str::to_owned).collect();
                let (known, unknown) = (&start.plan.losses, &start.plan.unknown_losses);
                lines.extend(known.iter().map(|loss| format!("is lost: {loss}")));
                lines.extend(
                    unknown.iter().map(|step| format!("is lost: what cannot be known before it begins: {step}")),
                );
                if known.is_empty() && unknown.is_empty() {
                    lines.push("is lost: nothing, as both sites are now".to_owned());
                }
                lines.extend(start.plan.findings.iter().map(|finding| format!("to know: {finding}")));
                lines.extend(start.changed.iter().map(|changed| format!("has changed: {changed}")));
                let (badge, name) = (self.state.badge_words(), &start.runbook.name);
                lines.push(format!("{badge}: begin {name}? (`plan {name}` tells every command of it)"));
                (start.gate.phrase.clone(), lines.join("\n"))
            }
            Some(Dialog::Confirm(confirm)) => {
                let lines: Vec<&str> =
                    [&confirm.question].into_iter().chain(&confirm.consequences).map(SafeText::as_str).collect();
                (confirm.gate.phrase.clone(), lines.join("\n"))
            }
            Some(Dialog::Text { title, text, .. }) => {
                let text = format!("{title}\n{text}");
                self.state.dialog = None;
                self.say("", &text);
                self.asked = None;
                return;
            }
            // Only what could not be planned comes back as a form: its parameters are typed anew.
            Some(Dialog::Form(form)) => {
                let failure = form.failure.as_ref().map_or("", SafeText::as_str);
                let text = format!("{} was given up\n{failure}", form.runbook.name);
                self.state.dialog = None;
                self.say("WARN", &text);
                self.asked = None;
                return;
            }
            // What is planned anew is asked anew.
            Some(Dialog::Planning(..)) => {
                self.asked = None;
                return;
            }
            Some(Dialog::Help { .. } | Dialog::Card | Dialog::Answer(_)) => {
                self.state.dialog = None;
                self.asked = None;
                return;
            }
            None => {
                self.asked = None;
                return;
            }
        };
        if self.asked.as_ref().is_none_or(|(asked, _)| *asked != phrase) {
            self.say("ASK", &format!("{text}\nTo do it, type {phrase} and then enter; `no` gives it up."));
            self.asked = Some((phrase, Instant::now()));
        }
    }
}
