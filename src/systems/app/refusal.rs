//! Telling that `sudo` refused, and what rule would allow the command. Pure.

use crate::port::{Arg, Command};

/// True when what a command complained of is `sudo` saying no.
pub(super) fn sudo_refused(complaint: &str) -> bool {
    complaint.lines().any(|line| {
        let line = line.trim_start();
        [
            "a password is required",
            "a terminal is required",
            "is not in the sudoers file",
            "may not run sudo",
            "is not allowed to execute",
            "is not allowed to run sudo",
            "you must have a tty",
        ]
        .iter()
        .any(|refusal| line.contains(refusal))
    })
}

/// The rule that would let `user` run `command` by sudo without a password.
pub(super) fn sudo_rule(user: Option<&str>, command: &Command) -> Option<String> {
    if command.program.rsplit('/').next() != Some("sudo") {
        return None;
    }
    let words: Vec<&str> = command
        .args
        .iter()
        .filter_map(|arg| match arg {
            Arg::Text(text) => Some(text.as_str()),
            Arg::SecretFile { .. } => None,
        })
        .skip_while(|word| word.starts_with('-'))
        .collect();
    let (program, _) = words.split_first()?;
    let path = if program.starts_with('/') { "" } else { "/FULL/PATH/TO/" };
    let user = user.unwrap_or("LOGIN-USER");
    Some(format!("{user} ALL=(root) NOPASSWD: {path}{}", words.join(" ")))
}
