//! A terminal without glass: what is on it can be read.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::TermLike;
use unicode_width::UnicodeWidthStr;

/// A terminal as a list of lines.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    held: Arc<Mutex<(Vec<String>, usize)>>,
    width: u16,
}

impl Screen {
    pub(super) fn new(width: u16) -> Self {
        Self { held: Arc::new(Mutex::new((vec![String::new()], 0))), width }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<String>, &mut usize) -> T) -> T {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, row) = &mut *held;
        act(lines, row)
    }

    pub(super) fn text(&self) -> String {
        self.with(|lines, _| lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n"))
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.width
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.with(|_, row| *row = row.saturating_sub(n));
        Ok(())
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.with(|lines, row| {
            *row += n;
            lines.resize(lines.len().max(*row + 1), String::new());
        });
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.move_cursor_down(1)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        for c in text.chars() {
            let full = self.with(|lines, row| lines[*row].width() >= usize::from(self.width));
            if c == '\n' || full {
                self.move_cursor_down(1)?;
            }
            if !c.is_control() {
                self.with(|lines, row| lines[*row].push(c));
            }
        }
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.with(|lines, row| lines[*row].clear());
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
