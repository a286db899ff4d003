//! How the guards of dangerous actions hold, and that they open for whoever means it.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::made::*;
use super::monkey::level;
use super::picture::text;
use crate::console::action::{ACTIONS, Takes};
use crate::console::dialog::{Dialog, StartRequest};
use crate::console::keys::parse_key;
use crate::console::{Badge, Effect, Key, KeyCode, Msg, Pane, State, update};
use crate::health::Condition;
use crate::run::{PromptKind, RunCommand};
use crate::runbook::Mode;

fn enter(state: &mut State) -> Vec<Effect> {
    press(state, "enter")
}

fn gate(state: &State) -> (&str, Option<&str>) {
    match &state.dialog {
        Some(Dialog::Start(start)) => {
            (start.gate.typed.text(), start.gate.note.as_ref().map(crate::model::SafeText::as_str))
        }
        other => panic!("the question is gone: {other:?}"),
    }
}

#[test]
fn the_phrase_typed_by_a_person_begins_it() {
    for (name, wanted) in [("restore", 2), ("failover", 2), ("replicate", 1)] {
        let mut state = start_dialog(name);
        let phrase = phrase(&state);
        assert_eq!(phrase == "y", wanted < 2, "{phrase}");
        assert_eq!(typed(&mut state, &phrase, 150), []);
        let before = state.clone();
        let effects = enter(&mut state);
        assert!(
            matches!(effects.as_slice(), [Effect::Start(request)] if request.runbook.as_str() == name),
            "{effects:?}"
        );
        // The plan that was shown, and no other one.
        let [Effect::Start(StartRequest { plan: Some(digest), .. })] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!(*digest, "b3a1".repeat(16));
        assert_eq!(level(&before, &effects[0]), wanted);
        assert!(state.dialog.is_none());
    }
}

#[test]
fn enter_alone_does_not() {
    for name in ["restore", "replicate"] {
        let mut state = start_dialog(name);
        for _ in 0..20 {
            assert_eq!(enter(&mut state), []);
        }
        assert!(gate(&state).1.is_some_and(|note| note.starts_with("enter alone does nothing")));
    }
}

#[test]
fn a_paste_does_not() {
    let mut state = start_dialog("restore");
    for paste in [phrase(&state), format!("{}\n", phrase(&state)), format!("{}\r\n\r\n", phrase(&state))] {
        assert_eq!(update(&mut state, Msg::Paste(paste)), []);
        assert_eq!(gate(&state), ("", Some("a paste is not taken here: it must be typed")));
        assert_eq!(enter(&mut state), []);
    }
}

#[test]
fn a_burst_does_not() {
    for gap in [0, 1, 29] {
        for name in ["restore", "replicate"] {
            let mut state = start_dialog(name);
            let phrase = phrase(&state);
            typed(&mut state, &phrase, gap);
            later(&mut state, gap);
            let key = Key { code: KeyCode::Enter, ctrl: false, shift: false };
            assert_eq!(update(&mut state, Msg::Key(key)), [], "{name} {gap}");
            // And nothing of it is left for an enter that a person presses afterwards.
            assert_eq!(gate(&state).0, "", "{name} {gap}");
            assert_eq!(enter(&mut state), []);
        }
    }
    // Fingers that roll over two keys are no burst.
    let mut state = start_dialog("failover");
    let phrase = phrase(&state);
    for (number, c) in phrase.chars().enumerate() {
        typed(&mut state, &c.to_string(), if number % 2 == 0 { 90 } else { 20 });
    }
    assert_eq!(enter(&mut state).len(), 1);
}

#[test]
fn a_change_of_health_asks_for_another_phrase() {
    let mut state = start_dialog("restore");
    let first = phrase(&state);
    typed(&mut state, &first, 100);
    let bad = reading(Condition::Degraded, "yellow", Some("5 shards are unassigned"), 1.0);
    for ago in [1, 0] {
        update(&mut state, answer("bcp", "search", ago, Ok(bad.clone())));
    }
    let second = phrase(&state);
    assert_ne!(first, second);
    assert_eq!(gate(&state).0, "", "the field is emptied");
    let shown = text(&state, (120, 40));
    assert!(shown.contains("CHANGED") && shown.contains("bcp up") && shown.contains("bcp degraded"), "{shown}");
    typed(&mut state, &first, 100);
    assert_eq!(enter(&mut state), [], "the old phrase is none any more");
    press(&mut state, "ctrl-u");
    typed(&mut state, &second, 100);
    assert!(text(&state, (120, 40)).contains("CHANGED"), "what has changed stays in sight");
    assert_eq!(enter(&mut state).len(), 1);
}

#[test]
fn what_is_known_grows_old_by_itself() {
    let mut state = start_dialog("restore");
    let first = phrase(&state);
    typed(&mut state, &first, 100);
    later(&mut state, 60_000);
    assert_ne!(phrase(&state), first);
    assert_eq!(gate(&state).0, "");
    assert!(text(&state, (120, 40)).contains("bcp UNKNOWN"));
}

#[test]
fn an_old_plan_is_made_anew() {
    let mut state = start_dialog("replicate");
    let now = state.now + SignedDuration::from_secs(200);
    update(&mut state, Msg::Tick(now));
    typed(&mut state, "y", 100);
    let effects = enter(&mut state);
    assert!(matches!(effects.as_slice(), [Effect::Plan(_)]), "{effects:?}");
    assert!(matches!(state.dialog, Some(Dialog::Planning(..))));
    let fresh = plan(&state, "replicate");
    update(&mut state, Msg::Planned(Box::new(fresh)));
    assert_eq!(gate(&state), ("", None));
}

#[test]
fn nothing_begins_beside_a_run_nor_from_a_console_that_only_looks() {
    let mut state = start_dialog("replicate");
    let mut rows = runs();
    rows[0].alive = true;
    update(&mut state, Msg::Runs(rows));
    typed(&mut state, "y", 100);
    assert_eq!(enter(&mut state), []);
    assert!(gate(&state).1.is_some_and(|note| note.contains("one run at a time")));

    let badges = [Badge::Live, Badge::Drill, Badge::Simulated].into_iter().cycle();
    for (story, badge) in [running(), failed(), asks(restored(), PromptKind::Confirm, None)].into_iter().zip(badges) {
        let mut state = with_run(story, true);
        (state.badge, state.read_only) = (badge, true);
        let now = state.now;
        update(&mut state, Msg::Tick(now));
        for pane in Pane::ALL {
            state.go(pane);
            let mut effects =
                press(&mut state, "s y enter esc x y enter esc p y enter esc c y enter esc R y enter esc a y enter");
            effects.extend(press(&mut state, "esc esc"));
            let changing: Vec<&Effect> = effects.iter().filter(|effect| level(&state, effect) > 0).collect();
            assert_eq!(changing, Vec::<&Effect>::new(), "{pane:?}");
        }
    }
}

/// A prompt that wants a phrase: the same guards.
#[test]
fn answers_are_guarded_as_starts_are() {
    let open = || {
        let mut state = with_run(asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a")), true);
        press(&mut state, "a");
        state
    };
    let mut state = open();
    assert_eq!(enter(&mut state), []);
    update(&mut state, Msg::Paste("restart bcp 7f3a\n".to_owned()));
    assert_eq!(enter(&mut state), []);
    typed(&mut state, "restart bcp 7f3a", 5);
    assert_eq!(enter(&mut state), []);
    let mut state = open();
    typed(&mut state, "restart bcp 7f3a", 120);
    let before = state.clone();
    let effects = enter(&mut state);
    assert!(
        matches!(effects.as_slice(), [Effect::Command(RunCommand::Answer(answer))] if answer.typed.as_deref() == Some("restart bcp 7f3a"))
    );
    assert_eq!(level(&before, &effects[0]), 2);
}

/// The run's phrase knows its plan and its question; what is seen of both sites is known here.
#[test]
fn a_change_of_health_under_a_question_of_the_run_asks_for_another_phrase() {
    let own = "restart bcp 7f3a";
    let mut state = with_run(asks(restored(), PromptKind::Confirm, Some(own)), true);
    press(&mut state, "a");
    typed(&mut state, own, 100);
    let bad = reading(Condition::Degraded, "yellow", Some("5 shards are unassigned"), 1.0);
    for ago in [1, 0] {
        update(&mut state, answer("bcp", "search", ago, Ok(bad.clone())));
    }
    let shown = text(&state, (120, 40));
    assert!(shown.contains("CHANGED") && shown.contains("bcp up") && shown.contains("bcp degraded"), "{shown}");
    assert!(!shown.contains("7f3a"), "neither typed nor wanted any more: {shown}");
    typed(&mut state, own, 100);
    assert_eq!(enter(&mut state), [], "the phrase of before is none any more");
    press(&mut state, "ctrl-u");
    let Some(Dialog::Answer(answering)) = &state.dialog else { panic!("no question") };
    let prompt = state.run.as_ref().and_then(|run| run.state.open_prompts().next()).expect("a question");
    let renewed = answering.standing.asked(prompt).phrase.expect("a phrase");
    assert!(renewed.as_str().starts_with("restart bcp ") && shown.contains(renewed.as_str()), "{renewed}");
    typed(&mut state, renewed.as_str(), 100);
    let effects = enter(&mut state);
    assert!(
        matches!(effects.as_slice(), [Effect::Command(RunCommand::Answer(answer))] if answer.typed.as_deref() == Some(own)),
        "the run is told the phrase that it knows: {effects:?}"
    );

    // Declining is never made harder, and a question that wants no phrase keeps what is being typed.
    let mut state = with_run(asks(restored(), PromptKind::Failed, None), true);
    press(&mut state, "a");
    typed(&mut state, "skip known", 100);
    for ago in [1, 0] {
        update(&mut state, answer("bcp", "search", ago, Ok(bad.clone())));
    }
    assert!(!text(&state, (120, 40)).contains("CHANGED"));
    assert_eq!(enter(&mut state).len(), 1);
}

#[test]
fn pause_continue_stop_and_resume_want_a_y() {
    for (keys, story, live) in
        [("p", running(), true), ("c", running(), true), ("x", running(), true), ("R", failed(), false)]
    {
        let mut state = with_run(story, live);
        assert_eq!(press(&mut state, keys), [], "{keys}");
        assert_eq!(enter(&mut state), []);
        assert_eq!(press(&mut state, "y"), []);
        let before = state.clone();
        let effects = enter(&mut state);
        assert_eq!(effects.len(), 1, "{keys}: {effects:?}");
        assert_eq!(level(&before, &effects[0]), 1);
    }
}

/// Everything that one press of a key can be.
fn all_keys() -> Vec<Key> {
    let named = [
        "enter",
        "esc",
        "tab",
        "shift-tab",
        "backspace",
        "delete",
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pgup",
        "pgdn",
        "f1",
    ];
    let mut keys: Vec<Key> = named.iter().map(|name| parse_key(name).expect("a key")).collect();
    keys.extend((b' '..=b'~').map(|c| Key { code: KeyCode::Char(char::from(c)), ctrl: false, shift: false }));
    keys.extend((b'a'..=b'z').map(|c| Key { code: KeyCode::Char(char::from(c)), ctrl: true, shift: false }));
    keys
}

/// What decides what the next key means.
fn place(state: &State) -> String {
    let dialog = state.dialog.as_ref().map(std::mem::discriminant);
    let typed: Vec<String> = state.typed.iter().map(ToString::to_string).collect();
    let selected =
        (state.at_site, state.runbook.selected, state.past.selected, state.run.as_ref().map(|run| run.selected));
    format!(
        "{:?} {:?} {} {} {:?} {typed:?} {selected:?} {}",
        state.focus,
        dialog,
        state.palette.is_some(),
        state.search.is_some(),
        state.detail,
        state.frozen
    )
}

#[test]
fn no_two_keys_change_anything() {
    let mut looked = 0;
    let asking = || asks(restored(), PromptKind::Confirm, None);
    for begin in [full(), with_run(running(), true), with_run(asking(), true), with_run(failed(), false)] {
        for pane in Pane::ALL {
            let mut begin = begin.clone();
            begin.go(pane);
            let mut seen = BTreeSet::new();
            for first in all_keys() {
                let mut state = begin.clone();
                later(&mut state, 200);
                let effects = update(&mut state, Msg::Key(first));
                assert!(effects.iter().all(|effect| level(&begin, effect) == 0), "{first}: {effects:?}");
                looked += 1;
                if !seen.insert(place(&state)) {
                    continue;
                }
                for second in all_keys() {
                    let mut state = state.clone();
                    later(&mut state, 200);
                    let before = level_of_all(&mut state, second);
                    assert_eq!(before, 0, "{first} {second} in {pane:?}");
                    looked += 1;
                }
            }
        }
    }
    assert!(looked > 10_000, "only {looked} sequences were tried");
}

fn level_of_all(state: &mut State, key: Key) -> u8 {
    let before = state.clone();
    update(state, Msg::Key(key)).iter().map(|effect| level(&before, effect)).max().unwrap_or(0)
}

/// What the table calls harmless does nothing, and what it guards is known to it.
#[test]
fn every_action_keeps_its_level() {
    for entry in ACTIONS.iter().filter(|entry| entry.name != "palette") {
        for begin in [full(), with_run(running(), true), with_run(failed(), false)] {
            let mut state = begin;
            if entry.demo {
                state.badge = Badge::Simulated;
                let now = state.now;
                update(&mut state, Msg::Tick(now));
            }
            press(&mut state, ":");
            // What it takes is the first of what there is of it, or any text.
            typed(&mut state, &format!("{}{}", entry.name, if entry.argument.is_some() { " " } else { "" }), 100);
            let there = state.palette.as_ref().is_some_and(|palette| !palette.matches(&state).is_empty());
            if there && entry.argument.is_some() {
                press(&mut state, "tab");
            } else if entry.argument.is_some_and(|argument| argument.takes == Takes::Text) {
                typed(&mut state, "app1", 100);
            } else if entry.argument.is_some_and(|argument| argument.needed) {
                // There is nothing that it could take, which is said.
                assert_eq!(press(&mut state, "enter"), []);
                assert!(state.palette.is_some_and(|palette| palette.trouble.is_some()), "{}", entry.name);
                continue;
            }
            let effects = press(&mut state, "enter");
            assert!(state.palette.is_none(), "{} is not found by its name", entry.name);
            assert!(effects.iter().all(|effect| level(&state, effect) == 0), "{}: {effects:?}", entry.name);
            let asks = matches!(state.dialog, Some(Dialog::Confirm(_) | Dialog::Form(_) | Dialog::Planning(..)));
            assert!(
                !asks || entry.level > 0 || entry.name == "plan",
                "{} asks, and the table does not say so",
                entry.name
            );
        }
    }
}

/// Whoever has no screen names the runbook and types whole lines: the checks and the gates are the same.
#[test]
fn without_a_form_and_without_keys_the_gates_are_the_same() {
    use crate::console::dialog::Purpose;
    let ask = |state: &mut State, name: &str, params: &[(&str, &str)], purpose| {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut effects = update(state, Msg::Ask(name.to_owned(), params, purpose));
        effects.retain(|effect| !matches!(effect, Effect::Title(_)));
        effects
    };
    let told = |state: &mut State| state.notice.take().map(|notice| notice.text.to_string()).unwrap_or_default();
    let mut state = full();
    for (name, params, said) in [
        ("nothing", &[][..], "there is no runbook nothing"),
        ("night-copy", &[], "there is no such kind"),
        ("backup", &[("deep", "true")], "there are: none"),
        ("restore", &[("pont", "x")], "there are: point, stores, deep, within"),
        ("restore", &[], "point must be said"),
        ("restore", &[("point", "p-1"), ("stores", "none")], "stores: `none` is not one of `all`, `search`, `db`"),
        ("restore", &[("point", "p-1"), ("deep", "falsey")], "deep: `falsey` is not one of `true`, `false`"),
    ] {
        assert_eq!(ask(&mut state, name, params, Purpose::Start), [], "{name} {params:?}");
        let told = told(&mut state);
        assert!(told.contains(said) && state.dialog.is_none(), "{name} {params:?}: {told}");
    }
    let effects = ask(&mut state, "restore", &[("point", "p-1")], Purpose::Start);
    assert!(matches!(&effects[..], [Effect::Plan(request)] if request.params["point"] == "p-1"), "{effects:?}");
    let line = |state: &mut State, line: &str| update(state, Msg::Line(line.to_owned()));
    assert_eq!(line(&mut state, "y"), [], "nothing is asked yet");
    let shown = plan(&state, "restore");
    update(&mut state, Msg::Planned(Box::new(shown)));
    let phrase = phrase(&state);
    for wrong in
        ["", "y", "yes", "restore bcp", "restore bcp 0000", &phrase.to_uppercase(), &format!("{phrase} {phrase}")]
    {
        assert_eq!(line(&mut state, wrong), [], "{wrong}");
        assert!(gate(&state).1.is_some(), "{wrong}");
    }
    let before = state.clone();
    let effects = line(&mut state, &phrase);
    assert!(matches!(&effects[..], [Effect::Start(_)]), "{effects:?}");
    assert_eq!(level(&before, &effects[0]), 2);
    // What may not be begun is not planned for a start either, but can be read.
    for (read_only, alive, said) in [(true, false, "only looks"), (false, true, "one run at a time")] {
        let mut state = full();
        state.read_only = read_only;
        state.runs[0].alive = alive;
        assert_eq!(ask(&mut state, "backup", &[], Purpose::Start), []);
        let told = told(&mut state);
        assert!(told.contains(said), "{told}");
        assert!(matches!(&ask(&mut state, "backup", &[], Purpose::Read)[..], [Effect::Plan(_)]));
    }
    // A run that is in sight goes on, also while the list does not have it yet.
    let mut state = with_run(asks(restored(), PromptKind::Confirm, None), true);
    state.runs.iter_mut().for_each(|row| row.alive = false);
    assert_eq!(ask(&mut state, "backup", &[], Purpose::Start), []);
    assert!(told(&mut state).contains("one run at a time"));
}

/// Taking a run up again wants what beginning it wants, says what has changed since, and another phrase when the sites do.
#[test]
fn a_run_is_as_hard_to_take_up_again_as_to_begin() {
    let with_mode = |mode: Mode| {
        let mut story = failed();
        if let crate::run::EventKind::RunCreated { plan, .. } = &mut story.events[0].kind {
            plan.mode = mode;
        }
        let mut state = with_run(story, false);
        press(&mut state, "R");
        state
    };
    let mut easy = with_mode(Mode::Replicate);
    assert_eq!(phrase(&easy), "y");
    assert!(text(&easy, (120, 40)).contains("not seen to have changed since"));
    assert_eq!(press(&mut easy, "y enter"), [Effect::Resume(crate::run::sample::run_id())]);

    let mut hard = with_mode(Mode::Restore);
    let first = phrase(&hard);
    assert!(first.starts_with("resume bcp "), "{first}");
    assert_eq!(press(&mut hard, "y enter"), []);
    press(&mut hard, "ctrl-u");
    typed(&mut hard, &first, 100);
    trouble(&mut hard);
    let second = phrase(&hard);
    assert_ne!(first, second);
    assert!(text(&hard, (120, 40)).contains("CHANGED, type anew"), "{}", text(&hard, (120, 40)));
    typed(&mut hard, &second, 100);
    assert_eq!(enter(&mut hard).len(), 1);

    let mut turned = with_run(failed(), false);
    turned.direction.direction =
        turned.direction.direction.map(|now| crate::model::Direction { source: now.target, target: now.source });
    press(&mut turned, "R");
    let shown = text(&turned, (120, 40));
    assert!(shown.contains("CHANGED since: the run goes prod -> bcp"), "{shown}");
}
