//! Where commands read answers and print: injected, so that tests can look.

use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use clap::ColorChoice;

/// The streams of one command, and what is known of the terminal behind them.
pub struct Io {
    /// Answers of the user.
    pub input: Box<dyn BufRead + Send>,
    /// Results.
    pub out: Box<dyn Write + Send>,
    /// Everything else.
    pub err: Box<dyn Write + Send>,
    /// True when a person can be asked: input and errors are a terminal.
    pub is_interactive: bool,
    /// True when results go to a terminal.
    pub is_terminal: bool,
    /// Columns.
    pub width: usize,
    /// Rows; nothing when there is no terminal to count them.
    pub height: Option<usize>,
    /// Whether to use colours.
    pub colour: bool,
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("is_terminal", &self.is_terminal).field("width", &self.width).finish_non_exhaustive()
    }
}

impl Io {
    /// The streams of the process.
    #[must_use]
    pub fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_terminal = std::io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let columns = said.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)));
        Self {
            input: Box::new(BufReader::new(std::io::stdin())),
            out: Box::new(std::io::BufWriter::new(std::io::stdout())),
            err: Box::new(std::io::stderr()),
            is_interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            is_terminal,
            width: columns.unwrap_or(100).clamp(40, 400),
            height: terminal_size::terminal_size().map(|(_, height)| usize::from(height.0)),
            colour: !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (is_terminal && !is_dumb)),
        }
    }

    /// Streams that nobody reads: for work under a screen, which must not print into it.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            input: Box::new(std::io::empty()),
            out: Box::new(std::io::sink()),
            err: Box::new(std::io::sink()),
            is_interactive: false,
            is_terminal: false,
            width: 100,
            height: None,
            colour: false,
        }
    }

    /// What the user asked for goes before what the environment says.
    pub(super) fn choose_colour(&mut self, choice: ColorChoice) {
        match choice {
            ColorChoice::Auto => {}
            ColorChoice::Always => self.colour = true,
            ColorChoice::Never => self.colour = false,
        }
    }

    /// Asks for one line; `default` stands for an empty answer. Nothing when the input has ended.
    ///
    /// # Errors
    /// When the terminal cannot be read or written.
    pub fn ask(&mut self, question: &str, default: Option<&str>) -> std::io::Result<Option<String>> {
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        write!(self.err, "{question}{shown}: ")?;
        self.err.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let answer = line.trim();
        Ok(Some(if answer.is_empty() { default.unwrap_or_default() } else { answer }.to_owned()))
    }
}
