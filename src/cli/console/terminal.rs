//! The terminal: taken when the screen opens, and given back in the state it was found in, however the screen ends.
//!
//! Nothing is ever asked of it: size comes from the system, everything else from the environment.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::{State, view};
use crate::model::SafeText;

/// True while the terminal is ours: a panic gives it back first.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken. Not ratatui's own `Terminal`, which asks for the cursor's position when it clears.
pub(super) struct Taken {
    /// What is to be written next. A picture goes out whole or not at all: what a panic leaves half made is dropped with
    /// this, and not written over what the terminal shows once it is given back.
    out: Vec<u8>,
    /// What the terminal shows.
    shown: Buffer,
    /// The picture in the making.
    next: Buffer,
    mouse: bool,
    titled: bool,
}

impl Taken {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub(super) fn take(mouse: bool) -> io::Result<Self> {
        give_back_on_panic();
        // What `NO_COLOR` asks for is done by the theme; crossterm's own way loses bold and reverse with the colours.
        crossterm::style::force_color_output(true);
        let mut taken =
            Self { out: Vec::new(), shown: Buffer::default(), next: Buffer::default(), mouse, titled: false };
        taken.enter()?;
        Ok(taken)
    }

    /// Takes what there is to be taken; shown is nothing then.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        queue!(self.out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        if self.mouse {
            queue!(self.out, EnableMouseCapture)?;
        }
        self.wipe()?;
        self.send()
    }

    /// Empties the terminal, so that the next picture is written whole.
    fn wipe(&mut self) -> io::Result<()> {
        self.shown.reset();
        queue!(self.out, Clear(ClearType::All))
    }

    /// Draws the state; only what has changed is written.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        let area = Rect { x: 0, y: 0, width: state.size.0, height: state.size.1 };
        queue!(self.out, BeginSynchronizedUpdate)?;
        if self.shown.area != area {
            self.shown.resize(area);
            self.next.resize(area);
            self.wipe()?;
        }
        self.next.reset();
        view::draw(state, area, &mut self.next);
        CrosstermBackend::new(&mut self.out).draw(self.shown.diff(&self.next).into_iter())?;
        queue!(self.out, EndSynchronizedUpdate)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        self.send()
    }

    /// Draws everything anew.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn redraw(&mut self, state: &State) -> io::Result<()> {
        self.wipe()?;
        self.draw(state)
    }

    /// Its size.
    pub(super) fn size() -> (u16, u16) {
        crossterm::terminal::size().unwrap_or((80, 24))
    }

    /// Takes or leaves the mouse.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { queue!(self.out, EnableMouseCapture) } else { queue!(self.out, DisableMouseCapture) }?;
        self.send()
    }

    /// Sets the title. It was made safe: nothing in it ends the sequence early.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn title(&mut self, title: &SafeText) -> io::Result<()> {
        self.titled = true;
        self.write(&format!("\u{1b}]2;{title}\u{7}"))
    }

    /// Writes a sequence that shows nothing.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn write(&mut self, sequence: &str) -> io::Result<()> {
        self.out.extend_from_slice(sequence.as_bytes());
        self.send()
    }

    /// Writes what has been put together.
    fn send(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let sent = out.write_all(&self.out).and_then(|()| out.flush());
        // What could not be written is not written later, in the middle of something else.
        self.out.clear();
        sent
    }

    /// Gives the terminal to the shell until the program is continued.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        self.leave()?;
        // The whole group: what the shell has started as one job stops and goes on as one. Not SIGTSTP, which a run
        // in this process (that of the demo) ignores.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), nix::sys::signal::Signal::SIGSTOP)
            .map_err(io::Error::from)?;
        self.enter()
    }

    /// The picture as it is, as lines of text.
    pub(super) fn picture(state: &State) -> Vec<String> {
        let area = Rect { x: 0, y: 0, width: state.size.0, height: state.size.1 };
        let mut cells = Buffer::empty(area);
        view::draw(state, area, &mut cells);
        let line = |y: u16| {
            (0..area.width).filter_map(|x| cells.cell((x, y)).map(ratatui::buffer::Cell::symbol)).collect::<String>()
        };
        (0..area.height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    fn leave(&mut self) -> io::Result<()> {
        let titled = std::mem::take(&mut self.titled);
        if titled {
            // What it was before cannot be asked for; an empty title lets the shell set its own.
            self.write("\u{1b}]2;\u{7}")?;
        }
        give_back()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        drop(self.leave());
    }
}

/// The terminal as it was. Harmless when it is so already.
fn give_back() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let mut out = io::stdout();
    let shown = execute!(
        out,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    disable_raw_mode()?;
    shown
}

fn give_back_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            drop(give_back());
            before(info);
        }));
    });
}
