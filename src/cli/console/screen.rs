//! The loop: messages in, pictures and effects out. Ten pictures a second at most, and none when nothing has changed.

#[cfg(test)]
mod tests;

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt as _;
use nix::libc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attention;
use super::clipboard;
use super::files::{self, Copied};
use super::ground::{Ground, Order, Preferences, Themes};
use super::open::Looking;
use super::signals::Ends;
use super::terminal::Taken;
use super::{input, panics};
use crate::cli::lines::LineStore;
use crate::cli::{App, CliError, Exit};
use crate::console::log::LogFile;
use crate::console::{Effect, Msg, Settings, State, update};
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
    end: End,
}

/// What ended the screen.
enum End {
    /// Whoever sat before it.
    Person,
    /// A signal, or the loss of the terminal.
    Signal(&'static str),
    /// A panic, and what was said of it beside the screen.
    Defect(Vec<SafeText>),
}

impl Leave {
    fn by(end: End, state: &State) -> Self {
        Self { picture: None, goes_on: state.goes_on().cloned(), end }
    }

    /// Left by somebody who had no picture before him.
    pub(super) fn quietly(state: &State) -> Self {
        Self::by(End::Person, state)
    }

    /// Ended by a signal, or by the loss of the terminal.
    pub(super) fn ended(state: &State, signal: &'static str) -> Self {
        Self::by(End::Signal(signal), state)
    }

    /// Leaves the demo: its world ends with the screen, and whatever went on in it.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub(in crate::cli) fn farewell_of_demo(self, app: &mut App) -> Result<Exit, CliError> {
        let program = super::super::output::program(app);
        self.say(app, |run| {
            let cut_off = run.map(|run| format!("{run} was cut off with it, unfinished\n")).unwrap_or_default();
            format!("the simulated world has ended; its runs are kept: {program} runs list\n{cut_off}")
        })
    }

    /// Says where to find again what goes on.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub(in crate::cli) fn farewell(self, app: &mut App, program: &str) -> Result<Exit, CliError> {
        let by_defect = matches!(self.end, End::Defect(_));
        self.say(app, |run| match run {
            Some(run) => format!("{run} goes on; watch it: {program} attach {run}, or open the console again\n"),
            // What it knew of runs may be wrong.
            None if by_defect => format!("a run may go on without it: {program} runs list\n"),
            None => String::new(),
        })
    }

    /// Says how it was left, and what became of the run that went on.
    fn say(self, app: &mut App, became: impl FnOnce(Option<RunId>) -> String) -> Result<Exit, CliError> {
        let Self { picture, goes_on, end } = self;
        let exit = if matches!(end, End::Defect(_)) { Exit::Failed } else { Exit::Done };
        let said: io::Result<()> = (|| {
            for line in picture.into_iter().flatten() {
                writeln!(app.io.out, "{line}")?;
            }
            app.io.out.flush()?;
            match end {
                End::Person => {}
                End::Signal(name) => writeln!(app.io.err, "the console was ended by {name}")?,
                End::Defect(defects) => {
                    for defect in defects {
                        writeln!(app.io.err, "{defect}")?;
                    }
                    writeln!(app.io.err, "the console was ended by this defect")?;
                }
            }
            write!(app.io.err, "{}", became(goes_on))
        })();
        match said {
            // The terminal has gone, and with it whoever could be told.
            Err(error) if is_gone(&error) => Ok(exit),
            said => Ok(said.map(|()| exit)?),
        }
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
    // Heard before the terminal is taken: from then on each of them gives it back.
    let heard = Heard::hear().map_err(broken)?;
    panics::take_over();
    let terminal = Taken::take(state.settings.mouse).map_err(broken)?;
    // Of a state that a panic has left half changed no more is read than which run goes on.
    let shown = AssertUnwindSafe(play(&mut state, ground, heard, terminal)).catch_unwind().await;
    let defects = panics::waiting();
    match shown {
        Ok(Ok(leave)) if defects.is_empty() => Ok(leave),
        Ok(Err(error)) if defects.is_empty() && is_gone(&error) => Ok(Leave::ended(&state, "the loss of its terminal")),
        Ok(Err(error)) if defects.is_empty() => Err(broken(error)),
        _ => Ok(Leave::by(End::Defect(defects), &state)),
    }
}

/// The signals that the screen hears.
struct Heard {
    ends: Ends,
    continued: Signal,
}

impl Heard {
    fn hear() -> io::Result<Self> {
        Ok(Self { ends: Ends::hear()?, continued: signal(SignalKind::from_raw(libc::SIGCONT))? })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` takes")]
fn broken(error: io::Error) -> CliError {
    CliError::new(Exit::Failed, format!("the terminal cannot be used: {error}"))
}

/// True when a terminal that could be used is there no more.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::ENXIO | libc::ENODEV | libc::EPIPE))
}

async fn play(state: &mut State, ground: Ground, heard: Heard, terminal: Taken) -> io::Result<Leave> {
    let Ground { mut tells, orders, store, own_time, themes, preferences } = ground;
    let Heard { mut ends, mut continued } = heard;
    let (told, mut news) = mpsc::unbounded_channel();
    let outputs = store.clone();
    let (lines, mut read) =
        LineStore::start(move |source| outputs.open_run(source.run()).ok().map(|reader| reader.printed()));
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
    stage.feed(state, Msg::Resize(width, height))?;
    let mut inputs = input::listen()?;
    let mut second = tokio::time::interval(SECOND);
    let mut due: Option<Instant> = None;
    let mut drawn = Instant::now();
    loop {
        let mut at_once = false;
        let msg = tokio::select! {
            biased;
            name = ends.next() => return Ok(Leave::ended(state, name)),
            // Whoever sees what was said of it says how the screen was left.
            () = panics::beside() => return Ok(Leave::quietly(state)),
            _ = continued.recv() => {
                stage.retake(state)?;
                continue;
            }
            msg = inputs.recv() => match msg {
                None => return Ok(Leave::ended(state, "the loss of its terminal")),
                Some(msg) => {
                    at_once = true;
                    msg
                }
            },
            () = until(due) => {
                if !state.frozen {
                    stage.terminal.draw(state)?;
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
                // Where nothing is drawn, nothing else would tell.
                if !Taken::is_there() {
                    return Ok(Leave::ended(state, "the loss of its terminal"));
                }
                stage.look_at_preferences();
                stage.look_at_theme(state);
                if own_time {
                    continue;
                }
                Msg::Tick(jiff::Timestamp::now())
            }
        };
        if at_once {
            let now = jiff::Timestamp::now();
            stage.feed(state, if own_time { Msg::Wall(now) } else { Msg::Tick(now) })?;
        }
        let (was_frozen, calm) = (state.frozen, matches!(msg, Msg::Health(_)));
        stage.feed(state, msg)?;
        if let Some(leave) = stage.leave.take() {
            return Ok(leave);
        }
        if at_once && (!state.frozen || !was_frozen) {
            stage.terminal.draw(state)?;
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
                self.leave = Some(Leave { picture, ..Leave::quietly(state) });
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
