//! Secrets, read from where the estate says they are. Kept in memory for the life of the process, shown nowhere.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::model::{CommandForm, Secret, SecretSource};
use crate::port::{ReachError, ReachErrorKind};

/// How long a command that prints a secret may take: a person may have to touch a token first.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest secret.
const LONGEST: u64 = 64 * 1024;

/// The secrets that have been read so far, and the ways to read more.
#[derive(Debug)]
pub(super) struct Secrets {
    credentials: Option<PathBuf>,
    env: Vec<(String, String)>,
    // Held while a source is asked: a store that asks a person must not be asked ten times at once.
    known: Mutex<HashMap<String, Secret>>,
}

impl Secrets {
    /// No secret read yet. `credentials` is the folder of the systemd credentials, `env` the environment of commands.
    pub fn new(credentials: Option<PathBuf>, env: Vec<(String, String)>) -> Self {
        Self { credentials, env, known: Mutex::default() }
    }

    /// The secret of a source: the first line of what it holds.
    ///
    /// # Errors
    /// `Denied` with the source, never with anything that it said.
    pub async fn get(&self, source: &SecretSource) -> Result<Secret, ReachError> {
        let key = format!("{source:?}");
        let mut known = self.known.lock().await;
        if let Some(secret) = known.get(&key) {
            return Ok(secret.clone());
        }
        let secret = self.read(source).await?;
        known.insert(key, secret.clone());
        Ok(secret)
    }

    async fn read(&self, source: &SecretSource) -> Result<Secret, ReachError> {
        match source {
            SecretSource::Command(form) => {
                let words = match form {
                    CommandForm::List(words) => words.clone(),
                    CommandForm::Text(text) => shlex::split(text).unwrap_or_default(),
                };
                self.command(&words).await
            }
            SecretSource::File(path) => file(path, true),
            SecretSource::Credential(name) => {
                let at = format!("credential {name}");
                let plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
                match &self.credentials {
                    Some(folder) if plain => file(&folder.join(name), false),
                    Some(_) => Err(denied(&at, "this is not the name of a credential")),
                    None => Err(denied(&at, "there are no systemd credentials here")
                        .hint("run as a unit with `LoadCredential=`, or name a command or a file in the estate")),
                }
            }
        }
    }

    async fn command(&self, words: &[String]) -> Result<Secret, ReachError> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(denied("secret command", "it is empty, or its quotes do not match"));
        };
        let at = format!("secret command `{program}`");
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output
            .map_err(|_| denied(&at, "it did not end within a minute"))?
            .map_err(|error| denied(&at, format!("could not start it: {error}")))?;
        if !output.status.success() {
            // Its stderr is for people; its stdout may be half a secret.
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.trim().chars().take(500).collect();
            return Err(denied(&at, format!("it failed ({}): {said}", output.status)).hint("run it by hand"));
        }
        first_line(&at, &output.stdout)
    }
}

/// Reads a secret from a file. `ours`: the file must belong to us (or root) and be closed to everybody else.
fn file(path: &Path, ours: bool) -> Result<Secret, ReachError> {
    let at = format!("secret file {}", path.display());
    let cannot = |error: std::io::Error| denied(&at, error.to_string());
    // The mode of what has been opened is asked, not of what has that name a moment later. A link at the end of the path
    // is refused; NONBLOCK so that a pipe in its place cannot hold us up.
    let flags =
        nix::fcntl::OFlag::O_NONBLOCK | if ours { nix::fcntl::OFlag::O_NOFOLLOW } else { nix::fcntl::OFlag::empty() };
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(|error| {
        if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) {
            return denied(&at, "it is a symbolic link").hint("name the file itself in the estate");
        }
        cannot(error)
    })?;
    let found = file.metadata().map_err(cannot)?;
    if !found.is_file() {
        return Err(denied(&at, "it is not a regular file"));
    }
    if ours {
        let me = nix::unistd::geteuid().as_raw();
        if found.uid() != me && found.uid() != 0 {
            return Err(denied(&at, format!("it belongs to user {}, not to us", found.uid())));
        }
        if found.mode() & 0o077 != 0 {
            return Err(denied(&at, format!("others can read it (mode {:04o})", found.mode() & 0o7777))
                .hint(format!("chmod 600 {}", path.display())));
        }
    }
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content).map_err(cannot)?;
    first_line(&at, &content)
}

fn first_line(at: &str, content: &[u8]) -> Result<Secret, ReachError> {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| denied(at, "its first line is not UTF-8"))?;
    if text.is_empty() {
        return Err(denied(at, "its first line is empty"));
    }
    Ok(Secret::new(text.to_owned()))
}

fn denied(at: &str, got: impl Into<String>) -> ReachError {
    ReachError::new(ReachErrorKind::Denied, at, got)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn secrets() -> Secrets {
        Secrets::new(None, vec![("PATH".into(), "/usr/bin:/bin".into())])
    }

    async fn text_of(source: SecretSource) -> Result<String, String> {
        secrets().get(&source).await.map(|secret| secret.expose().to_owned()).map_err(|error| error.got)
    }

    fn command(text: &str) -> SecretSource {
        SecretSource::Command(CommandForm::Text(text.into()))
    }

    #[tokio::test]
    async fn commands_give_their_first_line_and_no_shell_reads_them() {
        assert_eq!(text_of(command("printf 'a b\\nc'")).await, Ok("a b".into()));
        assert_eq!(text_of(command("echo '$HOME;' `x`")).await, Ok("$HOME; `x`".into()));
        let list = SecretSource::Command(CommandForm::List(vec!["printenv".into(), "CARGO_MANIFEST_DIR".into()]));
        assert!(text_of(list).await.is_err(), "the environment was passed on");
        for bad in ["", "echo 'open", "false", "true", "no-such-program-here"] {
            assert!(text_of(command(bad)).await.is_err(), "{bad:?} was accepted");
        }
        let error = text_of(command("sh -c 'echo half; echo reason >&2; exit 3'")).await.expect_err("it failed");
        assert!(error.contains("reason") && !error.contains("half"), "{error}");
    }

    #[tokio::test]
    async fn a_source_is_asked_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let count = folder.path().join("count");
        let source = SecretSource::Command(CommandForm::List(
            ["sh", "-c", "echo x >>\"$1\"; echo secret", "sh", count.to_str().expect("UTF-8")].map(Into::into).into(),
        ));
        let secrets = secrets();
        for _ in 0..3 {
            assert_eq!(secrets.get(&source).await.expect("a secret").expose(), "secret");
        }
        assert_eq!(fs::read_to_string(count).expect("it ran"), "x\n");
    }

    #[tokio::test]
    async fn files_must_be_closed_to_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, "hunter2\r\nmore").expect("written");
        let source = SecretSource::File(path.clone());
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(text_of(source.clone()).await.is_ok(), good, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        assert_eq!(text_of(source).await, Ok("hunter2".into()));
        let link = folder.path().join("link");
        symlink(&path, &link).expect("a link");
        assert!(text_of(SecretSource::File(link)).await.expect_err("a link").contains("symbolic link"));
        assert!(text_of(SecretSource::File(folder.path().to_owned())).await.is_err());
        fs::write(&path, "\nx").expect("written");
        assert!(text_of(SecretSource::File(path)).await.expect_err("empty").contains("empty"));
    }

    #[tokio::test]
    async fn credentials_come_from_their_folder_only() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("db"), "word\n").expect("written");
        let secrets = Secrets::new(Some(folder.path().to_owned()), Vec::new());
        let get = async |name: &str| secrets.get(&SecretSource::Credential(name.into())).await;
        assert_eq!(get("db").await.expect("a secret").expose(), "word");
        for bad in ["../db", "", ".", "missing"] {
            assert!(get(bad).await.is_err(), "{bad:?} was accepted");
        }
        assert!(text_of(SecretSource::Credential("db".into())).await.is_err());
    }
}
