//! The ssh configuration that every connection of the program uses, and the arguments that are a host's own.
//!
//! Pure: text and argument lists. What must hold whatever the operator's configuration says stands first, because ssh
//! takes the first value it finds; the operator's own configuration is included after it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::estate::{Host, Ssh};

/// How long an unused connection is kept for the next run.
pub(super) const IDLE: Duration = Duration::from_mins(5);

/// What no configuration of the operator may change.
const FIXED: &str = "\
Host *
    BatchMode yes
    StrictHostKeyChecking yes
    UpdateHostKeys no
    VisualHostKey no
    ForwardAgent no
    ForwardX11 no
    AddKeysToAgent no
    ClearAllForwardings yes
    ExitOnForwardFailure no
    GatewayPorts no
    StreamLocalBindUnlink yes
    StreamLocalBindMask 0177
    PermitLocalCommand no
    RemoteCommand none
    RequestTTY no
    EscapeChar none
    Tunnel no
    ServerAliveInterval 15
    ServerAliveCountMax 3
    TCPKeepAlive yes
    ConnectionAttempts 1
    LogLevel ERROR
";

/// The text of the configuration file for `ssh -F`.
pub(super) fn config_text(ssh: &Ssh) -> String {
    let mut lines = vec![format!("ConnectTimeout {}", connect_timeout(ssh).as_secs().max(1))];
    if let Some(file) = &ssh.known_hosts {
        lines.push(format!("UserKnownHostsFile {}", quoted(file)));
    }
    match &ssh.config {
        Some(file) => lines.push(format!("Include {}", quoted(file))),
        None => lines.extend(["Include ~/.ssh/config", "Include /etc/ssh/ssh_config"].map(str::to_owned)),
    }
    format!("{FIXED}    {}\n", lines.join("\n    "))
}

/// How long to wait for a connection.
pub(super) fn connect_timeout(ssh: &Ssh) -> Duration {
    ssh.connect_timeout.map_or(Duration::from_secs(10), |span| span.0)
}

/// A path as ssh's configuration reads it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// The arguments that choose a host and how to log in there; they do not hold for jump hosts on the way.
///
/// # Errors
/// What is wrong with the host in the estate.
pub(super) fn host_arguments(host: &Host) -> Result<Vec<OsString>, String> {
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(port) = host.port {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = &host.user {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@\\$+".contains(c);
        if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
            return Err(format!("`{}` is not a user name that ssh may be given", user.escape_debug()));
        }
        arguments.extend(["-l".into(), user.into()]);
    }
    if let Some(identity) = &host.identity {
        arguments.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), identity.into()]);
    }
    let address = host.address.as_deref().ok_or("the estate gives it no address")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
    if !address.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':') || !address.chars().all(plain) {
        return Err(format!("`{}` is not an address that ssh may be given", address.escape_debug()));
    }
    arguments.extend(["--".into(), address.into()]);
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_hold_comes_before_the_operators_own() {
        let ssh = Ssh {
            config: Some("/etc/co/ssh config".into()),
            known_hosts: Some("/etc/co/kh".into()),
            connect_timeout: None,
        };
        let text = config_text(&ssh);
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} is missing in {text}"));
        assert!(at("StrictHostKeyChecking yes") < at("Include \"/etc/co/ssh config\""));
        assert!(at("UserKnownHostsFile \"/etc/co/kh\"") < at("Include"));
        assert!(text.contains("ConnectTimeout 10\n"));
        assert!(!text.contains("HostKeyAlias"), "the operator's known_hosts lists addresses");
        assert!(config_text(&Ssh::default()).contains("Include ~/.ssh/config"));
    }

    #[test]
    fn nothing_in_an_estate_becomes_an_option() {
        let host = |address: &str, user: Option<&str>| Host {
            address: Some(address.into()),
            port: Some(2222),
            user: user.map(Into::into),
            identity: Some("/k".into()),
            local: false,
            roles: Vec::new(),
        };
        let good = host_arguments(&host("10.0.0.1", Some("op"))).expect("arguments");
        assert_eq!(good, ["-p", "2222", "-l", "op", "-o", "IdentitiesOnly=yes", "-i", "/k", "--", "10.0.0.1"]);
        assert!(host_arguments(&host("fe80::1%eth0", None)).is_ok());
        for bad in ["-oProxyCommand=x", "a b", "$(x)", "", "a;b", "a\nb", "%h"] {
            assert!(host_arguments(&host(bad, None)).is_err(), "{bad:?} was accepted");
        }
        for bad in ["-oX", "", "a b", "$(x)"] {
            assert!(host_arguments(&host("h", Some(bad))).is_err(), "{bad:?} was accepted");
        }
    }
}
