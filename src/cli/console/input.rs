//! What the terminal sends, as messages.
//!
//! It is read on a thread of its own, and never where pictures are drawn and signals heard: of a terminal that is gone
//! `crossterm` reads nothing, again and again, and comes back to nobody.

use std::io;

use crossterm::event::{Event, KeyCode as Code, KeyEventKind, KeyModifiers, MouseEventKind};
use tokio::sync::mpsc;

use crate::console::{Key, KeyCode, Msg};

/// Begins to read the terminal. The messages end when it cannot be read any more.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn listen() -> io::Result<mpsc::UnboundedReceiver<Msg>> {
    let (tell, told) = mpsc::unbounded_channel();
    let work = move || {
        while let Ok(event) = crossterm::event::read() {
            if let Some(msg) = message(event)
                && tell.send(msg).is_err()
            {
                return;
            }
        }
    };
    // Not joined: a read of a terminal cannot be given up. It ends with the program.
    drop(std::thread::Builder::new().name("input".to_owned()).spawn(work)?);
    Ok(told)
}

/// What came from the terminal, as a message.
fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let code = match key.code {
                Code::Char(c) => KeyCode::Char(c),
                Code::F(n) => KeyCode::F(n),
                Code::Enter => KeyCode::Enter,
                Code::Esc => KeyCode::Esc,
                Code::Tab => KeyCode::Tab,
                Code::BackTab => return Some(Msg::Key(Key { code: KeyCode::Tab, ctrl: false, shift: true })),
                Code::Backspace => KeyCode::Backspace,
                Code::Delete => KeyCode::Delete,
                Code::Up => KeyCode::Up,
                Code::Down => KeyCode::Down,
                Code::Left => KeyCode::Left,
                Code::Right => KeyCode::Right,
                Code::Home => KeyCode::Home,
                Code::End => KeyCode::End,
                Code::PageUp => KeyCode::PageUp,
                Code::PageDown => KeyCode::PageDown,
                _ => return None,
            };
            // With alt it is an escape and a key, which means nothing here.
            let alt = key.modifiers.contains(KeyModifiers::ALT);
            let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
            (!alt).then_some(Msg::Key(Key { code, ctrl, shift: false }))
        }
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(width, height) => Some(Msg::Resize(width, height)),
        Event::Mouse(mouse) => {
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
