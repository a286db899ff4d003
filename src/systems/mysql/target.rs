//! Whether a copy can be loaded into a server: what is known to stop a load half-way, or to make what was loaded useless,
//! is looked for before anything is touched. Reading only.

use std::collections::BTreeSet;

use super::access::Access;
use super::clients::Compressor;
use super::details::Source;
use super::findings::Findings;
use super::grants::{TO_DEFINE_FOR_OTHERS, TO_LOAD};
use super::judge::{Scene, door, grants};
use super::server::{Sameness, Server, replicates_from};
use crate::model::Failure;
use crate::port::{SqlRows, SqlStatement, SqlValue};
use crate::systems::StepContext;

/// What was said away when loading into a server of another kind was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waived {
    /// Loading a dump of the other flavour is wanted.
    pub cross_flavour: bool,
    /// Definers that do not exist are known and accepted.
    pub missing_definers: bool,
}

/// What could be in the way of loading a copy of `source` into this server.
///
/// # Errors
/// When the server cannot be asked.
pub async fn as_target(
    cx: &StepContext,
    scene: &Scene,
    source: Option<&Source>,
    waived: Waived,
) -> Result<Findings, Failure> {
    let Scene { access, server, tools, .. } = scene;
    let mut findings = Findings::default();
    if server.read_only {
        findings.fail(
            format!("the target {} is read-only: nothing can be loaded", access.describe()),
            "make sure that this is the right leader; if it is fenced on purpose, unfence it first",
        );
    }
    match access.ask_if_allowed(cx, "ask whether the server is a replica", server.replication_statement()).await? {
        Ok(status) => {
            for from in replicates_from(&status) {
                findings.warn(format!(
                    "the target {} is a replica of {from}: loading into it breaks that replication",
                    access.describe()
                ));
            }
        }
        Err(said) => findings.warn(format!("whether the target is a replica could not be read: {said}")),
    }
    match tools.client(access) {
        Ok(client) if client.flavour == server.flavour => findings.good(format!("loaded with {}", client.describe())),
        Ok(client) => {
            findings.warn(format!("{} has only {} for a {} server", access.place, client.describe(), server.flavour));
        }
        Err(failure) => findings.fail(failure.to_string(), "without it nothing can be loaded"),
    }
    door(cx, scene, &mut findings).await?;
    if !tools.reads(Compressor::Zstd) {
        findings.warn(format!(
            "{} has no zstd: dumps compressed with it cannot be read there; install it, or give `mysql.dump` `compressor = \"gzip\"`",
            access.place
        ));
    }
    let (grants, roles) = grants(cx, access).await?;
    for database in access.databases() {
        let lacks = grants.lacks(&TO_LOAD, database);
        if !lacks.is_empty() && !roles {
            findings.fail(
                format!("{} lacks {} on {database}: loading would stop half-way", access.describe(), lacks.join(", ")),
                format!("GRANT ALL ON `{database}`.* to that account"),
            );
        }
    }
    sessions(cx, access, &mut findings).await?;
    let Some(source) = source else {
        return Ok(findings);
    };
    compatible(access, server, source, waived, &mut findings);
    understood(cx, access, source, &mut findings).await?;
    definers(cx, access, source, waived, &mut findings).await?;
    let others = source.definers.iter().any(|definer| !definer.starts_with(&format!("{}@", access.settings.user)));
    if others && !roles && !TO_DEFINE_FOR_OTHERS.iter().any(|privilege| grants.holds_globally(privilege)) {
        findings.fail(
            format!("{} may not create objects that run as other accounts", access.describe()),
            "grant it SET USER (MariaDB), SET_ANY_DEFINER (MySQL 8.2), SET_USER_ID (MySQL 8.0) or SUPER",
        );
    }
    if source.routines > 0 && server.logs && !server.trusts_functions && !roles && !grants.holds_globally("SUPER") {
        findings.fail(
            "the target writes a binary log and does not let accounts without SUPER create functions",
            "SET GLOBAL log_bin_trust_function_creators = 1 at the target, or grant SUPER",
        );
    }
    Ok(findings)
}

/// Pure comparison of both servers.
pub fn compatible(access: &Access, server: &Server, source: &Source, waived: Waived, findings: &mut Findings) {
    if source.flavour != server.flavour {
        let text =
            format!("the dump comes from {} {}, the target is {}", source.flavour, source.version, server.name());
        if waived.cross_flavour {
            findings.warn(text);
        } else {
            findings.fail(
                text,
                "dumps of one flavour often do not load into the other; if yours was tried, set `allow_cross_flavour = true`",
            );
        }
    } else if (server.version.0, server.version.1) < (source.version.0, source.version.1) {
        findings.warn(format!("the target is {}, older than the source's {}", server.name(), source.version));
    }
    let own: BTreeSet<&str> = access.databases().into_iter().collect();
    let dumped: BTreeSet<&str> = source.databases.iter().map(String::as_str).collect();
    if own != dumped {
        let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
        findings.fail(
            format!("the copy holds {}, but the target is set up for {}", list(&dumped), list(&own)),
            "make `databases` of the service the same at both sites; nothing else may be replaced",
        );
    }
    if source.lower_case != server.lower_case {
        findings.warn(format!(
            "lower_case_table_names is {} at the source and {} at the target: table names may differ",
            source.lower_case, server.lower_case
        ));
    }
    if server.max_packet < source.max_packet {
        findings.warn(format!(
            "max_allowed_packet is {} at the source and {} at the target: very large rows may not load",
            source.max_packet, server.max_packet
        ));
    }
    if source.events > 0 && server.events_run {
        findings.warn(format!(
            "the target runs scheduled events: the {} of the copy will run there too and change it",
            source.events
        ));
    }
}

/// Whether the target has the source's collations and engines.
async fn understood(
    cx: &StepContext,
    access: &Access,
    source: &Source,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let what = "ask which collations and engines the server has";
    let answers = access
        .ask(
            cx,
            what,
            &[
                SqlStatement::new("SELECT collation_name AS name_of FROM information_schema.collations"),
                SqlStatement::new(
                    "SELECT engine AS name_of FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')",
                ),
            ],
        )
        .await?;
    let mut collations = names(&answers[0]);
    // MariaDB since 10.10 lists the character set and the collation apart.
    let full = "SELECT full_collation_name AS name_of FROM information_schema.collation_character_set_applicability";
    if let Ok(rows) = access.ask_if_allowed(cx, what, SqlStatement::new(full)).await? {
        collations.extend(names(&rows));
    }
    let engines = names(&answers[1]);
    let unknown = |wanted: &BTreeSet<String>, have: &BTreeSet<String>| -> Vec<String> {
        wanted.iter().filter(|name| !have.contains(&name.to_ascii_lowercase())).cloned().collect()
    };
    let collations = unknown(&source.collations, &collations);
    if !collations.is_empty() {
        findings.fail(
            format!("the target does not know the collations {}", collations.join(", ")),
            "convert those columns at the source, or upgrade the target: the dump would stop half-way",
        );
    }
    let engines = unknown(&source.engines, &engines);
    if !engines.is_empty() {
        findings.fail(
            format!("the target does not have the engines {}", engines.join(", ")),
            "install them at the target, or convert those tables at the source",
        );
    }
    Ok(())
}

fn names(rows: &SqlRows) -> BTreeSet<String> {
    (0..rows.rows.len())
        .filter_map(|row| rows.get(row, "name_of").and_then(SqlValue::text))
        .map(|name| name.to_ascii_lowercase())
        .collect()
}

/// Whether the accounts that objects run as exist at the target.
async fn definers(
    cx: &StepContext,
    access: &Access,
    source: &Source,
    waived: Waived,
    findings: &mut Findings,
) -> Result<(), Failure> {
    if source.definers.is_empty() {
        return Ok(());
    }
    let statement = SqlStatement::new("SELECT user AS account_user, host AS account_host FROM mysql.user");
    let rows = match access.ask_if_allowed(cx, "list the accounts of the server", statement).await? {
        Ok(rows) => rows,
        Err(said) => {
            findings.warn(format!(
                "whether the definers {} exist at the target could not be read: {said}",
                source.definers.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            ));
            return Ok(());
        }
    };
    let text = |row: usize, name: &str| rows.get(row, name).and_then(SqlValue::text).unwrap_or_default();
    let accounts: BTreeSet<String> = (0..rows.rows.len())
        .map(|row| format!("{}@{}", text(row, "account_user"), text(row, "account_host")))
        .collect();
    let missing: Vec<&str> =
        source.definers.iter().map(String::as_str).filter(|name| !accounts.contains(*name)).collect();
    if missing.is_empty() {
        findings.good("every definer exists at the target");
        return Ok(());
    }
    let text =
        format!("the target has no account {}: views and routines that run as it will not work", missing.join(", "));
    if waived.missing_definers {
        findings.warn(text);
    } else {
        findings.fail(
            text,
            "create the account at the target (CREATE USER …), or give the objects another definer; to load anyway, set `allow_missing_definers = true`",
        );
    }
    Ok(())
}

/// Who works in the databases that will be replaced.
async fn sessions(cx: &StepContext, access: &Access, findings: &mut Findings) -> Result<(), Failure> {
    let databases = access.databases();
    let marks = vec!["?"; databases.len()].join(", ");
    let text = format!(
        "SELECT user AS who, COUNT(*) AS number_of FROM information_schema.processlist \
         WHERE db IN ({marks}) AND id <> CONNECTION_ID() GROUP BY user"
    );
    let statement = databases.iter().fold(SqlStatement::new(text), |statement, name| statement.bind(*name));
    // Only a courtesy: an account that may not see the sessions of others sees none here.
    if let Ok(rows) = access.ask_if_allowed(cx, "list the sessions of the server", statement).await? {
        for row in 0..rows.rows.len() {
            let text = |name: &str| rows.get(row, name).and_then(SqlValue::text).unwrap_or_default();
            findings.warn(format!(
                "{} sessions of {} are open in {} at the target: they will see the databases vanish",
                text("number_of"),
                text("who"),
                databases.join(", ")
            ));
        }
    }
    Ok(())
}

/// Fails when both ends are one server.
pub fn distinct(source: &Source, server: &Server, findings: &mut Findings) {
    match source.identity.compare(&server.identity) {
        Sameness::Different => findings.good("source and target are different servers"),
        Sameness::Same => findings.fail(
            format!("source and target are the same server ({})", server.identity.seat),
            "correct the addresses in the estate: a copy would be loaded over its own source",
        ),
        Sameness::CannotTell => findings.warn(format!(
            "source and target call themselves the same ({}) but were started at different times: make sure that they are two",
            server.identity.seat
        )),
    }
}
