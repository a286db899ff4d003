//! Every screen there is, by name, and the same with names from outside that mean to deceive.

use std::sync::Arc;

use super::made::*;
use crate::console::dialog::{Dialog, Purpose};
use crate::console::facts::DirectionFacts;
use crate::console::log::Lines;
use crate::console::story::StoryNews;
use crate::console::{Msg, Pane, State, update};
use crate::health::Condition;
use crate::model::SafeText;
use crate::run::sample;
use crate::run::{Event, EventKind, PromptKind};

/// Every pane, alone and beside others, every detail and everything that can be over them.
pub fn every() -> Vec<(&'static str, State)> {
    let mut all = questions();
    all.extend(texts());
    all.extend(whole());
    let names = ["sites", "runbooks", "run", "log", "runs", "points"];
    all.extend(names.into_iter().zip(panes()).map(|(name, (title, state))| {
        assert_eq!(name, title);
        (name, state)
    }));
    all
}

fn whole() -> Vec<(&'static str, State)> {
    let mut stuck = with_run(unknown(), false);
    trouble(&mut stuck);
    let beside = |pane| {
        let mut state = with_run(running(), true);
        state.go(pane);
        state
    };
    let mut detail = full();
    trouble(&mut detail);
    press(&mut detail, "l enter");
    let mut replay = with_run(done(), false);
    press(&mut replay, "v ] ] ] ]");
    let mut output = beside(Pane::Log);
    press(&mut output, "o");
    let lines = Lines {
        source: output.log.asked().cloned(),
        total: 2,
        counted: true,
        lines: ["index shop-1 [7/36]", "index shop-2 [8/36]"].map(|text| SafeText::line(text).into()).to_vec(),
        ..Lines::default()
    };
    update(&mut output, Msg::Lines(Box::new(lines)));
    vec![
        ("whole", beside(Pane::Run)),
        ("whole_trouble", stuck),
        ("whole_runbooks", beside(Pane::Runbooks)),
        ("whole_runs", beside(Pane::Runs)),
        ("whole_points", beside(Pane::Points)),
        ("whole_drill", with_run(rehearsal(running()), true)),
        ("detail", detail),
        ("output", output),
        ("replay", replay),
        ("tour", super::tour::at_stop(3)),
        ("story", super::story::playing()),
    ]
}

fn questions() -> Vec<(&'static str, State)> {
    let mut form = full();
    form.go(Pane::Runbooks);
    press(&mut form, "G s");
    typed(&mut form, "p-2026", 100);
    let mut planning = full();
    planning.go(Pane::Runbooks);
    press(&mut planning, "s");
    let mut start_2 = start_dialog("restore");
    typed(&mut start_2, "restore bcp", 100);
    let mut answer = with_run(asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a")), true);
    press(&mut answer, "a r e s");
    let mut cancel = with_run(running(), true);
    press(&mut cancel, "x");
    let mut resume = with_run(failed(), false);
    press(&mut resume, "R");
    vec![
        ("form", form),
        ("planning", planning),
        ("start_1", start_dialog("replicate")),
        ("start_2", start_2),
        ("answer", answer),
        ("confirm", cancel),
        ("confirm_resume", resume),
    ]
}

fn texts() -> Vec<(&'static str, State)> {
    let mut help = with_run(running(), true);
    press(&mut help, "?");
    let mut palette = full();
    press(&mut palette, ":");
    let mut card = full();
    let events = events(asks(restored(), PromptKind::Confirm, None));
    update(&mut card, Msg::Opened { run: sample::run_id(), events, live: true });
    let mut plan_text = full();
    plan_text.go(Pane::Runbooks);
    press(&mut plan_text, "p");
    assert!(matches!(plan_text.dialog, Some(Dialog::Planning(_, Purpose::Read))));
    let plan = plan(&plan_text, "backup");
    update(&mut plan_text, Msg::Planned(Box::new(plan)));
    let mut point = full();
    point.go(Pane::Points);
    press(&mut point, "j j enter");
    let mut search = full();
    search.go(Pane::Runs);
    press(&mut search, "/");
    typed(&mut search, "!done", 100);
    let mut notice = full();
    notice.tell("the session of the run does not answer: it is asked again", true);
    let mut story_card = super::story::playing();
    let card_text =
        SafeText::block("source-dies: The active site goes dark\n\n  broke        02:02:00  site prod goes dark");
    update(&mut story_card, Msg::Story(StoryNews::Over { card: card_text, won: true }));
    vec![
        ("help", help),
        ("palette", palette),
        ("card", card),
        ("plan", plan_text),
        ("point", point),
        ("search", search),
        ("notice", notice),
        ("story_briefing", super::story::briefed()),
        ("story_card", story_card),
    ]
}

/// Makes every text from outside this one, wherever it comes from and whatever is in sight.
pub fn infest(state: &mut State, word: &str) {
    let evil = || SafeText::block(word);
    let line = || SafeText::line(word);
    infest_run(state, word);
    state.estate.name = line();
    for site in &mut state.estate.sites {
        site.title = line();
    }
    let trouble = DirectionFacts { trouble: Some(evil()), ..state.direction.clone() };
    update(state, Msg::Direction(Box::new(trouble)));
    for book in &mut state.runbooks {
        (book.name, book.title, book.mode, book.text) = (line(), line(), line(), evil());
        book.trouble = book.trouble.is_some().then(evil);
    }
    for run in &mut state.runs {
        (run.runbook, run.title, run.by) = (line(), line(), line());
        if let Some(point) = &mut run.point {
            (point.id, point.incomplete) = (line(), point.incomplete.is_some().then(evil));
        }
    }
    // How a run ended is a word of ours, unless its record cannot be read.
    if let Some(run) = state.runs.last_mut() {
        (run.direction, run.mode, run.word) = (line(), line(), line());
    }
    for name in ["app", "db"] {
        let mut bad = reading(Condition::Degraded, word, Some(word), 1.0);
        (bad.source, bad.findings) = (evil(), vec![evil()]);
        for site in ["bcp", "prod"] {
            let mut looked = answer(site, name, 0, Ok(bad.clone()));
            let Msg::Health(seen) = &mut looked else { panic!("an answer is about health") };
            seen.transcript = evil();
            update(state, looked);
        }
    }
    for text in &mut state.log.lines.lines {
        *text = line().into();
    }
    if let Some(notice) = &mut state.notice {
        notice.text = line();
    }
    infest_dialog(state, word);
}

fn infest_dialog(state: &mut State, word: &str) {
    let line = || SafeText::line(word);
    match &mut state.dialog {
        Some(Dialog::Text { title, text, .. }) => (*title, *text) = (line(), SafeText::block(word)),
        Some(Dialog::Form(form)) => {
            form.runbook.name = line();
            for param in &mut form.runbook.params {
                (param.name, param.rule.help) = (word.to_owned(), word.to_owned());
                param.rule.one_of.fill(word.into());
            }
        }
        Some(Dialog::Planning(request, _)) => request.runbook = line(),
        Some(Dialog::Start(start)) => {
            (start.runbook.name, start.runbook.loses) = (line(), line());
            start.plan.text = SafeText::block(word);
            start.plan.losses.fill(line());
            start.plan.findings.fill(line());
            start.plan.unknown_losses = vec![line()];
            for place in &mut start.plan.extent.places {
                place.written.fill(line());
                place.replaced.fill(line());
            }
        }
        Some(Dialog::Confirm(confirm)) => {
            confirm.question = line();
            confirm.consequences.fill(line());
        }
        Some(Dialog::Help { .. } | Dialog::Card | Dialog::Answer(_)) | None => {}
    }
}

/// Opens the run in sight anew, with these words in its plan and in all that it has told.
fn infest_run(state: &mut State, word: &str) {
    let Some(run) = &state.run else { return };
    let events = run.seen().iter().map(|event| Arc::new(infested(Event::clone(event), word))).collect();
    let (id, live, replay) = (run.id.clone(), run.live, run.replay.clone());
    let dialog = state.dialog.take();
    update(state, Msg::Opened { run: id, events, live });
    state.dialog = dialog;
    if let Some(run) = &mut state.run {
        run.replay = replay;
    }
}

fn infested(mut event: Event, word: &str) -> Event {
    let line = || SafeText::line(word);
    match &mut event.kind {
        EventKind::RunCreated { plan, by, .. } => {
            word.clone_into(&mut plan.title);
            by.name = line();
            for stage in &mut plan.stages {
                word.clone_into(&mut stage.title);
                for step in &mut stage.steps {
                    word.clone_into(&mut step.title);
                }
            }
        }
        EventKind::UnitSaid { text, .. } => *text = SafeText::block(word),
        EventKind::UnitProgress { what, .. } => *what = line(),
        EventKind::PromptOpened { prompt } => {
            prompt.message = SafeText::block(word);
            prompt.phrase = prompt.phrase.is_some().then(line);
        }
        _ => {}
    }
    event
}
