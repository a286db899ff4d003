//! The demo's own in a real terminal: a story played to its card, one that is left, and the guided tour followed to its end.

use std::path::Path;

use tempfile::TempDir;

use super::PROGRAM;
use super::screen::Screen;

/// The demo with these arguments, and the folder that it lives in.
fn demo(arguments: &[&str], width: u16, height: u16) -> (Screen, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let state = state.to_str().expect("a path");
    let all = [&["--state-dir", state, "demo"], arguments].concat();
    (Screen::start(Path::new(PROGRAM), &all, folder.path(), width, height), folder)
}

/// A story, its briefing read and closed.
fn story(name: &str, speed: &str, width: u16, height: u16) -> (Screen, TempDir) {
    let (mut screen, folder) = demo(&["--scenario", name, "--speed", speed], width, height);
    screen.sees("Enter starts the clock");
    let shown = screen.shown();
    let header = shown.lines().next().expect("a header");
    assert!(header.contains("SIMULATED") && header.contains(name) && header.contains("  0s of "), "{header}");
    screen.press_until(&["\r"], "the beginning", |shown| !shown.contains("Enter starts the clock"));
    (screen, folder)
}

/// How many minutes the clock of a story of an hour shows.
fn minutes(shown: &str) -> Option<u32> {
    let (before, _) = shown.lines().next()?.split_once(" of 1h")?;
    before.rsplit(' ').next()?.split_once('m')?.0.parse().ok()
}

#[test]
fn a_story_is_played_to_its_card() {
    let (mut screen, _folder) = story("standby-disk-full", "30", 120, 40);
    screen.sees("replicate failed after");
    screen.send(":");
    screen.sees(" Palette");
    screen.send("note the standby has no room");
    screen.press_until(&["\r"], "that it is noted", |shown| shown.contains("noted") && !shown.contains(" Palette"));
    // The room comes back eight minutes after the beginning.
    screen.wait("the time when there is room", |shown| minutes(shown).is_some_and(|minutes| minutes >= 9));
    screen.press_until(&["3", "R"], "the question", |shown| shown.contains("up again?"));
    screen.press_until(&["\u{15}", "y", "\r"], "the resumption", |shown| !shown.contains("up again?"));
    let words =
        ["SIMULATED", "done after", "noticed", "the operator resumes the run", "data behind", "How it can be won"];
    screen.wait("the card", |shown| words.iter().all(|words| shown.contains(words)));
    screen.press_until(&["\u{1b}"], "the panes", |shown| !shown.contains("How it can be won"));
    screen.send("q");
    assert_eq!(screen.ended(), 0, "{}", screen.shown());
    screen.wait("the card", |shown| shown.contains("green  ") && shown.contains("bcp is well, with a whole copy"));
    assert!(!screen.is_full() && screen.shown().contains("SIMULATED\n"), "{}", screen.shown());
}

#[test]
fn a_story_that_is_left_prints_how_far_it_went() {
    let (mut screen, _folder) = story("source-dies", "20", 80, 24);
    screen.wait("that the site is gone", |shown| shown.contains("PROD is DOWN") || shown.contains("PROD is UNKNOWN"));
    screen.send("q");
    screen.sees("the story is not over");
    screen.send("q");
    assert_eq!(screen.ended(), 1, "what the story calls done was not reached");
    screen.wait("the card", |shown| shown.contains("left         before its end"));
    let card = screen.shown();
    assert!(card.contains("broke   ") && card.contains("done         not done"), "{card}");
}

#[test]
fn a_story_for_a_person_goes_at_the_speed_of_one() {
    let (mut screen, _folder) = demo(&["--scenario", "source-dies", "--speed", "max"], 80, 24);
    assert_eq!(screen.ended(), 2);
    screen.wait("why not", |shown| shown.contains("you are to act in it") && shown.contains("--headless"));
}

/// The line of the tour.
fn hint(shown: &str) -> String {
    shown.lines().find(|line| line.starts_with(" Tour ")).unwrap_or_default().trim_end().to_owned()
}

/// What the hints ask for. Nothing where something is waited for.
const ASKED: [(&str, &[&str]); 14] = [
    ("it is about to begin", &[]),
    ("esc closes this", &["\u{1b}"]),
    ("2 shows what can be carried out", &["2"]),
    ("j goes down", &["j"]),
    ("k goes up", &["k"]),
    ("s starts it", &["s"]),
    ("enter makes the plan", &["\r"]),
    ("both sites are asked", &[]),
    ("type y and then enter", &["\u{15}", "y", "\r"]),
    ("4 shows what its steps say", &["4"]),
    ("it ends with a count", &[]),
    ("a answers", &["a"]),
    ("5 lists the runs of the past", &["5"]),
    ("j chooses an older run, enter opens it", &["j", "\r"]),
];

#[test]
fn whoever_follows_the_tour_comes_to_its_end() {
    let (mut screen, _folder) = demo(&["--speed", "20"], 80, 24);
    screen.sees("Tour 1/5");
    let mut followed = Vec::new();
    while !hint(&screen.shown()).contains("that was it") {
        let now = hint(&screen.shown());
        assert!(followed.len() < 60, "the tour goes round and round: {followed:#?}");
        let other = |shown: &str| hint(shown) != now && !hint(shown).is_empty();
        match ASKED.iter().find(|(words, _)| now.contains(words)) {
            Some((_, [])) => screen.wait("the next hint", other),
            Some((_, keys)) => screen.press_until(keys, "the next hint", other),
            // A run has just begun, and the list of runs is about to say so, or the other way round.
            None => screen.wait("the next hint", other),
        }
        followed.push(now);
    }
    for stop in ["Tour 1/5", "Tour 2/5", "Tour 4/5", "Tour 5/5"] {
        assert!(followed.iter().any(|hint| hint.contains(stop)), "{stop} was never seen: {followed:#?}");
    }
    assert!(followed.iter().any(|hint| hint.contains("a answers")), "nothing was asked: {followed:#?}");
    screen.press_until(&["T"], "the end of the tour", |shown| hint(shown).is_empty());
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}

#[test]
fn a_simulated_world_can_be_only_looked_at() {
    let (mut screen, _folder) = demo(&["--speed", "20", "--read-only"], 120, 40);
    screen.sees("last copy 4m");
    screen.sees("epoch 1");
    screen.send("2");
    screen.sees("[2 Runbooks]");
    screen.press_until(&["s"], "that nothing can be begun", |shown| shown.contains("this console only looks"));
    let shown = screen.shown();
    assert!(shown.contains(" SIMULATED  READ-ONLY ") && !shown.contains("Tour "), "{shown}");
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}

#[test]
fn without_the_tour_there_is_none() {
    let (mut screen, _folder) = demo(&["--speed", "20", "--no-tour"], 80, 24);
    screen.sees("last copy 4m");
    screen.send("2");
    screen.sees("[2 Runbooks]");
    assert!(!screen.shown().contains("Tour"), "{}", screen.shown());
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}
