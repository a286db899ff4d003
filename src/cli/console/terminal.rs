//! The terminal: taken when the screen opens, and given back in the state it was found in, however the screen ends.
//!
//! Nothing is ever asked of it: size comes from the system, everything else from the environment.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, queue};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells;
use crate::console::{State, view};
use crate::model::SafeText;

/// Has the terminal keep its title (XTWINOPS of xterm, which tmux and those of VTE know too). It cannot be asked for, and an
/// empty one in its place would be left standing where the shell sets none. Terminals that do not know this ignore it.
const KEEP_TITLE: &[u8] = b"\x1b[22;2t";
/// Has the terminal take the title again that it kept.
const OWN_TITLE: &[u8] = b"\x1b[23;2t";

/// True while the terminal is ours.
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
    /// Its title, once it has one of ours.
    title: Option<SafeText>,
}

impl Taken {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub(super) fn take(mouse: bool) -> io::Result<Self> {
        let mut taken = Self { out: Vec::new(), shown: Buffer::default(), next: Buffer::default(), mouse, title: None };
        taken.enter()?;
        Ok(taken)
    }

    /// Takes what there is to be taken; shown is nothing then.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        if !TAKEN.swap(true, Ordering::SeqCst) {
            // Once: of what was kept twice the second would be our own title.
            self.out.extend_from_slice(KEEP_TITLE);
        }
        queue!(self.out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        self.name();
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
        cells::write(self.shown.diff(&self.next), state.settings.theme.depth(), &mut self.out)?;
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

    /// False once it is gone.
    pub(super) fn is_there() -> bool {
        io::stdin().is_terminal()
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
        self.title = Some(title.clone());
        self.name();
        self.send()
    }

    fn name(&mut self) {
        if let Some(title) = &self.title {
            self.out.extend_from_slice(format!("\u{1b}]2;{title}\u{7}").as_bytes());
        }
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
        give_back()?;
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
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        drop(give_back());
    }
}

/// True while the terminal is ours.
pub(super) fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// The terminal as it was. Harmless when it is so already.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn give_back() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let mut back = Vec::new();
    // The mouse too when it was not taken: a sequence too many costs nothing, one too few the mouse of the shell.
    queue!(back, EndSynchronizedUpdate, DisableMouseCapture, DisableBracketedPaste)?;
    back.extend_from_slice(OWN_TITLE);
    queue!(back, LeaveAlternateScreen, cursor::Show)?;
    let mut out = io::stdout().lock();
    let written = out.write_all(&back).and_then(|()| out.flush());
    disable_raw_mode()?;
    written
}
