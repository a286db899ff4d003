//! The socket file: its name, its mode, and who is at the other end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use tokio::net::{UnixListener, UnixStream};

use super::SessionError;

/// The socket in the run's folder.
const NAME: &str = "run.sock";

/// A way to the socket that is short enough: a socket's address has room for 107 bytes, and a state folder can be
/// deeper than that. The folder is opened, and the socket is reached through the open folder.
struct Way {
    _folder: File,
    short: PathBuf,
}

fn way(folder: &Path) -> io::Result<Way> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let open = OpenOptions::new().read(true).custom_flags(flags.bits()).open(folder)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(NAME);
    Ok(Way { _folder: open, short })
}

/// The name of the socket, for people.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Listens in the folder. What a process that is gone has left there is replaced; the caller holds the run's lock, so
/// there is no live one.
pub(super) fn listen(folder: &Path) -> Result<UnixListener, SessionError> {
    let make = || -> io::Result<UnixListener> {
        let way = way(folder)?;
        match fs::remove_file(&way.short) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&way.short)?;
        // Until here the folder, which only its owner can enter, has guarded it.
        fs::set_permissions(&way.short, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    make().map_err(|error| SessionError::failed("listen at", &path(folder), &error))
}

/// Connects to the run's process.
pub(super) async fn connect(folder: &Path) -> Result<UnixStream, SessionError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SessionError::Absent,
        io::ErrorKind::ConnectionRefused => SessionError::Gone,
        _ => SessionError::failed("attach to", &path(folder), &error),
    };
    let way = way(folder).map_err(failed)?;
    let stream = UnixStream::connect(&way.short).await.map_err(failed)?;
    check_peer(&stream)?;
    Ok(stream)
}

/// Refuses everybody but the user that this process runs as.
pub(super) fn check_peer(stream: &UnixStream) -> Result<(), SessionError> {
    let peer = stream
        .peer_cred()
        .map_err(|error| SessionError::Failed { tried: "learn who is there".to_owned(), got: error.to_string() })?;
    if peer.uid() == nix::unistd::geteuid().as_raw() { Ok(()) } else { Err(SessionError::Stranger(peer.uid())) }
}

/// Removes the socket at the orderly end.
pub(super) fn remove(folder: &Path) {
    // One that stays behind refuses connections, which a viewer understands.
    drop(fs::remove_file(path(folder)));
}
