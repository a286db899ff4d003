//! The palette completes what actions take, and says what there is.

use super::made::*;
use super::picture::text;
use crate::console::action::{ACTIONS, Takes};
use crate::console::dialog::Dialog;
use crate::console::line::Line;
use crate::console::palette::Match;
use crate::console::{Effect, Msg, Pane, State, update};
use crate::model::SafeText;

fn opened(mut state: State, text: &str) -> State {
    press(&mut state, ":");
    typed(&mut state, text, 100);
    state
}

fn line(state: &State) -> &str {
    state.palette.as_ref().map_or("", |palette| palette.line.text())
}

/// The values below what is typed.
fn values(state: &State) -> Vec<String> {
    let matches = state.palette.as_ref().expect("a palette").matches(state);
    let value = |found: Match| if let Match::Value(value) = found { Some(value.text) } else { None };
    matches.into_iter().filter_map(value).collect()
}

fn trouble(state: &State) -> &str {
    state.palette.as_ref().and_then(|palette| palette.trouble.as_ref()).map_or("", SafeText::as_str)
}

/// With a run whose log is of several hosts.
fn with_hosts() -> State {
    let mut state = with_run(done(), false);
    state.log.all = true;
    state
}

#[test]
fn what_there_is_of_each_argument_is_listed() {
    let known = with_hosts();
    for (typed, there) in [
        ("theme ", &["dark", "light", "night-owl"][..]),
        ("theme l", &["light", "night-owl"]),
        // In the middle, and in what it is.
        ("theme i", &["light", "night-owl"]),
        ("theme For", &["night-owl"]),
        ("host ", &["app1", "app2", "all"]),
        ("sites ", &["bcp", "prod"]),
        ("sites Prod", &["prod"]),
        ("start ", &["backup", "failover", "night-copy", "replicate", "restore"]),
        ("plan re", &["replicate", "restore"]),
        ("plan backup ", &[]),
        (
            "start restore ",
            &["point=", "stores=all", "stores=search", "stores=db", "deep=true", "deep=false", "within="],
        ),
        ("start restore point=p-1 deep=t", &["deep=true"]),
        ("replay ", &["1", "2", "5", "10", "20", "40", "80", "160", "320", "640"]),
        ("search ", &[]),
    ] {
        assert_eq!(values(&opened(known.clone(), typed)), there, "{typed}");
    }
    let runs = values(&opened(known.clone(), "runs "));
    assert_eq!(runs, known.runs.iter().map(|row| row.run.to_string()).collect::<Vec<_>>());
    for entry in ACTIONS.iter().filter(|entry| entry.argument.is_some_and(|argument| argument.takes != Takes::Text)) {
        assert!(!values(&opened(known.clone(), &format!("{} ", entry.name))).is_empty(), "{}", entry.name);
    }
}

#[test]
fn tab_completes_arrows_select_and_enter_takes_what_was_selected() {
    let mut state = opened(full(), "the");
    press(&mut state, "tab");
    assert_eq!(line(&state), "theme ");
    typed(&mut state, "ni", 100);
    press(&mut state, "tab");
    assert_eq!(line(&state), "theme night-owl");
    assert_eq!(press(&mut state, "enter"), [Effect::Theme("night-owl".to_owned())]);
    let mut state = opened(full(), "theme ");
    assert_eq!(press(&mut state, "down down enter"), [Effect::Theme("light".to_owned())]);
    let mut state = opened(full(), "theme ");
    assert_eq!(press(&mut state, "down down down down up up enter"), [Effect::Theme("dark".to_owned())]);
    // Only the word that is typed is completed, and what has more to it waits for that.
    let mut state = opened(full(), "start res");
    press(&mut state, "tab");
    typed(&mut state, "deep=t", 100);
    press(&mut state, "tab");
    assert_eq!(line(&state), "start restore deep=true ");
    typed(&mut state, "poi", 100);
    assert_eq!(press(&mut state, "down enter"), []);
    assert_eq!(line(&state), "start restore deep=true point=");
    typed(&mut state, "p-1", 100);
    let effects = press(&mut state, "enter");
    let [Effect::Plan(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((request.params["point"].as_str(), request.params["deep"].as_str()), ("p-1", "true"));
    assert_eq!(
        (state.focus, state.shown_runbooks()[state.runbook.selected].name.as_str()),
        (Pane::Runbooks, "restore")
    );
}

#[test]
fn what_is_not_there_is_refused_with_what_there_is() {
    for (typed, why) in [
        ("theme da", "there is no theme `da`: there are dark, light, night-owl"),
        ("theme ", "a theme must be named: there are dark, light, night-owl"),
        ("host app9", "there is no host `app9`: there are app1, app2, all"),
        ("sites moon", "there is no site `moon`: there are bcp, prod"),
        ("start repl", "there is no runbook `repl`: there are backup, failover, night-copy, replicate, restore"),
        ("plan restore pont=x", "there is no parameter of restore `pont=x`: there are point=, stores=, deep=, within="),
        ("plan backup deep=true", "there is no parameter of backup `deep=true`: there is none here"),
        ("replay 3", "there is no speed `3`: there are 1, 2, 5, 10, 20, 40, 80, 160 and 2 more"),
    ] {
        let mut state = opened(with_hosts(), typed);
        let before = (state.focus, line(&state).to_owned());
        assert_eq!(press(&mut state, "enter"), [], "{typed}");
        assert_eq!(trouble(&state), why, "{typed}");
        assert_eq!((state.focus, line(&state).to_owned()), before, "{typed}: it stays as it was typed");
        let words = |text: &str| text.split(['\n', '│', ' ']).map(str::to_owned).collect::<Vec<_>>();
        let shown = words(&text(&state, (60, 15)));
        assert!(words(why).iter().all(|word| shown.contains(word)), "{shown:?}");
        press(&mut state, "backspace");
        assert_eq!(trouble(&state), "", "{typed}");
    }
    assert_eq!(press(&mut opened(full(), "host app1"), "enter"), []);
}

/// A value that cannot be is mended in the form, where nothing of the others is lost.
#[test]
fn a_runbook_by_name_is_asked_for_as_by_its_key() {
    let mut state = opened(full(), "start restore");
    press(&mut state, "enter");
    let Some(Dialog::Form(form)) = &state.dialog else { panic!("no form") };
    assert_eq!((form.at, &form.trouble), (0, &None));
    let mut state = opened(full(), "plan restore point=p-1 deep=falsey stores=db");
    press(&mut state, "enter");
    let Some(Dialog::Form(form)) = &state.dialog else { panic!("no form") };
    let typed: Vec<&str> = form.fields.iter().map(Line::text).collect();
    assert_eq!((form.at, typed), (2, vec!["p-1", "db", "falsey", "2h"]));
    assert!(form.trouble.as_ref().is_some_and(|why| why.as_str().starts_with("deep: `falsey`")), "{:?}", form.trouble);
    // What its key is refused, its name is.
    let mut alive = full();
    alive.runs[0].alive = true;
    let mut state = opened(alive, "start backup");
    assert_eq!(press(&mut state, "enter"), []);
    assert!(state.notice.is_some_and(|notice| notice.text.as_str().contains("one run at a time")));
}

#[test]
fn a_run_a_site_and_a_speed_are_brought_into_sight() {
    let mut state = full();
    let run = state.runs[2].run.clone();
    state = opened(state, &format!("runs {run}"));
    assert_eq!(press(&mut state, "enter"), [Effect::Open(run)]);
    let mut state = opened(full(), "sites prod");
    press(&mut state, "enter");
    assert_eq!((state.focus, state.at_site), (Pane::Sites, (1, 0)));
    let mut state = opened(with_run(done(), false), "replay 320");
    press(&mut state, "enter");
    let speed = |state: &State| state.run.as_ref().and_then(|run| run.replay.as_ref()).map(|replay| replay.speed);
    assert_eq!(speed(&state), Some(320));
    // Another speed goes on playing, the name alone ends it.
    let mut state = opened(state, "replay 2");
    press(&mut state, "enter");
    assert_eq!(speed(&state), Some(2));
    let mut state = opened(state, "replay");
    press(&mut state, "enter");
    assert_eq!(speed(&state), None);
    update(&mut state, Msg::Tick(now()));
}

/// A runbook is described as it would be called now.
#[test]
fn a_title_is_no_template() {
    let mut state = full();
    state.runbooks[0].title = SafeText::line("Copy {{ source_title }} to {{ target }}");
    let shown = text(&opened(state.clone(), "start backup"), (80, 24));
    assert!(shown.contains("Copy Production, Hamburg to bcp"), "{shown}");
    state.direction.direction = None;
    let shown = text(&opened(state, "start backup"), (80, 24));
    assert!(shown.contains("Copy {{ source_title }} to {{ target }}"), "{shown}");
}

#[test]
fn pictures_of_arguments() {
    let mut runs = opened(full(), "runs ");
    press(&mut runs, "down");
    insta::assert_snapshot!("palette_runs_80x24", text(&runs, (80, 24)));
    let params = opened(full(), "start restore ");
    insta::assert_snapshot!("palette_params_60x15", text(&params, (60, 15)));
    let mut refused = opened(full(), "theme da");
    press(&mut refused, "enter");
    insta::assert_snapshot!("palette_refused_80x24", text(&refused, (80, 24)));
}
