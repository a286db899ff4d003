//! `changeover doctor`: what this machine and every host lack, in one look. Changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::live::Live;
use super::{App, CliError, Exit};
use crate::model::{SafeText, SiteName};
use crate::port::{Clock as _, Command, Exit as Ended, Pipeline, Place, Reach};
use crate::systems::remote::{DF_SECONDS, spaces};

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A program that hosts may need, and what for.
struct Tool {
    /// Any one of these will do.
    names: &'static [&'static str],
    /// What it is needed for.
    purpose: &'static str,
    /// The service kind that needs it; nothing when every host does.
    service: Option<&'static str>,
    /// False for what only makes things faster.
    required: bool,
}

const TOOLS: &[Tool] = &[
    Tool { names: &["sh"], purpose: "running anything", service: None, required: true },
    Tool { names: &["setsid"], purpose: "work that outlives the connection", service: None, required: true },
    Tool { names: &["sha256sum"], purpose: "checksums", service: None, required: true },
    Tool { names: &["find"], purpose: "looking through trees", service: None, required: true },
    Tool { names: &["rsync"], purpose: "copying trees", service: Some("files"), required: true },
    Tool { names: &["mariadb-dump", "mysqldump"], purpose: "SQL dumps", service: Some("mysql"), required: true },
    Tool { names: &["mariadb", "mysql"], purpose: "SQL restores", service: Some("mysql"), required: true },
    Tool { names: &["awk"], purpose: "counting the rows of SQL dumps", service: Some("mysql"), required: true },
    Tool { names: &["zstd", "pigz", "gzip"], purpose: "compression", service: Some("mysql"), required: true },
    Tool { names: &["zstd"], purpose: "the fastest compression", service: Some("mysql"), required: false },
];

/// What was found of one place.
struct Found {
    place: String,
    problems: Vec<SafeText>,
    advice: Vec<SafeText>,
}

pub(super) fn run(app: &mut App, args: &DoctorArgs) -> Result<Exit, CliError> {
    let live = Live::open(app, "doctor")?;
    let found = super::block_on(async {
        live.world.preconnect().await;
        let sites = live.record.estate.sites.iter();
        let hosts = sites.flat_map(|(site, facts)| facts.hosts.keys().map(move |host| (site, host)));
        let looks = hosts.map(|(site, host)| examine(&live, site, Place::Host(site.clone(), host.clone())));
        let mut found = vec![examine_machine()];
        found.extend(join_all(looks).await);
        live.world.close().await;
        Ok(found)
    })?;
    let bad = found.iter().any(|found| !found.problems.is_empty());
    if args.json {
        let rows: Vec<_> = found
            .iter()
            .map(|found| json!({ "place": found.place, "problems": found.problems, "advice": found.advice }))
            .collect();
        writeln!(app.io.out, "{:#}", json!(rows))?;
    } else {
        for found in &found {
            let verdict = if found.problems.is_empty() { "fine" } else { "LACKS" };
            writeln!(app.io.out, "{:<20} {verdict}", found.place)?;
            for text in &found.problems {
                writeln!(app.io.out, "  ! {text}")?;
            }
            for text in &found.advice {
                writeln!(app.io.out, "  - {text}")?;
            }
        }
    }
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

fn examine_machine() -> Found {
    let mut found = Found { place: "this machine".to_owned(), problems: Vec::new(), advice: Vec::new() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !has("ssh") {
        found.problems.push("there is no `ssh` on the PATH: install the OpenSSH client".into());
    }
    found
}

async fn examine(live: &Live, site: &SiteName, place: Place) -> Found {
    let mut found = Found { place: place.to_string(), problems: Vec::new(), advice: Vec::new() };
    let patience = Duration::from_secs(20);
    let before = live.clock.now().as_second();
    let date = Pipeline::from(Command::new("date").args(["-u", "+%s"]));
    let clock = match live.world.exec(&place, &date, patience).await {
        Ok(output) => output.text().trim().parse::<i64>().ok(),
        Err(error) => {
            found.problems.push(SafeText::block(&error.to_string()));
            found.advice.extend(error.hint.map(|hint| SafeText::block(&hint)));
            return found;
        }
    };
    let after = live.clock.now().as_second();
    // It was read at some moment in between: a slow connection is no wrong clock.
    let skew = clock.map(|clock| (before - clock).max(clock - after));
    match skew {
        Some(skew) if skew > 5 => {
            found.problems.push(SafeText::block(&format!("its clock is {skew} s away from this machine's")));
        }
        Some(_) => {}
        None => found.problems.push("its clock cannot be read".into()),
    }
    let kinds: Vec<&str> = live.record.estate.services.values().map(|service| service.kind.as_str()).collect();
    let needed = || TOOLS.iter().filter(|tool| tool.service.is_none_or(|service| kinds.contains(&service)));
    let names: BTreeSet<&str> = needed().flat_map(|tool| tool.names).copied().collect();
    let there = match present(live, &place, names, patience).await {
        Ok(there) => there,
        Err(problem) => {
            found.problems.push(problem);
            return found;
        }
    };
    for tool in needed().filter(|tool| !tool.names.iter().any(|name| there.contains(*name))) {
        let text = SafeText::block(&format!("no `{}`: needed for {}", tool.names.join("` or `"), tool.purpose));
        if tool.required { found.problems.push(text) } else { found.advice.push(text) }
    }
    if let Some(facts) = live.record.estate.sites.get(site)
        && let Some(exchange) = facts.exchange.to_str()
    {
        let writable = Pipeline::from(Command::new("test").args(["-d", exchange, "-a", "-w", exchange]));
        match live.world.exec(&place, &writable, patience).await {
            Ok(output) if output.is_success() => {
                found.problems.extend(unmarked(live, &place, exchange, patience).await);
                found.problems.extend(crowded(live, &place, exchange, patience).await);
            }
            Ok(_) => found
                .problems
                .push(SafeText::block(&format!("the exchange tree {exchange} is not there or not writable"))),
            Err(error) => found.problems.push(SafeText::block(&error.to_string())),
        }
    }
    found
}

/// What is wrong with an exchange folder that could be an unmounted share.
async fn unmarked(live: &Live, place: &Place, exchange: &str, patience: Duration) -> Option<SafeText> {
    let marks = ["/.changeover-exchange", "/direction.json"].map(|mark| format!("{exchange}{mark}"));
    let marked = Command::new("test").args(["-e", &marks[0], "-o", "-e", &marks[1]]);
    let mounted = Command::new("mountpoint").args(["-q", exchange]);
    for look in [Pipeline::from(marked), Pipeline::from(mounted)] {
        if live.world.exec(place, &look, patience).await.is_ok_and(|output| output.is_success()) {
            return None;
        }
    }
    Some(SafeText::block(&format!(
        "the exchange tree {exchange} is no mount point and holds no file .changeover-exchange: is the share mounted? \
         If it is a plain folder on purpose, put that file into it"
    )))
}

/// What is wrong with the room on the disk that holds the exchange tree.
async fn crowded(live: &Live, place: &Place, exchange: &str, patience: Duration) -> Option<SafeText> {
    // A share that does not answer would hold it for ever: so the host itself ends it.
    let df = Command::new("timeout").args(["-s", "KILL", DF_SECONDS, "df", "-P", "-B1", exchange]);
    let df = Pipeline::from(df.env("LC_ALL", "C"));
    let problem = match live.world.exec(place, &df, patience).await {
        Ok(output) => match spaces(&output.text()).as_deref() {
            _ if output.exits == [Ended::Code(137)] => format!("does not answer within {DF_SECONDS}s"),
            Some([space]) => space.problem(live.record.estate.policy.min_free_percent.unwrap_or(10))?,
            _ => format!("cannot be measured: {}", output.complaint(&df)),
        },
        Err(error) => format!("cannot be measured: {error}"),
    };
    Some(SafeText::block(&format!("the disk of the exchange tree {exchange} {problem}")))
}

/// Which of these programs are there.
async fn present(
    live: &Live,
    place: &Place,
    names: BTreeSet<&str>,
    patience: Duration,
) -> Result<BTreeSet<String>, SafeText> {
    const LOOK: &str = "for name; do if command -v \"$name\" >/dev/null; then echo \"$name\"; fi; done";
    let look = Pipeline::from(Command::new("sh").args(["-c", LOOK, "sh"]).args(names));
    let problem = match live.world.exec(place, &look, patience).await {
        Ok(output) if output.is_success() => return Ok(output.text().lines().map(str::to_owned).collect()),
        Ok(output) => output.complaint(&look),
        Err(error) => error.to_string(),
    };
    Err(SafeText::block(&format!("could not look which programs are there: {problem}")))
}
