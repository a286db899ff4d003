//! The options of the client programs, and getting to the server with them.

use crate::model::SiteName;
use crate::port::{Arg, Command, Pipeline};
use crate::world::host::Machine;
use crate::world::spec::{Listener, listener};
use crate::world::sql::session::{Session, SqlRefusal};
use crate::world::{State, Zone};

/// What a program was told.
#[derive(Debug, Clone)]
pub(super) struct Options {
    given: Vec<String>,
    password: Option<String>,
}

/// Every option that the program uses. What is not here would need to be taught first.
const KNOWN: [&str; 21] = [
    "--no-defaults",
    "--help",
    "--user",
    "--host",
    "--port",
    "--protocol",
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--default-character-set",
    "--max-allowed-packet",
    "--no-tablespaces",
    "--databases",
    "--binary-mode",
    "--skip-reconnect",
    "--batch",
    "--skip-column-names",
    "--execute",
];

/// Why the server was not reached, as the client library numbers and words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoWay {
    pub(super) code: u16,
    pub(super) state: &'static str,
    pub(super) words: String,
}

impl From<SqlRefusal> for NoWay {
    fn from(refusal: SqlRefusal) -> Self {
        Self { code: refusal.code, state: refusal.state(), words: refusal.words }
    }
}

impl Options {
    /// Reads the arguments of a command.
    ///
    /// # Errors
    /// What the program complains of.
    pub(super) fn read(command: &Command, pipeline: &Pipeline) -> Result<Self, String> {
        let mut options = Self { given: Vec::new(), password: None };
        let mut value_follows = false;
        for (place, arg) in command.args.iter().enumerate() {
            match arg {
                Arg::SecretFile { before, index } if before == "--defaults-file=" && place == 0 => {
                    let file = pipeline.secret_files.get(*index).ok_or("Could not open required defaults file")?;
                    options.password = password(file.content.expose());
                }
                Arg::SecretFile { before, .. } => return Err(format!("unknown variable '{before}'")),
                Arg::Text(text) => {
                    let name = text.split('=').next().unwrap_or_default();
                    if !value_follows && text.starts_with('-') && !KNOWN.contains(&name) {
                        return Err(format!("unknown option '{text}'"));
                    }
                    value_follows = text == "--execute";
                    options.given.push(text.clone());
                }
            }
        }
        Ok(options)
    }

    /// True when the option is given.
    pub(super) fn has(&self, option: &str) -> bool {
        self.given.iter().any(|given| given == option)
    }

    /// The value of an option that is written as `--name=value`.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        self.given.iter().find_map(|given| given.strip_prefix(option)?.strip_prefix('='))
    }

    /// What stands behind an option.
    pub(super) fn behind(&self, option: &str) -> &[String] {
        self.given.iter().position(|given| given == option).map_or(&[], |at| &self.given[at + 1..])
    }

    /// The server's address.
    pub(super) fn host(&self) -> &str {
        self.value("--host").unwrap_or("localhost")
    }

    /// Logs in.
    pub(super) fn connect(&self, on: &Machine<'_>) -> Result<(SiteName, Session), NoWay> {
        let host = self.host();
        let port = self.value("--port").and_then(|port| port.parse().ok()).unwrap_or(3306);
        let nobody =
            || NoWay { code: 2002, state: "HY000", words: format!("Can't connect to server on '{host}' (115)") };
        let state: &State = on.state;
        let Some((site, Listener::Sql)) = listener(host, port) else { return Err(nobody()) };
        let ways = [Zone::Site(on.site.clone()), Zone::Site(site.clone())];
        let passes = state.network.passes(&ways[0], &ways[1]) && state.network.passes(&ways[1], &ways[0]);
        if !passes || !state.sites.get(&site).is_some_and(|there| there.sql.is_up()) {
            return Err(nobody());
        }
        let user = self.value("--user").unwrap_or("root");
        let session = Session::begin(state, &site, user, &on.this().address, self.password.as_deref())?;
        Ok((site, session))
    }
}

/// The password in an option file, with what is escaped there.
fn password(file: &str) -> Option<String> {
    let quoted = file.lines().find_map(|line| line.strip_prefix("password=\"")?.strip_suffix('"'))?;
    let mut password = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        password.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            },
            c => c,
        });
    }
    Some(password)
}
