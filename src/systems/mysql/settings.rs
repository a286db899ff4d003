//! What an estate says about a SQL server at one site. Decoding and checking only; nothing is asked.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{HostName, SecretSource, ServiceName};

/// The settings of a `mysql` service at one site, checked.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "SettingsForm")]
#[schemars(with = "SettingsForm")]
pub struct Settings {
    /// The databases that are copied: at least one, none twice.
    pub databases: Vec<DatabaseName>,
    /// The user.
    pub user: String,
    /// The user's password; none for accounts that are recognised by their socket.
    pub password: Option<SecretSource>,
    /// How statements and client programs get to the server.
    pub via: Via,
    /// Which host of the site the server is looked for at.
    pub seat: Seat,
    /// Where the server listens.
    pub listens: Listens,
    /// With a tunnel: the port of this machine that it begins at.
    pub tunnel_port: Option<u16>,
    /// The folder of the client programs.
    pub client_folder: Option<PathBuf>,
    /// An option file that is read before our own options.
    pub option_file: Option<PathBuf>,
    /// Certificates of the authority that signed the server's; with them everything that goes to it is encrypted.
    pub ca_pem: Option<String>,
}

/// Which host of the site the server is looked for at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seat {
    /// The one that this service of the estate names as leader.
    Leader(ServiceName),
    /// Always this one.
    Host(HostName),
    /// The first by name.
    First,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listens {
    /// An address, if one is written, and a port.
    Tcp(Option<String>, u16),
    /// A Unix socket of the host.
    Socket(String),
}

/// How statements and client programs get to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Statements go through the SSH connection of the server's host; dump and restore programs run on that host.
    #[default]
    Ssh,
    /// Statements as with `ssh`; dump and restore programs run on this machine, which must mount the site's exchange
    /// tree. They reach the server through a tunnel that something else keeps open (`tunnel_port`): it must outlive
    /// this program, as they do. Without `tunnel_port` they connect to `address` and `port` themselves.
    Tunnel,
    /// Straight to the SQL port. Dump and restore programs run where the site's exchange tree is mounted.
    Port,
}

/// The settings as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SettingsForm {
    /// The databases to copy, for example `["shop"]`. The server's own (`mysql`, `sys` …) are not copied.
    databases: Vec<DatabaseName>,
    /// The user that dumps, restores and counts.
    user: String,
    /// Where the password is read from. Leave it out for an account that is recognised by its socket.
    #[serde(default)]
    password: Option<SecretSource>,
    /// How to get to the server: `ssh` (default), `tunnel` or `port`.
    #[serde(default)]
    via: Via,
    /// A service with `leader_url` that names the host to use. Not together with `host`.
    #[serde(default)]
    leader: Option<ServiceName>,
    /// The host to use; the first of the site when left out.
    #[serde(default)]
    host: Option<HostName>,
    /// The server's address as seen from that host (with `port`: from this machine and from the exchange tree's host).
    /// 127.0.0.1 when left out; with `port` the host's own address.
    #[serde(default)]
    address: Option<String>,
    /// The server's port; 3306 when left out.
    #[serde(default)]
    port: Option<u16>,
    /// The server's Unix socket on that host, in place of address and port.
    #[serde(default)]
    socket: Option<String>,
    /// With `tunnel`: the port of this machine that the tunnel begins at.
    #[serde(default)]
    tunnel_port: Option<u16>,
    /// The folder of the client programs (`mariadb-dump`, `mysql` …) where they are run, when they are not on the PATH.
    #[serde(default)]
    client_folder: Option<PathBuf>,
    /// An option file where the client programs are run, read before our own options. No other option file is read, so
    /// that a dump does not depend on what lies about on a host.
    #[serde(default)]
    option_file: Option<PathBuf>,
    /// PEM certificates of the authority that signed the server's certificate. With them, statements, dump and restore
    /// go encrypted, and only to a server whose certificate names its `address`. Without them nothing is encrypted but
    /// what the SSH connection carries.
    #[serde(default)]
    ca_pem: Option<String>,
}

impl TryFrom<SettingsForm> for Settings {
    type Error = String;

    fn try_from(form: SettingsForm) -> Result<Self, String> {
        if form.databases.is_empty() {
            return Err("`databases` is empty: name at least one".to_owned());
        }
        if let Some(twice) = form.databases.iter().enumerate().find(|(at, name)| form.databases[..*at].contains(name)) {
            return Err(format!("`databases` has `{}` twice", twice.1));
        }
        if form.user.is_empty() || form.user.chars().any(char::is_control) {
            return Err("`user` must be a plain, non-empty name".to_owned());
        }
        let absolute = |what: &str, path: &str| {
            if path.starts_with('/') && !path.chars().any(char::is_control) {
                Ok(())
            } else {
                Err(format!("`{what}` must be an absolute path"))
            }
        };
        for (what, path) in [("client_folder", &form.client_folder), ("option_file", &form.option_file)] {
            if let Some(path) = path {
                absolute(what, path.to_str().unwrap_or_default())?;
            }
        }
        if form.tunnel_port.is_some() && form.via != Via::Tunnel {
            return Err("`tunnel_port` means something with `via = \"tunnel\"` only".to_owned());
        }
        if form.ca_pem.is_some() && form.socket.is_some() {
            return Err("`ca_pem` means nothing with `socket`: a session that never leaves its host is not encrypted"
                .to_owned());
        }
        if form.ca_pem.is_some() && form.tunnel_port.is_some() {
            return Err("with `tunnel_port` the programs speak to 127.0.0.1, which no certificate names: leave out \
                        `ca_pem`, or use `via = \"ssh\"` or `via = \"port\"`"
                .to_owned());
        }
        if form.socket.is_some() && form.via == Via::Tunnel && form.tunnel_port.is_none() {
            return Err("with `socket`, a tunnel needs `tunnel_port`".to_owned());
        }
        let listens = match (form.socket, form.address, form.port) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err("`socket` stands in place of `address` and `port`: write one or the other".to_owned());
            }
            (Some(_), None, None) if form.via == Via::Port => {
                return Err("`via = \"port\"` needs an address and port, not a socket".to_owned());
            }
            (Some(socket), None, None) => {
                absolute("socket", &socket)?;
                Listens::Socket(socket)
            }
            (None, address, port) => Listens::Tcp(checked_address(address)?, port.unwrap_or(3306)),
        };
        let seat = match (form.leader, form.host) {
            (Some(_), Some(_)) => return Err("write either `leader` or `host`, not both".to_owned()),
            (Some(leader), None) => Seat::Leader(leader),
            (None, Some(host)) => Seat::Host(host),
            (None, None) => Seat::First,
        };
        Ok(Self {
            databases: form.databases,
            user: form.user,
            password: form.password,
            via: form.via,
            seat,
            listens,
            tunnel_port: form.tunnel_port,
            client_folder: form.client_folder,
            option_file: form.option_file,
            ca_pem: form.ca_pem,
        })
    }
}

fn checked_address(address: Option<String>) -> Result<Option<String>, String> {
    let plain = |text: &String| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:_".contains(c))
    };
    match address {
        Some(text) if !plain(&text) => Err(format!("`{}` is not an address", text.escape_debug())),
        address => Ok(address),
    }
}

/// The name of a database that is copied: 1 to 64 of `a-z A-Z 0-9 _ $ -`, not starting with a dash, none of the
/// server's own. It goes into statements and arguments, so it must not be able to be confused there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct DatabaseName(String);

impl DatabaseName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DatabaseName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const SERVERS_OWN: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];
        if SERVERS_OWN.iter().any(|own| own.eq_ignore_ascii_case(&text)) {
            return Err(format!("`{text}` belongs to the server itself and is never copied"));
        }
        let good = |c: char| c.is_ascii_alphanumeric() || "_$-".contains(c);
        if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(good) {
            let shown = text.escape_debug();
            return Err(format!("`{shown}` is not a database name: use 1 to 64 of a-z, A-Z, 0-9, `_`, `$`, `-`"));
        }
        Ok(Self(text))
    }
}

impl From<DatabaseName> for String {
    fn from(name: DatabaseName) -> Self {
        name.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An identifier as it stands in a statement.
#[must_use]
pub fn quoted(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(settings: serde_json::Value) -> Result<Settings, String> {
        serde_json::from_value(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn little_is_needed() {
        let settings = read(json!({ "databases": ["shop"], "user": "co" })).expect("settings");
        assert_eq!(settings.via, Via::Ssh);
        assert_eq!(settings.seat, Seat::First);
        assert_eq!(settings.listens, Listens::Tcp(None, 3306));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        let base = json!({ "databases": ["shop"], "user": "co" });
        for (more, word) in [
            (json!({ "databases": [] }), "at least one"),
            (json!({ "databases": ["a", "a"] }), "twice"),
            (json!({ "databases": ["mysql"] }), "server itself"),
            (json!({ "databases": ["-a"] }), "not a database name"),
            (json!({ "databases": ["a`b"] }), "not a database name"),
            (json!({ "user": "" }), "user"),
            (json!({ "leader": "app", "host": "db1" }), "not both"),
            (json!({ "tunnel_port": 1 }), "tunnel"),
            (json!({ "via": "tunnel", "socket": "/s" }), "tunnel_port"),
            (json!({ "socket": "/s", "port": 1 }), "one or the other"),
            (json!({ "socket": "/s", "via": "port" }), "not a socket"),
            (json!({ "socket": "s" }), "absolute"),
            (json!({ "client_folder": "bin" }), "absolute"),
            (json!({ "ca_pem": "x", "socket": "/s" }), "never leaves its host"),
            (json!({ "ca_pem": "x", "via": "tunnel", "tunnel_port": 1 }), "no certificate names"),
            (json!({ "address": "-x" }), "not an address"),
            (json!({ "pasword": { "file": "/x" } }), "unknown field"),
        ] {
            let mut settings = base.clone();
            settings.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            let error = read(settings).expect_err(word);
            assert!(error.contains(word), "{error} does not say {word}");
        }
    }

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(quoted("we`ird"), "`we``ird`");
    }
}
