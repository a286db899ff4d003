//! Files that the user asked for: readable by their owner only, and under a name that no file had. What steps have printed
//! is copied by the operating system, byte for byte, and is never held here. Nothing of it is made safe: a file is no screen.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// So many names are tried: the wanted one, and it with a number.
const NAMES: u32 = 1000;

/// What was copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// Where it is now.
    pub(super) path: PathBuf,
    /// How many files.
    pub(super) files: usize,
    /// How many bytes they have together.
    pub(super) bytes: u64,
}

/// Writes a text, and a newline after it. Returns its path.
///
/// # Errors
/// What cannot be written, and why.
pub(super) fn write(folder: &Path, name: &Path, text: &str) -> Result<PathBuf, String> {
    let (path, mut file) = fresh(folder, name, new_file)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    kept(&path, written).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    Ok(path)
}

/// Copies a file as it is now; what is added to it meanwhile is left out.
///
/// # Errors
/// Which file cannot be read or written, and why; then there is no copy.
pub(super) fn copy(from: &Path, folder: &Path, name: &Path) -> Result<Copied, String> {
    let source = File::open(from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("nothing was printed, or it was removed: there is no {}", from.display()),
        _ => format!("{} cannot be read: {error}", from.display()),
    })?;
    let (path, target) = fresh(folder, name, new_file)?;
    let copied = kept(&path, carry(&source, &target));
    let bytes =
        copied.map_err(|error| format!("{} cannot be copied to {}: {error}", from.display(), path.display()))?;
    Ok(Copied { path, files: 1, bytes })
}

/// Copies files, each under its own name, into a new folder.
///
/// # Errors
/// Which file cannot be read or written, and why, and what is there nevertheless.
pub(super) fn copy_all(from: &[PathBuf], folder: &Path, name: &Path) -> Result<Copied, String> {
    if from.is_empty() {
        return Err("this run has printed nothing".to_owned());
    }
    let (path, ()) = fresh(folder, name, |path| DirBuilder::new().mode(0o700).create(path))?;
    let mut all = Copied { path, files: 0, bytes: 0 };
    for source in from {
        let name = source.file_name().map(PathBuf::from).unwrap_or_default();
        match copy(source, &all.path, &name) {
            Ok(one) => {
                all.files += 1;
                all.bytes += one.bytes;
            }
            Err(error) => {
                return Err(format!("{error}; {} of {} files are in {}", all.files, from.len(), all.path.display()));
            }
        }
    }
    Ok(all)
}

/// Makes something under the wanted name, or under it with a number when that is taken.
fn fresh<T>(folder: &Path, name: &Path, make: impl Fn(&Path) -> io::Result<T>) -> Result<(PathBuf, T), String> {
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    let extension = name.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    let numbered = (2..=NAMES).map(|number| folder.join(format!("{stem}-{number}{extension}")));
    for path in std::iter::once(folder.join(name)).chain(numbered) {
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{} cannot be made: {error}", path.display())),
        }
    }
    Err(format!("{} is there, and {NAMES} more of that name", folder.join(name).display()))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// What a file has now goes into the other one, and to its disk: a full one must not be found out later.
fn carry(source: &File, mut target: &File) -> io::Result<u64> {
    let length = source.metadata()?.len();
    // Between two files this is `copy_file_range` or `sendfile`, with no more than a buffer here where these cannot be.
    let copied = io::copy(&mut source.take(length), &mut target)?;
    if copied < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
    }
    target.sync_all()?;
    Ok(copied)
}

/// Removes what was begun and is not whole: half a file must not be taken for one.
fn kept<T>(path: &Path, written: io::Result<T>) -> io::Result<T> {
    if written.is_err() {
        // It was made a moment ago, by us. When it cannot be removed either, the first error says more.
        drop(std::fs::remove_file(path));
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn what_was_printed_is_copied_byte_for_byte_and_overwrites_nothing() {
        let place = folder();
        let from = place.path().join("printed");
        // Escapes, half a character, a carriage return, no newline at the end: whatever a host sent.
        let printed: Vec<u8> =
            b"\x1b[31mred\x1b[0m\r\n\xff\xfe caf\xe9\0".iter().copied().cycle().take(3_000_001).collect();
        std::fs::write(&from, &printed).expect("written");
        let mut paths = Vec::new();
        for _ in 0..3 {
            let copied = copy(&from, place.path(), Path::new("run.1.log")).expect("copied");
            assert_eq!((copied.files, copied.bytes), (1, 3_000_001));
            assert_eq!(mode(&copied.path), 0o600);
            assert!(std::fs::read(&copied.path).expect("read") == printed, "{}", copied.path.display());
            paths.push(copied.path);
        }
        let names = ["run.1.log", "run.1-2.log", "run.1-3.log"].map(|name| place.path().join(name));
        assert_eq!(paths, names);
        let text = write(place.path(), Path::new("run.1.log"), "said").expect("written");
        assert_eq!(text, place.path().join("run.1-4.log"));
        assert_eq!((std::fs::read(&text).expect("read"), mode(&text)), (b"said\n".to_vec(), 0o600));
        // What is behind a link is no free name either.
        std::os::unix::fs::symlink(place.path().join("elsewhere"), place.path().join("link")).expect("a link");
        assert_eq!(write(place.path(), Path::new("link"), "x").expect("written"), place.path().join("link-2"));
        assert!(!place.path().join("elsewhere").exists());
    }

    #[test]
    fn every_file_goes_into_a_new_folder() {
        let (place, store) = (folder(), folder());
        let files = ["a.1.log", "b.1.log"].map(|name| store.path().join(name));
        for file in &files {
            std::fs::write(file, file.file_name().expect("a name").as_encoded_bytes()).expect("written");
        }
        let copied = copy_all(&files, place.path(), Path::new("printed")).expect("copied");
        assert_eq!(copied, Copied { path: place.path().join("printed"), files: 2, bytes: 14 });
        assert_eq!((mode(&copied.path), mode(&copied.path.join("a.1.log"))), (0o700, 0o600));
        assert_eq!(std::fs::read(copied.path.join("b.1.log")).expect("read"), b"b.1.log");
        let again = copy_all(&files, place.path(), Path::new("printed")).expect("copied");
        assert_eq!(again.path, place.path().join("printed-2"));
        std::fs::remove_file(&files[1]).expect("removed");
        let error = copy_all(&files, place.path(), Path::new("printed")).expect_err("one is gone");
        let partly = place.path().join("printed-3");
        assert!(error.contains(&files[1].display().to_string()), "{error}");
        assert!(error.ends_with(&format!("1 of 2 files are in {}", partly.display())), "{error}");
        assert!(
            copy_all(&[], place.path(), Path::new("printed")).is_err_and(|error| error.contains("printed nothing"))
        );
    }

    #[test]
    fn what_cannot_be_done_names_path_and_cause_and_leaves_no_half_file() {
        let place = folder();
        let missing = place.path().join("missing");
        let error = copy(&missing, place.path(), Path::new("copy")).expect_err("there is none");
        assert!(error.contains("nothing was printed") && error.contains(&missing.display().to_string()), "{error}");
        // A folder can be opened and not be read.
        let error = copy(place.path(), place.path(), Path::new("copy")).expect_err("it is a folder");
        assert!(error.contains("copy: Is a directory"), "{error}");
        assert!(!place.path().join("copy").exists());
        std::fs::write(&missing, "now there").expect("written");
        let nowhere = place.path().join("no folder");
        let error = copy(&missing, &nowhere, Path::new("copy")).expect_err("no folder");
        assert!(error.contains("no folder/copy cannot be made: No such file"), "{error}");
        let error = write(&nowhere, Path::new("said"), "x").expect_err("no folder");
        assert!(error.contains("no folder/said cannot be made: No such file"), "{error}");
    }
}
