//! Whether a server can be dumped from, and whether programs and statements reach the same server. Reading only.

use std::time::Duration;

use super::access::Access;
use super::advice::advice;
use super::census::{Census, Table, shown};
use super::clients::{Compressor, Toolbox, who_pipeline};
use super::findings::Findings;
use super::grants::{Grants, TO_DUMP};
use super::server::{Flavour, Server};
use crate::model::Failure;
use crate::port::SqlStatement;
use crate::systems::StepContext;

/// How long a client program may take to log in and answer.
const LOGIN: Duration = Duration::from_secs(30);

/// A server with what is in its databases and what its place has.
#[derive(Debug, Clone)]
pub struct Scene {
    /// How it is reached.
    pub access: Access,
    /// What it is.
    pub server: Server,
    /// What is in its databases.
    pub census: Census,
    /// The programs.
    pub tools: Toolbox,
}

impl Scene {
    /// Looks at the server of the step's service at the step's site.
    ///
    /// # Errors
    /// When it cannot be found or asked.
    pub async fn survey(cx: &StepContext) -> Result<Self, Failure> {
        let access = Access::open(cx, &cx.site()?.clone()).await?;
        let server = Server::survey(cx, &access).await?;
        let census = Census::take(cx, &access, &access.databases()).await?;
        let tools = Toolbox::look(cx, &access, server.flavour).await?;
        Ok(Self { access, server, census, tools })
    }

    /// The configured databases that do not exist.
    #[must_use]
    pub fn absent(&self) -> Vec<&str> {
        self.access.databases().into_iter().filter(|name| !self.census.present.contains(*name)).collect()
    }

    /// What is said of the server itself.
    pub fn introduce(&self, findings: &mut Findings) {
        let leader = self.access.host.as_ref().map_or_else(String::new, |host| format!(", host {host}"));
        findings.good(format!(
            "{} at {}{leader} answers {}",
            self.server.name(),
            self.access.site,
            self.access.endpoint
        ));
    }
}

/// What could be in the way of a good dump.
///
/// # Errors
/// When the server cannot be asked.
pub async fn as_source(cx: &StepContext, scene: &Scene) -> Result<Findings, Failure> {
    let Scene { access, server, census, tools } = scene;
    let mut findings = Findings::default();
    let absent = scene.absent();
    if !absent.is_empty() {
        findings.fail(
            format!("{} has no database {}", access.describe(), absent.join(", ")),
            "correct `databases` in the estate, or the account may not see it: grant it what it needs",
        );
    }
    if server.read_only {
        findings.warn(format!("the source {} is read-only: it is a replica, or already fenced", access.describe()));
    }
    dump_tools(scene, &mut findings);
    door(cx, scene, &mut findings).await?;
    tables(&census.tables, &mut findings);
    let (grants, roles) = grants(cx, access).await?;
    for database in &census.present {
        let lacks = grants.lacks(&TO_DUMP, database);
        if !lacks.is_empty() && !roles {
            findings.fail(
                format!("{} lacks {} on {database}: the dump would be incomplete", access.describe(), lacks.join(", ")),
                format!("GRANT {} ON `{database}`.* to that account", lacks.join(", ")),
            );
        }
    }
    if roles {
        findings.warn("the account has roles: what they allow could not be read, so its privileges are not checked");
    }
    if tools.awk {
        findings.good(format!("about {} rows in {} tables", census.estimate(), census.dumped().len()));
    }
    Ok(findings)
}

fn dump_tools(scene: &Scene, findings: &mut Findings) {
    let Scene { access, server, tools, census } = scene;
    match tools.dump(access) {
        Ok(program) if program.flavour == server.flavour => {
            findings.good(format!("dumped with {}", program.describe()));
        }
        Ok(program) if server.flavour == Flavour::Mysql && census.generated > 0 => findings.fail(
            format!(
                "{} dumps values of the {} generated columns, which {} refuses when it is restored (ERROR 3105)",
                program.describe(),
                census.generated,
                server.name()
            ),
            format!("install MySQL's own mysqldump on {}, or name its folder as `client_folder`", access.place),
        ),
        Ok(program) => findings.warn(format!(
            "{} has only {} for a {} server: install the server's own client programs",
            access.place,
            program.describe(),
            server.flavour
        )),
        Err(failure) => findings.fail(failure.to_string(), "without it nothing can be dumped"),
    }
    match tools.compressor(access, None) {
        Ok(Compressor::Zstd) => findings.good("compressed with zstd"),
        Ok(other) => {
            findings.warn(format!("{} has no zstd; {} takes several times as long", access.place, other.program()));
        }
        Err(failure) => findings.fail(failure.to_string(), "install zstd"),
    }
    if !tools.awk {
        findings.fail(format!("{} has no awk: the rows of the dump cannot be counted", access.place), "install one");
    }
}

fn tables(tables: &[Table], findings: &mut Findings) {
    let mut warn = |text: &str, which: &dyn Fn(&&Table) -> bool| {
        let names: Vec<String> =
            tables.iter().filter(which).map(|table| format!("{} ({})", shown(&table.key), table.engine)).collect();
        if !names.is_empty() {
            let more = names.len().saturating_sub(10);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            findings.warn(format!("{text}: {}{rest}", names[..names.len() - more].join(", ")));
        }
    };
    warn("not transactional, so not consistent with the rest if it is written to meanwhile", &|table| {
        table.is_dumped() && !table.is_transactional()
    });
    warn("its rows are kept elsewhere and are not dumped", &|table| !table.is_dumped());
    warn("system-versioned: the dump holds the present rows only, not their history", &|table| table.versioned);
}

/// Whether the client program gets in, and to the server that statements go to.
///
/// # Errors
/// When its place cannot be asked.
pub async fn door(cx: &StepContext, scene: &Scene, findings: &mut Findings) -> Result<(), Failure> {
    let Scene { access, server, tools, .. } = scene;
    let Some(client) = &tools.client else {
        findings.warn(format!(
            "{} has no client program: whether the dump program reaches the server that statements go to is not known",
            access.place
        ));
        return Ok(());
    };
    let work = who_pipeline(access, client);
    let tried = format!("run {work}");
    let output = cx.reach.exec(&access.place, &work, LOGIN).await.map_err(|error| error.while_reading(&tried))?;
    if !output.is_success() {
        let complaint = output.complaint(&work);
        let hint = advice(&complaint).unwrap_or("the client programs must be able to log in as the statements do");
        findings.fail(format!("{} on {} cannot log in: {complaint}", client.path, access.place), hint);
    } else if server.identity.answers(&output.text()) {
        findings.good(format!("programs on {} reach the same server", access.place));
    } else {
        findings.fail(
            format!("programs on {} reach another server than statements do: {}", access.place, output.text()),
            "correct `address`, `port` or `tunnel_port`: the wrong database would be dumped or replaced",
        );
    }
    Ok(())
}

/// What the account may do, and whether roles hide a part of it.
pub async fn grants(cx: &StepContext, access: &Access) -> Result<(Grants, bool), Failure> {
    let rows = access.ask(cx, "read the privileges of the account", &[SqlStatement::new("SHOW GRANTS")]).await?;
    let lines: Vec<String> = rows[0].rows.iter().filter_map(|row| row.first()?.text()).collect();
    let grants = Grants::read(lines.iter().map(String::as_str));
    let roles = grants.has_roles;
    Ok((grants, roles))
}
