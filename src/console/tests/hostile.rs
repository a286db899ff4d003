//! Names and texts from outside that mean to deceive: nothing of them leaves its place, and nothing is obeyed.

use unicode_width::UnicodeWidthStr;

use super::made::*;
use super::picture::{drawn, text};
use crate::console::facts::DirectionFacts;
use crate::console::{Msg, Pane, State, update};
use crate::health::Condition;
use crate::model::SafeText;
use crate::run::EventKind;
use crate::run::sample;

pub const HOSTILE: [&str; 8] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31mred\u{1b}[0m",
    "safe \u{202e}drop\u{2066} bidi \u{200b}zero\u{200d} width",
    "生产环境数据库和搜索引擎都好",
    "🔥🚒👩‍👩‍👧 family 🇩🇪",
    "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307} combining",
    "one\ntwo\r\nthree\tfour",
    "\u{9b}31m\u{9d}8;;http://x\u{9c} c1",
    "LIVE  shop  PROD ══▶ BCP │ └──┘ done",
];

pub fn long() -> String {
    "name".repeat(75)
}

/// A screen on which every text from outside is this one.
fn infested(word: &str) -> State {
    let evil = || SafeText::block(word);
    let line = || SafeText::line(word);
    let mut state = with_run(running().say(INDEX, word), true);
    state.estate.name = line();
    for site in &mut state.estate.sites {
        site.title = line();
    }
    let trouble = DirectionFacts { trouble: Some(evil()), ..state.direction.clone() };
    update(&mut state, Msg::Direction(Box::new(trouble)));
    for book in &mut state.runbooks {
        (book.name, book.title, book.mode, book.text) = (line(), line(), line(), evil());
    }
    for run in &mut state.runs {
        (run.runbook, run.title, run.by, run.word, run.direction) = (line(), line(), line(), line(), line());
        if let Some(point) = &mut run.point {
            (point.id, point.incomplete) = (line(), Some(evil()));
        }
    }
    for name in ["app", "db"] {
        let mut bad = reading(Condition::Degraded, word, Some(word), 1.0);
        (bad.source, bad.findings) = (evil(), vec![evil()]);
        for ago in [1, 0] {
            let mut looked = answer("bcp", name, ago, Ok(bad.clone()));
            let Msg::Health(seen) = &mut looked else { panic!("an answer is about health") };
            seen.transcript = evil();
            update(&mut state, looked);
        }
    }
    update(&mut state, Msg::Told { text: evil(), bad: true });
    state
}

/// Every cell holds what a terminal prints in exactly its width, and frames stand where they stood.
pub fn is_sane(state: &State, size: (u16, u16)) {
    let cells = drawn(state, size);
    let mut x = 0;
    for (number, cell) in cells.content().iter().enumerate() {
        let column = number % usize::from(size.0);
        if column == 0 {
            x = 0;
        }
        let symbol = cell.symbol();
        for c in symbol.chars() {
            assert!(
                !c.is_control()
                    && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'),
                "{symbol:?}"
            );
        }
        assert!(symbol.chars().count() <= 5, "{symbol:?} has too many marks");
        if column >= x {
            x = column + symbol.width().max(1);
            assert!(x <= usize::from(size.0), "{symbol:?} hangs over the edge");
        }
    }
}

#[test]
fn in_every_place() {
    for word in HOSTILE.into_iter().map(str::to_owned).chain([long()]) {
        for pane in Pane::ALL {
            for zoom in [false, true] {
                let mut state = infested(&word);
                state.go(pane);
                state.zoom = zoom;
                for size in [(40, 12), (61, 16), (83, 25)] {
                    is_sane(&state, size);
                    press(&mut state, "enter");
                    is_sane(&state, size);
                    press(&mut state, "esc");
                }
            }
        }
    }
}

#[test]
fn right_frames_stand_in_their_column() {
    for word in HOSTILE.into_iter().map(str::to_owned).chain([long()]) {
        for pane in Pane::ALL {
            let mut state = infested(&word);
            state.go(pane);
            state.zoom = true;
            let cells = drawn(&state, (100, 30));
            // What is told takes the lines below.
            for y in 3..26 {
                for x in [0, 99] {
                    let symbol = cells.cell((x, y)).map(ratatui::buffer::Cell::symbol);
                    assert_eq!(symbol, Some("│"), "{pane:?} {word:?} at {x},{y}\n{}", text(&state, (100, 30)));
                }
            }
        }
    }
}

/// However long a name is, the columns after it stay where they are, and where it is cut is seen.
#[test]
fn columns_stay_in_their_place() {
    let place = |shown: &str, word: &str| {
        let line = shown.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}\n{shown}"));
        line.split_once(word).map(|(before, _)| before.width())
    };
    for word in HOSTILE.into_iter().map(str::to_owned).chain([long()]) {
        let mut state = full();
        state.runbooks.truncate(2);
        let ordinary = state.runbooks[1].clone();
        let (name, mode) = (&ordinary.name, &mut state.runbooks[0].mode);
        *mode = SafeText::line(&word);
        let name = name.to_string();
        state.runbooks[0].name = SafeText::line(&word);
        state.runs.clear();
        state.go(Pane::Runbooks);
        state.zoom = true;
        for width in [60, 120, 200] {
            let shown = text(&state, (width, 20));
            let lines: Vec<&str> = shown.lines().skip(3).take(2).collect();
            assert_eq!(place(lines[0], "never run here"), place(lines[1], "never run here"), "{name}\n{shown}");
        }
        for run in runs() {
            let mut state = full();
            state.go(Pane::Runs);
            let took = format!(" {} ", crate::model::Span(run.took));
            state.runs = vec![run.clone(), run];
            (state.runs[0].runbook, state.runs[0].by) = (SafeText::line(&word), SafeText::line(&word));
            for size in [(60, 15), (80, 24), (200, 60)] {
                let shown = text(&state, size);
                let at = |line: &str| line.split_once(&took).map(|(before, _)| before.width());
                let places: Vec<_> = shown.lines().filter_map(at).take(2).collect();
                assert!(places.len() == 2 && places[0] == places[1], "{word:?}\n{shown}");
            }
        }
        let mut state = full();
        state.estate.name = SafeText::line(&word);
        let header = text(&state, (80, 24));
        let whole = header.contains(state.estate.name.as_str());
        assert!(whole || header.lines().next().is_some_and(|line| line.contains("…  PROD")), "{header}");
    }
}

#[test]
fn pictures() {
    for (name, word) in [("escapes", HOSTILE[0]), ("wide", HOSTILE[2]), ("bidi", HOSTILE[1])] {
        insta::assert_snapshot!(format!("hostile_{name}_80x24"), text(&infested(word), (80, 24)));
    }
    insta::assert_snapshot!("hostile_long_80x24", text(&infested(&long()), (80, 24)));
    let mut marks = infested(HOSTILE[4]);
    marks.go(Pane::Log);
    insta::assert_snapshot!("hostile_marks_120x40", text(&marks, (120, 40)));
}

/// In dialogs, in what is copied and in the terminal's title.
#[test]
fn in_questions_and_effects() {
    for word in HOSTILE {
        let mut state = infested(word);
        state.go(Pane::Runbooks);
        press(&mut state, "s");
        for size in [(61, 15), (120, 40)] {
            is_sane(&state, size);
        }
        let prompt = crate::run::Prompt {
            id: crate::run::PromptId(9),
            unit: sample::unit(ONE),
            kind: crate::run::PromptKind::Confirm,
            message: SafeText::block(word),
            level: crate::runbook::GuardLevel::Reversible,
            phrase: Some(SafeText::line(word)),
        };
        let story = restored().then(1, EventKind::PromptOpened { prompt }).say(ONE, word);
        let mut state = with_run(story, true);
        press(&mut state, "a");
        typed(&mut state, "x", 100);
        for size in [(60, 15), (81, 24)] {
            is_sane(&state, size);
        }
        press(&mut state, "esc 4 y");
        for effect in press(&mut state, "y C S r q") {
            let shown = format!("{effect:?}");
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown}");
        }
    }
}

/// What a person types or pastes is text too.
#[test]
fn in_fields() {
    for word in HOSTILE.into_iter().map(str::to_owned).chain([long()]) {
        for keys in ["/", ":"] {
            let mut state = full();
            state.go(Pane::Runs);
            press(&mut state, keys);
            update(&mut state, Msg::Paste(word.clone()));
            for size in [(60, 15), (81, 24)] {
                is_sane(&state, size);
            }
            press(&mut state, "home");
            is_sane(&state, (80, 24));
        }
        let mut form = full();
        form.go(Pane::Runbooks);
        press(&mut form, "G s");
        update(&mut form, Msg::Paste(word));
        is_sane(&form, (80, 24));
        let shown = text(&form, (80, 24));
        assert!(shown.contains("tab next field"), "{shown}");
    }
}
