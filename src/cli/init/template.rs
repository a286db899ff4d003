//! The text of a first estate file, with comments that say what else could stand there.

use super::answers::{Answers, SiteAnswers};

/// The file.
pub(super) fn render(answers: &Answers) -> String {
    let [active, standby] = &answers.sites;
    let parts = [
        head(&answers.name, &active.name),
        site_table(active, &answers.exchange),
        site_table(standby, &answers.exchange),
        services(answers),
        TAIL.to_owned(),
    ];
    parts.concat()
}

fn head(name: &str, active: &str) -> String {
    format!(
        "\
# The estate: two sites that run the same application, one active and one standby.
# `changeover check` finds what is wrong here; `changeover schema estate` helps editors.

name = {}
# Which site is active before the first run. From then on the direction record at both sites decides.
active = {}
",
        quoted(name),
        quoted(active),
    )
}

const TAIL: &str = "
[objectives]
# The most that may be lost, and the longest that a failover may take.
rpo = \"15m\"
rto = \"30m\"

# How the exchange tree gets to the other site: \"rsync\" (default), \"storage\" (the storage replicates by itself,
# Changeover waits for the completion marker), or \"shared\" (both sites mount the same storage).
# [transfer]
# by = \"rsync\"
# from = \"source\"       # who starts rsync: the source pushes, or the target pulls
# bandwidth = \"50m\"

# [policy]
# keep_points = 48      # restore points per direction
# max_delete = \"5%\"     # refuse to delete more than this share of a tree
# min_free_percent = 10
# patience = \"10m\"      # how long a silent host is waited for while its work goes on

# [ssh]
# config = \"/etc/changeover/ssh_config\"   # jump hosts belong there
# connect_timeout = \"10s\"
";

fn site_table(site: &SiteAnswers, exchange: &str) -> String {
    let hosts = site.hosts.iter().map(|(name, address)| {
        let at = if address == "local" { "local = true".to_owned() } else { format!("address = {}", quoted(address)) };
        format!("hosts.{} = {{ {at}, roles = [\"app\"] }}\n", key(name))
    });
    format!(
        "
[sites.{}]
# title = \"…\"   # the name for people
# The shared mount, as the hosts of this site see it. When it is a plain folder, put an empty file of the name
# .changeover-exchange into it once: an unmounted share looks like an empty folder, and must not be filled.
exchange = {}
{}",
        key(&site.name),
        quoted(exchange),
        hosts.collect::<String>(),
    )
}

fn services(answers: &Answers) -> String {
    let parts = [search(answers), database(answers), files(answers)].concat();
    if !parts.is_empty() {
        return parts;
    }
    "
# What is copied: `changeover kinds` lists the kinds of services.
# [services.db]
# kind = \"mysql\"
"
    .to_owned()
}

fn search(answers: &Answers) -> String {
    let nodes: Vec<String> = answers
        .sites
        .iter()
        .filter(|site| !site.search.is_empty())
        .map(|site| format!("{}.urls = {}\n", key(&site.name), list(&site.search)))
        .collect();
    if nodes.is_empty() {
        return String::new();
    }
    format!("\n[services.search]\nkind = \"elasticsearch\"\n{}", nodes.concat())
}

fn database(answers: &Answers) -> String {
    if answers.databases.is_empty() {
        return String::new();
    }
    let hosts = answers.sites.iter().map(|site| {
        let host = site.hosts.first().map_or("", |(name, _)| name);
        format!("{} = {{ via = \"ssh\", host = {} }}\n", key(&site.name), quoted(host))
    });
    format!(
        "
[services.db]
kind = \"mysql\"
databases = {}
user = \"changeover\"
# Never the password itself: where it is. Also {{ file = \"/etc/changeover/db.secret\" }} or {{ credential = \"db\" }}.
password = {{ command = {} }}
# Over SSH, at this host of each site.
{}",
        list(&answers.databases),
        quoted(&format!("pass show {}/db", answers.name)),
        hosts.collect::<String>(),
    )
}

fn files(answers: &Answers) -> String {
    if answers.files.is_empty() {
        return String::new();
    }
    format!("\n[services.assets]\nkind = \"files\"\npaths = {}\nmax_delete = \"5%\"\n", list(&answers.files))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A TOML key: bare where that is possible.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { text.to_owned() } else { quoted(text) }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}
