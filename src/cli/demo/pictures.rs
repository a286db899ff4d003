//! The pictures of the documents: the real console over the simulated world, at given moments of one played run and of
//! one story, each screen written as an SVG file. Same seed, same bytes: `tests/demo.rs` holds the committed ones to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::crew::prepare;
use super::pace::{self, Speed};
use super::theatre::{Opening, live};
use super::{DemoArgs, crew, screen};
use crate::cli::console::{self, Order, settings};
use crate::cli::{App, CliError, Exit, Io, load, theme};
use crate::console::dialog::Dialog;
use crate::console::keys::parse_key;
use crate::console::{Badge, Effect, Msg, State, update, view};
use crate::journal::Store;
use crate::model::RunId;
use crate::run::EventKind;
use crate::scenario::Scenario;
use crate::style::{SHIPPED_THEMES, Theme};
use crate::systems::catalogue;
use crate::world::Spec;

/// The screen with all panes.
const WHOLE: (u16, u16) = (120, 38);
/// The screen with one pane.
const ONE: (u16, u16) = (100, 28);
/// The screen with a text over it.
const TEXT: (u16, u16) = (100, 40);
/// The screen with the card of a story over it.
const CARD: (u16, u16) = (120, 30);
/// The least screen with all panes.
const SMALL: (u16, u16) = (80, 24);
/// No moment of the played run is further away.
const FAR: Duration = Duration::from_mins(30);

/// Whether a moment has come, in the state and since the waiting for it began.
type There = fn(&State, Timestamp) -> bool;

/// A moment of the played run.
struct Scene {
    /// What is pressed.
    keys: &'static str,
    /// What is waited for then, in words.
    wait: Option<(&'static str, There)>,
    /// What is drawn then: names and sizes.
    drawn: &'static [(&'static str, (u16, u16))],
    /// True when it is drawn in every theme, too.
    themes: bool,
}

const fn press(keys: &'static str, drawn: &'static [(&'static str, (u16, u16))]) -> Scene {
    Scene { keys, wait: None, drawn, themes: false }
}

const fn wait(keys: &'static str, what: &'static str, there: There) -> Scene {
    Scene { keys, wait: Some((what, there)), drawn: &[], themes: false }
}

/// The moments, in order.
const SCENES: &[Scene] = &[
    wait("", "two sites that are known", |state, _| !state.runs.is_empty() && all_known(state)),
    wait("", "graphs of some minutes", |state, from| since(state, from) >= SignedDuration::from_mins(4)),
    press("1 z", &[("sites", ONE)]),
    press("j enter", &[("service", ONE)]),
    press("esc z 2 j", &[("runbooks", WHOLE)]),
    wait("p enter", "the plan", |state, _| is_text(state)),
    press("", &[("plan", TEXT)]),
    wait("esc s enter", "the question", |state, _| matches!(state.dialog, Some(Dialog::Start(_)))),
    press("", &[("question", TEXT)]),
    wait("y enter", "the run", |state, _| state.run.as_ref().is_some_and(|run| run.live)),
    wait("", "its middle", |state, from| since(state, from) >= SignedDuration::from_millis(8_500)),
    Scene { themes: true, ..press("", &[("console", WHOLE), ("run", ONE)]) },
    press("4 z", &[("log", ONE)]),
    wait("", "its end", |state, _| state.run.as_ref().is_some_and(|run| !run.live)),
    wait("", "the record", |state, from| since(state, from) >= SignedDuration::from_secs(5)),
    press("5", &[("runs", ONE)]),
    press("6", &[("points", ONE)]),
    press("3 ?", &[("help", TEXT)]),
];

/// The story that is played, and its moments.
const STORY: (&str, &[Scene]) = (
    "standby-disk-full",
    &[
        wait("", "the briefing", |state, _| is_text(state)),
        wait("enter", "the run", |state, _| state.run.as_ref().is_some_and(|run| run.live)),
        wait("", "its end", |state, _| state.run.as_ref().is_some_and(|run| !run.live)),
        wait("", "somebody who looks up", |state, from| since(state, from) >= SignedDuration::from_secs(20)),
        press("1 3", &[("story", WHOLE)]),
        wait("", "the time when there is room", |state, from| since(state, from) >= SignedDuration::from_mins(9)),
        wait("R", "the question", |state, _| matches!(state.dialog, Some(Dialog::Confirm(_)))),
        wait("y enter", "the card", |state, _| state.story.as_ref().is_some_and(|story| !story.goes_on())),
        press("", &[("card", CARD)]),
    ],
);

/// Plays the run and the story, and writes their pictures into a folder.
///
/// # Errors
/// When the world does not come to a moment that is to be shown, or a file cannot be written.
pub(super) fn pictures(app: &mut App, args: &DemoArgs, folder: &Path) -> Result<Exit, CliError> {
    let global = app.global.clone();
    let mut drawn = played(app, args, None, SCENES)?;
    // Each has the folder of this demo for itself.
    app.global = global;
    let (name, scenes) = STORY;
    drawn.extend(played(app, args, Some(load::scenario(app, name)?), scenes)?);
    write(app, folder, drawn)
}

/// Plays the world with or without a story. Returns names and pictures.
fn played(
    app: &mut App,
    args: &DemoArgs,
    scenario: Option<Scenario>,
    scenes: &'static [Scene],
) -> Result<Vec<(String, String)>, CliError> {
    let times = if scenario.is_some() { screen::USUAL[0] } else { 1.0 };
    let spec = scenario.as_ref().map_or_else(|| Spec::small(args.seed), |scenario| scenario.spec(args.seed));
    let prepared = prepare(app, args, &spec, &["replicate".to_owned()])?;
    let mut settings = settings(app, &args.screen)?;
    // A picture has all colours, whatever terminal it is made at, and is read in one time zone.
    settings.theme = theme::theme(app, settings.theme.name())?;
    settings.zone = jiff::tz::TimeZone::UTC;
    settings.ascii = args.screen.ascii;
    let estate = prepared.estate();
    let facts = console::facts(&estate, &app.catalogue);
    let mut state = State::new(facts, Badge::Simulated, crew::operator(), settings, spec.epoch);
    state.health = crate::health::unseen(&crate::health::plan(&estate, &app.catalogue));
    let (tell, tells) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let store = prepared.store();
    let player = Player { state, scenes, tells, orders, store, run: None, keys: 0, drawn: Vec::new() };
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let args = DemoArgs { no_tour: true, ..args.clone() };
    pace::block_on(Speed::Unlimited, |tempo| async move {
        let world = live(Opening { app: own, args, spec, prepared, scenario, times, tempo, tell, ordered });
        tokio::select! {
            biased;
            ended = world => Err(ended.err().unwrap_or_else(|| missed("its end"))),
            drawn = player.play() => drawn,
        }
    })
}

/// Writes the pictures into a folder, and says where they are.
fn write(app: &mut App, folder: &Path, drawn: Vec<(String, String)>) -> Result<Exit, CliError> {
    let failed = |path: &Path, error: std::io::Error| {
        CliError::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, svg) in drawn {
        let path = folder.join(format!("{name}.svg"));
        std::fs::write(&path, svg).map_err(|error| failed(&path, error))?;
        writeln!(app.io.out, "{}", path.display())?;
    }
    app.io.out.flush()?;
    Ok(Exit::Done)
}

fn missed(what: &str) -> CliError {
    CliError::new(Exit::Failed, format!("the world did not come to {what}"))
}

/// Whoever sits at the screen.
struct Player {
    state: State,
    scenes: &'static [Scene],
    tells: mpsc::UnboundedReceiver<Msg>,
    orders: mpsc::UnboundedSender<Order>,
    store: Store,
    /// The run that is looked at while it goes on, and its last event that was seen.
    run: Option<(RunId, u64)>,
    /// How many keys were pressed.
    keys: i64,
    drawn: Vec<(String, String)>,
}

impl Player {
    async fn play(mut self) -> Result<Vec<(String, String)>, CliError> {
        for Scene { keys, wait, drawn, themes } in self.scenes {
            self.press(keys)?;
            if let Some((what, there)) = wait {
                self.until(what, there).await?;
            }
            for (name, size) in *drawn {
                self.draw((*name).to_owned(), *size);
            }
            if *themes {
                self.draw_themes()?;
            }
        }
        Ok(self.drawn)
    }

    /// The same screen in each theme that comes with the program.
    fn draw_themes(&mut self) -> Result<(), CliError> {
        let usual = self.state.settings.theme.clone();
        for (name, _) in SHIPPED_THEMES {
            let unknown = || CliError::new(Exit::Failed, format!("the theme {name} cannot be used"));
            self.state.settings.theme = Theme::named(name).ok_or_else(unknown)?;
            self.draw(format!("theme-{name}"), SMALL);
        }
        self.state.settings.theme = usual;
        Ok(())
    }

    /// Lets the world go on to a moment.
    async fn until(&mut self, what: &str, there: &There) -> Result<(), CliError> {
        let from = self.state.now;
        while let Some(msg) = self.tells.recv().await {
            let ticks = matches!(msg, Msg::Tick(_));
            self.feed(msg)?;
            if !ticks {
                continue;
            }
            self.look()?;
            if there(&self.state, from) {
                return Ok(());
            }
            if since(&self.state, from).unsigned_abs() > FAR {
                break;
            }
        }
        Err(missed(what))
    }

    fn feed(&mut self, msg: Msg) -> Result<(), CliError> {
        for effect in update(&mut self.state, msg) {
            match effect {
                Effect::Plan(request) => drop(self.orders.send(Order::Plan(request))),
                Effect::Start(request) => drop(self.orders.send(Order::Start(request))),
                Effect::Resume(run) => drop(self.orders.send(Order::Resume(run))),
                Effect::Story(order) => drop(self.orders.send(Order::Story(order))),
                Effect::Refresh => drop(self.orders.send(Order::Refresh)),
                Effect::Open(run) => {
                    let events = self.events(&run)?;
                    self.run = Some((run.clone(), events.last().map_or(0, |event| event.seq)));
                    self.feed(Msg::Opened { run, events, live: true })?;
                }
                // Nobody hears a bell in a picture, and no line of output is shown in one.
                _ => {}
            }
        }
        Ok(())
    }

    fn events(&self, run: &RunId) -> Result<Vec<Arc<crate::run::Event>>, CliError> {
        let events = self.store.open_run(run).and_then(|reader| reader.events());
        let events =
            events.map_err(|error| CliError::new(Exit::Failed, format!("the run of the pictures: {error}")))?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// Takes in what the run has told since. Read from its journal and not heard through its socket: what comes through a
    /// socket comes when it comes, and the picture would depend on that.
    fn look(&mut self) -> Result<(), CliError> {
        let Some((run, seen)) = self.run.clone() else { return Ok(()) };
        for event in self.events(&run)?.into_iter().filter(|event| event.seq > seen) {
            self.run = Some((run.clone(), event.seq));
            let ended = matches!(event.kind, EventKind::RunEnded { .. });
            self.feed(Msg::Event(run.clone(), event))?;
            if ended {
                self.run = None;
                self.feed(Msg::Ended(run.clone(), None))?;
            }
        }
        Ok(())
    }

    /// Presses keys as a person does, one a second.
    fn press(&mut self, keys: &str) -> Result<(), CliError> {
        for key in keys.split_whitespace() {
            self.keys += 1;
            let key = parse_key(key).map_err(|error| CliError::new(Exit::Failed, error))?;
            self.feed(Msg::Wall(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.keys)))?;
            self.feed(Msg::Key(key))?;
        }
        Ok(())
    }

    fn draw(&mut self, name: String, (width, height): (u16, u16)) {
        let mut state = self.state.clone();
        // A copy is drawn: the size of one picture is nothing that the next one could depend on.
        drop(update(&mut state, Msg::Resize(width, height)));
        state.notice = None;
        self.drawn.push((name, view::picture(&state)));
    }
}

fn since(state: &State, then: Timestamp) -> SignedDuration {
    state.now.duration_since(then)
}

fn all_known(state: &State) -> bool {
    state.direction.direction.is_some()
        && state.health.probes().values().all(|probe| probe.verdict(state.now) == crate::health::Verdict::Up)
}

fn is_text(state: &State) -> bool {
    matches!(state.dialog, Some(Dialog::Text { .. }))
}
