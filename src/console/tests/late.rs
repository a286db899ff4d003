//! What comes late, twice or from elsewhere is harmless; what is selected stays selected; keys keep their promise.

use super::made::*;
use super::picture::text;
use crate::console::dialog::Dialog;
use crate::console::facts::RunRow;
use crate::console::log::{Lines, LogFile, LogSource};
use crate::console::{Badge, Effect, Msg, Pane, State, update};
use crate::model::{RunId, SafeText};
use crate::run::{PromptKind, sample};
use crate::style::Mark;

fn chosen(state: &State) -> Option<RunId> {
    state.shown_runs().get(state.past.selected).map(|row| row.run.clone())
}

fn other_run() -> RunId {
    RunId::new("0195500a-0000-7c11-8b0e-000000000099").expect("a run id")
}

#[test]
fn a_plan_that_nobody_waits_for_opens_nothing() {
    let mut state = full();
    state.go(Pane::Runbooks);
    press(&mut state, "s");
    let late = plan(&state, "backup");
    press(&mut state, "esc");
    assert_eq!(update(&mut state, Msg::Planned(Box::new(late.clone()))), []);
    assert!(state.dialog.is_none());
    // Nor does the plan of another runbook, or with other parameters, take the place of the one that is waited for.
    press(&mut state, "j s");
    update(&mut state, Msg::Planned(Box::new(late)));
    let mut other = plan(&state, "failover");
    other.params.insert("deep".to_owned(), "true".to_owned());
    update(&mut state, Msg::Planned(Box::new(other)));
    assert!(matches!(state.dialog, Some(Dialog::Planning(..))), "{:?}", state.dialog);
}

#[test]
fn what_another_run_tells_changes_nothing() {
    let mut state = with_run(running(), true);
    let before = format!("{:?}", state.run.as_ref().map(|run| &run.state));
    for event in events(failed()) {
        assert_eq!(update(&mut state, Msg::Event(other_run(), event)), []);
    }
    update(&mut state, Msg::Ended(other_run(), None));
    assert_eq!(format!("{:?}", state.run.as_ref().map(|run| &run.state)), before);
    assert!(state.run.as_ref().is_some_and(|run| run.live));
    // The same event twice neither.
    for event in events(running()) {
        update(&mut state, Msg::Event(sample::run_id(), event));
    }
    assert_eq!(format!("{:?}", state.run.as_ref().map(|run| &run.state)), before);
    assert!(state.notice.is_none(), "{:?}", state.notice);
}

#[test]
fn lines_of_another_file_are_not_shown_as_those_of_this_one() {
    let mut state = with_run(running(), true);
    state.go(Pane::Log);
    press(&mut state, "o A");
    let lines = |run: RunId, text: &str| {
        let source = Some(LogSource::One(LogFile { run, unit: sample::unit(INDEX), attempt: 1 }));
        Msg::Lines(Box::new(Lines {
            source,
            total: 1,
            counted: true,
            lines: vec![SafeText::line(text).into()],
            ..Lines::default()
        }))
    };
    update(&mut state, lines(sample::run_id(), "of this run"));
    update(&mut state, lines(other_run(), "of another run"));
    assert_eq!(state.log.lines.lines, [SafeText::line("of this run").into()]);
}

#[test]
fn opened_twice_is_opened_once() {
    let mut state = with_run(asks(restored(), PromptKind::Confirm, None), true);
    press(&mut state, "a y");
    let again =
        Msg::Opened { run: sample::run_id(), events: events(asks(restored(), PromptKind::Confirm, None)), live: true };
    let effects = update(&mut state, again);
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Call(_) | Effect::Lines(_))), "{effects:?}");
    assert!(matches!(&state.dialog, Some(Dialog::Answer(answering)) if answering.typed.text() == "y"));
}

/// A question about one run is never answered to another.
#[test]
fn a_question_goes_with_its_run() {
    for keys in ["a y", "x y", "p y", "c y"] {
        let mut state = with_run(asks(restored(), PromptKind::Confirm, None), true);
        press(&mut state, keys);
        assert!(state.dialog.is_some());
        let other = asks(restored(), PromptKind::Confirm, None);
        update(&mut state, Msg::Opened { run: other_run(), events: events(other), live: true });
        let effects = press(&mut state, "enter");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Command(_))), "{keys}: {effects:?}");
        let mut state = with_run(asks(restored(), PromptKind::Confirm, None), true);
        press(&mut state, keys);
        update(&mut state, Msg::Ended(sample::run_id(), None));
        let effects = press(&mut state, "enter");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Command(_))), "{keys}: {effects:?}");
    }
}

#[test]
fn lists_do_not_move_under_the_selection() {
    for pane in [Pane::Runs, Pane::Points] {
        let mut state = full();
        state.go(pane);
        press(&mut state, "j j");
        let (run, point) = (chosen(&state), state.shown_points()[state.point.selected].run.clone());
        let mut newer = row(9, "replicate", 1, 20, Mark::Ok, "done");
        newer.point.clone_from(&runs()[0].point);
        update(&mut state, Msg::Runs([vec![newer], runs()].concat()));
        assert_eq!((chosen(&state), state.shown_points()[state.point.selected].run.clone()), (run, point), "{pane:?}");
        update(&mut state, Msg::Runs(Vec::new()));
        assert_eq!((state.past.selected, state.point.selected), (0, 0));
    }
    let mut state = full();
    state.go(Pane::Runbooks);
    press(&mut state, "j j j");
    let books = [vec![runbook("a-new-one", "First", "maintenance", 1)], state.runbooks.clone()].concat();
    let name = state.runbooks[3].name.clone();
    update(&mut state, Msg::Runbooks(books));
    assert_eq!(state.shown_runbooks()[state.runbook.selected].name, name);
}

#[test]
fn the_tree_does_not_move_under_the_selection() {
    let story = events(done());
    let count = events(running()).len();
    let mut state = full();
    update(&mut state, Msg::Opened { run: sample::run_id(), events: story[..6].to_vec(), live: true });
    state.dialog = None;
    state.go(Pane::Run);
    press(&mut state, "G");
    let selected = |state: &State| state.run.as_ref().and_then(|run| run.rows().get(run.selected).cloned());
    let before = selected(&state);
    assert!(before.is_some());
    for event in &story[6..count] {
        update(&mut state, Msg::Event(sample::run_id(), event.clone()));
        assert_eq!(selected(&state), before);
    }
}

#[test]
fn q_leaves_and_asks_once_beside_a_run() {
    for (keys, keep) in [("q", false), ("Q", true)] {
        assert_eq!(press(&mut full(), keys), [Effect::Quit { keep }]);
        let mut state = with_run(running(), true);
        assert_eq!(press(&mut state, keys), []);
        assert!(state.notice.as_ref().is_some_and(|notice| notice.text.as_str().contains("goes on")));
        assert_eq!(press(&mut state, keys), [Effect::Quit { keep }]);
        let mut state = with_run(running(), true);
        press(&mut state, keys);
        later(&mut state, 6_000);
        assert_eq!(press(&mut state, keys), [], "who comes back later is asked again");
    }
    // In a field it is a letter, and over a text it closes that.
    let mut state = start_dialog("replicate");
    assert_eq!(press(&mut state, "q q q"), []);
    let mut state = full();
    assert_eq!(press(&mut state, "? q"), []);
    assert!(state.dialog.is_none());
}

#[test]
fn esc_goes_back_one_level_and_never_leaves() {
    let mut state = full();
    press(&mut state, "z j enter");
    assert!(state.zoom && state.detail.is_some());
    press(&mut state, "?");
    for (number, expected) in [(false, true, true), (false, false, true), (false, false, false)].into_iter().enumerate()
    {
        assert_eq!(press(&mut state, "esc"), [], "{number}");
        assert_eq!((state.dialog.is_some(), state.detail.is_some(), state.zoom), expected, "{number}");
    }
    let selected = state.at_site;
    for _ in 0..20 {
        assert_eq!(press(&mut state, "esc"), []);
    }
    assert_eq!(state.at_site, selected);
    state.go(Pane::Runs);
    press(&mut state, "j j esc");
    assert_eq!(state.past.selected, 2, "where no filter is, esc does not move the selection");
}

#[test]
fn a_held_picture_keeps_data_and_takes_no_keys() {
    let mut state = with_run(running(), true);
    press(&mut state, "F");
    assert!(state.frozen);
    let before = state.run.as_ref().map(|run| run.seen().len());
    let all = events(restored());
    update(&mut state, Msg::Event(sample::run_id(), all[all.len() - 1].clone()));
    assert!(state.frozen && state.run.as_ref().map(|run| run.seen().len()) > before);
    assert_eq!(press(&mut state, "x"), []);
    assert!(!state.frozen && state.dialog.is_none(), "a key lets the picture go and does nothing else");
}

/// What a terminal shows after another size is not known, also when it is the old one again, and while nothing moves.
#[test]
fn every_size_and_ctrl_l_draw_everything_anew() {
    for keys in ["2", "F", "?", ":", "/"] {
        let mut state = with_run(running(), true);
        press(&mut state, keys);
        let held = state.frozen;
        let size = state.size;
        for (width, height) in [(90, 26), (40, 12), size, size] {
            let effects = update(&mut state, Msg::Resize(width, height));
            assert!(effects.contains(&Effect::Redraw), "{keys} {width}x{height}: {effects:?}");
            assert_eq!(press(&mut state, "ctrl-l"), [Effect::Redraw], "{keys} {width}x{height}");
            assert_eq!(state.frozen, held, "it lets nothing go");
        }
    }
    // A key that is typed is typed, whatever it means elsewhere.
    let mut state = full();
    state.settings.keys =
        crate::console::keys::Keymap::with(&[("redraw".to_owned(), vec!["L".to_owned()])].into()).expect("keys");
    press(&mut state, "2 / L");
    assert_eq!(state.runbook.filter.as_deref(), Some("L"));
    assert_eq!(press(&mut state, "esc L"), [Effect::Redraw]);
}

#[test]
fn keys_do_nothing_where_nobody_sees_what_they_do() {
    let mut state = start_dialog("replicate");
    press(&mut state, "y");
    update(&mut state, Msg::Resize(59, 24));
    assert_eq!(press(&mut state, "enter"), []);
    assert_eq!(press(&mut state, "q"), [Effect::Quit { keep: false }]);
    update(&mut state, Msg::Resize(60, 24));
    assert_eq!(press(&mut state, "enter").len(), 1);
}

#[test]
fn a_card_says_where_we_were_and_its_two_keys_work() {
    let open = || {
        let mut state = full();
        let story = asks(restored(), PromptKind::Confirm, None);
        update(&mut state, Msg::Opened { run: sample::run_id(), events: events(story), live: true });
        assert!(matches!(state.dialog, Some(Dialog::Card)));
        state
    };
    let mut state = open();
    press(&mut state, "3");
    assert!(state.dialog.is_none() && state.focus == Pane::Run);
    let mut state = open();
    press(&mut state, "a");
    assert!(matches!(state.dialog, Some(Dialog::Answer(_))));
    let mut state = open();
    assert_eq!(press(&mut state, "s"), []);
    assert!(state.dialog.is_none() && state.focus == Pane::Sites);
}

/// A person is called once for a question, and not again when the run is opened anew.
#[test]
fn a_person_is_called_once() {
    let mut state = with_run(restored(), true);
    let asking = events(asks(restored(), PromptKind::Confirm, None));
    let last = asking[asking.len() - 1].clone();
    let calls = |effects: Vec<Effect>| effects.into_iter().filter(|effect| matches!(effect, Effect::Call(_))).count();
    assert_eq!(calls(update(&mut state, Msg::Event(sample::run_id(), last.clone()))), 1);
    assert_eq!(calls(update(&mut state, Msg::Event(sample::run_id(), last))), 0);
}

/// A run that somebody else has begun is opened where nothing is looked at, and calls for a person where it is not.
#[test]
fn a_run_of_somebody_else_is_seen_and_calls() {
    let with = |mark: Option<Mark>| {
        let mut rows = runs();
        if let Some(mark) = mark {
            rows.insert(0, row(7, "replicate", 0, 10, mark, "running"));
            rows[0].alive = true;
        }
        Msg::Runs(rows)
    };
    let run = row(7, "replicate", 0, 10, Mark::Run, "running").run;
    // Titles follow what is known, and are no call.
    let told = |state: &mut State, msg: Msg| -> Vec<Effect> {
        update(state, msg).into_iter().filter(|effect| !matches!(effect, Effect::Title(_))).collect()
    };
    let mut state = full();
    assert_eq!(told(&mut state, with(None)), []);
    assert_eq!(told(&mut state, with(Some(Mark::Run))), [Effect::Open(run.clone())]);
    // A run of the past is in sight: it stays there. The other one calls once, and again when it asks anew.
    let mut state = with_run(done(), false);
    assert_eq!(told(&mut state, with(Some(Mark::Run))), []);
    let call = Effect::Call(SafeText::line(&format!("{run} waits for a person: open it in pane 5")));
    for (mark, called) in [(Mark::Ask, true), (Mark::Ask, false), (Mark::Run, false), (Mark::Ask, true)] {
        let effects = told(&mut state, with(Some(mark)));
        assert_eq!(effects, if called { vec![call.clone()] } else { vec![] }, "{mark:?}");
    }
    // What was looked away from is not opened again by itself, and calls all the same.
    let mut state = with_run(running(), true);
    let mut rows = runs();
    rows[0].run = sample::run_id();
    rows[0].alive = true;
    assert_eq!(told(&mut state, Msg::Runs(rows.clone())), [], "it is in sight");
    assert_eq!(press(&mut state, "d"), [Effect::Detach, Effect::Title(SafeText::line("LIVE shop"))]);
    assert_eq!(told(&mut state, Msg::Runs(rows.clone())), []);
    rows[0].mark = Mark::Ask;
    assert!(matches!(&told(&mut state, Msg::Runs(rows))[..], [Effect::Call(_)]));
}

/// The rows of a run that somebody else has begun, and which waits for a person.
fn one_waits() -> (RunRow, Msg) {
    let mut waits = row(7, "replicate", 2, 10, Mark::Ask, "waits for you");
    waits.alive = true;
    let rows = std::iter::once(waits.clone()).chain(runs()).collect();
    (waits, Msg::Runs(rows))
}

/// A run that waits is in the header whatever is in sight, and one key leads to its question.
#[test]
fn a_run_that_waits_elsewhere_is_said_and_led_to() {
    for (mut state, in_sight) in [(with_run(failed(), false), "replicate failed after"), (full(), "")] {
        let none = text(&state, (120, 40));
        assert!(!none.contains("WAITS FOR YOU"), "{none}");
        press(&mut state, "a");
        assert!(state.notice.as_ref().is_some_and(|notice| notice.text.as_str() == "no run asks anything"));
        let (waits, told) = one_waits();
        update(&mut state, told);
        let shown = text(&state, (120, 40));
        assert!(shown.contains("replicate WAITS FOR YOU: a shows it") && shown.contains(in_sight), "{shown}");
        assert_eq!(press(&mut state, "a"), [Effect::Open(waits.run.clone())]);
        let story = asks(restored(), PromptKind::Confirm, None);
        update(&mut state, Msg::Opened { run: waits.run, events: events(story), live: true });
        assert!(matches!(state.dialog, Some(Dialog::Answer(_))), "the question is put, no card before it");
        let shown = text(&state, (120, 40));
        assert!(shown.contains("WAITS FOR YOU: a answers") && !shown.contains("a shows it"), "{shown}");
    }
    let (_, told) = one_waits();
    let mut looks = with_run(failed(), false);
    looks.read_only = true;
    update(&mut looks, told);
    assert!(text(&looks, (120, 40)).contains("replicate WAITS FOR YOU: 5 lists it"));
    assert_eq!(press(&mut looks, "a"), []);
}

/// What was asked to be opened for its question puts none when another run comes, nor over another question.
#[test]
fn a_question_is_put_only_for_the_run_that_was_asked_for() {
    let (waits, told) = one_waits();
    let mut state = with_run(failed(), false);
    update(&mut state, told);
    press(&mut state, "a");
    update(&mut state, Msg::NotOpened(waits.run.clone(), SafeText::line("it is gone")));
    let story = || events(asks(restored(), PromptKind::Confirm, None));
    update(&mut state, Msg::Opened { run: waits.run.clone(), events: story(), live: true });
    assert!(!matches!(state.dialog, Some(Dialog::Answer(_))));
    let (_, told) = one_waits();
    let mut state = with_run(failed(), false);
    update(&mut state, told);
    press(&mut state, "a ?");
    update(&mut state, Msg::Opened { run: waits.run, events: story(), live: true });
    assert!(matches!(state.dialog, Some(Dialog::Help { .. })));
}

/// The demo's world ends with the screen: it is not left at once while any run of it lives, in sight or not.
#[test]
fn leaving_asks_while_any_run_lives() {
    for mut state in [with_run(failed(), false), full()] {
        state.badge = Badge::Simulated;
        update(&mut state, Msg::Tick(now()));
        assert_eq!(press(&mut state.clone(), "q"), [Effect::Quit { keep: false }]);
        let (waits, told) = one_waits();
        update(&mut state, told);
        assert_eq!(press(&mut state, "q"), []);
        let said = state.notice.as_ref().map(|notice| notice.text.to_string()).unwrap_or_default();
        assert!(said.starts_with(waits.run.as_str()), "{said}");
        assert_eq!(press(&mut state, "q"), [Effect::Quit { keep: false }]);
    }
    // The list may lag behind the end of the run in sight.
    let mut state = with_run(done(), true);
    let mut rows = runs();
    rows[0].run = sample::run_id();
    rows[0].alive = true;
    update(&mut state, Msg::Runs(rows));
    assert_eq!(press(&mut state, "q"), [Effect::Quit { keep: false }]);
}
