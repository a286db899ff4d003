//! The screen: how long a frame takes and whether drawing holds on to memory; how soon a key is seen while a log is flooded;
//! how soon the first frame is there while no site can be reached, and what an idle console costs.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]

#[path = "support/terminal.rs"]
mod terminal;

use std::alloc::System;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use changeover::cli::lines::LineStore;
use changeover::console::facts::{DirectionFacts, EstateFacts, SiteFacts};
use changeover::console::keys::{Keymap, parse_key};
use changeover::console::log::{Lines, LogSource};
use changeover::console::{Badge, Effect, Msg, Pane, Settings, State, update, view};
use changeover::health::{HealthState, Observation, ProbeHealth, ProbeKey, Subject};
use changeover::journal::Printed;
use changeover::model::{Direction, SafeText, SiteName};
use changeover::run::{Event, EventKind, Operator};
use changeover::style::Theme;
use changeover::systems::{Condition, Figure, Reading, Unit};
use criterion::Criterion;
use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use terminal::Terminal;

/// Counts what is allocated and given back.
#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PROGRAM: &str = env!("CARGO_BIN_EXE_changeover");
const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 50 };

fn main() {
    let mut state = full();
    let mut criterion = Criterion::default().configure_from_args();
    for pane in Pane::ALL {
        state.go(pane);
        let mut screen = Screen::default();
        criterion.bench_function(&format!("frame 200x50, pane {}", pane.title()), |bench| {
            bench.iter(|| screen.frame(&state));
        });
    }
    long_lines(&mut criterion, full());
    criterion.final_summary();
    growth(&mut state);
    flood(state.clone(), false);
    flood(state.clone(), true);
    large_file(state);
    idle();
}

/// As the terminal is drawn: a new picture, and what of it differs from the one before.
#[derive(Default)]
struct Screen {
    shown: Buffer,
    next: Buffer,
}

impl Screen {
    fn frame(&mut self, state: &State) -> usize {
        if self.shown.area != AREA {
            self.shown.resize(AREA);
            self.next.resize(AREA);
        }
        self.next.reset();
        view::draw(state, AREA, &mut self.next);
        let changed = black_box(self.shown.diff(&self.next)).len();
        std::mem::swap(&mut self.shown, &mut self.next);
        changed
    }
}

/// The events of a run that the demo plays: the same each time.
fn events() -> Vec<Arc<Event>> {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().to_str().expect("a path");
    let out = Command::new(PROGRAM)
        .args(["--state-dir", state, "demo", "--headless", "--speed", "max", "--output", "json"])
        .output()
        .expect("the demo");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let events: Vec<_> =
        text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok()).map(Arc::new).collect();
    assert!(events.len() > 100, "only {} events", events.len());
    events
}

/// Two sites with ten things each, minutes of history, and a run in its middle.
fn full() -> State {
    let events = events();
    let now = events[events.len() / 2].at;
    let sites = ["prod", "bcp"].map(|name| SiteName::new(name).expect("a name"));
    let estate = EstateFacts {
        name: SafeText::line("shop"),
        sites: sites
            .iter()
            .map(|name| SiteFacts {
                name: name.clone(),
                title: SafeText::line(name.as_str()),
                services: BTreeMap::new(),
            })
            .collect(),
        rpo: None,
    };
    let settings = Settings {
        theme: Theme::default(),
        themes: Vec::new(),
        ascii: false,
        reduced_motion: false,
        mouse: false,
        bell: false,
        notify: false,
        privacy: false,
        zone: jiff::tz::TimeZone::UTC,
        keys: Keymap::default(),
    };
    let by = Operator { name: SafeText::line("ops"), through: SafeText::line("bench") };
    let mut state = State::new(estate, Badge::Live, by, settings, now);
    state.size = (AREA.width, AREA.height);
    let subjects = ["app", "assets", "cache", "config", "db", "search"]
        .map(|name| Subject::Service(name.parse().expect("a name")));
    let hosts = ["app1", "app2", "db1"].map(|name| Subject::Host(name.parse().expect("a name")));
    let subjects: Vec<Subject> = subjects.into_iter().chain(hosts).chain([Subject::Exchange]).collect();
    let keys: Vec<ProbeKey> = sites
        .iter()
        .flat_map(|site| {
            subjects.iter().map(|subject| ProbeKey { site: site.clone(), subject: subject.clone(), question: "state" })
        })
        .collect();
    state.health =
        HealthState::new(keys.iter().map(|key| (key.clone(), ProbeHealth::new(Duration::from_secs(10), 2, 2))));
    for ago in (0..40).rev() {
        for (number, key) in (0_u32..).zip(&keys) {
            let reading = Reading {
                condition: Condition::Up,
                summary: SafeText::line("green, 3 nodes, 12 indices, 1234567 documents"),
                findings: Vec::new(),
                figures: vec![Figure::new("documents", f64::from(number * 7 + ago % 9), Unit::Count)],
                source: SafeText::line("10.0.1.11:9200"),
            };
            let at = now - SignedDuration::from_secs(i64::from(ago) * 10);
            let took = Duration::from_millis(40);
            let transcript = SafeText::block("> GET http://10.0.1.11:9200/\nstatus 200\n{}");
            let seen = Observation { key: key.clone(), at, took, result: Ok(reading), transcript };
            feed(&mut state, Msg::Health(Box::new(seen)));
        }
    }
    let direction = Direction { source: sites[0].clone(), target: sites[1].clone() };
    let facts = DirectionFacts { direction: Some(direction), epoch: Some(1), trouble: None };
    feed(&mut state, Msg::Direction(Box::new(facts)));
    let half = events[..events.len() / 2].to_vec();
    let EventKind::RunCreated { run, .. } = &half[0].kind else { panic!("no run was created") };
    feed(&mut state, Msg::Opened { run: run.clone(), events: half, live: true });
    feed(&mut state, Msg::Tick(now));
    state.dialog = None;
    state
}

fn feed(state: &mut State, msg: Msg) -> Vec<Effect> {
    update(state, msg)
}

/// Keys, one a second.
fn press(state: &mut State, keys: &str, at: &mut i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.split(' ') {
        *at += 1;
        feed(state, Msg::Wall(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(*at)));
        effects.extend(feed(state, Msg::Key(parse_key(key).expect("a key"))));
    }
    effects
}

/// A thousand frames of each pane hold on to nothing.
fn growth(state: &mut State) {
    println!("\n| pane | allocations a frame | bytes a frame | kept after 1000 frames |\n|---|---|---|---|");
    for pane in Pane::ALL {
        state.go(pane);
        let mut screen = Screen::default();
        for second in 0..10 {
            feed(state, Msg::Tick(state.now + SignedDuration::from_secs(second)));
            screen.frame(state);
        }
        let region = Region::new(MEMORY);
        for _ in 0..1000 {
            screen.frame(state);
        }
        let used = region.change();
        // What a piece grows by when it is allocated again is among both already.
        let kept = used.bytes_allocated.cast_signed() - used.bytes_deallocated.cast_signed();
        println!("| {} | {} | {} | {kept} |", pane.title(), used.allocations / 1000, used.bytes_allocated / 1000);
        assert!(kept.abs() < 1024, "pane {} keeps {kept} bytes of a thousand frames", pane.title());
    }
}

/// Keys until the output of a step with one file is shown; what they want done.
fn show_output(state: &mut State, at: &mut i64) -> Vec<Effect> {
    press(state, "3 g g", at);
    for _ in 0..40 {
        let asked = press(state, "enter o", at);
        if asked
            .iter()
            .any(|effect| matches!(effect, Effect::Lines(asked) if matches!(asked.source, LogSource::One(_))))
        {
            return asked;
        }
        press(state, "o 3 j", at);
    }
    panic!("no output is shown");
}

/// A screen full of the longest lines that are kept, wrapped: one of a single word, and one of many.
fn long_lines(criterion: &mut Criterion, mut state: State) {
    let mut at = 0;
    show_output(&mut state, &mut at);
    press(&mut state, "w", &mut at);
    let source = state.log.asked().cloned();
    for (name, line) in [
        ("one word", SafeText::line_start(&[b'x'; SafeText::LONGEST], 90_000)),
        ("words", SafeText::line(&"word ".repeat(SafeText::LONGEST / 5))),
    ] {
        let lines = Lines {
            source: source.clone(),
            total: 60,
            counted: true,
            lines: vec![line.into(); 60],
            ..Lines::default()
        };
        feed(&mut state, Msg::Lines(Box::new(lines)));
        let mut screen = Screen::default();
        criterion.bench_function(&format!("frame 200x50, sixty long lines wrapped, {name}"), |bench| {
            bench.iter(|| screen.frame(&state));
        });
    }
}

/// 50,000 lines a second come into the file that is shown, or into two that are shown as one text; one in a hundred lines has
/// 90,000 characters.
fn flood(mut state: State, several: bool) {
    let folder = tempfile::tempdir_in(std::env::var_os("BENCH_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from))
        .expect("a folder");
    let mut at = 0;
    let mut asked = show_output(&mut state, &mut at);
    let Some(LogSource::One(file)) = state.log.asked().cloned() else { panic!("no file is shown") };
    if several {
        asked = press(&mut state, "A", &mut at);
    }
    let place = Printed { folder: folder.path().to_owned(), index: folder.path().join("output.index"), alive: true };
    let attempts = if several { file.attempt..=file.attempt + 1 } else { file.attempt..=file.attempt };
    let paths: Vec<PathBuf> = attempts.map(|attempt| place.file(&file.unit, attempt)).collect();
    for path in paths.iter().chain([&place.index]) {
        std::fs::write(path, "").expect("a file");
    }
    let index = place.index.clone();
    let (store, mut answers) = LineStore::start(move |_| Some(place.clone()));
    let ask = |effects: Vec<Effect>| {
        for effect in effects {
            if let Effect::Lines(request) = effect {
                store.ask(request);
            }
        }
    };
    ask(asked);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || write_flood(&paths, &index, &stop)
    });
    let mut screen = Screen::default();
    let (mut frames, mut taken, mut keys, mut slowest) = (0_u32, 0_u32, Vec::new(), Duration::ZERO);
    let (began, before) = (Instant::now(), MEMORY.stats());
    let mut peak = 0;
    while began.elapsed() < Duration::from_secs(10) {
        let from = Instant::now();
        while let Ok(lines) = answers.try_recv() {
            taken += u32::from(lines.total > 1000);
            ask(feed(&mut state, Msg::Lines(Box::new(lines))));
        }
        screen.frame(&state);
        // The worst moment for a key: just after lines have been taken in hand.
        ask(press(&mut state, if frames.is_multiple_of(2) { "w" } else { "t" }, &mut at));
        screen.frame(&state);
        let took = from.elapsed();
        keys.push(took);
        slowest = slowest.max(took);
        frames += 1;
        let now = MEMORY.stats();
        let held =
            |stats: &stats_alloc::Stats| stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed();
        peak = peak.max(held(&now) - held(&before));
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    let (lines, bytes, took) = writer.join().expect("the writer");
    keys.sort();
    assert!(taken > 20, "the flood was seen only {taken} times");
    println!(
        "\nflood into {}, looked at {taken} times: {:.0} lines and {:.1} MB a second for {:.1}s; key to paint: median {:?}, 99 of 100 {:?}, slowest {slowest:?}; \
         memory above before: {:.1} MiB at most",
        if several { "two files" } else { "one file" },
        f64::from(lines) / took.as_secs_f64(),
        bytes / 1e6 / took.as_secs_f64(),
        took.as_secs_f64(),
        keys[keys.len() / 2],
        keys[keys.len() * 99 / 100],
        as_f64(peak) / 1_048_576.0
    );
}

/// A file of 2 GB is opened: when its end is in sight, when its beginning is, and when all its lines are counted.
fn large_file(mut state: State) {
    let folder = tempfile::tempdir_in(std::env::var_os("BENCH_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from))
        .expect("a folder");
    let (mut at, mut peak) = (0, 0);
    let asked = show_output(&mut state, &mut at);
    let Some(LogSource::One(shown)) = state.log.asked().cloned() else { panic!("no file is shown") };
    let place = Printed { folder: folder.path().to_owned(), index: folder.path().join("output.index"), alive: false };
    let path = place.file(&shown.unit, shown.attempt);
    let block = "a line of a usual length, of which a long restore prints millions: 0123456789\n".repeat(13_000);
    let mut file = std::fs::File::create(&path).expect("a file");
    for _ in 0..2_000 {
        file.write_all(block.as_bytes()).expect("room for 2 GB");
    }
    let bytes = as_f64(2_000 * block.len().cast_signed());
    let before = MEMORY.stats();
    let (store, mut answers) = LineStore::start(move |_| Some(place.clone()));
    let mut screen = Screen::default();
    // Until what comes is as it is wanted; the time includes the frame that shows it.
    let mut seen = |state: &mut State, effects: Vec<Effect>, wanted: &dyn Fn(&State) -> bool| {
        let began = Instant::now();
        let mut asked = effects;
        loop {
            for effect in asked.drain(..) {
                if let Effect::Lines(request) = effect {
                    store.ask(request);
                }
            }
            let lines = answers.blocking_recv().expect("the reader lives");
            asked = feed(state, Msg::Lines(Box::new(lines)));
            screen.frame(state);
            let now = MEMORY.stats();
            let held = |stats: &stats_alloc::Stats| {
                stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed()
            };
            peak = peak.max(held(&now) - held(&before));
            if wanted(state) {
                return began.elapsed();
            }
        }
    };
    let end = seen(&mut state, asked, &|state| !state.log.lines.lines.is_empty());
    let asked = press(&mut state, "g g", &mut at);
    let beginning = seen(&mut state, asked, &|state| state.log.lines.first == 0 && !state.log.follow);
    let asked = press(&mut state, "G", &mut at);
    let counted = seen(&mut state, asked, &|state| state.log.lines.counted);
    println!(
        "a file of {:.1} GB, in the system's memory: its end is in sight after {end:?}, its beginning after {beginning:?}, \
         all {} lines are counted after {counted:?}; memory above before: {:.1} MiB at most",
        bytes / 1e9,
        state.log.lines.total,
        as_f64(peak) / 1_048_576.0
    );
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn as_f64(bytes: isize) -> f64 {
    bytes as f64
}

/// Writes into files in turn, and into their index, until it is stopped: how many lines, bytes, and how long.
fn write_flood(paths: &[PathBuf], index: &Path, stop: &AtomicBool) -> (u32, f64, Duration) {
    let append = |path: &Path| std::fs::OpenOptions::new().append(true).open(path).expect("the file");
    let (mut files, mut index): (Vec<_>, _) = (paths.iter().map(|path| append(path)).collect(), append(index));
    let (short, long) =
        ("a line of the flood, of a usual length, with a number: ".repeat(2), "0123456789".repeat(9_000));
    let mut text = String::new();
    for number in 0..500 {
        text.push_str(if number % 100 == 0 { &long } else { &short });
        text.push('\n');
    }
    let (began, mut lines, mut bytes, mut ends) = (Instant::now(), 0_u32, 0.0, vec![0; paths.len()]);
    for which in (0..paths.len()).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        files[which].write_all(text.as_bytes()).expect("room for the flood");
        let (name, from) = (paths[which].file_stem().expect("a name").to_string_lossy(), ends[which]);
        ends[which] += text.len();
        // Several times as often as it is really written.
        writeln!(index, "{} {from} {} {name}", began.elapsed().as_millis(), ends[which]).expect("room for the index");
        lines += 500;
        bytes += as_f64(text.len().cast_signed());
        let due = Duration::from_micros(u64::from(lines) * 20);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    (lines, bytes, began.elapsed())
}

/// The console over two sites that nobody can reach: the first frame, and twenty seconds of nothing.
fn idle() {
    let folder = tempfile::tempdir().expect("a folder");
    let estate = Command::new(PROGRAM).args(["demo", "--print-estate"]).output().expect("the estate").stdout;
    // Addresses that belong to nobody: RFC 5737.
    let estate =
        String::from_utf8(estate).expect("UTF-8").replace("10.0.1.", "192.0.2.").replace("10.0.2.", "198.51.100.");
    let file = folder.path().join("estate.toml");
    std::fs::write(&file, estate).expect("a file");
    let open = || Terminal::open(&file, folder.path());
    let mut first: Vec<Duration> = (0..5).map(|_| open().first_frame()).collect();
    first.sort();
    println!("first frame, no site reachable, of a new process: median {:?}, slowest {:?}", first[2], first[4]);
    let console = open();
    console.first_frame();
    std::thread::sleep(Duration::from_secs(5));
    let (share, bytes) = console.cost(Duration::from_secs(20));
    println!("idle, no site reachable: {share:.2} % of a core over 20 s, {bytes:.0} bytes a second to the terminal");
}
