//! Text pictures of everything that can be over the panes, and of the last line.

use super::made::*;
use super::picture::text;
use crate::console::action::Action;
use crate::console::dialog::Dialog;
use crate::console::facts::{Extent, PlaceFacts};
use crate::console::{Badge, Msg, Pane, State, update};
use crate::model::SafeText;
use crate::run::PromptKind;
use crate::run::sample;

fn at(name: &str, state: &State, sizes: &[(u16, u16)]) {
    for (width, height) in sizes {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), text(state, (*width, *height)));
    }
}

const BOTH: [(u16, u16); 2] = [(80, 24), (120, 40)];
const LEAST: [(u16, u16); 2] = [(60, 15), (80, 24)];

#[test]
fn texts_to_read() {
    let mut state = with_run(running(), true);
    press(&mut state, "?");
    at("help", &state, &[(60, 15), (80, 24), (120, 40)]);
    press(&mut state, "esc k k k w");
    at("why", &state, &[(80, 24)]);
    let mut back = full();
    update(
        &mut back,
        Msg::Opened { run: sample::run_id(), events: events(asks(restored(), PromptKind::Confirm, None)), live: true },
    );
    at("card", &back, &LEAST);
}

#[test]
fn the_way_to_a_start() {
    let mut form = full();
    form.go(Pane::Runbooks);
    press(&mut form, "G s tab");
    typed(&mut form, "x", 100);
    press(&mut form, "enter");
    at("form", &form, &LEAST);
    let mut failed = full();
    failed.go(Pane::Runbooks);
    press(&mut failed, "G s");
    typed(&mut failed, "p-20260301t024600z", 100);
    press(&mut failed, "enter");
    refuse(&mut failed);
    press(&mut failed, "tab");
    at("form_failed", &failed, &LEAST);
    let mut planning = full();
    planning.go(Pane::Runbooks);
    press(&mut planning, "s");
    at("planning", &planning, &[(80, 24)]);
    let mut easy = start_dialog("replicate");
    press(&mut easy, "enter");
    at("start_1", &easy, &LEAST);
    let mut hard = start_dialog("restore");
    typed(&mut hard, "restore bcp", 100);
    trouble(&mut hard);
    at("start_2", &hard, &[(60, 15), (80, 24), (120, 40)]);
}

/// Says that what was asked for cannot be planned, at some length.
fn refuse(state: &mut State) {
    let lines: Vec<String> = (1..=20).map(|n| format!("stages.restore.steps.s{n}.with: no such snapshot")).collect();
    let mut refused = plan(state, "restore");
    (refused.digest, refused.text) = (None, SafeText::block(&format!("it cannot be planned:\n{}", lines.join("\n"))));
    update(state, Msg::Planned(Box::new(refused)));
}

fn form(state: &State) -> &crate::console::dialog::Form {
    let Some(Dialog::Form(form)) = &state.dialog else { panic!("no form: {:?}", state.dialog) };
    form
}

fn fields(state: &State) -> Vec<&str> {
    form(state).fields.iter().map(crate::console::line::Line::text).collect()
}

/// What is typed into a form is read there by the rule of the runbook, and stays until it is planned.
#[test]
fn a_form_reads_what_is_typed_and_loses_nothing_of_it() {
    let mut state = full();
    state.go(Pane::Runbooks);
    press(&mut state, "G s");
    typed(&mut state, "p-1", 100);
    press(&mut state, "tab ctrl-u d b tab ctrl-u");
    typed(&mut state, "falsey", 100);
    press(&mut state, "tab ctrl-u");
    typed(&mut state, "soon", 100);
    for (keys, field, trouble) in [
        ("enter", 2, "deep: `falsey` is not one of `true`, `false`"),
        ("ctrl-u y e s enter", 3, "within: `soon` is not a duration such as `90s`, `15m` or `1h30m`"),
    ] {
        assert_eq!(press(&mut state, keys), [], "{keys}");
        assert_eq!((form(&state).at, form(&state).trouble.as_ref().map(SafeText::as_str)), (field, Some(trouble)));
        assert!(text(&state, (80, 24)).contains(trouble), "{}", text(&state, (80, 24)));
    }
    assert_eq!(fields(&state), ["p-1", "db", "yes", "soon"]);
    press(&mut state, "ctrl-u 9 0 m");
    let effects = press(&mut state, "enter");
    let [crate::console::Effect::Plan(request)] = &effects[..] else { panic!("{effects:?}") };
    let asked: Vec<(&str, &str)> = request.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(asked, [("deep", "yes"), ("point", "p-1"), ("stores", "db"), ("within", "90m")]);
    // What cannot be planned comes back as it was typed, with all that is said of it.
    refuse(&mut state);
    assert_eq!(fields(&state), ["p-1", "db", "yes", "90m"]);
    update(&mut state, Msg::Resize(60, 15));
    let mut seen = String::new();
    for _ in 0..12 {
        seen.push_str(&text(&state, (60, 15)));
        press(&mut state, "pgdn");
    }
    (1..=20).for_each(|n| assert!(seen.contains(&format!("steps.s{n}.with: no such snapshot")), "{n}\n{seen}"));
    let bottom = text(&state, (60, 15));
    press(&mut state, "pgup");
    assert_ne!(text(&state, (60, 15)), bottom, "the first key back moves it");
    // It is in sight while it is mended, and so is what was typed after going back.
    press(&mut state, "2");
    assert!(text(&state, (60, 15)).contains("no such snapshot"));
    press(&mut state, "enter esc");
    assert_eq!(fields(&state), ["p-12", "db", "yes", "90m"]);
    press(&mut state, "esc");
    assert!(state.dialog.is_none());
}

#[test]
fn what_has_few_values_is_switched() {
    let mut state = full();
    state.go(Pane::Runbooks);
    press(&mut state, "G s tab");
    for (key, stores) in [("right", "search"), ("space", "db"), ("right", "all"), ("left", "db")] {
        press(&mut state, key);
        assert_eq!(fields(&state)[1], stores, "{key}");
    }
    press(&mut state, "tab space");
    assert_eq!(fields(&state)[2], "true");
    press(&mut state, "ctrl-u n o right");
    assert_eq!(fields(&state)[2], "true", "what means false is followed by true");
    press(&mut state, "x left");
    assert_eq!(fields(&state)[2], "false", "what means nothing is replaced");
    // Where any text can be typed, they move the cursor, and a blank is one.
    press(&mut state, "shift-tab shift-tab a c left b space");
    assert_eq!(fields(&state)[0], "ab c");
}

#[test]
fn answers() {
    for (name, story, phrase) in [
        ("answer_confirm", restored(), Some("restart bcp 7f3a")),
        (
            "answer_failed",
            restored().start(ONE).end(
                500,
                ONE,
                crate::model::Outcome::Failed { failure: refused() },
                serde_json::json!({}),
            ),
            None,
        ),
    ] {
        let kind = if phrase.is_some() { PromptKind::Confirm } else { PromptKind::Failed };
        let mut state = with_run(asks(story, kind, phrase), true);
        press(&mut state, "a enter");
        at(name, &state, &LEAST);
    }
    let again = crate::run::EventKind::SessionStarted { session: 2, pid: 4300, by: sample::operator() };
    let mut state = with_run(asks(restored().start(ONE).then(9000, again), PromptKind::Interrupted, None), true);
    press(&mut state, "a");
    typed(&mut state, "done", 100);
    press(&mut state, "enter");
    at("answer_interrupted", &state, &LEAST);
}

#[test]
fn what_is_lost_and_cannot_be_known_is_not_told_as_nothing() {
    let steps = ["restore-search at bcp: Restore the search indices", "restore-db at bcp: Replace the databases"];
    let ask = |name: &str, losses: &[&str], unknown: &[&str]| {
        let mut state = start_dialog(name);
        let Some(crate::console::dialog::Dialog::Start(start)) = &mut state.dialog else { panic!("no question") };
        start.plan.losses = losses.iter().map(|loss| SafeText::line(loss)).collect();
        start.plan.unknown_losses = unknown.iter().map(|step| SafeText::line(step)).collect();
        state
    };
    let unknown = ask("restore", &[], &steps);
    at("start_unknown_losses", &unknown, &BOTH[..1]);
    let shown = text(&unknown, (120, 40));
    assert!(steps.iter().all(|step| shown.contains(&format!("? {step}"))) && !shown.contains("nothing,"), "{shown}");
    let both = text(&ask("restore", &["3 files at bcp"], &steps), (120, 40));
    assert!(both.contains("- 3 files at bcp") && both.contains(&format!("? {}", steps[1])), "{both}");
    let nothing = text(&ask("replicate", &[], &[]), (120, 40));
    assert!(nothing.contains("nothing, as seen 0s ago"), "{nothing}");
}

/// What a question says of a plan is what the plan does, and nothing of it is cut on a small screen.
#[test]
fn where_who_loses_and_the_way_back_follow_from_the_plan() {
    let named = |names: &[&str]| names.iter().map(|name| SafeText::line(name)).collect::<Vec<_>>();
    let place = |name: &str| PlaceFacts { site: Some(site(name)), ..PlaceFacts::default() };
    let step = |key: &str| crate::model::StepKey::try_from(key.to_owned()).expect("a step");
    let source = PlaceFacts { written: named(&["db", "search"]), ..place("prod") };
    let read = PlaceFacts { read: named(&["search"]), ..place("bcp") };
    let here = PlaceFacts { written: named(&["tell"]), ..PlaceFacts::default() };
    let (no_return, unmarked) = (vec![step("sql/restore")], vec![step("files/restore")]);
    for (extent, says) in [
        (
            Extent { places: vec![source, read.clone()], ..Extent::default() },
            vec![
                "PROD is written to: db, search",
                "BCP is only read: search",
                "whoever uses db, search at PROD",
                "no step replaces or removes",
            ],
        ),
        (Extent { places: vec![here], ..Extent::default() }, vec!["this machine is written to: tell"]),
        (Extent::default(), vec!["at no site", "nobody: nothing is changed"]),
        (
            Extent { places: vec![read.clone()], no_return: no_return.clone(), unmarked: Vec::new() },
            vec!["nobody: nothing is changed", "until sql/restore begins, x in pane 3 stops it and nothing is lost"],
        ),
        (
            Extent { places: vec![read], no_return: Vec::new(), unmarked },
            vec!["what files/restore changed by then stays changed"],
        ),
    ] {
        let mut state = start_dialog("backup");
        let Some(crate::console::dialog::Dialog::Start(start)) = &mut state.dialog else { panic!("no question") };
        start.plan.extent = extent;
        let wide = text(&state, (160, 60));
        for words in &says {
            assert!(wide.contains(words), "{words}\n{wide}");
        }
        // Line by line on the smallest screen, every word of what is wide there comes by.
        let mut seen = String::new();
        for _ in 0..40 {
            seen.push_str(&text(&state, (60, 15)));
            press(&mut state, "down");
        }
        let words = says.iter().flat_map(|words| words.split(' '));
        words.for_each(|word| assert!(seen.contains(word), "{word}\n{seen}"));
    }
    let mut told = start_dialog("backup");
    if let Some(crate::console::dialog::Dialog::Start(start)) = &mut told.dialog {
        start.runbook.loses = SafeText::line("nobody: it is copied");
    }
    assert!(text(&told, (160, 60)).contains("who loses  nobody: it is copied"));
}

#[test]
fn questions_about_a_run() {
    for (name, keys, story, live) in [
        ("cancel", "x", running(), true),
        ("pause", "p", running(), true),
        ("continue", "c enter", running().then(1, crate::run::EventKind::Paused { by: sample::operator() }), true),
        ("resume", "R n", failed(), false),
    ] {
        let mut state = with_run(story, live);
        press(&mut state, keys);
        at(name, &state, &[(80, 24)]);
    }
}

/// Nothing is beyond the last page: whatever key led there, the next one back moves what is in sight.
#[test]
fn scrolling_ends_where_the_text_does() {
    let mut help = full();
    press(&mut help, "?");
    let mut book = full();
    book.runbooks[0].text = SafeText::block(&"a line\n".repeat(100));
    press(&mut book, "2 enter");
    let mut start = start_dialog("replicate");
    if let Some(Dialog::Start(start)) = &mut start.dialog {
        start.plan.text = SafeText::block(&"a command\n".repeat(100));
    }
    let mut detail = full();
    trouble(&mut detail);
    press(&mut detail, "enter");
    // The clock and what has an age is left out of it.
    let seen = |state: &State| text(&State { now: now(), ..state.clone() }, state.size);
    for (name, mut state, ends) in [
        ("help", help, &["G", "end"][..]),
        ("text", book, &["G", "end"]),
        ("start", start, &[]),
        ("detail", detail, &["G", "end"]),
    ] {
        update(&mut state, Msg::Resize(60, 15));
        let pages = ["pgdn"; 30].join(" ");
        for end in ends.iter().chain([&pages.as_str()]) {
            let mut state = state.clone();
            let top = seen(&state);
            press(&mut state, end);
            let bottom = seen(&state);
            assert_ne!(top, bottom, "{name}");
            press(&mut state, "down pgdn down");
            assert_eq!(seen(&state), bottom, "{name} {end}: nothing is beyond the end");
            press(&mut state, "up");
            assert_ne!(seen(&state), bottom, "{name} {end}: the first key back moves it");
            if !ends.is_empty() {
                press(&mut state, if name == "detail" { "home" } else { "g" });
                assert_eq!(seen(&state), top, "{name} {end}");
                press(&mut state, "G home");
                assert_eq!(seen(&state), top, "{name} {end}");
            }
        }
    }
}

#[test]
fn palette_search_and_notices() {
    let mut state = full();
    press(&mut state, ":");
    at("palette", &state, &LEAST);
    typed(&mut state, "ho", 100);
    at("palette_narrowed", &state, &BOTH[..1]);
    let mut search = full();
    search.go(Pane::Runs);
    press(&mut search, "/");
    typed(&mut search, "!done", 100);
    at("search", &search, &BOTH[..1]);
    let mut told = full();
    update(
        &mut told,
        Msg::Told { text: SafeText::line("the session of the run does not answer: it is asked again"), bad: true },
    );
    at("notice", &told, &BOTH[..1]);
    let mut log = with_run(unknown(), false);
    log.go(Pane::Log);
    press(&mut log, "/");
    typed(&mut log, "restart", 100);
    press(&mut log, "enter w");
    at("log_found", &log, &BOTH);
}

/// Everything that is in the table is in the help, with its key.
#[test]
fn the_help_has_every_action_of_the_pane() {
    for pane in Pane::ALL {
        let mut state = full();
        // Some are there in the simulated world only.
        state.badge = Badge::Simulated;
        update(&mut state, Msg::Tick(now()));
        state.go(pane);
        press(&mut state, "?");
        let shown = text(&state, (120, 100));
        for entry in crate::console::action::ACTIONS.iter().filter(|entry| entry.action.is_in(pane)) {
            assert!(shown.contains(entry.name) && shown.contains(entry.help), "{} in {pane:?}\n{shown}", entry.name);
        }
        assert!(shown.contains(&state.settings.keys.hint(Action::Back)));
    }
}

/// What is typed is in sight on the smallest screen that shows a question, however much is to be said above it.
#[test]
fn the_field_and_the_phrase_are_always_in_sight() {
    let mut state = start_dialog("restore");
    let mut plan = plan(&state, "restore");
    plan.losses = (0..40).map(|n| SafeText::line(&format!("index number {n} is replaced"))).collect();
    plan.extent.places[1].replaced = (0..60).map(|n| SafeText::line(&format!("app{n}"))).collect();
    if let Some(crate::console::dialog::Dialog::Start(start)) = &mut state.dialog {
        start.plan = plan;
    }
    typed(&mut state, "restore xyz", 100);
    let phrase = phrase(&state);
    for size in [(60, 15), (80, 24), (200, 60)] {
        let shown = text(&state, size);
        assert!(
            shown.contains(&phrase) && shown.contains("> restore xyz") && shown.contains("[ Cancel: esc ]"),
            "{shown}"
        );
    }
    let mut asked = asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a"));
    if let Some(crate::run::EventKind::PromptOpened { prompt }) = asked.events.last_mut().map(|event| &mut event.kind) {
        prompt.message = SafeText::line(&"a very long question ".repeat(100));
    }
    let mut state = with_run(asked, true);
    press(&mut state, "a r e");
    let shown = text(&state, (60, 15));
    assert!(shown.contains("restart bcp 7f3a") && shown.contains("> re") && shown.contains("[ Not now"), "{shown}");
}
