//! Copying: a sequence for the terminal's clipboard (OSC 52), and always a file in the state folder.
//!
//! Nobody answers whether a terminal has taken the sequence: nothing here may claim that a text is on a clipboard. It is
//! sent as it is inside of tmux too, whose `set-clipboard on` takes it; that tmux passes on what it does not know
//! itself is off unless somebody has switched it on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::SafeText;

/// The most that terminals take, in bytes of base64.
const LONGEST: usize = 74_994;

/// The file with what was copied last.
const FILE: &str = "copied.txt";

/// The sequence that gives a text to the terminal's clipboard; nothing when it is too long.
pub(super) fn sequence(text: &SafeText) -> Option<String> {
    let encoded = STANDARD.encode(text.as_str());
    (encoded.len() <= LONGEST).then(|| format!("\u{1b}]52;c;{encoded}\u{7}"))
}

/// Keeps a text in the state folder, in a file that only its owner can read. Returns its path.
///
/// A new file takes the place of the one before: nothing is written into a file that is there, nor through a link.
///
/// # Errors
/// When it cannot be written; then the text before is still there.
pub(super) fn keep(folder: &Path, text: &str) -> io::Result<PathBuf> {
    let path = folder.join(FILE);
    let fresh = folder.join(format!(".{FILE}.{}", std::process::id()));
    let written = new_file(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        std::fs::rename(&fresh, &path)
    });
    if written.is_err() {
        // It is half a file of ours, or was never made.
        drop(std::fs::remove_file(&fresh));
    }
    written.map(|()| path)
}

fn new_file(path: &Path) -> io::Result<File> {
    // What a console that was killed has left behind goes; of a link, the link does.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn it_is_sent_as_it_is_and_what_is_too_long_for_terminals_is_not() {
        assert_eq!(sequence(&SafeText::line("foo")).as_deref(), Some("\u{1b}]52;c;Zm9v\u{7}"));
        let long = SafeText::block(&"line of a log\n".repeat(6_000));
        assert_eq!(sequence(&long), None);
    }

    #[test]
    fn a_new_file_takes_the_place_of_the_one_before() {
        let place = tempfile::tempdir().expect("a folder");
        let (elsewhere, file) = (place.path().join("elsewhere"), place.path().join(FILE));
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        for text in ["first", "second"] {
            assert_eq!(keep(place.path(), text).expect("kept"), file);
            assert_eq!(std::fs::read_to_string(&file).expect("read"), format!("{text}\n"));
        }
        // A file of somebody who can be read by all, or a link to one: replaced, and neither written into nor followed.
        std::fs::write(&elsewhere, "precious").expect("written");
        std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o644)).expect("open to all");
        std::fs::remove_file(&file).expect("removed");
        symlink(&elsewhere, &file).expect("a link");
        symlink(&elsewhere, place.path().join(format!(".{FILE}.{}", std::process::id()))).expect("a link");
        keep(place.path(), "third").expect("kept");
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("read"), "precious");
        assert_eq!(mode(&elsewhere), 0o644);
        assert!(!file.symlink_metadata().expect("it is there").is_symlink());
        assert_eq!((std::fs::read_to_string(&file).expect("read"), mode(&file)), ("third\n".to_owned(), 0o600));
        assert_eq!(std::fs::read_dir(place.path()).expect("read").count(), 2, "nothing else is left there");
        // Where a folder has its name, nothing is done to that.
        std::fs::remove_file(&file).expect("removed");
        std::fs::create_dir(&file).expect("a folder");
        assert!(keep(place.path(), "fourth").is_err());
        assert_eq!(std::fs::read_dir(place.path()).expect("read").count(), 2);
    }
}
