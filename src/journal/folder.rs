//! Private folders and files: made 0700 and 0600, refused when they are links or belong to somebody else.
//!
//! The state directory itself is checked first; below a folder that only its owner can enter, nobody else can swap a
//! name between our check and our use.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::port::SinkError;

/// A [`SinkError`] about a path.
pub(super) fn trouble(tried: &str, path: &Path, got: &(impl ToString + ?Sized)) -> SinkError {
    SinkError { tried: format!("{tried} {}", path.display()), got: got.to_string() }
}

/// Makes the folder, 0700, with all that is missing above it, or checks the one that is there.
pub(super) fn private_folder(path: &Path) -> Result<(), SinkError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => check_folder(path),
        // A dangling link or a plain file of that name: the check says which.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_folder(path),
        Err(error) => Err(trouble("create the folder", path, &error)),
    }
}

/// Makes the folder, which must not exist yet.
pub(super) fn new_folder(path: &Path) -> Result<(), SinkError> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| trouble("create the folder", path, &error))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Checks that the folder is a real folder, ours, and closed to everybody else.
///
/// One that others may only read is closed; one that others may write to is refused, because what is in it may be
/// theirs.
pub(super) fn check_folder(path: &Path) -> Result<(), SinkError> {
    let refuse = |got: String| Err(trouble("use the folder", path, &got));
    let found = fs::symlink_metadata(path).map_err(|error| trouble("look at the folder", path, &error))?;
    let us = nix::unistd::geteuid().as_raw();
    let mode = found.mode() & 0o7777;
    if found.is_symlink() {
        return refuse("it is a symbolic link; give the real path".to_owned());
    }
    if !found.is_dir() {
        return refuse("it is not a folder".to_owned());
    }
    if found.uid() != us {
        return refuse(format!("it belongs to user {}, and this is user {us}", found.uid()));
    }
    if mode & 0o022 != 0 {
        return refuse(format!("others may write to it (mode {mode:03o}); look at what is in it, then `chmod 700` it"));
    }
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|error| trouble("close to others the folder", path, &error))?;
    }
    Ok(())
}

/// Makes a file, 0600, which must not exist yet.
pub(super) fn new_file(path: &Path) -> Result<File, SinkError> {
    private(OpenOptions::new().write(true).create_new(true))
        .open(path)
        .map_err(|error| trouble("create the file", path, &error))
}

/// Opens a file to read and write, and makes it, 0600, when it is missing.
pub(super) fn open_file(path: &Path) -> Result<File, SinkError> {
    private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(path)
        .map_err(|error| trouble("open the file", path, &error))
}

/// Opens a file to append to, and makes it, 0600, when it is missing.
pub(super) fn append_file(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().append(true).create(true)).open(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits())
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_folder(path: &Path) -> Result<(), SinkError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| trouble("sync the folder", path, &error))
}

/// What the operating system says to a small write in the folder now: `SQLite` keeps the error number to itself.
/// Nothing when the write works.
pub(super) fn probe_write(folder: &Path) -> Option<io::Error> {
    let path = folder.join(".probe");
    let written =
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(&path).and_then(|mut file| {
            io::Write::write_all(&mut file, &vec![0; 64 * 1024])?;
            file.sync_all()
        });
    // The probe holds nothing; leaving it behind is harmless and the next probe reuses it.
    drop(fs::remove_file(&path));
    written.err()
}

/// True when the path is on a file system shared over a network, where neither locks nor the journal's shared memory
/// can be relied on. False also when it cannot be found out.
pub(super) fn on_network(path: &Path) -> bool {
    use nix::sys::statfs::{NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, statfs};
    statfs(path).is_ok_and(|found| [NFS_SUPER_MAGIC, SMB_SUPER_MAGIC].contains(&found.filesystem_type()))
}
