//! The log as it is steered: by keys that go through `update`, and answers as the reader of files gives them.

use std::sync::Arc;

use super::*;
use crate::console::facts::EstateFacts;
use crate::console::run_view::Row;
use crate::console::tests::made;
use crate::console::tests::picture::{drawn, text};
use crate::console::{Badge, Effect, Key, KeyCode, Msg, State, update};
use crate::model::{Failure, FailureKind, Outcome, Span, TintedLine};
use crate::run::sample::{self, Story};

fn source(attempt: u32) -> LogSource {
    LogSource::One(LogFile { run: sample::run_id(), unit: sample::unit("copy/data@bcp"), attempt })
}

/// An answer for the last lines of a file of so many, or for those from a line on.
fn answer(view: &LogView, total: u64, counted: bool) -> Lines {
    let first = if view.follow { total.saturating_sub(u64::from(view.height)) } else { view.top };
    Lines { source: Some(source(1)), first, total, counted, bytes: total, ..Lines::default() }
}

/// A pane of ten lines that shows the end of a file of a hundred.
fn at_end() -> LogView {
    let mut view = LogView { mode: LogMode::Output, ..LogView::default() };
    assert_eq!(view.look_at(Some(source(1))).map(|request| request.from), Some(None));
    let lines = answer(&view, 100, true);
    assert_eq!(view.receive(lines), Received::Shown);
    assert_eq!((view.top, view.follow, view.unseen), (90, true, 0));
    view
}

fn asked_from(view: &LogView) -> Option<u64> {
    view.request(source(1)).from
}

#[test]
fn going_up_lets_the_end_go_and_says_how_many_lines_came() {
    let mut view = at_end();
    view.scroll(-1);
    assert_eq!((view.follow, asked_from(&view)), (false, Some(89)));
    for (total, unseen) in [(100, 0), (103, 3), (103, 3), (110, 10)] {
        let lines = answer(&view, total, true);
        view.receive(lines);
        assert_eq!((view.unseen, view.top), (unseen, 89), "{total} lines");
    }
    view.scroll(5);
    assert_eq!((view.follow, view.top), (false, 94));
    view.scroll(6);
    assert_eq!((view.follow, view.top, view.unseen, asked_from(&view)), (true, 100, 0, None));
}

#[test]
fn an_answer_that_comes_late_moves_nothing() {
    let mut view = at_end();
    view.scroll(-10);
    let late = answer(&view, 100, true);
    view.scroll(-10);
    assert_eq!(view.receive(late), Received::Shown);
    assert_eq!(view.top, 70);
    let other = Lines { source: Some(source(7)), total: 5, counted: true, ..Lines::default() };
    assert_eq!(view.receive(other), Received::Late);
    assert_eq!(view.total(), 100);
}

#[test]
fn the_ends_are_reached_and_never_passed() {
    let mut view = at_end();
    view.scroll(i64::MIN / 2);
    assert_eq!((view.top, view.follow), (0, false));
    view.scroll(i64::MAX / 2);
    assert_eq!((view.top, view.follow), (90, true));
    // A file that became shorter.
    view.scroll(-5);
    let lines = answer(&view, 20, true);
    view.receive(lines);
    assert_eq!(view.top, 19);
}

#[test]
fn going_up_from_an_end_that_is_not_counted_waits_for_the_count() {
    let mut view = LogView { mode: LogMode::Output, ..LogView::default() };
    view.look_at(Some(source(1)));
    let lines = answer(&view, 50, false);
    view.receive(lines);
    view.scroll(-3);
    view.scroll(-4);
    assert_eq!((view.follow, asked_from(&view)), (false, None));
    let lines = answer(&view, 60, false);
    assert_eq!((view.receive(lines), view.unseen), (Received::Shown, 0));
    let lines = answer(&view, 1000, true);
    assert_eq!(view.receive(lines), Received::AskAgain);
    assert_eq!((view.unseen, asked_from(&view)), (0, Some(983)));
}

#[test]
fn to_the_beginning_and_back_to_the_end_no_counting_is_needed() {
    let mut view = LogView { mode: LogMode::Output, ..LogView::default() };
    view.look_at(Some(source(1)));
    let lines = answer(&view, 50, false);
    view.receive(lines);
    view.scroll(i64::MIN / 2);
    assert_eq!((view.follow, asked_from(&view)), (false, Some(0)));
    // The last line that was counted is not the last line.
    view.scroll(i64::MAX / 2);
    assert_eq!((view.follow, asked_from(&view)), (false, Some(40)));
    view.follow = true;
    view.scroll(-2);
    view.scroll(2);
    assert_eq!((view.follow, asked_from(&view)), (true, None));
}

#[test]
fn what_is_found_is_shown_and_the_next_search_goes_on_from_there() {
    for (back, hit, received) in [
        (false, 95, Received::Shown),
        (false, 3, Received::OnceAround),
        (true, 3, Received::Shown),
        (true, 99, Received::OnceAround),
    ] {
        let mut view = at_end();
        let request = view.look_for(source(1), Some("x".to_owned()), back).expect("a request");
        let find = request.find.expect("a search");
        assert_eq!((find.from, find.back), (90, back));
        let lines = Lines { first: hit, found: Some(true), ..answer(&view, 100, true) };
        assert_eq!(view.receive(lines), received);
        assert_eq!((view.top, view.follow), (hit, false));
        assert_eq!(
            view.look_for(source(1), None, back).and_then(|request| request.find).map(|find| find.from),
            Some(hit)
        );
    }
    let mut view = at_end();
    view.look_for(source(1), Some("x".to_owned()), false);
    let lines = Lines { found: Some(false), ..answer(&view, 100, true) };
    assert_eq!(view.receive(lines), Received::NotFound);
    assert_eq!((view.top, view.follow), (90, true));
    // Down from a hit on the last page never goes up.
    view.top = 95;
    view.scroll(1);
    assert_eq!((view.top, view.follow), (95, true));
}

#[test]
fn another_file_is_looked_at_from_its_end() {
    let mut view = at_end();
    view.scroll(-50);
    view.look_at(Some(source(1)));
    assert_eq!((view.top, view.follow), (40, false), "the same file stays where it is");
    view.look_at(Some(source(2)));
    assert_eq!((view.top, view.follow, view.unseen, view.lines.clone()), (0, true, 0, Lines::default()));
}

// ── through `update` ────────────────────────────────────────────────────────────────────────────────────────────────

const BEGUN: [&str; 2] = ["restore/restart@bcp:app1", "restore/restart@bcp:app2"];

/// A screen with a live run whose restart on two hosts has begun, and the log in focus.
fn screen() -> State {
    let now = "2026-03-01T03:15:02Z".parse().expect("a time");
    let estate = EstateFacts { name: SafeText::line("shop"), sites: Vec::new(), rpo: None };
    let mut state = State::new(estate, Badge::Live, sample::operator(), made::settings(), now);
    state.size = (120, 40);
    let mut story = Story::begun().stage("restore");
    for unit in BEGUN {
        story = story.start(unit);
    }
    for number in 0..30 {
        story = story.say(BEGUN[number % 2], if number == 7 { "the Needle" } else { "hay" });
    }
    let events = story.events.into_iter().map(Arc::new).collect();
    update(&mut state, Msg::Opened { run: sample::run_id(), events, live: true });
    state.dialog = None;
    let run = state.run.as_mut().expect("a run");
    let restart = |row: &Row| matches!(row, Row::Step(step) if step.to_string() == "restore/restart");
    run.selected = run.rows().iter().position(restart).expect("the line of the restart");
    run.keeps_up = false;
    press(&mut state, &[KeyCode::Char('4')]);
    state
}

fn press(state: &mut State, keys: &[KeyCode]) -> Vec<Effect> {
    let press = |code: &KeyCode| update(state, Msg::Key(Key { code: *code, ctrl: false, shift: false }));
    keys.iter().flat_map(press).collect()
}

/// What was asked for, and from where; several files have no attempt.
fn asked(effects: &[Effect]) -> Vec<(String, u32, Option<u64>)> {
    let of = |effect: &Effect| match effect {
        Effect::Lines(LineRequest { source: LogSource::One(file), from, .. }) => {
            Some((file.unit.to_string(), file.attempt, *from))
        }
        Effect::Lines(LineRequest { source: LogSource::Several(several), from, .. }) => {
            let part = match &several.part {
                Part::All => "all".to_owned(),
                Part::Stage(stage) => format!("stage {stage}"),
                Part::Step(step) => step.to_string(),
            };
            let host = several.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            Some((format!("{part}{host}"), 0, *from))
        }
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn asked_last(effects: &[Effect]) -> String {
    asked(effects).pop().expect("lines were asked for").0
}

#[test]
fn the_output_of_each_host_of_a_step_can_be_chosen() {
    let mut state = screen();
    assert_eq!(asked_last(&press(&mut state, &[KeyCode::Char('o')])), "all");
    assert_eq!(asked_last(&press(&mut state, &[KeyCode::Char('A')])), "restore/restart");
    let next = [KeyCode::Char('H')];
    assert_eq!(asked_last(&press(&mut state, &next)), BEGUN[0]);
    assert_eq!(asked_last(&press(&mut state, &next)), BEGUN[1]);
    assert_eq!(asked_last(&press(&mut state, &next)), "restore/restart");
    assert_eq!(state.log.host, None);
    // Where the line of one host is selected, the choice goes to the line of the other.
    let run = state.run.as_mut().expect("a run");
    run.selected += 1;
    assert_eq!(asked_last(&press(&mut state, &next)), BEGUN[0]);
    let effects = press(&mut state, &next);
    assert_eq!(asked_last(&effects), BEGUN[1]);
    let run = state.run.as_ref().expect("a run");
    assert_eq!(run.rows().get(run.selected), Some(&Row::Unit(sample::unit(BEGUN[1]))));
}

#[test]
fn what_is_said_can_be_filtered_by_host_and_an_unknown_host_changes_nothing() {
    let mut state = screen();
    let all = state.log.total();
    press(&mut state, &[KeyCode::Char('H')]);
    assert_eq!(state.log.host.as_ref().map(HostName::as_str), Some("app1"));
    let one = state.log.total();
    assert_eq!(one, 16, "it begins and says fifteen things, of {all}");
    for code in ":host nowhere".chars().map(KeyCode::Char) {
        press(&mut state, &[code]);
    }
    state.wall = state.wall.checked_add(jiff::SignedDuration::from_secs(1)).expect("a later time");
    press(&mut state, &[KeyCode::Enter]);
    assert_eq!((state.log.host.as_ref().map(HostName::as_str), state.log.total()), (Some("app1"), one));
    let refused = state.palette.as_ref().and_then(|palette| palette.trouble.as_ref()).expect("why not");
    assert_eq!(refused.as_str(), "there is no host `nowhere`: there are app1, app2, all");
}

#[test]
fn what_is_shown_is_what_is_saved() {
    let mut state = screen();
    let saved = |state: &mut State, keys: &[KeyCode]| {
        press(state, keys).into_iter().filter(|effect| !matches!(effect, Effect::Lines(_))).collect::<Vec<_>>()
    };
    let save = [KeyCode::Char('S')];
    let said = saved(&mut state, &save);
    assert!(matches!(&said[..], [Effect::SaveLog(_, text)] if text.as_str().contains("the Needle")), "{said:?}");
    press(&mut state, &[KeyCode::Char('o'), KeyCode::Char('H'), KeyCode::Char('H')]);
    let source = LogFile { run: sample::run_id(), unit: sample::unit(BEGUN[1]), attempt: 1 };
    let name = format!("changeover-{}-restore~restart~bcp~app2.1.log", sample::run_id());
    assert_eq!(saved(&mut state, &save), [Effect::SaveOutput(PathBuf::from(name), source)]);
    for code in ":save-all".chars().map(KeyCode::Char) {
        press(&mut state, &[code]);
    }
    state.wall = state.wall.checked_add(jiff::SignedDuration::from_secs(1)).expect("a later time");
    let folder = PathBuf::from(format!("changeover-{}-printed", sample::run_id()));
    assert_eq!(saved(&mut state, &[KeyCode::Enter]), [Effect::SaveOutputs(folder, sample::run_id())]);
    // What is in several files is not saved as one, and without a run there is none at all.
    press(&mut state, &[KeyCode::Char('H')]);
    assert_eq!(saved(&mut state, &save), []);
    assert!(state.notice.take().is_some_and(|notice| notice.text.as_str().contains(":save-all")));
    state.run = None;
    update(&mut state, Msg::Resize(120, 40));
    assert_eq!(saved(&mut state, &save), []);
    assert!(state.notice.take().is_some_and(|notice| notice.text.as_str().contains("no run is looked at")));
}

#[test]
fn another_attempt_is_another_file_and_is_asked_for_at_once() {
    let mut state = screen();
    state.run.as_mut().expect("a run").selected += 1;
    assert_eq!(asked_last(&press(&mut state, &[KeyCode::Char('o'), KeyCode::Char('A')])), BEGUN[0]);
    let run = state.run.as_ref().expect("a run");
    let (last, unit) = (run.seen().last().expect("an event"), sample::unit(BEGUN[0]));
    let event = |seq, kind| Arc::new(crate::run::Event { seq, at: last.at, elapsed_ms: last.elapsed_ms, kind });
    let failure = Failure::new(FailureKind::Unreachable, "ssh app1", "no answer");
    let ended = EventKind::UnitEnded {
        unit: unit.clone(),
        attempt: 1,
        outcome: Outcome::Failed { failure },
        captures: serde_json::Map::new(),
        retry_after: Some(Span(std::time::Duration::from_secs(1))),
    };
    let begun = EventKind::UnitStarted { unit, attempt: 2, params: serde_json::Map::new() };
    let (ended, begun) = (event(last.seq + 1, ended), event(last.seq + 2, begun));
    assert_eq!(asked(&update(&mut state, Msg::Event(sample::run_id(), ended))), []);
    let effects = update(&mut state, Msg::Event(sample::run_id(), begun));
    assert_eq!(asked(&effects), [(BEGUN[0].to_owned(), 2, None)]);
    let now = state.now;
    assert_eq!(asked(&update(&mut state, Msg::Tick(now))), []);
    // Of the step on this host all attempts are shown, one after the other.
    state.run.as_mut().expect("a run").selected -= 1;
    assert_eq!(asked_last(&press(&mut state, &[KeyCode::Char('H')])), "restore/restart on app1");
}

#[test]
fn what_is_printed_by_the_selected_part_is_asked_for() {
    let mut state = screen();
    press(&mut state, &[KeyCode::Char('o')]);
    assert_eq!(asked_last(&press(&mut state, &[KeyCode::Char('H')])), BEGUN[0], "nothing else runs on this host");
    press(&mut state, &[KeyCode::Char('H'), KeyCode::Char('H'), KeyCode::Char('A')]);
    for (line, wanted) in
        [(0, "backup/snapshot@prod"), (1, "stage restore"), (2, "restore/index@bcp"), (3, "restore/restart")]
    {
        state.run.as_mut().expect("a run").selected = line;
        assert_eq!(asked_last(&update(&mut state, Msg::Resize(120, 40))), wanted, "line {line}");
    }
}

#[test]
fn what_is_said_by_a_stage_can_be_chosen() {
    let mut state = screen();
    let all = state.log.total();
    state.run.as_mut().expect("a run").selected = 1;
    press(&mut state, &[KeyCode::Char('A')]);
    assert_eq!((all - state.log.total(), state.log.said_by()), (2, &Part::Stage("restore".parse().expect("a stage"))));
    state.run.as_mut().expect("a run").selected = 0;
    update(&mut state, Msg::Resize(120, 40));
    assert_eq!(state.log.total(), 0);
    assert!(text(&state, (120, 40)).contains("said by stage backup, 0 lines"));
}

// ── what is drawn ───────────────────────────────────────────────────────────────────────────────────────────────────

/// Lines as several units at both sites print them, as an answer to what was asked last.
fn printed(state: &mut State) {
    let source = state.log.asked().cloned();
    let by = |unit: &str, attempt| Some((sample::unit(unit), attempt));
    let at = |second: u32| format!("2026-03-01T03:15:{second:02}Z").parse().ok();
    let line = |at, by, text: &str| LogLine { at, by, ..LogLine::from(SafeText::line(text)) };
    let lines = vec![
        line(at(1), by("backup/snapshot@prod", 1), "{\"snapshot\":\"p-20260301t031500z\",\"state\":\"SUCCESS\"}"),
        line(at(2), by("restore/a-step-with-a-long-name@bcp:app1", 1), "its name is cut, its place is not"),
        line(at(3), by("restore/restart@bcp:app1", 1), "app.service: start request repeated too quickly"),
        line(at(3), by("restore/restart@bcp:app2", 1), "app.service: active (running)"),
        line(
            at(9),
            by("restore/restart@bcp:app1", 2),
            "app.service: active (running), which takes more cells than a pane has that is as narrow as this one",
        ),
        line(at(10), by("restore/note", 1), "the console's own"),
        line(None, by("restore/index@bcp", 1), "nobody knows when this came"),
    ];
    let total = lines.len() as u64;
    let lines = Lines { source, total, counted: true, bytes: 400, lines, ..Lines::default() };
    update(state, Msg::Lines(Box::new(lines)));
}

fn at_sizes(name: &str, state: &State) {
    for size in [(80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(state, size));
    }
}

#[test]
fn what_all_print_is_drawn_with_time_and_place() {
    let mut state = screen();
    press(&mut state, &[KeyCode::Char('o')]);
    at_sizes("printed_nothing", &state);
    printed(&mut state);
    at_sizes("printed_all", &state);
    press(&mut state, &[KeyCode::Char('z'), KeyCode::Char('w')]);
    printed(&mut state);
    at_sizes("printed_all_wrapped", &state);
    press(&mut state, &[KeyCode::Char('t'), KeyCode::Char('A')]);
    printed(&mut state);
    at_sizes("printed_step", &state);
    press(&mut state, &[KeyCode::Char('t'), KeyCode::Char('H')]);
    printed(&mut state);
    at_sizes("printed_host", &state);
}

#[test]
fn what_a_program_colours_is_shown_as_the_theme_shows_what_it_means() {
    let mut state = screen();
    press(&mut state, &[KeyCode::Char('o'), KeyCode::Char('z'), KeyCode::Char('A')]);
    let raw = format!("ok \u{1b}[1;31mFAILED{}\u{1b}[0m tail", " again".repeat(30));
    let show = |state: &mut State| {
        let TintedLine { text, tints } = TintedLine::start(raw.as_bytes(), raw.len() as u64);
        let lines = vec![LogLine { tints, ..LogLine::from(text) }];
        let source = state.log.asked().cloned();
        let lines = Lines { source, total: 1, counted: true, bytes: 400, lines, ..Lines::default() };
        update(state, Msg::Lines(Box::new(lines)));
        state.clone()
    };
    // The look of the first cell of a word.
    let look = |state: &State, word: &str| {
        let cells = drawn(state, (100, 30));
        let rows = (0..30).map(|y| (0..100).map(|x| cells[(x, y)].symbol()).collect::<Vec<_>>());
        let found = rows.enumerate().find_map(|(y, row)| {
            let x = (0..row.len()).find(|x| row[*x..].concat().starts_with(word))?;
            Some(cells[(u16::try_from(x).ok()?, u16::try_from(y).ok()?)].style())
        });
        found.unwrap_or_else(|| panic!("no {word}"))
    };
    let whole = show(&mut state);
    assert_ne!(look(&whole, "FAILED"), look(&whole, "ok "));
    state.log.left = 5;
    let scrolled = show(&mut state);
    assert_eq!(look(&scrolled, "ILED again"), look(&whole, "FAILED"), "the places are those of the whole line");
    state.log.left = 0;
    press(&mut state, &[KeyCode::Char('w')]);
    let wrapped = show(&mut state);
    assert_eq!(look(&wrapped, "ok "), look(&whole, "ok "));
    assert_eq!(look(&wrapped, "FAILED"), look(&whole, "FAILED"));
    assert_eq!(look(&wrapped, "tail"), look(&whole, "ok "), "after the cut too");
    state.log.search = Some("again".to_owned());
    assert_eq!(look(&show(&mut state), "FAILED"), look(&whole, "ok "), "only what was found stands out");
}

#[test]
fn lines_of_several_are_copied_with_time_and_place_and_those_of_one_as_they_are() {
    let mut state = screen();
    press(&mut state, &[KeyCode::Char('o')]);
    printed(&mut state);
    let copied = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Copy(text), Effect::Lines(_)] => text.to_string(),
        other => panic!("{other:?}"),
    };
    let all = copied(press(&mut state, &[KeyCode::Char('C')]));
    assert!(
        all.contains("2026-03-01 03:15:09 UTC  restart@bcp:app1 #2  app.service: active (running), which"),
        "{all}"
    );
    assert!(all.ends_with("-  index@bcp  nobody knows when this came"), "{all}");
    press(&mut state, &[KeyCode::Char('H')]);
    printed(&mut state);
    let one = copied(press(&mut state, &[KeyCode::Char('C')]));
    assert!(one.starts_with("{\"snapshot\"") && one.ends_with("\nnobody knows when this came"), "{one}");
}

#[test]
fn searching_what_was_said_goes_once_around_both_ways() {
    let mut state = screen();
    for code in "/needle".chars().map(KeyCode::Char).chain([KeyCode::Enter]) {
        press(&mut state, &[code]);
    }
    let hit = state.log.top;
    assert!(!state.log.follow && hit > 0, "{hit}");
    for key in ['n', 'N'] {
        state.notice = None;
        press(&mut state, &[KeyCode::Char(key)]);
        assert_eq!(state.log.top, hit, "{key}");
        let notice = state.notice.as_ref().expect("a notice").text.clone();
        assert!(notice.as_str().contains("once around"), "{notice}");
    }
    press(&mut state, &[KeyCode::Char('e')]);
    assert_eq!(state.notice.as_ref().map(|notice| notice.text.as_str()), Some("nothing found"));
}

#[test]
fn what_has_come_is_in_sight_however_long_a_name_is() {
    let mut state = screen();
    press(&mut state, &[KeyCode::Char('o'), KeyCode::Char('A')]);
    printed(&mut state);
    press(&mut state, &[KeyCode::Char('k')]);
    let lines = Lines { total: 1_000_007, ..state.log.lines.clone() };
    update(&mut state, Msg::Lines(Box::new(lines)));
    assert!(text(&state, (80, 24)).contains(" 1000007 lines, 1000000 new, f follows ┘"), "{}", text(&state, (80, 24)));
    let wide = " printed by resta…, 1000007 lines, 1000000 new lines, f follows ┘";
    assert!(text(&state, (120, 40)).contains(wide), "{}", text(&state, (120, 40)));
}
