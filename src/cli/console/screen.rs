//! The loop: messages in, pictures and effects out. Ten pictures a second at most, and none when nothing has changed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyEventKind, KeyModifiers, MouseEventKind};
use futures::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attention;
use super::clipboard;
use super::files::{self, Copied};
use super::ground::{Ground, Order, Preferences, Themes};
use super::open::Looking;
use super::signals::Ends;
use super::terminal::Taken;
use crate::cli::lines::LineStore;
use crate::cli::{App, CliError, Exit};
use crate::console::log::LogFile;
use crate::console::{Effect, Key, KeyCode, Msg, Settings, State, update};
use crate::journal::Store;
use crate::model::{Counted, RunId, SafeText};

/// The least time between two pictures that no key has asked for.
const FRAME: Duration = Duration::from_millis(100);
/// The same when all that is new are answers of probes: hundreds of them come every second where an estate is large.
const CALM: Duration = Duration::from_millis(500);
/// How often the time moves on when nothing else happens.
const SECOND: Duration = Duration::from_secs(1);

/// How the screen was left.
pub(in crate::cli) struct Leave {
    /// The last picture, when it is to stay.
    picture: Option<Vec<String>>,
    /// The run that goes on without it.
    goes_on: Option<RunId>,
    /// The signal that ended it.
    signal: Option<&'static str>,
}

impl Leave {
    /// Left by somebody who had no picture before him.
    pub(super) fn quietly(state: &State) -> Self {
        Self { picture: None, goes_on: goes_on(state), signal: None }
    }

    /// Leaves the demo: its world ends with the screen.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub(in crate::cli) fn farewell_of_demo(mut self, app: &mut App) -> Result<Exit, CliError> {
        self.goes_on = None;
        let program = super::super::output::program(app);
        writeln!(app.io.err, "the simulated world has ended; its runs are kept: {program} runs list")?;
        self.farewell(app, &program)
    }

    /// Says where to find again what goes on.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub(in crate::cli) fn farewell(self, app: &mut App, program: &str) -> Result<Exit, CliError> {
        if let Some(picture) = self.picture {
            for line in picture {
                writeln!(app.io.out, "{line}")?;
            }
            app.io.out.flush()?;
        }
        if let Some(signal) = self.signal {
            writeln!(app.io.err, "the console was ended by {signal}")?;
        }
        if let Some(run) = self.goes_on {
            writeln!(app.io.err, "{run} goes on; watch it: {program} attach {run}, or open the console again")?;
        }
        Ok(Exit::Done)
    }
}

/// What effects are done with.
struct Stage {
    terminal: Taken,
    store: Store,
    orders: mpsc::UnboundedSender<Order>,
    told: mpsc::UnboundedSender<Msg>,
    looking: Option<Looking>,
    lines: LineStore,
    themes: Themes,
    /// When the file of the theme was written last.
    theme_written: Option<std::time::SystemTime>,
    preferences: Preferences,
    /// When its file was written last, and how long it was.
    preferences_written: Option<(std::time::SystemTime, u64)>,
    /// What was read from it last and could be used.
    preferred: Box<Settings>,
    /// The time of the world, when it has one of its own.
    own_time: bool,
    leave: Option<Leave>,
    /// What was shown when the picture was held still; it is drawn anew at another size.
    held: Option<Box<State>>,
}

/// Shows the screen until it is left.
///
/// # Errors
/// When the terminal cannot be taken.
pub(in crate::cli) async fn show(mut state: State, ground: Ground) -> Result<Leave, CliError> {
    let broken = |error: io::Error| CliError::new(Exit::Failed, format!("the terminal cannot be used: {error}"));
    let Ground { mut tells, orders, store, own_time, themes, preferences } = ground;
    let (told, mut news) = mpsc::unbounded_channel();
    let outputs = store.clone();
    let (lines, mut read) =
        LineStore::start(move |source| outputs.open_run(source.run()).ok().map(|reader| reader.printed()));
    // Heard before the terminal is taken: from then on each of them gives it back.
    let mut ends = Ends::hear().map_err(broken)?;
    let mut continued = signal(SignalKind::from_raw(nix::libc::SIGCONT)).map_err(broken)?;
    let terminal = Taken::take(state.settings.mouse).map_err(broken)?;
    let mut stage = Stage {
        terminal,
        store,
        orders,
        told,
        looking: None,
        lines,
        theme_written: themes.written(state.settings.theme.name()),
        themes,
        preferences_written: preferences.written(),
        preferences,
        preferred: Box::new(state.settings.clone()),
        own_time,
        leave: None,
        held: None,
    };
    state.size = Taken::size();
    let (width, height) = state.size;
    stage.feed(&mut state, Msg::Resize(width, height)).map_err(broken)?;
    let mut inputs = EventStream::new();
    let mut second = tokio::time::interval(SECOND);
    let mut due: Option<Instant> = None;
    let mut drawn = Instant::now();
    loop {
        let mut at_once = false;
        let msg = tokio::select! {
            biased;
            name = ends.next() => return Ok(gone(&state, name)),
            _ = continued.recv() => {
                stage.retake(&state).map_err(broken)?;
                continue;
            }
            input = inputs.next() => match input {
                None => return Ok(gone(&state, "the end of its terminal")),
                Some(Err(_)) => return Ok(gone(&state, "the loss of its terminal")),
                Some(Ok(input)) => {
                    at_once = true;
                    match message(input) {
                        Some(msg) => msg,
                        None => continue,
                    }
                }
            },
            () = until(due) => {
                if !state.frozen {
                    stage.terminal.draw(&state).map_err(broken)?;
                }
                drawn = Instant::now();
                due = None;
                continue;
            }
            // Each of them has its turn: however much the world tells, the run that is looked at is heard.
            msg = async {
                tokio::select! {
                    Some(msg) = tells.recv() => msg,
                    Some(msg) = news.recv() => msg,
                    Some(lines) = read.recv() => Msg::Lines(Box::new(lines)),
                    else => std::future::pending().await,
                }
            } => msg,
            _ = second.tick() => {
                stage.look_at_preferences();
                stage.look_at_theme(&state);
                if own_time {
                    continue;
                }
                Msg::Tick(jiff::Timestamp::now())
            }
        };
        if at_once {
            let now = jiff::Timestamp::now();
            stage.feed(&mut state, if own_time { Msg::Wall(now) } else { Msg::Tick(now) }).map_err(broken)?;
        }
        let (was_frozen, calm) = (state.frozen, matches!(msg, Msg::Health(_)));
        stage.feed(&mut state, msg).map_err(broken)?;
        if let Some(leave) = stage.leave.take() {
            return Ok(leave);
        }
        if at_once && (!state.frozen || !was_frozen) {
            stage.terminal.draw(&state).map_err(broken)?;
            drawn = Instant::now();
            due = None;
        } else {
            let then = drawn + if calm { CALM } else { FRAME };
            due = Some(due.map_or(then, |due| due.min(then)));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn gone(state: &State, signal: &'static str) -> Leave {
    Leave { picture: None, goes_on: goes_on(state), signal: Some(signal) }
}

fn goes_on(state: &State) -> Option<RunId> {
    state
        .run
        .as_ref()
        .filter(|run| run.live)
        .map(|run| run.id.clone())
        .or_else(|| state.alive().map(|row| row.run.clone()))
}

impl Stage {
    /// Changes the state and does what follows from it.
    fn feed(&mut self, state: &mut State, msg: Msg) -> io::Result<()> {
        if let (Some(held), Msg::Resize(..)) = (&mut self.held, &msg) {
            // Lines that it has not got are not asked for: they would come to the state as it is.
            drop(update(held, msg.clone()));
        }
        let effects = update(state, msg);
        if !state.frozen {
            self.held = None;
        } else if self.held.is_none() {
            self.held = Some(Box::new(state.clone()));
        }
        for effect in effects {
            self.act(state, effect)?;
        }
        Ok(())
    }

    /// Draws everything anew: what is, or what is held still.
    fn redraw(&mut self, state: &State) -> io::Result<()> {
        self.terminal.redraw(self.held.as_deref().unwrap_or(state))
    }

    /// Takes the terminal again after somebody else has continued the program.
    fn retake(&mut self, state: &State) -> io::Result<()> {
        self.terminal.enter()?;
        self.redraw(state)
    }

    /// Gives the terminal away until the program is continued.
    fn suspend(&mut self, state: &State) -> io::Result<()> {
        self.terminal.suspend()?;
        self.redraw(state)
    }

    fn act(&mut self, state: &mut State, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Quit { keep } => {
                let picture = keep.then(|| Taken::picture(state));
                self.leave = Some(Leave { picture, goes_on: goes_on(state), signal: None });
            }
            Effect::Suspend => self.suspend(state)?,
            Effect::Redraw => self.redraw(state)?,
            Effect::Refresh => drop(self.orders.send(Order::Refresh)),
            Effect::Plan(request) => drop(self.orders.send(Order::Plan(request))),
            Effect::Start(request) => drop(self.orders.send(Order::Start(request))),
            Effect::Resume(run) => drop(self.orders.send(Order::Resume(run))),
            Effect::Story(order) => drop(self.orders.send(Order::Story(order))),
            Effect::Open(run) => self.looking = Some(Looking::at(self.store.clone(), run, self.told.clone())),
            Effect::Detach => self.looking = None,
            Effect::Command(command) => match &self.looking {
                Some(looking) => looking.command(command),
                None => self.tell("no run is attached", true),
            },
            Effect::Lines(request) => self.lines.ask(request),
            Effect::Copy(text) => self.copy(&text)?,
            Effect::SaveLog(name, text) => self.save(&name, text.as_str()),
            Effect::Picture(name, svg) => self.save(&name, svg.trim_end()),
            Effect::SaveOutput(name, file) => self.copy_output(file.run.clone(), name, Some(file)),
            Effect::SaveOutputs(name, run) => self.copy_output(run, name, None),
            Effect::Theme(name) => match (self.themes.read)(&name) {
                Ok(theme) => drop(self.told.send(Msg::Theme(Box::new(theme)))),
                Err(why) => self.tell(&why, true),
            },
            Effect::Mouse(on) => self.terminal.mouse(on)?,
            Effect::Title(title) => self.terminal.title(&title)?,
            Effect::Call(text) => {
                // A simulated world is no reason to reach beyond its own window.
                let (bell, notify) = (state.settings.bell, state.settings.notify && !self.own_time);
                self.terminal.write(&attention::call(bell, notify, &text, |name| std::env::var(name).ok()))?;
            }
        }
        Ok(())
    }

    /// Writes a file that was asked for, and says where it is.
    fn save(&self, name: &Path, text: &str) {
        match files::write(&folder(), name, text) {
            Ok(path) => self.tell(&format!("written to {}", path.display()), false),
            Err(error) => self.tell(&error, true),
        }
    }

    /// Copies what was printed to a file, or all of it to a folder, on a thread of its own: it may be large.
    fn copy_output(&self, run: RunId, name: PathBuf, file: Option<LogFile>) {
        let (store, told) = (self.store.clone(), self.told.clone());
        tokio::task::spawn_blocking(move || {
            let copied = store.open_run(&run).map_err(|error| error.to_string()).and_then(|reader| {
                if let Some(file) = file {
                    return files::copy(&reader.output_path(&file.unit, file.attempt), &folder(), &name);
                }
                let printed = reader.outputs().map_err(|error| error.to_string())?;
                files::copy_all(&printed, &folder(), &name)
            });
            let bad = copied.is_err();
            let text = match copied {
                Ok(Copied { path, files: 1, bytes }) => {
                    format!("{}, as on disk, in {}", Counted(bytes, "byte", "bytes"), path.display())
                }
                Ok(Copied { path, files, bytes }) => {
                    format!("{files} files, {}, as on disk, in {}", Counted(bytes, "byte", "bytes"), path.display())
                }
                Err(error) => error,
            };
            // Whoever left meanwhile has the file nevertheless.
            drop(told.send(Msg::Told { text: SafeText::line(&text), bad }));
        });
    }

    /// Takes up a theme whose file has changed.
    fn look_at_theme(&mut self, state: &State) {
        let name = state.settings.theme.name();
        let written = self.themes.written(name);
        if written != self.theme_written {
            self.theme_written = written;
            match (self.themes.read)(name) {
                Ok(theme) => drop(self.told.send(Msg::Theme(Box::new(theme)))),
                Err(why) => self.tell(&why, true),
            }
        }
    }

    /// Takes up a configuration whose file has changed. One that cannot be used leaves everything as it is.
    fn look_at_preferences(&mut self) {
        let written = self.preferences.written();
        if written == self.preferences_written {
            return;
        }
        self.preferences_written = written;
        let msg = match (self.preferences.read)() {
            Ok(settings) => {
                let settings = Box::new(settings);
                let before = std::mem::replace(&mut self.preferred, settings.clone());
                Msg::Configured { settings, before }
            }
            Err(why) => Msg::NotConfigured(why),
        };
        drop(self.told.send(msg));
    }

    fn tell(&self, text: &str, bad: bool) {
        drop(self.told.send(Msg::Told { text: SafeText::line(text), bad }));
    }

    /// To the terminal's clipboard where that is possible, and always to a file.
    fn copy(&mut self, text: &SafeText) -> io::Result<()> {
        let sequence = clipboard::sequence(text);
        let sent = sequence.is_some();
        if let Some(sequence) = sequence {
            self.terminal.write(&sequence)?;
        }
        match clipboard::keep(self.store.folder(), text.as_str()) {
            Ok(path) if sent => {
                self.tell(&format!("sent to the terminal's clipboard, and in {}", path.display()), false);
            }
            Ok(path) => self.tell(&format!("too long for the clipboard: it is in {}", path.display()), false),
            Err(error) if sent => {
                self.tell(&format!("sent to the terminal's clipboard; no file of it could be written: {error}"), true);
            }
            Err(error) => self.tell(&format!("no file of it could be written: {error}"), true),
        }
        Ok(())
    }
}

/// Where files go that the user asked for: where the program was started.
fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

/// What came from the terminal, as a message.
fn message(input: Input) -> Option<Msg> {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => {
            use crossterm::event::KeyCode as C;
            let code = match key.code {
                C::Char(c) => KeyCode::Char(c),
                C::F(n) => KeyCode::F(n),
                C::Enter => KeyCode::Enter,
                C::Esc => KeyCode::Esc,
                C::Tab => KeyCode::Tab,
                C::BackTab => return Some(Msg::Key(Key { code: KeyCode::Tab, ctrl: false, shift: true })),
                C::Backspace => KeyCode::Backspace,
                C::Delete => KeyCode::Delete,
                C::Up => KeyCode::Up,
                C::Down => KeyCode::Down,
                C::Left => KeyCode::Left,
                C::Right => KeyCode::Right,
                C::Home => KeyCode::Home,
                C::End => KeyCode::End,
                C::PageUp => KeyCode::PageUp,
                C::PageDown => KeyCode::PageDown,
                _ => return None,
            };
            // With alt it is an escape and a key, which means nothing here.
            let alt = key.modifiers.contains(KeyModifiers::ALT);
            let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
            (!alt).then_some(Msg::Key(Key { code, ctrl, shift: false }))
        }
        Input::Paste(text) => Some(Msg::Paste(text)),
        Input::Resize(width, height) => Some(Msg::Resize(width, height)),
        Input::Mouse(mouse) => {
            let wheel = match mouse.kind {
                MouseEventKind::Down(_) => 0,
                MouseEventKind::ScrollDown => 3,
                MouseEventKind::ScrollUp => -3,
                _ => return None,
            };
            Some(Msg::Mouse { column: mouse.column, row: mouse.row, wheel })
        }
        _ => None,
    }
}
