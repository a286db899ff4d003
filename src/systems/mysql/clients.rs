//! The programs that dump, compress and load: which of them a host has, and the command lines they are given.
//!
//! Options are chosen by what a program's own `--help` knows, not by its version number.

use std::time::Duration;

use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::server::{Flavour, Version, WHO};
use crate::model::{Failure, FailureKind, Secret};
use crate::port::{Arg, Command, Exit, Pipeline, Place, SqlAddress};
use crate::systems::StepContext;

const PROBE: Duration = Duration::from_secs(30);

/// A client program as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name or path.
    pub path: String,
    /// Whose.
    pub flavour: Flavour,
    /// Its version, in its own words.
    pub version: String,
    /// The text of its `--help`.
    help: String,
}

impl Program {
    fn read(path: &str, help: &str) -> Self {
        let first = help.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let version = first.split_once("Ver ").or_else(|| first.split_once("from ")).map_or(first, |(_, rest)| rest);
        Self {
            path: path.to_owned(),
            flavour: Flavour::of(help),
            version: version.trim().to_owned(),
            help: help.to_owned(),
        }
    }

    /// True when it has the option.
    #[must_use]
    pub fn knows(&self, option: &str) -> bool {
        self.help.contains(option)
    }

    /// Its version number.
    #[must_use]
    pub fn number(&self) -> Version {
        let distribution = self.version.split_once("Distrib ").map_or(self.version.as_str(), |(_, rest)| rest);
        Version::of(distribution)
    }

    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} ({} {})", self.path, self.flavour, self.number())
    }
}

/// A program that compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compressor {
    /// `zstd`, on all cores: six times as fast as the others, and smaller.
    Zstd,
    /// `pigz`: gzip on all cores.
    Pigz,
    /// `gzip`.
    Gzip,
}

impl Compressor {
    /// From the best to the last.
    pub const BY_WORTH: [Self; 3] = [Self::Zstd, Self::Pigz, Self::Gzip];

    /// The program's name.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Pigz => "pigz",
            Self::Gzip => "gzip",
        }
    }

    /// What its files' names end in.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Pigz | Self::Gzip => "gz",
        }
    }

    /// Compresses stdin to stdout.
    #[must_use]
    pub fn compress(self) -> Command {
        match self {
            Self::Zstd => Command::new("zstd").args(["-q", "-T0", "-3", "-c"]),
            Self::Pigz => Command::new("pigz").args(["-6", "-c"]),
            Self::Gzip => Command::new("gzip").args(["-3", "-c"]),
        }
    }

    /// Decompresses a file to stdout, proving it whole on the way. What pigz wrote, gzip reads everywhere.
    #[must_use]
    pub fn decompress(self, path: &str) -> Command {
        match self {
            Self::Zstd => Command::new("zstd").args(["-q", "-d", "-c", path]),
            Self::Pigz | Self::Gzip => Command::new("gzip").args(["-d", "-c", path]),
        }
    }

    /// The program that decompresses.
    #[must_use]
    pub fn decompressor(self) -> &'static str {
        if self == Self::Zstd { "zstd" } else { "gzip" }
    }
}

/// What a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolbox {
    /// The dump program that fits the server best.
    pub dump: Option<Program>,
    /// The client program that fits the server best.
    pub client: Option<Program>,
    /// The compressors, best first.
    pub compressors: Vec<Compressor>,
    /// True when there is an `awk`.
    pub awk: bool,
}

/// The names a program may have, best first for a server of this flavour.
fn names(flavour: Flavour, mariadb: &'static str, mysql: &'static str) -> [&'static str; 2] {
    match flavour {
        Flavour::Mariadb => [mariadb, mysql],
        // Debian's `mysqldump` is often MariaDB's under its old name: `--help` tells.
        Flavour::Mysql => [mysql, mariadb],
    }
}

impl Toolbox {
    /// Looks what the programs' place has.
    ///
    /// # Errors
    /// When the place cannot be asked.
    pub async fn look(cx: &StepContext, access: &Access, flavour: Flavour) -> Result<Self, Failure> {
        let folder = access.settings.client_folder.as_deref();
        let path = |name: &str| {
            folder.map_or_else(|| name.to_owned(), |folder| folder.join(name).to_string_lossy().into_owned())
        };
        let sql: Vec<String> = names(flavour, "mariadb-dump", "mysqldump")
            .into_iter()
            .chain(names(flavour, "mariadb", "mysql"))
            .map(path)
            .collect();
        let helps = sql.iter().map(|path| Command::new(path).args(["--no-defaults", "--help"]));
        let others = Compressor::BY_WORTH.map(|program| Command::new(program.program()).arg("--version"));
        let awk = Command::new("awk").arg("BEGIN { print \"here\" }");
        let commands: Vec<Pipeline> = helps.chain(others).chain([awk]).map(Pipeline::from).collect();
        let found = join_all(commands.iter().map(|command| probe(cx, &access.place, command))).await;
        let found: Vec<Option<String>> = found.into_iter().collect::<Result<_, _>>()?;
        let programs: Vec<Option<Program>> =
            sql.iter().zip(&found).map(|(path, help)| help.as_ref().map(|help| Program::read(path, help))).collect();
        let best = |range: std::ops::Range<usize>| {
            let there = || programs[range.clone()].iter().flatten();
            there().find(|program| program.flavour == flavour).or_else(|| there().next()).cloned()
        };
        Ok(Self {
            dump: best(0..2),
            client: best(2..4),
            compressors: Compressor::BY_WORTH
                .into_iter()
                .zip(&found[4..])
                .filter(|(_, found)| found.is_some())
                .map(|(compressor, _)| compressor)
                .collect(),
            awk: found.get(7).is_some_and(Option::is_some),
        })
    }

    /// The dump program.
    ///
    /// # Errors
    /// When there is none.
    pub fn dump(&self, access: &Access) -> Result<&Program, Failure> {
        self.dump.as_ref().ok_or_else(|| missing(access, "mariadb-dump or mysqldump"))
    }

    /// The client program.
    ///
    /// # Errors
    /// When there is none.
    pub fn client(&self, access: &Access) -> Result<&Program, Failure> {
        self.client.as_ref().ok_or_else(|| missing(access, "mariadb or mysql"))
    }

    /// The compressor to use: the wanted one, or the best.
    ///
    /// # Errors
    /// When it is not there.
    pub fn compressor(&self, access: &Access, wanted: Option<Compressor>) -> Result<Compressor, Failure> {
        match wanted {
            Some(wanted) if self.compressors.contains(&wanted) => Ok(wanted),
            Some(wanted) => Err(missing(access, wanted.program())),
            None => self.compressors.first().copied().ok_or_else(|| missing(access, "zstd, pigz or gzip")),
        }
    }

    /// True when files of this compressor can be read.
    #[must_use]
    pub fn reads(&self, compressor: Compressor) -> bool {
        match compressor {
            Compressor::Zstd => self.compressors.contains(&Compressor::Zstd),
            Compressor::Pigz | Compressor::Gzip => self.compressors.contains(&Compressor::Gzip),
        }
    }
}

/// The failure of a program that is not there.
pub fn missing(access: &Access, program: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("find {program} on {}", access.place), "there is none")
        .hint(format!("install it on {}, or set `client_folder` in the service's settings", access.place))
}

/// The output of a program; nothing when there is no such program.
async fn probe(cx: &StepContext, place: &Place, command: &Pipeline) -> Result<Option<String>, Failure> {
    let tried = format!("run {command}");
    let output = cx.reach.exec(place, command, PROBE).await.map_err(|error| error.while_reading(&tried))?;
    match output.exits.first() {
        Some(Exit::Code(126 | 127)) | None => Ok(None),
        Some(Exit::Code(0)) => Ok(Some(output.text())),
        Some(_) => Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), output.complaint(command))
            .hint("the program is there but does not run")),
    }
}

/// The option file that carries the password, and nothing else that matters. It is the only one that is read.
fn option_file(access: &Access) -> Secret {
    let mut text = String::new();
    if let Some(path) = &access.settings.option_file {
        text.push_str("!include ");
        text.push_str(&path.to_string_lossy());
        text.push('\n');
    }
    text.push_str("[client]\n");
    if let Some(password) = access.password() {
        text.push_str("password=\"");
        text.push_str(&escaped(password.expose()));
        text.push_str("\"\n");
    }
    Secret::new(text)
}

/// A value between double quotes in an option file.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out
}

/// A client program that knows where to connect to. The option file must be its first argument.
fn connected(program: &Program, access: &Access) -> Command {
    let command = Command::new(&program.path)
        .arg(Arg::SecretFile { before: "--defaults-file=".to_owned(), index: 0 })
        .arg(format!("--user={}", access.settings.user));
    let command = match &access.address {
        SqlAddress::Tcp(address, port) => {
            command.args([format!("--host={address}"), format!("--port={port}"), "--protocol=TCP".to_owned()])
        }
        SqlAddress::Socket(path) => command.args([format!("--socket={path}"), "--protocol=SOCKET".to_owned()]),
    };
    if access.settings.ca_pem.is_none() {
        return command;
    }
    // Each family has its own word for it, and refuses the other's.
    let verified = if program.knows("--ssl-mode") { "--ssl-mode=VERIFY_IDENTITY" } else { "--ssl-verify-server-cert" };
    command.arg(Arg::SecretFile { before: "--ssl-ca=".to_owned(), index: 1 }).arg(verified)
}

/// The pipeline with the files that [`connected`] names.
fn with_files(pipeline: Pipeline, access: &Access) -> Pipeline {
    let pipeline = pipeline.secret_file(option_file(access));
    match &access.settings.ca_pem {
        // No secret, but it goes the same way: the host gets a file that is removed when the work has ended.
        Some(ca_pem) => pipeline.secret_file(Secret::new(ca_pem.clone())),
        None => pipeline,
    }
}

/// Dumps `databases` into the file `to` on the programs' place, compressed, and prints the SHA-256 of what was written.
#[must_use]
pub fn dump_pipeline(
    access: &Access,
    dump: &Program,
    compressor: Compressor,
    databases: &[&str],
    to: &str,
) -> Pipeline {
    let mut command = connected(dump, access).args([
        "--single-transaction",
        "--quick",
        "--routines",
        "--events",
        "--triggers",
        "--hex-blob",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
    ]);
    // Each of these exists in some clients only. Without the first, a new client asks old servers for a table they do
    // not have; without the second, a dump of some databases claims the transactions of all of them; without the third,
    // the account would need the PROCESS privilege for something that is not restored anyway.
    for (option, written) in [
        ("column-statistics", "--column-statistics=0"),
        ("set-gtid-purged", "--set-gtid-purged=OFF"),
        ("no-tablespaces", "--no-tablespaces"),
    ] {
        if dump.knows(option) {
            command = command.arg(written);
        }
    }
    command = command.arg("--databases").args(databases.iter().copied());
    let pipeline = Pipeline::from(command)
        .pipe(compressor.compress())
        .pipe(Command::new("tee").arg(to))
        .pipe(Command::new("sha256sum"));
    with_files(pipeline, access).umask(0o007)
}

/// Loads the dump file `from` on the programs' place. The first error ends it.
#[must_use]
pub fn load_pipeline(
    access: &Access,
    client: &Program,
    compressor: Compressor,
    sandbox_line: bool,
    from: &str,
) -> Pipeline {
    let mut pipeline = Pipeline::from(compressor.decompress(from));
    if sandbox_line && !client.knows("sandbox mode") && !client.knows("--sandbox") {
        // MariaDB's dump program begins with a line that clients which do not know it stumble over.
        pipeline = pipeline.pipe(Command::new("sed").arg("1{/999999/d;}").env("LC_ALL", "C"));
    }
    let mut load = connected(client, access).args([
        // Nothing in the data is taken for a command of the client.
        "--binary-mode",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        // A new session would have lost what the dump set at its beginning.
        "--skip-reconnect",
    ]);
    if client.knows("--print-query-on-error") {
        // Else the rows of the statement that failed would stand in every report of the failure.
        load = load.arg("--skip-print-query-on-error");
    }
    with_files(pipeline.pipe(load), access)
}

/// Lets the client program ask the server which one it is.
#[must_use]
pub fn who_pipeline(access: &Access, client: &Program) -> Pipeline {
    let asked = connected(client, access).args(["--batch", "--skip-column-names", "--execute", WHO]);
    with_files(asked.into(), access)
}

/// Removes `databases`. Waits at most a minute for sessions that hold tables.
#[must_use]
pub fn drop_pipeline(access: &Access, client: &Program, databases: &[&str]) -> Pipeline {
    let dropped = connected(client, access).args(["--batch", "--skip-reconnect", "--execute"]);
    with_files(dropped.arg(drop_statements(databases)).into(), access)
}

fn drop_statements(databases: &[&str]) -> String {
    let mut text = "SET SESSION lock_wait_timeout = 60, foreign_key_checks = 0".to_owned();
    for name in databases {
        text.push_str("; DROP DATABASE IF EXISTS ");
        text.push_str(&super::settings::quoted(name));
    }
    text
}

/// Writes the end of the dump file `from`, after reading all of it.
#[must_use]
pub fn trailer_pipeline(compressor: Compressor, from: &str) -> Pipeline {
    Pipeline::from(compressor.decompress(from)).pipe(Command::new("tail").args(["-c", "400"]))
}

/// Counts the rows of the dump file `from` with the awk program in the file `counter`.
#[must_use]
pub fn tally_pipeline(compressor: Compressor, from: &str, counter: &str) -> Pipeline {
    Pipeline::from(compressor.decompress(from)).pipe(Command::new("awk").args(["-f", counter]).env("LC_ALL", "C"))
}

#[cfg(test)]
mod tests;
