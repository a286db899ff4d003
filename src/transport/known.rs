//! What a failed SSH connection says, turned into an error that a person can act on.
//!
//! Pure: the text of the log in, an error out. No advice here ever weakens the check of host keys.

use crate::port::{ReachError, ReachErrorKind};

/// What the advice in an error needs to know about a host.
#[derive(Debug, Clone)]
pub(super) struct HostFacts {
    /// The name for people: `prod:app1 (10.0.1.11)`.
    pub at: String,
    /// The address as it is given to ssh.
    pub address: String,
    /// The port, if the estate sets one.
    pub port: Option<u16>,
    /// The user, if the estate sets one.
    pub user: Option<String>,
    /// The `known_hosts` file that is read, as the operator would write it.
    pub known_hosts: String,
}

impl HostFacts {
    /// The name under which `known_hosts` lists the host.
    fn listed_as(&self) -> String {
        match self.port {
            Some(port) if port != 22 => format!("[{}]:{port}", self.address),
            _ => self.address.clone(),
        }
    }

    fn port_option(&self) -> String {
        self.port.map(|port| format!("-p {port} ")).unwrap_or_default()
    }

    fn login(&self) -> String {
        self.user.as_ref().map_or_else(|| self.address.clone(), |user| format!("{user}@{}", self.address))
    }
}

/// The error of a connection that ssh could not make, from what it logged.
pub(super) fn dial_error(host: &HostFacts, log: &str) -> ReachError {
    use ReachErrorKind::{Denied, Unreachable};

    let has = |needle: &str| log.contains(needle);
    let new = |kind, got: String| ReachError::new(kind, &host.at, got);
    let said = last_words(log);
    let scan = format!("ssh-keyscan {}{}", host.port_option(), host.address);

    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let key = fingerprint(log).map(|key| format!("; it now shows {key}")).unwrap_or_default();
        return new(Denied, format!("its host key is not the one that is known{key}")).hint(format!(
            "ask who reinstalled the host. Only if somebody did, and `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host's own console shows the same fingerprint: `ssh-keygen -R '{}' -f {}`, then `{scan} >> {}`. Otherwise somebody may be in between",
            host.listed_as(), host.known_hosts, host.known_hosts
        ));
    }
    if has("Host key verification failed") || has("host key is known for") {
        return new(Denied, "its host key is not known".to_owned()).hint(format!(
            "compare `{scan} | ssh-keygen -lf -` with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host's own console; when they agree: `{scan} >> {}`",
            host.known_hosts
        ));
    }
    if has("UNPROTECTED PRIVATE KEY FILE") || has("bad permissions") {
        return new(Denied, said).hint("make the private key readable by its owner only: `chmod 600 <key file>`");
    }
    if has("Permission denied (") || has("Too many authentication failures") || has("No more authentication methods") {
        return new(Denied, said).hint(format!(
            "the host refused the login; try `ssh {}-o BatchMode=yes {} true`, and look at `user` and `identity` of the host in the estate, and at ~/.ssh/authorized_keys on the host",
            host.port_option(),
            host.login()
        ));
    }
    if has("Bad configuration option") || has("bad configuration option") || has("Bad owner or permissions") {
        return new(Denied, said).hint("correct the ssh configuration; `ssh -G <host>` shows how it is read");
    }
    if has("Unable to negotiate") || has("no matching host key type") {
        return new(Denied, said)
            .hint("the host speaks only ciphers or keys that this ssh no longer accepts; see its ssh configuration");
    }
    if has("too long for Unix domain socket") {
        return new(Denied, said).hint("choose a shorter folder for the runtime files of the program");
    }
    if has("Could not resolve hostname") {
        let kind = if has("Temporary failure") { Unreachable } else { Denied };
        return new(kind, said).hint("look at `address` of the host in the estate, and at the name service");
    }
    if has("Connection refused") {
        return new(Unreachable, said)
            .hint("the machine answers, but no SSH server listens there: is sshd running, and is the port right?");
    }
    if has("timed out") {
        return new(Unreachable, said).hint("the machine is down, or a firewall drops the connection");
    }
    if has("No route to host") || has("Network is unreachable") {
        return new(Unreachable, said)
            .hint("there is no way to the network of the host from this machine: VPN, routing?");
    }
    if has("Connection reset") || has("Connection closed") || has("kex_exchange_identification") {
        return new(Unreachable, said).hint("the SSH server hung up before the login: too many logins at once, or this address is blocked there for a while");
    }
    let said = if said.is_empty() { "ssh could not connect and gave no reason".to_owned() } else { said };
    new(Unreachable, said)
}

/// The lines that matter at the end of a log, without ssh's own prefixes.
fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(|line| line.trim().trim_start_matches("ssh: "))
        .filter(|line| !line.is_empty() && !line.starts_with('@') && !line.starts_with("debug"))
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

fn fingerprint(log: &str) -> Option<&str> {
    let from = log.find("SHA256:")?;
    let key = &log[from..];
    let end = key.find(char::is_whitespace).unwrap_or(key.len());
    Some(key[..end].trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostFacts {
        HostFacts {
            at: "prod:app1 (10.0.1.11)".into(),
            address: "10.0.1.11".into(),
            port: Some(2222),
            user: Some("op".into()),
            known_hosts: "/etc/co/known_hosts".into(),
        }
    }

    #[test]
    fn logs_become_errors_with_advice() {
        use ReachErrorKind::{Denied, Unreachable};
        let changed = "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc/def.\nHost key verification failed.\n";
        let cases = [
            (changed, Denied, "SHA256:abc/def", "ssh-keygen -R '[10.0.1.11]:2222'"),
            (
                "No ED25519 host key is known for [10.0.1.11]:2222 and you have requested strict checking.\nHost key verification failed.\n",
                Denied,
                "host key is not known",
                "ssh-keyscan -p 2222 10.0.1.11 >> /etc/co/known_hosts",
            ),
            ("op@10.0.1.11: Permission denied (publickey).", Denied, "Permission denied", "op@10.0.1.11 true"),
            ("ssh: connect to host x port 22: Connection refused", Unreachable, "connect to host x", "sshd"),
            ("ssh: connect to host x port 22: Connection timed out", Unreachable, "timed out", "firewall"),
            ("ssh: connect to host x port 22: No route to host", Unreachable, "No route", "VPN"),
            ("ssh: Could not resolve hostname x: Name or service not known", Denied, "resolve", "address"),
            ("ssh: Could not resolve hostname x: Temporary failure in name resolution", Unreachable, "resolve", "name"),
            ("/x/conf: line 3: Bad configuration option: foo", Denied, "foo", "ssh -G"),
        ];
        for (log, kind, got, hint) in cases {
            let error = dial_error(&host(), log);
            assert_eq!(error.kind, kind, "{log}");
            assert!(error.got.contains(got), "{log}: {}", error.got);
            let advice = error.hint.unwrap_or_default();
            assert!(advice.contains(hint), "{log}: {advice}");
            for weak in ["StrictHostKeyChecking=no", "StrictHostKeyChecking no", "accept-new", "/dev/null"] {
                assert!(!advice.contains(weak), "{log}: {advice}");
            }
        }
    }

    #[test]
    fn silence_is_said_to_be_silence() {
        assert!(dial_error(&host(), "").got.contains("no reason"));
    }
}
