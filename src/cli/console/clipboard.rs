//! Copying: a file beside the runs always, and the terminal's clipboard where it takes OSC 52.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::SafeText;

/// The most that terminals take, in bytes of base64.
const LONGEST: usize = 74_994;

/// The sequence that puts a text on the terminal's clipboard; nothing when it is too long. Wrapped for tmux, which takes
/// it only where its `set-clipboard` allows.
pub(super) fn sequence(text: &SafeText, inside_tmux: bool) -> Option<String> {
    let encoded = STANDARD.encode(text.as_str());
    if encoded.len() > LONGEST {
        return None;
    }
    let plain = format!("\u{1b}]52;c;{encoded}\u{7}");
    Some(if inside_tmux { format!("\u{1b}Ptmux;{}\u{1b}\\", plain.replace('\u{1b}', "\u{1b}\u{1b}")) } else { plain })
}

/// Writes a text to a file that only its owner can read. Returns its path.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(folder: &Path, name: &Path, text: &str) -> std::io::Result<PathBuf> {
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_terminals_is_not_sent() {
        assert_eq!(sequence(&SafeText::line("foo"), false).as_deref(), Some("\u{1b}]52;c;Zm9v\u{7}"));
        let inside = sequence(&SafeText::line("foo"), true).expect("short");
        assert!(inside.starts_with("\u{1b}Ptmux;\u{1b}\u{1b}]52") && inside.ends_with("\u{1b}\\"), "{inside:?}");
        let long = SafeText::block(&"line of a log\n".repeat(6_000));
        assert_eq!(sequence(&long, false), None);
    }
}
